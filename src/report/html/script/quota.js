// Gauges, and how the quota is spent along the listing.

const CHART = { height: 220, left: 0, right: 6, top: 24, bottom: 26 };

/** One gauge a limit: where images and frames share theirs, one for both. */
function gauges() {
  const { images, frames, is_shared: isShared } = data.quota;
  const kind = (gauge, noun, plural, spent, asked) => ({
    ...gauge,
    title: gauge.unit[0].toUpperCase() + gauge.unit.slice(1),
    refusals: gauge.refused ? [[gauge.refused, noun, plural, gauge.first_refused]] : [],
    points: data.quota.curve.map((point) => ({
      position: point.position,
      spent: gauge.used_before + spent(point),
      asked: gauge.used_before + asked(point),
    })),
  });
  const image = (point) => point.images, imageAsked = (point) => point.images_asked;
  const frame = (point) => point.frames, frameAsked = (point) => point.frames_asked;
  if (!isShared) {
    return [
      kind(images, "image", "images", image, imageAsked),
      kind(frames, "video", "videos", frame, frameAsked),
    ];
  }
  const both = kind(images, "image", "images", (point) => image(point) + frame(point),
    (point) => imageAsked(point) + frameAsked(point));
  if (frames.refused) both.refusals.push([frames.refused, "video", "videos", frames.first_refused]);
  return [both];
}

function gaugeSection(gauge) {
  const used = gauge.used_before + gauge.cost + gauge.cost_of_other_kind;
  const isFull = gauge.refusals.length > 0;
  const whole = Math.max(gauge.limit ?? used, used, 1);
  const bar = el("div", { class: "gauge", role: "img", "aria-label": `${number(used)} of ${gauge.limit === null ? "no limit" : number(gauge.limit)}` },
    sized(el("span", { class: "before" }), "--share", `${(100 * gauge.used_before) / whole}%`),
    sized(el("span", { class: "now" }), "--share", `${(100 * (used - gauge.used_before)) / whole}%`));
  const facts = [];
  if (gauge.used_before > 0) facts.push(`${number(gauge.used_before)} used before`);
  facts.push(`${number(used - gauge.used_before)} by this sync`);
  if (gauge.limit !== null) facts.push(`${number(Math.max(gauge.limit - used, 0))} left`);
  const verdict = gauge.limit === null ? "no limit given"
    : isFull ? gauge.refusals.map(([count, one, many]) => `${counted(count, one, many)} ${count === 1 ? "does" : "do"} not fit`).join(", ")
    : "fits";
  const mark = isFull ? "✕ " : gauge.limit === null ? "" : "✓ ";
  const first = gauge.refusals.map(([, , , refused]) => refused).filter((refused) => refused)
    .sort((a, b) => a.at.position - b.at.position)[0];
  return el("article", { class: "gauge-section" },
    el("h3", {}, gauge.title),
    el("p", { class: "figure" }, number(used), el("span", { class: "muted" }, gauge.limit === null ? "" : ` of ${number(gauge.limit)}`)),
    bar,
    el("p", { class: "muted" }, facts.join(" · ")),
    el("p", { class: isFull ? "bad" : "good" }, `${mark}${verdict}`),
    curve(gauge, first),
    first && el("p", { class: "muted first" }, `First refused, at entry ${number(first.at.position)}: `, name(first.name, { class: "mono" })));
}

/** A line through exact points. The reading below it follows the pointer and the arrow keys. */
function curve(gauge, first) {
  const { points } = gauge;
  const last = points[points.length - 1];
  if (last.asked === points[0].asked) return null;
  const top = Math.max(last.asked > (gauge.limit ?? Infinity) ? Math.min(last.asked, gauge.limit * 1.6) : last.asked,
    gauge.limit !== null && gauge.limit < last.asked * 2.5 ? gauge.limit : 0) * 1.05;
  const frame = el("div", { class: "chart", tabindex: "0", role: "slider", "aria-label": `${gauge.title} used, by position in the listing`, "aria-valuemin": "0", "aria-valuemax": `${last.position}` });
  const reading = el("p", { class: "reading muted" });
  let at = points.length - 1;

  function draw() {
    const width = Math.max(frame.clientWidth, 200);
    const x = (position) => CHART.left + (position / Math.max(last.position, 1)) * (width - CHART.left - CHART.right);
    const y = (value) => CHART.height - CHART.bottom - (value / top) * (CHART.height - CHART.top - CHART.bottom);
    const line = (of) => points.map((point) => `${x(point.position).toFixed(1)},${y(of(point)).toFixed(1)}`).join(" ");
    const base = y(0), spent = line((point) => point.spent);
    const text = (attributes, label) => svg("text", attributes, label);
    const parts = [
      svg("line", { class: "axis", x1: CHART.left, x2: width - CHART.right, y1: base, y2: base }),
      svg("polygon", { class: "area", points: `${x(0)},${base} ${spent} ${x(last.position)},${base}` }),
    ];
    if (last.asked > last.spent) parts.push(svg("polyline", { class: "asked", points: line((point) => point.asked) }));
    parts.push(svg("polyline", { class: "spent", points: spent }));
    const isRight = first && x(first.at.position) > width / 2;
    if (gauge.limit !== null && gauge.limit <= top) {
      const limit = y(gauge.limit);
      parts.push(svg("line", { class: "limit", x1: CHART.left, x2: width - CHART.right, y1: limit, y2: limit }));
      const place = !first || isRight ? { x: CHART.left } : { x: width - CHART.right, "text-anchor": "end" };
      parts.push(text({ class: "label", ...place, y: limit - 6 }, `limit ${number(gauge.limit)}`));
    }
    if (first) {
      const place = x(first.at.position);
      parts.push(svg("line", { class: "refused", x1: place, x2: place, y1: 4, y2: base }));
      const label = isRight ? { x: place - 6, "text-anchor": "end" } : { x: place + 6 };
      parts.push(text({ class: "label strong", ...label, y: 13 }, "first refused"));
    }
    parts.push(text({ class: "label", x: CHART.left, y: CHART.height - 8 }, "first entry"),
      text({ class: "label", x: width - CHART.right, y: CHART.height - 8, "text-anchor": "end" }, `entry ${number(last.position)}`));
    const point = points[at];
    parts.push(svg("circle", { class: "dot", cx: x(point.position), cy: y(point.spent), r: 4 }));
    frame.replaceChildren(svg("svg", { width, height: CHART.height, viewBox: `0 0 ${width} ${CHART.height}`, "aria-hidden": "true" }, parts));
    frame.toPosition = (client) => ((client - frame.getBoundingClientRect().left - CHART.left) / (width - CHART.left - CHART.right)) * last.position;
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
      if (Math.abs(point.position - position) < Math.abs(points[nearest].position - position)) nearest = index;
    });
    go(nearest);
  });
  frame.addEventListener("keydown", (event) => {
    const step = Math.max(1, Math.round(points.length / 50));
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, PageDown: at - step, PageUp: at + step, Home: 0, End: points.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    go(to);
  });
  new ResizeObserver(draw).observe(frame);
  const legend = el("p", { class: "muted lines" }, el("span", { class: "sample spent" }), "used",
    last.asked > last.spent ? [el("span", { class: "sample asked" }), "without a limit"] : null);
  return el("figure", {}, el("figcaption", { class: "chart-head" }, legend, reading), frame);
}

byId("gauges").append(...gauges().map(gaugeSection));
