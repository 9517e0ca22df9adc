"""Plots and contact sheets of a benchmark."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mdn import io, plots
from mdn.bench import benchmark as bench
from mdn.bench import figures, sheets
from mdn.errors import UsageError
from tests.bench.test_bench import Listener, settings, write

pytest.importorskip("matplotlib")
NOISE = "gaussian:15,gaussian:25,gaussian:50,poisson:2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three clean pictures, and of a run's results."""
    folder = tmp_path_factory.mktemp("bench")
    for index in range(3):
        write(folder / "clean" / f"{index}.png", index, side=40)
    return folder


@pytest.fixture(scope="module")
def finished(folder: Path) -> bench.BenchResult:
    """A run with plots."""
    request = settings(folder / "clean", noise=NOISE, out=folder / "out", plots=True)
    return bench.run(request, Listener())


def test_the_crop_is_where_methods_differ_most() -> None:
    even = np.full((200, 300), 0.01)
    other = even.copy()
    other[100:140, 200:240] = 0.2
    top, left, side = sheets.informative_crop([even, other])
    assert side == sheets.CROP
    assert top <= 100 < 140 <= top + side
    assert left <= 200 < 240 <= left + side
    truth = np.zeros_like(even)
    truth[:, :40] = np.random.default_rng(0).random((len(truth), 40))
    crop = sheets.informative_crop([even, 2 * even], truth)
    assert crop[1] == 0  # where there is something to see
    alone = sheets.informative_crop([other])  # where its error is
    assert alone[0] <= 100 <= 140 <= alone[0] + side
    assert sheets.informative_crop([even[:20, :30]])[2] == 20
    assert sheets.informative_crop([even[:100, :120]])[2] == 50


def test_sheets_show_what_was_measured(finished: bench.BenchResult, folder: Path) -> None:
    kinds = [(sheet.data, sheet.noise) for sheet in finished.sheets]
    assert kinds == [("clean", "gaussian25"), ("clean", "poisson2")]  # the middle level of each
    sheet = finished.sheets[0]
    assert [tile.name for tile in sheet.tiles] == ["truth", "noisy", "unittest"]
    row = next(r for r in finished.rows if (r.noise, r.method) == ("gaussian25", "unittest"))
    assert sheet.tiles[2].value == row.scores[sheet.picture].metrics["psnr"]
    values = sorted(score.metrics["psnr"] or 0 for score in row.scores.values())
    assert sheet.tiles[2].value == values[1]  # of three, the picture in the middle
    truth = io.read_image(folder / sheet.picture).pixels[0]
    left, top, side = sheet.box
    assert np.array_equal(sheet.tiles[0].pixels, truth[top : top + side, left : left + side])
    error = sheet.tiles[1].error
    assert error.shape == (side, side, 3)


def test_every_plot_is_a_picture(finished: bench.BenchResult, folder: Path) -> None:
    names = sorted(path.name for path in (folder / "out" / "plots").iterdir())
    assert names == ["levels-clean.png", "pictures-clean.png", "speed.png"]
    for name in names:
        page = io.read_image(folder / "out" / "plots" / name).pixels[0]
        assert min(page.shape[:2]) > 100
        assert page.std() > 5


def test_figures_have_the_tables_numbers(finished: bench.BenchResult) -> None:
    rows = [row for row in finished.document["rows"] if row["method"] == "unittest"]
    with plots.style():
        levels = figures.levels(finished.document, "clean")
        speed = figures.speed_plot(finished.document)
    panels = {at.get_title(loc="left"): at.get_lines() for at in levels.axes}
    assert panels.keys() == {"gaussian", "poisson"}
    assert all(list(line.get_xdata()) == [15, 25, 50] for line in panels["gaussian"])
    want = [row["psnr"] for row in rows][:3]
    assert any(list(line.get_ydata()) == want for line in panels["gaussian"])
    (mark,) = speed.axes[0].get_lines()
    assert list(mark.get_xdata()) == [np.median([row["us_per_pixel"] for row in rows])]
    assert list(mark.get_ydata()) == [pytest.approx(np.mean([row["psnr"] for row in rows]))]


def test_plots_that_cannot_be_drawn_are_refused_first(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="--plots needs a folder"):
        bench.run(settings(folder / "clean", plots=True), Listener())
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match="--plots: not drawn: needs matplotlib"):
        bench.run(settings(folder / "clean", plots=True, out=tmp_path), Listener())
