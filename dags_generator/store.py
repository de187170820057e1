"""The store behind the DAG bundle: contents by digest, one manifest per version, one folder that is always current.

``current/`` is what the DAG processor reads; only files that changed are replaced there, so only those are parsed
again. A run asks for its own version: that is built from the version's manifest, so a run keeps what it started with.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dags_generator.dropin import Compiled
from federated_operators.outputs import write_file

STUB = b'''"""An airflow dag of airfed, built from the JSON file of the same name."""
from dags_generator.dag import dags_of
globals().update(dags_of(__file__))
'''
STUB_DIGEST = hashlib.sha256(STUB).hexdigest()
VERSION = re.compile(r"[0-9a-f]{32}")
PARSING = 30.0  # seconds that the DAG processor may still be parsing what was placed before
AHEAD = 2.0


@dataclass(frozen=True)
class Manifest:
    """One version: file name -> hex SHA-256 of its content; pipeline -> digest of its specification ("": broken)."""

    files: Mapping[str, str]
    specs: Mapping[str, str]

    @cached_property
    def body(self) -> bytes:
        """Canonical JSON: names and digests are ASCII, so sorted keys are all that it takes."""
        return json.dumps({"files": self.files, "specs": self.specs}, sort_keys=True, separators=(",", ":")).encode()

    @cached_property
    def version(self) -> str:
        """Names this manifest."""
        return hashlib.sha256(self.body).hexdigest()[:32]


class BundleStore:
    """``ROOT/{objects,manifests,current,version}``. Writers hold the bundle's lock; readers need none.

    What this process has stored and placed it does not look at again, unless another process has published meanwhile:
    a change costs one pipeline, however many there are.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.current = root, root / "current"
        self._placed: dict[str, float] = {}
        self._stored: set[str] = set()
        self._shown = Manifest({}, {})

    def version(self) -> str | None:
        """The newest version, or None before the first."""
        try:
            return (self.root / "version").read_text()
        except FileNotFoundError:
            return None

    def manifest(self, version: str | None = None) -> Manifest:
        """The manifest of a version, by default the newest. ``KeyError`` if there is none of that name."""
        wanted = version or self.version()
        if wanted is None:
            return Manifest({}, {})
        if not VERSION.fullmatch(wanted):
            raise KeyError(wanted)
        try:
            return Manifest(**json.loads((self.root / "manifests" / f"{wanted}.json").read_bytes()))
        except FileNotFoundError:
            raise KeyError(wanted) from None

    def holds(self, version: str, key: str, pipeline: Compiled) -> bool:
        """Whether a version has this specification, conf and schedule as its pipeline ``key``, by whichever release."""
        if not VERSION.fullmatch(version) or not (self.root / "manifests" / f"{version}.json").exists():
            return False
        manifest = self.manifest(version)
        if not pipeline.valid or manifest.specs.get(key) != pipeline.spec_digest:
            return False
        return _starts((self.root / "objects" / manifest.files[f"{key}.json"]).read_bytes()) == _starts(pipeline.body)

    def pipelines(self) -> dict[str, Compiled]:
        """What the newest version holds."""
        manifest = self.manifest()
        return {
            key: Compiled((self.root / "objects" / manifest.files[f"{key}.json"]).read_bytes(), digest)
            for key, digest in manifest.specs.items()
        }

    def publish(self, pipelines: Mapping[str, Compiled]) -> str:
        """Make ``pipelines`` the current version; nothing is written if they are that already."""
        self.current.mkdir(parents=True, exist_ok=True, mode=0o700)
        files = {f"{key}.json": self._object(pipeline.body, pipeline.digest) for key, pipeline in pipelines.items()}
        files |= dict.fromkeys((f"{key}.py" for key in pipelines), self._object(STUB, STUB_DIGEST))
        manifest = Manifest(files, {key: pipeline.spec_digest for key, pipeline in pipelines.items()})
        if manifest.version != self.version() or self._shown != manifest:
            write_file(self.root / "manifests" / f"{manifest.version}.json", manifest.body)
            self._show(manifest)
            write_file(self.root / "version", manifest.version.encode())
        return manifest.version

    def materialise(self, version: str, folder: Path) -> None:
        """Build the folder of a version, whole or not at all. ``KeyError`` if there is no such version."""
        if folder.exists():
            return
        building = folder.with_name(f"{folder.name}.{os.getpid()}")
        building.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, digest in self.manifest(version).files.items():
            (building / name).write_bytes((self.root / "objects" / digest).read_bytes())
        building.rename(folder)

    def _object(self, body: bytes, digest: str) -> str:
        if digest not in self._stored:
            if not (self.root / "objects" / digest).exists():
                write_file(self.root / "objects" / digest, body)
            self._stored.add(digest)
        return digest

    def _show(self, manifest: Manifest) -> None:
        """Bring ``current/`` to the manifest: the JSON first, then its stub, whose time makes Airflow parse it.

        Files there are not synced one by one: every process looks at all of them when it first publishes.
        """
        for name in set(os.listdir(self.current)) - set(manifest.files):
            (self.current / name).unlink()
        alone = self.version() == self._shown.version  # nobody else has published since
        shown = self._shown.files if alone else {}
        for key in manifest.specs:
            if shown.get(f"{key}.json") == manifest.files[f"{key}.json"]:
                continue
            body = (self.root / "objects" / manifest.files[f"{key}.json"]).read_bytes()
            if not _same(self.current / f"{key}.json", body) or not _same(self.current / f"{key}.py", STUB):
                _place(self.current / f"{key}.json", body)
                _place(self.current / f"{key}.py", STUB)
                self._date(key)
        self._shown = manifest

    def _date(self, key: str) -> None:
        """Airflow overlooks a change during a parse: the second of two quick changes is dated ahead of its end."""
        now, before = time.time(), self._placed.get(key, 0.0)
        self._placed[key] = now
        if now - before < PARSING:
            os.utime(self.current / f"{key}.py", (now + AHEAD, now + AHEAD))


def _starts(body: bytes) -> list[object]:
    """With which conf and when compiled DAGs start; documentation may differ between releases, this may not."""
    starts = [plan["start"] for plan in json.loads(body)]
    return [start and (start["conf"], start.get("schedule")) for start in starts]


def _place(path: Path, body: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(body)
    temporary.rename(path)


def _same(path: Path, body: bytes) -> bool:
    try:
        return path.read_bytes() == body
    except FileNotFoundError:
        return False
