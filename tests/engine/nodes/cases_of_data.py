"""Cases of the nodes that only process data: Input/Output, Lists, Transform and Logic."""

from __future__ import annotations

from tests.engine.nodes.node_case import GIVEN, Case, Fails, Problem, Refused, bad, good, odd

ITEMS = {"items": GIVEN}
TEXT = {"text": GIVEN}
TWO_LISTS = {"lists": ["{{ there.out.a }}", "{{ there.out.b }}", "{{ gone.out }}"]}
GOODS = [{"name": "Rye", "price": "5.40"}, {"name": "Roll", "price": 0.6}, {"name": "Cake", "price": 24}]
CHEAP = {"rules": [{"field": "price", "operator": "less", "value": "6"}]}
FIELDS = [
    {"name": "url", "type": "string", "format": "uri", "required": True},
    {"name": "pages", "type": "integer", "minimum": 1, "default": 3},
]
ODD = "{{ 7*7 }} {% for x in y %} Grüße 你好 \U0001f980"
MANY = list(range(20_000))


def flat(items: list, total: int | None = None, errors: tuple = ()) -> dict:
    """The output of a Flatten."""
    return {
        "items": items,
        "count": len(items),
        "total_count": len(items) if total is None else total,
        "failed_count": len(errors),
        "errors": list(errors),
    }


def found(*matches: object) -> dict:
    """The output of an Extract Pattern."""
    return {"matches": list(matches), "count": len(matches), "first": matches[0] if matches else None}


def answered(by: str, *, nobody: bool = False, **values: str) -> dict:
    """The side on which the flow went on, and the output of an Approval."""
    value = {"approved": by == "yes", "values": values, "note": "" if nobody else "As agreed"}
    return {"by": by, "value": {**value, "by": "" if nobody else "Ada", "expired": nobody}}


def kept(items: list, total: int) -> dict:
    """The output of a Filter List or a Sort and Limit."""
    return {"items": items, "count": len(items), "total_count": total}


def grouped(total: dict, *groups: dict) -> dict:
    """The output of a Group and count."""
    return {"groups": list(groups), "group_count": len(groups), "total": total}


def if_greater(than: object) -> dict:
    return {"value": GIVEN, "rules": [{"left": GIVEN, "operator": "greater", "right": than}]}


