// The flow as a list of steps: the narrow view, and the one for the keyboard and screen readers. The server sends the rows and makes
// every edit; here is only what must not wait for it: where the keyboard is, and whether the list is seen at all.
const ACTIONS = [
  ["open", "open_in_full"], ["run", "play_arrow"], ["run_from", "resume"], null, ["add_after", "add"], ["add_before", "vertical_align_top"], ["choose", "conversion_path"], null,
  ["up", "arrow_upward"], ["down", "arrow_downward"], ["rename", "edit"], ["copy", "content_copy"], ["remove", "delete"],
];
const KEYS = { n: "add_after", c: "choose", f2: "rename", delete: "remove" }; // Alt with an arrow moves the step
const STATES = { waiting: ["schedule", ""], running: ["progress_activity", "acc"], done: ["check_circle", "ok"], failed: ["error", "bad"], skipped: ["skip_next", ""], cancelled: ["cancel", ""] };

export default {
  template: `
    <section class="fp-steps" :aria-label="words.steps" @keydown="key" @focusin="current = $event.target.closest('[data-row]')?.dataset.row ?? current">
      <div class="fp-steps-in">
        <div v-if="!readonly && rows.length" class="fp-steps-bar" role="toolbar" :aria-label="words.steps">
          <q-btn flat dense no-caps :ripple="false" icon="sym_o_undo" :label="words.undo" @click="tell('undo')" />
          <q-btn flat dense no-caps :ripple="false" icon="sym_o_redo" :label="words.redo" @click="tell('redo')" />
        </div>
        <ol class="fp-steps-ol" :aria-label="words.list">
          <li v-for="(row, at) in rows" :key="row.id" class="fp-step" :data-row="row.id" :class="[row.list ? 'fp-step--in' : '', row.list && row.list !== rows[at - 1]?.list ? 'fp-step--first' : '', row.list && row.list !== rows[at + 1]?.list ? 'fp-step--last' : '', row.parked ? 'fp-step--parked' : '']">
            <h3 v-if="row.parked && !rows[at - 1]?.parked" class="fp-steps-h">{{ words.parked }}</h3>
            <p v-if="row.list && row.list !== rows[at - 1]?.list" class="fp-step-scope"><q-icon name="sym_o_stacks" aria-hidden="true" />{{ row.scope }}</p>
            <div v-if="at && !row.parked" class="fp-join">
              <button v-if="row.may.includes('add_before')" type="button" class="fp-join-add" :tabindex="stop(row)" :aria-label="words.add_before + ' ' + row.name" @click="tell('add_before', row)"><q-icon name="sym_o_add" aria-hidden="true" /></button>
            </div>
            <div class="fp-card-step" :class="{ 'fp-on': row.id === inspected }">
              <button type="button" class="fp-step-open" :tabindex="stop(row)" :data-step="row.id" :aria-current="row.id === inspected ? 'step' : null" @click="tell('open', row)">
                <span class="fp-tile-i" :class="'fp-g-' + row.group" aria-hidden="true"><q-icon class="fp-i" :name="'sym_o_' + row.icon" /></span>
                <span class="fp-step-words">
                  <span class="fp-b fp-cut">{{ row.name }}</span>
                  <span class="fp-hide"> {{ row.kind }} </span>
                  <span class="fp-t2 fp-s12 fp-cut">{{ row.summary || row.kind }}</span>
                  <span v-if="row.after" class="fp-t2 fp-s12 fp-cut">{{ row.after }}</span>
                </span>
                <span class="fp-step-state">
                  <span v-if="row.state" class="fp-st" :class="kindOf(row) ? 'fp-' + kindOf(row) : 'fp-t2'"><q-icon class="fp-i fp-i16" :class="{ 'fp-spin': row.state === 'running' }" :name="'sym_o_' + iconOf(row)" aria-hidden="true" /><span>{{ row.word }}</span></span>
                  <span v-else-if="row.problems" class="fp-st fp-warn"><q-icon class="fp-i fp-i16" name="sym_o_warning" aria-hidden="true" /><span>{{ row.problems }}</span></span>
                  <span v-if="row.time" class="fp-t2 fp-s12 fp-num">{{ row.time }}</span>
                </span>
              </button>
              <q-btn v-if="row.may.length > 1" flat round no-caps :ripple="false" icon="sym_o_more_vert" :tabindex="stop(row)" :aria-label="words.more + ' ' + row.name" aria-haspopup="menu">
                <q-menu role="dialog" :aria-label="words.more + ' ' + row.name" @hide="back(row)">
                  <div role="menu" :aria-label="words.more + ' ' + row.name">
                    <template v-for="(action, index) in actionsOf(row)" :key="index">
                      <q-separator v-if="!action" />
                      <q-item v-else clickable v-close-popup role="menuitem" :class="{ 'fp-bad': action[0] === 'remove' }" @click="tell(action[0], row)"><q-icon class="fp-i" :name="'sym_o_' + action[1]" aria-hidden="true" /><span>{{ words[action[0]] }}</span></q-item>
                    </template>
                  </div>
                </q-menu>
              </q-btn>
            </div>
          </li>
        </ol>
        <q-btn v-if="!readonly" flat no-caps :ripple="false" class="fp-steps-add" icon="sym_o_add" :label="words.add" @click="tell('add')" />
        <p v-if="rows.length > 1" class="fp-steps-keys fp-t2 fp-s12">{{ words.keys }}</p>
        <p class="fp-hide" role="status">{{ said }}</p>
      </div>
    </section>`,
  props: {
    rows: { type: Array, default: () => [] },
    inspected: { type: String, default: "" },
    words: { type: Object, default: () => ({}) },
    readonly: { type: Boolean, default: false },
  },
  emits: ["shown", "verb"],
  data: () => ({ said: "", wanted: null, current: "" }),
  computed: {
    // Tab goes to one step and on; arrows go from step to step.
    stopId() {
      return [this.current, this.inspected].find((id) => id && this.rows.some((row) => row.id === id)) ?? this.rows[0]?.id;
    },
  },
  mounted() {
    let seen = null;
    this.watcher = new ResizeObserver(() => {
      const now = this.$el.offsetParent !== null && this.$el.getClientRects().length > 0;
      if (now !== seen) this.$emit("shown", (seen = now));
    });
    this.watcher.observe(this.$el);
  },
  unmounted() {
    this.watcher.disconnect();
  },
  updated() {
    if (this.wanted) this.focus(this.wanted);
  },
  methods: {
    iconOf: (row) => (STATES[row.state] ?? STATES.waiting)[0],
    kindOf: (row) => (STATES[row.state] ?? STATES.waiting)[1],
    actionsOf(row) {
      const found = ACTIONS.filter((action) => !action || row.may.includes(action[0]));
      const apart = found.filter((action, at) => action || (at && found[at - 1])); // one line between two groups
      return apart.at(-1) ? apart : apart.slice(0, -1);
    },
    stop(row) {
      return row.id === this.stopId ? 0 : -1;
    },
    tell(verb, row = null) {
      this.$emit("verb", { verb, id: row?.id ?? "" });
    },
    card(id) {
      return this.$el.querySelector(`[data-step="${CSS.escape(id)}"]`);
    },
    /** Puts the keyboard on a step, now or as soon as it is here. */
    focus(id) {
      const card = this.card(id);
      this.wanted = card ? null : id;
      card?.focus();
    },
    say(text) {
      this.said = "";
      this.$nextTick(() => (this.said = text));
    },
    // A menu gives the keyboard back to its button; when the step went away, the one in its place takes it.
    back(row) {
      this.$nextTick(() => {
        if (document.activeElement === document.body) (this.card(row.id) ?? this.$el.querySelector("[data-step]"))?.focus();
      });
    },
    key(event) {
      const here = event.target.closest("[data-step]")?.dataset.step, row = this.rows.find((one) => one.id === here), at = this.rows.indexOf(row);
      if (event.isComposing) return;
      const does = event.ctrlKey || event.metaKey ? this.withControl(event, row) : row && (event.altKey ? this.moving(event.key, row) : this.alone(event.key, row, at));
      if (!does) return;
      event.preventDefault();
      event.stopPropagation();
      does();
    },
    verb(name, row) {
      return row?.may.includes(name) && (() => this.tell(name, row));
    },
    withControl({ key, shiftKey }, row) {
      const undoes = !this.readonly && { z: () => this.tell(shiftKey ? "redo" : "undo"), y: () => this.tell("redo") };
      return key.toLowerCase() === "d" ? this.verb("copy", row) : undoes[key.toLowerCase()];
    },
    moving(key, row) {
      return this.verb({ ArrowUp: "up", ArrowDown: "down" }[key], row);
    },
    alone(key, row, at) {
      const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: this.rows.length - 1 }[key];
      return to === undefined ? this.verb(KEYS[key.toLowerCase()], row) : this.rows[to] && (() => this.focus(this.rows[to].id));
    },
  },
};
