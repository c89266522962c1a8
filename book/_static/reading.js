/* Drawers, sidebar and paper; reading.css has their looks. */

/* The sidebar opens with the current chapter in its middle; its head, which stays, is CSS. */
const showCurrent = (box) => {
  const current = box.querySelector(".bd-docs-nav li.current:not(:has(li.current))");
  if (!current) return;
  const place = current.getBoundingClientRect(), around = box.getBoundingClientRect();
  box.scrollTop += (place.top + place.bottom - around.top - around.bottom) / 2;
};
document.addEventListener("DOMContentLoaded", () => {
  const [sidebar, drawer, contents] = ["primary-sidebar", "primary-sidebar-modal", "secondary-sidebar-modal"]
    .map((name) => document.getElementById(`pst-${name}`));
  sidebar && setTimeout(() => showCurrent(sidebar)); /* after the theme, which scrolls it too */
  document.querySelector(".primary-toggle")?.addEventListener("click", () => setTimeout(() => drawer.open && showCurrent(drawer)));
  /* Whoever has chosen a section wants to read it. The theme gives the focus back, which scrolls. */
  contents?.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (!link) return;
    contents.addEventListener("close", () => setTimeout(() => {
      document.getElementById(decodeURIComponent(link.hash.slice(1)))?.scrollIntoView();
    }), { once: true });
    setTimeout(() => contents.close());
  });
});

/* Paper is light, shows the imports, and each sheet says where it is from. A file has no
   address to print. */
{
  const { dataset, classList } = document.documentElement;
  const quoted = (text) => JSON.stringify(text).replace(/</g, "\\3c ");
  let theme, foot, folded = [];
  const open = (whether) => folded.forEach((details) => { details.open = whether; });
  addEventListener("beforeprint", () => {
    theme = dataset.theme;
    dataset.theme = "light";
    folded = document.querySelectorAll("details.imports:not([open])");
    open(true);
    if (location.protocol === "file:") return;
    const version = document.querySelector("meta[name=version]").content;
    const address = document.querySelector("link[rel=canonical]").href;
    foot = document.head.appendChild(document.createElement("style"));
    foot.textContent = `@media print { @page {
      @top-left { content: ${quoted(`${document.title} (${version})`)}; font: 8pt sans-serif; color: #555; }
      @bottom-left { content: ${quoted(address)}; font: 8pt sans-serif; color: #555; }
      @bottom-right { content: counter(page) " / " counter(pages); font: 8pt sans-serif; color: #555; }
    } }`;
  });
  addEventListener("afterprint", () => {
    dataset.theme = theme;
    open(false);
    foot?.remove();
    classList.remove("no-code");
  });
  window.printWithoutCode = () => {
    classList.add("no-code");
    print();
  };
}
