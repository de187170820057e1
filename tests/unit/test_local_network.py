"""The local network keeps the gateways' contract: at least once on the wire, exactly once for the role functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federatedml.component import Component, Inputs, Outputs, Params
from federatedml.errors import DataError, PeerError, ProtocolError
from federatedml.federation.box import Box, MessageKey
from federatedml.federation.local import LocalNetwork, Point
from federatedml.federation.memory import Faults
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Vector
from tests.conformance import Case, conforms
from tests.members import GUEST, HOST

PING = Topic("ping", (Role.GUEST,), (Role.HOST,), Vector("<f8"), Carries.CONTROL, "how far the guest is")
PONG = Topic("pong", (Role.HOST,), (Role.GUEST,), Vector("<f8"), Carries.CONTROL, "how far the host is")
ROUNDS = 5


def start(box: Box) -> tuple[int, float]:
    """First round to do, and the sum so far."""
    return (box.resume.round + 1, float(box.resume.state["total"])) if box.resume else (0, 0.0)  # type: ignore[arg-type]


def guest(_: Params, box: Box, __: Inputs) -> Outputs:
    first, total = start(box)
    for number in range(first, ROUNDS):
        box.send(PING, np.array([total + number]), number)
        total += float(box.recv(PONG, number)[0])
        box.metric("train", "total", number, total, round=number)
        box.checkpoint(number, {"total": total})
    return Outputs(summary={"total": total, "resumed": float(first)})


def host(_: Params, box: Box, __: Inputs) -> Outputs:
    first, total = start(box)
    for number in range(first, ROUNDS):
        total += float(box.recv(PING, number)[0])
        box.send(PONG, np.array([total]), number)
        box.checkpoint(number, {"total": total})
    return Outputs(summary={"total": total, "resumed": float(first)})


def component(**roles: Any) -> Component:
    functions = {Role.GUEST: guest, Role.HOST: host, **{Role(name): function for name, function in roles.items()}}
    return Component("PingPong", "Count up together", Params, functions, (PING, PONG), has_data=False)


def case(**roles: Any) -> Case:
    return Case(component(**roles), {GUEST: Params(), HOST: Params()}, {GUEST: Inputs(), HOST: Inputs()})


def total_only(expected: Outputs, found: Outputs) -> None:
    assert expected.summary["total"] == found.summary["total"]


def test_a_component_with_checkpoints_conforms(tmp_path: Path) -> None:
    result = conforms(case(), tmp_path, same=total_only)
    assert len(result.sent) == 2 * ROUNDS
    assert result.outputs[GUEST].summary["total"] == result.metrics[GUEST][-1].value


def test_an_attempt_resumes_from_the_newest_checkpoint_that_all_have(tmp_path: Path) -> None:
    # the guest's 10th point receives round 2: the host may have stored round 2, the guest only round 1
    result = case().run(tmp_path, Faults(kill={GUEST: 10}))
    assert result.attempts == 2
    assert [outputs.summary["resumed"] for outputs in result.outputs.values()] == [2.0, 2.0]


def test_members_die_before_after_and_between_storing_and_telling(tmp_path: Path) -> None:
    found = case().run(tmp_path).reached
    first = [at.point for at in found if at.member == GUEST and at.round == 0]
    assert first == [Point.SEND, Point.RECV, Point.STORE, Point.TELL, Point.FINISH]
    stored_untold = case().run(tmp_path / "untold", Faults(kill={GUEST: 4}))
    assert stored_untold.resumed == [None, None]  # on disk, but nobody knows
    assert case().run(tmp_path / "told", Faults(kill={GUEST: 5})).resumed == [None, 0]


def test_points_of_rounds_that_are_done_again_are_told_once(tmp_path: Path) -> None:
    result = case().run(tmp_path, Faults(kill={GUEST: 10}))
    assert [point.round for point in result.metrics[GUEST]] == list(range(ROUNDS))


def test_the_network_loses_repeats_and_damages_as_it_is_told(tmp_path: Path) -> None:
    network = LocalNetwork(tmp_path, Faults(seed=3, drop=0.3, duplicate=0.5, truncate=0.5))
    one = case()
    network.run(one.component, one.params, one.inputs)
    assert network.weather.refused > 0  # truncated bodies were noticed


def test_an_error_of_one_member_is_the_error_of_the_step(tmp_path: Path) -> None:
    def broken(*_: Any) -> Outputs:
        raise DataError("FED-299", "broken")

    with pytest.raises(DataError, match="FED-299"):
        case(host=broken).run(tmp_path)


def test_a_member_that_always_dies_ends_the_step(tmp_path: Path) -> None:
    class Deadly(LocalNetwork):
        def reach(self, at: Any) -> None:
            self._points.clear()
            super().reach(at)

    one = case()
    with pytest.raises(PeerError, match=r"FED-402.*no attempt of 3"):
        Deadly(tmp_path, Faults(kill={HOST: 1}), max_attempts=3).run(one.component, one.params, one.inputs)


def test_a_deadlock_is_named(tmp_path: Path) -> None:
    def waits(_: Params, box: Box, __: Inputs) -> Outputs:
        box.recv(PING, ROUNDS + 1)
        return Outputs()

    def idle(*_: Any) -> Outputs:
        return Outputs()

    one = case(host=waits, guest=idle)
    with pytest.raises(PeerError, match=r"FED-410.*'ping' of round 6 from guest_9999"):
        LocalNetwork(tmp_path, timeout=0.05).run(one.component, one.params, one.inputs)


def test_the_same_key_with_another_body_is_refused(tmp_path: Path) -> None:
    def equivocates(_: Params, box: Box, __: Inputs) -> Outputs:
        key = MessageKey("ping", 0, GUEST, HOST)
        box.transport.send(key, PING.codec.encode(np.zeros(1)))
        box.transport.send(key, PING.codec.encode(np.zeros(1)))
        box.transport.send(key, PING.codec.encode(np.ones(1)))
        return Outputs()

    with pytest.raises(ProtocolError, match=r"FED-305.*different bodies"):
        case(guest=equivocates).run(tmp_path)


def test_messages_that_nobody_reads_are_listed(tmp_path: Path) -> None:
    def talks(_: Params, box: Box, __: Inputs) -> Outputs:
        box.send(PING, np.zeros(1))
        return Outputs()

    def deaf(*_: Any) -> Outputs:
        return Outputs()

    result = case(guest=talks, host=deaf).run(tmp_path)
    assert result.unread == [MessageKey("ping", 0, GUEST, HOST)]


def test_conformance_notices_results_that_a_death_changes(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        conforms(case(), tmp_path)  # "resumed" differs


def test_conformance_notices_rounds_that_are_done_again(tmp_path: Path) -> None:
    def forgets(role: Any) -> Any:
        def function(p: Params, box: Box, inputs: Inputs) -> Outputs:
            box.resume = None
            return role(p, box, inputs)

        return function

    with pytest.raises(AssertionError, match="finished round was computed again"):
        conforms(case(guest=forgets(guest), host=forgets(host)), tmp_path, same=total_only)


def test_conformance_notices_messages_that_nobody_reads(tmp_path: Path) -> None:
    def talks_too_much(p: Params, box: Box, inputs: Inputs) -> Outputs:
        box.send(PING, np.zeros(1), ROUNDS + 1)
        return guest(p, box, inputs)

    with pytest.raises(AssertionError, match="nobody received"):
        conforms(case(guest=talks_too_much), tmp_path, same=total_only)


def test_conformance_notices_topics_that_are_never_sent(tmp_path: Path) -> None:
    spare = Topic("spare", (Role.GUEST,), (Role.HOST,), Vector("<f8"), Carries.CONTROL, "nothing at all, ever")
    one = case()
    extra = Component("PingPong", "", Params, one.component.roles, (PING, PONG, spare), has_data=False)
    with pytest.raises(AssertionError, match="declared"):
        conforms(Case(extra, one.params, one.inputs), tmp_path, same=total_only)
