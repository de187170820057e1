"""``airfed job rerun`` over three gateways: a new generation, or a refusal in the words of who refused."""

from __future__ import annotations

import json
from io import StringIO

import pytest
import yaml
from gateway_kit import EXPECTED, GUEST, HOST, JOB_IDS, MEMBERS, SUM, Parties, save, until
from rich.console import Console
from typer.testing import CliRunner, Result

from airfed.cli import app
from airfed.demo_screen import Screen
from airfed.job import jobs
from airfed.job_rerun import Rerun, follow, rerun
from airfed.job_text import brief, row, steps, waits
from airfed_proto.v1 import local_pb2
from federated_operators.gateway.names import CONCLUDE
from federatedml.errors import DslError, FedError
from federatedml.federation.party import Member

pytestmark = pytest.mark.usefixtures("history")


@pytest.fixture
def job_id() -> str:
    return str(next(JOB_IDS))


@pytest.fixture
def failed(parties: Parties, job_id: str) -> str:
    """A job whose algorithm failed at the host, once."""

    def breaks(point: str) -> None:
        if point == "start":
            raise DslError("FED-130", "for once")

    parties.federate(job_id)
    for member in MEMBERS:
        parties.worker(member, job_id=job_id, **({"at": breaks} if member == HOST else {}))
    for member in MEMBERS:
        until(lambda party=member.party: parties.state(party, job_id) == "failed")
    return job_id


def finish(parties: Parties, job_id: str) -> None:
    """What the tasks do that every gateway clears in its own Airflow, once it has heard of the generation."""
    for member in MEMBERS:
        until(lambda party=member.party: parties.state(party, job_id) == "running")
    for component in (SUM, CONCLUDE):
        workers = [parties.worker(member, component, job_id=job_id) for member in MEMBERS]
        for worker in workers:
            worker.join(30)
            assert worker.committed is not None, worker.error
            assert component == CONCLUDE or worker.total() == EXPECTED


def command(parties: Parties, member: Member, *arguments: str) -> Result:
    home = str(parties.homes[member.party].root)
    return CliRunner().invoke(app, ["job", "rerun", *arguments, "--home", home])


@pytest.mark.parametrize("member", [GUEST, HOST])
def test_a_failed_job_goes_on_from_its_failure(parties: Parties, failed: str, member: Member) -> None:
    home, shown = parties.homes[member.party], StringIO()
    ordered = rerun(home, failed, [], True, "mended")
    assert ordered == Rerun(failed, 2, [SUM])
    assert rerun(home, failed, [SUM], True) == ordered, "the same wish again"
    finish(parties, failed)
    last = follow(home, ordered, Screen(Console(file=shown)))
    assert (last.state, last.generation) == ("succeeded", 2)
    assert "committed" in shown.getvalue()
    for other in MEMBERS:
        until(lambda party=other.party: parties.state(party, failed) == "succeeded")
    assert {row[4] for row in steps(last)} == {"2"}


def test_a_job_that_waits_says_for_what_in_the_list_and_in_the_view(parties: Parties, failed: str) -> None:
    rerun(parties.homes[GUEST.party], failed, [SUM], False)

    def listed() -> local_pb2.JobView | None:
        (found,) = [job for job in jobs(parties.homes[GUEST.party], 0) if job.job.job_id == failed]
        return found if waits(found) else None

    found = until(listed)
    assert row(found, 0.0)[-1] == brief(found, 0.0)["waits"]
    assert brief(found, 0.0)["waits"].startswith(f"{SUM} waits for ")
    assert f"after {SUM}" in [line[-1] for line in steps(found)]
    finish(parties, failed)


def test_the_command_prints_what_runs_again_as_one_document(parties: Parties, failed: str) -> None:
    found = command(parties, GUEST, failed, "--reason", "mended", "--json")
    assert found.exit_code == 0, found.stderr
    assert json.loads(found.stdout) == {"job_id": failed, "generation": 2, "components": [SUM]}
    finish(parties, failed)
    everything = command(parties, HOST, failed)
    assert everything.exit_code == 1
    assert everything.stderr == (
        f"error: [FED-365] every component of job {failed} succeeded (name those to run again)\n"
    )


def test_what_a_party_refuses_names_it_and_its_rule(parties: Parties, failed: str) -> None:
    policy = parties.homes[HOST.party].policy
    before = policy.read_text()
    save(policy, yaml.safe_dump({**yaml.safe_load(before), "may_rerun": []}))
    try:
        with pytest.raises(FedError, match=r"FED-362.*party 10000 refuses the rerun: .*may_rerun"):
            rerun(parties.homes[GUEST.party], failed, [], True)
    finally:
        save(policy, before)
    assert parties.state(GUEST.party, failed) == "failed"


@pytest.mark.parametrize(
    ("arguments", "code"), [(["{job}", "nothing_0"], "FED-367"), (["20260728120000999999"], "FED-924")]
)
def test_what_is_not_there_is_one_line(parties: Parties, failed: str, arguments: list[str], code: str) -> None:
    found = command(parties, HOST, *(each.format(job=failed) for each in arguments))
    assert found.exit_code == 1
    assert found.stderr.startswith(f"error: [{code}]")
    assert found.stderr.count("\n") == 1
