"""Maps and bits on shares with fixed seeds: every word as HKDF, AES and plain sums give it, and pinned.

Dealer, holder and owner are three installations: they fit each other only if all derive the same words.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from federatedml.crypto.candidates import Candidates
from federatedml.crypto.codec import Codec
from federatedml.crypto.dealt import deal as deals
from federatedml.crypto.dealt.bits import BitHolder, BitOwner, deal_bits
from federatedml.crypto.dealt.columns import Columns
from federatedml.crypto.dealt.deal import Deal
from federatedml.crypto.dealt.dealer import MapDealer
from federatedml.crypto.dealt.holder import DealtHolder
from federatedml.crypto.dealt.messages import Block, Correction, unpack
from federatedml.crypto.dealt.owner import DealtOwner
from federatedml.crypto.dealt.words import WordRing
from federatedml.crypto.stream import Stream
from federatedml.crypto.vector import Reply

NAME = bytes(range(16))
SEEDS = {"holder": b"h" * 32, "owner": b"o" * 32}
CONTEXT = b"9999 job 1"
HOLDER, OWNER = (Stream(seed, CONTEXT) for seed in SEEDS.values())
ROWS, COUNTS, VECTORS = 2**13 + 3, [3, 2], 2  # two stripes of masks
CODEC = Codec(8, 4.0)
SMALL = 21  # rows of bits

MAP_WORDS = {
    32: {
        "setup": "cc7af3e3ebf34962f027d15b6ea634e8",
        "blocks": "3e5734fade6296c8c2663bbfdb10a9dd",
        "corrections": "61d86379940dbde04ef6d35323ba6267",
        "sealed": "80078f6f39d518a0f6d009ac186252ea",
        "reply": "3efd3fc07a121267f333c2200f9094fe",
    },
    64: {
        "setup": "2691164338ff2338476dd00ca11e50db",
        "blocks": "d1a32f5265fae1adec3587f0310894d1",
        "corrections": "7b97b1e28a3d3a338183cf3db8d736b7",
        "sealed": "05939cb01684ae1c11baee37ffc97071",
        "reply": "ca0e7c9434fa28e4d2859d0301fc0972",
    },
}
SHUFFLE = "ac223b2513fd38a62b73099e5e3eb637a2feaddc14c71ea0"
BITS = {"asked": "c617ff227acb", "dealt": "c750aa0c5fc2", "answer": "c7659827397f3f57bb"}


def drawn(party: str, purpose: str, index: int, size: int) -> bytes:
    """``size`` bytes of a party's stream for a purpose of the map: HKDF-SHA256 (RFC 5869), AES-256 from counter 0."""
    info = f"dealt {purpose} {NAME.hex()}".encode() + b"\0" + index.to_bytes(8, "big")
    key = HKDF(SHA256(), 32, salt=CONTEXT, info=info).derive(SEEDS[party])
    return Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(bytes(size))


