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
# # Upgrade the model
#
# At the end you will be able to take a new embedder live with a rehearsal, a checklist and drift monitors that still work the morning after.
#
# **Launch:** run `python3 playbook.py open 08` in the project's folder. It opens this notebook in JupyterLab on your machine. Links to Binder and Colab appear here after `python3 playbook.py links OWNER/REPO`, with your copy's address on GitHub.
#
# | To read | To practise | To run | Memory |
# |---|---|---|---|
# | 35 minutes | 20 minutes | 40 seconds | 700 MB |
#
# ## What you will be able to do
#
# - You can say which measurements tell a harmless upgrade from a ruinous one, and which never will.
# - You can align two embedders on texts embedded by both, so that drift of the *content* shows again.
# - You can tell when no linear map will do, and when a good fit on documents misleads you.
# - You can rehearse a switch on live traffic, and judge the new embedder without favouring the old one.
# - You can list what survives the switch, what has to be made anew, and how long that takes.
#
# ## What you need
#
# NumPy, pandas, and a little linear algebra. Notebook 00 shows the product, notebook 04 the four daily scores; you do not need to have run them. Everything is synthetic. The embedders are functions of one made-up space of meanings, so that what changes in an upgrade is known exactly.

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
from scipy.stats import ortho_group
from sklearn.decomposition import PCA

from helpers import plots, years
from helpers.alignment import align, linear_map, misfit, procrustes
from helpers.charts import ewma, false_alarm_interval, run_length_limit
from helpers.exercises import check, hint
from helpers.predictions import reveal
from helpers.synthetic import Event, Log, Product, unit

# %% [markdown]
# ## 1. Which night is the dangerous one?
#
# A search product turns each query into 64 numbers, its embedding, and looks for the most similar documents in its index. Tonight the embedder is replaced by a new version. The new one knows just as much. But it was trained from another start, so its axes point elsewhere: all of its vectors are turned, by half a radian at most. One team rebuilds the index with the new embedder the same night. The other team forgets.
#
# `product.run` with the same seed gives the same people and the same questions each time, so all differences are the upgrade's.
#
# **Predict.** About 95 of 100 queries succeed on quiet days. How many do with the stale index? Put your number in place of the dots before you go on. Nobody keeps it.

# %% tags=["predict"]
guess = ...  # of 100 queries

# %%
product = Product(seed=0)
stale_upgrade = Event("rotation", size=0.5)
rebuilt_upgrade = Event("rotation", size=0.5, index_follows=True)
runs = {"no upgrade": [], "stale index": [stale_upgrade], "rebuilt index": [rebuilt_upgrade]}
logs = {name: product.run(28, events) for name, events in runs.items()}
same = np.array_equal(logs["stale index"].embeddings, logs["rebuilt index"].embeddings)
print("stale and rebuilt: query embeddings equal, bit for bit:", same)
rates = pd.DataFrame({name: log.outcomes[["success", "no_answer"]].mean() for name, log in logs.items()})
print((100 * rates.T).map("{:.1f}".format).to_string())
reveal(guess, 100 * rates.at["success", "stale index"], "of 100", close=2)

# %% [markdown]
# The rebuilt index costs nothing. The stale one costs 14 points. And *the queries are the same bits*: no score of the queries, from this notebook or any paper, can tell the two nights apart.
#
# Few teams switch everything at one moment. New servers join one by one, so for a while a part of the queries comes from the new embedder and the rest from the old one, while the index is either. (A query of the old embedder against the new index is the same as a query turned *back* against the old index: an event of size -0.5.)
#
# **Predict.** You have one index. In which order do you upgrade: queries first or index first? How much do you lose halfway?

# %%
success = {name: log.outcomes["success"].to_numpy() for name, log in logs.items()}
turned_back = product.run(28, [Event("rotation", size=-0.5)]).outcomes["success"].to_numpy()
server = np.random.default_rng(0).random(len(turned_back))  # which server a query meets
fleet = pd.DataFrame(index=[0, 20, 40, 60, 80, 100])
for share in fleet.index:
    new = server < share / 100
    fleet.loc[share, "old index"] = np.where(new, success["stale index"], success["no upgrade"]).mean()
    fleet.loc[share, "new index"] = np.where(new, success["rebuilt index"], turned_back).mean()
    both = np.where(new, success["rebuilt index"], success["no upgrade"]).mean()
    fleet.loc[share, "both, each query to its own"] = both
fleet *= 100

# %%
ax = plots.canvas(height=3.6)[0, 0]
style = {"xlabel": "queries from the new embedder (%)", "ylabel": "success (%)"}
style |= {"colours": ["reference", "current", "outcome"]}
plots.curves(ax, fleet, title="With one index, every order of upgrading loses", **style)
plots.show(ax)
print(f"halfway, one index: {fleet.loc[[40, 60]].iloc[:, :2].to_numpy().mean():.1f} % success")

