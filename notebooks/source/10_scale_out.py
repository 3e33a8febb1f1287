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
# # Scale out
#
# At the end you will have computed one drift score on one machine and on a cluster, lost a worker on the way, and know what became of the answer.
#
# **Launch:** run `python3 playbook.py open 10` in the project's folder. It opens this notebook in JupyterLab on your machine. Links to Binder and Colab appear here after `python3 playbook.py links OWNER/REPO`, with your copy's address on GitHub.
#
# | To read | To practise | To run | Memory |
# |---|---|---|---|
# | 25 minutes | 25 minutes | 30 seconds | 1000 MB |
#
# ## What you will be able to do
#
# - You can cut a drift job along its files, and say how many bytes a worker sends back.
# - You can run the job on worker processes of your machine, and on a cluster by changing one line.
# - You can say how exactly two runs agree, and on what that depends.
# - You can say what is lost when a worker dies, and what brings it back.
# - You can estimate cores and network for a billion vectors a day before you rent anything.
#
# ## What you need
#
# NumPy, and the idea of a **state** from notebook 05: it takes batches of rows, stays small, and merges with another state. You need not have run that notebook, nor know Dask. The data are synthetic; the cluster is real, if small: two worker processes on this machine.

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
import hashlib
import os
import tempfile
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from distributed import as_completed
from sklearn.cluster import KMeans

from helpers import metrics, plots, scaleout
from helpers.exercises import check, hint
from helpers.predictions import reveal
from helpers.scaleout import Summary
from helpers.streaming import ClusterCounts, HashSample, RandomFeatureMean, RunningMoments
from helpers.synthetic import Event, Product

# %% [markdown]
# ## 1. What must a worker send back?
#
# Three weeks of a search product. Each evening each of its three clients (web, mobile, partner) leaves one Parquet file of the day's query embeddings. Such a piece of the data is a **shard**. On day 18 the mobile app ships a new embedder, and nobody rebuilds the index.

# %%
CLIENTS, DAYS, LAUNCH = ["web", "mobile", "partner"], 21, 18
temporary = tempfile.TemporaryDirectory()
folder, written = Path(temporary.name), 0
product = Product(seed=1, queries_per_day=15_000)
events = [Event("rotation", start=LAUNCH, size=0.5, segment="mobile")]


def write(path, ids, day, vectors):
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    table = pa.table({"id": ids, "day": np.full(len(ids), day), "embedding": column})
    pq.write_table(table, path, row_group_size=10_000, use_dictionary=False)


for day in range(DAYS):
    log = product.run(days=1, start=day, events=events)
    ids, written = written + np.arange(len(log)), written + len(log)
    for sender in CLIENTS:
        rows = np.flatnonzero(log.outcomes["segment"] == sender)
        write(folder / f"day-{day:02}-{sender}.parquet", ids[rows], day, log.embeddings[rows])

# %%
shards = scaleout.find_shards(folder)
print(f"{written} rows in {len(shards)} shards")
print(pq.read_schema(shards[0]).remove_metadata().to_string())

# %% [markdown]
# The drift score is MMD², as in notebooks 02 and 05. Notebook 05 turns each row into 256 **random features** $\phi$: cosines and sines of the row along random directions, whose products stand for the similarity of two rows. All that the score needs of a day is their sum and the number of rows:
#
# $$MMD^2 \approx \Big| \frac{S_X}{n_X} - \frac{S_Y}{n_Y} \Big|^2, \qquad S_X = \sum_{x \in X} \phi(x)$$
#
# (The helper also takes out the bias of small windows.) Sums of parts add up to the sum of the whole, so a day may be cut anywhere. A `Summary` holds this sum and three more states of the same kind: the mean and covariance, the counts of a fixed set of clusters, and a sample of rows chosen by the hash of their ids.
#
# Everything that all workers must share is chosen *once*, here from the first shard: the bandwidth, the seed of the features, the clusters. An **empty summary** carries it to them, as bytes.

