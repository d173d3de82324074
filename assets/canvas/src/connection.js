// Whether the server can be reached. Edits go on without it: the journal keeps them, the socket sends them later.
import { ref } from "vue";

export function connection() {
  const offline = ref(false);
  let socket = null; // NiceGUI's; it comes after the page was built
  const lost = () => (offline.value = true), back = () => (offline.value = false);
  return {
    offline,
    listen() {
      if (socket) return;
      socket = window.socket;
      socket?.on("disconnect", lost);
      socket?.on("connect", back);
      window.addEventListener("offline", lost);
      window.addEventListener("online", check);
    },
    ignore() {
      socket?.off("disconnect", lost);
      socket?.off("connect", back);
      window.removeEventListener("offline", lost);
      window.removeEventListener("online", check);
    },
  };
  function check() {
    if (socket?.connected) back();
  }
}
