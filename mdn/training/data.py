"""Clean pictures in memory, and random crops of them.

    python -m mdn.training.data photos more/photos --data DIR -o DIR/all.safetensors

packs the pictures of two folders into one file, which loads without decoding and takes the place of
both in a recipe's sources: the same crops are drawn of it, and the same pictures held out.
"""

import argparse
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from torch.utils.data import DataLoader

from mdn.errors import UsageError, plain_errors
from mdn.io.atomic import write_bytes
from mdn.public_pictures import SKIMAGE, skimage_photographs

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
TRAIN = "train"  # the part of PICTURES (docs/bench.md) that is trained on
CANDIDATES = 4  # crops of which `busiest` takes one
AHEAD = 3  # batches that a worker of `batches` keeps ready


def load_pictures(sources: tuple[str, ...], root: Path) -> dict[str, Tensor]:
    """Decode every picture of the folders and shards once.

    Args:
        sources: image folders or shards (.safetensors), relative to `root`; or "skimage", where no
            folder is called so: the photographs of `mdn.public_pictures`.
        root: the data folder.

    Returns:
        name -> uint8 (3, H, W), sorted by name.

    Raises UsageError: a source is missing, empty or holds an unreadable picture.
    """
    pictures: dict[str, Tensor] = {}
    for source in sources:
        path = place(root, source)
        if path.suffix == ".safetensors" and path.is_file():
            content = _read_shard(path)
        elif path.is_dir() or source == SKIMAGE:
            inside = path.iterdir() if path.is_dir() else skimage_photographs()
            files = sorted(p for p in inside if p.suffix.lower() in SUFFIXES)
            content = {f"{source}/{file.name}": _decode(file) for file in files}
        else:
            raise UsageError(f"{path}: no such training folder or shard; --data names their parent")
        if not content:
            raise UsageError(f"{path}: no pictures in it")
        pictures |= content
    return dict(sorted(pictures.items()))


def place(root: Path, source: str) -> Path:
    """Where a source of a recipe is: in the data folder, or in train/ in it."""
    inside = root / TRAIN / source
    return inside if inside.exists() and not (root / source).exists() else root / source


def save_shard(pictures: dict[str, Tensor], path: Path) -> None:
    """Pack decoded pictures into one file that loads without decoding.

    Raises FileError: it cannot be written.
    """
    write_bytes(path, save({name: picture.contiguous() for name, picture in pictures.items()}))


def split(pictures: dict[str, Tensor], hold_out: int) -> tuple[list[Tensor], list[Tensor]]:
    """(training, validation): every `hold_out`-th of the sorted names is held out; 0 holds none."""
    training: list[Tensor] = []
    validation: list[Tensor] = []
    for index, name in enumerate(sorted(pictures)):
        out = hold_out and index % hold_out == 0
        (validation if out else training).append(pictures[name])
    return training, validation


