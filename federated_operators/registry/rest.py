"""MLflow over its REST API: the few calls that airfed needs, with timeouts, few retries and readable errors.

A blocking client for task processes and for serving's loader; keeps connections alive, may be shared by threads.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from federated_operators.registry.records import (
    LoggedModel,
    Metric,
    ModelVersion,
    RegisteredModel,
    Run,
    parse_logged_model,
    parse_registered_model,
    parse_run,
    parse_version,
)
from federatedml.errors import FedError, ModelError, PeerError

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
BATCH_METRICS, BATCH_PARAMS, BATCH_TAGS = 800, 100, 100  # together MLflow's limit of one call
PAUSES = (0.1, 0.4)  # seconds before the second and the third try
MAX_MESSAGE = 400
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,199}")


class MlflowRest:
    """Client of one MLflow server.

    Args:
        url: base URL of the server.
        tries: how often a call that may be sent twice is tried. Creating calls are sent again only if the server was
            not reached at all; a creator searches by tags first.

    Raises (every method):
        ModelError: the server refused; ``FED-610`` does not exist, ``FED-611`` exists already, ``FED-612`` otherwise.
        PeerError: ``FED-480``, the server is not there or does not answer.
    """

    def __init__(self, url: str, tries: int = 3, read_timeout: float = 10.0) -> None:
        self.url, self.tries = url, tries
        timeout = httpx.Timeout(read_timeout, connect=2.0)
        # No proxy settings from the environment: the server is this party's own. Reading the system's CAs takes 0.2 s.
        self._http = httpx.Client(base_url=url, timeout=timeout, trust_env=False, verify=url.startswith("https:"))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Experiments and runs

    def experiment(self, name: str, tags: Mapping[str, str] | None = None) -> str:
        """Id of the experiment of that name; made with ``tags`` if it is not there."""
        try:
            return self._experiment_id(name)
        except ModelError as error:
            if error.code != "FED-610":
                raise
        try:
            made = self._post("/experiments/create", {"name": name, "tags": _pairs(tags or {})}, again=False)
        except ModelError as error:
            if error.code != "FED-611":
                raise
            return self._experiment_id(name)
        return str(made["experiment_id"])

    def _experiment_id(self, name: str) -> str:
        found = self._get("/experiments/get-by-name", {"experiment_name": name})
        return str(found["experiment"]["experiment_id"])

    def create_run(self, experiment_id: str, name: str, tags: Mapping[str, str], start_time: int | None = None) -> Run:
        """A new run in state RUNNING. Not idempotent: see ``search_runs``."""
        body = {
            "experiment_id": experiment_id,
            "run_name": name,
            "start_time": _now() if start_time is None else start_time,
            "tags": _pairs(tags),
        }
        return parse_run(self._post("/runs/create", body, again=False)["run"])

    def get_run(self, run_id: str) -> Run:
        """A run by its id."""
        return parse_run(self._get("/runs/get", {"run_id": run_id})["run"])

    def search_runs(self, experiment_id: str, tags: Mapping[str, str]) -> list[Run]:
        """Runs with all these tags, the oldest first."""
        body = {"experiment_ids": [experiment_id], "filter": _filter(tags), "order_by": ["attributes.start_time ASC"]}
        return [parse_run(found) for found in self._pages("POST", "/runs/search", body, "runs")]

    def update_run(self, run_id: str, status: str, end_time: int | None = None) -> None:
        """Set the state (RUNNING, SCHEDULED, FINISHED, FAILED, KILLED); a final state gets its end time (ms)."""
        body: dict[str, Any] = {"run_id": run_id, "status": status}
        if status in ("FINISHED", "FAILED", "KILLED"):
            body["end_time"] = _now() if end_time is None else end_time
        self._post("/runs/update", body)

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log points, parameters and tags, in as many calls as MLflow's limits need; sent again, it changes nothing."""
        tag_parts = _parts(_pairs(tags or {}), BATCH_TAGS)
        param_parts = _parts(_pairs(params or {}), BATCH_PARAMS)
        metric_parts = _parts([point.json() for point in metrics], BATCH_METRICS)
        for some, more, points in zip_longest(tag_parts, param_parts, metric_parts, fillvalue=()):
            body = {"run_id": run_id, "tags": some, "params": more, "metrics": points}
            self._post("/runs/log-batch", body)

    def delete_run(self, run_id: str) -> None:
        """Hide a run; ``mlflow gc`` removes it."""
        self._post("/runs/delete", {"run_id": run_id})

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        """Set one tag of a run."""
        self._post("/runs/set-tag", {"run_id": run_id, "key": key, "value": value})

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run."""
        self.log_batch(run_id, tags=tags)

    # Artifacts of a run or of a logged model, by its artifact URI

    def upload(self, artifact_uri: str, path: str, body: bytes) -> None:
        """Store a file below the URI, through the server."""
        self._call("PUT", f"{_proxied(artifact_uri)}/{_plain(path)}", content=body)

    def download(self, artifact_uri: str, path: str, max_bytes: int = 256 << 20) -> bytes:
        """A file below the URI; more than ``max_bytes`` is an error."""
        return self._call("GET", f"{_proxied(artifact_uri)}/{_plain(path)}", max_bytes=max_bytes)

    def files(self, artifact_uri: str) -> dict[str, int]:
        """Path -> size of all files below the URI."""
        base = _proxied(artifact_uri).removeprefix(ARTIFACTS + "/")
        return dict(sorted(self._walk(base, "")))

    def _walk(self, base: str, folder: str) -> Iterator[tuple[str, int]]:
        path = f"{base}/{_plain(folder)}" if folder else base
        listed = _json(self._call("GET", f"{ARTIFACTS}?path={quote(path, safe='/%')}"))
        for entry in listed.get("files", []):
            name = f"{folder}/{entry['path']}".lstrip("/")
            if entry.get("is_dir"):
                yield from self._walk(base, name)
            else:
                yield name, int(entry.get("file_size", 0))

    # Logged models

    def create_logged_model(
        self,
        experiment_id: str,
        name: str,
        model_type: str,
        tags: Mapping[str, str],
        source_run_id: str = "",
        params: Mapping[str, str] | None = None,
    ) -> LoggedModel:
        """A new model in state PENDING. Not idempotent: see ``search_logged_models``."""
        body: dict[str, Any] = {"experiment_id": experiment_id, "name": name, "model_type": model_type}
        body |= {"tags": _pairs(tags), "params": _pairs(params or {})}
        if source_run_id:
            body["source_run_id"] = source_run_id
        return parse_logged_model(self._post("/logged-models", body, again=False)["model"])

    def get_logged_model(self, model_id: str) -> LoggedModel:
        """A model by its id."""
        return parse_logged_model(self._get(f"/logged-models/{quote(model_id, safe='')}")["model"])

    def finalize_logged_model(self, model_id: str, ready: bool = True) -> None:
        """Set READY (or FAILED)."""
        status = "LOGGED_MODEL_READY" if ready else "LOGGED_MODEL_UPLOAD_FAILED"
        path = f"{API}/logged-models/{quote(model_id, safe='')}"
        self._call("PATCH", path, json={"model_id": model_id, "status": status})

    def search_logged_models(self, experiment_id: str, tags: Mapping[str, str]) -> list[LoggedModel]:
        """Models with all these tags, the oldest first."""
        body = {
            "experiment_ids": [experiment_id],
            "filter": _filter(tags),
            "order_by": [{"field_name": "creation_time", "ascending": True}],
        }
        return [parse_logged_model(found) for found in self._pages("POST", "/logged-models/search", body, "models")]

    # Registered models, their versions and aliases

    def registered_model(self, name: str, tags: Mapping[str, str] | None = None) -> None:
        """Make sure that a registered model of that name is there; ``tags`` are set only when it is made."""
        try:
            self._post("/registered-models/create", {"name": name, "tags": _pairs(tags or {})}, again=False)
        except ModelError as error:
            if error.code != "FED-611":
                raise

    def registered_models(self, like: str) -> list[RegisteredModel]:
        """Registered models whose names match an SQL pattern (``%`` any text, ``_`` any character), sorted."""
        query = {"filter": f"name LIKE {_literal(like)}", "max_results": 200}
        found = self._pages("GET", "/registered-models/search", query, "registered_models")
        return sorted((parse_registered_model(model) for model in found), key=lambda model: model.name)

    def create_version(
        self, name: str, model: LoggedModel, tags: Mapping[str, str], description: str = "", run_id: str = ""
    ) -> ModelVersion:
        """A new version that points to a logged model. Not idempotent: see ``search_versions``."""
        body = {
            "name": name,
            "source": f"models:/{model.model_id}",
            "model_id": model.model_id,
            "tags": _pairs(tags),
            "description": description,
        }
        if run_id:
            body["run_id"] = run_id
        return parse_version(self._post("/model-versions/create", body, again=False)["model_version"])

    def get_version(self, name: str, version: int) -> ModelVersion:
        """A version with its aliases."""
        return parse_version(self._get("/model-versions/get", {"name": name, "version": version})["model_version"])

    def search_versions(self, name: str, tags: Mapping[str, str] | None = None) -> list[ModelVersion]:
        """Versions with all these tags, the oldest first, without their aliases."""
        query = {"filter": " AND ".join(filter(None, [f"name = {_literal(name)}", _filter(tags or {})]))}
        query |= {"order_by": "version_number ASC", "max_results": "200"}
        found = self._pages("GET", "/model-versions/search", query, "model_versions")
        return sorted((parse_version(one) for one in found), key=lambda version: version.version)

    def set_version_tag(self, name: str, version: int, key: str, value: str) -> None:
        """Set one tag of a version."""
        self._post("/model-versions/set-tag", {"name": name, "version": str(version), "key": key, "value": value})

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """Let ``alias`` point to ``version``."""
        self._post("/registered-models/alias", {"name": name, "alias": alias, "version": str(version)})

    def get_by_alias(self, name: str, alias: str) -> ModelVersion:
        """The version that ``alias`` points to; ``FED-610`` if there is no such model or alias."""
        try:
            found = self._get("/registered-models/alias", {"name": name, "alias": alias})
        except ModelError as error:
            if error.code == "FED-610" or alias in self.get_registered_model(name).aliases:
                raise
            raise ModelError("FED-610", f"model {name} has no alias {alias!r}") from None
        return parse_version(found["model_version"])

    def get_registered_model(self, name: str) -> RegisteredModel:
        """A registered model with its aliases."""
        return parse_registered_model(self._get("/registered-models/get", {"name": name})["registered_model"])

    # Transport

    def _get(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return _json(self._call("GET", API + path, params=query))

    def _post(self, path: str, body: Mapping[str, Any], again: bool = True) -> dict[str, Any]:
        return _json(self._call("POST", API + path, again=again, json=body))

    def _pages(self, method: str, path: str, query: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            asked = {**query, **({"page_token": token} if token else {})}
            page = self._get(path, asked) if method == "GET" else self._post(path, asked)
            yield from page.get(key, [])
            token = page.get("next_page_token", "")
            if not token:
                return

    def _call(self, method: str, path: str, again: bool = True, max_bytes: int = 64 << 20, **how: Any) -> bytes:
        for pause in (*PAUSES[: self.tries - 1], None):
            try:
                return self._once(method, path, max_bytes, how)
            except (httpx.TransportError, _ServerError) as error:
                failure: Exception = error
            unsent = isinstance(failure, (httpx.ConnectError, httpx.ConnectTimeout))
            if pause is None or not (again or unsent):
                break
            time.sleep(pause)
        raise PeerError("FED-480", f"MLflow at {self.url} does not answer {method} {_short(path)}: {failure!r}")

    def _once(self, method: str, path: str, max_bytes: int, how: Mapping[str, Any]) -> bytes:
        with self._http.stream(method, path, **how) as response:
            body = b""
            for piece in response.iter_bytes():
                body += piece
                if len(body) > max_bytes:
                    raise ModelError("FED-612", f"MLflow's answer to {_short(path)} is larger than {max_bytes} bytes")
        if response.status_code >= 500 or response.status_code == 429:
            raise _ServerError(f"HTTP {response.status_code}: {_message(body)}")
        if response.status_code >= 400:
            raise _refusal(response.status_code, body, method, path)
        return body


class _ServerError(Exception):
    """The server failed; the call may be sent again."""


def _refusal(status: int, body: bytes, method: str, path: str) -> FedError:
    try:
        known = str(_json(body).get("error_code"))
    except ModelError:
        known = ""
    code = {"RESOURCE_DOES_NOT_EXIST": "FED-610", "RESOURCE_ALREADY_EXISTS": "FED-611"}.get(known, "FED-612")
    if status == 404:
        code = "FED-610"
    return ModelError(code, f"MLflow refused {method} {_short(path)} (HTTP {status}): {_message(body)}")


def _message(body: bytes) -> str:
    try:
        text = str(_json(body).get("message", ""))
    except ModelError:
        text = body.decode(errors="replace")
    return " ".join(text.split())[:MAX_MESSAGE]


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = httpx.Response(200, content=body).json()
    except ValueError:
        raise ModelError("FED-612", "MLflow's answer is not JSON", "is another server on its port?") from None
    if not isinstance(found, dict):
        raise ModelError("FED-612", "MLflow's answer is not a JSON object", "is another server on its port?")
    return found


def _proxied(artifact_uri: str) -> str:
    """Path of the server's artifact proxy for an artifact URI."""
    parts = urlsplit(artifact_uri)
    if parts.scheme != "mlflow-artifacts":
        raise ModelError(
            "FED-614", f"MLflow keeps artifacts at {artifact_uri[:80]!r}", "start its server with --serve-artifacts"
        )
    return f"{ARTIFACTS}/{quote(parts.path.strip('/'))}"


def _plain(path: str) -> str:
    """A file's path for a URL; names that could lead out of their folder are refused here, whatever the server does."""
    for name in path.split("/"):
        if not FILE_NAME.fullmatch(name):
            raise ModelError("FED-618", f"{path[:80]!r} is not a path of an artifact", "letters, digits, ' ', '_.-'")
    return quote(path)


def _short(path: str) -> str:
    return path.partition("?")[0].removeprefix(API)[:120]


def _now() -> int:
    return time.time_ns() // 1_000_000


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _parts(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _filter(tags: Mapping[str, str]) -> str:
    return " AND ".join(f"tags.`{key}` = {_literal(value)}" for key, value in tags.items())


def _literal(value: str) -> str:
    """A string of MLflow's filter language, which knows no escapes."""
    if "'" in value or "\\" in value or "`" in value:
        raise ModelError("FED-615", f"{value[:60]!r} cannot be searched for in MLflow", "no quotes and no back-slashes")
    return f"'{value}'"
