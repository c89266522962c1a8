const NAME = "verification";
const STEPS = 200, BINS = 40;
// The drawing of a panel, and in it the place of what is drawn. Right pairs stand above the middle.
const SIZE = [320, 214], LEFT = 46, UPPER = 8, WIDE = 264, HIGH = 164, MIDDLE = HIGH / 2;
const ALLOWED = 0.01;

// How many of the sorted values are at most this large.
function upTo(values, most) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= most) low = middle + 1; else high = middle;
  }
  return low;
}

// Both errors at every distance that occurs and at one below, and what follows from them.
function curveOf(same, strangers) {
  const every = [...new Set([...same, ...strangers])].sort((a, b) => a - b);
  const points = [every[0] - 1, ...every].map(threshold => ({
    threshold, rejects: 1 - upTo(same, threshold) / same.length, accepts: upTo(strangers, threshold) / strangers.length,
  }));
  const apart = points.map(({ rejects, accepts }) => Math.abs(rejects - accepts));
  const equal = points[apart.indexOf(Math.min(...apart))];
  const area = points.slice(1).reduce((sum, { rejects, accepts }, index) =>
    sum + (accepts - points[index].accepts) * (2 - rejects - points[index].rejects) / 2, 0);
  return { points, equal, area, error: (equal.rejects + equal.accepts) / 2, strict: points.findLast(({ accepts }) => accepts <= ALLOWED) };
}

