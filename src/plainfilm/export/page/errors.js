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
