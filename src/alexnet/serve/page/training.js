/** Images of the training data: the nearest ones to an image, and some of every class. */
import { el } from "./base.js";

const NUM_NEIGHBORS = 6;

/**
 * A button that shows the nearest training images below the image.
 * @param {import("./results.js").Answer} answer
 */
export function nearestTool(answer) {
  const button = el("button", { type: "button" }, "Nearest training images");
  let panel = null;
  button.addEventListener("click", () => answer.work(async () => {
    const { model, result } = answer;
    const found = await answer.post("v1/neighbors", { model: model.name, top: NUM_NEIGHBORS });
    panel?.remove();
    panel = neighborsPanel(result.page.api, model, found.neighbors, answer.isAlone);
    result.panels.append(panel);
    return "";
  }));
  return button;
}

function neighborsPanel(api, model, neighbors, isAlone) {
  const name = isAlone ? "Nearest training images" : `Nearest training images of ${model.name}`;
  const tiles = neighbors.map((one) => tile(api, model, one.index, one.label,
    one.is_same ? "the same image" : `distance ${one.distance.toPrecision(3)}`));
  return el("section", { class: "panel", "aria-label": name }, el("h3", {}, name),
    el("p", { class: "soft small" }, "By the activations of the last hidden layer; nearest first."),
    el("ul", { class: "images" }, ...tiles));
}

/**
 * The examples of every class of a model; they are asked for when this is opened.
 * @param {import("./api.js").Api} api
 */
export function examples(api, model) {
  const content = el("div", { class: "every-class" }, el("p", { class: "soft small" }, "loading …"));
  const node = el("details", {}, el("summary", {}, "Training images of every class"), content);
  node.addEventListener("toggle", async () => {
    try {
      const found = await api.json("v1/examples", { model: model.name });
      content.replaceChildren(...found.classes.map((one) => classExamples(api, model, one)));
    } catch (problem) {
      content.replaceChildren(el("p", { class: "error" }, problem.message));
    }
  }, { once: true });
  return node;
}

function classExamples(api, model, { label, num_images: number, indices }) {
  const tiles = indices.map((index, i) => tile(api, model, index, `${label}, ${i + 1} of ${number}`, "", true));
  return el("section", { class: "class-examples" },
    el("h4", {}, el("bdi", {}, label), el("span", { class: "soft" }, ` ${number.toLocaleString("en")} images`)),
    el("ul", { class: "images" }, ...tiles));
}

function tile(api, model, index, label, note, isQuiet = false) {
  const image = el("img", { alt: isQuiet ? label : "", width: 1, height: 1 });
  loadWhenSeen(image, () => api.blob(`v1/images/${index}`, { model: model.name }));
  return el("li", {}, image, isQuiet ? null : el("bdi", { class: "name" }, label),
    note ? el("div", { class: "soft" }, note) : null);
}

/** A server with a token sends images to scripts alone, which have it. */
function loadWhenSeen(image, load) {
  const observer = new IntersectionObserver(async ([entry]) => {
    if (!entry.isIntersecting) return;
    observer.disconnect();
    const blob = await load().catch(() => null);
    if (!blob) return;
    image.src = URL.createObjectURL(blob);
    image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
  }, { rootMargin: "200px" });
  observer.observe(image);
}
