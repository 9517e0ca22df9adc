"""The nets. One net is one file, a frozen config and a module, and knows nothing else of mdn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from torch import nn

from mdn.nets.mixer import Mixer, MixerConfig
from mdn.nets.oidn import OidnConfig, OpenImageDenoise
from mdn.nets.skip import Skip, SkipConfig
from mdn.nets.swinir import SwinIR, SwinIRConfig
from mdn.nets.unet import UNet, UNetConfig

Purpose = Literal["denoise", "fill", "renders"]


@dataclass(frozen=True)
class Abilities:
    """What a net can do, as data: those who call it ask this, and never the net itself."""

    # denoise; fill: it rebuilds masked samples, and says nothing of those it sees;
    # renders: it takes whole layers of light, and nothing else
    purpose: Purpose = "denoise"
    # its forward needs `level`, the noise's standard deviation, a number or a map; unless it judges
    # the noise
    takes_sigma: bool = False
    # it has a judge, which reads the noise of a whole picture; its forward takes what that found as
    # `noise`, and as `gain` a factor on the sigma
    judges_noise: bool = False
    takes_masks: bool = False  # its forward takes `visible`, which marks the samples to rebuild
    per_channel_mask: bool = False  # that mask may differ from channel to channel
    takes_seed: bool = False  # it draws masks of its own while it is trained, from `seed`
    # at test as well, from `seed`, `pass_index` and `origin`: its passes differ
    stochastic: bool = False
    guides: int = 0  # planes of `guide` (albedo, normals) that its forward takes; 0 for none


class Architecture(NamedTuple):
    """A kind of net."""

    # config, net: its two classes
    config: type
    net: type[nn.Module]
    abilities: Callable[[Any], Abilities]  # what a net of such a config can do
    purpose: Purpose = "denoise"  # what all of its kind are for; see Abilities


def _unet(config: UNetConfig) -> Abilities:
    return Abilities(
        takes_sigma=config.noise_conditioned or config.judge,
        judges_noise=config.judge,
        takes_masks=True,
        per_channel_mask=config.per_channel_mask,
        guides=config.guides,
    )


# Of fields of the configs: recipes and weights of release 0.1 have them.
FORMER_NAMES = {"levelled": "noise_conditioned", "sampled": "per_channel_mask"}
GONE = {"gate", "second_gate"}  # that weights of development versions have

# An explicit list: what is not named here does not exist.
ARCHITECTURES: dict[str, Architecture] = {
    "mpi-skip": Architecture(
        SkipConfig,
        Skip,
        lambda c: Abilities("fill", takes_masks=True, per_channel_mask=c.mask_per_channel),
        "fill",
    ),
    "mixer": Architecture(MixerConfig, Mixer, lambda c: Abilities("renders"), "renders"),
    "oidn": Architecture(OidnConfig, OpenImageDenoise, lambda c: Abilities("renders"), "renders"),
    "swinir-masked": Architecture(
        SwinIRConfig,
        SwinIR,
        lambda c: Abilities(takes_seed=True, stochastic=c.attention_ratio[1] > 0),
    ),
    "unet": Architecture(UNetConfig, UNet, _unet),
}


def abilities(net: nn.Module) -> Abilities:
    """What a net of ARCHITECTURES can do."""
    for architecture in ARCHITECTURES.values():
        if type(net) is architecture.net:
            return architecture.abilities(net.config)
    raise TypeError(f"{type(net).__name__} is none of the nets in ARCHITECTURES")


def build(arch: str, table: dict[str, Any]) -> nn.Module:
    """The net that a recipe or a checkpoint describes; arguments and errors as `config`."""
    return ARCHITECTURES[arch].net(config(arch, table))


def config(arch: str, table: dict[str, Any]) -> Any:
    """The config of a net, as a recipe or a checkpoint has it.

    Args:
        table: fields of its config class, by today's or former names; lists stand for tuples, as
            TOML and JSON write them.

    Raises:
        KeyError: no such architecture.
        TypeError: a field that the config does not have.
    """
    return ARCHITECTURES[arch].config(**{k: _frozen(v) for k, v in current_names(table).items()})


def current_names(table: dict[str, Any]) -> dict[str, Any]:
    """A net's config with the fields that were renamed since release 0.1 by today's names.

    Without parts that a net had not, and that no net has any more.
    """
    rest = {key: value for key, value in table.items() if value or key not in GONE}
    return {FORMER_NAMES.get(key, key): value for key, value in rest.items()}


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
