"""Versions of the bundle: unchanged files stay, old versions can be had again."""

from __future__ import annotations

import json
import os
from fnmatch import fnmatch
from pathlib import Path

import pytest

from dags_generator.dropin import Compiled
from dags_generator.store import AHEAD, IGNORE, IGNORED, MANY, PARSING, PLANS, STUB, TOGETHER, BundleStore, plans_file

A, B, CHANGED = Compiled(b"[1]", "aa"), Compiled(b"[2]", "bb"), Compiled(b"[3]", "cc")


@pytest.fixture
def store(tmp_path: Path) -> BundleStore:
    return BundleStore(tmp_path / "bundle")


def shown(folder: Path) -> dict[str, Path]:
    """The stubs and their JSON."""
    assert {path.name for path in folder.iterdir() if path.suffix != ".py"} <= {PLANS, IGNORE, "__pycache__"}
    return {path.name: path for path in (*folder.glob("*.py"), *(folder / PLANS).iterdir())}


def state(store: BundleStore) -> dict[str, tuple[int, int]]:
    return {name: (path.stat().st_ino, path.stat().st_mtime_ns) for name, path in shown(store.current).items()}


def test_the_stub_is_what_airflow_s_discovery_looks_for() -> None:
    assert b"airflow" in STUB
    assert b"dag" in STUB
    assert len(STUB.splitlines()) == 3


def test_a_pipeline_is_a_stub_and_its_json(store: BundleStore) -> None:
    version = store.publish({"a": A, "9.b": B})
    assert version == store.version()
    assert {name: path.read_bytes() for name, path in shown(store.current).items()} == {
        "a.py": STUB, "a.json": b"[1]", "9.b.py": STUB, "9.b.json": b"[2]"
    }  # fmt: skip
    assert store.manifest().specs == {"a": "aa", "9.b": "bb"}
    assert store.pipelines() == {"a": A, "9.b": B}


def test_only_what_changed_is_replaced(store: BundleStore) -> None:
    store.publish({"a": A, "b": B})
    before = state(store)
    store.publish({"a": A, "b": CHANGED})
    changed = {name for name, found in state(store).items() if found != before[name]}
    assert changed == {"b.json", "b.py"}, "the stub too: Airflow parses what has a new time"


def test_nothing_is_written_when_nothing_changed(store: BundleStore) -> None:
    version = store.publish({"a": A})
    before = state(store), (store.root / "version").stat()
    assert store.publish({"a": A}) == version
    assert (state(store), (store.root / "version").stat()) == before


def test_bytecode_of_stubs_is_left_alone(store: BundleStore) -> None:
    """Airflow imports stubs, and Python keeps their bytecode beside them unless it is told not to."""
    store.publish({"a": A})
    (store.current / "__pycache__").mkdir()
    (store.current / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"code")
    (store.current / PLANS / "left.json").write_bytes(b"[]")
    store = BundleStore(store.root)
    store.publish({"a": CHANGED})
    assert shown(store.current).keys() == {"a.py", "a.json"}
    assert (store.current / "__pycache__" / "a.cpython-311.pyc").exists()


def test_a_pipeline_that_is_gone_leaves_the_current_folder(store: BundleStore) -> None:
    store.publish({"a": A, "b": B})
    store.publish({"a": A})
    assert shown(store.current).keys() == {"a.py", "a.json"}


def test_an_old_version_can_be_built_again(store: BundleStore, tmp_path: Path) -> None:
    first = store.publish({"a": A})
    store.publish({"a": CHANGED})
    for _ in range(2):
        store.materialise(first, tmp_path / "versions" / first)
    assert plans_file(tmp_path / "versions" / first / "a.py").read_bytes() == b"[1]"
    assert plans_file(store.current / "a.py").read_bytes() == b"[3]"


@pytest.mark.parametrize("version", ["0" * 32, "", "../version", "x"])
def test_a_version_that_never_was_is_an_error(store: BundleStore, tmp_path: Path, version: str) -> None:
    store.publish({"a": A})
    if version:
        with pytest.raises(KeyError):
            store.materialise(version, tmp_path / "versions" / "x")
        assert not (tmp_path / "versions" / "x").exists()


def as_an_earlier_release_made_it(folder: Path) -> None:
    """The JSON beside the stubs."""
    for path in (folder / PLANS).iterdir():
        path.rename(folder / path.name)
    (folder / PLANS).rmdir()
    (folder / IGNORE).unlink(missing_ok=True)


def test_folders_that_an_earlier_release_made_are_read_and_the_current_one_is_made_anew(
    store: BundleStore, tmp_path: Path
) -> None:
    version = store.publish({"a": A, "9.b": B})
    old = tmp_path / "versions" / version
    store.materialise(version, old)
    for folder in (old, store.current):
        as_an_earlier_release_made_it(folder)
    store.materialise(version, old)
    assert plans_file(old / "9.b.py") == old / "9.b.json"
    assert plans_file(old / "9.b.py").read_bytes() == b"[2]"

    upgraded = BundleStore(store.root)
    assert upgraded.publish({"a": A, "9.b": B}) == version
    assert shown(store.current).keys() == {"a.py", "a.json", "9.b.py", "9.b.json"}
    assert plans_file(store.current / "9.b.py") == store.current / PLANS / "9.b.json"
    upgraded.materialise(version, tmp_path / "again")
    assert shown(tmp_path / "again").keys() == shown(store.current).keys()


