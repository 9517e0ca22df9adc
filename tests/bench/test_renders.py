"""Renders in a benchmark: pairs by samples per pixel, guides, HDR metrics, Open Image Denoise."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.scenes.rendering import write as write_render
from mdn.bench import benchmark as bench
from mdn.bench import data, renders
from mdn.bench.renders import Render
from mdn.errors import FileError
from tests.bench.test_bench import Listener, by_name, mean, settings, write

pytest.importorskip("OpenEXR")


def render(seed: int, noise: float, side: int = 24) -> Render:
    """A scene with a light brighter than white, and Monte-Carlo-like noise."""
    y, x = np.mgrid[:side, :side]
    clean = np.stack([0.2 + 0.1 * np.sin(x / 3), 0.3 + y / 90, 0.1 + x * 0], -1)
    clean[2:6, 2:6] = 4
    random = np.random.default_rng(seed)
    beauty = clean * random.gamma(1 / noise**2, noise**2, clean.shape) if noise else clean
    albedo = np.full_like(beauty, 0.5)
    return Render(beauty.astype(np.float32), albedo.astype(np.float32), albedo * 0)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Two scenes at 4 and 16 samples, a reference each; one is named, one has the most samples."""
    for at, (scene, reference) in enumerate({"room": "256", "sky": "reference"}.items()):
        for spp, noise in (("4", 0.5), ("16", 0.25), (reference, 0.0)):
            path = tmp_path / "scenes" / f"{scene}_{spp}.exr"
            path.parent.mkdir(exist_ok=True)
            write_render(path, render(at, noise), {})
    return tmp_path / "scenes"


def test_a_row_by_samples_per_pixel(scenes: Path) -> None:
    listener = Listener()
    result = bench.run(settings(scenes, metrics=("psnr", "relmse", "smape")), listener)
    assert [(row.label, row.method, len(row.scores)) for row in result.rows] == [
        ("scenes/spp4", "noisy", 2),
        ("scenes/spp4", "unittest", 2),
        ("scenes/spp16", "noisy", 2),
        ("scenes/spp16", "unittest", 2),
    ]
    rows = by_name(result)
    for metric in ("relmse", "smape"):
        few, many = (mean(rows[f"scenes/spp{n}", "noisy"], metric) for n in (4, 16))
        assert 0 < many < few
    assert result.document["data"][0]["pictures"] == 2
    assert any("--noise does not apply" in line for line in listener.notes)
    assert listener.done == listener.total == 8


def test_the_figures_are_those_of_the_files(scenes: Path) -> None:
    result = bench.run(settings(scenes, protocol="float", limit=1), Listener())
    assert {len(row.scores) for row in result.rows} == {1}  # the limit is of scenes
    noisy, truth = (renders.read(scenes / f"room_{n}.exr", "").beauty for n in (4, 256))
    shown = [np.clip(each.astype(np.float64), 0, 1) ** (1 / 2.2) for each in (noisy, truth)]
    want = -10 * np.log10(np.mean((shown[0] - shown[1]) ** 2))
    assert mean(by_name(result)["scenes/spp4", "noisy"]) == pytest.approx(want, abs=1e-4)


def test_contact_sheets_are_tone_mapped(scenes: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    result = bench.run(settings(scenes, out=tmp_path / "o", plots=True), Listener())
    (sheet,) = result.sheets
    assert sheet.noise == "spp16"
    (opened,) = data.open_sets([str(scenes)], None, None)
    (truth,) = (picture.truth for picture in opened.pictures if picture.name == sheet.picture)
    left, top, side = sheet.box
    light = renders.read(truth, "").beauty[top : top + side, left : left + side]
    shown = np.rint(255 * np.clip(light.astype(np.float64), 0, 1) ** (1 / 2.2))
    assert np.abs(sheet.tiles[0].pixels - shown).max() <= 1


def test_open_image_denoise_gets_light_and_guides(
    scenes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict] = []

    def denoise(beauty: np.ndarray, *, hdr: bool, **guides: np.ndarray) -> np.ndarray:
        assert hdr
        assert beauty.max() > 1
        calls.append(guides)
        return beauty

    monkeypatch.setitem(sys.modules, "pyoidn", SimpleNamespace(denoise=denoise, __spec__=True))
    monkeypatch.setitem(sys.modules, "cffi", SimpleNamespace(__spec__=True))
    peers = ("peer:oidn", "peer:oidn-colour")
    result = bench.run(settings(scenes, models=peers, limit=1), Listener())
    assert [sorted(call) for call in calls] == [["albedo", "normal"], []] * 2
    rows = by_name(result)
    assert mean(rows["scenes/spp4", "peer:oidn"]) == mean(rows["scenes/spp4", "noisy"])


def test_photos_are_not_for_render_denoisers(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pyoidn", "cffi"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(__spec__=True))
    write(tmp_path / "clean" / "a.png")
    listener = Listener()
    how = {"models": ("unittest", "peer:oidn"), "metrics": ("psnr", "relmse")}
    result = bench.run(settings(tmp_path / "clean", **how), listener)
    assert [row.method for row in result.rows] == ["noisy", "unittest"]
    assert "clean: no renders, so nothing for relmse to compare" in listener.notes
    assert "clean: no renders, so nothing for peer:oidn to do" in listener.notes
    assert not any("too small" in line for line in listener.notes)


def test_bad_renders_are_named_and_skipped(scenes: Path) -> None:
    write_render(scenes / "lone_8.exr", render(0, 0.5), {})
    write_render(scenes / "odd_4.exr", render(0, 0.5, 20), {})
    write_render(scenes / "odd_64.exr", render(0, 0), {})
    (scenes / "torn_4.exr").write_bytes((scenes / "room_4.exr").read_bytes()[:400])
    write_render(scenes / "torn_64.exr", render(0, 0), {})
    result = bench.run(settings(scenes), Listener())
    assert [len(row.scores) for row in result.rows] == [2] * 4
    assert [line.split(":")[0] for line in result.failures] == [
        "scenes/lone_8.exr",
        "scenes/odd_4.exr",
        "scenes/torn_4.exr",
    ]
    assert "noisy is 20x20x3, gt is 24x24x3" in result.failures[1]
    assert result.exit_code == 3


def test_a_file_without_beauty(tmp_path: Path) -> None:
    import OpenEXR

    plane = np.zeros((4, 4), np.float16)
    OpenEXR.File({}, {"albedo.R": plane}).write(str(tmp_path / "a.exr"))
    with pytest.raises(FileError, match="no channels R, G and B"):
        renders.read(tmp_path / "a.exr", "a")
