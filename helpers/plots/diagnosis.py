"""Pictures of a diagnosis: shelves that probes miss, what a control does, causes found and true."""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from numpy.typing import NDArray

from helpers.plots.base import COLOURS, MARKERS, describe, headline, legible


def shelf_map(ax: Axes, table: pd.DataFrame, *, title: str, xlabel: str, unit: str) -> Axes:
    """Percentages by incident (row) and shelf (column): the darker the more; zeros stay white and empty."""
    text = table.map(lambda value: f"{value:.0f}" if value >= 0.5 else "")
    options: dict[str, Any] = {
        "cmap": "Reds",
        "vmin": 0,
        "vmax": max(10.0, table.max(axis=None)),
        "linewidths": 1,
    }
    sns.heatmap(
        table.where(table >= 0.5),
        ax=ax,
        annot=text,
        fmt="",
        linecolor="#DDDDDD",
        cbar_kws={"label": unit},
        **options,
    )
    legible(ax)
    ax.set(title=title, xlabel=xlabel, ylabel="")
    ax.tick_params(axis="both", rotation=0)
    rows = [
        f"{name}: at most {row.max():.0f} in {row.idxmax()}, {(row >= 0.5).sum()} columns not empty"
        if row.max() >= 0.5
        else f"{name}: all 0"
        for name, row in table.iterrows()
    ]
    size = f"{table.shape[0]} rows by {table.shape[1]} of {xlabel}"
    words = f"Heat map of {unit}, {size}. {'; '.join(rows)}."
    return describe(ax, words, table.rename_axis(columns=f"{unit}, by {xlabel}"))


def forest(ax: Axes, table: pd.DataFrame, *, title: str, xlabel: str) -> Axes:
    """Estimates with 95 % intervals: a row for each `case`, a mark for each `model`; and the `truth`, a bar.

    Columns: case, model, estimate, error (a standard error), truth.
    """
    cases, models = list(dict.fromkeys(table["case"])), list(dict.fromkeys(table["model"]))
    styles = zip(models, ["reference", "current"], strict=True)
    for shift, (model, side) in zip((-0.14, 0.14), styles, strict=True):
        rows = table[table["model"] == model]
        place = np.array([cases.index(case) for case in rows["case"]]) + shift
        style: dict[str, Any] = {"color": COLOURS[side], "fmt": MARKERS[side], "markersize": 8, "capsize": 4}
        ax.errorbar(rows["estimate"], place, xerr=1.96 * rows["error"], label=model, **style)
    truth = table.groupby("case", sort=False)["truth"].first()
    rows_at = np.arange(len(cases))
    ax.vlines(truth, rows_at - 0.34, rows_at + 0.34, color="black", linewidth=2, zorder=3, label="truth")
    ax.axvline(0, color=COLOURS["band"], linestyle="--", linewidth=1)
    ax.set_yticks(rows_at, cases)
    ax.invert_yaxis()
    ax.set(title=title, xlabel=xlabel)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    told = [
        f"{row.case}, {row.model} {row.estimate:+.2f} +- {1.96 * row.error:.2f}" for row in table.itertuples()
    ]
    true = ", ".join(f"{case} {value:+.2f}" for case, value in truth.items())
    words = f"Points with 95 % intervals of {xlabel}: {'; '.join(told)}. Truth: {true}."
    reach = 1.96 * table["error"]
    numbers = table.assign(lowest=table["estimate"] - reach, highest=table["estimate"] + reach)
    numbers = numbers.set_axis(table["case"] + ", " + table["model"])
    columns = ["estimate", "lowest", "highest", "truth"]
    return describe(ax, words, numbers[columns].rename_axis(columns=xlabel))


def found_and_true(
    axes: NDArray, found: pd.DataFrame, truth: pd.DataFrame, *, title: str, xlabel: str
) -> NDArray:
    """One panel for each outcome (column): the effect of each cause (row) as found, beside the true one."""
    for ax, outcome in zip(axes.flat, found.columns, strict=True):
        place = np.arange(len(found))
        for table, name, colour, hatch, shift in (
            (found, "found in the logs", "outcome", "", -0.2),
            (truth, "true", "band", "//", 0.2),
        ):
            drawn = ax.barh(
                place + shift, table[outcome], 0.38, color=COLOURS[colour], hatch=hatch, label=name
            )
            labels = [f"{value:+.1f}" for value in table[outcome]]
            ax.bar_label(
                drawn, [text.replace("-0.0", "0.0").replace("+0.0", "0.0") for text in labels], padding=3
            )
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set_yticks(place, [str(name) for name in found.index])
        ax.margins(x=0.16)
        ax.set(title=outcome, xlabel=xlabel, ylim=(len(found) - 0.4, -0.6))
        ax.label_outer()
        pairs = (
            f"{cause} {found.at[cause, outcome]:+.1f} ({truth.at[cause, outcome]:+.1f})"
            for cause in found.index
        )
        table = pd.DataFrame({"found in the logs": found[outcome], "true": truth[outcome]})
        words = f"Horizontal bars of {xlabel}, found and in brackets true: {', '.join(pairs)}."
        describe(ax, words, table.rename_axis(columns=xlabel))
    axes.flat[0].figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    headline(axes, title)
    return axes
