"""Tests of Read rows and Save rows in the inspector: choosing or creating a dataset, key columns, columns as
data.
"""

from __future__ import annotations

from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.actions.datasets import add_column, add_dataset, delete_dataset, import_rows, rename_column, rename_dataset
from engine.actions.deployments import warnings_before_deploy
from engine.flow.document import Document, Edge, Node
from engine.flow.edits import apply_ops, update_node
from engine.nodes.known_datasets import KnownDataset
from storage.dataset_changes import checked_rows
from storage.datasets import list_datasets
from tests.ui.arrange import buttons, draft, newest_button, page_text, press, texts, until
from tests.ui.conftest import Site
from ui.parts.written_rows import calls_before_a_run, writes_before_a_run


def add(site: Site, name: str = "Goods") -> str:
    dataset_id = site.database.write_now(add_dataset, site.owner, name)
    rows = [{"sku": "B-1", "price": 3.2}]
    site.database.write_now(import_rows, site.owner, dataset_id, checked_rows(rows))
    return dataset_id


def flow(site: Site, source: dict[str, Any], sink: dict[str, Any] | None = None) -> str:
    """API Input, Read rows, Splitter, Save rows."""
    nodes = [
        {"id": "api_input", "type": "api_input"},
        {"id": "rows", "type": "dataset_source", "config": source},
        {"id": "each", "type": "array_splitter", "inputs": {"items": "{{ rows.out }}"}},
        {"id": "sink", "type": "dataset_sink", "config": sink or {}},
    ]
    pairs = [("api_input", "rows"), ("rows", "each"), ("each", "sink")]
    edges = [{"id": f"e{at}", "source": one, "target": other} for at, (one, other) in enumerate(pairs)]
    return site.flow("Rows", file={"format": 1, "title": "Rows", "nodes": nodes, "edges": edges})


async def test_how_many_rows_is_asked_only_where_not_all_are_taken(site: Site, user: User) -> None:
    flow_id = flow(site, {"dataset": add(site)})
    await open_node(user, flow_id, "rows", "Take a row when these are true")
    await user.should_not_see("How many")

    (take,) = (one for one in user.find(kind=ui.select).elements if "The first rows" in list(one.options))
    take.value = "The first rows"
    await user.should_see("How many")
    await until(lambda: config_of(site, flow_id, "rows").get("take") == "first")
    take.value = "All rows"
    await user.should_not_see("How many")


def with_input(document: Document, node_id: str, inputs: dict[str, Any]) -> Document:
    node = document.node(node_id)
    assert node is not None
    return apply_ops(document, [update_node(node, inputs=inputs)])


def config_of(site: Site, flow_id: str, node_id: str) -> dict[str, Any]:
    document = draft(site, flow_id)
    node = document.node(node_id)
    assert node is not None
    return node.config


def select(user: User, label: str) -> ui.select:
    found = [
        one
        for one in user.find(kind=ui.select).elements
        if isinstance(one, ui.select) and one.props.get("aria-label") == label
    ]
    return max(found, key=lambda element: element.id)


async def eventually(user: User, site: Site, flow_id: str, node_id: str, config: dict[str, Any]) -> None:
    """Waits until the draft holds these settings, because it is stored shortly after an edit."""
    await until(
        lambda: config_of(site, flow_id, node_id).items() >= config.items(),
        lambda: config_of(site, flow_id, node_id),
    )


async def open_node(user: User, flow_id: str, node_id: str, said: str) -> None:
    """Opens the Playground with this node in the inspector, once the canvas reports that it is loaded."""
    await user.open(f"/playground/{flow_id}?node={node_id}")
    assert user.client is not None
    canvas = {element for element in user.client.elements.values() if type(element).__name__ == "EditableCanvas"}
    UserInteraction(user, canvas, None).trigger("ready", {"flowId": flow_id, "seq": 0, "kept": 0})
    await user.should_see(said, retries=60)


