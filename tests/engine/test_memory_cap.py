"""--max-memory holds for the whole process, as the system counts it."""

import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

# What a process inherits from the one that started it counts in ru_maxrss on Linux, not in VmHWM.
CODE = """
import resource, sys
from pathlib import Path
from mdn.cli.app import main
sys.argv = ["mdn", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
status = Path("/proc/self/status")
if status.exists():
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    print("PEAK", int(line.split()[1]) * 1024)
else:
    scale = 1 if sys.platform == "darwin" else 1024
    print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale)
"""
CAP = 540 * 2**20


def peak(*words: object) -> int:
    """Peak resident memory, bytes, of `mdn` with these words."""
    command = [sys.executable, "-c", CODE, *map(str, words)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split("PEAK")[1])


@pytest.mark.slow
def test_the_cap_holds_where_it_is_needed(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    iio.imwrite(photo, np.random.default_rng(0).integers(0, 256, (1040, 1040, 3), dtype=np.uint8))
    words = ["denoise", photo, "--precision", "fp32", "--overwrite", "-q"]
    assert peak(*words, "--tile", "1040") > CAP, "else this test shows nothing"
    assert peak(*words, "--tile", "1040", "--max-memory", CAP) <= CAP


def counted(path: Path, side: int) -> None:
    """A tiled BigTIFF of side x side 16-bit samples, written a tile at a time."""
    rng = np.random.default_rng(0)
    tiles = [rng.poisson(60, (256, 256)).astype(np.uint16) * 5 for _ in range(8)]
    tifffile.imwrite(
        path, (tiles[i % 8] for i in range((side // 256) ** 2)), shape=(side, side),
        dtype=np.uint16, tile=(256, 256), bigtiff=True, photometric="minisblack", metadata=None,
    )  # fmt: skip


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """2 and 32 MB of samples, in bands as wide and tiles of up to 640 pixels.

    The largest held whole, as stored and as floats, in and out, would take 190 MiB. Of tiles that
    come and go more or less stays with the allocator: 30 to 80 MiB from run to run.
    """
    peaks = []
    for side in (1024, 4096):
        counted(tmp_path / "big.tif", side)
        words = ["denoise", tmp_path / "big.tif", "-o", tmp_path / "out.tif", "-q", "--overwrite"]
        peaks.append(peak(*words, "--model", "unittest", "--max-memory", "1G"))
    assert max(peaks) < 2**30
    assert max(peaks) - min(peaks) < 120 * 2**20, peaks
