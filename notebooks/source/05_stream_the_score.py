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
# # Stream the score
#
# At the end you will follow drift on a stream with constant memory, and merge what many machines saw without losing a bit.
#
# **Launch:** run `python3 playbook.py open 05` in the project's folder. It opens this notebook in JupyterLab on your machine. Links to Binder and Colab appear here after `python3 playbook.py links OWNER/REPO`, with your copy's address on GitHub.
#
# | To read | To practise | To run | Memory |
# |---|---|---|---|
# | 40 minutes | 20 minutes | 40 seconds | 450 MB |
#
# ## What you will be able to do
#
# - You can replace a window by a state of fixed size, and say how exact the MMD² is that it gives.
# - You can choose which queries to keep, and predict how much a sample dilutes a drift.
# - You can make a state forget by time, so that late rows do no harm, and recognise two ways in which forgetting goes wrong.
# - You can tell a chart of *change* from a chart of *difference*, and say which drift each of them overlooks.
# - You can merge the states of many machines to the same bits in any order, and name the states for which that is impossible.
#
# ## What you need
#
# NumPy, and MMD from notebook 02: two windows are compared by the average similarity of their queries. Everything is synthetic: a search product that turns each query into a vector of 64 numbers, and that you can break.

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
import numpy as np
import pandas as pd
from datasketches import kll_doubles_sketch
from sklearn.cluster import KMeans

from helpers import metrics, plots
from helpers.exercises import check, hint
from helpers.predictions import reveal
from helpers.streaming import (
    ClusterCounts,
    DecayedReservoir,
    HashSample,
    ProjectionSketch,
    RandomFeatureMean,
    Reservoir,
    RunningMoments,
    TwoRateMean,
)
from helpers.synthetic import Event, Product

# %% [markdown]
# ## 1. What if the window does not fit?
#
# The **reference** is four quiet weeks. Against it stand five versions of the week that follows: nothing happens, a new topic takes 4 % of the traffic, all queries shift a little, the embedder is upgraded (a rotation), one topic becomes more popular.
#
# The exact MMD² needs every row of both windows, at the same time, and looks at every pair. At 2,500 queries a week that is a matter of a second. At a million a minute you cannot keep the rows, let alone the pairs. You need something that is updated row by row, has a fixed size, and still gives the score.

# %%
SITUATIONS = {
    "nothing": [],
    "new topic 4 %": [Event("new_topic", size=0.04)],
    "small shift": [Event("mean_shift", size=0.08)],
    "upgrade": [Event("rotation", size=0.25)],
    "topic mix": [Event("mix", size=0.8, topic=11)],
}
product = Product(seed=0)
reference = product.run(days=28, start=-28).embeddings[::2]  # every second row, to save you time
weeks = {name: product.run(days=7, events=events).embeddings for name, events in SITUATIONS.items()}
gamma = metrics.median_gamma(reference)
n, m = len(reference), len(weeks["nothing"])
print(f"reference {n} rows, a week {m} rows, {(n + m) ** 2 / 2e6:.0f} million pairs for one score")

# %% [markdown]
# MMD compares queries with the kernel $k(x,y) = e^{-\gamma |x-y|^2}$. A kernel that depends on $x-y$ only is an average of waves (Rahimi and Recht, 2007):
#
# $$e^{-\gamma |x-y|^2} = E_w \cos\big(w^\top (x-y)\big) = E_w\big[\cos w^\top x \cos w^\top y + \sin w^\top x \sin w^\top y\big], \qquad w \sim N(0, 2\gamma I)$$
#
# On the right, $x$ and $y$ stand apart. So draw a number of random **frequencies** $w$ once. Turn each row into its cosines and sines, the **features** $\varphi(x)$, scaled to length 1. Then $\varphi(x)^\top \varphi(y) \approx k(x,y)$, the average over all pairs becomes the product of two *means*, and
#
# $$MMD^2 \approx |\bar\varphi_x - \bar\varphi_y|^2 - \frac{1 - |\bar\varphi_x|^2}{n-1} - \frac{1 - |\bar\varphi_y|^2}{m-1}$$
#
# The two fractions take out the pairs of a row with itself, so that no drift means zero on average. All that a window must leave behind is $\bar\varphi$ and the number of its rows.


