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
# # Visualize drift
#
# At the end you will draw a week of embeddings so that it can be compared with any other week, and you will know what the drawing leaves out.
#
# **Launch:** run `python3 playbook.py open 01` in the project's folder. It opens this notebook in JupyterLab on your machine. Links to Binder and Colab appear here after `python3 playbook.py links OWNER/REPO`, with your copy's address on GitHub.
#
# | To read | To practise | To run | Memory |
# |---|---|---|---|
# | 30 minutes | 20 minutes | 20 seconds | 650 MB |
#
# ## What you will be able to do
#
# - You can freeze a projection on a reference window, and say what a weekly refit would have done to your charts.
# - You can say how much of the variance a picture shows, and find a change that it hides.
# - You can draw comparisons that do not fool the eye: shared axes, shared bins, equal numbers of points, and a centre with its range in quiet weeks.
# - You can recognise a mean shift, a spread change and a new cluster, and say how large they must be before you would see them.
# - You can tell which questions no picture of the queries answers, and test a picture that looks too good.
#
# ## What you need
#
# Some NumPy and pandas. Means, variances, and the word "matrix". Nothing about drift.

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
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from helpers import plots
from helpers.exercises import check, hint
from helpers.metrics import centroid_distance, novelty_share
from helpers.predictions import reveal
from helpers.synthetic import Event, Product

# %% [markdown]
# ## 1. How do you look at 64 dimensions?
#
# A synthetic search product answers queries for you. Each query is an **embedding**: a vector of 64 numbers. Queries about related things have nearby vectors. The product is made up, its search is real: a query succeeds only if the right document is among the three that the index returns.
#
# Take two stretches of its life. The **reference** is four ordinary weeks. After them come 26 more weeks in which *nothing happens*: no release, no launch, no incident. You will need those quiet weeks more than anything else in this notebook.

# %%
product = Product(seed=0)
# Logs keep float32. Compute in float64, so that every machine draws the same picture.
reference = product.run(days=28, start=-28).embeddings.astype(float)
quiet = product.run(days=182)
weeks = {number: quiet.week(number).embeddings.astype(float) for number in range(26)}
print("reference:", reference.shape)
print(
    f"quiet weeks: {len(weeks)}, of {min(map(len, weeks.values()))} to {max(map(len, weeks.values()))} queries"
)

# %% [markdown]
# You cannot look at 64 axes, so you choose two. **Principal component analysis** (PCA) chooses the directions in which the reference varies most. With $m$ the mean of the reference and $S$ its covariance matrix,
#
# $$S\,v_k = \lambda_k\,v_k \qquad \lambda_1 \ge \lambda_2 \ge \dots \qquad\qquad z = \big((x - m)\cdot v_1,\ (x - m)\cdot v_2\big)$$
#
# The eigenvector $v_1$ is the first component, **PC1**; its eigenvalue $\lambda_1$ is the variance along it. The pair $z$ is where a query $x$ lands in the picture. In NumPy:


# %%
def fit_plane(window):
    centre = window.mean(axis=0)
    covariance = np.cov(window, rowvar=False)
    variances, directions = np.linalg.eigh(covariance)  # smallest variance first
    return centre, directions[:, ::-1][:, :2]


def look(window, centre, directions):
    return (window - centre) @ directions


ours = look(weeks[20], *fit_plane(reference))
plane = PCA(n_components=2).fit(reference)
theirs = plane.transform(weeks[20])
print("the same as scikit-learn, up to the signs:", np.allclose(abs(ours), abs(theirs)))

# %% [markdown]
# Look at what `look` needs: a centre and two directions. Both come from the reference. Week 20 is drawn with them, not with its own. That is all that **frozen** means: fit once, then `transform`, never `fit` again.
#
# **Predict.** Week 20 happens almost five months after the plane was fitted. Will its clumps fall on the clumps of the reference, or beside them?

# %%
axes = plots.canvas(width=6, height=4.6)
plots.planes(
    axes,
    {"": (plane.transform(reference), plane.transform(weeks[20]))},
    labels=("reference, four weeks", "week 20"),
    title="A quiet week falls on the reference, almost five months later",
)
plots.show(axes)

# %% [markdown]
# On them. The clumps are topics, or bundles of topics, and topics stay where they are. The two large marks are the centres of the two windows. You need a magnifying glass to tell them apart, which is how a quiet week should look.
#
# One line in the code above is suspicious: "up to the signs". It looks like a footnote. It is the next section.

# %% [markdown]
# ## 2. What if you refit every week?
#
# Many dashboards call `fit_transform` on whatever week is at hand. It is one line, and the picture of *that* week is the best possible one.
#
# **Predict.** Refit PC1 in each of the 26 quiet weeks, with a singular value decomposition (SVD). In how many weeks does it point the other way than the frozen one? Write your number in place of the dots, without quotes: 5, say. And does it matter which solver you use?

# %% tags=["predict"]
guess = ...  # of 26 weeks


# %%
def by_svd(window):
    return np.linalg.svd(window - window.mean(axis=0), full_matrices=False)[2][:2]


