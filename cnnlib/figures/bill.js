const NAME = "bill";
const stop = message => { throw Error(message); };

// Positions of a window along one axis, counted as cnnlib.costs.output_size does.
function positions(size, kernel, stride, padding, dilation, ceil) {
  const room = size + 2 * padding - dilation * (kernel - 1) - 1;
  if (room < 0) stop(`a window of ${dilation * (kernel - 1) + 1} does not fit ${size} pixels with padding ${padding}`);
  if (!ceil) return Math.floor(room / stride) + 1;
  const count = Math.ceil(room / stride) + 1;
  return count - ((count - 1) * stride >= size + padding);
}

// x is what flows: shape [C, H, W] or [N], receptive field [height, width], and the
// jump in input pixels from one position to the next.
function slide(x, channels, kernel, { s = 1, p = 0, d = 1, ceil }) {
  if (x.shape.length < 3) stop("there are no maps any more: this layer stands before flatten or gap");
  const sides = x.shape.slice(1).map(size => positions(size, kernel, s, p, d, ceil));
  const field = x.field.map(size => size + (kernel - 1) * d * x.jump);
  return { shape: [channels, ...sides], field, jump: x.jump * s };
}

function conv(x, row, channels, options = {}) {
  const { k = 3, g = 1, bn, nobias } = options;
  const same = { ...options, p: options.p ?? (options.same ? (options.d ?? 1) * (k - 1) / 2 : 0) };
  const [before] = x.shape;
  const after = slide(x, channels, k, same);
  if (before % g || channels % g) stop(`${before} and ${channels} channels do not split into ${g} groups`);
  const weights = channels * (before / g) * k * k;
  row.parameters += weights + (bn ? 2 * channels : nobias ? 0 : channels);
  row.macs += weights * after.shape[1] * after.shape[2];
  row.convolved += weights * after.shape[1] * after.shape[2];
  return after;
}

function pool(x, row, [window], options) {
  const k = window ?? options.k ?? 2;
  return slide(x, x.shape[0], k, { ...options, s: options.s ?? k });
}

// One position that sees the whole map.
function whole(x, channels) {
  const [, height, width] = x.shape;
  const field = [x.field[0] + (height - 1) * x.jump, x.field[1] + (width - 1) * x.jump];
  return { shape: [channels], field, jump: 1 };
}

function joined(branches) {
  const channels = branches.reduce((sum, branch) => sum + branch.shape[0], 0);
  const field = [0, 1].map(axis => Math.max(...branches.map(branch => branch.field[axis])));
  return { ...branches[0], shape: [channels, ...branches[0].shape.slice(1)], field };
}

// Several blocks, of which the first may have a stride.
function repeat(x, { x: times = 1, s = 1 }, block) {
  for (let index = 0; index < times; index++) x = block(x, index ? 1 : s);
  return x;
}

// What a shortcut costs: nothing, or a projection where the shape changes.
function shortcut(x, row, channels, s, { zeropad }) {
  if (!zeropad && (s > 1 || x.shape[0] !== channels)) conv(x, row, channels, { k: 1, s, bn: true });
}

