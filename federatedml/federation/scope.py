"""Boxes within a box: a part of a component (a fold, a class) runs a role function as if it were a component itself.

A part has rounds of its own, secrets of its own (its name is in the key context) and names of metrics of its own. Its
checkpoints hold what the whole has kept so far, so that an attempt goes on in the middle of the part it was in. Parts
may have parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from federatedml.errors import ProtocolError
from federatedml.federation.box import Box, MessageKey, MetricPoint, Transport
from federatedml.federation.budget import Budget
from federatedml.federation.checkpoint import Checkpoint, CheckpointStore, State

PARTS = 2**10  # as many ranges of rounds a box is cut into; the first is its own
_INNER = "part."
_ROUND = "round_of_part"
Spent = tuple[str, str, str, int, int | None]


@dataclass(frozen=True)
class Part:
    """One of several parts, the same at all members.

    Attributes:
        number: from 0.
        name: for metrics and secrets, for example ``fold_0``.
        begin, end: which share of the whole's progress it is, from 0 to 1.
        title: for people, for example ``fold 1 of 5``.
    """

    number: int
    name: str
    begin: float
    end: float
    title: str


def inside(box: Box, part: Part, kept: State, on_spent: Callable[[Spent], None]) -> Box:
    """The box of a part.

    Args:
        kept: what the whole needs when an attempt resumes in this part; stored with each of its checkpoints.
        on_spent: told of everything that the part counts on a budget.
    """
    width, first = box.rounds // PARTS, first_round(box, part.number)

    def metric(point: MetricPoint) -> None:
        round = None if point.round is None else first + _within(point.round, width)
        box.on_metric(replace(point, name=f"{point.name}_{part.name}", round=round))

    def progress(done: float, text: str) -> None:
        box.on_progress(part.begin + done * (part.end - part.begin), f"{part.title}, {text}" if text else part.title)

    return replace(
        box,
        transport=_Shifted(box.transport, first, width),
        attempt=replace(box.attempt, scope=(*box.attempt.scope, part.name)),
        checkpoints=_Nested(box.checkpoints, first, width, kept),
        resume=_inner(box.resume, first, width),
        budget=_Noted(box.budget, on_spent),
        on_metric=metric,
        on_progress=progress,
        rounds=width,
        _sent=set(),
    )


def first_round(box: Box, number: int) -> int:
    """Of a part; parts come one after the other, and after the rounds that are the box's own."""
    if not 0 <= number < PARTS - 1:
        raise ProtocolError("FED-905", f"part {number} of {box.attempt.component}: at most {PARTS - 1} parts")
    return (number + 1) * (box.rounds // PARTS)


def _within(round: int, width: int) -> int:
    """The round of a part; its last one is the whole's, who closes the part with it."""
    if not 0 <= round < width - 1:
        raise ProtocolError("FED-906", f"round {round} of a part that has {width - 1}")
    return round


@dataclass(frozen=True)
class _Shifted:
    """A transport whose rounds begin at ``first``."""

    inner: Transport
    first: int
    width: int

    def send(self, key: MessageKey, body: bytes) -> None:
        self.inner.send(self._key(key), body)

    def recv(self, key: MessageKey) -> bytes:
        return self.inner.recv(self._key(key))

    def _key(self, key: MessageKey) -> MessageKey:
        return replace(key, round=self.first + _within(key.round, self.width))


class _Nested(CheckpointStore):
    """Stores a part's state with what the whole has kept."""

    def __init__(self, outer: CheckpointStore, first: int, width: int, kept: State) -> None:
        super().__init__(Path())
        self.outer, self.first, self.width, self.kept = outer, first, width, kept

    def store(self, attempt: int, round: int, state: State) -> Checkpoint:
        inner = {_INNER + name: value for name, value in state.items()}
        whole = {**self.kept, _ROUND: _within(round, self.width), **inner}
        return self.outer.store(attempt, self.first + round, whole)


@dataclass(frozen=True)
class _Noted:
    """A budget that tells what is spent on it."""

    inner: Budget
    on_spent: Callable[[Spent], None]

    def spend(self, kind: str, peer: str, subject: str, amount: int, most: int | None = None) -> int:
        total = self.inner.spend(kind, peer, subject, amount, most)
        self.on_spent((kind, peer, subject, amount, most))
        return total


def _inner(resume: Checkpoint | None, first: int, width: int) -> Checkpoint | None:
    """The part's own checkpoint, if the attempt resumes in the middle of it."""
    if resume is None or not first <= resume.round < first + width - 1:
        return None
    state = {name.removeprefix(_INNER): value for name, value in resume.state.items() if name.startswith(_INNER)}
    return Checkpoint(resume.attempt, int(str(resume.state[_ROUND])), resume.digest, state)


def outer_state(resume: Checkpoint) -> Mapping[str, object]:
    """What the whole had kept."""
    return {name: value for name, value in resume.state.items() if name != _ROUND and not name.startswith(_INNER)}
