"""What runs at a party in the operator tests.

``python operator_party.py gateway HOME``: its gateway, with workers that are started by hand.
``python operator_party.py tasks HOME INITIATOR MEMBER JOB [PAIR]``: the tasks of a member's DAG, one after the other,
as Airflow would execute them. PAIR is a DSL and conf pair (``PAIR_dsl.json``, ``PAIR_conf.json``) at the initiator.
What the tasks return is printed as one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import uuid
from functools import partial
from pathlib import Path
from typing import Any

from federatedml.federation.home import PartyHome


def gateway(home: PartyHome) -> None:
    from dags_generator.acceptor import DslAcceptor
    from federated_operators.gateway.plan import JobPlan
    from federated_operators.gateway.runs import NoRuns
    from federated_operators.gateway.server import serve
    from federated_operators.tracking.close import close_runs

    class NoBundle(DslAcceptor):
        """Without Airflow nothing takes up what was installed."""

        def installed(self, plan: JobPlan, bundle_version: str | None = None) -> bool:
            return True

    asyncio.run(serve(home, NoBundle(home), NoRuns(), partial(close_runs, home)))


class TaskInstance:
    """What an operator needs of its task instance."""

    def __init__(self) -> None:
        self.id, self.try_number = uuid.uuid4(), 1
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


async def fired(trigger: Any) -> Any:
    """The first event of a trigger, which is made anew from what is stored of it."""
    from airflow._shared.module_loading import import_string

    classpath, kwargs = trigger.serialize()
    async for event in import_string(classpath)(**json.loads(json.dumps(kwargs))).run():
        return event.payload


def tasks(home: PartyHome, initiator: str, member: str, job_id: str, pair: str = "") -> None:
    from airflow.sdk import DAG
    from airflow.sdk.exceptions import TaskDeferred

    import federated_operators.federate
    import federated_operators.step
    from federated_operators.operator import ConcludeOperator, FederatedOperator

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)  # Airflow has set its own
    os.environ["AIRFED_HOME"] = str(home.root)
    patience = float(os.environ.get("PATIENCE_S", "10"))
    federated_operators.step.PATIENCE_S = federated_operators.federate.PATIENCE_S = patience
    returned: dict[str, Any] = {}

    def execute(task: Any, params: dict[str, Any] | None = None) -> None:
        context: dict[str, Any] = {"run_id": job_id, "params": params or {}, "ti": TaskInstance()}
        signal.signal(signal.SIGTERM, lambda *_: task.on_kill())  # as Airflow's task runner does
        work, more = task.execute, {}
        while True:
            try:
                returned[task.task_id] = work(context, **more)
                break
            except TaskDeferred as deferred:
                work, more = getattr(task, deferred.method_name), {"event": asyncio.run(fired(deferred.trigger))}
        returned[task.task_id]["links"] = context["ti"].pushed

    with DAG(f"{Path(pair).name}.{member}" if pair else _plan(home, initiator, member, job_id).dag_id):
        execute(*_first(home, initiator, member, job_id, pair))
        for step in _plan(home, initiator, member, job_id).steps.values():
            who = {"member": member, "initiator": initiator}
            execute(FederatedOperator(task_id=step.component, component=step.component, module=step.module, **who))
        execute(ConcludeOperator(task_id="conclude", member=member, initiator=initiator))
    print(json.dumps(returned), flush=True)


def _plan(home: PartyHome, initiator: str, member: str, job_id: str) -> Any:
    from federated_operators.federate import read_plan
    from federatedml.federation.party import Member

    return read_plan(home, initiator, job_id, Member.parse(member))


def _first(home: PartyHome, initiator: str, member: str, job_id: str, pair: str) -> tuple[Any, dict[str, Any]]:
    from dags_generator.parse import parse_paths
    from federated_operators.operator import EnrolOperator, FederateOperator

    if not pair:
        digest = _plan(home, initiator, member, job_id).spec_digest
        return EnrolOperator(task_id="enrol", initiator=initiator, member=member, spec_digest=digest), {}
    spec = parse_paths(Path(f"{pair}_dsl.json"), Path(f"{pair}_conf.json"))
    conf = spec.conf
    params = {key: conf[key] for key in ("job_parameters", "role_parameters")}
    params |= {f"algorithm_parameters.{name}": value for name, value in conf.get("algorithm_parameters", {}).items()}
    first = FederateOperator(
        task_id="federate",
        pipeline=spec.pipeline,
        dsl=spec.graph.dsl,
        parties=spec.parties.json(),
        conf=conf,
        spec_digest=spec.graph.digest,
    )
    return first, params


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    what, root, *rest = sys.argv[1:]
    gateway(PartyHome(Path(root))) if what == "gateway" else tasks(PartyHome(Path(root)), *rest)
