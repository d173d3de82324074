"""Open pages read nothing while nothing happens, and what happens is seen at their next look."""

from __future__ import annotations

import asyncio

import pytest
from nicegui.testing import User

from tests.ui.arrange import ended
from tests.ui.conftest import Site
from tests.ui.test_hot_queries import caught

#: Statements that belong to every read: the transaction, and the check of the session.
_OF_EVERY_READ = ("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA")


@pytest.mark.parametrize("path", ["/monitoring", "/jobs", "/flows", "/flows/{flow}?tab=monitoring", "/settings/keys"])
async def test_an_open_page_reads_nothing_while_nothing_happens(site: Site, user: User, path: str) -> None:
    flow_id = site.flow("Greeting", live=True)
    ended(site, flow_id)
    await user.open(path.format(flow=flow_id))
    await asyncio.sleep(4)  # every timer has looked once
    with caught(site.database) as statements:
        await asyncio.sleep(5)

    assert [one for one in statements if not one.upper().startswith(_OF_EVERY_READ)] == []
