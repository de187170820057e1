"""Models on disk: whole, verified, and only those that are needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from federated_operators.registry.cache import Binding, ModelCache
from federatedml.errors import ModelError
from federatedml.model_bundle import manifest_digest
from tests.members import GUEST, HOST
from tests.model_halves import bundle

FILES = bundle(GUEST, "1").files()
DIGEST = manifest_digest(FILES)


def binding(digest: str = DIGEST, job: str = "1") -> Binding:
    return Binding("guest#9999#a#breast", "product", 1, job, digest, 5)


def test_what_was_put_comes_back_and_nothing_else_lies_around(tmp_path: Path) -> None:
    cache = ModelCache(tmp_path / "serving")
    assert cache.get(DIGEST) is None
    cache.put(DIGEST, FILES)
    cache.put(DIGEST, FILES)
    assert cache.get(DIGEST) == FILES
    assert [path.name for path in cache.models.iterdir()] == [DIGEST]
    assert cache.models.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("path", sorted(FILES))
def test_a_damaged_copy_is_dropped(tmp_path: Path, path: str) -> None:
    cache = ModelCache(tmp_path)
    cache.put(DIGEST, FILES)
    (cache.models / DIGEST / path).write_bytes(FILES[path] + b"x")
    assert cache.get(DIGEST) is None
    cache.put(DIGEST, FILES)
    assert cache.get(DIGEST) == FILES


@pytest.mark.parametrize("digest", ["..", "", "a/b", DIGEST.upper(), DIGEST + "0", "../" + DIGEST], ids=range(6))
def test_a_digest_is_not_a_path(tmp_path: Path, digest: str) -> None:
    with pytest.raises(ModelError, match="FED-604"):
        ModelCache(tmp_path).get(digest)


def test_only_models_that_an_alias_needs_are_kept(tmp_path: Path) -> None:
    cache = ModelCache(tmp_path)
    files = bundle(HOST, "2").files()
    for one in (FILES, files):
        cache.put(manifest_digest(one), one)
    cache.remember([binding()])
    assert ModelCache(tmp_path).remembered() == [binding()]
    assert cache.get(DIGEST) == FILES
    assert cache.get(manifest_digest(files)) is None


def test_models_that_were_not_used_for_long_are_dropped(tmp_path: Path) -> None:
    cache = ModelCache(tmp_path)
    found = [bundle(GUEST, str(job)).files() for job in range(4)]
    digests = [manifest_digest(files) for files in found]
    for age, (digest, files) in enumerate(zip(digests, found, strict=True)):
        cache.put(digest, files)
        os.utime(cache.models / digest, (1000 - age, 1000 - age))
    cache.keep(digests[3], 2)
    assert {path.name for path in cache.models.iterdir()} == {digests[3], digests[0]}
    cache.keep(digests[1], 1)  # another process dropped it meanwhile
    assert cache.get(digests[3]) == found[3]


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'[{"name": 1}]', b"\xff"])
def test_bindings_that_cannot_be_read_are_none(tmp_path: Path, body: bytes) -> None:
    cache = ModelCache(tmp_path)
    assert cache.remembered() == []
    (tmp_path / "bindings.json").write_bytes(body)
    assert cache.remembered() == []
