"use strict";
// The address says which cell is chosen (#cell-SYSTEM-ROW); only its reports are shown.
const articles = [...document.querySelectorAll("article")];
const chosen = document.querySelector(".chosen");

function show() {
  const id = location.hash.slice(1);
  const link = id && document.querySelector(`a[href="#${CSS.escape(id)}"]`);
  let shown = 0;
  for (const article of articles) {
    const there = Boolean(link) && article.dataset.cells.split(" ").includes(id);
    article.hidden = !there;
    shown += there;
  }
  for (const other of document.querySelectorAll("td a")) {
    if (other === link) other.setAttribute("aria-current", "true");
    else other.removeAttribute("aria-current");
  }
  chosen.textContent = link
    ? `${shown} ${shown === 1 ? "report" : "reports"} by ${link.dataset.system}: ${link.dataset.row}`
    : "";
  if (link) chosen.scrollIntoView();
}

addEventListener("hashchange", show);
show();

// A sentence, pointed at or focused, lights what the other report says of the same; a click, Enter
// or Space keeps it lit, Escape lets it go.
for (const article of articles) {
  const pieces = [...article.querySelectorAll("[data-own]")];
  const list = (piece, name) => piece.dataset[name].split(" ").filter(Boolean);
  let kept = null;

  const light = (piece) => {
    const keys = new Set(piece ? [...list(piece, "own"), ...list(piece, "others")] : []);
    for (const other of pieces) {
      other.classList.toggle("lit", list(other, "own").some((key) => keys.has(key)));
      other.setAttribute("aria-pressed", other === kept);
    }
  };

  for (const piece of pieces) {
    piece.addEventListener("mouseenter", () => light(piece));
    piece.addEventListener("mouseleave", () => light(kept));
    piece.addEventListener("focus", () => light(piece));
    piece.addEventListener("blur", () => light(kept));
    piece.addEventListener("click", () => {
      kept = kept === piece ? null : piece;
      light(kept);
    });
    piece.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      piece.click();
    });
  }
  article.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    kept = null;
    light(null);
  });
}
