"""A party that is not there while a job is proposed: the job waits for it, says so, and can be ended meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from gateway_kit import ARBITER, GUEST, HOST, JOB_IDS, MEMBERS, Parties, federate_request, until

from airfed_proto.v1 import job_pb2, local_pb2, local_pb2_grpc
from federated_operators.gateway.client import GatewayClient, open_channel
from federated_operators.gateway.names import Job

pytestmark = pytest.mark.usefixtures("history")


class Federating(threading.Thread):
    """What the initiator's first task hears, until it goes because that takes longer than its patience."""

    def __init__(self, parties: Parties, job_id: str, patience: float = 0.0) -> None:
        super().__init__(daemon=True)
        self.request = federate_request(job_id)
        self.request.patience = patience
        self.parties, self.job_id = parties, job_id
        self.news: list[local_pb2.AdmissionNews] = []
        self.start()

    def run(self) -> None:
        with GatewayClient(self.parties.homes[GUEST.party].socket) as client:
            for news in client.federate(self.request):
                self.news.append(news)
                if news.waits:
                    return

    def waits_for(self, party: str) -> bool:
        """Whether the last news, which is left as it is, says so."""
        answers = self.news[-1].answers if self.news else {}
        return party in answers and answers[party].failure.code == "FED-401"


@pytest.fixture
def waiting(parties: Parties) -> Federating:
    """A job that is proposed while the arbiter is away."""
    parties.kill(ARBITER.party)
    made = Federating(parties, str(next(JOB_IDS)))
    until(lambda: made.waits_for(ARBITER.party))
    return made


def test_a_job_waits_for_a_party_that_is_away_and_runs_when_it_is_back(parties: Parties, waiting: Federating) -> None:
    parties.start(ARBITER.party)
    waiting.join(60)
    last = waiting.news[-1]
    assert last.done
    assert not last.HasField("failure")
    assert not any(news.waits for news in waiting.news), "this task has patience without end"
    assert {last.answers[member.party].state for member in MEMBERS} == {job_pb2.ENROLLED}


def test_a_job_that_waits_can_be_ended_and_stays_so(parties: Parties, waiting: Federating) -> None:
    with GatewayClient(parties.homes[GUEST.party].socket) as client:
        key = Job(GUEST.party, waiting.job_id).key()
        client.end_job(local_pb2.EndJobRequest(job=key, by="ada", reason="wrong table"))
    waiting.join(60)
    assert "cancelled by ada: wrong table" in waiting.news[-1].failure.message
    parties.start(ARBITER.party)
    until(lambda: parties.state(HOST.party, waiting.job_id) == "cancelled")
    assert parties.state(ARBITER.party, waiting.job_id) in ("", "cancelled")


def admission_over(parties: Parties, job_id: str) -> None:
    """What the trigger of a first task without a process waits for."""
    with open_channel(parties.homes[GUEST.party].socket) as channel:
        stub = local_pb2_grpc.LocalStub(channel)  # type: ignore[no-untyped-call]
        stub.AwaitAdmission(Job(GUEST.party, job_id).key(), timeout=60, wait_for_ready=True)


@pytest.fixture
def deferred(parties: Parties) -> Iterator[str]:
    """A job that is proposed while the arbiter is away, and whose first task has gone."""
    parties.kill(ARBITER.party)
    task = Federating(parties, str(next(JOB_IDS)), patience=0.01)
    task.join(60)
    assert task.news[-1].waits.startswith(f"party {ARBITER.party}: [FED-401] party {ARBITER.party} does not answer at")
    assert not task.news[-1].done
    yield task.job_id
    if not (parties.homes[ARBITER.party].run / "gateway.ready").exists():
        parties.start(ARBITER.party)


def test_a_job_is_started_everywhere_although_no_process_waits_for_it(parties: Parties, deferred: str) -> None:
    parties.start(ARBITER.party)
    admission_over(parties, deferred)
    assert {parties.state(member.party, deferred) for member in MEMBERS} == {"running"}
    last = parties.federate(deferred)
    assert last.done
    assert not last.HasField("failure")


def test_a_job_can_be_ended_while_no_process_waits_for_it(parties: Parties, deferred: str) -> None:
    with GatewayClient(parties.homes[GUEST.party].socket) as client:
        key = Job(GUEST.party, deferred).key()
        client.end_job(local_pb2.EndJobRequest(job=key, by="ada", reason="wrong table"))
    admission_over(parties, deferred)
    assert "cancelled by ada: wrong table" in parties.federate(deferred).failure.message
    parties.start(ARBITER.party)
    until(lambda: parties.state(HOST.party, deferred) == "cancelled")
    assert parties.state(ARBITER.party, deferred) in ("", "cancelled")


def test_a_gateway_that_starts_again_calls_the_task_which_has_it_go_on(parties: Parties, deferred: str) -> None:
    parties.kill(GUEST.party)
    parties.start(GUEST.party)
    admission_over(parties, deferred)
    assert parties.state(GUEST.party, deferred) == "proposed", "nobody asks the parties"
    again = Federating(parties, deferred, patience=0.01)
    again.join(60)
    assert again.news[-1].waits
    parties.start(ARBITER.party)
    admission_over(parties, deferred)
    assert parties.state(GUEST.party, deferred) == "running"
    assert not parties.federate(deferred).HasField("failure")


def shown(parties: Parties, job_id: str) -> local_pb2.JobView:
    view = parties.view(GUEST.party, job_id)
    assert view is not None
    return view


def test_people_see_who_is_silent_for_as_long_as_it_is(parties: Parties, deferred: str) -> None:
    until(lambda: shown(parties, deferred).parties[HOST.party].state == job_pb2.ACCEPTED)
    view = shown(parties, deferred)
    silent = view.parties[ARBITER.party]
    assert (view.state, set(view.unanswered)) == ("proposed", {ARBITER.party})
    assert (silent.state, silent.failure.code) == (job_pb2.PROPOSED, "FED-401")
    parties.start(ARBITER.party)
    admission_over(parties, deferred)
    view = shown(parties, deferred)
    assert not view.unanswered
    assert {(answer.state, answer.failure.code) for answer in view.parties.values()} == {(job_pb2.ENROLLED, "")}
