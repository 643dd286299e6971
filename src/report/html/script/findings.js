// The table of findings, with search, sorting and paging.

const PART = 100;
const rules = new Map(data.rules.map((rule) => [rule.place, rule]));
const rows = data.findings.map(([position, label, size, format, rule, severity, message, fix]) => ({
  position,
  label,
  size,
  format,
  severity,
  rule: rules.get(rule),
  message: data.texts[message],
  fix: fix === null ? null : data.texts[fix],
  searched: `${label}\n${data.texts[message]}`.toLowerCase(),
}));

const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const COLUMNS = [
  { label: "Rule", compare: (a, b) => order(a.rule.code, b.rule.code) },
  { label: "Asset", compare: (a, b) => order(a.label, b.label) },
  { label: "Format", compare: (a, b) => order(a.format, b.format) },
  { label: "Size", compare: (a, b) => a.size - b.size, isNumber: true },
  {
    label: "Entry",
    compare: (a, b) => a.position - b.position,
    isNumber: true,
    hint: "position in the listing",
  },
];
const ENTRY = COLUMNS.length - 1;

let sorting = { column: ENTRY, isDescending: false };
let limit = PART;

function matching() {
  const words = byId("search")
    .value.toLowerCase()
    .split(/\s+/)
    .filter((word) => word);
  const rule = byId("rule").value;
  const folder = byId("folder").value;
  const found = rows.filter(
    (row) =>
      (rule === "" || row.rule.place === +rule) &&
      row.label.startsWith(folder) &&
      words.every((word) => row.searched.includes(word)),
  );
  const { compare } = COLUMNS[sorting.column];
  const direction = sorting.isDescending ? -1 : 1;
  return found.sort((a, b) => direction * compare(a, b) || a.position - b.position);
}

/** A command, with a button to copy it. Advice in prose, which starts with a capital letter, is shown as text. */
function fixOf({ fix, label }) {
  if (/^[A-Z]/.test(fix)) return el("p", `${fix}.`);
  // Break lines only between words: a break after a hyphen would look like a space.
  const words = fix.split(" ").flatMap((word, index) => [index > 0 ? " " : null, el("span", word)]);
  const command = el("code", words);
  const copied = button(".quiet", () => copy(command), "Copy");
  copied.setAttribute("aria-label", `Copy the fix for ${label}`);
  return el("div.fix", command, copied);
}

function findingRow(row) {
  return el(
    "tr",
    el("td", el("span.code", row.rule.code), severityTag(row.severity)),
    el("td.asset", name(row.label, ".mono"), el("p", row.message), row.fix && fixOf(row)),
    el("td", row.format),
    el("td.count", bytes(row.size)),
    el("td.count", number(row.position)),
  );
}

function headCell({ label, isNumber, hint }, column) {
  const isSorted = sorting.column === column;
  const sort = () => {
    sorting = { column, isDescending: isSorted && !sorting.isDescending };
    drawFindings();
    byId("finding-table").querySelectorAll("thead button")[column].focus();
  };
  const [state, arrow] = !isSorted
    ? ["none", "↕"]
    : sorting.isDescending
      ? ["descending", "↓"]
      : ["ascending", "↑"];
  const head = button(".sort", sort, label, el("span.arrow", { "aria-hidden": "true" }, arrow));
  if (hint) head.title = hint;
  return el(isNumber ? "th.count" : "th", { scope: "col", "aria-sort": state }, head);
}

function drawFindings() {
  const found = matching();
  const shown = found.slice(0, limit);
  byId("finding-table").replaceChildren(
    el("caption.hidden", "Findings with their fixes"),
    el("thead", el("tr", ...COLUMNS.map(headCell))),
    el("tbody", ...shown.map(findingRow)),
  );
  const part = found.length > shown.length ? `the first ${number(shown.length)} of ` : "";
  byId("found").textContent = found.length
    ? `Showing ${part}${counted(found.length, "finding", "findings")}.`
    : "No matching findings.";
  byId("more").hidden = found.length === shown.length;
}

/** Shows only the findings of a rule or in a folder. */
function showFindings({ rule = "", folder = "" }) {
  byId("search").value = "";
  byId("rule").value = rule;
  byId("folder").value = folder;
  filter();
  byId("findings").scrollIntoView();
  byId("search").focus({ preventScroll: true });
}

function filter() {
  limit = PART;
  drawFindings();
}

byId("rule").append(
  el("option", { value: "" }, "all rules"),
  ...data.rules.map((rule) => el("option", { value: rule.place }, `${rule.code} ${rule.name}`)),
);
for (const id of ["search", "rule", "folder"]) byId(id).addEventListener("input", filter);
byId("clear").addEventListener("click", () => showFindings({}));
byId("more").addEventListener("click", () => {
  const next = limit;
  limit += PART;
  drawFindings();
  byId("finding-table").querySelectorAll("tbody tr")[next]?.querySelector("button")?.focus();
});

const cut = data.rules
  .filter((rule) => rule.shown < rule.count)
  .map((rule) => `${number(rule.shown)} of ${number(rule.count)} for ${rule.code}`);
const lead =
  cut.length > 0
    ? `Only the first findings in listing order: ${cut.join(", ")}. To get all: presync report PLAN --format jsonl.`
    : rows.length > 0
      ? `All ${counted(rows.length, "finding", "findings")}.`
      : "No findings.";
byId("findings-lead").textContent = lead;
drawFindings();

// Open everything for printing.
addEventListener("beforeprint", () =>
  document.querySelectorAll("details").forEach((details) => {
    details.removeAttribute("name");
    details.open = true;
  }),
);
