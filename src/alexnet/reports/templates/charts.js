
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

setUpCharts();
