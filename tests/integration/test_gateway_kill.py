"""Gateways and workers killed at the decisions that matter: the job ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import gateway_kit
import pytest
from gateway_kit import ARBITER, EXPECTED, GUEST, HOST, JOB_IDS, MEMBERS, SUM, Parties, Worker, until

from airfed_proto.v1 import job_pb2, local_pb2
from federated_operators.gateway import mailbox
from federated_operators.gateway.mailbox import Mailbox
from federated_operators.gateway.names import CONCLUDE
from federatedml.federation.party import Member

pytestmark = pytest.mark.usefixtures("history")


def workers(parties: Parties, job_id: str, component: str = SUM) -> dict[Member, Worker]:
    return {member: parties.worker(member, component, job_id=job_id) for member in MEMBERS}


def finish(threads: dict[Member, Worker]) -> None:
    for worker in threads.values():
        worker.join(40)
        assert worker.committed is not None, worker.error


def step(parties: Parties, job_id: str) -> local_pb2.StepView:
    view = parties.view(GUEST.party, job_id)
    assert view is not None
    return view.steps[0]


def host_state(parties: Parties, job_id: str) -> int:
    return next((seat.state for seat in step(parties, job_id).members if seat.member.role == "host"), 0)


COORDINATOR = ["present", "start", "prepared", "commit"]
MEMBER = ["worker present", "started", "outputs stored", "committed"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("party", "decision"), [(GUEST.party, name) for name in COORDINATOR] + [(HOST.party, name) for name in MEMBER]
)
def test_a_gateway_that_dies_at_a_decision_changes_nothing(
    parties: Parties, job_id: str, party: str, decision: str, when: str
) -> None:
    parties.processes[party].terminate()
    assert parties.processes[party].wait(10) == 0
    parties.start(party, die=f"{decision} {when}")
    threads = workers(parties, job_id)
    parties.died(party)
    parties.start(party)
    finish(threads)
    assert [worker.total() for worker in threads.values()] == [EXPECTED] * 3
    assert step(parties, job_id).attempt == 1
    finish(workers(parties, job_id, CONCLUDE))
    for member in MEMBERS:
        until(lambda party=member.party: parties.state(party, job_id) == "succeeded")


def test_all_gateways_may_die_in_the_middle_of_an_attempt(parties: Parties, job_id: str) -> None:
    def at(point: str) -> None:
        if point == "round 1":
            for member in MEMBERS:
                parties.kill(member.party)
            parties.start()

    threads = {
        GUEST: parties.worker(GUEST, job_id=job_id, at=at),
        HOST: parties.worker(HOST, job_id=job_id),
        ARBITER: parties.worker(ARBITER, job_id=job_id),
    }
    finish(threads)
    assert [worker.total() for worker in threads.values()] == [EXPECTED] * 3
    assert step(parties, job_id).attempt == 1


def test_messages_go_on_after_a_peers_gateway_came_back(
    parties: Parties, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first message of the new stream is not lost: it would be said again only after a silence, here an hour."""
    monkeypatch.setattr(mailbox, "SILENCE_S", 3600.0)

    def at(point: str) -> None:
        if point == "round 1":
            parties.kill(HOST.party)
            parties.start(HOST.party)

    threads = {
        GUEST: parties.worker(GUEST, job_id=job_id, at=at),
        HOST: parties.worker(HOST, job_id=job_id),
        ARBITER: parties.worker(ARBITER, job_id=job_id),
    }
    finish(threads)
    assert [worker.total() for worker in threads.values()] == [EXPECTED] * 3
    assert step(parties, job_id).attempt == 1


