"""Many jobs at once: how long all take, in which order they start, who waits for what.

Twenty chains of four are submitted together; before them one job whose host does not come, which may delay no other.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path

from airfed.demo_parties import PARTIES
from benchmarks import chains
from benchmarks.figure import Figure
from benchmarks.three import Pipeline, Three, bare
from benchmarks.timeline import Entry, entries
from federated_operators.gateway.policy import load_policy

JOBS = 20
LENGTH = 4
LIMIT_S = 600.0
POLL = 0.2
_TAKEN = re.compile(r"\S+ ([0-9]+) of ([0-9]+)")


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """With and without the job that waits."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks queue")
    parser.add_argument("--base-port", type=int, default=9300)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="airfed-") as folder, bare(Path(folder), options.base_port) as parties:
        pipeline = _known(parties, "many")
        alone = yield from _together(parties, pipeline, "")
        waits = _known(parties, "waits")
        job_id = _without_host(waits)
        beside = yield from _together(parties, pipeline, ", beside one that waits for its host")
        state = waits.states(job_id)["guest"]
        yield Figure("the one that waits has run on meanwhile", float(state != "running"), "", "must be 0", state)
        yield Figure("time of all beside it over time without it", beside / alone, "", "about 1")
        waits.pause("host", False)
        ended = waits.ends(job_id, LIMIT_S)
        yield Figure("it succeeds when its host comes", float(set(ended.values()) == {"success"}), "", "must be 1")
        for each in (pipeline, waits):
            each.close()


def _known(parties: Three, name: str) -> Pipeline:
    """A pipeline that all parties have run once."""
    pipeline = parties.pipeline(name, chains.dsl(LENGTH), chains.conf(LENGTH))
    pipeline.drop()
    pipeline.job()
    return pipeline


def _without_host(pipeline: Pipeline) -> str:
    """A job that all parties agreed to, and whose host's tasks are not started."""
    job_id = pipeline.submit()
    deadline = time.monotonic() + 60.0
    while pipeline.states(job_id)["host"] == "not there" and time.monotonic() < deadline:
        time.sleep(0.01)
    pipeline.pause("host", True)
    return job_id


def _together(parties: Three, pipeline: Pipeline, note: str) -> Generator[Figure, None, float]:
    """Submit all, wait for all; seconds from the first submit to the last success, returned too."""
    begun = time.perf_counter()
    jobs = [pipeline.submit() for _ in range(JOBS)]
    submitted = time.perf_counter() - begun
    ends = {job_id: pipeline.ends(job_id, LIMIT_S) for job_id in jobs}
    took = time.perf_counter() - begun
    bad = [job_id for job_id, states in ends.items() if set(states.values()) != {"success"}]
    text = f"submitted within {submitted:.1f} s{note}"
    yield Figure(f"{JOBS} chains of {LENGTH} at once, to success of all", took, "s", "limit 150", text)
    yield Figure("of them not successful", len(bad), "jobs", "must be 0", note.removeprefix(", "))
    records = {name: {job: entries(parties.homes[name].gateway_db, job) for job in jobs} for name in PARTIES}
    ahead = _ahead(records["guest"], jobs)
    beside = "below 6, the tasks at a time"
    yield Figure("jobs at most that one overtook at its start", ahead, "jobs", beside, note.removeprefix(", "))
    for name, home in parties.homes.items():
        most, limit = _slots(records[name]), load_policy(home.policy).slots
        yield Figure(f"slots of {name} that were taken at most", most, "", f"limit {limit}", note.removeprefix(", "))
    return took


def _ahead(records: Mapping[str, Sequence[Entry]], jobs: Sequence[str]) -> int:
    """The most jobs, submitted earlier, whose first step had not begun when that of another job did."""
    first = [min((e.monotonic for e in records[job] if e.event == "start"), default=float("inf")) for job in jobs]
    return max(sum(earlier > begin for earlier in first[:at]) for at, begin in enumerate(first))


def _slots(records: Mapping[str, Sequence[Entry]]) -> int:
    """The most slots that were taken at a time, as the party's gateway counted them when it gave one."""
    found = [_TAKEN.fullmatch(e.reason) for record in records.values() for e in record if e.event == "slot taken"]
    return max((int(match[1]) for match in found if match), default=0)
