"""The numbers of each figure stand below it: the same as in the picture, few, in words and in HTML."""

import copy
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from test_plots import CASES, case_of, closed_figures, drawn, shown

from helpers import plots
from helpers.plots import tables

__all__ = ["closed_figures", "shown"]  # the fixtures of that file


class Table(HTMLParser):
    """Read one HTML table as its caption and its rows of (tag, scope, text)."""

    def __init__(self, html):
        super().__init__()
        self.caption, self.rows, self.tags, self.inside = "", [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append([tag, dict(attrs).get("scope"), ""])

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "caption":
            self.caption += data
        elif self.inside in ("td", "th"):
            self.rows[-1][-1][2] += data


def table_of(frame, title="A title."):
    return Table(tables.html_table(title, frame))


def texts(rows):
    return [[text for _, _, text in row] for row in rows]


# What the table of each figure must hold: (panel, row, column, value), from the data alone.


def rows_of(name, *keys):
    arguments = case_of(name)
    return tuple(arguments[key] for key in keys)


def scatter_cells():
    reference, current = rows_of("scatter", "reference", "current")
    yield 0, "reference", "n", 300
    yield 0, "current", "centre, PC2", current[:, 1].mean()
    yield 0, "reference", "spread, PC1", np.sqrt(np.mean((reference[:, 0] - reference[:, 0].mean()) ** 2))


def planes_cells():
    (panels,) = rows_of("planes", "panels")
    for place, (before, after) in enumerate(panels.values()):
        yield place, "before", "centre, PC1", before[:, 0].mean()
        yield place, "after", "spread, PC2", after[:, 1].std()


def weekly_panels_cells():
    (weeks,) = rows_of("weekly_panels", "windows")
    for place, (week, rows) in enumerate(weeks.items()):
        yield place, week, "centre, PC2", rows[:, 1].mean()


def histogram_cells():
    values, edges = rows_of("histogram", "values", "edges")
    yield 0, "-0.4 to 0", "week 1, queries", ((values >= edges[9]) & (values < edges[10])).sum()


def cdf_gap_cells():
    reference, current = rows_of("cdf_gap", "reference", "current")
    low, high = (f([*reference, *current]).round(4) for f in (np.min, np.max))
    yield 0, low, "current", 100 * np.mean(current <= low)
    yield 0, high, "reference", 100


def scree_cells():
    yield 0, 2, "variance (%)", 25
    yield 0, 4, "running total (%)", 92


def centres_cells():
    yield 0, "quiet week 2", "centre on PC1", -0.4
    yield 0, "week 9", "centre on PC2", -0.7
    yield 0, "half-axes of the ellipse", "centre on PC1", 0.2


def null_panels_cells():
    (tests,) = rows_of("null_panels", "tests")
    for place, (statistic, pvalue, null) in enumerate(tests.values()):
        yield place, "true labels", "score", statistic
        yield place, "p-value", "score", pvalue
        yield place, "labels shuffled, 95 %", "score", np.percentile(null, 95)


def score_history_cells():
    (scores,) = rows_of("score_history", "scores")
    for place, name in enumerate(scores):
        yield place, 3, "this week", scores.at[3, name]


def strips_cells():
    (table,) = rows_of("strips", "table")
    yield 0, "index_gap", "n", 7
    yield 0, "index_gap", "median", sorted(table["index_gap"])[3]
    yield 0, "query_drift", "highest", max(table["query_drift"])


def joined_timelines_cells():
    (table,) = rows_of("joined_timelines", "table")
    yield 0, 2, "score", table.at[2, "drift"]
    yield 1, 7, "% of queries", table.at[7, "success"]


def harm_scatter_cells():
    (events,) = rows_of("harm_scatter", "events")
    kind = events["kind"].iloc[1]
    mine = events[events["kind"] == kind]
    yield 0, kind, "n", len(mine)
    yield 0, kind, "centre, gap (z)", mine["gap"].mean()
    yield 0, kind, "centre, effect on success (points)", mine["effect"].mean()


def placebo_paths_cells():
    path, placebos = rows_of("placebo_paths", "path", "placebos")
    yield 0, 2, "after the alarm", path[2]
    yield 0, -3, "placebos, median", np.median(placebos.loc[-3])


def forest_cells():
    yield 0, "upgrade, controlled", "estimate", 0.7
    yield 0, "upgrade, controlled", "lowest", 0.7 - 1.96 * 0.2
    yield 0, "launch, raw", "truth", -0.9


CELLS = {
    "scatter": scatter_cells,
    "planes": planes_cells,
    "weekly_panels": weekly_panels_cells,
    "histogram": histogram_cells,
    "cdf_gap": cdf_gap_cells,
    "scree": scree_cells,
    "centres": centres_cells,
    "null_panels": null_panels_cells,
    "score_history": score_history_cells,
    "strips": strips_cells,
    "joined_timelines": joined_timelines_cells,
    "harm_scatter": harm_scatter_cells,
    "placebo_paths": placebo_paths_cells,
    "forest": forest_cells,
    "bars": lambda: [(0, "stale", "success (%)", 81.2)],
    "curves": lambda: [(0, 100, "PSI", 4.2), (0, 1000, "theory", 1.7)],
    "timeline": lambda: [(0, 3, "energy distance", 0.0345)],
    "heatmap": lambda: [(0, "energy", "spread", 8), (0, "novelty", "shift", 7)],
    "family_heatmap": lambda: [(0, "novelty", "new topic", 61)],
    "change_map": lambda: [(0, "launch", "clicks, measured", -2.3), (0, "launch", "clicks, true", -3.4)],
    "mix_and_rate": lambda: [(0, "novel", "mix", -2.25), (0, "lamps", "rate", -1.5)],
    "quadrants": lambda: [(0, "launch", "gap", 5.7)],
    "control_chart": lambda: [(0, 8, "score of the day", 3), (0, 7, "EWMA", 0.95)],
    "alarm_map": lambda: [(0, "real", "days\nby query", 81.6)],
    "budget_strips": lambda: [(0, "novelty", "median", 0.5), (0, "index_gap", "n", 3)],
    "shelf_map": lambda: [(0, "lost", "b", 25.4), (0, "launch", "a", 0)],
    "found_and_true": lambda: [(0, "launch", "true", 0.6), (1, "clean-up", "found in the logs", -3.2)],
    "dots": lambda: [(0, "aligned", "gap", 12.7)],
    "null_strips": lambda: [(0, "spread ratio", "verdict", "beyond chance")],
    "drift_and_harm": lambda: [(0, "contrast", "drift (sd of its null)", 177)],
    "small_images": lambda: [
        (0, "row 20", "mean grey, 0 white to 1 black", rows_of("small_images", "images")[0][1].mean())
    ],
}


def test_every_figure_has_cells_to_check():
    assert set(CELLS) == set(CASES)


@pytest.mark.parametrize("name", CELLS)
def test_the_numbers_of_a_figure_are_those_of_its_data(name):
    found = plots.data(drawn(name).axes[0])
    for panel, row, column, value in CELLS[name]():
        cell = found[panel].at[row, column]
        assert cell == (value if isinstance(value, str) else pytest.approx(value)), (row, column)


@pytest.mark.parametrize("name", CELLS)
def test_every_panel_with_a_table_has_it_in_html_and_in_text(name, shown):
    figure = drawn(name)
    plots.show(figure.axes[0])
    (picture, _), (numbers, _) = shown
    assert "image/png" in picture and set(numbers) == {"text/html", "text/plain"}
    html = numbers["text/html"]
    assert html.startswith('<details class="figure-data">\n<summary>The numbers of this figure</summary>')
    assert html.count("<table>") == len(plots.data(figure.axes[0])) > 0
    lines = [line.split() for line in numbers["text/plain"].splitlines()]
    for table in map(Table, html.split("<table>")[1:]):
        heads = [cell for row in table.rows for cell in row if cell[0] == "th"]
        assert all(text and scope in ("col", "row", "colgroup") for _, scope, text in heads)
        assert table.caption and table.caption in numbers["text/plain"].replace("\n", " ")
        body = [row for row in table.rows if row[0][1] == "row"]
        assert body and all(" ".join(row).split() in lines for row in texts(body))


def test_what_is_returned_is_the_readers_own():
    ax = plots.bars(plots.canvas()[0, 0], pd.Series({"a": 1.5}), title="One", xlabel="score")
    (table,) = plots.data(ax)
    table.loc["a", "score"] = 99
    assert plots.data(ax)[0].at["a", "score"] == 1.5


def test_the_data_drawn_may_change_afterwards():
    table = pd.DataFrame({"mix": [0.5], "rate": [1.5]}, ["lamps"])
    ax = plots.mix_and_rate(plots.canvas()[0, 0], table, title="One", xlabel="points")
    table.loc["lamps", "mix"] = 99
    assert plots.data(ax)[0].at["lamps", "mix"] == 0.5


def test_a_figure_that_nobody_described_has_no_table(shown):
    ax = plots.canvas()[0, 0]
    ax.plot([1, 2])
    assert plots.data(ax) == []
    plots.show(ax)
    assert len(shown) == 1


# Two drawings in one panel.


def test_two_lines_of_a_panel_stand_side_by_side():
    ax = plots.canvas()[0, 0]
    plots.timeline(ax, pd.Series([1.0, 2], [0, 1]), title="", ylabel="score", label="before")
    plots.timeline(ax, pd.Series([3.0, 4], [1, 2]), title="Two", ylabel="score", label="after")
    (table,) = plots.data(ax)
    expected = pd.DataFrame({"before": [1, 2, np.nan], "after": [np.nan, 3, 4]}, [0, 1, 2])
    pd.testing.assert_frame_equal(table, expected.rename_axis(index="week", columns="score"))


def test_two_clouds_of_a_panel_stand_one_below_the_other():
    one, other = (tables.clouds({name: np.array([[x, 0], [x, 2]])}) for name, x in {"b": 1, "a": 5}.items())
    table = tables.joined(one, other)
    assert list(table.index) == ["b", "a"] and list(table["n"]) == [2, 2]
    assert list(table["centre, PC1"]) == [1, 5] and list(table["spread, PC2"]) == [1, 1]


def test_rows_out_of_order_stay_as_they_are():
    columns = [pd.DataFrame({name: [1, 2]}, ["b", "a"]) for name in ("x", "y")]
    assert list(tables.joined(*columns).index) == ["b", "a"]


# Digits.


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (2327, "2,327"),
        (np.int64(-14), "-14"),
        (3061.4, "3,060"),
        (0.0123456, "0.0123"),
        (np.float32(0.1), "0.1"),
        (1e9, "1,000,000,000"),
        (1.234e-6, "1.23e-06"),
        (-4.3e-17, "0"),
        (-0.0, "0"),
        (95.0, "95"),
        (float("nan"), "none"),
        (float("inf"), "inf"),
        ("days\nby query", "days by query"),
    ],
)
def test_numbers_are_written_with_three_digits(value, written):
    assert tables.digits(value) == written


