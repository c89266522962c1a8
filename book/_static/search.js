/* Search while typing: in the dialog of every page, and on the search page. The index and its
   engine (Pagefind, made by book/_ext/search.py) are fetched when a search box gets the focus.
   Opened as a file a page cannot fetch them: Sphinx's own search answers there, and says so. */
{
  const root = document.documentElement.dataset.content_root;
  /* kind, title, how many are read and how many are shown */
  const GROUPS = [["page", "Pages", 8, 8], ["term", "Terms", 12, 3], ["statement", "Statements", 5, 5]];
  const SECTIONS = 3;
  const FEW = 3;
  const RANKING = { metaWeights: { title: 10, names: 8, related: 3, verdict: 0, at: 0, home: 0 } };
  const SMALL = new Set(("a an and are can do does for from how i in is it its many much of on or " +
    "should the there to vs was were what when where which who why with you your").split(" "));

  let loading;
  const engine = () => (loading ??= import(new URL(`${root}pagefind/pagefind.js`, location)).then(async (found) => {
    await found.options({ baseUrl: "/", ranking: RANKING, excerptLength: 24 });
    await found.init();
    return found;
  }));

  /* As the index has it: Chinese in pairs of characters, British spelling, no small words. */
  const asIndexed = (question) => {
    const text = question.toLowerCase()
      .replace(/[\u4e00-\u9fff]{2,}/g, (run) => ` ${[...run].slice(1).map((sign, i) => run[i] + sign).join(" ")} `)
      .replace(/(\w{4})iz(?=e[ds]?\b|ing\b|ations?\b|ers?\b)/g, "$1is")
      .replace(/\b(col|neighb)or/g, "$1our").replace(/\bgray/g, "grey");
    const words = text.split(/\s+/).filter(Boolean);
    const large = words.filter((word) => !SMALL.has(word.replace(/\W/g, "")));
    return (large.length ? large : words).join(" ");
  };

  const element = (name, className, ...children) => {
    const made = document.createElement(name);
    made.className = className;
    made.append(...children);
    return made;
  };
  const excerpt = (html) => {
    const made = element("p", "excerpt");
    made.innerHTML = html; /* Pagefind escapes the text and adds <mark> */
    return made;
  };
  const link = (address, text) =>
    Object.assign(element("a", "", text), { href: root + address.replace(/^\//, "") });
  const merit = (section) => section.weighted_locations.reduce((sum, place) => sum + place.balanced_score, 0);

  const entry = (kind, { url, meta, excerpt: text, sub_results: sections }) => {
    const made = element("li", kind, link(meta.at ?? url, meta.title));
    if (meta.verdict) made.append(element("span", `claim-${meta.verdict}`, ` ${meta.verdict}`));
    const best = sections.filter((section) => section.url !== url).sort((a, b) => merit(b) - merit(a));
    if (kind !== "page" || !best.length) made.append(excerpt(text));
    else made.append(element("ul", "", ...best.slice(0, SECTIONS).map((section) =>
      element("li", "", link(section.url, section.title), excerpt(section.excerpt)))));
    return made;
  };

  /* Results for all words; where these are few, also for all words but one. */
  const search = async (question, kind) => {
    const found = await engine();
    const ask = async (words) => (await found.search(words.join(" "), { filters: { kind } })).results;
    const words = asIndexed(question).split(" ");
    const results = await ask(words);
    if (results.length >= FEW || words.length === 1) return results;
    const fewer = await Promise.all(words.map((_, left) => ask(words.filter((_, i) => i !== left))));
    const seen = new Set(results.map(({ id }) => id));
    const more = fewer.flat().sort((a, b) => b.score - a.score);
    return results.concat(more.filter(({ id }) => !seen.has(id) && seen.add(id)));
  };

  /* The groups of results. Who types a name of a term gets the page that is about it first. */
  const answer = async (question) => {
    const groups = await Promise.all(GROUPS.map(async ([kind, title, read, most]) => {
      const results = await search(question, kind);
      const data = await Promise.all(results.slice(0, read).map((result) => result.data()));
      return { kind, title, most, count: results.length, data };
    }));
    const [pages, terms] = groups;
    const same = (name) => asIndexed(name) === asIndexed(question);
    const named = terms.data.filter(({ meta }) => meta.names.split(" ; ").some(same));
    const first = (data, test) => data.sort((a, b) => test(b) - test(a));
    first(terms.data, (term) => named.includes(term));
    first(pages.data, (page) => named.some(({ meta }) => meta.home === page.url));
    const found = groups.filter(({ count }) => count);
    /* The engine looks up what begins like a misspelt word in one part of its index, which may
       end before it does. */
    return found.length || !/^\w{6,}$/.test(question) ? found : answer(question.slice(0, -1));
  };

  /* `box`, behind the form, shows what is found for what its field says. */
  const attach = (form, box) => {
    const field = form.elements.q;
    const status = element("p", "status");
    status.setAttribute("role", "status");
    const list = element("div", "found");
    box.append(status, list);
    let asked = "", timer;

    const say = (text) => (status.textContent = text);
    const show = async () => {
      const question = field.value.trim();
      if (question === asked) return;
      asked = question;
      const groups = question ? await answer(question) : [];
      if (asked !== question) return; /* typed on meanwhile */
      const counts = groups.map(({ title, count }) => `${count} ${title.toLowerCase()}`);
      say(counts.join(", ") || (question && "Nothing found."));
      list.replaceChildren(...groups.flatMap(({ kind, title, most, data }) =>
        [element("h2", "", title), element("ul", "", ...data.slice(0, most).map((one) => entry(kind, one)))]));
    };
    const cannot = () => say("Search as you type works on the web only: press Enter to search the pages here.");

    field.addEventListener("focus", () => engine().catch(cannot));
    field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => show().catch(cannot), 150);
    });
    box.parentElement.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      const stops = [field, ...list.querySelectorAll("a")];
      const next = stops[stops.indexOf(document.activeElement) + step];
      if (!next) return;
      event.preventDefault();
      next.focus();
    });
    return show;
  };

  /* Sphinx's search, whose index is a script and is therefore read from a file, too. */
  const plainSearch = (box) => {
    box.before(element("p", "status", "Opened as a file: Sphinx's plain search answers here, which knows " +
      "whole words only. On the web the book searches as you type."));
    for (const name of ["_static/language_data.js", "_static/searchtools.js", "searchindex.js"])
      document.head.append(Object.assign(document.createElement("script"), { src: root + name, async: false }));
  };

  document.addEventListener("DOMContentLoaded", () => {
    const dialog = document.getElementById("pst-search-dialog");
    attach(dialog.querySelector("form"), dialog.appendChild(element("div", "answers")));
    const page = document.querySelector(".bd-search-container #search-results");
    if (!page) return;
    const form = page.parentElement.querySelector("form");
    form.elements.q.value = new URLSearchParams(location.search).get("q") ?? "";
    engine().then(() => {
      const box = element("div", "answers");
      page.replaceWith(box);
      form.addEventListener("submit", (event) => event.preventDefault());
      attach(form, box)();
    }, () => plainSearch(page));
  });
}
