"""Parties that are asked again and again whether they take part: since when, and why they have not answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway.names import Job, words
from federated_operators.gateway.rows import ProposalRow

Answer = job_pb2.ProposalAnswer


@dataclass(frozen=True)
class Open:
    """What is known of a party instead of its answer.

    Attributes:
        pending: it asks its people, or waits for its scheduler; otherwise it is silent.
        since: the last time at which this was not so, in monotonic seconds.
        shown: the same in Unix seconds, for people.
    """

    pending: bool
    failure: pb.Failure | None
    since: float
    shown: float

    def words(self, party: str) -> str:
        """One line for people."""
        return f"party {party}: {words(self.failure) if self.failure else 'its people are asked'}"


class Unanswered:
    """Only in memory: a gateway that starts again asks everybody again.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._open: dict[tuple[Job, str], Open] = {}
        self._clock = clock

    @contextmanager
    def asking(self, job: Job, party: str) -> Iterator[None]:
        """What is kept of the party goes at the end, whatever it is."""
        try:
            yield
        finally:
            self._open.pop((job, party), None)

    def again(self, job: Job, party: str, answer: Answer, asked: float, now: float) -> None:
        """The party has to be asked again: it was asked at ``asked``, and this is known at ``now`` (monotonic)."""
        pending = answer.state == job_pb2.PENDING
        failure = answer.failure if answer.HasField("failure") else None
        before = self._open.get((job, party))
        if before is not None and before.pending == pending:
            self._open[job, party] = replace(before, failure=failure)
        else:
            self._open[job, party] = Open(pending, failure, asked, self._clock() - (now - asked))

    def before(self, job: Job, moment: float) -> str:
        """In words, who has not answered since before ``moment`` (monotonic); empty: nobody."""
        return "; ".join(known.words(party) for party, known in self._of(job).items() if known.since <= moment)

    def since(self, job: Job) -> Mapping[str, float]:
        """Party -> Unix seconds."""
        return {party: known.shown for party, known in self._of(job).items()}

    def standing(self, row: ProposalRow) -> Answer:
        """A party's answer, or what is known instead."""
        known = self._open.get((Job(row.initiator, row.job_id), row.party))
        if known is None or row.failure:
            failure = pb.Failure.FromString(row.failure) if row.failure else None
            return Answer(state=row.state, failure=failure, run_url=row.run_url)  # type: ignore[arg-type]
        state = job_pb2.PENDING if known.pending else row.state
        return Answer(state=state, failure=known.failure, run_url=row.run_url)  # type: ignore[arg-type]

    def _of(self, job: Job) -> dict[str, Open]:
        return {party: known for (of, party), known in sorted(self._open.items()) if of == job}
