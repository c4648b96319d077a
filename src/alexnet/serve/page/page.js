/** The page of `alexnet serve`: everything on it comes from the API. */
import { createApi } from "./api.js";
import { el } from "./base.js";
import { modelCard } from "./cards.js";
import { setUpIntake } from "./intake.js";
import { Queue } from "./queue.js";
import { Result } from "./results.js";
import { askToken } from "./token.js";

const AT_ONCE = 3;
const byId = (id) => document.getElementById(id);

/** What is on the page: the models, and images with their answers. */
export class Page {
  constructor() {
    this.api = createApi(askToken);
    this.models = [];
    this.results = [];
    this.tables = new Map();
    this.queue = new Queue(AT_ONCE, showProgress);
  }

  get crops() {
    return byId("ten-crops").checked ? 10 : 1;
  }

  get shownModels() {
    if (this.models.length === 1) return this.models;
    const shown = new Set([...document.querySelectorAll("#models input:checked")].map((box) => box.value));
    return this.models.filter((model) => shown.has(model.name));
  }

  /** Get the models; what stands in the way is shown with a button to try again. */
  async start() {
    hideNotice();
    try {
      this.models = (await this.api.json("v1/models")).models;
    } catch (problem) {
      const again = el("button", { type: "button" }, "Try again");
      again.addEventListener("click", () => this.start());
      showNotice(problem.message, again);
      return;
    }
    showModels(this);
    this.update();
  }

  /** @param {File[]} files */
  add(files) {
    hideNotice();
    for (const file of files) {
      const result = new Result(file, this, () => this.remove(result));
      this.results.unshift(result);
      byId("results").prepend(result.node);
    }
    this.update();
  }

  remove(result) {
    const next = result.node.nextElementSibling ?? result.node.previousElementSibling;
    this.results = this.results.filter((other) => other !== result);
    result.close();
    byId("clear").hidden = !this.results.length;
    (next?.querySelector(".remove") ?? byId("choose")).focus();
  }

  /** Ask for every answer that is shown and not there yet. */
  update() {
    byId("clear").hidden = !this.results.length;
    const models = this.shownModels, crops = this.crops;
    for (const result of [...this.results].reverse()) {
      result.showModels(models);
      for (const model of models) this.answer(result.answers.get(model.name), crops);
    }
  }

  answer(answer, crops) {
    if (answer.wanted === crops) return;
    answer.wanted = crops;
    this.queue.add(() => answer.ask(crops));
  }

  /** The table of a model's network; it is asked for once. */
  async layersOf(model) {
    if (!this.tables.has(model.name)) {
      this.tables.set(model.name, await this.api.json("v1/layers", { model: model.name }));
    }
    return this.tables.get(model.name);
  }

  /** Tell something to those who do not see the page. */
  say(text) {
    byId("status").textContent = text;
  }
}

function showNotice(text, ...more) {
  byId("notice").replaceChildren(el("p", { class: "error" }, text), ...more);
  byId("notice").hidden = false;
}

function hideNotice() {
  byId("notice").hidden = true;
}

function showProgress(done, total) {
  const [bar, text] = byId("progress").children;
  byId("progress").hidden = total === 0;
  bar.max = total || 1;
  bar.value = done;
  text.textContent = `${done} of ${total} answered`;
}

/** The heading, a box for each of several models, and their cards. */
function showModels(page) {
  const { models } = page, [first] = models;
  const isOne = models.length === 1;
  document.title = `${models.map((model) => model.name).join(", ")} – alexnet`;
  byId("title").replaceChildren(isOne ? el("bdi", {}, first.name) : `${models.length} models`);
  byId("about").textContent = isOne ? describe(first) : "Every image is shown to all of them that are ticked.";
  const boxes = models.map((model) => {
    const box = el("input", { type: "checkbox", value: model.name, checked: true });
    box.addEventListener("change", () => page.update());
    return el("label", {}, box, " ", el("bdi", {}, model.name));
  });
  byId("models").replaceChildren(byId("models").firstElementChild, ...boxes);
  byId("models").hidden = isOne;
  byId("cards").classList.toggle("many", !isOne);
  byId("cards").replaceChildren(el("h2", {}, isOne ? "About the model" : "About the models"),
    el("div", { class: "columns" }, ...models.map((model) => modelCard(model, page.api))));
}

function describe(model) {
  const data = model.data ? `, trained on ${model.data}` : "";
  return `${model.architecture}${data}: tells ${model.class_names.length.toLocaleString("en")} classes apart`;
}

function setUp() {
  const page = new Page();
  setUpIntake(byId("intake"), (files) => page.add(files), showNotice);
  byId("ten-crops").addEventListener("change", () => page.update());
  byId("clear").addEventListener("click", () => [...page.results].forEach((one) => page.remove(one)));
  page.start();
}

setUp();
