"""The two-party use of a key: its owner seals vectors for a holder of matrices and opens what the holder reveals."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from federatedml.compute.engine import SERIAL, Compute
from federatedml.crypto.codec import Codec, Floats
from federatedml.crypto.paillier.evaluator import Evaluator, owner_evaluator
from federatedml.crypto.paillier.keys import PrivateKey, PublicKey
from federatedml.crypto.paillier.noise import NoiseKind
from federatedml.crypto.paillier.opening import Allowance, Opener
from federatedml.crypto.vector import Reply, Sealed
from federatedml.errors import ProtocolError


@dataclass(frozen=True)
class KeyOwner:
    """A key of this party, for one attempt. An ``Owner``."""

    private: PrivateKey
    evaluator: Evaluator

    @classmethod
    def of(cls, private: PrivateKey, compute: Compute = SERIAL, kind: NoiseKind = NoiseKind.SHORT) -> KeyOwner:
        """With a source of noise of its own."""
        return cls(private, owner_evaluator(private, compute, kind))

    @property
    def public(self) -> PublicKey:
        """What the holder needs before it plans."""
        return self.private.public

    def attach(self, inputs: int, outputs: int, vectors: int, setup: bytes = b"") -> KeyAsker:
        """See ``vector.Owner``."""
        if setup:
            raise ProtocolError("FED-705", "Paillier's maps have no set-up message")
        plan = {MAP: Allowance(vectors, outputs)}
        return KeyAsker(self.evaluator, Opener(self.private, plan, self.evaluator.compute.workers), inputs)


MAP = "map"


@dataclass(frozen=True)
class KeyAsker:
    """One map's vectors and results. An ``Asker``."""

    evaluator: Evaluator
    opener: Opener
    inputs: int
    _rounds: count[int] = field(default_factory=count)

    def seal(self, values: Floats, codec: Codec) -> Sealed:
        """Encrypt a vector (inputs,)."""
        if values.shape != (self.inputs,):
            raise ProtocolError("FED-707", f"a vector has the shape {values.shape}, the plan declares ({self.inputs},)")
        return self.evaluator.encrypt(values, codec).seal()

    def open(self, reply: Reply) -> Floats:
        """See ``vector.Asker``."""
        return self.opener.values(MAP, next(self._rounds), reply)
