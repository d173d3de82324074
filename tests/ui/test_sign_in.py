"""Signing in and out, setting up the first owner, and responses to people without a session, over plain HTTP."""

from __future__ import annotations

import re

import pytest

from engine.actions.one_time_links import invitation_path, link_path, new_reset_token, new_setup_token
from engine.actions.team import invite
from engine.core.clock import HOUR, MINUTE
from storage.members import has_owner, list_people
from storage.sessions import find_signed_in
from tests.ui.conftest import EMAIL, PASSWORD, Site, count_clients

PAGES = (
    "/", "/start", "/flows", "/flows/flow_x", "/playground", "/playground/flow_x", "/templates", "/jobs", "/jobs/job_x",
    "/monitoring", "/settings", "/settings/keys", "/settings/models", "/settings/limits", "/settings/about", "/nothing",
)  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
async def test_a_stranger_is_sent_to_sign_in_and_leaves_nothing_behind(site: Site, path: str) -> None:
    before = count_clients()
    async with site.browser() as browser:
        answer = await browser.get(path)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")
    assert "set-cookie" not in answer.headers
    assert count_clients() == before


async def test_a_strangers_socket_is_refused(site: Site) -> None:
    async with site.browser() as browser:
        answer = await browser.get("/_nicegui_ws/socket.io/?EIO=4&transport=polling")
        upload = await browser.post("/_nicegui/client/abc/upload/1", content=b"x")

    assert answer.status_code == 401
    assert upload.status_code == 401


async def test_signing_in_gives_a_cookie_that_scripts_cannot_read_and_leads_on(site: Site) -> None:
    async with site.browser() as browser:
        answer = await browser.post(
            "/sign-in", data={"email": EMAIL, "password": PASSWORD, "next": "/jobs?status=failed"}
        )
        cookie = answer.headers["set-cookie"]
        there = await browser.get("/jobs")

    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs?status=failed")
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert "secure" not in cookie.lower()
    assert there.status_code == 200


async def test_on_https_the_cookie_stays_on_https(site: Site) -> None:
    async with site.browser() as browser:
        answer = await browser.post("https://test/sign-in", data={"email": EMAIL, "password": PASSWORD})

    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "http://[",
        "/x\r\nSet-Cookie: a=b",
        "/sign-in",
    ],
)
async def test_nobody_is_led_to_another_site(site: Site, wanted: str) -> None:
    async with site.browser() as browser:
        answer = await browser.post("/sign-in", data={"email": EMAIL, "password": PASSWORD, "next": wanted})

    assert answer.headers["location"] == "/"


async def test_a_wrong_password_is_told_on_the_form_and_not_which_part_was_wrong(site: Site) -> None:
    async with site.browser() as browser:
        wrong = await browser.post("/sign-in", data={"email": EMAIL, "password": "not it at all"})
        unknown = await browser.post("/sign-in", data={"email": "who@example.com", "password": PASSWORD})

    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert "set-cookie" not in wrong.headers
    said = re.compile(r'role="alert"><span>(.*?)</span>')
    assert said.findall(wrong.text) == said.findall(unknown.text) != []
    assert f'value="{EMAIL}"' in wrong.text
    assert "not it at all" not in wrong.text


async def test_too_many_wrong_passwords_have_to_wait(site: Site) -> None:
    async with site.browser() as browser:
        for _ in range(5):
            await browser.post("/sign-in", data={"email": EMAIL, "password": "wrong password"})
        answer = await browser.post("/sign-in", data={"email": EMAIL, "password": PASSWORD})

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "Wait" in answer.text


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {"origin": "null"}, {"origin": "http://["}],
)
async def test_a_form_of_another_site_signs_nobody_in(site: Site, headers: dict[str, str]) -> None:
    async with site.browser() as browser:
        answer = await browser.post("/sign-in", data={"email": EMAIL, "password": PASSWORD}, headers=headers)

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_signing_out_ends_the_session(site: Site) -> None:
    async with site.browser() as browser:
        await browser.post("/sign-in", data={"email": EMAIL, "password": PASSWORD})
        kept = dict(browser.cookies)
        await browser.post("/sign-out")
        answer = await browser.get("/flows", headers={"cookie": f"flowport_session={kept['flowport_session']}"})

    assert answer.status_code == 303


async def test_who_joins_in_the_browser_of_another_ends_their_session(site: Site) -> None:
    token = site.database.write_now(invite, site.owner, "viewer")
    async with site.browser() as browser:
        await browser.post("/sign-in", data={"email": EMAIL, "password": PASSWORD})
        ada = browser.cookies["flowport_session"]
        form = {"name": "Eve", "email": "eve@example.com", "password": PASSWORD}
        assert (await browser.post(invitation_path(token), data=form)).status_code == 303
        assert browser.cookies["flowport_session"] != ada
        assert (await browser.get("/settings/limits")).status_code == 200
        answer = await browser.get("/settings/limits", headers={"cookie": f"flowport_session={ada}"})

    assert answer.status_code == 303
    assert site.database.read_now(find_signed_in, ada) is None


async def test_a_session_that_is_used_stays_and_one_that_is_idle_ends(site: Site) -> None:
    async with site.browser() as browser:
        await browser.post("/sign-in", data={"email": EMAIL, "password": PASSWORD})
        site.clock.offset += 11 * HOUR
        assert (await browser.get("/settings/limits")).status_code == 200
        site.clock.offset += 11 * HOUR
        assert (await browser.get("/settings/limits")).status_code == 200
        site.clock.offset += 13 * HOUR
        assert (await browser.get("/settings/limits")).status_code == 303


