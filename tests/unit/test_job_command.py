"""What ``airfed job`` says and writes, without a party that runs."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from airfed import job_watch
from airfed.cli import app
from airfed.demo_screen import Board
from airfed.job import Submitted
from airfed.job_answer import answer
from airfed.job_rerun import decided, has_verdict
from airfed.job_text import brief, log_lines, party_lines, row, span, steps, verdict, waits
from airfed.job_watch import cells, has_ended, is_answered, show_until
from airfed.party import init_party, party_config
from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2, local_pb2
from dags_generator.acceptor import DslAcceptor
from dags_generator.parse import parse_paths
from federated_operators.gateway.names import moment
from federated_operators.gateway.plan import dump_plan
from federatedml.errors import FedError
from federatedml.federation.home import PartyHome
from tests.pipeline_example import proposal

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "hetero_lr"
JOB = "202607281200000000001"
CREATED = 1785240000.0
MODEL = "arbiter-10001#guest-9999#host-10000#breast"
MEMBERS = [pb.Member(role=r, party_id=p) for r, p in (("arbiter", "10001"), ("guest", "9999"), ("host", "10000"))]


@pytest.fixture
def home(tmp_path: Path) -> PartyHome:
    return init_party(tmp_path / "guest", party_config("9999", "guest", 25900))


@pytest.fixture
def submitted() -> Submitted:
    spec = parse_paths(EXAMPLE / "hetero_lr_dsl.json", EXAMPLE / "hetero_lr_conf.json")
    return Submitted(JOB, "hetero_lr.guest_9999", spec, 1.0)


def seen(state: str = "running", **answers: int) -> local_pb2.JobView:
    found = local_pb2.JobView(
        job=pb.JobKey(initiator="9999", job_id=JOB),
        pipeline="hetero_lr",
        state=state,
        created_at=CREATED,
        members=MEMBERS,
    )
    for party, value in answers.items():
        known = job_pb2.ProposalAnswer(state=value, run_url=f"http://of.{party[1:]}/")  # type: ignore[arg-type]
        found.parties[party[1:]].CopyFrom(known)
    return found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["job", *arguments])


def test_submission_is_answered_with_urls_and_models_by_role(home: PartyHome, submitted: Submitted) -> None:
    view = seen(p9999=job_pb2.ENROLLED, p10000=job_pb2.ENROLLED)
    found = answer(home, submitted, view).json()
    own = f"http://guest.localhost:25900/dags/hetero_lr.guest_9999/runs/{JOB}"
    assert found["job_id"] == found["model_version"] == JOB
    assert found["job_url"] == {"guest": [own], "host": ["http://of.10000/"], "arbiter": [None]}
    assert found["model_id"] == {
        "guest": [f"guest#9999#{MODEL}"],
        "host": [f"host#10000#{MODEL}"],
        "arbiter": [f"arbiter#10001#{MODEL}"],
    }
    assert found["created_at"] == "2026-07-28T12:00:00Z"
    assert found["job_dsl_path"] is found["job_runtime_conf_path"] is found["failure"] is None
    assert answer(home, submitted, view).facts() == [f"model_version {JOB}, created 2026-07-28T12:00:00Z"]


def test_answer_names_what_was_stored_and_why_a_job_is_over(home: PartyHome, submitted: Submitted) -> None:
    folder = home.job_dir("9999", JOB)
    folder.mkdir(parents=True)
    for name in ("job_dsl.json", "job_runtime_conf.json"):
        (folder / name).write_text("{}")
    view = seen("failed")
    view.failure.CopyFrom(pb.Failure(code="FED-532", message="no", member=MEMBERS[2]))
    found = answer(home, submitted, view)
    assert found.failed
    assert found.line.endswith("failed: host 10000: [FED-532] no")
    assert found.facts()[1] == f"stored as {folder / 'job_dsl.json'} and {folder / 'job_runtime_conf.json'}"
    assert found.json()["job_dsl_path"] == str(folder / "job_dsl.json")
    assert found.json()["job_runtime_conf_path"] == str(folder / "job_runtime_conf.json")
    assert not replace(found, state="running").failed


def test_a_submission_waits_for_all_answers_a_person_or_the_end() -> None:
    enrolled, proposed, pending = job_pb2.ENROLLED, job_pb2.PROPOSED, job_pb2.PENDING
    assert not is_answered(seen("proposed"))
    assert not is_answered(seen("proposed", p9999=enrolled, p10000=enrolled))
    assert not is_answered(seen("proposed", p9999=enrolled, p10000=enrolled, p10001=proposed))
    assert is_answered(seen("running", p9999=enrolled, p10000=enrolled, p10001=enrolled))
    assert is_answered(seen("proposed", p9999=enrolled, p10000=pending, p10001=proposed))
    assert is_answered(seen("failed"))
    assert not has_ended(local_pb2.JobView())


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (8.21, "8.2 s"), (185, "3 min 5 s"), (59.99, "60.0 s"), (7630, "2 h 7 min")]
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_a_job_in_a_list() -> None:
    view = seen("cancelled")
    view.ended_at, view.by = CREATED + 8.25, "ada at party 9999"
    assert row(view, 0.0) == [JOB, "cancelled", "hetero_lr", "9999", "2026-07-28T12:00:00Z", "8.2 s", ""]
    found = brief(view, 0.0)
    assert (found["took"], found["by"], found["failure"]) == (8.25, "ada at party 9999", None)
    view.failure.CopyFrom(pb.Failure(code="FED-532", message="no"))
    assert row(view, 0.0)[-1] == "[FED-532] no"
    assert brief(seen(), CREATED + 2)["took"] == 2
    assert brief(seen(), CREATED + 2)["ended_at"] is None
    assert moment(0.0) is None


def test_a_verdict_says_who_and_why() -> None:
    view = seen("timed_out")
    assert verdict(view) == f"job {JOB}: timed out"
    view.by = "party 10000"
    view.failure.CopyFrom(pb.Failure(code="FED-451", message="cancelled by ada: wrong table", member=MEMBERS[1]))
    why = "guest 9999: [FED-451] cancelled by ada: wrong table"
    assert verdict(view) == f"job {JOB}: timed out by party 10000: {why}"


def test_words_of_other_parties_cannot_steer_the_terminal() -> None:
    view = seen()
    member = local_pb2.MemberStep(member=MEMBERS[2], state=job_pb2.STARTED, progress=0.5, text="\x1b[2Jepoch\n3")
    view.steps.append(local_pb2.StepView(component="lr_0", module="HeteroLR", members=[member]))
    assert cells(view) == {("lr_0", "host 10000"): "started 50%  [2Jepoch 3"}
    assert steps(view)[0][:7] == ["lr_0", "HeteroLR", "host_10000", "STARTED", "0", "0", "50%"]


def waiting() -> local_pb2.JobView:
    view = seen()
    view.generation = 2
    seats = [local_pb2.MemberStep(member=member, state=job_pb2.WAITED) for member in MEMBERS[1:]]
    why = "waits for a slot at party 10000: 2 of 2 are taken, 0 in line before it"
    lr = local_pb2.StepView(
        component="lr_0", module="HeteroLR", state=job_pb2.WAITED, generation=2, members=seats, waits=why
    )
    last = local_pb2.StepView(component="evaluation_0", module="Evaluation", generation=2, waits="after lr_0")
    view.steps.extend([last, lr])
    return view


def test_a_job_that_waits_says_why() -> None:
    view = waiting()
    why = view.steps[1].waits
    assert brief(view, 0.0)["waits"] == row(view, 0.0)[-1] == f"lr_0 {why}"
    assert cells(view) == {("lr_0", f"{m.role} {m.party_id}"): why for m in MEMBERS[1:]}
    assert steps(view) == [
        ["evaluation_0", "Evaluation", "-", "-", "2", "-", "-", "after lr_0"],
        ["lr_0", "HeteroLR", "guest_9999", "WAITED", "2", "0", "0%", why],
        ["lr_0", "HeteroLR", "host_10000", "WAITED", "2", "0", "0%", why],
    ]


def test_a_job_that_is_proposed_says_who_has_not_answered() -> None:
    enrolled, accepted, pending = job_pb2.ENROLLED, job_pb2.ACCEPTED, job_pb2.PENDING
    assert waits(seen("proposed", p9999=accepted)) == "no answer yet of party 10000, 10001"
    assert waits(seen("proposed", p9999=accepted, p10000=pending)) == "a person is asked at party 10000"
    assert waits(seen("proposed", p9999=enrolled, p10000=accepted, p10001=accepted)) == ""


AWAY = "[FED-401] party 10001 does not answer at 127.0.0.1:9000"


def silent(since: float = CREATED + 5) -> local_pb2.JobView:
    """A job that is proposed while the arbiter is away."""
    view = seen("proposed", p9999=job_pb2.ACCEPTED, p10000=job_pb2.ACCEPTED, p10001=job_pb2.PROPOSED)
    view.generation = 1
    view.unanswered["10001"] = since
    view.parties["10001"].failure.CopyFrom(pb.Failure(code="FED-401", message=AWAY.removeprefix("[FED-401] ")))
    return view


def test_a_job_that_is_proposed_shows_who_is_silent_since_when_and_the_code() -> None:
    line = f"party 10001: proposed, silent since 2026-07-28T12:00:05Z: {AWAY}"
    assert party_lines(silent()) == ["party 10000: accepted", line, "party 9999: accepted"]
    assert waits(silent()) == brief(silent(), 0.0)["waits"] == row(silent(), 0.0)[-1] == line
    view = silent()
    view.parties["10000"].state = job_pb2.ENROLLED
    view.parties["9999"].failure.CopyFrom(pb.Failure(code="FED-532", message="no"))
    view.parties["9999"].state = job_pb2.REFUSED
    assert party_lines(view)[::2] == ["party 10000: http://of.10000/", "party 9999: refused: [FED-532] no"]


def test_a_party_whose_scheduler_is_away_is_pending_and_asks_nobody() -> None:
    view = silent()
    view.parties["10001"].state = job_pb2.PENDING
    assert party_lines(view)[1] == f"party 10001: pending since 2026-07-28T12:00:05Z: {AWAY}"
    assert "a person" not in waits(view)
    view.parties["10001"].ClearField("failure")
    assert waits(view) == "a person is asked at party 10001"


def test_a_submission_to_a_party_that_is_silent_is_answered(home: PartyHome, submitted: Submitted) -> None:
    assert is_answered(silent(since=time.time() - 3600.0))
    assert not is_answered(silent(since=time.time() + 3600.0))
    found = answer(home, submitted, silent())
    assert found.facts()[1:] == [f"party 10001: proposed, silent since 2026-07-28T12:00:05Z: {AWAY}"]
    assert found.json()["answers"] == {
        "10000": {"state": "accepted", "unanswered_since": None, "failure": None},
        "10001": {"state": "proposed", "unanswered_since": "2026-07-28T12:00:05Z", "failure": AWAY},
        "9999": {"state": "accepted", "unanswered_since": None, "failure": None},
    }


def test_who_follows_a_job_sees_who_was_silent_until_it_runs(home: PartyHome, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no line about answers of a job that nobody was late for."""
    prompt, enrolled = seen("running"), seen("succeeded", p9999=4, p10000=4, p10001=job_pb2.ENROLLED)
    for views, told in (([silent(), enrolled], True), ([prompt, enrolled], False)):
        coming = iter(views)
        monkeypatch.setattr(job_watch, "view", lambda home, job, coming=coming: next(coming))
        monkeypatch.setattr(job_watch, "POLL", 0.0)
        console = Console(record=True, width=200)
        show_until(home, JOB, Board(console, "", ["arbiter 10001"], None), has_ended, 60.0)
        lines = [" ".join(line.split()) for line in console.export_text().splitlines()]
        text = f"arbiter 10001 (proposal) proposed, silent since 2026-07-28T12:00:05Z: {AWAY}"
        assert (text in lines) is told
        assert ("arbiter 10001 (proposal) enrolled" in lines) is told


