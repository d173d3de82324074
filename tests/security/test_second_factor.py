"""The second factor: what a stolen password gives access to, the limit of wrong codes, and that a code is accepted once
(S21).
"""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pyotp
import pytest
from fastapi import FastAPI

from engine.actions.members import ensure_owner, password_hash_now, sign_out
from engine.actions.one_time_links import link_path, new_reset_token
from engine.actions.principal import Principal
from engine.actions.second_factor import require_second_factor, reset_second_factor
from engine.actions.team import make_reset_link
from engine.actions.workspaces import ensure_workspace
from engine.core.clock import DAY, MINUTE, SECOND, MovedClock
from engine.core.errors import Conflict
from engine.core.logging_setup import as_text
from engine.core.settings import Settings
from engine.jobs.server.job_waiters import JobWaiters
from engine.playground_batches.registry import PlaygroundBatches
from engine.secrets.sealing import open_vault
from storage.audit import list_entries
from storage.database import Database
from storage.members import find_user
from storage.second_factors import has_second_factor
from storage.sessions import find_signed_in
from storage.tables import User
from tests.databases import open_database
from ui import second_factor, sign_in
from ui.page_session import App

EMAIL, PASSWORD = "ada@example.com", "correct horse battery"
OTHER = "bea@example.com"
HOME, ELSEWHERE = "203.0.113.7", "198.51.100.20"


