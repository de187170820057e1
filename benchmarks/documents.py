"""Documents that people might write by mistake or in malice: mutations of valid pipelines, and generated ones.

All from one seed. A mutation that is *neutral* leaves the meaning as it is.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

EXAMPLES = Path(__file__).parents[1] / "examples"
HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 0.5, 1e308, 2**53, 10**400, "", " ", "{{ 1 }}", "../..", "a\0b", "\x1b[2J", "x" * 300,
    "args", "pipeline.a.b", "args.train_data", "dataio_0.train", "hetero_lr_0", "HeteroLR", "Reader", "\ud800",
    [], {}, [[]], [{}], {"": None}, {"data": {}}, [None] * 50,
)  # fmt: skip
WORDS = (
    "components", "module", "input", "output", "data", "model", "isometric_model", "train_data", "eval_data",
    "need_deploy", "trigger_rule", "all_done", "one_success", "role", "initiator", "party_id", "guest", "host",
    "arbiter", "job_parameters", "timeout", "auto_retries", "role_parameters", "algorithm_parameters", "args",
    "component_parameters", "common", "all", "0", "0|1", "reader_0", "table", "name", "namespace", "dsl_version",
    "specified_task_run", "max_iter", "intersection_0", "evaluation_0", "9999", "cache", "provider", "schedule",
)  # fmt: skip
TOKENS = (b"{", b"}", b"[", b"]", b'"', b",", b":", b"NaN", b"1e999", b"\\ud800")
MODULES = ("DataIO", "Intersection", "HeteroLR", "Evaluation", "DataIO", "Intersection", "Reader", "HomoLR", "Pipeline")


@dataclass(frozen=True)
class Document:
    """A pair of files. ``of`` is the example that it was made from; ``neutral``: it must mean the same."""

    dsl: bytes
    conf: bytes
    of: int | None = None
    neutral: bool = False


def examples() -> list[tuple[Any, Any]]:
    """Valid pairs of DSL and conf: v1, v2, and a v1 with two hosts and all that a job can say."""
    pairs = [_pair("hetero_lr"), _pair("hetero_lr_v2")]
    dsl, conf = copy.deepcopy(pairs[0])
    conf["role"]["host"] = [10000, "10002"]
    for values in conf["role_parameters"]["host"].values():
        _twice(values)
    conf["job_parameters"] |= {"timeout": 3600, "task_timeout": {"dataio_0": 60}, "auto_retries": 1}
    for name in ("hetero_lr_0", "evaluation_0"):  # which are of one host
        del dsl["components"][name]
        conf["algorithm_parameters"].pop(name, None)
    dsl["components"]["dataio_1"] = {
        "module": "DataIO",
        "input": {"data": {"data": ["args.train_data"]}, "model": ["dataio_0.dataio"]},
        "output": {"data": ["train"]},
        "trigger_rule": "all_done",
    }
    return [*pairs, (dsl, conf)]


def mutations(seed: int, number: int) -> Iterator[Document]:
    """Mutated examples."""
    rng, pairs = Random(seed), examples()
    for _ in range(number):
        of = rng.randrange(len(pairs))
        yield mutation(rng, pairs[of], of)


def mutation(rng: Random, pair: tuple[Any, Any], of: int) -> Document:
    """One of three kinds: neutral, of the structure, of the bytes."""
    dsl, conf = copy.deepcopy(pair)
    kind = rng.random()
    if kind < 0.2:
        return Document(*(_rewritten(rng, value) for value in (dsl, conf)), of, neutral=True)
    value = {"dsl": dsl, "conf": conf}
    if kind < 0.6:
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            _change(rng, value)
        return Document(_text(value.get("dsl")), _text(value.get("conf")), of)
    bodies = [_text(dsl), _text(conf)]
    place = rng.randrange(2)
    for _ in range(rng.choice((1, 1, 2, 5))):
        bodies[place] = _damaged(rng, bodies[place], bodies[1 - place])
    return Document(*bodies, of)


def generated(seed: int, number: int) -> Iterator[Document]:
    """Pipelines of up to 40 components and 5 parties, most of them wrong somewhere."""
    rng = Random(seed)
    for _ in range(number):
        yield _generated(rng) if rng.random() < 0.9 else Document(_text(_value(rng, 4)), _text(_value(rng, 4)))


def _pair(name: str) -> tuple[Any, Any]:
    folder = EXAMPLES / name
    dsl, conf = (json.loads((folder / f"{name}_{part}.json").read_text()) for part in ("dsl", "conf"))
    return dsl, conf


def _twice(values: dict[str, Any]) -> None:
    for key, value in values.items():
        values[key] = value * 2 if isinstance(value, list) else value
        if isinstance(value, dict):
            _twice(value)


def _text(value: Any) -> bytes:
    return json.dumps(value).encode()


# Neutral


def _rewritten(rng: Random, value: Any) -> bytes:
    """The same JSON, written otherwise."""
    text = json.dumps(_reordered(rng, value), indent=rng.choice((None, 1, 8)), ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.3:
        text = text.replace("_", "\\u005f")
    if rng.random() < 0.3:
        text = text.replace(": ", "\t:\r\n ")
    return (b"\xef\xbb\xbf" if rng.random() < 0.2 else b"") + text.encode()


def _reordered(rng: Random, value: Any) -> Any:
    if isinstance(value, dict):
        keys = rng.sample(list(value), len(value))
        return {key: _reordered(rng, value[key]) for key in keys}
    if isinstance(value, list):
        return [_reordered(rng, item) for item in value]
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole and rng.random() < 0.2 else value


# Structure


def _places(value: Any) -> list[tuple[Any, Any]]:
    """All (container, key) within a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in items for place in [(value, key), *_places(item)]]


