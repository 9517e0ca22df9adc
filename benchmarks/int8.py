"""Would 8-bit integers pay? `python -m benchmarks.int8 PICTURES -m photo`.

What it costs: the residual blocks of a U-Net, by far most of its work, with 8-bit activations (one
range a tensor, calibrated on training pictures) and 8-bit weights (one scale an output channel),
against float32, in dB on held-out training pictures under Gaussian noise and on real pairs of
cameras. Once with the sum of each block in 8 bits too, once with that sum in float. What it gains:
one block in float32, bf16 and by PyTorch's int8 kernels (oneDNN), in turn, in processor time.

PICTURES holds train/ and val/cameras. The arithmetic of the first part is emulated in float32.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from benchmarks import folders, judgement
from mdn.nets.unet import ResidualBlock
from mdn.pipeline.in_memory import restore_page
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.registry.model import Model

SIDE, STEP, CALIBRATED_ON = 160, 2, 5
SIGMAS = (5, 15, 50)
BLOCKS = ((64, 320), (128, 160), (192, 80))  # channels, and side of the tensors of a tile of 640
Ranges = dict[tuple[int, int], tuple[float, float]]  # by block and place in it


def rounded(x: Tensor, low: float, high: float) -> Tensor:
    """x as it comes back from 8 bits over low..high, which holds 0."""
    step = (high - low) / 255
    zero = round(-low / step)
    return ((x / step).round() + zero).clamp(0, 255).sub(zero).mul(step)


def rounded_weight(weight: Tensor) -> Tensor:
    """As it comes back from 8 bits with a scale for each output channel."""
    step = weight.abs().amax((1, 2, 3), keepdim=True) / 127
    return (weight / step).round() * step


@contextmanager
def blocks_as(forward: Callable[[ResidualBlock, Tensor], Tensor]) -> Iterator[None]:
    """Within it residual blocks are computed so."""
    usual = ResidualBlock.forward
    ResidualBlock.forward = forward  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        ResidualBlock.forward = usual  # type: ignore[method-assign]


def calibrating(ranges: Ranges, block: ResidualBlock, x: Tensor) -> Tensor:
    """The block in float; widens the ranges by what comes by."""
    inner = F.relu(block.first(x))
    result = block.second(inner) + x
    for place, values in enumerate((x, inner, result)):
        low, high = ranges.get((id(block), place), (0.0, 1e-6))
        ranges[id(block), place] = min(low, float(values.min())), max(high, float(values.max()))
    return result


def quantised(ranges: Ranges, sums: bool, block: ResidualBlock, x: Tensor) -> Tensor:
    """The block with 8-bit products; with `sums` what it hands on has 8 bits too."""
    at = [ranges[id(block), place] for place in range(3)]
    first, second = rounded_weight(block.first.weight), rounded_weight(block.second.weight)
    seen = rounded(x, *at[0])
    inner = rounded(F.relu(F.conv2d(seen, first, padding=1)), *at[1])
    result = F.conv2d(inner, second, padding=1) + (seen if sums else x)
    return rounded(result, *at[2]) if sums else result


def psnr(model: Model, noisy: np.ndarray, clean: np.ndarray) -> float:
    """Of the denoised picture, uint8."""
    found = restore_page(noisy, model, Options(precision="fp32")).pixels
    return judgement.psnr(found, clean)


def pairs(folder: Path) -> tuple[list[np.ndarray], dict[str, list[tuple[np.ndarray, np.ndarray]]]]:
    """Noisy pictures to calibrate on, and groups of noisy and clean ones to measure."""
    random = np.random.default_rng(0)

    def noisy(clean: np.ndarray, sigma: float) -> np.ndarray:
        values = clean + random.normal(0, sigma, clean.shape)
        return np.clip(np.round(values), 0, 255).astype(np.uint8)

    held_out = list(judgement.photographs(folder, SIDE).values())[::STEP]
    groups = {f"gaussian {s}": [(noisy(crop, s), crop) for crop in held_out] for s in SIGMAS}
    cameras = folder / "val" / "cameras"
    groups["cameras"] = [
        (middle(cameras / "noisy" / path.name), middle(path))
        for path in sorted((cameras / "gt").iterdir())[:: 4 * STEP]
    ]
    learnt = sorted((folder / "train" / "photos").iterdir())[1::25]  # the 0th of 25 is held out
    return [noisy(middle(path), s) for path in learnt[:CALIBRATED_ON] for s in (0, *SIGMAS)], groups


def middle(path: Path) -> np.ndarray:
    """The middle square of a file."""
    return judgement.middle(Image.open(path), SIDE)


def cost(folder: Path, model: Model) -> None:
    """Prints what 8 bits lose."""
    learnt, groups = pairs(folder)
    ranges: Ranges = {}
    with blocks_as(lambda block, x: calibrating(ranges, block, x)):
        for noisy in learnt:
            restore_page(noisy, model, Options(precision="fp32"))
    print("| group | float32 | products in 8 bits | sums too |\n| --- | ---: | ---: | ---: |")
    for group, cases in groups.items():
        means = [np.mean([psnr(model, *case) for case in cases])]
        for sums in (False, True):
            forward = partial(quantised, ranges, sums)
            with blocks_as(lambda block, x, forward=forward: forward(block, x)):
                means.append(np.mean([psnr(model, *case) for case in cases]))
        changes = " | ".join(f"{mean - means[0]:+.2f}" for mean in means[1:])
        print(f"| {group} | {means[0]:.2f} | {changes} |", flush=True)


def int8_block(channels: int, sums: bool) -> Callable[[Tensor], Tensor]:
    """A block by PyTorch's int8 kernels: bfloat16 (1, C, H, W), with `sums` quint8, to the same."""
    torch.backends.quantized.engine = "onednn"
    weight = torch.randn(channels, channels, 3, 3) / (3 * channels**0.5)
    scales = weight.abs().amax((1, 2, 3)) / 127
    zeros = torch.zeros(channels, dtype=torch.int64)
    small = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
    packed = torch.ops.quantized.conv2d_prepack(small, None, [1, 1], [1, 1], [1, 1], 1)
    quantized = torch.ops.quantized

    def run(x: Tensor) -> Tensor:
        seen = x if sums else torch.quantize_per_tensor(x.float(), 0.04, 128, torch.quint8)
        inner = quantized.conv2d_relu(seen, packed, 0.02, 0)
        if sums:
            return quantized.conv2d_add(inner, seen, packed, 0.04, 128)
        return quantized.conv2d(inner, packed, 0.04, 128).dequantize().to(x.dtype).add_(x)

    return run


