"""The registered model that a predict job uses: found in this party's registry, and held to what was trained.

A predict job runs the predict DSL and the parameters that are stored with the model; only its tables are new. Every
party checks that itself, with its own half of the model, before it agrees.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from airfed_proto.v1 import model_pb2
from federated_operators.gateway.plan import JobPlan, ModelRef
from federated_operators.registry.cache import ModelCache
from federated_operators.registry.models import ModelRegistry
from federated_operators.registry.rest import MlflowRest
from federatedml.canonical import canonical_json
from federatedml.component import ModelBuffers, component
from federatedml.errors import DslError, ModelError, PeerError
from federatedml.federation.home import PartyHome
from federatedml.model_bundle import ModelBundle

ALGORITHM, ROLES = "algorithm_parameters", "role_parameters"
KEPT = 16  # models on disk
PLAIN_KEY = re.compile(r"[A-Za-z0-9_#.-]{1,64}")
SHOWN = 60  # characters of a value in an error
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """A member's own half of a registered model.

    Attributes:
        digest: hex SHA-256 of its manifest.
        predict_dsl, conf: the predict DSL, and the conf of the training in the shape of v1.
    """

    bundle: ModelBundle
    digest: str
    predict_dsl: Mapping[str, Any]
    conf: Mapping[str, Any]

    @property
    def version(self) -> str:
        """FATE's model version: id of the job that trained it."""
        return self.bundle.model_version

    @property
    def train_dsl(self) -> Mapping[str, Any]:
        """The DSL of the training."""
        found: Mapping[str, Any] = json.loads(model_pb2.Pipeline.FromString(self.bundle.pipeline).train_dsl)
        return found

    def __str__(self) -> str:
        return f"{self.bundle.party_model_id}, version {self.version}"


class TrainedModels:
    """Registered models of one party, kept below its home so that a step needs no registry.

    Raises (every method):
        ModelError: there is no such model, or it is not what its manifest says.
        PeerError: ``FED-622``, the party's registry does not answer.
    """

    def __init__(self, home: PartyHome) -> None:
        self.home, self.cache = home, ModelCache(home.model_cache)

    def find(self, name: str, version: str = "") -> Trained:
        """A registered model by its party model id; without ``version`` what the alias ``product`` stands for."""
        with self._registry() as registry:
            binding = registry.of_job(name, version) if version else registry.resolve(name)
            found = _trained(registry.load(binding), binding.digest)
            self.cache.keep(found.digest, KEPT)
            return found

    def agreed(self, plan: JobPlan) -> Trained:
        """The own half of a predict job's model, as it was when the party agreed to the job."""
        if plan.source is None or not plan.model_digest:
            raise ModelError("FED-623", f"job {plan.job_id} uses no stored model at {plan.me}")
        if files := self.cache.get(plan.model_digest):
            return _trained(ModelBundle.from_files(files, plan.model_digest), plan.model_digest)
        with self._registry() as registry:
            binding = registry.of_job(plan.party_model_id, plan.source.model_version, plan.model_digest)
            return _trained(registry.load(binding), binding.digest)

    def buffers(self, plan: JobPlan, ref: ModelRef) -> ModelBuffers:
        """The fitted model of a component."""
        stored = self.agreed(plan).bundle.components.get(ref.component)
        spec = component(stored.module).model if stored else None
        if stored is None or spec is None or stored.alias != ref.alias:
            raise _lacks(plan, ref)
        return spec.parse(stored.buffers)

    def bound(self, plan: JobPlan) -> JobPlan:
        """A member's plan with the digest of its own half of the model; a training's plan as it is.

        Raises:
            DslError: ``FED-196``, ``FED-197``, ``FED-198``: DSL, parties or parameters are not those of the training.
            ModelError: ``FED-624``, the model lacks a component's part.
        """
        if plan.source is None:
            return plan
        if not plan.source.model_version:
            raise DslError("FED-198", "the proposed conf names no job_parameters.model_version")
        refs = [step.model for step in plan.steps.values() if step.model is not None]
        try:
            trained = self.find(plan.party_model_id, plan.source.model_version)
        except PeerError as error:  # said to the initiator: where the registry is stays here
            log.warning("%s", error)
            raise PeerError(error.code, error.message) from None
        except ModelError as error:
            if error.code != "FED-610" or refs:
                raise
            return plan  # a member of which nothing was stored, and nothing is used
        _check(plan, trained)
        for ref in refs:
            stored = trained.bundle.components.get(ref.component)
            if stored is None or (stored.module, stored.alias) != (plan.steps[ref.component].module, ref.alias):
                raise _lacks(plan, ref)
        return replace(plan, model_digest=trained.digest)

    @contextmanager
    def _registry(self) -> Iterator[ModelRegistry]:
        try:
            with MlflowRest(self.home.mlflow_url, tries=2, read_timeout=5.0) as rest:
                yield ModelRegistry(rest, self.cache)
        except PeerError as error:
            party = self.home.config.party_id
            problem = f"the model registry of party {party} does not answer: start the job again later"
            raise PeerError("FED-622", problem, error.message) from None


