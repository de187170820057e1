"""Runs that only a submission starts, named by FATE-style job ids."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from airflow.timetables.simple import NullTimetable

_counter = itertools.count()


class JobIdTimetable(NullTimetable):
    """No schedule; a run without a given id gets a job id."""

    description = "Only by submission"

    @property
    def summary(self) -> str:
        """Shown as the DAG's schedule."""
        return "by job"

    def generate_run_id(self, **_: Any) -> str:
        """UTC time of submission to the microsecond and a counter: 21 digits, in order of submission."""
        return f"{datetime.now(UTC):%Y%m%d%H%M%S%f}{next(_counter) % 10}"
