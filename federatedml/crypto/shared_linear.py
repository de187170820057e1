"""One party's side of a logistic model whose weights, residuals and gradients are additive shares of two parties.

Everything here is local: what leaves and what comes is in the component's role functions. With X the party's own
features (n, k), E the peer's features less their mask, d what the peer sent, every value a word modulo 2^64:

    z         = X (w_own + d) + E b + forward            own columns on both shares, peer's columns on mine
    residual  = step (sigmoid(z) - y)                    sin k z = sin k delta cos k t + cos k delta sin k t
    gradient  = X^T (r + d) + c                          of the own weights
    gradient' = E^T a + c'                               the share of the peer's

Correctness: X v = X (v - b) + (X - A) b + A b, and the dealer's c are shares of A b.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from federatedml.crypto.dealer import Plan, draw, feature_mask, label_mask, linear_mask, loss_share, weight_mask
from federatedml.crypto.encoding import GUARD, GUARD_BITS, SINE_BITS, WEIGHT_BITS
from federatedml.crypto.ring import Floats, Words, decode, drop_bits, encode, split, truncate
from federatedml.crypto.stream import Stream
from federatedml.errors import ProtocolError

Pads = Mapping[str, Words]


class Side:
    """State of one party during a training.

    Args:
        stream: of the seed that the dealer gave this attempt.
        features: (n, k) of all rows in the order of the batches, with the intercept's column if there is one.
        labels: (n,) zeros and ones at the guest, None at the host.
        intercept: whether the guest's last column is the intercept, which does not shrink.
    """

    def __init__(self, plan: Plan, stream: Stream, features: Floats, labels: Floats | None, intercept: bool) -> None:
        self.plan, self.stream, self.guest = plan, stream, labels is not None
        cuts = np.cumsum(plan.batches)[:-1]
        self.features = np.split(encode(features, plan.encoding.feature_bits), cuts)
        self.centred = [] if labels is None else np.split(0.5 - labels, cuts)
        self.signs = None if labels is None else encode(1 - 2 * labels, 0)  # 1 - 2 y, (rows,)
        self.masked: list[Words] = []  # the peer's features less their mask, per batch
        self.masked_signs: Words = np.zeros(0, np.uint64)  # at the host: 1 - 2 y less its mask
        self.own: Words = np.zeros(plan.columns(self.guest), np.uint64)
        self.mask: Words = np.zeros(0, np.uint64)  # of the share of the peer's weights, for the next batch
        self.peer: Words = np.zeros(plan.columns(not self.guest), np.uint64)
        decay = np.full(plan.guest + plan.host, plan.decay)
        if intercept:
            decay[plan.guest - 1] = 0.0
        self.decay = encode(decay, plan.encoding.gradient_bits)
        self.start_epoch()

    def start_epoch(self) -> None:
        """Forget the sums of the last epoch."""
        self.linear: list[Words] = []  # shares of z / 2, per batch
        self.sums = np.zeros(2, np.uint64)  # shares of the sums of the loss' even part and of the guard's cosines

    def hidden_features(self, batch: int) -> Words:
        """E = X - A of a batch: uniform to everybody but the dealer. Made once per attempt."""
        X = self.features[batch]
        return X - feature_mask(self.stream, batch, *X.shape)

    def hidden_weights(self, use: int) -> Words:
        """Share of the peer's weights less its mask, for the next call of ``predictor``."""
        self.mask = weight_mask(self.stream, use, len(self.peer))
        return self.peer - self.mask

    def pads(self, batch: int, use: int, corrections: Words | None) -> Pads:
        """The words of one use of a batch; the host's need the dealer's corrections."""
        own = draw(self.stream, self.plan, batch, use, self.guest)
        return own if corrections is None else {**own, **split(corrections, self.plan.corrections(batch))}

    def predictor(self, batch: int, d: Words, pads: Pads) -> Words:
        """Share of z, (n,)."""
        z: Words = self.features[batch] @ (self.own + d)
        z += self.masked[batch] @ self.mask
        return z + pads["forward"]

    def residual(self, batch: int, delta: Words, pads: Pads) -> Words:
        """Share of step * (sigmoid(z) - 1/2), (n,), before it drops bits; adds to the sums of the epoch.

        Args:
            delta: z - t, opened.
        """
        encoding, step, sine, cosine = self.plan.encoding, self.plan.step(batch), pads["sine"], pads["cosine"]
        series = encoding.series
        waves = encoding.waves(delta)
        wave, guard = waves[:, :-1], waves[:, -1:]
        s, c = encode(wave * (series.sigmoid * step), encoding.factor_bits(step))
        share = _of_sines(s, c, sine, cosine)
        s, c = encode(wave * series.linear, encoding.loss_bits)
        self.linear.append(_of_sines(s, c, sine, cosine))
        s, c = encode(wave * series.even, encoding.loss_bits)
        even = _of_cosines(s, c, sine, cosine)
        s, c = encode(guard, GUARD_BITS)
        self.sums += np.concatenate([even, _of_cosines(s, c, sine[-1:], cosine[-1:])])
        return share

    def rounded(self, batch: int, opened: Words, pads: Pads) -> Words:
        """Share of step * (sigmoid(z) - y), (n,)."""
        encoding, step = self.plan.encoding, self.plan.step(batch)
        share = truncate(opened, encoding.dropped_bits(step), pads["high"], pads["sign"], self.guest)
        if not self.guest:
            return share
        return share + encode(self.centred[batch] * step, encoding.residual_bits)

    def own_gradient(self, batch: int, r: Words, d: Words, pads: Pads) -> Words:
        """Share of the gradient of the own weights; ``d`` is the peer's share of the residuals less its mask."""
        gradient: Words = (r + d) @ self.features[batch]
        return gradient + pads["grad_guest" if self.guest else "grad_host"]

    def peer_gradient(self, batch: int, pads: Pads) -> Words:
        """Share of the gradient of the peer's weights; known before any message of the round."""
        gradient: Words = pads["residual"] @ self.masked[batch]
        return gradient + pads["grad_host" if self.guest else "grad_guest"]

    def step_peer(self, pads: Pads) -> None:
        """Move my share of the peer's weights (no decay)."""
        self.peer = self.peer + drop_bits(pads["drop"], self.plan.encoding.gradient_bits)

    def step_own(self, masked_gradient: Words) -> None:
        """Move my share of my weights (no decay)."""
        self.own = self.own - drop_bits(masked_gradient, self.plan.encoding.gradient_bits)

    def change(self, own: Words, peer: Words) -> Words:
        """Shares of gradient + decay * weights for guest's, then host's columns, before bits are dropped."""
        gradient, weights = ([own, peer], [self.own, self.peer]) if self.guest else ([peer, own], [self.peer, self.own])
        return np.concatenate(gradient) + self.decay * np.concatenate(weights)

    def step_both(self, opened: Words, pads: Pads) -> None:
        """Move my shares of all weights by an opened, masked ``change``."""
        bits = self.plan.encoding.gradient_bits
        moved = truncate(opened, bits, pads["update_high"], pads["update_sign"], self.guest)
        guest, host = np.split(moved, [self.plan.guest])
        self.own = self.own - (guest if self.guest else host)
        self.peer = self.peer - (host if self.guest else guest)

    def hidden_labels(self) -> Words:
        """At the guest: 1 - 2 y less its mask, (rows,). Made once per attempt."""
        return self._labels() - label_mask(self.stream, self.plan.encoding.rows)

    def host_sums(self, epoch: int, correction: Words) -> tuple[Words, Words]:
        """At the host: masked shares of z / 2 (rows,), and shares of the sums that the guest opens, (2,)."""
        b = linear_mask(self.stream, epoch, self.plan.encoding.rows)
        loss = np.atleast_1d(self.masked_signs @ b) + correction - self.sums[:1]
        return np.concatenate(self.linear) - b, np.concatenate([loss, self.sums[1:]])

    def opened_sums(self, epoch: int, d: Words, sums: Words) -> Words:
        """At the guest: sum of (1 - 2 y) z / 2 less the even part of the loss, and of the guard's cosines, (2,)."""
        loss = np.atleast_1d(self._labels() @ (np.concatenate(self.linear) + d)) + loss_share(self.stream, epoch)
        return np.concatenate([loss - self.sums[:1], self.sums[1:]]) + sums

    def _labels(self) -> Words:
        if self.signs is None:
            raise ProtocolError("FED-383", "only the guest has labels")
        return self.signs

    def start(self, weights: Floats) -> None:
        """Own initial weights; the peer's share of them is zero."""
        self.own = encode(weights, WEIGHT_BITS)

    def reduced(self, share: Words) -> Words:
        """A share of weights as it is opened: without the bits that mean nothing."""
        return share if self.plan.decay else np.left_shift(share, np.uint64(self.plan.encoding.gradient_bits))

    def opened_weights(self, received: Words) -> Floats:
        """Own final weights from the peer's reduced share."""
        extra = 0 if self.plan.decay else self.plan.encoding.gradient_bits
        return decode(self.reduced(self.own) + received, extra + WEIGHT_BITS)


