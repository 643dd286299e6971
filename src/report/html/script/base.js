// What every part of the page uses. Text from outside is put in as text nodes only.

const data = JSON.parse(document.getElementById("data").textContent);

// In the order in which counts by verdict come.
const VERDICTS = [
  { key: "accepted", mark: "✓" },
  { key: "rejected", mark: "✕" },
  { key: "skipped", mark: "–" },
  { key: "unknown", mark: "?" },
];
const [ACCEPTED, REJECTED, SKIPPED, UNKNOWN] = [0, 1, 2, 3];
// The order in which bars show them: what needs attention first.
const BAR_ORDER = [REJECTED, UNKNOWN, ACCEPTED, SKIPPED];
const SEVERITIES = { error: "rejects", unknown: "unknown", warning: "warns" };
const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en-US");
const counted = (value, one, many) => `${number(value)} ${value === 1 ? one : many}`;
const sum = (values) => values.reduce((total, value) => total + value, 0);

function percent(part, whole) {
  if (whole === 0 || part === 0) return "0 %";
  const share = (100 * part) / whole;
  if (share < 0.1) return "< 0.1 %";
  if (share > 99.9 && part < whole) return "> 99.9 %";
  return `${share < 10 || share > 99 ? +share.toFixed(1) : Math.round(share)} %`;
}

function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit += 1) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** An element with attributes, properties that begin with a dot, listeners that begin with "on", and children. */
function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** A name from outside, kept from turning the text around it. */
const name = (text, attributes = {}) => el("bdi", attributes, text);

/** Sets a length or a share that the style sheet uses. */
function sized(element, property, value) {
  element.style.setProperty(property, value);
  return element;
}

/** A bar of one part for each verdict, as wide as its share of `whole`. */
function stack(counts, whole, attributes = {}) {
  const bar = el("div", { class: "stack", "aria-hidden": "true", ...attributes });
  for (const verdict of BAR_ORDER) {
    if (counts[verdict] === 0) continue;
    const part = el("span", { class: `part ${VERDICTS[verdict].key}` });
    part.title = `${number(counts[verdict])} ${VERDICTS[verdict].key}`;
    bar.append(sized(part, "--share", `${(100 * counts[verdict]) / whole}%`));
  }
  return bar;
}

const describe = (counts) =>
  BAR_ORDER.filter((verdict) => counts[verdict] > 0)
    .map((verdict) => `${number(counts[verdict])} ${VERDICTS[verdict].key}`)
    .join(", ");

const severityTag = (severity) => el("span", { class: `tag ${severity}` }, SEVERITIES[severity]);

let silence;
function say(text) {
  byId("said").textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => (byId("said").textContent = ""), 4000);
}

/** Copies what an element shows; where that is not allowed, selects it. */
async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    say("Copied");
  } catch {
    getSelection().selectAllChildren(element);
    say("Selected: press Ctrl+C or ⌘C to copy");
  }
}

// The colors follow the system until the button is used.
const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
function showTheme() {
  byId("theme").setAttribute("aria-pressed", isDark());
}
byId("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
});
dark.addEventListener("change", showTheme);
showTheme();

// The verdict.
const { totals } = data;
const counts = VERDICTS.map(({ key }) => totals[key]);
byId("version").textContent = data.tool.version;
byId("location").textContent = data.location;
byId("verdict").textContent = data.verdict;
byId("notes").append(...data.notes.map((note) => el("p", { class: "note" }, note)));
byId("verdict-bar").replaceWith(
  stack(counts, Math.max(totals.listed, 1), {
    id: "verdict-bar",
    class: "stack tall",
    role: "img",
    "aria-hidden": null,
    "aria-label": `${number(totals.listed)} listed: ${describe(counts)}`,
  }),
);
byId("verdict-legend").append(
  el("div", {}, el("dt", {}, "listed"), el("dd", {}, number(totals.listed))),
  ...[ACCEPTED, REJECTED, UNKNOWN, SKIPPED].map((verdict) => {
    const { key, mark } = VERDICTS[verdict];
    const share = el("span", { class: "muted" }, percent(counts[verdict], totals.listed));
    const term = el("dt", {}, el("span", { class: `key ${key}`, "aria-hidden": "true" }, mark), key);
    return el("div", { class: counts[verdict] ? "" : "none" }, term, el("dd", {}, number(counts[verdict]), " ", share));
  }),
);
if (data.skipped.length > 0) {
  const reasons = data.skipped.map(([reason, count]) => `${number(count)} × ${reason}`);
  byId("skipped").textContent = `Skipped: ${reasons.join(", ")}.`;
}
byId("about").append(
  ...data.about.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, name(value)))),
);
byId("footer").textContent =
  `Read ${bytes(totals.bytes_read)} of ${bytes(totals.bytes_listed)} in ` +
  `${counted(totals.requests, "request", "requests")}${totals.retries ? `, ${number(totals.retries)} of them repeated` : ""}. ` +
  "Nothing was changed, and this page loads nothing.";
