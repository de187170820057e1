"""Several numbers of a row in one plaintext, whose sums over rows stay apart.

A row's values (a gradient and a second derivative, or those of all classes) stand side by side in slots. A slot holds
the sum over all rows of the table, whatever the rows: 1 sign bit, and the bits of rows * magnitude * 2^scale_bits. Sums
are signed, so a slot borrows from the next one; they are read from the lowest up with carry. Nothing but the declared
bound is told: no counts of rows are needed to take offsets off.

The bound is rounded up to a power of two, is public and checked when values are packed: what passes it is refused
there, because its sum would run into its neighbour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gmpy2 import mpz

from federatedml.crypto.codec import Codec, Floats, descale
from federatedml.crypto.paillier.keys import PublicKey
from federatedml.crypto.paillier.opening import Opener
from federatedml.crypto.paillier.slots import apart, slots
from federatedml.crypto.paillier.vectors import Encrypted
from federatedml.crypto.vector import Reply, Sealed
from federatedml.errors import ProtocolError

if TYPE_CHECKING:
    from federatedml.crypto.paillier.evaluator import Evaluator


@dataclass(frozen=True)
class Packing:
    """Public form of a table's packed rows; the plan declares it.

    Attributes:
        public: the key that rows are encrypted under.
        codec: scale and bound of every value.
        rows: most rows that are ever added up.
        values: numbers of a row.
    """

    public: PublicKey
    codec: Codec
    rows: int
    values: int

    def __post_init__(self) -> None:
        most = slots(self.public, self.slot_bits)
        if not 0 < self.values <= most:
            raise ProtocolError(
                "FED-719",
                f"{self.values} values of {self.slot_bits} bits a row, allowed are 1 to {most} under this key",
            )

    @staticmethod
    def of(public: PublicKey, magnitude: float, rows: int, values: int = 2, scale_bits: int = 40) -> Packing:
        """For values up to ``magnitude`` in absolute value, which is rounded up to a power of two."""
        if not (math.isfinite(magnitude) and magnitude > 0):
            raise ProtocolError("FED-719", "the declared bound of packed values must be finite and above 0")
        fraction, exponent = math.frexp(magnitude)
        return Packing(public, Codec(scale_bits, 2.0 ** (exponent - (fraction == 0.5))), rows, values)

    @property
    def slot_bits(self) -> int:
        """Bits of one sum."""
        return 1 + (self.rows * self.codec.limit).bit_length()

    @property
    def bits(self) -> int:
        """Bits of a row's values, and of their sums."""
        return self.values * self.slot_bits

    @property
    def each(self) -> int:
        """How many sums of rows fit into one ciphertext of an answer."""
        return slots(self.public, self.bits)

    def ciphertexts(self, count: int) -> int:
        """Ciphertexts of an answer with ``count`` sums."""
        return -(-count // self.each)

    def encrypt(self, evaluator: Evaluator, values: Floats) -> Encrypted:
        """Packed rows, without noise until they are sealed.

        Args:
            values: (rows, values).

        Raises:
            ProtocolError: FED-701, a value is not finite or passes the declared bound.
        """
        if values.ndim != 2 or values.shape[1] != self.values or len(values) > self.rows:
            raise ProtocolError("FED-719", f"values {values.shape} are no {self.values} for each of {self.rows} rows")
        *rest, top = (column.tolist() for column in self.codec.encode(values).T)
        packed = [int(v) for v in top]
        for column in reversed(rest):
            packed = [(p << self.slot_bits) + v for p, v in zip(packed, column, strict=True)]
        n, n2 = self.public.n, self.public.n2
        elements = [mpz(1 + n * p) % n2 for p in packed]
        return Encrypted(self.public, evaluator.noise, elements, self.codec.scale_bits, self._bound)

    def receive(self, evaluator: Evaluator, sealed: Sealed) -> Encrypted:
        """Packed rows of a peer; errors as ``Evaluator.receive``."""
        return replace(evaluator.receive(sealed, self.codec), bound=self._bound)

    def open(self, opener: Opener, topic: str, round_: int, reply: Reply, count: int) -> Floats:
        """(count, values) sums that the holder revealed (``histogram.Sums.reveal``).

        Raises:
            ProtocolError: FED-719, another form than the plan's; FED-709, the owner's plan does not allow it.
        """
        expected = (self.ciphertexts(count), self.codec.scale_bits, self.each * self.bits)
        if (reply.count, reply.scale_bits, reply.slot_bits) != expected:
            raise ProtocolError("FED-719", f"the answer {topic!r} of round {round_} has not the form of {count} sums")
        numbers: list[int] = []
        for plaintext in opener.integers(topic, round_, reply):
            numbers += apart(plaintext, self.slot_bits, self.each * self.values)
        return descale(numbers[: count * self.values], self.codec.scale_bits).reshape(count, self.values)

    @property
    def _bound(self) -> int:
        return (1 << (self.bits - 1)) - 1
