const NAME = "bench";
const range = count => [...Array(count).keys()];
const sum = numbers => numbers.reduce((total, number) => total + number, 0);

// ---- What is computed. A map is { channels, height, width, values: [channel][place] }.

// The padding before and after a line of n pixels: a number, PyTorch's "same", or "SAME"
// of TensorFlow; an odd pixel goes after.
function margins(n, { padding, size, stride, dilation }) {
  const reach = dilation * (size - 1) + 1;
  if (padding === "same") return [Math.floor((reach - 1) / 2), Math.ceil((reach - 1) / 2)];
  if (padding !== "SAME") return [padding, padding];
  const total = Math.max((Math.ceil(n / stride) - 1) * stride + reach - n, 0);
  return [Math.floor(total / 2), Math.ceil(total / 2)];
}

// One axis of a layer: pixels, padding, and the places of the window.
function axis(n, set) {
  const [before, after] = margins(n, set);
  const reach = set.dilation * (set.size - 1) + 1;
  return { n, before, after, count: Math.floor((n + before + after - reach) / set.stride) + 1 };
}

// The pixel whose value stands at place i of the padded line, -1 for a zero.
function source(i, n, values) {
  if (i >= 0 && i < n) return i;
  if (values === "zeros") return -1;
  return values === "replicate" ? Math.min(Math.max(i, 0), n - 1) : ((i % n) + n) % n;
}

// Why a layer cannot be, in words, or nothing.
function problem(lines, set) {
  if (set.padding === "same" && set.stride > 1)
    return `PyTorch refuses padding="same" with a stride of ${set.stride}: choose a number.`;
  if (set.pooling && set.padding > set.size / 2)
    return `PyTorch pools with a padding of half the window at most, not ${set.padding} of ${set.size}.`;
  for (const { n, before, after, count } of lines) {
    if (count < 1) return `A window of ${set.dilation * (set.size - 1) + 1} does not fit a line of ${n + before + after} pixels.`;
    if (set.values === "circular" && after > n) return `${after} pixels of padding would go around a line of ${n} more than once.`;
  }
}

// For every output, what it reads: the place (y, x), the pixel there or -1, the weight.
function readings([rows, columns], { size, stride, dilation, values }) {
  return range(rows.count * columns.count).map(output => {
    const top = Math.floor(output / columns.count) * stride - rows.before;
    const left = output % columns.count * stride - columns.before;
    return range(size * size).map(weight => {
      const y = top + dilation * Math.floor(weight / size), x = left + dilation * (weight % size);
      const row = source(y, rows.n, values), column = source(x, columns.n, values);
      return { y, x, weight, from: row < 0 || column < 0 ? -1 : row * columns.n + column };
    });
  });
}

// What lies in the padding: nothing that could win.
const outside = set => ({ max: -Infinity, min: Infinity })[set.pooling] ?? 0;
const seen = (values, reads, set) => reads.map(({ from }) => from < 0 ? outside(set) : values[from]);
const POOLS = {
  max: window => Math.max(...window),
  min: window => Math.min(...window),
  average: window => sum(window) / window.length,
};

// The frame of the map after `below`: its lines, its size and what each place reads.
function frame(below, filters, set) {
  const lines = [axis(below.height, set), axis(below.width, set)];
  const why = problem(lines, set);
  if (why) throw Error(why);
  const channels = set.pooling ? below.channels : filters.length;
  return { lines, reads: readings(lines, set), channels, height: lines[0].count, width: lines[1].count };
}

// Its values, by filters [output channel][input channel][weight].
function filled({ reads }, below, filters, set) {
  if (set.pooling) return below.values.map(plane => Float64Array.from(reads, one => POOLS[set.pooling](seen(plane, one, set))));
  return filters.map(filter => Float64Array.from(reads, one => sum(below.values.map((plane, channel) =>
    one.reduce((total, { from, weight }) => from < 0 ? total : total + plane[from] * filter[channel][weight], 0)))));
}

