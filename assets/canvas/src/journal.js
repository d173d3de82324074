// Messages the server has not acknowledged yet, kept in the tab's session storage: a reload loses nothing.
import { read } from "./flow_document.js";

export class Journal {
  constructor(flowId, clientId) {
    Object.assign(this, { key: `flowport-canvas-${flowId}`, clientId, seq: 0, messages: [] });
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.key) ?? "{}");
      Object.assign(this, { seq: kept.seq ?? 0, messages: kept.messages ?? [] });
    } catch {} // storage is off: the canvas works, a reload may lose the last second
    this.before = this.seq; // what was written before this page is in `ready`
  }

  /** A numbered message. Numbers go on over a reload, so that one number never means two edits. */
  write(baseRev, reason, ops) {
    const message = { seq: ++this.seq, clientId: this.clientId, baseRev, reason, ops };
    this.messages.push(message);
    this.#keep();
    return message;
  }

  acknowledge(seq) {
    this.messages = this.messages.filter((message) => message.seq > seq);
    this.#keep();
  }

  /** The messages in `ready` have arrived. */
  delivered() {
    this.acknowledge(this.before);
  }

  /** Operations of this page that are still on their way. */
  travelling() {
    return this.messages.filter((message) => message.seq > this.before).flatMap((message) => message.ops);
  }

  /** `ops` of another tab without the fields a message on its way will set anyway: the later edit wins. */
  withoutMine(ops) {
    const mine = new Set();
    for (const op of this.travelling()) if (op.after) for (const field of Object.keys(op.after)) mine.add(`${op.op} ${op.id} ${field}`);
    if (!mine.size) return ops;
    return ops.map((op) =>
      read(op).verb !== "update" ? op
        : { ...op, after: Object.fromEntries(Object.entries(op.after).filter(([field]) => !mine.has(`${op.op} ${op.id} ${field}`))) },
    );
  }

  #keep() {
    try {
      sessionStorage.setItem(this.key, JSON.stringify({ seq: this.seq, messages: this.messages }));
    } catch {}
  }
}
