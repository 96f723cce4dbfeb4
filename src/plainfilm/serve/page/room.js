"use strict";
// The reading room. All text comes in as JSON and goes into the page as text, never as markup.

const find = (id) => document.getElementById(id);
const make = (name, set = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(set)) {
    if (key === "class") element.className = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && key !== "list") element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
};

let token = sessionStorage.getItem("token") || "";
let studies = [];
let open = null; // what the room shows: the answer of /room, and what the reader made of it
let saving = null;
let chosen = -1; // the statement that is lit
const panes = []; // films on the stage: {id, film, rows, columns, values, canvas, heat, turn}
const view = { low: 0, high: 65535, zoom: 1, x: 0, y: 0, invert: false, heat: true };

// ---- talking to the service

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { ...options.headers, Authorization: `Bearer ${token}` } });
  if (answer.status === 401) { enter("The token is not known."); throw new Error("no token"); }
  if (!answer.ok) {
    let detail = answer.statusText;
    try { detail = (await answer.json()).detail || detail; } catch { /* no JSON: the status says it */ }
    const error = new Error(typeof detail === "string" ? detail : JSON.stringify(detail));
    error.status = answer.status;
    throw error;
  }
  return answer;
}
const json = async (path, options) => (await ask(path, options)).json();
function say(text, bad = false) {
  const status = find("status");
  status.textContent = text;
  status.className = bad ? "bad" : "";
  clearTimeout(say.timer);
  if (!bad) say.timer = setTimeout(() => { status.textContent = ""; }, 2500);
}

// ---- the door

function enter(error = "") {
  find("room").hidden = true;
  find("door").hidden = false;
  find("door-error").textContent = error;
  find("token").focus();
}
find("door").addEventListener("submit", (event) => {
  event.preventDefault();
  token = find("token").value.trim();
  sessionStorage.setItem("token", token);
  begin();
});
async function begin() {
  if (!token) return enter();
  try {
    await refresh();
  } catch (error) {
    if (error.message !== "no token") enter(error.message);
    return;
  }
  find("door").hidden = true;
  find("room").hidden = false;
  const first = studies.find((study) => study.state === "done");
  if (first && !open) show(first.id);
}

// ---- the work list

async function refresh() {
  studies = (await json("/v1/studies?most=500")).studies;
  list();
}
const stands = (study) => study.state !== "done" ? study.state : study.verdict || "to read";
function wanted() {
  const filter = find("filter").value;
  return studies.filter((study) => !filter
    || (filter === "open" && study.state === "done" && !study.verdict)
    || (filter === "refused" && ["refused", "failed"].includes(study.state))
    || study.verdict === filter);
}
function list() {
  find("list").replaceChildren(...wanted().map((study) => make("li", {},
    make("button", { "aria-current": String(open?.about.id === study.id), onclick: () => show(study.id) },
      study.files[0] + (study.files.length > 1 ? ` + ${study.files.length - 1}` : ""),
      make("small", {}, `${new Date(study.created * 1000).toLocaleString()} · ${stands(study)}`),
      make("small", {}, study.reason || study.found.join("; ") || (study.state === "done" ? "nothing abnormal" : ""))))));
}
find("filter").addEventListener("change", list);
find("upload").addEventListener("change", async (event) => {
  const form = new FormData();
  for (const file of event.target.files) form.append("files", file);
  event.target.value = "";
  try {
    await json("/v1/batches", { method: "POST", body: form });
    say("Accepted; the drafts follow.");
    refresh();
  } catch (error) { say(error.message, true); }
});
setInterval(() => { if (!find("room").hidden && !document.hidden) refresh().catch(() => say("The service does not answer.", true)); }, 4000);

// ---- one study

