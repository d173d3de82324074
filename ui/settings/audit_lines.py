"""Texts of the audit log: the label of each verb, the kind of its subject, and the page of the subject.

A test reads the source and fails for a verb that has no label here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.core.unicode_forms import normalized
from storage.audit import AuditRow, list_actors
from storage.datasets import list_datasets
from storage.flows import list_flows
from storage.keys import list_keys
from storage.members import Person, list_people
from ui.kit.text import _

#: Kind -> label in the filter.
KINDS = {
    "flows": _("Flows"),
    "jobs": _("Jobs"),
    "keys": _("API keys"),
    "models": _("Models and secrets"),
    "datasets": _("Datasets"),
    "knowledge": _("Knowledge"),
    "people": _("People"),
    "sign_ins": _("Sign-ins and passwords"),
    "server": _("Server, plan and backups"),
}

#: Verb of an entry -> (kind, what was done).
VERBS: dict[str, tuple[str, str]] = {
    "deploy": ("flows", _("made a version live")),
    "undeploy": ("flows", _("switched an API off")),
    "delete flow": ("flows", _("deleted a flow")),
    "bring back flow": ("flows", _("brought a flow back")),
    "change flow settings": ("flows", _("changed settings of a flow")),
    "change webhook": ("flows", _("changed a webhook")),
    "renew webhook secret": ("flows", _("renewed the signing secret of a webhook")),
    "send webhook again": ("flows", _("sent a webhook again")),
    "add schedule": ("flows", _("added a schedule")),
    "change schedule": ("flows", _("changed a schedule")),
    "pause schedule": ("flows", _("paused a schedule")),
    "resume schedule": ("flows", _("resumed a schedule")),
    "start schedule": ("flows", _("started a schedule by hand")),
    "remove schedule": ("flows", _("removed a schedule")),
    "add hook": ("flows", _("added an incoming webhook")),
    "change hook": ("flows", _("changed an incoming webhook")),
    "pause hook": ("flows", _("paused an incoming webhook")),
    "resume hook": ("flows", _("resumed an incoming webhook")),
    "renew hook secret": ("flows", _("renewed the secret of an incoming webhook")),
    "remove hook": ("flows", _("removed an incoming webhook")),
    "cancel jobs": ("jobs", _("cancelled jobs that waited")),
    "erase data": ("jobs", _("erased the data of jobs")),
    "approve question": ("jobs", _("approved what a job asked")),
    "refuse question": ("jobs", _("refused what a job asked")),
    "create key": ("keys", _("created a key")),
    "change key": ("keys", _("changed a key")),
    "rotate key": ("keys", _("rotated a key")),
    "revoke key": ("keys", _("revoked a key")),
    "add connection": ("models", _("added a connection")),
    "change connection": ("models", _("changed a connection")),
    "remove connection": ("models", _("removed a connection")),
    "set price": ("models", _("set a price")),
    "remove price": ("models", _("removed a price")),
    "add MCP server": ("models", _("added an MCP server")),
    "change MCP server": ("models", _("changed an MCP server")),
    "remove MCP server": ("models", _("removed an MCP server")),
    "allow tools": ("models", _("chose the tools of an MCP server")),
    "add secret": ("models", _("added a secret")),
    "replace secret": ("models", _("replaced a secret")),
    "change hosts of a secret": ("models", _("changed the hosts of a secret")),
    "remove secret": ("models", _("removed a secret")),
    "ask the owner": ("models", _("asked the owner")),
    "close note": ("models", _("closed a note to the owner")),
    "create dataset": ("datasets", _("created a dataset")),
    "rename dataset": ("datasets", _("renamed a dataset")),
    "delete dataset": ("datasets", _("deleted a dataset")),
    "import rows": ("datasets", _("imported rows")),
    "delete rows": ("datasets", _("deleted rows")),
    "add column": ("datasets", _("added a column")),
    "rename column": ("datasets", _("renamed a column")),
    "remove column": ("datasets", _("removed a column")),
    "create collection": ("knowledge", _("created a collection of knowledge")),
    "rename collection": ("knowledge", _("renamed a collection of knowledge")),
    "change collection": ("knowledge", _("changed a collection of knowledge")),
    "delete collection": ("knowledge", _("deleted a collection of knowledge")),
    "add source": ("knowledge", _("added a source of knowledge")),
    "change source": ("knowledge", _("changed a source of knowledge")),
    "read source again": ("knowledge", _("had a source of knowledge read again")),
    "stop source": ("knowledge", _("stopped the reading of a source")),
    "delete source": ("knowledge", _("removed a source of knowledge")),
    "invite": ("people", _("made an invitation")),
    "withdraw invitation": ("people", _("withdrew an invitation")),
    "join": ("people", _("joined by an invitation")),
    "change role": ("people", _("changed a role")),
    "disable person": ("people", _("shut somebody out")),
    "enable person": ("people", _("let somebody in again")),
    "sign out person": ("people", _("signed somebody out everywhere")),
    "make reset link": ("people", _("made a reset link")),
    "print reset link": ("people", _("printed a reset link")),
    "change name": ("people", _("changed their name")),
    "set up": ("people", _("became the first owner")),
    "sign in": ("sign_ins", _("signed in")),
    "fail to sign in": ("sign_ins", _("tried to sign in and failed")),
    "sign out everywhere": ("sign_ins", _("signed out everywhere")),
    "change password": ("sign_ins", _("changed their password")),
    "give a wrong code": ("sign_ins", _("gave a wrong code")),
    "use recovery code": ("sign_ins", _("used a recovery code")),
    "turn on second factor": ("sign_ins", _("turned their second factor on")),
    "turn off second factor": ("sign_ins", _("turned their second factor off")),
    "reset second factor": ("people", _("reset somebody's second factor")),
    "require second factor": ("people", _("made owners sign in with a second factor")),
    "require no second factor": ("people", _("let owners sign in without a second factor")),
    "reset password": ("sign_ins", _("set a new password by a link")),
    "set plan": ("server", _("changed the plan")),
    "create workspace": ("server", _("created a workspace")),
    "set public address": ("server", _("set the public address")),
    "set names of the server": ("server", _("set the names of the server")),
    "set allowed addresses": ("server", _("set the allowed addresses")),
    "set addresses of callers' webhooks": ("server", _("set the addresses of callers' webhooks")),
    "set retention": ("server", _("set what is kept how long")),
    "set backup passphrase": ("server", _("set the passphrase of backups")),
    "back up": ("server", _("made a backup")),
    "download backup": ("server", _("downloaded a backup")),
    "delete backup": ("server", _("deleted a backup")),
    "restore": ("server", _("restored a backup")),
    "take new key": ("server", _("took another key for secrets")),
}


class Places(Struct, frozen=True):
    """The subjects that still exist: id -> (name, path of its page)."""

    known: Mapping[str, tuple[str, str]]


def load_places(session: Session, workspace_id: str) -> Places:
    """Reads every subject to which an entry can link."""
    known = {flow.id: (flow.title, f"/flows/{flow.id}") for flow in list_flows(session, workspace_id)}
    known |= {key.id: (key.label, "/settings/keys") for key in list_keys(session, workspace_id)}
    known |= {one.id: (one.name, "/settings/team") for one in list_people(session, workspace_id)}
    known |= {one.id: (one.name, f"/datasets/{one.id}") for one in list_datasets(session, workspace_id)}
    return Places(known)


#: The actors that have no id, whose entry is this text alone. A person's always ends with their id in brackets.
_NO_PERSON = {"command line": _("The command line"), "somebody": _("Somebody"), "server": _("The server")}


def load_names(session: Session, workspace_id: str) -> dict[str, str]:
    """Returns what each actor in the log is called."""
    return names_of(list_actors(session, workspace_id), list_people(session, workspace_id))


def names_of(actors: Iterable[str], people: Collection[Person]) -> dict[str, str]:
    """Returns what each actor is called: `Ada` for `Ada (user_...)`, with the e-mail address (or else the id) where
    somebody else could be meant by the name.
    """
    emails = {person.id: person.email for person in people}
    named = {actor: _parts(actor) for actor in actors}
    ids: dict[str, set[str]] = {}
    for name, actor_id in (*named.values(), *((one.name, one.id) for one in people), *_without_id()):
        ids.setdefault(_as_seen(name), set()).add(actor_id)

    def label(name: str, actor_id: str) -> str:
        is_clear = len(ids[_as_seen(name)]) == 1 and "@" not in name
        return name if is_clear or not actor_id else f"{name} ({emails.get(actor_id, actor_id)})"

    return {actor: label(*parts) for actor, parts in named.items()}


def _as_seen(name: str) -> str:
    """Returns the same text for names that look alike on the page: blanks, invisible characters and capitals do not count."""
    composed = normalized("NFKC", name)
    visible = "".join(
        letter for letter in composed if unicodedata.category(letter) not in {"Cc", "Cf"} or letter.isspace()
    )
    return " ".join(visible.split()).casefold()


def _parts(actor: str) -> tuple[str, str]:
    """Returns name and id of an actor; the id of one that is no person is ""."""
    name, bracket, actor_id = actor.rpartition(" (")
    return (name, actor_id.removesuffix(")")) if bracket else (_NO_PERSON.get(actor, actor), "")


def _without_id() -> Iterator[tuple[str, str]]:
    """Returns the names that are no person's, as the log and as the page have them."""
    for stored, shown in _NO_PERSON.items():
        yield from ((stored, ""), (shown, ""))


def is_about_its_actor(row: AuditRow) -> bool:
    """Whether an entry is about the person who acted (`Ada signed in`), so that the subject need not be named."""
    return row.actor.endswith(f"({row.subject})")


def what(verb: str) -> str:
    """Returns what was done, as text."""
    return VERBS[verb][1] if verb in VERBS else verb


def more(row: AuditRow) -> str:
    """Returns the detail of an entry; without one its subject, when that is a name (of a backup) and no id."""
    if row.detail:
        return row.detail
    return "" if "_" in row.subject or row.subject == "server" else row.subject


def verbs_of(kind: str) -> tuple[str, ...] | None:
    """Returns the verbs of a kind, or None for every verb."""
    return tuple(verb for verb, (of, _words) in VERBS.items() if of == kind) if kind in KINDS else None
