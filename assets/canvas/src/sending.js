// Messages to the server. The socket drops what is above 1 MB, and an undo in a flow with a large sample is: such a message travels in pieces.
const PIECE = 200_000; // characters; quoted twice and as UTF-8, each takes up to four bytes
const MOST_PIECES = 12; // a flow has 1 MiB, and an undo may carry it before and after
const HALF = /\\(?:(ud[89a-f]..)|.)/g; // half a character, which JSON.stringify escapes; the server cannot read a message with one

/** `emit` for messages of any size. In place of one that is too large, only its number is sent: the server refuses it. */
export function sending(emit) {
  let number = 0;
  return (event, message) => {
    const said = JSON.stringify(message), text = said.replace(HALF, (escape, half) => (half ? "\ufffd" : escape));
    if (text.length <= PIECE) return emit(event, text === said ? message : JSON.parse(text));
    if (text.length > PIECE * MOST_PIECES) return emit(event, { seq: message.seq, clientId: message.clientId, tooLarge: true });
    number++;
    for (let at = 0, from = 0; from < text.length; at++) {
      const cuts = /[\ud800-\udbff]/.test(text[from + PIECE - 1] ?? ""); // between the halves of a character
      const piece = text.slice(from, (from += PIECE + (cuts ? 1 : 0)));
      emit("piece", { event, number, at, last: from >= text.length, text: piece });
    }
  };
}
