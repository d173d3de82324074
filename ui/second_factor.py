"""The second step of signing in and the set-up of a second factor: plain pages like those of `sign_in` (S29).

After a correct password the browser gets a cookie for the paths under /sign-in, valid for ten minutes. It is a
single-use token that gives access to nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from engine.actions.second_factor import (
    SetUp,
    begin_set_up,
    give_code,
    turn_off,
    turn_on,
    turn_on_at_step,
    wants_set_up,
)
from engine.core.errors import Conflict, LinkNotValid, RateLimited, Refusal, SignInFailed
from storage.sessions import find_signed_in
from ui.access_guard import NO_STORE, local_path, stranger_answer, theme_of
from ui.kit.plain_pages import error_page
from ui.kit.second_factor_pages import code_page, recovery_codes_page, set_up_factor_page, turn_off_page
from ui.kit.text import _
from ui.page_session import COOKIE, STEP_COOKIE, App
from ui.sign_in import FormRefused, SignInPages, browser_of, html_answer, refusal_text, refused_form, too_often


def add_routes(root: FastAPI, app: App) -> None:
    """Adds the pages to the root app, before NiceGUI joins it."""
    pages = SecondFactorPages(app)
    root.add_route("/sign-in/code", _answering(pages.show_code), methods=["GET"])
    root.add_route("/sign-in/code", _answering(pages.give_code), methods=["POST"])
    root.add_route("/sign-in/second-factor", _answering(pages.show_set_up), methods=["GET"])
    root.add_route("/sign-in/second-factor", _answering(pages.set_up), methods=["POST"])
    root.add_route("/second-factor", _answering(pages.show_own), methods=["GET"])
    root.add_route("/second-factor", _answering(pages.set_up_own), methods=["POST"])
    root.add_route("/second-factor/off", _answering(pages.show_off), methods=["GET"])
    root.add_route("/second-factor/off", _answering(pages.turn_off), methods=["POST"])


def _answering(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Wraps a handler: a refused form and too many attempts are answered with a page that explains the refusal."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except FormRefused as refused:
            return refused_form(request, refused.status)
        except RateLimited as refusal:
            return too_often(request, refusal)

    return answer


class SecondFactorPages(SignInPages):
    """The request handlers; each shows a form or processes one."""

    async def show_code(self, request: Request) -> Response:
        wanted = local_path(request.query_params.get("next", ""))
        try:
            if await self.app.database.read_briefly(wants_set_up, _step(request)):
                return RedirectResponse("/sign-in/second-factor", 303, headers=NO_STORE)
        except LinkNotValid:
            return _too_late()
        return html_answer(code_page(next_path=wanted, theme=theme_of(request)))

    async def give_code(self, request: Request) -> Response:
        form = await self._form(request)
        wanted = local_path(form.get("next", ""))
        try:
            cookie = await give_code(
                self.app.database, self.app.vault, _step(request), form.get("code", ""), browser_of(request)
            )
        except LinkNotValid:
            return _too_late()
        except SignInFailed as refusal:
            return html_answer(code_page(error=refusal_text(refusal), next_path=wanted, theme=theme_of(request)), 401)
        return _without_step(self._signed_in(request, cookie, wanted or "/"))

    async def show_set_up(self, request: Request) -> Response:
        try:
            told = await self.app.database.read_briefly(begin_set_up, self.app.vault, token=_step(request))
        except LinkNotValid:
            return _too_late()
        except Conflict:
            return RedirectResponse("/sign-in/code", 303, headers=NO_STORE)
        wanted = local_path(request.query_params.get("next", ""))
        return html_answer(_set_up_page(request, told, "/sign-in/second-factor", next_path=wanted, needed=True))

    async def set_up(self, request: Request) -> Response:
        database, vault, token = self.app.database, self.app.vault, _step(request)
        form = await self._form(request)
        wanted, said_key, code = local_path(form.get("next", "")), form.get("key", ""), form.get("code", "")
        try:
            codes, cookie = await turn_on_at_step(database, vault, token, said_key, code, browser_of(request))
        except (LinkNotValid, Conflict):
            return _too_late()
        except SignInFailed as refusal:
            try:
                told = await database.read_briefly(begin_set_up, vault, token=token, sealed=said_key)
            except (LinkNotValid, Conflict):  # the step expired or was completed in another tab meanwhile
                return _too_late()
            wrong = {"code": refusal_text(refusal)}
            page = _set_up_page(request, told, "/sign-in/second-factor", next_path=wanted, needed=True, errors=wrong)
            return html_answer(page, 422)
        answer = html_answer(recovery_codes_page(codes, next_path=wanted or "/", theme=theme_of(request)))
        self._set_session(request, answer, cookie)
        return _without_step(answer)

    async def show_own(self, request: Request) -> Response:
        if not await self._is_signed_in(request):
            return await stranger_answer(self.app, request)
        try:
            told = await self.app.database.read_briefly(begin_set_up, self.app.vault, cookie=request.cookies[COOKIE])
        except Conflict:
            return RedirectResponse("/settings/account", 303, headers=NO_STORE)
        return html_answer(_set_up_page(request, told, "/second-factor"))

    async def set_up_own(self, request: Request) -> Response:
        if not await self._is_signed_in(request):
            return await stranger_answer(self.app, request)
        database, vault, cookie = self.app.database, self.app.vault, request.cookies[COOKIE]
        form = await self._form(request)
        said_key, password, code = form.get("key", ""), form.get("password", ""), form.get("code", "")
        try:
            codes = await turn_on(database, vault, cookie, password, said_key, code, browser_of(request))
        except Conflict:
            return RedirectResponse("/settings/account", 303, headers=NO_STORE)
        except SignInFailed as refusal:
            try:
                told = await database.read_briefly(begin_set_up, vault, cookie=cookie, sealed=said_key)
            except Conflict:
                return RedirectResponse("/settings/account", 303, headers=NO_STORE)
            except SignInFailed:  # the session ended meanwhile
                return await stranger_answer(self.app, request)
            return html_answer(_set_up_page(request, told, "/second-factor", errors={"": refusal_text(refusal)}), 422)
        return html_answer(recovery_codes_page(codes, next_path="/settings/account", theme=theme_of(request)))

    async def show_off(self, request: Request) -> Response:
        if not await self._is_signed_in(request):
            return await stranger_answer(self.app, request)
        return html_answer(turn_off_page(theme=theme_of(request)))

    async def turn_off(self, request: Request) -> Response:
        if not await self._is_signed_in(request):
            return await stranger_answer(self.app, request)
        proof = (await self._form(request)).get("proof", "")
        try:
            await turn_off(self.app.database, self.app.vault, request.cookies[COOKIE], proof, browser_of(request))
        except SignInFailed:
            wrong = _("This is neither your password nor a code that works. Check it and try again.")
            return html_answer(turn_off_page(error=wrong, theme=theme_of(request)), 422)
        except Conflict as refusal:
            return html_answer(_needed(request, refusal), 409)
        return RedirectResponse("/settings/account", 303, headers=NO_STORE)

    async def _is_signed_in(self, request: Request) -> bool:
        return await self.app.database.read_briefly(find_signed_in, request.cookies.get(COOKIE, "")) is not None


def _step(request: Request) -> str:
    return request.cookies.get(STEP_COOKIE, "")


def _without_step(answer: Response) -> Response:
    answer.delete_cookie(STEP_COOKIE, path="/sign-in")
    return answer


def _too_late() -> Response:
    """The response when the step was used, has expired or never existed: the person must enter the password again."""
    return _without_step(RedirectResponse("/sign-in?late=1", 303, headers=NO_STORE))


def _set_up_page(
    request: Request,
    told: SetUp,
    action: str,
    *,
    next_path: str = "",
    needed: bool = False,
    errors: dict[str, str] | None = None,
) -> str:
    import segno

    picture = segno.make(told.uri, error="m").svg_data_uri(scale=4, border=3, light="#fff")
    return set_up_factor_page(
        picture,
        told.key,
        told.sealed,
        told.email,
        action,
        next_path=next_path,
        needed=needed,
        errors=errors or {},
        theme=theme_of(request),
    )


def _needed(request: Request, refusal: Refusal) -> str:
    return error_page(
        _("Your second factor stays on"),
        happened=refusal.detail,
        why=_("An owner has switched that on under Settings, Team: an owner's password alone opens nothing."),
        todo=refusal.remedy,
        theme=theme_of(request),
    )
