from __future__ import annotations

import json
import sqlite3

import pytest

from engine.actions.flows import delete_flow
from engine.actions.keys import create_key
from engine.actions.principal import command_line
from engine.core.environments import Environment
from engine.flow.flow_file import parse_flow_file
from engine.flow.yaml_files import as_yaml
from storage.workspaces import find_first_workspace
from tests.databases import open_database
from tests.factories import greeting


def cycle():
    file = greeting()
    file["nodes"].append({"id": "set_fields", "type": "set_fields", "inputs": {}})
    file["edges"] += [
        {"id": "e2", "source": "text_template", "target": "set_fields"},
        {"id": "e3", "source": "set_fields", "target": "text_template"},
    ]
    return file


def unknown_type():
    file = greeting()
    file["nodes"][1]["type"] = "mystery"
    return file


def unknown_key():
    file = greeting()
    file["nodes"][1]["colour"] = "red"
    return file


def unknown_setting():
    file = greeting()
    file["nodes"][0]["config"]["speed"] = 9
    return file


def dangling_edge():
    file = greeting()
    file["edges"].append({"id": "e2", "source": "text_template", "target": "gone"})
    return file


def several_at_once():
    file = greeting("{{ nobody.out }}", colour="red")
    file["nodes"].append({"id": "mystery", "type": "mystery"})
    file["edges"].append({"id": "e2", "source": "text_template", "target": "gone"})
    return file