def test_what_another_processor_adds_in_another_order_is_written_the_same():
    values = np.random.default_rng(0).normal(size=1000)
    one, other = values.sum(), sum(values)
    assert one != other and tables.digits(one) == tables.digits(other) == "-48"
    assert tables.digits(one - other) == "0"


# Few rows.


@pytest.mark.parametrize("n", [1, 30, 31, 90, 140, 280, 5000])
def test_a_long_table_keeps_both_ends_and_what_stands_out(n):
    table = pd.DataFrame({"a": np.zeros(n), "b": np.arange(n) % 5, "none": np.full(n, np.nan)})
    table.loc[n // 3, "a"] = 9
    kept, note = tables.thinned_table(table)
    assert len(kept) <= 30 and {0, n - 1, n // 3} <= set(kept.index)
    assert kept.index.is_monotonic_increasing and (note == "") == (n <= 30)
    pd.testing.assert_frame_equal(kept, table.loc[kept.index])


@pytest.mark.parametrize("n", [130, 140, 270, 280])
def test_a_thinned_table_of_days_holds_every_weekday(n):
    days = tables.thinned_table(pd.DataFrame({"a": np.arange(n)}))[0].index
    assert set(days % 7) == set(range(7))


def test_the_note_says_which_rows_were_kept():
    table = pd.DataFrame({"a": np.arange(90)})
    kept, note = tables.thinned_table(table)
    assert note == "One row in 5 of 90, the last, and where a column is lowest or highest."
    assert list(kept.index) == [*range(0, 90, 5), 89]
    assert table_of(table).caption == f"A title. {note}" and note in tables.as_text([("A title.", table)])


@pytest.mark.parametrize("n", [1, 20, 21, 41, 50])
def test_joined_bins_hold_every_value(n):
    values = np.random.default_rng(0).normal(size=500)
    heights, edges = np.histogram(values, bins=n)
    table = tables.bins(heights, edges, "queries", "x")
    assert len(table) <= 20 and table["queries"].sum() == 500
    assert table["queries"].dtype == int
    ends = [float(label.split(" to ")[side]) for label, side in [(table.index[0], 0), (table.index[-1], 1)]]
    assert np.abs(ends - edges[[0, -1]]).max() <= 0.06 * (edges[1] - edges[0])


def test_an_edge_near_zero_does_not_look_precise():
    table = tables.bins(np.array([3, 4]), np.array([-0.0704, 8.4e-05, 0.0706]), "queries", "x")
    assert list(table.index) == ["-0.07 to 0", "0 to 0.071"]


def test_shares_of_a_histogram_add_up_to_all():
    ax, edges = plots.canvas()[0, 0], np.linspace(0, 1, 11)
    for side, values in {"reference": np.full(300, 0.25), "current": np.array([0.25, 0.65])}.items():
        plots.histogram(ax, values, edges=edges, side=side, label=side, title="Two", shares=True)
    assert ax.get_ylabel() == "queries (%)"
    (table,) = plots.data(ax)
    assert dict(table.sum().round(9)) == {"reference, queries (%)": 100, "current, queries (%)": 100}
    assert table.at["0.6 to 0.7", "current, queries (%)"] == pytest.approx(50)


# HTML.


def test_a_table_names_its_unit_its_columns_and_its_rows():
    frame = pd.DataFrame({"PSI": [9.14, 4.2]}, [10, 100]).rename_axis(index="queries", columns="windows (%)")
    table = table_of(frame)
    assert table.rows == [
        [["td", None, ""], ["th", "colgroup", "windows (%)"]],
        [["th", "col", "queries"], ["th", "col", "PSI"]],
        [["th", "row", "10"], ["td", None, "9.14"]],
        [["th", "row", "100"], ["td", None, "4.2"]],
    ]
    assert ("th", {"scope": "colgroup", "colspan": "1"}) in table.tags


def test_a_table_without_names_of_its_axes_has_no_empty_header():
    table = table_of(pd.DataFrame({"score": [1.5]}, ["quiet"]))
    assert table.rows[0] == [["td", None, ""], ["th", "col", "score"]] and len(table.rows) == 2


def test_texts_are_escaped():
    nasty = "<script>alert('x')</script> & <b>"
    frame = pd.DataFrame({nasty: [nasty]}, [nasty]).rename_axis(index=nasty, columns=nasty)
    html = tables.as_html([(nasty, frame)])
    assert "<script" not in html and "<b>" not in html
    table = Table(html.split("<table>")[1])
    assert table.caption == nasty and {text for row in texts(table.rows) for text in row} == {nasty, ""}


def test_tables_repeat_to_the_byte():
    panels = [("A.", pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=list("abc")))]
    again = copy.deepcopy(panels)
    assert tables.as_html(panels) == tables.as_html(again) and tables.as_text(panels) == tables.as_text(again)


def test_a_panel_without_a_title_has_that_of_the_figure(shown):
    grid = plots.canvas()
    plots.bars(grid[0, 0], pd.Series({"a": 1.5}), title="", xlabel="score")
    grid[0, 0].figure.suptitle("The whole")
    plots.show(grid)
    assert "<caption>The whole.</caption>" in shown[1][0]["text/html"]
