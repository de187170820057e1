"""What the door refuses: foreign certificates on every call, others' roles, messages that are not the caller's."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from gateway_kit import (
    ARBITER,
    GUEST,
    HOST,
    JOB_IDS,
    MEMBERS,
    SUM,
    Parties,
    ToyAcceptor,
    Worker,
    federate_request,
    until,
)
from google.protobuf.message_factory import GetMessageClass

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway import mailbox
from federated_operators.gateway.names import Job, member_pb
from federated_operators.gateway.plan import ProposedJob
from federated_operators.gateway.store import Store
from federatedml.federation.identity import KeyPair, dns_name, issue
from federatedml.federation.party import Member

SERVICE = job_pb2.DESCRIPTOR.services_by_name["Peer"]


def channel(parties: Parties, to: Member, identity: KeyPair | None) -> grpc.Channel:
    """A connection to ``to``'s door with whatever certificate."""
    ca = parties.cas[to.party].certificate
    pair = (identity.key, identity.certificate) if identity else (None, None)
    address = f"127.0.0.1:{parties.homes[to.party].config.ports.gateway}"
    name = ("grpc.ssl_target_name_override", dns_name(to.party))
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(ca, *pair), [name])


def call(at: grpc.Channel, method: Any, request: Any = None) -> Any:
    """Any RPC by its descriptor; a stream gets one request, and its first answer is returned."""
    path = f"/{SERVICE.full_name}/{method.name}"
    kind, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    request = request if request is not None else kind()
    if method.client_streaming:
        stub = at.stream_stream(path, kind.SerializeToString, answer.FromString)
        answered = threading.Event()
        try:
            return next(stub(held_open(request, answered), timeout=10))
        finally:
            answered.set()
    return at.unary_unary(path, kind.SerializeToString, answer.FromString)(request, timeout=10)


def held_open(request: Any, until_set: threading.Event) -> Iterator[Any]:
    yield request
    until_set.wait(10)


@pytest.mark.parametrize("method", SERVICE.methods, ids=lambda method: method.name)
def test_a_certificate_for_another_party_is_refused_on_every_call(parties: Parties, method: Any) -> None:
    """The arbiter knows both CAs, so TLS alone would believe a certificate for 9999 that 10000's CA minted."""
    minted = issue(parties.cas[HOST.party], GUEST.party)
    with channel(parties, ARBITER, minted) as at, pytest.raises(grpc.RpcError) as refusal:
        call(at, method)
    assert refusal.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert "was not issued by that party's CA" in refusal.value.details()


def test_without_a_certificate_nobody_is_let_in(parties: Parties) -> None:
    with channel(parties, ARBITER, None) as at, pytest.raises(grpc.RpcError) as refusal:
        call(at, SERVICE.methods_by_name["Greet"])
    assert refusal.value.code() == grpc.StatusCode.UNAVAILABLE
    address = f"127.0.0.1:{parties.homes[ARBITER.party].config.ports.gateway}"
    with grpc.insecure_channel(address) as at, pytest.raises(grpc.RpcError) as refusal:
        call(at, SERVICE.methods_by_name["Greet"])
    assert refusal.value.code() == grpc.StatusCode.UNAVAILABLE


def as_party(parties: Parties, member: Member, to: Member, method: str, request: Any) -> Any:
    home = parties.homes[member.party]
    with channel(parties, to, home.identity) as at:
        return call(at, SERVICE.methods_by_name[method], request)


def refused(parties: Parties, member: Member, to: Member, method: str, request: Any) -> str:
    with pytest.raises(grpc.RpcError) as refusal:
        as_party(parties, member, to, method, request)
    assert refusal.value.code() == grpc.StatusCode.PERMISSION_DENIED
    return str(refusal.value.details())


def report(job_id: str, member: Member, event: int, **content: Any) -> job_pb2.StepReport:
    step = pb.StepKey(job=Job(GUEST.party, job_id).key(), component=SUM)
    return job_pb2.StepReport(member=member_pb(member), step=step, event=event, serial=10**9, **content)


def test_a_party_is_let_in_as_itself(parties: Parties) -> None:
    greeting = as_party(parties, HOST, GUEST, "Greet", job_pb2.Greeting(party_id=HOST.party))
    assert greeting.party_id == GUEST.party


@pytest.mark.parametrize("event", [job_pb2.StepReport.WORKER_FAILED, job_pb2.StepReport.RUN_ENDED])
def test_a_party_may_not_report_for_another(parties: Parties, job_id: str, event: int) -> None:
    assert "may not" in refused(parties, HOST, GUEST, "Report", report(job_id, ARBITER, event))
    assert parties.state(job_id=job_id) == "running"


