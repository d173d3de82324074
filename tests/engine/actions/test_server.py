"""Only an owner of the server's first workspace can change server-wide settings, and invalid values are refused."""

from __future__ import annotations

import pytest

from engine.actions.server import (
    set_backup_passphrase,
    set_known_names,
    set_outbound_allow,
    set_public_url,
    set_rules,
    set_webhook_allow,
)
from engine.actions.workspaces import create_workspace, ensure_workspace
from engine.core.clock import HOUR
from engine.core.errors import Invalid, NotAllowed, VersionConflict
from engine.jobs.server.retention import Rules
from engine.secrets.sealing import Vault
from storage.settings import PUBLIC_URL, SERVER, find_setting, known_names, put_setting
from storage.workspaces import list_workspaces
from tests.factories import person

SETTINGS = ((set_public_url, ""), (set_known_names, ""), (set_outbound_allow, "10.0.0.1"), (set_rules, Rules()))


def test_owners_of_other_workspaces_and_editors_cannot_change_the_server(database, ada, workspace, stranger):
    for verb, value in SETTINGS:
        database.write_now(verb, ada, value)
        for somebody in (stranger, person(workspace, "editor"), person(workspace, "viewer")):
            with pytest.raises(NotAllowed):
                database.write_now(verb, somebody, value)


def test_a_clock_that_went_back_gives_the_server_to_no_other_workspace(database, clock):
    clock.offset = 2 * HOUR
    first = database.write_now(ensure_workspace, "free")
    clock.offset = 0
    others = [database.write_now(create_workspace, name) for name in ("Elsewhere", "Beyond")]
    assert database.write_now(ensure_workspace, "free") == first
    assert [row.id for row in database.read_now(list_workspaces)] == [first, *others]
    database.write_now(set_known_names, person(first), "flows.lan")
    with pytest.raises(NotAllowed):
        database.write_now(set_known_names, person(others[0]), "flows.lan")


@pytest.mark.parametrize(
    ("verb", "value"),
    [
        (set_public_url, "flows.example.com"),
        (set_public_url, "https://flows.example.com/path"),
        (set_public_url, "https://me@flows.example.com"),
        (set_public_url, "https://ü..example"),
        (set_known_names, "https://flows.lan"),
        (set_known_names, "*.lan"),
        (set_outbound_allow, "*"),
        (set_rules, Rules(values_days=0)),
        (set_rules, Rules(rows_months=121)),
        (set_rules, Rules(cap_gb=0.001)),
    ],
)
def test_what_cannot_be_meant_is_refused(database, ada, verb, value):
    with pytest.raises(Invalid):
        database.write_now(verb, ada, value)


@pytest.mark.parametrize(
    ("verb", "began", "other", "mine"),
    [
        (set_public_url, "", "https://flows.example.com", "https://pages.example.com"),
        (set_known_names, (), "flows.lan", "pages.lan"),
        (set_outbound_allow, "", "10.0.0.5:8080", "10.0.0.6"),
        (set_webhook_allow, "", "10.0.0.5:8080", "10.0.0.6"),
        (set_rules, Rules(), Rules(values_days=7), Rules(rows_months=2)),
    ],
)
def test_a_form_that_began_before_somebody_elses_change_does_not_undo_it(database, ada, verb, began, other, mine):
    now = database.write_now(verb, ada, other, began=began) or other
    with pytest.raises(VersionConflict):
        database.write_now(verb, ada, mine, began=began)
    with pytest.raises(VersionConflict):
        database.write_now(verb, ada, other, began=began)
    database.write_now(verb, ada, mine, began=now)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://flows.example.com/", "https://flows.example.com"),
        ("HTTPS://Flows.Example.com", "https://flows.example.com"),
        ("https://flows.example.com:443", "https://flows.example.com"),
        ("http://flows.example.com:80", "http://flows.example.com"),
        ("http://flows.example.com:443", "http://flows.example.com:443"),
        ("https://Büro.example:8443", "https://xn--bro-hoa.example:8443"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_the_public_address_is_kept_as_browsers_send_it_and_counts_at_once(database, ada, typed, kept):
    assert database.write_now(set_public_url, ada, typed) == kept
    assert database.read_now(find_setting, SERVER, PUBLIC_URL) == kept
    assert database.read_now(known_names) == (kept.partition("://")[2],)
    database.write_now(put_setting, SERVER, PUBLIC_URL, typed.rstrip("/"))  # an earlier version kept what was typed
    assert database.read_now(known_names) == (kept.partition("://")[2],)
    assert database.write_now(set_public_url, ada, "", began=kept) == ""


def test_further_names_may_have_the_letters_that_the_address_bar_shows(database, ada):
    assert database.write_now(set_known_names, ada, "Büro.lan:8080, flows.lan") == ("xn--bro-hoa.lan:8080", "flows.lan")


def test_a_passphrase_that_protects_nothing_is_refused(database, ada):
    with pytest.raises(Invalid, match="3 characters"):
        database.write_now(set_backup_passphrase, ada, Vault(bytes(32)), "abc")
