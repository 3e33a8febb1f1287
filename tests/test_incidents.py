"""An incident hands out what a team has, no more; its key is a counterfactual; the procedure solves it."""

from dataclasses import fields, is_dataclass

import numpy as np
import pandas as pd
import pytest

from helpers import incidents
from helpers.events import Event
from helpers.exercises.incident import FORM, LOOK, check_case
from helpers.incidents import answer_key, at_equal_answers, incident, investigate, onset
from helpers.synthetic import Product

UNSEEN = range(2000, 2024)  # no size, limit or rule was chosen by looking at these
EFFECTS = ["success", "click"]


@pytest.fixture(scope="module")
def case():
    return incident(11)


@pytest.fixture(scope="module")
def key(case):
    return answer_key(case)


# --- what is handed out ---------------------------------------------------------------------


def everything_in(thing):
    """Yield a thing and all that can be reached from it."""
    yield thing
    if is_dataclass(thing):
        thing = [getattr(thing, field.name) for field in fields(thing)]
    if isinstance(thing, dict):
        thing = list(thing.values())
    if isinstance(thing, list | tuple):
        for part in thing:
            yield from everything_in(part)


def test_a_learner_gets_no_hidden_column_and_no_event(case):
    held = list(everything_in(case))
    assert not [thing for thing in held if isinstance(thing, Event | Product)]
    columns = set(case.log.outcomes)
    assert not columns & {"topic", "rank"}
    assert {"click", "success", "segment", "answer_topic", "best_similarity"} <= columns
    assert {type(thing).__name__ for thing in held} <= {
        *("Incident", "Probes", "Log", "DataFrame", "Series", "ndarray", "str", "int", "float")
    }


def test_no_ticket_comes_from_the_future(case):
    rows = case.log.outcomes
    assert rows.loc[rows["escalation"], "escalation_day"].max() == incidents.TODAY - 1
    product = Product(11, queries_per_day=1200).run(28, start=-28).outcomes
    past = case.past.outcomes
    assert past["escalation"].equals(product["escalation"]), "the quiet days' tickets are all in"


def test_the_page_says_what_the_log_says(case):
    rows = case.log.outcomes
    now, quiet = rows[rows["day"] >= 25], rows[rows["day"].between(-14, -1)]
    line = f"click-through    {100 * quiet['click'].mean():.1f} -> {100 * now['click'].mean():.1f}"
    assert line in case.page


def test_probes_move_with_the_embedder_only_and_fail_on_the_empty_shelf_only(case):
    asked = case.probes
    assert incidents.new_embedder(asked) == 20
    assert (asked.vectors[:20] == asked.vectors[0]).all() and (asked.vectors[20:] == asked.vectors[20]).all()
    failing = ~asked.found
    assert not failing[:22].any() and (failing[22:] == failing[22]).all()
    assert set(asked.shelf[failing[22]]) == {5} == {incidents.broken_shelf(asked)}
    counts = pd.Series(asked.shelf).value_counts()
    assert len(counts) == 12 and (counts == 25).all()


def test_an_index_left_behind_fails_probes_of_many_shelves_from_the_day_of_the_upgrade():
    case = incident(2001)
    assert "upgrade, index left behind" in answer_key(case).index
    day, failing = incidents.new_embedder(case.probes), ~case.probes.found
    assert not failing[:day].any()
    assert len(np.unique(case.probes.shelf[failing[day]])) >= 4
    assert incidents.broken_shelf(case.probes) is None


def test_a_half_empty_shelf_is_named_although_an_index_was_left_behind():
    case = incident(3010)
    assert {"documents removed", "upgrade, index left behind"} <= set(answer_key(case).index)
    assert f"shelf {incidents.broken_shelf(case.probes)}" in set(answer_key(case)["where"])


def test_documents_are_counted_day_by_day(case):
    change = case.documents.diff().dropna()
    assert change[change != 0].to_dict() == {18: 60, 22: -42}


def test_the_same_seed_is_the_same_incident_and_another_one_is_not(case):
    again, other = incident(11), incident(12)
    assert again.page == case.page != other.page
    assert (again.log.embeddings == case.log.embeddings).all()
    assert again.log.outcomes.equals(case.log.outcomes)


