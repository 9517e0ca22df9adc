"""`mdn zeroshot`: the fit, what it chooses, and what becomes of odd pictures."""

from __future__ import annotations

import copy
import math
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
from mdn.nets import Abilities
from mdn.nets.unet import UNet, UNetConfig
from mdn.noise.analysis.estimate import estimate
from mdn.pipeline.apply_net import apply_net
from mdn.pipeline.blend import blend
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.denoise_tiles import denoise_tiles, tiled
from mdn.pipeline.in_memory import Picture, restore_counts, restore_page
from mdn.pipeline.models import Models
from mdn.pipeline.multiscale import as_it_is
from mdn.pipeline.options import Options
from mdn.pipeline.pixel_shuffle import pixel_shuffle_downsampled, pixel_shuffle_upsampled
from mdn.registry.model import Model
from mdn.registry.write import write_card
from mdn.training.checkpoint import save_weights
from mdn.zeroshot import command, layers
from mdn.zeroshot.answer import Answer
from mdn.zeroshot.crops import Window
from mdn.zeroshot.fit import fit, part_to_take, surely_falls
from mdn.zeroshot.fitting import Fitting
from mdn.zeroshot.hidden_samples import clipped_mean
from mdn.zeroshot.layers import Layers
from mdn.zeroshot.noise_fit import NoiseFit
from mdn.zeroshot.plan import FitOptions, FitRequest, Plan, Start, make_plan
from mdn.zeroshot.summary import summarise
from mdn.zeroshot.windows import regions_of, windows_of
from tests.commands.tools import request
from tests.pipeline.tools import load


