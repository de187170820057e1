"""A role function in a task computes on the engine that its party's ``party.yaml`` names."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import local_pb2
from federated_operators import step
from federated_operators.gateway.names import Job, member_pb
from federated_operators.gateway.plan import JobPlan, StepPlan
from federated_operators.gateway.policy import default_policy
from federated_operators.step import Clock, ComponentWork, Seat
from federated_operators.tracking.tracker import StepTracker
from federatedml.component import Component, Inputs, Outputs, Params
from federatedml.compute.engine import Compute
from federatedml.federation.box import Box
from federatedml.federation.home import PartyHome
from federatedml.federation.party import Role
from tests import compute_kernels as kernels
from tests.members import GUEST, HOST

JOB = Job(GUEST.party, "20260728120000000001")
NAMES = "airflow", "worker_log", "trigger_log", "mlflow", "gateway", "serving_http", "serving_grpc"


def plan() -> JobPlan:
    seen = StepPlan("seen_0", "Seen", "1", (GUEST, HOST), {}, {})
    return JobPlan(
        initiator=GUEST,
        job_id=JOB.job_id,
        pipeline="p",
        me=GUEST,
        members=(GUEST, HOST),
        model_key="model",
        digest="",
        spec_digest="",
        dag_id="",
        steps={"seen_0": seen},
        all_steps={"seen_0": (GUEST, HOST)},
        modules={"seen_0": "Seen"},
        dsl={},
        conf={},
        disclosure={},
    )


@pytest.mark.parametrize("engine", ["serial", "threads", "processes", "auto"])
def test_the_partys_engine_reaches_the_role_function(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Compute] = []

    def guest(params: Params, box: Box, inputs: Inputs) -> Outputs:
        seen.append(box.compute)
        assert box.compute.map(kernels.scaled, [1, 2, 3]) == [2, 4, 6]
        return Outputs()

    component = Component("Seen", "tells its engine", Params, {Role.GUEST: guest}, has_data=False)
    monkeypatch.setattr(step, "component", lambda *_, **__: component)
    config = {"party_id": GUEST.party, "name": "guest", "ports": {name: 26200 + at for at, name in enumerate(NAMES)}}
    compute = {"engine": engine, "workers": 3}
    (tmp_path / "party.yaml").write_text(yaml.safe_dump({**config, "compute": compute}))
    (tmp_path / "policy.yaml").write_text(default_policy(GUEST.party, [HOST.party]))
    home = PartyHome(tmp_path)
    seat = Seat(home, GUEST.party, JOB.job_id, "seen_0", GUEST, "task", 1)
    session, tracker = seat.session(plan(), "1", {}), StepTracker(home, plan(), plan().steps["seen_0"], seat.job_dir)
    key = pb.StepKey(job=JOB.key(), component="seen_0", generation=1, attempt=1)
    members = [member_pb(member) for member in (GUEST, HOST)]
    start = local_pb2.Start(step=key, attempt_dir=str(seat.job_dir / "seen_0" / "g1" / "a1"), members=members)
    session._on(local_pb2.GatewayFrame(start=start))
    with home.compute() as party_engine:
        ComponentWork(seat, plan(), session, tracker, Clock(), lambda _: None, party_engine).compute(start)
    tracker.stop()
    assert [(found is party_engine, found.workers) for found in seen] == [(True, 1 if engine == "serial" else 3)]
