"""Pages of plain HTML that the server writes, for people who are not signed in and for errors (S29).

    sign_in_page(email="", error="", next_path="", ended=False, theme="") posts email, password and next to /sign-in
    set_up_page(token, name="", email="", errors={}, theme="")            posts name, email, password to /setup/{token}
    new_password_page(token, email, errors={}, theme="")                  posts password to /setup/{token}
    change_password_page(email, errors={}, theme="")                      posts old, password to /change-password
    join_page(token, role, made_by=, fixed_email=, ...)                   posts name, email, password to /invite/{token}
    open_link_page(theme="")                                              no owner exists; the link is in the terminal
    not_found_page(theme="")                                              404
    error_page(title, happened=, why=, todo=, again=False, theme="")      anything else
    socket_refused_page(page_origin, expected_origin)                     a browser address this server does not know

The pages of the second factor are in `second_factor_pages`. Each function returns the whole document. The pages have no
script, create no NiceGUI client and store nothing. `theme` is the value of the cookie `fp_theme` ("light", "dark", else
the system's theme). All text from outside is escaped here.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from engine.actions.passwords import SHORTEST
from engine.core.clock import HOUR
from storage.sessions import IDLE
from ui.kit.assets import asset_url
from ui.kit.roles import ROLES
from ui.kit.text import _

_MARK = (
    '<svg viewBox="0 0 24 24" width="26" height="26" fill="none" aria-hidden="true">'
    '<rect width="24" height="24" rx="7" fill="var(--fp-accent)"/>'
    '<path d="M7 16.5V10a2.5 2.5 0 0 1 2.5-2.5H13m-6 5h6" stroke="var(--fp-on-accent)" stroke-width="2.1" stroke-linecap="round"/>'
    '<circle cx="16.3" cy="7.5" r="1.9" fill="var(--fp-on-accent)"/>'
    '<circle cx="16.3" cy="12.5" r="1.9" fill="var(--fp-on-accent)"/></svg>'
)
_BODY_CLASS = {"light": "body--light", "dark": "body--dark"}


def sign_in_page(*, email: str = "", error: str = "", next_path: str = "", ended: bool = False, theme: str = "") -> str:
    """Writes the sign-in form.

    `error` is a whole sentence; `next_path` is where a sign-in leads; `ended`: the session ended while a page was open.
    """
    hidden = f'<input type="hidden" name="next" value="{escape(next_path)}">' if next_path else ""
    form = (
        f'<form method="post" action="/sign-in">{hidden}'
        + field("email", _("E-mail address"), email, kind="email", complete="username", focus=not email)
        + field("password", _("Password"), kind="password", complete="current-password", focus=bool(email))
        + main_button(_("Sign in"))
        + "</form>"
    )
    foot = _("Forgotten your password? An owner can make a reset link for you, under Settings, Team.")
    if not ended:
        return document(_("Sign in"), card(_("Sign in"), "", alert(error) + form), theme, foot)
    lead = _(
        "Your session ended here: you were signed out everywhere, your role changed, an owner shut you out, or nothing happened for {hours} hours. What was saved is kept."
    ).format(hours=IDLE // HOUR)
    return document(_("You are signed out"), card(_("You are signed out"), lead, alert(error) + form), theme, foot)


def set_up_page(
    token: str, *, name: str = "", email: str = "", errors: Mapping[str, str] | None = None, theme: str = ""
) -> str:
    """Writes the form for the first owner. `errors`: field (`name`, `email`, `password`, or "" for all) -> sentence."""
    wrong = errors or {}
    form = (
        f'<form method="post" action="/setup/{escape(token)}">'
        + field("name", _("Your name"), name, complete="name", error=wrong.get("name", ""), focus=True)
        + field("email", _("E-mail address"), email, kind="email", complete="username", error=wrong.get("email", ""))
        + _password_field(wrong)
        + main_button(_("Make my account"))
        + "</form>"
    )
    lead = _("You will be the owner: you set up models, people and limits. Nothing leaves this server.")
    return document(_("Set up Flowport"), card(_("Set up Flowport"), lead, alert(wrong.get("", "")) + form), theme)


def join_page(
    token: str,
    role: str,
    *,
    made_by: str = "",
    fixed_email: str = "",
    name: str = "",
    email: str = "",
    errors: Mapping[str, str] | None = None,
    theme: str = "",
) -> str:
    """Writes the form of an invitation.

    `made_by` is who invites; `role` is the role the new member gets; `fixed_email` is set when the invitation is for
    one address.
    """
    wrong = errors or {}
    form = (
        f'<form method="post" action="/invite/{escape(token)}">'
        + field("name", _("Your name"), name, complete="name", error=wrong.get("name", ""), focus=True)
        + field(
            "email",
            _("E-mail address"),
            fixed_email or email,
            kind="email",
            complete="username",
            hint=_("The invitation is for this address.") if fixed_email else "",
            error=wrong.get("email", ""),
            fixed=bool(fixed_email),
        )
        + _password_field(wrong)
        + main_button(_("Join"))
        + "</form>"
    )
    word, means = ROLES.get(role, (role, ""))
    invited = _("{made_by} invites you.").format(made_by=made_by) if made_by else _("You are invited.")
    lead = _("{invited} Your role: {word}, who {means}.").format(invited=invited, word=word.lower(), means=means)
    foot = _("You have an account already? Then sign in with it; this link is for a new one.")
    return document(_("Join Flowport"), card(_("Join Flowport"), lead, alert(wrong.get("", "")) + form), theme, foot)


def new_password_page(token: str, email: str, *, errors: Mapping[str, str] | None = None, theme: str = "") -> str:
    """Writes the form of a set-up link that gives an existing person a new password."""
    wrong = errors or {}
    form = (
        f'<form method="post" action="/setup/{escape(token)}">'
        f'<input type="hidden" name="email" autocomplete="username" value="{escape(email)}">'
        + _password_field(wrong, focus=True)
        + main_button(_("Set the password"))
        + "</form>"
    )
    lead = _("For {email}. Everywhere you are signed in now, you will be signed out.").format(email=email)
    return document(
        _("Choose a new password"), card(_("Choose a new password"), lead, alert(wrong.get("", "")) + form), theme
    )


def change_password_page(email: str, *, errors: Mapping[str, str] | None = None, theme: str = "") -> str:
    """Writes the form with which a signed-in person changes the password.

    It is a plain page because its response sets the session cookie anew.
    """
    wrong = errors or {}
    form = (
        '<form method="post" action="/change-password">'
        f'<input type="hidden" name="email" autocomplete="username" value="{escape(email)}">'
        + field(
            "old",
            _("The password you have"),
            kind="password",
            complete="current-password",
            error=wrong.get("old", ""),
            focus=True,
        )
        + _password_field(wrong, label=_("The new password"))
        + main_button(_("Change the password"))
        + "</form>"
        f'<p class="fp-foot"><a href="/settings/account">{escape(_("Keep the old one"))}</a></p>'
    )
    lead = _("For {email}. Everywhere else you are signed in, you will be signed out.").format(email=email)
    title = _("Change your password")
    return document(title, card(title, lead, alert(wrong.get("", "")) + form), theme)


def open_link_page(*, theme: str = "") -> str:
    """Writes the page of a server without an owner. The request for it has printed a new set-up link, at most one a
    minute.
    """
    body = (
        f"<p class='fp-lead'>{escape(_('Open the set-up link. It stands in the terminal or log where Flowport was started:'))}</p>"
        "<pre class='fp-code' tabindex='0'>Set-up link: .../setup/...</pre>"
        f"<p class='fp-t2'>{escape(_('This visit has printed a new one. It works once, for 15 minutes. For another one, run'))} "
        "<code>.venv/bin/python app.py setup-link</code>.</p>"
    )
    return document(_("Open the set-up link"), card(_("One step is left"), "", body), theme)


def not_found_page(*, theme: str = "") -> str:
    """Writes the 404 page. It is the same for unknown and deleted pages and for pages of other workspaces."""
    return error_page(
        _("There is nothing here"),
        happened=_("This address leads to no page."),
        why=_("It may be mistyped, deleted, or belong to another workspace."),
        todo=_("Check the address, or go to your flows."),
        theme=theme,
    )


def error_page(
    title: str,
    *,
    happened: str,
    why: str = "",
    todo: str = "",
    reference: str = "",
    link: bool = True,
    again: bool = False,
    theme: str = "",
) -> str:
    """Writes an error page: what happened, why and what to do. `reference` is a request id to quote to support. `again`: it
    may open at the next try.
    """
    parts = ((_("What happened"), happened), (_("Why"), why), (_("What to do"), todo))
    body = "<dl class='fp-three'>" + "".join(
        f"<dt>{escape(head)}</dt><dd>{escape(text)}</dd>" for head, text in parts if text
    )
    body += "</dl>"
    if again:
        body += f"<a class='fp-btn fp-btn--main' href=''>{escape(_('Try it again'))}</a>"
    if link:
        main = "" if again else " fp-btn--main"
        body += f"<a class='fp-btn{main}' href='/flows'>{escape(_('Go to Saved Flows'))}</a>"
    foot = _("Reference: {reference}").format(reference=reference) if reference else ""
    return document(title, card(title, "", body), theme, foot)


def socket_refused_page(page_origin: str, expected_origin: str) -> str:
    """Writes the page for a browser whose address is none of this server's known addresses (S23)."""
    return error_page(
        _("This address is not known to Flowport"),
        happened=_("The page was opened at {page_origin}, but this server answers to {expected_origin}.").format(
            page_origin=page_origin, expected_origin=expected_origin
        ),
        why=_("Pages from another address could act in your name, so their connection is refused."),
        todo=_("Open the known address, or set FLOWPORT_PUBLIC_URL (or FLOWPORT_ALLOWED_ORIGINS) and start again."),
        link=False,
    )