def by_eigh(window):
    return fit_plane(window)[1].T


def by_sklearn(window):
    return PCA(n_components=2).fit(window).components_


flipped = {}
for solver in (by_svd, by_eigh, by_sklearn):
    cosines = np.array([(solver(week) * solver(reference)).sum(axis=1) for week in weeks.values()])
    turned, cosine = (cosines < 0).sum(axis=0), abs(cosines)
    flipped[solver.__name__] = turned[0]
    print(f"{solver.__name__:>10}: PC1 turned around in {turned[0]:2d} of 26 weeks, PC2 in {turned[1]:2d}")
print("|cos| of weekly and frozen direction, typical and worst week:")
for number, column in zip((1, 2), cosine.T, strict=True):
    print(f"      PC{number}: {np.median(column):.3f}, {column.min():.3f}")
reveal(guess, flipped["by_svd"], "of 26")

# %% [markdown]
# Same data, three solvers, three answers. If $v$ is an eigenvector then so is $-v$; nothing in the mathematics prefers one of them. The SVD and `eigh` return whichever their arithmetic ran into, on another machine perhaps the other one. scikit-learn makes the largest entry positive. That is better, and not safe: when two entries are nearly equally large, a noisy week decides, and the picture turns over.
#
# The last lines leave the sign aside. The |cos| of the angle between the weekly and the frozen direction is 1 for the same direction. Weekly PC1 is a good copy of the frozen one. PC2 is a worse one: PC3 is not much weaker than PC2 (section 4 prints both), and directions of similar strength mix.
#
# What does this do to a chart? Follow something that cannot move: the average position, on PC1, of the queries that were answered from topic 11.

# %%
frozen_axis = by_svd(reference)[0]
rows = []
for number, week in weeks.items():
    outcomes = quiet.week(number).outcomes
    topic = week[((outcomes["answer_topic"] == 11) & ~outcomes["no_answer"]).to_numpy()]
    refit = (topic - week.mean(axis=0)) @ by_svd(week)[0]
    frozen = (topic - reference.mean(axis=0)) @ frozen_axis
    rows.append({"refit every week": refit.mean(), "frozen": frozen.mean()})
ax = plots.canvas(width=8)[0, 0]
for name, colour in {"refit every week": "current", "frozen": "reference"}.items():
    values, dashed = pd.DataFrame(rows)[name], name != "frozen"
    options = {"title": "", "ylabel": "topic 11 on PC1", "dashed": dashed}
    plots.timeline(ax, values, label=name, colour=colour, **options)
ax.set(title="Nothing happened: the refit line jumps, the frozen one stays", ylim=(-0.6, 0.85))
plots.show(ax)

# %% [markdown]
# The refit line crosses the whole chart because an eigenvector changed its mind. Anybody who looks at it sees weeks of chaos. The frozen line is the truth: topic 11 stays where it is.
#
# **So what.** A basis that changes every week is a ruler that changes every week. Before you ask whether the data moved, nail down the ruler.

# %% [markdown]
# ## 3. Is it enough to mend the sign?
#
# You could refit each week and turn the axes so that they agree with the reference's. Test that on a week in which something does happen: every query moves along the first axis of the text space. The size is large, so that you cannot miss it.
#
# **Predict.** Frozen, the centre of this week moves on PC1. Refitted, with signs mended, where is it?

# %%
shift = [Event("mean_shift", start=28, size=0.5, direction="pc1")]
moved = product.run(days=7, start=28, events=shift).embeddings.astype(float)
own = PCA(n_components=2).fit(moved)
signs = np.sign((own.components_ * plane.components_).sum(axis=1))
frozen, refit = plane.transform(moved), own.transform(moved) * signs
by_hand = [abs(rows[:, 0].mean()) for rows in (frozen, refit)]
print(f"distance of the centre from 0 on PC1: frozen {by_hand[0]:.3f}, refit {by_hand[1]:.3f}")
axes = plots.canvas(1, 2, width=9, height=4.2)
seen = plane.transform(reference)
panels = {"frozen plane": (seen, frozen), "each in its own plane, signs mended": (seen, refit)}
title = "Refitting removes the shift that you were looking for"
plots.planes(axes, panels, labels=("reference", "the week that moved"), title=title)
plots.show(axes)

# %% [markdown]
# PCA subtracts the mean of what it is fitted on. Fit it on the week, and the week is at zero: always, whatever happened. The refit chart panicked in 26 quiet weeks, and in the one week that moved it shows nothing. It is wrong in both directions. (Fitting on both windows together would keep the shift. But then the ruler changes with every week again.)
#
# **So what.** Freeze the centre *and* the directions. Store both with your reference, like a unit of length, and refit only on purpose, with a date on it.

# %% [markdown]
# ## 4. How much does the picture show?
#
# **Predict.** The plane has 2 of 64 dimensions. Does it hold 3 %, 23 % or 70 % of the variance? How many components would you need for 90 %?