const normalised = { bn: true, same: true };
const LAYERS = {
  conv: (x, row, [channels], options) => conv(x, row, channels, options),
  maxpool: pool,
  avgpool: pool,
  bn: (x, row) => { row.parameters += 2 * x.shape[0]; return x; },
  gap: x => x.shape.length < 3 ? stop("there are no maps to average") : whole(x, x.shape[0]),
  flatten: x => x.shape.length < 3 ? x : whole(x, x.shape[0] * x.shape[1] * x.shape[2]),
  fc: (x, row, [units], { nobias }) => {
    if (x.shape.length > 1) stop("fc reads a row of numbers: write flatten or gap before it");
    const weights = x.shape[0] * units;
    row.parameters += weights + (nobias ? 0 : units);
    row.dense += weights + (nobias ? 0 : units);
    row.macs += weights;
    return { ...x, shape: [units] };
  },
  mlpconv: (x, row, widths, options) => widths.reduce(
    (before, width, index) => conv(before, row, width, index ? { k: 1 } : options), x),
  vgg: (x, row, [channels], options) => slide(
    repeat(x, options, before => conv(before, row, channels, { same: true })), channels, 2, { s: 2 }),
  inception: (x, row, widths) => {
    if (widths.length !== 6) stop("inception needs six widths: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection");
    const [one, reduce3, three, reduce5, five, projection] = widths;
    const through = (from, width, k) => conv(from, row, width, { k, same: true });
    const pooled = slide(x, x.shape[0], 3, { p: 1 });
    return joined([through(x, one, 1), through(through(x, reduce3, 1), three, 3),
      through(through(x, reduce5, 1), five, 5), through(pooled, projection, 1)]);
  },
  plain: (x, row, [channels], options) => repeat(x, options, (before, s) =>
    conv(conv(before, row, channels, { ...normalised, s }), row, channels, normalised)),
  residual: (x, row, [channels], options) => repeat(x, options, (before, s) => {
    shortcut(before, row, channels, s, options);
    return conv(conv(before, row, channels, { ...normalised, s }), row, channels, normalised);
  }),
  bottleneck: (x, row, [channels], options) => repeat(x, options, (before, s) => {
    if (channels % 4) stop("the channels of a bottleneck are a multiple of 4");
    shortcut(before, row, channels, s, options);
    const narrow = conv(before, row, channels / 4, { k: 1, bn: true });
    return conv(conv(narrow, row, channels / 4, { ...normalised, s }), row, channels, { k: 1, bn: true });
  }),
  dense: (x, row, [growth], options) => repeat(x, { x: options.x }, before => {
    row.parameters += 2 * before.shape[0];
    const narrow = options.thin ? before : conv(before, row, 4 * growth, { k: 1, bn: true });
    return joined([before, conv(narrow, row, growth, { nobias: true, same: true })]);
  }),
  transition: (x, row, [channels]) => {
    row.parameters += 2 * x.shape[0];
    return slide(conv(x, row, channels, { k: 1, nobias: true }), channels, 2, { s: 2 });
  },
};
for (const free of ["relu", "sigmoid", "tanh", "softmax", "dropout", "lrn"]) LAYERS[free] = x => x;
const NEEDS = ["conv", "fc", "mlpconv", "vgg", "inception", "plain", "residual", "bottleneck", "dense", "transition"];

function layer(x, row, text) {
  const [name, ...words] = text.split(/\s+/);
  if (!Object.hasOwn(LAYERS, name)) stop(`there is no layer called "${name}"`);
  const numbers = [], options = {};
  for (const word of words) {
    const [, letter, digits] = /^([kspgdx]?)(\d{1,6})$/.exec(word) ?? [];
    if (digits && letter !== "p" && !Number(digits)) stop(`"${word}" is zero`);
    if (letter) options[letter] = Number(digits);
    else if (digits) numbers.push(Number(digits));
    else if (["bn", "nobias", "ceil", "same", "zeropad", "thin"].includes(word)) options[word] = true;
    else stop(`cannot read "${word}"`);
  }
  if (NEEDS.includes(name) && !numbers.length) stop(`${name} needs a number, such as ${name} 64`);
  if (options.x > 200) stop("more than 200 blocks in a line");
  return LAYERS[name](x, row, numbers, options);
}

// A network, one stage a line, as rows like those of cnnlib.costs.table. An unreadable
// line ends the list, and `error` says which and why.
function bill(text) {
  const rows = [];
  let x = null, error = null;
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.replace(/#.*/, "").trim().toLowerCase();
    if (!line) continue;
    const row = { line: index + 1, parameters: 0, macs: 0, convolved: 0, dense: 0 };
    try {
      const size = /^input (\d{1,5})x(\d{1,5})x(\d{1,5})$/.exec(line);
      if (!x && !size) stop("a network begins with its input, such as input 3x224x224");
      if (size) {
        x = { shape: size.slice(1).map(Number), field: [1, 1], jump: 1 };
        if (x.shape.includes(0)) stop("the input is empty");
        continue;
      }
      const parts = /^(?:([\w.-]+):)?(.*)$/.exec(line);
      const layers = parts[2].split(",").map(part => part.trim()).filter(Boolean);
      for (const text of layers) x = layer(x, row, text);
      if (row.macs > 1e15) stop("this is more than can be counted exactly");
      rows.push({ ...row, ...x, name: parts[1] ?? layers.join(", ") });
    } catch (problem) {
      error = `Line ${index + 1}: ${problem.message}.`;
      break;
    }
  }
  const sum = key => rows.reduce((total, row) => total + row[key], 0);
  const totals = Object.fromEntries(["parameters", "macs", "convolved", "dense"].map(key => [key, sum(key)]));
  return { rows, error, ...totals };
}

