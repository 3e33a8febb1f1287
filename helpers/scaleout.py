"""One score of many files: a state for each, made where the file is, then merged as a tree.

States travel as bytes. The same bytes come back from one process and from a cluster, whatever the order.
They cannot tell whether a shard is missing, or came twice.
"""

import argparse
import importlib
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from IPython import get_ipython
from IPython.display import ProgressBar, clear_output
from numpy.typing import ArrayLike, NDArray

from helpers.states import pack, unpack
from helpers.streaming import ClusterCounts, HashSample, RandomFeatureMean, RunningMoments
from helpers.windows import whole

LISTS = (pa.FixedSizeListType, pa.ListType, pa.LargeListType)
ROWS = 2048  # at a time, so that memory does not grow with the file
PATIENCE = 10  # seconds that a scheduler has to answer


class Summary(NamedTuple):
    """Four states of one stream that merge exactly, and so does their summary.

    >>> parts = RandomFeatureMean(2, gamma=1.0), RunningMoments(2), ClusterCounts([[0.0, 1.0]], limit=1.0)
    >>> empty = Summary(*parts, HashSample(10)).to_bytes()
    >>> one, two = Summary.from_bytes(empty), Summary.from_bytes(empty)
    >>> one.update([[0.6, 0.8]], ids=[1]), two.update([[1.0, 0.0]], ids=[2])
    (None, None)
    >>> one.merge(two) == two.merge(one)
    True
    """

    features: RandomFeatureMean
    moments: RunningMoments
    clusters: ClusterCounts
    sample: HashSample

    def update(self, batch: ArrayLike, ids: ArrayLike) -> None:
        """Add the rows (n, d) of a batch, each with an id. After an error the summary is void."""
        for state in self[:3]:
            state.update(batch)
        self.sample.update(batch, ids)

    def merge(self, other: "Summary") -> "Summary":
        """Summary of the rows of both, the same bits in any order."""
        pairs: Any = zip(self, other, strict=True)
        return Summary(*(mine.merge(theirs) for mine, theirs in pairs))

    def to_bytes(self) -> bytes:
        """Return the four states in the layout of `helpers.states`."""
        parts = {name: np.frombuffer(state.to_bytes(), np.uint8) for name, state in self._asdict().items()}
        return pack("Summary", {}, parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Summary":
        """Return the summary that `to_bytes` wrote."""
        parts = {name: part.tobytes() for name, part in unpack(data, "Summary")[1].items()}
        return cls(**{name: kind.from_bytes(parts[name]) for name, kind in cls.__annotations__.items()})


def find_shards(folder: str | Path) -> list[str]:
    """Return the Parquet files in a folder and its folders, in order."""
    shards = sorted(str(path) for path in Path(folder).rglob("*.parquet"))
    if not shards:
        raise ValueError(f"folder={str(folder)!r} has no .parquet file: give the folder of the shards")
    return shards


def read_shard(path: str, column: str, ids: str) -> Iterator[tuple[NDArray, NDArray]]:
    """Yield embeddings (n, d) and ids (n,) of a Parquet file, `ROWS` at a time."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        there = file.schema_arrow.names
        if missing := {column, ids} - set(there):
            raise ValueError(f"it has no column {', '.join(sorted(missing))}, but {', '.join(there)}")
        if not isinstance(file.schema_arrow.field(column).type, LISTS):
            raise ValueError(f"its column {column} holds no vectors: write a list of numbers a row")
        for batch in file.iter_batches(ROWS, columns=[column, ids]):
            lists = batch.column(column)
            if lists.null_count or pc.count_distinct(pc.list_value_length(lists)).as_py() > 1:
                raise ValueError(f"its column {column} has rows without a vector, or of several lengths")
            vectors = lists.flatten().to_numpy(zero_copy_only=False).reshape(len(batch), -1)
            yield vectors, batch.column(ids).to_numpy(zero_copy_only=False)


def shard_state(path: str, start: bytes, column: str = "embedding", ids: str = "id") -> bytes:
    """Return the summary `start`, as bytes, after all rows of a Parquet file, or raise naming the file.

    start : an empty summary, which carries what all must share (gamma, seed, centres), or one to go on with.
    """
    summary = Summary.from_bytes(start)
    try:
        for vectors, names in read_shard(path, column, ids):
            summary.update(vectors, names)
    except FileNotFoundError:
        raise
    except (ValueError, TypeError, OSError) as error:  # Arrow's own are ValueError or OSError
        raise ValueError(f"shard {path} cannot be used: {error}") from error
    return summary.to_bytes()


def merge_states(parts: Sequence[bytes]) -> bytes:
    """Merge summaries that came as bytes."""
    merged, *rest = (Summary.from_bytes(part) for part in parts)
    for summary in rest:
        merged = merged.merge(summary)
    return merged.to_bytes()


def merge_tree(client: Any, states: Sequence[Any], width: int = 8) -> Any:
    """Merge futures of summaries on the workers, `width` at a time; return the future of the whole."""
    if not states:
        raise ValueError("states has no state: give at least one")
    whole(width, "width", least=2)
    while len(states) > 1:
        groups = [list(states[place : place + width]) for place in range(0, len(states), width)]
        states = [client.submit(merge_states, group) for group in groups]
    return states[0]


def distributed() -> ModuleType:
    """Return Dask's package of that name, or say how to get it."""
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise ImportError("scaling out needs Dask: pip install distributed bokeh") from error


def connect(
    scheduler: str | None = None, *, workers: int = 2, memory: str = "500MB", scratch: str | None = None
) -> Any:
    """Return a Dask client of the scheduler at an address, or of worker processes on this machine.

    The latter listen on this machine alone, start again if they die, and end with `client.close()`.
    A ConnectionError says that no scheduler answers.
    memory, scratch : limit of each worker, and the folder where all may write.
    """
    make = distributed().Client
    if scheduler is None:
        # Some seconds after a death Dask looks again, and gives up a worker that is starting just then.
        importlib.import_module("dask.config").set({"distributed.deploy.lost-worker-timeout": "1 day"})
        return make(
            n_workers=whole(workers, "workers", least=1), threads_per_worker=1, processes=True,
            host="127.0.0.1", dashboard_address="127.0.0.1:0", memory_limit=memory, local_directory=scratch,
            scheduler_kwargs={"local_directory": scratch},
            silence_logs=logging.CRITICAL,  # that a worker died and came back is no output of a notebook
        )  # fmt: skip
    try:
        return make(scheduler, timeout=PATIENCE)
    except (OSError, ValueError, TypeError) as error:
        advice = "start one with `dask scheduler`, or leave it None to work on this machine"
        raise ConnectionError(f"scheduler={scheduler!r} does not answer: {advice}") from error


def show_progress(futures: Sequence[Any]) -> None:
    """Wait for futures. Whoever looks on, at a terminal or in JupyterLab, sees a bar until they are done."""
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel and kernel.get_parent()["content"].get("allow_stdin"):  # who can be asked can look
        bar = ProgressBar(len(futures))
        bar.display()
        for bar.progress, _ in enumerate(distributed().as_completed(futures), start=1):  # noqa: B007
            pass
        clear_output()
    elif sys.stdout.isatty():
        distributed().progress(futures, notebook=False)
    distributed().wait(futures)


def main(words: Sequence[str] | None = None) -> None:
    """Summarise a folder of shards from a shell."""
    parser = argparse.ArgumentParser(prog="python -m helpers.scaleout", description=main.__doc__)
    parser.add_argument("folder", help="of Parquet files with the columns embedding and id")
    parser.add_argument("start", type=Path, help="file of an empty summary")
    parser.add_argument("out", type=Path, help="file to write the summary to")
    parser.add_argument("--scheduler", help="address of a Dask scheduler; without it, two workers here")
    given = parser.parse_args(words)
    shards, start = find_shards(given.folder), given.start.read_bytes()
    with connect(given.scheduler) as client:
        print(f"{len(shards)} shards; watch them at {client.dashboard_link}", flush=True)
        states = client.map(shard_state, shards, start=start)
        show_progress(states)
        merged = merge_tree(client, states).result()
    given.out.write_bytes(merged)
    print(f"{Summary.from_bytes(merged).features.rows} rows in {len(merged)} bytes")


if __name__ == "__main__":
    from helpers.scaleout import main as begin  # workers know the functions by this name, not as __main__'s

    begin()
