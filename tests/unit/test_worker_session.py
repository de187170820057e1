"""A task process's session without a gateway: what it says of an attempt that is over."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import local_pb2
from federated_operators.gateway import worker
from federated_operators.gateway.names import Job, member_pb
from federated_operators.gateway.worker import WorkerSession
from federated_operators.step import Clock, Seat, until_committed
from federatedml.errors import AttemptEnded, DataError, FedError, PeerError
from federatedml.federation.checkpoint import Checkpoint
from federatedml.federation.home import PartyHome
from tests.members import GUEST

JOB = Job(GUEST.party, "20260728120000000001").key()
WITHIN_S = 60.0


@pytest.fixture
def session() -> WorkerSession:
    """Its first attempt has ended, and the second one has started before the process looked."""
    made = WorkerSession(Path("none"), local_pb2.Join(job=JOB, component="lr_0", member=member_pb(GUEST)))
    for attempt in (1, 2):
        step = pb.StepKey(job=JOB, component="lr_0", generation=1, attempt=attempt)
        made._on(local_pb2.GatewayFrame(start=local_pb2.Start(step=step)))
        if attempt == 1:
            made._on(local_pb2.GatewayFrame(end_attempt=local_pb2.EndAttempt(step=step)))
    return made


def test_outputs_of_an_attempt_that_ended_are_not_those_of_the_next(session: WorkerSession) -> None:
    with pytest.raises(AttemptEnded):
        session.prepared(b"of the first attempt")
    with pytest.raises(AttemptEnded):
        session.failed("FED-601", "in the first attempt")
    session.checkpoint(Checkpoint(1, 0, b"", {}))
    assert session._said == []


def test_the_next_attempt_is_heard_once_it_is_joined(session: WorkerSession) -> None:
    session._ended = None
    session.checkpoint(Checkpoint(2, 0, b"", {}))
    assert [frame.checkpoint.attempt for frame in session._said] == [2]


class Trying:
    """A role function that fails in its first attempt; what the gateway says is said by hand."""

    def __init__(self, root: Path, retries: int) -> None:
        join = local_pb2.Join(job=JOB, component="lr_0", member=member_pb(GUEST))
        self.session = WorkerSession(root / "none", join)
        self.retries, self.raised, self.committed = retries, list[BaseException](), list[local_pb2.Committed]()
        self.seat = Seat(PartyHome(root), GUEST.party, JOB.job_id, "lr_0", GUEST, "t1", 1)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.committed.append(until_committed(self.session, self, self.seat, Clock(), self.retries))
        except FedError as error:
            self.raised.append(error)

    def compute(self, start: local_pb2.Start) -> bytes:
        if start.step.attempt == 1:
            raise DataError("FED-601", "no convergence")
        return b"outputs"

    def wait(self) -> None:
        """Until the process waits for its gateway, or has given up."""
        while self.thread.is_alive() and not self.session._changed._waiters:
            os.sched_yield()

    def hear(self, **content: Any) -> None:
        """The gateway says something."""
        self.wait()
        self.session._on(local_pb2.GatewayFrame(**content))

    def end(self) -> None:
        self.session.close()
        self.thread.join(WITHIN_S)
        assert not self.thread.is_alive()


def step_of(attempt: int) -> pb.StepKey:
    return pb.StepKey(job=JOB, component="lr_0", generation=1, attempt=attempt)


def test_a_process_whose_step_may_be_tried_again_outlasts_an_absent_coordinator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "FAREWELL_S", 0.0)
    trying = Trying(tmp_path, retries=1)
    trying.hear(start=local_pb2.Start(step=step_of(1)))
    trying.hear(end_attempt=local_pb2.EndAttempt(step=step_of(1)))
    trying.hear(start=local_pb2.Start(step=step_of(2)))
    trying.hear(committed=local_pb2.Committed(step=step_of(2), outputs=b"outputs", computed=True))
    trying.thread.join(WITHIN_S)
    assert trying.raised == []
    assert [committed.outputs for committed in trying.committed] == [b"outputs"]
    trying.end()


def test_a_process_whose_step_has_no_other_attempt_only_says_farewell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "FAREWELL_S", 0.0)
    trying = Trying(tmp_path, retries=0)
    trying.hear(start=local_pb2.Start(step=step_of(1)))
    trying.thread.join(WITHIN_S)
    assert [(type(error), str(error)[:9]) for error in trying.raised] == [(FedError, "[FED-601]")]
    trying.end()


@pytest.mark.parametrize(("own", "raised"), [(True, PeerError), (False, FedError)])
def test_whoever_cannot_know_what_follows_comes_again(tmp_path: Path, own: bool, raised: type[FedError]) -> None:
    """The own gateway was away for too long: Airflow brings the process back. The step's failure is final."""
    trying = Trying(tmp_path, retries=1)
    trying.hear(start=local_pb2.Start(step=step_of(1)))
    if own:
        trying.wait()
        trying.session._fail(PeerError("FED-430", "the gateway did not answer for 60 s"))
    else:
        trying.hear(failed=pb.Failure(code="FED-601", message="no convergence"))
    trying.thread.join(WITHIN_S)
    assert [type(error) for error in trying.raised] == [raised]
    trying.end()
