"""What the search of the frame finds beside flows and templates: pages, settings, what can be done, nodes and help.

Each entry has the words by which people look for it. The documentation's pages belong to `api` and are listed here by
address; tests/ui/test_finding.py opens every address.
"""

from __future__ import annotations

from msgspec.structs import replace

from engine.actions.principal import ROLES
from engine.core.roles import Role
from engine.nodes import NODE_TYPES
from ui.kit.search import Hit
from ui.kit.text import _

_SETTINGS = _("Settings")
_TO_DO = _("What you can do")
_HELP = _("Help")

#: The settings pages. The areas of the navigation are added by the frame.
SETTINGS = (
    Hit(_("API Keys"), "/settings/keys", _SETTINGS, synonyms="key, keys, token, api key, credentials"),
    Hit(
        _("Models and secrets"),
        "/settings/models",
        _SETTINGS,
        synonyms="model, models, ai, llm, provider, connection, connections",
    ),
    Hit(
        _("Limits and plan"),
        "/settings/limits",
        _SETTINGS,
        synonyms="limit, limits, quota, plan, upgrade, free, pro, too many, 429, subscription",
    ),
    Hit(
        _("Team"),
        "/settings/team",
        _SETTINGS,
        synonyms="team, people, users, user, members, colleagues, roles, permissions, viewer, editor",
    ),
    Hit(
        _("Your account"),
        "/settings/account",
        _SETTINGS,
        synonyms="account, profile, my name, sign out, log out, logout",
    ),
    Hit(_("Data"), "/settings/data", _SETTINGS, synonyms="data, storage, disk, retention, privacy, gdpr"),
    Hit(_("Server"), "/settings/server", _SETTINGS, synonyms="server, proxy, network, outbound, addresses"),
    Hit(_("Audit log"), "/settings/audit", _SETTINGS, synonyms="audit, who did what, activity, history, log"),
    Hit(_("About"), "/settings/about", _SETTINGS, synonyms="about, version number, licence, license, support"),
)

_TOLD = "tell, tell me when a run fails, told when it fails, notify, notification, alert, alerts, alarm, warn me"

#: What people want to do -> the page on which it is done.
TO_DO = (
    Hit(
        _("New flow"),
        "/playground/new",
        _TO_DO,
        symbol="add",
        synonyms="new, new flow, create, create a flow, build, make a flow, start, begin, draw",
        needs="edit flows",
    ),
    Hit(
        _("Import a flow"),
        "/flows",
        _("Saved Flows: Import"),
        symbol="upload",
        synonyms="import, import flow, open a file, yaml, move a flow",
        needs="edit flows",
    ),
    Hit(
        _("Download a flow as a file"),
        "/flows",
        _("Saved Flows: the menu of the flow"),
        symbol="download",
        synonyms="export, export flow, download flow, save to disk, copy to another server",
    ),
    Hit(
        _("Deploy a flow as an API"),
        "/flows",
        _("Saved Flows: open the flow, Deploy API"),
        symbol="rocket_launch",
        synonyms="deploy, publish, go live, live, release, put online, launch, production",
        needs="deploy",
    ),
    Hit(
        _("Go back to an earlier version"),
        "/flows",
        _("Saved Flows: open the flow, Versions"),
        symbol="history",
        synonyms="version, versions, roll back, rollback, yesterday, undo, restore a flow, older, revert",
        needs="edit flows",
    ),
    Hit(
        _("Invite somebody"),
        "/settings/team",
        _("Settings, Team"),
        symbol="person_add",
        synonyms="invite, invitation, add a person, add user, colleague, share, give access, new person",
        needs="manage people",
    ),
    Hit(
        _("Make an API key"),
        "/settings/keys",
        _("Settings, API Keys"),
        symbol="key",
        synonyms="new key, create key, make a key, authorization, access token",
        needs="manage keys",
    ),
    Hit(
        _("Connect a model"),
        "/settings/models",
        _("Settings, Models and secrets"),
        symbol="add_link",
        synonyms=(
            "connect, openai, chatgpt, gpt, claude, anthropic, gemini, mistral, ollama, azure, connect ai, "
            "real answers, made-up answers, simulated"
        ),
        needs="manage connections",
    ),
    Hit(
        _("Keep a secret"),
        "/settings/models",
        _("Settings, Models and secrets"),
        symbol="lock",
        synonyms="secret, secrets, password of a service, bearer",
        needs="manage connections",
    ),
    Hit(
        _("Change your password"),
        "/settings/account",
        _("Settings, Your account"),
        symbol="lock",
        synonyms="password, change password, second factor, 2fa, mfa, authenticator, security",
    ),
    Hit(
        _("Back up everything"),
        "/settings/data",
        _("Settings, Data"),
        symbol="save",
        synonyms="backup, back up, restore, safe copy",
        needs="change the server",
    ),
    Hit(
        _("See what failed"),
        "/jobs?status=failed",
        _("Jobs"),
        symbol="error",
        synonyms="error, errors, failed, failure, fail, problem, broken, wrong, why, debug",
    ),
    Hit(
        _("See at once that a run failed"),
        "/jobs",
        _("The entry Jobs shows how many since you last looked"),
        symbol="list_alt",
        synonyms=_TOLD,
    ),
    Hit(
        _("Be told elsewhere when a run ends"),
        "/flows",
        _("Saved Flows: open the flow, Settings, Webhooks"),
        symbol="webhook",
        synonyms=f"{_TOLD}, inform, message me",
    ),
    Hit(
        _("See which calls were refused"),
        "/jobs?tab=refused",
        _("Jobs"),
        symbol="block",
        synonyms="refused, refusal, rejected, denied, 400, 401, bad request, not accepted",
    ),
    Hit(
        _("See who called and when"),
        "/jobs",
        _("Jobs"),
        symbol="list_alt",
        synonyms="calls, callers, who called, requests, runs, executions, results, log of calls",
    ),
    Hit(
        _("See what it costs and how fast it is"),
        "/monitoring",
        _("Monitoring"),
        symbol="monitoring",
        synonyms=(
            "cost, costs, spending, money, usage, statistics, chart, charts, slow, speed, performance, dashboard, p95"
        ),
    ),
    Hit(
        _("Import a table"),
        "/datasets",
        _("Datasets: Import a file"),
        symbol="table_rows",
        synonyms="csv, excel, spreadsheet, table, database, import csv, import table",
        needs="edit datasets",
    ),
    Hit(
        _("Begin with an example"),
        "/templates",
        _("Templates"),
        symbol="dashboard",
        synonyms="example, examples, ideas, gallery, sample, samples, getting started",
    ),
)

