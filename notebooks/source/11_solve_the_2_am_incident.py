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
# # Solve the 2 a.m. incident
#
# At the end you will have taken an incident with several causes apart from logs alone, written its summary, and compared it with the truth.
#
# **Launch:** run `python3 playbook.py open 11` in the project's folder. It opens this notebook in JupyterLab on your machine. Links to Binder and Colab appear here after `python3 playbook.py links OWNER/REPO`, with your copy's address on GitHub.
#
# | To read | To practise | To run | Memory |
# |---|---|---|---|
# | 25 minutes | 40 minutes | 50 seconds | 650 MB |
#
# ## What you will be able to do
#
# - You can read a page and decide what to look at first, and what to leave for later.
# - You can acquit loud alarms, by evidence that only the accused could have left.
# - You can say what broke what, since when, and by how many points.
# - You can write an incident summary whose every number comes from a variable.
# - You can solve another incident on your own, with a check at every step.
#
# ## What you need
#
# The ideas of notebooks 03, 07 and 08: frozen probes, aligning an embedder, mix and rate. Each is repeated here in a line or two, and none of the notebooks needs to have run. The product is synthetic, so that the truth exists. What is on your table is only what a team would have.

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

from helpers import incidents, plots
from helpers.alignment import align, procrustes
from helpers.diagnosis import by_segment, diagnose
from helpers.exercises import check, hint
from helpers.exercises.incident import check_case
from helpers.log import Log
from helpers.outcomes import Buckets, by_window
from helpers.predictions import reveal
from helpers.synthetic import Event
from helpers.years import daily_scores

# %% [markdown]
# ## 1. What do you look at first?
#
# Your phone rings.

# %%
case = incidents.incident(11)
print(case.page)

# %% [markdown]
# On your table are:
#
# - `case.log`: 28 quiet days before day 0, and all days since. For each query its embedding, the client, the best similarity, the **shelf** of the first answer (`answer_topic`: the documents of one topic), click, and ticket if one has been booked by now. `success` comes from an audit.
# - `case.probes`: queries with known answers, asked anew every night. Their texts never change.
# - `case.documents`: how many documents the index held on each day.
#
# No diary: nobody wrote down what was done in these weeks. That happens, too.
#
# **Predict.** Click-through fell by nine points. What do you look at first: the drift scores, the click-through by client, or the other outcomes? Say why.

# %%
NAMES = {"success": "success", "click": "click-through", "no_answer": "no answer"}
NAMES |= {"escalation": "tickets booked"}
outcomes = 100 * by_window(case.log)[list(NAMES)].rename(columns=NAMES)
QUIET = slice(-14, -1)  # two weeks, weekends included, in which nothing is known to have happened
axes = plots.canvas(4, 1, width=9, height=7.2, sharex=True)
title = "Something broke the search around day 22, and clicks fell further than that"
style = {"events": {}, "outcomes": list(outcomes), "xlabel": "day"}
plots.joined_timelines(axes, outcomes.loc[-14:], bands=outcomes.loc[QUIET], title=title, **style)
plots.show(axes)

# %% [markdown]
# The outcomes come first. They tell you whether anybody is hurt, and *which step* failed. Drift scores tell you neither.
#
# Two things are in the picture already. From one day to the next, day 22, the search finds less and says "no answer" more often. Clicks are falling about then, and go on falling after it, while success stays where it is. One cause would be simpler. There are at least two.
#
# The last ten days, which the page is about, look alike. Nothing seems to begin within them. Compare *them* with the quiet days, and leave the days between aside until you ask when.
#
# ## 2. Which alarms ring?
#
# Four drift scores, each against the first two quiet weeks: `query_drift` (distance of the mean query), `cluster_shift` (who asks about what), `novelty` (share of queries unlike any of the reference), `index_gap` (how far queries have moved from their best document). Grey is the range of the last two quiet weeks.
#
# A score rings if it is above that range for three days in a row.
#
# **Predict.** Success fell on day 22. Which scores will have moved on that day, and which on another? For one of them commit yourself: since which day does `query_drift` ring? Put your number in place of the dots before you go on. Nobody keeps it.

# %% tags=["predict"]
guess = ...  # a day