# %%
def features(rows, n_features=256, seed=0):
    """Cosines and sines of random frequencies; every row has length 1."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(rows.shape[1], n_features // 2)) * np.sqrt(2 * gamma)
    angle = rows @ w
    return np.sqrt(2 / n_features) * np.hstack([np.cos(angle), np.sin(angle)])


def mmd2_by_features(x, y):
    a, b = features(x).mean(axis=0), features(y).mean(axis=0)
    own_pairs = (1 - a @ a) / (len(x) - 1) + (1 - b @ b) / (len(y) - 1)
    return ((a - b) ** 2).sum() - own_pairs


# %%
def fed(state, *columns):
    """Update a state, and hand it back."""
    state.update(*columns)
    return state


def state_of(rows, n_features=256, seed=0):
    """The helper: the same features, kept as sums."""
    return fed(RandomFeatureMean(64, n_features, gamma=gamma, seed=seed), rows)


beside = pd.DataFrame(index=list(weeks))
for name, week in weeks.items():
    beside.loc[name, "exact"] = 1e4 * metrics.mmd2(reference, week, gamma=gamma)
    beside.loc[name, "256 features, by hand"] = 1e4 * mmd2_by_features(reference, week)
    beside.loc[name, "256 features, helper"] = 1e4 * state_of(week).mmd2(state_of(reference))
print("MMD^2 x 10,000")
print(beside.map("{:.3g}".format).to_string())

# %% [markdown]
# The helper `RandomFeatureMean` agrees with your ten lines (it rounds a little; section 7 says why). "Nothing" is not zero: the product's topics wander, so even a quiet week is a little different from the four before it. That is a real difference, not an error of the score.
#
# Both are near the exact score, and not equal to it: 128 random frequencies are a sample. How much does the draw matter? Take 20 draws for each size.
#
# **Predict.** The rows of both windows are nearly half a million numbers. How many numbers must $\bar\varphi$ have, so that in all five situations the standard error is 10 % of the score or less? The cell tries 32, 64, 128 and so on. Put your number in place of the dots before you go on. (Where there are no dots, write it on paper.)

# %% tags=["predict"]
guess = ...  # numbers kept

# %%
error = pd.DataFrame(index=[32, 64, 128, 256, 512, 1024])
for size in error.index:
    draws = {name: [] for name in weeks}
    for seed in range(20):
        usual = state_of(reference, size, seed)
        for name, week in weeks.items():
            draws[name].append(state_of(week, size, seed).mmd2(usual))
    for name, scores in draws.items():
        error.loc[size, name] = 100 * np.std(scores) * 1e4 / beside.loc[name, "exact"]

# %%
ax = plots.canvas(width=7.6)[0, 0]
style = {"log_x": True, "colours": ["band", "other", "reference", "current", "outcome"]}
style |= {"xlabel": "features kept", "ylabel": "standard error of MMD² (%)", "limit": (10, "10 %")}
plots.curves(ax, error, title="A few hundred numbers hold the score of any window", **style)
plots.show(ax)
print(error.map("{:.0f}".format).rename_axis("features").to_string())
reveal(guess, error.index[error.round().max(axis=1) <= 10][0], "numbers")

# %% [markdown]
# For a standard error of 10 %, 256 are enough for the loudest situation, and about 512 for all five, and **the number of rows does not enter**. The same 2 to 4 kB hold the score of ten thousand rows or of ten billion. (10 % is a standard error, so about one draw in three still misses by more.) On the whole, four times the features halve the error. (Twenty draws measure it with some luck, so the lines are not smooth.)
#
# ## 2. May the draw change from week to week?
#
# The error comes from the frequencies, not from the rows. So does it jitter each week, like noise? Or is it a scale that is a little off, the same way every week? That depends on what you do with `seed`.
#
# An upgrade happens and stays. Twelve weeks of it, scored three times: exactly, with one draw that is **frozen**, and with a **fresh** draw each week.
#
# **Predict.** Both random scores have the same standard error. Which of them moves around the exact one more, from week to week?

# %%
log = product.run(days=84, events=[Event("rotation", size=0.25)])
frozen, standing = state_of(reference), pd.DataFrame(index=range(12))
for week in standing.index:
    rows = log.week(week).embeddings
    standing.loc[week, "exact"] = metrics.mmd2(reference, rows, gamma=gamma)
    standing.loc[week, "frozen draw"] = state_of(rows).mmd2(frozen)
    fresh = state_of(reference, seed=week + 1)
    standing.loc[week, "fresh draw each week"] = state_of(rows, seed=week + 1).mmd2(fresh)
ax = plots.canvas(width=7.6, height=3.2)[0, 0]
style = {"xlabel": "week since the upgrade", "ylabel": "MMD² x 10,000"}
style |= {"colours": ["band", "reference", "current"], "dashed": ["exact"]}
plots.curves(ax, 1e4 * standing, title="A frozen draw follows the exact score; fresh ones jump", **style)
plots.show(ax)
ratio = standing.div(standing["exact"], axis=0).iloc[:, 1:]
print("score / exact score:", {name: f"{x.mean():.2f} +- {x.std():.2f}" for name, x in ratio.items()})

# %% [markdown]
# For a drift that stands still, a frozen draw scatters less than half as much from week to week as fresh ones do. The rest of its error is the same factor every week; it cancels when you compare weeks within the series. A fresh draw adds its error to every week anew. (Another drift points elsewhere and has another factor: in the table of section 1 the same draw makes the small shift too large, and the upgrade too small.)
#
# And on a stream you could not do it anyway. To score a week with new frequencies you would need the rows of the reference, and they are gone. So `seed` and `gamma` belong to the reference, like a frozen PCA. States of different draws refuse each other.

# %% [markdown]
# ## 3. Which queries should you keep?
#
# A mean says *that* the queries moved. To see *which* ones did, to show an example in the incident channel, or to compute novelty and a classifier's AUC, you need rows. A **reservoir** is a sample of constant size from a stream of unknown length. The uniform one gives every row so far the same chance: let each row draw a random number, and keep the rows with the 500 smallest. (`Reservoir` reaches the same distribution without a draw for each row.)
#
# A steady product, without weekends and wandering topics, runs for four quiet weeks. Then comes one week with the upgrade. The reservoir has followed all five.
#
# **Predict.** One row in five of the stream is from the drifted week. How many percent of that week's score does the reservoir still have?

# %% tags=["predict"]
guess = ...  # % of the score of that week

# %%
steady = Product(seed=0, weekend=0, wander=0)
before = steady.run(days=28, start=-56).embeddings[::4]
stream = steady.run(days=35, start=-28, events=[Event("rotation", size=0.25)])
day = stream.outcomes["day"].to_numpy()
drifted = day >= 0
place = stream.outcomes.groupby("day").cumcount() / stream.outcomes.groupby("day")["day"].transform("size")
asked = day + place.to_numpy()  # the time of each query, in days


def score(rows):
    return 1e4 * metrics.mmd2(before, rows, gamma=gamma)


whole = score(stream.embeddings[drifted])
share = drifted.mean()
print(f"share of the drifted week {share:.2f}; MMD^2 x 10,000 of that week alone {whole:.1f}")
print(f"of the four weeks before it {score(stream.embeddings[~drifted][::4]):.1f}")

# %%
kept, recent = pd.DataFrame(), pd.DataFrame()
for seed in range(10):
    kept.loc[seed, "uniform"] = score(fed(Reservoir(500, seed), stream.embeddings).rows)
    for half_life in (3.5, 1.75):  # a row's chance to stay halves with every half-life of its age
        decayed = fed(DecayedReservoir(500, half_life, seed), stream.embeddings, asked)
        kept.loc[seed, f"half-life {half_life} days"] = score(decayed.rows)
        recent.loc[seed, f"half-life {half_life} days"] = (decayed.timestamps >= 0).mean()
kept["the whole drifted week"] = whole
ax = plots.canvas(width=8, height=3)[0, 0]
title = "A uniform sample dilutes the drift to nearly nothing"
plots.strips(ax, kept, title=title, xlabel="MMD² x 10,000 (ten reservoirs of 500 rows)")
plots.show(ax)
shares = {"uniform": share, **recent.mean(), "the whole drifted week": 1.0}
table = pd.DataFrame({"mean score": kept.mean(), "share of the drifted week": pd.Series(shares)})
table["share^2 x whole"] = table["share of the drifted week"] ** 2 * whole
print(table.loc[kept.columns].map("{:.3g}".format).to_string())
reveal(guess, 100 * kept["uniform"].mean() / whole, "% of the score of that week")

# %% [markdown]
# Less than the fifth that one might expect, by far. A sample in which a share $e$ has drifted is the mixture $(1-e)P + eQ$. Its mean moves by $e$ times the way, and MMD² is a *squared* distance:
#
# $$MMD^2\big((1-e)P + eQ,\; P\big) = e^2\, MMD^2(Q, P)$$
#
# So the uniform reservoir has a fair share of the drifted week, and practically none of its score: hardly more than the four quiet weeks alone. It gets worse every week: the longer the past, the smaller the share of now. **"A uniform sample of the stream" is the obvious choice, and it is nearly blind to what is new.**
#
# A **decayed** reservoir gives each row a chance that halves with every `half_life` of its age. After one week at a half-life of 3.5 days, three quarters of its rows are from that week. The half-life is a choice: short is alert, long is steady.
#
# ## 4. Does the sample keep forgetting?
#
# How does one write a decayed reservoir? By the book (Efraimidis and Spirakis, 2006), a row of weight $w$ draws $u$ uniformly from 0 to 1 and gets the **key** $u^{1/w}$. The rows with the largest keys stay. The weight doubles with every half-life of time, $w = 2^{t/h}$. That fits in a few lines, it passes its tests, it goes live. Let it run for a year, at 345 queries a day. The rows are just their own times, so that you can see how old the sample is.
#
# **Predict.** With a half-life of 3.5 days the kept rows are about 5 days old on average. Up to which week of the year will that hold?

# %% tags=["predict"]
guess = ...  # week


# %%
import heapq


def book_sample(times, size, half_life, rng):
    heap = []  # the smallest key first
    for t, u in zip(times, rng.random(len(times)), strict=True):
        key = u ** (0.5 ** (t / half_life))
        if len(heap) < size:
            heapq.heappush(heap, (key, t))
        elif key > heap[0][0]:
            heapq.heapreplace(heap, (key, t))
    return np.array([t for _, t in heap]), np.array([key for key, _ in heap])


# %%
year, age, ties = np.arange(0, 365, 1 / 345), pd.DataFrame(), {}
for week in (4, 13, 20, 24, 26, 28, 32, 39, 45, 52):
    past = year[year < 7 * week]
    sample, keys = book_sample(past, 500, 3.5, np.random.default_rng(0))
    ties[week] = (keys == 1).mean()
    by_logarithm = DecayedReservoir(500, 3.5)
    by_logarithm.update(past[:, None], timestamp=past)
    age.loc[week, "key u^(1/w)"] = (past[-1] - sample).mean()
    age.loc[week, "logarithm of the key"] = (past[-1] - by_logarithm.timestamps).mean()

# %%
ax = plots.canvas(width=7.6, height=3.2)[0, 0]
style = {"xlabel": "week", "ylabel": "mean age of the sample (days)", "colours": ["current", "reference"]}
plots.curves(ax, age, title="After 26 weeks the book's sample freezes, for ever", **style)
plots.show(ax)
print("mean age (days):", age["key u^(1/w)"].loc[[4, 26, 28, 52]].round().astype(int).to_dict())
reveal(guess, age.index[age["key u^(1/w)"] < 10].max(), "week {}", close=3)
print("share of keys that are exactly 1:", ", ".join(f"week {w} {x:.2f}" for w, x in ties.items()))
print("0.5 to the power of 2^-54 is 1 in float64:", 0.5 ** (2.0**-54) == 1)
print("the key of u = 0.5, if t counts days since 1970:", 0.5 ** (0.5 ** (20_000 / 3.5)))

# %% [markdown]
# About week 26. For half a year it works. Then $1/w$ comes near $2^{-53}$: first the large $u$ to that power round to 1, a few weeks later nearly all. Once 500 rows have the key 1, no row has a larger one, and nothing enters any more. No error, no warning: the sample still has 500 rows, and they are half a year old. If your clock counts from 1970, it is like that from the first row on.
#
# The helper keeps the rows with the *smallest* $\log(-\log u) - \frac{t}{h}\ln 2$. That is the same order, turned around, and so the same distribution. But time is subtracted, not exponentiated, and nothing can overflow or round to 1. Where time stands in an exponent, take the logarithm first.

# %% [markdown]
# ## 5. When was this query asked?
#
# Means can forget, too. The usual way is the exponentially weighted mean: with every row that *arrives*, all others lose a little weight. Here it is, in features, against the reference.


# %%
def by_arrival(phi, start, half_life):
    """Squared distance from `start` of a mean that forgets by arrival."""
    keep = 0.5 ** (1 / half_life)  # half_life in rows
    mean = start.copy()
    for row in phi:
        mean = keep * mean + (1 - keep) * row
    return ((mean - start) ** 2).sum()


def by_timestamp(rows, times, n_batches):
    state = RandomFeatureMean(64, gamma=gamma, half_life=2.0)  # days
    for batch in np.array_split(np.arange(len(rows)), n_batches):
        state.update(rows[batch], timestamp=times[batch])
    return state


# %% [markdown]
# Five weeks of queries; on day 28 the upgrade comes. The half-life is two days, or the 690 rows that two days bring. Now deliver the *same rows* in three ways: in order; with the phones offline in the last week before the upgrade (days 21 to 27), so that their queries come in after all others; shuffled, as a queue does after an outage.
#
# **Predict.** The late phones are 6 % of all rows. How many percent of the score in order are left, if the mean forgets by arrival?

# %% tags=["predict"]
guess = ...  # % of the score in order

# %%
log = product.run(days=35, events=[Event("rotation", start=28, size=0.25)])
day = log.outcomes["day"].to_numpy()
late = (log.outcomes["segment"] == "mobile").to_numpy() & (day >= 21) & (day < 28)
order = np.arange(len(log))
shuffled = np.random.default_rng(0).permutation(order)
deliveries = {"in order": order, "phones late": np.r_[order[~late], order[late]], "shuffled": shuffled}
phi, start = features(log.embeddings), features(reference).mean(axis=0)
first, compared = by_timestamp(log.embeddings, day, 35), pd.DataFrame()
for (name, rows), n_batches in zip(deliveries.items(), (35, 11, 3), strict=True):
    state = by_timestamp(log.embeddings[rows], day[rows], n_batches)
    compared.loc[name, "by arrival"] = f"{1e4 * by_arrival(phi[rows], start, 2 * 345):.1f}"
    compared.loc[name, "by timestamp"] = f"{1e4 * state.mmd2(frozen):.1f}"
    compared.loc[name, "same bits"] = state.to_bytes() == first.to_bytes()
in_order, phones_late, _ = compared["by arrival"].astype(float)
reveal(guess, 100 * phones_late / in_order, "% of the score in order")
print(f"{late.mean():.2f} of the rows are late; MMD^2 x 10,000")
compared

# %% [markdown]
# More than half of the score is gone, because the phones' *old* queries count as the newest. After the shuffle, most of it is gone. The wrong version does not answer "what is the traffic of the last days like", but "what did the network deliver last". (In order, it is a little higher than the helper: it counts the pairs of a row with itself.)
#
# By timestamp the answer is not about the same, it is the same: the bits are equal. `RandomFeatureMean` keeps one sum for each **pane** of time, a quarter of a half-life, and applies the weights only when you read it. A late row goes into its own pane. What is older than ten half-lives is dropped, and `state.dropped` counts it.
#
# Forgetting by arrival has a second fault: two machines have two orders of arrival. There is no right way to merge them.

# %% [markdown]
# ## 6. Can you do without a reference?
#
# A reference must be chosen, kept and renewed. An idea to do without one (NEWMA; Keriven, Garreau and Poli, 2020): keep two means of the same stream, one that forgets fast and one that forgets slowly, and watch their distance
#
# $$|\bar\varphi_{\text{fast}} - \bar\varphi_{\text{slow}}|^2$$
#
# When the traffic changes, the fast one runs ahead. `TwoRateMean` reads both from one set of panes. Its fast mean can also be compared with a reference. So one state serves two charts: **two-rate** (2 against 14 days), and **reference** (2 days against four frozen weeks).
#
# For each of ten products, a state sees eight quiet weeks, the first four of which are the reference. It is then *saved as bytes*, so that each of the following histories starts from the same point.

# %%
CHARTS = ["two-rate", "reference"]


def follow(state, reference, log):
    """Feed one day after the other, and note both scores."""
    rows, day, scores = log.embeddings, log.outcomes["day"].to_numpy(), {}
    for today in np.unique(day):
        state.update(rows[day == today], timestamp=today)
        scores[today] = state.score(), state.features.mmd2(reference)
    return pd.DataFrame.from_dict(scores, orient="index", columns=CHARTS)


def warmed_up(seed):
    """A product, the state of its reference, and the bytes of a state that saw eight quiet weeks."""
    product = Product(seed)
    log = product.run(days=56, start=-56)
    rows = log.days(-56, -29).embeddings
    gamma = metrics.median_gamma(rows)
    reference = fed(RandomFeatureMean(64, gamma=gamma), rows)
    state = TwoRateMean(64, gamma=gamma, fast=2, slow=14)
    follow(state, reference, log)
    return product, reference, state.to_bytes()


# %% [markdown]
# Give both charts the same budget of false alarms: one a quarter. A quarter of quiet days from each product gives the **limit**: lower it from the top, and stop before the ten quarters have an eleventh alarm. (An alarm is the day on which a chart rises above its limit. Notebook 04 does this with more care.)

# %%
PRODUCTS = [warmed_up(seed) for seed in range(10)]


def histories(days, events=()):
    """Both scores of each product, day by day."""
    return [
        follow(TwoRateMean.from_bytes(saved), reference, product.run(days, events))
        for product, reference, saved in PRODUCTS
    ]


def n_alarms(scores, limit):
    above = scores > limit
    return (above & ~above.shift(fill_value=False)).sum()


quiet, limits = histories(91), {}
for chart in CHARTS:
    for limit in sorted(pd.concat(quiet)[chart], reverse=True):
        if sum(n_alarms(scores[chart], limit) for scores in quiet) > len(quiet):
            break
        limits[chart] = limit
print("limits x 10,000:", {chart: f"{1e4 * limit:.0f}" for chart, limit in limits.items()})

# %% [markdown]
# Quiet traffic wanders away from an old reference, but not so far from its own recent past. So the reference needs the higher limit.
#
# Now one picture. In the first product the upgrade comes on day 28 and is taken back on day 70.
#
# **Predict.** Sketch both charts from day 0 to day 100. When does each rise, and when does it fall?

# %%
product_0, reference_0, saved = PRODUCTS[0]
back = product_0.run(days=100, events=[Event("rotation", start=28, end=70, size=0.25)])
paths = follow(TwoRateMean.from_bytes(saved), reference_0, back) / pd.Series(limits)
axes = plots.canvas(2, 1, width=8, height=5.2, sharex=True)
titles = ["Two-rate: rises when something changes", "Reference: stays up as long as something is different"]
for ax, chart, title in zip(axes.flat, CHARTS, titles, strict=True):
    style = {"xlabel": "day", "ylabel": "score / limit", "name_events": chart == "two-rate"}
    style |= {"band": (0, 1), "band_label": "no alarm", "events": {"upgrade": (28, 69)}}
    plots.timeline(ax, paths[chart], title=title, **style).label_outer()
plots.show(axes)
for chart, name in zip(CHARTS, ["two-rate ", "reference"], strict=True):
    days = paths.index[paths[chart] > 1]
    print(f"{name}: in alarm on {len(days)} days, the first {days[0]}, the last {days[-1]}")

# %% [markdown]
# Two different questions. The two-rate chart asks: does the traffic *change*? It fires when the upgrade comes, falls silent while the upgrade is live, and fires once more when it goes. The reference chart asks: is the traffic *different*? It stays up until things are as before.
#
# Now over all ten products: the upgrade, and a topic that becomes more popular. Both stay.
#
# **Predict.** Which chart is faster? And which is still in alarm in the ninth to twelfth week?

# %%
LASTING = {"upgrade": [Event("rotation", size=0.25)]}
LASTING |= {"topic mix": [Event("mix", size=0.8, topic=3)]}


def first_alarms(runs):
    """Day of the first alarm, counted from 1, of each product; inf where there is none."""
    above = [scores > pd.Series(limits) for scores in runs]
    return pd.DataFrame([1 + one.idxmax().where(one.any(), np.inf) for one in above])


def summary(runs):
    first = first_alarms(runs)
    table = pd.DataFrame({"first alarm (median day)": first.median(), "earliest": first.min()})
    table["latest"] = first.max()
    table["before the other"] = (first < first[CHARTS[::-1]].set_axis(CHARTS, axis=1)).sum()
    late = [(scores.loc[56:] > pd.Series(limits)).mean() for scores in runs]
    table["days 57-84 in alarm (%)"] = 100 * pd.DataFrame(late).mean()
    return table.map("{:.0f}".format).replace("inf", "never")


found = {name: summary(histories(84, events)) for name, events in LASTING.items()}
print(pd.concat(found).to_string())

# %% [markdown]
# For the upgrade, the two-rate chart is a day faster. (A 1 is luck: that chart was about to ring anyway, and the last table of this notebook has such alarms without any drift.) For the faint topic mix its median is better, too. But count: each chart is the first in four products, and in at least one the two-rate chart never rings. Look at the single cases before you trust a median of ten.
#
# After eight weeks the picture turns around. The two-rate chart is silent again. To it, the upgrade is the new normal. **Ship both.** A two-rate alarm says "look now". A reference alarm says "it is still not repaired".

# %% [markdown]
# ## 7. Do eight machines see what one machine sees?
#
# Your traffic is spread over machines. Each sums its own features, and the sums are added along some tree: whichever machine is ready first. Sums may be grouped in any way, so the tree should not matter.
#
# **Predict.** Cut one week into shards at random, add the sums along a random tree, fifty times. How many different results will you get?

# %% tags=["predict"]
guess = ...  # different results

# %%
rng, week, different = np.random.default_rng(0), weeks["upgrade"], {}
phi = features(week)
integers = np.rint(phi * 2**32).astype(np.int64)  # rounded once, before any addition


def shards(n):
    return np.array_split(rng.permutation(len(week)), n)


def random_tree(parts, add):
    """Join any two parts until one is left."""
    while len(parts) > 1:
        a, b = (parts.pop(rng.integers(len(parts))) for _ in range(2))
        parts.append(add(a, b))
    return parts[0]


for name, rows in {"floats": phi, "integers": integers}.items():
    sums = [[rows[shard].sum(axis=0) for shard in shards(n)] for n in [5, 8] * 25]
    different[name] = len({random_tree(parts, np.add).tobytes() for parts in sums})
    print(f"{name:>8}: 50 trees, different results: {different[name]}")
reveal(guess, different["floats"], "of 50")
off = np.abs(integers.sum(axis=0) / 2**32 / len(week) - phi.mean(axis=0)).max()
print("integers against floats, largest difference of the means below 1e-9:", off < 1e-9)

# %% [markdown]
# With floats, fifty: every tree gave another result. Floats round after every addition, so $(a+b)+c$ and $a+(b+c)$ differ in the last digits. The difference is tiny, and it has a price: you cannot check by comparing. A re-run, a repaired shard, a second cluster give *nearly* the same number, and nobody can say whether a row was lost.
#
# **Round once at the door, then every sum is exact, and order cannot matter.** Whole numbers below $2^{63}$ add without rounding. The price is one rounding of each row, far below anything a drift score can see.
#
# The helper goes one step further. It rounds the row *before* the product with the frequencies. Otherwise that product would round in its own order, which can differ between processors and sizes of batches. Then it looks the cosines up in a table of whole numbers. Try it with random shards, on three kinds of state:


# %%
EXACT = {
    "random features": lambda: RandomFeatureMean(64, gamma=gamma),
    "mean and covariance": lambda: RunningMoments(64),
    "sample by hash": lambda: HashSample(500),
}
ids = np.array([f"query {number}" for number in range(len(week))])
for name, make in EXACT.items():
    columns = (week, ids) if name == "sample by hash" else (week,)
    single, results = fed(make(), *columns).to_bytes(), set()
    for n in [5, 8] * 10:
        states = [fed(make(), *(column[shard] for column in columns)) for shard in shards(n)]
        results.add(random_tree(states, lambda a, b: a.merge(b)).to_bytes())
    print(f"{name:>20}: 20 trees, different results: {len(results)};", end=" ")
    print(f"same as one machine: {results == {single}}")

# %% [markdown]
# Even a *sample* can merge exactly. `HashSample` throws no dice. It hashes the id of each query and keeps the 500 smallest hashes. Every machine ranks the same query alike, so the smallest of all are among the smallest of each shard. And a query that is delivered twice counts once.
#
# A `Reservoir` does throw dice. Merged, it is a different sample from that of a single machine. What does it still promise?
#
# **Predict.** One machine saw 80 % of the traffic, the other 20 %. Each has a reservoir of 500. Which share of the merged 500 should come from the large one? And which share do you get if you pour both reservoirs together and draw 500?

# %%
cut = len(week) * 4 // 5
single, shares = fed(Reservoir(500), week).to_bytes(), []
labels = np.zeros((len(week), 1))
labels[:cut] = 1  # the rows of the large machine
for seed in range(100):
    large = fed(Reservoir(500, 2 * seed), labels[:cut])
    small = fed(Reservoir(500, 2 * seed + 1), labels[cut:])
    together = large.merge(small)
    poured = rng.permutation(np.concatenate([large.rows, small.rows]))[:500]
    shares.append((together.rows.mean(), poured.mean()))
print("share from the large machine: merged {:.2f}, poured together {:.2f}".format(*np.mean(shares, axis=0)))
pair = fed(Reservoir(500, 1), week[:cut]).merge(fed(Reservoir(500, 2), week[cut:]))
print("merged reservoir has the bits of the single pass:", pair.to_bytes() == single)

# %% [markdown]
# Four fifths should come from the large machine, and do in the merge; poured together, it is about a half. A merge keeps the *distribution*: every row of the whole stream has the same chance. It cannot keep the bits, because the dice fell differently. Pouring together breaks even that. (It is 0.52 and not 0.50: the small machine saw fewer than 500 rows, so its reservoir is not quite full.) The quantile sketches of the next section are of this second kind, too: they keep a guarantee and not the bits. Know which kind you have before you write a test that compares.

# %% [markdown]
# ## 8. Is the sketch finer than what you measure with it?
#
# Some scores need the distribution along an axis: Wasserstein, Kolmogorov-Smirnov, PSI. Its constant-size form is a **quantile sketch**. The idea in one step: of $2k$ sorted values keep every other one, let a coin decide which half, and let each kept one stand for two. Repeat whenever there are too many. `ProjectionSketch` does it well, with the KLL sketch of Apache DataSketches; here is the idea in a few lines.


# %%
def small_sketch(values, k, rng):
    """k values that stand for all: sort in pairs of blocks, keep every other value. len = k * a power of 2."""
    blocks = np.sort(values.reshape(-1, k))
    while len(blocks) > 1:
        pairs = np.sort(blocks.reshape(-1, 2 * k))
        blocks = pairs[:, rng.integers(2) :: 2]
    return blocks[0]


def ks(x, y):
    """Largest difference of two distribution functions, of sorted values."""
    grid = np.concatenate([x, y])
    F, G = (np.searchsorted(values, grid, side="right") / len(values) for values in (x, y))
    return np.abs(F - G).max()


# %% [markdown]
# The **KS** statistic is the largest difference of two distribution functions. Without drift it exceeds $1.358\sqrt{1/n + 1/m}$ in 5 % of all cases: the **critical value**. Draw both windows from *one* normal distribution, so that there is nothing to find. The sketches keep 200 values.
#
# **Predict.** As the windows grow, the exact KS shrinks with its critical value. And the KS of two sketches?

# %%
rng, nothing, alarms = np.random.default_rng(0), {}, {}
for n in 200 * 2 ** np.arange(0, 11, 2):
    critical, found = 1.358 * np.sqrt(2 / n), []
    for _ in range(40):
        x, y = rng.normal(size=(2, n))
        a, b = (small_sketch(window, 200, rng) for window in (x, y))
        x.sort(), y.sort()
        distances = {"KS exact": ks(x, y) / critical, "KS of sketches": ks(a, b) / critical}
        distances |= {"W1 exact": np.abs(x - y).mean(), "W1 of sketches": np.abs(a - b).mean()}
        found.append(distances)
    found = pd.DataFrame(found)
    nothing[n], alarms[n] = found.mean(), (100 * (found.iloc[:, :2] > 1)).mean()
nothing, alarms = pd.DataFrame(nothing).T, pd.DataFrame(alarms).T.add_suffix(": alarms (%)")

# %%
ax = plots.canvas(width=7.6)[0, 0]
style = {"xlabel": "rows in each window", "ylabel": "KS / critical value", "log_x": True}
style |= {"colours": ["reference", "current"], "limit": (1, "5 % critical value")}
style["title"] = "Nothing changed: the sketch alone crosses the threshold"
plots.curves(ax, nothing.iloc[:, :2], **style)
plots.show(ax)
both = alarms.map("{:.0f}".format).join(nothing.iloc[:, 2:].map("{:.2g}".format))
print(both.rename_axis("rows").to_string())

# %% [markdown]
# The KS of two sketches shrinks more slowly than the critical value, and crosses it. The noise of the rows falls with $1/\sqrt n$. The error of the sketch does not: it is a share of the *ranks*, fixed by its size. At about ten thousand rows the critical value has fallen to that error. At two hundred thousand the test finds drift in every pair of windows. The more traffic, the surer the false alarm. Wasserstein (W1) suffers alike: near its floor, the distance of two sketches is the sketches' own.
#
# Is the better sketch of the helper good enough? Its coins cannot be seeded, so this cell prints only what they cannot change: the errors that are promised, and whether false alarms are the rule.

# %%
sketch = ProjectionSketch(np.eye(1))
share = kll_doubles_sketch.get_normalized_rank_error(sketch.size, True)
critical = 1.358 * np.sqrt(1 / 50_000 + 1 / 550_000)
print(f"stated error of a rank: {100 * sketch.rank_error:.2f} %")
print(f"of the share between two values: {100 * share:.2f} %")
print(f"critical KS, 50,000 against 550,000 rows: {100 * critical:.2f} %")


def sketched(values):
    return fed(ProjectionSketch(np.eye(1)), values[:, None]).quantiles(np.linspace(0, 1, 1001))[:, 0]


n = 200 * 2**10
pairs = [ks(*(sketched(rng.normal(size=n)) for _ in range(2))) for _ in range(10)]
print("more than half of 10 pairs in alarm:", np.mean(np.array(pairs) > 1.358 * np.sqrt(2 / n)) > 0.5)
values = rng.normal(size=(n, 1))
once, again = (fed(ProjectionSketch(np.eye(1)), values) for _ in range(2))
print("two passes over the same rows give the same bits:", once == again)

# %% [markdown]
# The sketch is honest about its error. The critical value for 50,000 against 550,000 rows, a busy product's day against the eleven before it, is less than half of it. **Before you test with a sketch, compare its rank error with the threshold.** Use a sketch for what it is good at: quantiles on a dashboard, a Wasserstein distance far above its floor. For the rest, the random features lose nothing to rank errors.

# %% [markdown]
# ## 9. What does each state cost, and what survives a crash?
#
# One week through every state of `helpers/streaming.py`.

# %%
clusters = KMeans(n_clusters=12, n_init=3, random_state=0).fit(reference)
limit = np.quantile(clusters.transform(reference).min(axis=1), 0.99)
week = weeks["nothing"]
ids, lines = np.arange(len(week)), metrics.random_directions(64, 8)
spread_out = np.linspace(0, 365, len(week))  # as if over a year, so that all panes are in use
two_rates = TwoRateMean(64, gamma=gamma, fast=2, slow=14)
ONE, ANY = "the bits of one machine", "the same bits in any order"

# %%
STATES = {
    "RandomFeatureMean": (fed(RandomFeatureMean(64, gamma=gamma), week), "has it moved?", ONE),
    "TwoRateMean": (fed(two_rates, week, spread_out), "does it move?", ONE),
    "RunningMoments": (fed(RunningMoments(64), week), "mean, spread, shape", ONE),
    "ClusterCounts": (fed(ClusterCounts(clusters.cluster_centers_, limit=limit), week), "mix, novelty", ONE),
    "HashSample": (fed(HashSample(500), week, ids), "rows, by id", ONE),
    "DecayedReservoir": (fed(DecayedReservoir(500, 3.5), week, spread_out), "rows, the recent ones", ANY),
    "Reservoir": (fed(Reservoir(500), week), "rows, all times", "the same distribution"),
    "ProjectionSketch": (fed(ProjectionSketch(lines), week), "quantiles on 8 axes", "the same guarantee"),
}
cost = pd.DataFrame({name: (state.nbytes, *rest) for name, (state, *rest) in STATES.items()}).T
forgetful = fed(RandomFeatureMean(64, gamma=gamma, half_life=2), week, spread_out)
print(f"the rows of the week: {week.nbytes} bytes, and every week as many")
print(f"a RandomFeatureMean with half_life=2: {forgetful.nbytes} bytes")
cost.set_axis(["bytes", "answers", "merges give"], axis=1)

# %% [markdown]
# "The same bits in any order": the decayed reservoirs of eight machines merge to one result along every tree. But it is not the sample that a single machine would have drawn, because each machine threw its own dice.
#
# All but the last of these sizes stay as they are for the next billion rows; a sketch grows with the logarithm of their number. Rows are dear: 500 of them take 130 kB, and most of what the moments take is room for 256 rows, which wait there to be added as one block. So is forgetting: a mean with a half-life of two days keeps a sum for each of some 40 panes, ten half-lives of them, and `TwoRateMean` for each of some 200, seven slow half-lives. The score itself takes 2 kB.
#
# A stream never ends, but machines do. So save the state after each batch, and read it back after a crash.
#
# **Predict.** A saved state is read back with one bit flipped, on a bad disk or a bad line. What would you *like* to happen?

# %%
state = STATES["RandomFeatureMean"][0]
saved = state.to_bytes()
restored = RandomFeatureMean.from_bytes(saved)
halves = np.array_split(weeks["upgrade"], 2)
for half in halves:
    restored.update(half)
    state.update(half)
print("goes on as if nothing had happened:", restored == state)

damaged = bytearray(saved)
damaged[len(saved) // 2] ^= 1  # one bit
for data in (bytes(damaged), saved[:-100], b"something else"):
    try:
        RandomFeatureMean.from_bytes(data)
    except ValueError as problem:
        print("ValueError:", problem)

# %% [markdown]
# A wrong state would be worse than none: a flipped bit in a sum is a drift that nobody had, and it would stay for ever. Each saved state ends with a checksum of all before. Open `helpers/states.py`: a header in JSON, the numbers, the checksum. No pickle, so that reading a state never runs code.

# %% [markdown]
# ## When this misleads you
#
# The two-rate chart was the faster one, and needs no reference. Say you ship it alone. The embedder is not upgraded this time: it is fine-tuned, a little every Monday. After twelve weeks it stands nearly where the upgrade of section 6 went in one night. Same ten products, same limits.
#
# **Predict.** Section 6: in the median product, the two-rate chart takes two days to see the upgrade. How long does it take for the same way in twelve steps: "days", "weeks", or "never"?

# %% tags=["predict"]
guess = ...  # "days", "weeks" or "never"

# %%
creep = [Event("rotation", start=7 * week, size=0.02) for week in range(12)]
crept = histories(84, creep)
print(
    pd.concat({"creep": summary(crept), "quiet": summary([scores.loc[:83] for scores in quiet])}).to_string()
)
reveal(guess, summary(crept).loc["two-rate", "first alarm (median day)"])
last_day = pd.DataFrame([scores.iloc[-1] > pd.Series(limits) for scores in crept])
print("products without any alarm:   ", np.isinf(first_alarms(crept)).sum().to_dict())
print("in alarm after the last step: ", last_day.sum().to_dict())
axes = plots.canvas(2, 1, width=8, height=5, sharex=True, sharey=True)
titles = ["Two-rate: its mean never reaches the limit", "Reference: the steps add up past the limit"]
for ax, chart, title in zip(axes.flat, CHARTS, titles, strict=True):
    mean = sum(scores[chart] for scores in crept) / len(crept) / limits[chart]
    style = {"xlabel": "day", "ylabel": "mean score / limit", "band": (0, 1), "band_label": "no alarm"}
    plots.timeline(ax, mean, title=title, **style).label_outer()
plots.show(axes)

# %% [markdown]
# For half of the products it takes for ever, and on late days (57 to 84) the two-rate chart is in alarm on 6 days in a hundred, over all ten products, and on 4 in quiet time. The reference chart is in alarm on 78. Each step is small beside what an ordinary week brings, and the slow mean keeps catching up. The reference chart has no such loss of memory. It ends in alarm for all ten. **A chart that adapts to everything adapts to the drift.**
#
# The same goes for any reference that is renewed by itself: "the last four weeks" is a slow mean.
#
# ## In production
#
# - Log `gamma`, `seed`, dimension and model version with each state. States that differ in one of them refuse to merge; a new embedder needs new states.
# - Compute gamma on rows of the reference in the scale in which the stream will arrive, then freeze it. A gamma made for unit vectors makes every pair alike, or every row a stranger, on vectors of another length.
# - Take the timestamp of the *question*, not that of its arrival. Watch `dropped`: if it grows, rows come later than the memory reaches.
# - Ship a two-rate and a reference chart; keep a decayed reservoir or a hash sample for the people who will ask what the new queries look like.
# - Save the state with the last batch's number in one transaction, or a crash between the two counts a batch twice.

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell: it says correct, or what is not right yet. `hint("05-1")` helps in stages, and a solution is folded away below each exercise.
#
# ### Exercise 05-1: How long may the memory be?
#
# The drifted week of section 3 is just over. Which is the longest half-life with which a decayed reservoir keeps at least 80 % of the *score* of that week? Answer in days; a quarter of a day is close enough. The traffic is steady and the past is long. So the share of the rows that are from the last seven days depends on the half-life alone. You can reckon, or try half-lives in the cell of section 3; ten reservoirs scatter, so reckon at the end.

# %% tags=["exercise"]
longest = ...  # days
check("05-1", longest)

# %% tags=["solution"]
# Solution of 05-1
half_lives = np.arange(0.5, 7, 0.01)
share_of_week = 1 - 0.5 ** (7 / half_lives)  # what is older than seven days is the rest
longest = half_lives[share_of_week**2 >= 0.8].max()
check("05-1", longest, solution=True)

# %% [markdown]
# ### Exercise 05-2: Forget by time
#
# Write `recent_mean(values, times, half_life)`, which follows a number instead of a vector, say the best similarity of each query. It gets two arrays: the values, and when each query was asked, in the unit of `half_life`. It returns the weighted mean of the values, in which a row's weight halves with every `half_life` of its age.
#
# The check delivers rows in order, shuffled, and with clocks that count days or seconds since 1970: the result must be the same each time. Then comes a history of 1,200 half-lives, in no order at all.


# %% tags=["exercise"]
def recent_mean(values, times, half_life):
    return ...  # one number


check("05-2", recent_mean)


# %% tags=["solution"]
# Solution of 05-2
def recent_mean(values, times, half_life):
    age = times.max() - times  # small, whatever the clock counts from
    return np.average(values, weights=0.5 ** (age / half_life))


check("05-2", recent_mean, solution=True)

# %% [markdown]
# ### Exercise 05-3: Fifty kilobytes for each client (open-ended)
#
# You follow thousands of clients, each in 50,000 bytes. A client's rows go to two machines in turn. Write `make(machine)`: it gets 0 or 1 and returns a list of new states for that machine. Section 9 lists the kinds, `help(RandomFeatureMean)` says how to set one up; use the notebook's `gamma`. A mean that forgets holds one sum for each pane: section 9 weighs one with `half_life=2`, and `memory` says how long panes are kept. The check feeds both machines the stream of section 3, four quiet weeks and the week of the upgrade, with time in days. At the end it merges the two lists state by state, and looks at what came out:
#
# - All merged states together hold at most 50,000 bytes (`nbytes`).
# - One of them is a `RandomFeatureMean` or a `TwoRateMean`. Its MMD² from the reference is between 0.5 and 1.5 of what the drifted week's own rows have. (The reference is `before`, in the same features.)
# - Another one keeps at least 60 rows, and at least half of them are from the drifted week.
#
# Many designs fit. Which question could you no longer answer with 5,000 bytes? And in your own product: how late do rows come, and is your `memory` long enough for them?
#
# Further: give section 3 twelve quiet weeks instead of four (`days=91, start=-84`). What is left of the score in the uniform reservoir, and what in the decayed ones? And set `slow=56` in `warmed_up` of section 6: how long is the two-rate chart in alarm now, and what happens to its limit?


# %% tags=["exercise"]
def make(machine):
    return ...  # a list of states


check("05-3", make)


# %% tags=["solution"]
# Solution of 05-3
def make(machine):
    mean = RandomFeatureMean(64, n_features=128, gamma=gamma, half_life=2, memory=10)
    return [mean, DecayedReservoir(100, half_life=3.5, seed=machine)]


check("05-3", make, solution=True)

# %% [markdown]
# ## Recap
#
# - You replaced a window by the mean of 256 random features: an error of about 10 to 15 %, whatever the number of rows, and less of it moves from week to week while the draw is frozen.
# - You saw a uniform reservoir dilute a week of drift by its share squared, and a decayed one keep it. A hash sample is the one that every machine agrees on.
# - You forgot by timestamp, to the same bits in any order of arrival. Forgetting by arrival lost more than half of a score to late phones, and keys without logarithms froze after 26 weeks.
# - You put change beside difference: two-rate is faster and falls silent, and sleeps through a creep; the reference chart stays on. Ship both.
# - You merged integer sums to the same bits over any tree, where floats gave another result each time. Reservoirs and quantile sketches keep a guarantee only, and a sketch coarser than your threshold raises alarms of its own.

# %% [markdown]
# Previous: [04 Alert on drift](04_alert_on_drift.ipynb) · [map of the series](../README.md) · Next: [06 Put it on a dashboard](06_put_it_on_a_dashboard.ipynb)
