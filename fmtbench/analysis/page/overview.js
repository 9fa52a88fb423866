// The tables at the top: accuracies and differences with their intervals, as numbers and as whiskers.

const onePlace = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1, useGrouping: false, roundingMode: "halfEven" });
const percent = (value, sign = false) => {
  if (value === null || value === undefined) return "";
  const text = onePlace.format(100 * value).replace("-0.0", "0.0").replace("-", "−");
  return sign && value > 0 && text !== "0.0" ? `+${text}` : text;
};
const interval = (value, low, high, sign = false) =>
  value === null || value === undefined ? "" : `${percent(value, sign)} [${percent(low, sign)}, ${percent(high, sign)}]`;
const probability = (value) => (value === null ? "" : value < 0.001 ? "<0.001" : value.toFixed(3));

// Marks of [class, value, low, high, and low and high of a thin whisker where there is one] on a scale from `from` to `to`; the numbers appear next to it as text.
function plot(from, to, ...marks) {
  const at = (value) => (100 * (value - from)) / (to - from);
  const box = el("div", { className: "plot", ariaHidden: "true" });
  if (from < 0) box.append(placed("zero", at(0)));
  for (const [name, value, low, high, least, most] of marks) {
    if (value === null) continue;
    if (typeof least === "number") box.append(placed("whisker thin", (at(least) + at(most)) / 2, at(most) - at(least)));
    box.append(placed("whisker", (at(low) + at(high)) / 2, at(high) - at(low)), placed(name, at(value)));
  }
  return box;
}

function placed(name, left, width = null) {
  const mark = el("i", { className: name });
  mark.style.left = `${left}%`;
  if (width !== null) mark.style.width = `${width}%`;
  return mark;
}

function shares(study, line) {
  const found = Object.entries(line).filter(([name, value]) => name.startsWith("share_") && value > 0);
  const box = el("div", { className: "shares" });
  const words = [];
  const all = [["right", line.strict_replies], ["wrong", line.wrong_replies], ...found.map(([name, value]) => [name.slice(6), value])];
  for (const [verdict, share] of all.filter(([, share]) => share > 0)) {
    const part = tile(verdict);
    part.style.flex = `${share} 1 0`;
    box.append(part);
    words.push(`${label(study, "status", verdict)} ${Math.round(100 * share)}%`);
  }
  box.title = words.join(", ");
  box.role = "img";
  box.ariaLabel = box.title;
  return box;
}

function showTable(table, columns, lines, empty) {
  const head = el("thead", {}, el("tr", {}, ...columns.map(([name, , kind]) => el("th", { scope: "col", className: kind ?? "" }, name))));
  const body = el("tbody");
  let before = null;
  for (const line of lines) {
    const group = `${line.backbone} ${line.task}`;
    const row = el("tr", { className: `${before !== null && before !== group ? "first" : ""} ${line.absent ? "absent" : ""}` });
    columns.forEach(([, cell, kind], i) => row.append(el(i < 2 ? "th" : "td", { className: kind ?? "", ...(i < 2 ? { scope: "row" } : {}) }, cell(line) ?? "")));
    body.append(row);
    before = group;
  }
  if (!lines.length) body.append(el("tr", {}, el("td", { colSpan: columns.length }, empty)));
  table.replaceChildren(head, body);
}

function showOverview(study, state) {
  const kept = (line) => (!state.backbone || line.backbone === state.backbone) && (!state.task || line.task === state.task) && !state.hidden.has(line.condition);
  const names = [
    ...(study.names.backbone.length > 1 ? [["backbone", (line) => label(study, "backbone", line.backbone)]] : []),
    ["task", (line) => label(study, "task", line.task)],
    ["condition", (line) => label(study, "condition", line.condition)],
  ];
  const contrasts = study.contrasts.filter(kept);
  const reach = Math.max(0.1, Math.ceil(10 * Math.max(0, ...contrasts.flatMap((line) => [-line.low, line.high, -line.general_low, line.general_high]))) / 10);
  showTable(document.getElementById("contrasts"), [
    ...names,
    ["against", (line) => label(study, "condition", line.reference)],
    ["strict", (line) => interval(line.difference, line.low, line.high, true), "number"],
    [`−${percent(reach)} to +${percent(reach)}`.replaceAll(".0", ""), (line) => plot(-reach, reach, ["dot", line.difference, line.low, line.high, line.general_low, line.general_high]), "wide"],
    ["latent", (line) => interval(line.latent_difference, line.latent_low, line.latent_high, true), "number"],
    ["p, adjusted", (line) => probability(line.p_adjusted), "number"],
    ["remarks", (line) => [line.planned ? "planned" : "", line.equivalent ? "equivalent" : "", line.mark].filter(Boolean).join(", "), "remarks"],
  ], contrasts, study.contrasts.length ? "These filters leave no difference." : study.without_contrasts);
  showTable(document.getElementById("accuracy"), [
    ...names,
    ["n", (line) => (line.absent ? "not run" : String(line.n)), "number"],
    ["strict", (line) => interval(line.strict, line.strict_low, line.strict_high), "number"],
    ["0 to 100", (line) => (line.absent ? "" : plot(0, 1, ["dot", line.strict, line.strict_low, line.strict_high], ["diamond", line.latent, line.latent, line.latent])), "wide"],
    ["latent", (line) => interval(line.latent, line.latent_low, line.latent_high), "number"],
    ["replies", (line) => (line.absent ? "" : shares(study, line)), "wide"],
    ["tokens", (line) => (line.absent ? "" : line.tokens.toFixed(0)), "number"],
  ], study.accuracy.filter(kept), "These filters leave no line.");
}
