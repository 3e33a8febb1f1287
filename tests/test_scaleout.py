"""The same bits from one process and from real worker processes, even if one dies; bad shards are named."""

import multiprocessing.resource_tracker
import os
import subprocess
import sys
import tempfile
from functools import reduce
from pathlib import Path
from types import SimpleNamespace

import dask
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed import Event, KilledWorker, as_completed
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import scaleout
from helpers.scaleout import Summary, connect, find_shards, merge_states, merge_tree, shard_state
from helpers.streaming import ClusterCounts, HashSample, RandomFeatureMean, RunningMoments

ROOT = Path(__file__).resolve().parent.parent
ROWS = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)
ROWS /= np.linalg.norm(ROWS, axis=1, keepdims=True)
IDS = np.arange(len(ROWS))


def summary(gamma=1.0):
    parts = RandomFeatureMean(8, 32, gamma=gamma), RunningMoments(8), ClusterCounts(ROWS[:5], limit=1.0)
    return Summary(*parts, HashSample(40))


EMPTY = summary().to_bytes()


def of_rows(rows, ids):
    """The summary, as bytes, of rows taken in one go."""
    one = summary()
    one.update(rows, ids)
    return one.to_bytes()


def fixed(rows):
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])


def write(path, vectors, ids, **options):
    pq.write_table(pa.table({"id": ids, "embedding": vectors}), path, **options)
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve shards of unequal size."""
    folder = tmp_path_factory.mktemp("shards")
    cuts = np.sort(np.random.default_rng(1).choice(np.arange(1, len(ROWS)), 11, replace=False))
    for number, part in enumerate(np.split(IDS, cuts)):
        write(folder / f"{number:02}.parquet", fixed(ROWS[part]), part)
    return folder


@pytest.fixture(scope="module")
def single(folder):
    """The answer: one summary, one shard after the other, no merge."""
    return reduce(lambda state, path: shard_state(path, state), find_shards(folder), EMPTY)


def workers_alive():
    """Child processes of this one, but for Python's own helper, which lives as long as the process."""
    multiprocessing.resource_tracker.ensure_running()
    helper = multiprocessing.resource_tracker._resource_tracker._pid
    return {child for child in psutil.Process().children(recursive=True) if child.pid != helper}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    before = workers_alive()
    with connect(scratch=str(tmp_path_factory.mktemp("scratch"))) as client:
        yield client
    assert workers_alive() == before


def summarise(client, shards, **options):
    return merge_tree(client, client.map(shard_state, shards, start=EMPTY, pure=False), **options)


# The same bits.


def test_single_pass_is_the_summary_of_all_rows(single):
    assert single == of_rows(ROWS, IDS)


@pytest.mark.parametrize("width", [2, 3, 8, 100])
def test_cluster_gives_the_bits_of_the_single_pass_for_any_width_of_the_tree(client, folder, single, width):
    assert summarise(client, find_shards(folder), width=width).result() == single


def test_cluster_takes_shards_in_any_order_and_one_alone(client, folder, single):
    shards = find_shards(folder)
    assert summarise(client, shards[::-1]).result() == single
    assert summarise(client, shards[:1]).result() == shard_state(shards[0], EMPTY)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_cut_order_and_tree_gives_the_same_bits(data):
    rows = 60
    order = np.random.default_rng(data.draw(st.integers(0, 2**32))).permutation(rows)
    cuts = data.draw(st.lists(st.integers(0, rows), max_size=12).map(sorted))
    parts = [of_rows(ROWS[part], IDS[part]) for part in np.split(order, cuts)]
    while len(parts) > 1:
        chosen = data.draw(st.lists(st.integers(0, len(parts) - 1), min_size=2, max_size=4, unique=True))
        merged = merge_states([parts[place] for place in chosen])
        parts = [merged, *(part for place, part in enumerate(parts) if place not in chosen)]
    assert parts == [of_rows(ROWS[:rows], IDS[:rows])]


def test_address_of_a_scheduler_is_the_one_change(client, folder, single):
    with connect(client.scheduler_info()["address"]) as other:
        assert summarise(other, find_shards(folder)).result() == single
    assert len(client.scheduler_info()["workers"]) == 2, (
        "leaving a cluster of somebody else's does not end it"
    )


