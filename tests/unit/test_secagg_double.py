"""Secure sums with double masks: any survivors' exact sum, and never both secrets of anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.compute.engine import SERIAL
from federatedml.crypto.ring import Floats, Words
from federatedml.crypto.secagg.client import pair_mask
from federatedml.crypto.secagg.double import DoubleRound, Offer, default_threshold, own_mask
from federatedml.crypto.secagg.double_sum import DoubleSum
from federatedml.crypto.secagg.fixed import FixedPoint
from federatedml.crypto.secagg.masks import masked_words
from federatedml.crypto.secagg.roster import Secrets, pair_secret
from federatedml.crypto.secagg.shamir import PRIME, join
from federatedml.errors import DataError, PeerError, PolicyError, ProtocolError
from federatedml.federation.party import Member, Role
from tests.members import ARBITER
from tests.secagg_rounds import ATTEMPT, Rounds, clients, parties, rounds


@given(data=st.data(), number=st.integers(2, 6))
@settings(max_examples=40)
def test_the_sum_of_any_survivors_is_exact(data: st.DataObject, number: int) -> None:
    threshold = data.draw(st.integers(number // 2 + 1, number))
    members = parties(number)
    left = data.draw(st.sets(st.sampled_from(members), min_size=threshold))
    revealing = data.draw(st.sets(st.sampled_from(sorted(left)), min_size=threshold))
    world = rounds(number, threshold, length=data.draw(st.integers(0, 3)))
    expected = np.sum([world.values[member] for member in left], axis=0)
    assert (world.opened(left, revealing) == expected).all()


def test_weights_are_applied_and_threads_do_not_matter() -> None:
    found = clients(parties(3))
    everybody = {member: DoubleRound(client, "t", 0, 2) for member, client in found.items()}
    fixed = FixedPoint(20, 1.0, 3)
    notices = {member: mine.notice for member, mine in everybody.items()}
    total = DoubleSum(ATTEMPT, notices, "t", 0, 2, 1)
    for me, mine in everybody.items():
        offers = {m: other.offer(me) for m, other in everybody.items() if m != me}
        total.add(me, mine.mask(np.array([2.0]), fixed, offers, weight=0.25))
    signatures = {m: mine.agree(total.survivors()) for m, mine in everybody.items()}
    reveals = {m: mine.reveal(signatures) for m, mine in everybody.items()}
    assert total.numbers(reveals, fixed).tolist() == [1.5]


def test_the_default_threshold_is_more_than_two_thirds() -> None:
    assert [default_threshold(number) for number in (2, 3, 4, 6, 9, 10)] == [2, 3, 3, 5, 7, 7]


@pytest.mark.parametrize("threshold", [0, 1, 2, 5])
def test_half_of_the_contributors_is_no_threshold(threshold: int) -> None:
    with pytest.raises(PolicyError, match=r"FED-763.*more than half"):
        DoubleRound(clients(parties(4))[parties(4)[0]], "t", 0, threshold)


# Attacks of the aggregator


def test_an_aggregator_that_lies_about_a_drop_gets_both_secrets_of_nobody() -> None:
    """It tells one half that a contributor is left and the other half that it is gone."""
    world = rounds(4, 3)
    victim, *others = parties(4)
    with_victim, without = (victim, *others), tuple(others)
    signatures = {world_member: world.rounds[world_member].agree(with_victim) for world_member in (victim, others[0])}
    signatures |= {member: world.rounds[member].agree(without) for member in others[1:]}
    with pytest.raises(ProtocolError, match=r"FED-767.*signed another list"):
        world.rounds[others[1]].reveal({member: signatures[member] for member in others})
    with pytest.raises(ProtocolError, match=r"FED-767.*2 survivors signed the list, 3 are needed"):
        world.rounds[victim].reveal({member: signatures[member] for member in (victim, others[0])})
    with pytest.raises(ProtocolError, match=r"FED-767.*another one than before"):
        world.rounds[others[0]].agree(without)


def test_who_answers_for_two_lists_opens_one_contribution() -> None:
    """What the control prevents: without it the aggregator has both secrets of a contributor, and so its values."""
    world = rounds(4, 3)
    victim, *others = parties(4)
    index = {member: at for at, member in enumerate(parties(4), start=1)}
    secrets = []
    for survivors in ((victim, *others), tuple(others)):
        signatures = {member: world.rounds[member].agree(survivors) for member in others}
        shares = {index[member]: world.rounds[member].reveal(signatures)[victim] for member in others}
        secrets.append(join(shares, 3, 4))
        with pytest.raises(ProtocolError, match="FED-767"):
            world.rounds[others[0]].agree(tuple(others[:2]))
        for member in others:  # the control is off: all forget that they answered
            world.rounds[member]._survivors, world.rounds[member]._revealed = None, False
    seed, scalar = secrets
    assert (_unmasked(world, victim, seed, scalar) == world.values[victim]).all()


def test_a_late_contribution_of_one_who_is_gone_stays_hidden() -> None:
    """The aggregator has its words and, from the survivors, its key. Only its own mask is in the way."""
    world = rounds(4, 3)
    late, *others = parties(4)
    total = world.sum()
    for member in others:
        total.add(member, world.words[member])
    signatures = {member: world.rounds[member].agree(total.survivors()) for member in others}
    with pytest.raises(ProtocolError, match=rf"FED-766.*{late} contributes too late"):
        total.add(late, world.words[late])
    index = {member: at for at, member in enumerate(parties(4), start=1)}
    scalar = join({index[m]: world.rounds[m].reveal(signatures)[late] for m in others}, 3, 4)
    assert scalar == world.rounds[late]._scalar
    assert not (_unmasked(world, late, None, scalar) == world.values[late]).any()
    assert (_unmasked(world, late, world.rounds[late]._seed, scalar) == world.values[late]).all()


def _unmasked(world: Rounds, victim: Member, seed: bytes | None, scalar: bytes) -> Floats:
    """What both secrets of a contributor (or its key alone) make of its words."""
    digest = world.clients[victim].roster.digest()
    private = X25519PrivateKey.from_private_bytes(scalar)
    secrets = {m: pair_secret(private, m, r.notice.public, digest) for m, r in world.rounds.items() if m != victim}
    masks = [pair_mask(victim, m, secret, world.topic, 1) for m, secret in secrets.items()]
    if seed is not None:
        masks.append(own_mask(seed, victim, world.topic, 1))
    return world.fixed.decode(masked_words(world.words[victim], [mask.inverse() for mask in masks], SERIAL))


def test_a_list_of_survivors_is_checked_before_it_is_signed() -> None:
    world = rounds(5, 3)
    members = parties(5)
    me = world.rounds[members[0]]
    wrong: list[list[Member]] = [
        [],
        members[:2],
        members[1:],
        [*members, ARBITER],
        [members[0], members[2], members[1]],
    ]
    for survivors in [*wrong, [*members[:2], members[1]], [members[0]] * 3]:
        with pytest.raises(ProtocolError, match="FED-767"):
            me.agree(survivors)
    assert me.agree(members) == me.agree(members), "the same list may be asked again"
    with pytest.raises(ProtocolError, match="FED-767"):
        me.agree(members[:4])


def test_a_party_does_not_sign_a_list_below_its_own_least() -> None:
    members = parties(4)
    world = Rounds(clients(members, least=4), dict.fromkeys(members, np.zeros(1)), FixedPoint(0, 1.0, 4), 3)
    with pytest.raises(ProtocolError, match=r"FED-767.*too short"):
        world.rounds[members[0]].agree(members[:3])


def test_a_partys_least_counts_parties_not_members() -> None:
    members = [Member(Role.GUEST, "9999"), *(Member(Role.HOST, party) for party in ("9999", "10000", "10001"))]
    world = Rounds(clients(members, least=3), dict.fromkeys(members, np.zeros(1)), FixedPoint(0, 1.0, 4), 3)
    of_two = sorted(member for member in members if member.party != "10001")
    with pytest.raises(ProtocolError, match=r"FED-767.*too short"):
        world.rounds[of_two[0]].agree(of_two)


def test_nothing_is_signed_or_revealed_out_of_order() -> None:
    members = parties(3)
    early = DoubleRound(clients(members)[members[0]], "t", 0, 2)
    with pytest.raises(ProtocolError, match=r"FED-767.*before the words"):
        early.agree(members)
    world = rounds(3, 2)
    with pytest.raises(ProtocolError, match=r"FED-767.*too early"):
        world.rounds[members[0]].reveal({})
    signatures = {member: world.rounds[member].agree(members) for member in members}
    world.rounds[members[0]].reveal(signatures)
    with pytest.raises(ProtocolError, match=r"FED-767.*twice"):
        world.rounds[members[0]].reveal(signatures)


def test_signatures_are_of_survivors_and_of_this_round() -> None:
    world, another = rounds(4, 3), rounds(4, 3)
    members = parties(4)
    good = {member: world.rounds[member].agree(members) for member in members}
    foreign = another.rounds[members[1]].agree(members)
    unsigned: list[Mapping[Member, bytes]] = [{}, {m: good[m] for m in members[:2]}]
    wrong = [{**good, members[1]: forged} for forged in (good[members[0]], foreign, b"", bytes(64), bytes(63))]
    for signatures in [*unsigned, *wrong, {**good, ARBITER: good[members[0]]}]:
        with pytest.raises(ProtocolError, match="FED-767"):
            world.rounds[members[0]].reveal(signatures)
    assert set(world.rounds[members[0]].reveal({m: good[m] for m in members[1:]})) == set(members)


# Hostile offers, words and shares

SMALL_ORDER = (0).to_bytes(32, "little"), (1).to_bytes(32, "little")
GOOD = Offer(Secrets().public().exchange, bytes(33), bytes(33))


@pytest.mark.parametrize(
    "offer",
    [replace(GOOD, public=key) for key in (b"", bytes(31), bytes(33), *SMALL_ORDER)]
    + [replace(GOOD, key_share=share) for share in (b"", bytes(32), bytes(34), PRIME.to_bytes(33, "big"))]
    + [replace(GOOD, seed_share=b"\xff" * 33)],
)
def test_a_malformed_offer_is_refused_before_anything_is_masked(offer: Offer) -> None:
    members = parties(3)
    mine = DoubleRound(clients(members)[members[0]], "t", 0, 2)
    with pytest.raises(ProtocolError, match="FED-762"):
        mine.mask(np.zeros(1), FixedPoint(0, 1.0, 3), {members[1]: GOOD, members[2]: offer})
    with pytest.raises(ProtocolError, match="FED-767"):
        mine.agree(members)


def test_offers_come_from_all_others_and_words_leave_once() -> None:
    members = parties(3)
    mine = DoubleRound(clients(members)[members[0]], "t", 0, 2)
    offers = {member: replace(GOOD, public=Secrets().public().exchange) for member in members[1:]}
    for wrong in ({}, {members[1]: GOOD}, {**offers, members[0]: GOOD}, {**offers, ARBITER: GOOD}):
        with pytest.raises(ProtocolError, match="FED-762"):
            mine.mask(np.zeros(1), FixedPoint(0, 1.0, 3), wrong)
    with pytest.raises(DataError, match="FED-761"):
        mine.mask(np.array([2.0]), FixedPoint(0, 1.0, 3), offers)
    with pytest.raises(ProtocolError, match="FED-760"):
        mine.mask(np.zeros(1), FixedPoint(0, 1.0, 2), offers)
    mine.mask(np.zeros(1), FixedPoint(0, 1.0, 3), offers)
    with pytest.raises(ProtocolError, match="FED-765"):
        mine.mask(np.zeros(1), FixedPoint(0, 1.0, 3), offers)


def test_a_topic_and_round_is_for_one_vector_whatever_its_masks() -> None:
    client = clients(parties(3))[parties(3)[0]]
    DoubleRound(client, "t", 0, 2)
    with pytest.raises(ProtocolError, match="FED-765"):
        DoubleRound(client, "t", 0, 2)
    with pytest.raises(ProtocolError, match="FED-765"):
        client.mask(np.zeros(1), FixedPoint(0, 1.0, 3), "t", 0)


@pytest.mark.parametrize(
    "words", [np.zeros(2, np.uint64), np.zeros((3, 1), np.uint64), np.zeros(3), np.zeros(3, "<u4")]
)
def test_words_of_another_shape_are_refused(words: Words) -> None:
    with pytest.raises(ProtocolError, match="FED-766"):
        rounds(3, 2).sum().add(parties(3)[0], words)


def test_the_aggregator_takes_each_contributor_once_and_needs_enough() -> None:
    world, members = rounds(4, 3), parties(4)
    total = world.sum()
    total.add(members[0], world.words[members[0]])
    for member in (members[0], ARBITER):
        with pytest.raises(ProtocolError, match="FED-766"):
            total.add(member, world.words[members[0]])
    total.add(members[1], world.words[members[1]])
    with pytest.raises(PeerError, match=r"FED-769.*2 of 4 contributions came, 3 are needed"):
        total.survivors()


def test_the_aggregator_checks_what_is_revealed() -> None:
    world, members = rounds(4, 3), parties(4)
    left = members[:3]
    total = world.sum()
    for member in left:
        total.add(member, world.words[member])
    signatures = {member: world.rounds[member].agree(total.survivors()) for member in left}
    reveals = {member: world.rounds[member].reveal(signatures) for member in left}
    one = reveals[left[0]]
    bad: list[Mapping[Member, Mapping[Member, bytes]]] = [
        {**reveals, left[0]: {m: share for m, share in one.items() if m != members[3]}},
        {**reveals, left[0]: {**one, left[1]: bytes(33)}},
        {**reveals, left[0]: {**one, members[3]: bytes(33)}},
        {**reveals, left[0]: {**one, left[1]: b"\xff" * 33}},
        {**reveals, left[0]: {**one, left[1]: b""}},
        {**reveals, left[0]: reveals[left[1]]},
    ]
    for wrong in bad:
        with pytest.raises(ProtocolError, match="FED-768"):
            total.numbers(wrong, world.fixed)
    for few in ({}, {left[0]: one}, {**reveals, members[3]: one}):
        with pytest.raises(PeerError, match="FED-769"):
            total.numbers(few, world.fixed)
    assert (total.numbers(reveals, world.fixed) == sum(world.values[member] for member in left)).all()
