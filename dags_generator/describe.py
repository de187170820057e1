"""A pipeline for people, before it runs: who does what, with which parameters, and who learns what."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from dags_generator.plan import disclosure, running
from dags_generator.predict import check_predict
from dags_generator.spec import ComponentSpec, Graph, PipelineSpec, dag_id
from dags_generator.where import Where
from federated_operators.gateway.plan import ALL_DONE, ALL_SUCCESS, ONE_SUCCESS
from federatedml.component import component
from federatedml.errors import DslError
from federatedml.federation.party import Member

RULES = {
    ALL_SUCCESS: "",
    ALL_DONE: "; all_done: also if some of its inputs failed",
    ONE_SUCCESS: "; one_success: as soon as one of its inputs is there",
}


def plan_json(spec: PipelineSpec) -> dict[str, Any]:
    """All that ``airfed plan`` knows, as plain JSON."""
    return {
        "pipeline": spec.pipeline,
        "spec_digest": spec.graph.digest,
        "initiator": str(spec.parties.initiator),
        "job_type": spec.job_type,
        "model_key": spec.model_key,
        "source": None if spec.job.source is None else asdict(spec.job.source),
        "schedule": str(spec.schedule) if spec.schedule else None,
        "timeout": spec.job.timeout,
        "task_timeout": dict(spec.job.task_timeouts),
        "auto_retries": dict(spec.job.auto_retries),
        "members": {str(member): _member(spec, member) for member in spec.parties.members},
        "specified_task_run": asdict(spec.job.specified) if spec.job.specified else None,
        "disclosure": disclosure(spec),
        "budgets": budgets(spec),
        "predict_dsl": spec.graph.inference_dsl,
        "predict_problem": _predict_problem(spec.graph),
        "notes": list(spec.notes),
    }


def plan_text(spec: PipelineSpec) -> str:
    """The plan as text: per member its chain with effective parameters, then the disclosure and the predict DSL."""
    limit = f"at most {spec.job.timeout:g} s"
    lines = [f"{spec.pipeline}: started by {spec.parties.initiator}, {_about(spec)}, {limit}"]
    lines += [f"started by itself: {spec.schedule}"] if spec.schedule else []
    if chosen := spec.job.specified:
        lines.append(f"only {', '.join(chosen.components)}, on what job {chosen.job_id} left of the others")
    for member in spec.parties.members:
        lines += ["", f"{member} runs {dag_id(spec.pipeline, spec.parties.initiator, member)}"]
        lines += [f"  {key}: {table}" for key, table in spec.tables[member].items()]
        for step in _run_by(spec, member):
            lines.append(f"  {step.name} ({step.module}){_after(spec.graph, step, member)}{_limits(spec, step)}")
            lines += [
                f"    {name} = {value!r}{'  (auto)' if _by_auto(spec, step, name, value) else ''}"
                for name, value in _params(spec, step, member)
            ]
    lines += ["", "Who learns what:", *(f"  {line}" for line in learned(spec))]
    if counted := budgets(spec):
        lines += ["", "Counted over jobs by every party (policy.yaml, budgets):"]
        lines += [f"  {name}: {', '.join(kinds)}" for name, kinds in counted.items()]
    lines += [f"Note: {note}" for note in spec.notes]
    return "\n".join([*lines, "", *_predict(spec.graph)]) + "\n"


def _about(spec: PipelineSpec) -> str:
    source = spec.job.source
    if source is None:
        return f"model key {spec.model_key}"
    return f"predicts with {source.model_id}, {source.model_version or 'the version that is product'}"


def budgets(spec: PipelineSpec) -> dict[str, list[str]]:
    """The budgets that components spend from, if they spend from any."""
    kinds = {name: list(running(spec, step).spends) for name, step in spec.running.items()}
    return {name: spent for name, spent in kinds.items() if spent}


def learned(spec: PipelineSpec) -> Iterable[str]:
    """The disclosure as sentences."""
    for name, step in spec.running.items():
        module = running(spec, step)
        for topic in module.topics:
            to = _and(topic.to)
            yield f"{name}: {_and(topic.source)} -> {to}: {topic.carries}; {to} learns {topic.learns}"
        for role, sentences in sorted(module.learns.items()):
            yield from (f"{name}: its output tells {role}: {sentence}" for sentence in sentences)


def document(graph: Graph, member: Member) -> str:
    """The pipeline as Markdown for one member's DAG: parties, chain, disclosure."""
    initiator = graph.parties.initiator
    start = "Trigger it here." if member == initiator else f"It is started by {initiator.role} {initiator.party}."
    chain = [
        f"1. `{step.name}` {component(step.module).title}{_after(graph, step, member)}" for step in graph.of(member)
    ]
    return "\n".join(
        [
            f"**{graph.pipeline}** as {member.role} {member.party}. {start}",
            "",
            "| role | parties |",
            "|---|---|",
            *(f"| {role} | {', '.join(ids)} |" for role, ids in graph.parties.role.items()),
            "",
            *chain,
            "",
            "### Who learns what",
            "",
            "| component | message | from | to | carries | receiver learns |",
            "|---|---|---|---|---|---|",
            *_rows(graph),
            "",
            "Of a component with several methods, whose names begin messages, those of the chosen one are sent.",
            "",
            f"Specification {graph.digest[:12]}, equal at all parties",
        ]
    )


