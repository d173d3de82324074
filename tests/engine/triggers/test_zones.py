"""How people find their time zone."""

from __future__ import annotations

import pytest

from engine.triggers.timing import zone_names
from engine.triggers.zones import find_zones, zone_choices


def test_the_own_zone_stands_first_then_common_ones_then_all() -> None:
    choices = zone_choices("Asia/Tokyo")
    assert list(choices)[:3] == ["Asia/Tokyo", "UTC", "Europe/London"]
    assert set(choices) == set(zone_names())
    assert choices["Europe/Berlin"].startswith("Europe/Berlin, Germany (Munich")
    assert next(iter(zone_choices("No/Where"))) == "UTC"


@pytest.mark.parametrize(
    ("typed", "zone"),
    [
        ("Berlin", "Europe/Berlin"),
        ("berl", "Europe/Berlin"),
        ("Germany", "Europe/Berlin"),
        ("Deutschland", "Europe/Berlin"),
        ("Munich", "Europe/Berlin"),
        ("new york", "America/New_York"),
        ("America/New_York", "America/New_York"),
        ("Mumbai", "Asia/Kolkata"),
        ("UK", "Europe/London"),
        ("utc", "UTC"),
        ("Europe/Berlin, Germany (Munich, Hamburg, Frankfurt, Cologne)", "Europe/Berlin"),
    ],
)
def test_a_zone_is_found_by_its_place_country_or_city(typed: str, zone: str) -> None:
    assert find_zones(typed, zone_choices("UTC"))[0] == zone


@pytest.mark.parametrize("typed", ["", "  ", "Atlantis", "<img src=x onerror=alert(1)>"])
def test_what_is_no_place_finds_nothing(typed: str) -> None:
    assert find_zones(typed, zone_choices("UTC")) == []
