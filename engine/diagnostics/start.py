"""Refuses what the environment says and a server or worker cannot use, before it starts.

Without these checks a server would say that it is ready, while each of its workers ends, or a figure is kept from whoever
asks for it. What can be told from a value alone is refused where it is read (`engine.core.settings`).
"""

from __future__ import annotations

from engine.core.settings import BadSetting, Settings, require_utf8, unreadable_file
from storage.database_note import require_data_here


def require_usable(settings: Settings, *, serves: bool) -> None:
    """Raises BadSetting. `serves`: by a server, which also reads files that no worker needs."""
    require_utf8(settings.data)
    if settings.database_url is None:
        require_data_here(settings.data)
    # libraries for addresses are loaded only for whom a setting names some
    if settings.outbound_allow or settings.webhook_allow or settings.outbound_proxy:
        from engine.jobs.outbound_rules import environment_rules

        environment_rules(settings)
    if serves and settings.metrics_token_file is not None:
        _require_token(settings)
    if serves and (settings.backup_passphrase or settings.backup_passphrase_file is not None):
        from engine.backups.passphrase import named_passphrase

        named_passphrase(settings)


def _require_token(settings: Settings) -> None:
    assert settings.metrics_token_file is not None
    try:
        token = settings.metrics_token_file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable_file("FLOWPORT_METRICS_TOKEN_FILE", settings.metrics_token_file, error) from error
    if not token:
        raise BadSetting(
            f"The file FLOWPORT_METRICS_TOKEN_FILE names, {settings.metrics_token_file}, is empty. Write a token into it, "
            "or leave the variable out: then there is no /metrics."
        )
