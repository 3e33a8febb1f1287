// Reading: one time for all charts.

function beyond(chart, value) {
  if (value === null || value === undefined || chart.limit === null) return false;
  if (chart.panel.bad === "below") return value < chart.limit;
  return chart.panel.unit === "count" ? value >= chart.limit : value > chart.limit;
}

const side = panel =>
  panel.unit === "yes" ? "\u25bc broken" : panel.bad === "below" ? "\u25bc under" : "\u25b2 over";

function item(chart, s, i) {
  const value = s.values[i];
  const swatch = draw(
    "svg",
    {width: 20, height: 8, "aria-hidden": "true"},
    draw("line", {
      x1: 0,
      x2: 20,
      y1: 4,
      y2: 4,
      class: "line c" + s.style,
      "stroke-dasharray": DASHES[s.style],
    }),
  );
  const bad = beyond(chart, value);
  const text = make(
    "span",
    {},
    s.name ? s.name + " " : "",
    make("b", {}, words(value, chart.panel.unit)),
    bad ? " " : "",
  );
  return make(
    "li",
    {},
    swatch,
    text,
    bad
      ? make(
          "span",
          {class: "mark"},
          side(chart.panel).slice(0, 1),
          make("span", {class: "unseen"}, side(chart.panel).slice(1) + " the limit"),
        )
      : "",
  );
}

function show(chart) {
  const {grid, panel} = chart;
  if (!grid) return;
  const t = state.cursor ?? grid.end;
  const i = indexOf(grid, t);
  const when = make(
    "li",
    {class: "when"},
    (state.cursor === null ? "Latest, " : "At ") + moment(timeOf(grid, i)),
  );
  const firing = panel.kind === "timeline" ? lanesOf(chart.series).filter(s => s.values[i] === 1) : [];
  const alerts = firing.map(s =>
    make("li", {class: s.labels.severity}, make("b", {}, s.labels.severity), " " + alertName(s.labels)),
  );
  const items =
    panel.kind === "timeline"
      ? alerts.length
        ? alerts
        : [make("li", {}, "no alert")]
      : chart.series.map(s => item(chart, s, i));
  if (chart.left) items.push(make("li", {}, chart.left + " more segments are not drawn: choose one above"));
  const bad = chart.series.filter(s => beyond(chart, s.values[i]));
  if (chart.limit !== null && chart.series.length)
    items.push(
      make(
        "li",
        {class: "unseen"},
        (bad.length ? "beyond" : "within") + " the limit of " + words(chart.limit, panel.unit),
      ),
    );
  chart.values.replaceChildren(when, ...(items.length ? items : [make("li", {}, "no data in this range")]));
  chart.badge.textContent = bad.length
    ? side(panel) + (panel.unit === "yes" ? "" : typeof panel.limit === "string" ? " objective" : " limit")
    : "";
  chart.plot.setAttribute("aria-valuemax", grid.n - 1);
  chart.plot.setAttribute("aria-valuenow", i);
  chart.plot.setAttribute("aria-valuetext", [...chart.values.children].map(li => li.textContent).join(", "));
  mark(chart, i);
}

function mark(chart, i) {
  if (!chart.line) return;
  const on = state.cursor !== null;
  const x = chart.x(timeOf(chart.grid, i));
  chart.line.setAttribute("visibility", on ? "visible" : "hidden");
  chart.line.setAttribute("x1", x);
  chart.line.setAttribute("x2", x);
  chart.dots.forEach((dot, k) => {
    const value = chart.series[k].values[i] ?? null;
    dot.setAttribute("visibility", on && value !== null ? "visible" : "hidden");
    if (value !== null) {
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", chart.y(value));
    }
  });
}

function read(t) {
  state.cursor = t;
  charts.forEach(show);
}

function point(chart, event) {
  if (!chart.bounds) return;
  const [left, inner] = chart.bounds;
  const {grid} = chart;
  const share = (event.clientX - chart.plot.getBoundingClientRect().left - left) / inner;
  read(grid.start + Math.max(0, Math.min(1, share)) * (grid.end - grid.start));
}

