"""Figures say in words what they show, hold the data, repeat to the byte, and can be told apart."""

import copy
import io
from collections.abc import Callable
from functools import cache
from itertools import combinations
from typing import Any, NamedTuple

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import wasserstein_distance

from helpers import plots
from helpers.plots.base import thinned
from helpers.plots.dashboard import COLOURS_OF_LINES
from report import figures
from report.panel import Score

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture
def shown(monkeypatch):
    """Collect what `show` hands to the notebook: data and metadata."""
    calls = []

    def collect(data, metadata=None, raw=False):
        assert raw
        calls.append((data, metadata))

    monkeypatch.setattr("helpers.plots.base.display", collect)
    return calls


def axes():
    return plots.canvas()[0, 0]


def words(drawn):
    return plots.alt_text(plots.figure_of(drawn))


# One case for each figure: what to draw, and what its description must then say, from the data alone.


class Case(NamedTuple):
    """A plotting function, the number of panels it fills (None: it draws into one `Axes`), its data."""

    function: Callable[..., Any]
    panels: int | None
    make: Callable[[], tuple[dict[str, Any], list[str]]]  # arguments and phrases, fresh every time


CASES: dict[str, Case] = {}


def case(function, panels=None):
    def register(make):
        CASES[function.__name__] = Case(function, panels, make)
        return make

    return register


def draw(name, *, more_panels=0, **changes):
    """Draw a case, with some arguments changed, into as many panels as it has, or more, or fewer."""
    function, panels, make = CASES[name]
    grid = plots.canvas(1, (panels or 1) + more_panels)
    return function(grid if panels else grid[0, 0], **{**make()[0], **changes})


def windows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 2)), rng.normal([1.5, -0.5], 2, size=(200, 2))


def weeks():
    return pd.Series([0.010, 0.012, 0.011, 0.0345, 0.013], index=range(5))


def random_table(*names, n=8, seed=1):
    values = np.random.default_rng(seed).normal(10, 2, (n, len(names)))
    return pd.DataFrame(values, columns=list(names))


def pair(values, digits=2):
    return "({:.{d}f}, {:.{d}f})".format(*values, d=digits)


def centre(rows, digits=2):
    return pair([sum(column) / len(rows) for column in np.transpose(rows)], digits)


def spread(rows):
    return pair([np.sqrt(((column - column.mean()) ** 2).mean()) for column in rows.T])


def extremes(values, unit):
    (first, low), *_, (last, high) = values.sort_values().items()
    return f"between {low:.3g} ({unit} {first}) and {high:.3g} ({unit} {last})"


@case(plots.scatter)
def scatter_case():
    reference, current = windows()
    places = [
        f"reference as circles with centre {centre(reference)} and standard deviations {spread(reference)}",
        f"current as triangles with centre {centre(current)} and standard deviations {spread(current)}",
    ]
    return {"reference": reference, "current": current, "title": "Queries moved right"}, places


@case(plots.planes, panels=2)
def planes_case():
    reference, current = windows()
    panels = {"frozen": (reference, current), "refit": (current[:120], 2 * reference)}
    places = [
        f"{name}. before: centre {centre(old)}, spread {spread(old)}. "
        f"after: centre {centre(new)}, spread {spread(new)}."
        for name, (old, new) in panels.items()
    ]
    return {"panels": panels, "labels": ("before", "after"), "title": "Two planes"}, places


@case(plots.weekly_panels, panels=2)
def weekly_panels_case():
    first, second = windows()
    means = [
        f"week 1. Scatter of PC1 and PC2, mean {centre(first)}. "
        f"week 2 (event). Scatter of PC1 and PC2, mean {centre(second)}."
    ]
    return {"windows": {"week 1": first, "week 2": second}, "reference": first, "flagged": ["week 2"]}, means


@case(plots.histogram)
def histogram_case():
    values = windows()[0][:, 0]
    phrases = ["week 1: 300 values", f"mean {values.mean():.3f}", f"standard deviation {values.std():.3f}"]
    edges = np.linspace(-4, 4, 21)
    return {"values": values, "title": "One bump", "edges": edges, "label": "week 1"}, phrases


@case(plots.cdf_gap)
def cdf_gap_case():
    x, y = (rows[:, 0] for rows in windows())
    phrases = [
        f"medians {np.median(x):.3f} and {np.median(y):.3f}",
        f"the shaded area between them is {wasserstein_distance(x, y):.4f}.",
    ]
    return {"reference": x, "current": y, "title": "The area is the distance"}, phrases


@case(plots.scree)
def scree_case():
    phrases = [
        "6 components, falling from 40.0 % over 25.0 % to 3.0 %",
        "65 % for two components, 92 % for 4.",
    ]
    return {"shares": np.array([0.4, 0.25, 0.15, 0.12, 0.05, 0.03]), "title": "Two do not hold it"}, phrases


@case(plots.centres)
def centres_case():
    quiet = np.array([[0.1, 0.05], [-0.4, 0.1], [0.3, -0.4], [0.2, 0.05]])
    moved, ellipse = np.array([0.9, -0.7]), np.array([0.2, 0.1])
    phrases = [
        "4 weekly centres around the reference's at (0, 0): 3 lie outside",
        "half-axes (0.200, 0.100), all within the dashed circle of radius 0.500",
        "week 9 is a triangle at (0.900, -0.700).",
    ]
    data = {"quiet": quiet, "moved": moved, "ellipse": ellipse, "title": "One far week", "label": "week 9"}
    return data, phrases


@case(plots.bars)
def bars_case():
    values = pd.Series({"quiet": 95.4, "stale": 81.2, "rebuilt": 94.9})
    phrases = ["Horizontal bars of success (%): quiet 95.4, stale 81.2, rebuilt 94.9."]
    return {"values": values, "title": "Stale hurts", "xlabel": "success (%)", "base": "rebuilt"}, phrases


