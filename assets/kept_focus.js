/* The keyboard stays where it was when what had it is drawn anew or goes away: on the part of the same name, else on the button beside
   it. Without this a person who presses Remove, or whose field is drawn again by another tab, begins at the top of the page. */
(() => {
  const BUTTONS = "button:not([disabled]), a[href], [role=button]:not([aria-disabled=true]), [role=tab], summary";
  const FIELDS = "input, textarea, select, [contenteditable=true], [role=switch], [role=checkbox], [role=combobox]";
  const POPUP = ".q-menu, .q-dialog__inner";
  const BOX = "aside, section, form, [role=dialog], main";
  const REDRAW_MS = 250; // an edit goes to the server and comes back as new parts
  const kept = { page: null, popup: null }; // a menu or dialog gives the keyboard back to the page
  let timer;

  const seen = (element) => element.isConnected && element.checkVisibility({ visibilityProperty: true });
  const isLost = () => document.activeElement === null || document.activeElement === document.body;
  function nameOf(element) {
    const by = element.getAttribute("aria-labelledby")?.split(" ").map((id) => document.getElementById(id)?.textContent).join(" ");
    const label = element.labels?.[0];
    return (element.ariaLabel || by || label?.querySelector("[aria-label]")?.ariaLabel || (label ?? element).textContent || "").trim().slice(0, 100);
  }

  function keep(element) {
    const around = [], kind = [BUTTONS, FIELDS].find((one) => element.matches(one)) ?? "[tabindex]", field = kind !== BUTTONS;
    for (let one = element.parentElement; one; one = one.parentElement) around.push(one);
    const all = allOf(kind, around), at = all.indexOf(element);
    return { element, around, kind, field, name: nameOf(element), at, count: all.length, before: all.slice(Math.max(0, at - 20), at).reverse() };
  }
  const boxOf = (around) => around.find((one) => one.matches(BOX)) ?? document.body;
  const allOf = (kind, around) => [...boxOf(around).querySelectorAll(kind)].filter(seen);

  function sameName({ around, kind, name }) {
    const near = around.find(seen);
    return name && near ? [...near.querySelectorAll(kind)].find((one) => seen(one) && nameOf(one) === name) : undefined;
  }
  /** Another name in the same place; else, of a button, what has its place now. */
  function samePlace({ around, kind, field, at, count, before }) {
    const all = allOf(kind, around);
    if (all.length === count || field) return all.length === count ? all[at] : undefined;
    const last = before.find(seen);
    return all.find((one) => last && last.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING) ?? all.at(-1) ?? last;
  }

  function look(waited = false) {
    if (!isLost()) return;
    const inPopup = kept.popup?.around.some((one) => one.matches(POPUP) && seen(one)), mine = inPopup ? kept.popup : kept.page;
    if (!mine || (!inPopup && document.querySelector(POPUP))) return;
    const left = kept.popup && !inPopup; // a dialog that was taken away at once gave nothing back
    if (seen(mine.element)) return left && waited ? mine.element.focus({ preventScroll: true }) : left && soon();
    const found = sameName(mine) ?? (waited ? samePlace(mine) : undefined);
    if (found) found.focus({ preventScroll: true });
    else if (!waited) soon();
  }
  const soon = () => void (timer ??= setTimeout(() => ((timer = undefined), look(true)), REDRAW_MS));

  addEventListener("focusin", ({ target }) => {
    if (!target.closest?.("main")) kept.popup = target.closest?.(POPUP) ? keep(target) : kept.popup;
    else [kept.page, kept.popup] = [target.matches("main") ? null : keep(target), null];
  });
  // A press on nothing means nothing: the keyboard is not wanted back.
  addEventListener("pointerdown", ({ target }) => setTimeout(() => isLost() && seen(target) && (kept.page = kept.popup = null)), true);
  addEventListener("DOMContentLoaded", () => new MutationObserver(() => isLost() && look()).observe(document.body, { childList: true, subtree: true }));
})();
