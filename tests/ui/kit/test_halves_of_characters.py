"""Texts with half of a character are written for pages, where NiceGUI's own function refuses them."""

from __future__ import annotations

import json as json_of_python
from decimal import Decimal
from typing import Any

import pytest
from nicegui import json
from nicegui.testing import User

from ui.kit.halves_of_characters import dumps

HALF = "a\ud83d"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (HALF, "a�"),
        ({HALF: [HALF, {"deep": (HALF, 1)}], 7: True}, {"a�": ["a�", {"deep": ["a�", 1]}], "7": True}),
        ({"cost": Decimal("1.5"), "text": HALF}, {"cost": 1.5, "text": "a�"}),
        ("\ud83d\ude00", "😀"),
    ],
)
def test_the_replacement_character_stands_for_each_half(value: Any, written: Any) -> None:
    assert json_of_python.loads(dumps(value)) == written


def test_what_is_no_json_is_still_refused() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        dumps({"text": HALF, "other": object()})


async def test_pages_and_their_sockets_use_it(user: User) -> None:
    from nicegui import core

    await user.open("/flows")
    assert json.dumps is dumps
    assert core.sio.packet_class.json is json
