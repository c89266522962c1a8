// A form that asks to choose one of [[value, words], ...] below `legend`. Calls `guessed`
// with the value or, if the reader would rather not, `skipped`.
function asked(legend, choices, [show, skip], guessed, skipped) {
  const radios = choices.map(([value]) => element("input", { type: "radio", name: "guess", value }));
  const missing = element("p", { className: "missing" });
  missing.setAttribute("role", "status");
  const form = element("form", { noValidate: true },
    element("fieldset", {}, legend, ...radios.map((radio, place) => element("label", {}, radio, ` ${choices[place][1]}`))),
    element("button", { textContent: show }), " ",
    element("button", { type: "button", textContent: skip, onclick: skipped }), missing);
  form.onsubmit = event => {
    event.preventDefault();
    const picked = radios.find(radio => radio.checked);
    if (picked) guessed(picked.value);
    else missing.textContent = "Choose an answer first.";
  };
  form.oninput = () => { missing.textContent = ""; };
  return [form, missing];
}