def test_a_role_is_taken_from_the_admitted_job(parties: Parties, job_id: str) -> None:
    swapped = Member(ARBITER.role, HOST.party)
    why = refused(parties, HOST, GUEST, "Report", report(job_id, swapped, job_pb2.StepReport.WORKER_FAILED))
    assert "is no member" in why
    assert parties.state(job_id=job_id) == "running"


def test_only_the_coordinator_orders_and_judges(parties: Parties, job_id: str) -> None:
    job = Job(GUEST.party, job_id)
    step = pb.StepKey(job=job.key(), component=SUM, generation=1, attempt=1)
    order = job_pb2.StepCommand(member=member_pb(ARBITER), step=step, action=job_pb2.StepCommand.START)
    assert "does not coordinate" in refused(parties, HOST, ARBITER, "Command", order)
    notice = job_pb2.VerdictNotice(job=job.key(), generation=1, verdict=job_pb2.CANCELLED)
    assert "does not coordinate" in refused(parties, HOST, ARBITER, "Conclude", notice)
    for method in ("AskProposal", "Enrol", "Withdraw"):
        refused(parties, HOST, ARBITER, method, job_pb2.ProposalRef(job=job.key()))
    assert parties.state(ARBITER.party, job_id) == "running"


def test_a_party_may_not_propose_in_the_name_of_another(parties: Parties) -> None:
    proposal = job_pb2.Proposal(job=Job(GUEST.party, str(next(JOB_IDS))).key(), pipeline="toy", dsl=b"{}", conf=b"{}")
    answer = as_party(parties, HOST, ARBITER, "Propose", proposal)
    assert answer.state == job_pb2.REFUSED
    assert "may not propose" in answer.failure.message


def test_what_nobody_expected_tells_nothing_to_the_caller(parties: Parties) -> None:
    """The toy acceptor fails on a DSL that is no JSON, with the DSL's words in its error."""
    proposal = job_pb2.Proposal(
        job=Job(GUEST.party, str(next(JOB_IDS))).key(), pipeline="toy", dsl=b"no JSON", conf=b"{}"
    )
    with pytest.raises(grpc.RpcError) as broken:
        as_party(parties, GUEST, HOST, "Propose", proposal)
    assert broken.value.code() == grpc.StatusCode.INTERNAL
    assert broken.value.details() == "internal error of the gateway, see its log"


def test_a_party_that_enrolled_before_the_coordinator_restarted_is_not_a_refusal(parties: Parties) -> None:
    """The host has accepted and enrolled; the coordinator knows nothing of it and asks from the beginning."""
    job_id = str(next(JOB_IDS))
    request = federate_request(job_id)
    content = ProposedJob(GUEST.party, job_id, request.pipeline, request.dsl, request.conf)
    digest, versions, disclosure = ToyAcceptor(parties.homes[GUEST.party]).digest(content)
    key = Job(GUEST.party, job_id).key()
    proposal = job_pb2.Proposal(
        job=key,
        pipeline=request.pipeline,
        dsl=request.dsl,
        conf=request.conf,
        component_versions=versions,
        disclosure_digest=disclosure,
        digest=bytes.fromhex(digest),
    )
    assert as_party(parties, GUEST, HOST, "Propose", proposal).state == job_pb2.ACCEPTED
    reference = job_pb2.ProposalRef(job=key, digest=proposal.digest)
    assert as_party(parties, GUEST, HOST, "Enrol", reference).state == job_pb2.ENROLLED
    assert not parties.federate(job_id).HasField("failure")
    assert parties.state(job_id=job_id) == "running"


def test_a_verdict_is_told_to_members_only_by_the_coordinator(parties: Parties, job_id: str) -> None:
    asked = Job(GUEST.party, job_id).key()
    assert as_party(parties, HOST, GUEST, "AskVerdict", asked).verdict == job_pb2.VERDICT_UNSPECIFIED
    assert "may not ask" in refused(parties, HOST, ARBITER, "AskVerdict", asked)


def chunk(job_id: str, source: Member, destination: Member, attempt: int = 1, body: bytes = b"x") -> pb.Chunk:
    step = pb.StepKey(job=Job(GUEST.party, job_id).key(), component=SUM, generation=1, attempt=attempt)
    key = pb.EnvelopeKey(step=step, topic="offset", source=member_pb(source), destination=member_pb(destination))
    return pb.Chunk(key=key, index=0, count=1, data=body, sha256=hashlib.sha256(body).digest())