def _rows(graph: Graph) -> Iterable[str]:
    for name, spec in graph.components.items():
        module = component(spec.module, spec.predicts)
        for topic in module.topics:
            cells = [name, topic.name, _and(topic.source), _and(topic.to), str(topic.carries), topic.learns]
            yield _row(cells)
        for role, sentences in sorted(module.learns.items()):
            yield from (_row([name, "output", "", str(role), "result", sentence]) for sentence in sentences)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _and(roles: Iterable[object]) -> str:
    return " and ".join(map(str, roles))


def _after(graph: Graph, step: ComponentSpec, member: Member) -> str:
    upstream = graph.upstream_of(step, member)
    return (f", after {', '.join(upstream)}" if upstream else "") + RULES[step.trigger_rule]


def _limits(spec: PipelineSpec, step: ComponentSpec) -> str:
    seconds, retries = spec.job.task_timeouts.get(step.name), spec.job.auto_retries.get(step.name)
    found = [f"at most {seconds:g} s" if seconds else "", f"auto_retries {retries}" if retries else ""]
    return "".join(f", {text}" for text in found if text)


def _predict(graph: Graph) -> Iterable[str]:
    """The predict DSL as JSON with one line per component."""
    problem = _predict_problem(graph)
    if graph.inference_dsl:
        components = [
            f"    {json.dumps(key)}: {json.dumps(body)}" for key, body in graph.inference_dsl["components"].items()
        ]
        yield from ("Predict DSL, stored with the model:", '  {"components": {', ",\n".join(components), "  }}")
    if problem:
        yield f"It cannot predict: {problem}"


def _predict_problem(graph: Graph) -> str | None:
    """Why the trained pipeline could not run as a predict job, or None."""
    if graph.predicts:
        return None
    try:
        check_predict(graph, Where("predict DSL"))
    except DslError as error:
        return str(error)
    return None


def _run_by(spec: PipelineSpec, member: Member) -> list[ComponentSpec]:
    return [step for step in spec.running.values() if member in step.members]


def _params(spec: PipelineSpec, step: ComponentSpec, member: Member) -> Iterable[tuple[str, Any]]:
    return spec.params[step.name][member].items()


def _by_auto(spec: PipelineSpec, step: ComponentSpec, name: str, value: Any) -> bool:
    """Whether ``value`` is where a choice of ``auto`` went."""
    given = spec.conf.get("algorithm_parameters", {}).get(step.name, {})
    asked = given.get(name, component(step.module).params.model_fields[name].default)
    return bool(asked == "auto" and value != "auto")


def _member(spec: PipelineSpec, member: Member) -> dict[str, Any]:
    return {
        "dag_id": dag_id(spec.pipeline, spec.parties.initiator, member),
        "tables": {key: str(table) for key, table in spec.tables[member].items()},
        "components": {
            step.name: {
                "module": step.module,
                "version": step.version,
                "members": [str(other) for other in step.members],
                "upstream": spec.graph.upstream_of(step, member),
                "trigger_rule": step.trigger_rule,
                "params": dict(_params(spec, step, member)),
                "auto": [name for name, value in _params(spec, step, member) if _by_auto(spec, step, name, value)],
            }
            for step in _run_by(spec, member)
        },
    }