# %%
full = PCA().fit(reference)
shares = full.explained_variance_ratio_
print(f"PC1 {shares[0]:.3f}, PC2 {shares[1]:.3f}, PC3 {shares[2]:.3f}; first two {shares[:2].sum():.3f}")
print("components for 90 %:", np.searchsorted(shares.cumsum(), 0.9) + 1)
ax = plots.canvas(width=8)[0, 0]
plots.scree(ax, shares, title="Two components hold less than a quarter, the rest is spread thin")
plots.show(ax)

# %% [markdown]
# The plane holds 23 %, and it takes 40 components to hold 90 %. This is a **scree plot**. On your own embeddings, draw it before any scatter plot: the running total at two is the part of the world that your picture shows.
#
# So more than three quarters of the variance are behind the picture. Can a whole incident hide there? Move every query again, this time along the *last* axis of the text space, where the reference hardly varies.
#
# **Predict.** Of the distance that the centre travels, how many percent are visible in the plane of PC1 and PC2?

# %% tags=["predict"]
guess = ...  # %


# %%
def centre_shift(reference, current):
    difference = current.mean(axis=0) - reference.mean(axis=0)
    return np.sqrt((difference**2).sum())


tail = [Event("mean_shift", start=28, size=0.4, direction="tail")]
log = product.run(days=7, start=28, events=tail)
hidden = log.embeddings.astype(float)
total = centre_shift(reference, hidden)
in_plane = centre_shift(plane.transform(reference), plane.transform(hidden))
print(f"centre shift: {total:.3f} in all dimensions, {in_plane:.3f} in the plane")
as_usual = centre_shift(plane.transform(reference), plane.transform(weeks[4]))
largest = max(centre_shift(plane.transform(reference), plane.transform(week)) for week in weeks.values())
print(f"the same week without the event: {as_usual:.3f} in the plane; largest quiet week: {largest:.3f}")
without = quiet.week(4).outcomes["success"].mean()
print(f"success: {without:.3f} without the event, {log.outcomes['success'].mean():.3f} with it")
reveal(guess, round(100 * in_plane / total), "%")
print("helpers.metrics agrees:", np.isclose(total, centroid_distance(reference, hidden)))

# %%
axes = plots.canvas(1, 2, width=9, height=4.2)
before, after = full.transform(reference)[::10], full.transform(hidden)[::3]
labels = ("reference", "every query moved")
titles, last = ["PC1 and PC2: little to see", "PC63 and PC64: every query moved"], ("PC63", "PC64")
plots.scatter(axes[0, 0], before[:, :2], after[:, :2], labels=labels, title=titles[0])
plots.scatter(axes[0, 1], before[:, 62:], after[:, 62:], labels=labels, title=titles[1], axes_names=last)
plots.show(axes)

# %% [markdown]
# Same queries, twice. On the left you would sign it off: the centre is barely further away than in the most restless of the 26 quiet weeks, as the cell above prints. (Section 9 makes a ruler of that.) On the right there are two clouds. The event is not subtle: the product loses nearly ten points of success. It just does not happen in the directions that PCA finds interesting.
#
# **So what.** Report two numbers with every picture: the shift of the centre *in the plane*, which the reader can see, and the shift in *all dimensions*, which they cannot. `centroid_distance` computes both; open `helpers/metrics.py` and you will recognise the two lines. When they disagree, the picture is looking the wrong way.

# %% [markdown]
# ## 5. Are the two panels comparable?
#
# Here are two weeks, one beside the other. Each panel chose its own axis and its own bins, as plotting libraries do unless you stop them.
#
# **Predict.** One of the two weeks is ordinary. In the other, texts are cut off, and queries lose half of what sets them apart from the average text. Which is which?

# %%
cut = product.run(days=7, start=28, events=[Event("truncate", start=28, size=0.5)])
candidates = [plane.transform(week)[:, 0] for week in (weeks[4], cut.embeddings.astype(float))]
lot = np.random.default_rng(0).permutation(2)  # who is A and who is B, drawn by lot
pair = {name: candidates[k] for name, k in zip(("Week A", "Week B"), lot, strict=True)}
axes = plots.canvas(1, 2, width=9, height=3)
for ax, (name, values) in zip(axes.flat, pair.items(), strict=True):
    edges = np.linspace(values.min(), values.max(), 31)
    plots.histogram(ax, values, edges=edges, title=f"{name} on its own axis: much like the other")
plots.show(axes)

# %%
everything = np.concatenate(list(pair.values()))
edges = np.linspace(everything.min(), everything.max(), 31)
axes = plots.canvas(1, 2, width=9, height=3, sharex=True, sharey=True)
titles = ["Shared axes and bins: week A is wide", "Week B is narrower by a third"]
plots.histogram(axes[0, 0], pair["Week A"], edges=edges, title=titles[0])
plots.histogram(axes[0, 1], pair["Week B"], edges=edges, side="current", title=titles[1])
plots.show(axes)
print(f"standard deviation on PC1: A {pair['Week A'].std():.3f}, B {pair['Week B'].std():.3f}")
print(f"ratio B / A: {pair['Week B'].std() / pair['Week A'].std():.3f}")