# %%
def scores_of(log):
    """Return the four drift scores by day, against the first two weeks of the quiet days."""
    return daily_scores(log, log.days(-28, -15))


def rings(daily, days=3):
    """Name for each score the first day since when it has been above its quiet range `days` days in a row."""
    above = daily.loc[0:] > daily.loc[QUIET].max()
    return {name: int(day) for name, day in above.rolling(days).min().eq(1).idxmax().sub(days - 1).items()}


raw = scores_of(case.log)
ringing = {name: day for name, day in rings(raw).items() if day >= 0}
axes = plots.canvas(4, 1, width=9, height=7.2, sharex=True)
title = "The largest jump came two days before anything broke"
style = {"events": {}, "outcomes": [], "xlabel": "day"}
plots.joined_timelines(axes, raw.loc[-14:], bands=raw.loc[QUIET], title=title, **style)
plots.show(axes)
print("ringing since day:", ringing)
print("novelty (%), days 16 to 23:", (100 * raw["novelty"]).loc[16:23].round().astype(int).tolist())
reveal(guess, ringing.get("query_drift", "no day"), "day {}", close=0)

# %% [markdown]
# Novelty moves on day 18, and again on day 20, as the second line says. `query_drift` jumps on day 20, from one day to the next, far above anything it has ever shown, and stays. The gap moves on day 22, and wavers.
#
# By now the team's channel has a theory: the drift alarm of day 20 is huge, and two days later the search broke. "Roll back whatever it was." Do not, yet. An alarm that is loud and early is a suspect, not a culprit.
#
# ## 3. Has the embedder changed?
#
# A query score that jumps within a day and stays means a new client, or a new embedder. The probes know. Their texts are frozen, so their vectors can move only if the embedder does.

# %%
moved = np.abs(np.diff(case.probes.vectors, axis=0)).max(axis=(1, 2))
failing = (~case.probes.found).sum(axis=1)
for day in np.flatnonzero(moved > 1e-4) + 1:
    print(f"day {day}: the vectors of the probes' texts have changed")
print("probes that fail, days 17 to 24:", failing[17:25].tolist(), "of", len(case.probes.shelf))

# %% [markdown]
# **Predict.** Was the index rebuilt with the new embedder, or left behind? Which of the two lines says so?

# %%
embedder = 20  # None, if there was no new one
index = "rebuilt"  # or "left behind", or None without a new embedder
check_case(case, "embedder", embedder)
check_case(case, "index", index)

# %% [markdown]
# The second line says so: on day 20 not a single probe failed. If the index had been left behind, probes all over the shelves would have begun to fail on that very day. The new embedder is real, and the index came with it.
#
# Now take it out of the picture. You have the probes' texts in both spaces: pairs. Fit the rotation that carries the new vectors onto the old ones (Procrustes), and apply it to all queries from that day on.
#
# **Predict.** Three scores ring. How many of them will still ring after that, and which?

# %% tags=["predict"]
guess = ...  # of three scores

# %%
log = case.log
if embedder is not None:
    rotation = procrustes(case.probes.vectors[0], case.probes.vectors[embedder])
    log = align(case.log, rotation, embedder)
aligned = scores_of(log)
print("ringing since day, raw:    ", ringing)
still = {name: day for name, day in rings(aligned).items() if day >= 0}
print("ringing since day, aligned:", still)
reveal(guess, len(still), "of three scores")

# %%
ax = plots.canvas(width=9, height=3.2)[0, 0]
band = raw["query_drift"].loc[QUIET].min(), raw["query_drift"].loc[QUIET].max()
style = {"ylabel": "query_drift", "xlabel": "day", "band_label": "usual range"}
plots.timeline(ax, raw["query_drift"].loc[-14:], title="", label="raw", **style)
title = "The jump was the new embedder, and nothing else"
style |= {"label": "aligned", "colour": "reference", "dashed": True, "band": band}
plots.timeline(ax, aligned["query_drift"].loc[-14:], title=title, **style)
plots.show(ax)

# %% [markdown]
# The jump is gone, and with it novelty's second step. Two are left: novelty since day 18, and the gap since day 22.
#
# ## 4. What has the index lost?
#
# Probes fail from day 22 on. A failing probe names the shelf of its answer.

