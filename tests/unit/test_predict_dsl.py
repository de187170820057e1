"""FATE's rules of ``need_deploy``, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from dags_generator.dialect import V1
from dags_generator.outline import Outline, Reference, outlines
from dags_generator.predict import check_predict, predict_dsl
from dags_generator.spec import ComponentSpec
from dags_generator.where import Where
from federated_operators.gateway.plan import DataRef, ModelRef
from federatedml.component import component
from federatedml.errors import DslError
from tests.pipeline_example import dsl, spec

NOT_BY_DEFAULT = ("Evaluation", "FederatedSample")


def part(
    module: str, data: dict[str, list[str]] | None = None, out: str = "", model: str = "", **more: Any
) -> dict[str, Any]:
    """One component of a DSL. ``more``: ``need_deploy``, and model inputs by key."""
    inputs = {key: [more.pop(key)] for key in ("input_model", "isometric_model") if key in more}
    if "input_model" in inputs:
        inputs["model"] = inputs.pop("input_model")
    if data:
        inputs["data"] = data
    output = {key: [alias] for key, alias in (("data", out), ("model", model)) if alias}
    return {"module": module, "input": inputs, "output": output, **more}


def derived(**components: dict[str, Any]) -> dict[str, Any]:
    """The components of the predict DSL. Of modules that may not be installed; in topological order."""
    where = Where("x_dsl.json")
    found = outlines({"components": components}, V1, where)
    predict = predict_dsl({name: _spec(found[name]) for name in components}, where)
    assert list(predict) in ([], ["components"])
    return predict.get("components", {})


def _spec(outline: Outline) -> ComponentSpec:
    def model(reference: Reference | None) -> ModelRef | None:
        return ModelRef(reference.component or "", reference.alias) if reference else None

    return ComponentSpec(
        outline.name,
        outline.module,
        "1",
        {key: [DataRef(ref.component, ref.alias) for ref in refs] for key, refs in outline.data.items()},
        model(outline.model),
        model(outline.isometric_model),
        outline.data_aliases,
        next(iter(outline.model_aliases), None),
        outline.module not in NOT_BY_DEFAULT if outline.need_deploy is None else outline.need_deploy,
        sorted(outline.needs),
        (),
        trigger_rule=outline.trigger_rule,
        several=outline.module == "Union",
    )


def data_of(components: dict[str, Any], name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = components[name]["input"]["data"]
    return found


IO = part("DataIO", {"data": ["args.train_data"]}, "train", "dataio")


def test_the_example_predicts_with_its_stored_models() -> None:
    assert spec().graph.inference_dsl == {
        "components": {
            "dataio_0": {
                "module": "DataIO",
                "input": {"data": {"data": ["args.eval_data"]}, "model": ["pipeline.dataio_0.dataio"]},
                "output": {"data": ["train"]},
            },
            "intersection_0": {
                "module": "Intersection",
                "input": {"data": {"data": ["dataio_0.train"]}},
                "output": {"data": ["train"]},
            },
            "hetero_lr_0": {
                "module": "HeteroLR",
                "input": {
                    "data": {"eval_data": ["intersection_0.train"]},
                    "model": ["pipeline.hetero_lr_0.hetero_lr"],
                },
                "output": {"data": ["train"]},
            },
        }
    }


def test_components_come_in_topological_order_whatever_their_names() -> None:
    assert list(spec().graph.inference_dsl["components"]) == ["dataio_0", "intersection_0", "hetero_lr_0"]


def test_intersection_stays_and_evaluation_goes_by_default() -> None:
    found = derived(
        dataio_0=IO,
        intersection_0=part("Intersection", {"data": ["dataio_0.train"]}, "both"),
        evaluation_0=part("Evaluation", {"data": ["intersection_0.both"]}, "scores"),
    )
    assert list(found) == ["dataio_0", "intersection_0"]
    assert "model" not in found["intersection_0"]["input"]


def test_a_sample_is_drawn_for_training_only() -> None:
    found = derived(
        dataio_0=IO,
        federated_sample_0=part("FederatedSample", {"data": ["dataio_0.train"]}, "sampled"),
        hetero_lr_0=part("HeteroLR", {"train_data": ["federated_sample_0.sampled"]}, "train", "lr"),
    )
    assert list(found) == ["dataio_0", "hetero_lr_0"]
    assert data_of(found, "hetero_lr_0") == {"eval_data": ["dataio_0.train"]}


def test_binning_that_only_selection_needs_is_left_out() -> None:
    binning = part("HeteroFeatureBinning", {"data": ["dataio_0.train"]}, "binned", "binning", need_deploy=False)
    selection = part(
        "HeteroFeatureSelection",
        {"data": ["hetero_feature_binning_0.binned"]},
        "selected",
        "selection",
        isometric_model="hetero_feature_binning_0.binning",
    )
    found = derived(dataio_0=IO, hetero_feature_binning_0=binning, hetero_feature_selection_0=selection)
    assert list(found) == ["dataio_0", "hetero_feature_selection_0"]
    assert found["hetero_feature_selection_0"]["input"] == {
        "data": {"data": ["dataio_0.train"]},
        "model": ["pipeline.hetero_feature_selection_0.selection"],
    }


def test_a_chain_that_is_not_deployed_is_seen_through_to_its_beginning() -> None:
    found = derived(
        dataio_0=IO | {"need_deploy": False},
        feature_scale_0=part("FeatureScale", {"data": ["dataio_0.train"]}, "scaled", "scale", need_deploy=False),
        hetero_lr_0=part("HeteroLR", {"train_data": ["feature_scale_0.scaled"]}, "one", "lr", need_deploy=False),
        hetero_lr_1=part("HeteroLR", {"train_data": ["feature_scale_0.scaled"]}, "two", "lr"),
        hetero_lr_2=part("HeteroLR", {"train_data": ["hetero_lr_0.one"]}, "three", "lr"),
    )
    assert {name: data_of(found, name) for name in found} == {
        "hetero_lr_1": {"eval_data": ["args.eval_data"]},
        "hetero_lr_2": {"eval_data": ["args.eval_data"]},
    }


def test_a_chain_between_deployed_components_closes() -> None:
    found = derived(
        dataio_0=IO,
        feature_scale_0=part("FeatureScale", {"data": ["dataio_0.train"]}, "scaled", "scale", need_deploy=False),
        federated_sample_0=part("FederatedSample", {"data": ["feature_scale_0.scaled"]}, "sampled"),
        intersection_0=part("Intersection", {"data": ["federated_sample_0.sampled"]}, "both"),
    )
    assert data_of(found, "intersection_0") == {"data": ["dataio_0.train"]}


@pytest.mark.parametrize("key", ["data", "train_data", "eval_data"])
def test_every_table_is_the_new_data_and_a_list_stays_a_list(key: str) -> None:
    found = derived(hetero_lr_0=part("HeteroLR", {key: ["args.anything"]}, "train", "lr"))
    assert data_of(found, "hetero_lr_0") == {"data" if key == "data" else "eval_data": ["args.eval_data"]}


def test_prediction_goes_the_way_of_the_training_data() -> None:
    found = derived(
        dataio_0=IO,
        dataio_1=part("DataIO", {"data": ["args.eval_data"]}, "eval", input_model="dataio_0.dataio", need_deploy=False),
        hetero_lr_0=part("HeteroLR", {"eval_data": ["dataio_1.eval"], "train_data": ["dataio_0.train"]}, "t", "lr"),
    )
    assert list(found) == ["dataio_0", "hetero_lr_0"]
    assert data_of(found, "hetero_lr_0") == {"eval_data": ["dataio_0.train"]}


def test_models_that_training_read_are_dropped() -> None:
    found = derived(
        dataio_0=IO,
        dataio_1=part("DataIO", {"data": ["args.more"]}, "more", "copy", input_model="dataio_0.dataio"),
        intersection_0=part("Intersection", {"data": ["dataio_1.more"]}, "both", isometric_model="dataio_0.dataio"),
    )
    assert found["dataio_1"]["input"]["model"] == ["pipeline.dataio_1.copy"]
    assert found["intersection_0"]["input"] == {"data": {"data": ["dataio_1.more"]}}


def test_several_inputs_stay_in_order_and_each_counts_once() -> None:
    found = derived(
        dataio_0=IO,
        dataio_1=IO | {"need_deploy": False},
        union_0=part("Union", {"data": ["args.a", "dataio_0.train", "dataio_1.train", "args.b"]}, "all"),
    )
    assert data_of(found, "union_0") == {"data": ["args.eval_data", "dataio_0.train"]}


def test_all_inputs_stand_in_for_a_union_but_only_one_predicts() -> None:
    found = derived(
        dataio_0=IO,
        union_0=part("Union", {"data": ["dataio_0.train", "args.b"]}, "all", need_deploy=False),
        intersection_0=part("Intersection", {"data": ["union_0.all"]}, "both"),
        hetero_lr_0=part("HeteroLR", {"train_data": ["union_0.all"]}, "train", "lr"),
    )
    assert data_of(found, "intersection_0") == {"data": ["dataio_0.train"]}
    assert data_of(found, "hetero_lr_0") == {"eval_data": ["dataio_0.train"]}


def test_alternatives_stay_alternatives() -> None:
    either = part("Intersection", {"data": ["dataio_0.train", "args.b"]}, "both", trigger_rule="one_success")
    assert data_of(derived(dataio_0=IO, intersection_0=either), "intersection_0") == {
        "data": ["dataio_0.train", "args.eval_data"]
    }


def test_what_a_component_does_not_have_it_does_not_get() -> None:
    found = derived(
        source_0=part("Source", out="rows", model="source"),
        evaluation_0=part("Evaluation", {"data": ["source_0.rows"]}, need_deploy=True),
    )
    assert found == {
        "source_0": {
            "module": "Source",
            "input": {"model": ["pipeline.source_0.source"]},
            "output": {"data": ["rows"]},
        },
        "evaluation_0": {"module": "Evaluation", "input": {"data": {"data": ["source_0.rows"]}}},
    }


def test_what_nothing_can_stand_in_for_is_named() -> None:
    source = part("Source", out="rows", need_deploy=False)
    union = part("Union", {"data": ["args.a", "source_0.rows"]}, "all", need_deploy=False)
    reader = part("HeteroLR", {"train_data": ["union_0.all"]}, "train", "lr")
    with pytest.raises(DslError) as error:
        derived(source_0=source, union_0=union, hetero_lr_0=reader)
    assert error.value.code == "FED-190"
    assert "x_dsl.json: components.hetero_lr_0.input.data.train_data: union_0 is not deployed" in str(error.value)
    assert "need_deploy: true for union_0, or false for hetero_lr_0" in str(error.value)
    assert derived(source_0=source, union_0=union, hetero_lr_0=reader | {"need_deploy": False}) == {}


def test_nothing_deployed_is_an_error_of_the_predict_job_only() -> None:
    nothing = spec(lambda components: [body.update(need_deploy=False) for body in components.values()]).graph
    assert nothing.inference_dsl == {}
    with pytest.raises(DslError, match=r"FED-191.*no component is deployed"):
        check_predict(nothing, Where("predict DSL"))


def test_a_deployed_component_that_stores_no_model_cannot_predict() -> None:
    refits = spec(lambda components: components["hetero_lr_0"]["output"].pop("model")).graph
    assert refits.inference_dsl["components"]["hetero_lr_0"]["input"] == {
        "data": {"eval_data": ["intersection_0.train"]}
    }
    with pytest.raises(DslError, match=r"FED-192.*components.hetero_lr_0.*fitted again"):
        check_predict(refits, Where("predict DSL"))
    check_predict(spec().graph, Where("predict DSL"))


def test_the_training_dsl_is_left_alone() -> None:
    found = spec()
    assert found.graph.dsl == dsl()
    assert "inference_dsl" not in found.conf


def test_an_intersection_of_training_data_runs_again_on_new_data() -> None:
    def on_training_data(components: dict[str, Any]) -> None:
        components["intersection_0"]["input"]["data"] = {"train_data": ["dataio_0.train"]}

    derived = spec(on_training_data).graph.inference_dsl["components"]["intersection_0"]
    assert derived["input"]["data"].keys() <= set(component(derived["module"]).inputs)