class Listener:
    """A report that remembers."""

    def __init__(self) -> None:
        self.statuses: list[str] = []
        self.notes: list[str] = []
        self.outcomes: list = []

    def started(self, job, index: int, total: int) -> None: ...

    def progress(self, job, fraction: float, status: str = "") -> None:
        assert 0 <= fraction <= 1
        self.statuses.append(status)

    def note(self, job, line: str) -> None:
        self.notes.append(line)

    def finished(self, outcome) -> None:
        self.outcomes.append(outcome)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny net that has learnt nothing: it returns its input, masks and all."""
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    net = UNet(UNetConfig(widths=(16, 24), blocks=(1, 1)))
    save_weights(folder / "weights.safetensors", net, "unet", net.state_dict())
    about = {"title": "t", "summary": "s", "licence": "MIT", "training_data": "none"}
    write_card(folder, net, "unet", "weights.safetensors", {"name": "tiny"} | about)
    return folder


def scene(side: int = 96) -> Tensor:
    grid = torch.linspace(0, 1, side)
    across, down = torch.meshgrid(grid, grid, indexing="xy")
    shade = 0.3 + 0.3 * torch.sin(9 * across) * torch.cos(7 * down)
    return torch.stack([shade, 0.8 - shade, 0.2 + 0.5 * shade])


def write_noisy(path: Path, sigma: float = 25.0) -> tuple[np.ndarray, np.ndarray]:
    noisy = noise.add(scene(), "gaussian", sigma, torch.Generator().manual_seed(1))
    clean, noisy = (
        (x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy() for x in (scene(), noisy)
    )
    iio.imwrite(path, noisy)
    return clean, noisy


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * math.log10(255**2 / float(((a.astype(float) - b) ** 2).mean()))


def go(model: Path, source: Path, target: Path, asked: FitOptions | None = None, **options):
    listener = Listener()
    jobs = plan_jobs([str(source)], str(target), overwrite=True).jobs
    own = {key: options.pop(key) for key in ("checkpoint", "resume") if key in options}
    wanted = request(str(model), **options)
    fit = FitRequest(asked or FitOptions(iters=60, lr=2e-3), wanted.options, **own)
    return command.run(jobs, wanted, fit, listener), listener


def fitting_of(asked: FitOptions | None = None) -> Fitting:
    request = FitRequest(asked or FitOptions(), Options(precision="fp32"))
    return Fitting(request, Job(None, None, "x"), Listener())


def test_a_net_that_knows_nothing_learns_from_one_noisy_picture(model: Path, tmp_path) -> None:
    clean, noisy = write_noisy(tmp_path / "in.png")
    asked = FitOptions(iters=120, lr=3e-3, from_scratch=True)
    result, listener = go(model, tmp_path / "in.png", tmp_path / "out.png", asked)
    assert result.exit_code == 0
    output = iio.imread(tmp_path / "out.png")
    assert psnr(output, clean) > psnr(noisy, clean) + 3
    details = result.outcomes[0].details
    assert details["error_after"] < details["error_before"]
    assert any("step" in status for status in listener.statuses)


def test_same_seed_same_bytes_and_another_seed_others(model: Path, tmp_path: Path) -> None:
    write_noisy(tmp_path / "in.png")
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        go(
            model,
            tmp_path / "in.png",
            tmp_path / f"{name}.png",
            FitOptions(iters=30, lr=2e-3),
            seed=seed,
        )
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_a_resumed_fit_equals_an_unbroken_one(model: Path) -> None:
    noisy = noise.add(scene(), "gaussian", 25.0, torch.Generator().manual_seed(1))
    windows = [Window(noisy, (0.01, 0.0, 0.0), 0.1)]
    plan = Plan(iters=60, lr=2e-3)

    def fresh() -> UNet:
        torch.manual_seed(0)
        return UNet(UNetConfig(widths=(16, 24), blocks=(1, 1)))

    states: list[dict] = []

    def keep(state: dict) -> None:
        if state["step"] == 30:
            states.append(copy.deepcopy(state))
            raise KeyboardInterrupt

    unbroken, broken = fresh(), fresh()
    fit(unbroken, windows, plan, 0, None, lambda *_: None)
    fit(broken, windows, plan, 0, None, lambda *_: None, keep_state=keep)
    resumed = fresh()
    fit(resumed, windows, plan, 0, None, lambda *_: None, state=_through_a_file(states[0]))
    for a, b in zip(unbroken.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def _through_a_file(state: dict) -> dict:
    import io

    stream = io.BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)


def test_interrupted_it_writes_the_best_so_far_and_then_leaves(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_noisy(tmp_path / "in.png")
    calls = []

    def interrupt(*_: object) -> None:
        calls.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(layers.state, "save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        go(model, tmp_path / "in.png", tmp_path / "out.png")
    assert calls
    assert iio.imread(tmp_path / "out.png").shape == (96, 96, 3)


def test_a_checkpoint_of_another_model_is_refused(model: Path, tmp_path: Path) -> None:
    write_noisy(tmp_path / "in.png")
    kept = tmp_path / "kept.fit"
    go(model, tmp_path / "in.png", tmp_path / "a.png", FitOptions(iters=15), checkpoint=kept)
    assert kept.exists()
    result, _ = go(
        model,
        tmp_path / "in.png",
        tmp_path / "b.png",
        FitOptions(iters=30),
        checkpoint=kept,
        resume=True,
    )
    assert result.exit_code == 0
    torch.save({"model": "another", "state": {}}, kept)
    result, listener = go(
        model, tmp_path / "in.png", tmp_path / "c.png", checkpoint=kept, resume=True
    )
    assert "of another model" in listener.outcomes[0].error
    kept.write_bytes(b"nonsense")
    result, listener = go(
        model, tmp_path / "in.png", tmp_path / "c.png", checkpoint=kept, resume=True
    )
    assert "no checkpoint of a fit" in listener.outcomes[0].error


@pytest.mark.parametrize("shape", [(3, 3, 3), (1, 1, 3), (40, 5, 1), (64, 64, 3)])
def test_constant_and_tiny_pictures_come_back_sane(model: Path, tmp_path: Path, shape) -> None:
    page = np.full(shape, 90, np.uint8)
    iio.imwrite(tmp_path / "in.png", page if shape[2] == 3 else page[..., 0])
    result, _ = go(model, tmp_path / "in.png", tmp_path / "out.png", FitOptions())
    assert result.exit_code == 0
    assert np.abs(iio.imread(tmp_path / "out.png").astype(int) - 90).max() <= 2


def test_not_a_number_in_a_float_picture_is_one_line_or_a_sane_result(
    model: Path, tmp_path: Path
) -> None:
    values = np.random.default_rng(0).normal(100, 10, (64, 64)).astype(np.float32)
    values[5, 5] = np.nan
    tifffile.imwrite(tmp_path / "in.tif", values)
    result, listener = go(model, tmp_path / "in.tif", tmp_path / "out.tif", FitOptions(iters=15))
    if result.exit_code == 0:
        output = tifffile.imread(tmp_path / "out.tif")
        assert np.isfinite(output).sum() >= values.size - 1
    else:
        assert "NaN" in listener.outcomes[0].error or "finite" in listener.outcomes[0].error


def test_a_clean_picture_is_said_to_be_clean_and_not_fitted(model: Path, tmp_path: Path) -> None:
    ramp = np.linspace(40, 200, 192).round().astype(np.uint8)
    clean = np.broadcast_to(ramp[:, None], (192, 192, 3)).transpose(1, 0, 2).copy()
    iio.imwrite(tmp_path / "in.png", clean)
    result, _ = go(model, tmp_path / "in.png", tmp_path / "out.png", FitOptions())
    assert result.outcomes[0].details["summary"][0] == "seen: no noise"
    assert result.outcomes[0].details["steps"] == 0
    assert np.array_equal(iio.imread(tmp_path / "out.png"), clean)  # the tiny net is the identity


def test_a_stack_is_fitted_once_for_all_its_slices(model: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    stack = generator.poisson(40, (6, 64, 64)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "in.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    result, _ = go(model, tmp_path / "in.tif", tmp_path / "out.tif", FitOptions(iters=30, lr=2e-3))
    assert result.outcomes[0].details["steps"] == 30
    output = tifffile.imread(tmp_path / "out.tif")
    assert output.shape == stack.shape
    assert output.dtype == stack.dtype


def test_layers_are_fitted_where_that_is_asked_for() -> None:
    white = estimate(noise.add(scene(192), "gaussian", 25.0, torch.Generator().manual_seed(0)))
    spatial = estimate(noise.add(scene(192), "spatial", 55.0, torch.Generator().manual_seed(0)))
    assert make_plan(FitOptions(), white).iters == 0
    assert make_plan(FitOptions(layers=True), white).iters > 0
    assert (
        make_plan(FitOptions(layers=True), replace(white, channel_sigmas=(0.3 / 255,))).iters == 0
    )
    assert make_plan(FitOptions(iters=7, ratio=0.5), white).iters == 7
    assert make_plan(FitOptions(preset="mpi-real"), white).ratio == 0.85
    filler = make_plan(FitOptions(), spatial, Start.FILLS)
    assert filler.shuffle == 2
    assert filler.iters > 0


@pytest.mark.parametrize(
    ("asked", "options", "says"),
    [
        (FitOptions(preset="nonsense"), {}, "choose one of auto, mpi"),
        (FitOptions(ratio=1.0), {}, "--mask-ratio"),
        (FitOptions(lr=0.0), {}, "--lr"),
        (FitOptions(ema=1.0), {}, "--ema"),
        (FitOptions(), {"resume": True}, "--resume needs --checkpoint"),
    ],
)
def test_options_that_make_no_sense(model: Path, tmp_path, asked, options, says: str) -> None:
    write_noisy(tmp_path / "in.png")
    with pytest.raises(UsageError, match=says):
        go(model, tmp_path / "in.png", tmp_path / "out.png", asked, **options)


def test_what_clipping_does_to_a_mean() -> None:
    generator = torch.Generator().manual_seed(0)
    for bright in (0.02, 0.3, 0.97):
        sigma2 = 0.02 + 0.03 * bright
        drawn = bright + sigma2**0.5 * torch.randn(400_000, generator=generator)
        true = float(drawn.clamp(0, 1).mean())
        made = float(clipped_mean(torch.tensor(bright), (0.02, 0.03, 0.0)))
        assert made == pytest.approx(true, abs=1.5e-3)


@pytest.fixture
def filler(tmp_path: Path) -> Path:
    """A small hourglass that fills masks and can do nothing else, as MPI's are."""
    folder = tmp_path / "filler"
    folder.mkdir()
    torch.manual_seed(0)
    net = nets.build("mpi-skip", {"mask_per_channel": True, "width": 8, "scales": 2})
    save_weights(folder / "weights.safetensors", net, "mpi-skip", net.state_dict())
    about = {"name": "f", "title": "t", "summary": "s", "licence": "MIT", "training_data": "none"}
    write_card(folder, net, "mpi-skip", "weights.safetensors", about)
    return folder


