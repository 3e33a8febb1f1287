"""The synthetic search product: people ask, an index answers, and whatever fails, fails in retrieval.

A query is about one document. Text is a point in a latent space; the embedder turns it into a unit vector:

    text       x = mu + Q diag(s) z     a cone around mu with a power-law spectrum s
    document   topic centre + noise     60 documents a topic; topics differ in how crowded they are
    query      its document + noise     noisier on mobile than on the web
    embedding  e = R x / |R x|          R is the identity until the embedder is upgraded
    answers    the k documents in the live index with the highest cosine similarity to the query
    no answer  the best similarity is below a threshold set once, on the week before day 0
    success    the document asked for is among the answers, and an answer was given

Clicks and escalations are coin flips that depend on success only. No drift score appears anywhere, so
whatever drift turns out to say about harm, it was not put there.

An `Event` edits a cause (the queries, the embedder, the index, the page, the support desk), never an
outcome. All random numbers of a day are drawn before any event is looked at, so two runs of the same
seed, with and without an event, differ by the effect of that event and by nothing else.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from helpers.events import SEGMENTS, Event, active_events, applies_to, is_weekend
from helpers.log import Log

__all__ = ["Event", "Index", "Log", "Product", "unit"]

SPECTRUM = 0.6  # the k-th direction of the latent space has a variance proportional to k ** -0.6
TOPIC_SPREAD, DOCUMENT_SPREAD, QUERY_SPREAD = 0.85, 0.50, 0.60
LATENT_TOPICS = 2  # topics that nobody asks about until a `new_topic` event
WANDER_MEMORY = 0.9  # day-to-day correlation of the topic mix
EARLIEST_DAY = -400
NO_ANSWER_SHARE = 0.04
CLICK_ON_SUCCESS, CLICK_ON_FAILURE, CLICK_DECAY = 0.62, 0.12, 0.3
ESCALATION_ON_SUCCESS, ESCALATION_ON_FAILURE = 0.02, 0.20
NOT_INDEXED = 9999  # the rank of a document that is not in the index


class Index(NamedTuple):
    """The live index: `embeddings` (m, d), and which `documents` (m,) they are."""

    embeddings: NDArray[np.float64]
    documents: NDArray[np.intp]


class Answers(NamedTuple):
    """What retrieval returned for n queries: arrays of length n."""

    best_similarity: NDArray[np.float64]
    first_document: NDArray[np.intp]
    rank: NDArray[np.intp]


class Dice(NamedTuple):
    """The random numbers of one day with n queries, drawn before any event is looked at."""

    session: NDArray[np.intp]
    user: NDArray[np.intp]
    topic: NDArray[np.float64]
    document: NDArray[np.float64]
    joins_new_topic: NDArray[np.float64]
    arrives_null: NDArray[np.float64]
    noise: NDArray[np.float64]
    click: NDArray[np.float64]
    escalation: NDArray[np.float64]
    delay: NDArray[np.int64]


def unit(vectors: NDArray) -> NDArray:
    """Scale each row to length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