def test_a_job_that_is_worked_on_does_not_wait() -> None:
    view = waiting()
    view.steps[1].state = job_pb2.STARTED
    assert brief(view, 0.0)["waits"] is None
    assert row(view, 0.0)[-1] == ""


def test_a_later_attempt_is_told() -> None:
    view = waiting()
    again = view.steps[1].members[0]
    again.state, again.attempt, again.progress, again.text = job_pb2.STARTED, 2, 0.4, "epoch 3"
    assert cells(view)[("lr_0", "guest 9999")] == "started (attempt 2) 40% epoch 3"
    again.state = job_pb2.PREPARED
    assert cells(view)[("lr_0", "guest 9999")] == "prepared (attempt 2)"


def test_a_rerun_is_answered_with_what_runs_again() -> None:
    found = decided(JOB, job_pb2.RerunAnswer(generation=2, components=["lr_0", "evaluation_0"]))
    assert found.line == f"job {JOB}: generation 2 runs lr_0, evaluation_0"
    assert found.json() == {"job_id": JOB, "generation": 2, "components": ["lr_0", "evaluation_0"]}


def test_a_rerun_that_is_refused_names_the_party_and_its_code() -> None:
    failure = pb.Failure(code="FED-533", message="policy may_rerun", member=MEMBERS[2], component="lr_0")
    with pytest.raises(FedError, match=r"^\[FED-533\] host 10000: lr_0: policy may_rerun$"):
        decided(JOB, job_pb2.RerunAnswer(failure=failure))