@pytest.mark.parametrize("seed", [-1, 1.5, "11", None])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises((ValueError, TypeError), match="seed"):
        incident(seed)


def test_neighbouring_seeds_differ_in_their_causes_and_each_has_one_that_hurts():
    kinds = [frozenset(incidents._story(seed, 100)[1]) for seed in range(100, 140)]
    assert len(set(kinds)) == 40
    assert {len(each) for each in kinds} == {2, 3, 4}
    assert set().union(*kinds) == set(incidents.KINDS)
    assert all(each - incidents.INNOCENT for each in kinds)
    assert not [each for each in kinds for pair in incidents.APART if pair <= each]


# --- the key --------------------------------------------------------------------------------


def test_the_key_is_the_difference_to_the_same_days_without_one_cause(key):
    product, causes = Product(11, queries_per_day=1200), dict(incidents.CAUSES)
    with_all = product.run(35, causes.values())
    gone = causes.pop("documents removed")
    without = product.run(35, causes.values())
    effect = with_all.days(25, 34).outcomes[EFFECTS].mean() - without.days(25, 34).outcomes[EFFECTS].mean()
    row = key.loc["documents removed"]
    assert row[EFFECTS].astype(float).to_numpy() == pytest.approx(effect.to_numpy(), abs=1e-12)
    assert (row["where"], row["day"]) == (f"shelf {gone.topic}", gone.start)


def test_the_notebooks_incident_has_the_effects_of_the_study_it_comes_from():
    small = answer_key(incident(11, queries_per_day=400))
    expected = pd.DataFrame(
        {"success": [0.007, 0, -0.060, 0], "click": [0.003, 0, -0.030, -0.042]}, index=small.index
    )
    assert (small[EFFECTS] - expected).abs().max(axis=None) < 0.001
    assert small.at["documents removed", "escalation"] == pytest.approx(0.011, abs=0.001)
    assert (small.loc["upgrade, index rebuilt", incidents.EFFECTS] == 0).all()


def test_what_a_learner_does_to_a_key_stays_with_her(case):
    mine = answer_key(case)
    mine.loc[:, "success"] = 1.0
    assert (answer_key(case)["success"] < 0.1).all()


# --- the procedure --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", UNSEEN)
def test_the_procedure_recovers_every_cause_of_an_unseen_incident_to_two_points(seed):
    case = incident(seed)
    found, truth = investigate(case), answer_key(case).set_index("where")[EFFECTS]
    assert set(truth.index) <= set(found.index), "each cause has its row"
    error = found.sub(truth, fill_value=0.0)  # a row without a cause should be zero
    assert error.abs().max(axis=None) < 0.02, error


def test_the_procedure_reads_nothing_but_what_is_handed_out(case, monkeypatch):
    def closed(*_):
        raise AssertionError("the procedure looked at the truth")

    monkeypatch.setattr(incidents, "_story", closed)
    monkeypatch.setattr(incidents, "_key", closed)
    now, past = case.log.days(25, 34).outcomes[EFFECTS], case.past.outcomes[EFFECTS]
    assert investigate(case).sum().to_numpy() == pytest.approx((now.mean() - past.mean()).to_numpy())


def test_clicks_at_equal_answers_see_the_page_and_nothing_else():
    product = Product(0)
    past = product.run(28, start=-28)
    events = {
        "nothing": [],
        "page": [Event("ui", size=0.2)],
        "documents": [Event("remove_docs", size=0.7, topic=3)],
    }
    ratio = {
        name: at_equal_answers(product.run(14, happened), past, "click").mean()
        for name, happened in events.items()
    }
    assert ratio["page"] == pytest.approx(0.8 * ratio["nothing"], abs=0.01)
    assert ratio["documents"] == pytest.approx(ratio["nothing"], abs=0.02)


def test_an_onset_is_the_split_that_leaves_the_least_squares():
    rng = np.random.default_rng(0)
    for length, step in [(12, 4), (35, 22), (35, 31)]:
        line = pd.Series(rng.normal(size=length), index=range(5, 5 + length))
        line.iloc[step:] += 2.0
        squares = {
            day: ((line.loc[: day - 1] - line.loc[: day - 1].mean()) ** 2).sum()
            + ((line.loc[day:] - line.loc[day:].mean()) ** 2).sum()
            for day in line.index[3:-2]
        }
        assert onset(line) == min(squares, key=squares.get)