@case(plots.curves)
def curves_case():
    table = pd.DataFrame({"PSI": [9.1, 4.2, 1.3], "theory": [8.4, 4.1, 1.7]}, index=[10, 100, 1000])
    phrases = [
        "Lines of windows (%) over queries from 10 to 1,000: PSI from 9.1 to 1.3; theory from 8.4 to 1.7.",
        "A dotted line marks 2.5, a limit.",
    ]
    style = {"colours": ["other", "band"], "dashed": ["theory"], "log_x": True, "limit": (2.5, "a limit")}
    return {
        "table": table,
        "title": "It falls",
        "xlabel": "queries",
        "ylabel": "windows (%)",
        **style,
    }, phrases


@case(plots.timeline)
def timeline_case():
    phrases = [
        "energy distance over 5 weeks, between 0.01 (week 0) and 0.0345 (week 3).",
        "spans 0.0095 to 0.0135. launch is shaded from week 3 to 4.",
    ]
    style = {"band": (0.0095, 0.0135), "events": {"launch": (3, 4)}}
    return {"values": weeks(), "title": "One week stands out", "ylabel": "energy distance", **style}, phrases


@case(plots.null_panels, panels=2)
def null_panels_case():
    loud, calm = np.random.default_rng(2).normal(size=(2, 99))
    spans = [f"{x.min():.3g} to {x.max():.3g}, 95 % below {np.percentile(x, 95):.3g}" for x in (loud, calm)]
    phrases = [
        f"energy: p = 0.010 (noticed). Null from {spans[0]}; with the true labels 3.5.",
        f"novelty: p = 0.400. Null from {spans[1]}; with the true labels 0.25.",
    ]
    tests = {"energy": (3.5, 0.01, loud), "novelty": (0.25, 0.4, calm)}
    return {"tests": tests, "title": "One of two notices"}, phrases


@case(plots.score_history, panels=2)
def score_history_case():
    scores, quiet = random_table("energy", "novelty"), random_table("energy", "novelty", n=12, seed=3)
    phrases = [
        f"{name}. Line of this week over 8 weeks, {extremes(scores[name], 'week')}. The grey band (range of "
        f"the quiet weeks) spans {min(usual):.3g} to {max(usual):.3g}. launch is shaded from week 5 to 6."
        for name, usual in quiet.items()
    ]
    options = {"event": "launch", "weeks": (5, 6), "title": "Two histories"}
    return {"scores": scores, "quiet": quiet, **options}, phrases


@case(plots.heatmap)
def heatmap_case():
    table = pd.DataFrame({"shift": [85.0, 7.0], "spread": [8.0, 81.0]}, index=["energy", "novelty"])
    phrases = ["2 rows by 2 columns. energy: highest 85, shift; novelty: highest 81, spread."]
    return {"table": table, "title": "No metric sees everything"}, phrases


@case(plots.family_heatmap)
def family_heatmap_case():
    rows = pd.MultiIndex.from_tuples([("mean", "energy"), ("mean", "centroid"), ("crowd", "novelty")])
    table = pd.DataFrame([[85.0, 7.0], [80.0, 6.0], [8.0, 61.0]], rows, ["shift", "new topic"])
    phrases = [
        "3 rows by 2 columns. energy: highest 85, shift; centroid: highest 80, shift; novelty: highest 61,",
        "Families, from the top: mean, crowd.",
    ]
    return {"table": table, "title": "Two families"}, phrases


@case(plots.strips)
def strips_case():
    table = random_table("query_drift", "index_gap", n=7)
    ends = [f"{x} {min(v):.2f} to {max(v):.2f}, median {sorted(v)[3]:.2f}" for x, v in table.items()]
    phrases = [f"Strips of 7 points each, correlation: {'; '.join(ends)}."]
    return {"table": table, "title": "Seven years", "xlabel": "correlation"}, phrases


@case(plots.joined_timelines, panels=2)
def joined_timelines_case():
    table = random_table("drift", "success")
    drift, success = (extremes(table[name], "day") for name in table)
    phrases = [
        f"drift. Line of score over 8 days, {drift}. The grey band (usual range) spans 8.5 to 11.5. A is",
        f"A is shaded from day 2 to 3. success. Line of % of queries over 8 days, {success}.",
        "The grey band (usual range) spans 7.25 to 12.8.",
    ]
    bands = pd.DataFrame({"drift": [8.5, 11.5], "success": [7.25, 12.75]})
    options = {
        "events": {"A": (2, 3)},
        "outcomes": ["success"],
        "title": "Loud and harmless",
        "xlabel": "day",
    }
    return {"table": table, "bands": bands, **options}, phrases


@case(plots.harm_scatter)
def harm_scatter_case():
    events = random_table("gap", "effect", n=9).assign(kind=["upgrade", "launch", "page"] * 3)
    values = events[["gap", "effect"]].to_numpy()
    means = [f"{kind} {centre(values[row::3], 1)}" for row, kind in enumerate(events["kind"][:3])]
    phrases = ["9 events, gap (z) against", "lines at 2.5 and -1.", f"Means by kind: {'; '.join(means)}."]
    options = {"score": "gap", "title": "Nine events", "xlabel": "gap (z)", "limit": 2.5}
    return {"events": events, **options}, phrases


@case(plots.placebo_paths)
def placebo_paths_case():
    days = pd.RangeIndex(-3, 6)
    path = pd.Series([1.0, 0, 1, -4, -5, -6, -5, -4, -3], days)
    placebos = random_table(*"abcdefghij", n=9).set_index(days) - 10
    low, high = np.percentile(placebos.to_numpy()[3:].mean(axis=0), [5, 95])
    phrases = [
        "success (points) from day -3 to 5 around an onset, over 10 grey placebo paths.",
        f"Mean from day 0 on: -4.5; 90 % of the placebos' means lie from {low:+.1f} to {high:+.1f}.",
    ]
    return {"path": path, "placebos": placebos, "title": "It fell", "ylabel": "success (points)"}, phrases


