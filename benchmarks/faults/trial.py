"""Trials: what is killed at whom, and when. Drawn from a seed, so that a run can be repeated and gone on with."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from airfed.demo_parties import PARTIES

KINDS: Mapping[str, int] = {"task": 60, "gateway": 20, "worker": 8, "scheduler": 6, "api-server": 6, "cut": 10}
JOBS = ("chain", "lr")
# What a gateway records of every phase of a job, at each party.
PHASES: Mapping[str, tuple[str, ...]] = {
    "enrolment": ("proposed", "accepted", "enrolled"),
    "start": ("worker present", "started"),
    "checkpoint": ("checkpoint stored",),
    "PREPARED": ("outputs stored",),
    "COMMITTED": ("committed",),
    "verdict": ("verdict adopted",),
}
CONCLUDE = "conclude"
BY_TIME = 0.4  # share of the kill points that are drawn over the time of the job
AGAIN = 0.15  # share of the trials in which something else is killed during recovery


@dataclass(frozen=True)
class Trial:
    """One fault.

    Attributes:
        number: of its kind, from 0.
        job: which pipeline runs.
        party: whose process is killed, or who is cut off.
        fraction: of the job's usual time, if ``phase`` is empty.
        phase: a key of ``PHASES``, or ``conclude``; the fault comes as soon as the party's gateway has recorded it.
        nth: a number in 0..1 that chooses among the places where that phase is recorded.
        busy: of a LocalExecutor worker: the one of a task, or an idle one.
        again: a second kill while the first one is being recovered from; a party, or empty.
    """

    kind: str
    number: int
    job: str
    party: str
    fraction: float
    phase: str
    nth: float
    busy: bool
    again: str

    @property
    def name(self) -> str:
        """Names it within a seed."""
        return f"{self.kind} {self.number}"


def trials(seed: int, counts: Mapping[str, int]) -> Iterator[Trial]:
    """All trials of the kinds in ``counts``."""
    for kind, count in counts.items():
        for number in range(count):
            yield _trial(random.Random(f"{seed}/{kind}/{number}"), kind, number)


def _trial(chance: random.Random, kind: str, number: int) -> Trial:
    by_time = chance.random() < BY_TIME
    return Trial(
        kind=kind,
        number=number,
        job=chance.choice(JOBS),
        party=chance.choice(list(PARTIES)),
        fraction=chance.random(),
        phase="" if by_time else chance.choice([*PHASES, CONCLUDE]),
        nth=chance.random(),
        busy=number % 2 == 0,
        again=chance.choice(list(PARTIES)) if kind in ("task", "gateway") and chance.random() < AGAIN else "",
    )
