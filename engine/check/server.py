"""All lines of a check in the order people read them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from engine.check.folder import check_folder_and_database
from engine.check.lines import Line
from engine.check.outside import check_outside
from engine.check.way_in import Opened, check_way_in
from engine.outside.allow_list import OutboundRules, parse_allow_list
from engine.outside.http import Door
from engine.settings import Settings
from engine.vault.sealing import Vault
from storage.database import Database
from storage.settings import OUTBOUND_ALLOW, SERVER, find_setting


async def check_server(
    settings: Settings,
    database: Database,
    vault: Vault,
    *,
    opened: Opened | None = None,
    running: bool | None = None,
    outside: bool = True,
) -> AsyncIterator[Line]:
    """Looks at everything. `opened`: how the page that asks was opened; `running` as in `check_folder_and_database`."""
    for line in await asyncio.to_thread(lambda: list(check_folder_and_database(settings, database, running=running))):
        yield line
    for line in check_way_in(settings, opened) if opened is not None else ():
        yield line
    try:
        rules = outbound_rules(settings, database)
    except ValueError as error:
        yield Line("Allowed addresses", "bad", str(error), "Mend FLOWPORT_OUTBOUND_ALLOW and start again.")
        return
    if not outside:
        return
    door = Door(rules)
    try:
        async for line in check_outside(settings, database, vault, door):
            yield line
    finally:
        await door.aclose()


def outbound_rules(settings: Settings, database: Database) -> OutboundRules:
    """What the environment allows and what the owner allowed on the page, as of now. Raises ValueError."""
    said = database.read_now(find_setting, SERVER, OUTBOUND_ALLOW)
    allow = parse_allow_list(settings.outbound_allow) + parse_allow_list(said if isinstance(said, str) else "")
    return OutboundRules(allow, settings.outbound_proxy or None)