# %%
first = np.stack(pq.read_table(shards[0])["embedding"].to_numpy())
clusters = KMeans(12, n_init=1, random_state=0).fit(first)
limit = np.quantile(clusters.transform(first).min(axis=1), 0.99)  # a row further out is novel
empty = Summary(
    RandomFeatureMean(64, n_features=256, gamma=metrics.median_gamma(first), seed=0),
    RunningMoments(64),
    ClusterCounts(clusters.cluster_centers_, limit=float(limit)),
    HashSample(250),
).to_bytes()

# %% [markdown]
# A worker takes the empty summary and the name of a shard, reads a few thousand rows at a time, and sends its summary back. Here are the lines; the helper `shard_state` has them too, with checks.
#
# **Predict.** A shard of 3000 rows of 64 numbers is 0.8 MB. How much is its summary, in per cent of that? And in per cent of a shard of a million rows? Put your numbers in place of the dots before you go on. (Where there are no dots, write it on paper.)

# %% tags=["predict"]
guess_small, guess_large = ..., ...  # % of the shard


# %%
def by_hand(path):
    summary = Summary.from_bytes(empty)
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(4096):
            vectors = batch.column("embedding").flatten().to_numpy().reshape(len(batch), -1)
            summary.update(vectors, ids=batch.column("id").to_numpy())
    return summary.to_bytes()


print("by hand and helper agree:", by_hand(shards[0]) == scaleout.shard_state(shards[0], empty))
state = len(by_hand(shards[0]))
for rows in [3_000, 30_000, 1_000_000]:
    print(f"{rows:>9} rows: shard {rows * 64 * 4 / 1e6:6.1f} MB, summary {state / 1e6:.2f} MB")
reveal(guess_small, 100 * state / (3_000 * 64 * 4), "% of 3,000 rows")
reveal(guess_large, 100 * state / (1_000_000 * 64 * 4), "% of a million rows")

# %% [markdown]
# The summary has one size, however many rows it has seen, once there are a few hundred. (Section 2 prints it after all rows.) For a tiny shard that is no great saving; for a shard of a million rows it is a factor of over two thousand. The worker's memory is flat too, if the shard was written with care: Parquet is read one **row group** at a time, here of at most 10,000 rows. A file that is one huge group is held in memory whole.
#
# ## 2. What must every other way reproduce?
#
# Before you distribute anything, get the answer without: one process, one summary, one file after the other, no merge at all. The bytes in `single` are what every other way must give.

# %%
single = empty
for path in shards:
    single = scaleout.shard_state(path, single)  # goes on from where the last file ended
whole = Summary.from_bytes(single)
print(f"{whole.features.rows} rows; total variance {np.trace(whole.moments.covariance):.3f}")
print(f"novel rows {whole.clusters.shares[-1]:.4f}; rows in the sample {len(whole.sample.rows)}")
print(f"summary of all rows: {len(single) / 1e6:.2f} MB")

# %% [markdown]
# ## 3. Does a cluster give the same answer?
#
# **Dask** has a scheduler, which hands out tasks, and workers, which do them. Without an address, `connect` starts both on this machine: two worker *processes* that share no memory with this notebook. They listen on 127.0.0.1 alone: no other machine can reach them. With an address, the same code runs on your cluster. That is the one line to change, if its workers see the same files and have this package ("In production" says how).

# %%
SCHEDULER = None  # or the address of yours, such as "tcp://scheduler.example:8786"
client = scaleout.connect(SCHEDULER, workers=2, memory="500MB", scratch=temporary.name)
# client.dashboard_link  # take the first # away, run the cell, and open the address

# %% [markdown]
# The link leads to Dask's own dashboard: which worker does what, how long, with how much memory. Keep it open beside the notebook. (On a hosted machine such as Binder's you cannot reach it.) While the next cell runs you also see a progress bar, which goes away when the work is done.
#
# The job is a tree. Workers read the shards, and workers merge the summaries. `client.map` returns at once, with a **future** for each shard: a ticket for a result that stays on its worker. Only the days and the total come back to this notebook.
#
# ```
# day-00-mobile  -> summary \
# day-00-partner -> summary  > day 0 \
# day-00-web     -> summary /         \
#                                      > total
# day-01-mobile  -> summary \         /
# day-01-partner -> summary  > day 1 /
# day-01-web     -> summary /          ...
# ```
#
# **Predict.** Two workers finish their shards in an order that nobody planned. How much of the answer of section 2 will the answer have: "all bits", the first "ten digits", or the first "five digits"?

