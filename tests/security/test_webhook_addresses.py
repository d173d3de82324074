"""Where webhooks and redirects may lead: neither a caller's URL nor a public page reaches what only the owner's list
opens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.browser.page_requests import PageRequests
from engine.core.paths import ASSETS
from engine.jobs.outbound_rules import check_callers_address
from engine.jobs.submit.batches import accept_batch
from engine.jobs.submit.bodies import SubmitOptions
from engine.jobs.webhook_delivery import Webhooks
from engine.outbound.allow_list import INTERNAL_SUFFIXES
from engine.outbound.client import AddressNotAllowed, OutboundClient, OutboundRules, parse_allow_list
from engine.outbound.errors import BadUrl, OutboundRefused
from engine.secrets.sealing import open_vault
from storage.webhooks import DeliveryRow, list_deliveries
from tests.engine.jobs.world import World, open_world
from tests.stand_ins.network import Names, RecordedNetwork
from tests.stand_ins.web_server import answer, serve
from tests.stand_ins.webhook_receiver import WebhookReceiver

PUBLIC = "93.184.216.34"
INSIDE = "10.0.0.7"


@pytest.fixture
def world(new_data: Path) -> Iterator[World]:
    made = open_world(new_data)
    yield made
    made.database.close()


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


async def delivered(world: World, rules: OutboundRules, flow_id: str) -> list[DeliveryRow]:
    """Attempts the flow's deliveries once and returns them."""
    outbound = OutboundClient(rules)
    webhooks = Webhooks(world.database, outbound, open_vault(world.data))
    try:
        await webhooks.pass_over()
        await webhooks.settled()
    finally:
        await webhooks.close()
        await outbound.aclose()
    return world.read(list_deliveries, world.workspace_id, flow_id)


async def ended(world: World, flow_id: str, url: str | None) -> None:
    await world.runs().carry(world.submit(flow_id, {"n": 7}, webhook_url=url).job_id)


@pytest.mark.process
async def test_a_callers_address_does_not_use_the_owners_list(world: World, receiver: WebhookReceiver) -> None:
    entry = receiver.origin.removeprefix("http://")
    flow_id = world.add_flow()
    await ended(world, flow_id, receiver.url)
    (row,) = await delivered(world, OutboundRules(parse_allow_list(entry)), flow_id)
    assert receiver.deliveries == []
    assert (row.status, row.by_caller, row.log[0]["status"]) == ("waiting", True, None)
    assert "Callers' webhooks (FLOWPORT_WEBHOOK_ALLOW)" in row.log[0]["message"]


@pytest.mark.process
async def test_a_callers_address_in_a_batch_does_not_either(world: World, receiver: WebhookReceiver) -> None:
    entry = receiver.origin.removeprefix("http://")
    flow_id = world.add_flow()
    options = SubmitOptions(webhook_url=receiver.url)
    batch = world.write(accept_batch, world.caller, flow_id, {"items": [{"n": 1}]}, options)
    await world.runs().carry(batch.job_ids[0])
    rows = await delivered(world, OutboundRules(parse_allow_list(entry)), flow_id)
    assert receiver.deliveries == []
    assert sorted((row.event, row.by_caller) for row in rows) == [("batch.completed", True), ("job.completed", True)]


@pytest.mark.process
async def test_a_callers_address_uses_the_list_for_callers(world: World, receiver: WebhookReceiver) -> None:
    entry = receiver.origin.removeprefix("http://")
    flow_id = world.add_flow()
    await ended(world, flow_id, receiver.url)
    (row,) = await delivered(world, OutboundRules(callers=parse_allow_list(entry)), flow_id)
    assert (row.status, len(receiver.deliveries)) == ("delivered", 1)


@pytest.mark.process
async def test_the_flows_own_webhook_uses_the_owners_list(world: World, receiver: WebhookReceiver) -> None:
    entry = receiver.origin.removeprefix("http://")
    flow_id = world.add_flow(settings={"webhook_url": receiver.url})
    await ended(world, flow_id, None)
    (row,) = await delivered(world, OutboundRules(parse_allow_list(entry)), flow_id)
    assert (row.status, row.by_caller, len(receiver.deliveries)) == ("delivered", False, 1)


