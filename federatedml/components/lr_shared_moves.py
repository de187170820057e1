"""The last exchanges of a batch under protocol ``shared``: residuals become gradients, gradients move weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from federatedml.components.common_rows import expect
from federatedml.components.lr_optimizers import Memory, stepped
from federatedml.components.lr_params import LogisticParams
from federatedml.components.lr_shared_topics import FINAL, GRADIENT, RESIDUAL, STEP, UPDATE, WEIGHTS
from federatedml.crypto.encoding import WEIGHT_BITS
from federatedml.crypto.ring import Floats, Words, decode, encode
from federatedml.crypto.shared_linear import Pads, Side
from federatedml.crypto.shared_weights import Weights
from federatedml.federation.box import Box
from federatedml.federation.party import Member
from federatedml.federation.topic import Topic
from federatedml.federation.wire import Array


class Exchange:
    """Messages between the parties that hold data.

    Attributes:
        parties: in the order of the plan, the guest first.
        others: all but me, with their numbers.
    """

    def __init__(self, box: Box, parties: tuple[Member, ...]) -> None:
        self.box, self.parties = box, parties
        self.party = parties.index(box.me)
        self.others = [(number, member) for number, member in enumerate(parties) if member != box.me]

    def spread(self, topic: Topic[Array], value: Words, round: int, rows: int) -> list[Words]:
        """Tell all others the same, take theirs, (rows,) each."""
        self.box.send(topic, value, round)
        return self.gathered(topic, round, rows)

    def gathered(self, topic: Topic[Array], round: int, rows: int) -> list[Words]:
        """What all senders of a topic sent, (rows,) each, in the order of the parties."""
        got = self.box.gather(topic, round)
        return [expect(got[member], rows) for _, member in self.others if member in got]

    def dealt_out(self, topic: Topic[Array], words: Words, side: Side, round: int) -> list[Words]:
        """Tell each other party its block of (width,) words, take my blocks of theirs."""
        for number, member in self.others:
            self.box.send(topic, words[side.plan.block(number)], round, member)
        return self.gathered(topic, round, side.plan.columns[self.party])


class Moves(Protocol):
    """Weights during a training, wherever they are.

    ``shares`` are my shares of all weights, (width,); ``effective`` my shares of my weights and all others', masked.
    """

    @property
    def shares(self) -> Words: ...  # noqa: D102 - see above

    def effective(self) -> Words: ...  # noqa: D102 - see above

    def start(self, use: int) -> None:
        """Before the first batch of an attempt."""
        ...

    def move(self, batch: int, epoch: int, use: int, r: Words, pads: Pads) -> None:
        """One step, from my share of the residuals."""
        ...

    def state(self) -> dict[str, Array | int]:
        """For a checkpoint."""
        ...

    def restore(self, state: Mapping[str, object]) -> None:
        """From a checkpoint."""
        ...

    def released(self, shares: Words) -> Floats:
        """(k,) own weights, of these shares of all parties."""
        ...


class _Shared:
    """Every party holds a share of every weight."""

    def __init__(self, exchange: Exchange, side: Side, start: Floats) -> None:
        self.exchange, self.side = exchange, side
        self.weights = Weights(side.plan, exchange.party, start)
        self.masked: Words = np.zeros(len(start), np.uint64)  # the others' shares of my weights, masked

    @property
    def shares(self) -> Words:
        """See ``Moves``."""
        return self.weights.shares

    def effective(self) -> Words:
        """See ``Moves``."""
        return self.weights.shares[self.side.block] + self.masked

    def start(self, use: int) -> None:
        """See ``Moves``."""
        hidden = self.side.hidden_weights(self.weights.shares, use)
        self.masked = total(self.exchange.dealt_out(WEIGHTS, hidden, self.side, use))

    def state(self) -> dict[str, Array | int]:
        """See ``Moves``."""
        return {"shares": self.weights.shares, "speed": self.weights.speed}

    def restore(self, state: Mapping[str, object]) -> None:
        """See ``Moves``."""
        self.weights.shares, self.weights.speed = np.array(state["shares"]), np.array(state["speed"])

    def released(self, shares: Words) -> Floats:
        """See ``Moves``."""
        told = self.weights.reduced(shares)
        got = self.exchange.dealt_out(FINAL, told, self.side, 0)
        return self.weights.opened(told[self.side.block] + total(got))


class Direct(_Shared):
    """Plain gradient descent: one message carries residual, gradient and the next weights."""

    def move(self, batch: int, epoch: int, use: int, r: Words, pads: Pads) -> None:
        """See ``Moves``."""
        side, plan = self.side, self.side.plan
        hidden, gradient = r - pads["residual"], np.zeros(plan.width, np.uint64)
        _put(side, gradient, side.other_gradient(batch, pads) + pads["drop"])
        self.weights.step_others(pads)
        following = side.hidden_weights(self.weights.shares, use + 1)
        for number, member in self.exchange.others:
            block = plan.block(number)
            told = {"residual": hidden, "gradient": gradient[block], "weights": following[block]}
            self.exchange.box.send(STEP, told, use, member)
        got = self.exchange.box.gather(STEP, use).values()
        n, own = len(r), plan.columns[side.party]
        residuals = [expect(told["residual"], n) for told in got]
        mine = side.own_gradient(batch, r, residuals, pads)
        self.weights.step_own(mine + total([expect(told["gradient"], own) for told in got]))
        self.masked = total([expect(told["weights"], own) for told in got])


class Exact(_Shared):
    """Momentum, L2, norms of changes: weights are whole words, rounded by the dealer's words, in two more rounds."""

    def move(self, batch: int, epoch: int, use: int, r: Words, pads: Pads) -> None:
        """See ``Moves``."""
        side, plan = self.side, self.side.plan
        received = self.exchange.spread(RESIDUAL, r - pads["residual"], use, len(r))
        gradient = np.zeros(plan.width, np.uint64)
        _put(side, gradient, side.other_gradient(batch, pads))
        gradient[side.block] = side.own_gradient(batch, r, received, pads)
        mine = self.weights.hidden_update(epoch, gradient, pads)
        self.weights.step_all(mine + total(self.exchange.spread(UPDATE, mine, use, len(mine))), pads)
        self.start(use + 1)