# %% tags=["predict"]
guess = ...  # "all bits", "ten digits" or "five digits"

# %%
states = client.map(scaleout.shard_state, shards, start=empty)
by_day = [scaleout.merge_tree(client, states[3 * day : 3 * day + 3]) for day in range(DAYS)]
total = scaleout.merge_tree(client, by_day)
scaleout.show_progress([*states, *by_day, total])
same = total.result() == single
print("same bits as the single pass:", same)
reveal(guess, "all bits" if same else "not all bits")
days = [Summary.from_bytes(state) for state in client.gather(by_day)]

# %% [markdown]
# Equal, to the last bit. Section 4 shows why that is not a matter of course.
#
# The days' summaries are worth keeping. They are small, and any window is a merge of them. So you can choose the reference *afterwards*, without another look at the vectors. Take the first week, weekdays and weekend apart, because weekends bring other topics.

# %%
week, table = pd.Series(days[:7]), pd.DataFrame(index=range(DAYS))
usual = {weekend: reduce(Summary.merge, week[(week.index >= 5) == weekend]) for weekend in (False, True)}
for day, summary in enumerate(days):
    reference = usual[day % 7 >= 5]
    shares, before = summary.clusters.shares, reference.clusters.shares
    table.loc[day, "MMD^2 x 1000"] = 1000 * summary.features.mmd2(reference.features)
    table.loc[day, "moved between clusters (%)"] = 50 * np.abs(shares - before).sum()
    table.loc[day, "novel (%)"] = 100 * shares[-1]
score = table["MMD^2 x 1000"]
print(table.loc[15:].map("{:.2f}".format).to_string())

# %% [markdown]
# MMD² doubles on day 18. The share that moved between clusters hardly notices: 9.9 on day 18 after 9.0 on the quiet day before, and less on days 19 and 20. Novel rows become a little more frequent. One summary holds several scores, and they do not see the same drift.

# %%
ax = plots.canvas(width=8, height=3)[0, 0]
later = score.loc[7:]
band, launch = (score.loc[7:17].min(), score.loc[7:17].max()), {"mobile app": (LAUNCH, DAYS - 1)}
axis = {"ylabel": "MMD^2 x 1000", "xlabel": "day", "band_label": "range of days 7 to 17"}
title = "MMD² jumps on the day of the launch, from summaries alone"
plots.timeline(ax, later, title=title, band=band, events=launch, label="each day", **axis)
plots.show(ax)

# %% [markdown]
# ## 4. Why are the bits the same?
#
# A computer's addition of ordinary (floating-point) numbers rounds each time. So $(a + b) + c$ and $a + (b + c)$ may differ in the last digit. On a cluster the order is chance. Notebook 05 tells how one state escapes this; here four must, together, however the rows are cut. The experiment runs in this process alone. Cut 2000 rows at random into 2 to 29 pieces; sum up each piece; merge the pieces two by two, in a random order. Do so 200 times, once with ordinary sums of cosines, once with the summary.
#
# **Predict.** How many different results do the ordinary sums give in 200 trials? Give a number.

# %% tags=["predict"]
guess = ...  # of 200


# %%
def merged_at_random(parts, merge, rng):
    parts = [parts[place] for place in rng.permutation(len(parts))]
    while len(parts) > 1:
        one, two = (parts.pop(rng.integers(len(parts))) for _ in range(2))
        parts.append(merge(one, two))
    return parts[0]


rng, rows, seen = np.random.default_rng(0), first[:2000], []
waves = rng.normal(size=(64, 128))
for _ in range(200):
    pieces, sums, summaries = np.array_split(rng.permutation(len(rows)), rng.integers(2, 30)), [], []
    for piece in pieces:
        sums.append(np.cos(rows[piece] @ waves).sum(axis=0))
        summaries.append(Summary.from_bytes(empty))
        summaries[-1].update(rows[piece], ids=piece)
    merges = (sums, np.add), (summaries, Summary.merge)
    seen.append([merged_at_random(parts, merge, rng) for parts, merge in merges])

