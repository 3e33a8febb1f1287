"""Product-years with a random calendar of events: what a team measures each day, and what was true.

A year is 28 reference days and 84 baseline days without events, then 280 days with about seven events
of nine kinds. It comes with its counterfactual: the outcomes of those days, had no event happened.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.charts import weekday_z
from helpers.events import Event
from helpers.log import Log
from helpers.outcomes import Buckets, by_window
from helpers.synthetic import Product

REFERENCE_DAYS, BASELINE_DAYS, YEAR_DAYS = 28, 84, 280
SCORES = ("query_drift", "cluster_shift", "novelty", "index_gap")
SKEWED = ("query_drift", "cluster_shift")  # positive, with a long tail: read on a log scale


KINDS = {
    "new topic, no documents": Event("new_topic", size=0.05),
    "noisier queries": Event("spread", size=0.10),
    "upgrade, stale index": Event("rotation", size=0.3),
    "new topic, documented": Event("new_topic", size=0.06, index_follows=True),
    "topic mix": Event("mix", size=1.3),
    "upgrade, re-indexed": Event("rotation", size=0.5, index_follows=True),
    "lost documents": Event("remove_docs", size=0.6),
    "new page design": Event("ui", size=0.12),
    "fewer agents": Event("staffing", size=0.8),
}
TOPICS = {"topic mix": 6, "lost documents": 12}  # hits one of the first so many topics


class Year(NamedTuple):
    """One year of one product; the tables have one row a day.

    events : name (a key of `KINDS`) to event; each kind happens at most once.
    baseline, daily : the columns are `SCORES` and those of `outcomes.by_window`.
    otherwise : the outcomes of the days of `daily` without the events, the exact counterfactual.
    z : `SCORES` of `daily`, standardised by the baseline.
    """

    events: dict[str, Event]
    baseline: pd.DataFrame
    daily: pd.DataFrame
    otherwise: pd.DataFrame
    z: pd.DataFrame

    def effect(self, outcome: str, first: int, last: int) -> float:
        """What the events did to the daily mean of an outcome, from day `first` to day `last`."""
        return float((self.daily[outcome] - self.otherwise[outcome]).loc[first:last].mean())


def calendar(seed: int, days: int = YEAR_DAYS) -> dict[str, Event]:
    """Draw events in random order: each lasts 14 to 21 days, with 12 to 19 quiet days in between.

    >>> [(name, event.start, event.end) for name, event in calendar(0).items()][:2]
    [('topic mix', 21, 42), ('noisier queries', 59, 80)]
    """
    rng = np.random.default_rng([seed, 99])
    order = [list(KINDS)[kind] for kind in rng.permutation(len(KINDS))]
    events, day = {}, 21
    while day < days - 30 and order:
        end, name = day + int(rng.integers(14, 22)), order.pop()
        topic = int(rng.integers(TOPICS[name])) if name in TOPICS else 0
        events[name] = replace(KINDS[name], start=day, end=end, topic=topic)
        day = end + int(rng.integers(12, 20))
    return events


def live(seed: int) -> Year:
    """Run the product of this seed through `calendar(seed)`, with and without its events."""
    product, events, start = Product(seed), calendar(seed), -REFERENCE_DAYS - BASELINE_DAYS
    log = product.run(YEAR_DAYS - start, events.values(), start=start)
    scores = daily_scores(log, log.days(start, -BASELINE_DAYS - 1))
    table = pd.concat([scores, by_window(log)], axis=1)
    baseline, daily = table.loc[-BASELINE_DAYS:-1], table.loc[0:]
    # Tickets are booked days after the query, so the other history begins before day 0, too.
    otherwise = by_window(product.run(YEAR_DAYS + 28, start=-28)).loc[0:]
    return Year(events, baseline, daily, otherwise, standardise(daily, baseline))


def daily_scores(log: Log, reference: Log, *, rng: int = 0) -> pd.DataFrame:
    """Four drift scores of each day, against the reference's days of its kind (weekday, weekend).

    query_drift : distance between the mean query vectors, as `metrics.centroid_distance`.
    cluster_shift : sum (q - p)^2 / p over the shares p, q of the reference's frozen clusters.
    novelty : share of queries in the novel bucket of `outcomes.Buckets`.
    index_gap : minus the mean best similarity of a query to the live index, against the reference's.
    """
    buckets = Buckets.fit(reference.embeddings, rng=rng)
    now, then = _daily_means(log, buckets), _daily_means(reference, buckets)
    weekend = now.index % 7 >= 5
    usual = then.groupby(then.index % 7 >= 5).mean().reindex(weekend).set_axis(now.index)
    moved = now - usual
    scores = {"query_drift": np.sqrt((moved["embedding"] ** 2).sum(axis=1))}
    scores["cluster_shift"] = (moved["cluster"] ** 2 / usual["cluster"]).sum(axis=1)
    scores |= {"novelty": now["novel", 0], "index_gap": -moved["similarity", 0]}
    return pd.DataFrame(scores)


def standardise(daily: pd.DataFrame, baseline: pd.DataFrame) -> pd.DataFrame:
    """`charts.weekday_z` of each of `SCORES`; of its logarithm where it is `SKEWED`."""
    z = {name: weekday_z(daily[name], baseline[name]) for name in SCORES}
    z |= {name: weekday_z(np.log(daily[name]), np.log(baseline[name])) for name in SKEWED}
    return pd.DataFrame(z)


def _daily_means(log: Log, buckets: Buckets) -> pd.DataFrame:
    """Daily means of the embedding, of the indicators of cluster and novelty, of the best similarity."""
    n = buckets.clusters.n_clusters
    member = (buckets.assign(log.embeddings)[:, None] == np.arange(n + 1)).astype(float)
    similarity = log.outcomes[["best_similarity"]].to_numpy()
    parts = [log.embeddings, member[:, :n], member[:, n:], similarity]
    means = [pd.DataFrame(rows).groupby(log.outcomes["day"].to_numpy()).mean() for rows in parts]
    names = ["embedding", "cluster", "novel", "similarity"]
    return pd.concat(means, axis=1, keys=names).rename_axis("day")
