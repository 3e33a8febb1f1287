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
# # Connect drift to outcomes
#
# At the end you will be able to say of any spike on a drift dashboard whether it hurt anybody, and whom.
#
# **Launch:** run `python3 playbook.py open 03` in the project's folder. It opens this notebook in JupyterLab on your machine. Links to Binder and Colab appear here after `python3 playbook.py links OWNER/REPO`, with your copy's address on GitHub.
#
# | To read | To practise | To run | Memory |
# |---|---|---|---|
# | 30 minutes | 25 minutes | 50 seconds | 650 MB |
#
# ## What you will be able to do
#
# - You can join drift scores with outcomes on one timeline, with the tickets that arrive days late.
# - You can check whether a loud drift score means harm, event by event.
# - You can recognise a lagged correlation that means nothing, and test it honestly.
# - You can answer "when drift spikes, which product metrics degrade?" with an event study, placebos and false-discovery control.
# - You can find who was hurt by splitting a change into mix and rate, and say whether supply or demand broke.
#
# ## What you need
#
# NumPy, pandas, and the idea of a p-value. Notebook 00 shows the product in more detail, notebook 02 the scores. Everything is synthetic: a search product that you can break, with exact knowledge of what each break did.

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
from itertools import permutations
from itertools import product as combinations_of

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, pearsonr

from helpers import outcomes, plots, years
from helpers.charts import weekday_z
from helpers.exercises import check, hint
from helpers.metrics import centroid_distance
from helpers.outcomes import OUTCOMES, Buckets, by_window
from helpers.predictions import reveal
from helpers.synthetic import Event, Product

# %% [markdown]
# ## 1. Drift spiked: was anybody hurt?
#
# A search product: an **embedder** turns each query into a vector, and an **index** returns the three documents with the closest vectors, or no answer if none is close. Sixteen weeks of it; three things happen, each for two weeks:
#
# - **A**: a new embedder is tried out. The team rebuilds the index with it.
# - **B**: another embedder is tried out. The team forgets the index.
# - **C**: a clean-up job deletes 60 % of the documents of one topic.
#
# The **drift score** of a week is the distance between its mean query and the mean query of four reference weeks: the centroid distance. Notebook 02 shows that energy distance, MMD and sliced Wasserstein rank windows much as it does, so this one may stand for them.
#
# **Predict.** Which of A, B and C will the score see, and for which one will it be loudest? Put that letter, in quotes, in place of the dots before you go on. Nobody keeps it. Where there are no dots, write it on paper.

# %% tags=["predict"]
guess_loudest = ...  # "A", "B" or "C"

# %%
EVENTS = [
    Event("rotation", start=28, end=42, size=0.5, index_follows=True),
    Event("rotation", start=63, end=77, size=0.3),
    Event("remove_docs", start=91, end=105, size=0.6, topic=3),
]
WEEKS = {"A": (4, 5), "B": (9, 10), "C": (13, 14)}
product = Product(seed=0)
log = product.run(days=224, start=-112, events=EVENTS)
reference = log.days(-112, -85).embeddings
drift = pd.Series({week: centroid_distance(reference, log.week(week).embeddings) for week in range(-12, 16)})
quiet = drift.loc[:-1].min(), drift.loc[:-1].max()
print(f"drift score, 12 quiet weeks: {quiet[0]:.3f} to {quiet[1]:.3f}")
loudness = {name: drift.loc[first:last].mean() for name, (first, last) in WEEKS.items()}
print({name: f"{score:.3f}" for name, score in loudness.items()})
reveal(guess_loudest, max(loudness, key=loudness.get))

# %%
ax = plots.canvas(width=8, height=2.8)[0, 0]
title = "The score spikes for A, less for B, and not for C"
plots.timeline(ax, drift.loc[0:], title=title, ylabel="drift score", band=quiet, events=WEEKS)
plots.show(ax)

# %% [markdown]
# If this were your dashboard, you would spend the day on A. To know whether that is right you need the **join**: the score and the outcomes of the same weeks in one table. There are four outcomes: **success** (the document asked for was shown), **click-through** (a result was clicked), **no answer**, and **escalation** (somebody opened a ticket).
#
# By hand the join is a few lines. Of the four outcomes, the first three belong to the week of the query. A ticket belongs to the week in which the support desk books it. The helper `by_window` does the same; open `helpers/outcomes.py` and you will recognise the lines.
#
# **Predict.** Which of A, B and C costs most successful searches?

# %% tags=["predict"]
guess_costliest = ...  # "A", "B" or "C"

