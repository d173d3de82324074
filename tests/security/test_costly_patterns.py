"""The patterns of one flow hold up no other call: a request may cost about a second in all, in threads of its own."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.actions.deployments import undeploy
from engine.actions.flows import change_flow_settings, create_flow, save_as
from engine.actions.hooks import pause_hook
from engine.core.clock import MovedClock
from engine.core.errors import MAX_ERRORS
from engine.flow.document import Document
from engine.flow.job_checks import JobChecks
from engine.flow.patterns import read_pattern
from engine.flow.payload_check import PATTERN_STEPS, PayloadCheck, check_payload
from engine.jobs.submit import body_checks
from engine.jobs.submit.batches import check_items
from engine.jobs.submit.check_threads import MAX_WAITING, THREADS, CheckThreads
from tests.api.arrange import House, echo_document, open_house
from tests.api.routes.test_hooks import Hooks, hook_path
from tests.live.caller import Terminal
from tests.live_server import TLS, LiveServer
from tests.security.beside import GROWN_MIB, beside
from tests.security.test_costly_examples import NFA, flow

#: As many characters as a payload may hold against the pattern, and which RE2 looks through slowly.
LONG = ("0110111001" * 400)[: PATTERN_STEPS // read_pattern(NFA).size]
FIELDS: list[dict[str, Any]] = [{"name": "a", "type": "string", "required": True, "pattern": NFA}]
#: Without a 1 the search ends at once, while at worst it could take as many steps.
QUICK = "a" * len(LONG)
#: A text that takes some milliseconds, and a budget in which one such text has room.
SHORT, FEW_STEPS = LONG[:400], 400_000
#: Patterns that people write, some of which RE2 makes large programs of, and texts that match them.
USUAL = {
    r"^[^<>]{0,500}$": "A text without tags. " * 20,
    r"^.{1,200}$": "One line of a letter. " * 7,
    r"^[\p{L} .-]+$": "Anna-Lena Gräfin von und zu Weiß und Schwarz d. J. " * 2,
    r"^\p{L}[\p{L} '-]+$": "O'Hara Ångström",
    r"^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$": "DE89370400440532013000",
    r"^\S+@\S+$": "somebody.with.a.long.name@example.com",
    r"^(\d{4}-\d{2}-\d{2}(, )?){1,20}$": "2031-01-31, " * 20,
    r"^(#[\p{L}\p{N}_]{1,50}\s?)+$": "#grün #weiß " * 9,
}


def test_all_items_of_a_batch_share_the_time_of_their_patterns():
    check = PayloadCheck(steps=FEW_STEPS)
    begun = time.thread_time()
    for number in range(1_000):
        check.payload(FIELDS, {"a": SHORT}, f"/items/{number}")
    assert time.thread_time() - begun < 1

    errors = list(check.errors)
    assert check.ended_early
    assert [error.pointer for error in errors] == [f"/items/{number}/a" for number in range(len(errors))]
    assert all("must match" in error.detail for error in errors[:-1])
    assert errors[-1].code == "pattern"
    assert errors[-1].detail.endswith("send fewer items in one batch")


def test_usual_batches_of_a_thousand_items_are_checked_in_full():
    fields = [{**FIELDS[0], "name": f"f{place}", "pattern": pattern} for place, pattern in enumerate(USUAL)]
    item = {f"f{place}": text for place, text in enumerate(USUAL.values())}
    assert not check_items(fields, {"items": [item] * 1_000})[1]


async def test_usual_calls_of_a_flow_by_the_thousand_are_checked_in_full():
    fields = [{**FIELDS[0], "name": f"f{place}", "pattern": pattern} for place, pattern in enumerate(USUAL)]
    payload = {f"f{place}": text for place, text in enumerate(USUAL.values())}

    async def at_once(work: Any, check: PayloadCheck) -> Any:
        return work(check)

    checks = JobChecks(at_once)
    for _ in range(2_000):
        assert not await checks.run(lambda check: (check.payload(fields, payload), check.errors)[1])


async def test_defaults_that_are_checked_at_each_call_share_the_time_of_a_job():
    fits = {"required": False, "pattern": f"{NFA}|z$", "default": f"{SHORT}z"}
    fields = [{**FIELDS[0], **fits}, {**FIELDS[0], "name": "b", "pattern": "^x$"}]

    async def at_once(work: Any, check: PayloadCheck) -> Any:
        return work(check)

    checks, begun = JobChecks(at_once, steps=3 * len(SHORT) * read_pattern(NFA).size), time.thread_time()
    for _ in range(200):
        assert not await checks.run(lambda check: (check.payload(fields, {"b": "x"}), check.errors)[1])
    assert time.thread_time() - begun < 0.4, "200 such texts take about a second"


def test_no_pattern_is_run_once_the_errors_are_full():
    fields = [{"name": "n", "type": "integer"}, FIELDS[0]]
    items = [{"n": "x", "a": "1"}] * (MAX_ERRORS // 2) + [{"n": 1, "a": "1"}] * 50
    assert check_items(fields, {"items": items})[1].total == MAX_ERRORS


def test_the_defaults_of_a_payload_share_steps_too():
    group = {
        "name": "g",
        "type": "object",
        "fields": [{**FIELDS[0], "name": f"f{n}", "default": QUICK} for n in range(9)],
    }
    for field in group["fields"]:
        field["required"] = False
    assert not check_payload([group], {"g": {"f0": "1" * 1_000 + "2"}})[1], (
        "an unchecked default is no fault of the caller"
    )


async def test_whoever_sends_much_keeps_nobody_out():
    threads, gate, begun = CheckThreads(), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold() -> str:
        loop.call_soon_threadsafe(begun.set)
        gate.wait(30)
        return "held"

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        many = [group.create_task(threads.run("ws_loud", "", hold)) for _ in range(5 * THREADS)]
        await begun.wait()
        assert await threads.run("ws_other", "", lambda: "at once") == "at once"
        many[0].cancel()  # who does not wait any more keeps his turn until the work has ended
        assert await threads.run("ws_other", "", lambda: "again") == "again"
        gate.set()
    assert [task.result() for task in many[1:]] == ["held"] * (5 * THREADS - 1)


async def test_senders_of_one_workspace_take_turns():
    threads, gate, order = CheckThreads(), threading.Event(), list[str]()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(threads.run("ws", "loud", gate.wait, 15))
        await asyncio.sleep(0)
        for sender in ["loud"] * 3 + ["quiet"]:
            group.create_task(threads.run("ws", sender, order.append, sender))
        gone = group.create_task(threads.run("ws", "gone", order.append, "gone"))
        await asyncio.sleep(0)
        assert threads.waiting("ws", "loud") == 3
        gone.cancel()
        await asyncio.sleep(0)
        assert threads.waiting("ws", "gone") == 0
        gate.set()
    assert order == ["loud", "quiet", "loud", "loud"]
    assert not threads._lines


@pytest.fixture
async def house(new_data: Path) -> AsyncIterator[House]:
    async with open_house(new_data, MovedClock(), "enterprise") as made:
        yield made


@pytest.mark.parametrize("way", ["submit", "batch", "hook"])
async def test_what_has_patterns_is_checked_neither_by_a_reader_nor_by_the_writer(house: House, way: str):
    """While the threads of checks are held, such calls wait, and all others are answered."""
    hooks, payload = Hooks(house), {"url": "1" + "0" * 900 + "2"}
    patterned = house.new_flow("Patterned", fields=[{**FIELDS[0], "name": "url"}])
    hook = hooks.add(mapping={}, flow_id=patterned)
    gate = threading.Event()
    threads = house.api.state.context.checks._threads

    def call() -> Coroutine[Any, Any, httpx.Response]:
        if way == "hook":
            return hooks.call(hook_path(hook.id, "link", hook.secret), payload)
        if way == "batch":
            return house.post(f"/flows/execute/{patterned}/batch", {"items": [payload]})
        return house.post(f"/flows/execute/{patterned}", payload)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        held = group.create_task(threads.run(house.principal.workspace_id, "", gate.wait, 20))
        waiting = group.create_task(call())
        for _ in range(5):
            assert (await house.submit()).status_code == 202
        assert not waiting.done()
        gate.set()
    assert held.result()
    assert (await waiting).status_code == 202
    assert (await call()).status_code == 202


@pytest.mark.parametrize("pattern", [{}, {"pattern": "^[a-z]+$"}], ids=["free", "patterned"])
async def test_a_message_that_comes_again_is_decided_in_the_same_way_with_patterns(
    house: House, pattern: dict[str, Any]
):
    hooks = Hooks(house)
    flow_id = house.new_flow(fields=[{"name": "url", "type": "string", **pattern}])
    hook = hooks.add("github", mapping={}, flow_id=flow_id)
    checked = house.api.state.context.checks._threads

    async def send(url: str) -> tuple[int, str]:
        answer = await hooks.github(hook, {"url": url})
        return answer.status_code, answer.json().get("code") or answer.headers.get("idempotent-replayed", "")

    assert await send("first") == (202, "")
    async with asyncio.timeout(20):
        gate = threading.Event()
        held = asyncio.create_task(checked.run(house.principal.workspace_id, "", gate.wait, 15))
        assert await send("first") == (202, "true")
        assert not held.done(), "it waits for no check"
        house.database.write_now(undeploy, house.principal, flow_id)
        assert await send("first") == (202, "true")
        assert await send("second") == (404, "flow_not_deployed")
        house.database.write_now(pause_hook, house.principal, hook.id)
        assert await send("first") == (409, "hook_paused")
        gate.set()
        assert await held


async def test_a_flow_without_patterns_is_checked_by_the_writer_again(house: House):
    checks = house.api.state.context.checks
    house.change_flow(echo_document([{**FIELDS[0], "name": "url"}]))
    await house.submit({"url": "a"})
    assert house.flow_id in checks._patterned
    house.change_flow(echo_document([{"name": "url", "type": "string"}]))
    for _ in range(2):
        assert (await house.submit({"url": "a"})).status_code == 202
    assert house.flow_id not in checks._patterned


async def test_a_key_makes_no_check_for_a_flow_that_it_may_not_call(house: House):
    threads, gate = house.api.state.context.checks._threads, threading.Event()
    limited = house.new_key(flow_ids=[house.new_flow("Its only one")]).key
    async with asyncio.timeout(20):
        held = asyncio.create_task(threads.run(house.principal.workspace_id, "", gate.wait, 15))
        answer = await house.post(f"/flows/execute/{house.flow_id}/batch", {"items": [{}]}, limited)
        assert not held.done()
        gate.set()
        await held
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


@pytest.mark.parametrize("way", ["submit", "batch", "hook", "mcp"])
async def test_bodies_that_wait_for_their_check_are_bounded(house: House, monkeypatch: pytest.MonkeyPatch, way: str):
    """By what they take in memory, for each workspace and at any size: here a text of 30 KB takes 640 KB."""
    monkeypatch.setattr(body_checks, "MAX_OF_WORKSPACE", 1024 * 1024)
    checks, hooks, gate = house.api.state.context.checks, Hooks(house), threading.Event()
    fields = [{**FIELDS[0], "name": "url"}, {"name": "b", "type": "array", "items": {"type": "array"}}]
    patterned, other = house.new_flow("Patterned", fields=fields), house.other_workspace()
    others_flow, others_key = house.new_flow(principal=other, fields=fields), house.new_key(principal=other).key
    hook = hooks.add(mapping={}, flow_id=patterned)
    house.database.write_now(change_flow_settings, house.principal, patterned, {"mcp": True})
    tool = "patterned"
    payload = {"url": "1" + "0" * 900 + "2", "b": [[]] * 10_000}

    def call() -> Coroutine[Any, Any, httpx.Response]:
        if way == "hook":
            return hooks.call(hook_path(hook.id, "link", hook.secret), payload)
        if way == "mcp":
            message = {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": tool, "arguments": payload},
            }
            return house.client.post("/mcp", json=message, headers={"Authorization": f"Bearer {house.key}"})
        if way == "batch":
            return house.post(f"/flows/execute/{patterned}/batch", {"items": [payload]})
        return house.post(f"/flows/execute/{patterned}", payload)

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(checks._threads.run(house.principal.workspace_id, "", gate.wait, 15))
        first = group.create_task(call())
        while not checks._held:
            await asyncio.sleep(0.01)
        assert house.api.state.context.bodies.room.taken == 0, "it is received"
        refused = await call()
        if way == "mcp":
            assert "take too much memory together" in refused.json()["result"]["content"][0]["text"]
        else:
            assert (refused.status_code, refused.json()["code"]) == (503, "too_many_connections")
        others = await house.post(f"/flows/execute/{others_flow}/batch", {"items": [payload]}, others_key)
        assert others.status_code == 202, "another workspace has its own share"
        gate.set()
        while checks._held:
            await asyncio.sleep(0.01)
        if way == "mcp":
            house.api.state.context.stop()  # it waits for the job
    assert first.result().status_code == (200 if way == "mcp" else 202)


async def test_a_key_has_a_bounded_number_of_bodies_that_wait(house: House):
    threads, gate = house.api.state.context.checks._threads, threading.Event()
    workspace_id, own, second = house.principal.workspace_id, house.new_key(), house.new_key()
    small = {"items": [{"url": "https://example.com/"}]}
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(threads.run(workspace_id, "", gate.wait, 15))
        await asyncio.sleep(0)
        many = [group.create_task(threads.run(workspace_id, own.id, int)) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0)
        refused = await house.post(f"/flows/execute/{house.flow_id}/batch", small, own.key)
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["retry-after"] == "1"
        waits = group.create_task(house.post(f"/flows/execute/{house.flow_id}/batch", small, second.key))
        while not threads.waiting(workspace_id, second.id):
            await asyncio.sleep(0)
        for task in many:
            task.cancel()
        again = group.create_task(house.post(f"/flows/execute/{house.flow_id}/batch", small, own.key))
        while not threads.waiting(workspace_id, own.id):
            await asyncio.sleep(0)
        gate.set()
    assert again.result().status_code == waits.result().status_code == 202, "who is gone does not wait"


@pytest.mark.process
def test_batches_of_a_costly_pattern_keep_no_other_call_waiting(server: LiveServer, terminal: Terminal) -> None:
    attacker = Terminal.new(server, "pro")
    flow_id = attacker.flow(
        {"format": 1, "title": "Costly", **json.loads(flow({"type": "string", "pattern": NFA}).dumps())}
    )
    caller = attacker.caller()

    def send(items: int) -> httpx.Response:
        body = {"items": [{"a": LONG, "b": "x"}] * items}
        return caller.request("POST", f"/flows/execute/{flow_id}/batch", json=body)

    with beside(server, terminal) as watch, ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(send, [18, 60, 60]))
    watch.check()

    assert {answer.status_code for answer in answers} == {400}
    assert all("send fewer items" in answer.text for answer in answers)


@pytest.mark.process
def test_docs_of_a_costly_flow_keep_no_other_call_waiting(server: LiveServer, terminal: Terminal) -> None:
    attacker = Terminal.new(server, "pro")

    def public(field: dict[str, Any]) -> str:
        document: Document = flow(field)
        flow_id = attacker.store.write_now(create_flow, attacker.owner, "Costly", document)
        attacker.store.write_now(save_as, attacker.owner, flow_id, "Costly")
        attacker.store.write_now(change_flow_settings, attacker.owner, flow_id, {"public_docs": True})
        return flow_id

    def visit(flow_id: str) -> int:
        return httpx.get(f"{server.url}/docs/flows/{flow_id}", timeout=60, verify=TLS).status_code

    group = {"type": "object", "required": True, "fields": [{"name": f"f{n}", "type": "string"} for n in range(100)]}
    kinds: list[Callable[[int], dict[str, Any]]] = [
        lambda nth: {"type": "string", "min_length": 30_000_000 + nth},
        lambda nth: {"type": "string", "pattern": f"((((a*)*)*)*){{{nth},}}", "max_length": 1},
        lambda nth: {
            "type": "string",
            "pattern": f"{NFA}|{nth}",
            "enum": [f"{LONG[:-10]}{number:b}" for number in range(60)],
        },
        lambda nth: {
            "type": "object",
            "fields": [{**group, "name": f"g{number}", "description": str(nth)} for number in range(40)],
        },
    ]
    costly = [public(kind(nth)) for nth in range(4) for kind in kinds]  # nothing is kept of any of them
    assert visit(public({"type": "string"})) == 200
    with beside(server, terminal) as watch, ThreadPoolExecutor(6) as pool:
        seen = list(pool.map(visit, costly))
    watch.check(grown_mib=GROWN_MIB + 16)  # what the docs keep

    assert set(seen) == {200}