function key(chart, event) {
  const {grid} = chart;
  if (!grid) return;
  const jump = event.shiftKey ? grid.step : Math.max(grid.step, state.range / 84);
  const t = state.cursor ?? grid.end;
  const moves = {
    ArrowLeft: t - jump,
    ArrowDown: t - jump,
    ArrowRight: t + jump,
    ArrowUp: t + jump,
    PageDown: t - 7 * jump,
    PageUp: t + 7 * jump,
    Home: grid.start,
    End: grid.end,
  };
  if (event.key === "Escape") read(null);
  else if (event.key in moves) read(Math.max(grid.start, Math.min(grid.end, moves[event.key])));
  else return;
  event.preventDefault();
}

function tabulate(chart) {
  if (!chart.details.open || !chart.grid) return;
  const {grid, panel} = chart,
    series =
      panel.kind === "timeline" ? chart.series.filter(s => s.labels.severity !== "none") : chart.series;
  const name = s => (panel.kind === "timeline" ? alertName(s.labels) : s.name || panel.title);
  const stride = Math.max(1, Math.ceil(grid.n / 60));
  const head = make(
    "tr",
    {},
    make("th", {scope: "col"}, "UTC"),
    ...series.map(s => make("th", {scope: "col"}, name(s))),
  );
  const lines = [];
  for (let i = grid.n - 1; i >= 0; i -= stride)
    lines.push(
      make(
        "tr",
        {},
        make("th", {scope: "row"}, moment(timeOf(grid, i))),
        ...series.map(s =>
          make(
            "td",
            {},
            panel.kind === "timeline"
              ? s.values[i] === 1
                ? s.labels.severity
                : ""
              : words(s.values[i], panel.unit),
          ),
        ),
      ),
    );
  chart.table.replaceChildren(
    make("table", {}, make("caption", {}, panel.title), make("thead", {}, head), make("tbody", {}, ...lines)),
  );
}

// The page.

function paint(chart) {
  if (!chart.grid) return;
  if (chart.panel.kind === "timeline") timeline(chart);
  else curves(chart);
  show(chart);
  tabulate(chart);
}

async function refresh() {
  const mine = (turn += 1);
  tell();
  try {
    if (!embedded) await discover();
    const loaded = await Promise.all(charts.map(load));
    if (mine !== turn) return;
    loaded.forEach(({found, grid, limit}, i) => {
      const chart = charts[i];
      Object.assign(chart, {grid, limit});
      chart.series =
        chart.panel.kind === "timeline" ? found.filter(s => belongs(s.labels)) : drawable(chart, found);
    });
    const alerts = charts.find(c => c.panel.kind === "timeline");
    const pages = alerts.series.filter(s => s.labels.severity === "page");
    const paged = Array.from({length: alerts.grid.n}, (_, i) =>
      pages.some(s => s.values[i] === 1) ? 1 : null,
    );
    pagesNow = spansOf(paged, alerts.grid);
    await judge(alerts);
    if (mine !== turn) return;
    const empty = charts.every(c => !c.series.some(s => s.values.some(v => v !== null)));
    trouble(
      empty
        ? "This range has no data at all. Choose another range, or look whether Prometheus scrapes the exporter (Status, Targets)."
        : "",
    );
    byId("board").classList.remove("stale");
    charts.forEach(paint);
  } catch (error) {
    if (mine !== turn) return;
    byId("board").classList.add("stale");
    trouble(error.message);
    say("unknown", "Nobody can say: the numbers cannot be read.");
  }
}

function trouble(text) {
  byId("trouble").hidden = !text;
  if (byId("trouble").textContent !== text) byId("trouble").textContent = text;
}

async function discover() {
  const found = await ask("label/segment/values", {
    "match[]": "embedding_drift_window_vectors",
    start: now() - 12 * WEEK,
  });
  offer(found);
}

