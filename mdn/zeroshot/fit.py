"""Fitting a net to one noisy picture, with nothing else: masked samples are rebuilt from the rest.

Noise that is independent from sample to sample cannot be predicted from the others, so that the
best guess of a hidden noisy sample is the clean one (Noise2Void, Krull et al., CVPR 2019; iterative
filling, MPI, Ma et al., NeurIPS 2024, section 3.2). Against the published schedule: random crops
instead of the whole picture a step, which costs the same for any size of picture; averaged weights
and a last ensemble of masks instead of a running average of pictures, in which some of the noisy
one would stay; and a score on samples that no step learns from, which says when to stop.

A net that denoises is scored by what it is used for, seeing the whole picture: in place of a
held-out sample it sees its own first guess of it, with other noise of the same strength. Its error
against the sample itself is then its true one, and the noise's above it, which is the same before
and after.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from mdn.nets import abilities
from mdn.training.optim import Average
from mdn.zeroshot.clipped import clipped_mean
from mdn.zeroshot.plan import Plan

HELD_OUT = 0.05  # share of the samples that no step learns from
SCORE_EVERY = 15  # steps between scores on them
PATIENCE = 6  # scores without gain until a fit is over
GAIN = 2e-4  # relative: what counts as one
SCORED = 16  # crops that are scored, at most
SURE = 2.0  # standard errors of the mean that a gain must exceed
MASKS = 8  # whose guesses are averaged for a last score
WARMUP = 10  # steps
CLIP = 1.0  # largest norm of a gradient
# Added to the seed: masks drawn with the seed that the noise was made with would follow the noise.
STREAM = 0x6D646E2066697400


@dataclass(frozen=True)
class Window:
    """A part of the picture as the net will see it.

    Attributes:
        values: (C, H, W), C as the net takes them.
        sigma: (a, b, c) of the noise's variance a + b x + c x^2 at brightness x.
        level: standard deviation of the noise, for a net that takes it.
        gray: equal channels, whose masks must be equal too.
        clipped: whether what lay beyond 0 and 1 was cut off.
        descriptor: (1, n) what the judge of a net that judges the noise read in the picture.
    """

    values: Tensor
    sigma: tuple[float, float, float]
    level: float
    gray: bool = False
    clipped: bool = False
    descriptor: Tensor | None = None


@dataclass(frozen=True)
class Fit:
    """How a fit went.

    Attributes:
        before, after: root mean square error on held-out samples, noise included.
        steps, seconds: that it took.
        mean: the error of the mean of MASKS guesses, likewise; 0 for a net that denoises.
        ended: done, settled (the score stopped improving), time or interrupted.
        sure: whether the error fell by more than its own spread; if not, after is before.
    """

    before: float
    after: float
    steps: int
    seconds: float
    ended: str
    mean: float = 0.0
    sure: bool = True


def fit(
    net: nn.Module,
    windows: Sequence[Window],
    plan: Plan,
    seed: int,
    precision: torch.dtype | None,
    report: Callable[[int, float, float], None],
    time_limit: float | None = None,
    state: dict | None = None,
    keep_state: Callable[[dict], None] = lambda state: None,
    fills: bool = False,
) -> Fit:
    """Fit the net in place; it ends with the averaged weights that scored best.

    A net that denoises stays as it came where these are not surely better.

    Args:
        windows: parts of the picture, all with the net's channels, at least one pixel each.
        report: gets (step, score now, score before) with every score.
        time_limit: seconds after which to stop.
        state: of an earlier fit, to go on from; what `keep_state` was given.
        keep_state: gets the state with every score.
        fills: the net only fills masks, and is scored by its guesses of what is hidden.
    """
    device = next(net.parameters()).device
    generator = torch.Generator().manual_seed(STREAM + seed)
    side = _side(net, windows, plan.crop)
    task = _Task(net, windows, side, plan, generator, precision, device, fills)
    optimiser = torch.optim.Adam(net.parameters(), lr=plan.lr, betas=(0.9, 0.99))
    average = Average(net, plan.ema)
    as_it_came, first = _copy(net), task.errors()
    before = float(first.mean())
    best, best_values, stale, step = before, _copy(net), 0, 0
    if state:
        step, before, best = state["step"], state["before"], state["best"]
        best_values, stale = state["best_values"], state["stale"]
        net.load_state_dict(state["net"])
        average.values = state["average"]
        optimiser.load_state_dict(state["optimiser"])
        generator.set_state(state["generator"])
    begun, ended = time.monotonic(), "done"
    net.train()
    try:
        while step < plan.iters:
            factor = min(1.0, (step + 1) / WARMUP)
            factor *= 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / plan.iters))
            for group in optimiser.param_groups:
                group["lr"] = plan.lr * factor
            optimiser.zero_grad(set_to_none=True)
            task.loss().backward()
            nn.utils.clip_grad_norm_(net.parameters(), CLIP)
            optimiser.step()
            average.update(net, step)
            step += 1
            if step % SCORE_EVERY and step < plan.iters:
                continue
            score = float(task.errors(average.values).mean())
            if score < best * (1 - GAIN):
                best, stale = score, 0
                best_values = {key: value.clone() for key, value in average.values.items()}
            else:
                stale += 1
            report(step, score, before)
            keep_state(
                {
                    "step": step, "before": before, "best": best, "stale": stale,
                    "best_values": best_values, "net": net.state_dict(),
                    "average": average.values, "optimiser": optimiser.state_dict(),
                    "generator": generator.get_state(),
                }
            )  # fmt: skip
            if plan.settles and stale >= PATIENCE:
                ended = "settled"
                break
            if time_limit is not None and time.monotonic() - begun > time_limit:
                ended = "time"
                break
    except KeyboardInterrupt:
        ended = "interrupted"
    net.load_state_dict(best_values)
    net.eval()
    seconds = time.monotonic() - begun
    if fills:
        mean = float(task.errors(masks=MASKS).mean()) ** 0.5
        return Fit(before**0.5, best**0.5, step, seconds, ended, mean)
    sure = surely_falls(first, task.errors())
    if not sure:
        net.load_state_dict(as_it_came)
    return Fit(before**0.5, (best if sure else before) ** 0.5, step, seconds, ended, sure=sure)


def surely_falls(before: Tensor, after: Tensor) -> bool:
    """Whether errors (n,) of the same samples became less by more than SURE standard errors."""
    gain = before - after
    return float(gain.mean()) > SURE * float(gain.std()) / len(gain) ** 0.5


def _copy(net: nn.Module) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in net.state_dict().items()}


def _side(net: nn.Module, windows: Sequence[Window], wanted: int) -> int:
    """Side of the crops: what was wanted or what the smallest window gives, mirrored if tiny."""
    multiple: int = net.multiple  # type: ignore[assignment]
    smallest = min(min(window.values.shape[1:]) for window in windows)
    return max(multiple, min(wanted, smallest) // multiple * multiple)


class _Task:
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
    ) -> None:
        self.net, self.side, self.plan, self.generator = net, side, plan, generator
        self.precision, self.device, self.fills = precision, device, fills
        self.windows = [_grown(window, side) for window in windows]
        self.abilities = abilities(net)
        gray = any(window.gray for window in windows)
        self.by_sample = self.abilities.per_channel_mask and not gray
        self.learnt = [self._mask(window.values[None], HELD_OUT)[0] for window in self.windows]
        self.scored = _spread(self.windows, side)
        # Held-out samples are guessed as later on: with as many others hidden beside them.
        self.beside = [self._mask(self._crops([place])[0], plan.ratio) for place in self.scored]
        self.seen = [] if fills else [self._with_other_noise(place) for place in self.scored]

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
        values, learnt = _turned(values, learnt, self.generator)
        visible = self._mask(values, self.plan.ratio).to(self.device)
        error = self._error(self._guess(values, visible, level), values, places)
        weight = ((1 - visible) * learnt).expand_as(error)
        return (error * weight).sum() / weight.sum().clamp(min=1)

    @torch.no_grad()
    def errors(self, weights: dict[str, Tensor] | None = None, masks: int = 1) -> Tensor:
        """Squared errors on the held-out samples, (n,).

        masks: for a net that fills: of the mean of so many guesses, with others hidden beside.
        """
        live = None
        if weights is not None:
            live = _copy(self.net)
            self.net.load_state_dict(weights)
        found = []
        for number, place in enumerate(self.scored):
            values, learnt, level = self._crops([place])
            if self.fills:
                others = [self.beside[number]]
                others += [self._mask(values, self.plan.ratio) for _ in range(masks - 1)]
                guesses = [self._guess(values, learnt * o.to(self.device), level) for o in others]
                answer = torch.stack(guesses).mean(0)
            else:
                answer = self._guess(self.seen[number], None, level)
            error = self._error(answer, values, [place])
            found.append(error[(learnt == 0).expand_as(error)])
        if live is not None:
            self.net.load_state_dict(live)
        every = torch.cat(found)
        return every if len(every) else every.new_zeros(1)  # of a tiny picture

    @torch.no_grad()
    def _with_other_noise(self, place: tuple[int, int, int]) -> Tensor:
        """A crop in which the held-out samples are guesses, with noise as strong as their own."""
        values, learnt, level = self._crops([place])
        window = self.windows[place[0]]
        guess = self._guess(values, learnt, level)
        a, b, c = window.sigma
        sigma = (a + b * guess + c * guess**2).clamp(min=0).sqrt()
        drawn = guess + sigma * torch.randn(guess.shape, generator=self.generator).to(self.device)
        drawn = drawn.clamp(0, 1) if window.clipped else drawn
        return torch.where(learnt.expand_as(values) == 0, drawn, values)

    def _guess(self, values: Tensor, visible: Tensor | None, level: Tensor) -> Tensor:
        more: dict[str, Tensor | None] = {"level": level} if self.abilities.takes_sigma else {}
        if self.abilities.judges_noise:  # of the whole picture, so the same for all its windows
            more = {"noise": self.windows[0].descriptor}
        kind, precision = self.device.type, self.precision
        with nullcontext() if precision is None else torch.autocast(kind, precision):
            guess = self.net(
                values.contiguous(memory_format=torch.channels_last), visible=visible, **more
            )
        return guess.float()

    def _error(
        self, guess: Tensor, values: Tensor, places: Sequence[tuple[int, int, int]]
    ) -> Tensor:
        made = [
            clipped_mean(each, self.windows[n].sigma) if self.windows[n].clipped else each
            for each, (n, *_) in zip(guess, places, strict=True)
        ]
        return (torch.stack(made) - values).square()


def _spread(windows: Sequence[Window], side: int) -> list[tuple[int, int, int]]:
    """Crops side by side, all or SCORED of them evenly: (window, top, left)."""
    places = [
        (number, top, left)
        for number, window in enumerate(windows)
        for top in range(0, window.values.shape[1] - side + 1, side)
        for left in range(0, window.values.shape[2] - side + 1, side)
    ]
    return places[:: -(-len(places) // SCORED)]


def _grown(window: Window, side: int) -> Window:
    """A window of at least one crop, mirrored at its end where it is smaller."""
    values = window.values
    for axis in (1, 2):
        while values.shape[axis] < side:
            values = torch.cat([values, values.flip(axis)], axis)
    return replace(window, values=values)


def _turned(values: Tensor, learnt: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Both, turned and flipped alike at random."""
    flip, turn = torch.rand(2, generator=generator).tolist()
    turned = [torch.rot90(part, int(turn * 4), (2, 3)) for part in (values, learnt)]
    if flip < 0.5:
        turned = [part.flip(3) for part in turned]
    return turned[0], turned[1]
