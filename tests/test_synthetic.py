"""The product fails in retrieval only, each event edits one cause, and everything else stays equal."""

import tracemalloc
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.decomposition import PCA

from helpers.events import KINDS, SEGMENTS, SHAPES, is_weekend
from helpers.log import Log
from helpers.metrics import energy_distance
from helpers.synthetic import Event, Product, unit

RETRIEVED = ["best_similarity", "answer_topic", "no_answer", "rank", "success"]
FELT = ["success", "no_answer", "click", "escalation"]
QUERY_SIDE = {
    "mean_shift": 0.25,
    "spread": 0.3,
    "new_topic": 0.3,
    "mix": 2.0,
    "rotation": 0.5,
    "truncate": 0.35,
    "null_vectors": 0.2,
}


@cache
def product():
    return Product(seed=0)


@cache
def simulated(*events, days=28, start=0):
    return product().run(days, events, start)


@cache
def principal_axes():
    return PCA().fit(simulated(start=-28).embeddings.astype(float))


def change(column, *events):
    return simulated(*events).outcomes[column].mean() - simulated().outcomes[column].mean()


def changed_rows(log, base):
    return (log.embeddings != base.embeddings).any(axis=1)


def same(log, other):
    pd.testing.assert_frame_equal(log.outcomes, other.outcomes)
    return np.array_equal(log.embeddings, other.embeddings)


# Pairs that no function of the queries can tell apart.


def test_a_stale_and_a_rebuilt_index_see_bitwise_equal_queries():
    stale = simulated(Event("rotation", size=0.5))
    rebuilt = simulated(Event("rotation", size=0.5, index_follows=True))
    assert np.array_equal(stale.embeddings, rebuilt.embeddings)
    assert rebuilt.outcomes["success"].mean() - stale.outcomes["success"].mean() > 0.12


def test_an_upgrade_with_a_rebuilt_index_changes_no_answer_and_no_click():
    quiet, rebuilt = simulated(), simulated(Event("rotation", size=0.5, index_follows=True))
    assert changed_rows(rebuilt, quiet).all()
    kept = [*FELT, "escalation_day", "answer_topic", "rank", "topic", "session", "segment"]
    pd.testing.assert_frame_equal(rebuilt.outcomes[kept], quiet.outcomes[kept])
    np.testing.assert_allclose(
        rebuilt.outcomes["best_similarity"], quiet.outcomes["best_similarity"], rtol=1e-6
    )


def test_covered_and_uncovered_new_topics_bring_bitwise_equal_queries():
    uncovered = simulated(Event("new_topic", size=0.08))
    covered = simulated(Event("new_topic", size=0.08, index_follows=True))
    assert np.array_equal(uncovered.embeddings, covered.embeddings)
    assert covered.outcomes["success"].mean() - uncovered.outcomes["success"].mean() > 0.06


def test_removing_documents_leaves_every_query_as_it_was():
    quiet, removed = simulated(), simulated(Event("remove_docs", size=0.4, topic=3))
    assert np.array_equal(quiet.embeddings, removed.embeddings)
    assert change("success", Event("remove_docs", size=0.4, topic=3)) < -0.02


@pytest.mark.parametrize("kind", ["ui", "staffing"])
def test_page_and_support_desk_leave_queries_and_retrieval_as_they_were(kind):
    quiet, changed = simulated(), simulated(Event(kind, size=0.5))
    assert np.array_equal(quiet.embeddings, changed.embeddings)
    pd.testing.assert_frame_equal(quiet.outcomes[RETRIEVED], changed.outcomes[RETRIEVED])


# Outcomes are what exact search over the index of the day returns.


@cache
def wanted_documents():
    """The document each query is about: without noise it is the nearest one."""
    nearly_noiseless = simulated(Event("spread", size=-0.9999), days=2)
    index = product().index(0)
    nearest = index.documents[(nearly_noiseless.embeddings @ index.embeddings.T).argmax(axis=1)]
    assert (nearly_noiseless.outcomes["rank"] == 1).all()
    return nearest


