"""The engine: tiled equals whole, any size works, memory is bounded, running out is survived."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mdn import nets
from mdn.encoding import Display
from mdn.engine.run import Infer, NetGeometry, Runtime, rows_of, run, stream
from mdn.errors import OutOfMemoryError
from mdn.registry import store
from mdn.registry.cards import Card
from mdn.registry.model import load

CPU = torch.device("cpu")
SMALL = {
    "unet": {"widths": [4, 8], "blocks": [1, 1]},
    "swinir-masked": {"depths": [2], "dim": 12, "heads": 2, "window": 4},
}


def small_net(arch: str) -> nn.Module:
    """A small net of the architecture whose every layer matters, the last one too."""
    torch.manual_seed(0)
    net = nets.build(arch, SMALL[arch])
    for p in net.parameters():
        if not p.any():
            nn.init.normal_(p, std=0.1)
    return net.eval()


def go(
    infer: Infer,
    picture: np.ndarray,
    needs: NetGeometry,
    tile: int | None = None,
    max_memory: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    coding = Display(picture.dtype)
    runtime = Runtime(CPU, None, max_memory, tile)
    return run(infer, needs, runtime, picture, coding.encode, coding.decode, progress)


def picture_of(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(1).random((height, width, channels), np.float32)


def test_every_net_is_tested_here() -> None:
    # The hourglass of MPI normalises by the statistics of what it sees, so tiles differ by nature.
    assert SMALL.keys() == {
        name for name, kind in nets.ARCHITECTURES.items() if kind.purpose == "denoise"
    }


def infer_with(net: nn.Module, picture: np.ndarray | None = None) -> Infer:
    """As `mdn denoise` calls it: a net that draws masks takes the tiles' places, another sigma.

    A net that judges the noise does so once, from the whole picture where that is given.
    """
    takes = nets.abilities(net)
    if takes.judges_noise and picture is not None:
        with torch.no_grad():
            noise = net.judge(torch.from_numpy(picture.transpose(2, 0, 1))[None])
        return lambda batch, origins: net(batch, noise=noise)

    def infer(batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
        if takes.takes_sigma and not takes.judges_noise:
            return net(batch, level=torch.full((len(batch), 1, 1, 1), 25 / 255))
        return net(batch, origin=torch.tensor(origins)) if takes.takes_seed else net(batch)

    return infer


@pytest.mark.parametrize("wanted", [(0, 70), (70, 71), (71, 240), (240, 401)])
def test_wanted_rows_are_those_of_the_whole_to_the_bit(wanted: tuple[int, int]) -> None:
    net = small_net("unet")
    needs, picture = NetGeometry(net.receptive_field, net.multiple, 100), picture_of(401, 97)
    whole = go(infer_with(net), picture, needs, tile=1)
    part, coding, read = np.zeros_like(picture), Display(picture.dtype), []
    source = rows_of(picture, part)
    rows = replace(
        source, wanted=wanted, read=lambda a, b: read.append((a, b)) or source.read(a, b)
    )
    runtime = Runtime(CPU, None, None, 1)
    stream(infer_with(net), needs, runtime, rows, coding.encode, lambda y, *_: coding.decode(y))
    start, stop = wanted
    assert np.array_equal(part[start:stop], whole[start:stop])
    assert not part[:start].any()
    assert not part[stop:].any()
    assert sum(b - a for a, b in read) < len(picture)  # no more tiles than it takes


@pytest.mark.parametrize("arch", sorted(SMALL))
@pytest.mark.parametrize("size", [(211, 303), (130, 517), (97, 96)])
def test_tiled_equals_whole(arch: str, size: tuple[int, int]) -> None:
    net = small_net(arch)
    needs = NetGeometry(net.receptive_field, net.multiple, 100)
    picture = picture_of(*size)
    whole = go(infer_with(net), picture, needs, tile=4096)
    tiled = go(infer_with(net), picture, needs, tile=1)
    assert np.abs(whole - picture).max() > 0.05, "the net does something"
    assert np.abs(whole - tiled).max() < 1e-3


CARDS = [card for card in store.list_cards() if card.arch in SMALL]


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_tiled_equals_whole_with_the_context_on_the_card(card: Card) -> None:
    """A card may state less than the receptive field: then it must have been measured to do."""
    picture = picture_of(211, 403, card.channels)
    infer = infer_with(load(card, CPU), picture)
    needs = NetGeometry(card.context, card.multiple, card.bytes_per_pixel)
    whole = go(infer, picture, needs, tile=4096)
    tiled = go(infer, picture, needs, tile=1)
    assert np.abs(whole - picture).max() > 0.05, "the net does something"
    assert np.abs(whole - tiled).max() < 1e-3


@pytest.mark.parametrize("arch", sorted(SMALL))
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (17, 9)])
def test_pictures_smaller_than_a_window(arch: str, size: tuple[int, int]) -> None:
    net = small_net(arch)
    out = go(infer_with(net), picture_of(*size), NetGeometry(8, net.multiple, 100))
    assert out.shape == (*size, 3)
    assert np.isfinite(out).all()


def test_the_input_is_not_touched_and_the_dtype_is_kept() -> None:
    picture = np.random.default_rng(0).integers(0, 65536, (50, 70, 3)).astype(np.uint16)
    before = picture.copy()
    out = go(lambda x, _: x, picture, NetGeometry(4, 8, 100), tile=40)
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(out, before)
    assert out.dtype == np.uint16


def test_origins_are_those_of_the_tiles() -> None:
    height, width = 120, 200
    rows = np.arange(height, dtype=np.float32)[:, None] * 1000
    picture = (rows + np.arange(width, dtype=np.float32))[..., None]

    def check(batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
        for tile, (y, x) in zip(batch, origins, strict=True):
            assert tile[0, 0, 0].item() == y * 1000 + x
        return batch

    np.testing.assert_allclose(
        go(check, picture, NetGeometry(4, 8, 100), tile=48), picture, rtol=1e-6
    )


def test_progress_rises_to_one() -> None:
    seen: list[float] = []
    go(lambda x, _: x, picture_of(300, 300), NetGeometry(4, 8, 100), tile=64, progress=seen.append)
    assert (seen, seen[-1]) == (sorted(seen), 1)
    assert len(seen) > 3


def test_out_of_memory_halves_the_tile_and_goes_on() -> None:
    sizes: list[int] = []

    def short_of_memory(batch: Tensor, _: list[tuple[int, int]]) -> Tensor:
        sizes.append(batch.shape[-1])
        if batch.shape[-1] > 100:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ...")
        return batch

    picture = picture_of(400, 400)
    out = go(short_of_memory, picture, NetGeometry(4, 8, 100), tile=400)
    np.testing.assert_allclose(out, picture, atol=1e-6)
    assert sizes[:3] == [400, 160, 96]  # at most 200, then 100; as large as their number needs


def test_no_memory_at_all_is_said() -> None:
    def never(batch: Tensor, _: list[tuple[int, int]]) -> Tensor:
        raise MemoryError

    with pytest.raises(OutOfMemoryError, match="smallest tile"):
        go(never, picture_of(200, 200), NetGeometry(4, 8, 100))


def test_other_errors_are_not_taken_for_memory() -> None:
    def broken(batch: Tensor, _: list[tuple[int, int]]) -> Tensor:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        go(broken, picture_of(20, 20), NetGeometry(4, 8, 100))


def test_a_memory_cap_that_cannot_hold_is_said() -> None:
    with pytest.raises(OutOfMemoryError, match="--max-memory"):
        go(lambda x, _: x, picture_of(600, 600), NetGeometry(80, 8, 400), max_memory=2**20)


def test_a_call_is_no_larger_than_the_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, needs = picture_of(300, 1600), NetGeometry(4, 8, 1000)
    free = 100 * 2**20
    monkeypatch.setattr("mdn.engine.memory.available", lambda device: free)

    def check(batch: Tensor, _: list[tuple[int, int]]) -> Tensor:
        assert batch.shape[0] * batch.shape[2] * batch.shape[3] * needs.bytes_per_pixel < free
        return batch

    go(check, picture, needs, tile=100)