# %%
asked = {f"day {day}": ~case.probes.found[day] for day in [15, 17, 19, 21, 23, 34]}
failed = {day: pd.Series(fails).groupby(case.probes.shelf).mean() for day, fails in asked.items()}
ax = plots.canvas(width=8.5, height=2.8)[0, 0]
title = "One shelf lost most of its documents, and no other probe noticed"
axis = {"xlabel": "shelf of the known answer", "unit": "probes that fail (%)"}
plots.shelf_map(ax, 100 * pd.DataFrame(failed).T, title=title, **axis)
plots.show(ax)
change = case.documents.diff().dropna()
print("documents in the index:", case.documents.iloc[0], "on day 0; then", end=" ")
print("; ".join(f"{by:+.0f} on day {day}" for day, by in change[change != 0].items()))

# %%
shelf = 5  # None, if no shelf is broken
check_case(case, "shelf", shelf)

# %% [markdown]
# A count of documents is the cheapest monitor there is, and here it says more than all four drift scores: 60 came on day 18, 42 went on day 22. No query is different because of that: for every score of the queries alone it is a silent failure. Only the gap rang. (Shelf 12 is not on the map: it is new, and no probe asks about it.)
#
# ## 5. Who is new, and is any client worse off?
#
# Two things remain on the side of demand: the newcomers since day 18, and the clients.
#
# **Predict.** 60 documents arrived on the day when novelty rose. Are the newcomers served?

# %%
past, now = log.days(-28, -1), log.days(25, 34)
buckets = Buckets.fit(past.embeddings)
novel = buckets.names.index("novel")
for name, side in {"quiet days": past, "last ten days": now}.items():
    rows = side.outcomes[buckets.assign(side.embeddings) == novel]
    shelves = rows["answer_topic"].value_counts(normalize=True)
    top = rows.loc[rows["answer_topic"] == shelves.index[0], "success"].mean()
    print(
        f"{name:>13}: {len(rows) / len(side):.1%} are novel, success {rows['success'].mean():.2f};", end=" "
    )
    print(f"{shelves.iloc[0]:.0%} answered from shelf {shelves.index[0]}, success there {top:.2f}")

# %%
newcomers = "with documents"  # "without documents", or None
check_case(case, "newcomers", newcomers)
elsewhere = [side.where(side.outcomes["answer_topic"] != shelf) for side in (past, now)]
rates = by_segment(*elsewhere)
rates["fell by"] = rates["before"] - rates["after"]
print("\nsuccess by client (%), away from the broken shelf")
print((100 * rates[["before", "after", "fell by"]]).map("{:.1f}".format).to_string())

# %%
client = None  # or its name
check_case(case, "client", client)

# %% [markdown]
# Novel queries were always the odd ones, of which half fail. (That half of them used to be answered from shelf 5 is a matter of where oddities lie, not of what broke later.) Now there are three times as many. Most are answered from shelf 12, which is not among the shelves 0 to 11 of the probes, and those succeed as often as any other query. So they are served: somebody launched something, with its documents. And no client stands out: mobile is below the others, as it always was. (One client that falls by ten points while the others stand still would.)
#
# ## 6. What happened behind the search?
#
# A click comes last: somebody asks, the search finds or fails, *then* they click. Clicks fell further than success. So divide each day's clicks by the clicks that the same mix of answers (success, failure, no answer) got in the quiet days. The same for tickets. A ticket comes days after its query, so take those that came within three days, and leave out the last three days, whose tickets are not all in.
#
# **Predict.** One of the two ratios stays at 1. Which?

# %%
rows = case.log.outcomes
soon = rows["escalation"] & (rows["escalation_day"] - rows["day"] <= 3)
with_soon = Log(case.log.embeddings, rows.assign(ticket=soon))
quiet = with_soon.days(-28, -1)
clicks = incidents.at_equal_answers(with_soon, quiet, "click")
tickets = incidents.at_equal_answers(with_soon, quiet, "ticket").loc[:31]
for name, line in {"clicks": clicks, "tickets": tickets}.items():
    before, after = line.loc[0:15], line.loc[25:]
    error = line.loc[:15].std() * np.sqrt(1 / len(before) + 1 / len(after))
    print(f"{name:>7} at equal answers, days 25 on: {after.mean() / before.mean() - 1:+.0%}", end=" ")
    print(f"(plus or minus {2 * error:.0%})")

