"""When a pipeline's initiator starts it: the key ``schedule`` of a conf. It is not proposed to anybody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterError, croniter

from dags_generator.reading import clip
from dags_generator.where import Where

SCHEDULE = "schedule"
CRON = re.compile(r"[0-9A-Za-z*/,-]+( [0-9A-Za-z*/,-]+){4}")
CRON_LENGTH = 100
ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,3}")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
ASSET = re.compile(r"[A-Za-z][A-Za-z0-9_.:/=-]{0,249}")
MAX_ASSETS = 16


@dataclass(frozen=True)
class Cron:
    """At these times.

    Attributes:
        expression: minute, hour, day of month, month, day of week.
        timezone: IANA name.
        start: the first day, YYYY-MM-DD; None: from when the pipeline is dropped in.
        catchup: start a job for every time since ``start``, not only for those to come.
    """

    expression: str
    timezone: str = "UTC"
    start: str | None = None
    catchup: bool = False

    def __str__(self) -> str:
        since = f", from {self.start}{' on, none left out' if self.catchup else ''}" if self.start else ""
        return f"cron {self.expression} ({self.timezone}){since}"


@dataclass(frozen=True)
class OnAssets:
    """When each of these of Airflow's assets was updated."""

    uris: tuple[str, ...]

    def __str__(self) -> str:
        return f"when updated: {', '.join(self.uris)}"


Schedule = Cron | OnAssets


def take_schedule(conf: Mapping[str, Any], where: Where) -> tuple[Mapping[str, Any], Schedule | None]:
    """A conf as it may be proposed, and its schedule.

    Raises:
        DslError: it is no schedule, or its times never come.
    """
    if SCHEDULE not in conf:
        return conf, None
    at = where.at(SCHEDULE)
    given = at.object(conf[SCHEDULE])
    if ("cron" in given) == ("assets" in given):
        found = "both" if "cron" in given else "neither"
        raise at.error("FED-145", f"found {found} of cron and assets", "exactly one of them")
    rest = {key: value for key, value in conf.items() if key != SCHEDULE}
    return rest, _cron(given, at) if "cron" in given else _assets(given, at)


def _cron(given: Mapping[str, Any], where: Where) -> Cron:
    where.only(given, ("cron", "timezone", "start", "catchup"))
    start = where.at("start").text(given["start"]) if "start" in given else None
    catchup = given.get("catchup", False)
    if not isinstance(catchup, bool):
        raise where.at("catchup").error("FED-103", f"found {clip(catchup)}", "true or false")
    if catchup and start is None:
        raise where.at("catchup").error("FED-145", "nothing says since when", "start: YYYY-MM-DD")
    zone = where.at("timezone").text(given.get("timezone", "UTC"))
    found = Cron(where.at("cron").text(given["cron"]), zone, start, catchup)
    _check_expression(found.expression, where.at("cron"))
    _check_zone(zone, where.at("timezone"))
    if start is not None:
        _check_day(start, where.at("start"))
    return found


def _check_expression(text: str, where: Where) -> None:
    form = "minute, hour, day of month, month, day of week; for example 0 3 * * MON-FRI"
    if len(text) > CRON_LENGTH or not CRON.fullmatch(text):
        raise where.error("FED-145", f"{clip(text)} is not a cron expression", form)
    try:
        croniter(text, datetime(2024, 1, 1)).get_next(datetime)
    except CroniterError as error:
        raise where.error("FED-145", f"{clip(text)}: {clip(str(error))}", form) from None


def _check_zone(name: str, where: Where) -> None:
    try:
        if ZONE.fullmatch(name) and ZoneInfo(name):
            return
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise where.error("FED-145", f"{clip(name)} is not a time zone", "an IANA name; for example Europe/Zurich")


def _check_day(text: str, where: Where) -> None:
    try:
        if DAY.fullmatch(text) and date.fromisoformat(text).year >= 2000:
            return
    except ValueError:
        pass
    raise where.error("FED-145", f"{clip(text)} is not a day", "YYYY-MM-DD, from 2000-01-01 on")


def _assets(given: Mapping[str, Any], where: Where) -> OnAssets:
    where.only(given, ("assets",))
    at = where.at("assets")
    uris = tuple(at.text(uri) for uri in at.list(given["assets"]))
    if not 1 <= len(uris) <= MAX_ASSETS:
        raise at.error("FED-145", f"{len(uris)} assets", f"1 to {MAX_ASSETS}")
    for uri in uris:
        if not ASSET.fullmatch(uri) or uri.startswith("airflow:"):
            allowed = "a URI or a name: a letter, then letters, digits and _.:/=-; not of scheme airflow"
            raise at.error("FED-145", f"{clip(uri)} is not an asset", allowed)
        if uris.count(uri) > 1:
            raise at.error("FED-145", f"{uri} is given twice")
    return OnAssets(uris)
