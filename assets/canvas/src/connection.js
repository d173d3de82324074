// Whether the server can be reached. Edits go on without it: the journal keeps them, and they are sent when it is back.
import { ref } from "vue";

/** `onBack` is called when a connection was made again. */
export function connection(onBack) {
  const offline = ref(false);
  let socket = null; // NiceGUI's; it comes after the page was built
  const lost = () => (offline.value = true), back = () => (offline.value = false);
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