def completed(conf: Mapping[str, Any], trained: Trained) -> dict[str, Any]:
    """The conf of a predict job with the model's version, and with the training's parameters of what was deployed.

    Args:
        conf: in the shape of v1, party ids as strings; ``args`` under ``role_parameters`` name the new tables.

    Raises:
        DslError: ``FED-197``, other parties than trained it; ``FED-198``, a parameter is given that is not the
            training's; ``FED-103``, a wrong type.
    """
    if conf["role"] != trained.conf["role"]:
        problem = f"role is {json.dumps(conf['role'])}, the model was trained by {json.dumps(trained.conf['role'])}"
        raise DslError("FED-197", problem, "the same parties in the same order: parameters are given by position")
    filled = {**conf, "job_parameters": {**conf["job_parameters"], "model_version": trained.version}}
    given, own = _object(conf.get(ALGORITHM, {}), ALGORITHM), trained.conf.get(ALGORITHM, {})
    filled[ALGORITHM] = _filled(given, own, trained, ALGORITHM)
    given, own = _object(conf.get(ROLES, {}), ROLES), trained.conf.get(ROLES, {})
    roles = {
        role: _filled(_object(given.get(role, {}), place), own.get(role, {}), trained, place)
        for role, place in ((role, f"{ROLES}.{_key(role)}") for role in sorted({*given, *own}))
    }
    filled[ROLES] = {role: values for role, values in roles.items() if values}
    return filled


def _filled(given: Mapping[str, Any], own: Mapping[str, Any], trained: Trained, place: str) -> dict[str, Any]:
    """``given`` with the training's parameters of the deployed components; what is no component of it is kept."""
    deployed = trained.predict_dsl.get("components", {})
    found = {name: values for name, values in given.items() if name not in deployed}
    for name in deployed:
        values, of_training = _object(given.get(name, {}), f"{place}.{name}"), own.get(name, {})
        for key, value in values.items():
            if key not in of_training or of_training[key] != value:
                used = f"was trained with {_short(of_training[key])}" if key in of_training else "leaves it out"
                problem = f"{place}.{name}.{_key(key)}: found {_short(value)}, the training {used}"
                raise DslError("FED-198", problem, "a predict job takes all parameters from the training: leave it out")
        if of_training:
            found[name] = of_training
    return found


def _check(plan: JobPlan, trained: Trained) -> None:
    if canonical_json(plan.dsl) != canonical_json(trained.predict_dsl):
        problem = f"the DSL is not the predict DSL that {plan.me} stored with version {trained.version} of the model"
        raise DslError("FED-196", problem, "airfed predict CONF takes it from the registry")
    if canonical_json(completed(plan.conf, trained)) != canonical_json(plan.conf):
        problem = f"the conf lacks parameters that the model was trained with, as {plan.me} stored them"
        raise DslError("FED-198", problem, "airfed predict CONF takes them from the registry")


def _trained(bundle: ModelBundle, digest: str) -> Trained:
    pipeline = model_pb2.Pipeline.FromString(bundle.pipeline)
    if not pipeline.inference_dsl:
        raise ModelError("FED-625", f"{bundle.party_model_id} has no predict DSL: nothing was deployed")
    return Trained(bundle, digest, json.loads(pipeline.inference_dsl), json.loads(pipeline.train_runtime_conf))


def _lacks(plan: JobPlan, ref: ModelRef) -> ModelError:
    return ModelError("FED-624", f"the model of {plan.me} has no part {ref.alias!r} of {ref.component}")


def _object(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DslError("FED-103", f"{place}: found {_short(value)}", "an object is expected")
    return value


def _key(name: str) -> str:
    return name if PLAIN_KEY.fullmatch(name) else _short(name)


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
