const NAME = "pipes";
const HEIGHT = 72;
const millions = macs => `${(macs / 1e6).toFixed(1)} M`;

// The layers of each branch as [words, MACs]; without taps no layer is 1x1 but the first.
function module({ channels, side, one, branches, projection }, taps) {
  const places = side ** 2;
  const layer = (from, size, to) => [`${size}x${size}, ${from} \u2192 ${to}`, places * size ** 2 * from * to];
  const rows = [{ name: "1x1", layers: [layer(channels, 1, one)], out: one }];
  for (const [size, width, to] of branches)
    rows.push({ name: `${size}x${size}`, layers: taps ? [layer(channels, 1, width), layer(width, size, to)] : [layer(channels, size, to)], out: to });
  rows.push({ name: "pooling", layers: taps ? [["3x3 maximum", 0], layer(channels, 1, projection)] : [["3x3 maximum", 0]], out: taps ? projection : channels });
  return rows.map(row => ({ ...row, macs: row.layers.reduce((total, [, macs]) => total + macs, 0) }));
}

function start(root, data) {
  const most = Math.max(...module(data, false).map(({ macs }) => macs));
  const taps = element("input", { type: "checkbox", checked: true });
  const status = element("div");
  status.setAttribute("role", "status");
  const body = element("div", { className: "live" }, status, element("label", { className: "all" }, taps, " with 1x1 convolutions, the taps"));
  const rows = module(data, true).map(({ name }, index) => {
    const title = element("b", { textContent: name }), words = element("span", { className: "soft" }), macs = element("b");
    const svg = drawn("svg", { viewBox: `0 0 100 ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": true });
    const row = element("div", { className: "row" }, element("div", { className: "head" }, title, words, macs), svg);
    // What the tap lets through: the channels after the 1x1 convolution.
    const branch = data.branches[index - 1];
    const count = element("span");
    let tap = null;
    if (index) {
      tap = element("input", { type: "range", min: 1, max: data.channels, value: branch ? branch[1] : data.projection });
      tap.oninput = () => {
        if (branch) branch[1] = Number(tap.value);
        else data.projection = Number(tap.value);
        show();
      };
      row.append(element("label", {}, count, tap));
    }
    body.append(row);
    return { name, words, macs, svg, count, tap };
  });
  root.append(body);

  // A pipe of one or two layers, as thick at each end as that layer's share of the most.
  function pipe(svg, layers) {
    const thick = layers.map(([, macs]) => Math.max(macs / most * (HEIGHT - 2), 1));
    const middle = HEIGHT / 2;
    const shape = (className, left, right, first, second) => drawn("polygon", { class: className,
      points: `${left},${middle - first / 2} ${right},${middle - second / 2} ${right},${middle + second / 2} ${left},${middle + first / 2}` });
    const [first, second] = thick;
    svg.replaceChildren(...(thick.length < 2 ? [shape("second", 0, 100, first, first)]
      : [shape("first", 0, 46, first, first), shape("between", 46, 54, first, second), shape("second", 54, 100, second, second)]));
  }

  function show() {
    const found = module(data, taps.checked), naive = module(data, false);
    const total = of => of.reduce((sum, { macs }) => sum + macs, 0);
    rows.forEach(({ name, words, macs, svg, count, tap }, index) => {
      words.textContent = found[index].layers.map(([text]) => text).join(", then ");
      macs.textContent = millions(found[index].macs);
      pipe(svg, found[index].layers);
      if (!tap) return;
      tap.disabled = !taps.checked;
      count.textContent = `${name} tap: ${tap.value} channels`;
    });
    const five = found[2].macs / naive[2].macs;
    status.replaceChildren(
      element("p", { className: "sum", textContent: `${millions(total(found))} multiplications, ${found.reduce((sum, { out }) => sum + out, 0)} channels out` }),
      element("p", { className: "soft", textContent: `Without the taps ${millions(total(naive))}. The 5x5 branch does ${millions(found[2].macs)}, ${five > 1 ? "more than" : `${(100 * five).toPrecision(3)} % of`} the ${millions(naive[2].macs)} that it does alone.` }));
  }
  taps.onchange = show;
  show();
}
