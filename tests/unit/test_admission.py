"""How long the coordinator asks a party whether it takes part: silence only pauses, a refusal is an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airfed_proto.v1 import job_pb2
from federated_operators.gateway import admission
from federated_operators.gateway.admission import Admission
from federated_operators.gateway.names import Job
from federated_operators.gateway.rows import JobRow, ProposalRow, VerdictRow
from federated_operators.gateway.store import Store
from federated_operators.gateway.unanswered import Unanswered
from federatedml.errors import PeerError, PolicyError
from tests.members import ARBITER, GUEST, HOST

JOB = Job(GUEST.party, "20261123060000000001")
SILENT = PeerError("FED-401", "party 10000 does not answer")
BUSY = PeerError("FED-420", "the own Airflow does not answer")
REFUSAL = PolicyError("FED-545", "not allowed")
ACCEPTED = job_pb2.ProposalAnswer(state=job_pb2.ACCEPTED)
PENDING = job_pb2.ProposalAnswer(state=job_pb2.PENDING)


class Party:
    """A peer that answers one thing after the other, the last for ever."""

    def __init__(self, store: Store, *answers: Any) -> None:
        self.store, self.answers, self.asked = store, list(answers), 0

    async def call(self, party: str, method: str, request: Any, timeout: float) -> Any:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(admission, "PAUSE_S", 0.0)
    made = Store(tmp_path / "gateway.db")
    made.put(JobRow(JOB.initiator, JOB.job_id, "p", b"", b"", "proposed", 1, 0.0))
    made.put(ProposalRow(JOB.initiator, JOB.job_id, HOST.party, job_pb2.PROPOSED))
    yield made
    made.close()


def asked(store: Store, party: Party, patience: float, seconds: float, unanswered: Unanswered | None = None) -> Any:
    known = unanswered or Unanswered()
    own = Admission(store, None, None, party, GUEST.party, patience, known)  # type: ignore[arg-type]
    return asyncio.run(own._ask(JOB, HOST.party, "Propose", job_pb2.Proposal(), seconds))


def recorded(store: Store) -> int:
    return next(row.state for row in store.select(ProposalRow, **JOB.where))


@pytest.mark.parametrize("silence", [SILENT, PENDING])
def test_who_is_silent_or_asks_its_people_is_asked_again(store: Store, silence: Any) -> None:
    party = Party(store, *[silence] * 5, ACCEPTED)
    assert asked(store, party, patience=60.0, seconds=60.0).state == job_pb2.ACCEPTED
    assert (party.asked, recorded(store)) == (6, job_pb2.ACCEPTED)


def test_silence_is_given_the_patience(store: Store) -> None:
    assert asked(store, Party(store, SILENT, ACCEPTED), patience=60.0, seconds=0.0).state == job_pb2.ACCEPTED


def test_the_patience_is_what_the_party_says(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(admission, "time", clock)
    party = Party(store, *[SILENT] * 590, ACCEPTED)
    assert asked(store, party, patience=600.0, seconds=20.0).state == job_pb2.ACCEPTED
    assert clock.now < 600.0
    assert asked(store, Party(store, SILENT), patience=600.0, seconds=20.0).state == job_pb2.REFUSED


@pytest.mark.parametrize(("answer", "seconds"), [(BUSY, 0.0), (REFUSAL, 60.0)])
def test_what_is_no_silence_has_no_patience(store: Store, answer: Any, seconds: float) -> None:
    assert asked(store, Party(store, answer, ACCEPTED), patience=60.0, seconds=seconds).state == job_pb2.REFUSED


def test_silence_beyond_the_patience_is_a_refusal_that_says_so(store: Store) -> None:
    answer = asked(store, Party(store, SILENT), patience=0.0, seconds=60.0)
    assert (answer.state, answer.failure.code) == (job_pb2.REFUSED, "FED-401")
    assert recorded(store) == job_pb2.REFUSED


@pytest.mark.parametrize("later", [PENDING, BUSY])
def test_who_comes_back_has_all_its_time_to_answer(store: Store, monkeypatch: pytest.MonkeyPatch, later: Any) -> None:
    """Its gateway is there before its scheduler is."""
    clock = Clock()
    monkeypatch.setattr(admission, "time", clock)
    party = Party(store, *[SILENT] * 80, *[later] * 10, ACCEPTED)
    assert asked(store, party, patience=120.0, seconds=20.0).state == job_pb2.ACCEPTED
    assert clock.now < 120.0, "a second for each question"


@pytest.mark.parametrize("later", [PENDING, BUSY])
def test_that_time_has_an_end(store: Store, monkeypatch: pytest.MonkeyPatch, later: Any) -> None:
    monkeypatch.setattr(admission, "time", Clock())
    found = asked(store, Party(store, *[SILENT] * 80, later), patience=120.0, seconds=20.0)
    assert found.state in (job_pb2.PENDING, job_pb2.REFUSED)


def test_one_refusal_ends_the_waiting_for_others(store: Store) -> None:
    store.put(ProposalRow(JOB.initiator, JOB.job_id, ARBITER.party, job_pb2.REFUSED, b"reason"))
    party = Party(store, SILENT)
    assert asked(store, party, patience=60.0, seconds=60.0).state == job_pb2.WITHDRAWN
    assert party.asked == 0


class Clock:
    """A second passes at every look, of which a question takes one."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


