"""--max-memory holds for the whole process, as the system counts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

CODE = """
import resource, sys
from mdn.cli.app import main
sys.argv = ["mdn", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
scale = 1 if sys.platform == "darwin" else 1024
print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale)
"""
CAP = 600 * 2**20


def peak(*words: object) -> int:
    """Peak resident memory, bytes, of `mdn` with these words."""
    command = [sys.executable, "-c", CODE, *map(str, words)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split("PEAK")[1])


@pytest.mark.slow
def test_the_cap_holds_where_it_is_needed(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    iio.imwrite(photo, np.random.default_rng(0).integers(0, 256, (1448, 1448, 3), dtype=np.uint8))
    words = ["denoise", photo, "--precision", "fp32", "--overwrite", "-q"]
    assert peak(*words, "--tile", "1448") > CAP, "else this test shows nothing"
    assert peak(*words, "--tile", "1448", "--max-memory", CAP) <= CAP
