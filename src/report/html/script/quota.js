// Gauges, and quota use over the course of the listing.

const CHART = { height: 220, left: 0, right: 6, top: 24, bottom: 26 };

const KINDS = [
  { one: "image", many: "images", spent: (point) => point.images, asked: (point) => point.images_asked },
  { one: "video", many: "videos", spent: (point) => point.frames, asked: (point) => point.frames_asked },
];

/** One gauge per limit. If images and frames share a limit, they share a gauge. */
function gauges() {
  const { images, frames, curve, is_shared: isShared } = data.quota;
  const sides = [images, frames].map((gauge, index) => ({ gauge, ...KINDS[index] }));
  const isOneUnit = images.unit === frames.unit;
  return (isShared ? [sides] : sides.map((side) => [side])).map((kinds) => {
    const { gauge, many } = kinds[0];
    const total = (of, point) => gauge.used_before + sum(kinds.map((kind) => kind[of](point)));
    const points = curve.map((point) => ({
      position: point.position,
      spent: total("spent", point),
      asked: total("asked", point),
    }));
    const refused = kinds.filter((kind) => kind.gauge.refused > 0);
    const firsts = refused.map((kind) => kind.gauge.first_refused).filter((first) => first !== null);
    return {
      title: isOneUnit && !isShared ? `${gauge.unit} for ${many}` : gauge.unit,
      limit: gauge.limit,
      before: gauge.used_before,
      reserve: gauge.reserve,
      used: gauge.used_before + gauge.cost + gauge.cost_of_other_kind,
      refused: refused.map(({ gauge, one, many }) => [gauge.refused, one, many]),
      // If images and frames share a limit, both have the same advice.
      advice: gauge.advice,
      leaveOut: gauge.leave_out,
      leaveOutMore: gauge.leave_out_more,
      unit: gauge.unit,
      first: firsts.sort((a, b) => a.at.position - b.at.position)[0],
      points,
    };
  });
}

/** A paragraph that says whether everything fits. */
function fit({ limit, refused }) {
  if (limit === null) return el("p.muted", "no limit set");
  if (refused.length === 0) return el("p.good", "✓ fits");
  const assets = refused.map(([count, one, many]) => counted(count, one, many)).join(" and ");
  const isOne = sum(refused.map(([count]) => count)) === 1;
  return el("p.bad", `✕ ${assets} ${isOne ? "does" : "do"} not fit`);
}

/** What to do about a limit that is too low. */
function adviceOn({ advice, leaveOut, leaveOutMore, unit }) {
  if (advice.length === 0) return null;
  const assets = leaveOut.map(([label, cost]) => el("li", name(label, ".mono"), `: ${number(cost)} ${unit}`));
  if (leaveOutMore > 0) assets.push(el("li", `and ${number(leaveOutMore)} more`));
  const lines = advice.map((line) => el("li", line));
  if (assets.length > 0) lines[lines.length - 1].append(el("ul", assets));
  return el("ul.advice", lines);
}

function gaugeSection(gauge) {
  const { title, limit, before, reserve, used, first } = gauge;
  const whole = Math.max(limit ?? used, used, 1);
  const label = limit === null ? `${number(used)} used` : `${number(used)} of ${number(limit)} used`;
  const bar = el(
    "div.gauge",
    { role: "img", "aria-label": label },
    sized(el("span.before"), "--share", `${(100 * before) / whole}%`),
    sized(el("span.now"), "--share", `${(100 * (used - before)) / whole}%`),
  );
  const facts = [`${number(used - before)} by this sync`];
  if (before > 0) facts.unshift(`${number(before)} used before`);
  if (limit !== null) facts.push(`${number(Math.max(limit - used - reserve, 0))} left`);
  if (reserve > 0) facts.push(`${number(reserve)} kept free`);
  return el(
    "article.gauge-section",
    el("h3", title),
    el("p.figure", number(used), el("span.muted", limit === null ? "" : ` of ${number(limit)}`)),
    bar,
    el("p.muted", facts.join(" · ")),
    fit(gauge),
    adviceOn(gauge),
    curve(gauge),
    first &&
      el(
        "p.muted.first",
        `First refused, at entry ${number(first.at.position)}: `,
        name(first.name, ".mono"),
      ),
  );
}

/** The largest value in the chart. Demand beyond the limit is cut off, because it can be much higher. */
function chartTop({ limit, points }) {
  const { spent, asked } = points[points.length - 1];
  const shown = limit > 0 ? Math.max(Math.min(asked, limit * 1.6), spent) : asked;
  return 1.05 * (limit !== null && limit < 2.5 * asked ? Math.max(shown, limit) : shown);
}

