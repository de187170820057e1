"""Encrypted vectors: what a party computes on, and the only ways from there to bytes.

``Encrypted`` carries no noise of its own. It leaves a party by one of

    seal      for a party without the private key: one random encryption of zero per element
    reveal    for the owner of the key, who learns the elements: noise for the owner, and whatever lies above an
              element's slot is flooded, so that elements larger than declared cannot carry single rows out
    share     for the owner, who learns its additive share: a uniform mask on every element
    mask      for the owner, who removes the encryption and returns the elements under the holder's uniform masks

A vector must leave once only: hiding it twice gives the owner two views of one result.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TypeVar

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import ArrayLike

from federatedml.compute.engine import SERIAL, Compute
from federatedml.compute.names import lock_free
from federatedml.crypto.codec import Codec, Floats, Integers, descale
from federatedml.crypto.paillier.keys import PublicKey
from federatedml.crypto.paillier.montgomery import Modulus
from federatedml.crypto.paillier.noise import Noise
from federatedml.crypto.paillier.parts import cut, packed, unpacked
from federatedml.crypto.paillier.slots import apart, side_by_side, slots
from federatedml.crypto.vector import Opened, Packed, Reply, Scheme, Sealed
from federatedml.errors import ProtocolError

P = TypeVar("P", bound=Packed)
PowerPart = tuple[bytes, Integers, bytes]


@dataclass(frozen=True)
class Encrypted:
    """A vector under a public key.

    Attributes:
        public: the key.
        noise: this party's source of random encryptions of zero.
        elements: ciphertexts, not fresh.
        scale_bits: bits after the point.
        bound: largest absolute integer that an element stands for if everybody kept to the declared magnitudes. Peers
            see it as the width of a slot: it is made of public numbers, never of data.
        compute: where powers of the elements are taken.
    """

    public: PublicKey
    noise: Noise
    elements: list[mpz]
    scale_bits: int
    bound: int
    compute: Compute = SERIAL

    def __post_init__(self) -> None:
        if self.bound > self.public.limit:
            raise ProtocolError(
                "FED-703", f"a result may need {self.bound.bit_length()} bits, the key holds {self.public.bits - 2}"
            )

    def __len__(self) -> int:
        return len(self.elements)

    @property
    def slot_bits(self) -> int:
        """Bits of a slot that holds any element, its sign included."""
        return self.bound.bit_length() + 1

    def add(self, other: Encrypted) -> Encrypted:
        """Element by element; both of the same key, length and scale."""
        if (other.public, len(other), other.scale_bits) != (self.public, len(self), self.scale_bits):
            raise ProtocolError("FED-707", "vectors of another key, length or scale cannot be added")
        n2 = self.public.n2
        elements = [a * b % n2 for a, b in zip(self.elements, other.elements, strict=True)]
        return replace(self, elements=elements, bound=self.bound + other.bound)

    def add_plain(self, values: ArrayLike, magnitude: float) -> Encrypted:
        """Plus a vector in clear of values up to ``magnitude``."""
        codec = Codec(self.scale_bits, magnitude)
        integers, n, n2 = self._checked(codec.encode(values)).tolist(), self.public.n, self.public.n2
        elements = [c * (1 + n * m) % n2 for c, m in zip(self.elements, integers, strict=True)]
        return replace(self, elements=elements, bound=self.bound + codec.limit)

    def times(self, integer: int) -> Encrypted:
        """Times a public integer."""
        if abs(integer) > 2**62:
            elements = [gmpy2.powmod(c, integer, self.public.n2) for c in self.elements]
        else:
            elements = self._powers(np.full(len(self), integer))
        return replace(self, elements=elements, bound=self.bound * abs(integer))

    def times_plain(self, values: ArrayLike, codec: Codec) -> Encrypted:
        """Times a vector in clear, element by element; scales add up."""
        elements = self._powers(self._checked(codec.encode(values)))
        scale_bits = self.scale_bits + codec.scale_bits
        return replace(self, elements=elements, scale_bits=scale_bits, bound=self.bound * codec.limit)

    def negated(self) -> Encrypted:
        """Minus the vector."""
        return replace(self, elements=[gmpy2.invert(c, self.public.n2) for c in self.elements])

    def take(self, rows: Integers) -> Encrypted:
        """Elements at these indices, in this order."""
        return replace(self, elements=[self.elements[row] for row in rows.tolist()])

    def sum(self) -> Encrypted:
        """One element, the sum of all."""
        product, n2 = mpz(1), self.public.n2
        for c in self.elements:
            product = product * c % n2
        return replace(self, elements=[product], bound=self.bound * max(len(self), 1))

    def seal(self) -> Sealed:
        """For a party without the private key."""
        return self._hidden(Sealed, self.noise.for_peers(self.elements))

    def reveal(self) -> Reply:
        """For the owner of the key, who learns the elements.

        An element m becomes m + r 2^slot_bits for a uniform r below n / 2^(slot_bits + 1). Of what a peer put above the
        slot, the owner learns one bit at most: whether it passes n / 2.
        """
        bits, n, n2 = self.slot_bits, self.public.n, self.public.n2
        room = max(int(n >> (bits + 1)), 1)
        floods = [secrets.randbelow(room) << bits for _ in self.elements]
        flooded = [c * (1 + n * r) % n2 for c, r in zip(self.elements, floods, strict=True)]
        return self._hidden(Reply, self.noise.for_owner(flooded), bits)

    def share(self) -> tuple[Reply, ModularShare]:
        """Additive shares modulo n: of each element, the owner decrypts m + R, this party keeps -R."""
        reply, masks = self._masked(self.elements, slot_bits=0)
        return reply, ModularShare(self.public, [-r for r in masks], self.scale_bits)

    def mask(self) -> tuple[Reply, Mask]:
        """For an owner that decrypts and returns; several elements go in one ciphertext, under one uniform mask."""
        bits = self.slot_bits
        reply, masks = self._masked(side_by_side(self.public, self.elements, bits), bits)
        return reply, Mask(self.public, masks, len(self), bits, self.scale_bits)

    def _masked(self, elements: list[mpz], slot_bits: int) -> tuple[Reply, list[mpz]]:
        n, n2 = self.public.n, self.public.n2
        masks = [mpz(secrets.randbelow(int(n))) for _ in elements]
        masked = [c * (1 + n * r) % n2 for c, r in zip(elements, masks, strict=True)]
        return self._hidden(Reply, self.noise.for_owner(masked), slot_bits), masks

    def _hidden(self, kind: type[P], body: bytes, slot_bits: int = 0) -> P:
        key, width = self.public.key_id, self.public.width
        return kind(Scheme.PAILLIER, key, len(body) // width, width, self.scale_bits, body, slot_bits)

    def _powers(self, exponents: Integers) -> list[mpz]:
        public, at = self.public, 0
        parts: list[PowerPart] = []
        for body in cut(self.elements, public.width, self.compute.workers, 64):
            size = len(body) // public.width
            parts.append((body, exponents[at : at + size], public.to_bytes()))
            at += size
        return [c for part in self.compute.map(powers, parts) for c in unpacked(part, public.width)]

    def _checked(self, integers: Integers) -> Integers:
        if integers.shape != (len(self),):
            raise ProtocolError("FED-707", f"a vector in clear has the shape {integers.shape}, not ({len(self)},)")
        return integers


@lock_free
def powers(part: PowerPart) -> bytes:
    """Kernel: each ciphertext to its own exponent.

    Args:
        part: ciphertexts packed, exponents, n little-endian.
    """
    body, exponents, n = part
    m = Modulus(PublicKey(mpz.from_bytes(n, "little")).n2)
    done = m.left(m.power_each(m.entered(m.read(body)), np.abs(exponents)))
    signed = (c if e >= 0 else gmpy2.invert(c, m.value) for c, e in zip(done, exponents.tolist(), strict=True))
    return packed(signed, m.size)


@dataclass(frozen=True, repr=False)
class ModularShare:
    """One party's additive share of a vector, modulo n."""

    public: PublicKey
    elements: list[mpz]
    scale_bits: int

    def __len__(self) -> int:
        return len(self.elements)

    def combined(self, other: ModularShare) -> Floats:
        """The vector, of both parties' shares."""
        n = self.public.n
        sums = [self.public.signed((a + b) % n) for a, b in zip(self.elements, other.elements, strict=True)]
        return descale(sums, self.scale_bits)


@dataclass(frozen=True, repr=False)
class Mask:
    """What the holder keeps of ``Encrypted.mask``."""

    public: PublicKey
    masks: list[mpz]
    count: int
    slot_bits: int
    scale_bits: int

    def remove(self, opened: Opened) -> Floats:
        """The elements in clear, (count,).

        Raises:
            ProtocolError: not the owner's answer to this mask.
        """
        n, width = self.public.n, self.public.plain_width
        expected = (self.public.key_id, len(self.masks), width, self.scale_bits, self.slot_bits)
        if (opened.key, opened.count, opened.width, opened.scale_bits, opened.slot_bits) != expected:
            raise ProtocolError("FED-708", "what was opened is not the answer to what was masked")
        plain = [self.public.signed((m - r) % n) for m, r in zip(unpacked(opened.body, width), self.masks, strict=True)]
        each, numbers = slots(self.public, self.slot_bits), list[int]()
        for at, plaintext in enumerate(plain):
            numbers += apart(plaintext, self.slot_bits, min(each, self.count - at * each))
        return descale(numbers, self.scale_bits)
