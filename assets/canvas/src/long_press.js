// A finger that rests opens the menu, as a right click does.
const MS = 550, STILL_PX = 10;

export function longPress(open) {
  let timer = null, from = null;
  const stop = () => (clearTimeout(timer), (timer = null));
  return {
    down(event) {
      stop();
      if (event.pointerType !== "touch" || !event.isPrimary) return;
      from = event;
      timer = setTimeout(() => open(from), MS);
    },
    move: (event) => timer && Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) > STILL_PX && stop(),
    stop,
  };
}
