"""Settings, Limits and plan: what is changed counts at once."""

from __future__ import annotations

import pytest
from nicegui.testing import User

from engine.actions.limits import set_plan
from storage.usage import Caps
from storage.workspaces import get_limits
from tests.ui.arrange import box, page_text, press
from tests.ui.conftest import Site


async def test_limits_are_shown_and_changed(site: Site, user: User) -> None:
    await user.open("/settings/limits")
    assert said_of(user, "Production") == ["Jobs at once", "0 of 4", "Requests this month", "0 of 1,000"]
    assert said_of(user, "Staging") == ["Jobs at once", "0 of 1", "Requests this month", "0 of 250"]

    box(user, "Plan").value = "pro"
    box(user, "Production, jobs at once").value = "9"
    box(user, "Production, requests a month").value = "unlimited"
    box(user, "Development, requests a month").value = "30"
    assert box(user, "Staging, jobs at once").props["placeholder"] == "2"
    assert box(user, "Staging, requests a month").props["placeholder"] == "any number"
    press(user, "Save the plan")
    await user.should_see("0 of 9")
    assert said_of(user, "Staging") == ["Jobs at once", "0 of 2", "Requests this month", "0 no limit"]
    assert said_of(user, "Development") == ["Jobs at once", "0 of 2", "Requests this month", "0 of 30"]

    limits = site.database.read_now(get_limits, site.workspace_id)
    assert (limits.plan, limits.caps["live"], limits.caps["test"]) == ("pro", Caps(9, None), Caps(2, None))


async def test_an_open_page_does_not_bring_a_limit_back_that_was_changed(site: Site, user: User) -> None:
    await user.open("/settings/limits")
    site.database.write_now(set_plan, site.owner, "free", monthly=300)
    box(user, "Production, jobs at once").value = "3"
    press(user, "Save the plan")
    await user.should_see("Somebody changed the plan or a limit after you opened the page.")
    assert site.database.read_now(get_limits, site.workspace_id).caps["live"] == Caps(4, 300)

    await user.open("/settings/limits")
    for number in ("3", "2"):
        box(user, "Production, jobs at once").value = number
        press(user, "Save the plan")
        await user.should_see(f"0 of {number}")


def said_of(user: User, environment: str) -> list[str]:
    """Returns the texts of an environment on the page, after its name."""
    lines = page_text(user).split("\n")
    at = lines.index(environment)
    return lines[at + 1 : at + 5]


@pytest.mark.parametrize("typed", ["many", "²", "9" * 5_000])
async def test_a_limit_that_is_no_number_is_refused(site: Site, user: User, typed: str) -> None:
    await user.open("/settings/limits")
    box(user, "Staging, jobs at once").value = typed
    press(user, "Save the plan")
    await user.should_see("Write a whole number")

    assert site.database.read_now(get_limits, site.workspace_id).caps["test"].concurrency == 1
