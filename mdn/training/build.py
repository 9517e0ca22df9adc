"""The net of a recipe, and whether it can be trained as the recipe says, known before it starts."""

from pathlib import Path

import torch
from torch import nn

from mdn import nets
from mdn.engine import memory
from mdn.errors import OutOfMemoryError, UsageError
from mdn.training.init_weights import init_judge, init_weights
from mdn.training.recipe import Recipe
from mdn.training.recipe_check import nearest


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
    parts = dict(net.named_children())
    for name in recipe.frozen:
        if name not in parts:
            hint = nearest(name, parts)
            raise UsageError(f"recipe {recipe.name}: frozen: no part {name!r}{hint}")
        parts[name].requires_grad_(False)
    return net


def check_memory(recipe: Recipe, net: nn.Module, device: torch.device, processes: int) -> None:
    """Refuse a batch that cannot fit, rather than be killed for it by the system.

    Training keeps more than a call without gradients needs at its peak, so that this lets through
    what may yet fail, and refuses nothing that would not.

    Raises OutOfMemoryError: it says what to lower.
    """
    pixels = recipe.optim.batch // processes * recipe.largest_crop**2
    need = pixels * float(net.bytes_per_pixel)  # type: ignore[arg-type]
    room = memory.available(device)
    if need > room:
        raise OutOfMemoryError(
            f"{too_large(recipe)}: it takes more than {need / 2**30:.3g} GiB and there are"
            f" {room / 2**30:.3g}"
        )


def too_large(recipe: Recipe) -> str:
    """What to say of a batch that memory does not hold."""
    batch, crop = recipe.optim.batch, recipe.largest_crop
    return (
        f"a batch of {batch} crops of {crop}x{crop} does not fit in memory; lower [optim] batch,"
        " [data] crop or the size of the [net]"
    )


def _check_sizes(recipe: Recipe, net: nn.Module) -> None:
    grown = [("[data] growth", side) for _, side in recipe.data.growth]
    crops = ("[data] crop", recipe.data.crop), ("[watch] crop", recipe.watch.crop)
    for key, size in (*crops, *grown):
        if size % net.multiple:  # type: ignore[operator]
            raise UsageError(
                f"recipe {recipe.name}: {key} = {size} is no multiple of {net.multiple}, which this"
                f" {recipe.arch} needs"
            )
