"""One party's side of a logistic model whose residuals and gradients (and weights) are additive shares of all parties.

Everything here is local: what leaves and what comes is in the component's role functions. With X the party's own
features (n, k), E those of the others less their masks, d what another party sent, every value a word modulo 2^64:

    z         = X (w_own + sum of d) + E b + forward     own columns on all shares, the others' columns on mine
    residual  = step (sigmoid(z) - y)                    sin k z = sin k delta cos k t + cos k delta sin k t
    gradient  = X^T (r + sum of d) + c                   of the own weights
    gradient' = E^T a + c'                               my share of the others'

Correctness: X v = X (v - b) + (X - A) b + A b, and the dealer's c are shares of A b.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federatedml.crypto.dealer import (
    GUEST,
    TRAINING,
    VALIDATION,
    VALIDATION_WEIGHTS,
    draw,
    feature_mask,
    label_mask,
    scale_mask,
    square_mask,
    square_share,
    validation_share,
    weight_mask,
)
from federatedml.crypto.encoding import GUARD, SINE_BITS, WEIGHT_BITS
from federatedml.crypto.lr_shapes import Plan
from federatedml.crypto.ring import Floats, Words, decode, encode, low, split, truncate
from federatedml.crypto.series_kernels import shares_of
from federatedml.crypto.stream import Stream

Pads = Mapping[str, Words]


@dataclass(frozen=True)
class Answers:
    """What only the guest has: (n,) labels, zeros and ones, and weights of the rows (all one where there are none)."""

    labels: Floats
    scales: Floats


class Side:
    """One party's values during a training, but for weights (``shared_weights``).

    Args:
        party: 0 is the guest.
        stream: of the seed that the dealer gave this attempt.
        features: (n, k) of all rows in the order of the batches, with the intercept's column if there is one.
        answers: at the guest, in the same order.
    """

    def __init__(self, plan: Plan, party: int, stream: Stream, features: Floats, answers: Answers | None) -> None:
        self.plan, self.party, self.stream = plan, party, stream
        cuts = np.cumsum(plan.batches)[:-1]
        self.features = np.split(encode(features, plan.encoding.feature_bits), cuts)
        self.masked: list[Words] = []  # (n, width - k): the others' features less their masks, per batch
        self.centred: list[Floats] = []  # at the guest: 0.5 - y
        self.scales: list[Words] = []  # at the guest: weights of rows; at a host the same less their mask
        self.signs: list[Words] = []  # at the guest: what the labels multiply; at a host the same less its mask
        if answers is not None:
            self._take_answers(answers, cuts)
        self.mask: Words = np.zeros(0, np.uint64)  # of the weights, for the next batch
        self.start_epoch()

    def _take_answers(self, answers: Answers, cuts: NDArray[np.int64]) -> None:
        self.centred = np.split(0.5 - answers.labels, cuts)
        bits = self.plan.encoding.scale_bits
        self.scales = np.split(encode(answers.scales, bits), cuts)
        bits = self.plan.encoding.label_bits
        self.signs = np.split(encode(answers.scales * (1 - 2 * answers.labels), bits), cuts)
        if self.plan.encoding.weighted:
            even = np.split(encode(answers.scales, bits), cuts)
            self.signs = [np.concatenate(pair) for pair in zip(self.signs, even, strict=True)]

    def start_epoch(self) -> None:
        """Forget the sums of the last epoch: shares of the loss less its constant, and of the guard's cosines."""
        self.sums = np.zeros(2, np.uint64)

    @property
    def block(self) -> slice:
        """Where my weights are."""
        return self.plan.block(self.party)

    def others(self, words: Words) -> Words:
        """All but my own columns' entries of (width,) words."""
        return np.concatenate([words[: self.block.start], words[self.block.stop :]])

    def hidden_features(self, batch: int) -> Words:
        """E = X - A of a batch: uniform to everybody but the dealer. Made once per attempt."""
        X = self.features[batch]
        return X - feature_mask(self.stream, batch, X.shape[0], X.shape[1], TRAINING)

    def hidden_signs(self, batch: int) -> Words:
        """At the guest: what the labels multiply less its mask. Made once per attempt."""
        return self.signs[batch] - label_mask(self.stream, self.plan, batch)

    def hidden_scales(self, batch: int) -> Words:
        """At the guest: the weights of rows less their mask. Made once per attempt."""
        return self.scales[batch] - scale_mask(self.stream, self.plan, batch)

    def hidden_weights(self, weights: Words, use: int) -> Words:
        """(width,) shares less their masks, for the next call of ``predictor``; the own entries mean nothing."""
        self.mask = weight_mask(self.stream, use, self.plan, self.party)
        return weights - self.mask

    def pads(self, batch: int, use: int, corrections: Words | None) -> Pads:
        """The words of one use of a batch; one party's need the dealer's corrections."""
        own = draw(self.stream, self.plan, batch, use, self.party)
        return own if corrections is None else {**own, **split(corrections, self.plan.dealt(batch))}

    def predictor(self, batch: int, weights: Words, pads: Pads) -> Words:
        """Share of z, (n,).

        Args:
            weights: (k,) my shares of my weights and all others', masked.
        """
        z: Words = self.features[batch] @ weights
        if self.plan.motion.opened:
            return z
        z += self.masked[batch] @ self.others(self.mask)
        z += pads["forward"]
        return z

    def residual(self, batch: int, epoch: int, delta: Words, pads: Pads) -> tuple[Words, Words]:
        """Shares, (n,) of step * (sigmoid(z) - 1/2) before it drops bits, and of what the labels multiply.

        Adds to the sums of the epoch.

        Args:
            delta: z - t, opened.
        """
        encoding = self.plan.encoding
        factors = encoding.factors(self.plan.step(batch, epoch), self.plan.first_step(batch))
        share, linear, even, guard = shares_of(delta, encoding.turn, factors, pads["sine"], pads["cosine"])
        self.sums[1:] += guard
        if encoding.weighted:
            return share, np.concatenate([linear, -even])
        self.sums[:1] -= even.sum()
        return share, linear

    def weighed(self, batch: int, share: Words, received: Sequence[Words], pads: Pads) -> Words:
        """Share of the residuals times the weights of rows, (n,)."""
        if self.party == GUEST:
            return self.scales[batch] * (share + _sum(received, share)) + pads["scaled"]
        return self.scales[batch] * pads["unscaled"] + pads["scaled"]

    def add_loss(self, batch: int, linear: Words, received: Sequence[Words], pads: Pads) -> None:
        """Add a batch to the loss: the labels times the shares of all parties."""
        other = linear + _sum(received, linear) if self.party == GUEST else pads["linear"]
        self.sums[:1] += np.atleast_1d(self.signs[batch] @ other) + pads["loss"]

    def rounded(self, batch: int, epoch: int, opened: Words, pads: Pads) -> Words:
        """Share of step * (sigmoid(z) - y), weighted, (n,)."""
        encoding, guest = self.plan.encoding, self.party == GUEST
        bits = encoding.dropped_bits(self.plan.first_step(batch))
        share = truncate(opened, bits, pads["high"], pads["sign"], guest)
        if not guest:
            return share
        labels = self.centred[batch] * self.plan.step(batch, epoch) * decode(self.scales[batch], encoding.scale_bits)
        return share + encode(labels, encoding.residual_bits)

    def own_gradient(self, batch: int, r: Words, received: Sequence[Words], pads: Pads) -> Words:
        """(k,) share of the gradient of the own weights; ``received`` are the others' residuals less their masks."""
        gradient: Words = (r + _sum(received, r)) @ self.features[batch]
        return gradient + pads["gradient"][self.block]

    def other_gradient(self, batch: int, pads: Pads) -> Words:
        """(width - k,) share of the gradient of the others' weights; known before any message of the round."""
        gradient: Words = pads["residual"] @ self.masked[batch]
        return gradient + self.others(pads["gradient"])

    def hidden_change(self, epoch: int, change: Words) -> Words:
        """(width,) share of an epoch's change of weights, less its mask; opened to all."""
        return change - square_mask(self.stream, epoch, self.plan)

    def squared(self, epoch: int, opened: Words, correction: Words | None) -> Words:
        """(1,) share of the sum of squares of the change, of which ``opened`` is all less the masks."""
        share = square_share(self.stream, epoch) if correction is None else correction
        cross: Words = np.atleast_1d(opened @ square_mask(self.stream, epoch, self.plan))
        share = share + cross + cross
        square: Words = np.atleast_1d(opened @ opened)
        return share + square if self.party == GUEST else share


