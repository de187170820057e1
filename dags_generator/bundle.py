"""The drop-in folder as an Airflow DAG bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.base import BaseDagBundle, BundleVersion

import dags_generator.dag  # noqa: F401 - what the DAG processor has imported, its parsing children need not
from dags_generator.dropin import Compiled, Source, compiled, scan
from dags_generator.store import BundleStore
from federatedml.federation.home import PartyHome


class DslDagBundle(BaseDagBundle):
    """DAGs of the pipelines in ``HOME/pipelines`` (dropped in) and ``HOME/installed`` (by other parties' jobs).

    Args:
        home: the party's home.
    """

    supports_versioning = True

    def __init__(self, *, home: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.home = PartyHome(Path(home))
        self.store = BundleStore(self.home.bundle)
        self._seen: Mapping[str, Source] | None = None
        self._sources: dict[str, Source] = {}
        self._pipelines: dict[str, Compiled] | None = None

    def initialize(self) -> None:
        """Make the folder of this version, or of the first one."""
        with self.lock():
            if self.version:
                self.store.materialise(self.version, self.path)
            elif self.store.version() is None:
                self.store.publish({})
        super().initialize()

    @property
    def path(self) -> Path:
        """Folder of the stubs."""
        return self.versions_dir / self.version if self.version else self.store.current

    def get_current_version(self) -> BundleVersion | None:
        """Digest of the manifest."""
        version = self.version or self.store.version()
        return BundleVersion(version=version) if version else None

    def refresh(self) -> None:
        """Take up what changed.

        What people drop in counts when it was the same at two refreshes: it may still be being copied. What the
        gateway installs is whole as soon as it is there.
        """
        if self.version:
            raise RuntimeError("a version of a bundle does not change")
        with self.lock():
            before, self._seen = self._seen, scan(self.home)
            self._take_up(self._seen, before)

    def _take_up(self, found: Mapping[str, Source], before: Mapping[str, Source] | None) -> None:
        pipelines = self.store.pipelines() if self._pipelines is None else self._pipelines
        steady = {key: s for key, s in found.items() if s.installed or (before is not None and before.get(key) == s)}
        changed = {key: source for key, source in steady.items() if self._sources.get(key) != source}
        gone = [key for key in pipelines if before is not None and key not in found and key not in before]
        pipelines = {key: pipeline for key, pipeline in pipelines.items() if key not in gone}
        pipelines |= {key: compiled(source, self.home.config.party_id) for key, source in changed.items()}
        if changed or gone:
            self.store.publish(pipelines)
        self._sources |= changed
        self._pipelines = pipelines
