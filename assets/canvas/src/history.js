// Undo and redo: lists of operations this tab made. What others did since is never taken back.
import { reactive } from "vue";
import { inverse } from "./flow_document.js";

const DEPTH = 200;
const SAME_GESTURE_MS = 1000;

export class History {
  done = [];
  undone = [];
  count = reactive({ undo: 0, redo: 0 });

  /** Remembers settled operations; those with the same key within a second are one step. */
  remember(ops, key = "") {
    const last = this.done.at(-1), now = performance.now();
    if (key && last?.key === key && now - last.at < SAME_GESTURE_MS) Object.assign(last, { ops: [...last.ops, ...ops], at: now });
    else this.done.push({ ops, key, at: now });
    if (this.done.length > DEPTH) this.done.shift();
    this.undone.length = 0;
    this.#counted();
  }

  /** `settle` says what of the operations still makes sense. Empty when nothing is left of the step; null without one. */
  undo(settle) {
    return this.#step(this.done, this.undone, (ops) => settle(inverse(ops)), inverse);
  }

  redo(settle) {
    return this.#step(this.undone, this.done, settle, (ops) => ops);
  }

  forget() {
    this.done.length = this.undone.length = 0;
    this.#counted();
  }

  #step(from, to, settle, keep) {
    const step = from.pop(), ops = step ? settle(step.ops) : null;
    if (ops?.length) to.push({ ops: keep(ops), key: "", at: 0 });
    this.#counted();
    return ops;
  }

  #counted() {
    Object.assign(this.count, { undo: this.done.length, redo: this.undone.length });
  }
}
