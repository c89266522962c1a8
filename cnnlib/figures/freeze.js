const NAME = "freeze";
const STAGES = ["stem", "stage 1", "stage 2", "stage 3", "head"];
const MOST = 4;

function start(root, { sizes, learnt, random }) {
  const percent = permille => `${(permille / 10).toFixed(1)} %`;
  const mean = runs => runs.reduce((sum, run) => sum + run, 0) / runs.length;
  const slider = (text, max, value) => {
    const input = element("input", { type: "range", min: 0, max, step: 1, value });
    const said = element("b");
    return { input, said, label: element("label", {}, text, said, input) };
  };
  const pictures = slider("Pictures of each kind: ", sizes.length - 1, 0);
  const frozen = slider("Frozen stages: ", MOST, MOST);
  const boxes = STAGES.map(name => element("li", { textContent: name }));
  const share = element("p", { className: "sum" });
  const words = element("p", { className: "soft" });
  const result = element("div", {}, share, words);
  result.setAttribute("role", "status");
  const rows = [];
  const row = (name, runsOf) => {
    const value = element("span", { className: "value" });
    const track = element("span", { className: "track" });
    track.setAttribute("aria-hidden", true);
    const item = element("li", {}, element("span", { textContent: name }), track, value);
    rows.push({ item, track, value, runsOf });
    return item;
  };
  const bars = element("ul", { className: "bars" },
    ...[4, 3, 2, 1, 0].map((number, place) =>
      row(`${number || "none"} frozen`, size => learnt[size][place])),
    row("scratch", size => random[size][MOST]));
  root.append(element("div", { className: "live" },
    element("div", { className: "pair" },
      element("div", {}, pictures.label, frozen.label, element("ol", { className: "net" }, ...boxes)),
      result),
    element("p", { className: "soft", textContent: "Right answers on unseen pictures; a dot is a seed, the bar ends at their mean:" }),
    bars));

  function show() {
    const size = Number(pictures.input.value), number = Number(frozen.input.value);
    pictures.said.textContent = sizes[size];
    pictures.input.setAttribute("aria-valuetext", `${sizes[size]} pictures`);
    frozen.said.textContent = `${number} of ${MOST}`;
    frozen.input.setAttribute("aria-valuetext", `${number} of ${MOST} stages`);
    boxes.forEach((box, place) => {
      const word = place === MOST ? "new" : place < number ? "frozen" : "trained";
      box.className = word;
      box.textContent = `${STAGES[place]}: ${word}`;
    });
    const own = learnt[size][MOST - number], control = random[size][MOST - number];
    const means = learnt[size].map(mean);
    const best = MOST - means.indexOf(Math.max(...means));
    share.textContent = `${percent(mean(own))} right`;
    words.textContent = `${percent(Math.min(...own))} to ${percent(Math.max(...own))} over ${own.length} seeds. `
      + (number ? `The same with random stages: ${percent(mean(control))}. ` : "")
      + `From scratch: ${percent(mean(random[size][MOST]))}. `
      + (best === number ? "No other number of frozen stages does better on average." : `Best on average: ${best || "none"} frozen.`);
    rows.forEach(({ item, track, value, runsOf }, place) => {
      const runs = runsOf(size);
      item.className = place === MOST - number ? "chosen" : "";
      value.textContent = percent(mean(runs));
      const bar = element("i", { className: "bar" });
      bar.style.width = `${mean(runs) / 10}%`;
      track.replaceChildren(bar, ...runs.map(run => {
        const dot = element("i", { className: "dot" });
        dot.style.left = `${run / 10}%`;
        return dot;
      }));
    });
  }
  pictures.input.oninput = frozen.input.oninput = show;
  show();
}
