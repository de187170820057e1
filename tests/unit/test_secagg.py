"""Secure sums with pairwise masks: exact for every input within bounds, nothing else for the aggregator, and no way
in between."""

from __future__ import annotations

import hmac
import itertools
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from federatedml.component import Component, Inputs, Outputs, Params
from federatedml.compute.choice import EngineName, compute_engine
from federatedml.compute.engine import SERIAL
from federatedml.crypto.ecdh import PRIME
from federatedml.crypto.ring import Words
from federatedml.crypto.secagg.aggregator import Sum
from federatedml.crypto.secagg.client import MIN_CONTRIBUTORS, Agreed, Client, Newcomer, pair_mask
from federatedml.crypto.secagg.fixed import FixedPoint
from federatedml.crypto.secagg.masks import BLOCK, Mask, masked_words
from federatedml.crypto.secagg.roster import Keys, Roster, Secrets, packed, pair_secret
from federatedml.crypto.secagg.steps import (
    KEYS,
    LEARNS_OF_TWO,
    ROSTER,
    ROWS,
    SECURE_SUM,
    TOTAL,
    MinContributors,
    join,
    send_sum,
    sum_topic,
    take_sum,
    take_weights,
    weigh,
)
from federatedml.errors import DataError, PolicyError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Member, Role
from tests.conformance import Case, conforms
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST
from tests.secagg_rounds import ATTEMPT, clients, parties

PINNED = ["0x55916b2fac5e82bb", "0xf4649111e08f0ce4"]
THREE = [GUEST, HOST, OTHER_HOST]


def total(contributions: Mapping[Member, Words]) -> Sum:
    found = Sum(list(contributions), len(next(iter(contributions.values()))))
    for member, words in contributions.items():
        found.add(member, words)
    return found


# The sum


@given(data=st.data(), number=st.integers(2, 5), length=st.integers(0, 4), bits=st.integers(0, 40))
def test_the_sum_is_exact_for_all_values_within_the_bound(
    data: st.DataObject, number: int, length: int, bits: int
) -> None:
    bound = data.draw(st.floats(1e-3, 2.0 ** (60 - bits) / number))
    values = st.lists(st.floats(-bound, bound), min_size=length, max_size=length)
    given_values = [np.array(data.draw(values), np.float64) for _ in range(number)]
    fixed = FixedPoint(bits, bound, number)
    found = clients(parties(number))
    contributions = {
        member: client.mask(mine, fixed, "t", 0)
        for (member, client), mine in zip(found.items(), given_values, strict=True)
    }
    exact = [sum(round(float(mine[at]) * 2**bits) for mine in given_values) for at in range(length)]
    assert total(contributions).total.view(np.int64).tolist() == exact


@pytest.mark.parametrize("engine", [EngineName.THREADS, EngineName.PROCESSES])
def test_long_vectors_give_the_same_words_on_every_engine(engine: EngineName) -> None:
    values = np.random.default_rng(1).normal(size=3 * BLOCK + 17)
    fixed, found = FixedPoint.finest(100.0, 3), clients(THREE)
    once = {member: client.mask(values, fixed, "x", 1, 0.25) for member, client in found.items()}
    with compute_engine(engine, workers=3) as compute:
        for member, client in found.items():
            client._used.clear()
            assert (client.mask(values, fixed, "x", 1, 0.25, compute) == once[member]).all()
        values[-1] = 500.0
        with pytest.raises(DataError, match="FED-761"):
            found[GUEST].mask(values, fixed, "x", 2, 0.25, compute)
    assert np.abs(total(once).numbers(fixed)[:-1] - 0.75 * values[:-1]).max() < 3 * 2.0**-fixed.bits


def test_a_contribution_looks_uniform_and_differs_in_every_round_topic_and_attempt() -> None:
    fixed, zeros = FixedPoint(30, 1.0, 3), np.zeros(4096)
    later = clients(THREE, replace(ATTEMPT, attempt=2))[GUEST].mask(zeros, fixed, "a", 0)
    client = clients(THREE)[GUEST]
    seen = [client.mask(zeros, fixed, topic, round) for topic in "ab" for round in range(3)] + [later]
    for one, other in itertools.combinations(seen, 2):
        assert not (one == other).any()
    bits = np.unpackbits(np.concatenate(seen).view(np.uint8)).mean()
    assert abs(bits - 0.5) < 0.005
    assert Counter(np.concatenate(seen).tolist()).most_common(1)[0][1] == 1


