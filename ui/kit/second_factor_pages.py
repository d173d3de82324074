"""Plain HTML pages of the second factor. Like those of `plain_pages` they have no script and store nothing.

code_page(error="", next_path="", theme="")                       posts code, next to /sign-in/code
set_up_factor_page(picture, key, sealed, email, action, ...)      posts key (sealed), code (and password) to `action`
recovery_codes_page(codes, next_path=, theme="")                  the codes, shown once
turn_off_page(error="", theme="")                                 posts proof to /second-factor/off
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from ui.kit.plain_pages import alert, card, document, field, main_button
from ui.kit.text import _


def code_page(*, error: str = "", next_path: str = "", theme: str = "") -> str:
    """Writes the form for the code, shown after a correct password; `error` is a whole sentence."""
    form = (
        f'<form method="post" action="/sign-in/code">{_hidden(next_path)}'
        + field("code", _("Code"), complete="one-time-code", focus=True)
        + main_button(_("Sign in"))
        + "</form>"
    )
    lead = _("Open your authenticator app and type the 6 digits it shows for Flowport, or one of your recovery codes.")
    foot = _(
        "Without your phone and your recovery codes: an owner can reset your second factor under Settings, Team, "
        "and .venv/bin/python app.py setup-link --reset EMAIL does it on the server."
    )
    title = _("One more step")
    return document(title, card(title, lead, alert(error) + form), theme, foot)


def set_up_factor_page(
    picture: str,
    key: str,
    sealed: str,
    email: str,
    action: str,
    *,
    next_path: str = "",
    needed: bool = False,
    errors: Mapping[str, str] | None = None,
    theme: str = "",
) -> str:
    """Writes the form that sets up a second factor.

    `picture` is the QR code as a data URL. `needed`: the person is an owner who cannot sign in without a second factor;
    otherwise the form asks for the password.
    """
    wrong = errors or {}
    parted = " ".join(key[at : at + 4] for at in range(0, len(key), 4))
    body = (
        f'<img class="fp-qr" src="{escape(picture)}" width="220" height="220" alt="{escape(_("QR code for the app"))}">'
        f"<p class='fp-t2'>{escape(_('Or type this key into the app:'))}</p>"
        f"<pre class='fp-code fp-code--in fp-code--wrap' tabindex='0'>{escape(parted)}</pre>"
        f'<form method="post" action="{escape(action)}">{_hidden(next_path)}'
        f'<input type="hidden" name="key" value="{escape(sealed)}">'
        f'<input type="hidden" name="email" autocomplete="username" value="{escape(email)}">'
        + field("code", _("The 6 digits the app shows"), complete="one-time-code", error=wrong.get("code", ""))
        + ("" if needed else field("password", _("Your password"), kind="password", complete="current-password"))
        + main_button(_("Turn it on"))
        + "</form>"
    )
    if not needed:
        body += f'<p class="fp-foot"><a href="/settings/account">{escape(_("Not now"))}</a></p>'
    lead = _("Scan this with an authenticator app on your phone. From then on signing in takes a code of it, too.")
    if needed:
        lead = _("Owners need a second factor here, and you have none yet. {lead}").format(lead=lead)
    title = _("Set up your second factor")
    return document(title, card(title, lead, alert(wrong.get("", "")) + body), theme)


def recovery_codes_page(codes: Sequence[str], *, next_path: str, theme: str = "") -> str:
    """Writes the page that shows the recovery codes once."""
    body = (
        f"<pre class='fp-code fp-code--in' tabindex='0'>{escape(chr(10).join(codes))}</pre>"
        f"<a class='fp-btn fp-btn--main' href='{escape(next_path)}'>{escape(_('I have kept them'))}</a>"
    )
    lead = _(
        "Your second factor is on. Keep these recovery codes where your phone is not: each signs you in once when you "
        "have no app. They are shown this one time."
    )
    title = _("Your recovery codes")
    return document(title, card(title, lead, body), theme)


def turn_off_page(*, error: str = "", theme: str = "") -> str:
    """Writes the form that turns the second factor off. It takes the password or a code."""
    form = (
        '<form method="post" action="/second-factor/off">'
        + field(
            "proof",
            _("Your password, a code of the app or a recovery code"),
            kind="password",
            complete="current-password",
            error=error,
            focus=True,
        )
        + main_button(_("Turn it off"))
        + "</form>"
        f'<p class="fp-foot"><a href="/settings/account">{escape(_("Keep it on"))}</a></p>'
    )
    title = _("Turn your second factor off")
    lead = _("Your password alone will sign you in. The recovery codes you have no longer work.")
    return document(title, card(title, lead, form), theme)


def _hidden(next_path: str) -> str:
    return f'<input type="hidden" name="next" value="{escape(next_path)}">' if next_path else ""
