"""``policy.yaml``: what other parties, and this one's own people, may run here. What it does not allow is refused
with the rule's name, before anything runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from federated_operators.gateway.plan import JobPlan, StepPlan
from federatedml.components.lr_params import ADAPTIVE
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.errors import DataError, PolicyError
from federatedml.federation.party import Role

_READ: dict[Path, tuple[tuple[int, ...], Policy]] = {}  # what was read last; YAML takes 10 ms
INTERSECTION = "Intersection"  # the module whose parameter min_intersection the floor raises
DEFAULT_SLOTS = 4
_DEFAULT = """\
# What may run at party {party}. Whatever is not allowed here is refused, with the rule's name.
# Lists take shell patterns; '*' allows all.
initiators: [{initiators}]    # parties that may propose jobs (this party itself always may)
modules: ["*"]
tables: ["*"]                 # NAMESPACE/NAME
floors:
  min_intersection: 50        # common ids; with fewer this party stops before it tells any (raises the job's value)
  key_length: 1024            # bits of any homomorphic or RSA key
  paillier_bits: 2048         # bits of a Paillier key
  batch_rows_per_column: 10   # rows of a mini-batch per feature column, where batch gradients can be seen
  bin_rows: 20                # rows of a bin of a host whose events the guest learns
  contributors: {contributors}             # parties of a secure sum; of two, each learns the other's numbers from it
budgets:                      # what one peer may learn over all jobs; more is refused
  psi_ids: {{most: 10000000, days: 30}}         # ids that it can test of a table by Intersection (kkrt: 1.3 per id)
  equations: {{most: null{lifted}}}                     # weights that it learns of models on the same table
  bin_sums: {{most: null{lifted}}}                      # bits per bin that it learns of binned columns of a table
  predicted_rows: {{most: 10000000, days: 1}}   # rows whose part of the score it is told