# %%
rows, week = log.outcomes, log.outcomes["day"] // 7
weekly = rows.groupby(week)[["success", "click", "no_answer"]].mean()
tickets = rows[rows["escalation"]].groupby(rows["escalation_day"] // 7).size()
weekly["escalation"] = tickets / rows.groupby(week).size()

helper = by_window(log, days=7)[list(OUTCOMES)]
print(f"largest difference to by_window: {np.abs(weekly.to_numpy() - helper.to_numpy()).max():.3f}")

NAMES = {"success": "success", "click": "click-through", "no_answer": "no answer", "escalation": "escalation"}
table = (100 * weekly.rename(columns=NAMES)).assign(drift=drift).loc[-12:, ["drift", *NAMES.values()]]

# %%
axes = plots.canvas(5, 1, width=8, height=9, sharex=True)[:, 0]
title = "Drift is loud in A; people are hurt in B and C"
history, bands = table.loc[0:], table.loc[:-1]
plots.joined_timelines(axes, history, bands=bands, events=WEEKS, outcomes=list(NAMES.values()), title=title)
plots.show(axes)

# %%
intact = product.run(days=112).outcomes
effect = 100 * (
    rows[rows["day"] >= 0].groupby(week)["success"].mean()
    - intact.groupby(intact["day"] // 7)["success"].mean()
)
means = {"quiet": table.loc[:-1].mean()} | {name: table.loc[a:b].mean() for name, (a, b) in WEEKS.items()}
means = pd.DataFrame(means).T
means["effect on success"] = [0.0, *(effect.loc[a:b].mean() for a, b in WEEKS.values())]
print(means.map("{:.3g}".format).to_string())
reveal(guess_costliest, means["effect on success"].idxmin())

# %% [markdown]
# Read the figure from top to bottom. The loudest event, A, cost nothing: the last column is its exact effect, the difference from a run of the same seed without events. B was quieter, and people felt it: fewer successes, more dead ends. C was silent, and it hurt most.
#
# One history proves nothing in general. But it is enough to stop you from calling the red line "quality".
#
# Look at the two noisy panels. Click-through sags in A, although nothing happened to anybody; it does so by itself. Escalations jump so much that you would hardly find B there. They also come late, and that is the next question.
#
# ## 2. How late is the bad news?
#
# Somebody fails, tries again, gives up, writes to support; somebody books a ticket. In this product that takes a few days. To see the delay without the noise, run a strong event and the same days without it, and count the difference: the tickets that the event caused.
#
# **Predict.** After how many days has the desk booked half of the tickets that one day causes?

# %%
broken = product.run(days=56, start=28, events=[Event("rotation", start=49, end=70, size=0.5)])
intact = product.run(days=56, start=28)
caused = pd.DataFrame(index=range(42, 84))
for day in ["day", "escalation_day"]:
    counts = [side.outcomes.loc[side.outcomes["escalation"], day].value_counts() for side in (broken, intact)]
    caused[day] = counts[0].sub(counts[1], fill_value=0).reindex(caused.index, fill_value=0).cumsum()

delay = (rows["escalation_day"] - rows["day"])[rows["escalation"]]
print(f"mean delay {delay.mean():.1f} days; share of tickets booked within so many days:")
print({days: f"{(delay <= days).mean():.2f}" for days in (1, 2, 3, 7, 14)})

# %%
ax = plots.canvas(width=8)[0, 0]
axis = {"ylabel": "extra tickets so far", "xlabel": "day", "title": "The desk learns of failures days later"}
plots.timeline(ax, caused["day"], label="by the day of the query", colour="other", **axis)
shaded = {"stale index": (49, 69)}
plots.timeline(ax, caused["escalation_day"], label="by the day of booking", events=shaded, **axis)
plots.show(ax)

# %% [markdown]
# The horizontal distance of the two curves is the delay: it takes three days until half of the tickets are booked, and one ticket in eight takes more than a week. Two rules follow.
#
# - Compare tickets with the drift of *earlier* days, and wait two weeks before you call an event harmless.
# - Never count tickets by the day of the query up to yesterday: the last days always look too good, because their tickets are not written yet.
#
# ## 3. How large is a large score?
#
# Sixteen weeks held three events. To say something in general you need many. `helpers/years.py` runs a **product-year**: 28 reference days, 84 quiet baseline days, then 280 days with a random calendar of events, of nine kinds. It keeps the exact counterfactual too: the same days without the events. Each day gets four scores:
#
# | score | question |
# |---|---|
# | `query_drift` | has the mean query moved? (centroid distance) |
# | `cluster_shift` | do the reference's clusters get other shares of the traffic? |
# | `novelty` | which share of queries is further from the reference than nearly all of its own? |
# | `index_gap` | how far has the similarity of a query to its *best document* fallen? |
#
# The first three look at queries only. The last one, the **query-index gap**, needs the live index, and no label. Run eight products through eight different years. This takes half a minute, the longest wait in this notebook.

# %%
lives = {seed: years.live(seed) for seed in range(100, 108)}
print("events:", sum(len(year.events) for year in lives.values()))
one = lives[100]
for letter, (name, event) in zip("ABCDEFG", one.events.items(), strict=True):
    print(f"{letter}  days {event.start:>3} to {event.end - 1:>3}  {name}")

# %% [markdown]
# A weekend brings fewer queries, so its mean is noisier and lies further from the reference's, even from that of the reference's weekends. Each day is therefore compared with the baseline days *of its kind*:
#
# $$z = \frac{x - \text{mean of the baseline's days of that kind}}{\text{their standard deviation}}$$
#
# Distances are positive with a long tail, so take their logarithm first.

# %%
x, baseline = np.log(one.daily["query_drift"]), np.log(one.baseline["query_drift"])
z = pd.Series(np.nan, index=x.index)
for weekend, kind in enumerate(["weekday", "weekend"]):
    usual = baseline[(baseline.index % 7 >= 5) == weekend]
    today = (x.index % 7 >= 5) == weekend
    z[today] = (x[today] - usual.mean()) / usual.std()
    z_of_example = (np.log(0.10) - usual.mean()) / usual.std()
    print(f"{kind}: usually {np.exp(usual.mean()):.3f}; a distance of 0.100 has z = {z_of_example:.1f}")
print(f"largest difference to helpers.charts.weekday_z: {(z - one.z['query_drift']).abs().max():.3f}")

# %%
shaded = {x: (e.start, e.end - 1) for x, e in zip("ABCDEFG", one.events.values(), strict=True)}
smooth = [100 * part["success"].rolling(7, center=True).mean() for part in (one.daily, one.baseline)]
panels = pd.DataFrame({f"{score} (z)": one.z[score] for score in ["query_drift", "novelty", "index_gap"]})
bands = pd.DataFrame({name: [-3, 3] for name in panels})
success = "success (mean of 7 days)"
panels[success], bands[success] = smooth[0], [smooth[1].min(), smooth[1].max()]
axes = plots.canvas(4, 1, width=9, height=8, sharex=True)[:, 0]
options = {"outcomes": [success], "title": "Success falls four times: query drift saw one, the gap three"}
plots.joined_timelines(axes, panels, bands=bands, events=shaded, xlabel="day", **options)
plots.show(axes)

# %% [markdown]
# Call a day with z above 3 an **alarm**: the line leaves the grey band upwards. Success falls in B, D, E and F. Query drift is loudest in C, where nobody was hurt; of the four it sees only D. Novelty greets E and G alike, and G is harmless. The query-index gap misses only F.
#
# ## 4. Is a loud event a harmful one?
#
# Now put every event of the eight years on one plane: how loud it was, its mean z, against what it did to success, the difference from the counterfactual.
#
# **Predict.** Take only the events that raise an alarm of a query score (query drift, cluster shift or novelty) in their first eight days. How many of 100 of them cost at least one point of success?

# %% tags=["predict"]
guess = ...  # % of the events with a query alarm

# %%
QUERY_SCORES = ["query_drift", "cluster_shift", "novelty"]
events = []
for year in lives.values():
    for name, event in year.events.items():
        during = year.z.loc[event.start : event.end - 1]
        row = {"kind": name, **during.mean()}
        row["effect"] = 100 * year.effect("success", event.start, event.end - 1)
        row["query alarm"] = (during[QUERY_SCORES].head(8) > 3).any(axis=None)
        row["gap alarm"] = (during["index_gap"].head(8) > 3).any()
        events.append(row)
events = pd.DataFrame(events)
print(f"all: {len(events)} events, {(events['effect'] <= -1).mean():.2f} of them harmful")
for alarm in ["query alarm", "gap alarm"]:
    raised, harmful = events[alarm], events["effect"] <= -1
    print(f"{alarm}: {raised.sum()} events, {harmful[raised].mean():.2f} of them harmful;", end=" ")
    print(f"{raised[harmful].mean():.2f} of the {harmful.sum()} harmful events have one")
reveal(guess, round(100 * (events["effect"] <= -1)[events["query alarm"]].mean()), "% harmful")

# %%
events = events.sort_values("kind", key=lambda kinds: kinds.map(list(years.KINDS).index))
axes = plots.canvas(1, 2, width=11.5, height=4.4, sharey=True)
left = {"title": "Query drift is not harm", "xlabel": "query drift (mean z)"}
right = {"title": "A gap to the index is", "xlabel": "query-index gap (mean z)"}
plots.harm_scatter(axes[0, 0], events, "query_drift", **left)
plots.harm_scatter(axes[0, 1], events, "index_gap", **right)
axes[0, 1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
plots.show(axes)
kinds = events.groupby("kind", sort=False)
means = kinds[[*years.SCORES, "effect"]].mean().map("{:.1f}".format)
counts = kinds[["query alarm", "gap alarm"]].sum().add_suffix("s")
print(means.join(counts).assign(events=kinds.size()).to_string())

# %% [markdown]
# Below the dashed line people are hurt; right of the dotted line the score is loud. A good score would put the points on a falling line. Query drift, on the left, fills all four corners: loud and harmless (re-indexed upgrades), quiet and harmful (noisier queries, lost documents), and the two where it is right.
#
# **Half of the query alarms were about nothing.** Naming events at random would be right in 46 of 100. This is not a matter of the threshold, nor of this score. In notebook 00 two upgrades had the same query vectors to the last bit, and only one hurt. No function of the queries alone can be right about both. (The one half is a property of this calendar of events. That there is a share of false alarms which no better score of the queries can remove is not.)
#
# On the right, every event that raised an alarm was harmful. The gap asks the index, so it sees what the queries cannot tell. Three cautions. Only events are counted here; on quiet days both kinds of score cry wolf now and then. The gap overlooks four of seven losses of documents (see "gap alarms"), since the neighbours of the lost ones are nearly as close. And the gap is kin to an outcome: "no answer" is a threshold on the same similarity, so the two partly measure one thing.
#
# ## 5. Does the correlation tell?
#
# "Let us correlate drift with success" is the usual next step. Do it, once for each year, day by day.
#
# **Predict.** Half of the alarms are harmful. Is the daily correlation of query drift with success about −0.7, about −0.3 or about 0?

# %%
success = {seed: year.daily["success"] for seed, year in lives.items()}
correlation = pd.DataFrame({seed: year.z.corrwith(success[seed]) for seed, year in lives.items()}).T
print(correlation.agg(["median", "min", "max"]).map("{:+.2f}".format).to_string())
ax = plots.canvas(width=8, height=2.8)[0, 0]
title = "Query drift says nothing about success, the gap nearly all"
plots.strips(ax, correlation, title=title, xlabel="daily correlation with success, one point a year")
plots.show(ax)

# %% [markdown]
# About 0 for query drift and cluster shift; a little for novelty. So somebody will say: "harm takes time, try it with a lag; and try the clicks." That is how a fishing trip begins. Here is the sea without fish: take the drift of one product and the outcomes of *another one*, in another year. Whatever you find there is false.
#
# All our calendars start on the same day with a quiet phase. So turn the second year around by a random number of days first, or the common start would tie the two together.

# %%
LAGS = (0, 3, 7, 14)
GRID = list(combinations_of(QUERY_SCORES, OUTCOMES, LAGS))


def lag_test(x, y, lag, rng):
    """Return correlation, textbook p-value and circular-shift p-value of x today and y `lag` days later."""
    r, textbook = pearsonr(x[: len(x) - lag], y[lag:])
    return r, textbook, outcomes.circular_shift_test(x, y, lag, rng=rng).pvalue


phase, tests = np.random.default_rng(0), {}
for pair in permutations(lives, 2):
    z, turned = lives[pair[0]].z, lives[pair[1]].daily.apply(np.roll, shift=phase.integers(280))
    tests[pair] = [lag_test(z[a].to_numpy(), turned[b].to_numpy(), lag, len(tests)) for a, b, lag in GRID]
tests = np.array(list(tests.values()))
print("pairs, tests a pair, numbers a test:", tests.shape)

# %% [markdown]
# Before you look at the result, look at the second p-value. The textbook takes 280 days for 280 independent facts. They are not: an event lasts two or three weeks, so a year holds a handful of facts. The **circular-shift test** asks a better question. Turn one series around by a random number of days, compute the correlation again, and count how often it comes out as large. Turning keeps everything that a series does by itself. It breaks only what ties it to the other.
#
# There are 48 tests a pair, so also correct for trying often, by the **false-discovery rate** (Benjamini-Hochberg, BH). Sort the p-values; find the largest $k$ for which the $k$-th smallest is at most $q \, k / m$, with $m$ tests and $q$ = 10 %; the $k$ smallest are your findings. On average at most a share $q$ of all findings is false.
#
# **Predict.** The products are unrelated. In how many of 100 pairs does the textbook test find at least one "link" at p < .05? And in how many still after Benjamini-Hochberg?

# %% tags=["predict"]
guess_textbook, guess_after = ..., ...  # % of the pairs

# %%
found = {}
for column, name in [(1, "textbook"), (2, "circular shift")]:
    p = tests[:, :, column]
    found[f"{name}, p < .05"] = 100 * (p < 0.05).any(axis=1).mean()
    found[f"{name}, after BH"] = 100 * (false_discovery_control(p, axis=1) <= 0.10).any(axis=1).mean()
    print(f"{name}: {(p < 0.05).mean():.3f} of all {p.size} tests have p < .05")

p = np.sort(tests[0, :, 1])
k = np.flatnonzero(p <= 0.10 * np.arange(1, 49) / 48).max() + 1
print(f"BH by hand on the first pair: {k} findings; SciPy: {(false_discovery_control(p) <= 0.10).sum()}")
reveal(guess_textbook, round(found["textbook, p < .05"]), "textbook, {} % of pairs")
reveal(guess_after, round(found["textbook, after BH"]), "after BH, {} % of pairs")
ax = plots.canvas(width=8, height=2.6)[0, 0]
title, xlabel = "Drift of one product 'explains' another one", "pairs with at least one finding (%)"
plots.bars(ax, pd.Series(found), title=title, xlabel=xlabel, base="circular shift, after BH", decimals=0)
plots.show(ax)

# %%
pair, test = np.unravel_index(tests[:, :, 1].argmin(), tests.shape[:2])
(mine, other), (score, outcome, lag) = list(permutations(lives, 2))[pair], GRID[test]
r, textbook, circular = tests[pair, test]
print(f"the best link: r = {r:.2f}, textbook p = {textbook:.1g}, circular-shift p = {circular:.3f}")
print(f"{score} of product {mine}, and {outcome} of product {other} {lag} days later (turned around)")
print(f"smallest p-value that 199 turns can give: {1 / 200:.3f}; BH asks the first of 48 for {0.10 / 48:.4f}")

# %% [markdown]
# Two mistakes, and you must mend both. Correcting for many tests alone leaves most of the false pairs, because the p-values themselves are wrong: nearly five times as many as promised are below .05. Honest p-values alone still give a "finding" in most pairs, because one in twenty of 48 tries is more than two. Together they are quiet. Look at the best of the false links: its textbook p-value would convince anybody.
#
# There is a price. A few hundred days can only be turned in a few hundred ways, so no p-value of the second kind is tiny, and a single finding among 48 cannot pass BH alone: it needs company. And a test that never finds anything is quiet, too. Does this one find what is real? Try it on each year's *own* outcomes.

# %%
own = {}
for score, seed in combinations_of(["query_drift", "index_gap"], lives):
    x, daily = lives[seed].z[score].to_numpy(), lives[seed].daily
    grid = combinations_of(OUTCOMES, LAGS)
    p = [lag_test(x, daily[outcome].to_numpy(), lag, seed)[2] for outcome, lag in grid]
    own[score, seed] = (false_discovery_control(p) <= 0.10).sum()
print("findings out of 16 tests, by year:")
print(pd.Series(own).unstack(level=1).to_string())

# %% [markdown]
# For the query-index gap it finds something in every year; for query drift, nothing in any. Read this with care. Stale upgrades *do* cause drift *and* harm. The correlation misses them, because even more re-indexed upgrades, loud and harmless, stand against them (count both in the table of section 4). A correlation over days stirs all events into one number. You need a question that looks at one alarm at a time.
#
# ## 6. What changed after this alarm?
#
# An **event study** compares an outcome after an onset with the same outcome before it:
#
# $$\text{change} = \text{mean of the 10 days after the alarm} - \text{mean of the last 21 quiet days before it}$$
#
# after taking out the usual difference between weekdays and weekends. Is the change large? Compute the same for **placebo onsets**: days on which nothing happened. If a quiet day often "causes" as much, the alarm has shown nothing.
#
# You need to know which days were quiet. For that a team keeps a **diary**: every release, launch, incident and change of staff, with its days. Take event D of the year above, the stale index.
#
# **Predict.** The stale index fails people, and a failed search is clicked far less. Will the event study find the fall in success? The fall in clicks?


# %%
def diary(year):
    """Return which days are quiet: outside every event, and of the three days after it."""
    quiet = pd.Series(True, index=[*year.baseline.index, *year.daily.index])
    for event in year.events.values():
        quiet.loc[event.start : event.end + 2] = False
    return quiet


def alarms(year):
    """Return, for each event that raises one, the first day of an alarm in its first eight days."""
    hot = (year.z > 3).any(axis=1)
    first = {name: hot.loc[event.start : event.start + 7] for name, event in year.events.items()}
    return {name: int(days.idxmax()) for name, days in first.items() if days.any()}


onset = alarms(one)["upgrade, stale index"] + 1
print(f"{diary(one).sum()} of {len(diary(one))} days are quiet; the first day after the alarm is day {onset}")


# %%
history, quiet = pd.concat([one.baseline, one.daily]), diary(one)


def around(values, calm, day):
    """Return the 10 days before and the 10 from `day` on, relative to the mean of 21 quiet days before."""
    path = values.reindex(range(day - 10, day + 10)).set_axis(range(-10, 10))
    return path - calm.loc[: day - 1].tail(21).mean()


def paths(outcome):
    """Return an outcome around the alarm, and around each placebo onset."""
    series = outcomes.weekday_adjust(100 * history[outcome], quiet)
    calm = series[quiet]
    placebos = [day for day in calm.index[21:] if day <= 270 and quiet.loc[day : day + 9].all()]
    return around(series, calm, onset), pd.DataFrame({day: around(calm, calm, day) for day in placebos})


# %%
for outcome in ["success", "click"]:
    change, null = (part.loc[0:].mean() for part in paths(outcome))
    p = (1 + (null.abs() >= abs(change)).sum()) / (1 + len(null))
    study = outcomes.event_study(100 * history[outcome], onset, quiet)
    print(f"{outcome:>7}: change {change:+.2f}, p = {p:.4f} from {len(null)} placebos")
    print(f"         event_study: {study.change:+.2f}, p = {study.pvalue:.4f}", end="; ")
    print(f"truth: {100 * one.effect(outcome, onset, onset + 9):+.2f}")

# %%
axes = plots.canvas(1, 2, width=10, height=3.8, sharey=True)
names = [f"{name} (points)" for name in ("success", "click-through")]
plots.placebo_paths(axes[0, 0], *paths("success"), title="Success leaves the placebos", ylabel=names[0])
plots.placebo_paths(axes[0, 1], *paths("click"), title="Clicks hardly do", ylabel=names[1])
plots.show(axes)

# %% [markdown]
# It finds the fall in success, and misses the one in clicks. Each thin grey line is what happened around a day on which nothing happened; the dark bar holds the ten-day means of nine tenths of them. Success drops far below it, and its p-value is the smallest that this number of placebos can give. (Day −1 is the alarm itself.) Clicks did fall, the truth says so, but the study saw only half of the fall, and quiet days swing nearly as far: p is above .05. A few hundred coin flips a day are a noisy measure of four points of success. "No significant change in clicks" did not mean "no harm". It was the wrong outcome to ask.
#
# From here on `outcomes.event_study` does it. It printed the same numbers.
#
# ## 7. When drift spikes, which metrics degrade?
#
# Now the full question: all alarms of all years, four outcomes each. Many tests again, so Benjamini-Hochberg again, over the alarms and outcomes of each year.
#
# **Predict.** Of the effects that are really there, which share will be found? And which share of the findings will be false? You ask for at most 10 %.


# %%
def study_all(quiet_days):
    """Run the event study of every alarm and outcome in every year, given how to find the quiet days."""
    found = []
    for seed, year in lives.items():
        history, quiet = pd.concat([year.baseline, year.daily]), quiet_days(year)
        for (event, day), outcome in combinations_of(alarms(year).items(), OUTCOMES):
            result = outcomes.event_study(history[outcome], day + 1, quiet)
            truth = year.effect(outcome, day + 1, day + 10)
            found.append((seed, event, NAMES[outcome], 100 * result.change, 100 * truth, result.pvalue))
    found = pd.DataFrame(found, columns=["year", "alarm", "outcome", "change", "truth", "p"])
    return found.assign(found=found.groupby("year")["p"].transform(false_discovery_control) <= 0.10)


answers = study_all(diary)
print(f"{len(answers) // 4} alarms, {len(answers)} tests, {answers['found'].sum()} findings")

# %%
rows = answers[answers["year"] == 100]
tables = [rows.pivot(index="alarm", columns="outcome", values=part) for part in ["change", "truth", "found"]]
tables = [part.loc[list(alarms(one)), list(NAMES.values())] for part in tables]
ax = plots.canvas(width=8.5, height=3.2)[0, 0]
plots.change_map(ax, *tables, title="Three alarms hurt people, three did not (points; truth in brackets)")
plots.show(ax)

# %% [markdown]
# This is the table to bring to the Monday meeting. Coloured cells are findings: orange fell, purple rose. In brackets stands what you never see at work, the true effect. Three alarms hurt people, three did not, and the table says so, with blemishes. It misses the clicks of the stale index, and two rises of escalations. And it accuses the re-indexed upgrade of costing clicks, which is false: the price of asking many questions. One row is not there at all: nobody asked about F, the lost documents, because no score raised an alarm.
#
# How often does that happen over all eight years? Call an effect *real* if it is at least 1 point (0.3 for escalations, which are rare), and *absent* if it is less than a quarter of that. The few in between are not graded.


# %%
def grade(answers):
    """Print how many findings are false; return the share of real effects that were found, by outcome (%)."""
    size = np.where(answers["outcome"] == "escalation", 0.3, 1.0)
    real, absent = answers["truth"].abs() >= size, answers["truth"].abs() < size / 4
    false, graded = (answers["found"] & absent).sum(), (answers["found"] & (real | absent)).sum()
    print(f"{answers['found'][real].mean():.2f} of {real.sum()} real effects found;", end=" ")
    print(f"{false} of {graded} graded findings are false ({false / graded:.2f})")
    return 100 * answers[real].groupby("outcome")["found"].mean().loc[list(NAMES.values())]


# %%
power = grade(answers)
ax = plots.canvas(width=8, height=2.6)[0, 0]
title = "Success and no answer speak, escalations mumble"
plots.bars(ax, power, title=title, xlabel="real effects found (%)", base="", decimals=0)
plots.show(ax)

# %% [markdown]
# So the answer to "when drift spikes, which product metrics degrade?" is a table, not a slope: *this* alarm, *these* metrics, by so many points. Of 100 real effects 79 are found, and 5 in 100 findings are false, fewer than the 10 % you allowed.
#
# The bars also say which outcome to watch. "No answer" is free, immediate and sharp, in this product. Success needs labels. Clicks are free and dull. Escalations are what the business feels, and the last to show it.
#
# ## 8. Who was hurt?
#
# A mean that falls by five points can mean that everybody suffers a little, or that some people cannot be served at all. Sort the queries into **buckets**: the twelve clusters of the reference, frozen, and one more for the *novel*, the queries further from the reference than nearly all of its own. Then split the change of the mean (Kitagawa, 1955):
#
# $$\Delta = \underbrace{\sum_b (p'_b - p_b)(\bar r_b - m)}_{\text{mix: who came}} + \underbrace{\sum_b \bar p_b \, (r'_b - r_b)}_{\text{rate: how they fared}}$$
#
# $p_b$ is the share of bucket $b$ and $r_b$ its success rate, before and (with a prime) after; a bar is the average of before and after; $m$ is the average of both overall rates.
#
# **Predict.** The clean-up job deletes documents of one topic. Will you see it as mix or as rate? In how many buckets?

# %%
before = product.run(28, start=-28)
lost = product.run(28, events=[Event("remove_docs", size=0.6, topic=3)])
buckets = Buckets.fit(before.embeddings)
groups = [side.outcomes["success"].groupby(buckets.assign(side.embeddings)) for side in (before, lost)]
(p0, p1), (r0, r1) = [g.size() / g.size().sum() for g in groups], [g.mean() for g in groups]
m = (before.outcomes["success"].mean() + lost.outcomes["success"].mean()) / 2
mix, rate = (p1 - p0) * ((r0 + r1) / 2 - m), (p0 + p1) / 2 * (r1 - r0)
change = lost.outcomes["success"].mean() - before.outcomes["success"].mean()
print(f"change {100 * change:+.2f} = mix {100 * mix.sum():+.2f} + rate {100 * rate.sum():+.2f}")
print("exact to 12 decimals:", abs(change - mix.sum() - rate.sum()) < 1e-12)


# %%
def split(after, outcome="success"):
    """Split the change of an outcome since `before`, by bucket."""
    sides = [(buckets.assign(side.embeddings), side.outcomes[outcome]) for side in (before, after)]
    return outcomes.decompose(*sides[0], *sides[1]).set_axis(buckets.names)


difference = np.abs(split(lost)["rate"].to_numpy() - rate.to_numpy()).max()
print(f"largest difference to the lines above: {difference:.3f}")
launch = product.run(28, events=[Event("new_topic", size=0.06)])
axes = plots.canvas(1, 2, width=10, height=4.8, sharex=True, sharey=True)
axis = {"xlabel": "change of success (points)"}
plots.mix_and_rate(axes[0, 0], 100 * split(lost), title="Lost documents: one bucket", **axis)
plots.mix_and_rate(axes[0, 1], 100 * split(launch), title="New topic: the novel bucket", **axis)
plots.show(axes)

# %%
points = 100 * split(lost)["rate"]
rate, broken = points.abs(), points.abs().argmax()
print(
    f"{buckets.names[broken]} carries {points.iloc[broken]:.2f} of the {points.sum():.2f} points of rate,",
    end=" ",
)
print(f"{rate.max() / rate.sum():.2f} of it in absolute values")
for name, side in [("before", before), ("after", lost)]:
    rows = side.outcomes[buckets.assign(side.embeddings) == broken]
    topic = rows["answer_topic"].value_counts(normalize=True).head(1)
    print(f"{name}: success {rows['success'].mean():.2f}", end="; ")
    print(f"first answer from topic {topic.index[0]} for {topic.iloc[0]:.2f} of the queries")

# %% [markdown]
# The decomposition points with one finger. Nearly all of the loss is rate, and −4.86 of the −4.89 points of rate are one bucket (0.85 of it if you add absolute values). The log then names it: its answers are about topic 3. They still are, afterwards: the index returns what is left of that shelf, close enough to be shown and useless to most who asked. You found the broken shelf from clusters and answers alone.
#
# The new topic looks different: everything is in the novel bucket, and half of it is *mix*: people came who were hardly there before and cannot be served. The other half is *rate*: the few odd queries of former times fared better.
#
# Why subtract $m$ in the mix? Without it the sum stays the same, since shares sum to 1. The single buckets turn into nonsense:

# %%
parts = split(launch)
gained = parts["share_after"] - parts["share_before"]
m = (before.outcomes["success"].mean() + launch.outcomes["success"].mean()) / 2
uncentred = parts["mix"] + gained * m
print(f"mix of all buckets:  centred {100 * parts['mix'].sum():+.2f}, uncentred {100 * uncentred.sum():+.2f}")
novel = parts.at["novel", "mix"], uncentred["novel"]
print(f"mix of novel bucket: centred {100 * novel[0]:+.2f}, uncentred {100 * novel[1]:+.2f}")

# %% [markdown]
# Uncentred, the newcomers seem to *raise* success. Any bucket that grows does. The question is whether they fare better than the average query, and they fare worse.
#
# ## 9. Is it drift at all?
#
# A launch goes out with all its documents in the index. On the same day the page gets a new design, and clicks fall. There is a drift alarm (a new topic), the click-through rate is down, and the meeting has its story.
#
# **Predict.** What will the decomposition of *clicks* look like if a broken index is guilty? And if the page is?

# %%
monday = product.run(28, events=[Event("new_topic", size=0.06, index_follows=True), Event("ui", size=0.12)])
for outcome in ["success", "click"]:
    parts = 100 * split(monday, outcome)[["mix", "rate"]].sum()
    print(f"{outcome:>7}: {parts.sum():+.1f} points = mix {parts['mix']:+.1f} + rate {parts['rate']:+.1f}")
axes = plots.canvas(1, 2, width=10, height=4.8, sharex=True, sharey=True)
axis = {"xlabel": "change of click-through (points)"}
plots.mix_and_rate(axes[0, 0], 100 * split(lost, "click"), title="Lost documents: one bucket", **axis)
plots.mix_and_rate(axes[0, 1], 100 * split(monday, "click"), title="Launch and new page: everybody", **axis)
plots.show(axes)

# %%
stale = product.run(28, events=[Event("rotation", size=0.5)])
print("after / before, in the 12 clusters: median (lowest to highest)")
for name, after in {"lost documents": lost, "stale upgrade": stale, "launch and new page": monday}.items():
    means = [
        side.outcomes[["success", "click"]].groupby(buckets.assign(side.embeddings)).mean()[:12]
        for side in (before, after)
    ]
    ratio = means[1] / means[0]
    text = [f"{c} {r.median():.2f} ({r.min():.2f} to {r.max():.2f})" for c, r in ratio.items()]
    print(f"{name:>19}:", *text, sep="  ")

# %% [markdown]
# Lost documents live in one bucket. A stale upgrade takes its toll in every cluster, so "everybody" alone proves nothing; but it takes it from *success*, and clicks follow. On this Monday success stands still in every cluster, and clicks fell in all of them. People found what they looked for and clicked less: the cause sits behind the search, in the page, the tracking, the season. The launch is innocent, whatever the drift alarm says.
#
# ## 10. Did demand change, or supply?
#
# One thing is left to know before you page somebody: whom. **Frozen probes** are queries with known answers that you send again each day. Their texts never change. If they begin to fail, it is your side, the **supply**: index or embedder. If they succeed while live queries move away from the index, it is the other side, the **demand**: people ask something new. Two questions, four corners.
#
# **Predict.** Place four incidents: documents lost, a launch without documents, a stale upgrade, a new page design. In which corner is each?

# %%
incidents = {
    "lost documents": [Event("remove_docs", size=0.6, topic=3)],
    "launch, no documents": [Event("new_topic", size=0.06)],
    "stale upgrade": [Event("rotation", size=0.3)],
    "new page design": [Event("ui", size=0.12)],
}
usual, steady = by_window(product.run(84, start=-84))["best_similarity"], product.probe_success(0)
corners = {}
for name, happened in incidents.items():
    live = by_window(product.run(14, happened))
    gap = weekday_z(-live["best_similarity"], -usual).mean()
    corners[name] = 100 * (steady - product.probe_success(0, happened)), gap, 100 * live["success"].mean()
columns = ["probes that fail (points)", "query-index gap (mean z)", "success (%)"]
corners = pd.DataFrame(corners, index=columns).T
print(corners.map("{:.1f}".format).to_string())

# %%
probes = [product.probe_success(day) for day in range(-84, 0, 7)]
print(f"probe success on 12 quiet days: {min(probes):.4f} to {max(probes):.4f}")
ax = plots.canvas(width=8, height=4.6)[0, 0]
names = ["NEITHER: behind the search", "SUPPLY: the index", "DEMAND: the queries", "BOTH: they parted"]
title = "Two measurements, four incidents, four owners"
plots.quadrants(ax, corners.iloc[:, :2], limits=(1.0, 3.0), corners=names, title=title)
plots.show(ax)

# %% [markdown]
# Each incident has a corner of its own: the lost documents are SUPPLY, the launch is DEMAND, the stale upgrade is BOTH, the new page is NEITHER.
#
# The probes have no noise at all: same texts, same index, same answers. Any movement is real, and so they see the lost documents that the average gap shows only faintly. They are blind to demand by construction, since they ask what people asked last season. The gap sees demand. You need both.
#
# | probes move? | gap moves? | look at |
# |---|---|---|
# | yes | no | the index: deletions, failed ingestion |
# | no | yes | the queries: launch, new client, noise, attack |
# | yes | yes | the embedder: upgrade without re-index |
# | no | no | the page, the tracking, the support desk |

# %% [markdown]
# ## When this misleads you
#
# The event study of section 7 had a complete diary. Suppose nobody wrote down the page design, the agents on leave and the lost documents, and you call a day quiet when *no score was loud* near it. Nothing else changes: same alarms, same outcomes, same tests.
#
# **Predict.** Does a sloppy diary give you false findings, or does it hide true ones?


# %%
def no_score_loud(year):
    """Return the days that are more than five days from any alarm."""
    quiet = pd.Series(True, index=[*year.baseline.index, *year.daily.index])
    for day in year.z.index[(year.z > 3).any(axis=1)]:
        quiet.loc[day - 5 : day + 5] = False
    return quiet


gaps = grade(study_all(no_score_loud))
comparison = pd.DataFrame({"with the diary": power, "scores only": gaps})
print(comparison.map("{:.0f}".format).to_string())

# %% [markdown]
# It hides true ones. The silent events now lie among the placebos. A "quiet" day after which clicks fall because the page changed makes any fall of clicks look ordinary. The findings that are left are nearly all true. But most of the clicks and nearly all of the escalations are gone, and your report says "drift had no effect on clicks". The statistics were right. The diary was not.

# %% [markdown]
# ## In production
#
# - Log the embedding, the best similarity and the outcomes of a query under one key. Book tickets by the day of booking.
# - Keep a diary of everything that people do to the product, with days. It is worth more than a better test.
# - Put the query-index gap and a few hundred frozen probes beside every query-drift score. The gap needs no label, the probes need theirs once.
# - Answer alarm by alarm. Never show a correlation over days without circular shifts and a count of what you tried.
# - All numbers here are this synthetic product's, and depend on its nine kinds of events. What carries over is the order of the questions.
#

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell: it says correct, or what is not right yet. `hint("03-1")` helps in stages, and a solution is folded away below each exercise.
#
# ### Exercise 03-1: Which panels know about the index?
#
# In section 1 the index was rebuilt for A and forgotten for B. Turn that around: A gets the stale index and B the rebuilt one. C and all else stay as they are. Compare with the five panels of section 1: which of them come out different in at least one week? Predict first, then run it, and hand over a list of their names, out of `"drift"`, `"success"`, `"click-through"`, `"no answer"` and `"escalation"`.

# %% tags=["exercise"]
panels = ...  # such as ["drift", "success"]
check("03-1", panels)

# %% tags=["solution"]
# Solution of 03-1
turned = [
    Event("rotation", start=28, end=42, size=0.5),
    Event("rotation", start=63, end=77, size=0.3, index_follows=True),
    EVENTS[2],
]
other = product.run(days=224, start=-112, events=turned)
# np.array_equal(other.embeddings, log.embeddings) is True, so "drift" cannot differ
moved = (by_window(other, days=7) != by_window(log, days=7)).any()
panels = [NAMES[outcome] for outcome in OUTCOMES if moved[outcome]]
check("03-1", panels, solution=True)

# %% [markdown]
# ### Exercise 03-2: Write Benjamini-Hochberg
#
# Write `findings(p, q)`. It gets an array of p-values, in any order, and the share q of false findings that you allow. It returns one boolean for each p-value, in the order they came in: True where it is a finding by the rule of section 5. Your function is called with p-values of the check's own, also with some of which none is a finding. `false_discovery_control(p) <= q` does the same; write your own, and compare.


# %% tags=["exercise"]
def findings(p, q):
    return ...  # one boolean for each p-value


check("03-2", findings)


# %% tags=["solution"]
# Solution of 03-2
def findings(p, q):
    smallest = np.sort(p)
    passing = np.flatnonzero(smallest <= q * np.arange(1, len(p) + 1) / len(p))
    if len(passing) == 0:
        return np.zeros(len(p), dtype=bool)
    return p <= smallest[passing.max()]


check("03-2", findings, solution=True)

# %% [markdown]
# ### Exercise 03-3: Cut along the right line
#
# From day 0 on, the queries of one client get noisier: `Event("spread", size=0.15, segment="mobile")`. Run days 0 to 27 with this notebook's `product`, and split the change of *success* since `before` twice: by cluster, with `split` as in section 8, and by client, with `outcomes.decompose` and each run's own `outcomes["segment"].cat.codes` as buckets, and no `set_axis`. Each time, which share of the rate part does the largest bucket carry, in absolute values, as was printed for the lost documents? Hand over two fractions from 0 to 1: by cluster, by client.

# %% tags=["exercise"]
by_cluster, by_client = ..., ...
check("03-3", (by_cluster, by_client))

# %% tags=["solution"]
# Solution of 03-3
mobile = product.run(28, events=[Event("spread", size=0.15, segment="mobile")])
sides = [(side.outcomes["segment"].cat.codes, side.outcomes["success"]) for side in (before, mobile)]
rates = split(mobile)["rate"].abs(), outcomes.decompose(*sides[0], *sides[1])["rate"].abs()
by_cluster, by_client = [rate.max() / rate.sum() for rate in rates]
check("03-3", (by_cluster, by_client), solution=True)

# %% [markdown]
# ### Exercise 03-4: Is a shelf broken? (open-ended)
#
# Write `shelf_broken(before, after)`, which returns True if documents of one topic have gone. Each argument is a table with one row a query, `before` of 28 days and `after` of 14, and with the columns `segment`, `best_similarity`, `no_answer`, `click`, `success` and `bucket`: 0 to 11 for the clusters of the days before, 12 for the novel. To try it on this notebook's runs, such as `lost`, `stale` and `launch`, make such a table with `lost.outcomes.assign(bucket=buckets.assign(lost.embeddings))`.
#
# The check calls it on two other products. Of six losses, 30 to 50 % of one topic's documents, it must find at least five. Of ten fortnights in which no document went it may call one at most. They are five on each product: nothing at all, a launch without documents, a stale upgrade as large as `stale`, noisier queries, a new page. There are many good functions. Which of these columns does your own product have on the same day, and what would yours do without `success`?
#
# Further: leave out the random turn in section 5 (`shift=0`); how many circular-shift tests have p < .05 then, and why? Delete ever fewer documents of a topic; what is the smallest loss that the probes see, and your function?


# %% tags=["exercise"]
def shelf_broken(before, after):
    return ...  # True or False


check("03-4", shelf_broken)


# %% tags=["solution"]
# Solution of 03-4
def shelf_broken(before, after):
    # Where documents have gone, one cluster falls far; where queries got harder, all fall a little.
    usual, now = (side.groupby("bucket")["success"].mean().loc[:11] for side in (before, after))
    fall = usual - now
    return fall.max() > 0.10 and fall.max() > 3 * fall.median()


check("03-4", shelf_broken, solution=True)

# %% [markdown]
# ## Recap
#
# - You joined scores and outcomes by window, tickets by the day they were booked: the loudest event hurt nobody, and the silent one hurt most.
# - You put events on a plane of drift against harm: half of the query-drift alarms were harmless, while every alarm of the query-index gap was true.
# - You saw the textbook test link nearly all pairs of unrelated products, and mended it with circular shifts and false-discovery control, both together.
# - You answered the question alarm by alarm: change after the onset, against placebo onsets, with Benjamini-Hochberg. It found most real effects, until the diary had gaps.
# - You split a change exactly into mix and rate, named the broken bucket, told a page design from drift, and used probes and gap to tell supply from demand.

# %% [markdown]
# Previous: [02 Quantify drift](02_quantify_drift.ipynb) · [map of the series](../README.md) · Next: [04 Alert on drift](04_alert_on_drift.ipynb)
