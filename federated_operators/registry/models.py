"""Model versions of a party: register once, point an alias, and load only what the manifest's digest says.

A registered model is named by FATE's party model id. A version carries who made it as tags, so that registering the
same half of the same job again finds the version that is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from federated_operators.registry.cache import Binding, ModelCache
from federated_operators.registry.records import LoggedModel, ModelVersion, RegisteredModel
from federated_operators.registry.rest import MlflowRest
from federatedml.component import Component
from federatedml.errors import ModelError, PeerError
from federatedml.federation.party import Role
from federatedml.model_bundle import MAX_BYTES, MAX_FILES, ModelBundle, manifest_digest

PRODUCT = "product"  # the alias that serving follows
TAG_JOB, TAG_INITIATOR, TAG_GENERATION = "fed.job", "fed.initiator", "fed.generation"
TAG_ROLE, TAG_PARTY, TAG_KEY, TAG_DIGEST = "fed.role", "fed.party", "fed.model_key", "fed.manifest"
TAG_PROMOTED = "fed.promoted"  # the alias that the version was given
MODEL_NAME, MODEL_TYPE = "pipeline", "airfed-pipeline"

T = TypeVar("T")


class ModelRegistry:
    """Models of one party in its MLflow.

    Args:
        cache: where loaded models are kept; without it every load goes to MLflow.

    Raises (every method):
        ModelError, PeerError: as ``MlflowRest``.
    """

    def __init__(self, rest: MlflowRest, cache: ModelCache | None = None) -> None:
        self.rest, self.cache = rest, cache

    def register(
        self,
        bundle: ModelBundle,
        experiment: str,
        run_id: str = "",
        tags: Mapping[str, str] | None = None,
        description: str = "",
        modules: Mapping[str, Component] | None = None,
    ) -> ModelVersion:
        """The version of this bundle, made if it is not there. It gets no alias.

        Args:
            experiment: name of the experiment that the model's files belong to.
            run_id: the job's run, shown beside the version.
            tags: more tags of the version (DSL digest, peers).

        Raises:
            ModelError: ``FED-616``, the job registered another model under this name before.
        """
        files = bundle.files(modules)
        digest, mine = manifest_digest(files), _identity(bundle)
        name = bundle.party_model_id
        self.rest.registered_model(name, {TAG_KEY: bundle.model_key})

        def make() -> ModelVersion:
            model = self._stored(files, experiment, run_id, {**mine, TAG_DIGEST: digest})
            said = {**(tags or {}), **mine, TAG_KEY: bundle.model_key, TAG_DIGEST: digest}
            return self.rest.create_version(name, model, said, description, run_id)

        version = _once(lambda: self.rest.search_versions(name, mine), make)
        if version.tags.get(TAG_DIGEST) != digest:
            raise ModelError("FED-616", f"version {version.version} of {name} is another model of the same job")
        return version

    def _stored(self, files: Mapping[str, bytes], experiment: str, run_id: str, tags: Mapping[str, str]) -> LoggedModel:
        """A READY logged model with these files."""
        folder = self.rest.experiment(experiment)
        model = _once(
            lambda: self.rest.search_logged_models(folder, tags),
            lambda: self.rest.create_logged_model(folder, MODEL_NAME, MODEL_TYPE, tags, run_id),
        )
        if model.status != "READY":
            for path, body in files.items():
                self.rest.upload(model.artifact_uri, path, body)
            self.rest.finalize_logged_model(model.model_id)
        return model

    def set_alias(self, name: str, version: int, alias: str = PRODUCT) -> None:
        """Let ``alias`` stand for ``version``."""
        self.rest.set_alias(name, alias, version)

    def promote(self, name: str, version: int, alias: str = PRODUCT) -> bool:
        """Let ``alias`` stand for ``version``, once: a job that repeats its end does not bring its old model back.

        Returns:
            False if it did so before.
        """
        if self.rest.get_version(name, version).tags.get(TAG_PROMOTED) == alias:
            return False
        self.set_alias(name, version, alias)
        self.rest.set_version_tag(name, version, TAG_PROMOTED, alias)
        return True

    def resolve(self, name: str, alias: str = PRODUCT) -> Binding:
        """What ``alias`` stands for now."""
        return self.binding(self.rest.get_registered_model(name), alias)

    def binding(self, model: RegisteredModel, alias: str = PRODUCT) -> Binding:
        """What ``alias`` stood for when ``model`` was read."""
        if alias not in model.aliases:
            raise ModelError("FED-610", f"model {model.name} has no alias {alias!r}")
        version = self.rest.get_version(model.name, model.aliases[alias])
        job, digest = version.tags.get(TAG_JOB, ""), version.tags.get(TAG_DIGEST, "")
        if not job or not digest:
            raise ModelError("FED-617", f"version {version.version} of {model.name} lacks the tags of an airfed model")
        return Binding(model.name, alias, version.version, job, digest, model.created)

    def of_job(self, name: str, job_id: str, digest: str = "") -> Binding:
        """The version that a job registered, of its last generation, or the one with that manifest's ``digest``.

        Raises:
            ModelError: ``FED-610``, there is none; ``FED-619``, jobs of several initiators have this id.
        """
        found = self.rest.search_versions(name, {TAG_JOB: job_id} | ({TAG_DIGEST: digest} if digest else {}))
        if not found:
            raise ModelError("FED-610", f"model {name} has no version of job {job_id}")
        if len({version.tags.get(TAG_INITIATOR) for version in found}) > 1:
            raise ModelError("FED-619", f"model {name} has versions of several jobs with id {job_id}")
        last = max(found, key=lambda version: int(version.tags.get(TAG_GENERATION, "0")))
        return Binding(name, "", last.version, job_id, last.tags.get(TAG_DIGEST, ""))

    def of_party(self, party: str) -> list[RegisteredModel]:
        """Registered models of ``party``, in any role."""
        found = self.rest.registered_models(f"%#{party}#%")
        return [model for model in found if model.name.split("#")[1:2] == [party]]

    def of_key(self, role: Role, party: str, model_key: str) -> list[RegisteredModel]:
        """Registered models of ``party`` in ``role`` whose id ends with ``model_key``."""
        start, end = f"{role}#{party}#", f"#{model_key}"
        return [model for model in self.of_party(party) if model.name.startswith(start) and model.name.endswith(end)]

    def load(self, binding: Binding) -> ModelBundle:
        """The bundle that ``binding`` names, byte for byte: from the cache, else from MLflow and then kept.

        Raises:
            ModelError: ``FED-604``, the stored files are not what the manifest with this digest says.
        """
        files = self.cache.get(binding.digest) if self.cache else None
        if files is None:
            files = self._download(binding)
        bundle = ModelBundle.from_files(files, binding.digest)
        if bundle.party_model_id != binding.name:
            raise ModelError("FED-604", f"version {binding.version} of {binding.name} holds {bundle.party_model_id}")
        if self.cache:
            self.cache.put(binding.digest, files)
        return bundle

    def _download(self, binding: Binding) -> dict[str, bytes]:
        version = self.rest.get_version(binding.name, binding.version)
        model = self.rest.get_logged_model(version.model_id)
        sizes = self.rest.files(model.artifact_uri)
        if len(sizes) > MAX_FILES or sum(sizes.values()) > MAX_BYTES:
            raise ModelError("FED-604", f"version {binding.version} of {binding.name} is larger than a model may be")
        return {path: self.rest.download(model.artifact_uri, path, MAX_BYTES) for path in sizes}


def _identity(bundle: ModelBundle) -> dict[str, str]:
    return {
        TAG_INITIATOR: bundle.initiator,
        TAG_JOB: bundle.model_version,
        TAG_GENERATION: str(bundle.generation),
        TAG_ROLE: str(bundle.me.role),
        TAG_PARTY: bundle.me.party,
    }


def _once(search: Callable[[], Sequence[T]], make: Callable[[], T]) -> T:
    """What is there (the oldest), else what ``make`` makes; a lost answer of ``make`` is looked for, not repeated."""
    if found := search():
        return found[0]
    try:
        return make()
    except PeerError:
        if found := search():
            return found[0]
        raise