@pytest.mark.parametrize(
    ("source", "destination", "reason"),
    [
        (ARBITER, HOST, "sent a message as party '10001'"),
        (GUEST, ARBITER, "is not carried on"),
        (Member(ARBITER.role, GUEST.party), HOST, "is no member"),
        (GUEST, Member(GUEST.role, HOST.party), "is no member"),
    ],
    ids=["foreign source", "third party", "role of the source", "role of the destination"],
)
def test_an_envelope_that_is_not_the_callers_is_refused_and_recorded(
    parties: Parties, job_id: str, source: Member, destination: Member, reason: str
) -> None:
    receipt = relayed(parties, chunk(job_id, source, destination))
    assert receipt.outcome == pb.Receipt.REFUSED
    assert reason in receipt.reason
    until(lambda: any(reason in event["reason"] for event in events(parties, HOST)))


@pytest.mark.parametrize("wrong", [{"topic": "t" * 10**6}, {"sha256": b""}])
def test_a_message_without_measure_is_refused_in_few_words(
    parties: Parties, job_id: str, wrong: dict[str, Any]
) -> None:
    message = chunk(job_id, GUEST, HOST)
    message.key.topic = wrong.get("topic", "number")
    message.sha256 = wrong.get("sha256", message.sha256)
    receipt = relayed(parties, message)
    assert receipt.outcome == pb.Receipt.REFUSED
    assert "FED-347" in receipt.reason
    assert receipt.ByteSize() < 1000


def relayed(parties: Parties, message: pb.Chunk, not_of_the_real_one: int | None = None) -> pb.Receipt:
    """What the host's gateway says of a message of the guest.

    This stream and that of the guest's own gateway take each other's place, and receipts go to whichever is there: also
    that of the real message, where the guest sent one with this key. It has the outcome ``not_of_the_real_one``.
    """
    found: pb.Receipt = until(lambda: _receipt_of(parties, message, not_of_the_real_one))
    return found


def _receipt_of(parties: Parties, message: pb.Chunk, ignored: int | None) -> pb.Receipt | None:
    asked, answered = message.key, threading.Event()
    with channel(parties, HOST, parties.homes[GUEST.party].identity) as at:
        path = f"/{SERVICE.full_name}/Relay"
        stub = at.stream_stream(path, pb.Chunk.SerializeToString, pb.Receipts.FromString)
        try:
            for receipt in (each for found in stub(held_open(message, answered), timeout=3) for each in found.receipts):
                key = receipt.key
                same = (key.step, key.source, key.destination) == (asked.step, asked.source, asked.destination)
                if same and asked.topic.startswith(key.topic) and receipt.outcome != ignored:
                    return receipt
        except grpc.RpcError:
            return None  # another stream took this one's place
        finally:
            answered.set()
    return None


def events(parties: Parties, member: Member) -> list[dict[str, Any]]:
    store = Store(parties.homes[member.party].gateway_db)
    try:
        return store.events()
    finally:
        store.close()


def test_messages_of_an_older_attempt_are_refused(
    parties: Parties, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "SILENCE_S", 1000.0)  # streams break here: nobody may lose a message and say nothing

    def at(point: str) -> None:
        if point == "start" and len(threads[HOST].starts) == 2:
            receipts.append(relayed(parties, chunk(job_id, GUEST, HOST, attempt=1)))
            receipts.append(relayed(parties, chunk(job_id, GUEST, HOST, attempt=3)))

    receipts: list[pb.Receipt] = []
    threads: dict[Member, Worker] = {}
    threads[HOST] = Worker(parties.homes[HOST.party], HOST, SUM, job_id, at)
    threads[HOST].start()
    threads[ARBITER] = parties.worker(ARBITER, job_id=job_id)
    victim = parties.worker(GUEST, job_id=job_id, at=lambda point: point == "round 1" and victim.session.close())
    victim.join(20)
    threads[GUEST] = parties.worker(GUEST, job_id=job_id)
    for worker in threads.values():
        worker.join(30)
        assert worker.committed is not None, worker.error
    older, newer = receipts
    assert older.outcome == pb.Receipt.REFUSED
    assert "attempt 1 of sum_0 is over" in older.reason
    assert newer.outcome == pb.Receipt.UNDELIVERABLE, "it may be on its way: send it again"


def test_the_same_key_with_another_body_is_refused_by_the_receiving_worker(parties: Parties, job_id: str) -> None:
    def at(point: str) -> None:
        if point == "round 0":
            forged = chunk(job_id, GUEST, HOST, body=b"another body")
            forged.key.topic = "number"
            receipts.append(relayed(parties, forged, not_of_the_real_one=pb.Receipt.DELIVERED))

    receipts: list[pb.Receipt] = []
    threads = [parties.worker(HOST, job_id=job_id, at=at)]
    threads += [parties.worker(member, job_id=job_id) for member in (GUEST, ARBITER)]
    for worker in threads:
        worker.join(30)
    assert receipts[0].outcome == pb.Receipt.REFUSED
    assert "came twice with different bodies" in str(threads[0].error)
    until(lambda: all(parties.state(member.party, job_id) == "failed" for member in MEMBERS))
