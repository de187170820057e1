"""Airflow's tasks of a federated job. Importing this module costs no more than Airflow's SDK: the rest is imported when
a task executes, and inherited where the scheduler has it already."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowRuntimeError, AirflowSkipException

if TYPE_CHECKING:
    from airflow.sdk import Context

    from federated_operators.gateway.worker import WorkerSession
    from federated_operators.step import OnRun, Seat
    from federatedml.errors import FedError
    from federatedml.federation.home import PartyHome

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
LONGEST_PAUSE = 30.0  # seconds before a try that cannot be made now is made again
CLOSE_WITHIN = 2.0  # seconds; Airflow kills five seconds after on_kill


class MlflowRunLink(BaseOperatorLink):
    """Button of a task that leads to its MLflow run."""

    name = "MLflow run"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """URL of the run that the task reported, or nothing."""
        return getattr(operator, "mlflow_url", "")


class _PartyOperator(BaseOperator):
    """What all tasks of a job share: they die with their supervisor, and know errors that no retry can mend."""

    operator_extra_links = (MlflowRunLink(),)
    ui_color = "#e8f0fe"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mlflow_url = ""

    @contextmanager
    def _task(self) -> Iterator[PartyHome]:
        from federatedml.errors import FedError, Skipped
        from federatedml.federation.home import PartyHome

        die_with_parent()
        try:
            yield PartyHome(Path(os.environ["AIRFED_HOME"]))
        except Skipped as skipped:
            raise AirflowSkipException(str(skipped)) from skipped
        except FedError as error:
            if error.retryable:
                raise
            raise AirflowFailException(str(error)) from error
        except (AirflowException, AirflowRuntimeError):  # the latter: the API server is away or failed
            raise
        except Exception as error:  # no retry mends a bug
            raise AirflowFailException(f"[FED-900] unexpected {type(error).__name__}: see the trace above") from error

    def _show_run(self, context: Context, url: str) -> None:
        """Let the link work while the task still runs. No task fails for want of it."""
        if not url:
            return
        self.mlflow_url = url
        try:
            context["ti"].xcom_push(key=MlflowRunLink().xcom_key, value=url)
        except AirflowRuntimeError as error:
            log.warning("the task has no link to its MLflow run: %s", error)


class FederateOperator(_PartyOperator):
    """First task at the initiator: proposes the job to every party and has it started there.

    Args:
        pipeline: name of the pipeline.
        dsl: the DSL, plain JSON.
        parties: ``initiator`` and ``role``, as in a conf.
        conf: the pipeline's own conf, the defaults of the trigger form.
        spec_digest: hex digest of DSL and parties that this DAG was built from.
    """

    def __init__(
        self,
        *,
        pipeline: str,
        dsl: Mapping[str, Any],
        parties: Mapping[str, Any],
        conf: Mapping[str, Any],
        spec_digest: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pipeline, self.dsl, self.parties, self.conf = pipeline, dsl, parties, conf
        self.spec_digest = spec_digest

    def execute(self, context: Context) -> dict[str, Any]:
        """Propose, wait for all answers, and fail with the reason if one is a refusal."""
        return self._propose(context)

    def resume(self, context: Context, event: object) -> dict[str, Any]:
        """The parties have answered, or the gateway has forgotten to ask: propose again, which hears or does it."""
        return self._propose(context)

    def _propose(self, context: Context) -> dict[str, Any]:
        with self._task() as home:
            from federated_operators.federate import AdmissionWaits, Pipeline, federate

            pipeline = Pipeline(self.pipeline, self.dsl, self.parties, self.spec_digest)
            try:
                started = federate(home, pipeline, self.dag_id, context["run_id"], self._form(context))
            except AdmissionWaits as waits:
                log.info("waits without a process: %s", waits)
                self._wait_for_answers(context["run_id"])
            self._show_run(context, started.mlflow_url)
            return {"members": [str(member) for member in started.plan.members]}

    def _form(self, context: Context) -> Mapping[str, Any]:
        """The trigger form as it was filled in."""
        return context["params"]

    def _wait_for_answers(self, job_id: str) -> NoReturn:
        from federated_operators.trigger import AdmissionTrigger

        trigger = AdmissionTrigger(initiator=str(self.parties["initiator"]["party_id"]), job_id=job_id)
        self.defer(trigger=trigger, method_name="resume")


class EnrolOperator(_PartyOperator):
    """First task at a peer: this run belongs to a job that the party agreed to."""

    def __init__(self, *, initiator: str, member: str, spec_digest: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.initiator, self.member, self.spec_digest = initiator, member, spec_digest

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask the own gateway; a run that was started here by hand fails and says where to start it."""
        with self._task() as home:
            from federated_operators.federate import enrol
            from federatedml.federation.party import Member

            member = Member.parse(self.member)
            started = enrol(home, self.initiator, member, self.dag_id, context["run_id"], self.spec_digest)
            self._show_run(context, started.mlflow_url)
            return {"members": [str(other) for other in started.plan.members]}


