"""A person opens another page while the flow's page still reads: nothing is drawn on the deleted page."""

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
    gc.collect()  # frees what the page no longer references, as a running server does later
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for _turn in range(20):  # lets every read of the page complete
        await site.database.read(lambda _session: None)
    assert {task for task in others if not task.done() and "_draw_tab" in repr(task)} == set()

    assert [record.getMessage() for record in caplog.records if record.levelname in {"WARNING", "ERROR"}] == []
