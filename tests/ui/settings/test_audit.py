"""Settings, Audit log: texts, filters in the URL, a CSV file without formulas, and access for owners only."""

from __future__ import annotations

import ast
import csv
import io

import pytest
from nicegui import ui
from nicegui.testing import User

from engine.actions.deployments import undeploy
from engine.actions.flows import delete_flow, rename_flow
from engine.actions.keys import create_key, revoke_key
from engine.actions.members import join
from engine.actions.principal import Principal
from engine.actions.team import invite
from engine.core.clock import HOUR
from engine.core.roles import Role
from storage.members import Person, list_people
from tests.sources import nodes_of, source_files
from tests.ui.arrange import page_text, press
from tests.ui.conftest import PASSWORD, Site
from tests.workbooks import read_workbook
from ui.settings.audit_lines import names_of


def verbs_in_the_source() -> set[str]:
    """Collects the third argument of every `add_entry(...)` and the verbs about backups from the source code."""
    found = set()
    for call in (node for file in source_files() for node in nodes_of(file)):
        if not isinstance(call, ast.Call):
            continue
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        at = {"add_entry": 2, "execute": 1, "try_execute": 1, "write": 2}.get(name)
        if at is None or len(call.args) <= at:
            continue
        about_backups = name != "add_entry" and getattr(call.args[0], "id", "") == "note_backup"
        verb = call.args[at]
        if (name == "add_entry" or about_backups) and isinstance(verb, ast.Constant):
            found.add(verb.value)
    return found


def test_every_verb_that_is_logged_has_words() -> None:
    from ui.settings.audit_lines import KINDS, VERBS

    logged = verbs_in_the_source()
    assert (logged - set(VERBS), set(VERBS) - logged) == (set(), set()), (
        "give the first a kind and words in `VERBS` of ui/settings/audit_lines.py, for example"
        ' `"deploy": ("flows", _("made a version live"))`; nothing logs the second'
    )
    assert {kind for kind, _said in VERBS.values()} == set(KINDS), "each kind of `VERBS` has its label in `KINDS`"


async def test_the_log_is_told_in_sentences_that_lead_to_what_still_exists(site: Site, user: User) -> None:
    live, gone = site.flow("Web shop", live=True), site.flow("Old one")
    site.database.write_now(rename_flow, site.owner, live, "Shop")
    site.database.write_now(delete_flow, site.owner, gone)
    await user.open("/settings/audit")

    said = page_text(user)
    assert "The command line \nmade a version live" in said
    assert "Web shop: version 1" in said
    assert "deleted a flow" in said
    assert "Old one" in said
    assert "signed in \nada\n" not in said, "who did it is not said twice"
    assert "ada \nsigned in" in said
    assert "flow_" not in said
    assert user.client is not None
    links = {str(one.props.get("href")) for one in user.client.elements.values() if one.tag == "a"}
    assert f"/flows/{live}" in links
    assert f"/flows/{gone}" not in links


async def test_people_who_could_be_taken_for_another_have_their_address(site: Site, user: User) -> None:
    said = {"sam1": "Sam (Sales)", "sam2": "Sam (Support)", "eve": "Eve", "eve2": "eve", "mallory": "Command line"}
    for mail, name in said.items():
        invitation = site.database.write_now(invite, site.owner, "editor")
        await join(site.database, invitation, name, f"{mail}@example.com", PASSWORD)
    for one in site.database.read_now(list_people, site.workspace_id):
        site.database.write_now(
            create_key, Principal(site.owner.workspace_id, one.id, one.name, one.role), "Shop", "live"
        )
    await user.open("/settings/audit?kind=keys")
    shown = page_text(user)
    for name in ("Sam (Sales)", "Sam (Support)", "Eve (eve@example.com)", "eve (eve2@example.com)"):
        assert f"{name} \ncreated a key" in shown
    assert "Command line (mallory@example.com) \ncreated a key" in shown
    who = next(one for one in user.find(kind=ui.select).elements if one.props.get("aria-label") == "Who")
    assert {"The command line", "Command line (mallory@example.com)", "eve (eve2@example.com)"} <= set(
        who.options.values()
    )
    file = await user.http_client.get("/settings/audit/export.csv?kind=keys")
    rows = list(csv.DictReader(io.StringIO(file.text.removeprefix("\ufeff"))))
    assert {row["who"] for row in rows} >= {"Command line (mallory@example.com)", "Sam (Sales)"}


