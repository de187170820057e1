"""Whether a job ended as it must: the history of all gateways holds, runs show the verdict, results are the same."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airfed.demo_parties import PARTIES
from airfed_proto.v1 import job_pb2
from benchmarks.three import Pipeline
from federated_operators.gateway.history.check import check
from federated_operators.gateway.history.facts import Facts, PartyHistory, read_party
from federated_operators.gateway.names import CONCLUDE, Job
from federated_operators.gateway.rows import OutputRow, VerdictRow
from federated_operators.gateway.runs import Run, RunState
from federated_operators.outputs import StepOutputs, load_outputs
from federated_operators.registry.models import TAG_JOB, TAG_PROMOTED
from federated_operators.registry.rest import MlflowRest

REST = 15.0  # seconds until nothing of the job changes any more
Results = Mapping[str, Any]
OVER_JOBS = "equations_of_all_models"  # in a summary: adds up over the jobs before


@dataclass(frozen=True)
class Judgement:
    """What a job is like after its end.

    Attributes:
        verdict: the coordinator's.
        states: of the run at every party.
        findings: of the history checker, and of runs and model versions beside it; empty is good.
        results: of a job that succeeded.
    """

    verdict: str
    states: Mapping[str, str]
    findings: list[str]
    results: Results


def judge(pipeline: Pipeline, job_id: str, states: Mapping[str, str], exact: bool) -> Judgement:
    """Look until the parties are at rest, at most some seconds: a database that still changes disagrees with others.

    Args:
        exact: tables are the same in every run, bit by bit.
    """
    deadline = time.monotonic() + REST
    while True:
        parties = {name: read_party(home.gateway_db, home.config.party_id) for name, home in _homes(pipeline)}
        found = _findings(pipeline, parties, job_id, states)
        if not found or time.monotonic() > deadline:
            break
        time.sleep(0.5)
        states = pipeline.states(job_id)
    facts = {name: _facts(party, job_id) for name, party in parties.items()}
    rows = facts["guest"].all(VerdictRow)
    verdict = job_pb2.Verdict.Name(rows[-1].verdict).lower() if rows else "none"
    return Judgement(verdict, states, found, _results(pipeline, facts, job_id, exact) if not found else {})


def differences(found: Any, expected: Any, tolerance: float, path: str = "") -> list[str]:
    """Where two results differ by more than ``tolerance``; what is not a number must be equal."""
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = sorted({*found, *expected})
        return [line for key in keys for line in _member(found, expected, key, tolerance, f"{path}/{key}")]
    if isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        pairs = enumerate(zip(found, expected, strict=True))
        return [line for at, (a, b) in pairs for line in differences(a, b, tolerance, f"{path}/{at}")]
    if isinstance(expected, float) and isinstance(found, int | float):
        return [] if abs(found - expected) <= tolerance else [f"{path}: {found} instead of {expected}"]
    return [] if found == expected else [f"{path}: {str(found)[:60]} instead of {str(expected)[:60]}"]


def _member(found: dict[str, Any], expected: dict[str, Any], key: str, tolerance: float, path: str) -> list[str]:
    if key not in found or key not in expected:
        return [f"{path} is only in one of the results"]
    return differences(found[key], expected[key], tolerance, path)


def _findings(
    pipeline: Pipeline, parties: Mapping[str, PartyHistory], job_id: str, states: Mapping[str, str]
) -> list[str]:
    runs = [RunState(Run(pipeline.dags[name], job_id), state) for name, state in states.items()]
    found = [str(finding) for finding in check(list(parties.values()), runs) if finding.job_id in (job_id, "")]
    verdicts = {name: len(_facts(party, job_id).all(VerdictRow)) for name, party in parties.items()}
    found += [f"{name} has no verdict" for name, count in verdicts.items() if not count]
    found += [f"the run of {name} is {state}" for name, state in states.items() if state not in ("success", "failed")]
    if len(set(states.values())) > 1:
        found.append(f"runs end differently: {dict(states)}")
    return found


def _results(pipeline: Pipeline, facts: Mapping[str, Facts], job_id: str, exact: bool) -> Results:
    """Per party and component: summary, digests of tables, models; of ``conclude`` how the registry has its model."""
    found: dict[str, Any] = {}
    for name, home in _homes(pipeline):
        folder = home.job_dir(pipeline.parties.homes["guest"].config.party_id, job_id)
        for row in facts[name].all(OutputRow):
            if row.component == CONCLUDE:
                found[f"{name}/model"] = _registered(home.mlflow_url, json.loads(row.outputs), job_id)
            else:
                outputs = load_outputs(row.outputs)
                found[f"{name}/{row.component}"] = {
                    "summary": {key: value for key, value in outputs.summary.items() if key != OVER_JOBS},
                    "rows": {alias: table.rows for alias, table in outputs.data.items()},
                    "digests": {alias: table.digest for alias, table in outputs.data.items() if exact},
                    "models": _models(folder, outputs),
                }
    return found


def _models(folder: Any, outputs: StepOutputs) -> Any:
    files = {name: file.path for model in outputs.model.values() for name, file in model.files.items()}
    return {name: json.loads((folder / path).with_suffix(".json").read_bytes()) for name, path in files.items()}


def _registered(url: str, outputs: Mapping[str, Any], job_id: str) -> Any:
    if "registered" not in outputs:
        return None
    with MlflowRest(url) as rest:
        versions = rest.search_versions(outputs["registered"]["name"], {TAG_JOB: job_id})
    return [version.tags.get(TAG_PROMOTED, "") for version in versions]


def _homes(pipeline: Pipeline) -> list[tuple[str, Any]]:
    return [(name, pipeline.parties.homes[name]) for name in PARTIES]


def _facts(party: PartyHistory, job_id: str) -> Facts:
    return next((facts for job, facts in party.jobs.items() if job == _key(job, job_id)), Facts(party.party))


def _key(job: Job, job_id: str) -> Job:
    return Job(job.initiator, job_id)
