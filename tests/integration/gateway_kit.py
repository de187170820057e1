"""Three parties with gateways of their own, over real sockets: homes, certificates, a toy component and its workers.

``python gateway_kit.py serve HOME [DIE]`` is a gateway, ``... work HOME JOB COMPONENT MEMBER STOP`` a task process.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from airfed_proto.v1 import local_pb2
from federated_operators.gateway import door, server
from federated_operators.gateway.history.check import check
from federated_operators.gateway.history.facts import read_party
from federated_operators.gateway.names import CONCLUDE, Job, member_pb
from federated_operators.gateway.plan import DataRef, JobPlan, ProposedJob, StepPlan
from federated_operators.gateway.policy import default_policy
from federated_operators.gateway.runs import NoRuns
from federated_operators.gateway.store import Store
from federated_operators.gateway.worker import GatewayClient, WorkerSession
from federatedml.component import Component, Inputs, Outputs, Params
from federatedml.data.catalogue import TableName
from federatedml.data.durable import written
from federatedml.errors import AttemptEnded, DslError, FedError
from federatedml.federation.box import AttemptKey, Box
from federatedml.federation.checkpoint import CheckpointStore
from federatedml.federation.home import PartyHome
from federatedml.federation.identity import create_ca, issue
from federatedml.federation.party import Member, Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Vector

GUEST, HOST, ARBITER = Member(Role.GUEST, "9999"), Member(Role.HOST, "10000"), Member(Role.ARBITER, "10001")
MEMBERS = (ARBITER, GUEST, HOST)
JOB_ID = "20260728120000000001"
JOB_IDS = count(int(JOB_ID) + 1)  # of tests that share parties
SUM = "sum_0"
DOOR = "GATEWAY_KIT_DOOR"

# The toy: the guest sends a number a round, the host adds it to the arbiter's and returns the total so far.

NUMBER = Topic("number", (Role.GUEST,), (Role.HOST,), Vector("<f8"), Carries.CONTROL, "a number")
OFFSET = Topic("offset", (Role.ARBITER,), (Role.HOST,), Vector("<f8"), Carries.CONTROL, "a number")
TOTAL = Topic("total", (Role.HOST,), (Role.GUEST, Role.ARBITER), Vector("<f8"), Carries.AGGREGATE, "the sum so far")


class SumParams(Params):
    rounds: int = 4
    size: int = 1


def rounds(params: SumParams, box: Box) -> range:
    return range(box.resume.round + 1 if box.resume else 0, params.rounds)


def total_so_far(box: Box) -> float:
    return float(box.resume.state["total"]) if box.resume else 0.0  # type: ignore[arg-type]


def listener(topic: Topic[Any]) -> Callable[[SumParams, Box, Inputs], Outputs]:
    def role(params: SumParams, box: Box, inputs: Inputs) -> Outputs:
        total = total_so_far(box)
        for r in rounds(params, box):
            box.send(topic, np.full(params.size, float(r + 1)), r)
            total = float(box.recv(TOTAL, r)[0])
            box.checkpoint(r, {"total": total})
            box.progress((r + 1) / params.rounds, f"round {r}")
        return Outputs(summary={"total": total})

    return role


def host(params: SumParams, box: Box, inputs: Inputs) -> Outputs:
    total = total_so_far(box)
    for r in rounds(params, box):
        total += float(box.recv(NUMBER, r)[0]) + float(box.recv(OFFSET, r)[0])
        box.send(TOTAL, np.array([total]), r)
        box.checkpoint(r, {"total": total})
    return Outputs(summary={"total": total})


TOY = Component(
    "Sum",
    "A sum",
    SumParams,
    {Role.GUEST: listener(NUMBER), Role.HOST: host, Role.ARBITER: listener(OFFSET)},
    (NUMBER, OFFSET, TOTAL),
)
EXPECTED = 2.0 * (1 + 2 + 3 + 4)


class ToyAcceptor:
    """A ``JobAcceptor`` for DSL ``{"components": {NAME: {"module", "params", "table"}}}``."""

    def __init__(self, home: PartyHome) -> None:
        self._home = home

    def digest(self, job: ProposedJob) -> tuple[str, Mapping[str, str], bytes]:
        components = self._components(job)
        versions = {entry["module"]: "1" for entry in components.values()}
        sha = hashlib.sha256(b"\0".join([job.initiator.encode(), job.job_id.encode(), job.dsl, job.conf]))
        return sha.hexdigest(), versions, hashlib.sha256(job.dsl).digest()

    def plans(self, job: ProposedJob, party_id: str) -> Sequence[JobPlan]:
        return [self._plan(job, me) for me in MEMBERS if me.party == party_id]

    def install(self, plan: JobPlan) -> str:
        self._file(plan).parent.mkdir(parents=True, exist_ok=True)
        self._file(plan).write_text(plan.spec_digest)
        return plan.spec_digest

    def installed(self, plan: JobPlan, bundle_version: str | None = None) -> bool:
        return self._file(plan).is_file() and self._file(plan).read_text() == plan.spec_digest

    def _file(self, plan: JobPlan) -> Path:
        return self._home.installed / f"{plan.dag_id}.txt"

    def _components(self, job: ProposedJob) -> dict[str, Any]:
        components: dict[str, Any] = json.loads(job.dsl)["components"]
        for name, entry in components.items():
            if entry["module"] != "Sum":
                raise DslError("FED-121", f"{name}: module {entry['module']!r} is not installed")
        return components

    def _plan(self, job: ProposedJob, me: Member) -> JobPlan:
        digest, _, _ = self.digest(job)
        components = self._components(job)
        steps = {}
        for name, entry in components.items():
            table = entry.get("table", {}).get(str(me))
            data = {"data": [DataRef(None, "data", TableName(*table))]} if table else {}
            steps[name] = StepPlan(name, entry["module"], "1", MEMBERS, entry.get("params", {}), data)
        own = f"{job.pipeline}.{me}"
        return JobPlan(
            initiator=GUEST,
            job_id=job.job_id,
            pipeline=job.pipeline,
            me=me,
            members=MEMBERS,
            model_key="model",
            digest=digest,
            spec_digest=hashlib.sha256(job.dsl).hexdigest(),
            dag_id=own if me == GUEST else f"{job.initiator}.{own}",
            steps=steps,
            all_steps=dict.fromkeys(components, MEMBERS),
            modules={name: entry["module"] for name, entry in components.items()},
            dsl=json.loads(job.dsl),
            conf=json.loads(job.conf),
            disclosure={},
        )


def until(what: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true answer of ``what``."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
    return found


# Parties


def save(path: Path, text: str) -> None:
    """A file that a running gateway reads: it is never seen half written."""
    with written(path) as file:
        file.write(text.encode())


def make_home(root: Path, party: str, port: int, peers: Mapping[str, int], timeout: float) -> PartyHome:
    root.mkdir(mode=0o700, parents=True)
    ports = dict.fromkeys(("airflow", "worker_log", "trigger_log", "mlflow", "serving_http", "serving_grpc"), 1)
    config = {
        "party_id": party,
        "name": f"p{party}",
        "ports": {**ports, "gateway": port},
        "peer_timeout": timeout,
        "peers": {peer: {"gateway": f"127.0.0.1:{at}"} for peer, at in peers.items()},
    }
    (root / "party.yaml").write_text(yaml.safe_dump(config))
    (root / "policy.yaml").write_text(default_policy(party, list(peers)))
    (root / "pki/peers").mkdir(parents=True)
    return PartyHome(root)


WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
PORTS = iter(range(27000 + 500 * WORKER, 27500 + 500 * WORKER))  # Linux gives clients from 32768 on: none is in the way


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens, nor another test of this run before its end."""
    return list(islice(filter(_is_free, PORTS), count))


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@dataclass
class Parties:
    """Three homes with certificates, and a gateway process each."""

    root: Path
    homes: dict[str, PartyHome] = field(default_factory=dict)
    cas: dict[str, Any] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    peer_timeout: float = 600.0
    door: Mapping[str, int] = field(default_factory=dict)  # options of gRPC that are other than the product's

    def __post_init__(self) -> None:
        ports = dict(zip([m.party for m in (GUEST, HOST, ARBITER)], free_ports(3), strict=True))
        self.cas = {party: create_ca(party) for party in ports}
        for party, port in ports.items():
            others = {peer: at for peer, at in ports.items() if peer != party}
            home = self.homes[party] = make_home(self.root / party, party, port, others, self.peer_timeout)
            own = issue(self.cas[party], party)
            (home.root / "pki/ca.pem").write_bytes(self.cas[party].certificate)
            (home.root / "pki/party.pem").write_bytes(own.certificate)
            (home.root / "pki/party.key").write_bytes(own.key)
            for peer in others:
                (home.root / f"pki/peers/{peer}.pem").write_bytes(self.cas[peer].certificate)

    def start(self, *parties: str, die: str = "") -> None:
        for party in parties or self.homes:
            command = [sys.executable, __file__, "serve", str(self.homes[party].root), die]
            environ = {**os.environ, DOOR: json.dumps(dict(self.door))}
            self.processes[party] = subprocess.Popen(command, env=environ)
        for party in parties or self.homes:
            until((self.homes[party].run / "gateway.ready").exists)

    def kill(self, party: str) -> None:
        self.processes[party].kill()
        self.died(party)

    def died(self, party: str) -> None:
        assert self.processes[party].wait(30) == -signal.SIGKILL
        (self.homes[party].run / "gateway.ready").unlink(missing_ok=True)

    def stop(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(60) for process in self.processes.values()]
        assert not any(codes), codes

    def federate(self, job_id: str = JOB_ID, **component: Any) -> local_pb2.AdmissionNews:
        """What the initiator's first task does; the last news."""
        with GatewayClient(self.homes[GUEST.party].socket) as client:
            return list(client.federate(federate_request(job_id, **component)))[-1]

    def view(self, party: str = GUEST.party, job_id: str = JOB_ID) -> local_pb2.JobView | None:
        with GatewayClient(self.homes[party].socket) as client:
            jobs = client.show(job_id=job_id).jobs
        return jobs[0] if jobs else None

    def state(self, party: str = GUEST.party, job_id: str = JOB_ID) -> str:
        view = self.view(party, job_id)
        return view.state if view else ""

    def history_holds(self) -> None:
        """Whether all that the gateways have on disk keeps the contract; what is still told has time to arrive."""
        deadline = time.monotonic() + 60.0
        while found := check([read_party(home.gateway_db, party) for party, home in self.homes.items()]):
            assert time.monotonic() < deadline, "\n".join(map(str, found))
            time.sleep(0.1)

    def worker(self, member: Member, component: str = SUM, **options: Any) -> Worker:
        worker = Worker(self.homes[member.party], member, component, **options)
        worker.start()
        return worker


