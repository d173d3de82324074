// The search in the flow: what is found, and which one is shown now.
import { computed, ref, shallowRef } from "vue";
import { search } from "./search_hits.js";

export function finding({ editor, types, show, leave }) {
  const open = ref(false), text = ref(""), hits = shallowRef([]), at = ref(-1);
  const ids = computed(() => new Set(hits.value.map(({ id, note }) => (note ? `note:${id}` : id))));
  const now = computed(() => hits.value[at.value] ?? null);
  const words = computed(() => (!text.value.trim() ? "" : !hits.value.length ? "Nothing found" : at.value < 0 ? `${hits.value.length} found` : `${at.value + 1} of ${hits.value.length}`));

  function look(value) {
    text.value = value;
    hits.value = search(editor.document, types(), editor.marks, value);
    at.value = -1;
  }
  function go(by) {
    if (!hits.value.length) return;
    const shown = now.value;
    hits.value = search(editor.document, types(), editor.marks, text.value); // the flow may be another by now
    const from = shown ? hits.value.findIndex(({ id }) => id === shown.id) : by > 0 ? -1 : 0;
    at.value = hits.value.length ? (from + by + hits.value.length) % hits.value.length : -1;
    if (now.value) show(now.value);
  }
  function close() {
    open.value = false;
    const shown = now.value;
    look("");
    leave(shown);
  }
  return { open, text, hits, ids, now, words, where: computed(() => now.value?.where ?? ""), look, go, close };
}
