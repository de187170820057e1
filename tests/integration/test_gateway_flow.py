"""Large messages through two gateways: what waits has an end, and one peer that takes nothing stops nobody else."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from gateway_kit import ARBITER, GUEST, HOST, MEMBERS, SUM, Parties, until

from airfed_proto.v1 import local_pb2
from federated_operators.gateway.limits import MIB, Limits
from federated_operators.gateway.names import Job, member_pb
from federated_operators.gateway.worker import WorkerSession
from federatedml.errors import AttemptEnded
from federatedml.federation.box import MessageKey
from federatedml.federation.checkpoint import Checkpoint
from federatedml.federation.party import Member

LIMITS = Limits(window=8 * MIB, unacknowledged=1024 * MIB)
BODY = os.urandom(MIB) * 32


@contextmanager
def joined(parties: Parties, job_id: str) -> Iterator[dict[Member, WorkerSession]]:
    """All members' sessions in an attempt of their step."""
    sessions = {}
    for member in MEMBERS:
        join = local_pb2.Join(
            job=Job(GUEST.party, job_id).key(),
            component=SUM,
            member=member_pb(member),
            task_instance_id=f"{member} {job_id}",
            conf_digest=b"digest",
            component_version="1",
        )
        sessions[member] = WorkerSession(parties.homes[member.party].worker_socket, join, limits=LIMITS)
    starting = [threading.Thread(target=session.join) for session in sessions.values()]
    for each in starting:
        each.start()
    for each in starting:
        each.join(30)
    try:
        yield sessions
    finally:
        for session in sessions.values():
            session.close()


@pytest.fixture
def sessions(parties: Parties, job_id: str) -> Iterator[dict[Member, WorkerSession]]:
    with joined(parties, job_id) as found:
        yield found


def key(to: Member, round: int = 0) -> MessageKey:
    return MessageKey("bulk", round, GUEST, to)


def resident(parties: Parties, party: str) -> int:
    """Bytes."""
    pages = Path(f"/proc/{parties.processes[party].pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def test_a_peer_that_takes_nothing_stops_no_other_and_fills_no_memory(
    parties: Parties, sessions: dict[Member, WorkerSession], job_id: str
) -> None:
    before, stalled = resident(parties, GUEST.party), parties.processes[HOST.party]
    stalled.send_signal(signal.SIGSTOP)
    try:
        for round in range(8):
            sessions[GUEST].transport.send(key(HOST, round), BODY)
        sessions[GUEST].transport.send(key(ARBITER), BODY)
        assert sessions[ARBITER].transport.recv(key(ARBITER)) == BODY
        sessions[GUEST].checkpoint(Checkpoint(1, 7, b"", {}))
        sessions[GUEST].progress(0.5, "half")
        until(lambda: traffic(parties, job_id, GUEST).text == "half")
        assert resident(parties, GUEST.party) - before < 64 * MIB  # 256 MiB are sent
    finally:
        stalled.send_signal(signal.SIGCONT)
    for round in range(8):
        assert sessions[HOST].transport.recv(key(HOST, round)) == BODY


def traffic(parties: Parties, job_id: str, member: Member) -> local_pb2.MemberStep:
    view = parties.view(member.party, job_id)
    assert view is not None
    return next(found for found in view.steps[0].members if found.member == member_pb(member))


def test_own_people_see_how_many_bytes_have_moved(
    parties: Parties, sessions: dict[Member, WorkerSession], job_id: str
) -> None:
    sessions[GUEST].transport.send(key(HOST), BODY)
    sessions[HOST].transport.recv(key(HOST))
    assert traffic(parties, job_id, GUEST).bytes_sent == len(BODY)
    assert traffic(parties, job_id, HOST).bytes_received == len(BODY)
    view = parties.view(GUEST.party, job_id)
    assert view is not None
    others = [found for found in view.steps[0].members if found.member != member_pb(GUEST)]
    assert not any(found.bytes_sent or found.bytes_received for found in others)


def test_a_large_message_goes_on_where_it_was_when_a_gateway_dies(
    parties: Parties, sessions: dict[Member, WorkerSession]
) -> None:
    sessions[GUEST].transport.send(key(HOST), BODY)
    parties.kill(HOST.party)
    parties.start(HOST.party)
    sessions[GUEST].transport.send(key(HOST, 1), BODY)
    parties.kill(GUEST.party)
    parties.start(GUEST.party)
    for round in (0, 1):
        assert sessions[HOST].transport.recv(key(HOST, round)) == BODY


def test_who_waits_for_room_is_woken_when_the_attempt_ends(
    parties: Parties, sessions: dict[Member, WorkerSession]
) -> None:
    parties.processes[HOST.party].send_signal(signal.SIGSTOP)
    ended: list[AttemptEnded] = []

    def fill() -> None:
        try:
            for round in range(100):
                sessions[GUEST].transport.send(key(HOST, round), BODY)
        except AttemptEnded as error:
            ended.append(error)

    waiting = threading.Thread(target=fill)
    waiting.start()
    try:
        mailbox = sessions[GUEST]._mailbox
        assert mailbox is not None
        until(lambda: mailbox._waiting == 1)
        mailbox.end(AttemptEnded("over"))
        waiting.join(20)
        assert len(ended) == 1
    finally:
        parties.processes[HOST.party].send_signal(signal.SIGCONT)
