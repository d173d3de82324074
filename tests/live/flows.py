"""Flow files with nodes that send requests."""

from __future__ import annotations

import itertools
from typing import Any

ADDRESSES = {"name": "urls", "type": "array", "items": {"type": "string"}, "required": True}
URL = {"name": "url", "type": "string", "format": "uri", "required": True}


def one_node(node: dict[str, Any], *fields: dict[str, Any], title: str = "One node") -> dict[str, Any]:
    """A flow of an API Input with these fields and one node."""
    return in_a_row([node], *fields, title=title)


def in_a_row(nodes: list[dict[str, Any]], *fields: dict[str, Any], title: str = "In a row") -> dict[str, Any]:
    """A flow of an API Input with these fields and the nodes, each connected to the one before."""
    row = [{"id": "api_input", "type": "api_input", "config": {"fields": list(fields)}}, *nodes]
    edges = [
        {"id": f"e{number}", "source": before["id"], "target": after["id"]}
        for number, (before, after) in enumerate(itertools.pairwise(row))
    ]
    return {"format": 1, "title": title, "nodes": row, "edges": edges}


def fetch(node_id: str = "http_request", url: str = "{{ api_input.out.url }}", **policy: Any) -> dict[str, Any]:
    """An HTTP Request node with a time limit of two minutes, unless `policy` sets another one."""
    return {
        "id": node_id,
        "type": "http_request",
        "label": "Fetch",
        "inputs": {"url": url},
        "policy": {"timeout_seconds": 120, **policy},
    }


def in_a_list(at_once: int = 5) -> dict[str, Any]:
    """A flow that fetches every one of `urls`, `at_once` in parallel, and collects the bodies as `index: body`."""
    splitter = {
        "id": "each",
        "type": "array_splitter",
        "inputs": {"items": "{{ api_input.out.urls }}"},
        "config": {"mode": "parallel", "max_concurrency": at_once},
    }
    flatten = {"id": "all", "type": "array_flatten", "inputs": {"value": "{{ each.index }}: {{ get.out.body }}"}}
    return in_a_row([splitter, fetch("get", "{{ each.out }}"), flatten], ADDRESSES, title="Fetch all")


def read_page() -> dict[str, Any]:
    """A Page Scraper node that reads `url`."""
    return {
        "id": "page_scraper",
        "type": "page_scraper",
        "label": "Read the page",
        "inputs": {"url": "{{ api_input.out.url }}"},
    }


def prompt(model: str, *fields: dict[str, Any]) -> dict[str, Any]:
    """A Prompt node that asks about `topic`."""
    return {
        "id": "prompt",
        "type": "prompt",
        "label": "Ask",
        "config": {"model": model, "output_fields": list(fields)},
        "inputs": {"prompt": "Tell me about {{ api_input.out.topic }}."},
    }