@case(plots.change_map)
def change_map_case():
    change, truth, found = (
        pd.DataFrame(values, ["upgrade", "launch"], ["success", "clicks"])
        for values in (
            [[-4.4, 0.6], [-6.0, -2.3]],
            [[-4.5, 0.1], [-5.5, -3.4]],
            [[True, False], [True, True]],
        )
    )
    phrases = [
        "2 alarms by 2 outcomes",
        "Found: upgrade, success -4.4  (-4.5); launch, success -6.0  (-5.5); launch, clicks -2.3  (-3.4).",
    ]
    return {"change": change, "truth": truth, "found": found, "title": "One answer"}, phrases


@case(plots.mix_and_rate)
def mix_and_rate_case():
    table = pd.DataFrame({"mix": [0.5, -2.25, 0.1], "rate": [-1.5, -3.5, 0.2]}, ["lamps", "novel", "beds"])
    phrases = [
        "bars of change (points) for 3 buckets: mix -1.65 and rate -4.8 together;",
        "the largest is novel with mix -2.25 and rate -3.5.",
    ]
    return {"table": table, "title": "The novel bucket", "xlabel": "change (points)"}, phrases


@case(plots.quadrants)
def quadrants_case():
    points = pd.DataFrame({"probes": [4.0, 0.5], "gap": [1.6, 5.7]}, index=["lost", "launch"])
    phrases = ["Plane of probes and gap, cut at 1 and 3: lost at (4.0, 1.6); launch at (0.5, 5.7)."]
    options = {"limits": (1.0, 3.0), "corners": ["neither", "supply", "demand", "both"]}
    return {"points": points, "title": "Four owners", **options}, phrases


@case(plots.control_chart)
def control_chart_case():
    z = pd.Series([0.5, -1.25, 1.0, 2.0, 3.0, 0.25], index=range(4, 10))
    phrases = [
        "Control chart of EWMA from day 4 to 9: daily scores as points between -1.25 and 3.00, the state as "
        "a line up to 1.20, a dotted limit at 0.90; 2 alarms, on day 7, 8. launch is shaded from day 6 to 8."
    ]
    states = np.array([0.1, -0.2, 0.3, 0.95, 1.2, 0.05])
    options = {"limit": 0.9, "label": "EWMA", "events": {"launch": (6, 8)}, "title": "Two alarms"}
    return {"z": z, "states": states, **options}, phrases


@case(plots.alarm_map)
def alarm_map_case():
    table = pd.DataFrame({"days\nby query": [4.0, 81.6], "weeks": [0.0, 42.0]}, index=["calm", "real"])
    phrases = ["Table of quiet windows. calm: days by query 4, weeks 0; real: days by query 82, weeks 42."]
    return {"table": table, "title": "It rings", "unit": "quiet windows"}, phrases


@case(plots.budget_strips)
def budget_strips_case():
    rates = pd.DataFrame({"novelty": [0.0, 0.5, 4.5], "index_gap": [1.0, 3.5, 2.0]})
    phrases = [
        "Strips of 3 points each, alarms a quarter: novelty 0.00 to 4.50, median 0.50; index_gap 1.00 to",
        "marks the budget, 1; a grey span (most teams) from 0.25 to 3.19 holds 50% of the points.",
    ]
    options = {"budget": 1, "span": (0.25, 3.19), "span_label": "most teams", "title": "It varies"}
    return {"rates": rates, "xlabel": "alarms a quarter", **options}, phrases


@case(figures.null_strips)
def null_strips_case():
    null = np.random.default_rng(4).normal(5, 2, 199)
    values = {"mmd2": (11.0, 0.02), "novelty_share": (6.0, 0.3), "spread_ratio": (50.0, 0.01)}
    scores = [Score(name, value, null, 0.01, p, 100) for name, (value, p) in values.items()]
    a, b, c, limit = (np.array([11, 6, 50, np.percentile(null, 95)]) - null.mean()) / null.std()
    phrases = [
        f"Strips of 3 nulls, one a score: MMD² {a:.1f} (95 % point {limit:.1f}, beyond chance), novelty "
        f"share {b:.1f} (95 % point {limit:.1f}, within chance), spread ratio {c:.1f} (95 % point"
    ]
    return {"scores": scores, "title": "Two of three"}, phrases


@case(figures.drift_and_harm)
def drift_and_harm_case():
    table = pd.DataFrame({"drift": [-0.5, 177.0], "harm": [-12.2, 0.835]}, index=["relabel", "contrast"])
    phrases = ["drift against accuracy (points)", "relabel: -0.5, -12.2; contrast: 177, +0.835."]
    return {"table": table, "title": "Loud is harmless", "ylabel": "accuracy (points)"}, phrases


@case(figures.small_images, panels=3)
def small_images_case():
    images = np.random.default_rng(5).random((3, 8, 8))
    phrases = ["3 small grey images: row 7, row 20, row 3."]
    return {"images": images, "names": ["row 7", "row 20", "row 3"], "title": "Three scans"}, phrases


@case(plots.shelf_map)
def shelf_map_case():
    table = pd.DataFrame([[0.0, 25.4], [6.0, 4.6], [0.0, 0.4]], ["lost", "stale", "launch"], ["a", "b"])
    phrases = [
        "Heat map of probes that fail (%), 3 rows by 2 of shelf. lost: at most 25 in b, 1 columns not "
        "empty; stale: at most 6 in a, 2 columns not empty; launch: all 0."
    ]
    return {"table": table, "title": "One shelf", "xlabel": "shelf", "unit": "probes that fail (%)"}, phrases