def _password_field(wrong: Mapping[str, str], *, label: str = "", focus: bool = False) -> str:
    return field(
        "password",
        label or _("Password"),
        kind="password",
        complete="new-password",
        hint=_("At least {shortest} characters. A few words you can remember are best.").format(shortest=SHORTEST),
        error=wrong.get("password", ""),
        least=SHORTEST,
        focus=focus,
    )


def field(  # noqa: PLR0913 - each is named by the caller
    name: str,
    label: str,
    value: str = "",
    *,
    kind: str = "text",
    complete: str = "off",
    hint: str = "",
    error: str = "",
    least: int = 0,
    focus: bool = False,
    fixed: bool = False,
) -> str:
    """Writes a labelled field; `error` and `hint` are sentences below it."""
    described = " ".join(f"{name}-{part}" for part, text in (("hint", hint), ("error", error)) if text)
    attributes = "".join(
        (
            f' value="{escape(value)}"' if value else "",
            f' minlength="{least}"' if least else "",
            f' aria-describedby="{described}"' if described else "",
            ' aria-invalid="true"' if error else "",
            " autofocus" if focus else "",
            " readonly" if fixed else "",
        )
    )
    return (
        f'<div class="fp-f"><label for="{name}">{escape(label)}</label>'
        f'<input class="fp-in{" fp-is-bad" if error else ""}" id="{name}" name="{name}" type="{kind}" '
        f'autocomplete="{complete}" required{attributes}>'
        + (f'<p class="fp-hint" id="{name}-hint">{escape(hint)}</p>' if hint else "")
        + (f'<p class="fp-hint fp-bad" id="{name}-error">{escape(error)}</p>' if error else "")
        + "</div>"
    )


