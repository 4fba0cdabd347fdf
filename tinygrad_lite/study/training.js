// Curves over the steps of a training, a table of its layers, and the page's reloading while the training lasts.

const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const WIDTH = 420, HEIGHT = 190, LEFT = 52, RIGHT = 10, TOP = 12, BOTTOM = 24;
const LATE = 60; // seconds without a new page after which it says so
const MOST = 14; // lines of a tip

/** A page that is reloaded keeps what was chosen. Storage is refused to some pages opened from files. */
const kept = {
  get(name) { try { return sessionStorage.getItem(name); } catch { return null; } },
  set(name, value) { try { sessionStorage.setItem(name, value); } catch { /* then a reload starts anew */ } },
};
let chosen = kept.get("layer");
let paused = kept.get("paused") === "yes";

/** From blue at the first layer over green to orange at the last, darker on a light background. */
function colourOf(i) {
  return hue(255 - (data.layers.length > 1 ? (215 * i) / (data.layers.length - 1) : 0));
}

function hue(angle) {
  return `light-dark(hsl(${angle} 75% 43%), hsl(${angle} 75% 64%))`;
}

const finite = (x) => typeof x === "number" && Number.isFinite(x);
const short = (x, share) => (x === null || x === undefined ? "" : share && finite(x) ? `${number(100 * x, 3)} %` : number(x, 3));

/** The curves of a chart: a name, a colour, and a value for each step. */
function curvesOf(field) {
  if (field === "loss") return [{ name: "loss", colour: "var(--gradient)", values: data.loss }];
  if (field === "rate") {
    const groups = Math.max(0, ...data.rates.map((rates) => rates.length));
    return Array.from({ length: groups }, (_, i) => ({
      name: `group ${i}`, colour: hue((210 + 137 * i) % 360), values: data.rates.map((rates) => rates[i] ?? null),
    }));
  }
  return data.layers.map((layer, i) => ({ name: layer.name, layer: layer.name, colour: colourOf(i), values: layer.curves[field] }));
}

/** Where values go: a function, and the ticks. */
function scaleOf(values, logarithmic, share) {
  const positive = logarithmic ? values.filter((x) => x > 0) : values;
  let low = Math.min(...positive), high = Math.max(...positive);
  if (logarithmic) {
    low = Math.log10(low);
    high = Math.log10(high);
    const flat = high - low < 0.02, every = Math.ceil((high - low) / 5);
    const ticks = [];
    for (let power = Math.floor(low); power <= high; power++) {
      for (const times of high - low < 1.8 ? [1, 2, 5] : power % every ? [] : [1]) ticks.push(times * 10 ** power);
    }
    if (flat) [low, high] = [low - 0.1, high + 0.1];
    const place = (x) => (x > 0 ? (Math.log10(x) - low) / (high - low) : 0);
    return { place, ticks: flat ? [positive[0]] : ticks.filter((x) => place(x) >= -0.01 && place(x) <= 1.01) };
  }
  if (share) [low, high] = [0, 1];
  else if (high - low < 1e-12 * Math.max(1, Math.abs(high))) [low, high] = [low - (Math.abs(low) || 1) / 10, high + (Math.abs(high) || 1) / 10];
  const raw = (high - low) / 5, unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * [1, 2, 5, 10].find((times) => times * unit >= raw * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-6; i++) ticks.push(Number((i * step).toPrecision(6)));
  return { place: (x) => (x - low) / (high - low), ticks };
}

const across = (step) => {
  const first = data.steps[0], last = data.steps.at(-1);
  return LEFT + (last > first ? (step - first) / (last - first) : 0.5) * (WIDTH - LEFT - RIGHT);
};