# %% [markdown]
# Week B is the one that was cut. With its own axis, a panel scales its change away: a cloud of two thirds the width fills the frame just as well. Only the small numbers below the axis knew, and nobody reads those. Bins do the same to height: a bin that is narrower holds fewer queries.
#
# **So what.** Weeks that are compared share the basis, the limits and the bin edges. From here on, every such figure does.

# %% [markdown]
# ## 6. What do the three kinds of drift look like?
#
# Now the reading lesson. Three things can happen to a cloud: it **slides** (mean shift), it **grows or shrinks** (spread change), or an **island** appears (new cluster). Each is injected here alone, and absurdly large, so that you see it.
#
# This section uses another product, `Product(seed=6)`. You will find out why.
#
# **Predict.** A, B and C are drawn by lot: which is the mean shift, which the spread change, which the new cluster?

# %%
other = Product(seed=6)
other_reference = other.run(days=28, start=-28).embeddings.astype(float)
other_plane = PCA(n_components=2).fit(other_reference)


def week_with(**event):
    log = other.run(days=7, start=28, events=[Event(start=28, **event)])
    return other_plane.transform(log.embeddings.astype(float))


base = other_plane.transform(other_reference)
kinds = [
    {"kind": "mean_shift", "size": 0.50, "direction": "pc1"},
    {"kind": "truncate", "size": 0.50},
    {"kind": "new_topic", "size": 0.30, "topic": 1},
]
lot = np.random.default_rng(0).permutation(3)
large = {letter: week_with(**kinds[k]) for letter, k in zip("ABC", lot, strict=True)}


# %%
def read(week):
    spread = week.std(axis=0) / base.std(axis=0)
    return {"centre shift": centroid_distance(base, week), "spread PC1": spread[0], "spread PC2": spread[1]}


axes = plots.canvas(1, 3, width=10, height=4)
panels = {name: (base, week) for name, week in large.items()}
title = "Three kinds of drift, so large that each leaves its own mark"
plots.planes(axes, panels, labels=("reference", "week 4"), title=title)
plots.show(axes)
pd.DataFrame({name: read(week) for name, week in large.items()}).T.map("{:.2f}".format)

# %% [markdown]
# B is the mean shift: every clump has moved the same way, and the centre with them. C is the spread change, here a truncation: every clump has moved towards the middle, and both ratios of spread (this week's standard deviation over the reference's) are near two thirds. A is the new cluster: an island on the right.
#
# Read the table again for A. Newcomers pull the centre, too, and they stretch PC1. **Three signs, but not three separate numbers:** only the picture says that the old clumps stayed where they were.
#
# Nobody would need a notebook for drift of this size. Shrink it to sizes closer to real life: one query in twenty on the new topic, and about an eighth of the shift and of the truncation.
#
# **Predict.** Which of the three can you still see?

# %%
small = {
    "new cluster, 5 %": week_with(kind="new_topic", size=0.05, topic=1),
    "mean shift 0.06": week_with(kind="mean_shift", size=0.06, direction="pc1"),
    "truncation 6 %": week_with(kind="truncate", size=0.06),
}
axes = plots.canvas(1, 3, width=10, height=4)
panels = {name: (base, week) for name, week in small.items()}
title = "At everyday size, all three look like any other week"
plots.planes(axes, panels, labels=("reference", "week 4"), title=title)
plots.show(axes)
calm = other.run(days=182)
calm = [other_plane.transform(calm.week(number).embeddings.astype(float)) for number in range(26)]
limits = pd.DataFrame([read(week) for week in calm]).agg(["min", "max"])
table = pd.DataFrame({name: read(week) for name, week in small.items()}).T
pd.concat([table, limits.rename(index="{} of 26 quiet weeks".format)]).map("{:.3f}".format)

# %% [markdown]
# To the eye they are gone, all three. Compare each with the last two rows: the range of half a year in which nothing happened on this product. All nine numbers are inside it but one, the spread on PC1 of the week with the new cluster, which leaves it by less than 0.01. No eye can see that. A better number could, and notebook 02 looks for it.

# %% [markdown]
# ## 7. Why is there no island?
#
# Seed 6 was chosen because its second new topic lands on an empty edge of the plane. How special is that? Take 20 products. Each has two topics that nobody has asked about yet. Launch each, and look at the newcomers alone. A newcomer **stands out** if it is further from the known queries than 99 % of ordinary queries are (`novelty_share` in the helpers; notebook 02 opens it).
#
# **Predict.** Of these 40 launches, in how many does at least one newcomer in ten stand out in the plane? In how many does one in ten stand out in all 64 dimensions?

# %%
rows = []
for seed in range(20):
    world = Product(seed)
    known = world.run(days=7, start=-7).embeddings.astype(float)
    flat = PCA(n_components=2).fit(known).transform
    for topic in (0, 1):
        log = world.run(days=2, events=[Event("new_topic", size=0.3, topic=topic)])
        new = log.embeddings[(log.outcomes["topic"] >= 12).to_numpy()].astype(float)
        rows.append({"plane": novelty_share(flat(known), flat(new)), "all 64": novelty_share(known, new)})
