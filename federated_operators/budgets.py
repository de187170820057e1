"""The store behind ``federatedml.federation.budget``: what peers have learned, kept over jobs and restarts.

One SQLite file in the party's home; every task of the party's Airflow writes to it, one at a time.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from federated_operators.gateway.plan import JobPlan
from federated_operators.gateway.policy import Allowance, Policy, load_policy
from federatedml.errors import PolicyError
from federatedml.federation.box import AttemptKey
from federatedml.federation.home import PartyHome
from federatedml.federation.party import Member

FREE_ATTEMPTS = 10
DAY_S = 86400.0
_TABLE = """
CREATE TABLE IF NOT EXISTS spent (
    kind TEXT NOT NULL, peer TEXT NOT NULL, subject TEXT NOT NULL, step TEXT NOT NULL, attempt INTEGER NOT NULL,
    amount INTEGER NOT NULL, wall REAL NOT NULL, PRIMARY KEY (kind, peer, subject, step, attempt)) STRICT
"""
_NOTE = """
INSERT INTO spent VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET amount = amount + excluded.amount, wall = excluded.wall
"""
_SUM = """
SELECT COALESCE(SUM(counted), 0) FROM (
    SELECT MAX(amount) * ((COUNT(*) + ? - 1) / ?) AS counted FROM spent
    WHERE kind = ? AND peer = ? AND subject = ? AND wall > ? GROUP BY step)
"""


@dataclass(frozen=True)
class StoredBudget:
    """The account as one attempt of one step spends from it.

    A step counts once, with its largest attempt, whatever its attempts do: up to ten of them. A peer that breaks
    attempts off to ask for something else in the next therefore gains little: the eleventh counts the step twice.

    Attributes:
        path: the database file.
        policy: reads the party's rules, with a limit per kind, as they are now.
        attempt: who spends; a new generation (a rerun) is a new step.
    """

    path: Path
    policy: Callable[[], Policy]
    me: Member
    attempt: AttemptKey

    def spend(self, kind: str, peer: str, subject: str, amount: int, most: int | None = None) -> int:
        """See ``federatedml.federation.budget.Budget``; ``FED-747`` beyond a limit."""
        if amount < 1:
            raise ValueError(f"{kind}: {amount} is nothing to spend")
        allowed = self.policy().budgets.of(kind)
        now = time.time()
        since = now - allowed.days * DAY_S if allowed.days is not None else 0.0
        key = (kind, peer, subject)
        with _writing(self.path) as db:
            before = _total(db, key, since)
            db.execute(_NOTE, (*key, self._step, self.attempt.attempt, amount, now))
            total = _total(db, key, since)
            for limit in _limits(allowed, most):
                if total > limit:
                    raise _refused(kind, peer, self.me.party, (before, amount, limit), allowed)
        return total

    @property
    def _step(self) -> str:
        attempt = self.attempt
        return "/".join((attempt.initiator, attempt.job_id, attempt.component, str(self.me), str(attempt.generation)))


def budget_of(home: PartyHome, me: Member, attempt: AttemptKey) -> StoredBudget:
    """The account of ``home`` for an attempt."""
    return StoredBudget(home.budgets_db, partial(load_policy, home.policy), me, attempt)


ROWS = "predicted_rows"
BLOCK = 1000  # rows that are noted before they are asked for, so that not every score waits for the disk
BLOCK_S = 60.0  # after which what is left of a block is forgotten


class OnlineRows:
    """Counts rows whose part of the score a guest is told online, on the account that predict jobs count on.

    Rows are noted in blocks, before they are told: what is left of a block at a restart was counted for nothing, and
    never the other way round. An hour is one step of the account.
    """

    def __init__(self, home: PartyHome) -> None:
        self.home = home
        self._lock = threading.Lock()
        self._left: dict[str, tuple[int, float]] = {}  # guest -> rows, until when

    def spend(self, me: Member, guest: str, model_key: str, rows: int) -> None:
        """Count ``rows`` that ``guest`` is about to be told; ``FED-747`` beyond the policy's limit."""
        with self._lock:
            now = time.time()
            left, until = self._left.get(guest, (0, 0.0))
            if now >= until or left < rows:
                left, until = self._noted(me, guest, model_key, rows, now), now + BLOCK_S
            self._left[guest] = left - rows, until

    def _noted(self, me: Member, guest: str, model_key: str, rows: int, now: float) -> int:
        """A block that holds ``rows``, or these alone where the limit is near."""
        hour = time.strftime("%Y%m%d%H", time.gmtime(now))
        account = budget_of(self.home, me, AttemptKey(guest, f"online-{hour}", model_key, 1, 1))
        try:
            account.spend(ROWS, guest, "", max(BLOCK, rows))
        except PolicyError:
            account.spend(ROWS, guest, "", rows)
            return rows
        return max(BLOCK, rows)


def source_tables(plan: JobPlan, component: str, earlier: Mapping[str, Sequence[str]] | None = None) -> tuple[str, ...]:
    """Names of the party's stored tables that the data of a component come from; empty if not all are known.

    Args:
        earlier: the same of components that do not run in this job, as the earlier job left them.
    """
    found: set[str] = set()
    pending, seen = [component], set[str]()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if name not in plan.steps:
            if not (of_earlier := (earlier or {}).get(name)):
                return ()
            found.update(of_earlier)
            continue
        for reference in (ref for refs in plan.steps[name].data.values() for ref in refs):
            if reference.component is not None:
                pending.append(reference.component)
            elif reference.table is not None:
                found.add(str(reference.table))
    return tuple(sorted(found))


def _limits(allowed: Allowance, most: int | None) -> list[int]:
    stated = None if allowed.lifted else most
    return [limit for limit in (allowed.most, stated) if limit is not None]


def _refused(kind: str, peer: str, party: str, sums: tuple[int, int, int], allowed: Allowance) -> PolicyError:
    spent, amount, limit = sums
    period = "ever" if allowed.days is None else f"within {allowed.days:g} days"
    problem = f"policy budgets.{kind} of party {party}: party {peer} has spent {spent} and asks for {amount} more"
    limited = f"at most {limit} are allowed {period}"
    if limit == allowed.most:
        return PolicyError("FED-747", f"{problem}; {limited}")
    return PolicyError("FED-747", problem, limited)  # stated for own rows, it may tell of them: hints stay here


def _total(db: sqlite3.Connection, key: tuple[str, str, str], since: float) -> int:
    return int(db.execute(_SUM, (FREE_ATTEMPTS, FREE_ATTEMPTS, *key, since)).fetchone()[0])


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    """A transaction that no other process is in; nothing of it remains if the block raises."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=60.0)) as db:
        path.chmod(0o600)
        db.execute("PRAGMA synchronous=FULL")
        db.execute("BEGIN IMMEDIATE")
        try:
            db.execute(_TABLE)
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
