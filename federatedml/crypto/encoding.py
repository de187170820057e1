"""How many bits a shared linear model spends on what; a pure function of public numbers, the same at all parties."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from federatedml.crypto.series import Series, series
from federatedml.crypto.series_kernels import Factors, Turn
from federatedml.errors import DataError

WEIGHT_BITS = 18  # fraction bits of weights
SINE_BITS = 20  # of dealt sines and cosines
GUARD = 1024  # half-period of the guard
RANGE_BITS = 11  # the longest period is 2 * GUARD = 2^11
MAX_ROWS = 2**24  # sums over an epoch keep at least 11 bits of fraction (with weights of rows 2^20, and 5)
WEIGHTED_ROWS = 2**20
SCALE_BITS = 14  # of fraction of weights of rows
LOSS_SCALE_BITS = 8  # of the same in the loss
MAX_SCALE = 64  # a weight of a row
MEAN_SCALE = 4  # of the weights of all rows, at most


@dataclass(frozen=True)
class Encoding:
    """Bits of one training.

    A linear predictor z has ``z_bits`` of fraction and only counts modulo 2^``angle_bits``, which the longest period
    divides. Residuals carry the step (rate / rows of the batch) and have ``residual_bits``; gradients drop
    ``gradient_bits``, so weights live modulo 2^(64 - gradient_bits), which still covers ``angle_bits``.
    """

    series: Series
    feature_bits: int
    rows: int
    weighted: bool = False

    @property
    def z_bits(self) -> int:
        """Fraction bits of features times weights."""
        return self.feature_bits + WEIGHT_BITS

    @property
    def angle_bits(self) -> int:
        """Bits of z that are ever looked at."""
        return RANGE_BITS + self.z_bits

    @property
    def residual_bits(self) -> int:
        """Fraction bits of step * residual."""
        return 64 - self.angle_bits + WEIGHT_BITS - self.feature_bits

    @property
    def gradient_bits(self) -> int:
        """Bits that a gradient drops to become a weight."""
        return self.residual_bits + self.feature_bits - WEIGHT_BITS

    @property
    def doublings(self) -> int:
        """Two to this is the number of periods of the series in one of the guard."""
        return int(math.log2(GUARD / self.series.half))

    @property
    def turn(self) -> Turn:
        """How words of z are the angles of the series' multiples and, last, of the guard."""
        return Turn(self.angle_bits, self.doublings, self.series.terms)

    def factors(self, step: float, first_step: float) -> Factors:
        """Public factors for a step: of the sines and cosines of opened angles.

        Args:
            first_step: the largest of the training, which decides the bits.
        """
        series, loss = self.series, 2.0**self.loss_bits
        sigmoid = series.sigmoid[:, 0] * step * 2.0 ** self.factor_bits(first_step)
        return Factors(sigmoid, series.linear[:, 0] * loss, series.even[:, 0] * loss, 2.0**self.guard_bits)

    @property
    def loss_bits(self) -> int:
        """Fraction bits of the public factors of the loss: a sum over all rows stays below 2^62."""
        scale = MEAN_SCALE.bit_length() - 1 if self.weighted else 0
        return 62 - SINE_BITS - 7 - (self.rows - 1).bit_length() - scale - self.label_bits

    @property
    def guard_bits(self) -> int:
        """Fraction bits of the public factors of the guard's cosines, the sum of which stays below 2^62 too."""
        return min(20, 62 - SINE_BITS - (self.rows - 1).bit_length())

    @property
    def label_bits(self) -> int:
        """Fraction bits of what the labels are in the loss: 1 - 2 y, times the weight of the row if there is one."""
        return LOSS_SCALE_BITS if self.weighted else 0

    @property
    def scale_bits(self) -> int:
        """Fraction bits of weights of rows."""
        return SCALE_BITS if self.weighted else 0

    def factor_bits(self, step: float) -> int:
        """Fraction bits of the public factors of the residual: at most 2^34, so that a residual is below 2^54.

        With weights of rows 2^21, so that the product with one (2^20) is below 2^61. No logarithm: libraries may differ
        in its last digit, and then guest and host would in their bits.
        """
        mantissa, exponent = math.frexp(step)
        return (21 if self.weighted else 34) - exponent + (mantissa == 0.5)

    def dropped_bits(self, step: float) -> int:
        """Bits that a residual drops after the multiplication by dealt sines."""
        return self.factor_bits(step) + SINE_BITS + self.scale_bits - self.residual_bits


def choose(rate: float, rows: int, batch: int, wide: bool, weighted: bool = False) -> Encoding:
    """The encoding for a (least) learning rate, table and batch.

    Args:
        wide: whether the linear predictor may go far: the series of the larger range.
        weighted: whether rows have weights.

    Raises:
        DataError: the table is too large, or a step is too small for the fixed-point numbers.
    """
    most = WEIGHTED_ROWS if weighted else MAX_ROWS
    if rows > most:
        raise DataError("FED-250", f"{rows} rows are more than protocol 'shared' takes", f"at most {most}")
    chosen = Encoding(series(128, 32) if wide else series(64, 16), 14, rows, weighted)
    if rate / batch * 2.0**chosen.residual_bits < 256:
        chosen = replace(chosen, feature_bits=12)
    if rate / batch * 2.0**chosen.residual_bits < 16:
        raise DataError(
            "FED-250",
            f"learning_rate {rate} over batches of {batch} rows is too small a step for protocol 'shared'",
            f"learning_rate / rows must be at least 2^{4 - chosen.residual_bits}: take smaller batches",
        )
    return chosen
