"""Vectors that a party computes on without reading them, and linear maps on such vectors.

Two families stand behind this interface:

* *public key* (Paillier): the owner of a key, which may be a third party, encrypts or lets others encrypt; whoever has
  the public key computes on the ciphertexts.
* *dealt shares*: a dealer gives the matrix holder a mask A, the vector's owner a mask b, and both additive shares of
  A b. The holder tells E = M - A once (the map's set-up message), the owner d = v - b per vector; then M d + c_m at the
  holder and E b + c_v at the owner are additive shares of M v.

In both a *holder* plans a map from its matrix and applies it to what it received, and an *owner* seals vectors and
opens replies. Algorithms never see a big integer.

Freshness is a type: only ``Sealed``, ``Reply`` and ``Opened`` can be sent, and they cannot be computed on. A scheme's
own vector type, which can, has no way to bytes but the methods that hide it, each of which adds its noise once.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from federatedml.crypto.codec import Codec, Floats
from federatedml.errors import ProtocolError

HEADER = struct.Struct("<4sBBH16sQIi")  # magic, scheme, kind, slot, key, count, width, scale
MAGIC = b"afv1"
MAX_COUNT = 2**32
MAX_WIDTH = 2**16
MAX_SCALE = 2**12


class Scheme(IntEnum):
    """How a vector is hidden; the number is part of the header."""

    PAILLIER = 1
    DEALT = 2


@dataclass(frozen=True)
class Packed:
    """A vector as it crosses the border: a header, and one little-endian buffer.

    Attributes:
        scheme: how it is hidden.
        key: 16 bytes that name the key (or the deal) which it is hidden by.
        count: elements.
        width: bytes of an element.
        scale_bits: bits after the point of what is hidden; public, the same for all elements.
        body: count * width bytes. Elements are checked by the scheme, not here.
        slot_bits: what is hidden is read modulo 2^slot_bits, around zero; 0 if it is read as it is.
    """

    kind: ClassVar[int] = 0

    scheme: Scheme
    key: bytes
    count: int
    width: int
    scale_bits: int
    body: bytes
    slot_bits: int = 0

    def to_bytes(self) -> bytes:
        """Header and body."""
        numbers = (self.scheme, self.kind, self.slot_bits, self.key, self.count, self.width, self.scale_bits)
        return HEADER.pack(MAGIC, *numbers) + self.body

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The vector of hostile bytes.

        Raises:
            ProtocolError: not a vector of this kind, or its length is not what the header says.
        """
        if len(data) < HEADER.size:
            raise ProtocolError("FED-702", f"a packed vector of {len(data)} bytes has no header")
        magic, scheme, kind, slot, key, count, width, scale = HEADER.unpack_from(data)
        if magic != MAGIC or kind != cls.kind or scheme not in set(Scheme):
            raise ProtocolError("FED-702", f"not a packed vector of the kind {cls.__name__}")
        if count > MAX_COUNT or not 0 < width <= MAX_WIDTH or abs(scale) > MAX_SCALE:
            raise ProtocolError("FED-702", f"a packed vector of {count} elements of {width} bytes is not allowed")
        if len(data) - HEADER.size != count * width:
            raise ProtocolError(
                "FED-702", f"a packed vector has {len(data) - HEADER.size} bytes, its header says {count * width}"
            )
        return cls(Scheme(scheme), key, count, width, scale, bytes(data[HEADER.size :]), slot)


@dataclass(frozen=True)
class Sealed(Packed):
    """Hidden from its receiver, who computes on it."""

    kind: ClassVar[int] = 1


@dataclass(frozen=True)
class Reply(Packed):
    """A result for the owner of the key: it reads the plaintexts (masked ones, if the holder keeps shares)."""

    kind: ClassVar[int] = 2


@dataclass(frozen=True)
class Opened(Packed):
    """Plaintexts under the holder's uniform masks, on their way back from the owner of the key to the holder."""

    kind: ClassVar[int] = 3


P = TypeVar("P", bound=Packed)


@dataclass(frozen=True)
class PackedCodec(Generic[P]):
    """Codec of a topic that carries one packed vector: ``Topic(..., codec=PackedCodec(Sealed), ...)``."""

    kind: type[P]

    def encode(self, value: P) -> bytes:
        """Header and body."""
        if type(value) is not self.kind:
            raise ProtocolError("FED-310", f"{type(value).__name__} is not the declared {self.kind.__name__}")
        return value.to_bytes()

    def decode(self, body: bytes) -> P:
        """See ``Packed.from_bytes``."""
        return self.kind.from_bytes(body)


