"""Attacks on parties that use Paillier: each succeeds against the arithmetic without the control, and fails with it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpz

from federatedml.compute.engine import SERIAL
from federatedml.crypto.codec import Codec
from federatedml.crypto.paillier.evaluator import Evaluator, evaluator, owner_evaluator
from federatedml.crypto.paillier.keys import PrivateKey, PublicKey
from federatedml.crypto.paillier.noise import SHORT_BITS, BaseNoise, hide_by_base
from federatedml.crypto.paillier.opening import Allowance, Opener
from federatedml.crypto.paillier.parts import packed, unpacked
from federatedml.crypto.paillier.vectors import Encrypted
from federatedml.crypto.vector import Scheme, Sealed
from federatedml.errors import ProtocolError
from tests.paillier_keys import small_key

KEY = small_key()
PUBLIC = KEY.public
HOST, GUEST = evaluator(PUBLIC), owner_evaluator(KEY)
INTEGERS = Codec(0, 2.0**20)


def sealed(ciphertexts: Sequence[int], public: PublicKey = PUBLIC, scale_bits: int = 0) -> Sealed:
    body = packed(map(mpz, ciphertexts), public.width)
    return Sealed(Scheme.PAILLIER, public.key_id, len(ciphertexts), public.width, scale_bits, body)


GOOD = int(1 + 5 * PUBLIC.n)


@pytest.mark.parametrize(
    "bad",
    [0, int(PUBLIC.n2), int(PUBLIC.n2) + 1, int(KEY.p), int(KEY.q) * 7, int(PUBLIC.n), 2 ** (8 * PUBLIC.width) - 1],
)
def test_what_is_no_ciphertext_is_refused_and_named(bad: int) -> None:
    with pytest.raises(ProtocolError, match="element 2 of 4 is not a ciphertext"):
        HOST.receive(sealed([GOOD, GOOD, bad, GOOD]), INTEGERS)


def test_good_ciphertexts_are_taken() -> None:
    assert len(HOST.receive(sealed([GOOD, 1, int(PUBLIC.n2) - 1]), INTEGERS)) == 3


def test_another_key_width_or_scale_is_refused() -> None:
    other = small_key(2**20).public
    narrow = Sealed(Scheme.PAILLIER, PUBLIC.key_id, 2, PUBLIC.width // 2, 0, bytes(PUBLIC.width))
    dealt = Sealed(Scheme.DEALT, PUBLIC.key_id, 1, PUBLIC.width, 0, bytes(PUBLIC.width))
    for wrong in (sealed([GOOD], other), narrow, dealt, sealed([GOOD], scale_bits=4)):
        with pytest.raises(ProtocolError, match="FED-705"):
            HOST.receive(wrong, INTEGERS)


def column_sums(vector: Encrypted, member: np.ndarray) -> Encrypted:
    return vector.take(np.flatnonzero(member)).sum()


def test_a_guest_that_encrypts_powers_of_two_reads_a_bin_only_up_to_its_slot() -> None:
    """Decision: flooding above the slot. Rows that are sent as 2^i are read off an unflooded sum."""
    rng = np.random.default_rng(3)
    member = rng.integers(0, 2, 400).astype(bool)
    attack = sealed([int(1 + PUBLIC.n * (mpz(1) << i)) for i in range(400)])
    hidden = column_sums(HOST.receive(attack, INTEGERS), member)

    def rows(plaintext: mpz) -> np.ndarray:
        return np.array([bool(plaintext >> i & 1) for i in range(400)])

    without = KEY.decrypt(hidden.elements)[0]
    assert np.array_equal(rows(without), member)

    slot, replies = hidden.slot_bits, [hidden.reveal() for _ in range(6)]
    with_ = [rows(KEY.decrypt(unpacked(reply.body, reply.width))[0]) for reply in replies]
    assert 0.4 < np.mean([read[slot:] == member[slot:] for read in with_]) < 0.6  # coins: nine standard deviations
    assert all(np.array_equal(read[:slot], member[:slot]) for read in with_)  # what the declared width lets through


def test_honest_sums_pass_the_flooding() -> None:
    values = np.array([-(2.0**20), 5, -1, 2.0**20 - 1])
    vector = HOST.receive(GUEST.encrypt(values, INTEGERS).seal(), INTEGERS)
    opener = Opener(KEY, {"bins": Allowance(20, 4)})
    for round_ in range(20):
        assert opener.values("bins", round_, vector.reveal()).tolist() == values.tolist()


@pytest.mark.parametrize("spare", [3, 4, 10, 100])
def test_sums_that_nearly_fill_the_key_pass_the_flooding(spare: int) -> None:
    for sign in (1, -1):
        vector = GUEST.encrypt([1.0], Codec(0, 1.0)).times(sign << (PUBLIC.bits - spare))
        opened = Opener(KEY, {"t": Allowance(1, 1)}).values("t", 0, vector.reveal())
        assert opened.tolist() == [sign * 2.0 ** (PUBLIC.bits - spare)]


def test_a_short_exponent_does_not_hide_sums_from_the_owner_a_long_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decision: long exponents for the owner.

    The owner picks p with a smooth p - 1, so that it takes logarithms modulo p, and inputs with the noise h^(2^i) for
    row i. The noise of a sum is then h^(sum of 2^i over its rows), and only what the host multiplies it by hides that.
    (The owner is given h here; it can also be found from ciphertexts whose plaintexts it knows.)
    """
    monkeypatch.setitem(SHORT_BITS, 512, 64)
    key, factors = smooth_key()
    noise = BaseNoise(key.public, SERIAL)
    base = mpz.from_bytes(noise._base, "little")
    start, rows = 72, 120
    member = np.random.default_rng(4).integers(0, 2, rows).astype(bool)
    chosen = [int(gmpy2.powmod(base, mpz(1) << (start + i), key.public.n2)) for i in range(rows)]
    vector = Evaluator(key.public, SERIAL, noise).receive(sealed(chosen, key.public), INTEGERS)
    hidden = column_sums(vector, member)

    def read(body: bytes) -> np.ndarray:
        seen = logarithm(unpacked(body, key.public.width)[0] % key.p, base % key.p, key.p, factors)
        return np.array([bool(seen >> (start + i) & 1) for i in range(rows)])

    assert np.array_equal(read(noise.for_peers(hidden.elements)), member)
    for replies in zip(*((hidden.reveal(), hidden.share()[0], hidden.mask()[0]) for _ in range(4)), strict=True):
        assert 0.3 < np.mean([read(reply.body) == member for reply in replies]) < 0.7  # coins: 8 standard deviations