def test_without_one_contribution_the_rest_means_nothing() -> None:
    fixed = FixedPoint(20, 1.0, 3)
    contributions = {member: c.mask(np.full(1000, 0.5), fixed, "t", 0) for member, c in clients(THREE).items()}
    partial = sum(contributions[member] for member in (GUEST, HOST))
    assert np.abs(partial.view(np.int64)).min() > 2**22, "masks of the third are still in it: the values make 2**20"
    incomplete = Sum(THREE, 1000)
    incomplete.add(GUEST, contributions[GUEST])
    with pytest.raises(ProtocolError, match=r"FED-766.*host_10000, host_10002 did not contribute"):
        incomplete.numbers(fixed)


def test_a_mask_is_what_its_formula_says() -> None:
    """HKDF (RFC 5869) and counter mode written out; the first words pinned, so that versions can be told apart."""
    mine, theirs = (X25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
    salt = bytes(range(32))
    secret = pair_secret(mine, HOST, theirs.public_key().public_bytes_raw(), salt)
    assert secret == pair_secret(theirs, GUEST, mine.public_key().public_bytes_raw(), salt)
    assert secret == hmac.digest(salt, mine.exchange(theirs.public_key()), "sha256")
    fields = [b"pair", b"update", (7).to_bytes(8, "big"), b"guest_9999", b"host_10000"]
    info = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    key = hmac.digest(secret, info + b"\x01", "sha256")[:16]
    added, subtracted = pair_mask(GUEST, HOST, secret, "update", 7), pair_mask(HOST, GUEST, secret, "update", 7)
    assert (added, subtracted) == (Mask(key), Mask(key, subtracted=True))
    ecb = Cipher(algorithms.AES128(key), modes.ECB()).encryptor()  # noqa: S305 - counter mode by hand
    blocks = b"".join(ecb.update(counter.to_bytes(16, "big")) for counter in range(BLOCK // 2 + 2))
    expected = np.frombuffer(blocks, "<u8")[: BLOCK + 3]
    nothing = np.zeros(BLOCK + 3, np.uint64)
    assert (masked_words(nothing, [added], SERIAL) == expected).all()
    assert (masked_words(nothing, [subtracted], SERIAL) == -expected).all()
    assert not masked_words(nothing, [added, added.inverse()], SERIAL).any()
    assert [hex(word) for word in expected[:2].tolist()] == PINNED


def test_packing_is_unambiguous() -> None:
    assert len({packed(b"ab", b"c"), packed(b"a", b"bc"), packed(b"abc"), packed(b"abc", b"")}) == 4


# Bounds


@pytest.mark.parametrize(
    ("bits", "bound", "contributors"),
    [
        *((40, 2.0**20, 8), (62, 1.0, 2), (0, 2.0**62, 2), (62, 2.0, 1)),
        *((-1, 1.0, 2), (63, 1e-6, 2), (1, 0.0, 2), (1, math.nan, 2), (1, math.inf, 2), (1, 1.0, 0)),
    ],
)
def test_a_scale_whose_sums_could_wrap_is_refused(bits: int, bound: float, contributors: int) -> None:
    with pytest.raises(ProtocolError, match="FED-760"):
        FixedPoint(bits, bound, contributors)


@given(bound=st.floats(1e-9, 1e15), contributors=st.integers(1, 1000))
def test_the_finest_scale_fits_and_the_next_finer_does_not_matter(bound: float, contributors: int) -> None:
    fixed = FixedPoint.finest(bound, contributors)
    assert fixed.bits == 62 or contributors * bound * 2.0 ** (fixed.bits + 2) > 2.0**62
    edge, words = np.array([bound, -bound]), np.empty(2, np.uint64)
    fixed.encode(edge, 1.0, words)
    assert np.allclose(fixed.decode(words), edge, rtol=2**-20, atol=2.0**-fixed.bits)


def test_no_finest_scale_for_sums_that_never_fit() -> None:
    for bound, contributors in ((2.0**70, 2), (math.inf, 2), (1.0, 0)):
        with pytest.raises(ProtocolError, match="FED-760"):
            FixedPoint.finest(bound, contributors)


@pytest.mark.parametrize("value", [1.001, -1.001, math.nan, math.inf, -math.inf, 1e300])
@pytest.mark.parametrize("at", [0, BLOCK + 3])
def test_a_value_out_of_bounds_is_refused_before_anything_is_masked(value: float, at: int) -> None:
    values = np.zeros(BLOCK + 4)
    values[at] = value
    with pytest.raises(DataError, match="FED-761") as caught:
        clients(THREE)[GUEST].mask(values, FixedPoint(20, 1.0, 3), "t", 0)
    assert str(value) not in caught.value.message, "errors cross the border, values do not"


def test_a_weight_counts_before_the_bound() -> None:
    fixed, found = FixedPoint(20, 1.0, 3), clients(THREE)
    contributions = {m: c.mask(np.array([4.0]), fixed, "t", 0, weight=0.25) for m, c in found.items()}
    assert total(contributions).numbers(fixed).tolist() == [3.0]
    with pytest.raises(DataError, match="FED-761"):
        found[GUEST].mask(np.array([4.0]), fixed, "t", 1, weight=0.5)


def test_a_scale_for_fewer_contributors_is_refused() -> None:
    with pytest.raises(ProtocolError, match="FED-760"):
        clients(THREE)[GUEST].mask(np.zeros(1), FixedPoint(20, 1.0, 2), "t", 0)


# Contributors


def test_a_second_vector_under_the_same_masks_is_refused() -> None:
    fixed, found = FixedPoint(20, 10.0, 3), clients(THREE)
    first, _ = (found[GUEST].mask(np.array([3.0]), fixed, topic, 0) for topic in "ab")
    with pytest.raises(ProtocolError, match=r"FED-765.*'a' of round 0"):
        found[GUEST].mask(np.array([5.0]), fixed, "a", 0)
    found[GUEST]._used.clear()  # without the control, the difference of two vectors is open
    second = found[GUEST].mask(np.array([5.0]), fixed, "a", 0)
    assert fixed.decode(second - first).tolist() == [2.0]


@pytest.mark.parametrize(("number", "least"), [(2, 3), (1, 1), (4, 5)])
def test_too_few_contributors_are_refused(number: int, least: int) -> None:
    with pytest.raises(PolicyError, match=r"FED-763.*at least"):
        Newcomer(GUEST, parties(number), ATTEMPT, least)
    with pytest.raises(PolicyError, match="FED-763"):
        Newcomer(GUEST, [GUEST] * 5, ATTEMPT, least)
    with pytest.raises(PolicyError, match="FED-763"):
        Newcomer(ARBITER, parties(5), ATTEMPT, least)
    with pytest.raises(PolicyError, match="FED-763"):
        Newcomer(GUEST, [GUEST, HOST, Member(Role.HOST, GUEST.party)], ATTEMPT)


def test_three_contributors_are_the_least_unless_the_party_says_otherwise() -> None:
    with pytest.raises(PolicyError, match=r"FED-763.*2 contributors, at least 3"):
        Newcomer(GUEST, parties(2), ATTEMPT)
    found = clients(parties(2))
    assert set(found) == set(parties(2))


SMALL_ORDER = [0, 1, PRIME - 1, PRIME, PRIME + 1]
SMALL_ORDER += [325606250916557431795983626356110631294008115727848805560023387167927233504]


@pytest.mark.parametrize("u", SMALL_ORDER)
def test_a_key_of_small_order_is_refused(u: int) -> None:
    agreed = _with_foreign_key(u.to_bytes(32, "little"))
    with pytest.raises(ProtocolError, match=r"FED-762.*host_10000.*small order"):
        agreed.confirm(dict.fromkeys((HOST, OTHER_HOST), agreed.digest))


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33)], ids=len)
def test_a_key_of_another_length_is_refused(key: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"FED-762.*host_10000 does not have 32 bytes"):
        _with_foreign_key(key)