@pytest.mark.process
async def test_the_list_for_callers_opens_nothing_to_flows(receiver: WebhookReceiver) -> None:
    outbound = OutboundClient(OutboundRules(callers=parse_allow_list(receiver.origin.removeprefix("http://"))))
    with pytest.raises(AddressNotAllowed):
        await outbound.request("POST", receiver.url)
    await outbound.aclose()
    assert receiver.requests == []


CALLERS = "10.0.0.7:3000, 127.0.0.1:9000, nas.lan, hooks.invalid, 192.168.0.0/16:8443"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1/hook", "private or reserved network"),
        ("http://127.0.0.1:8000/hook", "private or reserved network"),
        ("http://localhost:8000/hook", "belongs to an internal network"),
        ("http://10.0.0.7/hook", "private or reserved network"),
        ("http://[::1]:8080/", "private or reserved network"),
        ("http://[::ffff:10.0.0.7]/", "private or reserved network"),
        ("http://169.254.169.254/latest", "private or reserved network"),
        ("http://127.1/", "ends in a number and is no IP address"),
        ("http://0x7f000001/", "ends in a number and is no IP address"),
        ("http://localhost/hook", "a name without a dot"),
        ("http://a.localhost:8080/", "names that end in .localhost"),
        ("https://intranet/", "a name without a dot"),
        ("https://printer.local/", "names that end in .local"),
        ("https://hooks.example.invalid/", "names that end in .invalid belong to no public server"),
        ("https://INVALID/", "a name without a dot"),
        ("https://hooks.example.com:5432/", "port 5432 is not among the open ports"),
    ],
)
def test_an_address_that_can_never_be_reached_is_told_without_a_look_up(url: str, why: str) -> None:
    with pytest.raises(OutboundRefused) as refused:
        check_callers_address(OutboundRules(allow=parse_allow_list("10.0.0.0/8, 127.0.0.0/8, *.local")), url)
    assert why in refused.value.message
    assert (
        "Callers' webhooks (FLOWPORT_WEBHOOK_ALLOW)" in refused.value.message or "Write it as" in refused.value.message
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/hook",
        "http://93.184.216.34:8080/",
        "http://10.0.0.7:3000/hook",
        "http://127.0.0.1:9000/",
        "http://localhost:9000/",
        "http://nas.lan:5432/",
        "https://hooks.invalid/",
        "https://printer.local:8443/",  # its name may resolve into the network that is allowed at this port
        "https://name.that.nobody.registered.example/",
        "https://hooks.test/",
        "http://intranet:8443/",
        "https://hooks.onion:8443/",
    ],
)
def test_an_address_that_may_be_reached_is_taken(url: str) -> None:
    check_callers_address(OutboundRules(callers=parse_allow_list(CALLERS)), url)


@pytest.mark.parametrize("entry", ["192.168.0.0/16", "192.168.0.0/16:5432"])
def test_with_a_network_in_the_list_a_name_is_taken_that_may_lead_there(entry: str) -> None:
    rules = OutboundRules(callers=parse_allow_list(entry))
    for host in ("hooks.example.com", "intranet", "printer.local", "hooks.onion"):
        check_callers_address(rules, f"http://{host}:5432/")


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("192.168.0.0/16:5432", "http://intranet/"),
        ("192.168.0.0/16:5432", "http://hooks.example.com:5433/"),
        ("192.168.0.0/16", "http://localhost:5432/"),
        ("192.168.0.0/16", "http://10.0.0.7/"),
        ("192.168.0.0/16", "http://127.1/"),
        ("192.168.0.0/16", "https://hooks.invalid/"),
        ("192.168.0.0/16", "https://hooks.invalid:5432/"),
        ("127.0.0.1", "https://INVALID/"),
    ],
)
def test_a_network_in_the_list_opens_no_other_port_and_no_name_that_leads_nowhere(entry: str, url: str) -> None:
    with pytest.raises(OutboundRefused):
        check_callers_address(OutboundRules(callers=parse_allow_list(entry)), url)


@pytest.mark.parametrize("host", ["practice.flowport.example", "PRACTICE.flowport.example.:8443"])
def test_the_practice_site_is_no_address_for_a_webhook_whatever_the_owner_allows(host: str) -> None:
    with pytest.raises(OutboundRefused, match="nobody receives") as refused:
        check_callers_address(OutboundRules(callers=parse_allow_list("practice.flowport.example")), f"https://{host}/x")
    assert "owner" not in refused.value.message


