"""The support file: it is useful, shown before it is downloaded, and free of personal data and secrets."""

from __future__ import annotations

import json

import pytest
from nicegui.testing import User

from engine.actions.connections import add_connection
from engine.actions.keys import create_key
from engine.actions.secrets import add_secret
from engine.core.settings import Settings
from engine.core.version import VERSION, read_commit
from engine.diagnostics.support import settings_without_secrets, write_support_file
from engine.secrets.sealing import open_vault
from tests.ui.arrange import FAILED, buttons, code_block, ended, page_text, press
from tests.ui.conftest import EMAIL, Site

CANARY = "canary-value-0123456789"


async def written(site: Site, settings: Settings | None = None) -> str:
    vault = open_vault(site.settings.data)
    return await write_support_file(settings or site.settings, site.database, vault, {"flowport": "0.2.0"})


async def test_it_says_what_a_helper_needs(site: Site) -> None:
    flow_id = site.flow(live=True)
    for _number in range(2):
        ended(site, flow_id, "failed")
    said = json.loads(await written(site))

    assert said["versions"]["flowport"] == "0.2.0"
    assert said["settings"]["FLOWPORT_PORT"] == 8080
    assert said["settings"]["FLOWPORT_BACKUP_PASSPHRASE"] == "not set"
    assert said["counts"]["flows"] == said["counts"]["live flows"] == 1
    assert said["counts"]["jobs"] == 2
    assert [(one["code"], one["count"]) for one in said["last_errors"]] == [("http_status", 2)]
    assert {one["state"] for one in said["check"]} <= {"ok", "note", "warn", "bad"}
    assert len(said["check"]) > 3


async def test_no_secret_name_or_value_of_anybody_is_in_it(site: Site) -> None:
    vault = open_vault(site.settings.data)
    flow_id = site.flow("Very private title", live=True)
    ended(site, flow_id, "failed", error={**FAILED, "message": f"{CANARY} at https://private.example"})
    key = site.database.write_now(create_key, site.owner, "Private label", "live")
    site.database.write_now(add_secret, site.owner, vault, "Private secret", CANARY, "api.example.com")
    site.database.write_now(
        add_connection, site.owner, vault, "box", "openai_compatible", base_url="http://localhost:1/v1", key=CANARY
    )
    settings = Settings(
        data=site.settings.data,
        public_url=f"https://{CANARY}.example",
        outbound_proxy="http://ann:proxy-password@proxy.example",
        admin_email=EMAIL,
        backup_passphrase="passphrase-of-the-backups",
    )
    text = await written(site, settings)

    assert "••••" in text
    for private in (
        CANARY, key.key, "proxy-password", "passphrase-of-the-backups", EMAIL, "Very private", "Private label", "Hello", "box",
        "private.example", site.workspace_id, flow_id,
    ):  # fmt: skip
        assert private not in text


def test_a_new_setting_is_told_only_as_set_or_not_unless_it_is_known_to_hold_no_secret() -> None:
    told = settings_without_secrets(Settings(backup_passphrase="x", admin_email="a@example.com"))

    assert {name for name, value in told.items() if value in ("set", "not set")} == {
        "FLOWPORT_DATA", "FLOWPORT_OUTBOUND_PROXY", "FLOWPORT_ADMIN_EMAIL", "FLOWPORT_ADMIN_PASSWORD_FILE",
        "FLOWPORT_SECRET_KEY_FILE", "FLOWPORT_METRICS_TOKEN_FILE", "FLOWPORT_BACKUP_PASSPHRASE",
        "FLOWPORT_BACKUP_PASSPHRASE_FILE", "FLOWPORT_DATABASE_URL",
        "FLOWPORT_DATABASE_DIRECT_URL",
    }  # fmt: skip


async def test_it_is_shown_before_it_is_downloaded_as_it_stands(site: Site, user: User) -> None:
    await user.open("/settings/about")
    assert f"Flowport\n{VERSION}" in page_text(user)
    assert read_commit() in page_text(user)
    assert "Download the support file" not in buttons(user)
    press(user, "Make the support file")
    await user.should_see("Read it first")
    shown = code_block(user, "Support file")
    press(user, "Download the support file")
    answer = await user.download.next()

    assert json.loads(shown)["settings"]["FLOWPORT_PORT"] == 8080
    assert answer.text.strip() == shown.strip()


@pytest.mark.parametrize("role", ["editor", "viewer"])
async def test_only_the_owner_of_the_server_makes_one(site: Site, role: str) -> None:
    user = await site.sign_in(role)
    await user.open("/settings/about")

    assert "Make the support file" not in buttons(user)
