"""Training of nets that judge the noise themselves, and the crops that all are shown."""

import math
import statistics
from dataclasses import replace

import pytest
import torch

from mdn.encoding.counts import SIGMAS
from mdn.errors import UsageError
from mdn.nets.judge import FACTS, SOFT
from mdn.nets.unet import UNet, UNetConfig
from mdn.training import judged, recipe_parse
from mdn.training.cases import CASES, draw_case
from mdn.training.data import Crops, batches
from mdn.training.degrade import Sample, draw_group, draw_stabilised, generator_for
from mdn.training.judged import FLOOR, told
from mdn.training.patterns import draw_pattern
from mdn.training.recipe import Recipe
from mdn.training.recipe_parse import parse


def recipe(*kinds: tuple[str, float, float], **changes):
    table = {
        "name": "small",
        "arch": "unet",
        "net": {"widths": [8, 12], "blocks": [1, 1], "per_channel_mask": True, "judge": True},
        "data": {"sources": ["x"], "crop": 32, "context": 64},
        "noise": [{"kind": kind, "low": low, "high": high} for kind, low, high in kinds],
        "optim": {"steps": 10, "warmup": 0, "cooldown": 0, "batch": 4, "groups": 1},
    }
    return parse(table | changes)


@pytest.fixture
def crops() -> Crops:
    generator = torch.Generator().manual_seed(1)
    pictures = [(255 * draw_pattern(96, generator)).byte() for _ in range(3)]
    return Crops(pictures, 64, torch.device("cpu"))


def sample(noisy: torch.Tensor, clean: torch.Tensor, impulsive: bool = False) -> Sample:
    flags = torch.full((len(noisy), 1, 1, 1), impulsive)
    seeds = torch.zeros(len(noisy), dtype=torch.int64)
    return Sample(noisy, clean, None, None, seeds, impulsive=flags)


def test_clean_crops_stay_clean(crops: Crops) -> None:
    found = judged.draw_group(recipe(("clean", 0, 0), clip_share=0.0), crops, 0, 0)
    assert torch.equal(found.noisy, found.clean)


@pytest.mark.parametrize("gray", [0, 1])
def test_salt_and_pepper_is_hidden_as_in_use(crops: Crops, gray: float) -> None:
    data = {"sources": ["x"], "crop": 32, "context": 64, "gray": gray, "patterns": 0.0}
    pictures = [(p.float() * 0.6 + 50).byte() for p in crops.pictures]  # no black or white itself
    crops = Crops(pictures, 64, torch.device("cpu"))
    salted, some = (
        recipe(("salt-pepper", 0.03, 0.06), mask={"impulses": share}, data=data) for share in (1, 0)
    )
    found = judged.draw_group(salted, crops, 0, 0)
    hidden, hit = found.visible == 0, found.noisy != found.clean
    assert float((hidden & hit).sum() / hit.sum()) > 0.95
    assert float((hidden & ~hit).float().mean()) < 0.01
    assert judged.draw_group(some, crops, 0, 0).visible is None


def test_a_second_noise_adds_to_the_first(crops: Crops) -> None:
    kinds = [("gaussian", 20, 20), ("gaussian-gray", 20, 20)]
    both = recipe(*kinds, second_noise=1.0, clip_share=0.0, optim={"batch": 4, "groups": 1})
    once = recipe(*kinds, clip_share=0.0)

    def sigma(drawn: Recipe) -> float:  # the usual one: some groups are noisy in one part only
        groups = (judged.draw_group(drawn, crops, step, 0) for step in range(20))
        return statistics.median(255 * float((each.noisy - each.clean).std()) for each in groups)

    assert sigma(once) == pytest.approx(20, rel=0.02)
    assert sigma(both) == pytest.approx(20 * math.sqrt(2), rel=0.02)


