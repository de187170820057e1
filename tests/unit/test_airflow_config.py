"""A party's Airflow settings: private, inside its home, and read back by Airflow's own kind of parser."""

import configparser
import itertools
import json
import stat
from pathlib import Path

import pytest
from tenacity import RetryCallState, Retrying, stop_after_attempt, wait_random_exponential

from airfed.airflow_config import configure, settings, write_private
from airfed.party import init_party, party_config
from federatedml.federation.home import PartyHome


@pytest.fixture
def home(tmp_path: Path) -> PartyHome:
    return init_party(tmp_path / "guest", party_config("9999", "guest", 25900))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def read_back(home: PartyHome) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(home.airflow / "airflow.cfg")
    return parser


def test_settings_survive_the_file(home: PartyHome) -> None:
    configure(home)
    stored = read_back(home)
    for section, options in settings(home).items():
        assert dict(stored[section]) == options


def test_every_path_is_inside_the_home(home: PartyHome) -> None:
    paths = [value for options in settings(home).values() for value in options.values() if value.startswith("/")]
    assert len(paths) >= 6
    assert all(value.startswith(f"{home.root}/") for value in paths)
    assert settings(home)["database"]["sql_alchemy_conn"] == f"sqlite:///{home.root}/airflow/airflow.db"


def test_file_with_keys_is_private_and_keys_stay_the_same(home: PartyHome) -> None:
    configure(home)
    first = (home.airflow / "airflow.cfg").read_text()
    configure(home)
    assert (home.airflow / "airflow.cfg").read_text() == first
    assert mode(home.airflow / "airflow.cfg") == 0o600


def test_two_parties_share_no_key_and_no_port(home: PartyHome, tmp_path: Path) -> None:
    other = init_party(tmp_path / "host", party_config("10000", "host", 25910))
    mine, others = settings(home), settings(other)
    for section, key in (("api_auth", "jwt_secret"), ("core", "fernet_key"), ("api", "secret_key"), ("api", "port")):
        assert mine[section][key] != others[section][key]


def test_pages_have_a_name_of_their_own_and_listen_on_loopback(home: PartyHome) -> None:
    api = settings(home)["api"]
    assert api["base_url"] == "http://guest.localhost:25900"
    assert api["host"] == "127.0.0.1"
    assert settings(home)["core"]["execution_api_server_url"] == "http://127.0.0.1:25900/execution/"


def test_the_bundle_is_the_drop_in_folder_of_this_party(home: PartyHome) -> None:
    (bundle,) = json.loads(settings(home)["dag_processor"]["dag_bundle_config_list"])
    assert bundle["kwargs"] == {"home": str(home.root), "refresh_interval": 1}


@pytest.mark.parametrize(
    ("command", "module"), [("scheduler", "airfed.preload"), ("triggerer", "federated_operators.trigger")]
)
def test_modules_are_imported_only_where_they_are_needed(
    home: PartyHome, monkeypatch: pytest.MonkeyPatch, command: str, module: str
) -> None:
    configure(home)
    text = (home.airflow / "config" / "airflow_local_settings.py").read_text()
    for known in ("airfed.preload", "federated_operators.trigger"):
        monkeypatch.setitem(__import__("sys").modules, known, None)
    monkeypatch.setattr("sys.argv", ["airflow", "api-server"])
    exec(compile(text, "airflow_local_settings.py", "exec"), {})  # noqa: S102
    monkeypatch.setattr("sys.argv", ["airflow", command])
    with pytest.raises(ImportError, match=module):
        exec(compile(text, "airflow_local_settings.py", "exec"), {})  # noqa: S102


def test_private_files_replace_what_was_there_and_are_private_at_once(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "key"
    write_private(path, "one")
    write_private(path, "two")
    assert path.read_text() == "two"
    assert mode(path) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["key"]


def waits_of(workers: dict[str, str]) -> list[float]:
    """Seconds that Airflow's task client waits after each try but the last, if none is answered."""
    least, most = (float(workers[f"execution_api_retry_wait_{end}"]) for end in ("min", "max"))
    wait, stop = wait_random_exponential(min=least, max=most), stop_after_attempt(int(workers["execution_api_retries"]))
    call, found = RetryCallState(Retrying(), None, (), {}), []
    for call.attempt_number in itertools.count(1):
        if stop(call):
            return found
        found.append(wait(call))
    raise AssertionError


def test_a_task_outlives_an_api_server_that_is_away_for_a_minute(home: PartyHome) -> None:
    made = settings(home)
    waits = waits_of(made["workers"])
    assert sum(waits) == 90.0
    assert max(waits) == 1.0  # it is found as soon as it is back
    away, first_answer = 60.0, 5.0
    silence = away + int(made["workers"]["min_heartbeat_interval"]) + max(waits) + first_answer
    assert silence < int(made["scheduler"]["task_instance_heartbeat_timeout"])


def test_a_task_whose_supervisor_was_killed_starts_again_in_80_seconds(home: PartyHome) -> None:
    scheduler = settings(home)["scheduler"]
    keys = ("task_instance_heartbeat_timeout", "task_instance_heartbeat_timeout_detection_interval")
    assert sum(int(scheduler[key]) for key in keys) <= 75
