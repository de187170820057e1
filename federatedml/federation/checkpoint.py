"""Checkpoints: a role's plain state on disk, one folder per attempt, written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from federatedml.data.durable import written
from federatedml.errors import ProtocolError
from federatedml.federation.wire import DTYPES, Array

State = Mapping[str, Array | int | float | list[float]]


@dataclass(frozen=True)
class Checkpoint:
    """State after a completed round of one attempt.

    Attributes:
        attempt: the attempt that stored it. Shares of two attempts do not belong together.
        round: the algorithm's own counter.
        digest: SHA-256 of the stored bytes.
        state: arrays and numbers by name.
    """

    attempt: int
    round: int
    digest: bytes
    state: State


class CheckpointStore:
    """Checkpoints of one member in one generation of a step: ``FOLDER/aA/ckpt/N``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def store(self, attempt: int, round: int, state: State) -> Checkpoint:
        """Write durably."""
        body = _pack(state)
        with written(self._path(attempt, round)) as file:
            file.write(body)
        return Checkpoint(attempt, round, hashlib.sha256(body).digest(), state)

    def load(self, attempt: int, round: int, digest: bytes) -> Checkpoint:
        """Read back; ``ProtocolError`` if the bytes are not those that were stored."""
        try:
            body = self._path(attempt, round).read_bytes()
        except FileNotFoundError:
            raise ProtocolError("FED-320", f"checkpoint of attempt {attempt}, round {round} is missing") from None
        if hashlib.sha256(body).digest() != digest:
            raise ProtocolError("FED-320", f"checkpoint of attempt {attempt}, round {round} is damaged")
        return Checkpoint(attempt, round, digest, _unpack(body))

    def prune(self, attempt: int, round: int) -> None:
        """Delete everything except the named checkpoint; (0, 0) deletes all."""
        keep = self._path(attempt, round)
        for path in self.folder.glob("a*/ckpt/*"):
            if path != keep:
                path.unlink(missing_ok=True)

    def prune_older(self, attempt: int, round: int) -> None:
        """Delete what is older than the named checkpoint, in its attempt and in those before it."""
        for path in self.folder.glob("a*/ckpt/*"):
            place = _place(path)
            if place is not None and place < (attempt, round):
                path.unlink(missing_ok=True)

    def _path(self, attempt: int, round: int) -> Path:
        return self.folder / f"a{attempt}" / "ckpt" / str(round)


def _place(path: Path) -> tuple[int, int] | None:
    """Attempt and round of a file; None: it is being written, or is none of ours."""
    try:
        return int(path.parts[-3].removeprefix("a")), int(path.name)
    except ValueError:
        return None


def _pack(state: State) -> bytes:
    buffer = io.BytesIO()
    plain: dict[str, int | float | list[float]] = {}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, value in sorted(state.items()):
            if not isinstance(value, np.ndarray):
                plain[name] = value
                continue
            if value.dtype.str not in DTYPES:
                raise ProtocolError("FED-321", f"state {name!r} has type {value.dtype}, allowed: {sorted(DTYPES)}")
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(value, order="C"), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())
        archive.writestr(zipfile.ZipInfo("plain.json"), json.dumps(plain, sort_keys=True))
    return buffer.getvalue()


def _unpack(body: bytes) -> State:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        state: dict[str, Array | int | float | list[float]] = dict(json.loads(archive.read("plain.json")))
        for name in archive.namelist():
            if name.endswith(".npy"):
                member = io.BytesIO(archive.read(name))
                state[name.removesuffix(".npy")] = np.lib.format.read_array(member, allow_pickle=False)
    return state
