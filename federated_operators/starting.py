"""First and last task of a pipeline with a schedule, whose runs may be starters (``starter.py``). Imports as little as
``operator.py`` does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowFailException, DownstreamTasksSkipped

from federated_operators.operator import ConcludeOperator, FederateOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

POLL_S = 2.0


class StartingFederateOperator(FederateOperator):
    """``federate`` of a pipeline with a schedule: of a job, or of a run that starts one."""

    def execute(self, context: Context) -> dict[str, Any]:
        """As for every job; a starter only starts its own, and skips all that is not ``conclude``."""
        with self._task() as home:
            from federated_operators.starter import start_job, starter_of

            if starter := starter_of(self.dag_id, context["dag_run"]):
                context["ti"].xcom_push(key="job_id", value=starter.job_id)
                self.log.info("starts job %s", starter.job_id)
                asyncio.run(start_job(home, starter))
                raise DownstreamTasksSkipped(tasks=sorted(_components(self)))  # type: ignore[no-untyped-call]
        return super().execute(context)

    def _form(self, context: Context) -> Mapping[str, Any]:
        """Without what the job was started by: that is for people, beside the form."""
        return {name: value for name, value in context["params"].items() if name != "starter"}


class StartingConcludeOperator(ConcludeOperator):
    """``conclude`` of a pipeline with a schedule: of a job, or of a run that started one."""

    def execute(self, context: Context) -> dict[str, Any]:
        """As for every job; a starter waits, without a process, for the verdict of its own."""
        with self._task():
            from federated_operators.starter import starter_of

            if starter := starter_of(self.dag_id, context["dag_run"]):
                self._await(starter.job_id)
        return super().execute(context)

    def take_verdict(self, context: Context, event: Any, job_id: str) -> dict[str, Any]:
        """End as the job did."""
        with self._task() as home:
            from federated_operators.starter import verdict

            state = event[1][job_id]
            if state != "success":
                raise AirflowFailException(verdict(home, self.initiator, job_id))
            self.log.info("job %s succeeded", job_id)
            return {"job_id": job_id}

    def _await(self, job_id: str) -> NoReturn:
        from airflow.providers.standard.triggers.external_task import DagStateTrigger

        states = ["success", "failed"]
        trigger = DagStateTrigger(self.dag_id, states, run_ids=[job_id], poll_interval=POLL_S)  # type: ignore[arg-type]
        self.defer(trigger=trigger, method_name="take_verdict", kwargs={"job_id": job_id})


def _components(first: FederateOperator) -> set[str]:
    """All tasks but the first and the last."""
    return {task.task_id for task in first.dag.tasks} - {first.task_id, "conclude"}