class _SeatOperator(_PartyOperator):
    """A task that is a member's seat in a step. A step that is long in coming is waited for without a process."""

    component: str

    def __init__(self, *, member: str, initiator: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.member, self.initiator = member, initiator
        self._session: WorkerSession | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Join the step, work, commit with the other members."""
        return self._take_part(context)

    def resume(self, context: Context, event: object) -> dict[str, Any]:
        """The step is called or decided: join it again, with the same ``ti.id``."""
        return self._take_part(context)

    def _take_part(self, context: Context) -> dict[str, Any]:
        with self._task() as home:
            from federated_operators.step import StepWaits
            from federatedml.errors import FedError

            seat = self._seat(home, context, self.component)
            try:
                return self._work(seat, lambda url: self._show_run(context, url))
            except StepWaits as waits:
                log.info("waits without a process: %s", waits)
            except FedError as error:
                if error.retryable:
                    _give_time(seat.try_number, error)
                raise
            self._wait_for(seat)

    def _work(self, seat: Seat, on_run: OnRun) -> dict[str, Any]:
        """What XCom gets; ``StepWaits`` while there is nothing to do."""
        raise NotImplementedError

    def _wait_for(self, seat: Seat) -> NoReturn:
        from federated_operators.trigger import StepTrigger

        trigger = StepTrigger(
            initiator=seat.initiator,
            job_id=seat.job_id,
            component=seat.component,
            member=str(seat.member),
            task_instance_id=seat.task_instance,
        )
        self.defer(trigger=trigger, method_name="resume")

    def _seat(self, home: PartyHome, context: Context, component: str) -> Seat:
        from federated_operators.step import Seat
        from federatedml.federation.party import Member

        task = context["ti"]
        return Seat(
            home,
            self.initiator,
            context["run_id"],
            component,
            Member.parse(self.member),
            str(task.id),
            task.try_number,
        )

    def _joined(self, session: WorkerSession) -> None:
        self._session = session

    def on_kill(self) -> None:
        """Airflow ends this task: close the stream, so that all members know at once, and stop."""
        if self._session is not None:
            # Not in this thread: the signal may have come while it held a lock of the session.
            closing = threading.Thread(target=self._session.close, daemon=True)
            closing.start()
            closing.join(CLOSE_WITHIN)
        raise SystemExit("ended by Airflow")


class FederatedOperator(_SeatOperator):
    """One component of a job at one member.

    Args:
        component: name in the DSL.
        module: its module; shown as the task's kind.
        member: ``ROLE_PARTY``.
        initiator: party id of the job's initiator.
    """

    def __init__(self, *, component: str, module: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.component, self.module = component, module

    @property
    def custom_operator_name(self) -> str:
        """The module, where Airflow shows the operator."""
        return self.module

    def _work(self, seat: Seat, on_run: OnRun) -> dict[str, Any]:
        from federated_operators.step import run_component

        return run_component(seat, self._joined, on_run)


class ConcludeOperator(_SeatOperator):
    """Last task: takes the verdict. The model is registered at every party before one of them shows success."""

    component = "conclude"

    def _work(self, seat: Seat, on_run: OnRun) -> dict[str, Any]:
        """Drain tracking, register the model, and let the alias follow when all members have."""
        from federated_operators.conclude import run_conclude

        return run_conclude(seat, self._joined, on_run)


def _give_time(try_number: int, error: FedError) -> None:
    """Airflow tries again at once, and a step may lose five processes: give what this task needs time to return.

    The other members have heard already that this process is gone.
    """
    pause = min(2.0**try_number, LONGEST_PAUSE)
    log.warning("tried again in %g s: %s", pause, error)
    time.sleep(pause)


def die_with_parent() -> None:
    """Let the kernel kill this process when its supervisor dies; Airflow would leave it running beside its next try."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
