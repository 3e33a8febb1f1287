import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.alignment import align, procrustes
from helpers.diagnosis import by_segment, diagnose, logistic, probes, who_drifted
from helpers.events import SEGMENTS
from helpers.metrics import classifier_auc, nearest_distance
from helpers.outcomes import Buckets
from helpers.synthetic import Event, Log, Product

BOTH = ["success", "click"]


@pytest.fixture(scope="module")
def product():
    return Product(0)


@pytest.fixture(scope="module")
def reference(product):
    return product.run(28, start=-28)


def change(before, after, outcomes=BOTH):
    return after.outcomes[outcomes].mean() - before.outcomes[outcomes].mean()


# Probes.


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_probes_find_what_a_search_one_by_one_finds(seed):
    rng = np.random.default_rng(seed)
    queries, index = rng.normal(size=(8, 3)), rng.normal(size=(6, 3))
    documents, top_k, threshold = rng.permutation(20)[:6], int(rng.integers(1, 8)), rng.uniform(-0.5, 0.9)
    wanted = rng.choice(documents, 8)
    found = probes(queries, wanted, index, documents, top_k=top_k, threshold=threshold)
    for query, answer, one in zip(queries, wanted, found, strict=True):
        cosine = index @ query / np.linalg.norm(index, axis=1) / np.linalg.norm(query)
        shown = documents[np.argsort(-cosine)][:top_k]
        assert one == (answer in shown and cosine.max() >= threshold)


def test_probes_have_no_noise_and_name_the_shelf_that_lost_documents(product):
    week = product.run(7, start=-7)
    sure = np.flatnonzero(week.outcomes["success"] & (week.outcomes["rank"] == 1))[:300]
    asked, first = week.embeddings[sure], product.index(-1)
    wanted = first.documents[(asked @ first.embeddings.T).argmax(axis=1)]

    def found(day, events=()):
        now = product.index(day, events)
        return probes(asked, wanted, now.embeddings, now.documents, threshold=product.threshold)

    assert found(-1).all()
    np.testing.assert_array_equal(found(-60), found(30))
    lost = ~found(1, [Event("remove_docs", size=0.4, topic=3)])
    assert lost.sum() >= 3
    assert set(product.document_topic[wanted[lost]]) == {3}


def test_probes_refuse_a_query_without_a_direction_and_lists_that_do_not_match():
    queries, index = np.eye(2), np.eye(2)
    for arguments, message in [
        ((np.zeros((2, 2)), [0, 1], index, [0, 1]), "queries has a row of zeros"),
        ((queries, [0, 1], [[1, 0], [0, 0]], [0, 1]), "index has a row of zeros"),
        ((queries, [0], index, [0, 1]), "wanted has shape (1,): give one document number a row, 2 of them"),
        ((queries, [0, 1], index, [0]), "documents has shape (1,)"),
        ((queries, [0, 1], np.eye(3), [0, 1, 2]), "queries has 2 columns and index 3"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            probes(*arguments)
    with pytest.raises(ValueError, match="top_k=0 must be a whole number, at least 1"):
        probes(queries, [0, 1], index, [0, 1], top_k=0)


# Segments.


def test_a_noisy_client_carries_the_loss_and_the_parts_are_the_whole(product, reference):
    noisy = product.run(14, [Event("spread", size=0.15, segment="mobile")])
    table = by_segment(reference, noisy)
    assert list(table.index) == sorted(SEGMENTS)
    assert table[["mix", "rate"]].sum().sum() == pytest.approx(change(reference, noisy)["success"], abs=1e-12)
    own = noisy.outcomes.loc[noisy.outcomes["segment"] == "mobile", "success"].mean()
    assert table.at["mobile", "after"] == own
    moved = table["after"] - table["before"]
    assert moved["mobile"] < -0.15 < -0.02 < moved[["web", "partner"]].min()


def test_a_segment_that_is_new_has_no_rate_of_its_own_before(product):
    log = product.run(2)
    web = log.where(log.outcomes["segment"] == "web")
    table = by_segment(web, log, "click")
    assert table["before"].isna().to_dict() == {"mobile": True, "partner": True, "web": False}
    assert table["rate"].loc[["mobile", "partner"]].tolist() == [0, 0]


def test_a_column_that_a_log_lacks_is_named(product):
    log = product.run(1)
    with pytest.raises(ValueError, match="reference has no column 'country': it has day, session"):
        by_segment(log, log, column="country")
    with pytest.raises(ValueError, match="current has no column 'stars'"):
        by_segment(Log(log.embeddings, log.outcomes.assign(stars=1)), log, "stars")


# Who drifted.


def test_the_newcomers_lead_every_ranking_although_the_auc_sees_nothing(product, reference):
    log = product.run(14, [Event("new_topic", size=0.02)])
    new = (log.outcomes["topic"] >= 12).to_numpy()
    assert classifier_auc(reference.embeddings, log.embeddings) < 0.55
    ranking = who_drifted(reference.embeddings, log.embeddings)
    assert len(ranking) == len(log)
    for name, scores in ranking.items():
        first = np.argsort(-scores.to_numpy())[:100]
        assert new[first].mean() > 0.8, name


def test_novelty_and_residual_are_distances_of_each_row():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)), rng.normal(size=(20, 3))
    ranking = who_drifted(x, y)
    frozen = Buckets.fit(x)
    np.testing.assert_allclose(ranking["novelty"], nearest_distance(y, frozen.known))
    np.testing.assert_allclose(ranking["residual"], nearest_distance(y, frozen.clusters.cluster_centers_))


