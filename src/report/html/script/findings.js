// The table of findings, with search, sorting and paging.

const PART = 100;
const rules = new Map(data.rules.map((rule) => [rule.place, rule]));
const rows = data.findings.map((row) => {
  const [position, real, shown, size, format, verdict, rule, severity, synced, text, advice, thumbnail] = row;
  const label = shown ?? real;
  const message = data.texts[text];
  return {
    position,
    real,
    label,
    size,
    format,
    verdict,
    severity,
    synced,
    thumbnail,
    rule: rules.get(rule),
    message,
    fix: advice === null ? null : withNames(data.texts[advice], real),
    searched: `${label}\n${message}`.toLowerCase(),
  };
});

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

// The controls that narrow the table, by their names in the page's address.
const FILTERS = { q: "search", rule: "rule", severity: "severity", verdict: "outcome", folder: "folder" };

function matching() {
  const of = (name) => byId(FILTERS[name]).value;
  const words = of("q")
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word);
  const [rule, severity, verdict, folder] = ["rule", "severity", "verdict", "folder"].map(of);
  const found = rows.filter(
    (row) =>
      (rule === "" || row.rule.code === rule) &&
      (severity === "" || row.severity === severity) &&
      (verdict === "" || VERDICTS[row.verdict].word === verdict) &&
      row.label.startsWith(folder) &&
      words.every((word) => row.searched.includes(word)),
  );
  const { compare } = COLUMNS[sorting.column];
  const direction = sorting.isDescending ? -1 : 1;
  return found.sort((a, b) => direction * compare(a, b) || a.position - b.position);
}

/** The part of the page's address that keeps the filter. */
function fragment() {
  const filters = Object.entries(FILTERS).map(([name, id]) => [name, byId(id).value]);
  const query = new URLSearchParams(filters.filter(([, value]) => value !== ""));
  return query.size > 0 ? `#findings?${query}` : "#findings";
}

/** Filters as the page's address says. */
function followAddress() {
  const [place, query] = location.hash.split("?");
  if (place !== "#findings" || query === undefined) return;
  const wanted = new URLSearchParams(query);
  for (const [name, id] of Object.entries(FILTERS)) byId(id).value = wanted.get(name) ?? "";
  // A value that a list does not have would select nothing.
  for (const list of document.querySelectorAll("#findings select")) if (list.selectedIndex < 0) list.value = "";
  limit = PART;
  drawFindings();
  byId("findings").scrollIntoView({ behavior: "instant" });
}

/** A command, with a button to copy it. Advice in prose, which starts with a capital letter, is shown as text. */
function fixOf({ fix, label }) {
  if (/^[A-Z]/.test(fix)) return el("p", `${fix}.`);
  // Break lines only between words: a break after a hyphen would look like a space.
  const words = fix.split(" ").flatMap((word, index) => [index > 0 ? " " : null, el("span", word)]);
  const command = el("code", words);
  const copied = button(".quiet", () => copy(fix, command), "Copy");
  copied.setAttribute("aria-label", `Copy the fix for ${label}`);
  return el("div.fix", command, copied);
}

/** The picture that the image's own header has. */
function preview({ thumbnail, label }) {
  if (thumbnail === null) return null;
  const src = `data:image/jpeg;base64,${data.thumbnails[thumbnail]}`;
  return el("img.preview", { src, alt: `Preview in the header of ${label}, as it is stored`, decoding: "async" });
}

/** What a sync of the asset does. */
function syncOf({ synced }) {
  if (synced === null) return null;
  const [state, images, frames] = synced;
  const uses = [images > 0 && counted(images, "image", "images"), frames > 0 && counted(frames, "frame", "frames")];
  return el("p", `On the platform: ${state}; a sync uses ${uses.filter((use) => use).join(", ") || "nothing"}.`);
}

function findingRow(row) {
  const { key } = VERDICTS[row.verdict];
  return el(
    "tr",
    el("td", el("span.code", row.rule.code), severityTag(row.severity)),
    el(
      "td.asset",
      preview(row),
      name(row.label, ".mono"),
      el("p", row.message),
      row.severity === "warning" ? el("p", `The asset is ${key}.`) : null,
      syncOf(row),
      row.fix && fixOf(row),
    ),
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
  for (const id of ["copy-names", "save-names"]) byId(id).disabled = found.length === 0;
}

/** Shows only the findings of a rule or in a folder. */
function showFindings(wanted) {
  for (const [name, id] of Object.entries(FILTERS)) byId(id).value = wanted[name] ?? "";
  filter();
  byId("findings").scrollIntoView();
  byId("search").focus({ preventScroll: true });
}

function filter() {
  limit = PART;
  drawFindings();
  history.replaceState(null, "", fragment());
}

function choices(id, all, options) {
  byId(id).append(el("option", { value: "" }, all), ...options.map(([value, label]) => el("option", { value }, label)));
}
choices("rule", "all rules", data.rules.map((rule) => [rule.code, `${rule.code} ${rule.name}`]));
choices("severity", "all", [["error", "rejects"], ["unknown", "not judged"], ["warning", "warns"]]);
choices("outcome", "all", [ACCEPTED, REJECTED, UNKNOWN].map((verdict) => [VERDICTS[verdict].word, VERDICTS[verdict].key]));
for (const id of Object.values(FILTERS)) byId(id).addEventListener("input", filter);
byId("clear").addEventListener("click", () => showFindings({}));
byId("copy-link").addEventListener("click", () => copy(new URL(fragment(), location.href).href));
byId("copy-names").addEventListener("click", () => copy(csv(matching())));
byId("save-names").addEventListener("click", () => download(csv(matching()), "presync-names.csv"));
addEventListener("hashchange", followAddress);
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
const commands = rows.some((row) => row.fix && !/^[A-Z]/.test(row.fix));
byId("findings-lead").textContent = commands ? `${lead} Run the commands where the files are.` : lead;
drawFindings();
followAddress();

// Open everything for printing.
addEventListener("beforeprint", () =>
  document.querySelectorAll("details").forEach((details) => {
    details.removeAttribute("name");
    details.open = true;
  }),
);
