// Sends again what the server has not acknowledged: a connection that is dead, but not yet noticed to be, swallows messages.
const SOON_MS = 300; // the server may drop what arrives before its handshake is done
const FIRST_MS = 5_000, LONGEST_MS = 60_000;

export class Resending {
  #wait = FIRST_MS;
  #timer = null;
  #asked = { seen: -1, at: 0 };

  /** `waiting` answers the messages without an acknowledgement, oldest first. */
  constructor(waiting, send, connected = () => Boolean(window.socket?.connected)) {
    Object.assign(this, { waiting, send, connected });
  }

  /** A message was sent. */
  sent() {
    if (this.#timer === null) this.#look();
  }

  /** The server has taken messages: those that are left have not waited yet. */
  acknowledged() {
    this.stop();
    this.#wait = FIRST_MS;
    if (this.waiting().length) this.#look();
  }

  /** The connection is back. */
  reconnected() {
    this.stop();
    this.#wait = FIRST_MS;
    if (this.waiting().length) this.#look(SOON_MS);
  }

  /** The server misses one after `seen`. It says so for each that came too early: one answer is enough. */
  asked(seen) {
    const at = performance.now();
    if (seen === this.#asked.seen && at - this.#asked.at < 1_000) return;
    this.#asked = { seen, at };
    for (const message of this.waiting()) if (message.seq > seen) this.send(message);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  #look(ms = this.#wait) {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const waiting = this.waiting();
      if (!waiting.length) return;
      if (this.connected()) {
        for (const message of waiting) this.send(message);
        if (ms !== SOON_MS) this.#wait = Math.min(2 * ms, LONGEST_MS);
      }
      this.#look();
    }, ms);
  }
}
