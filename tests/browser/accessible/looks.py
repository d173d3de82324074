"""Runs axe on a page in light and dark colours and in the window sizes of a desktop and a phone, and checks its icons.

axe-core comes with the package axe-playwright-python (axe-core is under the MPL 2.0; only these tests use it).
"""

from __future__ import annotations

from typing import Literal

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, ViewportSize

DESK: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
#: No transitions, and no z-index on the content of buttons: because of Quasar's z-index, axe takes the text for one
#: that lies above an open dialog.
STILL = """
*, *::before, *::after { transition: none !important; animation: none !important; }
.q-btn__content { z-index: auto !important; }
"""
OF_COLOURS = ["color-contrast", "link-in-text-block"]
#: Window size, colour scheme, and the axe rules to run (None: all of them).
LOOKS: list[tuple[ViewportSize, Literal["light", "dark"], list[str] | None]] = [
    (DESK, "light", None),
    (DESK, "dark", OF_COLOURS),
    (PHONE, "dark", None),
]
RUN_AXE = """async rules => {
    const found = await axe.run(document, {resultTypes: ['violations'], preload: false, ...(rules && {runOnly: rules})});
    return found.violations.flatMap(rule => rule.nodes.map(node =>
        `${rule.id}: ${node.target.join(' ')} | ${node.html.slice(0, 160)} | ${(node.failureSummary || '').slice(0, 300)}`));
}"""
#: Finds icons whose name is not in the icon font. Such a name is drawn as a word or not at all, while an icon is
#: as wide as its font size.
UNDRAWN_ICONS = """async () => {
    await document.fonts.ready;
    const wrong = [];
    for (const icon of document.querySelectorAll('.material-symbols-outlined, .material-icons')) {
        if (!icon.checkVisibility() || !icon.offsetWidth || !icon.textContent.trim()) continue;
        const text = document.createRange();
        text.selectNodeContents(icon);
        const zoom = icon.getBoundingClientRect().width / icon.offsetWidth;
        const width = text.getBoundingClientRect().width / zoom, size = parseFloat(getComputedStyle(icon).fontSize);
        if (Math.abs(width - size) > 1) wrong.push(`icon ${icon.textContent.trim()}: ${width} px wide, its font has ${size} px`);
    }
    return wrong;
}"""
#: Waits for two frames, after which a change of size or colours is drawn.
DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def findings(page: Page) -> list[str]:
    """What axe finds in both colour schemes and both sizes, and undrawn icons, without opening the page again.

    The second colour scheme is checked with the rules about colours only.
    """
    if not page.evaluate("'axe' in window"):  # a page that was checked before has the script already
        page.add_style_tag(content=STILL)
        page.evaluate(AXE_SCRIPT)
    found: list[str] = page.evaluate(UNDRAWN_ICONS)
    for size, scheme, rules in LOOKS:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        page.evaluate(DRAWN)
        found += [f"{scheme} {size['width']}: {finding}" for finding in page.evaluate(RUN_AXE, rules)]
    page.set_viewport_size(DESK)
    page.emulate_media(color_scheme="light")
    return found


def check(found: list[str]) -> None:
    assert not found, "\n".join(found)


def open_page(page: Page, path: str) -> None:
    page.goto(path)
    page.get_by_role("heading", level=1).first.wait_for()
    if path.startswith("/monitoring"):
        page.wait_for_function(
            "() => document.querySelectorAll('.fp-tile').length || document.querySelector('.fp-empty')"
        )
