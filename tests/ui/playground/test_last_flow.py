"""Flow Playground in the sidebar opens the flow that this browser showed last; a new flow is kept once it has content."""

from __future__ import annotations

from nicegui.testing import User

from engine.actions.flows import begin_flow, create_flow, save_draft
from engine.core.clock import DAY, HOUR
from engine.flow.document import Document
from storage.flows import EMPTY_DRAFT, get_flow, list_empty_flows, list_flows
from tests.factories import document
from tests.ui.conftest import Site


async def leads_to(user: User, path: str) -> str:
    """Returns the address that a path redirects to in the end."""
    answer = await user.http_client.get(path, follow_redirects=True)
    return str(answer.url.path)


def titles(site: Site) -> list[str]:
    return [flow.title for flow in site.database.read_now(list_flows, site.workspace_id)]


def empties(site: Site) -> list[str]:
    return site.database.read_now(list_empty_flows, site.workspace_id)


async def test_the_sidebar_opens_the_last_flow_of_this_browser(site: Site, user: User) -> None:
    first, second = site.flow("First"), site.flow("Second")

    assert await leads_to(user, "/playground") in {f"/playground/{first}", f"/playground/{second}"}
    user.http_client.cookies.set("fp_last_flow", first)
    assert await leads_to(user, "/playground") == f"/playground/{first}"
    user.http_client.cookies.set("fp_last_flow", "flow_gone")
    assert await leads_to(user, "/playground") in {f"/playground/{first}", f"/playground/{second}"}


async def test_without_a_flow_the_sidebar_opens_a_new_one_that_stands_nowhere_while_it_is_empty(
    site: Site, user: User
) -> None:
    opened = (await leads_to(user, "/playground")).removeprefix("/playground/")
    assert empties(site) == [opened]
    assert titles(site) == []
    await user.open("/flows")
    await user.should_not_see("Drafts")

    site.database.write_now(save_draft, site.owner, opened, document(), 1)
    assert (titles(site), empties(site)) == (["Untitled flow"], [])
    await user.open("/flows")
    await user.should_see("Drafts")
    await user.should_see("Every change in them is kept. Save As puts them among the saved flows.")


async def test_an_empty_flow_that_somebody_has_open_is_not_given_to_somebody_else(site: Site, user: User) -> None:
    await user.open("/playground/new")
    (mine,) = empties(site)
    other = (await leads_to(user, "/playground/new")).removeprefix("/playground/")
    assert other != mine
    assert set(empties(site)) == {mine, other}


async def test_people_who_begin_at_the_same_time_get_flows_of_their_own(site: Site, user: User) -> None:
    left = site.database.write_now(create_flow, site.owner)
    site.clock.offset += HOUR // 2

    given = [(await leads_to(user, "/playground/new")).removeprefix("/playground/") for _number in range(2)]
    begun = [site.database.write_now(begin_flow, site.owner, ()) for _number in range(3)]

    assert left in given
    assert len({*given, *begun}) == 5
    site.clock.offset += HOUR // 4
    assert site.database.write_now(begin_flow, site.owner, ()) in {*given, *begun}


async def test_with_several_servers_nobody_is_given_a_flow_that_a_tab_of_another_may_show(site: Site) -> None:
    def begin() -> str:
        return site.database.write_now(begin_flow, site.owner, (), several_servers=True)

    of_ann = begin()
    site.clock.offset += 2 * HOUR
    assert begin() != of_ann
    assert len(empties(site)) == 2
    site.clock.offset += DAY + HOUR
    newest = begin()
    assert empties(site) == [newest]


async def test_new_flows_that_were_left_untouched_are_removed_when_another_one_begins(site: Site, user: User) -> None:
    touched, left, other = (site.database.write_now(create_flow, site.owner) for _number in range(3))
    site.database.write_now(save_draft, site.owner, touched, document(), 1)
    site.database.write_now(save_draft, site.owner, touched, Document(), 2)  # emptied again: there is an undo
    site.clock.offset += 2 * HOUR
    fresh = site.database.write_now(create_flow, site.owner)

    opened = (await leads_to(user, "/playground/new")).removeprefix("/playground/")

    assert opened in {touched, left, other, fresh}
    assert set(empties(site)) == {touched, fresh, opened}


async def test_an_empty_flow_with_a_title_is_kept(site: Site) -> None:
    site.database.write_now(create_flow, site.owner, "My idea")
    assert titles(site) == ["My idea"]


async def test_a_new_flow_is_stored_as_the_query_expects(site: Site) -> None:
    assert Document().dumps() == EMPTY_DRAFT
    flow_id = site.database.write_now(create_flow, site.owner)
    assert site.database.read_now(get_flow, site.workspace_id, flow_id).title == "Untitled flow"
    assert empties(site) == [flow_id]
