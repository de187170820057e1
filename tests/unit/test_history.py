"""The history checker accepts what the real state machines write, in any order, and rejects one wrong fact each."""
# ruff: noqa: S608 - the statements are made of literals

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from airfed.cli import app
from airfed.party import init_party, party_config
from airfed_proto.v1 import job_pb2
from federated_operators.gateway.history.ends import ModelVersion
from federated_operators.gateway.history.facts import read_party
from federated_operators.gateway.history.job import shown
from federated_operators.gateway.names import CONCLUDE, Job, Seat
from federated_operators.gateway.plan import ALL_DONE, ONE_SUCCESS
from federated_operators.gateway.rows import VerdictRow
from federated_operators.gateway.runs import Run, RunState
from federatedml.errors import PolicyError
from federatedml.federation.party import Member
from tests.gateway_world import JOB, LR, MEMBERS, PARTIES, Player, State, World, findings
from tests.members import ARBITER, GUEST, HOST


def finish(player: Player) -> None:
    """From here on nothing goes wrong."""
    player.finish()
    assert player.world.verdict() is not None


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job whose training lost a process after some rounds, and then succeeded."""
    world = World(tmp_path_factory.mktemp("good"))
    player = Player(world)
    everybody = range(len(MEMBERS))
    player.play([("come", who) for who in everybody])
    world.settle()
    player.play([("round", who) for _ in range(3) for who in everybody] + [("round", 0), ("lose", 2)])
    world.settle()
    player.play([("round", 0), ("round", 1), ("come", 2)])
    world.settle()
    player.play([("round", who) for _ in range(2) for who in everybody])
    finish(player)
    assert world.step().attempt == 2
    world.close()
    return world.root


@pytest.fixture
def history(written: Path, tmp_path: Path) -> Path:
    """Databases of the three parties, to be spoilt."""
    return spoilt(written, tmp_path)


def spoilt(written: Path, tmp_path: Path) -> Path:
    """A copy, in which what is appended to the record may be changed."""
    root = tmp_path / "parties"
    shutil.copytree(written, root)
    for member in MEMBERS:
        change(root, member, "DROP TRIGGER events_stay; DROP TRIGGER events_remain;")
    return root


def change(root: Path, member: Member, script: str) -> None:
    """Run a script on a party's database, which must change it."""
    db = sqlite3.connect(root / member.party / "gateway.db")
    before = list(db.iterdump())
    db.executescript(script)
    db.commit()
    assert list(db.iterdump()) != before
    db.close()


def swap(first: str, second: str) -> str:
    """Let two events of the record change places, but not times."""
    a, b = f"(SELECT max(id) FROM events WHERE {first})", f"(SELECT min(id) FROM events WHERE {second})"
    kept = "component, generation, attempt, event, reason"
    return (
        f"CREATE TEMP TABLE pair AS SELECT {a} AS a, {b} AS b;"
        f"CREATE TEMP TABLE old AS SELECT id, {kept} FROM events;"
        f"UPDATE events SET ({kept}) = (SELECT {kept} FROM old, pair WHERE old.id = b) WHERE id = (SELECT a FROM pair);"
        f"UPDATE events SET ({kept}) = (SELECT {kept} FROM old, pair WHERE old.id = a) WHERE id = (SELECT b FROM pair);"
    )


def event(name: str, attempt: int, component: str = LR, reason: str = "") -> str:
    """Append an event that never was."""
    return (
        "INSERT INTO events (party, initiator, job_id, component, generation, attempt, event, monotonic, wall, reason)"
        f" SELECT party, initiator, job_id, '{component}', 1, {attempt}, '{name}', monotonic, wall, '{reason}'"
        " FROM events ORDER BY id DESC LIMIT 1;"
    )


def test_a_good_history_is_accepted(written: Path) -> None:
    assert findings(written) == []


def test_some_of_the_parties_are_enough_to_look_at(written: Path) -> None:
    for parties in ([GUEST], [HOST], [HOST, ARBITER]):
        assert findings(written, parties) == []