RETRIEVAL_EVENTS = {
    "quiet": (),
    "stale index": (Event("rotation", size=0.5),),
    "rebuilt index": (Event("rotation", size=0.5, index_follows=True),),
    "new topic uncovered": (Event("new_topic", size=0.3, topic=1),),
    "new topic covered": (Event("new_topic", size=0.3, topic=1, index_follows=True),),
    "documents gone": (Event("remove_docs", size=0.6, topic=3),),
    "noisier mobile queries": (Event("spread", size=0.4, segment="mobile"),),
    "null vectors": (Event("null_vectors", size=0.2),),
    "two at once": (Event("mean_shift", size=0.3), Event("remove_docs", size=0.5, topic=1)),
}


@pytest.mark.parametrize("story", RETRIEVAL_EVENTS)
def test_retrieval_is_exact_search_over_the_live_index(story):
    events = RETRIEVAL_EVENTS[story]
    for day in (0, 1):
        log = simulated(*events, days=2).days(day, day)
        rows = log.outcomes
        index = product().index(day, events)
        similarity = log.embeddings.astype(float) @ index.embeddings.T
        rounding = 1e-6  # embeddings are stored as float32

        best = similarity.max(axis=1)
        np.testing.assert_allclose(rows["best_similarity"], best, atol=rounding)
        first_topic = product().document_topic[index.documents[similarity.argmax(axis=1)]]
        top_two = np.sort(similarity, axis=1)[:, -2:]
        clear = top_two[:, 1] - top_two[:, 0] > rounding
        assert np.array_equal(rows["answer_topic"][clear], first_topic[clear])

        wanted = wanted_documents()[(simulated(days=2).outcomes["day"] == day).to_numpy()]
        known = (rows["topic"] < product().n_topics).to_numpy()
        indexed = known & np.isin(wanted, index.documents)
        place = np.searchsorted(index.documents, wanted[indexed])
        own = np.take_along_axis(similarity[indexed], place[:, None], axis=1)
        surely_above = (similarity[indexed] > own + rounding).sum(axis=1)
        maybe_above = (similarity[indexed] >= own - rounding).sum(axis=1)
        ranks = rows["rank"].to_numpy()
        assert (ranks[indexed] > surely_above).all() and (ranks[indexed] <= maybe_above).all()
        assert (ranks[known & ~indexed] > len(index.documents)).all()

        threshold = product().threshold
        decided = np.abs(best - threshold) > rounding
        assert np.array_equal(rows["no_answer"][decided], (best < threshold)[decided])
        assert np.array_equal(rows["success"], (ranks <= product().top_k) & ~rows["no_answer"])


def test_queries_about_a_topic_without_documents_never_succeed():
    rows = simulated(Event("new_topic", size=0.08)).outcomes
    asked = rows[rows["topic"] >= product().n_topics]
    assert len(asked) > 500 and not asked["success"].any()


def test_queries_about_a_covered_new_topic_find_its_documents():
    rows = simulated(Event("new_topic", size=0.08, index_follows=True)).outcomes
    asked = rows[rows["topic"] == product().n_topics]
    assert asked["success"].mean() > 0.9
    assert (asked["answer_topic"] == product().n_topics).mean() > 0.9


@pytest.mark.parametrize("kind", ["rotation", "spread", "remove_docs", "truncate"])
def test_clicks_and_escalations_depend_on_the_answer_alone(kind):
    quiet = simulated().outcomes
    broken = simulated(Event(kind, size=0.35, topic=3)).outcomes
    same_answer = (quiet[["success", "no_answer"]] == broken[["success", "no_answer"]]).all(axis=1)
    same_click = same_answer & (~quiet["success"] | (quiet["rank"] == broken["rank"]))
    assert 0.4 < same_click.mean() < 1
    assert (quiet["click"] == broken["click"])[same_click].all()
    assert (quiet["escalation"] == broken["escalation"])[same_answer].all()
    assert (quiet["escalation_day"] == broken["escalation_day"]).all()


def binomial_error(rate, n):
    return 4 * np.sqrt(rate * (1 - rate) / n)


