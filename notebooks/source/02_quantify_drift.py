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
# # Quantify drift
#
# At the end you will have put more than a dozen scores on the same drifts, know which of them are one score in disguise, and have a small panel that together misses little.
#
# **Launch:** run `python3 playbook.py open 02` in the project's folder. It opens this notebook in JupyterLab on your machine. Links to Binder and Colab appear here after `python3 playbook.py links OWNER/REPO`, with your copy's address on GitHub.
#
# | To read | To practise | To run | Memory |
# |---|---|---|---|
# | 35 minutes | 20 minutes | 50 seconds | 550 MB |
#
# ## What you will be able to do
#
# - You can compute the common drift scores, from Wasserstein to the query-index gap, and say what each one measures.
# - You can name the blind spot of each score before you trust its silence.
# - You can tell a large score from an ordinary one with a null distribution, and know when a fixed threshold is a test of the sample size.
# - You can choose a small panel of scores that covers the kinds of drift you fear.
#
# ## What you need
#
# NumPy, and the idea of a principal component: the direction in which a cloud of points varies most. Notebook 00 introduces the product; you do not need to have run it.

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
from functools import partial

import numpy as np
import pandas as pd
from IPython.display import Markdown
from scipy.spatial.distance import cdist
from scipy.stats import chi2, entropy, wasserstein_distance
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from helpers import metrics, plots
from helpers.calibration import permutation_test
from helpers.exercises import check, hint
from helpers.predictions import reveal
from helpers.synthetic import Event, Product

# %% [markdown]
# ## 1. How far did the queries move?
#
# A drift score takes two **windows** of traffic and returns one number. The **reference** window is what you call normal. The **current** window is what you have now.
#
# Here the reference is four quiet weeks of the synthetic search product. The current week has a mean shift, nearly along PC1, the first principal component of the reference: say, a new client adds the same words to every query. Start with that one axis: 64 numbers per query become one. Both windows are drawn over the *same* bins. Otherwise one shape can look like two, and two shapes like one.
#
# **Predict.** Imagine the blue histogram as a heap of sand that you must push into the shape of the orange one. How far does a grain travel on average?

# %%
product = Product(seed=0)
reference = product.run(days=28, start=-28).embeddings.astype(float)
quiet = product.run(days=7, start=28).embeddings
move = [Event("mean_shift", size=0.15, direction="pc1")]
shifted = product.run(days=7, start=28, events=move).embeddings
pca = PCA(n_components=1).fit(reference)


def pc1(rows):
    return pca.transform(rows.astype(float))[:, 0]  # logs keep float32


sand, holes = pc1(reference), pc1(shifted)
print(f"reference {len(sand)} queries, ordinary week {len(quiet)}, shifted week {len(holes)}")

# %%
edges = np.linspace(-0.75, 0.65, 43)
axes = plots.canvas(1, 2, width=10, height=3.6)
title = "On shared bins, the heap has moved to the left"
plots.histogram(axes[0, 0], sand[::4], edges=edges, label="reference (a 4th)", title=title)
plots.histogram(axes[0, 0], holes, edges=edges, label="shifted week", side="current", title=title)
plots.cdf_gap(axes[0, 1], sand, holes, title="The area is the Wasserstein distance")
plots.show(axes)

# %% [markdown]
# On the right, each curve says which share of the queries lies to the left of a point: the **distribution function**, $F$ for the reference and $G$ for the current window. The area between the curves is the average travel of a grain, the **1-Wasserstein distance**:
#
# $$W_1 = \int |F(t) - G(t)|\, dt$$
#
# Write it yourself once.


# %%
def wasserstein_1d(x, y):
    """Area between the two distribution functions."""
    grid = np.sort(np.concatenate([x, y]))
    F = np.searchsorted(np.sort(x), grid, side="right") / len(x)
    G = np.searchsorted(np.sort(y), grid, side="right") / len(y)
    height, width = np.abs(F - G)[:-1], np.diff(grid)
    return (height * width).sum()


print(f"by hand  {wasserstein_1d(sand, holes):.6f}")
print(f"SciPy    {wasserstein_distance(sand, holes):.6f}")
print(f"helper   {metrics.wasserstein_pc1(reference, shifted, pca=pca):.6f}")
print(f"difference of the means   {abs(sand.mean() - holes.mean()):.6f}")
print(f"an ordinary week instead  {wasserstein_distance(sand, pc1(quiet)):.6f}")

# %% [markdown]
# All three agree. From now on this notebook imports its scores from `helpers/metrics.py`; open it and you will recognise the formula.
#
# A grain travels about 0.08, in the unit of the axis. When everybody moves the same way, it is the difference of the means, as it is here. It needs no bins. And an ordinary week does not score zero. Keep that last line in mind.

# %% [markdown]
# ## 2. What does a divergence punish?
#
# A **divergence** compares two histograms bin by bin. With $p_b$ the share of the reference in bin $b$, and $q_b$ the share of the current window, the **Kullback-Leibler divergence** is
#
# $$KL(q \,\|\, p) = \sum_b q_b \ln \frac{q_b}{p_b}$$
#
# the average surprise of somebody who expects $p$ and is shown $q$. It has a direction. Swap the two and you ask another question.
#
# Take two incidents that are easy to picture. In one, a client **leaves**: the tenth of the queries furthest to the right is gone. In the other, newcomers **arrive**: 3 % of the queries sit where nobody was.
#
# **Predict.** A client leaves. Which of the two directions becomes infinite?

