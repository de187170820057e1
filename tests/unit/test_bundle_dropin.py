"""What lies in the drop-in folder is read without trust."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dags_generator.dropin import compiled, glance, scan
from dags_generator.roleplan import load_role_plans
from federatedml.federation.home import PartyHome
from tests.pipeline_example import conf, dsl


@pytest.fixture
def home(tmp_path: Path) -> PartyHome:
    home = PartyHome(tmp_path)
    home.dropin.mkdir()
    return home


def drop(home: PartyHome, name: str = "lr", **edits: object) -> None:
    (home.dropin / f"{name}_dsl.json").write_text(json.dumps(dsl()))
    (home.dropin / f"{name}_conf.json").write_text(json.dumps({**conf(), **edits}))


def error_of(home: PartyHome, key: str = "lr") -> str:
    """The text that the pipeline's import error has."""
    found = compiled(scan(home)[key], "9999")
    assert not found.valid
    error = json.loads(found.body)["error"]
    return f"{error['code']} {error['message']} ({error['hint']})"


def test_a_pair_and_a_native_file_are_pipelines(home: PartyHome) -> None:
    drop(home)
    (home.dropin / "native.json").write_text(json.dumps({"dsl": dsl(), "conf": conf()}))
    found = {key: load_role_plans(compiled(source, "9999").body) for key, source in scan(home).items()}
    assert {key: [plan.dag_id for plan in plans] for key, plans in found.items()} == {
        "lr": ["lr.guest_9999"],
        "native": ["native.guest_9999"],
    }


def test_a_party_with_two_roles_gets_two_dags(home: PartyHome) -> None:
    drop(home, role={"guest": [9999], "host": [9999], "arbiter": [10001]})
    plans = load_role_plans(compiled(scan(home)["lr"], "9999").body)
    assert [(plan.dag_id, plan.start is not None) for plan in plans] == [
        ("lr.guest_9999", True),
        ("lr.host_9999", False),
    ]


def test_only_json_files_count(home: PartyHome) -> None:
    for name in ("x.py", "x.yaml", "README", ".lr_dsl.json", "lr_dsl.json.swp", "lr_dsl.json~"):
        (home.dropin / name).write_text("import os; os.abort()")
    (home.dropin / "sub").mkdir()
    assert scan(home) == {}
    assert scan(PartyHome(home.root / "nowhere")) == {}


def test_half_a_pair_says_which_half_is_missing(home: PartyHome) -> None:
    drop(home)
    (home.dropin / "lr_dsl.json").unlink()
    assert error_of(home) == "FED-162 lr_conf.json: lr_dsl.json is missing (a pipeline is a pair of files)"


def test_a_pair_beside_a_native_file_of_that_name_is_refused(home: PartyHome) -> None:
    drop(home)
    (home.dropin / "lr.json").write_text("{}")
    assert "lr.json, lr_conf.json, lr_dsl.json are two pipelines of one name" in error_of(home)


def test_a_pipeline_of_another_initiator_says_where_it_belongs(home: PartyHome) -> None:
    drop(home, initiator={"role": "host", "party_id": 10000})
    assert error_of(home) == (
        "FED-161 lr_conf.json, lr_dsl.json: the initiator is host 10000, this party is 9999 "
        "(put the pipeline into the folder of party 10000)"
    )


@pytest.mark.parametrize(
    "name",
    [
        "a b_dsl.json",
        "9_dsl.json",
        "%2e%2e%2f_dsl.json",
        "a\\b.json",
        "\N{FULLWIDTH FULL STOP}.json",
        "-rf.json",
        "LR_DSL.JSON",
    ],
)
def test_a_name_that_is_not_safe_is_an_error_under_a_safe_name(home: PartyHome, name: str) -> None:
    found = os.fsdecode(name.encode())  # in a locale that has no such letter, too
    (home.dropin / found).write_text("{}")
    ((key, source),) = scan(home).items()
    assert key.isidentifier()
    assert key.isascii()
    assert "is not the name of a pipeline's file" in error_of(home, key)
    assert source.files[0].name == found


def test_what_is_not_a_regular_file_is_refused(home: PartyHome) -> None:
    drop(home, "real")
    (home.dropin / "link_dsl.json").symlink_to(home.dropin / "real_dsl.json")
    (home.dropin / "link_conf.json").symlink_to(home.dropin / "real_conf.json")
    os.mkfifo(home.dropin / "pipe.json")
    (home.dropin / "folder.json").mkdir()
    assert "FED-160 link_dsl.json cannot be read" in error_of(home, "link")
    assert "FED-160 pipe.json is not a regular file" in error_of(home, "pipe")
    assert "FED-160 folder.json is not a regular file" in error_of(home, "folder")


def test_a_large_file_is_refused_by_its_size(home: PartyHome) -> None:
    (home.dropin / "large.json").write_bytes(b" " * (2**20 + 1))
    assert "FED-160 large.json has 1048577 bytes (at most 1048576)" in error_of(home, "large")


def test_a_file_that_vanishes_is_an_error_not_a_crash(home: PartyHome) -> None:
    drop(home)
    source = scan(home)["lr"]
    (home.dropin / "lr_dsl.json").unlink()
    assert "lr_dsl.json cannot be read" in json.loads(compiled(source, "9999").body)["error"]["message"]


def test_hostile_names_in_the_installed_folder_are_passed_over(home: PartyHome) -> None:
    home.installed.mkdir()
    for name in ("x.json", "9999.json", "9999.a b.json", "-1.x.json"):
        (home.installed / name).write_text("{}")
    assert scan(home) == {}


def test_the_signature_changes_with_a_file(home: PartyHome) -> None:
    drop(home)
    before = scan(home)["lr"]
    assert scan(home)["lr"] == before
    (home.dropin / "lr_conf.json").write_text("{}")
    assert scan(home)["lr"] != before


def test_a_glance_at_a_pipeline_finds_what_a_scan_does(home: PartyHome) -> None:
    for name in ("lr", "lr_dsl", "half"):
        drop(home, name)
    (home.dropin / "half_dsl.json").unlink()
    (home.dropin / "native.json").write_text("{}")
    (home.dropin / "lr.json").write_text("{}")
    (home.dropin / "linked.json").symlink_to("nowhere")
    found = scan(home)
    assert found.keys() == {"lr", "lr_dsl", "half", "native", "linked"}
    assert {key: glance(home, key) for key in found} == found
    assert [path.name for path in glance(home, "lr_dsl").files] == ["lr_dsl_conf.json", "lr_dsl_dsl.json"]
    assert glance(home, "gone").files == []


def test_what_is_as_it_was_is_the_same_object(home: PartyHome) -> None:
    home.installed.mkdir()
    (home.installed / "1.lr.json").write_text("{}")
    for name in ("lr", "other"):
        drop(home, name)
    before = scan(home)
    (home.dropin / "other_conf.json").write_text("{}")
    after = scan(home, before)
    assert {key for key, source in after.items() if before[key] is source} == {"lr", "1.lr"}
    assert after["other"] == scan(home)["other"] != before["other"]
