"""What a GPU changes: `python -m benchmarks.gpu [-m photo,photo-fast] [--side 2048] [--count 16]`.

For each model: how far its result on the GPU is from that on the processor, in float32 and in the
precision that `auto` chooses there; megapixels a second from JPEG to JPEG with one and with several
pictures in flight; and the most memory that PyTorch held on the GPU. Ends with 1 where a result in
float32 differs by more than one step of 8 bits: rounding alone moves a sample by no more.
"""

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.model_speed import Unheard, write_pictures
from mdn.bench.runner import Usage
from mdn.commands.denoise import ON_GPU
from mdn.commands.denoise_file import Batch, denoise_file
from mdn.commands.request import Request
from mdn.engine.device import choose_device
from mdn.errors import UsageError
from mdn.io import read_image
from mdn.jobs.compute_slots import ComputeSlots
from mdn.jobs.running import run_batch
from mdn.pipeline.in_memory import restore_page
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.renders.sequence import Sequence as FrameSequence

SMALL = 512  # side of the picture that the processor denoises too


def difference(name: str, device: str, folder: Path) -> dict[str, int]:
    """Largest difference from the processor's float32, in steps of 8 bits, for each precision."""
    page = read_image(write_pictures(folder, SMALL, 1)[0].source).pixels[0]

    def restored(device: str, precision: str) -> np.ndarray:
        model = Models(name, device=device).load()
        return restore_page(page, model, Options(precision=precision)).pixels.astype(np.int16)

    truth = restored("cpu", "fp32")
    return {
        precision: int(np.abs(restored(device, precision) - truth).max())
        for precision in ("fp32", "auto")
    }


def throughput(
    name: str, device: str, folder: Path, side: int, count: int, lanes: int
) -> tuple[float, float]:
    """Megapixels a second, and the most bytes held on the GPU."""
    request = Request(name, device=device)
    models = request.models()
    jobs = write_pictures(folder, side, count)
    taken = 0.0
    for some in (jobs[:2], jobs):  # the first time loads weights and chooses kernels
        slots = ComputeSlots(lanes)
        batch = Batch(request, models, FrameSequence(some, None), slots=slots)
        with Usage(models.device) as usage:
            begun = time.perf_counter()
            result = run_batch(some, partial(denoise_file, batch), Unheard(), slots=slots)
            taken = time.perf_counter() - begun
        if result.exit_code:
            sys.exit(result.outcomes[0].error)
    return side * side * count / taken / 1e6, usage.peak


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-m", "--models", default="photo-fast,photo,cells")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--count", type=int, default=16)
    asked = parser.parse_args()
    try:
        device = choose_device(asked.device)
    except UsageError as error:
        sys.exit(str(error))
    if device.type == "cuda":
        print(torch.cuda.get_device_name(device))
    print("| model | off in fp32 | off in auto | MP/s, one | MP/s, several | memory |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    wrong = []
    for name in asked.models.split(","):
        with tempfile.TemporaryDirectory() as work:
            folder = Path(work)
            off = difference(name, asked.device, folder)
            ways = [
                throughput(name, asked.device, folder, asked.side, asked.count, lanes)
                for lanes in (1, ON_GPU)
            ]
        wrong += [name] if off["fp32"] > 1 else []
        rates = " | ".join(f"{rate:.1f}" for rate, _ in ways)
        peak = max(peak for _, peak in ways) >> 20
        print(f"| {name} | {off['fp32']} | {off['auto']} | {rates} | {peak} MiB |", flush=True)
    if wrong:
        sys.exit(f"not the same on both: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
