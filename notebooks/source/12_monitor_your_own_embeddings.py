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
# # Monitor your own embeddings
#
# At the end you will have compared two files of embeddings, yours if you have them, and know which rows moved, whether anybody was hurt, and what to set before you watch the next window.
#
# **Launch:** run `python3 playbook.py open 12` in the project's folder. It opens this notebook in JupyterLab on your machine. Links to Binder and Colab appear here after `python3 playbook.py links OWNER/REPO`, with your copy's address on GitHub.
#
# | To read | To practise | To run | Memory |
# |---|---|---|---|
# | 22 minutes | 20 minutes | 20 seconds | 500 MB |
#
# ## What you will be able to do
#
# - You can read two windows of embeddings and their outcomes from files, and get a report on them with one command.
# - You can find the rows that moved, even where the classifier's AUC looks small.
# - You can keep drift and harm apart on real data, where one comes without the other.
# - You can measure how many independent queries your window is worth, and how many you need.
# - You can name what to set before you monitor: reference, window, sessions, threshold, probes.
#
# ## What you need
#
# NumPy, and files of your own if you have them: two windows of embeddings from the same model. Without them the notebook brings a real case along. The other notebooks explain the scores; you do not need to have run them.

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
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import plots
from helpers.exercises import check, hint
from helpers.predictions import reveal
from report import figures
from report.digits import STORIES, digit_images, digits_case
from report.findings import examine, verdict
from report.panel import ABOUT, domain_ranking, panel, sessions_of, spread_rows
from report.tables import read_windows

pd.set_option("display.max_colwidth", None)

# %% [markdown]
# ## 1. What must your files look like?
#
# Three files are enough.
#
# - **A reference**: embeddings from a time when all was well.
# - **A current window**: embeddings from the time in doubt, by the same model.
# - **Outcomes**, if you have them: one row for each row of the reference, then one for each row of the current window. Success, click, no answer: numbers, or true and false. A column `session` says which rows belong together.
#
# Embeddings may be `.npy`, `.npz`, Parquet with a list column or a column for each dimension, or CSV.
#
# The case that comes along is real and small. scikit-learn ships 1,797 scanned digits. A small neural network learned to read them from one third of the scans; what its hidden layer says about a scan is the **embedding**. The second third is the reference, the last third is the current window. The **outcome** is whether the network reads a digit right. In the current window, something happened to the 1s, and only to them: somebody turned them by a quarter.

# %%
scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
folder = Path(scratch.name)
before, after = digits_case("rotate_ones")
np.save(folder / "reference.npy", before.embeddings)
pd.DataFrame({"vector": list(after.embeddings)}).to_parquet(folder / "current.parquet")
outcomes = pd.concat([before.outcomes, after.outcomes])
outcomes.to_csv(folder / "outcomes.csv", index=False)

# %% [markdown]
# **Your turn.** To use your own files, change the three names in the next cell. Everything below it works on whatever is read here, except the scans of section 4, sections 6 and 7 and the trap at the end: those bring their own data. If you have no outcomes, write `None`.

# %%
reference_file = folder / "reference.npy"
current_file = folder / "current.parquet"
outcomes_file = folder / "outcomes.csv"

reference, current, notes = read_windows(reference_file, current_file, outcomes_file)
print(*notes, sep="\n")

# %% [markdown]
# Read those lines. They say what was used and what was left out: a wrong column here spoils all that follows. A file that cannot be used is refused with one line that says why. Nothing is repaired behind your back: a `NaN` in an embedding is a fault of the pipeline, and you want to know.

# %% [markdown]
# ## 2. What does the frozen picture show?
#
# `examine` learns axes and clusters from one half of the reference, freezes them, and compares the other half and the current window with them. It takes a few seconds.
#
# **Predict.** One scan in ten was turned. Will you see that in a plane that holds half of the variance?

