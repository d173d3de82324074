"""Incoming webhooks: another service starts a flow without a key, once per message; what is refused says why."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api.http.json_body import BodyLimits
from engine.actions.deployments import undeploy
from engine.actions.erasing import erase_data
from engine.actions.flows import delete_flow
from engine.actions.hooks import (
    MAX_PER_FLOW,
    NewHook,
    add_hook,
    change_hook,
    hook_path,
    pause_hook,
    remove_hook,
    renew_hook_secret,
    resume_hook,
)
from engine.core.clock import DAY, HOUR
from engine.core.errors import Conflict, Invalid, NotFound
from engine.core.logging_setup import EACH_CALL
from engine.jobs.server.erasing import finish_erasing
from engine.jobs.server.retention import Retention
from engine.secrets.opening import open_all
from engine.secrets.sealing import Vault, open_vault
from storage.audit import list_entries
from storage.hooks import (
    DELIVERIES_KEPT,
    DeliveryLine,
    add_message,
    find_last_call,
    get_hook,
    list_hook_deliveries,
    list_hooks,
)
from storage.jobs import find_job, list_jobs, read_value
from tests.api.arrange import FIELDS as FIELDS_OF_THE_HOUSE
from tests.api.arrange import House
from tests.api.routes.test_files import FIELDS, file_id_of
from tests.stored import places_of

BODY = {"page": {"address": "https://example.com/a"}, "pages": "3"}
MAPPING = {
    "url": {"from": "body", "path": ["page", "address"]},
    "max_pages": {"from": "body", "path": ["pages"]},
}


class Hooks:
    """The hooks of a house, and calls as services make them."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.vault = open_vault(house.api.state.context.settings.data)

    def add(self, preset: str = "link", mapping: Any = None, secret: str = "", flow_id: str = "") -> NewHook:
        return self.house.database.write_now(
            add_hook, self.house.principal, self.vault, flow_id or self.house.flow_id, "A service", preset,
            MAPPING if mapping is None else mapping, secret,
        )  # fmt: skip

    async def call(self, path: str, body: Any = BODY, headers: dict[str, str] | None = None) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        return await self.house.client.post(path, content=content, headers=sent)

    async def github(
        self, hook: NewHook, body: Any = BODY, event: str = "push", behind: str = "", **headers: str
    ) -> httpx.Response:
        content = json.dumps(body).encode()
        signature = "sha256=" + hmac.new(hook.secret.encode(), content, hashlib.sha256).hexdigest()
        return await self.call(
            hook_path(hook.id, "github") + behind,
            content,
            {
                "X-Hub-Signature-256": signature,
                "X-GitHub-Event": event,
                **{name.replace("_", "-"): headers[name] for name in headers},
            },
        )

    def deliveries(self, hook: NewHook) -> list[DeliveryLine]:
        workspace_id = self.house.principal.workspace_id
        return self.house.database.read_now(list_hook_deliveries, workspace_id, hook.id, 1_000)

    def jobs(self) -> int:
        return len(self.house.database.read_now(list_jobs, self.house.principal.workspace_id).jobs)


@pytest.fixture
def hooks(house: House) -> Hooks:
    return Hooks(house)


async def test_a_service_starts_a_flow_with_the_whole_address(hooks: Hooks) -> None:
    hook = hooks.add()
    answer = await hooks.call(hook_path(hook.id, "link", hook.secret))
    assert answer.status_code == 202, answer.text
    assert answer.headers["cache-control"] == "no-store"
    job_id = answer.json()["job_id"]
    job = hooks.house.database.read_now(find_job, hooks.house.principal.workspace_id, job_id)
    assert job is not None
    assert (job.environment, job.trigger, job.key_id) == ("live", f"hook:{hook.id}", None)
    payload = hooks.house.database.read_now(read_value, job_id, "payload")
    assert payload == {"url": "https://example.com/a", "max_pages": 3, "tags": []}
    (line,) = hooks.deliveries(hook)
    assert (line.status, line.code, line.job_id) == (202, "accepted", job_id)


async def test_a_service_names_only_files_of_its_flow(hooks: Hooks) -> None:
    flow_id = hooks.house.new_flow(fields=FIELDS)
    hook = hooks.add(mapping={}, flow_id=flow_id)
    file_id = await file_id_of(hooks.house)

    refused = await hooks.call(hook_path(hook.id, "link", hook.secret), {"document": file_id})
    await hooks.house.post(f"/flows/execute/{flow_id}", {"document": file_id})
    named = await hooks.call(hook_path(hook.id, "link", hook.secret), {"document": file_id})

    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "file_not_found")
    assert named.status_code == 202


