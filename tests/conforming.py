"""The small steps of ``fault_cases`` as cases of the published suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from federatedml.conformance import Case, Conformance, Pooled
from tests.fault_cases import cases


class Inherited(Conformance):
    """A component of this repository; subclasses name it and add what the small steps lack."""

    golden: ClassVar[Path] = Path(__file__).parent / "golden"
    module: ClassVar[str]
    tolerances: ClassVar[Mapping[str, float]] = {}
    conditional: ClassVar[Mapping[str, Sequence[str]]] = {}

    def references(self) -> Mapping[str, Pooled]:
        """By name of the step."""
        raise NotImplementedError

    def cases(self) -> Mapping[str, Case]:
        references = self.references()
        return {
            name: replace(
                small.case,
                params=small.case.component.settle(small.case.params),
                same=small.same,
                reference=references.get(name),
                tolerance=self.tolerances.get(name),
                conditional=self.conditional.get(name, ()),
            )
            for name, small in cases(self.module).items()
        }
