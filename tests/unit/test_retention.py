"""What finished jobs leave is removed in time, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from airfed_proto.v1 import job_pb2
from federated_operators.gateway.names import Job, Seat
from federated_operators.gateway.plan import JobPlan, dump_plan
from federated_operators.gateway.policy import default_policy, load_policy
from federated_operators.gateway.retention import DAY_S, Retention, outputs_gone
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import UNKNOWN, JobRow, OutputRow, PlanRow, RemovedRow
from federated_operators.gateway.seats import Seats
from federated_operators.gateway.store import Store
from federated_operators.gateway.verdicts import TRACKING
from federatedml.errors import PolicyError
from federatedml.federation.home import PartyHome
from tests.members import GUEST, HOST

FIRST, SECOND = Job(GUEST.party, "20260728120000000001"), Job(GUEST.party, "20260728120000000002")
END = 1_000_000.0
LATER = END + 31 * DAY_S
KEPT = ("job.json", "host/plan.json", "host/tracking/experiment.json", "lr_0/guest/g1/a1/data/train.parquet")
GONE = ("lr_0/host/g1/a1/data/train.parquet", "lr_0/host/g1/a2/ckpt/7", "conclude/host/g1/a1/metrics.jsonl")


class Gateway:
    """The parts of the host's gateway that retention needs."""

    def __init__(self, root: Path) -> None:
        self.home, self.store, self.seats = PartyHome(root), Store(root / "gateway.db"), Seats()
        self.policy(30)

    def policy(self, days: float | None) -> None:
        rules = yaml.safe_load(default_policy(HOST.party, [GUEST.party])) | {"retention_days": days}
        self.home.policy.write_text(yaml.safe_dump(rules))

    def job(self, job: Job, state: str, ended_at: float = END, earlier: str = "") -> Path:
        """A job with an output at the host, and its files."""
        plan = JobPlan(
            GUEST, job.job_id, "p", HOST, (GUEST, HOST), "model", "", "", "9999.p.host_10000", {}, {}, {}, {}, {}, {}
        )
        key = (job.initiator, job.job_id)
        self.store.put(PlanRow(*key, str(HOST), dump_plan(replace(plan, earlier_job=earlier))))
        self.store.put(OutputRow(*key, "lr_0", str(HOST), 1, 2, b"{}"))
        self.store.put(JobRow(*key, "p", b"", b"", state, 1, 0.0, ended_at))
        folder = self.home.job_dir(*key)
        for name in (*KEPT, *GONE):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
        return folder

    def once(self, now: float = LATER) -> list[Job]:
        """A turn of a gateway that has just been started."""
        roster = Roster(self.store, HOST.party)
        return asyncio.run(Retention(self.store, roster, self.home, self.seats).once(now))


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path)
    yield made
    made.store.close()


