"""A person of this party gives up a job whose coordinator does not answer.

Only the coordinator decides, and silence only pauses a job. Who does not want to wait gives it up here: what it holds
is free at once, and its verdict is unknown until the coordinator, which is told when it is back, has one.
"""

from __future__ import annotations

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2, local_pb2
from federated_operators.gateway.coordinator import ENDED_BY_PERSON
from federated_operators.gateway.names import Job, member_pb
from federated_operators.gateway.peers import Peers
from federated_operators.gateway.reconcile import tell_run_ended
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import ACTIVE, JobRow
from federated_operators.gateway.store import Store
from federated_operators.gateway.verdicts import Verdicts
from federatedml.errors import FedError, PolicyError, ProtocolError

ANSWER_S = 5.0  # how long the coordinator has to show that it is there


class Abandonment:
    """Jobs of silent coordinators."""

    def __init__(self, store: Store, roster: Roster, peers: Peers, verdicts: Verdicts) -> None:
        self._store, self._roster, self._peers, self._verdicts = store, roster, peers, verdicts

    async def abandon(self, request: local_pb2.EndJobRequest) -> None:
        """Give the job up; one that is over, or given up, stays as it is.

        Raises:
            ProtocolError: there is no such job here.
            PolicyError: its coordinator is there, so the job can be ended at all parties instead.
        """
        job = Job.of(request.job)
        row = self._store.get(JobRow, **job.where)
        if row is None:
            raise ProtocolError("FED-340", f"job {job.job_id} is not known here")
        if row.state not in ACTIVE:
            return
        if job.initiator == self._roster.party or await self._answers(job.initiator):
            text = f"party {job.initiator}, which decides, answers: end the job at all parties instead"
            raise PolicyError("FED-455", text, f"airfed job kill {job.job_id}")
        failure = self._failure(request)
        for plan in self._roster.plans(job):
            failure.member.CopyFrom(member_pb(plan.me))
            tell_run_ended(self._store, plan, failure)
        self._verdicts.give_up(job, f"{request.by} at party {self._roster.party}", request.reason[:500])

    def _failure(self, request: local_pb2.EndJobRequest) -> pb.Failure:
        text = f"given up by {request.by or 'somebody'}{': ' if request.reason else ''}{request.reason}"
        return pb.Failure(code=ENDED_BY_PERSON, message=text[:500])

    async def _answers(self, party: str) -> bool:
        try:
            await self._peers.call(party, "Greet", job_pb2.Greeting(party_id=self._roster.party), timeout=ANSWER_S)
        except FedError as error:
            return not error.retryable  # a refusal is an answer
        return True