launches = pd.DataFrame(rows)
print("mean share that stands out:", launches.mean().round(3).to_dict())
ax = plots.canvas(height=2)[0, 0]
title = "New topics stand out in 64 dimensions, not in the plane"
counts, xlabel = (launches >= 0.1).sum(), "launches (of 40) with at least 10 % of the newcomers standing out"
plots.bars(ax, counts, title=title, xlabel=xlabel, decimals=0)
plots.show(ax)

# %% [markdown]
# In the plane, one launch of 40 stands out; in all dimensions, each of the 40 does. Almost every newcomer is further from the known queries than 99 % of ordinary queries are. And the plane puts them in the middle of the old crowd. This is no accident. PC1 and PC2 are the directions in which the *old* topics differ from each other. A new topic has no reason to differ along those.
#
# **So what.** A frozen PCA is a good instrument for change along old directions: topics that grow, shrink or slide. For what is new, a calm plane is no comfort.

# %% [markdown]
# ## 8. How sure are you that the centre moved?
#
# Say a week's centre is a little off. Every average has an uncertainty. For $n$ independent queries the standard error of a mean is $s/\sqrt{n}$, and for the difference of two means
#
# $$\mathrm{se} = \sqrt{\frac{s_{\text{ref}}^2}{n_{\text{ref}}} + \frac{s_{\text{cur}}^2}{n_{\text{cur}}}}$$
#
# In two dimensions, 95 % of innocent weeks should fall in an ellipse with half-axes of 2.45 standard errors (2.45² is the 95 % point of chi-squared with two degrees of freedom).
#
# **Predict.** Out of your 26 quiet weeks, how many fall outside?

# %% tags=["predict"]
guess = ...  # of 26 weeks

# %%
base = plane.transform(reference)
seen = [plane.transform(week) for week in weeks.values()]
positions = np.array([week.mean(axis=0) - base.mean(axis=0) for week in seen])
errors = np.array([np.sqrt(base.var(axis=0) / len(base) + week.var(axis=0) / len(week)) for week in seen])
outside = ((positions / errors) ** 2).sum(axis=1) > 2.45**2
print(f"outside their 95 % ellipse: {outside.sum()} of {len(seen)}; expected {0.05 * len(seen):.1f}")
reveal(guess, outside.sum(), "of 26")
fashion = product.run(days=7, start=28, events=[Event("mix", start=28, size=0.8, topic=11)])
in_fashion = plane.transform(fashion.embeddings.astype(float)).mean(axis=0) - base.mean(axis=0)
ax = plots.canvas(height=4.2)[0, 0]
texts = {"title": "Quiet weeks wander far beyond their standard error", "label": "topic 11 in fashion"}
plots.centres(ax, positions, in_fashion, ellipse=2.45 * np.median(errors, axis=0), **texts)
plots.show(ax)

# %% [markdown]
# The formula is right and its assumption is wrong. Queries are not independent: a session stays with its theme, weekends ask for other things, and topics go in and out of favour by themselves. Your product does all of this too. The reference has wandered, too: it is four weeks of the same life, and the quiet weeks do not even scatter around its centre. By the ellipse you would ring an alarm in most of them.
#
# The honest ruler is the dashed circle: **how far did the centre go in weeks when nothing happened?** The triangle is a week in which one topic became more popular. It is outside the circle as well as the ellipse, and that means something.
#
# There is one more way to move a centre without moving anything. Take *one* quiet week, and look at fewer and fewer of its queries.
#
# **Predict.** With 100 queries instead of all, is the centre shift smaller, equal or larger?

# %%
rng = np.random.default_rng(0)
variance = reference.var(axis=0).sum()
rows = []
for n in (100, 300, 1000, 2000, len(weeks[10])):
    samples = [weeks[10][rng.choice(len(weeks[10]), n, replace=False)] for _ in range(50)]
    shifts = [centroid_distance(reference, sample) for sample in samples]
    widths = [np.ptp(plane.transform(sample)[:, 0]) for sample in samples]
    by_chance = np.sqrt(variance * (1 / len(reference) + 1 / n))
    rows.append([n, np.mean(shifts), by_chance, np.mean(widths)])
table = pd.DataFrame(rows, columns=["queries", "centre shift", "by chance alone", "width of the cloud"])
table.set_index("queries").map("{:.3f}".format)

# %% [markdown]
# The smaller the window, the larger its "drift". Chance alone gives $\sqrt{\operatorname{tr} S\,(1/n_{\text{cur}} + 1/n_{\text{ref}})}$, with $\operatorname{tr} S$ the total variance: the middle column. At 100 queries that is all there is. With all of the week's queries, in the last row, chance is 0.017 of 0.028; it is the squares that add up, and of those nearly two thirds are the week's own wandering. The cloud from its leftmost to its rightmost point, meanwhile, gets narrower, because extremes are rare. Neither has anything to do with the product.
#
# **So what.** A robust reading has three parts. Use the same number of points in all windows, drawn from the whole week. Give the centre and the spread, never the extremes. Judge both by the range of your quiet weeks.

