"""What Airflow loads of airfed."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from dags_generator.timetable import JobIdCron, JobIdOnAssets, JobIdTimetable


class AirfedPlugin(AirflowPlugin):
    """Registers the timetables that name runs by job ids."""

    name = "airfed"
    timetables = [JobIdTimetable, JobIdCron, JobIdOnAssets]  # noqa: RUF012 - Airflow's interface
