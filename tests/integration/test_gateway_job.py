"""A job over three gateways, from the proposal to the verdict, and everything that ends it early."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path

import pytest
from gateway_kit import EXPECTED, GUEST, HOST, JOB_IDS, MEMBERS, SUM, Parties, Worker, federate_request, until
from rich.console import Console

from airfed.demo_screen import Screen
from airfed.job import Submitted, jobs
from airfed.job_end import kill, person
from airfed.job_text import verdict
from airfed.job_watch import answered, follow
from airfed_proto.v1 import job_pb2, local_pb2, local_pb2_grpc
from federated_operators.gateway.client import SOMEBODY_IS_HERE, open_channel
from federated_operators.gateway.names import CONCLUDE, Job
from federated_operators.gateway.worker import GatewayClient
from federatedml.errors import FedError
from federatedml.federation.party import Member
from tests.pipeline_example import spec

pytestmark = pytest.mark.usefixtures("history")


@pytest.fixture
def job_id() -> str:
    """A job that nobody has proposed yet."""
    return str(next(JOB_IDS))


def ended(parties: Parties, job_id: str, state: str) -> list[local_pb2.JobView]:
    """The job as every party shows it, once all have the verdict."""
    for member in MEMBERS:
        until(lambda party=member.party: parties.state(party, job_id) not in ("proposed", "running"))
    views = [view for member in MEMBERS if (view := parties.view(member.party, job_id))]
    assert [view.state for view in views] == [state] * len(MEMBERS)
    return views


def run_step(parties: Parties, job_id: str, component: str = SUM) -> dict[Member, Worker]:
    workers = {member: parties.worker(member, component, job_id=job_id) for member in MEMBERS}
    for worker in workers.values():
        worker.join(30)
        assert worker.committed is not None, worker.error
    return workers


def test_a_job_runs_from_the_proposal_to_the_same_verdict_everywhere(parties: Parties, job_id: str) -> None:
    news = parties.federate(job_id)
    assert not news.HasField("failure"), news
    assert {party: answer.state for party, answer in news.answers.items()} == {
        member.party: job_pb2.ENROLLED for member in MEMBERS
    }
    job_dir = Path(news.job_dir)
    assert json.loads((job_dir / "guest/plan.json").read_text())["job_id"] == job_id
    for name in ("job.json", "job_dsl.json", "job_runtime_conf.json"):
        assert (job_dir / name).stat().st_mode & 0o777 == 0o600
    workers = run_step(parties, job_id)
    assert [worker.total() for worker in workers.values()] == [EXPECTED] * 3
    run_step(parties, job_id, CONCLUDE)
    view, *_ = ended(parties, job_id, "succeeded")
    steps = {step.component: (step.state, step.attempt) for step in view.steps}
    assert steps == {SUM: (job_pb2.COMMITTED, 1), CONCLUDE: (job_pb2.COMMITTED, 1)}
    assert list(job_dir.glob("sum_0/guest/g1/a1/out.json")), "committed outputs stay"


def test_a_process_that_comes_after_the_commit_gets_what_was_committed(parties: Parties, job_id: str) -> None:
    parties.federate(job_id)
    run_step(parties, job_id)
    again = parties.worker(HOST, job_id=job_id)
    again.join(10)
    assert again.total() == EXPECTED
    assert again.starts == []
    assert again.committed is not None
    assert not again.committed.computed


def test_a_failed_role_function_ends_the_job_everywhere_with_its_reason(parties: Parties, job_id: str) -> None:
    news = parties.federate(job_id, params={"rounds": "three"})
    workers = [parties.worker(member, job_id=job_id) for member in MEMBERS]
    for worker in workers:
        worker.join(30)
        assert worker.error is not None
    for view in ended(parties, job_id, "failed"):
        assert view.failure.component == SUM
        assert "rounds" in view.failure.message
    until(lambda: not list(Path(news.job_dir).glob("*/*/g*/a*")))


def test_different_confs_end_the_job_with_both_values(parties: Parties, job_id: str) -> None:
    parties.federate(job_id)
    for member, digest in zip(MEMBERS, (b"\x11", b"\x11", b"\x22"), strict=True):
        parties.worker(member, job_id=job_id, digest=digest)
    view, *_ = ended(parties, job_id, "failed")
    assert "guest_9999 11" in view.failure.message or "arbiter_10001 11" in view.failure.message
    assert "host_10000 22" in view.failure.message


@pytest.mark.parametrize("member", [GUEST, HOST])
def test_people_of_any_party_can_cancel(parties: Parties, job_id: str, member: Member) -> None:
    parties.federate(job_id)
    waiting = parties.worker(GUEST, job_id=job_id)
    with GatewayClient(parties.homes[member.party].socket) as client:
        client.end_job(local_pb2.EndJobRequest(job=Job(GUEST.party, job_id).key(), by="ada", reason="wrong table"))
    for view in ended(parties, job_id, "cancelled"):
        assert f"party {member.party}" in view.by
        assert "cancelled by ada: wrong table" in view.failure.message
    waiting.join(10)
    assert waiting.error is not None


@pytest.mark.parametrize("member", [GUEST, HOST])
def test_kill_waits_for_the_verdict_and_says_who_ended_the_job(parties: Parties, job_id: str, member: Member) -> None:
    parties.federate(job_id)
    found = kill(parties.homes[member.party], job_id, "wrong table")
    assert f"cancelled by {person()}: wrong table" in verdict(found)
    assert {(view.state, view.by) for view in ended(parties, job_id, "cancelled")} == {("cancelled", found.by)}
    assert f"party {member.party}" in found.by
    assert verdict(kill(parties.homes[HOST.party], job_id, "too late")) == verdict(found)


def test_progress_is_shown_until_the_verdict(parties: Parties, job_id: str) -> None:
    guest, shown = parties.homes[GUEST.party], StringIO()
    job = Submitted(job_id, "hetero_lr.guest_9999", spec(), 0.0)
    parties.federate(job_id)
    assert {answer.state for answer in answered(guest, job).parties.values()} == {job_pb2.ENROLLED}
    with pytest.raises(FedError, match="FED-929"):
        follow(guest, job, Screen(Console(file=shown)), 0.0)
    for component in (SUM, CONCLUDE):
        run_step(parties, job_id, component)
    assert follow(guest, job, Screen(Console(file=shown))).state == "succeeded"
    assert "host 10000 sum_0            committed" in shown.getvalue()


def test_newest_jobs_come_first_and_a_limit_holds(parties: Parties, job_id: str) -> None:
    for each in (before := str(next(JOB_IDS)), job_id):
        parties.federate(each)
        kill(parties.homes[GUEST.party], each)
    assert [found.job.job_id for found in jobs(parties.homes[GUEST.party], 2)] == [job_id, before]
    found = jobs(parties.homes[GUEST.party], 0)
    assert len(found) > 1
    assert [each.created_at for each in found] == sorted((each.created_at for each in found), reverse=True)


@pytest.mark.parametrize(
    ("component", "reason"),
    [
        ({"table": {"host_10000": ["bank", "missing"]}}, "host 10000: .*table bank/missing does not exist"),
        ({"module": "Diff"}, "module 'Diff' is not installed"),
    ],
)
def test_a_refusal_stops_the_job_and_leaves_nothing(
    parties: Parties, job_id: str, component: dict[str, str], reason: str
) -> None:
    news = parties.federate(job_id, **component)
    assert news.HasField("failure")
    failure = news.failure
    assert re.search(reason, f"{failure.member.role} {failure.member.party_id}: {failure.message}")
    for member in MEMBERS[0], HOST:
        until(lambda party=member.party: parties.state(party, job_id) in ("", "failed"))
        home = parties.homes[member.party]
        assert not home.job_dir(GUEST.party, job_id).exists()
    assert parties.view(HOST.party, job_id) is None


@pytest.mark.parametrize("job_id", ["manual__2026-07-28T12:00:00", "../../etc", "7", ""])
def test_a_run_with_a_hand_typed_id_is_refused(parties: Parties, job_id: str) -> None:
    news = parties.federate(job_id)
    assert "is not a job id" in news.failure.message


def test_a_run_that_was_started_at_a_peer_says_where_to_start_it(parties: Parties, job_id: str) -> None:
    request = local_pb2.EnrolRequest(initiator=GUEST.party, job_id=job_id, dag_id="9999.toy.host_10000")
    with GatewayClient(parties.homes[HOST.party].socket) as client:
        (news,) = client.enrol(request)
    assert "start it at the initiator" in news.failure.message


def test_an_agreed_run_is_let_in(parties: Parties, job_id: str) -> None:
    parties.federate(job_id)
    digest = federate_request(job_id).spec_digest
    request = local_pb2.EnrolRequest(
        initiator=GUEST.party, job_id=job_id, dag_id="9999.toy.host_10000", spec_digest=digest
    )
    with GatewayClient(parties.homes[HOST.party].socket) as client:
        (news,) = client.enrol(request)
    assert not news.HasField("failure")
    assert (Path(news.job_dir) / "host/plan.json").is_file()


def test_a_gateway_says_that_it_is_there_before_it_looks_at_what_is_asked(parties: Parties, job_id: str) -> None:
    """From then on, the patience of whoever asks begins anew when it is lost."""
    with open_channel(parties.homes[GUEST.party].socket) as channel:
        stub = local_pb2_grpc.LocalStub(channel)  # type: ignore[no-untyped-call]
        for asked in (stub.Federate(federate_request(job_id)), stub.EnrolRun(local_pb2.EnrolRequest())):
            first, *others = asked
            assert first == SOMEBODY_IS_HERE
            assert others[-1].done


def test_the_same_id_with_another_content_is_refused(parties: Parties, job_id: str) -> None:
    assert not parties.federate(job_id).HasField("failure")
    assert not parties.federate(job_id).HasField("failure"), "asked again, the same answer"
    assert "another content" in parties.federate(job_id, params={"rounds": 1}).failure.message


def test_bodies_of_three_windows_pass_before_anybody_receives(parties: Parties, job_id: str) -> None:
    parties.federate(job_id, params={"rounds": 1, "size": 7 * 2**20})  # 56 MiB each way, 112 MiB at the host
    workers = [parties.worker(member, job_id=job_id) for member in MEMBERS]
    for worker in workers:
        worker.join(60)
        assert worker.total() == 2.0
