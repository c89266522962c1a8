const NAME = "microscope";

// ---- The network. A tensor is { maps, height, width, values }, values by map, row, column.

const ACTIVATIONS = {
  ReLU: value => Math.max(value, 0),
  sigmoid: value => 1 / (1 + Math.exp(-value)),
  tanh: Math.tanh,
};
const sum = numbers => numbers.reduce((total, number) => total + number, 0);
const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));

// The layers with their weights: whole numbers times the step of their filter, and biases.
function load(layers, text) {
  const packed = bytes(text);
  let place = 0;
  function take(Type, count) {
    const from = place;
    place += count * Type.BYTES_PER_ELEMENT;
    return new Type(packed.buffer.slice(from, place));
  }
  return layers.map(layer => {
    if (layer.kind === "pooling") return layer;
    const whole = take(Int8Array, layer.units * layer.inputs);
    const steps = take(Float32Array, layer.units);
    const weights = Float32Array.from(whole, (number, index) => number * steps[Math.floor(index / layer.inputs)]);
    return { ...layer, weights, bias: take(Float32Array, layer.units) };
  });
}

// Grey values from 0 to 255 as the network wants them.
function input(pixels, { mean, std }) {
  const side = Math.sqrt(pixels.length);
  return { maps: 1, height: side, width: side, values: Float32Array.from(pixels, grey => (grey / 255 - mean) / std) };
}

// The window of all maps that a layer reads at one place, map after map; 0 in the margin.
function read(x, { kind, kernel, padding = 0 }, row, column) {
  if (kind === "dense") return x.values;
  const stride = kind === "pooling" ? kernel : 1, found = [];
  const top = row * stride - padding, left = column * stride - padding;
  for (let map = 0; map < x.maps; map++)
    for (let i = top; i < top + kernel; i++)
      for (let j = left; j < left + kernel; j++) {
        const inside = i >= 0 && j >= 0 && i < x.height && j < x.width;
        found.push(inside ? x.values[(map * x.height + i) * x.width + j] : 0);
      }
  return found;
}

function multiplyAdd(inputs, { weights, bias }, unit) {
  let total = bias[unit];
  const first = unit * inputs.length;
  for (let index = 0; index < inputs.length; index++) total += inputs[index] * weights[first + index];
  return total;
}

function pool(inputs, { pooling, kernel }, map) {
  const window = inputs.slice(map * kernel ** 2, (map + 1) * kernel ** 2);
  return pooling === "max" ? Math.max(...window) : sum(window) / window.length;
}

function size(x, { kind, units, kernel, padding }) {
  if (kind === "dense") return [units, 1, 1];
  if (kind === "pooling") return [x.maps, Math.floor(x.height / kernel), Math.floor(x.width / kernel)];
  return [units, x.height + 2 * padding - kernel + 1, x.width + 2 * padding - kernel + 1];
}

// What a layer makes of x: `sums` before its activation, `values` after it.
function apply(x, layer) {
  const [maps, height, width] = size(x, layer);
  const sums = new Float32Array(maps * height * width);
  const unit = layer.kind === "pooling" ? pool : multiplyAdd;
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      const inputs = read(x, layer, row, column);
      for (let map = 0; map < maps; map++) sums[(map * height + row) * width + column] = unit(inputs, layer, map);
    }
  const activation = ACTIVATIONS[layer.activation];
  return { maps, height, width, sums, values: activation ? sums.map(activation) : sums };
}

// The input and what every layer makes of it.
function forward(x, layers) {
  const tensors = [x];
  for (const layer of layers) tensors.push(apply(tensors[tensors.length - 1], layer));
  return tensors;
}

function softmax(logits) {
  const powers = Array.from(logits, logit => Math.exp(logit - Math.max(...logits)));
  return powers.map(power => power / sum(powers));
}

// First and last row (or column) of what feeds a layer that its rows `first` to `last` see.
function source({ kind, kernel, padding }, [first, last], side) {
  if (kind === "dense") return [0, side - 1];
  if (kind === "pooling") return [first * kernel, last * kernel + kernel - 1];
  return [first - padding, last - padding + kernel - 1];
}