def test_busy_crops_hold_more_detail_than_others() -> None:
    even, busy = torch.full((3, 64, 64), 90), torch.randint(0, 256, (3, 64, 64))
    crops = Crops([even.byte(), busy.byte()], 64, torch.device("cpu"))
    data = {"sources": ["x"], "crop": 32, "context": 64}
    even_handed, choosing = (
        recipe(("gaussian", 0, 0), data=data | {"busy": share, "patterns": 0.0}) for share in (0, 1)
    )

    def share_of_busy(recipe) -> float:
        drawn = [judged.draw_group(recipe, crops, step, 0).clean for step in range(8)]
        return float((torch.cat(drawn).std((1, 2, 3)) > 0.1).float().mean())

    assert 0.2 < share_of_busy(even_handed) < 0.8  # one of two, 32 times
    assert share_of_busy(choosing) > 0.8  # 15 of 16 as one of four draws is enough


def test_the_judge_is_wrong_by_how_far_it_is_off() -> None:
    """A sigma of four times the true one costs more than one of twice, and the truth least."""
    net = UNet(UNetConfig(widths=(8, 12), blocks=(1, 1), judge=True))
    generator = torch.Generator().manual_seed(0)
    clean = torch.full((2, 3, 64, 64), 0.5)
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=generator)
    noise = net.judge(noisy).detach()
    losses = []
    for factor in (1, 2, 4):
        levels = slice(net.judge.config.hidden, -FACTS)
        noise[:, levels] = math.log2(255 * (0.1 * factor + SOFT))
        sigmas = net.sigma_map(noisy, noise)
        whole = slice(64), slice(64)
        loss = judged.judge_loss(net, sample(noisy, clean), noise, sigmas, whole)
        losses.append(loss.item())
    assert losses == sorted(losses)
    assert losses[2] > losses[0] + 1


def test_a_worker_draws_what_the_run_would_have_drawn(crops: Crops) -> None:
    one = recipe(("gaussian", 5, 10))

    def draw(step: int) -> Sample:
        return judged.draw_group(one, crops, step, 0)

    here, ahead = (list(batches(draw, 4, 7, workers)) for workers in (0, 1))
    assert all(torch.equal(a.noisy, b.noisy) for a, b in zip(here, ahead, strict=True))


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("loss", {"loss": "l2"}),
        ("rounded", {"rounded": False}),
        ("level_error", {"level_error": 0.3}),
        (r"\[contrast\] share", {"contrast": {"share": 1.0, "low": 0.5, "high": 2.0}}),
        (r"\[mask\] alone", {"mask": {"alone": True, "share": 1.0, "low": 0.3, "high": 0.3}}),
    ],
)
def test_keys_that_a_judge_would_not_heed_are_refused(key: str, change: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"{key} is not for a net with a judge"):
        recipe(("gaussian", 5, 10), **change)


def test_a_context_without_a_judge_is_refused() -> None:
    with pytest.raises(UsageError, match="context"):
        recipe(("gaussian", 5, 10), net={"widths": [8, 12], "blocks": [1, 1]})


