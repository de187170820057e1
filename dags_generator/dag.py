"""``RolePlan`` -> Airflow DAG."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, Asset, BaseOperator, Param, TriggerRule, get_parsing_context
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.encoders import ensure_serialized_asset

from dags_generator.form import Field
from dags_generator.priority import OldestJobFirst
from dags_generator.roleplan import RolePlan, RoleTask, load_role_plans
from dags_generator.schedule import Cron, Schedule
from dags_generator.store import plans_file
from dags_generator.timetable import JobIdCron, JobIdOnAssets, JobIdTimetable
from federated_operators.gateway.plan import ALL_SUCCESS, ONE_SUCCESS
from federated_operators.operator import ConcludeOperator, EnrolOperator, FederatedOperator, FederateOperator
from federated_operators.starting import StartingConcludeOperator, StartingFederateOperator
from federatedml.errors import DslError

NEVER_QUEUE = 1000  # the queue is the gateways', which say why
OLDEST_FIRST = f"{OldestJobFirst.__module__}.{OldestJobFirst.__qualname__}"
RETRIES = 20  # only bring a lost process back: final errors do not retry


def dags_of(stub: str) -> dict[str, DAG]:
    """The DAGs of the pipelines whose stub this is, by DAG id; ``DslError`` if the pipeline is not valid.

    Where a task asks, of several pipelines only its own is read.
    """
    body = plans_file(Path(stub)).read_bytes()
    if not body.startswith(b"{"):
        return {plan.dag_id: build_dag(plan) for plan in load_role_plans(body)}
    found = json.loads(body)
    if "error" in found:
        raise DslError(**found["error"])
    asked = get_parsing_context().dag_id
    keys = [key for key in found["pipelines"] if asked is None or asked.startswith(f"{key}.")]
    return {dag_id: dag for key in keys for dag_id, dag in dags_of(str(Path(stub).with_name(f"{key}.py"))).items()}


def build_dag(plan: RolePlan) -> DAG:
    """One member's DAG: ``federate`` or ``enrol``, its components, ``conclude``."""
    schedule = plan.start.schedule if plan.start else None
    dag = DAG(
        plan.dag_id,
        description=f"{plan.pipeline} as {plan.member.role} {plan.member.party}",
        schedule=_timetable(schedule),
        start_date=_first_day(schedule),
        catchup=isinstance(schedule, Cron) and schedule.catchup,
        doc_md=plan.doc_md,
        tags=["fed", f"party:{plan.member.party}", f"pipeline:{plan.pipeline}", f"role:{plan.member.role}"],
        max_active_runs=NEVER_QUEUE,
        max_active_tasks=NEVER_QUEUE,
        is_paused_upon_creation=False,
        default_args={"retries": RETRIES, "retry_delay": timedelta(0), "weight_rule": OLDEST_FIRST},
    )
    with dag:
        first = _first(plan)
        last = _last(plan)
        tasks = {task.component: _task(plan, task) for task in plan.tasks}
    _connect(plan, first, tasks, last)
    form = plan.start.form if plan.start else ()
    dag.params = ParamsDict({field.name: _param(field) for field in form})  # last, or each task has a copy to check
    return dag


def _first(plan: RolePlan) -> BaseOperator:
    if plan.start is None:
        return EnrolOperator(
            task_id="enrol",
            initiator=plan.initiator.party,
            member=str(plan.member),
            spec_digest=plan.spec_digest,
        )
    operator = StartingFederateOperator if plan.start.schedule else FederateOperator
    return operator(
        task_id="federate",
        pipeline=plan.pipeline,
        dsl=dict(plan.start.dsl),
        parties=dict(plan.parties),
        conf=dict(plan.start.conf),
        spec_digest=plan.spec_digest,
    )


def _last(plan: RolePlan) -> BaseOperator:
    operator = StartingConcludeOperator if plan.start and plan.start.schedule else ConcludeOperator
    return operator(
        task_id="conclude",
        member=str(plan.member),
        initiator=plan.initiator.party,
        trigger_rule=_airflow_rule([task.component for task in plan.tasks], ALL_SUCCESS),
    )


def _timetable(schedule: Schedule | None) -> JobIdTimetable | JobIdCron | JobIdOnAssets:
    if schedule is None:
        return JobIdTimetable()
    if isinstance(schedule, Cron):
        return JobIdCron(schedule.expression, schedule.timezone)
    return JobIdOnAssets([ensure_serialized_asset(Asset(uri)) for uri in schedule.uris])


def _first_day(schedule: Schedule | None) -> datetime:
    """Before this nothing is scheduled."""
    if isinstance(schedule, Cron) and schedule.start:
        return datetime.fromisoformat(schedule.start).replace(tzinfo=ZoneInfo(schedule.timezone))
    return datetime(2020, 1, 1)


def _task(plan: RolePlan, task: RoleTask) -> BaseOperator:
    return FederatedOperator(
        task_id=task.component,
        component=task.component,
        module=task.module,
        member=str(plan.member),
        initiator=plan.initiator.party,
        doc_md=task.title,
        trigger_rule=_airflow_rule(task.upstream, task.trigger_rule),
    )


def _connect(plan: RolePlan, first: BaseOperator, tasks: dict[str, BaseOperator], last: BaseOperator) -> None:
    """Edges of the DSL; ``first`` before all, ``last`` the one leaf, after everything has ended.

    Edges only order: what failed somewhere may be covered elsewhere, and the coordinator alone knows. So tasks that
    wait for others start whatever became of those; only where ``first`` failed nothing has to start at once.
    """
    for task in plan.tasks:
        tasks[task.component].set_upstream([tasks[name] for name in task.upstream] or first)
    awaited = {name for task in plan.tasks if task.trigger_rule != ONE_SUCCESS for name in task.upstream}
    last.set_upstream([tasks[name] for name in tasks if name not in awaited] or first)


def _airflow_rule(upstream: Sequence[str], rule: str) -> TriggerRule:
    """Airflow's rule of a task that waits for ``upstream``; without any it is the first task that it waits for."""
    if not upstream:
        return TriggerRule.ALL_SUCCESS
    return TriggerRule.ONE_DONE if rule == ONE_SUCCESS else TriggerRule.ALL_DONE


def _param(field: Field) -> Any:
    """A form field. Its default may be written in a way that only the component reads (``"l2"``): then unchecked."""
    param = Param(dict(field.default), **field.schema)
    try:
        param.resolve()
    except ParamValidationError:
        shown = {
            key: field.schema[key] for key in ("type", "section", "title", "description_md") if key in field.schema
        }
        return Param(dict(field.default), **shown)
    return param