@dataclass(frozen=True)
class Capabilities:
    """What a scheme can do, and what it costs on the machine where that was measured.

    To compare schemes by. What ``auto`` means is decided by ``crypto.choice`` from constants of its own: all parties'
    plans must say the same, whatever their machines are.

    Attributes:
        elementwise: a hidden vector can be multiplied by a vector in clear, element by element.
        public_key: whoever has the public key can hide vectors and compute; else only the two parties of a deal.
        setup: a map has a message to send before its first vector.
        dealer: a third party deals randomness and sees no message that depends on data.
        bytes_per_value: of a sealed vector.
        bytes_per_entry: of the set-up message, per entry of the matrix (histogram: per row and bin).
        seal, multiply, bin, reveal, open: CPU seconds of one core per value sealed, per entry of ``plan_matvec``, per
            (row, feature) of ``plan_histogram``, per output at the holder, per output at the owner.
    """

    elementwise: bool
    public_key: bool
    setup: bool
    dealer: bool
    bytes_per_value: float
    bytes_per_entry: float
    seal: float
    multiply: float
    bin: float
    reveal: float
    open: float


V_contra = TypeVar("V_contra", contravariant=True)
V = TypeVar("V")


class Share(Protocol):
    """One party's additive share of a result; the peer has the other."""

    def __len__(self) -> int: ...


class Result(Protocol):
    """Outputs of a map at the holder, not yet hidden. Call one of the methods, once."""

    def reveal(self) -> Reply:
        """For the owner, who learns the outputs and nothing else of the matrix (Paillier: flooded, re-randomised)."""
        ...

    def share(self) -> tuple[Reply, Share]:
        """Additive shares: the owner opens the reply to its share, the holder keeps the other."""
        ...


class LinearMap(Protocol[V_contra]):
    """The holder's matrix M (outputs, inputs), prepared for many vectors."""

    @property
    def inputs(self) -> int:
        """Length of the vectors."""
        ...

    @property
    def outputs(self) -> int:
        """Length of the results."""
        ...

    def setup_message(self) -> bytes:
        """What the owner needs before its first vector; empty for schemes without set-up."""
        ...

    def apply(self, vector: V_contra) -> Result:
        """M v.

        Raises:
            ProtocolError: the vector has another length than ``inputs``.
        """
        ...


class Holder(Protocol[V]):
    """The party with matrices."""

    @property
    def capabilities(self) -> Capabilities: ...  # noqa: D102 - see the class

    def receive(self, sealed: Sealed, codec: Codec) -> V:
        """A vector to compute on.

        Args:
            sealed: hostile.
            codec: scale and magnitude that the plan declares for it.

        Raises:
            ProtocolError: not under this key, not with this scale, or with an element that is no valid one.
        """
        ...

    def plan_matvec(self, matrix: Floats, bits: int = 16) -> LinearMap[V]:
        """The map v -> matrix^T v.

        Args:
            matrix: (rows, columns), finite; each column is scaled to integers of ``bits`` bits.
        """
        ...

    def plan_histogram(self, bins: NDArray[np.uint8], n_bins: Sequence[int]) -> LinearMap[V]:
        """Sums of v per feature and bin.

        Args:
            bins: (features, rows), entry below ``n_bins`` of its feature.
            n_bins: (features,); the outputs are the features' bins one after the other.
        """
        ...


class Asker(Protocol):
    """The owner's side of one map: how many vectors and which lengths was fixed when it was made."""

    def seal(self, values: Floats, codec: Codec) -> Sealed:
        """Hide a vector (inputs,) from the holder."""
        ...

    def open(self, reply: Reply) -> Floats:
        """Outputs (outputs,) that the holder revealed.

        Raises:
            ProtocolError: one code for whatever is wrong with it, or if the plan does not allow one more.
        """
        ...


class Owner(Protocol):
    """The party with vectors."""

    def attach(self, inputs: int, outputs: int, vectors: int, setup: bytes) -> Asker:
        """The other side of a map.

        Args:
            inputs, outputs: lengths that the plan declares.
            vectors: how many results may be opened.
            setup: the holder's set-up message, hostile.
        """
        ...
