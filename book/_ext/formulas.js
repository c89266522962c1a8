/* MathJax in an engine without a browser: `parts` are its files, startup.js comes after this. */
var global = globalThis;
var MathJax = {
  loader: {
    load: Object.keys(parts),
    paths: { mathjax: "" },
    require: (path) => (0, eval)(parts[path.slice(1, -3)]),
    failed: (problem) => { throw problem; },
  },
  startup: { typeset: false },
  tex: {
    /* The first two would fetch what a formula asks for, the others set complaints in red. */
    packages: { "[-]": ["autoload", "require", "noerrors", "noundefined"] },
    formatError: (jax, problem) => { throw Error(problem.message); },
  },
  chtml: { fontURL: "mathjax", matchFontHeight: false, scale: 1.12 },
};
const formulas = (list) => list.map(([tex, display]) => {
  try {
    return { html: MathJax.startup.adaptor.outerHTML(MathJax.tex2chtml(tex, { display })) };
  } catch ({ message }) {
    return { problem: message };
  }
});
const sheet = () => MathJax.startup.adaptor.textContent(MathJax.chtmlStylesheet());
