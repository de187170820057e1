"""Deaths and bad networks, and what must be the same in spite of them."""

from __future__ import annotations

from collections import Counter

from federatedml.component import Component
from federatedml.conformance.case import Same
from federatedml.conformance.equal import equal_results
from federatedml.conformance.require import require
from federatedml.federation.local import Point, StepResult
from federatedml.federation.memory import Faults

BAD_NETWORKS = (Faults(seed=1, drop=0.15, duplicate=0.3, truncate=0.1), Faults(seed=2, drop=0.4, duplicate=0.5))


def kills(undisturbed: StepResult) -> list[Faults]:
    """A death of each member at each of its points."""
    counts = Counter(at.member for at in undisturbed.reached)
    return [Faults(kill={member: number}) for member in sorted(counts) for number in range(1, counts[member] + 1)]


def survived(
    component: Component, undisturbed: StepResult, result: StepResult, faults: Faults, same: Same | None = None
) -> None:
    """A disturbed run gave the undisturbed result, in no more attempts than deaths make, and repeated no round."""
    deaths = len(faults.kill)
    require(min(deaths, 1) < result.attempts <= 1 + deaths, f"{faults}: {result.attempts} attempts")
    for attempt, resumed in enumerate(result.resumed, start=1):
        rounds = [at.round for at in result.reached if (at.attempt, at.point) == (attempt, Point.STORE)]
        again = resumed is not None and min(rounds, default=resumed + 1) <= resumed
        require(not again, f"{faults}: a finished round was computed again")
    require(not result.unread, f"{faults}: messages that nobody received: {result.unread[:3]}")
    equal_results(component, undisturbed, result, same, str(faults))