# %% [markdown]
# The ratio of the tickets stays at 1, within what chance does to so few. That of the clicks does not: people who are shown the same click less. That is not the search. It is the results page, the tracking or the season, and no drift score could know. Nothing says that the desk has changed, though a fifth more or less would not show: more tickets are booked because more queries fail.
#
# ## 7. Since when?
#
# For each thing that you found, take a series that, by now, only *it* can move: novelty after alignment, with no client ill. `onset` splits a series where the means before and after differ most.
#
# Each thing has a *place*, the row of section 8 in which it shows: `newcomers`; `everywhere` for an embedder; `shelf 5` or `client mobile`. Tickets that changed at equal answers have the place `desk`, clicks `behind the search`, a changed mix of topics `traffic`.

# %%
evidence = {
    "newcomers": (100 * aligned["novelty"], "% of queries"),
    "new vectors of the probes' texts": (pd.Series(moved, index=range(1, 35)), "largest step"),
    "probes that fail": (pd.Series(failing, index=range(35)), "probes of 300"),
    "clicks at equal answers": (clicks, "ratio to quiet days"),
}
axes = plots.canvas(4, 1, width=9, height=7.2, sharex=True)
for ax, (name, (line, unit)) in zip(axes.flat, evidence.items(), strict=True):
    day = embedder if "vectors" in name else incidents.onset(line.loc[0:])
    title = f"{name}: since day {day}"
    plots.timeline(ax, line.loc[-14:], title=title, ylabel=unit, xlabel="day")
    if day is not None:
        ax.axvline(day - 0.5, color=plots.COLOURS["alarm"], linestyle=":", linewidth=2)
    ax.label_outer()
plots.show(axes)

# %%
days = {"newcomers": 18, "everywhere": 20, "shelf 5": 22, "behind the search": 21}
check_case(case, "days", days)

# %% [markdown]
# Four things happened within a week (`everywhere` is here the embedder). Three of the days are facts: vectors and probes changed overnight, and 60 documents came on the newcomers' day. The fourth is an estimate: clicks are coin flips, and the best split of a noisy line can miss by a few days. Say "about day 21" in the summary, not "day 21".
#
# ## 8. What broke what, and by how much?
#
# `diagnose` sets the suspects aside one after another. The effect of a suspect is the change with its queries minus the change without them. What is left is shared between *everywhere* (embedder, noise) and *traffic* (who asks). Clicks that changed at equal answers are *behind the search*. The columns of outcomes sum to the whole change, up to rounding. Notebook 07 builds it step by step.
#
# **Predict.** Write down, for each of your four findings, how many points of success and of clicks it cost. Two of them should be easy: they are innocent. Commit yourself to the two others: how many points of success did the broken shelf cost, and how many points of clicks the thing behind the search?

# %% tags=["predict"]
guess_shelf, guess_behind = ..., ...  # points of success, points of clicks

# %%
result = diagnose(past, now)
print((100 * result.effects).round(1).add(0.0).map("{:.1f}".format).to_string())
clusters = result.effects.filter(like="cluster", axis=0)
reveal(guess_shelf, -100 * clusters["success"].sum(), "points of success")
reveal(guess_behind, -100 * result.effects.at["behind the search", "click"], "points of clicks")

# %% [markdown]
# It found a broken cluster by itself, without any probe. Is it the same thing as the broken shelf? Ask the log what its first answers are about, and give it that name.

# %%
effects = result.effects[["success", "click"]]
for name in effects.index[effects.index.str.startswith("cluster")]:
    topics = now.outcomes.loc[result.suspect == name, "answer_topic"].value_counts(normalize=True)
    print(f"{name}: {topics.iloc[0]:.0%} of its first answers are from shelf {topics.index[0]}")
broken = "everywhere" if shelf is None else f"shelf {shelf}"
place = np.where(effects.index.str.startswith("cluster"), broken, effects.index)
effects = effects.groupby(place, sort=False).sum()
check_case(case, "effects", effects)

