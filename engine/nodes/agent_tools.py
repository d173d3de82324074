"""The tools of an Agent: what a model is offered of each entry, and what a call of it does."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any
from urllib.parse import quote

from msgspec import Struct
from pydantic import JsonValue

from engine.core.redaction import cut
from engine.core.web_addresses import split_url
from engine.flow import contract
from engine.flow.agent_kinds import fixed_host, name_of, server_tool_name
from engine.flow.arguments import MAX_COMPLAINTS
from engine.flow.json_values import read_strictly, value_at
from engine.flow.node_context import FlowAnswer, Json, JsonSchema, NodeContext, NodeFailed, Spent, ToolServer
from engine.flow.node_http import HttpAnswer
from engine.flow.node_models import ToolSpec
from engine.flow.references import as_text
from engine.flow.rules import holds
from engine.models.structured_output import check_object, takes_long
from engine.nodes.agent_tool_settings import IN_BRACES, LONGEST_DESCRIPTION, AgentTool, placeholders
from engine.nodes.dataset_pages import of_one_table, pages_of
from engine.nodes.page_reading import read_with
from engine.nodes.row_search import RULE, RowSearch
from engine.nodes.web_answers import status_failure
from engine.pages.parsing_limits import PageUnreadable

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
#: Operators that a model may filter rows by.
OPERATORS = ("equals", "not_equals", "contains", "greater", "greater_or_equal", "less", "less_or_equal", "is_empty")
MAX_ROWS = 100
#: The rows of a dataset that a search looks at, and the largest answer of a web service in characters.
MAX_ROWS_READ = 100_000
LONGEST_BODY = 30_000
_LONGEST_PLACE = 120


class Tool(Struct, frozen=True):
    """A tool as the loop uses it. `title`: for people. `run(arguments, key, number, spent)`: the key is that of the
    call, and what it costs is added to `spent`.
    """

    spec: ToolSpec
    title: str
    run: Callable[[dict[str, Json], str, int, Spent], Awaitable[Json | FlowAnswer]]
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

    async def run(arguments: dict[str, Json], _key: str, call: int, spent: Spent) -> FlowAnswer:
        return await context.run_tool_flow(entry.flow_id, entry.version, arguments, tool=name, number=call, spent=spent)

    return Tool(ToolSpec(name, about[:LONGEST_DESCRIPTION], offer.schema), f"“{offer.title}”", run, entry)


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
                "maximum": MAX_ROWS,
                "description": "How many rows; 20 if left out.",
            },
        },
        "additionalProperties": False,
    }


async def _look_up(
    dataset: str, context: NodeContext, arguments: dict[str, Json], _key: str, _number: int, _spent: Spent
) -> Json:
    limit = int(arguments.get("limit") or 20)
    search = RowSearch(str(arguments.get("text") or ""))
    where: list[dict[str, Json]] = arguments.get("where") or []

    async def look() -> Json:
        found: list[Json] = []
        matching = read = 0
        async for page in pages_of(dataset, context):
            kept = await context.in_thread(_matching, list(page.rows), search, where)
            matching += len(kept)
            found += kept[: limit - len(found)]
            read += len(page.rows)
            if read >= MAX_ROWS_READ:
                break
        return {"rows": found, "matching_rows": matching, "rows_looked_at": read}

    return await of_one_table(look)


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


async def _add_row(
    dataset: str, context: NodeContext, arguments: dict[str, Json], key: str, _number: int, _spent: Spent
) -> Json:
    if not arguments:
        raise NodeFailed("The row has no values: fill in at least one column.")
    step = f"{context.idempotency_key}:{key}"
    return {"action": await context.datasets.write(dataset, "append", "", arguments, step)}


# Knowledge.


def _knowledge_tool(entry: AgentTool, number: int, context: NodeContext) -> Tool:
    async def run(arguments: dict[str, Json], _key: str, _number: int, _spent: Spent) -> Json:
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
    return Tool(spec, _place_of(entry.address), partial(_request, entry, context, spec.schema), entry)


def _place_of(address: str) -> str:
    """Returns the host and the path of an address, as people read it: `shop.example/visit`."""
    parts = split_url(address.strip())
    return f"{parts.netloc}{parts.path}".rstrip("/")[:_LONGEST_PLACE]


def _http_schema(entry: AgentTool) -> dict[str, Any]:
    fields = [dict(field) for field in entry.model_dump()["parameters"]]
    declared = {field["name"] for field in fields}
    in_address = placeholders(entry.address)
    fields += [{"name": name, "type": "string"} for name in in_address if name not in declared]
    for field in fields:
        field["required"] = bool(field.get("required")) or field["name"] in in_address
    return contract.payload_schema(fields)


async def _request(
    entry: AgentTool,
    context: NodeContext,
    schema: JsonSchema,
    arguments: dict[str, Json],
    key: str,
    _number: int,
    _spent: Spent,
) -> Json:
    if takes_long(schema):  # it has patterns, which `wrong_arguments` does not run
        _, wrong = await context.checks.run(lambda check: check_object(arguments, schema, check))
        if wrong:
            raise NodeFailed(f"The arguments do not fit: {'; '.join(wrong[:MAX_COMPLAINTS])}.")
    url, rest = _filled(entry.address, _with_defaults(entry.model_dump()["parameters"], arguments))
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
    walked = (*answer.redirects, answer.url)  # as the client writes them; the settings may write a host in another way
    first, last = split_url(walked[0]).hostname, split_url(walked[-1]).hostname
    if last != first:
        raise NodeFailed(f"The service sent the request on to another host, {last}.")
    if answer.status >= 400:
        raise status_failure(answer, url)
    return await _read_answer(answer, context)


def _with_defaults(fields: Sequence[Mapping[str, Any]], given: Mapping[str, Json]) -> dict[str, Json]:
    """Returns the values with the defaults of those that the model left out, at every depth."""
    whole = dict(given)
    for field in fields:
        name, value = field["name"], given.get(field["name"])
        if value is None and field.get("default") is not None:
            whole[name] = field["default"]
        elif value is not None:
            whole[name] = _value_with_defaults(field, value)
    return whole


def _value_with_defaults(field: Mapping[str, Any], value: JsonValue) -> Json:
    if isinstance(value, dict) and field.get("fields"):
        return _with_defaults(field["fields"], value)
    if isinstance(value, list) and field.get("items"):
        return [_value_with_defaults(field["items"], item) for item in value]
    return value


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

    return IN_BRACES.sub(fill, address), {name: value for name, value in arguments.items() if name not in used}


async def _read_answer(answer: HttpAnswer, context: NodeContext) -> Json:
    """Returns what a model can read of an answer: JSON as it is, the text of a page, or text."""
    text = answer.text()
    if "html" in answer.content_type:
        try:
            text, title, _length = await read_with(context, "text", text, drop=["nav", "footer", "script", "style"])
        except PageUnreadable as error:
            raise NodeFailed("The page cannot be read.", why=str(error)) from error
        return {"status": answer.status, "title": title, "text": cut(text, LONGEST_BODY, keys=False)}
    try:
        value = await context.in_thread(read_strictly, text)
    except ValueError:
        return {"status": answer.status, "text": cut(text, LONGEST_BODY, keys=False)}
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

        async def run(arguments: dict[str, Json], _key: str, _number: int, _spent: Spent, name: str = name) -> Json:
            return await server.call(name, arguments, entry.timeout_seconds)

        about = "\n".join(filter(None, (tool.description, entry.description.strip()))) or name
        spec = ToolSpec(server_tool_name(server.name, name), about, tool.schema, changes=not tool.reads)
        tools.append(Tool(spec, f"{name} of {server.name}", run, entry))
    return tools
