"""Plain server pages that work without a script: sign in, sign out, first owner, invitation, new password (S29).

The session is a cookie that is HttpOnly, SameSite=Lax and, on https, Secure. The database stores only its hash.
"""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, quote

from fastapi import FastAPI
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from engine.actions.members import change_password, join, set_new_password, set_up_owner, sign_in, sign_out
from engine.actions.one_time_links import SETUP_PURPOSES, Link, Purpose
from engine.actions.sign_in import STEP_LIFETIME, Browser, SecondStep
from engine.actions.sign_in_limits import open_link
from engine.core.clock import SECOND
from engine.core.errors import Conflict, Invalid, LinkNotValid, RateLimited, Refusal, SignInFailed
from engine.core.web_addresses import split_url
from storage.sessions import LONGEST, find_signed_in
from ui.access_guard import NO_STORE, local_path, ownerless_page, stranger_answer, theme_of
from ui.kit.plain_pages import (
    change_password_page,
    error_page,
    join_page,
    new_password_page,
    set_up_page,
    sign_in_page,
)
from ui.kit.text import _
from ui.page_session import COOKIE, STEP_COOKIE, App

#: Largest body of a form, in bytes. A form of these pages has a few hundred.
MAX_FORM = 16 * 1024
FORM_SECONDS = 10.0
#: The page that confirms a new password.
_CHANGED = "/settings/account?changed=password"


