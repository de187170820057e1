"""``schedule`` of a conf: read strictly, kept by the initiator, proposed to nobody."""

from __future__ import annotations

import contextlib
import json
import string
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dags_generator.acceptor import proposed
from dags_generator.describe import plan_json, plan_text
from dags_generator.parse import parse_native, parse_pair
from dags_generator.reading import read_object
from dags_generator.roleplan import dump_role_plans, load_role_plans, role_plans
from dags_generator.schedule import Cron, OnAssets, Schedule, take_schedule
from dags_generator.spec import PipelineSpec
from dags_generator.where import Where
from federated_operators.starter import Starter, starter_of
from federatedml.canonical import canonical_json
from federatedml.errors import DslError
from tests.pipeline_example import conf, dsl, proposal, spec
from tests.pipeline_v2_example import conf as conf_v2
from tests.pipeline_v2_example import dsl as dsl_v2

AT = Where("p_conf.json")


def with_schedule(schedule: Any) -> PipelineSpec:
    return spec(conf_edit=lambda value: value.update(schedule=schedule))


def refusal(schedule: Any) -> str:
    with pytest.raises(DslError) as caught:
        take_schedule({"schedule": schedule}, AT)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ({"cron": "0 3 * * *"}, Cron("0 3 * * *")),
        (
            {"cron": "*/5 0-6 1,15 JAN-JUN MON", "timezone": "Europe/Zurich"},
            Cron("*/5 0-6 1,15 JAN-JUN MON", "Europe/Zurich"),
        ),
        ({"cron": "0 3 * * 0", "start": "2026-02-01", "catchup": True}, Cron("0 3 * * 0", "UTC", "2026-02-01", True)),
        ({"assets": ["s3://sales/today.parquet", "stock"]}, OnAssets(("s3://sales/today.parquet", "stock"))),
    ],
)
def test_what_is_written_is_what_the_initiator_starts_by(written: dict[str, Any], found: Schedule) -> None:
    pipeline = with_schedule(written)
    assert pipeline.schedule == found
    assert "schedule" not in pipeline.conf
    (plan,) = load_role_plans(dump_role_plans(role_plans(pipeline.graph, "9999", pipeline)))
    assert plan.start is not None
    assert plan.start.schedule == found
    assert "schedule" not in {field.name for field in plan.start.form}
    assert plan_json(pipeline)["schedule"] == str(found)
    assert f"started by itself: {found}" in plan_text(pipeline).splitlines()


def test_the_schedule_changes_nothing_that_peers_agree_to() -> None:
    pipeline, plain = with_schedule({"cron": "0 3 * * *"}), spec()
    assert pipeline.graph.digest == plain.graph.digest
    assert canonical_json(pipeline.conf) == canonical_json(plain.conf)
    assert plain.schedule is None
    assert plan_json(plain)["schedule"] is None


def test_conf_v2_and_native_files_have_it_too() -> None:
    schedule = {"cron": "0 3 * * *"}
    v2 = json.dumps({**conf_v2(), "schedule": schedule}).encode()
    assert parse_pair("p", json.dumps(dsl_v2()).encode(), v2, "p_dsl.json", "p_conf.json").schedule == Cron("0 3 * * *")
    native = json.dumps({"dsl": dsl(), "conf": {**conf(), "schedule": schedule}}).encode()
    assert parse_native("p", native, "p.json").schedule == Cron("0 3 * * *")


