/* A menu whose button is drawn anew in the moment it opens goes away with it. The new button of the same name opens it again, if there
   is just one of that name; once the server knows of an open menu, it draws nothing anew (ui/page_shell.py). */
(() => {
  const BUTTON = "[aria-haspopup=menu]";
  const MOMENT_MS = 1500; // how long the server may take to know
  let pressed = null;

  const forget = () => (pressed = null);
  const named = (name) => [...document.querySelectorAll(BUTTON)].filter((one) => one.ariaLabel === name && one.checkVisibility());
  function look() {
    if (!pressed || pressed.button.isConnected) return;
    const { name, until } = pressed;
    forget();
    if (performance.now() > until) return;
    setTimeout(() => {
      const [only, another] = named(name);
      if (!another) only?.click();
    });
  }

  addEventListener("click", ({ target }) => {
    const button = target.closest?.(BUTTON);
    pressed = button?.ariaLabel ? { button, name: button.ariaLabel, until: performance.now() + MOMENT_MS } : null;
  }, true);
  addEventListener("keydown", ({ key }) => key === "Escape" && forget(), true);
  addEventListener("DOMContentLoaded", () => new MutationObserver(look).observe(document.body, { childList: true, subtree: true }));
})();
