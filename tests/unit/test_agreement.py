"""A party's own answer and enrolment, with an acceptor that takes everything and a scheduler played by the test."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from airfed_proto.v1 import job_pb2
from federated_operators.gateway import agreement
from federated_operators.gateway.agreement import Agreement
from federated_operators.gateway.names import Job
from federated_operators.gateway.plan import JobPlan, ProposedJob, StepPlan, load_plan
from federated_operators.gateway.policy import default_policy
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import JobRow, VerdictRow
from federated_operators.gateway.runs import NOT_IMPORTED, NoRuns, Run
from federated_operators.gateway.store import Store
from federatedml.errors import DataError, DslError, PeerError
from federatedml.federation.home import PartyHome
from tests.members import GUEST, HOST

JOB = Job(GUEST.party, "20260728120000000001")
PSI = "intersection_0"


class Acceptor:
    """Takes every proposal: an intersection of at least ten ids."""

    def digest(self, job: ProposedJob) -> tuple[str, Mapping[str, str], bytes]:
        return hashlib.sha256(job.dsl + job.conf).hexdigest(), {"Intersection": "1"}, b"disclosure"

    def plans(self, job: ProposedJob, party_id: str) -> Sequence[JobPlan]:
        step = StepPlan(PSI, "Intersection", "1", (GUEST, HOST), {"min_intersection": 10}, {})
        plan = JobPlan(
            initiator=GUEST,
            job_id=job.job_id,
            pipeline=job.pipeline,
            me=HOST,
            members=(GUEST, HOST),
            model_key="model",
            digest=self.digest(job)[0],
            spec_digest="",
            dag_id="9999.p.host_10000",
            steps={PSI: step},
            all_steps={PSI: (GUEST, HOST)},
            modules={PSI: "Intersection"},
            dsl={},
            conf={},
            disclosure={},
        )
        return [plan]

    def install(self, plan: JobPlan) -> str:
        return ""

    def installed(self, plan: JobPlan, bundle_version: str | None = None) -> bool:
        return True


class Scheduler(NoRuns):
    """Has an import error for some looks; ``on_trigger`` happens while a run is being started."""

    def __init__(self) -> None:
        self.broken_looks = 0
        self.on_trigger: Callable[[], None] = lambda: None

    async def bundle_version(self, dag_id: str) -> str | None:
        self.broken_looks -= 1
        if self.broken_looks >= 0:
            raise DslError(NOT_IMPORTED, f"Airflow cannot import DAG {dag_id}")
        return "v"

    async def trigger(self, run: Run, digest: str) -> None:
        self.on_trigger()


class Host:
    """The gateway of party 10000 without its sockets."""

    def __init__(self, root: Path) -> None:
        ports = dict.fromkeys(
            ("airflow", "worker_log", "trigger_log", "mlflow", "gateway", "serving_http", "serving_grpc"), 1
        )
        root.mkdir()
        (root / "party.yaml").write_text(yaml.safe_dump({"party_id": HOST.party, "name": "host", "ports": ports}))
        (root / "policy.yaml").write_text(default_policy(HOST.party, [GUEST.party]))
        self.home, self.scheduler = PartyHome(root), Scheduler()
        self.store = Store(self.home.gateway_db)
        roster = Roster(self.store, HOST.party)
        self.agreement = Agreement(self.store, roster, self.home, Acceptor(), self.scheduler)

    async def answer(self, *proposals: job_pb2.Proposal) -> list[job_pb2.ProposalAnswer]:
        return await asyncio.gather(*(self.agreement.answer(GUEST.party, one) for one in proposals))

    def enrolled(self, proposed: job_pb2.Proposal) -> job_pb2.ProposalAnswer:
        async def both() -> job_pb2.ProposalAnswer:
            (accepted,) = await self.answer(proposed)
            assert accepted.state == job_pb2.ACCEPTED, accepted.failure.message
            return await self.agreement.enrol(job_pb2.ProposalRef(job=proposed.job, digest=proposed.digest))

        return asyncio.run(both())


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path / "home")
    yield made
    made.store.close()


def proposal(conf: bytes = b"{}") -> job_pb2.Proposal:
    digest = hashlib.sha256(b"{}" + conf).digest()
    return job_pb2.Proposal(
        job=JOB.key(),
        pipeline="p",
        dsl=b"{}",
        conf=conf,
        component_versions={"Intersection": "1"},
        disclosure_digest=b"disclosure",
        digest=digest,
    )


def test_the_floor_of_the_own_policy_is_in_the_plan_that_tasks_read(host: Host) -> None:
    assert host.enrolled(proposal()).state == job_pb2.ENROLLED
    body = (host.home.job_dir(JOB.initiator, JOB.job_id) / "host" / "plan.json").read_bytes()
    plan = load_plan(body)
    assert plan.steps[PSI].params["min_intersection"] == 50
    assert plan.digest == proposal().digest.hex(), "what the parties agreed to is the same"


def test_an_import_error_of_the_file_before_is_waited_out(host: Host) -> None:
    host.scheduler.broken_looks = 3
    assert host.enrolled(proposal()).state == job_pb2.ENROLLED


def test_a_scheduler_that_is_not_there_is_no_refusal(host: Host) -> None:
    def away() -> None:
        raise PeerError("FED-420", "the own Airflow does not answer")

    host.scheduler.on_trigger = away
    answer = host.enrolled(proposal())
    assert (answer.state, answer.failure.code) == (job_pb2.PENDING, "FED-420")
    host.scheduler.on_trigger = lambda: None
    reference = job_pb2.ProposalRef(job=JOB.key(), digest=proposal().digest)
    assert asyncio.run(host.agreement.enrol(reference)).state == job_pb2.ENROLLED


def test_what_is_wrong_with_own_tables_stays_here(host: Host) -> None:
    def broken() -> None:
        raise DataError("FED-851", "table bank/clients: there is no file for it", "no clients_of_2026.csv")

    host.scheduler.on_trigger = broken
    answer = host.enrolled(proposal())
    assert answer.state == job_pb2.REFUSED
    assert answer.failure.message == "table bank/clients: there is no file for it"


def test_an_import_error_that_stays_is_a_refusal(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "PARSED_AGAIN_S", 0.2)
    host.scheduler.broken_looks = 10**9
    answer = host.enrolled(proposal())
    assert answer.state == job_pb2.REFUSED
    assert answer.failure.code == NOT_IMPORTED


def test_of_two_contents_of_one_job_the_first_one_stands(host: Host) -> None:
    first, other = asyncio.run(host.answer(proposal(), proposal(b'{"a":1}')))
    states = sorted([first.state, other.state])
    assert states == [job_pb2.ACCEPTED, job_pb2.REFUSED]
    row = host.store.get(JobRow, **JOB.where)
    assert row is not None
    assert row.digest == (proposal() if first.state == job_pb2.ACCEPTED else proposal(b'{"a":1}')).digest


def test_a_verdict_that_comes_while_a_run_is_started_stands(host: Host) -> None:
    def ended() -> None:
        row = host.store.get(JobRow, **JOB.where)
        assert row is not None
        host.store.put(VerdictRow(JOB.initiator, JOB.job_id, 1, job_pb2.CANCELLED))
        host.store.put(JobRow(JOB.initiator, JOB.job_id, "p", row.proposal, row.digest, "cancelled", 1, 0.0))

    host.scheduler.on_trigger = ended
    host.enrolled(proposal())
    row = host.store.get(JobRow, **JOB.where)
    assert row is not None
    assert row.state == "cancelled"
