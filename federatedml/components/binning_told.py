"""What a host tells the guest of its bins, and the account of what the guest learns by their sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from federatedml.components.binning_bins import ColumnBins, Integers
from federatedml.crypto.candidates import MOST_BINS
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.budget import accounts
from federatedml.federation.party import Member, Role
from federatedml.federation.wire import Array

BIN_SUMS = "bin_sums"
MOST_CELLS = 2**22  # bins of all columns of a host: what others hold in memory, and deal for
MOST_WORDS = (
    2**35
)  # rows times these: words that host, guest and dealer draw one by one (17 minutes), and 128 GiB to send
UNKNOWN = ""  # table of all data of which it is not known


@dataclass(frozen=True)
class ToldBins:
    """A host's bins as the guest knows them.

    Attributes:
        columns: (columns,) positions among the host's features, ascending.
        counts: rows of each bin, per column.
        missing: (columns,) whether the last bin is that of missing values.
    """

    columns: Sequence[int]
    counts: Sequence[Integers]
    missing: Sequence[bool]

    @property
    def cells(self) -> int:
        """Bins of all columns."""
        return sum(map(len, self.counts))

    def split(self, sums: Integers) -> list[Integers]:
        """Numbers per bin, column by column, of those of all columns one after the other."""
        return _split(sums, [len(counts) for counts in self.counts])


def _split(numbers: Integers, sizes: Sequence[int]) -> list[Integers]:
    return np.split(numbers, np.cumsum(sizes)[:-1]) if sizes else []


def message(header: Sequence[str], bins: Mapping[str, ColumnBins]) -> dict[str, Array]:
    """What a host sends.

    Raises:
        DataError: FED-835, it has more bins than others take.
    """
    if (cells := sum(len(found.counts) for found in bins.values())) > MOST_CELLS:
        raise DataError("FED-835", f"{cells} bins of all columns, at most {MOST_CELLS}", "fewer columns, or bin_num")
    counts = [found.counts for found in bins.values()]
    return {
        "columns": np.array([header.index(name) for name in bins], "<u4"),
        "sizes": np.array([len(rows) for rows in counts], "<u4"),
        "missing": np.array([found.has_missing for found in bins.values()], "|u1"),
        "counts": np.concatenate([np.zeros(0, "<i8"), *counts]).astype("<i8"),
    }


def check_work(rows: int, cells: int) -> None:
    """Before words for all rows and bins are dealt.

    Raises:
        DataError: FED-835, too many.
    """
    if rows * cells > MOST_WORDS:
        found = f"{rows} rows by {cells} bins of all columns, at most {MOST_WORDS} in all"
        raise DataError("FED-835", found, "fewer columns, or bin_num")


def told_bins(told: Mapping[str, Array], rows: int, host: Member) -> ToldBins:
    """The bins of a hostile message.

    Raises:
        ProtocolError: FED-833, numbers that no table of ``rows`` rows has.
    """
    columns, sizes, missing, counts = (told[name].tolist() for name in ("columns", "sizes", "missing", "counts"))
    as_many = len(columns) == len(sizes) == len(missing) and sum(sizes) == len(counts) <= MOST_CELLS
    ordered = all(a < b for a, b in pairwise(columns))
    known = all(flag in (0, 1) and flag < size <= MOST_BINS for flag, size in zip(missing, sizes, strict=False))
    if not (as_many and ordered and known):
        raise ProtocolError("FED-833", f"{host} tells bins of {len(columns)} columns that do not fit together")
    found = ToldBins(columns, _split(np.array(counts, np.int64), sizes), [bool(m) for m in missing])
    if any((rows_of < 0).any() or (rows_of > rows).any() or rows_of.sum() != rows for rows_of in found.counts):
        raise ProtocolError("FED-833", f"{host} tells bins that do not hold the table's {rows} rows")
    return found


def checked_events(sums: Array, told: ToldBins, events: int, host: Member) -> list[Integers]:
    """Events of each bin, per column, of a host's hostile sums.

    Raises:
        ProtocolError: FED-834, they cannot be what they should be: each at most the bin's rows, in sum all events.
    """
    found = told.split(np.rint(sums).astype(np.int64))
    good = np.array_equal(sums, np.rint(sums)) and all(
        (of_bins >= 0).all() and (of_bins <= rows).all() and of_bins.sum() == events
        for of_bins, rows in zip(found, told.counts, strict=True)
    )
    if not good:
        raise ProtocolError("FED-834", f"the sums of {host} are not events of its bins")
    return found


def count_sums(box: Box, rows: int, bits: int) -> None:
    """Before a host tells sums: the guest learns one number per bin, of at most ``bits`` bits, whatever it sealed.

    A guest that asks with vectors of its choice knows which rows are in a bin after rows / bits jobs. So bits per bin
    are counted over jobs, and half as many as rows are the limit, unless the policy says otherwise.

    Raises:
        PolicyError: the sum would pass a limit.
    """
    for subject in accounts(box.tables or [UNKNOWN]):
        for member in box.members:
            if member.role is Role.GUEST:
                box.budget.spend(BIN_SUMS, member.party, subject, bits, rows // 2)
