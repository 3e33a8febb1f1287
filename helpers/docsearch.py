"""Real retrieval: a search over the documentation of four Python libraries, played week by week.

Documents are docstrings without their title line. Queries are title lines, and the lines with which other
pages recommend a page in their section "See Also". Both were encoded once by all-MiniLM-L6-v2; the vectors
and the qualified names are frozen in `notebooks/data`, made by its `build.py`. The right answer of a query
is the one page that it was written about, so success is measured and not assumed.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from helpers.log import Log
from helpers.windows import as_window

FOLDER = Path(__file__).resolve().parent.parent / "notebooks" / "data"
STORIES = {
    "quiet": "nothing happens",
    "mix": "60 % of the queries are about scikit-learn",
    "pandas indexed": "30 % of the queries are about pandas, whose pages were indexed first",
    "pandas": "30 % of the queries are about pandas, whose pages are not in the index",
    "few pandas": "6 % of the queries are about pandas, whose pages are not in the index",
    "prefix": "a new client puts the same sentence before each query",
    "keywords": "people type the three longest words",
    "typos": "in every other longer word, two letters change places",
    "lost": "a rebuild of the index loses 25 % of the documents",
}
NEW_LIBRARY, NEW_SHARE = "pandas", {"pandas indexed": 0.3, "pandas": 0.3, "few pandas": 0.06, "mix": 0.6}
LIBRARIES = ["numpy", "scipy", "sklearn", NEW_LIBRARY]
REWRITTEN = ("prefix", "keywords", "typos")
START, WEEKS, PER_WEEK, SHOWN = 8, 12, 250, 5  # the story begins in week START
UNANSWERED = 0.04  # share of the reference's queries


@dataclass(frozen=True)
class DocSearch:
    """Vectors of documents (n, 384) and queries (q, 384), float32 and of unit length, and what they are.

    name, lost : of each document its qualified name, and whether the story "lost" loses it.
    target, page, week : of each query the document asked for (a row of `documents`), the page on which its
        text stands, and the week in which it is asked; -1 for never, but in stories that need others.
    rewritten : for each story of `REWRITTEN`, the vectors of the queries from week `START` on.
    """

    documents: NDArray[np.float32]
    name: NDArray[np.str_]
    lost: NDArray[np.bool_]
    queries: NDArray[np.float32]
    target: NDArray[np.intp]
    page: NDArray[np.str_]
    week: NDArray[np.intp]
    rewritten: dict[str, NDArray[np.float32]]

    @classmethod
    def load(cls, folder: Path = FOLDER) -> "DocSearch":
        """Read the frozen files; see `read_frozen` for what is raised where they are not whole."""
        part = read_frozen(folder)
        documents, queries = part["documents"], part["queries"]
        return cls(
            documents=unit_rows(documents), name=documents["name"], lost=documents["lost"],
            queries=unit_rows(queries), target=queries["target"].astype(np.intp), page=queries["page"],
            week=queries["week"].astype(np.intp),
            rewritten={story: unit_rows(part[story]) for story in REWRITTEN},
        )  # fmt: skip

    @property
    def library(self) -> NDArray[np.str_]:
        """Library of each document, such as "numpy"."""
        return np.array([name.split(".")[0] for name in self.name])

    def index(self, story: str = "quiet") -> NDArray[np.bool_]:
        """Tell which documents are in the index from week `START` on; before, it is that of "quiet"."""
        if story not in STORIES:
            raise ValueError(f"story={story!r}: choose one of {', '.join(STORIES)}")
        there = (self.library != NEW_LIBRARY) | (story == "pandas indexed")
        return there & ~self.lost if story == "lost" else there

    def run(self, story: str = "quiet") -> Log:
        """Play twelve weeks of 250 queries: eight of reference, then four of the story.

        Outcomes: `day`; `segment`, the library asked about; `query`, its row in `queries`; `answer`, the
        document shown first; `best_similarity`; `no_answer`, if that lies below the 4 % quantile of the
        reference weeks; `rank` of the right document, 0 where it is not in the index; `success`, if the
        right one is among the five shown. Stories differ in nothing but what happens in them.
        """
        index = {False: self.index("quiet"), True: self.index(story)}
        rows, vectors = self._asked(story)
        week, parts = np.arange(len(rows)) // PER_WEEK, []
        for later in (False, True):
            these = (week >= START) == later
            parts.append(retrieve(vectors[these], self.documents, self.target[rows[these]], index[later]))
        outcomes = pd.concat(parts, ignore_index=True)
        floor = outcomes["best_similarity"][week < START].quantile(UNANSWERED)
        outcomes["no_answer"] = outcomes["best_similarity"] < floor
        outcomes["success"] = outcomes["rank"].between(1, SHOWN) & ~outcomes["no_answer"]
        outcomes.insert(0, "day", 7 * np.arange(len(rows)) // PER_WEEK)
        outcomes.insert(1, "segment", pd.Categorical(self.library[self.target[rows]], LIBRARIES))
        outcomes.insert(2, "query", rows)
        return Log(vectors, outcomes)

    def _asked(self, story: str) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Return the rows of the queries asked, week by week, and their vectors."""
        weeks = [np.flatnonzero(self.week == week) for week in range(WEEKS)]
        if story in NEW_SHARE:
            library, n = "sklearn" if story == "mix" else NEW_LIBRARY, round(NEW_SHARE[story] * PER_WEEK)
            about = self.library[self.target] == library
            pool = np.flatnonzero(about & ((self.week < 0) | (self.week >= START)))
            for number in range(START, WEEKS):
                new = pool[(n * (number - START) + np.arange(n)) % len(pool)]
                old = weeks[number][~about[weeks[number]]][: PER_WEEK - n]
                weeks[number] = np.concatenate([new, old])
        rows = np.concatenate(weeks)
        vectors = self.queries[rows]
        if story in REWRITTEN:
            later = np.flatnonzero(self.week >= START)
            vectors[START * PER_WEEK :] = self.rewritten[story][later.searchsorted(rows[START * PER_WEEK :])]
        return rows, vectors