async def test_a_dataset_is_picked_from_a_list(site: Site, user: User) -> None:
    goods = add(site)
    add(site, "Readers")
    flow_id = flow(site, {}, {"dataset": goods})
    await open_node(user, flow_id, "rows", "New dataset")
    await user.should_see("Choose a dataset.", retries=100)
    box = select(user, "Dataset")
    assert list(box.options.values()) == ["Goods", "Readers"]
    box.value = goods
    await user.should_see("Open it (2 columns)", retries=100)
    await eventually(user, site, flow_id, "rows", {"dataset": goods})
    await user.should_not_see("Choose a dataset.", retries=100)

    site.database.write_now(add_column, site.owner, goods, "Seen", "string")  # as a run does
    edge = {"id": "late", "source": "rows", "target": "sink"}
    assert user.client is not None
    canvas = {one for one in user.client.elements.values() if type(one).__name__ == "EditableCanvas"}
    change = {"ops": [{"op": "addEdge", "edge": edge}], "seq": 1, "reason": "connect"}
    UserInteraction(user, canvas, None).trigger("change", change)
    await user.should_see("Open it (3 columns)", retries=100)


async def test_a_dataset_that_is_found_by_its_name_can_be_followed(site: Site, user: User) -> None:
    goods = add(site)
    flow_id = flow(site, {"dataset": "Goods"})
    await open_node(user, flow_id, "rows", "Allow renaming")
    press(user, "Allow renaming")
    await eventually(user, site, flow_id, "rows", {"dataset": goods})
    assert "Allow renaming" not in buttons(user)


async def test_a_new_dataset_is_made_in_the_inspector(site: Site, user: User) -> None:
    flow_id = flow(site, {})
    await open_node(user, flow_id, "sink", "A dataset is a table of rows.")
    press(user, "New dataset")
    await user.should_see("Create", retries=100)
    boxes = [one for one in user.find(kind=ui.input).elements if one.props.get("aria-label") == "Name"]
    max(boxes, key=lambda element: element.id).value = "Results"  # type: ignore[attr-defined]
    press(user, "Create")
    await user.should_see("Open it", retries=100)
    assert "0 columns" not in page_text(user), "they come with the first row"
    (made,) = site.database.read_now(list_datasets, site.workspace_id)
    await eventually(user, site, flow_id, "sink", {"dataset": made.id})
    await user.should_not_see("It was deleted", retries=100)


async def test_the_key_column_is_picked_from_the_datasets_columns(site: Site, user: User) -> None:
    goods = add(site)
    flow_id = flow(site, {"dataset": goods}, {"dataset": goods, "mode": "upsert"})
    await open_node(user, flow_id, "sink", "New dataset")
    await user.should_see("Choose the column to compare, which tells the row that is meant.", retries=100)
    box = select(user, "Column to compare")
    assert box.options == ["sku", "price"]
    box.value = "sku"
    await eventually(user, site, flow_id, "sink", {"key_column": "sku", "mode": "upsert"})


async def test_the_key_column_is_picked_from_what_the_row_gets_in_a_new_dataset(site: Site, user: User) -> None:
    made = site.database.write_now(add_dataset, site.owner, "Invoices")
    flow_id = flow(site, {}, {"dataset": made, "mode": "leave"})
    await open_node(user, flow_id, "sink", "New dataset")
    box = select(user, "Column to compare")
    assert box.options == []
    press(user, "Add a field")
    await until(lambda: box.options == ["field_1"], lambda: box.options)
    assert user.client is not None
    shown = list(user.client.elements.values())
    assert shown.index(box) < shown.index(newest_button(user, "Add a field")), "it stands above the row"


async def test_the_column_of_a_row_to_look_up_is_one_of_the_dataset_that_is_chosen(site: Site, user: User) -> None:
    goods = add(site)
    nodes = [
        {"id": "api_input", "type": "api_input"},
        {"id": "look", "type": "look_up_row", "inputs": {"value": "B-1"}},
    ]
    nodes.append({"id": "text", "type": "text_template", "inputs": {"template": "Hello"}})
    edges = [{"id": "e1", "source": "api_input", "target": "look"}]
    edges.append({"id": "e2", "source": "look", "source_port": "found", "target": "text"})
    flow_id = site.flow("Look", file={"format": 1, "title": "Look", "nodes": nodes, "edges": edges})
    await open_node(user, flow_id, "look", "New dataset")
    box = select(user, "Column to compare")
    assert box.options == []
    select(user, "Dataset").value = goods
    await until(lambda: box.options == ["sku", "price"], lambda: box.options)
    box.value = "sku"
    await eventually(user, site, flow_id, "look", {"dataset": goods, "column": "sku"})
    await open_node(user, flow_id, "text", "Data from earlier steps")
    assert user.client is not None
    (offered,) = [one for one in user.client.elements.values() if type(one).__name__ == "DataList"]
    await until(lambda: "{{ look.out.price }}" in str(offered.props["sources"]), lambda: offered.props["sources"])