def smooth_key() -> tuple[PrivateKey, list[int]]:
    """A key of 512 bits with p - 1 twice a product of distinct primes below 4096, and these primes."""
    rng = np.random.default_rng(1)
    primes = [i for i in range(1000, 4096) if gmpy2.is_prime(i)]
    while True:
        factors = [int(f) for f in rng.choice(primes, 23, replace=False)]
        p = 2 * math.prod(factors) + 1
        if (p * KEY.q).bit_length() == 512 and gmpy2.is_prime(p):
            return PrivateKey(mpz(p), KEY.q), factors


def logarithm(value: mpz, base: mpz, p: mpz, factors: Sequence[int]) -> int:
    """The exponent of base^e modulo p, modulo the part of the base's order that ``factors`` make (Pohlig, Hellman)."""
    found, modulus = 0, 1
    for f in factors:
        g, target = gmpy2.powmod(base, (p - 1) // f, p), gmpy2.powmod(value, (p - 1) // f, p)
        if g == 1:
            continue
        power, e = mpz(1), 0
        while power != target:
            power, e = power * g % p, e + 1
        found += modulus * ((e - found) * int(gmpy2.invert(modulus, f)) % f)
        modulus *= f
    return found


def test_a_base_of_a_peer_would_switch_noise_off_so_every_party_makes_its_own() -> None:
    """Decision: with a base of order 1 or 2 a sealed vector is what it was, and everybody reads it."""
    public = small_key(bits=1024).public
    vector = evaluator(public).encrypt([3.0, 4.0], INTEGERS)
    for bad in (mpz(1), public.n2 - 1):
        part = (packed(vector.elements, public.width), packed([bad], public.width), public.to_bytes(), 64, 8)
        seen = unpacked(hide_by_base(part), public.width)
        assert {int(c % public.n2 - 1) // int(public.n) for c in seen} & {3, 4} or bad != 1

    own = [BaseNoise(public, SERIAL)._base for _ in range(3)]
    assert len(set(own)) == 3
    for base in (mpz.from_bytes(b, "little") for b in own):
        assert gmpy2.gcd(base * base - 1, public.n) == 1  # modulo neither prime of small order
    seals = [evaluator(public).encrypt([3.0, 4.0], INTEGERS).seal().body for _ in range(3)]
    assert len({*seals, packed(vector.elements, public.width)}) == 4


def test_the_public_key_carries_no_base() -> None:
    assert len(PUBLIC.to_bytes()) == PUBLIC.plain_width


def test_an_owner_opens_each_message_of_its_plan_once_and_nothing_else() -> None:
    """A host that re-sends what it got, or sends another round's, finds no oracle; each refusal has the same words."""
    reply = GUEST.encrypt([7.0], INTEGERS).reveal()
    assert KEY.decrypt(unpacked(reply.body, reply.width))  # the arithmetic would decrypt it as often as it comes
    opener = Opener(KEY, {"t": Allowance(3, 1)})
    assert opener.values("t", 1, reply).tolist() == [7.0]
    zero = dataclasses.replace(reply, body=bytes(reply.width))
    long = dataclasses.replace(reply, count=2, body=reply.body * 2)
    foreign = dataclasses.replace(reply, key=bytes(16))
    attempts = [(1, reply), (0, zero), (2, long), (3, reply), (-1, reply), (0, reply)]
    for round_, attempt in attempts:
        with pytest.raises(ProtocolError) as error:
            opener.values("t", round_, attempt)
        assert str(error.value) == f"[FED-709] the message 't' of round {round_} is not opened"
        assert error.value.__cause__ is None
    with pytest.raises(ProtocolError, match="FED-709"):
        opener.masked("another topic", 0, reply)
    with pytest.raises(ProtocolError, match="FED-709"):
        Opener(KEY, {"t": Allowance(1, 1)}).share("t", 0, foreign)


@pytest.mark.parametrize("form", [{"scale_bits": -1020}, {"scale_bits": -4096, "slot_bits": 0}, {"slot_bits": 1030}])
def test_a_scale_is_no_test_whether_a_value_is_zero(form: dict[str, int]) -> None:
    """A scale under which all numbers but zero pass a float's range would tell, by the error, which it was."""
    opener = Opener(KEY, {"t": Allowance(2, 1)})
    for round_, value in enumerate([0.0, 7.0]):
        reply = dataclasses.replace(GUEST.encrypt([value], INTEGERS).reveal(), **form)
        with pytest.raises(ProtocolError, match="FED-709"):
            opener.values("t", round_, reply)


def test_the_owner_sees_uniform_numbers_where_the_holder_masks() -> None:
    vector = GUEST.encrypt([1.0, 2.0, 3.0], INTEGERS)
    seen = []
    for _ in range(80):
        reply, mask = vector.mask()
        opened = Opener(KEY, {"t": Allowance(1, 1)}).masked("t", 0, reply)
        assert mask.remove(opened).tolist() == [1.0, 2.0, 3.0]
        seen.append(int(unpacked(opened.body, opened.width)[0]) / int(PUBLIC.n))
    assert KEY.decrypt(vector.elements) == [1, 2, 3]  # without a mask the owner reads them
    assert min(seen) < 0.25 < 0.75 < max(seen)
    assert len(set(seen)) == 80


def test_an_answer_to_another_mask_is_refused() -> None:
    reply, mask = GUEST.encrypt([1.0], INTEGERS).mask()
    opened = Opener(KEY, {"t": Allowance(1, 1)}).masked("t", 0, reply)
    for wrong in ({"key": bytes(16)}, {"scale_bits": 4}, {"slot_bits": 3}, {"count": 2, "body": opened.body * 2}):
        with pytest.raises(ProtocolError, match="FED-708"):
            mask.remove(dataclasses.replace(opened, **wrong))
