"""Allow-lists accept only the owner's own networks and names: an entry that would open the internet is rejected
everywhere.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.actions.connections import add_connection
from engine.actions.server import set_outbound_allow, set_webhook_allow
from engine.actions.workspaces import create_workspace, ensure_workspace
from engine.core.clock import SystemClock
from engine.core.errors import Invalid
from engine.core.settings import BadSetting, Settings, from_environment
from engine.diagnostics.server import check_server
from engine.jobs.outbound_rules import outbound_rules
from engine.models.client import ModelRequest, Models
from engine.models.connection_test import check_connection
from engine.models.embeddings import Embeddings
from engine.models.errors import ModelFailed
from engine.models.saved_connections import open_connection
from engine.outbound.client import OutboundClient, parse_allow_list
from engine.secrets.sealing import open_vault
from storage.settings import OUTBOUND_ALLOW, SERVER, put_setting
from tests.databases import open_database
from tests.factories import person
from tests.stand_ins.embedding_server import EmbeddingServer
from tests.stand_ins.openai_server import OpenAIServer

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


@pytest.mark.process
async def test_a_model_connection_of_another_workspace_opens_no_address_inside(new_data: Path) -> None:
    database, settings, vault = open_database(new_data), Settings(data=new_data), open_vault(new_data)
    owner = person(database.write_now(ensure_workspace, "free"))
    tenant = person(database.write_now(create_workspace, "Elsewhere"), name="Mallory")
    outbound = OutboundClient(outbound_rules(settings, database))
    models, embeddings, asked = Models(outbound), Embeddings(outbound, SystemClock()), ModelRequest("Hi", "small-model")
    try:
        with OpenAIServer() as server, EmbeddingServer() as vectors:
            for who in (owner, tenant):
                database.write_now(add_connection, who, vault, "inside", "openai_compatible", base_url=server.url)
                database.write_now(add_connection, who, vault, "vectors", "openai_compatible", base_url=vectors.url)
            inside, inside_vectors = (
                database.read_now(open_connection, vault, tenant.workspace_id, name) for name in ("inside", "vectors")
            )
            assert inside is not None
            assert inside_vectors is not None
            result = await check_connection(outbound, inside)
            assert not result.ok
            assert "The owner of this server can allow it under Settings → Server, Allowed addresses" in result.sentence
            with pytest.raises(ModelFailed) as refused:
                await models.ask(inside, asked)
            assert refused.value.code == "address_not_allowed"
            with pytest.raises(ModelFailed) as refused:
                await embeddings.embed(inside_vectors, "tiny-embed", ["a"], "question")
            assert refused.value.code == "address_not_allowed"
            assert not [*server.requests, *vectors.requests]

            own = database.read_now(open_connection, vault, owner.workspace_id, "inside")
            assert own is not None
            assert (await check_connection(outbound, own)).ok
            database.write_now(set_outbound_allow, owner, f"127.0.0.1:{server.port}")
            outbound.replace_rules(outbound_rules(settings, database))
            assert (await models.ask(inside, asked)).text == "Hello."
    finally:
        await outbound.aclose()
        database.close()
