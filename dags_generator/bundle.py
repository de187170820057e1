"""The drop-in folder as an Airflow DAG bundle."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# What the DAG processor has imported, its parsing children need not. Airflow imports these operators to serialise.
import airflow.providers.standard.operators.trigger_dagrun
import airflow.providers.standard.sensors.external_task  # noqa: F401
from airflow.dag_processing.bundles.base import BaseDagBundle, BundleVersion
from airflow.utils.session import create_session
from sqlalchemy.exc import SQLAlchemyError

import dags_generator.dag  # noqa: F401
from dags_generator.dropin import Compiled, Source, compiled, glance, scan
from dags_generator.needed import needed_versions
from dags_generator.store import BundleStore
from federated_operators.gateway.policy import load_policy
from federatedml.errors import DslError, FedError
from federatedml.federation.home import PartyHome

GLANCE = 0.25  # seconds between two looks at a file that is new
PRUNE_S, DAY_S = 3600.0, 86_400.0
LEAST_DAYS = 1.0  # for which a version stays that was replaced, whatever the policy says
log = logging.getLogger(__name__)


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
        self._pruned = 0.0

    def initialize(self) -> None:
        """Make the folder of this version, or of the first one."""
        with self.lock():
            if self.version:
                self._materialise(self.version)
            elif self.store.version() is None:
                self.store.publish({})
        super().initialize()

    def _materialise(self, version: str) -> None:
        try:
            self.store.materialise(version, self.path)
        except KeyError:
            problem = f"version {version} of the pipelines, which this run started with, was removed"
            raise DslError("FED-164", problem, "the policy's retention_days are over: submit the job again") from None

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

        What people drop in may still be being copied: it counts when it is valid and the same at a second glance, or
        the same at two refreshes. What the gateway installs is whole as soon as it is there.
        """
        if self.version:
            raise RuntimeError("a version of a bundle does not change")
        with self.lock():
            pipelines = self.store.pipelines() if self._pipelines is None else self._pipelines
            before, found = self._seen, scan(self.home, self._seen or {})
            ready = self._ready(found, before or {})
            gone = {key for key in pipelines if before is not None and key not in found and key not in before}
            if ready or gone:
                pipelines = {key: pipeline for key, pipeline in pipelines.items() if key not in gone} | ready
                self.store.publish(pipelines)
            for key in gone:
                self._sources.pop(key, None)
            self._seen, self._pipelines = found, pipelines
            if ready or gone:
                self._prune(time.time())

    def _prune(self, now: float) -> None:
        """Once an hour at most remove versions that no run within the policy's retention needs."""
        if now - self._pruned < PRUNE_S:
            return
        self._pruned = now
        try:
            days = load_policy(self.home.policy).retention_days
            before = now - max(days, LEAST_DAYS) * DAY_S if days is not None else 0.0
            if self.store.superseded(before):
                with create_session() as session:
                    needed = needed_versions(session, self.name, datetime.fromtimestamp(before, UTC))
                log.info("removed %d old versions of the bundle", len(self.store.prune(needed, before)))
        except (FedError, SQLAlchemyError, OSError, ValueError, LookupError) as error:
            log.warning("old versions of the bundle stay for now: %s", error)

    def _ready(self, found: Mapping[str, Source], before: Mapping[str, Source]) -> dict[str, Compiled]:
        """What is new and may be taken up; remembers from which files it was made."""
        new = {key: source for key, source in found.items() if self._sources.get(key) is not source}
        steady = {key for key, source in new.items() if source.installed or before.get(key) == source}
        glanced = self._glanced(new.keys() - steady)
        ready = {}
        for key, source in new.items():
            if key not in steady and glanced[key] != source:
                continue
            pipeline = compiled(source, self.home.config.party_id)
            if key in steady or pipeline.valid:
                ready[key], self._sources[key] = pipeline, source
        return ready

    def _glanced(self, keys: Collection[str]) -> Mapping[str, Source]:
        """A second look, at these alone."""
        if keys:
            time.sleep(GLANCE)
        return {key: glance(self.home, key) for key in keys}
