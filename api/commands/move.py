"""`move --to WHERE`: moves everything from a data folder into PostgreSQL, and back."""

from __future__ import annotations

import argparse
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from api.commands.terminal import Commands, Terminal
from engine.core.counted import counted

if TYPE_CHECKING:
    from engine.moving.move import Moved
    from storage.table_rows import Copied

_EXAMPLES = """\
app.py move --to postgresql://flowport@db.example.com/flowport     from the data folder (--data) into PostgreSQL
app.py move --to NEW_FOLDER        from PostgreSQL (FLOWPORT_DATABASE_URL, or --from URL) into a new data folder

The target must be empty, and no server or worker may use the source, which stays as it is. Give the password of
PostgreSQL in PGPASSWORD or PGPASSFILE: others on this machine can read what stands in a command line.
"""
#: Seconds between two lines of progress, on a terminal and elsewhere.
_TOLD_SECONDS, _TOLD_SECONDS_ELSEWHERE = 0.1, 5.0
_REPLACED_SHOWN = 20


def add_to(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Adds the command to the parser."""
    text = "move everything from the data folder into PostgreSQL, or back"
    command = commands.add_parser(
        "move",
        parents=[shared],
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--to", required=True, metavar="WHERE", help="the address of an empty PostgreSQL database, or a new folder")  # fmt: skip
    command.add_argument(
        "--from",
        dest="source",
        metavar="WHERE",
        help="a data folder or the address of a PostgreSQL database (default: --data when --to is an address, else FLOWPORT_DATABASE_URL)",
    )
    command.set_defaults(run=_move)


def _move(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.core.errors import Invalid
    from engine.core.settings import require_utf8
    from engine.moving.move import move_to_folder, move_to_other, move_to_postgres
    from storage.database_note import NOTE, note_moved, put_note, require_data_here
    from storage.postgres.unusable import database_in_words

    settings = terminal.settings
    to_url = _url(arguments.to, "--to")
    source = arguments.source or (str(settings.data) if to_url else settings.database_url)
    if source is None:
        raise Invalid(
            "There is no address of PostgreSQL to move from",
            remedy="Set FLOWPORT_DATABASE_URL, or name it with --from. To copy a data folder, use `backup` and `restore`.",
        )
    from_url = _url(source, "--from")
    if from_url is None and to_url is None:
        raise Invalid(
            "Both are folders", remedy="A folder moves by `app.py backup` and `app.py restore`, or as a plain copy."
        )
    if from_url == to_url:
        raise Invalid("Both are the same database", remedy="Name an empty one with --to.")
    for where, url in ((source, from_url), (arguments.to, to_url)):
        if url is None:
            require_utf8(Path(where))
            terminal.require_own(Path(where))
    if from_url is None:
        require_data_here(Path(source), what_to_do="Move from there: `--from ADDRESS`.")
    progress = _Progress(terminal)
    begun = time.monotonic()
    if from_url is None:
        assert to_url is not None, "checked above"
        moved = move_to_postgres(Path(source), to_url, tell=progress.tell)
    elif to_url is None:
        moved = move_to_folder(from_url, Path(arguments.to), key_file=settings.secret_key_file, tell=progress.tell)
    else:
        moved = move_to_other(from_url, to_url, tell=progress.tell)
    progress.end()
    _sum_up(terminal, moved, time.monotonic() - begun)
    if from_url is None:
        put_note(Path(source), to_url or "")
        key = (settings.secret_key_file or Path(source) / "secret.key").resolve()
        key_told = (
            f"{key} (or a copy of it on each machine)"
            if key.exists()
            else "a new file, the same on each machine (`openssl rand -base64 32 > FILE`), as the folder has no key"
        )
        terminal.note(
            f"Next: set FLOWPORT_DATABASE_URL to this address and FLOWPORT_SECRET_KEY_FILE to {key_told}, and start. {Path(source).resolve()} is as it was, but for {NOTE}, which says where its data are: no server starts on it "
            "without the address, or its jobs would run twice. Remove that file if this was a trial."
        )
    elif to_url is None:
        folder = Path(arguments.to).resolve()
        note_moved(from_url, f"the folder {folder} of the machine {socket.gethostname()}")
        terminal.note(
            f"Next: unset FLOWPORT_DATABASE_URL and FLOWPORT_SECRET_KEY_FILE (the key is in the folder, too), and start with "
            f"--data {folder}. The PostgreSQL database is as it was, but for a note where its data are: no server starts on it any more, or its jobs "
            "would run twice. The refusal says how to lift that, if this was a trial."
        )
    else:
        note_moved(from_url, database_in_words(to_url))
        terminal.note(
            "Next: set FLOWPORT_DATABASE_URL to the new address on every machine, and start. The old database is as it was, but for "
            "a note where its data are: no server starts on it any more, or its jobs would run twice. The refusal says how to "
            "lift that, if this was a trial."
        )


def _url(where: str, option: str) -> str | None:
    """Returns the address of a PostgreSQL database; None for a folder. Raises Invalid and BadSetting."""
    from engine.core.errors import Invalid
    from engine.core.settings import BadSetting, from_environment

    if "://" not in where:
        return None
    if not where.lower().startswith(("postgresql://", "postgres://")):
        raise Invalid(
            f"{option} begins with {where.partition('://')[0][:40]}://",
            remedy="It is the address of a PostgreSQL database, like postgresql://flowport@db.example.com/flowport, or a folder.",
        )
    try:
        return from_environment({"FLOWPORT_DATABASE_URL": where, "FLOWPORT_SECRET_KEY_FILE": "-"}).database_url
    except BadSetting as error:
        raise BadSetting(str(error).replace("FLOWPORT_DATABASE_URL", option)) from error


class _Progress:
    """Tells on stderr how far the move is: one line that changes on a terminal, a line now and then elsewhere."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._line = sys.stderr.isatty()
        self._told = time.monotonic()
        self._width = 0

    def tell(self, table: str, rows: int) -> None:
        """Tells that so many rows of a table are copied."""
        at = time.monotonic()
        if at - self._told < (_TOLD_SECONDS if self._line else _TOLD_SECONDS_ELSEWHERE):
            return
        self._told = at
        text = f"Copying {table}: {rows:,}"
        if self._line:
            print(f"\r{text.ljust(self._width)}", end="", file=sys.stderr, flush=True)
            self._width = len(text)
        else:
            self._terminal.note(text)

    def end(self) -> None:
        """Removes the line."""
        if self._line and self._width:
            print(f"\r{' ' * self._width}\r", end="", file=sys.stderr, flush=True)


def _sum_up(terminal: Terminal, moved: Moved, seconds: float) -> None:
    """Prints each table with its rows and its hash, then what people have to know."""
    copied = moved.copied
    filled = [(name, sums) for name, sums in copied.tables.items() if sums.rows]
    terminal.table(
        ("Table", "Rows", "Hash"), [(name, f"{sums.rows:,}", f"{sums.hash:032x}") for name, sums in sorted(filled)]
    )
    stored = moved.files
    files = f" and {stored.count:,} stored files ({stored.size / 1_000_000:,.1f} MB)" if stored.count else ""
    terminal.note(
        f"Moved: {copied.rows:,} rows in {len(filled)} tables{files} in {seconds:.1f} s. Each table was read back, and its "
        "rows and hash are the same."
    )
    if moved.queued:
        terminal.note(
            f"{counted(moved.queued, 'job')} that had not ended, waiting or running, will go on when the server starts."
        )
    if stored.missing:
        terminal.note(
            f"The bytes of {stored.missing:,} stored files were missing already before; steps that read them fail."
        )
    tell_replaced(terminal, copied)


def tell_replaced(terminal: Terminal, copied: Copied) -> None:
    """Prints in which values characters were replaced."""
    if copied.replaced_count:
        terminal.note(
            f"PostgreSQL stores no NUL and no half of a character pair: in {copied.replaced_count:,} values they became \ufffd:"
        )
        for one in copied.replaced[:_REPLACED_SHOWN]:
            terminal.note(f"  {one.table}.{one.column} of {one.key}")
        if copied.replaced_count > _REPLACED_SHOWN:
            terminal.note(f"  and {copied.replaced_count - _REPLACED_SHOWN:,} more")