def federate_request(job_id: str = JOB_ID, **component: Any) -> local_pb2.FederateRequest:
    dsl = json.dumps({"components": {SUM: {"module": "Sum", **component}}}).encode()
    return local_pb2.FederateRequest(
        job_id=job_id,
        pipeline="toy",
        dsl=dsl,
        conf=b"{}",
        dag_id="toy.guest_9999",
        spec_digest=hashlib.sha256(dsl).hexdigest(),
    )


# Workers


class Worker(threading.Thread):
    """What a task process does with a step, in a thread.

    Args:
        at: called with "start", "round N" (after its checkpoint), "prepared" as the worker gets there.
        digest: the conf digest that it claims.
    """

    def __init__(
        self,
        home: PartyHome,
        member: Member,
        component: str = SUM,
        job_id: str = JOB_ID,
        at: Callable[[str], None] = lambda _: None,
        digest: bytes = b"digest",
        ti_id: str = "",
    ) -> None:
        super().__init__(daemon=True)
        self.home, self.member, self.component, self.at = home, member, component, at
        self.join_frame = local_pb2.Join(
            job=Job(GUEST.party, job_id).key(),
            component=component,
            member=member_pb(member),
            task_instance_id=ti_id or str(uuid.uuid4()),
            try_number=1,
            pid=os.getpid(),
            conf_digest=digest,
            component_version="1",
        )
        self.session = WorkerSession(home.worker_socket, self.join_frame)
        self.committed: local_pb2.Committed | None = None
        self.error: FedError | None = None
        self.starts: list[local_pb2.Start] = []

    def run(self) -> None:
        try:
            while self.committed is None:
                self._attempt()
            self.session.done()
        except FedError as error:
            self.error = error
            self.session.done()
        except AttemptEnded:
            pass  # closed by the test: it died

    def _attempt(self) -> None:
        answer = self.session.join()
        if isinstance(answer, local_pb2.Committed):
            self.committed = answer
            return
        self.starts.append(answer)
        try:
            self.at("start")
            outputs = self._compute(answer)
            self.at("prepared")
            self.committed = self.session.prepared(outputs)
        except AttemptEnded:
            if self.session._closing:
                raise
        except FedError as error:
            self.session.failed(error.code, str(error))
            raise

    def _compute(self, start: local_pb2.Start) -> bytes:
        if self.component == CONCLUDE:
            return b'{"model": "registered"}'
        plan = json.loads((Path(start.attempt_dir).parents[3] / self.member.role / "plan.json").read_text())
        try:
            params = SumParams.model_validate(plan["steps"][self.component]["params"])
        except ValueError as error:
            raise DslError("FED-130", str(error)) from None
        outputs = TOY.roles[self.member.role](params, self._box(start), Inputs())
        (Path(start.attempt_dir) / "out.json").write_text(json.dumps(outputs.summary))
        return json.dumps({"summary": outputs.summary}).encode()

    def _box(self, start: local_pb2.Start) -> Box:
        store = CheckpointStore(Path(start.attempt_dir).parent)
        at = start.resume_from
        step = start.step

        def stored(checkpoint: Any) -> None:
            self.session.checkpoint(checkpoint)
            self.at(f"round {checkpoint.round}")

        return Box(
            self.member,
            [Member.parse(f"{m.role}_{m.party_id}") for m in start.members],
            TOY.topic_table(),
            self.session.transport,
            AttemptKey(step.job.initiator, step.job.job_id, step.component, step.generation, step.attempt),
            store,
            resume=store.load(at.attempt, at.round, at.digest) if start.HasField("resume_from") else None,
            on_progress=self.session.progress,
            on_checkpoint=stored,
        )

    def total(self) -> float:
        assert self.committed is not None, self.error
        return float(json.loads(self.committed.outputs)["summary"]["total"])


