// Data from earlier steps: every earlier node with its values as chips to drag, click or press Enter on; searched here, without the server.
const DRAGGED = "application/x-flowport-reference";
const NAME = "application/x-flowport-name";
// Boxes that somebody types in; a list of choices is none.
const TYPED = 'textarea, input:not([readonly], [type="checkbox"], [type="radio"], [role="combobox"])';
const shared = (window.fpFields ??= { last: null, data: [] });

const flat = (source) => {
  const found = [];
  const walk = (data, before) => {
    for (const one of data) {
      const path = [...before, one.name];
      found.push({ ...one, path: path.join(" › "), source });
      walk(one.inside ?? [], path);
    }
  };
  walk(source.data, []);
  return found;
};

/** How well what was found fits a search, 0 is best. A text of an error is named like a field, but is seldom meant. */
function rank(one, wanted) {
  const name = one.name.toLowerCase(), path = one.path.toLowerCase();
  if (path.startsWith("errors › ")) return 6;
  if (name === wanted) return path === name ? 0 : 1;
  return name.startsWith(wanted) ? 2 : name.includes(wanted) ? 3 : path.includes(wanted) ? 4 : 5;
}

export default {
  template: `
    <div class="fp-srcs" :class="{ 'fp-srcs--values': values }">
      <div class="fp-srcbar" v-if="sources.length">
        <input class="fp-srcfind" type="search" v-model="query" :placeholder="words.find" :aria-label="words.find" @focus="$emit('all')" @keydown="keys" />
        <button v-if="hasValues" type="button" class="fp-srcval" :class="{ 'fp-on': values }" :aria-pressed="values" @click="values = !values">{{ words.values }}</button>
      </div>
      <p v-if="query && !shown.length" class="fp-src fp-t2">{{ words.nothing }}</p>
      <div v-for="source in shown" :key="source.id" class="fp-src" role="group" :aria-label="source.label">
        <div class="fp-row">
          <span class="fp-tile-i fp-sm" :class="'fp-g-' + source.group"><i class="fp-chip-i" aria-hidden="true" :data-icon="source.icon"></i></span>
          <span class="fp-b fp-cut">{{ source.label }}</span>
        </div>
        <div class="fp-cs" role="list">
          <template v-for="one in lines(source)" :key="one.raw">
            <div class="fp-dat" role="listitem" :style="{ '--level': one.level }">
              <button v-if="one.inside?.length" type="button" class="fp-datfold" :aria-expanded="opened.has(one.raw)" :aria-label="words.inside + ' ' + one.path" @click="fold(one)"><i class="fp-chip-i" aria-hidden="true" data-icon="chevron_right"></i></button>
              <span class="fp-chip fp-chip--pick" role="button" tabindex="0" draggable="true" :aria-label="words.insert + ' ' + said(source, one)"
                    :title="one.value ? words.last + ' ' + one.value : ''"
                    @mousedown="hold" @click="pick(one)" @keydown.enter.prevent.stop="pick(one)" @keydown.space.prevent.stop="pick(one)" @dragstart="drag($event, one)" @dragend="dropped"><span>{{ query ? one.path : one.name }}</span><span class="fp-ty">{{ one.type }}</span></span>
              <span v-if="(values || one.open) && one.value" class="fp-datval fp-cut">{{ one.value }}</span>
            </div>
          </template>
        </div>
      </div>
      <button v-if="more && !query" type="button" class="fp-srcmore" @click="$emit('all')">{{ words.more }}</button>
    </div>`,
  props: {
    sources: { type: Array, default: () => [] },
    more: { type: Boolean, default: false },
    words: { type: Object, default: () => ({}) },
  },
  emits: ["pick", "fixed", "all"],
  data: () => ({ query: "", values: false, opened: new Set() }),
  created() {
    this.publish();
  },
  watch: {
    sources: { deep: true, handler() { this.publish(); } },
  },
  computed: {
    hasValues() {
      return this.sources.some((source) => source.data.some((one) => one.value));
    },
    shown() {
      const wanted = this.query.trim().toLowerCase();
      if (!wanted) return this.sources;
      const found = this.sources.map((source) => ({ source, best: this.lines(source)[0] })).filter(({ best }) => best);
      return found.sort((a, b) => rank(a.best, wanted) - rank(b.best, wanted)).map(({ source }) => source);
    },
  },
  methods: {
    // What the text fields complete after "{{".
    publish() {
      shared.data = this.sources.flatMap((source) =>
        flat(source).map((one) => ({ raw: one.raw, label: this.said(source, one), type: one.type, value: one.value, fields: one.fields })),
      );
      window.dispatchEvent(new Event("fp-data")); // the fields know by it which of their chips are lists
    },
    // The item of a list is "this item", whatever its Splitter is called.
    said(source, one) {
      return one.open ? one.name : `${source.label} › ${one.whole ? one.name : one.path}`;
    },
    lines(source) {
      const wanted = this.query.trim().toLowerCase();
      if (wanted) {
        const inLabel = source.label.toLowerCase().includes(wanted);
        return flat(source).filter((one) => inLabel || one.path.toLowerCase().includes(wanted) || (one.also ?? "").includes(wanted) || (one.value ?? "").toLowerCase().includes(wanted)).sort((a, b) => rank(a, wanted) - rank(b, wanted)).slice(0, 60).map((one) => ({ ...one, level: 0, inside: [] }));
      }
      const found = [];
      const walk = (data, level, before) => {
        for (const one of data) {
          const path = [...before, one.name];
          found.push({ ...one, level, path: path.join(" › ") });
          if (this.opened.has(one.raw)) walk(one.inside ?? [], level + 1, path);
        }
      };
      walk(source.data, 0, []);
      return found;
    },
    fold(one) {
      const opened = new Set(this.opened);
      if (!opened.delete(one.raw)) opened.add(one.raw);
      this.opened = opened;
    },
    // The box that has the keyboard when a chip is pressed, if it takes no data.
    hold() {
      const box = document.activeElement;
      this.fixed = box?.matches(TYPED) && box.closest("[data-fixed]") ? box : null;
    },
    pick(one) {
      const { fixed } = this;
      this.fixed = null;
      if (fixed?.isConnected) {
        this.$emit("fixed", fixed.closest("[data-fixed]").dataset.fixed);
        return fixed.focus();
      }
      const field = shared.last ?? null;
      if (field?.view && field.$el.isConnected) field.insert(one.raw);
      else this.$emit("pick", { raw: one.raw, name: one.name });
    },
    // Enter takes the first that was found. Escape takes the search back, and next closes what the list stands in.
    keys(event) {
      if (event.key !== "Escape") event.stopPropagation();
      if (!["Enter", "Escape"].includes(event.key) || (event.key === "Escape" && !this.query)) return;
      event.preventDefault();
      const [source] = this.shown;
      if (event.key === "Enter" && source) this.pick(this.lines(source)[0]);
      this.query = "";
    },
    drag(event, one) {
      this.fixed = null;
      event.dataTransfer.setData(DRAGGED, one.raw);
      event.dataTransfer.setData(NAME, one.name);
      event.dataTransfer.setData("text/plain", one.raw);
      event.dataTransfer.effectAllowed = "copy";
      document.body.classList.add("fp-dragging");
    },
    dropped() {
      document.body.classList.remove("fp-dragging");
    },
  },
};
