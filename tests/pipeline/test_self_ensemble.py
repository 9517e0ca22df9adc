"""Passes: masks or turns, their mean, and the map of how much they differ."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from mdn import io
from mdn.bench.methods import resolve
from mdn.commands.denoise import run
from mdn.commands.request import Request
from mdn.errors import UsageError
from mdn.image import Image
from mdn.jobs.job import Job
from mdn.nets.swinir import SwinIR, SwinIRConfig
from mdn.pipeline.options import Options
from mdn.pipeline.restore import in_range
from mdn.registry.model import pack, write_card
from tests.jobs.test_running import Recorder
from tests.pipeline import tools

Model = Callable[[float], str]


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """Makes the folder of a tiny masked net, with that share of its tokens masked."""

    def make(ratio: float) -> str:
        torch.manual_seed(0)
        net = SwinIR(
            SwinIRConfig(3, (2,), 12, 3, 4, input_mask="none", attention_ratio=(ratio, ratio))
        )
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
            net.last.weight *= 20
        folder = tmp_path / f"masked{ratio}"
        folder.mkdir()
        (folder / "weights.safetensors").write_bytes(pack(net, "swinir-masked", net.state_dict()))
        about = {"name": "masked", "training_data": "none"}
        write_card(folder, net, "swinir-masked", "weights.safetensors", about)
        return str(folder)

    return make


def denoised(model: str, page: np.ndarray, **more: Any) -> tuple[np.ndarray, np.ndarray]:
    """The page, and the deviation of its passes (H, W, C), both as they are stored."""
    found = np.zeros(page.shape, np.float32)

    def take(start: int, values: np.ndarray, deviation: np.ndarray) -> None:
        found[start : start + len(deviation)] = deviation

    return tools.restored(page, model, take, **more).pixels, found


def picture(height: int = 40, width: int = 32, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.random((height, width, channels)).astype(np.float32)


def masked_passes(model: str, page: np.ndarray, passes: int, **more: Any) -> np.ndarray:
    net, seed = tools.load(model).net, more.get("seed", 0)
    batch = torch.from_numpy(page).permute(2, 0, 1)[None]
    with torch.inference_mode():
        outs = [net(batch, seed=seed, pass_index=i, origin=(0, 0)) for i in range(passes)]
    return torch.cat(outs).permute(0, 2, 3, 1).numpy()


def ranged(values: np.ndarray, page: np.ndarray) -> np.ndarray:
    """What is left of values (H, W, C) in the range of the page around them."""
    y, x = (torch.from_numpy(each.transpose(2, 0, 1)[None].copy()) for each in (values, page))
    return in_range(y, x, torch.zeros_like(x, dtype=torch.bool))[0].permute(1, 2, 0).numpy()


def test_mean_and_deviation_of_masked_passes(model: Model) -> None:
    path, page = model(0.75), picture()
    each = masked_passes(path, page, 5, seed=3)
    mean, deviation = denoised(path, page, passes=5, seed=3)
    np.testing.assert_allclose(mean, ranged(each.mean(0), page), atol=1e-5)
    np.testing.assert_allclose(deviation, each.std(0, ddof=1), atol=1e-5)
    assert deviation.mean() > 1e-3
    half, smaller = denoised(path, page, passes=5, seed=3, strength=0.5)
    np.testing.assert_allclose(smaller, deviation / 2, atol=1e-6)
    np.testing.assert_allclose(half, (page + mean) / 2, atol=1e-5)


def test_tiles_do_not_change_the_map(model: Model) -> None:
    path, page = model(0.75), picture(96, 100)
    whole, tiled = (denoised(path, page, passes=3, tile=tile) for tile in (200, 48))
    for a, b in zip(whole, tiled, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_gray_has_the_deviation_of_its_gray(model: Model) -> None:
    path, page = model(0.75), picture(channels=1)
    each = masked_passes(path, page.repeat(3, -1), 3).mean(-1, keepdims=True)
    mean, deviation = denoised(path, page, passes=3)  # of a range that is nearly 0 to 1
    np.testing.assert_allclose(mean, ranged(each.mean(0), page), atol=1e-2)
    np.testing.assert_allclose(deviation, each.std(0, ddof=1), rtol=0.02, atol=5e-3)


@pytest.mark.parametrize("unmasked", ["unittest", "swinir"])
def test_without_masks_the_picture_is_turned(unmasked: str, model: Model) -> None:
    path = model(0.0) if unmasked == "swinir" else unmasked
    page = picture(32, 48)
    mean, deviation = denoised(path, page, passes=8)
    other, turned_deviation = denoised(path, np.rot90(page).copy(), passes=8)
    np.testing.assert_allclose(np.rot90(mean), other, atol=1e-5)
    np.testing.assert_allclose(np.rot90(deviation), turned_deviation, atol=1e-5)
    assert deviation.max() > 1e-4


def work(tmp_path: Path, std_target: str, model: str = "unittest", **more: Any) -> Any:
    """One 16-bit picture, denoised with a map; the report and the outcome."""
    source = tmp_path / "in.png"
    pixels = (picture(24, 20) * 65535).astype(np.uint16)[None]
    io.write_image(Image(pixels), source)
    job = Job(source, tmp_path / "out.png", "in.png", std_target=tmp_path / std_target)
    report = Recorder()
    request = Request(model, device="cpu", passes=4, options=Options(precision="fp32"), **more)
    return report, run([job], request, report).outcomes[0]


def test_numbers_are_in_the_unit_of_the_picture(tmp_path: Path) -> None:
    _, outcome = work(tmp_path, "maps/s.tif")
    assert outcome.status == "ok", outcome.error
    values = tifffile.imread(tmp_path / "maps" / "s.tif")
    assert (values.shape, values.dtype) == ((24, 20), np.float32)
    assert outcome.details["std"]["max"] == pytest.approx(values.max())
    _, deviation = denoised("unittest", io.read_image(tmp_path / "in.png").pixels[0], passes=4)
    expected = np.sqrt(np.square(deviation).mean(-1))
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-3)
    assert values.max() > 10  # of 65535: not shares of white
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["s.tif"]


def test_a_format_to_look_at_is_scaled_and_says_so(tmp_path: Path) -> None:
    report, outcome = work(tmp_path, "s.png")
    pixels = io.read_image(tmp_path / "s.png").pixels
    assert (pixels.dtype, pixels.max()) == (np.uint16, 65535)
    assert any("s.png: white stands for a deviation of" in note for note in report.said)
    work(tmp_path, "s.tif")
    values = tifffile.imread(tmp_path / "s.tif")
    np.testing.assert_allclose(pixels[0, ..., 0] / 65535, values / values.max(), atol=1e-4)
    assert outcome.details["std"]["white"] == pytest.approx(values.max())


def test_a_map_that_cannot_be_written_fails_its_file_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    _, outcome = work(tmp_path, "file/s.tif")
    assert outcome.status == "failed"
    assert not (tmp_path / "out.png").exists()
    assert list(tmp_path.glob(".mdn-*")) == []


@pytest.mark.parametrize("axes", ["ZYX", "CYX"])
def test_stacks_have_a_page_for_each_plane(axes: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scene = 900 + 300 * np.sin(np.arange(48) / 5)[None, :, None] * np.ones((3, 1, 40))
    tifffile.imwrite(
        tmp_path / "in.tif",
        rng.poisson(scene).astype(np.uint16),
        imagej=True,
        metadata={"axes": axes},
    )
    for encoding in ("counts", "display"):
        job = Job(
            tmp_path / "in.tif", tmp_path / f"{encoding}.tif", "in.tif",
            std_target=tmp_path / f"{encoding}_std.tif",
        )  # fmt: skip
        options = Options(precision="fp32")
        request = Request("unittest", device="cpu", passes=4, options=options, encoding=encoding)
        outcome = run([job], request, Recorder()).outcomes[0]
        assert outcome.status == "ok", outcome.error
        values = tifffile.imread(tmp_path / f"{encoding}_std.tif")
        assert (values.shape, values.dtype) == ((3, 48, 40), np.float32)
        assert all(page.max() > 0 for page in values)
        assert encoding == "display" or values.max() < 1000


def test_a_benchmark_takes_passes_by_name(model: Model) -> None:
    path, page = model(0.75), picture()
    field = resolve((path, f"{path}:3"), "cpu", "fp32", 0)
    _, one, three = field.available
    each = masked_passes(path, page, 3)
    np.testing.assert_allclose(one.denoise(page, 0.1, "x"), ranged(each[0], page), atol=1e-5)
    mean = ranged(each.mean(0), page)
    np.testing.assert_allclose(three.denoise(page, 0.1, "x"), mean, atol=1e-5)
    assert one.identity != three.identity
    with pytest.raises(UsageError, match="--passes 9: unittest takes 8 at most"):
        resolve(("unittest:9",), "cpu", "fp32", 0)