# %%
found = examine(reference, current)
frozen = found.frozen
held_out = reference.embeddings[frozen.held_out]
x, y = (frozen.pca.transform(rows)[:, :2] for rows in (held_out, current.embeddings))
corner = [np.mean((rows[:, 0] < 0) & (rows[:, 1] > 2)) for rows in (x, y)]
print("top left, PC1 < 0 and PC2 > 2: {:.0%} of the reference, {:.0%} of the current rows".format(*corner))
shown = min(len(x), len(y), 1000)
x, y = (rows[spread_rows(np.arange(len(rows)), shown)] for rows in (x, y))
share = frozen.pca.explained_variance_ratio_[:2].sum()
ax = plots.canvas(width=7, height=4)[0, 0]
title = f"The plane holds {share:.1%} of the variance; the rest could move unseen"
plots.scatter(ax, x, y, title=title)
plots.show(ax)

# %% [markdown]
# At the top left are more than twice as many triangles as circles. Here you were lucky: the turned 1s lie in the plane. What if they had moved in the other half of the variance, which the plane leaves out?

# %% [markdown]
# ## 3. Which scores notice?
#
# One score sees one kind of change. The panel has nine. None has a natural scale, so each is computed again on shuffled rows: many times over, the rows of both windows are mixed and dealt out anew. If nothing had changed, the data would look like one more shuffle.
#
# **Predict.** Which of these nine notice that one scan in ten was turned: the ones that watch the centre, the width, the clusters, the newcomers, the copies? And will a classifier that tries to tell the windows apart do well, or hardly better than a coin?

# %%
ax = plots.canvas(width=7.2, height=4.2)[0, 0]
beyond = sum(score.adjusted <= 0.05 for score in found.scores)
title = f"{beyond} of {len(found.scores)} scores lie beyond their shuffles"
figures.null_strips(ax, found.scores, title=title)
plots.show(ax)

# %%
table = pd.DataFrame(found.scores).set_index("name").drop(columns="null")
table["sees"] = [ABOUT[name][2] for name in table.index]
columns = ["value", "pvalue", "adjusted"]
table[columns] = table[columns].map("{:.3g}".format)
print(f"{len(found.scores[0].null)} shuffles for each score")
table[[*columns, "sees"]]

# %% [markdown]
# Nearly all of them notice. Only the duplicates are silent, and rightly: nothing was copied. `adjusted` is the p-value after allowing for nine looks.
#
# Now look at the last row. The classifier barely separates the windows. With a fixed alarm at .55, a common default, this one would have stayed quiet. No wonder: if a share *e* of the traffic is new and all else is the same, the best possible AUC is .5 + *e*/2. One scan in ten is new here, so no classifier can go much above .55. Is it useless, then?

# %% [markdown]
# ## 4. Which rows moved?
#
# A classifier gives every row a score: how typical is it of the current window? Take the rows in that order. The scores are out of fold, each by a model that did not see the row. Two more lists help: the rows furthest from anything known, and the vector with the most copies.

# %%
order, _ = domain_ranking(reference, current)
print("most typical of the current window:", *order[:10])
print("furthest from anything known:      ", *found.novel.index)
print(f"most copies of one vector:          {found.copies[0]} in {found.copies[1]} rows")

# %% [markdown]
# In your own file, look up these rows: rows count from 0. For the digits, look at the scans.
#
# **Predict.** The AUC is a coin with a slight bias. How many of the top 50 rows are turned 1s? A random draw would have five. Write your number in place of the dots: 30, say, without quotes.

# %% tags=["predict"]
guess = ...  # of the top 50 rows

# %%
order, _ = domain_ranking(*digits_case("rotate_ones"))
images, digit = digit_images("rotate_ones")
turned = digit == 1
axes = plots.canvas(1, 8, width=7.2, height=1.5)
names = [f"row {row}" for row in order[:8]]
title = "The eight rows on top of the list are turned 1s (digits)"
figures.small_images(axes, images[order[:8]], names, title=title)
plots.show(axes)
print(f"turned 1s: {turned.sum()} of {len(turned)} rows; in the top 50 rows: {turned[order[:50]].sum()}")
reveal(guess, turned[order[:50]].sum(), "of 50")

