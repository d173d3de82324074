"""README leads to the pages of commands and settings, and no file contains machine paths or package registries."""

from __future__ import annotations

import re
import subprocess

import pytest

from scripts.release_check import LOCKS
from tests.sources import ROOT, tracked

README = (ROOT / "README.md").read_text()

# The patterns are assembled from parts, so that this file does not match them.
MACHINE = re.compile(rb"(?<![\w./-])/(?:work|root|home/\w+)/[\w.]|/tmp/" + b"flowport")
REGISTRIES = re.compile(rb"files\.python" + rb"hosted|registry\.npm" + rb"js|py" + rb"pi\.org")


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


@pytest.mark.parametrize("name", [*LOCKS, "assets/canvas/package-lock.json"])
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


@pytest.mark.process
def test_make_alone_lists_every_target_with_what_it_does():
    told = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = dict(re.findall(r"^make ([a-z-]+) +(.+)$", told, re.MULTILINE))
    targets = re.findall(r"^([a-z][a-z-]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [target for target in targets if target not in listed] == []
