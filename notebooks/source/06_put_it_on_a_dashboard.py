# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Put it on a dashboard
#
# At the end you will have taken a monitor's numbers all the way to a pager, through twelve weeks of incidents, and you will know when a green dashboard is a blind one.
#
# **Launch:** run `python3 playbook.py open 06` in the project's folder. It opens this notebook in JupyterLab on your machine. Links to Binder and Colab appear here after `python3 playbook.py links OWNER/REPO`, with your copy's address on GitHub.
#
# | To read | To practise | To run | Memory |
# |---|---|---|---|
# | 30 minutes | 20 minutes | 40 seconds | 550 MB |
#
# ## What you will be able to do
#
# - You can export a monitor to Prometheus, say which numbers are gauges and which are counters, and what must never become a label.
# - You can read a recording rule and an alert rule, and compute both by hand.
# - You can predict from a cause who is woken, who gets a ticket, and who hears nothing; and tell *unusual* from *unacceptable*.
# - You can count the messages that a quiet year brings, and choose windows that do not flap.
# - You can make a dashboard say that it is blind, and write the page that a woken person reads.
#
# ## What you need
#
# NumPy and pandas. Drift scores and alarm budgets are notebooks 02 and 04, but you can take them on trust here. No server is needed: Prometheus, the program that most teams use to store such numbers and to evaluate rules on them, is played by NumPy. Everything is synthetic: a search product that you can break.

# %% tags=["setup"]
# At home this finds the helpers, one folder up. On Colab it fetches them first.
import os
import subprocess
import sys

# One thread for BLAS, asked for before NumPy comes: with more of them, small products only wait.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if "google.colab" in sys.modules and not os.path.exists("../helpers"):
    REPOSITORY, REF = "", "main"
    if not REPOSITORY:
        sys.exit("This copy has no address yet. Where you keep it, run: python3 playbook.py links OWNER/REPO")
    if not os.path.exists("playbook"):
        clone = ["git", "clone", "--quiet", "--depth=1", f"--branch={REF}"]
        subprocess.run([*clone, f"https://github.com/{REPOSITORY}", "playbook"], check=True)
    os.chdir("playbook/notebooks")
    subprocess.run([sys.executable, "../tools/colab.py"], check=True)
sys.path.insert(0, "..")

# %%
import datetime
import re
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from IPython.display import HTML, Markdown

from dashboard import history, page, panels, servers
from helpers import plots
from helpers.alerts import OBJECTIVE, RULES, SEVERE_BURN, evaluate
from helpers.exercises import check, hint
from helpers.exporter import samples, serve
from helpers.monitor import Monitor
from helpers.predictions import reveal
from helpers.promql import increase
from helpers.synthetic import Product

# %% [markdown]
# ## 1. What does a dashboard read?
#
# A **monitor** (`helpers/monitor.py`) learns from sixteen quiet weeks what is usual, then takes traffic as it comes. Once a day and segment it gives nine verdicts: five **detectors** watch the questions (query drift, spread, cluster shift, novelty, and the gap between questions and index), four charts watch the **outcomes** (searches that fail, that end without a click, without an answer, with a support ticket). Each has a limit from an alarm budget. All of that stands in one SQLite file.
#
# Nobody looks at a file. So begin with a product, a file, and eight days of traffic.

# %%
HOUR, DAY, MONDAY = 3_600, 86_400, datetime.date(2026, 1, 5)
start = datetime.datetime.combine(MONDAY, datetime.time(), datetime.UTC).timestamp()
now = [start]  # a clock that you can set; a service leaves it out
product = Product(seed=0, queries_per_day=800)
quiet = product.run(days=16 * 7, start=-17 * 7)

folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
monitor = Monitor(Path(folder.name, "monitor.sqlite"), clock=lambda: now[0])
monitor.fit(quiet, segments=["web", "mobile", "partner"], day_zero=MONDAY)


def send(day, log):
    """Give the monitor a day of traffic, just after that day."""
    now[0] = start + (day + 1) * DAY
    monitor.update(log, f"day {day}")


for day in range(-7, 1):
    send(day, product.run(days=1, start=day))

# %% [markdown]
# An **exporter** is a web server with one page. Prometheus asks for that page every minute, a **scrape**, and stores each number with the time. This one listens on 127.0.0.1, which only this machine can reach.

# %%
running = ExitStack()
url = running.enter_context(serve(monitor.store.path, port=0))  # 0: any port that is free
scrape = servers.get(url).decode()  # what a browser would show
print(len(samples(monitor)), "series, some of them:\n")

wanted = r"embedding_drift_(score|threshold|checks_total)|search_queries_total"
line = rf"(# HELP |# TYPE )?({wanted})( |{{(detector=\"index_gap\",)?(result=\"\w+\",)?segment=\"all\")"
for found in filter(re.compile(line).match, scrape.splitlines()):
    print(re.sub(r"0\.\d{5,}", lambda number: f"{float(number[0]):.3g}", found))  # shorter

# %%
running.close()
try:
    servers.get(url)
except OSError:
    print("Nobody answers any more.")

# %% [markdown]
# That is the whole protocol: a name, labels in braces, a number. (Long numbers are shortened here.) Today and in a year, it is the same number of lines. The queries are those of the eight days and of twelve of the sixteen quiet weeks. (The first four are the reference: what later queries are compared with, and no traffic that was watched.) A check is made when a day is over, so the eighth day has none yet.
#
# - A **gauge** is how things stand: the score of the last finished day. Between two scrapes it may have been anything.
# - A **counter** only grows: so many checks said "drift", so many queries came. Whoever missed a scrape sees at the next one what happened in between. So *decisions* should rest on counters.
# - A **label** splits a metric into series. Every set of label values is a series of its own, kept in memory and on disk for as long as Prometheus remembers.
#
# What about a label with the query, or the session? It would be so handy.

