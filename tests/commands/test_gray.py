"""A gray picture of 8 bits may be a photograph or a measurement: the line says what else to try."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.cli_tools import Run
from tests.cli.conftest import run as run


def written(path: Path, channels: int, sigma: float) -> str:
    shape = (96, 96) if channels == 1 else (96, 96, channels)
    noisy = np.random.default_rng(0).normal(110, sigma, shape).clip(0, 255)
    Image.fromarray(noisy.astype(np.uint8)).save(path)
    return str(path)


@pytest.mark.parametrize(
    ("channels", "sigma", "options", "told"),
    [
        (1, 20, (), True),
        (3, 20, (), False),
        (1, 0, (), False),
        (1, 20, ("--encoding", "display"), False),
    ],
)
def test_counts_are_offered_for_gray_noise(
    run: Run, tmp_path: Path, channels: int, sigma: float, options: tuple[str, ...], told: bool
) -> None:
    path = written(tmp_path / "a.png", channels, sigma)
    done = run("denoise", path, "-o", str(tmp_path / "b.png"), "--json", *options)
    assert done.exit_code == 0, done.output
    (file,) = json.loads(done.stdout)["files"]
    assert any("--encoding counts" in line for line in file["summary"]) is told