CASES: dict[str, list[Case]] = {
    "api_input": [
        good("what was sent", {"url": "https://a.example/", "pages": 5}, {"url": "https://a.example/", "pages": 5}, config={"fields": FIELDS}),
        good("a default for what was not", {"url": "https://a.example/", "pages": 3}, {"url": "https://a.example/"}, config={"fields": FIELDS}),
        odd("null counts as not sent", {"url": "https://a.example/", "pages": 3}, {"url": "https://a.example/", "pages": None}, config={"fields": FIELDS}),
        odd("no field at all", {}, {}, config={"fields": []}),
        odd("any text is text", {"t": ODD}, {"t": ODD}, config={"fields": [{"name": "t"}]}),
        bad("everything that is wrong at once", Refused({"/url": "must be a web address like https://example.com", "/pages": "expected a whole number, got a string", "/page": "the flow has no field of this name; it has `url`, `pages`"}), {"url": "a.example", "pages": "5", "page": 1}, config={"fields": FIELDS}),
        bad("a field twice", Problem("/config/fields/1/name", "Two fields are named `a`."), config={"fields": [{"name": "a"}, {"name": "a"}]}),
        bad("limits that no value fits", Problem("/config/fields/0/minimum", "`a`: minimum is larger than maximum, so no value would fit."), config={"fields": [{"name": "a", "type": "integer", "minimum": 5, "maximum": 4}]}),
        bad("a type that is none", Problem("/config/fields/0/type", "“Fields”, entry 1, `type` must be 'string', 'number', 'integer', 'boolean', 'object', 'array' or 'file', but is the text `text`."), config={"fields": [{"name": "a", "type": "text"}]}),
        bad("a default that its own rules refuse", Problem("/config/fields/0/default", "`a`: the default does not fit: expected a whole number, got a string."), config={"fields": [{"name": "a", "type": "integer", "default": "5"}]}),
        bad("a pattern that cannot be read", Problem("/config/fields/0/pattern", "`a`: this pattern cannot be used: a `(` is never closed by `)`."), config={"fields": [{"name": "a", "pattern": "("}]}),
    ],
    "api_output": [
        good("values under their names", {"a": {"n": 1}, "b": "n is 1"}, '{"n": 1}', inputs={"a": "{{ change.out }}", "b": "n is {{ change.out.n }}"}),
        odd("what is not there is null", {"a": None}, '{"n": 1}', inputs={"a": "{{ change.out.m }}"}, warns=("`a`: `{{ change.out.m }}` named nothing, so it is null.",)),
        odd("no field", {}, "1"),
        odd("names and texts of any script", {"größe 你": ODD}, f'"{ODD}"', inputs={"größe 你": "{{ change.out }}"}),
        bad("no reference", Problem("/inputs/a", "`{{ change.out | upper }}` is no value of an earlier step. Choose one under “Data from earlier steps”."), inputs={"a": "{{ change.out | upper }}"}),
        bad("data of a node that is not there", Problem("/inputs/a", "API Output needs “gone” of a step that is not on the canvas any more. Choose other data."), inputs={"a": "{{ gone.out }}"}),
    ],
    "set_fields": [
        good("a reference alone keeps its type", {"n": 5, "t": "n is 5"}, 5, inputs={"n": GIVEN, "t": f"n is {GIVEN}"}),
        odd("no field", {}, 5),
        odd("null stays null, and is nothing in a text", {"a": None, "b": "[]"}, None, inputs={"a": GIVEN, "b": f"[{GIVEN}]"}),
        odd("data is no template", {"a": ODD}, ODD, inputs={"a": GIVEN}),
        odd("a large list", {"a": MANY}, MANY, inputs={"a": GIVEN}),
        bad("no reference", Problem("/inputs/a", "`{{ 7*7 }}` is no value of an earlier step. Choose one under “Data from earlier steps”."), inputs={"a": "{{ 7*7 }}"}),
        bad("data of a node that is not there", Problem("/inputs/a/1/b", "Set Fields needs “gone” of a step that is not on the canvas any more. Choose other data."), inputs={"a": ["x", {"b": "{{ gone.out }}"}]}),
    ],
    "text_template": [
        good("data in a text", "Hello ANN!", "Ann", inputs={"template": "Hello {{ api_input.out.value | upper }}!"}),
        good("a loop", "1:a 2:b ", ["a", "b"], inputs={"template": "{% for x in api_input.out.value %}{{ loop.index }}:{{ x }} {% endfor %}"}),
        odd("null alone", "", None, inputs={"template": GIVEN}),
        odd("null is nothing, data is JSON", " - ", None, inputs={"template": f"{GIVEN} - {GIVEN}"}),
        odd("data is no template", f"> {ODD}", ODD, inputs={"template": f"> {GIVEN}"}),
        odd("a long text", "x" * 500_000, "x" * 500_000, inputs={"template": GIVEN}),
        bad("a filter that cannot work on it", Fails("The filter `round` cannot work on 'five': it is not a number.", "", "Mend the template in the node; its Help page shows what can be written."), "five", inputs={"template": "{{ api_input.out.value | round }}"}),
        bad("a loop over what is no list", Fails("The template failed. Line 1: A loop goes over a list, and `abc` is none.", "", "Mend the template in the node, or look at the data it got."), "abc", inputs={"template": "{% for x in api_input.out.value %}{% endfor %}"}),
        bad("a text without end", Fails("The text is longer than 10 MiB.", "The data put into it was too long in this run.", "Put less data into the template, or cut it with the filter `truncate`."), "x" * 2_000_000, inputs={"template": GIVEN * 6}),
        bad("a loop that is never closed", Problem("/inputs/template", "Line 1: `{% for %}` is never closed by `{% endfor %}`."), inputs={"template": "{% for x in api_input.out.value %}"}),
        bad("a filter that is not there", Problem("/inputs/template", "Line 1: There is no filter `shout`. There are: upper, lower, title, capitalize, trim, length, first, last, join, default, truncate, replace, round, json, tojson, int, float, abs, sort, reverse, unique, sum, min, max, map, keys, values, items, split, wordcount, urlencode."), inputs={"template": "{{ api_input.out.value | shout }}"}),
        bad("no text", Problem("/inputs/template", "“Text Template” is not ready yet: fill in “Template”.")),
        bad("source that is no text", Problem("/inputs/template", "“Template” must be text, but is 5."), inputs={"template": 5}),
    ],
    "parse_json": [
        good("an object", {"a": [1, 2.5, None]}, '{"a": [1, 2.5, null]}', inputs=TEXT),
        good("what a model wraps it in", {"a": 1}, 'Here:\n```json\n{"a": 1}\n```', inputs=TEXT),
        odd("data passes through", [1, {"a": 2}], [1, {"a": 2}], inputs=TEXT),
        odd("one value is JSON, too", "Grüße", '"Grüße"', inputs=TEXT),
        odd("a long list", MANY, str(MANY), inputs=TEXT),
        bad("words", Fails("The text is no valid JSON: line 1, column 1 near `hello`.", "A value is expected here: an object, a list, a text in double quotes, a number, true, false or null.", "Look at this step's input. A Prompt with output fields gives an object and needs no “Read JSON text”."), "hello", inputs=TEXT),
        bad("a comma too many", Fails('The text is no valid JSON: line 1, column 9 near `{"a": 1,}`.', "A name in double quotes is expected here; JSON has no comma after the last entry.", "Look at this step's input. A Prompt with output fields gives an object and needs no “Read JSON text”."), '{"a": 1,}', inputs=TEXT),
        bad("nothing", Fails("The text is empty, so there is no JSON in it.", "The text chosen for it was empty in this run.", "Choose data that is there for “Text”."), "  ", inputs=TEXT),
        bad("null", Fails("Text has no value.", "The value chosen for it was empty in this run.", "Choose data that is always there, or give the field a default value."), None, inputs=TEXT),
        bad("nested without end", Fails("The JSON is nested deeper than 64 levels.", "Values in a flow may be nested so deep and no deeper.", "Use a part of it."), "[" * 5_000 + "]" * 5_000, inputs=TEXT),
        bad("no text is bound", Problem("/inputs/text", "“Read JSON text” is not ready yet: fill in “Text”.")),
    ],
    "extract_pattern": [
        good("every match", found("12", "7"), "12 eggs, 7 rolls", config={"pattern": r"\d+"}, inputs=TEXT),
        good("named parts", found({"n": "12"}), "12 eggs", config={"pattern": r"(?P<n>\d+) eggs"}, inputs=TEXT),
        odd("no match", found(), "none", config={"pattern": r"\d+"}, inputs=TEXT),
        odd("an empty text", found(), "", config={"pattern": r"\d+"}, inputs=TEXT),
        odd("data is searched as JSON", found("1", "22"), {"a": [1, 22]}, config={"pattern": r"\d+"}, inputs=TEXT),
        odd("letters of every script", found("Grüße", "你好"), "Grüße 你好!", config={"pattern": r"\p{L}+"}, inputs=TEXT),
        odd("more matches than fit", {"count": 10_000}, "a" * 10_005, config={"pattern": "a"}, inputs=TEXT, only=("count",), warns=("There are more matches: only the first 10,000 are here.",)),
        bad("no pattern", Problem("/config/pattern", "The pattern is empty: choose what to find."), "x", inputs=TEXT),
        bad("a bracket that is never closed", Problem("/config/pattern", "The pattern cannot be used: a `(` is never closed by `)`."), "x", config={"pattern": "(a"}, inputs=TEXT),
        bad("looking back", Problem("/config/pattern", "The pattern cannot be used: pointing back to an earlier group, like `\\1`, is not available."), "x", config={"pattern": r"(a)\1"}, inputs=TEXT),
        bad("null", Fails("Text has no value.", "The value chosen for it was empty in this run.", "Choose data that is always there, or give the field a default value."), None, config={"pattern": "a"}, inputs=TEXT),
    ],
    "array_splitter": [
        good("one run for each item", flat([1, 2, 3]), ["1", "2", "3"], inputs=ITEMS),
        good("at the same time, in order", flat(MANY[:200]), MANY[:200], config={"mode": "parallel"}, inputs=ITEMS),
        good("in groups", flat(MANY[:25]), MANY[:25], config={"mode": "chunked", "chunk_size": 4}, inputs=ITEMS),
        odd("an empty list", flat([]), [], inputs=ITEMS),
        odd("items of every kind", flat([None, [1], {"a": "你"}, 0]), ["null", [1], {"a": "你"}, 0], inputs=ITEMS),
        odd("a long list", flat(MANY[:2_000]), MANY[:2_000], inputs=ITEMS),
        bad("a text", Fails("`{{ api_input.out.value }}` is text, not a list.", "The data chosen for it was no list in this run.", "Choose a list. The step before shows in its output which of its data are lists."), "a, b", inputs=ITEMS),
        bad("an object that holds the list", Fails("`{{ api_input.out.value }}` is a group of values, not a list.", "The data chosen for it was no list in this run. Its fields that are lists: `pages`.", "Choose a list. The step before shows in its output which of its data are lists."), {"pages": [1]}, inputs=ITEMS),
        bad("null", Fails("`{{ api_input.out.value }}` is nothing, not a list.", "The data chosen for it was no list in this run.", "Choose a list. The step before shows in its output which of its data are lists."), None, inputs=ITEMS),
        bad("more items than can run", Fails("The list has 200,001 items; the next steps can run for 200,000 at most.", "Each item is a run of its own, which is kept in memory and stored.", "Take a part of the list, for example with “Sort and Limit”, and send the rest in another call."), [0] * 200_001, inputs=ITEMS),
        bad("nothing bound", Problem("/inputs/items", "“For each item” is not ready yet: fill in “Items”.")),
        bad("no such way", Problem("/config/mode", "“How the items run” must be 'sequential', 'parallel' or 'chunked', but is the text `fast`."), config={"mode": "fast"}, inputs=ITEMS),
        bad("none at once", Problem("/config/max_concurrency", "“At once” must be at least 1, but is 0."), config={"mode": "parallel", "max_concurrency": 0}, inputs=ITEMS),
    ],
    "array_flatten": [
        good("a list of what came out for each item", flat([1, 2]), ["1", "2"]),
        good("a failed item is named", flat([1, 3], 3, ({"index": 1, "message": "The text is no valid JSON: line 1, column 1 near `two`."},)), ["1", "two", "3"]),
        good("null in its place", flat([1, None, 3], 3, ({"index": 1, "message": "The text is no valid JSON: line 1, column 1 near `two`."},)), ["1", "two", "3"], config={"on_item_error": "include_null"}),
        odd("an empty list", flat([]), []),
        odd("a value of its own", flat([{"n": 0, "v": 5}]), ["5"], inputs={"value": {"n": "{{ each.index }}", "v": "{{ work.out }}"}}),
        odd("levels written as text", flat([1]), ["1"], config={"levels": "1"}),
        bad("every item failed", Fails("All 2 items failed. The first: The text is no valid JSON: line 1, column 1 near `one`.", "A value is expected here: an object, a list, a text in double quotes, a number, true, false or null.", "Look at this step's input. A Prompt with output fields gives an object and needs no “Read JSON text”."), ["one", "two"]),
        bad("an item may not fail", Fails("An item failed: The text is no valid JSON: line 1, column 1 near `two`.", "A value is expected here: an object, a list, a text in double quotes, a number, true, false or null.", "Look at this step's input. A Prompt with output fields gives an object and needs no “Read JSON text”."), ["1", "two", "3"], config={"on_item_error": "fail"}),
        bad("no such choice", Problem("/config/on_item_error", "“When an item fails” must be 'exclude', 'include_null' or 'fail', but is the text `ignore`."), config={"on_item_error": "ignore"}),
        bad("two levels", Problem("/config/levels", "“Which lists end here” must be 1 or 'all', but is 2."), config={"levels": 2}),
    ],
    "filter_list": [
        good("items that fit", kept(GOODS[:2], 3), GOODS, config=CHEAP, inputs=ITEMS),
        good("one rule is enough", kept([GOODS[2]], 3), GOODS, config={"match": "any", "rules": [{"field": "name", "value": "Cake"}, {"field": "name", "value": "Tart"}]}, inputs=ITEMS),
        odd("no rule keeps all", kept(GOODS, 3), GOODS, inputs=ITEMS),
        odd("an empty list", kept([], 0), [], config=CHEAP, inputs=ITEMS),
        odd("a text that is a JSON list", kept([{"price": 1}], 2), '[{"price": 1}, {"price": 9}]', config=CHEAP, inputs=ITEMS),
        bad("a list of numbers that are none", Fails("Items is text, not a list.", "The data chosen for it was no list in this run.", "Choose a list. The step before shows in its output which of its data are lists."), "[NaN, 1e999]", inputs=ITEMS),
        odd("items without the field do not fit", kept([], 3), [None, 5, {"cost": 1}], config=CHEAP, inputs=ITEMS),
        odd("a long list", kept(MANY[:6], 20_000), MANY, config={"rules": [{"operator": "less", "value": 6}]}, inputs=ITEMS),
        bad("an object that holds the list", Fails("Items is a group of values, not a list.", "The data chosen for it was no list in this run. Its fields that are lists: `goods`.", "Choose a list. The step before shows in its output which of its data are lists."), {"goods": [], "n": 1}, config=CHEAP, inputs=ITEMS),
        bad("null", Fails("Items has no value.", "The value chosen for it was empty in this run.", "Choose data that is always there, or give the field a default value."), None, config=CHEAP, inputs=ITEMS),
        bad("nothing bound", Problem("/inputs/items", "“Filter List” is not ready yet: fill in “Items”."), config=CHEAP),
        bad("no such comparison", Problem("/config/rules/0/operator", "“Rules”, entry 1, `operator` must be 'equals', 'not_equals', 'greater', 'greater_or_equal', 'less', 'less_or_equal', 'contains', 'not_contains', 'starts_with', 'ends_with', 'matches', 'in', 'not_in', 'is_empty', 'is_not_empty', 'is_true' or 'is_false', but is the text `resembles`."), config={"rules": [{"operator": "resembles"}]}, inputs=ITEMS),
        bad("a pattern that cannot be read", Problem("/config/rules/0/value", "The pattern cannot be used: a `(` is never closed by `)`."), config={"rules": [{"operator": "matches", "value": "("}]}, inputs=ITEMS),
    ],
    "sort_limit": [
        good("largest first, the best two", kept([GOODS[2], GOODS[0]], 3), GOODS, config={"by": "price", "descending": True, "limit": 2}, inputs=ITEMS),
        good("the items themselves", kept([2, "10", "a", "B"], 4), ["B", "a", "10", 2], config={"by": "."}, inputs=ITEMS),
        odd("no setting changes nothing", kept(GOODS, 3), GOODS, inputs=ITEMS),
        odd("an empty list", kept([], 0), [], config={"by": "price"}, inputs=ITEMS),
        odd("none of them", kept([], 3), GOODS, config={"limit": 0}, inputs=ITEMS),
        odd("a field that no item has", kept(GOODS, 3), GOODS, config={"by": "colour"}, inputs=ITEMS, warns=("No item has a `colour`, so the order is as it was.",)),
        odd("a long list", kept([19_999, 19_998], 20_000), MANY, config={"by": ".", "descending": True, "limit": 2}, inputs=ITEMS),
        bad("a text", Fails("Items is text, not a list.", "The data chosen for it was no list in this run.", "Choose a list. The step before shows in its output which of its data are lists."), "b, a", inputs=ITEMS),
        bad("null", Fails("Items has no value.", "The value chosen for it was empty in this run.", "Choose data that is always there, or give the field a default value."), None, inputs=ITEMS),
        bad("fewer than none", Problem("/config/limit", "“Keep at most” must be at least 0, but is -1."), config={"limit": -1}, inputs=ITEMS),
        bad("a number in words", Problem("/config/limit", "“Keep at most” must be a whole number, but is the text `three`."), config={"limit": "three"}, inputs=ITEMS),
        bad("nothing bound", Problem("/inputs/items", "“Sort and Limit” is not ready yet: fill in “Items”.")),
    ],
    "group_count": [
        good("a count for each kind", grouped({"count": 3}, {"key": "good", "count": 2}, {"key": "bad", "count": 1}), [{"mood": "good"}, {"mood": "bad"}, {"mood": "Good "}], config={"by": "mood"}, inputs=ITEMS),
        good("a sum and an average", grouped({"count": 3, "sum_price": 30, "average": 10}, {"key": None, "count": 3, "sum_price": 30, "average": 10}), GOODS, config={"measures": [{"operation": "sum", "field": "price"}, {"operation": "average", "field": "price", "name": "average"}]}, inputs=ITEMS),
        odd("an empty list", grouped({"count": 0}), [], config={"by": "mood"}, inputs=ITEMS),
        odd("items without the field", grouped({"count": 4}, {"key": None, "count": 3}, {"key": 0, "count": 1}), [{}, {"mood": None}, {"mood": 0}, {"mood": " "}], config={"by": "mood"}, inputs=ITEMS),
        odd("a field that no item has", grouped({"count": 3}, {"key": None, "count": 3}), GOODS, config={"by": "colour"}, inputs=ITEMS, warns=("No item has a `colour`, so all of them are one group.",)),
        odd("numbers in text, and other words", grouped({"count": 3, "max_price": 24}, {"key": None, "count": 3, "max_price": 24}), [{"price": "9"}, {"price": "a lot"}, {"price": 24}], config={"measures": [{"operation": "max", "field": "price"}]}, inputs=ITEMS, warns=("1 of 3 items were left out of the numbers: `price` was no number, like `a lot`.",)),
        odd("a long list", {"group_count": 20_000}, MANY, config={"by": "."}, inputs=ITEMS, only=("group_count",)),
        bad("a text", Fails("Items is text, not a list.", "The data chosen for it was no list in this run.", "Choose a list. The step before shows in its output which of its data are lists."), "b, a", inputs=ITEMS),
        bad("null", Fails("Items has no value.", "The value chosen for it was empty in this run.", "Choose data that is always there, or give the field a default value."), None, inputs=ITEMS),
        bad("two results of one name", Problem("/config/measures/1/name", "Two results are named `sum_price`. Choose another name."), config={"measures": [{"field": "price"}, {"field": "name", "name": "sum_price"}]}, inputs=ITEMS),
        bad("a name that every group has", Problem("/config/measures/0/name", "Every group has a `key` already. Choose another name."), config={"measures": [{"field": "price", "name": "key"}]}, inputs=ITEMS),
        bad("no such number", Problem("/config/measures/0/operation", "“Also work out”, entry 1, `operation` must be 'count', 'numbers', 'sum', 'average', 'min' or 'max', but is the text `median`."), config={"measures": [{"operation": "median"}]}, inputs=ITEMS),
        bad("nothing bound", Problem("/inputs/items", "“Group and count” is not ready yet: fill in “Items”.")),
    ],
    "merge_lists": [
        good("one after the other", {"items": [1, 2, 2, 3], "count": 4}, {"a": [1, 2], "b": [2, 3]}, inputs=TWO_LISTS),
        good("the output of a list node", {"items": [1, 2], "count": 2}, {"a": {"items": [1], "count": 1}, "b": [2]}, inputs=TWO_LISTS),
        odd("text that is a JSON list", {"items": [1, "x"], "count": 2}, {"a": "[1]", "b": ["x"]}, inputs=TWO_LISTS),
        odd("nothing in one", {"items": [2], "count": 1}, {"a": None, "b": [2]}, inputs=TWO_LISTS, warns=("List 1 was nothing, so it was left out.",)),
        odd("two empty lists", {"items": [], "count": 0}, {"a": [], "b": []}, inputs=TWO_LISTS),
        odd("no list at all", {"items": [], "count": 0}, {}, inputs={"lists": []}),
        odd("long lists", {"count": 40_000}, {"a": MANY, "b": MANY}, inputs=TWO_LISTS, only=("count",)),
        bad("a text among them", Fails("List 2 is text, not a list.", "The data chosen for it was no list in this run.", "Choose a list. The step before shows in its output which of its data are lists."), {"a": [1], "b": "2, 3"}, inputs=TWO_LISTS),
        bad("an object that holds a list", Fails("List 1 is a group of values, not a list.", "The data chosen for it was no list in this run. Its fields that are lists: `pages`.", "Choose a list. The step before shows in its output which of its data are lists."), {"a": {"pages": [1]}, "b": []}, inputs=TWO_LISTS),
        bad("no reference", Problem("/inputs/lists/0", "`{{  }}` is no value of an earlier step. Choose one under “Data from earlier steps”."), inputs={"lists": ["{{ }}"]}),
        bad("more than fit", Problem("/inputs/lists", "“Lists” may have at most 100 entries, but has 101."), inputs={"lists": ["x"] * 101}),
    ],
    "approval": [
        good("a person agrees", answered("yes", text="Hi"), "Hi", inputs={"title": "Send it?", "values": {"text": GIVEN}}),
        good("a person refuses", answered("no", text="Hi"), "Hi", inputs={"title": "No, or yes?", "values": {"text": GIVEN}}),
        good("a person changes what may be changed", answered("yes", text="HI", to="me"), "Hi", inputs={"title": "Send it?", "values": {"text": GIVEN, "to": "me"}}, config={"editable": ["text"]}),
        odd("nobody answers", answered("no", nobody=True), inputs={"title": "Nobody?"}),
        odd("nobody answers, which counts as approved", answered("yes", nobody=True), inputs={"title": "Nobody?"}, config={"on_expiry": "approve"}),
        odd("nothing to read, and data is no source", answered("yes"), ODD, inputs={"title": GIVEN}),
        bad("nobody answers, which fails", Fails("Nobody answered “Nobody?” in time.", "The question was open for as long as this step allows, and fails when nobody answers.", "Give people more time, or choose what happens when nobody answers."), inputs={"title": "Nobody?"}, config={"on_expiry": "fail"}),
        bad("no question", Problem("/inputs/title", "“Approval” is not ready yet: fill in “What is asked”."), inputs={}),
        bad("a value that is not there may be changed", Problem("/config/editable", "Approval: “text” may be changed, but no value has this name."), inputs={"title": "Send it?"}, config={"editable": ["text"]}),
        bad("less than a minute to answer", Problem("/config/expires_after_seconds", "“Time to answer” must be at least 60, but is 5."), inputs={"title": "Send it?"}, config={"expires_after_seconds": 5}),
        bad("values that are no group in this run", Fails("“Values” must be a group of values, but is the text `abc`.", "The data chosen for it was of another kind in this run.", "Choose data that fits: this step's input shows what came, the step before what it has."), "abc", inputs={"title": "Send it?", "values": GIVEN}),
    ],
    "condition": [
        good("yes", {"by": "yes", "value": 7}, 7, inputs=if_greater(5)),
        good("no", {"by": "no", "value": 3}, 3, inputs=if_greater(5)),
        odd("numbers in text are numbers", {"by": "yes", "value": "12.5"}, "12.5", inputs=if_greater("9")),
        odd("null is greater than nothing", {"by": "no", "value": None}, None, inputs=if_greater(5)),
        odd("data is no pattern", {"by": "no", "value": ODD}, ODD, inputs={"value": GIVEN, "rules": [{"left": GIVEN, "operator": "equals", "right": "49"}]}),
        odd("the data before it while no value is bound", {"by": "yes", "value": {"value": 7}}, 7, inputs={"rules": [{"left": GIVEN, "operator": "is_not_empty"}]}),
        bad("no rule", Problem("/inputs/rules", "Condition: there is no rule yet, so it could not decide."), inputs={"rules": []}),
        bad("no such comparison", Problem("/inputs/rules/0/operator", "`is like` is no comparison. Use one like `equals`, `greater` or `contains`."), inputs={"rules": [{"left": 1, "operator": "is like", "right": 1}]}),
        bad("a pattern that cannot be read", Problem("/inputs/rules/0/right", "The pattern cannot be used: a `(` is never closed by `)`."), inputs={"rules": [{"left": "a", "operator": "matches", "right": "("}]}),
        bad("rules that are no list in this run", Fails("“Rules” must be a list, but is the text `all of them`.", "The data chosen for it was of another kind in this run.", "Choose data that fits: this step's input shows what came, the step before what it has."), "all of them", inputs={"rules": GIVEN}),
    ],
    "first_value": [
        good("the first whose node ran", {"a": 1}, '{"a": 1}', inputs={"values": ["{{ gone.out }}", "{{ there.out }}"]}),
        good("of what is connected", {"a": 1}, '{"a": 1}'),
        good("a fixed one last", "nothing", "1", inputs={"values": ["{{ gone.out }}", "nothing", "{{ there.out }}"]}),
        odd("a node that ran and gave null ran", None, "null", inputs={"values": ["{{ gone.out }}", "{{ there.out }}", "x"]}),
        odd("none ran", None, "1", inputs={"values": ["{{ gone.out }}"]}, warns=("None of the values is there, because their nodes were skipped: null goes on.",)),
        bad("values that are no list in this run", Fails("“Values” must be a list, but is the text `abc`.", "The data chosen for it was of another kind in this run.", "Choose data that fits: this step's input shows what came, the step before what it has."), '"abc"', inputs={"values": "{{ there.out }}"}),
        bad("no reference", Problem("/inputs/values/0", "`{{  }}` is no value of an earlier step. Choose one under “Data from earlier steps”."), inputs={"values": ["{{ }}"]}),
        bad("more than fit", Problem("/inputs/values", "“Values” may have at most 100 entries, but has 101."), '"abc"', inputs={"values": ["x"] * 101}),
    ],
}  # fmt: skip
