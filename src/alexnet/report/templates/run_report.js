
/** Values under the pointer or the arrow keys, for every figure with data-chart. */
function setUpCharts() {
  for (const figure of document.querySelectorAll("figure[data-chart]")) setUpChart(figure);
}

function setUpChart(figure) {
  const svg = figure.querySelector(":scope > svg"), chart = JSON.parse(figure.dataset.chart);
  const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  const tip = el("div", { class: "tip", hidden: true });
  const voice = el("div", { class: "sr", "aria-live": "polite" });
  figure.append(tip, voice);
  let shown = -1, marks = [];

  const hide = () => {
    shown = -1;
    tip.hidden = true;
    for (const mark of marks) mark.remove();
    marks = [];
  };
  const show = (index, isSpoken) => {
    if (index === shown || !chart.xs.length) return;
    hide();
    shown = index;
    const x = chart.xs[index], title = `${chart.name} ${chart.labels[index]}`;
    marks.push(shape("line", { class: "cursor", x1: x, x2: x, y1: 8, y2: height - 28 }));
    const rows = chart.lines.map((line) => {
      if (line.ys[index] !== null) {
        marks.push(shape("circle", { class: `cursor-dot f-${line.color}`, cx: x, cy: line.ys[index], r: 4 }));
      }
      return el("div", {}, el("span", { class: `swatch b-${line.color}` }), el("bdi", {}, line.name), el("b", {}, line.texts[index]));
    });
    svg.append(...marks);
    tip.replaceChildren(el("div", { class: "soft" }, el("bdi", {}, title)), ...rows);
    tip.hidden = false;
    const box = svg.getBoundingClientRect(), own = figure.getBoundingClientRect();
    const at = box.left - own.left + (x / width) * box.width;
    const left = at + 14 + tip.offsetWidth > own.width ? at - 14 - tip.offsetWidth : at + 14;
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${box.top - own.top + 12}px`;
    if (isSpoken) voice.textContent = `${title}: ${chart.lines.map((l) => `${l.name} ${l.texts[index]}`).join(", ")}`;
  };

  const point = (event) => {
    const box = svg.getBoundingClientRect(), x = ((event.clientX - box.left) / box.width) * width;
    let best = 0;
    chart.xs.forEach((value, i) => { if (Math.abs(value - x) < Math.abs(chart.xs[best] - x)) best = i; });
    show(best, false);
  };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    const last = chart.xs.length - 1;
    const next = {
      ArrowRight: shown < 0 ? 0 : Math.min(shown + 1, last), ArrowLeft: shown < 0 ? last : Math.max(shown - 1, 0),
      Home: 0, End: last,
    }[event.key];
    if (event.key === "Escape") hide();
    if (next === undefined) return;
    event.preventDefault();
    show(next, true);
  });
}

function shape(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

const images = readData("images-data") ?? { classes: [], rows: [] };
const percentText = (p) => `${(100 * p).toFixed(p < 0.1 ? 1 : 0)} %`;

/** An image with its label, its prediction and their probabilities. */
function imageItem([url, name, label, predicted, probability, best]) {
  const classes = images.classes, isRight = label === predicted;
  const line = (cls, mark, text, p) => el("div", { class: cls, title: text }, mark, el("bdi", {}, text), ` ${percentText(p)}`);
  return el("li", {},
    el("img", { src: url, alt: `${name}: label ${classes[label]}, predicted ${classes[predicted]}`, loading: "lazy", title: name }),
    el("div", { class: "caption" },
      line(isRight ? "right" : "wrong", isRight ? "✓ " : "✗ ", classes[predicted], best),
      isRight ? null : line("", "is ", classes[label], probability),
      el("div", { class: "soft", title: name }, el("bdi", {}, name))));
}

const STEP = 24;

function setUpLosses() {
  const list = document.getElementById("loss-images");
  if (!list) return;
  const filter = document.getElementById("loss-filter"), more = document.getElementById("loss-more");
  const selects = [document.getElementById("loss-class"), document.getElementById("loss-predicted")];
  const state = { show: "all", count: STEP };
  selects.forEach((select, which) => {
    const present = [...new Set(images.rows.map((row) => row[2 + which]))];
    present.sort((a, b) => a - b);
    select.append(...present.map((i) => el("option", { value: String(i) }, images.classes[i])));
    select.addEventListener("change", () => { state.count = STEP; draw(); });
  });
  const buttons = [...filter.querySelectorAll("[data-show]")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      state.show = button.dataset.show;
      state.count = STEP;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      draw();
    });
  }
  more.addEventListener("click", () => { state.count += 4 * STEP; draw(); });

  function draw() {
    const [label, predicted] = selects.map((select) => select.value);
    const rows = images.rows.filter((row) =>
      (state.show === "all" || (state.show === "right") === (row[2] === row[3])) &&
      (label === "" || row[2] === Number(label)) && (predicted === "" || row[3] === Number(predicted)));
    list.replaceChildren(...rows.slice(0, state.count).map(imageItem));
    more.hidden = rows.length <= state.count;
    document.getElementById("loss-count").textContent = `${rows.length} image${rows.length === 1 ? "" : "s"}`;
  }
  draw();
}

/** The images of a cell of the confusion matrix, or of a class. */
function showCell(label, predicted, count) {
  const drawer = document.getElementById("cell"), classes = images.classes;
  const rows = images.rows.filter((row) => (label === null || row[2] === label) && (predicted === null || row[3] === predicted));
  const close = el("button", { type: "button" }, "close");
  close.addEventListener("click", () => { drawer.hidden = true; select(null); });
  const title = el("h3", {}, el("bdi", {}, classes[label]));
  if (predicted !== null) title.append(label === predicted ? " predicted correctly" : " predicted as ", label === predicted ? "" : el("bdi", {}, classes[predicted]));
  const total = count ?? null;
  const note = total !== null && rows.length < total ? `${rows.length} of ${total} images are in this page` : `${rows.length} image${rows.length === 1 ? "" : "s"}`;
  drawer.replaceChildren(
    el("div", { class: "toolbar" }, title, el("span", { class: "soft small" }, note), close),
    el("ul", { class: "images" }, ...rows.slice(0, 96).map(imageItem)));
  drawer.hidden = false;
  return drawer;
}

function select(cell) {
  for (const other of document.querySelectorAll(".matrix [aria-selected]")) other.removeAttribute("aria-selected");
  if (cell) cell.setAttribute("aria-selected", "true");
}

function setUpConfusion() {
  const cells = [...document.querySelectorAll(".matrix td[data-count]")];
  const open = (cell) => {
    select(cell);
    showCell(Number(cell.dataset.label), Number(cell.dataset.predicted), Number(cell.dataset.count));
  };
  if (cells.length) cells[0].tabIndex = 0;
  for (const cell of cells) {
    const { label, predicted, count, share } = cell.dataset, classes = images.classes;
    cell.title = `${classes[label]} predicted as ${classes[predicted]}: ${count} (${share} %)`;
    cell.setAttribute("role", "gridcell");
    cell.addEventListener("click", () => open(cell));
    cell.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(cell); return; }
      const next = neighbor(cell, event.key);
      if (!next) return;
      event.preventDefault();
      cell.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
  }
  const buttons = [...document.querySelectorAll("[data-cells]")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      for (const cell of cells) cell.textContent = cell.dataset[button.dataset.cells];
    });
  }
  for (const button of document.querySelectorAll("button[data-predicted]")) {
    button.addEventListener("click", () => {
      showCell(Number(button.dataset.label), Number(button.dataset.predicted), Number(button.textContent)).scrollIntoView({ block: "nearest" });
    });
  }
  for (const button of document.querySelectorAll("button[data-class]")) {
    button.addEventListener("click", () => {
      showCell(Number(button.dataset.class), null, null).scrollIntoView({ block: "start" });
    });
  }
}

/** The nearest cell with images in the direction of an arrow key. */
function neighbor(cell, key) {
  const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[key];
  if (!step) return null;
  const rows = [...cell.closest("tbody").rows];
  let row = rows.indexOf(cell.parentElement) + step[0], column = cell.cellIndex + step[1];
  for (; rows[row]?.cells[column]; row += step[0], column += step[1]) {
    if (rows[row].cells[column].dataset.count) return rows[row].cells[column];
  }
  return null;
}

function setUpNavigation() {
  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  for (const section of document.querySelectorAll("section[id]")) observer.observe(section);
}

setUpCharts();
setUpLosses();
setUpConfusion();
setUpNavigation();
