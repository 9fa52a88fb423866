// An opened item: its question, and two replies side by side with the differing words marked.

function openItem(study, state, grid, index, row, line = grid.lines[index]) {
  const dialog = document.getElementById("detail");
  const sides = { left: partnerOf(study, line, row) ?? row, right: row, marked: true, prompt: false, thought: false };
  const render = () => {
    state.opened = addressOf(study, line, sides.right);
    writeState(state);
    keepFocus(dialog, () => dialog.replaceChildren(...detailParts(study, state, line, sides, render, step, dialog)));
  };
  const step = (by) => {
    const next = grid.lines[index + by];
    if (!next) return;
    const wanted = study.rows.condition[sides.right];
    const replies = [wanted, ...grid.shown].flatMap((condition) => repliesOf(study, next, condition)).filter((one) => typeof one === "number");
    if (replies.length) openItem(study, state, grid, index + by, replies[0]);
  };
  dialog.onkeydown = (event) => {
    if (event.target.matches("select") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "n") step(1);
    if (event.key === "p") step(-1);
  };
  dialog.onclose = () => { state.opened = null; writeState(state); };
  render();
  if (!dialog.open) {
    dialog.showModal();
    dialog.focus();
  }
  dialog.scrollTop = 0;
}

function addressOf(study, line, row) {
  const { names, items, rows } = study;
  return {
    item: items.id[line.item], of: names.task[line.task], by: names.backbone[line.backbone],
    reply: names.condition[rows.condition[row]], variant: variantOf(study, row),
  };
}

// Opens the reply that the address of the page names, also where the filters hide its item.
function openAddress(study, state, grid) {
  const { names, items } = study;
  const wanted = state.opened;
  const line = study.lines.find((one) =>
    items.id[one.item] === wanted.item && names.task[one.task] === wanted.of && names.backbone[one.backbone] === wanted.by);
  const row = line?.cells.get(`${names.condition.indexOf(wanted.reply)} ${wanted.variant}`) ?? [...(line?.cells.values() ?? [])][0];
  if (row === undefined) notice(`The address of this page names an item that is not here: ${wanted.of}, ${wanted.item}.`);
  else openItem(study, state, grid, grid.lines.indexOf(line), row, line);
}

// Gives the focus back to the element that replaces the focused one, or else to the dialog, so that its keys keep working.
function keepFocus(dialog, render) {
  const key = document.activeElement?.dataset?.key;
  render();
  if (dialog.open) ([...dialog.querySelectorAll("[data-key]")].find((node) => node.dataset.key === key) ?? dialog).focus();
}

function keyed(key, node) {
  node.dataset.key = key;
  return node;
}

function detailParts(study, state, line, sides, render, step, dialog) {
  const { items, names } = study;
  const close = el("button", { type: "button", onclick: () => dialog.close() }, "Close (Esc)");
  const mark = keyed("mark", el("input", { type: "checkbox", checked: sides.marked, onchange: () => { sides.marked = mark.checked; render(); } }));
  const [left, right] = compare(study.rows.text[sides.left] ?? "", study.rows.text[sides.right] ?? "");
  return [
    el("div", { className: "bar" },
      el("h2", { id: "detail-title", title: items.id[line.item] }, cut(`${label(study, "task", names.task[line.task])}: ${items.id[line.item]}`)),
      el("a", { href: location.hash, title: "The address of this reply: copy it, or send it with the file" }, "Link"),
      el("label", {}, mark, " mark differences"),
      keyed("previous", el("button", { type: "button", onclick: () => step(-1) }, "Previous (p)")),
      keyed("next", el("button", { type: "button", onclick: () => step(1) }, "Next (n)")),
      close),
    el("div", { className: "body" },
      el("p", {}, el("strong", {}, "Gold: "), items.gold[line.item], study.names.backbone.length > 1 ? ` · ${label(study, "backbone", names.backbone[line.backbone])}` : ""),
      el("p", { className: "text question", tabIndex: 0 }, items.question[line.item] || "(The question belongs to its data set, and is not kept here.)"),
      study.asked.length ? null : el("p", { className: "quiet" }, "These results do not hold the prompts."),
      allReplies(study, state, line, sides, render),
      el("div", { className: "sides" },
        side(study, state, line, sides, "left", left, render),
        side(study, state, line, sides, "right", right, render))),
  ];
}