@case(plots.forest)
def forest_case():
    rows = [("launch", "raw", -0.8, 0.1, -0.9), ("launch", "controlled", -0.3, 0.1, -0.9),
            ("upgrade", "raw", 0.04, 0.1, 0.0), ("upgrade", "controlled", 0.7, 0.2, 0.0)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["case", "model", "estimate", "error", "truth"])
    phrases = [
        "Points with 95 % intervals of log-odds: launch, raw -0.80 +- 0.20; launch, controlled -0.30 +- 0.20",
        "upgrade, controlled +0.70 +- 0.39. Truth: launch -0.90, upgrade +0.00.",
    ]
    return {"table": table, "title": "A trap", "xlabel": "log-odds"}, phrases


@case(plots.found_and_true, panels=2)
def found_and_true_case():
    found = pd.DataFrame({"success": [-5.5, -0.01], "click": [-3.2, 0.3]}, index=["clean-up", "launch"])
    truth = pd.DataFrame({"success": [-5.4, 0.6], "click": [-3.0, 0.2]}, index=["clean-up", "launch"])
    phrases = [
        "success. Horizontal bars of effect (points), found and in brackets true: clean-up -5.5 (-5.4)",
        "clean-up -3.2 (-3.0), launch +0.3 (+0.2).",
    ]
    return {"found": found, "truth": truth, "title": "Close", "xlabel": "effect (points)"}, phrases


@case(plots.dots)
def dots_case():
    table = pd.DataFrame([[5.3, 0.1], [-0.2, 12.7]], ["raw", "aligned"], ["drift", "gap"])
    phrases = [
        "Dots of z, linear up to 1 and logarithmic beyond, grey from -0.66 to 0.66. raw: drift 5.3, gap 0.1; "
        "aligned: drift -0.2, gap 12.7."
    ]
    return {"table": table, "limit": 0.66, "title": "Quiet", "xlabel": "z"}, phrases


def case_of(name):
    """Return the arguments of a case."""
    return CASES[name].make()[0]


@cache
def drawn(name):
    """Return the figure of a case, drawn once for all who only look at it."""
    return plots.figure_of(draw(name))


every_figure = pytest.mark.parametrize("name", CASES)
every_row_of_panels = pytest.mark.parametrize("name", [name for name in CASES if CASES[name].panels])


def test_every_public_figure_has_a_case():
    helpers = {"alt_text", "canvas", "data", "describe", "figure_of", "png", "save_svg", "show", "use_style"}
    helpers |= {"dashboard_view"}  # a figure of its own: tests/dashboard/test_panels.py
    assert {name for name in plots.__all__ if name.islower()} - helpers <= set(CASES)


# Words.


def plain(data):
    """Turn data into lists, whose equality is exact and includes the labels of a table."""
    if isinstance(data, pd.DataFrame):
        return data.to_dict("split")
    if isinstance(data, pd.Series):
        return list(data.items())
    if isinstance(data, dict):
        return [(key, plain(value)) for key, value in data.items()]
    return [plain(value) for value in data] if isinstance(data, list | tuple | np.ndarray) else data


@every_figure
def test_a_figure_tells_its_title_and_its_numbers_and_leaves_its_data_as_they_were(name):
    arguments, phrases = CASES[name].make()
    before = plain(copy.deepcopy(arguments))
    text = words(draw(name, **arguments))
    assert plain(arguments) == before
    assert text.startswith(arguments.get("title", "week 1") + ". ")
    for phrase in phrases:
        assert phrase in text


def test_sentences_about_a_panel_add_up_and_panels_stay_apart():
    first, second = plots.canvas(1, 2)[0]
    plots.describe(first, "One.")
    plots.describe(first, "Two.")
    plots.describe(second, "Three.")
    assert words(first) == "One. Two. Three."
    assert words(plots.describe(axes(), "Four.")) == "Four."


def test_a_title_over_two_lines_is_read_as_one():
    ax = axes()
    ax.set_title("Drift\nis loud")
    ax.figure.suptitle("Week 4")
    assert words(plots.describe(ax, "A line.")) == "Week 4. Drift is loud. A line."


@pytest.mark.parametrize("place", ["left", "center", "right"])
def test_a_title_is_read_wherever_it_stands(place):
    ax = plots.describe(axes(), "A line.")
    ax.set_title("Drift\nis loud", loc=place)
    assert words(ax) == "Drift is loud. A line."


def test_titles_side_by_side_are_read_from_the_left():
    ax = axes()
    for place in ("right", "center", "left"):
        ax.set_title(f"the {place}", loc=place)
    assert words(ax) == "the left. the center. the right."


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("from -0.0 to -0", "from 0.0 to 0"),
        ("-0.05, -0.50, 1e-05", "-0.05, -0.50, 1e-05"),
        ("-0.00.", "0.00."),
    ],
)
def test_only_a_zero_loses_its_sign(said, read):
    assert words(plots.describe(axes(), said)) == read


# Output.


@every_figure
def test_a_figure_is_shown_twice_with_the_same_bytes_and_its_words(name, shown):
    for _ in range(2):
        drawn = draw(name)
        assert plots.show(drawn) is None
    (first, metadata), (second, _) = (each for each in shown if "image/png" in each[0])
    assert first == second
    assert first["text/plain"] == metadata["image/png"]["alt"] == words(drawn) != ""
    assert Image.open(io.BytesIO(first["image/png"])).size == (691, 345)  # 7.2 x 3.6 inches of 96 dots
    assert plt.get_fignums() == []


def test_other_data_give_another_picture(shown):
    for shift in (0, 1):
        plots.show(draw("scatter", current=windows()[1] + shift))
    first, second = (data for data, _ in shown if "image/png" in data)
    assert first["image/png"] != second["image/png"] and first["text/plain"] != second["text/plain"]


