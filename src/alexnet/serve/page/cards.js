/** What is known about the models: data, error with its interval, limits. */
import { el } from "./base.js";
import { percent } from "./format.js";
import { examples } from "./training.js";

const SPLITS = { val: "validation", train: "training" };
const count = (number) => number.toLocaleString("en");

/**
 * @param {object} model of the API
 * @param {import("./api.js").Api} api
 */
export function modelCard(model, api) {
  return el("article", { class: "card model-card", "aria-label": model.name },
    el("h3", { class: "model" }, el("bdi", {}, model.name)),
    errorFigure(model),
    el("dl", { class: "facts" }, ...facts(model).flatMap(([name, value]) =>
      [el("dt", {}, name), el("dd", {}, el("bdi", {}, value))])),
    el("h3", {}, "Limits"),
    el("ul", { class: "limits" }, ...model.limits.map((line) => el("li", {}, line))),
    el("details", {}, el("summary", {}, `${count(model.class_names.length)} classes`),
      el("p", { class: "small" }, model.class_names.join(", "))),
    model.hidden_images
      ? el("p", { class: "missing" }, `Images of the training data are not shown: ${model.hidden_images}.`)
      : examples(api, model));
}

function errorFigure(model) {
  const { evaluation } = model;
  if (!evaluation) return measuredElsewhere(model);
  const { low, high } = evaluation.top1_interval;
  return el("div", { class: "figure" },
    el("div", { class: "value" }, percent(evaluation.top1_error)),
    el("div", {},
      el("div", { class: "what" }, `${splitName(evaluation.split)} error`),
      el("div", { class: "soft" },
        `95 % interval ${(100 * low).toFixed(1)} to ${percent(high)}, n = ${count(evaluation.num_images)}`),
      evaluation.split === "val" ? el("div", { class: "soft small" },
        "These images chose the epoch: it is a little higher on others.") : null));
}

/** Of a model file alone: its error, if it tells one. */
function measuredElsewhere(model) {
  const error = model.test_top1_error ?? model.val_top1_error;
  if (error === null) return el("p", { class: "soft" }, "Its error is not known.");
  const name = model.test_top1_error === null ? "validation" : "test";
  return el("div", { class: "figure" }, el("div", { class: "value" }, percent(error)),
    el("div", {}, el("div", { class: "what" }, `${name} error`),
      el("div", { class: "soft" }, "on how many images is not known")));
}

function facts(model) {
  const { evaluation } = model;
  const images = Object.entries(model.num_images).map(([split, number]) =>
    `${count(number)} ${splitName(split)} images`);
  return [
    ["data", [model.data || "not known", ...images].join(", ")],
    ["top-5 error", hasTop5(model) ? percent(evaluation.top5_error) : ""],
    ["network", model.architecture],
    ["input", `${model.input_size} × ${model.input_size} pixels of the middle of the image`],
  ].filter(([, value]) => value);
}

function hasTop5({ evaluation, class_names: names }) {
  return evaluation && evaluation.top5_error !== null && names.length > 5;
}

function splitName(split) {
  return SPLITS[split] ?? split;
}