class Product:
    """A search product with documents, users, an embedder and an index; fixed by its `seed`.

    Parameters
    ----------
    seed : everything random follows from it.
    dim : length d of an embedding.
    n_topics, docs_per_topic, n_users, queries_per_day, top_k : sizes; weekends bring 60 % of the queries.
    wander : day-to-day wandering of the topics' log-odds (standard deviation); 0 switches it off.
    weekend : how much the weekend's topics differ from the weekdays'; 0 switches it off.
    session_length, loyalty : mean queries in a session, and the chance that a query keeps its
        session's theme; `session_length=1, loyalty=0` makes queries independent.

    Examples
    --------
    >>> product = Product(seed=0)
    >>> quiet = product.run(days=7)
    >>> broken = product.run(days=7, events=[Event("remove_docs", size=0.6, topic=3)])
    >>> bool((quiet.embeddings == broken.embeddings).all())
    True
    >>> bool(broken.outcomes["success"].mean() < quiet.outcomes["success"].mean() - 0.02)
    True
    """

    def __init__(
        self,
        seed: int = 0,
        dim: int = 64,
        *,
        n_topics: int = 12,
        docs_per_topic: int = 60,
        n_users: int = 3000,
        queries_per_day: float = 400,
        top_k: int = 3,
        wander: float = 0.20,
        weekend: float = 0.35,
        session_length: float = 3.0,
        loyalty: float = 0.6,
    ) -> None:
        for name, value, least in [
            ("dim", dim, 2),
            ("n_topics", n_topics, 1),
            ("docs_per_topic", docs_per_topic, 1),
            ("n_users", n_users, 1),
            ("queries_per_day", queries_per_day, 10),
            ("top_k", top_k, 1),
            ("session_length", session_length, 1),
            ("wander", wander, 0),
            ("loyalty", loyalty, 0),
        ]:
            if not value >= least:
                raise ValueError(f"{name}={value} must be at least {least}")
        if loyalty > 1:
            raise ValueError(f"loyalty={loyalty} is a chance: at most 1")
        self.seed, self.dim, self.n_topics, self.docs_per_topic = (
            seed,
            dim,
            n_topics,
            docs_per_topic,
        )
        self.queries_per_day, self.top_k, self.wander = queries_per_day, top_k, wander
        self.session_length, self.loyalty = session_length, loyalty
        rng = np.random.default_rng([seed, 1])
        n_all = n_topics + LATENT_TOPICS

        # The latent space: its axes, the scale of each, and the direction all text has in common.
        scale = np.arange(1, dim + 1) ** (-SPECTRUM / 2)
        self._scale = scale / np.sqrt((scale**2).sum())
        self._axes = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
        self._mu = unit(rng.normal(size=dim))

        # The documents. Crowded topics, whose documents are hard to tell apart, have small spreads.
        centres = TOPIC_SPREAD * self._noise(rng, n_all)
        spread = DOCUMENT_SPREAD * np.r_[np.linspace(1.25, 0.70, n_topics), np.ones(LATENT_TOPICS)]
        self.document_topic = np.repeat(np.arange(n_all), docs_per_topic)
        noise = self._noise(rng, len(self.document_topic))
        self._documents = self._mu + centres[self.document_topic] + spread[self.document_topic, None] * noise
        popularity = np.arange(1, docs_per_topic + 1) ** -0.6
        self._popularity = popularity / popularity.sum()

        # The users: what each likes to ask, how often, and through which segment.
        self._log_prior = np.r_[np.log(rng.dirichlet(np.full(n_topics, 6.0))), [-np.inf] * LATENT_TOPICS]
        self._user_segment = rng.choice(len(SEGMENTS), n_users, p=[share for share, _ in SEGMENTS.values()])
        self._user_taste = 0.8 * rng.normal(size=(n_users, n_all))
        activity = rng.gamma(0.7, size=n_users) + 0.02
        self._user_activity = activity / activity.sum()
        self._weekend_log_odds = np.r_[weekend * rng.normal(size=n_topics), [0.0] * LATENT_TOPICS]

        # The next embedder: rotation angles and the planes they turn in, from a skew-symmetric matrix.
        skew = rng.normal(size=(dim, dim))
        angles, self._planes = np.linalg.eigh(1j * (skew - skew.T) / 2)
        self._angles = angles / np.abs(angles).max()
        random_direction = unit(rng.normal(size=dim))
        self._directions = {
            "pc1": self._axes[:, 0],
            "random": random_direction,
            "tail": self._axes[:, -1],
        }

        self.threshold = -1.0  # answer everything during the week that sets it
        week_before = self.run(7, start=-7).outcomes["best_similarity"]
        self.threshold = float(week_before.quantile(NO_ANSWER_SHARE))

    def run(self, days: int, events: Iterable[Event] = (), start: int = 0) -> Log:
        """Simulate the days `start` to `start + days - 1` and return their `Log`.

        Raises ValueError for a range of days or an event that this product cannot have.
        """
        if days < 1 or start < EARLIEST_DAY:
            raise ValueError(f"days={days}, start={start}: run at least one day, from day {EARLIEST_DAY} on")
        events = self._checked(events)
        wander = self._wander_path(start + days)
        logs = [self._day(day, wander[day], events) for day in range(start, start + days)]
        columns = {name: np.concatenate([log[name] for log in logs]) for name in logs[0]}
        embeddings = columns.pop("embeddings")
        columns["segment"] = pd.Categorical.from_codes(columns["segment"], list(SEGMENTS))
        return Log(embeddings, pd.DataFrame(columns))

    def index(self, day: int, events: Sequence[Event] = ()) -> Index:
        """Return the index as it is live on `day`."""
        events, live = self._checked(events), self.document_topic < self.n_topics
        rotation = np.eye(self.dim)
        for event, level in active_events(events, day):
            if event.kind == "new_topic" and event.index_follows:
                live = live | (self.document_topic == self.n_topics + event.topic)
            if event.kind == "remove_docs":
                removal_order = np.random.default_rng([self.seed, 4]).random(len(live))
                live = live & ~((self.document_topic == event.topic) & (removal_order < level))
            if event.kind == "rotation" and event.index_follows:
                rotation = self._rotation(level) @ rotation
        if not live.any():
            raise ValueError("events remove every document: nothing can be searched")
        return Index(unit(self._documents[live] @ rotation.T), np.flatnonzero(live))

    def probe_success(self, day: int, events: Sequence[Event] = (), n_probes: int = 300) -> float:
        """Success rate of frozen probes: the same queries with known answers, asked anew on `day`.

        The texts never change, so on days without an event the rate is the same to the last bit.
        """
        events = self._checked(events)
        if n_probes < 1:
            raise ValueError(f"n_probes={n_probes} must be at least 1")
        rng = np.random.default_rng([self.seed, 5])
        share = np.tile(self._popularity, self.n_topics) / self.n_topics
        wanted = rng.choice(len(share), n_probes, p=share)
        texts = self._documents[wanted] + QUERY_SPREAD * self._noise(rng, n_probes)
        for event, level in active_events(events, day):
            if event.kind == "rotation":
                texts = texts @ self._rotation(level).T
        answers = self._retrieve(unit(texts), wanted, self.index(day, events))
        return float(np.mean((answers.rank <= self.top_k) & (answers.best_similarity >= self.threshold)))

    def _checked(self, events: Iterable[Event]) -> tuple[Event, ...]:
        if isinstance(events, Event):
            raise ValueError("events must be a list of events: write [event]")
        for event in (events := tuple(events)):
            known = LATENT_TOPICS if event.kind == "new_topic" else self.n_topics
            if not 0 <= event.topic < known:
                raise ValueError(f"topic={event.topic} of a {event.kind} event must be from 0 to {known - 1}")
        return events

    def _noise(self, rng: np.random.Generator, n: int) -> NDArray:
        return (rng.normal(size=(n, self.dim)) * self._scale) @ self._axes.T

    def _rotation(self, size: float) -> NDArray:
        turned = self._planes @ np.diag(np.exp(1j * size * self._angles)) @ self._planes.conj().T
        return np.real(turned)

    def _wander_path(self, end: int) -> dict[int, NDArray]:
        """Log-odds of the topics, an AR(1) process from EARLIEST_DAY on: natural, harmless change."""
        rng = np.random.default_rng([self.seed, 2])
        n = self.n_topics + LATENT_TOPICS
        state, path = self.wander * rng.normal(size=n), {}
        fresh = self.wander * np.sqrt(1 - WANDER_MEMORY**2)
        for day in range(EARLIEST_DAY, end):
            state = WANDER_MEMORY * state + fresh * rng.normal(size=n)
            path[day] = state
        return path

    def _dice(self, day: int) -> Dice:
        rng = np.random.default_rng([self.seed, 3, day + 1000])
        traffic = self.queries_per_day * (0.6 if is_weekend(day) else 1.0)
        n_sessions = rng.poisson(traffic / self.session_length)
        session = np.repeat(np.arange(n_sessions), rng.geometric(1 / self.session_length, n_sessions))
        n = len(session)
        user = rng.choice(len(self._user_activity), n_sessions, p=self._user_activity)[session]
        keeps_theme, theme = rng.random(n) < self.loyalty, rng.random((n_sessions, 2))[session]
        topic, document, own = rng.random(n), rng.random(n), rng.random((n, 2))
        noise = self._noise(rng, n)
        return Dice(
            session=session,
            user=user,
            topic=np.where(keeps_theme, theme[:, 0], topic),
            document=document,
            joins_new_topic=np.where(keeps_theme, theme[:, 1], own[:, 0]),
            arrives_null=own[:, 1],
            noise=noise,
            click=rng.random(n),
            escalation=rng.random(n),
            delay=rng.geometric(0.25, n),
        )

    def _day(self, day: int, wander: NDArray, events: Sequence[Event]) -> dict[str, NDArray]:
        dice = self._dice(day)
        segment = self._user_segment[dice.user]
        active = [(event, level, applies_to(event, segment)) for event, level in active_events(events, day)]

        topic = self._ask_topics(day, dice, wander, active)
        position = np.searchsorted(self._popularity.cumsum(), dice.document * 0.999999)
        wanted = topic * self.docs_per_topic + position
        queries = self._embed(self._documents[wanted], dice, segment, active)
        answers = self._retrieve(queries, wanted, self.index(day, events))

        no_answer = answers.best_similarity < self.threshold
        success = (answers.rank <= self.top_k) & ~no_answer
        p_click = np.where(success, CLICK_ON_SUCCESS / answers.rank**CLICK_DECAY, CLICK_ON_FAILURE)
        p_click[no_answer] = 0.0
        p_escalation = np.where(success, ESCALATION_ON_SUCCESS, ESCALATION_ON_FAILURE)
        for event, level, _ in active:
            if event.kind == "ui":
                p_click = p_click * (1 - level)
            if event.kind == "staffing":
                p_escalation = p_escalation * (1 + level)
        return {
            "embeddings": queries.astype(np.float32),
            "day": np.full(len(topic), day, np.int32),
            "session": day * 1_000_000 + dice.session,
            "user": dice.user.astype(np.int32),
            "segment": segment,
            "best_similarity": answers.best_similarity.astype(np.float32),
            "answer_topic": self.document_topic[answers.first_document].astype(np.int16),
            "no_answer": no_answer,
            "click": dice.click < p_click,
            "escalation": dice.escalation < p_escalation,
            "escalation_day": (day + dice.delay).astype(np.int32),
            "success": success,
            "topic": topic.astype(np.int16),
            "rank": answers.rank.astype(np.int16),
        }

    def _ask_topics(self, day: int, dice: Dice, wander: NDArray, active: list) -> NDArray:
        log_odds = self._log_prior + wander + (self._weekend_log_odds if is_weekend(day) else 0)
        logits = log_odds + self._user_taste[dice.user]
        for event, level, applies in active:
            if event.kind == "mix":
                logits[applies, event.topic] += level
        weight = np.exp(logits - logits.max(axis=1, keepdims=True))
        share = weight / weight.sum(axis=1, keepdims=True)
        topic = (share.cumsum(axis=1) < dice.topic[:, None]).sum(axis=1).clip(max=self.n_topics - 1)
        for event, level, applies in active:
            if event.kind == "new_topic":
                topic[applies & (dice.joins_new_topic < level)] = self.n_topics + event.topic
        return topic

    def _embed(self, texts: NDArray, dice: Dice, segment: NDArray, active: list) -> NDArray:
        scale = QUERY_SPREAD * np.array([noise for _, noise in SEGMENTS.values()])[segment]
        for event, level, applies in active:
            if event.kind == "spread":
                scale = np.where(applies, scale * (1 + level), scale)
        queries = texts + scale[:, None] * dice.noise
        for event, level, applies in active:
            if event.kind == "mean_shift":
                queries[applies] += level * self._directions[event.direction]
            if event.kind == "truncate":
                queries[applies] = self._mu + (1 - level) * (queries[applies] - self._mu)
        for event, level, applies in active:
            if event.kind == "rotation":
                queries[applies] = queries[applies] @ self._rotation(level).T
        for event, level, applies in active:
            if event.kind == "null_vectors":
                queries[applies & (dice.arrives_null < level)] = self._mu
        return unit(queries)

    def _retrieve(self, queries: NDArray, wanted: NDArray, index: Index) -> Answers:
        """Exact search; the rank of a document is one more than the number of documents above it."""
        similarity = queries @ index.embeddings.T
        place = np.searchsorted(index.documents, wanted).clip(max=len(index.documents) - 1)
        own = np.take_along_axis(similarity, place[:, None], axis=1)
        rank = np.where(index.documents[place] == wanted, 1 + (similarity > own).sum(axis=1), NOT_INDEXED)
        return Answers(similarity.max(axis=1), index.documents[similarity.argmax(axis=1)], rank)