def _change(rng: Random, value: Any) -> None:
    places = _places(value)
    if not places:
        return
    container, key = rng.choice(places)
    other, at = rng.choice(places)
    how: Mapping[str, Callable[[], Any]] = {
        "replace": lambda: container.__setitem__(key, copy.deepcopy(rng.choice(HOSTILE))),
        "word": lambda: container.__setitem__(key, rng.choice(WORDS)),
        "remove": lambda: container.pop(key),
        "copy": lambda: container.__setitem__(key, copy.deepcopy(other[at])),
        "wrap": lambda: container.__setitem__(key, [container[key]]),
        "rename": lambda: _rename(rng, container, key),
        "add": lambda: _add(rng, container[key]),
        "spell": lambda: container.__setitem__(key, _misspelt(rng, container[key])),
    }
    how[rng.choice(list(how))]()


def _rename(rng: Random, container: Any, key: Any) -> None:
    if isinstance(container, dict):
        container[rng.choice((rng.choice(WORDS), _misspelt(rng, key)))] = container.pop(key)


def _add(rng: Random, value: Any) -> None:
    if isinstance(value, dict):
        value[rng.choice(WORDS)] = copy.deepcopy(rng.choice(HOSTILE))
    elif isinstance(value, list):
        value.append(copy.deepcopy(rng.choice([*HOSTILE, *value])))


def _misspelt(rng: Random, value: Any) -> Any:
    if isinstance(value, str) and value:
        at = rng.randrange(len(value))
        return value[:at] + rng.choice("_.0aZ\u00e9 -") + value[at + rng.randrange(2) :]
    return -value if isinstance(value, int | float) else value


# Bytes


def _damaged(rng: Random, body: bytes, other: bytes) -> bytes:
    at = rng.randrange(len(body) + 1)
    end = min(len(body), at + rng.choice((1, 1, 2, 8, 64)))
    how: tuple[Callable[[], bytes], ...] = (
        lambda: body[:at] + bytes([rng.randrange(256)]) + body[end:],
        lambda: body[:at] + body[end:],
        lambda: body[:at] + body[at:end] * 2 + body[end:],
        lambda: body[:at] + rng.choice(TOKENS) + body[at:],
        lambda: body[:at],
        lambda: body[:at] + other[at:],
        lambda: body.replace(b"{", b'{"module": 1, "module": 1, ', 1),
        lambda: b"[" * rng.choice((10, 2000)) + body,
    )  # fmt: skip
    return rng.choice(how)()


# Generated


def _value(rng: Random, depth: int) -> Any:
    if depth == 0 or rng.random() < 0.3:
        return rng.choice((*HOSTILE, *WORDS))
    if rng.random() < 0.7:
        return {rng.choice(WORDS): _value(rng, depth - 1) for _ in range(rng.randrange(6))}
    return [_value(rng, depth - 1) for _ in range(rng.randrange(4))]


def _generated(rng: Random) -> Document:
    """A chain of components that read what came before; one in so many choices is a wrong one."""
    wrong = rng.choice((0.0, 0.002, 0.02, 0.1))
    components: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for _ in range(rng.randint(1, 40)):
        module = rng.choice(MODULES if rng.random() < wrong else MODULES[:6])
        index = counts[module] = counts.get(module, -1) + (rng.randint(0, 3) if rng.random() < wrong else 1)
        components[f"{module.lower()}_{index}"] = _part(rng, module, list(components), wrong)
    dsl = {"components": components}
    conf = _conf(rng, list(components), wrong)
    return Document(_text(dsl), _text(conf))


def _part(rng: Random, module: str, before: list[str], wrong: float) -> dict[str, Any]:
    sources = [name for name in before if not name.startswith("evaluation")]
    source = f"{rng.choice(sources)}.out" if sources and rng.random() < 0.8 else "args.table"
    key = "train_data" if module == "HeteroLR" else "data"
    body: dict[str, Any] = {"module": module, "input": {"data": {key: [source]}}, "output": {"data": ["out"]}}
    if module in ("HeteroLR", "DataIO"):
        body["output"]["model"] = ["model"]
    if rng.random() < 0.2:
        body["trigger_rule"] = rng.choice(("all_success", "all_done"))
    if rng.random() < wrong:
        _change(rng, body)
    return body


def _conf(rng: Random, names: list[str], wrong: float) -> Any:
    hosts = [str(10000 + index) for index in range(rng.randint(1, 3))]
    table = {"name": "t", "namespace": "n"}
    conf: Any = {
        "initiator": {"role": "guest", "party_id": 9999},
        "role": {"guest": [9999], "host": hosts, "arbiter": [10001]},
        "job_parameters": {"timeout": rng.randint(1, 9999), "auto_retries": rng.randint(0, 10)},
        "role_parameters": {
            "guest": {"args": {"data": {"table": [table]}}},
            "host": {"args": {"data": {"table": [table] * len(hosts)}}},
        },
        "algorithm_parameters": {name: _parameters(rng, name) for name in names if rng.random() < 0.5},
    }
    while rng.random() < wrong * 5:
        _change(rng, conf)
    return conf


def _parameters(rng: Random, name: str) -> dict[str, Any]:
    known = {
        "heterolr": {"max_iter": rng.randint(1, 50), "alpha": 0.01},
        "dataio": {"with_label": False},
    }
    return dict(known.get(name.rpartition("_")[0], {}))