def test_workers_are_two_processes_and_listen_on_this_machine_alone(client):
    pids = set(client.run(os.getpid).values())
    assert len(pids) == 2 and os.getpid() not in pids
    assert pids <= {process.pid for process in workers_alive()}
    listening = [
        connection.laddr.ip
        for process in [psutil.Process(), *workers_alive()]
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}
    assert client.dashboard_link.startswith("http://127.0.0.1:")


# A worker dies.


def killer(fatal):
    """A task that ends its worker if it is `fatal`; made here, so that it travels by value."""

    def work():
        if fatal:
            os.kill(os.getpid(), 9)
        return EMPTY

    return work


def test_worker_killed_in_mid_job_changes_no_bit(client, folder, single):
    shards = find_shards(folder)

    def gated(path, first):
        if path != first:
            Event("gate").wait()
        return shard_state(path, EMPTY)

    client.get_task_stream()
    before = client.run(os.getpid)
    states = client.map(gated, shards, first=shards[0], pure=False)
    lost = next(as_completed(states))
    assert [state.done() for state in states].count(True) == 1
    owner = client.who_has([lost])[lost.key][0]
    psutil.Process(before[owner]).kill()
    Event("gate", client=client).set()
    assert merge_tree(client, states).result() == single
    assert [task["key"] for task in client.get_task_stream()].count(lost.key) == 2
    client.wait_for_workers(2, timeout=30)
    after = set(client.run(os.getpid).values())
    assert len(after) == 2 and before[owner] not in after


def test_shard_that_kills_its_workers_four_times_ends_the_job_and_not_the_cluster(client, folder, single):
    with pytest.raises(KilledWorker, match="on 4 different workers"):
        merge_tree(client, [client.submit(killer(fatal), pure=False) for fatal in (False, True)]).result()
    client.wait_for_workers(2, timeout=30)
    assert summarise(client, find_shards(folder)).result() == single


def test_worker_comes_back_however_long_it_takes_and_often_it_dies(tmp_path):
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 ms"}),
        connect(workers=1, memory="300MB", scratch=str(tmp_path)) as client,
    ):
        for _ in range(3):
            [dead] = client.run(os.getpid).values()
            psutil.Process(dead).kill()
            psutil.Process(dead).wait(timeout=30)
            assert client.submit(os.getpid, pure=False).result(timeout=30) != dead