async def test_the_columns_are_data_on_offer_before_anything_ran(site: Site, user: User) -> None:
    goods = add(site)
    flow_id = flow(site, {"dataset": goods})
    await open_node(user, flow_id, "sink", "Keep sku, price of each")


@pytest.mark.parametrize(
    ("named", "said"),
    [("dataset_gone", "It was deleted. Choose another one"), ("Fees", "There is no dataset called `Fees`.")],
)
async def test_a_dataset_that_is_gone_is_told_and_keeps_its_place(
    site: Site, user: User, named: str, said: str
) -> None:
    add(site)
    flow_id = flow(site, {"dataset": named})
    await open_node(user, flow_id, "rows", "New dataset")
    assert any(said.split("`", maxsplit=1)[0] in text for text in texts(user)), page_text(user)
    assert select(user, "Dataset").value == named
    assert config_of(site, flow_id, "rows") == {"dataset": named}


@pytest.mark.parametrize(
    ("written", "types", "column"),
    [
        ("integer", {}, "integer"),
        ("string", {"types": {"stock": "number"}}, "number"),
        ("string", {"types": {"stock": "yes_no"}}, "boolean"),
    ],
)
async def test_a_column_that_the_dataset_lacks_is_told_and_added_with_one_press(
    site: Site, user: User, written: str, types: dict[str, Any], column: str
) -> None:
    goods = add(site)
    nodes = [
        {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "count", "type": written}]}},
        {"id": "sink", "type": "dataset_sink", "label": "Keep it", "config": {"dataset": goods, **types},
         "inputs": {"sku": "B-2", "price": 2, "stock": "{{ api_input.out.count }}"}},
    ]  # fmt: skip
    edges = [{"id": "e1", "source": "api_input", "target": "sink"}]
    flow_id = site.flow("Stock", file={"format": 1, "title": "Stock", "nodes": nodes, "edges": edges})
    await open_node(user, flow_id, "sink", "New dataset")
    await until(lambda: "Add the column" in buttons(user))
    assert "Keep it: Goods has no column “stock”. Saving a row would add it." in page_text(user)

    press(user, "Add the column")

    await until(lambda: "Goods has no column" not in page_text(user))
    (dataset,) = site.database.read_now(list_datasets, site.workspace_id)
    assert [(one.name, one.type) for one in dataset.columns] == [
        ("sku", "string"),
        ("price", "number"),
        ("stock", column),
    ]


@pytest.mark.parametrize(("new", "meant"), [("Price in GBP", "price"), ("Cost", "price"), ("Cost", "number")])
async def test_after_a_rename_the_new_column_comes_first_and_is_filled_with_one_press(
    site: Site, user: User, new: str, meant: str
) -> None:
    goods = add(site)
    mode = {"mode": "upsert", "key_column": "price"} if meant == "price" else {}
    typed = {"types": {meant: "number"}}
    nodes = [
        {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "count", "type": "integer"}]}},
        {"id": "sink", "type": "dataset_sink", "label": "Keep it", "config": {"dataset": goods, **mode, **typed},
         "inputs": {"sku": "B-2", meant: "{{ api_input.out.count }}", **({"more": 1} if meant == "number" else {})}},
    ]  # fmt: skip
    edges = [{"id": "e1", "source": "api_input", "target": "sink"}]
    flow_id = site.flow("Stock", file={"format": 1, "title": "Stock", "nodes": nodes, "edges": edges})
    site.database.write_now(rename_column, site.owner, goods, "price", new)
    await open_node(user, flow_id, "sink", "New dataset")
    await until(lambda: "Add the column" in buttons(user))
    if meant == "number":
        assert not [one for one in buttons(user) if one.startswith("Fill")], "nothing tells which column is meant"
        return
    assert f"Keep it: Goods has no column “{meant}”. Was it renamed to “{new}”?" in page_text(user)

    press(user, f"Fill “{new}” instead")

    await eventually(user, site, flow_id, "sink", {"key_column": new, "types": {new: "number"}})
    node = draft(site, flow_id).node("sink")
    assert node is not None
    assert node.inputs == {"sku": "B-2", new: "{{ api_input.out.count }}"}
    await until(lambda: "Goods has no column" not in page_text(user))


