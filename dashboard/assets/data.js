"use strict";

const HOUR = 3600;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;
const RANGES = [
  ["12 weeks", 12 * WEEK],
  ["4 weeks", 4 * WEEK],
  ["1 week", WEEK],
  ["1 day", DAY],
];
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const DASHES = ["", "7 3", "2 2.5", "10 3 2 3", "4 2", "1 3", "14 4"];
const MOST = DASHES.length;
const HEIGHT = 150;
const EDGE = {left: 46, top: 10, bottom: 22};
const LANE = 23;
const BAR = 17;

const byId = id => document.getElementById(id);
const given = id => byId(id) && JSON.parse(byId(id).textContent);
const {rows, meaning, runbook} = given("panels");
const embedded = unpacked(given("data"));
const now = () => Math.floor(Date.now() / 1000);
const state = {segment: "", range: 12 * WEEK, end: null, cursor: null, story: null};
let segments = [];
let charts = [];
let pagesNow = [];
let turn = 0;

// Elements. Nothing is ever made from text by parsing it: a label's value cannot become markup.

function add(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
const make = (tag, attributes = {}, ...children) => add(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) =>
  add(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

// The room that words take, in the font of the drawings.
const pen = document.createElement("canvas").getContext("2d");
function width(text) {
  pen.font = getComputedStyle(byId("sentence")).fontFamily.replace(/^/, "12px ");
  return pen.measureText(text).width * 1.04 + 2;
}

// Where the numbers come from: the page itself, or the Prometheus that serves it.

function unpacked(data) {
  if (!data) return null;
  const long = run => (Array.isArray(run) ? Array(run[1]).fill(run[0]) : [run]);
  const series = data.series.map(([metric, labels, runs]) => ({metric, labels, values: runs.flatMap(long)}));
  return {...data, series, end: data.start + data.step * (data.n - 1)};
}

const has = (labels, match) => Object.entries(match).every(([name, value]) => labels[name] === value);
const belongs = labels => !state.segment || !labels.segment || labels.segment === state.segment;

function stored(metric, match, grid) {
  const first = Math.round((grid.start - embedded.start) / embedded.step);
  return embedded.series
    .filter(s => s.metric === metric && has(s.labels, match))
    .map(({labels, values}) => ({
      labels,
      values: Array.from({length: grid.n}, (_, i) => values[first + i] ?? null),
    }));
}

async function ask(path, parameters) {
  let answer;
  try {
    answer = await fetch("../api/v1/" + path + "?" + new URLSearchParams(parameters));
  } catch (error) {
    throw new Error("Prometheus does not answer. Is it running? The page asks it again every minute.");
  }
  const body = await answer
    .json()
    .catch(() => ({error: "the answer is no JSON (status " + answer.status + ")"}));
  if (body.status !== "success") throw new Error("Prometheus refused a query: " + body.error);
  return body.data;
}

function query(metric, match) {
  const quoted = Object.entries(match).map(([name, value]) => name + "=" + JSON.stringify(value));
  return quoted.length ? metric + "{" + quoted.join(",") + "}" : metric;
}

async function fetched(metric, match, grid) {
  const span = {start: grid.start, end: grid.end, step: grid.step};
  const {result} = await ask("query_range", {query: query(metric, match), ...span});
  return result.map(({metric: labels, values: pairs}) => {
    const values = Array(grid.n).fill(null);
    for (const [t, v] of pairs)
      values[Math.round((t - grid.start) / grid.step)] = Number.isFinite(+v) ? +v : null;
    return {labels, values};
  });
}

const select = (metric, match, grid) =>
  embedded ? stored(metric, match, grid) : fetched(metric, match, grid);

// Alerts last shorter than curves bend: a timeline gets a finer grid.
function gridOf(kind) {
  const end = state.end ?? (embedded ? embedded.end : now());
  const points = kind === "timeline" ? 4032 : 504;
  const step = embedded ? embedded.step : Math.max(60, Math.ceil(state.range / points));
  const n = Math.floor(state.range / step) + 1;
  return {start: end - (n - 1) * step, end, step, n};
}

const timeOf = (grid, i) => grid.start + i * grid.step;
const indexOf = (grid, t) => Math.max(0, Math.min(grid.n - 1, Math.round((t - grid.start) / grid.step)));

// Words for numbers and times.

function day(t) {
  const date = new Date(t * 1000);
  return date.getUTCDate() + " " + MONTHS[date.getUTCMonth()];
}
const clock = t => new Date(t * 1000).toISOString().slice(11, 16);
const moment = t => day(t) + " " + clock(t);
const trimmed = (value, digits) => String(+value.toFixed(digits)).replace("-", "\u2212");

function duration(seconds) {
  const size = Math.abs(seconds);
  if (size >= 2 * DAY) return trimmed(seconds / DAY, 1) + "\u00a0d";
  return size >= HOUR ? trimmed(seconds / HOUR, 1) + "\u00a0h" : trimmed(seconds / 60, 0) + "\u00a0min";
}

function words(value, unit) {
  if (value === null || value === undefined) return "no data";
  if (unit === "seconds") return duration(value);
  if (unit === "share") return trimmed(value * 100, Math.abs(value) < 0.1 ? 2 : 1) + "\u00a0%";
  if (unit === "yes") return value >= 0.5 ? "yes" : "no";
  if (unit === "count") return trimmed(value, 1).replace(/\B(?=(\d{3})+$)/g, "\u2009");
  return trimmed(value, unit === "cosine" ? 3 : 2);
}

const listed = names =>
  names.length < 2 ? names.join("") : names.slice(0, -1).join(", ") + " and " + names.at(-1);
const place = name => (name === "all" ? "the whole traffic" : name);

// The one sentence.

function phrases(alerts) {
  const found = new Map();
  for (const {alertname, segment, outcome} of inOrder(alerts.map(labels => ({labels}))).map(a => a.labels)) {
    const [where, what] = found.get(alertname) ?? found.set(alertname, [new Set(), new Set()]).get(alertname);
    if (segment) where.add(segment);
    if (outcome) what.add(outcome.replace("_", " "));
  }
  const said = [...found].map(
    ([name, [where, what]]) =>
      (meaning[name] ?? name) +
      (what.size ? " (" + listed([...what].sort()) + ")" : "") +
      located([...where].sort()),
  );
  return said.slice(0, 2).join("; ") + (said.length > 2 ? "; and " + (said.length - 2) + " more" : "");
}

// Where a segment is named, everybody is affected through it.
function located(where) {
  const named = where.filter(name => name !== "all");
  if (named.length > 3) return " in " + named.length + " segments";
  return where.length ? " in " + listed((named.length ? named : where).map(place)) : "";
}

function verdict(firing) {
  const of = severity => phrases(firing.filter(labels => labels.severity === severity && belongs(labels)));
  const pages = of("page");
  const tickets = of("ticket");
  if (pages) return ["page", "Page: " + pages + "."];
  if (tickets) return ["ticket", "Nobody needs to wake up. Look this week: " + tickets + "."];
  // The watchdog always fires. Where it does not, silence means nothing.
  if (!firing.some(labels => labels.alertname === "DriftWatchdog"))
    return ["unknown", "Nobody can say: no alert rule was evaluated at this time."];
  return ["quiet", "Nobody needs to act" + (state.segment ? " in " + place(state.segment) : "") + "."];
}

function say(kind, sentence, alerts = []) {
  byId("verdict").className = kind;
  if (byId("sentence").textContent !== sentence) byId("sentence").textContent = sentence;
  byId("firing").replaceChildren(...alerts);
}

// Alerts of one name and segment are one lane, whatever the outcome.
function lanesOf(series) {
  const found = new Map();
  for (const {labels, values} of series) {
    const {alertname, segment, severity} = labels;
    const name = alertName({alertname, segment});
    const lane =
      found.get(name) ??
      found.set(name, {labels: {alertname, segment, severity}, values: [...values]}).get(name);
    values.forEach((v, i) => {
      if (v === 1) lane.values[i] = 1;
    });
  }
  return inOrder(
    [...found.values()].filter(lane => lane.labels.severity !== "none" && lane.values.includes(1)),
  );
}

async function judge(timeline) {
  const {grid, series} = timeline;
  const last = grid.n - 1;
  const firing = embedded
    ? series.filter(s => s.values[last] === 1).map(s => s.labels)
    : (await ask("query", {query: query("ALERTS", {alertstate: "firing"}), time: grid.end})).result.map(
        r => r.metric,
      );
  const known = firing.filter(labels => meaning[labels.alertname] && belongs(labels));
  const alerts = new Map();
  for (const labels of known) alerts.set(labels.alertname, [...(alerts.get(labels.alertname) ?? []), labels]);
  say(
    ...verdict(firing),
    inOrder([...alerts.values()].map(([labels]) => ({labels}))).map(({labels}) =>
      chip(
        labels,
        alerts.get(labels.alertname),
        series.filter(s => s.labels.alertname === labels.alertname),
        grid,
      ),
    ),
  );
}

// One alert with its segments, and the first moment of the run that lasts until the end.
function chip({alertname, severity}, all, series, grid) {
  const where = [...new Set(all.map(labels => labels.segment).filter(Boolean))].sort().join(", ");
  let i = grid.n;
  while (i > 0 && series.some(s => s.values[i - 1] === 1)) i -= 1;
  const when =
    i === grid.n
      ? "since just now"
      : i === 0
        ? "since before " + day(grid.start)
        : "since " + moment(timeOf(grid, i));
  return make(
    "li",
    {class: severity},
    make("b", {}, severity),
    " ",
    make("a", {href: section(alertname)}, alertname),
    " ",
    make("span", {}, where),
    " ",
    make("small", {}, when),
  );
}

const section = alert => runbook + "#" + alert.toLowerCase();
const alertName = labels =>
  [labels.alertname, labels.segment, labels.outcome].filter(Boolean).join(" \u00b7 ");

function inOrder(alerts) {
  const rank = ({labels}) =>
    (labels.severity === "page" ? "0" : "1") +
    Object.keys(meaning).indexOf(labels.alertname).toString().padStart(3, "0") +
    (labels.segment ?? "");
  return [...alerts].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}