@pytest.mark.parametrize("member", MEMBERS)
def test_a_killed_worker_ends_the_attempt_for_all_and_all_resume_from_the_common_checkpoint(
    parties: Parties, job_id: str, member: Member
) -> None:
    home = parties.homes[member.party].root
    command = [sys.executable, gateway_kit.__file__, "work", str(home), job_id, SUM, str(member), "round 2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        threads = {other: parties.worker(other, job_id=job_id) for other in MEMBERS if other != member}
        assert victim.stdout is not None
        assert victim.stdout.readline() == "round 2\n"
        until(lambda: stored_everywhere(parties, job_id) >= 1)
        os.kill(victim.pid, signal.SIGKILL)
    threads[member] = parties.worker(member, job_id=job_id)
    finish(threads)
    assert [worker.total() for worker in threads.values()] == [EXPECTED] * 3
    for worker in threads.values():
        assert worker.starts[-1].step.attempt == 2
        assert worker.starts[-1].resume_from.attempt == 1
        assert worker.starts[-1].resume_from.round >= 1
    rounds = {(w.starts[-1].resume_from.attempt, w.starts[-1].resume_from.round) for w in threads.values()}
    assert len(rounds) == 1


def stored_everywhere(parties: Parties, job_id: str) -> int:
    """Newest round of which every member has a file."""
    newest = []
    for member in MEMBERS:
        folder = parties.homes[member.party].job_dir(GUEST.party, job_id) / SUM / member.role / "g1/a1/ckpt"
        newest.append(max((int(path.name) for path in folder.glob("[0-9]*") if path.suffix == ""), default=-1))
    return min(newest)


def test_of_two_processes_of_one_task_the_later_one_stays(parties: Parties, job_id: str) -> None:
    first = parties.worker(HOST, job_id=job_id)
    until(lambda: host_state(parties, job_id) == job_pb2.PRESENT)
    second = parties.worker(HOST, job_id=job_id)
    first.join(20)
    assert first.error is not None
    assert "took this one's place" in str(first.error)
    finish({HOST: second, **{m: parties.worker(m, job_id=job_id) for m in (GUEST, ARBITER)}})
    assert second.total() == EXPECTED


def test_outputs_that_were_stored_survive_their_process(parties: Parties, job_id: str) -> None:
    home = parties.homes[HOST.party].root
    command = [sys.executable, gateway_kit.__file__, "work", str(home), job_id, SUM, str(HOST), ""]
    slow = parties.worker(GUEST, job_id=job_id, at=lambda point: gate(point, parties, job_id))
    other = parties.worker(ARBITER, job_id=job_id)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        until(lambda: host_state(parties, job_id) == job_pb2.PREPARED)
        victim.kill()
    again = parties.worker(HOST, job_id=job_id)
    (parties.root / f"open {job_id}").touch()
    finish({GUEST: slow, ARBITER: other, HOST: again})
    assert again.total() == EXPECTED
    assert again.starts == []
    assert step(parties, job_id).attempt == 1


def gate(point: str, parties: Parties, job_id: str) -> None:
    if point == "prepared":
        until((Path(parties.root) / f"open {job_id}").exists)


def test_too_many_lost_processes_end_the_job(parties: Parties, job_id: str) -> None:
    waiting = parties.worker(GUEST, job_id=job_id)
    for lost in range(6):
        victim = parties.worker(HOST, job_id=job_id)
        until(lambda: host_state(parties, job_id) == job_pb2.PRESENT)
        victim.session.close()
        until(lambda: host_state(parties, job_id) != job_pb2.PRESENT or parties.state(job_id=job_id) == "failed")
        assert lost == 5 or parties.state(GUEST.party, job_id) == "running"
    waiting.join(20)
    assert waiting.error is not None
    assert "processes were lost" in str(waiting.error)


def test_a_party_that_stays_silent_ends_the_job(tmp_path: Path) -> None:
    made = Parties(tmp_path, peer_timeout=2.0)
    made.start()
    job_id = str(next(JOB_IDS))
    made.federate(job_id)
    waiting = [made.worker(member, job_id=job_id) for member in (GUEST, ARBITER)]
    made.kill(HOST.party)
    for worker in waiting:
        worker.join(30)
        assert worker.error is not None
        assert "party 10000 has not answered" in str(worker.error)
    made.start(HOST.party)
    until(lambda: made.state(HOST.party, job_id) == "failed")
    made.history_holds()
    made.stop()


def test_a_restart_after_a_long_silence_is_a_reconnect(parties: Parties, job_id: str) -> None:
    """The patience of a worker counts from the loss of its gateway, not from its gateway's last word."""
    patience = 20.0  # in which a gateway starts again, on a machine that is busy
    waiting = Worker(parties.homes[HOST.party], HOST, SUM, job_id)
    waiting.session._patience = patience
    waiting.start()
    until(lambda: host_state(parties, job_id) == job_pb2.PRESENT)
    silent = time.monotonic()
    until(lambda: time.monotonic() > silent + patience)
    parties.kill(HOST.party)
    parties.start(HOST.party)  # takes long enough for the worker to try in vain
    finish({HOST: waiting, **{m: parties.worker(m, job_id=job_id) for m in (GUEST, ARBITER)}})
    assert waiting.total() == EXPECTED
    assert step(parties, job_id).attempt == 1


def test_a_worker_that_cannot_take_a_message_ends_instead_of_waiting_for_ever(
    parties: Parties, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(mailbox: Mailbox, key: object, chunk: object) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Mailbox, "_take", full_disk)
    threads = workers(parties, job_id)
    threads[HOST].join(20)
    assert threads[HOST].error is not None
    assert threads[HOST].error.code == "FED-431"
    assert threads[HOST].error.retryable
    for worker in threads.values():
        worker.session.close()
