"""Fitting a net to one noisy picture, with nothing else: masked samples are rebuilt from the rest.

Noise that is independent from sample to sample cannot be predicted from the others, so that the
best guess of a hidden noisy sample is the clean one (Noise2Void, Krull et al., CVPR 2019; iterative
filling, MPI, Ma et al., NeurIPS 2024, section 3.2). Against the published schedule: random crops
instead of the whole picture a step, which costs the same for any size of picture; averaged weights
and a last ensemble of masks instead of a running average of pictures, in which some of the noisy
one would stay; and a score on samples that no step learns from, which says when to stop.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from mdn.training.optim import Average
from mdn.zeroshot.answer import part_of_change, roughness
from mdn.zeroshot.hidden_samples import HiddenSamples, copied, generator_of
from mdn.zeroshot.request import Plan
from mdn.zeroshot.windows import Window, crop_side

SCORE_EVERY = 20  # steps between scores on held-out samples
HOPE = 60  # steps without any fall after which there is nothing to be gained
PATIENCE = 100  # steps in which the error on them must fall by more than its uncertainty..
LEAST_FALL = 1e-4  # ..and by this share of itself
SURE = 2.0  # standard errors that a fit of a denoiser must gain, to be used
MASKS = 8  # whose guesses are averaged for a last score
WARMUP = 10  # steps
CLIP = 1.0  # largest norm of a gradient


@dataclass(frozen=True)
class LayerFit:
    """How the steps went."""

    # before, after: root mean square error on held-out samples, noise included
    before: float
    after: float
    steps: int
    seconds: float
    # done, settled (the error stopped falling), hopeless (it never fell), time or interrupted
    ended: str
    mean: float = 0.0  # the error of the mean of MASKS guesses, likewise; 0 for a net that denoises
    rival: float | None = None  # for a net that fills: the error of a pass without a fit
    sure: bool = True  # whether the error surely fell; if not, after is before
    fine: bool = False  # whether all of the change is taken, see `part_of_change`


def fit_layers(
    net: nn.Module,
    windows: Sequence[Window],
    plan: Plan,
    seed: int,
    precision: torch.dtype | None,
    report: Callable[[int, float, float], None],
    time_limit: float | None = None,
    state: dict | None = None,
    save_state: Callable[[dict], None] = lambda state: None,
    fills: bool = False,
    plain: nn.Module | None = None,
    rival: Callable[[Tensor], Tensor] | None = None,
) -> LayerFit:
    """Fit the net in place; it ends with the averaged weights that scored best.

    It ends early once the error on held-out samples has not fallen by more than its own standard
    error for PATIENCE steps, or has not fallen at all in the first HOPE of them. A net that
    denoises stays as it came where the fit is not surely better.

    Args:
        windows: parts of the picture, all with the net's channels, at least one pixel each.
        report: gets (step, mean squared error now, and before) with every score.
        time_limit: seconds after which to stop.
        state: of an earlier fit, to go on from; what `save_state` was given.
        save_state: gets the state with every score.
        fills: the net only fills masks, and is scored by its guesses of what is hidden.
        plain: the net as it was before any fit; None: as it is now.
        rival: of a net that fills, what denoises without a fit, as `HiddenSamples.answers_of`; the
            fit is not sure where that guesses the held-out samples better.
    """
    plain, device = copy.deepcopy(net) if plain is None else plain, next(net.parameters()).device
    generator = generator_of(seed)
    side = crop_side(net, windows, plan.crop)
    task = HiddenSamples(net, windows, side, plan, generator, precision, device, fills)
    optimiser = torch.optim.Adam(net.parameters(), lr=plan.lr, betas=(0.9, 0.99))
    average = Average(net, plan.ema)
    as_it_came, best = copied(net), task.errors()
    before, best_values, best_step, step = float(best.mean()), as_it_came, 0, 0
    if state:
        step, before, best = state["step"], state["before"], state["best"].to(device)
        best_values, best_step = state["best_values"], state["best_step"]
        net.load_state_dict(state["net"])
        average.values = state["average"]
        optimiser.load_state_dict(state["optimiser"])
        generator.set_state(state["generator"])
    start, ended = time.monotonic(), "done"
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
            errors = task.errors(average.values)
            falls = float((best - errors).mean()) > LEAST_FALL * float(best.mean())
            if falls and surely_falls(best, errors, 1.0):
                best, best_step = errors, step
                best_values = {key: value.clone() for key, value in average.values.items()}
            report(step, float(errors.mean()), before)
            save_state(
                {
                    "step": step, "before": before, "best": best, "best_step": best_step,
                    "best_values": best_values, "net": net.state_dict(),
                    "average": average.values, "optimiser": optimiser.state_dict(),
                    "generator": generator.get_state(),
                }
            )  # fmt: skip
            hopeless = best_step == 0 and step >= HOPE and not fills
            if step - best_step >= PATIENCE or hopeless:
                ended = "settled" if best_step else "hopeless"
                break
            if time_limit is not None and time.monotonic() - start > time_limit:
                ended = "time"
                break
    except KeyboardInterrupt:
        ended = "interrupted"
    net.load_state_dict(best_values)
    net.eval()
    seconds = time.monotonic() - start
    if fills:
        mean = float(task.errors(masks=MASKS).mean()) ** 0.5
        fit = LayerFit(before**0.5, float(best.mean()) ** 0.5, step, seconds, ended, mean)
        if rival is None:
            return fit
        other = float(task.errors_of(task.answers_of(rival)).mean()) ** 0.5
        return replace(fit, rival=other, sure=mean <= other)
    if best_step == 0:  # the very weights that it came with
        net.load_state_dict(as_it_came)
        return LayerFit(before**0.5, before**0.5, step, seconds, ended, sure=False)
    # The same samples are held out, as the seed is the same.
    task = HiddenSamples(
        plain, windows, side, plan, generator_of(seed), precision, device, fills, every=True
    )
    without = task.answers()
    task.net = net
    first = task.errors_of(without)
    after, fine = part_to_take(task.errors_of, without, task.answers(), crop_side(net, windows, 0))
    sure = surely_falls(first, after, SURE)
    if not sure:
        net.load_state_dict(as_it_came)
    before, error = (float(e.mean()) ** 0.5 for e in (first, after if sure else first))
    return LayerFit(before, error, step, seconds, ended, sure=sure, fine=fine)


def part_to_take(
    errors_of: Callable[[Sequence[Tensor]], Tensor],
    plain: Sequence[Tensor],
    fitted: Sequence[Tensor],
    grid: int,
) -> tuple[Tensor, bool]:
    """Errors on held-out samples of what is taken of a fit, and whether its fine part is.

    That is taken only where it surely helps, and takes noise away.
    """
    coarse = [part_of_change(*both, grid, fine=False) for both in zip(plain, fitted, strict=True)]
    errors, whole = errors_of(coarse), errors_of(fitted)
    if surely_falls(errors, whole, SURE) and roughness(fitted, grid) < roughness(plain, grid):
        return whole, True
    return errors, False


def surely_falls(before: Tensor, after: Tensor, standard_errors: float) -> bool:
    """Whether errors (n,) of the same samples fell by more than so many standard errors."""
    gain = before - after
    return float(gain.mean()) > standard_errors * float(gain.std()) / len(gain) ** 0.5
