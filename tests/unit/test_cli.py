"""The command line: thin, quick to start, readable when something is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from airfed.cli import app
from airfed.party import init_party, party_config

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "hetero_lr"
PAIR = [str(EXAMPLE / "hetero_lr_dsl.json"), str(EXAMPLE / "hetero_lr_conf.json")]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_help_imports_neither_airflow_nor_numpy() -> None:
    code = (
        "import sys\nfrom airfed.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'airflow', 'mlflow', 'numpy', 'pandas', 'pyarrow', 'grpc', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "party" in done.stdout


@pytest.mark.parametrize("command", ["party", "component", "data", "job", "plan", "simulate", "history", "demo"])
def test_every_command_has_help(command: str) -> None:
    assert run(command, "--help").exit_code == 0


def test_components_as_text_and_as_json() -> None:
    assert "HeteroLR" in run("component", "list").stdout
    listed = json.loads(run("component", "list", "--json").stdout)
    assert {"DataIO", "Intersection", "HeteroLR", "Evaluation"} <= {each["module"] for each in listed}
    shown = json.loads(run("component", "show", "Intersection", "--json").stdout)
    assert shown["disclosure"]["topics"]
    assert shown["parameters"]["properties"]
    assert "what each role learns" in run("component", "show", "HeteroLR").stdout


def test_unknown_component_is_one_line_with_a_code() -> None:
    found = run("component", "show", "Nonsense")
    assert found.exit_code == 2
    assert found.stderr.startswith("error: [FED-121]")
    assert found.stderr.count("\n") == 1


def test_errors_as_json_have_code_message_and_hint() -> None:
    found = run("component", "show", "Nonsense", "--json")
    assert found.exit_code == 2
    assert json.loads(found.stderr)["error"]["code"] == "FED-121"


def test_plan_shows_what_each_party_runs() -> None:
    members = json.loads(run("plan", *PAIR, "--json").stdout)["members"]
    assert set(members) == {"guest_9999", "host_10000", "arbiter_10001"}
    shown = run("plan", *PAIR).stdout
    assert shown.index("Who learns what") < shown.index("Predict DSL, stored with the model")


def test_plan_of_a_broken_pipeline_names_the_file(tmp_path: Path) -> None:
    broken = tmp_path / "x_dsl.json"
    broken.write_text('{"components": ')
    found = run("plan", str(broken), PAIR[1])
    assert found.exit_code == 2
    assert "x_dsl.json" in found.stderr


def test_party_is_made_and_trusts(tmp_path: Path) -> None:
    guest, host = tmp_path / "guest", tmp_path / "host"
    assert run("party", "init", str(guest), "--party-id", "9999", "--name", "guest").exit_code == 0
    made = run("party", "init", str(host), "--party-id", "10000", "--name", "host", "--base-port", "25910")
    assert str(host / "pki" / "ca.pem") in made.stdout
    ca = str(host / "pki" / "ca.pem")
    assert run("party", "trust", str(guest), "10000", "--ca", ca, "--gateway", "127.0.0.1:25912").exit_code == 0
    assert (guest / "pki" / "peers" / "10000.pem").read_bytes() == Path(ca).read_bytes()


def test_status_of_a_party_that_does_not_run(tmp_path: Path) -> None:
    home = init_party(tmp_path / "guest", party_config("9999", "guest", 25900))
    assert json.loads(run("party", "status", str(home.root), "--json").stdout) == {"party_id": "9999", "processes": []}
    assert "nothing ran" in run("party", "stop", str(home.root)).stdout


def test_folder_that_is_no_home_is_an_error(tmp_path: Path) -> None:
    found = run("party", "status", str(tmp_path))
    assert found.exit_code == 1
    assert "FED-510" in found.stderr


def test_job_of_another_initiator_is_not_submitted(tmp_path: Path) -> None:
    home = init_party(tmp_path / "host", party_config("10000", "host", 25900))
    found = run("job", "submit", *PAIR, "--home", str(home.root))
    assert found.exit_code == 2
    assert "9999" in found.stderr
    assert list(home.dropin.iterdir()) == []
