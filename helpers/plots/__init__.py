"""Every figure of the series: data in, `Axes` out. The only package that knows Matplotlib.

Each function draws into an `Axes`, states its finding where the caller gives one as the title, and
writes down in words and in numbers what it drew (`describe`). `show` displays the figure with those
words as its alternative text and the numbers folded below it; `data` returns them as tables. One thing
keeps one colour and one marker in every notebook: see `COLOURS`.
"""

from helpers.plots.base import (
    COLOURS,
    MARKERS,
    alt_text,
    canvas,
    data,
    describe,
    figure_of,
    png,
    save_svg,
    show,
    use_style,
)
from helpers.plots.charts import alarm_map, budget_strips, control_chart
from helpers.plots.dashboard import dashboard_view
from helpers.plots.diagnosis import forest, found_and_true, shelf_map
from helpers.plots.outcomes import (
    change_map,
    harm_scatter,
    joined_timelines,
    mix_and_rate,
    placebo_paths,
    quadrants,
)
from helpers.plots.scores import (
    bars,
    curves,
    family_heatmap,
    heatmap,
    null_panels,
    score_history,
    strips,
    timeline,
)
from helpers.plots.upgrade import dots
from helpers.plots.windows import cdf_gap, centres, histogram, planes, scatter, scree, weekly_panels

__all__ = [
    "COLOURS",
    "MARKERS",
    "alarm_map",
    "alt_text",
    "bars",
    "budget_strips",
    "canvas",
    "cdf_gap",
    "centres",
    "change_map",
    "control_chart",
    "curves",
    "dashboard_view",
    "data",
    "describe",
    "dots",
    "family_heatmap",
    "figure_of",
    "forest",
    "found_and_true",
    "harm_scatter",
    "heatmap",
    "histogram",
    "joined_timelines",
    "mix_and_rate",
    "null_panels",
    "placebo_paths",
    "planes",
    "png",
    "quadrants",
    "save_svg",
    "scatter",
    "score_history",
    "scree",
    "shelf_map",
    "show",
    "strips",
    "timeline",
    "use_style",
    "weekly_panels",
]
