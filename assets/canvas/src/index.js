import "@vue-flow/core/dist/style.css";
import "./canvas.css";
import "./parts.css";
export { default } from "./FlowCanvas.vue";