// Who reads pixel `from`: pairs of output and weight.
const readers = ({ reads }, from) => reads.flatMap((one, output) =>
  one.filter(read => read.from === from).map(({ weight }) => ({ output, weight })));

// The pixels below that some output of `chosen` reads.
const field = ({ reads }, chosen) => new Set([...chosen].flatMap(output => reads[output].map(({ from }) => from)).filter(from => from >= 0));

// ---- What is shown.

const CELL = 20;
const printed = (value, digits = 4) => `${+value.toPrecision(digits)}`.replace("-", "\u2212").replace("Infinity", "\u221e");
const factor = value => value < 0 ? `(${printed(value)})` : printed(value);

function start(root, { controls, pictures, kernels, settings }) {
  const on = name => controls.includes(name);
  const set = { ...settings };
  let maps, panels, trouble, visited, timer, pixel, focus, whole = controls.length > 0;
  let picture, filters;

  // -- The controls above.
  const knobs = element("div", { className: "knobs" });
  function knob(label, key, options, change) {
    const select = element("select", {}, ...options.map(([text, value]) => new Option(text, value)));
    select.value = set[key];
    select.onchange = () => {
      const value = select.value;
      set[key] = value.trim() !== "" && !isNaN(value) ? Number(value) : value;
      change?.();
      rebuild();
    };
    knobs.append(element("label", {}, label, select));
    return select;
  }
  const named = names => names.map(name => [name, name]);
  const numbers = (first, last) => named(range(last - first + 1).map(index => first + index));
  if (Object.keys(pictures).length > 1) knob("picture", "picture", named(Object.keys(pictures)), takePicture);
  if (on("pooling")) knob("one value is the", "pooling", [["largest", "max"], ["mean", "average"], ["smallest", "min"]]);
  else knob(on("channels") ? "first filter" : "kernel", "kernel", named(Object.keys(kernels)), takeKernel);
  if (on("pooling")) knob("window", "size", numbers(1, 4));
  if (on("channels")) {
    knob("channels in", "inputs", numbers(1, 3), () => { takePicture(); takeKernel(); });
    knob("channels out", "outputs", numbers(1, 3), takeKernel);
  }
  if (on("layers")) knob("layers", "layers", numbers(1, 3));
  if (on("padding")) {
    const words = [["same (PyTorch)", "same"], ["SAME (TensorFlow)", "SAME"]];
    knob("padding", "padding", [...numbers(0, 3), ...(on("pooling") ? [] : words)]);
    if (!on("pooling")) knob("filled with", "values", [["zeros", "zeros"], ["the edge", "replicate"], ["the other side", "circular"]]);
  }
  if (on("stride")) knob("stride", "stride", numbers(1, 4));
  if (on("dilation")) knob("dilation", "dilation", numbers(1, 3));

  // -- The stage: a panel for every map.
  const stage = element("div", { className: on("channels") ? "stage deep" : "stage" });
  const back = element("button", { type: "button", textContent: "\u25c0 Back" });
  const play = element("button", { type: "button", textContent: "Play" });
  const step = element("button", { type: "button", textContent: "Step \u25b6" });
  const all = element("input", { type: "checkbox", checked: whole });
  const pixelField = element("input", { type: "text", inputMode: "decimal", size: 4 });
  const pixelLabel = element("span");
  const tools = element("div", { className: "tools" }, back, play, step,
    ...(on("layers") ? [] : [element("label", {}, all, " whole result")]), element("label", {}, pixelLabel, pixelField),
    ...(on("pooling") ? [shifts(shift)] : []));
  const status = element("p", { className: "status" });
  status.setAttribute("role", "status");
  const work = element("div", { className: "work" });
  const formula = element("p", { className: "soft formula" });
  const matrix = element("div", { className: "matrix" });
  const tables = element("div", { className: "wide", tabIndex: 0 });
  tables.setAttribute("role", "region");
  tables.setAttribute("aria-label", "All numbers");
  const folded = element("details", { className: "soft" }, element("summary", { textContent: "All numbers, as tables" }), tables);
  folded.ontoggle = fillTables;
  root.append(element("div", { className: "live" }, knobs, stage, tools, status, work, formula, matrix, folded));

  function takePicture() {
    const given = pictures[set.picture].map(plane => plane.map(row => row.split(" ").map(Number)));
    const channels = range(on("channels") ? set.inputs : given.length).map(index => given[index % given.length]);
    picture = {
      channels: channels.length, height: given[0].length, width: given[0][0].length,
      values: channels.map(plane => Float64Array.from(plane.flat())),
    };
    set.scale = Math.max(...given.flat(2)) > 10 ? 255 : 10;
    pixel = { channel: 0, row: 0, column: 0 };
    focus = { level: set.layers, channel: 0, row: 0, column: 0 };
  }

  // Filter by filter the chosen kernel and those after it that have the same size.
  function takeKernel() {
    if (on("pooling")) return;
    const rows = kernel => kernel[0][0].length ? kernel : [kernel];
    const chosen = rows(kernels[set.kernel]);
    set.size = chosen[0].length;
    const names = Object.keys(kernels).filter(name => rows(kernels[name])[0].length === set.size);
    const first = names.indexOf(set.kernel);
    filters = range(set.outputs).map(output => {
      const kernel = rows(kernels[names[(first + output) % names.length]]);
      return range(picture.channels).map(channel => kernel[channel % kernel.length].flat());
    });
  }

  // What a picture of full brightness becomes by a filter, and whether it is still one.
  const gain = channel => set.pooling ? 1 : sum(filters[channel].flat());

  // The maps and, of each, what no value of the last one needs: that is never read.
  function shape() {
    maps = [picture];
    trouble = "";
    try {
      for (const index of range(set.layers)) maps.push(frame(maps[index], filters, set));
    } catch (problem) {
      trouble = problem.message;
    }
    let needed = new Set(range(maps.at(-1).height * maps.at(-1).width));
    for (let level = maps.length - 1; level; level--) {
      const spots = new Set([...needed].flatMap(output => maps[level].reads[output].map(({ y, x }) => `${y},${x}`)));
      needed = field(maps[level], needed);
      Object.assign(maps[level - 1], { needed, spots });
    }
  }

  function compute() {
    for (const level of range(maps.length - 1)) maps[level + 1].values = filled(maps[level + 1], maps[level], filters, set);
  }

  function rebuild() {
    shape();
    compute();
    visited = new Set();
    focus.level = Math.min(Math.max(focus.level, on("backward") ? 0 : 1), maps.length - 1);
    panels = maps.map(panel);
    stage.replaceChildren(...panels.map(({ box }) => box));
    editor();
    paint();
    point({});
  }

  const called = level => !level ? "picture" : set.layers > 1 ? `map ${level}` : on("pooling") ? "pooled" : "result";

  function panel(map, level) {
    const above = maps[level + 1];
    const [rows, columns] = above?.lines ?? [map.height, map.width].map(n => ({ n, before: 0, after: 0 }));
    const height = rows.n + rows.before + rows.after, width = columns.n + columns.before + columns.after;
    const name = called(level);
    const box = element("div", { className: "panel", tabIndex: 0 });
    box.setAttribute("role", "application");
    box.setAttribute("aria-label", `${name}, ${map.height} rows, ${map.width} columns: the arrow keys move ${level ? "through its values" : on("backward") || on("layers") ? "from pixel to pixel" : "the window"}${map.channels > 1 ? ", Page keys change the channel" : ""}`);
    box.append(element("p", { className: "name", textContent: `${name}, ${map.channels > 1 ? `${map.channels} x ` : ""}${map.height} x ${map.width}` }));
    const planes = range(map.channels).map(channel => {
      const svg = drawn("svg", { viewBox: `-1 -1 ${CELL * width + 2} ${CELL * height + 2}`, "aria-hidden": true });
      svg.style.maxWidth = `${Math.min(width * 30, 300)}px`;
      if (width > 12) svg.setAttribute("class", "fine");
      const cells = range(height * width).map(index => {
        const y = Math.floor(index / width) - rows.before, x = index % width - columns.before;
        const inside = y >= 0 && x >= 0 && y < map.height && x < map.width;
        const [left, top] = [CELL * (x + columns.before), CELL * (y + rows.before)];
        const row = source(y, map.height, set.values), column = source(x, map.width, set.values);
        const from = row < 0 || column < 0 ? -1 : row * map.width + column;
        const unread = level < maps.length - 1 && (inside ? !map.needed.has(from) : !map.spots.has(`${y},${x}`));
        const rect = drawn("rect", { x: left, y: top, width: CELL, height: CELL, class: `${inside ? "" : "pad"}${unread ? " unread" : ""}` });
        const text = width <= 12 ? drawn("text", { x: left + CELL / 2, y: top + CELL / 2 }) : null;
        svg.append(rect, ...(text ? [text] : []));
        return { from, inside, unread, rect, text };
      });
      const marks = ["window", "won", level ? "here" : "chosen"].map(className => drawn("path", { class: className }));
      svg.append(...marks);
      const pick = event => {
        const area = svg.getBoundingClientRect();
        const at = (from, size, count) => Math.min(Math.max(Math.floor(from / size * count), 0), count - 1);
        moveTo(level, channel, at(event.clientY - area.y, area.height, height) - rows.before, at(event.clientX - area.x, area.width, width) - columns.before);
      };
      svg.onpointerdown = event => { stop(); pick(event); };
      svg.onpointermove = event => { if (event.buttons) pick(event); };
      box.append(svg);
      return { cells, marks };
    });
    box.onkeydown = event => {
      const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [-99, -99], End: [99, 99] };
      const turn = { PageUp: -1, PageDown: 1 }[event.key];
      if (!moves[event.key] && !(turn && map.channels > 1)) return;
      event.preventDefault();
      stop();
      const from = level ? focus.level === level ? focus : { channel: 0, row: 0, column: 0 } : pixel;
      const [down, right] = moves[event.key] ?? [0, 0];
      moveTo(level, (from.channel + (turn ?? 0) + map.channels) % map.channels, from.row + down, from.column + right);
    };
    return { box, planes, before: [rows.before, columns.before] };
  }

  const within = (value, count) => Math.min(Math.max(value, 0), count - 1);

  // Somebody points at a place of a map. A pixel is chosen, to be changed; the window
  // moves there, or where the page tells the way back, those who read it are shown.
  function moveTo(level, channel, row, column) {
    const map = maps[level];
    [row, column] = [within(row, map.height), within(column, map.width)];
    if (level) return point({ level, channel, row, column });
    pixel = { channel, row, column, touched: true };
    if (on("backward") || on("layers") || trouble) return point({ level, channel, row, column });
    const half = set.dilation * (set.size - 1) / 2;
    const place = (at, { before, count }) => within(Math.round((at + before - half) / set.stride), count);
    point({ level: 1, channel: focus.channel, row: place(row, maps[1].lines[0]), column: place(column, maps[1].lines[1]) });
  }

  // Colours and numbers of all cells.
  function paint() {
    maps.forEach((map, level) => panels[level].planes.forEach(({ cells }, channel) => {
      const values = map.values[channel];
      const grey = !level || set.pooling || gain(channel) > 0;
      const top = grey ? set.scale * Math.max(1, level && !set.pooling ? gain(channel) ** level : 1) : 0.7 * Math.max(...values.map(Math.abs), 1e-9);
      for (const { from, inside, unread, rect, text } of cells) {
        const value = from < 0 ? outside(set) : values[from];
        const share = Math.min(Math.max(value / top, grey ? 0 : -1), 1);
        const light = Math.round(255 * share);
        rect.style.fill = unread || !inside ? "" : grey ? `rgb(${light} ${light} ${light})`
          : `color-mix(in srgb, var(--${share < 0 ? "minus" : "plus"}) ${Math.round(65 * Math.abs(share))}%, var(--ground))`;
        if (!text) continue;
        text.textContent = printed(value, 3);
        text.style.fontSize = `${Math.min(10, 28 / text.textContent.length)}px`;
        text.style.fill = !inside || unread ? "" : !grey ? "var(--ink)" : light < 130 ? "#fff" : "#000";
      }
    }));
    conceal();
    drawMatrix();
    fillTables();
  }

  // The result is empty where the window has not been, unless all of it is asked for.
  function conceal() {
    if (maps.length !== 2) return;
    panels[1].planes.forEach(({ cells }, channel) => cells.forEach(({ rect, text }, place) => {
      const shown = whole || visited.has(place);
      rect.classList.toggle("empty", !shown);
      if (text) text.style.visibility = shown ? "" : "hidden";
    }));
  }

  // The places to mark in every map, seen from the one that is pointed at.
  function reached() {
    const found = maps.map(() => new Map());
    const own = focus.row * maps[focus.level].width + focus.column;
    const add = (level, y, x) => found[level].set(`${y},${x}`, [y, x]);
    let chosen = new Set([own]);
    for (let level = focus.level; level; level--) {
      for (const output of chosen) for (const { y, x } of maps[level].reads[output]) add(level - 1, y, x);
      chosen = field(maps[level], chosen);
      for (const from of chosen) if (level < focus.level) add(level - 1, Math.floor(from / maps[level - 1].width), from % maps[level - 1].width);
    }
    chosen = new Set([own]);
    for (let level = focus.level + 1; level < maps.length; level++) {
      chosen = new Set([...chosen].flatMap(from => readers(maps[level], from).map(({ output }) => output)));
      for (const output of chosen) add(level, Math.floor(output / maps[level].width), output % maps[level].width);
    }
    return found.map(places => [...places.values()]);
  }

  function point(to) {
    const channelBefore = focus.channel;
    Object.assign(focus, to);
    const map = maps[focus.level];
    focus.row = within(focus.row, map.height);
    focus.column = within(focus.column, map.width);
    focus.channel = within(focus.channel, map.channels);
    if (focus.level) visited.add(focus.row * map.width + focus.column);
    const marks = reached();
    const winner = won();
    panels.forEach(({ planes, before }, level) => planes.forEach(({ marks: [window, best, here] }, channel) => {
      const shape = places => places.map(([y, x]) => `M${CELL * (x + before[1])} ${CELL * (y + before[0])}h${CELL}v${CELL}h-${CELL}z`).join("");
      const same = !set.pooling || channel === focus.channel;
      window.setAttribute("d", shape(same ? marks[level] : []));
      best.setAttribute("d", shape(same && winner && level === focus.level - 1 ? [winner] : []));
      const own = level === focus.level && channel === focus.channel ? [[focus.row, focus.column]] : [];
      const edited = pixel.touched && channel === pixel.channel ? [[pixel.row, pixel.column]] : [];
      here.setAttribute("d", shape(level ? own : edited));
    }));
    if (channelBefore !== focus.channel) editor();
    conceal();
    pixelLabel.textContent = `pixel (${pixel.row}, ${pixel.column})`;
    if (document.activeElement !== pixelField) pixelField.value = printed(picture.values[pixel.channel][pixel.row * picture.width + pixel.column]);
    explain(marks);
    markMatrix();
  }

  function won() {
    if (!["max", "min"].includes(set.pooling) || !focus.level) return null;
    const reads = maps[focus.level].reads[focus.row * maps[focus.level].width + focus.column];
    const window = seen(maps[focus.level - 1].values[focus.channel], reads, set);
    const { y, x } = reads[window.indexOf(POOLS[set.pooling](window))];
    return [y, x];
  }

  // -- The arithmetic: window, weights, products.
  let rowsOfWork;
  const fitted = (node, text) => {
    node.style.fontSize = `${Math.min(12, 54 / text.length)}px`;
    return node;
  };
  function editor() {
    const count = set.pooling ? 1 : picture.channels;
    rowsOfWork = range(count).map(channel => {
      const [window, weights, turned, products] = ["", "", "", ""].map(() => {
        const grid = element("div", { className: "grid" });
        grid.style.setProperty("--size", set.size);
        return grid;
      });
      if (!set.pooling) weights.append(...filters[Math.min(focus.channel, filters.length - 1)][channel].map((value, index) => {
        const field = fitted(element("input", { type: "text", inputMode: "decimal", value: printed(value) }), printed(value));
        field.setAttribute("aria-label", `weight (${Math.floor(index / set.size)}, ${index % set.size})${count > 1 ? ` on channel ${channel + 1}` : ""}`);
        field.oninput = () => {
          const typed = read(field);
          if (typed === null) return;
          filters[Math.min(focus.channel, filters.length - 1)][channel][index] = typed;
          refresh();
        };
        return field;
      }));
      const labels = [element("span"), element("span"), element("span")];
      const column = (label, ...grids) => element("div", {}, label, ...grids);
      const sign = text => element("b", { textContent: text });
      const parts = set.pooling ? [column(labels[0], window)]
        : [column(labels[0], window), sign("\u00d7"), column(labels[1], weights, turned), sign("="), column(labels[2], products)];
      return { channel, window, weights, turned, products, labels, node: element("div", { className: set.size > 3 ? "factors" : "factors short" }, ...parts) };
    });
    work.replaceChildren(...rowsOfWork.map(({ node }) => node));
  }

  // A typed number, with a comma or a minus sign of print, or null where it is none yet.
  function read(field) {
    const text = field.value.trim().replace("\u2212", "-").replace(",", ".");
    const good = text !== "" && Math.abs(Number(text)) < 1e6;
    field.setAttribute("aria-invalid", !good);
    return good ? Number(text) : null;
  }

  function refresh() {
    compute();
    paint();
    point({});
  }

  // What leaves the picture on one side comes in on the other.
  function shift(down, right, way) {
    stop();
    const { height, width, values: [plane] } = picture, [before] = maps.at(-1).values;
    picture.values = [plane.map((_, at) =>
      plane[(Math.floor(at / width) - down + height) % height * width + (at - right + width) % width])];
    refresh();
    const [after] = maps.at(-1).values, same = after.filter((value, at) => value === before[at]);
    if (!trouble) status.prepend(`Shifted ${way} by one pixel: ${same.length} of ${after.length} pooled values stay. `);
  }

  const cells = (grid, texts, marked = -1) => grid.replaceChildren(...texts.map((textContent, index) =>
    fitted(element("span", { textContent, className: index === marked ? "won" : "" }), textContent)));

  const title = (labels, names) => labels.forEach((label, index) => { label.textContent = names[index]; });

  function explain(marks) {
    work.hidden = Boolean(trouble) || (on("layers") && !focus.level);
    formula.replaceChildren(...sizes().map(textContent => element("span", { textContent })));
    if (trouble) { status.textContent = trouble; return; }
    const { row, column, channel, level } = focus;
    if (!level && on("backward")) return explainGradient();
    if (!level) {
      const counts = marks.slice(1).map((places, index) => `${places.length} of map ${index + 1}`);
      status.textContent = `Pixel (${row}, ${column}) is read by ${counts.join(", and through them by ")}.`;
      return;
    }
    const map = maps[level], below = maps[level - 1], reads = map.reads[row * map.width + column];
    const result = printed(map.values[channel][row * map.width + column]);
    const name = `y(${map.channels > 1 ? `${channel}, ` : ""}${row}, ${column})`;
    if (set.pooling) {
      const window = seen(below.values[channel], reads, set);
      const found = POOLS[set.pooling](window), listed = window.map(value => printed(value));
      rowsOfWork[0].labels[0].textContent = "window";
      cells(rowsOfWork[0].window, listed, set.pooling === "average" ? -1 : window.indexOf(found));
      status.textContent = `${name} = ${set.pooling === "average" ? `(${listed.join(" + ")}) / ${window.length}` : `${set.pooling}(${listed.join(", ")})`} = ${result}`;
      return;
    }
    const terms = rowsOfWork.map(({ channel: from, window, weights, turned, products, labels }) => {
      const under = seen(below.values[from], reads, set), kernel = filters[channel][from];
      title(labels, picture.channels > 1 ? [`channel ${from + 1}`, `filter ${channel + 1}`, "products"] : ["window", "kernel", "products"]);
      weights.hidden = false;
      turned.hidden = true;
      cells(window, under.map(value => printed(value, 3)));
      cells(products, under.map((value, index) => printed(value * kernel[index], 3)));
      return under.map((value, index) => `${factor(value)}\u00b7${factor(kernel[index])}`).join(" + ");
    });
    status.textContent = `${name} = ${terms.join(" + ")} = ${result}`;
    if (level > 1) status.append(`. Through ${level} layers it sees ${fieldSize(level)} x ${fieldSize(level)} pixels.`);
  }

  // With the loss of half the sum of all squares, the error of an output is its value.
  function explainGradient() {
    const { row, column } = focus, map = maps[1], kernel = filters[0][0];
    const found = readers(map, row * picture.width + column), error = map.values[0];
    const turned = range(kernel.length).reverse();
    const by = turned.map(weight => found.filter(reader => reader.weight === weight));
    const [{ window, weights, turned: grid, products, labels }] = rowsOfWork;
    title(labels, ["errors", "kernel, turned", "products"]);
    weights.hidden = true;
    grid.hidden = false;
    const total = readers => sum(readers.map(({ output }) => error[output]));
    cells(window, by.map(readers => readers.length ? printed(total(readers), 3) : "\u2013"));
    cells(grid, turned.map(weight => printed(kernel[weight], 3)));
    cells(products, by.map((readers, index) => readers.length ? printed(total(readers) * kernel[turned[index]], 3) : "\u2013"));
    const terms = by.flat().map(({ output, weight }) => `${factor(error[output])}\u00b7${factor(kernel[weight])}`);
    status.textContent = `Pixel (${row}, ${column}) is read by ${found.length} output${found.length === 1 ? "" : "s"}; gradient = ${terms.join(" + ") || "0"} = ${printed(gradient()[row * picture.width + column])}`;
  }

  function gradient() {
    const found = new Float64Array(picture.height * picture.width);
    maps[1].reads.forEach((one, output) => one.forEach(({ from, weight }) => {
      if (from >= 0) found[from] += maps[1].values[0][output] * filters[0][0][weight];
    }));
    return found;
  }

  // How far a value sees: each layer adds (size - 1) windows' steps, in pixels.
  const jumps = level => range(level).map(index => (set.size - 1) * set.dilation * set.stride ** index);
  const fieldSize = level => 1 + sum(jumps(level));

  // The output-size formula with its numbers, and that of the receptive field.
  function sizes() {
    if (!controls.length || on("channels") || on("backward")) return [];
    const lines = [axis(picture.height, set), axis(picture.width, set)];
    const { size, stride, dilation } = set;
    const one = ({ n, before, after, count }, name) => `${name}: \u230a(${n} + ${before} + ${after} \u2212 ${dilation}\u00b7(${size} \u2212 1) \u2212 1) / ${stride}\u230b + 1 = ${printed(count)}`;
    const shown = picture.height === picture.width ? [one(lines[0], "places along a side")]
      : [one(lines[0], "places in a column"), one(lines[1], "places in a row")];
    if (on("layers")) shown.push(`receptive field: ${[1, ...jumps(set.layers)].join(" + ")} = ${fieldSize(set.layers)}`);
    const unread = trouble ? 0 : picture.height * picture.width - picture.needed.size;
    if (unread) shown.push(`pixels never read (orange): ${unread}`);
    return shown;
  }

  // -- The layer as a matrix: a row for each output, a column for each pixel.
  let bars;
  function drawMatrix() {
    const outputs = trouble ? 0 : maps[1].height * maps[1].width, inputs = picture.height * picture.width;
    matrix.hidden = !on("backward") || !outputs || Math.max(outputs, inputs) > 100;
    if (matrix.hidden) return;
    const svg = drawn("svg", { viewBox: `-0.5 -0.5 ${inputs + 1} ${outputs + 1}`, "aria-hidden": true });
    const most = Math.max(...filters[0][0].map(Math.abs), 1e-9);
    svg.append(drawn("rect", { class: "sheet", width: inputs, height: outputs }));
    maps[1].reads.forEach((one, output) => {
      const entries = new Map();
      for (const { from, weight } of one) if (from >= 0) entries.set(from, (entries.get(from) ?? 0) + filters[0][0][weight]);
      for (const [from, value] of entries) {
        const cell = drawn("rect", { x: from, y: output, width: 1, height: 1 });
        const share = Math.min(Math.abs(value) / most, 1);
        cell.style.fill = share ? `color-mix(in srgb, var(--${value < 0 ? "minus" : "plus"}) ${Math.round(30 + 70 * share)}%, var(--ground))` : "var(--edge)";
        svg.append(cell);
      }
    });
    bars = drawn("rect", { class: "bars" });
    svg.append(bars);
    matrix.replaceChildren(element("p", { className: "name", textContent: `the same as a matrix, ${outputs} x ${inputs}: an output is a row, a pixel a column` }), svg);
  }

  function markMatrix() {
    if (matrix.hidden || !bars) return;
    const map = maps[1], inputs = picture.height * picture.width, outputs = map.height * map.width;
    const at = focus.row * maps[focus.level].width + focus.column;
    const place = focus.level ? { x: 0, y: at, width: inputs, height: 1 } : { x: at, y: 0, width: 1, height: outputs };
    for (const [name, value] of Object.entries(place)) bars.setAttribute(name, value);
  }

  function fillTables() {
    if (!folded.open) return;
    const table = (caption, values, width) => element("table", { className: "stages" }, element("caption", { textContent: caption }),
      element("tbody", {}, ...range(values.length / width).map(row => element("tr", {},
        ...[...values.slice(row * width, (row + 1) * width)].map(value => element("td", { textContent: printed(value, 6) }))))));
    const made = maps.slice(1).flatMap((map, index) => map.values.map((values, channel) =>
      table(`${called(index + 1)}${map.channels > 1 ? `, channel ${channel + 1}` : ""}`, values, map.width)));
    if (on("backward") && !trouble) made.push(table("gradient of the picture", gradient(), picture.width));
    tables.replaceChildren(...made);
  }

  // -- Moving on, by hand or by itself.
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
    status.removeAttribute("aria-live");
  }
  function walk(by) {
    if (trouble) return false;
    const level = Math.max(focus.level, 1), map = maps[level], count = map.height * map.width;
    const next = (focus.level ? focus.row * map.width + focus.column : -1) + by;
    if (next < 0 || next >= count) return false;
    point({ level, row: Math.floor(next / map.width), column: next % map.width });
    return next < count - 1;
  }
  step.onclick = () => { stop(); walk(1); };
  back.onclick = () => { stop(); walk(-1); };
  play.onclick = () => {
    if (timer) return stop();
    if (trouble) return;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) { all.checked = whole = true; conceal(); return; }
    const { height, width } = maps[Math.max(focus.level, 1)];
    if (focus.row === height - 1 && focus.column === width - 1 || !focus.level) point({ level: Math.max(focus.level, 1), row: 0, column: 0 });
    if (maps.length === 2) { all.checked = whole = false; visited = new Set([focus.row * width + focus.column]); conceal(); }
    status.setAttribute("aria-live", "off");
    play.textContent = "Pause";
    timer = setInterval(() => { if (!root.isConnected || !walk(1)) stop(); }, Math.min(Math.max(12000 / (height * width), 16), 450));
  };
  all.onchange = () => { stop(); whole = all.checked; visited = new Set(); point({}); };
  pixelField.oninput = () => {
    const typed = read(pixelField);
    if (typed === null) return;
    picture.values[pixel.channel][pixel.row * picture.width + pixel.column] = typed;
    refresh();
  };

  takePicture();
  takeKernel();
  rebuild();
  if (on("layers")) point({ row: maps.at(-1).height >> 1, column: maps.at(-1).width >> 1 });
}