class FormRefused(Exception):  # it becomes a response
    """The request body is not a form of this server.

    `status` is 403 from another site, 408 too slow, 413 too large, 422 too many fields.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def add_routes(root: FastAPI, app: App) -> None:
    """Adds the plain pages to the root app, before NiceGUI joins it."""
    pages = SignInPages(app)
    root.add_route("/sign-in", pages.show_sign_in, methods=["GET"])
    root.add_route("/sign-in", pages.sign_in, methods=["POST"])
    root.add_route("/sign-out", pages.sign_out, methods=["POST"])
    root.add_route("/setup/{token}", pages.show_link, methods=["GET"])
    root.add_route("/setup/{token}", pages.use_link, methods=["POST"])
    root.add_route("/change-password", pages.show_change, methods=["GET"])
    root.add_route("/change-password", pages.change, methods=["POST"])
    root.add_route("/invite/{token}", pages.show_invitation, methods=["GET"])
    root.add_route("/invite/{token}", pages.join, methods=["POST"])


class SignInPages:
    """The request handlers; each shows a form or processes one."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def show_sign_in(self, request: Request) -> Response:
        if (page := await ownerless_page(self.app, request)) is not None:
            return page
        wanted = local_path(request.query_params.get("next", ""))
        if await self.app.database.read_briefly(find_signed_in, request.cookies.get(COOKIE, "")) is not None:
            return RedirectResponse(wanted or "/", 303, headers=NO_STORE)
        ended = "ended" in request.query_params
        late = _("That took too long, or was done already. Sign in again.") if "late" in request.query_params else ""
        return html_answer(sign_in_page(error=late, next_path=wanted, ended=ended, theme=theme_of(request)))

    async def sign_in(self, request: Request) -> Response:
        try:
            form = await self._form(request)
        except FormRefused as refused:
            return refused_form(request, refused.status)
        wanted = local_path(form.get("next", ""))
        try:
            cookie = await sign_in(
                self.app.database, form.get("email", ""), form.get("password", ""), browser_of(request)
            )
        except RateLimited as refusal:
            return too_often(request, refusal)
        except SignInFailed as refusal:
            page = sign_in_page(
                email=form.get("email", "")[:200],
                error=refusal_text(refusal),
                next_path=wanted,
                theme=theme_of(request),
            )
            return html_answer(page, 401)
        except SecondStep as step:
            return _second_step(step, wanted, secure=self._on_https(request))
        return self._signed_in(request, cookie, wanted or "/")

    async def sign_out(self, request: Request) -> Response:
        if not self._from_here(request):
            return refused_form(request, 403)
        await self.app.database.write(sign_out, request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/sign-in", 303, headers=NO_STORE)
        answer.delete_cookie(COOKIE, path="/")
        return answer

    async def show_link(self, request: Request) -> Response:
        try:
            link = await self._link(request)
        except RateLimited as refusal:
            return too_often(request, refusal)
        except LinkNotValid as refusal:
            return _link_not_valid(request, refusal)
        return html_answer(_link_page(request, link, {}, {}))

    async def use_link(self, request: Request) -> Response:
        token = request.path_params["token"]
        try:
            form = await self._form(request)
            link = await self._link(request)
        except FormRefused as refused:
            return refused_form(request, refused.status)
        except RateLimited as refusal:
            return too_often(request, refusal)
        except LinkNotValid as refusal:
            return _link_not_valid(request, refusal)
        password = form.get("password", "")
        try:
            if link.purpose == "setup":
                cookie = await set_up_owner(
                    self.app.database, token, form.get("name", ""), form.get("email", ""), password, browser_of(request)
                )
            else:
                cookie = await set_new_password(self.app.database, token, password, browser_of(request))
        except LinkNotValid as refusal:
            return _link_not_valid(request, refusal)
        except (Invalid, Conflict) as refusal:
            return html_answer(_link_page(request, link, form, _wrong_fields(refusal)), 422)
        except SecondStep as step:
            return _second_step(step, "", secure=self._on_https(request))
        return self._signed_in(request, cookie, "/")

    async def show_invitation(self, request: Request) -> Response:
        try:
            link = await self._link(request, ("invite",))
        except RateLimited as refusal:
            return too_often(request, refusal)
        except LinkNotValid:
            return _invitation_not_valid(request)
        return html_answer(_invitation_page(request, link, {}, {}))

    async def join(self, request: Request) -> Response:
        token = request.path_params["token"]
        try:
            form = await self._form(request)
            link = await self._link(request, ("invite",))
        except FormRefused as refused:
            return refused_form(request, refused.status)
        except RateLimited as refusal:
            return too_often(request, refusal)
        except LinkNotValid:
            return _invitation_not_valid(request)
        said = (form.get("name", ""), form.get("email", ""), form.get("password", ""))
        try:
            cookie = await join(self.app.database, token, *said, browser_of(request))
        except LinkNotValid:
            return _invitation_not_valid(request)
        except (Invalid, Conflict) as refusal:
            return html_answer(_invitation_page(request, link, form, _wrong_fields(refusal)), 422)
        except SecondStep as step:
            return _second_step(step, "", secure=self._on_https(request))
        return self._signed_in(request, cookie, "/")

    async def show_change(self, request: Request) -> Response:
        person = await self.app.database.read_briefly(find_signed_in, request.cookies.get(COOKIE, ""))
        if person is None:
            return await stranger_answer(self.app, request)
        return html_answer(change_password_page(person.email, theme=theme_of(request)))

    async def change(self, request: Request) -> Response:
        cookie = request.cookies.get(COOKIE, "")
        person = await self.app.database.read_briefly(find_signed_in, cookie)
        if person is None:
            return await stranger_answer(self.app, request)
        errors: dict[str, str]
        try:
            form = await self._form(request)
            new = await change_password(
                self.app.database, cookie, form.get("old", ""), form.get("password", ""), browser_of(request)
            )
        except FormRefused as refused:
            return refused_form(request, refused.status)
        except SignInFailed as refusal:
            errors, status = {"old": refusal_text(refusal)}, 422
        except Invalid as refusal:
            errors, status = _wrong_fields(refusal), 422
        except RateLimited as refusal:
            return too_often(request, refusal)
        except SecondStep as step:
            return _second_step(step, _CHANGED, secure=self._on_https(request))
        else:
            return self._signed_in(request, new, _CHANGED)
        return html_answer(change_password_page(person.email, errors=errors, theme=theme_of(request)), status)

    async def _link(self, request: Request, purposes: tuple[Purpose, ...] = SETUP_PURPOSES) -> Link:
        """Returns what the link of this page is for. Raises LinkNotValid, RateLimited."""
        address = browser_of(request).address
        return await open_link(self.app.database, request.path_params["token"], address, purposes)

    async def _form(self, request: Request, largest: int = MAX_FORM, most_fields: int = 20) -> dict[str, str]:
        """Reads the fields of a form of at most `largest` bytes. Raises FormRefused."""
        if not self._from_here(request):
            raise FormRefused(403)
        body = bytearray()
        try:
            async with asyncio.timeout(FORM_SECONDS):
                async for piece in request.stream():
                    body += piece
                    if len(body) > largest:
                        raise FormRefused(413)
        except TimeoutError:
            raise FormRefused(408) from None
        try:
            fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=most_fields)
        except ValueError:
            raise FormRefused(422) from None
        return {name: values[0] for name, values in fields.items()}

    def _from_here(self, request: Request) -> bool:
        """Whether the form comes from this server, by the headers that browsers send.

        Otherwise another site could submit a form that signs a person in to a foreign account.
        """
        if request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
            return False
        origin = request.headers.get("origin")
        if origin is None:
            return True
        known = {self.app.settings.public_url, *self.app.settings.allowed_origins}
        try:
            return split_url(origin).netloc == request.headers.get("host") or origin in known
        except ValueError:  # an opening bracket without its closing one
            return False

    def _signed_in(self, request: Request, cookie: str, path: str) -> Response:
        answer = RedirectResponse(path, 303, headers=NO_STORE)
        self._set_session(request, answer, cookie)
        return answer

    def _set_session(self, request: Request, answer: Response, cookie: str) -> None:
        """Adds the session cookie to a response."""
        answer.set_cookie(
            COOKIE,
            cookie,
            max_age=LONGEST // SECOND,
            path="/",
            httponly=True,
            samesite="lax",
            secure=self._on_https(request),
        )

    def _on_https(self, request: Request) -> bool:
        if request.url.scheme == "https":
            return True
        public = split_url(self.app.settings.public_url)
        return public.scheme == "https" and public.netloc == request.headers.get("host")


