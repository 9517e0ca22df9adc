"""Pictures that --max-memory cannot hold are refused by their header, before they are decoded."""

from pathlib import Path

import numpy as np
import pytest

from mdn import io
from mdn.errors import OutOfMemoryError
from mdn.image import Image
from mdn.io.base import COPIES, memory_limit

SIDE = 300


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".bmp", ".webp"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_does_not_fit_is_refused(suffix: str, dtype: type, tmp_path: Path) -> None:
    if dtype == np.uint16 and suffix not in (".png", ".tif"):
        pytest.skip("holds 8 bits")
    path = tmp_path / f"a{suffix}"
    io.write_image(Image(np.full((1, SIDE, SIDE, 3), 9, dtype)), path)
    held = COPIES * SIDE * SIDE * 3 * np.dtype(dtype).itemsize
    with memory_limit(held // 2, 2**30), pytest.raises(OutOfMemoryError) as caught:
        io.read_image(path)
    assert str(caught.value).startswith(f"{SIDE} x {SIDE} pixels need --max-memory ")
    with memory_limit(2 * held, 2**30):  # 8-bit formats may count an alpha that is not there
        assert io.read_image(path).pixels.shape == (1, SIDE, SIDE, 3)
    assert io.read_image(path).pixels.dtype == dtype
