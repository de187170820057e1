"""What the gateway needs of the party's scheduler. ``airflow_client.py`` implements it for Airflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

NOT_IMPORTED = "FED-470"  # code of the error for a DAG whose file cannot be imported


@dataclass(frozen=True)
class Run:
    """A DAG run: its id is the job id."""

    dag_id: str
    job_id: str


@dataclass(frozen=True)
class RunState:
    """What the scheduler says of a run.

    Attributes:
        state: queued, running, success or failed.
        failed_task: a task that failed, if the run failed.
    """

    run: Run
    state: str
    failed_task: str = ""


@dataclass(frozen=True)
class TaskState:
    """What the scheduler says of a task that is over: success, failed or skipped."""

    run: Run
    task: str
    state: str


@dataclass(frozen=True)
class Touched:
    """A person cleared tasks of a run.

    Attributes:
        by: who.
        event: number of the scheduler's record of it; it grows.
        tasks: those that are not over now.
    """

    by: str
    event: int
    tasks: Sequence[str]


class RunControl(Protocol):
    """Starts, ends and watches runs of this party's own DAGs. ``PeerError`` while the scheduler is not there."""

    async def bundle_version(self, dag_id: str) -> str | None:
        """The version of the DAG bundle from which the DAG was last parsed; None: it is not known (yet).

        Raises:
            DslError: it cannot be parsed (``NOT_IMPORTED``), or is paused.
        """
        ...

    async def version_of(self, run: Run) -> str | None:
        """The version of the DAG bundle that the run's tasks are built from, empty: the current one; None: no run."""
        ...

    async def trigger(self, run: Run, digest: str) -> None:
        """Start the run; one that exists already is the same run."""
        ...

    async def fail(self, run: Run, note: str) -> None:
        """Set the run failed, with a note for people. A run that is not there is no error."""
        ...

    async def states(self, runs: Sequence[Run]) -> list[RunState]:
        """States of those runs that exist."""
        ...

    async def tasks(self, runs: Sequence[Run]) -> list[TaskState]:
        """Tasks of these runs that are over: at least what ended lately, now and then all."""
        ...

    async def process(self, run: Run, task: str) -> str | None:
        """Id of the process that the task's newest try is; None: the scheduler has none."""
        ...

    async def ended_by(self, run: Run, after: int) -> str:
        """The person who changed a state of the run or of its tasks last, since event ``after``; empty: nobody."""
        ...

    async def touched(self, run: Run, after: int, since: float) -> Touched | None:
        """Whether a person cleared tasks of the run: after event ``after``, later than ``since`` (Unix seconds)."""
        ...

    async def newest_event(self, run: Run) -> int:
        """Number of the newest record about the run."""
        ...

    async def clear(self, run: Run, tasks: Sequence[str]) -> None:
        """Let those of these tasks that are over run again."""
        ...

    async def note_of(self, run: Run) -> str:
        """The note beside the run; empty: none, or no run."""
        ...

    async def note(self, run: Run, text: str) -> None:
        """Show people a note beside the run. A run that is not there is no error."""
        ...

    def url(self, run: Run) -> str:
        """Where people watch the run."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


class NoRuns:
    """A party without a scheduler: its workers are started by hand."""

    async def bundle_version(self, dag_id: str) -> str | None:
        """Nothing is parsed, so whatever is installed is current."""
        return ""

    async def version_of(self, run: Run) -> str | None:
        """As of a DAG: there is one version."""
        return ""

    async def trigger(self, run: Run, digest: str) -> None:
        """Nothing is started."""

    async def fail(self, run: Run, note: str) -> None:
        """Nothing runs."""

    async def states(self, runs: Sequence[Run]) -> list[RunState]:
        """Nothing runs."""
        return []

    async def tasks(self, runs: Sequence[Run]) -> list[TaskState]:
        """Nothing runs."""
        return []

    async def process(self, run: Run, task: str) -> str | None:
        """Whoever comes."""
        return None

    async def ended_by(self, run: Run, after: int) -> str:
        """Nobody could."""
        return ""

    async def touched(self, run: Run, after: int, since: float) -> Touched | None:
        """Nobody could."""
        return None

    async def newest_event(self, run: Run) -> int:
        """Nothing is recorded."""
        return 0

    async def clear(self, run: Run, tasks: Sequence[str]) -> None:
        """Workers come again by hand."""

    async def note_of(self, run: Run) -> str:
        """There is none."""
        return ""

    async def note(self, run: Run, text: str) -> None:
        """Nobody reads it."""

    def url(self, run: Run) -> str:
        """There is no page."""
        return ""

    async def close(self) -> None:
        """Nothing is open."""