// Rows and columns of the picture that a unit sees: its receptive field.
function field(layers, tensors, { layer, row, column }) {
  let rows = [row, row], columns = [column, column];
  for (let index = layer; index >= 0; index--) {
    rows = source(layers[index], rows, tensors[index].height);
    columns = source(layers[index], columns, tensors[index].width);
  }
  return { rows, columns };
}

// ---- Numbers as they are printed: in hundredths, so that printed sums add up.

const printed = hundredths => (hundredths < 0 ? "\u2212" : "") + (Math.abs(hundredths) / 100).toFixed(2);
const number = value => printed(Math.round(100 * value));

// Each value in hundredths, rounded up or down so that together they make `total`.
function shares(values, total) {
  const exact = Array.from(values, value => 100 * value);
  const whole = exact.map(Math.round);
  const missing = total - sum(whole), way = Math.sign(missing);
  const order = [...whole.keys()].sort((a, b) => way * (exact[b] - whole[b] - exact[a] + whole[a]));
  for (const index of order.slice(0, Math.abs(missing))) whole[index] += way;
  return whole;
}

const added = hundredths => hundredths.map(
  (term, index) => !index ? printed(term) : term < 0 ? ` \u2212 ${printed(-term)}` : ` + ${printed(term)}`).join("");

// ---- Painting. Ink is black with an opacity; the dark theme inverts it.

function paint(canvas, values, [low, high], first = 0) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const count = Math.min(canvas.width * canvas.height, values.length - first);
  for (let index = 0; index < count; index++)
    image.data[4 * index + 3] = 255 * (values[first + index] - low) / (high - low || 1);
  context.putImageData(image, 0, 0);
}

const sheet = (width, height) => element("canvas", { width, height, className: "ink" });

// A share of at most 1 as colour: ink, or red above and blue below zero; pale under text.
function colour(share, signed, numbered) {
  const base = !signed ? "--ink" : share < 0 ? "--mark" : "--alert";
  const most = !numbered ? 100 : signed ? 55 : 36;
  return `color-mix(in srgb, var(${base}) ${Math.round(most * Math.abs(share))}%, var(--ground))`;
}

// A window of values with their numbers, or small and without them.
function cells(values, kernel, share, signed, numbered = true) {
  const made = element("span", { className: numbered ? "cells" : "cells small" });
  made.style.setProperty("--kernel", kernel);
  for (const value of values) {
    const cell = element("span", { textContent: numbered ? number(value) : "" });
    cell.style.background = colour(share(value), signed, numbered);
    made.append(cell);
  }
  return made;
}

const line = (className, ...content) => element("p", { className }, ...content);
const labelled = (node, role, label) => {
  node.setAttribute("role", role);
  node.setAttribute("aria-label", label);
  return node;
};

// ---- The figure

const TERMS = 10;
const INK = 205, CLOTH = 165;
const TOOLS = { Draw: "draw", Fill: "fill", Erase: "erase" };
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
// Whole pixels from pixel (14, 14), where the digits of MNIST have their centre of mass,
// to that of a picture: [down, right].
function offset(pixels) {
  const mass = sum(pixels), moment = place => pixels.reduce((total, grey, at) => total + grey * place(at), 0);
  return mass ? [moment(at => Math.floor(at / 28)), moment(at => at % 28)].map(value => Math.round(value / mass - 14)) : [0, 0];
}
const clamp = (value, last, first = 0) => Math.min(last, Math.max(first, value));

