"""Which tasks Airflow starts first when its workers are scarce: those of the job that was submitted first.

A step runs when all of its members are there. If every party started tasks in an order of its own, tasks of different
jobs would wait for each other at different parties; the job's id is the same everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.task.priority_strategy import PriorityWeightStrategy

from dags_generator.age import weight

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance


class OldestJobFirst(PriorityWeightStrategy):
    """Airflow's weight of a task is its job's."""

    def get_weight(self, ti: TaskInstance) -> int:
        """The same for all tasks of a run."""
        return weight(ti.run_id or "")
