"""Whatever valid pipeline is trained, its predict DSL holds together."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dags_generator.dsl import graph
from dags_generator.parse import parse_native
from dags_generator.plan import job_plan
from dags_generator.predict import predict_dsl
from dags_generator.spec import ComponentSpec, Graph, PipelineSpec
from dags_generator.where import Where
from federated_operators.gateway.plan import DataRef, dump_plan, load_plan
from federatedml.canonical import canonical_json
from federatedml.component import registry
from tests.pipeline_example import JOB_ID, conf

WHERE = Where("p.json")
NEW = "args.eval_data"


def two_tables(value: dict[str, Any]) -> None:
    del value["algorithm_parameters"]
    for role in ("guest", "host"):
        value["role_parameters"][role] = {"args": {"data": {key: [{"name": key, "namespace": "n"}] for key in "ab"}}}


@st.composite
def components(draw: st.DrawFn) -> dict[str, Any]:
    """One to nine components of the installed modules, each fed by tables and by a few that come just before."""
    found: dict[str, Any] = {}
    tables = [f"args.{key}" for key in "ab"]
    count: dict[str, int] = {}
    least = draw(st.sampled_from([1, 6]))
    for module in draw(st.lists(st.sampled_from(sorted(registry())), min_size=least, max_size=9)):
        fed = [f"{name}.{alias}" for name, body in found.items() for alias in body["output"].get("data", [])]
        name = f"{module.lower()}_{count.setdefault(module, 0)}"
        count[module] += 1
        found[name] = draw(component(module, [*fed[-4:], *tables], found))
    return dict(draw(st.permutations(sorted(found.items()))))


@st.composite
def component(draw: st.DrawFn, module: str, sources: list[str], earlier: dict[str, Any]) -> dict[str, Any]:
    declared = registry()[module]
    pairs = [key for key in ("train_data", "eval_data") if key in declared.inputs]
    plain = not pairs or draw(st.booleans())
    keys = ["data"] if plain else draw(st.lists(st.sampled_from(pairs), min_size=1, unique=True))
    most = 3 if declared.several else 1
    least = draw(st.integers(1, most))
    data = {key: draw(st.lists(st.sampled_from(sources), min_size=least, max_size=most)) for key in keys}
    inputs: dict[str, Any] = {"data": data}
    models = {n: f"{n}.{b['output']['model'][0]}" for n, b in earlier.items() if b["output"].get("model")}
    same = [text for name, text in models.items() if earlier[name]["module"] == module]
    for key, texts in (("model", same), ("isometric_model", list(models.values()))):
        if texts and draw(st.booleans()):
            inputs[key] = [draw(st.sampled_from(texts))]
    output = {}
    if declared.has_data and draw(st.integers(0, 5)):
        most = len(declared.data_outputs) or 1
        output["data"] = draw(st.lists(st.sampled_from(["train", "x", "z"]), min_size=1, max_size=most, unique=True))
    if declared.has_model and draw(st.booleans()):
        output["model"] = [draw(st.sampled_from(["model", "y"]))]
    body = {"module": module, "input": inputs, "output": output}
    deploy = draw(st.sampled_from([False, None, True]))
    return body if deploy is None else {**body, "need_deploy": deploy}


def parsed(value: dict[str, Any]) -> PipelineSpec:
    body = {"dsl": {"components": value}, "conf": conf(two_tables)}
    of_two = [name for name, step in value.items() if step["module"] == "HomoLR"]  # by default it asks for three
    body["conf"]["algorithm_parameters"] = {name: {"min_contributors": 2} for name in of_two}
    return parse_native("p", json.dumps(body).encode(), "p.json")


def stand_in(found: Graph, ref: DataRef) -> list[str]:
    """What a reference of the training DSL means in the predict DSL: FATE's rule as recursion."""
    if ref.component is None:
        return [NEW]
    source = found.components[ref.component]
    if source.need_deploy:
        return [f"{source.name}.{ref.alias}"]
    key = first_key(source)
    return [text for inner in source.data[key] for text in stand_in(found, inner)]


def first_key(spec: ComponentSpec) -> str:
    return next(key for key in ("data", "train_data", "eval_data") if key in spec.data)


@settings(deadline=None, max_examples=300)
@given(components())
def test_the_predict_dsl_holds_together(value: dict[str, Any]) -> None:
    found = parsed(value).graph
    deployed = found.inference_dsl.get("components", {})
    assert list(deployed) == [name for name, spec in found.components.items() if spec.need_deploy]
    before = [NEW]
    for name, body in deployed.items():
        spec = found.components[name]
        (key,) = body["input"]["data"]
        assert key == ("data" if "data" in spec.data else "eval_data")
        refs = body["input"]["data"][key]
        expected = [text for ref in spec.data[first_key(spec)] for text in stand_in(found, ref)]
        assert refs == (list(dict.fromkeys(expected)) if spec.several else expected[:1])
        assert set(refs) <= set(before), "only new data and components that come earlier: no cycle"
        before += [f"{name}.{alias}" for alias in body.get("output", {}).get("data", [])]
        own = [f"pipeline.{name}.{spec.model_alias}"] if spec.model_alias else None
        assert body["input"].get("model") == own
        assert set(body["input"]) <= {"data", "model"}
    assert set(found.inference_dsl) <= {"components"}


@settings(deadline=None)
@given(components(), st.randoms(use_true_random=False))
def test_the_predict_dsl_is_stable(value: dict[str, Any], random: Any) -> None:
    spec = parsed(value)
    names = list(value)
    random.shuffle(names)
    again = graph("p", {"components": {name: value[name] for name in names}}, spec.parties, WHERE)
    assert canonical_json(again.inference_dsl) == canonical_json(spec.graph.inference_dsl)
    assert predict_dsl(respecified(spec.graph), WHERE) == spec.graph.inference_dsl, "of itself it is itself"
    for member in spec.parties.members:
        plan = job_plan(spec, member, JOB_ID, "")
        assert load_plan(dump_plan(plan)).inference_dsl == spec.graph.inference_dsl


def respecified(found: Graph) -> dict[str, ComponentSpec]:
    """The predict DSL read as a training DSL whose components are all deployed."""
    specs = {}
    for name, body in found.inference_dsl.get("components", {}).items():
        data = {key: [_ref(text) for text in texts] for key, texts in body["input"]["data"].items()}
        aliases = body.get("output", {}).get("data", ())
        (model,) = body["input"].get("model", [None])
        alias = model.rpartition(".")[2] if model else None
        several = registry()[body["module"]].several
        specs[name] = ComponentSpec(
            name, body["module"], "1", data, None, None, aliases, alias, True, (), (), several=several
        )
    return specs


def _ref(text: str) -> DataRef:
    source, _, alias = text.partition(".")
    return DataRef(None if source == "args" else source, alias)
