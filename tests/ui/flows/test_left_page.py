"""A person who goes on to another page while the flow's page still reads: nothing is drawn on a page that is gone."""

from __future__ import annotations

import asyncio
import gc

import pytest
from nicegui import ui
from nicegui.testing import User

from tests.ui.conftest import Site


@pytest.mark.parametrize("tab", ["api", "versions", "jobs"])
async def test_a_tab_that_comes_too_late_is_not_drawn_and_no_error(
    site: Site, user: User, caplog: pytest.LogCaptureFixture, tab: str
) -> None:
    flow_id = site.flow(live=True)
    await user.open(f"/flows/{flow_id}?tab=settings")
    (tabs,) = user.find(kind=ui.tabs).elements

    tabs.value = tab
    assert user.client is not None
    user.client.delete()
    gc.collect()  # what is not held by the page itself is gone, as it is on a server after a moment
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for _turn in range(20):  # a read of its own behind every read of the page
        await site.database.read(lambda _session: None)
    assert {task for task in others if not task.done() and "_draw_tab" in repr(task)} == set()

    assert [record.getMessage() for record in caplog.records if record.levelname in {"WARNING", "ERROR"}] == []