BAD = {
    "a cycle": (json.dumps(cycle()), {"cycle"}),
    "an unknown type": (json.dumps(unknown_type()), {"unknown_type"}),
    "an unknown key": (json.dumps(unknown_key()), {"unknown_key"}),
    "an unknown key at the top": (json.dumps(greeting(colour="red")), {"unknown_key"}),
    "an unknown setting": (json.dumps(unknown_setting()), {"unknown_key"}),
    "a dangling edge": (json.dumps(dangling_edge()), {"dangling_edge"}),
    "2 MB": (json.dumps(greeting("x" * (2 << 20))), {"too_large"}),
    "invalid JSON": ('{"format": 1, "nodes": [', {"invalid_json"}),
    "no JSON at all": (b"\xff\xfe\x00\x01 not text", {"invalid_json"}),
    "a list": ("[]", {"invalid_document"}),
    "a wrong reference": (json.dumps(greeting("{{ nobody.out }}")), {"bad_reference"}),
    "nonsense in braces": (json.dumps(greeting("{{ import os }}")), {"bad_reference"}),
    "a newer format": (json.dumps(greeting(format=2)), {"unknown_format"}),
    "several at once": (
        json.dumps(several_at_once()),
        {"unknown_key", "unknown_type", "dangling_edge", "bad_reference"},
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_every_problem_and_nothing_is_stored(command, data, name):
    text, codes = BAD[name]
    said = command("flows", "import", "-", "--json", stdin=text)
    assert said.code == 1, said
    assert said.json["flow_id"] is None
    found = {problem["code"] for problem in said.json["problems"]}
    assert codes <= found, found
    for problem in said.json["problems"]:
        assert set(problem) == {"code", "message", "node_id", "pointer"}
        assert problem["message"] in said.err
    with sqlite3.connect(data / "flowport.db") as connection:
        assert connection.execute("select count(*) from flows").fetchone() == (0,)
    connection.close()


def test_a_refused_import_says_nothing_on_stdout_without_json(command):
    said = command("flows", "import", "-", stdin="{")
    assert (said.code, said.out) == (1, "")
    assert "invalid_json" in said.err


def test_a_cycle_names_its_nodes(command):
    said = command("flows", "import", "-", stdin=json.dumps(cycle()))
    assert said.code == 1
    assert "Greet" in said.err
    assert "set_fields" in said.err


def test_import_prints_the_id_and_makes_version_1_named_after_the_file(new_folder, command, flow_file):
    flow_id = command("flows", "import", flow_file).value
    (flow,) = command("flows", "list", "--json").json
    assert flow == {
        "flow_id": flow_id,
        "title": "say hello",
        "state": "Draft",
        "newest_version": 1,
        "live_version": None,
    }
    assert command("flows", "list").out.split("\t")[0] == flow_id


def test_a_deleted_flow_is_brought_back_at_its_address_with_a_version_after_its_last_one(command, data, flow_file):
    flow_id = command("flows", "import", flow_file).value
    address = command("flows", "deploy", flow_id).value
    refused = command("flows", "import", flow_file, "--id", flow_id)
    assert refused.code == 1
    assert f"There is a flow with the id `{flow_id}`" in refused.err

    database = open_database(data)
    first = database.read_now(find_first_workspace)
    assert first is not None
    key = database.write_now(create_key, command_line(first.id), "Shop", Environment.LIVE, flow_ids=[flow_id])
    database.write_now(delete_flow, command_line(first.id), flow_id)
    database.close()
    elsewhere = command("workspaces", "create", "Other").value
    foreign = command("flows", "import", flow_file, "--id", flow_id, "--workspace", elsewhere)
    assert (foreign.code, foreign.out) == (1, "")
    assert "of another workspace" in foreign.err

    assert command("flows", "import", flow_file, "--id", flow_id).value == flow_id
    assert command("flows", "deploy", flow_id).value == address
    (line,) = command("flows", "list", "--json").json
    assert (line["flow_id"], line["newest_version"], line["live_version"]) == (flow_id, 2, 2)
    assert key.id in command("keys", "list").out
    assert "live, “say hello”" in command("overview").out, "the key is for it again"


def test_an_id_that_this_folder_never_had_is_taken_and_what_is_no_id_is_refused(command, flow_file):
    flow_id = "flow_" + "a1B" * 7 + "z"
    assert command("flows", "import", flow_file, "--id", flow_id).value == flow_id
    refused = command("flows", "import", flow_file, "--id", "flow_short")
    assert (refused.code, refused.out) == (1, "")
    assert "`flow_short` is not the id of a flow" in refused.err


def test_an_import_says_that_another_flow_has_the_title(command, flow_file):
    first = command("flows", "import", flow_file)
    second = command("flows", "import", flow_file)
    assert "title" not in first.err
    assert second.value != first.value
    assert f"Another flow has the title “say hello”, too: {first.value}. Both stay." in second.err


def test_import_with_json_prints_what_still_stops_a_deployment(command):
    said = command("flows", "import", "-", "--json", stdin=json.dumps(greeting(nodes=[], edges=[])))
    assert said.code == 0
    assert said.json["flow_id"].startswith("flow_")
    assert {problem["code"] for problem in said.json["problems"]} == {"no_api_input", "no_processing_node"}
    refused = command("flows", "deploy", said.json["flow_id"])
    assert (refused.code, refused.out) == (1, "")
    assert "no_api_input" in refused.err
    assert "no_processing_node" in refused.err


def test_deploy_prints_the_url_undeploy_keeps_the_flow_and_the_url_comes_back(command, flow_file):
    flow_id = command("flows", "import", flow_file).value
    url = command("flows", "deploy", flow_id, FLOWPORT_PUBLIC_URL="https://flows.example.com/").value
    assert url == f"https://flows.example.com/public/v1/flows/execute/{flow_id}"
    undeployed = command("flows", "undeploy", flow_id)
    assert (undeployed.code, undeployed.out) == (0, "")
    assert command("flows", "list", "--json").json[0]["state"] == "Undeployed"
    assert command("flows", "deploy", flow_id, FLOWPORT_PUBLIC_URL="https://flows.example.com").value == url


def test_deploy_takes_a_version_that_exists(command, flow_file):
    flow_id = command("flows", "import", flow_file).value
    assert command("flows", "deploy", flow_id, "--version", 1).code == 0
    refused = command("flows", "deploy", flow_id, "--version", 7)
    assert (refused.code, refused.out) == (1, "")
    assert "no version 7" in refused.err


@pytest.mark.parametrize("verb", ["export", "deploy"])
def test_a_version_that_no_database_can_store_is_not_there(command, flow_file, verb):
    flow_id = command("flows", "import", flow_file).value
    refused = command("flows", verb, flow_id, "--version", 10**20)
    assert (refused.code, refused.out) == (1, "")
    assert f"no version {10**20}" in refused.err


def test_a_title_adds_no_row_to_the_list_and_nothing_that_a_terminal_obeys(command, tmp_path):
    title = "A\nflow_FAKE\tlive\x1b]0;title\x07 \u202e\u2028\x9b"
    file = tmp_path / "odd.json"
    file.write_text(json.dumps({**greeting(), "title": title}))
    flow_id = command("flows", "import", file).value
    listed = command("flows", "list")
    assert listed.out == f"{flow_id}\tDraft\t-\tv1\tA\\nflow_FAKE\\tlive\\x1b]0;title\\x07 \\u202e\\u2028\\x9b\n"
    assert command("flows", "list", "--json").json[0]["title"] == title


def test_what_export_prints_can_be_imported(command, flow_file):
    flow_id = command("flows", "import", flow_file).value
    exported = command("flows", "export", flow_id)
    assert exported.json["title"] == "say hello"
    assert exported.json == command("flows", "export", flow_id, "--draft").json
    assert exported.json == command("flows", "export", flow_id, "--version", 1).json
    again = command("flows", "import", "-", stdin=exported.out).value
    assert command("flows", "export", again).out == exported.out


def test_a_yaml_file_as_the_pages_export_it_is_imported_and_run(command, flow_file, tmp_path):
    exported = command("flows", "export", command("flows", "import", flow_file).value)
    file, _problems = parse_flow_file(exported.out)
    written = tmp_path / "hello.flow.YAML"
    written.write_text(as_yaml(file))
    assert command("flows", "export", command("flows", "import", written).value).out == exported.out
    assert command("flows", "run", written, "--input", '{"name": "Ann"}').json == {"output": "Hello Ann"}

    written.write_text("a: 1\na: 2")
    for verb in ("import", "run"):
        refused = command("flows", verb, written)
        assert (refused.code, refused.out) == (1, "")
        assert "`a` stands here twice (line 2)" in refused.err


@pytest.mark.parametrize("verb", ["export", "deploy", "undeploy"])
def test_an_unknown_flow_is_refused(command, verb):
    said = command("flows", verb, "flow_nobody")
    assert (said.code, said.out) == (1, "")
    assert "flow_nobody" in said.err


def test_a_file_that_is_not_there_is_refused(command):
    said = command("flows", "import", "nowhere.json")
    assert (said.code, said.out) == (1, "")
    assert "nowhere.json" in said.err


def test_run_prints_the_result_and_touches_no_data_folder(new_folder, command, flow_file, data):
    said = command("flows", "run", flow_file, "--input", '{"name": "Ada"}')
    assert said.json == {"output": "Hello Ada"}
    assert "Greet: completed" in said.err
    assert not data.exists()


@pytest.mark.parametrize(
    ("body", "word", "code"),
    [('{"nom": "Ada"}', "/name", 1), ("{", "--input", 2), ('["Ada"]', "--input", 2), ('{"name": 5}', "/name", 1)],
)
def test_run_refuses_a_wrong_body(command, flow_file, body, word, code):
    said = command("flows", "run", flow_file, "--input", body)
    assert (said.code, said.out) == (code, "")
    assert word in said.err


@pytest.mark.parametrize("depth", [65, 100_000])
def test_run_refuses_a_body_that_is_nested_too_deep(command, flow_file, depth):
    refused = command("flows", "run", flow_file, "--input", f'{{"name": {"[" * depth}{"]" * depth}}}')
    assert (refused.code, refused.out) == (2, "")
    assert "more than 64 levels deep" in refused.err


def test_run_refuses_a_flow_with_problems(command):
    said = command("flows", "run", "-", stdin=json.dumps(cycle()))
    assert (said.code, said.out) == (1, "")
    assert "cycle" in said.err


def test_a_refused_address_tells_of_the_variable_that_this_command_may_lack(command):
    file = greeting()
    file["nodes"][1] = {"id": "text_template", "type": "http_request", "inputs": {"url": "http://192.168.0.5/"}}
    flow_id = command("flows", "import", "-", stdin=json.dumps(file)).value
    said = "FLOWPORT_OUTBOUND_ALLOW is not set here. If the server has it"
    refused = command("flows", "deploy", flow_id)
    assert (refused.code, said in refused.err) == (1, True)
    ran = command("flows", "run", "-", "--input", '{"name": "Ada"}', stdin=json.dumps(file))
    assert (ran.code, said in ran.err) == (1, True)
    assert said not in command("flows", "deploy", flow_id, FLOWPORT_OUTBOUND_ALLOW="10.0.0.1").err