# %%
week = product.run(days=7)
metrics = {name for name, labels in samples(monitor) if dict(labels).get("segment") == "web"}
print(f"sessions of one week: {week.outcomes['session'].nunique()}, each new")
print(f"new series a week, if the {len(metrics)} metrics with a segment had the session, too:")
print(f"  {len(metrics) * week.outcomes['session'].nunique():,} at least")

# %% [markdown]
# A label is for a *short, closed* list. And `/metrics` has no password: whatever is in a label, everybody on the network can read. **No query text, no user, no document in a label.** The exporter knows the segments that the monitor was fitted with; queries of any other count as `other`.
#
# ## 2. What does a restart do to a count?
#
# A simple service counts in memory. It is restarted on the evening of day 3 (days count from 0), and its counter begins again at 0.
#
# **Predict.** At noon of the next day, day 4, you want to know how many queries the last day had. About 700 came. What does the counter now minus the counter a day ago say? Put your number in place of the dots before you go on. (Where there are no dots, write it on paper.)

# %% tags=["predict"]
guess = ...  # queries


# %%
def counter_by_hour(log, counts):
    """Count the rows of a log as its hours pass; the rows of a day are spread evenly over it."""
    days = log.outcomes["day"]
    place = log.outcomes.groupby("day").cumcount() / days.groupby(days).transform("size")
    hour = ((days + place) * 24).astype(int)
    per_hour = np.bincount(hour, np.asarray(counts, float), minlength=24 * (days.max() + 1))
    return np.concatenate([[0], per_hour.cumsum()])


def increase_by_hand(counter):
    """Add up the steps; a fall is a restart from 0."""
    grown = 0.0
    for before, after in zip(counter[:-1], counter[1:], strict=True):
        grown += after - before if after >= before else after
    return grown


# %%
counter = counter_by_hour(week, np.ones(len(week)))
hours = np.arange(len(counter))
restart = 3 * 24 + 20
counter[restart:] -= counter[restart]

noon = 4 * 24 + 12
reveal(guess, counter[noon] - counter[noon - 24], "queries")
print(f"subtraction:      {counter[noon] - counter[noon - 24]:.0f}")
print(f"by hand:          {increase_by_hand(counter[noon - 24 : noon + 1]):.0f}")
print(f"helpers.promql:   {increase(HOUR * hours, counter, DAY)[noon]:.0f}")
seen = np.where(hours % 24 == 12, np.nan, counter)  # the scrapes at noon go wrong
print(f"without noon:     {increase(HOUR * hours, seen, DAY)[noon]:.1f}")

# %%
lines = pd.DataFrame({"counter": counter, "increase of a day": increase(HOUR * hours, counter, DAY)})
lines["subtraction"] = lines["counter"].diff(24)
axes = plots.canvas(2, 1, width=8, height=4.2, sharex=True)
style = {"xlabel": "hour", "ylabel": "queries"}
title = "The counter forgets when the service restarts"
plots.timeline(axes[0, 0], lines["counter"], title=title, **style).label_outer()
title = "Subtraction loses a day, increase() does not"
looks = {"subtraction": {"dashed": True}, "increase of a day": {"colour": "reference"}}
for name, look in looks.items():
    plots.timeline(axes[1, 0], lines[name].dropna(), title=title, label=name, **style, **look)
plots.show(axes)

# %% [markdown]
# Subtraction says that fewer than no queries came. Adding up the steps, and taking a fall for a restart, gives the truth. Prometheus calls this function `increase(counter[1d])`. The last number printed shows a trait that surprises people: where scrapes are missing at the edges, it stretches what it saw to the whole window, and returns fractions. So a rule never asks whether *exactly one* check failed. The rules here ask for half a check or more.
#
# The first event needs care, too. A series that appears with its first event jumps from nothing to 1, and nothing is no number to grow from. So every counter of this exporter is there from the beginning, at 0. And it does not count in memory: it adds up tables of the file, so a restart changes nothing.
#
# ## 3. How does a number become an alert?
#
# Prometheus evaluates rules every minute. A **recording rule** stores the result of a formula as a new series. An **alert rule** fires where a formula holds. They stand in text files, which you can read here as Prometheus does.

# %%
rules = {}
for path in sorted(Path("../dashboard/prometheus/rules").glob("*.yml")):
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
        rules |= {rule.get("record") or rule["alert"]: rule for rule in group["rules"]}

CHAIN = [
    "segment_detector:embedding_drift_checks_flagged:increase3d",
    "segment_detector:embedding_drift_alarm:bool",
    "segment:embedding_drift_detectors_in_alarm:count",
    "EmbeddingDriftSustained",
]
for name in CHAIN:
    waits = [f"{key}: {rules[name][key]}" for key in ("for", "keep_firing_for") if key in rules[name]]
    print(name, *(f"\n    {text}" for text in [*rules[name]["expr"].splitlines(), *waits]), "\n")

# %% [markdown]
# From bottom to top: a ticket is due if at least two detectors are in alarm for an hour. A detector is in alarm if one of its last three daily checks said "drift". (`bool` turns a comparison into 0 or 1. The second line of the second rule demands that somebody looked at all; section 8 comes to that.)
#
# `for` and `keep_firing_for` give an alert a memory. It waits, so that one odd minute wakes nobody; and it stays on, so that it does not come and go with each good hour.
#
# You need samples. `history.twelve_weeks` plays twelve weeks of the product through a real monitor, with accidents, and keeps what a scrape each hour would have seen. Now compute that ticket by hand, for all segments.

# %%
END = datetime.datetime(2026, 3, 30, tzinfo=datetime.UTC)
weeks = history.twelve_weeks(END.timestamp())
t, day = weeks.t, (weeks.t - weeks.t[0]) / DAY
print(f"{len(weeks.series)} series of {len(t)} hours")


def sample(series, metric, **labels):
    """Return one series: its value at each hour, NaN where there is none."""
    return series[metric, tuple(sorted(labels.items()))]


