"""The support file: technical facts about a server for whoever helps its owner, without private content (S26).

It contains versions, settings without secrets, the results of the checks, counts, and the codes of recent errors. It
contains no flow, payload, result, message, name or e-mail address. In addition, stored secrets and everything that
looks like a key are redacted.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from typing import Any

from engine.core.clock import to_rfc3339
from engine.core.redaction import Redaction
from engine.core.settings import Settings
from engine.diagnostics.server import check_server
from engine.secrets.opening import open_all
from engine.secrets.sealing import Vault
from storage.database import Database
from storage.server_figures import server_figures
from storage.support import count_everything, database_version, list_last_errors

#: Settings whose values are included. Of all others only "set" or "not set" is shown, as they are secrets or personal
#: data.
_AS_THEY_ARE = (
    "host",
    "port",
    "public_url",
    "plan",
    "outbound_allow",
    "webhook_allow",
    "outbound_proxy_names",
    "browser_sandbox",
    "allowed_origins",
    "trusted_proxies",
    "log",
    "local_servers",
)


async def write_support_file(settings: Settings, database: Database, vault: Vault, versions: Mapping[str, str]) -> str:
    """Returns the support file as indented JSON. `versions` are those of the libraries that Flowport uses."""
    lines = [line async for line in check_server(settings, database, vault, running=True, outside=False)]
    figures = await database.read(server_figures)
    errors = await database.read(list_last_errors)
    database_name, database_number = await database.read(database_version)
    report = {
        "made_at": to_rfc3339(database.clock.now()),
        "versions": {
            **versions,
            "python": platform.python_version(),
            database_name.lower(): database_number,
            "system": platform.platform(),
            "machine": platform.machine(),
        },
        "settings": settings_without_secrets(settings),
        "check": [{"name": one.name, "state": one.state, "found": one.found, "fix": one.fix} for one in lines],
        "counts": await database.read(count_everything),
        "now": {
            "queued": figures.queued,
            "processing": figures.processing,
            "waiting_for_a_person": figures.waiting,
            "oldest_queued_seconds": figures.oldest_queued_seconds,
            "workers": figures.workers,
            "jobs_of_the_last_hour": figures.last_hour,
            "database_bytes": figures.database_bytes,
        },
        "last_errors": [{"code": code, "count": count, "last_at": to_rfc3339(last)} for code, count, last in errors],
    }
    hidden = Redaction()
    for secret in (*await database.read(open_all, vault), settings.backup_passphrase):
        hidden.add(secret)
    return json.dumps(json.loads(hidden.in_json(json.dumps(report))), ensure_ascii=False, indent=2) + "\n"


def settings_without_secrets(settings: Settings) -> dict[str, Any]:
    """Maps each setting's environment variable to its value, or to `set` or `not set`."""
    found = {}
    for name in settings.__dataclass_fields__:
        value = getattr(settings, name)
        if name not in _AS_THEY_ARE:
            value = "set" if value else "not set"
        found[f"FLOWPORT_{name.upper()}"] = list(value) if isinstance(value, tuple) else value
    return found
