"""Write a report that compares two files of your own embeddings: one HTML page that needs nothing else.

    python3 playbook.py report --reference A --current B [--outcomes O] [--out report.html]

The same input gives the same bytes. Without A and B it shows scikit-learn's digits (`report.digits`).
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from threadpoolctl import threadpool_limits

from helpers import plots
from helpers.log import Log
from report import figures
from report.digits import STORIES, digits_case
from report.findings import Findings, advice, examine, most_moved, strongest, verdict
from report.formats import TableError
from report.panel import ABOUT, FEWEST_SESSIONS, MOST_ROWS, sessions_of, spread_rows
from report.tables import read_windows

DIGITS = "rotate_ones"  # drift and harm both visible, and the report can find where they come from


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job from the command line; return 0, or 2 when the input cannot be used."""
    options = _parse(argv)
    out: Path = options.out
    try:
        _check_out(out, [options.reference, options.current, options.outcomes])
        if options.reference:
            reference, current, notes = read_windows(options.reference, options.current, options.outcomes)
        else:
            reference, current = digits_case(DIGITS)
            notes = [f"scikit-learn's digits, story '{DIGITS}': {STORIES[DIGITS]}"]
        _check_sessions(options.outcomes, reference, current)
        names = [str(path.name if path else name) for path, name in (
            (options.reference, "digits, second third"), (options.current, "digits, last third")
        )]  # fmt: skip
        progress = _Progress()
        with threadpool_limits(1):  # one thread adds in one order, so that the bytes agree
            findings = examine(reference, current, on_step=progress.show)
            progress.show("writing the report", len(ABOUT), len(ABOUT))
            html = render(reference, current, findings, names, notes)
        progress.clear()
        write(html, out)
    except TableError as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped. No report was written.", file=sys.stderr)
        return 130
    headline, sentences = verdict(findings)
    print("\n".join([headline, *sentences, f"Next: {advice(findings)}", f"Report: {out}"]))
    return 0


