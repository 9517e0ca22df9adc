"""How fast models are on this machine, beside what its processor could do.

    python -m benchmarks.model_speed -m photo-fast,photo --side 2048
    python -m benchmarks.model_speed -m all

A batch of noisy pictures goes from files to files, as `mdn denoise` does it. The time in the net is
taken by itself; what a pixel costs there in operations and bytes is counted on PyTorch's meta
device, which computes nothing. The rates to compare with are those of one large matrix product and
of one large copy, in the precision that is chosen (the roofline model: Williams et al., CACM 2009).
"""

import argparse
import copy
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from mdn import io, nets
from mdn.bench.tables import table
from mdn.commands.denoise_file import Batch, denoise_file
from mdn.commands.request import Request
from mdn.engine.device import choose_device, choose_precision
from mdn.errors import MdnError
from mdn.image import Image
from mdn.jobs.compute_slots import ComputeSlots
from mdn.jobs.job import Job, Report, Unheard
from mdn.jobs.running import run_batch
from mdn.pipeline.options import Options
from mdn.registry import store
from mdn.renders.sequence import Sequence as FrameSequence

MODELS = "photo-fast,photo,generalist-s15"
SIGMA = 15  # of the noise in the pictures, 0-255 scale
MATRIX, COPIED = 1024, 2**24  # side of the product, samples of the copy, that give the rates
ROUNDS = 5  # of each, of which the fastest counts: other work does not decide


@dataclass(frozen=True)
class Rates:
    """What the machine can do: operations and bytes a second; in which precision."""

    precision: str
    flop: float
    bytes: float


@dataclass(frozen=True)
class Speed:
    """One model."""

    model: str  # its name
    flop: float  # that the net's products take for a pixel it is given
    bytes: float  # likewise, each tensor read and written once
    net: float  # seconds in the net for a pixel of the pictures, the overlap of tiles included
    share: float  # of the machine's rate that the net reaches
    rest: float  # seconds outside the net, as a share of those in it: files, noise, tiles


