"""What a role function in a task gets: the engine that ``party.yaml`` names, accounts of the tables it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import local_pb2
from federated_operators import step
from federated_operators.gateway.names import Job, member_pb
from federated_operators.gateway.plan import DataRef, JobPlan, StepPlan
from federated_operators.gateway.policy import default_policy
from federated_operators.outputs import JobStore, dump_outputs, load_outputs
from federated_operators.step import Clock, ComponentWork, Seat
from federated_operators.tracking.tracker import StepTracker
from federatedml.component import Component, Inputs, Outputs, Params, RoleFunction
from federatedml.compute.engine import Compute
from federatedml.data.catalogue import Catalogue
from federatedml.federation.box import Box
from federatedml.federation.home import PartyHome
from federatedml.federation.party import Role
from tests import compute_kernels as kernels
from tests.members import GUEST, HOST, table

JOB = Job(GUEST.party, "20260728120000000001")
EARLIER = "20260728120000000000"
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

    home = party(tmp_path, {"engine": engine, "workers": 3})
    with home.compute() as party_engine:
        run(home, plan(), guest, party_engine, monkeypatch)
    assert [(found is party_engine, found.workers) for found in seen] == [(True, 1 if engine == "serial" else 3)]


def test_accounts_over_jobs_know_the_tables_of_an_earlier_jobs_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Sequence[str]] = []

    def guest(params: Params, box: Box, inputs: Inputs) -> Outputs:
        seen.append(box.tables)
        return Outputs()

    home, whole = party(tmp_path, {"engine": "serial"}), plan()
    before = StepPlan("before_0", "Seen", "1", (GUEST, HOST), {}, {}, data_aliases=("data",))
    folder = home.job_dir(GUEST.party, EARLIER)
    left = JobStore(folder, Catalogue(home.data)).store(before, Outputs(table(["a"], x=[1.0])), folder / "before_0")
    reads = replace(whole.steps["seen_0"], data={"data": (DataRef("before_0", "data"),)})
    made = replace(whole, steps={"seen_0": reads}, earlier_job=EARLIER)
    inputs = {"before_0": dump_outputs(replace(left, tables=("bank/clients",)))}
    with home.compute() as engine:
        stored = load_outputs(run(home, made, guest, engine, monkeypatch, inputs))
    assert [list(tables) for tables in (*seen, stored.tables)] == [["bank/clients"]] * 2


def party(folder: Path, compute: Mapping[str, Any]) -> PartyHome:
    """A home whose tasks compute so."""
    config = {"party_id": GUEST.party, "name": "guest", "ports": {name: 26200 + at for at, name in enumerate(NAMES)}}
    (folder / "party.yaml").write_text(yaml.safe_dump({**config, "compute": dict(compute)}))
    (folder / "policy.yaml").write_text(default_policy(GUEST.party, [HOST.party]))
    return PartyHome(folder)


def run(
    home: PartyHome,
    made: JobPlan,
    guest: RoleFunction,
    engine: Compute,
    monkeypatch: pytest.MonkeyPatch,
    inputs: Mapping[str, bytes] | None = None,
) -> bytes:
    """What one attempt of ``seen_0`` stores."""
    component = Component("Seen", "tells what it sees", Params, {Role.GUEST: guest}, has_data=False)
    monkeypatch.setattr(step, "component", lambda *_, **__: component)
    seat = Seat(home, GUEST.party, JOB.job_id, "seen_0", GUEST, "task", 1)
    session, tracker = seat.session(made, "1", {}), StepTracker(home, made, made.steps["seen_0"], seat.job_dir)
    key = pb.StepKey(job=JOB.key(), component="seen_0", generation=1, attempt=1)
    members = [member_pb(member) for member in (GUEST, HOST)]
    folder = str(seat.job_dir / "seen_0" / "g1" / "a1")
    start = local_pb2.Start(step=key, attempt_dir=folder, members=members, inputs=inputs)
    session._on(local_pb2.GatewayFrame(start=start))
    found = ComponentWork(seat, made, session, tracker, Clock(), lambda _: None, engine).compute(start)
    tracker.stop()
    return found
