// Measures of the drawing, in canvas pixels (look: node 204 wide, head 56, status row 28, grid 20).
export const GRID = 20;
export const NODE_WIDTH = 204;
export const NODE_HEAD = 56;
export const NODE_HEIGHT = 84; // with its status row, so that a run moves nothing
export const PORT_Y = 28; // middle of the head
export const COLUMN = 260; // node and gap, on the grid
export const PORT_ROOM = 60; // further, after a node with several outputs: their labels and their + need it
export const ROW = 140;
export const FRAME_PAD = 18; // between a node and the frame of its list
export const FRAME_MORE = 14; // how much further the next frame outside is

export const snap = (value) => Math.round(value / GRID) * GRID;
export const snapped = ({ x, y }) => ({ x: snap(x), y: snap(y) });

/** Height of a node's middle port row for n outputs: further ports need more room than the head has. */
export const headHeight = (ports) => Math.max(NODE_HEAD, ports * 24 + 8);

/** How far output `index` of `count` lies below the node's top. */
export const portY = (index, count) => headHeight(count) / 2 + (index - (count - 1) / 2) * 24;
