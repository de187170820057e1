"""Proposals are validated alike everywhere; pipelines of others are installed without their conf."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dags_generator.acceptor import DslAcceptor
from dags_generator.dropin import compiled, scan
from dags_generator.roleplan import load_role_plans
from federated_operators.gateway.plan import ProposedJob
from federatedml.errors import DslError
from federatedml.federation.home import PartyHome
from tests.members import ARBITER, HOST
from tests.pipeline_example import proposal

HEX = 64


@pytest.fixture
def acceptor(tmp_path: Path) -> DslAcceptor:
    return DslAcceptor(PartyHome(tmp_path))


def publish(acceptor: DslAcceptor, party: str) -> str:
    """What the bundle's refresh does."""
    found = scan(acceptor.home)
    return acceptor._store.publish({key: compiled(source, party) for key, source in found.items()})


def test_the_digest_is_of_all_that_is_agreed(acceptor: DslAcceptor) -> None:
    job = proposal()
    digest, versions, disclosure = acceptor.digest(job)
    assert len(digest) == HEX
    assert versions == {"DataIO": "1", "Evaluation": "1", "HeteroLR": "1", "Intersection": "1"}
    assert len(disclosure) == HEX // 2
    changed = {
        replace(job, job_id="3" * 21),
        replace(job, pipeline="other"),
        proposal(lambda components: components["hetero_lr_0"].update(need_deploy=False)),
        proposal(conf_edit=lambda conf: conf["algorithm_parameters"]["hetero_lr_0"].update(max_iter=29)),
    }
    assert len({digest, *(acceptor.digest(other)[0] for other in changed)}) == 1 + len(changed)


def test_every_party_plans_its_own_part_of_the_same_job(acceptor: DslAcceptor) -> None:
    digest, _, _ = acceptor.digest(proposal())
    (host,) = acceptor.plans(proposal(), "10000")
    (arbiter,) = acceptor.plans(proposal(), "10001")
    assert (host.me, arbiter.me) == (HOST, ARBITER)
    assert host.digest == arbiter.digest == digest
    assert host.spec_digest == arbiter.spec_digest
    assert host.all_steps == arbiter.all_steps


def test_a_party_with_two_roles_has_two_plans(acceptor: DslAcceptor) -> None:
    job = proposal(conf_edit=lambda conf: conf["role"].update(host=[9999]))
    assert [str(plan.me) for plan in acceptor.plans(job, "9999")] == ["guest_9999", "host_9999"]


REFUSED: dict[str, tuple[Callable[[ProposedJob], ProposedJob], str]] = {
    "another initiator": (lambda job: replace(job, initiator="10000"), "FED-171"),
    "not canonical": (lambda job: replace(job, dsl=json.dumps(json.loads(job.dsl)).encode()), "FED-171"),
    "hostile job id": (lambda job: replace(job, job_id="../" + "1" * 20), "FED-173"),
    "hostile pipeline": (lambda job: replace(job, pipeline="../../etc/passwd"), "FED-110"),
    "no DSL": (lambda job: replace(job, dsl=b"{}"), "FED-102"),
    "not JSON": (lambda job: replace(job, conf=b"\x00"), "FED-100"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_proposal_that_is_not_valid_is_refused(acceptor: DslAcceptor, name: str) -> None:
    edit, code = REFUSED[name]
    for question in (acceptor.digest, lambda job: acceptor.plans(job, "10000")):
        with pytest.raises(DslError) as error:
            question(edit(proposal()))
        assert error.value.code == code


def test_a_party_without_a_role_has_no_plan(acceptor: DslAcceptor) -> None:
    with pytest.raises(DslError, match="FED-172"):
        acceptor.plans(proposal(), "10002")


def test_install_writes_dsl_and_parties_once(acceptor: DslAcceptor) -> None:
    (plan,) = acceptor.plans(proposal(), "10000")
    digest = acceptor.install(plan)
    (file,) = acceptor.home.installed.iterdir()
    assert file.name == "9999.hetero_lr.json"
    assert json.loads(file.read_text()).keys() == {"dsl", "parties"}
    before = file.stat()
    (again,) = acceptor.plans(
        proposal(conf_edit=lambda conf: conf["algorithm_parameters"]["hetero_lr_0"].update(max_iter=1)), "10000"
    )
    assert acceptor.install(again) == digest
    assert file.stat() == before


def test_installed_says_whether_the_bundle_has_this_very_pipeline(acceptor: DslAcceptor) -> None:
    (plan,) = acceptor.plans(proposal(), "10000")
    assert not acceptor.installed(plan)
    acceptor.install(plan)
    assert not acceptor.installed(plan)
    first = publish(acceptor, "10000")
    assert acceptor.installed(plan)
    (changed,) = acceptor.plans(proposal(lambda components: components["dataio_0"].update(need_deploy=False)), "10000")
    assert not acceptor.installed(changed)
    acceptor.install(changed)
    second = publish(acceptor, "10000")
    assert acceptor.installed(changed)
    assert not acceptor.installed(plan)
    assert acceptor.installed(plan, first)
    assert not acceptor.installed(plan, second)
    assert not acceptor.installed(plan, "0" * 32)
    assert not acceptor.installed(plan, "../version")


def test_what_was_installed_becomes_a_dag_that_others_start(acceptor: DslAcceptor) -> None:
    (plan,) = acceptor.plans(proposal(), "10000")
    acceptor.install(plan)
    (dag,) = load_role_plans(compiled(scan(acceptor.home)["9999.hetero_lr"], "10000").body)
    assert dag.dag_id == plan.dag_id
    assert dag.spec_digest == plan.spec_digest
    assert dag.start is None
    assert [task.component for task in dag.tasks] == list(plan.steps)


def test_the_initiator_s_own_pipeline_is_not_installed_again(acceptor: DslAcceptor) -> None:
    job = proposal(conf_edit=lambda conf: conf["role"].update(host=[9999]))
    for plan in acceptor.plans(job, "9999"):
        acceptor.install(plan)
    assert not acceptor.home.installed.exists()
