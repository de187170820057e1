"""The store behind the DAG bundle: contents by digest, one manifest per version, one folder that is always current.

``current/`` is what the DAG processor reads; only files that changed are replaced there, so only those are parsed
again. A run asks for its own version: that is built from the version's manifest, so a run keeps what it started with.

A pipeline has a stub of its own. Where many come at once some share one, for the DAG processor takes a process and a
transaction per file: a pipeline that changes gets its own stub then, and the shared one forgets it.

The JSON is in a folder beside the stubs where the DAG processor does not go: it would open every file to see whether it
is an archive, at every change.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from dags_generator.dropin import Compiled
from federated_operators.outputs import write_file

STUB = b'''"""An airflow dag of airfed, built from the JSON file of the same name."""
from dags_generator.dag import dags_of
globals().update(dags_of(__file__))
'''
STUB_DIGEST = hashlib.sha256(STUB).hexdigest()
PLANS = "__plans__"
IGNORE = ".airflowignore"
IGNORED = b"__*__/\n"  # that, and Python's folder of bytecode: one rule for both, for each is tried on each stub
SHARED = "_shared_"  # no pipeline's name begins like that
MANY, TOGETHER = 32, 16  # from how many on new pipelines share stubs, and how many share one
VERSION = re.compile(r"[0-9a-f]{32}")
PARSING = 30.0  # seconds that the DAG processor may still be parsing what was placed before
AHEAD = 2.0
KEEP = 200  # versions that are never removed


@dataclass(frozen=True)
class Manifest:
    """One version.

    Attributes:
        files: file name -> hex SHA-256 of its content.
        specs: pipeline -> digest of its specification ("": broken).
        shared: stub that several pipelines share, without its ending -> those.
    """

    files: Mapping[str, str]
    specs: Mapping[str, str]
    shared: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @cached_property
    def body(self) -> bytes:
        """Canonical JSON: names and digests are ASCII, so sorted keys are all that it takes."""
        found = {"files": self.files, "specs": self.specs} | ({"shared": self.shared} if self.shared else {})
        return json.dumps(found, sort_keys=True, separators=(",", ":")).encode()

    @cached_property
    def stubs(self) -> Mapping[str, Sequence[str]]:
        """Stub, without its ending -> the JSON files that its DAGs are built from."""
        alone = {key: [f"{key}.json"] for key in self.specs if f"{key}.py" in self.files}
        return alone | {name: [*(f"{key}.json" for key in keys), f"{name}.json"] for name, keys in self.shared.items()}

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
        alone = self._shown.version == self.version()  # nobody else has published since
        if not alone:
            self._stored.clear()
        files = {f"{key}.json": self._object(pipeline.body, pipeline.digest) for key, pipeline in pipelines.items()}
        before = self._shown if alone else self.manifest()
        shared = _shared(before, pipelines)
        files |= {f"{name}.json": self._object(_list(keys)) for name, keys in shared.items()}
        unshared = pipelines.keys() - {key for keys in shared.values() for key in keys}
        files |= dict.fromkeys((f"{name}.py" for name in (*unshared, *shared)), self._object(STUB, STUB_DIGEST))
        manifest = Manifest(files, {key: pipeline.spec_digest for key, pipeline in pipelines.items()}, shared)
        if manifest.version != self.version() or self._shown != manifest:
            write_file(self.root / "manifests" / f"{manifest.version}.json", manifest.body)
            self._show(manifest, self._shown if alone else None)
            write_file(self.root / "version", manifest.version.encode())
        return manifest.version

    def materialise(self, version: str, folder: Path) -> None:
        """Build the folder of a version, whole or not at all. ``KeyError`` if there is no such version."""
        if folder.exists():
            return
        building = folder.with_name(f"{folder.name}.{os.getpid()}")
        _make(building)
        for name, digest in self.manifest(version).files.items():
            _path(building, name).write_bytes((self.root / "objects" / digest).read_bytes())
        building.rename(folder)

    def superseded(self, before: float, keep: int = KEEP) -> list[str]:
        """Versions that a newer one replaced before ``before`` (Unix seconds), but for the ``keep`` newest ones."""
        ages = sorted((path.stat().st_mtime, path.stem) for path in (self.root / "manifests").glob("*.json"))
        replaced = list(pairwise(ages))[: max(len(ages) - keep, 0)]  # the newest was replaced by none
        found = [name for (_, name), (since, _) in replaced if since < before and VERSION.fullmatch(name)]
        return [name for name in found if name != self.version()]

    def prune(self, needed: Collection[str], before: float, keep: int = KEEP) -> list[str]:
        """Remove what is superseded and not needed, and contents that no version has any more; the versions.

        Manifests go first: a version is there with all its contents, or not at all.
        """
        gone = [version for version in self.superseded(before, keep) if version not in needed]
        for version in gone:
            (self.root / "manifests" / f"{version}.json").unlink()
        if not gone:
            return []
        kept = {path.stem for path in (self.root / "manifests").glob("*.json")}
        used = {digest for version in kept for digest in self.manifest(version).files.values()}
        for path in (self.root / "objects").iterdir():
            if path.name not in used and path.stat().st_mtime < before:
                path.unlink()
        self._stored.clear()
        return gone

    def _object(self, body: bytes, digest: str = "") -> str:
        digest = digest or hashlib.sha256(body).hexdigest()
        if digest not in self._stored:
            if not (self.root / "objects" / digest).exists():
                write_file(self.root / "objects" / digest, body)
            self._stored.add(digest)
        return digest

    def _show(self, manifest: Manifest, shown: Manifest | None) -> None:
        """Bring ``current/`` to the manifest: the JSON first, then its stub, whose time makes Airflow parse it.

        Files there are not synced one by one: every process looks at all of them when it first publishes (``shown`` is
        None), or after another one has.
        """
        if shown is None:
            self._tidy(manifest)
        before = shown or Manifest({}, {})
        touched = {name for name, _ in manifest.files.items() - before.files.items()}
        for name, parts in manifest.stubs.items():
            if touched.isdisjoint((f"{name}.py", *parts)):
                continue
            changed = [part for part in parts if self._put(part, manifest.files[part])]
            if _only_left(name, before, manifest):
                continue
            if changed or not _same(self.current / f"{name}.py", STUB):
                _place(self.current / f"{name}.py", STUB)
                self._date(name)
        for name in before.files.keys() - manifest.files.keys():
            _path(self.current, name).unlink(missing_ok=True)
        self._shown = manifest

    def _tidy(self, manifest: Manifest) -> None:
        """Remove all but the manifest's files from ``current/``; Python's folder of bytecode is not ours."""
        _make(self.current)
        if not _same(self.current / IGNORE, IGNORED):
            _place(self.current / IGNORE, IGNORED)
        kept = {str(_path(self.current, name)) for name in (*manifest.files, IGNORE)}
        for folder in (self.current, self.current / PLANS):
            for path in folder.iterdir():
                if str(path) not in kept and (path.is_symlink() or not path.is_dir()):
                    path.unlink()

    def _put(self, name: str, digest: str) -> bool:
        """Make a file of ``current/`` what the digest says; whether it was another one."""
        body = (self.root / "objects" / digest).read_bytes()
        if _same(_path(self.current, name), body):
            return False
        _place(_path(self.current, name), body)
        return True

    def _date(self, name: str) -> None:
        """Airflow overlooks a change during a parse: the second of two quick changes is dated ahead of its end."""
        now, before = time.time(), self._placed.get(name, 0.0)
        self._placed[name] = now
        if now - before < PARSING:
            os.utime(self.current / f"{name}.py", (now + AHEAD, now + AHEAD))


def plans_file(stub: Path) -> Path:
    """The JSON of a stub; folders that an earlier release made have it beside the stub."""
    found = _path(stub.parent, f"{stub.stem}.json")
    return found if found.exists() else stub.with_suffix(".json")


def _path(folder: Path, name: str) -> Path:
    """Where a file of a manifest is."""
    return folder / PLANS / name if name.endswith(".json") else folder / name


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / PLANS).mkdir(exist_ok=True, mode=0o700)


def _only_left(name: str, before: Manifest, after: Manifest) -> bool:
    """Whether a shared stub only lost pipelines to stubs of their own: what it still has has been parsed."""
    left = set(before.shared.get(name, ())) - set(after.shared.get(name, ()))
    return bool(left) and all(after.specs.get(key) for key in left)


def _shared(before: Manifest, pipelines: Mapping[str, Compiled]) -> dict[str, list[str]]:
    """Which pipelines share a stub: those that did and are the same, and those of many that are new."""
    kept = {
        name: [key for key in keys if key in pipelines and before.files[f"{key}.json"] == pipelines[key].digest]
        for name, keys in before.shared.items()
    }
    new = sorted(key for key, pipeline in pipelines.items() if pipeline.valid and key not in before.specs)
    together = [new[at : at + TOGETHER] for at in range(0, len(new), TOGETHER)] if len(new) >= MANY else []
    fresh = {f"{SHARED}{hashlib.sha256(_list(keys)).hexdigest()[:16]}": keys for keys in together}
    return {name: keys for name, keys in kept.items() if keys} | fresh


def _list(keys: Sequence[str]) -> bytes:
    return json.dumps({"pipelines": keys}).encode()


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