def test_clicks_on_a_success_fall_with_the_rank():
    rows = Product(seed=0, top_k=40).run(56, [Event("spread", size=0.2)]).outcomes
    found = rows[rows["success"]]
    for first, last in [(1, 1), (2, 4), (5, 40)]:
        shown = found[found["rank"].between(first, last)]
        expected = (0.62 * shown["rank"] ** -0.3).mean()
        assert abs(shown["click"].mean() - expected) < binomial_error(expected, len(shown))


def test_clicks_on_a_failure_are_rare_and_absent_without_an_answer():
    rows = simulated(Event("spread", size=0.35)).outcomes
    failed = rows[~rows["success"] & ~rows["no_answer"]]
    assert abs(failed["click"].mean() - 0.12) < binomial_error(0.12, len(failed))
    assert rows["no_answer"].sum() > 1000 and not rows.loc[rows["no_answer"], "click"].any()


def test_escalations_follow_success_and_are_booked_days_later():
    rows = simulated(Event("spread", size=0.35)).outcomes
    for success, rate in [(True, 0.02), (False, 0.20)]:
        tickets = rows.loc[rows["success"] == success, "escalation"]
        assert abs(tickets.mean() - rate) < binomial_error(rate, len(tickets))
    delay = rows["escalation_day"] - rows["day"]
    assert delay.min() == 1
    assert abs(delay.mean() - 4) < 4 * np.sqrt(12 / len(delay))


# Common random numbers.


def test_the_same_seed_gives_the_same_log_and_another_seed_another_one():
    assert same(Product(seed=0).run(3), product().run(3))
    assert not np.array_equal(Product(seed=1).run(1).embeddings[:5], simulated().embeddings[:5])


@pytest.mark.parametrize("day", [-3, 9, 13])
def test_a_day_alone_equals_the_same_day_in_a_longer_run(day):
    events = (Event("rotation", start=5, size=0.3), Event("mix", start=-4, size=1.0, topic=2))
    long = product().run(30, events, start=-14)
    assert same(product().run(1, events, start=day), long.days(day, day))


@pytest.mark.parametrize("kind", KINDS)
def test_days_outside_an_event_are_bitwise_equal(kind):
    event = Event(kind, start=10, end=18, size=0.5, topic=1)
    assert same(simulated(event).days(0, 9), simulated().days(0, 9))
    assert same(simulated(event).days(18, 27), simulated().days(18, 27))
    during, quiet = simulated(event).days(10, 17), simulated().days(10, 17)
    moved = not np.array_equal(during.embeddings, quiet.embeddings)
    felt = (during.outcomes[FELT] != quiet.outcomes[FELT]).any(axis=None)
    assert moved == (kind in QUERY_SIDE)
    assert felt


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_of_size_zero_does_nothing(kind):
    assert same(simulated(Event(kind, size=0.0)), simulated())


@pytest.mark.parametrize("segment", SEGMENTS)
@pytest.mark.parametrize("kind", QUERY_SIDE)
def test_an_event_of_one_segment_touches_no_other(kind, segment):
    event = Event(kind, size=QUERY_SIDE[kind], segment=segment)
    quiet, changed = simulated(days=7), simulated(event, days=7)
    concerned = (quiet.outcomes["segment"] == segment).to_numpy()
    assert same(changed.where(~concerned), quiet.where(~concerned))
    assert changed_rows(changed, quiet)[concerned].mean() > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_never_changes_who_asks_and_when(kind):
    changed = simulated(Event(kind, size=0.5)).outcomes
    who = ["day", "session", "user", "segment"]
    pd.testing.assert_frame_equal(changed[who], simulated().outcomes[who])


# Every knob does what it says.


@pytest.mark.parametrize("direction, first, tail", [("pc1", 0.5, 0), ("tail", 0, 0.8)])
def test_a_mean_shift_goes_where_it_is_sent(direction, first, tail):
    shifted = simulated(Event("mean_shift", size=0.25, direction=direction))
    moved = (shifted.embeddings.astype(float) - simulated().embeddings).mean(axis=0)
    along = (principal_axes().components_ @ moved) ** 2 / (moved @ moved)
    assert along[0] >= first and along[32:].sum() >= tail
    assert along[0] < 0.02 or direction == "pc1"


