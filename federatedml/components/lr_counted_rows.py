"""Whether the rows of a training are as many as they look: at the guest, who alone knows labels and weights of rows.

What ``lr_batches`` and ``lr_plan`` ask of numbers of rows is asked here of what rows count as, by ``effective_rows``:
rows of weight 0, or next to nothing, or beside one that weighs very much, are no cover. A dozen such rows are found
among hundreds, and their labels read, by whoever looks for the sparsest residuals that fit.

The rows of a class are such a set, too: from first weights of zero, the sum of a column over the rows of one class is
a known part of its total, less its gradient. A set of m rows (``support``, if they have weights) is the sparsest that
fits k sums, and can be found by that, only if k > m. So of each class there must be a row for each column of a host:
where two classes are as frequent, that is the limit of two rows for each column (beyond which convex programmes find
zeros and ones: Donoho and Tanner, Discrete Comput. Geom. 2010), and a fifth of what a batch has.

To hosts, ``class_weight`` makes no difference: residuals that are one of two known numbers stay so. To the guest, who
reads gradients in the hosts' predictors, all weights count.

Errors tell peers limits that they know; what was found stays at home.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from federatedml.components.lr_params import LogisticParams
from federatedml.components.lr_plan import GOOD_ROWS, LEAST_ROWS
from federatedml.components.lr_row_weights import effective_rows, row_weights, sample_weights, support
from federatedml.crypto.ring import Floats
from federatedml.crypto.shared_linear import Answers, ids_digest
from federatedml.data.table import Table
from federatedml.errors import DataError
from federatedml.federation.party import Member, Role
from federatedml.federation.wire import Array

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Known(Answers):
    """What the guest alone knows of its rows.

    Attributes:
        samples: (n,) the part of their weights that is not of classes.
        copies: rows that may be of one sample.
        group: names the rows of this class of one-vs-rest, for sums over jobs; empty: they are the table's.
    """

    samples: Floats
    copies: int = 1
    group: str = ""

    @classmethod
    def of(cls, p: LogisticParams, table: Table, labels: Floats) -> Known:
        """``DataError`` as ``row_weights``."""
        several = p.one_vs_rest_param.need_one_vs_rest and not p.in_fold
        group = ids_digest(sorted(table.ids[labels > 0].tolist())).hex() if several else ""
        return cls(labels, row_weights(p, table, labels), sample_weights(p, table), table.copies, group)

    def at(self, rows: Array | slice) -> Known:
        """Of these rows."""
        return replace(self, labels=self.labels[rows], scales=self.scales[rows], samples=self.samples[rows])

    def cut(self, sizes: Sequence[int]) -> list[Known]:
        """Of each batch."""
        ends = np.cumsum(sizes).tolist()
        return [self.at(slice(end - size, end)) for end, size in zip(ends, sizes, strict=True)]


@dataclass(frozen=True)
class Counted:
    """What rows count as.

    Attributes:
        of_host, of_guest: where a host, or the guest, reads equations.
        of_class: of the class that has fewer.
        group: as of ``Known``.
    """

    of_host: float
    of_guest: float
    of_class: float
    group: str = ""

    @classmethod
    def of(cls, known: Known) -> Counted:
        """Of all these rows; repeated ones are no cover for each other."""
        of_class = min(support(known.samples[known.labels == value]) for value in (0, 1))
        of_host, of_guest = effective_rows(known.samples), effective_rows(known.scales)
        return cls(of_host / known.copies, of_guest / known.copies, of_class / known.copies, known.group)

    @property
    def most(self) -> int:
        """How many weights of a host all models on these rows may tell; of a group of them, see ``of_class``."""
        return int(self.of_host / LEAST_ROWS if self.group else min(self.of_host / LEAST_ROWS, self.of_class))


def check_batches(p: LogisticParams, sizes: Sequence[int], columns: Mapping[Member, int], known: Known) -> None:
    """Before gradients of batches are opened.

    Args:
        columns: weights of every party.
        known: of rows in the order of the batches.

    Raises:
        DataError: ``FED-938``, by their weights rows of some batch are too few; ``FED-939``, those of a class.
    """
    asked = f"in each batch: batch_rows_per_column is {p.batch_rows_per_column:g}; a larger batch_size"
    for batch in known.cut(sizes):
        found = Counted.of(batch)
        for member, count in _widest_first(columns):
            _check(found, p.batch_rows_per_column, member, count, asked)
            _check_class(found, p.batch_rows_per_column / GOOD_ROWS, member, count, asked)


def check_table(sizes: Sequence[int], columns: Mapping[Member, int], known: Known) -> None:
    """Before released weights are all that tells: arguments and errors as ``check_batches``.

    A step is the mean of its batch: rows of a smaller one weigh more.
    """
    parts = np.repeat(1 / np.array(sizes), sizes)
    found = Counted.of(replace(known, scales=known.scales * parts, samples=known.samples * parts))
    for member, count in _widest_first(columns):
        _check(found, LEAST_ROWS, member, count, "in the table: more rows")
        _check_class(found, 1, member, count, "in the table: more rows")
        if _rows(found, member) < GOOD_ROWS * count:
            log.warning("the %s has %d weights for rows that count as %.1f", member.role, count, _rows(found, member))


def _widest_first(columns: Mapping[Member, int]) -> list[tuple[Member, int]]:
    return sorted(columns.items(), key=lambda item: -item[1])


def _rows(found: Counted, member: Member) -> float:
    return found.of_guest if member.role is Role.GUEST else found.of_host


def _check(found: Counted, per_column: float, member: Member, columns: int, asked: str) -> None:
    least, rows = per_column * columns, _rows(found, member)
    if rows < least:
        raise DataError(
            "FED-938",
            f"HeteroLR at the guest: by their weights, rows count as fewer than {least:g} for the {columns} columns "
            f"of {member}, which would learn what is known of those that weigh most",
            f"sample_weight_name, class_weight: sum w^2 / max w^2 is {rows:.1f}, allowed: at least {least:g} {asked}, "
            "evener weights, or fewer columns",
        )


def _check_class(found: Counted, per_column: float, member: Member, columns: int, asked: str) -> None:
    least = per_column * columns
    if member.role is Role.HOST and found.of_class < least:
        raise DataError(
            "FED-939",
            f"HeteroLR at the guest: the rows of a class count as fewer than {least:g} for the {columns} columns "
            f"of {member}, which could find out which rows they are",
            f"label: found {found.of_class:.1f}, allowed: at least {least:g} of each class {asked}, or fewer columns",
        )
