"""Outputs of an earlier job of the same initiator: they stand in for components that do not run in this one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from federated_operators.gateway.names import CONCLUDE, Job
from federated_operators.gateway.plan import ALL_SUCCESS, JobPlan, load_plan
from federated_operators.gateway.policy import Policy
from federated_operators.gateway.rows import OutputRow, PlanRow
from federated_operators.gateway.store import Store
from federated_operators.outputs import StepOutputs, load_outputs
from federatedml.data.catalogue import Catalogue
from federatedml.errors import DslError
from federatedml.federation.home import PartyHome


def earlier_outputs(plan: JobPlan, store: Store) -> dict[str, bytes]:
    """Component that does not run in the job -> outputs JSON that this member committed in the earlier job."""
    if not plan.earlier_job:
        return {}
    where = {**_earlier(plan).where, "member": str(plan.me)}
    rows = store.select(OutputRow, **where)
    here = {*plan.all_steps, CONCLUDE}
    return {row.component: row.outputs for row in rows if row.component not in here}


def lineage(plan: JobPlan, store: Store) -> list[JobPlan]:
    """This member's plans of the jobs that a job goes on from, the nearest first: that one may go on from another."""
    found: list[JobPlan] = []
    while plan.earlier_job:
        row = store.get(PlanRow, **_earlier(plan).where, member=str(plan.me))
        if row is None:
            break
        plan = load_plan(row.plan)
        found.append(plan)
    return found


def check_allowed(
    plan: JobPlan, policy: Policy, store: Store, home: PartyHome, again: Collection[str] | None = None
) -> None:
    """Whether this party lets the job run, given what it goes on from.

    Args:
        again: of a rerun, the components that run; the others have left what the earlier generations made.

    Raises:
        FedError: as ``Policy.check`` and ``check_earlier``; ``FED-533``, an intersection that is used is too small.
    """
    runs = (
        plan if again is None else replace(plan, steps={name: plan.steps[name] for name in plan.steps if name in again})
    )
    earlier = lineage(plan, store)
    policy.check(runs, Catalogue(home.data), earlier if again is None else [plan, *earlier])
    check_earlier(runs, store, home)
    for reader, source in zip((plan, *earlier), earlier, strict=False):
        for name, outputs in earlier_outputs(reader, store).items():
            policy.check_outputs(source.modules.get(name, ""), outputs)


def check_earlier(plan: JobPlan, store: Store, home: PartyHome) -> None:
    """Whether all is there that a member's components read of the earlier job.

    Raises:
        DslError: ``FED-174``, the job is not known here, had other parties, or left something out; names the component.
    """
    if not plan.earlier_job:
        return
    row = store.get(PlanRow, **_earlier(plan).where, member=str(plan.me))
    if row is None:
        raise _refused(plan, "it is not known at this party")
    before = load_plan(row.plan)
    if sorted(before.members) != sorted(plan.members):
        raise _refused(plan, "it had other parties", ", ".join(map(str, before.members)))
    left = {name: load_outputs(body) for name, body in earlier_outputs(plan, store).items()}
    folder = home.job_dir(plan.initiator.party, plan.earlier_job)
    for name, kind, alias in _reads(plan):
        paths = _paths(left.get(name, StepOutputs()), kind, alias)
        if not paths or _module(before, name) != _module(plan, name):
            raise _refused(plan, f"{name} left no {kind} {alias!r} in it at this party")
        if not all((folder / path).is_file() for path in paths):
            raise _refused(plan, f"what {name} left as {kind} {alias!r} in it is gone")


def _earlier(plan: JobPlan) -> Job:
    return Job(plan.initiator.party, plan.earlier_job)


def _reads(plan: JobPlan) -> Iterator[tuple[str, str, str]]:
    """Component, kind and name of every output of the earlier job that the member cannot do without."""
    for step in plan.steps.values():
        if plan.trigger_rules.get(step.component, ALL_SUCCESS) == ALL_SUCCESS:
            refs = [ref for group in step.data.values() for ref in group]
            yield from (
                (r.component, "data", r.alias) for r in refs if r.component and r.component not in plan.all_steps
            )
        for model in (step.model, step.isometric_model):
            if model and not model.stored and model.component not in plan.all_steps:
                yield model.component, "model", model.alias


def _paths(outputs: StepOutputs, kind: str, alias: str) -> list[Path]:
    if kind == "data":
        return [Path(outputs.data[alias].path)] if alias in outputs.data else []
    return [Path(file.path) for file in outputs.model[alias].files.values()] if alias in outputs.model else []


def _module(plan: JobPlan, name: str) -> object:
    components: Mapping[str, Mapping[str, object]] = plan.dsl["components"]
    return components.get(name, {}).get("module")


def _refused(plan: JobPlan, why: str, more: str = "") -> DslError:
    return DslError("FED-174", f"the job cannot go on from job {plan.earlier_job}: {why}", more)
