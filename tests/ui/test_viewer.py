"""A viewer sees every page and changes nothing, neither with the controls of a page nor with forged events (S18)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from nicegui import Client

from engine.actions.keys import create_key
from engine.actions.team import invite
from tests.logical_time import pass_time
from tests.ui.arrange import ended, refused
from tests.ui.conftest import Site

#: Tables that viewing may change: where somebody is signed in and when they were active. Everybody may change their own
#: name and sessions, so `/settings/account` is not among the pages of this test.
OWN = {"sessions", "sign_in_failures", "workers"}
WALKS = (
    (
        "/start",
        "/flows",
        "/flows/{flow}",
        "/flows/{flow}?tab=versions",
        "/flows/{flow}?tab=settings",
        "/flows/{flow}?tab=triggers",
        "/templates",
        "/datasets",
        "/knowledge",
    ),
    ("/playground/{flow}", "/jobs", "/jobs?tab=refused", "/jobs/{job}", "/waiting", "/monitoring"),
    ("/settings/keys", "/settings/models", "/settings/tools", "/settings/limits", "/settings/team"),
    ("/settings/data", "/settings/server", "/settings/audit", "/settings/about"),
)


def stored(site: Site) -> dict[str, list[Any]]:
    """Returns all stored rows except those that viewing changes."""
    with sqlite3.connect(f"file:{site.settings.data}/flowport.db?mode=ro", uri=True) as database:
        tables = [row[0] for row in database.execute("select name from sqlite_master where type = 'table'")]
        found = {}
        for table in sorted(set(tables) - OWN):
            columns = [
                row[1] for row in database.execute(f'pragma table_info("{table}")') if not row[1].endswith("seen_at")
            ]
            listed = ", ".join(f'"{column}"' for column in columns)
            # in the order of the table, as not every table has a rowid
            found[table] = database.execute(f'select {listed} from "{table}" not indexed').fetchall()
        return found


#: The arguments sent with every event: none, a value, and what a canvas sends.
FORGED = (
    None,
    True,
    "Forged",
    {"value": "forged", "label": "forged"},
    {
        "seq": 1_000,
        "baseRev": 1,
        "clientId": "forged",
        "ops": [
            {"op": "updateNode", "id": "text_template", "before": {"label": "Greet"}, "after": {"label": "Forged"}}
        ],
    },
    {"type": "prompt", "position": {"x": 1, "y": 1}},
)


async def fire_everything(
    client: Client, enough: Callable[[], bool] = lambda: False, arguments: Sequence[Any] = FORGED
) -> int:
    """Sends each event of the page in three rounds, because an event can open a dialog with more events.

    Returns how many events were sent. It ends early when there was `enough`.
    """
    fired: set[tuple[int, str]] = set()
    for _round in range(3):
        for element in list(client.elements.values()):
            for listener_id in list(element._event_listeners):
                if (element.id, listener_id) in fired or element.is_deleted:
                    continue
                fired.add((element.id, listener_id))
                if enough():
                    return len(fired)
                for argument in arguments:
                    message = {"id": element.id, "listener_id": listener_id, "args": [json.dumps(argument)]}
                    try:
                        client.handle_event(message)
                    except Exception:  # noqa: BLE001 - a handler may reject forged arguments
                        continue
        await pass_time(0.1)
    return len(fired)


def arrange(site: Site, key: str = "Shop") -> dict[str, str]:
    flow_id = site.flow(live=True)
    refused(site, flow_id)
    site.database.write_now(create_key, site.owner, key, "live")
    site.database.write_now(invite, site.owner, "editor", f"{key.replace(' ', '.')}@example.com")
    return {"flow": flow_id, "job": ended(site, flow_id, "failed")}


@pytest.mark.parametrize("paths", WALKS, ids=lambda paths: paths[0])
async def test_no_event_of_a_viewers_pages_changes_anything(site: Site, paths: tuple[str, ...]) -> None:
    ids = arrange(site)
    user = await site.sign_in("viewer")
    before = stored(site)
    changed: dict[str, set[str]] = {}
    for path in paths:
        client = await user.open(path.format(**ids))
        assert await fire_everything(client)
        after = stored(site)
        changed[path] = {table for table in before if before[table] != after[table]}

    assert {path: tables for path, tables in changed.items() if tables} == {}


async def test_the_same_events_of_an_editor_do_change_something(site: Site) -> None:
    """Guards the test above: it would prove nothing if these events had no effect for anybody."""
    ids = arrange(site)
    user = await site.sign_in("editor")
    drawn = await user.open(f"/playground/{ids['flow']}")
    before = stored(site)["flows"]

    await fire_everything(drawn, lambda: stored(site)["flows"] != before)
    await pass_time(1)

    assert stored(site)["flows"] != before
