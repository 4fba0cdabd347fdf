"use strict";
// The picture: boxes for entries and folded modules, frames around unfolded ones, lines for the values between them. The
// rows, the order in them and the horizontal positions come with the data, computed with every module folded; boxes are
// pushed apart here where an unfolded one needs more room.

const HEIGHT = 52, ROW = 34, NEAR = 8; // of a box, and between rows: of boxes, and of a box and the frame's ports
const HEAD = 32, PAD = 16; // inside a frame, above and around
const MARGIN = 300; // around the view in which elements are made

class Picture {
  /** `actions.entry(number)` and `actions.group(number)` are called for a box that is pressed. */
  constructor(data, view, actions) {
    Object.assign(this, { data, view, actions, zoom: 1 });
    this.canvas = view.querySelector("#canvas");
    this.world = view.querySelector("#world");
    this.frames = view.querySelector("#frames");
    this.lines = view.querySelector("#lines");
    this.parent = data.groups.map(() => -1);
    this.home = [];
    data.groups.forEach((group, g) => group.nodes.forEach(([kind, number]) => {
      if (kind === "group") this.parent[number] = g;
      if (kind === "entry") this.home[number] = g;
    }));
    this.operations = data.groups.map((group) => group.nodes.filter(([kind]) => kind === "entry").map(([, number]) => number));
    for (let g = data.groups.length - 1; g > 0; g--) for (const number of this.operations[g]) this.operations[this.parent[g]].push(number);
    this.inside = this.operations.map((numbers) => new Set(numbers));
    this.open = new Set([0]);
    this.unfoldUntil(36);
    this.elements = new Map();
    this.states = null;
    view.addEventListener("scroll", () => this.soon());
    new ResizeObserver(() => this.soon()).observe(view);
    this.arrange();
  }

  // -- folding ---------------------------------------------------------------------------------

  /** Unfold modules, the outermost first, as long as no more than `most` boxes show. */
  unfoldUntil(most) {
    const boxes = (g) => this.data.groups[g].nodes.filter(([kind]) => kind === "entry" || kind === "group").length;
    let shown = boxes(0);
    for (let g = 1; g < this.data.groups.length; g++) {
      if (!this.open.has(this.parent[g]) || shown + boxes(g) - 1 > most) continue;
      this.open.add(g);
      shown += boxes(g) - 1;
    }
  }

  toggle(group) {
    if (!this.open.delete(group)) this.open.add(group);
    this.arrange();
  }

  foldAll(folded) {
    this.open = new Set(folded ? [0] : this.data.groups.keys());
    this.arrange();
  }

  /** Unfold every module around an entry. */
  reveal(entry) {
    let changed = false;
    for (let g = this.home[entry]; g !== -1; g = this.parent[g]) {
      changed ||= !this.open.has(g);
      this.open.add(g);
    }
    if (changed) this.arrange();
  }

  /** The key of the box that stands for an entry: its own, or that of the outermost folded module around it. */
  boxOf(entry) {
    let shown = `entry ${entry}`;
    for (let g = this.home[entry]; g > 0; g = this.parent[g]) if (!this.open.has(g)) shown = `group ${g}`;
    return shown;
  }

  // -- arranging -------------------------------------------------------------------------------

  arrange() {
    this.boxes = new Map(); // by key: x, y, width, height, and which entry or group
    this.ports = new Map(); // "group in value": where a value enters or leaves an unfolded group
    this.links = [];
    const sizes = new Map();
    for (let g = this.data.groups.length - 1; g >= 0; g--) if (this.open.has(g)) sizes.set(g, this.measure(g, sizes));
    const { width, height } = sizes.get(0);
    this.size = [width, height];
    this.place(0, 0, 0, sizes);
    this.lines.setAttribute("width", width);
    this.lines.setAttribute("height", height);
    this.lines.setAttribute("viewBox", `0 0 ${width} ${height}`);
    for (const element of this.elements.values()) element.remove();
    this.elements.clear();
    this.resize(this.zoom);
  }

