"""Settings, Data and Server: the owner's changes take effect and are audited; nobody else sees or makes them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from nicegui.testing import User

from engine.actions.server import set_outbound_allow
from engine.backups.backups import list_backups, new_name, restore_backup, write_backup
from engine.backups.last_backup import note_made
from engine.backups.passphrase import find_passphrase
from engine.backups.work_folders import backups_folder
from engine.jobs.outbound_rules import outbound_rules
from engine.jobs.server.retention import Rules, read_rules
from engine.secrets.sealing import open_vault
from storage.audit import list_entries
from storage.settings import (
    BACKUP_MADE,
    BACKUP_PASSPHRASE,
    OUTBOUND_ALLOW,
    SERVER,
    WEBHOOK_HOSTS_LEFT,
    find_setting,
    known_names,
    put_setting,
)
from tests.ui.arrange import box, buttons, page_text, press, until
from tests.ui.conftest import Site

PASSPHRASE = "correct horse"


def verbs(site: Site) -> list[str]:
    return [entry.verb for entry in site.database.read_now(list_entries, site.workspace_id)]


async def test_the_copies_from_before_upgrades_are_named_with_their_size(site: Site, user: User) -> None:
    folder = backups_folder(site.settings.data)
    (folder / "before-migration-from-0031.db").write_bytes(b"x" * (4 << 20))
    await user.open("/settings/data")
    assert "Among them, from before an upgrade" in page_text(user)
    assert "before-migration-from-0031.db, 4" in page_text(user)


async def test_back_up_now_makes_a_file_that_its_passphrase_opens(site: Site, user: User, tmp_path) -> None:
    await user.open("/settings/data")
    await user.should_see("Nightly backups have no passphrase.")
    press(user, "Back up now")
    await user.should_see("Only this passphrase opens the file")
    box(user, "Passphrase").value = "short"
    press(user, "Make the backup")
    await user.should_see("The passphrase has 5 characters")
    box(user, "Passphrase").value = PASSPHRASE
    box(user, "Once more").value = "correct house"
    press(user, "Make the backup")
    await user.should_see("The two are not the same.")
    box(user, "Once more").value = PASSPHRASE
    press(user, "Make the backup")
    await user.should_see("The backup is made.", retries=100)

    (made,) = list_backups(site.settings.data)
    assert (made.kind, made.has_passphrase) == ("manual", True)
    restore_backup(site.settings.data / "backups" / made.name, tmp_path / "new", passphrase=PASSPHRASE)
    assert "back up" in verbs(site)
    assert site.database.read_now(find_setting, SERVER, BACKUP_MADE)[2].endswith(f"/backups/{made.name}")


async def test_a_last_backup_in_another_place_is_told(site: Site, user: User) -> None:
    site.database.write_now(note_made, site.database.clock.now(), Path("/mnt/usb/one.fpbackup"))
    await user.open("/settings/data")
    text = page_text(user)
    assert f"on the machine {socket.gethostname()}: /mnt/usb/one.fpbackup" in text
    assert "There is no backup yet" not in text


async def test_a_backup_is_downloaded_by_the_owner_only(site: Site, user: User) -> None:
    data = site.settings.data
    name = new_name("nightly", 1_764_000_000_000)
    write_backup(data, backups_folder(data) / name, at=1_764_000_000_000)
    path = f"/settings/data/backups/{name}"
    answer = await user.http_client.get(path)
    assert (answer.status_code, answer.headers["content-disposition"]) == (200, f'attachment; filename="{name}"')
    assert answer.content == (data / "backups" / name).read_bytes()
    assert (await user.http_client.get("/settings/data/backups/..%2Fsecret.key")).status_code == 404
    assert "download backup" in verbs(site)
    async with site.browser() as stranger:
        assert (await stranger.get(path)).status_code == 303
    await site.sign_in("editor")
    assert (await user.http_client.get(path)).status_code == 404


async def test_a_passphrase_for_the_nights_is_kept_sealed(site: Site, user: User) -> None:
    await user.open("/settings/data")
    press(user, "Passphrase")
    await user.should_see("Passphrase of nightly backups")
    box(user, "Passphrase").value = box(user, "Once more").value = PASSPHRASE
    press(user, "Save the passphrase")
    await user.should_see("The next nightly backup is sealed with it.")
    vault = open_vault(site.settings.data)
    assert site.database.read_now(find_passphrase, site.settings, vault) == PASSPHRASE
    assert PASSPHRASE not in str(site.database.read_now(find_setting, SERVER, BACKUP_PASSPHRASE))
    await user.open("/settings/data")
    assert PASSPHRASE not in page_text(user)
    assert "Nightly backups have no passphrase." not in page_text(user)


async def test_how_long_things_are_kept(site: Site, user: User) -> None:
    await user.open("/settings/data")
    box(user, "Values").value = "a week"
    press(user, "Save")
    await user.should_see("Write a number.")
    box(user, "Values").value = "7"
    box(user, "Largest size of the database").value = "2,5"
    press(user, "Save")
    await user.should_see("It counts within ten minutes.")
    assert site.database.read_now(read_rules) == Rules(7, 13, 2.5)
    assert "set retention" in verbs(site)


@pytest.mark.parametrize("typed", ["7²", "9" * 5_000])
async def test_a_time_that_is_no_number_is_refused(site: Site, user: User, typed: str) -> None:
    await user.open("/settings/data")
    box(user, "Jobs and logs").value = typed
    press(user, "Save")
    await user.should_see("Write a number.")


async def test_allowed_addresses_count_at_once_and_names_may_open_the_server(site: Site, user: User) -> None:
    await user.open("/settings/server")
    box(user, "Allowed").value = "intranet.example.com\n10.0.0.0/33"
    press(user, "Save the list")
    await user.should_see("10.0.0.0/33")
    box(user, "Allowed").value = "intranet.example.com\n10.0.0.5:8080"
    press(user, "Save the list")
    await user.should_see("Saved.")
    rules = outbound_rules(site.settings, site.database)
    assert [str(entry) for entry in rules.allow] == ["intranet.example.com", "10.0.0.5:8080"]
    box(user, "Allowed for callers").value = "*.com"
    press(user, "Save the list for callers")
    await user.should_see("names that anybody can register")
    box(user, "Allowed for callers").value = "hooks.lan:9000"
    press(user, "Save the list for callers")
    await until(lambda: "set addresses of callers' webhooks" in verbs(site))
    rules = outbound_rules(site.settings, site.database)
    assert [str(entry) for entry in rules.callers] == ["hooks.lan:9000"]
    box(user, "Further names").value = "flows.lan\nFlows.lan:8080"
    press(user, "Save the names")
    box(user, "Public address").value = "https://flows.example.com/"
    press(user, "Save the address")
    await until(lambda: len(site.database.read_now(known_names)) == 3)
    assert site.database.read_now(known_names) == ("flows.lan", "flows.lan:8080", "flows.example.com")
    assert {"set allowed addresses", "set names of the server", "set public address"} <= set(verbs(site))


async def test_an_open_page_does_not_open_an_address_again_that_was_closed(site: Site, user: User) -> None:
    site.database.write_now(set_outbound_allow, site.owner, "10.0.0.5:8080\n10.0.0.6")
    await user.open("/settings/server")
    site.database.write_now(set_outbound_allow, site.owner, "10.0.0.5:8080")
    box(user, "Allowed").value = "10.0.0.5:8080\n10.0.0.6\nintranet.example.com"
    press(user, "Save the list")
    await user.should_see("Somebody changed this after you opened the page. Load the page again")
    assert site.database.read_now(find_setting, SERVER, OUTBOUND_ALLOW) == "10.0.0.5:8080"

    await user.open("/settings/server")
    for last in ("intranet.example.com", "wiki.example.com"):
        box(user, "Allowed").value = f"10.0.0.5:8080\n{last}"
        press(user, "Save the list")
        kept = f"10.0.0.5:8080, {last}"
        await until(lambda kept=kept: site.database.read_now(find_setting, SERVER, OUTBOUND_ALLOW) == kept)
        await user.should_see("Saved.")


async def test_the_owner_looks_at_what_an_upgrade_made_of_the_list_for_callers(site: Site, user: User) -> None:
    await user.open("/settings/server")
    assert "The upgrade filled this list" not in page_text(user)
    site.database.write_now(put_setting, SERVER, WEBHOOK_HOSTS_LEFT, [])
    await user.open("/settings/server")
    await user.should_see("The upgrade filled this list")
    assert "left out" not in page_text(user)
    site.database.write_now(put_setting, SERVER, WEBHOOK_HOSTS_LEFT, ["hooks.example.com:443"])
    await user.open("/settings/server")
    await user.should_see(
        "left out, as they are a flow's own webhook or may lie on the public web: hooks.example.com:443."
    )
    press(user, "Save the list for callers")
    await until(lambda: site.database.read_now(find_setting, SERVER, WEBHOOK_HOSTS_LEFT) is None)


async def test_others_see_neither_figures_nor_buttons(site: Site, user: User) -> None:
    for role in ("editor", "viewer"):
        await site.sign_in(role)
        for path in ("/settings/data", "/settings/server"):
            await user.open(path)
            await user.should_see("Owners ")
            assert not {"Back up now", "Check this server", "Save", "Save the list"} & set(buttons(user))
            assert str(site.settings.data) not in page_text(user)


@pytest.mark.process
async def test_check_this_server_shows_each_line_with_its_fix(
    site: Site, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.diagnostics.outbound.ANYWHERE", "https://practice.flowport.example/")
    await user.open("/settings/server")
    press(user, "Check this server")
    await user.should_see("Models", retries=100)
    await user.should_see("to look at", retries=200)
    shown = page_text(user)
    for name in ("Data folder", "Disk", "Clock", "Database", "Worker", "Socket origin", "Proxy headers", "Outbound"):
        assert name in shown
    assert "Start it: `app.py serve`." in shown, "nothing serves in this test"