const HELP = "One stage a line, its layers between commas, a name before a colon if you like. "
  + "k is a kernel, s a stride, p or same a padding, g groups, d dilation, x3 three times. "
  + "Layers: conv 64 k3 s1 p1, maxpool 3 s2 ceil, avgpool 2, fc 10, flatten, gap, bn, relu, dropout, lrn. "
  + "Blocks: vgg 64 x2, mlpconv 96 96 96 k11 s4, inception 64 96 128 16 32 32, plain 64 x2, "
  + "residual 64 x2 s2, bottleneck 256 x3, dense 32 x6, transition 128. "
  + "Add bn or nobias to a conv, zeropad to a residual, thin to a dense one.";

function start(root, { networks, chosen }) {
  const group = number => number.toLocaleString("en");
  const short = number => [[1e9, " G"], [1e6, " M"], [1e3, " k"]].reduce(
    (found, [unit, letter]) => found ?? (number >= unit ? (number / unit).toPrecision(3) + letter : null), null) ?? `${number}`;
  const select = element("select", {}, ...Object.keys(networks).map(name => new Option(name)));
  const editor = element("textarea", { rows: 13, spellcheck: false, autocapitalize: "off" });
  const totals = element("div", { className: "totals", role: "status" });
  const body = element("tbody");
  const names = ["stage", "output", "parameters", "MACs", "receptive field"];
  const heads = names.flatMap((name, index) => {
    const head = element("th", { scope: "col", textContent: name });
    return index === 2 || index === 3 ? [head, element("td", { className: "bar" })] : [head];
  });
  const table = element("table", { className: "stages" },
    element("caption", { className: "hidden", textContent: "Costs of the network, stage by stage" }),
    element("thead", {}, element("tr", {}, ...heads)), body);
  const scroller = element("div", { className: "wide", tabIndex: 0 }, table);
  scroller.setAttribute("role", "region");
  scroller.setAttribute("aria-label", "Costs of the network, stage by stage");
  root.append(element("div", { className: "live" },
    element("div", { className: "pair" },
      element("div", {}, element("label", {}, "Start from", select), element("label", {}, "Stages, to change as you like", editor)),
      element("div", {}, totals, element("details", { className: "soft" }, element("summary", { textContent: "What can I write?" }), HELP))),
    scroller));

  function bar(share) {
    const cell = element("td", { className: "bar" });
    const inner = element("i");
    inner.style.width = `${share > 0 ? Math.max(1, 60 * share) : 0}px`;
    cell.append(inner);
    return cell;
  }

  function show() {
    const found = bill(editor.value);
    editor.setAttribute("aria-invalid", Boolean(found.error));
    body.replaceChildren(...found.rows.map(row => element("tr", {},
      element("th", { scope: "row", textContent: row.name }),
      element("td", { textContent: row.shape.join(" x ") }),
      element("td", { textContent: group(row.parameters) }), bar(row.parameters / found.parameters),
      element("td", { textContent: group(row.macs) }), bar(row.macs / found.macs),
      element("td", { textContent: row.field.join(" x ") }))));
    const line = (className, textContent) => element("p", { className, textContent });
    const percent = share => `${Math.round(100 * share)} %`;
    totals.replaceChildren(
      ...(found.error ? [line("error", found.error)] : []),
      line("sum", `${short(found.parameters)} parameters`),
      line("sum", `${short(found.macs)} MACs`),
      line("soft", `${group(found.parameters)} parameters, ${(4 * found.parameters / 2 ** 20).toPrecision(3)} MiB in float32; ${group(found.macs)} multiply-accumulates for one image.`),
      ...(found.parameters && found.macs ? [line("soft", `Dense layers hold ${percent(found.dense / found.parameters)} of the parameters; convolutions do ${percent(found.convolved / found.macs)} of the work.`)] : []));
  }
  select.onchange = () => { editor.value = networks[select.value]; show(); };
  editor.oninput = show;
  select.value = chosen;
  select.onchange();
}
