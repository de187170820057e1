"""What a party keeps for itself from one job to the next: keys of an epoch, lists that are dear to compute."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from federatedml.data.durable import written

NAME = re.compile(r"[0-9a-f]{64}")
STAMP = 8


class Vault(Protocol):
    """Bytes by name, until they expire. Two jobs at once may both put: the later one stays."""

    def get(self, name: str) -> bytes | None:
        """What was put under a hex SHA-256, if it has not expired."""
        ...

    def put(self, name: str, body: bytes, expires: int) -> None:
        """Keep ``body`` until ``expires`` (seconds since 1970), instead of what had the name."""
        ...


@dataclass
class Forgetful:
    """Keeps for one step only: simulation, tests."""

    kept: dict[str, bytes] = field(default_factory=dict)

    def get(self, name: str) -> bytes | None:
        """See ``Vault``."""
        return self.kept.get(name)

    def put(self, name: str, body: bytes, expires: int) -> None:
        """See ``Vault``."""
        self.kept[name] = body


@dataclass(frozen=True)
class FolderVault:
    """A file each, for its owner only: when it expires (8 bytes), and the body. What has expired goes at any use."""

    folder: Path

    def get(self, name: str) -> bytes | None:
        """See ``Vault``."""
        with self._alone(), suppress(FileNotFoundError):
            return self._path(name).read_bytes()[STAMP:]
        return None

    def put(self, name: str, body: bytes, expires: int) -> None:
        """See ``Vault``."""
        with self._alone(), written(self._path(name)) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(expires.to_bytes(STAMP, "big") + body)

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name[:80]!r} is not a hex SHA-256")
        return self.folder / name

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process of the party is here, and nothing that has expired."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for path in self.folder.iterdir():
                if NAME.fullmatch(path.name) and _expires(path) <= time.time():
                    path.unlink()
            yield


def _expires(path: Path) -> int:
    with path.open("rb") as file:
        return int.from_bytes(file.read(STAMP), "big")
