"""Settings, Server: the card of servers and workers."""

from __future__ import annotations

import os

from nicegui.testing import User

from engine.core.version import VERSION
from storage.workers import insert_worker
from tests.ui.arrange import page_text
from tests.ui.conftest import Site

HOSTILE = "<img src=x onerror=alert(1)>{{ 7*7 }}"


async def test_the_one_server_of_a_folder_shows_itself_and_its_workers(site: Site, user: User) -> None:
    site.database.write_now(insert_worker, "boot_1", HOSTILE, 4711, version="0.0.9", lag_ms=70)
    await user.open("/settings/server")
    await user.should_see(f"process {os.getpid()}, shows this page")
    await user.should_see(f"{HOSTILE}, process 4711")
    said = page_text(user)
    assert VERSION in said
    assert "0.0.9" in said
    assert "70 ms" in said
    assert "More than one release runs." in said
    assert "No worker runs" not in said


async def test_a_server_without_a_worker_says_that_jobs_wait(site: Site, user: User) -> None:
    await user.open("/settings/server")
    await user.should_see("No worker runs, so jobs wait in the queue.")
    site.database.write_now(insert_worker, "boot_1", "here", 4711, version=VERSION)
    await user.open("/settings/server")
    await user.should_see("here, process 4711")
    assert "No worker runs" not in page_text(user)


async def test_who_does_not_own_the_server_sees_no_process(site: Site, user: User) -> None:
    await site.sign_in("editor")
    await user.open("/settings/server")
    await user.should_see("Owners set this up.")
    assert "Servers and workers" not in page_text(user)
