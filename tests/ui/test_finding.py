"""The searches find what people say: nodes in the palette, and everything in the search of the frame (Ctrl+K)."""

from __future__ import annotations

import pytest
from nicegui import ui
from nicegui.testing import User

from engine.core.paths import ASSETS
from engine.flow.goals import all_goals
from engine.nodes import CATALOG, NODE_TYPES
from tests.factories import greeting
from tests.ui.arrange import press_named, until
from tests.ui.conftest import Site
from ui.flows.templates import all_templates, matching
from ui.kit.finding import Said, best
from ui.kit.not_yet import NOT_YET
from ui.kit.places import PLACES
from ui.kit.search import Hit, found_for
from ui.playground.canvas.palette import kinds_for, said_about

#: Everyday word -> the node that stands first in the palette.
NODES = {
    "today": "Text Template",
    "text": "Text Template",
    "letter": "Text Template",
    "write": "Prompt",
    "draft an answer": "Prompt",
    "several values": "Set Fields",
    "form letter": "Text Template",
    "ask my boss": "Approval",
    "each row": "For each item",
    "add to excel": "Save rows",
    "house rules": "Search Knowledge",
    "approval": "Approval",
    "ask a person": "Approval",
    "assistant": "Agent",
    "pdf": "Read Document",
    "if": "Condition",
    "else": "Condition",
    "branch": "Condition",
    "decide": "Condition",
    "compare": "Condition",
    "otherwise": "First Value",
    "loop": "For each item",
    "repeat": "For each item",
    "every": "For each item",
    "for each": "For each item",
    "one by one": "For each item",
    "collect": "Collect into a list",
    "gather": "Collect into a list",
    "summary": "Prompt",
    "summarise": "Prompt",
    "translate": "Prompt",
    "translating": "Prompt",
    "ask ai": "Prompt",
    "chatgpt": "Prompt",
    "question": "API Input",
    "classify": "Prompt",
    "input": "API Input",
    "start": "API Input",
    "result": "API Output",
    "return": "API Output",
    "answer": "API Output",
    "url": "Page Scraper",
    "read a page": "Page Scraper",
    "scrape": "Page Scraper",
    "scrap": "Page Scraper",
    "crawl": "Website Mapper",
    "all pages": "Website Mapper",
    "send": "HTTP Request",
    "call a service": "HTTP Request",
    "save": "Save rows",
    "remember": "Save rows",
    "load": "Read rows",
    "look up": "Look up a row",
    "lookup": "Look up a row",
    "vlookup": "Look up a row",
    "find by e-mail": "Look up a row",
    "look up the sender in my table by email address": "Look up a row",
    "find a customer": "Look up a row",
    "search a table": "Look up a row",
    "excel": "Read rows",
    "filter": "Filter List",
    "remove": "Filter List",
    "sort": "Sort and Limit",
    "top": "Sort and Limit",
    "cheapest": "Sort and Limit",
    "count": "Group and count",
    "sum": "Group and count",
    "average": "Group and count",
    "how many": "Group and count",
    "merge": "Merge lists",
    "combine": "Merge lists",
    "json": "Read JSON text",
    "phone number": "Extract Pattern",
    "variable": "Set Fields",
    "rename": "Set Fields",
    "another flow": "Call Flow",
    "whichever": "First Value",
    "clean html": "HTML Text Extractor",
    "rag": "Search Knowledge",
    "memory": "Add to Knowledge",
    "condtion": "Condition",
}
#: Everyday word -> what stands first in the search of the frame.
ANYTHING = {
    "invite": "Invite somebody",
    "team": "Team",
    "colleague": "Invite somebody",
    "share": "Invite somebody",
    "error": "See what failed",
    "why": "See what failed",
    "failed jobs": "See what failed",
    "refused": "See which calls were refused",
    "who called": "See who called and when",
    "new flow": "New flow",
    "create": "New flow",
    "import": "Import a flow",
    "publish": "Deploy a flow as an API",
    "deploy": "Deploy a flow as an API",
    "yesterday": "Go back to an earlier version",
    "undo": "Go back to an earlier version",
    "password": "Change your password",
    "api key": "API Keys",
    "token": "API Keys",
    "openai": "Connect a model",
    "chatgpt": "Connect a model",
    "secret": "Keep a secret",
    "backup": "Back up everything",
    "cost": "See what it costs and how fast it is",
    "slow": "See what it costs and how fast it is",
    "limit": "Limits and plan",
    "quota": "Limits and plan",
    "csv": "Import a table",
    "example": "Begin with an example",
    "help": "Quick start",
    "docs": "Docs",
    "documentation": "Docs",
    "webhook": "Webhooks",
    "tell me": "See at once that a run failed",
    "tell me when a run fails": "See at once that a run failed",
    "told when it fails": "See at once that a run failed",
    "notify": "See at once that a run failed",
    "alert": "See at once that a run failed",
    "staging": "Environments",
    "if": "Condition",
    "loop": "For each item",
    "who did what": "Audit log",
    "docker": "Hosting",
    "greet": "Greeting",
    "summarise": "Summarise a text",
}
#: What Flowport does not have yet -> a word of the honest answer.
MISSING = {
    "schedule": "clock",
    "run every morning": "clock",
    "shedule": "clock",
    "cron": "clock",
    "email": "e-mail",
    "send an email": "e-mail",
    "draw a picture": "pictures",
    "slack": "ready-made",
    "python": "code",
    "sso": "SSO",
    "folder": "folders",
    "website widget": "visitors",
}


