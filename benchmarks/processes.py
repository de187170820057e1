"""What processes use while something is measured: CPU seconds and peak memory, from Linux' ``/proc``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Usage:
    """Of several processes, by the names that they were given.

    Attributes:
        wall: seconds.
        cpu: name -> CPU seconds, of user and kernel.
        peak: name -> largest resident set meanwhile, bytes.
    """

    wall: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    peak: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """CPU seconds of all."""
        return sum(self.cpu.values())

    @staticmethod
    @contextmanager
    def of(**processes: int | None) -> Iterator[Usage]:
        """Measure these process ids (None: this process) for as long as the context lasts."""
        pids = {name: pid or os.getpid() for name, pid in processes.items()}
        found = Usage()
        for pid in pids.values():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak counts from here
        before, start = _cpu(pids), time.perf_counter()
        yield found
        found.wall = time.perf_counter() - start
        after = _cpu(pids)
        found.cpu = {name: after[name] - before[name] for name in pids}
        found.peak = {name: _peak(pid) for name, pid in pids.items()}


def _cpu(pids: Mapping[str, int]) -> dict[str, float]:
    return {name: _ticks(pid) / _TICK for name, pid in pids.items()}


def _ticks(pid: int) -> int:
    """User and system time: fields 14 and 15, counted from behind the name, which may hold anything."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
