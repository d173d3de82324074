// Keys of the canvas. `does` holds the verbs; what a key cannot do here is left to the page.

const typing = (element) => element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName);
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function onKey(event, does) {
  const { target, key, shiftKey } = event;
  if (typing(target) || event.altKey || event.isComposing) return;
  const verb = event.ctrlKey || event.metaKey ? withControl(key.toLowerCase(), shiftKey, does) : alone(event, does);
  if (!verb || verb() === false) return;
  event.preventDefault();
  event.stopPropagation();
}

function withControl(key, shift, does) {
  // Copy, cut and paste go on to the browser, whose clipboard events need no permission.
  if (["c", "x", "v"].includes(key)) return () => (does.clipboard({ c: "copy", x: "cut", v: "paste" }[key]), false);
  return {
    z: shift ? does.redo : does.undo, y: does.redo, d: does.duplicate, a: does.selectAll,
    s: does.save, k: does.search, enter: does.run,
  }[key];
}

function alone({ target, key, shiftKey }, does) {
  const node = target.closest?.("[data-node]")?.dataset.node ?? null;
  if (target.closest?.("button, [role=menu]") && !["Escape", "Delete"].includes(key)) return null;
  if (ARROWS[key]) return () => does.nudge(...ARROWS[key], shiftKey ? 5 : 1, node);
  if (key === "Tab") return node && (() => does.step(node, shiftKey ? -1 : 1));
  if (key === "Enter") return () => does.open(node);
  if (key === " ") return node && (() => does.toggle(node));
  return {
    Delete: does.remove, Backspace: does.remove, Escape: does.escape, f: () => does.fit(), l: () => does.layout("wrap"), "+": () => does.zoomIn(), "=": () => does.zoomIn(),
    "-": () => does.zoomOut(), c: node && (() => does.connectFrom(node)), n: node && (() => does.addAfter(node)),
  }[key.length === 1 ? key.toLowerCase() : key];
}
