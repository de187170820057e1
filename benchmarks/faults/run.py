"""One trial at parties that run: a job, a fault at its moment, what it took to recover, how the job ended."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

from airfed.demo_parties import PARTIES
from benchmarks.faults import victims
from benchmarks.faults.doors import Network
from benchmarks.faults.judge import Results, differences, judge
from benchmarks.faults.trial import CONCLUDE, PHASES, Trial
from benchmarks.faults.victims import Killed
from benchmarks.three import Pipeline
from benchmarks.timeline import Entry, entries, timeline
from federatedml.federation.home import PartyHome

CUT_SECONDS = 60.0
PATIENCE = 420.0  # seconds for a job with faults
GLANCE = 0.01
TASK_PATIENCE = 20.0  # until there is a task process to kill
TOLERANCE = {"chain": 0.0, "lr": 2.0**-10}
SUPERVISED = ("gateway", "scheduler", "api-server")
LOSS = ("lost", "worker lost", "end attempt")


@dataclass(frozen=True)
class Reference:
    """An undisturbed job: how long it took, what each gateway recorded of it, its results."""

    took: float
    records: Mapping[str, Sequence[Entry]]
    results: Results


@dataclass
class Outcome:
    """What is kept of a trial."""

    trial: Trial
    job_id: str = ""
    point: str = ""
    killed: list[Killed] = field(default_factory=list)
    missed: str = ""
    noticed: float | None = None
    again: float | None = None
    took: float = 0.0
    states: Mapping[str, str] = field(default_factory=dict)
    verdict: str = ""
    findings: Sequence[str] = ()
    differences: Sequence[str] = ()
    attempts: int = 0

    @property
    def consistent(self) -> bool:
        """Whether all parties agree about everything."""
        return not self.findings

    @property
    def equal(self) -> bool:
        """Whether the job succeeded with the results of an undisturbed one."""
        return self.consistent and set(self.states.values()) == {"success"} and not self.differences


def reference(pipeline: Pipeline, tolerance: float) -> Reference:
    """Run a job without faults."""
    done = pipeline.job()
    homes = pipeline.parties.homes
    judged = judge(pipeline, done.job_id, pipeline.states(done.job_id), tolerance == 0.0)
    if judged.findings:
        raise RuntimeError(f"an undisturbed job is not in order: {judged.findings}")
    records = {name: entries(home.gateway_db, done.job_id) for name, home in homes.items()}
    return Reference(done.took, records, judged.results)


def attempt(trial: Trial, pipeline: Pipeline, network: Network, expected: Reference) -> Outcome:
    """Run the trial to the end of its job."""
    homes, tolerance = pipeline.parties.homes, TOLERANCE[trial.job]
    outcome = Outcome(trial)
    begun = time.monotonic()
    outcome.job_id = pipeline.submit()
    outcome.point = _wait_for_moment(trial, homes, outcome.job_id, expected, begun)
    with _fault(trial, homes, network, outcome):
        watchers = _watch(homes, outcome.killed)
        if trial.again and outcome.killed:
            _second(trial, homes, outcome)
            watchers += _watch(homes, outcome.killed[1:])
        if trial.kind == "cut":
            time.sleep(CUT_SECONDS)
    outcome.states = pipeline.ends(outcome.job_id, PATIENCE)
    outcome.took = time.monotonic() - begun
    for watcher in watchers:
        watcher.join()
    _recovery(outcome, homes)
    judged = judge(pipeline, outcome.job_id, outcome.states, tolerance == 0.0)
    outcome.states, outcome.verdict, outcome.findings = judged.states, judged.verdict, judged.findings
    if judged.results:
        outcome.differences = differences(judged.results, expected.results, tolerance)[:20]
    return outcome


def _watch(homes: Mapping[str, PartyHome], killed: Sequence[Killed]) -> list[Thread]:
    return [victims.watch(homes[each.party], each) for each in killed if each.what in SUPERVISED]


def _wait_for_moment(
    trial: Trial, homes: Mapping[str, PartyHome], job_id: str, expected: Reference, begun: float
) -> str:
    """Come back at the moment of the fault; says which it is."""
    if not trial.phase:
        time.sleep(max(0.0, begun + trial.fraction * expected.took - time.monotonic()))
        return f"after {100 * trial.fraction:.0f} % of the usual time"
    places = _places(trial, expected.records[trial.party])
    if not places:
        time.sleep(max(0.0, begun + trial.nth * expected.took - time.monotonic()))
        return f"after {100 * trial.nth:.0f} % of the usual time: {trial.party} records no {trial.phase}"
    event, component = places[int(trial.nth * len(places))]
    with timeline(homes[trial.party].gateway_db, job_id) as record:
        while time.monotonic() - begun < PATIENCE:
            seen = [(entry.event, entry.component) for entry in record.news()]
            if (event, component) in seen or ("verdict carried out", "") in seen:
                break
            time.sleep(GLANCE)
    return f"at {event!r} of {component or 'the job'}"


def _places(trial: Trial, record: Sequence[Entry]) -> list[tuple[str, str]]:
    """Where an undisturbed job records the trial's phase, in order."""
    if trial.phase == CONCLUDE:
        found = [(entry.event, entry.component) for entry in record if entry.component == CONCLUDE]
    else:
        wanted = PHASES[trial.phase]
        found = [(e.event, e.component) for e in record if e.event in wanted and e.component != CONCLUDE]
    return list(dict.fromkeys(found))


