// Unpacks the data: rows as columns, with names as numbers. No network, and no HTML made of data.

async function unpack() {
  const packed = document.getElementById("data").textContent;
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

// An element; strings become text nodes, so that no reply of a model can be read as HTML.
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && name !== "role") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const MARKS = {
  right: "✓", wrong: "✗", no_answer: "?", another_mark: "A", no_mark: "N", schema_violation: "S", missing_trigger: "M",
  premature_trigger: "P", truncated: "T", loop: "L", refused: "R", engine_error: "E", missing: "·",
};

function markOf(verdict) {
  return MARKS[verdict] ?? verdict.slice(0, 1).toUpperCase();
}

function tile(verdict, extra = "") {
  return el("span", { className: `tile ${verdict} ${extra}`, ariaHidden: "true" }, markOf(verdict));
}

// How a reply ends: right, wrong, or the status that keeps it from being judged.
function verdictOf(study, row, reading) {
  const { rows, names } = study;
  const right = { strict: rows.correct, marked: rows.marked_correct, latent: rows.latent_correct }[reading][row];
  if (right) return "right";
  const status = names.status[rows.status[row]];
  return status === "ok" ? "wrong" : status;
}

// The lines of the grid: for each backbone and item, the replies of each condition by variant (prompt, seed, sample).
function arrange(study) {
  const { rows, items } = study;
  const lines = new Map();
  const variants = study.names.condition.map(() => new Map());
  for (let row = 0; row < rows.item.length; row++) {
    const key = `${rows.backbone[row]} ${rows.item[row]}`;
    if (!lines.has(key)) {
      lines.set(key, { backbone: rows.backbone[row], item: rows.item[row], task: items.task[rows.item[row]], seeds: new Set(), cells: new Map() });
    }
    const line = lines.get(key);
    const variant = variantOf(study, row);
    line.seeds.add(rows.seed[row]);
    line.cells.set(`${rows.condition[row]} ${variant}`, row);
    variants[rows.condition[row]].set(variant, rows.seed[row]);
  }
  const order = new Intl.Collator("en", { numeric: true }).compare;
  study.several = {};
  study.lines = [...lines.values()].sort((a, b) => a.backbone - b.backbone || a.task - b.task || order(items.id[a.item], items.id[b.item]));
  study.variants = variants.map((found) => [...found].sort(([a], [b]) => order(a, b)));
}

// What people call a backbone, task, condition or status; its id where it has no name.
function label(study, kind, id) {
  return study.labels[kind]?.[id] ?? (kind === "status" ? id.replaceAll("_", " ") : id);
}

// A text that may be too long for its place: the style cuts it at the front, since ids differ at their ends.
function cut(text) {
  return el("bdi", {}, text);
}

function lineName(study, line) {
  const id = study.items.id[line.item], task = study.names.task[line.task];
  const parts = study.names.backbone.length > 1 ? [label(study, "backbone", study.names.backbone[line.backbone])] : [];
  if (study.names.task.length > 1 && !id.startsWith(task)) parts.push(label(study, "task", task));
  return [...parts, id].join(" · ");
}

function variantOf(study, row) {
  const { rows, names } = study;
  return `${names.prompt[rows.prompt[row]]} seed ${rows.seed[row]} sample ${rows.sample[row]}`;
}

// The variant in words, less what all replies share.
function variantName(study, row) {
  const { rows, names } = study;
  const several = (column) => (study.several[column] ??= new Set(rows[column]).size > 1);
  const parts = [
    several("prompt") ? names.prompt[rows.prompt[row]] : "",
    several("seed") ? `seed ${rows.seed[row]}` : "",
    several("sample") ? `sample ${rows.sample[row]}` : "",
  ];
  return parts.filter(Boolean).join(", ");
}

// The messages that were sent for a reply, with the question of its item in its place; null where these results do not hold them.
function promptOf(study, row) {
  const pieces = study.asked[study.rows.asked?.[row] ?? -1];
  return pieces ? pieces.join(study.items.question[study.rows.item[row]] ?? "") : null;
}

// One entry for each tile: a row, "missing" where a reply should be, or null where the seed never drew this item.
function repliesOf(study, line, condition) {
  return study.variants[condition].map(([variant, seed]) => {
    const row = line.cells.get(`${condition} ${variant}`);
    return row ?? (line.seeds.has(seed) ? "missing" : null);
  });
}

// The reply of the reference that a reply is compared with: the same variant, or else its first sample.
function partnerOf(study, line, row) {
  const reference = study.names.condition.indexOf(study.reference);
  const variant = variantOf(study, row);
  return line.cells.get(`${reference} ${variant}`) ?? line.cells.get(`${reference} ${variant.replace(/\d+$/, "0")}`);
}
