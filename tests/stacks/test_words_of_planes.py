"""What is said of a stack is what was done to it."""

from pathlib import Path

import numpy as np
import tifffile
from typer.testing import CliRunner

from mdn.cli.app import app


def test_empty_first_planes_do_not_speak_for_a_stack(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    planes = np.zeros((3, 64, 80), np.float32)
    planes[1:] = 100 + 10 * random.normal(size=(2, 64, 80))
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="minisblack")
    options = ["denoise", "--encoding", "display", str(tmp_path / "a.tif")]
    result = CliRunner().invoke(app, [*options, "-o", str(tmp_path / "b.tif")])
    assert result.exit_code == 0
    after = tifffile.imread(tmp_path / "b.tif")
    np.testing.assert_array_equal(after[0], planes[0])
    assert (after[1] != planes[1]).mean() > 0.9
    assert "removed" in result.output
    assert "no noise found" not in result.output
