"""Training a net that judges the noise itself: see nets.judge.

The judge reads a crop larger than the one that is denoised, as it reads the whole picture in use:
so it cannot but learn what all places of a picture have in common. Besides the picture's own error
it is trained on what the noise is known to be: sigma at each place, how much of it is left at half
and a quarter of the resolution, and the share of impulses.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from mdn import noise
from mdn.nets.judge import SOFT
from mdn.nets.masking import draw_seeds
from mdn.nets.unet import UNet
from mdn.noise.analysis import impulses
from mdn.noise.synthesis import camera
from mdn.noise.synthesis.basic import jpeg
from mdn.training.cases import BY_LOGARITHM, CASES, Dice, blotched, draw_case
from mdn.training.data import Crops
from mdn.training.degrade import IMPULSIVE, Sample, draw_masks, draw_row, generator_for, uniform
from mdn.training.patterns import draw_pattern
from mdn.training.recipe import CLEAN, NoiseRecipe, Recipe

PLACE = 16  # side of the places whose sigma is compared, pixels
CAMERA = "camera"
SALT_PEPPER, IMPULSES = "salt-pepper", "impulses"
ALONE = {CAMERA, CLEAN, *CASES}  # kinds that no other is added to, and that are added to none
WEIGHT = 0.02  # of the judge's own loss, beside the picture's
CLEAN_PATTERNS = 0.5  # share of the clean crops that are drawn patterns
BLOTCHED = 0.4  # share of the cameras whose noise reduction has left blotches over
HALVES = 0.12  # share of the groups that are noisy in one part only
EVEN = 0.03, 0.01  # an error of a - b weighs 1, smaller ones up to a / b
SCALE = 0.25  # weight of the map's own error, where it is learnt for the result's
FLOOR = 1 / 255  # added to a map that is scaled to what a user says, so that none is 0
TURN = 1 << 20  # number of the random choices of `turned`, beyond those of all groups
IMPULSE = 0.12  # how far off a sample of impulsive noise is, that counts


def draw_group(recipe: Recipe, crops: Crops, step: int, group: int) -> Sample:
    """The crops of one group, all with one kind of noise, each with its own level."""
    generator = generator_for(recipe.seed, step, group)
    count = recipe.optim.batch // recipe.optim.groups
    rows = _draw_rows(recipe, generator)
    case = CASES.get(rows[0].kind)
    busy = recipe.data.busy and uniform(generator) < recipe.data.busy
    if case is not None and case.scales:
        clean = crops.draw(count, generator, scales=case.scales)
    else:
        clean = (crops.busiest if busy else crops.draw)(count, generator)
    patterns = CLEAN_PATTERNS if rows[0].kind == CLEAN else recipe.data.patterns
    for index in range(count):
        if uniform(generator) < patterns:
            clean[index] = draw_pattern(clean.shape[2], generator).to(clean)
    gray = uniform(generator) < recipe.data.gray
    if gray:
        clean = clean.mean(1, keepdim=True)
    noisy, stored, clean = _degrade(recipe, rows, clean, generator)
    if uniform(generator) < HALVES and not (case and case.stored):
        noisy = _in_part(noisy, stored, generator)
    added = noisy - stored
    if gray:
        clean, noisy, added = (x.expand(-1, 3, -1, -1) for x in (clean, noisy, added))
    visible = draw_masks(recipe, clean, generator)
    impulsive = torch.full((count, 1, 1, 1), rows[-1].kind in (*IMPULSIVE, IMPULSES))
    seeds = draw_seeds(count, generator)
    if rows[-1].kind == SALT_PEPPER and uniform(generator) < recipe.mask.impulses:
        visible = _without_impulses(noisy)
    return Sample(noisy, clean, visible, None, seeds, added=added, impulsive=impulsive)


def _draw_rows(recipe: Recipe, generator: torch.Generator) -> list[NoiseRecipe]:
    """The kinds of noise of a group, one or two, in the order in which they are added.

    Impulses come last, for they replace samples.
    """
    row = draw_row(recipe, generator)
    if not recipe.second_noise or uniform(generator) >= recipe.second_noise:
        return [row]
    second = draw_row(recipe, generator)
    if ALONE & {row.kind, second.kind}:
        return [row]
    return sorted([row, second], key=lambda one: one.kind in IMPULSIVE)


def _without_impulses(noisy: Tensor) -> Tensor:
    """(B, C, H, W): 0 where a sample looks like salt or pepper, as in use; elsewhere 1."""
    usual = [max(map(impulses.typical_range, crop)) for crop in noisy]
    masks = [impulses.impulse_mask(*pair) for pair in zip(noisy, usual, strict=True)]
    return 1 - (torch.stack(masks) | impulses.ends(noisy)).to(noisy.dtype)


def _degrade(
    recipe: Recipe, rows: list[NoiseRecipe], clean: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Noisy crops, the same stored without noise, and clean ones, which no codec has touched.

    As files hold them or, at times, unclipped as papers do.
    """
    noisy = stored = clean
    for row in rows:
        spread = torch.rand(clean.shape[0], 1, 1, 1, generator=generator)
        if row.kind == CAMERA:  # by its logarithm, as ISO settings go
            return _photographed(clean, row.low * (row.high / row.low) ** spread, generator)
        if row.kind in CASES:
            levels = _levels(row, spread.flatten())
            noisy, stored, clean = draw_case(row.kind, clean, levels, generator)
            if CASES[row.kind].stored:
                return noisy, stored, clean
        elif row.kind != CLEAN:
            noisy = noise.add(noisy, row.kind, row.low + (row.high - row.low) * spread, generator)
    coded = uniform(generator) < recipe.jpeg.share
    if coded or uniform(generator) < recipe.clip_share:
        noisy, stored = ((x.clamp(0, 1) * 255).round() / 255 for x in (noisy, stored))
    if coded:
        dice = torch.rand(len(clean), generator=generator)
        quality = recipe.jpeg.low + (recipe.jpeg.high - recipe.jpeg.low) * dice
        halved = uniform(generator) < recipe.jpeg.halved
        noisy, stored = (jpeg(x, quality, halved=halved) for x in (noisy, stored))
    return noisy, stored, clean


