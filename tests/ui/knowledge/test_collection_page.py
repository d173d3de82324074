"""The page of a collection: what is offered when nothing is found, and the times that go on."""

from __future__ import annotations

from nicegui import ui
from nicegui.testing import User

from engine.actions.knowledge import add_collection, add_text
from tests.ui.arrange import box, buttons, hrefs, page_text, press, until
from tests.ui.conftest import Site
from tests.ui.flows.test_goals import type_into


async def test_a_search_by_words_that_finds_nothing_offers_search_by_meaning(site: Site, user: User) -> None:
    collection = site.database.write_now(add_collection, site.owner, "Handbook")
    site.database.write_now(add_text, site.owner, collection, "Holidays", "Every employee has 28 days of holiday.")
    await user.open(f"/knowledge/{collection}")
    assert "Search by meaning" not in buttons(user)

    type_into(user, "A question, or some words", "vacation")
    press(user, "Search")
    await until(lambda: "Search by meaning finds more." in page_text(user))

    press(user, "Search by meaning")
    await user.should_see("No connection has embedding models yet.")


async def test_a_filled_collection_leads_to_the_flow_that_answers_from_it(site: Site, user: User) -> None:
    collection = site.database.write_now(add_collection, site.owner, "House rules")
    await user.open(f"/knowledge/{collection}")
    path = f"/start?goal=answer-from-documents&collection={collection}"
    assert path not in hrefs(user), "nothing is in it yet"
    site.database.write_now(add_text, site.owner, collection, "Rest", "From 13 to 15 it is quiet.")
    await user.open(f"/knowledge/{collection}")
    assert path in hrefs(user)

    await user.open(path)
    label = "Which documents should it answer from?"
    (choice,) = (one for one in user.find(kind=ui.select).elements if one.props.get("aria-label") == label)
    assert choice.value == collection
    assert box(user, "Which question should it try first?").value == "", "the sample is about other documents"