# %% [markdown]
# Queries first follows the falling line and then jumps up; index first jumps down and then climbs. Halfway you lose seven points either way: with one index, neither order is the better one. Only the green line loses nothing: keep *both* indexes, stamp every query vector with the version of its embedder, and search the index of the same version. That is called **dual-write**, since every document is written into both, and it is the plan of this notebook.
#
# ## 2. All alarms ring. Which one means harm?
#
# Four drift scores run every day, each in standard deviations from an ordinary day of its kind (a **z-score**): `query_drift`, the distance of the mean query from a reference; `cluster_shift` and `novelty`, of the queries as well; and `index_gap`, by how much a query's similarity to its *best document* has fallen. On top, 300 **frozen probes**: fixed queries with known answers, asked anew every day.
#
# The reference is 28 quiet days, the baseline the 84 after them. A chart that adds up days (EWMA, notebook 04) rings for a lasting z above a limit of about two thirds.
#
# **Predict.** Five situations follow: no upgrade, stale, rebuilt, half of the fleet upgraded on a stale index, and, without any upgrade, a new topic that the index has no documents for. Which columns tell *stale* from *rebuilt*? Which tell *stale* from *new topic*?

# %%
past = product.run(112, start=-112)
reference = past.days(-112, -85)
baseline = years.daily_scores(past.days(-84, -1), reference)


def fleet_log(old, new, is_new):
    """Return the log of a fleet in which the queries `is_new` met the new embedder."""
    outcomes = pd.concat([old.outcomes[~is_new], new.outcomes[is_new]]).sort_index()
    return Log(np.where(is_new[:, None], new.embeddings, old.embeddings), outcomes)


def z_scores(log, embeddings=None):
    """Return the daily z-scores of a log, or of the same log with other query embeddings."""
    vectors = log.embeddings if embeddings is None else np.asarray(embeddings, np.float32)
    return years.standardise(years.daily_scores(Log(vectors, log.outcomes), reference), baseline)


# %%
upgraded = server < 0.5
new_topic = Event("new_topic", size=0.04)
logs["half a fleet, stale"] = fleet_log(logs["no upgrade"], logs["stale index"], upgraded)
logs["new topic"] = product.run(28, [new_topic])
runs |= {"new topic": [new_topic]}
daily = {name: z_scores(log) for name, log in logs.items()}
table = pd.DataFrame({name: z.mean() for name, z in daily.items()}).T.round(1) + 0.0
table["probes (%)"] = {name: 100 * product.probe_success(0, events) for name, events in runs.items()}
table["success (%)"] = {name: 100 * log.outcomes["success"].mean() for name, log in logs.items()}
print(table.map("{:.1f}".format).replace("nan", "").to_string())
print(f"limit of the chart: {run_length_limit(ewma, 91):.2f}")

# %%
axes = plots.canvas(1, 2, width=10, height=3.4, sharey=True)
titles = {"query_drift": "The queries: one line, two fates", "index_gap": "The gap: the fates part"}
for ax, (score, title) in zip(axes.flat, titles.items(), strict=True):
    for name, colour, dashed in [("stale index", "current", False), ("rebuilt index", "reference", True)]:
        z = pd.concat([z_scores(past.days(-14, -1)), daily[name]])[score]
        style = {"ylabel": "sd from an ordinary day", "xlabel": "day", "colour": colour, "dashed": dashed}
        plots.timeline(ax, z, title=title, label=name, **style)
    ax.axvline(-0.5, color=plots.COLOURS["alarm"], linestyle=":")
    ax.label_outer()
plots.show(axes)

# %% [markdown]
# *Stale* from *rebuilt*: the gap and the probes, no other score (success does too, but live you learn it late). The first three are equal for both, as they must be, and two of them are far above the limit for weeks. What differs is what looks at queries *and* documents.
#
# *Stale* from *new topic*: the probes. The gap and novelty move for both. `query_drift` is small for the new topic, but as large for the harmless upgrade as for the stale one.
#
# Together, gap and probes say what is the matter:
#
# - **Gap up, probes down**: the supply side is broken, embedder and index do not match.
# - **Gap up, probes as ever**: people ask for something new. The probes know only old questions.
# - **Gap and probes as ever**: whatever the other scores say, answers are as good as before, as far as index and embedder go.
#
# (`cluster_shift` sees none of it: a turn carries all clusters along, and a new topic is in none of them. And probes of half a fleet are those of its two halves.)
#
# The half-upgraded fleet lies in the middle, and an average would hide that half of the queries are fine. The version stamp shows it at once:

# %%
similarity = logs["half a fleet, stale"].outcomes["best_similarity"]
for version, rows in {"old embedder": ~upgraded, "new embedder": upgraded}.items():
    print(f"{version}: mean similarity to the best document {similarity[rows].mean():.3f}")

# %% [markdown]
# ## 3. Can you take the upgrade out of the score?
#
# Suppose your team did everything right. The index is rebuilt, nobody is hurt, and `query_drift` will ring every day until somebody mutes it. What if a *real* change of the queries comes in the same week?
#
# You have texts that both embedders have seen: the documents. Old vectors $X$ and new vectors $Y$, row by row of the same text, are **pairs**. Look for the rotation that brings the new ones back,
#
# $$\min_{M} \lVert Y M - X \rVert^2 \quad \text{with } M^\top M = I .$$
#
# This is the **orthogonal Procrustes problem**. Its solution takes one singular value decomposition: $Y^\top X = U S V^\top$ gives $M = U V^\top$. A rotation changes no distance between two queries. So whatever the queries do *among themselves*, it cannot hide.

