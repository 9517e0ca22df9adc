"""Deep features of any model: the outputs of named modules of its net, by forward hooks."""

from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.denoise_tiles import denoise_tiles
from mdn.pipeline.judge import judge_sample
from mdn.pipeline.options import Options
from mdn.registry.model import Model

# The stages of each architecture, as patterns of module names; others give their children. The last
# one that a net calls is its deepest, and gives (B, C, H, W).
STAGES: dict[str, tuple[str, ...]] = {
    "mpi-skip": tuple("scales" + depth * ".below" for depth in range(8)),
    "swinir-masked": ("embed", "groups.?", "after_body"),
    "unet": ("head", "encoders.?", "body", "decoders.?"),
}


def stages(arch: str, net: nn.Module) -> dict[str, nn.Module]:
    """The modules whose output is recorded, by name."""
    patterns = STAGES.get(arch)
    if patterns is None:
        return dict(net.named_children())
    return {
        name: module
        for name, module in net.named_modules()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }


@contextmanager
def recorded(modules: dict[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """What the modules give in the block, float32 on the CPU, in the order of their first calls."""
    outputs: dict[str, Tensor] = {}

    def hook(name: str):  # type: ignore[no-untyped-def]
        def record(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                outputs[name] = output.detach().float().cpu().clone()  # nets work in place

        return record

    handles = [module.register_forward_hook(hook(name)) for name, module in modules.items()]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def features(model: Model, options: Options, batch: Tensor) -> dict[str, Tensor]:
    """Each stage's features (B, ...) of pictures (B, 3, H, W) of one kind of noise.

    H and W fit the net. Nothing where the model leaves the pictures alone. Nets that take the
    noise's strength are given one estimate for the batch.
    """
    noise = NoiseConditioning()
    if model.abilities.takes_sigma:
        noise = judge_sample(torch.cat(list(batch), 2), model)
    origins = [(0, 0)] * len(batch)
    with torch.inference_mode(), recorded(stages(model.card.arch, model.net)) as outputs:
        denoise_tiles(batch.to(model.device), origins, noise, model, options)
    return dict(outputs)


def vectors(feature: Tensor) -> Tensor:
    """Channel vectors (n, C) of features (B, C, H, W)."""
    return feature.movedim(1, -1).reshape(-1, feature.shape[1])
