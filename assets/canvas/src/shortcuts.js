// The list of keys, as `?` shows it. keyboard.js acts on them.
const LOOK = { title: "Look", keys: [
  ["+ and -", "Zoom in and out"], ["0", "100 %"], ["F", "Fit: see everything"], ["Z", "Zoom to what is selected"], ["Arrows", "Move the view when nothing is selected"], ["G", "Grid"], ["?", "This list"],
] };
export const SHORTCUTS = [
  { title: "Go about", keys: [
    ["Tab, Shift+Tab", "Next or previous node, in the order of the flow"], ["Enter", "Open the node, write in the note"], ["Space", "Select"], ["Ctrl+A", "Select everything"], ["Escape", "Let go"],
    ["Ctrl+F", "Find in this flow"], ["Ctrl+K", "Find a kind of node"], ["Menu, Shift+F10", "Every action here"],
  ] },
  { title: "Build", keys: [
    ["N", "Add a node: after this one, in this connection, or here"], ["C, then Enter", "Connect with another node; C again for the next output"], ["E, Shift+E", "Connections of this node, one by one"], ["Shift+N", "Add a note"],
    ["Arrows", "Move by one square, with Shift by five"], ["Ctrl+arrows", "Size of a note"], ["L", "Auto layout"], ["Delete", "Delete"],
  ] },
  { title: "Edit", keys: [
    ["Ctrl+Z", "Undo"], ["Ctrl+Y, Ctrl+Shift+Z", "Redo"], ["Ctrl+C", "Copy, also to another tab or flow"], ["Ctrl+X", "Cut"], ["Ctrl+V", "Paste"], ["Ctrl+D", "Duplicate"], ["Ctrl+S", "Save"], ["Ctrl+Enter", "Run"],
  ] },
  LOOK,
];
// The keys of a canvas that only shows the flow.
export const LOOKING = [
  { title: "Go about", keys: [
    ["Tab, Shift+Tab", "Next or previous node, in the order of the flow"], ["Enter", "Open the node"], ["Space", "Select"], ["Ctrl+A", "Select everything"], ["Escape", "Let go"],
    ["Ctrl+F", "Find in this flow"], ["Ctrl+C", "Copy, also to another tab or flow"], ["Menu, Shift+F10", "Every action here"],
  ] },
  LOOK,
];
