"""What a server stores before its first request: the first workspace and owner, consistent counts, and its address."""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.actions.members import ensure_owner, password_hash_now
from engine.actions.one_time_links import link_path, new_setup_token
from engine.actions.workspaces import ensure_workspace
from engine.core.errors import Invalid
from engine.core.settings import BadSetting, Settings, unreadable_file
from engine.jobs.transitions import end_cancelled
from storage.database import Database
from storage.members import has_owner
from storage.settings import ADDRESS, SERVER, put_setting
from storage.usage import reconcile_usage


def set_up(database: Database, settings: Settings, *, owns_pages: bool = True) -> str | None:
    """Brings the database to a consistent state before the first request.

    Creates the first workspace and owner, recounts the running jobs of each limit, ends jobs whose cancellation was
    requested, and stores the server's address. Returns the path of the set-up link while there is no owner. A server
    without pages does neither of the last two. Raises BadSetting.
    """

    def make_consistent(session: Session) -> str:
        workspace_id = ensure_workspace(session, settings.plan)
        reconcile_usage(session)
        end_cancelled(session)
        if owns_pages:
            put_setting(session, SERVER, ADDRESS, settings.base_url)
        return workspace_id

    workspace_id = database.write_now(make_consistent)  # one transaction, which the disk confirms once
    if settings.admin_email and not database.read_now(has_owner, workspace_id):
        try:
            hashed = password_hash_now(_admin_password(settings))
        except Invalid as refusal:
            raise _unusable(f"FLOWPORT_ADMIN_PASSWORD_FILE ({settings.admin_password_file})", refusal) from refusal
        try:
            database.write_now(ensure_owner, workspace_id, settings.admin_email, hashed)
        except Invalid as refusal:
            raise _unusable("FLOWPORT_ADMIN_EMAIL", refusal) from refusal
    if owns_pages and not database.read_now(has_owner, workspace_id):
        # of several servers each prints a link, and one may be open in a browser already
        return link_path(database.write_now(new_setup_token, workspace_id, voids=not database.is_postgres))
    return None


def _unusable(variable: str, refusal: Invalid) -> BadSetting:
    said = str(refusal).removeprefix(f"{refusal.title}. ")
    return BadSetting(f"{variable} cannot be used: {said} Change it, and start again.")


def _admin_password(settings: Settings) -> str:
    if settings.admin_password_file is None:
        raise BadSetting(
            "FLOWPORT_ADMIN_EMAIL is set: name the file with the password in FLOWPORT_ADMIN_PASSWORD_FILE."
        )
    try:
        return settings.admin_password_file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable_file("FLOWPORT_ADMIN_PASSWORD_FILE", settings.admin_password_file, error) from error
