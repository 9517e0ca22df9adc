"""A net that takes guides: it gets those of its own pixels, whatever the tiles."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mdn.commands.denoise import run
from mdn.encoding import Hdr
from mdn.io import exr
from mdn.jobs.job import BatchResult
from mdn.jobs.planning import plan
from mdn.nets.unet import UNet, UNetConfig
from mdn.pipeline import linear
from mdn.pipeline.denoise_tiles import Guides
from mdn.pipeline.options import Options
from mdn.registry import store
from mdn.registry.model import pack, write_card
from mdn.renders import RenderOptions
from tests.commands.tools import request
from tests.jobs.test_running import Recorder
from tests.pipeline.tools import load
from tests.renders import scenes


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a random guided net called render."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "models" / "render"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    net = UNet(UNetConfig(widths=(4, 8), blocks=(1, 1), guides=6))
    torch.nn.init.normal_(net.tail.weight, std=0.05)
    (folder / "weights.safetensors").write_bytes(pack(net, "unet", net.state_dict()))
    about = {"name": "render", "domain": "hdr", "training_data": "none"}
    write_card(folder, net, "unet", "weights.safetensors", about)
    return home


@pytest.fixture(autouse=True)
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """mdn's own models are not looked at."""
    monkeypatch.setenv("MDN_HOME", str(home))


def denoise(source: Path, target: Path, **settings: object) -> tuple[np.ndarray, BatchResult]:
    known = ("albedo", "normal", "tonemap", "keep_sums")
    asked = RenderOptions(**{key: settings.pop(key) for key in known if key in settings})
    jobs = plan([str(source)], str(target), overwrite=True).jobs
    result = run(jobs, request(renders=asked, **settings), Recorder())
    part = exr.read(target).parts[0]
    return np.stack([part[key] for key in "RGB"], -1).astype(np.float64), result


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return scenes.scene(tmp_path / "in.exr")


def model_of(result: BatchResult) -> object:
    return result.outcomes[0].details["model"]


def test_renders_have_a_default_of_their_own(scene: Path, tmp_path: Path) -> None:
    assert model_of(denoise(scene, tmp_path / "out.exr")[1]) == "render"
    assert model_of(denoise(scene, tmp_path / "out.exr", model="unittest")[1]) == "unittest"
    shown = denoise(scene, tmp_path / "out.exr", tonemap="srgb")[1]
    assert model_of(shown) == store.DEFAULT


def test_guides_reach_the_net(scene: Path, tmp_path: Path) -> None:
    pictures = [
        denoise(scene, tmp_path / "out.exr", albedo=albedo, normal=normal)[0]
        for albedo, normal in (("auto", "auto"), ("none", "auto"), ("none", "none"))
    ]
    for one, other in ((0, 1), (1, 2)):
        assert np.abs(pictures[one] - pictures[other]).max() > 1e-3


def test_tiled_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "SHAPE", (100, 132))
    source = scenes.scene(tmp_path / "in.exr")
    whole, _ = denoise(source, tmp_path / "whole.exr")
    tiled, _ = denoise(source, tmp_path / "tiled.exr", tile=32)
    np.testing.assert_allclose(whole, tiled, rtol=2e-3, atol=1e-5)


class Multiplied(torch.nn.Module):
    """Each pixel times its albedo: the same from whichever side it is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor, guide: torch.Tensor) -> torch.Tensor:
        return self.one * x * guide[:, :3]


def test_passes_turn_the_guides_too() -> None:
    model = replace(load("render"), net=Multiplied())
    random = np.random.default_rng(0)
    light, guides = random.random((2, 24, 16, 6), np.float32)
    options = Options(precision="fp32", passes=8)
    found = linear.denoise_light(light[..., :3], Hdr(), model, options, guides)
    expected = Hdr().decode(Hdr().encode(light[..., :3]) * guides[..., :3])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_lone_channel_is_denoised(tmp_path: Path) -> None:
    light = scenes.noisy(scenes.truth(), 1)
    channels = {"Y": light[..., 0].astype(np.float32)} | scenes.planes("albedo.", scenes.albedo())
    source = scenes.file(tmp_path / "in.exr", channels)
    target = tmp_path / "out.exr"
    jobs = plan([str(source)], str(target)).jobs
    result = run(jobs, request(), Recorder())
    assert not result.outcomes[0].error
    after = exr.read(target).parts[0]["Y"]
    assert after.shape == (40, 56)
    assert not np.array_equal(after, channels["Y"])


def test_tiles_have_the_guides_of_their_place() -> None:
    planes = np.arange(5 * 7 * 2, dtype=np.float32).reshape(5, 7, 2)
    beside = Guides(planes).beside(torch.zeros(2, 3, 4, 4), [(0, 0), (2, 4)])
    assert beside.shape == (2, 2, 4, 4)
    inside = torch.from_numpy(planes.transpose(2, 0, 1))
    assert torch.equal(beside[0], inside[:, :4, :4])
    assert torch.equal(beside[1, :, :3, :3], inside[:, 2:, 4:])
    assert torch.equal(beside[1, :, 3, :3], inside[:, 3, 4:])
