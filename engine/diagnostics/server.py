"""All checks of a server, in the order in which they are shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from engine.browser.browser import browser_of
from engine.core.settings import BadSetting, Settings
from engine.diagnostics.browser_access import Opened, check_way_in
from engine.diagnostics.findings import Line
from engine.diagnostics.local import check_folder_and_database
from engine.diagnostics.outbound import check_outside
from engine.jobs.outbound_rules import entries_that_count_no_more, outbound_rules
from engine.outbound.client import OutboundClient
from engine.sandbox.system_calls import can_limit_calls
from engine.secrets.sealing import Vault
from storage.database import Database
from storage.secrets import count_secrets_without_hosts


async def check_server(
    settings: Settings,
    database: Database,
    vault: Vault,
    *,
    opened: Opened | None = None,
    running: bool | None = None,
    outside: bool = True,
) -> AsyncIterator[Line]:
    """Yields the results of all checks.

    `opened` is how the requesting page was opened, None outside the browser. `running` as in
    `check_folder_and_database`. `outside` False leaves out the checks that send requests.
    """
    of_machine = await asyncio.to_thread(
        lambda: list(check_folder_and_database(settings, database, vault, running=running))
    )
    for line in of_machine:
        yield line
    yield await asyncio.to_thread(_foreign_files)
    for line in check_way_in(settings, opened) if opened is not None else ():
        yield line
    try:
        rules = outbound_rules(settings, database)
    except BadSetting as error:
        yield Line("Allowed addresses", "bad", str(error), "Mend that setting and start again.")
        return
    if (count := database.read_now(count_secrets_without_hosts)) > 0:
        who = "1 secret may" if count == 1 else f"{count} secrets may"
        yield Line(
            "Secrets", "warn", f"{who} be sent to any host.", "Name its hosts under Settings, Models and secrets."
        )
    for sentence in entries_that_count_no_more(database):
        yield Line("Allowed addresses", "bad", sentence, "It counts no more. Change the list under Settings, Server.")
    if not outside:
        return
    outbound = OutboundClient(rules, renderer=browser_of)
    try:
        async for line in check_outside(settings, database, vault, outbound):
            yield line
    finally:
        await outbound.aclose()


def _foreign_files() -> Line:
    """Checks whether the processes that read foreign files can be limited to a list of system calls."""
    if can_limit_calls():
        return Line(
            "Foreign files", "ok", "Files, pages and templates are read in processes that can open and reach nothing."
        )
    return Line(
        "Foreign files",
        "warn",
        "This system cannot limit the system calls of a process (seccomp): files, pages and templates are read behind "
        "limits of memory, time and open files alone.",
        "Run Flowport on Linux on x86-64 or arm64. In a container, use a profile that allows `prctl` with seccomp, as "
        "Docker's own does.",
    )
