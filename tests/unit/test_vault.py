"""The vault: what is kept comes back until it expires, for the party only."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from federatedml.federation import vault
from federatedml.federation.vault import FolderVault, Forgetful

NAME, OTHER = "0a" * 32, "0b" * 32
FAR = 4_000_000_000


@pytest.mark.parametrize("kept", [Forgetful, None], ids=["memory", "folder"])
def test_what_is_put_comes_back(tmp_path: Path, kept: type[Forgetful] | None) -> None:
    one = Forgetful() if kept else FolderVault(tmp_path / "vault")
    assert one.get(NAME) is None
    one.put(NAME, b"first", FAR)
    one.put(NAME, b"second", FAR - 1)
    one.put(OTHER, b"", FAR)
    assert (one.get(NAME), one.get(OTHER)) == (b"second", b"")


def test_it_outlives_the_process(tmp_path: Path) -> None:
    FolderVault(tmp_path / "vault").put(NAME, b"secret", FAR)
    assert FolderVault(tmp_path / "vault").get(NAME) == b"secret"


def test_what_has_expired_is_gone_from_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr(vault.time, "time", lambda: now)
    one = FolderVault(tmp_path / "vault")
    one.put(NAME, b"secret", int(now) + 60)
    one.put(OTHER, b"longer", int(now) + 600)
    now += 61
    assert one.get(OTHER) == b"longer"
    assert not (tmp_path / "vault" / NAME).exists()
    assert one.get(NAME) is None


def test_files_are_the_partys_own(tmp_path: Path) -> None:
    FolderVault(tmp_path / "vault").put(NAME, b"secret", FAR)
    assert (tmp_path / "vault").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "vault" / NAME).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["", "../" + NAME, NAME.upper(), NAME + "0", "lock"])
def test_other_names_are_refused(tmp_path: Path, name: str) -> None:
    one = FolderVault(tmp_path / "vault")
    with pytest.raises(ValueError, match="not a hex"):
        one.put(name, b"", FAR)
    with pytest.raises(ValueError, match="not a hex"):
        one.get(name)


def test_several_at_once_leave_one_whole_body(tmp_path: Path) -> None:
    bodies = [bytes([i]) * 50_000 for i in range(6)]
    threads = [threading.Thread(target=FolderVault(tmp_path / "vault").put, args=(NAME, body, FAR)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert FolderVault(tmp_path / "vault").get(NAME) in bodies
    assert sorted(path.name for path in (tmp_path / "vault").iterdir()) == [NAME, "lock"]