async function show(id) {
  await save();
  try { open = await json(`/v1/studies/${id}/room`); } catch (error) { return say(error.message, true); }
  chosen = -1;
  const review = open.review || {};
  open.made = {
    findings: review.findings ?? open.findings, impression: review.impression ?? open.impression,
    decisions: new Map((review.decisions || []).map((one) => [one.statement, { verdict: one.verdict, reason: one.reason }])),
    verdict: review.verdict || null, reason: review.reason || "", revision: open.about.revision, changed: false, editing: false,
  };
  list();
  report();
  find("films").replaceChildren(...(open.films || []).map((film, at) => make("option", { value: at }, `${film.view} · ${film.name || ""}`)));
  find("prior").replaceChildren(make("option", { value: "" }, "Compare with…"),
    ...(open.priors || []).map((one) => make("option", { value: one.id }, `Prior, ${new Date(one.created * 1000).toLocaleString()}`)),
    ...studies.filter((one) => one.state === "done" && one.id !== id && !(open.priors || []).some((prior) => prior.id === one.id))
      .map((one) => make("option", { value: one.id }, `Other: ${one.files[0]}`)));
  reset();
  await stage(open.films ? [[id, 0]] : []);
}

function report() {
  const { about, made } = open;
  const parts = [make("h1", {}, about.files.join(", "))];
  for (const badge of about.badges) parts.push(make("p", { class: "badge" }, badge));
  parts.push(make("p", { class: "meta" }, open.disclaimer));
  if (about.state !== "done") {
    parts.push(make("p", { class: "warning" }, about.reason || `The draft is not there yet: ${about.state}.`));
    return find("report").replaceChildren(...parts);
  }
  for (const warning of open.warnings) parts.push(make("p", { class: "warning" }, warning));
  if (about.indication) parts.push(make("p", { class: "meta" }, `Indication used: ${about.indication}`));
  parts.push(make("p", { class: "meta" }, `Model ${about.model}${about.weights_sha256 ? `, weights ${about.weights_sha256.slice(0, 12)}` : ""}`));
  const edited = made.findings !== open.findings || made.impression !== open.impression;
  if (made.editing || edited) {
    for (const [name, title] of [["findings", "Findings"], ["impression", "Impression"]]) {
      parts.push(make("h2", {}, `${title}${edited ? " (edited)" : ""}`), make("textarea", {
        id: name, "aria-label": title, class: name === "impression" ? "short" : "", value: made[name],
        oninput: (event) => { made[name] = event.target.value; change(); },
      }));
    }
  } else {
    for (const [title, passages] of Object.entries(open.passages)) {
      parts.push(make("h2", {}, title), make("p", {}, ...passages.map((passage) => {
        const span = make("span", { class: "passage" }, passage.text);
        if (passage.statements.length) {
          span.dataset.statements = passage.statements.join(" ");
          span.tabIndex = 0;
          span.addEventListener("click", () => light(passage.statements[0]));
        }
        return span;
      })));
    }
  }
  parts.push(make("h2", {}, "Statements"), ...open.statements.map(statement));
  parts.push(make("div", { class: "row" },
    make("button", { id: "accept", "aria-pressed": String(made.verdict === "accepted"), title: "a", onclick: () => judge("accepted") }, "Accept draft"),
    make("button", { id: "reject", "aria-pressed": String(made.verdict === "rejected"), title: "r", onclick: () => judge("rejected") }, "Reject draft"),
    make("button", { id: "edit", title: "e", onclick: edit }, edited ? "Back to the draft's text" : "Edit"),
    make("input", { id: "reason", "aria-label": "Reason", placeholder: "Reason", value: made.reason, maxLength: 500,
      oninput: (event) => { made.reason = event.target.value; change(); } })));
  parts.push(make("div", { class: "row" },
    make("select", { id: "form", "aria-label": "Form" }, ...about.forms.map((name) => make("option", { value: name }, name))),
    make("label", {}, make("input", { id: "identified", type: "checkbox" }), " with the patient"),
    make("button", { id: "export", onclick: download }, "Export"),
    make("button", { onclick: () => window.print() }, "Print"),
    make("button", { title: "?", onclick: help }, "Keys")));
  find("report").replaceChildren(...parts);
  link();
}