# %%
sums, summaries = [one.tobytes() for one, _ in seen], [two.to_bytes() for _, two in seen]
trials = [1, 2, 5, 10, 20, 50, 100, 200]
different = pd.DataFrame(index=trials)
different["ordinary sums"] = [len(set(sums[:n])) for n in trials]
different["summaries"] = [len(set(summaries[:n])) for n in trials]
spread = np.ptp([one for one, _ in seen], axis=0).max() / len(rows)
print(different.T.to_string())
reveal(guess, different.loc[200, "ordinary sums"], "different results")
print("ordinary means differ by less than 1e-12:", spread < 1e-12)
ax = plots.canvas(height=3.2)[0, 0]
axis = {"xlabel": "random cuts and trees tried", "ylabel": "different results"}
title = "Every order gives another sum, and the same summary"
plots.curves(ax, different, title=title, colours=["alarm", "reference"], log_x=True, **axis)
ax.set_yscale("log")
ax.set_yticks([1, 10, 100], ["1", "10", "100"])
plots.show(ax)

# %% [markdown]
# Every trial gave another sum, all 200 of them, and the summaries are one. The summary rounds too, but before anything is added: each row is rounded to whole numbers, and so are the cosines that it gives, in the same way wherever the row is. From there on there are only sums of whole numbers, and those are exact. The sample is chosen by the hashes of ids, so order means nothing to it either.
#
# Be fair to the ordinary sums: they are not wrong. Their differences are far smaller than any drift. What exact sums buy is another kind of check. With ordinary sums you compare two runs within a tolerance, and argue about the tolerance. With exact ones you write `==`. A test, an audit, or a rerun after a crash then has a yes or a no.
#
# ## 5. What if a worker dies?
#
# Machines fail in the middle of jobs. Do it on purpose: start the job again, wait for the first shard to be done, and make the worker that holds the result kill itself, with signal 9, at once and without goodbye.
#
# **Predict.** Which is true afterwards? The job **fails**. Or it ends, and a shard is **missing**. Or it ends with the **same bits**. Commit to words in bold.

# %% tags=["predict"]
guess = ...  # "fails", "missing" or "same bits"


# %%
def die():
    os.kill(os.getpid(), 9)


client.get_task_stream()  # the scheduler notes down the tasks from here on
states = client.map(scaleout.shard_state, shards, start=empty, pure=False)  # else old results are reused
lost = next(as_completed(states))
owner = client.who_has([lost])[lost.key][0]
client.run(die, workers=[owner], on_error="ignore")
print("shards left to do when it died:", any(not state.done() for state in states))
total = scaleout.merge_tree(client, states).result()
print("same bits as the single pass:  ", total == single)
reveal(guess, "same bits" if total == single else "missing")

# %%
client.wait_for_workers(2, timeout=60)
history = [event["action"] for _, event in client.get_events("all")]
print("the scheduler's diary:", ", ".join(step for step in history if step.endswith("worker")))
runs = [task["key"] for task in client.get_task_stream()]
print("times that the lost shard was read:", runs.count(lost.key))

# %% [markdown]
# The job ended with the same bits. Here is what Dask did, and did not do:
#
# - Its half-done work on the shard that it was reading, and the *finished* results that lay in its memory, were gone. Nobody had saved them.
# - The scheduler still knew each task: a function, the name of a file, an empty summary. So it had the files read again, by whoever was there.
# - A worker has a **nanny**, a small guard that starts a new process in its place. That is the last entry of the diary.
#
# Two things make this safe, and both are yours to keep. A task must be repeatable: it reads a file that does not change, and writes nowhere. And its result must not depend on order. Otherwise a rerun gives an *almost* equal number, and you cannot tell it from a mistake.
#
# It does not protect from everything. If the *scheduler* dies, the job is lost; start it again, and the bits will be the same. And a shard at which the worker dies again and again, four times by default, ends the job with the error `KilledWorker`. That is sensible: it is probably the shard.
#
# ## 6. What does a billion vectors a day take?
#
# A page of arithmetic before you rent a cluster: a billion vectors a day, 384 numbers each, in shards of a million. The rates were measured on one core of an ordinary server, in batches of a few thousand rows, and rounded down. At the end of exercise 10-3 you can replace them by yours.
#
# **Predict.** How many cores must work all day: 1, 30 or 1000?

