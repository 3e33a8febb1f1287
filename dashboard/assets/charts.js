// A chart: a figure that stays, and a drawing in it that changes.

function chartOf(panel) {
  const title = make("h3", {id: "title-" + panel.key}, panel.title);
  const badge = make("span", {class: "badge"});
  const plot = make("div", {
    class: "plot",
    id: "plot-" + panel.key,
    role: "slider",
    tabindex: "0",
    "aria-labelledby": title.id,
    "aria-describedby": "values-" + panel.key,
    "aria-valuemin": "0",
  });
  const values = make("ul", {class: "values", id: "values-" + panel.key});
  const table = make("div", {
    class: "scroll",
    tabindex: "0",
    role: "region",
    "aria-label": "Numbers: " + panel.title,
  });
  const details = make("details", {}, make("summary", {}, "Numbers"), table);
  const link = make("a", {href: section(panel.alert)}, "Runbook");
  link.setAttribute("aria-label", "Runbook: " + panel.alert);
  const box = make(
    "figure",
    {class: panel.kind, id: panel.key, "aria-labelledby": title.id},
    make("figcaption", {}, make("div", {class: "head"}, title, badge), make("p", {}, panel.doc)),
    plot,
    values,
    make("div", {class: "foot"}, details, link),
  );
  const chart = {panel, box, plot, values, badge, details, table, series: [], grid: null, limit: null};
  plot.addEventListener("pointermove", event => point(chart, event));
  plot.addEventListener("pointerdown", event => point(chart, event));
  plot.addEventListener("pointerleave", () => {
    if (document.activeElement !== plot) read(null);
  });
  plot.addEventListener("keydown", event => key(chart, event));
  details.addEventListener("toggle", () => tabulate(chart));
  return chart;
}

function style(name, index) {
  const place = segments.length > MOST ? index : segments.indexOf(name);
  return Math.max(0, place < 0 ? index : place) % MOST;
}

// More lines than styles cannot be told apart: everybody stays, and those who reached furthest.
function drawable(chart, found) {
  const name = labels => (chart.panel.legend ? (labels[chart.panel.legend] ?? "") : "");
  const named = found
    .filter(s => s.labels.segment !== "other" && belongs(s.labels))
    .map(s => ({...s, name: name(s.labels)}));
  const peak = s =>
    s.name === "all"
      ? Infinity
      : Math.max(...s.values.filter(v => v !== null).map(v => (chart.panel.bad === "below" ? -v : v)));
  const kept = named.length > MOST ? [...named].sort((a, b) => peak(b) - peak(a)).slice(0, MOST) : named;
  chart.left = named.length - kept.length;
  const order = s => (s.name === "all" ? "" : s.name);
  return kept.sort((a, b) => (order(a) < order(b) ? -1 : 1)).map((s, i) => ({...s, style: style(s.name, i)}));
}

async function load(chart) {
  const {panel} = chart;
  const grid = gridOf(panel.kind);
  const [found, limits] = await Promise.all([
    select(panel.metric, panel.match, grid),
    typeof panel.limit === "string" ? select(panel.limit, panel.match, grid) : [],
  ]);
  const limit =
    typeof panel.limit === "string" ? (limits[0]?.values.findLast(v => v !== null) ?? null) : panel.limit;
  return {found, grid, limit};
}

// Geometry.

function steps(low, high, most) {
  const raw = (high - low) / most;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(k => k * size).find(k => k >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-6; i += 1) found.push(i * step);
  return found;
}

function timeSteps(grid, width) {
  const fit = (grid.end - grid.start) / Math.max(2, Math.floor(width / 62));
  const step =
    [HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, WEEK, 2 * WEEK, 4 * WEEK].find(s => s >= fit) ??
    8 * WEEK;
  // 1970 began on a Thursday, and weeks begin on Mondays.
  const shift = step >= WEEK ? 4 * DAY : 0;
  const found = [];
  for (let t = Math.ceil((grid.start - shift) / step) * step + shift; t <= grid.end; t += step) found.push(t);
  return found.map(t => [t, step >= DAY || t % DAY === 0 ? day(t) : clock(t)]);
}

function domain(chart) {
  const {panel, limit} = chart;
  let low = Infinity;
  let high = -Infinity;
  for (const {values} of chart.series)
    for (const v of values)
      if (v !== null) {
        if (v < low) low = v;
        if (v > high) high = v;
      }
  if (low > high) return null;
  if (panel.unit === "yes") return [0, 1];
  if (limit !== null) {
    low = Math.min(low, limit);
    high = Math.max(high, limit);
  }
  const flat = Math.max(
    Math.abs(high) * 0.02,
    {count: 1, share: 0.001, seconds: HOUR, limits: 1, cosine: 0.01}[panel.unit],
  );
  if (["probes", "documents"].includes(panel.key)) {
    if (high - low < flat) {
      low -= flat;
      high += flat;
    }
  } else if (panel.unit !== "limits" && panel.unit !== "cosine") low = Math.min(low, 0);
  if (high - low < flat) high = low + flat;
  const room = (high - low) * 0.08;
  return [low === 0 ? 0 : low - room, high + room];
}

