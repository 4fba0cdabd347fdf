"use strict";
// The page: one moment of a backward pass and one selected entry, shown in the picture, the program and the panel.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
data.values.forEach((value, i) => { value.number = i; });

const users = data.entries.map(() => []); // of each entry, those that have it as an input
data.entries.forEach((entry, i) => new Set(entry.inputs).forEach((input) => users[input].push(i)));

let pass = null, position = 0, selected = null, stepOf = new Map(), frame = 0, playing = 0;

const picture = new Picture(data, $("view"), {
  entry: (number) => select(number),
  group: (group) => { picture.toggle(group); say(`${data.groups[group].path} ${picture.open.has(group) ? "unfolded" : "folded"}`); },
});

// -- time ----------------------------------------------------------------------------------------

function choose(index) {
  pass = data.passes[index] ?? { roots: {}, steps: [], gradients: {}, complete: false };
  stepOf = new Map(pass.steps.map((step, i) => [step.entry, i + 1]));
  $("slider").max = pass.steps.length;
  const roots = Object.keys(pass.roots).map((number) => data.entries[number]);
  if (roots.length) $("title").textContent = `Backward of ${roots.map((root) => root.name || root.operation).join(", ")}`;
  for (const id of ["slider", "first", "previous", "next", "last", "play"]) $(id).disabled = !pass.steps.length;
  go(0);
}

/** Show the pass after `where` steps; 0 is before the first. */
function go(where) {
  position = Math.max(0, Math.min(pass.steps.length, where));
  selected = position ? pass.steps[position - 1].entry : Number(Object.keys(pass.roots)[0] ?? data.entries.length - 1);
  show();
  picture.show(selected);
}

function select(number, reveal = false) {
  selected = number;
  if (reveal) picture.reveal(number);
  show();
  if (reveal) picture.show(number);
}

/** What each entry has of its gradient at this moment. */
function gradientsNow() {
  const found = new Map(Object.entries(pass.roots).map(([number, value]) => [Number(number), value]));
  for (const step of pass.steps.slice(0, position)) {
    found.set(step.entry, step.cotangent);
    for (const [to, , , , total] of step.sent) found.set(to, total);
  }
  if (position && position === pass.steps.length) {
    for (const [number, value] of Object.entries(pass.gradients)) found.set(Number(number), value);
  }
  return found;
}

/** Where a step sends gradients. One of several results has no rule: it hands its gradient on to the operation. */
function targetsOf(step) {
  const { operation, inputs } = data.entries[step.entry];
  return operation.startsWith("result ") ? inputs : step.sent.map(([to]) => to);
}

function moment() {
  const gradients = gradientsNow(), current = position ? pass.steps[position - 1].entry : null;
  const reached = new Set(pass.steps.flatMap((step) => [step.entry, ...step.sent.map(([to]) => to)]));
  const of = data.entries.map((_, i) => {
    if (stepOf.has(i) && stepOf.get(i) <= position) return "done";
    if (gradients.has(i)) return stepOf.has(i) ? "waiting" : "done";
    return reached.has(i) ? "" : "none";
  });
  const senders = new Map();
  for (const step of pass.steps.slice(0, position)) {
    for (const to of targetsOf(step)) {
      if (!senders.has(to)) senders.set(to, new Set());
      senders.get(to).add(step.entry);
    }
  }
  const sends = new Set(position ? targetsOf(pass.steps[position - 1]) : []);
  const states = { "": "not reached yet", none: "no gradient comes here", waiting: "has a gradient, its step is to come", done: "has its gradient" };
  const words = (i) => (i === current ? "the current step" : states[of[i]]);
  return { of, gradients, current, selected, senders, sends, steps: stepOf, words };
}

// -- showing -------------------------------------------------------------------------------------

function show() {
  const now = moment();
  $("slider").value = position;
  const count = pass.steps.length;
  $("position").textContent = !count ? "no backward pass" : position ? `step ${position} of ${count}` : `before step 1 of ${count}`;
  $("slider").setAttribute("aria-valuetext", position ? `step ${position}: ${labelOf(data.entries[pass.steps[position - 1].entry], pass.steps[position - 1].entry)}` : "before the first step");
  picture.light(now);
  frame = 0;
  showDetail(now);
  showProgram();
  setFragment(`#e${selected}`);
}

function setFragment(fragment) {
  try {
    history.replaceState(null, "", fragment);
  } catch { /* in a frame without an address of its own */ }
}

function say(words) {
  $("said").textContent = words;
}

function chip(number) {
  const entry = data.entries[number];
  return make("button", { type: "button", title: entry.module, onclick: () => select(number, true) }, labelOf(entry, number));
}