LR_IS = f"component = '{LR}'"
CORRUPTIONS = {
    "another verdict at one party": (HOST, "UPDATE verdicts SET verdict = 2", "verdict"),
    "another reason at one party": (HOST, "UPDATE verdicts SET failure = x'0a024645'", "verdict"),
    "no verdict at one party": (ARBITER, "DELETE FROM verdicts", "verdict"),
    "a party goes on after the verdict": (HOST, "UPDATE jobs SET state = 'running'", "verdict"),
    "one verdict was adopted twice": (HOST, event("verdict adopted", 0, ""), "verdict"),
    "an attempt is missing": (GUEST, f"UPDATE attempts SET attempt = 3 WHERE {LR_IS} AND attempt = 2", "attempts"),
    "an old attempt is open": (GUEST, f"UPDATE attempts SET outcome = '' WHERE {LR_IS} AND attempt = 1", "attempts"),
    "two attempts at once": (
        GUEST,
        swap(f"event = 'end attempt' AND {LR_IS}", f"event = 'start' AND attempt = 2 AND {LR_IS}"),
        "attempts",
    ),
    "an attempt was started twice": (GUEST, event("start", 2), "attempts"),
    "committed in another attempt": (HOST, f"UPDATE own_steps SET attempt = 1 WHERE {LR_IS}", "commit"),
    "not committed at one member": (HOST, f"UPDATE own_steps SET state = {State.PREPARED} WHERE {LR_IS}", "commit"),
    "no order to commit": (GUEST, f"UPDATE steps SET state = {State.STARTED} WHERE {LR_IS}", "commit"),
    "other outputs than prepared": (
        HOST,
        f"UPDATE own_steps SET outputs = x'00' WHERE {LR_IS}; UPDATE outputs SET outputs = x'00' WHERE {LR_IS}",
        "commit",
    ),
    "a member that never prepared": (
        GUEST,
        f"UPDATE member_steps SET state = {State.STARTED} WHERE {LR_IS} AND member = '{HOST}'",
        "commit",
    ),
    "committed before all had prepared": (
        GUEST,
        swap(f"event = 'prepared' AND {LR_IS}", f"event = 'commit' AND {LR_IS}"),
        "order",
    ),
    "a member committed before it had outputs": (
        HOST,
        swap(f"event = 'outputs stored' AND {LR_IS}", f"event = 'committed' AND {LR_IS}"),
        "order",
    ),
    "a member prepared before it started": (
        HOST,
        swap(f"event = 'started' AND {LR_IS}", f"event = 'outputs stored' AND {LR_IS}"),
        "order",
    ),
    "outputs of an ended attempt": (HOST, event("outputs stored", 1, reason=str(HOST)), "fencing"),
    "a report of an ended attempt": (GUEST, event("prepared", 1, reason=str(HOST)), "fencing"),
    "a start after the verdict": (GUEST, event("start", 1, "other_0"), "fencing"),
    "a commit after the verdict": (HOST, event("committed", 1, "other_0", str(HOST)), "fencing"),
    "another resume point": (GUEST, "UPDATE attempts SET resume_round = resume_round - 1 WHERE attempt = 2", "resume"),
    "no resume point": (GUEST, "UPDATE attempts SET resume_round = 0, resume_attempt = 0 WHERE attempt = 2", "resume"),
    "a resume point that one member never had": (
        HOST,
        "UPDATE events SET reason = replace(reason, 'round 2', 'round 9') WHERE event = 'checkpoint stored'",
        "resume",
    ),
    "a member that went on from elsewhere": (HOST, f"UPDATE own_steps SET start = x'' WHERE {LR_IS}", "resume"),
    "an iteration ran again": (
        HOST,
        "UPDATE events SET reason = replace(reason, 'round 3', 'round 1')"
        " WHERE event = 'checkpoint stored' AND attempt = 2",
        "repeat",
    ),
    "an iteration ran twice with another result": (
        HOST,
        "UPDATE events SET reason = replace(reason, 'round 4', 'round 3')"
        " WHERE event = 'checkpoint stored' AND attempt = 2",
        "repeat",
    ),
    "current outputs that nobody committed": (
        HOST,
        "INSERT INTO outputs SELECT initiator, job_id, 'other_0', member, generation, attempt, outputs FROM outputs"
        f" WHERE {LR_IS}",
        "outputs",
    ),
    "committed without outputs": (ARBITER, f"DELETE FROM outputs WHERE {LR_IS}", "outputs"),
    "outputs of another attempt": (ARBITER, f"UPDATE outputs SET attempt = 1 WHERE {LR_IS}", "outputs"),
    "success with a failed step": (GUEST, f"UPDATE steps SET state = {State.FAILED} WHERE {LR_IS}", "success"),
    "success without a step": (GUEST, f"DELETE FROM steps WHERE {LR_IS}", "success"),
    "a line of the record is gone": (HOST, "DELETE FROM events WHERE event = 'committed'", "record"),
    "the last lines are gone": (
        HOST,
        "DELETE FROM events WHERE id >= (SELECT max(id) FROM events WHERE event = 'verdict adopted')",
        "record",
    ),
    "time goes back": (HOST, "UPDATE events SET monotonic = 0 WHERE event = 'committed'", "record"),
    "a message that cannot be read": (HOST, "UPDATE verdicts SET failure = x'ff'", "record"),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_spoilt_history_is_rejected_by_its_rule(history: Path, name: str) -> None:
    member, script, rule = CORRUPTIONS[name]
    change(history, member, script)
    found = [finding for finding in findings(history) if finding.rule == rule]
    assert found
    assert any(member.party in finding.parties for finding in found), found
    assert str(found[0]).startswith(f"{rule}: ")


# A job that runs again: one failure is tolerated, one step skipped, another failure ends the first generation


@pytest.fixture(scope="module")
def written_twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    upstream = {"b": ["a"], "c": ["b"], "e": ["a"]}
    rules = {"b": ALL_DONE}
    steps = dict.fromkeys("abce", MEMBERS)
    world = World(tmp_path_factory.mktemp("twice"), all_steps=steps, upstream=upstream, trigger_rules=rules)
    world.all_fail("a")
    world.all_do("b")
    world.all_join("e")
    world.all_fail("c")
    assert list(world.rerun("c").components) == ["a", "c", "e"]
    world.settle()
    world.all_fail("a")
    world.all_do("c", "g2")
    world.all_do(CONCLUDE, "g2")
    assert [row.verdict for row in world.stores[HOST.party].select(VerdictRow)] == [2, 1]
    world.close()
    return world.root


def test_a_good_history_of_a_rerun_is_accepted(written_twice: Path) -> None:
    assert findings(written_twice) == []
    for parties in ([GUEST], [HOST], [HOST, ARBITER]):
        assert findings(written_twice, parties) == []


SECOND_C = "component = 'c' AND generation = 2"
LATER_CORRUPTIONS = {
    "a slot that is not there": (
        HOST,
        "UPDATE events SET reason = replace(reason, ' of 4', ' of 0') WHERE event = 'slot taken'",
        "slots",
    ),
    "started without a slot": (
        HOST,
        f"UPDATE events SET event = 'other' WHERE event = 'slot taken' AND {SECOND_C}",
        "slots",
    ),
    "started before it had a slot": (
        HOST,
        swap(f"event = 'slot taken' AND {SECOND_C}", f"event = 'started' AND {SECOND_C}"),
        "slots",
    ),
    "a slot outlives its job": (
        HOST,
        "INSERT INTO leases SELECT initiator, job_id, component, generation, member, 1, 1, 0, 0 FROM own_steps LIMIT 1",
        "slots",
    ),
    "a slot that was never given": (
        HOST,
        "INSERT INTO leases SELECT initiator, job_id, component, generation, member, 7, 1, 0, 1 FROM own_steps LIMIT 1",
        "record",
    ),
    "success with a failure that nobody tolerates": (
        GUEST,
        f"UPDATE steps SET state = {State.FAILED} WHERE {SECOND_C}",
        "success",
    ),
    "success without the step that tolerated a failure": (
        GUEST,
        f"UPDATE steps SET state = {State.FAILED} WHERE component = 'b'",
        "success",
    ),
    "a rerun that nobody asked for": (HOST, "UPDATE events SET event = 'other' WHERE event = 'reopened'", "record"),
    "a step that was skipped without a decision": (
        GUEST,
        "UPDATE events SET event = 'other' WHERE event = 'skipped'",
        "record",
    ),
    "a step that failed without a decision": (
        GUEST,
        "UPDATE events SET event = 'other' WHERE event = 'step failed' AND component = 'a' AND generation = 2",
        "record",
    ),
    "two verdicts in one generation": (GUEST, event("verdict", 0, ""), "verdict"),
    "another verdict in the first generation": (
        HOST,
        "UPDATE verdicts SET verdict = 3 WHERE generation = 1",
        "verdict",
    ),
    "no verdict in the first generation": (HOST, "DELETE FROM verdicts WHERE generation = 1", "verdict"),
    "an attempt of the first generation after its verdict": (HOST, event("started", 9, "c", str(HOST)), "fencing"),
    "outputs of a generation in which the step failed": (
        HOST,
        "UPDATE outputs SET generation = 1 WHERE component = 'c'",
        "outputs",
    ),
}


@pytest.mark.parametrize("name", LATER_CORRUPTIONS)
def test_a_spoilt_history_of_a_rerun_is_rejected_by_its_rule(written_twice: Path, tmp_path: Path, name: str) -> None:
    member, script, rule = LATER_CORRUPTIONS[name]
    root = spoilt(written_twice, tmp_path)
    change(root, member, script)
    assert any(found.rule == rule and member.party in found.parties for found in findings(root)), findings(root)


def test_a_verdict_that_was_changed_everywhere_is_not_the_recorded_one(history: Path) -> None:
    for member in MEMBERS:
        change(history, member, "UPDATE verdicts SET verdict = 3; UPDATE jobs SET state = 'cancelled'")
    assert {finding.rule for finding in findings(history)} == {"record"}


def test_a_party_that_cannot_be_reached_may_lack_the_verdict(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.coordinator.end(JOB, job_pb2.CANCELLED, by="ada")
    world.deliver(GUEST.party, GUEST.party)
    world.deliver(GUEST.party, HOST.party)
    assert findings(tmp_path) == []
    world.stores[GUEST.party]._db.execute("DELETE FROM outbox")
    assert [(finding.rule, finding.parties) for finding in findings(tmp_path)] == [("verdict", (ARBITER.party,))]
    world.close()


def run(member: Member, state: str) -> RunState:
    return RunState(Run(f"p.{member}", JOB.job_id), state)


def test_schedulers_agree_with_the_verdict(written: Path) -> None:
    assert findings(written, runs=[run(GUEST, "success"), run(HOST, "running")]) == []
    (finding,) = findings(written, runs=[run(GUEST, "success"), run(HOST, "failed")])
    assert (finding.rule, finding.parties) == ("run", (HOST.party,))


def test_a_run_does_not_outlive_a_job_that_was_cancelled(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.coordinator.end(JOB, job_pb2.CANCELLED, by="ada")
    world.settle()
    world.close()
    assert findings(tmp_path, runs=[run(member, "failed") for member in MEMBERS]) == []
    for state in ("running", "success"):
        (finding,) = findings(tmp_path, runs=[run(HOST, state)])
        assert (finding.rule, finding.parties) == ("run", (HOST.party,))


def model(member: Member, released: bool = True, job: Job = JOB) -> ModelVersion:
    return ModelVersion(job, str(member), released)


def test_a_model_is_at_all_parties_or_at_none(written: Path) -> None:
    assert findings(written, versions=[model(GUEST), model(HOST)]) == []
    assert findings(written, versions=[model(GUEST, job=Job("9999", "20260728120000000002"))]) == []
    for versions in ([model(GUEST)], [model(GUEST), model(HOST, released=False)]):
        (finding,) = findings(written, versions=versions)
        assert (finding.rule, finding.parties) == ("model", (HOST.party,))


def test_what_is_no_database_of_a_gateway_is_refused_by_name(tmp_path: Path) -> None:
    for path, body in ((tmp_path / "none.db", None), (tmp_path / "text.db", b"text" * 500), (tmp_path / "no.db", b"")):
        if body is not None:
            path.write_bytes(body)
        with pytest.raises(PolicyError, match=f"FED-515.*{path.name}"):
            read_party(path, "9999")
    assert not (tmp_path / "none.db").exists()


def test_the_command_says_what_it_found(history: Path, tmp_path: Path) -> None:
    homes = [init_party(tmp_path / m.party, party_config(m.party, str(m.role), 25900)) for m in MEMBERS]
    command = ["history", *(str(home.root) for home in homes)]

    def ran(*options: str) -> Result:
        for home in homes:
            home.gateway_db.parent.mkdir(exist_ok=True)
            shutil.copy(history / home.config.party_id / "gateway.db", home.gateway_db)
        return CliRunner().invoke(app, [*command, *options])

    good = ran()
    assert (good.exit_code, good.stdout) == (0, "1 jobs at 3 parties, 0 findings\n")
    change(history, HOST, "DELETE FROM verdicts")
    bad = ran()
    assert bad.exit_code == 1
    assert f"verdict: job {JOB.job_id}, party {HOST.party}: " in bad.stdout
    found = json.loads(ran("--json").stdout)["findings"]
    assert {finding["job_id"] for finding in found} == {JOB.job_id}


def test_the_command_names_a_home_without_a_gateway(tmp_path: Path) -> None:
    home = init_party(tmp_path / "guest", party_config("9999", "guest", 25900))
    found = CliRunner().invoke(app, ["history", str(home.root)])
    assert found.exit_code == 1
    assert str(home.gateway_db) in found.stderr


PIPELINE = {
    "all_steps": dict.fromkeys("abcd", MEMBERS) | {"b": (GUEST, HOST)},
    "upstream": {"b": ["a"], "c": ["a"], "d": ["b", "c"]},
    "trigger_rules": {"d": ONE_SUCCESS, "c": ALL_DONE},
    "auto_retries": {"b": 1},
    "task_timeouts": {"c": 60.0},
}
NAMES = ("a", "b", "c", "d", CONCLUDE)
BUSY = [
    "come",
    "come",
    "come",
    "work",
    "work",
    "round",
    "defer",
    "lose",
    "fail",
    "restart",
    "tick",
    "rerun",
    "cancel",
    "ask",
]
ACTIONS = st.lists(
    st.tuples(st.sampled_from([*BUSY, *["deliver"] * 12, *["settle"] * 2]), st.integers(0, 14)), max_size=120
)


class Crowd(Player):
    """Task processes, and people who end the job or want it to run again."""

    def cancel(self, seat: Seat) -> None:
        if self.number % 4 == 0:
            self.world.coordinator.end(JOB, job_pb2.CANCELLED, by="ada")

    def rerun(self, seat: Seat) -> None:
        self.world.rerun(*([seat.component] if seat.component != CONCLUDE else []), downstream=self.number % 2 == 0)

    def ask(self, seat: Seat) -> None:
        self.world.ask(seat.member.party)

    def settle(self, seat: Seat) -> None:
        self.world.settle()


@settings(max_examples=20, deadline=None)
@given(ACTIONS, st.integers(1, 3))
def test_any_interleaving_is_accepted_at_every_moment(actions: list[tuple[str, int]], slots: int) -> None:
    root = Path(tempfile.mkdtemp())
    world = World(root, slots=slots, **PIPELINE)
    try:
        crowd = Crowd(world, NAMES)
        crowd.play(actions)
        assert findings(root) == []
        crowd.finish()
        assert findings(root) == []
        assert {world.job_state(party) for party in PARTIES} == {shown(world.verdict())}
        assert not any(world.leases(party) for party in PARTIES)
        crowd.play([("rerun", len(crowd.seats) - 1)])
        crowd.finish()
        assert {world.job_state(party) for party in PARTIES} == {shown(world.verdict())}
        assert findings(root) == []
    finally:
        world.close()
        shutil.rmtree(root)
