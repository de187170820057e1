"""What a training under protocol ``shared`` costs at least: its unit operations times their cost in this run."""

from __future__ import annotations

from benchmarks.unit_cost import cost
from federatedml.components.lr_params import LogisticParams
from federatedml.components.lr_plan import training_plan
from federatedml.crypto.series_kernels import encoded_waves, shares_of
from federatedml.crypto.stream import Stream
from federatedml.federation.party import Member


def floor(p: LogisticParams, rows: int, columns: dict[Member, int]) -> float:
    """CPU seconds of all parties for guest and one host without L2 and momentum.

    Per row and epoch: sines times shares at two parties, sines at the dealer, every uniform word drawn once by its
    party and once by the dealer, and six products with a weight or residual per column.
    """
    plan = training_plan(p, rows, columns)
    n, step, stream = max(plan.batches), plan.first_step(0), Stream(bytes(32), b"floor")
    terms, width, encoding = plan.encoding.series.terms + 1, plan.width, plan.encoding
    delta = stream.words("delta", 0, n)
    dealt = stream.words("dealt", 0, 2 * terms * n).reshape(2, terms, n)
    factors, matrix = encoding.factors(step, step), stream.words("matrix", 0, n * width).reshape(n, width)
    word = cost(lambda: stream.words("words", 0, 44 * n)) / 44
    row = 2 * cost(lambda: shares_of(delta, encoding.turn, factors, *dealt))
    row += cost(lambda: encoded_waves(delta, encoding.turn, 20)) + 2 * (2 * terms + 10) * word
    row += 6 * cost(lambda: matrix @ delta[:width])
    return rows * (p.max_iter * row + 2 * width * word) / n
