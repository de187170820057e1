"""A party that is not there while a job is proposed: the job waits for it, says so, and can be ended meanwhile."""

from __future__ import annotations

import threading

import pytest
from gateway_kit import ARBITER, GUEST, HOST, JOB_IDS, MEMBERS, Parties, federate_request, until

from airfed_proto.v1 import job_pb2, local_pb2
from federated_operators.gateway.client import GatewayClient
from federated_operators.gateway.names import Job

pytestmark = pytest.mark.usefixtures("history")


class Federating(threading.Thread):
    """What the initiator's first task hears."""

    def __init__(self, parties: Parties, job_id: str) -> None:
        super().__init__(daemon=True)
        self.parties, self.job_id = parties, job_id
        self.news: list[local_pb2.AdmissionNews] = []
        self.start()

    def run(self) -> None:
        with GatewayClient(self.parties.homes[GUEST.party].socket) as client:
            for news in client.federate(federate_request(self.job_id)):
                self.news.append(news)

    def waits_for(self, party: str) -> bool:
        return bool(self.news) and self.news[-1].answers[party].failure.code == "FED-401"


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
