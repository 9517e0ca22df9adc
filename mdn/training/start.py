"""Weights to begin a training from, brought to the planes of the net that is to be trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from mdn.errors import UsageError

CELL = 4  # a plane is four at half resolution: see nets.unet


def begin_from(net: nn.Module, path: Path) -> None:
    """Give the net the weights of a file: another's without guides, in colour or of fewer blocks.

    Raises:
        UsageError: they cannot be read, or are another net's.
    """
    try:
        with safe_open(path, "pt") as file:
            config = json.loads((file.metadata() or {}).get("config", "{}"))
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
        state = _without_judge(net, state, config)
        state = _with_guides(net, _without_colours(net, state, config))
        state = _with_judge(net, state, config)
        net.load_state_dict(_with_blocks(net, state, config))
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{path}: cannot start from these weights: {reason}") from error


def _without_colours(
    net: nn.Module, state: dict[str, Tensor], config: dict[str, Any]
) -> dict[str, Tensor]:
    """Weights of a U-Net in colour for a gray one.

    It answers as the other does to a picture of three equal channels, and to the same doubt in all
    three: what the head made of each is summed, and what the tail says of each is averaged.
    """
    colours = int(config.get("channels", 1))
    heads = [values.get("head.weight") for values in (state, net.state_dict())]
    gray = getattr(net.config, "channels", colours) == 1
    if colours == 1 or not gray or heads[0] is None or heads[1] is None:
        return state
    head, tail = heads[0], state["tail.weight"]
    doubts = colours if config.get("sampled") else 1
    width, planes = head.shape[0], head.shape[1] // CELL
    parts = head.reshape(width, planes, CELL, *head.shape[2:]).split(
        [colours, doubts, planes - colours - doubts], dim=1
    )
    summed = [part.sum(1, keepdim=True) for part in parts[:2]]
    joined = torch.cat([*summed, parts[2]], 1).flatten(1, 2)
    return state | {
        "head.weight": joined,
        "tail.weight": tail.unflatten(0, (colours, CELL)).mean(0),
    }


def _with_guides(net: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a net without guides for one with: its head looks at them with zeros at first."""
    head = state.get("head.weight")
    wanted = net.state_dict().get("head.weight")
    guides = int(getattr(net.config, "guides", 0))
    if head is None or wanted is None or not guides:
        return state
    missing = wanted.shape[1] - head.shape[1]
    if missing != CELL * guides:
        return state
    return state | {"head.weight": F.pad(head, (0, 0, 0, 0, 0, missing))}


def _without_judge(
    net: nn.Module, state: dict[str, Tensor], config: dict[str, Any]
) -> dict[str, Tensor]:
    """Weights of a U-Net that judges the noise itself for one that is told one level.

    The head answers to the level as it did to that sigma of all colours.
    """
    if not config.get("judge") or not getattr(net.config, "levelled", False):
        return state
    head, colours = state["head.weight"], int(config["channels"])
    told = head[:, -colours:].sum(1, keepdim=True) / CELL
    kept = {k: v for k, v in state.items() if not k.startswith(("judge.", "local.", "gains."))}
    return kept | {"head.weight": torch.cat([head[:, :-colours], *[told] * CELL], 1)}


def _with_judge(
    net: nn.Module, state: dict[str, Tensor], config: dict[str, Any]
) -> dict[str, Tensor]:
    """Weights of a U-Net that is told one level for one that judges the noise itself.

    Its head answers to equal sigmas of all colours as the other did to that level; the judge
    begins from nothing.
    """
    if not getattr(net.config, "judge", False) or config.get("judge") or not config["levelled"]:
        return state
    head = state["head.weight"]
    told = head[:, -CELL:].sum(1, keepdim=True)  # a level at half resolution stands for four
    colours = int(config["channels"])
    parts = [head[:, :-CELL], *[told / colours] * colours]
    new = {key: value for key, value in net.state_dict().items() if key not in state}
    return new | state | {"head.weight": torch.cat(parts, 1)}


def _with_blocks(
    net: nn.Module, state: dict[str, Tensor], config: dict[str, Any]
) -> dict[str, Tensor]:
    """Weights of a U-Net for one with more blocks in its stages, which give back what they get.

    The deeper net begins as the same function: the last kernel of each new block is zero (Chen et
    al., "Net2Net", ICLR 2016, section 2.3).
    """
    before, after = config.get("blocks"), getattr(net.config, "blocks", None)
    same = config.get("widths") == list(getattr(net.config, "widths", ()))
    if not before or not after or not same:
        return state
    if len(before) != len(after) or any(b > a for b, a in zip(before, after, strict=True)):
        return state
    new = {key: value for key, value in net.state_dict().items() if key not in state}
    closed = {key: torch.zeros_like(value) for key, value in new.items() if ".second." in key}
    return state | new | closed
