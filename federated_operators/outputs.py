"""What a step leaves in its party's home, and how the next steps read it.

Files are written durably under the attempt's folder before PREPARED. What crosses to the gateway are references
(paths relative to the job's folder) and digests, as JSON that the gateway does not look into.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from google.protobuf.json_format import MessageToJson
from pydantic import TypeAdapter, ValidationError

from federated_operators.gateway.names import JOB_ID
from federated_operators.gateway.plan import ALL_SUCCESS, JobPlan, ModelRef, StepPlan
from federated_operators.inputs import inputs_of
from federatedml.component import Inputs, ModelBuffers, Outputs, component
from federatedml.data import table as tables
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.durable import written
from federatedml.data.table import Table
from federatedml.errors import DataError

ALIAS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True)
class StoredTable:
    """A Parquet file. ``digest`` is the hex SHA-256 of its bytes."""

    path: str
    rows: int
    digest: str


@dataclass(frozen=True)
class StoredFile:
    """A file with the hex SHA-256 of its bytes."""

    path: str
    sha256: str


@dataclass(frozen=True)
class ModelFiles:
    """The buffers of a model: buffer name -> file of the serialised message."""

    module: str
    files: Mapping[str, StoredFile]


@dataclass(frozen=True)
class StepOutputs:
    """References to the outputs of one member's step, by the DSL's output names.

    Attributes:
        summary: counts and scores to show beside the component.
        folder: the attempt's folder; all paths are relative to the job's folder.
        job: id of the earlier job that they are of; empty: the job that reads them.
        tables: names of the party's stored tables that they come from, for its accounts over jobs.
    """

    data: Mapping[str, StoredTable] = field(default_factory=dict)
    model: Mapping[str, ModelFiles] = field(default_factory=dict)
    summary: Mapping[str, float] = field(default_factory=dict)
    folder: str = ""
    job: str = ""
    tables: Sequence[str] = ()


_OUTPUTS: TypeAdapter[StepOutputs] = TypeAdapter(StepOutputs)


def dump_outputs(outputs: StepOutputs) -> bytes:
    """The references as JSON, for PREPARED."""
    return _OUTPUTS.dump_json(outputs)


def load_outputs(body: bytes) -> StepOutputs:
    """The references that ``dump_outputs`` wrote."""
    try:
        return _OUTPUTS.validate_json(body)
    except ValidationError as error:
        raise DataError("FED-220", f"not the outputs of a step: {error.error_count()} errors") from error


def load_committed(inputs: Mapping[str, bytes], plan: JobPlan) -> dict[str, StepOutputs]:
    """Outputs by component, as START gives them: those of components that do not run are of the earlier job."""
    found = {name: load_outputs(body) for name, body in inputs.items()}
    return {
        name: outputs if name in plan.all_steps else replace(outputs, job=plan.earlier_job)
        for name, outputs in found.items()
    }


@dataclass(frozen=True)
class JobStore:
    """Outputs of one job in a party's home.

    Attributes:
        folder: the job's folder.
        catalogue: the party's own tables.
        trained: finds the registered models of a predict job.
    """

    folder: Path
    catalogue: Catalogue
    trained: Callable[[ModelRef], ModelBuffers] | None = None

    def store(self, step: StepPlan, outputs: Outputs, attempt_dir: Path) -> StepOutputs:
        """Write what the step's DSL declares of ``outputs`` below ``attempt_dir``, durably."""
        data: dict[str, StoredTable] = {}
        model: dict[str, ModelFiles] = {}
        for alias, table in outputs.named(step.data_aliases).items():
            path = attempt_dir / "data" / f"{_safe(alias)}.parquet"
            tables.write(replace(table, origin=step.component), path)
            data[alias] = StoredTable(self._relative(path), len(table), _digest(path.read_bytes()))
        if step.model_alias is not None and outputs.model is not None:
            files = self._write_model(outputs.model, attempt_dir / "model" / _safe(step.model_alias))
            model[step.model_alias] = ModelFiles(step.module, files)
        _sync(self.folder, {attempt_dir, *attempt_dir.glob("data"), *attempt_dir.glob("model/*")})
        return StepOutputs(data, model, dict(outputs.summary), self._relative(attempt_dir))

    def inputs(self, step: StepPlan, committed: Mapping[str, StepOutputs], rule: str = ALL_SUCCESS) -> Inputs:
        """Inputs of ``step``.

        Args:
            committed: outputs of earlier components at this member.
            rule: the trigger rule of ``step``.
        """
        return inputs_of(step, rule, _Left(self, committed))

    def of(self, outputs: StepOutputs) -> JobStore:
        """The store of the job that left these outputs; jobs of one initiator lie side by side."""
        if not outputs.job:
            return self
        if not JOB_ID.fullmatch(outputs.job):
            raise DataError("FED-223", f"{outputs.job[:40]!r} is not a job's folder")
        return replace(self, folder=self.folder.parent / outputs.job)

    def model_bytes(self, model: ModelFiles) -> dict[str, bytes]:
        """Serialised messages by buffer name, checked against their digests."""
        return {name: self._checked(file.path, file.sha256) for name, file in model.files.items()}

    def table(self, stored: StoredTable) -> Table:
        """A stored table, checked against its digest."""
        self._checked(stored.path, stored.digest)
        return tables.read(self.folder / stored.path)

    def _write_model(self, buffers: ModelBuffers, folder: Path) -> dict[str, StoredFile]:
        files: dict[str, StoredFile] = {}
        for name, message in buffers.items():
            body = message.SerializeToString(deterministic=True)
            write_file(folder / f"{_safe(name)}.pb", body)
            write_file(folder / f"{name}.json", MessageToJson(message, preserving_proto_field_name=True).encode())
            files[name] = StoredFile(self._relative(folder / f"{name}.pb"), _digest(body))
        return files

    def _checked(self, path: str, digest: str) -> bytes:
        where = (self.folder / path).resolve()
        if not where.is_relative_to(self.folder.resolve()):
            raise DataError("FED-223", f"{path!r} is not in the job's folder")
        try:
            body = where.read_bytes()
        except FileNotFoundError:
            raise DataError("FED-224", f"{path} is gone", "rerun the component that wrote it") from None
        if _digest(body) != digest:
            raise DataError("FED-225", f"{path} is damaged", "rerun the component that wrote it")
        return body

    def _relative(self, path: Path) -> str:
        return path.resolve().relative_to(self.folder.resolve()).as_posix()


