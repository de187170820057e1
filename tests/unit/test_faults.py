"""Every component survives deaths over any network: the outcome is as undisturbed.

That it survives the death of any member at any point is part of ``federatedml.conformance``.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest

from airfed_proto.v1 import common_pb2 as pb
from federated_operators.gateway import mailbox
from federated_operators.gateway.frames import Piece
from federatedml.component import registry
from federatedml.components import binning_paillier, hetero_lr_paillier, tree_paillier_guest
from federatedml.conformance.deaths import survived
from federatedml.crypto.paillier.keys import PrivateKey, generate
from federatedml.errors import ProtocolError
from federatedml.federation.local import LocalNetwork, StepResult
from federatedml.federation.party import Member
from tests.fault_cases import MAKERS, Small, cases, names
from tests.mail_network import MailNetwork, Way, WayFaults

CHUNK_BYTES = 100  # so that small messages have many chunks
BAD_WAY = {"drop": 0.05, "duplicate": 0.2, "truncate": 0.05, "reorder": 0.5}
SEEDS = range(8)
Undisturbed = Callable[[str, str], StepResult]


@pytest.fixture(autouse=True)
def _ready_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of runs: making a key for each would take most of the time."""
    for module in (binning_paillier, hetero_lr_paillier, tree_paillier_guest):
        monkeypatch.setattr(module, "generate", ready_key)


@cache
def ready_key(bits: int) -> PrivateKey:
    return generate(bits)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "CHUNK_BYTES", CHUNK_BYTES)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return cache(lambda module, name: cases(module)[name].case.run(tmp_path_factory.mktemp("undisturbed")))


@pytest.fixture(params=names(), ids=" ".join)
def step(request: pytest.FixtureRequest, undisturbed: Undisturbed) -> tuple[Small, StepResult]:
    """A small step of a component, and its undisturbed run."""
    module, name = request.param
    return cases(module)[name], undisturbed(module, name)


def survives(step: tuple[Small, StepResult], network: LocalNetwork) -> None:
    small, expected = step
    found = small.case.over(network)
    survived(small.case.component, expected, found, network.faults, small.same)


def two_deaths(expected: StepResult, draw: random.Random) -> dict[Member, int]:
    """Two members die (where there are two), the later one often while the others recover from the first death."""
    counts = Counter(at.member for at in expected.reached)
    chosen = draw.sample(sorted(counts), min(2, len(counts)))
    return {member: draw.randint(1, counts[member]) for member in chosen}


def test_every_component_has_a_small_step() -> None:
    assert set(MAKERS) == set(registry())


@pytest.mark.parametrize("seed", SEEDS)
def test_any_network_may_be_between_the_mailboxes(step: tuple[Small, StepResult], seed: int, tmp_path: Path) -> None:
    survives(step, MailNetwork(tmp_path, WayFaults(seed, **BAD_WAY)))


@pytest.mark.parametrize("seed", SEEDS)
def test_members_may_die_over_a_bad_network(step: tuple[Small, StepResult], seed: int, tmp_path: Path) -> None:
    kill = two_deaths(step[1], random.Random(seed))
    survives(step, MailNetwork(tmp_path, WayFaults(seed, **BAD_WAY, kill=kill)))


def test_the_way_between_the_mailboxes_is_as_bad_as_it_should_be(tmp_path: Path) -> None:
    network = MailNetwork(tmp_path, WayFaults(1, **BAD_WAY))
    cases("HeteroLR")["plain"].case.over(network)
    assert min(network.ways[0].happened[fault] for fault in BAD_WAY) > 5


def test_a_damaged_message_ends_the_step_and_is_never_used(tmp_path: Path) -> None:
    class Damages(Way):
        def put(self, content: Piece | Sequence[pb.Receipt]) -> None:
            if isinstance(content, Piece) and content.key.topic == "ecdh_matches":
                content = Piece(content.head, content.data[:-1])
            super().put(content)

    class Damaging(MailNetwork):
        def way(self, draw: random.Random) -> Way:
            return Damages(self.way_faults, draw)

    with pytest.raises(ProtocolError, match=r"FED-30[78].*matches"):
        cases("Intersection")["1 hosts"].case.over(Damaging(tmp_path))
