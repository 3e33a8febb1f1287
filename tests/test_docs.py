"""Real text: the frozen vectors are whole and hold no text, retrieval is real, stories do what they say."""

import json
import re
import shutil
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from helpers import docsearch, docstrings
from helpers.docsearch import FOLDER, STORIES, DocSearch, retrieve
from helpers.metrics import classifier_auc, mmd2

SEARCH = DocSearch.load()
LOGS = {story: SEARCH.run(story) for story in STORIES}
REWRITTEN = docsearch.REWRITTEN


def later(story):
    """Return the outcomes of the four weeks in which a story happens."""
    return LOGS[story].days(56, 83).outcomes


def lost_success(story):
    return LOGS[story].days(0, 55).outcomes["success"].mean() - later(story)["success"].mean()


# --- the frozen files -----------------------------------------------------------------------


def test_files_are_those_of_the_manifest_and_small():
    files = json.loads((FOLDER / "manifest.json").read_text())["files"]
    there = {path.name for path in FOLDER.iterdir() if path.is_file()}
    assert there == {*files, "manifest.json", "build.py", "requirements.txt"}
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 6e6


def test_versions_of_the_manifest_are_those_that_the_script_asks_for():
    made_with = json.loads((FOLDER / "manifest.json").read_text())["made_with"]
    pins = dict(re.findall(r"^(\S+)==(\S+)$", (FOLDER / "requirements.txt").read_text(), re.MULTILINE))
    assert {name: number.split("+")[0] for name, number in made_with.items()}.items() <= pins.items()


def test_files_hold_vectors_and_qualified_names_and_no_text():
    for arrays in docsearch.read_frozen().values():
        for key, array in arrays.items():
            assert array.dtype.kind in "biufU", key
            if array.dtype.kind == "U":
                assert key in ("name", "page")
                assert [name for name in array if not re.fullmatch(r"[a-z]+(\.\w+)+", name)] == []


def test_rows_use_the_whole_range_of_int8():
    for arrays in docsearch.read_frozen().values():
        assert arrays["vectors"].dtype == np.int8
        assert (np.abs(arrays["vectors"].astype(int)).max(axis=1) == 127).all()


@pytest.fixture
def copy(tmp_path):
    for path in FOLDER.glob("*.npz"):
        shutil.copy(path, tmp_path)
    shutil.copy(FOLDER / "manifest.json", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["manifest.json", "documents.npz", "typos.npz"])
def test_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{name} is missing: restore it"):
        DocSearch.load(copy)


def test_file_that_was_cut_short_is_named(copy):
    path = copy / "queries.npz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"queries.npz has \d+ bytes instead of \d+"):
        DocSearch.load(copy)


def test_file_with_one_other_byte_is_named(copy):
    path = copy / "documents.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"documents.npz is not the file of the manifest"):
        DocSearch.load(copy)


@pytest.mark.parametrize("text", ["", "[1]", '{"made_with": {}}'])
def test_damaged_manifest_is_named(copy, text):
    (copy / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=r"manifest.json is damaged"):
        DocSearch.load(copy)


# --- retrieval ------------------------------------------------------------------------------


@given(st.integers(0, 10_000))
def test_retrieve_is_a_sorted_list(seed):
    rng = np.random.default_rng(seed)
    queries, documents = rng.normal(size=(4, 3)), rng.normal(size=(9, 3))
    target, there = rng.integers(0, 9, 4), rng.random(9) < 0.7
    there[0] = True
    found = retrieve(queries, documents, target, there)
    for query, wanted, row in zip(queries, target, found.itertuples(), strict=True):
        order = [k for k in np.argsort(-(documents @ query)) if there[k]]
        assert row.answer == order[0]
        assert row.best_similarity == pytest.approx(documents[order[0]] @ query)
        assert row.rank == (1 + order.index(wanted) if there[wanted] else 0)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"queries": [[1.0]]}, "queries has 1 columns and documents 2"),
        ({"queries": [[np.nan, 0.0]]}, "queries has NaN"),
        ({"target": [2]}, "target must give one row of documents, 0 to 1"),
        ({"target": [0, 1]}, "target must give one row"),
        ({"there": [False, False]}, "there must be 2 booleans"),
        ({"there": [1, 1]}, "there must be 2 booleans"),
    ],
)
def test_bad_input_of_retrieve_is_named(change, message):
    good = {"queries": [[1.0, 0.0]], "documents": [[1.0, 0.0], [0.0, 1.0]], "target": [0]}
    with pytest.raises(ValueError, match=message):
        retrieve(**good | change)


def test_reference_is_found_as_often_as_when_the_vectors_were_frozen():
    reference = LOGS["quiet"].days(0, 55).outcomes
    assert reference["rank"].between(1, 5).mean() == pytest.approx(0.6645, abs=0.002)
    assert reference["no_answer"].mean() == pytest.approx(0.04, abs=0.001)


def test_success_is_the_right_page_among_five_and_an_answer():
    for log in LOGS.values():
        rows = log.outcomes
        assert (rows["success"] == ((rows["rank"] >= 1) & (rows["rank"] <= 5) & ~rows["no_answer"])).all()


# --- the stories ----------------------------------------------------------------------------


@pytest.mark.parametrize("story", STORIES)
def test_story_begins_in_week_eight(story):
    before, quiet = LOGS[story].days(0, 55), LOGS["quiet"].days(0, 55)
    np.testing.assert_array_equal(before.embeddings, quiet.embeddings)
    assert before.outcomes.equals(quiet.outcomes)
    assert not later(story).equals(later("quiet")) or story == "quiet"


