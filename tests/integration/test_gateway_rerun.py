"""Jobs that run again, and tasks that wait without a process, over three gateways and their sockets."""

from __future__ import annotations

import threading
from contextlib import closing

import grpc
import pytest
from gateway_kit import EXPECTED, GUEST, HOST, MEMBERS, SUM, Parties, Worker, save, until

from airfed_proto.v1 import job_pb2, local_pb2, local_pb2_grpc
from federated_operators.gateway.client import open_channel
from federated_operators.gateway.names import CONCLUDE, Job, member_pb
from federated_operators.gateway.worker import GatewayClient, WorkerSession
from federatedml.errors import DataError
from federatedml.federation.party import Member

pytestmark = pytest.mark.usefixtures("history")


def everywhere(parties: Parties, job_id: str, state: str) -> None:
    for member in MEMBERS:
        until(lambda party=member.party: parties.state(party, job_id) == state)


def run_step(parties: Parties, job_id: str, component: str = SUM) -> dict[Member, Worker]:
    workers = {member: parties.worker(member, component, job_id=job_id) for member in MEMBERS}
    for worker in workers.values():
        worker.join(40)
        assert worker.committed is not None, worker.error
    return workers


def fail(parties: Parties, job_id: str) -> None:
    """The host's data is not what it should be, this time."""

    def at(point: str) -> None:
        if point == "round 1":
            raise DataError("FED-299", "the table is locked")

    workers = [parties.worker(member, job_id=job_id, at=at if member == HOST else lambda _: None) for member in MEMBERS]
    for worker in workers:
        worker.join(40)
        assert worker.error is not None
    everywhere(parties, job_id, "failed")


def rerun(parties: Parties, job_id: str, member: Member, *components: str) -> job_pb2.RerunAnswer:
    order = job_pb2.RerunOrder(job=Job(GUEST.party, job_id).key(), components=components, by="ada")
    with GatewayClient(parties.homes[member.party].socket) as client:
        return client.rerun(order)


@pytest.mark.parametrize("member", [GUEST, HOST])
def test_a_failed_job_runs_again_and_succeeds_everywhere(parties: Parties, job_id: str, member: Member) -> None:
    fail(parties, job_id)
    answer = rerun(parties, job_id, member)
    assert (answer.generation, list(answer.components)) == (2, [SUM]), answer
    everywhere(parties, job_id, "running")
    workers = run_step(parties, job_id)
    assert [worker.total() for worker in workers.values()] == [EXPECTED] * 3
    assert {worker.starts[-1].step.generation for worker in workers.values()} == {2}
    assert not any(worker.starts[-1].HasField("resume_from") for worker in workers.values()), "it begins anew"
    run_step(parties, job_id, CONCLUDE)
    everywhere(parties, job_id, "succeeded")


def test_a_party_whose_policy_forbids_it_refuses_a_rerun(parties: Parties, job_id: str) -> None:
    fail(parties, job_id)
    policy = parties.homes[HOST.party].policy
    rules = policy.read_text()
    save(policy, rules.replace('may_rerun: ["*"]', 'may_rerun: ["10000"]'))
    refused = rerun(parties, job_id, GUEST)
    assert "party 10000 refuses the rerun: policy may_rerun" in refused.failure.message
    assert rerun(parties, job_id, HOST).generation == 2, "its own people may"
    save(policy, rules)
    everywhere(parties, job_id, "running")
    run_step(parties, job_id)
    run_step(parties, job_id, CONCLUDE)
    everywhere(parties, job_id, "succeeded")


def leave(parties: Parties, job_id: str, member: Member) -> None:
    """A task process that goes as soon as it may."""
    session = WorkerSession(parties.homes[member.party].worker_socket, joining(job_id, member))
    assert isinstance(session.join(patience=0.05), local_pb2.Deferred)
    session.done()


def joining(job_id: str, member: Member) -> local_pb2.Join:
    return local_pb2.Join(
        job=Job(GUEST.party, job_id).key(),
        component=SUM,
        member=member_pb(member),
        task_instance_id=f"{member} 1",
        conf_digest=b"digest",
        component_version="1",
    )


class Waiting(threading.Thread):
    """What a triggerer does for a task that waits; asked again when its gateway went away."""

    def __init__(self, parties: Parties, job_id: str, member: Member) -> None:
        super().__init__(daemon=True)
        self.socket = parties.homes[member.party].socket
        self.request = local_pb2.AwaitRequest(
            job=Job(GUEST.party, job_id).key(), component=SUM, member=member_pb(member)
        )
        self.start()

    def run(self) -> None:
        until(self._told, 60.0)

    def _told(self) -> bool:
        try:
            with closing(open_channel(self.socket)) as channel:
                local_pb2_grpc.LocalStub(channel).Await(self.request)
        except grpc.RpcError:
            return False
        return True


def finish(parties: Parties, job_id: str, present: Worker, waiting: list[Waiting]) -> None:
    """The step is called, all come, and the job succeeds."""
    for each in waiting:
        each.join(60)
        assert not each.is_alive()
    for worker in [present, *(parties.worker(member, job_id=job_id) for member in MEMBERS[1:])]:
        worker.join(40)
        assert worker.total() == EXPECTED
    run_step(parties, job_id, CONCLUDE)
    everywhere(parties, job_id, "succeeded")


def test_tasks_wait_without_a_process_and_come_when_their_step_is_called(parties: Parties, job_id: str) -> None:
    for member in MEMBERS[1:]:
        leave(parties, job_id, member)
    waiting = [Waiting(parties, job_id, member) for member in MEMBERS[1:]]
    finish(parties, job_id, parties.worker(MEMBERS[0], job_id=job_id), waiting)


@pytest.mark.parametrize("party", [GUEST.party, HOST.party])
def test_a_gateway_may_die_between_the_call_and_the_start(parties: Parties, job_id: str, party: str) -> None:
    """The coordinator's right after it decided to call, the host's right after it heard."""
    parties.processes[party].terminate()
    assert parties.processes[party].wait(10) == 0
    parties.start(party, die="called after")
    for member in MEMBERS[1:]:
        leave(parties, job_id, member)
    present = parties.worker(MEMBERS[0], job_id=job_id)
    waiting = [Waiting(parties, job_id, member) for member in MEMBERS[1:]]
    parties.died(party)
    parties.start(party)
    finish(parties, job_id, present, waiting)
