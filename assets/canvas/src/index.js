import "@vue-flow/core/dist/style.css";
import "./canvas.css";
import "./parts.css";
import "./pops.css";
export { default } from "./FlowCanvas.vue";