# %%
# Your turn: which places of `days` cost less than a point of success, and of clicks? Tickets do not count.
innocent = ...  # a list of places
check_case(case, "innocent", innocent)

# %% [markdown]
# ## 9. What do you write?
#
# A summary that somebody can act on at nine in the morning: what is broken and since when, who is hurt and how much, what was suspected and cost no success and no clicks, and what you do not know. Every number comes from a variable above, an answer that a check has confirmed or a result. A number typed into a sentence is wrong by the next edit. (The page compared with 14 quiet days, the summary with 28, so the change differs a little.)

# %%
TO_DO = {"newcomers": "give them documents", "everywhere": "rebuild the index", "traffic": "nothing"}
TO_DO |= {"shelf": "restore its documents", "client": "call its team", "behind": "call the page's owners"}
points = (100 * effects).round(1) + 0.0
change = 100 * (now.outcomes[["success", "click"]].mean() - past.outcomes[["success", "click"]].mean())
print("INCIDENT SUMMARY, days 25 to 34 against 28 quiet days, in points")
print(f"Success {change['success']:+.1f}, click-through {change['click']:+.1f}. Of these:")
costly = points[points.min(axis=1) <= -1]
for place, row in costly.iterrows():
    print(f"- {place}, since about day {days.get(place, '?')}: success {row['success']:+.1f},", end=" ")
    print(f"click-through {row['click']:+.1f}. To do: {TO_DO[place.split()[0]]}.")

# %%
NAME = {"everywhere": "new embedder"}
cleared = [f"{NAME.get(place, place)} (day {days[place]})" for place in days if place not in costly.index]
print("No cost in success or clicks:", ", ".join(cleared) or "nothing that was found", end=".\n")
model = "the old one" if embedder is None else f"new since day {embedder}, index {index}"
print(f"Embedder: {model}. Newcomers: {newcomers or 'no more than ever'}.")
print("No client stands out." if client is None else f"Hurt most: client {client}.")
lost = f"{case.documents.diff().min():+.0f} documents"
print(
    "No shelf is broken" if shelf is None else f"Shelf {shelf}: {lost}", end=f"; {failing[-1]} probes fail.\n"
)
print(f"Tickets at equal answers: {tickets.loc[25:].mean() / tickets.loc[0:15].mean() - 1:+.0%}.")
print("Not known: who did it, and why.")

# %% [markdown]
# ## 10. Were you right?
#
# Now the one thing that no real incident has. The same days are run again without one of the causes, and the difference is what this cause did: the **leave-one-out counterfactual**. All random numbers are the same in both runs. `answer_key` computes it; until here nothing in this notebook but `check_case` has looked at it.

# %%
key = incidents.answer_key(case)
shown = key.assign(**{name: 100 * key[name] for name in incidents.EFFECTS})
print(shown.round(1).map(lambda x: f"{x + 0.0:+.1f}" if isinstance(x, float) else x).to_string())
found = effects.reindex(key["where"]).set_axis(key.index)
truth = key[["success", "click"]]
print(f"\nlargest error: {100 * (found - truth).abs().max(axis=None):.1f} points")

# %%
axes = plots.canvas(1, 2, width=9.5, height=3.8, sharey=True)
title = "Two culprits, two innocents, each to within a point"
found, truth = (100 * table.rename(columns=NAMES) for table in (found, truth))
plots.found_and_true(axes, found, truth, title=title, xlabel="effect (points)")
plots.show(axes)

# %% [markdown]
# The two things that changed the queries cost nothing. One culprit left no trace in any query, the other left no trace in the search at all. Its day was three days off, and so before the other culprit's: an estimate, as you wrote.
#
# Is it luck? `tests/test_incidents.py` lets the same procedure solve two dozen incidents that it has not seen, with causes of nine kinds, and fails if any effect is off by two points. It leaves out two pairs of causes: a noisy client under an index that was left behind, and traffic that moves away from a broken shelf. They meet in the same queries, and no log can share out what two causes did together.

