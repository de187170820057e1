"""SecureAddExample: the right sum, only at the guest, of numbers that nobody sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dags_generator.parse import parse_pair
from dags_generator.simulate import simulate
from federatedml.component import Inputs
from federatedml.components.secure_add import PARTIAL_SUM, SECURE_ADD, SHARES, SecureAddParams
from federatedml.errors import DslError, ProtocolError
from federatedml.federation.local import LocalNetwork, StepResult
from federatedml.federation.party import Member, Role
from tests.conformance import Case, conforms
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST

FOLDER = Path(__file__).parents[2] / "examples" / "secure_add"
DSL, CONF = FOLDER / "secure_add_dsl.json", FOLDER / "secure_add_conf.json"
MEMBERS = [[GUEST, HOST], [ARBITER, GUEST, HOST], [ARBITER, GUEST, HOST, OTHER_HOST]]


def case(members: list[Member], **given: Any) -> Case:
    p = SecureAddParams.model_validate({"seed": 7, "data_num": 20, **given})
    return Case(SECURE_ADD, dict.fromkeys(members, p), {member: Inputs() for member in members}, "secure_add_0")


def numbers(result: StepResult, member: Member) -> Any:
    table = result.outputs[member].data
    assert table is not None
    return table.columns["number"]


@pytest.mark.parametrize("members", MEMBERS, ids=len)
def test_the_contract_of_components(members: list[Member], tmp_path: Path) -> None:
    result = conforms(case(members), tmp_path)
    total = sum(numbers(result, member).sum() for member in members)
    assert {member: dict(outputs.summary) for member, outputs in result.outputs.items() if outputs.summary} == {
        GUEST: {"secure_sum": total}
    }
    assert [(point.name, point.value) for point in result.metrics[GUEST]] == [("secure_sum", total)]


def test_every_pair_of_members_exchanges_a_message(tmp_path: Path) -> None:
    members = MEMBERS[-1]
    result = case(members).run(tmp_path)
    pairs = {(m.key.source, m.key.destination) for m in result.sent if m.key.topic == "shares"}
    assert pairs == {(one, other) for one in members for other in members if one != other}


def test_numbers_are_the_seeds_and_masks_are_new_in_every_run(tmp_path: Path) -> None:
    first, second = (case([GUEST, HOST]).run(tmp_path / name) for name in "ab")
    assert (numbers(first, HOST) == numbers(second, HOST)).all()
    assert not {m.body for m in first.sent if m.key.topic == "shares"} & {m.body for m in second.sent}
    assert (numbers(first, HOST) != numbers(first, GUEST)).any()
    other_seed = case([GUEST, HOST], seed=8).run(tmp_path / "c")
    assert (numbers(first, HOST) != numbers(other_seed, HOST)).any()


def test_without_a_seed_the_numbers_are_the_jobs(tmp_path: Path) -> None:
    one = case([GUEST, HOST], seed=None)
    runs = [
        LocalNetwork(tmp_path / folder).run(one.component, one.params, one.inputs, "secure_add_0", job)
        for folder, job in (("a", "1"), ("b", "1"), ("c", "2"))
    ]
    assert (numbers(runs[0], GUEST) == numbers(runs[1], GUEST)).all()
    assert (numbers(runs[0], GUEST) != numbers(runs[2], GUEST)).any()


def test_a_share_alone_looks_uniform(tmp_path: Path) -> None:
    result = case([GUEST, HOST], data_num=20_000).run(tmp_path)
    for message in result.sent:
        if message.key.topic == "shares":
            top = SHARES.codec.decode(message.body) >> np.uint64(60)
            counts = np.bincount(top.astype(np.int64), minlength=16)
            assert np.abs(counts - 1250).max() < 7 * 35  # seven standard deviations


def test_a_sum_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    one = case([GUEST, HOST])

    def lies(p: Any, box: Any, inputs: Any) -> Any:
        send: Callable[..., None] = box.send
        box.send = lambda topic, value, **to: send(topic, value + np.uint64(topic is PARTIAL_SUM), **to)
        return SECURE_ADD.roles[Role.HOST](p, box, inputs)

    liar = Case(_with_host(lies), one.params, one.inputs)
    with pytest.raises(ProtocolError, match="FED-373"):
        liar.run(tmp_path)


def test_a_share_of_another_length_is_refused(tmp_path: Path) -> None:
    one = case([GUEST, HOST])

    def sends_less(p: Any, box: Any, inputs: Any) -> Any:
        box.send(SHARES, np.zeros(3, np.uint64))

    with pytest.raises(ProtocolError, match=r"FED-381.*3 words came, expected 20"):
        Case(_with_host(sends_less), one.params, one.inputs).run(tmp_path)


def _with_host(function: Any) -> Any:
    return replace(SECURE_ADD, roles={**SECURE_ADD.roles, Role.HOST: function})


def test_the_example_adds_without_any_table(tmp_path: Path) -> None:
    found = simulate(DSL, CONF, tmp_path)
    assert set(found.outputs["secure_add_0"]) == {ARBITER, GUEST, HOST}
    assert found.summaries()["secure_add_0"]["guest_9999"]["secure_sum"] > 0


def _parsed(dsl: Callable[[Any], object] = lambda _: None, conf: Callable[[Any], object] = lambda _: None) -> Any:
    texts = [json.loads(path.read_text()) for path in (DSL, CONF)]
    dsl(texts[0]["components"]), conf(texts[1])
    return parse_pair("secure_add", *(json.dumps(text).encode() for text in texts), "secure_add_dsl.json", "conf")


def test_no_arbiter_is_needed_but_a_host_is() -> None:
    spec = _parsed(conf=lambda c: c["role"].pop("arbiter"))
    assert spec.graph.components["secure_add_0"].members == (GUEST, HOST)
    with pytest.raises(DslError, match=r"FED-135.*needs host"):
        _parsed(conf=lambda c: c["role"].pop("host"))


def test_components_can_be_chained() -> None:
    second = {"module": "SecureAddExample", "input": {"data": {"data": ["secure_add_0.numbers"]}}}
    spec = _parsed(dsl=lambda components: components.update(secure_add_1=second))
    assert spec.graph.components["secure_add_1"].upstream == ["secure_add_0"]


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (lambda c: c["role"].update(guest=[9999, 9998]), "FED-181"),
        (lambda c: c.update(role_parameters={"host": {"secure_add_0": {"seed": [5]}}}), "FED-180"),
        (lambda c: c["algorithm_parameters"]["secure_add_0"].update(data_num=0), "FED-133"),
        (lambda c: c["algorithm_parameters"]["secure_add_0"].update(data_num=1_000_001), "FED-133"),
    ],
)
def test_members_that_would_not_agree_are_refused(edit: Callable[[Any], object], code: str) -> None:
    with pytest.raises(DslError, match=code):
        _parsed(conf=edit)


def test_the_disclosure_says_what_the_guest_learns() -> None:
    learned = {entry["topic"]: entry["learns"] for entry in SECURE_ADD.disclosure()["topics"]}
    assert learned["shares"].startswith("nothing")
    assert "one other member" in learned["partial_sum"]
