"""Bytes that no honest member sends, on every topic: a coded error, or a run to the end; never anything else."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from federatedml.conformance.case import TIMEOUT_S, Case
from federatedml.conformance.require import Broken, require
from federatedml.conformance.witness import Witness
from federatedml.errors import FedError, ProtocolError
from federatedml.federation.box import MessageKey
from federatedml.federation.local import StepResult
from federatedml.federation.topic import Topic

GARBAGE = b"\xff" * 40  # neither a field of protobuf nor a length that can be
MUTATIONS = 60  # of every topic's first message, only decoded
PATIENCE_S = 1.0  # of members whose peer was told a wrong value: a job's timeout ends what then waits for ever
NEVER_CAME = "FED-410"


def decoded_or_refused(topic: Topic[Any], body: bytes, seed: int = 1) -> None:
    """Changed bytes are a value of the topic's type or a ``ProtocolError``."""
    draw = random.Random(seed)  # noqa: S311 - faults, not secrets
    for changed in (b"", b"\x00", bytes(64), *(_mutated(body, draw) for _ in range(MUTATIONS))):
        try:
            topic.codec.decode(changed)
        except ProtocolError:
            continue
        except Exception as error:
            raise Broken(f"topic {topic.name}: {type(error).__name__} for {changed[:40].hex()}: {error}") from error


def garbage_refused(case: Case, topic: Topic[Any], result: StepResult, folder: Path) -> None:
    """The first message of a topic becomes garbage: the step ends with an error that has a code."""
    first = next(message for message in result.sent if message.key.topic == topic.name)
    code = _run(case, first.key, GARBAGE, folder, TIMEOUT_S)
    require(code not in ("", NEVER_CAME), f"topic {topic.name}: garbage was {'waited for' if code else 'taken'}")


def wrong_values_survived(case: Case, topic: Topic[Any], result: StepResult, folder: Path) -> None:
    """The first message of a topic becomes a value of its type, but of another shape or size.

    It may be one that an honest member could have sent: then the step may come to an end, or members may wait for what
    an honest member would have sent. What is raised has a code.
    """
    first = next(message for message in result.sent if message.key.topic == topic.name)
    for number, changed in enumerate(_other_values(topic, first.body)):
        _run(case, first.key, changed, folder / str(number), PATIENCE_S)


def _run(case: Case, key: MessageKey, changed: bytes, folder: Path, timeout: float) -> str:
    """The code of the error that ends the step when the message ``key`` is ``changed``; empty: it comes to its end."""
    network = Witness(folder, lambda at, body: changed if at == key else body, timeout)
    try:
        case.over(network)
    except FedError as error:
        return error.code
    except Exception as error:
        raise Broken(f"{key.topic}: {changed[:24].hex()}... raises {type(error).__name__}: {error}") from error
    return ""


def _other_values(topic: Topic[Any], body: bytes) -> Iterator[bytes]:
    """Encodings of values of the right type that are shorter, longer, empty, or full of the largest number."""
    value = topic.codec.decode(body)
    arrays = value if isinstance(value, Mapping) else {"": value}
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        yield b""  # a message with every field unset
        return
    for change in (_empty, _shorter, _longer, _largest, _least):
        changed = {name: np.ascontiguousarray(change(array)) for name, array in arrays.items()}
        try:
            yield topic.codec.encode(changed if isinstance(value, Mapping) else changed[""])
        except ProtocolError:
            continue


def _empty(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array[:0] if array.ndim else array


def _shorter(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array[:-1] if array.ndim else array


def _longer(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.concatenate([array, array[-1:]]) if array.ndim and len(array) else array


def _largest(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    kind = np.finfo(array.dtype) if array.dtype.kind == "f" else np.iinfo(array.dtype)
    return np.full_like(array, kind.max)


def _least(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    kind = np.finfo(array.dtype) if array.dtype.kind == "f" else np.iinfo(array.dtype)
    return np.full_like(array, kind.min)


def _mutated(body: bytes, draw: random.Random) -> bytes:
    if not body:
        return bytes(draw.randrange(1, 9))
    at = draw.randrange(len(body))
    kind = draw.randrange(4)
    if kind == 0:
        return body[:at]
    if kind == 1:
        return body[:at] + bytes([body[at] ^ 1 << draw.randrange(8)]) + body[at + 1 :]
    if kind == 2:
        return body[:at] + draw.randbytes(draw.randrange(1, 9)) + body[at:]
    return draw.randbytes(len(body))
