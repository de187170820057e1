"""A task process in its step: joins, gets its start, exchanges messages, commits. Blocking, over the gateway's socket.

A restart of the gateway is a reconnect: the session comes back with the attempt that it is in, and says again what was
not acknowledged. Make it after the fork.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import overload

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2, local_pb2
from federated_operators.gateway.client import GatewayClient
from federated_operators.gateway.declared import Declared
from federated_operators.gateway.frames import Kind, Piece
from federated_operators.gateway.limits import Limits
from federated_operators.gateway.mailbox import Mailbox
from federated_operators.gateway.names import Seat, member_pb
from federated_operators.gateway.stream import WorkerStream
from federatedml.errors import AttemptEnded, FedError, PeerError, ProtocolError, Skipped
from federatedml.federation.box import Transport
from federatedml.federation.checkpoint import Checkpoint

__all__ = ["GatewayClient", "WorkerSession"]

Frame = local_pb2.WorkerFrame
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
FAREWELL_S = 10.0
ASK_AGAIN_S = 1.0  # a gateway that does not let its worker go now is asked again
Answer = local_pb2.Start | local_pb2.Committed | local_pb2.Deferred
log = logging.getLogger(__name__)


class WorkerSession:
    """One process in one seat of a step.

    Args:
        socket: the gateway's Unix socket for workers.
        join: who this is; its generation and attempt are filled in here.
        patience: seconds for which a gateway that is not there is tried again.
        limits: how much of messages is kept where.
        declared: which messages may come; None: any.
    """

    def __init__(
        self,
        socket: Path,
        join: local_pb2.Join,
        patience: float = 60.0,
        limits: Limits | None = None,
        declared: Declared | None = None,
    ) -> None:
        self._declared = declared
        self._socket, self._join, self._patience, self._limits = socket, join, patience, limits
        self._seat = Seat.of(pb.StepKey(job=join.job, component=join.component), join.member)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stream: WorkerStream | None = None  # that was greeted
        self._closing = False
        self._step: pb.StepKey | None = None
        self._mailbox: Mailbox | None = None
        self._answer: Answer | None = None
        self._ended: str | None = None  # why the attempt that the process was in ended
        self._failure: FedError | None = None
        self._said: list[Frame] = []  # of this attempt; said again after a reconnect

    @overload
    def join(self, patience: None = None) -> local_pb2.Start | local_pb2.Committed: ...

    @overload
    def join(self, patience: float) -> Answer: ...

    def join(self, patience: float | None = None) -> Answer:
        """Be present and wait: for the start of an attempt, or for what was committed already.

        Args:
            patience: seconds after which this process may go if its gateway lets it (``Deferred``: the seat is kept,
                ``Local.Await`` says when to come back); None: it stays.

        Raises:
            Skipped: the step will not run.
            FedError: the job or the step failed; nothing is tried again.
        """
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"gateway {self._seat.component}", daemon=True)
                self._thread.start()
            elif self._ended is not None:
                self._ended = None
                self._tell_gateway(Frame(rejoin=local_pb2.Rejoin()))
            while not self._changed.wait_for(self._is_decided, patience):
                self._tell_gateway(Frame(defer=local_pb2.Defer()))
                patience = ASK_AGAIN_S
            if self._failure is not None:
                raise self._failure
            answer, self._answer = self._answer, None
        if answer is None:
            raise ProtocolError("FED-355", "woken without an answer")
        return answer

    def _is_decided(self) -> bool:
        return self._answer is not None or self._failure is not None

    @property
    def transport(self) -> Transport:
        """Messages of the attempt that ``join`` started."""
        if self._mailbox is None:
            raise ProtocolError("FED-356", "no attempt has started")
        return self._mailbox

    @property
    def failure(self) -> FedError | None:
        """What ended the step for this process, if it was decided elsewhere."""
        return self._failure

    def checkpoint(self, stored: Checkpoint) -> None:
        """Tell that a checkpoint is on disk."""
        reference = job_pb2.CheckpointRef(attempt=stored.attempt, round=stored.round, digest=stored.digest)
        self._say(Frame(checkpoint=reference))

    def progress(self, done: float, text: str) -> None:
        """Tell people how far the component is, 0 to 1."""
        self._tell_gateway(Frame(progress=local_pb2.Progress(done=done, text=text)))

    def prepared(self, outputs: bytes) -> local_pb2.Committed:
        """The outputs are stored and synced; wait until all members' are.

        Raises:
            AttemptEnded: join again.
            FedError: the job failed.
        """
        if self._mailbox is not None:
            self._mailbox.rest()
        self._say(Frame(prepared=local_pb2.Prepared(outputs=outputs)))
        with self._changed:
            self._changed.wait_for(
                lambda: isinstance(self._answer, local_pb2.Committed) or self._failure or self._ended is not None
            )
            if isinstance(self._answer, local_pb2.Committed):
                return self._answer
            if self._failure is not None:
                raise self._failure
            raise AttemptEnded(self._ended or "")

    def failed(self, code: str, message: str, may_retry: bool = False) -> None:
        """Tell that the role function failed, and wait until it is known what follows.

        Args:
            may_retry: another attempt may follow, so that this process must not end before that is decided, however
                long the coordinator is away; else it only leaves time to tell.

        Raises:
            AttemptEnded: it may try again; join again.
            PeerError: the own gateway was away for too long, or took nothing: nobody knows what follows.
        """
        member = member_pb(self._seat.member)
        self._say(Frame(failed=pb.Failure(code=code, message=message, member=member, component=self._seat.component)))
        with self._changed:
            patience = None if may_retry else FAREWELL_S
            self._changed.wait_for(lambda: self._failure is not None or self._ended is not None, patience)
            if self._failure is None and self._ended is not None:
                raise AttemptEnded(self._ended)
            if may_retry and self._failure is not None and self._failure.retryable:
                raise self._failure

    def done(self) -> None:
        """Say farewell: the process ends as it should."""
        self._closing = True
        self._end_mailbox("the session is done")
        self._tell_gateway(Frame(done=local_pb2.Done()))
        if self._stream is not None:
            self._stream.finish()
        if self._thread is not None:
            self._thread.join(FAREWELL_S)

    def close(self) -> None:
        """Drop the connection. Without ``done`` before it, the process counts as lost."""
        self._closing = True
        self._end_mailbox("the session was closed")
        if self._stream is not None:
            self._stream.close()
        if self._thread is not None:
            self._thread.join(FAREWELL_S)

    def _end_mailbox(self, reason: str) -> None:
        if self._mailbox is not None:
            self._mailbox.end(AttemptEnded(reason))

    def _say(self, frame: Frame) -> None:
        with self._changed:
            if self._ended is not None:  # what was meant for an attempt that is over is never said in the next one
                return
            if self._step is not None:
                self._said.append(frame)
            self._tell_gateway(frame)

    def _tell_gateway(self, frame: Frame) -> None:
        """Say it now, if there is a gateway."""
        if self._stream is not None:
            self._stream.send(Kind.CONTROL, frame.SerializeToString())

    def _push(self, content: Piece | Sequence[pb.Receipt]) -> None:
        stream = self._stream
        if stream is None:
            return
        if isinstance(content, Piece):
            stream.send(Kind.PIECE, *content.parts())
        else:
            stream.send(Kind.RECEIPTS, pb.Receipts(receipts=content).SerializeToString())

    # The channel's thread

    def _run(self) -> None:
        pause, last = FIRST_PAUSE_S, time.monotonic()  # when there last was a gateway
        while not self._closing and self._failure is None:
            if self._attached():
                pause, last = FIRST_PAUSE_S, time.monotonic()
            elif time.monotonic() - last > self._patience:
                self._fail(PeerError("FED-430", f"the gateway did not answer for {self._patience:g} s"))
            if not self._closing and self._failure is None:
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)

    def _attached(self) -> bool:
        """Serve one stream to its end; whether a gateway was there. A silent stream is as good as any."""
        try:
            stream = WorkerStream(self._socket)
        except OSError:
            return False  # tried again
        there = False
        try:
            self._greet(stream)
            for kind, content in stream.frames():
                there = True
                self._take(kind, content)
        except Exception as error:  # nobody else would end what waits in this session
            if not self._closing:
                log.exception("frames of the gateway cannot be taken")
                self._fail(PeerError("FED-431", f"{type(error).__name__} while frames of the gateway were taken"))
        with self._changed:
            self._stream = None
        stream.free()
        return there

    def _greet(self, stream: WorkerStream) -> None:
        """The first frames of a stream: who this is, in which attempt, and what was said in it."""
        with self._changed:
            join = local_pb2.Join()
            join.CopyFrom(self._join)
            if self._step is not None:
                join.generation, join.attempt = self._step.generation, self._step.attempt
            for frame in [Frame(join=join), *self._said]:
                stream.send(Kind.CONTROL, frame.SerializeToString())
            self._stream = stream
            if self._step is not None and self._mailbox is not None:
                self._mailbox.resend()
            if self._closing:
                stream.close()

    def _take(self, kind: Kind, content: bytearray) -> None:
        if kind == Kind.CONTROL:
            self._on(local_pb2.GatewayFrame.FromString(content))  # type: ignore[arg-type]
        elif self._mailbox is None:
            return
        elif kind == Kind.PIECE:
            self._mailbox.chunk(Piece.of(content))
        else:
            for receipt in pb.Receipts.FromString(content).receipts:  # type: ignore[arg-type]
                self._mailbox.receipt(receipt)

    def _on(self, frame: local_pb2.GatewayFrame) -> None:
        kind = frame.WhichOneof("frame")
        if kind == "start":
            self._on_start(frame.start)
        elif kind == "committed":
            self._tell(frame.committed)
        elif kind == "deferred":
            self._tell(frame.deferred)
        elif kind == "end_attempt":
            self._on_end(frame.end_attempt)
        elif kind == "failed":
            self._fail(FedError(frame.failed.code, _words(frame.failed)))
        elif kind == "skipped":
            self._fail(Skipped(frame.skipped.code, _words(frame.skipped)))

    def _on_start(self, start: local_pb2.Start) -> None:
        if start.step == self._step:
            return
        with self._changed:
            self._step, self._said = start.step, []
            self._mailbox = Mailbox(self._seat, start.step, self._push, self._limits, self._declared)
        self._tell(start)

    def _on_end(self, end: local_pb2.EndAttempt) -> None:
        with self._changed:
            if self._step is None:  # joined where another process's outputs waited, and that attempt ended
                self._tell_gateway(Frame(rejoin=local_pb2.Rejoin()))
                return
            self._step, self._said, self._answer = None, [], None
            self._ended = end.failure.message or "the attempt ended"
            self._end_mailbox(self._ended)
            self._changed.notify_all()

    def _tell(self, answer: Answer) -> None:
        with self._changed:
            self._answer = answer
            self._changed.notify_all()

    def _fail(self, error: FedError) -> None:
        with self._changed:
            self._failure = self._failure or error
            if self._mailbox is not None:
                self._mailbox.end(self._failure)
            self._changed.notify_all()


def _words(failure: pb.Failure) -> str:
    where = ", ".join(
        part for part in (f"{failure.member.role} {failure.member.party_id}".strip(), failure.component) if part
    )
    return f"{where}: {failure.message}" if where else failure.message