def test_a_png_has_at_most_256_colours_and_the_dots_asked_for():
    figure = plots.figure_of(draw("heatmap"))
    for dpi in (50, 100):
        image = Image.open(io.BytesIO(plots.png(figure, dpi=dpi)))
        assert image.mode == "P" and image.size == (7.2 * dpi, 3.6 * dpi)


def test_svg_files_repeat_to_the_byte_and_carry_their_words(tmp_path):
    text = words(draw("timeline"))
    files = [plots.save_svg(draw("timeline"), tmp_path / name) for name in ("a.svg", "b.svg")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert text in files[0].read_text(encoding="utf-8")


# What is drawn: the data.


@pytest.mark.parametrize(
    "name",
    ["scatter", "histogram", "cdf_gap", "scree", "centres", "curves", "timeline"]
    + ["harm_scatter", "placebo_paths", "quadrants", "drift_and_harm", "control_chart"],
)
def test_both_axes_are_named(name):
    ax = draw(name)
    assert ax.get_xlabel() and ax.get_ylabel()


@every_row_of_panels
@pytest.mark.parametrize("more", [-1, 1], ids=["too few", "too many"])
def test_a_wrong_number_of_panels_is_refused(name, more):
    with pytest.raises(ValueError):
        draw(name, more_panels=more)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("curves", {"colours": ["other"]}),
        ("quadrants", {"corners": ["neither", "supply", "demand"]}),
        ("quadrants", {"corners": list("abcde")}),
        ("small_images", {"names": ["row 7", "row 20"]}),
        ("harm_scatter", {"events": random_table("gap", "effect", n=10).assign(kind=list("abcdefghij"))}),
    ],
    ids=["a curve without colour", "three corners", "five corners", "an image without name", "ten kinds"],
)
def test_what_could_not_all_be_drawn_is_refused(name, wrong):
    with pytest.raises(ValueError):
        draw(name, **wrong)


def offsets(artists):
    """Return the points of scatter plots, in order."""
    return np.concatenate([artist.get_offsets() for artist in artists])


def in_order(rows):
    return np.asarray(rows)[np.lexsort(np.transpose(rows))]


def spans(patch):
    """Return the lower and the upper end of a horizontal band."""
    return patch.get_y(), patch.get_y() + patch.get_height()


def test_a_scatter_draws_every_point():
    ax = draw("scatter")
    for drawn, rows in zip(ax.collections, windows(), strict=True):
        np.testing.assert_array_equal(drawn.get_offsets(), rows)


def test_a_scatter_may_draw_fewer_points_spread_evenly():
    ax = draw("scatter", n_points=50)
    for drawn, rows in zip(ax.collections, windows(), strict=True):
        numbers = [int(np.flatnonzero((rows == point).all(axis=1))[0]) for point in drawn.get_offsets()]
        assert len(numbers) == 50 and numbers[0] == 0 and numbers[-1] == len(rows) - 1
        assert set(np.diff(numbers)) <= {len(rows) // 50 - 1, len(rows) // 50, len(rows) // 50 + 1}


@pytest.mark.parametrize(("rows", "n", "kept"), [(0, 5, 0), (1, 5, 1), (5, 5, 5), (7, 3, 3), (7, 1, 1)])
def test_thinning_keeps_at_most_n_different_rows_in_order(rows, n, kept):
    left = thinned(np.arange(rows), n)
    assert len(left) == kept and list(left) == sorted(set(left))


def test_the_two_windows_differ_in_colour_and_in_marker():
    first, second = draw("scatter").collections
    assert not np.array_equal(first.get_facecolor()[0], second.get_facecolor()[0])
    assert not np.array_equal(first.get_paths()[0].vertices, second.get_paths()[0].vertices)


@pytest.mark.parametrize("name", ["weekly_panels", "planes"])
def test_panels_share_one_plane_that_holds_all_points(name):
    panels = draw(name).ravel()
    for limits in (plt.Axes.get_xlim, plt.Axes.get_ylim):
        assert len({limits(ax) for ax in panels}) == 1
    for points in (offsets(ax.collections) for ax in panels):
        (left, right), (bottom, top) = panels[0].get_xlim(), panels[0].get_ylim()
        assert np.all(([left, bottom] < points) & (points < [right, top]))


def test_planes_draw_every_point_and_both_centres():
    (arguments, _), panels = CASES["planes"].make(), draw("planes").ravel()
    for ax, (old, new) in zip(panels, arguments["panels"].values(), strict=True):
        *clouds, before, after = ax.collections
        np.testing.assert_array_equal(in_order(offsets(clouds)), in_order(np.vstack([old, new])))
        np.testing.assert_allclose(offsets([before, after]), [old.mean(axis=0), new.mean(axis=0)])


def test_weekly_panels_draw_the_reference_and_each_window():
    reference, current = windows()
    for ax, rows in zip(draw("weekly_panels").ravel(), (reference, current), strict=True):
        for drawn, expected in zip(ax.collections, (reference, rows), strict=True):
            np.testing.assert_array_equal(drawn.get_offsets(), expected)


def test_weekly_panels_thin_large_windows():
    many = np.random.default_rng(0).normal(size=(1200, 2))
    for ax in draw("weekly_panels", windows={"a": many, "b": many}, reference=many).ravel():
        assert [len(drawn.get_offsets()) for drawn in ax.collections] == [500, 500]


def test_a_histogram_uses_the_given_edges():
    ax = draw("histogram")
    left = [bar.get_x() for bar in ax.patches]
    np.testing.assert_allclose(left, np.linspace(-4, 4, 21)[:-1])
    assert sum(bar.get_height() for bar in ax.patches) == 300


def test_the_curves_of_a_gap_are_the_shares_to_the_left():
    for line, rows in zip(draw("cdf_gap").lines, windows(), strict=True):
        at, share = line.get_data()
        np.testing.assert_allclose(share, [100 * np.mean(rows[:, 0] <= x) for x in at])
        assert share[-1] > 99 and len(set(share)) > 50


def test_the_area_of_a_pure_shift_is_its_size():
    values = windows()[0][:, 0]
    ax = draw("cdf_gap", reference=values, current=values + 0.75)
    assert "area = 0.7500" in [text.get_text() for text in ax.texts]
    assert "between them is 0.7500." in words(ax)


def test_a_scree_plot_holds_the_shares_and_their_running_total():
    shares = [40, 25, 15, 12, 5, 3]
    ax = draw("scree")
    total, two, enough = ax.lines
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], shares)
    np.testing.assert_allclose(total.get_xydata(), [(n, sum(shares[:n])) for n in range(1, 7)])
    np.testing.assert_allclose([*two.get_xydata(), *enough.get_xydata()], [(2, 65), (4, 92)])


