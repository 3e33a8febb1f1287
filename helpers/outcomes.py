"""Did it hurt? Outcomes by window, event studies with placebos, honest correlation, mix against rate."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans

from helpers.calibration import TestResult
from helpers.log import Log
from helpers.metrics import nearest_distance
from helpers.windows import as_window

OUTCOMES = ("success", "click", "no_answer", "escalation")


def by_window(log: Log, days: int = 1) -> pd.DataFrame:
    """Outcomes of each window of `days` days, one row a window, indexed by its first day.

    Columns: `queries` (a count), the rates `success`, `click`, `no_answer`, and `escalation`: tickets
    *booked* in the window per query asked in it, as a support desk counts them, days after the query
    (so the first days of a log lack the tickets of the queries before it);
    and `best_similarity`, the mean similarity of a query to its best document.
    """
    rows = log.outcomes
    if len(rows) == 0 or days < 1:
        raise ValueError(f"log has {len(rows)} queries and days={days}: give at least one of each")
    start = rows["day"].min() + (rows["day"] - rows["day"].min()) // days * days
    table = rows.groupby(start)[["success", "click", "no_answer", "best_similarity"]].mean()
    table.insert(0, "queries", rows.groupby(start).size())
    booked = rows.loc[rows["escalation"], "escalation_day"]
    window = rows["day"].min() + (booked - rows["day"].min()) // days * days
    tickets = window.value_counts().reindex(table.index, fill_value=0)
    table.insert(4, "escalation", tickets / table["queries"])
    return table.rename_axis("day")


def weekday_adjust(series: pd.Series, quiet: ArrayLike) -> pd.Series:
    """Take from each day the mean of the quiet days of its kind, weekday or weekend.

    `quiet` is a boolean of the series' length: the days without an alarm.
    """
    quiet, weekend = np.asarray(quiet), np.asarray(series.index) % 7 >= 5
    out = series.astype(float).copy()
    for kind in (False, True):
        usual = series[quiet & (weekend == kind)]
        if (weekend == kind).any() and len(usual) == 0:
            raise ValueError(f"quiet has no {'weekend day' if kind else 'weekday'}: give a longer history")
        out[weekend == kind] -= usual.mean()
    return out


class EventStudy(NamedTuple):
    """`change` of an outcome after an onset, its `pvalue`, and the changes at `placebos` in quiet time."""

    change: float
    pvalue: float
    placebos: NDArray[np.float64]


def event_study(
    series: pd.Series, onset: int, quiet: ArrayLike, *, after: int = 10, before: int = 21
) -> EventStudy:
    """Compare an outcome after `onset` with the quiet days before it, and both with placebo onsets.

    change = mean of the `after` days from the onset on - mean of the last `before` quiet days ahead of it,
    after taking out the weekday pattern. The same is computed for every placebo onset: a day that has
    `before` quiet days ahead of it and whose `after` days are all quiet. A short quiet history cannot give
    a small p-value: p = (1 + count(|placebo| >= |change|)) / (1 + number of placebos).

    What it cannot tell you: what else happened on that day. And `quiet` days that hide an event of their own
    make the placebos wild, which costs power.

    Parameters
    ----------
    series : a daily outcome, indexed by day.
    onset : the first day after the alarm that is counted.
    quiet : a boolean of the series' length: days on which nothing is known to have happened.

    Raises ValueError where fewer than `before` quiet days precede the onset, or no placebo is possible.
    """
    quiet = np.asarray(quiet, dtype=bool)
    if quiet.shape != (len(series),):
        raise ValueError(
            f"quiet has shape {quiet.shape}: give one boolean for each of the {len(series)} days"
        )
    bad = int((~np.isfinite(series.astype(float))).sum())
    if bad:
        raise ValueError(f"series has {bad} missing or infinite value(s): fill or drop those days first")
    if after < 1 or before < 1:
        raise ValueError(f"after={after} and before={before} must be at least one day")
    days, values = np.asarray(series.index), weekday_adjust(series, quiet).to_numpy()

    def change(day: int) -> float:
        then = np.flatnonzero((days < day) & quiet)[-before:]
        now = (days >= day) & (days < day + after)
        if len(then) < before or not now.any():
            return np.nan
        return values[now].mean() - values[then].mean()

    observed = change(onset)
    if np.isnan(observed):
        raise ValueError(f"onset={onset}: needs {before} quiet days before it, within the series")
    all_quiet = (quiet[(days >= day) & (days < day + after)].all() for day in days)
    candidates = days[list(all_quiet) & (days + after <= days[-1] + 1)]
    placebos = np.array([change(day) for day in candidates])
    placebos = placebos[~np.isnan(placebos)]
    if len(placebos) == 0:
        raise ValueError("quiet leaves no placebo onset: a longer history is needed")
    pvalue = (1 + (np.abs(placebos) >= abs(observed)).sum()) / (1 + len(placebos))
    return EventStudy(float(observed), float(pvalue), placebos)


def lagged_correlation(x: ArrayLike, y: ArrayLike, lag: int = 0) -> float:
    """Pearson correlation of x today with y `lag` days later."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.shape != y.shape or x.ndim != 1 or not 0 <= lag < len(x) - 2:
        raise ValueError(
            f"x and y must be two series of one length above lag + 2, got {x.shape}, {y.shape}, lag={lag}"
        )
    if not np.isfinite([x, y]).all():
        raise ValueError("x or y has NaN or infinity: fill or drop those days first")
    x, y = x[: len(x) - lag], y[lag:]
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise ValueError("x and y must vary: a constant correlates with nothing")
    return float(np.corrcoef(x, y)[0, 1])


