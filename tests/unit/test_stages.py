"""Parts of a component: boxes within a box, what is kept of them, and attempts that go on inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airfed_proto.v1 import model_pb2
from federatedml.component import Component, Inputs, ModelSpec, Outputs, Params
from federatedml.components.stages import Stages
from federatedml.errors import ProtocolError
from federatedml.federation.box import AttemptKey, Box
from federatedml.federation.checkpoint import CheckpointStore
from federatedml.federation.party import Role
from federatedml.federation.scope import PARTS, Part, inside
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Vector
from federatedml.views import Curve, Grid, Series
from tests.conformance import Case, conforms
from tests.members import GUEST, HOST, table

NUMBER = Topic("number", (Role.HOST,), (Role.GUEST,), Vector("<i8"), Carries.CONTROL, "a number of the host")
SPEC = ModelSpec({"DataIOParam": model_pb2.DataIOParam})
STEPS = 1


def _added(box: Box, factor: int) -> Outputs:
    """The host's numbers of some rounds, added at the guest; a checkpoint each."""
    total, done = (int(str(box.resume.state["total"])), box.resume.round) if box.resume else (0, 0)
    for step in range(done, STEPS):
        if box.me.role is Role.HOST:
            box.send(NUMBER, np.array([factor + step]), step)
        else:
            total += int(box.recv(NUMBER, step)[0])
            box.metric("train", "total", step, total, round=step + 1)
        box.checkpoint(step + 1, {"total": total})
        box.progress((step + 1) / STEPS)
    rows = table(["a", "b"], kind="predictions", score=[float(total), 0.5], text=["x", "y"])
    curve = Curve("loss", "Loss", "x", "y", [Series("loss", [1.0], [2.0])])
    grid = Grid("sum", "Sum", ["total"], [[total]])
    model = {"DataIOParam": model_pb2.DataIOParam(header=[f"total {total}"])}
    return Outputs(rows, model, [curve, grid], {"total": float(total)})


def _nested(p: Params, box: Box, inputs: Inputs) -> Outputs:
    outer, found = Stages(box, 2, "fold", SPEC), []
    for number in range(2):

        def fold(own: Box, number: int = number) -> Outputs:
            inner = Stages(own, 2, "class", SPEC)
            parts = [inner.run(k, lambda b, k=k: _added(b, 100 * number + 10 * k)) for k in range(2)]
            return Outputs(
                parts[1].data, parts[1].model, parts[1].views, {"total": sum(x.summary["total"] for x in parts)}
            )

        found.append(outer.run(number, fold))
    return Outputs(
        found[1].data, found[1].model, found[1].views, {str(k): f.summary["total"] for k, f in enumerate(found)}
    )


COMPONENT = Component(
    "Nested", "Sums in parts", Params, {Role.GUEST: _nested, Role.HOST: _nested}, (NUMBER,), has_model=True, model=SPEC
)
CASE = Case(COMPONENT, dict.fromkeys((GUEST, HOST), Params()), dict.fromkeys((GUEST, HOST), Inputs()))


def test_stages_survive_every_death_and_go_on_inside(tmp_path: Path) -> None:
    result = conforms(CASE, tmp_path, kill_every=2)
    guest = result.outputs[GUEST]
    assert guest.summary == {"0": 0 + 10, "1": 100 + 110}
    assert guest.model is not None
    assert guest.model["DataIOParam"] == model_pb2.DataIOParam(header=["total 110"])
    assert guest.data is not None
    assert guest.data.columns["text"].tolist() == ["x", "y"]
    assert [view.json()["kind"] for view in guest.views] == ["curve", "grid"]


def test_metrics_carry_the_names_of_their_parts(tmp_path: Path) -> None:
    points = CASE.run(tmp_path).metrics[GUEST]
    assert [point.name for point in points] == [f"total_class_{k}_fold_{f}" for f in range(2) for k in range(2)]
    assert [point.value for point in points] == [0, 10, 100, 110]


class _Account:
    def __init__(self) -> None:
        self.spent: list[Any] = []

    def spend(self, *entry: Any) -> int:
        self.spent.append(entry)
        return 1


def _box(folder: Path, **given: Any) -> Box:

    key = AttemptKey("9999", "1", "step_0", 1, 1)
    return Box(GUEST, [GUEST, HOST], {}, given.pop("transport", None), key, CheckpointStore(folder), **given)


def test_what_done_stages_spent_is_counted_again_by_an_attempt_that_resumes(tmp_path: Path) -> None:
    stored: list[Any] = []
    first = _Account()
    box = _box(tmp_path, budget=first, on_checkpoint=stored.append)

    def work(inner: Box) -> Outputs:
        inner.budget.spend("rows", "9999", "", 7)
        return Outputs(summary={"found": 1.0})

    Stages(box, 2, "fold").run(0, work)
    second = _Account()
    resumed = Stages(_box(tmp_path, budget=second, resume=stored[-1]), 2, "fold")
    assert second.spent == first.spent == [("rows", "9999", "", 7, None)]
    assert resumed.run(0, lambda _: pytest.fail("ran again")).summary == {"found": 1.0}


def test_secrets_and_rounds_of_parts_differ(tmp_path: Path) -> None:
    box = _box(tmp_path)
    parts = [inside(box, Part(k, f"fold_{k}", 0, 1, ""), {}, lambda _: None) for k in range(2)]
    deeper = inside(parts[0], Part(1, "fold_1", 0, 1, ""), {}, lambda _: None)
    contexts = {b.attempt.context() for b in (box, *parts, deeper)}
    assert len(contexts) == 4
    assert parts[1].attempt.component == "step_0"


@pytest.mark.parametrize("number", [-1, PARTS - 1])
def test_a_box_has_a_limit_of_parts(tmp_path: Path, number: int) -> None:
    with pytest.raises(ProtocolError, match="FED-905"):
        inside(_box(tmp_path), Part(number, "x", 0, 1, ""), {}, lambda _: None)


@pytest.mark.parametrize("round", [-1, 2**52 - 1])
def test_a_part_keeps_within_its_rounds(tmp_path: Path, round: int) -> None:
    part = inside(_box(tmp_path), Part(0, "x", 0, 1, ""), {}, lambda _: None)
    with pytest.raises(ProtocolError, match="FED-906"):
        part.checkpoint(round, {})
