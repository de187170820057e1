"""One party's side of a HeteroLR under protocol ``paillier``: its rows, its weights, and what it does with ciphertexts.

Everything here is local. With X the party's columns of a batch (n, k), u = z_hosts / 4 and labels y of -1 and 1, FATE's
first-order residual is d = z / 4 - y / 2 = u + q, where q = z_guest / 4 - y / 2 is the guest's and in clear. The
gradient is X^T d / n. FATE's loss of a batch,

    ln 2 + mean(-y z / 2 + z^2 / 8),

is, but for what the guest has in clear, sum(4 q u) + sum(z_host^2) / 8 = sum(4 q d) - sum(4 q^2) + sum(z_host^2) / 8:
one more column on the same ciphertexts, and one number of the host. Sums of an epoch are opened once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from federatedml.components.lr_batches import cut
from federatedml.components.lr_optimizers import Memory, penalty_loss, stepped
from federatedml.components.lr_params import LogisticParams
from federatedml.crypto.codec import Codec, Floats
from federatedml.crypto.encoding import MAX_SCALE
from federatedml.crypto.paillier.evaluator import Evaluator
from federatedml.crypto.paillier.keys import PublicKey
from federatedml.crypto.paillier.matvec import MaskedProducts, MatVec, Quantised
from federatedml.crypto.paillier.opening import Allowance
from federatedml.crypto.paillier.slots import slots
from federatedml.crypto.paillier.stock import Stock
from federatedml.crypto.paillier.vectors import Encrypted, Mask
from federatedml.crypto.vector import Reply, Sealed
from federatedml.errors import DataError
from federatedml.federation.party import Member, Role

LARGEST = 2.0**16  # of a quarter of a party's predictor
ROW_WEIGHT = Codec(12, float(MAX_SCALE))
SQUARES = Codec(20, 2.0**41)
LOSS_BITS = 14  # of the loss' column, besides the sign
LOSS_BOUND = 2**200  # of their integers, whatever the data


@dataclass(frozen=True)
class CipherPlan:
    """Public numbers of a training, the same at all parties.

    Attributes:
        sizes: rows of each batch.
        columns: weights of the guest and of each host.
    """

    p: LogisticParams
    sizes: Sequence[int]
    columns: Mapping[Member, int]

    @property
    def hosts(self) -> int:
        """How many."""
        return sum(member.role is Role.HOST for member in self.columns)

    @property
    def loss(self) -> bool:
        """Whether there is an encrypted loss: products of two hosts' predictors could not be had."""
        return self.hosts == 1

    @property
    def predictor(self) -> Codec:
        """Of a quarter of a host's part of z; weights of rows take some of the bits."""
        return Codec(24 if self.p.weighs_rows else 40, LARGEST)

    @property
    def residual(self) -> Codec:
        """Of d, weighted."""
        bits, most = (ROW_WEIGHT.scale_bits, ROW_WEIGHT.magnitude) if self.p.weighs_rows else (0, 1.0)
        return Codec(self.predictor.scale_bits + bits, ((self.hosts + 1) * LARGEST + 1) * most)

    @property
    def loss_scale(self) -> int:
        """Bits after the point of encrypted losses."""
        return self.predictor.scale_bits + LOSS_BITS

    @property
    def gradient_bound(self) -> int:
        """Of the integers of a sum of products of a batch, whatever the data."""
        return self.residual.limit * max(self.sizes) << (self.p.feature_bits - 1)

    def allowances(self, public: PublicKey, topic: str, loss_topic: str) -> dict[str, Allowance]:
        """What the arbiter opens: a gradient per batch and party, a loss per epoch."""
        each = slots(public, self.gradient_bound.bit_length() + 1)
        rounds = self.p.max_iter * len(self.sizes)
        opened = {f"{topic} {m}": Allowance(rounds, -(-count // each)) for m, count in self.columns.items()}
        return {**opened, loss_topic: Allowance(self.p.max_iter, 1)} if self.loss else opened


class Side:
    """State of the guest or of a host during a training.

    Args:
        features: (rows, k) in the order of the batches, with the guest's intercept.
        start: (k,) first weights.
    """

    role = Role.HOST

    def __init__(self, plan: CipherPlan, evaluator: Evaluator, features: Floats, start: Floats) -> None:
        self.stock = Stock(evaluator.public, evaluator.noise)
        self.plan, self.evaluator, p = plan, replace(evaluator, noise=self.stock), plan.p
        self.intercept = self.role is Role.GUEST and p.init_param.fit_intercept
        self.parts = cut(features, plan.sizes)
        self.maps = [evaluator.plan_matvec(part, p.feature_bits) for part in self.parts]
        self.weights, self.memory = start, Memory.blank(len(start))
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Forget the sums of the epoch before this one, counted from 0."""
        self.epoch, self.before, self.squares = epoch, self.weights, 0.0

    def predictor(self, batch: int) -> Floats:
        """(n,) own part of z.

        Raises:
            DataError: training runs away.
        """
        z: Floats = self.parts[batch] @ self.weights
        if not np.isfinite(z).all() or np.abs(z).max() > 4 * LARGEST:
            raise _runs_away()
        self.squares += float(z @ z)
        return z

    def prepare(self, batch: int) -> None:
        """Noise for the batch after this one, while others work."""
        following = (batch + 1) % len(self.plan.sizes)
        if following or self.epoch + 1 < self.plan.p.max_iter:
            self.stock.prepare(self.plan.sizes[following])

    def masked_gradient(self, batch: int, d: Encrypted) -> tuple[Reply, MaskedProducts]:
        """X^T d under masks, for the arbiter, and what takes them off again."""
        products = self.maps[batch].apply(d)
        return replace(products, vector=replace(products.vector, bound=self.plan.gradient_bound)).mask()

    def step(self, batch: int, summed: Floats) -> None:
        """One step of the own optimiser, with the opened X^T d."""
        gradient = summed / self.plan.sizes[batch]
        self.weights, self.memory = stepped(
            self.plan.p, self.weights, gradient, self.epoch, self.memory, self.intercept
        )

    def change(self) -> float:
        """Euclidean norm of the change of the own weights in this epoch."""
        return float(np.linalg.norm(self.weights - self.before))

    def penalty(self) -> float:
        """What the own weights add to the mean loss."""
        return penalty_loss(self.plan.p, self.weights, self.intercept)


def _runs_away() -> DataError:
    return DataError(
        "FED-256",
        f"training runs away: a party's part of the linear predictor passes {4 * LARGEST:g} (or its squares, in sum)",
        "lower learning_rate, standardise the columns, or start with init_method 'zeros'",
    )


class HostSide(Side):
    """With the predictor to encrypt."""

    def sealed_predictor(self, batch: int) -> Sealed:
        """A quarter of the own part of z, fresh."""
        return self.evaluator.encrypt(self.predictor(batch) / 4, self.plan.predictor).seal()

    def received(self, sealed: Sealed) -> Encrypted:
        """The guest's residuals."""
        return self.evaluator.receive(sealed, self.plan.residual)

    def sealed_squares(self) -> Sealed:
        """What the loss of the epoch needs of this host, one number: sum of z^2 / 8, and its penalty per row."""
        total = self.squares / 8 + sum(self.plan.sizes) * self.penalty()
        if total > SQUARES.magnitude:
            raise _runs_away()
        return self.evaluator.encrypt(np.array([total]), SQUARES).seal()


class GuestSide(Side):
    """With labels, and the loss.

    Args:
        labels: (rows,) zeros and ones in the order of the batches.
        row_weights: (rows,).
    """

    role = Role.GUEST

    def __init__(
        self,
        plan: CipherPlan,
        evaluator: Evaluator,
        features: Floats,
        start: Floats,
        labels: Floats,
        row_weights: Floats,
    ) -> None:
        super().__init__(plan, evaluator, features, start)
        self.labels, self.row_weights = cut(2 * labels - 1, plan.sizes), cut(row_weights, plan.sizes)

    def start_epoch(self, epoch: int) -> None:
        """Forget the sums of the epoch before this one."""
        super().start_epoch(epoch)
        self.clear, self.hidden = 0.0, list[Encrypted]()

    def residual(self, batch: int, z: Floats, received: Sequence[Sealed]) -> Encrypted:
        """d of a batch, of the own part of z and the hosts' sealed quarters."""
        first, *others = (self.evaluator.receive(sealed, self.plan.predictor) for sealed in received)
        for other in others:
            first = first.add(other)
        return first.add_plain(z / 4 - self.labels[batch] / 2, LARGEST + 1)

    def weighted(self, batch: int, d: Encrypted) -> Encrypted:
        """What gradients are made of: d, each row by its weight."""
        if self.plan.p.weighs_rows:
            d = d.times_plain(self.row_weights[batch], ROW_WEIGHT)
        return replace(d, bound=self.plan.residual.limit)

    def add_loss(self, batch: int, z: Floats, d: Encrypted) -> None:
        """A batch's part of the loss."""
        y = self.labels[batch]
        column = z - 2 * y  # 4 q
        self.clear += float(np.sum(z * z / 8 - y * z / 2) - column @ column / 4)
        exponent = max(0, int(np.ceil(np.log2(np.abs(column).max()))))
        integers = np.rint(column * 2.0 ** (LOSS_BITS - exponent)).astype(np.int32)[None]
        product = MatVec(self.evaluator.compute, Quantised(integers, np.ones(1), LOSS_BITS + 2)).apply(d)
        self.hidden.append(replace(product.vector.times(2**exponent), scale_bits=self.plan.loss_scale))

    def masked_loss(self, squares: Sealed) -> tuple[Reply, Mask]:
        """What of the epoch's loss is encrypted, under a mask, and what takes it off again."""
        theirs = self.evaluator.receive(squares, SQUARES).times(2 ** (self.plan.loss_scale - SQUARES.scale_bits))
        total = replace(theirs, scale_bits=self.plan.loss_scale)
        for part in self.hidden:
            total = total.add(part)
        return replace(total, bound=LOSS_BOUND).mask()

    def loss(self, opened: float) -> float:
        """Mean loss of the epoch with penalties: each batch with the weights that it met, each row once."""
        return float(np.log(2) + (self.clear + opened) / sum(self.plan.sizes) + self.penalty())