# %% [markdown]
# ## 9. Which three weeks?
#
# Put it together. Here are 16 weeks of the product in the frozen plane: PC1 across, PC2 up, the reference in grey behind each, 500 points of every window, spread evenly over it. In three of the weeks, one topic comes into fashion.
#
# **Predict.** Which three weeks?

# %%
story = [Event("mix", start=238, end=259, size=1.5, topic=11)]
history = product.run(days=112, start=182, events=story)
history_weeks = {f"week {number}": history.week(number).embeddings.astype(float) for number in range(26, 42)}
panels = {name: plane.transform(week) for name, week in history_weeks.items()}
axes = plots.canvas(4, 4, width=8, height=8)
plots.weekly_panels(axes, panels, reference=plane.transform(reference))
title = "Three of these 16 weeks are not like the others"
plots.figure_of(axes).suptitle(title, x=0.01, ha="left", weight="bold")
plots.show(axes)

# %% [markdown]
# Weeks 34, 35 and 36, in the third row: look for dots that are too dense, at the left. If you were not sure, you are in the situation of everybody who reads sixteen small panels. Now give each week two numbers, and draw the range of the 26 quiet weeks as a band.
#
# And because you have a simulator: a second history of the same weeks, with the same people. This time no topic is in fashion. Instead the embedder is upgraded for the same three weeks and rolled back, and the index is not rebuilt.
#
# **Predict.** Which of the four lines leaves its band?


# %%
def two_scores(week):
    week = week.astype(float)
    in_plane = centroid_distance(plane.transform(reference), plane.transform(week))
    return {"in the plane": in_plane, "in all dimensions": centroid_distance(reference, week)}


upgrade = [Event("rotation", start=238, end=259, size=0.5)]
upgraded = product.run(days=112, start=182, events=upgrade)
bands = pd.DataFrame([two_scores(week) for week in weeks.values()]).agg(["min", "max"])
histories = {"topic in fashion": history, "upgrade": upgraded}
scores = {
    name: pd.DataFrame({number: two_scores(log.week(number).embeddings) for number in range(26, 42)}).T
    for name, log in histories.items()
}

# %%
axes = plots.canvas(1, 2, width=10, height=3.8, sharey=True)
titles = ["In the plane: only the fashion shows", "In all dimensions: both show"]
for ax, score, title in zip(axes.flat, bands, titles, strict=True):
    options = {"title": title, "ylabel": "shift of the centre"}
    for name, dashed in {"upgrade": True, "topic in fashion": False}.items():
        values, colour = scores[name][score], "other" if dashed else "current"
        shades = {} if dashed else {"band": tuple(bands[score]), "events": {"event": (34, 36)}}
        plots.timeline(ax, values, label=name, colour=colour, dashed=dashed, **shades, **options)
axes[0, 0].set(ylim=(0, 0.21))
plots.show(axes)
for name, log in histories.items():
    success = [log.week(number).outcomes["success"].mean() for number in (33, 34, 35, 36, 37)]
    print(f"{name:>16}: success in weeks 33 to 37:", *(f"{rate:.3f}" for rate in success))

# %% [markdown]
# Outside the three weeks the two histories are one line: same seed, same people. Inside, the fashion leaves both bands, so eye and score agree. The upgrade is a loud spike in all dimensions, and in the plane it is an ordinary week.
#
# Now read the success rates. The drift that you could see harmed hardly anybody. The drift that you could not see cost about fifteen points of success.
#
# One more honest detail: weeks 30 and 38, without any event, peep over the edge of a band. The range of 26 weeks is a good ruler, not a law, and some later quiet week will always be the first beyond it.
#
# **So what.** A line of scores with a band of quiet weeks beats a wall of panels. It tells you *when*. It does not tell you whether to get up at night.

# %% [markdown]
# ## 10. Which of these six is an emergency?
#
# Six incidents, six pictures, all drawn by the rules of this notebook: frozen plane, shared axes, equal numbers of points, centres marked.
#
# **Predict.** The letters are drawn by lot. In some of the six, users suffer. Write down the letters for which you would wake somebody.

# %%
incidents = {
    "new topic, no documents": Event("new_topic", start=28, size=0.08),
    "new topic, documents ready": Event("new_topic", start=28, size=0.08, index_follows=True),
    "upgrade, index stale": Event("rotation", start=28, size=0.5),
    "upgrade, index rebuilt": Event("rotation", start=28, size=0.5, index_follows=True),
    "60 % of a topic's documents lost": Event("remove_docs", start=28, size=0.6, topic=3),
    "queries 15 % noisier": Event("spread", start=28, size=0.15),
}
runs = {name: product.run(days=7, start=28, events=[event]) for name, event in incidents.items()}
pictures = {name: plane.transform(log.embeddings.astype(float)) for name, log in runs.items()}

