"""The report: exact tests behind it, honest words in it, one whole file out of it, or one line of error."""

import hashlib
import os
import re
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers import metrics
from helpers.log import Log
from report import findings, page, panel
from report.digits import digits_case
from report.shuffles import folds_of, statistic

QUICK = 99  # shuffles


def log_of(rows, **outcomes):
    return Log(np.asarray(rows, np.float32), pd.DataFrame(outcomes, index=range(len(rows))))


def clean(seed, n=200, d=8, **outcomes):
    rng = np.random.default_rng(seed)
    return log_of(rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5, **outcomes)


def scores_of(reference, current, n_resamples=QUICK):
    found = panel.panel(reference, current, n_resamples=n_resamples)
    return {score.name: score for score in found}


# --- the tests behind it --------------------------------------------------------------------


def test_every_score_keeps_its_level_on_clean_data():
    runs = [panel.panel(clean([1, k]), clean([2, k]), n_resamples=QUICK) for k in range(40)]
    alarms = np.mean([[score.pvalue <= 0.05 for score in run] for run in runs], axis=0)
    # 40 draws of 5 % exceed 7 (17.5 %) once in 1,400 times
    assert (alarms <= 0.175).all(), dict(zip(panel.ABOUT, alarms, strict=True))
    assert np.mean([min(score.adjusted for score in run) <= 0.05 for run in runs]) <= 0.175
    middle = [score.pvalue for run in runs for score in run if score.name != "duplicate_share"]
    assert 0.4 < np.mean(middle) < 0.6


def test_whole_sessions_are_shuffled():
    def talkative(seed):
        rng = np.random.default_rng(seed)
        session = np.repeat(np.arange(40), 5)
        return log_of(rng.normal(size=(40, 6))[session] + 0.3 * rng.normal(size=(200, 6)), session=session)

    pairs = [(talkative([3, k]), talkative([4, k])) for k in range(12)]
    by_session = [scores_of(*pair)["energy_distance"].pvalue for pair in pairs]
    bare = [tuple(Log(log.embeddings, log.outcomes[[]]) for log in pair) for pair in pairs]
    by_row = [scores_of(*pair)["energy_distance"].pvalue for pair in bare]
    assert np.mean(np.array(by_session) <= 0.05) <= 0.25
    assert np.mean(np.array(by_row) <= 0.05) >= 0.75


@pytest.mark.parametrize(
    "name, change",
    [
        ("mmd2", lambda x: x + 0.5),
        ("energy_distance", lambda x: x + 0.5),
        ("sliced_wasserstein", lambda x: x + 0.5),
        ("classifier_auc", lambda x: x + 0.5),
        ("wasserstein_pc1", lambda x: x + 2 * np.eye(8)[0]),
        ("spread_ratio", lambda x: 1.3 * x),
        ("cluster_chi2", lambda x: np.where(np.arange(200)[:, None] < 90, np.abs(x), x)),
        ("novelty_share", lambda x: x + 9 * (np.arange(200)[:, None] < 16) * np.eye(8)[7]),
        ("duplicate_share", lambda x: np.where(np.arange(200)[:, None] < 10, x[0], x)),
    ],
)
def test_each_score_finds_its_own_kind_of_change(name, change):
    current = clean(6)
    assert scores_of(clean(5), log_of(change(current.embeddings)), 199)[name].adjusted <= 0.05


def test_scores_are_those_of_the_metrics_module():
    x, y = np.asarray(clean(7).embeddings, float), 0.3 + np.asarray(clean(8, n=150).embeddings, float)
    y[:9] = y[0]
    frozen = panel.freeze(clean(9, n=400))
    pooled, is_current = np.concatenate([x, y]), np.arange(350) >= 200

    def ours(name):
        return statistic(name, pooled, frozen.pca, frozen.buckets)(is_current)

    clusters = frozen.buckets.clusters
    assert ours("sliced_wasserstein") == pytest.approx(
        metrics.sliced_wasserstein(x, y), rel=0.03
    )  # other random directions
    assert ours("wasserstein_pc1") == pytest.approx(metrics.wasserstein_pc1(x, y, pca=frozen.pca))
    assert ours("spread_ratio") == pytest.approx(abs(metrics.spread_ratio(x, y)))
    assert ours("cluster_chi2") == pytest.approx(metrics.cluster_chi2(x, y, clusters=clusters))
    assert ours("duplicate_share") == pytest.approx(9 / 150)
    assert ours("classifier_auc") == pytest.approx(metrics.classifier_auc(x, y), abs=0.03)


