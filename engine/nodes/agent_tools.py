"""The tools of an Agent: how the designer describes them, and what a model is offered."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast
from urllib.parse import quote, urlsplit

from pydantic import Field, JsonValue

from engine.core.errors import Problem
from engine.flow import contract
from engine.flow.agent_kinds import KINDS, NAMED, Kind, fixed_host, name_of
from engine.flow.called_flows import AGENT
from engine.flow.document import Document, Node
from engine.flow.json_values import read_strictly, value_at
from engine.flow.node_context import FlowAnswer, HttpAnswer, Json, NodeContext, NodeFailed, ToolServer, ToolSpec
from engine.flow.node_type import NodeConfig
from engine.flow.references import as_text
from engine.flow.rules import holds
from engine.flow.validation import without_parked
from engine.nodes.api_input import InputRules, InputType
from engine.nodes.page_reading import read_with
from engine.nodes.row_search import RULE, RowSearch
from engine.nodes.web_answers import status_failure
from engine.pages.parsing_limits import PageUnreadable

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
MOST_TOOLS = 30
#: What the providers take as the name of a tool.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_IN_BRACES = re.compile(r"\{([^{}]*)\}")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
#: Operators that a model may filter rows by.
OPERATORS = ("equals", "not_equals", "contains", "greater", "greater_or_equal", "less", "less_or_equal", "is_empty")
MOST_ROWS = 100
#: The rows of a dataset that a search looks at, and the largest answer of a web service in characters.
MOST_ROWS_READ = 100_000
LONGEST_BODY = 30_000
_LONGEST_DESCRIPTION = 2_000
_LONGEST_PLACE = 120


class ToolRules(InputRules):
    """A value without its name: its type and what the model must keep to."""

    # the models are frozen, which a type checker does not see: a narrower type is safe
    type: InputType = Field(default="string", title="Type", description="What kind of value the model fills in.")
    required: bool = Field(
        default=False, title="Required", description="A call without it is not made; the model is told so."
    )
    description: str = Field(
        default="",
        max_length=1_000,
        title="Description",
        description="Tells the model what belongs here, like `The number of the order`.",
    )
    default: Any = Field(default=None, title="Default", description="Sent when the model leaves it out.")
    example: Any = Field(default=None, title="Example", description="Shows the model what you expect.")
    items: ToolRules | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None, title="Items", description="What each item of the list is."
    )
    fields: tuple[ToolParameter, ...] | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None, title="Fields", description="What the model fills in for each part of the group."
    )


class ToolParameter(ToolRules):
    """A value that the model fills in when it calls a web service."""

    name: str = Field(
        max_length=200, title="Name", description="The name in braces in the address, or under which the value is sent."
    )


class AgentTool(NodeConfig):
    """One entry of an agent's tools; which fields count depends on `kind`."""

    kind: Kind = Field(
        "flow",
        title="What it uses",
        description="What the agent may look up or do with it.",
        json_schema_extra={"words": {**KINDS}, "new": "flow"},
    )
    flow_id: str = Field(
        "",
        max_length=100,
        title="Flow",
        description="A saved flow of this workspace. Its input fields are what the model fills in.",
        json_schema_extra={"widget": "tool_flow"},
    )
    version: int | None = Field(
        None,
        ge=1,
        title="Version",
        description="Fixed when this flow is deployed: the live version of the flow, else its newest.",
        json_schema_extra={"widget": "hidden"},
    )
    dataset: str = Field(
        "",
        max_length=200,
        title="Dataset",
        description="The dataset in which the model may look rows up.",
        json_schema_extra={"widget": "dataset"},
    )
    may_add: bool = Field(False, title="May add rows", description="The model may also add rows to the dataset.")
    collection: str = Field(
        "",
        max_length=200,
        title="Collection",
        description="The collection of the page Knowledge that the model may search.",
        json_schema_extra={"widget": "collection"},
    )
    method: Method = Field("GET", title="Method", description="GET reads; the others change something.")
    address: str = Field(
        "",
        max_length=2_000,
        title="Web address",
        description="Always this address. Where the model fills something in, write a name in braces: "
        "`https://api.example.com/orders/{order}`. The host cannot be filled in.",
        json_schema_extra={"widget": "line", "example": "https://api.example.com/orders/{order}"},
    )
    parameters: tuple[ToolParameter, ...] = Field(
        (),
        max_length=50,
        title="What the model fills in",
        description="The names in braces, and further values: they go into the address after `?`, or into the body.",
        json_schema_extra={"item": "value"},
    )
    secret_headers: dict[str, str] = Field(
        default_factory=dict,
        max_length=20,
        title="Secret headers",
        description="Headers filled from secrets, like Authorization. The model never sees them.",
        json_schema_extra={"widget": "secrets", "item": "header"},
    )
    server: str = Field(
        "",
        max_length=100,
        title="MCP server",
        description="A server that an owner set up under Settings, Tools.",
        json_schema_extra={"widget": "tool_server"},
    )
    only: tuple[str, ...] = Field(
        (),
        max_length=200,
        title="Which of its tools",
        description="None chosen: all that the owner allows.",
        json_schema_extra={"widget": "server_tools"},
    )
    description: str = Field(
        "",
        max_length=_LONGEST_DESCRIPTION,
        title="When to use it",
        description="Tells the model what it is for, like `Finds an order by its number`. Empty: the model is told what "
        "you chose, of a dataset its name and columns.",
        json_schema_extra={"widget": "textarea"},
    )
    name: str = Field(
        "",
        max_length=64,
        title="Name",
        description="What the model calls it by, like `look_up_order`. Empty: a name is made.",
    )
    ask_first: bool = Field(
        False,
        title="Ask a person first",
        description="Each call waits until somebody approves it on the page Waiting.",
    )
    editable: bool = Field(
        False, title="The person may change the values", description="Before the person approves the call."
    )
    timeout_seconds: float = Field(
        60, gt=0, le=3_600, title="Longest wait", description="In seconds. A call that takes longer is given up."
    )