function offer(found) {
  const order = s => (s === "all" ? "" : s);
  const sorted = [...new Set(found)]
    .filter(s => s !== "other")
    .sort((a, b) => (order(a) < order(b) ? -1 : 1));
  if (sorted.join() === segments.join()) return;
  segments = sorted;
  const options = segments.map(s => make("option", {value: s}, s === "all" ? "all (the whole traffic)" : s));
  byId("segment").replaceChildren(byId("segment").options[0], ...options);
  byId("segment").value = segments.includes(state.segment) ? state.segment : "";
}

const numbered = story => embedded.stories.indexOf(story) + 1 + " " + story.title;

function tell() {
  const grid = gridOf("lines");
  const slider = byId("asof");
  const [first, last] = embedded ? [embedded.start, embedded.end] : [now() - 12 * WEEK, now()];
  Object.assign(slider, {min: first, max: last, step: embedded ? embedded.step : HOUR});
  slider.value = grid.end;
  slider.setAttribute("aria-valuetext", moment(grid.end) + " UTC");
  byId("when").textContent = moment(grid.end);
  const year = new Date(grid.end * 1000).getUTCFullYear();
  byId("moment").textContent =
    "As of " +
    moment(grid.end)
      .replace(" ", "\u00a0")
      .replace(/ (?=\d\d:)/, " " + year + ", ") +
    " UTC";
  for (const button of byId("ranges").children)
    button.setAttribute("aria-pressed", +button.value === state.range);
  for (const button of byId("chapters").children)
    button.setAttribute("aria-pressed", button.value === state.story);
  const story = embedded?.stories.find(s => s.title === state.story);
  byId("shows").textContent = story
    ? "To see: " + story.shows + "."
    : "Each button sets the page to a day after the end of a story, when its last day has been judged.";
}

function change(what) {
  Object.assign(state, {cursor: null}, what);
  refresh();
}

function start() {
  for (const {title, panels} of rows) {
    const made = panels.map(chartOf);
    charts.push(...made);
    const id = "row-" + charts.length;
    const line = kind =>
      make("div", {class: "row"}, ...made.filter(c => c.panel.kind === kind).map(c => c.box));
    byId("board").append(
      make("section", {"aria-labelledby": id}, make("h2", {id}, title), line("timeline"), line("lines")),
    );
  }
  for (const [text, seconds] of RANGES) {
    const button = make("button", {type: "button", value: seconds}, text);
    button.addEventListener("click", () => change({range: seconds, story: null}));
    byId("ranges").append(button);
  }
  for (const story of embedded?.stories ?? []) {
    const button = make("button", {type: "button", value: story.title}, numbered(story));
    // A day is judged when it is over: what there is to know of the last one is known a day later.
    const end = Math.min(
      embedded.end,
      embedded.start + Math.floor((story.end + DAY - embedded.start) / embedded.step) * embedded.step,
    );
    button.addEventListener("click", () => change({range: 4 * WEEK, end, story: story.title}));
    byId("chapters").append(button);
  }
  byId("stories").hidden = !embedded?.stories.length;
  byId("segment").addEventListener("change", event => change({segment: event.target.value}));
  byId("asof").addEventListener("change", event => change({end: +event.target.value, story: null}));
  byId("asof").addEventListener("input", event => {
    byId("when").textContent = moment(+event.target.value);
    if (embedded) change({end: +event.target.value, story: null});
  });
  byId("latest").addEventListener("click", () => change({end: null, story: null}));
  byId("controls").addEventListener("submit", event => event.preventDefault());
  if (embedded)
    offer(
      embedded.series.filter(s => s.metric === "embedding_drift_window_vectors").map(s => s.labels.segment),
    );
  let width = 0;
  new ResizeObserver(() => {
    if (innerWidth !== width) {
      width = innerWidth;
      charts.forEach(paint);
    }
  }).observe(document.body);
  if (!embedded)
    setInterval(() => {
      if (state.end === null && state.cursor === null) refresh();
    }, 60000);
  refresh();
}

start();
