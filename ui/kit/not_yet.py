"""What people look for and Flowport does not have: said honestly, with the nearest that it has.

The search of the frame (ui/kit/search.py), that of the palette and the box for goals show these entries. Whoever adds
such a feature removes its entry here, and its topic in `assets/goals.yaml`.
"""

from __future__ import annotations

import re

from msgspec import Struct

from ui.kit.finding import Said, best
from ui.kit.text import _

#: A search for something by an e-mail address, which asks for no mail.
_LOOKED_UP = re.compile(r"(?<= )(?:look ?up|find|search) .{0,80}?\bby e-?mail\b")


class NotYet(Struct, frozen=True):
    """Something that is missing. `instead` says what to do; `path` leads there, `nodes` are node types that help.

    `topic`: its name in `assets/goals.yaml`, when goals can be about it.
    """

    title: str
    instead: str
    path: str
    synonyms: str
    nodes: tuple[str, ...] = ()
    topic: str = ""

    @property
    def said(self) -> Said:
        return Said("", "", self.synonyms)


NOT_YET: tuple[NotYet, ...] = (
    NotYet(
        _("No step starts a flow by the clock: its page does."),
        _("Deploy the flow, then open Schedules and webhooks on its page, and choose the times."),
        "/docs/guides/schedules",
        (
            "schedule, scheduled, scheduler, cron, timer, timetable, calendar, every day, every morning, every hour, "
            "every monday, every week, monday, daily, weekly, hourly, nightly, automatic, automatically, recurring, reminder"
        ),
    ),
    NotYet(
        _("No step sends or reads e-mail yet."),
        _("HTTP Request can call a mail service that has an API. Extract Pattern finds e-mail addresses in a text."),
        "/docs/nodes/http_request",
        "email, e-mail, mail, send email, send an email, gmail, outlook, smtp, inbox, newsletter",
        ("http_request", "extract_pattern"),
        topic="mail",
    ),
    NotYet(
        _("Flows look at pictures and listen to sound, but make none yet."),
        _("HTTP Request can call a service that makes them."),
        "/docs/nodes/http_request",
        "draw, drawing, make a picture, generate an image, image generation, text to speech, speak, read aloud, youtube",
        ("http_request",),
        topic="media",
    ),
    NotYet(
        _("There are no ready-made connections to other programs yet."),
        _("HTTP Request can call every program that has a web API."),
        "/docs/nodes/http_request",
        (
            "slack, teams, google, google sheets, sheets, notion, hubspot, salesforce, zapier, whatsapp, telegram, "
            "discord, sharepoint, drive, airtable, jira, sap, crm, plugin, integrations"
        ),
        ("http_request",),
        topic="programs",
    ),
    NotYet(
        _("Pages behind a sign-in cannot be read yet."),
        _("HTTP Request can ask a service that gives out keys for its API."),
        "/docs/nodes/http_request",
        "behind a login, behind a sign-in, page with a password, members area, paywall",
        ("http_request",),
        topic="behind_sign_in",
    ),
    NotYet(
        _("Own program code does not run inside a flow yet."),
        _("Text Template writes and calculates with values; HTTP Request can call your program."),
        "/docs/nodes/text_template",
        "python, javascript, script, own code, formula, run code, function",
        ("text_template", "http_request"),
    ),
    NotYet(
        _("A flow does not stop and wait for a time yet."),
        _("It waits for a person with Approval; for a time, call it again later."),
        "/docs/nodes/approval",
        "pause, delay, sleep, wait for a time, wait an hour",
        ("approval",),
    ),
    NotYet(
        _("Signing in with the account of another service (SSO) is not there yet."),
        _("People sign in with e-mail and password, and a second factor if you want."),
        "/settings/account",
        "sso, saml, oauth, ldap, google login, single sign-on",
    ),
    NotYet(
        _("Flows have no folders or tags yet."),
        _("The list of Saved Flows is searched by title: put the word into the title."),
        "/flows",
        "folder, folders, tag, tags, archive, favourite, favorite",
    ),
    NotYet(
        _("A flow has no page of its own for visitors yet."),
        _("Your website calls the flow's API; “Try it now” on the flow's page is for the team."),
        "/docs/guides/quick-start",
        "embed, widget, iframe, public page, public form, visitor, publish a page",
    ),
)


def not_yet(text: str) -> NotYet | None:
    """Returns the missing feature that this search is about, or None."""
    whole = _LOOKED_UP.sub("", f" {' '.join(text.casefold().split())} ")
    return next((one for one in NOT_YET if any(f" {said} " in whole for said in one.said.called)), None)


def missing_topic(topic: str) -> NotYet | None:
    """Returns the missing feature with this topic, or None."""
    return next((one for one in NOT_YET if topic and one.topic == topic), None)


def nearest_not_yet(text: str) -> NotYet | None:
    """Returns the missing feature that this search may be about, also when a word is misspelt or not complete."""
    return not_yet(text) or next(iter(best([(one, one.said) for one in NOT_YET], text)), None)