class Opened:
    """The gradient is opened to its owner, who alone knows its weights and runs any optimiser."""

    def __init__(self, exchange: Exchange, side: Side, start: Floats, p: LogisticParams) -> None:
        self.exchange, self.side, self.p = exchange, side, p
        self.weights, self.memory = start, Memory.blank(len(start))

    @property
    def shares(self) -> Words:
        """See ``Moves``."""
        found = np.zeros(self.side.plan.width, np.uint64)
        found[self.side.block] = self.effective()
        return found

    def effective(self) -> Words:
        """See ``Moves``."""
        return encode(self.weights, WEIGHT_BITS)

    def start(self, use: int) -> None:
        """Nothing to tell."""

    def move(self, batch: int, epoch: int, use: int, r: Words, pads: Pads) -> None:
        """See ``Moves``."""
        side, plan = self.side, self.side.plan
        hidden, shares = r - pads["residual"], np.zeros(plan.width, np.uint64)
        _put(side, shares, side.other_gradient(batch, pads))
        for number, member in self.exchange.others:
            told = {"residual": hidden, "gradient": shares[plan.block(number)]}
            self.exchange.box.send(GRADIENT, told, use, member)
        got = self.exchange.box.gather(GRADIENT, use).values()
        mine = side.own_gradient(batch, r, [expect(told["residual"], len(r)) for told in got], pads)
        mine = mine + total([expect(told["gradient"], len(mine)) for told in got])
        gradient = decode(mine, plan.encoding.residual_bits + plan.encoding.feature_bits)
        intercept = side.party == 0 and plan.intercept
        self.weights, self.memory = stepped(self.p, self.weights, gradient, epoch, self.memory, intercept)

    def state(self) -> dict[str, Array | int]:
        """See ``Moves``."""
        return {"weights": self.weights, **self.memory.state()}

    def restore(self, state: Mapping[str, object]) -> None:
        """See ``Moves``."""
        self.weights, self.memory = np.asarray(state["weights"], float), Memory.of(state)

    def released(self, shares: Words) -> Floats:
        """See ``Moves``."""
        return decode(shares[self.side.block], WEIGHT_BITS)


def moves(p: LogisticParams, exchange: Exchange, side: Side, start: Floats) -> Moves:
    """As the plan's motion says, from own first weights (k,)."""
    motion = side.plan.motion
    if motion.opened:
        return Opened(exchange, side, start, p)
    return (Exact if motion.exact else Direct)(exchange, side, start)


def total(received: list[Words]) -> Words:
    """Sum of what several parties sent; there is at least one."""
    found = received[0]
    for words in received[1:]:
        found = found + words
    return found


def _put(side: Side, target: Words, others: Words) -> None:
    """Write (width - k,) words of the others' columns to their places."""
    block = side.block
    target[: block.start], target[block.stop :] = others[: block.start], others[block.start :]
