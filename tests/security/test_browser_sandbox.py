"""Chromium is started without its sandbox only when the owner's setting says so."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from engine.browser.browser import browser_of
from engine.core.settings import BadSetting, Settings, from_environment
from engine.diagnostics.outbound import check_outside
from engine.flow.node_context import NodeFailed
from engine.outbound.client import Answer, OutboundClient, OutboundRules
from engine.secrets.sealing import open_vault
from storage.opening import open_database
from tests.stand_ins.network import Names, RecordedNetwork

PAGE = Answer("https://example.com/", 200, {"content-type": "text/html"}, b"<p>Hello")
REFUSES = "#!/bin/sh\necho \"$@\" >> {log}\necho 'FATAL: No usable sandbox! Update your kernel' >&2\nexit 1\n"


@pytest.fixture
def starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log with one command line per start of a fake Chromium, which fails to create its sandbox."""
    folder, log = tmp_path / "bin", tmp_path / "starts"
    folder.mkdir()
    log.touch()
    program = folder / "chromium"
    program.write_text(REFUSES.format(log=log))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return log


async def failure(outbound: OutboundClient) -> NodeFailed:
    try:
        await outbound.draw(PAGE, timeout_seconds=30)
    except NodeFailed as error:
        return error
    finally:
        await outbound.aclose()
    raise AssertionError("this Chromium cannot draw a page")


@pytest.mark.process
async def test_a_browser_that_cannot_have_its_sandbox_is_not_started_without(starts: Path) -> None:
    error = await failure(OutboundClient(network_rules(), renderer=browser_of))
    assert error.code == "page_needs_browser"
    assert error.message.endswith("cannot start its sandbox.")
    assert "FLOWPORT_BROWSER_SANDBOX=off" in error.remedy
    (line,) = starts.read_text().splitlines()
    assert "--no-sandbox" not in line


@pytest.mark.process
async def test_only_the_setting_takes_it_away(starts: Path, tmp_path: Path) -> None:
    settings = from_environment({"FLOWPORT_BROWSER_SANDBOX": "off"}, data=tmp_path)
    await failure(OutboundClient(network_rules(sandbox=settings.browser_sandbox), renderer=browser_of))
    (line,) = starts.read_text().splitlines()
    assert "--no-sandbox" in line


@pytest.mark.process
async def test_the_check_says_that_the_sandbox_cannot_start(starts: Path, new_data: Path) -> None:
    database = open_database(new_data)
    outbound = OutboundClient(network_rules(), Names(), RecordedNetwork(), renderer=browser_of)
    try:
        found = check_outside(Settings(data=new_data), database, open_vault(new_data), outbound)
        (line,) = [line async for line in found if line.name == "Browser"]
    finally:
        await outbound.aclose()
        database.close()
    assert line.state == "warn"
    assert "cannot start its sandbox" in line.found
    assert "FLOWPORT_BROWSER_SANDBOX=off" in line.fix


def test_the_setting_is_on_or_off() -> None:
    assert from_environment({}).browser_sandbox
    with pytest.raises(BadSetting, match="Set it to on or off"):
        from_environment({"FLOWPORT_BROWSER_SANDBOX": "no"})


def network_rules(*, sandbox: bool = True) -> OutboundRules:
    return OutboundRules(browser_sandbox=sandbox)
