"""Open pages read nothing while nothing happens, and what happens is seen at their next look."""

from __future__ import annotations

import asyncio

import pytest
from nicegui.testing import User

from tests.ui.arrange import ended
from tests.ui.conftest import Site
from tests.ui.test_hot_queries import caught
from ui.page_session import SAME_SECONDS, SessionChecks

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


def test_the_tabs_of_a_browser_share_a_look_at_its_session_until_something_is_committed() -> None:
    checks, at = SessionChecks(), 1_000_000
    assert not checks.holds("ada", 5, at)
    checks.note("ada", 5, at)
    assert checks.holds("ada", 5, at + 2_000)
    assert not checks.holds("bob", 5, at)
    assert not checks.holds("ada", 6, at)
    assert not checks.holds("ada", None, at)
    assert not checks.holds("ada", 5, at + SAME_SECONDS * 1_000)
