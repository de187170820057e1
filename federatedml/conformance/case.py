"""One step of a component: parameters and inputs of every member, and what it is compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from federatedml.component import Component, Inputs, Outputs
from federatedml.federation.local import LocalNetwork, StepResult
from federatedml.federation.memory import Faults
from federatedml.federation.party import Member

TIMEOUT_S = 60.0  # of a message: a step that waits longer is dead-locked

Found = Mapping[Member, Outputs]
Pooled = Callable[[Found], Mapping[str, tuple[Any, Any]]]
Same = Callable[[Outputs, Outputs], None]


@dataclass(frozen=True)
class Case:
    """One step: what every member that takes part is given.

    Attributes:
        params: validated and settled parameters; its keys are the members.
        inputs: of every member.
        name: of the component in the DSL.
        reference: outputs by member -> what -> (found, expected), numbers or arrays; expected from the pooled rows.
        tolerance: largest difference from the reference; None: what the component declares as reproducible.
        conditional: topics of the variant that this case does not send, each for a reason.
        same: asserts that two outputs of one member are equal; None: value by value within the declared tolerance.
    """

    component: Component
    params: Mapping[Member, Any]
    inputs: Mapping[Member, Inputs]
    name: str = "step_0"
    reference: Pooled | None = None
    tolerance: float | None = None
    conditional: Collection[str] = ()
    same: Same | None = None

    @property
    def variant(self) -> Component:
        """The component as it runs with these parameters."""
        return self.component.variant(self.component, next(iter(self.params.values())))

    def run(self, folder: Path, faults: Faults | None = None) -> StepResult:
        """Run it in this process."""
        return self.over(LocalNetwork(folder, faults, timeout=TIMEOUT_S))

    def over(self, network: LocalNetwork) -> StepResult:
        """Run it over a network."""
        return network.run(self.component, self.params, self.inputs, self.name)

    def points(self, folder: Path) -> Counter[Member]:
        """How many points every member has in an undisturbed run."""
        return Counter(at.member for at in self.run(folder).reached)

    def predicting(self, fitted: Found) -> Case:
        """The same members on the same rows with the models that this case left; only their data are read."""
        inputs = {
            member: Inputs({"data": given.data.get("data") or given.data.get("train_data") or ()}, fitted[member].model)
            for member, given in self.inputs.items()
        }
        return replace(self, component=self.component.predicting(), inputs=inputs, reference=None, same=None)
