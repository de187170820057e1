"""The contract that every component keeps, as one function: run all of its roles in one process and disturb them.

``conforms`` checks that

- every message is of a declared topic, is received, and every declared topic is used (``unused`` names exceptions);
- the disclosure names every topic and says what its receiver learns;
- outputs are what the declaration says: data, model buffers, and roles that take part;
- the result does not change when any member dies at any of its points, nor over a network that loses, repeats and
  damages messages, within the tolerance that the component declares, and no finished round is computed again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from federatedml.component import Component, Inputs, Outputs
from federatedml.data.table import Table
from federatedml.federation.local import LocalNetwork, Point, StepResult
from federatedml.federation.memory import Faults
from federatedml.federation.party import Member

BAD_NETWORKS = (Faults(seed=1, drop=0.15, duplicate=0.3, truncate=0.1), Faults(seed=2, drop=0.4, duplicate=0.5))


@dataclass(frozen=True)
class Case:
    """One step: what every member that takes part is given."""

    component: Component
    params: Mapping[Member, Any]
    inputs: Mapping[Member, Inputs]
    name: str = "step_0"

    def run(self, folder: Path, faults: Faults | None = None) -> StepResult:
        return self.over(LocalNetwork(folder, faults, timeout=20.0))

    def over(self, network: LocalNetwork) -> StepResult:
        return network.run(self.component, self.params, self.inputs, self.name)

    def points(self, folder: Path) -> Counter[Member]:
        """How many points every member has in an undisturbed run."""
        return points(self.run(folder))


Same = Callable[[Outputs, Outputs], None]


def conforms(
    case: Case, folder: Path, unused: Collection[str] = (), kill_every: int = 1, same: Same | None = None
) -> StepResult:
    """Check the contract and return the undisturbed run.

    Args:
        unused: declared topics that this case does not send.
        kill_every: kill at every n-th point only, where a component has thousands.
        same: asserts that two outputs of one member are equal; by default within the declared tolerance.
    """
    undisturbed = case.run(folder / "undisturbed")
    _messages(case.component.variant(case.component, next(iter(case.params.values()))), undisturbed, unused)
    _declared_outputs(case.component, undisturbed)
    for number, faults in enumerate([*BAD_NETWORKS, *kills(undisturbed)[::kill_every]]):
        result = case.run(folder / f"disturbed_{number}", faults)
        assert not result.unread, faults
        assert_survived(case.component, undisturbed, result, faults, same)
    return undisturbed


def points(result: StepResult) -> Counter[Member]:
    """Points of every member in a run."""
    return Counter(at.member for at in result.reached)


def kills(undisturbed: StepResult) -> list[Faults]:
    """A death of each member at each of its points."""
    counts = points(undisturbed)
    return [Faults(kill={member: number}) for member in sorted(counts) for number in range(1, counts[member] + 1)]


def assert_survived(
    component: Component, undisturbed: StepResult, result: StepResult, faults: Faults, same: Same | None = None
) -> None:
    """A disturbed run gave the undisturbed result, in no more attempts than deaths make, and repeated no round."""
    deaths = len(faults.kill)
    assert min(deaths, 1) < result.attempts <= 1 + deaths, faults
    for attempt, resumed in enumerate(result.resumed, start=1):
        rounds = [at.round for at in result.reached if (at.attempt, at.point) == (attempt, Point.STORE)]
        assert resumed is None or min(rounds, default=resumed + 1) > resumed, f"a finished round again: {faults}"
    _equal(component, undisturbed, result, same, str(faults))


def chart(result: StepResult) -> list[tuple[str, int, str, str]]:
    """The messages of a run: topic, round, from, to; sorted, because parties send at the same time."""
    return sorted((m.key.topic, m.key.round, str(m.key.source), str(m.key.destination)) for m in result.sent)


def _messages(component: Component, result: StepResult, unused: Collection[str]) -> None:
    topics = component.topic_table()
    assert len(topics) == len(component.topics), "two topics have one name"
    assert {m.key.topic for m in result.sent} == set(topics) - set(unused), "topics that are sent, and declared"
    assert not result.unread, "messages that nobody received"
    assert len({m.key for m in result.sent}) == len(result.sent), "a key was used twice"
    for message in result.sent:
        topic = topics[message.key.topic]
        assert message.key.source.role in topic.source
        assert message.key.destination.role in topic.to
        assert message.size <= topic.max_bytes
    disclosed = {entry["topic"]: entry for entry in component.disclosure()["topics"]}
    assert set(disclosed) == set(topics)
    assert all(len(entry["learns"].split()) > 2 and entry["carries"] for entry in disclosed.values())


def _declared_outputs(component: Component, result: StepResult) -> None:
    assert {member.role for member in result.outputs} <= set(component.roles)
    for member, outputs in result.outputs.items():
        assert component.has_data or outputs.data is None, member
        assert len(outputs.rest) <= max(len(component.data_outputs) - 1, 0), member
        assert component.has_model or outputs.model is None, member
        if outputs.model is not None:
            assert component.model is not None
            assert {name: type(m) for name, m in outputs.model.items()} == dict(component.model.buffers)
        assert all(np.isfinite(value) for value in outputs.summary.values()), member


def _equal(component: Component, first: StepResult, second: StepResult, same: Same | None, context: str) -> None:
    assert set(first.outputs) == set(second.outputs), context
    tolerance = 0.0 if component.reproducible == "exact" else float(component.reproducible)
    for member, expected in first.outputs.items():
        (same or partial(_same_outputs, tolerance=tolerance))(expected, second.outputs[member])
        found = [[asdict(point) for point in run.metrics[member]] for run in (first, second)]
        _same_value(*found, tolerance)


def _same_outputs(expected: Outputs, found: Outputs, tolerance: float) -> None:
    pairs = zip((expected.data, *expected.rest), (found.data, *found.rest), strict=True)
    for one, other in pairs:
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            _same_table(one, other, tolerance)
    assert set(expected.model or ()) == set(found.model or ())
    for name, message in (expected.model or {}).items():
        _same_value(_plain(message), _plain((found.model or {})[name]), tolerance)
    _same_value(dict(expected.summary), dict(found.summary), tolerance)
    _same_value([view.json() for view in expected.views], [view.json() for view in found.views], tolerance)


def _same_table(expected: Table, found: Table, tolerance: float) -> None:
    assert (expected.label, expected.kind, expected.sid_name) == (found.label, found.kind, found.sid_name)
    assert list(expected.ids) == list(found.ids)
    assert list(expected.columns) == list(found.columns)
    for name, column in expected.columns.items():
        _same_value(column.tolist(), found.columns[name].tolist(), tolerance)


def _plain(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


def _same_value(expected: Any, found: Any, tolerance: float) -> None:
    if isinstance(expected, Mapping):
        assert set(expected) == set(found)
        for key, value in expected.items():
            _same_value(value, found[key], tolerance)
    elif isinstance(expected, list | tuple):
        assert len(expected) == len(found)
        for one, other in zip(expected, found, strict=True):
            _same_value(one, other, tolerance)
    elif isinstance(expected, float) and tolerance:
        assert abs(expected - found) <= tolerance or expected == found
    else:
        assert expected == found