# %%
documents = product.index(0).embeddings
rotated = product.index(0, [rebuilt_upgrade]).embeddings


def procrustes_by_hand(old, new):
    left, _, right = np.linalg.svd(new.T @ old)
    return left @ right


back = procrustes(documents, rotated)
print(f"difference to helpers.alignment: {np.abs(procrustes_by_hand(documents, rotated) - back).max():.6f}")
print(f"{len(documents)} documents; misfit without a map {misfit(documents, rotated):.2f},", end=" ")
print(f"after it {misfit(documents, rotated @ back):.2f}")

# %% [markdown]
# **Misfit** is the share of the old vectors' variance that the map misses; 0 is perfect, 1 no better than the mean.
#
# A pure rotation is too kind. Here is a second embedder, **retrained**: turned to quite other axes, and then each of the 64 numbers squashed by a tanh, which no rotation can undo. Against it also runs a freer map, **ridge regression** of the old vectors on the new ones, `linear_map`: any matrix, not just rotations.
#
# **Predict.** To embed a million documents twice is expensive. How many of the 720 does each map need? All maps are judged on documents they have not seen.

# %%
turn = ortho_group.rvs(64, random_state=0)


def retrained(old):
    """Embed texts, given by their old embeddings, with an embedder whose numbers saturate."""
    return unit(np.tanh(8 * old @ turn))


shuffled = np.random.default_rng(0).permutation(len(documents))
known, unseen = shuffled[:480], shuffled[480:]
squashed, fit = retrained(documents), pd.DataFrame(index=[70, 80, 100, 150, 240, 480])
COLUMNS = ["rotated, Procrustes", "retrained, Procrustes", "retrained, ridge"]
for n in fit.index:
    some, trials = known[:n], zip(COLUMNS, [rotated, squashed, squashed], strict=True)
    for name, new in trials:
        fitted = (linear_map if "ridge" in name else procrustes)(documents[some], new[some])
        fit.loc[n, name] = round(misfit(documents[unseen], unit(new[unseen] @ fitted)), 4)

# %%
ax = plots.canvas(height=3.6)[0, 0]
style = {"xlabel": "documents embedded by both", "ylabel": "misfit on unseen documents", "log_x": True}
style |= {"colours": ["outcome", "reference", "current"]}
plots.curves(ax, fit, title="Few pairs: the rotation wins. Many: the freer map", **style)
plots.show(ax)
print(fit.map("{:.3f}".format).to_string())
try:
    procrustes(documents[:40], rotated[:40])
except ValueError as error:
    print("with 40 pairs:", error)

# %% [markdown]
# A rotation of 64 dimensions is found exactly as soon as the pairs span the space. With fewer, many rotations fit equally well, and the helper refuses to pick one. If the change is more than a rotation, Procrustes nearly halves its misfit until there are two or three times as many pairs as dimensions, and then learns little more; the rest is not a rotation. Ridge has twice the freedom, starts worse, and overtakes it at about twice the dimension. **Some five hundred documents, of all topics, are enough here, eight times the dimension. Look at the misfit on pairs left out.**
#
# Now the test that matters. The upgrade (index rebuilt) happens on day 0, and *in the same night* a new topic takes 8 % of the traffic, without documents. Map every query back, then score it against the old reference and the old baseline, as if nobody had touched the embedder.
#
# **Predict.** Raw, how different do "upgrade" and "upgrade + new topic" look? And aligned?

# %%
topic = Event("new_topic", size=0.08)
nights = {"upgrade": logs["rebuilt index"], "and new topic": product.run(28, [rebuilt_upgrade, topic])}
pictures, quiet_days = {}, z_scores(past.days(-14, -1))
for name, log in nights.items():
    pictures["raw", name] = pd.concat([quiet_days, z_scores(log)])
    pictures["aligned", name] = pd.concat([quiet_days, z_scores(align(log, back, first_day=0))])
table = pd.DataFrame({name: z.loc[0:].mean() for name, z in pictures.items()}).T.round(1) + 0.0
print(table.map("{:.1f}".format).to_string())

# %%
axes = plots.canvas(2, 2, width=10, height=5.6, sharex=True, sharey=True)
scores, usual = ["query_drift", "novelty"], pd.concat([quiet_days, daily["no upgrade"]])
for ax, (kind, score) in zip(axes.flat, [(k, s) for k in ["raw", "aligned"] for s in scores], strict=True):
    style = {"title": f"{score}, {kind}", "ylabel": "sd from ordinary", "xlabel": "day"}
    style["band_label"] = "if nothing happens"
    with_topic, without = pictures[kind, "and new topic"][score], pictures[kind, "upgrade"][score]
    plots.timeline(ax, with_topic, label="upgrade + new topic", **style)
    band = usual[score].min(), usual[score].max()
    plots.timeline(ax, without, label="upgrade", colour="reference", dashed=True, band=band, **style)
    ax.axvline(-0.5, color=plots.COLOURS["alarm"], linestyle=":")
    ax.label_outer()
    if ax is not axes[0, 0]:
        ax.get_legend().remove()