def _fault(
    trial: Trial, homes: Mapping[str, PartyHome], network: Network, outcome: Outcome
) -> AbstractContextManager[None]:
    if trial.kind == "cut":
        outcome.killed.append(Killed("cut", trial.party, 0, time.monotonic()))
        return network.cut(trial.party)
    what = "worker" if trial.kind == "worker" else trial.kind
    killed = _kill(homes[trial.party], what, trial.busy)
    if killed:
        outcome.killed.append(killed)
    else:
        outcome.missed = f"{trial.party} has no such process any more"
    return nullcontext()


def _kill(home: PartyHome, what: str, busy: bool) -> Killed | None:
    """Kill one, waiting for it a little; None if there is none."""
    deadline = time.monotonic() + TASK_PATIENCE
    while time.monotonic() < deadline:
        pid = _pid(home, what, busy)
        if pid:
            return victims.kill(home, what, pid)
        time.sleep(GLANCE)
    return None


def _pid(home: PartyHome, what: str, busy: bool) -> int:
    if what in SUPERVISED:
        return victims.supervised(home, what)
    found = victims.tasks(home) if what == "task" else victims.workers(home, busy)
    return random.choice(found).pid if found else 0  # which of them exist is chance already


def _second(trial: Trial, homes: Mapping[str, PartyHome], outcome: Outcome) -> None:
    """Kill something else as soon as somebody begins to recover."""
    first = outcome.killed[0].at
    with timeline(homes["guest"].gateway_db, outcome.job_id) as record:
        while time.monotonic() - first < TASK_PATIENCE:
            news = [entry for entry in record.news() if entry.monotonic > first]
            if any(entry.event in (*LOSS, "opening", "verdict") for entry in news):
                break
            time.sleep(GLANCE)
    what = "task" if trial.kind == "gateway" else "gateway"
    killed = _kill(homes[trial.again], what, busy=True)
    if killed:
        outcome.killed.append(killed)


def _recovery(outcome: Outcome, homes: Mapping[str, PartyHome]) -> None:
    """When the loss was noticed, and when what had been lost ran again."""
    if not outcome.killed:
        return
    first = outcome.killed[0]
    record = [
        entry
        for name in PARTIES
        for entry in entries(homes[name].gateway_db, outcome.job_id)
        if entry.monotonic > first.at
    ]
    record.sort(key=lambda entry: entry.monotonic)
    outcome.attempts = max((entry.attempt for entry in record), default=0)
    loss = next((entry for entry in record if entry.event in LOSS), None)
    outcome.noticed, outcome.again = first.noticed, first.ready
    if loss and first.what not in SUPERVISED:
        outcome.noticed = loss.monotonic - first.at
    if loss and first.what != "gateway":
        starts = (e for e in record if e.event == "start" and e.component == loss.component and e.id)
        start = next((e for e in starts if e.monotonic > loss.monotonic), None)
        outcome.again = start.monotonic - first.at if start else outcome.again


def as_json(outcome: Outcome) -> dict[str, Any]:
    """A line of the results file."""
    trial = outcome.trial
    return {
        "trial": trial.name,
        "kind": trial.kind,
        "job": trial.job,
        "party": trial.party,
        "point": outcome.point,
        "phase": trial.phase or "time",
        "killed": [f"{k.what} of {k.party}" for k in outcome.killed],
        "missed": outcome.missed,
        "job_id": outcome.job_id,
        "consistent": outcome.consistent,
        "equal": outcome.equal,
        "states": dict(outcome.states),
        "findings": list(outcome.findings),
        "differences": list(outcome.differences),
        "noticed": _round(outcome.noticed),
        "again": _round(outcome.again),
        "attempts": outcome.attempts,
        "took": _round(outcome.took),
    }


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
