"""Tracking of a component while it runs: points to disk at once, to MLflow by a thread that nothing waits for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from federated_operators.gateway.plan import JobPlan, StepPlan
from federated_operators.outputs import StepOutputs
from federated_operators.registry.records import Metric
from federated_operators.registry.rest import MlflowRest
from federated_operators.tracking.outbox import Outbox
from federated_operators.tracking.publish import introduce, metric_key, publish_step
from federated_operators.tracking.runs import JobRuns, RunRef
from federatedml.errors import FedError
from federatedml.federation.box import MetricPoint
from federatedml.federation.home import PartyHome

log = logging.getLogger(__name__)

INTERVAL = 1.0  # seconds between two deliveries while the component computes
PATIENCE = 30.0  # longest pause after MLflow did not answer
FRACTION = 10_000  # steps are integers: an x that is none counts in ten-thousandths


class StepTracker:
    """Tracks one component at one member.

    Args:
        job_dir: the job's folder in the party's home.
    """

    def __init__(self, home: PartyHome, plan: JobPlan, step: StepPlan, job_dir: Path) -> None:
        self.step, self.job_dir = step, job_dir
        self.runs = JobRuns(MlflowRest(home.mlflow_url, tries=1), home, plan)
        self.url = ""  # of the component's run, once there is one
        self._outbox: Outbox | None = None
        self._generation = 0
        self._outputs: StepOutputs | None = None
        self._complete = False
        self._hurry = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)

    def begin(self, attempt_dir: Path) -> None:
        """An attempt starts in ``attempt_dir``."""
        self._outbox = Outbox(attempt_dir.parent, int(attempt_dir.name[1:]))
        self._generation = int(attempt_dir.parent.name[1:])
        if not self._thread.is_alive():
            self._thread.start()

    def point(self, point: MetricPoint) -> None:
        """Record a point of the running attempt."""
        if self._outbox is not None:
            step = int(point.key) if float(point.key).is_integer() else round(point.key * FRACTION)
            key = metric_key(point.namespace, point.name)
            self._outbox.add(Metric(key, point.value, time.time_ns() // 1_000_000, step), point.round)

    def summarise(self, summary: Mapping[str, float]) -> None:
        """Record the scores of the outputs; they leave when the step is committed."""
        if self._outbox is not None:
            for name, value in summary.items():
                key = metric_key(*name.split("/"))
                self._outbox.add(Metric(key, float(value), time.time_ns() // 1_000_000), None)

    def covered(self, round: int) -> None:
        """A checkpoint of ``round`` is stored: its points may leave."""
        if self._outbox is not None:
            self._outbox.cover(round)

    def finish(self, outputs: StepOutputs, wait: float = 5.0) -> bool:
        """The step is committed: bring the rest to MLflow. What takes longer than ``wait`` is left to ``conclude``."""
        if self._outbox is None:
            self.begin(self.job_dir / outputs.folder)
        self._outputs = outputs
        self._hurry.set()
        self._over.wait(wait)
        return self._complete

    def stop(self) -> None:
        """Track no more; the thread ends by itself."""
        self._over.set()
        self._hurry.set()

    def _work(self) -> None:
        with self.runs.rest:
            self._until_over()

    def _until_over(self) -> None:
        pause, run = INTERVAL, None
        while not self._over.is_set():
            try:
                run = self._turn(run)
                pause = INTERVAL
            except FedError as error:
                if not error.retryable:
                    log.warning("tracking of %s ends: %s", self.step.component, error)
                    self._over.set()
                    return
                log.warning("tracking of %s waits: %s", self.step.component, error)
                pause = min(2 * pause, PATIENCE)
            if not self._over.is_set():
                self._hurry.wait(pause) if pause == INTERVAL else self._over.wait(pause)

    def _turn(self, run: RunRef | None) -> RunRef:
        outputs = self._outputs
        if run is None:
            run = self.runs.child(self.step.component, self._generation)
            self.url = self.runs.url(run)
            introduce(self.runs, self.step, run)
        if outputs is not None:
            publish_step(self.runs, self.step, outputs, self.job_dir, introduced=True)
            self._complete = True
            self._over.set()
        elif self._outbox is not None:
            target = run.run_id
            self._outbox.drain(lambda points: self.runs.rest.log_batch(target, metrics=points))
        return run