plots.figure_of(axes).suptitle("Aligned, the upgrade is gone and the new topic is not", weight="bold")
plots.show(axes)

# %% [markdown]
# Raw, both nights ring in both scores, and `query_drift` cannot even tell them apart. Aligned, the upgrade alone is what it would have been without an upgrade (the grey band is that of the same days, if nothing happens), with the old reference, the old baseline and the old limits. What is left is the new topic. Novelty sees it every day, `query_drift` is above its limit of .66 on average, and somebody can look at it.
#
# ## 4. What if the change is no rotation?
#
# Real upgrades change more than axes. Two more embedders, each a fixed function of the old vector, so that they read the same text:
#
# - **whitened**: subtracts the mean document and evens out the directions, so that no few of them dominate. This is a known way to improve an embedder.
# - **network**: one random layer of 512 ReLU units. Nothing about it is linear.
#
# And three maps back: Procrustes on the document pairs; ridge on the same; and ridge on *pairs of queries*, from the four weeks before the switch, in which both embedders ran on the live traffic. (The ridge gets a column of ones, so that it may move the origin.) The fourth way back is none at all: embed the stored queries of the reference and the baseline anew, and calibrate from scratch, which is a **re-baseline**.
#
# **Predict.** In the cells below the new topic takes 4 % of the traffic, as in section 2, not the 8 % of section 3. Ridge on documents fits *whitened* nearly perfectly. Will `query_drift` be quiet after it? Write down its mean z in two quiet weeks; an ordinary day has 0, the chart's limit is .66. And for which embedder will no map do?

# %% tags=["predict"]
guess = ...  # z of query_drift, whitened, after ridge on documents


# %%
def whitened(documents):
    """Return an embedder without the mean of the documents and with more even directions."""
    pca = PCA().fit(documents)
    return lambda old: unit(pca.transform(old) / pca.explained_variance_**0.25)


rng = np.random.default_rng(0)
layers = rng.normal(size=(64, 512)), rng.normal(size=(512, 64))


def network(old):
    return unit(np.maximum(old @ layers[0], 0) @ layers[1])


EMBEDDERS = {"retrained": retrained, "whitened": whitened(documents), "network": network}
shadow = past.days(-28, -1).embeddings.astype(float)  # queries that both embedders have seen
quiet, with_topic = (log.days(0, 13) for log in (logs["no upgrade"], logs["new topic"]))


# %%
def with_ones(rows):
    return np.column_stack([rows, np.ones(len(rows))])


def ways_back(embed):
    """Return the maps from an embedder's space to the old one, by name, fitted on pairs."""
    pairs = {"documents": documents[known], "queries": shadow}
    rotation = procrustes(documents[known], embed(documents[known]))
    ways = {"Procrustes, documents": lambda new: unit(new @ rotation)}
    for name, old in pairs.items():
        fitted = linear_map(old, with_ones(embed(old)), alpha=1e-4)
        ways[f"ridge, {name}"] = lambda new, fitted=fitted: unit(with_ones(new) @ fitted)
    return ways


def rebaselined(embed, log):
    """Return the mean z-scores of a log embedded anew, as are its reference and its baseline."""
    logs = (past.days(-84, -1), log, reference)
    history, now, usual = (Log(embed(each.embeddings.astype(float)), each.outcomes) for each in logs)
    days = years.daily_scores(now, usual)
    return years.standardise(days, years.daily_scores(history, usual)).mean()


# %%
rows = {}
for name, embed in EMBEDDERS.items():
    new, topics = (embed(log.embeddings.astype(float)) for log in (quiet, with_topic))
    for way, to_old in ways_back(embed).items():
        fit = misfit(documents[unseen], to_old(embed(documents[unseen])))
        calm, hit = (z_scores(log, to_old(x)).mean() for log, x in ((quiet, new), (with_topic, topics)))
        rows[name, way] = [fit, calm["query_drift"], calm["novelty"], hit["novelty"]]
    calm, hit = rebaselined(embed, quiet), rebaselined(embed, with_topic)
    rows[name, "re-baseline"] = [np.nan, calm["query_drift"], calm["novelty"], hit["novelty"]]
columns = ["misfit, documents", "query drift (z)", "novelty (z)", "novelty, new topic (z)"]
table = pd.DataFrame(rows, columns).T
print(table.map("{:.2f}".format).replace("nan", "").replace("-0.00", "0.00").to_string())
calm, hit = z_scores(quiet).mean(), z_scores(with_topic).mean()
print(f"had nobody upgraded: {calm['query_drift']:.2f}, {calm['novelty']:.2f}, {hit['novelty']:.2f}")
reveal(guess, table.at[("whitened", "ridge, documents"), "query drift (z)"], "z = {}")

# %%
ax = plots.canvas(width=8, height=3.4)[0, 0]
z = table["query drift (z)"].unstack(0).loc[table.loc["retrained"].index, list(EMBEDDERS)]
style = {
    "limit": run_length_limit(ewma, 91),
    "xlabel": "query drift (z) of two quiet weeks; logarithmic beyond 1",
}
plots.dots(ax, z, title="Query drift: only the re-baseline is quiet for all three", **style)
plots.show(ax)

