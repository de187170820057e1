"""Models on disk by the digest of their manifest: a party scores while its MLflow is down."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from federatedml.errors import ModelError
from federatedml.model_bundle import ModelBundle

DIGEST = re.compile(r"[0-9a-f]{64}")
BINDINGS = "bindings.json"


@dataclass(frozen=True)
class Binding:
    """What a name and an alias stand for: a version, the job that made it, and the digest of its manifest.

    ``created`` is the registered model's birth in ms: a name that was deleted and made again counts from 1 again.
    """

    name: str
    alias: str
    version: int
    job_id: str
    digest: str
    created: int = 0


_BINDINGS = TypeAdapter(list[Binding])


class ModelCache:
    """``FOLDER/models/DIGEST/...`` and ``FOLDER/bindings.json``, what the aliases stood for when last seen.

    What is read is verified against the digest, so a damaged copy is dropped and fetched again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.models = folder, folder / "models"

    def get(self, digest: str) -> dict[str, bytes] | None:
        """The files of a model, or None if there is no whole copy."""
        folder = self._path(digest)
        if not folder.is_dir():
            return None
        files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        try:
            ModelBundle.from_files(files, digest)
        except ModelError:
            shutil.rmtree(folder)
            return None
        return files

    def put(self, digest: str, files: Mapping[str, bytes]) -> None:
        """Keep a verified model; it appears whole or not at all."""
        target = self._path(digest)
        if target.is_dir():
            return
        self.models.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=self.models))
        for path, body in files.items():
            (temporary / path).parent.mkdir(parents=True, exist_ok=True)
            (temporary / path).write_bytes(body)
        try:
            temporary.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(temporary)

    def keep(self, digest: str, last: int) -> None:
        """Keep the ``last`` models that were used, ``digest`` just now. Other processes may do the same meanwhile."""
        with suppress(FileNotFoundError):
            os.utime(self._path(digest))
            used = sorted(self.models.glob("[0-9a-f]*"), key=lambda folder: folder.stat().st_mtime_ns, reverse=True)
            for folder in used[last:]:
                shutil.rmtree(folder, ignore_errors=True)

    def remember(self, bindings: Sequence[Binding]) -> None:
        """Keep what the aliases stand for, and drop models that none of them needs."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self.folder / f"{BINDINGS}.{os.getpid()}"
        temporary.write_bytes(_BINDINGS.dump_json(list(bindings), indent=1))
        temporary.rename(self.folder / BINDINGS)
        needed = {binding.digest for binding in bindings}
        for folder in self.models.glob("*"):
            if folder.name not in needed:
                shutil.rmtree(folder, ignore_errors=True)

    def remembered(self) -> list[Binding]:
        """What ``remember`` kept; nothing if it is not readable."""
        try:
            return _BINDINGS.validate_json((self.folder / BINDINGS).read_bytes())
        except (OSError, ValidationError):
            return []

    def _path(self, digest: str) -> Path:
        if not DIGEST.fullmatch(digest):
            raise ModelError("FED-604", f"{digest[:80]!r} is not a digest")
        return self.models / digest