def test_a_random_mean_shift_is_spread_over_the_axes():
    shifted = simulated(Event("mean_shift", size=0.25, direction="random"))
    moved = (shifted.embeddings.astype(float) - simulated().embeddings).mean(axis=0)
    along = (principal_axes().components_ @ moved) ** 2 / (moved @ moved)
    assert along.max() < 0.3 and along[32:].sum() > 0.1


def test_a_larger_mean_shift_moves_further():
    steps = []
    for size in (0.05, 0.1, 0.2):
        moved = simulated(Event("mean_shift", size=size)).embeddings - simulated().embeddings
        steps.append(np.linalg.norm(moved.mean(axis=0)))
    assert 1.8 < steps[1] / steps[0] < 2.2 and 1.8 < steps[2] / steps[1] < 2.2


def test_spread_moves_queries_away_from_their_documents_and_back():
    louder, quieter = Event("spread", size=0.35), Event("spread", size=-0.35)
    assert change("best_similarity", louder) < -0.02
    assert change("best_similarity", quieter) > 0.02
    total = [simulated(*e).embeddings.var(axis=0).sum() for e in [(quieter,), (), (louder,)]]
    assert total[0] < total[1] < total[2]


@pytest.mark.parametrize("topic", [0, 1])
def test_a_new_topic_takes_its_share_of_the_traffic(topic):
    assert simulated().outcomes["topic"].max() == product().n_topics - 1
    topics = simulated(Event("new_topic", size=0.2, topic=topic)).outcomes["topic"]
    assert abs((topics == product().n_topics + topic).mean() - 0.2) < 0.02
    assert not (topics == product().n_topics + 1 - topic).any()


@pytest.mark.parametrize("topic, size", [(0, 0.8), (3, 0.8), (7, -0.8), (11, 0.8)])
def test_mix_raises_the_log_odds_of_its_topic(topic, size):
    shares = [
        (simulated(*events).outcomes["topic"] == topic).mean()
        for events in [(), (Event("mix", size=size, topic=topic),)]
    ]
    log_odds = np.log(np.divide(shares, np.subtract(1, shares)))
    assert abs(log_odds[1] - log_odds[0] - size) < 0.15


def test_a_rotation_keeps_all_angles_and_turns_by_its_size_at_most():
    quiet, turned = simulated().embeddings[:500], simulated(Event("rotation", size=0.5)).embeddings
    turned = turned[:500]
    np.testing.assert_allclose(turned @ turned.T, quiet @ quiet.T, atol=1e-5)
    cosine = (turned * quiet).sum(axis=1)
    assert cosine.min() >= np.cos(0.5) - 1e-6 and cosine.max() < 0.99


def test_truncation_draws_queries_towards_the_average_text():
    def mean_cosine(log):
        mean = log.embeddings.astype(float).mean(axis=0)
        return mean @ mean

    parts = [simulated(Event("truncate", size=size)) for size in (0.2, 0.5)]
    assert mean_cosine(simulated()) < mean_cosine(parts[0]) < mean_cosine(parts[1])
    nothing_left = simulated(Event("truncate", size=1.0)).embeddings
    np.testing.assert_allclose(nothing_left, nothing_left[:1].repeat(len(nothing_left), 0))


def test_null_vectors_are_one_vector_with_the_right_share():
    log = simulated(Event("null_vectors", size=0.03))
    vectors, counts = np.unique(log.embeddings, axis=0, return_counts=True)
    assert abs(counts.max() / len(log) - 0.03) < 0.006
    untouched = ~changed_rows(log, simulated())
    assert untouched.sum() == len(log) - counts.max()


@pytest.mark.parametrize("size", [0.4, 1.0])
def test_removal_takes_documents_of_one_topic_out_of_the_index(size):
    before = product().index(0)
    after = product().index(0, [Event("remove_docs", size=size, topic=3)])
    gone = np.setdiff1d(before.documents, after.documents)
    assert (product().document_topic[gone] == 3).all()
    assert abs(len(gone) / product().docs_per_topic - size) <= 0.15
    assert np.isin(after.documents, before.documents).all()