# %% [markdown]
# This is the surprise of this notebook. The classifier that "cannot tell the windows apart" puts turned 1s, and nothing else, on top of its list. The AUC averages over all rows, and nine in ten are as they always were. **Read the ranking, not the AUC.** Ten rows, read by a person, settle most questions that a score raises.

# %% [markdown]
# ## 5. Did it hurt?
#
# So far you know that something changed. Whether it matters is another question, and needs another file: the outcomes.
#
# **Predict.** Will the network read a turned 1? By how many points does its accuracy fall, if none of them is read right?

# %%
for change in found.changes:
    ends = f"{change.words(change.before)} -> {change.words(change.after)}"
    print(f"{change.outcome}: {ends}, change {change.words(change.size, sign=True)}")
    print(f"interval: {change.interval}")

# %% [markdown]
# The interval comes from a bootstrap. It leaves out 0, so the fall is more than chance. Nine points, with one scan in ten turned: the network reads hardly any turned 1. Where would you see that in a file without pictures? Every row lies in one of the frozen clusters, or in "novel": further from everything known than 98 % of the reference. (The panel's novelty share draws its line at 99 %. A bucket also needs a rate, and so more rows.) The change splits exactly, bucket by bucket, into **mix** (other things were asked) and **rate** (the same things fared differently).

# %%
if found.parts:
    change = found.changes[0]
    parts = found.parts[change.outcome][["mix", "rate"]] * (100 if change.is_rate else 1)
    size = parts.abs().sum(axis=1).sort_values(ascending=False, kind="stable")
    ax = plots.canvas(width=7.2, height=4.6)[0, 0]
    title = f"{size.index[0]}: the largest part of the change of {change.outcome}"
    xlabel = "part of the change (points)" if change.is_rate else "part of the change"
    plots.mix_and_rate(ax, parts.loc[size.index], title=title, xlabel=xlabel)
    plots.show(ax)
    whole = parts["mix"].sum(), parts["rate"].sum()
    print(f"all buckets: mix {whole[0]:+.2f}, rate {whole[1]:+.2f}, together {sum(whole):+.2f}")
    ten = frozen.buckets.assign(current.embeddings[found.typical])
    print("the ten rows of section 4:", *(frozen.buckets.names[k] for k in ten))

# %% [markdown]
# One bucket explains most of it, and the rows of section 4 lie in it. (The parts add up to a slightly larger fall than above. They leave out the half of the reference from which the clusters were learnt, and that half happened to fare worse.)
#
# You now have a sentence for the meeting: which rows, how many, and what they cost. You still have no cause. The report never claims one:

# %%
headline, sentences = verdict(found)
print(headline, *sentences, sep="\n")

# %% [markdown]
# ## 6. Is loud worse than silent?
#
# The same scans can meet other fates. Four stories, one network, one reference:

# %%
for name, what in STORIES.items():
    print(f"{name:<12} {what}")

# %% [markdown]
# **Predict.** Which of the four is the loudest for MMD, in standard deviations of its shuffles? Write one of the names above, this time in quotes.

# %% tags=["predict"]
guess = ...  # such as "none"

# %%
rows = {}
for name in STORIES:
    before, after = digits_case(name)
    mmd = panel(before, after, n_resamples=199)[0]
    harm = after.outcomes["accuracy"].mean() - before.outcomes["accuracy"].mean()
    rows[name] = {"drift": mmd.z, "harm": 100 * harm}
stories = pd.DataFrame(rows).T
ax = plots.canvas(width=7.2, height=3.8)[0, 0]
title = "The loudest story is harmless, the worst one is silent"
ylabel = "change of accuracy (points)"
figures.drift_and_harm(ax, stories, title=title, ylabel=ylabel)
plots.show(ax)
reveal(guess, stories["drift"].idxmax())
stories.map("{:+.3g}".format)

# %%
quiet, relabelled = (digits_case(name)[1] for name in ("none", "relabel"))
print("same embeddings, bit for bit:", np.array_equal(quiet.embeddings, relabelled.embeddings))