async def test_github_is_heard_its_ping_answered_and_a_redelivery_gets_the_same_job(hooks: Hooks) -> None:
    hook = hooks.add("github")
    ping = await hooks.github(hook, {"zen": "Keep it simple."}, "ping")
    assert (ping.status_code, ping.json()) == (200, {"status": "ok"})
    first = await hooks.github(hook, X_GitHub_Delivery="one")
    again = await hooks.github(hook, X_GitHub_Delivery="two")  # the id is not signed
    assert first.status_code == again.status_code == 202
    assert first.json()["job_id"] == again.json()["job_id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert hooks.jobs() == 1
    assert [line.code for line in hooks.deliveries(hook)] == ["repeated", "accepted", "ping"]
    assert hooks.deliveries(hook)[0].event == "push"


async def test_a_message_is_the_same_with_another_secret_and_another_signature_in_front(hooks: Hooks) -> None:
    house, body = hooks.house, json.dumps(BODY).encode()
    hook = hooks.add("github")
    first = await hooks.github(hook)
    renewed = house.database.write_now(renew_hook_secret, house.principal, hooks.vault, hook.id)
    again = await hooks.github(renewed)
    assert (again.json()["job_id"], again.headers["idempotent-replayed"]) == (first.json()["job_id"], "true")

    stripe, time = hooks.add("stripe"), str(house.clock.now() // 1_000)
    signature = hmac.new(stripe.secret.encode(), f"{time}.".encode() + body, hashlib.sha256).hexdigest()
    for front in ("", "v1=00,", "v1=01,"):
        signed = {"Stripe-Signature": f"t={time},{front}v1={signature}"}
        assert (await hooks.call(hook_path(stripe.id, "stripe"), body, signed)).status_code == 202
    assert hooks.jobs() == 2


async def test_a_message_that_the_release_before_stored_is_known(hooks: Hooks) -> None:
    hook = hooks.add("github")
    signature = "sha256=" + hmac.new(hook.secret.encode(), json.dumps(BODY).encode(), hashlib.sha256).hexdigest()
    stored = hashlib.sha256(f"github {signature}".encode()).hexdigest()
    job_id = (await hooks.house.submit()).json()["job_id"]
    hooks.house.database.write_now(add_message, hook.id, stored, job_id)
    assert (await hooks.github(hook)).json()["job_id"] == job_id


async def test_a_body_that_stalls_is_refused_as_the_guide_says(hooks: Hooks) -> None:
    async def stalls() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    hook = hooks.add("github")
    hooks.house.api.state.context.hook_bodies.limits = BodyLimits(receive_seconds=0.01)
    answer = await hooks.house.client.post(hook_path(hook.id, "github"), content=stalls())
    assert (answer.status_code, answer.json()["code"]) == (408, "request_timeout")
    guide = Path(__file__).parents[3] / "assets/help/incoming-webhooks.md"
    assert "\n| 408 | `request_timeout`" in guide.read_text(encoding="utf-8")


async def test_github_may_send_a_form(hooks: Hooks) -> None:
    hook = hooks.add("github")
    content = httpx.QueryParams({"payload": json.dumps(BODY)}).__str__().encode()
    signature = "sha256=" + hmac.new(hook.secret.encode(), content, hashlib.sha256).hexdigest()
    form = {"X-Hub-Signature-256": signature, "Content-Type": "application/x-www-form-urlencoded"}
    assert (await hooks.call(hook_path(hook.id, "github"), content, form)).status_code == 202
    form["X-Hub-Signature-256"] = "sha256=" + hmac.new(hook.secret.encode(), b"a=1", hashlib.sha256).hexdigest()
    refused = (await hooks.call(hook_path(hook.id, "github"), b"a=1", form)).json()
    assert refused["code"] == "invalid_json"
    assert "no field `payload`" in refused["detail"]


async def test_stripe_and_standard_webhooks_are_heard_with_the_secret_of_the_service(hooks: Hooks) -> None:
    at = hooks.house.database.clock.now() // 1_000
    content = json.dumps({"id": "evt_1", "type": "invoice.paid", **BODY}).encode()
    stripe = hooks.add("stripe", secret="whsec_made_by_stripe")
    signed = hmac.new(stripe.secret.encode(), f"{at}.".encode() + content, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={at},v1={signed}"}
    first = await hooks.call(hook_path(stripe.id, "stripe"), content, headers)
    again = await hooks.call(hook_path(stripe.id, "stripe"), content, headers)
    assert (first.status_code, again.json()) == (202, first.json())
    assert hooks.deliveries(stripe)[-1].event == "invoice.paid"
    hooks.house.clock.offset += HOUR
    late = await hooks.call(hook_path(stripe.id, "stripe"), content, headers)
    assert (late.status_code, late.json()["code"]) == (401, "signature_invalid")
    assert "old" in hooks.deliveries(stripe)[0].reason


@pytest.mark.parametrize("preset", ["link", "github", "stripe", "standard"])
async def test_a_forged_call_is_refused_and_told_to_the_owner(hooks: Hooks, preset: str) -> None:
    hook = hooks.add(preset, secret="" if preset == "link" else "a secret of ours")
    for path in (hook_path(hook.id, preset), hook_path(hook.id, preset, "wrong")):
        answer = await hooks.call(path, headers={"X-Hub-Signature-256": "sha256=0", "Stripe-Signature": "t=1,v1=0"})
        assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid")
    lines = hooks.deliveries(hook)
    assert len(lines) == 1, "at most one of them in a second is stored"
    assert (lines[0].status, lines[0].code) == (401, "signature_invalid")
    assert lines[0].reason
    assert hooks.jobs() == 0
    workspace_id = hooks.house.principal.workspace_id
    assert hooks.house.database.read_now(find_last_call, workspace_id, hook.id) is None, "its body is nobody's"


@pytest.mark.parametrize("path", ["/public/v1/hooks/hook_unknown", "/public/v1/hooks/hook_unknown/secret"])
async def test_an_unknown_address_is_not_found(hooks: Hooks, path: str) -> None:
    answer = await hooks.call(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await hooks.house.client.get(path)).status_code == 405


async def test_behind_the_address_of_a_signed_hook_there_is_none(hooks: Hooks) -> None:
    hook = hooks.add("github")
    answer = await hooks.github(hook, behind="/more")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await hooks.github(hook)).status_code == 202


@pytest.mark.parametrize(
    ("number", "status"),
    [(b"7.0", 202), (b"9223372036854775807", 202), (b"1e19", 400), (b"-1e19", 400), (b"1e300", 400)],
)
async def test_a_whole_number_has_64_bits_as_in_a_call(hooks: Hooks, number: bytes, status: int) -> None:
    flow_id = hooks.house.new_flow(fields=[*FIELDS_OF_THE_HOUSE, {"name": "n", "type": "integer"}])
    hook = hooks.add(mapping={}, flow_id=flow_id)
    body = b'{"url": "https://example.com", "n": ' + number + b"}"
    assert (await hooks.call(hook_path(hook.id, "link", hook.secret), body)).status_code == status


@pytest.mark.parametrize("name", ["a/b", "c~d", "e~1f", "g~0/h"])
async def test_a_refusal_names_the_source_of_a_field_with_any_name(hooks: Hooks, name: str) -> None:
    flow_id = hooks.house.new_flow(fields=[*FIELDS_OF_THE_HOUSE, {"name": name, "type": "integer"}])
    hook = hooks.add(mapping={**MAPPING, name: {"from": "body", "path": ["deep", "val"]}}, flow_id=flow_id)
    assert (
        await hooks.call(hook_path(hook.id, "link", hook.secret), {**BODY, "deep": {"val": "no"}})
    ).status_code == 400
    (line,) = hooks.deliveries(hook)
    assert "filled by “deep › val” of the body" in line.reason


@pytest.mark.parametrize(
    ("kinds", "more", "status"),
    [
        ([], [], 202),
        (["application/cloudevents+json; charset=latin-1"], [], 202),
        (["application/json", "text/plain"], [], 202),
        (["text/plain", "application/json"], [], 415),
        (["application/json"], [("Accept", "text/html")], 406),
        ([], [("Content-Encoding", "")], 202),
        ([], [("Content-Encoding", "identity, Identity")], 202),
        ([], [("Content-Encoding", "identity"), ("Content-Encoding", "gzip")], 415),
    ],
)
async def test_a_service_may_send_what_the_guide_says(
    hooks: Hooks, kinds: list[str], more: list[tuple[str, str]], status: int
) -> None:
    hook = hooks.add()
    headers = [*(("Content-Type", kind) for kind in kinds), *more]
    path = f"{hook_path(hook.id, 'link', hook.secret)}?from=there"
    answer = await hooks.house.client.post(path, content=json.dumps(BODY).encode(), headers=headers)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "invalid_json"),
        (b'{"a": NaN}', "application/json", 400, "invalid_json"),
        (b"[" * 1_000, "application/json", 400, "invalid_json"),
        (b"\xff", "application/json", 400, "invalid_json"),
        (b"<a/>", "application/xml", 415, "unsupported_media_type"),
        (b"x" * (1024 * 1024 + 1), "application/json", 413, "body_too_large"),
        (b"[]", "application/json", 400, "validation_failed"),
        (b'"text"', "application/json", 400, "validation_failed"),
        (b"", "application/json", 400, "validation_failed"),
        (b" \t\r\n", "application/json", 400, "validation_failed"),
        (b"\x0b\x0c", "application/json", 400, "invalid_json"),
        (b'{"page": {"address": 7}}', "application/json", 400, "validation_failed"),
        (b'{"page": {"address": "no address"}}', "application/json", 400, "validation_failed"),
        (b"page=1&page=2", "application/x-www-form-urlencoded", 400, "validation_failed"),
        (b"\xff=1", "application/x-www-form-urlencoded", 400, "invalid_json"),
    ],
)
async def test_a_body_that_does_not_fit_is_refused_with_the_reason(
    hooks: Hooks, content: bytes, kind: str, status: int, code: str
) -> None:
    hook = hooks.add()
    answer = await hooks.call(hook_path(hook.id, "link", hook.secret), content, {"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    (line,) = hooks.deliveries(hook)
    assert (line.status, line.code, line.job_id) == (status, code, None)
    if code == "validation_failed":
        assert "filled by “page › address” of the body" in line.reason
    assert hooks.jobs() == 0


async def test_a_call_that_fills_fields_with_more_than_a_request_may_have_is_refused(hooks: Hooks) -> None:
    names = [f"f{number}" for number in range(21)]
    flow_id = hooks.house.new_flow(fields=[{"name": name, "type": "string"} for name in ("url", *names)])
    hook = hooks.add(mapping={name: {"from": "all"} for name in names}, flow_id=flow_id)
    path = hook_path(hook.id, "link", hook.secret)
    taken, refused = [await hooks.call(path, {"x": "y" * size}) for size in (480_000, 500_000)]
    assert (taken.status_code, refused.status_code, refused.json()["code"]) == (202, 413, "body_too_large")
    assert hooks.jobs() == 1
    assert "more than 10 MiB together" in hooks.deliveries(hook)[0].reason


async def test_the_body_of_a_refused_but_genuine_call_is_there_to_choose_values_from(hooks: Hooks) -> None:
    hook = hooks.add(mapping={})
    workspace_id = hooks.house.principal.workspace_id
    path = hook_path(hook.id, "link", hook.secret)
    assert (await hooks.call(path, headers={"X-Custom": "1", "X-Api-Key": "k"})).status_code == 400
    last = hooks.house.database.read_now(find_last_call, workspace_id, hook.id)
    assert last is not None
    assert json.loads(last.body) == BODY
    assert last.headers["x-custom"] == "1"
    assert "x-api-key" not in last.headers
    hooks.house.database.write_now(change_hook, hooks.house.principal, hook.id, "Renamed", MAPPING)
    assert (await hooks.call(path)).status_code == 202
    assert hooks.house.database.read_now(get_hook, workspace_id, hook.id).title == "Renamed"


async def test_a_paused_hook_an_undeployed_flow_and_a_full_month_refuse(hooks: Hooks) -> None:
    house, hook = hooks.house, hooks.add()
    path = hook_path(hook.id, "link", hook.secret)
    house.database.write_now(pause_hook, house.principal, hook.id)
    paused = await hooks.call(path)
    assert (paused.status_code, paused.json()["code"]) == (409, "hook_paused")
    house.database.write_now(resume_hook, house.principal, hook.id)
    house.database.write_now(
        lambda session: session.execute(text("update workspaces set monthly = 1, concurrency = 1"))
    )
    assert (await hooks.call(path)).status_code == 202
    full = await hooks.call(path)
    assert (full.status_code, full.json()["code"]) == (429, "monthly_quota_exceeded")
    house.database.write_now(lambda session: session.execute(text("update workspaces set monthly = -1")))
    waits = await hooks.call(path)  # every slot is taken, so it waits for one
    job = house.database.read_now(find_job, house.principal.workspace_id, waits.json()["job_id"])
    assert job is not None
    assert (waits.status_code, job.status, job.counted) == (202, "queued", False)
    house.database.write_now(undeploy, house.principal, house.flow_id)
    gone = await hooks.call(path)
    assert (gone.status_code, gone.json()["code"]) == (404, "flow_not_deployed")
    assert [line.status for line in hooks.deliveries(hook)] == [404, 202, 429, 202, 409]


async def test_a_renewed_secret_counts_at_once_and_the_old_one_for_a_day(hooks: Hooks) -> None:
    house, hook = hooks.house, hooks.add()
    new = house.database.write_now(renew_hook_secret, house.principal, hooks.vault, hook.id)
    assert new.secret != hook.secret
    paths = [hook_path(hook.id, "link", secret) for secret in (hook.secret, new.secret)]
    assert [(await hooks.call(path)).status_code for path in paths] == [202, 202]
    house.clock.offset += DAY + 1_000
    assert [(await hooks.call(path)).status_code for path in paths] == [401, 202]


@pytest.mark.parametrize(("preset", "button"), [("link", "New address"), ("github", "New secret")])
async def test_after_a_lost_key_a_call_says_what_to_do_and_a_new_secret_counts_at_once(
    hooks: Hooks, preset: str, button: str
) -> None:
    house, own = hooks.house, hooks.vault
    hooks.vault = Vault(b"a" * 32)
    hook = hooks.add(preset)

    async def call(known: NewHook) -> httpx.Response:
        if preset == "github":
            return await hooks.github(known)
        return await hooks.call(hook_path(known.id, preset, known.secret))

    refused = await call(hook)
    assert (refused.status_code, refused.json()["code"]) == (400, "secret_unreadable")
    (line,) = hooks.deliveries(hook)
    assert (line.status, line.code, f"Press {button} at this webhook" in line.reason) == (
        400,
        "secret_unreadable",
        True,
    )

    new = house.database.write_now(renew_hook_secret, house.principal, own, hook.id)
    assert (await call(hook)).status_code == 401
    assert (await call(new)).status_code == 202


async def test_a_shorter_overlap_ends_the_secrets_of_earlier_renewals_too(hooks: Hooks) -> None:
    house, hook = hooks.house, hooks.add()
    middle = house.database.write_now(renew_hook_secret, house.principal, hooks.vault, hook.id)
    new = house.database.write_now(renew_hook_secret, house.principal, hooks.vault, hook.id, overlap_ms=0)
    paths = [hook_path(hook.id, "link", secret) for secret in (hook.secret, middle.secret, new.secret)]
    assert [(await hooks.call(path)).status_code for path in paths] == [401, 401, 202]


async def test_a_secret_that_ended_at_once_stays_ended_when_the_clock_goes_back(hooks: Hooks) -> None:
    house = hooks.house
    house.clock.offset += 2 * HOUR
    hook = hooks.add()
    new = house.database.write_now(renew_hook_secret, house.principal, hooks.vault, hook.id, overlap_ms=0)
    house.clock.offset -= 2 * HOUR
    paths = [hook_path(hook.id, "link", secret) for secret in (hook.secret, new.secret)]
    assert [(await hooks.call(path)).status_code for path in paths] == [401, 202]


async def test_no_secret_is_stored_or_logged_in_the_open(
    hooks: Hooks, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = hooks.add()
    path = hook_path(hook.id, "link", hook.secret)
    with caplog.at_level(logging.INFO, logger=EACH_CALL):
        await hooks.call(path)
        await hooks.call(path + "x")
        await hooks.call(path, b"{")
    said = "".join(str(record.__dict__) for record in caplog.records if record.name == EACH_CALL)
    assert hook.id in said
    assert hook.secret not in said
    assert hook.secret in hooks.house.database.read_now(open_all, hooks.vault), "the filter of logs knows it"
    data = hooks.house.api.state.context.settings.data
    assert not [file for file in data.rglob("*") if file.is_file() and hook.secret.encode() in file.read_bytes()]


async def test_erased_and_old_data_do_not_stay_with_a_hook(hooks: Hooks) -> None:
    house, hook = hooks.house, hooks.add()
    path = hook_path(hook.id, "link", hook.secret)
    workspace_id = house.principal.workspace_id
    job_id = (await hooks.call(path)).json()["job_id"]
    house.finish(job_id)
    house.database.write_now(erase_data, house.principal, job_id)
    assert house.database.read_now(find_last_call, workspace_id, hook.id) is None
    await hooks.call(path, headers={"Idempotency-Key": "a"})
    assert house.database.read_now(find_last_call, workspace_id, hook.id) is not None
    house.clock.offset += 40 * DAY
    Retention(house.database, rest=0).run()
    assert house.database.read_now(find_last_call, workspace_id, hook.id) is None
    assert hooks.deliveries(hook) == []
    assert house.database.read_now(lambda session: session.execute(text("select * from hook_messages")).all()) == []


async def test_nothing_of_an_erased_call_is_left_in_the_files(hooks: Hooks) -> None:
    house, said = hooks.house, "canary-Meyer-4Kq"
    hook = hooks.add()
    path = hook_path(hook.id, "link", hook.secret)
    body, same = {**BODY, "type": f"patient {said}"}, {"Idempotency-Key": "one"}
    kept = (await hooks.call(path, {**BODY, "type": "another"})).json()["job_id"]
    job_id = (await hooks.call(path, body, same)).json()["job_id"]
    assert (await hooks.call(path, body, same)).json()["job_id"] == job_id
    assert [line.event for line in hooks.deliveries(hook)] == [body["type"], body["type"], "another"]
    house.finish(job_id)
    data = house.api.state.context.settings.data
    assert places_of(data, said)

    house.database.write_now(erase_data, house.principal, job_id)
    assert finish_erasing(house.database)
    await hooks.call(path, body, same)

    assert places_of(data, said) == []
    lines = [(line.code, line.event, line.job_id) for line in hooks.deliveries(hook)]
    of_it = [("repeated", "", job_id), ("repeated", "", job_id), ("accepted", "", job_id)]
    assert lines == [*of_it, ("accepted", "another", kept)]


async def test_only_the_newest_calls_are_kept(hooks: Hooks) -> None:
    hook = hooks.add()
    path = hook_path(hook.id, "link", hook.secret)
    hooks.house.database.write_now(lambda session: session.execute(text("update workspaces set monthly = -1")))
    seconds = iter(range(1_000))
    hooks.house.api.state.context.rates.clock = lambda: float(next(seconds))
    for number in range(DELIVERIES_KEPT + 3):
        assert (await hooks.call(path, headers={"Idempotency-Key": str(number)})).status_code == 202
    assert len(hooks.deliveries(hook)) == DELIVERIES_KEPT


async def test_a_flood_is_refused(hooks: Hooks) -> None:
    hook = hooks.add()
    hooks.house.api.state.context.rates.clock = lambda: 5.0  # all calls come at once
    answers = [await hooks.call(hook_path(hook.id, "link", "wrong")) for _ in range(60)]
    assert {answer.status_code for answer in answers} == {401, 429}


async def test_what_a_hook_may_not_be_and_that_it_goes_with_its_flow(hooks: Hooks) -> None:
    house = hooks.house
    for preset, secret in (
        ("slack", ""),
        ("github", "short"),
        ("link", "a secret of their own"),
        ("github", "a\nb" * 9),
    ):
        with pytest.raises(Invalid):
            hooks.add(preset, secret=secret)
    with pytest.raises(NotFound):
        hooks.add(flow_id="flow_unknown")
    hook, second = hooks.add(), hooks.add("github")
    house.database.write_now(remove_hook, house.principal, second.id)
    assert (await hooks.github(second)).status_code == 404
    for _ in range(MAX_PER_FLOW - 1):
        hooks.add()
    with pytest.raises(Conflict, match="50 webhooks"):
        hooks.add()
    house.database.write_now(delete_flow, house.principal, house.flow_id)
    assert house.database.read_now(list_hooks, house.principal.workspace_id, house.flow_id) == []
    assert (await hooks.call(hook_path(hook.id, "link", hook.secret))).status_code == 404
    verbs = {entry.verb for entry in house.database.read_now(list_entries, house.principal.workspace_id)}
    assert {"add hook", "remove hook"} <= verbs