# %% [markdown]
# ## 11. Can you solve your own?
#
# Take a number, such as your row in the class register. Neighbouring numbers have different kinds of causes, two to four of them. Set it below, replace each `...` when you have an answer, and run the cell as often as you like. `help(check_case)` says what each question wants. Reuse the cells of sections 1 to 9: `case = mine`, then from the top, with your own answers in place of those of this incident, and your own eyes instead of these sentences. Two hints: a noisy client makes novel queries as well, so look for newcomers away from it; and more of one topic shows in the shares of the first answers' shelves.

# %%
mine = incidents.incident(23)  # your number
print(mine.page, end="\n\n")
answers = {"embedder": ..., "index": ..., "shelf": ..., "client": ..., "newcomers": ...}
answers |= {"days": ..., "effects": ..., "innocent": ...}
for question, answer in answers.items():
    check_case(mine, question, answer)

# %% [markdown]
# ## When this misleads you
#
# Suppose you had a diary after all, with the four days in it, and one hour. You do what everybody does: for each entry, the mean of the ten days from it on, minus the mean of the ten days before it.
#
# **Predict.** By this rule, how many of the four will be guilty of losing more than a point of success?

# %% tags=["predict"]
guess = ...  # of four

# %%
jury = pd.DataFrame(index=key.index)
for day, cause in zip(key["day"], key.index, strict=True):
    for name in ["success", "click-through"]:
        change = outcomes[name].loc[day : day + 9].mean() - outcomes[name].loc[day - 10 : day - 1].mean()
        jury.loc[cause, f"{name}, before and after"] = change
        jury.loc[cause, f"{name}, truth"] = truth.loc[cause, name]
jury = jury[sorted(jury.columns, reverse=True)]
print((jury.round(1) + 0.0).map("{:+.1f}".format).to_string())
reveal(guess, int((jury["success, before and after"] < -1).sum()), "of four")

# %% [markdown]
# All four, three of them wrongly. The new page is the most absurd: it "lost" points of success, which it cannot even touch. Before-and-after gives each release whatever happened *near* it. With releases two days apart, each is charged with half of the same loss or more. The diary tells you what to suspect. It takes evidence that only the suspect could have left to convict.
#
# The other limit is the amount of traffic. The incident above had 1,200 queries a day. The same kind of incident in a smaller product, six seeds each:

# %%
errors = pd.DataFrame(index=range(21, 27))
for traffic in [100, 300, 1200]:
    for seed in errors.index:
        small = incidents.incident(seed, queries_per_day=traffic)
        key_of = incidents.answer_key(small).set_index("where")[["success", "click"]]
        off = incidents.investigate(small).sub(key_of, fill_value=0.0).abs()
        errors.loc[seed, f"{traffic} a day"] = 100 * off.max(axis=None)
print("largest error of any effect, in points: median and worst of six incidents")
print(errors.agg(["median", "max"]).map("{:.1f}".format).to_string())

# %% [markdown]
# With few queries the same procedure gives the same kind of table, with the same number of decimals. Nothing in it warns you. Put an error beside each number, or say that the week was too short.
#
# ## In production
#
# - Keep the evidence before you need it: probes' vectors and answers each night, the number of documents, the first answer's shelf, the client. It is little data.
# - Look at outcomes first, then at which step failed, then at who. Drift scores help to find *who*.
# - Acquit before you accuse. To roll back an innocent release costs a night and leaves the fault in place.
# - Write the summary as a template with variables now. At 2 a.m. nobody computes percentages well.
# - The audit's labels arrive late in most products. Without them do the same with "no answer" and the similarity, and say that you did.

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell: it says correct, or what is not right yet. `hint("11-1")` helps in stages, and a solution is folded away below each exercise.
#
# ### Exercise 11-1: Is it the same story again?
#
# Another night, another product: `other = incidents.incident(64)`. Novelty rises, the embedder is new, and the team says "as last time, both innocent". Look for yourself. Hand over a dict with three names: `"embedder"`, the first day of the new one; `"index"`, `"rebuilt"` or `"left behind"`; `"newcomers"`, `"with documents"` or `"without documents"`. Sections 3 and 5 have the cells.

# %% tags=["exercise"]
facts = {"embedder": ..., "index": ..., "newcomers": ...}
check("11-1", facts)

