"""FATE's own catalogue of errors: what a release reported, or overlooked, is refused with a code and a place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dags_generator.fate_modules import FATE_MODULES
from dags_generator.parse import parse_pair, parse_paths
from dags_generator.reading import read_object
from federatedml.component import registry
from federatedml.errors import DslError
from tests import pipeline_v2_example as v2
from tests.pipeline_example import Edit, at, conf, dsl, renamed, spec, unchanged, without

LR = "hetero_lr_0"
DSL_FILE, CONF_FILE = "hetero_lr_dsl.json", "hetero_lr_conf.json"

# FATE 1.5's exception -> edit of the DSL, edit of the conf, code, beginning of the message
TYPED: dict[str, tuple[Edit, Edit, str, str]] = {
    "ModuleFieldNotExistError": (
        without(LR, "module"),
        unchanged,
        "FED-102",
        f"{DSL_FILE}: components.{LR}: key 'module'",
    ),
    "ModuleNotExistError": (at(LR, module="HetroLR"), unchanged, "FED-121", f"{DSL_FILE}: components.{LR}.module"),
    "ComponentNotExistError": (unchanged, at("algorithm_parameters", lr={}), "FED-132", f"{CONF_FILE}: algorithm_p"),
    "ComponentMultiMappingError": (renamed(LR, "dataio_1"), unchanged, "FED-112", f"{DSL_FILE}: components.dataio_1"),
    "InputComponentNotExistError": (
        at(LR, input={"data": {"train_data": ["x_0.train"]}}),
        unchanged,
        "FED-120",
        f"{DSL_FILE}: components.{LR}.input.data.train_data: there is no component 'x_0'",
    ),
    "InputNameNotExistError": (
        at(LR, input={"data": {"train_data": ["dataio_0.x"]}}),
        unchanged,
        "FED-122",
        f"{DSL_FILE}: components.{LR}.input.data.train_data: dataio_0 has no data output 'x'",
    ),
    "ComponentInputTypeError": (
        at(LR, input=["dataio_0.train"]),
        unchanged,
        "FED-103",
        f"{DSL_FILE}: components.{LR}.input",
    ),
    "ComponentInputDataTypeError": (
        at(LR, input={"data": ["dataio_0.train"]}),
        unchanged,
        "FED-103",
        f"{DSL_FILE}: components.{LR}.input.data: found a list",
    ),
    "ComponentInputValueTypeError": (
        at(LR, input={"data": {"train_data": [{}]}}),
        unchanged,
        "FED-103",
        f"{DSL_FILE}: components.{LR}.input.data.train_data: found an object",
    ),
    "ComponentOutputTypeError": (at(LR, output=["train"]), unchanged, "FED-103", f"{DSL_FILE}: components.{LR}.output"),
    "ComponentOutputKeyTypeError": (
        at(LR, output={"data": "train"}),
        unchanged,
        "FED-103",
        f"{DSL_FILE}: components.{LR}.output.data: found a string",
    ),
    "NamingError": (
        renamed(LR, "lr"),
        unchanged,
        "FED-110",
        f"{DSL_FILE}: components.lr: the name is not prefix_INDEX",
    ),
    "NamingIndexError": (
        renamed(LR, "hetero_lr_2"),
        unchanged,
        "FED-111",
        f"{DSL_FILE}: components: indices of prefix",
    ),
    "NamingFormatError": (
        renamed("evaluation_0", "my eval_0"),
        unchanged,
        "FED-110",
        f"{DSL_FILE}: components.'my eval_0': not a component's name",
    ),
    "LoopError": (
        at("dataio_0", input={"data": {"data": ["intersection_0.train"]}}),
        unchanged,
        "FED-125",
        f"{DSL_FILE}: components: components wait for each other: dataio_0 -> intersection_0 -> dataio_0",
    ),
    "ModeError": (
        unchanged,
        at("job_parameters", work_mode=2),
        "FED-103",
        f"{CONF_FILE}: job_parameters.work_mode: found 2",
    ),
    "DataNotExistInSubmitConfError": (
        unchanged,
        without("role_parameters", "guest", "args"),
        "FED-134",
        f"{CONF_FILE}: role_parameters.guest.args.data: no table 'train_data'",
    ),
    "RoleParameterNotListError": (
        unchanged,
        at("role_parameters", "host", hetero_lr_0={"max_iter": 3}),
        "FED-131",
        f"{CONF_FILE}: role_parameters.host.hetero_lr_0.max_iter: found 3",
    ),
    "RoleParameterNotConsistencyError": (
        unchanged,
        at("role_parameters", "host", hetero_lr_0={"max_iter": [3, 4]}),
        "FED-131",
        f"{CONF_FILE}: role_parameters.host.hetero_lr_0.max_iter: 2 values for 1 host parties",
    ),
    "ParameterCheckError": (
        unchanged,
        at("algorithm_parameters", LR, penalty="L3"),
        "FED-133",
        f"{CONF_FILE}: algorithm_parameters.hetero_lr_0.penalty: found 'L3'",
    ),
    "RedundantParameterError": (
        unchanged,
        at("algorithm_parameters", LR, filter_method=1),
        "FED-133",
        f"{CONF_FILE}: algorithm_parameters.hetero_lr_0: parameter 'filter_method' is not known",
    ),
}


@pytest.mark.parametrize("name", TYPED)
def test_what_fate_1_5_names_by_a_type_has_a_code_and_a_place(name: str) -> None:
    dsl_edit, conf_edit, code, text = TYPED[name]
    with pytest.raises(DslError) as error:
        spec(dsl_edit, conf_edit)
    assert error.value.code == code
    assert error.value.message.startswith(text)


TEXTS: dict[str, Callable[[], object]] = {
    "ComponentFieldNotExistError": lambda: pair({}, conf()),
    "ComponentDuplicateError": lambda: read_object(b'{"components": {"a_0": {}, "a_0": {}}}', DSL_FILE),
    "conf is empty": lambda: pair(dsl(), {}),
    "conf is not JSON": lambda: parse_pair("p", json.dumps(dsl()).encode(), b"", DSL_FILE, CONF_FILE),
    "DSLNotExistError": lambda: parse_paths(Path("gone_dsl.json"), Path(__file__)),
    "SubmitConfNotExistError": lambda: parse_paths(v2.FOLDER / "hetero_lr_v2_dsl.json", Path("gone_conf.json")),
}
WORDS = {
    "ComponentFieldNotExistError": rf"FED-102.*{DSL_FILE}: key 'components' is missing",
    "ComponentDuplicateError": rf"FED-100.*{DSL_FILE}: components: key 'a_0' is given twice.*each key once",
    "conf is empty": rf"FED-102.*{CONF_FILE}: key 'role' is missing",
    "conf is not JSON": rf"FED-100.*{CONF_FILE}: not JSON at line 1",
    "DSLNotExistError": r"FED-160.*gone_dsl\.json cannot be read",
    "SubmitConfNotExistError": r"FED-160.*gone_conf\.json cannot be read",
}


def pair(dsl_value: Any, conf_value: Any) -> object:
    return parse_pair("p", json.dumps(dsl_value).encode(), json.dumps(conf_value).encode(), DSL_FILE, CONF_FILE)


@pytest.mark.parametrize("name", TEXTS)
def test_a_whole_file_that_is_wrong_is_named(name: str) -> None:
    with pytest.raises(DslError, match=WORDS[name]):
        TEXTS[name]()


@pytest.mark.parametrize("module", sorted(FATE_MODULES - set(registry())))
def test_a_module_of_fate_that_is_not_built_is_refused_by_name(module: str) -> None:
    with pytest.raises(DslError, match=rf"FED-151.*components\.hetero_lr_0\.module: module {module} is not built yet"):
        spec(at(LR, module=module))


def test_the_parts_of_fate_that_are_built_go_by_its_names() -> None:
    assert {"DataIO", "Intersection", "HeteroLR", "Evaluation", "SecureAddExample"} <= FATE_MODULES & set(registry())


def test_parameters_for_a_role_that_skips_the_component_are_noted() -> None:
    found = spec(conf_edit=at("role_parameters", "arbiter", evaluation_0={}))
    assert "role_parameters.arbiter.evaluation_0 has no effect: arbiter does not run evaluation_0" in found.notes
    assert not any("evaluation_0" in note for note in spec().notes)


# The grammar of v1 in the forms in which FATE's users write it: everything but the module is as it should be.

CHAIN = (
    (
        "feature_scale_0",
        "FeatureScale",
        {"data": {"data": ["intersection_0.train"]}},
        {"data": ["train"], "model": ["m"]},
    ),
    (
        "hetero_feature_binning_0",
        "HeteroFeatureBinning",
        {"data": {"data": ["feature_scale_0.train"]}},
        {"data": ["train"], "model": ["binning_model"]},
    ),
    (
        "hetero_feature_selection_0",
        "HeteroFeatureSelection",
        {
            "data": {"data": ["hetero_feature_binning_0.train"]},
            "isometric_model": ["hetero_feature_binning_0.binning_model"],
        },
        {"data": ["train"], "model": ["selected"]},
    ),
)


def long_chain(modules: dict[str, str]) -> Edit:
    """FATE's chain of scale, binning and selection before HeteroLR; ``modules`` stand in for those of its own."""

    def edit(components: dict[str, Any]) -> None:
        for name, module, inputs, outputs in CHAIN:
            components[name] = {"module": modules.get(module, module), "input": inputs, "output": outputs}
        components["hetero_feature_binning_0"]["need_deploy"] = False
        components[LR]["input"] = {"data": {"train_data": ["hetero_feature_selection_0.train"]}}

    return edit


def test_only_the_modules_that_are_not_built_are_wrong_with_fates_chain() -> None:
    stands_in = dict.fromkeys({module for _, module, _, _ in CHAIN} - set(registry()), "DataIO")
    found = spec(long_chain(stands_in))
    assert list(found.graph.components)[-2:] == ["hetero_lr_0", "evaluation_0"]
    assert "hetero_feature_binning_0" not in found.graph.inference_dsl["components"]


@pytest.mark.parametrize("module", sorted(FATE_MODULES - set(registry())))
def test_v2_refuses_the_same_modules(module: str) -> None:
    with pytest.raises(DslError, match=rf"FED-151.*module {module} is not built yet"):
        v2.spec(at(LR, module=module))
