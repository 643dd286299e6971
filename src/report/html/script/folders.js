// The folder tree: an icicle chart that opens level by level, and a table of the contents of the open folder.

// Levels shown below the open folder.
const LEVELS = 4;
// Boxes narrower than this many pixels are merged.
const MIN_BOX = 5;
// Rows of the table.
const MAX_ROWS = 50;

// The (empty) children of the row for files directly in a folder.
const NONE = [];

const folders = data.folders.map(([parent, label, folded, verdicts, rules], index) => ({
  index,
  parent: index === 0 ? null : parent,
  label,
  folded,
  verdicts: [...verdicts],
  rules: new Map(rules),
  children: [],
  depth: 0,
  direct: { verdicts, rules: new Map(rules), children: NONE, label: "" },
}));
for (const folder of folders) {
  if (folder.parent === null) continue;
  folder.parent = folders[folder.parent];
  folder.depth = folder.parent.depth + 1;
  folder.parent.children.push(folder);
}
// Deepest first, so that each folder is complete when it is added to its parent.
for (const folder of [...folders].sort((a, b) => b.depth - a.depth)) {
  if (folder.parent === null) continue;
  folder.verdicts.forEach((count, verdict) => (folder.parent.verdicts[verdict] += count));
  folder.rules.forEach((count, rule) =>
    folder.parent.rules.set(rule, (folder.parent.rules.get(rule) ?? 0) + count),
  );
}

const root = folders[0];
const isSumOfFolders = (folder) => folder.label === null;
const rejected = (folder) => folder.verdicts[REJECTED];
const assets = (folder) => sum(folder.verdicts) - folder.verdicts[SKIPPED];
const smaller = (count) => counted(count, "smaller folder", "smaller folders");
function title(folder) {
  if (folder === root) return "everything";
  return isSumOfFolders(folder) ? smaller(folder.folded) : folder.label || "(no name)";
}
const path = (folder) => (folder === root ? "" : `${path(folder.parent)}${folder.label}/`);

// What the width of a box can show: assets, a verdict, or the findings of a rule.
const REJECTIONS = { label: "rejected", unit: "rejected", count: rejected };
const ACCEPTANCES = { label: "accepted", unit: "accepted", count: (folder) => folder.verdicts[ACCEPTED] };
const MEASURES = [
  { label: "assets", unit: "assets", count: assets },
  ACCEPTANCES,
  REJECTIONS,
  { label: "unknown", unit: "unknown", count: (folder) => folder.verdicts[UNKNOWN] },
  ...data.rules.map(({ code, name, place }) => ({
    label: `${code} ${name}`,
    unit: `with ${code}`,
    count: (folder) => folder.rules.get(place) ?? 0,
  })),
].filter(({ count }) => count(root) > 0);
let measure = MEASURES[0] ?? REJECTIONS;
const weigh = (folder) => measure.count(folder);
// Whether the table needs a column for what is counted.
const isExtra = () => measure !== REJECTIONS && measure !== ACCEPTANCES;
const sorted = (folder) =>
  folder.children
    .filter((child) => weigh(child) > 0)
    .sort((a, b) => isSumOfFolders(a) - isSumOfFolders(b) || weigh(b) - weigh(a));

let opened = root;

function boxes(width) {
  const found = [];
  const place = (folder, left, share, level) => {
    found.push({ folder, left, share, level });
    if (level === LEVELS || isSumOfFolders(folder)) return;
    const total = weigh(folder);
    let [from, small, smallShare] = [left, 0, 0];
    for (const child of sorted(folder)) {
      const part = share * (weigh(child) / total);
      if (part * width < MIN_BOX) {
        small += child.folded || 1;
        smallShare += part;
        continue;
      }
      place(child, from, part, level + 1);
      from += part;
    }
    if (smallShare * width < 1) return;
    found.push({ folder: null, small, left: from, share: smallShare, level: level + 1 });
  };
  if (weigh(opened) > 0) place(opened, 0, 1, 0);
  return found;
}

/** A box that opens its folder, unless it stands for several folders. */
function icicleBox({ folder, small, left, share, level }) {
  const box = folder === null || isSumOfFolders(folder) ? restBox(folder) : folderBox(folder);
  box.title = folder === null ? smaller(small) : `${title(folder)}: ${describe(folder.verdicts)}`;
  sized(box, "--left", `${100 * left}%`);
  sized(box, "--share", `${100 * share}%`);
  return sized(box, "--level", level);
}

const restBox = (folder) => el("span.box.rest", folder && el("span.box-rest", title(folder)));

function folderBox(folder) {
  const weight = number(weigh(folder));
  const of = `${number(rejected(folder))} of ${counted(assets(folder), "asset", "assets")} rejected`;
  const attributes = {
    type: "button",
    tabindex: folder === opened ? "0" : "-1",
    "data-index": folder.index,
    "aria-label": `${title(folder)}: ${weight} ${measure.unit}, ${of}`,
  };
  const box = el(
    "button.box",
    attributes,
    el("span.box-name", name(title(folder))),
    " ",
    el("span.box-count", weight),
  );
  return sized(box, "--rejected", `${(100 * rejected(folder)) / Math.max(assets(folder), 1)}%`);
}

function drawIcicle() {
  const icicle = byId("icicle");
  const placed = boxes(icicle.clientWidth);
  const levels = placed.reduce((deepest, box) => Math.max(deepest, box.level), 0) + 1;
  icicle.replaceChildren(...placed.map(icicleBox));
  sized(icicle, "--levels", levels);
}

