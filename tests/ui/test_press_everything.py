"""Everything that an owner can press on a page, and in what opens then, is pressed: no handler of the server fails.

`tests/browser/test_press_everything.py` presses with a mouse.
"""

from __future__ import annotations

import logging

import pytest
from nicegui import Client, ui

from engine.core.errors import NotFound
from tests.logical_time import pass_time
from tests.ui.arrange import press
from tests.ui.conftest import Site
from tests.ui.test_viewer import WALKS, arrange

#: Events that a press causes, and the Enter that leaves a field.
PRESSES = ("click", "keydown.enter")
#: How often what a press has drawn is pressed, too.
ROUNDS = 4


async def press_everything(client: Client) -> int:
    """Sends each press that the page listens to, and the presses of what it opens. Returns how many it sent."""
    pressed: set[tuple[int, str]] = set()
    for _round in range(ROUNDS):
        for element in list(client.elements.values()):
            for listener in list(element._event_listeners.values()):
                if listener.type not in PRESSES or (element.id, listener.id) in pressed or element.is_deleted:
                    continue
                pressed.add((element.id, listener.id))
                client.handle_event({"id": element.id, "listener_id": listener.id, "args": ["{}"]})
                await pass_time(0.02)
    return len(pressed)


@pytest.mark.parametrize("paths", WALKS, ids=lambda paths: paths[0])
async def test_no_press_of_the_owner_fails(
    site: Site, paths: tuple[str, ...], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await site.sign_in()
    led_to: set[str] = set()
    monkeypatch.setattr(ui.navigate, "to", lambda target, **_options: led_to.add(str(target)))  # stays on the page
    count = 0
    for number, path in enumerate(paths):
        # a flow of its own for each page, as one of the presses deletes it
        client = await user.open(path.format(**arrange(site, f"Shop {number}")))
        with caplog.at_level(logging.WARNING):
            count += await press_everything(client)
        failed = [record for record in caplog.records if record.exc_info and record.levelno >= logging.ERROR]
        assert not failed, f"{path}: {logging.Formatter().formatException(failed[0].exc_info)}"  # type: ignore[arg-type]
    assert count > 20 * len(paths)
    for target in sorted({one.partition("?")[0] for one in led_to if one.startswith("/")})[:20]:
        assert (await user.http_client.get(target)).status_code < 400, target


@pytest.mark.parametrize(
    ("error", "told"), [(NotFound("It is gone"), "It is gone"), (ValueError("a fault"), "That did not work.")]
)
async def test_what_a_press_did_not_do_is_told(site: Site, error: Exception, told: str) -> None:
    user = await site.sign_in()
    client = await user.open("/flows")

    async def fail() -> None:
        raise error

    with client.content:
        ui.button("Fail", on_click=fail)
    press(user, "Fail")
    await user.should_see(told, retries=100)
