"""A task process's session without a gateway: what it says of an attempt that is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import local_pb2
from federated_operators.gateway.names import Job, member_pb
from federated_operators.gateway.worker import WorkerSession
from federatedml.errors import AttemptEnded
from federatedml.federation.checkpoint import Checkpoint
from tests.members import GUEST

JOB = Job(GUEST.party, "20260728120000000001").key()


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
