// A text field in which data from earlier steps stands as chips: "Summarise › facts" instead of {{ prompt.out.facts }}.
// Text is only ever set through textContent, so nothing in it can become markup.
const REFERENCE = /\{\{(.*?)\}\}/gs;
// A caret needs a text to stand in: this invisible one stands where a chip is first, last or beside another chip.
const EDGE = "\u200b";
const HEAD = /^\s*([a-z][a-z0-9_]{0,62})\s*\.\s*([a-z_]+)(.*)$/s;

function chipText(inside, labels) {
  const match = HEAD.exec(inside);
  if (!match) return null;
  const [, node, root, rest] = match;
  const path = rest.split("|")[0].trim();
  const filters = rest.includes("|") ? " | " + rest.slice(rest.indexOf("|") + 1).trim() : "";
  const parts = [...path.matchAll(/\.\s*([A-Za-z_][A-Za-z0-9_]*)|\[\s*(\d+)\s*\]|\[\s*"((?:[^"\\]|\\.)*)"\s*\]/g)].map(
    (part) => part[1] ?? (part[2] !== undefined ? `item ${Number(part[2]) + 1}` : part[3]),
  );
  if (node === "system") return `Job › ${root}`;
  const known = Object.hasOwn(labels, node);
  const names = root === "out" ? parts : [root, ...parts];
  return { text: [known ? labels[node] : node, ...names].join(" › ") + filters, known };
}

export default {
  template: `
    <div class="fp-in fp-in--area fp-binding" :class="{ 'fp-binding--one': single, 'fp-is-bad': bad }"
         ref="box" contenteditable="plaintext-only" role="textbox" :aria-multiline="!single" :aria-label="label"
         :aria-invalid="bad" :data-placeholder="placeholder" tabindex="0" spellcheck="false"
         @input="typed" @blur="settle" @focus="$emit('active')" @keydown="keys" @keyup="note" @mouseup="note" @paste="paste"></div>`,
  props: {
    value: { type: String, default: "" },
    labels: { type: Object, default: () => ({}) },
    broken: { type: Array, default: () => [] },
    single: { type: Boolean, default: false },
    raw: { type: Boolean, default: false },
    bad: { type: Boolean, default: false },
    label: { type: String, default: "" },
    placeholder: { type: String, default: "" },
  },
  emits: ["change", "active"],
  mounted() {
    this.sent = this.value;
    this.draw(this.value);
    this.onLeave = () => this.flush();
    window.addEventListener("pagehide", this.onLeave);
  },
  beforeUnmount() {
    this.flush();
    this.gone = true;
    window.removeEventListener("pagehide", this.onLeave);
  },
  watch: {
    value(text) {
      if (text !== this.read() && document.activeElement !== this.$refs.box) this.draw(text);
      this.sent = text;
    },
    labels: { deep: true, handler() { this.redraw(); } },
    broken: { deep: true, handler() { this.redraw(); } },
    raw() { this.draw(this.read()); },
  },
  methods: {
    redraw() {
      if (document.activeElement !== this.$refs.box) this.draw(this.read());
    },
    draw(text) {
      const box = this.$refs.box;
      if (!box) return;
      box.replaceChildren(...this.pieces(text ?? ""));
    },
    pieces(text) {
      if (this.raw) return [document.createTextNode(text)];
      const made = [];
      let at = 0;
      for (const match of text.matchAll(REFERENCE)) {
        const shown = chipText(match[1], this.labels);
        if (!shown) continue;
        made.push(document.createTextNode(text.slice(at, match.index) || EDGE));
        made.push(this.chip(match[0], shown.text ?? shown, shown.known === false || this.broken.includes(match[0])));
        at = match.index + match[0].length;
      }
      if (at < text.length || made.length) made.push(document.createTextNode(text.slice(at) || EDGE));
      return made;
    },
    chip(raw, text, broken) {
      const chip = document.createElement("span");
      chip.className = broken ? "fp-chip fp-chip--bad" : "fp-chip";
      chip.contentEditable = "false";
      chip.dataset.raw = raw;
      chip.textContent = text;
      chip.title = broken ? "This data cannot be found. Choose it again from the list below." : raw;
      return chip;
    },
    read() {
      if (!this.$refs.box) return this.sent ?? "";
      const text = this.rawOf(this.$refs.box);
      return this.single ? text.replace(/\s*\n\s*/g, " ") : text;
    },
    rawOf(root) {
      const walk = (node) => {
        if (node.nodeType === Node.TEXT_NODE) return node.data;
        if (node.dataset?.raw) return node.dataset.raw;
        if (node.nodeName === "BR") return "\n";
        const inside = [...node.childNodes].map(walk).join("");
        return node !== root && /^(DIV|P)$/.test(node.nodeName) ? "\n" + inside : inside;
      };
      return walk(root).replaceAll("\u00a0", " ").replaceAll(EDGE, "");
    },
    // The caret as a place in the raw text: choosing a chip takes the focus away, and drawing moves the nodes.
    note() {
      const box = this.$refs.box;
      const selection = getSelection();
      if (!box || !selection.rangeCount) return;
      const range = selection.getRangeAt(0);
      if (!box.contains(range.endContainer)) return;
      const before = document.createRange();
      before.selectNodeContents(box);
      before.setEnd(range.endContainer, range.endOffset);
      this.caret = this.rawOf(before.cloneContents()).length;
    },
    typed() {
      this.note();
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.flush(), 350);
    },
    flush() {
      clearTimeout(this.timer);
      if (this.gone || !this.$refs.box) return;
      const text = this.read();
      if (text === this.sent) return;
      this.sent = text;
      this.$emit("change", text);
    },
    settle() {
      if (this.gone) return;
      this.flush();
      this.draw(this.read());
    },
    keys(event) {
      if (event.key === "Enter" && this.single) event.preventDefault();
      event.stopPropagation();
    },
    paste(event) {
      event.preventDefault();
      const text = event.clipboardData.getData("text/plain");
      document.execCommand("insertText", false, this.single ? text.replace(/\s*\n\s*/g, " ") : text);
    },
    // Puts a reference in: instead of the whole value in a single-value field, at the caret in text.
    insert(raw) {
      const box = this.$refs.box;
      const text = this.read();
      const at = Math.min(this.caret ?? text.length, text.length);
      this.draw(this.single ? raw : text.slice(0, at) + raw + text.slice(at));
      this.caret = this.single ? raw.length : at + raw.length;
      this.flush();
      box.focus();
      this.placeCaret();
    },
    placeCaret() {
      let left = this.caret;
      for (const node of this.$refs.box.childNodes) {
        const edge = node.data === EDGE;
        const length = edge ? 0 : (node.dataset?.raw ?? node.textContent).length;
        if (node.nodeType === Node.TEXT_NODE && left <= length) {
          getSelection().collapse(node, edge ? 1 : left);
          return;
        }
        left -= length;
      }
      getSelection().selectAllChildren(this.$refs.box);
      getSelection().collapseToEnd();
    },
  },
};
