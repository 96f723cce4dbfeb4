"use strict";
// A sentence or a statement, pointed at or focused, shows where the model looked; a click, Enter or
// Space keeps it shown, Escape lets it go.
for (const article of document.querySelectorAll("article")) {
  const places = [...article.querySelectorAll("[data-keys]")];
  const heats = [...article.querySelectorAll(".heat")];
  const looked = article.querySelector(".looked");
  const hint = looked.textContent;
  let kept = null;

  const list = (place, name) => place.dataset[name].split(" ").filter(Boolean);

  const show = (place) => {
    const keys = new Set(place ? list(place, "keys") : []);
    const shown = new Set(place ? list(place, "heats") : []);
    for (const other of places) {
      other.classList.toggle("lit", list(other, "keys").some((key) => keys.has(key)));
      if (other.hasAttribute("aria-pressed")) other.setAttribute("aria-pressed", other === kept);
    }
    for (const heat of heats) heat.classList.toggle("shown", shown.has(heat.id));
    looked.textContent = place ? place.dataset.looked : hint;
    looked.classList.toggle("active", Boolean(place));
  };

  for (const place of places) {
    place.addEventListener("mouseenter", () => show(place));
    place.addEventListener("mouseleave", () => show(kept));
    place.addEventListener("focus", () => show(place));
    place.addEventListener("blur", () => show(kept));
    place.addEventListener("click", () => {
      kept = kept === place ? null : place;
      show(kept);
    });
    place.addEventListener("keydown", (event) => {
      if (place.tagName !== "BUTTON" && (event.key === "Enter" || event.key === " ")) {
        event.preventDefault();
        place.click();
      }
    });
  }
  article.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      kept = null;
      show(null);
    }
  });
}

// A segmentation map stays over its film while its box is ticked.
for (const box of document.querySelectorAll("[data-layer]")) {
  box.addEventListener("change", () => {
    document.getElementById(box.dataset.layer).classList.toggle("kept", box.checked);
  });
}

// So that a whole film fits the height of the window.
for (const ray of document.querySelectorAll(".ray")) {
  ray.closest("figure").style.setProperty("--aspect", ray.getAttribute("width") / ray.getAttribute("height"));
}

// On paper nothing can be pointed at: each map is printed small, under its statement's name.
window.addEventListener("beforeprint", () => {
  for (const article of document.querySelectorAll("article")) {
    const prints = article.querySelector(".prints");
    if (prints.childElementCount) continue;
    for (const button of article.querySelectorAll(".report > .statements button")) {
      const heat = document.getElementById(button.dataset.heats.split(" ")[0]);
      if (!heat || button.querySelector(".chip.absent")) continue;
      const figure = document.createElement("figure");
      const picture = document.createElement("div");
      picture.className = "picture";
      const film = heat.parentElement.querySelector(".ray").cloneNode();
      const map = heat.cloneNode();
      map.removeAttribute("id");
      map.classList.add("shown");
      picture.append(film, map);
      const caption = document.createElement("figcaption");
      caption.textContent = button.dataset.looked;
      figure.append(picture, caption);
      prints.append(figure);
    }
  }
});
