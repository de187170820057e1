"""Follows the alias of every model of this party and swaps models while requests are being answered."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

from federated_operators.registry.cache import Binding, ModelCache
from federated_operators.registry.models import PRODUCT, ModelRegistry
from federated_operators.registry.records import RegisteredModel
from federatedml.component import Component
from federatedml.errors import FedError, PeerError
from federatedml.federation.party import Role
from serving.features import FeatureTable
from serving.model import LoadedModel, load
from serving.shelf import Shelf

LOG = logging.getLogger(__name__)
INTERVAL = 1.0  # seconds between two looks
REFUSED_AGAIN = 30.0  # seconds after which a refused version is looked at again
SERVED_ROLES = (str(Role.GUEST), str(Role.HOST))  # an arbiter has no part in a score


class Loader:
    """One thread: registry -> shelf, and the feature table's file -> memory.

    A version that cannot be loaded leaves the one before in place, with the reason on the shelf. With MLflow down the
    shelf stays as it is; at a start it is filled with what the cache remembers.
    """

    def __init__(
        self,
        party: str,
        registry: ModelRegistry,
        cache: ModelCache,
        shelf: Shelf,
        modules: Mapping[str, Component],
        features: FeatureTable,
    ) -> None:
        self.party, self.registry, self.cache, self.shelf = party, registry, cache, shelf
        self.modules, self.features = modules, features
        self._refused: dict[str, tuple[tuple[int, int], str, float]] = {}
        self._asked_registry = False
        self._down = False

    def run(self, stop: threading.Event) -> None:
        """Look until ``stop`` is set; what nobody expected is logged, and the next look may go well."""
        while not stop.is_set():
            try:
                self.look()
            except Exception:
                LOG.exception("event=look_failed")
            stop.wait(INTERVAL)

    def look(self) -> None:
        """One look at the registry and at the feature table's file."""
        self.features.refresh()
        try:
            found = self.registry.of_party(self.party)
        except FedError as error:
            self._registry_down(error)
            return
        self._asked_registry, self._down = True, False
        models: dict[str, LoadedModel] = {}
        problems: dict[str, str] = {}
        for entry in found:
            if PRODUCT in entry.aliases and entry.name.split("#")[0] in SERVED_ROLES:
                model, problem = self._follow(entry)
                models |= {entry.name: model} if model else {}
                problems |= {entry.name: problem} if problem else {}
        self._swap(models, problems)

    def _registry_down(self, error: FedError) -> None:
        if not self._down:
            LOG.warning("event=registry_down reason=%s", error)
        self._down = True
        if self._asked_registry or self.shelf.models:
            return
        models: dict[str, LoadedModel] = {}
        for binding in self.cache.remembered():
            if self.cache.get(binding.digest) is None:
                continue
            model, _ = self._load(binding)
            models |= {binding.name: model} if model else {}
        if models:
            self._swap(models, {})

    def _follow(self, entry: RegisteredModel) -> tuple[LoadedModel | None, str]:
        """The model to serve under this name (the one before, if the new one cannot be) and what is wrong."""
        served = self.shelf.models.get(entry.name)
        wanted = (entry.aliases[PRODUCT], entry.created)
        if served and (served.binding.version, served.binding.created) == wanted:
            return served, ""
        refused = self._refused.get(entry.name)
        if refused and refused[0] == wanted and time.monotonic() - refused[2] < REFUSED_AGAIN:
            return served, refused[1]
        try:
            model, problem = self._load(self.registry.binding(entry))
        except FedError as error:
            model, problem = None, str(error)
            if isinstance(error, PeerError):
                return served, problem
        if model is None:
            self._refused[entry.name] = (wanted, problem, time.monotonic())
        return model or served, problem

    def _load(self, binding: Binding) -> tuple[LoadedModel | None, str]:
        try:
            return load(binding, self.registry.load(binding), self.modules), ""
        except PeerError:
            raise
        except FedError as error:
            LOG.error("event=model_refused model=%s version=%s reason=%s", binding.name, binding.version, error)
            return None, str(error)

    def _swap(self, models: Mapping[str, LoadedModel], problems: Mapping[str, str]) -> None:
        before = self.shelf.models
        self.shelf.replace(models, problems)
        if {m.binding for m in before.values()} == {m.binding for m in models.values()}:
            return
        self.cache.remember([model.binding for model in models.values()])
        for name in sorted(before.keys() | models.keys()):
            new = models.get(name)
            LOG.info("event=model_swap model=%s job=%s", name, new.version if new else "none")