/** A line through exact points, with a reading that follows the pointer and the arrow keys. */
function curve(gauge) {
  const { title, limit, first, points } = gauge;
  const last = points[points.length - 1];
  if (last.asked === points[0].asked) return null;
  const top = chartTop(gauge);
  const frame = el("div.chart", {
    tabindex: "0",
    role: "slider",
    "aria-label": `${title} used, by position in the listing`,
    "aria-valuemin": "0",
    "aria-valuemax": `${last.position}`,
    "aria-valuenow": `${last.position}`,
  });
  const reading = el("p.reading.muted");
  let at = points.length - 1;

  function draw() {
    const width = Math.max(frame.clientWidth, 200);
    const x = (position) =>
      CHART.left + (position / Math.max(last.position, 1)) * (width - CHART.left - CHART.right);
    const y = (value) =>
      CHART.height - CHART.bottom - (value / top) * (CHART.height - CHART.top - CHART.bottom);
    const line = (of) =>
      points.map((point) => `${x(point.position).toFixed(1)},${y(of(point)).toFixed(1)}`).join(" ");
    const base = y(0);
    const spent = line((point) => point.spent);
    const parts = [
      svg("line.axis", { x1: CHART.left, x2: width - CHART.right, y1: base, y2: base }),
      svg("polygon.area", { points: `${x(0)},${base} ${spent} ${x(last.position)},${base}` }),
    ];
    if (last.asked > last.spent) parts.push(svg("polyline.asked", { points: line((point) => point.asked) }));
    parts.push(svg("polyline.spent", { points: spent }));
    const isRight = first && x(first.at.position) > width / 2;
    if (limit !== null && limit <= top) {
      const height = y(limit);
      parts.push(svg("line.limit", { x1: CHART.left, x2: width - CHART.right, y1: height, y2: height }));
      const place = !first || isRight ? { x: CHART.left } : { x: width - CHART.right, "text-anchor": "end" };
      parts.push(svg("text.label", { ...place, y: height - 6 }, `limit ${number(limit)}`));
    }
    if (first) {
      const place = x(first.at.position);
      parts.push(svg("line.refused", { x1: place, x2: place, y1: 4, y2: base }));
      const label = isRight ? { x: place - 6, "text-anchor": "end" } : { x: place + 6 };
      parts.push(svg("text.label.strong", { ...label, y: 13 }, "first refused"));
    }
    parts.push(
      svg("text.label", { x: CHART.left, y: CHART.height - 8 }, "first entry"),
      svg(
        "text.label",
        { x: width - CHART.right, y: CHART.height - 8, "text-anchor": "end" },
        `entry ${number(last.position)}`,
      ),
    );
    const point = points[at];
    parts.push(svg("circle.dot", { cx: x(point.position), cy: y(point.spent), r: 4 }));
    frame.replaceChildren(
      svg(
        "svg",
        { width, height: CHART.height, viewBox: `0 0 ${width} ${CHART.height}`, "aria-hidden": "true" },
        parts,
      ),
    );
    frame.toPosition = (client) =>
      ((client - frame.getBoundingClientRect().left - CHART.left) / (width - CHART.left - CHART.right)) *
      last.position;
    const asked = point.asked > point.spent ? `, ${number(point.asked)} without a limit` : "";
    reading.textContent = `After ${counted(point.position, "entry", "entries")}: ${number(point.spent)} used${asked}`;
    frame.setAttribute("aria-valuenow", point.position);
    frame.setAttribute("aria-valuetext", reading.textContent);
  }

  function go(to) {
    at = Math.min(Math.max(to, 0), points.length - 1);
    draw();
  }
  frame.addEventListener("pointermove", (event) => {
    const position = frame.toPosition(event.clientX);
    let nearest = 0;
    points.forEach((point, index) => {
      if (Math.abs(point.position - position) < Math.abs(points[nearest].position - position))
        nearest = index;
    });
    go(nearest);
  });
  frame.addEventListener("keydown", (event) => {
    const step = Math.max(1, Math.round(points.length / 50));
    const to = {
      ArrowLeft: at - 1,
      ArrowRight: at + 1,
      PageDown: at - step,
      PageUp: at + step,
      Home: 0,
      End: points.length - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    go(to);
  });
  new ResizeObserver(draw).observe(frame);
  const legend = el(
    "p.muted.lines",
    el("span.sample.spent"),
    "used",
    last.asked > last.spent ? [el("span.sample.asked"), "without a limit"] : null,
  );
  return el("figure", el("figcaption.chart-head", legend, reading), frame);
}

byId("gauges").append(...gauges().map(gaugeSection));

// What is on the platform.
if (data.synced.length > 0) {
  const rows = data.synced.map(([label, count, note]) =>
    el("tr", el("th", { scope: "row" }, label), el("td.count", number(count)), el("td.muted", name(note))),
  );
  byId("synced").append(
    el("caption", "On the platform already"),
    el("thead.hidden", el("tr", ...["what", "assets", "note"].map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", rows),
  );
  byId("charge").textContent = `A sync uses ${data.charge}.`;
} else byId("synced").remove();
