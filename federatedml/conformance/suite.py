"""The tests that a component inherits. Every ``test_*`` method checks one part of the contract."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from federatedml.component import Component
from federatedml.conformance import chart, declared, hostile, scoring
from federatedml.conformance.case import Case
from federatedml.conformance.deaths import BAD_NETWORKS, kills, survived
from federatedml.conformance.equal import equal_results, near, tolerance_of
from federatedml.conformance.require import Broken, require
from federatedml.conformance.witness import Witness
from federatedml.federation.local import StepResult


class Conformance:
    """Subclass it as ``Test...`` and give ``cases``; the test runner does the rest.

    Attributes:
        golden: folder of the charts, in a folder per module; None: ``golden`` beside the file of the subclass.
        kill_every: kill at every n-th point only, for a case that has thousands.
        same_as: values of the parameter that chooses the protocol -> another one that they run as.
    """

    golden: ClassVar[Path | None] = None
    kill_every: ClassVar[int] = 1
    same_as: ClassVar[Mapping[str, str]] = {}

    def cases(self) -> Mapping[str, Case]:
        """Small steps by name, one per protocol and path through it; all of one component."""
        raise NotImplementedError

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Run methods that take a ``step`` once for every case; called by pytest."""
        if "step" in metafunc.fixturenames:
            metafunc.parametrize("step", list(_cases(type(self))))

    def test_the_declaration_says_who_learns_what(self) -> None:
        """Of a training and of a prediction."""
        component = self._component
        declared.disclosed(component)
        if component.prediction is not None:
            declared.disclosed(component.predicting())
            unknown = set(component.predicting().topic_table()) - set(component.topic_table())
            require(not unknown, f"topics of the prediction that the component does not declare: {sorted(unknown)}")
        require((component.prediction is not None) == component.has_model, "what has a model says how it predicts")

    def test_parameters_are_strict_and_survive_json(self) -> None:
        """Defaults exist; other types and unknown names are refused by name."""
        declared.parameters_as_declared(self._component)

    def test_some_result_is_compared_with_pooled_rows(self) -> None:
        """At least one case has a reference."""
        require(any(case.reference for case in _cases(type(self)).values()), "no case has a reference")

    def test_every_protocol_has_a_case(self) -> None:
        """Every value of the component's ``chooser``."""
        component = self._component
        cases = _cases(type(self)).values()
        chosen = {getattr(p, component.chooser, None) for case in cases for p in case.params.values()}
        untried = {self.same_as.get(name, name) for name in component.protocols()} - chosen
        require(not untried, f"no case runs with {component.chooser} {sorted(untried)}")

    def test_settling_is_stable(self, step: str) -> None:
        """Settled parameters are settled, and survive JSON."""
        case = self._case(step)
        settled = case.component.settle(case.params)
        require(set(settled) == set(case.params), "settling drops or adds members")
        require(case.component.settle(settled) == settled, "parameters change when they are settled again")
        for p in case.params.values():
            require(type(p).model_validate_json(p.model_dump_json()) == p, f"{p} does not survive JSON")

    def test_messages_are_the_declared_ones_and_all_are_received(self, step: str) -> None:
        """Also: a disclosure for the variant, and outputs of the declared kinds."""
        case, (result, _) = self._case(step), self._undisturbed(step)
        declared.disclosed(case.variant)
        declared.messages_as_declared(case.variant, result, case.conditional)
        declared.outputs_as_declared(case.component, result)

    def test_the_result_is_that_of_pooled_rows(self, step: str) -> None:
        """Within the case's tolerance."""
        case = self._case(step)
        if case.reference is None:
            return
        tolerance = tolerance_of(case.component) if case.tolerance is None else case.tolerance
        pairs = case.reference(self._undisturbed(step)[0].outputs)
        require(pairs, f"{step}: the reference compares nothing")
        for what, (found, expected) in pairs.items():
            require(
                near(found, expected, tolerance), f"{what}: {found}, of pooled rows {expected}, within {tolerance:g}"
            )

    def test_the_chart_of_messages_is_the_golden_one(self, step: str) -> None:
        """``python -m federatedml.conformance FILE`` writes it anew."""
        path = self.golden_file(step)
        require(path.is_file(), f"{path} is not there: python -m federatedml.conformance {self._file()}")
        found, stored = self.chart(step), path.read_text(encoding="utf-8")
        require(stored == found, f"other messages than {path} has; python -m federatedml.conformance ...")

    def test_it_is_reproducible(self, step: str, tmp_path: Path) -> None:
        """A second run gives the same, within what the component declares."""
        case = self._case(step)
        equal_results(case.component, self._undisturbed(step)[0], case.run(tmp_path), case.same, "a second run")

    def test_any_member_may_die_at_any_point(self, step: str, tmp_path: Path) -> None:
        """The step resumes, repeats no finished round, and gives the same."""
        case, (result, _) = self._case(step), self._undisturbed(step)
        for number, faults in enumerate(kills(result)[:: self.kill_every]):
            survived(case.component, result, case.run(tmp_path / str(number), faults), faults, case.same)

    def test_bad_networks_change_nothing(self, step: str, tmp_path: Path) -> None:
        """Messages are lost, repeated and damaged."""
        case, (result, _) = self._case(step), self._undisturbed(step)
        for faults in BAD_NETWORKS:
            survived(case.component, result, case.run(tmp_path / str(faults.seed), faults), faults, case.same)

    def test_hostile_bytes_give_a_coded_error(self, step: str, tmp_path: Path) -> None:
        """On every topic: garbage ends the step, wrong values may; what is raised has a code."""
        case, (result, _) = self._case(step), self._undisturbed(step)
        first = {message.key.topic: message.body for message in reversed(result.sent)}
        for name, body in first.items():
            topic = case.variant.topic_table()[name]
            hostile.decoded_or_refused(topic, body)
            hostile.garbage_refused(case, topic, result, tmp_path / name / "garbage")
            hostile.wrong_values_survived(case, topic, result, tmp_path / name)

    def test_models_are_the_same_after_they_were_stored(self, step: str) -> None:
        """As files with a manifest, and back."""
        case = self._case(step)
        for member, outputs in self._undisturbed(step)[0].outputs.items():
            if outputs.model is not None:
                scoring.stored_and_read(case, member, outputs.model)

    def test_online_scores_are_those_of_the_batch(self, step: str, tmp_path: Path) -> None:
        """To the bit, row by row, with models that were stored."""
        case, (result, _) = self._case(step), self._undisturbed(step)
        fitted = case.component.prediction is not None and any(out.model for out in result.outputs.values())
        if fitted and not any(given.model for given in case.inputs.values()):
            predicting = case.predicting(result.outputs)
            batch = predicting.run(tmp_path)
            declared.messages_as_declared(predicting.variant, batch, ())
            scoring.online_is_batch(predicting, result.outputs, batch.outputs)

    @classmethod
    def golden_file(cls, step: str) -> Path:
        """Where the chart of a case is kept."""
        name = re.sub(r"\W+", "_", step).strip("_")
        return (cls.golden or cls._file().parent / "golden") / cls()._component.module / f"{name}.txt"

    @classmethod
    def chart(cls, step: str) -> str:
        """The chart of a case, as it runs now."""
        _, witness = _undisturbed(cls, step)
        return chart.as_text(chart.in_order(witness.events), f"{_cases(cls)[step].component.module}: {step}")

    @classmethod
    def _file(cls) -> Path:
        return Path(inspect.getfile(cls))

    @property
    def _component(self) -> Component:
        found = {id(case.component): case.component for case in _cases(type(self)).values()}
        if len({component.module for component in found.values()}) != 1:
            raise Broken(f"{type(self).__name__}: the cases are of {len(found)} components, one is needed")
        return next(iter(found.values()))

    def _case(self, step: str) -> Case:
        return _cases(type(self))[step]

    def _undisturbed(self, step: str) -> tuple[StepResult, Witness]:
        return _undisturbed(type(self), step)


def _cases(suite: type[Conformance]) -> Mapping[str, Case]:
    if suite not in _CASES:
        _CASES[suite] = suite().cases()
    return _CASES[suite]


def _undisturbed(suite: type[Conformance], step: str) -> tuple[StepResult, Witness]:
    """One run of a case, for all the tests that only look at it."""
    if (suite, step) not in _RUNS:
        with TemporaryDirectory(prefix="conformance-") as folder:
            witness = Witness(Path(folder))
            _RUNS[suite, step] = _cases(suite)[step].over(witness), witness
    return _RUNS[suite, step]


_CASES: dict[type[Conformance], Mapping[str, Case]] = {}
_RUNS: dict[tuple[type[Conformance], str], tuple[StepResult, Witness]] = {}
