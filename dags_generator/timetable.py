"""What names a run: FATE-style job ids. A run that Airflow names itself (backfill, assets) starts a job of its own."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import timezone
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.timetables.simple import AssetTriggeredTimetable, NullTimetable

LATE = timedelta(minutes=1)  # a time that passed while the pipeline was being dropped in is not lost
_counter = itertools.count()


def new_job_id() -> str:
    """UTC time of submission to the microsecond and a counter: 21 digits, in order of submission."""
    return f"{datetime.now(UTC):%Y%m%d%H%M%S%f}{next(_counter) % 10}"


class JobIdTimetable(NullTimetable):
    """No schedule; a run without a given id gets a job id."""

    description = "Only by submission"

    @property
    def summary(self) -> str:
        """Shown as the DAG's schedule."""
        return "by job"

    def generate_run_id(self, **_: Any) -> str:
        """A job id."""
        return new_job_id()


class JobIdCron(CronDataIntervalTimetable):
    """A job at each time of a cron expression, for the interval since the time before; named by a job id.

    Nothing is started for the time before the pipeline was dropped in, unless ``catchup`` asks for it.
    """

    def generate_run_id(self, **_: Any) -> str:
        """A job id."""
        return new_job_id()

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Airflow's own, but the first of all is one that ends from now on."""
        if last_automated_data_interval is None and not restriction.catchup:
            current = self._align_to_prev(timezone.coerce_datetime(timezone.utcnow() - LATE))
            earliest = max(filter(None, (current, restriction.earliest)))
            restriction = TimeRestriction(earliest, restriction.latest, catchup=True)
        return super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=restriction
        )


class JobIdOnAssets(AssetTriggeredTimetable):
    """When assets are updated. A run by hand is named by a job id; Airflow itself names those that assets trigger."""

    def generate_run_id(self, **_: Any) -> str:
        """A job id."""
        return new_job_id()
