"""How a measurement grows with its size: the exponent over the whole range, and over the last factor of ten."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from benchmarks.figure import Figure

LIMIT = 1.05


def exponents(name: str, values: Mapping[int, float]) -> Iterator[Figure]:
    """Of values by size, in ascending order of sizes, two at least; one figure if the range is no longer than ten."""
    sizes = list(values)
    last = sizes[-1]
    decade = max((size for size in sizes if 10 * size <= last), default=sizes[0])
    for first in dict.fromkeys((sizes[0], decade)):
        exponent = math.log(values[last] / values[first]) / math.log(last / first)
        yield Figure(f"{name}: exponent, {first:,} to {last:,}", exponent, "", f"limit {LIMIT:g}")
