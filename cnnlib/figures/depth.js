const NAME = "depth";
// The drawing of a panel, and in it the place of the curves. Errors above TOP are cut off.
const SIZE = [320, 190], LEFT = 40, UPPER = 8, WIDE = 272, HIGH = 148, TOP = 5000;
const KINDS = ["plain", "residual"];
const SAME = 200; // hundredths of a percent; below, two errors are about the same
const ERRORS = { train: ["Training error", "2,000 pictures it was trained on"], test: ["Test error", "2,000 pictures it never saw"] };
const CHOICES = { plain: "the plain one", residual: "the residual one", same: `about the same, less than ${SAME / 100} points apart` };
const SHORT = { ...CHOICES, same: "about the same" };

function median(values) {
  const sorted = [...values].sort((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function start(root, { depths, epochs, rate, series }) {
  const percent = value => `${(value / 100).toFixed(2)} %`;
  const points = value => `${(value / 100).toFixed(2)} points`;
  const seeds = count => count === 1 ? "one seed" : `${count} seeds`;
  const of = (depth, kind) => series.find(found => found.depth === depth && found.kind === kind && found.rate === rate);
  const others = series.filter(found => found.rate !== rate);
  const capital = text => text[0].toUpperCase() + text.slice(1);
  const guesses = new Map(); // by depth; null where the reader skipped

  const slider = element("input", { type: "range", min: 0, max: depths.length - 1, step: 1, value: 0 });
  const ticks = element("span", { className: "ticks" }, ...depths.map(depth => element("span", { textContent: depth })));
  ticks.setAttribute("aria-hidden", true);
  const said = element("b");
  const second = element("input", { type: "checkbox" });
  const secondLabel = element("label", { className: "second" }, second, " ", others.map(
    found => `${found.kind}-${found.depth} at a rate of ${found.rate} as well (${seeds(found.train.runs.length)})`).join(", "));
  const swatch = className => drawn("svg", { viewBox: "0 0 28 8", class: "swatch", "aria-hidden": true }, drawn("path", { d: "M0,4H28", class: `curve ${className}` }));
  const keys = element("ul", { className: "keys soft" }, ...KINDS.map(kind => element("li", {}, swatch(kind), ` ${kind}`)),
    ...(others.length ? [element("li", {}, swatch("other"), " another rate")] : []),
    element("li", { textContent: "thin: a seed, thick: their median" }));

  const legend = element("legend");
  const [form, missing] = asked(legend, Object.entries(CHOICES), ["Show the curves", "Skip the guesses"],
    guess => reveal([[depths[slider.value], guess]]), () => reveal(depths.map(depth => [depth, null])));
  const lines = ["sum", "", "soft", "soft", "soft"].map(className => element("p", { className }));
  const result = element("div", {}, ...lines);
  result.setAttribute("role", "status");

  const panels = Object.entries(ERRORS).map(([error, [title, where]]) => {
    const curves = drawn("svg", { x: LEFT, y: UPPER, width: WIDE, height: HIGH });
    const svg = drawn("svg", { viewBox: `0 0 ${SIZE.join(" ")}`, role: "img", class: "chart" });
    for (let value = 0; value <= TOP; value += 1000) {
      const y = UPPER + HIGH * (1 - value / TOP);
      svg.append(drawn("path", { d: `M${LEFT},${y}h${WIDE}`, class: "grid" }), drawn("text", { x: LEFT - 5, y: y + 4, "text-anchor": "end" }, `${value / 100} %`));
    }
    for (let epoch = 0; epoch <= epochs; epoch += 5)
      svg.append(drawn("text", { x: LEFT + across(epoch || 1), y: UPPER + HIGH + 15, "text-anchor": "middle" }, epoch || 1));
    svg.append(drawn("text", { x: LEFT + WIDE / 2, y: SIZE[1] - 4, "text-anchor": "middle" }, "epoch"), curves);
    return { error, title, svg, curves, box: element("div", {}, element("p", {}, element("b", { textContent: title }), element("span", { className: "soft", textContent: `, ${where}` })), svg) };
  });
  root.append(element("div", { className: "live" },
    element("div", { className: "pair" },
      element("div", {}, element("label", {}, "Depth: ", said, slider, ticks), ...(others.length ? [secondLabel] : []), keys),
      element("div", { className: "swap" }, result, form)),
    element("div", { className: "panels" }, ...panels.map(({ box }) => box)),
    element("p", { className: "soft", textContent: `Above ${TOP / 100} % the curves are cut off. The errors in words are those after the last epoch, of all training and all test pictures.` })));

  function across(epoch) { return 4 + (WIDE - 8) * (epoch - 1) / (epochs - 1); }
  function curve(values, className) {
    const d = values.map((value, index) => `${across(index + 1).toFixed(1)},${(HIGH * (1 - value / TOP)).toFixed(1)}`).join("L");
    return drawn("path", { d: `M${d}`, class: `curve ${className}` });
  }
  const middle = runs => runs[0].map((_, index) => median(runs.map(run => run[index])));

  // Which of two is lower, in words and, of the training errors, as one of the choices.
  function compare(plain, residual) {
    const apart = plain - residual;
    const lower = apart > 0 ? "residual" : "plain";
    return { apart: Math.abs(apart), lower, choice: Math.abs(apart) < SAME ? "same" : lower };
  }
  function told(error, name, plain, residual) {
    const [a, b] = [plain, residual].map(found => median(found[error].ends));
    const { apart, lower } = compare(a, b);
    const [low, high] = lower === "plain" ? [plain, residual] : [residual, plain];
    const sure = low[error].ends.length === 1 ? " in this one seed"
      : Math.max(...low[error].ends) < Math.min(...high[error].ends) ? ", and no seeds overlap" : ", but the seeds overlap";
    const times = Math.max(a, b) / Math.min(a, b);
    return `${name}: plain ${percent(a)}, residual ${percent(b)}. `
      + (apart ? `${capital(low.kind)} is ${points(apart)} lower${sure}.` : "No difference.")
      + (times < 1.5 ? "" : ` ${capital(high.kind)} makes ${times.toFixed(1)} times as many errors.`);
  }

  function show() {
    const depth = depths[slider.value], open = guesses.has(depth);
    said.textContent = `${depth} layers`;
    slider.setAttribute("aria-valuetext", `${depth} layers`);
    const here = others.filter(found => found.depth === depth);
    second.disabled = !open || !here.length;
    const extra = open && second.checked ? here : [];
    form.classList.toggle("away", open);
    missing.textContent = "";
    legend.textContent = `Guess first. Two networks of ${depth} layers, equal but for the shortcuts: which makes fewer errors on the pictures it was trained on, after ${epochs} epochs?`;
    const [plain, residual] = KINDS.map(kind => of(depth, kind));
    for (const { error, title, svg, curves } of panels) {
      const both = open ? [plain, residual, ...extra] : [];
      const name = found => found.rate === rate ? found.kind : "other";
      const medians = both.map(found => middle(found[error].runs));
      curves.replaceChildren(
        ...both.flatMap(found => found[error].runs.length > 1 ? found[error].runs.map(run => curve(run, `thin ${name(found)}`)) : []),
        ...both.map((found, index) => curve(medians[index], name(found))));
      svg.setAttribute("aria-label", open
        ? `${title} by epoch, ${depth} layers. ` + both.map((found, index) => `${found.kind}${found.rate === rate ? "" : ` at a rate of ${found.rate}`}: ${percent(medians[index][0])} after the first epoch, ${percent(medians[index].at(-1))} after the last`).join("; ")
        : `${title} by epoch, ${depth} layers: not shown before your guess`);
    }
    result.className = open ? "" : "hidden";
    if (!open) {
      lines.forEach((line, index) => { line.textContent = index ? "" : "Not shown before your guess."; });
      return;
    }
    const { lower, choice } = compare(...[plain, residual].map(found => median(found.train.ends)));
    lines[0].textContent = `${depth} layers: ${choice === "same" ? "about the same" : `${lower} ends lower`}`;
    const guess = guesses.get(depth);
    lines[1].textContent = !guess ? "" : guess === choice ? `As you guessed: ${SHORT[choice]}.`
      : `You guessed ${SHORT[guess]}; it is ${guess === lower ? `lower, but by less than ${SAME / 100} points` : SHORT[choice]}.`;
    const many = plain.train.ends.length;
    lines[2].textContent = (many > 1 ? `Medians of ${seeds(many)}. ` : "") + told("train", "Training error", plain, residual);
    lines[3].textContent = told("test", "Test error", plain, residual);
    lines[4].textContent = extra.map(found => `${capital(found.kind)} at a rate of ${found.rate}: training error ${percent(median(found.train.ends))}, test error ${percent(median(found.test.ends))}, ${seeds(found.train.ends.length)}.`).join(" ");
  }
  function reveal(found) {
    for (const [depth, guess] of found) if (!guesses.has(depth)) guesses.set(depth, guess);
    form.reset();
    show();
    slider.focus();
  }
  slider.oninput = () => { form.reset(); show(); };
  second.onchange = show;
  show();
}
