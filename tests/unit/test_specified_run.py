"""A job of some components only: its plans, what it reads of the earlier job, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from airfed_proto.v1 import local_pb2, model_pb2
from dags_generator.acceptor import DslAcceptor
from dags_generator.describe import plan_json, plan_text
from dags_generator.plan import job_plan
from dags_generator.simulate import simulate
from dags_generator.spec import PipelineSpec
from federated_operators.conclude import bundle_of
from federated_operators.gateway.earlier import check_earlier, earlier_outputs
from federated_operators.gateway.plan import JobPlan, dump_plan
from federated_operators.gateway.rows import OutputRow, PlanRow
from federated_operators.gateway.store import Store
from federated_operators.outputs import JobStore, StepOutputs, dump_outputs, load_committed
from federatedml.component import Outputs
from federatedml.data.catalogue import Catalogue
from federatedml.data.table import Kind, Table
from federatedml.errors import DataError, DslError
from federatedml.federation.home import PartyHome
from tests import pipeline_v2_example as v2
from tests.members import ARBITER, GUEST, HOST
from tests.pipeline_example import FOLDER, JOB_ID, at, proposal, spec, unchanged

EARLIER = "202611211651119128390"
NAMED = ("evaluation_0", "hetero_lr_0")
CHOICE = at("job_parameters", specified_task_run={"job_id": EARLIER, "components": [*reversed(NAMED)]})
TABLE = Table(np.array(["a", "b"], dtype=object), {"x": np.array([1.0, 2.0])}, None, Kind.INSTANCES)
MODEL = {"DataIOMeta": model_pb2.DataIOMeta(with_label=True), "DataIOParam": model_pb2.DataIOParam(header=["x"])}


def plan(found: PipelineSpec | None = None) -> JobPlan:
    """The guest's plan of the job that runs ``NAMED`` only."""
    return job_plan(found or spec(conf_edit=CHOICE), GUEST, JOB_ID, "")


def test_only_the_named_components_are_part_of_the_job() -> None:
    found = plan()
    assert tuple(sorted(found.steps)) == tuple(sorted(found.all_steps)) == tuple(sorted(found.modules)) == NAMED
    assert tuple(sorted(found.trigger_rules)) == tuple(sorted(found.disclosure)) == NAMED
    assert found.upstream == {"hetero_lr_0": [], "evaluation_0": ["hetero_lr_0"]}
    assert found.steps["hetero_lr_0"].upstream == []
    assert found.steps["hetero_lr_0"].data["train_data"][0].component == "intersection_0"
    assert found.earlier_job == EARLIER
    assert list(job_plan(spec(conf_edit=CHOICE), ARBITER, JOB_ID, "").steps) == ["hetero_lr_0"]
    assert list(job_plan(spec(conf_edit=CHOICE), HOST, JOB_ID, "").steps) == ["hetero_lr_0"]


def test_the_dag_stays_that_of_the_pipeline() -> None:
    assert spec(conf_edit=CHOICE).graph == spec().graph


def test_what_does_not_run_discloses_nothing_and_binds_nobody(tmp_path: Path) -> None:
    (tmp_path / "party.yaml").write_text(yaml.safe_dump({"party_id": "9999", "name": "guest", "ports": {}}))
    acceptor = DslAcceptor(PartyHome(tmp_path))
    digest, versions, disclosure = acceptor.digest(proposal(unchanged, CHOICE))
    whole = acceptor.digest(proposal())
    assert set(versions) == {"HeteroLR", "Evaluation"}
    assert digest != whole[0]
    assert disclosure != whole[2]


def test_inheritance_of_conf_v2_is_the_same_choice() -> None:
    kept = {"job_id": EARLIER, "component_list": ["reader_0", "dataio_0", "intersection_0"]}
    found = v2.spec(conf_edit=at("job_parameters", "common", inheritance_info=kept))
    assert found.job.specified == spec(conf_edit=CHOICE).job.specified


def test_limits_of_what_does_not_run_are_no_part_of_the_plan() -> None:
    def edit(conf: dict) -> None:
        CHOICE(conf)
        at("job_parameters", task_timeout=60, auto_retries=1)(conf)

    found = plan(spec(conf_edit=edit))
    assert tuple(sorted(found.task_timeouts)) == tuple(sorted(found.auto_retries)) == NAMED


def test_a_rule_that_the_earlier_job_settles_is_refused() -> None:
    with pytest.raises(DslError, match=r"FED-129.*components: hetero_lr_0 waits for one_success of intersection_0"):
        spec(at("hetero_lr_0", trigger_rule="one_success"), CHOICE)


def test_the_plan_shows_what_runs() -> None:
    text, shown = plan_text(spec(conf_edit=CHOICE)), plan_json(spec(conf_edit=CHOICE))
    assert f"only evaluation_0, hetero_lr_0, on what job {EARLIER} left of the others" in text
    assert "dataio_0 (DataIO)" not in text
    assert list(shown["members"]["guest_9999"]["components"]) == ["hetero_lr_0", "evaluation_0"]
    assert shown["specified_task_run"] == {"job_id": EARLIER, "components": NAMED}


def test_a_simulation_has_no_earlier_job(tmp_path: Path) -> None:
    conf = tmp_path / "hetero_lr_conf.json"
    text = (FOLDER / "hetero_lr_conf.json").read_text()
    choice = f'{{"specified_task_run": {{"job_id": "{EARLIER}", "components": ["hetero_lr_0"]}}, '
    conf.write_text(text.replace('"job_parameters": {', f'"job_parameters": {choice}', 1))
    with pytest.raises(DslError, match="FED-175"):
        simulate(FOLDER / "hetero_lr_dsl.json", conf, tmp_path)