def test_one_key_twice_and_keys_of_strangers_are_refused() -> None:
    newcomers = {member: Newcomer(member, THREE, ATTEMPT) for member in THREE}
    keys = {member: newcomers[member].keys for member in (HOST, OTHER_HOST)}
    for wrong in ({HOST: keys[HOST]}, {**keys, ARBITER: keys[HOST]}, {**keys, GUEST: newcomers[GUEST].keys}, {}):
        with pytest.raises(ProtocolError, match=r"FED-762.*others than the contributors"):
            newcomers[GUEST].agree(wrong)
    for copied in (newcomers[GUEST].keys, keys[HOST], replace(keys[HOST], verify=newcomers[GUEST].keys.verify)):
        with pytest.raises(ProtocolError, match=r"FED-762.*the same public key"):
            newcomers[GUEST].agree({HOST: keys[HOST], OTHER_HOST: copied})


def _with_foreign_key(key: bytes) -> Agreed:
    newcomers = {member: Newcomer(member, THREE, ATTEMPT) for member in THREE}
    keys = {member: newcomers[member].keys for member in (HOST, OTHER_HOST)}
    return newcomers[GUEST].agree({**keys, HOST: replace(keys[HOST], exchange=key)})


def test_a_roster_names_attempt_members_and_keys() -> None:
    keys = {member: Secrets().public() for member in THREE}
    one = Roster(ATTEMPT, keys)
    others = [
        Roster(replace(ATTEMPT, **{name: value}), keys)
        for name, value in {"initiator": "1", "job_id": "2", "component": "x", "generation": 2, "attempt": 2}.items()
    ]
    others += [Roster(ATTEMPT, {**keys, GUEST: Secrets().public()}), Roster(ATTEMPT, {m: keys[m] for m in THREE[:2]})]
    others += [Roster(ATTEMPT, {**keys, GUEST: Keys(keys[GUEST].verify, keys[GUEST].exchange)})]
    assert len({roster.digest() for roster in [one, *others]}) == len(others) + 1
    assert one.digest() == Roster(ATTEMPT, dict(reversed(keys.items()))).digest()