def left(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_a_job_computed_goes_and_what_it_was_stays(gateway: Gateway) -> None:
    folder = gateway.job(FIRST, "succeeded")
    assert gateway.once(END + 30 * DAY_S - 1) == []
    assert not outputs_gone(gateway.store, FIRST)
    assert gateway.once(END + 30 * DAY_S) == [FIRST]
    assert left(folder) == set(KEPT)
    assert outputs_gone(gateway.store, FIRST)
    assert [event["event"] for event in gateway.store.events(FIRST)] == ["outputs removed"]


def test_a_second_turn_finds_nothing_to_do(gateway: Gateway) -> None:
    gateway.job(FIRST, "failed")
    assert gateway.once() == [FIRST]
    assert gateway.once() == []
    assert len(gateway.store.events(FIRST)) == 1


@pytest.mark.parametrize(("days", "now", "removed"), [(0, END, [FIRST]), (0.5, END + DAY_S, [FIRST]), (None, 1e12, [])])
def test_the_policy_says_when(gateway: Gateway, days: float | None, now: float, removed: list[Job]) -> None:
    gateway.job(FIRST, "cancelled")
    gateway.policy(days)
    assert gateway.once(now) == removed


@pytest.mark.parametrize("days", [-1, ".inf", ".nan", "soon"])
def test_a_rule_that_is_none_is_refused(gateway: Gateway, days: object) -> None:
    rules = default_policy(HOST.party, []).replace("retention_days: 30", f"retention_days: {days}")
    gateway.home.policy.write_text(rules)
    with pytest.raises(PolicyError, match="retention_days"):
        load_policy(gateway.home.policy)


@pytest.mark.parametrize("state", ["proposed", "running", "reopening"])
def test_a_job_without_a_verdict_keeps_everything(gateway: Gateway, state: str) -> None:
    folder = gateway.job(FIRST, state)
    assert gateway.once() == []
    assert left(folder) == {*KEPT, *GONE}


def test_a_job_that_was_given_up_does_not_keep_its_outputs_until_its_initiator_is_back(gateway: Gateway) -> None:
    """It may never be."""
    folder = gateway.job(FIRST, UNKNOWN)
    assert gateway.once(END + 29 * DAY_S) == []
    assert left(folder) == {*KEPT, *GONE}
    assert gateway.once() == [FIRST]
    assert not {*GONE} & left(folder)


def test_outputs_that_a_running_job_builds_on_stay_until_it_ends(gateway: Gateway) -> None:
    gateway.job(FIRST, "succeeded")
    gateway.job(SECOND, "running", earlier=FIRST.job_id)
    assert gateway.once() == []
    gateway.job(SECOND, "succeeded", ended_at=LATER, earlier=FIRST.job_id)
    assert gateway.once() == [FIRST]


def test_a_job_whose_worker_is_there_or_whose_end_is_still_told_waits(gateway: Gateway) -> None:
    gateway.job(FIRST, "failed")
    seat = gateway.seats.take(Seat(FIRST, "lr_0", HOST), "ti")
    assert gateway.once() == []
    gateway.seats.leave(seat)
    notice = job_pb2.VerdictNotice(job=FIRST.key(), generation=1, verdict=job_pb2.JOB_FAILED)
    gateway.store.post(TRACKING, TRACKING, notice.SerializeToString())
    assert gateway.once() == []
    letter = gateway.store.next_letter(TRACKING, 0)
    assert letter is not None
    gateway.store.answered(letter)
    assert gateway.once() == [FIRST]


def test_a_removal_that_a_death_cut_off_goes_on(gateway: Gateway) -> None:
    folder = gateway.job(FIRST, "succeeded")
    gateway.store.put(RemovedRow(*FIRST.where.values(), generation=1, removed_at=END))
    gateway.policy(None)
    assert outputs_gone(gateway.store, FIRST)
    assert gateway.once() == [FIRST]
    assert left(folder) == set(KEPT)


def test_a_link_out_of_the_folder_is_not_followed(gateway: Gateway, tmp_path: Path) -> None:
    folder = gateway.job(FIRST, "succeeded")
    precious = tmp_path / "precious" / "g1"
    precious.mkdir(parents=True)
    (precious / "table").write_text("kept")
    (folder / "linked_0").mkdir()
    (folder / "linked_0/host").symlink_to(precious.parent)
    (folder / "lr_0/host/g1/a1/link").symlink_to(precious)
    assert gateway.once() == [FIRST]
    assert (precious / "table").read_text() == "kept"


def test_outputs_of_a_rerun_are_kept_for_their_own_time(gateway: Gateway) -> None:
    folder = gateway.job(FIRST, "succeeded")
    gateway.once()
    (folder / "lr_0/host/g2/a1").mkdir(parents=True)
    row = gateway.store.get(JobRow, **FIRST.where)
    assert row is not None
    gateway.store.put(replace(row, generation=2, ended_at=LATER))
    gateway.store.put(OutputRow(*FIRST.where.values(), "lr_0", str(HOST), 2, 1, b"{}"))
    assert gateway.once() == []
    assert not outputs_gone(gateway.store, FIRST), "made anew"
    assert gateway.once(LATER + 30 * DAY_S) == [FIRST]
    assert not (folder / "lr_0/host/g2").exists()
