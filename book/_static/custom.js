/* A formula that is wider than the page scrolls in itself, by keyboard too. */
const reachWideFormulas = () => {
  const boxes = [...document.querySelectorAll('mjx-container[display="true"]')];
  const wide = boxes.map((box) => box.scrollWidth > box.clientWidth);
  boxes.forEach((box, i) => {
    if (wide[i]) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  });
};
window.addEventListener("load", () => document.fonts.ready.then(reachWideFormulas));
window.addEventListener("resize", reachWideFormulas);
document.addEventListener("toggle", reachWideFormulas, true); /* folded ones have no width */

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

/* A statement that has moved to another chapter is still shown by the ledger. */
document.addEventListener("DOMContentLoaded", () => {
  const id = decodeURIComponent(location.hash.slice(1));
  const page = document.documentElement.dataset.content_root;
  const here = document.getElementById(id) || document.getElementById("ledger");
  if (!here && /^[a-z0-9-]+\/[a-z0-9-]+$/.test(id)) location.replace(`${page}book/ledger.html#${id}`);
});

/* The definition of a term beside its link, read once from the glossary of this site. */
document.addEventListener("DOMContentLoaded", () => {
  const links = document.querySelectorAll("a.term");
  if (!links.length) return;
  const box = Object.assign(document.createElement("div"), { id: "definition", className: "definition", hidden: true });
  box.setAttribute("role", "tooltip");
  document.body.append(box);
  let glossary, shown;

  const hide = () => {
    box.hidden = true;
    shown?.removeAttribute("aria-describedby");
    shown = null;
  };

  const show = async (link) => {
    hide();
    shown = link;
    glossary ??= fetch(link.href).then((page) => page.text())
      .then((text) => new DOMParser().parseFromString(text, "text/html"));
    let entry;
    try {
      entry = (await glossary).getElementById(link.hash.slice(1));
    } catch {
      return; /* opened as a file: the link itself remains */
    }
    if (shown !== link || !entry) return;
    box.replaceChildren(...entry.parentElement.cloneNode(true).children);
    box.querySelector("[id]")?.removeAttribute("id");
    box.hidden = false;
    const place = link.getBoundingClientRect();
    const left = Math.min(place.left, document.documentElement.clientWidth - box.offsetWidth - 16);
    const above = place.bottom + box.offsetHeight + 8 > window.innerHeight;
    box.style.left = `${Math.max(16, left) + window.scrollX}px`;
    box.style.top = `${(above ? place.top - box.offsetHeight - 2 : place.bottom + 2) + window.scrollY}px`;
    link.setAttribute("aria-describedby", box.id);
  };

  for (const link of links) {
    /* The first tap shows the definition, the second follows the link. */
    let touched;
    link.addEventListener("pointerdown", (event) => (touched = event.pointerType === "touch" && shown !== link));
    link.addEventListener("click", (event) => {
      if (!touched) return;
      event.preventDefault();
      show(link);
    });
    link.addEventListener("mouseenter", () => show(link));
    link.addEventListener("focus", () => show(link));
    link.addEventListener("blur", hide);
    link.addEventListener("mouseleave", () => {
      setTimeout(() => shown === link && !box.matches(":hover") && !link.matches(":hover, :focus") && hide(), 150);
    });
  }
  box.addEventListener("mouseleave", hide);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
});
