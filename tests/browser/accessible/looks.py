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
#: Marks the texts whose contrast axe measures: of texts that look alike, the first, the one in the middle and the last,
#: because measuring all of them takes most of axe's time on a long page. Texts look alike when their colour, their font,
#: all that is drawn under them, and what axe excludes from the rule are the same. Texts that look like those in `known`
#: are not measured. Returns the looks that are measured, as short hashes.
MARK_TEXTS = """(within, known) => {
    const hashed = text => {
        let a = 0xdeadbeef, b = 0x41c6ce57;
        for (let place = 0; place < text.length; place++) {
            const letter = text.charCodeAt(place);
            a = Math.imul(a ^ letter, 2654435761);
            b = Math.imul(b ^ letter, 1597334677);
        }
        return (a >>> 0).toString(36) + (b >>> 0).toString(36);
    };
    const drawn = new Map(), alike = new Map();
    const off = one => one.matches(':disabled, [aria-disabled=true]') || one.closest('[aria-disabled=true], [inert]');
    const labels = new Set([...document.querySelectorAll('[aria-labelledby]')].filter(off)
        .flatMap(one => one.getAttribute('aria-labelledby').split(/\\s+/)));
    function ground(one) {
        if (!drawn.has(one)) {
            const style = getComputedStyle(one);
            drawn.set(one, [style.backgroundColor, style.backgroundImage, style.backgroundClip, style.opacity,
                style.filter, style.mixBlendMode, style.position, style.zIndex, style.visibility, style.clipPath,
                style.overflow, labels.has(one.id) || Boolean(off(one)), one.tagName === 'LABEL' && off(one.control || one)].join());
        }
        return drawn.get(one);
    }
    const looked = within ? `:is(${within}), :is(${within}) *` : 'body, body *';
    for (const one of document.querySelectorAll(looked)) {
        one.removeAttribute('data-contrast');
        const typed = 'value' in one && one.matches('input, textarea, select');
        if (!typed && ![...one.childNodes].some(part => part.nodeType === 3 && part.data.trim())) continue;
        const style = getComputedStyle(one), box = one.getBoundingClientRect(), under = [];
        for (let outer = one; outer; outer = outer.parentElement) under.push(ground(outer));
        const x = box.left + box.width / 2, y = box.top + box.height / 2;
        for (const other of document.elementsFromPoint(x, y)) under.push(ground(other));
        const key = [typed && one.type, style.color, style.fontSize, style.fontWeight, style.textShadow,
            style.webkitTextStroke, box.width < 2 || box.height < 2, ...under].join('|');
        alike.set(key, [...(alike.get(key) || []), one]);
    }
    const measured = [], before = new Set(known);
    for (const [look, texts] of alike) {
        const hash = hashed(look);
        if (before.has(hash)) continue;
        measured.push(hash);
        for (const one of [texts[0], texts[texts.length >> 1], texts.at(-1)]) one.setAttribute('data-contrast', '');
    }
    return measured;
}"""
#: Runs the rules `rules` (all of them when missing) on what matches `within` (when missing or not there: on the page).
#: Returns what axe found, and the looks of the texts that were measured.
RUN_AXE = f"""async asked => {{
    const {{rules, within, known}} = asked;
    const part = within && document.querySelector(within) ? within : null;
    const measured = ({MARK_TEXTS})(part, known);
    axe.configure({{rules: [{{id: 'color-contrast', selector: '[data-contrast]'}}]}});
    const found = await axe.run(part ? {{include: [[part]]}} : document, {{resultTypes: ['violations'], preload: false, ...(rules && {{runOnly: rules}})}});
    return [found.violations.flatMap(rule => rule.nodes.map(node =>
        `${{rule.id}}: ${{node.target.join(' ')}} | ${{node.html.slice(0, 160)}} | ${{(node.failureSummary || '').slice(0, 300)}}`)), measured];
}}"""
#: Looks of texts (see `MARK_TEXTS`) that had enough contrast on a page that was checked before.
_READABLE: set[str] = set()
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

#: The pointer of a new page is at 0, 0, where the button Search stands until the styles are there: its tooltip opens and
#: closes again. A tooltip is no part of a page.
NO_TOOLTIP = "() => !document.querySelector('[id^=q-portal--tooltip]')"


def findings(page: Page, layer: str | None = None) -> list[str]:
    """What axe finds in both colour schemes and both sizes, and undrawn icons, without opening the page again.

    The second colour scheme is checked with the rules about colours only. Contrast depends on how a text looks, not on
    its page: texts that look like some on a page before are not measured again. `layer` matches what lies over a page that
    other tests check in every look: the first look checks both, the others check the layer.
    """
    if not page.evaluate("'axe' in window"):  # a page that was checked before has the script already
        page.add_style_tag(content=STILL)
        page.evaluate(AXE_SCRIPT)
    page.wait_for_function(NO_TOOLTIP)
    found: list[str] = page.evaluate(UNDRAWN_ICONS)
    for number, (size, scheme, rules) in enumerate(LOOKS):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        page.evaluate(DRAWN)
        wrong = run_axe(page, rules, layer if number else None)
        found += [f"{scheme} {size['width']}: {finding}" for finding in wrong]
    page.set_viewport_size(DESK)
    page.emulate_media(color_scheme="light")
    return found


def run_axe(page: Page, rules: list[str] | None = None, layer: str | None = None) -> list[str]:
    """What axe finds on the page as it is, or in its part that matches `layer`. `rules` is None for all of them.

    The page has axe's script already (`AXE_SCRIPT`).
    """
    wrong, measured = page.evaluate(RUN_AXE, {"rules": rules, "within": layer, "known": sorted(_READABLE)})
    if not any(one.startswith("color-contrast") for one in wrong):
        _READABLE.update(measured)
    return wrong


def check(found: list[str]) -> None:
    assert not found, "\n".join(found)


def open_page(page: Page, path: str) -> None:
    page.goto(path)
    page.get_by_role("heading", level=1).first.wait_for()
    if path.startswith("/monitoring"):
        page.wait_for_function(
            "() => document.querySelectorAll('.fp-tile').length || document.querySelector('.fp-empty')"
        )
