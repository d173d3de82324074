"""Time zones as people choose them: with the country and the large cities that have this time."""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Mapping

from engine.triggers.timing import zone_names

#: Zones that many people have. They stand before the others.
_COMMON = (
    "UTC", "Europe/London", "Europe/Berlin", "Europe/Paris", "Europe/Madrid", "America/New_York", "America/Chicago",
    "America/Denver", "America/Los_Angeles", "America/Sao_Paulo", "Asia/Dubai", "Asia/Kolkata", "Asia/Shanghai",
    "Asia/Tokyo", "Australia/Sydney",
)  # fmt: skip
#: Large cities that the database of zones does not name.
_CITIES = {
    "Europe/Berlin": "Munich, Hamburg, Frankfurt, Cologne",
    "Europe/Zurich": "Geneva, Basel, Bern",
    "Europe/London": "Manchester, Edinburgh",
    "Europe/Paris": "Lyon, Marseille",
    "Europe/Madrid": "Barcelona",
    "Europe/Rome": "Milan, Naples",
    "Europe/Amsterdam": "Rotterdam, The Hague",
    "Europe/Warsaw": "Krakow",
    "Europe/Istanbul": "Ankara",
    "America/New_York": "Washington, Boston, Miami, Atlanta",
    "America/Chicago": "Houston, Dallas",
    "America/Los_Angeles": "San Francisco, Seattle, San Diego",
    "America/Toronto": "Ottawa, Montreal",
    "America/Sao_Paulo": "Rio de Janeiro, Brasilia",
    "Asia/Kolkata": "Mumbai, Delhi, Bangalore",
    "Asia/Shanghai": "Beijing, Shenzhen",
    "Asia/Tokyo": "Osaka, Kyoto",
    "Asia/Karachi": "Islamabad, Lahore",
    "Asia/Dubai": "Abu Dhabi",
    "Asia/Ho_Chi_Minh": "Hanoi",
    "Australia/Sydney": "Canberra",
    "Africa/Johannesburg": "Cape Town",
    "Africa/Lagos": "Abuja",
}
#: Further names that are found, and not shown.
_ALSO = {
    "Europe/Berlin": "deutschland münchen köln cet",
    "Europe/Vienna": "österreich wien",
    "Europe/Zurich": "schweiz zürich genf",
    "Europe/London": "united kingdom england scotland wales great britain gmt",
    "Europe/Warsaw": "polen warschau",
    "Europe/Rome": "italien rom mailand",
    "Europe/Paris": "frankreich",
    "Europe/Madrid": "spanien",
    "Europe/Istanbul": "türkei turkey",
    "America/New_York": "usa eastern est",
    "America/Chicago": "usa central",
    "America/Denver": "usa mountain",
    "America/Los_Angeles": "usa pacific pst",
    "UTC": "gmt universal",
}


def zone_choices(own: str) -> dict[str, str]:
    """Returns zone -> what is shown, like `Europe/Berlin, Germany (Munich, Hamburg)`: `own` first, then common ones."""
    known = zone_names()
    first = [name for name in dict.fromkeys((own, *_COMMON)) if name in known]
    return {name: _shown(name) for name in dict.fromkeys((*first, *known))}


def find_zones(text: str, choices: Mapping[str, str]) -> list[str]:
    """Returns the zones that a text names, the best first: by place, country or city, in any spelling of capitals."""
    wanted = _plain(text)
    if not wanted:
        return []
    ranked = [(rank, name) for name, shown in choices.items() if (rank := _rank(wanted, name, shown)) is not None]
    return [name for _rank_, name in sorted(ranked, key=lambda one: one[0])]


def _rank(wanted: str, name: str, shown: str) -> int | None:
    """How well a zone fits: 0 is the zone or its place, 3 is a part of a word; None does not fit."""
    plain = _plain(name)
    if wanted in (plain, plain.rpartition("/")[2], _plain(shown)):
        return 0
    said = f" {_plain(shown)} {_ALSO.get(name, '')} ".replace("/", " ").replace(",", " ").replace("(", " ")
    said = " ".join(said.replace(")", " ").split())
    if f" {wanted} " in f" {said} ":
        return 1
    if f" {wanted}" in f" {said}":
        return 2
    return 3 if wanted in said or wanted in plain else None


def _plain(text: str) -> str:
    return " ".join(text.replace("_", " ").casefold().split())


def _shown(name: str) -> str:
    country, cities = _countries().get(name, ""), _CITIES.get(name, "")
    shown = name.replace("_", " ") + (f", {country}" if country else "")
    return f"{shown} ({cities})" if cities else shown


@functools.cache
def _countries() -> dict[str, str]:
    """Returns zone -> country in English, as far as the database of zones says it."""
    try:
        folder = importlib.resources.files("tzdata") / "zoneinfo"
        codes = _table((folder / "iso3166.tab").read_text(encoding="utf-8"), 0, 1)
        zones = _table((folder / "zone.tab").read_text(encoding="utf-8"), 2, 0)
    except (ModuleNotFoundError, OSError):
        return {}
    return {zone: codes[code] for zone, code in zones.items() if code in codes}


def _table(text: str, key: int, value: int) -> dict[str, str]:
    rows = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return {row[key]: row[value] for row in rows}