def test_a_generation_ends_by_its_own_verdict() -> None:
    view = seen("failed")
    view.generation = 1
    assert not has_verdict(view, 2), "the verdict of the one before"
    view.generation = 2
    assert has_verdict(view, 2)
    view.state = "running"
    assert not has_verdict(view, 2)


def test_log_entries_are_lines_with_the_errors_below() -> None:
    error = {"exc_type": "DataError", "exc_value": "[FED-204] no column"}
    entry = {"timestamp": "2026-11-22T17:53:10.782983Z", "level": "error", "event": "a\nb", "error_detail": [error]}
    assert log_lines(entry) == ["2026-11-22 17:53:10.782  error  a", "b", "    DataError: [FED-204] no column"]
    assert log_lines({"event": "::endgroup::"}) == ["::endgroup::"]
    assert log_lines({"event": ""}) == [""]


def test_what_was_stored_is_printed_or_written_as_fate_does(home: PartyHome, tmp_path: Path) -> None:
    job = proposal()
    (plan,) = DslAcceptor(home).plans(job, "9999")
    folder = home.job_dir("9999", plan.job_id)
    (folder / "guest").mkdir(parents=True)
    (folder / "guest" / "plan.json").write_bytes(dump_plan(plan))
    (folder / "job.json").write_text(json.dumps({"dsl": json.loads(job.dsl), "conf": json.loads(job.conf)}))
    printed = json.loads(run("config", plan.job_id, "--home", str(home.root)).stdout)
    assert (printed["dsl"], printed["runtime_conf"]) == (json.loads(job.dsl), json.loads(job.conf))
    assert printed["model_info"]["model_version"] == plan.job_id
    assert printed["model_info"]["model_id"].startswith("arbiter-10001#guest-9999#host-10000#")
    arguments = ("config", plan.job_id, "--home", str(home.root), "-o", str(tmp_path / "out"), "--json")
    written = Path(json.loads(run(*arguments).stdout)["directory"])
    assert written == tmp_path / "out" / f"job_{plan.job_id}_config"
    assert {path.stem: json.loads(path.read_text()) for path in written.iterdir()} == {
        name: printed[name] for name in ("dsl", "runtime_conf", "model_info")
    }
    blocked = run(*arguments[:5], str(folder / "job.json"))
    assert blocked.exit_code == 1
    assert blocked.stderr.startswith("error: [FED-904]")