def test_a_job_that_ends_meanwhile_waits_for_nobody(store: Store) -> None:
    def end() -> PeerError:
        store.put(VerdictRow(JOB.initiator, JOB.job_id, 1, job_pb2.CANCELLED))
        return SILENT

    party = Party(store, SILENT, end, ACCEPTED)
    assert asked(store, party, patience=60.0, seconds=60.0).state == job_pb2.WITHDRAWN
    assert (party.asked, recorded(store)) == (2, job_pb2.PROPOSED)


def test_who_does_not_answer_is_known_with_the_reason_for_as_long_as_it_is_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "time", Clock())
    unanswered = Unanswered(lambda: 5000.0)
    seen: list[tuple[int, str, dict[str, float], str]] = []

    def look(answer: Any) -> Callable[[], Any]:
        def answered() -> Any:
            (row,) = store.select(ProposalRow, **JOB.where)
            found = unanswered.standing(row)
            seen.append((found.state, found.failure.code, dict(unanswered.since(JOB)), unanswered.before(JOB, 2.0)))
            return answer

        return answered

    answers = [SILENT, SILENT, PENDING, PENDING, ACCEPTED]
    party = Party(store, *[look(answer) for answer in answers])
    assert asked(store, party, patience=60.0, seconds=60.0, unanswered=unanswered).state == job_pb2.ACCEPTED
    at, silent = HOST.party, "party 10000: [FED-401] party 10000 does not answer"
    assert seen == [
        (job_pb2.PROPOSED, "", {}, ""),
        (job_pb2.PROPOSED, "FED-401", {at: 4999.0}, silent),
        (job_pb2.PROPOSED, "FED-401", {at: 4999.0}, silent),
        (job_pb2.PENDING, "", {at: 4999.0}, ""),
        (job_pb2.PENDING, "", {at: 4999.0}, ""),
    ]
    assert unanswered.since(JOB) == {}


def test_who_has_refused_or_is_not_asked_any_more_is_not_shown_as_silent(store: Store) -> None:
    unanswered = Unanswered()
    asked(store, Party(store, SILENT), patience=0.0, seconds=60.0, unanswered=unanswered)
    (row,) = store.select(ProposalRow, **JOB.where)
    assert (unanswered.standing(row).state, dict(unanswered.since(JOB))) == (job_pb2.REFUSED, {})


def test_an_admission_that_breaks_off_is_told_and_can_begin_anew(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        own = Admission(store, None, None, Party(store, KeyError("a bug")), GUEST.party, 60.0, Unanswered())  # type: ignore[arg-type]
        first = own._decision(JOB, job_pb2.Proposal())
        assert own._decision(JOB, job_pb2.Proposal()) is first
        await own.settled(JOB)
        with pytest.raises(KeyError):
            await first
        assert own._decision(JOB, job_pb2.Proposal()) is not first
        await own.settled(JOB)

    asyncio.run(work())
    assert [record.message for record in caplog.records] == [f"the admission of job {JOB.job_id} broke off"] * 2


def test_nobody_waits_for_an_admission_that_nobody_began(store: Store) -> None:
    own = Admission(store, None, None, Party(store, SILENT), GUEST.party, 60.0, Unanswered())  # type: ignore[arg-type]
    asyncio.run(asyncio.wait_for(own.settled(JOB), 30.0))
