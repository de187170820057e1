"""Weights in shares, and how a step moves them: one party's side.

By ``Motion`` each party keeps a share of every weight and rounds gradients alone, or by the dealer's words; or the
owner alone has its weights in clear, and then nothing of this is used.
"""

from __future__ import annotations

import numpy as np

from federatedml.crypto.encoding import WEIGHT_BITS
from federatedml.crypto.lr_shapes import LOOK_AHEAD_BITS, Plan
from federatedml.crypto.ring import Floats, Words, decode, drop_bits, encode, split, truncate
from federatedml.crypto.shared_linear import Pads


class Weights:
    """My shares of all weights, (width,); at the start all of mine and nothing of the others'."""

    def __init__(self, plan: Plan, party: int, start: Floats) -> None:
        self.plan, self.party, self.block = plan, party, plan.block(party)
        self.shares = np.zeros(plan.width, np.uint64)
        self.shares[self.block] = encode(start, WEIGHT_BITS)
        self.speed = np.zeros(plan.width if plan.motion.momentum else 0, np.uint64)

    def reduced(self, shares: Words) -> Words:
        """Shares as they are opened: without the bits that mean nothing."""
        return np.left_shift(shares, np.uint64(64 - self.plan.weight_modulus_bits))

    def opened(self, total: Words) -> Floats:
        """Numbers of the sum of all parties' reduced shares."""
        return decode(total, 64 - self.plan.weight_modulus_bits + WEIGHT_BITS)

    def step_others(self, pads: Pads) -> None:
        """Move my shares of the others' weights by what the owner takes from my masked gradient (not ``exact``)."""
        moved = drop_bits(pads["drop"], self.plan.encoding.gradient_bits)
        self.shares[: self.block.start] += moved[: self.block.start]
        self.shares[self.block.stop :] += moved[self.block.start :]

    def step_own(self, masked_gradient: Words) -> None:
        """Move my shares of my weights (not ``exact``).

        Args:
            masked_gradient: (k,) my share and all others', which are masked. With m of these the rounding down of all
                gives m / 2 - 1 / 2 units too many on average, which are taken off before.
        """
        bits = self.plan.encoding.gradient_bits
        surplus = np.uint64((len(self.plan.columns) - 2) << (bits - 1))
        self.shares[self.block] -= drop_bits(masked_gradient - surplus, bits)

    def hidden_update(self, epoch: int, gradient: Words, pads: Pads) -> Words:
        """(updates * width,) masked shares of what the weights (and their speed) become (``exact``).

        Args:
            gradient: (width,) share of the gradient of all weights, before bits are dropped.
        """
        plan, bits = self.plan, self.plan.encoding.gradient_bits
        motion, extra = plan.motion, LOOK_AHEAD_BITS if plan.updates > 1 else 0
        shrink = encode(self._shrink(epoch), bits + extra) * self.shares
        if not motion.momentum:
            return gradient + shrink + pads["update"]
        speed = encode(motion.momentum, bits) * self.speed + gradient
        change = encode(1 + motion.momentum, extra) * speed - encode(motion.momentum, bits + extra) * self.speed
        change = change + shrink
        return np.concatenate([speed, change]) + pads["update"]

    def step_all(self, opened: Words, pads: Pads) -> None:
        """Move my shares of all weights by an opened, masked ``hidden_update``."""
        layout = {str(i): (self.plan.width,) for i in range(self.plan.updates)}
        pieces = (split(words, layout) for words in (opened, pads["update_high"], pads["update_sign"]))
        opened_by, high, sign = pieces
        moved = [
            truncate(opened_by[name], bits, high[name], sign[name], self.party == 0)
            for name, bits in zip(layout, self.plan.update_bits, strict=True)
        ]
        if self.plan.motion.momentum:
            self.speed = moved[0]
        self.shares = self.shares - moved[-1]

    def _shrink(self, epoch: int) -> Floats:
        """(width,) what a step takes off a weight, relative to it."""
        shrink = np.full(self.plan.width, self.plan.pace.at(epoch) * self.plan.motion.penalty)
        if self.plan.intercept:
            shrink[self.plan.columns[0] - 1] = 0.0
        return shrink