# At a party


@pytest.fixture
def home(tmp_path: Path) -> PartyHome:
    (tmp_path / "party.yaml").write_text(yaml.safe_dump({"party_id": "9999", "name": "guest", "ports": {}}))
    return PartyHome(tmp_path)


def left_behind(home: PartyHome, whole: JobPlan, *names: str) -> dict[str, StepOutputs]:
    """What components of the earlier job have stored."""
    store, found = JobStore(home.job_dir("9999", EARLIER), Catalogue(home.data)), {}
    for name in names:
        attempt = store.folder / name / "guest" / "g1" / "a1"
        attempt.mkdir(parents=True)
        outputs = Outputs(TABLE, MODEL if name == "dataio_0" else None)
        found[name] = store.store(whole.steps[name], outputs, attempt)
    return found


@pytest.fixture
def earlier(home: PartyHome) -> Store:
    """The gateway's database after the earlier job, of which DataIO and Intersection are committed."""
    whole = job_plan(spec(), GUEST, EARLIER, "")
    store = Store(home.root / "gateway.db")
    with store.transaction():
        store.put(PlanRow("9999", EARLIER, str(GUEST), dump_plan(whole)))
        for name, outputs in left_behind(home, whole, "dataio_0", "intersection_0").items():
            store.put(OutputRow("9999", EARLIER, name, str(GUEST), 1, 1, dump_outputs(outputs)))
        store.put(OutputRow("9999", EARLIER, "conclude", str(GUEST), 1, 1, b'{"summary": {"dataio_0": {}}}'))
    return store


def test_inputs_are_read_from_the_folder_of_the_earlier_job(home: PartyHome, earlier: Store) -> None:
    found = plan()
    check_earlier(found, earlier, home)
    committed = load_committed(earlier_outputs(found, earlier), found)
    assert {outputs.job for outputs in committed.values()} == {EARLIER}
    store = JobStore(home.job_dir("9999", JOB_ID), Catalogue(home.data))
    inputs = store.inputs(found.steps["hetero_lr_0"], committed)
    assert inputs.one("train_data").origin == "intersection_0"


def test_a_component_that_runs_reads_nothing_of_the_earlier_job(earlier: Store) -> None:
    choice = at("job_parameters", specified_task_run={"job_id": EARLIER, "components": ["dataio_0", "hetero_lr_0"]})
    assert set(earlier_outputs(plan(spec(conf_edit=choice)), earlier)) == {"intersection_0"}
    assert earlier_outputs(plan(spec()), earlier) == {}


def other_parties(job: JobPlan) -> JobPlan:
    return replace(job, members=job.members[1:])


def other_job(job: JobPlan) -> JobPlan:
    return replace(job, earlier_job="202611201651119128390")


def evaluation_alone(_: JobPlan) -> JobPlan:
    choice = at("job_parameters", specified_task_run={"job_id": EARLIER, "components": ["evaluation_0"]})
    return plan(spec(conf_edit=choice))


def other_module(job: JobPlan) -> JobPlan:
    components = {**job.dsl["components"], "intersection_0": {"module": "DataIO"}}
    return replace(job, dsl={"components": components})


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (other_job, "is not known at this party"),
        (other_parties, "had other parties"),
        (evaluation_alone, "hetero_lr_0 left no data 'train' in it at this party"),
        (other_module, "intersection_0 left no data 'train'"),
    ],
)
def test_what_the_earlier_job_does_not_have_is_refused(
    home: PartyHome, earlier: Store, edit: Callable[[JobPlan], JobPlan], words: str
) -> None:
    with pytest.raises(DslError, match=rf"FED-174.*{words}"):
        check_earlier(edit(plan()), earlier, home)


def test_outputs_that_are_gone_are_refused(home: PartyHome, earlier: Store) -> None:
    (path,) = home.job_dir("9999", EARLIER).glob("intersection_0/**/*.parquet")
    path.unlink()
    with pytest.raises(DslError, match=r"FED-174.*intersection_0 left as data 'train' in it is gone"):
        check_earlier(plan(), earlier, home)


def test_outputs_cannot_name_a_folder_of_their_own(home: PartyHome) -> None:
    store = JobStore(home.job_dir("9999", JOB_ID), Catalogue(home.data))
    with pytest.raises(DataError, match="FED-223"):
        store.of(StepOutputs(job="../.."))


def test_a_model_is_whole_if_its_other_components_ran_in_the_earlier_job(home: PartyHome, earlier: Store) -> None:
    found = plan()
    store = JobStore(home.job_dir("9999", JOB_ID), Catalogue(home.data))
    committed = load_committed(earlier_outputs(found, earlier), found)
    assert bundle_of(found, committed, store, local_pb2.Start()) is None, "nothing was fitted in this job"
    attempt = store.folder / "hetero_lr_0" / "guest" / "g1" / "a1"
    attempt.mkdir(parents=True)
    lr = {"HeteroLRMeta": model_pb2.DataIOMeta(), "HeteroLRParam": model_pb2.DataIOParam()}
    committed["hetero_lr_0"] = store.store(found.steps["hetero_lr_0"], Outputs(TABLE, lr), attempt)
    bundle = bundle_of(found, committed, store, local_pb2.Start())
    assert bundle is not None
    assert set(bundle.components) == {"dataio_0", "hetero_lr_0"}
