"""The models that are being served. Readers see one consistent set; the loader replaces it as a whole."""

from __future__ import annotations

from collections.abc import Mapping

from federatedml.federation.party import Role
from serving.model import LoadedModel
from serving.retcode import Retcode, ScoreError


class Shelf:
    """Loaded models and the reasons for those that are not loaded, both by registered model's name."""

    def __init__(self) -> None:
        self.models: Mapping[str, LoadedModel] = {}
        self.problems: Mapping[str, str] = {}

    def replace(self, models: Mapping[str, LoadedModel], problems: Mapping[str, str]) -> None:
        """Serve these from now on."""
        self.models, self.problems = dict(models), dict(problems)

    def for_caller(self, service_id: str) -> LoadedModel:
        """The model of a service id: a model key, or a whole party model id if keys are not unique.

        This party is the guest of the model, or it needs no other party for a score.
        """
        mine = [model for model in self.models.values() if model.me.role is Role.GUEST or not model.asked]
        found = [model for model in mine if service_id in (model.model_key, model.binding.name)]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(sorted(model.binding.name for model in found))
            raise ScoreError(
                Retcode.SERVICE_NOT_FOUND, f"{len(found)} models have the key of this serviceId", f"name one: {names}"
            )
        served = ", ".join(sorted({model.model_key for model in mine})) or "none"
        raise ScoreError(Retcode.SERVICE_NOT_FOUND, "no model is served under this serviceId", f"served: {served}")

    def for_guest(self, guest: str, model_key: str, version: str) -> LoadedModel:
        """The host's model for a guest that has proven who it is; both sides must serve the same version.

        The guest's role comes from the model: only a guest of that model finds it.
        """
        mine = self.models_for(guest, model_key)
        for model in mine:
            if model.version == version:
                return model
        if not mine:
            raise ScoreError(Retcode.MODEL_NULL, f"no model of that key is served for guest {guest}")
        served = ", ".join(sorted(model.version for model in mine))
        raise ScoreError(Retcode.MODEL_NULL, f"version {served} is served, another one was asked for")

    def models_for(self, guest: str, model_key: str) -> list[LoadedModel]:
        """Models of that key in which this party is a host of ``guest``."""
        return [
            model
            for model in self.models.values()
            if model.me.role is Role.HOST and model.asked and model.model_key == model_key and guest in model.guests
        ]