function chips(title, numbers) {
  if (!numbers.length) return [];
  const few = numbers.slice(0, 12).map(chip);
  if (numbers.length > few.length) few.push(make("span", { className: "about" }, `and ${numbers.length - few.length} more`));
  return [make("h3", {}, title), make("div", { className: "chips" }, ...few)];
}

/** Tiles of one array or several, or text for what is no array. */
function tiles(reference, caption, kind) {
  if (reference === null || reference === undefined) return [make("p", { className: "about" }, `${caption}: none`)];
  if (Array.isArray(reference)) return reference.flatMap((each, i) => tiles(each, `${caption} [${i}]`, kind));
  if (typeof reference === "string") return [make("p", { className: "tile" }, `${caption} = `, make("code", {}, reference))];
  return [tile(data.values[reference], caption, kind)];
}

function showDetail(now) {
  const entry = data.entries[selected], at = stepOf.get(selected), parts = [];
  const step = at !== undefined && at <= position ? pass.steps[at - 1] : null;
  if (at !== undefined) {
    const words = at === position ? `Step ${at} of ${pass.steps.length}` : at < position ? `Done in step ${at}` : `To come in step ${at}`;
    parts.push(make("span", { className: "badge" }, words), " ");
    if (at !== position) parts.push(make("button", { type: "button", className: "link", id: "goto", onclick: () => go(at) }, "go there"));
  }
  parts.push(make("h2", {}, labelOf(entry, selected)));
  const about = [entry.module && `in ${entry.module}`, entry.shape, entry.dtype].filter(Boolean).join(" · ");
  parts.push(make("p", { className: "about" }, about, " · ", make("a", { href: `#e${selected}`, "aria-label": "Link to this entry" }, `#e${selected}`)));
  if (entry.by !== null) parts.push(make("p", { className: "about" }, "recorded by a rule of ", make("span", { className: "chips" }, chip(entry.by))));

  if (step) {
    parts.push(make("h3", {}, "Arrives"), ...tiles(step.cotangent, "g", "gradient"));
    if (targetsOf(step).length) parts.push(make("h3", {}, "Sends"));
    if (!step.sent.length) parts.push(...targetsOf(step).map((to) => make("p", { className: "about" }, "the same, as one of the results of ", chip(to))));
    const named = new Set();
    for (const [to, argument, rule, sent, total] of step.sent) parts.push(sentCard(entry, to, argument, data.rules[rule], sent, total, named));
  } else if (now.gradients.has(selected)) {
    parts.push(make("h3", {}, at === undefined ? "Gradient" : "Gradient so far"), ...tiles(now.gradients.get(selected), "g", "gradient"));
  } else if (pass.steps.length) {
    parts.push(make("p", { className: "about" }, now.of[selected] === "none" ? "No gradient comes here in this pass." : "No gradient has arrived yet."));
  }
  parts.push(make("h3", {}, "Value"), ...tiles(entry.values, entry.name || "out", "value"));
  const constants = Object.entries(entry.constants);
  if (constants.length) parts.push(make("h3", {}, "Arguments off the tape"));
  for (const [name, value] of constants) {
    parts.push(...tiles(value, name, "value"));
    const maker = entry.cut[name];
    if (maker !== undefined) parts.push(make("p", { className: "about" }, "taken off the tape after ", make("span", { className: "chips" }, chip(maker))));
  }
  const saved = Object.entries(entry.saved);
  if (saved.length) parts.push(make("h3", {}, "Saved for the rules"));
  for (const [name, value] of saved) {
    const bytes = entry.bytes[name];
    const inside = make("details", {}, make("summary", {}, `${name}${bytes ? `, ${bytes.toLocaleString("en")} bytes` : ""}`));
    inside.addEventListener("toggle", () => { if (inside.children.length === 1) inside.append(...tiles(value, name, "value")); });
    parts.push(inside);
  }
  parts.push(...chips("Inputs", [...new Set(entry.inputs)]), ...chips("Used by", users[selected]));
  if (position < pass.steps.length) {
    const coming = pass.steps.slice(position, position + 6).map((each) => each.entry);
    parts.push(...chips(`Next of ${pass.steps.length - position} steps to come`, coming));
  }
  $("detail").replaceChildren(...parts);
  $("detail").scrollTop = 0;
}

function sentCard(entry, to, argument, rule, sent, total, named) {
  const target = data.entries[to], name = target.name || `%${to}`;
  const card = make("div", { className: "card" }, make("p", {}, "to ", make("span", { className: "chips", style: "display:inline-flex" }, chip(to)),
    argument ? ` its ${argument}` : ""));
  const text = rule.formula || rule.source;
  if (text && !named.has(text)) card.append(make("code", { className: "formula" }, text));
  if (rule.latex && !named.has(text)) card.append(make("details", {}, make("summary", {}, "LaTeX"), make("pre", {}, rule.latex)));
  named.add(text);
  for (const parameter of rule.parameters) {
    if (named.has(parameter) || entry.saved[parameter] === undefined) continue;
    named.add(parameter);
    card.append(...tiles(entry.saved[parameter], parameter, "value"));
  }
  card.append(...tiles(sent, "contribution", "gradient"));
  if (total !== sent) card.append(...tiles(total, `${name} has so far`, "gradient"));
  return card;
}

