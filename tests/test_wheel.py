"""One wheel, with the models inside, that works without the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
MOST = 60 * 10**6  # bytes


def test_the_wheel_works_by_itself(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < MOST
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    noisy = np.random.default_rng(0).normal(120, 30, (48, 56, 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "a.png")
    code = "import mdn, sys; from mdn.__main__ import main; print(mdn.__file__); sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "denoise", "a.png", "-o", "b.png"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[0]).is_relative_to(tmp_path / "site")
    clean = np.asarray(Image.open(tmp_path / "b.png")).astype(float)
    assert clean.std() < 0.3 * noisy.std()