class NetClock:
    """Seconds and pixels of all calls of nets, in any thread."""

    def __init__(self, device: torch.device) -> None:
        self.seconds, self.pixels = 0.0, 0
        self.call: tuple[nn.Module, Any, Any] | None = None  # one of them, to count by
        self._device, self._begun = device, dict[int, float]()
        self._nets = tuple(arch.net for arch in nets.ARCHITECTURES.values())

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within it calls are counted."""
        handles = (
            hooks.register_module_forward_pre_hook(self._before),
            hooks.register_module_forward_hook(self._after, with_kwargs=True),
        )
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def _before(self, net: nn.Module, arguments: Any) -> None:
        if isinstance(net, self._nets):
            self._begun[id(arguments[0])] = self._now()

    def _after(self, net: nn.Module, arguments: Any, named: Any, result: Any) -> None:
        if isinstance(net, self._nets):
            x = arguments[0]
            self.seconds += self._now() - self._begun.pop(id(x))
            self.pixels += len(x) * x.shape[2] * x.shape[3]
            self.call = net, arguments, named


def measure(request: Request, side: int, count: int, rates: Rates) -> Speed:
    """One model on `count` pictures of `side` x `side` pixels.

    Raises MdnError: the model is not there, or cannot denoise.
    """
    models = request.models()
    with tempfile.TemporaryDirectory() as folder:
        jobs = write_pictures(Path(folder), side, count)
        slots, clock = ComputeSlots(), NetClock(models.device)
        batch = Batch(request, models, FrameSequence(jobs, None), slots=slots)
        _batch(jobs[:1], partial(denoise_file, batch), None)  # builds kernels
        with clock.running():
            whole = _batch(jobs, partial(denoise_file, batch), slots)
    assert clock.call is not None
    flop, traffic = work(*clock.call, 2 if rates.precision in ("bf16", "fp16") else 4)
    pixels = side * side * count
    return Speed(
        models.load().name,
        flop,
        traffic,
        clock.seconds / pixels,
        flop * clock.pixels / clock.seconds / rates.flop,
        (whole - clock.seconds) / clock.seconds,
    )


def _batch(jobs: list[Job], do: Callable[[Job, Report], dict[str, object]], slots: Any) -> float:
    """Does the jobs; seconds. Raises MdnError: one failed."""
    begun = time.perf_counter()
    result = run_batch(jobs, do, Unheard(), slots=slots)
    for outcome in result.outcomes:
        if outcome.status == "failed":
            raise MdnError(outcome.error)
    return time.perf_counter() - begun


def write_pictures(folder: Path, side: int, count: int) -> list[Job]:
    """Noisy shapes as JPEG files, and where to write what becomes of them."""
    down, across = np.mgrid[:side, :side] / 40
    shapes = 128 + 60 * np.sin(down + np.sin(across)) * np.cos(across / 3)
    jobs = []
    for number in range(count):
        noise = np.random.default_rng(number).normal(0, SIGMA, (side, side, 3))
        pixels = np.clip(np.round(shapes[..., None] + noise), 0, 255).astype(np.uint8)
        source = folder / f"{number}.jpg"
        io.write_image(Image(pixels[None], format="jpeg", name=source.name), source)
        target = folder / f"{number}_out.jpg"
        jobs.append(Job(source, target, source.name, overwrite=True))
    return jobs


class _Traffic(TorchDispatchMode):
    """Counts the samples that products read and write."""

    samples = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            leaves = tree_leaves((args, result))
            self.samples += sum(leaf.numel() for leaf in leaves if isinstance(leaf, Tensor))
        return result


def work(net: nn.Module, arguments: Any, named: Any, size: int) -> tuple[float, float]:
    """Operations and bytes of a net's products, by pixel of such a call; nothing is computed.

    size: bytes of a sample.
    """
    away = partial(tree_map_only, Tensor, lambda tensor: tensor.to("meta"))
    meta = copy.deepcopy(net).to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter, _Traffic() as traffic:
        meta(*away(arguments), **away(named))
    batch, _, height, width = arguments[0].shape
    pixels = batch * height * width
    return counter.get_total_flops() / pixels, size * traffic.samples / pixels


def rates(device: torch.device, precision: str) -> Rates:
    """What the machine can do, in the precision that `auto` or a name stands for."""
    dtype = choose_precision(precision, device) or torch.float32
    names = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
    a = torch.rand(MATRIX, MATRIX, device=device).to(dtype)
    x, y = (torch.zeros(COPIED, device=device) for _ in range(2))
    product = _least(device, lambda: torch.mm(a, a))
    copying = _least(device, lambda: y.copy_(x))
    return Rates(names[dtype], 2 * MATRIX**3 / product, 2 * 4 * COPIED / copying)


def _least(device: torch.device, do: Callable[[], object]) -> float:
    seconds = []
    for _ in range(ROUNDS + 1):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        begun = time.perf_counter()
        do()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - begun)
    return min(seconds[1:])


def every_model() -> list[str]:
    """Names of all models that denoise."""
    cards = store.list_cards()
    return [card.name for card in cards if nets.ARCHITECTURES[card.arch].purpose == "denoise"]


def request(model: str, device: str, precision: str) -> Request:
    """The request of `mdn denoise` with its defaults."""
    return Request(model, device=device, options=Options(precision=precision))


def _report(machine: Rates, speeds: list[Speed]) -> str:
    """A table in Markdown."""
    rate = f"{machine.flop / 1e9:.0f} GFLOP/s in {machine.precision}"
    head = f"machine: {rate}, {machine.bytes / 1e9:.1f} GB/s, {torch.get_num_threads()} threads"
    titles = ("model", "kFLOP/pixel", "bytes/pixel", "net", "of the rate", "outside")
    rows = [
        (
            speed.model,
            f"{speed.flop / 1e3:.0f}",
            f"{speed.bytes:.0f}",
            f"{1e6 * speed.net:.2f} us/pixel",
            f"{speed.share:.0%}",
            f"{speed.rest:.0%}",
        )
        for speed in speeds
    ]
    return "\n".join([head, "", *table(titles, rows, 1)])


def main(words: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("-m", "--model", default=MODELS, help="names with commas between, or all")
    parser.add_argument("--side", type=int, default=1024, help="of the pictures, in pixels")
    parser.add_argument("--count", type=int, default=4, help="how many pictures")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    names = every_model() if options.model == "all" else options.model.split(",")
    try:
        machine = rates(choose_device(options.device), options.precision)
        speeds = [
            measure(
                request(name.strip(), options.device, options.precision),
                options.side,
                options.count,
                machine,
            )
            for name in names
        ]
    except MdnError as error:
        parser.exit(error.exit_code, f"{error}\n")
    if options.json:
        print(json.dumps({"machine": asdict(machine), "models": [asdict(s) for s in speeds]}))
    else:
        print(_report(machine, speeds))


if __name__ == "__main__":
    main()
