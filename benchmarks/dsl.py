"""Bad input, by the ten thousand: each is refused with a coded error, or a pipeline that all parties read alike."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from benchmarks.documents import Document, examples, generated, mutations
from benchmarks.figure import Figure
from dags_generator.acceptor import proposed
from dags_generator.parse import parse_pair
from dags_generator.plan import job_plan
from dags_generator.spec import PipelineSpec
from federated_operators.gateway.plan import ProposedJob, dump_plan
from federatedml.canonical import canonical_json
from federatedml.errors import FedError

JOB_ID = "202611221651119128390"
READS = ("open", "os.listdir", "os.scandir", "import", "compile", "exec", "marshal.loads", "object.__getattr__")
LIMIT_MS = 5.0


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """Refused and accepted documents, and the time that one takes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks dsl")
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--generated", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    watch = Watch()
    for name, documents in (
        ("mutations", mutations(options.seed, options.mutations)),
        ("generated documents", generated(options.seed, options.generated)),
    ):
        yield from _figures(name, judged(documents, watch))


@dataclass
class Watch:
    """Counts what parsing does to the world: files written, folders made, processes, sockets."""

    armed: bool = False
    found: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        sys.addaudithook(self._event)

    def _event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.armed and _acts(event, arguments):
            self.found[event] += 1


def _acts(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        mode = arguments[1]
        return isinstance(mode, str) and any(letter in mode for letter in "wax+")
    return (
        event.startswith(("os.", "socket.", "subprocess.", "shutil.", "sqlite3.", "tempfile.")) and event not in READS
    )


@dataclass
class Judgement:
    """What became of documents.

    Attributes:
        wall, cpu: milliseconds for each.
        wrong: what must not be, in words.
    """

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    wrong: list[str] = field(default_factory=list)


def judged(documents: Iterable[Document], watch: Watch) -> Judgement:
    """Parse them all."""
    result = Judgement()
    for number, document in enumerate(documents):
        before = watch.found.total()
        try:
            found = _timed(document, result, watch)
        except FedError as error:
            result.codes[error.code] += 1
            found = None
        except Exception as error:  # exactly what must not be
            result.wrong.append(f"{number}: {type(error).__name__}: {error}")
            continue
        if watch.found.total() > before:
            result.wrong.append(f"{number}: it did something: {dict(watch.found)}")
        if problem := _problem(document, found):
            result.wrong.append(f"{number}: {problem}")
        result.accepted += found is not None
    return result


def _timed(document: Document, result: Judgement, watch: Watch) -> PipelineSpec:
    wall, cpu, watch.armed = time.perf_counter(), time.thread_time(), True
    try:
        return parse_pair("p", document.dsl, document.conf, "d.json", "c.json")
    finally:
        watch.armed = False
        result.cpu.append((time.thread_time() - cpu) * 1e3)
        result.wall.append((time.perf_counter() - wall) * 1e3)


def _problem(document: Document, found: PipelineSpec | None) -> str:
    if found is None:
        return "a neutral change was refused" if document.neutral else ""
    meaning = plans(found)
    if document.neutral and document.of is not None and meaning != _original(document.of):
        return "a neutral change changed the plans"
    return "" if plans(_at_a_peer(found)) == meaning else "a peer reads another pipeline"


@cache
def _original(of: int) -> tuple[bytes, ...]:
    dsl, conf = map(canonical_json, examples()[of])
    return plans(parse_pair("p", dsl, conf, "d.json", "c.json"))


def plans(spec: PipelineSpec) -> tuple[bytes, ...]:
    """The meaning of a pipeline: what every member runs."""
    return tuple(
        dump_plan(replace(job_plan(spec, member, JOB_ID, ""), dsl={}, conf={})) for member in spec.parties.members
    )


def _at_a_peer(spec: PipelineSpec) -> PipelineSpec:
    """The pipeline as the initiator proposes it and a peer reads it."""
    bodies = canonical_json(spec.graph.dsl), canonical_json(spec.conf)
    return proposed(ProposedJob(spec.parties.initiator.party, JOB_ID, spec.pipeline, *bodies))


def _figures(name: str, found: Judgement) -> Iterator[Figure]:
    for line in found.wrong[:20]:
        print(line, file=sys.stderr)
    number = len(found.wall)
    codes = f"{len(found.codes)} codes, {found.accepted} accepted as equal in meaning at all parties"
    yield Figure(
        f"{name}: refused with a code or equal in meaning",
        100 * (1 - len(found.wrong) / number),
        "%",
        "limit 100",
        codes,
    )
    cuts, cpu = (statistics.quantiles(times, n=1000) for times in (found.wall, found.cpu))
    note = f"{number} documents; in CPU time {cpu[989]:.2f} ms"
    yield Figure(f"{name}: one document, 99th percentile", cuts[989], "ms", f"limit {LIMIT_MS:g}", note)
    yield Figure(f"{name}: one document, median", cuts[499], "ms", "", f"longest {max(found.cpu):.1f} ms of CPU time")