def test_folds_keep_sessions_and_copies_together():
    rows = np.random.default_rng(0).normal(size=(60, 3))
    rows[10:20] = rows[10]
    assert len(set(folds_of(rows)[10:20])) == 1
    session = np.repeat(np.arange(20), 3)
    fold = folds_of(rows, (session[:30], session[30:]))
    assert (fold == fold[session * 3]).all() and len(set(fold)) == 5


def test_samples_are_spread_fixed_and_of_whole_sessions():
    rows = panel.spread_rows(np.arange(9999), 2000)
    assert len(rows) == 2000 and rows[0] == 0 and rows[-1] == 9998 and set(np.diff(rows)) == {5, 6}
    session = np.repeat(np.arange(2000), 5)
    rows = panel.spread_rows(np.arange(10_000), 2000, session)
    assert 1900 <= len(rows) <= 2000 and (np.bincount(session[rows])[session[rows]] == 5).all()
    long = np.repeat(np.arange(12), 1000)
    assert len(set(long[panel.spread_rows(np.arange(12_000), 2000, long)])) == 12


def test_what_is_learnt_is_held_out_from_the_test():
    session = np.repeat(np.arange(80), 5)
    frozen = panel.freeze(clean(1, n=400, session=session))
    assert sorted([*frozen.fitted, *frozen.held_out]) == list(range(400))
    assert not set(session[frozen.fitted]) & set(session[frozen.held_out])


def test_ranking_finds_the_rows_of_a_small_new_group():
    current = clean(12, n=600).embeddings.copy()
    current[:30] += 5 * np.eye(8)[7]
    order = panel.domain_ranking(clean(11, n=600), log_of(current))[0]
    assert np.mean(order[:20] < 30) >= 0.9


def test_interval_is_that_of_two_proportions_and_wider_for_sessions():
    rng = np.random.default_rng(0)
    session = np.repeat(np.arange(300), 5)
    success = (rng.random(300) < 0.8)[session]
    before, after = clean(1, n=1500, y=rng.random(1500) < 0.9), clean(2, n=1500, y=success)
    change = findings.outcome_changes(before, after)[0]
    p = [log.outcomes["y"].mean() for log in (before, after)]
    half = 1.96 * np.sqrt(sum(q * (1 - q) / 1500 for q in p))
    assert change.size == pytest.approx(p[1] - p[0]) and change.is_rate and change.moved
    assert (change.high - change.low) / 2 == pytest.approx(half, rel=0.1)
    for log in (before, after):
        log.outcomes["session"] = session
    clustered = findings.outcome_changes(before, after)[0]
    assert (clustered.high - clustered.low) > 1.5 * (change.high - change.low)


def test_missing_outcomes_are_left_out_and_counted():
    before, after = clean(1, y=[1.0, np.nan] * 100, z=np.nan), clean(2, y=[0.0] * 200, z=1.0)
    y, z = findings.outcome_changes(before, after)
    assert (y.before, y.after, y.missing, y.moved) == (1.0, 0.0, 100, True)
    assert z.missing == 200 and not z.moved


def test_parts_add_up():
    found = findings.examine(*digits_case("rotate_ones"), n_resamples=9)
    parts = found.parts["accuracy"]
    reference, current = digits_case("rotate_ones")
    held = reference.outcomes["accuracy"].to_numpy()[found.frozen.held_out].mean()
    assert parts[["mix", "rate"]].to_numpy().sum() == pytest.approx(
        current.outcomes["accuracy"].mean() - held
    )
    assert found.buckets[["before", "after"]].sum().tolist() == pytest.approx([1, 1])


