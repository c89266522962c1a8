const NAME = "ascent";
const SIDE = 28;
const WAYS = { nothing: "no restraint", "all three": "all three restraints" };
// What the judge recognises of all pictures, in thousandths, from so many on.
const CHOICES = { all: [800, "nearly all, more than 80 %"], some: [400, "some, 40 to 80 %"], few: [0, "few, less than 40 %"] };
const SHORT = { all: "nearly all", some: "some", few: "few" };

function start(root, { steps, classes, kinds, said, shares }) {
  const percent = permille => `${(permille / 10).toFixed(1)} %`;
  const whole = permille => `${(permille / 10).toFixed(0)} %`;
  const mean = runs => runs.reduce((sum, run) => sum + run, 0) / runs.length;
  const last = steps.length - 1;
  const guesses = new Map(); // by way; null where the reader skipped
  const sheet = root.querySelector(".still img");

  const kind = element("select", {}, ...kinds.map((number, place) => element("option", { value: place, textContent: classes[number].toLowerCase() })));
  const ways = Object.entries(WAYS).map(([value, text]) => {
    const input = element("input", { type: "radio", name: "way", value });
    return { value, input, label: element("label", {}, input, ` ${text}`) };
  });
  ways[0].input.checked = true;
  const choice = element("form", {}, element("fieldset", {}, element("legend", { textContent: "Made with" }), ...ways.map(({ label }) => label)));
  const slider = element("input", { type: "range", min: 0, max: last, step: 1, value: 0 });
  const count = element("b");
  const canvas = element("canvas", { width: SIDE, height: SIDE });
  canvas.setAttribute("role", "img");
  const bar = name => {
    const value = element("p", { className: "words" }), fill = element("i");
    const track = element("span", { className: "track" }, fill);
    track.setAttribute("aria-hidden", true);
    return { value, fill, box: element("div", {}, element("p", {}, element("b", { textContent: name })), value, track) };
  };
  const own = bar("The network it is made for"), judge = bar("The judge, another network");
  const verdict = ["", "soft", "soft"].map(className => element("p", { className }));
  const result = element("div", {}, judge.box, ...verdict);
  result.setAttribute("role", "status");
  const told = element("div", {}, own.box);
  told.setAttribute("role", "status");

  const legend = element("legend");
  const choices = Object.entries(CHOICES).map(([value, [, text]]) => [value, text]);
  const [form, missing] = asked(legend, choices, ["Ask the judge", "Skip the guesses"],
    guess => reveal([[way(), guess]]), () => reveal(Object.keys(WAYS).map(name => [name, null])));
  root.append(element("div", { className: "live" }, element("div", { className: "pair" },
    element("div", {}, element("label", {}, "Wanted: ", kind), choice,
      element("label", {}, "Steps: ", count, slider), canvas),
    element("div", {}, told, element("div", { className: "swap" }, result, form)))));

  const way = () => ways.find(({ input }) => input.checked).value;

  function paint(row) {
    const context = canvas.getContext("2d");
    if (sheet.complete && sheet.naturalWidth)
      context.drawImage(sheet, SIDE * slider.value, SIDE * row, SIDE, SIDE, 0, 0, SIDE, SIDE);
    else sheet.onload = show;
  }
  function say({ value, fill }, words, wanted) {
    const at = slider.value, best = words.class[at];
    value.textContent = best === wanted ? `${classes[wanted]}, ${percent(words.wanted[at])}`
      : `${classes[best]}, ${percent(words.sure[at])} (${classes[wanted].toLowerCase()} ${percent(words.wanted[at])})`;
    fill.style.width = `${words.wanted[at] / 10}%`;
  }
  const range = runs => `${whole(Math.min(...runs))} to ${whole(Math.max(...runs))}`;

  function show() {
    const chosen = way(), place = Number(kind.value), at = Number(slider.value), wanted = kinds[place];
    const open = guesses.has(chosen), words = said[chosen][wanted];
    const steps_ = steps[at] === 1 ? "1 step" : `${steps[at]} steps`;
    count.textContent = steps[at];
    slider.setAttribute("aria-valuetext", steps_);
    canvas.setAttribute("aria-label", `The picture for ${classes[wanted].toLowerCase()} after ${steps_}, ${WAYS[chosen]}`);
    paint(Object.keys(WAYS).indexOf(chosen) * kinds.length + place);
    say(own, words.own, wanted);
    form.classList.toggle("away", open);
    result.className = open ? "" : "hidden";
    missing.textContent = "";
    const column = (who, step) => shares[chosen][who].map(run => run[step]);
    legend.textContent = `Guess first. Made with ${WAYS[chosen]}, after ${steps[last]} steps, the network recognises ${whole(mean(column("own", last)))} of its pictures, of all ten kinds. How many does the judge recognise?`;
    if (!open) {
      judge.value.textContent = "";
      judge.fill.style.width = 0;
      verdict.forEach((line, index) => { line.textContent = index ? "" : "Not shown before your guess."; });
      return;
    }
    say(judge, words["other seed"], wanted);
    const end = mean(column("other seed", last));
    const [right] = Object.entries(CHOICES).find(([, [least]]) => end >= least);
    const guess = guesses.get(chosen);
    verdict[0].textContent = !guess ? "" : guess === right ? `As you guessed: ${SHORT[right]}.` : `You guessed ${SHORT[guess]}; it is ${SHORT[right]}.`;
    const seeds = shares[chosen].own.length;
    verdict[1].textContent = `After ${steps_} the judge recognises ${whole(mean(column("other seed", at)))} of the pictures of all ten kinds (${range(column("other seed", at))} over ${seeds} pairs of networks), the network itself ${whole(mean(column("own", at)))}.`;
    verdict[2].textContent = at === last ? "" : `After ${steps[last]} steps it is ${whole(end)} and ${whole(mean(column("own", last)))}.`;
  }
  function reveal(found) {
    for (const [name, guess] of found) if (!guesses.has(name)) guesses.set(name, guess);
    form.reset();
    show();
    slider.focus();
  }
  choice.oninput = () => { form.reset(); show(); };
  choice.onsubmit = event => event.preventDefault();
  kind.oninput = slider.oninput = show;
  show();
}