def everything() -> list[Hit]:
    return [Hit("Greeting", "/flows/flow_1"), *PLACES, *(Hit(one.file.title, "/templates") for one in all_templates())]


def test_every_node_is_found_by_an_everyday_word() -> None:
    missing = {kind.title for kind in NODE_TYPES} - set(NODES.values())
    assert missing == set(), "add a word for each to `NODES`; words of your own for it go into `synonyms` of its `NODE`"


@pytest.mark.parametrize("word", NODES)
def test_the_palette_shows_this_node_first(word: str) -> None:
    assert CATALOG[kinds_for(word, NODE_TYPES)[0]].title == NODES[word]
    assert said_about(word, NODE_TYPES) == ""


@pytest.mark.parametrize("word", ANYTHING)
def test_the_search_of_the_frame_shows_this_first(word: str) -> None:
    missing, hits = found_for(word, everything())

    assert missing is None
    assert hits[0].title == ANYTHING[word]


@pytest.mark.parametrize("word", ["tell me", "told when it fails", "notify", "alert"])
def test_where_a_run_that_ends_is_told_elsewhere_is_found_next(word: str) -> None:
    assert found_for(word, everything())[1][1].title == "Be told elsewhere when a run ends"


@pytest.mark.parametrize("word", MISSING)
def test_what_is_missing_is_said_and_something_is_offered(word: str) -> None:
    missing, _hits = found_for(word, everything())

    assert missing is not None
    assert MISSING[word] in missing.title
    assert kinds_for(word, NODE_TYPES), "the palette shows a node in any case"


@pytest.mark.parametrize("word", ["slack", "send an email", "send it by e-mail"])
def test_the_palette_says_what_no_node_does(word: str) -> None:
    assert " yet." in said_about(word, NODE_TYPES)


@pytest.mark.parametrize("word", ["schedule", "every day"])
def test_the_palette_says_where_a_time_is_chosen(word: str) -> None:
    assert "its page does" in said_about(word, NODE_TYPES)


def test_no_search_of_the_palette_ends_with_nothing() -> None:
    assert kinds_for("qqqqqqqq", NODE_TYPES) == ["http_request", "prompt"]
    assert "A model does much" in said_about("qqqqqqqq", NODE_TYPES)


def test_nodes_named_for_what_is_missing_exist() -> None:
    assert {node for one in NOT_YET for node in one.nodes} <= set(CATALOG)


def test_what_no_goal_does_is_told_in_the_words_of_the_search() -> None:
    assert {one.topic for one in all_goals().not_yet} == {one.topic for one in NOT_YET if one.topic}


@pytest.mark.parametrize(
    ("word", "title"),
    [
        ("summary", "Summarise a web page"),
        ("sumarise a text", "Summarise a text"),
        ("cheapest", "Cheapest of a price list"),
        ("website", "Website analyzer"),
        ("contact", "Contact details of a page"),
        ("mood", "Classify a list"),
        ("practice shop prices", "Prices of several pages"),
    ],
)
def test_templates_are_found_by_what_people_say(word: str, title: str) -> None:
    shelf, *_others = matching(all_templates(), word, "", no_key=False)

    assert shelf[1][0].file.title == title


def test_an_entry_that_has_all_words_hides_those_that_miss_one() -> None:
    entries = [("a", Said("Read a page")), ("b", Said("Read a table")), ("c", Said("Write"))]

    assert best(entries, "read page") == ["a"]
    assert best(entries, "read letter") == ["a", "b"]
    assert best(entries, "letter") == []
    assert best(entries, "  ") == ["a", "b", "c"]


async def test_the_search_dialog_never_ends_with_nothing(site: Site, user: User) -> None:
    site.flow("Greeting", file=greeting())
    await user.open("/flows")
    press_named(user, "Search")
    await until(lambda: any(one.value for one in user.find(kind=ui.dialog).elements))
    box = next(one for one in user.find(kind=ui.input).elements if "fp-find" in _around(one))

    box.set_value("schedule")
    await user.should_see("No step starts a flow by the clock: its page does.")
    box.set_value("qqqqqqqq")
    await user.should_see("Nothing here is about “qqqqqqqq”. You could look here:")
    await user.should_see("Search the help for it")
    box.set_value("price list")
    await user.should_see("Cheapest of a price list")


def _around(element: ui.element) -> set[str]:
    return {name for one in element.ancestors() for name in one.classes}


async def test_every_address_of_the_search_is_a_page(user: User) -> None:
    pages = {one.path for one in (*PLACES, *NOT_YET) if not one.path.startswith("/docs")}

    answers = {path: (await user.http_client.get(path)).status_code for path in sorted(pages)}

    assert {path: status for path, status in answers.items() if status not in (200, 307)} == {}


def test_every_help_page_of_the_search_exists() -> None:
    pages = {one.path for one in (*PLACES, *NOT_YET) if one.path.startswith("/docs/")}
    guides = {f"/docs/guides/{path.stem}" for path in (ASSETS / "help").glob("*.md")}
    nodes = {f"/docs/nodes/{kind}" for kind in CATALOG}

    assert {path.partition("#")[0] for path in pages} <= guides | nodes
    guide = (ASSETS / "help" / "best-practices.md").read_text(encoding="utf-8")
    assert "## At a certain time" in guide, "the search leads to this section"
