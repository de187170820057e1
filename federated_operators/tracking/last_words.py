"""What MLflow is still to hear of a job that succeeded: which version is ``product`` now, and that its run is over."""

from __future__ import annotations

import fcntl
import json
import logging
from collections.abc import Mapping
from types import TracebackType
from typing import IO, Any, Self

from federated_operators.outputs import write_file
from federated_operators.registry.models import PRODUCT, ModelRegistry
from federated_operators.tracking.publish import finish_job
from federated_operators.tracking.runs import JobRuns
from federatedml.errors import PeerError

log = logging.getLogger(__name__)

KEPT, LOCK = "concluded.json", "concluded.lock"


class LastWords:
    """Kept on disk before the member votes for success, so that somebody can say them whatever happens to the task:
    it says them itself, and where it dies, or MLflow is away, the gateway does. One at a time, for they hold a lock.
    """

    def __init__(self, runs: JobRuns) -> None:
        self._runs = runs
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def keep(self, outputs: Mapping[str, Any]) -> None:
        """Store what ``say`` needs. Until it is said, or this process ends, nobody else says it."""
        self._take(fcntl.LOCK_EX)
        write_file(self._runs.folder / KEPT, json.dumps(dict(outputs)).encode())

    def say(self, outputs: Mapping[str, Any], late: bool = False) -> None:
        """Set the alias and end the job's run; may be repeated.

        Args:
            outputs: ``summary`` by component, and ``registered`` with name and version if there is a model.
            late: another job's model may be ``product`` by now; a newer one stays so.

        Raises:
            PeerError: MLflow is not there. What was kept stays.
            ModelError: it refuses.
        """
        try:
            if registered := outputs.get("registered"):
                name, version = registered["name"], registered["version"]
                if late and self._product(name) > version:
                    log.info("version %d of %s stays behind a newer one", version, name)
                elif not ModelRegistry(self._runs.rest).promote(name, version, PRODUCT):
                    log.info("version %d of %s was %s already: the alias stays where it is", version, name, PRODUCT)
            finish_job(self._runs, outputs["summary"])
            (self._runs.folder / KEPT).unlink(missing_ok=True)
        finally:
            self._release()

    def say_what_is_left(self) -> None:
        """Say what the task has left unsaid, if anything.

        Raises:
            PeerError: MLflow is not there, or the task is about to say it: call again later.
            ModelError: MLflow refuses.
        """
        kept = self._runs.folder / KEPT
        if not kept.exists():
            return
        try:
            self._take(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PeerError("FED-481", "the job succeeded, its task is about to tell MLflow") from None
        if kept.exists():
            self.say(json.loads(kept.read_bytes()), late=True)
        self._release()

    def _product(self, name: str) -> int:
        """The version that is product now; 0: none."""
        return self._runs.rest.get_registered_model(name).aliases.get(PRODUCT, 0)

    def _take(self, how: int) -> None:
        if self._lock is None:
            self._runs.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = (self._runs.folder / LOCK).open("w")
        fcntl.flock(self._lock, how)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
