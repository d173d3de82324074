"""Allow-lists accept only the owner's own networks and names: an entry that would open the internet is rejected
everywhere.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.actions.server import set_outbound_allow, set_webhook_allow
from engine.actions.workspaces import ensure_workspace
from engine.core.errors import Invalid
from engine.core.settings import BadSetting, Settings, from_environment
from engine.diagnostics.server import check_server
from engine.jobs.outbound_rules import outbound_rules
from engine.outbound.client import parse_allow_list
from engine.secrets.sealing import open_vault
from storage.settings import OUTBOUND_ALLOW, SERVER, put_setting
from tests.databases import open_database
from tests.factories import person

TOO_WIDE = [
    "0.0.0.0/0",
    "0.0.0.0/1",
    "128.0.0.0/7:443",
    "::/0",
    "[::]/0:443",
    "2000::/3",
    "::ffff:0:0/96",  # every IPv4 address in IPv6 notation
    "64:ff9b::/96",
    "2002::/16",
    "::/96",
]
ANYBODYS = ["*.com", "*.com:443", "*.co.uk", "*.github.io", "*.xn--p1ai", "*.рф", "*.newtld"]
OWN = [
    "10.0.0.0/8",
    "fc00::/7",
    "192.168.1.0/24",
    "::1",
    "::ffff:a00:0/104",
    "*.example.com",
    "*.example.co.uk",
    "*.corp",
    "*.lan:8080",
    "*.home.arpa",
    "ollama:11434",
]


@pytest.mark.parametrize("entry", TOO_WIDE)
def test_a_network_larger_than_any_private_one_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="would allow far more than a network of your own"):
        parse_allow_list(f"nas.lan, {entry}")


@pytest.mark.parametrize("entry", ANYBODYS)
def test_a_star_above_names_that_anybody_registers_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="names that anybody can register"):
        parse_allow_list(f"nas.lan, {entry}")


@pytest.mark.parametrize("entry", OWN)
def test_what_is_ones_own_is_taken(entry: str) -> None:
    assert [str(one) for one in parse_allow_list(entry)] == [entry]


@pytest.mark.parametrize("entry", ["0.0.0.0/0", "::/0", "*", "*.com"])
def test_neither_the_page_nor_the_environment_takes_them(entry: str, new_data: Path) -> None:
    database = open_database(new_data)
    try:
        owner = person(database.write_now(ensure_workspace, "free"))
        for verb in (set_outbound_allow, set_webhook_allow):
            with pytest.raises(Invalid, match="would allow"):
                database.write_now(verb, owner, f"nas.lan\n{entry}")
        for variable in ("FLOWPORT_OUTBOUND_ALLOW", "FLOWPORT_WEBHOOK_ALLOW"):
            settings = from_environment({variable: entry}, data=new_data)
            with pytest.raises(BadSetting, match=f"{variable}: .*would allow"):
                outbound_rules(settings, database)
    finally:
        database.close()


async def test_an_entry_kept_by_an_earlier_version_counts_no_more_and_the_check_says_so(new_data: Path) -> None:
    database, settings = open_database(new_data), Settings(data=new_data)
    try:
        database.write_now(put_setting, SERVER, OUTBOUND_ALLOW, "nas.lan, 0.0.0.0/0, *.com")
        assert [str(entry) for entry in outbound_rules(settings, database).allow] == ["nas.lan"]
        vault = open_vault(new_data)
        lines = [line async for line in check_server(settings, database, vault, running=False, outside=False)]
        told = [line.found for line in lines if line.name == "Allowed addresses" and line.state == "bad"]
        assert [sentence.split("`")[1] for sentence in told] == ["0.0.0.0/0", "*.com"]
    finally:
        database.close()