# %% [markdown]
# Nothing happened in these two weeks, so an honest score is near 0. Beyond the grey span, the chart rings again and again, for ever.
#
# - **Procrustes** brings *retrained* close: the mean is nearly back, though novelty still rings. For the other two it fails, and its misfit had said so before any query came.
# - **Ridge on documents** is the surprise. For *whitened* it leaves less than 1 % of the variance of unseen documents unexplained, and `query_drift` still rings for ever. A map is good where it has seen pairs, and queries are not documents: they are noisier, and lie where no document does.
# - **Ridge on queries** has seen what it has to map. The mean is back for two of the three. The *network* is the one for which no map does: neither ridge brings the mean back, and Procrustes still less.
# - Now look at novelty. Ridge pulls towards the middle whatever it cannot explain, and the middle is where nothing is novel. So *whitened* starts far below an ordinary day, and the new topic has to climb out of that cellar before the chart notices it. A rotation leaves all distances alone. It hides nothing by pulling inwards, but where it fails it drowns everything: with *whitened* every query counts as novel, so the new topic adds nothing. (A misfit above 1 is worse than giving every text the mean old vector.)
#
# **So: a map is a bridge for some days, and you check it on quiet queries before you walk on it.** What works for all three is the last row: re-baseline. It needs no pairs and no algebra, only the *texts* of sixteen quiet weeks. (Another embedder still has other eyes: *whitened*, freshly calibrated, finds the new topic less novel than the old one did.)
#
# ## 5. Is the new embedder better?
#
# So far "new" was only "different". For four weeks now every candidate answers every query, each from its own index, and users see only the answers of the old one. That is the **rehearsal**. A further candidate joins: *shortened*, turned and cut to 40 numbers to save memory.
#
# The synthetic log keeps the `rank` of the document that was asked for. So you can look up which document it was, as an auditor would.
#
# **Predict.** The "no answer" threshold was set so that about 4 % of the queries of a quiet week were refused. All candidates have a freshly built index. What share will each of them refuse, if nobody touches the threshold? Commit yourself for *whitened*.

# %% tags=["predict"]
guess = ...  # % of the queries

# %%
rehearsal = past.days(-28, -1)
order = np.argsort(-shadow @ documents.T, axis=1)
wanted = order[np.arange(len(shadow)), rehearsal.outcomes["rank"] - 1]
asked = rehearsal.outcomes["topic"]
print(f"topic of the document as asked: {(product.document_topic[wanted] == asked).mean():.0%}")


def search(embed):
    """Return the rank of the wanted document, the best similarity and the top 3 of each query."""
    similarity = embed(shadow) @ embed(documents).T
    own = similarity[np.arange(len(shadow)), wanted]
    rank = 1 + (similarity > own[:, None]).sum(axis=1)
    top = np.argpartition(-similarity, 3, axis=1)[:, :3].copy()
    return rank, similarity.max(axis=1), top


# %%
candidates = {"old": lambda old: old, "rotated": lambda old: old @ turn, **EMBEDDERS}
candidates["shortened"] = lambda old: unit((old @ turn)[:, :40])
found, rows = {name: search(embed) for name, embed in candidates.items()}, {}
refused = (found["old"][1] < product.threshold).mean()
success, thresholds = {}, {}
for name, (rank, best, top) in found.items():
    thresholds[name] = np.quantile(best, refused)
    kept, success[name] = (rank <= 3) & (best >= product.threshold), (rank <= 3) & (best >= thresholds[name])
    overlap = np.mean([len({*a} & {*b}) / 3 for a, b in zip(top, found["old"][2], strict=True)])
    shares = [(best < product.threshold).mean(), kept.mean(), success[name].mean(), overlap]
    rows[name] = [100 * share for share in shares]
columns = ["refused, old threshold", "success, old threshold", "success, own threshold", "overlap@3"]
table = pd.DataFrame(rows, columns).T
print(table.map("{:.1f}".format).to_string())
print("own thresholds:", ", ".join(f"{name} {value:.2f}" for name, value in thresholds.items()))
reveal(guess, table.at["whitened", "refused, old threshold"], "% refused")

# %% [markdown]
# The index was rebuilt, the embedder is fine, and *whitened* refuses practically every query. Its own threshold, in the last line, is far lower: a cosine that meant "unlike anything we have" yesterday means "a good match" today. **Thresholds on similarity belong to a model.** Set them anew from the rehearsal, so that the same share is refused. Then compare. (*network* looked better with the old threshold only because it hardly refused anything.)
#
# **Predict.** `overlap@3` is the share of the old top 3 that is in the new one as well. *retrained* and *whitened* both keep about two thirds. Which of them is the better product?

# %%
points = pd.DataFrame({"overlap@3 with the old answers (%)": table["overlap@3"]})
change = table["success, own threshold"] - table.at["old", "success, own threshold"]
points["change of success (points)"] = change
corners = ["other answers, worse", "same answers, worse", "other answers, better", "same answers, better"]
ax = plots.canvas(width=8, height=4.2)[0, 0]
title = "Overlap says how different, not how good"
plots.quadrants(ax, points.drop("old"), limits=(80, 0), corners=corners, title=title)
ax.set(xlim=(48, 106), ylim=(-9, 4))
plots.show(ax)