# %%
DETECTORS = ["query_drift", "spread", "cluster_shift", "novelty", "index_gap"]
SEGMENTS = ["all", "web", "mobile", "partner"]


def in_alarm(detector, segment):
    labels = {"detector": detector, "segment": segment, "result": "drift"}
    return increase(t, sample(weeks.series, "embedding_drift_checks_total", **labels), 3 * DAY) >= 0.5


def fires(is_true, wait, keep):
    """One evaluation an hour: on after `wait` hours, off `keep` hours after the condition ended."""
    out, held, over = [False], 0, 0
    for true in is_true:
        held, over = (held + 1, 0) if true else (0, over + 1)
        out.append(held > wait or (out[-1] and over <= keep))
    return np.array(out[1:])


# %%
made = evaluate(t, weeks.series)  # every rule, at every hour
rule = RULES["EmbeddingDriftSustained"]
ticket = dict(alertname="EmbeddingDriftSustained", alertstate="firing", component="embedding")
for segment in SEGMENTS:
    detectors = sum(in_alarm(detector, segment) for detector in DETECTORS)
    by_hand = fires(detectors >= 2, wait=rule.wait / HOUR, keep=rule.keep / HOUR)
    helper = sample(made, "ALERTS", segment=segment, severity="ticket", **ticket) == 1
    print(f"{segment:8} fires in {by_hand.sum():3} of {len(t)} hours; the same as the helper:", end=" ")
    print(np.array_equal(by_hand, helper))

# %% [markdown]
# `helpers.alerts.evaluate` computes every rule of the files in this way, and returns the alerts as the series `ALERTS`, as Prometheus does. Open it beside the rules. The project's tests hold both together, on the same samples, with the real Prometheus.
#
# ## 4. Who would have been woken?
#
# There are two ways to reach a human. A **page** wakes somebody now. A **ticket** waits for the working day. The rules about people and questions say, in words:
#
# | | fires if |
# |---|---|
# | page `EmbeddingDriftWithOutcomeDegradation` | one and the same outcome of a segment rings twice within three days, **and** either two of its detectors or the gap alone is in alarm |
# | page `SearchSupplyWithOutcomeDegradation` | frozen probes fail **and** an outcome is unusual |
# | page `SearchOutcomeSevere` | an outcome is far beyond what the product accepts, whatever the reason |
# | ticket `EmbeddingDriftSustained` | two detectors are in alarm |
# | ticket `SearchOutcomeDegraded` | an outcome is unusual |
# | ticket `SearchProbesFailing` | frozen probes fail |
#
# A **probe** is a known question with a known answer, asked again each day. Only the index or the embedder can change how it fares. And here is what happened to the product in these twelve weeks. Each story ends before the next begins.

# %%
stories = [(story.title, *((np.array(story[1:3]) - t[0]) / DAY)) for story in weeks.stories]
for number, (title, first, last) in enumerate(stories, 1):
    print(f"{number}  day {first:5.2f} to {min(last, day[-1]):5.2f}  {title}")

# %% [markdown]
# **Predict.** Say for each of the six: page, ticket, or silence? Then commit to a number: how many of the six wake somebody with a page?
#
# The next cells look up, for each alert, in which story it began to fire, and after how many days. "Between" counts those that began in no story.

# %% tags=["predict"]
guess = ...  # of the six stories


# %%
def alerts(evaluated):
    """Return the labels of each alert and when it fires; without the one that always does."""
    found = [(dict(labels), x == 1) for (name, labels), x in evaluated.items() if name == "ALERTS"]
    return [(labels, firing) for labels, firing in found if labels["severity"] != "none"]


def begins(firing):
    """Return at which places an alert begins to fire."""
    return np.flatnonzero(np.diff(firing.astype(int), prepend=0) > 0)


def story_of(when):
    """Return the number of the story that an alert belongs to, up to four days after its end."""
    for number, (_, first, last) in enumerate(stories, 1):
        if first <= when < last + 4:
            return str(number)
    return "between"


# %%
rows = []
for labels, firing in alerts(made):
    for when in day[begins(firing)]:
        number = story_of(when)
        delay = when - stories[int(number) - 1][1] if number != "between" else np.nan
        rows.append((labels["severity"], labels["alertname"], number, delay, labels.get("segment", "")))
rows = pd.DataFrame(rows, columns=["", "alert", "story", "days", "segment"])
table = rows.pivot_table(index=["", "alert"], columns="story", values="days", aggfunc="min")
table = table.reindex(columns=list("123456")).map("{:.1f}".format).replace("nan", "·")
between = rows[rows["story"] == "between"].groupby("alert").size()
table["between"] = [between.get(alert, "·") for _, alert in table.index]
woken = set(rows.loc[rows[""] == "page", "story"]) - {"between"}
reveal(guess, len(woken), "of the six stories")
print("days from the beginning of a story to the first alert")
print(table.to_string())

# %%
initials = rows.assign(segment=rows["segment"].str[:1])[rows["segment"] != ""]
whose = initials.pivot_table(
    index=["", "alert"], columns="story", values="segment", aggfunc=lambda some: "".join(sorted(set(some)))
)
print("in which segments: all, web, mobile, partner")
print(whose.fillna("·").to_string())

