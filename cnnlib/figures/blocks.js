const NAME = "blocks";
const COUNT = 9;
const STAGES = [[1, 2, 3], [4, 5, 6], [7, 8, 9]];
const BARE = ["plain", "VGG"]; // have no shortcuts but where a block is out

// Numbers from a row of digits in base 36, so many digits each.
function unpack(text, width) {
  return text.match(new RegExp(`.{${width}}`, "g")).map(part => parseInt(part, 36));
}

// What a reader guesses before the blocks can be taken out, for so many at a time.
const TAKEN = [[1, "one"], [3, "three"]];
const NEAR = 0.1; // a guess so far off is close

// Networks without k of their blocks: shares of right answers, lowest, mean and highest.
function byRemoved(counts, pictures) {
  const groups = Array.from({ length: COUNT + 1 }, () => []);
  counts.forEach((right, subset) => {
    let removed = COUNT;
    for (let rest = subset; rest; rest >>= 1) removed -= rest & 1;
    groups[removed].push(right / pictures);
  });
  return groups.map(shares => ({
    low: Math.min(...shares), high: Math.max(...shares),
    mean: shares.reduce((sum, share) => sum + share, 0) / shares.length, shares: shares.length,
  }));
}

// Asks what share of its right answers each network of `ask` keeps without one block and
// then without three, compares in words, and calls `done` at the end or when skipped.
function guessing(networks, ask, basis, { pictures, classes }, done) {
  const round = share => `${Math.round(100 * share)} %`;
  const legend = element("legend");
  const guesses = ask.map(name => {
    const said = element("b"), input = element("input", { type: "range", min: 0, max: 100, step: 1, value: 50 });
    input.oninput = () => {
      said.textContent = `${input.value} %`;
      input.setAttribute("aria-valuetext", said.textContent);
    };
    input.oninput();
    const groups = byRemoved(networks[name].counts, pictures);
    return { name, input, groups, label: element("label", {}, `The ${name} network keeps `, said, input) };
  });
  const compare = element("button", { textContent: "Compare" });
  const skip = element("button", { type: "button", textContent: "Skip" });
  const said = element("div");
  said.setAttribute("role", "status");
  const form = element("form", {}, element("fieldset", {}, legend, ...guesses.map(({ label }) => label)), compare, " ", skip);
  const section = element("div", { className: "guess" }, said, form);
  let step = 0;
  const question = () => {
    legend.textContent = step ? `And without ${TAKEN[step][1]} of its ${COUNT} blocks?`
      : `Guess first: without ${TAKEN[0][1]} of its ${COUNT} blocks, what share of its right answers does a network keep, on average?`;
  };
  form.onsubmit = event => {
    event.preventDefault();
    const [number, word] = TAKEN[step++];
    const ways = guesses[0].groups[number].shares;
    const words = guesses.map(({ name, input, groups }) => {
      const kept = groups[number].mean / groups[0].mean, guess = input.value / 100;
      const apart = input.value - Math.round(100 * kept);
      return `the ${name} network keeps ${round(kept)} (you said ${round(guess)}, ${Math.abs(apart) <= 100 * NEAR ? "close" : `${Math.abs(apart)} points too ${apart > 0 ? "high" : "low"}`})`;
    });
    said.append(element("p", { textContent: `Without ${word} of ${COUNT} blocks, on average over the ${ways} ways to choose, ${words.join("; ")}.` }));
    if (step < TAKEN.length) return question();
    const chance = guesses.map(({ groups }) => round(1 / classes.length / groups[0].mean));
    said.append(element("p", { className: "soft", textContent: `Measured with ${basis}. Answers drawn at random would keep ${[...new Set(chance)].join(" or ")}.` }));
    form.remove();
    done();
  };
  skip.onclick = () => {
    // What was compared stays.
    if (step) form.remove();
    else section.remove();
    done();
  };
  question();
  return section;
}