function frame(chart, height, left, right) {
  const width = Math.max(240, chart.plot.clientWidth);
  const {grid} = chart;
  const inner = width - left - right;
  chart.x = t => left + (inner * (t - grid.start)) / (grid.end - grid.start);
  chart.bounds = [left, inner];
  const svg = draw("svg", {
    width: "100%",
    height,
    viewBox: "0 0 " + width + " " + height,
    "aria-hidden": "true",
  });
  const bottom = height - EDGE.bottom;
  for (const [t, text] of timeSteps(grid, inner)) {
    const x = chart.x(t);
    const at = {
      x,
      y: height - 6,
      class: "tick",
      "text-anchor": x > left + inner - 16 ? "end" : x < left + 16 ? "start" : "middle",
    };
    svg.append(draw("line", {x1: x, x2: x, y1: EDGE.top, y2: bottom, class: "grid"}), draw("text", at, text));
  }
  return {svg, width, inner, bottom};
}

const spansOf = (values, grid) => {
  const found = [];
  values.forEach((v, i) => {
    if (v !== 1) return;
    if (i && values[i - 1] === 1) found.at(-1)[1] = i + 1;
    else found.push([i, i + 1]);
  });
  return found.map(([a, b]) => [timeOf(grid, a), Math.min(grid.end, timeOf(grid, b))]);
};

// While a page fires, every chart is shaded.
function shade(chart, svg, bottom) {
  for (const [start, end] of pagesNow) {
    const from = chart.x(Math.max(start, chart.grid.start));
    const to = chart.x(Math.min(end, chart.grid.end));
    svg.append(
      draw("rect", {
        x: from,
        width: Math.max(1.5, to - from),
        y: EDGE.top,
        height: bottom - EDGE.top,
        class: "paged",
      }),
    );
  }
}

// An age goes up and down once a day. Over weeks the day's highest can be read, the teeth cannot.
function calm(values, panel, grid) {
  const k = Math.round(DAY / grid.step);
  if (panel.unit !== "seconds" || panel.key === "index_age" || state.range < 3 * WEEK || k < 2) return values;
  return values.map((v, i) =>
    v === null ? null : Math.max(...values.slice(Math.max(0, i - k), i + 1).filter(u => u !== null)),
  );
}

// A line ends where its numbers do; points that repeat are left out.
function path(values, x, y, grid) {
  let d = "";
  let open = false;
  values.forEach((v, i) => {
    if (v === null) {
      open = false;
      return;
    }
    if (open && v === values[i - 1] && v === values[i + 1]) return;
    d += (open ? "L" : "M") + x(timeOf(grid, i)).toFixed(1) + " " + y(v).toFixed(1);
    if (!open && (values[i + 1] ?? null) === null) d += "h0.1";
    open = true;
  });
  return d;
}

function curves(chart) {
  const {panel, grid, limit} = chart;
  const longest = Math.max(
    0,
    ...chart.series.map(s => (s.name && panel.legend === "segment" ? width(s.name) : 0)),
  );
  const right = longest ? Math.min(90, longest + 12) : 12;
  const {svg, inner, bottom} = frame(chart, HEIGHT, EDGE.left, right);
  const span = domain(chart);
  if (!span) {
    svg.append(
      draw(
        "text",
        {x: EDGE.left + inner / 2, y: HEIGHT / 2, class: "none", "text-anchor": "middle"},
        "no data in this range",
      ),
    );
    chart.plot.replaceChildren(svg);
    return;
  }
  shade(chart, svg, bottom);
  const [low, high] = span;
  const y = v => bottom - ((bottom - EDGE.top) * (v - low)) / (high - low);
  ticks(chart, svg, span, y, inner);
  const top = [];
  if (limit !== null && panel.unit !== "yes") {
    const at = y(limit);
    const over = at > EDGE.top + 16 ? at - 4 : at + 13;
    const label =
      (panel.bad === "below" ? "at least " : typeof panel.limit === "string" ? "objective " : "limit ") +
      words(limit, panel.unit);
    svg.append(draw("line", {x1: EDGE.left, x2: EDGE.left + inner, y1: at, y2: at, class: "limit"}));
    top.push(draw("text", {x: EDGE.left + 4, y: over, class: "limit-name"}, label));
  }
  for (const s of [...chart.series].reverse())
    svg.append(
      draw("path", {
        d: path(calm(s.values, panel, grid), chart.x, y, grid),
        class: "line c" + s.style,
        "stroke-dasharray": DASHES[s.style],
      }),
    );
  svg.append(...top);
  if (longest) names(chart, svg, y, EDGE.left + inner + 6, bottom);
  finish(chart, svg, bottom, y);
}

