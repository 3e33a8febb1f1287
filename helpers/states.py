"""How a state becomes bytes and comes back: one documented layout for all, and nothing unpickled.

    4 bytes    b"EDPS"
    2 bytes    version of the layout, little-endian
    4 bytes    length of the header, little-endian
    header     JSON with sorted keys: kind of state, its fields, and name, dtype and shape of each array
    arrays     one after the other, little-endian, C order
    32 bytes   SHA-256 of all before

The same state always gives the same bytes, and no others are read. The checksum finds damage; it does not
prove who wrote the bytes.
"""

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC, VERSION = b"EDPS", 1
DTYPES = ("<i8", "<u8", "<f8", "<f4", "|u1")
START = struct.Struct("<4sHI")
DIGEST = 32


def pack(kind: str, fields: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> bytes:
    """Return the bytes of a state: its kind, fields that JSON knows, and arrays of the dtypes in `DTYPES`.

    >>> unpack(pack("Count", {"limit": 0.5}, {"rows": np.array([3])}), "Count")
    ({'limit': 0.5}, {'rows': array([3])})
    """
    little = {name: np.asarray(array, order="C") for name, array in sorted(arrays.items())}
    little = {name: array.astype(array.dtype.newbyteorder("<"), copy=False) for name, array in little.items()}
    described = [[name, array.dtype.str, list(array.shape)] for name, array in little.items()]
    unknown = [name for name, dtype, _ in described if dtype not in DTYPES]
    if unknown:
        raise TypeError(f"arrays {unknown} have dtypes that no state has: give one of {', '.join(DTYPES)}")
    header = json.dumps(
        {"kind": kind, "fields": dict(fields), "arrays": described},
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
    ).encode()
    body = START.pack(MAGIC, VERSION, len(header)) + header
    body += b"".join(array.tobytes() for array in little.values())
    return body + hashlib.sha256(body).digest()


def unpack(data: bytes, kind: str) -> tuple[dict[str, Any], dict[str, NDArray]]:
    """Return fields and arrays of bytes that `pack` made for this kind.

    Raises ValueError for bytes that are cut, changed, longer, of another kind or version, or no state at all,
    and TypeError for what is not bytes. The arrays are new and can be changed.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"data is a {type(data).__name__}: give the bytes that to_bytes returned")
    data = bytes(data)
    if data[:4] != MAGIC:
        raise ValueError("data is no saved state: give the bytes that to_bytes returned")
    if len(data) < START.size + DIGEST or hashlib.sha256(data[:-DIGEST]).digest() != data[-DIGEST:]:
        raise ValueError(
            "data is cut or damaged (its checksum is wrong): read it again from where it was saved"
        )
    _, version, length = START.unpack_from(data)
    if version != VERSION:
        raise ValueError(f"data has layout {version}, this code reads {VERSION}: make the state anew")
    try:
        header = json.loads(data[START.size : START.size + length])
        found, fields, arrays = header["kind"], dict(header["fields"]), {}
        place = START.size + length
        for name, dtype, shape in header["arrays"]:
            if dtype not in DTYPES or not all(type(n) is int and n >= 0 for n in shape):
                raise ValueError(f"array {name} of {dtype} {shape}")
            count, size = math.prod(shape), int(dtype[-1])
            if place + count * size > len(data) - DIGEST:
                raise ValueError(f"array {name} beyond the end")
            array = np.frombuffer(data, dtype, count, place).reshape(shape)
            arrays[name] = array.astype(array.dtype.newbyteorder("="))
            place += count * size
        if pack(found, fields, arrays) != data:
            raise ValueError("not as pack writes it")
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"data has a header that no state has ({error}): make the state anew") from error
    if found != kind:
        raise ValueError(f"data is a saved {found}, not a {kind}: read it with {found}.from_bytes")
    return fields, arrays


def read(kind: Any, data: bytes) -> Any:
    """Return the state that `kind._read` makes of the fields and arrays in the bytes, or raise ValueError.

    It must have the very bytes that it was made of: then no field was passed over or taken for another.
    """
    fields, arrays = unpack(data, kind.__name__)
    try:
        state = kind._read(fields, arrays)
        if state.to_bytes() != data:
            raise ValueError("not as to_bytes writes it")
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError) as error:
        raise ValueError(f"data is no sound {kind.__name__} ({error}): make the state anew") from error
    return state


def expect(array: NDArray, name: str, shape: tuple[int, ...], dtype: str = "i8", most: Any = None) -> NDArray:
    """Return an array of saved bytes if it has this shape and dtype and nothing beyond +-`most`, or raise."""
    if array.shape != shape or array.dtype != np.dtype(dtype):
        raise ValueError(f"{name} has shape {array.shape} and dtype {array.dtype}")
    if most is not None and ((array > most) | (array < -most)).any():
        raise ValueError(f"{name} has values beyond what the rows can have")
    return array


def same_bytes(one: Any, other: object) -> bool:
    """Two states are equal when their bytes are."""
    return type(one) is type(other) and one.to_bytes() == other.to_bytes()  # type: ignore[attr-defined]


def same_settings(one: Any, other: Any, settings: Mapping[str, Any]) -> None:
    """Raise unless `other` is a state like `one`, naming the setting that differs."""
    if type(one) is not type(other):
        raise TypeError(f"other is a {type(other).__name__}: give a {type(one).__name__}")
    for name, value in settings.items():
        theirs = getattr(other, name)
        if not np.array_equal(theirs, value):
            raise ValueError(f"other has another {name}: only states made with the same one go together")