# %% [markdown]
# *whitened* is the better product. Two candidates replace a third of the answers: *retrained* loses success, *whitened* gains. Overlap tells you how much to look at, and whom to warn. It is no verdict. For a verdict you need queries with known answers: probes.
#
# But which? Teams often collect them from the log: queries whose answer was *clicked*. They are free, and they look like users.
#
# **Predict.** The figure judged *whitened* on all queries, as an audited random sample would. Now judge it on clicked probes. What change of success do they report, in points, a loss with a minus?

# %% tags=["predict"]
guess = ...  # points of success

# %%
sources = {"all, audited": np.ones(len(shadow), bool), "clicked": rehearsal.outcomes["click"].to_numpy()}
verdict = pd.DataFrame(
    {
        source: {name: 100 * (ok[rows].mean() - success["old"][rows].mean()) for name, ok in success.items()}
        for source, rows in sources.items()
    }
)
print(verdict.drop("old").round(1).add(0.0).map("{:+.1f}".format).to_string())
reveal(guess, verdict.at["whitened", "clicked"], "points on clicked probes")
differ = (success["whitened"] != success["old"]).mean()
gain = verdict.at["whitened", "all, audited"] / 100
print(f"whitened: {differ:.1%} of the queries change sides")
print(f"standard error with 300 audited probes: {100 * np.sqrt(differ / 300):.1f} points")
needed = round(8 * differ / gain**2, -3)  # 8 = (1.96 + 0.84)^2
print(f"probes to see a gain of {100 * gain:.1f} points four times in five: about {needed:,.0f}")

# %% [markdown]
# On clicked probes the better embedder looks two points *worse*. They were chosen because somebody clicked on the old one's answer, so nearly all of them it had answered well, and on those it can only be equalled. A new embedder is punished for every answer it loses and gets nothing for those it finds. **Probes from the old system's successes always vote for the old system.** Draw them at random from the queries, failures included, and have people find the right document.
#
# And mind the number: 300 probes notice a broken index, of 14 points. They cannot decide an election that is won by one point. That takes thousands, or an A/B test on users.
#
# ## 6. What survives the switch?
#
# Say *whitened* is chosen. From day 0 on, all queries come from it. The old reference and baseline are now of another space. You can
#
# 1. **keep** them and look what happens,
# 2. **wait**: four weeks of new traffic make a reference, some weeks more a baseline,
# 3. **fill back**: embed the stored texts of the past sixteen weeks, before the switch, as in section 4.
#
# **Predict.** With 1, on how many of the 14 days does `query_drift` ring? With 2, how many false alarms do four monitors have a quarter, after a baseline of two weeks, and of twelve? (Each has a budget of one.)

# %%
limit = run_length_limit(ewma, 91)
z = z_scores(quiet, EMBEDDERS["whitened"](quiet.embeddings.astype(float)))["query_drift"]
print(f"keep: query_drift rings on {(ewma(z, limit=limit) > limit).sum()} of {len(z)} days")

counts = pd.DataFrame()
for seed in range(8):
    other = Product(seed)
    embed, log = whitened(other.index(0).embeddings), other.run(28 + 84 + 91)
    log = Log(embed(log.embeddings.astype(float)), log.outcomes)
    days = years.daily_scores(log.days(28, 202), log.days(0, 27))
    for weeks in [2, 4, 8, 12]:
        z = years.standardise(days.loc[112:], days.loc[28 : 27 + 7 * weeks])  # the same quarter for all
        fires = pd.DataFrame({monitor: ewma(z[monitor], limit=limit) > limit for monitor in z})
        counts.loc[seed, f"{weeks} weeks"] = fires.to_numpy().sum()

# %%
ax = plots.canvas(width=8, height=3.2)[0, 0]
title = "A short baseline is paid for in false alarms"
style = {"xlabel": "false alarms a quarter, four monitors together (8 products)", "budget": 4}
promise = 4 * false_alarm_interval(84).high
style |= {"span": (0, promise), "span_label": "what twelve weeks can promise (notebook 04)"}
plots.budget_strips(ax, counts, title=title, **style)
ax.set_ylabel("baseline after the switch")
plots.show(ax)
print("mean:", ", ".join(f"{name} {value:.1f}" for name, value in counts.mean().items()), "(budget: 4)")
print("days without a drift monitor:", ", ".join(f"{name} {28 + 7 * int(name[:2])}" for name in counts))

