// The grid of items and conditions. Only the visible lines are in the document, so ten thousand cost no more than fifty.

const LINE = 26, TILE = 20, SMALL = 12, PADDING = 12, BEYOND = 8, MANY = 2;

function makeGrid(study, state, open) {
  const box = document.getElementById("grid");
  const head = el("div", { className: "head", role: "row", ariaRowIndex: "1" });
  const space = el("div", { className: "space", role: "rowgroup" });
  box.replaceChildren(head, space);
  const grid = { lines: [], shown: [], active: [0, 0] };

  const small = (condition) => (study.variants[condition].length > MANY ? "small" : "");
  const width = (condition) => PADDING + Math.max(1, study.variants[condition].length) * ((small(condition) ? SMALL : TILE) + 1);

  function cellOf(line, condition, at) {
    const replies = repliesOf(study, line, condition);
    const verdicts = replies.map((row) => (row === null ? null : row === "missing" ? "missing" : verdictOf(study, row, state.reading)));
    const words = verdicts.filter(Boolean).map((verdict) => label(study, "status", verdict)).join(", ") || "not asked";
    const said = `${label(study, "condition", study.names.condition[condition])}: ${words}`;
    const cell = el("div", { className: "cell", role: "gridcell", id: `cell-${at[0]}-${at[1]}`, ariaLabel: said, title: said, ariaColIndex: String(at[1] + 2) });
    cell.style.width = `${width(condition)}px`;
    replies.forEach((row, i) => {
      if (row === null) { cell.append(el("span", { className: `gap ${small(condition)}` })); return; }
      const one = tile(verdicts[i], `${small(condition)} ${standsOut(study, state, line, row, condition) ? "" : "dim"}`);
      if (row !== "missing") one.dataset.row = row;
      cell.append(one);
    });
    if (grid.active[0] === at[0] && grid.active[1] === at[1]) cell.classList.add("active");
    return cell;
  }

  function lineOf(index) {
    const line = grid.lines[index];
    const name = lineName(study, line);
    const node = el("div", { className: "line", role: "row", ariaRowIndex: String(index + 2) }, el("div", { className: "name", role: "rowheader", title: name }, cut(name)));
    node.style.top = `${index * LINE}px`;
    grid.shown.forEach((condition, column) => node.append(cellOf(line, condition, [index, column])));
    return node;
  }

  function draw() {
    const first = Math.max(0, Math.floor((box.scrollTop - head.offsetHeight) / LINE) - BEYOND);
    const last = Math.min(grid.lines.length, Math.ceil((box.scrollTop + box.clientHeight) / LINE) + BEYOND);
    const lines = [];
    for (let index = first; index < last; index++) lines.push(lineOf(index));
    space.replaceChildren(...lines);
    if (grid.lines.length) box.setAttribute("aria-activedescendant", `cell-${grid.active.join("-")}`);
    else box.removeAttribute("aria-activedescendant");
  }

  function show({ lines, shown }) {
    Object.assign(grid, { lines, shown, active: [0, 0] });
    head.replaceChildren(el("div", { className: "name", role: "columnheader" }, "item"));
    for (const condition of shown) {
      const name = study.names.condition[condition];
      const cell = el("div", { className: "cell", role: "columnheader", title: name }, el("span", {}, label(study, "condition", name)));
      cell.style.width = `${width(condition)}px`;
      head.append(cell);
    }
    space.style.height = `${lines.length * LINE}px`;
    box.style.minHeight = `${Math.min(lines.length, 6) * LINE + head.offsetHeight}px`;
    box.ariaRowCount = String(lines.length + 1);
    box.ariaColCount = String(shown.length + 1);
    box.scrollTop = 0;
    draw();
  }

  function move(down, right) {
    const limit = (value, most) => Math.max(0, Math.min(most - 1, value));
    grid.active = [limit(grid.active[0] + down, grid.lines.length), limit(grid.active[1] + right, grid.shown.length)];
    const top = grid.active[0] * LINE;
    const visible = box.clientHeight - head.offsetHeight - LINE;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top > box.scrollTop + visible) box.scrollTop = top - visible;
    draw();
    document.getElementById(`cell-${grid.active.join("-")}`)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  function openAt(index, column, row) {
    const line = grid.lines[index];
    const replies = line ? repliesOf(study, line, grid.shown[column]).filter((one) => typeof one === "number") : [];
    const wanted = replies.find((one) => isWanted(study, state, line, one)) ?? replies[0] ?? [...(line?.cells.values() ?? [])][0];
    if (line) open(grid, index, row ?? wanted);
  }

  let waiting = false;
  box.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  });
  box.addEventListener("click", (event) => {
    const cell = event.target.closest("[role=gridcell]");
    if (!cell) return;
    grid.active = cell.id.split("-").slice(1).map(Number);
    draw();
    const row = event.target.dataset.row;
    openAt(...grid.active, row === undefined ? undefined : Number(row));
  });
  box.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(box.clientHeight / LINE) - 3);
    const far = event.ctrlKey ? grid.lines.length : 0;
    const steps = {
      ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1], PageDown: [page, 0], PageUp: [-page, 0],
      Home: [-far, -grid.shown.length], End: [far, grid.shown.length],
    };
    if (event.key === "Enter" || event.key === " ") openAt(...grid.active);
    else if (steps[event.key]) move(...steps[event.key]);
    else return;
    event.preventDefault();
  });
  new ResizeObserver(draw).observe(box);
  return Object.assign(grid, { show, draw });
}
