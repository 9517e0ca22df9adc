"""The nets. One net is one file, a frozen config and a module, and knows nothing else of mdn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import nn

from mdn.nets.abilities import Abilities, Purpose
from mdn.nets.skip import Skip, SkipConfig
from mdn.nets.swinir import SwinIR, SwinIRConfig
from mdn.nets.unet import UNet, UNetConfig


class Architecture(NamedTuple):
    """A kind of net.

    Attributes:
        config, net: its two classes.
        abilities: what a net of such a config can do.
        purpose: what all of its kind are for; see Abilities.
    """

    config: type
    net: type[nn.Module]
    abilities: Callable[[Any], Abilities]
    purpose: Purpose = "denoise"


def _unet(config: UNetConfig) -> Abilities:
    return Abilities(
        takes_sigma=config.levelled or config.judge,
        judges_noise=config.judge,
        takes_masks=True,
        per_channel_mask=config.sampled,
        guides=config.guides,
    )


def _swinir(config: SwinIRConfig) -> Abilities:
    return Abilities(stochastic=config.attention_ratio[1] > 0)


def _skip(config: SkipConfig) -> Abilities:
    return Abilities("fill", takes_masks=True, per_channel_mask=config.mask_per_channel)


# An explicit list: what is not named here does not exist.
ARCHITECTURES: dict[str, Architecture] = {
    "mpi-skip": Architecture(SkipConfig, Skip, _skip, "fill"),
    "swinir-masked": Architecture(SwinIRConfig, SwinIR, _swinir),
    "unet": Architecture(UNetConfig, UNet, _unet),
}


def abilities(net: nn.Module) -> Abilities:
    """What a net of ARCHITECTURES can do."""
    for each in ARCHITECTURES.values():
        if type(net) is each.net:
            return each.abilities(net.config)
    raise TypeError(f"{type(net).__name__} is none of the nets in ARCHITECTURES")


def build(arch: str, config: dict[str, Any]) -> nn.Module:
    """The net that a checkpoint's own config describes.

    Args:
        arch: a name in ARCHITECTURES.
        config: fields of its config class; lists stand for tuples, as TOML and JSON write them.

    Raises:
        KeyError: no such architecture.
        TypeError: a field that the config does not have.
    """
    fields = {key: _frozen(value) for key, value in config.items()}
    kind = ARCHITECTURES[arch]
    return kind.net(kind.config(**fields))


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