def test_copies_of_a_query_do_not_leak_across_folds():
    rng = np.random.default_rng(0)
    kinds = rng.normal(size=(2, 40, 32))
    x, y = (side[rng.integers(0, 40, 400)] for side in kinds)
    alone = (np.arange(400), np.arange(400, 800))
    leaking = who_drifted(x, y, groups=alone)["classifier"]
    grouped = who_drifted(x, y)["classifier"]
    assert (leaking > 0).mean() > 0.7 > 0.6 > (grouped > 0).mean()
    labels = np.unique(np.concatenate([x, y]), axis=0, return_inverse=True)[1].ravel()
    named = who_drifted(x, y, groups=(labels[:400], labels[400:]))["classifier"]
    np.testing.assert_allclose(named, grouped)


def test_rankings_refuse_folds_that_cannot_be_made():
    x, y = np.arange(20.0).reshape(10, 2) ** 2, np.arange(20.0).reshape(10, 2) ** 2 + 1
    with pytest.raises(ValueError, match="n_folds=21 must be from 2 to the number of groups, 20"):
        who_drifted(x, y, n_folds=21)
    with pytest.raises(ValueError, match="groups leaves a fold that trains on one window only"):
        who_drifted(x, y, groups=([0] * 10, [1] * 10), n_folds=2)


# Regression.


def test_one_yes_or_no_column_gives_the_log_odds_ratio_and_its_textbook_error():
    column = pd.DataFrame({"after": [0.0] * 50 + [1.0] * 40})
    outcome = [True] * 40 + [False] * 10 + [True] * 20 + [False] * 20
    fit = logistic(outcome, column, np.arange(90))
    assert list(fit.index) == ["constant", "after"]
    assert fit.at["constant", "coefficient"] == pytest.approx(np.log(4), abs=1e-8)
    assert fit.at["after", "coefficient"] == pytest.approx(-np.log(4), abs=1e-8)
    assert fit.at["after", "error"] == pytest.approx(np.sqrt(1 / 40 + 1 / 10 + 1 / 20 + 1 / 20), abs=1e-8)
    np.testing.assert_allclose(fit["z"], fit["coefficient"] / fit["error"])


def test_to_write_each_query_twice_into_its_session_makes_nothing_surer():
    rng = np.random.default_rng(1)
    columns = pd.DataFrame(rng.normal(size=(200, 2)), columns=["a", "b"])
    outcome, session = rng.random(200) < 0.7, np.arange(200) // 3
    once = logistic(outcome, columns, session)
    twice = logistic(np.repeat(outcome, 2), columns.loc[np.repeat(np.arange(200), 2)], np.repeat(session, 2))
    np.testing.assert_allclose(twice, once, rtol=1e-6)


def test_a_control_whose_meaning_changed_makes_a_harmless_upgrade_look_helpful(product, reference):
    known = Buckets.fit(reference.embeddings).known
    distance = nearest_distance(reference.embeddings, known)
    unseen = distance > 1e-6
    upgraded = product.run(28, [Event("rotation", size=0.5, index_follows=True)])
    novelty = np.r_[distance[unseen], nearest_distance(upgraded.embeddings, known)]
    rows = pd.concat([reference.where(unseen).outcomes.assign(after=0), upgraded.outcomes.assign(after=1)])
    columns = pd.get_dummies(rows["segment"], drop_first=True).assign(after=rows["after"])
    fits = [
        logistic(rows["success"], x, rows["session"]).loc["after"]
        for x in (columns, columns.assign(novelty=novelty))
    ]
    assert abs(fits[0]["z"]) < 2
    assert fits[1]["coefficient"] > 0.5
    assert fits[1]["z"] > 6