class HeldOut:
    """One party's side of the rows that are predicted during training: X w, opened to the guest.

    Args:
        features: (rows, k) in the order of the table.
    """

    def __init__(self, side: Side, features: Floats) -> None:
        self.side, self.features = side, encode(features, side.plan.encoding.feature_bits)
        self.masked: Words = np.zeros((0, 0), np.uint64)

    def hidden_features(self) -> Words:
        """The rows less their mask, once an attempt."""
        rows, columns = self.features.shape
        return self.features - feature_mask(self.side.stream, 0, rows, columns, VALIDATION)

    def hidden_weights(self, weights: Words, round: int) -> Words:
        """(width,) shares less their masks."""
        return weights - self._mask(round)

    def predictor(self, round: int, weights: Words, correction: Words | None) -> Words:
        """Share of z, (rows,); see ``Side.predictor``."""
        side = self.side
        z: Words = self.features @ weights
        if not side.plan.motion.opened:
            z += self.masked @ side.others(self._mask(round))
            z += validation_share(side.stream, round, side.plan) if correction is None else correction
        return low(z, side.plan.encoding.angle_bits)

    def opened(self, z: Words) -> Floats:
        """(rows,) real numbers of the sum of all shares, which counts modulo 2^angle_bits."""
        encoding = self.side.plan.encoding
        extra = np.uint64(64 - encoding.angle_bits)
        return decode(z << extra, int(extra) + encoding.z_bits)

    def _mask(self, round: int) -> Words:
        return weight_mask(self.side.stream, round, self.side.plan, self.side.party, VALIDATION_WEIGHTS)


