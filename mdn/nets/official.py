"""Turn state dicts that came without a config into ours: of the papers' releases, and of UNets.

Names and shapes only, no file is read.

Each converter returns the config that the shapes imply and a state dict that loads strictly, or
raises ValueError with one line that says what does not fit.
"""

import re
from collections.abc import Mapping
from math import isqrt
from typing import Any, Literal

import torch
from torch import Tensor

from mdn.nets.skip import Skip, SkipConfig
from mdn.nets.swinir import SwinIR, SwinIRConfig
from mdn.nets.unet import UNet, UNetConfig

_NESTS = ("params_ema", "params", "state_dict", "model", "net")
_BLOCK = re.compile(r"layers\.(\d+)\.residual_group\.blocks\.(\d+)\.(.+)")
_FUSE = re.compile(r"layers\.(\d+)\.conv\.(.+)")
_TOP = {
    "conv_first": "embed",
    "patch_embed.norm": "embed_norm",
    "norm": "norm",
    "conv_after_body": "after_body",
    "conv_last": "last",
}
_IN_BLOCK = {
    "norm1": "attention.norm",
    "attn.qkv": "attention.qkv",
    "attn.proj": "attention.proj",
    "attn.relative_position_bias_table": "attention.bias_table",
    "norm2": "norm",
    "mlp.fc1": "fc1",
    "mlp.fc2": "fc2",
}
# Computed from the shape of the net or of the picture, so nothing to keep.
_DERIVED = ("attn_mask", "relative_position_index", "mean")


def convert_swinir(
    checkpoint: Mapping[str, Any],
    *,
    input_mask: Literal["none", "zero", "pixel"] = "pixel",
    input_ratio: tuple[float, float] = (0.8, 0.9),
    attention_ratio: tuple[float, float] = (0.75, 0.75),
) -> tuple[SwinIRConfig, dict[str, Tensor]]:
    """Masked SwinIR with the key names of the KAIR family (`conv_first`, `layers.N...`).

    Args:
        checkpoint: the state dict, bare or under `params`, `params_ema` or `state_dict`, with or
            without a leading `module.`.
        input_mask, input_ratio, attention_ratio: how it was trained, which no shape tells; the
            defaults are the release's. A mask token in the checkpoint means "token".

    Raises ValueError: a key is unknown or missing, a shape is wrong, or this is plain SwinIR.
    """
    official = unwrap(checkpoint, "conv_first.weight")
    config = _swinir_config(official, input_mask, input_ratio, attention_ratio)
    ours, unknown = {}, []
    for key, value in official.items():
        name = _swinir_name(key)
        if name is not None:
            ours[name] = value
        elif key.rpartition(".")[2] not in _DERIVED:
            unknown.append(key)
    # A 1x1 convolution is a linear layer; a token comes with leading or trailing axes of length 1.
    ours["embed.weight"] = ours["embed.weight"].flatten(1)
    if "mask_token" in ours:
        ours["mask_token"] = ours["mask_token"].flatten()
    with torch.random.fork_rng(devices=()):
        expected = SwinIR(config).state_dict()
    _check(ours, expected, unknown, "SwinIR")
    return config, ours


def convert_unet(checkpoint: Mapping[str, Any]) -> tuple[UNetConfig, dict[str, Tensor]]:
    """A UNet's config and its state dict, which may be nested as the trainers nest them.

    Raises ValueError: the keys or the shapes are not those of a UNet.
    """
    state = unwrap(checkpoint, "head.weight")
    if "tail.weight" not in state or "body.0.first.weight" not in state:
        problem = "the keys do not fit a UNet: tail.weight or body.0.first.weight is missing"
        raise ValueError(problem)
    downs = [state[f"downs.{level}.weight"] for level in range(_count(state, r"downs\.(\d+)\."))]
    widths = (state["head.weight"].shape[0], *(down.shape[0] for down in downs))
    blocks = [_count(state, rf"encoders\.{level}\.(\d+)\.") for level in range(len(downs))]
    channels = state["tail.weight"].shape[0] // 4
    # Beside the picture: one plane of a mask or one for each channel, and perhaps one of the level.
    beside = state["head.weight"].shape[1] // 4 - channels
    per_channel_mask = channels > 1 and beside in (channels, channels + 1)
    noise_conditioned = beside - (channels if per_channel_mask else 1) == 1
    body = _count(state, r"body\.(\d+)\.")
    config = UNetConfig(widths, (*blocks, body), channels, noise_conditioned, per_channel_mask)
    try:
        UNet(config).load_state_dict(state)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:] if line.strip()]
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        raise ValueError(f"the keys do not fit a UNet: {lines[0][:160]}{more}") from error
    return config, state


def convert_skip(checkpoint: Mapping[str, Any]) -> tuple[SkipConfig, dict[str, Tensor]]:
    """The hourglass of Deep Image Prior and MPI.

    The nested `nn.Sequential`s of that net number their layers, so its keys say where a layer
    stands, not what it is. What is matched is the order and the shape of the parameters; running
    statistics of batch normalisation are dropped, since the net never uses them.

    Raises ValueError: the parameters are not those of a skip net, in its order.
    """
    official = unwrap(checkpoint, None)
    dropped = ("running_mean", "running_var", "num_batches_tracked")
    parameters = [(key, value) for key, value in official.items() if not key.endswith(dropped)]
    config = _skip_config([value for _, value in parameters])
    with torch.random.fork_rng(devices=()):
        expected = Skip(config).state_dict()
    if len(parameters) != len(expected):
        raise ValueError(
            f"not a skip net of {config.scales} scales: it has {len(parameters)} parameter tensors "
            f"instead of {len(expected)}"
        )
    ours = {}
    for (key, value), (name, slot) in zip(parameters, expected.items(), strict=True):
        if value.shape != slot.shape:
            raise ValueError(f"not a skip net: {_shape(key, value)} should be {_size(slot)}")
        ours[name] = value
    return config, ours


