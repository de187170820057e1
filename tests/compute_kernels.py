"""Kernels that tests run on every engine: workers find them by name."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from federatedml.compute.names import lock_free
from federatedml.errors import DataError


def scaled(part: Any, factor: int = 2) -> Any:
    return part * factor


@lock_free
def running_sum(part: Any) -> Any:
    return np.cumsum(part)


def plus(part: Any, number: int) -> Any:
    return part + number


def process(part: Any) -> int:
    return os.getpid()


def owner(part: Any) -> tuple[int, Any]:
    return os.getpid(), part


def who_holds(part: tuple[int, Any]) -> tuple[int, int, Any]:
    return part[0], os.getpid(), part[1]


def refused(part: int) -> int:
    if part % 2:
        raise DataError("FED-299", f"part {part} is odd", "made for a test")
    return part


def broken(part: int) -> int:
    return [1, 2, 3][part + 10]


def unsendable(part: int) -> Any:
    return lambda: part


def dies(part: Path) -> None:
    part.touch()
    os.kill(os.getpid(), signal.SIGKILL)


def sleeps(part: float) -> None:
    time.sleep(part)


def waits(part: Path) -> None:
    part.touch()
    time.sleep(600)


def modules(part: str) -> bool:
    return part in sys.modules


def loaded_once(part: Path) -> Path:
    with part.open("a") as file:
        file.write("x")
    return part


def times_loaded(part: Path) -> int:
    return len(part.read_text())


class Held:
    """A part that says how many of its kind there are in this process."""

    alive = 0

    def __init__(self) -> None:
        Held.alive += 1

    def __del__(self) -> None:
        Held.alive -= 1


def new_held(part: int) -> Held:
    return Held()


def held_here(part: int) -> int:
    return Held.alive
