"""Sums of encrypted rows per feature and bin: one multiplication modulo n^2 for each row and group of features.

Three ways to multiply less, all exact:

* features with few bins are added up together, in one table with a cell for each combination of their bins, which is
  then summed out for each feature: worth it where rows are many more than cells;
* the fullest cell of a table is the total less all others: rows whose value is missing cost nothing;
* of two children of a node the larger is the parent less the smaller (``Sums.minus``).

The work is cut by features, each worker keeps the ciphertexts.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from federatedml.compute.engine import Compute, Partitions
from federatedml.compute.names import lock_free
from federatedml.crypto.candidates import BinTable, Candidates
from federatedml.crypto.codec import Integers
from federatedml.crypto.paillier.keys import PublicKey
from federatedml.crypto.paillier.montgomery import Modulus, Numbers
from federatedml.crypto.paillier.packing import Packing
from federatedml.crypto.paillier.parts import packed, sizes, unpacked
from federatedml.crypto.paillier.slots import side_by_side
from federatedml.crypto.paillier.vectors import Encrypted
from federatedml.crypto.vector import Reply
from federatedml.errors import ProtocolError

Cells = list[mpz]
INVERSE = 25  # an inverse costs about as much as this many products
MOST_TOGETHER = 12  # features in one table


@dataclass(frozen=True)
class Part:
    """What one worker keeps: some features and all ciphertexts."""

    numbers: Numbers
    bins: NDArray[np.uint16]
    counts: tuple[int, ...]
    modulus: Modulus


@dataclass(frozen=True)
class Sums:
    """Encrypted sums of packed rows, not fresh: per (feature, bin), or per split candidate.

    Attributes:
        rows: the packed rows they are sums of.
        cells: ciphertexts.
        cumulated: whether they are sums per candidate.
    """

    rows: Rows
    cells: Cells
    cumulated: bool = False

    def __len__(self) -> int:
        return len(self.cells)

    def minus(self, other: Sums) -> Sums:
        """Sums over the rows that are in these and not in the others (which must be a part of them)."""
        if other.rows is not self.rows or len(other) != len(self) or other.cumulated != self.cumulated:
            raise ProtocolError("FED-707", "sums of other rows, or of another length, cannot be taken off")
        n2 = self.rows.packing.public.n2
        return replace(self, cells=[a * gmpy2.invert(b, n2) % n2 for a, b in zip(self.cells, other.cells, strict=True)])

    def candidates(self) -> Sums:
        """Sums over the rows that go left at each split candidate of the table."""
        if self.cumulated:
            raise ProtocolError("FED-707", "sums are cumulated once")
        n2, table = self.rows.packing.public.n2, self.rows.table
        cuts = _cuts(self.cells, table.candidates, n2)
        first, second = (indices.tolist() for indices in table.candidates.parts)
        found = [cuts[a] if b < 0 else cuts[a] * cuts[b] % n2 for a, b in zip(first, second, strict=True)]
        return replace(self, cells=found, cumulated=True)

    def take(self, indices: Integers) -> Sums:
        """The sums at these indices, in this order: a permutation, or candidates with enough rows."""
        return replace(self, cells=[self.cells[i] for i in indices.tolist()])

    def reveal(self) -> Reply:
        """For the owner of the key, who learns the sums (``Packing.open``) and nothing that stands above them.

        As many sums as fit share a ciphertext. What is left of the last one is filled with random numbers, so that it
        is flooded from its own sums up, as all are (see ``Encrypted.reveal``).
        """
        packing, compute = self.rows.packing, self.rows.compute
        public, each = packing.public, packing.each
        fill = [1 + public.n * secrets.randbits(packing.bits) for _ in range(-len(self) % each)]
        cells, n = self.cells + fill, public.to_bytes()
        parts, at = [], 0
        for size in sizes(len(cells) // each, compute.workers, 1):
            body = packed(cells[at * each : (at + size) * each], public.width)
            parts.append((body, packing.bits, n))
            at += size
        joined = [c for part in compute.map(_side_by_side, parts) for c in unpacked(part, public.width)]
        bound = (1 << (each * packing.bits - 1)) - 1
        return Encrypted(public, self.rows.vector.noise, joined, packing.codec.scale_bits, bound).reveal()


def joined(parts: Sequence[Sums]) -> Sums:
    """The sums of several nodes one after the other, at least one, to be revealed together."""
    first = parts[0]
    if any(part.rows is not first.rows or part.cumulated != first.cumulated for part in parts):
        raise ProtocolError("FED-707", "sums of other rows cannot be told together")
    return replace(first, cells=[cell for part in parts for cell in part.cells])


class Rows:
    """Packed rows at the workers: each has all ciphertexts (about 600 bytes a row at 2048 bit) and some features.

    Call ``close`` when the tree is grown.
    """

    def __init__(self, table: BinTable, vector: Encrypted, packing: Packing, compute: Compute) -> None:
        if len(vector) != table.rows:
            raise ProtocolError("FED-707", f"{len(vector)} encrypted rows for a table of {table.rows}")
        self.table, self.vector, self.packing, self.compute = table, vector, packing, compute
        self._order, self._parts = _held(table, vector, compute)

    def sums(self, members: Integers | None = None) -> Sums:
        """Sums of some rows (indices; None: all) per feature and bin, features one after the other."""
        return Sums(
            self, _in_order(self._parts.map(_sums, members), self._order, self.table.counts, self.packing.public)
        )

    def close(self) -> None:
        """Let the workers forget the rows."""
        self._parts.close()


@dataclass(frozen=True)
class Histogram:
    """The bins of a table, planned for one key. A ``LinearMap``."""

    compute: Compute
    table: BinTable

    @property
    def inputs(self) -> int:
        """Rows."""
        return self.table.rows

    @property
    def outputs(self) -> int:
        """Features' bins, one after the other."""
        return self.table.cells

    def setup_message(self) -> bytes:
        """Nothing: a public key is enough."""
        return b""

    def apply(self, vector: Encrypted) -> Encrypted:
        """Sums of a vector per feature and bin."""
        if len(vector) != self.inputs:
            raise ProtocolError("FED-707", f"a vector of {len(vector)} elements for a table of {self.inputs} rows")
        order, parts = _held(self.table, vector, self.compute)
        cells = _in_order(parts.map(_sums, None), order, self.table.counts, vector.public)
        parts.close()
        return replace(vector, elements=cells, bound=vector.bound * max(self.inputs, 1))

    def rows(self, vector: Encrypted, packing: Packing) -> Rows:
        """Packed rows, ready for the sums of many nodes."""
        return Rows(self.table, vector, packing, self.compute)


