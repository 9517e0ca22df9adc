"""Speed of the models for photos, all included: `python -m benchmarks.speed_told --threads 2`.

Gaussian noise of sigma 25 on a synthetic picture, from the page in memory to the page in memory,
the estimate of the noise too; microseconds a pixel by the clock and of the processor, the fastest
of some runs. The clock means something on a quiet machine only.
"""

import argparse
import time

import numpy as np
import torch

from mdn.pipeline.in_memory import restore_page
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.registry.model import Model

MODELS = "photo-fast,photo,generalist-s15"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--sides", default="512,1024,2048")
    parser.add_argument("--repeat", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print("| model | side | clock | processor |\n| --- | ---: | ---: | ---: |")
    for name in options.models.split(","):
        model = Models(name).load()
        for side in map(int, options.sides.split(",")):
            clock, processor = fastest(model, noisy(side), options.repeat)
            print(f"| {name} | {side} | {clock:.2f} | {processor:.2f} |", flush=True)


def noisy(side: int) -> np.ndarray:
    """Rounded shapes under noise, (side, side, 3) uint8."""
    down, across = np.mgrid[:side, :side] / 40
    shapes = np.sin(down + np.sin(across)) * np.cos(across / 3)
    random = np.random.default_rng(0)
    values = 128 + 60 * shapes[..., None] + random.normal(0, 25, (side, side, 3))
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def fastest(model: Model, page: np.ndarray, repeat: int) -> tuple[float, float]:
    """Microseconds a pixel by the clock and of the processor, after a run to warm up."""
    taken = []
    for _ in range(repeat + 1):
        clock, processor = time.perf_counter(), time.process_time()
        restore_page(page, model, Options())
        taken.append((time.perf_counter() - clock, time.process_time() - processor))
    pixels = page.shape[0] * page.shape[1]
    clocks, processors = zip(*taken[1:], strict=True)
    return 1e6 * min(clocks) / pixels, 1e6 * min(processors) / pixels


if __name__ == "__main__":
    main()
