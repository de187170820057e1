"""Correlated randomness for a logistic model on two parties' columns: what the dealer hands out.

The dealer gives each party a seed; both sides draw the same uniform words from it. What cannot be random, because it
must fit the other words, goes to the host as *corrections* (all products and sines less the guest's random shares).

For a batch with n rows, masks A_g (n, k_g), A_h (n, k_h) of the features, which serve all epochs, and per use:

    forward     guest + host = A_g b_h + A_h b_g      b_h: mask of the host's share of the guest's weights
    grad_guest  guest + host = A_g^T a_h              a_h: mask of the host's share of the residuals
    grad_host   guest + host = A_h^T a_g
    sine, cosine of 1, 3, ... times the angle t, and of the guard's angle, for a uniform t = t_g + t_h
    high, sign  of a uniform word r = r_g + r_h, for one truncation (``ring.truncate``)

Every b, a, t, r is used for one message. A_g is unknown to the host, A_h to the guest; the dealer knows all of these
words and sees none of the messages that they mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from federatedml.crypto.encoding import SINE_BITS, Encoding
from federatedml.crypto.ring import Words, encode, joined, size, split
from federatedml.crypto.stream import Stream

Layout = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Plan:
    """Public shapes: columns of both (with the intercept's), rows and step of each batch.

    Attributes:
        decay: how much weights shrink in each step (learning rate * alpha of L2); not 0 takes one more truncation.
    """

    encoding: Encoding
    guest: int
    host: int
    batches: tuple[int, ...]
    rate: float
    decay: float

    def step(self, batch: int) -> float:
        """Learning rate over rows of a batch."""
        return self.rate / self.batches[batch]

    def columns(self, guest: bool) -> int:
        """Columns of one party."""
        return self.guest if guest else self.host

    def own(self, batch: int, guest: bool) -> Layout:
        """What a party draws from its seed for one use of a batch."""
        n = self.batches[batch]
        layout: dict[str, tuple[int, ...]] = {"residual": (n,), "angle": (n,), "round": (n,)}
        if self.decay:
            layout["update"] = (self.guest + self.host,)
        else:
            layout["drop"] = (self.columns(not guest),)
        return {**layout, **self.corrections(batch)} if guest else layout

    def corrections(self, batch: int) -> Layout:
        """Words that the guest draws and the host is sent."""
        n, terms = self.batches[batch], self.encoding.series.terms + 1
        layout: dict[str, tuple[int, ...]] = {
            "forward": (n,),
            "grad_guest": (self.guest,),
            "grad_host": (self.host,),
            "sine": (terms, n),
            "cosine": (terms, n),
            "high": (n,),
            "sign": (n,),
        }
        if self.decay:
            layout |= {"update_high": (self.guest + self.host,), "update_sign": (self.guest + self.host,)}
        return layout

    def correction_words(self, batch: int) -> int:
        """Length of the corrections of one use of a batch."""
        return size(self.corrections(batch))


def feature_mask(stream: Stream, batch: int, rows: int, columns: int) -> Words:
    """A, from the owner's seed."""
    return stream.words("features", batch, rows * columns).reshape(rows, columns)


def weight_mask(stream: Stream, use: int, columns: int) -> Words:
    """b, from the seed of the party that holds the share."""
    return stream.words("weights", use, columns)


def draw(stream: Stream, plan: Plan, batch: int, use: int, guest: bool) -> dict[str, Words]:
    """A party's own words for one use of a batch."""
    layout = plan.own(batch, guest)
    return split(stream.words("batch", use, size(layout)), layout)


class Dealer:
    """The arbiter's side: masks of the features, and corrections per use.

    Args:
        guest, host: streams of the two parties' seeds.
    """

    def __init__(self, plan: Plan, guest: Stream, host: Stream) -> None:
        self.plan, self.guest, self.host = plan, guest, host
        self.masks = [
            (feature_mask(guest, i, n, plan.guest), feature_mask(host, i, n, plan.host))
            for i, n in enumerate(plan.batches)
        ]

    def deal(self, batch: int, use: int) -> Words:
        """Corrections of one use of a batch, for the host."""
        plan, encoding = self.plan, self.plan.encoding
        g, h = draw(self.guest, plan, batch, use, True), draw(self.host, plan, batch, use, False)
        guest_features, host_features = self.masks[batch]
        forward = guest_features @ weight_mask(self.host, use, plan.guest)
        forward += host_features @ weight_mask(self.guest, use, plan.host)
        sine, cosine = encode(encoding.waves(g["angle"] + h["angle"]), SINE_BITS)
        r = g["round"] + h["round"]
        dealt = {
            "forward": forward,
            "grad_guest": h["residual"] @ guest_features,
            "grad_host": g["residual"] @ host_features,
            "sine": sine,
            "cosine": cosine,
            "high": r >> encoding.dropped_bits(plan.step(batch)),
            "sign": r >> 63,
        }
        if plan.decay:
            u = g["update"] + h["update"]
            dealt |= {"update_high": u >> encoding.gradient_bits, "update_sign": u >> 63}
        layout = plan.corrections(batch)
        return joined({name: dealt[name] - g[name] for name in layout}, layout)

    def deal_loss(self, epoch: int) -> Words:
        """The correction (one word) of the product of labels and shares, once an epoch: A_y . b - c."""
        rows = sum(self.plan.batches)
        labels = label_mask(self.guest, rows)
        return np.atleast_1d(labels @ linear_mask(self.host, epoch, rows)) - loss_share(self.guest, epoch)


def label_mask(stream: Stream, rows: int) -> Words:
    """A_y, from the guest's seed."""
    return stream.words("labels", 0, rows)


def linear_mask(stream: Stream, epoch: int, rows: int) -> Words:
    """b of the host's shares of z / 2, once an epoch."""
    return stream.words("linear", epoch, rows)


def loss_share(stream: Stream, epoch: int) -> Words:
    """The guest's share c of A_y . b: one word."""
    return stream.words("loss", epoch, 1)