def test_nothing_is_left_when_a_cluster_of_ones_own_is_closed(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    before = workers_alive()
    client = connect(workers=1, memory="300MB", scratch=str(tmp_path))
    assert len(workers_alive() - before) == 1
    client.close()
    assert workers_alive() == before
    assert list(tmp_path.glob("*/worker*")) == []
    assert list((tmp_path / "temporary").iterdir()) == []


# Shards.


def shuffled(path):
    order = np.random.default_rng(2).permutation(500)
    return write(path, fixed(ROWS[order]), IDS[order], compression="gzip")


GOOD = {
    "lists": lambda path: write(path, list(ROWS[:500]), IDS[:500]),
    "large lists": lambda path: write(
        path, pa.array(list(ROWS[:500]), pa.large_list(pa.float32())), IDS[:500]
    ),
    "doubles": lambda path: write(path, fixed(ROWS[:500].astype(float)), IDS[:500]),
    "small row groups": lambda path: write(path, fixed(ROWS[:500]), IDS[:500], row_group_size=37),
    "other order and compression": shuffled,
}


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("at_a_time", [1, 64, 2048])
def test_summary_depends_on_the_rows_and_not_on_how_the_shard_was_written(
    tmp_path, monkeypatch, kind, at_a_time
):
    monkeypatch.setattr(scaleout, "ROWS", at_a_time)
    assert shard_state(GOOD[kind](tmp_path / "a.parquet"), EMPTY) == of_rows(ROWS[:500], IDS[:500])


def test_ids_may_be_strings_and_a_shard_may_be_empty(tmp_path):
    names = [f"query {number}" for number in range(50)]
    path = write(tmp_path / "a.parquet", fixed(ROWS[:50]), names)
    assert shard_state(path, EMPTY) == of_rows(ROWS[:50], names)
    assert shard_state(write(tmp_path / "b.parquet", fixed(ROWS[:0]), IDS[:0]), EMPTY) == EMPTY


def test_memory_follows_the_row_group_and_not_the_shard(tmp_path):
    held = {}
    for times, group in [(1, 5000), (10, 5000), (10, 150_000)]:
        rows, ids = np.tile(ROWS, (5 * times, 1)), np.tile(IDS, 5 * times)
        path = write(tmp_path / "a.parquet", fixed(rows), ids, row_group_size=group, use_dictionary=False)
        before = pa.total_allocated_bytes()
        batches = scaleout.read_shard(path, "embedding", "id")
        held[times, group] = max(pa.total_allocated_bytes() - before for _ in batches)
    assert held[10, 5000] < 1.5 * held[1, 5000]
    assert held[10, 150_000] > 5 * held[10, 5000]


def cut(path):
    write(path, fixed(ROWS), IDS)
    path.write_bytes(path.read_bytes()[:-1000])


def damaged(path):
    write(path, fixed(ROWS), IDS, compression="gzip", use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[2000:40000] = bytes(38000)
    path.write_bytes(data)


def with_bad_value(value):
    rows = ROWS[:90].copy()
    rows[70, 3] = value
    return lambda path: write(path, fixed(rows), IDS[:90])


BAD = {
    "no vectors": (
        lambda path: pq.write_table(pa.table({"id": IDS, "vector": fixed(ROWS)}), path),
        "it has no column embedding, but id, vector",
    ),
    "no ids": (
        lambda path: pq.write_table(pa.table({"embedding": fixed(ROWS)}), path),
        "it has no column id, but embedding",
    ),
    "numbers": (lambda path: write(path, ROWS[:, 0], IDS), "its column embedding holds no vectors"),
    "words": (lambda path: write(path, [["a", "b"]] * 3, IDS[:3]), "batch has dtype"),
    "several lengths": (lambda path: write(path, [[1.0] * 7, [1.0] * 9], IDS[:2]), "of several lengths"),
    "a row without a vector": (
        lambda path: write(path, [None, *ROWS[:5]], IDS[:6]),
        "rows without a vector",
    ),
    "a gap in a vector": (
        lambda path: write(path, [[None] + [0.1] * 7], IDS[:1]),
        "NaN or infinity in 1 row",
    ),
    "NaN": (with_bad_value(np.nan), "NaN or infinity in 1 row"),
    "a giant": (with_bad_value(1e9), "values beyond"),
    "another dimension": (
        lambda path: write(path, fixed(ROWS[:, :7].copy()), IDS),
        r"give an array of shape \(n, 8\)",
    ),
    "ids with gaps": (lambda path: write(path, fixed(ROWS[:2]), [1, None]), "ids has shape"),
    "cut off": (cut, "Parquet"),
    "damaged": (damaged, "."),
    "no Parquet": (lambda path: path.write_text("id,embedding\n"), "Parquet"),
    "no bytes": (lambda path: path.write_bytes(b""), "Parquet"),
    "a folder": (lambda path: path.mkdir(), "."),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_shard_is_refused_whole_and_by_name(tmp_path, kind):
    make, reason = BAD[kind]
    make(tmp_path / "b7.parquet")
    with pytest.raises(ValueError, match=rf"shard .*b7\.parquet cannot be used: (?s:.*){reason}"):
        shard_state(str(tmp_path / "b7.parquet"), EMPTY)


def test_error_of_a_worker_reaches_the_caller_and_the_cluster_goes_on(client, folder, single, tmp_path):
    cut(tmp_path / "b7.parquet")
    with pytest.raises(ValueError, match=r"shard .*b7\.parquet cannot be used"):
        summarise(client, [*find_shards(folder), str(tmp_path / "b7.parquet")]).result()
    with pytest.raises(FileNotFoundError, match=r"nowhere\.parquet"):
        client.submit(shard_state, str(tmp_path / "nowhere.parquet"), EMPTY).result()
    assert summarise(client, find_shards(folder)).result() == single


def test_shards_are_found_in_order_and_in_folders_below(tmp_path):
    for name in ["b.parquet", "deep/a.parquet", "a.parquet", "notes.txt"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [Path(path).relative_to(tmp_path).as_posix() for path in find_shards(tmp_path)]
    assert found == ["a.parquet", "b.parquet", "deep/a.parquet"]


@pytest.mark.parametrize("name", [".", "nowhere"])
def test_folder_without_shards_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"folder=.* has no \.parquet file"):
        find_shards(tmp_path / name)


# Summaries.


def test_summary_comes_back_from_its_bytes():
    state = of_rows(ROWS[:300], IDS[:300])
    assert Summary.from_bytes(state).to_bytes() == state
    assert Summary.from_bytes(state) == Summary.from_bytes(state) != Summary.from_bytes(EMPTY)


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-1], lambda d: b"X" + d[1:], lambda d: d[:99] + b"!" + d[100:]]
)
def test_damaged_bytes_are_refused(damage):
    with pytest.raises(ValueError, match="data is"):
        Summary.from_bytes(damage(EMPTY))