function statement(one, at) {
  const decision = open.made.decisions.get(at) || {};
  const decide = (verdict) => (event) => {
    event.stopPropagation();
    if (decision.verdict === verdict) open.made.decisions.delete(at);
    else open.made.decisions.set(at, { verdict, reason: decision.reason || "" });
    change();
    report();
  };
  const sure = one.probability === null ? "" : `classifier ${one.probability.toFixed(2)}`;
  const notes = [sure, one.heats.length ? "" : "no map", one.needs_indication ? "only with this indication" : ""].filter(Boolean);
  const row = make("div", { class: `statement ${decision.verdict || ""}`, tabIndex: 0, "data-statement": at, onclick: () => light(at) },
    make("span", { class: `status-${one.status}` }, one.status),
    make("span", { class: "what" }, one.text, make("small", {}, notes.join(" · "))),
    make("span", {},
      make("button", { "aria-label": "Accept statement", "aria-pressed": String(decision.verdict === "accepted"), onclick: decide("accepted") }, "✓"), " ",
      make("button", { "aria-label": "Reject statement", "aria-pressed": String(decision.verdict === "rejected"), onclick: decide("rejected") }, "✗")));
  if (decision.verdict === "rejected") {
    row.append(make("input", { placeholder: "Why", "aria-label": "Why it is rejected", value: decision.reason || "", maxLength: 500,
      onclick: (event) => event.stopPropagation(),
      oninput: (event) => { open.made.decisions.set(at, { verdict: "rejected", reason: event.target.value }); change(); } }));
  }
  return row;
}

function light(at) {
  chosen = chosen === at ? -1 : at;
  link();
  const heat = chosen >= 0 && open.statements[chosen].heats[0];
  if (heat && panes[0] && panes[0].film !== heat.film) stage([[open.about.id, heat.film]]);
  drawHeat();
}
function link() {
  for (const row of document.querySelectorAll(".statement")) row.classList.toggle("linked", Number(row.dataset.statement) === chosen);
  for (const span of document.querySelectorAll(".passage[data-statements]"))
    span.classList.toggle("linked", span.dataset.statements.split(" ").map(Number).includes(chosen));
  document.querySelector(".linked")?.scrollIntoView({ block: "nearest" });
}
function judge(verdict) {
  const { made } = open;
  made.verdict = made.verdict === verdict ? null : verdict;
  change();
  report();
  if (made.verdict === "rejected" && !made.reason) find("reason").focus();
}
function edit() {
  const { made } = open;
  const edited = made.findings !== open.findings || made.impression !== open.impression;
  if (edited) {
    if (!window.confirm("Throw the edited text away?")) return;
    made.findings = open.findings; made.impression = open.impression; made.editing = false;
    change();
  } else { made.editing = !made.editing; }
  report();
  find("findings")?.focus();
}

// ---- keeping

function change() {
  open.made.changed = true;
  clearTimeout(saving);
  saving = setTimeout(save, 800);
}
async function save() {
  clearTimeout(saving);
  if (!open?.made?.changed) return;
  const { made, about } = open;
  made.changed = false;
  const decisions = [...made.decisions].map(([at, one]) => ({ statement: at, verdict: one.verdict, reason: one.reason || "" }));
  try {
    const { revision } = await json(`/v1/studies/${about.id}/review`, {
      method: "PUT", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ revision: made.revision, findings: made.findings, impression: made.impression, decisions, verdict: made.verdict, reason: made.reason }),
    });
    made.revision = revision;
    say("Saved");
    refresh().catch(() => {});
  } catch (error) {
    made.changed = error.status !== 409;
    say(error.status === 409 ? `${error.message}. Open the study again.` : `Not saved: ${error.message}`, true);
  }
}
window.addEventListener("beforeunload", (event) => { if (open?.made?.changed) { save(); event.preventDefault(); } });

