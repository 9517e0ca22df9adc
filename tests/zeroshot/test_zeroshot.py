"""`mdn zeroshot`: the fit of layers, when it ends, and what becomes of odd pictures."""

import copy
import io
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import torch
from torch import Tensor, nn

from mdn import nets, noise
from mdn.errors import UsageError
from mdn.jobs.job import Job
from mdn.jobs.planning import plan as plan_jobs
from mdn.nets.unet import UNet, UNetConfig
from mdn.noise.analysis.estimate import estimate
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.denoise_tiles import apply_net, denoise_tiles, tiled
from mdn.pipeline.in_memory import restore_page
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.registry.model import save_weights, write_card
from mdn.zeroshot import command, layers
from mdn.zeroshot.answer import ChangedAnswer, FilledAnswer
from mdn.zeroshot.layers import Layers
from mdn.zeroshot.request import FitRequest, Plan
from mdn.zeroshot.steps import HOPE, LayerFit, fit_layers
from mdn.zeroshot.windows import Window, regions_of, windows_of
from tests.commands.tools import request
from tests.noise.synthesis.moments import generator
from tests.pipeline.tools import load
from tests.zeroshot.tools import OPTIONS, Listener, fit_of, pages, psnr, scene


def folder_of(folder: Path, arch: str, net: nn.Module) -> Path:
    """A model of the registry with these weights."""
    save_weights(folder / "weights.safetensors", net, arch, net.state_dict())
    about = {"title": "t", "summary": "s", "licence": "MIT", "training_data": "none"}
    write_card(folder, net, arch, "weights.safetensors", {"name": "tiny"} | about)
    return folder


def tiny_net(*widths: int) -> UNet:
    """A net that has learnt nothing: it returns its input, masks and all."""
    torch.manual_seed(0)
    return UNet(UNetConfig(widths=widths or (16, 24), blocks=(1, 1)))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("tiny"), "unet", tiny_net())


@pytest.fixture(scope="module")
def filler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small hourglass that fills masks and can do nothing else, as MPI's are."""
    torch.manual_seed(0)
    net = nets.build("mpi-skip", {"mask_per_channel": True, "width": 8, "scales": 2})
    return folder_of(tmp_path_factory.mktemp("filler"), "mpi-skip", net)


def go(model: Path, source: Path, target: Path, **options):
    """Run the command on one file: its result, and what its report heard."""
    names = ("preset", "iters", "time_limit", "checkpoint", "resume")
    own = {key: options.pop(key) for key in names if key in options}
    listener, wanted = Listener(), request(str(model), **options)
    jobs = plan_jobs([str(source)], str(target), overwrite=True).jobs
    fit = FitRequest(options=wanted.options, **own)
    return command.run(jobs, wanted, fit, listener), listener


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    iio.imwrite(tmp_path / "in.png", pages("gaussian", 25, 96, seed=1)[1])
    return tmp_path / "in.png"


def white(level: float = 25.0) -> Tensor:
    return noise.add(scene(), "gaussian", level, generator(1))


def test_a_net_that_knows_nothing_learns_from_one_noisy_picture(filler: Path, noisy: Path) -> None:
    clean, page = pages("gaussian", 25, 96, seed=1)
    result, listener = go(filler, noisy, noisy.with_name("out.png"), iters=120)
    assert result.exit_code == 0
    assert psnr(iio.imread(noisy.with_name("out.png")), clean) > psnr(page, clean) + 3
    details = result.outcomes[0].details
    assert details["error_after"] < details["error_before"]
    assert any("step" in status for status in listener.statuses)


def test_same_seed_same_bytes_and_another_seed_others(filler: Path, noisy: Path) -> None:
    outputs = [noisy.with_name(f"{name}.png") for name in "abc"]
    for output, seed in zip(outputs, (0, 0, 1), strict=True):
        go(filler, noisy, output, iters=20, seed=seed)
    a, b, c = (output.read_bytes() for output in outputs)
    assert a == b
    assert a != c