#: The guides of the documentation that people look for.
HELP = (
    Hit(
        _("Quick start"),
        "/docs/guides/quick-start",
        _HELP,
        symbol="help",
        synonyms="help, tutorial, how to, first steps, manual, docs, learn, guide",
    ),
    Hit(
        _("Call a flow from a program"),
        "/docs/guides/quick-start",
        _HELP,
        symbol="help",
        synonyms="call, call a flow, api, endpoint, curl, use it, code, address, url",
    ),
    Hit(
        _("Webhooks"),
        "/docs/guides/webhooks",
        _HELP,
        symbol="help",
        synonyms="webhook, callback, notify, notification, when it is done, push",
    ),
    Hit(_("Batch"), "/docs/guides/batch", _HELP, symbol="help", synonyms="batch, bulk, many at once, mass"),
    Hit(_("Errors and troubleshooting"), "/docs/guides/errors", _HELP, symbol="help", synonyms="troubleshooting"),
    Hit(
        _("AI assistants (MCP)"),
        "/docs/guides/ai-assistants",
        _HELP,
        symbol="help",
        synonyms="mcp, assistant, cursor, copilot, tool for ai",
    ),
    Hit(
        _("Environments"),
        "/docs/guides/environments",
        _HELP,
        symbol="help",
        synonyms="environment, environments, staging, test, testing, sandbox, development",
    ),
    Hit(
        _("Hosting"),
        "/docs/guides/hosting",
        _HELP,
        symbol="help",
        synonyms="hosting, install, docker, domain, https, own server",
    ),
    Hit(
        _("Docs"),
        "/docs",
        _("All help pages"),
        symbol="help",
        synonyms="docs, documentation, all help, manual, api docs",
    ),
)

#: A node is found with its help page.
NODES = tuple(
    Hit(kind.title, f"/docs/nodes/{kind.type}", kind.tooltip, symbol=kind.icon, synonyms=kind.synonyms)
    for kind in NODE_TYPES
)

PLACES = (*SETTINGS, *TO_DO, *HELP, *NODES)


def places_for(role: str, owners: str) -> list[Hit]:
    """Returns the places; one whose action the role may not do says who does it, and leads to the team.

    It stays findable, so that whoever looks for it learns whom to ask.
    """
    return [place if role in ROLES[place.needs] else _asking(place, owners) for place in PLACES]


def _asking(place: Hit, owners: str) -> Hit:
    who = _("Editors and owners do this") if Role.EDITOR in ROLES[place.needs] else _("Owners do this")
    return replace(
        place,
        path="/settings/team",
        who=_("{who}. Ask: {owners}").format(who=who, owners=owners) if owners else who,
        symbol="lock",
    )