def pictures(channels: int = 3) -> torch.Tensor:
    x = torch.rand(2, channels, 9, 9, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(x, (64, 64), mode="bicubic").clamp(0.02, 0.98)


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("kind", CASES)
def test_cases_keep_the_shape_and_are_drawn_alike_twice(kind: str, channels: int) -> None:
    low, high = CASES[kind].limits
    levels = torch.full((2,), min(high, max(low, 0.005 if kind == "hot-pixels" else 20)))
    drawn = [
        draw_case(kind, pictures(channels), levels, torch.Generator().manual_seed(3))
        for _ in range(2)
    ]
    for first, second in zip(*drawn, strict=True):
        assert first.shape == (2, channels, 64, 64)
        assert torch.equal(first, second)
        assert bool(first.isfinite().all())
    noisy, stored, clean = drawn[0]
    if kind == "kept":
        assert torch.equal(noisy, clean)  # left as they are
    else:
        assert not torch.equal(noisy, stored)
    assert float((stored - clean).abs().mean()) < 0.03


def test_noise_of_colours_leaves_brightness_quiet() -> None:
    noisy, _, clean = draw_case(
        "colour", pictures(), torch.full((2,), 20.0), torch.Generator().manual_seed(0)
    )
    noise = noisy - clean
    assert float(noise.mean(1).std()) < 0.3 * float(noise.std())


def test_a_page_is_clean_around_its_picture() -> None:
    noisy, _, clean = draw_case(
        "page", pictures(), torch.full((2,), 20.0), torch.Generator().manual_seed(0)
    )
    touched = (noisy != clean).any(1)
    assert 0.1 < float(touched.float().mean()) < 0.75
    assert not bool(touched.all(2).all(1).any())


def test_told_crops_get_a_map_of_the_true_mean() -> None:
    clean = torch.full((4, 3, 32, 32), 0.5)
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    noisy[2:] = clean[2:]  # of what is clean nobody says how noisy it is
    sigmas = 0.02 * torch.rand(4, 3, 16, 16)
    part = slice(32), slice(32)
    gain, floor = told(
        replace(sample(noisy, clean), added=noisy - clean),
        sigmas,
        1.0,
        part,
        generator_for(0, 0, 0),
    )
    scaled = ((sigmas + floor) * gain).square().mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(scaled[:2], torch.full((2,), 0.1), atol=5e-3, rtol=0)
    assert gain[2:].flatten().tolist() == [1, 1]
    assert floor.flatten().tolist() == pytest.approx([FLOOR, FLOOR, 0, 0])


TABLE = {
    "name": "x",
    "arch": "unet",
    "net": {"widths": [8, 8], "blocks": [1, 1], "noise_conditioned": True},
    "data": {"sources": ["x"], "crop": 64},
    "noise": [{"kind": "speckle", "low": 0.04, "high": 0.04}],
    "optim": {"batch": 4, "groups": 2},
    "clip_share": 0.0,
}


def drawn(**changes: object) -> Sample:
    """Crops of which the left half is dark, and the right half bright."""
    picture = torch.full((3, 64, 64), 40, dtype=torch.uint8)
    picture[..., 32:] = 180
    made = recipe_parse.parse(TABLE | changes)
    crops = Crops([picture], 64, torch.device("cpu"))
    return draw_group(made, crops, 0, 0)


def test_the_level_that_is_told_is_that_of_the_noise() -> None:
    sample = drawn()
    assert sample.level.shape == (2, 1, 1, 1)
    added = sample.noisy - sample.clean
    assert float(sample.level[0]) == pytest.approx(float(added[0].std()), rel=0.02)


POISSON_COUNTS_TABLE = {
    "name": "x",
    "arch": "unet",
    "net": {"channels": 1, "widths": [8, 8], "blocks": [1, 1], "noise_conditioned": True},
    "data": {"sources": ["x"], "crop": 64},
    "noise": [{"kind": "photons", "low": 10.0, "high": 60.0}],
    "optim": {"batch": 4, "groups": 2},
}


def clean() -> torch.Tensor:
    ramp = torch.linspace(0, 1, 96)
    return (ramp[:, None] * ramp[None]).expand(3, 1, 96, 96)


@pytest.mark.parametrize("sigma", [3.0, 20.0, 70.0])
def test_the_noise_is_even_unbiased_and_as_strong_as_told(sigma: float) -> None:
    generator = torch.Generator().manual_seed(0)
    noisy, target, level = draw_stabilised(clean(), sigma, sigma, generator)
    residual = noisy - target
    assert float(residual.mean()) == pytest.approx(0, abs=0.03 * float(level.max()))
    for each, light, wanted in zip(residual, target, level, strict=True):
        bright = each[light >= light.quantile(0.9)]  # where there are few photons it is weaker
        assert float(bright.std()) == pytest.approx(float(wanted), rel=0.1 if sigma < 50 else 0.3)
    # The unit is the noise: the range of a picture is as large as its light is strong.
    assert level.flatten().tolist() == pytest.approx([1 / SIGMAS] * len(level))
    wide = (target.flatten(1).amax(1) - target.flatten(1).amin(1)).max()
    assert 0.3 * 255 / sigma < float(wide) * SIGMAS < 1.2 * 255 / sigma


def test_a_gray_net_is_given_gray_crops() -> None:
    made = recipe_parse.parse(POISSON_COUNTS_TABLE)
    crops = Crops([torch.randint(0, 255, (3, 80, 80)).byte()], 64, torch.device("cpu"))
    sample = draw_group(made, crops, 0, 0)
    assert sample.noisy.shape == sample.clean.shape == (2, 1, 64, 64)
    assert sample.level.shape == (2, 1, 1, 1)
    again = draw_group(made, crops, 0, 0)
    assert torch.equal(sample.noisy, again.noisy)