def _cuts(cells: Cells, candidates: Candidates, modulus: mpz) -> Cells:
    """Running products of each feature's bins but the last, which stands for itself if it is that of missing values."""
    at, found = 0, list[mpz]()
    for count, missing in zip(candidates.counts, candidates.missing, strict=True):
        running = mpz(1)
        for cell in cells[at : at + count - 1]:
            running = running * cell % modulus
            found.append(running)
        if missing:
            found.append(cells[at + count - 1])
        at += count
    return found


def groups(counts: Sequence[int], rows: int) -> list[list[int]]:
    """Features that are added up together, for which products are fewest.

    A table of several features costs one product a row, and for each of its features one for each cell that has rows.
    Features with similar counts go together: the best cut of their ascending order into tables.
    """
    order = sorted(range(len(counts)), key=lambda f: counts[f])
    least, cuts = [0], [0]
    for end in range(1, len(order) + 1):
        cells, best = 1, (0, end)
        for start in range(end - 1, max(end - MOST_TOGETHER, 0) - 1, -1):
            cells *= counts[order[start]]
            together = end - start
            cost = least[start] + rows + (together * min(cells, rows) if together > 1 else 0)
            if together == 1 or cost < best[0]:
                best = cost, start
        least.append(best[0])
        cuts.append(best[1])
    found, end = list[list[int]](), len(order)
    while end:
        found.append(order[cuts[end] : end])
        end = cuts[end]
    return found[::-1]