def mean_loss(plan: Plan, opened: Words, scales: float) -> float:
    """Mean logistic loss of the epoch, from the opened sum; off by at most 0.01 (times ``scales``) by the series.

    Args:
        scales: mean weight of a row.
    """
    encoding = plan.encoding
    bits = encoding.loss_bits + SINE_BITS + encoding.label_bits
    return encoding.series.constant * scales + float(decode(opened, bits)[0]) / encoding.rows


def rms_predictor(plan: Plan, opened: Words) -> float:
    """Root mean square of z of the epoch, from the opened sum of cos(pi z / GUARD); saturates at about 460."""
    cosines = float(decode(opened, plan.encoding.guard_bits + SINE_BITS)[0]) / plan.encoding.rows
    return float(GUARD / np.pi * np.sqrt(2 * max(1 - cosines, 0.0)))


def squared_norm(opened: Words) -> float:
    """Sum of squares of the change of all weights."""
    return float(decode(opened, 2 * WEIGHT_BITS)[0])


def batch_order(ids: NDArray[np.object_]) -> NDArray[np.int64]:
    """A permutation of the rows that depends on the ids alone, the same at all parties and on every machine."""
    order: NDArray[np.int64] = np.argsort(
        Stream(ids_digest(ids.tolist()), b"batches").words("order", 0, len(ids)), kind="stable"
    )
    return order


def ids_digest(ids: list[str]) -> bytes:
    """SHA-256 of the ids in their order."""
    return hashlib.sha256(json.dumps(ids).encode()).digest()


def batch_sizes(rows: int, size: int) -> tuple[int, ...]:
    """Rows of each batch: ``size`` each, the rest in the last; -1 is all."""
    size = rows if size == -1 else min(size, rows)
    return (*[size] * (rows // size), *([rows % size] if rows % size else []))


def _sum(received: Sequence[Words], like: Words) -> Words:
    total = np.zeros_like(like)
    for words in received:
        total += words
    return total