function start(root, { statistics, pictures, labels, classes, ask }) {
  const measured = {};
  for (const words in statistics) {
    measured[words] = {};
    for (const name in statistics[words]) {
      const [counts, answers] = statistics[words][name].map(text => unpack(text, text.length / 2 ** COUNT));
      measured[words][name] = { counts, answers: answers.map(number => [...String(number).padStart(labels.length, "0")]) };
    }
  }
  const percent = share => `${(100 * share).toFixed(1)} %`;
  const choice = from => element("select", {}, ...Object.keys(from).map(name => new Option(name)));
  const basis = choice(measured), select = choice(Object.values(measured)[0]);
  const boxes = [];
  const stages = STAGES.map((numbers, index) => element("fieldset", {},
    element("legend", { textContent: `Stage ${index + 1}` }),
    ...numbers.map(number => {
      const box = element("input", { type: "checkbox", checked: true });
      boxes.push(box);
      return element("label", {}, box, element("span", {}, element("span", { className: "hidden", textContent: "block " }), number));
    })));
  const drawing = element("div", { className: "blocks" }, ...stages);
  const share = element("p", { className: "sum" });
  const words = element("p", { className: "soft" });
  const result = element("div", {}, share, words);
  result.setAttribute("role", "status");
  const verdicts = labels.map(() => ({
    sign: element("span", {}), said: element("span", { className: "hidden" }), answer: element("span", {}),
  }));
  const shown = element("ul", { className: "shown" }, ...verdicts.map(({ sign, said, answer }, place) => {
    const picture = root.querySelectorAll(".still img")[place].cloneNode();
    sign.setAttribute("aria-hidden", true);
    return element("li", {}, picture, element("span", { className: "soft", textContent: classes[labels[place]] }),
      element("span", {}, sign, said, answer));
  }));
  const body = element("tbody");
  const table = element("table", { className: "stages" },
    element("thead", {}, element("tr", {}, ...["taken out", "subsets", "lowest", "mean", "highest", ""].map(
      text => text ? element("th", { scope: "col", textContent: text }) : element("td", { className: "range" })))), body);
  const scroller = element("div", { className: "wide", tabIndex: 0 }, table);
  scroller.setAttribute("role", "region");
  scroller.setAttribute("aria-label", "Right answers by number of blocks taken out");
  const all = element("button", { type: "button", textContent: "Put all back" });
  // The subsets that were looked at, by network, statistics and number of blocks out.
  const seen = new Map();
  const tries = element("p", { className: "tries soft" });
  const bits = () => boxes.map(box => Number(box.checked)).join("");
  const { shared, buttons, changed } = addressed(root, "blocks", "this choice of blocks", () => [bits(), select.value, basis.value].join("~"));
  const after = element("div", {},
    element("div", { className: "pair" },
      element("div", {}, element("label", {}, "Network", select), element("label", {}, "Batch norm goes by", basis),
        drawing, element("p", { className: "soft", textContent: "Each box is a block, each arc a shortcut. Click or tap a box to take the block out: the arc remains. A network without shortcuts gets one there." }),
        element("p", {}, all, " ", ...buttons)),
      element("div", {}, result, tries)),
    element("p", { textContent: `${labels.length} of the test pictures, what they are, and what the network says:` }),
    shown, scroller);
  const live = element("div", { className: "live" });
  // Who comes by an address sees what it says, and is asked nothing.
  const [sent, network, words_] = (shared ?? "").split("~");
  const offers = (list, value) => [...list.options].some(option => option.value === value);
  const given = /^[01]{9}$/.test(sent) && offers(select, network) && offers(basis, words_);
  if (given) {
    boxes.forEach((box, place) => { box.checked = sent[place] === "1"; });
    select.value = network;
    basis.value = words_;
  } else if (ask.length) {
    after.hidden = true;
    live.append(guessing(Object.values(measured)[0], ask, basis.value, { pictures, classes }, () => {
      after.hidden = false;
      select.focus();
    }));
  }
  live.append(after);
  root.append(live);

  // The range from lowest to highest, with a tick at the mean and one at the choice.
  function range({ low, mean, high }, chosen) {
    const place = (name, left, width) => {
      const part = element("i", { className: name });
      Object.assign(part.style, { left: `${100 * left}%`, width });
      return part;
    };
    const cell = element("td", { className: "range" }, place("span", low, `${100 * (high - low)}%`), place("mean", mean, "2px"));
    if (chosen !== null) cell.append(place("chosen", chosen, "9px"));
    return cell;
  }

  // The best and the worst so far of the ways to take out so many.
  function tell(counts, subset, removed, ways) {
    const key = [basis.value, select.value, removed].join("~");
    seen.set(key, (seen.get(key) ?? new Set()).add(subset));
    const found = [...seen.get(key)].sort((a, b) => counts[b] - counts[a]);
    const one = subset => {
      const out = boxes.map((_, place) => place + 1).filter(number => !(subset >> (COUNT - number) & 1));
      return `${percent(counts[subset] / pictures)}, without ${out.length > 1 ? "blocks" : "block"} ${out.join(", ")}`;
    };
    tries.textContent = ways === 1 ? "Of what you try with some of the blocks out, the best and the worst are kept here."
      : `Tried: ${found.length} of these ${ways} ways. Best so far: ${one(found[0])}`
        + (found.length > 1 ? `; worst: ${one(found.at(-1))}.` : ".");
  }

  function show() {
    const { counts, answers } = measured[basis.value][select.value];
    const subset = parseInt(bits(), 2);
    const removed = boxes.filter(box => !box.checked).length;
    const right = counts[subset] / pictures;
    const groups = byRemoved(counts, pictures);
    drawing.classList.toggle("bare", BARE.includes(select.value));
    share.textContent = `${percent(right)} right`;
    const group = groups[removed];
    words.textContent = removed === 0
      ? `The ${select.value} network with all of its blocks, on ${pictures.toLocaleString("en")} test pictures.`
      : `${removed} of ${COUNT} blocks taken out. Over all ${group.shares} ways to take out so many: ${percent(group.mean)} on average, from ${percent(group.low)} to ${percent(group.high)}.`;
    verdicts.forEach(({ sign, said, answer }, place) => {
      const right = Number(answers[subset][place]) === labels[place];
      sign.textContent = right ? "\u2713 " : "\u2717 ";
      said.textContent = right ? "right: " : "wrong: ";
      answer.textContent = classes[answers[subset][place]];
      answer.parentNode.className = right ? "good" : "bad";
    });
    const good = labels.filter((label, place) => Number(answers[subset][place]) === label).length;
    words.textContent += ` Of the ${labels.length} pictures below, ${good} ${good === 1 ? "is" : "are"} answered right.`;
    tell(counts, subset, removed, group.shares);
    changed();
    body.replaceChildren(...groups.map((found, index) => element("tr", {},
      element("th", { scope: "row", textContent: index }),
      ...[found.shares, percent(found.low), percent(found.mean), percent(found.high)].map(
        text => element("td", { textContent: text })),
      range(found, index === removed ? right : null))));
  }
  select.onchange = basis.onchange = show;
  boxes.forEach(box => { box.onchange = show; });
  all.onclick = () => { boxes.forEach(box => { box.checked = true; }); show(); };
  show();
}