# --- the words ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "story, drift, outcome, advice",
    [
        ("none", "nothing larger than chance, and no outcome moved", "no more than chance", "Nothing to do"),
        (
            "contrast",
            "changed, and no outcome moved by more than chance",
            "no more than chance",
            "No outcome asks",
        ),
        ("rotate_ones", "changed, and accuracy fell by", "unlike any known one", "Read rows 352, "),
        (
            "relabel",
            "nothing larger than chance, yet accuracy fell by",
            "many clusters",
            "Look behind the queries",
        ),
    ],
)
def test_verdict_claims_no_more_than_the_numbers(story, drift, outcome, advice):
    found = findings.examine(*digits_case(story), n_resamples=199)
    headline, sentences = findings.verdict(found)
    assert drift in headline and outcome in sentences[1] and advice in findings.advice(found)


def test_without_outcomes_nobody_is_said_to_be_hurt():
    found = findings.examine(clean(1), log_of(clean(2).embeddings + 2), n_resamples=QUICK)
    assert findings.verdict(found)[0] == (
        "The embeddings changed. Whether anybody was hurt is not in these files."
    )
    assert "then join outcomes" in findings.advice(found)


# --- the file -------------------------------------------------------------------------------


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def all(self, name):
        return [attrs for tag, attrs in self.tags if tag == name]


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(page, "examine", partial(findings.examine, n_resamples=QUICK))


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two windows and their outcomes in the current folder."""
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", clean(1).embeddings)
    np.save("b.npy", clean(2, n=180).embeddings + 0.2)
    table = pd.DataFrame({"success": np.arange(380) % 10 > 0, "session": np.arange(380) // 2})
    table.to_csv("o.csv", index=False)
    return tmp_path


BOTH = ["--reference", "a.npy", "--current", "b.npy"]


def test_page_is_whole_accessible_and_asks_for_nothing(files, quick):
    assert page.main([*BOTH, "--outcomes", "o.csv"]) == 0
    text = Path("report.html").read_text(encoding="utf-8")
    shown = Page(text)
    assert not re.search(r"https?:|//\w|@import|url\(", re.sub(r"base64,[\w+/=]+", "", text))
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in shown.tags}
    assert shown.all("html") == [{"lang": "en"}] and text.startswith("<!DOCTYPE html>")
    levels = [int(tag[1]) for tag, _ in shown.tags if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False))
    assert len(shown.all("img")) == 4
    assert all(len(img["alt"]) > 60 and img["src"].startswith("data:image/png") for img in shown.all("img"))
    assert all(th.get("scope") in ("col", "row") for th in shown.all("th"))
    assert "nan" not in re.sub(r"base64,[\w+/=]+", "", text)


def test_same_input_same_bytes(files, quick):
    digests = []
    for name in ("one.html", "two.html"):
        assert page.main([*BOTH, "--outcomes", "o.csv", "--out", name]) == 0
        digests.append(hashlib.sha256(Path(name).read_bytes()).hexdigest())
    assert digests[0] == digests[1]


def test_formats_give_the_same_report(files, quick):
    reports = []
    for suffix in ("npy", "parquet", "csv"):
        for name, log in (("a", clean(1)), ("b", clean(2, n=180))):
            table = pd.DataFrame(log.embeddings, columns=[f"e{i}" for i in range(8)])
            if suffix == "parquet":
                pd.DataFrame({"v": list(log.embeddings)}).to_parquet(f"{name}.parquet")
            elif suffix == "csv":
                table.to_csv(f"{name}.csv", index=False)
            else:
                np.save(f"{name}.npy", log.embeddings)
        assert page.main(["--reference", f"a.{suffix}", "--current", f"b.{suffix}"]) == 0
        text = Path("report.html").read_text().replace(f".{suffix}", "")
        reports.append(re.sub(r"<li>[ab]: .*", "", text))
    assert reports[0] == reports[1] == reports[2]


def test_digits_are_shown_without_arguments(tmp_path, monkeypatch, quick, capsys):
    monkeypatch.chdir(tmp_path)
    assert page.main([]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("The embeddings changed, and accuracy fell by 9.02 points.\n")
    assert out.endswith("Report: report.html\n")
    assert "[#........] 1/9  energy distance" in err


def test_names_are_escaped(files, quick):
    os.rename("a.npy", "<i>&.npy")
    assert page.main(["--reference", "<i>&.npy", "--current", "b.npy"]) == 0
    text = Path("report.html").read_text()
    assert "<i>" not in text and "&lt;i&gt;&amp;.npy" in text


# --- one line of error ----------------------------------------------------------------------


def write_bad(name, rows):
    np.save(name, rows)
    return name


MISUSES = {
    "missing": (["--reference", "no.npy", "--current", "b.npy"], "no.npy: there is no such file"),
    "only one": (["--reference", "a.npy"], "--reference needs --current"),
    "only the other": (["--current", "a.npy"], "--current needs --reference"),
    "outcomes alone": (["--outcomes", "o.csv"], "--outcomes needs --reference and --current"),
    "rows": (
        ["--reference", "b.npy", "--current", "b.npy", "--outcomes", "o.csv"],
        "o.csv: has 380 rows, expected 360; give one row for each of the 180 reference rows",
    ),
    "no folder": ([*BOTH, "--out", "no/r.html"], "does not exist"),
    "a file as folder": ([*BOTH, "--out", "o.csv/r.html"], "does not exist"),
    "a folder": ([*BOTH, "--out", "."], "is a folder"),
    "an input": ([*BOTH, "--out", "./a.npy"], "a.npy: is an input as well"),
    "nan": (["--reference", "nan.npy", "--current", "b.npy"], "nan.npy: has NaN"),
    "dimensions": (["--reference", "narrow.npy", "--current", "b.npy"], "narrow.npy has 3"),
    "sessions": ([*BOTH, "--outcomes", "few.csv"], "few.csv: the reference rows have 2 session(s)"),
}


@pytest.mark.parametrize("case", MISUSES)
def test_misuse_gets_one_line_and_leaves_everything_as_it_was(files, capsys, case):
    argv, said = MISUSES[case]
    Path("report.html").write_text("old")
    rows = clean(1).embeddings
    np.save("narrow.npy", rows[:, :3])
    np.save("nan.npy", np.where(np.arange(200)[:, None] == 3, np.nan, rows))
    pd.DataFrame({"y": 1.0, "session": np.arange(380) // 100}).to_csv("few.csv", index=False)
    before = {path: path.read_bytes() for path in files.iterdir()}
    try:
        code = page.main(argv)
    except SystemExit as left:
        code = left.code
    out, err = capsys.readouterr()
    assert code == 2 and out == ""
    assert err.count("\n") == 1 and err.startswith("report: ") and said in err, err
    assert {path: path.read_bytes() for path in files.iterdir()} == before


def test_unknown_option_is_refused_by_a_real_process(files):
    root = Path(page.__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "-P", "-m", "report", "--rows", "3"],
        env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2 and "unrecognized arguments: --rows 3" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_report_is_the_old_one_or_the_new_one(files, quick, capsys, monkeypatch, fault):
    def fail(*_):
        raise fault

    Path("report.html").write_text("old")
    monkeypatch.setattr(page.os, "replace", fail)
    code = page.main([*BOTH])
    assert code == (130 if isinstance(fault, KeyboardInterrupt) else 2)
    assert Path("report.html").read_text() == "old"
    assert [path.name for path in files.iterdir() if "tmp" in path.name] == []
    assert "Traceback" not in capsys.readouterr().err


def test_folder_that_may_not_be_written(files, capsys, monkeypatch):
    def refuse(path):  # as the system does, from which nothing is withheld where it runs as root
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(page.Path, "touch", refuse)
    assert page.main([*BOTH]) == 2
    assert "report.html: nothing can be written there (Permission denied)" in capsys.readouterr().err
    assert not Path("report.html").exists()


def test_name_that_no_disk_takes(files, capsys):
    assert page.main([*BOTH, "--out", 250 * "r"]) == 2
    assert "nothing can be written there" in capsys.readouterr().err


# --- windows that are odd but real ----------------------------------------------------------


@pytest.mark.parametrize(
    "current",
    [
        np.zeros((200, 8)),  # an outage
        np.repeat(clean(3, n=20).embeddings, 10, axis=0),  # ten copies of everything
        clean(3, n=20).embeddings,  # few rows
    ],
    ids=["constant", "copies", "few"],
)
def test_odd_windows_have_finite_scores(current):
    for score in scores_of(clean(1), log_of(current)).values():
        assert np.isfinite(score.value) and np.isfinite(score.null).all()


def test_more_dimensions_than_rows():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 60, 700))
    assert scores_of(log_of(x), log_of(y + 0.5), 199)["energy_distance"].adjusted <= 0.05
