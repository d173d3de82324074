"""The page of a collection: what is offered when nothing is found, and the times that go on."""

from __future__ import annotations

from nicegui.testing import User

from engine.actions.knowledge import add_collection, add_text
from tests.ui.arrange import buttons, page_text, press, until
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