def words(party: str, purpose: str, index: int, count: int, bits: int) -> np.ndarray:
    return np.frombuffer(drawn(party, purpose, index, count * bits // 8), f"<u{bits // 8}")


def digest(*bodies: bytes) -> str:
    return hashlib.sha256(b"".join(bodies)).hexdigest()[:32]


@pytest.fixture(autouse=True)
def name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deals.os, "urandom", lambda count: NAME[:count])


def plain() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bins (2, rows), the map's matrix (rows, cells) of zeros and ones, integers (rows, vectors)."""
    bins = np.stack([np.arange(ROWS) * (7 + j) % 11 % count for j, count in enumerate(COUNTS)])
    cells = [bins[j] == b for j, count in enumerate(COUNTS) for b in range(count)]
    integers = np.stack([np.arange(ROWS) * (3 + q) % 1999 - 999 for q in range(VECTORS)], axis=1)
    return bins.astype(np.uint8), np.stack(cells, axis=1), integers


def masks(bits: int, outputs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A (rows, outputs), b (rows, vectors), c (outputs, vectors): A by messages of rows, b by stripes of 2^13."""
    stripes = [2**13, ROWS - 2**13]
    A = [words("holder", "matrix", i, n * outputs, bits) for i, n in enumerate(stripes)]
    b = [
        np.concatenate([words("owner", "vector", i * 2**32 + q, n, bits) for i, n in enumerate(stripes)])
        for q in range(VECTORS)
    ]
    c = [words("holder", "share", q, outputs, bits) for q in range(VECTORS)]
    return np.concatenate(A).reshape(ROWS, outputs), np.stack(b, axis=1), np.stack(c, axis=1)


@pytest.mark.parametrize("bits", [32, 64])
def test_shares_of_a_histogram(bits: int) -> None:
    bins, matrix, integers = plain()
    dtype, outputs = np.dtype(f"<u{bits // 8}"), sum(COUNTS)
    M, v = matrix.astype(dtype), integers.astype(dtype)
    plan = DealtHolder(HOLDER, VECTORS, WordRing(bits)).plan_histogram(bins, COUNTS)
    deal = Deal.from_bytes(plan.setup_message(), ROWS, outputs)
    asker = DealtOwner(OWNER).attach(ROWS, outputs, VECTORS, plan.setup_message())

    A, b, c = masks(bits, outputs)
    E = list(plan.blocks())
    for block, rows in zip(E, (slice(0, 2**13), slice(2**13, ROWS)), strict=True):
        np.testing.assert_array_equal(unpack(block, deal, range(rows.start, rows.stop), outputs), (M - A)[rows])
        asker.pads.absorb(Block.from_bytes(block.to_bytes()))
    (correction,) = MapDealer(deal, HOLDER, OWNER).corrections(range(VECTORS))
    np.testing.assert_array_equal(unpack(correction, deal, range(VECTORS), outputs), A.T @ b - c)
    asker.pads.correct(Correction.from_bytes(correction.to_bytes()))

    sealed = asker.seal(integers / 2.0**8, CODEC)
    np.testing.assert_array_equal(unpack(sealed, deal, range(VECTORS), ROWS), v - b)
    reply = plan.apply(sealed).reveal()
    at_holder, at_owner = M.T @ (v - b) + c, (M - A).T @ b + (A.T @ b - c)
    np.testing.assert_array_equal(unpack(reply, deal, range(VECTORS), outputs), at_holder)
    np.testing.assert_array_equal(at_holder + at_owner, M.T @ v)
    np.testing.assert_array_equal(asker.pads.share(range(VECTORS)), at_owner)
    opened = asker.open(Reply.from_bytes(reply.to_bytes()))
    np.testing.assert_array_equal(opened, matrix.T.astype(np.int64) @ integers / 2.0**8)
    told = {"blocks": E, "corrections": [correction], "sealed": [sealed], "reply": [reply]}
    found = {what: digest(*(message.to_bytes() for message in messages)) for what, messages in told.items()}
    assert {"setup": digest(plan.setup_message()), **found} == MAP_WORDS[bits]


def test_an_order_and_what_takes_the_masks_off_in_it() -> None:
    candidates, index = Candidates.of(COUNTS), 4
    cuts = sum(count - 1 for count in COUNTS)
    deal = Deal.new(ROWS, cuts, WordRing(), 0)
    order = np.argsort(words("holder", "order", index, cuts, 64))
    lift, told = (
        np.stack([words("owner", what, q, cuts, 32) for q in range(VECTORS)], axis=1) for what in ("lift", "told")
    )
    found = unpack(
        MapDealer(deal, HOLDER, OWNER).shuffle(candidates, range(VECTORS), index), deal, range(VECTORS), cuts
    )
    np.testing.assert_array_equal(found, lift[order] - told)
    assert found.tobytes().hex() == SHUFFLE


def test_bits_of_rows() -> None:
    deal = Deal.new(SMALL, 1, WordRing(), 0)
    sets = np.stack([np.arange(SMALL) % 3 == q for q in range(2)])
    bits = np.stack([np.arange(SMALL) * (5 + q) % 7 < 3 for q in range(2)])
    size, triples = 3, range(2)
    alpha, gamma, beta = (
        [np.frombuffer(drawn(party, f"bits {what}", t, size), np.uint8) for t in triples]
        for party, what in (("holder", "alpha"), ("holder", "gamma"), ("owner", "beta"))
    )
    owner, holder = BitOwner(OWNER, deal, Columns(2)), BitHolder(HOLDER, deal, Columns(2))
    m, l = np.packbits(sets, axis=1), np.packbits(bits, axis=1)  # noqa: E741 - as in the definition
    asked, dealt = owner.ask(sets), deal_bits(deal, HOLDER, OWNER, triples)
    np.testing.assert_array_equal(asked, m ^ beta)
    np.testing.assert_array_equal(dealt, np.array(gamma) ^ (np.array(alpha) & beta))
    answer = holder.answer(asked, bits)
    np.testing.assert_array_equal(answer[:2], l ^ alpha)
    np.testing.assert_array_equal(
        answer[2], ((m[0] ^ beta[0]) & l[0]) ^ gamma[0] ^ ((m[1] ^ beta[1]) & l[1]) ^ gamma[1]
    )
    np.testing.assert_array_equal(owner.learn(answer, dealt), (sets & bits).any(axis=0))
    assert {"asked": asked.tobytes().hex(), "dealt": dealt.tobytes().hex(), "answer": answer.tobytes().hex()} == BITS