# %% [markdown]
# Keeping the old baseline rings on every one of the 14 days. Waiting has a price either way, far above the budget of four: after two weeks of baseline some nineteen false alarms a quarter, after twelve some nine or ten. That is six blind weeks and then a false alarm every few days, or sixteen blind weeks and half as many. (That is still more than twice the budget. Twelve weeks cannot promise the budget, only the grey span of notebook 04, which holds if days are independent; two of the eight products are beyond it.) Filling back costs one night of embedding and no blind day. It has its twelve weeks at once, with their false alarms. It needs the texts of past queries. If you may not keep them, let the rehearsal run longer: the shadow vectors are a reference as well.
#
# | | keep | make anew |
# |---|---|---|
# | **probes** | texts and right answers | their vectors, every time |
# | **outcomes** (success, clicks, tickets) | baselines and limits: users did not change | |
# | **no answer** | the share to refuse | the threshold on similarity |
# | **gap** | the idea | its usual level: another model has other cosines |
# | **reference** | the days, the texts | vectors, frozen PCA plane, clusters, limit of novelty, kernel bandwidth |
# | **baseline** | days, weekday matching | mean and standard deviation of every drift score |
# | **budget** | false alarms a quarter, limits in standard deviations | limits that came from the old history |
#
# **The cut-over, step by step**
#
# 1. Stamp every vector, of queries and documents, with the version of its embedder. Refuse to compare two versions.
# 2. Build the second index beside the first. Dual-write: each new or deleted document goes into both. Compare the counts.
# 3. Run the new embedder on live queries, in the shadow, for at least a week with its weekend.
# 4. Set the new "no answer" threshold from the shadow.
# 5. Rehearse: overlap@k to see how much changes, audited random probes to see whether it gets better. Read the answers that differ.
# 6. Fill back reference and baseline, compute the new scores in the shadow, and see them quiet.
# 7. Decide beforehand what makes you go back: probes, outcomes, and by how much.
# 8. Switch queries *and* index together, a share of the users first, each query to the index of its version.
# 9. Keep the old index, and writing to it, until the outcomes have been watched for as long as tickets take to arrive.
# 10. Write the day of the switch into the log of events. Nobody compares weeks across it.
#
# Step 5 as one table, plus or minus two standard errors of the paired difference, as if *all* queries of the rehearsal had been audited. With 300 probes the widths are six times as large, and only a loss like that of *network* would be seen:

# %%
change = verdict["all, audited"].drop("old")
differ = pd.Series({name: (success[name] != success["old"]).mean() for name in change.index})
error = 100 * np.sqrt(differ / len(shadow))
answer = np.select([change > 2 * error, change < -2 * error], ["go", "stay"], "no difference seen")
rehearsed = pd.DataFrame({"overlap@3": table["overlap@3"].drop("old").map("{:.0f}".format)})
rehearsed["success (points)"] = [f"{c:+.1f} ± {2 * e:.1f}" for c, e in zip(change + 0.0, error, strict=True)]
print(rehearsed.assign(answer=answer).to_string())

# %% [markdown]
# ## When this misleads you
#
# Section 2 praised the gap, for a good reason: the rotated embedder left all similarities as they were. Now the new embedder comes with *higher* cosines. Many real ones do: all of their texts share a large common part. The team rebuilds the index, the answers are the same, and nobody touches threshold or baseline. Two weeks later the new topic arrives, 8 % of the traffic, without documents.
#
# **Predict.** What do the gap and the no-answer rate say about the new topic?

# %%
centre = documents.mean(axis=0)


def narrow(old):
    """Embed texts with a large part that all of them share, so that all cosines are high."""
    return unit(old + 2 * centre)


log = product.run(28, [Event("new_topic", start=14, size=0.08)])
own = np.quantile((narrow(shadow) @ narrow(documents).T).max(axis=1), refused)
days, rows = log.outcomes["day"], {}
best = (narrow(log.embeddings.astype(float)) @ narrow(documents).T).max(axis=1)

# %%
cases = {"old embedder": (log.outcomes["best_similarity"], product.threshold)}
cases |= {"new, nothing reset": (best, product.threshold), "new, threshold reset": (best, own)}
for name, (similarity, threshold) in cases.items():
    refuses = similarity < threshold
    wrong = (log.outcomes["rank"] > 3) & ~refuses
    z = z_scores(Log(log.embeddings, log.outcomes.assign(best_similarity=similarity)))["index_gap"]
    before, after = days < 14, days >= 14
    gaps = z.loc[:13].mean(), z.loc[14:].mean()
    rows[name] = [*gaps, *(100 * x[w].mean() for x in (refuses, wrong) for w in (before, after))]
columns = ["gap before", "gap after", "refused before", "refused after", "wrong before", "wrong after"]
print(pd.DataFrame(rows, columns).T.map("{:.1f}".format).to_string())

