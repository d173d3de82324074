// What can be done at a place of the canvas: the sections of its menu. `does` holds the verbs, as for the keyboard.
import { ALIGNMENTS, SPREADING } from "./aligning.js";

const KEY = /Mac/.test(globalThis.navigator?.platform ?? "") ? "⌘" : "Ctrl+";
const item = (id, words, icon, run, keys = "") => ({ id: `do-${id}`, words, icon, run, keys });
const filled = (sections) => sections.map((section) => (Array.isArray(section) ? section.filter(Boolean) : section)).filter((section) => section?.length || section?.rows);

/** `about` is { nodes, notes, edge, ports } of what the menu is for: ids, and the outputs of a single node. */
export function actionsFor(about, does, { readonly = false } = {}) {
  const { nodes = [], notes = [], edge = null, ports = [] } = about, [only] = nodes.length === 1 && !notes.length ? nodes : [];
  if (edge)
    return filled([
      !readonly && [item("insert", "Add a node here", "add", () => does.addAt({ edge }), "N")],
      [item("mapping", "Show what it carries", "swap_horiz", () => does.openEdge(edge))],
      !readonly && [item("delete", "Delete", "delete", () => does.remove(), "Del")],
    ]);
  if (!nodes.length && !notes.length)
    return filled([
      !readonly && [item("add", "Add a node", "add", () => does.addAt({}), "N"), item("note", "Add a note", "sticky_note_2", () => does.addNote(), "Shift+N"), item("paste", "Paste", "content_paste", () => does.paste(), `${KEY}V`)],
      [item("all", "Select everything", "select_all", () => does.selectAll(), `${KEY}A`), item("find", "Find in this flow", "search", () => does.find(), `${KEY}F`)],
      !readonly && [item("wrap", "Auto layout, wrap to the view", "wrap_text", () => does.layout("wrap"), "L"), item("row", "Auto layout, one long row", "arrow_right_alt", () => does.layout("row"))],
      [item("fit", "Fit", "fit_screen", () => does.fit(), "F"), item("hundred", "Zoom to 100 %", "filter_center_focus", () => does.zoomReset(), "0"), item("grid", "Grid", "grid_on", () => does.grid(), "G"), item("keys", "Keys", "keyboard", () => does.shortcuts(), "?")],
    ]);
  return filled([
    [
      only && item("open", "Open", "open_in_full", () => does.open(only), "Enter"),
      only && !readonly && item("run-node", "Run this node", "play_arrow", () => does.runNode("node", only)),
      only && !readonly && item("run-from", "Run from here", "resume", () => does.runNode("from", only)),
      !nodes.length && notes.length === 1 && !readonly && item("write", "Write", "edit", () => does.write(notes[0]), "Enter"),
    ],
    only && !readonly && ports.length && [item("after", "Add a node after this", "add", () => does.addAfter(only), "N"), item("connect", "Connect with ...", "conversion_path", () => does.connectFrom(only), "C")],
    !readonly && [item("cut", "Cut", "content_cut", () => does.cut(), `${KEY}X`)].concat(
      item("copy", "Copy", "content_copy", () => does.copy(), `${KEY}C`), item("duplicate", "Duplicate", "stack", () => does.duplicate(), `${KEY}D`), item("delete", "Delete", "delete", () => does.remove(), "Del")),
    readonly && [item("copy", "Copy", "content_copy", () => does.copy(), `${KEY}C`)],
    !readonly && arranging(nodes.length + notes.length, does),
    [item("zoom", "Zoom to this", "center_focus_strong", () => does.zoomTo(), "Z")],
  ]);
}

/** Rows of buttons that line up a selection of this many; null for one alone. */
export function arranging(count, does) {
  if (count < 2) return null;
  const row = (words, list) => ({ words, items: list.map(({ how, words: said, icon }) => ({ id: `align-${how}`, words: said, icon, run: () => does.align(how) })) });
  return { rows: [row("Align", ALIGNMENTS), ...(count > 2 ? [row("Distribute", SPREADING)] : [])], items: [] };
}