// `chosen` is the place of the network among those of the data, if there are several.
function start(root, all, chosen = 0) {
  const sets = [all, ...(all.others ?? [])], data = { ...all, ...sets[chosen] };
  const { classes, labels } = data;
  const layers = load(data.layers, data.weights.slice(1, -1));
  const pictures = labels.map((_, index) => bytes(data.pictures).slice(784 * index, 784 * (index + 1)));
  const margin = layers[0].padding ?? 0, side = 28 + 2 * margin;
  const output = layers.length - 1;
  // Who learnt from centred pictures misreads others.
  const centred = pictures.every(picture => offset(picture).every(value => !value));
  let drawn = pictures[0], original = drawn, moved = [0, 0], truth = labels[0], pixels, tensors;
  let tool = "draw", cursor = [13, 13], from = 0;
  let kept = { layer: 0, map: 0, row: 14, column: 12 }, hovered = null;

  // The picture
  const status = element("p", { className: "hidden" });
  status.setAttribute("role", "status");
  const verdict = line("verdict");
  const inputSheet = sheet(28, 28);
  const inputBox = element("div", { className: "map" }, inputSheet);
  inputBox.style.margin = `${100 * margin / side}%`;
  inputBox.style.width = `${2800 / side}%`;
  const easel = labelled(element("div", { className: "easel", tabIndex: 0 }, inputBox), "application",
    "Picture of 28 by 28 pixels to draw on. Arrow keys move the brush, Space uses it.");
  const picks = element("form", { className: "picks" }, element("fieldset", {},
    element("legend", { className: "hidden", textContent: "Test pictures" }),
    ...pictures.map((picture, index) => {
      const radio = element("input", { type: "radio", name: "picture", checked: !index, onclick: () => pick(index) });
      radio.setAttribute("aria-label", `${classes[labels[index]]}, picture ${index + 1}`);
      const small = sheet(28, 28);
      paint(small, picture, [0, 255]);
      return element("label", { title: classes[labels[index]] }, radio, small);
    })));
  const brushes = labelled(element("div", {}, ...Object.entries(TOOLS).map(([text, name]) => {
    const button = element("button", { type: "button", textContent: text, onclick: () => choose(name) });
    button.dataset.tool = name;
    return button;
  }), element("button", { type: "button", textContent: "Clear", onclick: () => { original = null; redraw(new Uint8Array(784)); say(verdict.textContent); } })),
  "group", "Brush");
  const centre = element("button", { type: "button", textContent: "Centre", onclick: () => shift(...offset(pixels).map(value => -value)) });

  const reads = labelled(element("div", {}, element("span", { className: "soft", textContent: "Reads" }),
    ...sets.map(({ name }, index) => {
      const button = element("button", { type: "button", textContent: name, onclick: () => {
        root.querySelector(".live").remove();
        start(root, all, index);
        root.querySelectorAll(".reads button")[index].focus();
      } });
      button.setAttribute("aria-pressed", index === chosen);
      return button;
    })), "group", "What the network reads");
  reads.className = "reads";

  // The layers
  const strip = element("p", { className: "strip" });
  strip.setAttribute("aria-hidden", true);
  const unit = element("div", { className: "unit" });
  const rows = layers.map(describe);
  root.append(element("div", { className: "live" }, picks,
    element("div", { className: "tools" }, ...(sets.length > 1 ? [reads] : []), brushes,
      shifts(shift, "Shift the picture by one pixel, or its centre of mass to the middle", centre)),
    element("div", { className: "bench" },
      element("div", {}, verdict, easel, unit),
      element("div", { className: "layers" }, line("soft", "Point at a unit; click or tap to keep it."), ...rows.map(row => row.box),
        line("soft", "The more ink, the larger the value. Keys: arrows move by one unit, with Shift by one map, Page Up and Page Down by one layer. All is counted from 0."),
        line("soft", `Three dares: change its mind with the fewest pixels; make it say ${classes[8]} without starting from one; leave it unsure with a picture that you are sure of.`))),
    strip, status));

  function describe(layer, index) {
    const [maps, height, width] = sizes()[index];
    const dense = layer.kind === "dense", last = index === output;
    const columns = dense ? Math.ceil(maps / 2) : Math.min(maps, maps % 8 ? 6 : 8);
    const kind = dense ? "dense" : layer.kind === "pooling"
      ? `${layer.pooling} pooling ${layer.kernel}x${layer.kernel}` : `conv ${layer.kernel}x${layer.kernel}`;
    const form = dense ? `${maps} units` : `${maps} maps of ${height}x${width}`;
    const words = [kind, layer.activation, form].filter(Boolean).join(", ");
    const range = element("span", { className: "range" });
    const box = labelled(element("div", { className: last ? "plane answer" : "plane", tabIndex: index ? -1 : 0 }),
      "application", `${layer.name}: ${words}. Arrow keys move over units.`);
    box.style.setProperty("--columns", dense ? 1 : columns);
    const sheets = last ? [] : dense ? [sheet(columns, Math.ceil(maps / columns))] : Array.from({ length: maps }, () => sheet(width, height));
    const bars = last ? classes.map(name => ({ bar: element("i"), share: element("span", { className: "share" }), name })) : [];
    const spots = last
      ? bars.map(({ name, bar, share }) => element("div", { className: "map" }, element("span", { textContent: name }), element("span", { className: "track" }, bar), share))
      : sheets.map(canvas => element("div", { className: dense ? "map units" : "map" }, canvas));
    box.append(...spots);
    const row = { layer, index, box: element("div", {}, line("soft head", element("b", { textContent: layer.name }), element("span", { textContent: words }), range), box),
      plane: box, sheets, spots, bars, range, maps, height, width, columns: last ? 1 : columns, dense, last };
    box.onpointermove = event => { if (event.pointerType === "mouse") hover(place(row, event)); };
    box.onpointerleave = () => hover(null);
    box.onclick = event => keep(place(row, event));
    box.onkeydown = event => travel(row, event);
    return row;
  }

  function sizes() {
    const found = [];
    let x = { maps: 1, height: 28, width: 28 };
    for (const layer of layers) {
      const [maps, height, width] = size(x, layer);
      found.push([maps, height, width]);
      x = { maps, height, width };
    }
    return found;
  }

  // The unit under the pointer; between maps, that of the nearest.
  function place(row, event) {
    const { clientX: x, clientY: y } = event;
    const boxes = row.spots.map(spot => spot.getBoundingClientRect());
    const away = boxes.map(({ left, right, top, bottom }) => Math.hypot(x - clamp(x, right, left), y - clamp(y, bottom, top)));
    const map = away.indexOf(Math.min(...away)), box = boxes[map];
    if (row.last) return { layer: row.index, map, row: 0, column: 0 };
    const inside = (at, first, length, count) => clamp(Math.floor(count * (at - first) / length), count - 1);
    const canvas = row.sheets[map];
    const i = inside(y, box.top, box.height, canvas.height), j = inside(x, box.left, box.width, canvas.width);
    if (!row.dense) return { layer: row.index, map, row: i, column: j };
    return { layer: row.index, map: Math.min(row.maps - 1, i * row.columns + j), row: 0, column: 0 };
  }

  // Arrow keys walk over the maps as they lie side by side.
  function travel(row, event) {
    const arrow = ARROWS[event.key], page = { PageDown: 1, PageUp: -1 }[event.key];
    if (!arrow && !page) return;
    event.preventDefault();
    const now = kept.layer === row.index ? kept : { layer: row.index, map: 0, row: row.height >> 1, column: row.width >> 1 };
    if (page) {
      const next = rows[clamp(row.index + page, output)];
      const same = part => Math.floor((now[part] + 0.5) * next[part === "row" ? "height" : "width"] / row[part === "row" ? "height" : "width"]);
      keep({ layer: next.index, map: Math.min(now.map, next.maps - 1), row: same("row"), column: same("column") });
      next.plane.focus();
      return;
    }
    const [down, right] = arrow.map((step, axis) => event.shiftKey ? step * (axis ? row.width : row.height) : step);
    const i = clamp(Math.floor(now.map / row.columns) * row.height + now.row + down, Math.ceil(row.maps / row.columns) * row.height - 1);
    const j = clamp(now.map % row.columns * row.width + now.column + right, row.columns * row.width - 1);
    const map = Math.floor(i / row.height) * row.columns + Math.floor(j / row.width);
    if (map < row.maps) keep({ layer: row.index, map, row: i % row.height, column: j % row.width });
  }

  function hover(spot) {
    if (JSON.stringify(spot) === JSON.stringify(hovered)) return;
    hovered = spot;
    show();
  }

  function keep(spot) {
    kept = spot;
    hovered = null;
    rows.forEach(row => { row.plane.tabIndex = row.index === kept.layer ? 0 : -1; });
    show();
    say([...unit.querySelectorAll(".title, .where, .total")].map(part => part.textContent).join(" "));
  }

  const say = text => { status.textContent = text; };

  // ---- Changing the picture

  function pick(index) {
    drawn = original = pictures[index];
    moved = [0, 0];
    truth = labels[index];
    run();
    say(verdict.textContent);
  }

  function shift(down, right) {
    moved = [clamp(moved[0] + down + 28, 56) - 28, clamp(moved[1] + right + 28, 56) - 28];
    run();
    say(verdict.textContent);
  }

  function redraw(next) {
    drawn = next;
    moved = [0, 0];
    truth = null;
    picks.querySelectorAll("input").forEach(radio => { radio.checked = false; });
    run();
  }

  function choose(name) {
    tool = name;
    brushes.querySelectorAll("[data-tool]").forEach(button => button.setAttribute("aria-pressed", button.dataset.tool === name));
  }

  function brush(next, row, column) {
    if (tool === "fill") return fill(next, Math.floor(row), Math.floor(column));
    for (let i = 0; i < 28; i++)
      for (let j = 0; j < 28; j++) {
        const strength = clamp(2 - Math.hypot(i + 0.5 - row, j + 0.5 - column), 1);
        const at = 28 * i + j;
        next[at] = tool === "erase" ? Math.min(next[at], 255 * (1 - strength)) : Math.max(next[at], INK * strength);
      }
  }

  function fill(next, row, column) {
    const open = [[row, column]];
    while (open.length) {
      const [i, j] = open.pop();
      if (i < 0 || j < 0 || i > 27 || j > 27 || next[28 * i + j] >= CLOTH / 2) continue;
      next[28 * i + j] = CLOTH;
      open.push([i + 1, j], [i - 1, j], [i, j + 1], [i, j - 1]);
    }
  }

  function stroke([row, column], [lastRow, lastColumn] = [row, column]) {
    const next = Uint8Array.from(pixels);
    const steps = tool === "fill" ? 1 : Math.ceil(2 * Math.hypot(row - lastRow, column - lastColumn)) || 1;
    for (let step = 1; step <= steps; step++)
      brush(next, lastRow + (row - lastRow) * step / steps, lastColumn + (column - lastColumn) * step / steps);
    redraw(next);
  }

  let pen = null;
  function tip(event) {
    const box = inputSheet.getBoundingClientRect();
    return [28 * (event.clientY - box.top) / box.height, 28 * (event.clientX - box.left) / box.width];
  }
  easel.onpointerdown = event => {
    easel.setPointerCapture(event.pointerId);
    pen = tip(event);
    cursor = pen.map(value => clamp(Math.floor(value), 27));
    stroke(pen);
  };
  easel.onpointermove = event => {
    if (!pen || tool === "fill") return;
    const next = tip(event);
    stroke(next, pen);
    pen = next;
  };
  easel.onpointerup = easel.onpointercancel = () => {
    if (pen) say(verdict.textContent);
    pen = null;
  };
  easel.onkeydown = event => {
    const arrow = ARROWS[event.key];
    if (!arrow && event.key !== " ") return;
    event.preventDefault();
    if (arrow) {
      cursor = cursor.map((value, axis) => clamp(value + arrow[axis], 27));
      mark();
      say(`Row ${cursor[0]}, column ${cursor[1]}: grey ${pixels[28 * cursor[0] + cursor[1]]}.`);
    } else {
      stroke(cursor.map(value => value + 0.5));
      say(verdict.textContent);
    }
  };
  easel.onfocus = easel.onblur = () => mark();

  // ---- Showing

  function run() {
    pixels = new Uint8Array(784);
    for (let i = 0; i < 28; i++)
      for (let j = 0; j < 28; j++) {
        const row = i - moved[0], column = j - moved[1];
        if (row >= 0 && column >= 0 && row < 28 && column < 28) pixels[28 * i + j] = drawn[28 * row + column];
      }
    tensors = forward(input(pixels, data), layers);
    paint(inputSheet, pixels, [0, 255]);
    for (const row of rows) {
      const { values } = tensors[row.index + 1];
      const range = [Math.min(...values), Math.max(...values)];
      row.range.textContent = `${range.map(value => value.toFixed(1).replace("-", "\u2212")).join(" to ")}`;
      row.sheets.forEach((canvas, index) => paint(canvas, values, range, index * row.height * row.width));
    }
    answer();
    show();
  }

  function answer() {
    const chances = softmax(tensors[output + 1].values);
    const top = chances.indexOf(Math.max(...chances));
    rows[output].bars.forEach(({ bar, share }, index) => {
      bar.style.width = `${100 * chances[index]}%`;
      share.textContent = `${(100 * chances[index]).toFixed(1)} %`;
      rows[output].spots[index].classList.toggle("top", index === top);
    });
    const changed = original ? pixels.filter((grey, index) => grey !== original[index]).length : 0;
    const drawing = original ? `your drawing, ${changed} pixel${changed === 1 ? "" : "s"} changed` : `your drawing${astray()}`;
    const right = truth === null ? drawing : truth === top ? "right" : `wrong, its label is ${classes[truth]}`;
    const unsure = chances[top] < 0.5 ? "Unsure: " : "";
    verdict.replaceChildren(element("b", { textContent: `${unsure}${classes[top]}, ${(100 * chances[top]).toFixed(1)} %` }), ` (${right})`);
  }

  // How a drawing lies that the network has not learnt to read.
  function astray() {
    const [down, right] = centred ? offset(pixels) : [0, 0];
    const ways = [[-down, "high"], [down, "low"], [-right, "far left"], [right, "far right"]];
    return ways.filter(([by]) => by > 1).map(([by, way]) => `, ${by} pixels too ${way}`).join("");
  }

  // Frames: the unit, what it reads in the layer before, its receptive field in the picture.
  function frame(parent, [top, bottom], [left, right], height, width, name = "") {
    const made = element("i", { className: `frame ${name}` });
    Object.assign(made.style, { top: `${100 * top / height}%`, left: `${100 * left / width}%`,
      height: `${100 * (bottom - top + 1) / height}%`, width: `${100 * (right - left + 1) / width}%` });
    parent.append(made);
  }

  function mark() {
    root.querySelectorAll(".frame").forEach(old => old.remove());
    const spot = hovered ?? kept, row = rows[spot.layer], before = rows[spot.layer - 1];
    const seen = field(layers, tensors, spot);
    frame(inputBox, seen.rows, seen.columns, 28, 28, "lens");
    if (easel.matches(":focus-visible")) frame(inputBox, [cursor[0], cursor[0]], [cursor[1], cursor[1]], 28, 28, "cursor");
    rows[output].spots.forEach((made, index) => made.classList.toggle("chosen", row.last && index === spot.map));
    if (row.dense && !row.last) {
      const i = Math.floor(spot.map / row.columns), j = spot.map % row.columns;
      frame(row.spots[0], [i, i], [j, j], row.sheets[0].height, row.columns, "here");
    } else if (!row.last) frame(row.spots[spot.map], [spot.row, spot.row], [spot.column, spot.column], row.height, row.width, "here");
    if (!before || row.dense) return;
    const across = [source(row.layer, [spot.row, spot.row], before.height), source(row.layer, [spot.column, spot.column], before.width)];
    before.spots.forEach((made, map) => {
      if (row.layer.kind !== "pooling" || map === spot.map) frame(made, ...across, before.height, before.width);
    });
  }

  function show() {
    mark();
    const spot = hovered ?? kept, { layer, maps, dense, last } = rows[spot.layer];
    const x = tensors[spot.layer], y = tensors[spot.layer + 1];
    const at = (spot.map * y.height + spot.row) * y.width + spot.column;
    const inputs = read(x, layer, spot.row, spot.column);
    const seen = field(layers, tensors, spot);
    const outside = [...seen.rows, ...seen.columns].some(value => value < 0 || value > 27);
    const reach = dense ? "It sees the whole picture." : `It sees rows ${seen.rows.join(" to ")} and columns ${seen.columns.join(" to ")}${outside ? ", partly margin" : ""}.`.replace(/-/g, "\u2212");
    const work = layer.kind === "pooling" ? "Nothing is multiplied." : dense ? `${inputs.length} multiply-adds.`
      : `${x.maps > 1 ? `${x.maps} \u00d7 ` : ""}${layer.kernel} \u00d7 ${layer.kernel} = ${inputs.length} multiply-adds.`;
    const title = last ? `${layer.name}, ${classes[spot.map]}` : dense ? `${layer.name}, unit ${spot.map}`
      : `${layer.name}, map ${spot.map}, row ${spot.row}, column ${spot.column}`;
    const write = { convolution, pooling, dense: contributions }[layer.kind];
    const focused = [...unit.querySelectorAll("button")].indexOf(document.activeElement);
    unit.replaceChildren(line("title", title), line("soft where", `${work} ${reach}`),
      ...write({ layer, spot, x, inputs, total: Math.round(100 * y.sums[at]), value: y.values[at] }));
    strip.textContent = [title, ...[...unit.querySelectorAll(".total")].map(part => part.textContent)].join(": ");
    if (focused >= 0) unit.querySelectorAll("button")[focused]?.focus();
  }

  // The end of every sum: through the activation, or as it is.
  function ending({ layer, spot, total, value }) {
    if (layer.activation) return `${printed(total)} \u2192 ${layer.activation} \u2192 ${number(value)}`;
    if (spot.layer !== output) return printed(total);
    const chances = softmax(tensors[output + 1].values);
    return `${printed(total)}; softmax makes it ${(100 * chances[spot.map]).toFixed(1)} %`;
  }

  function convolution(found) {
    const { layer, spot, x, inputs, total } = found, area = layer.kernel ** 2;
    const weights = Array.from(layer.weights.subarray(spot.map * layer.inputs, (spot.map + 1) * layer.inputs));
    const part = (list, map) => list.slice(map * area, (map + 1) * area);
    const parts = Array.from({ length: x.maps }, (_, map) => sum(part(inputs, map).map((value, index) => value * part(weights, map)[index])));
    const terms = shares([...parts, layer.bias[spot.map]], total);
    const low = Math.min(...x.values), high = Math.max(...x.values), most = Math.max(...weights.map(Math.abs)) || 1;
    const ink = value => (value - low) / (high - low || 1), red = value => value / most;
    const map = Math.min(from, x.maps - 1), name = rows[spot.layer - 1]?.layer.name;
    const choices = labelled(element("div", { className: "choices" }, ...parts.map((_, index) => {
      const button = element("button", { type: "button", onclick: () => { from = index; show(); } },
        cells(part(inputs, index), layer.kernel, ink, false, false), cells(part(weights, index), layer.kernel, red, true, false), printed(terms[index]));
      button.setAttribute("aria-pressed", index === map);
      button.setAttribute("aria-label", `From map ${index} of ${name}: ${printed(terms[index])}`);
      return button;
    })), "group", `What each map of ${name} adds`);
    const bias = terms[terms.length - 1], several = x.maps > 1;
    const start = several ? added(terms.slice(0, -1)) : `Sum of the products ${printed(terms[0])}`;
    const patch = cells(part(inputs, map), layer.kernel, ink, false), kernel = cells(part(weights, map), layer.kernel, red, true);
    const products = part(inputs, map).map((value, index) => ({ value: value * part(weights, map)[index],
      words: times(value, part(weights, map)[index]), parts: [patch.children[index], kernel.children[index]] }));
    return [...(several ? [choices] : []),
      element("div", { className: "product" },
        element("div", {}, line("soft", several ? `patch of ${name}, map ${map}` : "patch of the input, normalised"), patch),
        element("span", { textContent: "\u00d7" }),
        element("div", {}, line("soft", several ? `its kernel in filter ${spot.map}` : `kernel of filter ${spot.map}`), kernel)),
      player(products),
      line("total", `${start} ${bias < 0 ? "\u2212" : "+"} bias ${printed(Math.abs(bias))} = ${ending(found)}`)];
  }

  // A sum played term by term. Each term: what is added, in words and as a number, and
  // the parts of the figure that it comes from. Who wants less motion steps by hand.
  function player(terms) {
    let at = -1, total = 0, timer = null;
    const told = line("term soft");
    function halt() {
      clearInterval(timer);
      timer = null;
      play.textContent = "Play the sum";
    }
    function next() {
      if (!told.isConnected) return halt();
      terms[at]?.parts.forEach(part => part.classList.remove("now"));
      at = (at + 1) % terms.length;
      if (!at) total = 0;
      total += terms[at].value;
      terms[at].parts.forEach(part => part.classList.add("now"));
      told.textContent = `${at + 1} of ${terms.length}: ${terms[at].words}; so far ${number(total)}`;
      if (at === terms.length - 1) halt();
    }
    const step = element("button", { type: "button", textContent: "Next term", onclick: () => { halt(); next(); } });
    const play = element("button", { type: "button", textContent: "Play the sum", onclick: () => {
      if (timer) return halt();
      timer = setInterval(next, 400);
      play.textContent = "Pause";
      next();
    } });
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    return element("div", { className: "player" }, ...(still ? [] : [play]), step, told);
  }

  const times = (value, weight) => `${number(value)} \u00d7 ${number(weight)} \u2248 ${number(value * weight)}`;

  function pooling({ layer, spot, x, inputs, total }) {
    const area = layer.kernel ** 2, window = inputs.slice(spot.map * area, (spot.map + 1) * area);
    const low = Math.min(...x.values), high = Math.max(...x.values);
    const name = rows[spot.layer - 1]?.layer.name ?? "the input";
    const whole = Math.round(100 * sum(window));
    const text = layer.pooling === "max" ? `The largest is ${printed(total)}.`
      : `${added(shares(window, whole))} = ${printed(whole)}, divided by ${area}: ${printed(total)}`;
    return [element("div", { className: "product" },
      element("div", {}, line("soft", `window of ${name}, map ${spot.map}`), cells(window, layer.kernel, value => (value - low) / (high - low || 1), false))),
    line("total", text)];
  }

  // A dense unit: the largest of its products, and the others together.
  function contributions(found) {
    const { layer, spot, x, inputs, total } = found, source = rows[spot.layer - 1];
    const weights = layer.weights.subarray(spot.map * layer.inputs, (spot.map + 1) * layer.inputs);
    const products = Array.from(inputs, (value, index) => value * weights[index]);
    const order = [...products.keys()].sort((a, b) => Math.abs(products[b]) - Math.abs(products[a]));
    const largest = order.slice(0, TERMS), rest = order.slice(TERMS);
    const parts = [...largest.map(index => products[index]), sum(rest.map(index => products[index])), layer.bias[spot.map]];
    const terms = shares(parts, total), [others, bias] = terms.slice(-2);
    const origin = index => {
      const map = Math.floor(index / (x.height * x.width)), place = index % (x.height * x.width);
      const inside = source.dense ? `${map}` : `${map}, ${Math.floor(place / x.width)}, ${place % x.width}`;
      return `${source.layer.name}[${inside}]`;
    };
    const row = (name, ...texts) => element("tr", {}, element("th", { scope: "row", textContent: name, colSpan: 4 - texts.length }),
      ...texts.map(textContent => element("td", { textContent })));
    const list = element("table", { className: "terms" },
      element("caption", { className: "soft", textContent: `The ${largest.length} largest of the products` }),
      element("tbody", {}, ...largest.map((index, place) => row(origin(index), number(inputs[index]), `\u00d7 ${number(weights[index])}`, printed(terms[place]))),
        row(`the other ${rest.length} together`, printed(others)), row("bias", printed(bias))));
    const steps = [...largest.map(index => [products[index], times(inputs[index], weights[index])]),
      [sum(rest.map(index => products[index])), `the other ${rest.length} together`], [layer.bias[spot.map], "the bias"]];
    return [list, player(steps.map(([value, words], index) => ({ value, words, parts: [list.rows[index]] }))),
      line("total", `Sum ${ending(found)}`)];
  }

  choose("draw");
  run();
}
