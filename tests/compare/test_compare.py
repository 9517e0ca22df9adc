"""`mdn compare`: one page that needs nothing else, and numbers that are true."""

import base64
import io as streams
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from mdn.compare import compare, pictures
from mdn.errors import FileError
from tests.cli.cli_tools import Run
from tests.cli.conftest import run as run
from tests.renders import scenes

SHAPE = (30, 40, 3)


def write(path: Path, sigma: float = 0.0, seed: int = 0) -> Path:
    """A gray ramp with noise, as PNG."""
    random = np.random.default_rng(seed)
    ramp = np.broadcast_to(np.linspace(60, 190, SHAPE[1])[:, None], SHAPE)
    values = np.clip(np.rint(random.normal(ramp, sigma) if sigma else ramp), 0, 255)
    Image.fromarray(values.astype(np.uint8)).save(path)
    return path


@pytest.fixture
def trio(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Before, after and the truth."""
    return (
        write(tmp_path / "noisy.png", 20),
        write(tmp_path / "clean.png", 4, 1),
        write(tmp_path / "truth.png"),
    )


def embedded(page: str) -> list[np.ndarray]:
    """The pictures in a page."""
    data = re.findall(r'data: "data:image/png;base64,([^"]+)"', page)
    return [np.asarray(Image.open(streams.BytesIO(base64.b64decode(each)))) for each in data]


def test_the_page_holds_the_pictures_and_nothing_from_elsewhere(
    run: Run, trio: tuple[Path, Path, Path]
) -> None:
    done = run("compare", *map(str, trio), "-o", "page.html")
    assert done.exit_code == 0, done.output
    page = Path("page.html").read_text()
    shown = embedded(page)
    assert all(np.array_equal(a, Image.open(b)) for a, b in zip(shown, trio, strict=True))
    assert not re.search(r"https?:|src=|<link|@import|url\(", page)


def test_the_numbers(run: Run, trio: tuple[Path, Path, Path]) -> None:
    done = run("compare", *map(str, trio), "-o", "page.html", "--json")
    found = json.loads(done.stdout)
    before, after, truth = (np.asarray(Image.open(path)).astype(float) for path in trio)
    for role, values in (("before", before), ("after", after)):
        psnr = 10 * np.log10(255**2 / np.mean((values - truth) ** 2))
        assert found[role]["psnr"] == pytest.approx(psnr, abs=1e-3)
    assert found["change"]["rms"] == pytest.approx(
        np.sqrt(np.mean((after - before) ** 2)), abs=0.01
    )
    assert found["change"]["largest"] == np.abs(after - before).max()
    assert found["before"]["noise"] > found["after"]["noise"]
    assert "psnr" not in found["truth"]
    text = Path("page.html").read_text()
    assert f"{found['after']['psnr']:.2f}" in text


def test_names_cannot_break_the_page(run: Run, tmp_path: Path) -> None:
    odd = write(tmp_path / "<b>&'.png", 5)
    assert run("compare", str(odd), str(odd), "-o", "page.html").exit_code == 0
    page = Path("page.html").read_text()
    assert "&lt;b&gt;&amp;" in page
    assert "<b>" not in page


def test_deep_pictures_that_use_little_of_their_range_are_stretched(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(300, (40, 50)).astype(np.uint16)
    for name, values in (("a.tif", counts), ("b.tif", counts // 2 + 150)):
        tifffile.imwrite(tmp_path / name, values)
    found = compare.run(str(tmp_path / "a.tif"), str(tmp_path / "b.tif"))
    assert any("stretched" in line for line in found["notes"])
    before, after = embedded(Path(found["output"]).read_text())
    assert (before.min(), before.max()) == (0, 255)
    assert after.std() < before.std()


def test_a_plane_of_a_stack(tmp_path: Path) -> None:
    stack = np.random.default_rng(0).integers(0, 255, (5, 20, 30), dtype=np.uint8)
    for name in ("a.tif", "b.tif"):
        tifffile.imwrite(tmp_path / name, stack, metadata={"axes": "ZYX"}, imagej=True)
    names = str(tmp_path / "a.tif"), str(tmp_path / "b.tif")
    assert np.array_equal(pictures.read(names[0], "before").stored[..., 0], stack[2])
    found = compare.run(*names, plane=4)
    assert found["before"]["plane"] == 4
    assert np.array_equal(embedded((tmp_path / "b_compare.html").read_text())[0], stack[4])
    with pytest.raises(FileError, match="5 planes"):
        compare.run(*names, plane=5, overwrite=True)


def test_renders_are_shown_with_gamma(tmp_path: Path) -> None:
    noisy, clean = (scenes.scene(tmp_path / f"{seed}.exr", seed=seed) for seed in (0, 1))
    found = compare.run(str(noisy), str(clean), str(clean))
    assert found["before"]["relmse"] > 0
    assert any("gamma" in line for line in found["notes"])


def test_the_part_that_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(write(tmp_path / "a.png", 20))
    found = compare.run(path, path, crop=(3, 2, 20, 10))
    whole = np.asarray(Image.open(path))
    assert np.array_equal(embedded(Path(found["output"]).read_text())[0], whole[2:12, 3:23])
    monkeypatch.setattr(pictures, "MOST", 300)
    found = compare.run(path, path, overwrite=True)
    assert embedded(Path(found["output"]).read_text())[0].shape == (15, 20, 3)
    assert any("middle" in line for line in found["notes"])
    assert (found["before"]["width"], found["before"]["height"]) == (40, 30)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("a.png", "nowhere.png"), 3, "does not exist"),
        (("a.png", "small.png"), 2, "40 x 30 and"),
        (("a.png", "gray.png"), 2, "gray"),
        (("a.png", "deep.png"), 2, "depth"),
        (("a.png", "a.png", "-o", "a.png"), 2, "ends in .html"),
        (("a.png", "a.png", "-o", "there.html"), 2, "exists already"),
        (("a.png", "a.png", "--crop", "1,2,3"), 2, "four whole numbers"),
        (("a.png", "a.png", "--crop", "30,0,20,20"), 2, "not within"),
    ],
)
def test_mistakes(run: Run, tmp_path: Path, words: tuple[str, ...], code: int, said: str) -> None:
    write(tmp_path / "a.png", 5)
    Image.new("RGB", (20, 30)).save(tmp_path / "small.png")
    Image.new("L", (40, 30)).save(tmp_path / "gray.png")
    tifffile.imwrite(tmp_path / "deep.tif", np.zeros(SHAPE, np.uint16), photometric="rgb")
    (tmp_path / "deep.tif").rename(tmp_path / "deep.png")
    (tmp_path / "there.html").write_text("mine")
    done = run("compare", *words)
    assert (done.exit_code, said in done.output) == (code, True), done.output
    assert (tmp_path / "there.html").read_text() == "mine"
    assert not list(tmp_path.glob("*compare.html"))
