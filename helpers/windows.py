"""The public door: what a window, a number, a seed or labels must be, and what is wrong with these."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

LARGEST = 1e50  # its fourth power, which products of two covariances need, is still a finite number


def as_window(
    window: ArrayLike, name: str, *, one_dimensional: bool = False, least: int = 2
) -> NDArray[np.float64]:
    """Return a copy as a finite (n, d) float64 array in C order, n >= `least`, or raise naming the window."""
    return _checked(window, name, one_dimensional, least).astype(np.float64, order="C")


def as_windows(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    names: tuple[str, str] = ("reference", "current"),
    one_dimensional: bool = False,
    least: int = 2,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Validate both windows and check that they have the same number of columns."""
    pooled, n = as_pooled(reference, current, names=names, one_dimensional=one_dimensional, least=least)
    return pooled[:n], pooled[n:]


def as_pooled(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    names: tuple[str, str] = ("reference", "current"),
    one_dimensional: bool = False,
    least: int = 2,
) -> tuple[NDArray[np.float64], int]:
    """Validate both windows; return one new (n + m, d) float64 array of their rows, and n."""
    x = _checked(reference, names[0], one_dimensional, least)
    y = _checked(current, names[1], one_dimensional, least)
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"{names[0]} has {x.shape[1]} columns and {names[1]} {y.shape[1]}: use one model for both"
        )
    return np.ascontiguousarray(np.concatenate([x, y], dtype=np.float64)), len(x)


def _checked(window: ArrayLike, name: str, one_dimensional: bool, least: int) -> NDArray:
    if np.ma.is_masked(window):
        raise ValueError(f"{name} has masked values: remove their rows first")
    try:
        array = np.asarray(window)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{name} is no table: give numbers, all rows of the same length") from error
    if array.dtype.kind == "c":
        raise ValueError(f"{name} is complex: give real numbers")
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} has dtype {array.dtype}: give numbers, all rows of the same length")
    if array.ndim == 1 and one_dimensional:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] == 0 or (one_dimensional and array.shape[1] != 1):
        wanted = "(n,) or (n, 1)" if one_dimensional else "(n, d)"
        raise ValueError(f"{name} has shape {array.shape}: give an array of shape {wanted}")
    if len(array) < least:
        raise ValueError(f"{name} has {len(array)} row(s): give at least {least}")
    if not max(float(array.max()), -float(array.min())) <= LARGEST:  # NaN is not, either
        bad = int((~np.isfinite(array)).any(axis=1).sum())
        if bad:
            raise ValueError(f"{name} has NaN or infinity in {bad} row(s): remove or repair them first")
        raise ValueError(
            f"{name} has values beyond {LARGEST:g}, whose squares overflow: rescale both windows"
        )
    return array


def total_variance(window: NDArray, name: str) -> float:
    """Trace of the covariance of (n, d); raise a ValueError naming the window where it is zero."""
    variance = float(window.var(axis=0, ddof=1).sum())
    if variance <= 1e-20 * float((window**2).mean()):  # what rounding leaves of a constant
        raise ValueError(f"{name} repeats one vector in all of its rows: it has no spread")
    return variance


def positive(value: float, name: str) -> float:
    """Return `value` if it is a positive finite number, or raise naming it."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name}={value!r} must be a positive finite number")
    if not (np.isreal(value) and 0 < value < np.inf):
        raise ValueError(f"{name}={value} must be a positive finite number")
    return float(value)


def moderate(value: float, name: str) -> float:
    """Return `value` if it is positive and its square and its inverse are too, or raise naming it."""
    if not 1 / LARGEST <= positive(value, name) <= LARGEST:
        raise ValueError(f"{name}={value} must lie between {1 / LARGEST:g} and {LARGEST:g}: rescale")
    return float(value)


def finite(value: float, name: str) -> float:
    """Return `value` if it is a finite real number, or raise naming it."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name}={value!r} must be a finite number")
    if not (np.isreal(value) and np.isfinite(value)):
        raise ValueError(f"{name}={value} must be a finite number")
    return float(value)


def fraction(value: float, name: str) -> float:
    """Return `value` if it lies between 0 and 1, both excluded, or raise naming it."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name}={value!r} must be a number between 0 and 1")
    if not (np.isreal(value) and 0 < value < 1):
        raise ValueError(f"{name}={value} must lie between 0 and 1")
    return float(value)


def whole(value: int, name: str, *, least: int) -> int:
    """Return `value` if it is a whole number of at least `least`, or raise naming it."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name}={value!r} must be a whole number, at least {least}")
    return int(value)


def as_generator(rng: int) -> np.random.Generator:
    """Return the generator of random numbers with this seed, or raise naming `rng`."""
    return np.random.default_rng(whole(rng, "rng", least=0))


def as_groups(groups: tuple[ArrayLike, ArrayLike], n: int, m: int) -> tuple[NDArray, NDArray]:
    """Return the labels of both windows, of n and of m rows, or raise naming `groups`."""
    if not isinstance(groups, tuple | list) or len(groups) != 2:
        raise TypeError("groups must be a pair: (labels of the reference's rows, labels of the current ones)")
    first, second = (np.asarray(labels) for labels in groups)
    if first.shape != (n,) or second.shape != (m,):
        raise ValueError(
            f"groups has {first.shape} and {second.shape} labels for {n} and {m} rows: give one a row"
        )
    if any(np.ma.is_masked(labels) or pd.isna(labels).any() for labels in (first, second)):
        raise ValueError("groups has a missing label: give each row one, or drop the row from both")
    return first, second


def as_batch(batch: ArrayLike, dim: int | None) -> NDArray:
    """Return a batch as an (n, dim) array of numbers, of any width where `dim` is None, or raise naming it.

    n may be 0. The numbers may be NaN: to look at them is the caller's work, who passes over them anyway.
    """
    if np.ma.is_masked(batch):
        raise ValueError("batch has masked values: remove their rows first")
    try:
        rows = np.asarray(batch)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError("batch is no table: give numbers, all rows of the same length") from error
    if rows.dtype.kind not in "iuf":
        raise ValueError(f"batch has dtype {rows.dtype}: give real numbers, all rows of the same length")
    if rows.ndim != 2 or rows.shape[1] == 0 or (dim is not None and rows.shape[1] != dim):
        raise ValueError(f"batch has shape {rows.shape}: give an array of shape (n, {dim or 'd'})")
    return rows


def as_timestamps(timestamp: ArrayLike | None, n: int) -> NDArray[np.float64]:
    """Return one finite timestamp a row, from one a row or one for all, or raise naming it."""
    if timestamp is None:
        raise ValueError(
            "timestamp is missing: a state that forgets needs the time of each row, or one for all"
        )
    if np.ma.is_masked(timestamp):
        raise ValueError("timestamp has masked values: remove their rows first")
    try:
        times = np.asarray(timestamp)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"timestamp is no list of numbers: give one number, or {n}") from error
    if times.dtype.kind not in "iuf" or times.shape not in ((), (n,)):
        raise ValueError(
            f"timestamp has shape {times.shape} and dtype {times.dtype}: give one number, or {n}"
        )
    one_each = np.empty(n)
    one_each[:] = times
    if not (np.abs(one_each) < 2**50).all():
        raise ValueError("timestamp has NaN, infinity or a number beyond 2^50: give times of the rows")
    return one_each
