"""``python party_of_airflow.py HOME``: a supervised party of which only Airflow runs, with an impatient watchdog."""

import sys
from dataclasses import replace
from pathlib import Path

from airfed import supervisor, watchdog
from airfed.processes import Program
from federatedml.federation.home import PartyHome

CHOSEN = ("api-server", "scheduler", "dag-processor")
HURRY = {  # tasks of a killed scheduler are given up after seconds, too
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
}


def only_airflow(home: PartyHome) -> list[Program]:
    found = supervisor.prepared_programs(home)
    return [replace(program, env={**program.env, **HURRY}) for program in found if program.name in CHOSEN]


if __name__ == "__main__":
    watchdog.EVERY_S, watchdog.PATIENCE_S = 0.5, 4.0
    supervisor.supervise(PartyHome(Path(sys.argv[1])), lambda line: print(line, flush=True), make=only_airflow)
