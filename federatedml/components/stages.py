"""Parts of a component, one after the other, each in a box of its own; what they left is kept over attempts."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from federatedml.component import ModelSpec, Outputs
from federatedml.data.table import get, put
from federatedml.federation.box import Box
from federatedml.federation.checkpoint import State
from federatedml.federation.scope import Part, Spent, first_round, inside, outer_state
from federatedml.federation.wire import Array
from federatedml.views import parsed

_SPENT, _MODEL = "spent", "model."


@dataclass
class Stages:
    """The stages of a component at one member; every member runs the same ones.

    A stage that was done when an attempt resumes is not run again; what it counted on budgets is counted again, since
    an attempt counts for itself.

    Attributes:
        count: how many there are.
        noun: what one is, for names of metrics and for people: ``fold``.
        model: of what the stages leave, if it is kept.
    """

    box: Box
    count: int
    noun: str
    model: ModelSpec | None = None
    _done: dict[int, dict[str, Any]] = field(default_factory=dict)
    _spent: list[Spent] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.box.resume is None:
            return
        for key, value in outer_state(self.box.resume).items():
            if key == _SPENT:
                self._spent = [tuple(entry) for entry in _json(value)]
                continue
            number, name = key.split(".", 1)
            self._done.setdefault(int(number), {})[name] = value
        for spent in self._spent:
            self.box.budget.spend(*spent)

    def run(self, number: int, work: Callable[[Box], Outputs]) -> Outputs:
        """What ``work`` leaves in the box of stage ``number``, or what it left in an earlier attempt."""
        if number not in self._done:
            spent: list[Spent] = []
            title = f"{self.noun} {number + 1} of {self.count}"
            part = Part(number, f"{self.noun}_{number}", number / self.count, (number + 1) / self.count, title)
            outputs = work(inside(self.box, part, self._kept(), spent.append))
            views = [replace(view, name=f"{view.name}_{part.name}") for view in outputs.views]
            self._done[number] = dict(_packed(replace(outputs, views=views)))
            self._spent += spent
            self.box.checkpoint(first_round(self.box, number + 1) - 1, self._kept())
            self.box.progress(part.end, title)
        return _unpacked(self._done[number], self.model)

    def _kept(self) -> State:
        done = {f"{number}.{name}": value for number, kept in self._done.items() for name, value in kept.items()}
        return {**done, _SPENT: _bytes(json.dumps(self._spent).encode())}


def _packed(outputs: Outputs) -> State:
    state: dict[str, Array | int | float | list[float]] = {
        "summary": _bytes(json.dumps(dict(outputs.summary)).encode()),
        "views": _bytes(json.dumps([view.json() for view in outputs.views]).encode()),
    }
    if outputs.data is not None:
        file = io.BytesIO()
        put(outputs.data, file)
        state["data"] = _bytes(file.getvalue())
    for name, message in (outputs.model or {}).items():
        state[_MODEL + name] = _bytes(message.SerializeToString(deterministic=True))
    return state


def _unpacked(state: Mapping[str, Any], spec: ModelSpec | None) -> Outputs:
    buffers = {name.removeprefix(_MODEL): body.tobytes() for name, body in state.items() if name.startswith(_MODEL)}
    return Outputs(
        get(io.BytesIO(state["data"].tobytes()), "a checkpoint") if "data" in state else None,
        spec.parse(buffers) if spec and buffers else None,
        [parsed(view) for view in _json(state["views"])],
        _json(state["summary"]),
    )


def _bytes(body: bytes) -> Array:
    return np.frombuffer(body, "|u1")


def _json(value: Any) -> Any:
    return json.loads(value.tobytes())