async def test_a_column_that_the_dataset_lacks_is_told_before_it_goes_live(site: Site, user: User) -> None:
    goods = add(site)
    flow_id = flow(site, {"dataset": goods}, {"dataset": goods})
    kept = site.database.read_now(
        warnings_before_deploy, site.workspace_id, with_input(draft(site, flow_id), "sink", {"skuu": "B-2"})
    )
    assert [one.problem.message for one in kept if one.problem.code == "no_column"] == [
        "sink: Goods has no column “skuu”. Was it renamed to “sku”? Saving a row would add it."
    ]


async def test_a_viewer_sees_the_choice_and_makes_none(site: Site) -> None:
    goods = add(site)
    flow_id = flow(site, {"dataset": goods})
    user = await site.sign_in("viewer")
    await open_node(user, flow_id, "rows", "Open it (2 columns)")
    assert select(user, "Dataset").props["readonly"]
    await user.should_not_see("New dataset")


async def test_a_dataset_made_known_elsewhere_changes_what_the_page_says(site: Site, user: User) -> None:
    goods = add(site)
    flow_id = flow(site, {"dataset": goods})
    await open_node(user, flow_id, "rows", "Open it (2 columns)")
    site.database.write_now(rename_dataset, site.owner, goods, "Wares")
    site.database.write_now(delete_dataset, site.owner, goods, "delete")
    assert newest_button(user, "New dataset").enabled
    await open_node(user, flow_id, "rows", "A dataset that is gone")


async def test_before_a_run_it_is_said_which_tables_it_writes_into(site: Site, user: User) -> None:
    read, written = add(site), add(site, "Prices")
    await open_node(user, flow(site, {"dataset": read}, {"dataset": written}), "sink", "Column to compare")
    assert texts(user).count("Running here writes rows to “Prices” too.") == 2, "in the Run panel and beside the step"
    await open_node(user, flow(site, {"dataset": read}), "rows", "Take")
    assert "Running here" not in page_text(user)


SINK = Node(id="sink", type="dataset_sink", config={"dataset": "d1"})
KNOWN = (KnownDataset("d1", "Prices", {}), KnownDataset("d2", "Shops", {}))


@pytest.mark.parametrize(
    ("nodes", "edges", "inner", "said"),
    [
        ([SINK], [("api_input", "sink")], {}, "Running here writes a row to “Prices” too."),
        ([SINK], [], {}, ""),  # it is not connected, so it does not run
        (
            [SINK, SINK.model_copy(update={"id": "other", "config": {"dataset": "Shops"}})],
            [("api_input", "sink"), ("api_input", "other")],
            {},
            "Running here writes rows to “Prices”, “Shops” too.",
        ),
        (
            [Node(id="call_flow", type="call_flow")],
            [("api_input", "call_flow")],
            {"call_flow.sink": SINK},
            "Running here writes rows to “Prices” too.",  # it may save for each item
        ),
        (
            [SINK, Node(id="call_flow", type="call_flow")],
            [("api_input", "call_flow"), ("call_flow", "sink")],
            {"call_flow.read": Node(id="read", type="page_scraper")},
            "Running here writes a row to “Prices” too.",
        ),
        ([Node(id="gone", type="prompt")], [("api_input", "gone")], {"call_flow.sink": SINK}, ""),
    ],
)
def test_what_a_run_would_write_is_told_of_the_steps_that_run(nodes, edges, inner, said):
    document = Document(
        nodes=(Node(id="api_input", type="api_input"), *nodes),
        edges=tuple(Edge(id=f"e{at}", source=one, target=other) for at, (one, other) in enumerate(edges)),
    )
    assert writes_before_a_run(document, inner, KNOWN) == said


