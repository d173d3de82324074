"""The limits of a connection: concurrent calls, their order, and one pause for all calls when the provider asks for
it.
"""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from engine.models.client import ModelCall, ModelConnection, ModelFailed, ModelRequest, Models
from engine.models.conversation import LONGEST_WAIT
from engine.models.rate_limits import CallLimiter, CallLimiters, PauseTooLong
from engine.outbound.client import OutboundClient
from tests.stand_ins.openai_server import OpenAIServer, Said


class Room:
    """Records which calls run, which have run, and the maximum at the same time."""

    def __init__(self, turns: CallLimiter, at_once: int) -> None:
        self.turns = turns
        self.at_once = at_once
        self.inside = self.most = 0
        self.order: list[int] = []

    async def visit(self, number: int, deadline: float = float("inf")) -> None:
        async with self.turns.turn(self.at_once, deadline):
            self.order.append(number)
            self.inside += 1
            self.most = max(self.most, self.inside)
            try:
                await asyncio.sleep(0.001)
            finally:
                self.inside -= 1


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("at_once", [1, 3, 50])
async def test_never_more_than_the_cap_and_in_the_order_they_came(at_once):
    room = Room(CallLimiter(), at_once)
    await asyncio.gather(*(room.visit(number) for number in range(40)))
    assert room.most == min(at_once, 40)
    assert room.order == list(range(40))
    assert room.turns.idle


async def test_those_who_give_up_lose_no_turn():
    turns = CallLimiter()
    room = Room(turns, 2)
    visits = [asyncio.create_task(room.visit(number)) for number in range(30)]
    await asyncio.sleep(0)
    for visit in visits[::3]:
        visit.cancel()
    await asyncio.gather(*visits, return_exceptions=True)
    assert room.most == 2
    assert turns.idle
    await asyncio.gather(*(room.visit(number) for number in range(4)))


async def test_one_who_gives_up_at_the_moment_it_is_let_in_passes_the_turn_on():
    turns = CallLimiter()
    room = Room(turns, 1)
    async with turns.turn(1, float("inf")):
        second, third = asyncio.create_task(room.visit(2)), asyncio.create_task(room.visit(3))
        await asyncio.sleep(0)
    # The end of the first call admitted the second, which has not run since.
    second.cancel()
    await asyncio.gather(second, third, return_exceptions=True)
    assert room.order == [3]
    assert turns.idle


async def test_a_pause_holds_for_all_and_a_shorter_one_does_not_shorten_it():
    turns = CallLimiter()
    begun = now()
    turns.pause(0.15)
    turns.pause(0.01)
    assert not turns.idle
    entered: list[float] = []

    async def visit() -> None:
        async with turns.turn(5, float("inf")):
            entered.append(now())

    await asyncio.gather(*(visit() for _ in range(5)))
    assert [one - begun for one in entered] == [pytest.approx(0.15)] * 5


async def test_a_pause_beyond_the_deadline_is_told_at_once():
    turns = CallLimiter()
    turns.pause(60)
    with pytest.raises(PauseTooLong) as caught:
        async with turns.turn(1, now() + 5):
            pass
    assert caught.value.seconds == 60
    async with turns.turn(1, now() + 5, "another model"):
        pass


async def test_the_pause_of_a_model_takes_no_place_of_the_others():
    turns = CallLimiter()
    turns.pause(0.2, "limited")
    order: list[str] = []

    async def visit(model: str) -> None:
        async with turns.turn(1, float("inf"), model):
            order.append(model)

    await asyncio.gather(visit("limited"), visit("limited"), visit("free"), visit("free"))
    assert order == ["free", "free", "limited", "limited"]
    assert turns.idle


async def test_quiet_connections_are_forgotten_and_busy_ones_kept():
    every = CallLimiters()
    paused = every.of("paused")
    paused.pause(60)
    for number in range(1_000):
        every.of(number)
    assert every.of("paused") is paused
    assert len(every._limiters) <= CallLimiters._MOST


# Tests through a connection.


class CountingServer(OpenAIServer):
    """Counts concurrent requests.

    It answers a moment after `expected` requests arrived, so that an excess one is noticed.
    """

    expected, under_way, busiest = 1, 0, 0

    def __init__(self) -> None:
        super().__init__()
        self.full = threading.Event()

    def _send(self, handler, reply) -> None:
        with self._lock:
            self.under_way += 1
            self.busiest = max(self.busiest, self.under_way)
            if self.under_way >= self.expected:
                self.full.set()
        self.full.wait(60)
        time.sleep(0.02)
        with self._lock:
            self.under_way -= 1  # before the response is sent, as the next request could arrive first
        super()._send(handler, reply)


@pytest.fixture
def server():
    with CountingServer() as running:
        yield running


