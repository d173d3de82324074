"""Saving and deploying include an edit in progress, and closing the tab meanwhile causes no error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User

from engine.actions.flows import save_draft, save_version
from engine.flow.edits import apply_ops, update_node
from storage.flows import FlowRow, get_flow, list_flows
from tests.ui.arrange import box, choose, draft, page_text, press, texts, until
from tests.ui.conftest import Site


@asynccontextmanager
async def edit_under_way(site: Site, flow_id: str) -> AsyncIterator[None]:
    """Holds the lock of the open draft, as an edit does until it is stored."""
    from ui.parts.open_drafts import drafts_of

    async with drafts_of(site.app)._open[flow_id].lock:
        yield


def changed_flow(site: Site) -> str:
    """A saved flow whose draft differs from its version."""
    flow_id = site.flow("Greeting")
    change_elsewhere(site, flow_id, label="What comes in")
    return flow_id


def change_elsewhere(site: Site, flow_id: str, **changes: Any) -> None:
    """Stores a change of the first step, as another page does."""
    document = draft(site, flow_id)
    changed = apply_ops(document, [update_node(document.nodes[0], **changes)])
    site.database.write_now(save_draft, site.owner, flow_id, changed, row(site, flow_id).draft_revision)


async def checked_flow(site: Site, user: User) -> str:
    """A saved flow whose deploy dialog is open, behind its checks."""
    flow_id = site.flow("Greeting")
    await user.open(f"/playground/{flow_id}")
    press(user, "Deploy API")
    await user.should_see("No problems.")
    press(user, "Next")
    await user.should_see("Back")
    return flow_id


async def settle(site: Site) -> None:
    """Waits until tasks that depend only on the database have finished."""
    for _turn in range(20):
        await site.database.read(lambda _session: None)
        await site.database.write(lambda _session: None)


def row(site: Site, flow_id: str) -> FlowRow:
    return site.database.read_now(get_flow, site.workspace_id, flow_id)


def menu(user: User, name: str) -> ui.menu:
    """The menu with this accessible name."""
    (found,) = [one for one in user.find(kind=ui.menu).elements if one.props.get("aria-label") == name]
    return found


async def test_save_waits_for_the_edit_under_way(site: Site, user: User) -> None:
    flow_id = changed_flow(site)
    await user.open(f"/playground/{flow_id}")

    async with edit_under_way(site, flow_id):
        press(user, "Save")
        await settle(site)
        assert row(site, flow_id).newest_version == 1
    await until(lambda: row(site, flow_id).newest_version == 2)


async def test_saving_with_a_note_waits_for_the_edit_under_way(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    await user.open(f"/playground/{flow_id}")
    menu(user, "Versions").open()
    await user.should_see("Save with a note...")
    choose(user, "Save with a note...")
    await user.should_see("What is new?")
    box(user, "What is new?").value = "Shorter"

    async with edit_under_way(site, flow_id):
        press(user, "Save")
        await settle(site)
        assert row(site, flow_id).newest_version == 1
    await until(lambda: row(site, flow_id).newest_version == 2)


async def test_save_as_waits_for_the_edit_under_way(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    await user.open(f"/playground/{flow_id}")
    press(user, "Save As")
    await user.should_see("Title")
    box(user, "Title").value = "A copy"

    def titles() -> set[str]:
        return {flow.title for flow in site.database.read_now(list_flows, site.workspace_id)}

    async with edit_under_way(site, flow_id):
        press(user, "Save")
        await settle(site)
        assert titles() == {"Greeting"}
    await until(lambda: titles() == {"Greeting", "A copy"})


async def test_deploying_waits_for_the_edit_that_was_made_meanwhile(site: Site, user: User) -> None:
    flow_id = await checked_flow(site, user)

    async with edit_under_way(site, flow_id):
        press(user, "Deploy API")
        await settle(site)
        assert row(site, flow_id).live_version is None
    await until(lambda: row(site, flow_id).live_version == 1)


async def test_what_a_colleague_typed_after_the_checks_does_not_go_live_unseen(site: Site, user: User) -> None:
    flow_id = await checked_flow(site, user)

    change_elsewhere(site, flow_id, label="Half wri")
    press(user, "Deploy API")
    await user.should_see("The flow was changed while you looked at it:")
    assert row(site, flow_id).live_version is None
    press(user, "Next")
    await user.should_see("Back")
    press(user, "Deploy API")
    await until(lambda: row(site, flow_id).live_version == 2)


async def test_a_step_that_a_colleague_moves_stops_no_deployment(site: Site, user: User) -> None:
    flow_id = await checked_flow(site, user)
    change_elsewhere(site, flow_id, position={"x": 900.0, "y": 0.0})
    press(user, "Deploy API")
    await until(lambda: row(site, flow_id).live_version is not None)


async def test_who_saves_second_can_save_on_top(site: Site, user: User) -> None:
    flow_id = changed_flow(site)
    await user.open(f"/playground/{flow_id}")
    site.database.write_now(save_version, site.owner, flow_id, "from another page")
    change_elsewhere(site, flow_id, label="Mine")
    press(user, "Save")
    await user.should_see("version 2 is the newest now")
    press(user, "Save")
    await until(lambda: row(site, flow_id).newest_version == 3)


async def test_a_tab_that_closes_while_it_deploys_logs_no_error(
    site: Site, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    flow_id = site.flow("Greeting")
    await user.open(f"/playground/{flow_id}")
    press(user, "Deploy API")
    await user.should_see("No problems.")

    assert user.client is not None
    user.client.delete()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await settle(site)
    assert {task for task in others if not task.done() and "_deploy" in repr(task)} == set()

    assert [record.getMessage() for record in caplog.records if record.levelname in {"WARNING", "ERROR"}] == []


async def test_a_tab_that_closes_while_its_flow_goes_live_logs_no_error(
    site: Site, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    flow_id = await checked_flow(site, user)

    async with edit_under_way(site, flow_id):
        press(user, "Deploy API")
        await settle(site)
        assert user.client is not None
        user.client.delete()
    await until(lambda: row(site, flow_id).live_version == 1)
    await settle(site)

    assert [record.getMessage() for record in caplog.records if record.levelname in {"WARNING", "ERROR"}] == []


async def test_a_tab_that_closes_while_its_version_is_saved_logs_no_error(
    site: Site, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    flow_id = changed_flow(site)
    await user.open(f"/playground/{flow_id}")

    async with edit_under_way(site, flow_id):
        press(user, "Save")
        await settle(site)
        assert user.client is not None
        user.client.delete()
    await settle(site)

    assert [record.getMessage() for record in caplog.records if record.levelname in {"WARNING", "ERROR"}] == []


async def test_the_bar_says_what_callers_get(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open(f"/playground/{flow_id}")
    await user.should_see("Same as live version 1.")
    assert "Draft" not in texts(user)

    change_elsewhere(site, flow_id, label="What comes in")
    await user.open(f"/playground/{flow_id}")
    await user.should_see("Live: version 1")
    assert "Draft differs" in page_text(user)
    assert "Same as live version 1." not in texts(user)


async def test_the_page_behind_the_deploy_dialog_knows_that_the_flow_was_saved(site: Site, user: User) -> None:
    flow_id = site.flow("Untitled flow", saved=False)
    await user.open(f"/playground/{flow_id}")
    await user.should_see("Not in Saved Flows yet.")
    press(user, "Deploy API")
    await user.should_see("Save the flow first")
    box = max((one for one in user.find(kind=ui.input).elements), key=lambda one: one.id)
    box.value = "Hello service"
    press(user, "Save As")
    await user.should_see("Deploy Hello service")
    await until(lambda: "Not in Saved Flows yet." not in page_text(user))


async def test_the_bar_says_that_the_flow_is_saved_until_it_is_changed(site: Site, user: User) -> None:
    flow_id = changed_flow(site)
    await user.open(f"/playground/{flow_id}")
    assert "Draft" in texts(user)

    press(user, "Save")
    await user.should_see("Version 2 is saved.")
    await until(lambda: "Draft" not in texts(user))
