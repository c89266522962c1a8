/* A formula that is wider than the page scrolls in itself, by keyboard too. */
const reachWideFormulas = () => {
  for (const box of document.querySelectorAll('mjx-container[display="true"]')) {
    box.toggleAttribute("tabindex", false);
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
};
window.addEventListener("load", () => {
  window.MathJax?.startup?.promise.then(reachWideFormulas);
});
window.addEventListener("resize", reachWideFormulas);

/* The filter of the ledger. The page is a plain table without it; verdict, chapter and words
   also stand in the address, so that a filtered ledger can be linked to. */
document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("ledger-filter");
  if (!form) return;
  const rows = [...document.querySelectorAll("#ledger tbody tr")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const fields = ["verdict", "chapter", "words"];

  const show = () => {
    const [verdict, chapter, words] = fields.map((name) => form.elements[name].value);
    const wanted = words.toLowerCase().split(/\s+/);
    let count = 0;
    rows.forEach((row, i) => {
      const match =
        (!verdict || row.dataset.verdict === verdict) &&
        (!chapter || row.dataset.chapter === chapter) &&
        wanted.every((word) => texts[i].includes(word));
      row.hidden = !match;
      count += match;
    });
    form.querySelector("[role=status]").textContent =
      `Showing ${count} of ${rows.length} statements.`;
  };

  const remember = () => {
    const query = new URLSearchParams(new FormData(form));
    fields.filter((name) => !query.get(name)).forEach((name) => query.delete(name));
    const search = `${query}` ? `?${query}` : location.pathname;
    history.replaceState(null, "", search + location.hash);
  };

  new URLSearchParams(location.search).forEach((value, name) => {
    if (fields.includes(name)) form.elements[name].value = value;
  });
  form.addEventListener("input", () => {
    show();
    remember();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  show();
});
