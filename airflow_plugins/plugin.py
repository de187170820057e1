"""What Airflow loads of airfed."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from dags_generator.timetable import JobIdTimetable


class AirfedPlugin(AirflowPlugin):
    """Registers the timetable that names runs by job ids."""

    name = "airfed"
    timetables = [JobIdTimetable]  # noqa: RUF012 - Airflow's interface