@pytest.mark.parametrize("outcome", [[1, 1, 1], [0, 1], [0, 2, 1]])
def test_a_regression_without_both_outcomes_of_each_row_is_refused(outcome):
    with pytest.raises(ValueError, match="outcome and sessions must have one entry for each of the 3 rows"):
        logistic(outcome, pd.DataFrame({"a": [1.0, 2.0, 3.0]}), [0, 1, 2])


# An alarm taken apart.


@pytest.fixture(scope="module")
def busy(product):
    """A log with a broken topic, a broken client, newcomers and a new page."""
    return product.run(
        14,
        [
            Event("remove_docs", size=0.7, topic=5),
            Event("spread", size=0.15, segment="web"),
            Event("new_topic", size=0.05),
            Event("ui", size=0.1),
        ],
    )


@pytest.fixture(scope="module")
def diagnosed(reference, busy):
    return diagnose(reference, busy)


def test_the_suspects_are_the_right_ones(diagnosed):
    names = list(diagnosed.effects.index)
    assert names[0] == "client web"
    assert names[1].startswith("cluster")
    assert names[2:] == ["newcomers", "everywhere", "traffic", "behind the search"]


def test_the_effects_sum_to_the_change_exactly(reference, busy, diagnosed):
    total = diagnosed.effects[BOTH].sum() - change(reference, busy)
    assert np.abs(total).max() < 1e-12


def test_each_suspect_owns_the_share_of_the_queries_that_fall_to_it(busy, diagnosed):
    shares = pd.Series(diagnosed.suspect).value_counts(normalize=True)
    for name in diagnosed.effects.index[:3]:
        assert diagnosed.effects.at[name, "share"] == shares[name]
    assert (diagnosed.effects["share"].iloc[3:] == 0).all()
    web = (busy.outcomes["segment"] == "web").to_numpy()
    assert ((diagnosed.suspect == "client web") == web).all()


def test_the_broken_cluster_holds_the_topic_whose_documents_are_gone(busy, diagnosed):
    cluster = diagnosed.effects.index[1]
    assert busy.outcomes.loc[diagnosed.suspect == cluster, "topic"].mode()[0] == 5


def test_the_effect_of_a_suspect_is_the_change_with_its_queries_minus_the_change_without(
    reference, busy, diagnosed
):
    rest = [log.where(log.outcomes["segment"] != "web") for log in (reference, busy)]
    by_hand = change(reference, busy)["success"] - change(*rest)["success"]
    assert diagnosed.effects.at["client web", "success"] == pytest.approx(by_hand, abs=1e-12)


def test_nothing_hidden_is_read_and_the_order_of_the_queries_does_not_matter(reference, busy, diagnosed):
    seen = ["success", "no_answer", "click", "segment"]
    order = np.random.default_rng(0).permutation(len(busy))
    shuffled = Log(busy.embeddings[order], busy.outcomes[seen].iloc[order])
    again = diagnose(Log(reference.embeddings, reference.outcomes[seen]), shuffled)
    pd.testing.assert_frame_equal(again.effects, diagnosed.effects, atol=1e-12)
    np.testing.assert_array_equal(again.suspect, diagnosed.suspect[order])


def test_a_quiet_month_has_no_suspects_but_the_newcomers_who_cost_nothing(product, reference):
    quiet = diagnose(reference, product.run(28)).effects
    assert list(quiet.index) == ["newcomers", "everywhere", "traffic", "behind the search"]
    assert np.abs(quiet[BOTH]).to_numpy().max() < 0.015


def test_a_noisy_client_does_not_drag_a_cluster_along():
    product = Product(214)
    noisy = product.run(28, [Event("spread", size=0.13, segment="mobile")], start=7)
    effects = diagnose(product.run(28, start=-28), noisy).effects
    assert list(effects.index[:2]) == ["client mobile", "newcomers"]


def test_a_stale_upgrade_is_everywhere(product, reference):
    log = product.run(14, [Event("rotation", size=0.3)])
    rebuilt = product.index(0, [Event("rotation", size=0.3, index_follows=True)])
    aligned = align(log, procrustes(product.index(-1).embeddings, rebuilt.embeddings), first_day=0)
    effects = diagnose(reference, aligned).effects["success"]
    assert effects["everywhere"] < -0.02
    assert effects["everywhere"] == pytest.approx(change(reference, log)["success"], abs=0.005)


def test_clicks_that_no_answer_could_earn_are_not_lost_behind_the_search():
    rng = np.random.default_rng(2)
    rows, half = rng.normal(size=(400, 4)).astype(np.float32), np.arange(400) % 2 == 0
    before = pd.DataFrame({"success": half, "no_answer": False, "click": True, "segment": "web"})
    after = before.assign(
        no_answer=~half, click=half
    )  # who failed clicked on a wrong answer, and has none now
    effects = diagnose(Log(rows, before), Log(rows, after)).effects["click"]
    assert effects["behind the search"] == pytest.approx(0, abs=1e-12)
    assert effects.sum() == pytest.approx(-0.5)