def retrieve(
    queries: ArrayLike, documents: ArrayLike, target: ArrayLike, there: ArrayLike | None = None
) -> pd.DataFrame:
    """Cosine search: for each query the best document, its similarity, and the rank of the right one.

    queries (n, d) and documents (m, d) of unit length; target (n,), rows of documents; there (m,), boolean:
    which documents are in the index, by default all. Returns the columns `answer`, `best_similarity` and
    `rank`, which is 1 for the best document and 0 where the right one is not in the index.

    >>> retrieve([[1.0, 0.0], [0.6, 0.8]], [[0.0, 1.0], [1.0, 0.0]], [1, 1]).to_numpy().tolist()
    [[1.0, 1.0, 1.0], [0.0, 0.8, 2.0]]
    """
    q, d = (as_window(rows, name, least=1) for rows, name in ((queries, "queries"), (documents, "documents")))
    if q.shape[1] != d.shape[1]:
        raise ValueError(f"queries has {q.shape[1]} columns and documents {d.shape[1]}: use one encoder")
    wanted = np.asarray(target)
    if (
        wanted.shape != (len(q),)
        or wanted.dtype.kind not in "iu"
        or not np.isin(wanted, np.arange(len(d))).all()
    ):
        raise ValueError(f"target must give one row of documents, 0 to {len(d) - 1}, for each query")
    live = np.ones(len(d), bool) if there is None else np.asarray(there)
    if live.shape != (len(d),) or live.dtype != bool or not live.any():
        raise ValueError(f"there must be {len(d)} booleans, at least one of them true")
    similarity = q @ d.T
    own = similarity[np.arange(len(q)), wanted]
    similarity[:, ~live] = -np.inf
    rank = np.where(live[wanted], 1 + (similarity > own[:, None]).sum(axis=1), 0)
    return pd.DataFrame(
        {"answer": similarity.argmax(axis=1), "best_similarity": similarity.max(axis=1), "rank": rank}
    )


def unit_rows(part: dict[str, NDArray]) -> NDArray[np.float32]:
    """Take int8 rows back to float32, and each to length 1: storing has shortened it a little."""
    rows = part["vectors"].astype(np.float32) * part["scale"][:, None]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def read_frozen(folder: Path = FOLDER) -> dict[str, dict[str, NDArray]]:
    """Read the files that a folder's `manifest.json` lists, as name of the file to its arrays.

    Raises FileNotFoundError for a missing file, ValueError for one that is cut short or is not the one of
    the manifest. In a clone, `git checkout -- notebooks/data` brings them back.
    """
    mend = "restore it from the repository, or make all of them anew: python -m notebooks.data.build"
    path = Path(folder) / "manifest.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: {mend}")
    try:
        files = json.loads(path.read_text())["files"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {mend}") from error
    arrays = {}
    for name, wanted in files.items():
        path = Path(folder) / name
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: {mend}")
        content = path.read_bytes()
        if len(content) < wanted["bytes"]:
            raise ValueError(f"{path} has {len(content)} bytes instead of {wanted['bytes']}: {mend}")
        if hashlib.sha256(content).hexdigest() != wanted["sha256"]:
            raise ValueError(f"{path} is not the file of the manifest, its checksum is another: {mend}")
        with np.load(path, allow_pickle=False) as part:
            arrays[path.stem] = dict(part)
    return arrays


def live_encoder() -> Callable[[list[str]], NDArray[np.float32]]:
    """Return `encode(texts) -> (n, 256)` of unit length, by the optional package wordllama, offline.

    Another model than that of the frozen vectors: encode documents and queries both with it.
    """
    try:
        import wordllama
    except ImportError as error:
        raise ImportError("the live encoder is an extra: python -m pip install wordllama") from error
    model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    return lambda texts: model.embed(texts, norm=True)
