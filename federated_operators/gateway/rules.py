"""Success policies: when a step may start, when it never will, and which failures a job survives. Pure functions.

The coordinator alone evaluates them, over all steps of the job: a party's own DAG lacks the tasks of others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

from airfed_proto.v1 import job_pb2
from federated_operators.gateway.plan import ALL_SUCCESS, ONE_SUCCESS

State = job_pb2.StepState
FINISHED = frozenset({State.COMMITTED, State.FAILED, State.SKIPPED})


class Readiness(Enum):
    """What a step that has not started may do."""

    WAIT = "wait"
    RUN = "run"
    SKIP = "skip"


def readiness(rule: str, upstream: Collection[int]) -> Readiness:
    """Whether a step with this trigger rule may start, given the states of the steps that it follows."""
    done = all(state in FINISHED for state in upstream)
    good = sum(state == State.COMMITTED for state in upstream)
    if rule == ONE_SUCCESS and upstream:
        return Readiness.RUN if good else Readiness.SKIP if done else Readiness.WAIT
    if rule == ALL_SUCCESS and any(state in (State.FAILED, State.SKIPPED) for state in upstream):
        return Readiness.SKIP
    return Readiness.RUN if done else Readiness.WAIT


@dataclass(frozen=True)
class Flow:
    """The graph of a job.

    Attributes:
        upstream: component -> the components that it follows.
        rules: component -> trigger rule; ``all_success`` where it says nothing.
    """

    components: Collection[str]
    upstream: Mapping[str, Collection[str]]
    rules: Mapping[str, str]

    def rule(self, component: str) -> str:
        """When the component may start."""
        return self.rules.get(component, ALL_SUCCESS)

    def readiness(self, component: str, states: Mapping[str, int]) -> Readiness:
        """Whether the component may start."""
        before = [states.get(name, State.WAITED) for name in self.upstream.get(component, ())]
        return readiness(self.rule(component), before)

    def consumers(self, component: str) -> list[str]:
        """The components that directly follow."""
        return [name for name in self.components if component in self.upstream.get(name, ())]

    def downstream(self, names: Collection[str]) -> set[str]:
        """``names`` and all that follow from them."""
        found, pending = set(names), list(names)
        while pending:
            fresh = set(self.consumers(pending.pop())) - found
            found |= fresh
            pending += fresh
        return found

    def covered(self, component: str, states: Mapping[str, int]) -> bool:
        """Whether the job survives that this component failed or was skipped.

        It does if a direct consumer that tolerates failures succeeded, or may still; or if a direct consumer was
        skipped and is itself covered.
        """
        for name in self.consumers(component):
            state = states.get(name, State.WAITED)
            if state == State.SKIPPED and self.covered(name, states):
                return True
            if self.rule(name) != ALL_SUCCESS and state not in (State.FAILED, State.SKIPPED):
                return True
        return False
