"""MLflow's runs of one member's job: an experiment per pipeline, a parent run per job, a child run per component.

Creating is not idempotent at MLflow: after a try whose answer was lost, runs are searched by tags first and duplicates
folded away. What was found is remembered in the job's folder, under a lock, because several tasks may come at once.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from federated_operators.gateway.plan import JobPlan
from federated_operators.outputs import write_file
from federated_operators.registry.records import Run
from federated_operators.registry.rest import MlflowRest
from federatedml.federation.home import PartyHome


@dataclass(frozen=True)
class RunRef:
    """A run at this party's MLflow."""

    experiment_id: str
    run_id: str
    artifact_uri: str


class JobRuns:
    """Finds or makes the runs of ``plan``.

    Raises (methods):
        PeerError: MLflow is not there.
        ModelError: MLflow refuses.
    """

    def __init__(self, rest: MlflowRest, home: PartyHome, plan: JobPlan) -> None:
        self.rest, self.home, self.plan = rest, home, plan
        self.folder = tracking_dir(home, plan)

    @property
    def experiment_name(self) -> str:
        """``PIPELINE@ROLE-PARTY``; at a peer the pipeline's name begins with its initiator's id."""
        plan = self.plan
        own = plan.initiator == plan.me
        return f"{'' if own else f'{plan.initiator.party}.'}{plan.pipeline}@{plan.me.role}-{plan.me.party}"

    def experiment(self) -> str:
        """Id of the pipeline's experiment."""
        with self._remembered("experiment") as known:
            if not known:
                known["id"] = self.rest.experiment(self.experiment_name)
            return known["id"]

    def parent(self) -> RunRef:
        """The run of the job."""
        experiment = self.experiment()
        plan, url = self.plan, self.home.public_url(self.home.config.ports.airflow)
        about = {
            "mlflow.source.name": plan.dag_id,
            "mlflow.source.type": "JOB",
            "mlflow.user": f"{plan.initiator}",
            "mlflow.note.content": f"[Job {plan.job_id} in Airflow]({url}/dags/{plan.dag_id}/runs/{plan.job_id})",
            "fed.model_key": plan.model_key,
            "fed.digest": plan.digest,
            "fed.job_type": plan.job_type,
        }
        if plan.source is not None:
            about["fed.model_version"] = plan.source.model_version
        return self._run("job", experiment, plan.job_id, self.identity("job"), about)

    def child(self, component: str, generation: int) -> RunRef:
        """The run of a component."""
        parent = self.parent()
        identity = {**self.identity("task"), "fed.component": component, "fed.generation": str(generation)}
        about = {
            "mlflow.parentRunId": parent.run_id,
            "mlflow.source.name": self.plan.dag_id,
            "mlflow.source.type": "JOB",
            "mlflow.user": f"{self.plan.initiator}",
            "fed.module": self.plan.modules[component],
        }
        return self._run(f"{component}.g{generation}", parent.experiment_id, component, identity, about)

    def close(self, status: str) -> None:
        """The job is over. A run that a task was about to make is ended with ``status`` as soon as it is made."""
        with self._locked():
            write_file(self.folder / "closed", status.encode())

    def reopen(self) -> None:
        """The job runs again."""
        with self._locked():
            (self.folder / "closed").unlink(missing_ok=True)

    def known_experiment(self) -> str | None:
        """Id of the experiment if this job has used it: without it, there is no run either."""
        path = self.folder / "experiment.json"
        return str(json.loads(path.read_bytes())["id"]) if path.exists() else None

    def identity(self, kind: str) -> dict[str, str]:
        """Tags that all runs of this kind of this job have."""
        plan = self.plan
        return {
            "fed.kind": kind,
            "fed.job_id": plan.job_id,
            "fed.initiator": plan.initiator.party,
            "fed.role": str(plan.me.role),
            "fed.party_id": plan.me.party,
        }

    def url(self, run: RunRef) -> str:
        """Where a person sees the run."""
        base = self.home.public_url(self.home.config.ports.mlflow)
        return f"{base}/#/experiments/{run.experiment_id}/runs/{run.run_id}?workflowType=machine_learning"

    def _run(
        self, name: str, experiment: str, run_name: str, identity: Mapping[str, str], about: Mapping[str, str]
    ) -> RunRef:
        with self._remembered(name) as known:
            if not known:
                tried = self.folder / f"{name}.tried"
                found = self.rest.search_runs(experiment, identity) if tried.exists() else []
                tried.touch()
                known.update(asdict(self._find_or_make(found, experiment, run_name, {**identity, **about})))
                self._end_if_closed(known["run_id"])
            return RunRef(**known)

    def _end_if_closed(self, run_id: str) -> None:
        closed = self.folder / "closed"
        if closed.exists():
            self.rest.update_run(run_id, closed.read_text())

    def _find_or_make(self, found: Sequence[Run], experiment: str, run_name: str, tags: Mapping[str, str]) -> RunRef:
        """The oldest of what an earlier try left whose answer was lost, or a new run."""
        for duplicate in found[1:]:
            self.rest.delete_run(duplicate.run_id)
        run = found[0] if found else self.rest.create_run(experiment, run_name, tags)
        return RunRef(run.experiment_id, run.run_id, run.artifact_uri)

    @contextmanager
    def _remembered(self, name: str) -> Iterator[dict[str, str]]:
        """The remembered answer (empty: none yet), written back if it was filled; one process at a time."""
        path = self.folder / f"{name}.json"
        if path.exists():
            yield json.loads(path.read_bytes())
            return
        with self._locked():
            known: dict[str, str] = json.loads(path.read_bytes()) if path.exists() else {}
            yield known
            if known:
                write_file(path, json.dumps(known).encode())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def tracking_dir(home: PartyHome, plan: JobPlan) -> Path:
    """Where a member remembers the runs of a job."""
    return home.job_dir(plan.initiator.party, plan.job_id) / str(plan.me.role) / "tracking"
