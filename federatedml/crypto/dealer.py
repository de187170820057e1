"""Correlated randomness for a logistic model on several parties' columns: what the dealer hands out.

The dealer gives each party a seed; both sides draw the same uniform words from it. What cannot be random, because it
must fit the other words, goes to one party (the first host) as *corrections*: the total less all other shares.

Party 0 is the guest. For a batch with n rows, masks A_i (n, k_i) of the features, which serve all epochs, and per use
shares, one per party, of

    forward     sum of A_i b_ij         b_ij: mask of party j's share of party i's weights
    gradient    A_i^T (sum of a_j)      a_j: mask of party j's share of the residuals, j other than i; for all i
    sine, cosine of 1, 3, ... times the angle t, and of the guard's angle, for a uniform t
    high, sign  of a uniform word r, for one truncation (``ring.truncate``)
    loss        A_y . sum of l_j        l_j: mask of host j's share of what the labels multiply
    scaled      A_s * sum of u_j        u_j: mask of host j's share of the residuals, before the guest weighs rows
    square      sum of q^2              q: mask of the change of weights of an epoch

Every b, a, t, r, l, u, q is used for one message. A_i is unknown to all but its owner and the dealer, who knows all of
these words and sees none of the messages that they mask.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from federatedml.crypto.encoding import SINE_BITS
from federatedml.crypto.lr_shapes import Plan
from federatedml.crypto.ring import Words, joined, size, split
from federatedml.crypto.series_kernels import encoded_waves
from federatedml.crypto.stream import Stream

GUEST = 0
TOP = np.uint64(63)
CLOSER = 1  # the party that gets the corrections
TRAINING, VALIDATION = "features", "validation features"  # purposes of masks, each of its own stream of words
WEIGHTS, VALIDATION_WEIGHTS = "weights", "validation weights"


def feature_mask(stream: Stream, batch: int, rows: int, columns: int, purpose: str = TRAINING) -> Words:
    """A, from the owner's seed."""
    return stream.words(purpose, batch, rows * columns).reshape(rows, columns)


def weight_mask(stream: Stream, use: int, plan: Plan, party: int, purpose: str = WEIGHTS) -> Words:
    """(width,) b_ij of all i in the order of the columns, from the seed of j; zeros at its own columns."""
    block = plan.block(party)
    mask = np.zeros(plan.width, np.uint64)
    drawn = stream.words(purpose, use, plan.width - plan.columns[party])
    mask[: block.start], mask[block.stop :] = drawn[: block.start], drawn[block.start :]
    return mask


def label_mask(stream: Stream, plan: Plan, batch: int) -> Words:
    """A_y, from the guest's seed."""
    return stream.words("labels", batch, plan.loss_words(batch))


def scale_mask(stream: Stream, plan: Plan, batch: int) -> Words:
    """A_s, from the guest's seed."""
    return stream.words("scales", batch, plan.batches[batch])


def square_mask(stream: Stream, epoch: int, plan: Plan) -> Words:
    """(width,) share of q, from the party's seed."""
    return stream.words("square", epoch, plan.width)


def draw(stream: Stream, plan: Plan, batch: int, use: int, party: int) -> dict[str, Words]:
    """A party's own words for one use of a batch; all but the closer's hold its shares of what is dealt."""
    layout = plan.own(batch, party)
    if party != CLOSER:
        layout |= plan.dealt(batch)
    return split(stream.words("batch", use, size(layout)), layout)