  /** The size of an unfolded group, and where its nodes are inside it. */
  measure(g, sizes) {
    const group = this.data.groups[g], inside = Array(group.centres.length).fill(null);
    const wide = (node) => {
      const [kind, number] = group.nodes[node] ?? ["bend"];
      if (kind === "entry" || (kind === "group" && !sizes.has(number))) return [this.data.box, HEIGHT];
      return kind === "group" ? [sizes.get(number).width, sizes.get(number).height] : [0, 0];
    };
    let y = g ? HEAD : PAD, left = Infinity, right = -Infinity;
    group.rows.forEach((row, r) => {
      const extents = row.map(wide), height = Math.max(0, ...extents.map(([, h]) => h));
      let centres = row.map((node) => group.centres[node]);
      if (extents.some(([w]) => w > this.data.box)) centres = spread(centres, extents.map(([w]) => w), this.data.gap);
      row.forEach((node, i) => {
        const [width, own] = extents[i];
        inside[node] = { x: centres[i], y, width, height: own, row: height };
        left = Math.min(left, centres[i] - width / 2);
        right = Math.max(right, centres[i] + width / 2);
      });
      const ports = [r, r + 1].some((each) => group.rows[each]?.every((node) => ["in", "out"].includes(group.nodes[node]?.[0])));
      y += height + (r === group.rows.length - 1 ? 0 : ports ? NEAR : ROW);
    });
    const title = g ? 40 + 8 * group.name.length : 0, spare = Math.max(0, title - (right - left + 2 * PAD)) / 2;
    for (const node of inside) node.x += PAD - left + spare;
    return { width: right - left + 2 * PAD + 2 * spare, height: y + PAD, inside };
  }

  place(g, x, y, sizes) {
    const group = this.data.groups[g], { width, height, inside } = sizes.get(g);
    if (g) this.boxes.set(`frame ${g}`, { x, y, width, height, frame: g });
    group.nodes.forEach(([kind, number], node) => {
      const at = inside[node], left = x + at.x - at.width / 2, top = y + at.y;
      if (kind === "entry") this.boxes.set(`entry ${number}`, { x: left, y: top, width: at.width, height: at.height, entry: number });
      else if (kind !== "group") this.ports.set(`${g} ${kind} ${number}`, [x + at.x, kind === "in" ? y : y + height]);
      else if (this.open.has(number)) this.place(number, left, top, sizes);
      else this.boxes.set(`group ${number}`, { x: left, y: top, width: at.width, height: at.height, group: number });
    });
    const row = Array(group.centres.length).fill(0);
    group.rows.forEach((nodes, r) => nodes.forEach((node) => { row[node] = r; }));
    const point = (node, value, leaving) => {
      const [kind, number] = group.nodes[node] ?? ["bend"], at = inside[node];
      if (kind === "group" && this.open.has(number)) return this.ports.get(`${number} ${leaving ? "out" : "in"} ${value}`);
      if (kind === "in" || kind === "out") return this.ports.get(`${g} ${kind} ${value}`);
      return [x + at.x, y + at.y + (kind === "bend" ? (leaving ? at.row : 0) : leaving ? at.height : 0)];
    };
    for (const [value, source, bends, targets] of group.lines) {
      const trunk = [source, ...bends];
      const line = { value, g, targets: targets.map((target) => group.nodes[target]) };
      const link = (from, to, first, last) => {
        const [x0, y0] = point(from, value, true), [x1, y1] = point(to, value, false), down = to < group.nodes.length ? 0 : inside[to].row;
        this.links.push({
          key: `${g} ${value} ${to}`, line, first, last, d: curve(x0, y0, x1, y1) + (down ? `v${down}` : ""),
          top: Math.min(y0, y1), bottom: y1 + down, left: Math.min(x0, x1), right: Math.max(x0, x1),
        });
      };
      targets.forEach((target, i) => link(trunk[Math.min(row[target] - row[source], trunk.length) - 1], target, i, i));
      let first = 0; // of the targets, sorted by row, the first that the trunk still leads to
      bends.forEach((bend, i) => {
        while (row[targets[first]] - row[source] <= i + 1) first++;
        link(trunk[i], bend, first, targets.length - 1);
      });
    }
  }

  resize(zoom) {
    this.zoom = Math.max(0.1, Math.min(2, zoom));
    const [width, height] = this.size;
    this.canvas.style.width = `${width * this.zoom}px`;
    this.canvas.style.height = `${height * this.zoom}px`;
    this.world.style.transform = `scale(${this.zoom})`;
    this.world.style.width = `${width}px`;
    this.world.style.height = `${height}px`;
    this.draw();
  }

  /** Zoom around the middle of the view. */
  zoomBy(factor) {
    const { view } = this, before = this.zoom;
    const middle = [(view.scrollLeft + view.clientWidth / 2) / before, (view.scrollTop + view.clientHeight / 2) / before];
    this.resize(before * factor);
    view.scrollTo(middle[0] * this.zoom - view.clientWidth / 2, middle[1] * this.zoom - view.clientHeight / 2);
  }

  fit(least = 0.1, most = 1.2) {
    this.resize(Math.max(least, Math.min(most, (this.view.clientWidth - 14) / this.size[0])));
  }

