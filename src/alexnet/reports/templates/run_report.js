
const images = readData("images-data") ?? { classes: [], rows: [] };
const percentText = (p) => `${(100 * p).toFixed(p < 0.1 ? 1 : 0)} %`;

/** An image with its label, its prediction and their probabilities. */
function imageItem([url, name, label, predicted, probability, best]) {
  const classes = images.classes, isRight = label === predicted;
  const line = (cls, mark, text, p) => el("div", { class: cls, title: text }, el("span", { class: "cut" }, mark, el("bdi", {}, text)), el("span", {}, ` ${percentText(p)}`));
  return el("li", {},
    el("img", { src: url, alt: `${name}: label ${classes[label]}, predicted ${classes[predicted]}`, title: name }),
    el("div", { class: "caption" },
      line(isRight ? "right" : "wrong", isRight ? "✓ " : "✗ ", classes[predicted], best),
      isRight ? null : line("", "is ", classes[label], probability),
      el("div", { class: "soft", title: name }, el("bdi", { class: "cut" }, name))));
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
  const title = el("h3", {}, el("bdi", {}, classes[label]));
  if (predicted !== null) title.append(label === predicted ? " predicted correctly" : " predicted as ", label === predicted ? "" : el("bdi", {}, classes[predicted]));
  const total = count ?? null;
  const note = total !== null && rows.length < total ? `${rows.length} of ${total} images are in this page` : `${rows.length} image${rows.length === 1 ? "" : "s"}`;
  drawer.replaceChildren(
    el("div", { class: "toolbar" }, title, el("span", { class: "soft small" }, note)),
    el("ul", { class: "images" }, ...rows.slice(0, 96).map(imageItem)));
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

setUpLosses();
setUpConfusion();
setUpNavigation();

/** On a served page: looks every two seconds whether the run has gone on, and loads it again. */
function setUpRefresh() {
  const live = document.getElementById("live");
  if (!live) return;
  const look = async () => {
    try {
      const answer = await fetch(location.href, { method: "HEAD", cache: "no-store" });
      if (answer.ok && answer.headers.get("ETag") !== `"${live.dataset.version}"`) location.reload();
      live.textContent = "live";
    } catch {
      live.textContent = "the server has stopped";
    }
  };
  setInterval(look, 2000);
}

setUpRefresh();
