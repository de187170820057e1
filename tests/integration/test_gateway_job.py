"""A job over three gateways, from the proposal to the verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway_kit import ARBITER, EXPECTED, GUEST, HOST, JOB_ID, MEMBERS, SUM, Parties, until

from airfed_proto.v1 import job_pb2
from federated_operators.gateway.names import CONCLUDE


@pytest.fixture
def parties(tmp_path: Path) -> Iterator[Parties]:
    made = Parties(tmp_path)
    made.start()
    yield made
    made.stop()


def run(parties: Parties, component: str) -> None:
    workers = [parties.worker(member, component) for member in MEMBERS]
    for worker in workers:
        worker.join(30)
        assert worker.committed is not None, worker.error


def test_a_job_runs_from_the_proposal_to_the_same_verdict_everywhere(parties: Parties) -> None:
    news = parties.federate()
    assert not news.HasField("failure"), news
    assert {party: answer.state for party, answer in news.answers.items()} == {
        member.party: job_pb2.ENROLLED for member in MEMBERS
    }
    assert json.loads((Path(news.job_dir) / "guest/plan.json").read_text())["job_id"] == JOB_ID
    workers = {member: parties.worker(member) for member in MEMBERS}
    for worker in workers.values():
        worker.join(30)
        assert worker.total() == EXPECTED
    run(parties, CONCLUDE)
    for member in MEMBERS:
        until(lambda member=member: parties.state(member.party) == "succeeded")
    view = parties.view()
    assert view is not None
    assert [(step.component, step.state, step.attempt) for step in view.steps] == [
        (SUM, job_pb2.COMMITTED, 1),
        (CONCLUDE, job_pb2.COMMITTED, 1),
    ]