  /** Scroll no more than is needed to show an entry's box. */
  show(entry) {
    const box = this.boxes.get(this.boxOf(entry)), { view, zoom } = this;
    const offset = Math.max(0, (view.clientWidth - this.size[0] * zoom) / 2), edge = 70;
    const near = (from, to, start, length) => (from < start + edge ? from - edge : to > start + length - edge ? to - length + edge : start);
    view.scrollTo(
      near(offset + box.x * zoom, offset + (box.x + box.width) * zoom, view.scrollLeft, view.clientWidth),
      near(box.y * zoom, (box.y + box.height) * zoom, view.scrollTop, view.clientHeight),
    );
    this.draw();
  }

  // -- drawing ---------------------------------------------------------------------------------

  soon() {
    if (!this.asked) this.asked = requestAnimationFrame(() => { this.asked = 0; this.draw(); });
  }

  /** Make the elements near the view and drop those that are not, so that a tape of 10,000 entries draws as fast as a small one. */
  draw() {
    const { view, zoom } = this, offset = Math.max(0, (view.clientWidth - this.size[0] * zoom) / 2);
    const top = (view.scrollTop - MARGIN) / zoom, bottom = (view.scrollTop + view.clientHeight + MARGIN) / zoom;
    const left = (view.scrollLeft - offset - MARGIN) / zoom, right = (view.scrollLeft - offset + view.clientWidth + MARGIN) / zoom;
    const wanted = new Map();
    for (const [key, box] of this.boxes) {
      if (box.y < bottom && box.y + box.height > top && box.x < right && box.x + box.width > left) wanted.set(key, box);
    }
    for (const link of this.links) {
      if (link.top < bottom && link.bottom > top && link.left < right && link.right > left) wanted.set(link.key, link);
    }
    for (const [key, element] of this.elements) {
      if (!wanted.has(key)) { element.remove(); this.elements.delete(key); }
    }
    for (const [key, what] of wanted) {
      if (!this.elements.has(key)) this.elements.set(key, this.create(what));
      if (this.states) this.paint(this.elements.get(key), what);
    }
  }

  create(what) {
    if (what.d !== undefined) return this.lines.appendChild(svg("path", { d: what.d }));
    let element;
    if (what.frame !== undefined) {
      const group = this.data.groups[what.frame];
      element = make("div", { className: "frame" }, make("button", {
        type: "button", onclick: () => this.actions.group(what.frame), title: `Fold ${group.path}`, "aria-expanded": "true",
      }, `▾ ${group.name}`));
      this.frames.append(element);
      for (let g = what.frame; g > 0; g = this.parent[g]) element.style.zIndex = Number(element.style.zIndex) + 1; // above those around it
    } else {
      element = what.group !== undefined ? this.groupBox(what.group) : this.entryBox(what.entry);
      this.world.append(element);
    }
    element.style.left = `${what.x}px`;
    element.style.top = `${what.y}px`;
    element.style.width = `${what.width}px`;
    element.style.height = `${what.height}px`;
    return element;
  }

  groupBox(g) {
    const group = this.data.groups[g], count = this.operations[g].filter((number) => this.data.entries[number].operation !== "leaf").length;
    const words = make("span", { className: "words" }, make("span", { className: "name" }, `▸ ${group.name}`),
      make("span", { className: "kind" }, count === 1 ? this.only(g) : `${count} operations`));
    const thumbs = make("span", { className: "thumbs" }, make("span", { className: "progress" }));
    return make("button", {
      type: "button", className: "box group", title: `Unfold ${group.path}`, "aria-expanded": "false", onclick: () => this.actions.group(g),
    }, words, thumbs);
  }

  only(g) {
    const [number] = this.operations[g].filter((each) => this.data.entries[each].operation !== "leaf");
    return this.data.entries[number].operation;
  }

  entryBox(i) {
    const entry = this.data.entries[i], leaf = entry.operation === "leaf";
    const path = this.data.groups[this.home[i]].path;
    const name = path && entry.name.startsWith(`${path}.`) ? entry.name.slice(path.length + 1) : entry.name;
    const one = entry.shape === "()" && typeof entry.values === "number" ? numbersOf(this.data.values[entry.values]) : null;
    const shape = one ? `= ${number(one[0])}` : entry.shape.replace(/[()]/g, "").replace(/,$/, "").replaceAll(", ", "×");
    const words = make("span", { className: "words" }, make("span", { className: "name" }, name || entry.operation),
      make("span", { className: "kind" }, name && !leaf ? `${entry.operation} ${shape}` : shape));
    const values = make("img", { className: "thumb", alt: "" }), gradient = make("img", { className: "thumb gradient", alt: "" });
    this.paintThumb(values, entry.values, "value");
    return make("button", {
      type: "button", className: `box ${leaf ? "leaf" : ""}`, id: `box-${i}`, title: `${labelOf(entry, i)}, ${entry.shape} ${entry.dtype}`,
      onclick: () => this.actions.entry(i),
    }, words, make("span", { className: "thumbs" }, values, gradient));
  }