def test_a_resumed_fit_equals_an_unbroken_one() -> None:
    windows, plan = [Window(white(), (0.01, 0.0, 0.0), 0.1)], Plan(iters=60, lr=2e-3)
    states: list[dict] = []

    def interrupt(state: dict) -> None:
        if state["step"] == 40:
            stream = io.BytesIO()
            torch.save(state, stream)
            stream.seek(0)
            states.append(torch.load(stream, weights_only=True))
            raise KeyboardInterrupt

    unbroken, broken, resumed = tiny_net(), tiny_net(), tiny_net()
    fit_layers(unbroken, windows, plan, 0, None, lambda *_: None)
    result = fit_layers(broken, windows, plan, 0, None, lambda *_: None, save_state=interrupt)
    assert (result.ended, result.steps) == ("interrupted", 40)
    fit_layers(resumed, windows, plan, 0, None, lambda *_: None, state=states[0])
    for a, b in zip(unbroken.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_fit_ends_where_its_error_no_longer_falls_and_leaves_every_layer() -> None:
    page = torch.rand((3, 32, 32), generator=generator(1))  # nothing to learn
    net, steps = tiny_net(8, 8), []
    as_it_came = copy.deepcopy(net.state_dict())
    plan = Plan(iters=1000, lr=1e-9, crop=32, batch=1)
    window = Window(page, (0.08, 0.0, 0.0), 0.3)
    result = fit_layers(net, [window], plan, 0, None, lambda step, *_: steps.append(step))
    assert (result.ended, result.steps, steps[-1]) == ("hopeless", HOPE, HOPE)
    assert not result.sure
    assert result.after == result.before
    assert all(torch.equal(v, as_it_came[name]) for name, v in net.state_dict().items())
    fit = fit_of()
    fit._layers.fits.append(result)
    assert f"stopped at step {HOPE}, as nothing can be gained" in fit.describe()["summary"][2]


def test_a_fit_of_a_denoiser_that_is_not_sure_leaves_every_layer(monkeypatch) -> None:
    monkeypatch.setattr("mdn.zeroshot.steps.SURE", 1e9)
    net = tiny_net()
    result = fit_of_window(net, Window(white(), (0.01, 0, 0), 0.1))
    assert not result.sure
    assert result.after == result.before
    assert all(
        torch.equal(a, b) for a, b in zip(net.parameters(), tiny_net().parameters(), strict=True)
    )


def fit_of_window(net: nn.Module, window: Window) -> LayerFit:
    return fit_layers(net, [window], Plan(15, 2e-3), 0, None, lambda *_: None)


def test_broken_samples_are_neither_learnt_from_nor_held_out(model: Path) -> None:
    page = white(10.0).clamp(0.02, 0.98).permute(1, 2, 0).numpy().copy()
    page[20::9, 30::9] = 1
    broken = NoiseConditioning(0.04, impulse_spread=0.05, impulses_at_ends=True)
    tiny = load(model)
    tiny = replace(tiny, abilities=replace(tiny.abilities, takes_sigma=True))
    window = windows_of(page, broken, tiny)[0]
    marked = window.values.isnan()
    assert marked[:, 20::9, 30::9].all()
    assert marked.float().mean() < 0.05
    net = tiny_net()
    result = fit_of_window(net, window)
    assert 0 < result.after <= result.before < 0.25
    assert all(values.isfinite().all() for values in net.parameters())


def test_interrupted_it_writes_the_best_so_far_and_then_leaves(
    model: Path, noisy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(layers, "save_parts", interrupt)
    with pytest.raises(KeyboardInterrupt):
        go(model, noisy, noisy.with_name("out.png"), iters=60)
    assert iio.imread(noisy.with_name("out.png")).shape == (96, 96, 3)


def test_a_checkpoint_is_gone_on_from_and_one_of_another_model_refused(
    model: Path, noisy: Path
) -> None:
    path, out = noisy.with_name("steps"), noisy.with_name("out.png")
    go(model, noisy, out, iters=15, checkpoint=path)
    result, _ = go(model, noisy, out, iters=30, checkpoint=path, resume=True)
    assert result.outcomes[0].details["steps"] == 30
    torch.save({"model": "another", "steps": {}}, path)
    _, listener = go(model, noisy, out, checkpoint=path, resume=True)
    assert "of another model" in listener.outcomes[0].error
    path.write_bytes(b"nonsense")
    _, listener = go(model, noisy, out, checkpoint=path, resume=True)
    assert "no checkpoint of a fit" in listener.outcomes[0].error


@pytest.mark.parametrize("shape", [(3, 3, 3), (1, 1, 3), (40, 5, 1), (64, 64, 3)])
def test_constant_and_tiny_pictures_come_back_sane(model: Path, tmp_path: Path, shape) -> None:
    page = np.full(shape, 90, np.uint8)
    iio.imwrite(tmp_path / "in.png", page if shape[2] == 3 else page[..., 0])
    result, _ = go(model, tmp_path / "in.png", tmp_path / "out.png")
    assert result.exit_code == 0
    assert np.abs(iio.imread(tmp_path / "out.png").astype(int) - 90).max() <= 2


def test_not_a_number_in_a_float_picture_is_one_line_or_a_sane_result(
    model: Path, tmp_path: Path
) -> None:
    values = np.random.default_rng(0).normal(100, 10, (64, 64)).astype(np.float32)
    values[5, 5] = np.nan
    tifffile.imwrite(tmp_path / "in.tif", values)
    result, listener = go(model, tmp_path / "in.tif", tmp_path / "out.tif", iters=15)
    if result.exit_code == 0:
        assert np.isfinite(tifffile.imread(tmp_path / "out.tif")).sum() >= values.size - 1
    else:
        assert "NaN" in listener.outcomes[0].error or "finite" in listener.outcomes[0].error


def test_a_clean_picture_is_said_to_be_clean_and_not_fitted(
    model: Path, filler: Path, tmp_path: Path
) -> None:
    ramp = np.linspace(40, 200, 192).round().astype(np.uint8)
    clean = np.broadcast_to(ramp[None, :, None] // (1, 2, 3), (192, 192, 3)).astype(np.uint8)
    iio.imwrite(tmp_path / "in.png", clean)
    result, _ = go(model, tmp_path / "in.png", tmp_path / "out.png")
    assert result.outcomes[0].details["summary"][0] == "seen: no noise"
    assert result.outcomes[0].details["steps"] == 0
    assert np.array_equal(iio.imread(tmp_path / "out.png"), clean)
    fills = Models(str(filler), device="cpu", may_fill=True).load()
    assert np.array_equal(restore_page(clean, fills, OPTIONS, adapter=fit_of()).pixels, clean)


def test_a_stack_is_fitted_once_for_all_its_slices(model: Path, tmp_path: Path) -> None:
    stack = np.random.default_rng(0).poisson(40, (6, 64, 64)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "in.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    result, _ = go(model, tmp_path / "in.tif", tmp_path / "out.tif", iters=30)
    assert result.outcomes[0].details["steps"] == 30
    output = tifffile.imread(tmp_path / "out.tif")
    assert (output.shape, output.dtype) == (stack.shape, stack.dtype)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"preset": "nonsense"}, "choose one of auto, mpi"),
        ({"iters": -1}, "--iters must be"),
        ({"resume": True}, "--resume needs --checkpoint"),
    ],
)
def test_options_that_make_no_sense(model: Path, noisy: Path, options: dict, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        go(model, noisy, noisy.with_name("out.png"), **options)


def test_nets_that_cannot_be_used_so_are_refused(filler: Path, noisy: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mdn zeroshot"):
        load(filler)  # by mdn denoise: it must be fitted first
    from mdn.nets.swinir import SwinIR, SwinIRConfig

    masked = SwinIR(SwinIRConfig(depths=(2,), dim=12, heads=2))
    folder_of(tmp_path, "swinir-masked", masked)
    with pytest.raises(UsageError, match="draws its own masks"):
        go(tmp_path, noisy, tmp_path / "out.png")


def test_layers_are_fitted_on_request() -> None:
    grain = estimate(white())
    blotches = estimate(noise.add(scene(192), "spatial", 55.0, generator()))
    clean, limited = replace(grain, channel_sigmas=(0.3 / 255,)), FitRequest(time_limit=9)
    assert FitRequest().plan(grain, fills=False).iters == 0
    assert limited.plan(grain, fills=False).iters > 0
    assert limited.plan(clean, fills=False).iters == 0
    assert FitRequest(iters=7).plan(clean, fills=False).iters == 7
    assert FitRequest("mpi-real").plan(grain, fills=True).ratio == 0.85
    assert FitRequest().plan(blotches, fills=True).shuffle == 2


def test_layers_are_not_fitted_where_neighbours_share_the_noise(model: Path) -> None:
    part = white().permute(1, 2, 0).numpy(), NoiseConditioning(0.1)
    for shared, steps in ((True, 0), (False, 15)):
        request = FitRequest(iters=15, options=OPTIONS)
        fitted = Layers(request, Job(None, None, "x"), Listener())
        result = fitted.fit(lambda: [part], load(model), shared=shared)
        assert fitted.refused is shared
        assert sum(fit.steps for fit in fitted.fits) == steps
        assert not shared or result.answer is None
    fit = fit_of()
    fit._layers.refused = True
    assert "no layers, as neighbours share the noise" in fit.describe()["summary"][1]


def test_large_pictures_are_fitted_through_windows() -> None:
    page = np.zeros((1500, 4000, 3), np.uint8)
    assert [region.shape for region in regions_of(page)] == [(256, 256, 3)] * 16
    assert len(regions_of(np.zeros((256, 5000, 3), np.uint8))) == 4
    assert len(regions_of(page[:300, :300])) == 1


class Blur(nn.Module):
    """A net that means over 3x3 pixels that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.device = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        total, count = (
            nn.functional.avg_pool2d(y, 3, 1, 1) for y in (x * visible, visible.expand_as(x))
        )
        return total / count.clamp(min=0.01)


@pytest.mark.parametrize("shuffle", [1, 2])
def test_a_filled_picture_is_the_same_in_tiles(filler: Path, shuffle: int) -> None:
    fills = Models(str(filler), device="cpu", may_fill=True).load()
    answer, sizes = FilledAnswer(0.3, shuffle, 0.1, None), (fills.halo, fills.multiple)
    halo, multiple = (size * shuffle for size in sizes)
    fitted = replace(fills, net=Blur(), answer=answer, halo=halo, multiple=multiple)
    noisy = noise.add(scene(256), "gaussian", 25.0, generator(1)).permute(1, 2, 0).numpy()
    results = []
    for tile in (512, 144):
        options = Options(tile=tile, precision="fp32")

        def clean(tiles: Tensor, origins: list, options=options) -> Tensor:
            return denoise_tiles(tiles, origins, NoiseConditioning(), fitted, options)

        results.append(tiled(clean, fitted, options, noisy, np.asarray, np.asarray)[8:-8, 8:-8])
    whole, tiles = results
    assert np.abs(whole - noisy[8:-8, 8:-8]).max() > 0.05
    assert np.abs(tiles - whole).max() < 1e-5


def test_what_repeats_with_the_grid_of_a_fitted_net_is_not_taken(model: Path) -> None:
    tiny = load(model)
    net = copy.deepcopy(tiny.net)
    torch.manual_seed(0)
    torch.nn.init.normal_(net.tail.weight, std=0.1)  # each place in 2 x 2 pixels by itself
    flat = torch.full((1, 3, 96, 96), 0.2)

    def change(*, fine: bool) -> Tensor:
        fitted = replace(tiny, net=net, answer=ChangedAnswer(tiny.net, fine))
        with torch.inference_mode():
            y = apply_net(flat, [(0, 0)], NoiseConditioning(), fitted, Options(passes=8))
        return (y - flat)[0, :, 32:-32, 32:-32]  # the net as it came is the identity

    whole, part = change(fine=True), change(fine=False)
    assert float(whole.std((1, 2)).max()) > 0.01
    assert float(part.std((1, 2)).max()) < 1e-5
    assert torch.allclose(part.mean((1, 2)), whole.mean((1, 2)), atol=1e-5)
