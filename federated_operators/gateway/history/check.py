"""The history checker: reads what gateways have on disk and says which parts of a job's contract do not hold.

A database that changes while others are read may look as if it disagreed: check gateways that are at rest or stopped,
or look again before believing a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from google.protobuf.message import DecodeError

from federated_operators.gateway.history import attempts, ends, record, slots, steps
from federated_operators.gateway.history.ends import ModelVersion
from federated_operators.gateway.history.facts import Facts, PartyHistory
from federated_operators.gateway.history.job import Finding, JobHistory
from federated_operators.gateway.names import Job
from federated_operators.gateway.plan import load_plan
from federated_operators.gateway.rows import PlanRow
from federated_operators.gateway.runs import RunState

Rule = Callable[[JobHistory], Iterator[Finding]]
RULES: Sequence[Rule] = (
    record.decisions,
    steps.attempts,
    steps.order,
    steps.commit,
    steps.outputs,
    slots.taken,
    attempts.fencing,
    attempts.resume,
    attempts.repeat,
    ends.verdict,
    ends.success,
)


def check(
    parties: Sequence[PartyHistory], runs: Sequence[RunState] = (), versions: Sequence[ModelVersion] = ()
) -> list[Finding]:
    """All findings over the databases of these parties.

    Args:
        runs: states of their schedulers' runs; runs that are not named are not checked.
        versions: versions of models in their registries; jobs without any are not checked.
    """
    found = [finding for party in parties for finding in record.order(party)]
    for job in sorted({job for party in parties for job in party.jobs}):
        found.extend(_check_job(job, parties, runs, versions))
    return found


def _check_job(
    job: Job, parties: Sequence[PartyHistory], runs: Sequence[RunState], versions: Sequence[ModelVersion]
) -> Iterator[Finding]:
    facts = {party.party: party.jobs.get(job, Facts(party.party)) for party in parties}
    plans = [row for known in facts.values() for row in known.all(PlanRow)]
    if not plans:  # never admitted: refusals only
        unplanned = [party for party, known in facts.items() if known.rows]
        if unplanned:
            yield Finding("record", job.initiator, job.job_id, "", unplanned, "rows of a job without a plan")
        return
    history = JobHistory(job, facts, load_plan(plans[0].plan))
    outside: Sequence[Rule] = (lambda it: ends.runs(it, runs), lambda it: ends.models(it, versions))
    for rule in (*RULES, *outside):
        try:
            yield from rule(history)
        except DecodeError as error:
            yield history.finding("record", f"a message in a row cannot be read: {error}", *facts)
