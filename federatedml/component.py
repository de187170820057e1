"""The declaration of a component: validation, forms, disclosure, docs and the registry are derived from it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, ClassVar

from google.protobuf.message import Message
from pydantic import BaseModel, ConfigDict, model_validator

from federatedml.data.table import Table
from federatedml.errors import DslError, ModelError
from federatedml.federation.box import Box
from federatedml.federation.party import Member, Role
from federatedml.federation.topic import Topic
from federatedml.views import View


class Params(BaseModel):
    """Base of a component's parameters: strict types, unknown names refused, no NaN or infinity.

    Names and defaults are FATE's. Fields carry ``description`` and, where it helps, a ``unit`` and FATE's own default
    (``fate``, if ours differs) in ``json_schema_extra``.

    Attributes:
        aliases: names that FATE 1.11 gives to parameters of FATE 1.0 -> ours. A conf may use either, not both.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
    aliases: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _by_their_names(cls, given: Any) -> Any:
        if not cls.aliases or not isinstance(given, Mapping):
            return given
        twice = [f"{alias!r} and {name!r}" for alias, name in cls.aliases.items() if alias in given and name in given]
        if twice:
            raise ValueError(f"{', '.join(twice)} are two names of one parameter: give one of them")
        return cls.by_our_names(given)

    @classmethod
    def by_our_names(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """``given`` with FATE 1.11's names replaced; where both names of one parameter are given, both stay."""
        ours = {name: cls.aliases.get(name, name) for name in given}
        return {name if ours[name] in given else ours[name]: value for name, value in given.items()}


ModelBuffers = Mapping[str, Message]  # buffer name ("DataIOMeta") -> message


@dataclass(frozen=True)
class Inputs:
    """What a role function works on.

    Attributes:
        data: by DSL key (``data``, ``train_data``, ``eval_data``), in the order of the references.
        model: the fitted model that the DSL's ``input.model`` names: transform or predict, never fit.
        isometric_model: another component's model as information.
    """

    data: Mapping[str, Sequence[Table]] = field(default_factory=dict)
    model: ModelBuffers | None = None
    isometric_model: ModelBuffers | None = None

    def one(self, *keys: str) -> Table:
        """The only table under the first of ``keys`` that is present.

        Raises:
            DslError: ``FED-140``, there is none; ``FED-142``, there are several.
        """
        found = self.all(*keys)
        if len(found) > 1:
            raise DslError("FED-142", f"{len(found)} tables of input data under {' or '.join(keys)}", "exactly one")
        return found[0]

    def all(self, *keys: str) -> Sequence[Table]:
        """The tables under the first of ``keys`` that is present, one at least; else ``DslError`` (``FED-140``)."""
        for key in keys:
            if self.data.get(key):
                return self.data[key]
        raise DslError(
            "FED-140", f"no input data under any of {', '.join(keys)}", f"found: {', '.join(self.data) or 'none'}"
        )


@dataclass(frozen=True)
class Outputs:
    """What a role function leaves behind.

    Attributes:
        data: the only data output, or the first of several.
        rest: the others, in the order of ``Component.data_outputs``; None where there is none at this party.
        summary: shown beside the component (counts, scores).
    """

    data: Table | None = None
    model: ModelBuffers | None = None
    views: Sequence[View] = ()
    summary: Mapping[str, float] = field(default_factory=dict)
    rest: Sequence[Table | None] = ()

    def named(self, aliases: Sequence[str]) -> dict[str, Table]:
        """The tables that are there, by the names that a DSL gives them in their order."""
        tables = zip(aliases, (self.data, *self.rest), strict=False)
        return {alias: table for alias, table in tables if table is not None}


RoleFunction = Callable[[Any, Box, Inputs], Outputs]
MemberParams = Mapping[Member, Params]


@dataclass(frozen=True)
class ModelSpec:
    """The buffers of a model, by FATE's names: ``{"DataIOMeta": DataIOMeta, "DataIOParam": DataIOParam}``.

    Attributes:
        parts: where parties have different buffers, the names of each such part; a party has one of the parts.
        check: refuses (``ModelError``) what no training leaves, before anybody computes with it.
    """

    buffers: Mapping[str, type[Message]]
    parts: Sequence[Sequence[str]] = ()
    check: Callable[[ModelBuffers], None] = lambda model: None

    def parse(self, stored: Mapping[str, bytes]) -> ModelBuffers:
        """Messages of stored bytes; a missing buffer is an error, an empty one is an empty message."""
        part = next((part for part in self.parts if set(part) <= set(stored)), tuple(self.buffers))
        missing = sorted(set(part) - set(stored))
        if missing:
            raise ModelError("FED-601", f"the model lacks {', '.join(missing)}", f"it has {', '.join(sorted(stored))}")
        found = {name: self.buffers[name].FromString(stored[name]) for name in part}
        self.check(found)
        return found


@dataclass(frozen=True)
class Scorer:
    """Scoring on rows, the same functions for batch prediction and online inference.

    Attributes:
        transform: (model, table) -> table, for components that change features (``DataIO``).
        partial: (model, table) -> this party's part of the score of every row, (n,) or (n, k) finite numbers.
        merge: (model, part of the guest, parts of the hosts in party order) -> (n,) scores, of several classes (n, k);
            at the guest only.
        alone: each party scores its own rows without the others (models of the homo family): no host is asked.
        classes: model -> label values in the order of (n, k) scores.
        parts_per_row: model -> as how many a row counts on ``predicted_rows`` whose part a host tells: one for each
            class, if each has a combination of the host's columns of its own. None: one.
    """

    transform: Callable[[ModelBuffers, Table], Table] | None = None
    partial: Callable[[ModelBuffers, Table], Any] | None = None
    merge: Callable[[ModelBuffers, Any, Sequence[Any]], Any] | None = None
    alone: bool = False
    classes: Callable[[ModelBuffers], Sequence[float]] | None = None
    parts_per_row: Callable[[ModelBuffers], int] | None = None


@dataclass(frozen=True)
class Prediction:
    """How a component runs with a fitted model (``Inputs.model``): it transforms or predicts, and never fits.

    Attributes:
        topics: those of its messages that it then sends; no other one passes.
        learns: what each role then learns from the outputs.
        spends: budgets that it then counts on, by kind.
    """

    topics: Sequence[Topic[Any]] = ()
    learns: Mapping[Role, Sequence[str]] = field(default_factory=dict)
    spends: Sequence[str] = ()


@dataclass(frozen=True)
class Component:
    """One module.

    Attributes:
        module: the DSL's name, for example ``HeteroLR``.
        title: one line for people.
        params: pydantic model of the parameters.
        roles: role functions; a role that is absent takes no part.
        topics: all messages between parties.
        learns: what each role learns from the *outputs*, beyond the topics: role -> sentences.
        inputs: allowed keys of the DSL's ``input.data``.
        input_required: whether one of them must be there, if any is allowed.
        several: whether it takes several tables under ``data``, or exactly one.
        optional_roles: those of ``roles`` that a job need not have.
        has_data, has_model: which outputs the component can have.
        data_roles: roles whose parties get the data outputs; all, if it is empty.
        data_outputs: what its data outputs are, in the order in which the DSL names them; one, if it is empty.
        model: buffers of its model, if any.
        scorer: scoring functions, if the component takes part in online prediction.
        prediction: how it runs with a fitted model; None: it has none, or cannot use it again.
        need_deploy: default of the DSL's ``need_deploy``.
        reproducible: "exact", or the tolerance of its results over runs and resumes.
        spends: budgets that it counts what peers learn on (``federation.budget``), by kind.
        version: compared between parties before anything runs.
        settle: parameters of all members as submitted (``model_fields_set`` says what the conf itself sets) ->
            as they will run, with every ``auto`` decided. Pure; ``DslError`` if they do not fit together.
        variant: (component, settled parameters of any member) -> the component as it runs with them: with the messages
            and the lessons of the chosen method only. Pure, and the same for every member of a job.
        notes: settled parameters of any member -> what people should know about them before it runs.
        chooser: the parameter that chooses among protocols, if it has one.
        cost: sentences about time, memory and bytes, as a function of rows, columns and so on; for the docs.
    """

    module: str
    title: str
    params: type[Params]
    roles: Mapping[Role, RoleFunction]
    topics: Sequence[Topic[Any]] = ()
    learns: Mapping[Role, Sequence[str]] = field(default_factory=dict)
    inputs: Sequence[str] = ("data", "train_data", "eval_data")
    input_required: bool = True
    several: bool = False
    optional_roles: Sequence[Role] = ()
    has_data: bool = True
    data_roles: Sequence[Role] = ()
    data_outputs: Sequence[str] = ()
    has_model: bool = False
    model: ModelSpec | None = None
    scorer: Scorer | None = None
    prediction: Prediction | None = None
    need_deploy: bool = True
    reproducible: str | float = "exact"
    spends: Sequence[str] = ()
    version: str = "1"
    settle: Callable[[MemberParams], MemberParams] = lambda submitted: submitted
    variant: Callable[[Component, Any], Component] = lambda component, params: component
    notes: Callable[[Any], Sequence[str]] = lambda params: ()
    chooser: str = "protocol"
    cost: Sequence[str] = ()

    def topic_table(self) -> dict[str, Topic[Any]]:
        """Topics by name."""
        return {topic.name: topic for topic in self.topics}

    def disclosure(self) -> dict[str, Any]:
        """Who learns what from this component, as plain JSON in a stable order."""
        return {
            "module": self.module,
            "version": self.version,
            "topics": [topic.disclosure() for topic in self.topics],
            "outputs": {str(role): list(texts) for role, texts in sorted(self.learns.items())},
        }

    def protocols(self) -> list[str]:
        """Values of ``chooser``; none if there is one protocol, or no message at all."""
        found = self.params.model_json_schema()["properties"].get(self.chooser, {}) if self.topics else {}
        return [value for value in found.get("enum", []) if value != "auto"]

    def defaults(self) -> Params:
        """Parameters with every default."""
        return self.params()

    def predicting(self) -> Component:
        """As it runs with a fitted model, with the messages of its prediction only."""
        if self.prediction is None:
            raise DslError("FED-141", f"module {self.module} cannot run with a fitted model")
        predicts = self.prediction
        return replace(self, topics=predicts.topics, learns=predicts.learns, spends=predicts.spends)


class Installed(Mapping[str, Component]):
    """Components by module name. Each is imported when it is asked for: most of what runs needs a few."""

    def __init__(self, points: Iterable[importlib.metadata.EntryPoint]) -> None:
        self._points = {point.name: point for point in points}
        self._loaded: dict[str, Component] = {}

    def __getitem__(self, module: str) -> Component:
        """``ModelError`` (``FED-602``) if what is installed under the name is not the component that it names."""
        if module not in self._loaded:
            point = self._points[module]
            found = point.load()
            if not isinstance(found, Component) or found.module != module:
                raise ModelError("FED-602", f"entry point {module!r} ({point.value}) is not the component it names")
            self._loaded[module] = found
        return self._loaded[module]

    def __contains__(self, module: object) -> bool:
        return module in self._points

    def __iter__(self) -> Iterator[str]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)


@cache
def registry() -> Mapping[str, Component]:
    """All components that are installed, by module name, from the entry points ``airfed.components``."""
    return Installed(importlib.metadata.entry_points(group="airfed.components"))


def component(module: str, predicting: bool = False) -> Component:
    """The component of a module name; the error lists what is installed.

    Args:
        predicting: as it runs with a fitted model, with the messages of its prediction only.
    """
    try:
        found = registry()[module]
    except KeyError:
        raise DslError("FED-121", f"module {module!r} is not installed", f"installed: {_names(registry())}") from None
    return found.predicting() if predicting else found


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