# %% [markdown]
# Four of the six wake somebody. Read both tables column by column.
#
# 1. The **launch** changes the questions and hurts nobody: one kind of ticket.
# 2. The **upgrade** that left the index behind shows in questions, match, supply and outcomes. The probes say so first, after a day, and the pages follow. One of them is `SearchOutcomeSevere`, for mobile, whose ordinary days are nearest to what is unacceptable.
# 3. The **deleted documents** changed no question. All the same there are pages: by the probes, by mobile's outcomes, and by the gap, the one detector that looks at questions *and* index. (The ticket about drift is for mobile: the gap, and a chart of topics that happened to ring. One of them alone is within the budget.)
# 4. The **page design** took clicks away. Questions, index and answers are as before, so no detector and no probe has anything to say: one kind of ticket.
# 5. **Exporter down**: we come back to this column.
# 6. The **noisier client** is the smallest segment: a page for it, and for no other.
#
# No alert that rests on a verdict of the monitor is faster than a day, since it decides once a day; the tickets about the exporter begin at once. Stories 2 and 3 ring the same alerts: only the panels below tell a stale index from a shrunken one. And "between" shows what the budget allows: a false alarm now and then, here a ticket.
#
# Now look at it. The same list of panels (`dashboard/panels.py`) draws this figure, a page without a server, a page that Prometheus serves, and a Grafana dashboard.

# %%
everything = weeks.series | made
title = "Six stories: the alerts say whether to act, the rows below say on what"
figure = plots.dashboard_view(t, everything, panels.PANELS, title=title, stories=weeks.stories)
plots.show(figure.axes[0])

# %% [markdown]
# At the top, *should anyone act?* Below, one row for each question that a person would ask next: is it the **demand**, the **match** of questions and index, the **supply**, and is **anybody hurt**? A launch lights up the demand (and its documents arrive); deleted documents the match, the supply and the outcomes; a page design one chart of the outcomes. The exceedance of a detector is in units that all share: 0 is usual, 1 is its calibrated limit. The last row is about the dashboard itself. (An alert about outcomes exists for each outcome; the figure draws them as one row.)
#
# A picture does not answer back. The page does: choose a segment, jump to a story, point at a moment. It holds its data, asks no server, and loads nothing from anywhere. The cell writes it beside this notebook and shows it in a frame.

# %%
html = page.page(t, everything, stories=weeks.stories)
Path("06_dashboard.html").write_text(html, encoding="utf-8")
print(f"06_dashboard.html: {len(html) / 1e3:.0f} kB")
frame = '<iframe src="06_dashboard.html" title="The dashboard" width="100%" height="640"></iframe>'
HTML(f"<div>{frame}</div>")

# %% [markdown]
# Do you see no frame? On GitHub, in Colab and in some editors, a notebook may not show a file from beside it; and JupyterLab shows it only after you have run the cell. Then open `06_dashboard.html` in a browser, or write a fresh one with `python -m dashboard --page dashboard.html`.
#
# ## 5. Unusual, or unacceptable?
#
# The monitor's charts say what is **unusual** in comparison with quiet weeks. Nobody had to say what is good: the limits are calibrated. The **objectives** say what is **unacceptable**. No statistics can know that; it is a decision of the product, in one place of the rules. A page `SearchOutcomeSevere` needs a multiple of the objective, so that only a clear case wakes somebody without any hint at the cause.

# %%
decisions = pd.DataFrame({"accepted (%)": OBJECTIVE, "wakes somebody (%)": SEVERE_BURN})
decisions["accepted (%)"] *= 100
decisions["wakes somebody (%)"] *= decisions["accepted (%)"]
print(decisions.map("{:.3g}".format).to_string())

# %% [markdown]
# **Predict.** At most 15 % of the searches may fail. In one segment there are eight days on which 8 searches in a hundred fail. In another, 9 in a hundred fail on an ordinary day. Which of them gets an alert?


# %%
def failing(segment):
    """Return which share of a segment's searches failed in the day before each hour."""
    labels = {"outcome": "failure", "segment": segment}
    return sample(made, "segment_outcome:search_outcome_bad:ratio_increase1d", **labels)


def unusual(segment):
    labels = {"outcome": "failure", "segment": segment}
    return sample(made, "segment_outcome:search_outcome_degraded:bool", **labels) == 1


calm = (day > 1) & (day < stories[0][1])
seen = pd.DataFrame(index=SEGMENTS)
seen["ordinary day (%)"] = [100 * failing(name)[calm].mean() for name in SEGMENTS]
seen["worst day (%)"] = [100 * np.nanmax(failing(name)) for name in SEGMENTS]
seen["from day"] = [day[np.nanargmax(failing(name))] - 1 for name in SEGMENTS]  # to the next one
seen["days unusual"] = [unusual(name).sum() / 24 for name in SEGMENTS]
seen["days unacceptable"] = [np.sum(failing(name) > OBJECTIVE["failure"]) / 24 for name in SEGMENTS]
print(seen.map("{:.1f}".format).to_string())

# %%
axes = plots.canvas(2, 1, width=9, height=5.2, sharex=True, sharey=True)
titles = {"partner": "Partner: a page's worth of change, nearly all of it accepted"}
titles["mobile"] = "Mobile: ordinary days as bad as the other segment's incidents"
style = {"xlabel": "day", "ylabel": "searches that fail (%)"}
style |= {"band": (0, 100 * OBJECTIVE["failure"]), "band_label": "accepted"}
for ax, (segment, title) in zip(axes.flat, titles.items(), strict=True):
    on, off = begins(unusual(segment)), begins(~unusual(segment))
    ends = [day[min(off[off > place], default=-1)] for place in on]
    spells = {f"story {story_of(day[a])}": (day[a], b) for a, b in zip(on, ends, strict=True)}
    daily = pd.Series(100 * failing(segment)[24::24])  # of day 0, of day 1, ...
    plots.timeline(ax, daily, title=title, events=spells, **style).label_outer()
    if segment == "partner":
        print("partner, days 76 to 83 (%):", *daily.loc[76:].round(1), f"mean {daily.loc[76:].mean():.0f}")
axes[0, 0].set_ylim(-1, 33)
plots.show(axes)

