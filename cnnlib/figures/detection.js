const NAME = "detection";
const SIDE = 96, COLUMNS = 4; // pixels of a scene, scenes in a row of the sheet
// The drawing of the curve, and in it the place of the square from 0 to 1.
const CHART = [300, 236], LEFT = 38, UPPER = 8, WIDE = 250, HIGH = 184;
const CHOICES = { score: "only a higher score", overlap: "only a smaller overlap", both: "either of them", none: "neither" };

const area = ([left, top, right, bottom]) => (right - left) * (bottom - top);
function iou(a, b) {
  const wide = Math.min(a[2], b[2]) - Math.max(a[0], b[0]), high = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  const both = Math.max(wide, 0) * Math.max(high, 0);
  return both / (area(a) + area(b) - both);
}
const sorted = boxes => [...boxes].sort((a, b) => b[5] - a[5]); // stable
// Non-maximum suppression of boxes of one kind, the highest score first.
function suppressed(boxes, overlap) {
  const kept = [];
  for (const box of sorted(boxes)) if (kept.every(other => iou(box, other) <= overlap)) kept.push(box);
  return kept;
}
// For each box, by falling score, the place of its true box, or -1.
function matches(boxes, truth) {
  const free = truth.map(() => true);
  return boxes.map(box => {
    let best = -1, most = 0;
    truth.forEach((other, place) => {
      const overlap = free[place] ? iou(box, other) : 0;
      if (overlap > most) [best, most] = [place, overlap];
    });
    if (most < 0.5) return -1;
    free[best] = false;
    return best;
  });
}
// The average precision of a curve [[recall, precision], ...], by falling score.
function average(curve) {
  const best = curve.map(([, precision]) => precision);
  for (let place = best.length - 2; place >= 0; place--) best[place] = Math.max(best[place], best[place + 1]);
  let total = 0;
  for (let step = 0; step <= 100; step++) {
    const place = curve.findIndex(([recall]) => recall >= 0.01 * step);
    total += place < 0 ? 0 : best[place];
  }
  return total / 101;
}
// What stays of all scenes: {shown: [[box, place of its true box], ...] by scene, curves by kind}
function evaluated({ scenes, kinds }, least, overlap) {
  const shown = scenes.map(() => []);
  const curves = kinds.map((_, kind) => {
    const all = [];
    let total = 0;
    scenes.forEach((scene, number) => {
      const truth = scene.true.filter(box => box[4] === kind);
      const kept = suppressed(scene.found.filter(box => box[4] === kind && box[5] >= least), overlap);
      total += truth.length;
      matches(kept, truth).forEach((place, index) => {
        const found = { box: kept[index], of: place < 0 ? null : truth[place] };
        shown[number].push(found);
        all.push(found);
      });
    });
    all.sort((a, b) => b.box[5] - a.box[5]);
    let right = 0;
    return { total, points: all.map((found, index) => [(right += found.of !== null) / total, right / (index + 1)]) };
  });
  const there = curves.filter(({ total }) => total);
  return { shown, curves, ap: there.reduce((sum, { points }) => sum + average(points), 0) / there.length };
}

