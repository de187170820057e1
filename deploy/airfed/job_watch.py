"""Watch a job at its party's gateway: until all have answered, until it has its verdict, on a board."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from airfed.console import one_line
from airfed.demo_screen import Board, Screen
from airfed.job import Submitted, session, view
from airfed.job_text import OPEN, answer, asks_people, doing
from airfed_proto.v1 import job_pb2, local_pb2
from dags_generator.spec import PipelineSpec
from federatedml.errors import FedError
from federatedml.federation.home import PartyHome

POLL = 0.2  # seconds
CHECK = 2.0  # seconds between two questions whether a job that is not known yet still can be
ADMISSION = 300.0  # seconds: parties that are not silent have 30 to accept and 75 to enrol, on a busy machine again
SILENT = 10.0  # seconds after which a party that does not answer is an answer, too
PROPOSAL = "(proposal)"  # row of a board; no component has such a name
Seen = Callable[[local_pb2.JobView], bool]


def known(home: PartyHome, job_id: str) -> local_pb2.JobView | None:
    """The job, or None while its first task has not yet told the gateway, or that is busy."""
    try:
        return view(home, job_id)
    except FedError as error:
        if error.code == "FED-924" or error.retryable:
            return None
        raise


def watch(home: PartyHome, job_id: str, enough: Seen, timeout: float, began: Callable[[], None]) -> local_pb2.JobView:
    """Look at a job until ``enough`` or for ``timeout`` seconds; what was seen last.

    Args:
        began: asked as long as nothing is known; raises if nothing will be.
    """
    deadline, check = time.monotonic() + timeout, time.monotonic() + CHECK
    last = local_pb2.JobView()
    while True:
        found = known(home, job_id)
        last = found or last
        if not last.state and time.monotonic() > check:
            began()
            check = time.monotonic() + CHECK
        if (found and enough(found)) or time.monotonic() > deadline:
            return last
        time.sleep(POLL)


def has_ended(found: local_pb2.JobView) -> bool:
    """Whether it has its verdict."""
    return found.state not in OPEN


def is_answered(found: local_pb2.JobView) -> bool:
    """Whether all parties run it, or a person has to be asked first, or one does not answer, or it has ended."""
    states = {party: answer.state for party, answer in found.parties.items()}
    members = {member.party_id for member in found.members}
    if any(asks_people(found, party) for party in members) or has_ended(found):
        return True
    silent = any(time.time() - since >= SILENT for since in found.unanswered.values())
    return silent or {states.get(party) for party in members} == {job_pb2.ENROLLED}


def answered(home: PartyHome, job: Submitted) -> local_pb2.JobView:
    """A job that was just started, as soon as the parties have answered, or one is silent."""
    return watch(home, job.job_id, is_answered, ADMISSION, lambda: check_began(home, job))


def follow(home: PartyHome, job: Submitted, screen: Screen, timeout: float = math.inf) -> local_pb2.JobView:
    """Show every component at every party until the job has its verdict.

    Raises:
        FedError: it never began, or has no verdict in time.
    """
    with screen.board(f"Job {job.job_id}", titles(job.spec)) as board:
        last = show_until(home, job.job_id, board, has_ended, timeout, lambda: check_began(home, job))
    if not has_ended(last):
        raise FedError("FED-929", f"job {job.job_id} has no verdict after {timeout:.0f} s", f"logs: {home.logs}")
    return last


def show_until(
    home: PartyHome, job_id: str, board: Board, enough: Seen, timeout: float, began: Callable[[], None] = lambda: None
) -> local_pb2.JobView:
    """``watch``, on a board, with answers to the proposal if one was long in coming."""
    late = False

    def look(found: local_pb2.JobView) -> bool:
        nonlocal late
        late = late or bool(found.unanswered)
        board.show((proposal_cells(found) if late else {}) | cells(found))
        return enough(found)

    return watch(home, job_id, look, timeout, began)


def check_began(home: PartyHome, job: Submitted) -> None:
    """``FedError`` if the run ended before it told the gateway of a job."""
    try:
        with session(home) as airflow:
            state = airflow.run(job.dag_id, job.job_id)["state"]
    except FedError as error:
        if error.code == "FED-920":  # it restarts
            return
        raise
    if state == "failed":
        raise FedError("FED-937", f"job {job.job_id} ended before it was proposed", "airfed job logs says why")


def titles(spec: PipelineSpec) -> list[str]:
    """A board's columns: the members."""
    return [title(str(member.role), member.party) for member in spec.parties.members]


def cells(found: local_pb2.JobView) -> dict[tuple[str, str], str]:
    """A board's cells: (component, member) -> state."""
    return {
        (step.component, title(each.member.role, each.member.party_id)): _state(step, each)
        for step in found.steps
        for each in step.members
    }


def proposal_cells(found: local_pb2.JobView) -> dict[tuple[str, str], str]:
    """Cells of a board's first row: member -> its party's answer to the proposal."""
    return {
        (PROPOSAL, title(member.role, member.party_id)): one_line(answer(found, member.party_id))
        for member in found.members
        if member.party_id in found.parties
    }


def title(role: str, party: str) -> str:
    """A member's column."""
    return f"{role} {party}"


def _state(step: local_pb2.StepView, member: local_pb2.MemberStep) -> str:
    """``started (attempt 2) 40% epoch 3``, ``waits for host 10000``."""
    name = job_pb2.StepState.Name(member.state).lower()
    if member.state == job_pb2.WAITED and step.waits:
        return one_line(step.waits)
    again = f" (attempt {member.attempt})" if member.attempt > 1 else ""
    text = doing(member)
    works = member.state == job_pb2.STARTED and (member.progress or text)
    return one_line(f"{name}{again} {member.progress:.0%} {text}").rstrip() if works else f"{name}{again}"
