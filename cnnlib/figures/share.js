// On the site what is set has an address of its own, ?name=...: what the address says, a
// button that copies it (none elsewhere), and what to call when something else is set.
function addressed(root, name, what, value) {
  const sited = "content_root" in document.documentElement.dataset;
  const button = element("button", { type: "button", onclick: async () => {
    const address = new URL(location);
    address.searchParams.set(name, value());
    address.hash = root.closest("section[id]")?.id ?? "";
    history.replaceState(null, "", address);
    const copied = await navigator.clipboard?.writeText(address).then(() => true, () => false);
    button.textContent = copied ? "Copied" : `The address of this page is now that of ${what}`;
  } });
  button.setAttribute("aria-live", "polite");
  return {
    shared: sited ? new URLSearchParams(location.search).get(name) : null,
    buttons: sited ? [button] : [],
    changed() { button.textContent = `Copy the address of ${what}`; },
  };
}