async function download() {
  await save();
  const form = find("form").value;
  try {
    const answer = await ask(`/v1/studies/${open.about.id}/report?form=${encodeURIComponent(form)}&identified=${find("identified").checked}`);
    const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") || "")?.[1] || "draft";
    const address = URL.createObjectURL(new Blob([await answer.blob()], { type: "application/octet-stream" }));
    const anchor = make("a", { href: address, download: name });
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  } catch (error) { say(error.message, true); }
}

// ---- films

async function stage(wantedFilms) {
  const stageElement = find("stage");
  panes.length = 0;
  const figures = [];
  for (const [id, film] of wantedFilms) {
    let answer;
    try { answer = await ask(`/v1/studies/${id}/films/${film}`); } catch (error) { say(error.message, true); continue; }
    const rows = Number(answer.headers.get("X-Rows")), columns = Number(answer.headers.get("X-Columns"));
    const values = new Uint16Array(await answer.arrayBuffer());
    const canvas = make("canvas", { width: columns, height: rows });
    const heat = make("canvas", { width: columns, height: rows, class: "heat" });
    const turn = make("div", { class: "turn" }, canvas, heat);
    const mine = id === open.about.id;
    const told = mine ? open.films[film] : null;
    const caption = mine ? `${told.view} view${told.simulated ? " · simulated" : ""}` : "Compared with";
    const figure = make("figure", {}, turn, make("figcaption", {}, caption));
    if (!told || ["PA", "AP", "unknown"].includes(told.view)) figure.append(make("span", { class: "side r" }, "R"), make("span", { class: "side l" }, "L"));
    figures.push(figure);
    panes.push({ id, film, rows, columns, values, canvas, heat, turn });
  }
  stageElement.replaceChildren(...figures);
  draw();
}

function draw() {
  const table = new Uint8ClampedArray(65536);
  const span = Math.max(1, view.high - view.low);
  for (let value = 0; value < 65536; value++) {
    const grey = (255 * (value - view.low)) / span;
    table[value] = view.invert ? 255 - Math.min(255, Math.max(0, grey)) : grey;
  }
  for (const pane of panes) {
    const context = pane.canvas.getContext("2d");
    const picture = context.createImageData(pane.columns, pane.rows);
    const cells = new Uint32Array(picture.data.buffer);
    for (let at = 0; at < pane.values.length; at++) {
      const grey = table[pane.values[at]];
      cells[at] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
    }
    context.putImageData(picture, 0, 0);
  }
  place();
  drawHeat();
}
function place() {
  for (const pane of panes) pane.turn.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
  const centre = Math.round((view.low + view.high) / 2 / 655.35), width = Math.round((view.high - view.low) / 655.35);
  find("window").textContent = `window ${width} %, level ${centre} %, zoom ${view.zoom.toFixed(1)}`;
}
function drawHeat() {
  for (const pane of panes) {
    const context = pane.heat.getContext("2d");
    context.clearRect(0, 0, pane.columns, pane.rows);
    if (!view.heat || chosen < 0 || pane.id !== open.about.id) continue;
    const heat = open.statements[chosen].heats.find((one) => one.film === pane.film);
    if (!heat) continue;
    const small = make("canvas", { width: heat.rows[0].length, height: heat.rows.length });
    const picture = small.getContext("2d").createImageData(small.width, small.height);
    heat.rows.flat().forEach((weight, at) => {
      picture.data.set([255, Math.round(200 - 150 * weight), 40, Math.round(150 * weight * weight * (3 - 2 * weight))], 4 * at);
    });
    small.getContext("2d").putImageData(picture, 0, 0);
    context.imageSmoothingQuality = "high";
    context.drawImage(small, 0, 0, pane.columns, pane.rows);
  }
}
function reset() { Object.assign(view, { low: 0, high: 65535, zoom: 1, x: 0, y: 0, invert: false }); }
const tools = {
  invert: () => { view.invert = !view.invert; draw(); },
  "zoom-in": () => { view.zoom = Math.min(12, view.zoom * 1.25); place(); },
  "zoom-out": () => { view.zoom = Math.max(0.5, view.zoom / 1.25); place(); },
  reset: () => { reset(); draw(); },
  heat: () => { view.heat = !view.heat; document.querySelector("[data-do=heat]").setAttribute("aria-pressed", String(view.heat)); drawHeat(); },
};
for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", tools[button.dataset.do]);
function windowBy(level, width) {
  const centre = (view.low + view.high) / 2 + level, half = Math.max(300, (view.high - view.low) / 2 + width);
  view.low = centre - half; view.high = centre + half;
  cancelAnimationFrame(windowBy.frame);
  windowBy.frame = requestAnimationFrame(draw);
}
const stageElement = find("stage");
stageElement.addEventListener("wheel", (event) => { event.preventDefault(); tools[event.deltaY < 0 ? "zoom-in" : "zoom-out"](); }, { passive: false });
stageElement.addEventListener("pointermove", (event) => {
  if (!event.buttons) return;
  if (event.shiftKey || event.buttons === 4) { view.x += event.movementX; view.y += event.movementY; place(); }
  else windowBy(-event.movementY * 120, event.movementX * 120);
});
stageElement.addEventListener("contextmenu", (event) => event.preventDefault());
find("films").addEventListener("change", (event) => stage([[open.about.id, Number(event.target.value)]]));
find("prior").addEventListener("change", (event) => {
  const current = [open.about.id, Number(find("films").value || 0)];
  stage(event.target.value ? [current, [event.target.value, 0]] : [current]);
});