def _levels(row: NoiseRecipe, spread: Tensor) -> Tensor:
    """Levels of crops, from numbers in 0..1."""
    if row.kind in BY_LOGARITHM:
        return row.low * (row.high / row.low) ** spread
    return row.low + (row.high - row.low) * spread


def _photographed(
    clean: Tensor, iso: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """As `_degrade`, each crop by another camera; gray ones as the gray of their colours."""
    photos = []
    for picture, level in zip(clean, iso.flatten().tolist(), strict=True):
        settings = camera.draw_settings(level, generator)
        scene = picture[None].expand(1, 3, -1, -1)
        noisy, twin = camera.take_photo(scene, settings, generator)
        stored = camera.as_file(twin, settings)
        if uniform(generator) < BLOTCHED:
            noisy = blotched(noisy, noisy - stored, Dice(generator))
        photos.append((noisy, stored, twin))
    parts = [torch.cat(part) for part in zip(*photos, strict=True)]
    if clean.shape[1] == 1:
        parts = [part.mean(1, keepdim=True) for part in parts]
    return parts[0], parts[1], parts[2]


def _in_part(noisy: Tensor, stored: Tensor, generator: torch.Generator) -> Tensor:
    """Noise on one side of a straight line only."""
    turn, where = torch.rand(2, generator=generator).tolist()
    at = round(noisy.shape[2] * (0.25 + 0.5 * where))
    mixed = noisy.clone()
    if turn < 0.5:
        mixed[..., :at, :] = stored[..., :at, :]
    else:
        mixed[..., :at] = stored[..., :at]
    return mixed


def inner(sample: Sample, size: int, generator: torch.Generator) -> tuple[slice, slice]:
    """Where the part that is denoised lies in the crop: on the grid of the judge's places."""
    room = (sample.noisy.shape[2] - size) // PLACE + 1
    top, left = (PLACE * int(room * uniform(generator)) for _ in range(2))
    return slice(top, top + size), slice(left, left + size)


def picture_loss(output: Tensor, clean: Tensor) -> Tensor:
    """L1 and the root mean square of each crop's error, half and half.

    Weighed so that weak noise counts: PSNR is a logarithm, they are not.
    """
    wrong = output - clean
    errors = (wrong.abs().mean((1, 2, 3)) + (wrong.square().mean((1, 2, 3)) + 1e-8).sqrt()) / 2
    return (errors * EVEN[0] / (errors.detach() + EVEN[1])).mean()


def judge_loss(
    net: UNet, sample: Sample, noise: Tensor, sigmas: Tensor, part: tuple[slice, slice]
) -> Tensor:
    """Error of what the judge says of the crops: logarithms of sigmas, and three facts.

    sigmas: the map of the part that is denoised. Where a net learns its map for the least error of
    the result, this keeps its scale and no more.
    """
    added = sample.noisy - sample.clean if sample.added is None else sample.added
    assert sample.impulsive is not None
    hits = (added.abs() > IMPULSE) & sample.impulsive
    rest = torch.where(hits, torch.zeros_like(added), added)
    true = F.avg_pool2d(rest[..., *part].square(), PLACE).clamp(min=1e-12).sqrt()
    said = F.avg_pool2d(sigmas.square(), PLACE // 2).clamp(min=1e-12).sqrt()
    error = F.smooth_l1_loss(torch.log2(said + SOFT), torch.log2(true + SOFT), beta=0.3)
    facts = net.judge.facts(noise).float()
    weight = SCALE if net.config.kernels else 1.0
    return weight * error + F.smooth_l1_loss(facts, true_facts(rest, hits), beta=0.3)


def told(
    sample: Sample,
    sigmas: Tensor,
    share: float,
    part: tuple[slice, slice],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Gain and floor of the map, (B, 1, 1, 1) each, as where a user says how strong the noise is.

    For a share of the crops that are noisy; 1 and 0 for the others.
    """
    assert sample.added is not None
    true = sample.added[..., *part].square().mean((1, 2, 3), keepdim=True).sqrt()
    drawn = torch.rand(len(true), 1, 1, 1, generator=generator).to(true.device) < share
    chosen = drawn & (true > 1 / 255)
    said = (sigmas.detach() + FLOOR).square().mean((1, 2, 3), keepdim=True).sqrt()
    gain = torch.where(chosen, true / said, torch.ones_like(true))
    return gain, FLOOR * chosen


def turned(sample: Sample, seed: int, step: int) -> Sample:
    """The crops of a batch, all flipped and turned alike."""
    flip, turn = torch.rand(2, generator=generator_for(seed, step, TURN)).tolist()

    def change(x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[2] == 1:
            return x
        x = x.flip(3) if flip < 0.5 else x
        return torch.rot90(x, int(4 * turn), (2, 3)).contiguous()

    parts = {key: change(x) for key, x in vars(sample).items() if x is not None}
    return replace(sample, **parts)


def true_facts(added: Tensor, hits: Tensor) -> Tensor:
    """(B, 3): log2 of the share of sigma left at 1/2 and 1/4 size, log10 of the impulses' share."""

    def sigma(x: Tensor) -> Tensor:
        return torch.log2(x.square().mean((1, 2, 3)).sqrt() + SOFT)

    fine = sigma(added)
    half, quarter = sigma(F.avg_pool2d(added, 2)) - fine, sigma(F.avg_pool2d(added, 4)) - fine
    share = torch.log10(hits.float().mean((1, 2, 3)) + 1e-4)
    return torch.stack([half, quarter, share], 1)
