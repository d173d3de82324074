// Whether the server can be reached. Edits of what is on the canvas go on without it: the journal keeps them, and they are sent when
// it is back. What asks the server for each change cannot: after a longer break, or a restart, it has forgotten the page.
import { ref } from "vue";

const SHORT_MS = 3_000; // NiceGUI sends what it could not in so short a break: who is typing goes on
const ASKING = ".fp-insp, .fp-pal:not(.fp-pal--flows)"; // the inspector, the palette

/** `onBack` is called when a connection was made again. */
export function connection(onBack, short = SHORT_MS) {
  const offline = ref(false);
  let socket = null; // NiceGUI's; it comes after the page was built
  let timer = null, typing = null;
  const panels = (inert) => document.querySelectorAll(ASKING).forEach((panel) => (panel.inert = inert));
  function lost() {
    offline.value = true;
    timer ??= setTimeout(() => {
      typing = document.activeElement?.closest(ASKING) ? document.activeElement : null;
      panels(true);
    }, short);
  }
  function back() {
    offline.value = false;
    clearTimeout(timer);
    timer = null;
    panels(false);
    if (typing?.isConnected && document.activeElement === document.body) typing.focus({ preventScroll: true });
    typing = null;
  }
  const connected = () => (back(), onBack());
  return {
    offline,
    /** Until the handshake NiceGUI holds each event back in a timer of its own: one could overtake another. */
    async opened() {
      while (!window.did_handshake) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    listen() {
      if (socket) return;
      socket = window.socket;
      socket?.on("disconnect", lost);
      socket?.on("connect", connected);
      window.addEventListener("offline", lost);
      window.addEventListener("online", check);
    },
    ignore() {
      back();
      socket?.off("disconnect", lost);
      socket?.off("connect", connected);
      window.removeEventListener("offline", lost);
      window.removeEventListener("online", check);
    },
  };
  function check() {
    if (socket?.connected) back();
  }
}
