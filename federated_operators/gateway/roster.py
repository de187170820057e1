"""Who takes part in what: answered from the admitted plans, never from a message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from federated_operators.gateway.names import CONCLUDE, Job, Seat
from federated_operators.gateway.plan import ALL_DONE, ALL_SUCCESS, JobPlan, load_plan
from federated_operators.gateway.rows import ACTIVE, GenerationRow, JobRow, PlanRow
from federated_operators.gateway.store import Store
from federatedml.errors import PolicyError, ProtocolError
from federatedml.federation.party import Member

MOST_JOBS = 1000  # whose plans are kept in memory


class Roster:
    """Plans of the admitted jobs of this party."""

    def __init__(self, store: Store, party: str) -> None:
        self._store, self.party = store, party
        self._plans: dict[Job, list[JobPlan]] = {}

    def plans(self, job: Job) -> list[JobPlan]:
        """The plans of this party's own members; empty for a job that was never admitted here."""
        if job not in self._plans:
            found = [load_plan(row.plan) for row in self._store.select(PlanRow, **job.where)]
            if not found:
                return []
            if len(self._plans) >= MOST_JOBS:
                del self._plans[next(iter(self._plans))]
            self._plans[job] = found
        return self._plans[job]

    def forget(self, job: Job) -> None:
        """Drop what is cached of a job that ended."""
        self._plans.pop(job, None)

    def plan(self, job: Job, member: Member | None = None) -> JobPlan:
        """The plan of ``member``, or of any own member; ``ProtocolError`` for an unknown job or member."""
        for plan in self.plans(job):
            if member is None or plan.me == member:
                return plan
        raise ProtocolError("FED-340", f"party {self.party} has no job {job.job_id} of {job.initiator} for {member}")

    def members(self, job: Job, component: str) -> Sequence[Member]:
        """Members of a step, sorted; ``conclude`` is a step of all members of the job."""
        plan = self.plan(job)
        if component == CONCLUDE:
            return sorted(plan.members)
        if component not in plan.all_steps:
            raise ProtocolError("FED-341", f"job {job.job_id} has no component {component!r}")
        return sorted(plan.all_steps[component])

    def generation(self, job: Job, component: str) -> int:
        """The newest generation of the job that includes the step."""
        rows = self._store.select(GenerationRow, **job.where)
        included = [row.generation for row in rows if component in (*row.components.split("\n"), CONCLUDE)]
        return max(included, default=1)

    def upstream(self, job: Job, component: str) -> Sequence[str]:
        """Steps that a step follows; ``conclude`` follows all."""
        plan = self.plan(job)
        return list(plan.all_steps) if component == CONCLUDE else plan.upstream.get(component, ())

    def rule(self, job: Job, component: str) -> str:
        """When the step may start."""
        return ALL_DONE if component == CONCLUDE else self.plan(job).trigger_rules.get(component, ALL_SUCCESS)

    def parties(self, job: Job) -> list[str]:
        """Parties of the job, sorted."""
        return sorted({member.party for member in self.plan(job).members})

    def active(self) -> Counter[str]:
        """Initiator -> how many of its jobs run or wait here."""
        return Counter(row.initiator for state in ACTIVE for row in self._store.select(JobRow, state=state))

    def check_seat(self, seat: Seat, party: str) -> None:
        """Whether ``party`` may speak for ``seat``: the role is taken from the admitted job."""
        if seat.member.party != party:
            raise PolicyError("FED-541", f"party {party} may not speak for {seat.member}")
        if seat.member not in self.members(seat.job, seat.component):
            raise PolicyError("FED-542", f"{seat.member} is no member of {seat.component} in job {seat.job.job_id}")