# %% [markdown]
# Paler scans shake every embedding, and the network does not mind. Changed answers cost the most, and the embeddings of that story are those of the quiet one, bit for bit. No score on embeddings can ever tell these two apart, however clever, because there is nothing to tell. In a search product the same part is played by an index that lost documents, or by a page with a new layout.
#
# So drift tells you *where to look*, and outcomes tell you *whether to run*. Set up both.

# %% [markdown]
# ## 7. How many queries do you really have?
#
# The shuffles took every row for a draw of its own. Digits are. Queries are not: they come in **sessions**, and people in a session ask about one thing. Then a window of *n* queries is worth fewer than *n* independent ones. The factor is the **design effect**, and you can measure yours. For a yes-or-no value y, such as "this query is in cluster 3":
#
# $$\text{design effect} = \frac{\sum_{\text{sessions}} \big(\sum_{i \in \text{session}} (y_i - \bar y)\big)^2}{\sum_i (y_i - \bar y)^2}$$
#
# It is 1 where sessions do not matter. The digits have no sessions, so take a week of the synthetic search product of notebook 00.
#
# **Predict.** A session has three queries on average. Is the design effect for the share of a topic nearer to 1, 2 or 3? And for success?

# %%
from helpers.outcomes import Buckets
from helpers.synthetic import Product


def design_effect(y, session):
    deviation = y - y.mean()
    return (np.bincount(session, deviation) ** 2).sum() / (deviation**2).sum()


# %%
log = Product(seed=0).run(days=7 * 21)
week = log.week(5)
bucket = Buckets.fit(log.days(0, 27).embeddings).assign(week.embeddings)
session = sessions_of(week)
shares = [design_effect((bucket == k).astype(float), session) for k in range(12)]
success = design_effect(week.outcomes["success"].to_numpy(float), session)
print(f"queries in the week: {len(week)}, in {session.max() + 1} sessions")
print(f"design effect of a cluster's share: median {np.median(shares):.3g}")
print(f"design effect of success: {success:.3g}")
print(f"the week is worth {len(week) / np.median(shares):.3g} queries where topics are concerned")

# %% [markdown]
# For a topic it is nearer to 3, for success nearer to 1: topics come in bunches, failures hardly do. Now see what that does to a test. Take twenty pairs of neighbouring weeks in which nothing was broken, and test each pair twice: shuffle queries, and shuffle whole sessions.
#
# **Predict.** A test at 5 % should raise about one false alarm in twenty. How many of the twenty pairs will the shuffled queries call different?

# %% tags=["predict"]
guess = ...  # of 20 pairs

# %%
from helpers.calibration import permutation_test
from helpers.metrics import energy_distance


def some_sessions(week):
    chosen = spread_rows(np.arange(len(week)), 1000, sessions_of(week))
    return week.embeddings[chosen], week.outcomes["session"].to_numpy()[chosen]


def pvalues(number):
    x, x_sessions = some_sessions(log.week(number))
    y, y_sessions = some_sessions(log.week(number + 1))
    return [
        permutation_test(energy_distance, x, y, groups=groups, n_resamples=199).pvalue
        for groups in (None, (x_sessions, y_sessions))
    ]


# %%
alarms = pd.DataFrame([pvalues(k) for k in range(20)], columns=["queries", "sessions"]) <= 0.05
reveal(guess, alarms["queries"].sum(), "of 20")
ax = plots.canvas(width=7.2, height=1.9)[0, 0]
title = "Shuffled queries call nearly every quiet week an incident"
plots.bars(
    ax, alarms.sum(), title=title, xlabel="false alarms in 20 quiet pairs", base="sessions", decimals=0
)
plots.show(ax)

# %% [markdown]
# If you take one number home, take your own design effect. Log a session id, and hand it to the tests: in this project by the column `session`.
#
# Even then the null says "these sessions, shuffled". It does not say "an ordinary week". Tastes wander and seasons turn, so two quiet weeks can fail this test too. Take the threshold for an alarm from the scores of your own quiet weeks; the table at the end lists it.