@dataclass(frozen=True)
class Tool:
    """A tool as the loop uses it. `title`: for people. `run(arguments, key, number)`: the key is that of the call."""

    spec: ToolSpec
    title: str
    run: Callable[[dict[str, Json], str, int], Awaitable[Json | FlowAnswer]]
    entry: AgentTool

    @property
    def name(self) -> str:
        """What the model calls it by."""
        return self.spec.name


async def build_tools(entries: Sequence[AgentTool], context: NodeContext, stack: AsyncExitStack) -> list[Tool]:
    """Returns the tools of all entries. MCP servers are closed with `stack`. Raises NodeFailed."""
    tools: list[Tool] = []
    servers: dict[str, ToolServer] = {}
    for number, entry in enumerate(entries, 1):
        match entry.kind:
            case "flow":
                tools.append(await _flow_tool(entry, number, context))
            case "dataset":
                tools += await _dataset_tools(entry, number, context)
            case "knowledge":
                tools.append(_knowledge_tool(entry, number, context))
            case "http":
                tools.append(_http_tool(entry, number, context))
            case "mcp":
                if entry.server not in servers:
                    servers[entry.server] = await stack.enter_async_context(context.tool_server(entry.server))
                tools += _server_tools(entry, servers[entry.server])
    names = [tool.name for tool in tools]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise NodeFailed(
            f"Two tools of the agent are called `{twice}`.",
            why="A model calls a tool by its name.",
            remedy="Give one of them another name in the agent's settings.",
        )
    return tools


# Flows.


async def _flow_tool(entry: AgentTool, number: int, context: NodeContext) -> Tool:
    offer = await context.look_at_flow(entry.flow_id, entry.version)
    name = name_of(entry.model_dump(), number)
    about = entry.description.strip() or " ".join(f"{offer.title}. {offer.description}".split())

    async def run(arguments: dict[str, Json], _key: str, call: int) -> FlowAnswer:
        return await context.run_tool_flow(entry.flow_id, entry.version, arguments, tool=name, number=call)

    return Tool(ToolSpec(name, about[:_LONGEST_DESCRIPTION], offer.schema), f"“{offer.title}”", run, entry)


# Datasets.


async def _dataset_tools(entry: AgentTool, number: int, context: NodeContext) -> list[Tool]:
    first = await context.datasets.read(entry.dataset)
    columns = list(dict.fromkeys(name for row in first.rows for name in row))[:200]
    name = name_of(entry.model_dump(), number)
    shown = first.name
    about = entry.description.strip() or f"Looks up rows in “{shown}”."
    with_columns = f"{about}\nColumns: {', '.join(columns)}." if columns else about
    tools = [
        Tool(
            ToolSpec(name, with_columns, _rows_schema(columns)),
            f"Rows of {shown}",
            partial(_look_up, entry.dataset, context),
            entry,
        )
    ]
    if entry.may_add:
        fields: dict[str, Json] = {column: {} for column in columns}
        schema = {"type": "object", "properties": fields, "additionalProperties": True, "minProperties": 1}
        spec = ToolSpec(f"{name[:60]}_add", f"Adds one row to “{shown}”. {with_columns}", schema, changes=True)
        tools.append(Tool(spec, f"Add a row to {shown}", partial(_add_row, entry.dataset, context), entry))
    return tools