@pytest.mark.parametrize("story", STORIES)
def test_no_query_of_the_reference_comes_again(story):
    rows = LOGS[story].outcomes
    reference, current = (rows.loc[rows["day"].between(*days), "query"] for days in ((0, 55), (56, 83)))
    assert reference.is_unique
    assert not set(reference) & set(current)
    assert (rows.groupby(rows["day"] // 7)["query"].nunique() == 250).all()


@pytest.mark.parametrize("one, other", [("quiet", "lost"), ("pandas", "pandas indexed")])
def test_twins_ask_the_same_to_the_last_bit_and_fare_differently(one, other):
    np.testing.assert_array_equal(LOGS[one].embeddings, LOGS[other].embeddings)
    assert abs(lost_success(one) - lost_success(other)) > 0.1


@pytest.mark.parametrize("story", REWRITTEN)
def test_rewritten_queries_are_others_that_ask_for_the_same_documents(story):
    assert later(story)["query"].equals(later("quiet")["query"])
    ours, theirs = (LOGS[name].days(56, 83).embeddings for name in (story, "quiet"))
    assert (ours != theirs).any(axis=1).mean() > 0.9  # a short query may have no word to swap


def test_newcomers_have_their_share():
    for story, share in docsearch.NEW_SHARE.items():
        library = "sklearn" if story == "mix" else "pandas"
        assert (later(story)["segment"] == library).mean() == pytest.approx(share)
    assert not (later("quiet")["segment"] == "pandas").any()


# Success lost as measured before, on other weeks and with another sentence as prefix.
MEASURED = {
    "quiet": -0.02, "mix": -0.03, "pandas indexed": 0.01, "pandas": 0.21, "few pandas": 0.04,
    "prefix": 0.10, "keywords": 0.26, "typos": 0.25, "lost": 0.17,
}  # fmt: skip


def test_stories_have_the_signs_and_the_order_of_what_was_measured():
    ours = {story: lost_success(story) for story in STORIES}
    harmless = {"quiet", "mix", "pandas indexed"}
    assert all(abs(ours[story]) < 0.05 for story in harmless)
    assert min(ours[story] for story in set(STORIES) - harmless) > max(ours[story] for story in harmless)
    assert spearmanr(list(ours.values()), [MEASURED[story] for story in ours]).statistic > 0.85


def test_gap_to_the_index_follows_harm_and_query_drift_does_not():
    harm = [lost_success(story) for story in STORIES]
    similarity = [-later(story)["best_similarity"].mean() for story in STORIES]
    reference = LOGS["quiet"].days(0, 48).embeddings
    drift = [mmd2(reference, LOGS[story].week(11).embeddings) for story in STORIES]
    gap, mmd = spearmanr(similarity, harm).statistic, spearmanr(drift, harm).statistic
    assert gap > 0.6 and gap > mmd + 0.2


def test_copies_of_a_query_look_like_drift_unless_they_share_a_fold():
    rng = np.random.default_rng(0)
    vectors = LOGS["quiet"].days(0, 13).embeddings
    x, y = rng.integers(0, 250, 500), rng.integers(250, 500, 500)
    assert classifier_auc(vectors[x], vectors[y]) > 0.7
    assert abs(classifier_auc(vectors[x], vectors[y], groups=(x, y)) - 0.5) < 0.06


def test_unknown_story_names_those_there_are():
    with pytest.raises(ValueError, match="story='fog': choose one of quiet, mix"):
        SEARCH.run("fog")


# --- pages ----------------------------------------------------------------------------------

DOCSTRING = """
    add(x, y, /)

    Add :func:`~lib.one` thing
    to another.

    Both count.

    Parameters
    ----------
    x : number

    See Also
    --------
    lib.subtract : Take ``one`` away,
        or several.
    multiply, divide
        Scale a number.
    nothing

    Notes
    -----
    Remember this.
    """


def test_page_is_taken_apart():
    page = docstrings.parse(DOCSTRING)
    assert page.title == "Add lib.one thing to another."
    assert page.body.startswith("Both count.") and page.body.endswith("Remember this.")
    assert "Take" not in page.body and "Scale" not in page.body
    assert page.see_also == {
        "lib.subtract": "Take one away, or several.",
        "multiply": "Scale a number.",
        "divide": "Scale a number.",
    }


def test_short_docstring_is_a_title():
    assert docstrings.parse("One line.") == ("One line.", "", {})
    assert docstrings.parse("") == ("", "", {})


@pytest.mark.parametrize("name", ["no_such_package.thing", "numpy.no_such_thing", "numpy.pi.no.thing"])
def test_what_is_not_installed_has_no_page(name):
    assert docstrings.page_of(name) is None
    assert docstrings.query_text(name, name) is None


def test_name_is_looked_up_from_the_page_outwards():
    documents = {"lib.a.f", "lib.f"}
    assert docstrings.resolve("f", "lib.a.g", documents) == "lib.a.f"
    assert docstrings.resolve("f", "lib.b.g", documents) == "lib.f"
    assert docstrings.resolve("lib.a.f", "other.g", documents) == "lib.a.f"
    assert docstrings.resolve("h", "lib.a.g", documents) is None


def test_installed_packages_still_hold_most_of_the_queries():
    rows = np.random.default_rng(0).choice(len(SEARCH.queries), 200, replace=False)
    texts = [docstrings.query_text(SEARCH.page[row], SEARCH.name[SEARCH.target[row]]) for row in rows]
    assert sum(text is not None and len(text.split()) >= 3 for text in texts) > 140


# --- the extra ------------------------------------------------------------------------------


def test_live_encoder_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "wordllama", None)
    with pytest.raises(ImportError, match="python -m pip install wordllama"):
        docsearch.live_encoder()
