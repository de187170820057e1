"""What Airflow loads of airfed."""

from __future__ import annotations

from typing import Any

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from airflow_plugins.one_writer import OneWriter
from dags_generator.priority import OldestJobFirst
from dags_generator.timetable import JobIdCron, JobIdOnAssets, JobIdTimetable

ON_SQLITE = conf.get("database", "sql_alchemy_conn", fallback="").startswith("sqlite")


class AirfedPlugin(AirflowPlugin):
    """Registers the timetables that name runs by job ids, which jobs come first, and who may write when."""

    name = "airfed"
    timetables = [JobIdTimetable, JobIdCron, JobIdOnAssets]  # noqa: RUF012 - Airflow's interface
    priority_weight_strategies = [OldestJobFirst]  # noqa: RUF012
    fastapi_root_middlewares: list[Any] = [{"name": "one writer", "middleware": OneWriter}] if ON_SQLITE else []