def _rows_schema(columns: Sequence[str]) -> dict[str, Any]:
    column: dict[str, Any] = {"type": "string", **({"enum": list(columns)} if columns else {})}
    condition = {
        "type": "object",
        "properties": {
            "column": column,
            "operator": {"type": "string", "enum": list(OPERATORS)},
            "value": {"type": ["string", "number", "boolean", "null"]},
        },
        "required": ["column", "operator"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": f"Only rows with these words. {RULE}."},
            "where": {
                "type": "array",
                "items": condition,
                "maxItems": 20,
                "description": "Only rows for which all hold. `contains` looks for words as `text` does, in this column; "
                "`equals` compares the whole value, whatever its capitals.",
            },
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST_ROWS,
                "description": "How many rows; 20 if left out.",
            },
        },
        "additionalProperties": False,
    }


async def _look_up(dataset: str, context: NodeContext, arguments: dict[str, Json], _key: str, _number: int) -> Json:
    limit = int(arguments.get("limit") or 20)
    search = RowSearch(str(arguments.get("text") or ""))
    where: list[dict[str, Json]] = arguments.get("where") or []
    found: list[Json] = []
    matching = read = after = 0
    while True:
        page = await context.datasets.read(dataset, after)
        if not page.rows or read >= MOST_ROWS_READ:
            break
        after, read = page.after, read + len(page.rows)
        kept = await context.in_thread(_matching, list(page.rows), search, where)
        matching += len(kept)
        found += kept[: limit - len(found)]
    answer: dict[str, Json] = {"rows": found, "matching_rows": matching, "rows_looked_at": read}
    return answer


def _matching(rows: list[dict[str, Json]], search: RowSearch, where: list[dict[str, Json]]) -> list[Json]:
    conditions = [_condition(one) for one in where]
    return [row for row in rows if search.finds_row(row) and all(fits(row) for fits in conditions)]


def _condition(one: dict[str, Json]) -> Callable[[dict[str, Json]], bool]:
    column, operator, value = one["column"], one["operator"], one.get("value")
    if operator == "contains":
        words = RowSearch(as_text(value))

        def contains(row: dict[str, Json]) -> bool:
            held: JsonValue = value_at(row, column)
            return words.finds(held if isinstance(held, list) else [held])

        return contains
    return lambda row: holds(value_at(row, column), operator, value, ignore_case=True)


async def _add_row(dataset: str, context: NodeContext, arguments: dict[str, Json], key: str, _number: int) -> Json:
    if not arguments:
        raise NodeFailed("The row has no values: fill in at least one column.")
    step = f"{context.idempotency_key}:{key}"
    return {"action": await context.datasets.write(dataset, "append", "", arguments, step)}


# Knowledge.


def _knowledge_tool(entry: AgentTool, number: int, context: NodeContext) -> Tool:
    async def run(arguments: dict[str, Json], _key: str, _number: int) -> Json:
        limit = int(arguments.get("limit") or 5)
        return {"pieces": await context.knowledge.search(entry.collection, str(arguments["query"]), limit)}

    schema = {
        "type": "object",
        "properties": {
            "query": {"type": "string", "minLength": 1, "description": "What to look for, in a few words."},
            "limit": {"type": "integer", "minimum": 1, "maximum": 20, "description": "How many pieces; 5 if left out."},
        },
        "required": ["query"],
        "additionalProperties": False,
    }
    about = entry.description.strip() or "Searches documents and returns the pieces that fit, each with its source."
    return Tool(ToolSpec(name_of(entry.model_dump(), number), about, schema), "Search Knowledge", run, entry)


# Web services.


def placeholders(address: str) -> list[str]:
    """Returns the names in braces in an address, each once."""
    return list(dict.fromkeys(_IN_BRACES.findall(address)))


def _http_tool(entry: AgentTool, number: int, context: NodeContext) -> Tool:
    host = fixed_host(entry.address)
    if not host:
        raise NodeFailed(
            f"“{entry.address[:120]}” is no web address with a fixed host.",
            why="The model may never choose the host.",
            remedy="Write the address in the agent's settings, like https://api.example.com/orders/{order}.",
        )
    reads = entry.method == "GET" and not entry.parameters
    about = entry.description.strip() or f"{'Reads' if reads else 'Asks'} {_place_of(entry.address)}."
    changes = entry.method != "GET"
    spec = ToolSpec(name_of(entry.model_dump(), number), about, _http_schema(entry), changes=changes)
    return Tool(spec, _place_of(entry.address), partial(_request, entry, context), entry)


