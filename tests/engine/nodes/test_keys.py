"""The keys of each node in a flow file: files that people keep stand on them (product.md section 4)."""

from engine.nodes import CATALOG
from engine.nodes.api_input import InputField

ANY = "names of the designer's choosing"
#: type -> settings, inputs
KEYS = {
    "api_input": ("fields samples", ""),
    "api_output": ("", ANY),
    "dataset_source": ("dataset take count match rules", ""),
    "dataset_sink": ("dataset mode key_column", ANY),
    "page_scraper": ("content selector respect_robots use_browser", "url"),
    "website_mapper": (
        "max_depth max_pages same_site include exclude use_sitemap respect_robots delay_seconds max_concurrency",
        "url",
    ),
    "html_text_extractor": ("selector drop keep_links max_chars", "html"),
    "http_request": ("method secret_headers fail_on_status", "url headers query body"),
    "prompt": ("model temperature max_tokens output_fields max_attempts", "prompt system"),
    "array_splitter": ("mode max_concurrency chunk_size", "items"),
    "array_flatten": ("levels on_item_error depth", "value"),
    "filter_list": ("match rules", "items"),
    "sort_limit": ("by descending limit", "items"),
    "text_template": ("", "template"),
    "set_fields": ("", ANY),
    "parse_json": ("", "text"),
    "extract_pattern": ("pattern all", "text"),
    "condition": ("match", "rules value"),
    "first_value": ("", "values"),
    "call_flow": ("flow_id version", ANY),
}
FIELD = "name type required description default example format enum minimum maximum min_length max_length min_items max_items pattern items fields"


def test_settings_and_inputs_have_the_names_that_files_use():
    assert {
        name: (" ".join(kind.config.model_fields), ANY if kind.free_form else " ".join(kind.inputs.model_fields))
        for name, kind in CATALOG.items()
    } == KEYS
    assert set(InputField.model_fields) == set(FIELD.split())
