// Findings by rule, and distributions.

function ruleEntry(rule, most) {
  const bar = sized(
    el(`span.rule-bar.${rule.severity}`, { "aria-hidden": "true" }),
    "--share",
    `${(100 * rule.count) / most}%`,
  );
  const head = el(
    "summary",
    el("span.code", rule.code),
    el("span.rule-name", el("strong", rule.name), el("span.muted", rule.summary)),
    severityTag(rule.severity),
    el("span.rule-track", bar),
    el("span.count", number(rule.count)),
  );
  const findings = counted(rule.count, "finding", "findings");
  const part = rule.shown === rule.count ? "" : `the first ${number(rule.shown)} of `;
  const show = button("", () => showFindings({ rule: rule.code }), `Show ${part}${findings}`);
  return el(
    "details.rule",
    { name: "rule" },
    head,
    el(
      "div.rule-text",
      el("p", rule.why),
      el("dl", el("dt", "Fix"), el("dd", rule.fix), el("dt", "Source"), el("dd", rule.source)),
      el("p", show),
    ),
  );
}

const most = Math.max(...data.rules.map((rule) => rule.count), 1);
byId("rule-list").append(
  ...[...data.rules].sort((a, b) => b.count - a.count).map((rule) => ruleEntry(rule, most)),
);
if (data.rules.length === 0) byId("rules-lead").textContent = "No findings.";

function distribution({ title, rows }) {
  const whole = Math.max(...rows.map(([, counts]) => sum(counts)), 1);
  const body = rows.map(([label, counts]) => {
    const total = sum(counts);
    return el(
      "tr",
      el("th", { scope: "row" }, name(label)),
      el("td.bar-cell", stack(counts, whole)),
      el("td.count", number(total), el("span.hidden", `: ${describe(counts)}`)),
    );
  });
  return el(
    "table.distribution",
    el("caption", title),
    el("thead.hidden", el("tr", ...["value", "share", "assets"].map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", body),
  );
}

byId("distribution-list").append(...data.distributions.map(distribution));
if (data.distributions.length === 0) {
  byId("distributions").remove();
  document.querySelector("a[href='#distributions']").remove();
}
