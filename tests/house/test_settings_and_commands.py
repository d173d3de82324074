"""The tables of settings and commands in the help pages match the code."""

from __future__ import annotations

import argparse
import re
from dataclasses import fields

import pytest

from api.commands.parser import build_parser
from engine.core.settings import OTHER_VARIABLES, BadSetting, Settings, from_environment
from tests.sources import ROOT, tracked

README = (ROOT / "README.md").read_text()
COMMANDS = (ROOT / "assets" / "help" / "commands.md").read_text()
SETTINGS_PAGE = (ROOT / "assets" / "help" / "settings.md").read_text()
SETTINGS = {f"FLOWPORT_{field.name.upper()}" for field in fields(Settings)}


def table() -> dict[str, str]:
    """Maps each variable in the table of the settings page to its default."""
    rows = re.findall(r"^\| `(FLOWPORT_\w+)` \| (.+?) \| .+ \|$", SETTINGS_PAGE, re.MULTILINE)
    assert len(rows) == len(dict(rows)), "a variable stands in the table twice"
    return dict(rows)


def commands(parser: argparse.ArgumentParser, front: str = "") -> list[str]:
    """Returns every command with its subcommand, for example `flows import`."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                found += commands(child, f"{front} {name}".strip())
    return found or [front]


def test_the_table_holds_every_setting_and_nothing_else():
    assert (SETTINGS - set(table()), set(table()) - SETTINGS) == (set(), set()), (
        "settings without a row in the table of assets/help/settings.md, and rows without a setting"
    )


#: Each kind of setting takes one of these.
VALUES = (
    "postgresql://flowport@db.example.com/flowport",
    "https://a.example",
    "10.0.0.5",
    "9000",
    "something",
    "off",
    "pro",
    "proxy",
    "json",
)


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_setting_is_read_from_the_environment(name):
    beside = {"FLOWPORT_SECRET_KEY_FILE": "key"} if name == "FLOWPORT_DATABASE_URL" else {}
    refusals = []
    for value in VALUES:
        try:
            read = from_environment({name: value} | beside)
        except BadSetting as refusal:
            refusals.append(str(refusal))
        else:
            assert read != from_environment(beside), f"add {name} to `_READ` in engine/core/settings.py"
            return
    pytest.fail(f"add a value that {name} takes to `VALUES`: {refusals[-1]}")


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_the_table_tells_the_true_default(name):
    """A default in backticks is a value as it may be set; words stand for one that is empty."""
    told = table()[name]
    default = getattr(Settings(), name.removeprefix("FLOWPORT_").lower())
    if told.startswith("`"):
        assert from_environment({name: told.strip("`")}) == Settings()
    else:
        assert not default, f"write the default of {name} into its row of assets/help/settings.md: {default!r}"


@pytest.mark.process
def test_no_setting_is_spoken_of_that_does_not_exist():
    spoken = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in tracked()
        if path.suffix in {".py", ".md", ".yaml", ".yml", ".sh"} or path.name in {"Makefile", "Dockerfile"}
        for name in re.findall(r"\bFLOWPORT_[A-Z_]+[A-Z]\b", path.read_text())
        if name not in SETTINGS and not name.startswith("FLOWPORT_TEST_")
    }
    known = {*OTHER_VARIABLES, "FLOWPORT_PROT"}  # the last one in a test of misspelt ones
    spoken = {line for line in spoken if not line.startswith("tests/engine/core/test_settings.py: ")}
    assert {line for line in spoken if line.split(": ")[1] not in known} == set()


def test_every_command_is_on_the_page_of_commands():
    assert [command for command in commands(build_parser()) if f"`{command}`" not in COMMANDS] == []


@pytest.mark.parametrize("page", [README, COMMANDS, SETTINGS_PAGE], ids=["README", "commands", "settings"])
def test_every_command_that_is_shown_exists(page):
    known = commands(build_parser())
    written = re.findall(r"app\.py ([a-z][a-z-]*(?: [a-z]+)?)", page)
    assert written
    assert [said for said in written if not any(f"{said} ".startswith(f"{command} ") for command in known)] == []


def test_every_command_and_option_says_what_it_does():
    silent = []

    def look(parser: argparse.ArgumentParser) -> None:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                said = {choice.dest: choice.help for choice in action._choices_actions}
                silent.extend(f"{parser.prog} {name}" for name in action.choices if not said.get(name))
                for child in action.choices.values():
                    look(child)
            elif action.option_strings and not action.help:
                silent.append(f"{parser.prog} {action.option_strings[0]}")

    look(build_parser())
    assert silent == []
