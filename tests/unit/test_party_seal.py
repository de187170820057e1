"""What a party signs holds whatever carries it: an arbiter that relays the contributors' keys cannot replace them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from federatedml.components.homo_lr_rounds import BOUND, UPDATE
from federatedml.compute.engine import SERIAL
from federatedml.crypto.ring import Floats, Words, decode
from federatedml.crypto.secagg.client import pair_mask
from federatedml.crypto.secagg.fixed import FixedPoint
from federatedml.crypto.secagg.masks import masked_words
from federatedml.crypto.secagg.roster import Keys, Roster, Secrets, pair_secret
from federatedml.crypto.secagg.steps import KEYS, ROSTER, ROWS
from federatedml.errors import PolicyError
from federatedml.federation.box import AttemptKey, MessageKey, Transport
from federatedml.federation.home import PartyHome
from federatedml.federation.identity import KeyPair, create_ca, issue
from federatedml.federation.local import LocalNetwork
from federatedml.federation.memory import Exchange
from federatedml.federation.party import Member
from federatedml.federation.party_seal import PartySeal
from federatedml.federation.seal import UNSEALED, Seal
from tests.homo_cases import TWO, case, params, rows
from tests.members import ARBITER, GUEST, HOST

PARTIES = (GUEST.party, HOST.party, ARBITER.party)
CAS = {party: create_ca(party) for party in PARTIES}
LEAVES = {party: issue(CAS[party], party) for party in PARTIES}
PORTS = ("airflow", "worker_log", "trigger_log", "mlflow", "gateway", "serving_http", "serving_grpc")


def seal(root: Path, party: str, leaf: KeyPair | None = None) -> PartySeal:
    """Of a home that has pinned all parties."""
    home, leaf = root / party, leaf or LEAVES[party]
    (home / "pki/peers").mkdir(parents=True)
    (home / "party.yaml").write_text(
        yaml.safe_dump({"party_id": party, "name": f"p{party}", "ports": dict.fromkeys(PORTS, 1)})
    )
    for peer in PARTIES:
        (home / f"pki/peers/{peer}.pem").write_bytes(CAS[peer].certificate)
    (home / "pki/ca.pem").write_bytes(CAS[party].certificate)
    (home / "pki/party.pem").write_bytes(leaf.certificate)
    (home / "pki/party.key").write_bytes(leaf.key)
    return PartySeal(PartyHome(home))


@pytest.fixture(scope="module")
def seals(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, PartySeal]:
    root = tmp_path_factory.mktemp("homes")
    return {party: seal(root, party) for party in PARTIES}


def test_a_party_says_what_it_signed_and_nothing_else(seals: Mapping[str, PartySeal]) -> None:
    guest, host = seals[GUEST.party], seals[HOST.party]
    proof = guest.sign(b"keys")
    host.verify(GUEST.party, b"keys", proof)
    for party, statement, error in (
        (GUEST.party, b"other keys", "FED-895.*does not belong"),
        (ARBITER.party, b"keys", "FED-895.*party 9999 signed for party 10001"),
    ):
        with pytest.raises(PolicyError, match=error):
            host.verify(party, statement, proof)


def test_another_partys_ca_proves_nothing(seals: Mapping[str, PartySeal], tmp_path: Path) -> None:
    forged = seal(tmp_path, ARBITER.party, issue(CAS[ARBITER.party], GUEST.party))
    with pytest.raises(PolicyError, match="FED-505"):
        seals[HOST.party].verify(GUEST.party, b"keys", forged.sign(b"keys"))


@given(at=st.integers(0, 2000), bits=st.integers(1, 255), cut=st.integers(0, 2000))
def test_a_damaged_proof_is_refused(at: int, bits: int, cut: int, seals: Mapping[str, PartySeal]) -> None:
    proof = bytearray(seals[GUEST.party].sign(b"keys"))
    for damaged in (proof[: cut % len(proof)], _flipped(proof, at % len(proof), bits)):
        try:
            seals[HOST.party].verify(GUEST.party, b"keys", bytes(damaged))
        except PolicyError:
            continue
        # text around the PEM, and other line ends in it, are the same certificate
        length = struct.unpack(">I", damaged[:4])[0]
        assert damaged[4 + length :] == proof[4 + length :]


def _flipped(proof: bytearray, at: int, bits: int) -> bytearray:
    found = bytearray(proof)
    found[at] ^= bits
    return found


# A relay in the middle


@dataclass
class Middle:
    """Passes all messages between guest and host on, and pretends to each that it is the other one.

    Attributes:
        proof: what it hands in as proof of its keys: "replayed", what came with the real ones, or its own.
        fakes: its secrets in the name of each contributor.
        read: contributions in clear.
    """

    inner: Exchange
    attempt: AttemptKey
    seal: Seal
    proof: str
    fakes: Mapping[Member, Secrets] = field(default_factory=lambda: {member: Secrets() for member in TWO})
    real: dict[Member, Keys] = field(default_factory=dict)
    read: dict[Member, Floats] = field(default_factory=dict)

    def transport(self, me: Member) -> Transport:
        return self

    def send(self, key: MessageKey, body: bytes) -> None:
        self.inner.transport(key.source).send(key, self._passed(key, body))

    def recv(self, key: MessageKey) -> bytes:
        return self.inner.transport(key.destination).recv(key)

    def end(self, reason: str) -> None:
        self.inner.end(reason)

    def unread(self) -> list[MessageKey]:
        return self.inner.unread()

    def _passed(self, key: MessageKey, body: bytes) -> bytes:
        if key.topic == KEYS.name:
            return self._replaced(key.source, body)
        if key.topic == ROSTER.name:
            return ROSTER.codec.encode(np.frombuffer(self._roster(key.destination).digest(), np.uint8))
        if key.topic in (ROWS.name, UPDATE.name):
            return self._opened(key, body)
        return body

    def _replaced(self, source: Member, body: bytes) -> bytes:
        told = KEYS.codec.decode(body)
        self.real[source] = Keys(told["exchange"].tobytes(), told["verify"].tobytes())
        fake = self.fakes[source].public()
        own = self.seal.sign(fake.statement(self.attempt, source))
        proof = told["proof"] if self.proof == "replayed" else np.frombuffer(own, np.uint8)
        arrays = {name: np.frombuffer(value, np.uint8) for name, value in vars(fake).items()}
        return KEYS.codec.encode({**arrays, "proof": proof})

    def _roster(self, victim: Member) -> Roster:
        """As the victim sees it."""
        other = next(member for member in TWO if member != victim)
        return Roster(self.attempt, {victim: self.real[victim], other: self.fakes[other].public()})

    def _opened(self, key: MessageKey, body: bytes) -> bytes:
        """A contribution without its mask: sums stay what they are."""
        victim, topic = key.source, ROWS if key.topic == ROWS.name else UPDATE
        other = next(member for member in TWO if member != victim)
        exchange = self.fakes[other].exchange
        secret = pair_secret(exchange, victim, self.real[victim].exchange, self._roster(victim).digest())
        alike = hashlib.sha256(np.zeros(4).tobytes()).digest() if topic is UPDATE else b""
        mask = pair_mask(victim, other, secret, key.topic, key.round, alike)
        words: Words = masked_words(topic.codec.decode(body), [mask.inverse()], SERIAL)
        if topic is UPDATE:
            self.read[victim] = decode(words, FixedPoint.finest(BOUND, 2).bits)
        return topic.codec.encode(words)


class Relayed(LocalNetwork):
    """All messages pass by the arbiter."""

    def __init__(self, folder: Path, seals: Mapping[Member, Seal], proof: str = "own") -> None:
        super().__init__(folder, seals=seals)
        self.proof = proof

    def exchange(self, attempt: AttemptKey, members: object) -> Exchange:
        own = self.seals.get(ARBITER, UNSEALED)
        self.middle = Middle(super().exchange(attempt, TWO), attempt, own, self.proof)
        return self.middle


TRAINING = case(params(max_iter=1, batch_size=-1, penalty="NONE"), rows(TWO, (30, 1)))


def test_without_seals_a_relay_reads_an_update(tmp_path: Path) -> None:
    network = Relayed(tmp_path, {})
    TRAINING.over(network)
    step = network.middle.read[HOST][:-1]
    row = TRAINING.inputs[HOST].data["train_data"][0].features()[0]
    np.testing.assert_allclose(step[:-1] / step[-1], row, rtol=1e-6)


@pytest.mark.parametrize(("proof", "error"), [("own", "FED-895.*party 10001 signed"), ("replayed", "FED-895.*belong")])
def test_with_seals_a_relay_is_found(proof: str, error: str, seals: Mapping[str, PartySeal], tmp_path: Path) -> None:
    network = Relayed(tmp_path, {member: seals[member.party] for member in (*TWO, ARBITER)}, proof)
    with pytest.raises(PolicyError, match=error):
        TRAINING.over(network)
    assert not network.middle.read


def test_a_party_that_signs_nothing_is_refused(seals: Mapping[str, PartySeal], tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="FED-503"):
        TRAINING.over(LocalNetwork(tmp_path, seals={GUEST: seals[GUEST.party]}))


def test_honest_parties_train_with_seals(seals: Mapping[str, PartySeal], tmp_path: Path) -> None:
    sealed = {member: seals[member.party] for member in (*TWO, ARBITER)}
    result = TRAINING.over(LocalNetwork(tmp_path, seals=sealed))
    assert not result.unread
    assert all(m.size <= KEYS.max_bytes for m in result.sent if m.key.topic == KEYS.name)