def _place_of(address: str) -> str:
    """Returns the host and the path of an address, as people read it: `shop.example/visit`."""
    parts = urlsplit(address.strip())
    return f"{parts.netloc}{parts.path}".rstrip("/")[:_LONGEST_PLACE]


def _http_schema(entry: AgentTool) -> dict[str, Any]:
    fields = [dict(field) for field in entry.model_dump()["parameters"]]
    declared = {field["name"] for field in fields}
    in_address = placeholders(entry.address)
    fields += [{"name": name, "type": "string"} for name in in_address if name not in declared]
    for field in fields:
        field["required"] = bool(field.get("required")) or field["name"] in in_address
    return contract.payload_schema(fields)


async def _request(entry: AgentTool, context: NodeContext, arguments: dict[str, Json], key: str, _number: int) -> Json:
    url, rest = _filled(entry.address, arguments)
    headers: dict[str, str] = {}
    content, query = None, {name: as_text(value) for name, value in rest.items() if value is not None}
    if entry.method in _WITH_BODY:
        content, query = json.dumps(rest, ensure_ascii=False).encode(), {}
        headers["Content-Type"] = "application/json"
        headers["Idempotency-Key"] = f"{context.idempotency_key}:{key}"
    answer = await context.http.request(
        entry.method,
        url,
        headers=headers,
        secret_headers={name: await context.secret(secret_id) for name, secret_id in entry.secret_headers.items()},
        query=query,
        content=content,
        timeout_seconds=entry.timeout_seconds,
    )
    if urlsplit(answer.url).hostname != urlsplit(url).hostname:
        raise NodeFailed(f"The service sent the request on to another host, {urlsplit(answer.url).hostname}.")
    if answer.status >= 400:
        raise status_failure(answer, url)
    return await _read_answer(answer, context)


def _filled(address: str, arguments: Mapping[str, Json]) -> tuple[str, dict[str, Json]]:
    """Returns the address with the values in braces filled in, and the arguments that are left.

    Raises NodeFailed for a value that would lead to another place of the service.
    """
    used = set(placeholders(address))

    def fill(match: re.Match[str]) -> str:
        text = as_text(arguments[match[1]])
        if text.strip() in {"", ".", ".."}:
            raise NodeFailed(f"The value `{text}` cannot stand in the address as `{match[1]}`.")
        return quote(text, safe="")

    return _IN_BRACES.sub(fill, address), {name: value for name, value in arguments.items() if name not in used}


async def _read_answer(answer: HttpAnswer, context: NodeContext) -> Json:
    """Returns what a model can read of an answer: JSON as it is, the text of a page, or text."""
    text = answer.text()
    if "html" in answer.content_type:
        try:
            text, title, _length = await read_with(context, "text", text, drop=["nav", "footer", "script", "style"])
        except PageUnreadable as error:
            raise NodeFailed("The page cannot be read.", why=str(error)) from error
        return {"status": answer.status, "title": title, "text": text[:LONGEST_BODY]}
    try:
        value = await context.in_thread(read_strictly, text)
    except ValueError:
        return {"status": answer.status, "text": text[:LONGEST_BODY]}
    return {"status": answer.status, "json": value}


# MCP servers.


def _server_tools(entry: AgentTool, server: ToolServer) -> list[Tool]:
    offered = {tool.name: tool for tool in server.tools}
    wanted = entry.only or tuple(offered)
    if missing := [name for name in wanted if name not in offered]:
        raise NodeFailed(
            f"“{server.name}” has no tool `{missing[0]}` that agents may use.",
            why="The owner does not allow it, or the server does not offer it any more.",
            remedy="Choose other tools in the agent's settings, or the owner allows it under Settings, Tools.",
        )
    tools: list[Tool] = []
    for name in wanted:
        tool = offered[name]

        async def run(arguments: dict[str, Json], _key: str, _number: int, name: str = name) -> Json:
            return await server.call(name, arguments, entry.timeout_seconds)

        about = "\n".join(filter(None, (tool.description, entry.description.strip()))) or name
        spec = ToolSpec(server_tool_name(server.name, name), about, tool.schema, changes=not tool.reads)
        tools.append(Tool(spec, f"{name} of {server.name}", run, entry))
    return tools


