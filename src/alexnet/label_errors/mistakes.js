/** Keeps the decisions when the page is closed, where the browser keeps any. */
const store = {
  get(key) { try { return localStorage.getItem(key); } catch { return null; } },
  set(key, value) { try { localStorage.setItem(key, value); } catch { /* not kept */ } },
};

/** Decisions on suspects: {image: {choice, newLabel}}, kept by the browser where it keeps any. */
function setUpReview() {
  const list = document.getElementById("suspects");
  if (!list) return;
  const data = readData("data"), decisions = readDecisions(data);
  const nodes = data.suspects.map((suspect) => card(suspect, data));
  let current = 0;

  const visible = () => nodes.map((node, i) => i).filter((i) => !nodes[i].hidden);

  function show(i) {
    const { choice = "", newLabel } = decisions[data.suspects[i].image] ?? {};
    nodes[i].dataset.choice = choice;
    for (const button of nodes[i].querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.do === choice));
    }
    if (newLabel) nodes[i].querySelector("select").value = newLabel;
  }

  function showCount() {
    const count = Object.keys(decisions).length;
    document.getElementById("count").textContent = `${count} of ${nodes.length} decided`;
    document.getElementById("done").value = count;
    document.getElementById("save").disabled = count === 0;
  }

  function decide(i, choice) {
    const { image } = data.suspects[i], newLabel = nodes[i].querySelector("select").value;
    if (choice === "relabel" && !newLabel) {
      nodes[i].querySelector("select").focus();
      return;
    }
    if (!choice) delete decisions[image];
    else decisions[image] = choice === "relabel" ? { choice, newLabel } : { choice };
    store.set(`mistakes-${data.key}`, JSON.stringify(decisions));
    show(i);
    showCount();
  }

  function focus(i) {
    current = i;
    nodes[i].focus({ preventScroll: true });
    nodes[i].scrollIntoView({ block: "nearest" });
  }

  function move(step) {
    const shown = visible();
    if (!shown.length) return;
    const at = shown.indexOf(current), next = at < 0 ? 0 : at + step;
    if (next >= 0 && next < shown.length) focus(shown[next]);
  }

  function filter() {
    const kind = document.getElementById("filter").value;
    data.suspects.forEach((suspect, i) => {
      const isDecided = suspect.image in decisions;
      const isShown = { all: true, likely: suspect.likely, open: !isDecided, decided: isDecided };
      nodes[i].hidden = !isShown[kind];
    });
    const shown = visible();
    document.getElementById("none").hidden = shown.length > 0;
    if (shown.length && !shown.includes(current)) current = shown[0];
  }

  list.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-do]");
    if (!button) return;
    const i = nodes.indexOf(button.closest(".suspect"));
    current = i;
    decide(i, button.getAttribute("aria-pressed") === "true" ? "" : button.dataset.do);
  });
  list.addEventListener("change", (event) => {
    const i = nodes.indexOf(event.target.closest(".suspect"));
    if (event.target.value && event.target.value !== data.suspects[i].label) decide(i, "relabel");
  });
  list.addEventListener("focusin", (event) => {
    current = nodes.indexOf(event.target.closest(".suspect"));
  });
  document.getElementById("filter").addEventListener("change", filter);
  document.getElementById("save").addEventListener("click", () => save(data, decisions));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input")) return;
    const choices = { k: "keep", r: "relabel", d: "drop", u: "" };
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    if (event.key in choices && !nodes[current].hidden) {
      decide(current, choices[event.key]);
      if (choices[event.key] && decisions[data.suspects[current].image]) move(1);
    } else if (event.key in steps) {
      move(document.activeElement === nodes[current] ? steps[event.key] : 0);
    } else return;
    event.preventDefault();
  });

  list.append(...nodes);
  nodes.forEach((node, i) => show(i));
  showCount();
}

/** What was decided before on this page. */
function readDecisions(data) {
  const known = new Set(data.suspects.map((suspect) => suspect.image));
  try {
    const kept = Object.entries(JSON.parse(store.get(`mistakes-${data.key}`) ?? "{}"));
    return Object.assign(Object.create(null), Object.fromEntries(kept.filter(([image]) => known.has(image))));
  } catch {
    return Object.create(null);
  }
}

function card(suspect, data) {
  const number = data.suspects.indexOf(suspect) + 1, count = data.suspects.length;
  const reasons = {
    prediction: suspect.likely ? "probably wrong" : "perhaps wrong",
    duplicate: "also in another class",
    duplicate_across_splits: "also in another split",
  };
  const photo = suspect.url
    ? el("img", { class: "photo", src: suspect.url, alt: `image ${suspect.image}` })
    : el("div", { class: "photo" });
  const select = el("select", { "aria-label": "new label" }, el("option", { value: "" }, "relabel as …"));
  for (const name of data.classes) {
    if (name !== suspect.label) select.append(el("option", { value: name }, name));
  }
  select.value = suspect.suggested;
  const action = (choice, text) => el("button", { type: "button", "data-do": choice, "aria-pressed": "false" }, text);
  return el("li", { class: "suspect", tabindex: "0", "aria-label": `suspect ${number} of ${count}: ${suspect.image}` },
    el("div", { class: "top" }, el("bdi", { class: "clip" }, suspect.image), el("span", {}, `${number}`)),
    photo,
    el("div", { class: "claims" },
      ...claim("labelled", suspect.label, suspect.p, data),
      ...(suspect.suggested ? claim("suggested", suspect.suggested, suspect.q, data) : [])),
    el("div", { class: "small soft" }, reasons[suspect.reason],
      suspect.copy ? el("span", {}, ": ", el("bdi", {}, suspect.copy)) : null),
    el("div", { class: "actions" }, action("keep", "keep"), action("relabel", "relabel"), action("drop", "drop"), select));
}

/** A class with an example of it and its probability. */
function claim(what, name, probability, data) {
  const url = data.examples[name], percent = 100 * (probability ?? 0);
  const bar = el("i", {});
  bar.style.width = `${percent}%`;
  return [
    url ? el("img", { src: url, alt: `example of ${name}` }) : el("span", { class: "blank" }),
    el("div", { class: what }, el("span", { class: "what" }, what), el("bdi", {}, name), el("span", { class: "meter" }, bar)),
    el("div", { class: "p" }, probability === null ? "" : `${percent.toFixed(percent < 10 ? 1 : 0)} %`),
  ];
}

/** Download the decisions as CSV, in the order of the suspects. */
function save(data, decisions) {
  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = [["image", "label", "decision", "new_label"]];
  for (const { image, label } of data.suspects) {
    const found = decisions[image];
    if (found) lines.push([image, label, found.choice, found.newLabel ?? ""]);
  }
  const text = lines.map((line) => `${line.map(cell).join(",")}\n`).join("");
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const link = el("a", { href: url, download: document.getElementById("review").dataset.file });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

setUpReview();
