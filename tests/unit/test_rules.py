"""When a step may start, and which failures a job survives: a table, and an independent definition by search."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airfed_proto.v1 import job_pb2
from federated_operators.gateway.plan import ALL_DONE, ALL_SUCCESS, ONE_SUCCESS
from federated_operators.gateway.rules import FINISHED, Flow, Readiness, readiness

State = job_pb2.StepState
GOOD, BAD, LEFT_OUT, OPEN = State.COMMITTED, State.FAILED, State.SKIPPED, State.STARTED
RUN, SKIP, WAIT = Readiness.RUN, Readiness.SKIP, Readiness.WAIT
RULES = (ALL_SUCCESS, ALL_DONE, ONE_SUCCESS)


@pytest.mark.parametrize(
    ("upstream", "all_success", "all_done", "one_success"),
    [
        ([], RUN, RUN, RUN),
        ([OPEN], WAIT, WAIT, WAIT),
        ([GOOD], RUN, RUN, RUN),
        ([BAD], SKIP, RUN, SKIP),
        ([LEFT_OUT], SKIP, RUN, SKIP),
        ([GOOD, OPEN], WAIT, WAIT, RUN),
        ([BAD, OPEN], SKIP, WAIT, WAIT),
        ([BAD, GOOD], SKIP, RUN, RUN),
        ([BAD, LEFT_OUT], SKIP, RUN, SKIP),
    ],
)
def test_each_rule_says_what_a_step_may_do(
    upstream: list[int], all_success: Readiness, all_done: Readiness, one_success: Readiness
) -> None:
    assert [readiness(rule, upstream) for rule in RULES] == [all_success, all_done, one_success]


def diamond(b: str = ALL_SUCCESS, c: str = ALL_SUCCESS, d: str = ALL_SUCCESS) -> Flow:
    return Flow("abcd", {"b": ["a"], "c": ["a"], "d": ["b", "c"]}, {"b": b, "c": c, "d": d})


@pytest.mark.parametrize(
    ("flow", "states", "survives"),
    [
        (diamond(), {"a": BAD, "b": LEFT_OUT, "c": LEFT_OUT, "d": LEFT_OUT}, False),
        (diamond(b=ALL_DONE), {"a": BAD, "b": OPEN}, True),
        (diamond(b=ALL_DONE), {"a": BAD, "b": GOOD, "c": LEFT_OUT, "d": LEFT_OUT}, True),
        (diamond(b=ALL_DONE), {"a": BAD, "b": BAD, "c": LEFT_OUT, "d": LEFT_OUT}, False),
        (diamond(d=ALL_DONE), {"a": BAD, "b": LEFT_OUT, "c": LEFT_OUT, "d": OPEN}, True),
        (diamond(d=ALL_DONE), {"a": BAD, "b": LEFT_OUT, "c": LEFT_OUT, "d": BAD}, False),
        (diamond(d=ONE_SUCCESS), {"a": BAD, "b": LEFT_OUT, "c": LEFT_OUT, "d": LEFT_OUT}, False),
    ],
)
def test_a_failure_is_survived_only_if_somebody_tolerates_it(
    flow: Flow, states: dict[str, int], survives: bool
) -> None:
    assert flow.covered("a", states) is survives


def test_success_of_a_step_that_does_not_tolerate_failures_covers_none() -> None:
    """It succeeded in an earlier generation, with other inputs."""
    assert not diamond().covered("a", {"a": BAD, "b": GOOD, "c": GOOD, "d": GOOD})


def test_what_follows_is_found_through_every_path() -> None:
    assert diamond().downstream("b") == {"b", "d"}
    assert diamond().downstream("a") == set("abcd")
    assert diamond().downstream("bc") == {"b", "c", "d"}


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Flow, dict[str, int]]:
    """A DAG whose edges go from smaller to larger names, and any states."""
    names = [f"n{i}" for i in range(draw(st.integers(1, 6)))]
    upstream = {name: [up for up in names[:at] if draw(st.booleans())] for at, name in enumerate(names)}
    rules = {name: draw(st.sampled_from(RULES)) for name in names if draw(st.booleans())}
    states = {name: draw(st.sampled_from([State.WAITED, OPEN, GOOD, BAD, LEFT_OUT])) for name in names}
    return Flow(names, upstream, rules), states


def paths(flow: Flow, name: str) -> list[list[str]]:
    """All paths that leave ``name``, without it."""
    found = []
    for after in flow.components:
        if name in flow.upstream.get(after, ()):
            found += [[after], *([after, *more] for more in paths(flow, after))]
    return found


def survives(flow: Flow, name: str, states: Mapping[str, int]) -> bool:
    """There is a path of skipped steps to one that tolerates failures and succeeded, or still may."""
    for path in paths(flow, name):
        *between, last = path
        tolerant = flow.rules.get(last, ALL_SUCCESS) in (ALL_DONE, ONE_SUCCESS)
        if (
            all(states[step] == LEFT_OUT for step in between)
            and tolerant
            and states[last] in (State.WAITED, OPEN, GOOD)
        ):
            return True
    return False


@settings(max_examples=300, deadline=None)
@given(graphs())
def test_covered_and_downstream_are_what_a_search_over_all_paths_finds(found: tuple[Flow, dict[str, int]]) -> None:
    flow, states = found
    for name in flow.components:
        assert flow.covered(name, states) == survives(flow, name, states)
        assert flow.downstream([name]) == {name, *(path[-1] for path in paths(flow, name))}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(RULES), st.lists(st.sampled_from([State.WAITED, OPEN, GOOD, BAD, LEFT_OUT]), max_size=4))
def test_readiness_is_what_every_way_to_the_end_agrees_on(rule: str, upstream: list[int]) -> None:
    """RUN and SKIP are said only if no end of what is open could change it, and never taken back."""
    now = readiness(rule, upstream)
    ends = [[]]
    for state in upstream:
        ends = [[*end, each] for end in ends for each in ([state] if state in FINISHED else [GOOD, BAD, LEFT_OUT])]
    finals = {readiness(rule, end) for end in ends}
    assert WAIT not in finals
    if now is not WAIT:
        assert finals == {now}
    wanted = {
        ALL_SUCCESS: {True: RUN, False: SKIP},
        ALL_DONE: {True: RUN, False: RUN},
        ONE_SUCCESS: {True: RUN, False: SKIP},
    }[rule]
    for end in ends:
        good = [state == GOOD for state in end]
        happy = all(good) if rule == ALL_SUCCESS else (any(good) or not good)
        assert readiness(rule, end) is wanted[happy]