def circular_shift_test(
    x: ArrayLike, y: ArrayLike, lag: int = 0, *, n_resamples: int = 199, rng: int = 0
) -> TestResult:
    """Test a lagged correlation against the same two series with x turned around by a random number of days.

    Turning keeps what each series does by itself (weekdays, slow waves, spikes) and breaks only what
    ties them together. Two-sided; p = (1 + count(|null| >= |r|)) / (1 + n_resamples).
    """
    if n_resamples < 1:
        raise ValueError(f"n_resamples={n_resamples} must be at least 1")
    observed = lagged_correlation(x, y, lag)
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    shifts = np.random.default_rng(rng).integers(1, len(x), n_resamples)
    turned = x[(np.arange(len(x) - lag) - shifts[:, None]) % len(x)]  # a row is np.roll(x, shift)
    if (np.ptp(turned, axis=1) == 0).any():
        raise ValueError(f"x varies within lag={lag} days only: turned around it is a constant")
    turned = turned - turned.mean(axis=1, keepdims=True)
    later = y[lag:] - y[lag:].mean()
    null = turned @ later / np.sqrt((turned**2).sum(axis=1) * (later**2).sum())
    # Equal up to rounding counts as equal: a periodic series meets itself again.
    as_large = np.abs(null) >= abs(observed) - 1e-12
    return TestResult(observed, float((1 + as_large.sum()) / (1 + n_resamples)), null)


@dataclass(frozen=True)
class Buckets:
    """Frozen buckets for the traffic: the clusters of a reference window, and a last one for the novel."""

    clusters: KMeans
    known: NDArray[np.float64]
    limit: float

    @classmethod
    def fit(
        cls, reference: ArrayLike, *, n_clusters: int = 12, quantile: float = 0.98, rng: int = 0
    ) -> "Buckets":
        """Fit on the reference (n, d).

        A row is novel when its nearest neighbour in a random half of the reference is further away
        than the `quantile` of those of the other half.
        """
        x = as_window(reference, "reference")
        if len(x) < max(n_clusters, 2):
            raise ValueError(f"reference has {len(x)} rows for n_clusters={n_clusters}: give more rows")
        known, held_out = np.array_split(np.random.default_rng(rng).permutation(len(x)), 2)
        known = known[:1500]
        limit = float(np.quantile(nearest_distance(x[held_out], x[known]), quantile))
        return cls(KMeans(n_clusters, n_init=3, random_state=rng).fit(x), x[known], limit)

    @property
    def names(self) -> list[str]:
        """Names of the buckets, in the order of their numbers."""
        return [f"cluster {k}" for k in range(self.clusters.n_clusters)] + ["novel"]

    def assign(self, embeddings: ArrayLike) -> NDArray[np.intp]:
        """Bucket number of each row of (n, d)."""
        rows = as_window(embeddings, "embeddings", least=1)
        if rows.shape[1] != self.known.shape[1]:
            raise ValueError(
                f"embeddings has {rows.shape[1]} columns, not the {self.known.shape[1]} of the fit"
            )
        novel = nearest_distance(rows, self.known) > self.limit
        return np.where(novel, self.clusters.n_clusters, self.clusters.predict(rows))


def decompose(
    bucket_before: ArrayLike,
    outcome_before: ArrayLike,
    bucket_after: ArrayLike,
    outcome_after: ArrayLike,
) -> pd.DataFrame:
    """Split the change of a mean outcome into who came (mix) and how they fared (rate), bucket by bucket.

    With p a bucket's share and r its mean outcome, before and after, and bars for their averages:

        mix  = (p_after - p_before) (rbar - mean of the two overall means)
        rate = pbar (r_after - r_before)

    The two columns sum to the change of the overall mean, exactly. A bucket that is empty on one side
    takes its rate from the other. Returns one row for each bucket number with the columns
    `share_before`, `share_after`, `mix`, `rate`.

    Source: Kitagawa, "Components of a difference between two rates", JASA 50 (1955).
    """
    sides = []
    for name, bucket, outcome in [
        ("before", bucket_before, outcome_before),
        ("after", bucket_after, outcome_after),
    ]:
        bucket, outcome = np.asarray(bucket), np.asarray(outcome, dtype=float)
        if bucket.shape != outcome.shape or bucket.ndim != 1 or len(bucket) == 0:
            raise ValueError(
                f"bucket_{name} has shape {bucket.shape} and outcome_{name} {outcome.shape}: "
                "give one bucket and one outcome a query, at least one"
            )
        for column, values in (("bucket", bucket), ("outcome", outcome)):
            if pd.isna(values).any():
                raise ValueError(f"{column}_{name} has missing values: drop those queries first")
        if np.isinf(outcome).any():
            raise ValueError(f"outcome_{name} has infinite values: drop those queries first")
        sides.append(pd.Series(outcome).groupby(bucket).agg(["size", "mean"]))
    before, after = sides
    buckets = before.index.union(after.index)
    share = [side["size"].reindex(buckets, fill_value=0) / side["size"].sum() for side in sides]
    rate = [
        before["mean"].reindex(buckets).fillna(after["mean"]),
        after["mean"].reindex(buckets).fillna(before["mean"]),
    ]
    overall = sum((p * r).sum() for p, r in zip(share, rate, strict=True)) / 2
    return pd.DataFrame(
        {
            "share_before": share[0],
            "share_after": share[1],
            "mix": (share[1] - share[0]) * ((rate[0] + rate[1]) / 2 - overall),
            "rate": (share[0] + share[1]) / 2 * (rate[1] - rate[0]),
        }
    )