def test_a_scree_plot_may_end_below_its_level():
    ax = draw("scree", shares=np.array([0.4, 0.2, 0.1]))
    assert "60 % for two components, 70 % for 3." in words(ax)


def test_centres_are_drawn_inside_the_circle_of_the_furthest():
    (arguments, _), ax = CASES["centres"].make(), draw("centres")
    quiet, moved = ax.collections
    circle, _ = ax.lines
    np.testing.assert_array_equal(quiet.get_offsets(), arguments["quiet"])
    np.testing.assert_array_equal(moved.get_offsets(), [arguments["moved"]])
    np.testing.assert_allclose(np.hypot(*circle.get_data()), 0.5)
    np.testing.assert_allclose(np.abs(ax.patches[0].get_xy()).max(axis=0), [0.2, 0.1], rtol=1e-3)


def test_bars_are_as_long_as_the_values_and_the_base_has_its_colour():
    ax = draw("bars")
    assert [bar.get_width() for bar in ax.patches] == [95.4, 81.2, 94.9]
    assert [text.get_text() for text in ax.texts] == ["95.4", "81.2", "94.9"]
    colours = [matplotlib.colors.to_hex(bar.get_facecolor()).upper() for bar in ax.patches]
    assert colours == [plots.COLOURS[side] for side in ("current", "current", "reference")]


def test_curves_hold_the_table_and_the_limit():
    (arguments, _), ax = CASES["curves"].make(), draw("curves")
    *lines, limit = ax.lines
    for line, (name, values) in zip(lines, arguments["table"].items(), strict=True):
        assert line.get_label() == name
        np.testing.assert_array_equal(line.get_xydata(), list(values.items()))
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--", ":"]
    assert set(limit.get_ydata()) == {2.5} and ax.get_xscale() == "log"


def test_a_timeline_draws_every_value_its_band_and_its_event():
    ax = draw("timeline")
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), list(weeks().items()))
    band, event = ax.patches
    np.testing.assert_allclose(spans(band), (0.0095, 0.0135))
    assert (event.get_x(), event.get_width()) == (2.5, 2)


def test_null_panels_hold_the_null_its_limit_and_the_statistic():
    (arguments, _), panels = CASES["null_panels"].make(), draw("null_panels").ravel()
    for ax, (statistic, _, null) in zip(panels, arguments["tests"].values(), strict=True):
        assert sum(bar.get_height() for bar in ax.patches) == len(null)
        assert [line.get_xdata()[0] for line in ax.lines] == [np.percentile(null, 95), statistic]


def test_null_panels_take_a_p_value_of_numpy():
    (arguments, _), at = CASES["null_panels"].make(), np.float64(0.01)
    tests = {name: (statistic, at, null) for name, (statistic, _, null) in arguments["tests"].items()}
    assert words(draw("null_panels", tests=tests)).count("p = 0.010 (noticed)") == 2


@pytest.mark.parametrize(
    ("name", "values", "usual"),
    [("score_history", "scores", "quiet"), ("joined_timelines", "table", "bands")],
)
def test_each_panel_holds_its_column_and_its_usual_range(name, values, usual):
    (arguments, _), panels = CASES[name].make(), draw(name).ravel()
    for ax, (column, line) in zip(panels, arguments[values].items(), strict=True):
        np.testing.assert_array_equal(ax.lines[0].get_xydata(), list(line.items()))
        np.testing.assert_allclose(spans(ax.patches[0]), np.sort(arguments[usual][column])[[0, -1]])
    assert [sum(text.get_visible() and text.get_text() != "" for text in ax.texts) for ax in panels] == [1, 0]


def test_joined_timelines_tell_scores_from_outcomes():
    drift, success = draw("joined_timelines").ravel()
    assert drift.lines[0].get_color() != success.lines[0].get_color()
    assert drift.lines[0].get_color() == plots.COLOURS["current"]


@pytest.mark.parametrize("name", ["heatmap", "family_heatmap"])
def test_a_heatmap_holds_the_table_in_colours_and_in_numbers(name):
    (arguments, _), ax = CASES[name].make(), draw(name)
    values = arguments["table"].to_numpy()
    np.testing.assert_array_equal(ax.collections[0].get_array(), values)
    assert [text.get_text() for text in ax.texts] == [f"{value:.0f}" for value in values.ravel()]


def test_families_are_named_at_the_middle_of_their_rows():
    [names] = draw("family_heatmap").child_axes
    assert [label.get_text() for label in names.get_yticklabels()] == ["mean", "crowd"]
    np.testing.assert_array_equal(names.get_yticks(), [1, 2.5])


def test_strips_hold_every_value_and_the_medians():
    (arguments, _), ax = CASES["strips"].make(), draw("strips")
    for row, (name, values) in enumerate(arguments["table"].items()):
        points, bar = ax.collections[2 * row : 2 * row + 2]
        np.testing.assert_array_equal(points.get_offsets()[:, 0], values)
        assert np.abs(points.get_offsets()[:, 1] - row).max() < 0.5
        assert set(bar.get_segments()[0][:, 0]) == {sorted(values)[3]}
        assert ax.get_yticklabels()[row].get_text() == name


