"""The host's features by sample id: a table of its catalogue, read again when its file changes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.table import Table
from federatedml.errors import FedError
from serving.retcode import Retcode, ScoreError

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Indexed:
    stamp: tuple[int, int, int]  # inode, size, time of change: what a new file differs in
    table: Table
    positions: Mapping[str, int]


class FeatureTable:
    """Looks ids up in one table; ``name`` None: this party has none and answers no guest."""

    def __init__(self, catalogue: Catalogue, name: TableName | None) -> None:
        self.catalogue, self.name = catalogue, name
        self.problem = "" if name else "no feature table is configured at this host"
        self._indexed: _Indexed | None = None

    @property
    def ready(self) -> bool:
        """Whether there are rows to look up."""
        return self._indexed is not None

    def refresh(self) -> None:
        """Read the table if its file is new; a table that cannot be read leaves the one before in place."""
        if self.name is None:
            return
        try:
            stat = self.catalogue.source(self.name).file.stat()
            stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if self._indexed and self._indexed.stamp == stamp:
                return
            table = self.catalogue.read(self.name)
        except (FedError, OSError) as error:
            self._failed(f"feature table {self.name} cannot be read", error)
            return
        self._indexed = _Indexed(stamp, table, {str(sample): at for at, sample in enumerate(table.ids)})
        self.problem = ""
        LOG.info("event=features_loaded table=%s rows=%d", self.name, len(table))

    def _failed(self, problem: str, error: Exception) -> None:
        if self.problem != problem:
            LOG.error("event=features_failed table=%s reason=%s", self.name, error)
        self.problem = problem

    def lookup(self, ids: Sequence[str]) -> tuple[Table, list[int]]:
        """Rows of the known ids, in the order asked, and the indices of the unknown ones."""
        indexed = self._indexed
        if indexed is None:
            raise ScoreError(Retcode.FEATURE_ADAPTOR_ERROR, self.problem or "the feature table is being read")
        found = [indexed.positions.get(sample, -1) for sample in ids]
        known = np.array([at for at in found if at >= 0], np.int64)
        return indexed.table.take(known), [index for index, at in enumerate(found) if at < 0]
