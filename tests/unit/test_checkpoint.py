"""Checkpoints: stored whole, read back exactly, refused when damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from federatedml.errors import ProtocolError
from federatedml.federation.checkpoint import CheckpointStore

STATE = {
    "w": np.array([[1.5, np.nan], [-0.0, np.inf]]),
    "s": np.arange(3, dtype=np.uint64),
    "epoch": 3,
    "losses": [0.5],
}


def test_a_state_is_read_back_exactly(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    stored = store.store(1, 7, STATE)
    found = store.load(1, 7, stored.digest)
    assert (found.attempt, found.round, found.digest) == (1, 7, stored.digest)
    assert set(found.state) == set(STATE)
    assert (found.state["epoch"], found.state["losses"]) == (3, [0.5])
    for name in ("w", "s"):
        assert found.state[name].dtype == STATE[name].dtype
        assert found.state[name].tobytes() == STATE[name].tobytes()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["7"]


@given(hnp.arrays(np.dtype("<f8"), hnp.array_shapes(min_dims=0, min_side=0)), st.floats(allow_nan=False))
@settings(max_examples=40, deadline=None)
def test_any_array_and_number_is_read_back(tmp_path_factory: pytest.TempPathFactory, w: np.ndarray, x: float) -> None:
    store = CheckpointStore(tmp_path_factory.mktemp("g"))
    state = store.load(1, 1, store.store(1, 1, {"w": w, "x": x}).digest).state
    assert (state["w"].shape, state["w"].tobytes(), state["x"]) == (w.shape, w.tobytes(), x)


def test_equal_states_have_equal_digests(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    assert store.store(1, 1, STATE).digest == store.store(2, 1, dict(reversed(STATE.items()))).digest


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b[:40] + b"?" + b[41:], lambda _: b""]
)
def test_damaged_bytes_are_refused(tmp_path: Path, damage: object) -> None:
    store = CheckpointStore(tmp_path)
    digest = store.store(1, 1, STATE).digest
    path = tmp_path / "a1" / "ckpt" / "1"
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ProtocolError, match=r"FED-320.*attempt 1, round 1 is damaged"):
        store.load(1, 1, digest)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match=r"FED-320.*attempt 2, round 5 is missing"):
        CheckpointStore(tmp_path).load(2, 5, b"")


@pytest.mark.parametrize("value", [np.array([object()]), np.array(["text"]), np.zeros(2, np.complex128)])
def test_state_that_is_not_plain_is_refused(tmp_path: Path, value: np.ndarray) -> None:
    with pytest.raises(ProtocolError, match=r"FED-321.*'bad'"):
        CheckpointStore(tmp_path).store(1, 1, {"bad": value})
    assert not list(tmp_path.rglob("*"))


def test_prune_keeps_the_one_that_is_named(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    kept = [store.store(attempt, number, STATE) for attempt in (1, 2) for number in (1, 2)]
    store.prune(1, 2)
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()] == ["a1/ckpt/2"]
    assert store.load(1, 2, kept[1].digest).round == 2
    store.prune(0, 0)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_a_death_left_behind_is_no_checkpoint(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    stored = store.store(1, 1, STATE)
    left = tmp_path / "a1" / "ckpt" / "2.tmp"
    left.write_bytes(b"half")
    store.prune(1, 1)
    assert not left.exists()
    assert store.load(1, 1, stored.digest).state["epoch"] == 3
