/** One image, and what the models say of it. */
import { fileBody } from "./api.js";
import { el } from "./base.js";
import { gradCamTool } from "./explain.js";
import { percent } from "./format.js";
import { layersTool } from "./layers.js";
import { Picture } from "./picture.js";
import { nearestTool } from "./training.js";

const TOP = 5;

/** An image with a column of answers for each model. */
export class Result {
  /**
   * @param {File} file
   * @param {import("./page.js").Page} page
   * @param {() => void} onRemove
   */
  constructor(file, page, onRemove) {
    this.file = file;
    this.page = page;
    this.answers = new Map();
    this.picture = new Picture(file);
    const remove = el("button", { type: "button", class: "quiet remove", "aria-label": `Remove ${file.name}` }, "×");
    remove.addEventListener("click", onRemove);
    this.columns = el("div", { class: "columns" });
    this.panels = el("div", { class: "panels" });
    this.node = el("article", { class: "card result", "aria-label": file.name },
      this.picture.node, this.columns, this.panels, remove);
  }

  /** Show columns for these models, and answers in those that have none yet. */
  showModels(models) {
    for (const model of models) {
      if (!this.answers.has(model.name)) this.answers.set(model.name, new Answer(this, model));
    }
    this.columns.replaceChildren(...models.map((model) => this.answers.get(model.name).node));
    this.node.classList.toggle("many", models.length > 1);
  }

  close() {
    this.node.remove();
    this.picture.close();
  }
}

/** What one model says of one image. */
export class Answer {
  constructor(result, model) {
    this.result = result;
    this.model = model;
    this.wanted = 0; // the crops of the answer that is shown, or asked for
    this.classTools = el("span", {}); // they know the most probable classes
    this.tools = el("div", { class: "toolbar tools" }, this.classTools, layersTool(this),
      model.hidden_images ? null : nearestTool(this));
    this.toolState = el("p", { class: "soft small", role: "status" });
    this.content = el("div", {}, el("p", { class: "soft" }, "waiting …"));
    this.node = el("section", { class: "answer", "aria-label": `Answer of ${model.name}` },
      el("h3", { class: "model" }, el("bdi", {}, model.name)), this.content);
  }

  /** Ask the model; an answer that is not wanted any more is forgotten. */
  async ask(crops) {
    if (this.wanted !== crops) return;
    this.node.setAttribute("aria-busy", "true");
    const show = await this.predict(crops).then(
      (prediction) => () => this.show(prediction),
      (problem) => () => this.showProblem(problem, crops),
    );
    if (this.wanted !== crops) return;
    this.node.removeAttribute("aria-busy");
    show();
  }

  async predict(crops) {
    const parameters = { model: this.model.name, top: TOP, crops };
    const answer = await this.post("v1/predict", parameters, (problem) => this.wait(problem));
    return answer.predictions[0];
  }

  /** Ask the API about this image. */
  async post(path, parameters, onWait = (problem) => this.tell(problem.message)) {
    const body = await fileBody(this.result.file);
    return this.result.page.api.json(path, parameters, { ...body, onWait });
  }

  /** Run what a tool does, which gives a sentence; errors become one. */
  async work(task) {
    this.tell("computing …");
    this.tell(await task().catch((problem) => problem.message));
  }

  tell(text) {
    this.toolState.textContent = text;
  }

  get isAlone() {
    return this.result.page.models.length === 1;
  }

  show(prediction) {
    this.top = prediction.top_classes;
    this.classTools.replaceChildren(gradCamTool(this));
    this.content.replaceChildren(best(this.top[0]), bars(this.top), this.tools, this.toolState);
    this.say(`${this.top[0].label}, ${percent(this.top[0].probability)}`);
  }

  showProblem(problem, crops) {
    const isFinal = problem.status >= 400 && problem.status < 500;
    const again = el("button", { type: "button" }, "Try again");
    again.addEventListener("click", () => this.result.page.answer(this, crops));
    if (!isFinal) this.wanted = 0;
    this.content.replaceChildren(el("p", { class: "error" }, problem.message), isFinal ? "" : again);
    this.say(problem.message);
  }

  say(text) {
    this.result.page.say(`${this.result.file.name}: ${text}`);
  }

  wait(problem) {
    this.content.replaceChildren(el("p", { class: "soft" }, problem.message));
  }
}

function best(first) {
  return el("p", { class: "best" }, el("bdi", {}, first.label), " ",
    el("span", { class: "n" }, percent(first.probability)));
}

function bars(classes) {
  return el("ol", { class: "bars", "aria-label": "Most probable classes" }, ...classes.map(bar));
}

function bar({ label, probability }) {
  const length = el("i");
  length.style.width = `${100 * probability}%`;
  return el("li", {}, el("bdi", { class: "label" }, label),
    el("span", { class: "n" }, percent(probability)), el("span", { class: "track" }, length));
}
