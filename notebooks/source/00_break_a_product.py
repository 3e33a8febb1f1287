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
# # Break a product
#
# At the end you will have run a small search product, broken it in three ways, and measured to the last query what each break cost.
#
# **Launch:** run `python3 playbook.py open 00` in the project's folder. It opens this notebook in JupyterLab on your machine. Links to Binder and Colab appear here after `python3 playbook.py links OWNER/REPO`, with your copy's address on GitHub.
#
# | To read | To practise | To run | Memory |
# |---|---|---|---|
# | 10 minutes | 5 minutes | 10 seconds | 350 MB |
#
# ## What you will be able to do
#
# - You can run the product this series uses and read the log it writes.
# - You can break it on purpose, in its queries, its embedder or its index.
# - You can measure what a break cost exactly, with a counterfactual.
# - You can draw the three first pictures of drift and say what to look for in them.
#
# ## What you need
#
# Some NumPy and pandas. Nothing about drift.

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

from helpers import plots
from helpers.exercises import check, hint
from helpers.predictions import reveal
from helpers.synthetic import Event, Product

# %% [markdown]
# ## 1. What does the product do?
#
# People type queries. An **embedder** turns each query into a vector of 64 numbers, its **embedding**. An **index** holds the vectors of all documents and returns the three closest. If even the best one is too far away, the product says "no answer".
#
# Everything here is synthetic: texts are points in a made-up space of meanings, users and documents are random numbers. What is *not* made up is the search. Every query is about one document, and it succeeds only if that document really is among the three that the index returns. No formula in the product turns "drift" into "harm". If drift hurts, it hurts because retrieval failed.
#
# Run the product for a week. `run` returns a `Log`: one embedding and one row of outcomes for each query. A query's `segment` is the client it came through: web, mobile or partner.

# %%
product = Product(seed=0)
log = product.run(days=7)
print("embeddings:", log.embeddings.shape)
log.outcomes[["day", "segment", "best_similarity", "no_answer", "click", "success"]].head(4).round(3)

# %% [markdown]
# Four columns of the log are what a team would like to see on Monday morning:
#
# | outcome | meaning | who knows it |
# |---|---|---|
# | `success` | the right document was shown | an auditor, later, for a sample |
# | `no_answer` | nothing was close enough | you, at once |
# | `click` | somebody clicked | you, at once |
# | `escalation` | somebody opened a ticket | the support desk, days later |
#
# **Predict.** Out of 100 queries on a quiet week, how many succeed? How many get a click? Put your numbers in place of the dots before you go on. Nobody keeps them; a guess that you have written down is one that you can learn from.

# %% tags=["predict"]
guess_success, guess_click = ..., ...  # of 100 queries

# %%
OUTCOMES = ["success", "no_answer", "click", "escalation"]
quiet_week = log.outcomes[OUTCOMES].mean()
print(quiet_week.map("{:.3f}".format).to_string())
reveal(guess_success, 100 * quiet_week["success"], "% succeed")
reveal(guess_click, 100 * quiet_week["click"], "% are clicked")

# %% [markdown]
# Nearly all queries find their document, and still only six in ten are clicked. A click is a noisy echo of success: people click on wrong results, and skip right ones. Keep that in mind when a dashboard shows you clicks alone.

# %% [markdown]
# ## 2. Which break hurts most?
#
# Three things go wrong in products like this one. Each is an `Event` that edits a *cause*:
#
# - **stale upgrade**: the team ships a new embedder for the queries and forgets to rebuild the index,
# - **new topic**: a launch brings questions about something the index has no documents on (8 % of the traffic),
# - **lost documents**: a clean-up job deletes 60 % of the documents of one topic.
#
# **Predict.** Which of the three costs most success? Commit to one of the names in bold.

# %% tags=["predict"]
guess = ...  # such as "new topic"

# %%
breaks = {
    "nothing": [],
    "stale upgrade": [Event("rotation", start=28, size=0.5)],  # the new embedder turns the space
    "new topic": [Event("new_topic", start=28, size=0.08)],
    "lost documents": [Event("remove_docs", start=28, size=0.6, topic=3)],
}
logs = {name: product.run(days=28, start=28, events=events) for name, events in breaks.items()}
rates = pd.DataFrame({name: log.outcomes[OUTCOMES].mean() for name, log in logs.items()}).T
reveal(guess, rates["success"].idxmin())
rates.map("{:.3f}".format)