# %% tags=["predict"]
guess = ...  # cores

# %%
VECTORS, DIM, SHARD = 1_000_000_000, 384, 1_000_000
RATES = {"random features alone": 300_000, "all four states": 50_000}  # vectors a second and core
DISK, NETWORK = 500e6, 1e9 / 8  # bytes a second: one SSD, one gigabit

wide = np.random.default_rng(0).normal(size=(300, DIM)) / np.sqrt(DIM)
parts = RandomFeatureMean(DIM, gamma=1.0), RunningMoments(DIM), ClusterCounts(wide[:12], limit=1.0)
large = Summary(*parts, HashSample(250))
large.update(wide, ids=np.arange(300))
state, raw, n_shards = len(large.to_bytes()), VECTORS * DIM * 4, VECTORS // SHARD

# %%
for name, rate in RATES.items():
    hours = VECTORS / rate / 3600
    print(f"{name}: {hours:.2g} core-hours, or {hours / 24:.0%} of one core")
reveal(guess, np.ceil(VECTORS / min(RATES.values()) / 86_400), "working all day")
print(f"vectors {raw / 1e12:.2f} TB")
print(f"summaries {state / 1e6:.1f} MB each, {state * n_shards / 1e9:.1f} GB in all")
print(f"reading the vectors from one disk: {raw / DISK / 3600:.2g} hours")
print(f"moving the vectors over the network: {raw / NETWORK / 3600:.2g} hours")
print(f"moving the summaries instead: {state * n_shards / NETWORK:.2g} seconds")
print(f"rows that one summary may hold: {RunningMoments.MOST / 1e9:.1f} billion")

# %%
traffic = pd.DataFrame(index=[10.0**power for power in range(5, 10)])
traffic["the vectors"] = traffic.index * DIM * 4 / 1e9
traffic["summaries of all shards"] = np.ceil(traffic.index / SHARD) * state / 1e9
traffic["the day's summary"] = state / 1e9
ax = plots.canvas(height=3.4)[0, 0]
axis = {"xlabel": "vectors a day", "ylabel": "GB a day"}
title = "In large shards, summaries weigh a thousandth"
plots.curves(ax, traffic, title=title, colours=["alarm", "current", "reference"], log_x=True, **axis)
ax.set_yscale("log")
plots.show(ax)

# %% [markdown]
# **One core, and it is idle most of the day.** Most people guess a cluster. The score is a matrix product and a sum; that is what processors are best at. Look at the other lines: one disk takes about as long to *read* the vectors as one core to compute their random features, and a gigabit network several times as long. All four states are the longest line, and still less than a quarter of one core's day.
#
# So scaling out is not about arithmetic. It is about **sending the work to the data**: run the worker where the shard lies, and let summaries travel instead of vectors, about a thousandth of the bytes. And cores do matter where traffic comes in bursts, where a score must be ready in minutes, or where you score a year of history at once. Each of these is a factor on the page above.
#
# The last line is a limit: exact sums of whole numbers are exact only as long as they do not overflow. A summary refuses to grow beyond it, so keep one for each day or hour, not one for ever.

# %% [markdown]
# ## When this misleads you
#
# The same bits are the same bits. They are not the right ones. Cluster and laptop agree perfectly on whatever files they are given. And files get lost, or come twice: the upload times out, the job tries again, and both attempts have arrived. Most queues promise "at least once", not "once".
#
# Take day 18, the day of the mobile app's launch, and let its mobile shard come once, never, or three times. The repeated file is honest work: same rows, written in another order.
#
# **Predict.** What happens to the score when the mobile shard is missing? And when it comes three times?

