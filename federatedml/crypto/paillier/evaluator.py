"""What a party does with a public key: encrypt, take what peers sent, plan maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gmpy2 import mpz
from numpy.typing import ArrayLike, NDArray

from federatedml.compute.engine import SERIAL, Compute
from federatedml.crypto.candidates import BinTable
from federatedml.crypto.codec import Codec, Floats
from federatedml.crypto.paillier.checks import ciphertexts
from federatedml.crypto.paillier.costs import capabilities
from federatedml.crypto.paillier.histogram import Histogram
from federatedml.crypto.paillier.keys import PrivateKey, PublicKey
from federatedml.crypto.paillier.matvec import MatVec, Quantised
from federatedml.crypto.paillier.noise import BaseNoise, FullNoise, Noise, NoiseKind
from federatedml.crypto.paillier.owner_noise import OwnerNoise
from federatedml.crypto.paillier.vectors import Encrypted
from federatedml.crypto.vector import Capabilities, Sealed
from federatedml.errors import ProtocolError


@dataclass(frozen=True)
class Evaluator:
    """One party's use of one key. Make one per attempt: it keeps the table that noise is made from.

    Attributes:
        public: the key, of this party or of another.
        compute: where bulk work runs.
        noise: this party's source of noise.
    """

    public: PublicKey
    compute: Compute
    noise: Noise

    @property
    def capabilities(self) -> Capabilities:
        """What this scheme can do, and its unit costs."""
        return capabilities(self.public)

    def encrypt(self, values: ArrayLike, codec: Codec) -> Encrypted:
        """A vector (n,) of one's own, without noise until it is sealed."""
        n = self.public.n
        elements = [mpz(1 + n * m) % self.public.n2 for m in codec.encode(values).tolist()]
        return Encrypted(self.public, self.noise, elements, codec.scale_bits, codec.limit, self.compute)

    def receive(self, sealed: Sealed, codec: Codec) -> Encrypted:
        """A vector of a peer, to compute on.

        Args:
            sealed: hostile.
            codec: scale and magnitude that the plan declares. The magnitude cannot be checked here: whatever passes it
                spoils the results of its sender.
        """
        if sealed.scale_bits != codec.scale_bits or sealed.slot_bits:
            raise ProtocolError(
                "FED-705",
                f"a vector has {sealed.scale_bits} bits after the point, the plan declares {codec.scale_bits}",
            )
        elements = ciphertexts(self.public, sealed)
        return Encrypted(self.public, self.noise, elements, codec.scale_bits, codec.limit, self.compute)

    def plan_matvec(self, matrix: Floats, bits: int = 16) -> MatVec:
        """The map v -> matrix^T v; columns are scaled to integers of ``bits`` bits."""
        return MatVec(self.compute, Quantised.of(matrix, bits))

    def plan_histogram(self, bins: NDArray[np.unsignedinteger[Any]], n_bins: Sequence[int]) -> Histogram:
        """Sums per feature and bin."""
        return self.plan_splits(BinTable.of(bins, n_bins))

    def plan_splits(self, table: BinTable) -> Histogram:
        """The same of a table whose split candidates are asked for: ``Histogram.rows`` takes packed rows."""
        return Histogram(self.compute, table)


def evaluator(public: PublicKey, compute: Compute = SERIAL, kind: NoiseKind = NoiseKind.SHORT) -> Evaluator:
    """For a party without the private key."""
    source: Noise = FullNoise(public, compute) if kind == NoiseKind.FULL else BaseNoise(public, compute)
    return Evaluator(public, compute, source)


def owner_evaluator(private: PrivateKey, compute: Compute = SERIAL, kind: NoiseKind = NoiseKind.SHORT) -> Evaluator:
    """For the owner, who encrypts modulo p^2 and q^2, in threads of its process: workers do not get the key."""
    return Evaluator(private.public, compute, OwnerNoise(private, kind, compute.workers))