@pytest.mark.parametrize(
    "name",
    [
        "The  command line",
        "Command line\u00a0",
        "\u200bthe command line",
        "E\u200bve",
        "ＥＶＥ",
        "Mallory (eve@example.com)",
    ],
)
def test_a_name_that_looks_like_somebody_elses_has_its_address(name: str) -> None:
    people = [
        Person("user_1", "ws_1", "Eve", "eve@example.com", Role.OWNER, disabled=False, created_at=0),
        Person("user_2", "ws_1", name, "mallory@example.com", Role.EDITOR, disabled=False, created_at=0),
    ]
    shown = names_of(["command line", f"{name} (user_2)"], people)
    assert shown == {"command line": "The command line", f"{name} (user_2)": f"{name} (mallory@example.com)"}


async def test_filters_stand_in_the_address_and_the_file_has_the_same_lines(site: Site, user: User) -> None:
    flow_id = site.flow(live=True)
    site.database.write_now(undeploy, site.owner, flow_id)
    key = site.database.write_now(create_key, site.owner, "=cmd|' /C calc'!A0", "live")
    site.clock.offset += 2 * HOUR
    site.database.write_now(revoke_key, site.owner, key.id)
    await user.open("/settings/audit?kind=keys")
    both = page_text(user)
    await user.open("/settings/audit?kind=keys&range=1h&who=command+line")
    newest = page_text(user)
    file = await user.http_client.get("/settings/audit/export.csv?kind=keys")

    assert ("created a key" in both, "revoked a key" in both, "switched an API off" in both) == (True, True, False)
    assert ("created a key" in newest, "revoked a key" in newest) == (False, True)
    rows = list(csv.DictReader(io.StringIO(file.text.removeprefix("\ufeff"))))
    assert [row["verb"] for row in rows] == ["revoke key", "create key"]
    assert all(row["detail"].startswith("'=") for row in rows)
    assert rows[0]["who"] == "The command line"
    assert "attachment" in file.headers["content-disposition"]


async def test_choosing_a_filter_changes_the_address_and_the_file(site: Site, user: User) -> None:
    site.database.write_now(create_key, site.owner, "Shop", "live")
    await user.open("/settings/audit")
    assert user.client is not None
    choice = next(
        one
        for one in user.client.elements.values()
        if isinstance(one, ui.select) and one.props.get("aria-label") == "What"
    )
    choice.value = "sign_ins"
    await user.should_not_see("created a key")
    await user.should_see("signed in")

    links = {str(one.props.get("href")) for one in user.client.elements.values() if one.props.get("href")}
    assert {f"/settings/audit/export.{ending}?kind=sign_ins" for ending in ("csv", "xlsx")} <= links
    (sheet,) = read_workbook((await user.http_client.get("/settings/audit/export.xlsx?kind=keys")).content).values()
    assert sheet[0][:2] == ["at", "who"]


async def test_a_long_log_is_read_in_pages(site: Site, user: User) -> None:
    for number in range(60):
        site.database.write_now(create_key, site.owner, f"Key {number:02}", "dev")
    await user.open("/settings/audit?kind=keys")
    assert "Key 59" in page_text(user)
    assert "Key 09" not in page_text(user)
    press(user, "Older lines")
    await user.should_see("Key 09")
    assert "Key 59" not in page_text(user)
    press(user, "Newest")
    await user.should_see("Key 59")

    file = await user.http_client.get("/settings/audit/export.csv?kind=keys")
    assert file.text.count("create key") == 60


async def test_nothing_that_fits_says_how_to_see_more(site: Site, user: User) -> None:
    await user.open("/settings/audit?kind=server&range=1h&who=nobody")
    await user.should_see("Nothing fits these filters")


@pytest.mark.parametrize("role", ["editor", "viewer"])
async def test_only_owners_read_the_log(site: Site, role: str) -> None:
    site.database.write_now(invite, site.owner, "viewer", "guest@example.com")
    user = await site.sign_in(role)
    await user.open("/settings/audit")
    file = await user.http_client.get("/settings/audit/export.csv")

    assert "Only owners see who did what." in page_text(user)
    assert "guest@example.com" not in page_text(user)
    assert file.status_code == 404
    assert "guest" not in file.text
