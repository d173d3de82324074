"""The tables of settings and commands in the help pages match the code, README leads to them, and no file contains machine
paths or package registries.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from api.commands.parser import build_parser
from engine.core.settings import BadSetting, Settings, from_environment

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = (ROOT / "assets" / "help" / "commands.md").read_text()
SETTINGS_PAGE = (ROOT / "assets" / "help" / "settings.md").read_text()
SETTINGS = {f"FLOWPORT_{field.name.upper()}" for field in fields(Settings)}

# The patterns are assembled from parts, so that this file does not match them.
MACHINE = re.compile(rb"(?<![\w./-])/(?:work|root|home/\w+)/[\w.]|/tmp/" + b"flowport")
REGISTRIES = re.compile(rb"files\.python" + rb"hosted|registry\.npm" + rb"js|py" + rb"pi\.org")


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


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()]


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


@pytest.mark.parametrize("name", ["FLOWPORT_HOST", "FLOWPORT_PORT", "FLOWPORT_PLAN"])
def test_the_table_tells_the_true_default(name):
    assert table()[name] == f"`{getattr(Settings(), name.removeprefix('FLOWPORT_').lower())}`"


@pytest.mark.process
def test_no_setting_is_spoken_of_that_does_not_exist():
    spoken = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in tracked()
        if path.suffix in {".py", ".md", ".yaml", ".yml", ".sh"} or path.name in {"Makefile", "Dockerfile"}
        for name in re.findall(r"\bFLOWPORT_[A-Z_]+[A-Z]\b", path.read_text())
        if name not in SETTINGS and not name.startswith("FLOWPORT_TEST_")
    }
    of_workers = {"FLOWPORT_WORKER_PIPES", "FLOWPORT_WORKER_ALONE", "FLOWPORT_WORKER_FAMILY"}
    known = {"FLOWPORT_API_KEY", "FLOWPORT_LISTENER", *of_workers}
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


@pytest.mark.process
def test_no_file_holds_a_path_of_a_developers_machine():
    assert [path.relative_to(ROOT).as_posix() for path in tracked() if MACHINE.search(path.read_bytes())] == []


@pytest.mark.parametrize(
    "text", ["/wo{}rk/main/app.py", "see /ro{}ot/.cache", "(/ho{}me/ann/flow.json)", "/tmp/flow{}port/x"]
)
def test_the_scan_sees_a_path_of_a_machine(text):
    assert MACHINE.search(text.format("").encode())


@pytest.mark.parametrize("text", ["https://a.example/work/1", "engine/work/x", "/workspaces/1", "/tmp/flow.json"])
def test_the_scan_lets_other_paths_be(text):
    assert not MACHINE.search(text.encode())


@pytest.mark.process
def test_no_file_names_the_host_of_a_registry():
    assert [path.relative_to(ROOT).as_posix() for path in tracked() if REGISTRIES.search(path.read_bytes())] == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "assets/canvas/package-lock.json"])
def test_a_lock_file_pins_by_hash_and_names_no_address(name):
    text = (ROOT / name).read_text()
    assert "sha256:" in text or '"integrity": "sha512-' in text
    assert re.findall(r"https?://[^\s\"']+\.(?:whl|tgz|tar\.gz)", text) == []


def test_every_file_the_readme_shows_is_there():
    shown = re.findall(r"!?\[[^\]]*\]\(([^)#:]+)\)", README)
    named = re.findall(r"`((?:api|ui|engine|storage|assets|tests|scripts)/[\w/.-]+)`", README)
    assert [name for name in [*shown, *named] if not (ROOT / name).exists()] == []


def test_readme_leads_to_the_pages_of_commands_and_settings_and_says_how_to_start():
    """Scripts that know only README look for these words."""
    wanted = ["(assets/help/commands.md)", "(assets/help/settings.md)", "(assets/help/hosting.md)"]
    wanted += [
        "\nmake run ",
        "\nmake test ",
        "`.venv/bin/python app.py --help`",
        "\n.venv/bin/python app.py flows import ",
    ]
    wanted += ["docker compose up -d --build", "app.py plan set pro"]
    assert [words for words in wanted if words not in README] == []
