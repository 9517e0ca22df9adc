"""The net of a recipe with the weights that it begins with, known to fit before training starts.

Nets of one judge can be joined into one whose kernels their judge's descriptor mixes (nets.mixed).
Each kernel begins as that of one of the nets, and how they are mixed as what makes the least error
on crops of the recipe: on some of its steps all nets are tried, and the shares are fitted to their
errors. What comes out is not yet good at anything new; it is what a training begins with.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor, nn

from mdn import nets
from mdn.engine import memory
from mdn.errors import OutOfMemoryError, UsageError
from mdn.nets.mixed import Conditions
from mdn.nets.unet import UNet, UNetConfig
from mdn.registry import model
from mdn.registry.model import read_safetensors
from mdn.training.data import Crops
from mdn.training.degrade import generator_for, join_groups
from mdn.training.judged import draw_group, inner
from mdn.training.recipe import Recipe
from mdn.training.recipe_parse import nearest


def build(recipe: Recipe) -> nn.Module:
    """The recipe's net with the weights that it starts from, on the CPU.

    Raises UsageError: a [net] table that makes no net, a crop that it cannot take, `init_weights`
    of another net, `init_judge` of one without such a judge, or `frozen` parts that are not there.
    """
    torch.manual_seed(recipe.seed)
    try:
        net = nets.build(recipe.arch, recipe.net)
    except MemoryError:
        raise
    except Exception as error:  # a config's numbers reach layers that raise whatever they like
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(
            f"recipe {recipe.name}: [net] does not describe a {recipe.arch}: {reason}"
        ) from error
    _check_sizes(recipe, net)
    if recipe.init_weights:
        init_weights(net, Path(recipe.init_weights))
    if recipe.init_judge:
        init_judge(net, Path(recipe.init_judge))
    for name in recipe.frozen:
        held = [p for at, p in net.named_parameters() if f"{at}.".startswith(f"{name}.")]
        if not held:
            hint = nearest(name, dict(net.named_children()))
            raise UsageError(f"recipe {recipe.name}: frozen: no part {name!r}{hint}")
        for parameter in held:
            parameter.requires_grad_(False)
    return net


def check_memory(recipe: Recipe, net: nn.Module, device: torch.device, processes: int) -> None:
    """Refuse a batch that cannot fit, rather than be killed for it by the system.

    Training keeps more than a call without gradients needs at its peak, so that this lets through
    what may yet fail, and refuses nothing that would not.

    Raises OutOfMemoryError: it says what to lower.
    """
    pixels = recipe.optim.batch // processes * recipe.data.crop**2
    need = pixels * float(net.bytes_per_pixel)  # type: ignore[arg-type]
    room = memory.available(device)
    if need > room:
        raise OutOfMemoryError(
            f"{too_large(recipe)}: it takes more than {need / 2**30:.3g} GiB and there are"
            f" {room / 2**30:.3g}"
        )


def too_large(recipe: Recipe) -> str:
    """What to say of a batch that memory does not hold."""
    batch, crop = recipe.optim.batch, recipe.data.crop
    return (
        f"a batch of {batch} crops of {crop}x{crop} does not fit in memory; lower [optim] batch,"
        " [data] crop or the size of the [net]"
    )


def _check_sizes(recipe: Recipe, net: nn.Module) -> None:
    crops = ("[data] crop", recipe.data.crop), ("[watch] crop", recipe.watch.crop)
    for key, size in crops:
        if size % net.multiple:  # type: ignore[operator]
            raise UsageError(
                f"recipe {recipe.name}: {key} = {size} is no multiple of {net.multiple}, which this"
                f" {recipe.arch} needs"
            )


JUDGE = "judge.", "local."  # what it says of the picture, and of its places
CELL = 4  # a plane is four at half resolution: see nets.unet

State = dict[str, Tensor]


def init_weights(net: nn.Module, path: Path) -> None:
    """Give the net the weights of a file.

    A U-Net also takes those of one without guides, and with a judge those of one that is told the
    noise.

    Raises UsageError: they cannot be read, or are another net's.
    """
    with _reading(path) as (about, state):
        if isinstance(net, UNet) and about.get("arch", "unet") == "unet":
            has_config = "config" in about
            before = nets.config("unet", json.loads(about["config"])) if has_config else net.config
            if not before.kernels:
                state = _add_judge(net, _add_guides(net, state), before)
        net.load_state_dict(state)


def init_judge(net: nn.Module, path: Path) -> None:
    """Give the net the judge of another, and how sigma differs from place to place.

    What the net itself does with them stays as it is.

    Raises UsageError: the weights cannot be read, or one of the two nets has no such judge.
    """
    with _reading(path) as (_, state):
        judge = {key: value for key, value in state.items() if key.startswith(JUDGE)}
        if not judge:
            raise ValueError("they are of a net without a judge")
        net.load_state_dict(net.state_dict() | judge)


@contextmanager
def _reading(path: Path) -> Iterator[tuple[dict[str, str], State]]:
    """What a file of weights says of itself, and the weights; UsageError if they do not fit."""
    try:
        state, about = read_safetensors(path)
        yield about, {key: value.float() for key, value in state.items()}
    except (OSError, RuntimeError, ValueError, TypeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{path}: cannot start from these weights: {reason}") from error


def _add_guides(net: UNet, state: State) -> State:
    """The head looks at guides with zeros at first."""
    head = state["head.weight"]
    missing = CELL * net.config.guides
    if not missing or head.shape[1] + missing != net.state_dict()["head.weight"].shape[1]:
        return state
    return state | {"head.weight": F.pad(head, (0, 0, 0, 0, 0, missing))}


def _add_judge(net: UNet, state: State, before: UNetConfig) -> State:
    """The head answers to equal sigmas of all colours as it did to one level; the judge is new."""
    if not net.config.judge or before.judge or not before.noise_conditioned:
        return state
    head, colours = state["head.weight"], before.channels
    level = head[:, -CELL:].sum(1, keepdim=True)  # a level at half resolution stands for four
    joined = torch.cat([head[:, :-CELL], *[level / colours] * colours], 1)
    new = {key: value for key, value in net.state_dict().items() if key not in state}
    return new | state | {"head.weight": joined}


# --- nets of one judge, joined into one whose kernels their judge's descriptor mixes -------------

SOFT = (0.5 / 255) ** 2  # squared error below which two results are alike
PASSES, RATE, DECAY = 600, 3e-3, 1e-3  # of the fit of the shares


def joined(net: UNet, nets: list[UNet]) -> State:
    """The state of `net` with the kernels, scales, judge and sigma map of the others."""
    state = dict(net.state_dict())
    states = [plain.state_dict() for plain in nets]
    shared = [key for key in states[0] if key.startswith(("judge.", "local."))]
    state |= {key: states[0][key] for key in shared}
    for key in state:
        layer, _, number = key.rpartition(".kernels.")
        if layer:
            state[key] = states[int(number)][f"{layer}.weight"]
    layers = ["head", *(f"downs.{n}" for n in range(len(net.downs)))]
    for scale, layer in enumerate(layers):
        for part in ("weight", "bias"):
            gains = [weights[f"gains.{scale}.{part}"] for weights in states]
            state[f"{layer}.gain.{part}"] = torch.cat(gains)
    return state


@torch.no_grad()
def _errors_of(nets: list[UNet], recipe: Recipe, crops: Crops, steps: int) -> tuple[Tensor, Tensor]:
    """Descriptors (n, size), and the mean squared error of each net on each crop, (n, K)."""
    rows = []
    for step in range(steps):
        groups = range(recipe.optim.groups)
        batch = join_groups([draw_group(recipe, crops, step, at) for at in groups])
        generator = generator_for(recipe.seed, step, recipe.optim.groups)
        part = (..., *inner(batch, recipe.data.crop, generator))
        descriptor = nets[0].judge(batch.noisy)
        noisy = batch.noisy[part].contiguous(memory_format=torch.channels_last)
        visible = None if batch.visible is None else batch.visible[part]
        with torch.autocast("cpu", torch.bfloat16):
            results = [net(noisy, visible=visible, noise=descriptor).float() for net in nets]
        wrong = [(y.clamp(0, 1) - batch.clean[part]).square().mean((1, 2, 3)) for y in results]
        rows.append((descriptor.float(), torch.stack(wrong, 1)))
    descriptors, errors = zip(*rows, strict=True)
    return torch.cat(descriptors), torch.cat(errors)


def fit_shares(conditions: Conditions, descriptors: Tensor, errors: Tensor) -> float:
    """Fits how kernels are mixed, in place; the mean loss in dB against the best choice."""
    conditions.mean.copy_(descriptors.mean(0))
    conditions.deviation.copy_(descriptors.std(0) + 1e-3)
    decibels = 10 * torch.log10(errors + SOFT)
    decibels = decibels - decibels.min(1, keepdim=True).values
    optimiser = torch.optim.AdamW(conditions.parameters(), lr=RATE, weight_decay=DECAY)
    sigma = torch.zeros(1, 1)
    for _ in range(PASSES):
        shares = conditions(descriptors, sigma, torch.ones(1, 1)).shares
        loss = (shares * decibels.clamp(max=3)).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return float((shares * decibels).detach().sum(1).mean())


def join(net: UNet, recipe: Recipe, crops: Crops) -> str:
    """Give a net the kernels that its recipe joins, and mix them as suits crops of the recipe.

    Returns a line on how well they are mixed. Raises UsageError: a file is no net that fits.
    """
    nets = [_opened(Path(name)) for name in recipe.join]
    state = joined(net, nets)
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise UsageError(f"join: {' '.join(str(error).split())[:200]}") from error
    descriptors, errors = _errors_of(nets, recipe, crops, recipe.join_steps)
    loss = fit_shares(net.conditions, descriptors, errors)
    return f"{len(recipe.join)} nets joined, {loss:.2f} dB behind the better one of each crop"


def _opened(path: Path) -> UNet:
    """A net with a judge from its weights. Raises UsageError: they are of no such net."""
    try:
        state, about = read_safetensors(path)
        net = model.build(about["arch"], json.loads(about["config"]), state)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise UsageError(f"{path}: cannot be joined: {' '.join(str(error).split())}") from error
    if not (isinstance(net, UNet) and net.config.judge and not net.config.kernels):
        raise UsageError(f"{path}: cannot be joined: it is no plain net with a judge")
    return net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
