const NAME = "quiz";

// A form of its own for every question keeps its choices apart from other copies.
// What was answered is kept, where the browser allows it, by the words of the question.
function start(root, { questions }) {
  const kept = ask => { try { return localStorage.getItem(`quiz ${ask}`); } catch { return null; } };
  const keep = (ask, value) => { try { localStorage.setItem(`quiz ${ask}`, value); } catch { } };
  const count = element("p", { className: "soft" });
  const tally = () => {
    const right = root.querySelectorAll(".verdict.right").length;
    count.textContent = `${right} of ${questions.length} right`;
  };
  const forms = questions.map((question, index) => {
    const number = element("input", { type: "text", inputMode: "decimal", autocomplete: "off" });
    number.setAttribute("aria-label", "Your answer, a number");
    const choices = (question.options ?? []).map(([, text]) => {
      const radio = element("input", { type: "radio", name: "choice" });
      return element("label", {}, radio, ` ${text}`);
    });
    const verdict = element("p", { className: "verdict" });
    verdict.setAttribute("role", "status");
    const form = element("form", { noValidate: true },
      element("fieldset", {},
        element("legend", { textContent: `${index + 1}. ${question.ask}` }),
        ...(choices.length ? choices : [number])),
      element("button", { textContent: "Check" }), verdict);
    const mark = () => {
      const [right, reason] = choices.length ? chosen(question, choices) : typed(question, number.value);
      verdict.classList.toggle("right", right === true);
      verdict.textContent = right === null ? reason : `${right ? "Right." : "Not yet."} ${reason}`;
      if (right !== null) verdict.append(" See “", section(question.see), "”.");
      tally();
      if (right !== null) keep(question.ask, choices.length ? choices.findIndex(checked) : number.value);
    };
    form.onsubmit = event => { event.preventDefault(); mark(); };
    form.oninput = () => {
      verdict.textContent = "";
      verdict.classList.remove("right");
      tally();
    };
    const before = kept(question.ask);
    if (before !== null) {
      if (choices[before]) choices[before].firstChild.checked = true;
      else number.value = before;
      mark();
    }
    return form;
  });
  root.append(element("div", { className: "live" }, ...forms, count));
  tally();
}

// The heading of a section: on the site a link to it, elsewhere its words.
function section(heading) {
  const marks = [...document.querySelectorAll(":is(h2, h3) > a.headerlink")];
  const mark = marks.find(mark => mark.parentNode.textContent === heading + mark.textContent);
  return mark ? element("a", { href: mark.hash, textContent: heading }) : heading;
}

const checked = label => label.firstChild.checked;

// [true, false or null for no answer yet, what to say]
function chosen({ options }, choices) {
  const picked = choices.findIndex(checked);
  if (picked < 0) return [null, "Choose an answer first."];
  const [kind, , reason] = options[picked];
  return [kind === "right", reason];
}

function typed({ answer, why }, text) {
  const value = Number(text.replace(/[,\s]/g, "") || NaN);
  if (Number.isNaN(value)) return [null, "Type a number first."];
  const right = value === answer;
  return [right, right ? why : `${hint(value, answer)} Look at the text above once more.`];
}

// Which way to go, but not how far.
function hint(value, answer) {
  const far = Math.abs(value) > 5 * Math.abs(answer) || Math.abs(value) < Math.abs(answer) / 5;
  return `That is ${far ? "far " : ""}too ${value > answer ? "large" : "small"}.`;
}
