"""A measured figure, and the page that is written from figures."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"


@dataclass(frozen=True)
class Figure:
    """One measured value.

    Attributes:
        name: what was measured, in words.
        value: the measurement (a median where there are several runs; ``note`` says so).
        beside: the limit or the peer that the value is held against, with its source.
    """

    name: str
    value: float
    unit: str
    beside: str
    note: str = ""

    def line(self) -> str:
        """One JSON line."""
        return json.dumps({**asdict(self), "machine": machine()})


@cache
def machine() -> str:
    """Cores, memory and processor of this machine."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ""
    )
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, {memory / 2**20:.0f} GiB, {model or platform.machine()}, Python {platform.python_version()}"


def record(name: str, figures: Iterable[Figure]) -> None:
    """Keep the figures of a benchmark and write ``README.md`` anew from all that is kept."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.jsonl").write_text("".join(figure.line() + "\n" for figure in figures))
    (HERE / "README.md").write_text(page())


def page() -> str:
    """The text of ``benchmarks/README.md``."""
    parts = [(HERE / "preface.md").read_text()]
    for path in sorted(RESULTS.glob("*.jsonl")):
        if "-" in path.stem:
            continue  # what figures were made from
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        if not rows:
            continue
        parts.append(f"\n## {path.stem}\n\n`python -m benchmarks {path.stem}` on {rows[0]['machine']}\n\n")
        parts.append("| figure | value | unit | beside it | note |\n|---|---|---|---|---|\n")
        parts += [f"| {r['name']} | {r['value']:.4g} | {r['unit']} | {r['beside']} | {r['note']} |\n" for r in rows]
    return "".join(parts)


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
