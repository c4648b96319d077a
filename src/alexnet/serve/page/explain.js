/** Grad-CAM: the parts of the image that speak for a class. */
import { el } from "./base.js";
import { readMap } from "./overlay.js";

/**
 * A button, and the class that is explained.
 * @param {import("./results.js").Answer} answer
 */
export function gradCamTool(answer) {
  const button = el("button", { type: "button" }, "Grad-CAM");
  const names = answer.top.map(({ label }) => el("option", { value: label }, label));
  const choice = el("select", { "aria-label": "Class that Grad-CAM explains" }, ...names);
  const show = () => answer.work(() => showGradCam(answer, choice.value));
  button.addEventListener("click", show);
  choice.addEventListener("change", show);
  return el("span", { class: "tool" }, button, " ", choice);
}

async function showGradCam(answer, className) {
  const parameters = { model: answer.model.name, class_name: className };
  const found = await answer.post("v1/explain", parameters);
  const [first] = found.maps;
  if (!first) return `${answer.model.name} has no convolution, so there is no Grad-CAM.`;
  const map = readMap(first);
  const where = answer.isAlone ? found.layer : `${found.layer} of ${answer.model.name}`;
  if (map.peak <= 0) return `Nothing in ${where} speaks for ${className}.`;
  answer.result.picture.setSize(found.width, found.height);
  const text = `Where ${where} speaks for ${className}.`;
  answer.result.picture.overlay.show(map, found.window, text);
  return "";
}