// ---- keys

const keys = {
  j: ["next study", () => step(1)], k: ["study before", () => step(-1)],
  n: ["next statement", () => { if (open?.statements) light((chosen + 1) % open.statements.length); }],
  a: ["accept the draft", () => judge("accepted")], r: ["reject the draft", () => judge("rejected")],
  e: ["edit", edit], x: ["reject the lit statement", () => mark("rejected")], y: ["accept the lit statement", () => mark("accepted")],
  i: ["invert", tools.invert], h: ["map on or off", tools.heat], c: ["compare with a prior", compare],
  "+": ["zoom in", tools["zoom-in"]], "-": ["zoom out", tools["zoom-out"]], 0: ["reset", tools.reset],
  ArrowUp: ["brighter", () => windowBy(-1500, 0)], ArrowDown: ["darker", () => windowBy(1500, 0)],
  ArrowLeft: ["more contrast", () => windowBy(0, -1500)], ArrowRight: ["less contrast", () => windowBy(0, 1500)],
  "?": ["these keys", help],
};
function step(by) {
  const shown = wanted();
  const next = shown[shown.findIndex((study) => study.id === open?.about.id) + by];
  if (next) show(next.id);
}
function mark(verdict) {
  if (chosen < 0) return;
  open.made.decisions.set(chosen, { verdict, reason: open.made.decisions.get(chosen)?.reason || "" });
  change();
  report();
}
function compare() {
  const select = find("prior");
  select.selectedIndex = select.selectedIndex > 0 ? 0 : Math.min(1, select.options.length - 1);
  select.dispatchEvent(new Event("change"));
}
function help() {
  find("help").replaceChildren(make("table", {}, ...Object.entries(keys).map(([key, [what]]) => make("tr", {}, make("td", {}, make("kbd", {}, key)), make("td", {}, what)))),
    make("p", { class: "meta" }, "Drag: window and level. Shift and drag: move. Wheel: zoom."),
    make("button", { onclick: () => find("help").close() }, "Close"));
  find("help").showModal();
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || find("room").hidden || find("help").open) return;
  if (["TEXTAREA", "SELECT"].includes(event.target.tagName) || (event.target.tagName === "INPUT" && event.target.type !== "checkbox")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "Enter" && event.target.matches(".statement, .passage")) return event.target.click();
  const key = keys[event.key];
  if (key && open?.about.state === "done") { event.preventDefault(); key[1](); }
  else if (["j", "k", "?"].includes(event.key)) key[1]();
});

begin();