@pytest.mark.parametrize(
    ("method", "url", "said"),
    [
        ("POST", "http://alarm.example/notify?token=a1", "Running here calls http://alarm.example/notify too."),
        ("DELETE", "https://a.example/{{ api_input.out.id }}", "Running here calls https://a.example/… too."),
        ("PUT", "{{ api_input.out.url }}", "Running here calls “Tell the office” too."),
        ("POST", "http://[abc", "Running here calls “Tell the office” too."),
        ("POST", "http://exa\u2100mple.com/{{ api_input.out.id }}", "Running here calls “Tell the office” too."),
        ("POST", "https://user:pw@h.example:8443/x", "Running here calls https://h.example:8443/x too."),
        ("POST", "https://user:{{ api_input.out.id }}@h.example/x", "Running here calls “Tell the office” too."),
        ("POST", "https://h.example?id={{ api_input.out.id }}", "Running here calls https://h.example… too."),
        ("GET", "http://alarm.example/notify", ""),
        ("HEAD", "http://alarm.example/notify", ""),
    ],
)
def test_before_a_run_it_is_said_what_it_calls(method: str, url: str, said: str) -> None:
    call = Node(id="call", type="http_request", label="Tell the office", config={"method": method}, inputs={"url": url})
    document = Document(
        nodes=(Node(id="api_input", type="api_input"), call), edges=(Edge(id="e", source="api_input", target="call"),)
    )
    assert calls_before_a_run(document, {}) == said
    assert calls_before_a_run(document.model_copy(update={"edges": ()}), {}) == "", "it is not connected"


@pytest.mark.parametrize(
    ("model", "tool", "said"),
    [
        ("Office:x", {"method": "POST"}, "Running here may call https://a.example/orders/… too."),
        ("Office:x", {"method": "PUT", "address": "{host}"}, "Running here may call “Helper” too."),
        (
            "Office:x",
            {"method": "POST", "address": "https://u:pw@a.example"},
            "Running here may call https://a.example too.",
        ),
        ("Office:x", {"method": "GET"}, ""),
        ("Office:x", {}, ""),
        ("Office:x", {"kind": "flow", "method": "POST"}, ""),
        ("simulated", {"method": "POST"}, ""),
    ],
)
def test_before_a_run_it_is_said_what_an_agent_may_call(model: str, tool: dict[str, str], said: str) -> None:
    tools = [{"kind": "http", "address": "https://a.example/orders/{order}?key=1", **tool}]
    agent = Node(id="agent", type="agent", label="Helper", config={"model": model, "tools": tools})
    document = Document(
        nodes=(Node(id="api_input", type="api_input"), agent), edges=(Edge(id="e", source="api_input", target="agent"),)
    )
    assert calls_before_a_run(document, {}) == said
    call = Node(id="call_flow", type="call_flow")
    calling = document.model_copy(update={"nodes": (document.nodes[0], call)})
    calling = calling.model_copy(update={"edges": (Edge(id="e", source="api_input", target="call_flow"),)})
    assert calls_before_a_run(calling, {"call_flow.agent": agent}) == said


@pytest.mark.parametrize(
    ("url", "said"), [("http://alarm.example/notify", "http://alarm.example/notify"), ("http://[abc", "“call”")]
)
async def test_an_alarm_is_told_before_a_run(site: Site, user: User, url: str, said: str) -> None:
    file = {
        "format": 1,
        "title": "Alarm",
        "nodes": [
            {"id": "api_input", "type": "api_input"},
            {"id": "call", "type": "http_request", "config": {"method": "POST"}, "inputs": {"url": url}},
        ],
        "edges": [{"id": "e1", "source": "api_input", "target": "call"}],
    }
    await open_node(user, site.flow("Alarm", saved=False, file=file), "call", "GET reads; POST sends.")
    assert f"Running here calls {said} too." in page_text(user)