// -- the program ---------------------------------------------------------------------------------

function showProgram() {
  const calls = data.entries[selected].calls.map((call) => data.calls[call]);
  const shown = calls.length ? calls : callsOfUser();
  $("stack").replaceChildren(...shown.map(([file, line, name], i) => make("button", {
    type: "button", "aria-pressed": String(i === frame), title: `${data.files[file].name}:${line}`, onclick: () => { frame = i; showProgram(); },
  }, name === "<module>" ? `${data.files[file].name}:${line}` : `${name}:${line}`)));
  if (!shown.length) return $("code").replaceChildren(make("p", { className: "skipped" }, "No line of the program made this entry."));
  showFile(...shown[Math.min(frame, shown.length - 1)]);
}

/** Of a leaf, the calls of its first use. */
function callsOfUser() {
  const user = users[selected].find((number) => data.entries[number].calls.length);
  return user === undefined ? [] : data.entries[user].calls.map((call) => data.calls[call]);
}

let written = null, lit = null;

function showFile(file, line) {
  if (written !== file) {
    written = file;
    const made = new Map(); // by line, the entries that it made
    data.entries.forEach((entry, i) => {
      for (const call of entry.calls) {
        const [where, at] = data.calls[call];
        if (where !== file) continue;
        if (!made.has(at)) made.set(at, []);
        made.get(at).push(i);
      }
    });
    const rows = data.files[file].runs.flatMap(([start, ...lines], run) => {
      const found = lines.map((text, i) => sourceRow(start + i, text, made.get(start + i)));
      return run ? [make("div", { className: "skipped" }, "⋯"), ...found] : found;
    });
    $("code").replaceChildren(make("div", { className: "file" }, data.files[file].name), ...rows);
  }
  lit?.classList.remove("now");
  lit?.removeAttribute("aria-current");
  lit = $("code").querySelector(`[data-line="${line}"]`);
  if (!lit) return;
  lit.classList.add("now");
  lit.setAttribute("aria-current", "true");
  const code = $("code"), top = lit.offsetTop - code.offsetTop;
  if (top < code.scrollTop + 40 || top > code.scrollTop + code.clientHeight - 60) code.scrollTop = top - code.clientHeight / 2;
}

function sourceRow(line, text, entries) {
  const row = make("div", { className: entries ? "row calls" : "row", "data-line": line }, make("b", {}, String(line)), make("span", {}, text));
  if (entries) {
    row.title = entries.length === 1 ? labelOf(data.entries[entries[0]], entries[0]) : `${entries.length} operations`;
    row.onclick = () => select(entries[(entries.indexOf(selected) + 1) % entries.length], true);
  }
  return row;
}

// -- search --------------------------------------------------------------------------------------

const texts = data.entries.map((entry, i) => {
  const call = entry.calls.length ? data.calls[entry.calls[0]] : null;
  return { label: labelOf(entry, i), under: [entry.module, entry.shape, call ? `${data.files[call[0]].name}:${call[1]}  ${textAt(call[0], call[1]).trim()}` : ""].filter(Boolean).join(" · ") };
});

function textAt(file, line) {
  for (const [start, ...lines] of data.files[file].runs) if (line >= start && line < start + lines.length) return lines[line - start];
  return "";
}

function search() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean), found = [];
  for (let i = 0; words.length && i < texts.length && found.length < 50; i++) {
    const text = `${texts[i].label} ${texts[i].under}`.toLowerCase();
    if (words.every((word) => text.includes(word))) found.push(i);
  }
  $("found").replaceChildren(...found.map((i, n) => make("li", {
    id: `found-${n}`, role: "option", "aria-selected": String(n === 0), "data-entry": i, onclick: () => pick(i),
  }, texts[i].label, make("small", {}, texts[i].under))));
  if (words.length && !found.length) $("found").append(make("li", { role: "option", "aria-selected": "false", "aria-disabled": "true" }, "No entry has these words."));
  openFound(words.length > 0);
  say(words.length ? `${found.length} entries found` : "");
}

function openFound(open) {
  $("found").hidden = !open;
  $("search").setAttribute("aria-expanded", String(open));
  mark(0);
}