def mean_loss(plan: Plan, opened: Words) -> float:
    """Mean logistic loss of the epoch, from the opened sum; off by at most 0.01 by the series."""
    encoding = plan.encoding
    return encoding.series.constant + float(decode(opened, encoding.loss_bits + SINE_BITS)[0]) / encoding.rows


def rms_predictor(plan: Plan, opened: Words) -> float:
    """Root mean square of z of the epoch, from the opened sum of cos(pi z / GUARD); saturates at about 460."""
    cosines = float(decode(opened, GUARD_BITS + SINE_BITS)[0]) / plan.encoding.rows
    return float(GUARD / np.pi * np.sqrt(2 * max(1 - cosines, 0.0)))


def batch_order(ids: NDArray[np.object_]) -> NDArray[np.int64]:
    """A permutation of the rows that depends on the ids alone, the same at both parties and on every machine."""
    order: NDArray[np.int64] = np.argsort(
        Stream(ids_digest(ids), b"batches").words("order", 0, len(ids)), kind="stable"
    )
    return order


def ids_digest(ids: NDArray[np.object_]) -> bytes:
    """SHA-256 of the ids in their order."""
    return hashlib.sha256(json.dumps(ids.tolist()).encode()).digest()


def batch_sizes(rows: int, size: int) -> tuple[int, ...]:
    """Rows of each batch: ``size`` each, the rest in the last; -1 is all."""
    size = rows if size == -1 else min(size, rows)
    return (*[size] * (rows // size), *([rows % size] if rows % size else []))


def _of_sines(s: Words, c: Words, sine: Words, cosine: Words) -> Words:
    """(n,) share of the weighted sum of sines of multiples of z; the guard's row, the last, is left out."""
    terms = len(s)
    share: Words = np.einsum("kn,kn->n", s, cosine[:terms]) + np.einsum("kn,kn->n", c, sine[:terms])
    return share


def _of_cosines(s: Words, c: Words, sine: Words, cosine: Words) -> Words:
    """(1,) share of the weighted sum over rows and multiples of cosines: cos z = cos delta cos t - sin delta sin t."""
    terms = len(s)
    return np.atleast_1d(np.vdot(c, cosine[:terms])) - np.atleast_1d(np.vdot(s, sine[:terms]))
