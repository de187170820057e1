"""The party's own Airflow over its REST API v2, as the party's service account."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from federated_operators.gateway.names import CONCLUDE
from federated_operators.gateway.nudge import nudge
from federated_operators.gateway.runs import NOT_IMPORTED, Run, RunState, TaskState, Touched
from federatedml.errors import DslError, PeerError
from federatedml.federation.home import PartyHome

USER = "airfed"
TOKEN_S = 3600.0  # a token is valid for a day
ENDS = ("patch_dag_run", "patch_task_instance", "patch_task_group_instances", "bulk_dag_runs", "delete_dag_run")
CLEARS = ("post_clear_task_instances", "clear_dag_run", "clear_dag_runs")
OVER = ("success", "failed", "skipped")
FINISHED = (*OVER, "upstream_failed", "removed")
NOTE_LENGTH = 1000
PAGE = 100  # entries of one answer: Airflow's own limit
SINGLE = 20  # runs that are asked for one by one at a time
WHOLE_S = 60.0
log = logging.getLogger(__name__)


class AirflowClient:
    """A ``RunControl``."""

    def __init__(self, home: PartyHome) -> None:
        self._home = home
        self._http = httpx.AsyncClient(base_url=home.airflow_url, timeout=15.0, trust_env=False)
        self._token, self._token_at = "", 0.0
        self._asked_singly = 0
        self._whole_at: float | None = None

    async def bundle_version(self, dag_id: str) -> str | None:
        """The bundle version of the DAG as Airflow parsed it; ``DslError`` if it cannot be parsed or is paused."""
        answer = await self._request("GET", f"/api/v2/dags/{dag_id}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        dag = _body(answer)
        if dag["has_import_errors"]:
            raise DslError(NOT_IMPORTED, f"Airflow cannot import DAG {dag_id}", "see its import errors")
        if dag["is_paused"]:
            raise DslError("FED-471", f"DAG {dag_id} is paused at this party", "its people must unpause it")
        return None if dag["is_stale"] else str(dag["bundle_version"])

    async def version_of(self, run: Run) -> str | None:
        """The bundle version that the run started with, and keeps when tasks of it are cleared."""
        answer = await self._request("GET", _path(run))
        return None if answer.status_code == httpx.codes.NOT_FOUND else str(_body(answer)["bundle_version"] or "")

    async def trigger(self, run: Run, digest: str) -> None:
        """Start the run; one that exists already is the same run, because its id is the job's."""
        await self.start(run, {"digest": digest})

    async def start(self, run: Run, conf: Mapping[str, Any], note: str | None = None) -> None:
        """Start the run with a conf, unless it exists already."""
        body = {"dag_run_id": run.job_id, "logical_date": None, "conf": dict(conf), "note": note}
        answer = await self._request("POST", f"/api/v2/dags/{run.dag_id}/dagRuns", body)
        if answer.status_code != httpx.codes.CONFLICT:
            _body(answer)

    async def fail(self, run: Run, note: str) -> None:
        """Set the run failed with a note; its running tasks are stopped by Airflow.

        Its last task goes first: Airflow skips what has not run, and a scheduler that looks at this moment would call
        a run whose leaf is skipped a success.
        """
        path = _path(run)
        answer = await self._request("GET", path)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return
        body: dict[str, Any] = {"note": note[:NOTE_LENGTH]}
        if _body(answer)["state"] != "failed":
            await self._request("PATCH", f"{path}/taskInstances/{CONCLUDE}", {"new_state": "failed"})
            body["state"] = "failed"
        _body(await self._request("PATCH", path, body))

    async def states(self, runs: Sequence[Run]) -> list[RunState]:
        """States of those runs that Airflow has; of a failed one also which task failed and who ended it."""
        if not runs:
            return []
        found = []
        for run, state in (await self._run_states(runs)).items():
            found.append(RunState(run, state, await self._failed_task(run) if state == "failed" else ""))
        return found

    async def _run_states(self, runs: Sequence[Run]) -> dict[Run, str]:
        """The newest runs of their DAGs come in one answer; those that are older than so many others do not.

        Of these what still goes on is listed, and what is left - over, or not there - is asked for one by one, a few
        at a time.
        """
        dags, wanted = sorted({run.dag_id for run in runs}), set(runs)
        known, more = await self._list_runs({"dag_ids": dags}, 0)
        states = {run: state for run, state in known.items() if run in wanted}
        offset, going_on = 0, {"dag_ids": dags, "states": ["queued", "running"]}
        more = more and len(states) < len(wanted)
        missed = more
        while more:
            known, more = await self._list_runs(going_on, offset)
            states |= {run: state for run, state in known.items() if run in wanted}
            offset, more = offset + PAGE, more and len(states) < len(wanted)
        if missed:
            states |= await self._single_states([run for run in runs if run not in states])
        return states

    async def _list_runs(self, which: Mapping[str, Any], offset: int) -> tuple[dict[Run, str], bool]:
        """A page of runs, newest first, and whether it is full."""
        body = {**which, "order_by": "-run_after", "page_limit": PAGE, "page_offset": offset}
        entries = _body(await self._request("POST", "/api/v2/dags/~/dagRuns/list", body))["dag_runs"]
        return {Run(entry["dag_id"], entry["dag_run_id"]): entry["state"] for entry in entries}, len(entries) == PAGE

    async def _single_states(self, runs: Sequence[Run]) -> dict[Run, str]:
        """States of ``SINGLE`` of these runs, of others at the next call."""
        start = self._asked_singly if self._asked_singly < len(runs) else 0
        self._asked_singly = start + SINGLE
        answers = {run: await self._request("GET", _path(run)) for run in runs[start : start + SINGLE]}
        there = {run: each for run, each in answers.items() if each.status_code != httpx.codes.NOT_FOUND}
        return {run: _body(answer)["state"] for run, answer in there.items()}

    async def tasks(self, runs: Sequence[Run]) -> list[TaskState]:
        """Tasks of these runs that are over: of ``PAGE`` jobs each the newest so many, and once a minute all."""
        wanted, jobs = set(runs), sorted({run.job_id for run in runs})
        now = time.monotonic()
        whole = self._whole_at is None or now - self._whole_at >= WHOLE_S
        found = []
        for start in range(0, len(jobs), PAGE):
            pattern = "|".join(jobs[start : start + PAGE])
            offset, more = 0, True
            while more:
                entries = await self._list_tasks(pattern, offset)
                named = [(Run(entry["dag_id"], entry["dag_run_id"]), entry) for entry in entries]
                found += [TaskState(run, entry["task_id"], entry["state"]) for run, entry in named if run in wanted]
                offset, more = offset + PAGE, whole and len(entries) == PAGE
        self._whole_at = now if whole else self._whole_at
        return found

    async def _list_tasks(self, pattern: str, offset: int) -> list[dict[str, Any]]:
        states = "".join(f"&state={state}" for state in OVER)
        query = f"run_id_prefix_pattern={quote(pattern)}{states}&order_by=-end_date&limit={PAGE}&offset={offset}"
        found = _body(await self._request("GET", f"/api/v2/dags/~/dagRuns/~/taskInstances?{query}"))["task_instances"]
        return [dict(entry) for entry in found]

    async def process(self, run: Run, task: str) -> str | None:
        """The ``ti.id`` of the task's newest try: an older try's process has another one."""
        answer = await self._request("GET", f"{_path(run)}/taskInstances/{quote(task, safe='')}")
        return None if answer.status_code == httpx.codes.NOT_FOUND else str(_body(answer)["id"])

    async def ended_by(self, run: Run, after: int) -> str:
        """The person who changed a state of the run or of its tasks last, since event ``after``; empty: nobody."""
        logs = await self._events(run, ENDS, after)
        return str(logs[0]["owner"] or "somebody") if logs else ""

    async def touched(self, run: Run, after: int, since: float) -> Touched | None:
        """Whether a person cleared tasks of the run; what was cleared while the job ran only brought a process back."""
        logs = [log for log in await self._events(run, CLEARS, after) if _moment(log["when"]) > since]
        if not logs:
            return None
        fresh = sorted(task for task, state in (await self._states(run)).items() if state not in FINISHED)
        return Touched(str(logs[0]["owner"] or "somebody"), int(logs[0]["event_log_id"]), fresh)

    async def newest_event(self, run: Run) -> int:
        """Number of the newest record about the run."""
        query = f"dag_id={run.dag_id}&run_id={run.job_id}&order_by=-event_log_id&limit=1"
        logs = _body(await self._request("GET", f"/api/v2/eventLogs?{query}"))["event_logs"]
        return int(logs[0]["event_log_id"]) if logs else 0

    async def clear(self, run: Run, tasks: Sequence[str]) -> None:
        """Let those of these tasks that are over run again."""
        states = await self._states(run)
        over = [task for task in tasks if states.get(task) in FINISHED]
        if over:
            body = {"dry_run": False, "dag_run_id": run.job_id, "task_ids": over, "only_failed": False}
            _body(await self._request("POST", f"/api/v2/dags/{run.dag_id}/clearTaskInstances", body))

    async def note_of(self, run: Run) -> str:
        """The note beside the run; empty: none, or no run."""
        answer = await self._request("GET", _path(run))
        return "" if answer.status_code == httpx.codes.NOT_FOUND else str(_body(answer)["note"] or "")

    async def note(self, run: Run, text: str) -> None:
        """Show people a note beside the run."""
        answer = await self._request("PATCH", f"{_path(run)}?update_mask=note", {"note": text[:NOTE_LENGTH]})
        if answer.status_code != httpx.codes.NOT_FOUND:
            _body(answer)

    def url(self, run: Run) -> str:
        """The run's page, at the name that people use."""
        return self._home.run_url(run.dag_id, run.job_id)

    async def occupying(self) -> list[dict[str, Any]]:
        """Task instances of all runs that are queued or running; a hundred at most, which is Airflow's own limit."""
        query = "state=queued&state=running&limit=100"
        answer = _body(await self._request("GET", f"/api/v2/dags/~/dagRuns/~/taskInstances?{query}"))
        found: list[dict[str, Any]] = answer["task_instances"]
        return found

    async def close(self) -> None:
        """Close connections."""
        await self._http.aclose()

    async def _failed_task(self, run: Run) -> str:
        path = f"{_path(run)}/taskInstances?state=failed"
        answer = _body(await self._request("GET", path))
        tasks = sorted(answer["task_instances"], key=lambda task: task["end_date"] or "")
        return str(tasks[0]["task_id"]) if tasks else ""

    async def _events(self, run: Run, kinds: Sequence[str], after: int) -> list[dict[str, Any]]:
        """Records of what people did, newest first; what this party's gateway did is left out."""
        query = f"dag_id={run.dag_id}&run_id={run.job_id}&order_by=-event_log_id&limit=50"
        chosen = "".join(f"&included_events={kind}" for kind in kinds)
        answer = _body(await self._request("GET", f"/api/v2/eventLogs?{query}{chosen}"))
        return [log for log in answer["event_logs"] if log["owner"] != USER and log["event_log_id"] > after]

    async def _states(self, run: Run) -> dict[str, str]:
        answer = await self._request("GET", f"{_path(run)}/taskInstances")
        return {entry["task_id"]: str(entry["state"]) for entry in _body(answer)["task_instances"]}

    async def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            answer = await self._send(method, path, body)
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                self._token = ""
                answer = await self._send(method, path, body)
        except FileNotFoundError:
            raise PeerError(
                "FED-420", "the own Airflow does not answer: it has no password for the gateway yet"
            ) from None
        except httpx.TransportError as error:
            raise PeerError("FED-420", f"the own Airflow does not answer: {error!r}") from None
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise PeerError(
                "FED-421", f"the own Airflow failed: {method} {path.partition('?')[0]}: {answer.status_code}"
            )
        return answer

    async def _send(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        if not self._token or time.monotonic() - self._token_at > TOKEN_S:
            password = json.loads(self._home.passwords.read_text())[USER]
            answer = await self._http.post("/auth/token", json={"username": USER, "password": password})
            self._token, self._token_at = _body(answer)["access_token"], time.monotonic()
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = await self._http.request(method, path, json=body, headers=headers)
        if method != "GET":
            nudge(self._home)
        return answer


def _path(run: Run) -> str:
    """Names that Airflow gives to runs have ``+`` and ``:``."""
    return f"/api/v2/dags/{quote(run.dag_id, safe='')}/dagRuns/{quote(run.job_id, safe='')}"


def _moment(text: str) -> float:
    """Unix seconds of Airflow's ISO 8601."""
    return datetime.fromisoformat(text).timestamp()


def _body(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        request = answer.request  # what Airflow says in full is for this party's people only
        log.warning("%s %s: %s %s", request.method, request.url.path, answer.status_code, answer.text[:2000])
        refused = f"the own Airflow refused {request.method} {request.url.path}: {answer.status_code}"
        raise DslError("FED-472", refused, "the gateway's log has its words")
    found: dict[str, Any] = answer.json()
    return found