# %%
today = [path for path in shards if f"day-{LAUNCH}" in path]
mobile = next(path for path in today if "mobile" in path)
again = pq.read_table(mobile)
again = again.take(np.random.default_rng(0).permutation(len(again)))
pq.write_table(again, folder / "again.parquet", compression="gzip")
states = {path: scaleout.shard_state(path, empty) for path in [*today, str(folder / "again.parquet")]}
others = [states[path] for path in today if path != mobile]
deliveries = {"once": [states[mobile]], "never": [], "three times": 3 * [states[mobile]]}
for name, delivered in deliveries.items():
    summary = Summary.from_bytes(scaleout.merge_states([*others, *delivered]))
    drift = 1000 * summary.features.mmd2(usual[False].features)
    print(f"mobile shard {name:11}  rows {summary.features.rows:6}   MMD^2 x 1000 {drift:.2f}")
print(f"highest of days 7 to 17: {band[1]:.2f}")

# %%
files = [Path(path).read_bytes() for path in (mobile, folder / "again.parquet")]
print("files equal:    ", len({hashlib.sha256(file).digest() for file in files}) == 1)
print("summaries equal:", states[mobile] == states[str(folder / "again.parquet")])
stranger = RandomFeatureMean(64, n_features=256, gamma=0.5, seed=0)
try:
    whole.features.merge(stranger)
except ValueError as error:
    print("another bandwidth:", error)

# %% [markdown]
# Without the mobile shard the day lies a little above the highest quiet one (1.29 against 1.07), although half of the launch's score is missing. With three of them the score is more than twice the truth. Nothing warned you, and every rerun would confirm it, bit by bit.
#
# What helps is a **register of shards**: which files must come, and what came. Exact sums give you something extra here. The repeated file has other bytes, because its rows stand in another order. Its *summary* has the same bytes. So the summary is a fingerprint of the rows, and a set of summaries finds whole duplicates. It does not find files that overlap in part; for those you need the ids. The sample by hash counts an id once, however often it comes: compare it with the number of rows (exercises 10-2 and 10-3).
#
# One mistake you cannot make: a worker with another bandwidth, seed or set of clusters. Its state is refused; the last line shows it for the bandwidth.

# %%
client.close()  # of a cluster of yours it closes the connection only
temporary.cleanup()

# %% [markdown]
# ## In production
#
# - The same job without a notebook: `python -m helpers.scaleout shards/ empty.state day.state --scheduler tcp://scheduler.example:8786`. The file `empty.state` holds the bytes of the empty summary. Leave `--scheduler` out to run it on this machine.
# - The workers need this package at the same version, and must see the shards under the same names: a shared or mounted disk. Anyone who reaches a Dask scheduler can run code on its workers. Keep it in a private network, or turn on its TLS.
# - Keep the empty summary with the reference, under one version. Keep the summaries of the days; throw the vectors away if your privacy rules say so. The sample holds vectors; leave it out if they say that too.
# - Write row groups of some ten thousand rows, and files of some hundred thousand or more. For smaller shards the scheduler has more work than the workers.
# - Plan for the busiest hour, not for the mean. Then double it, for the day on which you must do yesterday's work as well.

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell: it says correct, or what is not right yet. `hint("10-1")` helps in stages, and a solution is folded away below each exercise.
#
# ### Exercise 10-1: How large should a shard be?
#
# Section 6 reckons with vectors of 384 numbers. Yours have 1024, 4 bytes each. The summary holds the same four states as there, with the same settings. How many rows must a shard have, so that its summary weighs one hundredth of it? Five per cent are close enough. (Rows of the Parquet file count as their numbers: forget ids and headers.)

# %% tags=["exercise"]
rows_needed = ...  # rows in a shard
check("10-1", rows_needed)