def work(home: PartyHome, job_id: str, component: str, member: Member, stop_at: str) -> None:
    """A task process; at the point ``stop_at`` it says so and sleeps until it is killed."""

    def at(point: str) -> None:
        if point == stop_at:
            print(point, flush=True)
            signal.pause()

    worker = Worker(home, member, component, job_id, at)
    worker.run()
    print(worker.error or worker.total(), flush=True)


class DyingStore(Store):
    """Kills its process at a decision: "EVENT before" its transaction is written, or right "after"."""

    decision, when = "", ""
    reached = False

    def event(self, event: str, *args: Any, **kwargs: Any) -> None:
        super().event(event, *args, **kwargs)
        self.reached = self.reached or event == self.decision
        if self.reached and self.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with super().transaction():
            yield
        if self.reached and self._depth == 0:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        if sys.argv[3]:
            DyingStore.decision, _, DyingStore.when = sys.argv[3].rpartition(" ")
            server.Store = DyingStore  # type: ignore[misc]
        for options in (door.SERVER, door.CLIENT):
            options[:] = [*dict([*options, *json.loads(os.environ[DOOR]).items()]).items()]
        chosen = PartyHome(Path(sys.argv[2]))
        asyncio.run(server.serve(chosen, ToyAcceptor(chosen), NoRuns()))
    else:
        work(PartyHome(Path(sys.argv[2])), sys.argv[3], sys.argv[4], Member.parse(sys.argv[5]), sys.argv[6])