def test_the_json_is_where_airflow_does_not_walk(store: BundleStore) -> None:
    store.publish({"a": A})
    assert (store.current / IGNORE).read_bytes() == IGNORED == b"__*__/\n"
    assert fnmatch(f"{PLANS}/", "__*__/")


def test_equal_contents_are_equal_versions(store: BundleStore, tmp_path: Path) -> None:
    other = BundleStore(tmp_path / "other")
    assert store.publish({"a": A, "b": B}) == other.publish({"b": B, "a": A})
    first = store.version()
    store.publish({"a": A})
    assert store.publish({"a": A, "b": B}) == first


def test_what_a_crash_left_behind_is_made_good(store: BundleStore) -> None:
    store.publish({"a": A})
    (store.current / PLANS / ".a.json.tmp").write_bytes(b"half")
    (store.current / ".a.py.tmp").write_bytes(b"half")
    (store.current / "b.py").write_bytes(STUB)
    (store.current / PLANS / "a.json").write_bytes(b"")
    BundleStore(store.root).publish({"a": A})
    assert {name: path.read_bytes() for name, path in shown(store.current).items()} == {"a.py": STUB, "a.json": b"[1]"}


def test_the_second_of_two_quick_changes_is_dated_ahead_of_the_parse_that_may_be_running(
    store: BundleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 4_000_000_000.0
    monkeypatch.setattr("dags_generator.store.time.time", lambda: now)

    def ahead(pipeline: Compiled) -> bool:
        store.publish({"a": pipeline})
        return (store.current / "a.py").stat().st_mtime == now + AHEAD

    assert not ahead(A)
    assert ahead(CHANGED)
    now += PARSING
    assert not ahead(A)


def test_a_version_holds_what_was_published_with_it(store: BundleStore) -> None:
    def pipeline(spec: str, conf: int, doc: str = "", **schedule: object) -> Compiled:
        plans = [{"start": {"conf": conf, **schedule}, "doc_md": doc}, {"start": None}]
        return Compiled(json.dumps(plans).encode(), spec)

    broken = Compiled(b'{"error": {}}', "")
    old = store.publish({"a": pipeline("aa", 1), "broken": broken})
    new = store.publish({"a": pipeline("aa", 2), "b": pipeline("bb", 1)})
    assert store.holds(old, "a", pipeline("aa", 1))
    assert store.holds(new, "a", pipeline("aa", 2))
    assert store.holds(new, "a", pipeline("aa", 2, "said in other words"))
    assert store.holds(new, "a", pipeline("aa", 2, schedule=None)), "a release before schedules wrote none"
    assert not store.holds(new, "a", pipeline("aa", 2, schedule={"uris": ["stock"]}))
    assert not store.holds(new, "a", pipeline("aa", 1))
    assert not store.holds(new, "a", pipeline("bb", 2))
    assert not store.holds(old, "b", pipeline("bb", 1))
    assert not store.holds(old, "broken", broken)
    assert not store.holds("", "a", pipeline("aa", 2))
    assert not store.holds("../../x", "a", pipeline("aa", 2))


def many(count: int, first: int = 0) -> dict[str, Compiled]:
    return {f"p{number:03}": Compiled(f"[{number}]".encode(), f"{number:02x}") for number in range(first, count)}


def stubs(store: BundleStore) -> set[str]:
    return {path.stem for path in store.current.glob("*.py")}


def test_many_new_pipelines_share_stubs(store: BundleStore) -> None:
    store.publish({"a": A})
    store.publish({"a": A, **many(MANY)})
    shared = store.manifest().shared
    assert [len(keys) for keys in shared.values()] == [TOGETHER, MANY - TOGETHER]
    assert stubs(store) == {"a", *shared}
    for name, keys in shared.items():
        assert json.loads(plans_file(store.current / f"{name}.py").read_bytes()) == {"pipelines": keys}
    assert store.pipelines() == {"a": A, **many(MANY)}


def test_fewer_new_pipelines_have_a_stub_each(store: BundleStore) -> None:
    store.publish(many(MANY - 1))
    store.publish(many(2 * MANY - 2))
    assert stubs(store) == set(many(2 * MANY - 2))


def test_a_pipeline_that_is_not_valid_shares_no_stub(store: BundleStore) -> None:
    broken = Compiled(b'{"error": {}}', "")
    store.publish({**many(MANY), "p000": broken, "q": A})
    assert "p000" in stubs(store)
    assert "p001" not in stubs(store)


def test_a_pipeline_that_changes_leaves_the_stub_that_it_shared(store: BundleStore) -> None:
    store.publish(many(MANY))
    before, (first, second) = state(store), sorted(store.manifest().shared, key=store.manifest().shared.__getitem__)
    version = store.publish({**many(MANY), "p001": CHANGED})
    assert stubs(store) == {"p001", first, second}
    assert "p001" not in store.manifest().shared[first]
    changed = {name for name, found in state(store).items() if found != before.get(name)}
    assert changed == {"p001.py", "p001.json", f"{first}.json"}, "what it still has needs no parsing"
    assert BundleStore(store.root).publish(store.pipelines()) == version


@pytest.mark.parametrize("now", [None, Compiled(b'{"error": {}}', "")])
def test_a_shared_stub_is_parsed_again_when_it_has_a_dag_less(store: BundleStore, now: Compiled | None) -> None:
    store.publish(many(MANY))
    first = min(store.manifest().shared, key=store.manifest().shared.__getitem__)
    before = state(store)[f"{first}.py"]
    rest = {key: pipeline for key, pipeline in many(MANY).items() if key != "p001"}
    store.publish(rest | ({"p001": now} if now else {}))
    assert state(store)[f"{first}.py"] != before


def test_a_shared_stub_that_another_process_left_is_parsed_again(store: BundleStore) -> None:
    store.publish(many(MANY))
    first = min(store.manifest().shared, key=store.manifest().shared.__getitem__)
    before = state(store)[f"{first}.py"]
    BundleStore(store.root).publish({**many(MANY), "p001": CHANGED})
    assert state(store)[f"{first}.py"] != before


def test_a_shared_stub_goes_with_its_last_pipeline(store: BundleStore) -> None:
    store.publish(many(MANY))
    store.publish(many(MANY, first=TOGETHER))
    assert len(store.manifest().shared) == 1
    store.publish({"a": A})
    assert shown(store.current).keys() == {"a.py", "a.json"}


def test_shared_stubs_are_built_again_with_their_version(store: BundleStore, tmp_path: Path) -> None:
    version = store.publish(many(MANY))
    before = shown(store.current).keys()
    store.publish({"a": A})
    store.materialise(version, tmp_path / "versions" / version)
    assert shown(tmp_path / "versions" / version).keys() == before


def versions(store: BundleStore, count: int) -> list[str]:
    """Version i was published at 1000 + i, its own object too."""
    found = []
    for i in range(count):
        body = Compiled(b"[%d]" % (100 + i), f"{i:02x}")
        found.append(store.publish({"a": A, "b": body}))
        for path in (store.root / "manifests" / f"{found[-1]}.json", store.root / "objects" / body.digest):
            os.utime(path, (1000 + i, 1000 + i))
    return found


def manifests(store: BundleStore) -> set[str]:
    return {path.stem for path in (store.root / "manifests").iterdir()}


def whole(store: BundleStore, version: str, folder: Path) -> bool:
    store.materialise(version, folder / version)
    return shown(folder / version).keys() == {"a.py", "a.json", "b.py", "b.json"}


def test_old_versions_that_nobody_needs_are_removed_with_what_only_they_had(store: BundleStore, tmp_path: Path) -> None:
    found = versions(store, 10)
    assert store.superseded(1006, keep=2) == found[:5], "the sixth was current until then"
    assert store.prune({found[1]}, 1006, keep=2) == [found[0], *found[2:5]]
    kept = [found[1], *found[5:]]
    assert manifests(store) == set(kept)
    assert all(whole(store, version, tmp_path / "versions") for version in kept)
    objects = {path.name for path in (store.root / "objects").iterdir()}
    assert objects == {digest for version in kept for digest in store.manifest(version).files.values()}
    with pytest.raises(KeyError):
        store.materialise(found[0], tmp_path / "versions" / found[0])
    assert store.prune({found[1]}, 1006, keep=2) == []


def test_the_newest_stay_however_old_they_are(store: BundleStore) -> None:
    found = versions(store, 5)
    assert store.superseded(9e9) == []
    assert store.prune((), 9e9, keep=3) == found[:2]
    assert store.prune((), 9e9, keep=0) == found[2:4]
    assert manifests(store) == {store.version()} == {found[4]}


def test_the_current_version_stays_though_it_was_written_first(store: BundleStore) -> None:
    found = versions(store, 4)
    store.publish({"a": A, "b": Compiled(b"[100]", "00")})
    assert store.version() == found[0]
    os.utime(store.root / "manifests" / f"{found[0]}.json", (1, 1))
    assert found[0] not in store.prune((), 9e9, keep=0)
    assert store.manifest().specs == {"a": "aa", "b": "00"}


def test_what_was_removed_can_be_published_again(store: BundleStore, tmp_path: Path) -> None:
    other = BundleStore(store.root)
    first = versions(store, 3)[0]
    other.publish({"b": B})
    other.prune((), 9e9, keep=0)
    for each in (store, other):
        assert each.publish({"a": A, "b": Compiled(b"[100]", "00")}) == first
        assert whole(each, first, tmp_path / f"{id(each)}")
        each.publish({"a": A})
        each.prune((), 9e9, keep=0)


def test_contents_that_are_newer_than_the_limit_stay(store: BundleStore) -> None:
    versions(store, 3)
    (store.root / "objects" / "being_written").write_bytes(b"")
    assert len(store.prune((), 1003, keep=1)) == 2
    assert (store.root / "objects" / "being_written").exists()
