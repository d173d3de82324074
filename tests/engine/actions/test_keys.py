from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from engine.actions.flows import delete_flow, import_flow, rename_flow
from engine.actions.keys import change_key, create_key, revoke_key, rotate_key
from engine.core.api_key_format import new_key_text, parse_key
from engine.core.clock import HOUR, MINUTE
from engine.core.errors import Conflict, Invalid, NotAllowed, NotFound
from storage.audit import list_entries
from storage.keys import KeyProperties, find_caller, find_key_of_secret, get_key, list_keys, note_key_use
from tests.factories import flow_file, greeting, person


def caller(database, key):
    return database.read_now(find_caller, parse_key(key))


@pytest.mark.parametrize("environment", ["live", "test", "dev"])
def test_a_key_says_its_environment_and_passes_its_own_check(environment):
    key = new_key_text(environment)
    assert re.fullmatch(rf"fp_{environment}_[0-9A-Za-z]{{38}}", key)
    assert parse_key(key) is not None


def test_no_single_mistyped_character_passes_the_check():
    key = new_key_text("live")
    for position in range(len(key)):
        other = "a" if key[position] != "a" else "b"
        assert parse_key(key[:position] + other + key[position + 1 :]) is None


@pytest.mark.parametrize(
    "text",
    ["", "fp_live_", "fp_live_" + "a" * 38, " " + new_key_text("live"), "é" * 46],
    ids=["empty", "prefix only", "wrong check", "space before", "not ASCII"],
)
def test_what_is_no_key_is_refused_without_a_look_up(text):
    assert parse_key(text) is None


def test_a_key_is_shown_once_and_only_its_hash_is_stored(database, ada, tmp_path):
    made = database.write_now(create_key, ada, " Shop ", "live")
    assert caller(database, made.key).label == "Shop"
    for file in (tmp_path / "data").rglob("*"):
        assert not file.is_file() or made.key.encode() not in file.read_bytes()
    (row,) = database.read_now(list_keys, ada.workspace_id)
    assert (row.prefix, row.last4, row.created_by) == ("fp_live_", made.key[-4:], "Ada")


def test_a_revoked_key_is_refused_at_once(database, ada):
    made = database.write_now(create_key, ada, "Shop", "live")
    database.write_now(revoke_key, ada, made.id)
    assert caller(database, made.key) is None
    database.write_now(revoke_key, ada, made.id)
    assert database.read_now(get_key, ada.workspace_id, made.id).status(0) == "revoked"


def test_an_expired_key_is_refused(database, ada, clock):
    made = database.write_now(create_key, ada, "Shop", "live", expires_at=clock.now() + HOUR)
    assert caller(database, made.key) is not None
    clock.offset = HOUR + MINUTE
    assert caller(database, made.key) is None
    assert database.read_now(get_key, ada.workspace_id, made.id).status(clock.now()) == "expired"


def test_rotating_keeps_the_id_and_the_old_secret_for_the_overlap(database, ada, clock):
    old = database.write_now(create_key, ada, "Shop", "live")
    new = database.write_now(rotate_key, ada, old.id, 2)
    assert new.id == old.id
    assert new.key != old.key
    assert caller(database, old.key) == caller(database, new.key)
    clock.offset = 2 * HOUR + MINUTE
    assert caller(database, old.key) is None
    assert caller(database, new.key) is not None


def test_rotating_without_overlap_refuses_the_old_secret_at_once_and_for_good(database, ada, clock):
    clock.offset = 2 * HOUR
    old = database.write_now(create_key, ada, "Shop", "live")
    new = database.write_now(rotate_key, ada, old.id, 0)
    for clock.offset in (2 * HOUR, 0):
        assert caller(database, old.key) is None
        assert caller(database, new.key) is not None
        assert database.read_now(get_key, ada.workspace_id, old.id).older_valid_until is None


