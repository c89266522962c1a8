const NAME = "quiz";

// A form of its own for every question keeps its choices apart from other copies.
function start(root, { questions }) {
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
    form.onsubmit = event => {
      event.preventDefault();
      const [right, reason] = choices.length ? chosen(question, choices) : typed(question, number.value);
      verdict.classList.toggle("right", right === true);
      verdict.textContent = right === null ? reason : `${right ? "Right." : "Not yet."} ${reason}`;
    };
    return form;
  });
  root.append(element("div", { className: "live" }, ...forms));
}

// [true, false or null for no answer yet, what to say]
function chosen({ options }, choices) {
  const picked = choices.findIndex(label => label.firstChild.checked);
  if (picked < 0) return [null, "Choose an answer first."];
  const [kind, , reason] = options[picked];
  return [kind === "right", reason];
}

function typed({ answer, why }, text) {
  const value = Number(text.replace(/[,\s]/g, "") || NaN);
  if (Number.isNaN(value)) return [null, "Type a number first."];
  const right = value === answer;
  return [right, right ? why : "Try again, or look at the text above once more."];
}
