// What is selected: told to the page once it has settled, however many elements changed.
import { shallowRef } from "vue";
import { isNote, noteId } from "./editor.js";

export function selecting(flow, emit) {
  const settled = shallowRef({ nodes: [], edges: [], notes: [] });
  let timer;

  /** Ids of what is selected right now; `settled` follows a moment later. */
  function now() {
    const elements = flow.getSelectedNodes.value;
    return { nodes: elements.filter((n) => !isNote(n)).map((n) => n.id), edges: flow.getSelectedEdges.value.map((e) => e.id), notes: elements.filter(isNote).map((n) => noteId(n.id)) };
  }
  function changed(changes) { // Vue Flow tells every element of its own
    if (!changes.some(({ type }) => type === "select" || type === "remove")) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      const selection = now();
      if (JSON.stringify(selection) === JSON.stringify(settled.value)) return;
      settled.value = selection;
      emit("select", selection);
    }, 20);
  }
  flow.onNodesChange(changed);
  flow.onEdgesChange(changed);
  return { now, settled };
}
