"""Fitting a net to one noisy picture, with nothing else: masked samples are rebuilt from the rest.

Noise that is independent from sample to sample cannot be predicted from the others, so that the
best guess of a hidden noisy sample is the clean one (Noise2Void, Krull et al., CVPR 2019; iterative
filling, MPI, Ma et al., NeurIPS 2024, section 3.2). Against the published schedule: random crops
instead of the whole picture a step, which costs the same for any size of picture; averaged weights
and a last ensemble of masks instead of a running average of pictures, in which some of the noisy
one would stay; and a score on samples that no step learns from, which says when to stop.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mdn.training.optim import Average
from mdn.zeroshot.change import roughness, taken
from mdn.zeroshot.crops import Window, crop_side
from mdn.zeroshot.hidden_samples import HiddenSamples, copied, generator_of
from mdn.zeroshot.plan import Plan

SCORE_EVERY = 15  # steps between scores on them
PATIENCE = 6  # scores without gain until a fit is over
GAIN = 2e-4  # relative: what counts as one
SURE = 2.0  # standard errors of the mean that a gain must exceed
MASKS = 8  # whose guesses are averaged for a last score
WARMUP = 10  # steps
CLIP = 1.0  # largest norm of a gradient


@dataclass(frozen=True)
class Fit:
    """How a fit went."""

    # before, after: root mean square error on held-out samples, noise included
    before: float
    after: float
    steps: int
    seconds: float
    ended: str  # done, settled (the score stopped improving), time or interrupted
    mean: float = 0.0  # the error of the mean of MASKS guesses, likewise; 0 for a net that denoises
    sure: bool = True  # whether the error fell by more than its own spread; if not, after is before
    fine: bool = False  # whether all of the change is taken, see `change`


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
    plain: nn.Module | None = None,
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
        plain: the net as it was before any fit; None: as it is now.
    """
    plain, device = copy.deepcopy(net) if plain is None else plain, next(net.parameters()).device
    generator = generator_of(seed)
    side = crop_side(net, windows, plan.crop)
    task = HiddenSamples(net, windows, side, plan, generator, precision, device, fills)
    optimiser = torch.optim.Adam(net.parameters(), lr=plan.lr, betas=(0.9, 0.99))
    average = Average(net, plan.ema)
    as_it_came, before = copied(net), float(task.errors().mean())
    best, best_values, stale, step = before, copied(net), 0, 0
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
    # The same samples are held out, as the seed is the same.
    task = HiddenSamples(
        plain, windows, side, plan, generator_of(seed), precision, device, fills, every=True
    )
    without = task.answers()
    task.net = net
    first = task.errors_of(without)
    after, fine = part_to_take(task.errors_of, without, task.answers(), crop_side(net, windows, 0))
    sure = surely_falls(first, after)
    if not sure:
        net.load_state_dict(as_it_came)
    before, error = (float(each.mean()) ** 0.5 for each in (first, after if sure else first))
    return Fit(before, error, step, seconds, ended, sure=sure, fine=fine)


def part_to_take(
    errors_of: Callable[[Sequence[Tensor]], Tensor],
    plain: Sequence[Tensor],
    fitted: Sequence[Tensor],
    grid: int,
) -> tuple[Tensor, bool]:
    """Errors on held-out samples of what is taken of a fit, and whether its fine part is.

    That is taken only where it surely helps, and takes noise away.
    """
    coarse = [taken(*both, grid, fine=False) for both in zip(plain, fitted, strict=True)]
    errors, whole = errors_of(coarse), errors_of(fitted)
    if surely_falls(errors, whole) and roughness(fitted, grid) < roughness(plain, grid):
        return whole, True
    return errors, False


def surely_falls(before: Tensor, after: Tensor) -> bool:
    """Whether errors (n,) of the same samples became less by more than SURE standard errors."""
    gain = before - after
    return float(gain.mean()) > SURE * float(gain.std()) / len(gain) ** 0.5
