// A text in which data from earlier steps stands as chips: "Summarise › facts" instead of {{ prompt.out.facts }}.
// CodeMirror holds the text; a chip is drawn over its reference and moves, copies and dies as one letter does.
// Text of a flow is only ever set through textContent, so nothing in it can become markup.
import * as CM from "nicegui-codemirror";

const REFERENCE = /\{\{([^\n]*?)\}\}/g;
const HEAD = /^\s*([a-z][a-z0-9_]{0,62})\s*\.\s*([a-z_]+)(.*)$/s;
const PART = /\.\s*([A-Za-z_][A-Za-z0-9_]*)|\[\s*(\d+)\s*\]|\[\s*"((?:[^"\\]|\\.)*)"\s*\]/g;
export const DRAGGED = "application/x-flowport-reference";
const SETTLE_MS = 350;
// How a list is written, in words (list_writing.py).
const WRITTEN = { 'join("\\n")': "each on its own line", 'join(", ")': "with commas" };
const OF_EACH = /^map\("((?:[^"\\]|\\.)*)"\)$/;
const CHOSEN = /^\{\{[^|]*(\|\s*map\("(?:[^"\\]|\\.)*"\)\s*)?(\|\s*join\("(?:\\n|, )"\)\s*)?\}\}$/;

// What the fields of a page share: the field that takes the next chip, and the data on offer.
const shared = (window.fpFields ??= { last: null, data: [] });

function readChip(inside, nodes) {
  const match = HEAD.exec(inside);
  if (!match) return null;
  const [, node, root, rest] = match;
  const [path, ...filters] = rest.split("|");
  const parts = [...path.matchAll(PART)].map((part) => part[1] ?? (part[2] !== undefined ? `item ${Number(part[2]) + 1}` : part[3]));
  if (node === "system") return { text: `This run › ${root === "timestamp" ? "date" : root.replaceAll("_", " ")}`, icon: "schedule", known: true };
  const known = Object.hasOwn(nodes, node);
  const names = root === "out" ? parts : [root, ...parts];
  const written = filters.map((one) => one.trim()), [, field] = WRITTEN[written[1]] ? (OF_EACH.exec(written[0]) ?? []) : [];
  if (field !== undefined) {
    names.push(field.replace(/\\(.)/g, "$1"));
    written.shift();
  }
  const text = [known ? nodes[node].label : node, ...names].join(" › ");
  return { text: text + written.map((one) => (WRITTEN[one] ? `, ${WRITTEN[one]}` : ` | ${one}`)).join(""), icon: known ? nodes[node].icon : "link_off", known };
}

/** Names that a template gives to values of its own, in {% for %} and {% set %}: they are no data of a node. */
function ownNames(text) {
  if (!text.includes("{%")) return new Set();
  const given = [...text.matchAll(/\{%[-+]?\s*(?:for\s+([\w\s,]+?)\s+in\b|set\s+(\w+))/g)];
  return new Set(["loop", ...given.flatMap(([, loops, set]) => (loops ?? set).split(",").map((one) => one.trim()))]);
}

/** A reference without its filters, as the data on offer has it. */
const plain = (raw) => raw.replace(/\s*\|.*(?=\}\}$)/s, " ");
/** The list that a reference writes in one of the ways to choose from; nothing for another value, or other filters. */
const listOf = (raw) => (CHOSEN.test(raw) ? shared.data.find((one) => one.fields && one.raw === plain(raw)) : undefined);

class Chip extends CM.WidgetType {
  constructor(raw, shown, broken, list) {
    super();
    Object.assign(this, { raw, shown, broken, list });
  }
  eq(other) {
    return other.raw === this.raw && other.list === this.list && other.broken === this.broken && other.shown.text === this.shown.text && other.shown.icon === this.shown.icon;
  }
  toDOM() {
    const chip = document.createElement("span");
    chip.className = this.broken ? "fp-chip fp-chip--bad" : "fp-chip";
    const icon = document.createElement("i");
    icon.className = "fp-chip-i";
    icon.ariaHidden = "true";
    icon.dataset.icon = this.broken ? "link_off" : this.shown.icon;
    chip.append(icon, this.shown.text);
    const value = shared.data.find((one) => one.raw === plain(this.raw))?.value;
    if (this.broken || this.list) chip.dataset.raw = this.raw;
    if (this.list) {
      chip.classList.add("fp-chip--list");
      chip.append(Object.assign(icon.cloneNode(), { className: "fp-chip-i fp-chip-more" }));
      chip.lastChild.dataset.icon = "expand_more";
    }
    const press = this.broken ? "This data cannot be found. Press to choose what to use instead." : "Press to choose how this list is written.";
    chip.title = this.broken || this.list ? press : value ? `Last run: ${value}` : this.raw;
    return chip;
  }
  ignoreEvent() {
    return false;
  }
}

/** The chips of what can be seen; a reference never spans lines. */
const chips = (field) => {
  const draw = (view) => {
    if (field.raw) return CM.Decoration.none;
    const made = [];
    for (const { from, to } of view.visibleRanges) {
      const start = view.state.doc.lineAt(from).from;
      for (const match of view.state.doc.sliceString(start, view.state.doc.lineAt(to).to).matchAll(REFERENCE)) {
        const shown = readChip(match[1], field.nodes);
        if (!shown || (!shown.known && ownNames(view.state.doc.toString()).has(match[1].trim().split(/[^\w]/)[0]))) continue;
        const broken = !shown.known || field.broken.includes(match[0]);
        const widget = new Chip(match[0], shown, broken, !broken && field.lists && !field.readonly && Boolean(listOf(match[0])));
        made.push(CM.Decoration.replace({ widget }).range(start + match.index, start + match.index + match[0].length));
      }
    }
    return CM.Decoration.set(made, true);
  };
  return CM.ViewPlugin.fromClass(
    class {
      constructor(view) {
        this.decorations = draw(view);
      }
      update(update) {
        const redrawn = update.transactions.some((one) => one.effects.some((effect) => effect.is(REDRAW)));
        if (update.docChanged || update.viewportChanged || redrawn) this.decorations = draw(update.view);
      }
    },
    {
      decorations: (plugin) => plugin.decorations,
      provide: (plugin) => CM.EditorView.atomicRanges.of((view) => view.plugin(plugin)?.decorations ?? CM.Decoration.none),
    },
  );
};
const REDRAW = CM.StateEffect.define();

/** After "{{", or at Ctrl+Space: the data of earlier steps by name. */
function complete(context) {
  const before = context.matchBefore(/\{\{[^{}\n]*/);
  if (!before && !context.explicit) return null;
  const opened = before ? before.from : context.pos;
  const from = before ? before.from + /^\{\{\s*/.exec(before.text)[0].length : context.pos;
  const options = shared.data.map((one) => ({
    label: one.label,
    detail: one.type,
    info: one.value ? `Last run: ${one.value}` : undefined,
    apply(view, _completion, _from, to) {
      const after = /^[^{}\n]*?\}\}/.exec(view.state.sliceDoc(to, to + 80));
      const end = before && after && /^\s*\}\}$/.test(after[0]) ? to + after[0].length : to;
      view.dispatch({ changes: { from: opened, to: end, insert: one.raw }, selection: { anchor: opened + one.raw.length }, userEvent: "input.complete" });
    },
  }));
  return options.length ? { from, options, validFor: /^[^{}\n]*$/ } : null;
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest >>> 0;
});