# %% tags=["solution"]
# Solution of 11-1
other = incidents.incident(64)
texts, fails = other.probes.vectors, ~other.probes.found
day = int(np.abs(np.diff(texts, axis=0)).max(axis=(1, 2)).argmax()) + 1
shelves = np.unique(other.probes.shelf[fails[day] & ~fails[day - 1]])
late = align(other.log, procrustes(texts[0], texts[day]), day).days(25, 34)
unlike = Buckets.fit(other.past.embeddings)
rows = late.outcomes[unlike.assign(late.embeddings) == unlike.names.index("novel")]
served = rows["success"].mean()
facts = {"embedder": day, "index": "left behind" if len(shelves) > 1 else "rebuilt"}
facts["newcomers"] = "with documents" if served > 0.5 else "without documents"
check("11-1", facts, solution=True)

# %% [markdown]
# ### Exercise 11-2: Put an error beside the number
#
# Write `change_of(past, now, outcome)` for two logs and the name of a column, such as `"success"`. It returns two numbers in points: the change of the mean over all queries, after minus before, and its standard error (one, not two).
#
# Queries of one session depend on each other: somebody who asks about a broken shelf asks about it again. So add up within each session first. With $x_i$ a query's outcome and $m$ the mean of its window of $n$ queries, the variance of $m$ is
#
# $$\frac{1}{n^2} \sum_{\text{sessions}} \Big( \sum_{i \text{ in session}} (x_i - m) \Big)^2 ,$$
#
# and the variance of the change is the sum over both windows. `outcomes["session"]` names each query's session. Then ask it about the log of `incidents.incident(11, queries_per_day=40)`: of days 25 to 34 against days -28 to -1, which of success, click, no answer and escalation would you still sign?


# %% tags=["exercise"]
def change_of(past, now, outcome):
    return ...  # change, error


check("11-2", change_of)


# %% tags=["solution"]
# Solution of 11-2
def change_of(past, now, outcome):
    means, variance = [], 0.0
    for rows in (past.outcomes, now.outcomes):
        means.append(rows[outcome].mean())
        sums = (rows[outcome] - means[-1]).groupby(rows["session"]).sum()
        variance += (sums**2).sum() / len(rows) ** 2
    return 100 * (means[1] - means[0]), 100 * np.sqrt(variance)


check("11-2", change_of, solution=True)

# %% [markdown]
# ### Exercise 11-3: Frame an innocent (open-ended)
#
# Write a list of two to four events, in which an innocent one looks guiltiest. Each starts from day 10 to 25 and does not end before day 35. They happen to `Product(11, queries_per_day=1200)` on days 0 to 34 (`from helpers.synthetic import Product`, to try it yourself). Before-and-after is the one of "When this misleads you": mean success of the ten days from an event's start, minus that of the ten days before. It should charge your innocent with a loss of two points or more, *more than it charges any other event of the list*. And the innocent's true effect on success, the leave-one-out counterfactual of days 25 to 34, should be less than half a point either way. There are several ways. `helpers.events.KINDS` lists what can happen, `help(Event)` how it can grow.
#
# Which release of your own product stood beside something that had been getting worse for weeks?
#
# Further: give your summary of section 9 to a neighbour who has not seen the incident. Which question does she ask first? Add a line for it.

# %% tags=["exercise"]
story = ...  # such as [Event(...), Event(...)]
check("11-3", story)

# %% tags=["solution"]
# Solution of 11-3
decay = Event("spread", start=10, size=0.3, shape="ramp")  # the queries get noisier, day by day
upgrade = Event("rotation", start=20, size=0.5, index_follows=True)
story = [decay, upgrade]
check("11-3", story, solution=True)

# %% [markdown]
# ## Recap
#
# - You read the page, looked at outcomes first, and saw two steps fail before you had opened a drift score.
# - You acquitted the largest jump with the probes' vectors, and the launch with the success of its newcomers.
# - You named a broken shelf and something behind the search, each with its points and, within three, its day, and before-and-after would have convicted all four.
# - You wrote a summary whose numbers are checked answers and results, and said what you do not know.
# - You met the key, which is a counterfactual, and have an incident of your own with a check for each answer.

# %% [markdown]
# Previous: [10 Scale out](10_scale_out.ipynb) · [map of the series](../README.md) · Next: [12 Monitor your own embeddings](12_monitor_your_own_embeddings.ipynb)
