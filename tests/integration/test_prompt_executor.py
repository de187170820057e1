"""The scheduler's executor waits for news: what ends, and who nudges it, ends the wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from airfed.executor import PromptLocalExecutor
from federated_operators.gateway.nudge import nudge
from federatedml.federation.home import PartyHome

LONG = 100.0  # seconds: longer than this test may take


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PartyHome:
    monkeypatch.setenv("AIRFED_HOME", str(tmp_path))
    (tmp_path / "party.yaml").write_text(yaml.safe_dump({"party_id": "1"}))
    return PartyHome(tmp_path)


@pytest.fixture
def executor(home: PartyHome, monkeypatch: pytest.MonkeyPatch) -> Iterator[PromptLocalExecutor]:
    monkeypatch.setattr("airfed.executor.PAUSE_S", LONG)
    made = PromptLocalExecutor(parallelism=1)
    made.start()
    yield made
    made.end()


def waiting(executor: PromptLocalExecutor) -> threading.Thread:
    """A scheduler that takes a turn and finds nothing to do."""
    turn = threading.Thread(target=executor.heartbeat, daemon=True)
    turn.start()
    return turn


def test_a_nudge_ends_the_wait(executor: PromptLocalExecutor, home: PartyHome) -> None:
    turn = waiting(executor)
    nudge(home)
    turn.join(30)
    assert not turn.is_alive()


def test_many_nudges_are_one(executor: PromptLocalExecutor, home: PartyHome) -> None:
    for _ in range(20):
        nudge(home)
    waiting(executor).join(30)
    turn = waiting(executor)
    turn.join(0.2)
    assert turn.is_alive(), "nothing new: it waits again"
    nudge(home)
    turn.join(30)
    assert not turn.is_alive()


def test_what_ends_is_taken_at_once(executor: PromptLocalExecutor) -> None:
    taken: list[object] = []
    executor.change_state = lambda key, state, *_: taken.append((key, state))  # type: ignore[assignment,method-assign]
    turn = waiting(executor)
    executor.result_queue.put(("task", "success", None))  # type: ignore[arg-type]
    turn.join(30)
    assert taken == [("task", "success")]


def test_nobody_waits_for_a_scheduler_that_is_not_there(home: PartyHome) -> None:
    nudge(home)


def test_a_scheduler_that_was_killed_leaves_a_door_that_the_next_one_takes(
    executor: PromptLocalExecutor, home: PartyHome
) -> None:
    later = PromptLocalExecutor(parallelism=1)
    later.start()
    nudge(home)
    turn = waiting(later)
    turn.join(30)
    later.end()
    assert not turn.is_alive()