class Dealer:
    """The arbiter's side: masks of the features, and corrections per use.

    Args:
        streams: of the parties' seeds, the guest's first.
    """

    def __init__(self, plan: Plan, streams: Sequence[Stream]) -> None:
        self.plan, self.streams = plan, streams
        self.masks = [self._feature_masks(i, n, TRAINING) for i, n in enumerate(plan.batches)]
        self.labels = [label_mask(streams[GUEST], plan, i) for i in range(len(plan.batches))]
        self.held_out = self._feature_masks(0, plan.validation, VALIDATION) if plan.validation else []

    def _feature_masks(self, batch: int, rows: int, purpose: str) -> list[Words]:
        owners = zip(self.streams, self.plan.columns, strict=True)
        return [feature_mask(stream, batch, rows, columns, purpose) for stream, columns in owners]

    def deal(self, batch: int, use: int) -> Words:
        """Corrections of one use of a batch, for the closer."""
        plan, layout = self.plan, self.plan.dealt(batch)
        drawn = [draw(stream, plan, batch, use, party) for party, stream in enumerate(self.streams)]
        dealt = self._rounding(batch, drawn) | self._products(batch, use, drawn)
        sine, cosine = encoded_waves(_total(d["angle"] for d in drawn), plan.encoding.turn, SINE_BITS)
        dealt |= {"sine": sine, "cosine": cosine}
        for party, shares in enumerate(drawn):
            if party != CLOSER:
                for name, words in dealt.items():
                    words -= shares[name]
        return joined(dealt, layout)

    def _products(self, batch: int, use: int, drawn: Sequence[Mapping[str, Words]]) -> dict[str, Words]:
        plan, masks = self.plan, self.masks[batch]
        residuals = _total(d["residual"] for d in drawn)
        gradient = [(residuals - d["residual"]) @ mask for d, mask in zip(drawn, masks, strict=True)]
        linear = _total(d["linear"] for d in drawn[1:])
        found = {
            "gradient": np.concatenate(gradient),
            "loss": np.atleast_1d(self.labels[batch] @ linear),
        }
        if not plan.motion.opened:
            found["forward"] = self._forward(masks, WEIGHTS, use)
        if plan.encoding.weighted:
            scaled: Words = scale_mask(self.streams[GUEST], plan, batch) * _total(d["unscaled"] for d in drawn[1:])
            found["scaled"] = scaled
        return found

    def _forward(self, masks: Sequence[Words], purpose: str, use: int) -> Words:
        plan = self.plan
        b = _total(weight_mask(stream, use, plan, party, purpose) for party, stream in enumerate(self.streams))
        return _total(mask @ b[plan.block(party)] for party, mask in enumerate(masks))

    def _rounding(self, batch: int, drawn: Sequence[Mapping[str, Words]]) -> dict[str, Words]:
        plan = self.plan
        r = _total(d["round"] for d in drawn)
        dropped = np.uint64(plan.encoding.dropped_bits(plan.first_step(batch)))
        found: dict[str, Words] = {"high": r >> dropped, "sign": r >> TOP}
        if plan.updates:
            u = _total(d["update"] for d in drawn).reshape(plan.updates, plan.width)
            bits = np.array(plan.update_bits, np.uint64)[:, None]
            found |= {"update_high": (u >> bits).ravel(), "update_sign": (u >> TOP).ravel()}
        return found

    def deal_validation(self, round: int) -> Words:
        """Correction (rows,) of the predictor of the validation rows."""
        forward = self._forward(self.held_out, VALIDATION_WEIGHTS, round)
        for party, stream in enumerate(self.streams):
            if party != CLOSER:
                forward -= validation_share(stream, round, self.plan)
        return forward

    def deal_square(self, epoch: int) -> Words:
        """Correction (1,) of the sum of squares of the mask of an epoch's change."""
        q = _total(square_mask(stream, epoch, self.plan) for stream in self.streams)
        share = np.atleast_1d(q @ q)
        for party, stream in enumerate(self.streams):
            if party != CLOSER:
                share -= square_share(stream, epoch)
        return share


def validation_share(stream: Stream, round: int, plan: Plan) -> Words:
    """(rows,) a party's share of the validation rows' ``forward``; the closer's is dealt."""
    return stream.words("validation forward", round, plan.validation)


def square_share(stream: Stream, epoch: int) -> Words:
    """(1,) a party's share of the sum of q^2; the closer's is dealt."""
    return stream.words("square share", epoch, 1)


def _total(shares: Iterable[Words]) -> Words:
    first, *rest = shares
    total = first.copy()
    for share in rest:
        total += share
    return total
