"""The public numbers of a training of a logistic model in shares: who has how many columns, batches, steps, words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from federatedml.crypto.encoding import WEIGHT_BITS, Encoding
from federatedml.crypto.ring import size

Layout = dict[str, tuple[int, ...]]
LOOK_AHEAD_BITS = 14  # of the factor 1 + momentum


@dataclass(frozen=True)
class Pace:
    """The learning rate of each epoch, as FATE's optimisers lessen it.

    Attributes:
        rate: of the first epoch.
        decay: d in rate / (1 + d epoch), or its root.
    """

    rate: float
    decay: float = 0.0
    root: bool = True

    def at(self, epoch: int) -> float:
        """Learning rate; divisions and roots are rounded alike on every machine."""
        divisor = 1 + self.decay * epoch
        return self.rate / (math.sqrt(divisor) if self.root else divisor)


@dataclass(frozen=True)
class Motion:
    """How weights move by a gradient g that carries the learning rate.

    v = momentum v + g, and the weights lose (1 + momentum) v less momentum times the old v (without momentum g), and
    learning rate * penalty times themselves (not the intercept). This is Nesterov's momentum as in Sutskever et al.,
    "On the importance of initialization and momentum in deep learning", 2013, in FATE's form, whose weights are those
    that look ahead.

    Attributes:
        exact: whether weights live modulo 2^64 and are rounded by the dealer's words: two more rounds a batch.
        opened: whether the gradient is opened to its owner, who moves its weights by itself.
    """

    momentum: float = 0.0
    penalty: float = 0.0
    exact: bool = False
    opened: bool = False


@dataclass(frozen=True)
class Plan:
    """Public shapes.

    Attributes:
        columns: per party, the guest first, with the intercept's.
        batches: rows of each batch.
        validation: rows that are looked at during training, 0 for none.
        intercept: whether the guest's last column is the intercept.
        squares: whether the norm of an epoch's change is opened.
    """

    encoding: Encoding
    columns: tuple[int, ...]
    batches: tuple[int, ...]
    pace: Pace
    motion: Motion
    intercept: bool = True
    validation: int = 0
    squares: bool = False

    def step(self, batch: int, epoch: int) -> float:
        """Learning rate over rows of a batch; where owners move their weights, one over rows."""
        return (1.0 if self.motion.opened else self.pace.at(epoch)) / self.batches[batch]

    def first_step(self, batch: int) -> float:
        """The largest of all epochs: it decides how many bits a residual drops."""
        return self.step(batch, 0)

    @cached_property
    def width(self) -> int:
        """Weights of all parties."""
        return sum(self.columns)

    def block(self, party: int) -> slice:
        """Where a party's weights are."""
        start = sum(self.columns[:party])
        return slice(start, start + self.columns[party])

    @property
    def updates(self) -> int:
        """Vectors of ``width`` that are rounded per step by the dealer's words."""
        if not self.motion.exact:
            return 0
        return 2 if self.motion.momentum else 1

    @property
    def update_bits(self) -> tuple[int, ...]:
        """Bits that each of them drops."""
        bits = self.encoding.gradient_bits
        return (bits, bits + LOOK_AHEAD_BITS)[: self.updates]

    @property
    def weight_modulus_bits(self) -> int:
        """Weights are opened modulo two to this."""
        return 64 if self.motion.exact or self.motion.opened else 64 - self.encoding.gradient_bits

    @property
    def most_change(self) -> float:
        """The speed of a weight must stay below it, so that what is rounded stays below 2^62."""
        return 2.0 ** (61 - 1 - LOOK_AHEAD_BITS - self.encoding.gradient_bits - WEIGHT_BITS)

    def loss_words(self, batch: int) -> int:
        """Words of a batch that the labels multiply: z / 2 and, if rows have weights, the even part of the loss."""
        return self.batches[batch] * (2 if self.encoding.weighted else 1)

    def own(self, batch: int, party: int) -> Layout:
        """What a party draws from its seed for one use of a batch, besides its shares of what is dealt."""
        n = self.batches[batch]
        layout: Layout = {"residual": (n,), "angle": (n,), "round": (n,)}
        if self.updates:
            layout["update"] = (self.updates * self.width,)
        elif not self.motion.opened:
            layout["drop"] = (self.width - self.columns[party],)
        if party:
            layout["linear"] = (self.loss_words(batch),)
            if self.encoding.weighted:
                layout["unscaled"] = (n,)
        return layout

    def dealt(self, batch: int) -> Layout:
        """What is dealt in shares for one use of a batch."""
        n, terms = self.batches[batch], self.encoding.series.terms + 1
        layout: Layout = {"gradient": (self.width,), "sine": (terms, n), "cosine": (terms, n)}
        layout |= {"high": (n,), "sign": (n,), "loss": (1,)}
        if not self.motion.opened:
            layout["forward"] = (n,)
        if self.encoding.weighted:
            layout["scaled"] = (n,)
        if self.updates:
            layout |= dict.fromkeys(("update_high", "update_sign"), (self.updates * self.width,))
        return layout

    def correction_words(self, batch: int) -> int:
        """Length of the corrections of one use of a batch."""
        return size(self.dealt(batch))