# %% tags=["solution"]
# Solution of 10-1
rows = np.random.default_rng(0).normal(size=(300, 1024)) / 32  # what section 6 does with DIM = 1024
parts = RandomFeatureMean(1024, gamma=1.0), RunningMoments(1024), ClusterCounts(rows[:12], limit=1.0)
wider = Summary(*parts, HashSample(250))
wider.update(rows, ids=np.arange(300))
rows_needed = 100 * len(wider.to_bytes()) / (4 * 1024)
check("10-1", rows_needed, solution=True)

# %% [markdown]
# ### Exercise 10-2: How many different ids were there?
#
# A `HashSample` has `size` places. It gives each id a hash, a whole number that is as good as random between 0 and $2^{64}$, and keeps the rows with the smallest. The hashes that it keeps stand in `sample.hashes`, in rising order. They are numbers of NumPy's type `uint64`, which holds nothing from $2^{64}$ on: reckon with `int(...)` of one. The sample does not count what it sees.
#
# Write `n_ids(sample)`, which estimates how many *different* ids a sample has seen, within some per cent. The check gives it samples of several sizes, also one that is not full.


# %% tags=["exercise"]
def n_ids(sample):
    return ...  # one number


check("10-2", n_ids)


# %% tags=["solution"]
# Solution of 10-2
def n_ids(sample):
    k = len(sample.hashes)
    if k < sample.size:
        return k  # none was left out
    return (k - 1) * 2**64 / int(sample.hashes[-1])  # k - 1 lie below the largest


check("10-2", n_ids, solution=True)

# %% [markdown]
# ### Exercise 10-3: Keep a register of shards (open-ended)
#
# Write `day_total(delivered, expected)`, which adds up a day only if it can be trusted. `delivered` is a list of pairs in the order of arrival: the name of a file, and its summary in bytes, such as `("day-18-web", b"...")`. `expected` is a list of the names that must come. Return the merged summary in bytes, with each row counted once, or None.
#
# The check plays these days, with samples of 1000 rows. You return a total if
#
# - all expected shards came, in any order,
# - one of them came again: the same rows, in another order, under its own name or a new one.
#
# And you return None if
#
# - an expected name is missing, even if another one came twice,
# - a file holds rows of another one besides its own, or a file of a new name holds a part of another's rows again.
#
# Two things are not played: a new name with rows of its own, and an expected name that comes a second time with other rows.
#
# `scaleout.merge_states`, `Summary.from_bytes` and your `n_ids` help. There are several good registers. What would yours make of the two things that are not played? And in your own product: who knows which files must come, and who is told when the answer is None?
#
# Further: how small an overlap can you detect with 250 rows in the sample, and with 5000? Let both workers die in section 5 (`workers=None`): what does the diary say? And time `large.update` of section 6 on batches of 4096 rows, put your rate into `RATES`, and reckon with your own traffic.


# %% tags=["exercise"]
def day_total(delivered, expected):
    return ...  # bytes, or None


check("10-3", day_total)


# %% tags=["solution"]
# Solution of 10-3
def day_total(delivered, expected):
    if not set(expected) <= {name for name, _ in delivered}:
        return None
    merged = scaleout.merge_states(sorted({state for _, state in delivered}))  # same rows, same bytes
    summary = Summary.from_bytes(merged)
    return merged if summary.features.rows < 1.1 * n_ids(summary.sample) else None


check("10-3", day_total, solution=True)

# %% [markdown]
# ## Recap
#
# - You cut the job along its files. A worker sends back a summary of one size, here 0.1 MB, for a tiny shard and for a large one.
# - You ran it on two worker processes. `SCHEDULER` is the one line that sends the same job to a cluster.
# - You saw ordinary sums change with every order, and summaries keep their bits, because each value is rounded once, at the door, and whole numbers add up exactly.
# - You killed a worker. Its results were lost and computed again from the same files; the answer kept its bits. Files that are missing or come twice need a register.
# - You did the arithmetic: a billion vectors a day are a few hours of one core and a matter of where the bytes are. Send the work to the data.

# %% [markdown]
# Previous: [09 Try real text](09_try_real_text.ipynb) · [map of the series](../README.md) · Next: [11 Solve the 2 a.m. incident](11_solve_the_2_am_incident.ipynb)