@pytest.mark.parametrize(
    "digests", [{}, {HOST: b"own"}, {HOST: b"own", OTHER_HOST: bytes(32)}, {HOST: b"own", OTHER_HOST: b""}]
)
def test_every_other_contributor_confirms(digests: dict[Member, bytes]) -> None:
    newcomers = {member: Newcomer(member, THREE, ATTEMPT) for member in THREE}
    agreed = newcomers[GUEST].agree({member: newcomers[member].keys for member in (HOST, OTHER_HOST)})
    told = {member: agreed.digest if digest == b"own" else digest for member, digest in digests.items()}
    with pytest.raises(ProtocolError, match=r"FED-764.*host_10002"):
        agreed.confirm(told)
    with pytest.raises(ProtocolError, match=r"FED-764.*a stranger"):
        agreed.confirm(dict.fromkeys((HOST, OTHER_HOST, ARBITER), agreed.digest))


def test_who_replaces_keys_on_the_way_reads_all_without_confirmation_and_is_found_with_it() -> None:
    """The man in the middle (an aggregator that carries the keys) shows every contributor keys of its own."""
    newcomers = {member: Newcomer(member, THREE, ATTEMPT) for member in THREE}
    middle = {member: Secrets() for member in THREE}
    shown = {member: secrets.public() for member, secrets in middle.items()}
    agreed = {me: mine.agree({m: shown[m] for m in THREE if m != me}) for me, mine in newcomers.items()}
    with pytest.raises(ProtocolError, match=r"FED-764.*host_10000, host_10002 did not confirm"):
        agreed[GUEST].confirm({member: agreed[member].digest for member in (HOST, OTHER_HOST)})

    careless = Client(GUEST, agreed[GUEST].roster, newcomers[GUEST]._secrets, least=3)
    values, fixed = np.array([0.25, -0.75]), FixedPoint(20, 1.0, 3)
    words = careless.mask(values, fixed, "t", 0)
    secrets = {
        member: pair_secret(middle[member].exchange, GUEST, newcomers[GUEST].keys.exchange, agreed[GUEST].digest)
        for member in (HOST, OTHER_HOST)
    }
    undo = [pair_mask(GUEST, member, secret, "t", 0).inverse() for member, secret in secrets.items()]
    assert (fixed.decode(masked_words(words, undo, SERIAL)) == values).all()


# Aggregator


@pytest.mark.parametrize(
    "words", [np.zeros(2, np.uint64), np.zeros((3, 1), np.uint64), np.zeros(3), np.zeros(3, "<u4")]
)
def test_an_aggregator_refuses_other_shapes(words: Words) -> None:
    with pytest.raises(ProtocolError, match=r"FED-766.*guest_9999 sent"):
        Sum(THREE, 3).add(GUEST, words)


def test_an_aggregator_takes_each_contributor_once() -> None:
    found = Sum([GUEST, HOST], 1)
    found.add(GUEST, np.ones(1, np.uint64))
    for member in (GUEST, ARBITER):
        with pytest.raises(ProtocolError, match=rf"FED-766.*{member}"):
            found.add(member, np.ones(1, np.uint64))


# In role functions


LOSS, UPDATE = sum_topic("loss", "losses"), sum_topic("update", "weights")
MEAN = FixedPoint.finest(1000.0, 8)


class Averaged(Params):
    min_contributors: MinContributors = MIN_CONTRIBUTORS


def contributor(params: Averaged, box: Box, inputs: Inputs) -> Outputs:
    """Averages a made-up vector, weighted by rows, twice."""
    number = float(box.me.party)
    client = join(box, params.min_contributors)
    share = weigh(box, client, int(number))
    for round in (1, 2):
        send_sum(box, client, UPDATE, np.array([round, number / 100]), MEAN, round, share)
        send_sum(box, client, LOSS, np.array([0.5]), MEAN, round, share)
    return Outputs()