# %% [markdown]
# The first one: partner in story 6, on days 76 to 83. (Its worst day is another, day 41, in story 3.) Shaded is the time in which a chart has rung within its last three daily checks: the shade comes a day late, and stays for up to three days. **Partner** hardly ever fails, so a few failing searches in a hundred are an alarm; they would be a fine day for **mobile**. Mobile fails in nearly one search in ten on ordinary days, and no chart will ever say so: it was like that in the sixteen quiet weeks, so it is usual. *A calibrated chart is blind to what was always bad.* And the objective is blind to what gets many times worse below it, such as partner's story.
#
# The objective tells nobody of mobile's days between 15 % and the 22.5 % that wake somebody: that band is for planning, not for the night. (That all four have nearly the same number of unusual days is chance.)
#
# You need both, and you should know which of the two is speaking. The chart asks: *what changed?* The objective asks: *can we live with it?*
#
# ## 6. How many messages does a quiet year bring?
#
# Four segments, nine charts each. The budget of notebook 04: one false alarm a quarter for all detectors of a segment together, and one for its outcomes. So about $4 \cdot 2 \cdot 4 = 32$ alarms of charts a year, in a year in which nothing happens. Each could be a message.
#
# Let the monitor of section 1 live through a quiet year, with a scrape a day. This is the longest wait of the notebook.

# %%
scrapes = []
for date in range(1, 365):
    send(date, product.run(days=1, start=date))
    scrapes.append(samples(monitor))


def as_series(scrapes):
    names = dict.fromkeys(name for scrape in scrapes for name in scrape)
    return {name: np.array([scrape.get(name, np.nan) for scrape in scrapes]) for name in names}


year = as_series(scrapes)
quiet_year = evaluate(DAY * np.arange(len(scrapes)) + start + 2 * DAY, year)

# %% [markdown]
# Between an alert and a human stands **Alertmanager**. It does two things that matter here. **Inhibition**: a page holds back the tickets that it explains, in the same segment. **Grouping**: alerts of one name become one message, whatever number of segments they name; one that joins later is a new message. (Reminders are not counted below.) Its file says which. The first of its rules: the *source* holds the *target* back where the labels in `equal` agree.
#
# **Predict.** Some forty alarms of charts in a quiet year. How many messages are left of them: how many pages, how many tickets?

# %% tags=["predict"]
guess_pages, guess_tickets = ..., ...  # messages in the year

# %%
text = Path("../dashboard/alertmanager/alertmanager.yml").read_text(encoding="utf-8")
inhibit = yaml.safe_load(text)["inhibit_rules"]
for key, value in inhibit[0].items():
    print(f"{key}: {', '.join(value)}")


def named(alert, matchers):
    return alert["alertname"] in re.findall(r"[A-Z]\w+", " ".join(matchers))


def held_back(alert, others):
    """Return when another alert that fires explains this one."""
    out = np.zeros(len(others[0][1]), bool)
    for rule in inhibit:
        for other, firing in others:
            same = all(other.get(label) == alert.get(label) for label in rule["equal"])
            if same and named(other, rule["source_matchers"]) and named(alert, rule["target_matchers"]):
                out |= firing
    return out


# %%
def count_messages(evaluated):
    """Count, for pages and tickets: alerts that begin, those not held back, and messages after grouping."""
    counts = pd.DataFrame(0, ["page", "ticket"], ["alerts", "not held back", "messages"])
    groups = {}
    for alert, firing in alerts(evaluated):
        loud = begins(firing & ~held_back(alert, alerts(evaluated)))
        counts.loc[alert["severity"], ["alerts", "not held back"]] += [len(begins(firing)), len(loud)]
        groups.setdefault((alert["severity"], alert["alertname"]), set()).update(loud)
    for (severity, _), moments in groups.items():
        counts.loc[severity, "messages"] += len(moments)
    return counts


# %%
charts = {name: x for name, x in year.items() if name[0].endswith("checks_total")}
flags = {name: x[-1] - x[0] for name, x in charts.items() if dict(name[1])["result"] in ("drift", "degraded")}
for kind in ("embedding_drift", "search_outcome"):
    print(f"{kind}: {sum(n for name, n in flags.items() if name[0].startswith(kind)):.0f} alarms of charts")
for name, evaluated in {"a quiet year": quiet_year, "twelve weeks of stories": made}.items():
    print(f"\n{name}\n{count_messages(evaluated).to_string()}")
messages = count_messages(quiet_year)["messages"]
reveal(guess_pages, messages["page"], "pages")
reveal(guess_tickets, messages["ticket"], "tickets")
sorts = pd.Series([alert["alertname"] for alert, x in alerts(quiet_year) for _ in begins(x)]).value_counts()
print("\nwhat began to fire in the quiet year:", sorts.to_dict())

# %% [markdown]
# No page in a year, and nineteen tickets, instead of a message for each of 45 alarms. (45 and not 32: notebook 04 says how far a budget from twelve weeks can miss.)
#
# Look at the last line, though. The detectors raised about as many alarms as the outcomes did. But drift asks for *two* detectors within three days, and that leaves 3 alerts of 23 alarms. A ticket about outcomes needs one chart, so nearly all of the quiet year's tickets are about outcomes. **Everybody fears that drift monitors cry wolf. In this quiet year it is the outcomes, which nobody thinks of as a monitor.** A page wants a coincidence of both, and two alarms of outcomes, and there was none.
#
# In the twelve weeks with stories, the pages held back two thirds of the tickets, and grouping made ten messages of eighteen pages: a stale index hurts all segments at once, and you want to hear it once.
#
# ## 7. How short may a window be?
#
# Twelve quiet weeks once more, hour by hour, and the simplest rule of all: *ring when a share exceeds its objective*. Textbooks on service levels use windows of minutes and hours, since a service answers thousands of requests a second. This product answers some 700 queries a day.
#
# **Predict.** How often a week does that rule ring with a window of two hours, over all four outcomes, for everybody? And with one of three days?

# %% tags=["predict"]
guess_hours, guess_days = ..., ...  # rings a week