function drawCrumbs() {
  const trail = [];
  for (let folder = opened; folder !== null; folder = folder.parent) trail.unshift(folder);
  const crumbs = trail.map((folder) =>
    folder === opened
      ? el("span", { "aria-current": "true" }, name(title(folder)))
      : button(".link", () => open(folder), name(title(folder))),
  );
  byId("crumbs").replaceChildren(el("ol", ...crumbs.map((crumb) => el("li", crumb))));
}

function folderRow(folder, label) {
  const isPlace = !isSumOfFolders(folder) && folder.children !== NONE;
  let findings = null;
  if (isPlace && folder.rules.size > 0) {
    findings = button(".link", () => showFindings({ folder: path(folder) }), "findings");
    findings.setAttribute("aria-label", `Findings in ${title(folder)}`);
  }
  return el(
    "tr",
    el("th", { scope: "row" }, label),
    el("td.bar-cell", stack(folder.verdicts, Math.max(sum(folder.verdicts), 1))),
    isExtra() ? el("td.count", number(weigh(folder))) : null,
    el("td.count", number(ACCEPTANCES.count(folder))),
    el(
      "td.count",
      number(rejected(folder)),
      " ",
      el("span.muted.share", percent(rejected(folder), assets(folder))),
    ),
    el("td.act", findings),
  );
}

function drawTable() {
  const children = sorted(opened);
  const rows = children.slice(0, MAX_ROWS).map((child) => {
    const label =
      isSumOfFolders(child) || child.children.length === 0
        ? name(title(child))
        : button(".link", () => open(child), name(title(child)));
    return folderRow(child, label);
  });
  if (weigh(opened.direct) > 0) rows.push(folderRow(opened.direct, el("span.muted", "files directly in this folder")));
  byId("folder-table").replaceChildren(
    el("caption.hidden", `Contents of ${title(opened)}`),
    el(
      "thead",
      el(
        "tr",
        el("th", { scope: "col" }, "Folder"),
        el("th", { scope: "col" }, "Verdicts"),
        isExtra() ? el("th", { scope: "col", class: "count" }, measure.label) : null,
        el("th", { scope: "col", class: "count" }, "accepted"),
        el("th", { scope: "col", class: "count" }, "rejected"),
        el("th", { scope: "col" }, el("span.hidden", "Findings")),
      ),
    ),
    el("tbody", rows),
  );
  const notes = [];
  const hidden = children.length - MAX_ROWS;
  if (hidden > 0) notes.push(`${counted(hidden, "more folder is", "more folders are")} not in this table.`);
  const folded = sum(folders.map((folder) => folder.folded));
  if (folded > 0)
    notes.push(`In total, ${smaller(folded)} ${folded === 1 ? "is" : "are"} counted in their parent folders.`);
  byId("folder-note").textContent = notes.join(" ");
}

function drawFolders() {
  drawCrumbs();
  drawIcicle();
  drawTable();
}

function open(folder, isFocused = false) {
  opened = folder;
  drawFolders();
  if (isFocused) byId("icicle").querySelector("button")?.focus();
}

/** The nearest box in a direction, by position on the screen. */
function neighbor(box, key) {
  const of = (element) => ({
    element,
    level: +element.style.getPropertyValue("--level"),
    left: parseFloat(element.style.getPropertyValue("--left")),
    share: parseFloat(element.style.getPropertyValue("--share")),
  });
  const here = of(box);
  const all = [...byId("icicle").querySelectorAll("button")].map(of);
  const row = (level) => all.filter((other) => other.level === level);
  const inside = (inner, outer) =>
    inner.left >= outer.left - 1e-6 && inner.left < outer.left + outer.share - 1e-6;
  switch (key) {
    case "ArrowLeft":
      return row(here.level)
        .filter((other) => other.left < here.left)
        .pop();
    case "ArrowRight":
      return row(here.level).find((other) => other.left > here.left);
    case "ArrowDown":
      return row(here.level + 1).find((other) => inside(other, here));
    case "ArrowUp":
      return row(here.level - 1).find((other) => inside(here, other));
    default:
      return undefined;
  }
}

byId("icicle").addEventListener("click", (event) => {
  const box = event.target.closest("button");
  if (!box) return;
  const folder = folders[box.dataset.index];
  open(folder === opened ? (folder.parent ?? root) : folder, true);
});
byId("icicle").addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    open(opened.parent ?? root, true);
    return;
  }
  const next = event.target.matches("button") && neighbor(event.target, event.key);
  if (!next) return;
  event.preventDefault();
  event.target.tabIndex = -1;
  next.element.tabIndex = 0;
  next.element.focus();
});

byId("folder-rule").append(...MEASURES.map(({ label }, index) => el("option", { value: index }, label)));
byId("folder-rule").addEventListener("change", (event) => {
  measure = MEASURES[event.target.value];
  if (weigh(opened) === 0) opened = root;
  drawFolders();
});
// Start below folders that only contain another folder.
const isLink = ({ direct, children }) => sum(direct.verdicts) === 0 && children.length === 1;
while (isLink(opened) && opened.children[0].children.length > 0) [opened] = opened.children;
drawFolders();
// Redraw only if the width has changed, because redrawing loses the focus.
let drawnWidth = byId("icicle").clientWidth;
new ResizeObserver(() => {
  const width = byId("icicle").clientWidth;
  if (width !== drawnWidth) drawIcicle();
  drawnWidth = width;
}).observe(byId("icicle"));