class Crops:
    """Random square crops, flipped and turned, of pictures held in memory.

    Args:
        pictures: uint8 (3, H, W) each; those smaller than a crop are left out.
        size: side of the largest crops, pixels.
        scales: the smallest and largest factor of the picture's size at which a crop may be taken,
            drawn evenly by its logarithm; none: at its own.
        own_size: share of the crops that are taken at the picture's own size all the same, with the
            grain and the traces of a codec that pictures come with.

    Raises UsageError: no picture is large enough.
    """

    def __init__(
        self,
        pictures: list[Tensor],
        size: int,
        device: torch.device,
        scales: tuple[float, ...] = (),
        own_size: float = 0.0,
    ) -> None:
        large = [p for p in pictures if min(p.shape[1:]) >= size]
        if not large:
            raise UsageError(
                f"every training picture is smaller than the crop of {size} pixels;"
                " lower [data] crop or add larger pictures"
            )
        self.left_out = len(pictures) - len(large)
        self.size, self.scales, self.own_size = size, scales, own_size
        self.pictures = [p.to(device) for p in large]

    def draw(
        self,
        count: int,
        generator: torch.Generator,
        size: int = 0,
        *,
        scales: tuple[float, ...] = (),
    ) -> Tensor:
        """`count` crops as float32 (count, 3, size, size) in 0..1; a CPU generator.

        size: side of these crops; 0 for the largest. scales: in place of the recipe's, for all.
        """
        numbers = 6 if self.scales or scales else 5
        dice = torch.rand(count, numbers, generator=generator).tolist()
        sides = size or self.size
        crops = torch.stack([self._one(sides, *row, scales=scales) for row in dice])
        return crops.float() / 255

    def busiest(self, count: int, generator: torch.Generator) -> Tensor:
        """As `draw`, each crop the one of CANDIDATES that holds the most fine detail.

        What is easily taken for noise is grass, sand and leaves, of which an even draw has few.
        """
        crops = self.draw(count * CANDIDATES, generator)
        smooth = F.avg_pool2d(crops, 3, 1, 1, count_include_pad=False)
        detail = (crops - smooth).abs().mean((1, 2, 3)).view(count, CANDIDATES)
        return crops.view(count, CANDIDATES, *crops.shape[1:])[range(count), detail.argmax(1)]

    def _one(
        self,
        size: int,
        which: float,
        down: float,
        across: float,
        flip: float,
        turn: float,
        zoom: float = -1.0,
        *,
        scales: tuple[float, ...] = (),
    ) -> Tensor:
        picture = self.pictures[int(which * len(self.pictures))]
        side = self._side(picture, size, zoom, scales)
        top = int(down * (picture.shape[1] - side + 1))
        left = int(across * (picture.shape[2] - side + 1))
        crop = picture[:, top : top + side, left : left + side]
        if side != size:
            crop = _resized(crop, size)
        if flip < 0.5:
            crop = crop.flip(2)
        return torch.rot90(crop, int(turn * 4), (1, 2))

    def _side(self, picture: Tensor, size: int, zoom: float, scales: tuple[float, ...]) -> int:
        """Of the square that a crop of that size is made from."""
        own = 0.0 if scales else self.own_size
        if zoom < own:
            return size
        low, high = scales or self.scales
        zoom = (zoom - own) / (1 - own)
        return min(round(size / (low * (high / low) ** zoom)), *picture.shape[1:])


def _resized(crop: Tensor, size: int) -> Tensor:
    """uint8 (C, n, n) -> (C, size, size), bicubic and without aliases."""
    shape = (size, size)
    larger = F.interpolate(crop[None].float(), shape, mode="bicubic", antialias=True)[0]
    return larger.round().clamp(0, 255).to(crop.dtype)


def middle(picture: Tensor, size: int) -> Tensor:
    """The square of that side in the middle of (C, H, W)."""
    top, left = (picture.shape[1] - size) // 2, (picture.shape[2] - size) // 2
    return picture[:, top : top + size, left : left + size]


def _decode(path: Path) -> Tensor:
    try:
        pixels = iio.imread(path, plugin="pillow", mode="RGB")
    except Exception as error:  # decoders raise whatever they like
        raise UsageError(f"{path}: not a readable picture: {error}") from error
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).contiguous()


def _read_shard(path: Path) -> dict[str, Tensor]:
    try:
        shard = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{path}: not a readable shard: {error}") from error
    for name, picture in shard.items():
        if picture.dtype != torch.uint8 or picture.ndim != 3 or picture.shape[0] != 3:
            raise UsageError(f"{path}: {name} is not a uint8 picture of 3 x H x W")
    return shard


def batches(draw: Callable[[int], Any], first: int, last: int, workers: int) -> Iterator[Any]:
    """draw(step) of every step from first to last - 1, in order.

    Args:
        draw: depends on the step alone, so that it does not matter which process calls it.
        workers: processes that draw ahead; 0 to draw here.
    """
    if not workers:
        yield from map(draw, range(first, last))
        return
    yield from DataLoader(
        range(first, last),  # type: ignore[arg-type]
        batch_size=None,
        collate_fn=draw,  # type: ignore[arg-type]
        num_workers=workers,
        prefetch_factor=AHEAD,
        worker_init_fn=_leave_interrupts,
        multiprocessing_context="fork",  # the pictures are not copied
    )


def _leave_interrupts(_: int) -> None:
    """Ctrl-C is the training's to handle, which ends its workers when its step is done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@plain_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description="Packs pictures to train on into one file.")
    parser.add_argument("sources", nargs="+", help="folders of pictures, relative to --data")
    parser.add_argument("--data", type=Path, default=Path())
    parser.add_argument("-o", "--out", type=Path, required=True, help="a name in .safetensors")
    options = parser.parse_args()
    save_shard(load_pictures(tuple(options.sources), options.data), options.out)


if __name__ == "__main__":
    main()
