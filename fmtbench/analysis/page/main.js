// Builds the page once its data is unpacked.

function notice(text) {
  document.getElementById("notices").append(el("p", { className: "notice" }, text));
}

function makeTheme() {
  const button = document.getElementById("theme");
  let dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const say = () => { button.textContent = dark ? "Light" : "Dark"; button.ariaPressed = String(dark); };
  button.addEventListener("click", () => {
    dark = !dark;
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    say();
  });
  say();
}

function showLegend(study, state, counts, changed) {
  const names = [...new Set([...Object.keys(MARKS), ...Object.keys(counts)])].filter((name) => counts[name] || state.verdicts.has(name));
  const focused = document.activeElement?.dataset?.verdict;
  const chips = names.map((name) => el("button", {
    type: "button",
    ariaPressed: String(state.verdicts.has(name)),
    onclick: () => { if (!state.verdicts.delete(name)) state.verdicts.add(name); changed(); },
  }, tile(name), `${label(study, "status", name)} ${(counts[name] ?? 0).toLocaleString("en")}`));
  chips.forEach((chip, i) => { chip.dataset.verdict = names[i]; });
  document.getElementById("legend").replaceChildren(...chips);
  chips.find((chip) => chip.dataset.verdict === focused)?.focus();
}

async function start() {
  makeTheme();
  const study = await unpack();
  const total = study.rows.item.length;
  document.getElementById("origin").textContent = `${total.toLocaleString("en")} replies from ${study.runs}, made by ${study.commit}.`;
  study.notes.forEach(notice);
  if (total) showStudy(study, total);
  else notice("There are no rows: the run has not finished a single item yet.");
  document.documentElement.dataset.ready = performance.now().toFixed(0);
}

function showStudy(study, total) {
  document.querySelector("main").hidden = false;
  document.getElementById("finding").textContent = study.finding;
  const reference = study.names.condition.indexOf(study.reference);
  study.order = study.names.condition.map((_, index) => index).sort((a, b) => (b === reference) - (a === reference) || a - b);
  arrange(study);
  const state = readState(study);
  const grid = makeGrid(study, state, (...where) => openItem(study, state, ...where));
  const changed = () => {
    const view = filtered(study, state);
    writeState(state);
    showOverview(study, state);
    showLegend(study, state, view.counts, changed);
    document.getElementById("count").textContent =
      `${view.lines.length.toLocaleString("en")} of ${study.lines.length.toLocaleString("en")} items, ${view.replies.toLocaleString("en")} of ${total.toLocaleString("en")} replies.`;
    grid.show(view);
  };
  makeFilters(study, state, changed);
  changed();
  if (state.opened) openAddress(study, state, grid);
  addEventListener("hashchange", () => { if (location.hash.includes("=")) location.reload(); });
}

start().catch((error) => { document.getElementById("origin").textContent = `This page could not be shown: ${error.message}`; throw error; });