def _second_step(step: SecondStep, wanted: str, *, secure: bool = False) -> Response:
    """Redirects to the code form or to the set-up of a second factor, with a cookie for this step only."""
    path = "/sign-in/second-factor" if step.set_up else "/sign-in/code"
    answer = RedirectResponse(f"{path}?next={quote(wanted)}" if wanted else path, 303, headers=NO_STORE)
    answer.set_cookie(
        STEP_COOKIE,
        step.token,
        max_age=STEP_LIFETIME // SECOND,
        path="/sign-in",
        httponly=True,
        samesite="lax",
        secure=secure,
    )
    return answer


def browser_of(request: Request) -> Browser:
    return Browser(
        address=request.client.host if request.client else "",
        name=request.headers.get("user-agent", ""),
        host=request.headers.get("host", ""),
        cookie=request.cookies.get(COOKIE, ""),
    )


def _link_page(request: Request, link: Link, form: dict[str, str], errors: dict[str, str]) -> str:
    token, theme = request.path_params["token"], theme_of(request)
    if link.purpose == "reset":
        return new_password_page(token, link.email or "", errors=errors, theme=theme)
    return set_up_page(
        token, name=form.get("name", "")[:200], email=form.get("email", "")[:200], errors=errors, theme=theme
    )


def _invitation_page(request: Request, link: Link, form: dict[str, str], errors: dict[str, str]) -> str:
    return join_page(
        request.path_params["token"],
        link.role or "",
        made_by=link.made_by,
        fixed_email=link.email or "",
        name=form.get("name", "")[:200],
        email=form.get("email", "")[:200],
        errors=errors,
        theme=theme_of(request),
    )


def _wrong_fields(refusal: Refusal) -> dict[str, str]:
    """Maps fields to sentences; the key "" has the messages that belong to no field."""
    wrong = {error.pointer.lstrip("/"): _sentence(error.detail) for error in refusal.errors}
    return {name: text for name, text in wrong.items() if name in {"name", "email", "password"}} or {
        "": refusal_text(refusal)
    }


def refusal_text(refusal: Refusal) -> str:
    """Returns a refusal as sentences. Without a detail the title is used."""
    return " ".join(_sentence(part) for part in (refusal.detail or refusal.title, refusal.remedy) if part)


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _link_not_valid(request: HTTPConnection, refusal: LinkNotValid) -> Response:
    page = error_page(
        _("This link does not work any more"),
        happened=f"{refusal.title}.",
        why=_(
            "A link works once, and a newer one replaces it. One from the terminal lives 15 minutes, one from an owner a day."
        ),
        todo=_(
            "Ask an owner for a new one, or run .venv/bin/python app.py setup-link on the server. Or sign in, when you have an account."
        ),
        theme=theme_of(request),
    )
    return html_answer(page, 410)


def _invitation_not_valid(request: HTTPConnection) -> Response:
    """The page for an invalid invitation. It is the same for used, withdrawn, expired and unknown links.

    So an attacker who guesses links learns nothing.
    """
    page = error_page(
        _("This invitation does not work any more"),
        happened=_("Nobody can join with this link."),
        why=_("An invitation works once, for 7 days, and an owner can withdraw it."),
        todo=_("Ask the person who sent it for a new one. If you have joined already, sign in."),
        theme=theme_of(request),
    )
    return html_answer(page, 410)


def too_often(request: HTTPConnection, refusal: RateLimited) -> Response:
    page = error_page(
        _("Too many wrong tries"),
        happened=refusal.detail,
        why=_(
            "Passwords and links could be guessed otherwise, so each network has a few tries. "
            "Where you signed in before, what others try does not count for you."
        ),
        todo=refusal.remedy,
        link=False,
        theme=theme_of(request),
    )
    return html_answer(page, 429, {"retry-after": str(refusal.retry_after or 60)})


def refused_form(request: HTTPConnection, status: int) -> Response:
    title, happened, why, todo = _FORM_REFUSED[status]
    page = error_page(title, happened=happened, why=why, todo=todo, theme=theme_of(request))
    return html_answer(page, status)


_AGAIN = _("Open this server's own page and fill it in again there.")
#: Status -> title, what happened, why, what to do.
_FORM_REFUSED = {
    403: (
        _("This form was not sent from here"),
        _("The form was filled in on a page of another address."),
        _("Another site could sign you in or out that way, so it is refused."),
        _(
            "Open this server's own sign-in page and try again there. Behind a proxy: it has to pass the Host header on, "
            "or FLOWPORT_PUBLIC_URL names the address people use."
        ),
    ),
    408: (
        _("This form came too slowly"),
        _("Not all of the form arrived within 10 seconds."),
        _("The connection may be bad. The server does not wait longer: it could not answer others meanwhile."),
        _AGAIN,
    ),
    413: (
        _("This form is too long"),
        _("More than 16 KiB were sent."),
        _("A form of this page has a few hundred letters."),
        _AGAIN,
    ),
    422: (
        _("This is not a form of this page"),
        _("It has more fields than any form here."),
        _("It may come from a program that was made for something else."),
        _AGAIN,
    ),
}


def html_answer(page: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return HTMLResponse(page, status, headers={**NO_STORE, **(headers or {})})
