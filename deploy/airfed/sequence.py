"""The messages of a run as a protocol: between roles, what is sent at one time in one line, repeated blocks folded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from federatedml.conformance.chart import Message
from federatedml.federation.party import Role

MAX_BLOCK = 24  # lines of a block that is looked for


@dataclass(frozen=True)
class Line:
    """Messages of one topic, one after the other: (from, to), each once; hosts may send to hosts."""

    topic: str
    ways: tuple[tuple[Role, Role], ...]


@dataclass(frozen=True)
class Loop:
    """A block that comes ``times`` times in a row."""

    steps: tuple[Step, ...]
    times: int


Step = Line | Loop


def protocol(messages: Sequence[Message]) -> tuple[Step, ...]:
    """The chart of a run, with the same message of several members of a role as one."""
    seen = dict.fromkeys((m.topic, m.round, m.source.role, m.destination.role) for m in messages)
    lines = [
        Line(topic, tuple(sorted({(source, to) for _, _, source, to in sent})))
        for topic, sent in groupby(seen, key=lambda one: one[0])
    ]
    return _folded(tuple(lines))


def lines(steps: Iterable[Step]) -> Iterable[Line]:
    """Every line once, in order."""
    for step in steps:
        yield from lines(step.steps) if isinstance(step, Loop) else [step]


def _folded(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Repeated blocks as loops: at each place the block that covers most, the shortest of those."""
    found: list[Step] = []
    at = 0
    while at < len(steps):
        length, times = _repeats(steps, at)
        block = steps[at : at + length]
        found += [Loop(_folded(block), times)] if times > 1 else block
        at += length * times
    return tuple(found)


def _repeats(steps: tuple[Step, ...], at: int) -> tuple[int, int]:
    """(length, times) of the block at ``at`` that repeats and covers most; (1, 1) if none does."""
    best = (1, 1)
    for length in range(1, min(MAX_BLOCK, (len(steps) - at) // 2) + 1):
        block, times = steps[at : at + length], 1
        while steps[at + times * length : at + (times + 1) * length] == block:
            times += 1
        if times > 1 and length * times > best[0] * best[1]:
            best = (length, times)
    return best
