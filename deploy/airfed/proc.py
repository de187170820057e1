"""What Linux says about the processes of a party: sessions, ages, memory, and how to end them for good."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LAUNCH = str(Path(__file__).with_name("launch.py"))
HOME_VARIABLE = "AIRFED_HOME"
MARK = "AIRFED_PROCESS_OF"  # only what a party runs has it: people set AIRFED_HOME in shells of their own
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """One line of ``/proc/PID/stat``."""

    pid: int
    session: int
    started: int  # clock ticks after boot: with the pid it names a process for as long as the machine is up
    zombie: bool


def dying_with_parent(argv: Sequence[str], sign: signal.Signals = signal.SIGKILL) -> list[str]:
    """``argv`` as a child of this process that gets ``sign`` when this process ends, however it ends."""
    return [sys.executable, "-IS", LAUNCH, str(int(sign)), str(os.getpid()), *argv]


def process(pid: int) -> Process | None:
    """The process with that id, if there is one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Process(pid, session=int(fields[3]), started=int(fields[19]), zombie=fields[0] in "ZX")


def ending() -> list[signal.Signals]:
    """The signals that ask this process to end in order; not a closed terminal where the caller ruled that out."""
    asked = [signal.SIGINT, signal.SIGTERM]
    return asked if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [*asked, signal.SIGHUP]  # nohup


def alive(pid: int, started: int) -> bool:
    """Whether that very process still runs."""
    found = process(pid)
    return found is not None and found.started == started and not found.zombie


def members(session: int, home: Path) -> list[Process]:
    """All live processes of a session that belong to the party with that home (a number may be used again)."""
    return [p for p in _all() if p.session == session and not p.zombie and _home_of(p.pid) == str(home)]


def of_home(home: Path) -> list[Process]:
    """All live processes that were started for the party with that home."""
    return [p for p in _all() if not p.zombie and _home_of(p.pid) == str(home)]


def kill_session(session: int, home: Path, patience: float = 5.0) -> None:
    """End every process of a session; task processes have groups of their own, so a group is not enough."""
    deadline = time.monotonic() + patience
    while (found := members(session, home)) and time.monotonic() < deadline:
        for each in found:
            send(each.pid, signal.SIGKILL)
        time.sleep(0.02)


def send(pid: int, sign: signal.Signals) -> None:
    """Signal a process that may be gone already."""
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        return


def age(started: int) -> float:
    """Seconds since a process was started."""
    return max(0.0, float(Path("/proc/uptime").read_text().split()[0]) - started / TICKS)


def memory(processes: Sequence[Process]) -> int:
    """Proportional set size in bytes: shared pages count once over all that share them."""
    return sum(_pss(each.pid) for each in processes)


def environment(home: Path, more: Mapping[str, str], host: str = "127.0.0.1") -> dict[str, str]:
    """Environment of a party's process: the caller's, less what would configure another Airflow or MLflow.

    Args:
        host: address that the party's processes bind; no proxy is asked for it, nor for this machine's loopback.
    """
    foreign = ("AIRFLOW", "MLFLOW", "AIRFED_", "_MLFLOW", "_AIRFLOW", "PYTHONWARNINGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    own = {HOME_VARIABLE: str(home), MARK: str(home), "TMPDIR": str(home / "run" / "tmp"), "PYTHONUTF8": "1"}
    # Airflow rewrites its processes' titles; without SPT_NOENV that would overwrite the environment seen in /proc.
    return {**_past_proxies(kept, host), **more, **own, "SPT_NOENV": "1"}


def _past_proxies(variables: Mapping[str, str], host: str) -> dict[str, str]:
    """Proxy settings under which Airflow's tasks and gRPC still reach what listens on this machine.

    Proxies by SOCKS are left out: with one in the environment httpx, by which tasks talk to Airflow, does not start.
    """
    socks = {name for name, value in variables.items() if name.lower().endswith("_proxy") and value.startswith("socks")}
    direct = [*dict.fromkeys(("127.0.0.1", "localhost", host))]
    said = variables.get("no_proxy", variables.get("NO_PROXY", ""))
    found = {name: value for name, value in variables.items() if name not in socks}
    everything = said.strip() == "*"  # which counts only alone, and for all but gRPC
    found |= dict.fromkeys(("no_proxy", "NO_PROXY"), said if everything else ",".join(filter(None, [said, *direct])))
    if everything or variables.get("no_grpc_proxy"):  # gRPC then does not look at the others
        found["no_grpc_proxy"] = ",".join(filter(None, [variables.get("no_grpc_proxy"), *direct]))
    return found


def _all() -> Iterator[Process]:
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (found := process(int(entry))) is not None:
            yield found


def _home_of(pid: int) -> str | None:
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # gone, or another user's
        return None
    prefix = f"{MARK}=".encode()
    return next((os.fsdecode(e.removeprefix(prefix)) for e in entries if e.startswith(prefix)), None)


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