@pytest.fixture
async def models():
    outbound = OutboundClient()
    yield Models(outbound)
    await outbound.aclose()


def connect(server, **rest) -> ModelConnection:
    return ModelConnection(
        **{"name": "Mine", "provider": "vllm", "base_url": server.url, "local": True, "opens_address": True, **rest}
    )


def question(**rest) -> ModelRequest:
    return ModelRequest(**{"prompt": "Where?", "model_name": "small-model", "timeout_seconds": 120.0, **rest})


@pytest.mark.parametrize("cap", [1, 4])
@pytest.mark.process
async def test_a_connection_makes_so_many_calls_at_once(models, server, cap):
    connection = connect(server, max_concurrency=cap)
    server.expected = cap
    await asyncio.gather(*(models.ask(connection, question(prompt=str(n))) for n in range(16)))
    assert server.busiest == cap


@pytest.mark.process
async def test_questions_are_asked_in_the_order_they_came(models, server):
    connection = connect(server, max_concurrency=1)
    await models.ask(connection, question(prompt="first of all"))  # loads the SDK before time is measured
    server.requests.clear()
    await asyncio.gather(*(models.ask(connection, question(prompt=str(n))) for n in range(12)))
    assert [body["messages"][-1]["content"] for body in server.asked] == [str(n) for n in range(12)]


@pytest.mark.process
async def test_two_connections_do_not_wait_for_each_other(models, server):
    slow = connect(server, name="slow", max_concurrency=1)
    server.say(Said("Slow.", delay=300))
    waiting = asyncio.create_task(models.ask(slow, question()))
    while not server.asked:
        await asyncio.sleep(0.01)
    answer = await models.ask(connect(server, name="quick", max_concurrency=1), question())
    assert answer.text == "Hello."
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


@pytest.mark.process
async def test_a_call_that_is_told_to_wait_is_made_again_and_both_are_kept(models, server):
    server.say(Said(status=429, headers={"retry-after": "1"}), "Later.")
    answer = await models.ask(connect(server), question())
    assert answer.text == "Later."
    assert [call.error for call in answer.calls] == ["model_rate_limited", None]
    refused, asked_again = server.requests
    assert asked_again.at - refused.at >= 0.99


@pytest.mark.process
async def test_what_one_call_is_told_holds_for_every_call_of_the_model(models, server):
    server.say(Said(status=429, headers={"retry-after": "1"}))
    connection = connect(server, max_concurrency=2)
    told: list[ModelCall] = []
    first = asyncio.create_task(models.ask(connection, question(on_call=told.append)))
    while not told:
        await asyncio.sleep(0.01)
    others = [models.ask(connection, question(prompt=str(n))) for n in range(6)]
    answers = await asyncio.gather(first, *others)
    assert [answer.text for answer in answers] == ["Hello."] * 7
    refused, *later = server.requests
    assert len(later) == 7, "nobody else ran into the wall"
    assert min(seen.at for seen in later) - refused.at >= 0.99


@pytest.mark.process
async def test_a_pause_longer_than_the_time_limit_is_told_and_left_to_the_tries_of_the_node(models, server):
    server.say(Said(status=429, headers={"retry-after": "250"}))
    connection = connect(server)
    # the messages of the call that the provider refused, and of the call that the pause stops
    for told, most in (("took no more requests", 250), ("takes no more requests", LONGEST_WAIT)):
        with pytest.raises(ModelFailed, match=told) as caught:
            await models.ask(connection, question(timeout_seconds=30))
        assert (caught.value.code, caught.value.passing) == ("model_rate_limited", True)
        assert caught.value.retry_after is not None
        assert most - 60 < caught.value.retry_after <= most
    assert len(server.asked) == 1
    answer = await models.ask(connection, question(model_name="another-model"))
    assert answer.text == "Hello.", "providers limit each model by itself"


@pytest.mark.process
async def test_a_provider_that_always_says_wait_is_not_asked_for_ever(models, server):
    server.default = Said(status=429, headers={"retry-after": "0"})
    with pytest.raises(ModelFailed) as caught:
        await models.ask(connect(server), question())
    assert caught.value.code == "model_rate_limited"
    assert len(server.asked) == 4


@pytest.mark.process
async def test_a_call_that_never_got_its_turn_says_so(models, server):
    connection = connect(server, max_concurrency=1)
    server.say(Said("Slow.", delay=300))
    slow = asyncio.create_task(models.ask(connection, question()))
    while not server.asked:
        await asyncio.sleep(0.01)
    with pytest.raises(ModelFailed, match="was not asked") as caught:
        await models.ask(connection, question(timeout_seconds=0.3))
    assert (caught.value.code, caught.value.calls) == ("timeout", ())
    assert "1 call at once" in caught.value.why
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)
