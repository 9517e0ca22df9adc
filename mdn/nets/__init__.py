"""The nets. One net is one file, a frozen config and a module, and knows nothing else of mdn."""

from __future__ import annotations

from typing import Any

from torch import nn

from mdn.nets.meter import Meter, MeterConfig
from mdn.nets.skip import Skip, SkipConfig
from mdn.nets.swinir import SwinIR, SwinIRConfig
from mdn.nets.unet import UNet, UNetConfig

# An explicit list: what is not named here does not exist.
ARCHITECTURES: dict[str, tuple[type, type[nn.Module]]] = {
    "meter": (MeterConfig, Meter),
    "mpi-skip": (SkipConfig, Skip),
    "swinir-masked": (SwinIRConfig, SwinIR),
    "unet": (UNetConfig, UNet),
}
METERS = frozenset({"meter"})  # say how strong the noise is, and take none out
FILLERS = frozenset({"mpi-skip"})  # rebuild masked samples, and say nothing of those they see


def build(arch: str, config: dict[str, Any]) -> nn.Module:
    """The net that a checkpoint's own config describes.

    Args:
        arch: a name in ARCHITECTURES.
        config: fields of its config class; lists stand for tuples, as TOML and JSON write them.

    Raises:
        KeyError: no such architecture.
        TypeError: a field that the config does not have.
    """
    config_class, module_class = ARCHITECTURES[arch]
    fields = {key: _frozen(value) for key, value in config.items()}
    return module_class(config_class(**fields))


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
