"""Files and proposals -> ``PipelineSpec``: the one entry for everything that people and peers write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dags_generator.conf import check_keys, idle, parties, tables
from dags_generator.conf_v2 import Converted, to_v1
from dags_generator.dialect import takes_stored, version_of
from dags_generator.dsl import graph
from dags_generator.job_parameters import job_parameters
from dags_generator.params import effective_params
from dags_generator.params import notes as notes_of
from dags_generator.reading import read_object
from dags_generator.schedule import take_schedule
from dags_generator.spec import Graph, PipelineSpec
from dags_generator.where import Where
from federatedml.errors import DslError

DSL_SUFFIX = "_dsl.json"
CONF_SUFFIX = "_conf.json"


def parse(
    pipeline: str, dsl: Mapping[str, Any], conf: Mapping[str, Any], dsl_at: Where, conf_at: Where
) -> PipelineSpec:
    """A pipeline from its two objects in normal form (``reading.read_object``); ``DslError`` if anything is wrong."""
    try:
        version = version_of(conf, conf_at)
        _check_predict(dsl, version, dsl_at, conf_at)
        built = graph(pipeline, _versioned(dsl, version, dsl_at), parties(conf, conf_at), dsl_at)
        v1 = to_v1(conf, built, conf_at) if version == 2 else _as_it_is(conf, built, conf_at)
        check_keys(v1.conf, built, conf_at)
        job, notes = job_parameters(v1.conf, built, next(iter(v1.places.values())))
        full = {**v1.conf, **built.parties.json()}
        params, found = effective_params(v1.conf, built, v1.places), tables(v1.conf, built, v1.places)
        notes = [*v1.notes, *notes, *idle(v1.conf, built), *notes_of(params, built)]
        return PipelineSpec(built, full, params, found, job, notes)
    except RecursionError:
        raise DslError("FED-100", f"{dsl_at.file}: nested too deep") from None


def _versioned(dsl: Mapping[str, Any], version: int | None, where: Where) -> Mapping[str, Any]:
    """The DSL, saying itself that it is v2: FATE says it in the conf, but peers read the DSL alone."""
    own = version_of(dsl, where)
    if version is not None and own is not None and own != version:
        raise where.at("dsl_version").error("FED-103", f"found {own}", f"the conf's dsl_version is {version}")
    return {**dsl, "dsl_version": 2} if 2 in (own, version) else dsl


def _check_predict(dsl: Mapping[str, Any], version: int | None, dsl_at: Where, conf_at: Where) -> None:
    """A predict DSL is what airfed derived from a training, in v1: a pair of it and a conf v2 fits no stored model."""
    components = dsl.get("components")
    if not isinstance(components, Mapping) or not takes_stored(components):
        return
    for at, found in ((conf_at, version), (dsl_at, version_of(dsl, dsl_at))):
        if found == 2:
            allowed = "1; a conf v2 of a predict job needs no DSL: airfed predict CONF"
            raise at.at("dsl_version").error("FED-103", "found 2 in a pair with a predict DSL", allowed)


def _as_it_is(conf: Mapping[str, Any], built: Graph, where: Where) -> Converted:
    return Converted(dict(conf), dict.fromkeys(built.parties.members, where), [])


def parse_pair(pipeline: str, dsl: bytes, conf: bytes, dsl_file: str, conf_file: str) -> PipelineSpec:
    """A pair of FATE's files by their contents."""
    dsl_object, conf_object = read_object(dsl, dsl_file), read_object(conf, conf_file)
    return parse_written(pipeline, dsl_object, conf_object, Where(dsl_file), Where(conf_file))


def parse_native(pipeline: str, body: bytes, file: str) -> PipelineSpec:
    """One file with the keys ``dsl`` and ``conf``."""
    where, value = Where(file), read_object(body, file)
    where.only(value, ("dsl", "conf"))
    dsl, conf = (where.at(key).object(where.required(value, key)) for key in ("dsl", "conf"))
    return parse_written(pipeline, dsl, conf, where.at("dsl"), where.at("conf"))


def parse_written(
    pipeline: str, dsl: Mapping[str, Any], conf: Mapping[str, Any], dsl_at: Where, conf_at: Where
) -> PipelineSpec:
    """``parse`` for what people write: that may say when it starts, a proposal may not, as peers have no say in it."""
    rest, schedule = take_schedule(conf, conf_at)
    return replace(parse(pipeline, dsl, rest, dsl_at, conf_at), schedule=schedule)


def parse_installed(pipeline: str, body: bytes, file: str) -> Graph:
    """A pipeline of another initiator: DSL and parties only."""
    where, value = Where(file), read_object(body, file)
    where.only(value, ("dsl", "parties"))
    dsl, given = (where.at(key).object(where.required(value, key)) for key in ("dsl", "parties"))
    where.at("parties").only(given, ("initiator", "role"))
    return graph(pipeline, dsl, parties(given, where.at("parties")), where.at("dsl"))


def parse_paths(dsl: Path, conf: Path | None = None) -> PipelineSpec:
    """A pair, or with one path a native file; the pipeline is named by the DSL's file."""
    if conf is None:
        return parse_native(dsl.name.removesuffix(".json"), _read(dsl), dsl.name)
    name = dsl.name.removesuffix(".json").removesuffix("_dsl")
    return parse_pair(name, _read(dsl), _read(conf), dsl.name, conf.name)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DslError("FED-160", f"{path.name} cannot be read: {error.strerror}") from None
