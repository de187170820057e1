"""What boosted trees minimise: first and second derivatives per row, first score, loss, and predictions of scores.

A score s (of class c: s_c) is the first score plus the leaf values of all trees. With d = s - y:

    objective               loss of a row                                   g                       h
    cross_entropy, binary   -y ln p - (1 - y) ln(1 - p), p = 1/(1+e^-s)     p - y                   p (1 - p)
    cross_entropy, k > 2    -ln p_y, p = softmax(s)                         p_c - [y = c]           2 p_c (1 - p_c)
    lse                     d^2                                             d                       1
    lae                     |d|                                             sign d                  1
    huber (delta)           delta^2 (sqrt(1 + (d/delta)^2) - 1)             d / sqrt(1+(d/delta)^2) (1+(d/delta)^2)^-1.5
    fair (c)                c |d| - c^2 ln(|d|/c + 1)                       c d / (|d| + c)         (c / (|d| + c))^2
    tweedie (power r)       -y e^((1-r) s)/(1-r) + e^((2-r) s)/(2-r)        its derivatives by s; predicts e^s
    log_cosh                ln cosh d                                       tanh d                  1 - tanh^2 d

as XGBoost has them (binary:logistic, multi:softprob, reg:squarederror, reg:pseudohubererror, reg:tweedie), and FATE
where XGBoost has none. FATE's g and h of lse are twice these, its h of k classes half: the same trees with another
regularisation; its tweedie has no exponential of the score and is not a tweedie loss. First scores are 0 for classes
(XGBoost's base_score 0.5), else the mean label (its default; lae: the median; tweedie: the logarithm of the mean).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from federatedml.components.tree_params import SecureBoostParams
from federatedml.crypto.ring import Floats
from federatedml.errors import DataError

LEAST_HESSIAN = 1e-16  # XGBoost's, of cross entropies
MOST_EXPONENT = 80.0  # e^80 is still far inside a float


class Objective(Protocol):
    """A loss. Labels are (n,): 0 and 1, class numbers 0 to k-1, or numbers; scores (n, k), k = 1 but for classes."""

    @property
    def width(self) -> int:
        """k: scores of a row, and trees of a round."""
        ...

    def start(self, labels: Floats, weights: Floats) -> Floats:
        """(k,) first scores."""
        ...

    def derivatives(self, labels: Floats, scores: Floats) -> tuple[Floats, Floats]:
        """(n, k) first and (n, k) second derivatives by the scores, finite, the second above 0."""
        ...

    def losses(self, labels: Floats, scores: Floats) -> Floats:
        """(n,) loss of each row."""
        ...

    def predict(self, scores: Floats) -> Floats:
        """(n,) probability of 1 or predicted number, or (n, k) probabilities of classes."""
        ...


@dataclass(frozen=True)
class Logistic:
    """Cross entropy of two classes."""

    width: int = 1

    def start(self, labels: Floats, weights: Floats) -> Floats:
        """Even odds."""
        return np.zeros(1)

    def derivatives(self, labels: Floats, scores: Floats) -> tuple[Floats, Floats]:
        """See ``Objective``."""
        p = self.predict(scores)[:, None]
        return p - labels[:, None], np.maximum(p * (1 - p), LEAST_HESSIAN)

    def losses(self, labels: Floats, scores: Floats) -> Floats:
        """See ``Objective``."""
        return np.asarray(np.logaddexp(0.0, np.where(labels > 0, -scores[:, 0], scores[:, 0])))

    def predict(self, scores: Floats) -> Floats:
        """(n,) probability of 1; never overflows."""
        e = np.exp(-np.abs(scores[:, 0]))
        return np.asarray(np.where(scores[:, 0] >= 0, 1.0, e) / (1.0 + e))


@dataclass(frozen=True)
class Softmax:
    """Cross entropy of several classes: one score each."""

    width: int

    def start(self, labels: Floats, weights: Floats) -> Floats:
        """All alike."""
        return np.zeros(self.width)

    def derivatives(self, labels: Floats, scores: Floats) -> tuple[Floats, Floats]:
        """See ``Objective``."""
        p = self.predict(scores)
        return p - (labels[:, None] == np.arange(self.width)), np.maximum(2 * p * (1 - p), LEAST_HESSIAN)

    def losses(self, labels: Floats, scores: Floats) -> Floats:
        """See ``Objective``."""
        top = scores.max(axis=1)
        own = scores[np.arange(len(scores)), labels.astype(np.int64)]
        return np.asarray(np.log(np.exp(scores - top[:, None]).sum(axis=1)) + top - own)

    def predict(self, scores: Floats) -> Floats:
        """(n, k) probabilities."""
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(e / e.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Residual:
    """A loss of the difference of score and label, by FATE's name; ``scale`` is huber's delta and fair's c."""

    name: str
    scale: float = 1.0
    width: int = 1

    def start(self, labels: Floats, weights: Floats) -> Floats:
        """The mean; of lae the median."""
        if self.name == "lae":
            return np.array([_median(labels, weights)])
        return np.array([np.average(labels, weights=weights)])

    def derivatives(self, labels: Floats, scores: Floats) -> tuple[Floats, Floats]:
        """See ``Objective``."""
        d, c, ones = scores - labels[:, None], self.scale, np.ones_like(scores)
        match self.name:
            case "lae":
                return np.sign(d), ones
            case "huber":
                root = np.hypot(1.0, d / c)
                return d / root, root**-3
            case "fair":
                return c * d / (np.abs(d) + c), (c / (np.abs(d) + c)) ** 2
            case "log_cosh":
                g = np.tanh(d)
                return g, np.maximum((1 - g) * (1 + g), LEAST_HESSIAN)
            case _:
                return d, ones

    def losses(self, labels: Floats, scores: Floats) -> Floats:
        """See ``Objective``."""
        d, c = np.abs(scores[:, 0] - labels), self.scale
        match self.name:
            case "lae":
                return np.asarray(d)
            case "huber":
                return np.asarray(c**2 * (np.hypot(1.0, d / c) - 1))
            case "fair":
                return np.asarray(c * d - c**2 * np.log1p(d / c))
            case "log_cosh":
                return np.asarray(d + np.log1p(np.exp(-2 * d)) - np.log(2))
            case _:
                return np.asarray(d**2)

    def predict(self, scores: Floats) -> Floats:
        """(n,) the score itself."""
        return scores[:, 0]


