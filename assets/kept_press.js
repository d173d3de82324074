/* A browser makes a click only where a press begins and ends on one element. When the server draws a button or link anew in between,
   or a part above it grows and moves it away under the resting pointer, the press is lost: then the click is made here. */
(() => {
  const PRESSED = "a[href], button, summary, [role=button], [role=tab]";
  const RESTING_PX = 4; // farther is a drag
  const LONGEST_TOUCH_MS = 400; // a finger that rests longer opens a menu
  let press = null;

  const nameOf = (one) => one.ariaLabel ?? one.textContent.trim();
  const alike = ({ tag, name, href }) =>
    [...document.querySelectorAll(tag)].filter((one) => nameOf(one) === name && one.getAttribute("href") === href && one.checkVisibility());

  /** The pressed element, or the one that was drawn in its stead: of as many with its name as before, the one at its place. */
  function successor(was) {
    if (was.on.isConnected) return was.on;
    const now = alike(was);
    return now.length === was.count ? now[was.place] : null;
  }

  addEventListener("pointerdown", (event) => {
    const on = event.isPrimary && event.button === 0 && event.target.closest?.(PRESSED);
    if (!on) return (press = null);
    press = { on, tag: on.localName, name: nameOf(on), href: on.getAttribute("href"), x: event.clientX, y: event.clientY, at: event.timeStamp };
    const before = alike(press);
    Object.assign(press, { count: before.length, place: before.indexOf(on) });
  }, true);
  addEventListener("pointerup", (event) => {
    const was = press;
    press = null;
    if (!was || Math.hypot(event.clientX - was.x, event.clientY - was.y) > RESTING_PX) return;
    if (event.pointerType !== "mouse" && event.timeStamp - was.at > LONGEST_TOUCH_MS) return;
    if (was.on.isConnected && was.on.contains(event.target)) return; // the browser makes the click
    const { ctrlKey, metaKey, shiftKey, altKey } = event;
    setTimeout(() => successor(was)?.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, view: window, ctrlKey, metaKey, shiftKey, altKey })));
  }, true);
  addEventListener("pointercancel", () => (press = null), true);
})();
