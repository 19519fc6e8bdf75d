// Everything is put to work. The mark "ready" is for those who test the page.

document.documentElement.classList.add("scripted");
for (const view of document.querySelectorAll(".view")) {
  const data = view.querySelector(':scope > script[type="application/json"]');
  const start = views[view.dataset.view];
  if (start) start(view, data ? JSON.parse(data.textContent) : null);
}
document.querySelectorAll("table.matrix:not([role])").forEach((table) => grid(table));
document.querySelectorAll("table").forEach((table) => {
  if (!tools(table.closest(".region")).querySelector("button[data-copy]")) copying(table);
});
// Inside a frame without an address of its own a link to a place would load the page around it.
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  const place = link && document.getElementById(link.getAttribute("href").slice(1));
  if (!place) return;
  event.preventDefault();
  if (window.top === window) history.replaceState(null, "", link.getAttribute("href"));
  place.tabIndex = -1;
  place.focus({ preventScroll: true });
  place.scrollIntoView();
});
window.intermodal = Object.freeze({ figure, attendRow: typeof attendRow === "function" ? attendRow : null });
document.documentElement.dataset.ready = "yes";