def test_bytes_of_another_kind_of_state_are_refused():
    with pytest.raises(ValueError, match="saved RunningMoments, not a Summary"):
        Summary.from_bytes(RunningMoments(8).to_bytes())


def test_summaries_of_other_settings_are_not_merged():
    with pytest.raises(ValueError, match="another gamma"):
        merge_states([EMPTY, summary(gamma=2.0).to_bytes()])


# The door to the cluster.


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://a", "", 8786])
def test_scheduler_that_does_not_answer_is_named(monkeypatch, address):
    monkeypatch.setattr(scaleout, "PATIENCE", 0.3)
    with pytest.raises(ConnectionError, match=f"scheduler={address!r} does not answer: start one with"):
        connect(address)


@pytest.mark.parametrize("workers", [0, -1, 1.5, "two"])
def test_number_of_workers_is_checked(workers):
    with pytest.raises(ValueError, match="workers=.* must be a whole number"):
        connect(workers=workers)


def test_merging_nothing_is_refused(client):
    with pytest.raises(ValueError, match="no state"):
        merge_tree(client, [])


@pytest.mark.parametrize("width", [1, 0, 2.5])
def test_tree_that_would_never_end_is_refused(client, width):
    with pytest.raises(ValueError, match="width=.* at least 2"):
        merge_tree(client, [EMPTY, EMPTY], width=width)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match="pip install distributed bokeh"):
        connect()


# What is seen of it.


def futures_of(client, n=3):
    def work(number):
        return number

    return client.map(work, range(n), pure=False)


def in_notebook(monkeypatch, *, with_person):
    content = {"allow_stdin": with_person}
    kernel = SimpleNamespace(get_parent=lambda: {"content": content})
    monkeypatch.setattr(scaleout, "get_ipython", lambda: SimpleNamespace(kernel=kernel))


@pytest.mark.parametrize("place", ["script", "notebook that is built or tested"])
def test_progress_is_silent_where_nobody_looks_on(client, capsys, monkeypatch, place):
    if place != "script":
        in_notebook(monkeypatch, with_person=False)
    futures = futures_of(client)
    scaleout.show_progress(futures)
    assert [future.done() for future in futures] == [True, True, True]
    assert capsys.readouterr() == ("", "")


def test_person_in_a_notebook_sees_a_bar_that_is_cleared_in_the_end(client, capsys, monkeypatch):
    in_notebook(monkeypatch, with_person=True)
    cleared = []
    monkeypatch.setattr(scaleout, "clear_output", lambda: cleared.append(capsys.readouterr().out))
    scaleout.show_progress(futures_of(client))
    assert [f"{number}/3" in cleared[0] for number in range(4)] == [True] * 4
    assert capsys.readouterr() == ("", "")


def test_bar_ends_where_a_task_fails_and_leaves_the_error_to_the_result(client, capsys, monkeypatch):
    def fail():
        raise RuntimeError("the disk is full")

    in_notebook(monkeypatch, with_person=True)
    future = client.submit(fail, pure=False)
    scaleout.show_progress([future])
    with pytest.raises(RuntimeError, match="the disk is full"):
        future.result()


def test_person_at_a_terminal_sees_a_bar(client, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    scaleout.show_progress(futures_of(client))
    assert "100% Completed" in capsys.readouterr().out


def test_job_runs_from_a_shell_on_a_scheduler(client, folder, single, tmp_path, capsys):
    start, out = tmp_path / "empty.state", tmp_path / "day.state"
    start.write_bytes(EMPTY)
    address = client.scheduler_info()["address"]
    scaleout.main([str(folder), str(start), str(out), "--scheduler", address])
    assert out.read_bytes() == single
    assert capsys.readouterr().out.endswith(f"3000 rows in {len(single)} bytes\n")


def test_job_runs_from_a_shell_on_this_machine(folder, single, tmp_path):
    start, out = tmp_path / "empty.state", tmp_path / "day.state"
    start.write_bytes(EMPTY)
    words = [sys.executable, "-m", "helpers.scaleout", str(folder), str(start), str(out)]
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "12 shards; watch them at http://127.0.0.1:" in done.stdout
    assert out.read_bytes() == single