# %%
ax = plots.canvas(height=2.8)[0, 0]
xlabel = "success (% of queries)"
plots.bars(ax, 100 * rates["success"], title="The stale upgrade costs most", xlabel=xlabel)
plots.show(ax)
hit = logs["stale upgrade"].outcomes["best_similarity"] < logs["nothing"].outcomes["best_similarity"]
print(f"stale upgrade: {hit.mean():.0%} of the queries are further from their best document")
for name, topics in {"new topic": [12, 13], "lost documents": [3]}.items():
    mine = logs[name].outcomes["topic"].isin(topics)
    inside, rest = (logs[name].outcomes.loc[rows, "success"].mean() for rows in (mine, ~mine))
    usual = logs["nothing"].outcomes.loc[~mine, "success"].mean()
    print(f"{name}: success {inside:.3f} in {mine.mean():.0%} of the traffic,", end=" ")
    print(f"{rest:.3f} in the rest, {usual:.3f} there if nothing happens")

# %% [markdown]
# The stale upgrade hits nearly every query a little: queries and documents no longer speak the same language. The other two hit a minority hard, and the rest not at all: nobody who asks about the new topic can be served. The averages hide that difference. Notebook 03 takes them apart.

# %% [markdown]
# ## 3. What would have happened otherwise?
#
# On a real product you compare the weeks after a release with the weeks before it, and hope that nothing else changed. Here you can do better. All random numbers of a day are drawn *before* any event is looked at: who comes, what they ask, whether they are in the mood to click. Two runs with one seed are the same world twice, once with the event and once without. The difference is the **effect of the event**, query by query.
#
# **Predict.** Before the event, the two runs are one. But how much does success move from day to day when nothing happens at all? Give a standard deviation (sd), in points: hundredths.

# %% tags=["predict"]
guess = ...  # points

# %%
upgrade = [Event("rotation", start=28, size=0.5)]
with_event = product.run(days=56, events=upgrade)
without = product.run(days=56)
runs = {"with": with_event, "without": without}
success = pd.DataFrame({name: log.outcomes.groupby("day")["success"].mean() for name, log in runs.items()})
effect = success["with"] - success["without"]
print(f"largest daily difference before day 28: {effect.loc[:27].abs().max():.3f}")
print(f"mean difference from day 28 on:        {effect.loc[28:].mean():+.3f}")
rate, queries_a_day = success["without"].mean(), len(without.outcomes) / 56
reveal(guess, round(100 * success["without"].std(), 1), "points", close=0.3)
print(f"day-to-day sd without any event:        {success['without'].std():.3f}")
print(
    f"sd by chance, {queries_a_day:.0f} queries a day:       {np.sqrt(rate * (1 - rate) / queries_a_day):.3f}"
)

# %%
ax = plots.canvas(width=8)[0, 0]
axis = {"ylabel": "success (%)", "xlabel": "day"}
plots.timeline(ax, 100 * success["without"], label="without it", title="", colour="reference", **axis)
title = "Same seed, same people: the gap is the effect"
shaded = {"stale upgrade": (28, 55)}
plots.timeline(ax, 100 * success["with"], label="with the upgrade", title=title, events=shaded, **axis)
plots.show(ax)

# %% [markdown]
# Before day 28 the two lines are one line, to the last query. After it, the vertical distance is what the upgrade did. This is the **counterfactual**, and it is the answer key of the whole series: whenever a method claims "this drift cost us two points", you can check.
#
# The lines also show why you need one. Without any event, success still moves by a point from day to day. Its sd stands above, and the line below it says why: so few queries a day leave that much to chance. What people ask moves too: weekends differ from weekdays, and topics go in and out of favour. Your own product does all of this, and has no answer key.

