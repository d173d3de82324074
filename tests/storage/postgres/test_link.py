"""The connection of its own that each process keeps: locks, notices, and what happens when it is lost."""

from __future__ import annotations

import asyncio
import os
import queue
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Never

import pytest

from engine.outbound.robots import CrawlPoliteness
from storage.database import Database
from storage.opening import open_database
from storage.postgres import process_link
from storage.postgres.liveness import held_locks
from storage.postgres.process_link import Link
from tests.databases import url_of
from tests.postgres_proxy import Proxy

#: Longer than anything here takes, in seconds.
LONG = 20.0


@dataclass
class Hearing:
    """A process with a link, and what it heard."""

    said: queue.Queue[tuple[str, ...]] = field(default_factory=queue.Queue)
    connected: queue.Queue[str] = field(default_factory=queue.Queue)
    link: Link = field(init=False)

    def hear(self, word: str, arguments: list[str]) -> None:
        self.said.put((word, *arguments))

    def next(self) -> tuple[str, ...]:
        return self.said.get(timeout=LONG)


@contextmanager
def linked(url: str | None, name: str, *, may_lead: bool = False, family: str | None = None) -> Iterator[Hearing]:
    assert url is not None
    hearing = Hearing()
    hearing.link = Link(url, name, hearing.hear, lambda: hearing.connected.put("yes"), may_lead=may_lead, family=family)
    hearing.link.start()
    hearing.connected.get(timeout=LONG)
    try:
        yield hearing
    finally:
        hearing.link.close()


def until(holds: Callable[[], object]) -> None:
    """Waits until something holds."""
    end = time.monotonic() + LONG
    looked = threading.Event()
    while not holds():
        assert time.monotonic() < end
        looked.wait(0.01)


@pytest.fixture
def database(new_data: Path) -> Iterator[Database]:
    opened = open_database(new_data, url=url_of(new_data))
    yield opened
    opened.close()


def test_notices_reach_all_others_and_not_their_sender(new_data: Path) -> None:
    url = url_of(new_data)
    with linked(url, "a") as one, linked(url, "b") as two, linked(url, "c") as three:
        one.link.say("end", "job_1", "job_2")
        one.link.say("wake")
        for other in (two, three):
            assert {other.next(), other.next()} == {("end", "job_1", "job_2"), ("wake",)}
        two.link.say("flow", "flow_1:7")
        assert one.next() == ("flow", "flow_1:7")


def test_a_family_sends_no_notices_until_another_is_here(new_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_link, "_UNSURE_SECONDS", 0.0)
    url = url_of(new_data)
    with linked(url, "server", family="f") as server, linked(url, "worker", family="f") as worker:
        server.link.say("wake")
        with linked(url, "guest") as guest:
            until(lambda: server.link.has_others and worker.link.has_others and guest.link.has_others)
            server.link.say("end", "job_1")
            assert worker.next() == guest.next() == ("end", "job_1")  # and no `wake` before it
            guest.link.say("wake")
            assert server.next() == worker.next() == ("wake",)


def test_more_than_one_notice_can_carry_is_told_by_several(new_data: Path) -> None:
    url = url_of(new_data)
    ids = [f"job_{number:027d}" for number in range(2_000)]
    with linked(url, "a") as one, linked(url, "b") as two:
        one.link.say("end", *ids)
        heard: list[str] = []
        while len(heard) < len(ids):
            word, *arguments = two.next()
            assert word == "end"
            heard += arguments
        assert heard == ids


def test_a_lock_is_held_while_its_process_lives(new_data: Path, database: Database) -> None:
    url = url_of(new_data)
    with linked(url, "boot_a"):
        assert database.read_now(held_locks, ["boot_a", "boot_b"]) == {"boot_a"}
    until(lambda: database.read_now(held_locks, ["boot_a"]) == set())


def test_one_leads_and_another_follows_it(new_data: Path) -> None:
    url = url_of(new_data)
    with linked(url, "b", may_lead=True) as second:
        with linked(url, "c") as third:
            until(lambda: second.link.leads)
            assert not third.link.leads
        with linked(url, "a", may_lead=True) as first:
            assert not first.link.leads
            second.link.close()
            until(lambda: first.link.leads)


def test_after_a_cut_the_lock_is_taken_again_and_notices_are_heard(
    new_data: Path, proxy: Proxy, database: Database
) -> None:
    with linked(proxy.url, "boot_a") as one, linked(url_of(new_data), "boot_b") as two:
        with proxy.away():
            until(lambda: one.link.connected_for == 0)
            until(lambda: database.read_now(held_locks, ["boot_a"]) == set())
        one.connected.get(timeout=LONG)
        until(lambda: one.link.is_held)
        two.link.say("wake")
        assert one.next() == ("wake",)


def test_a_process_with_many_open_descriptors_gets_its_link_back(
    new_data: Path, proxy: Proxy, database: Database
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2_048)), hard))
    opened: list[int] = []
    try:
        with linked(proxy.url, "boot_a") as one:
            with proxy.away():
                until(lambda: one.link.connected_for == 0)
                opened.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(1_100))
            one.connected.get(timeout=LONG)
            until(lambda: one.link.is_held)
            with linked(url_of(new_data), "boot_b") as two:
                two.link.say("wake")
                assert one.next() == ("wake",)
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_lock_that_one_process_holds_is_given_to_nobody_until_it_is_let_go(new_data: Path) -> None:
    url = url_of(new_data)
    with linked(url, "a") as one, linked(url, "b") as two:
        assert one.link.hold("site example.com:443 0")
        assert not one.link.hold("site example.com:443 0")
        assert not two.link.hold("site example.com:443 0")
        one.link.let_go("site example.com:443 0")
        until(lambda: two.link.hold("site example.com:443 0"))


def test_a_lock_that_is_given_too_late_is_given_back(
    new_data: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_link, "_HOLD_SECONDS", 0.2)
    with linked(proxy.url, "a") as one, linked(url_of(new_data), "b") as two:
        until(lambda: one.link.is_held)
        with proxy.silent():
            assert not one.link.hold("site example.com:443 0")
        monkeypatch.undo()
        assert one.link.hold("another site"), "the link has had the first answer"
        assert two.link.hold("site example.com:443 0")


@dataclass
class Asked:
    """The link of a process that tells when it is asked for a lock."""

    link: Link
    asked: threading.Event

    @property
    def connected_for(self) -> float:
        return self.link.connected_for

    def hold(self, name: str) -> bool:
        self.asked.set()
        return self.link.hold(name)

    def let_go(self, name: str) -> None:
        self.link.let_go(name)


async def test_a_step_that_is_cancelled_while_it_asks_for_a_site_leaves_the_site_to_others(
    new_data: Path, proxy: Proxy
) -> None:
    async def fetch(url: str, seconds: float, reach: str) -> Never:
        raise AssertionError(url)

    with linked(proxy.url, "boot_a") as one, linked(url_of(new_data), "boot_b") as two:
        cancelled, other = CrawlPoliteness(fetch), CrawlPoliteness(fetch)
        asked = threading.Event()
        cancelled.share(Asked(one.link, asked))
        other.share(two.link)

        async def visit(crawl: CrawlPoliteness) -> None:
            async with crawl.turn("https://example.com/a", delay_seconds=0.05, at_once=1):
                pass

        with proxy.silent():
            asking = asyncio.create_task(visit(cancelled))
            await asyncio.to_thread(asked.wait, LONG)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        async with asyncio.timeout(LONG):
            await visit(cancelled)
            await visit(other)
