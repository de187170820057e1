"""The embedded Airflow of a party: its ``airflow.cfg``, and what its processes import before they fork.

Why the values are what they are: the executor waits for news, so the scheduler itself does not sleep; a task whose
supervisor is lost starts again after ``HEARTBEAT_TIMEOUT_S``, because less would not survive an API server that is away
for a minute; queues are the gateway's, so Airflow's own limits are set where they never queue.
"""

from __future__ import annotations

import configparser
import io
import json
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet

from federatedml.federation.home import PartyHome

BUNDLE = "dags_generator.bundle.DslDagBundle"
SERVICE_USER = "airfed"
PEOPLE = "admin"
NEVER_QUEUE = "256"

# A task's supervisor asks the execution API again while it is away: after each of the first N - 1 of N tries it waits
# between ``min`` and max(min, min(2^(k - 1), max)) seconds, that is 1 s each time if both are 1. N = 91 is 90 s, and an
# API server that is back is found within a second. Airflow's own N = 5, min = 1, max = 90 is 1 + U(1, 2) + U(1, 4) +
# U(1, 8): between 4 and 15 s, less than a loaded machine takes to start one.
API_PATIENCE_S = 90
API_RETRY_S = 1
# From the last heartbeat of a task to its next one an API server that is away for 60 s takes 60 s, one interval, one
# wait, and the time that its first answer takes, some 5 s. A task whose supervisor was killed waits for so long, too.
HEARTBEAT_S = 1
HEARTBEAT_TIMEOUT_S = 72

EXECUTOR = "airfed.executor.PromptLocalExecutor"
LOCAL_SETTINGS = '''"""Written by airfed: forked processes inherit what has been imported before they are forked."""

import sys

if "scheduler" in sys.argv:
    import airfed.preload  # noqa: F401
elif "triggerer" in sys.argv:
    import federated_operators.trigger  # noqa: F401
'''


def configure(home: PartyHome) -> None:
    """Write ``airflow.cfg`` (0600: it holds the keys) and the local settings, whole or not at all."""
    (home.airflow / "config").mkdir(parents=True, exist_ok=True, mode=0o700)
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    for section, options in settings(home).items():
        parser[section] = {key: value.replace("%", "%%") for key, value in options.items()}
    text = io.StringIO()
    parser.write(text)
    write_private(home.airflow / "airflow.cfg", f"# Written by airfed at every start.\n{text.getvalue()}")
    write_private(home.airflow / "config" / "airflow_local_settings.py", LOCAL_SETTINGS)


def settings(home: PartyHome) -> dict[str, dict[str, str]]:
    """All sections that differ from Airflow's defaults."""
    return {**_paths(home), **_network(home), **_pace(home)}


def secret(home: PartyHome, name: str) -> str:
    """A key of this party that is made at its first use and kept in ``secrets/`` (0600)."""
    path = home.root / "secrets" / name
    if not path.exists():
        write_private(path, Fernet.generate_key().decode() if name == "fernet" else secrets.token_urlsafe(48))
    return path.read_text()


def write_private(path: Path, text: str) -> None:
    """Store a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    temporary.rename(path)


def _paths(home: PartyHome) -> dict[str, dict[str, str]]:
    bundle = {"home": str(home.root), "refresh_interval": 1}
    return {
        "core": {
            "dags_folder": str(home.airflow / "dags"),
            "plugins_folder": str(home.airflow / "plugins"),
            "load_examples": "False",
            "executor": EXECUTOR,
            "parallelism": str(home.config.parallelism),
            "max_active_tasks_per_dag": NEVER_QUEUE,
            "max_active_runs_per_dag": NEVER_QUEUE,
            "dags_are_paused_at_creation": "False",
            "dag_discovery_safe_mode": "False",  # a search for words in every stub at every change: all are ours
            "dagbag_import_error_tracebacks": "False",  # the text of a DSL error says it all
            "fernet_key": secret(home, "fernet"),
            "hostname_callable": "socket.gethostname",  # no DNS at start
            "execution_api_server_url": f"{home.airflow_url}/execution/",
            "simple_auth_manager_users": f"{PEOPLE}:admin,{SERVICE_USER}:op",
            "simple_auth_manager_passwords_file": str(home.passwords),
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{home.airflow / 'airflow.db'}"},
        "logging": {
            "base_log_folder": str(home.airflow / "logs"),
            "dag_processor_child_process_log_directory": str(home.airflow / "logs" / "dag_processor"),
            "worker_log_server_port": str(home.config.ports.worker_log),
            "trigger_log_server_port": str(home.config.ports.trigger_log),
            "colored_console_log": "False",
            "namespace_levels": "airflow.dag_processing.manager=WARNING",  # says every second that it looks again
        },
        "dag_processor": {
            "dag_bundle_config_list": json.dumps([{"name": "dsl", "classpath": BUNDLE, "kwargs": bundle}]),
            "dag_bundle_storage_path": str(home.airflow / "bundles"),
            "bundle_refresh_check_interval": "1",
            "min_file_process_interval": "300",  # a changed file is parsed at once all the same
            "parsing_processes": "2",  # with one, the processor waits while it parses and the parser while it stores
        },
    }


def _network(home: PartyHome) -> dict[str, dict[str, str]]:
    return {
        "api": {
            "host": home.config.host,
            "port": str(home.config.ports.airflow),
            "base_url": home.public_url(home.config.ports.airflow),
            "instance_name": f"{home.config.name} {home.config.party_id}",
            "workers": "1",
            "expose_config": "False",
            "expose_stacktrace": "False",
            "secret_key": secret(home, "api"),
        },
        "api_auth": {"jwt_secret": secret(home, "jwt")},
        "usage_data_collection": {"enabled": "False"},
    }


def _pace(_: PartyHome) -> dict[str, dict[str, str]]:
    return {
        "workers": {
            "min_heartbeat_interval": str(HEARTBEAT_S),
            "execution_api_retries": str(API_PATIENCE_S // API_RETRY_S + 1),  # tries, the first one included
            "execution_api_retry_wait_min": str(API_RETRY_S),
            "execution_api_retry_wait_max": str(API_RETRY_S),
        },
        "scheduler": {
            "scheduler_idle_sleep_time": "0",  # the executor waits, for news
            "task_instance_heartbeat_timeout": str(HEARTBEAT_TIMEOUT_S),
            "task_instance_heartbeat_timeout_detection_interval": "2",
            "trigger_timeout_check_interval": "5",
            "orphaned_tasks_check_interval": "30",
        },
        "triggerer": {"triggerer_health_check_threshold": "10", "job_heartbeat_sec": "2"},
    }
