"""Draw the three first pictures of drift, and the picture of the README, as SVG.

The same files, byte for byte, every time and on every machine: fixed seeds, fixed element ids, no
date, and coordinates rounded to six decimals before they are drawn.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from helpers import plots
from helpers.synthetic import Event, Product

FIGURES = Path(__file__).resolve().parent.parent / "figures"
CHANGES = [
    Event("mean_shift", start=28, size=0.25, direction="pc1"),
    Event("spread", start=28, size=0.25),
    Event("new_topic", start=28, size=0.12, topic=1),
]


def three_pictures(product: Product, folder: Path) -> list[Path]:
    """PCA of week 0 against week 4, and each week's histogram on PC1, as in notebook 00."""
    log = product.run(days=35, events=CHANGES)
    week0, week4 = (log.week(number).embeddings.astype(float) for number in (0, 4))
    pca = PCA(n_components=2).fit(week0)
    plane0, plane4 = (pca.transform(week).round(6) for week in (week0, week4))
    both = np.concatenate([plane0[:, 0], plane4[:, 0]])
    edges = np.linspace(both.min(), both.max(), 41).round(6)

    ax = plots.canvas(height=4.6)[0, 0]
    title = "Week 4 has moved, in the plane of week 0"
    plots.scatter(ax, plane0, plane4, labels=("week 0", "week 4"), title=title)
    files = [plots.save_svg(ax, folder / "pca_week_0_week_4.svg")]
    for week, plane, side in [(0, plane0, "reference"), (4, plane4, "current")]:
        ax = plots.canvas(width=4.8)[0, 0]
        title = f"Week {week} on PC1"
        plots.histogram(ax, plane[:, 0], edges=edges, side=side, title=title)
        files.append(plots.save_svg(ax, folder / f"pc1_week_{week}.svg"))
    return files


def same_queries_opposite_fate(product: Product, folder: Path) -> Path:
    """Two upgrades with the same query embeddings, and what became of the answers."""
    quiet = product.run(days=7)
    upgrades = {
        "index left behind": product.run(7, [Event("rotation", size=0.5)]),
        "index rebuilt": product.run(7, [Event("rotation", size=0.5, index_follows=True)]),
    }
    pca = PCA(n_components=2).fit(quiet.embeddings.astype(float))
    plane = pca.transform(quiet.embeddings).round(6)
    axes = plots.canvas(1, 3, width=11, height=3.6, width_ratios=[1, 1, 0.9])
    for ax, (name, log) in zip(axes[0], upgrades.items(), strict=False):
        labels = ("before the upgrade", "after it")
        moved = pca.transform(log.embeddings).round(6)
        plots.scatter(ax, plane, moved, labels=labels, title=f"New embedder, {name}", n_points=700)
    logs = {"no upgrade": quiet, **upgrades}
    success = pd.Series({name: 100 * log.outcomes["success"].mean() for name, log in logs.items()})
    title = "Same queries, opposite fate"
    plots.bars(axes[0, 2], success, title=title, xlabel="success (% of queries)")
    return plots.save_svg(axes, folder / "same_queries_opposite_fate.svg")


def main() -> int:
    """Draw into the project's figures folder, or into another one."""
    parser = argparse.ArgumentParser(prog="playbook.py figures", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder to draw into")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    product = Product(seed=0)
    for file in [*three_pictures(product, folder), same_queries_opposite_fate(product, folder)]:
        print(f"drew {file.name}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