# %%
leaves = sand[sand < np.quantile(sand, 0.9)]
arrives = np.r_[sand, np.full(len(sand) * 3 // 97, 1.0)]
bins = np.linspace(-0.75, 1.2, 66)


def kl_by_hand(current, reference):
    q, p = (np.histogram(values, bins)[0] / len(values) for values in (current, reference))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(q > 0, q * np.log(q / p), 0.0).sum()


for name, window in {"leaves": leaves, "arrives": arrives}.items():
    forth, back = kl_by_hand(window, sand), kl_by_hand(sand, window)
    print(f"{name:8} KL(current||reference) {forth:.3f}   KL(reference||current) {back:.3f}")
q, p = (np.histogram(values, bins)[0] for values in (leaves, sand))
print(f"SciPy's entropy(q, p) for 'leaves': {entropy(q, p):.3f}")

# %% [markdown]
# One empty bin is enough. When a client leaves, KL(reference || current) is infinite. KL(current || reference) explodes where queries **appear** that the reference never had. KL(reference || current) explodes where queries **disappear**. A monitor wants to hear of newcomers, so the helper takes the first direction. It also counts an empty bin as half an observation. That keeps the number finite, and makes it partly a number about the half observation.
#
# Here are the scores so far, side by side, and one more, JS. In the last row the newcomers have moved ten times further away.

# %%
inner = bins[1:-1]
far_away = np.where(arrives == 1.0, 10.0, arrives)
weeks = {"ordinary week": pc1(quiet), "shifted week": holes, "a tenth leaves": leaves}
weeks |= {"3 % arrive": arrives, "3 % arrive, far away": far_away}
side_by_side = pd.DataFrame(index=list(weeks))
for name, window in weeks.items():
    side_by_side.loc[name, "KL(cur||ref)"] = metrics.kl_divergence(sand, window, bins=inner)
    side_by_side.loc[name, "KL(ref||cur)"] = metrics.kl_divergence(window, sand, bins=inner)
    side_by_side.loc[name, "JS"] = metrics.js_divergence(sand, window, bins=inner)
    side_by_side.loc[name, "Wasserstein"] = wasserstein_distance(sand, window)
side_by_side.map("{:.4f}".format)

# %% [markdown]
# Three things to read off:
#
# - The two directions of KL rank the two incidents differently. Whoever reports "KL" without its direction has not told you what was measured.
# - **JS**, the Jensen-Shannon divergence, averages the KL of each window from the mean of the two. It is symmetric, never infinite, and at most $\ln 2$. It is the tame choice.
# - For a divergence the newcomers may be next door or ten times further away: same bin, same number. Only Wasserstein knows *how far*.
#
# Next, the knob that nobody reports. Take about 500 queries of each window, and change nothing but the number of bins.
#
# **Predict.** With 200 bins instead of 10, does the shifted week stand out more from the ordinary one, or less?

# %%
by_bins = pd.DataFrame(index=[5, 10, 20, 50, 100, 200])
for b in by_bins.index:
    for name, window in {"shifted week": holes, "ordinary week": pc1(quiet)}.items():
        by_bins.loc[b, name] = metrics.kl_divergence(sand[::20], window[::5], bins=b)
ratio = by_bins["shifted week"] / by_bins["ordinary week"]
print("shifted / ordinary: " + ", ".join(f"{r:.1f} with {b} bins" for b, r in ratio.items()))
ax = plots.canvas(height=3.2)[0, 0]
labels = {"title": "More bins: larger KL, less contrast", "xlabel": "number of bins"}
colours = ["current", "reference"]
plots.curves(ax, by_bins, **labels, ylabel="KL(current || reference)", colours=colours, log_x=True)
plots.show(ax)

# %% [markdown]
# Every bin adds its own sampling noise. With few bins the shifted week towers over the ordinary one; with many, both drown in the sum of small accidents. **A KL without its number of bins and its sample size is not a measurement.** Its popular cousin has the same weakness, and a famous threshold.

# %% [markdown]
# ## 3. Is a PSI above 0.1 drift?
#
# The **population stability index** is the sum of both directions of KL:
#
# $$PSI = \sum_b (q_b - p_b) \ln \frac{q_b}{p_b}$$
#
# Many tools read it with a fixed rule: below 0.1 nothing happened, above 0.1 look into it. Put the rule to the test on traffic in which nothing happens. For this you need **iid** queries, independent draws of one unchanging population. The product can do that: no sessions, no weekdays, no wandering topics.
#
# **Predict.** Two windows of 100 iid queries each, 10 bins, nothing changed. In how many percent of such pairs is PSI above 0.1? Write your number in place of the dots: 30, say, without quotes.

# %% tags=["predict"]
guess = ...  # %

# %%
iid = Product(seed=0, wander=0, weekend=0, session_length=1, loyalty=0, queries_per_day=3000)
calm = iid.run(days=5, start=300).embeddings.astype(float)
axis, rng = pc1(calm), np.random.default_rng(0)
rule = pd.DataFrame(index=[50, 100, 200, 300, 400, 500, 700, 1000])
for b in (10, 20):
    for n in rule.index:
        pairs = [rng.choice(axis, (2, n), replace=False) for _ in range(400)]
        rule.loc[n, f"{b} bins"] = 100 * np.mean([metrics.psi(*pair, bins=b) > 0.1 for pair in pairs])
        rule.loc[n, f"{b} bins, theory"] = 100 * chi2.sf(0.1 / (1 / n + 1 / n), df=b - 1)
print(rule.round(1).to_string())
reveal(guess, rule.loc[100, "10 bins"], "%")
ax = plots.canvas()[0, 0]
style = {"colours": ["other", "other", "alarm", "alarm"], "dashed": list(rule.columns[1::2])}
style |= {"xlabel": "queries per window", "ylabel": "windows called drifted (%)", "log_x": True}
plots.curves(ax, rule, title="PSI > 0.1 when nothing changed: a test of your sample size", **style)
plots.show(ax)

# %% [markdown]
# With 100 queries a window the rule cries drift in most windows in which nothing changed; with 500 it practically never does. Use 20 bins and the cliff moves to the right. The dashed lines need no data at all: without drift, PSI is distributed like $\left(\frac1n + \frac1m\right)\chi^2_{B-1}$ for windows of $n$ and $m$ queries and $B$ bins. So the threshold 0.1 is a statement about $n$ and $B$, and about nothing else.
#
# Do not ask "is it above 0.1". Ask "is it above what *my* windows give when nothing changed". Section 7 asks that of every score. First you need more scores, because so far you have looked at one axis of 64.

# %% [markdown]
# ## 4. What about the other 63 axes?
#
# Here is an incident. The web client ships a new embedder. The mobile app still has the old one, and nobody rebuilt the index of documents. The product is **half-upgraded**.
#
# **Predict.** You saw what an ordinary week scores on PC1. How many times as much does the half-upgraded week score?

# %% tags=["predict"]
guess = ...  # 1 is as much as the ordinary week

# %%
half = Event("rotation", start=28, size=0.5, segment="web")
log, twin = product.run(days=7, start=28, events=[half]), product.run(days=7, start=28)
broken, distance = log.embeddings, {}
for name, week in {"ordinary": twin, "half-upgraded": log}.items():
    distance[name] = metrics.wasserstein_pc1(reference, week.embeddings, pca=pca)
    success = week.outcomes["success"].mean()
    print(f"{name:13} week: success {success:.3f}   PC1 Wasserstein {distance[name]:.4f}")
reveal(guess, round(distance["half-upgraded"] / distance["ordinary"], 1), "times")
explained = PCA().fit(reference).explained_variance_ratio_
print(f"PC1 holds {explained[0]:.0%} of the variance, the other 63 axes {explained[1:].sum():.0%}")

# %% [markdown]
# Many queries fail that used to succeed, and on PC1 the broken week looks calmer than an ordinary one. The break went almost entirely into directions that PC1 does not look at. You need scores that use all of the vector.
#
# **Energy distance** compares distances: how far is a current query from a reference query, against two queries of the same window?
#
# $$D^2 = 2\,E|X-Y| - E|X-X'| - E|Y-Y'|$$
#
# $X$ and $X'$ are two reference queries, $Y$ and $Y'$ two current ones, and $E$ is the average over all such pairs.
#
# **Maximum mean discrepancy**, MMD, does the same with a similarity $k$ that fades with distance, the **kernel**. Its **bandwidth** $\gamma$ says how fast:
#
# $$MMD^2 = E\,k(X,X') + E\,k(Y,Y') - 2\,E\,k(X,Y), \qquad k(x,y) = e^{-\gamma |x-y|^2}$$


# %%
def energy_by_hand(x, y):
    return 2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean()


def mmd2_by_hand(x, y, gamma):
    kxx, kyy, kxy = (np.exp(-gamma * cdist(a, b) ** 2) for a, b in [(x, x), (y, y), (x, y)])
    n, m = len(x), len(y)
    within_x = (kxx.sum() - n) / (n * (n - 1))  # without each query's similarity to itself, 1
    within_y = (kyy.sum() - m) / (m * (m - 1))
    return within_x + within_y - 2 * kxy.mean()


x, y = reference[::20], broken[::5]
gamma = metrics.median_gamma(reference)
print(f"energy: by hand {energy_by_hand(x, y):.6f}   helper {metrics.energy_distance(x, y):.6f}")
print(f"MMD^2:  by hand {mmd2_by_hand(x, y, gamma):.6f}   helper {metrics.mmd2(x, y, gamma=gamma):.6f}")

# %% [markdown]
# `gamma` comes from the reference, once: one over the median squared distance between its queries, the **median heuristic**. It then stays frozen, like the PCA.
#
# Two more scores look at the whole vector. The **centroid distance** is the distance between the two means. **Sliced Wasserstein** averages the Wasserstein distance over many random directions, here 128, instead of one chosen axis. To save time, every 4th query of the reference will do.

# %%
PC1W = partial(metrics.wasserstein_pc1, pca=pca)
MMD = partial(metrics.mmd2, gamma=gamma)
SLICED = partial(metrics.sliced_wasserstein, n_projections=128)
whole = {"centroid": metrics.centroid_distance, "energy": metrics.energy_distance, "MMD^2": MMD}
whole |= {"sliced Wasserstein": SLICED}
compared = pd.DataFrame(index=list(whole))
for name, score in whole.items():
    compared.loc[name, "ordinary week"] = score(reference[::4], quiet)
    compared.loc[name, "half-upgraded week"] = score(reference[::4], broken)
compared.map("{:.3g}".format)

# %% [markdown]
# All four rise where PC1 does not. Which rises most? You cannot tell from this table. The units have nothing to do with each other, and a ratio flatters whichever score happens to lie near zero in a quiet week. Sections 7 and 8 put scores on one scale. Before that, three very different ideas.

# %% [markdown]
# ## 5. Can a classifier tell the weeks apart?
#
# Train a classifier to answer "is this query from the reference or from now?". Test it on queries it has not seen. Its **AUC** is the chance that it ranks a random current query above a random reference query: 0.5 is guessing, 1 is certainty. No bins, no kernel, and it may use any direction it likes. Some tools call an AUC of 0.55 drift.
#
# So let a new topic arrive with a share $e$ of the traffic.
#
# **Predict.** 5 % of all queries are about a topic that did not exist before. Could a *perfect* classifier reach 0.55?

# %%
law, rng = pd.DataFrame(index=[0, 3, 5, 10, 20, 30]), np.random.default_rng(0)
for e in law.index:
    topic = Event("new_topic", size=e / 100)
    now = iid.run(days=2, start=400, events=[topic]).embeddings[:5000]
    before = rng.choice(calm, 5000, replace=False)
    law.loc[e, "best possible AUC"] = 0.5 + e / 100 / 2
    law.loc[e, "measured AUC"] = metrics.classifier_auc(before, now)
    law.loc[e, "novelty share"] = metrics.novelty_share(before, now)
print(law.rename_axis("new topic (%)").map("{:.3f}".format).to_string())
print(f"standard error of a measured AUC, about {np.sqrt(10_001 / (12 * 5000 * 5000)):.3f}")
ax = plots.canvas(height=3.2)[0, 0]
style = {"xlabel": "share of the new topic (%)", "ylabel": "AUC", "colours": ["band", "current"]}
style |= {"dashed": ["best possible AUC"], "limit": (0.55, "a common threshold")}
plots.curves(ax, law.iloc[:, :2], title="A new topic of 5 % cannot lift the AUC to 0.55", **style)
plots.show(ax)

# %% [markdown]
# No: 0.525 is the best it can do. A share $1-e$ of the current queries is just like the reference; on those even an oracle can only guess. So the best AUC is $\frac12(1-e) + 1 \cdot e = 0.5 + e/2$. A threshold of 0.55 is blind to a new topic below 10 %, with any amount of data. The measured AUC keeps to this law, give or take a standard error or two: in a sample it may lie above the line by luck.
#
# An AUC averages over all queries, and a few strange ones drown. The last column of the table asks about the few.

# %% [markdown]
# ## 6. Who is new here, and who finds a document?
#
# The **novelty share** counts strangers. A random half of the reference is what is *known*. Measure how far the other half lies from its nearest known query, and note the 99 % point. Then count the current queries that lie further out: about 1 % without drift. The table shows it rise with the new topic nearly one for one, while the AUC still flips coins.
#
# All scores so far compare queries with queries. But a search product has a second side. The **query-index gap** compares queries with *documents*: by how much has the similarity of a query to its best document fallen?
#
# **Predict.** In the half-upgraded week, does the similarity rise, fall, or stay?

# %%
documents = product.index(day=0).embeddings
best_before = (reference @ documents.T).max(axis=1)
best_now = (broken @ documents.T).max(axis=1)


def index_gap(x, y):
    return metrics.coverage_gap(y, documents) - metrics.coverage_gap(x, documents)


gap_before = metrics.coverage_gap(reference, documents)

print(f"similarity to the best document: {best_before.mean():.4f}, then {best_now.mean():.4f}")
print(f"query-index gap, half-upgraded week: {index_gap(reference, broken):+.4f}")
print(f"query-index gap, ordinary week:      {index_gap(reference, quiet):+.4f}")

# %% [markdown]
# It falls, by many times what an ordinary week brings. The gap needs no label and no click: the search engine computes that best similarity for each query anyway. Three small scores complete the toolbox:
#
# - **cluster chi2**: fit 12 clusters on the reference, count both windows in them, compare the counts by the chi-squared statistic,
# - **spread**: the log of the ratio of the two total variances, its size without its sign,
# - **duplicates**: how much more of the window the most repeated vector takes.
#
# Here is the whole collection, with everything fitted on the reference and frozen.

# %%
clusters = KMeans(n_clusters=12, n_init=3, random_state=0).fit(reference)
SCORES = {
    "PC1 Wasserstein": PC1W,
    "PC1 PSI": lambda x, y: metrics.psi(pc1(x), pc1(y)),
    "PC1 KL": lambda x, y: metrics.kl_divergence(pc1(x), pc1(y)),
    "PC1 JS": lambda x, y: metrics.js_divergence(pc1(x), pc1(y)),
    **{name: whole[name] for name in ("centroid", "energy", "MMD^2", "sliced Wasserstein")},
    "classifier AUC": partial(metrics.classifier_auc, n_folds=2),
    "cluster chi2": partial(metrics.cluster_chi2, clusters=clusters),
    "spread": lambda x, y: abs(metrics.spread_ratio(x, y)),
    "novelty": metrics.novelty_share,
    "duplicates": metrics.duplicate_share,
    "index gap": index_gap,
}

# %% [markdown]
# ## 7. Is that number large?
#
# A score means something only next to the values it takes when nothing changed: its **null distribution**. You can make one from the two windows at hand. If nothing changed, the labels "reference" and "current" are arbitrary. So shuffle them, compute the score again, and repeat. The **p-value** is the share of these runs, the true labels included, that score at least as high as the true labels. This is a **permutation test**.
#
# Take 500 calm queries against 300 of a day on which a new topic brings 3 % of the traffic.
#
# **Predict.** Which of these nine scores notice: PC1 Wasserstein, PC1 PSI, energy, MMD, sliced Wasserstein, AUC, cluster chi2, novelty, index gap?

# %%
topic = Event("new_topic", size=0.03)
now = iid.run(days=1, start=400, events=[topic]).embeddings[:300]
left_out = ["PC1 KL", "PC1 JS", "centroid", "spread", "duplicates"]
tests = {
    name: permutation_test(score, calm[:500], now, n_resamples=99)
    for name, score in SCORES.items()
    if name not in left_out
}
axes = plots.canvas(3, 3, width=10, height=7)
plots.null_panels(axes, tests, title="Only novelty and the index gap notice a day with a 3 % new topic")
plots.show(axes)

# %% [markdown]
# Each grey heap is what a score does by chance, the dotted line its 95 % point, the orange line the value with the true labels. Seven of the nine see an ordinary day, the most popular ones among them. Only novelty and the index gap notice. (One day is one draw; section 9 counts over many.) Note how little the raw numbers say: no two heaps are on one scale. Only the place of the line in its heap counts. A p-value is such a place, and so it can be compared between scores.
#
# One warning before you build an alarm on this. The test asks "could these be shuffled draws of one population?" Real traffic never is: people come in sessions, weekends differ, topics wander. Test 26 weeks of the normal product in which **nothing** was injected.
#
# **Predict.** A test at the 5 % level should raise the alarm in about 5 % of the quiet weeks. In how many percent does it, with 1000 queries a window?

# %% tags=["predict"]
guess = ...  # %

# %%
half_year = product.run(days=26 * 7)
rng = np.random.default_rng(0)
for n in (300, 1000):
    alarms = 0
    for number in range(26):
        week = half_year.week(number).embeddings
        x, y = rng.choice(reference, n, replace=False), rng.choice(week, n, replace=False)
        alarms += permutation_test(metrics.mmd2, x, y, n_resamples=99).pvalue <= 0.05
    print(f"{n:4} queries a window: MMD has p <= .05 in {alarms / 26:.0%} of the quiet weeks")
reveal(guess, round(100 * alarms / 26), "%")

# %% [markdown]
# Far too often, and the more queries you use, the worse it gets. The test is right: two ordinary weeks *are* different. It answers a question you did not ask. This null is too narrow for real weeks. There are two honest ways out: history as the yardstick, as in the next section, or iid traffic, as in the one after.

# %% [markdown]
# ## 8. What would you have seen, week by week?
#
# Sixteen weeks of normal traffic, with sessions, weekends and wandering topics. During weeks 10 to 12 the product is half-upgraded. Each week is scored against the same reference. The grey **band** is the range of the same score over 26 other weeks, from before the reference, in which nothing was injected.
#
# **Predict.** PC1 Wasserstein, centroid, energy, MMD, index gap: which leave their band?

# %%
half = Event("rotation", start=70, end=91, size=0.5, segment="web")
history = product.run(days=16 * 7, events=[half])
earlier = product.run(days=26 * 7, start=-30 * 7)


def weekly(log, numbers):
    table = pd.DataFrame(index=numbers)
    for number in numbers:
        week = log.week(number).embeddings
        table.loc[number, "PC1 Wasserstein"] = PC1W(reference, week)
        for name in ("centroid", "energy", "MMD^2"):  # all pairs are slow: thin out
            score = SCORES[name]
            table.loc[number, name] = score(reference[::10], week[::3])
        table.loc[number, "index gap"] = metrics.coverage_gap(week, documents) - gap_before
    return table


# %%
scores, usual = weekly(history, range(16)), weekly(earlier, range(-30, -4))
axes = plots.canvas(5, 1, width=8, height=8.5, sharex=True)
title = "PC1 sleeps through three weeks that the other scores see"
plots.score_history(axes, scores, usual, event="half-upgraded", weeks=(10, 12), title=title)
plots.show(axes)
share = (scores.loc[10:12].mean() - usual.mean()) / (usual.max() - usual.mean())
print("rise in weeks 10-12, as a multiple of the largest quiet rise:")
print(share.map("{:.1f}".format).to_string())
together = usual[["centroid", "energy", "MMD^2"]].corr().to_numpy().min()
print(f"centroid, energy and MMD^2 over the {len(usual)} quiet weeks: correlations of {together:.2f} or more")

# %% [markdown]
# PC1 reports three ordinary weeks. Centroid, energy and MMD leave their band (the last two are squared distances, hence the larger multiples), and the index gap leaves it furthest.
#
# Now look at panels two, three and four again. They do not merely agree about the incident. They rise and fall together in the *quiet* weeks too, as the last line says. Are these three witnesses, or one witness under three names?

# %% [markdown]
# ## 9. Which score sees which drift?
#
# One incident proves little. So hold a tournament: seven kinds of drift, each of them small, and every score, sorted into families by what they look at. It runs on iid traffic, so that each score can be held to the same false-alarm rate. A score's **threshold** is its 95 % point over 160 pairs of windows in which nothing changed. Its **power** is the share of drifted windows above the threshold. A blind score has a power of 5 %: its false alarms.
#
# "Random" and "tail" are directions: any one, and the one in which text varies least. "Noise" makes all queries a little noisier, "topic mix" makes one old topic more popular, and a **null vector** is what a broken client sends: the same vector every time.
#
# **Predict.** For each of the seven, name the score you would bet on. Then name one drift that no score of the group centroid, energy, MMD, sliced Wasserstein will see.

# %%
DRIFTS = {
    "nothing": [],
    "shift, random": [Event("mean_shift", size=0.08)],
    "shift, tail": [Event("mean_shift", size=0.08, direction="tail")],
    "rotation .15": [Event("rotation", size=0.15)],
    "noise x1.12": [Event("spread", size=0.12)],
    "new topic 3 %": [Event("new_topic", size=0.03)],
    "topic mix": [Event("mix", size=0.8)],
    "null vectors 3 %": [Event("null_vectors", size=0.03)],
}
FAMILY = {"one axis": ["PC1 Wasserstein", "PC1 PSI", "PC1 KL", "PC1 JS"]}
FAMILY |= {"mean": ["centroid", "energy", "MMD^2", "sliced Wasserstein"]}
FAMILY |= {"learned": ["classifier AUC"], "mix": ["cluster chi2"], "shape": ["spread"]}
FAMILY |= {"strangers": ["novelty"], "copies": ["duplicates"], "match": ["index gap"]}


# %%
def simulate(events, n_windows, seed):
    """Score pairs of windows: 500 calm queries against 300 with the events."""
    rng = np.random.default_rng(seed)
    pool = iid.run(days=4, start=400, events=events).embeddings.astype(float)
    rows = []
    for _ in range(n_windows):
        x, y = rng.choice(calm, 500, replace=False), rng.choice(pool, 300, replace=False)
        rows.append({name: score(x, y) for name, score in SCORES.items()})
    return pd.DataFrame(rows)


null, drifted = simulate([], 160, seed=0), {}
for seed, (name, events) in enumerate(DRIFTS.items(), 1):
    drifted[name] = simulate(events, 40 if events else 80, seed)
noise = [100 * np.sqrt(p * (1 - p) / n) for p, n in [(0.5, 40), (0.05, 40), (0.05, 80)]]
print("standard error of a cell: {:.0f} points at 50 %, {:.0f} at 5 %".format(*noise[:2]))
print(f"and {noise[2]:.0f} points at 5 % in the column 'nothing'")

# %%
limit = null.quantile(0.95)
power = pd.DataFrame({name: 100 * (table > limit).mean() for name, table in drifted.items()})
power = pd.concat({family: power.loc[names] for family, names in FAMILY.items()})
ax = plots.canvas(width=9.5, height=6)[0, 0]
plots.family_heatmap(ax, power, title="Each family sees its own kind of drift (power at 5 % false alarms)")
plots.show(ax)

# %% [markdown]
# Read it in blocks, not in cells. The first column is the control: nothing changed, and a score should fire in 5 % of the windows. It does not do so exactly, because thresholds and shares are estimated from a limited number of windows; duplicates never fire, because calm queries never repeat. Take differences of ten points for luck. Then:
#
# - **One axis** is dark nearly everywhere. Whether to use Wasserstein, PSI, KL or JS on PC1, on which teams spend weeks, is a choice between four blindfolds.
# - **The mean family** sees shifts and the rotation, and little else.
# - **The classifier** sees those best of all, because it may pick its direction. A 3 % topic it cannot see.
# - Noise belongs to **spread** and the **index gap**, a small new topic to **novelty** and the **index gap**, null vectors to **duplicates**.
# - The topic mix is hard for everybody. The **cluster** counts do best.
#
# No row is bright everywhere. There is no best score.

# %% [markdown]
# ## 10. Does the exact choice matter?
#
# You will often hear: "the exact metric matters less than a consistent signal". You now have what it takes to test that. First *within* a family. Correlate the scores of the mean family over the 160 pairs of windows in which nothing changed.
#
# **Predict.** Four formulas. How strongly do their accidents correlate?

# %%
family = null[FAMILY["mean"]].rename(columns={"centroid": "centroid^2"})
family["centroid^2"] **= 2  # energy distance and MMD^2 are squared distances as well
correlation = family.corr()
correlation.map("{:.2f}".format)

# %% [markdown]
# They rise and fall together even when there is nothing to see. In many dimensions and with the usual bandwidth, energy distance and MMD act as tests of the mean (proved by Ramdas and others in 2015). So within a family the saying is true: take the score that is easiest to compute and explain.
#
# Now *between* families. Build alarms from several scores each, all with the same *total* false-alarm rate of 5 %: standardise each score by its null, take the largest, and put the threshold at the 95 % point of that largest value.
#
# **Predict.** Four scores of the mean family against a panel from seven families. How many times the mean power of the four does the panel have?

# %% tags=["predict"]
guess = ...  # 1 is the same power

# %%
five = ["MMD^2", "cluster chi2", "novelty", "duplicates", "index gap"]
seven = [*five, "spread", "classifier AUC"]
ALARMS = {"MMD alone": ["MMD^2"], "four of the mean family": FAMILY["mean"]}
ALARMS |= {"four on one axis": FAMILY["one axis"], "five families": five, "seven families": seven}


def largest(scores, names):
    centre, scale = null[names].mean(), null[names].std().clip(lower=1e-9)  # duplicates never vary
    return ((scores[names] - centre) / scale).max(axis=1)


joint = pd.DataFrame(index=list(ALARMS), columns=list(DRIFTS), dtype=float)
for alarm, names in ALARMS.items():
    limit = largest(null, names).quantile(0.95)
    joint.loc[alarm] = [100 * (largest(drifted[drift], names) > limit).mean() for drift in DRIFTS]

# %%
ax = plots.canvas(width=9.5, height=3.2)[0, 0]
plots.heatmap(ax, joint, title="Alarms with one false-alarm rate: more families see more drifts")
plots.show(ax)
real = joint.drop(columns="nothing")
summary = pd.DataFrame({"mean power (%)": real.mean(axis=1), "lowest (%)": real.min(axis=1)})
summary["overlooked (below 25 %)"] = (real < 25).sum(axis=1)
print(summary.map("{:.0f}".format).to_string())
alone, four, _, _, panel = summary.itertuples(index=False, name=None)
reveal(guess, round(panel[0] / four[0], 1), "times")
Markdown(
    f"**Within a family the exact choice hardly matters: r = {correlation.to_numpy().min():.2f} or more, and "
    f"four such scores have {four[0] / alone[0]:.1f} times the power of one. Between families it decides: with "
    f"the same false-alarm rate, seven families have {panel[0] / four[0]:.1f} times the mean power of four "
    f"scores of one family, and overlook {panel[2]} of the {real.shape[1]} drifts instead of {four[2]}.**"
)

# %% [markdown]
# That sentence is computed, not typed. Two footnotes to it. Breadth has a price: five families find the shifts and the rotation less often than MMD alone does, because the same budget of false alarms is shared. And this panel was chosen knowing which drifts would come. Do not copy the panel. Copy the rule: list the drifts you fear, and cover their families.

# %% [markdown]
# ## 11. Can any score tell you whether it hurts?
#
# One week, four stories. Nothing happens. An upgrade of the embedder, everywhere, with a stale index. The same upgrade with a rebuilt index. A clean-up job that deletes 60 % of the documents of one topic.
#
# **Predict.** Which of the four does MMD call the worst? Which ones do the users?

# %%
stories = {
    "nothing": [],
    "upgrade, stale index": [Event("rotation", start=28, size=0.5)],
    "upgrade, rebuilt index": [Event("rotation", start=28, size=0.5, index_follows=True)],
    "lost documents": [Event("remove_docs", start=28, size=0.6, topic=3)],
}
told = pd.DataFrame(index=list(stories))
for name, events in stories.items():
    week, live = product.run(days=7, start=28, events=events), product.index(28, events).embeddings
    for column in ("centroid", "MMD^2", "classifier AUC", "novelty"):
        score = SCORES[column]
        told.loc[name, column] = score(reference[::4], week.embeddings)
    told.loc[name, "index gap"] = metrics.coverage_gap(week.embeddings, live) - gap_before
    told.loc[name, "success"] = week.outcomes["success"].mean()
told.map("{:.4f}".format)

# %% [markdown]
# MMD calls the two upgrades the worst, and equally bad. The users call the stale one the worst, the lost documents next, and notice no other. Compare the second row with the third. Every score of the queries is the same to the last digit, because the queries are the same to the last bit. In one week the users lose many of their answers, in the other none. Compare the fourth row with the first: the same queries again, and documents are gone.
#
# So no score of the queries can see harm, however powerful and however well calibrated. It sees *change*. Only the index gap tells the harmful rows from their harmless twins, because it is the one score here that looks at both sides, and at the index that was live that day. And even the gap is a similarity, not an outcome. To learn whether anybody was hurt, join the scores with what the users did. That is notebook 03.

# %% [markdown]
# ## When this misleads you
#
# A score depends on how many queries are in the window. The energy distance of the helper is never negative, and without drift its mean is $\left(\frac1n + \frac1m\right) E|X-X'|$. So set a threshold on windows of 400 calm queries, as a weekday brings, and use it at night.
#
# **Predict.** Nothing changes but the number of queries. How often does the alarm fire on 100 queries? And for MMD, whose mean without drift is zero at every size?

# %%
rng = np.random.default_rng(3)
typical = cdist(calm[:1000], calm[1000:2000]).mean()


def calm_scores(name, n):
    draws, score = [rng.choice(calm, 400 + n, replace=False) for _ in range(100)], SCORES[name]
    return np.array([score(draw[:400], draw[400:]) for draw in draws])


limits = {name: np.quantile(calm_scores(name, 400), 0.95) for name in ("energy", "MMD^2")}
sized = pd.DataFrame(index=[400, 200, 100, 50])
for n in sized.index:
    sized.loc[n, "theory, mean energy"] = (1 / 400 + 1 / n) * typical
    for name, limit in limits.items():
        values = calm_scores(name, n)
        sized.loc[n, f"mean {name}"] = values.mean()
        sized.loc[n, f"{name} fires (%)"] = 100 * np.mean(values > limit)
sized.rename_axis("queries").map("{:.3g}".format)

# %% [markdown]
# A quiet night looks like drift: on 100 queries the energy alarm fires every time. The unbiased MMD repairs the *mean*, and still fires far too often, because small windows also scatter more. **Compare windows of one size with a threshold made from windows of that size.** Where traffic rises and falls, take the same number of queries from each window.
#
# ## In production
#
# - Fit the PCA, the clusters and the bandwidth once, on the reference, and keep them frozen. Log with each score which version of them produced it.
# - Take one score of the mean family, whichever your team finds easiest to explain. Spend the time you save on the other families.
# - If you run a search product, log the similarity of each query to its best document. The query-index gap then costs nothing.
# - Never ship a default threshold. Simulate the score on your own quiet traffic, at your own window size.
# - Count how many scores you watch, and let them share one budget of false alarms.

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell: it says correct, or what is not right yet. `hint("02-1")` helps in stages, and a solution is folded away below each exercise.
#
# ### Exercise 02-1: Take the bias out
#
# The helper's energy distance counts pairs of a query with itself. Their distance is 0, which pulls $E|X-X'|$ and $E|Y-Y'|$ down, and so the score up: most in small windows. Write the unbiased version: $2E|X-Y| - E|X-X'| - E|Y-Y'|$, where the last two are averages over pairs of *different* queries. `mmd2_by_hand` in section 4 does the same for MMD. Different queries may have equal vectors, and the result is a square: take no root. It is given two windows, one row a query, of unequal size, and returns one number.


# %% tags=["exercise"]
def energy_unbiased(x, y):
    return ...


check("02-1", energy_unbiased)


# %% tags=["solution"]
# Solution of 02-1
def energy_unbiased(x, y):
    n, m = len(x), len(y)
    within_x = cdist(x, x).sum() / (n * (n - 1))
    within_y = cdist(y, y).sum() / (m * (m - 1))
    return 2 * cdist(x, y).mean() - within_x - within_y


check("02-1", energy_unbiased, solution=True)

# %% [markdown]
# ### Exercise 02-2: And if the queries get calmer?
#
# In section 9, three scores saw the noise best: `spread`, `novelty` and `index gap`. Now the search box begins to complete what people type, and all queries become *less* noisy: `Event("spread", size=-0.15)`. Which of the three see that, with a power of at least 50 % at the thresholds of section 9? Predict first, then use `simulate` (20 windows are enough) and `null`. Hand over a set of names, as the heat map writes them.

# %% tags=["exercise"]
seeing = ...  # such as {"spread", "novelty", "index gap"}
check("02-2", seeing)

# %% tags=["solution"]
# Solution of 02-2
names = ["spread", "novelty", "index gap"]
calmer = simulate([Event("spread", size=-0.15)], 20, seed=9)[names]
power = (calmer > null[names].quantile(0.95)).mean()
seeing = set(power.index[power >= 0.5])
check("02-2", seeing, solution=True)

# %% [markdown]
# ### Exercise 02-3: A score of your own (open-ended)
#
# Write a score that sees a change of the topic mix better than the 12 cluster counts do. The check calls it with windows of the product `iid`, as in section 9: `x` holds 500 calm queries, `y` holds 300 of days on which `Event("mix", size=0.8)` has brought one of the 12 topics into fashion, in turn each of them (section 9 had only topic 0, so the cluster counts have another power there). It takes your threshold from pairs without a change, at 5 % false alarms. Your score must find at least five points more of the windows than `SCORES["cluster chi2"]`. You may use whatever was frozen before: `clusters`, `documents`, `pca`, all of `calm`. Which mix do you fear in your own product, and which score would see that one?
#
# Further: put your score into `SCORES` and `FAMILY` and look at its row in the heat map. Or make the rule of section 3 "PSI above 0.25": at which window size does it fall silent with 20 bins?


# %% tags=["exercise"]
def my_score(x, y):
    return ...


check("02-3", my_score)


# %% tags=["solution"]
# Solution of 02-3
def shares(rows):
    return np.bincount(clusters.predict(rows), minlength=12) / len(rows)


usual = shares(calm)  # many more than 500 queries: a firmer yardstick than x


def my_score(x, y):
    return ((shares(y) - usual) / np.sqrt(usual * (1 - usual) / len(y))).max()


check("02-3", my_score, solution=True)

# %% [markdown]
# ## Recap
#
# - You computed Wasserstein, KL, energy distance and MMD by hand, and used Jensen-Shannon, PSI, sliced Wasserstein, AUC, novelty and the query-index gap. Wasserstein knows how far; a divergence knows only in which bin, and KL has a direction.
# - You saw the blind spots: what lies off PC1 for scores of one axis, what leaves the mean in place for energy, MMD and their relatives, small topics for the classifier, and harm for every score of the queries alone.
# - You made null distributions by shuffling and by simulation. PSI > 0.1 tests the sample size, and the shuffled null is too narrow for real weeks.
# - You compared alarms at one false-alarm rate. Within a family the choice hardly matters; between families it decides. Cover the families you fear.

# %% [markdown]
# [Previous: 01 Visualize drift](01_visualize_drift.ipynb) · [map of the series](../README.md) · Next: [03 Connect drift to outcomes](03_connect_drift_to_outcomes.ipynb)
