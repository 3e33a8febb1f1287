"""A new embedder: what tells a harmless upgrade from a ruinous one, what a map back does and does not do."""

from functools import cache

import matplotlib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import ortho_group
from sklearn.decomposition import PCA

from helpers import plots, years
from helpers.alignment import align, linear_map, misfit, procrustes
from helpers.metrics import energy_distance
from helpers.synthetic import Event, Log, Product, unit

matplotlib.use("Agg")

PRODUCT = Product(seed=0)
DOCUMENTS = PRODUCT.index(0).embeddings
UPGRADE = Event("rotation", size=0.5, index_follows=True)
TOPIC = Event("new_topic", size=0.08)
RNG = np.random.default_rng(0)
TURN = ortho_group.rvs(64, random_state=0)
HIDDEN = RNG.normal(size=(64, 512)), RNG.normal(size=(512, 64))
EVENNESS = PCA().fit(DOCUMENTS)


def rotated(old):
    return old @ TURN


def warped(old):
    return unit(np.tanh(3 * old @ TURN))


def whitened(old):
    return unit(EVENNESS.transform(old) / EVENNESS.explained_variance_**0.25)


def network(old):
    return unit(np.maximum(old @ HIDDEN[0], 0) @ HIDDEN[1])


@cache
def past():
    return PRODUCT.run(112, start=-112)


@cache
def week(*events):
    return PRODUCT.run(7, events)


@cache
def baseline():
    return years.daily_scores(past().days(-84, -1), past().days(-112, -85))


def z_scores(log):
    return years.standardise(years.daily_scores(log, past().days(-112, -85)), baseline()).mean()


def queries(log):
    return log.embeddings.astype(float)


def with_ones(rows):
    return np.column_stack([rows, np.ones(len(rows))])


# Which upgrade hurts?


def test_only_the_gap_and_the_probes_tell_a_stale_index_from_a_rebuilt_one():
    stale_upgrade = Event("rotation", size=0.5)
    stale, rebuilt = z_scores(week(stale_upgrade)), z_scores(week(UPGRADE))
    of_queries = ["query_drift", "cluster_shift", "novelty"]
    assert stale[of_queries].equals(rebuilt[of_queries]) and stale["query_drift"] > 4
    assert stale["index_gap"] > 10 and abs(rebuilt["index_gap"]) < 1
    quiet = PRODUCT.probe_success(0)
    assert PRODUCT.probe_success(0, [UPGRADE]) == quiet
    assert PRODUCT.probe_success(0, [stale_upgrade]) < quiet - 0.1


def test_turning_the_queries_back_is_the_old_embedder_on_the_new_index():
    turned_back = PRODUCT.run(2, [Event("rotation", size=-0.5)]).outcomes
    old, new_index = queries(PRODUCT.run(2)), PRODUCT.index(0, [UPGRADE]).embeddings
    assert (old @ new_index.T).max(axis=1) == pytest.approx(turned_back["best_similarity"], abs=1e-6)


# A map back, and its limits.


def test_after_alignment_a_rotation_is_gone_and_a_new_topic_of_the_same_day_is_not():
    back = procrustes(DOCUMENTS, PRODUCT.index(0, [UPGRADE]).embeddings)
    for events in ((), (TOPIC,)):
        aligned = align(week(UPGRADE, *events), back, first_day=0)
        assert np.abs(aligned.embeddings - week(*events).embeddings).max() < 1e-5
        assert z_scores(aligned).to_numpy() == pytest.approx(z_scores(week(*events)).to_numpy(), abs=0.05)
    assert z_scores(week(TOPIC))["novelty"] > z_scores(week())["novelty"] + 5


def test_procrustes_undoes_a_rotation_nearly_a_warp_and_not_a_network():
    reference, now = queries(past())[:1500], queries(week())[:1500]
    quiet = energy_distance(reference, now)
    left = {}
    for embed in (rotated, warped, network):
        new, pairs = embed(now), embed(DOCUMENTS)
        maps = {
            "raw": np.eye(64),
            "rotation": procrustes(DOCUMENTS, pairs),
            "ridge": linear_map(DOCUMENTS, pairs),
        }
        left[embed] = {name: energy_distance(reference, unit(new @ m)) for name, m in maps.items()}
        assert left[embed]["raw"] > 30 * quiet
    assert left[rotated]["rotation"] == pytest.approx(quiet)
    assert left[warped]["rotation"] == pytest.approx(quiet, rel=0.2)
    assert left[network]["raw"] > left[network]["rotation"] > left[network]["ridge"] > 1.5 * quiet


def test_a_ridge_that_fits_unseen_documents_can_still_be_wrong_for_queries():
    known, unseen = np.split(np.random.default_rng(0).permutation(len(DOCUMENTS)), [480])
    shadow = queries(past().days(-28, -1))
    drift = {}
    for name, old in {"documents": DOCUMENTS[known], "queries": shadow}.items():
        fitted = linear_map(old, with_ones(whitened(old)), alpha=1e-4)
        back = unit(with_ones(whitened(queries(week()))) @ fitted)
        drift[name] = z_scores(Log(back.astype(np.float32), week().outcomes))["query_drift"]
        if name == "documents":
            there = unit(with_ones(whitened(DOCUMENTS[unseen])) @ fitted)
            assert misfit(DOCUMENTS[unseen], there) < 0.01
    assert drift["documents"] > 2 and abs(drift["queries"]) < 0.5


# Rehearsing the switch.


def rehearse(embed):
    """Return of each query of two weeks whether the embedder succeeds at the old share of refusals."""
    log = past().days(-14, -1)
    old = queries(log)
    order = np.argsort(-old @ DOCUMENTS.T, axis=1)
    wanted = order[np.arange(len(old)), log.outcomes["rank"] - 1]
    similarity = embed(old) @ embed(DOCUMENTS).T
    best, own = similarity.max(axis=1), similarity[np.arange(len(old)), wanted]
    refused = best < np.quantile(best, log.outcomes["no_answer"].mean())
    return ((similarity > own[:, None]).sum(axis=1) < 3) & ~refused, best


def test_a_threshold_on_similarity_belongs_to_its_model():
    success, best = rehearse(whitened)
    assert (best < PRODUCT.threshold).mean() > 0.9
    assert success.mean() > past().days(-14, -1).outcomes["success"].mean()


def test_probes_taken_from_clicks_vote_for_the_old_embedder():
    outcomes = past().days(-14, -1).outcomes
    old, new, clicked = outcomes["success"].to_numpy(), rehearse(whitened)[0], outcomes["click"].to_numpy()
    assert new.mean() > old.mean()
    assert new[clicked].mean() < old[clicked].mean() - 0.01


# The picture.


def table(columns=2):
    return pd.DataFrame(
        np.arange(2.0 * columns).reshape(2, columns) - 1, ["map", "none"], list("abcde"[:columns])
    )


def test_dots_hold_every_cell_and_say_so():
    ax = plots.dots(plots.canvas()[0, 0], table(), limit=0.66, title="Quiet", xlabel="z")
    drawn = [marks.get_offsets()[:, 0].tolist() for marks in ax.collections if len(marks.get_offsets()) == 2]
    assert drawn == [[-1.0, 1.0], [0.0, 2.0]]
    assert "map: a -1.0, b 0.0; none: a 1.0, b 2.0." in plots.alt_text(plots.figure_of(ax))


def test_more_columns_than_markers_are_refused():
    with pytest.raises(ValueError, match="table has 5 columns"):
        plots.dots(plots.canvas()[0, 0], table(5), limit=1, title="", xlabel="z")
