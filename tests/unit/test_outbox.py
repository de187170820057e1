from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated_operators.registry.records import Metric
from federated_operators.tracking.outbox import NAME, Outbox


def point(step: int, value: float = 0.5, key: str = "train/loss") -> Metric:
    return Metric(key, value, 1_700_000_000_000 + step, step)


class Server:
    """Keeps one point per (key, timestamp, step, value), as MLflow does, and may be away."""

    def __init__(self) -> None:
        self.calls = 0
        self.points: set[Metric] = set()
        self.fail_at: int | None = None

    def __call__(self, points: Sequence[Metric]) -> None:
        self.calls += 1
        if self.calls == self.fail_at:
            raise ConnectionError
        self.points.update(points)

    def steps(self) -> list[int]:
        return sorted(point.step for point in self.points)


def test_a_point_waits_for_the_checkpoint_that_covers_it(tmp_path: Path) -> None:
    server, box = Server(), Outbox(tmp_path, 1)
    for step in range(4):
        box.add(point(step), round=step)
    box.add(point(9), round=None)
    box.drain(server)
    assert server.steps() == []
    box.cover(1)
    box.drain(server)
    assert server.steps() == [0, 1]
    box.cover()
    box.drain(server)
    assert (server.steps(), box.pending) == ([0, 1, 2, 3, 9], 0)


def test_a_resumed_attempt_doubles_no_point_and_loses_none(tmp_path: Path) -> None:
    server, first = Server(), Outbox(tmp_path, 1)
    for step in range(6):
        first.add(point(step, value=0.1), round=step)
        if step <= 3:
            first.cover(step)  # a checkpoint after every round; the process dies in rounds 4 and 5
    first.drain(server)
    second = Outbox(tmp_path, 2)  # all members go back to round 2: 3 is computed again
    for step in range(3, 8):
        second.add(point(step, value=0.2), round=step)
    second.cover()
    second.drain(server)
    assert server.steps() == list(range(8))
    assert {p.step: p.value for p in server.points}[3] == 0.1
    assert {p.step: p.value for p in server.points}[4] == 0.2


def test_what_was_covered_but_not_sent_before_a_death_leaves_with_the_next_attempt(tmp_path: Path) -> None:
    server, first = Server(), Outbox(tmp_path, 1)
    first.add(point(0, 0.1), 0)
    first.cover(0)
    second = Outbox(tmp_path, 2)
    second.add(point(0, 0.2), 0)
    second.cover()
    second.drain(server)
    assert server.points == {point(0, 0.1)}


def test_a_lost_answer_sends_the_same_points_again(tmp_path: Path) -> None:
    server, box = Server(), Outbox(tmp_path, 1)
    for step in range(2000):
        box.add(point(step), 0)
    box.cover(0)
    server.fail_at = 2
    with pytest.raises(ConnectionError):
        box.drain(server)
    assert 0 < box.pending < 2000
    Outbox(tmp_path, 1).drain(server)  # another process
    assert server.steps() == list(range(2000))
    assert server.calls == 4


def test_a_line_cut_by_a_death_is_dropped(tmp_path: Path) -> None:
    server, box = Server(), Outbox(tmp_path, 1)
    box.add(point(0), 0)
    with (tmp_path / "a1" / NAME).open("a") as file:
        file.write('["point", "train/lo')
    again = Outbox(tmp_path, 1)
    again.add(point(1), 1)
    again.cover(1)
    again.drain(server)
    assert server.steps() == [0, 1]


@given(
    st.lists(st.one_of(st.tuples(st.just("add"), st.integers(0, 9)), st.tuples(st.just("cover"), st.integers(0, 9)))),
    st.sets(st.integers(0, 40)),
)
def test_a_new_process_at_any_time_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[str, int]], deaths: set[int]
) -> None:
    """Whatever is killed when: what may leave is exactly what one process would have let leave."""
    folder, plain = tmp_path_factory.mktemp("outbox"), tmp_path_factory.mktemp("plain")
    server, expected = Server(), Server()
    box, undisturbed = Outbox(folder, 1), Outbox(plain, 1)
    for index, (kind, number) in enumerate(calls):
        if index in deaths:
            box.drain(server)
            box = Outbox(folder, 1)
        for one in (box, undisturbed):
            one.add(point(index), number) if kind == "add" else one.cover(number)
    box.drain(server)
    undisturbed.drain(expected)
    assert server.points == expected.points