def _held(table: BinTable, vector: Encrypted, compute: Compute) -> tuple[list[int], Partitions]:
    """The features in the order of the parts, and the parts: similar counts stand together, every worker has of all."""
    workers = max(1, min(compute.workers, len(table.counts)))
    ascending = sorted(range(len(table.counts)), key=lambda f: table.counts[f])
    shares = [ascending[worker::workers] for worker in range(workers)]
    body, n = packed(vector.elements, vector.public.width), vector.public.to_bytes()
    loads = [(body, table.bins[share], tuple(table.counts[f] for f in share), n) for share in shares]
    return [feature for share in shares for feature in share], compute.hold(_load, loads)


def _in_order(parts: list[bytes], order: list[int], counts: Sequence[int], public: PublicKey) -> Cells:
    """Cells of all features in the table's order."""
    cells = iter([c for part in parts for c in unpacked(part, public.width)])
    by_feature = {feature: [next(cells) for _ in range(counts[feature])] for feature in order}
    return [cell for feature in range(len(counts)) for cell in by_feature[feature]]


@lock_free
def _load(load: tuple[bytes, NDArray[np.uint16], tuple[int, ...], bytes]) -> Part:
    body, bins, counts, n = load
    modulus = Modulus(PublicKey(mpz.from_bytes(n, "little")).n2)
    return Part(modulus.entered(modulus.read(body)), bins.astype(np.uint16), counts, modulus)


@lock_free
def _side_by_side(part: tuple[bytes, int, bytes]) -> bytes:
    """Kernel: full ciphertexts of several sums each."""
    body, bits, n = part
    public = PublicKey(mpz.from_bytes(n, "little"))
    return packed(side_by_side(public, unpacked(body, public.width), bits), public.width)


@lock_free
def _sums(part: Part, members: Integers | None) -> bytes:
    """Kernel: the cells of the part's features, one feature after the other."""
    numbers, bins, m = part.numbers, part.bins, part.modulus
    if members is not None:
        numbers, bins = numbers[members], bins[:, members]
    found: dict[int, Numbers] = {}
    total: Numbers | None = None
    for group in groups(part.counts, len(numbers)):
        tables = group_sums(numbers, bins[group], [part.counts[feature] for feature in group], m, total)
        found |= dict(zip(group, tables, strict=True))
        if total is None:
            total = _total(m, tables[0])
    return m.leave(np.concatenate([numbers[:0], *(found[feature] for feature in range(len(part.counts)))]))


def group_sums(
    numbers: Numbers, bins: NDArray[np.uint16], counts: Sequence[int], m: Modulus, total: Numbers | None
) -> list[Numbers]:
    """Cells (count, width) of some features that are added up together, all in Montgomery form.

    Args:
        numbers: (rows, width) ciphertexts.
        bins: (features, rows).
        counts: (features,).
        total: (1, width), the product of all ciphertexts, if it is known.
    """
    key = np.zeros(bins.shape[1], np.int64)
    for row, count in zip(bins, counts, strict=True):
        key = key * count + row
    values, at, rows = np.unique(key, return_inverse=True, return_counts=True)
    fullest = int(np.argmax(rows)) if len(rows) else -1
    if total is None or fullest < 0 or rows[fullest] <= len(rows) + INVERSE:
        return _summed_out(values, m.gathered(numbers, at, len(values))[0], counts, m)
    cells, used = m.gathered(numbers, np.where(at == fullest, -1, at), len(values))
    cells[fullest] = m.paired(total, _inverse(m, _total(m, cells[used])))[0]
    return _summed_out(values, cells, counts, m)


def _summed_out(values: Integers, cells: Numbers, counts: Sequence[int], m: Modulus) -> list[Numbers]:
    """For each feature the products over all combinations with the same bin of it."""
    tables: list[Numbers] = []
    for count in reversed(counts):
        table, used = m.gathered(cells, values % count, count)
        table[~used] = m.one
        tables.append(table)
        values = values // count
    return tables[::-1]


def _total(m: Modulus, cells: Numbers) -> Numbers:
    """(1, width) the product of all."""
    product, used = m.gathered(cells, np.zeros(len(cells), np.int64), 1)
    product[~used] = m.one
    return product


def _inverse(m: Modulus, numbers: Numbers) -> Numbers:
    return m.entered(m.plain([gmpy2.invert(number, m.value) for number in m.left(numbers)]))