function start(root, { codes: packed, strangers, guesses }) {
  // Distances come as steps from one to the next.
  const sums = steps => steps.reduce((values, step) => [...values, (values.at(-1) ?? 0) + step], []);
  const codes = packed.map(({ name, same, any, class: close }) => ({ name, same: sums(same), any: sums(any), class: sums(close) }));
  const percent = share => `${(100 * share).toFixed(1)} %`;
  const curves = new Map();
  const chosen = options => {
    const select = element("select", {}, ...options.map(([value, textContent]) => element("option", { value, textContent })));
    return select;
  };
  const code = chosen(codes.map(({ name }, index) => [index, name]));
  const kind = chosen(Object.entries(strangers));
  const slider = element("input", { type: "range", min: 0, max: STEPS, step: 1 });
  const said = element("b");
  const jump = (textContent, to) => element("button", { type: "button", textContent, onclick: () => go(to(curve()).threshold) });
  const buttons = element("p", { className: "jumps" },
    jump("Equal errors", found => found.equal), " ", jump("1 % of strangers", found => found.strict));
  const mark = className => drawn("svg", { viewBox: "0 0 12 12", class: "swatch", "aria-hidden": true }, drawn("path", { d: "M0,0H12V12H0Z", class: className }));
  const keys = element("ul", { className: "keys soft" },
    element("li", {}, mark("same"), " right pairs, accepted"), element("li", {}, mark("same wrong"), " rejected: false rejects"),
    element("li", {}, mark("other"), " strangers, rejected"), element("li", {}, mark("other wrong"), " accepted: false accepts"));

  const legend = element("legend", { textContent: `Guess first. The code is “${codes[0].name}”, and the threshold such that 1 in 100 strangers gets in. How many of 100 right pairs are turned away?` });
  const [form] = asked(legend, guesses.map(value => [value, `about ${value}`]), ["Show the distances", "Skip the guess"],
    guess => reveal(Number(guess)), () => reveal(null));
  const lines = ["sum", "", "", "soft"].map(className => element("p", { className }));
  const result = element("div", {}, ...lines);
  result.setAttribute("role", "status");

  const panel = (title, where, axis) => {
    const place = drawn("svg", { x: LEFT, y: UPPER, width: WIDE, height: HIGH });
    const svg = drawn("svg", { viewBox: `0 0 ${SIZE.join(" ")}`, role: "img", class: "chart" });
    const ticks = drawn("g", {});
    svg.append(ticks, drawn("text", { x: LEFT + WIDE / 2, y: SIZE[1] - 6, "text-anchor": "middle" }, axis), place);
    return { svg, place, ticks, box: element("div", {}, element("p", {}, element("b", { textContent: title }), element("span", { className: "soft", textContent: where })), svg) };
  };
  const histogram = panel("Distances", ", right pairs above the line, strangers below", "squared distance of the codes");
  const roc = panel("Right pairs accepted", ", a point for every threshold", "strangers accepted");
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const [x, y] = [LEFT + WIDE * share, UPPER + HIGH * (1 - share)];
    roc.ticks.append(drawn("path", { d: `M${LEFT},${y}h${WIDE}`, class: "grid" }),
      drawn("text", { x: LEFT - 4, y: y + 4, "text-anchor": "end" }, `${100 * share} %`),
      drawn("text", { x, y: UPPER + HIGH + 15, "text-anchor": share === 1 ? "end" : "middle" }, `${100 * share} %`));
  }
  // Each histogram twice, before and after the threshold: a nested drawing cuts off what is outside.
  const half = (className, after) => {
    const path = drawn("path", { class: className });
    return { path, after, box: drawn("svg", { y: 0, height: HIGH }, path) };
  };
  const halves = { same: [half("same", false), half("same wrong", true)], other: [half("other wrong", false), half("other", true)] };
  const limit = drawn("path", { class: "limit" });
  histogram.place.append(...[...halves.same, ...halves.other].map(({ box }) => box), drawn("path", { d: `M0,${MIDDLE}H${WIDE}`, class: "axis" }), limit);
  roc.place.setAttribute("class", "whole");
  const line = drawn("path", { class: "curve" });
  const balance = drawn("path", { d: `M0,0L${WIDE},${HIGH}`, class: "diagonal" });
  const dot = drawn("circle", { r: 6, class: "dot" });
  roc.place.append(balance, line, dot);

  root.append(element("div", { className: "live" },
    element("div", { className: "pair" },
      element("div", { className: "swap" }, result, form),
      element("div", {}, element("label", {}, "Code", code), element("label", {}, "Strangers", kind),
        element("label", {}, "Threshold: ", said, slider), buttons, keys)),
    element("div", { className: "panels" }, histogram.box, roc.box),
    element("p", { className: "soft", textContent: "Stored pairs of garments that no network was trained on, 500 of each kind. On the thin diagonal both errors are equal." })));

  let threshold = 0, open = false, guess = null;
  const here = () => [codes[code.value].same, codes[code.value][kind.value]];
  function curve() {
    const key = `${code.value} ${kind.value}`;
    if (!curves.has(key)) curves.set(key, curveOf(...here()));
    return curves.get(key);
  }
  // The end of the axis, so that every step of the slider is a whole thousandth.
  function top() {
    const { same, any, class: close } = codes[code.value];
    return STEPS * Math.ceil(Math.max(same.at(-1), any.at(-1), close.at(-1)) / STEPS);
  }
  function shape(values, upwards) {
    const end = top(), wide = WIDE / BINS;
    const counts = Array.from({ length: BINS }, (_, bin) =>
      upTo(values, end * (bin + 1) / BINS) - (bin ? upTo(values, end * bin / BINS) : 0));
    return { counts, path: most => `M0,${MIDDLE}` + counts.map((count, bin) =>
      `V${(MIDDLE - (upwards ? 1 : -1) * (MIDDLE - 2) * count / most).toFixed(1)}H${(wide * (bin + 1)).toFixed(1)}`).join("") + `V${MIDDLE}Z` };
  }
  function other() { // another code or other strangers: the shapes change
    const end = top(), [same, strange] = here();
    const shapes = [shape(same, true), shape(strange, false)];
    const most = Math.max(...shapes.flatMap(({ counts }) => counts));
    for (const [index, name] of ["same", "other"].entries())
      for (const { path } of halves[name]) path.setAttribute("d", open ? shapes[index].path(most) : "");
    histogram.ticks.replaceChildren(...[0, 0.25, 0.5, 0.75, 1].map(share => drawn("text",
      { x: LEFT + WIDE * share, y: UPPER + HIGH + 15, "text-anchor": share === 1 ? "end" : "middle" }, (end * share / 1000).toFixed(2))));
    line.setAttribute("d", open ? "M" + curve().points.map(({ rejects, accepts }) => `${(WIDE * accepts).toFixed(1)},${(HIGH * rejects).toFixed(1)}`).join("L") : "");
    go(open ? Math.min(threshold, end) : 0);
  }
  function go(to) {
    threshold = to;
    const end = top(), x = WIDE * threshold / end, [same, strange] = here();
    slider.value = Math.round(STEPS * threshold / end);
    said.textContent = open ? (threshold / 1000).toFixed(3) : "not set";
    slider.setAttribute("aria-valuetext", `threshold ${said.textContent}`);
    for (const control of [code, kind, slider, ...buttons.querySelectorAll("button")]) control.disabled = !open;
    for (const { path, after, box } of [...halves.same, ...halves.other]) {
      box.setAttribute("x", after ? Math.max(x, 0) : 0);
      box.setAttribute("width", Math.max(after ? WIDE - x : x, 0));
      path.setAttribute("transform", `translate(${after ? -x : 0})`);
    }
    limit.setAttribute("d", open ? `M${x},0V${HIGH}` : "");
    const rejected = same.length - upTo(same, threshold), accepted = upTo(strange, threshold);
    const rejects = rejected / same.length, accepts = accepted / strange.length;
    dot.setAttribute("cx", WIDE * accepts);
    dot.setAttribute("cy", HIGH * rejects);
    dot.classList.toggle("away", !open);
    form.classList.toggle("away", open);
    result.className = open ? "" : "away";
    if (!open) {
      for (const { svg } of [histogram, roc]) svg.setAttribute("aria-label", "not shown before your guess");
      return;
    }
    const found = curve();
    lines[0].textContent = `${percent(rejects)} rejected, ${percent(accepts)} let in`;
    lines[1].textContent = `False rejects: ${rejected} of ${same.length} right pairs. False accepts: ${accepted} of ${strange.length} strangers.`;
    lines[2].textContent = guess;
    lines[3].textContent = `For this code and these strangers: equal error rate ${percent(found.error)}, area under the curve ${found.area.toFixed(3)}.`;
    histogram.svg.setAttribute("aria-label", `Distances of right pairs and strangers; at a threshold of ${said.textContent}, ${lines[1].textContent}`);
    roc.svg.setAttribute("aria-label", `Right pairs accepted over strangers accepted, area ${found.area.toFixed(3)}; now ${percent(1 - rejects)} and ${percent(accepts)}`);
  }
  function reveal(picked) {
    open = true;
    const { strict } = curve();
    const nearest = guesses.reduce((best, value) => Math.abs(value - 100 * strict.rejects) < Math.abs(best - 100 * strict.rejects) ? value : best);
    guess = picked === null ? "" : `Your question: with 1 % of strangers let in, ${percent(strict.rejects)} of right pairs are turned away. ${picked === nearest ? "No choice was nearer than yours" : "You guessed"}: ${picked}.`;
    threshold = strict.threshold;
    other();
    slider.focus();
  }
  slider.oninput = () => go(slider.value * top() / STEPS);
  code.onchange = kind.onchange = () => {
    threshold = curve().strict.threshold;
    other();
  };
  other();
}