def test_the_last_rotation_bounds_the_secrets_of_earlier_ones_too(database, ada, clock):
    first = database.write_now(create_key, ada, "Shop", "live")
    second = database.write_now(rotate_key, ada, first.id, 720)
    third = database.write_now(rotate_key, ada, first.id, 2)
    assert [caller(database, one.key) is not None for one in (first, second, third)] == [True, True, True]
    clock.offset = 2 * HOUR + MINUTE
    assert [caller(database, one.key) is not None for one in (first, second, third)] == [False, False, True]
    fourth = database.write_now(rotate_key, ada, first.id, 720)
    fifth = database.write_now(rotate_key, ada, first.id, 0)
    assert [caller(database, one.key) is not None for one in (third, fourth, fifth)] == [False, False, True]


def test_a_longer_overlap_does_not_bring_an_older_secret_back(database, ada, clock):
    first = database.write_now(create_key, ada, "Shop", "live")
    database.write_now(rotate_key, ada, first.id, 1)
    second = database.write_now(rotate_key, ada, first.id, 720)
    clock.offset = HOUR + MINUTE
    assert caller(database, first.key) is None
    assert caller(database, second.key) is not None


def test_a_revoked_key_cannot_be_rotated(database, ada):
    made = database.write_now(create_key, ada, "Shop", "live")
    database.write_now(revoke_key, ada, made.id)
    with pytest.raises(Conflict):
        database.write_now(rotate_key, ada, made.id)


TILL = KeyProperties("Till", flow_ids=None, expires_at=None, concurrency=None, monthly=None)


def test_a_key_may_be_for_some_flows_and_have_lower_limits(database, ada):
    flow_id = database.write_now(import_flow, ada, flow_file(greeting())).flow_id
    made = database.write_now(create_key, ada, "Shop", "live", flow_ids=[flow_id], concurrency=2, monthly=50)
    found = caller(database, made.key)
    assert (found.flow_ids, found.concurrency, found.monthly) == ({flow_id}, 2, 50)
    before = database.read_now(get_key, ada.workspace_id, made.id).properties
    database.write_now(change_key, ada, made.id, before, TILL)
    assert caller(database, made.key).flow_ids is None


def test_a_change_leaves_what_the_person_did_not_change_as_it_is_stored(database, ada):
    flow_id = database.write_now(import_flow, ada, flow_file(greeting())).flow_id
    made = database.write_now(create_key, ada, "Shop", "live")
    seen = database.read_now(get_key, ada.workspace_id, made.id).properties
    database.write_now(change_key, ada, made.id, seen, replace(seen, flow_ids=[flow_id], monthly=5))
    database.write_now(change_key, ada, made.id, seen, replace(seen, label=" Web shop "))
    now = database.read_now(get_key, ada.workspace_id, made.id)
    assert (now.label, now.flow_ids, now.monthly) == ("Web shop", {flow_id}, 5)
    for changes in ({"flow_ids": []}, {"monthly": 50}):
        with pytest.raises(Conflict, match="Somebody has changed"):
            database.write_now(change_key, ada, made.id, seen, replace(seen, **changes))
    database.write_now(change_key, ada, made.id, seen, replace(seen, monthly=5))
    assert database.read_now(get_key, ada.workspace_id, made.id) == now


def test_a_flow_that_was_deleted_stays_with_a_key_that_is_changed(database, ada):
    flow_id = database.write_now(import_flow, ada, flow_file(greeting())).flow_id
    made = database.write_now(create_key, ada, "Shop", "live", flow_ids=[flow_id])
    database.write_now(delete_flow, ada, flow_id)
    seen = database.read_now(get_key, ada.workspace_id, made.id).properties
    database.write_now(change_key, ada, made.id, seen, replace(seen, label="Web shop"))
    assert database.read_now(get_key, ada.workspace_id, made.id).flow_ids == {flow_id}


def test_a_revoked_key_cannot_be_changed(database, ada):
    made = database.write_now(create_key, ada, "Shop", "live")
    seen = database.read_now(get_key, ada.workspace_id, made.id).properties
    database.write_now(revoke_key, ada, made.id)
    with pytest.raises(Conflict, match="This key is revoked"):
        database.write_now(change_key, ada, made.id, seen, TILL)