def test_a_series_too_short_to_split_is_refused():
    with pytest.raises(ValueError, match="daily has 5 days: give at least 6"):
        onset(pd.Series(range(5)))


# --- the checks -----------------------------------------------------------------------------


def said(capsys, *arguments):
    capsys.readouterr()
    check_case(*arguments)
    return capsys.readouterr().out.strip()


def right_answers(case):
    return {
        "embedder": 20,
        "index": "rebuilt",
        "shelf": np.int64(5),
        "client": None,
        "newcomers": "with documents",
        "days": {"newcomers": 18, "everywhere": 20, "shelf 5": 22, "behind the search": 23},
        "effects": investigate(case),
        "innocent": ["newcomers", "everywhere"],
    }


def test_right_answers_are_called_correct(case, capsys):
    right = right_answers(case)
    assert set(right) == set(FORM) == set(LOOK)
    for question, answer in right.items():
        assert said(capsys, case, question, answer) == f"{question}: correct."


@pytest.mark.parametrize(
    ("question", "answer", "told"),
    [
        ("embedder", 22, "A frozen text keeps its vector"),
        ("embedder", None, "A frozen text keeps its vector"),
        ("index", "left behind", "probes of many shelves"),
        ("shelf", 12, "Which shelf do the probes share"),
        ("client", "mobile", "Compare the fall"),
        ("newcomers", "without documents", "does the search serve them"),
        ("days", {"everywhere": 20}, "3 of 4 are missing"),
        ("days", [20, 22], "Asked for: a dict"),
        ("days", {"shelf five": 22}, "There is no such place: shelf five"),
        ("days", {"shelf 5": 12}, "Off by more than three days: shelf 5"),
        ("days", {"client web": 22}, "Nothing happened there: client web"),
        ("shelf", "five", "not a number but a str. Asked for: the number"),
        ("innocent", ["newcomers"], "1 too many or too few"),
        ("innocent", ["newcomers", "everywhere", "shelf 5"], "1 too many or too few"),
    ],
)
def test_a_wrong_answer_is_told_where_to_look_and_not_what_is_right(case, capsys, question, answer, told):
    out = said(capsys, case, question, answer)
    assert out.startswith(f"{question}: not yet. ") and told in out


def test_wrong_effects_are_named_and_points_are_told_from_fractions(case, capsys):
    found = investigate(case)
    assert "These are points" in said(capsys, case, "effects", 100 * found)
    assert "a loss is negative" in said(capsys, case, "effects", -found)
    found.loc["shelf 5", "success"] += 0.03
    out = said(capsys, case, "effects", found)
    assert "More than two points off: shelf 5." in out
    assert "off: shelf 5." in said(capsys, case, "effects", investigate(case).drop("shelf 5"))


def test_a_client_and_an_index_left_behind_are_known_where_they_are_true(capsys):
    cases = {seed: incident(seed) for seed in (2001, 2004)}
    assert said(capsys, cases[2001], "index", "left behind") == "index: correct."
    assert said(capsys, cases[2001], "newcomers", "without documents") == "newcomers: correct."
    assert said(capsys, cases[2004], "client", "web") == "client: correct."
    assert said(capsys, cases[2004], "shelf", None) == "shelf: correct."


def test_a_shelf_may_be_called_by_its_name(case, capsys):
    assert said(capsys, case, "shelf", "shelf 5") == "shelf: correct."


@pytest.mark.parametrize("question", FORM)
def test_a_check_says_not_attempted_and_never_raises(case, capsys, question):
    for dots in [(), (...,)]:
        assert said(capsys, case, question, *dots).startswith(f"{question}: not attempted. ")
    frame = pd.DataFrame({"success": ["x"], "click": [None]})
    for odd in [
        "",
        -1,
        np.nan,
        [],
        {},
        {"shelf 5": "x"},
        [[1]],
        object(),
        frame,
        np.zeros(3),
        frame["click"],
    ]:
        assert said(capsys, case, question, odd).startswith(f"{question}: not yet. ")


def test_an_unknown_question_names_the_known_ones(case, capsys):
    for odd in ["who", None, 3, ["days"]]:
        out = said(capsys, case, odd, 1)
        assert out.startswith("?: there is no such question. There are: embedder, index, ")