axes = plots.canvas(2, 3, width=10, height=7)
lot = np.random.default_rng(3).permutation(list(pictures))
panels = {letter: (base, pictures[name]) for letter, name in zip("ABCDEF", lot, strict=True)}
title = "Six incidents that look alike, and not all are harmless"
plots.planes(axes, panels, labels=("reference", "week 4"), title=title)
plots.show(axes)

# %% [markdown]
# You have your letters? Here are the same six pictures with their names, and with what happened to the users: success in this week without the incident, and with it.

# %%
axes = plots.canvas(2, 3, width=10, height=7)
rates = {name: log.outcomes["success"].mean() for name, log in runs.items()}
panels = {
    f"{letter}: {name}\nsuccess {without:.0%} → {rates[name]:.0%}": (base, pictures[name])
    for letter, name in zip("ABCDEF", lot, strict=True)
}
plots.planes(axes, panels, labels=("reference", "week 4"), title="Six incidents, one picture")
plots.show(axes)

sent = [log.embeddings for log in runs.values()]
print("new topic, without and with documents: same queries, bit for bit:", np.array_equal(sent[0], sent[1]))
print("upgrade, index stale and rebuilt:      same queries, bit for bit:", np.array_equal(sent[2], sent[3]))
calm = quiet.week(4).embeddings
print("documents lost, and a quiet week:      same queries, bit for bit:", np.array_equal(sent[4], calm))

# %% [markdown]
# Users suffer in A, B, C and F, and not in D and E. For A, C and F this is not about your eyes, nor about PCA. The new topic with and without documents is the same set of queries to the last bit; so is the upgrade with a stale and a rebuilt index. The lost documents are, bit for bit, a quiet week. (B is another case: its queries did change. Exercise 01-1 looks for a larger change of that kind.) A better projection would not help. Nor would a better score: **no function of the query embeddings can tell a ruinous upgrade from a harmless one.** The difference is in the index, and the index is not in the picture.
#
# **So what.** Pictures of queries say what people *ask*. To learn whether they are *answered*, you have to bring in the index and the outcomes. Notebook 03 does.

# %% [markdown]
# ## When this misleads you
#
# By now you may be tired of pictures that hide things. There are projections that do the opposite: instead of "where does the reference vary", **linear discriminant analysis** (LDA) asks "along which direction do the two weeks differ most", and draws that. It finds what PCA hides. What does it find when there is nothing?
#
# Take a product with 384 dimensions, as many sentence encoders have, without weekends, sessions or wandering, so that all queries are independent. Take one quiet day and split it *by lot*: 200 queries are "last week", 200 are "this week". Another 400 stay aside. (`shrinkage=0.01` steadies the arithmetic where there are almost as many dimensions as points.)
#
# **Predict.** The **AUC** is the chance that a random query of "this week" lies to the right of a random query of "last week": .5 is no difference, 1 is perfect separation. What does LDA reach on the 400 queries that it was fitted on?

# %% tags=["predict"]
guess = ...  # between .5 and 1

# %%
options = {"wander": 0, "weekend": 0, "session_length": 1, "loyalty": 0}
encoder = Product(seed=3, dim=384, queries_per_day=1500, **options)
day = encoder.run(days=1).embeddings.astype(float)
day = day[np.random.default_rng(0).permutation(len(day))]
fitted_on, fresh, side = day[:400], day[400:800], np.repeat([0, 1], 200)
lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.01)
folds = cross_val_predict(lda, fitted_on, side, cv=5, method="decision_function")
lda.fit(fitted_on, side)
own = roc_auc_score(side, lda.decision_function(fitted_on))
print(f"AUC on the rows it was fitted on: {own:.3f}")
print(f"AUC out of fold:                  {roc_auc_score(side, folds):.3f}")
print(f"AUC on 400 fresh rows:            {roc_auc_score(side, lda.decision_function(fresh)):.3f}")
print(f"95 % of the AUCs by pure chance:  0.5 +- {2 * np.sqrt(401 / (12 * 200 * 200)):.3f}")
reveal(guess, round(own, 2), "AUC {} on its own rows")

# %%
upright = PCA(n_components=1).fit(day)
axes = plots.canvas(1, 2, width=9, height=4.2, sharex=True, sharey=True)
titles = {"On its own rows: two clouds": fitted_on, "On fresh rows: one cloud": fresh}
for ax, (title, rows) in zip(axes.flat, titles.items(), strict=True):
    points = np.column_stack([lda.decision_function(rows), upright.transform(rows)])
    labels = ("last week", "this week")
    plots.scatter(
        ax, points[:200], points[200:], labels=labels, axes_names=("discriminant", "PC1"), title=title
    )
plots.show(axes)

# %% [markdown]
# The left picture is the most convincing one in this notebook, and there is nothing in it. With 384 dimensions and 400 points, *some* direction separates almost *any* two groups; LDA is built to find it. The same direction, shown queries it was not fitted on, cannot tell one from the other.
#
# **Rule.** A projection that was told which week a query is from must be drawn on queries that it has not seen. This holds for LDA, for partial least squares, for any classifier, and for a search through hundreds of planes for "the one that shows it". "Out of fold" means that: fit on four fifths, score the last fifth, five times. Done so, the idea becomes a sound test, and notebook 02 uses it.

