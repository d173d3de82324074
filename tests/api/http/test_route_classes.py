"""Which addresses a route takes."""

from __future__ import annotations

import pytest
from starlette.routing import Match

from api.http.route_classes import BASE, PublicRoute, RawRoute


async def answer() -> None:
    """Answers nothing."""


@pytest.mark.parametrize("kind", [PublicRoute, RawRoute])
def test_an_id_of_a_flow_is_not_the_word_of_another_address(kind: type[PublicRoute]) -> None:
    one, beside = (kind(f"{BASE}/flows/{{flow_id}}{end}", answer, methods=["GET"]) for end in ("", "/notes"))

    def takes(route: PublicRoute, path: str) -> bool:
        scope = {"type": "http", "method": "GET", "path": f"{BASE}{path}", "root_path": "", "path_params": {}}
        return route.matches(scope)[0] != Match.NONE

    assert takes(one, "/flows/flow_1") and takes(one, "/flows/executed") and takes(beside, "/flows/flow_1/notes")
    assert not takes(one, "/flows/execute") and not takes(beside, "/flows/execute/notes")