async def test_without_an_owner_every_page_says_where_the_link_is_and_prints_one_a_minute(
    empty_site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    async with empty_site.browser() as browser:
        pages = [await browser.get(path) for path in ("/sign-in", "/")]
        others = [await browser.get(path) for path in ("/flows", "/jobs/job_x", "/robots.txt")]
        posted = await browser.post("/foo")
        first = capsys.readouterr().out
        empty_site.clock.offset += MINUTE
        await browser.get("/flows")
        second = capsys.readouterr().out

    assert all("Open the set-up link" in page.text and page.status_code == 200 for page in pages)
    assert [(answer.status_code, answer.headers["location"]) for answer in others] == [(303, "/")] * 3
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")
    assert re.fullmatch(r"Set-up link: http://localhost:8080/setup/[\w-]{40,}\n", first)
    assert second.startswith("Set-up link: ")
    assert second != first


async def test_the_link_makes_the_first_owner_and_signs_them_in(empty_site: Site) -> None:
    token = empty_site.database.write_now(new_setup_token, empty_site.workspace_id)
    async with empty_site.browser() as browser:
        form = await browser.get(link_path(token))
        answer = await browser.post(
            link_path(token), data={"name": "Mara", "email": "mara@example.com", "password": PASSWORD}
        )
        there = await browser.get("/start")
        again = await browser.get(link_path(token))

    assert "Set up Flowport" in form.text
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert there.status_code == 200
    assert again.status_code == 410
    assert "run .venv/bin/python app.py setup-link on the server" in again.text
    assert [person.name for person in empty_site.database.read_now(list_people, empty_site.workspace_id)] == ["Mara"]


async def test_what_is_wrong_with_the_form_stands_beside_its_field(empty_site: Site) -> None:
    token = empty_site.database.write_now(new_setup_token, empty_site.workspace_id)
    async with empty_site.browser() as browser:
        answer = await browser.post(link_path(token), data={"name": "", "email": "mara", "password": PASSWORD})
        short = await browser.post(
            link_path(token), data={"name": "Mara", "email": "mara@example.com", "password": "short"}
        )

    assert answer.status_code == 422
    assert 'id="name-error"' in answer.text
    assert 'id="email-error"' in answer.text
    assert 'id="password-error"' in short.text
    assert not empty_site.database.read_now(has_owner, empty_site.workspace_id)


async def test_a_reset_link_sets_a_new_password(site: Site) -> None:
    token, _ = site.database.write_now(new_reset_token, site.workspace_id, EMAIL)
    async with site.browser() as browser:
        form = await browser.get(link_path(token))
        answer = await browser.post(link_path(token), data={"password": "another good password"})
        signed_in = await browser.post("/sign-in", data={"email": EMAIL, "password": "another good password"})

    assert EMAIL in form.text
    assert answer.status_code == 303
    assert signed_in.status_code == 303


async def test_an_invitation_is_a_form_that_makes_an_account(site: Site) -> None:
    token = site.database.write_now(invite, site.owner, "viewer", "eve@example.com")
    before = count_clients()
    async with site.browser() as browser:
        form = await browser.get(invitation_path(token))
        refused = await browser.post(invitation_path(token), data={"name": "", "password": PASSWORD})
        foreign = await browser.post(
            invitation_path(token),
            data={"name": "Eve", "password": PASSWORD},
            headers={"origin": "https://evil.example"},
        )
        answer = await browser.post(
            invitation_path(token), data={"name": "Eve", "email": "eve@example.com", "password": PASSWORD}
        )
        there = await browser.get("/settings/limits")
        again = await browser.get(invitation_path(token))
        used = await browser.post(invitation_path(token), data={"name": "Bob", "password": PASSWORD})

    assert "sees everything and changes nothing" in form.text
    assert 'value="eve@example.com"' in form.text
    assert "readonly" in form.text
    assert (refused.status_code, foreign.status_code) == (422, 403)
    assert 'id="name-error"' in refused.text
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert there.status_code == 200
    assert (again.status_code, used.status_code) == (410, 410)
    assert "This invitation does not work any more" in again.text
    people = site.database.read_now(list_people, site.workspace_id)
    assert [(one.name, one.role) for one in people] == [("ada", "owner"), ("Eve", "viewer")]
    assert count_clients() - before <= 1


async def test_an_invitation_and_a_set_up_link_are_not_the_same_door(site: Site) -> None:
    invitation = site.database.write_now(invite, site.owner, "owner")
    reset, _ = site.database.write_now(new_reset_token, site.workspace_id, EMAIL)
    async with site.browser() as browser:
        answers = [await browser.get(path) for path in (link_path(invitation), invitation_path(reset), "/invite/x")]

    assert [answer.status_code for answer in answers] == [410, 410, 410]
    assert answers[1].text == answers[2].text


async def test_a_page_that_is_not_there_is_a_plain_404(site: Site) -> None:
    await site.sign_in()
    before = count_clients()

    answers = [await site.user.http_client.get(path) for path in ("/nothing", "/flows/flow_x", "/jobs/job_x")]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert answers[0].text == answers[1].text == answers[2].text
    assert "There is nothing here" in answers[0].text
    assert count_clients() - before <= 2  # NiceGUI creates one for each registered page; they are removed later