@pytest.mark.parametrize("job_id", [JOB, "../9999", "*", ""])
def test_job_that_is_not_stored_is_one_line(home: PartyHome, job_id: str) -> None:
    home.job_dir("9999", "x").mkdir(parents=True)
    found = run("config", job_id, "--home", str(home.root))
    assert found.exit_code == 1
    assert found.stderr.startswith("error: [FED-933]")
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "code"),
    [("list", "FED-430"), ("show", "FED-430"), ("kill", "FED-430"), ("rerun", "FED-430"), ("logs", "FED-920")],
)
def test_party_that_does_not_run_is_one_line(home: PartyHome, command: str, code: str) -> None:
    found = run(command, *([] if command == "list" else [JOB]), "--home", str(home.root))
    assert found.exit_code == 1
    assert found.stderr.startswith(f"error: [{code}]")
    assert found.stderr.count("\n") == 1


def test_files_that_are_not_there_are_one_line(home: PartyHome) -> None:
    found = run("submit", "no_dsl.json", "no_conf.json", "--home", str(home.root))
    assert found.exit_code == 2
    assert "no_dsl.json" in found.stderr


@pytest.mark.parametrize("command", ["submit", "list", "show", "logs", "kill", "rerun", "config"])
def test_home_may_come_from_the_environment(command: str) -> None:
    assert "AIRFED_HOME" in CliRunner().invoke(app, ["job", command, "--help"], env={"COLUMNS": "120"}).stdout
