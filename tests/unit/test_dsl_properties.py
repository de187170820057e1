"""Whatever is written into a pipeline, it is either valid or a ``DslError``."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dags_generator.acceptor import proposed
from dags_generator.parse import parse_native
from dags_generator.plan import job_plan
from dags_generator.reading import MAX_INTEGER, normalised, read_object
from dags_generator.roleplan import dump_role_plans, load_role_plans, role_plans
from dags_generator.spec import PipelineSpec
from federated_operators.gateway.plan import ProposedJob, dump_plan, load_plan
from federated_operators.trained import completed
from federatedml.canonical import canonical_json
from federatedml.errors import DslError
from tests import pipeline_example as v1
from tests import pipeline_v2_example as v2
from tests import predict_example as prediction
from tests.pipeline_example import JOB_ID

T = TypeVar("T")
MEANINGFUL = "dataio_0.train args.train_data hetero_lr_0.hetero_lr dataio_0 hetero_lr_1 Evaluation guest data model"
HOSTILE = ("{{ 1 }}", "../..", "a\0b", "\N{FULLWIDTH FULL STOP}" * 2, "", "x" * 300, "\x1b[2J")
MEANINGFUL_V2 = "reader_0.data reader_0 Reader common role component_parameters all 0 0|1 1 table dsl_version test_data"
MEANINGFUL_PREDICT = "pipeline.hetero_lr_0.hetero_lr pipeline.dataio_0.dataio predict train job_type model_version"
WORDS = st.sampled_from([*MEANINGFUL.split(), *MEANINGFUL_V2.split(), *MEANINGFUL_PREDICT.split(), *HOSTILE])
EXAMPLES = tuple({"dsl": each.dsl(), "conf": each.conf()} for each in (v1, v2, prediction))
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(), WORDS, st.text(st.characters(), max_size=8)
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=6
)


def outcome(call: Callable[[], T]) -> T | DslError:
    """The result, or the one error that is allowed."""
    try:
        return call()
    except DslError as error:
        return error


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """Paths of everything within a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] + [place for key, item in items for place in places(item, (*path, key))]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """An example with one to four places replaced, removed or renamed."""
    value: Any = copy.deepcopy(draw(st.sampled_from(EXAMPLES)))
    for _ in range(draw(st.integers(1, 4))):
        *path, last = draw(st.sampled_from(places(value)[1:] or [("dsl",)]))
        parent = value
        for key in path:
            parent = parent[key]
        how = draw(st.sampled_from(["replace", "remove", "rename", "copy"]))
        if how == "replace":
            parent[last] = draw(VALUES)
        elif how == "copy":
            parent[last] = copy.deepcopy(_at(value, draw(st.sampled_from(places(value)))))
        else:
            moved = parent.pop(last) if parent else None
            if how == "rename" and isinstance(parent, dict):
                parent[draw(WORDS)] = moved
    return value


def _at(value: Any, path: tuple) -> Any:
    for key in path:
        value = value[key]
    return value


@settings(deadline=None, max_examples=500)
@given(mutated())
def test_a_mutated_pipeline_is_valid_or_a_dsl_error(value: dict[str, Any]) -> None:
    found = outcome(lambda: parse_native("p", json.dumps(value).encode(), "p.json"))
    if isinstance(found, DslError):
        assert len(str(found)) < 3000
        assert str(found).isprintable()
    else:
        consistent(found)


@settings(deadline=None, max_examples=300)
@given(mutated())
def test_a_mutated_proposal_is_valid_or_a_dsl_error(value: dict[str, Any]) -> None:
    found = outcome(
        lambda: proposed(ProposedJob("9999", JOB_ID, "p", *(canonical_json(value.get(key)) for key in ("dsl", "conf"))))
    )
    assert isinstance(found, DslError | PipelineSpec)


@settings(deadline=None)
@given(st.binary(max_size=64))
def test_bytes_are_an_object_or_a_dsl_error(body: bytes) -> None:
    assert isinstance(outcome(lambda: read_object(body, "x")), dict | DslError)


@given(st.dictionaries(st.text(), VALUES))
def test_the_normal_form_is_what_the_canonical_form_reads_back_as(value: dict[str, Any]) -> None:
    normal = outcome(lambda: normalised(value, "x"))
    assert isinstance(normal, DslError) or same(read_object(canonical_json(normal), "x"), normal)


def test_whole_numbers_are_integers_however_they_are_written() -> None:
    assert read_object(b'{"a": 1.0, "b": -0.0, "c": 1e2, "d": 0.5, "e": 1e300}', "x") == {
        "a": 1, "b": 0, "c": 100, "d": 0.5, "e": 1e300
    }  # fmt: skip
    assert type(read_object(b'{"a": 1.0}', "x")["a"]) is int
    assert read_object(b'{"a": 9007199254740991}', "x")["a"] == MAX_INTEGER


def same(one: Any, other: Any) -> bool:
    """Equal in types too."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or math.isnan(one))


def consistent(found: PipelineSpec) -> None:
    """What holds for every valid pipeline."""
    order = list(found.graph.components)
    for member in found.parties.members:
        plan = job_plan(found, member, JOB_ID, "")
        assert dump_plan(load_plan(dump_plan(plan))) == dump_plan(plan)
        for name, step in plan.steps.items():
            assert member in step.members
            assert all(order.index(before) < order.index(name) for before in step.upstream)
            assert set(step.upstream) <= set(plan.steps)
    for member in found.parties.members:
        plans = role_plans(found.graph, member.party, found)
        assert dump_role_plans(load_role_plans(dump_role_plans(plans))) == dump_role_plans(plans)


def test_the_example_is_consistent() -> None:
    consistent(v1.spec())
    consistent(v2.spec())
    consistent(prediction.spec())


@settings(deadline=None, max_examples=300)
@given(mutated())
def test_what_a_model_adds_to_a_conf_is_the_same_again_or_a_dsl_error(value: dict[str, Any]) -> None:
    given_conf, model = value.get("conf"), prediction.trained()
    parties = prediction.spec().parties.json()
    if not isinstance(given_conf, dict) or not isinstance(given_conf.get("job_parameters"), dict):
        return
    found = outcome(lambda: completed({**given_conf, **parties}, model))
    if isinstance(found, DslError):
        assert str(found).isprintable()
    else:
        assert same(completed(found, model), found)
        assert found["job_parameters"]["model_version"] == model.version


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"components": {"a_0": {"module": "A", "module": "B"}}}', "x: components.a_0: key 'module' is given twice"),
        (b'{"algorithm_parameters": {"lr_0": {"alpha": NaN}}}', "x: algorithm_parameters.lr_0.alpha: NaN is not"),
        (
            b'{"algorithm_parameters": {"lr_0": {"alpha": 1e400}}}',
            "x: algorithm_parameters.lr_0.alpha: a number",
        ),
        (b'{"a": {"b": [1, {"c": 9007199254740992}]}}', "x: a.b.c: 9007199254740992 is beyond 2"),
        (b'{"a": 1, "a": 2}', "x: key 'a' is given twice"),
        (b'{"a": {"\\ud800": 1}}', r"x: a\..ud800: '.ud800' holds half"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(body: bytes, words: str) -> None:
    with pytest.raises(DslError, match=f"FED-100.*({words})"):
        read_object(body, "x")
