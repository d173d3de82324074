"""A stranger who knows the address of a webhook keeps the real service neither out nor off the list of its calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from engine.core.clock import MovedClock
from engine.core.errors import HookPaused, SignatureInvalid
from engine.jobs.submit.hook_calls import note_refused
from storage.hooks import DELIVERIES_KEPT, UNPROVEN_KEPT
from tests.api.arrange import SERVER, House, open_house
from tests.api.routes.test_hooks import Hooks, hook_path


@pytest.fixture
async def house(new_data: Path) -> AsyncIterator[House]:
    async with open_house(new_data, MovedClock()) as made:
        yield made


async def test_unproven_calls_count_for_their_network_only(house: House):
    hooks = Hooks(house)
    hook = hooks.add("github")
    house.api.state.context.rates.clock = lambda: 5.0  # all calls come at once
    for address in ("203.0.113.7", "203.0.113.8"):
        transport = httpx.ASGITransport(house.api, client=(address, 40_000))
        async with httpx.AsyncClient(transport=transport, base_url=SERVER) as stranger:
            seen = Counter(
                [(await stranger.post(hook_path(hook.id, "github"), json={})).status_code for _ in range(60)]
            )
        assert seen == {401: 50, 429: 10}

    genuine = Counter([(await hooks.github(hook, {"n": number}, "ping")).status_code for number in range(60)])
    assert genuine == {200: 50, 429: 10}, "the service has all that a webhook takes"


async def test_strangers_who_use_the_network_of_the_service_take_nothing_from_it(house: House):
    """Anybody may point a webhook of GitHub at the address: it comes from the addresses of the real one."""
    hooks = Hooks(house)
    hook = hooks.add("github")
    house.api.state.context.rates.clock = lambda: 5.0
    strangers: Counter[int] = Counter()
    for number in range(60):
        strangers[(await hooks.call(hook_path(hook.id, "github"), {})).status_code] += 1
        if number % 2:
            assert (await hooks.github(hook, {"n": number}, "ping")).status_code == 200
    assert strangers == {401: 50, 429: 10}
    assert (await hooks.github(hook, {"n": 60}, "ping")).status_code == 200


async def test_proven_calls_count_for_the_hook_wherever_they_come_from(house: House):
    hooks = Hooks(house)
    hook = hooks.add("github")
    house.api.state.context.rates.clock = lambda: 5.0
    seen: Counter[int] = Counter()
    for number in range(60):
        house.client._transport = httpx.ASGITransport(house.api, client=(f"203.0.113.{number}", 40_000))
        seen[(await hooks.github(hook, {"n": number}, "ping")).status_code] += 1
    assert seen == {200: 50, 429: 10}


async def test_unproven_calls_push_no_others_off_the_list(house: House):
    hooks = Hooks(house)
    hook = hooks.add("github")

    def note(refusal: HookPaused | SignatureInvalid, status: int, times: int) -> None:
        for _ in range(times):
            house.database.write_now(note_refused, hook.id, refusal, status, 2, None)

    note(HookPaused(), 409, DELIVERIES_KEPT - UNPROVEN_KEPT)
    note(SignatureInvalid("It is not signed"), 401, DELIVERIES_KEPT)
    kept = Counter(line.status for line in hooks.deliveries(hook))
    assert kept == {409: DELIVERIES_KEPT - UNPROVEN_KEPT, 401: UNPROVEN_KEPT}
    note(HookPaused(), 409, DELIVERIES_KEPT)
    assert {line.status for line in hooks.deliveries(hook)} == {409}
