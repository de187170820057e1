"""Which versions of the DAG bundle Airflow may still ask for."""

from __future__ import annotations

from datetime import datetime

from airflow.models.dag import DagModel
from airflow.models.dag_version import DagVersion
from airflow.models.dagrun import DagRun
from sqlalchemy import or_, select
from sqlalchemy.orm import Session


def needed_versions(session: Session, bundle: str, since: datetime) -> set[str]:
    """Versions of DAGs as they were last parsed, and of runs that go on or ended after ``since``."""
    going_on = or_(DagRun.end_date.is_(None), DagRun.end_date >= since)
    questions = (
        select(DagModel.bundle_version).where(DagModel.bundle_name == bundle),
        select(DagVersion.bundle_version).where(DagVersion.bundle_name == bundle, DagVersion.created_at >= since),
        select(DagRun.bundle_version).where(going_on),
    )
    return {version for question in questions for version in session.scalars(question.distinct()) if version}
