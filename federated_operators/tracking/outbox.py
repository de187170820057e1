"""Metric points on their way to MLflow: on disk first, so that neither MLflow nor a death can lose or double one.

A point may leave once its round is covered by a checkpoint of its own, or by PREPARED. What was covered in an attempt
has left for good: it is sent exactly as it was recorded (MLflow keeps one point per timestamp, step and value, so that
sending again changes nothing), and a later attempt that computes the same step again does not report it again.
What was not covered when its attempt ended never leaves.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from federated_operators.registry.records import Metric

NAME = "metrics.jsonl"
BATCH = 800  # points of one call


class Journal:
    """The points of one attempt: an append-only file of JSON lines.

    ``["point", key, step, value, timestamp, round]``, ``["cover", round or null]`` (null: all), ``["sent", count]``.
    A line that was cut off by a death is dropped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.covered: list[Metric] = []  # in the order in which they may leave
        self.sent = 0
        self._waiting: list[tuple[Metric, int | None]] = []
        self._replay()

    def append(self, *line: Any) -> None:
        """Record a line and apply it."""
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self._apply(*line)

    def _replay(self) -> None:
        if not self.path.exists():
            return
        body = self.path.read_bytes()
        whole = body[: body.rfind(b"\n") + 1]
        if len(whole) < len(body):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        for line in whole.splitlines():
            self._apply(*json.loads(line))

    def _apply(self, kind: str, *values: Any) -> None:
        if kind == "point":
            key, step, value, timestamp, round = values
            self._waiting.append((Metric(key, value, timestamp, step), round))
        elif kind == "cover":
            last = values[0]
            free = [last is None or (round is not None and round <= last) for _, round in self._waiting]
            self.covered += [point for (point, _), now in zip(self._waiting, free, strict=True) if now]
            self._waiting = [entry for entry, now in zip(self._waiting, free, strict=True) if not now]
        elif kind == "sent":
            self.sent = values[0]


class Outbox:
    """The points of one member's step in one generation; one journal per attempt. May be used by several threads.

    Args:
        folder: the generation's folder (``COMPONENT/ROLE/gG``).
        attempt: the attempt that reports now.
    """

    def __init__(self, folder: Path, attempt: int) -> None:
        self._lock = threading.Lock()
        earlier = [path for path in _journals(folder) if path.parent.name != f"a{attempt}"]
        self._earlier = [Journal(path) for path in earlier]
        path = folder / f"a{attempt}" / NAME
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._current = Journal(path)
        self._left = {(point.key, point.step) for journal in self._earlier for point in journal.covered}

    def add(self, point: Metric, round: int | None) -> None:
        """Record a point; ``round`` is the checkpoint round that covers it, None: only the outputs do."""
        with self._lock:
            if (point.key, point.step) not in self._left:
                self._current.append("point", point.key, point.step, point.value, point.timestamp, round)

    def cover(self, round: int | None = None) -> None:
        """A checkpoint of ``round`` is stored (None: the outputs are): its points may leave."""
        with self._lock:
            self._current.append("cover", round)

    def drain(self, send: Callable[[Sequence[Metric]], None]) -> None:
        """Send everything that may leave, in batches; an error of ``send`` leaves the rest for the next call."""
        for journal in (*self._earlier, self._current):
            while batch := self._batch(journal):
                send(batch)
                with self._lock:
                    journal.append("sent", journal.sent + len(batch))

    @property
    def pending(self) -> int:
        """How many points may leave and have not."""
        with self._lock:
            return sum(len(journal.covered) - journal.sent for journal in (*self._earlier, self._current))

    def _batch(self, journal: Journal) -> Sequence[Metric]:
        with self._lock:
            return journal.covered[journal.sent : journal.sent + BATCH]


def _journals(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.glob(f"a*/{NAME}")))
