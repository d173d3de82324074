"""`jobs cancel`: cancels the jobs that wait; `jobs erase`: erases the data of one job, or of all jobs that an API key sent
in a period.
"""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING

from api.commands.terminal import Commands, Terminal, UsedWrongly
from engine.core.clock import DAY

if TYPE_CHECKING:
    from storage.erasing import KeyJobs


def add_to(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Adds the commands to the parser."""
    group = commands.add_parser("jobs", help="cancel jobs that wait, or erase the data of jobs")
    subcommands = group.add_subparsers(dest="verb", metavar="VERB", required=True)

    text = "cancel the jobs that wait: of a flow, a batch or a key, or all of them; those that run go on"
    command = subcommands.add_parser("cancel", parents=[shared], help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.add_argument("--flow", metavar="FLOW_ID", help="only those of this flow")
    command.add_argument("--batch", metavar="BATCH_ID", help="only those of this batch")
    command.add_argument("--key", metavar="KEY_ID", help="only those that this key sent")
    command.add_argument("--all", action="store_true", help="all of the workspace, where no option narrows them")
    command.add_argument("--yes", action="store_true", help="do not ask")
    command.set_defaults(run=_cancel)

    text = "remove input, result, steps and messages of a job, or of all that a key sent in a period, for good"
    command = subcommands.add_parser("erase", parents=[shared], help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.add_argument("job", nargs="?", metavar="JOB_ID", help="the job")
    command.add_argument("--key", metavar="KEY_ID", help="the key's id, as `keys list` shows it")
    command.add_argument("--from", dest="since", type=_day, metavar="DATE", help="the first day, like 2026-11-01 (UTC)")
    command.add_argument("--to", dest="until", type=_day, metavar="DATE", help="the last day; it counts too")
    command.add_argument("--yes", action="store_true", help="do not ask")
    command.set_defaults(run=_erase)


def _cancel(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> int:
    from engine.actions.jobs import cancel_waiting
    from engine.core.errors import Invalid
    from storage.flows import get_flow
    from storage.jobs import JobFilters, count_queued
    from storage.keys import get_key

    if arguments.all == any((arguments.flow, arguments.batch, arguments.key)):
        raise Invalid(
            "Which jobs to cancel is not said",
            remedy="Name a flow, a batch or a key (`--flow FLOW_ID`), or `--all` for every job that waits.",
        )
    if arguments.flow:
        terminal.query(get_flow, arguments.flow)
    if arguments.key:
        terminal.query(get_key, arguments.key)
    filters = JobFilters(
        flow_id=arguments.flow,
        batch_id=arguments.batch,
        key_id=arguments.key,
        created_before=terminal.database.clock.now() + 1,  # not those that come meanwhile
    )
    count = terminal.query(count_queued, filters)
    if count:
        question = f"Cancel {_jobs(count)} that {'waits' if count == 1 else 'wait'}? They do not run any more."
        if not arguments.yes and not terminal.is_sure(question, remedy="Add --yes to cancel without a question."):
            terminal.note("Nothing was cancelled.")
            return 1
    cancelled = 0
    while count and (part := terminal.execute(cancel_waiting, filters)):
        cancelled += part
    terminal.value(str(cancelled))
    return 0


def _erase(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> int:
    from engine.actions.erasing import erase_data, find_copies
    from engine.jobs.server.erasing import finish_erasing, is_clean

    of_key = (arguments.key, arguments.since, arguments.until)
    if (arguments.job is None) == (None in of_key) or (arguments.job is not None and any(of_key)):
        raise UsedWrongly(
            "What to erase is not said",
            remedy="Name a job, or a key with its period: `--key KEY_ID --from DATE --to DATE`.",
        )
    if arguments.job is not None:
        terminal.execute(erase_data, arguments.job, terminal.query(find_copies, [arguments.job]))
    elif not (erased := _erase_of_key(arguments, terminal)):
        return int(erased is None)
    if not finish_erasing(terminal.database, rest=0):
        message = (
            "Nobody is shown it any more, but its last traces are still in the database file or its log, because somebody reads there. "
            "The server removes them while it runs; or give the command again."
        )
    elif not is_clean(terminal.database):
        message = (
            "Nobody is shown it any more, but this Python's SQLite has no `sqlite_dbpage`, so remains may stay in the unused parts of "
            "the database file. To remove them, stop Flowport and run `sqlite3 flowport.db VACUUM` in the data folder."
        )
    elif terminal.database.is_postgres:
        message = (
            "Nothing of it is left in the tables. PostgreSQL uses the place of removed rows again in its own time; "
            "`vacuum full` in the database gives it back at once."
        )
    else:
        message = "Nothing of it is left in the database."
    terminal.note(f"{message} Backups that were made before still hold it.")
    return 0


def _erase_of_key(arguments: argparse.Namespace, terminal: Terminal) -> bool | None:
    """Erases the data of a key's jobs. Returns True when data were erased, now or by an earlier call, and None when the
    person does not want it.
    """
    from engine.actions.erasing import erase_part, find_part
    from engine.core.errors import Invalid
    from storage.erasing import count_key_jobs
    from storage.keys import get_key

    key = terminal.query(get_key, arguments.key)
    since, until = _millis(arguments.since), _millis(arguments.until) + DAY
    if until <= since:
        raise Invalid("The period ends before it begins", remedy="Turn the two dates round.")
    found = terminal.query(count_key_jobs, key.id, since, until)
    terminal.note(f"Key “{key.label}”, {arguments.since} to {arguments.until} (UTC): {_counted(found)}.")
    if not found.kept:
        terminal.value("0")
        return found.erased > 0  # True lets the caller finish an earlier erasure that was interrupted
    question = f"Erase the data of {_jobs(found.kept)} for good? This cannot be undone."
    if not arguments.yes and not terminal.is_sure(question, remedy="Add --yes to erase without a question."):
        terminal.note("Nothing was erased.")
        return None
    erased, after = 0, (since - 1, "~")
    while after is not None:
        part = terminal.query(find_part, key.id, until, after)
        erased, after = erased + terminal.execute(erase_part, key.id, part.job_ids, part.copies), part.after
    terminal.value(str(erased))
    return True


def _counted(found: KeyJobs) -> str:
    message = [f"{_jobs(found.kept)} with data"]
    if found.open:
        message.append(f"{found.open:,} that have not ended and keep it (erase again when they have)")
    if found.erased:
        message.append(f"{found.erased:,} erased before")
    return ", ".join(message)


def _jobs(number: int) -> str:
    return "1 job" if number == 1 else f"{number:,} jobs"


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; write it like 2026-11-01") from None


def _millis(day: dt.date) -> int:
    return round(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp() * 1000)
