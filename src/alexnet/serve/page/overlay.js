/** A map of numbers that is faded in over the image. */
import { el } from "./base.js";

const FIRST_OPACITY = 60; // percent
const FAINTEST = 0.15; // share of the scale of colors that a zero gets
/** The scale of colors "inferno" of matplotlib at nine places, red, green and blue. */
const INFERNO = [
  [0, 0, 4], [31, 12, 72], [85, 15, 109], [136, 34, 106], [186, 54, 85],
  [227, 89, 51], [249, 140, 10], [249, 201, 50], [252, 255, 164],
];

/**
 * @typedef {object} NumberMap of the API
 * @property {number} width
 * @property {number} height
 * @property {string} values float32 in base64, row by row
 *
 * @typedef {{left: number, top: number, right: number, bottom: number}} Place
 *   in fractions of the image's width and height
 */

/** @param {NumberMap} map */
export function readMap(map) {
  const bytes = Uint8Array.from(atob(map.values), (letter) => letter.charCodeAt(0));
  const values = new Float32Array(bytes.buffer);
  return { ...map, values, peak: values.reduce((high, value) => Math.max(high, value), 0) };
}

/**
 * A canvas with a color for every number, from zero to the map's highest.
 * @param {ReturnType<typeof readMap>} map
 */
export function paint({ width, height, values, peak }) {
  const canvas = el("canvas", { width, height, role: "img" });
  const image = new ImageData(width, height);
  values.forEach((value, i) => {
    const share = peak > 0 ? Math.max(0, value) / peak : 0;
    image.data.set([...color(FAINTEST + (1 - FAINTEST) * share), 255], 4 * i);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function color(share) {
  const position = share * (INFERNO.length - 1);
  const below = Math.min(Math.floor(position), INFERNO.length - 2);
  return INFERNO[below].map((low, i) => low + (position - below) * (INFERNO[below + 1][i] - low));
}

/** The canvas over an image, and the slider that fades it. */
export class Overlay {
  /** @param {HTMLElement} stage contains the image, and nothing beside it */
  constructor(stage) {
    this.layer = el("div", { class: "layer" });
    this.slider = el("input", { type: "range", min: 0, max: 100, value: FIRST_OPACITY });
    this.slider.addEventListener("input", () => this.fade());
    this.text = el("span", { class: "small soft" });
    this.node = el("label", { class: "fade", hidden: true }, this.text, this.slider);
    stage.append(this.layer);
  }

  /**
   * @param {ReturnType<typeof readMap>} map
   * @param {Place} place of the map on the image
   * @param {string} text what is shown
   * @param {Place} clip the part of the image that the network gets
   */
  show(map, place, text, clip = place) {
    const canvas = paint(map);
    canvas.setAttribute("aria-label", `${text} ${whereHighest(map, place)}`);
    setPlace(canvas, place);
    this.layer.style.clipPath = `inset(${[clip.top, 1 - clip.right, 1 - clip.bottom, clip.left]
      .map((part) => `${100 * part}%`).join(" ")})`;
    this.layer.replaceChildren(canvas);
    this.text.textContent = text;
    this.node.hidden = false;
    if (this.slider.value === "0") this.slider.value = FIRST_OPACITY;
    this.fade();
  }

  fade() {
    this.layer.style.opacity = this.slider.value / 100;
    this.slider.setAttribute("aria-valuetext", `${this.slider.value} %`);
  }
}

function setPlace(node, { left, top, right, bottom }) {
  const percents = { left, top, width: right - left, height: bottom - top };
  for (const [name, part] of Object.entries(percents)) node.style[name] = `${100 * part}%`;
}

/** For those who do not see it. */
function whereHighest({ width, height, values, peak }, { left, top, right, bottom }) {
  if (peak <= 0) return "";
  const index = values.indexOf(peak);
  const x = left + ((index % width) + 0.5) / width * (right - left);
  const y = top + (Math.floor(index / width) + 0.5) / height * (bottom - top);
  return `Highest at ${Math.round(100 * x)} % from the left and ${Math.round(100 * y)} % from the top.`;
}
