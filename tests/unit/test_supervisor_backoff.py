"""How long the supervisor waits before it starts a process again."""

from __future__ import annotations

from airfed.supervisor import FIRST_BACKOFF, LONGEST_BACKOFF, STEADY, next_backoff


def test_a_process_that_never_becomes_ready_waits_longer_each_time() -> None:
    waits = [FIRST_BACKOFF]
    for _ in range(10):
        waits.append(next_backoff(waits[-1], 0.0))
    assert waits[:4] == [FIRST_BACKOFF * 2**turn for turn in range(4)]
    assert waits[-1] == LONGEST_BACKOFF


def test_a_process_that_worked_starts_again_at_once_every_time() -> None:
    assert next_backoff(LONGEST_BACKOFF, 2 * STEADY) == FIRST_BACKOFF


def test_a_process_that_ends_as_soon_as_it_is_ready_is_no_better() -> None:
    assert next_backoff(8.0, STEADY / 2) == 16.0
