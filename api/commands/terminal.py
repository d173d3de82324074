"""The context of a command: the open data folder, the workspace it acts in, and its output to stdout and stderr."""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec, TypeAlias, TypeVar

from engine.core.errors import Invalid
from engine.core.logging_setup import in_one_line
from engine.core.settings import Settings, from_environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy.orm import Session

    from engine.actions.principal import Principal
    from engine.secrets.sealing import Vault
    from storage.database import Database
    from storage.workspaces import WorkspaceRow

#: What `add_subparsers` returns, to which each module adds its commands. argparse has no public name for it.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001
P = ParamSpec("P")
T = TypeVar("T")


class UsedWrongly(Invalid):
    """What was sent is not valid."""  # the title of Invalid, which a command does not show


class Terminal:
    """The context of one command."""

    def __init__(self, settings: Settings, workspace: str | None, *, makes_folder: bool = False) -> None:
        """`makes_folder`: the command sets something up, and may do so before the first start of a server."""
        self.settings = settings
        self._named = workspace
        self._makes_folder = makes_folder

    @property
    def workspace_named(self) -> bool:
        """True when `--workspace` names the workspace to act in."""
        return self._named is not None

    @functools.cached_property
    def database(self) -> Database:
        """The database. A new one is created and initialised, an older schema in a data folder is migrated. Raises InUse
        when a server of an older version runs or may run on it, and BadSetting when it has an older schema and another key;
        NotFound when the folder has none and the command makes none.
        """
        from engine.actions.workspaces import ensure_workspace
        from storage.backup import has_database
        from storage.opening import open_database
        from storage.workspaces import find_first_workspace

        self.require_own(self.settings.data)
        self.require_data_here()
        is_new = self.settings.database_url is None and not has_database(self.settings.data)
        if is_new and not self._makes_folder:
            self.require_flowport()
        database = open_database(self.settings.data, url=self.settings.database_url, keep_out=self.keep_out)
        if database.read_now(find_first_workspace) is None:
            database.write_now(ensure_workspace, self.settings.plan)
        if is_new:
            self.note(
                f"There was no Flowport in {self.settings.data.resolve()}: a new one was made there. If you meant another "
                "folder, name it with --data or FLOWPORT_DATA, and remove this one."
            )
        return database

    def keep_out(self) -> AbstractContextManager[None]:
        """Keeps servers out of the folder while its tables are brought up to date. Raises InUse when one is in, and for
        every PostgreSQL database; BadSetting when the key of the folder's secrets is another one or is gone.
        """
        from engine.jobs.worker_locks import ready_for_upgrade

        if self.settings.database_url is not None:
            self._refuse_older(self.settings.database_url)
        return ready_for_upgrade(self.settings)

    def _refuse_older(self, url: str) -> NoReturn:
        """Raises InUse: no copy is made of tables in PostgreSQL, and an older server, once stopped, would not start on
        newer ones.
        """
        from engine.core.errors import InUse
        from storage.migrations.postgres import postgres_schema
        from storage.migrations.schema import newest_schema
        from storage.postgres.unusable import database_in_words

        raise InUse(
            f"The tables in {database_in_words(url)} are those of an older Flowport (schema {postgres_schema(url)}, this one "
            f"has {newest_schema()}), which may be running on any machine and does not start on newer tables",
            remedy="To go on with the older version, give this command with its program. To upgrade, make a backup with that "
            "program (`app.py backup FILE`), then run `app.py migrate` of this one. Nothing was changed.",
        )

    @functools.cached_property
    def workspace(self) -> WorkspaceRow:
        """The workspace that `--workspace` names by id or name, otherwise the first one."""
        from storage.workspaces import find_first_workspace, pick_workspace

        if self._named is not None:
            return self.database.read_now(pick_workspace, self._named)
        first = self.database.read_now(find_first_workspace)
        assert first is not None, "opening the folder made one"
        return first

    @property
    def principal(self) -> Principal:
        """The actor of the command: the user of the server's terminal, who acts as an owner."""
        from engine.actions.principal import command_line

        return command_line(self.workspace.id)

    @functools.cached_property
    def vault(self) -> Vault:
        """Encrypts and decrypts the secrets of the data folder."""
        from engine.secrets.opening import open_vault_of

        return open_vault_of(self.settings, self.database)  # opening the database creates the folder

    @property
    def address(self) -> str:
        """The base URL of printed links.

        It comes from FLOWPORT_PUBLIC_URL or host and port when they are set, otherwise from the last run of the server.
        """
        from storage.settings import ADDRESS, SERVER, find_setting

        default = Settings()
        address_given = (self.settings.host, self.settings.port) != (default.host, default.port)
        if self.settings.public_url or address_given:
            return self.settings.base_url
        return self.database.read_now(find_setting, SERVER, ADDRESS) or self.settings.base_url

    def require_own(self, folder: Path) -> None:
        """Raises NotAllowed when root gives the command on a data folder whose server is another user's, who could not read
        what the command makes there.
        """
        if os.geteuid() != 0:
            return
        from engine.core.errors import NotAllowed
        from storage.file_modes import user_name, user_of

        user_id = user_of(folder)
        if user_id is None or user_id == 0:
            return
        user = user_name(user_id)
        raise NotAllowed(
            f"The folder {folder} belongs to the user {user}, who could not read what root makes there, and the server "
            "would fail",
            remedy=f"Give the command as that user: `sudo -u '{user}' .venv/bin/python app.py ...`, in a container "
            f"`docker compose exec -u {user_id} flowport .venv/bin/python app.py ...`. Where the server runs as root, start it "
            "first. Nothing was changed.",
        )

    def require_data_here(self) -> None:
        """Raises BadSetting when the data of the folder are in PostgreSQL and FLOWPORT_DATABASE_URL is not set."""
        if self.settings.database_url is None:
            from storage.database_note import require_data_here

            require_data_here(self.settings.data)

    def require_flowport(self) -> None:
        """Raises NotFound when there is no Flowport yet; opening `database` would make one."""
        from engine.core.errors import NotFound
        from storage.backup import require_database

        settings = self.settings
        self.require_own(settings.data)
        self.require_data_here()
        if settings.database_url is not None:
            from storage.migrations.upgrade import require_driver

            require_driver()
            from storage.migrations.postgres import postgres_schema
            from storage.postgres.unusable import database_in_words

            if not postgres_schema(settings.database_url):
                raise NotFound(
                    f"There is no Flowport in {database_in_words(settings.database_url)}",
                    remedy="Check FLOWPORT_DATABASE_URL, or start a server on it, which makes its tables.",
                )
        else:
            require_database(settings.data)

    def query(self, query: Callable[Concatenate[Session, str, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a query on the workspace."""
        return self.database.read_now(query, self.workspace.id, *args, **kwargs)

    def execute(self, action: Callable[Concatenate[Session, Principal, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs an action in one transaction."""
        return self.database.write_now(action, self.principal, *args, **kwargs)

    def value(self, text: str) -> None:
        """Prints the command's result to stdout."""
        print(text)

    def json(self, value: Any) -> None:
        """Prints the command's result as JSON to stdout."""
        print(json.dumps(value, ensure_ascii=False, indent=2))

    def table(self, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
        """Prints rows to stdout: as aligned columns with a header on a terminal, separated by tabs without a header in
        a pipe. A cell adds no row or column, and nothing that a terminal obeys: its control characters are escaped.
        """
        rows = [tuple(map(in_one_line, row)) for row in rows]
        if not sys.stdout.isatty():
            for row in rows:
                print("\t".join(row))
            return
        widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
        for row in (columns, *rows):
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def note(self, text: str) -> None:
        """Prints a note for the user to stderr, in one line."""
        print(in_one_line(text), file=sys.stderr)

    def note_allowed_here(self) -> None:
        """Notes, where an address was refused, that the server's environment may allow it, which a command does not see."""
        if not self.settings.outbound_allow:
            self.note(
                "FLOWPORT_OUTBOUND_ALLOW is not set here. If the server has it (in the unit of systemd or the compose file), "
                "set it here, too, and give the command again: a command reads only its own environment."
            )

    def is_sure(self, question: str, *, remedy: str) -> bool:
        """Asks the person at the terminal. Raises Invalid with the remedy when there is nobody."""
        if not sys.stdin.isatty():
            raise Invalid("There is nobody at this terminal to ask", remedy=remedy)
        print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):  # Ctrl+D
            print(file=sys.stderr)
        return answer.strip().lower() in {"y", "yes"}

    def close(self) -> None:
        """Closes the database if the command opened it."""
        if "database" in self.__dict__:
            self.database.close()


@contextlib.contextmanager
def open_terminal(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Opens the context of one command; `--data` overrides FLOWPORT_DATA. Raises BadSetting."""
    settings = from_environment(environment, data=arguments.data)
    terminal = Terminal(settings, arguments.workspace, makes_folder=getattr(arguments, "makes_folder", False))
    try:
        yield terminal
    finally:
        terminal.close()


def read_input(name: str, most: int = 16 << 20) -> bytes:
    """Reads up to `most` bytes of a file, or of stdin for `-`. Raises OSError."""
    if name == "-":
        return sys.stdin.buffer.read(most)
    with open(name, "rb") as file:  # noqa: PTH123 - a path as typed
        return file.read(most)


def read_flow_file(name: str) -> bytes:
    """Reads a flow file as JSON text; one whose name ends like a YAML file is read as that. Raises OSError, and
    FlowInvalid for YAML that cannot be read.
    """
    from engine.flow.yaml_files import is_yaml, json_of_yaml

    data = read_input(name)
    return json_of_yaml(data) if is_yaml(name) else data


def limit(text: str) -> int:
    """Parses a limit: a whole number from 1 on, or `unlimited` (stored as -1). Raises ArgumentTypeError."""
    if text == "unlimited":
        return -1
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number from 1 on nor `unlimited`")
    return int(text)
