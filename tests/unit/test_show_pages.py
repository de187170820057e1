"""Jobs are shown a page at a time: an answer fits into a message, however many jobs a party has had."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airfed_proto.v1 import local_pb2
from federated_operators.gateway.client import GatewayClient
from federated_operators.gateway.coordinator import Coordinator
from federated_operators.gateway.own_steps import OwnSteps
from federated_operators.gateway.plan import JobPlan, dump_plan
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import JobRow, PlanRow
from federated_operators.gateway.show import PAGE, Show
from federated_operators.gateway.store import Store
from federatedml.federation.home import PartyHome
from tests.members import GUEST, HOST

MANY = 2 * PAGE + 5


def add(store: Store, number: int) -> None:
    job = f"{number:020d}"
    plan = JobPlan(GUEST, job, "p", GUEST, (GUEST, HOST), "m", "", "", "p.guest_9999", {}, {}, {}, {}, {}, {})
    store.put(JobRow(GUEST.party, job, "p", b"", b"", "failed", 1, float(number)))
    store.put(PlanRow(GUEST.party, job, str(GUEST), dump_plan(plan)))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "gateway.db")
    for number in range(MANY):
        add(made, number)
    yield made
    made.close()


@pytest.fixture
def show(store: Store, tmp_path: Path) -> Show:
    roster = Roster(store, GUEST.party)
    own = OwnSteps(store, roster, PartyHome(tmp_path), lambda seat, frame: None)
    return Show(store, roster, Coordinator(store, roster, lambda: 0.0, lambda: 0.0), own)


class Direct(GatewayClient):
    """The client on a ``Show`` without a socket; ``between`` runs before each page after the first."""

    def __init__(self, show: Show) -> None:
        self._show, self.pages, self.started = show, 0, list[int]()

    def _page(self, query: local_pb2.JobQuery, timeout: float) -> local_pb2.JobViews:
        self.pages += 1
        if self.pages > 1 and self.started:
            add(self._show._store, self.started.pop())
        return self._show.jobs(query)


@pytest.mark.parametrize("limit", [0, PAGE + 1, 10_000])
def test_an_answer_is_a_page(show: Show, limit: int) -> None:
    assert len(show.jobs(local_pb2.JobQuery(limit=limit)).jobs) == PAGE


@pytest.mark.parametrize(("limit", "expected"), [(0, MANY), (3, 3), (PAGE + 2, PAGE + 2), (MANY + 9, MANY)])
def test_the_client_asks_for_page_after_page(show: Show, limit: int, expected: int) -> None:
    found = [int(view.job.job_id) for view in Direct(show).newest(limit)]
    assert found == list(range(MANY))[::-1][:expected]


def test_jobs_that_start_meanwhile_make_none_come_twice(show: Show) -> None:
    client = Direct(show)
    client.started = [MANY, MANY + 1]
    found = [int(view.job.job_id) for view in client.newest()]
    assert found == list(range(MANY))[::-1]
