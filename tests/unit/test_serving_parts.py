"""Parts of scores on the wire: what goes in comes out, and what a host must not send is refused."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from airfed_proto.v1 import serving_pb2 as pb
from federated_operators.registry.cache import Binding
from federatedml.component import ModelBuffers, Scorer
from federatedml.data.table import Table
from serving.app import _row_score
from serving.chain import Stage
from serving.model import LoadedModel
from serving.parts import decoded, encoded, fits
from serving.retcode import Retcode, ScoreError
from serving.scoring import Answer, Row, Scoring
from serving.shelf import Shelf
from tests.members import GUEST

SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 9)) | st.tuples(st.integers(1, 5))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 1.0])


@given(arrays.arrays(np.float64, SHAPES, elements=NUMBERS))
def test_values_survive(values: Any) -> None:
    found = decoded(pb.PartialScore.FromString(encoded("lr", values).SerializeToString()), len(values))
    assert found is not None
    assert found.shape == values.shape
    assert (found == values).all()


def test_bits_take_a_bit_each() -> None:
    values = (np.random.default_rng(0).random((100, 1500)) > 0.5).astype(np.float64)
    assert encoded("trees", values).ByteSize() < 100 * 1500 / 8 + 20


@pytest.mark.parametrize(
    "part",
    [
        {"values": [1.0]},
        {"values": [1.0, 2.0, 3.0]},
        {"values": [1.0, float("nan")]},
        {"values": [1.0, float("inf")]},
        {"values": [1.0, 2.0], "width": 2},
        {"values": [1.0] * 4, "width": 3},
        {"values": [1.0] * 4, "width": 2, "bits": b"\0"},
        {"bits": b"\0"},
        {"bits": b"\0\0", "width": 2},
        {"bits": b"\0", "width": 5},
        {"width": 2**32 - 1},
        {"width": 2**32 - 1, "bits": b"\0"},
        {},
    ],
)
def test_a_part_that_does_not_have_as_many_numbers_as_it_says_is_none(part: dict[str, Any]) -> None:
    assert decoded(pb.PartialScore(component="lr", **part), 2) is None


@pytest.mark.parametrize("values", [[1.0, 0.0, 1.0, 0.0, 0.0, 1.0], [0.5, 1.0, 2.0, 3.0, 4.0, 5.0]])
def test_of_what_a_host_sends_the_first_numbers_of_each_row_are_of_use(values: list[float]) -> None:
    whole = np.array(values).reshape(2, 3)
    for used in range(4):
        found = decoded(encoded("trees", whole), 2, used)
        assert found is not None
        assert found.tolist() == whole[:, :used].tolist()
    assert decoded(encoded("trees", whole), 2, 4) is None
    assert decoded(pb.PartialScore(component="trees", values=[1.0, 2.0]), 2, 1) is None


def peak(work: Callable[[], object]) -> int:
    """Most bytes that ``work`` held at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_widest_reply_takes_no_more_than_what_is_used_of_it() -> None:
    """300 rows of 65536 bits are 2.4 MB on the wire, and would be 157 MB as numbers of eight bytes."""
    rows, width = 300, 1 << 16
    part = pb.PartialScore(component="trees", width=width, bits=bytes(rows * width // 8))
    assert peak(lambda: fits(part, rows)) < 2 * len(part.bits)
    assert peak(lambda: decoded(part, rows, 20)) < 12 * len(part.bits)
    with pytest.raises(ScoreError, match="another shape"):
        scored([[1.0, 1.0]], pb.PartialScore(component="lr_0", width=width, bits=bytes(width // 8)))


class Hosts:
    """Hosts that answer what a test says; the real ones are checked in ``Peers``."""

    def __init__(self, *parts: pb.PartialScore) -> None:
        self.parts, self.asked = parts, 0

    async def score(self, party: str, request: pb.ScoreRequest, timeout: float) -> pb.ScoreReply:
        self.asked += 1
        return pb.ScoreReply(model_version=request.model_version, scores=self.parts)


def summed(model: ModelBuffers, own: Any, others: Any) -> Any:
    return own + sum(others)


def scored(own: list[Any], *parts: pb.PartialScore, alone: bool = False) -> tuple[Answer | ScoreError, Hosts]:
    """The answer to one row whose own part is ``own``, with one host that sends ``parts``."""

    def partial(model: ModelBuffers, rows: Table) -> Any:
        return np.array([own[0]])

    stage = Stage("lr_0", "LR", {}, Scorer(partial=partial, merge=summed, alone=alone, classes=lambda _: [4.0, 7.0]))
    shelf, hosts = Shelf(), Hosts(*parts)
    shelf.replace({"m": LoadedModel(Binding("m", "p", 1, "job", "d"), GUEST, ["9999"], ["1"], "k", [stage])}, {})
    found = asyncio.run(Scoring(shelf, hosts).score("k", [Row({"x": 1.0}, "id")]))  # type: ignore[arg-type]
    return found.rows[0], hosts


def test_a_host_adds_one_number_or_one_per_class() -> None:
    assert scored([1.0], pb.PartialScore(component="lr_0", values=[2.0]))[0] == Answer(3.0)
    several = pb.PartialScore(component="lr_0", values=[2.0, 0.5], width=2)
    assert scored([[1.0, 1.0]], several)[0] == Answer([3.0, 1.5], 4.0)


@pytest.mark.parametrize(
    ("own", "part"),
    [
        ([1.0], {"values": [2.0], "width": 1}),
        ([1.0], {"values": [1.0, 2.0], "width": 2}),
        ([[1.0, 1.0]], {"values": [2.0]}),
        ([[1.0, 1.0]], {"values": [2.0] * 3, "width": 3}),
        ([[1.0]], {"values": [2.0] * 3, "width": 3}),
    ],
)
def test_a_part_of_another_shape_than_the_own_is_the_hosts_fault(own: list[Any], part: dict[str, Any]) -> None:
    with pytest.raises(ScoreError) as refused:
        scored(own, pb.PartialScore(component="lr_0", **part))
    assert refused.value.retcode == Retcode.INVALID_RESPONSE


def test_no_host_is_asked_for_what_a_party_scores_alone() -> None:
    answer, hosts = scored([1.0], alone=True)
    assert (answer, hosts.asked) == (Answer(1.0), 0)


def test_several_classes_are_answered_as_fate_serving_does() -> None:
    found = _row_score(Answer([0.25, 0.75], 7.0)).model_dump(exclude_none=True)
    assert found == {"score": [0.25, 0.75], "label": 7}
    assert _row_score(Answer(0.5)).model_dump(exclude_none=True) == {"score": 0.5}
    assert _row_score(Answer([0.5], 1.5)).label == 1.5