@dataclass(frozen=True)
class Tweedie:
    """Tweedie's deviance with a logarithmic link; power 1 is that of Poisson's distribution."""

    power: float
    width: int = 1

    def start(self, labels: Floats, weights: Floats) -> Floats:
        """The logarithm of the mean.

        Raises:
            DataError: a label is negative, or none of a row that counts is above 0.
        """
        if labels.min(initial=0) < 0 or not (labels * weights).any():
            raise DataError("FED-820", "objective tweedie has labels below 0, or none above", "all >= 0, one above")
        return np.array([np.log(np.average(labels, weights=weights))])

    def derivatives(self, labels: Floats, scores: Floats) -> tuple[Floats, Floats]:
        """See ``Objective``."""
        s, y, r = np.clip(scores, -MOST_EXPONENT, MOST_EXPONENT), labels[:, None], self.power
        falling, rising = y * np.exp((1 - r) * s), np.exp((2 - r) * s)
        return rising - falling, (2 - r) * rising - (1 - r) * falling

    def losses(self, labels: Floats, scores: Floats) -> Floats:
        """See ``Objective``."""
        s, r = np.clip(scores[:, 0], -MOST_EXPONENT, MOST_EXPONENT), self.power
        if r == 1:
            return np.asarray(np.exp(s) - labels * s)
        return np.asarray(np.exp((2 - r) * s) / (2 - r) - labels * np.exp((1 - r) * s) / (1 - r))

    def predict(self, scores: Floats) -> Floats:
        """(n,) e^s."""
        return np.asarray(np.exp(np.clip(scores[:, 0], -MOST_EXPONENT, MOST_EXPONENT)))


def _median(labels: Floats, weights: Floats) -> float:
    """Of rows that are repeated as often as their weights say."""
    order = np.argsort(labels, kind="stable")
    below = np.cumsum(weights[order])
    middle = [np.searchsorted(below, below[-1] / 2, side) for side in ("left", "right")]
    return float(labels[order[middle]].mean())


def objective_of(p: SecureBoostParams, classes: int) -> Objective:
    """The loss that the parameters name.

    Args:
        classes: distinct labels, if ``task_type`` is classification.
    """
    name = p.objective
    if name == "cross_entropy":
        return Logistic() if classes <= 2 else Softmax(classes)
    scale = (p.objective_param.params or [1.0])[0]
    return Tweedie(scale) if name == "tweedie" else Residual(name, scale if name in ("huber", "fair") else 1.0)