// Every reply to this item as a button that puts it on the right.
function allReplies(study, state, line, sides, render) {
  const rows = study.order.flatMap((condition) => repliesOf(study, line, condition)).filter((row) => typeof row === "number");
  return el("div", { className: "all", role: "group", ariaLabel: "Replies to this item; choose one to compare" }, ...rows.map((row, i) => keyed(`reply-${i}`,
    el("button", { type: "button", ariaPressed: String(row === sides.right), title: nameOf(study, row), onclick: () => { sides.right = row; render(); } },
      tile(verdictOf(study, row, state.reading)), el("span", {}, cut(nameOf(study, row)))))));
}

function nameOf(study, row) {
  const condition = study.rows.condition[row];
  const name = label(study, "condition", study.names.condition[condition]);
  const variant = study.variants[condition].length > 1 ? variantName(study, row) : "";
  return variant ? `${name}, ${variant}` : name;
}

function side(study, state, line, sides, which, pieces, render) {
  const { rows } = study;
  const row = sides[which];
  const verdict = verdictOf(study, row, "strict");
  const picker = keyed(which, el("select", { ariaLabel: `Reply on the ${which}`, onchange: () => { sides[which] = Number(picker.value); render(); } }));
  for (const one of [...line.cells.values()].sort((a, b) => study.order.indexOf(rows.condition[a]) - study.order.indexOf(rows.condition[b]) || a - b)) {
    picker.append(el("option", { value: String(one), selected: one === row }, nameOf(study, one)));
  }
  const text = el("p", { className: "text" });
  for (const [piece, differs] of pieces) text.append(differs && sides.marked ? el("mark", {}, piece) : piece);
  if (!pieces.length) text.append(el("em", {}, "(an empty reply)"));
  return el("div", { className: `side side-${which}` },
    picker,
    el("div", { className: "facts" },
      tile(verdict), el("span", {}, label(study, "status", verdict)),
      el("span", {}, `answer: ${rows.answer[row] ?? "none"}`),
      el("span", {}, `marked: ${rows.marked_answer[row] ?? "none"} (${rows.marked_correct[row] ? "right" : "wrong"})`),
      el("span", {}, `latent: ${rows.latent_answer[row] ?? "none"} (${rows.latent_correct[row] ? "right" : "wrong"})`),
      el("span", { className: "quiet" }, `${rows.completion_tokens[row]} tokens, ${rows.seconds[row].toFixed(2)} s, ended by ${rows.finish_reason[row] ?? "?"}`)),
    promptBox(study, sides, row),
    thoughtBox(study, sides, row),
    heat(rows.mass?.[row], rows.token_ends?.[row], rows.text[row], rows.token_parts?.[row]),
    text);
}

// What the model was shown for this reply, folded until somebody asks.
function promptBox(study, sides, row) {
  const prompt = promptOf(study, row);
  if (prompt === null) return null;
  const box = el("details", { className: "prompt", open: sides.prompt, ontoggle: () => { sides.prompt = box.open; } },
    el("summary", {}, "Prompt"), el("p", { className: "text" }, prompt));
  return box;
}

// What the model thought before this reply, folded until somebody asks: no reader sees it.
function thoughtBox(study, sides, row) {
  const { thought, thought_words, thought_tokens } = study.rows;
  if (!thought?.[row] && !thought_tokens?.[row]) return null;
  const told = [[thought_words, "words"], [thought_tokens, "tokens"]].filter(([counts]) => counts?.[row]);
  const box = el("details", { className: "prompt", open: sides.thought, ontoggle: () => { sides.thought = box.open; } },
    el("summary", {}, `Thought, ${told.map(([counts, name]) => `${counts[row]} ${name}`).join(", ")}; no reader sees it`),
    el("p", { className: "text" }, thought?.[row] || "(The server does not show it.)"));
  return box;
}

// One bar for each token: the probability that the constraint removes, 1 - Z. Nothing where no probe ran.
function heat(mass, ends, text, parts) {
  if (!mass?.length) return null;
  const tax = mass.reduce((sum, z) => sum - Math.log(Math.max(z, 1e-12)), 0);
  const label = `Probability removed by the constraint, token by token; tax ${tax.toFixed(2)} nats in total`;
  const strip = el("div", { className: "heat", role: "img", ariaLabel: label });
  const letters = [...(text ?? "")]; // Python counts characters, not UTF-16 units
  mass.forEach((z, i) => {
    const token = ends ? letters.slice(ends[i - 1] ?? 0, ends[i]).join("") : `token ${i + 1}`;
    const bar = el("i", { title: `${token}${parts ? ` (${parts[i]})` : ""}: ${(100 * (1 - z)).toFixed(1)}% removed` });
    bar.style.height = `${Math.max(2, 100 * (1 - z))}%`;
    strip.append(bar);
  });
  return el("div", {}, strip, el("div", { className: "quiet" }, label));
}
