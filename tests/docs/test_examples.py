"""Examples of the README and docs/ are run as they are printed, on tiny pictures."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
import tifffile
from PIL import Image

from mdn.registry import store
from tests.cli.cli_tools import Run
from tests.cli.conftest import run as run
from tests.docs.pages import PAGES, blocks, lines

SIDE = 24
PHOTOS = ("photo.jpg", "big.jpg", "photo.png", "a.png", "nuclei.png", "noisy.png")
FOLDERS = ("shots", "shots/monday", "photos", "scans", "flats")
RUN = ("denoise", "noise", "models")
# These need models that the reader makes, other packages, or time.
NOT_RUN = (
    "runs/",
    "mine",
    "masked",
    "official",
    "--quality best",
    "--plot",
    ".zarr",
    "verify",
    "--frames",
    "--dask tcp",
    "--dask local:",  # as --dask local, with more processes to start
    "cluster.yaml",
    "--shard auto",
    "/data/",
    ".CR3",
)
COMMANDS = {
    re.split(r" +# ", line.text)[0]: words[1:]
    for page in PAGES
    for line in lines(page)
    for words in line.commands()
    if words[:1] == ["mdn"]
    and words[1] in RUN
    and "|" not in line.text
    and not any(sign in line.text for sign in NOT_RUN)
}


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that the examples name."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    pixels = np.uint8(np.clip(random.normal(120, 20, (SIDE, SIDE, 3)), 0, 255))
    for name in FOLDERS:
        (folder / name).mkdir()
    for name in (*PHOTOS, *(f"{each}/a.jpg" for each in FOLDERS)):
        shown = pixels[..., 0] if name == "nuclei.png" else pixels
        Image.fromarray(shown).save(folder / name)
    for name in ("scan.tif", "slide.tif"):
        tifffile.imwrite(folder / name, pixels)
    Image.fromarray(np.full((SIDE, SIDE), 255, np.uint8)).save(folder / "mask.png")
    (folder / "list.txt").write_text("photo.jpg\na.png\n")
    counts = random.poisson(50, (8, 2, SIDE, SIDE)).astype(np.uint16)
    tifffile.imwrite(folder / "cells.ome.tif", counts, metadata={"axes": "ZCYX"})
    for name in ("cells.tif", "static.tif", "flats/one.tif", "flats/dark.tif"):
        tifffile.imwrite(folder / name, counts[:, 0], imagej=True, metadata={"axes": "TYX"})
    for name, axes in (("series.ome.tif", "TYX"), ("volume.ome.tif", "ZYX")):
        tifffile.imwrite(folder / name, counts[:, 0], metadata={"axes": axes})
    for number, frame in enumerate(counts[:3, 0]):
        tifffile.imwrite(folder / f"shot.{number:04d}.tif", frame)
    light = random.exponential(1, (SIDE, SIDE, 3)).astype(np.float32)
    for name in ("render.exr", "shot.0001.exr", "shot.0002.exr"):
        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        still = {f"motionvector.{axis}": np.zeros((SIDE, SIDE), np.float32) for axis in "XY"}
        OpenEXR.File(header, {"RGB": light, **still}).write(str(folder / name))
    return folder


@pytest.mark.parametrize("text", COMMANDS)
def test_it_works_as_printed(run: Run, pictures: Path, tmp_path: Path, text: str) -> None:
    if "oidn" in text and store.missing(store.find("oidn")):
        pytest.skip("needs pyoidn")
    if "--bioimageio" in text:
        pytest.importorskip("bioimageio.spec")
    shutil.copytree(pictures, tmp_path, dirs_exist_ok=True)
    output = re.search(r"-o ([\w.]+)", text)
    if output:
        (tmp_path / output[1]).unlink(missing_ok=True)
    words = []
    for word in COMMANDS[text]:  # as the shell does, which does so only without quotes
        glob = "*" in word and f"'{word}'" not in text
        words += sorted(str(path.name) for path in tmp_path.glob(word)) if glob else [word]
    done = run(*words)
    assert done.exit_code == 0, done.output
    if output and "--dry-run" not in words and "--shard" not in words:  # a share may be empty
        assert (tmp_path / output[1]).exists() or "#" in text


def test_the_examples_of_the_readme_are_among_them() -> None:
    readme = [line.text for line in lines(PAGES[0]) if line.text.startswith("mdn denoise")]
    assert len([text for text in readme if text.split(" #")[0].strip() in COMMANDS]) >= 5


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=str)
def test_python_works_as_printed(
    page: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(pictures, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, "python"):
        names: dict[str, Any] = {}
        exec(compile(block, page.name, "exec"), names)
        assert "clean" not in names or np.all(np.isfinite(names["clean"]))