function ticks(chart, svg, [low, high], y, inner) {
  const {unit} = chart.panel;
  const factor = unit !== "seconds" ? 1 : high > 2 * DAY ? DAY : high > 2 * HOUR ? HOUR : 60;
  const whole = unit === "count" && high - low < 6;
  let marks = unit === "yes" ? [0, 1] : steps(low / factor, high / factor, 5).map(v => v * factor);
  if (whole) marks = marks.filter(Number.isInteger);
  for (const v of marks) {
    const plain = unit === "share" ? trimmed(v * 100, 2) + "\u00a0%" : words(v, unit);
    svg.append(
      draw("line", {x1: EDGE.left, x2: EDGE.left + inner, y1: y(v), y2: y(v), class: "grid"}),
      draw("text", {x: EDGE.left - 5, y: y(v) + 4, class: "tick", "text-anchor": "end"}, plain),
    );
  }
}

// Names stand at the ends of their lines, pushed apart where lines end together.
function names(chart, svg, y, x, bottom) {
  const ends = chart.series
    .map(s => ({s, v: s.values.findLast(v => v !== null)}))
    .filter(e => e.v !== undefined);
  ends.sort((a, b) => b.v - a.v);
  let last = EDGE.top - 8;
  for (const end of ends) {
    end.at = Math.max(y(end.v), last + 12);
    last = end.at;
  }
  let next = bottom + 4;
  for (const end of ends.reverse()) {
    end.at = Math.min(end.at, next);
    next = end.at - 12;
  }
  for (const {s, at} of ends) svg.append(draw("text", {x, y: at + 4, class: "name f" + s.style}, s.name));
}

function timeline(chart) {
  const {grid} = chart;
  const alerts = lanesOf(chart.series);
  const told = (embedded?.stories ?? []).filter(s => s.end > grid.start && s.start < grid.end);
  const wide = chart.plot.clientWidth > 720;
  const left = wide
    ? Math.max(...["what happened", ...alerts.map(s => alertName(s.labels))].map(width)) + 14
    : 8;
  const row = wide ? LANE : LANE + 14;
  const lanes = told.length ? 1 : 0;
  const height = EDGE.top + Math.max(2, alerts.length + lanes) * row + EDGE.bottom;
  const {svg, inner, bottom} = frame(chart, height, left, 10);
  const lane = (i, label) => {
    const top = EDGE.top + i * row;
    const bar = wide ? top + 3 : top + 16;
    svg.append(
      draw("line", {x1: left, x2: left + inner, y1: bar + 9, y2: bar + 9, class: "grid"}),
      draw(
        "text",
        wide
          ? {x: left - 8, y: bar + 13, class: "lane", "text-anchor": "end"}
          : {x: left, y: top + 12, class: "lane"},
        label,
      ),
    );
    return bar;
  };
  const block = (y, [start, end], kind, text, room = 0) => {
    const from = Math.max(left, chart.x(start));
    const long = Math.max(4, Math.min(left + inner, chart.x(end)) - from);
    svg.append(draw("rect", {x: from, y, width: long, height: BAR, rx: 2, class: "block " + kind}));
    if (kind === "ticket")
      svg.append(draw("rect", {x: from, y, width: long, height: BAR, rx: 2, fill: "url(#hatch)"}));
    if (Math.max(long, room) > width(text) + 8)
      svg.append(draw("text", {x: from + 5, y: y + 13, class: "on-" + kind}, text));
  };
  svg.append(
    draw(
      "defs",
      {},
      draw(
        "pattern",
        {id: "hatch", width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)"},
        draw("rect", {width: 2, height: 7, class: "hatch"}),
      ),
    ),
  );
  if (lanes) {
    const y = lane(0, "what happened");
    told.forEach((story, i) => {
      const room =
        (told[i + 1] ? chart.x(told[i + 1].start) : left + inner + 10) - Math.max(left, chart.x(story.start));
      const kind = "story" + (story.title === state.story ? " told" : "");
      const name = numbered(story);
      block(y, [story.start, story.end], kind, room > width(name) + 8 ? name : name.split(" ")[0], room);
    });
  }
  alerts.forEach((s, i) => {
    const y = lane(i + lanes, alertName(s.labels));
    for (const span of spansOf(s.values, grid)) block(y, span, s.labels.severity, s.labels.severity);
  });
  if (!alerts.length)
    svg.append(
      draw(
        "text",
        {x: left + inner / 2, y: EDGE.top + (lanes + 0.6) * row, class: "none", "text-anchor": "middle"},
        "no alert fires in this range",
      ),
    );
  finish(chart, svg, bottom);
}

function finish(chart, svg, bottom, y) {
  chart.line = draw("line", {y1: EDGE.top, y2: bottom, class: "cursor", visibility: "hidden"});
  chart.dots = y
    ? chart.series.map(s => draw("circle", {r: 3.5, class: "dot f" + s.style, visibility: "hidden"}))
    : [];
  chart.y = y;
  svg.append(chart.line, ...chart.dots);
  chart.plot.replaceChildren(svg);
}
