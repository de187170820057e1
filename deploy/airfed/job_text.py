"""How jobs are written for people, and as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airfed_proto.v1 import job_pb2, local_pb2
from federated_operators.gateway.names import moment, words

OPEN = ("", "proposed", "running", "reopening")  # states of a job that is not over
WORKS = (job_pb2.CALLED, job_pb2.PRESENT, job_pb2.STARTED, job_pb2.PREPARED)


def span(seconds: float) -> str:
    """A duration: ``8.2 s``, ``3 min 5 s``, ``2 h 7 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def took(found: local_pb2.JobView, now: float) -> float:
    """Seconds from the proposal to the verdict, or until now."""
    return max((found.ended_at or now) - found.created_at, 0.0)


def brief(found: local_pb2.JobView, now: float) -> dict[str, Any]:
    """A job as ``job list --json`` shows it."""
    return {
        "job_id": found.job.job_id,
        "state": found.state,
        "pipeline": found.pipeline,
        "initiator": found.job.initiator,
        "created_at": moment(found.created_at),
        "ended_at": moment(found.ended_at),
        "took": round(took(found, now), 3),
        "by": found.by or None,
        "generation": found.generation,
        "waits": waits(found) or None,
        "failure": words(found.failure) if found.HasField("failure") else None,
    }


def row(found: local_pb2.JobView, now: float) -> list[str]:
    """A job as ``job list`` shows it: id, state, pipeline, initiator, created, took, why it waits or failed."""
    created = moment(found.created_at) or "-"
    why = words(found.failure) if found.HasField("failure") else waits(found)
    head = [found.job.job_id, found.state, found.pipeline, found.job.initiator, created, span(took(found, now))]
    return [*head, why]


def waits(found: local_pb2.JobView) -> str:
    """Why a job does not go on: who has not answered, or which step waits for what while none is worked on."""
    if found.state == "proposed":
        return _unanswered(found)
    if found.unanswered:
        return "; ".join(silent_lines(found))
    if any(step.state in WORKS for step in found.steps):
        return ""
    return next((f"{step.component} {step.waits}" for step in found.steps if step.waits.startswith("waits")), "")


def _unanswered(found: local_pb2.JobView) -> str:
    """Whose people are asked; else who is silent; else who has not answered yet."""
    states = {member.party_id: job_pb2.PROPOSED for member in found.members}
    states |= {party: answer.state for party, answer in found.parties.items()}
    asked = sorted(party for party in states if asks_people(found, party))
    new = sorted(party for party, state in states.items() if state == job_pb2.PROPOSED)
    if asked:
        return f"a person is asked at party {', '.join(asked)}"
    if found.unanswered:
        return "; ".join(silent_lines(found))
    return f"no answer yet of party {', '.join(new)}" if new else ""


def asks_people(found: local_pb2.JobView, party: str) -> bool:
    """Whether a party's people decide; one that is pending with a failure waits for its scheduler."""
    known = found.parties.get(party)
    return known is not None and known.state == job_pb2.PENDING and not known.HasField("failure")


def answers(found: local_pb2.JobView) -> dict[str, dict[str, str | None]]:
    """Party -> its answer to the proposal, since when it is silent or pending, and why it refuses or is silent."""
    return {
        party: {
            "state": job_pb2.ProposalState.Name(known.state).lower(),
            "unanswered_since": moment(found.unanswered.get(party, 0.0)),
            "failure": words(known.failure) if known.HasField("failure") else None,
        }
        for party, known in sorted(found.parties.items())
    }


def answer(found: local_pb2.JobView, party: str) -> str:
    """A party's answer: ``enrolled``, ``proposed, silent since 2026-07-28T12:00:05Z: [FED-401] it does not answer``."""
    known = answers(found).get(party)
    if known is None:  # the initiator, which is not asked, as its peers see it
        return f"silent since {moment(found.unanswered[party])}"
    silent = "" if known["state"] == "pending" else ", silent"
    since = f"{silent} since {known['unanswered_since']}" if known["unanswered_since"] else ""
    return f"{known['state']}{since}{': ' if known['failure'] else ''}{known['failure'] or ''}"


def party_lines(found: local_pb2.JobView) -> list[str]:
    """Where each party watches a job, or its answer as long as it does not run there."""
    runs = {party for party, known in found.parties.items() if known.state == job_pb2.ENROLLED}
    pages = {party: found.parties[party].run_url or "no page yet" for party in runs - found.unanswered.keys()}
    known = sorted({*found.parties, *found.unanswered})
    return [f"party {party}: {pages.get(party) or answer(found, party)}" for party in known]


def silent_lines(found: local_pb2.JobView) -> list[str]:
    """Parties that do not answer the proposal, or nothing at all."""
    return [f"party {party}: {answer(found, party)}" for party in sorted(found.unanswered)]


def verdict(found: local_pb2.JobView) -> str:
    """One line: what became of the job, who ended it, why."""
    by = f" by {found.by}" if found.by else ""
    why = f": {words(found.failure)}" if found.HasField("failure") else ""
    return f"job {found.job.job_id}: {found.state.replace('_', ' ')}{by}{why}"


def steps(found: local_pb2.JobView) -> list[list[str]]:
    """Rows of a job's components and members: component, module, member, state, generation, attempt, done, doing."""
    return [row for step in found.steps for row in _step(step)]


def _step(step: local_pb2.StepView) -> list[list[str]]:
    """One row per member; one for all while no member is known."""
    head, generation = [step.component, step.module], str(step.generation)
    if not step.members:
        name = job_pb2.StepState.Name(step.state) if step.state else "-"
        return [[*head, "-", name, generation, "-", "-", step.waits]] if step.state or step.waits else []
    return [
        [
            *head,
            f"{member.member.role}_{member.member.party_id}",
            job_pb2.StepState.Name(member.state),
            generation,
            str(member.attempt),
            f"{member.progress:.0%}",
            doing(member) or step.waits,
        ]
        for member in step.members
    ]


def doing(member: local_pb2.MemberStep) -> str:
    """What a member says that it does, and what it has sent and received; bytes are known of own members only."""
    traffic = [
        f"{count / 1e6:.1f} MB {way}" for way, count in (("out", member.bytes_sent), ("in", member.bytes_received))
    ]
    moved = ", ".join(traffic) if member.bytes_sent or member.bytes_received else ""
    return ", ".join(part for part in (member.text, moved) if part)


def log_lines(entry: Mapping[str, Any]) -> list[str]:
    """An entry of a task's log as lines: time, level, text; below it the errors that it tells of."""
    head = [str(entry.get("timestamp") or "")[:23].replace("T", " "), str(entry.get("level") or "")]
    first, *rest = str(entry.get("event", "")).expandtabs().splitlines() or [""]
    errors = [f"    {error.get('exc_type')}: {error.get('exc_value')}" for error in entry.get("error_detail") or ()]
    return ["  ".join([*(part for part in head if part), first]), *rest, *errors]
