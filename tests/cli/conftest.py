"""What the tests of the command line share: a way to run it, and small pictures."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from mdn import io
from mdn.cli.app import app
from mdn.image import Image
from tests.cli.cli_tools import Make, Run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `mdn` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MDN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments: str, input: bytes | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=input, prog_name="mdn")

    return call


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a small picture below the working folder."""

    def write(name: str, dtype: type = np.uint8, side: int = 20, alpha: bool = False) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        top = int(np.iinfo(dtype).max)
        random = np.random.default_rng(len(name))
        pixels = random.integers(0, top, (1, side, side + 3, 3), dtype, endpoint=True)
        opacity = pixels[..., 0].copy() if alpha else None
        io.write_image(Image(pixels, opacity), path)
        return path

    return write
