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
  "dense-layer": (x, row, [growth], options) => repeat(x, { x: options.x }, before => {
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

// What may stand behind a layer: how many numbers, and which letters and words.
const ONE = [1, 1], NONE = [0, 0];
const TAKES = {
  conv: [ONE, "k s p g d in bn bias nobias same"], fc: [ONE, "in bias nobias"],
  maxpool: [[0, 1], "k s p d ceil"], avgpool: [[0, 1], "k s p ceil"], bn: [NONE, "in"],
  mlpconv: [[1, 20], "k s p same"], vgg: [ONE, "x"], inception: [[6, 6], ""],
  plain: [ONE, "x s"], residual: [ONE, "x s zeropad"], bottleneck: [ONE, "x s zeropad"],
  "dense-layer": [ONE, "x thin"], transition: [ONE, ""],
};
const WORDS = ["bn", "bias", "nobias", "ceil", "same", "zeropad", "thin"];

// Other names of the same layers, without hyphens and a 2d at their end.
const ALIASES = {
  linear: "fc", dense: "fc", fullyconnected: "fc", convolution: "conv", maxpooling: "maxpool",
  averagepool: "avgpool", averagepooling: "avgpool", avgpooling: "avgpool", batchnorm: "bn", batchnormalization: "bn",
  batchnormalisation: "bn", globalavgpool: "gap", globalaveragepool: "gap", globalaveragepooling: "gap",
  localresponsenorm: "lrn", denselayer: "dense-layer",
};

// PyTorch's layers: the name here, and the order of what stands in the brackets.
const TORCH = {
  conv2d: ["conv", ["in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias"]],
  linear: ["fc", ["in_features", "out_features", "bias"]],
  maxpool2d: ["maxpool", ["kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"]],
  avgpool2d: ["avgpool", ["kernel_size", "stride", "padding", "ceil_mode"]],
  batchnorm2d: ["bn", ["num_features", "eps", "momentum"]], adaptiveavgpool2d: ["gap", ["output_size"]],
};
const FREE = { flatten: "flatten", relu: "relu", sigmoid: "sigmoid", tanh: "tanh", softmax: "softmax", dropout: "dropout", localresponsenorm: "lrn" };
const LETTERS = { in_channels: "in", in_features: "in", num_features: "in", out_channels: "", out_features: "", kernel_size: "k", stride: "s", padding: "p", dilation: "d", groups: "g" };
const SPELLED = {
  "bias=true": "", "bias=false": "nobias", "ceil_mode=true": "ceil", "ceil_mode=false": "", "return_indices=false": "",
  "padding=same": "same", "padding=valid": "", "stride=none": "", "output_size=1": "", "affine=true": "", "track_running_stats=true": "",
};

function fromTorch(name, inside) {
  if (FREE[name]) return FREE[name];
  if (!Object.hasOwn(TORCH, name)) stop(`there is no layer called "${name}"`);
  const [own, order] = TORCH[name];
  const words = inside.split(/,(?![^(]*\))/).map(part => part.trim()).filter(Boolean).map((part, index) => {
    const [, given, text] = /^(?:(\w+)\s*=\s*)?(.+)$/.exec(part);
    const key = given ?? order[index], value = text.replace(/^\((\d+), *\1\)$/, "$1").replace(/['"]/g, "");
    const said = `${key}=${value}`;
    if (Object.hasOwn(SPELLED, said)) return SPELLED[said];
    if (key === "eps" || key === "momentum") return "";
    if (key in LETTERS && /^\d{1,6}$/.test(value)) return LETTERS[key] + value;
    return stop(`"${part}" in ${name}(...) cannot be counted here`);
  }).filter(Boolean);
  if (order.includes("kernel_size") && !words.some(word => /^k\d/.test(word))) stop(`${name} needs a kernel_size`);
  return [own, ...words].join(" ");
}

// How many letters must be changed, added or left out.
function apart(one, other) {
  let row = [...Array(other.length + 1).keys()];
  for (const [i, letter] of [...one].entries()) {
    const next = [i + 1];
    for (let j = 0; j < other.length; j++)
      next.push(Math.min(row[j + 1] + 1, next[j] + 1, row[j] + (letter !== other[j])));
    row = next;
  }
  return row[other.length];
}

function unknown(name, rest) {
  const meant = text => stop(`there is no layer called "${name}": did you mean ${text}?`);
  if (/^pool(ing)?$/.test(name)) meant(`maxpool ${rest || "k2 s2"}`);
  const window = /^(?:k|kernel)?(\d+)(?:x\1)?$/.exec(name), stride = /^s(?:tride)?=?(\d+)$/.exec(name);
  if (window) meant(`conv 64 k${window[1]}`);
  if (stride) meant(`conv 64 s${stride[1]}`);
  if (WORDS.includes(name)) meant(`conv 64 ${name}`);
  const [near] = Object.keys(LAYERS).sort((a, b) => apart(name, a) - apart(name, b));
  if (apart(name, near) <= Math.min(2, near.length - 2)) meant([near, rest].filter(Boolean).join(" "));
  stop(`there is no layer called "${name}"; "What can I write?" lists those there are`);
}

function layer(x, row, text, notes) {
  const spaced = text.replace(/^(max|avg|average|batch|dense|(?:global|local) ?\w*) (pool\w*|norm\w*|layer|response\w*)/, found => found.replace(/ /g, ""))
    .replace(/\spad(ding)?\s*=?\s*same/g, " same")
    .replace(/\s(kernel(?:_size)?|stride|pad(?:ding)?|groups?|dilation|[kspgd])\s*=?\s*(?=\d)/g, (_, word) => ` ${word[0]}`);
  const [said, ...words] = spaced.split(/\s+/), rest = words.join(" ");
  const plain = said.replace(/[-_]|2d$/g, "");
  const name = Object.hasOwn(LAYERS, said) ? said : Object.hasOwn(ALIASES, plain) ? ALIASES[plain] : plain;
  if (!Object.hasOwn(LAYERS, name)) unknown(said, rest);
  const numbers = [], options = {};
  const [[least, most], allowed] = TAKES[name] ?? [NONE, ""];
  const hint = said === "dense" ? `; DenseNet's layer is dense-layer ${rest}` : "";
  for (const word of words) {
    if (name === "dropout" && words.length === 1 && /^(p=?)?(0?\.\d+|\d{1,2}%|0)$/.test(word)) continue;
    const window = /^(\d{1,6})[x*\u00d7](\d{1,6})$/.exec(word);
    if (window && window[1] !== window[2]) stop(`"${word}" is not square, and only square windows are counted`);
    const [, letter, digits] = /^((?:in|[kspgdx])?)(\d{1,6})$/.exec(window ? `k${window[1]}` : word) ?? [];
    const key = digits ? letter : word;
    if (digits === undefined && !WORDS.includes(word)) stop(`cannot read "${word}"`);
    if (digits && letter !== "p" && !Number(digits)) stop(`"${word}" is zero`);
    if (key && !allowed.split(" ").includes(key)) stop(`"${word}" means nothing to ${name}${hint || `: write ${[name, ...numbers.slice(0, most)].join(" ")}`}`);
    if (key in options) stop(`${name} is told "${key}" twice`);
    if (key) options[key] = digits ? Number(digits) : true;
    else numbers.push(Number(digits));
  }
  if (name === "inception" && numbers.length !== 6) LAYERS.inception(x, row, numbers);
  if (numbers.length < least) stop(`${name} needs a number, such as ${name} 64`);
  if (numbers.length > most) stop(most ? `${name} takes one number, not ${numbers.join(" ")}: write ${numbers.map(number => `${name} ${number}`).join(", ")}`
    : `${name} takes no number: write ${name}`);
  if (numbers.length && most && "k" in options && name.endsWith("pool")) stop(`${name} is told two windows, ${numbers[0]} and k${options.k}`);
  if ("same" in options && "p" in options) stop(`same is a padding of its own: leave out p${options.p}`);
  if (options.bias && (options.bn || options.nobias)) stop(`${options.bn ? "a conv with bn has no bias" : "bias and nobias exclude each other"}: leave out one of them`);
  if (options.x > 200) stop("more than 200 blocks in a line");
  if (options.in && options.in !== x.shape[0]) stop(`${name} expects ${options.in} ${x.shape.length > 1 ? "channels" : "numbers"}, but ${x.shape[0]} arrive`);
  const found = LAYERS[name](x, row, numbers, options);
  if (said === "dense") notes.push(`"dense" is read as fc, a fully connected layer. DenseNet's layer is called dense-layer.`);
  return found;
}

// A network, one stage a line, as rows like those of cnnlib.costs.table. A line that
// cannot be counted becomes a row with an `error`, and what follows is counted as if
// the line were not there. `notes` say how a word was understood.
function bill(text) {
  const rows = [], notes = [];
  let x = null;
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.replace(/#.*/, "").trim().toLowerCase();
    // What print(net) and Python write around the layers of a chain.
    if (!line || /^([\w().]+\s*[:=]\s*)?(nn\.)?sequential\($|^\)+,?$/.test(line)) continue;
    const row = { line: index + 1, parameters: 0, macs: 0, convolved: 0, dense: 0 }, said = [];
    try {
      const size = /^input\s*[:=]?\s*\(?(\d{1,5})[x, ]\s*(\d{1,5})[x, ]\s*(\d{1,5})\)?$/.exec(line);
      if (!size && /^input\b/.test(line)) stop("an input has channels, height and width: did you mean input 3x224x224?");
      if (!x && !size) stop("a network begins with its input, such as input 3x224x224");
      if (size) {
        if (x) stop("there is an input already");
        if (size.slice(1).includes("0")) stop("the input is empty");
        x = { shape: size.slice(1).map(Number), field: [1, 1], jump: 1 };
        continue;
      }
      const [, name, content] = /^(?:\(?([\w.-]+)\)?\s*:)?(.*)$/.exec(line.replace(/^self\.(\w+)\s*=\s*/, "$1: ").replace(/\b(torch\.)?nn\./g, ""));
      const layers = content.replace(/(\w+)\(((?:[^()]|\([^()]*\))*)\)/g, (_, ...found) => fromTorch(...found))
        .split(",").map(part => part.trim()).filter(Boolean);
      let next = x;
      for (const text of layers) next = layer(next, row, text, said);
      if (row.macs > 1e15) stop("this is more than can be counted exactly");
      x = next;
      rows.push({ ...row, ...x, name: name ?? content.replace(/,$/, "") });
      notes.push(...said.map(note => `Line ${index + 1}: ${note}`));
    } catch (problem) {
      rows.push({ line: index + 1, name: raw.trim(), error: `Line ${index + 1}: ${problem.message}.`.replace("?.", "?") });
      if (!x) break;
    }
  }
  const sum = key => rows.reduce((total, row) => total + (row[key] ?? 0), 0);
  const totals = Object.fromEntries(["parameters", "macs", "convolved", "dense"].map(key => [key, sum(key)]));
  return { rows, notes, wrong: rows.filter(row => row.error), ...totals };
}

const HELP = "One stage a line, its layers between commas, a name before a colon if you like. "
  + "k is a kernel, s a stride, p or same a padding, g groups, d dilation, x3 three times. "
  + "Layers: conv 64 k3 s1 p1, maxpool 3 s2 ceil, avgpool 2, fc 10, flatten, gap, bn, relu, dropout, lrn. "
  + "Blocks: vgg 64 x2, mlpconv 96 96 96 k11 s4, inception 64 96 128 16 32 32, plain 64 x2, "
  + "residual 64 x2 s2, bottleneck 256 x3, dense-layer 32 x6, transition 128. "
  + "Add bn or nobias to a conv, zeropad to a residual, thin to a dense-layer. "
  + "PyTorch's lines are read as well, one a line: nn.Conv2d(3, 64, 3, padding=1), or what print(net) shows of a Sequential.";

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
  const { shared, buttons, changed } = addressed(root, "bill", "this bill", () => editor.value);
  const table = element("table", { className: "stages" },
    element("caption", { className: "hidden", textContent: "Costs of the network, stage by stage" }),
    element("thead", {}, element("tr", {}, ...heads)), body);
  const scroller = element("div", { className: "wide", tabIndex: 0 }, table);
  scroller.setAttribute("role", "region");
  scroller.setAttribute("aria-label", "Costs of the network, stage by stage");
  root.append(element("div", { className: "live" },
    element("div", { className: "pair" },
      element("div", {}, element("label", {}, "Start from", select), element("label", {}, "Stages, to change as you like", editor), ...buttons),
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
    changed();
    editor.setAttribute("aria-invalid", found.wrong.length > 0);
    const tint = "linear-gradient(var(--wrong), var(--wrong))";
    editor.style.backgroundImage = found.wrong.map(() => tint).join();
    editor.style.backgroundPosition = found.wrong.map(row => `0 ${(row.line - 1) * 19.5 + 3}px`).join();
    body.replaceChildren(...found.rows.map(row => row.error ? element("tr", { className: "wrong" },
      element("th", { scope: "row", textContent: row.name }), element("td", { colSpan: 6, textContent: "not counted" })) : element("tr", {},
      element("th", { scope: "row", textContent: row.name }),
      element("td", { textContent: row.shape.join(" x ") }),
      element("td", { textContent: group(row.parameters) }), bar(row.parameters / found.parameters),
      element("td", { textContent: group(row.macs) }), bar(row.macs / found.macs),
      element("td", { textContent: row.field.join(" x ") }))));
    const line = (className, textContent) => element("p", { className, textContent });
    const percent = share => `${Math.round(100 * share)} %`;
    totals.replaceChildren(
      ...found.wrong.map(row => line("error", row.error)),
      ...found.notes.map(note => line("soft", note)),
      line("sum", `${short(found.parameters)} parameters`),
      line("sum", `${short(found.macs)} MACs`),
      ...(found.wrong.length ? [line("soft", `Left out of these sums: line${found.wrong.length > 1 ? "s" : ""} ${found.wrong.map(row => row.line).join(", ")}.`)] : []),
      line("soft", `${group(found.parameters)} parameters, ${(4 * found.parameters / 2 ** 20).toPrecision(3)} MiB in float32; ${group(found.macs)} multiply-accumulates for one image.`),
      ...(found.parameters && found.macs ? [line("soft", `Dense layers hold ${percent(found.dense / found.parameters)} of the parameters; convolutions do ${percent(found.convolved / found.macs)} of the work.`)] : []));
  }
  select.onchange = () => { editor.value = networks[select.value]; show(); };
  editor.oninput = show;
  select.value = shared === null ? chosen : "";
  editor.value = shared ?? networks[chosen];
  show();
}