def write_file(path: Path, body: bytes) -> None:
    """Write durably and whole."""
    with written(path) as file:
        file.write(body)


@dataclass(frozen=True)
class _Left:
    """What was committed at one member, as ``inputs_of`` asks for it."""

    store: JobStore
    committed: Mapping[str, StepOutputs]

    def __contains__(self, component: object) -> bool:
        return component in self.committed

    def table(self, name: TableName) -> Table:
        return self.store.catalogue.read(name)

    def data(self, name: str, alias: str) -> Table | None:
        stored = self.committed[name].data.get(alias)
        return self.store.of(self.committed[name]).table(stored) if stored else None

    def model(self, name: str, alias: str) -> ModelBuffers | None:
        stored = self.committed[name].model.get(alias)
        spec = component(stored.module).model if stored else None
        store = self.store.of(self.committed[name])
        return spec.parse(store.model_bytes(stored)) if stored and spec else None

    def trained(self, ref: ModelRef) -> ModelBuffers | None:
        return self.store.trained(ref) if self.store.trained else None


def _sync(top: Path, folders: Iterable[Path]) -> None:
    """Make new names durable: every folder from ``folders`` up to ``top``."""
    chain = {up for folder in folders for up in (folder, *folder.parents) if up.is_relative_to(top)}
    for folder in chain:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _safe(name: str) -> str:
    if not ALIAS.fullmatch(name):
        raise DataError("FED-227", f"{name[:40]!r} is not an output name", "letters, digits, '_', '.', '-'")
    return name


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