def unwrap(checkpoint: Mapping[str, Any], landmark: str | None) -> dict[str, Tensor]:
    """The bare state dict, without the wrappings of trainers and of data-parallel modules."""
    state: Mapping[str, Any] = checkpoint
    for _ in range(3):
        nest = next((nest for nest in _NESTS if isinstance(state.get(nest), Mapping)), None)
        if nest is None:
            break
        state = state[nest]
    tensors = {k.removeprefix("module."): v for k, v in state.items() if isinstance(v, Tensor)}
    if not tensors or (landmark is not None and landmark not in tensors):
        wanted = "no tensors" if landmark is None else f"no {landmark}"
        raise ValueError(f"not a state dict of this architecture: there is {wanted} in it")
    return tensors


def _swinir_name(key: str) -> str | None:
    if key.rpartition(".")[2] == "mask_token":
        return "mask_token"
    if match := _BLOCK.fullmatch(key):
        group, block, rest = match.groups()
        prefix, table = f"groups.{group}.blocks.{block}.", _IN_BLOCK
    elif match := _FUSE.fullmatch(key):
        return f"groups.{match[1]}.fuse.{match[2]}"
    else:
        prefix, rest, table = "", key, _TOP
    for theirs, ours in table.items():
        if rest == theirs or rest.startswith(theirs + "."):
            return prefix + ours + rest.removeprefix(theirs)
    return None


def _swinir_config(
    state: Mapping[str, Tensor],
    input_mask: Literal["none", "token", "zero", "pixel"],
    input_ratio: tuple[float, float],
    attention_ratio: tuple[float, float],
) -> SwinIRConfig:
    first = _require(state, "conv_first.weight", 4)
    dim, channels = first.shape[:2]
    if first.shape[2:] != (1, 1):
        raise ValueError(
            f"this is plain SwinIR, not the masked one: {_shape('conv_first.weight', first)} "
            "should be a 1x1 convolution"
        )
    block = "layers.0.residual_group.blocks.0."
    rows, heads = _require(state, block + "attn.relative_position_bias_table", 2).shape
    window = (isqrt(rows) + 1) // 2
    if (2 * window - 1) ** 2 != rows:
        raise ValueError(f"a relative position bias of {rows} rows belongs to no window size")
    token = any(key.rpartition(".")[2] == "mask_token" for key in state)
    return SwinIRConfig(
        channels=channels,
        depths=_depths(state),
        dim=dim,
        heads=heads,
        window=window,
        mlp_ratio=_require(state, block + "mlp.fc1.weight", 2).shape[0] / dim,
        residual="3conv" if "conv_after_body.0.weight" in state else "1conv",
        input_mask="token" if token else input_mask,
        input_ratio=input_ratio,
        attention_ratio=attention_ratio,
    )


def _depths(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Blocks of each group; a gap in the numbers shows later, as missing keys."""
    depths: dict[int, int] = {}
    for match in filter(None, map(_BLOCK.fullmatch, state)):
        group, block = int(match[1]), int(match[2])
        depths[group] = max(depths.get(group, 0), block + 1)
    return tuple(depths.get(group, 1) for group in range(max(depths) + 1))


def _skip_config(parameters: list[Tensor]) -> SkipConfig:
    """Read the shape off the first 1x1, the last 1x1, and the number of tensors."""
    if len(parameters) < 2 or parameters[0].ndim != 4 or parameters[-2].ndim != 4:
        raise ValueError("not a skip net: it does not begin and end with a convolution")
    width, inputs = parameters[0].shape[:2]
    channels = parameters[-2].shape[0]
    if inputs not in (2 * channels, channels + 1):
        raise ValueError(
            f"not a masked skip net: {inputs} input planes for {channels} colour channels, where "
            f"{2 * channels} (a mask per channel) or {channels + 1} (a shared mask) are needed"
        )
    # Five convolutions and six normalisations a scale, two tensors each, and the last convolution.
    scales = max(1, (len(parameters) - 2) // 22)
    return SkipConfig(channels, inputs == 2 * channels, scales, width)


def _check(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], unknown: list[str], title: str
) -> None:
    """One line for whatever does not fit, in our names where theirs are absent."""
    missing = [name for name in expected if name not in state]
    strange = unknown + [name for name in state if name not in expected]
    wrong = [
        f"{_shape(name, state[name])} instead of {_size(slot)}"
        for name, slot in expected.items()
        if name in state and state[name].shape != slot.shape
    ]
    findings = (("missing", missing), ("unknown", strange), ("of the wrong shape", wrong))
    problems = [f"{len(names)} {what} ({_some(names)})" for what, names in findings if names]
    if problems:
        raise ValueError(f"the keys do not fit {title}: " + ", ".join(problems))


def _require(state: Mapping[str, Tensor], key: str, axes: int) -> Tensor:
    if key not in state:
        raise ValueError(f"the keys do not fit SwinIR: {key} is missing")
    if state[key].ndim != axes:
        raise ValueError(f"the keys do not fit SwinIR: {_shape(key, state[key])} has wrong axes")
    return state[key]


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _shape(name: str, value: Tensor) -> str:
    return f"{name} of {_size(value)}"


def _size(value: Tensor) -> str:
    return "x".join(str(side) for side in value.shape) or "a scalar"


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """How many there are of what the pattern numbers."""
    numbers = [int(match[1]) for key in state if (match := re.match(pattern, key))]
    return max(numbers, default=-1) + 1
