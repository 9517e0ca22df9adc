"""The value that says that nothing was measured at a pixel: GDAL's no-data, Zarr's `_FillValue`."""

import base64
import binascii
import struct
from typing import Any

import numpy as np

GDAL_NODATA = 42113  # a tag of TIFF: the value as text (GDAL, GTiff driver)
# As Microsoft's C library once wrote them.
_WORDS = {"1.#qnan": "nan", "-1.#ind": "nan", "1.#inf": "inf", "-1.#inf": "-inf"}


def no_data_of(text: str | bytes, dtype: np.dtype) -> float | None:
    """A value from its text, as samples of `dtype` have it.

    text: "nan", "-9999", "3.4028234663852886e+38"; several alike ones count as one.

    Returns:
        A number that is equal to such samples exactly, or NaN; None where the text is no number, or
        one that no sample can have.
    """
    plain = text.decode("latin-1") if isinstance(text, bytes) else text
    words = set(plain.strip("\0 \t\r\n").lower().split())
    if len(words) != 1 or "_" in (word := words.pop()):
        return None
    try:
        value = float(_WORDS.get(word, word))
    except ValueError:
        return None
    return as_sample(value, dtype)


def as_sample(value: float, dtype: np.dtype) -> float | None:
    """A number as a sample of `dtype`; None where none can have it."""
    if dtype.kind in "iu":
        top = np.iinfo(dtype)
        return value if value == np.rint(value) and top.min <= value <= top.max else None
    with np.errstate(over="ignore"):
        sample = float(np.array(value, np.float64).astype(dtype))
    return None if np.isinf(sample) and not np.isinf(value) else sample


def fill_value_of(attribute: Any, dtype: np.dtype) -> float | None:
    """A value from an attribute `_FillValue`: a number, its text, or, as xarray writes floats into
    Zarr 3, the base64 of its eight bytes.
    """
    if isinstance(attribute, list) and len(attribute) == 1:
        attribute = attribute[0]
    if isinstance(attribute, bool) or not isinstance(attribute, int | float | str):
        return None
    if not isinstance(attribute, str):
        return as_sample(float(attribute), dtype)
    if (value := no_data_of(attribute, dtype)) is not None:
        return value
    try:
        packed = base64.b64decode(attribute, validate=True)
        return as_sample(struct.unpack("<d", packed)[0], dtype)
    except (binascii.Error, struct.error, ValueError):
        return None
