"""Airflow's DAG processor, in which a change costs the same however many DAGs there are.

At every new version of the bundle Airflow loads its whole table of DAGs to find those whose file is gone. Here it does
so only when a file is gone, and at the start.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Set
from types import MappingProxyType

from airflow.__main__ import main
from airflow.cli.commands import dag_processor_command
from airflow.dag_processing.manager import DagFileInfo, DagFileProcessorManager


class DropInProcessor(DagFileProcessorManager):
    """Parses what changes, as Airflow's own does."""

    _present: Mapping[str, Set[DagFileInfo]] = MappingProxyType({})

    def deactivate_deleted_dags(self, bundle_name: str, present: set[DagFileInfo]) -> None:
        """Deactivate the DAGs of a bundle whose file is not ``present``, if one is gone since the last time."""
        before = self._present.get(bundle_name)
        if before is None or before - present:
            super().deactivate_deleted_dags(bundle_name, present)
        self._present = {**self._present, bundle_name: frozenset(present)}


def run() -> None:
    """Airflow's command, with this processor for its own."""
    dag_processor_command.DagFileProcessorManager = DropInProcessor  # type: ignore[attr-defined]
    sys.argv = ["airflow", "dag-processor", *sys.argv[1:]]
    main()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    run()
