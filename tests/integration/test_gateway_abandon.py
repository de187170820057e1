"""A person gives a job up whose coordinator is away; the coordinator hears of it when it is back."""

from __future__ import annotations

import pytest
from gateway_kit import GUEST, HOST, MEMBERS, Parties, until

from airfed_proto.v1 import local_pb2
from federated_operators.gateway.names import Job
from federated_operators.gateway.worker import GatewayClient
from federatedml.errors import PolicyError

pytestmark = pytest.mark.usefixtures("history")


def abandon(parties: Parties, job_id: str) -> None:
    request = local_pb2.EndJobRequest(job=Job(GUEST.party, job_id).key(), by="ada", reason="the link is down")
    with GatewayClient(parties.homes[HOST.party].socket) as client:
        client.abandon(request)


def test_while_the_coordinator_answers_the_job_is_ended_at_all_parties_instead(parties: Parties, job_id: str) -> None:
    with pytest.raises(PolicyError, match=r"FED-455.*airfed job kill"):
        abandon(parties, job_id)
    assert parties.state(HOST.party, job_id) == "running"


def test_an_abandoned_job_is_unknown_until_the_coordinator_is_back(parties: Parties, job_id: str) -> None:
    workers = [parties.worker(member, job_id=job_id) for member in MEMBERS[1:]]
    until(lambda: len(parties.view(HOST.party, job_id).steps[0].members) == 1)  # type: ignore[union-attr]
    parties.kill(GUEST.party)
    abandon(parties, job_id)
    found = parties.view(HOST.party, job_id)
    assert found is not None
    assert (found.state, found.failure.code) == ("unknown", "FED-454")
    until(lambda: any(worker.error is not None for worker in workers))
    abandon(parties, job_id)  # again: nothing changes
    parties.start(GUEST.party)
    for member in MEMBERS:
        until(lambda party=member.party: parties.state(party, job_id) == "cancelled")
    ended = parties.view(GUEST.party, job_id)
    assert ended is not None
    assert "given up by ada: the link is down" in ended.failure.message