function chart([field, title, logarithmic, share]) {
  const curves = curvesOf(field).filter((curve) => curve.values.some(finite));
  if (!curves.length && field !== "loss") return null;
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  const figure = make("figure", { className: "chart" }, make("figcaption", { textContent: title }), drawing);
  figure.dataset.field = field;
  if (!curves.length) {
    const nothing = svg("text", { class: "none", x: WIDTH / 2, y: HEIGHT / 2 });
    nothing.textContent = data.steps.length ? "no backward from one finite number was seen" : "no step yet";
    drawing.append(nothing);
    return figure;
  }
  const { place, ticks } = scaleOf(curves.flatMap((curve) => curve.values.filter(finite)), logarithmic, share);
  const up = (x) => HEIGHT - BOTTOM - Math.max(0, place(x)) * (HEIGHT - TOP - BOTTOM);
  for (const tick of ticks) {
    drawing.append(svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: up(tick), y2: up(tick) }));
    const label = svg("text", { x: LEFT - 6, y: up(tick) + 3.5, "text-anchor": "end" });
    label.textContent = short(tick, share);
    drawing.append(label);
  }
  drawing.append(svg("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }));
  const ends = data.steps.length > 1 ? [[data.steps[0], "start"], [data.steps.at(-1), "end"]] : [[data.steps[0], "middle"]];
  for (const [step, anchor] of ends) {
    const label = svg("text", { x: across(step), y: HEIGHT - 8, "text-anchor": anchor });
    label.textContent = anchor === "end" ? step : `step ${step}`;
    drawing.append(label);
  }
  for (const curve of curves) {
    let path = "", joined = false;
    curve.values.forEach((x, i) => {
      if (finite(x)) path += `${joined ? "L" : "M"}${across(data.steps[i]).toFixed(1)} ${up(x).toFixed(1)}`;
      joined = finite(x);
    });
    const line = svg("path", { class: "curve", d: path, style: `stroke: ${curve.colour}` });
    if (curve.layer !== undefined) line.dataset.layer = curve.layer;
    drawing.append(line);
    if (data.steps.length === 1) {
      const point = svg("circle", { class: "point", cx: across(data.steps[0]), cy: up(curve.values[0]), r: 3, style: `fill: ${curve.colour}` });
      if (curve.layer !== undefined) point.dataset.layer = curve.layer;
      drawing.append(point);
    }
  }
  const last = curves.slice(0, 8).map((curve) => `${curve.name} ${short(curve.values.findLast(finite), share)}`);
  drawing.setAttribute("aria-label", `${title}, last: ${last.join(", ")}${curves.length > 8 ? ` and ${curves.length - 8} more` : ""}`);
  follow(drawing, curves, share);
  return figure;
}

/** A line at the step under the pointer, and a tip with the values there. */
function follow(drawing, curves, share) {
  const cursor = svg("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
  drawing.append(cursor);
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDTH;
    let i = 0;
    data.steps.forEach((step, j) => { if (Math.abs(across(step) - x) < Math.abs(across(data.steps[i]) - x)) i = j; });
    cursor.setAttribute("visibility", "visible");
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, across(data.steps[i]));
    const there = curves.filter((curve) => curve.values[i] !== null && (chosen === null || curve.layer === undefined || curve.layer === chosen));
    at("tip").replaceChildren(
      make("p", { textContent: `step ${data.steps[i]}` }),
      ...there.slice(0, MOST).map((curve) => make("p", {}, swatch(curve.colour), curve.name, make("b", { textContent: short(curve.values[i], share) }))),
      there.length > MOST ? make("p", { textContent: `and ${there.length - MOST} more` }) : null,
    );
    at("tip").hidden = false;
    const right = event.clientX + 16 + at("tip").offsetWidth > innerWidth;
    at("tip").style.left = `${right ? event.clientX - 12 - at("tip").offsetWidth : event.clientX + 16}px`;
    at("tip").style.top = `${Math.min(event.clientY + 12, innerHeight - at("tip").offsetHeight - 6)}px`;
  });
  drawing.addEventListener("pointerleave", () => {
    at("tip").hidden = true;
    cursor.setAttribute("visibility", "hidden");
  });
}

function swatch(colour) {
  const square = make("i", { className: "swatch" });
  square.style.background = colour;
  return square;
}