# %%
log = product.run(days=84)
bad = {"failure": ~log.outcomes["success"].astype(bool), "no_click": ~log.outcomes["click"].astype(bool)}
bad |= {name: log.outcomes[name].astype(bool) for name in ("no_answer", "escalation")}
who = {name: log.outcomes["segment"].eq(name) | (name == "all") for name in SEGMENTS}
queries = {name: counter_by_hour(log, some) for name, some in who.items()}
hours = HOUR * np.arange(len(queries["all"]))


def share_and_size(outcome, segment, window):
    """Return the bad share of the queries in each window, and their number."""
    worse = counter_by_hour(log, bad[outcome] & who[segment])
    n = increase(hours, queries[segment], window * HOUR)
    return increase(hours, worse, window * HOUR) / np.where(n > 0, n, np.nan), n


# %%
WINDOWS = [2, 6, 24, 72]
rings, surely, enough = (pd.DataFrame(0.0, SEGMENTS, WINDOWS) for _ in range(3))
for segment in SEGMENTS:
    for window in WINDOWS:
        for outcome, objective in OBJECTIVE.items():
            share, n = share_and_size(outcome, segment, window)
            z = (share - objective) / np.sqrt(objective * (1 - objective) / np.where(n > 0, n, np.nan))
            rings.loc[segment, window] += len(begins(share > objective)) / 12
            surely.loc[segment, window] += len(begins((z > 3) & (n >= 50)))
            enough.loc[segment, window] = 100 * np.mean(n >= 50)
reveal(guess_hours, rings.loc["all", 2], "rings a week, with two hours")
reveal(guess_days, rings.loc["all", 72], "rings a week, with three days")

# %%
ax = plots.canvas(width=7, height=2.8)[0, 0]
columns = {2: "2 hours", 6: "6 hours", 24: "a day", 72: "3 days"}
style = {"unit": "rings in a quiet week, over four outcomes", "xlabel": "window"}
title = "Nothing happened: the shorter the window, the more it rings"
plots.alarm_map(ax, rings.rename(columns=columns), title=title, **style)
plots.show(ax)
print("rings in all twelve weeks, if 50 queries and z > 3 are demanded:")
print(surely.rename(columns=columns).map("{:.0f}".format).to_string())
few = {name: round(increase(hours, queries[name], 2 * HOUR)[1:].mean()) for name in SEGMENTS}
print("\nqueries in two hours, on average:", few)
print("\nshare of the windows that hold 50 queries (%):")
print(enough.rename(columns=columns).map("{:.0f}".format).to_string())

# %% [markdown]
# Over four outcomes and for everybody, windows of two hours ring 24 times a week, and for mobile, whose ordinary days lie close to the objectives, 91 times a week, though nothing happened. A window of two hours holds few queries, and for partner a handful: a single failing search moves the share by more than ten points.
#
# The repair is in the rules: demand at least 50 queries, and that the share lies three standard errors above the objective ($z > 3$). Almost all the rings are gone. But read the last table before you rejoice. At two hours, mobile and partner *never* have 50 queries. The rule is silent there because it is blind. **A window must hold enough events to say anything**, so the rules look at a day.
#
# The other cure is `keep_firing_for`: an alert that comes and goes ten times is one message. But it mends the flapping, not the reason for it.
#
# ## 8. What does an empty window say?
#
# A new version of the apps goes live, and it writes the segments differently: "Web app", "iPhone", and whatever a tester typed. Nothing else changes.
#
# **Predict.** What will the drift scores of the segments say? And how many series will the exporter have, with hundreds of invented names?

# %%
from dataclasses import replace

before = samples(monitor)
for date in range(365, 372):
    log = product.run(days=1, start=date)
    invented = [f"iPhone {number}; drop table" for number in range(len(log))]
    send(date, replace(log, outcomes=log.outcomes.assign(segment=invented)))
    scrapes.append(samples(monitor))
after = samples(monitor)
print(f"series: {len(before)} before, {len(after)} after")
for segment in SEGMENTS:
    n = sample(after, "embedding_drift_window_vectors", segment=segment, window="current")
    there = ("embedding_drift_score", (("detector", "novelty"), ("segment", segment))) in after
    print(f"{segment:8} {n:3.0f} queries of the last day, score: {'there' if there else 'no sample'}")

# %%
limit = sample(before, "embedding_drift_threshold", detector="novelty", segment="web")
for name, score in {"a drift": 2 * limit, "no drift": 0.5 * limit, "NaN": np.nan}.items():
    print(f"{name:8} above the limit: {score > limit}")
late = evaluate(DAY * np.arange(len(scrapes)) + start + 2 * DAY, as_series(scrapes))
print("\nwhat fires after a week without segments:")
for alert, firing in alerts(late):
    if firing[-1]:
        print(f"  {alert['severity']} {alert['alertname']} {alert.get('segment', '')}")
unknown = sample(late, "search_queries_unknown_segment:ratio_increase1d")
print(f"share of queries with an unknown segment: {unknown[-1]:.0%}")

# %% [markdown]
# No name out of the traffic became a label, and the number of series fell, because scores of empty segments have *no sample*. The obvious choice would have been NaN, "not a number". But NaN is above no limit. In Python and in Prometheus alike, `NaN > 1` is not true. **A detector that says NaN looks exactly like a detector that says "no drift"**, for ever, in green.
#
# A series that is not there is different: a rule can ask for that. So the exporter leaves out what it cannot know, counts a check `insufficient_data`, and says how many queries there were. The rules turn that into tickets: too few queries, no usable check. And everybody is still watched as "all", since those queries count there.
#
# ## 9. What does the woken person read?
#
# It is 3 a.m., and the person on call has never heard of a query-index gap. Each alert carries a link to its section of a **runbook**, a page that was written in daylight. Read one of the project's.