# %% [markdown]
# ## 8. How large must a window be?
#
# For the mean family (MMD, energy, sliced Wasserstein) there is a rule of thumb. With covariance S of the embeddings (tr is its trace) and a shift of length |δ|, two windows of
#
# $$ n \approx \frac{2\,(1.64 + 1.28)\,\sqrt{2 \operatorname{tr} S^2}}{|\delta|^2} $$
#
# rows each find the shift nine times in ten at 5 % false alarms: 1.64 and 1.28 are the normal distribution's points for 5 % and 10 %. Multiply by your design effect. The cell measures shifts in *radii* of the cloud, the typical distance of a row from the centre: the root of tr S.
#
# **Predict.** If you want to find a shift half as long, how many times as many rows do you need?

# %%
S = np.cov(np.asarray(reference.embeddings, dtype=float).T)
radius = np.sqrt(np.trace(S))
for share in (0.2, 0.1, 0.05):
    need = 2 * (1.64 + 1.28) * np.sqrt(2 * np.trace(S @ S)) / (share * radius) ** 2
    print(f"shift of {share:3.0%} of the cloud's radius: {need:5,.0f} rows a window")

# %% [markdown]
# Four times as many for half the shift. Decide first which change would cost you something, then choose the window. A window that is too small does not give you a weaker alarm; it gives you silence.

# %% [markdown]
# ## When this misleads you
#
# People repeat themselves, and caches, robots and retries do it for them. Take two windows in which nothing changed, the reference and the quiet story. Send each of 150 scans four times. Then ask the classifier of notebook 02 whether the windows differ.
#
# **Predict.** Nothing changed, so the AUC should be .5. What will it be?

# %% tags=["predict"]
guess = ...  # between .5 and 1

# %%
from sklearn.decomposition import PCA

from helpers.metrics import classifier_auc

calm = digits_case("none")
scan = np.repeat(np.arange(150), 4), np.repeat(np.arange(150, 300), 4)
axes = PCA(40).fit(calm[0].embeddings)  # units that are always off would break the classifier's scaling
x, y = (axes.transform(window.embeddings[:150]).repeat(4, axis=0) for window in calm)
leaky = classifier_auc(x, y)
honest = classifier_auc(x, y, groups=scan)
print(f"copies of a scan in any fold: AUC {leaky:.2g}")
print(f"copies kept in one fold:      AUC {honest:.2g}")
reveal(guess, round(leaky, 2), "AUC {}", close=0.02)

# %% [markdown]
# With copies on both sides of a fold, the classifier recognises *scans*, not the window: it has seen this very row in training, with its label. The first number would raise an alarm, and nothing happened. Cross-validation is only as honest as its folds. The panel keeps sessions within one fold, or else equal vectors; a paraphrase of the same question it cannot recognise. That is one more reason to log sessions.
#
# Two more traps, without a cell:
#
# - **Files from different models.** The same number of dimensions does not mean the same space. Every score will scream, and mean nothing.
# - **A reference that was not quiet.** If the incident had begun when the reference was taken, the report compares it with itself and is content.

# %% [markdown]
# ## In production
#
# The same analysis is a job for the terminal. It writes one HTML file that needs nothing else, to read, to send, to print:
#
# ```
# python3 playbook.py report --reference reference.npy --current current.parquet --outcomes outcomes.csv
# ```
#
# Before you run it every week, set these:
#
# | what | to what |
# |---|---|
# | reference | four quiet weeks, frozen, with a date; a new one when the model changes |
# | baseline | about twelve further quiet weeks, whose scores say what is ordinary |
# | window | one size, from section 8, times your design effect; weekdays against weekdays |
# | sessions | an id in every row; tests shuffle sessions |
# | threshold | from the baseline and a budget of false alarms. Not p < .05, and not a tool's default |
# | query-index gap | each query's best similarity to the index: no label needed, sees the supply |
# | probes | a few hundred frozen queries with known answers, asked every day |
# | outcomes | joined to the query by its id |

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell: it says correct, or what is not right yet. `hint("12-1")` helps in stages, and a solution is folded away below each exercise.
#
# ### Exercise 12-1: How large must this window be?
#
# Section 8 sized a window for the digits, which have no sessions. Do it for the search product. How many rows must a window have, to find a shift of a tenth of the cloud's radius nine times in ten? Take S, and from it the radius, from `week.embeddings` of section 7 (as floats), and multiply by the median design effect of a cluster's share.

