"""A job that a person gives up at one party while its coordinator is silent: unknown there, until its verdict comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from federated_operators.gateway.names import CONCLUDE
from federated_operators.gateway.runs import NoRuns, Run
from tests.gateway_world import JOB, MEMBERS, World, findings
from tests.members import HOST


class Cleared(NoRuns):
    """A scheduler that remembers what it was told."""

    def __init__(self) -> None:
        self.cleared: list[Sequence[str]] = []
        self.notes: list[str] = []

    async def clear(self, run: Run, tasks: Sequence[str]) -> None:
        self.cleared.append(tasks)

    async def fail(self, run: Run, note: str) -> None:
        self.notes.append(note)


@pytest.fixture
def scheduler() -> Cleared:
    return Cleared()


@pytest.fixture
def world(tmp_path: Path, scheduler: Cleared) -> Iterator[World]:
    made = World(tmp_path, control=scheduler)
    yield made
    made.settle()
    assert findings(made.root) == []
    made.close()


def give_up(world: World) -> None:
    world.gateways[HOST.party].verdicts.give_up(JOB, "ada at party 10000", "no answer")


def test_what_the_job_holds_is_free_at_once(world: World, scheduler: Cleared) -> None:
    world.all_join()
    assert world.held(HOST.party) == 1
    give_up(world)
    assert world.job_state(HOST.party) == "unknown"
    assert world.leases(HOST.party) == []
    assert world.last(HOST).failed.code == "FED-454"
    world.deliver(HOST.party, "effects")
    assert scheduler.notes == ["unknown by ada at party 10000: [FED-454] given up at party 10000: no answer"]


def test_a_verdict_that_was_given_meanwhile_replaces_unknown_and_success_is_shown(
    world: World, scheduler: Cleared
) -> None:
    world.all_do()
    world.all_join(CONCLUDE)
    for member in MEMBERS:
        world.prepared(member, CONCLUDE)
    world.deliver(HOST.party, JOB.initiator)
    world.settle(without=[HOST.party])
    give_up(world)
    assert world.job_state(HOST.party) == "unknown"
    assert world.job_state() == "succeeded"
    world.settle()
    assert world.job_state(HOST.party) == "succeeded"
    assert scheduler.cleared == [[CONCLUDE]], "its end is repeated there, and only there"


def test_a_job_that_is_over_cannot_be_given_up(world: World) -> None:
    world.all_fail()
    assert world.job_state(HOST.party) == "failed"
    give_up(world)
    assert world.job_state(HOST.party) == "failed"
    assert world.events("given up", HOST.party) == []