def test_a_filler_leaves_a_clean_picture_as_it_is(filler: Path) -> None:
    clean = np.linspace(40, 200, 96 * 96 * 3).astype(np.uint8).reshape(96, 96, 3)
    model = Models(str(filler), device="cpu", may_fill=True).load()
    found = restore_page(clean, model, Options(precision="fp32"), adapter=fitting_of())
    assert np.array_equal(found.pixels, clean)


def test_blind_guesses_and_what_was_hidden_count_by_their_errors() -> None:
    seen = estimate(noise.add(scene(192), "gaussian", 25.0, torch.Generator().manual_seed(0)))
    sigma = seen.sigma
    for excess in (0.5, 1.0, 3.0):  # of the guess, in units of the noise's variance
        answer = Answer(Plan(), None, False, sigma * (1 + excess) ** 0.5, seen)
        weight = answer._weight_of_guess(torch.full((1, 3, 4, 4), 0.5)).mean()
        assert float(weight) == pytest.approx(1 / (1 + excess), abs=0.05)


class Blur(nn.Module):
    """A net that means over 3x3 pixels, and so answers differently taken apart."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        return self.one * torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def blurring(model: Path) -> Model:
    return replace(load(model), net=Blur(), abilities=Abilities(takes_masks=True))


def taken_apart(model: Path, strength: float = 1.0, tile: int | None = None) -> np.ndarray:
    noisy = noise.add(scene(256), "gaussian", 25.0, torch.Generator().manual_seed(1))
    plain = NoiseConditioning()
    fitted = fitting_of(FitOptions(shuffle=2, iters=0)).to_parts(
        lambda: [(noisy.permute(1, 2, 0).numpy(), plain)], blurring(model)
    )
    assert fitted.answer is not None
    options = Options(strength=strength, tile=tile, precision="fp32")

    def clean(tiles: Tensor, origins: list[tuple[int, int]]) -> Tensor:
        y = denoise_tiles(tiles, origins, plain, fitted, options)
        return blend(tiles, y, replace(options, strength=strength))

    page = noisy.permute(1, 2, 0).numpy()
    return tiled(clean, fitted, options, page, as_it_is, as_it_is)


def test_taken_apart_tiles_equal_the_whole(model: Path) -> None:
    # Far from the border, where a net sees what lies beyond in another way than the engine does.
    inner = slice(8, -8)
    whole, tiled = (taken_apart(model, tile=tile)[inner, inner] for tile in (512, 144))
    assert np.abs(tiled - whole).max() < 1e-5


def test_strength_counts_once_when_taken_apart(model: Path) -> None:
    none, half, full = (taken_apart(model, strength) for strength in (0.0, 0.5, 1.0))
    assert np.abs(full - none).max() > 0.05
    assert np.allclose(half, (none + full) / 2, atol=1e-5)


def test_a_fit_counts_where_errors_fall_by_more_than_their_spread() -> None:
    before = torch.rand(2000, generator=torch.Generator().manual_seed(0))
    jitter = torch.randn(2000, generator=torch.Generator().manual_seed(1)) * 0.1
    assert surely_falls(before, before - 0.01 + jitter)
    assert not surely_falls(before, before - 0.001 + jitter)
    assert not surely_falls(before, before)


def test_a_fit_of_a_denoiser_that_is_not_sure_leaves_every_layer(monkeypatch) -> None:
    noisy = noise.add(scene(), "gaussian", 25.0, torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    net = UNet(UNetConfig(widths=(16, 24), blocks=(1, 1)))
    as_it_came = copy.deepcopy(net.state_dict())
    monkeypatch.setattr("mdn.zeroshot.fit.SURE", 1e9)
    result = fit(net, [Window(noisy, (0.01, 0, 0), 0.1)], Plan(15, 2e-3), 0, None, lambda *_: None)
    assert not result.sure
    assert result.after == result.before
    for name, values in net.state_dict().items():
        assert torch.equal(values, as_it_came[name])


def test_as_many_steps_as_asked_for_are_done_even_where_nothing_falls() -> None:
    noisy = torch.rand((3, 32, 32), generator=torch.Generator().manual_seed(1))
    looks: list[int] = []
    for asked, steps in ((FitOptions(iters=120, lr=1e-9), 120), (FitOptions(lr=1e-9), 90)):
        plan = replace(make_plan(replace(asked, layers=True), None), crop=32, batch=1)
        torch.manual_seed(0)
        net = UNet(UNetConfig(widths=(8, 8), blocks=(1, 1)))
        window = Window(noisy, (0.08, 0.0, 0.0), 0.3)
        result = fit(net, [window], plan, 0, None, lambda step, *_: looks.append(step))
        assert result.steps == steps == looks[-1]


def test_pixel_shuffle_keeps_colours_apart() -> None:
    batch = torch.rand(2, 3, 24, 36, generator=torch.Generator().manual_seed(0))
    parts, origins = pixel_shuffle_downsampled(batch, [(0, 0), (8, 4)], 2)
    assert len(origins) == len(parts) == 8
    assert torch.equal(pixel_shuffle_upsampled(parts, 2), batch)
    assert torch.equal(parts[1], batch[0, :, 0::2, 1::2])


def test_large_pictures_are_fitted_through_windows() -> None:
    page = np.zeros((1500, 4000, 3), np.uint8)
    regions = regions_of(page)
    assert {region.shape for region in regions} == {(256, 256, 3)}
    assert len(regions) == 16
    assert len(regions_of(page[:300])) == 8 or len(regions_of(page[:300, :300])) == 1


def test_a_net_that_draws_its_own_masks_is_refused(tmp_path: Path) -> None:
    from mdn.nets.swinir import SwinIR, SwinIRConfig

    net: nn.Module = SwinIR(SwinIRConfig(depths=(2,), dim=12, heads=2))
    save_weights(tmp_path / "weights.safetensors", net, "swinir-masked", net.state_dict())
    about = {"name": "s", "title": "t", "summary": "s", "licence": "MIT", "training_data": "none"}
    write_card(tmp_path, net, "swinir-masked", "weights.safetensors", about)
    write_noisy(tmp_path / "in.png")
    with pytest.raises(UsageError, match="draws its own masks"):
        go(tmp_path, tmp_path / "in.png", tmp_path / "out.png")


def test_denoise_refuses_a_net_that_must_be_fitted_first(filler: Path) -> None:
    with pytest.raises(UsageError, match="mdn zeroshot"):
        load(filler)


def test_what_repeats_with_the_grid_of_a_fitted_net_is_not_taken(model: Path) -> None:
    torch.manual_seed(0)
    tiny = load(model)
    net = copy.deepcopy(tiny.net)
    torch.nn.init.normal_(net.tail.weight, std=0.1)  # each place in 2 x 2 pixels by itself
    flat = torch.full((1, 3, 96, 96), 0.2)

    def change(*, fine: bool) -> Tensor:
        fitted = replace(tiny, net=net, answer=Answer(Plan(), tiny.net, fine, None, None))
        with torch.inference_mode():
            y = apply_net(flat, [(0, 0)], NoiseConditioning(), fitted, Options(passes=8))
        return (y - flat)[0, :, 32:-32, 32:-32]  # the net as it came is the identity

    whole, part = change(fine=True), change(fine=False)
    assert float(whole.std((1, 2)).max()) > 0.01
    assert float(part.std((1, 2)).max()) < 1e-5
    assert torch.allclose(part.mean((1, 2)), whole.mean((1, 2)), atol=1e-5)


def test_the_fine_part_of_a_fit_is_taken_where_it_surely_takes_noise_away() -> None:
    generator = torch.Generator().manual_seed(0)
    rough, own = torch.randn((2, 1, 3, 96, 96), generator=generator)
    picture = scene()[None]
    held_out = picture + 0.1 * own

    def fine(plain: Tensor, fitted: Tensor) -> bool:
        found = part_to_take(lambda y: (y[0] - held_out).square().flatten(), [plain], [fitted], 8)
        return found[1]

    assert fine(picture + 0.05 * rough, picture)
    assert not fine(picture + 0.05, picture + 0.01 * rough)  # brightness alone is mended
    assert not fine(picture, picture + 0.01 * rough)


def test_layers_are_not_fitted_where_neighbours_share_the_noise(model: Path) -> None:
    noisy = noise.add(scene(), "gaussian", 25.0, torch.Generator().manual_seed(1))
    part = noisy.permute(1, 2, 0).numpy(), NoiseConditioning(0.1)
    for shared, steps in ((True, 0), (False, 15)):
        fitted = Layers(FitRequest(FitOptions(iters=15)), Job(None, None, "x"), Listener())
        found = fitted.fit(lambda: [part], load(model), shared=shared)
        assert fitted.refused is shared
        assert sum(each.steps for each in fitted.fits) == steps
        assert not shared or found.answer is None
    lines = summarise(NoiseFit(), [], "coarse noise", given=False, refused=True)["summary"]
    assert "no layers, as neighbours share the noise" in lines[1]


def test_counts_are_averaged_over_flips_where_no_layer_is_fitted() -> None:
    pages = np.random.default_rng(0).poisson(40, (1, 64, 64, 1)).astype(np.uint16)
    models = Models("cells", device="cpu")
    usual, fitting = models.options(), fitting_of()
    found = restore_counts(Picture(pages), models.load(), usual, adapter=fitting)
    wanted = restore_counts(Picture(pages), models.load(), replace(usual, passes=8))
    assert np.array_equal(found, wanted)
    assert not np.array_equal(found, restore_counts(Picture(pages), models.load(), usual))
    assert "eight flips and rotations" in fitting.describe()["summary"][1]


def test_broken_samples_are_neither_learnt_from_nor_held_out(model: Path) -> None:
    noisy = noise.add(scene(), "gaussian", 10.0, torch.Generator().manual_seed(1)).clamp(0.02, 0.98)
    page = noisy.permute(1, 2, 0).numpy().copy()
    page[20::9, 30::9] = 1
    broken = NoiseConditioning(0.04, impulse_spread=0.05, impulses_at_ends=True)
    tiny = load(model)
    tiny = replace(tiny, abilities=replace(tiny.abilities, takes_sigma=True))
    window = windows_of(page, broken, tiny)[0]
    marked = window.values.isnan()
    assert marked[:, 20::9, 30::9].all()
    assert marked.float().mean() < 0.05
    torch.manual_seed(0)
    net = UNet(UNetConfig(widths=(16, 24), blocks=(1, 1)))
    result = fit(net, [window], Plan(15, 2e-3), 0, None, lambda *_: None)
    assert 0 < result.after <= result.before < 0.25
    assert all(values.isfinite().all() for values in net.parameters())
