"""Cases of the nodes that search knowledge and add to it. The workspace has the collection `Terms`."""

from __future__ import annotations

from tests.engine.nodes.node_case import GIVEN, Case, Fails, Problem, bad, good, odd

QUERY = {"query": GIVEN}
TEXTS = {
    "Shop terms": "# Returns\n\nA bread tin may be returned within 30 days.\n\n# Delivery\n\nDelivery is free above 40 pounds.",
    "中文": "中国的运费是免费的。",
}
RETURNS = {
    "number": 1,
    "text": "A bread tin may be returned within 30 days.",
    "source": "Shop terms",
    "collection_source": "Shop terms",
    "address": "",
    "place": "",
    "heading": "Returns",
    "score": 1.0,
    "words": ["returned", "returns", "tin"],
    "likeness": None,
}
GONE = Fails(
    "No collection of knowledge is called `Rules`.", "This was not found.", "The page Knowledge lists them all."
)
EMPTY = "There is nothing to {do}."
ODD = '{{ 7*7 }} {% for x in y %} "NEAR(a b)" * ^ - Grüße \U0001f980'


def nothing() -> dict:
    return {"text": "Nothing was found.", "pieces": [], "sources": [], "count": 0}


CASES: dict[str, list[Case]] = {
    "search_knowledge": [
        good("the piece that fits", {"pieces": [RETURNS], "count": 1}, "Can I return the tins?", config={"collection": "Terms", "limit": 1}, inputs=QUERY, only=("pieces", "count")),
        good("a text for a prompt", {"text": "[1] Shop terms (Returns)\nA bread tin may be returned within 30 days.", "sources": [{"number": 1, "source": "Shop terms", "address": "", "place": ""}]}, "Can I return the tins?", config={"collection": "Terms", "limit": 1}, inputs=QUERY, only=("text", "sources")),
        good("only from a source", {"count": 1}, "delivery 运费", config={"collection": "Terms", "sources": ["中文"]}, inputs=QUERY, only=("count",)),
        odd("nothing fits", nothing(), "quantum", config={"collection": "Terms"}, inputs=QUERY),
        odd("signs of a search language are words", nothing(), ODD, config={"collection": "Terms"}, inputs=QUERY),
        odd("letters without spaces", {"count": 1}, "中国运费", config={"collection": "Terms"}, inputs=QUERY, only=("count",)),
        odd("a score that nothing reaches", nothing(), "returned quantum parcels", config={"collection": "Terms", "min_score": 0.9}, inputs=QUERY),
        odd("a source that is not there", nothing(), "returned", config={"collection": "Terms", "sources": ["Menu"]}, inputs=QUERY),
        bad("an empty question", Fails("The question is empty.", EMPTY.format(do="look for"), "Fill in the question with data that is always there."), "  ", config={"collection": "Terms"}, inputs=QUERY),
        bad("a collection that is not there", GONE, "a", config={"collection": "Rules"}, inputs=QUERY),
        bad("no collection", Problem("/config/collection", "Choose a collection."), inputs=QUERY),
        bad("more pieces than there may be", Problem("/config/limit", "“Most pieces” must be at most 50, but is 99."), config={"collection": "Terms", "limit": 99}, inputs=QUERY),
    ],
    "add_to_knowledge": [
        good("a text with its source", {"action": "added", "source": "https://a.example/", "pieces": 1}, "We open at seven.", config={"collection": "Kept"}, inputs={"text": GIVEN, "source": "https://a.example/"}),
        odd("the same source again", {"action": "replaced", "source": "https://b.example/", "pieces": 1}, "We open at eight.", config={"collection": "Kept"}, inputs={"text": GIVEN, "source": "https://b.example/"}, before="We open at seven."),
        odd("the same text again", {"action": "unchanged", "source": "https://c.example/", "pieces": 1}, "We open at eight.", config={"collection": "Kept"}, inputs={"text": GIVEN, "source": "https://c.example/"}, before="We open at eight."),
        odd("any text", {"action": "added", "pieces": 1}, ODD + "\x00\ud800", config={"collection": "Kept"}, inputs={"text": GIVEN, "source": 'Grüße " \U0001f980'}, only=("action", "pieces")),
        odd("data that is no text", {"action": "added", "source": "5", "pieces": 1}, {"a": [1, None]}, config={"collection": "Kept"}, inputs={"text": GIVEN, "source": 5}),
        bad("an empty text", Fails("The text is empty.", EMPTY.format(do="keep"), "Fill in the text with data that is always there, or put a Condition before this step."), "\n", config={"collection": "Kept"}, inputs={"text": GIVEN}),
        bad("a collection that is not there", GONE, "a", config={"collection": "Rules"}, inputs={"text": GIVEN}),
        bad("no collection", Problem("/config/collection", "Choose a collection."), inputs={"text": GIVEN}),
    ],
}  # fmt: skip
