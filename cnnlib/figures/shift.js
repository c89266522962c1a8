// Four buttons that shift a picture by one pixel; `act` gets rows, columns and the way.
function shifts(act, label = "Shift the picture by one pixel", ...more) {
  const ways = [["\u2190", "left", 0, -1], ["\u2191", "up", -1, 0], ["\u2193", "down", 1, 0], ["\u2192", "right", 0, 1]];
  const made = element("div", {}, element("span", { className: "soft", textContent: "Shift" }), ...ways.map(([text, word, down, right]) => {
    const button = element("button", { type: "button", textContent: text, onclick: () => act(down, right, word) });
    button.setAttribute("aria-label", `Shift ${word} by one pixel`);
    return button;
  }), ...more);
  made.setAttribute("role", "group");
  made.setAttribute("aria-label", label);
  return made;
}