def gain(repeat: int) -> None:
    """Prints the processor time of one block in each precision, the least of some runs in turn."""
    print("| channels | float32 | bf16 | int8 products | int8 sums too |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for channels, side in BLOCKS:
        x = torch.randn(1, channels, side, side).contiguous(memory_format=torch.channels_last)
        block = ResidualBlock(channels).to(memory_format=torch.channels_last)
        half = ResidualBlock(channels).to(torch.bfloat16, memory_format=torch.channels_last)
        eighth = torch.quantize_per_tensor(x, 0.04, 128, torch.quint8)
        cases: list[tuple[Callable[[Tensor], Tensor], Tensor]] = [
            (block, x),
            (half, x.bfloat16()),
            (int8_block(channels, False), x.bfloat16()),
            (int8_block(channels, True), eighth),
        ]
        best = [float("inf")] * len(cases)
        with torch.inference_mode():
            for turn in range(repeat + 1):
                for number, (run, values) in enumerate(cases):
                    begun = time.process_time()
                    run(values)
                    if turn:  # the first builds its kernel
                        best[number] = min(best[number], time.process_time() - begun)
        cells = " | ".join(f"{1e3 * seconds:.1f} ms" for seconds in best)
        print(f"| {channels} at {side} x {side} | {cells} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", type=folders.with_parts("train", "val/cameras"))
    parser.add_argument("-m", "--model", default="photo")
    parser.add_argument("--repeat", type=int, default=5)
    asked = parser.parse_args()
    gain(asked.repeat)
    cost(asked.pictures, Models(asked.model, device="cpu").load())


if __name__ == "__main__":
    main()
