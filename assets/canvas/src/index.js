import "@vue-flow/core/dist/style.css";
import "./canvas.css";
import "./parts.css";
import "./pops.css";
import "./traffic.css";
export { default } from "./FlowCanvas.vue";
