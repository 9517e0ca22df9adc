"""Speed of masked SwinIR beside the authors' release: `python -m benchmarks.speed --threads 2`.

The paper's network, at test on one picture and in training on crops of 64. Time is given twice: on
the clock, which means something on a quiet machine only, and of the processor, which with one
thread holds on a busy one too.
"""

import argparse
import time
from collections.abc import Callable

import torch

from mdn.nets.swinir import SwinIR, SwinIRConfig

# Microseconds a pixel of the release on two cores, for (at test, training) and (float32, bfloat16).
RELEASE = {("test", False): 82, ("test", True): 51, ("train", False): 165, ("train", True): 96}


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=int, default=256, help="side of the picture at test")
    parser.add_argument("--batch", type=int, default=8, help="crops of a training step")
    parser.add_argument("--repeat", type=int, default=5, help="the fastest of so many counts")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{options.threads} threads; microseconds a pixel")
    print("case   autocast  clock  processor  release  times faster (clock)")
    for (case, half), release in RELEASE.items():
        run, pixels = at_test(options.size) if case == "test" else training(options.batch)
        clock, processor = fastest(run, half, options.repeat)
        clock, processor = 1e6 * clock / pixels, 1e6 * processor / pixels
        name = "bfloat16" if half else "none"
        ratio = release / clock
        print(f"{case:6} {name:8} {clock:6.1f} {processor:10.1f} {release:8} {ratio:8.1f}")


def at_test(size: int) -> tuple[Callable[[bool], None], int]:
    """One pass over a picture, and its pixels."""
    net, x = SwinIR(SwinIRConfig()).eval(), torch.rand(1, 3, size, size)

    def run(half: bool) -> None:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            net(x)

    return run, size**2


def training(batch: int) -> tuple[Callable[[bool], None], int]:
    """One step of Adam, and its pixels."""
    net, x = SwinIR(SwinIRConfig()).train(), torch.rand(batch, 3, 64, 64)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-4)

    def run(half: bool) -> None:
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = (net(x, seed=torch.arange(batch)) - x).abs().mean()
        loss.backward()
        optimiser.step()

    return run, batch * 64**2


def fastest(run: Callable[[bool], None], half: bool, repeat: int) -> tuple[float, float]:
    """Seconds on the clock and of the processor, after one run to warm up."""
    run(half)
    clocks, processors = [], []
    for _ in range(repeat):
        clock, processor = time.perf_counter(), time.process_time()
        run(half)
        clocks.append(time.perf_counter() - clock)
        processors.append(time.process_time() - processor)
    return min(clocks), min(processors)


if __name__ == "__main__":
    main()