def test_a_larger_removal_contains_the_smaller_one():
    few, many = (
        product().index(0, [Event("remove_docs", size=size, topic=3)]).documents for size in (0.3, 0.6)
    )
    assert len(many) < len(few) and np.isin(many, few).all()


def test_the_index_holds_unit_vectors_and_no_latent_topic():
    index = product().index(0)
    np.testing.assert_allclose(np.linalg.norm(index.embeddings, axis=1), 1)
    assert product().document_topic[index.documents].max() == product().n_topics - 1
    assert len(index.documents) == product().n_topics * product().docs_per_topic


def test_ui_takes_its_share_of_the_clicks_and_nothing_else():
    quiet, changed = simulated().outcomes, simulated(Event("ui", size=0.2)).outcomes
    assert not (changed["click"] & ~quiet["click"]).any()
    assert abs(changed["click"].sum() / quiet["click"].sum() - 0.8) < 0.03
    pd.testing.assert_frame_equal(changed.drop(columns="click"), quiet.drop(columns="click"))


def test_staffing_adds_its_share_of_tickets_and_nothing_else():
    failing = Event("spread", size=0.35)
    usual = simulated(failing).outcomes
    changed = simulated(failing, Event("staffing", size=0.6)).outcomes
    assert not (usual["escalation"] & ~changed["escalation"]).any()
    assert abs(changed["escalation"].sum() / usual["escalation"].sum() - 1.6) < 0.1
    rest = usual.drop(columns="escalation")
    pd.testing.assert_frame_equal(changed.drop(columns="escalation"), rest)


