"""The age of a job as a weight of its tasks, from its id."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from federated_operators.gateway.names import JOB_ID

FIRST = 2**31 - 1  # the highest weight that Airflow's databases hold
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
UNIT = timedelta(milliseconds=100)  # reaches to 2032; later jobs have equal weights
DIGITS = 20  # of a job id: a time to the microsecond


def weight(run_id: str) -> int:
    """The higher, the earlier the job was submitted. A run that is no job only starts jobs: it comes first."""
    if not JOB_ID.fullmatch(run_id):
        return FIRST
    try:
        submitted = datetime.strptime(run_id[:DIGITS], "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)
    except ValueError:
        return 0  # another party's id: as late as can be
    return min(max(FIRST - (submitted - EPOCH) // UNIT, 0), FIRST)