def test_a_harm_scatter_draws_every_event_with_its_kind():
    (arguments, _), ax = CASES["harm_scatter"].make(), draw("harm_scatter")
    for drawn, (kind, rows) in zip(
        ax.collections, arguments["events"].groupby("kind", sort=False), strict=True
    ):
        assert drawn.get_label() == kind
        np.testing.assert_array_equal(drawn.get_offsets(), rows[["gap", "effect"]])
    across, down = ax.lines
    assert (across.get_ydata()[0], down.get_xdata()[0]) == (-1, 2.5)


def test_placebo_paths_draw_every_path_and_the_means_from_the_onset():
    (arguments, _), ax = CASES["placebo_paths"].make(), draw("placebo_paths")
    *grey, path, onset = ax.lines
    np.testing.assert_array_equal([line.get_ydata() for line in grey], arguments["placebos"].T)
    np.testing.assert_array_equal(path.get_xydata(), list(arguments["path"].items()))
    assert onset.get_xdata()[0] == -0.5
    span, mean = ax.collections
    ends = np.percentile(arguments["placebos"].to_numpy()[3:].mean(axis=0), [5, 95])
    np.testing.assert_allclose(np.unique(span.get_paths()[0].vertices[:, 1]), ends)
    np.testing.assert_array_equal(mean.get_segments()[0], [(-0.5, -4.5), (5.5, -4.5)])


def test_a_change_map_has_every_number_and_colours_only_what_was_found():
    ax = draw("change_map")
    written = {text.get_text(): text.get_weight() for text in ax.texts}
    assert written == {
        "-4.4  (-4.5)": "bold",
        "+0.6  (+0.1)": "normal",
        "-6.0  (-5.5)": "bold",
        "-2.3  (-3.4)": "bold",
    }
    np.testing.assert_array_equal(ax.collections[0].get_array(), [[-4.4, 0], [-6.0, -2.3]])


def test_mix_and_rate_draw_two_bars_a_bucket():
    (arguments, _), ax = CASES["mix_and_rate"].make(), draw("mix_and_rate")
    for part, bars in zip(("mix", "rate"), ax.containers, strict=True):
        assert [bar.get_width() for bar in bars] == list(arguments["table"][part])
        assert bars.get_label().startswith(part)
        assert [round(bar.get_y() + bar.get_height() / 2) for bar in bars] == [0, 1, 2]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["lamps", "novel", "beds"]


def test_quadrants_name_every_point_and_cut_at_the_limits():
    ax = draw("quadrants")
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), [[4, 1.6], [0.5, 5.7]])
    assert (ax.lines[0].get_xdata()[0], ax.lines[1].get_ydata()[0]) == (1, 3)
    lost, launch, *corners = ax.texts
    assert [(text.get_text(), text.xy) for text in (lost, launch)] == [
        ("lost", (4, 1.6)),
        ("launch", (0.5, 5.7)),
    ]
    where = {text.get_text(): tuple(x > 0.5 for x in text.get_position()) for text in corners}
    assert where == {"neither": (0, 0), "supply": (1, 0), "demand": (0, 1), "both": (1, 1)}


def test_a_control_chart_draws_scores_states_limit_and_alarms():
    (arguments, _), ax = CASES["control_chart"].make(), draw("control_chart")
    scores, alarms = ax.collections
    np.testing.assert_array_equal(scores.get_offsets(), list(arguments["z"].items()))
    np.testing.assert_array_equal(alarms.get_offsets(), [[7, 0.95], [8, 1.2]])
    states, limit = ax.lines
    np.testing.assert_array_equal(states.get_xydata(), np.transpose([range(4, 10), arguments["states"]]))
    assert set(limit.get_ydata()) == {0.9}
    assert (ax.patches[0].get_x(), ax.patches[0].get_width()) == (5.5, 3)
    assert ax.get_ylim()[0] < -1.25 and ax.get_ylim()[1] > 3


def test_a_control_chart_without_an_alarm_or_an_event_says_so():
    text = words(draw("control_chart", limit=2.5, events=None))
    assert text.endswith("a dotted limit at 2.50; 0 alarms.")
    assert draw("control_chart", limit=9.0).get_ylim()[1] > 9


def test_an_alarm_map_is_darker_and_written_in_white_where_it_rings_more():
    ax = draw("alarm_map")
    written = [(text.get_text(), text.get_color()) for text in ax.texts]
    assert written == [("4", "black"), ("0", "black"), ("82", "white"), ("42", "black")]
    cells = ax.collections[0]
    assert cells.get_clim() == (0, 100)
    light = cells.to_rgba([0, 50, 100])[:, :3].sum(axis=1)
    assert light[0] > light[1] > light[2]


def test_budget_strips_mark_the_budget_and_its_span():
    (arguments, _), ax = CASES["budget_strips"].make(), draw("budget_strips")
    drawn = sorted(offsets(ax.collections[:1])[:, 0])
    assert drawn == sorted(arguments["rates"]["novelty"])
    assert [line.get_xdata()[0] for line in ax.lines] == [0, 1]
    [span] = ax.patches
    assert (span.get_x(), span.get_x() + span.get_width()) == (0.25, 3.19)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["most teams", "budget"]


def test_null_strips_draw_every_shuffle_and_cut_off_what_is_far():
    (arguments, _), ax = CASES["null_strips"].make(), draw("null_strips")
    for place, score in enumerate(arguments["scores"]):
        shuffles, value = ax.collections[2 * place : 2 * place + 2]
        z = (np.append(score.null, score.value) - score.null.mean()) / score.null.std()
        np.testing.assert_allclose(shuffles.get_offsets()[:, 0], z[:-1])
        np.testing.assert_allclose(value.get_offsets(), [(min(z[-1], figures.CLIP), place)])
    assert [text.get_text() for text in ax.texts] == [f"{z[-1]:.0f} →"]