# %% tags=["exercise"]
rows_needed = ...  # rows in each window
check("12-1", rows_needed)

# %% tags=["solution"]
# Solution of 12-1
S = np.cov(week.embeddings.astype(float).T)
independent = 2 * (1.64 + 1.28) * np.sqrt(2 * np.trace(S @ S)) / (0.1**2 * np.trace(S))
rows_needed = independent * np.median(shares)
check("12-1", rows_needed, solution=True)

# %% [markdown]
# ### Exercise 12-2: Bring the rows that moved to the top
#
# Write a function that names the k rows of a window `y` that are most unlike a reference `x`: their row numbers in `y`, counted from 0, in any order. Both windows are arrays with one row a query. (`domain_ranking` of section 4 takes whole windows with their outcomes, not arrays.) The check brings two days of a product; on the second, one query in twenty is about a new topic. Of your top 20, at least 16 must be about it. Any method will do.


# %% tags=["exercise"]
def top_rows(x, y, k):
    return ...


check("12-2", top_rows)

# %% tags=["solution"]
# Solution of 12-2
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict


def top_rows(x, y, k):
    rows, window = np.vstack([x, y]), np.repeat([0, 1], [len(x), len(y)])
    model = LogisticRegression(max_iter=1000)
    score = cross_val_predict(model, rows, window, cv=5, method="decision_function")  # out of fold
    return np.argsort(-score[len(x) :])[:k]


check("12-2", top_rows, solution=True)

# %% [markdown]
# ### Exercise 12-3: An alarm to take home (open-ended)
#
# Write the alarm that you would set up for a search product. `past` is a list of the `Log`s of twelve quiet weeks, `week` is the `Log` of the week to judge; return `True` to ring. To try it, use section 7's log: `[log.week(k) for k in range(12)]` and `log.week(12)`. You have the embeddings and all columns of `log.outcomes` but `success`, `topic` and `rank`, which nobody knows in time. The check lets it judge 24 weeks. In eight of them something happened that costs users more than two points of success: ring in at least six. Of the other 16, four bring drift that costs them about one point at most, and twelve are quiet: ring in at most two. Which of the signals that you used do you log today?
#
# Further: change the story in section 1 to `"contrast"` and run the notebook again. Which sentences of the verdict change? And run the report on your own two files: read the ten rows it names, and write down in one sentence what they have in common. If you cannot, what would you need to log?


# %% tags=["exercise"]
def alarm(past, week):
    return ...


check("12-3", alarm)


# %% tags=["solution"]
# Solution of 12-3
def alarm(past, week):
    usual = [log.outcomes["best_similarity"].mean() for log in past]
    fall = np.mean(usual) - week.outcomes["best_similarity"].mean()
    return fall > 3 * np.std(usual)  # in this direction only


check("12-3", alarm, solution=True)

# %% [markdown]
# ## Recap
#
# - You read two windows and their outcomes from files, and know the command that writes the same as a report.
# - You found the rows that moved by a classifier's ranking: all of its top 50 were turned 1s, at an AUC that most alarms ignore.
# - You saw a loud story that cost nothing and a silent one that cost most, with embeddings equal bit for bit to a quiet day's.
# - You measured a design effect, saw shuffled queries raise false alarms in nearly every quiet pair of weeks, and sized a window with the rule for n.
# - You have the list of what to set, and know that a repeated query leaks across folds unless its copies stay together.

# %% [markdown]
# Back to [11 Solve the 2 a.m. incident](11_solve_the_2_am_incident.ipynb) · [map of the series](../README.md)