def arbiter(params: Averaged, box: Box, inputs: Inputs) -> Outputs:
    rows = take_weights(box)
    means = [(take_sum(box, UPDATE, 2, MEAN, round), take_sum(box, LOSS, 1, MEAN, round)) for round in (1, 2)]
    summary = {"rows": rows, "first": means[1][0][0], "second": means[0][0][1], "loss": means[0][1][0]}
    return Outputs(summary={name: float(value) for name, value in summary.items()})


AVERAGE = Component(
    "Average",
    "weighted means of made-up vectors",
    Averaged,
    {Role.GUEST: contributor, Role.HOST: contributor, Role.ARBITER: arbiter},
    (*SECURE_SUM, UPDATE, LOSS),
    {Role.ARBITER: [LEARNS_OF_TWO]},
    has_data=False,
    reproducible=1e-12,
)


@pytest.mark.parametrize("hosts", [[HOST], [HOST, OTHER_HOST]], ids=len)
def test_a_component_averages_by_a_secure_sum(hosts: list[Member], tmp_path: Path) -> None:
    members = [ARBITER, GUEST, *hosts]
    case = Case(
        AVERAGE, dict.fromkeys(members, Averaged(min_contributors=2)), dict.fromkeys(members, Inputs()), "average_0"
    )
    result = conforms(case, tmp_path, kill_every=3)
    weights = np.array([float(member.party) for member in members[1:]])
    found = result.outputs[ARBITER].summary
    assert (found["rows"], found["loss"]) == (weights.sum(), pytest.approx(0.5))
    assert (found["first"], found["second"]) == (
        pytest.approx(2.0),
        pytest.approx((weights**2 / 100).sum() / weights.sum()),
    )
    aggregator = [message for message in result.sent if ARBITER in (message.key.source, message.key.destination)]
    assert {message.key.topic for message in aggregator} == {"secagg_rows", "secagg_total", "update", "loss"}, (
        "no key passes by the arbiter"
    )


def test_topics_say_who_learns_what() -> None:
    assert UPDATE.disclosure()["learns"].startswith("the sum of all contributors' weights")
    assert UPDATE.to == (Role.ARBITER,)
    assert Role.ARBITER not in (*KEYS.to, *KEYS.source, *ROSTER.to, *ROSTER.source)


def test_a_party_takes_no_part_in_a_sum_of_fewer_than_it_asks_for(tmp_path: Path) -> None:
    members = [ARBITER, GUEST, HOST]
    case = Case(AVERAGE, dict.fromkeys(members, Averaged()), dict.fromkeys(members, Inputs()), "average_0")
    with pytest.raises(PolicyError, match=r"FED-763.*2 contributors, at least 3"):
        case.run(tmp_path)
    with pytest.raises(ValueError, match="min_contributors"):
        Averaged(min_contributors=1)


def lying_about_rows(totals: Mapping[Member, list[float]]) -> Case:
    """The arbiter tells each contributor a total of its own."""

    def lying(params: Averaged, box: Box, inputs: Inputs) -> Outputs:
        take_sum(box, ROWS, 1, FixedPoint(0, 1e9, 2))
        for member, total in totals.items():
            box.send(TOTAL, np.array(total), to=member)
        return Outputs(summary={"read": float(take_sum(box, UPDATE, 2, MEAN, 1)[1])})

    members = [ARBITER, *totals]
    component = replace(AVERAGE, roles={**AVERAGE.roles, Role.ARBITER: lying})
    return Case(component, dict.fromkeys(members, Averaged(min_contributors=2)), dict.fromkeys(members, Inputs()))


@pytest.mark.parametrize("total", [[], [1.0, 2.0], [0.0], [-1.0], [9998.0], [2.0**63]])
def test_a_total_that_cannot_be_is_refused(total: list[float], tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match=r"FED-757.*secagg_total"):
        lying_about_rows({GUEST: total, HOST: total}).run(tmp_path)


def test_totals_that_single_one_out_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attack = lying_about_rows({GUEST: [9999.0], HOST: [2.0**40]})
    with pytest.raises(ProtocolError, match=r"FED-757.*was told another weight"):
        attack.run(tmp_path / "found")

    def believing(box: Box, client: Client, rows: int) -> float:  # without the control
        send_sum(box, client, ROWS, np.array([float(rows)]), FixedPoint(0, 1e9, 2))
        return rows / float(box.recv(TOTAL)[0])

    monkeypatch.setitem(globals(), "weigh", believing)
    read = attack.run(tmp_path / "open").outputs[ARBITER].summary["read"]
    assert read == pytest.approx(99.99, abs=1e-4), "the guest's own value"
