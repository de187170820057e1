"""The folders that hold pipelines: what is there, read without trust, compiled to what the DAGs are built from."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType

from dags_generator.parse import CONF_SUFFIX, DSL_SUFFIX, parse_installed, parse_native, parse_pair
from dags_generator.reading import MAX_BYTES, clip
from dags_generator.roleplan import dump_role_plans, role_plans
from dags_generator.spec import PIPELINE_NAME
from dags_generator.where import names
from federatedml.errors import DslError, FedError
from federatedml.federation.home import PartyHome

FILE_NAME = re.compile(rf"{PIPELINE_NAME.pattern}\.json")
INSTALLED_NAME = re.compile(rf"[0-9A-Za-z][0-9A-Za-z_.-]{{0,63}}\.{PIPELINE_NAME.pattern}\.json")
SUFFIXES = (DSL_SUFFIX, CONF_SUFFIX, ".json")
log = logging.getLogger(__name__)
State = tuple[str, int, int, int]  # name, time of change in ns, size, inode


@dataclass(frozen=True)
class Source:
    """The files of one pipeline.

    Attributes:
        key: name of the pipeline; ``INITIATOR.PIPELINE`` if another party installed it.
        folder: that they are in.
        signature: states of the files, by name; it changes whenever a file does.
    """

    key: str
    folder: Path
    signature: tuple[State, ...]
    installed: bool = False

    @property
    def files(self) -> list[Path]:
        """The files."""
        return [self.folder / name for name, *_ in self.signature]


@dataclass(frozen=True)
class Compiled:
    """What a pipeline became: ``body`` is the JSON beside its stub; ``spec_digest`` is empty if it is an error."""

    body: bytes
    spec_digest: str

    @property
    def valid(self) -> bool:
        """Whether there are DAGs, not an error."""
        return bool(self.spec_digest)

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of the body."""
        return hashlib.sha256(self.body).hexdigest()


NONE: Mapping[str, Source] = MappingProxyType({})


def scan(home: PartyHome, before: Mapping[str, Source] = NONE) -> dict[str, Source]:
    """All pipelines by key. Only the names and states of files are read; anything but ``.json`` is passed over, and
    ``.JSON`` is an error. A source that is as it was ``before`` is the same object.
    """
    dropped: dict[str, list[State]] = {}
    for entry in _entries(home.dropin):
        dropped.setdefault(_key(entry.name), []).append(_state(entry))
    folder = home.dropin
    found = {key: _source(key, folder, states, before.get(key)) for key, states in dropped.items()}
    folder = home.installed
    for entry in _entries(folder):
        if INSTALLED_NAME.fullmatch(entry.name):
            key = entry.name.removesuffix(".json")
            found[key] = _source(key, folder, [_state(entry)], before.get(key), installed=True)
    return found


def glance(home: PartyHome, key: str) -> Source:
    """What a scan finds of one pipeline that was dropped in under a name that is allowed."""
    names = (f"{key}{suffix}" for suffix in SUFFIXES)
    found = (home.dropin / name for name in names if _key(name) == key)
    return _source(key, home.dropin, [_state(path) for path in found if os.path.lexists(path)])


def compiled(source: Source, party: str) -> Compiled:
    """The DAGs that ``party`` has of this pipeline, or the error that they show instead."""
    try:
        return _compiled(source, party)
    except FedError as error:
        code, message, hint = error.code, error.message, error.hint
    except Exception as error:  # of one pipeline: the others go on
        log.exception("pipeline %s", source.key)
        code, message, hint = "FED-900", f"{source.key}: {type(error).__name__} inside airfed", "see the log"
    return Compiled(json.dumps({"error": {"code": code, "message": message, "hint": hint}}).encode(), "")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [e for e in entries if e.name.lower().endswith(".json") and not e.name.startswith(".")]
    except FileNotFoundError:
        return []


@lru_cache(maxsize=8192)
def _key(name: str) -> str:
    if not FILE_NAME.fullmatch(name):
        return f"refused_{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}"
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    raise AssertionError(name)


def _source(
    key: str, folder: Path, states: list[State], before: Source | None = None, installed: bool = False
) -> Source:
    signature = tuple(sorted(states))
    if before and before.signature == signature and before.installed == installed:
        return before
    return Source(key, folder, signature, installed)


def _state(file: os.DirEntry[str] | Path) -> State:
    try:
        found = file.stat(follow_symlinks=False)
    except FileNotFoundError:
        return file.name, 0, 0, 0
    return file.name, found.st_mtime_ns, found.st_size, found.st_ino


def _compiled(source: Source, party: str) -> Compiled:
    files = {path.name: path for path in source.files}
    if source.installed:
        return _installed(source, party)
    pair = (f"{source.key}{DSL_SUFFIX}", f"{source.key}{CONF_SUFFIX}")
    native = f"{source.key}.json"
    _complete(files, pair, native)
    if native in files:
        spec = parse_native(source.key, read(files[native]), native)
    else:
        spec = parse_pair(source.key, read(files[pair[0]]), read(files[pair[1]]), *pair)
    initiator = spec.parties.initiator
    if initiator.party != party:
        problem = f"{names(files)}: the initiator is {initiator.role} {initiator.party}, this party is {party}"
        raise DslError("FED-161", problem, f"put the pipeline into the folder of party {initiator.party}")
    return Compiled(dump_role_plans(role_plans(spec.graph, party, spec)), spec.graph.digest)


def _installed(source: Source, party: str) -> Compiled:
    path = source.files[0]
    _, _, pipeline = source.key.rpartition(".")
    graph = parse_installed(pipeline, read(path), path.name)
    return Compiled(dump_role_plans(role_plans(graph, party)), graph.digest)


def _complete(files: Mapping[str, Path], pair: tuple[str, str], native: str) -> None:
    for name in files:
        if not FILE_NAME.fullmatch(name):
            allowed = "NAME_dsl.json and NAME_conf.json, or NAME.json; a letter, then letters, digits, '_', '-'"
            raise DslError("FED-162", f"{clip(name)} is not the name of a pipeline's file", allowed)
    if native in files and len(files) > 1:
        raise DslError("FED-162", f"{names(files)} are two pipelines of one name", "rename one of them")
    missing = [name for name in pair if name not in files]
    if native not in files and missing:
        raise DslError("FED-162", f"{names(files)}: {missing[0]} is missing", "a pipeline is a pair of files")


def read(path: Path) -> bytes:
    """The bytes of a regular file of bounded size; links, pipes and devices are refused."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise DslError(
            "FED-160", f"{path.name} cannot be read: {error.strerror}", "a regular file is expected"
        ) from None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise DslError("FED-160", f"{path.name} is not a regular file")
        if found.st_size > MAX_BYTES:
            raise DslError("FED-160", f"{path.name} has {found.st_size} bytes", f"at most {MAX_BYTES}")
        with open(handle, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    finally:
        os.close(handle)
