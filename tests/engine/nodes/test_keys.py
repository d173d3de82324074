"""The keys of each node type in a flow file. They must not change, because users' stored files contain them."""

from engine.nodes import CATALOG
from engine.nodes.api_input import InputField

ANY = "names of the designer's choosing"
#: Node type -> (keys of settings, keys of inputs).
KEYS = {
    "api_input": ("fields samples", ""),
    "api_output": ("types", ANY),
    "dataset_source": ("dataset take count match rules", ""),
    "look_up_row": ("dataset column ignore_case may_end", "value"),
    "dataset_sink": ("dataset mode key_column types", ANY),
    "page_scraper": ("content selector respect_robots use_browser", "url"),
    "website_mapper": (
        "max_depth max_pages same_site include exclude use_sitemap respect_robots delay_seconds max_concurrency",
        "url",
    ),
    "html_text_extractor": ("selector drop keep_links max_chars", "html"),
    "http_request": ("method secret_headers fail_on_status", "url headers query body"),
    "prompt": ("model temperature max_tokens output_fields max_attempts", "prompt system files"),
    "search_knowledge": ("collection limit min_score sources", "query"),
    "add_to_knowledge": ("collection", "text source"),
    "agent": ("model tools output_fields max_steps max_cost_usd", "message instructions files"),
    "array_splitter": ("mode max_concurrency chunk_size", "items"),
    "array_flatten": ("levels on_item_error depth", "value"),
    "filter_list": ("match rules", "items"),
    "sort_limit": ("by descending limit", "items"),
    "group_count": ("by choices measures", "items"),
    "merge_lists": ("", "lists"),
    "read_document": ("pages as", "file"),
    "text_template": ("", "template"),
    "set_fields": ("types", ANY),
    "parse_json": ("", "text"),
    "extract_pattern": ("pattern all", "text"),
    "condition": ("match may_end", "rules value"),
    "approval": ("editable expires_after_seconds on_expiry", "title values"),
    "first_value": ("", "values"),
    "call_flow": ("flow_id version", ANY),
}
FIELD = "name type required description default example format enum minimum maximum min_length max_length min_items max_items pattern items fields file_kinds max_file_mb"


#: The documented default behaviour of each node type without settings.
USUAL = {
    "website_mapper": {
        "max_depth": 2,
        "max_pages": 100,
        "same_site": True,
        "include": (),
        "exclude": (),
        "use_sitemap": True,
        "respect_robots": True,
        "delay_seconds": 1.0,
        "max_concurrency": 4,
    },
    "page_scraper": {"content": "main", "selector": "", "respect_robots": True, "use_browser": False},
    "http_request": {"method": "GET", "secret_headers": {}, "fail_on_status": True},
    "array_splitter": {"mode": "sequential", "max_concurrency": 10, "chunk_size": 10},
    "read_document": {"pages": "", "as": "text"},
    "array_flatten": {"levels": 1, "on_item_error": "exclude", "depth": 1},
}


def test_what_nodes_do_while_nothing_is_set():
    assert {name: CATALOG[name].config().model_dump() for name in USUAL} == USUAL


def test_settings_and_inputs_have_the_names_that_files_use():
    there = {
        name: (" ".join(kind.config.model_fields), ANY if kind.free_form else " ".join(kind.inputs.model_fields))
        for name, kind in CATALOG.items()
    }
    lines = [f'    "{name}": {keys},'.replace("'", '"') for name, keys in there.items() if KEYS.get(name) != keys]
    assert lines == [], (
        "a new node or setting: write these lines into `KEYS` of tests/engine/nodes/test_keys.py. Keys that are gone need"
        " a new `version` of the node, and an upgrade of old flows"
    )
    assert set(KEYS) == set(there)
    assert set(InputField.model_fields) == set(FIELD.split())