def test_a_key_cannot_be_for_a_foreign_flow(database, ada, stranger):
    foreign = database.write_now(import_flow, stranger, flow_file(greeting())).flow_id
    with pytest.raises(NotFound):
        database.write_now(create_key, ada, "Shop", "live", flow_ids=[foreign])


def test_every_wrong_field_is_named_at_once(database, ada):
    with pytest.raises(Invalid) as refused:
        database.write_now(create_key, ada, " ", "prod", expires_at=1, concurrency=0, monthly=-5)
    assert [error.pointer for error in refused.value.errors] == [
        "/label",
        "/environment",
        "/expires_at",
        "/concurrency",
        "/monthly",
    ]
    assert database.read_now(list_keys, ada.workspace_id) == []


def test_last_use_is_written_at_most_once_a_minute(database, ada, clock):
    made = database.write_now(create_key, ada, "Shop", "live")
    used = lambda: database.read_now(get_key, ada.workspace_id, made.id).last_used_at  # noqa: E731
    database.write_now(note_key_use, made.id)
    first = used()
    clock.offset = MINUTE // 2
    database.write_now(note_key_use, made.id)
    assert used() == first
    clock.offset = 2 * MINUTE
    database.write_now(note_key_use, made.id)
    assert used() > first


def test_a_foreign_key_looks_like_one_that_does_not_exist(database, ada, stranger):
    made = database.write_now(create_key, ada, "Shop", "live")
    for verb, more in ((revoke_key, {}), (rotate_key, {}), (change_key, {"before": TILL, "after": TILL})):
        said = []
        for key_id in (made.id, "key_none"):
            with pytest.raises(NotFound) as refused:
                database.write_now(verb, stranger, key_id, **more)
            said.append(str(refused.value).replace(key_id, "ID"))
        assert said[0] == said[1]
    assert database.read_now(list_keys, stranger.workspace_id) == []
    assert caller(database, made.key) is not None


def test_a_revoked_key_still_tells_whose_it_was_to_its_holder(database, ada):
    made = database.write_now(create_key, ada, "Shop", "live")
    database.write_now(revoke_key, ada, made.id)
    assert database.read_now(find_key_of_secret, parse_key(made.key)) == (ada.workspace_id, made.id)


def test_creating_rotating_and_revoking_stand_in_the_audit_log_without_the_key(database, ada):
    made = database.write_now(create_key, ada, "Shop", "live")
    database.write_now(rotate_key, ada, made.id)
    database.write_now(revoke_key, ada, made.id)
    entries = database.read_now(list_entries, ada.workspace_id)
    assert [row.verb for row in entries[:3]] == ["revoke key", "rotate key", "create key"]
    assert all(made.key not in row.detail for row in entries)


def test_the_audit_log_says_what_was_changed_of_a_key(database, ada):
    made = database.write_now(create_key, ada, "Shop", "live", monthly=5)
    seen = database.read_now(get_key, ada.workspace_id, made.id).properties
    flow_id = database.write_now(import_flow, ada, flow_file(greeting())).flow_id
    changed = replace(seen, label="Web shop", flow_ids=[flow_id], expires_at=HOUR * 24 * 365 * 100, monthly=None)
    database.write_now(change_key, ada, made.id, seen, changed)
    assert database.read_now(list_entries, ada.workspace_id)[0].detail == (
        "Web shop: label Web shop (before: label Shop); may call 1 flow (before: may call every flow); "
        "ends 2069-12-07T00:00:00.000Z (before: has no end); "
        "no limit of requests a month (before: 5 requests a month); only “Greeting”"
    )
    other_id = database.write_now(import_flow, ada, flow_file(greeting())).flow_id
    database.write_now(rename_flow, ada, other_id, "Farewell")
    database.write_now(change_key, ada, made.id, changed, replace(changed, flow_ids=[other_id]))
    assert database.read_now(list_entries, ada.workspace_id)[0].detail == (
        "Web shop: may call 1 flow (before: may call 1 flow); now also “Farewell”, no longer “Greeting”"
    )


def test_a_viewer_makes_no_keys(database, ada):
    with pytest.raises(NotAllowed):
        database.write_now(create_key, person(ada.workspace_id, "viewer"), "Shop", "live")