function layersTable() {
  if (!data.layers.length) return make("p", { className: "about", textContent: "No step has been watched yet." });
  const head = make("tr", {}, ...["layer", "kind", ...data.columns.map(([, title]) => title)].map((title) => make("th", { textContent: title, scope: "col" })));
  const lines = data.layers.map((layer, i) => {
    const name = make("button", { type: "button", className: "name", "aria-pressed": "false", title: "Show this layer alone" }, swatch(colourOf(i)), layer.name);
    name.addEventListener("click", () => choose(chosen === layer.name ? null : layer.name));
    const cells = data.columns.map(([field, , share]) => make("td", { textContent: short(layer.curves[field].at(-1), share) }));
    const row = make("tr", {}, make("th", { scope: "row" }, name), make("td", { textContent: layer.kind }), ...cells);
    row.dataset.layer = layer.name;
    return row;
  });
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...lines));
}

function reportTables() {
  return data.report.map(([letter, meaning, numbers, words]) =>
    make("table", {}, make("caption", { textContent: `${letter}  ${meaning}` }),
      make("tbody", {},
        ...numbers.map(([name, value]) => make("tr", {}, make("td", { textContent: name }), make("td", { textContent: number(value) }))),
        ...words.map((sentence) => make("tr", {}, make("td", { colSpan: 2, textContent: sentence }))))));
}

/** Show one layer alone in all charts, or (null) all of them. */
function choose(layer) {
  chosen = data.layers.some(({ name }) => name === layer) ? layer : null;
  if (chosen === null) { try { sessionStorage.removeItem("layer"); } catch { /* nothing was kept */ } } else kept.set("layer", chosen);
  for (const figure of document.querySelectorAll(".chart")) {
    const of = [...figure.querySelectorAll("[data-layer]")];
    for (const curve of of) curve.classList.toggle("lit", curve.dataset.layer === chosen);
    figure.classList.toggle("chosen", chosen !== null && of.length > 0);
  }
  for (const row of document.querySelectorAll("#layers tr[data-layer]")) {
    row.classList.toggle("lit", row.dataset.layer === chosen);
    row.querySelector("button").setAttribute("aria-pressed", String(row.dataset.layer === chosen));
  }
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
}

function switchTheme() {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark" ||
    (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  setTheme(dark ? "light" : "dark");
  kept.set("theme", dark ? "light" : "dark");
}

function ago(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function showState() {
  const age = Math.max(0, (Date.now() - data.written) / 1000);
  at("state").classList.toggle("live", data.live && age < LATE);
  const news = age < LATE ? `written ${ago(age)} ago` : `no news for ${ago(age)}: it may have ended, or be between two steps`;
  at("state").textContent = data.live ? `training, every ${data.every === 1 ? "step" : `${data.every} steps`} · ${news}` : "ended";
  at("pause").hidden = !data.live;
  at("pause").textContent = paused ? "Go on" : "Pause";
  at("pause").setAttribute("aria-pressed", String(paused));
}

function pause() {
  paused = !paused;
  kept.set("paused", paused ? "yes" : "no");
  showState();
}

setTheme(kept.get("theme"));
at("headline").textContent = data.headline;
at("words").hidden = !data.words.length;
at("words").append(...data.words.map((sentence) => make("p", { textContent: sentence })));
at("charts").append(...data.charts.map(chart).filter(Boolean));
at("layers").append(layersTable());
at("report").hidden = !data.report;
if (data.report) at("report").append(make("h2", { textContent: "Diagnosis" }), make("div", {}, ...reportTables()));
choose(chosen);
showState();
setInterval(showState, 1000);
if (data.live) setInterval(() => { if (!paused && !document.hidden && at("tip").hidden) location.reload(); }, data.seconds * 1000);

at("pause").addEventListener("click", pause);
at("theme").addEventListener("click", switchTheme);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "t") switchTheme();
  else if (event.key === "p" && data.live) pause();
  else if (event.key === "Escape") choose(null);
});
