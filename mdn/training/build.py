"""The net of a recipe, and whether it can be trained as the recipe says, known before it starts."""

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
from mdn.nets.unet import UNet, UNetConfig
from mdn.registry.model import read_safetensors
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

    A U-Net also takes those of one in colour, without guides, with fewer blocks, or that learns of
    the noise in another way.

    Raises UsageError: they cannot be read, or are another net's.
    """
    with _reading(path) as (about, state):
        if isinstance(net, UNet) and about.get("arch", "unet") == "unet":
            has_config = "config" in about
            before = nets.config("unet", json.loads(about["config"])) if has_config else net.config
            if not before.kernels:
                for change in CHANGES:
                    state = change(net, state, before)
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


def _drop_judge(net: UNet, state: State, before: UNetConfig) -> State:
    """The head answers to one level as it did to that sigma of all colours."""
    if not (before.judge and net.config.noise_conditioned):
        return state
    head, colours = state["head.weight"], before.channels
    level = head[:, -colours:].sum(1, keepdim=True) / CELL
    rest = {k: v for k, v in state.items() if not k.startswith(("judge.", "local.", "gains."))}
    return rest | {"head.weight": torch.cat([head[:, :-colours], *[level] * CELL], 1)}


def _drop_colours(net: UNet, state: State, before: UNetConfig) -> State:
    """The gray net answers as the other does to three equal channels, equally masked.

    What the head made of each channel is summed, and what the tail says of each is averaged.
    """
    colours = before.channels
    if colours == 1 or net.config.channels != 1:
        return state
    head = state["head.weight"]
    masks = colours if before.per_channel_mask else 1
    width, planes = head.shape[0], head.shape[1] // CELL
    parts = head.reshape(width, planes, CELL, *head.shape[2:]).split(
        [colours, masks, planes - colours - masks], dim=1
    )
    summed = [part.sum(1, keepdim=True) for part in parts[:2]]
    return state | {
        "head.weight": torch.cat([*summed, parts[2]], 1).flatten(1, 2),
        "tail.weight": state["tail.weight"].unflatten(0, (colours, CELL)).mean(0),
    }


def _add_guides(net: UNet, state: State, before: UNetConfig) -> State:
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
    return _missing(net, state) | state | {"head.weight": joined}


def _add_blocks(net: UNet, state: State, before: UNetConfig) -> State:
    """More blocks in the stages, which give back what they get.

    The deeper net begins as the same function: the last kernel of each new block is zero (Chen et
    al., "Net2Net", ICLR 2016, section 2.3).
    """
    pairs = zip(before.blocks, net.config.blocks, strict=False)
    if before.widths != net.config.widths or any(old > new for old, new in pairs):
        return state
    new = _missing(net, state)
    closed = {key: torch.zeros_like(value) for key, value in new.items() if ".second." in key}
    return state | new | closed


def _missing(net: UNet, state: State) -> State:
    """What the net has and the weights have not."""
    return {key: value for key, value in net.state_dict().items() if key not in state}


CHANGES = _drop_judge, _drop_colours, _add_guides, _add_judge, _add_blocks
"""Those of a plain net's weights, one after the other."""