function mark(n) {
  const options = [...$("found").querySelectorAll("[data-entry]")];
  options.forEach((option, i) => option.setAttribute("aria-selected", String(i === n)));
  options[n]?.scrollIntoView({ block: "nearest" });
  if (options[n]) $("search").setAttribute("aria-activedescendant", options[n].id);
  else $("search").removeAttribute("aria-activedescendant");
}

function pick(number) {
  openFound(false);
  $("search").blur();
  select(number, true);
}

$("search").addEventListener("input", search);
$("search").addEventListener("focus", () => { if ($("search").value) search(); });
$("search").addEventListener("blur", () => setTimeout(() => { // after a click in the list
  if (document.activeElement !== $("search")) openFound(false);
}, 150));
$("search").addEventListener("keydown", (event) => {
  const options = [...$("found").querySelectorAll("[data-entry]")], at = options.findIndex((option) => option.ariaSelected === "true");
  if (event.key === "Enter" && options[at]) pick(Number(options[at].dataset.entry));
  else if (event.key === "Escape") $("search").blur();
  else if (event.key === "ArrowDown") mark(Math.min(at + 1, options.length - 1));
  else if (event.key === "ArrowUp") mark(Math.max(at - 1, 0));
  else return;
  event.preventDefault();
});

// -- controls ------------------------------------------------------------------------------------

function step(by) {
  go(position + by);
  if (position) say(`Step ${position} of ${pass.steps.length}: ${labelOf(data.entries[selected], selected)}`);
}

function play(on) {
  clearInterval(playing);
  playing = on ? setInterval(() => (position < pass.steps.length ? step(1) : play(false)), 700) : 0;
  $("play").textContent = on ? "Pause" : "Play";
  $("play").setAttribute("aria-pressed", String(on));
}

function theme() {
  const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}

const keys = {
  ArrowRight: () => step(1), ArrowLeft: () => step(-1), Home: () => go(0), End: () => go(pass.steps.length),
  " ": () => play(!playing), "/": () => $("search").focus(), "?": () => $("keys").showModal(), t: theme,
  ArrowUp: () => { if (data.entries[selected].inputs.length) select(data.entries[selected].inputs[0], true); },
  ArrowDown: () => { if (users[selected].length) select(users[selected][0], true); },
  g: () => { if (stepOf.has(selected)) go(stepOf.get(selected)); },
  "+": () => picture.zoomBy(1.25), "-": () => picture.zoomBy(0.8), 0: () => picture.fit(),
};

document.addEventListener("keydown", (event) => {
  const { target } = event, pressing = target.closest?.("button, summary, a, select") && [" ", "Enter"].includes(event.key);
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open || pressing) return;
  const scrolls = ["ArrowUp", "ArrowDown"].includes(event.key) && target.matches?.("[tabindex], input, summary");
  if (scrolls || target.matches?.("input[type=search], select") || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

$("slider").addEventListener("input", () => { go(Number($("slider").value)); });
const pressed = {
  first: () => go(0), previous: () => step(-1), next: () => step(1), last: () => go(pass.steps.length), play: () => play(!playing),
  fold: () => picture.foldAll(true), unfold: () => picture.foldAll(false), in: () => picture.zoomBy(1.25), out: () => picture.zoomBy(0.8),
  fit: () => picture.fit(), theme, help: () => $("keys").showModal(),
};
for (const [id, action] of Object.entries(pressed)) $(id).addEventListener("click", action);

$("view").addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  picture.zoomBy(event.deltaY < 0 ? 1.1 : 1 / 1.1);
}, { passive: false });
$("view").addEventListener("pointerdown", (event) => {
  if (event.button || event.target.closest("button") || event.pointerType !== "mouse") return;
  const view = $("view"), from = [event.clientX + view.scrollLeft, event.clientY + view.scrollTop];
  const move = (later) => view.scrollTo(from[0] - later.clientX, from[1] - later.clientY);
  const stop = () => { view.classList.remove("held"); removeEventListener("pointermove", move); };
  view.classList.add("held");
  addEventListener("pointermove", move);
  addEventListener("pointerup", stop, { once: true });
});

function followFragment() {
  const found = /^#e(\d+)$/.exec(location.hash);
  if (found && Number(found[1]) < data.entries.length) select(Number(found[1]), true);
}

const fragment = location.hash;
if (data.passes.length > 1) {
  $("pass").hidden = false;
  $("pass").append(...data.passes.map((each, i) => make("option", { value: i }, `Pass ${i + 1} of ${data.passes.length}, ${each.steps.length} steps`)));
  $("pass").value = data.pass;
  $("pass").addEventListener("change", () => choose(Number($("pass").value)));
}
picture.fit(0.75, 1);
choose(data.pass);
if (fragment) { setFragment(fragment); followFragment(); }
addEventListener("hashchange", followFragment);