def main_button(verb: str) -> str:
    """Writes the button that submits the form."""
    return f'<button class="fp-btn fp-btn--main" type="submit">{escape(verb)}</button>'


def alert(sentence: str) -> str:
    """Writes an error message above a form; "" for an empty sentence."""
    return f'<div class="fp-note fp-note--bad" role="alert"><span>{escape(sentence)}</span></div>' if sentence else ""


def card(title: str, lead: str, body: str) -> str:
    """Writes the card of the page. `body` is HTML; `title` and `lead` are text."""
    first = f'<p class="fp-lead">{escape(lead)}</p>' if lead else ""
    return f'<div class="fp-card"><h1>{escape(title)}</h1>{first}{body}</div>'


def document(title: str, card: str, theme: str, foot: str = "") -> str:
    """Writes the whole document around a `card`."""
    below = f'<p class="fp-foot">{escape(foot)}</p>' if foot else ""
    return (
        '<!doctype html><html lang="en-US"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} - Flowport</title>"
        '<link rel="icon" href="/assets/icons/flowport.svg" type="image/svg+xml">'
        f'<link rel="stylesheet" href="{asset_url("theme.css")}"></head>'
        f'<body class="fp-plain {_BODY_CLASS.get(theme, "fp-auto")}"><main>'
        f'<div class="fp-brand">{_MARK}Flowport</div>{card}{below}</main></body></html>'
    )
