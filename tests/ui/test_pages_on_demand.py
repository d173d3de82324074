"""Pages are imported and registered when they are first opened."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from nicegui.testing import User
from starlette.types import Receive, Scope, Send

from tests.ui.conftest import Site
from ui.pages_on_demand import MODULES, PagesOnDemand, place_of

UI = Path(__file__).parents[2] / "ui"


def test_every_page_is_found_by_its_address() -> None:
    written = {
        f"ui.{path.relative_to(UI).with_suffix('').as_posix().replace('/', '.')}": re.findall(
            r'@page_at\(\s*"([^"]+)"', path.read_text(encoding="utf-8")
        )
        for path in UI.rglob("*.py")
        if path.parent != UI
    }
    pages = {(place_of(address), module) for module, addresses in written.items() for address in addresses}
    assert pages == {(place, module) for place, modules in MODULES.items() for module in modules}


async def test_pages_opened_at_once_are_registered_once(site: Site, user: User) -> None:
    answered: list[str] = []

    async def inner(scope: Scope, _receive: Receive, _send: Send) -> None:
        answered.append(scope["path"])

    pages = PagesOnDemand(inner, site.app)

    async def ask(path: str) -> None:
        await pages({"type": "http", "path": path}, None, None)  # type: ignore[arg-type]

    from nicegui import Client

    before = len(Client.page_routes)
    await asyncio.gather(*(ask("/settings/about") for _ in range(5)), ask("/nowhere"), ask("/settings"))
    registered = list(Client.page_routes.values())[before:]
    assert registered == ["/settings/about"]
    assert len(answered) == 7