# %% [markdown]
# ## In production
#
# - Keep the frozen mean and directions in a file with a date. When the embedder changes, start a new file: the old plane means nothing in the new space.
# - Put the share of variance of the plane under every picture, and two numbers beside it: the centre shift in the plane and in all dimensions.
# - Keep a range of quiet weeks for each number. Half a year was used here; a dozen weeks is a start.
# - Draw equal numbers of points, sampled from the whole week, both windows in turns. Whatever is drawn last looks largest.
# - Never show a supervised projection on its own training rows.

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell: it says correct, or what is not right yet. `hint("01-1")` helps in stages, and a solution is folded away below each exercise.
#
# ### Exercise 01-1: Does a noisier cloud grow?
#
# A bug makes the noise of all queries larger by half: `Event("spread", start=28, size=0.5)`. Run days 28 to 34 of `product` with it, and compare with `weeks[4]`, the same days without it. By how many percent does the standard deviation on PC1 of the frozen `plane` change? And by how many does the root of the total variance in all 64 dimensions change (the total is the sum of the variances of the 64 columns)? Growth counts as positive, shrinking as negative. Predict both signs first.

# %% tags=["exercise"]
on_pc1, in_all = ..., ...  # %
check("01-1", (on_pc1, in_all))

# %% tags=["solution"]
# Solution of 01-1
log = product.run(days=7, start=28, events=[Event("spread", start=28, size=0.5)])
noisy, calm_week = log.embeddings.astype(float), weeks[4]
on_pc1 = 100 * (plane.transform(noisy)[:, 0].std() / plane.transform(calm_week)[:, 0].std() - 1)
in_all = 100 * (np.sqrt(noisy.var(axis=0).sum() / calm_week.var(axis=0).sum()) - 1)
check("01-1", (on_pc1, in_all), solution=True)

# %% [markdown]
# ### Exercise 01-2: What does the picture hide?
#
# A shift of the centre has a part in the plane and a part at a right angle to it. Write a function that says which share of the *squared* shift is off the plane: 0 if the picture shows all of it, 1 if it shows nothing. It is given a fitted PCA of two components and two windows, one row a query. Then try it on the week `hidden` of section 4 and the week `moved` of section 3.


# %% tags=["exercise"]
def hidden_share(plane, reference, week):
    return ...


check("01-2", hidden_share)


# %% tags=["solution"]
# Solution of 01-2
def hidden_share(plane, reference, week):
    in_plane = centroid_distance(plane.transform(reference), plane.transform(week))
    return 1 - (in_plane / centroid_distance(reference, week)) ** 2


last_axis, first_axis = (hidden_share(plane, reference, week) for week in (hidden, moved))  # sections 4 and 3
check("01-2", hidden_share, solution=True)

# %% [markdown]
# ### Exercise 01-3: Slip past both lines (open-ended)
#
# Write a list of events for weeks 34 to 36, each with `start=238, end=259`, that change some queries and cost at least five points of success over the three weeks, against the same weeks without them, while neither line of section 9 rises above its band in any of them: `two_scores` stays at or below the `max` of `bands`. Two things do not count: `spread`, since section 10 has it already, and lost documents, which no query shows: the cost is taken with all documents kept. `helpers/events.py` lists what you can break, and there are several ways. What would you plot beside the two lines to see your event? And which event of this kind could happen to your own product?
#
# Further: in section 2, fit the plane on `weeks[0]` instead of the four reference weeks. How do the two |cos| lines change, and why? In section 6, find the smallest share of the new topic that your eye still sees, then let somebody else look, without telling them the number.

# %% tags=["exercise"]
overlooked = ...  # such as [Event(..., start=238, end=259)]
check("01-3", overlooked)

# %% tags=["solution"]
# Solution of 01-3
overlooked = [Event("null_vectors", start=238, end=259, size=0.06)]
check("01-3", overlooked, solution=True)

# %% [markdown]
# ## Recap
#
# - You froze mean and directions on a reference. A weekly refit turned PC1 around in some quiet weeks, how many depended on the solver, and it removed the one real shift.
# - You drew the scree: two components held under a quarter of the variance. An event in the last directions moved every query and hardly showed in the plane; the centre shift in all dimensions found it.
# - You shared axes and bins, drew equal numbers of points, and judged centres by the range of 26 quiet weeks, because the standard error called most of those an alarm.
# - You read slide, shrink and island at absurd sizes, and saw them vanish at real ones. Of 40 new topics, one made an island in the plane.
# - You saw six incidents with one picture, three of them bit for bit indistinguishable from a harmless twin, and a perfect picture of nothing that failed on fresh rows.

# %% [markdown]
# Back to [00 Break a product](00_break_a_product.ipynb) · [map of the series](../README.md) · Next: [02 Quantify drift](02_quantify_drift.ipynb)
