"""The public door of every metric: what a window of embeddings must be, and what is wrong with this one."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def as_window(
    window: ArrayLike, name: str, *, one_dimensional: bool = False, least: int = 2
) -> NDArray[np.float64]:
    """Return the window as a finite (n, d) float64 array, n >= `least`, or raise a ValueError naming it."""
    try:
        array = np.asarray(window)
    except ValueError as error:
        raise ValueError(f"{name} is no table: give numbers, all rows of the same length") from error
    if array.dtype == object or not (np.issubdtype(array.dtype, np.number) or array.dtype == bool):
        raise ValueError(f"{name} has dtype {array.dtype}: give numbers, all rows of the same length")
    if np.iscomplexobj(array):
        raise ValueError(f"{name} is complex: give real numbers")
    if array.ndim == 1 and one_dimensional:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] == 0 or (one_dimensional and array.shape[1] != 1):
        wanted = "(n,) or (n, 1)" if one_dimensional else "(n, d)"
        raise ValueError(f"{name} has shape {array.shape}: give an array of shape {wanted}")
    if len(array) < least:
        raise ValueError(f"{name} has {len(array)} row(s): give at least {least}")
    array = array.astype(np.float64)
    bad = int((~np.isfinite(array)).any(axis=1).sum())
    if bad:
        raise ValueError(f"{name} has NaN or infinity in {bad} row(s): remove or repair them first")
    return array


def as_windows(
    reference: ArrayLike, current: ArrayLike, *, one_dimensional: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Validate both windows and check that they have the same number of columns."""
    x = as_window(reference, "reference", one_dimensional=one_dimensional)
    y = as_window(current, "current", one_dimensional=one_dimensional)
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"reference has {x.shape[1]} columns and current {y.shape[1]}: use embeddings of the same model"
        )
    return x, y
