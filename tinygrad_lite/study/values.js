"use strict";
// Values and gradients: heat maps of arrays that the page has, histograms and statistics of the others.

const POSITIVE = "37, 105, 235", NEGATIVE = "232, 93, 4", NAN = "217, 70, 239", INFINITE = "234, 179, 8";
const WRAP = 64; // numbers of a long vector in each row of its heat map

/** An element with properties, attributes (of names with a dash, and role) and children; a string is text, never HTML. */
function make(kind, properties = {}, ...children) {
  const element = document.createElement(kind);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function svg(kind, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function number(x, digits = 4) {
  if (x === null) return "none";
  if (typeof x === "string") return x; // "inf", "nan"
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  if (Number.isInteger(x) && Math.abs(x) < 1e6) return String(x);
  const size = Math.abs(x);
  return size < 1e-3 || size >= 1e6 ? x.toExponential(digits - 1).replace(/\.?0+e/, "e") : String(Number(x.toPrecision(digits)));
}

function shapeText(shape) {
  return shape.length ? shape.join("×") : "scalar";
}

/** The numbers of an array, or null if the page does not have them. */
function numbersOf(value) {
  if (!value.array) return null;
  if (!value.decoded) {
    const bytes = Uint8Array.from(atob(value.array[1]), (sign) => sign.charCodeAt(0));
    value.decoded = value.array[0] === "<f4" ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
  }
  return value.decoded;
}

/** Rows and columns of an array as a picture: its last dim to the right, all others down. */
function sidesOf(value) {
  const count = value.shape.reduce((a, b) => a * b, 1);
  if (value.shape.length < 2) return count > WRAP ? [Math.ceil(count / WRAP), WRAP] : [1, count];
  const columns = value.shape.at(-1);
  return [columns ? count / columns : 0, columns];
}

/** Blue above zero, orange below, stronger the nearer to the largest magnitude. */
function colour(x, most) {
  if (Number.isNaN(x)) return `rgb(${NAN})`;
  if (!Number.isFinite(x)) return `rgb(${INFINITE})`;
  const strength = most ? Math.abs(x) / most : 0;
  return `rgba(${x < 0 ? NEGATIVE : POSITIVE}, ${strength.toFixed(3)})`;
}

function mostOf(numbers) {
  let most = 0;
  for (const x of numbers) if (Number.isFinite(x) && Math.abs(x) > most) most = Math.abs(x);
  return most;
}

function heatMap(value, size) {
  const numbers = numbersOf(value), [rows, columns] = sidesOf(value), most = mostOf(numbers);
  const canvas = make("canvas", { width: columns * size, height: rows * size });
  const pen = canvas.getContext("2d");
  numbers.forEach((x, i) => {
    pen.fillStyle = colour(x, most);
    pen.fillRect((i % columns) * size, Math.floor(i / columns) * size, size, size);
  });
  return canvas;
}

function statistics(value) {
  const parts = value.mean === null ? ["no finite numbers"]
    : [`mean ${number(value.mean)}`, `std ${number(value.std)}`, `${number(value.min)} to ${number(value.max)}`];
  if (value.zero >= 0.005) parts.push(`${Math.round(value.zero * 100)} % zero`);
  return parts.join(" · ");
}

function notFinite(value) {
  return [[value.nan, "nan"], [value.inf, "inf"]].filter(([count]) => count).map(([count, word]) => `${count} ${word}`).join(", ");
}

function histogram(value) {
  const picture = svg("svg", { class: "histogram", viewBox: "0 0 240 60", preserveAspectRatio: "none", role: "img", "aria-label": "Histogram" });
  const most = Math.max(...value.bins), width = 240 / value.bins.length;
  value.bins.forEach((count, i) => {
    const height = count ? Math.max((count / most) * 58, 1) : 0;
    picture.append(svg("rect", { x: i * width + 0.5, y: 60 - height, width: width - 1, height }));
  });
  if (value.min < 0 && value.max > 0) {
    const x = (240 * -value.min) / (value.max - value.min);
    picture.append(svg("line", { x1: x, x2: x, y1: 0, y2: 60 }));
  }
  return make("div", {}, picture, make("div", { className: "ends" }, make("span", {}, number(value.min)), make("span", {}, number(value.max))));
}

function table(value) {
  const numbers = numbersOf(value), [rows, columns] = sidesOf(value), most = mostOf(numbers);
  const body = make("tbody");
  for (let i = 0; i < rows; i++) {
    const row = make("tr");
    for (let j = 0; j < columns; j++) {
      const x = numbers[i * columns + j], cell = make("td", {}, number(x));
      cell.style.backgroundImage = `linear-gradient(${[0, 0].map(() => colour(x, most * 1.8)).join(", ")})`;
      row.append(cell);
    }
    body.append(row);
  }
  return make("table", { className: "numbers" }, body);
}

/** All numbers as text, written when opened. */
function unfoldable(value) {
  const [rows, columns] = sidesOf(value), numbers = numbersOf(value), text = make("pre", { tabIndex: 0 });
  const element = make("details", {}, make("summary", {}, "All numbers"), text);
  element.addEventListener("toggle", () => {
    const lines = Array.from({ length: rows }, (_, i) => Array.from(numbers.slice(i * columns, (i + 1) * columns), (x) => number(x)).join("  "));
    text.textContent = lines.join("\n");
  });
  return element;
}

/** A figure of an array: numbers if they are few, a heat map if the page has them, otherwise a histogram. */
function tile(value, caption, kind = "value") {
  const figure = make("figure", { className: `tile ${kind}` });
  figure.append(make("figcaption", {}, caption, make("small", {}, `${shapeText(value.shape)} ${value.dtype}`)));
  const [rows, columns] = sidesOf(value), numbers = numbersOf(value);
  if (numbers && numbers.length && rows <= 8 && columns <= 6) {
    figure.append(table(value));
  } else if (numbers && numbers.length) {
    const canvas = heatMap(value, Math.max(1, Math.min(12, Math.floor(320 / columns), Math.ceil(400 / rows))));
    const under = make("p", {}, statistics(value));
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Heat map: ${statistics(value)}`);
    canvas.addEventListener("mousemove", (event) => {
      const i = Math.floor((event.offsetY / canvas.clientHeight) * rows), j = Math.floor((event.offsetX / canvas.clientWidth) * columns);
      const place = value.shape.length > 1 ? `${i}, ${j}` : String(i * columns + j), x = numbers[i * columns + j];
      if (x !== undefined) under.textContent = `[${place}] = ${number(x)}`;
    });
    canvas.addEventListener("mouseleave", () => { under.textContent = statistics(value); });
    figure.append(canvas, under, unfoldable(value));
  } else if (value.bins.length) {
    figure.append(histogram(value), make("p", {}, statistics(value)));
  } else {
    figure.append(make("p", {}, value.shape.includes(0) ? "no elements" : statistics(value)));
  }
  if (notFinite(value)) figure.append(make("p", { className: "bad" }, notFinite(value)));
  return figure;
}

const thumbnails = new Map();

/** A small picture of an array as a data URL: its heat map, or the outline of its histogram. */
function thumbnail(value, kind) {
  const key = `${kind} ${value.number}`;
  if (!thumbnails.has(key)) {
    let canvas;
    if (value.array) {
      canvas = heatMap(value, 1);
    } else {
      canvas = make("canvas", { width: 27, height: 27 });
      const pen = canvas.getContext("2d"), most = Math.max(...value.bins, 1), width = 27 / Math.max(value.bins.length, 1);
      pen.fillStyle = kind === "gradient" ? "rgb(165, 85, 225)" : `rgb(${POSITIVE})`;
      value.bins.forEach((count, i) => pen.fillRect(i * width, 27 - (count / most) * 25, width, 27));
    }
    thumbnails.set(key, canvas.width && canvas.height ? canvas.toDataURL() : "");
  }
  return thumbnails.get(key);
}
