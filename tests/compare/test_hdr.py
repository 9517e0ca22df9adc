"""HDR photos in previews and comparisons: as a usual screen would show them."""

from pathlib import Path

import numpy as np
import pytest

from mdn import io
from mdn.compare import pictures
from mdn.compare.pictures import on_screen
from mdn.encoding import Rec2100
from mdn.encoding.hdr import light_of_srgb, srgb_of
from mdn.image import Image, Metadata
from tests.cli.cli_tools import MODEL, Run
from tests.cli.conftest import run as run


def write(path: Path, shown: np.ndarray, curve: int) -> None:
    """shown: (H, W, 3), sRGB, in the light of BT.2020."""
    coding = Rec2100(np.dtype("uint16"), "pq" if curve == 16 else "hlg")
    meta = Metadata(cicp=(9, curve))
    io.write_image(Image(coding.decode(shown)[None], name="a", format="png", meta=meta), path)


@pytest.mark.parametrize("curve", [16, 18])
def test_grays_look_as_in_srgb_and_not_washed_out(tmp_path: Path, curve: int) -> None:
    ramp = np.linspace(0, 0.75, 64, dtype=np.float32)[None, :, None].repeat(64, 0).repeat(3, -1)
    write(tmp_path / "a.png", ramp, curve)
    found = pictures.read(str(tmp_path / "a.png"), "before")
    shown = pictures.range_of([found]).encode(found)
    assert np.abs(shown - ramp).max() < 1 / 255


def test_what_is_brighter_than_paper_keeps_its_order_below_white() -> None:
    bright = on_screen(np.array([0.75, 1.0, 1.5, 2.0])[None, :, None], 9)[0, :, 0]
    assert 0.75 <= bright[0] < bright[1] < bright[2] < bright[3] <= 1


def test_preview_and_compare_say_so_and_show_it(run: Run, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.04, (96, 96, 3))
    light = light_of_srgb(np.full((96, 96, 3), 0.4))
    write(tmp_path / "a.png", srgb_of(light).astype(np.float32) + noise.astype(np.float32), 16)
    done = run("denoise", "a.png", "--preview", "-o", "p.png", *MODEL)
    assert done.exit_code == 0, done.stderr
    sheet = io.read_image(tmp_path / "p.png").pixels[0]
    assert abs(int(np.median(sheet[40:-8, 8:90])) - 0.4 * 255) < 12
    done = run("compare", "a.png", "a.png", "-o", "p.html", "--json")
    assert done.exit_code == 0, done.stderr
    assert "HDR is shown as on a usual screen" in done.stdout
