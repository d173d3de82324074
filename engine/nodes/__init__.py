"""The node types in the order of the palette. A new node type needs one file here and one line in `NODE_TYPES`."""

from __future__ import annotations

from engine.flow.node_type import Catalog, NodeType
from engine.nodes import (
    add_to_knowledge,
    api_input,
    api_output,
    approval,
    array_flatten,
    array_splitter,
    call_flow,
    condition,
    dataset_sink,
    dataset_source,
    extract_pattern,
    filter_list,
    first_value,
    group_count,
    html_text_extractor,
    http_request,
    merge_lists,
    page_scraper,
    parse_json,
    prompt,
    read_document,
    search_knowledge,
    set_fields,
    sort_limit,
    text_template,
    website_mapper,
)

NODE_TYPES: tuple[NodeType, ...] = (
    api_input.NODE,
    api_output.NODE,
    dataset_source.NODE,
    dataset_sink.NODE,
    page_scraper.NODE,
    website_mapper.NODE,
    html_text_extractor.NODE,
    http_request.NODE,
    prompt.NODE,
    search_knowledge.NODE,
    add_to_knowledge.NODE,
    array_splitter.NODE,
    array_flatten.NODE,
    filter_list.NODE,
    sort_limit.NODE,
    group_count.NODE,
    merge_lists.NODE,
    read_document.NODE,
    text_template.NODE,
    set_fields.NODE,
    parse_json.NODE,
    extract_pattern.NODE,
    condition.NODE,
    approval.NODE,
    first_value.NODE,
    call_flow.NODE,
)

CATALOG: Catalog = {node.type: node for node in NODE_TYPES}