raw_ids: false                # Intersection by method raw: tells hashes of ids, from which a peer finds ids by trying
slots: {slots}                      # steps of jobs that run here at once; the others wait in line
slots_per_initiator: null     # of these, how many jobs of one other party may have; null: all
max_jobs: 100                 # jobs that may run or wait here at once; more are refused
max_jobs_per_initiator: null  # of these, how many one other party may have started; null: all
may_cancel: true              # people of this party may cancel jobs of other initiators
may_rerun: ["*"]              # parties whose reruns are followed
retention_days: 30            # after a job's end its tables, model files and checkpoints are removed; null: never
"""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Floors(_Model):
    """Least values."""

    min_intersection: int = Field(default=50, ge=1, description="rows")
    key_length: int = Field(default=1024, ge=1024, description="bits")
    paillier_bits: int = Field(default=2048, ge=1024, description="bits")
    batch_rows_per_column: float = Field(default=10.0, ge=0, strict=False, description="rows per column")
    bin_rows: int = Field(default=20, ge=1, description="rows")
    contributors: int = Field(default=3, ge=2, description="parties")


class Allowance(_Model):
    """How much of one kind a peer may learn of one subject."""

    most: int | None = Field(default=None, ge=1, description="sum per peer and subject; null: no limit of the policy")
    days: float | None = Field(default=None, gt=0, strict=False, allow_inf_nan=False, description="null: ever")
    lifted: bool = Field(default=False, description="limits that a computation itself states do not hold")


class Budgets(_Model):
    """Limits over jobs, by kind."""

    psi_ids: Allowance = Allowance(most=10_000_000, days=30.0)
    equations: Allowance = Allowance()
    bin_sums: Allowance = Allowance()
    predicted_rows: Allowance = Allowance(most=10_000_000, days=1.0)

    def of(self, kind: str) -> Allowance:
        """The allowance of a kind."""
        found: Allowance = dict(self)[kind]
        return found


class Policy(_Model):
    """The rules of one party."""

    initiators: list[str]
    modules: list[str] = ["*"]
    tables: list[str] = ["*"]
    floors: Floors = Floors()
    raw_ids: bool = False
    budgets: Budgets = Budgets()
    slots: int = Field(default=DEFAULT_SLOTS, ge=1, le=1000, description="steps")
    slots_per_initiator: int | None = Field(default=None, ge=1, description="steps of jobs of one other party")
    max_jobs: int = Field(default=100, ge=1, description="jobs")
    max_jobs_per_initiator: int | None = Field(default=None, ge=1, description="jobs of one other party")
    may_cancel: bool = True
    may_rerun: list[str] = ["*"]
    retention_days: float | None = Field(default=30.0, ge=0, strict=False, allow_inf_nan=False, description="days")

    def check(self, plan: JobPlan, catalogue: Catalogue, before: Sequence[JobPlan] = ()) -> None:
        """Whether one of this party's members may take part in the job.

        Args:
            before: plans of this member whose outputs the job goes on from: what they read is read by this job, too.

        Raises:
            PolicyError: a rule does not allow it.
            DataError: a table does not exist here.
        """
        initiator = plan.initiator.party
        if initiator != plan.me.party and not _allowed(initiator, self.initiators):
            raise _refused("initiators", f"party {initiator} may not start jobs here")
        needed = sum(member.party == plan.me.party for member in plan.members)
        share = self.share(initiator, plan.me.party)
        for rule, slots in (("slots", self.slots), ("slots_per_initiator", share)):
            if slots is not None and needed > slots:
                raise _refused(rule, f"a step takes {needed} slots at party {plan.me.party}, one for each of its roles")
        for step in plan.steps.values():
            if not _allowed(step.module, self.modules):
                raise _refused("modules", f"{step.component}: module {step.module} may not run here")
            if step.module == INTERSECTION and step.params.get("intersect_method") == "raw" and not self.raw_ids:
                raise _refused("raw_ids", f"{step.component}: hashes of ids may not be told (method raw)")
            self._check_keys(step)
            self._check_contributors(step)
            self._check_bins(step)
            self._check_tables(step, catalogue)
        for step in (step for earlier in before for step in earlier.steps.values()):
            self._check_allowed(step)
        self._check_batches(plan, catalogue, before)

    def share(self, initiator: str, me: str) -> int | None:
        """How many of the slots of party ``me`` jobs of an initiator may have; None: all, as its own jobs."""
        return None if initiator == me else self.slots_per_initiator

    def check_room(self, active: Mapping[str, int], initiator: str, me: str) -> None:
        """Whether one more job of ``initiator`` may run or wait here, at party ``me``.

        Args:
            active: initiator -> how many of its jobs do already.
        """
        if (found := sum(active.values())) >= self.max_jobs:
            raise _refused("max_jobs", f"{found} jobs run or wait here already")
        found, most = active.get(initiator, 0), self.max_jobs_per_initiator
        if initiator != me and most is not None and found >= most:
            raise _refused("max_jobs_per_initiator", f"{found} jobs of party {initiator} run or wait here already")

    def check_rerun(self, party: str) -> None:
        """Whether reruns that people of ``party`` want are followed here."""
        if not _allowed(party, self.may_rerun):
            raise _refused("may_rerun", f"reruns that party {party} wants are not followed here")

    def enforced(self, plan: JobPlan) -> JobPlan:
        """The plan as it runs here: ``min_intersection`` is at least this party's floor.

        So the protocol itself stops below the floor, before this party tells which ids are common. Each party does so
        for itself: the digest of the job, and with it what the parties agreed to, stays the same.
        """
        steps = {name: self._raised(step) for name, step in plan.steps.items()}
        return replace(plan, steps=steps)

    def check_floors(self, plan: JobPlan) -> None:
        """Whether a job that was admitted earlier keeps to ``min_intersection`` as it is now."""
        if self.enforced(plan) != plan:
            problem = f"policy floors.min_intersection is {self.floors.min_intersection} now, the job agreed to less"
            raise PolicyError("FED-533", problem, "submit it again")

    def _raised(self, step: StepPlan) -> StepPlan:
        if step.module != INTERSECTION:
            return step
        least = max(int(step.params.get("min_intersection", 0)), self.floors.min_intersection)
        return replace(step, params={**step.params, "min_intersection": least})

    def check_outputs(self, module: str, outputs: bytes) -> None:
        """Whether the outputs of a step may be used; ``PolicyError`` below a floor. A second look at what ``enforced``
        has the protocol itself refuse."""
        if module != INTERSECTION:
            return
        found = json.loads(outputs).get("data", {})
        rows = min((int(data["rows"]) for data in found.values()), default=self.floors.min_intersection)
        if rows < self.floors.min_intersection:
            text = f"the intersection has {rows} rows"
            raise PolicyError(
                "FED-533", f"policy floors.min_intersection: {text}, at least {self.floors.min_intersection} are needed"
            )

    def _check_keys(self, step: StepPlan) -> None:
        for length in _key_lengths(step.params):
            if length < self.floors.key_length:
                raise _floor("key_length", step, f"{length} bits", f"{self.floors.key_length}")
        if step.params.get("protocol") == "paillier":
            for length in _key_lengths(step.params.get("encrypt_param")):
                if length < self.floors.paillier_bits:
                    raise _floor("paillier_bits", step, f"{length} bits", f"{self.floors.paillier_bits}")

    def _check_contributors(self, step: StepPlan) -> None:
        """A step with the parameter ``min_contributors`` sums what its guests and hosts have, unless it predicts."""
        asked = step.params.get("min_contributors")
        if not isinstance(asked, int) or step.model is not None:
            return
        there = len({member.party for member in step.members if member.role is not Role.ARBITER})
        for found, text in ((asked, f"min_contributors {asked}"), (there, f"{there} contributors")):
            if found < self.floors.contributors:
                raise _floor("contributors", step, text, f"{self.floors.contributors}")

    def _check_bins(self, step: StepPlan) -> None:
        """A step with the parameter ``min_bin_rows`` tells the guest sums over the bins of hosts."""
        rows = step.params.get("min_bin_rows")
        if isinstance(rows, int) and rows < self.floors.bin_rows:
            raise _floor("bin_rows", step, f"min_bin_rows {rows}", f"{self.floors.bin_rows}")

    def _check_tables(self, step: StepPlan, catalogue: Catalogue) -> None:
        self._check_allowed(step)
        for table in _tables(step):
            if not catalogue.has(table):
                raise DataError("FED-201", f"{step.component}: table {table} does not exist at this party")

    def _check_allowed(self, step: StepPlan) -> None:
        for table in _tables(step):
            if not _allowed(str(table), self.tables):
                raise _refused("tables", f"{step.component}: table {table} may not be used")

    def _check_batches(self, plan: JobPlan, catalogue: Catalogue, before: Sequence[JobPlan]) -> None:
        steps = [step for source in (plan, *before) for step in source.steps.values()]
        columns = max((_columns(catalogue, table) for step in steps for table in _tables(step)), default=0)
        for step in plan.steps.values():
            batch, floor = step.params.get("batch_size"), self.floors.batch_rows_per_column
            if "min_contributors" in step.params:  # gradients stay at home, sums are of whole models
                continue
            open_gradients = step.params.get("protocol") != "shared" or step.params.get("optimizer") in ADAPTIVE
            asked = step.params.get("batch_rows_per_column", floor)
            if open_gradients and asked < floor:
                raise _floor("batch_rows_per_column", step, f"batch_rows_per_column {asked:g}", f"{floor:g}")
            if not isinstance(batch, int) or batch <= 0 or not open_gradients or len(step.members) < 2:
                continue
            if batch < columns * floor:
                least = f"{floor:g} x {columns} columns"
                raise _floor("batch_rows_per_column", step, f"batch_size {batch}", least)


def default_policy(party: str, peers: Sequence[str], public_data: bool = False) -> str:
    """Text of a new party's ``policy.yaml``: its configured peers may start jobs.

    Args:
        public_data: everybody has the data anyway, so models on the same rows may tell any number of equations, and
            two parties may sum what they have.
    """
    lifted, initiators = ", lifted: true" if public_data else "", ", ".join(json.dumps(peer) for peer in peers)
    contributors = 2 if public_data else Floors().contributors
    return _DEFAULT.format(
        slots=DEFAULT_SLOTS, party=party, initiators=initiators, lifted=lifted, contributors=contributors
    )


def load_policy(path: Path) -> Policy:
    """The rules in ``policy.yaml`` as it is now; ``PolicyError`` names the key that is wrong, not what it holds: it may
    be told to a peer whose proposal cannot be judged."""
    try:
        found = path.stat()
        version = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if path not in _READ or _READ[path][0] != version:
            _READ[path] = (version, _parsed(path))
        return _READ[path][1]
    except FileNotFoundError:
        raise PolicyError("FED-530", f"{path.name} is missing", "airfed party init writes one") from None
    except OSError as error:
        raise PolicyError("FED-531", f"{path.name} cannot be read: {type(error).__name__}") from None


def _parsed(path: Path) -> Policy:
    try:
        return Policy.model_validate(yaml.safe_load(path.read_bytes()))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()[:5])
        raise PolicyError("FED-531", f"{path.name}: {wrong}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise PolicyError("FED-531", f"{path.name} is not YAML{where}") from None


def _allowed(value: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(value, pattern) for pattern in patterns)


def _refused(rule: str, text: str) -> PolicyError:
    """A refusal crosses the border: it names the rule, not what the rule allows to others."""
    return PolicyError("FED-532", f"policy {rule}: {text}")


def _floor(rule: str, step: StepPlan, found: str, least: str) -> PolicyError:
    return PolicyError("FED-533", f"policy floors.{rule}: {step.component} has {found}, at least {least} is needed")


def _tables(step: StepPlan) -> Iterator[TableName]:
    for references in step.data.values():
        yield from (reference.table for reference in references if reference.table is not None)


def _key_lengths(params: Any) -> Iterator[int]:
    """Every ``key_length`` in nested parameters."""
    if not isinstance(params, dict):
        return
    for name, value in params.items():
        if name == "key_length" and isinstance(value, int):
            yield value
        yield from _key_lengths(value)


def _columns(catalogue: Catalogue, table: TableName) -> int:
    """As far as the file tells; the component counts once more, with the columns that it gets."""
    return catalogue.columns(table) or 0 if catalogue.has(table) else 0