# %% [markdown]
# ## 4. What does drift look like?
#
# Most teams meet drift as three pictures. Take the embeddings of week 0 and of week 4. Find the two directions in which week 0 varies most, its **principal components** (PCA), and look at both weeks in that plane. Then compare the histograms along the first component, PC1.
#
# The plane is fitted on week 0 and then **frozen**: week 4 is drawn in week 0's coordinates. Notebook 01 shows what goes wrong otherwise.
#
# For this picture, week 4 gets three changes at once, strong enough to see: the queries move along PC1, their noise grows by a quarter, and a new topic arrives.

# %%
changes = [
    Event("mean_shift", start=28, size=0.25, direction="pc1"),
    Event("spread", start=28, size=0.25),
    Event("new_topic", start=28, size=0.12, topic=1),
]
drifted = product.run(days=35, events=changes)
# Logs keep float32. Compute in float64, so that every machine draws the same picture.
week0, week4 = (drifted.week(number).embeddings.astype(float) for number in (0, 4))
pca = PCA(n_components=2).fit(week0)
plane0, plane4 = pca.transform(week0), pca.transform(week4)
print(f"PC1 and PC2 hold {pca.explained_variance_ratio_.sum():.0%} of the variance of week 0")

# %%
ax = plots.canvas(height=4.6)[0, 0]
title = "Week 4 has moved to the left, in the plane of week 0"
plots.scatter(ax, plane0, plane4, labels=("week 0", "week 4"), title=title)
plots.show(ax)

# %% [markdown]
# **Predict.** Look at the horizontal axis only, where a dashed line will mark the mean. By how much has it moved? Has week 4 become wider? Is there a bump where there was none?

# %%
both = np.concatenate([plane0[:, 0], plane4[:, 0]])
edges = np.linspace(both.min(), both.max(), 41)
axes = plots.canvas(1, 2, width=9, sharex=True, sharey=True)
title = "Week 4: moved, narrower, no new bump"
plots.histogram(axes[0, 0], plane0[:, 0], edges=edges, label="week 0", title="Week 0: centred on zero")
plots.histogram(axes[0, 1], plane4[:, 0], edges=edges, label="week 4", side="current", title=title)
plots.show(axes)

# %% [markdown]
# What to look for, in all three pictures:
#
# | sign | in the scatter | in the histogram | what it often is |
# |---|---|---|---|
# | **mean shift** | the whole cloud slides | the dashed line moves | a new client, a new language, a new embedder |
# | **spread change** | the cloud grows or shrinks | wider or narrower | noisier input, truncated input, a robot |
# | **new cluster** | an island where there was none | a bump, or nothing at all | a launch, an attack, a new kind of user |

# %%
alone = {"week 4, had nothing changed": [], "week 4, had it only moved": changes[:1]}
alone |= {"week 4, had only the noise grown": changes[1:2]}
new = (drifted.week(4).outcomes["topic"] >= 12).to_numpy()
parts = {"week 0": plane0, "week 4, as it was": plane4, "its old topics": plane4[~new]}
parts |= {"its new topic": plane4[new]}
for name, events in alone.items():
    week = product.run(days=7, start=28, events=events)
    parts[name] = pca.transform(week.embeddings.astype(float))
table = pd.DataFrame({name: [rows[:, 0].mean(), rows[:, 0].std()] for name, rows in parts.items()})
table = table.T.set_axis(["mean on PC1", "sd on PC1"], axis=1)
print(f"share of the new topic: {new.mean():.2f}")
(table.round(3) + 0).map("{:.3f}".format)  # + 0 makes -0 a 0

# %% [markdown]
# Read the numbers against the pictures. The shift shows. The rest does not: one query in seven is about a topic that week 0 never had, and there is no island to point at. Queries have become noisier by a quarter, and on PC1 the week looks *narrower*. The counterfactuals in the last three rows tell you why. This week would have been a little narrower anyway, and the newcomers crowd near the middle of it. The noise went mostly into the other 63 directions, and since every vector has length 1, what grows elsewhere shrinks here: noise alone, and the shift alone, each make PC1 a little narrower. Two dimensions out of 64 can hide a lot.

# %% [markdown]
# ## When this misleads you
#
# Pictures of the queries show how the queries changed. They cannot show whether the index still answers them. Here are two upgrades. In one, the index was left behind. In the other it was rebuilt the same night.