def render(
    reference: Log, current: Log, findings: Findings, names: Sequence[str], notes: Sequence[str]
) -> str:
    """Return the page. `names` are those of the two windows, `notes` say what was read."""
    folder = Path(__file__).parent
    page = Environment(
        autoescape=True,
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page.filters["figures"] = lambda value: f"{value:.3g}"
    page.filters["percent"] = lambda value: f"{100 * value:.3g} %"
    page.filters["signed"] = lambda value: f"{100 * value:+.3g}"
    headline, sentences = verdict(findings)
    change = most_moved(findings.changes)
    sessions = sessions_of(reference) is not None
    return page.get_template("page.html").render(
        headline=headline,
        sentences=sentences,
        advice=advice(findings),
        names=names,
        notes=notes,
        findings=findings,
        about=ABOUT,
        top=strongest(findings),
        main_change=change or (findings.changes[0] if findings.changes else None),
        beyond=sum(score.adjusted <= 0.05 for score in findings.scores),
        sizes=(len(reference), len(current)),
        most=MOST_ROWS,
        compared=[_compared(log) for log in (reference, current)],
        sessions=sessions,
        resamples=len(findings.scores[0].null),
        pictures=_pictures(reference, current, findings),
        explained=findings.frozen.pca.explained_variance_ratio_[:2],
        colours=plots.COLOURS,
    )


def write(html: str, out: Path) -> None:
    """Put the page in place in one step, so that a report is either the old or the new one."""
    out = out.resolve()
    fresh = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        fresh.write_text(html, encoding="utf-8", newline="\n")
        os.replace(fresh, out)
    except OSError as error:
        raise TableError(f"{out}: cannot be written ({error.strerror}); choose another --out") from None
    finally:
        fresh.unlink(missing_ok=True)


def _pictures(reference: Log, current: Log, findings: Findings) -> dict[str, tuple[str, str]]:
    """Draw every figure of the page: name -> (PNG in base64, alt text)."""
    pca = findings.frozen.pca
    both = findings.frozen.held_out, np.arange(len(current))
    shown = min(MOST_ROWS, *map(len, both))  # as many of each, so that heights can be compared
    rows = [spread_rows(numbers, shown) for numbers in both]
    x, y = (pca.transform(np.asarray(log.embeddings[chosen], dtype=float))[:, :2]
            for log, chosen in zip((reference, current), rows, strict=True))  # fmt: skip
    pictures = {}
    ax = plots.canvas(width=7.2, height=4.6)[0, 0]
    share = pca.explained_variance_ratio_
    plots.scatter(
        ax,
        x,
        y,
        title=f"The reference's own plane holds {share[:2].sum():.1%} of its variance",
        axes_names=(f"PC1 ({share[0]:.1%} of variance)", f"PC2 ({share[1]:.1%})"),
        n_points=shown,
    )
    pictures["plane"] = figures.as_png(ax)
    pair = plots.canvas(1, 2, width=7.2, height=2.7, sharey=True)
    pooled = np.concatenate([x[:, 0], y[:, 0]])
    edges = np.linspace(pooled.min(), pooled.max(), 31)
    for ax, side, values in zip(pair[0], ("reference", "current"), (x, y), strict=True):
        plots.histogram(
            ax, values[:, 0], title=f"{side}: mean {values[:, 0].mean():.3g}", edges=edges, side=side
        )
        ax.set_ylabel("rows" if side == "reference" else "")
    pictures["pc1"] = figures.as_png(pair[0, 0])
    ax = plots.canvas(width=7.2, height=4.2)[0, 0]
    beyond = sum(score.adjusted <= 0.05 for score in findings.scores)
    title = f"{beyond} of {len(findings.scores)} scores lie beyond their shuffles"
    figures.null_strips(ax, findings.scores, title=title)
    pictures["panel"] = figures.as_png(ax)
    change = most_moved(findings.changes) or next(iter(findings.changes), None)
    if change and change.outcome in findings.parts:
        pictures["parts"] = _parts_picture(findings.parts[change.outcome], change.is_rate)
    return pictures


def _parts_picture(parts: pd.DataFrame, is_rate: bool) -> tuple[str, str]:
    parts = parts[["mix", "rate"]] * (100 if is_rate else 1)
    both = (parts["mix"] + parts["rate"]).abs()
    parts = parts.loc[both.sort_values(ascending=False, kind="stable").index]
    if len(parts) > 8:  # so that the bars still add up
        parts = pd.concat([parts[:7], parts[7:].sum().rename("all others").to_frame().T])
    ax = plots.canvas(width=7.2, height=1.2 + 0.38 * len(parts))[0, 0]
    unit = "points" if is_rate else "units of the outcome"
    title = f"{parts.index[0]} carries the largest part of the change"
    plots.mix_and_rate(ax, parts, title=title, xlabel=f"part of the change ({unit})")
    return figures.as_png(ax)


def _compared(log: Log) -> int:
    return len(spread_rows(np.arange(len(log)), MOST_ROWS, sessions_of(log)))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="playbook.py report",
        description="Compare two files of your own embeddings and write an HTML report.",
        epilog="Files: .npy, .npz, .parquet with a list column or a column for each dimension, .csv. "
        "Without --reference and --current the report shows scikit-learn's digits.",
    )
    parser.add_argument("--reference", type=Path, metavar="A", help="embeddings of a good window")
    parser.add_argument("--current", type=Path, metavar="B", help="embeddings of the window in doubt")
    parser.add_argument(
        "--outcomes",
        type=Path,
        metavar="O",
        help="CSV or Parquet: a row for each row of A, then one for each row of B; numeric or boolean "
        "columns are outcomes, a column 'session' keeps sessions together",
    )
    parser.add_argument("--out", type=Path, default=Path("report.html"), help="default: report.html here")
    options = parser.parse_args(argv)
    if bool(options.reference) != bool(options.current):
        there, missing = ("--reference", "--current")[:: 1 if options.reference else -1]
        _stop(parser, f"{there} needs {missing}: name both files, or neither for the digits")
    if options.outcomes and not options.reference:
        _stop(parser, "--outcomes needs --reference and --current, whose rows it describes")
    return options


def _stop(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    parser.exit(2, f"report: {message}\n")


def _check_out(out: Path, inputs: Sequence[Path | None]) -> None:
    """Refuse, before any work, a report that could not be written or would replace an input."""
    for path in inputs:
        if path and path.exists() and out.exists() and out.samefile(path):
            raise TableError(f"{out}: is an input as well; choose another --out")
    if out.is_dir():
        raise TableError(f"{out}: is a folder; name a file, such as {out / 'report.html'}")
    folder = out.resolve().parent
    if not folder.is_dir():
        raise TableError(f"{out}: the folder {folder} does not exist; make it, or choose another --out")
    probe = folder / f".{out.name}.{os.getpid()}.tmp"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise TableError(
            f"{out}: nothing can be written there ({error.strerror}); choose another --out"
        ) from None


def _check_sessions(path: Path | None, reference: Log, current: Log) -> None:
    for side, log in (("reference", reference), ("current", current)):
        sessions = sessions_of(log)
        if sessions is not None and sessions.max() + 1 < FEWEST_SESSIONS:
            raise TableError(
                f"{path}: the {side} rows have {sessions.max() + 1} session(s), too few to shuffle; give "
                f"at least {FEWEST_SESSIONS}, or drop the column 'session' to shuffle single rows"
            )


class _Progress:
    """Say on stderr which score is at work and how far the report is."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()

    def show(self, label: str, done: int, total: int) -> None:
        line = f"[{'#' * done:.<{total}}] {done}/{total}  {label}"
        print(f"\r{line}\033[K" if self.live else line, end="" if self.live else "\n",
              file=sys.stderr, flush=True)  # fmt: skip

    def clear(self) -> None:
        if self.live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
