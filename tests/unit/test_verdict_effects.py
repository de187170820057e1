"""What a verdict means at a party is done even if the scheduler or tracking does not play along."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway.names import Job
from federated_operators.gateway.own_steps import OwnSteps
from federated_operators.gateway.plan import JobPlan, dump_plan
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import PlanRow
from federated_operators.gateway.runs import NoRuns, Run
from federated_operators.gateway.seats import Seats
from federated_operators.gateway.store import Store
from federated_operators.gateway.verdicts import TRACKING, Verdicts
from federatedml.errors import DslError, PeerError
from federatedml.federation.home import PartyHome
from tests.members import GUEST, HOST

JOB = Job(GUEST.party, "20260728120000000001")
PLAN = JobPlan(
    GUEST, JOB.job_id, "p", HOST, (GUEST, HOST), "model", "", "", "9999.p.host_10000", {}, {}, {}, {}, {}, {}
)
NOTICE = job_pb2.VerdictNotice(job=JOB.key(), generation=1, verdict=job_pb2.JOB_FAILED)


class Refusing(NoRuns):
    async def fail(self, run: Run, note: str) -> None:
        raise DslError("FED-472", "the own Airflow refused PATCH: 409")


def tracking_down(plan: JobPlan, verdict: int, failure: pb.Failure | None) -> None:
    raise PeerError("FED-480", "MLflow does not answer")


def test_outputs_go_and_tracking_waits_for_itself(tmp_path: Path) -> None:
    home, store, seats = PartyHome(tmp_path), Store(tmp_path / "gateway.db"), Seats()
    store.put(PlanRow(JOB.initiator, JOB.job_id, str(HOST), dump_plan(PLAN)))
    left = home.job_dir(JOB.initiator, JOB.job_id) / "lr_0/host/g1/a1"
    left.mkdir(parents=True)
    roster = Roster(store, HOST.party)
    own = OwnSteps(store, roster, home, seats.tell)
    verdicts = Verdicts(store, roster, own, seats, home, Refusing(), tracking_down)
    asyncio.run(verdicts.carry_out(NOTICE))
    assert not left.exists()
    assert "run not ended" in [event["event"] for event in store.events(JOB)]
    letter = store.next_letter(TRACKING, 0)
    assert letter is not None
    with pytest.raises(PeerError, match="MLflow"):  # told again by its own lane
        asyncio.run(verdicts.tell_hook(job_pb2.VerdictNotice.FromString(letter.body)))
    store.close()
