"""Round once at the door: rows in whole numbers, so small that all sums of their products are exact."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

BLOCK = 256  # rows at a time: their products stay in the cache


def power_above(value: float) -> float:
    """Smallest power of 2 that is at least `value`, exact on every machine."""
    mantissa, exponent = math.frexp(value)
    return math.ldexp(0.5 if mantissa == 0.5 else 1.0, exponent)


def whole_blocks(
    rows: NDArray, factor: float, largest: float = np.inf, advice: str = ""
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Round rows * factor to whole numbers of at most `largest`, block by block, or raise.

    factor : a power of 2, so that nothing but the rounding changes a value.
    """
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        with np.errstate(over="ignore", invalid="ignore"):
            numbers = rows[block].astype(np.float64)
            numbers *= factor
            np.rint(numbers, out=numbers)
        # The sum of squares is quick, and mostly enough; NaN is not less, either.
        if not np.vdot(numbers, numbers) < largest**2 / 2:
            if not np.isfinite(rows[block]).all():
                bad = int((~np.isfinite(rows)).any(axis=1).sum())
                raise ValueError(f"batch has NaN or infinity in {bad} row(s): remove or repair them first")
            if np.abs(numbers).max() > largest:
                raise ValueError(f"batch has values beyond {largest / factor:.3g}: {advice}")
        yield block, numbers