# %%
stale = product.run(days=7, start=28, events=[Event("rotation", start=28, size=0.5)])
rebuilt = product.run(days=7, start=28, events=[Event("rotation", start=28, size=0.5, index_follows=True)])
quiet = product.run(days=7, start=28)
print("query embeddings equal, bit for bit:", bool((stale.embeddings == rebuilt.embeddings).all()))
for name, week in {"stale": stale, "rebuilt": rebuilt, "no upgrade": quiet}.items():
    print(f"{name:>10}: success {week.outcomes['success'].mean():.3f}")

# %% [markdown]
# The queries are equal to the last bit. So is every picture of them, and every score that anybody can ever compute from them. One product lost 15 points of success, the other lost nothing.
#
# This is not a weakness of PCA. **No function of the query embeddings can tell these two apart.** Whether drift hurts depends on the index, and you have to look there. The rest of the series is built on this one fact.

# %% [markdown]
# ## In production
#
# - Log the embedding, the best similarity and the outcome of each query *together*. Joining them later is where most projects stop.
# - Keep a window of ordinary weeks aside, unchanged, as your reference. You will compare with it for months.
# - Write down every release, re-index and launch with its time. These are the events you will search for.
# - You have no counterfactual. A staged roll-out, where half of the traffic keeps the old version, is the nearest thing to one.

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell: it says correct, or what is not right yet. `hint("00-1")` helps in stages, and a solution is folded away below each exercise.
#
# ### Exercise 00-1: How much does a small client hide?
#
# From day 28 on, the queries of one client get noisier: `Event("spread", start=28, size=0.35, segment="partner")`. Run the week from day 28 to 34. How many points of success does the event cost the partner, and how many all queries together? Points are hundredths, a loss counts as positive, and a tenth of a point will do.

# %% tags=["exercise"]
partner, everybody = ..., ...
check("00-1", (partner, everybody))

# %% tags=["solution"]
# Solution of 00-1
event = Event("spread", start=28, size=0.35, segment="partner")
noisy, twin = product.run(days=7, start=28, events=[event]), product.run(days=7, start=28)
lost = 100 * (twin.outcomes["success"].astype(float) - noisy.outcomes["success"])
partner, everybody = lost[twin.outcomes["segment"] == "partner"].mean(), lost.mean()
check("00-1", (partner, everybody), solution=True)

# %% [markdown]
# ### Exercise 00-2: Where is success decided?
#
# Open `helpers/synthetic.py` and read `_day`. What decides whether a query succeeds?
#
# - a) how far the query has drifted from the reference
# - b) whether the document asked for is among those shown, and an answer was given
# - c) a coin, biased by the quality of the page
# - d) the `size` of the event that is active

# %% tags=["exercise"]
answer = ...  # one letter, in quotes
check("00-2", answer)

# %% tags=["solution"]
# Solution of 00-2
answer = "b"  # success = (answers.rank <= self.top_k) & ~no_answer
check("00-2", answer, solution=True)

# %% [markdown]
# ### Exercise 00-3: Break it so that nobody sees (open-ended)
#
# Write a list of events that costs at least three points of success from day 28 to 34, while every query embedding stays what it is in a quiet week, bit for bit. Section 2 has used topic 3: leave it alone. Which silent break would you fear in your own product, and who would notice it first?

# %% tags=["exercise"]
silent = ...  # such as [Event(...), Event(...)]
check("00-3", silent)

# %% tags=["solution"]
# Solution of 00-3
silent = [Event("remove_docs", start=28, size=0.6, topic=topic) for topic in (5, 7)]
check("00-3", silent, solution=True)

# %% [markdown]
# ## Recap
#
# - You ran the product: `Product(seed).run(days, events)` returns a `Log` with `embeddings` and `outcomes`.
# - You broke it with an `Event`, which edits a cause, never an outcome.
# - You measured the effect as the difference of two runs with one seed; before the event that difference is zero.
# - You drew week 0 against week 4 in a frozen plane, and looked for a mean shift, a spread change and a new cluster. The picture could not tell a harmless upgrade from a ruinous one.

# %% [markdown]
# Back to the [map of the series](../README.md) · Next: [01 Visualize drift](01_visualize_drift.ipynb)