/** CRC-32 of a text in UTF-16, low byte first: the server changes only the text that was meant. */
export function checksum(text) {
  let rest = 0xffffffff;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    rest = (rest >>> 8) ^ CRC[(rest ^ unit) & 0xff];
    rest = (rest >>> 8) ^ CRC[(rest ^ (unit >>> 8)) & 0xff];
  }
  return (rest ^ 0xffffffff) >>> 0;
}

/** The one place where two texts differ, in UTF-16 units: what travels instead of the whole text. */
export function difference(old, now) {
  let from = 0;
  const shorter = Math.min(old.length, now.length);
  while (from < shorter && old[from] === now[from]) from += 1;
  let tail = 0;
  while (tail < shorter - from && old[old.length - 1 - tail] === now[now.length - 1 - tail]) tail += 1;
  return { from, to: old.length - tail, text: now.slice(from, now.length - tail) };
}

const oneLine = (text) => text.replace(/\s*\n\s*/g, " ");

export default {
  template: `<div class="fp-in fp-in--area fp-binding" :class="{ 'fp-binding--one': single, 'fp-binding--code': language, 'fp-is-bad': bad, 'fp-binding--locked': readonly }"></div>`,
  props: {
    value: { type: String, default: "" },
    nodes: { type: Object, default: () => ({}) },
    broken: { type: Array, default: () => [] },
    single: { type: Boolean, default: false },
    item: { type: Boolean, default: false },
    lists: { type: Boolean, default: false },
    raw: { type: Boolean, default: false },
    bad: { type: Boolean, default: false },
    readonly: { type: Boolean, default: false },
    label: { type: String, default: "" },
    describedby: { type: String, default: "" },
    placeholder: { type: String, default: "" },
    language: { type: String, default: "" },
  },
  emits: ["change", "active", "broken", "left", "lines", "list"],
  mounted() {
    this.sent = this.value;
    this.attributes = new CM.Compartment();
    this.syntax = new CM.Compartment();
    this.view = new CM.EditorView({ doc: this.value, parent: this.$el, extensions: this.extensions() });
    // The caret stands at the end, so that a chip goes behind what is there. The document counts a line end of two
    // characters once, so its end is not the length of the value.
    this.view.dispatch({ selection: { anchor: this.view.state.doc.length } });
    if (this.language) {
      const known = CM.languages.find((one) => one.name.toLowerCase() === this.language);
      known?.load().then((loaded) => this.view?.dispatch({ effects: this.syntax.reconfigure(loaded) }));
    }
    this.onLeave = () => this.flush();
    window.addEventListener("pagehide", this.onLeave);
    this.onData = () => this.redraw();
    if (this.lists) window.addEventListener("fp-data", this.onData);
  },
  beforeUnmount() {
    this.flush();
    window.removeEventListener("pagehide", this.onLeave);
    window.removeEventListener("fp-data", this.onData);
    if (shared.last === this) shared.last = null;
    this.view.destroy();
    this.view = null;
  },
  watch: {
    nodes: { deep: true, handler() { this.redraw(); } },
    broken: { deep: true, handler() { this.redraw(); } },
    raw() { this.redraw(); },
    bad() { this.name(); },
    label() { this.name(); },
    describedby() { this.name(); },
  },
  methods: {
    extensions() {
      const { EditorView, EditorState } = CM;
      const brackets = this.language ? [] : [EditorState.languageData.of(() => [{ closeBrackets: { brackets: [] } }])];
      return [
        CM.Prec.highest(EditorView.domEventHandlers({
          keydown: (event) => this.keys(event),
          focus: () => { shared.last = this; this.fresh = false; this.$emit("active"); },
          blur: () => { this.flush(); this.$emit("left"); },
          click: (event) => { this.broke(event.target.closest?.(".fp-chip--bad")); this.ask(event.target.closest?.(".fp-chip--list")); },
          dragover: (event) => { if (!this.readonly && event.dataTransfer.types.includes(DRAGGED)) { event.preventDefault(); event.dataTransfer.dropEffect = "copy"; } },
          drop: (event) => this.drop(event),
        })),
        brackets,
        EditorState.languageData.of(() => [{ autocomplete: complete }]),
        CM.basicSetup,
        this.syntax.of([]),
        chips(this),
        EditorView.lineWrapping,
        this.placeholder ? CM.placeholder(this.placeholder) : [],
        this.single ? EditorState.transactionFilter.of((one) => (one.newDoc.lines > 1 ? [one, { changes: this.joined(one.newDoc), sequential: true }] : one)) : [],
        // the last filter sees a change first
        this.item ? EditorState.transactionFilter.of((one) => (this.split(one) ? [] : one)) : [],
        EditorState.readOnly.of(this.readonly),
        EditorView.editable.of(!this.readonly),
        this.attributes.of(this.attributesNow()),
        EditorView.updateListener.of((update) => { if (update.docChanged) this.typed(); }),
      ];
    },
    attributesNow() {
      const named = { "aria-label": this.label, "aria-multiline": String(!this.single), spellcheck: "false" };
      if (this.readonly) Object.assign(named, { "aria-readonly": "true", tabindex: "0" }); // read and scrolled with the keyboard
      if (this.bad) named["aria-invalid"] = "true";
      if (this.describedby) named["aria-describedby"] = this.describedby;
      return CM.EditorView.contentAttributes.of(named);
    },
    name() {
      this.view?.dispatch({ effects: this.attributes.reconfigure(this.attributesNow()) });
    },
    redraw() {
      this.view?.dispatch({ effects: REDRAW.of(null) });
    },
    // Several lines put into an item of a list, pasted or by another way, are for the server, which makes an item of each.
    split(transaction) {
      if (!transaction.docChanged || this.quiet || !transaction.isUserEvent("input")) return false;
      let text = "";
      transaction.changes.iterChanges((_from, _to, _at, _end, inserted) => (text += inserted.toString()));
      if (!/\S[^\S\n]*\n\s*\S/.test(text)) return false;
      queueMicrotask(() => {
        this.flush();
        this.$emit("lines", text.slice(0, 1000000));
      });
      return true;
    },
    joined(doc) {
      const changes = [];
      for (let line = 1; line < doc.lines; line += 1) changes.push({ from: doc.line(line).to, to: doc.line(line + 1).from, insert: " " });
      return changes;
    },
    read() {
      return this.view ? this.view.state.doc.toString() : this.sent;
    },
    // Another value from elsewhere. What is being typed here stays: it is later, and wins.
    replace(text) {
      const mine = this.read() !== this.sent;
      this.sent = text;
      if (!mine && this.view) this.put(text);
    },
    put(text) {
      const change = difference(this.read(), text);
      if (change.from === change.to && !change.text) return;
      this.quiet = true;
      this.view.dispatch({ changes: { from: change.from, to: change.to, insert: change.text } });
      // the document counts a line end of two characters once, so its end is asked for after the change
      if (!this.view.hasFocus) this.view.dispatch({ selection: { anchor: this.view.state.doc.length } });
      this.quiet = false;
    },
    typed() {
      if (this.quiet) return;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.flush(), SETTLE_MS);
    },
    flush() {
      clearTimeout(this.timer);
      if (!this.view) return;
      const text = this.read();
      if (text === this.sent) return;
      const { from, to, text: put } = difference(this.sent, text);
      const base = checksum(this.sent);
      this.sent = text;
      this.$emit("change", { from, to, text: put, base });
    },
    // Keys of a field are not keys of the canvas; running and saving are everybody's, after the text is on its way.
    keys(event) {
      if (event.altKey && event.key === "ArrowDown" && this.askHere()) return event.preventDefault(), event.stopPropagation(), true;
      const everybodys = (event.ctrlKey || event.metaKey) && ["Enter", "s", "k"].includes(event.key);
      if (everybodys) {
        this.flush();
        return event.key === "Enter";
      }
      if (event.key !== "Escape") event.stopPropagation(); // Escape closes what it stands in, unless a list is open here
      return event.key === "Enter" && this.single && !this.view.dom.querySelector(".cm-tooltip-autocomplete") ? (event.preventDefault(), true) : false;
    },
    // A pressed chip whose data cannot be found: the server opens what can be used instead.
    broke(chip) {
      if (!chip || this.readonly) return;
      this.flush();
      this.$emit("broken", chip.dataset.raw);
    },
    // The pressed chip of a list: the server opens how it can be written, beside the chip.
    ask(chip) {
      const list = chip && listOf(chip.dataset.raw);
      if (!list) return;
      this.flush();
      for (const one of document.querySelectorAll(".fp-chip--asked")) one.classList.remove("fp-chip--asked");
      chip.classList.add("fp-chip--asked");
      const { raw } = chip.dataset;
      const before = this.view.state.doc.sliceString(0, this.view.posAtDOM(chip)).split(raw).length - 1;
      this.$emit("list", { raw, before, fields: list.fields });
    },
    // Alt+ArrowDown at the chip of a list is a press on it.
    askHere() {
      const { head } = this.view.state.selection.main;
      const around = [...this.view.contentDOM.querySelectorAll(".fp-chip--list")];
      const chip = around.find((one) => [0, one.dataset.raw.length].includes(head - this.view.posAtDOM(one)));
      this.ask(chip);
      return Boolean(chip);
    },
    drop(event) {
      const raw = event.dataTransfer.getData(DRAGGED);
      if (!raw) return false;
      event.preventDefault();
      event.stopPropagation();
      this.insert(raw, this.view.posAtCoords({ x: event.clientX, y: event.clientY }, false), true);
      return true;
    },
    // Puts a reference in: instead of the whole value in a single-value field, at the caret (or a place) in text.
    // `apart`: with a space to a word beside it, as when a word is dropped.
    insert(raw, place = null, apart = false) {
      if (!this.view || this.readonly) return;
      const { doc } = this.view.state;
      const { main } = this.view.state.selection;
      const at = this.single ? { from: 0, to: doc.length } : place === null ? { from: main.from, to: main.to } : { from: place, to: place };
      const spaced = (text) => (apart && !this.single && !this.language && /^[\p{L}\p{N}]$/u.test(text) ? " " : "");
      const insert = spaced(doc.sliceString(at.from - 1, at.from)) + raw + spaced(doc.sliceString(at.to, at.to + 1));
      this.view.dispatch({ changes: { ...at, insert }, selection: { anchor: at.from + insert.length }, userEvent: "input.paste", scrollIntoView: true });
      if (this.fresh) this.fresh = shared.last = null; // the next chip is another field's
      else this.view.focus();
      this.flush();
    },
    // Takes the next chip without the keyboard, which is in the name of the field.
    takeNext() {
      shared.last = this;
      this.fresh = !this.read();
    },
    focus() {
      this.view?.focus();
    },
  },
};
