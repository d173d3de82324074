"""Guessing passwords and links: limits for one network, many networks and an IPv6 prefix, and who is never locked out
(S21).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from engine.actions.members import ensure_owner, password_hash_now
from engine.actions.one_time_links import invitation_path, link_path, new_reset_token
from engine.actions.principal import command_line
from engine.actions.sign_in_limits import ROWS_IN_ALL
from engine.actions.team import invite
from engine.actions.workspaces import ensure_workspace
from engine.core.clock import DAY, MINUTE, MovedClock
from engine.core.settings import Settings
from engine.jobs.server.job_waiters import JobWaiters
from engine.playground_batches.registry import PlaygroundBatches
from engine.secrets.sealing import open_vault
from storage.audit import list_entries
from storage.database import Database
from storage.tables import SignInFailure, SignInPlace
from tests.databases import open_database
from ui.page_session import App
from ui.sign_in import add_routes

EMAIL, PASSWORD = "ada@example.com", "correct horse battery"
HOME = "203.0.113.7"
ELSEWHERE = "198.51.100.20"


@dataclass
class Server:
    """The plain pages of a server with one owner, Ada, and a clock that a test sets."""

    database: Database
    clock: MovedClock
    workspace_id: str
    root: FastAPI

    def at(self, address: str) -> httpx.AsyncClient:
        """A browser with this IP address."""
        transport = httpx.ASGITransport(self.root, client=(address, 40_000))
        return httpx.AsyncClient(transport=transport, base_url="http://test")

    async def enter(self, address: str, password: str = PASSWORD, email: str = EMAIL) -> httpx.Response:
        async with self.at(address) as browser:
            return await browser.post("/sign-in", data={"email": email, "password": password})

    async def guess(self, address: str, email: str = EMAIL, times: int = 1) -> list[int]:
        return [(await self.enter(address, "not it at all", email)).status_code for _ in range(times)]

    def restart(self) -> None:
        """Opens the same data folder again, as a restarted server does."""
        url, clock = self.database.url, self.clock
        self.database.close()
        self.database = Database(url, clock)
        self.root = plain_pages(self.database)


def plain_pages(database: Database) -> FastAPI:
    settings = Settings(data=Path(database.url.removeprefix("sqlite:///")).parent, port=8080)
    root = FastAPI()
    waiters = JobWaiters(database)
    add_routes(
        root, App(database, waiters, settings, open_vault(settings.data), None, PlaygroundBatches(database, waiters))
    )
    return root


@pytest.fixture
def server(new_data: Path) -> Iterator[Server]:
    clock = MovedClock()
    database = open_database(new_data, clock=clock)
    workspace_id = database.write_now(ensure_workspace, "free")
    database.write_now(ensure_owner, workspace_id, EMAIL, password_hash_now(PASSWORD))
    made = Server(database, clock, workspace_id, plain_pages(database))
    yield made
    made.database.close()


async def test_five_guesses_of_a_stranger_lock_out_the_stranger_and_not_the_owner(server: Server) -> None:
    assert (await server.enter(HOME)).status_code == 303
    assert await server.guess(ELSEWHERE, times=6) == [401] * 5 + [429]

    assert (await server.enter(HOME)).status_code == 303
    assert (await server.enter("192.0.2.9")).status_code == 303, "a third network that is new to everybody"
    assert (await server.enter(ELSEWHERE)).status_code == 429, "the right password, too, until the time is over"


@pytest.mark.parametrize(
    "addresses",
    [
        [f"2001:db8:1:2:{number:x}::{number:x}" for number in range(1, 61)],
        [f"203.0.113.{number}" for number in range(1, 61)],
        [f"::ffff:203.0.113.{number}" for number in range(1, 61)],
    ],
    ids=["an IPv6 /64", "an IPv4 /24", "an IPv4 /24 written as IPv6"],
)
async def test_a_network_is_one_guesser_however_many_addresses_it_has(server: Server, addresses: list[str]) -> None:
    answers = [(await server.guess(address))[0] for address in addresses]

    assert answers == [401] * 5 + [429] * 55


async def test_two_networks_are_two_guessers(server: Server) -> None:
    assert await server.guess("2001:db8:1:2::1", times=6) == [401] * 5 + [429]
    assert await server.guess("2001:db8:1:3::1") == [401]


async def test_guesses_from_many_networks_never_reach_one_that_signed_in_before(server: Server) -> None:
    assert (await server.enter(HOME)).status_code == 303
    answers = [(await server.guess(f"2001:db8:0:{number:x}::1"))[0] for number in range(60)]

    assert answers == [401] * 50 + [429] * 10
    assert (await server.enter("192.0.2.9")).status_code == 429, "a network that never signed in waits"
    assert (await server.enter(HOME)).status_code == 303
    server.clock.offset += 15 * MINUTE + 1_000
    assert (await server.enter("192.0.2.9")).status_code == 303


async def test_a_neighbour_in_the_owners_own_network_locks_nobody_out(server: Server) -> None:
    assert (await server.enter(HOME)).status_code == 303
    assert await server.guess("203.0.113.99", times=6) == [401] * 5 + [429]
    for number in range(20):
        await server.guess("203.0.113.99", email=f"nobody{number}@example.com")

    assert (await server.enter("203.0.113.99", email="nobody99@example.com")).status_code == 429
    assert (await server.enter(HOME)).status_code == 303


async def test_a_known_address_has_a_count_of_its_own(server: Server) -> None:
    assert (await server.enter(HOME)).status_code == 303
    assert await server.guess(HOME, times=6) == [401] * 5 + [429]
    assert (await server.enter(HOME)).status_code == 429
    assert (await server.enter(ELSEWHERE)).status_code == 303


@pytest.mark.parametrize("address", ["198.51.100.{}", "2001:db8:1:2::{}"])
async def test_a_network_may_fail_20_times_over_all_accounts(server: Server, address: str) -> None:
    answers = [(await server.guess(address.format(n), email=f"nobody{n}@example.com"))[0] for n in range(1, 61)]

    assert answers == [401] * 20 + [429] * 40
    assert (await server.enter(address.format(99))).status_code == 429


async def test_a_success_gives_a_guesser_nothing_back(server: Server) -> None:
    """An attacker with a valid account signs in between guesses: the count of the network continues."""
    database = server.database
    async with server.at(ELSEWHERE) as browser:
        token = database.write_now(invite, command_line(server.workspace_id), "viewer", "eve@example.com")
        await browser.post(invitation_path(token), data={"name": "Eve", "password": PASSWORD})
    for number in range(20):
        await server.guess(ELSEWHERE, email=f"nobody{number}@example.com")
        assert (await server.enter(ELSEWHERE, email="eve@example.com")).status_code == 303

    assert (await server.enter(ELSEWHERE)).status_code == 429


async def test_failures_of_a_clock_that_was_ahead_do_not_count_once_it_is_right(server: Server) -> None:
    server.clock.offset = 2 * DAY
    assert await server.guess(ELSEWHERE, times=6) == [401] * 5 + [429]
    server.clock.offset = 0
    assert (await server.enter(ELSEWHERE)).status_code == 303


async def test_the_counts_and_the_known_places_survive_a_restart(server: Server) -> None:
    await server.enter(HOME)
    await server.guess(ELSEWHERE, times=5)
    for number in range(45):
        await server.guess(f"2001:db8:0:{number:x}::1")
    server.restart()

    assert (await server.enter(ELSEWHERE)).status_code == 429
    assert (await server.enter("192.0.2.9")).status_code == 429
    assert (await server.enter(HOME)).status_code == 303


async def test_an_account_that_is_there_and_one_that_is_not_are_told_the_same(server: Server) -> None:
    told = []
    for email, address in ((EMAIL, "198.51.100.20"), ("nobody@example.com", "192.0.2.20")):
        pages = [await server.enter(address, "not it at all", email) for _ in range(6)]
        told.append([(page.status_code, page.text.replace(email, "EMAIL")) for page in pages])

    assert told[0] == told[1]


async def test_the_answer_to_too_many_guesses_says_what_happened_why_and_what_to_do(server: Server) -> None:
    await server.guess(ELSEWHERE, times=5)
    answer = await server.enter(ELSEWHERE)

    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 15 * 60
    assert answer.headers["cache-control"] == "no-store"
    assert [part in answer.text for part in ("What happened", "Why", "What to do")] == [True] * 3
    assert re.search(r"Wait 1[45] minutes", answer.text)
    assert "reset link" in answer.text
    assert "app.py setup-link --reset" in answer.text


@pytest.mark.parametrize("path", ["/setup/{}", "/invite/{}"])
async def test_links_are_guessed_20_times_a_network_and_a_right_one_opens_all_the_same(
    server: Server, path: str
) -> None:
    reset, _ = server.database.write_now(new_reset_token, server.workspace_id, EMAIL)
    async with server.at("2001:db8:1:2::1") as one, server.at("2001:db8:1:2::2") as other:
        shown = [(await one.get(path.format(f"guess{number}"))).status_code for number in range(10)]
        sent = [
            (await other.post(path.format(f"guess{number}"), data={"password": PASSWORD})).status_code
            for number in range(12)
        ]
        wrong = await one.get(path.format("another-guess"))
        right = await one.get(link_path(reset))

    assert shown + sent == [410] * 20 + [429] * 2
    assert wrong.status_code == 429
    assert int(wrong.headers["retry-after"]) > 0
    assert "What to do" in wrong.text
    assert right.status_code == 200


async def test_a_reset_link_lets_somebody_in_whatever_others_guessed(server: Server) -> None:
    for number in range(55):
        await server.guess(f"2001:db8:0:{number:x}::1")
    await server.guess(ELSEWHERE, times=5)
    token, _ = server.database.write_now(new_reset_token, server.workspace_id, EMAIL)
    async with server.at(ELSEWHERE) as browser:
        answer = await browser.post(link_path(token), data={"password": "another good password"})

    assert answer.status_code == 303
    assert (await server.enter(ELSEWHERE, "another good password")).status_code == 303
    assert (await server.enter("192.0.2.9", "another good password")).status_code == 303


async def test_what_guesses_leave_behind_is_bounded(server: Server) -> None:
    """A flood from many networks with many names: the number of rows and audit log entries is limited."""
    await server.enter(HOME)
    at = server.clock.now()
    kept = ROWS_IN_ALL - 3
    server.database.write_now(
        lambda session: session.add_all(SignInFailure(subject=f"network:{number}", at=at) for number in range(kept))
    )
    lines = len(server.database.read_now(list_entries, server.workspace_id, limit=1_000))
    answers = [(await server.guess(f"2001:db8:0:{n:x}::1", email=f"nobody{n}@example.com"))[0] for n in range(10)]

    assert set(answers[-8:]) == {429}
    assert (await server.enter("192.0.2.9")).status_code == 429
    assert (await server.enter(HOME)).status_code == 303, "a known address comes in during a flood"
    with server.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(SignInFailure)) <= ROWS_IN_ALL + 3
    assert len(server.database.read_now(list_entries, server.workspace_id, limit=1_000)) <= lines + 1
    server.clock.offset += 15 * MINUTE + 1_000
    assert (await server.enter("192.0.2.9")).status_code == 303
    with server.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(SignInFailure)) == 0


async def test_a_person_has_at_most_50_known_places(server: Server) -> None:
    for number in range(55):
        assert (await server.enter(f"2001:db8:0:{number:x}::1")).status_code == 303
        server.clock.offset += MINUTE

    with server.database.reading() as session:
        places = session.scalars(select(SignInPlace.place).order_by(SignInPlace.seen_at)).all()
    assert len(places) == 50
    assert places[-1] == "2001:db8:0:36::/64"
