"""The published suite notices components that break the contract, and passes one of another package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import numpy as np
import pytest

from airfed_proto.v1 import model_pb2
from federatedml.component import Component, Inputs, ModelBuffers, ModelSpec, Outputs, Params, Prediction, Scorer
from federatedml.conformance import Broken, Case, Conformance
from federatedml.conformance.__main__ import main
from federatedml.conformance.case import Found
from federatedml.conformance.chart import Message, from_text, in_order
from federatedml.conformance.witness import Event
from federatedml.data.table import Kind, Table
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.box import Box, MessageKey
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Vector
from tests.members import GUEST, HOST, table

PART = Topic("part", (Role.HOST,), (Role.GUEST,), Vector("<f8"), Carries.ROW_VALUES, "the host's part of every score")
DONE = Topic("done", (Role.GUEST,), (Role.HOST,), Vector("|u1"), Carries.CONTROL, "that the guest is done")
WEIGHTS = {GUEST: 2.0, HOST: 3.0}


def partial(model: ModelBuffers, rows: Table) -> Any:
    weight = cast(model_pb2.LRModelParam, model["MineParam"]).weight["w"]
    return rows.columns[rows.header[0]] * weight


def merge(model: ModelBuffers, own: Any, hosts: Any) -> Any:
    return own + sum(hosts)


def guest(p: Params, box: Box, inputs: Inputs) -> Outputs:
    rows, model = inputs.one("data"), inputs.model or fitted(box)
    part = box.recv(PART)
    if len(part) != len(rows):
        raise ProtocolError("FED-381", "another number of rows")
    box.send(DONE, np.zeros(1, np.uint8))
    scores = merge(model, partial(model, rows), [part])
    found = Table(rows.ids, {"predict_score": scores}, kind=Kind.PREDICTIONS)
    return Outputs(found, model, summary={"rows": len(rows)})


def host(p: Params, box: Box, inputs: Inputs) -> Outputs:
    model = inputs.model or fitted(box)
    box.send(PART, partial(model, inputs.one("data")))
    box.recv(DONE)
    return Outputs(None, model)


def fitted(box: Box) -> ModelBuffers:
    return {"MineParam": model_pb2.LRModelParam(weight={"w": WEIGHTS[box.me]})}


MINE = Component(
    "Mine",
    "a component of another package",
    Params,
    {Role.GUEST: guest, Role.HOST: host},
    (PART, DONE),
    learns={Role.GUEST: ["the scores"]},
    has_model=True,
    model=ModelSpec({"MineParam": model_pb2.LRModelParam}),
    scorer=Scorer(partial=partial, merge=merge),
    prediction=Prediction(topics=(PART, DONE)),
)
INPUTS = {
    GUEST: Inputs({"data": [table(["a", "b", "c"], x=[1.0, 2.0, 3.0])]}),
    HOST: Inputs({"data": [table(["a", "b", "c"], z=[0.5, 0.25, 0.125])]}),
}


def pooled(outputs: Found) -> Mapping[str, tuple[Any, Any]]:
    scores = outputs[GUEST].data
    assert scores
    return {"scores": (scores.columns["predict_score"], 2 * np.array([1, 2, 3]) + 3 * np.array([0.5, 0.25, 0.125]))}


CASE = Case(MINE, {GUEST: Params(), HOST: Params()}, INPUTS, reference=pooled)


class TestMine(Conformance):
    golden: ClassVar[Path] = Path(__file__).parents[1] / "golden"

    def cases(self) -> Mapping[str, Case]:
        return {"plain": CASE}


def broken(case: Case, check: Callable[[Conformance], None]) -> str:
    """What the suite says of a case that breaks the contract."""

    class Suite(Conformance):
        def cases(self) -> Mapping[str, Case]:
            return {"plain": case}

    with pytest.raises(Broken) as refused:
        check(Suite())
    return str(refused.value)


def with_roles(**roles: Any) -> Case:
    return replace(CASE, component=replace(MINE, roles={**MINE.roles, **{Role(name): f for name, f in roles.items()}}))


def test_topics_that_never_pass_and_messages_that_nobody_reads_are_noticed() -> None:
    def deaf(p: Params, box: Box, inputs: Inputs) -> Outputs:
        box.send(PART, partial(fitted(box), inputs.one("data")))
        return Outputs(None, fitted(box))

    def messages(suite: Conformance) -> None:
        suite.test_messages_are_the_declared_ones_and_all_are_received("plain")

    other = replace(DONE, name="other")
    unused = replace(CASE, component=replace(MINE, topics=(*MINE.topics, other)))
    assert "neither sent nor conditional: ['other']" in broken(unused, messages)
    assert "nobody received" in broken(with_roles(host=deaf), messages)
    assert "called conditional: ['part']" in broken(replace(CASE, conditional=["part"]), messages)


def test_a_result_that_is_not_the_pooled_one_is_noticed() -> None:
    wrong = replace(CASE, reference=lambda outputs: {"scores": (pooled(outputs)["scores"][0], [0.0, 0.0, 0.0])})
    assert broken(wrong, lambda suite: suite.test_the_result_is_that_of_pooled_rows("plain")).startswith("scores:")
    none = replace(CASE, reference=None)
    assert "no case" in broken(none, lambda suite: suite.test_some_result_is_compared_with_pooled_rows())


def test_scores_that_depend_on_the_other_rows_are_noticed(tmp_path: Path) -> None:
    def centred(model: ModelBuffers, rows: Table) -> Any:
        found = partial(model, rows)
        return found - found.mean()

    case = replace(CASE, component=replace(MINE, scorer=Scorer(partial=centred, merge=merge)))
    assert "row 0" in broken(case, lambda suite: suite.test_online_scores_are_those_of_the_batch("plain", tmp_path))


def test_an_error_without_a_code_for_hostile_bytes_is_noticed(tmp_path: Path) -> None:
    def trusting(p: Params, box: Box, inputs: Inputs) -> Outputs:
        rows = inputs.one("data")
        part = box.recv(PART)
        box.send(DONE, np.zeros(1, np.uint8))
        return Outputs(Table(rows.ids, {"predict_score": np.array([part[at] for at in range(len(rows))])}), fitted(box))

    case = with_roles(guest=trusting)
    said = broken(case, lambda suite: suite.test_hostile_bytes_give_a_coded_error("plain", tmp_path))
    assert "IndexError" in said


def test_a_result_that_differs_after_a_death_is_noticed(tmp_path: Path) -> None:
    def counting(p: Params, box: Box, inputs: Inputs) -> Outputs:
        found = guest(p, box, inputs)
        return replace(found, summary={"attempt": float(box.attempt.attempt)})

    case = with_roles(guest=counting)
    said = broken(case, lambda suite: suite.test_any_member_may_die_at_any_point("plain", tmp_path))
    assert "summary.attempt is 2.0, expected 1.0" in said


def test_a_topic_that_says_nothing_is_noticed() -> None:
    silent = replace(CASE, component=replace(MINE, topics=(replace(PART, learns="it"), DONE)))
    said = broken(silent, lambda suite: suite.test_the_declaration_says_who_learns_what())
    assert "part does not say" in said


def test_a_protocol_without_a_case_is_noticed() -> None:
    class Chosen(Params):
        protocol: Literal["auto", "one", "other"] = "auto"

    members = {GUEST: Chosen(protocol="one"), HOST: Chosen(protocol="one")}
    case = replace(CASE, component=replace(MINE, params=Chosen), params=members)
    said = broken(case, lambda suite: suite.test_every_protocol_has_a_case())
    assert said == "no case runs with protocol ['other']"


def test_charts_are_written_by_a_command_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "test_mine.py"
    file.write_text(
        "from federatedml.conformance import Conformance\n"
        "from tests.unit.test_conformance_suite import CASE\n"
        "class TestIt(Conformance):\n    def cases(self):\n        return {'one, two': CASE}\n"
    )
    stale = tmp_path / "golden" / "Mine" / "stale.txt"
    stale.parent.mkdir(parents=True)
    stale.touch()
    assert main([str(file)]) == 0
    assert [path.name for path in (tmp_path / "golden" / "Mine").iterdir()] == ["one_two.txt"]
    found = from_text((tmp_path / "golden/Mine/one_two.txt").read_text(), "one_two.txt")
    assert [(m.source, m.topic) for m in found] == [(HOST, "part"), (GUEST, "done")]
    for wrong in ("guest_9999 -> host_1", "guest_9999 to host_1 part 0 1", "guest_9999 -> host_1 part x 1"):
        with pytest.raises(DataError, match="FED-930"):
            from_text(wrong, "chart")


def test_the_order_of_a_chart_is_that_of_causes() -> None:
    first, second = MessageKey("b", 0, HOST, GUEST), MessageKey("a", 0, GUEST, HOST)
    alone = MessageKey("c", 0, HOST, GUEST)
    events = [Event(first, 1, True), Event(first, 1, False), Event(second, 2, True), Event(alone, 3, True)]
    expected = [Message(k.source, k.destination, k.topic, 0, n) for k, n in ((first, 1), (alone, 3), (second, 2))]
    assert in_order(events) == in_order([events[0], events[3], events[1], events[2]]) == expected