  paintThumb(image, reference, kind) {
    const number = Array.isArray(reference) ? reference.find((each) => each !== null) : reference;
    if (image.dataset.of === String(number)) return;
    image.dataset.of = number;
    const url = typeof number === "number" ? thumbnail(this.data.values[number], kind) : "";
    image.classList.toggle("empty", !url);
    if (url) image.src = url;
    else image.removeAttribute("src");
  }

  /** `states`: what the page knows of this moment: `of` each entry, `current`, `selected`, and `gradients`. */
  light(states) {
    this.states = states;
    this.draw();
  }

  paint(element, what) {
    const { states } = this;
    if (what.d !== undefined) {
      const state = this.stateOf(what);
      if (element.dataset.state !== state) {
        element.dataset.state = state;
        element.setAttribute("class", state);
        if (state) element.parentNode.append(element); // above the others
      }
      return;
    }
    if (what.frame !== undefined) return;
    const stands = what.entry !== undefined ? [what.entry] : this.operations[what.group];
    const set = (name, on) => element.classList.toggle(name, on);
    set("current", stands.includes(states.current));
    set("selected", stands.includes(states.selected));
    const state = what.entry !== undefined ? states.of[what.entry] : stands.every((number) => states.of[number] === "none") ? "none" : "";
    for (const name of ["none", "waiting", "done"]) set(name, state === name);
    if (what.entry !== undefined) {
      const gradient = states.gradients.get(what.entry);
      this.paintThumb(element.querySelector(".gradient"), gradient ?? null, "gradient");
      element.setAttribute("aria-label", `${labelOf(this.data.entries[what.entry], what.entry)}, ${states.words(what.entry)}`);
    } else {
      const done = stands.filter((number) => states.of[number] === "done" || number === states.current).length;
      const all = stands.filter((number) => states.steps.has(number)).length;
      element.querySelector(".progress").style.width = all ? `${(100 * done) / all}%` : "0";
      element.setAttribute("aria-label", `Module ${this.data.groups[what.group].path}, folded, ${done} of ${all} steps done`);
    }
  }

  /** Whether a link carries a gradient at this step ("lit"), has carried one ("sent"), or not yet (""). It leads to the targets
   * of its line from `first` to `last`. */
  stateOf({ line, first, last }) {
    const { current, sends, senders } = this.states, sent = senders.get(line.value);
    if (!sent) return "";
    const leads = ([kind, to], number) => (
      kind === "entry" ? number === to : kind === "group" ? this.inside[to].has(number) : !this.inside[line.g].has(number)
    );
    if (line.at !== this.states) { // the last target that has sent, and that sends now
      line.at = this.states;
      line.sent = line.targets.findLastIndex((target) => (target[0] === "entry" ? sent.has(target[1]) : [...sent].some((number) => leads(target, number))));
      line.lit = sends.has(line.value) ? line.targets.findLastIndex((target) => leads(target, current)) : -1;
    }
    if (first === last) {
      if (line.lit >= 0 && leads(line.targets[first], current)) return "lit";
      return first > line.sent ? "" : [...sent].some((number) => leads(line.targets[first], number)) ? "sent" : "";
    }
    return line.lit >= first ? "lit" : line.sent >= first ? "sent" : "";
  }
}

function labelOf(entry, number) {
  return `%${number} ${entry.name && entry.operation !== "leaf" ? `${entry.name} = ${entry.operation}` : entry.name || entry.operation}`;
}

/** A curve between two points that is vertical at both. */
function curve(x0, y0, x1, y1) {
  const middle = (y0 + y1) / 2;
  return x0 === x1 ? `M${x0},${y0}V${y1}` : `M${x0},${y0}C${x0},${middle} ${x1},${middle} ${x1},${y1}`;
}

/** The centres nearest to `wanted` at which boxes of these widths do not overlap (see layout.py). */
function spread(wanted, widths, gap) {
  let offset = 0;
  const offsets = widths.map((width, i) => (offset += width / 2 + (i ? gap + widths[i - 1] / 2 : 0)));
  const pools = [];
  wanted.forEach((want, i) => {
    let sum = want - offsets[i], held = 1;
    while (pools.length && pools.at(-1).sum / pools.at(-1).held >= sum / held) {
      const before = pools.pop();
      sum += before.sum;
      held += before.held;
    }
    pools.push({ sum, held });
  });
  return pools.flatMap(({ sum, held }) => Array(held).fill(sum / held)).map((x, i) => x + offsets[i]);
}
