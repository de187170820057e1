"""Airflow's DAG processor, in which a change costs the same however many DAGs there are.

At every new version of the bundle Airflow loads its whole table of DAGs to find those whose file is gone: here only
when a file is gone, and at the start. It asks for the times of all files whenever a process that parses one says
something: here when there may be something new, and once a second.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Set
from types import MappingProxyType

from airflow.__main__ import main
from airflow.cli.commands import dag_processor_command
from airflow.dag_processing.manager import DagFileInfo, DagFileProcessorManager

LOOK_S = 1.0  # a file that changed while it was parsed, or that has not been parsed for long, waits that much longer


class DropInProcessor(DagFileProcessorManager):
    """Parses what changes, as Airflow's own does."""

    _present: Mapping[str, Set[DagFileInfo]] = MappingProxyType({})
    _looked: tuple[float, Mapping[str, str | None], Set[DagFileInfo]] = (
        float("-inf"),
        MappingProxyType({}),
        frozenset(),
    )

    def deactivate_deleted_dags(self, bundle_name: str, present: set[DagFileInfo]) -> None:
        """Deactivate the DAGs of a bundle whose file is not ``present``, if one is gone since the last time."""
        before = self._present.get(bundle_name)
        if before is None or before - present:
            super().deactivate_deleted_dags(bundle_name, present)
        self._present = {**self._present, bundle_name: frozenset(present)}

    def prepare_file_queue(self, known_files: dict[str, set[DagFileInfo]]) -> None:
        """Queue the files that are to be parsed; their times change with the version of their bundle alone."""
        now, versions, parsed = time.monotonic(), dict(self._bundle_versions), frozenset(self._processors)
        at, *before = self._looked
        if [versions, parsed] != before or now - at >= LOOK_S:
            self._looked = now, versions, parsed
            super().prepare_file_queue(known_files)


def run() -> None:
    """Airflow's command, with this processor for its own."""
    dag_processor_command.DagFileProcessorManager = DropInProcessor  # type: ignore[attr-defined]
    sys.argv = ["airflow", "dag-processor", *sys.argv[1:]]
    main()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    run()
