/* Exercises that answer, what was answered, and the ledger's citations. The extension
   book/_ext/speaking.py writes the forms and says how answers are marked. */
document.addEventListener("DOMContentLoaded", () => {
  const KEY = "cnn-exercises";
  let kept = {}; // id of an exercise: {value, right}
  try {
    kept = JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch { /* nothing is remembered where a browser forbids it */ }
  const keep = (id, answer) => {
    kept[id] = answer;
    try {
      localStorage.setItem(KEY, JSON.stringify(kept));
    } catch { /* as above */ }
    mark();
  };

  /* "3/6" behind a chapter of the list: exercises that were answered rightly. */
  const totals = JSON.parse(document.getElementById("exercise-counts")?.textContent ?? "{}");
  const mark = () => {
    for (const [stem, total] of Object.entries(totals)) {
      const right = Object.keys(kept).filter((id) => id.startsWith(`${stem}/`) && kept[id].right).length;
      const here = location.pathname.endsWith(`/chapters/${stem}.html`);
      for (const link of document.querySelectorAll(".bd-sidebar-primary .bd-links a")) {
        const leads = link.pathname.endsWith(`/chapters/${stem}.html`) || (here && link.getAttribute("href") === "#");
        if (!leads) continue;
        link.querySelector(".progress-mark")?.remove();
        if (!right) continue;
        const note = Object.assign(document.createElement("span"), { className: "progress-mark" });
        note.textContent = `${right}/${total}`;
        note.title = `${right} of ${total} exercises done`;
        link.append(note);
      }
    }
  };
  mark();

  /* The last eight digits of FNV-1a in 64 bits, as digest() in speaking.py. */
  const digest = (text) => {
    let value = 0xcbf29ce484222325n;
    for (const byte of new TextEncoder().encode(text)) {
      value = ((value ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
    }
    return value.toString(16).padStart(16, "0").slice(-8);
  };

  /* 60,000 and 60 000 and 60000.0 are one number; NaN if it is none. */
  const number = (text) => {
    const bare = text.trim().replace(/^["']|["']$/g, "").replace(/[\s_]/g, "");
    const plain = /^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$/.test(bare) ? bare.replaceAll(",", "") : bare;
    const share = /^([+-]?[\d.]+)([%/])([\d.]*)$/.exec(plain);
    if (share?.[2] === "/") return Number(share[1]) / Number(share[3] || NaN);
    if (share) return share[3] ? NaN : Number(share[1]) / 100;
    return plain ? Number(plain) : NaN;
  };

  /* [text to hash, what is missing] */
  const canonical = ({ kind, step }, text) => {
    if (kind === "word") return text ? [text.toLowerCase()] : [null, "Choose an answer first."];
    if (kind === "list") {
      const parts = text.replace(/[()[\]]/g, "").trim().split(/\s*;\s*|\s+|,\s+|,(?!\d{3}(?!\d))/).filter(Boolean);
      const values = parts.map((part) => number(part.replace(/,$/, "")));
      const given = values.length && values.every(Number.isFinite);
      return given ? [values.join(",")] : [null, "Type numbers first, with commas between them."];
    }
    const value = number(text);
    if (!Number.isFinite(value)) return [null, "Type a number first."];
    return [String(Number(step) ? Math.round(value / Number(step)) : value)];
  };

  for (const form of document.querySelectorAll("form.exercise")) {
    const { id, kind, right, hint } = form.dataset;
    const status = form.querySelector("[role=status]");
    let solution = form.nextElementSibling;
    while (solution && !solution.matches(".tag_solution")) solution = solution.nextElementSibling;
    const say = (text, verdict = "") => {
      status.textContent = text;
      status.className = verdict;
    };
    const field = form.elements.answer;
    const value = () => field?.value ?? "";
    let tries = 0;

    form.querySelector(".solution").onclick = () => {
      const box = solution.querySelector("details");
      box.open = true;
      box.querySelector("summary").focus();
    };
    form.addEventListener("input", () => kind !== "code" && say(""));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (kind === "code") return;
      const [text, missing] = canonical(form.dataset, value());
      if (missing) return say(missing);
      const correct = right.split(" ").includes(digest(`${id}:${text}`));
      keep(id, { value: value(), right: correct || Boolean(kept[id]?.right) });
      if (correct) return say("Right. The solution shows how.", "right");
      tries += 1;
      say(`Not yet. Hint: ${hint}${tries > 1 ? " The solution stands below." : ""}`, "wrong");
    });
    if (kind === "code") {
      form.querySelector(".hint").onclick = () => say(`Hint: ${hint}`);
      form.elements.done.checked = Boolean(kept[id]?.right);
      form.elements.done.onchange = ({ target }) => keep(id, { right: target.checked });
    } else if (kept[id]) {
      field.value = kept[id].value;
      if (kept[id].right) say("Right, you answered this before.", "right");
    }
    form.hidden = false;
  }

  /* A row of the ledger offers its citation. */
  const ledger = document.getElementById("ledger");
  for (const where of ledger?.querySelectorAll(".where") ?? []) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "copy citation" });
    button.onclick = async () => {
      const row = where.closest("tr");
      const [verdict, statement, said, right] = row.cells;
      const words = statement.firstChild.textContent.trim();
      const value = right.textContent.trim() || said.textContent.trim();
      const address = new URL(`#${row.id}`, location.href.split(/[?#]/)[0]);
      const text = `${words} ${value ? `Value: ${value}. ` : ""}(${verdict.textContent.trim()}) ${ledger.dataset.source}, ${address}`;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "copied";
      } catch {
        const visible = Object.assign(document.createElement("q"), { textContent: text });
        button.replaceWith(visible);
      }
    };
    where.append(" · ", button);
  }

  /* The first tap on a term shows its definition, the second follows the link. */
  let touched = null;
  document.addEventListener("pointerdown", (event) => {
    touched = event.pointerType === "touch" ? event.target.closest?.("a.term") : null;
  });
  for (const term of document.querySelectorAll("a.term")) {
    term.addEventListener("click", (event) => {
      if (touched !== term || term.dataset.shown) return;
      event.preventDefault();
      term.focus();
      term.dataset.shown = "true";
    });
    term.addEventListener("blur", () => delete term.dataset.shown);
  }

  /* What folds code says so to a screen reader, too. */
  for (const summary of document.querySelectorAll("details.hide > summary[aria-label]")) {
    summary.removeAttribute("aria-label");
  }
});