def test_shapes_have_the_levels_they_promise():
    days = range(-1, 90)

    def level(shape, end=None):
        return np.array([Event("mix", size=2.0, shape=shape, end=end).level(day) for day in days])

    age = np.array(days)
    assert np.array_equal(level("sudden"), 2.0 * (age >= 0))
    np.testing.assert_allclose(level("ramp"), 2.0 * np.clip((age + 1) / 28, 0, 1))
    assert np.array_equal(level("weekly"), 2.0 * ((age >= 0) & (age % 7 >= 5)))
    assert np.array_equal(level("recurring"), 2.0 * ((age >= 0) & (age // 28 % 2 == 0)))
    for shape in SHAPES:
        assert not level(shape, end=30)[age >= 30].any()


def test_a_weekly_event_acts_on_weekends_only():
    changed = changed_rows(simulated(Event("mean_shift", size=0.2, shape="weekly")), simulated())
    assert np.array_equal(changed, is_weekend(simulated().outcomes["day"].to_numpy()))


def test_a_recurring_event_pauses_every_other_28_days():
    event = Event("mean_shift", start=-28, size=0.2, shape="recurring")
    days = {day: product().run(1, [event], day).embeddings for day in (-1, 0, 27, 28)}
    quiet = {day: product().run(1, (), day).embeddings for day in days}
    assert [np.array_equal(days[day], quiet[day]) for day in days] == [False, True, True, False]


def test_a_ramp_grows_day_by_day():
    moved = simulated(Event("mean_shift", size=0.28, shape="ramp")).embeddings
    distance = pd.Series(np.linalg.norm(moved - simulated().embeddings, axis=1))
    by_day = distance.groupby(simulated().outcomes["day"]).mean()
    assert by_day.diff().dropna().gt(0).all()
    np.testing.assert_allclose(by_day[27] / by_day[2], 28 / 3, rtol=0.1)


# The table of what each event does, and the facts about the world.

TABLE = {
    "uncovered topic": (Event("new_topic", size=0.08), 3.3, -0.077, 0.115, 0.542),
    "covered topic": (Event("new_topic", size=0.08, index_follows=True), 3.9, 0.002, 0.036, 0.590),
    "stale index": (Event("rotation", size=0.5), 26.1, -0.149, 0.182, 0.495),
    "rebuilt index": (Event("rotation", size=0.5, index_follows=True), 26.1, 0, 0.037, 0.588),
    "mean shift": (Event("mean_shift", size=0.25), 26.3, -0.030, 0.063, 0.570),
    "truncation": (Event("truncate", size=0.35), 38.3, 0.017, 0.005, 0.599),
    "spread": (Event("spread", size=0.35), 2.3, -0.423, 0.450, 0.325),
    "null vectors": (Event("null_vectors", size=0.03), 1.6, -0.026, 0.064, 0.572),
    "removal": (Event("remove_docs", size=0.4, topic=3), 0.7, -0.037, 0.055, 0.567),
    "hard topic": (Event("mix", size=1.2, topic=7), 4.7, -0.004, 0.036, 0.587),
    "page": (Event("ui", size=0.2), 0.7, 0, 0.037, 0.471),
    "staffing": (Event("staffing", size=0.6), 0.7, 0, 0.037, 0.588),
}


@pytest.mark.parametrize("story", TABLE)
def test_events_do_the_harm_the_table_says(story):
    event, _, success, no_answer, clicks = TABLE[story]
    rows = simulated(event).outcomes
    assert abs(change("success", event) - success) < 0.01
    assert abs(rows["no_answer"].mean() - no_answer) < 0.01
    assert abs(rows["click"].mean() - clicks) < 0.012


@pytest.mark.parametrize("story", TABLE)
def test_energy_distance_is_as_loud_as_the_table_says(story):
    event, energy = TABLE[story][:2]
    draw = np.random.default_rng(0)
    reference, current = (
        log.embeddings[draw.choice(len(log), 2000, replace=False)]
        for log in (simulated(start=-28), simulated(event))
    )
    assert abs(1000 * energy_distance(reference, current) - energy) < 5


def test_the_quiet_product_has_the_outcomes_the_table_says():
    rates = simulated().outcomes[FELT].mean()
    assert abs(rates["success"] - 0.952) < 0.008
    assert abs(rates["no_answer"] - 0.037) < 0.008
    assert abs(rates["click"] - 0.588) < 0.012
    assert abs(rates["escalation"] - 0.031) < 0.006


def test_the_threshold_leaves_four_percent_of_the_week_before_without_an_answer():
    assert abs(simulated(days=7, start=-7).outcomes["no_answer"].mean() - 0.04) < 0.001


def test_embeddings_are_unit_float32_vectors_in_a_cone():
    embeddings = simulated(start=-28).embeddings
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    n, total = len(embeddings), embeddings.astype(float).sum(axis=0)
    mean_cosine = (total @ total - n) / (n * (n - 1))
    assert abs(mean_cosine - 0.43) < 0.02


def test_the_spectrum_is_that_of_an_embedder():
    share = principal_axes().explained_variance_ratio_
    assert abs(share[0] - 0.13) < 0.015 and abs(share[1] - 0.10) < 0.015
    assert abs((share.cumsum() < 0.9).sum() + 1 - 40) <= 2
    assert abs(1 / (share**2).sum() - 19) < 2


def test_traffic_is_poisson_over_sessions_and_thinner_on_weekends():
    rows = product().run(84).outcomes
    queries = rows.groupby("day").size()
    weekend = is_weekend(queries.index.to_numpy())
    assert abs(queries[~weekend].mean() - 400) < 20 and abs(queries[weekend].mean() - 240) < 20
    assert abs(rows.groupby("session").size().mean() - 3) < 0.15
    assert (rows.groupby("session")[["day", "user", "segment"]].nunique() == 1).all(axis=None)
    shares = rows["segment"].value_counts(normalize=True)
    for segment, (share, _) in SEGMENTS.items():
        assert abs(shares[segment] - share) < 0.04


def test_mobile_queries_are_the_noisiest():
    best = simulated().outcomes.groupby("segment", observed=True)["best_similarity"].mean()
    assert best["mobile"] < best["web"] < best["partner"]


def topic_test(log, by):
    """p-value of "the topics are the same on both sides of `by`"."""
    table = pd.crosstab(by(log.outcomes["day"]), log.outcomes["topic"])
    return stats.chi2_contingency(table).pvalue


def test_weekends_ask_for_other_topics_unless_switched_off():
    independent = {"wander": 0, "session_length": 1, "loyalty": 0}
    assert topic_test(Product(seed=3, **independent).run(42), is_weekend) < 1e-6
    assert topic_test(Product(seed=3, weekend=0, **independent).run(42), is_weekend) > 0.01


def test_topics_wander_from_week_to_week_unless_switched_off():
    independent = {"weekend": 0, "session_length": 1, "loyalty": 0}

    def week(days):
        return days // 7

    assert topic_test(Product(seed=4, **independent).run(42), week) < 1e-6
    assert topic_test(Product(seed=4, wander=0, **independent).run(42), week) > 0.01


def test_queries_of_a_session_share_its_theme_unless_independent():
    def repeats(log):
        rows = log.outcomes
        follows = rows["session"].diff().eq(0)
        return rows["topic"].diff().eq(0)[follows].mean() if follows.any() else None

    assert repeats(simulated()) > 0.4
    assert repeats(Product(seed=0, loyalty=0).run(14)) < 0.3
    assert repeats(Product(seed=0, session_length=1, loyalty=0).run(3)) is None


def test_dimension_and_sizes_are_those_asked_for():
    small = Product(seed=1, dim=16, n_topics=4, docs_per_topic=5, n_users=50, queries_per_day=50)
    log = small.run(5)
    assert log.embeddings.shape == (len(log), 16)
    assert small.index(0).embeddings.shape == (20, 16)
    assert log.outcomes["topic"].max() == 3 and log.outcomes["user"].max() < 50


def test_a_year_has_130_000_queries_in_less_than_100_megabytes():
    tracemalloc.start()
    year = product().run(364)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 125_000 < len(year) < 135_000
    assert year.outcomes["day"].nunique() == 364
    assert peak < 100e6
    assert year.embeddings.nbytes + year.outcomes.memory_usage(deep=True).sum() < 45e6


# Frozen probes.


def test_probes_give_the_same_bits_on_every_quiet_day():
    assert np.std([product().probe_success(day) for day in range(-7, 28)]) == 0
    assert abs(product().probe_success(0) - 0.983) < 0.01


@pytest.mark.parametrize(
    "event, expected",
    [
        (Event("remove_docs", size=0.1, topic=3), -0.007),
        (Event("rotation", size=0.3), -0.030),
        (Event("rotation", size=0.3, index_follows=True), 0),
        (Event("new_topic", size=0.3), 0),
        (Event("mean_shift", size=0.3), 0),
        (Event("ui", size=0.3), 0),
    ],
)
def test_probes_see_supply_and_are_blind_to_demand(event, expected):
    moved = product().probe_success(5, [event]) - product().probe_success(5)
    assert moved == 0 if expected == 0 else expected - 0.012 < moved < 0.6 * expected


def test_probes_return_to_their_rate_when_the_event_ends():
    event = Event("rotation", start=3, end=6, size=0.5)
    before, during, after = (product().probe_success(day, [event]) for day in (2, 4, 6))
    assert before == after > during


# Bad input.


@pytest.mark.parametrize(
    "kind, options, message",
    [
        ("spred", {}, "kind='spred' is not known; choose one of mean_shift, spread"),
        ("mix", {"shape": "step"}, "shape='step' is not known"),
        ("mix", {"segment": "phone"}, "segment='phone' is not known"),
        ("mean_shift", {"direction": "up"}, "direction='up' is not known"),
        ("mix", {"size": np.nan}, "size=nan must be a finite number"),
        ("mix", {"size": np.inf}, "size=inf must be a finite number"),
        ("new_topic", {"size": 1.1}, "size=1.1 of a new_topic event is a share"),
        ("truncate", {"size": -0.1}, "size=-0.1 of a truncate event is a share"),
        ("null_vectors", {"size": 2}, "size=2 of a null_vectors event is a share"),
        ("remove_docs", {"size": 40}, "size=40 of a remove_docs event is a share"),
        ("ui", {"size": 20}, "size=20 of a ui event is a share"),
        ("spread", {"size": -1}, "size=-1 of a spread event must be above -1"),
        ("staffing", {"size": -2}, "size=-2 of a staffing event must be above -1"),
        ("mix", {"size": None}, "size=None must be a finite number"),
        ("mix", {"size": "1"}, "size='1' must be a finite number"),
        ("ui", {"size": 0.2, "segment": "web"}, "segment='web': a ui event hits every segment alike"),
        ("staffing", {"segment": "web"}, "segment='web': a staffing event hits every segment alike"),
        ("remove_docs", {"segment": "mobile"}, "a remove_docs event hits every segment alike"),
        ("mix", {"start": 7, "end": 7}, "end=7 must be after start=7"),
    ],
)
def test_an_impossible_event_is_refused_by_name(kind, options, message):
    with pytest.raises(ValueError) as error:
        Event(kind, **options)
    assert message in str(error.value)


@pytest.mark.parametrize("options, message", [({"days": 0}, "days=0"), ({"start": -401}, "start=-401")])
def test_an_impossible_range_of_days_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        product().run(**{"days": 1} | options)


@pytest.mark.parametrize("ask", ["run", "index", "probe_success"])
@pytest.mark.parametrize(
    "events, message",
    [
        ([Event("mix", topic=12)], "topic=12 of a mix event must be from 0 to 11"),
        ([Event("remove_docs", topic=-1)], "topic=-1 of a remove_docs event must be from 0 to 11"),
        ([Event("new_topic", topic=2)], "topic=2 of a new_topic event must be from 0 to 1"),
        ([Event("remove_docs", topic=topic) for topic in range(12)], "events remove every document"),
        (Event("mix"), "events must be a list of events: write [event]"),
    ],
    ids=["mix", "remove_docs", "new_topic", "no document left", "not a list"],
)
def test_impossible_events_are_refused_by_name_whatever_is_asked(ask, events, message):
    with pytest.raises(ValueError) as error:
        getattr(product(), ask)(1, events)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"dim": 1}, "dim=1 must be at least 2"),
        ({"n_topics": 0}, "n_topics=0 must be at least 1"),
        ({"docs_per_topic": 0}, "docs_per_topic=0 must be at least 1"),
        ({"n_users": 0}, "n_users=0 must be at least 1"),
        ({"queries_per_day": 0}, "queries_per_day=0 must be at least 10"),
        ({"top_k": 0}, "top_k=0 must be at least 1"),
        ({"session_length": 0.5}, "session_length=0.5 must be at least 1"),
        ({"wander": -1}, "wander=-1 must be at least 0"),
        ({"wander": np.nan}, "wander=nan must be at least 0"),
        ({"loyalty": -0.1}, "loyalty=-0.1 must be at least 0"),
        ({"loyalty": 2}, "loyalty=2 is a chance: at most 1"),
    ],
)
def test_an_impossible_product_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        Product(**options)


