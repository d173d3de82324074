// Keys of the canvas (shortcuts.js says them to people). `does` holds the verbs; what a key cannot do here is left to the page.

const typing = (element) => element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName);
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function onKey(event, does) {
  const { target, key, shiftKey } = event;
  if (typing(target) || event.altKey || event.isComposing) return;
  // What has the keyboard: a node's id, or the element id of a note.
  const here = target.closest?.("[data-node]")?.dataset.node ?? target.closest?.("[data-note]")?.dataset.note ?? null;
  const verb = event.ctrlKey || event.metaKey ? withControl(key.length === 1 ? key.toLowerCase() : key, shiftKey, does, here) : alone(event, does, here);
  if (!verb || verb() === false) return;
  event.preventDefault();
  event.stopPropagation();
}

function withControl(key, shift, does, here) {
  if (ARROWS[key]) return () => does.resize(...ARROWS[key], here);
  // Copy, cut and paste go on to the browser, whose clipboard events need no permission.
  if (["c", "x", "v"].includes(key)) return () => (does.clipboard({ c: "copy", x: "cut", v: "paste" }[key], here), false);
  return { z: shift ? does.redo : does.undo, y: does.redo, d: () => does.duplicate(here), a: does.selectAll, s: does.save, k: does.search, f: does.find, Enter: does.run }[key];
}

function alone({ target, key, shiftKey }, does, here) {
  if (key === "ContextMenu" || (key === "F10" && shiftKey)) return () => does.menuByKey(here);
  if (target.closest?.("button, [role=menu], [role=toolbar]") && !["Escape", "Delete"].includes(key)) return null;
  if (ARROWS[key]) return () => does.nudge(...ARROWS[key], shiftKey ? 5 : 1, here);
  if (key === "Tab") return here && (() => does.step(here, shiftKey ? -1 : 1));
  if (key === "Enter") return () => does.open(here);
  if (key === " ") return here && (() => does.toggle(here));
  const by = shiftKey ? -1 : 1;
  return {
    Delete: () => does.remove(here), Backspace: () => does.remove(here), Escape: does.escape, f: () => does.fit(), l: () => does.layout("wrap"), g: () => does.grid(),
    "+": () => does.zoomIn(), "=": () => does.zoomIn(), "-": () => does.zoomOut(), 0: () => does.zoomReset(), z: () => does.zoomTo(here), "?": () => does.shortcuts(),
    c: here && (() => does.connectFrom(here)), e: () => does.nextEdge(here, by), n: () => (shiftKey ? does.addNote() : does.addHere(here)),
  }[key.length === 1 ? key.toLowerCase() : key];
}