function start(root, data) {
  const { kinds, scenes } = data;
  const sheet = root.querySelector(".still img").getAttribute("src");
  const three = value => value.toFixed(3).replace(/^0/, "");
  let at = 0, guess; // undefined until the reader has guessed or skipped

  const slider = (text, value, min) => {
    const input = element("input", { type: "range", min, max: 1, step: 0.05, value });
    const said = element("b");
    return { input, said, label: element("label", {}, text, said, input) };
  };
  const least = slider("Lowest score: ", data.least, 0.05);
  const overlap = slider("Largest overlap: ", 1, 0);
  const step = (text, name, by) => {
    const button = element("button", { type: "button", textContent: text });
    button.setAttribute("aria-label", name);
    button.onclick = () => { at = (at + by + scenes.length) % scenes.length; show(); };
    return button;
  };
  const number = element("span");
  const pages = element("div", { className: "pages" }, step("‹", "the scene before", -1), number, step("›", "the next scene", 1));
  const picture = drawn("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, role: "img", class: "scene" });
  const image = drawn("image", { href: sheet, width: SIDE * COLUMNS, height: SIDE * Math.ceil(scenes.length / COLUMNS) });
  const marks = drawn("g", {});
  picture.append(image, marks);

  const curves = drawn("g", {});
  const chart = drawn("svg", { viewBox: `0 0 ${CHART.join(" ")}`, role: "img", class: "chart" });
  const x = recall => LEFT + WIDE * recall, y = precision => UPPER + HIGH * (1 - precision);
  for (const value of [0, 0.25, 0.5, 0.75, 1]) {
    chart.append(drawn("path", { d: `M${LEFT},${y(value)}h${WIDE}`, class: "grid" }),
      drawn("text", { x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" }, value),
      drawn("text", { x: x(value), y: UPPER + HIGH + 15, "text-anchor": "middle" }, value));
  }
  chart.append(drawn("text", { x: LEFT + WIDE / 2, y: CHART[1] - 6, "text-anchor": "middle" }, "recall; up: precision"), curves);
  const swatch = kind => drawn("svg", { viewBox: "0 0 28 8", class: "swatch", "aria-hidden": true }, drawn("path", { d: "M0,4H28", class: `curve kind${kind}` }));
  const keys = element("ul", { className: "keys soft" }, ...kinds.map((name, kind) => element("li", {}, swatch(kind), ` ${name}`)));

  const legend = element("legend", { textContent: "Guess first. All boxes stay at the start. Which slider can raise the average precision?" });
  const [form] = asked(legend, Object.entries(CHOICES), ["Show the curve", "Skip the guess"], reveal, () => reveal(null));
  const verdict = element("p", { className: "verdict" });
  const open = element("div", { className: "away" }, chart, keys, verdict);
  const lines = ["sum", "all", "soft"].map(className => element("p", { className }));
  const result = element("div", {}, ...lines);
  result.setAttribute("role", "status");
  root.append(element("div", { className: "live" },
    element("div", { className: "pair" }, element("div", {}, least.label), element("div", {}, overlap.label)),
    result,
    element("div", { className: "pair" }, element("div", {}, pages, picture, element("p", { className: "soft",
      textContent: "Thin and dashed: the true boxes. Solid: found, right. Dotted, with a cross: found, wrong." })),
      element("div", { className: "swap" }, form, open))));

  function marked({ box, of }) {
    const [left, top, right, bottom, kind, score] = box, state = of ? "right" : "wrong";
    return drawn("g", { class: state }, drawn("rect", { x: left, y: top, width: right - left, height: bottom - top }),
      drawn("text", { x: Math.min(Math.max(left, 1), 70), y: top > 5 ? top - 1.2 : bottom + 4 }, `${of ? "" : "✕ "}${kinds[kind]} ${score.toFixed(2).replace(/^0/, "")}`));
  }
  function show() {
    const limits = [Number(least.input.value), Number(overlap.input.value)];
    const { shown, curves: found, ap } = evaluated(data, ...limits);
    least.said.textContent = limits[0].toFixed(2);
    overlap.said.textContent = limits[1] === 1 ? "1.00, all stay" : `IoU ${limits[1].toFixed(2)}`;
    least.input.setAttribute("aria-valuetext", limits[0].toFixed(2));
    overlap.input.setAttribute("aria-valuetext", overlap.said.textContent);
    image.setAttribute("x", -SIDE * (at % COLUMNS));
    image.setAttribute("y", -SIDE * Math.floor(at / COLUMNS));
    const here = shown[at], truth = scenes[at].true;
    marks.replaceChildren(...truth.map(([left, top, right, bottom]) => drawn("rect", { x: left, y: top, width: right - left, height: bottom - top, class: "true" })), ...here.map(marked));
    number.textContent = `Scene ${at + 1} of ${scenes.length}`;
    const count = boxes => boxes.filter(({ of }) => of).length, all = shown.flat();
    const right = count(all), true_ = scenes.reduce((sum, scene) => sum + scene.true.length, 0);
    const say = `${count(here)} of ${truth.length} garments found, ${here.length - count(here)} wrong`;
    picture.setAttribute("aria-label", `Scene ${at + 1}: ${say}. ${here.map(({ box, of }) => `${of ? "right" : "wrong"}: ${kinds[box[4]]} ${box[5]}`).join(", ")}`);
    lines[0].textContent = guess === undefined ? "AP: after your guess" : `AP ${three(ap)}`;
    result.dataset.ap = ap; // with all digits, for whoever wants to compare
    lines[1].textContent = `All ${scenes.length} scenes: ${right} of ${true_} garments found, ${all.length - right} wrong boxes; precision ${all.length ? three(right / all.length) : "none"}, recall ${three(right / true_)}.`;
    lines[2].textContent = `This scene: ${say}.`;
    curves.replaceChildren(...found.map(({ points }, kind) => drawn("path", { class: `curve kind${kind}`,
      d: points.map(([recall, precision], index) => `${index ? "L" : "M"}${x(recall).toFixed(1)},${y(precision).toFixed(1)}`).join("") })));
    chart.setAttribute("aria-label", "Precision by recall. " + found.map(({ points }, kind) => `${kinds[kind]}: average precision ${three(average(points))}`).join("; "));
  }
  function reveal(choice) {
    guess = choice;
    form.className = "away";
    open.className = "";
    const grid = [...Array(20).keys()].map(step => step / 20);
    const first = evaluated(data, data.least, 1).ap;
    const lift = { score: Math.max(...grid.slice(1).map(value => evaluated(data, value, 1).ap)), overlap: Math.max(...grid.map(value => evaluated(data, data.least, value).ap)) };
    const raises = Object.keys(lift).filter(name => lift[name] > first + 1e-9);
    const right = raises.length === 2 ? "both" : raises[0] ?? "none";
    verdict.textContent = `${choice ? (choice === right ? "As you guessed: " : `You guessed ${CHOICES[choice]}. It is `) : "It is "}${CHOICES[right]}. From ${three(first)}, the overlap alone reaches ${three(lift.overlap)}, the score alone ${three(lift.score)}: it cuts the curve's end off, and can lift nothing.`;
    show();
    least.input.focus();
  }
  least.input.oninput = overlap.input.oninput = show;
  show();
}
