"""The sequence chart of a step: its messages in an order that does not depend on how fast the members were.

Members run at the same time, so a list of messages as they were sent is another one in every run. What is always the
same is what each member does, in its order, and that a message is sent before it is received. Lamport's clocks make one
order of that; messages at the same time are ordered by name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from federatedml.conformance.witness import Event
from federatedml.errors import DataError
from federatedml.federation.box import MessageKey
from federatedml.federation.party import Member


@dataclass(frozen=True)
class Message:
    """One line of a chart; ``size`` in bytes."""

    source: Member
    destination: Member
    topic: str
    round: int
    size: int


def in_order(events: Iterable[Event]) -> list[Message]:
    """Messages of a run, causes before effects."""
    clocks: dict[Member, int] = defaultdict(int)
    sent: dict[MessageKey, tuple[int, int]] = {}
    for event in events:
        key = event.key
        if event.sent:
            clocks[key.source] += 1
            sent[key] = clocks[key.source], event.size
        else:
            clocks[key.destination] = max(clocks[key.destination], sent[key][0]) + 1
    ordered = sorted(sent.items(), key=lambda item: (item[1][0], item[0].source, item[0].destination, item[0].topic))
    return [Message(key.source, key.destination, key.topic, key.round, size) for key, (_, size) in ordered]


def as_text(messages: Sequence[Message], title: str) -> str:
    """A chart as a text file: a line per message, comments first."""
    lines = [f"# {title}", "# every message of a small run: sender -> receiver topic round bytes"]
    lines += [f"{m.source} -> {m.destination} {m.topic} {m.round} {m.size}" for m in messages]
    return "\n".join(lines) + "\n"


def from_text(text: str, name: str) -> list[Message]:
    """The messages of a chart's file ``name``; ``DataError`` for what is none."""
    return [_message(line, name) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _message(line: str, name: str) -> Message:
    words = line.split()
    if len(words) != 6 or words[1] != "->" or not (words[4].isdigit() and words[5].isdigit()):
        raise DataError(
            "FED-930", f"{name}: {line[:80]!r} is no line of a chart", "SENDER -> RECEIVER TOPIC ROUND BYTES"
        )
    return Message(Member.parse(words[0]), Member.parse(words[2]), words[3], int(words[4]), int(words[5]))
