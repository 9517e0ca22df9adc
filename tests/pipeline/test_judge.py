"""A net that judges the noise itself, on the way of a picture: no gate, no second net."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mdn.nets.unet import UNet, UNetConfig
from mdn.pipeline.denoise_tiles import apply_net
from mdn.pipeline.judge import judge_sample
from mdn.pipeline.options import Options
from mdn.pipeline.reading import FLOOR
from mdn.registry.cards import read_card
from mdn.registry.model import load_model, read_safetensors, save_weights, write_card
from tests.pipeline.tools import denoised


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small net of random weights, whose map and kernels follow what it reads."""
    torch.manual_seed(0)
    net = UNet(
        UNetConfig(widths=(8, 16), blocks=(1, 1), per_channel_mask=True, judge=True, kernels=2)
    )
    for name, parameter in net.named_parameters():
        if name.startswith(("tail.", "texture.", "local.")) or ".gain." in name:
            torch.nn.init.normal_(parameter, std=0.02)
    folder = tmp_path_factory.mktemp("judging")
    save_weights(folder / "weights.safetensors", net, "unet", net.state_dict())
    write_card(
        folder, net, "unet", "weights.safetensors", {"name": "judging", "training_data": "none"}
    )
    return folder


def page(side: int = 192, sigma: float = 20.0) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    shown = 120 + 60 * np.sin(x / 19) * np.cos(y / 31)
    noise = sigma * np.random.default_rng(0).standard_normal((side, side, 3))
    return (shown[..., None] + noise).clip(0, 255).round().astype(np.uint8)


def tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def test_tiles_equal_the_whole(folder: Path) -> None:
    whole, tiled = (denoised(page(), folder, tile=tile) for tile in (512, 160))
    assert (whole != page()).mean() > 0.1
    assert np.abs(whole.astype(int) - tiled.astype(int)).max() <= 1


def test_a_sigma_that_is_given_scales_the_map_to_it(folder: Path) -> None:
    model = load_model(read_card(folder, "folder"), torch.device("cpu"))
    sample = tensor(page())
    noise = judge_sample(sample, model, 30 / 255)
    assert noise.estimate is None
    assert noise.reading is not None
    assert isinstance(model.net, UNet)
    with torch.no_grad():
        sigmas = model.net.sigma_map(sample[None], noise.reading.descriptor)
    told = noise.gain * (sigmas + noise.floor)
    assert float(told.square().mean().sqrt()) == pytest.approx(30 / 255, rel=0.02)
    assert float(told.min()) >= noise.gain * FLOOR  # no place is left out
    assert judge_sample(sample, model, 0.0).blend_weight == 0


def test_a_strength_above_one_takes_the_noise_for_that_many_times_as_strong(folder: Path) -> None:
    model = load_model(read_card(folder, "folder"), torch.device("cpu"))
    x = tensor(page())[None]
    noise = judge_sample(x[0], model)
    with torch.no_grad():
        wanted = model.net(x, noise=noise.reading.descriptor, gain=1.5)
        stronger, half = (
            apply_net(x, [(0, 0)], noise, model, Options(strength=share)) for share in (1.5, 0.5)
        )
        plain = apply_net(x, [(0, 0)], noise, model, Options())
    torch.testing.assert_close(stronger, wanted)
    torch.testing.assert_close(half, plain)  # the result is mixed later
    assert not torch.allclose(stronger, plain, atol=1e-4)


def test_kernels_that_are_mixed_are_stored_in_eight_bits(folder: Path) -> None:
    torch.manual_seed(1)
    kernel = (
        torch.randn(5, 4, 3, 3) * torch.tensor([1e-3, 1.0, 30.0, 0.0, 2.0])[:, None, None, None]
    )
    path = folder / "some.safetensors"
    net = UNet(UNetConfig(widths=(8, 16), blocks=(1, 1)))
    save_weights(path, net, "unet", {"a.kernels.0": kernel, "a.weight": kernel})
    state, _ = read_safetensors(path)
    assert set(state) == {"a.kernels.0", "a.weight"}
    unit = kernel.flatten(1).abs().amax(1)[:, None, None, None] / 127
    assert bool(((state["a.kernels.0"] - kernel).abs() <= 0.51 * unit + 1e-12).all())
    torch.testing.assert_close(state["a.weight"].float(), kernel, rtol=1e-3, atol=1e-5)
