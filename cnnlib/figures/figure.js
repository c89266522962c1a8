function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// Start every figure of this kind that is not started yet, when it comes into view.
document.querySelectorAll(`.live-figure[data-figure="${NAME}"]:not([data-state])`).forEach(root => {
  root.dataset.state = "waiting";
  const data = JSON.parse(root.querySelector("script").textContent);
  // Jupyter has shortcuts for single keys: what is typed here stays here.
  for (const event of ["keydown", "keypress", "beforeinput"])
    root.addEventListener(event, happened => happened.stopPropagation());
  const observer = new IntersectionObserver(entries => {
    if (!entries.some(entry => entry.isIntersecting)) return;
    observer.disconnect();
    const entered = root.contains(document.activeElement);
    start(root, data);
    root.dataset.state = "live";
    // Who came by keyboard stands on the still form, which is hidden from now on.
    if (entered) root.querySelector(".live :is(button, input, select, textarea)").focus();
  });
  observer.observe(root);
});
