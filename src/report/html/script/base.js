// Shared by all parts of the page. Untrusted text is only inserted as text nodes.

const data = JSON.parse(document.getElementById("data").textContent);

// In the order of counts by verdict.
const VERDICTS = [
  { key: "accepted", word: "accept", mark: "✓" },
  { key: "rejected", word: "reject", mark: "✕" },
  { key: "skipped", word: "skip", mark: "–" },
  { key: "unknown", word: "unknown", mark: "?" },
];
const [ACCEPTED, REJECTED, SKIPPED, UNKNOWN] = [0, 1, 2, 3];
// The order in bars: what needs attention first.
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

/**
 * Creates an element from a tag with classes, such as `p.muted`, optional attributes and listeners (`onclick`), and
 * children. Null values are skipped.
 */
const el = (selector, ...parts) => build((tag) => document.createElement(tag), selector, parts);
const svg = (selector, ...parts) => build((tag) => document.createElementNS(SVG, tag), selector, parts);

function build(create, selector, parts) {
  const [tag, ...classes] = selector.split(".");
  const element = create(tag);
  if (classes.length > 0) element.setAttribute("class", classes.join(" "));
  const attributes = parts[0]?.constructor === Object ? parts.shift() : {};
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...parts.flat().filter((part) => part !== null && part !== undefined));
  return element;
}

const button = (classes, onclick, ...parts) => el(`button${classes}`, { type: "button", onclick }, ...parts);

/** An untrusted name, isolated so that it does not change the direction of the text around it. */
const name = (text, classes = "") => el(`bdi${classes}`, text);

/** Sets a custom property that the style sheet uses. */
function sized(element, property, value) {
  element.style.setProperty(property, value);
  return element;
}

/** A bar with one part for each verdict, whose width is its share of `whole`. */
function stack(counts, whole, selector = "div.stack", attributes = { "aria-hidden": "true" }) {
  const bar = el(selector, attributes);
  for (const verdict of BAR_ORDER) {
    if (counts[verdict] === 0) continue;
    const part = el(`span.part.${VERDICTS[verdict].key}`);
    part.title = `${number(counts[verdict])} ${VERDICTS[verdict].key}`;
    bar.append(sized(part, "--share", `${(100 * counts[verdict]) / whole}%`));
  }
  return bar;
}

const describe = (counts) =>
  BAR_ORDER.filter((verdict) => counts[verdict] > 0)
    .map((verdict) => `${number(counts[verdict])} ${VERDICTS[verdict].key}`)
    .join(", ");

const severityTag = (severity) => el(`span.tag.${severity}`, SEVERITIES[severity]);

let silence;
function say(text) {
  byId("said").textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => (byId("said").textContent = ""), 4000);
}

/** Copies a text, or selects the element that shows it if copying is not allowed. */
async function copy(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied");
  } catch {
    if (element) getSelection().selectAllChildren(element);
    say(element ? "Selected: press Ctrl+C or ⌘C to copy" : "The browser does not allow copying");
  }
}

// The theme follows the system until the button is used.
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
byId("if-fixed").textContent = data.if_fixed;
byId("next").append(...data.next.flatMap(([label, text]) => [el("dt", label), el("dd", text)]));
byId("notes").append(...data.notes.map((note) => el("p.note", note)));
if (data.assumptions.length > 0) {
  const title = `Assumed: ${counted(data.assumptions.length, "thing", "things")} that the platform does not document`;
  byId("notes").append(
    el("details.note", el("summary", title), el("ul", data.assumptions.map((text) => el("li", text)))),
  );
}
byId("verdict-bar").replaceWith(
  stack(counts, Math.max(totals.listed, 1), "div.stack.tall", {
    id: "verdict-bar",
    role: "img",
    "aria-label": `${number(totals.listed)} listed: ${describe(counts)}`,
  }),
);
byId("verdict-legend").append(
  el("div", el("dt", "listed"), el("dd", number(totals.listed))),
  ...[ACCEPTED, REJECTED, UNKNOWN, SKIPPED].map((verdict) => {
    const { key, mark } = VERDICTS[verdict];
    const share = el("span.muted", percent(counts[verdict], totals.listed));
    const term = el("dt", el(`span.key.${key}`, { "aria-hidden": "true" }, mark), key);
    return el(counts[verdict] > 0 ? "div" : "div.none", term, el("dd", number(counts[verdict]), " ", share));
  }),
);
if (data.skipped.length > 0) {
  const reasons = data.skipped.map(([reason, count]) => `${number(count)} × ${reason}`);
  byId("skipped").textContent = `Skipped: ${reasons.join(", ")}.`;
}
byId("about").append(
  ...data.about.map(([label, value]) => el("div", el("dt", label), el("dd", name(value)))),
);
const repeated = totals.retries > 0 ? `, ${number(totals.retries)} of them retries` : "";
const requests = `${counted(totals.requests, "request", "requests")}${repeated}`;
byId("footer").textContent =
  `Read ${bytes(totals.bytes_read)} of ${bytes(totals.bytes_listed)} in ${requests}.`;