# %%
runbook = Path("../dashboard/runbook.md").read_text(encoding="utf-8")
section = re.search(r"^## SearchSupplyWithOutcomeDegradation$.*?(?=^## |\Z)", runbook, re.M | re.S)[0]
Markdown("##" + section.strip())

# %% [markdown]
# Five questions, and no more than fits a phone: what does it mean, where do I look, what is it usually, whom do I wake, and when is it over? Nobody marks the next two cells. They are a template, to be filled in when you have a quarter of an hour for your own product: write over each …, run the cell, and improve what it complains about.


# %%
def review(entry):
    """Say what is empty, too long, or in words that nobody on call knows."""
    words = {name: value if isinstance(value, str) else " ".join(value) for name, value in entry.items()}
    complaints = {
        "still empty": [name for name, text in words.items() if "…" in text or not text.strip()],
        "too long for a phone": [name for name, text in words.items() if len(text.split()) > 60],
        "unknown words": [word for word in ("MMD", "EWMA", "z-score", "p-value") if word in str(words)],
    }
    if len(complaints["still empty"]) == len(words) - 1:
        return "Not attempted yet."
    lines = [f"{what}: {', '.join(which)}" for what, which in complaints.items() if which]
    return "\n".join(lines) or "Give it to a colleague, without a word, and watch."


# %%
entry = {
    "alert": "EmbeddingDriftSustained",
    "means": "…",  # in words of the product, not of statistics
    "look": ["…", "…", "…"],  # each a place to look, and what to see there
    "usually": "…",
    "wake somebody": "…",
    "over": "…",
}
print(review(entry))

# %% [markdown]
# ## 10. Can you see the real thing?
#
# Where Prometheus and Alertmanager are installed, such as on Binder, `python -m dashboard` starts both and the exporter, on this machine alone, with twelve weeks behind them. Set `START = True` to do that from here. It takes about a minute.

# %%
START = False

if START:
    command = [sys.executable, "-u", "-m", "dashboard"]
    pages = 'count by (alertname) (max_over_time(ALERTS{severity="page"}[85d]))'
    demo = subprocess.Popen(command, cwd="..", stdout=subprocess.PIPE, text=True)
    for line in demo.stdout:
        print(line, end="")
        if "/consoles/" in line:
            server = line.split()[1].partition("/consoles")[0]
        if "Ctrl-C" in line:  # all of them run
            for found in servers.ask(server, pages):
                print("Prometheus says that in twelve weeks there was", found["metric"]["alertname"])
            break
else:
    print("Nothing was started.")

# %%
if START:
    demo.terminate()  # stops all three
    print(demo.communicate()[0])

# %% [markdown]
# On your own laptop, open the addresses that it printed. On Binder your browser cannot reach them, and the page of section 4 shows the same.
#
# ## When this misleads you
#
# Story 5 again. On day 60 a client breaks and sends one and the same vector in place of every fifth query. A little before, the exporter had been stopped, for a move to another machine, and two and a half days pass until somebody thinks of it.
#
# **Predict.** Which of the six rules in the list of section 4 fire during this time, without looking back? What would a dashboard show that had only those six?

# %%
TRUST = {name for name, rule in RULES.items() if rule.component == "monitor"}
_, first, last = stories[4]
gap = (day >= first) & (day < last)
fired = {alert["alertname"] for alert, firing in alerts(made) if firing[gap].any()}
print("rules about people and questions that fire:", ", ".join(sorted(fired - TRUST)) or "none")
print("rules about the monitor that fire:         ", ", ".join(sorted(fired & TRUST)))
first_hours = {
    alert["alertname"] for alert, firing in alerts(made) if firing[(day >= last) & (day < last + 0.5)].any()
}
print("within half a day of its return:           ", ", ".join(sorted(first_hours)))

# %%
truth = Product(0, queries_per_day=history.QUERIES).run(days=14, events=history.EVENTS, start=54).outcomes
real = 100 * (1 - truth.groupby("day")["success"].mean())
shown = pd.Series(100 * failing("all")[24::24]).loc[54:67]  # each day's share, as the day ends
ax = plots.canvas(width=8.5, height=3.4)[0, 0]
style = {"xlabel": "day", "ylabel": "searches that fail (%)"}
title = "The worst days of the fortnight are those that nobody saw"
gone = {"no scrape": (first + 0.5, last - 0.5)}
plots.timeline(ax, real, title=title, label="what happened", dashed=True, events=gone, **style)
plots.timeline(ax, shown, title=title, label="what the dashboard shows", colour="reference", **style)
plots.show(ax)

