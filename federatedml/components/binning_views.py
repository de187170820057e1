"""What people see of bins: all bins with their rates, a line per column, and the IVs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from airfed_proto.v1 import features_pb2 as pb
from federatedml.views import Curve, Grid, Series, View

DIGITS = 6
Columns = Mapping[str, pb.IVParam]


def views(columns: Columns) -> list[View]:
    """Of the columns of one party, or at the guest of all."""
    if not columns:
        return []
    if not any(len(found.woe_array) for found in columns.values()):
        return [Grid("bins", "Bins", ("column", "bin", "up to"), [row[:3] for row in _bins(columns)])]
    heads = ("column", "bin", "up to", "events", "others", "event rate", "other rate", "WOE", "IV")
    summary = [
        (name, found.bin_nums, round(found.iv, DIGITS), found.is_woe_monotonic)
        for name, found in sorted(columns.items(), key=lambda column: -column[1].iv)
    ]
    ranks = [float(rank) for rank in range(1, len(summary) + 1)]
    line = Series("iv", ranks, [iv for _, _, iv, _ in summary])
    return [
        Grid("binning", "Columns by IV", ("column", "bins", "IV", "WOE is monotonic"), summary),
        Grid("bins", "Bins", heads, list(_bins(columns))),
        Curve("iv", "IV of the columns", "rank", "IV", [line]),
    ]


def _bins(columns: Columns) -> Iterator[tuple[str | float | int | None, ...]]:
    """A row per bin; a host's split points are not known to the guest."""
    for name, found in columns.items():
        for number in range(found.bin_nums):
            point = float(f"{found.split_points[number]:.6g}") if number < len(found.split_points) else None
            missing = found.has_missing_bin and number == found.bin_nums - 1
            yield (name, number, "missing" if missing else point, *_numbers(found, number))


def _numbers(found: pb.IVParam, number: int) -> Iterator[float | int]:
    if len(found.woe_array):
        yield found.event_count_array[number]
        yield found.non_event_count_array[number]
        for values in (found.event_rate_array, found.non_event_rate_array, found.woe_array, found.iv_array):
            yield round(values[number], DIGITS)
