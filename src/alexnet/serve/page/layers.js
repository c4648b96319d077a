/** The net as a drawing, and the channels of a convolution on one image. */
import { el } from "./base.js";
import { paint, readMap } from "./overlay.js";

const DRAWN = new Set(["conv", "fc", "pool", "adaptive_pool"]); // the others stand below one of them
const SHOWN_CHANNELS = 12;
const [LOWEST, HIGHEST, THINNEST, WIDEST] = [1, 6, 0.4, 3.4]; // of a layer's block, in rem
const count = (number) => number.toLocaleString("en");

/**
 * A button that opens the drawing of the model's network below the image.
 * @param {import("./results.js").Answer} answer
 */
export function layersTool(answer) {
  const button = el("button", { type: "button", "aria-expanded": "false" }, "Layers");
  let panel = null;
  button.addEventListener("click", () => answer.work(async () => {
    panel ??= layersPanel(answer, await answer.result.page.layersOf(answer.model));
    const isOpen = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!isOpen));
    if (isOpen) panel.remove();
    else answer.result.panels.append(panel);
    return "";
  }));
  return button;
}

function layersPanel(answer, table) {
  const name = answer.isAlone ? "Layers" : `Layers of ${answer.model.name}`;
  const channels = el("div", { "aria-live": "polite" },
    el("p", { class: "soft small" }, "A convolution shows its strongest channels on this image."));
  const open = (layer, button) => answer.work(async () => {
    const found = await answer.post("v1/channels", {
      model: answer.model.name, layer: layer.name, top: SHOWN_CHANNELS,
    });
    for (const other of drawing.querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-pressed", "true");
    channels.replaceChildren(...channelGrid(answer, found));
    if (!answer.model.hidden_images) channels.append(patchesTool(answer, layer.name));
    return "";
  });
  const drawing = drawNet(table, open);
  return el("section", { class: "panel", "aria-label": name }, el("h3", {}, name), drawing, channels);
}

/** Blocks as high as the maps and as wide as the channels, on a scale of logarithms. */
function drawNet(table, open) {
  const groups = [];
  for (const layer of table.layers) {
    if (DRAWN.has(layer.kind)) groups.push([layer]);
    else groups.at(-1)?.push(layer);
  }
  return el("ol", { class: "net" }, inputStep(table.input), ...groups.map((group) => step(group, table, open)));
}

function inputStep(shape) {
  return el("li", {}, block("input", shape, shape[1]), el("span", { class: "name" }, "image"), shapeText(shape));
}

function step([layer, ...following], table, open) {
  const parts = [block(layer.kind, layer.output, table.input[1]),
    el("span", { class: "name" }, layer.name), shapeText(layer.output)];
  const words = following.map((one) => one.function ?? word(one.kind));
  const after = el("span", { class: "after soft" }, words.join(", "));
  if (layer.kind !== "conv") return el("li", {}, ...parts, after);
  const button = el("button", { type: "button", "aria-pressed": "false" }, ...parts);
  button.addEventListener("click", () => open(layer, button));
  return el("li", {}, button, after);
}

function word(kind) {
  return { response_norm: "norm", batch_norm: "batch norm", flatten: "flat" }[kind] ?? kind;
}

function block(kind, shape, largestSide) {
  const [channels, side = 1] = shape;
  const isMap = shape.length === 3;
  const node = el("i", { class: `block ${isMap ? kind : "vector"}` });
  const height = isMap ? Math.log2(1 + side) / Math.log2(1 + largestSide) : Math.log2(channels) / 13;
  const width = isMap ? Math.log2(channels) / 10 : 0;
  node.style.height = `${LOWEST + Math.min(1, height) * (HIGHEST - LOWEST)}rem`;
  node.style.width = `${THINNEST + Math.min(1, width) * (WIDEST - THINNEST)}rem`;
  return el("span", { class: "ground" }, node);
}

function shapeText(shape) {
  return el("span", { class: "shape soft" }, shape.map(count).join(" × "));
}

function channelGrid(answer, found) {
  const text = `The ${found.channels.length} strongest of ${found.num_channels} channels of ${found.layer}, `
    + "each from 0 to its own highest output, which is the number beside it. "
    + "A channel is shown on the image when it is chosen.";
  const tiles = found.channels.map((map) => channelTile(answer, found, readMap(map)));
  return [el("p", { class: "soft small" }, text), el("ul", { class: "channels" }, ...tiles)];
}

function channelTile(answer, found, map) {
  const text = `Channel ${map.channel} of ${found.layer}`;
  const canvas = paint(map);
  canvas.setAttribute("aria-hidden", "true");
  const button = el("button", { type: "button", "aria-label": `${text}, highest ${map.peak.toPrecision(3)}` }, canvas,
    el("span", {}, `${map.channel} `, el("span", { class: "soft" }, map.peak.toPrecision(3))));
  button.addEventListener("click", () => {
    const { picture } = answer.result;
    picture.setSize(found.width, found.height);
    picture.overlay.show(map, found.map_window, `${text}.`, found.window);
    picture.node.scrollIntoView({ block: "nearest" });
  });
  return el("li", {}, button);
}

/** The figure that `alexnet explain --filters` has written, if it has. */
function patchesTool(answer, layer) {
  const button = el("button", { type: "button" }, `Best patches of ${layer}`);
  const node = el("div", { class: "patches" }, button);
  button.addEventListener("click", () => answer.work(async () => {
    const blob = await answer.result.page.api.blob("v1/patches", { model: answer.model.name, layer });
    const alt = `What the channels of ${layer} respond to most`;
    const image = el("img", { alt, src: URL.createObjectURL(blob) });
    image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
    const scrolled = { class: "scroll", tabindex: "0", role: "region", "aria-label": image.alt };
    node.replaceChildren(el("div", scrolled, image));
    return "";
  }));
  return node;
}
