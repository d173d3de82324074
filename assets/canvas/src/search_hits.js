// What a search in the flow finds: labels, kinds, one-line summaries, settings and notes. Nothing here knows Vue.

const AROUND = 24;

/** [{ id, note, where }] in the order of the flow; `where` says in words what matched. Empty text finds nothing. */
export function search(document, types, marks, text) {
  const wanted = text.trim().toLocaleLowerCase();
  if (!wanted) return [];
  const has = (value) => String(value ?? "").toLocaleLowerCase().includes(wanted);
  const found = [];
  for (const id of document.order()) {
    const node = document.nodes.get(id), title = types[node.type]?.title ?? node.type;
    const name = node.label || title, add = (where) => found.push({ id, note: false, where: `${name}: ${where}` });
    if (has(name) || has(title)) add(title);
    else if (has(marks[id]?.summary)) add(marks[id].summary);
    else {
      const setting = texts(node.config).concat(texts(node.inputs)).find(has);
      if (setting !== undefined) add(excerpt(String(setting), wanted));
    }
  }
  for (const note of document.notes.values()) if (has(note.text)) found.push({ id: note.id, note: true, where: `Note: ${excerpt(note.text, wanted)}` });
  return found;
}

function texts(value) {
  if (value === null || value === undefined || typeof value === "boolean") return [];
  if (typeof value !== "object") return [value];
  return Object.values(value).flatMap(texts);
}

function excerpt(text, wanted) {
  const at = text.toLocaleLowerCase().indexOf(wanted), from = Math.max(0, at - AROUND), to = at + wanted.length + AROUND;
  return `${from ? "…" : ""}${text.slice(from, to).replace(/\s+/g, " ")}${to < text.length ? "…" : ""}`;
}