# %% [markdown]
# None. (The last dot in the gap is the day on which the exporter came back.) One search in five fails for two days, and no rule about people or questions has anything to say. A dashboard that had only those rows would be green. An exporter that is silent and a product that is well give the same picture: **green means "no alarm arrived".**
#
# Only the last row knew better, the dull one: *does the exporter answer, how old is the last check, did traffic arrive?* Its two tickets began within the hour. That is why such a row belongs on every dashboard, and why the page of section 4 says "as of when" beside its verdict.
#
# The story ends better than it might. The monitor went on judging while nobody asked it, and the counters kept what it said. A window of three days reaches back over the gap, so the page came within hours of the exporter's return. Had the rules looked at gauges, they would have seen the last of the bad days at best; had the exporter itself counted, neither.
#
# And who watches Prometheus? `DriftWatchdog` fires always. It is sent every few minutes to a service elsewhere that calls somebody when it stops hearing it, a **dead man's switch**.
#
# ## In production
#
# On Monday, with the file of your own monitor (notebook 12, and the README):
#
# - `python -m dashboard` shows the demo with servers, or writes the page without them. `python -m helpers.exporter --monitor FILE` serves your own file; it only reads, so it may run beside the monitor. For a job without a server, `--textfile OUT.prom` writes one scrape for node_exporter. Do not push: a Pushgateway keeps the last score for ever, long after the job is dead.
# - `dashboard/` holds what you deploy: Prometheus's configuration and rules, Alertmanager's routes, a Grafana dashboard, a file for Docker Compose, the runbook. Edit three things: the objectives in `rules/outcomes.yml`, the receivers in `alertmanager.yml`, and the address of the runbook.
# - Keep it to yourself. The exporter listens on 127.0.0.1 unless told otherwise; Prometheus and Alertmanager listen on every interface unless told otherwise. `/metrics` has no password.
# - Change a rule as you change code: with a unit test (`promtool test rules`). Then break the rule on purpose, and see whether the test notices.
# - Send the dead man's switch to somebody else's machine.
# - Once a quarter, count the messages. Delete or demote an alert on which nobody ever acted.

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell: it says correct, or what is not right yet. `hint("06-1")` helps in stages, and a solution is folded away below each exercise.
#
# ### Exercise 06-1: A page without its ticket
#
# Think of a week, days 0 to 6, in which every evening all nine charts of the segment partner say "ok". Turn some of these checks into alarms, so that the page `EmbeddingDriftWithOutcomeDegradation` fires and the ticket `EmbeddingDriftSustained` does not. Section 4 has the page in words, section 3 the ticket.
#
# Hand over a list of pairs, a day and a chart. The charts are `query_drift`, `spread`, `cluster_shift`, `novelty`, `index_gap`, and of the outcomes `failure`, `no_click`, `no_answer`, `escalation`. Before you run it: which of the six stories comes nearest to it? (Look for the one in which all segments get the page and only one of them the ticket.)

# %% tags=["exercise"]
alarms = ...  # such as [(3, "novelty"), (4, "failure")]
check("06-1", alarms)

# %% tags=["solution"]
# Solution of 06-1
# The gap is enough alone. The outcome rings twice.
alarms = [(3, "index_gap"), (3, "failure"), (4, "failure")]
check("06-1", alarms, solution=True)

# %% [markdown]
# ### Exercise 06-2: Fine, or blind?
#
# The rules of section 7 are silent when all is well, and silent when they see too little. Tell the two apart. Write `verdicts(bad, queries, objective)`. It gets two arrays, the bad and all queries of some windows, and the accepted share, such as 0.15. It returns one word for each window:
#
# - "blind", if the window holds fewer than 50 queries, or one of the two numbers is NaN,
# - else "ring", if the share is more than three standard errors above the objective ($z > 3$, as in section 7),
# - else "fine".


# %% tags=["exercise"]
def verdicts(bad, queries, objective):
    return ...  # an array or a list of words


check("06-2", verdicts)


# %% tags=["solution"]
# Solution of 06-2
def verdicts(bad, queries, objective):
    z = (bad / queries - objective) / np.sqrt(objective * (1 - objective) / queries)
    seen = (queries >= 50) & ~np.isnan(bad)  # of NaN queries it is not true that they are 50
    return np.where(~seen, "blind", np.where(z > 3, "ring", "fine"))


check("06-2", verdicts, solution=True)

# %% [markdown]
# ### Exercise 06-3: A rule that you would answer (open-ended)
#
# Design a rule for searches that fail, of which at most 15 % are accepted. Choose four numbers:
#
# - `window`: over how many hours the share is taken,
# - `least`: how many queries a window must hold,
# - `z`: how many standard errors the share must lie above the objective,
# - `keep`: for how many hours the alert stays on after its condition has ended.
#
# The window has 1 hour to two weeks, `z` is above 0, and `keep` is at most 72 hours. The check runs the rule hour by hour on the product of this notebook, and asks that
#
# - in twelve quiet weeks it rings four times at most, over all of `SEGMENTS` together,
# - on three days of holidays, when the only five queries of partner come from one person in one hour, and all fail, it does not ring,
# - in two incidents of five days, an upgrade that hurts mobile and a noisy partner, it is off before, rings within 12 hours, and once, not again and again.
#
# Many rules fit. Before you try one, say which of the four numbers guards against what. And in your own product: how many messages a quarter may your team get, for pages and for tickets? Which alerts of section 4 would you keep for that, and what would you then learn too late?
#
# Further: give `fires` in section 3 a `keep` of 0, and count with `len(begins(...))` how often the ticket for web begins. And accept 8 % instead of 15 % in section 5 (`OBJECTIVE["failure"] = 0.08`). How many days are unacceptable for mobile now, and what should the product do with that answer?

# %% tags=["exercise"]
window, least, z, keep = ..., ..., ..., ...
check("06-3", (window, least, z, keep))

# %% tags=["solution"]
# Solution of 06-3
window, least, z, keep = 12, 20, 3, 24  # half a day, so fewer queries; a day of good hours is bridged
check("06-3", (window, least, z, keep), solution=True)

# %% [markdown]
# ## Recap
#
# - You exported a monitor and read a scrape. Scores are gauges, checks and queries are counters, and decisions rest on counters, which survive restarts and missed scrapes. A label has a short, closed list of values, and never a query in it.
# - You read rules from their files and got the same hours as `evaluate`, with a sum of steps, a comparison, and an alert that waits and stays on.
# - You saw six causes ring: a launch is a ticket, a stale index and deleted documents are the same pages over different panels, a page design is a ticket without any drift. A calibrated chart says *unusual* and is blind to what was always bad; an objective says *unacceptable* and is blind to change below it.
# - You counted a quiet year: 45 alarms of charts, nineteen tickets, no page; nearly all tickets were about outcomes. A window of two hours rings several times a day on nothing, or is blind.
# - You saw NaN pass for "no drift" and a silent exporter for good health, and what speaks up instead: no sample, windows counted, ages, and a switch for a dead man. And you have a template for the page that is read at 3 a.m.

# %% [markdown]
# Previous: [05 Stream the score](05_stream_the_score.ipynb) · [map of the series](../README.md) · Next: [07 Diagnose the failure](07_diagnose_the_failure.ipynb)