def test_a_page_touches_clicks_only_and_a_desk_escalations_only(product, reference):
    log = product.run(14, [Event("ui", size=0.2), Event("staffing", size=0.8)])
    effects = diagnose(reference, log, downstream=["click", "escalation"]).effects
    last = effects.loc["behind the search"]
    assert last["success"] == 0
    assert last["click"] == pytest.approx(-0.2 * reference.outcomes["click"].mean(), abs=0.02)
    assert last["escalation"] == pytest.approx(0.8 * reference.outcomes["escalation"].mean(), abs=0.01)
    others = effects.drop("behind the search")[["success", "click", "escalation"]]
    assert np.abs(others).to_numpy().max() < 0.01


def test_logs_that_cannot_be_diagnosed_are_refused(reference):
    lacking = Log(reference.embeddings, reference.outcomes.drop(columns=["success", "click"]))
    with pytest.raises(ValueError, match="reference lacks success, click: diagnose needs success, no_answer"):
        diagnose(lacking, reference)
    with pytest.raises(ValueError, match="current lacks success, click"):
        diagnose(reference, lacking)
    turned = Log(-reference.embeddings, reference.outcomes)
    with pytest.raises(ValueError, match="no query like any of the reference: align the new embedder first"):
        diagnose(reference, turned)


# Incidents: three causes each, drawn by seed, their effects known by leaving one out.


def draw(seed):
    """Draw three causes of an incident; stale upgrades and noisy clients do not meet (they interact)."""
    rng = np.random.default_rng([seed, 7])
    size = {name: rng.uniform() for name in ("launch", "lost", "page", "client")}
    stale, covered = rng.random() < 0.4, bool(rng.random() < 0.5)
    causes = {
        "upgrade": Event("rotation", start=1, size=0.3 if stale else 0.6, index_follows=not stale),
        "launch": Event(
            "new_topic", start=2, size=0.03 + 0.04 * size["launch"], topic=seed % 2, index_follows=covered
        ),
        "lost": Event("remove_docs", start=3, size=0.4 + 0.4 * size["lost"], topic=int(rng.integers(12))),
        "page": Event("ui", start=5, size=0.06 + 0.09 * size["page"]),
        "client": Event(
            "spread", start=4, size=0.12 + 0.08 * size["client"], segment=str(rng.choice(["web", "mobile"]))
        ),
    }
    chosen = rng.permutation(list(causes))[:3]
    if stale and {"upgrade", "client"} <= set(chosen):
        causes["upgrade"] = replace(causes["upgrade"], size=0.6, index_follows=True)
    return {name: causes[name] for name in chosen}


def found(past, current):
    """The effects in points, by the name of the cause that they would be blamed on."""
    effects = 100 * diagnose(past, current).effects[BOTH]
    rows = {"upgrade": "everywhere", "launch": "newcomers", "page": "behind the search"}
    table = {cause: effects.loc[row] for cause, row in rows.items()}
    for cause, start in {"lost": "cluster", "client": "client"}.items():
        table[cause] = effects[effects.index.str.startswith(start)].sum()
    return pd.DataFrame(table).T


@pytest.mark.parametrize("seed", range(1000, 1020))
def test_each_cause_of_an_incident_is_recovered_from_the_logs_to_two_points(seed):
    product, causes = Product(seed), draw(seed)
    past, full = product.run(28, start=-28), product.run(21, causes.values(), start=7)
    current = full
    if "upgrade" in causes:
        rebuilt = replace(causes["upgrade"], index_follows=True)  # re-embed the documents to align
        mapping = procrustes(product.index(-1).embeddings, product.index(7, [rebuilt]).embeddings)
        current = align(full, mapping, first_day=1)
    table = found(past, current)
    truth = pd.DataFrame(0.0, index=table.index, columns=BOTH)
    for cause in causes:
        rest = product.run(21, [event for name, event in causes.items() if name != cause], start=7)
        truth.loc[cause] = 100 * change(rest, full)
    assert (table - truth).abs().max(axis=None) < 2, pd.concat([table, truth], axis=1)


def test_twenty_incidents_differ_in_their_causes():
    kinds = {tuple(sorted(draw(seed))) for seed in range(1000, 1020)}
    assert len(kinds) >= 5
    assert {cause for kind in kinds for cause in kind} == {"upgrade", "launch", "lost", "page", "client"}
