"""What do wrong choices of a model's gates lose? `python -m benchmarks.gates PICTURES -m photo`.

PICTURES holds train/. The middles of the photographs that training held out, clean, as JPEGs and
with eight noises, are denoised by both nets. A line for each way of choosing and sort of picture:
the PSNR in dB that is lost on average against the best of both results and the picture as it came,
the most that is lost on one, and how many are left alone that lose more than NOTED by it. A share
of a result may be better than all of it, which counts as a negative loss. Errors below 52 dB count
as none.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks import folders
from benchmarks.judgement import HOLD_OUT, SOURCES, coded
from mdn import noise
from mdn.noise.synthesis import camera
from mdn.pipeline.models import Models
from mdn.pipeline.reading import read_noise
from mdn.pipeline.second_look import chooser
from mdn.pipeline.specialist import reader, with_net_of
from mdn.registry.model import Model
from mdn.training.data import load_pictures, middle, split
from mdn.training.gate_lessons import decibels

NOISES = (
    ("gaussian", 5), ("gaussian", 12), ("gaussian", 25), ("poisson", 1), ("correlated", 8),
    ("grain", 12), ("camera", 200), ("camera", 1600),
)  # fmt: skip
QUALITIES = (90, 70)
NOTED = 0.5  # dB


def cases(page: Tensor, seed: int) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Sort, picture and truth, (3, H, W) in 0..1, of a clean uint8 picture (3, H, W)."""
    truth = page.float() / 255
    yield "clean", truth, truth
    for quality in QUALITIES:
        jpeg = coded(page.permute(1, 2, 0).numpy(), quality)
        yield "JPEG", torch.from_numpy(jpeg.copy()).permute(2, 0, 1).float() / 255, truth
    for kind, level in NOISES:
        generator = torch.Generator().manual_seed(seed)
        if kind == "camera":
            settings = camera.draw_settings(level, generator)
            noisy, twin = camera.take_photo(truth[None], settings, generator)
            yield "noisy", noisy[0], twin[0]
        else:
            noisy = noise.add(truth[None], kind, float(level), generator)[0]
            yield "noisy", (255 * noisy.clamp(0, 1)).round() / 255, truth


@torch.inference_mode()
def lost(model: Model, page: Tensor, truth: Tensor) -> dict[str, tuple[bool, float]]:
    """For each way of choosing whether the picture is left alone, and the dB that it loses."""
    net = reader(model)
    first = read_noise(net, page)
    ways = {"first gate": first, "both gates": read_noise(net, page, chooser(model))}
    nets = [with_net_of(model, name).net for name in (model.card.coarse, model.card.white)]
    with torch.autocast("cpu", torch.bfloat16):
        results = [net(page[None], noise=first.descriptor)[0].float().clamp(0, 1) for net in nets]
    least = min(error(each, truth) for each in (page, *results))
    found = {}
    for way, reading in ways.items():
        share = 0.0 if reading.clean else reading.share
        result = torch.lerp(page, results[reading.white], share)
        found[way] = share == 0, error(result, truth) - least
    return found


def error(page: Tensor, truth: Tensor) -> float:
    """dB, see training.gate_lessons.decibels."""
    return float(decibels((page - truth).square().mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=folders.with_parts("train"))
    parser.add_argument("-m", "--model", default="photo")
    parser.add_argument("--side", type=int, default=384, help="of the pictures, pixels")
    options = parser.parse_args()
    model = Models(options.model, device="cpu").load()
    sources = tuple(f"train/{name}" for name in SOURCES)
    _, held_out = split(load_pictures(sources, options.data), HOLD_OUT)
    rows: list[tuple[str, str, bool, float]] = []
    for number, page in enumerate(held_out):
        side = min(options.side, *page.shape[1:]) // 16 * 16
        page = middle(page, side).contiguous()
        for sort, picture, truth in cases(page, number):
            found = lost(model, picture.contiguous(), truth)
            rows += [(way, sort, alone, loss) for way, (alone, loss) in found.items()]
    print("| way | sort | pictures | lost on average | most | left alone |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for way in ("first gate", "both gates"):
        for sort in ("noisy", "clean", "JPEG"):
            mine = [(alone, loss) for w, s, alone, loss in rows if (w, s) == (way, sort)]
            losses = [loss for _, loss in mine]
            left = sum(alone and loss > NOTED for alone, loss in mine)
            print(
                f"| {way} | {sort} | {len(mine)} | {np.mean(losses):.3f} | {max(losses):.1f} |"
                f" {left} |"
            )


if __name__ == "__main__":
    main()