def test_the_smallest_product_runs():
    sizes = {"dim": 2, "n_topics": 1, "docs_per_topic": 1, "n_users": 1, "queries_per_day": 10, "top_k": 1}
    log = Product(seed=0, **sizes, session_length=1, wander=0, loyalty=0).run(7)
    assert len(log) > 20 and log.embeddings.shape[1] == 2
    assert log.outcomes["success"].any()


# The log.


def test_weeks_and_days_of_a_log_are_cut_at_their_edges():
    log = simulated()
    assert sorted(log.days(3, 5).outcomes["day"].unique()) == [3, 4, 5]
    assert sorted(log.week(2).outcomes["day"].unique()) == list(range(14, 21))
    assert sum(len(log.week(number)) for number in range(4)) == len(log)


def test_where_keeps_rows_of_embeddings_and_outcomes_together():
    log = simulated()
    mask = log.outcomes["click"]
    kept = log.where(mask)
    assert kept.outcomes["click"].all() and len(kept) == mask.sum()
    assert np.array_equal(kept.embeddings, log.embeddings[mask])
    assert kept.outcomes.index.equals(pd.RangeIndex(len(kept)))


def test_a_log_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="one row of outcomes for each row"):
        Log(np.zeros((3, 2)), pd.DataFrame({"day": [1, 2]}))
    with pytest.raises(ValueError, match="mask must be"):
        simulated().where(np.ones(3, bool))
    with pytest.raises(ValueError, match="mask must be"):
        simulated().where(np.arange(len(simulated())))


def test_unit_gives_rows_of_length_one():
    np.testing.assert_allclose(unit(np.array([[3.0, 4.0], [0.0, 2.0]])), [[0.6, 0.8], [0, 1]])