def test_a_proposal_has_none() -> None:
    with pytest.raises(DslError, match=r"FED-102.*'schedule' is not understood"):
        proposed(proposal(conf_edit=lambda value: value.update(schedule={"cron": "0 3 * * *"})))


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        ("0 3 * * *", "[FED-103] p_conf.json: schedule: found a string: '0 3 * * *' (an object is expected)"),
        ({}, "[FED-145] p_conf.json: schedule: found neither of cron and assets (exactly one of them)"),
        ({"cron": "0 3 * * *", "assets": ["a"]}, "found both of cron and assets"),
        ({"cron": "0 3 * * *", "every": "day"}, "[FED-102] p_conf.json: schedule: key 'every' is not understood"),
        ({"cron": 3}, "[FED-103] p_conf.json: schedule.cron: found a number: 3"),
        (
            {"cron": "0 3 * *"},
            "[FED-145] p_conf.json: schedule.cron: '0 3 * *' is not a cron expression (minute, hour,",
        ),
        ({"cron": "@daily"}, "'@daily' is not a cron expression"),
        ({"cron": "60 * * * *"}, "schedule.cron: '60 * * * *': '[60 * * * *] is not acceptable, out of range'"),
        ({"cron": "0 0 30 2 *"}, "schedule.cron: '0 0 30 2 *': 'failed to find next date'"),
        ({"cron": "0 " * 99 + "0"}, "is not a cron expression"),
        ({"cron": "0 3 * * *", "timezone": "Mars/Olympus"}, "schedule.timezone: 'Mars/Olympus' is not a time zone"),
        ({"cron": "0 3 * * *", "timezone": "../../etc/passwd"}, "'../../etc/passwd' is not a time zone"),
        ({"cron": "0 3 * * *", "catchup": 1}, "schedule.catchup: found 1 (true or false)"),
        ({"cron": "0 3 * * *", "catchup": True}, "schedule.catchup: nothing says since when (start: YYYY-MM-DD)"),
        ({"cron": "0 3 * * *", "start": "2026-02-30"}, "schedule.start: '2026-02-30' is not a day (YYYY-MM-DD"),
        ({"cron": "0 3 * * *", "start": "1999-12-31"}, "schedule.start: '1999-12-31' is not a day"),
        ({"assets": []}, "schedule.assets: 0 assets (1 to 16)"),
        ({"assets": ["a", "a"]}, "schedule.assets: a is given twice"),
        ({"assets": ["airflow://x"]}, "schedule.assets: 'airflow://x' is not an asset"),
        ({"assets": ["s3://user:secret@host/x"]}, "is not an asset"),
        ({"assets": ["a"], "catchup": True}, "key 'catchup' is not understood (allowed: assets)"),
    ],
)
def test_mistakes_are_named(schedule: Any, text: str) -> None:
    assert text in refusal(schedule)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 99)
    | st.text(string.printable, max_size=20)
    | st.sampled_from(["0 3 * * *", "UTC"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(["cron", "timezone", "start", "catchup", "assets", "x"]), VALUES))
def test_anything_is_a_schedule_or_an_error_with_a_code(schedule: dict[str, Any]) -> None:
    value = read_object(json.dumps({"schedule": schedule, "role": {}}).encode(), "p_conf.json")
    with contextlib.suppress(DslError):
        rest, found = take_schedule(value, AT)
        assert found is not None
        assert rest == {"role": {}}


@given(st.text("0123456789*/,- LWHRMONJA", max_size=30))
def test_a_cron_expression_that_is_taken_has_a_next_time(text: str) -> None:
    from croniter import croniter

    try:
        take_schedule({"schedule": {"cron": text}}, AT)
    except DslError:
        return
    assert croniter(text, datetime(2026, 1, 1, tzinfo=UTC)).get_next(datetime)


def test_a_starter_has_one_job_id_at_every_try() -> None:
    def run(kind: str, name: str, year: int = 2026) -> SimpleNamespace:
        at = datetime(year, 3, 1, 4, tzinfo=UTC)
        return SimpleNamespace(
            run_type=kind,
            run_id=name,
            run_after=at,
            conf={"job_parameters": {}},
            data_interval_start=datetime(year, 2, 28, tzinfo=UTC),
            data_interval_end=at,
            consumed_asset_events=[],
        )

    found = starter_of("p.guest_9999", run("backfill", "backfill__1"))
    assert found == starter_of("p.guest_9999", run("backfill", "backfill__1"))
    assert isinstance(found, Starter)
    assert found.job_id.startswith("20260301040000000000")
    assert len(found.job_id) == 26
    assert found.job_conf == {
        "job_parameters": {},
        "starter": {
            "run_id": "backfill__1",
            "data_interval": ["2026-02-28T00:00:00+00:00", "2026-03-01T04:00:00+00:00"],
        },
    }
    others = [
        starter_of("q.guest_9999", run("backfill", "backfill__1")),
        starter_of("p.guest_9999", run("backfill", "x")),
    ]
    assert found.job_id not in [other.job_id for other in others if other]
    assert starter_of("p.guest_9999", run("scheduled", "20260301040000000000001")) is None
    assert starter_of("p.guest_9999", run("backfill", found.job_id)) is None, "a backfill that repeats a job"
    with pytest.raises(DslError, match="FED-146"):
        starter_of("p.guest_9999", run("backfill", "backfill__1", 1999))