def test_the_guide_names_all_names_that_are_refused() -> None:
    guide = (ASSETS / "help" / "webhooks.md").read_text(encoding="utf-8")
    (line,) = (one for one in guide.splitlines() if one.startswith("* names without a dot"))
    told = {*re.findall(r"`\.([a-z0-9.]+)`", line.partition("Those that")[0])}
    assert told == {one for one in INTERNAL_SUFFIXES if one != "home.arpa"} | {"invalid"}


def moved(to: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("allow", ["10.0.0.7:3000", "10.0.0.0/8", "nas.lan"])
@pytest.mark.parametrize(
    "target", ["http://10.0.0.7:3000/", "http://nas.lan:3000/", "http://leads-inside.example.com/"]
)
async def test_a_public_page_sends_nothing_on_to_what_the_owner_allowed(allow: str, target: str) -> None:
    network = RecordedNetwork({PUBLIC: moved(target)})
    names = Names({"example.com": [[PUBLIC]], "nas.lan": [[INSIDE]], "leads-inside.example.com": [[INSIDE]]})
    outbound = OutboundClient(OutboundRules(parse_allow_list(allow)), names, network)
    with pytest.raises(AddressNotAllowed, match="whatever the owner allows"):
        await outbound.request("GET", "http://example.com/")
    await outbound.aclose()
    assert network.dialled == [(PUBLIC, 80)]


async def test_a_detour_over_a_public_page_closes_the_way_back() -> None:
    network = RecordedNetwork({INSIDE: moved("http://example.com/"), PUBLIC: moved("http://10.0.0.7/")})
    outbound = OutboundClient(OutboundRules(parse_allow_list(INSIDE)), Names({"example.com": [[PUBLIC]]}), network)
    with pytest.raises(AddressNotAllowed):
        await outbound.request("GET", "http://10.0.0.7/")
    await outbound.aclose()
    assert network.dialled == [(INSIDE, 80), (PUBLIC, 80)]


@pytest.mark.process
async def test_between_allowed_hosts_and_from_one_to_the_web_a_redirect_leads_on() -> None:
    async def hello(asked, write):
        await write(answer(200, b"hello"))

    async with serve(hello) as end:

        async def on(asked, write):
            await write(answer(302, b"", location=end.url("/", host="localhost")))

        async with serve(on) as start:
            outbound = OutboundClient(OutboundRules(parse_allow_list("127.0.0.1")))
            assert (await outbound.request("GET", start.url())).body == b"hello"
            await outbound.aclose()
    network = RecordedNetwork({INSIDE: moved("http://example.com/")})
    outbound = OutboundClient(
        OutboundRules(parse_allow_list("nas.lan")), Names({"nas.lan": [[INSIDE]], "example.com": [[PUBLIC]]}), network
    )
    assert (await outbound.request("GET", "http://nas.lan/")).url == "http://example.com/"
    await outbound.aclose()


async def test_the_scripts_of_a_public_page_follow_no_name_that_leads_inside_by_then() -> None:
    """The host of a public page resolves to a private address while the page is rendered: its requests are refused."""
    network = RecordedNetwork()
    names = Names({"example.com": [[PUBLIC], [INSIDE]]})
    outbound = OutboundClient(OutboundRules(parse_allow_list("10.0.0.0/8")), names, network)
    page = await outbound.request("GET", "http://example.com/")
    network.dialled.clear()
    network.answers[INSIDE] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"
    ask = PageRequests(outbound.request)
    with pytest.raises(AddressNotAllowed):
        await ask(page, "GET", "http://example.com/data", {}, None, 5.0, 1_000)
    await outbound.aclose()
    assert network.dialled == []


async def test_the_scripts_of_a_page_get_no_answer_that_leads_to_no_address() -> None:
    network = RecordedNetwork({PUBLIC: moved("http://[")})
    outbound = OutboundClient(OutboundRules(), Names({"example.com": [[PUBLIC]]}), network)
    page = await outbound.request("GET", "http://example.com/", follow_redirects=False)
    with pytest.raises(BadUrl, match="is not opened"):
        await PageRequests(outbound.request)(page, "GET", "http://example.com/data", {}, None, 5.0, 1_000)
    await outbound.aclose()
