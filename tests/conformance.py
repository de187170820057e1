"""The contract of components for cases with parameters of their own; the whole of it is ``federatedml.conformance``."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from federatedml.conformance.case import Case, Same
from federatedml.conformance.deaths import BAD_NETWORKS, kills, survived
from federatedml.conformance.declared import disclosed, messages_as_declared, outputs_as_declared
from federatedml.federation.local import StepResult

__all__ = ["Case", "Same", "chart", "conforms", "kills", "survived"]


def conforms(
    case: Case, folder: Path, unused: Collection[str] = (), kill_every: int = 1, same: Same | None = None
) -> StepResult:
    """Messages and outputs are as declared, and disturbed runs give the same; returns the undisturbed run.

    Args:
        unused: declared topics that this case does not send.
        kill_every: kill at every n-th point only, where a component has thousands.
        same: asserts that two outputs of one member are equal; by default within the declared tolerance.
    """
    undisturbed = case.run(folder / "undisturbed")
    disclosed(case.variant)
    messages_as_declared(case.variant, undisturbed, unused)
    outputs_as_declared(case.component, undisturbed)
    for number, faults in enumerate([*BAD_NETWORKS, *kills(undisturbed)[::kill_every]]):
        survived(case.component, undisturbed, case.run(folder / f"disturbed_{number}", faults), faults, same)
    return undisturbed


def chart(result: StepResult) -> list[tuple[str, int, str, str]]:
    """The messages of a run: topic, round, from, to; sorted, because parties send at the same time."""
    return sorted((m.key.topic, m.key.round, str(m.key.source), str(m.key.destination)) for m in result.sent)
