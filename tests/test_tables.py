"""A learner's own files are read as meant, or refused in one line that says what to do."""

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from report.formats import TableError
from report.tables import read_embeddings, read_outcomes, read_windows

ROWS = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)


def fixed_size(rows):
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])


WRITERS = {
    "plain.npy": lambda p: np.save(p, ROWS),
    "double.npy": lambda p: np.save(p, ROWS.astype(np.float64)),
    "fortran.npy": lambda p: np.save(p, np.asfortranarray(ROWS)),
    "one.npz": lambda p: np.savez(p, anything=ROWS),
    "named.npz": lambda p: np.savez_compressed(p, ids=np.arange(30), embeddings=ROWS),
    "list.parquet": lambda p: pd.DataFrame({"text": ["q"] * 30, "v": list(ROWS)}).to_parquet(p),
    "fixed.parquet": lambda p: pq.write_table(pa.table({"v": fixed_size(ROWS)}), p, row_group_size=7),
    "two_lists.pq": lambda p: pq.write_table(
        pa.table({"tokens": [[1]] * 30, "embeddings": ROWS.tolist()}), p
    ),
    "columns.parquet": lambda p: pd.DataFrame(ROWS, columns=list("abcd")).to_parquet(p),
    "header.csv": lambda p: pd.DataFrame(ROWS, columns=list("abcd")).to_csv(p, index=False),
    "numbers.csv": lambda p: pd.DataFrame(ROWS).to_csv(p, index=False),
    "index.csv": lambda p: pd.DataFrame(ROWS).to_csv(p),
    "bare.csv": lambda p: pd.DataFrame(ROWS).to_csv(p, index=False, header=False),
    "semicolons.csv": lambda p: pd.DataFrame(ROWS).to_csv(p, index=False, sep=";"),
    "savetxt.csv": lambda p: np.savetxt(p, ROWS, delimiter=","),
    "id.csv": lambda p: (
        pd.DataFrame(ROWS, columns=[f"e{i}" for i in range(4)])
        .assign(id=range(30), text="hello", day=3)
        .to_csv(p, index=False)
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_numbers(tmp_path, name):
    WRITERS[name](tmp_path / name)
    read = read_embeddings(tmp_path / name)
    assert read.rows.dtype == np.float32
    np.testing.assert_array_equal(read.rows, ROWS)
    assert read.note.startswith("30 rows of 4 dimensions")


def test_columns_left_out_are_named(tmp_path):
    WRITERS["id.csv"](tmp_path / "id.csv")
    assert read_embeddings(tmp_path / "id.csv").note.endswith("e0 to e3; left out id, text, day")
    WRITERS["list.parquet"](tmp_path / "list.parquet")
    assert "list column 'v'; left out text" in read_embeddings(tmp_path / "list.parquet").note


def with_bad(value, row=7):
    rows = ROWS.copy()
    rows[row, 1] = value
    return rows


def cut(path, writer, share=0.6):
    writer(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


BROKEN = {
    "missing.npy": (lambda p: None, "no such file"),
    "folder.npy": (lambda p: p.mkdir(), "is a folder"),
    "words.txt": (lambda p: p.write_text("1,2"), "unknown format '.txt'"),
    "no_ending": (lambda p: p.write_text("1,2"), "has no ending"),
    "empty.csv": (lambda p: p.write_text(""), "is empty"),
    "blank.csv": (lambda p: p.write_text("\n\n"), "holds no table"),
    "nan.npy": (lambda p: np.save(p, with_bad(np.nan)), "in 1 row(s), first row 7"),
    "inf.npy": (lambda p: np.save(p, with_bad(np.inf)), "in 1 row(s), first row 7"),
    "huge.npy": (lambda p: np.save(p, ROWS.astype(float) * 1e300), "infinity"),
    "norows.npy": (lambda p: np.save(p, ROWS[:0]), "no rows"),
    "norows.parquet": (
        lambda p: pq.write_table(pa.table({"v": pa.array([], pa.list_(pa.float32()))}), p), "no rows",
    ),
    "onerow.npy": (lambda p: np.save(p, ROWS[:1]), "1 row(s); give at least 20"),
    "header_only.csv": (lambda p: p.write_text("a,b,c\n"), ""),
    "vector.npy": (lambda p: np.save(p, ROWS[0]), "has shape (4,)"),
    "cube.npy": (lambda p: np.save(p, ROWS[None]), "has shape (1, 30, 4)"),
    "complex.npy": (lambda p: np.save(p, ROWS + 1j), "complex"),
    "text.npy": (lambda p: np.save(p, ROWS.astype(str)), "has dtype <U"),
    "object.npy": (lambda p: np.save(p, np.array([[1, "a"]] * 30, dtype=object)), "never unpickled"),
    "object.npz": (lambda p: np.savez(p, x=np.array([[1, "a"]] * 30, dtype=object)), "never unpickled"),
    "pickled.npy": (lambda p: p.write_bytes(pickle.dumps(ROWS)), "pickles are never opened"),
    "pickled.npz": (lambda p: p.write_bytes(pickle.dumps(ROWS)), "pickles are never opened"),
    "many.npz": (lambda p: np.savez(p, a=ROWS, b=ROWS), "holds 2 arrays (a, b)"),
    "none.npz": (lambda p: np.savez(p), "holds 0 arrays"),
    "cut.npy": (lambda p: cut(p, WRITERS["plain.npy"]), "damaged or cut off"),
    "cut_header.npy": (lambda p: cut(p, WRITERS["plain.npy"], 0.1), "damaged or cut off"),
    "cut.npz": (lambda p: cut(p, WRITERS["named.npz"]), "damaged or cut off"),
    "cut.parquet": (lambda p: cut(p, WRITERS["list.parquet"]), "damaged or cut off"),
    "cut.csv": (lambda p: p.write_text("a,b,c\n" + "1.5,2,3\n" * 30 + "1,2"), "looks cut off"),
    "ragged.csv": (lambda p: p.write_text("1.5,2\n" * 30 + "1,2,3\n"), "line 31 has 3 cells instead of 2"),
    "binary.csv": (lambda p: p.write_bytes(b"\xff\xfe\x00\x01" * 50), "UTF-8"),
    "words.csv": (lambda p: p.write_text("a,b\nx,y\n" * 30), "0 numeric column(s) among a, b"),
    "vectors.csv": (lambda p: p.write_text('i,v\n1,"[1, 2]"\n' * 1), "holds vectors as text"),
    "two_lists.parquet": (
        lambda p: pq.write_table(pa.table({"a": ROWS.tolist(), "b": ROWS.tolist()}), p),
        "2 list columns (a, b)",
    ),
    "ragged.parquet": (
        lambda p: pq.write_table(pa.table({"v": [[1.0, 2.0]] * 30 + [[1.0]]}), p), "1 numbers in row 30",
    ),
    "null.parquet": (
        lambda p: pq.write_table(pa.table({"v": [[1.0, 2.0]] * 30 + [None]}), p), "first row 30",
    ),
    "null_inside.parquet": (
        lambda p: pq.write_table(pa.table({"v": [[1.0, None]] + [[1.0, 2.0]] * 30}), p), "first row 0",
    ),
    "words.parquet": (lambda p: pq.write_table(pa.table({"v": [["a", "b"]] * 30}), p), "store numbers"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_every_fault_has_its_line(tmp_path, name):
    write, said = BROKEN[name]
    write(tmp_path / name)
    with pytest.raises(TableError) as raised:
        read_embeddings(tmp_path / name)
    message = str(raised.value)
    assert message.startswith(f"{tmp_path / name}: ") and "\n" not in message
    assert said in message and (";" in message or "has 0" in message)


def test_windows_must_have_the_same_dimensions(tmp_path):
    np.save(tmp_path / "a.npy", ROWS)
    np.save(tmp_path / "b.npy", ROWS[:, :3])
    with pytest.raises(TableError, match=r"b\.npy: has 3 dimensions, but .*a\.npy has 4"):
        read_windows(tmp_path / "a.npy", tmp_path / "b.npy")


def test_columns_in_another_order_are_refused(tmp_path):
    table = pd.DataFrame(ROWS, columns=list("abcd"))
    table.to_csv(tmp_path / "a.csv", index=False)
    table[list("abdc")].to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(TableError, match="dimension 2 is column 'd'"):
        read_windows(tmp_path / "a.csv", tmp_path / "b.csv")


def test_constant_reference_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((30, 4)))
    np.save(tmp_path / "b.npy", ROWS)
    with pytest.raises(TableError, match="every row is the same vector"):
        read_windows(tmp_path / "a.npy", tmp_path / "b.npy")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_outcomes_go_to_their_windows(tmp_path, suffix):
    path = tmp_path / f"o.{suffix}"
    table = pd.DataFrame({
        "success": [True] * 3 + [False] * 2, "latency": [1.0, 2, np.nan, 4, 5],
        "gaps": [True, None, False, True, True], "session": list("aabbc"), "text": "q",
    })  # fmt: skip
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
    kept, note = read_outcomes(path, 3, 2)
    assert list(kept) == ["success", "latency", "gaps", "session"]
    assert kept["success"].tolist() == [1, 1, 1, 0, 0] and kept["session"].tolist() == list("aabbc")
    assert kept["gaps"].isna().tolist() == [False, True, False, False, False]
    assert kept["latency"].isna().sum() == 1
    assert note == "outcomes success, latency, gaps, and sessions; left out text"


@pytest.mark.parametrize(
    "table, said",
    [
        ({"y": [1, 0, 1, 0]}, "has 4 rows, expected 5; give one row for each of the 3 reference rows"),
        ({"y": [1, 0, 1, 0, np.inf]}, "column 'y' is infinite in 1 row(s), first row 4"),
        ({"y": list("abcde")}, "no numeric or boolean column (found: y)"),
        ({"y": [1] * 5, "session": ["a", None, "b", "b", "b"]}, "'session' is empty in 1 row(s)"),
    ],
)
def test_outcomes_that_do_not_fit_have_their_line(tmp_path, table, said):
    pd.DataFrame(table).to_csv(tmp_path / "o.csv", index=False)
    with pytest.raises(TableError) as raised:
        read_outcomes(tmp_path / "o.csv", 3, 2)
    assert said in str(raised.value) and "\n" not in str(raised.value)