def server_tool_name(server: str, tool: str) -> str:
    """Returns the name of an MCP server's tool for models, which take few characters."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", f"{server}_{tool}")[:64]


def server_problems(document: Document, allowed: Mapping[str, Collection[str]]) -> list[Problem]:
    """Returns the problems of the MCP servers that agents name. They stop a deployment, but not an import.

    `allowed`: server -> the names of its tools that agents may use.
    """
    return [
        problem
        for node in without_parked(document).nodes
        if node.type == AGENT
        for problem in _server_problems_of(node, allowed)
    ]


def _server_problems_of(node: Node, allowed: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    entries: JsonValue = node.config.get("tools")
    names: list[str] = []
    for at, entry in enumerate(entries if isinstance(entries, list | tuple) else ()):
        if not isinstance(entry, Mapping):
            continue
        server = str(entry.get("server") or "")
        if entry.get("kind") != "mcp" or not server:
            names.append(name_of(entry, at + 1))
            continue
        only = entry.get("only")
        offered: Collection[str] = allowed.get(server) or ()
        wanted = [str(one) for one in (only if isinstance(only, list | tuple) else ())] or list(offered)
        said, place = "", "server"
        if server not in allowed:
            said = f"there is no MCP server called “{server}”. An owner adds it under Settings, Tools, or you choose another one."
        elif not allowed[server]:
            said = f"no tool of “{server}” is allowed yet. An owner chooses them under Settings, Tools."
        elif missing := [one for one in wanted if one not in allowed[server]]:
            said, place = f"“{server}” has no tool “{missing[0]}” that agents may use. Choose others.", "only"
        elif twice := next((one for one in (server_tool_name(server, one) for one in wanted) if one in names), None):
            said, place = f"two tools are called `{twice}`. Take one of them away.", "only"
        names += [server_tool_name(server, one) for one in wanted]
        if said:
            pointer = f"/config/tools/{at}/{place}"
            yield Problem(
                "no_tool_server", f"{node.name}, tool {at + 1}: {said}", node.id, pointer, blocks_import=False
            )


# What is wrong with the settings.


def tool_problems(node: Node) -> Iterator[Problem]:
    """Yields the problems of an agent's tools, without those that need the workspace."""
    entries: JsonValue = node.config.get("tools")
    seen: dict[str, int] = {}
    for at, entry in enumerate(entries if isinstance(entries, list | tuple) else ()):
        if isinstance(entry, Mapping):
            yield from _entry_problems(node, entry, f"/config/tools/{at}", seen, at + 1)


def _entry_problems(
    node: Node, entry: Mapping[str, Any], at: str, seen: dict[str, int], number: int
) -> Iterator[Problem]:
    def problem(code: str, message: str, pointer: str) -> Problem:
        return Problem(code, message, node.id, f"{at}/{pointer}", blocks_import=False)

    kind = str(entry.get("kind") or "flow")
    field, message = NAMED.get(kind, ("kind", "Choose what the tool uses."))
    if not entry.get(field):
        yield problem("setting_missing", f"{node.name}, tool {number}: {message}", field)
        return
    if kind == "http":
        for code, said, pointer in _address_problems(entry):
            yield problem(code, f"{node.name}, tool {number}: {said}", pointer)
    if kind == "mcp":
        return
    name = name_of(entry, number)
    if not NAME.fullmatch(name):
        said = "a name has letters, digits, _ and -, a letter first"
        yield problem("bad_name", f"{node.name}: `{name}` cannot be the name of a tool: {said}.", "name")
    elif name in seen:
        said = f"{node.name}: tools {seen[name]} and {number} are both called `{name}`. Give one of them another name."
        yield problem("name_twice", said, "name")
    seen.setdefault(name, number)


def _address_problems(entry: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    address = str(entry.get("address") or "").strip()
    if "{{" in address:
        yield (
            "bad_address",
            "data of earlier steps cannot stand in this address; the model fills in names in braces.",
            "address",
        )
        return
    if not fixed_host(address):
        said = "the address begins with https:// and a host, like https://api.example.com/orders/{order}. The model cannot fill in the host."
        yield "bad_address", said, "address"
        return
    for name in placeholders(address):
        if not _PARAMETER.fullmatch(name):
            said = f"`{{{name}}}` in the address is no name: letters, digits and underscores, a letter first."
            yield "bad_address", said, "address"
    names = [
        str(one.get("name") or "")
        for one in cast("Iterable[JsonValue]", entry.get("parameters") or ())
        if isinstance(one, Mapping)
    ]
    if "" in names:
        yield "setting_missing", "a value that the model fills in has no name.", "parameters"
    if twice := next((name for name in names if name and names.count(name) > 1), None):
        yield "name_twice", f"two values are called `{twice}`.", "parameters"
    for name, secret_id in cast("dict[str, str]", entry.get("secret_headers") or {}).items():
        if not secret_id:
            yield "no_secret", f"choose the secret for the header `{name}`.", "secret_headers"
