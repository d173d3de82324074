// What is selected: told to the page once it has settled, however many elements changed.
import { shallowRef } from "vue";
import { isNote, noteId } from "./editor.js";

export function selecting(flow, emit) {
  const settled = shallowRef({ nodes: [], edges: [], notes: [] });
  let timer, asked = 0, told = 0;

  /** Ids of what is selected right now; `settled` follows a moment later. */
  function now() {
    const elements = flow.getSelectedNodes.value;
    return { nodes: elements.filter((n) => !isNote(n)).map((n) => n.id), edges: flow.getSelectedEdges.value.map((e) => e.id), notes: elements.filter(isNote).map((n) => noteId(n.id)) };
  }
  function changed(changes) { // Vue Flow tells every element of its own
    if (changes.some(({ type }) => type === "select" || type === "remove")) soon();
  }
  function soon() {
    clearTimeout(timer);
    timer = setTimeout(tell, 20);
  }
  function tell() {
    const selection = now(), same = JSON.stringify(selection) === JSON.stringify(settled.value);
    if (same && asked === told) return;
    if (!same) settled.value = selection;
    told = asked;
    emit("select", { ...selection, asked });
  }
  /** The page's demand of this number is met from now on. What was told before it no longer counts there: it is told anew. */
  function meet(number) {
    if (!number) return;
    asked = number;
    soon();
  }
  flow.onNodesChange(changed);
  flow.onEdgesChange(changed);
  return { now, settled, meet };
}
