"""Which components of a model score a row, and what each of them reads: by the predict DSL, which is stored with it.

Only what the score depends on is loaded: of a pipeline with several DataIO, the one before the deployed model. Those
without a model (Intersection, Reader) change no column: what reads them reads what they read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from pydantic import BaseModel, ConfigDict, ValidationError

from airfed_proto.v1 import model_pb2
from federatedml.component import Component, ModelBuffers, ModelSpec, Scorer
from federatedml.errors import ModelError
from federatedml.model_bundle import ModelBundle

RAW = ""  # the name of the row as it comes
ARGS = "args."


@dataclass(frozen=True)
class Stage:
    """One component with its model.

    Attributes:
        source: the stage whose table it reads; empty: the row as it comes.
    """

    name: str
    module: str
    buffers: ModelBuffers
    scorer: Scorer
    source: str = RAW


class _Input(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    data: dict[str, list[str]] = {}


class _Node(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    module: str
    input: _Input = _Input()

    @property
    def reads(self) -> Sequence[str]:
        """References to data, the first ones of the DSL's keys."""
        return next(iter(self.input.data.values()), [])


class _PredictDsl(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    components: dict[str, _Node]


def stages(bundle: ModelBundle, modules: Mapping[str, Component]) -> list[Stage]:
    """The stages of a party's half, each after the one that it reads; the last one gives the score.

    Raises:
        ModelError: ``FED-625`` nothing was deployed; ``FED-606`` components that cannot score online, all of them;
            ``FED-607`` it gives no score, or more than one; ``FED-601`` a part or a buffer of the model is missing.
    """
    nodes = _nodes(bundle)
    scoring = [name for name, node in nodes.items() if _scorer(modules, node).merge is not None]
    needed = _needed(nodes, scoring or list(nodes))
    unsupported = [f"{name} ({nodes[name].module})" for name in needed if not _supported(modules, nodes[name])]
    if unsupported:
        raise ModelError("FED-606", f"{bundle.party_model_id}: no online scoring for {', '.join(unsupported)}")
    if len(scoring) != 1:
        problem = f"{bundle.party_model_id} has {len(scoring)} deployed components that give a score"
        raise ModelError("FED-607", problem, "need_deploy: true for one of them")
    staged = [name for name in needed if modules[nodes[name].module].scorer is not None]
    return [_stage(name, bundle, modules[nodes[name].module], _source(name, nodes, staged)) for name in staged]


def _nodes(bundle: ModelBundle) -> Mapping[str, _Node]:
    try:
        stored = model_pb2.Pipeline.FromString(bundle.pipeline).inference_dsl
        nodes = _PredictDsl.model_validate_json(stored or b'{"components": {}}').components
    except (DecodeError, ValidationError) as error:
        raise ModelError("FED-603", f"{bundle.party_model_id}: its predict DSL is not valid: {error}") from None
    if not nodes:
        raise ModelError("FED-625", f"{bundle.party_model_id} has no predict DSL: nothing was deployed")
    return nodes


def _scorer(modules: Mapping[str, Component], node: _Node) -> Scorer:
    return (node.module in modules and modules[node.module].scorer) or Scorer()


def _supported(modules: Mapping[str, Component], node: _Node) -> bool:
    """Whether rows can pass it online: it has no model, or can score with it."""
    return node.module in modules and (modules[node.module].scorer is not None or not modules[node.module].has_model)


def _needed(nodes: Mapping[str, _Node], wanted: Sequence[str]) -> list[str]:
    """``wanted`` and what they read, each after what it reads."""
    found: dict[str, None] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ModelError("FED-603", f"the predict DSL has a cycle at {name}")
        for ref in nodes[name].reads if name in nodes else ():
            if not ref.startswith(ARGS):
                visit(ref.partition(".")[0], (*above, name))
        if name not in nodes:
            raise ModelError("FED-603", f"the predict DSL reads {name}, which it does not have")
        found[name] = None

    for name in wanted:
        visit(name, ())
    return list(found)


def _source(name: str, nodes: Mapping[str, _Node], staged: Sequence[str]) -> str:
    """The nearest stage that ``name`` reads, through components that change nothing."""
    ref = next(iter(nodes[name].reads), ARGS)
    while not ref.startswith(ARGS):
        before = ref.partition(".")[0]
        if before in staged:
            return before
        ref = next(iter(nodes[before].reads), ARGS)
    return RAW


def _stage(name: str, bundle: ModelBundle, component: Component, source: str) -> Stage:
    if name not in bundle.components:
        raise ModelError("FED-601", f"{bundle.party_model_id}: the model lacks the part of component {name}")
    stored, spec = bundle.components[name], component.model or ModelSpec({})
    return Stage(name, component.module, spec.parse(stored.buffers), component.scorer or Scorer(), source)