def test_null_strips_point_to_where_the_value_lies():
    [score] = CASES["null_strips"].make()[0]["scores"][2:]
    ax = draw("null_strips", scores=[score._replace(value=-50.0)])
    [text] = ax.texts
    assert text.get_text().startswith("← -") and text.get_position()[0] > -figures.CLIP


def test_drift_and_harm_name_and_draw_every_story():
    ax = draw("drift_and_harm")
    np.testing.assert_array_equal(offsets(ax.collections), [[-0.5, -12.2], [177, 0.835]])
    assert [(text.get_text(), text.xy) for text in ax.texts] == [
        (" relabel", (-0.5, -12.2)),
        (" contrast", (177, 0.835)),
    ]
    assert ax.get_xlim()[1] > 177


def test_small_images_are_the_images():
    (arguments, _), panels = CASES["small_images"].make(), draw("small_images").ravel()
    for ax, image in zip(panels, arguments["images"], strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), image)
        assert ax.images[0].get_clim() == (0, 1)


# Colours.

# How people without one kind of cone see linear RGB (Machado, Oliveira & Fernandes, 2009).
VISION = {
    "trichromat": np.eye(3),
    "protanope": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranope": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanope": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)  # fmt: skip


def linear_rgb(colour):
    values = np.array(matplotlib.colors.to_rgb(colour))
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(linear):
    x, y, z = np.cbrt(np.maximum(TO_XYZ @ linear / TO_XYZ.sum(axis=1), 1e-4))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


# The darkest of every figure is its text; what is coloured must still be seen, and be told from the rest.
TOLD_APART = 15  # distance in CIELAB; 2.3 is the least that a person notices side by side
LINES = {**dict(enumerate(COLOURS_OF_LINES)), "limit": plots.COLOURS["alarm"]}
PALETTES = {"figures": plots.COLOURS, "dashboard": LINES}


def contrast(one, other="white"):
    """Return the contrast of two colours, 1 to 21, as WCAG 2 defines it."""
    light, dark = sorted(((TO_XYZ @ linear_rgb(colour))[1] for colour in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("eye", VISION)
def test_every_two_colours_can_be_told_apart(eye, palette):
    seen = {
        name: lab(np.clip(np.array(VISION[eye]) @ linear_rgb(colour), 0, 1))
        for name, colour in PALETTES[palette].items()
    }
    for one, other in combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > TOLD_APART, (one, other)


@pytest.mark.parametrize("palette", PALETTES)
def test_every_colour_contrasts_with_the_page(palette):
    assert {name: c for name, c in PALETTES[palette].items() if contrast(c) < 3} == {}


def test_contrast_is_that_of_the_guideline():
    assert round(contrast("black"), 3) == 21 and contrast("white") == 1
    assert round(contrast("#777777"), 2) == 4.48  # the well-known grey that just fails for text


@every_figure
def test_all_texts_contrast_with_what_is_behind_them(name):
    panels = drawn(name).axes
    shown = [text for ax in panels for text in ax.findobj(matplotlib.text.Text) if text.get_text().strip()]
    numbers = [text for ax in panels if on_cells(ax) for text in ax.texts]
    faint = [t.get_text() for t in shown if t not in numbers and contrast(t.get_color()) < 4.5]
    assert faint == []


def on_cells(ax):
    """Say whether the texts of a panel stand on the cells of a heat map."""
    return any(isinstance(drawn, matplotlib.collections.QuadMesh) for drawn in ax.collections) and ax.texts


@pytest.mark.parametrize("name", ["heatmap", "family_heatmap", "alarm_map", "change_map", "shelf_map"])
def test_numbers_on_a_heat_map_contrast_with_their_cells(name):
    (ax,) = filter(on_cells, drawn(name).axes)
    cells = ax.collections[0]
    shades = cells.to_rgba(np.ma.array(cells.get_array()).compressed())
    for text, shade in zip(ax.texts, shades, strict=True):
        assert contrast(text.get_color(), shade) >= 4.5, text.get_text()


def cue(entry):
    """Return what tells an entry of a legend from the others without its colour."""
    if isinstance(entry, matplotlib.container.Container):
        entry = entry[0]
    if isinstance(entry, matplotlib.lines.Line2D):
        return "line", entry.get_linestyle(), entry.get_marker()
    if isinstance(entry, matplotlib.patches.Patch | matplotlib.collections.FillBetweenPolyCollection):
        return "area", entry.get_hatch()
    if isinstance(entry, matplotlib.collections.LineCollection):
        return "line", str(entry.get_linestyle()), entry.get_linewidth()[0]
    return "points", str(entry.get_paths()[0].vertices.round(3).tolist())


def cues(ax):
    return [cue(entry) for entry in ax.get_legend_handles_labels()[0]]


@every_figure
def test_entries_of_a_legend_differ_in_more_than_colour(name):
    for ax in drawn(name).axes:
        assert len(set(cues(ax))) == len(cues(ax)), cues(ax)


@pytest.mark.parametrize(
    "twice",
    [
        lambda ax: [
            plots.histogram(ax, [1, 2], edges=[0, 1, 2, 3], side=s, label=s, title="") for s in SIDES
        ],
        lambda ax: [
            plots.timeline(ax, weeks(), colour=c, label=c, title="", ylabel="") for c in plots.COLOURS
        ],
    ],
    ids=["histograms", "timelines"],
)
def test_what_shares_a_panel_differs_in_more_than_colour(twice):
    ax = axes()
    assert len(twice(ax)) == len(set(cues(ax))) > 1


SIDES = ("reference", "current")


def test_roles_share_neither_colour_nor_marker():
    for table in (plots.COLOURS, plots.MARKERS):
        assert set(table) == set(plots.COLOURS) and len(set(table.values())) == len(table)
