/* The few things a page does without asking the server. Constant: no text of a person or a flow ever becomes code here. */
(() => {
  // The browser's time zone, so that the server can write times as the reader's clock shows them.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) document.cookie = `fp_zone=${encodeURIComponent(zone)};path=/;max-age=31536000;samesite=lax`;

  // How the reader's language writes figures: the sign between thousands and the decimal sign.
  const parts = new Intl.NumberFormat(navigator.language).formatToParts(1234567.5);
  const signs = ["group", "decimal"].map((type) => parts.find((part) => part.type === type)?.value ?? "").join("");
  document.cookie = `fp_signs=${encodeURIComponent(signs)};path=/;max-age=31536000;samesite=lax`;

  // Ctrl+K (or Cmd+K) presses the search button that can be seen.
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || event.key.toLowerCase() !== "k") return;
    const seen = [...document.querySelectorAll("[data-fp-search]")].find((one) => one.offsetParent !== null);
    if (!seen) return;
    event.preventDefault();
    seen.click();
  });

  // Run and Save of the Playground, also while nothing on the page has the keyboard.
  document.addEventListener("keydown", (event) => {
    const { key, ctrlKey, metaKey, target } = event, playground = document.querySelector(".fp-pg");
    if (!(ctrlKey || metaKey) || !["enter", "s"].includes(key.toLowerCase()) || !playground || !target.matches("body, main")) return;
    event.preventDefault();
    playground.dispatchEvent(new KeyboardEvent("keydown", { key, ctrlKey, metaKey, cancelable: true }));
  });

  // "Select all" outside a field of the Playground would paint every word of the page. The canvas has its own, which comes first.
  document.addEventListener("keydown", (event) => {
    const { key, ctrlKey, metaKey, altKey, target } = event;
    if (!(ctrlKey || metaKey) || altKey || key.toLowerCase() !== "a" || event.defaultPrevented || !document.querySelector(".fp-pg")) return;
    if (!target.isContentEditable && !target.matches("input, textarea, select")) event.preventDefault();
  });

  // What stands above fields and comes and goes as they are filled must not move them while one of them has the keyboard: the
  // next press would meet another one. It keeps its height until the keyboard has left the fields.
  const steady = new Map(); // box -> the room that it took, with the gap below it, and how far the fields were scrolled
  const gap = (box) => parseFloat(getComputedStyle(box.parentElement).rowGap) || 0;
  const room = (box) => box.offsetHeight && box.offsetHeight + gap(box);
  // a button that goes when it is pressed takes the keyboard along: the pointer that is about to press again counts, too
  const inUse = (box) => box.parentElement?.contains(document.activeElement) || box.parentElement?.matches(":hover");
  const keep = (box, height) => {
    box.classList.toggle("fp-keeps", Boolean(height));
    box.style.minHeight = height;
  };
  const look = (box) => steady.set(box, { took: room(box), top: box.parentElement.scrollTop });
  const sizes = new ResizeObserver((changes) => changes.forEach(({ target: box }) => {
    if (!box.isConnected) return steady.delete(box), sizes.unobserve(box);
    const was = steady.get(box), scrolled = box.parentElement.scrollTop - was.top;
    const moved = room(box) - was.took - scrolled; // once the fields are scrolled, the browser scrolls on with what is above them
    if (inUse(box) && moved < 0) keep(box, `${was.took + scrolled - gap(box)}px`);
    else if (inUse(box)) box.parentElement.scrollTop += moved;
    look(box);
  }));
  let pressed = false;
  const letGo = () => setTimeout(() => pressed || steady.forEach((_was, box) => inUse(box) || keep(box, "")), 60); // not before the click of a press
  document.addEventListener("focusout", letGo);
  document.addEventListener("pointerdown", () => (pressed = true), true);
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => { pressed = false; letGo(); }, true);
  document.addEventListener("focusin", ({ target }) => {
    const box = target.closest?.(".fp-ibody")?.querySelector(".fp-steady");
    if (!box || steady.has(box)) return;
    look(box);
    sizes.observe(box);
    box.parentElement.addEventListener("scroll", () => steady.has(box) && look(box));
    box.parentElement.addEventListener("pointerleave", letGo);
  });

  // Who comes back from another tab sees what was changed there.
  const back = () => document.querySelectorAll("[data-fp-back]").forEach((one) => one.dispatchEvent(new Event("fpback")));
  addEventListener("focus", back);
  document.addEventListener("visibilitychange", () => document.hidden || back()); // the window may get no focus: the address bar has it

  // Quasar makes the box around the options of a list focusable; in a list of options nothing but options may be.
  const onlyOptions = (place) => place.querySelectorAll("[role=listbox] > .q-virtual-scroll__content[tabindex]").forEach((one) => one.removeAttribute("tabindex"));
  addEventListener("DOMContentLoaded", () => new MutationObserver((changes) => changes.flatMap((change) => [...change.addedNodes]).filter((one) => one.id?.startsWith("q-portal")).forEach((portal) => {
    onlyOptions(portal);
    new MutationObserver(() => onlyOptions(portal)).observe(portal, { childList: true, subtree: true });
  })).observe(document.body, { childList: true }));

  // Copying also works on http://192.168.x.y, where browsers offer no navigator.clipboard.
  const copyOldWay = (text) => {
    const area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    area.style.opacity = "0";
    (document.querySelector(".q-dialog__inner") || document.body).append(area);
    area.select();
    const worked = document.execCommand("copy");
    area.remove();
    if (!worked) throw new Error("copy refused");
  };
  window.fpCopy = async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const text = button.dataset.copy;
    let word = "Copied";
    try {
      if (navigator.clipboard) await navigator.clipboard.writeText(text);
      else copyOldWay(text);
    } catch {
      try { copyOldWay(text); } catch { word = "Not copied"; }
    }
    const label = button.querySelector(".q-btn__content > .block");
    const said = document.getElementById("fp-said");
    if (said) said.textContent = word;
    if (word === "Copied") button.dispatchEvent(new Event("fpcopied"));
    if (label) {
      const before = button.dataset.label ?? label.textContent;
      button.dataset.label = before;
      button.style.minWidth = `${button.offsetWidth}px`; // a narrower button would let the text beside it wrap anew
      label.textContent = word;
      setTimeout(() => { label.textContent = before; if (said) said.textContent = ""; }, 4000);
    }
  };

  // Scrolls to an element that was drawn just now, as soon as it is there. A panel whose boxes find their height in the
  // same frame drops the scroll, so it begins in the next one.
  window.fpIntoView = (id, block, looks = 30) => requestAnimationFrame(() => {
    const element = document.getElementById(id);
    if (!element && looks) return window.fpIntoView(id, block, looks - 1);
    const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
    requestAnimationFrame(() => element?.scrollIntoView({ block, behavior }));
  });

  // Opens and closes a branch of a value's tree.
  window.fpFold = (event) => {
    const twist = event.target.closest("[aria-expanded]");
    const opened = twist.getAttribute("aria-expanded") === "true";
    twist.setAttribute("aria-expanded", String(!opened));
    twist.parentElement.nextElementSibling.hidden = opened;
  };

  // A page whose connection is refused, because the address it was opened at is not this server's, says so.
  let told = false;
  const askWhy = async () => {
    if (told) return;
    const answer = await fetch("/address-check", { method: "POST" }).catch(() => null);
    if (answer?.status !== 403 || told) return;
    told = true;
    location.replace(`/address-refused?from=${encodeURIComponent(location.origin)}`);
  };
  addEventListener("load", () => {
    const listen = (left) => {
      if (window.socket) for (const event of ["connect_error", "disconnect"]) window.socket.on(event, askWhy);
      else if (left) setTimeout(() => listen(left - 1), 100);
    };
    listen(50);
    setTimeout(() => window.did_handshake || askWhy(), 4000);
  });

  // The theme is a choice of this browser: a cookie, read by the server at the next page.
  window.fpTheme = (choice) => {
    document.cookie = choice === "system" ? "fp_theme=;path=/;max-age=0;samesite=lax" : `fp_theme=${choice};path=/;max-age=31536000;samesite=lax`;
  };
})();
