"""The limit of requests per second, by key, or by address for requests without a valid key, and its response
headers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from api.app import ROUTES
from api.connection_limits import network_of
from api.http.request_rate import MOST, RequestRates
from engine.actions.keys import rotate_key
from engine.actions.limits import set_plan
from engine.core.api_key_format import new_key_text
from engine.core.clock import MovedClock, month_seconds
from tests.api.arrange import SERVER, House, open_house
from tests.security.test_key_scope import call_tool


class Stopwatch:
    """A monotonic clock in seconds that a test sets."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
async def house(new_data: Path, watch: Stopwatch) -> AsyncIterator[House]:
    """A server on the Free plan with a stopped clock, so that the current second does not end."""
    async with open_house(new_data, MovedClock()) as made:
        made.api._context.rates.clock = watch
        yield made


async def statuses(house: House, count: int, path: str = "/jobs?limit=1", key: str | None = None) -> Counter[int]:
    return Counter([(await house.get(path, key)).status_code for _ in range(count)])


async def test_a_key_of_the_free_plan_may_send_50_requests_a_second(house: House, watch: Stopwatch):
    assert await statuses(house, 50) == {200: 50}

    refused = await house.get("/jobs")
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (429, "rate_limited", "1")
    assert "50 requests a second" in refused.json()["detail"]
    assert refused.headers["ratelimit-policy"] == '"requests";q=50;w=1'
    assert refused.headers["ratelimit"] == '"requests";r=0;t=1'

    watch.seconds += 0.1
    assert await statuses(house, 6) == {200: 5, 429: 1}
    watch.seconds += 60
    assert await statuses(house, 51) == {200: 50, 429: 1}


async def test_polling_as_often_as_the_plan_says_is_never_refused(house: House, watch: Stopwatch):
    for _ in range(150):
        assert (await house.get("/jobs?limit=1")).status_code == 200
        watch.seconds += 0.02


@pytest.mark.parametrize(("plan", "most"), [("pro", 200), ("enterprise", None)])
async def test_other_plans_take_more(house: House, plan: str, most: int | None):
    house.database.write_now(set_plan, house.principal, plan)
    counted = await statuses(house, 210, "/openapi.json" if most is None else "/flows")
    assert counted == ({200: 210} if most is None else {200: most, 429: 210 - most})


async def test_a_submit_tells_what_is_left_of_the_second(house: House):
    answer = await house.submit()
    window = month_seconds(house.clock.now())
    assert answer.headers["ratelimit-policy"].endswith(f'"monthly";q=1000;w={window}, "requests";q=50;w=1')
    assert answer.headers["ratelimit"].endswith(', "requests";r=49;t=1')
    house.database.write_now(set_plan, house.principal, "enterprise")
    other = house.new_key().key
    assert "requests" not in (await house.submit(key=other)).headers["ratelimit-policy"]


async def test_every_key_counts_for_itself_and_both_secrets_of_one_together(house: House):
    other = house.new_key()
    assert await statuses(house, 50) == {200: 50}
    assert (await house.get("/jobs", other.key)).status_code == 200
    rotated = house.database.write_now(rotate_key, house.principal, other.id).key
    assert await statuses(house, 50, key=rotated) == {200: 49, 429: 1}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (method, route.path)
        for route in ROUTES
        for method in route.methods
        if route.path.startswith("/public") and "{hook_id}" not in route.path  # they have no key, and their own limit
    ],
)
async def test_every_route_counts(house: House, method: str, path: str):
    await statuses(house, 50)
    ids = {"job_id": "job_x", "batch_id": "batch_x", "file_id": "file_x", "question_id": "ask_x"}
    address = path.format(flow_id=house.flow_id, **ids)
    answer = await house.client.request(method, address, headers={"Authorization": f"Bearer {house.key}"})
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")


async def test_a_refusal_of_calls_without_a_valid_key_tells_where_their_address_stands(house: House):
    assert await statuses(house, 50, key="fp_live_mistyped") == {401: 50}
    refused = await house.get("/jobs", "fp_live_mistyped")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["ratelimit-policy"] == '"requests";q=50;w=1'
    assert refused.headers["ratelimit"] == '"requests";r=0;t=1'


async def test_calls_of_tools_count(house: House):
    await statuses(house, 50)
    assert (await call_tool(house, house.key, "x")).status_code == 429


async def test_calls_without_a_valid_key_count_for_their_address(house: House):
    async with from_address(house, "203.0.113.7") as stranger, from_address(house, "203.0.113.8") as another:
        seen = [(await stranger.get("/public/v1/jobs", headers=sent)).status_code for sent in 50 * [{}]]
        seen += [(await stranger.get("/public/v1/nothing")).status_code, (await stranger.post("/mcp")).status_code]
        guess = {"Authorization": f"Bearer {new_key_text('live')}"}
        refused = await stranger.get("/public/v1/jobs", headers=guess)

        assert Counter(seen) == {401: 50, 429: 2}
        assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (
            429,
            "rate_limited",
            "1",
        )
        assert refused.headers["ratelimit"] == '"requests";r=0;t=1'
        assert (await another.get("/public/v1/jobs")).status_code == 401
        valid = {"Authorization": f"Bearer {house.key}"}
        assert (await stranger.get("/public/v1/jobs", headers=valid)).status_code == 200, "a key counts for itself"


async def test_a_network_of_ipv6_is_one_address(house: House):
    for number in range(50):
        async with from_address(house, f"2001:db8:0:1::{number:x}") as stranger:
            assert (await stranger.get("/public/v1/jobs")).status_code == 401
    async with from_address(house, "2001:db8:0:1:ffff::1") as same, from_address(house, "2001:db8:0:2::1") as next_one:
        assert (await same.get("/public/v1/jobs")).status_code == 429
        assert (await next_one.get("/public/v1/jobs")).status_code == 401


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:0:1:9::7", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_what_counts_as_one_address(address: str, network: str):
    assert network_of(address) == network


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_the_health_checks_are_not_counted(house: House, path: str):
    seen = {(await house.client.get(path)).status_code for _ in range(120)}
    assert 429 not in seen
    assert (await house.client.get("/public/v1/jobs")).status_code == 401


def test_what_is_remembered_is_bounded():
    rates = RequestRates(Stopwatch())
    for number in range(MOST + 100):
        rates.count(f"address {number}", 50)
    assert len(rates._full_at) == MOST


async def test_the_help_and_the_page_of_the_error_say_the_numbers():
    text = (Path(__file__).parents[2] / "assets" / "help" / "rate-limits.md").read_text()
    assert re.search(r"Free \| Production \| 4 \| 1,000 \| 50 \|", text)
    assert re.search(r"Pro \| Production \| 20 \| 10,000 \| 200 \|", text)


def from_address(house: House, address: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(house.api, client=(address, 40_000)), base_url=SERVER)
