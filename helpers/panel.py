"""What a day's queries say beside the reference: sums that merge exactly, and the scores made of them.

One score for each family of drift (notebook 02), the query-index gap, and four outcomes, all larger when
worse. `helpers.monitor` follows them over time.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from helpers.events import is_weekend
from helpers.intake import Rows
from helpers.metrics import median_gamma, nearest_distance
from helpers.states import pack, unpack
from helpers.streaming import ClusterCounts, RandomFeatureMean
from helpers.windows import as_generator

FAMILY = {
    "query_drift": "mean",  # MMD^2 to the reference's days of that kind, by random features
    "spread": "spread",  # how unlike each other the queries are: ln of 1 - E k(Y, Y') against the reference's
    "cluster_shift": "mix",  # sum (q - p)^2 / p over the reference's clusters
    "novelty": "newcomers",  # share of queries far from all known ones
    "index_gap": "match",  # fall of the mean similarity of a query to its best document
    "failure": "outcome",
    "no_click": "outcome",
    "no_answer": "outcome",
    "escalation": "outcome",
}
OUTCOMES = [name for name, family in FAMILY.items() if family == "outcome"]
DETECTORS = [name for name in FAMILY if name not in OUTCOMES]
UNIT = 2**30  # similarities are summed as whole multiples of 1 / UNIT
ALIKE = 1e-6  # the least that `unlikeness` can tell from rounding
MOST_ROWS = 20_000  # of a reference; more would not move clusters, limit or bandwidth


@dataclass(frozen=True)
class Sums:
    """Sums over queries: random features, how many are nearest to each known query, best similarities."""

    features: RandomFeatureMean
    nearest: NDArray[np.int64]
    similarity: int

    def merge(self, other: "Sums") -> "Sums":
        """Sums over the queries of both."""
        return Sums(
            self.features.merge(other.features),
            self.nearest + other.nearest,
            self.similarity + other.similarity,
        )

    def to_bytes(self) -> bytes:
        """Return the sums in the layout of `helpers.states`."""
        features = np.frombuffer(self.features.to_bytes(), np.uint8)
        arrays: dict[str, NDArray] = {"features": features, "nearest": self.nearest}
        return pack("monitor.Sums", {"similarity": self.similarity}, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Sums":
        """Read what `to_bytes` wrote; raise ValueError for anything else."""
        fields, arrays = unpack(data, "monitor.Sums")
        features = RandomFeatureMean.from_bytes(arrays["features"].tobytes())
        return cls(features, arrays["nearest"], int(fields["similarity"]))


@dataclass(frozen=True)
class Panel:
    """The reference, frozen: known queries with their clusters, a limit for the novel, a bandwidth.

    known (k, d), cluster (k,) the cluster of each; limit: distance to the nearest known query beyond which a
    query is novel, exceeded by 1 % of the reference's other queries.
    """

    known: NDArray[np.float64]
    cluster: NDArray[np.int64]
    limit: float
    gamma: float

    @classmethod
    def fit(cls, reference: Rows, *, n_known: int = 500, n_clusters: int = 12, rng: int = 0) -> "Panel":
        """Freeze a reference of at least twice `n_known` queries; raise ValueError naming it otherwise."""
        if reference.n < 2 * n_known:
            raise ValueError(
                f"reference_log has {reference.n} queries in its reference days: give at least {2 * n_known}"
            )
        order = as_generator(rng).permutation(reference.n)[:MOST_ROWS]
        rows = reference.embeddings[order].astype(np.float64)
        try:
            gamma = median_gamma(rows)
        except ValueError as error:
            raise ValueError(f"reference_log has no bandwidth in its reference days ({error})") from error
        known, others = rows[:n_known], rows[n_known:]
        n_clusters = min(n_clusters, len(np.unique(rows, axis=0)))
        cluster = KMeans(n_clusters, n_init=3, random_state=rng).fit(rows).predict(known)
        limit = float(np.quantile(nearest_distance(others, known), 0.99))
        return cls(known, cluster.astype(np.int64), max(limit, 0.001 / np.sqrt(gamma)), gamma)

    def to_bytes(self) -> bytes:
        """Return the panel in the layout of `helpers.states`."""
        fields = {"limit": self.limit, "gamma": self.gamma}
        return pack("monitor.Panel", fields, {"known": self.known, "cluster": self.cluster})

    @classmethod
    def from_bytes(cls, data: bytes) -> "Panel":
        """Read what `to_bytes` wrote; raise ValueError for anything else."""
        fields, arrays = unpack(data, "monitor.Panel")
        return cls(arrays["known"], arrays["cluster"], fields["limit"], fields["gamma"])

    @cached_property
    def counter(self) -> ClusterCounts:
        """Finds the nearest known query, or none; its own counts stay empty."""
        return ClusterCounts(self.known, limit=self.limit)

    def no_features(self) -> RandomFeatureMean:
        """Features of no queries yet."""
        return RandomFeatureMean(self.known.shape[1], gamma=self.gamma)

    @property
    def largest(self) -> float:
        """Largest coordinate that a query may have, rounding included."""
        return 0.999 * self.no_features().largest

    def by_day(self, rows: Rows, segments: list[str]) -> dict[tuple[int, str], tuple[Sums, NDArray]]:
        """Sum sound rows by day and segment, "all" first, leaving out segments that nobody asked for.

        Beside the sums stand counts: queries, failures, no clicks, no answers.
        """
        nearest = self.counter.assign(rows.embeddings)
        similarity = np.rint(rows.number["best_similarity"] * UNIT).astype(np.int64)
        flags = [rows.number[name] == bad for name, bad in (("success", 0), ("click", 0), ("no_answer", 1))]
        bad, day = np.column_stack([np.ones(rows.n, bool), *flags]), rows.day
        number = np.full(rows.n, -1)
        for place, name in enumerate(segments):
            number[rows.segment == name] = place
        out: dict[tuple[int, str], tuple[Sums, NDArray]] = {}
        for date in np.unique(day).tolist():
            parts = {}
            for each in np.unique(number[day == date]).tolist():
                here = np.flatnonzero((day == date) & (number == each))
                features = self.no_features()
                features.update(rows.embeddings[here])
                counts = np.bincount(nearest[here], minlength=len(self.known) + 1)
                sums = Sums(features, counts, int(similarity[here].sum()))
                parts[each] = sums, bad[here].sum(axis=0)
            (total, counts), *others = parts.values()
            for sums, more in others:
                total, counts = total.merge(sums), counts + more
            out[date, "all"] = total, counts
            out |= {(date, segments[each]): part for each, part in parts.items() if each >= 0}
        return out

    def by_kind(self, reference: Rows, segments: list[str], *, least: int) -> dict[str, Sums]:
        """Sum the reference's weekdays ("web/0") and weekends ("web/1"); raise if one has too few queries."""
        out: dict[str, Sums] = {}
        for (day, segment), (sums, _) in self.by_day(reference, segments).items():
            place = f"{segment}/{int(is_weekend(day))}"
            out[place] = out[place].merge(sums) if place in out else sums
        for segment in ["all", *segments]:
            for place, days in ((f"{segment}/0", "weekdays"), (f"{segment}/1", "weekends")):
                n = out[place].features.rows if place in out else 0
                if n < least:
                    raise ValueError(
                        f"reference_log has {n} queries of segment {segment!r} on {days} of the reference: "
                        f"give at least {least}, or leave that segment out"
                    )
        return out

    def scores(self, now: Sums, usual: Sums) -> list[float]:
        """Return the five scores of the queries `now` beside the `usual` ones of the reference."""
        clusters = [np.bincount(self.cluster, weights=each.nearest[:-1]) for each in (now, usual)]
        q, p = clusters[0] / max(clusters[0].sum(), 1), (clusters[1] + 0.5) / (clusters[1] + 0.5).sum()
        mean = [each.similarity / UNIT / each.features.rows for each in (now, usual)]
        return [
            now.features.mmd2(usual.features),
            float(np.log(unlikeness(now.features) / unlikeness(usual.features))),
            float(((q - p) ** 2 / p).sum()),
            float(now.nearest[-1] / now.features.rows),
            mean[1] - mean[0],
        ]


def unlikeness(features: RandomFeatureMean) -> float:
    """1 - E k(Y, Y') over pairs of different rows: near 0 if all are alike."""
    n = features.rows
    return max(ALIKE, 1 - (n * float(features.mean @ features.mean) - 1) / (n - 1))