@dataclass
class Server:
    """The plain pages of a server with two owners, Ada and Bea, and a clock that a test sets."""

    data: Path
    database: Database
    clock: MovedClock
    workspace_id: str
    root: FastAPI

    def at(self, address: str = HOME) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.root, client=(address, 40_000))
        return httpx.AsyncClient(transport=transport, base_url="http://test")

    def code(self, key: str, steps: int = 0) -> str:
        """Returns the app's current code, or the code of `steps` periods of 30 seconds later."""
        return pyotp.TOTP(key).generate_otp(self.clock.now() // SECOND // 30 + steps)

    def principal(self, email: str) -> Principal:
        def read(session):
            user = find_user(session, email)
            return Principal(user.workspace_id, user.id, user.name, user.role)

        return self.database.read_now(read)

    def verbs(self) -> list[str]:
        return [row.verb for row in self.database.read_now(list_entries, self.workspace_id)]


@pytest.fixture
def server(new_data: Path) -> Iterator[Server]:
    clock = MovedClock()
    database = open_database(new_data, clock=clock)
    workspace_id = database.write_now(ensure_workspace, "free")
    hashed = password_hash_now(PASSWORD)
    database.write_now(ensure_owner, workspace_id, EMAIL, hashed)
    database.write_now(
        lambda session: session.add(
            User(id="user_bea", workspace_id=workspace_id, email=OTHER, name="Bea", role="owner",
                 password_hash=hashed, created_at=1)
        )
    )  # fmt: skip
    settings = Settings(data=new_data, port=8080)
    root = FastAPI()
    waiters = JobWaiters(database)
    app = App(database, waiters, settings, open_vault(settings.data), None, PlaygroundBatches(database, waiters))
    sign_in.add_routes(root, app)
    second_factor.add_routes(root, app)
    yield Server(new_data, database, clock, workspace_id, root)
    database.close()


async def password(browser: httpx.AsyncClient, email: str = EMAIL, word: str = PASSWORD) -> httpx.Response:
    return await browser.post("/sign-in", data={"email": email, "password": word, "next": "/jobs"})


def key_on(page: httpx.Response) -> tuple[str, str]:
    """Returns the key as the page shows it, and as its form contains it."""
    shown = re.search(r"<pre[^>]*>([A-Z2-7 ]+)</pre>", page.text)
    sealed = re.search(r'name="key" value="([^"]+)"', page.text)
    assert shown
    assert sealed
    assert "data:image/svg+xml" in page.text
    return shown[1].replace(" ", ""), html.unescape(sealed[1])


async def set_up(server: Server, email: str = EMAIL) -> tuple[str, list[str]]:
    """Signs in and turns the second factor on; returns its key and the recovery codes.

    Advances the clock, so that later codes are new.
    """
    async with server.at() as browser:
        assert (await password(browser, email)).headers["location"] == "/jobs"
        key, sealed = key_on(await browser.get("/second-factor"))
        done = await browser.post(
            "/second-factor", data={"key": sealed, "password": PASSWORD, "code": server.code(key)}
        )
    assert done.status_code == 200, done.text
    server.clock.offset += MINUTE
    codes = re.findall(r"\b(?:[a-z2-9]{4}-){3}[a-z2-9]{4}\b", done.text)
    assert len(codes) == 10
    return key, codes


def cookie_of(server: Server, browser: httpx.AsyncClient) -> bool:
    """Tells whether this browser is signed in."""
    return server.database.read_now(find_signed_in, browser.cookies.get("flowport_session") or "") is not None


async def test_the_password_alone_opens_nothing_and_the_code_does(server: Server) -> None:
    key, _ = await set_up(server)
    async with server.at() as browser:
        first = await password(browser)
        assert first.status_code == 303
        assert first.headers["location"] == "/sign-in/code?next=/jobs"
        assert "flowport_session" not in first.headers["set-cookie"]
        assert "HttpOnly" in first.headers["set-cookie"]
        assert not cookie_of(server, browser)
        form = await browser.get("/sign-in/code?next=/jobs")
        done = await browser.post("/sign-in/code", data={"code": server.code(key), "next": "/jobs"})

        assert form.status_code == 200
        assert (done.status_code, done.headers["location"]) == (303, "/jobs")
        assert cookie_of(server, browser)


async def test_the_step_cookie_is_no_session(server: Server) -> None:
    await set_up(server)
    async with server.at() as browser:
        step = (await password(browser)).headers["set-cookie"].split("=", 1)[1].split(";")[0]
    async with server.at() as thief:
        answer = await thief.get("/change-password", headers={"cookie": f"flowport_session={step}"})
        link = await thief.get(f"/setup/{step}")

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")
    assert link.status_code == 410
    assert step.encode() not in b"".join(file.read_bytes() for file in server.data.rglob("*") if file.is_file())


async def test_a_code_counts_once_and_one_step_around_its_time(server: Server) -> None:
    key, _ = await set_up(server)
    used = server.code(key)
    async with server.at() as one, server.at() as two:
        for browser in (one, two):
            await password(browser)
        answers = [
            (await one.post("/sign-in/code", data={"code": used})).status_code,
            (await two.post("/sign-in/code", data={"code": used})).status_code,
            (await two.post("/sign-in/code", data={"code": server.code(key, -1)})).status_code,
            (await two.post("/sign-in/code", data={"code": server.code(key, 3)})).status_code,
            (await two.post("/sign-in/code", data={"code": server.code(key, 1)})).status_code,
        ]

    assert answers == [303, 401, 401, 401, 303]


async def test_codes_work_after_a_clock_that_was_ahead_was_set_right(server: Server) -> None:
    server.clock.offset += 2 * DAY
    key, _ = await set_up(server)
    server.clock.offset -= 2 * DAY
    async with server.at() as browser:
        await password(browser)
        code = server.code(key)
        answers = [(await browser.post("/sign-in/code", data={"code": code})).status_code]
        await password(browser)
        answers.append((await browser.post("/sign-in/code", data={"code": code})).status_code)

    assert answers == [303, 401]


async def test_the_step_works_once_and_for_ten_minutes(server: Server) -> None:
    key, _ = await set_up(server)
    async with server.at() as browser:
        await password(browser)
        step = browser.cookies["flowport_step"]
        await browser.post("/sign-in/code", data={"code": server.code(key)})
        server.clock.offset += MINUTE
        again = await browser.post(
            "/sign-in/code", data={"code": server.code(key)}, headers={"cookie": f"flowport_step={step}"}
        )
    async with server.at() as late:
        await password(late)
        server.clock.offset += 11 * MINUTE
        too_late = await late.post("/sign-in/code", data={"code": server.code(key)})
        assert not cookie_of(server, late)

    assert [answer.headers["location"] for answer in (again, too_late)] == ["/sign-in?late=1"] * 2


async def test_codes_are_guessed_five_times_also_with_the_password_given_again_and_again(server: Server) -> None:
    key, _ = await set_up(server)
    answers = []
    async with server.at(ELSEWHERE) as thief:
        for _again in range(7):
            assert (await password(thief)).status_code == 303
            answers.append((await thief.post("/sign-in/code", data={"code": "000000"})).status_code)
        right = await thief.post("/sign-in/code", data={"code": server.code(key)})
    async with server.at() as ada:
        await password(ada)
        assert (await ada.post("/sign-in/code", data={"code": server.code(key)})).status_code == 303

    assert answers == [401] * 5 + [429] * 2
    assert right.status_code == 429
    assert "What to do" in right.text
    assert "give a wrong code" in server.verbs()


async def test_ten_guesses_of_codes_over_all_networks_are_the_last_and_the_owner_comes_in(server: Server) -> None:
    key, _ = await set_up(server)
    answers = []
    for number in range(14):
        async with server.at(f"2001:db8:0:{number:x}::1") as thief:
            await password(thief)
            answers.append((await thief.post("/sign-in/code", data={"code": "000000"})).status_code)
    async with server.at() as ada:
        await password(ada)
        assert (await ada.post("/sign-in/code", data={"code": server.code(key)})).status_code == 303

    assert answers == [401] * 10 + [429] * 4


async def test_a_recovery_code_signs_in_once(server: Server) -> None:
    _, codes = await set_up(server)
    answers = []
    for code in (codes[0], codes[0], codes[1].upper().replace("-", " ")):
        async with server.at() as browser:
            await password(browser)
            answers.append((await browser.post("/sign-in/code", data={"code": code})).status_code)

    assert answers == [303, 401, 303]
    assert "use recovery code" in server.verbs()


async def test_neither_the_key_nor_a_recovery_code_is_stored(server: Server) -> None:
    key, codes = await set_up(server)
    stored = b"".join(file.read_bytes() for file in server.data.rglob("*") if file.is_file())

    for secret in (key, *codes, *(code.replace("-", "") for code in codes)):
        assert secret.encode() not in stored


async def test_the_log_hides_the_key_that_is_kept_and_learns_no_other(server: Server) -> None:
    """Each line of the log is searched for every key that was learned, and none is forgotten."""
    async with server.at() as browser:
        await password(browser)
        given_up, _sealed = key_on(await browser.get("/second-factor"))
        key, sealed = key_on(await browser.get("/second-factor"))
        data = {"key": sealed, "password": "wrong", "code": "000000"}
        assert (await browser.post("/second-factor", data=data)).status_code == 422
        assert (await browser.post("/second-factor", data={**data, "password": PASSWORD})).status_code == 422
        assert [as_text(one, "server") for one in (given_up, key)] == [f"server {given_up}", f"server {key}"]
        done = {**data, "password": PASSWORD, "code": server.code(key)}
        assert (await browser.post("/second-factor", data=done)).status_code == 200

    assert key not in as_text(key, "server")
    assert given_up in as_text(given_up, "server")


async def test_a_sealed_key_is_of_its_person(server: Server) -> None:
    """Bea cannot confirm with a form that contains Ada's key."""
    async with server.at() as ada, server.at() as bea:
        await password(ada)
        await password(bea, OTHER)
        key, sealed = key_on(await ada.get("/second-factor"))
        data = {"key": sealed, "password": PASSWORD, "code": server.code(key)}
        assert (await bea.post("/second-factor", data=data)).status_code == 422
        assert (await ada.post("/second-factor", data={**data, "password": "wrong"})).status_code == 422
        assert (await ada.post("/second-factor", data=data)).status_code == 200

    assert not server.database.read_now(has_second_factor, "user_bea")


async def test_turning_it_off_takes_the_password_or_a_code(server: Server) -> None:
    key, codes = await set_up(server)
    for proof in ("password", "app", "recovery"):
        async with server.at() as browser:
            await password(browser)
            await browser.post("/sign-in/code", data={"code": server.code(key)})
            server.clock.offset += MINUTE
            assert (await browser.post("/second-factor/off", data={"proof": "000000"})).status_code == 422
            said = {"password": PASSWORD, "app": server.code(key), "recovery": codes[0]}[proof]
            assert (await browser.post("/second-factor/off", data={"proof": said})).status_code == 303
        async with server.at() as browser:
            assert (await password(browser)).headers["location"] == "/jobs"
        key, codes = await set_up(server)

    assert "turn off second factor" in server.verbs()


async def test_a_reset_link_of_an_owner_does_not_go_around_the_second_factor(server: Server) -> None:
    key, _ = await set_up(server)
    ada = server.principal(EMAIL)
    token = server.database.write_now(make_reset_link, server.principal(OTHER), ada.actor)
    async with server.at() as browser:
        answer = await browser.post(link_path(token), data={"password": "another good password"})
        assert answer.headers["location"] == "/sign-in/code"
        assert not cookie_of(server, browser)
        assert (await browser.post("/sign-in/code", data={"code": server.code(key)})).status_code == 303


async def test_a_new_password_ends_steps_that_wait_for_a_code(server: Server) -> None:
    key, _ = await set_up(server)
    async with server.at() as thief, server.at() as ada:
        await password(thief)
        token = server.database.write_now(make_reset_link, server.principal(OTHER), server.principal(EMAIL).actor)
        await ada.post(link_path(token), data={"password": "another good password"})
        answer = await thief.post("/sign-in/code", data={"code": server.code(key)})

    assert answer.headers["location"] == "/sign-in?late=1"


async def test_an_owner_resets_it_and_so_does_the_servers_terminal(server: Server) -> None:
    await set_up(server)
    ada, bea = server.principal(EMAIL), server.principal(OTHER)
    with pytest.raises(Conflict):
        server.database.write_now(reset_second_factor, ada, ada.actor)
    server.database.write_now(reset_second_factor, bea, ada.actor)
    async with server.at() as browser:
        assert (await password(browser)).headers["location"] == "/jobs"

    await set_up(server)
    token, had_factor = server.database.write_now(new_reset_token, server.workspace_id, EMAIL)
    assert had_factor
    async with server.at() as browser:
        assert (await browser.post(link_path(token), data={"password": PASSWORD})).headers["location"] == "/"
        assert cookie_of(server, browser)
    assert server.verbs().count("reset second factor") == 2


async def test_nobody_locks_himself_out_by_requiring_it(server: Server) -> None:
    ada, bea = server.principal(EMAIL), server.principal(OTHER)
    with pytest.raises(Conflict):
        server.database.write_now(require_second_factor, ada, needed=True)
    key, _ = await set_up(server)
    server.database.write_now(require_second_factor, ada, needed=True)
    async with server.at() as browser:
        await password(browser)
        await browser.post("/sign-in/code", data={"code": server.code(key)})
        assert (await browser.post("/second-factor/off", data={"proof": PASSWORD})).status_code == 409
    server.database.write_now(require_second_factor, bea, needed=False)
    async with server.at() as browser:
        assert (await password(browser, OTHER)).headers["location"] == "/jobs"


async def test_an_owner_who_needs_it_is_led_to_it_after_the_password_and_comes_in_with_it_only(server: Server) -> None:
    async with server.at() as before:
        await password(before, OTHER)
        await set_up(server)
        server.database.write_now(require_second_factor, server.principal(EMAIL), needed=True)
        assert cookie_of(server, before), "sessions of before stay"

    async with server.at(ELSEWHERE) as browser:
        first = await password(browser, OTHER)
        assert first.headers["location"] == "/sign-in/second-factor?next=/jobs"
        assert not cookie_of(server, browser)
        assert (await browser.get("/sign-in/code")).headers["location"] == "/sign-in/second-factor"
        assert (await browser.post("/sign-in/code", data={"code": "000000"})).status_code == 401
        key, sealed = key_on(await browser.get("/sign-in/second-factor?next=/jobs"))
        wrong = await browser.post("/sign-in/second-factor", data={"key": sealed, "code": "000000"})
        assert key_on(wrong)[0] == key, "the app that was set up stays right"
        assert not cookie_of(server, browser)
        data = {"key": sealed, "code": server.code(key), "next": "/jobs"}
        done = await browser.post("/sign-in/second-factor", data=data)

        assert done.status_code == 200
        assert "href='/jobs'" in done.text
        assert cookie_of(server, browser)


async def test_who_knows_the_password_first_does_not_learn_the_key_that_is_confirmed_later(server: Server) -> None:
    await set_up(server)
    server.database.write_now(require_second_factor, server.principal(EMAIL), needed=True)
    async with server.at(ELSEWHERE) as thief, server.at() as bea:
        await password(thief, OTHER)
        await password(bea, OTHER)
        seen, sealed = key_on(await thief.get("/sign-in/second-factor"))
        key, own = key_on(await bea.get("/sign-in/second-factor"))
        assert key != seen
        await bea.post("/sign-in/second-factor", data={"key": own, "code": server.code(key)})
        guess = await thief.post("/sign-in/code", data={"code": server.code(seen)})
        late = await thief.post("/sign-in/second-factor", data={"key": sealed, "code": server.code(seen)})

    assert late.headers["location"] == "/sign-in?late=1"
    assert guess.status_code == 401


async def test_another_sites_form_is_refused(server: Server) -> None:
    key, _ = await set_up(server)
    foreign = {"origin": "https://evil.example"}
    async with server.at() as browser:
        await password(browser)
        code = await browser.post("/sign-in/code", data={"code": server.code(key)}, headers=foreign)
        await browser.post("/sign-in/code", data={"code": server.code(key)})
        off = await browser.post("/second-factor/off", data={"proof": PASSWORD}, headers=foreign)

    assert (code.status_code, off.status_code) == (403, 403)


async def test_a_new_password_is_no_way_around_the_factor_that_owners_need(server: Server) -> None:
    async with server.at() as before:
        await password(before, OTHER)
        await set_up(server)
        server.database.write_now(require_second_factor, server.principal(EMAIL), needed=True)
        new = {"old": PASSWORD, "password": "another good password"}
        changed = await before.post("/change-password", data=new)
        assert changed.headers["location"].startswith("/sign-in/second-factor?next=/settings/account")
        assert not cookie_of(server, before)
        key, sealed = key_on(await before.get(changed.headers["location"]))
        done = await before.post("/sign-in/second-factor", data={"key": sealed, "code": server.code(key)})
        assert done.status_code == 200
        assert cookie_of(server, before)
        server.clock.offset += MINUTE
        again = {"old": new["password"], "password": "a third good password"}
        assert (await before.post("/change-password", data=again)).headers["location"].startswith("/settings/account")
        assert cookie_of(server, before), "who has given a code is not asked again"


async def test_turning_it_on_signs_other_browsers_out(server: Server) -> None:
    async with server.at(ELSEWHERE) as thief, server.at() as bea, server.at() as browser:
        await password(thief)
        await password(bea, OTHER)
        await password(browser)
        key, sealed = key_on(await browser.get("/second-factor"))
        wrong = await browser.post("/second-factor", data={"key": sealed, "password": PASSWORD, "code": "000000"})
        assert wrong.status_code == 422
        assert cookie_of(server, thief)
        done = await browser.post(
            "/second-factor", data={"key": sealed, "password": PASSWORD, "code": server.code(key)}
        )
        assert done.status_code == 200
        assert not cookie_of(server, thief)
        assert cookie_of(server, browser)
        assert cookie_of(server, bea)


async def test_a_form_that_is_late_is_led_on_whatever_it_says(server: Server) -> None:
    async with server.at() as browser:
        await password(browser)
        key, sealed = key_on(await browser.get("/second-factor"))
        right = {"key": sealed, "password": PASSWORD, "code": server.code(key)}
        assert (await browser.post("/second-factor", data=right)).status_code == 200
        on_already = await browser.post("/second-factor", data={**right, "password": "wrong"})
        assert (on_already.status_code, on_already.headers["location"]) == (303, "/settings/account")

        cookie = browser.cookies["flowport_session"]

        async def form() -> AsyncIterator[bytes]:
            server.database.write_now(sign_out, cookie)
            yield b"password=wrong"

        signed_out = await browser.post("/second-factor", content=form())
        assert signed_out.status_code == 401
