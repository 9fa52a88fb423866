// The state of the filters, kept after the # of the address, so that a view can be sent to somebody.

const DISAGREEMENTS = {
  "": "all",
  lost: "reference right, format wrong",
  won: "reference wrong, format right",
  either: "either",
};
const ADDRESS = ["item", "of", "by", "reply", "variant"];
// Of an opened reply: the id of its item, its task and backbone, its condition, and its prompt, seed and sample.
const READINGS = { strict: "strict", marked: "marked", latent: "latent" };

function readState(study) {
  const given = new URLSearchParams(location.hash.slice(1));
  const known = (name, allowed) => (allowed.includes(given.get(name)) ? given.get(name) : "");
  return {
    backbone: known("backbone", study.names.backbone),
    task: known("task", study.names.task),
    hidden: new Set((given.get("hide") ?? "").split(",").filter((name) => study.names.condition.includes(name))),
    verdicts: new Set((given.get("verdict") ?? "").split(",").filter(Boolean)),
    disagreement: known("disagreement", Object.keys(DISAGREEMENTS)),
    reading: known("reading", Object.keys(READINGS)) || "strict",
    search: given.get("search") ?? "",
    opened: given.has("item") ? Object.fromEntries(ADDRESS.map((name) => [name, given.get(name) ?? ""])) : null,
  };
}

function writeState(state) {
  const told = new URLSearchParams();
  const lists = { hide: [...state.hidden].join(), verdict: [...state.verdicts].join() };
  const { backbone, task, disagreement, search } = state;
  const reading = state.reading === "strict" ? "" : state.reading;
  for (const [name, value] of Object.entries({ backbone, task, ...lists, disagreement, reading, search, ...state.opened })) {
    if (value) told.set(name, value);
  }
  history.replaceState(null, "", told.size ? `#${told}` : location.pathname + location.search);
}

function select(label, name, options, state, changed) {
  const box = el("select", { name, onchange: () => { state[name] = box.value; changed(); } });
  for (const [value, text] of options) box.append(el("option", { value, selected: value === state[name] }, text));
  return el("label", {}, label, box);
}

function makeFilters(study, state, changed) {
  const form = document.getElementById("filters");
  const all = (kind) => [["", "all"], ...study.names[kind].map((name) => [name, label(study, kind, name)])];
  const search = el("input", { type: "search", name: "search", value: state.search, placeholder: "item, question or reply" });
  let wait = 0;
  search.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(() => { state.search = search.value; changed(); }, 150);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.replaceChildren(
    ...(study.names.backbone.length > 1 ? [select("Backbone", "backbone", all("backbone"), state, changed)] : []),
    select("Task", "task", all("task"), state, changed),
    conditionMenu(study, state, changed),
    ...(study.names.condition.includes(study.reference)
      ? [select(`Disagreement with ${label(study, "condition", study.reference)}`, "disagreement", Object.entries(DISAGREEMENTS), state, changed)]
      : []),
    select("Reading", "reading", Object.entries(READINGS), state, changed),
    el("label", {}, "Search", search),
    el("button", { type: "button", onclick: () => { location.hash = ""; location.reload(); } }, "Clear"),
  );
}

function conditionMenu(study, state, changed) {
  const summary = el("summary");
  const say = () => { summary.textContent = `${study.order.length - state.hidden.size} of ${study.order.length}`; };
  const boxes = study.order.map((index) => {
    const name = study.names.condition[index];
    const box = el("input", { type: "checkbox", name: `condition-${name}`, checked: !state.hidden.has(name) });
    box.addEventListener("change", () => { state.hidden[box.checked ? "delete" : "add"](name); say(); changed(); });
    return el("label", { title: name }, box, label(study, "condition", name));
  });
  say();
  const details = el("details", {}, summary, el("div", { className: "menu" }, ...boxes));
  details.addEventListener("keydown", (event) => { if (event.key === "Escape") { details.open = false; summary.focus(); } });
  document.addEventListener("click", (event) => { if (!details.contains(event.target)) details.open = false; });
  return el("fieldset", {}, "Conditions", details);
}

// Whether the filters look for this reply.
function matches(study, state, line, row) {
  if (state.verdicts.size && !state.verdicts.has(verdictOf(study, row, state.reading))) return false;
  if (!state.disagreement) return true;
  const partner = partnerOf(study, line, row);
  if (partner === undefined) return false;
  const right = (one) => verdictOf(study, one, state.reading) === "right";
  const lost = right(partner) && !right(row), won = !right(partner) && right(row);
  return { lost, won, either: lost || won }[state.disagreement];
}

// The lines with such a reply, and how many of these there are by verdict.
function filtered(study, state) {
  const shown = study.order.filter((index) => !state.hidden.has(study.names.condition[index]));
  const wanted = state.search.toLowerCase();
  const counts = {};
  let replies = 0;
  const lines = study.lines.filter((line) => {
    if (state.backbone && study.names.backbone[line.backbone] !== state.backbone) return false;
    if (state.task && study.names.task[line.task] !== state.task) return false;
    if (wanted && !found(study, line, wanted)) return false;
    let any = false;
    for (const condition of shown) {
      for (const row of repliesOf(study, line, condition)) {
        if (row === null) continue;
        const verdict = row === "missing" ? "missing" : verdictOf(study, row, state.reading);
        counts[verdict] = (counts[verdict] ?? 0) + 1;
        if (isWanted(study, state, line, row)) { any = true; replies += row !== "missing"; }
      }
    }
    return any;
  });
  return { lines, shown, counts, replies };
}

// Whether a tile stands out; next to a disagreement its reference does too.
function standsOut(study, state, line, row, condition) {
  return isWanted(study, state, line, row) || (state.disagreement && study.names.condition[condition] === study.reference);
}

function isWanted(study, state, line, row) {
  if (row === "missing") return !state.disagreement && (!state.verdicts.size || state.verdicts.has("missing"));
  return matches(study, state, line, row);
}

function found(study, line, wanted) {
  const { items, rows } = study;
  const holds = (text) => text !== null && text.toLowerCase().includes(wanted);
  if (holds(items.id[line.item]) || holds(items.question[line.item]) || holds(items.gold[line.item])) return true;
  return [...line.cells.values()].some((row) => holds(rows.text[row]));
}
