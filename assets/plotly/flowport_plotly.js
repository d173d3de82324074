// Plotly as NiceGUI's charts load it (import map entry "nicegui-plotly"): the basic bundle of plotly.js-basic-dist-min 4.1.1, MIT, unchanged,
// with two things added: colours may be written `var(--fp-c1)`. They are read from the page's styles, again when its theme changes.
// And a chart that has left the page, or is not shown, needs no new size: asked for one, Plotly would throw.
import "./plotly-basic-4.1.1.min.js?v=4.1.1";

const { Plotly: bare } = window;
const VARIABLE = /^var\((--[\w-]+)\)$/;
const drawn = new Map(); // element -> [figure, config]

const painted = (value, styles) => {
  if (typeof value === "string") {
    const found = VARIABLE.exec(value);
    return found ? styles.getPropertyValue(found[1]).trim() : value;
  }
  if (Array.isArray(value)) return value.map((one) => painted(one, styles));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, painted(one, styles)]));
};

const draw = (how, element, figure, config) => {
  drawn.set(element, [figure, config]);
  const { data, layout } = painted({ data: figure.data, layout: figure.layout }, getComputedStyle(document.body));
  return bare[how](element, data, layout, config);
};

new MutationObserver(() => {
  for (const [element, [figure, config]] of drawn) {
    if (element.isConnected) draw("react", element, figure, config);
    else drawn.delete(element);
  }
}).observe(document.body, { attributeFilter: ["class"] });

const Plotly = {
  ...bare,
  newPlot: (element, figure, config) => draw("newPlot", element, figure, config),
  react: (element, figure, config) => draw("react", element, figure, config),
  Plots: {
    ...bare.Plots,
    resize: (element) =>
      ["", "none"].includes(getComputedStyle(element).display) ? Promise.resolve() : bare.Plots.resize(element),
  },
};

export { Plotly };
