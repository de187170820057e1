"""How a job goes on after a failure: success policies, retries, timeouts, and generations of reruns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway.coordinator import TASK_OVER
from federated_operators.gateway.names import CONCLUDE, Seat, member_pb
from federated_operators.gateway.plan import ALL_DONE, ONE_SUCCESS
from federated_operators.gateway.rows import AttemptRow, JobRow, OutputRow, ProposalRow, VerdictRow
from federated_operators.gateway.runs import NoRuns, Run
from federatedml.errors import DslError, PolicyError
from tests.gateway_world import JOB, LR, MEMBERS, PARTIES, Process, State, World, findings
from tests.members import ARBITER, GUEST, HOST

CHAIN = {"all_steps": dict.fromkeys("abc", MEMBERS), "upstream": {"b": ["a"], "c": ["b"]}}


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[list[World]]:
    """What a test makes is checked by the history checker, and closed."""
    made: list[World] = []
    yield made
    for world in made:
        world.settle()
        assert findings(world.root) == []
        world.close()


@pytest.fixture
def chain(worlds: list[World], tmp_path: Path) -> World:
    worlds.append(World(tmp_path, **CHAIN))
    return worlds[0]


def given(worlds: list[World], tmp_path: Path, **content: object) -> World:
    worlds.append(World(tmp_path, **content))
    return worlds[-1]


def states(world: World, *components: str) -> list[str]:
    return [job_pb2.StepState.Name(world.step(name).state) for name in components]


def verdict(world: World) -> str:
    row = world.verdict()
    return job_pb2.Verdict.Name(row.verdict) if row else ""


# Success policies


def test_a_failure_that_nobody_tolerates_ends_the_job_and_skips_what_follows(chain: World) -> None:
    chain.all_fail("a")
    assert verdict(chain) == "JOB_FAILED"
    chain.all_join("b")
    assert chain.last(HOST).WhichOneof("frame") == "skipped"


@pytest.mark.parametrize(("rule", "ends"), [(ALL_DONE, "COMMITTED"), (ONE_SUCCESS, "SKIPPED")])
def test_a_tolerant_step_runs_or_not_after_a_failure(worlds: list[World], tmp_path: Path, rule: str, ends: str) -> None:
    world = given(worlds, tmp_path, **CHAIN, trigger_rules={"c": rule})
    world.all_join("c", "c1")
    world.all_fail("a")
    if ends == "COMMITTED":
        assert states(world, "a", "c") == ["FAILED", "STARTED"]
        for member in MEMBERS:
            world.prepared(member, "c")
        world.settle()
        world.all_do(CONCLUDE)
        assert verdict(world) == "SUCCEEDED"
    else:
        assert verdict(world) == "JOB_FAILED"


def test_skips_cascade_and_late_tasks_are_told(worlds: list[World], tmp_path: Path) -> None:
    world = given(
        worlds,
        tmp_path,
        all_steps=dict.fromkeys("abcd", MEMBERS),
        upstream={"b": ["a"], "c": ["b"], "d": ["c"]},
        trigger_rules={"d": ALL_DONE},
    )
    world.join(HOST, "t1", "b")
    world.all_fail("a")
    assert world.last(HOST).WhichOneof("frame") in ("failed", "skipped")
    world.all_join("c")
    assert states(world, "a", "b", "c") == ["FAILED", "SKIPPED", "SKIPPED"]
    assert [world.last(member).WhichOneof("frame") for member in MEMBERS] == ["skipped"] * 3
    assert verdict(world) == ""
    world.all_do("d")
    world.all_do(CONCLUDE)
    assert verdict(world) == "SUCCEEDED"


def test_a_process_that_comes_while_its_step_is_decided_is_told(worlds: list[World], tmp_path: Path) -> None:
    """Its report crosses the order."""
    world = given(worlds, tmp_path, **CHAIN, trigger_rules={"c": ALL_DONE})
    world.all_join("a")
    world.join(HOST, "t1", "b")
    world.failed(GUEST, "a")
    for _ in range(3):
        world.deliver(GUEST.party, GUEST.party)
    assert states(world, "a", "b") == ["FAILED", "SKIPPED"]
    assert not any(frame.HasField("skipped") for frame in world.told[HOST])
    world.settle()
    assert world.last(HOST).skipped.code == "FED-408"


def test_the_job_ends_when_the_one_that_tolerated_failures_fails_too(worlds: list[World], tmp_path: Path) -> None:
    world = given(worlds, tmp_path, **CHAIN, trigger_rules={"b": ALL_DONE})
    world.all_fail("a")
    assert verdict(world) == ""
    world.all_fail("b")
    assert verdict(world) == "JOB_FAILED"


def test_a_failed_conclude_ends_the_job(chain: World) -> None:
    for name in "abc":
        chain.all_do(name)
    chain.all_fail(CONCLUDE)
    assert verdict(chain) == "JOB_FAILED"


# Retries and timeouts


def test_an_error_of_the_algorithm_is_retried_as_often_as_allowed(worlds: list[World], tmp_path: Path) -> None:
    world = given(worlds, tmp_path, auto_retries={LR: 2})
    world.all_join()
    for attempt in (1, 2):
        assert world.step().attempt == attempt
        world.failed(HOST)
        world.settle()
        assert [world.last(member).WhichOneof("frame") for member in MEMBERS] == ["end_attempt"] * 3
        world.rejoin(*MEMBERS)
    world.failed(HOST)
    world.settle()
    assert (verdict(world), world.step().attempt, world.step().lost) == ("JOB_FAILED", 3, 0)


def test_two_members_that_fail_in_one_attempt_are_one_failure(worlds: list[World], tmp_path: Path) -> None:
    world = given(worlds, tmp_path, auto_retries={LR: 1})
    world.all_join()
    world.failed(HOST)
    world.failed(GUEST)
    world.settle()
    world.rejoin(*MEMBERS)
    assert (world.step().state, world.step().attempt) == (State.STARTED, 2)


def test_a_member_that_fails_before_a_start_reaches_it_may_try_again(worlds: list[World], tmp_path: Path) -> None:
    world = given(worlds, tmp_path, auto_retries={LR: 1})
    for member in MEMBERS:
        world.join(member, "t1")
    world.settle(without=[HOST.party])
    for _ in range(8):
        world.deliver(GUEST.party, HOST.party)
        world.deliver(HOST.party, GUEST.party)
        world.settle(without=[HOST.party])
        if world.step().state == State.STARTED:
            break
    world.failed(HOST)
    world.settle()
    world.rejoin(*MEMBERS)
    assert (world.step().state, world.step().attempt) == (State.STARTED, 2)


def test_a_task_that_the_scheduler_gave_up_is_not_retried(worlds: list[World], tmp_path: Path) -> None:
    world = given(worlds, tmp_path, auto_retries={LR: 3})
    world.all_join()
    world.lost(GUEST, "t1")
    world.failed(HOST, code=TASK_OVER)
    world.settle()
    assert verdict(world) == "JOB_FAILED"


def test_a_step_that_takes_too_long_times_the_job_out(worlds: list[World], tmp_path: Path) -> None:
    world = given(worlds, tmp_path, task_timeouts={LR: 60.0})
    world.later(1000)
    world.all_join()
    world.later(60)
    assert verdict(world) == ""
    world.later(1)
    assert verdict(world) == "TIMED_OUT"
    assert {world.job_state(party) for party in PARTIES} == {"timed_out"}


def test_a_step_that_times_out_may_be_covered(worlds: list[World], tmp_path: Path) -> None:
    world = given(worlds, tmp_path, **CHAIN, trigger_rules={"b": ALL_DONE}, task_timeouts={"a": 60.0})
    world.all_join("a")
    world.later(61)
    assert (states(world, "a"), verdict(world)) == (["FAILED"], "")


def test_two_steps_that_time_out_at_once_end_the_job_once(worlds: list[World], tmp_path: Path) -> None:
    steps = dict.fromkeys("ab", MEMBERS)
    world = given(worlds, tmp_path, all_steps=steps, task_timeouts={"a": 60.0, "b": 60.0})
    world.all_join("a", "a1")
    world.all_join("b", "b1")
    world.later(61)
    assert verdict(world) == "TIMED_OUT"


def test_a_job_that_takes_too_long_is_timed_out_and_a_rerun_has_its_own_time(
    worlds: list[World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = given(worlds, tmp_path, timeout=100.0)
    monkeypatch.setattr("federated_operators.gateway.reopening.time.time", lambda: world.now)
    world.later(101)
    assert verdict(world) == "TIMED_OUT"
    world.rerun()
    world.later(100)
    assert world.job_state() == "running"
    world.later(1)
    assert [row.generation for row in world.stores[GUEST.party].select(VerdictRow)] == [1, 2]


def test_the_time_of_a_job_counts_while_it_is_proposed(worlds: list[World], tmp_path: Path) -> None:
    world = given(worlds, tmp_path, timeout=100.0)
    for store in world.stores.values():
        (row,) = store.select(JobRow)
        store.put(replace(row, state="proposed"))
    world.later(100)
    assert verdict(world) == ""
    world.later(1)
    assert {world.job_state(party) for party in PARTIES} == {"timed_out"}
    told = [pb.Failure.FromString(row.failure) for store in world.stores.values() for row in store.select(VerdictRow)]
    assert {(failure.code, failure.message) for failure in told} == {
        ("FED-451", "the job was not done within its timeout of 100 s")
    }


# Reruns


def test_a_rerun_from_the_failure_keeps_what_succeeded(chain: World) -> None:
    chain.all_do("a")
    chain.all_fail("b")
    assert verdict(chain) == "JOB_FAILED"
    answer = chain.rerun()
    assert (answer.generation, list(answer.components)) == (2, ["b", "c"])
    chain.settle()
    assert {chain.job_state(party) for party in PARTIES} == {"running"}
    chain.join(HOST, "late", "a")
    assert not chain.last(HOST).committed.computed, "what succeeded is only repeated"
    for name in ("b", "c", CONCLUDE):
        chain.all_do(name, "g2")
    assert verdict(chain) == "SUCCEEDED"
    assert [(chain.step(name).generation, chain.step(name).attempt) for name in "abc"] == [(1, 1), (2, 1), (2, 1)]
    inputs = [frame.start.inputs for frame in chain.told[HOST] if frame.start.step.component == "c"]
    assert set(inputs[0]) == {"a", "b"}


@pytest.mark.parametrize(("downstream", "again"), [(False, ["b"]), (True, ["b", "c"])])
def test_named_components_run_again_after_a_success(chain: World, downstream: bool, again: list[str]) -> None:
    for name in (*"abc", CONCLUDE):
        chain.all_do(name)
    assert "every component" in chain.rerun().failure.message
    answer = chain.rerun("b", downstream=downstream)
    assert list(answer.components) == again
    chain.settle()
    for name in (*again, CONCLUDE):
        chain.all_do(name, "g2")
    assert verdict(chain) == "SUCCEEDED"
    rows = {row.component: row.generation for row in chain.stores[HOST.party].select(OutputRow)}
    assert rows == {name: 2 if name in (*again, CONCLUDE) else 1 for name in (*"abc", CONCLUDE)}


def test_a_job_may_run_again_and_again(chain: World) -> None:
    for generation in (2, 3, 4):
        chain.all_fail("a")
        assert chain.rerun().generation == generation
        chain.settle()
    for name in (*"abc", CONCLUDE):
        chain.all_do(name, "last")
    verdicts = [row.verdict for row in chain.stores[HOST.party].select(VerdictRow)]
    assert verdicts == [job_pb2.JOB_FAILED] * 3 + [job_pb2.SUCCEEDED]


def test_only_the_end_runs_again_where_only_it_failed(chain: World) -> None:
    for name in "abc":
        chain.all_do(name)
    chain.all_fail(CONCLUDE)
    assert list(chain.rerun().components) == []
    chain.settle()
    chain.all_do(CONCLUDE, "g2")
    assert verdict(chain) == "SUCCEEDED"


def test_wishes_for_the_same_components_are_one_rerun(chain: World) -> None:
    chain.all_fail("a")
    first, second = chain.rerun("a", party=HOST.party), chain.rerun("b", "c")
    assert (first.generation, second.generation) == (2, 2)
    assert first.components == second.components == ["a", "b", "c"]
    chain.settle()
    assert len(chain.events("reopened")) == 1


def test_what_cannot_run_again_is_refused_with_a_reason(chain: World) -> None:
    assert "still runs" in chain.rerun("a").failure.message
    chain.all_fail("a")
    assert "no component 'x'" in chain.rerun("x").failure.message
    assert "takes no part" in chain.rerun(party="666").failure.message
    home = chain.gateways[HOST.party].home
    rules = home.policy.read_text()
    home.policy.write_text(rules.replace('may_rerun: ["*"]', 'may_rerun: ["10000"]'))
    refusal = chain.rerun().failure.message
    assert "party 10000 refuses the rerun" in refusal
    assert "may_rerun" in refusal
    home.policy.write_text(rules)
    row = chain.stores[GUEST.party].get(ProposalRow, party=HOST.party)
    assert row is not None
    chain.stores[GUEST.party].put(ProposalRow(*JOB.where.values(), HOST.party, job_pb2.REFUSED))
    assert "never ran at party 10000" in chain.rerun().failure.message
    chain.stores[GUEST.party].put(row)
    assert len(chain.events("rerun refused")) == 5
    assert {chain.job_state(party) for party in PARTIES} == {"failed"}


def test_a_party_that_goes_back_on_its_word_ends_the_rerun_and_may_follow_the_next(chain: World) -> None:
    chain.all_fail("a")
    chain.rerun()
    home = chain.gateways[HOST.party].home
    rules = home.policy.read_text()
    home.policy.write_text(rules.replace('may_rerun: ["*"]', "may_rerun: []"))
    chain.settle()
    assert {chain.job_state(party) for party in PARTIES} == {"failed"}
    assert {len(chain.stores[party].select(VerdictRow)) for party in PARTIES} == {2}
    home.policy.write_text(rules)
    assert chain.rerun().generation == 3
    chain.settle()
    for name in (*"abc", CONCLUDE):
        chain.all_do(name, "g3")
    assert verdict(chain) == "SUCCEEDED"


def test_reports_and_orders_of_an_older_generation_change_nothing(chain: World) -> None:
    chain.all_do("a")
    chain.all_join("b")
    old = Seat(JOB, "b", HOST)
    started = chain.last(HOST).start.step
    chain.failed(GUEST, "b")
    chain.settle()
    chain.rerun()
    chain.settle()
    chain.all_join("b", "g2")
    before = (chain.step("b"), chain.member(HOST, "b"), chain.own[HOST.party]._row(old))
    for number, event in enumerate(job_pb2.StepReport.Event.values()):
        if event in (job_pb2.StepReport.PROGRESS, job_pb2.StepReport.EVENT_UNSPECIFIED):
            continue
        report = job_pb2.StepReport(member=member_pb(HOST), step=started, event=event, lease=1, serial=10**6 + number)
        chain.coordinator.report(HOST.party, report)
    for action in job_pb2.StepCommand.Action.values()[1:]:
        order = job_pb2.StepCommand(member=member_pb(HOST), step=old.step(1, 9), action=action, lease=9)
        chain.own[HOST.party].order(order)
    assert before == (chain.step("b"), chain.member(HOST, "b"), chain.own[HOST.party]._row(old))
    assert verdict(chain) == "JOB_FAILED", "of generation 1, whose end was only told again"
    assert chain.job_state() == "running"
    with pytest.raises(Exception, match="attempt 1 of b is over"):
        chain.own[HOST.party].in_attempt(old, started)
    assert chain.own[HOST.party].in_attempt(old, chain.last(HOST).start.step)
    store = chain.stores[HOST.party]
    notice = job_pb2.VerdictNotice(job=JOB.key(), generation=1, verdict=job_pb2.CANCELLED)
    chain.gateways[HOST.party].verdicts.adopt(notice)
    assert store.select(JobRow)[0].state == "running"
    chain.stores[GUEST.party]._db.execute("DELETE FROM heard")


def test_a_process_of_an_older_generation_ends_its_attempt(chain: World) -> None:
    seat = Seat(JOB, "a", HOST)
    for member in (GUEST, ARBITER):
        chain.join(member, "t1", "a")
    process = Process(chain, seat, "t1")
    chain.settle()
    process.take()
    assert process.step.attempt == 1
    chain.failed(GUEST, "a")
    chain.settle()
    chain.rerun()
    chain.settle()
    process.connect()
    assert chain.last(HOST).end_attempt.step == pb.StepKey(job=JOB.key(), component="a", generation=1, attempt=1)


@pytest.mark.parametrize("party", PARTIES)
def test_a_gateway_may_restart_at_every_point_of_a_rerun(chain: World, party: str) -> None:
    chain.all_fail("a")
    chain.rerun()
    chain.open(party)
    for _ in range(3):
        for source in PARTIES:
            chain.deliver(GUEST.party, source)
        chain.open(party)
    chain.settle()
    for name in (*"abc", CONCLUDE):
        chain.all_join(name, "g2")
        chain.open(party)
        for member in MEMBERS:
            chain.prepared(member, name)
        chain.settle()
    assert verdict(chain) == "SUCCEEDED"
    assert len(chain.stores[GUEST.party].select(AttemptRow, generation=2)) == 4


def test_a_rerun_is_held_to_the_policy_as_it_is_now(chain: World) -> None:
    chain.all_fail("a")
    host = chain.gateways[HOST.party]
    order = job_pb2.RerunOrder(job=JOB.key(), generation=2, components="abc", party=GUEST.party)
    host.reopening.check(order)
    host.home.policy.write_text("initiators: []\n")
    with pytest.raises(PolicyError, match="policy initiators"):
        host.reopening.check(order)


def test_a_rerun_in_the_name_of_a_party_that_never_asked_is_refused(chain: World) -> None:
    chain.all_fail("a")
    host = chain.gateways[HOST.party]
    order = job_pb2.RerunOrder(job=JOB.key(), generation=2, components="abc", party=HOST.party, by="its people")
    for act in (host.reopening.check, host.reopening.adopt):
        with pytest.raises(PolicyError, match=r"FED-368.*nobody at party 10000 asked for generation 2"):
            act(order)
    assert chain.job_state(HOST.party) == "failed"
    host.reopening.wished(job_pb2.RerunOrder(job=JOB.key(), by="ada"))
    host.reopening.check(order)
    host.reopening.adopt(order)
    assert chain.job_state(HOST.party) == "reopening"


def test_an_old_wish_is_none_for_the_next_generation(chain: World) -> None:
    chain.all_fail("a")
    assert chain.rerun(party=HOST.party).generation == 2
    chain.settle()
    chain.all_fail("a")
    again = job_pb2.RerunOrder(job=JOB.key(), generation=3, components="abc", party=HOST.party)
    with pytest.raises(PolicyError, match="FED-368"):
        chain.gateways[HOST.party].reopening.check(again)


def test_a_third_party_s_wish_is_followed_only_where_the_coordinator_s_would_be(chain: World) -> None:
    chain.all_fail("a")
    host = chain.gateways[HOST.party]
    rules = host.home.policy.read_text()
    order = job_pb2.RerunOrder(job=JOB.key(), generation=2, components="abc", party=ARBITER.party)
    host.reopening.check(order)
    for allowed, right in ((ARBITER.party, False), (GUEST.party, False), (f'{GUEST.party}", "{ARBITER.party}', True)):
        host.home.policy.write_text(rules.replace('may_rerun: ["*"]', f'may_rerun: ["{allowed}"]'))
        with nullcontext() if right else pytest.raises(PolicyError, match="may_rerun"):
            host.reopening.check(order)


class Refusing(NoRuns):
    """A scheduler that has lost its runs."""

    async def clear(self, run: Run, tasks: object) -> None:
        raise DslError("FED-472", "the own Airflow refused POST clearTaskInstances: no such run")


def test_a_scheduler_that_cannot_clear_ends_the_rerun(worlds: list[World], tmp_path: Path) -> None:
    world = given(worlds, tmp_path, control=Refusing())
    world.all_fail()
    world.rerun()
    world.settle()
    assert {world.job_state(party) for party in PARTIES} == {"failed"}
    row = world.verdict()
    assert row is not None
    assert row.generation == 2
    assert "FED-472" in pb.Failure.FromString(row.failure).code


class Versions(NoRuns):
    """A scheduler whose runs have a version of the DAG bundle, or are gone."""

    def __init__(self) -> None:
        self.version: str | None = "v1"
        self.cleared: list[Run] = []

    async def version_of(self, run: Run) -> str | None:
        return self.version

    async def clear(self, run: Run, tasks: object) -> None:
        self.cleared.append(run)


@pytest.mark.parametrize("party", PARTIES)
def test_a_job_whose_dag_version_is_gone_at_a_party_runs_nowhere_again(
    worlds: list[World], tmp_path: Path, party: str
) -> None:
    control = Versions()
    world = given(worlds, tmp_path, control=control)
    world.all_fail()
    world.pruned[party] = ["v1"]
    failure = world.rerun(LR).failure.message
    assert f"party {party} no longer has the version of the DAG that job {JOB.job_id} ran from" in failure
    assert "submit the job again" in failure
    world.settle()
    assert {world.job_state(each) for each in PARTIES} == {"failed"}
    assert control.cleared == []
    world.pruned[party] = ["v2"]
    assert world.rerun(LR).generation == 2
    world.settle()
    assert len(control.cleared) == len(PARTIES)


def test_a_job_whose_run_is_gone_does_not_run_again(worlds: list[World], tmp_path: Path) -> None:
    control = Versions()
    world = given(worlds, tmp_path, control=control)
    world.all_fail()
    control.version = None
    assert world.rerun().failure.code == "FED-369"
    assert {world.job_state(party) for party in PARTIES} == {"failed"}


def test_a_failure_that_is_said_again_does_not_fail_the_next_attempt(worlds: list[World], tmp_path: Path) -> None:
    """The worker was cut off when its attempt ended, and repeats what it said before it hears of that."""
    world = given(worlds, tmp_path, auto_retries={LR: 5})
    world.all_join()
    world.failed(HOST)
    world.settle()
    world.join(HOST, "t1", attempt=1)
    world.failed(HOST)
    world.settle()
    assert world.verdict() is None
    assert world.step().retried == 1


def test_a_failure_in_an_attempt_that_was_suspended_leaves_its_seat_open(worlds: list[World], tmp_path: Path) -> None:
    world = given(worlds, tmp_path, auto_retries={LR: 2})
    world.all_join()
    world.own[HOST.party].suspend(JOB, pb.Failure(code="FED-409", message="the coordinator is silent"))
    world.failed(HOST)
    world.settle()
    for _ in range(2):
        world.rejoin(*MEMBERS)
        world.later(20.0)
    assert (world.step().attempt, world.step().state) == (2, State.STARTED)