# %% [markdown]
# (Gap in z, the others in % of the queries; "wrong" is a wrong answer shown.) With the old embedder the new topic is seen by the gap, and most of its queries are refused, as they should be. With the new one, the dashboard has never looked better: the gap is thirty standard deviations *below* its usual level, and the no-answer rate is zero. It stays zero when the topic arrives. One query in eleven is now shown a wrong answer, and neither score says a word: both compare cosines with numbers from another model. An alarm that rings makes people look. These two fell silent.
#
# With its own threshold the refusals work again. The gap still reads far below zero: it needs its own baseline, too.
#
# ## In production
#
# - Treat a new embedder like a new database schema: versions on every row, both written for a while, a way back.
# - Whatever has "similarity" in it, thresholds, gaps, caches, deduplication, rerankers fed with scores, is part of the model. List it before the switch, not after.
# - Store the texts of queries for sixteen weeks, if you are allowed to. If not, store shadow vectors.
# - Expect all drift alarms to ring at a switch, and silence them by a rule with an end date, not by hand. Leave probes and outcomes on.
# - An alarm that nobody planned, in several query scores from one day to the next: ask the probes, and ask your provider whether the embedding model has changed.
# - The embedders here are made-up functions, with 64 numbers and 720 documents. Count your own pairs, misfits and overlaps. What carries over is the order: version, shadow, threshold, probes, fill back, switch.

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell: it says correct, or what is not right yet. `hint("08-1")` helps in stages, and a solution is folded away below each exercise.
#
# ### Exercise 08-1: What do pairs of three shelves know?
#
# To save money, somebody embeds the documents of three shelves only: those of the 720 `documents` with `product.document_topic[:720] < 3`. That makes 180 pairs, nearly three times as many as there are dimensions. Take the *retrained* embedder, whose vectors of all documents are in `squashed`. Fit ridge (`linear_map`, as it comes) and the rotation (`procrustes`) on these pairs. What misfit has each on the documents of the *other* nine shelves? Scale mapped rows with `unit`, as section 3 does. Hand over (ridge, rotation), to three decimals.

# %% tags=["exercise"]
ridge, rotation = ..., ...
check("08-1", (ridge, rotation))

# %% tags=["solution"]
# Solution of 08-1
three = product.document_topic[:720] < 3
maps = [fitter(documents[three], squashed[three]) for fitter in (linear_map, procrustes)]
ridge, rotation = (misfit(documents[~three], unit(squashed[~three] @ each)) for each in maps)
check("08-1", (ridge, rotation), solution=True)

# %% [markdown]
# ### Exercise 08-2: A threshold, and how sure it is
#
# Section 5 had thousands of queries to set a threshold. Now there are 400. Write `own_threshold(old_best, threshold, new_best)`: two arrays hold the similarity of each query's best document under the old embedder and under the new one, query by query, and `threshold` is the old one, below which a query is refused. Return two numbers: the new threshold, which refuses the same share of the queries, as in section 5, and its standard error.
#
# For the error use the **bootstrap**: draw as many queries as there are, with replacement, and work out the new threshold from this draw alone. Do that 500 times. The standard deviation of the 500 thresholds is the error. The check brings its own rehearsals, and each refuses another share.


# %% tags=["exercise"]
def own_threshold(old_best, threshold, new_best):
    return ...  # new threshold, its standard error


check("08-2", own_threshold)


# %% tags=["solution"]
# Solution of 08-2
def own_threshold(old_best, threshold, new_best):
    def at(rows):
        return np.quantile(new_best[rows], np.mean(old_best[rows] < threshold))

    n, rng = len(old_best), np.random.default_rng(0)
    again = [at(rng.integers(0, n, n)) for _ in range(500)]
    return at(np.arange(n)), np.std(again)


check("08-2", own_threshold, solution=True)

# %% [markdown]
# ### Exercise 08-3: Build a candidate (open-ended)
#
# Memory costs money. Build an embedder that keeps at most 40 numbers a text and loses at most two points of success against the old one. Write `candidate(old)`: it takes n vectors of the old embedder, 64 numbers each, and returns n of at most 40 numbers. It must give a text the same vector whatever stands beside it. The check also tries five texts alone, so fit what you fit outside the function; you have `documents`, `shadow`, and all that the rehearsal knows. The check scales the vectors to length 1, builds the index, sets the threshold so that the same share is refused as before, and measures success on two other weeks. *shortened* has 40 numbers as well, and fails. There are many ways to pass.
#
# Before you run it, write down what would make you ship it. Which number decides in your own product, and who measures it?
#
# Further: in section 4 give the ridge `alpha=1e-2`. Look at novelty in both columns. A score can ring in quiet weeks, or stay silent when the topic comes. Towards which of these two errors does the ridge lean, and which is worse to have?


# %% tags=["exercise"]
def candidate(old):
    return ...  # at most 40 numbers a row


check("08-3", candidate)

# %% tags=["solution"]
# Solution of 08-3
leading = PCA(40).fit(documents)


def candidate(old):
    return unit(leading.transform(old) / leading.explained_variance_**0.25)


check("08-3", candidate, solution=True)

# %% [markdown]
# ## Recap
#
# - You saw two upgrades with bit-identical queries, one harmless and one at a cost of 14 points. Gap and probes told them apart, no score of the queries could; a half-upgraded fleet lost in between, and dual-write nothing.
# - You aligned two embedders by a rotation fitted on the documents. The upgrade left the score, and a new topic of the same night stayed in it.
# - You met changes that are no rotation. Ridge fitted documents nearly perfectly and still left the chart ringing, because queries are not documents; it also hid novelty. Re-baselining worked for all.
# - You rehearsed five candidates: the old threshold refused nearly every query of the best one, overlap did not say which was better, and probes taken from clicks voted for the old embedder.
# - You listed what survives: texts, answers, outcomes, budgets. Thresholds, references and baselines are made anew, best by filling back, since waiting costs blind weeks or false alarms.

# %% [markdown]
# Previous: [07 Diagnose the failure](07_diagnose_the_failure.ipynb) · [map of the series](../README.md) · Next: [09 Try real text](09_try_real_text.ipynb)
