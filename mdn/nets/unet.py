"""A bias-free residual U-Net that works at half resolution: mdn's fast blind denoiser.

Three ideas, each with its source:

- the picture is unshuffled to half resolution first, so that the costly full-resolution layers
  are never run (FFDNet, Zhang et al. 2018, section III);
- no layer has a bias and nothing is normalised, so that the net is scale-equivariant:
  f(a x) = a f(x). A net trained on some noise levels then works on others, and on pictures of any
  range (Mohan et al., "Robust and interpretable blind image denoising", ICLR 2020, section 4);
- further input planes mark masked pixels: one, or one for each colour. They are zero where nothing
  is masked, so that the net without a mask is exactly scale-equivariant. Training on masked crops
  teaches it to rebuild marked pixels from their surroundings (masked image training, CVPR 2023).

A noise-conditioned net has a plane more, the noise's standard deviation. It scales with the
picture: f(a x, a s) = a f(x, s) (DRUNet, Zhang et al. 2021, section 3). One noise level,
seen at many contrasts, then teaches it all levels.

A net that judges the noise itself has a `Judge`: the descriptor of the whole picture gives it a
sigma map for each colour, at half resolution, and scales its channels (FiLM without shifts: Perez
et al., AAAI 2018, section 3), by which spectrum and kind of the noise reach it.

Or the descriptor mixes, scales and shifts the kernels of every convolution: see nets.mixed. The
sigma map of such a net is learnt for the least error of the result: where it is 0, the picture is
left alone.

A net for renders takes guides, planes that show the surfaces and not the light: albedo and
normals. They have a range of their own, so that such a net no longer scales with its input.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mdn.nets.judge import CELL, Judge, JudgeConfig
from mdn.nets.mixed import Condition, Conditions, MixedConv, conv

MIDDLE = 0.5  # the range is taken about mid-gray, so that zero padding is neutral


@dataclass(frozen=True)
class UNetConfig:
    """Shape of a UNet."""

    # channels at 1/2, 1/4, 1/8 ... of the input's resolution.
    widths: tuple[int, ...] = (64, 128, 192)
    # residual blocks at each of those, down and again up; the last only once
    blocks: tuple[int, ...] = (3, 2, 1)
    channels: int = 3  # colour channels in and out
    noise_conditioned: bool = False  # whether it takes the standard deviation of the noise
    per_channel_mask: bool = False  # whether masks may hide single samples, not only whole pixels
    guides: int = 0  # planes of guides; 0 for none
    judge: bool = False  # whether it judges the noise itself; such a net is not noise-conditioned
    # kernels of each convolution that the judge's descriptor mixes (see nets.mixed); 0: plain ones
    kernels: int = 0

    @property
    def planes(self) -> int:
        """Input planes: colours, masks, level and guides, in this order."""
        masks = self.channels if self.per_channel_mask else 1
        return self.channels + masks + self.noise_conditioned + self.guides

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.blocks):
            raise ValueError(f"{len(self.widths)} widths and {len(self.blocks)} blocks: not a pair")
        if not self.widths or min(*self.widths, *self.blocks, self.channels) < 1:
            raise ValueError("widths, blocks and channels must be at least 1")
        if self.guides < 0:
            raise ValueError("guides must be at least 0")
        if self.judge and self.noise_conditioned:
            raise ValueError("a net that judges the noise itself takes no level")
        if self.kernels < 0 or (self.kernels and not self.judge):
            raise ValueError("kernels must be at least 0, and what mixes them is a judge")


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), 3x3, no bias (DRUNet, Zhang et al. 2021, section 3).

    kernels: of each convolution, where a descriptor mixes them; 0 for plain ones.
    """

    def __init__(self, width: int, kernels: int = 0) -> None:
        super().__init__()
        self.first = conv(width, width, 3, kernels, shifted=True)
        self.second = conv(width, width, 3, kernels)

    def forward(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.second(self.first(x, condition, relu=True), condition, skip=x)


class LocalSigma(nn.Module):
    """Noise of a place over what is usual at its brightness, from the place's own texture.

    Coded pictures keep noise in textured places alone, and some are noisy in one half only.
    """

    FILTERS, POOL = 16, 8  # of 2 x 2 pixels; a side of a place at half resolution
    CELL = 2 * POOL  # pixels a side of a place

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.bank = nn.Parameter(torch.randn(self.FILTERS, 4 * channels) * 0.5)
        self.see = nn.Conv2d(2 * self.FILTERS, 32, 1)
        self.weigh = nn.Linear(size, 32)
        self.say = nn.Conv2d(32, 1, 3, padding=1)
        _begin_at_zero(self.weigh, self.say)

    def forward(self, unshuffled: Tensor, descriptor: Tensor) -> Tensor:
        """(B, 4 C, h, w) at half resolution -> (B, 1, h, w): log2 of a factor, -3..3."""
        channels = self.bank.shape[1] // 4
        bank = self.bank.unflatten(1, (channels, 4))
        bank = (bank - bank.mean(2, keepdim=True)).flatten(1)
        bank = bank / bank.norm(dim=1, keepdim=True)
        answers = F.conv2d(unshuffled, bank[:, :, None, None].to(unshuffled.dtype)).float()
        energy = torch.log2(F.avg_pool2d(answers.square(), self.POOL, ceil_mode=True) + 1e-6)
        even = torch.log2(F.avg_pool2d(answers.abs(), self.POOL, ceil_mode=True).square() + 1e-6)
        texture = torch.cat([energy / 3 + 3, 2 * (even - energy)], 1)
        h = F.relu(self.see(texture) * (1 + self.weigh(descriptor))[:, :, None, None])
        said = 3 * torch.tanh(self.say(h).float() / 3)
        size = [side * self.POOL for side in said.shape[2:]]
        large = F.interpolate(said, size, mode="bilinear", align_corners=False)
        return large[..., : unshuffled.shape[2], : unshuffled.shape[3]]


class TextureSigma(nn.Module):
    """How much of what a judge takes for noise is texture, place by place.

    The judge's cells say it, each in sight of those around: a factor on sigma, learnt for the least
    error of the result alone.
    """

    MARGIN = 2 * CELL + 3  # pixels that are mirrored, so that every cell has its neighbours
    WIDTH = 32
    LEAST, MOST = -10.0, 3.0  # log2 of the factor

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.see = nn.Conv2d(width, self.WIDTH, 1)
        self.weigh = nn.Linear(size, self.WIDTH)
        self.around = nn.Conv2d(self.WIDTH, self.WIDTH, 3, padding=1)
        self.say = nn.Conv2d(self.WIDTH, 1, 3, padding=1)
        _begin_at_zero(self.weigh, self.say)

    def forward(self, x: Tensor, judge: Judge, descriptor: Tensor) -> Tensor:
        """(B, C, H, W), H and W even -> (B, 1, H / 2, W / 2): log2 of the factor."""
        rows, columns = (-(-side // CELL) for side in x.shape[2:])
        with torch.no_grad():  # the judge learns from its descriptor, which is much cheaper
            places = judge.places(_mirrored(x, self.MARGIN))[..., 1 : 1 + rows, 1 : 1 + columns]
        h = F.relu(self.see(places).float() * (1 + self.weigh(descriptor))[:, :, None, None])
        said = self.say(h + F.relu(self.around(h)).float()).float()
        rise, fall = (bound * torch.tanh(said / bound) for bound in (self.MOST, self.LEAST))
        said = torch.where(said > 0, rise, fall)
        size = [side * CELL // 2 for side in said.shape[2:]]
        large = F.interpolate(said, size, mode="bilinear", align_corners=False)
        return large[..., : x.shape[2] // 2, : x.shape[3] // 2]


def _mirrored(x: Tensor, margin: int) -> Tensor:
    """(B, C, H, W) with a mirrored margin, to whole cells; repeated where it is too small."""
    right, below = (margin + -side % CELL for side in (x.shape[3], x.shape[2]))
    mode = "reflect" if min(x.shape[2:]) > max(right, below) else "replicate"
    return F.pad(x, (margin, right, margin, below), mode=mode)


class _Up(nn.ConvTranspose2d):
    """A plain 2 x 2 convolution without bias that doubles the resolution."""

    def forward(self, x: Tensor, condition: Condition | None = None) -> Tensor:  # type: ignore[override]
        return super().forward(x)


def _smoothed(x: Tensor) -> Tensor:
    """(B, C, H, W), each sample the mean of 3 x 3; the border is repeated."""
    x = F.pad(x, (1, 1, 1, 1), mode="replicate")
    x = x[..., :-2] + x[..., 1:-1] + x[..., 2:]
    return (x[..., :-2, :] + x[..., 1:-1, :] + x[..., 2:, :]) / 9


def _lowered(x: Tensor) -> Tensor:
    """x in the precision that autocast would bring it to, for less to move."""
    kind = x.device.type
    lowers = not x.is_meta and torch.is_autocast_enabled(kind)  # meta tensors know no autocast
    return x.to(torch.get_autocast_dtype(kind)) if lowers else x


def _scaled(x: Tensor, scale: Tensor | None) -> Tensor:
    """x times a factor for each channel, where there is one."""
    return x if scale is None else x * scale.to(x.dtype)


def _begin_at_zero(*layers: nn.Module) -> None:
    """Layers whose answer is zero until they have learnt."""
    for layer in layers:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)


class Stage(nn.ModuleList):
    """Residual blocks at one resolution."""

    def __init__(self, width: int, blocks: int, kernels: int) -> None:
        super().__init__(ResidualBlock(width, kernels) for _ in range(blocks))

    def forward(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        for block in self:
            x = block(x, condition)
        return x


class UNet(nn.Module):
    """Denoiser: (B, C, H, W), nominally 0..1, H and W multiples of `multiple` -> the same."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths, blocks, count = config.widths, config.blocks, config.kernels
        shape = JudgeConfig(channels=config.channels)
        wide = 4 * config.planes + (config.channels if config.judge else 0)

        def stage(width: int, blocks: int) -> Stage:
            return Stage(width, blocks, count)

        def down(fine: int, coarse: int) -> nn.Module:
            return conv(fine, coarse, 2, count, stride=2, raw=shape.size)

        def up(fine: int, coarse: int) -> nn.Module:
            if count:
                return MixedConv(coarse, fine, 2, count, stride=2, up=True)
            return _Up(coarse, fine, 2, stride=2, bias=False)

        self.head = conv(wide, widths[0], 3, count, raw=shape.size)
        self.encoders = nn.ModuleList(map(stage, widths[:-1], blocks[:-1]))
        self.downs = nn.ModuleList(down(*pair) for pair in pairwise(widths))
        self.body = stage(widths[-1], blocks[-1])
        self.ups = nn.ModuleList(up(*pair) for pair in pairwise(widths))
        self.decoders = nn.ModuleList(map(stage, widths[:-1], blocks[:-1]))
        self.tail = conv(widths[0], 4 * config.channels, 3, count)
        for name, weight in self.tail.named_parameters():  # starts as the identity
            if name.startswith(("weight", "kernels")):
                nn.init.zeros_(weight)
        self._last: tuple[tuple[Tensor, ...], Condition] | None = None
        if config.judge:
            self.judge = Judge(shape)
            self.local = LocalSigma(config.channels, shape.size)
        if config.judge and count:
            self.conditions = Conditions(shape.size, count)
            self.texture = TextureSigma(shape.width, shape.size)
        elif config.judge:
            self.gains = nn.ModuleList(nn.Linear(shape.size, w) for w in widths)
            _begin_at_zero(*self.gains)

    def train(self, mode: bool = True) -> UNet:
        """Weights may have changed since: kernels are mixed anew."""
        self._last = None
        return super().train(mode)

    @property
    def multiple(self) -> int:
        """H and W must be multiples of this, and so must the places of tiles in a picture."""
        return max(2 ** len(self.config.widths), LocalSigma.CELL if self.config.judge else 1)

    @property
    def receptive_field(self) -> int:
        """Radius, in pixels, beyond which an input pixel cannot change an output pixel."""
        scales = [2 ** (level + 1) for level in range(len(self.config.widths))]
        convs = [4 * n for n in self.config.blocks[:-1]] + [2 * self.config.blocks[-1]]
        blocks = sum(scale * n for scale, n in zip(scales, convs, strict=True))
        return blocks + 2 * scales[0] + scales[-1]  # and head and tail, and one coarsest cell

    @property
    def bytes_per_pixel(self) -> float:
        """Peak memory of a float32 call by pixel of its input, skips and workspace included."""
        # The widest moment is the last decoder: its skip, its input and two convolutions' outputs
        # at half resolution, beside the input and output pictures; measured to hold within 20 %.
        return 4 * (5 * self.config.widths[0] / 4 + 6 * self.config.planes)

    def forward(
        self,
        x: Tensor,
        visible: Tensor | None = None,
        level: Tensor | None = None,
        guide: Tensor | None = None,
        noise: Tensor | None = None,
        gain: float | Tensor = 1.0,
        floor: float | Tensor = 0.0,
        sigmas: Tensor | None = None,
    ) -> Tensor:
        """Denoise x.

        visible: (B, 1, H, W), or with config.per_channel_mask (B, C, H, W); where it is 0 the
            pixel, or sample, is not looked at but rebuilt.
        level: the noise's standard deviation on x's scale, to be spread over (B, 1, H, W); a
            noise-conditioned net needs it, another must not get it.
        guide: (B, guides, H, W), each about -1..1; 0 where there is none, which None stands for.
        noise: (B, size) or (1, size): the judge's descriptor of the whole picture; None to judge x
            by itself. For nets with a judge only.
        gain, floor: their sigma map plus `floor` is multiplied by `gain`; numbers, (B, 1, 1, 1)
            or, the gain, (B, 1, H / 2, W / 2).
        sigmas: (B, C, H / 2, W / 2), what `sigma_map` says of x, where that is known already.
        """
        if (level is not None) != self.config.noise_conditioned:
            raise ValueError("a noise-conditioned net, and no other, needs the level of the noise")
        centred = x - MIDDLE
        masks = self.config.channels if self.config.per_channel_mask else 1
        planes, missing = [centred], None
        if visible is None:  # planes of zeros
            first = 4 * self.config.channels
            missing = slice(first, first + 4 * masks)
        else:
            centred = centred * visible
            mask = 1 - visible.to(centred.dtype)
            planes = [centred, mask.expand(-1, masks, -1, -1)]
        if level is not None:
            planes.append(level.to(centred.dtype).expand_as(centred[:, :1]))
        if self.config.guides:
            count = self.config.guides
            none = torch.zeros_like(centred[:, :1]).expand(-1, count, -1, -1)
            planes.append(none if guide is None else guide.to(centred.dtype))
        h = _lowered(torch.cat(planes, 1))
        h = F.pixel_unshuffle(h.contiguous(memory_format=torch.channels_last), 2)
        scales: list[Tensor | None] = [None] * len(self.config.widths)
        condition = None
        if self.config.judge:
            noise = self.judge(x) if noise is None else noise
            if sigmas is None:
                sigmas = self.sigma_map(x, noise)
            h = torch.cat([h, ((sigmas + floor) * gain).to(h.dtype)], 1)
            if self.config.kernels:
                condition = self._condition(noise, gain, floor)
            else:
                noise = noise.expand(len(x), -1)
                scales = [(1 + layer(noise))[:, :, None, None] for layer in self.gains]
        h = _scaled(self.head(h, condition, missing), scales[0])
        skips = []
        for encode, down, scale in zip(self.encoders, self.downs, scales[1:], strict=True):
            h = encode(h, condition)
            skips.append(h)
            h = _scaled(down(h, condition), scale)
        h = self.body(h, condition)
        for up, decode in zip(reversed(self.ups), reversed(self.decoders), strict=True):
            h = decode(up(h, condition).add_(skips.pop()), condition)
        h = self.tail(h, condition)
        return centred + F.pixel_shuffle(h, 2).to(x.dtype) + MIDDLE

    def sigma_map(self, x: Tensor, noise: Tensor) -> Tensor:
        """Sigma of the noise of each 2 x 2 pixels and colour, nominal range 0..1.

        x: (B, C, H, W), H and W multiples of `multiple`; noise: (B, size) or (1, size). Returns
        (B, C, H / 2, W / 2), float32.
        """
        noise = noise.expand(len(x), -1)
        count = self.config.channels
        unshuffled = F.pixel_unshuffle(x - MIDDLE, 2)
        mean = _smoothed(unshuffled.float().unflatten(1, (count, 4)).mean(2) + MIDDLE)
        power = self.local(unshuffled, noise)
        if self.config.kernels:
            power = power + self.texture(x, self.judge, noise)
        return self.judge.sigma_map(noise, mean) * 2**power

    def _condition(self, noise: Tensor, gain: float | Tensor, floor: float | Tensor) -> Condition:
        """What the convolutions follow; remembered where one picture is denoised in many calls."""
        factor, rise = (
            _of_pictures(torch.as_tensor(n, dtype=torch.float32, device=noise.device))
            for n in (gain, floor)
        )
        key = noise, factor, rise
        alone = len(noise) == len(factor) == len(rise) == 1 and not torch.is_grad_enabled()
        last = self._last
        if alone and last is not None and all(map(_same, key, last[0])):
            return last[1]
        sigma = (self.judge.sigmas(noise).mean((1, 2))[:, None] + rise) * factor
        condition = self.conditions(noise, sigma, factor)
        if alone and not self.training:
            condition.kernels = {}
            self._last = tuple(tensor.clone() for tensor in key), condition
        return condition


def _of_pictures(x: Tensor) -> Tensor:
    """A number, or the mean of each of (B, 1, H, W), as (1, 1) or (B, 1)."""
    return x.reshape(1, 1) if x.ndim == 0 else x.mean((1, 2, 3))[:, None]


def _same(a: Tensor, b: Tensor) -> bool:
    return a.device == b.device and a.shape == b.shape and bool((a == b).all())
