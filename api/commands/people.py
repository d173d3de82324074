"""The commands `people list|invite|withdraw|role|disable|enable`, and `setup-link` for the first owner or a password
reset.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from api.commands.terminal import Commands, Terminal
from engine.core.counted import counted
from engine.core.roles import Role

if TYPE_CHECKING:
    from storage.members import Person

ROLES = [str(role) for role in Role]  # as they are typed


def add_to(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Adds the commands to the parser."""
    group = commands.add_parser("people", help="who may come in: list, invite, change a role, shut out")
    subcommands = group.add_subparsers(dest="verb", metavar="VERB", required=True)

    command = subcommands.add_parser("list", parents=[shared], help="everybody with an account, and open invitations")
    command.add_argument("--json", action="store_true", help="print {people, invitations}")
    command.set_defaults(run=_list)

    command = subcommands.add_parser("invite", parents=[shared], help="print a link to join; it works once, for 7 days")
    command.add_argument("--role", required=True, choices=ROLES, help="what the person may do")
    command.add_argument("--email", default="", metavar="EMAIL", help="only for this e-mail address")
    command.set_defaults(run=_invite, makes_folder=True)

    command = subcommands.add_parser("withdraw", parents=[shared], help="make an open invitation useless")
    command.add_argument("invitation", metavar="ID", help="its id, as `people list` shows it")
    command.set_defaults(run=_withdraw)

    command = subcommands.add_parser("role", parents=[shared], help="give somebody another role; signs them out")
    command.add_argument("email", metavar="EMAIL")
    command.add_argument("role", choices=ROLES)
    command.set_defaults(run=_change_role)

    command = subcommands.add_parser(
        "disable", parents=[shared], help="shut somebody out at once; what they made stays"
    )
    command.add_argument("email", metavar="EMAIL")
    command.add_argument("--revoke-keys", action="store_true", help="revoke the API keys they have seen, too")
    command.set_defaults(run=_disable)

    command = subcommands.add_parser("enable", parents=[shared], help="let somebody in again")
    command.add_argument("email", metavar="EMAIL")
    command.set_defaults(run=_enable)

    command = commands.add_parser(
        "setup-link", parents=[shared], help="print a link to set up the first owner or a new password"
    )
    command.add_argument(
        "--reset", metavar="EMAIL", help="a link to set a new password for this account; takes its second factor away"
    )
    command.set_defaults(run=_print_link, makes_folder=True)


def _list(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.core.clock import to_rfc3339
    from storage.links import list_invitations
    from storage.members import list_people

    people, invitations = terminal.query(list_people), terminal.query(list_invitations)
    if arguments.json:
        terminal.json(
            {
                "people": [
                    {
                        "id": one.id,
                        "name": one.name,
                        "email": one.email,
                        "role": one.role,
                        "state": _state(one),
                        "last_here_at": to_rfc3339(one.seen_at) if one.seen_at else None,
                    }
                    for one in people
                ],
                "invitations": [
                    {
                        "id": one.id,
                        "role": one.role,
                        "email": one.email,
                        "created_at": to_rfc3339(one.created_at),
                        "expires_at": to_rfc3339(one.expires_at),
                    }
                    for one in invitations
                ],
            }
        )
        return
    rows = [
        (one.id, one.role, _state(one), to_rfc3339(one.seen_at) if one.seen_at else "-", f"{one.name} <{one.email}>")
        for one in people
    ]
    rows += [
        (one.id, one.role, "invited", f"until {to_rfc3339(one.expires_at)}", one.email or "anybody with the link")
        for one in invitations
    ]
    terminal.table(("ID", "ROLE", "STATE", "LAST HERE", "WHO"), rows)


def _invite(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.actions.one_time_links import invitation_path
    from engine.actions.team import invite

    token = terminal.execute(invite, arguments.role, arguments.email)
    terminal.note("Send this link to the person; it works once, for 7 days, and is not shown again.")
    terminal.value(f"{terminal.address}{invitation_path(token)}")


def _withdraw(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.actions.team import withdraw_invitation

    terminal.execute(withdraw_invitation, arguments.invitation)
    terminal.note("Withdrawn: nobody can join with its link any more.")


def _change_role(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.actions.team import change_role

    one = _person(terminal, arguments.email)
    terminal.execute(change_role, one.id, arguments.role)
    terminal.note(f"{one.name} is {arguments.role} from the next sign-in on.")
    if one.disabled:
        terminal.note(f"They are shut out, and stay so: `people enable {one.email}` lets them in.")


def _disable(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.actions.team import disable_person

    one = _person(terminal, arguments.email)
    keys = terminal.execute(disable_person, one.id, None if arguments.revoke_keys else ())
    terminal.note(f"{one.name} is shut out.")
    if arguments.revoke_keys:
        terminal.note(
            f"{counted(len(keys), 'API key')} that they have seen {'is' if len(keys) == 1 else 'are'} revoked."
        )
    for key in keys:
        now = "is revoked" if arguments.revoke_keys else f"works on; `keys revoke {key.id}` stops it"
        terminal.note(f"They have seen the key “{key.label}” ({key.masked}): it {now}.")


def _enable(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.actions.team import enable_person

    one = _person(terminal, arguments.email)
    terminal.execute(enable_person, one.id)
    terminal.note(f"{one.name} may sign in again.")


def _person(terminal: Terminal, email: str) -> Person:
    """Returns the person with this e-mail address. Raises NotFound."""
    from engine.core.errors import NotFound
    from storage.members import list_people

    wanted = email.strip().lower()
    found = next((one for one in terminal.query(list_people) if one.email == wanted), None)
    if found is None:
        raise NotFound(f"Nobody has the e-mail address `{email}`", remedy="`app.py people list` shows everybody.")
    return found


def _state(one: Person) -> str:
    return "shut out" if one.disabled else "active"


def _print_link(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.actions.one_time_links import link_path, new_reset_token, new_setup_token

    if arguments.reset is None:
        token = terminal.database.write_now(new_setup_token, terminal.workspace.id)
    else:
        named = terminal.workspace.id if terminal.workspace_named else None
        token, had_factor = terminal.database.write_now(new_reset_token, named, arguments.reset)
        if had_factor:
            terminal.note("The second factor of this account is taken away: the new password alone will sign in.")
    terminal.note("Open this link within 15 minutes; it works once. Links from before no longer work.")
    terminal.value(f"{terminal.address}{link_path(token)}")
