"""Crops of one picture, masks, loss and score of a fit of layers.

A net that denoises is scored by what it is used for, seeing the whole picture: in place of a
held-out sample it sees its own first guess of it, with other noise of the same strength. Its error
against the sample itself is then its true one, and the noise's above it, which is the same before
and after.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mdn.nets import abilities
from mdn.zeroshot.request import Plan
from mdn.zeroshot.windows import Window, grown, spread, turned

HELD_OUT = 0.05  # share of the samples that no step learns from
STREAM = 0x6D646E2066697400
_ROOT = math.sqrt(2)


class HiddenSamples:
    """Crops, masks, loss and score of one fit."""

    def __init__(
        self,
        net: nn.Module,
        windows: Sequence[Window],
        side: int,
        plan: Plan,
        generator: torch.Generator,
        precision: torch.dtype | None,
        device: torch.device,
        fills: bool,
        *,
        every: bool = False,  # crop is scored
    ) -> None:
        self.net, self.side, self.plan, self.generator = net, side, plan, generator
        self.precision, self.device, self.fills = precision, device, fills
        self.windows = [grown(window, side) for window in windows]
        self.abilities = abilities(net)
        gray = any(window.gray for window in windows)
        self.by_sample = self.abilities.per_channel_mask and not gray
        self.learnt = [self._mask(window.values[None], HELD_OUT)[0] for window in self.windows]
        self.scored = spread(self.windows, side, every=every)
        # Held-out samples are guessed as later on: with as many others hidden beside them.
        self.beside = [self._mask(self._crops([place])[0], plan.ratio) for place in self.scored]
        self.inputs = [] if fills else [self._with_other_noise(place) for place in self.scored]

    def _mask(self, values: Tensor, ratio: float) -> Tensor:
        """(B, C or 1, H, W), 1 where kept."""
        planes = values.shape[1] if self.by_sample else 1
        shape = (len(values), planes, *values.shape[2:])
        return (torch.rand(shape, generator=self.generator) >= ratio).float()

    def _place(self) -> tuple[int, int, int]:
        """A window, and where in it a crop lies."""
        dice = torch.rand(3, generator=self.generator).tolist()
        number = int(dice[0] * len(self.windows))
        height, width = self.windows[number].values.shape[1:]
        top = int(dice[1] * (height - self.side + 1))
        return number, top, int(dice[2] * (width - self.side + 1))

    def _crops(self, places: Sequence[tuple[int, int, int]]) -> tuple[Tensor, Tensor, Tensor]:
        """(B, C, s, s) values, (B, C or 1, s, s) 1 where samples may be learnt from, levels."""
        side = self.side
        values, learnt = (
            torch.stack([parts[n][:, y : y + side, x : x + side] for n, y, x in places])
            for parts in ([window.values for window in self.windows], self.learnt)
        )
        level = torch.tensor([self.windows[n].level for n, *_ in places])[:, None, None, None]
        return values.to(self.device), learnt.to(self.device), level.to(self.device)

    def loss(self) -> Tensor:
        """Mean squared error on hidden samples, of what clipping would have made of the guess."""
        places = [self._place() for _ in range(self.plan.batch)]
        values, learnt, level = self._crops(places)
        values, learnt = turned(values, learnt, self.generator)
        visible = self._mask(values, self.plan.ratio).to(self.device)
        error = self._error(self._guess(values, visible, level), values, places)
        weight = ((1 - visible) * learnt).expand_as(error) * ~values.isnan()
        return (error * weight).sum() / weight.sum().clamp(min=1)

    @torch.no_grad()
    def errors(self, weights: dict[str, Tensor] | None = None, masks: int = 1) -> Tensor:
        """Squared errors on the held-out samples, (n,).

        masks: for a net that fills: of the mean of so many guesses, with others hidden beside.
        """
        live = None
        if weights is not None:
            live = copied(self.net)
            self.net.load_state_dict(weights)
        answers = self.answers(masks)
        if live is not None:
            self.net.load_state_dict(live)
        return self.errors_of(answers)

    @torch.no_grad()
    def answers(self, masks: int = 1) -> list[Tensor]:
        """What the net makes of the crops that are scored, (1, C, s, s) each."""
        answers = []
        for number, place in enumerate(self.scored):
            values, learnt, level = self._crops([place])
            if not self.fills:
                answers.append(self._guess(self.inputs[number], None, level))
                continue
            others = [self.beside[number]]
            others += [self._mask(values, self.plan.ratio) for _ in range(masks - 1)]
            guesses = [self._guess(values, learnt * o.to(self.device), level) for o in others]
            answers.append(torch.stack(guesses).mean(0))
        return answers

    @torch.no_grad()
    def answers_of(self, denoise: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """What another denoiser makes of the crops that are scored, (1, C, s, s) each.

        denoise: of a picture (C, H, W) in 0..1, the same shape. A held-out sample is shown to it as
        the mean of those around it, so that it must be guessed, too (Noise2Self, Batson & Royer,
        ICML 2019, section 3).
        """
        whole = [
            denoise(_filled(window.values, (learnt == 1) & ~window.values.isnan()))
            for window, learnt in zip(self.windows, self.learnt, strict=True)
        ]
        side = self.side
        crops = [whole[n][None, :, y : y + side, x : x + side] for n, y, x in self.scored]
        return [crop.to(self.device) for crop in crops]

    def errors_of(self, answers: Sequence[Tensor]) -> Tensor:
        """Squared errors of answers to the crops that are scored, on the held-out samples, (n,)."""
        parts = []
        for answer, place in zip(answers, self.scored, strict=True):
            values, learnt, _ = self._crops([place])
            error = self._error(answer, values, [place])
            parts.append(error[(learnt == 0) & ~values.isnan()])
        errors = torch.cat(parts)
        return errors if len(errors) else errors.new_zeros(1)  # of a tiny picture

    @torch.no_grad()
    def _with_other_noise(self, place: tuple[int, int, int]) -> Tensor:
        """A crop in which the held-out samples are guesses, with noise as strong as their own."""
        values, learnt, level = self._crops([place])
        window = self.windows[place[0]]
        guess = self._guess(values, learnt, level)
        a, b, c = window.variance
        sigma = (a + b * guess + c * guess**2).clamp(min=0).sqrt()
        drawn = guess + sigma * torch.randn(guess.shape, generator=self.generator).to(self.device)
        drawn = drawn.clamp(0, 1) if window.clipped else drawn
        return torch.where((learnt == 0) & ~values.isnan(), drawn, values)

    def _guess(self, values: Tensor, visible: Tensor | None, level: Tensor) -> Tensor:
        more: dict[str, Tensor | None] = {"level": level} if self.abilities.takes_sigma else {}
        if self.abilities.judges_noise:  # of the whole picture, so the same for all its windows
            more = {"noise": self.windows[0].descriptor}
        broken = values.isnan()
        if broken.any():
            sound = (~(broken if self.by_sample else broken[:, :1])).to(values.dtype)
            values, visible = values.nan_to_num(), sound if visible is None else visible * sound
        kind, precision = self.device.type, self.precision
        with nullcontext() if precision is None else torch.autocast(kind, precision):
            guess = self.net(
                values.contiguous(memory_format=torch.channels_last), visible=visible, **more
            )
        return guess.float()

    def _error(
        self, guess: Tensor, values: Tensor, places: Sequence[tuple[int, int, int]]
    ) -> Tensor:
        stored = [
            clipped_mean(crop, self.windows[n].variance) if self.windows[n].clipped else crop
            for crop, (n, *_) in zip(guess, places, strict=True)
        ]
        return (torch.stack(stored) - values).square()


def _filled(values: Tensor, sound: Tensor) -> Tensor:
    """(C, H, W) in which each other sample is the mean of the sound ones within a pixel of it."""
    planes = torch.stack([torch.where(sound, values, 0.0), sound.to(values.dtype)])
    sums, counts = F.avg_pool2d(planes, 3, 1, 1, count_include_pad=False)
    return torch.where(sound, values, sums / counts.clamp(min=1e-6))


def copied(net: nn.Module) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in net.state_dict().items()}


def generator_of(seed: int) -> torch.Generator:
    """For masks: of a stream of its own, since noise may have been made with the same seed."""
    return torch.Generator().manual_seed(STREAM + seed)


def clipped_mean(x: Tensor, curve: tuple[float, float, float]) -> Tensor:
    """E[clip(x + n, 0, 1)] for normal n of variance a + b x + c x^2 (Foi 2009, section 2).

    A net that learns from samples that were cut off would learn their mean, too bright near black
    and too dark near white. So its guess goes through the same cut before it is compared.

    Args:
        x: clean brightness, any shape; gradients pass.
        curve: (a, b, c), none below 0.
    """
    a, b, c = curve
    bright = x.detach().clamp(0, 1)
    sigma = (a + b * bright + c * bright**2).clamp(min=1e-8).sqrt()
    low, high = -x / sigma, (1 - x) / sigma
    below, above = _normal(low), 1 - _normal(high)
    return x * (1 - below - above) + sigma * (_density(low) - _density(high)) + above


def _normal(z: Tensor) -> Tensor:
    return 0.5 * (1 + torch.erf(z / _ROOT))


def _density(z: Tensor) -> Tensor:
    return torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
