"""Devices and precisions by name, sizes in memory."""

import pytest
import torch

from mdn.engine.device import choose_device
from mdn.engine.memory import parse_size
from mdn.errors import UsageError


@pytest.mark.parametrize("wish", ["gpu", "cuda:x", "cpu0", ""])
def test_unknown_devices_are_refused(wish: str) -> None:
    with pytest.raises(UsageError, match="choose auto"):
        choose_device(wish)


def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match=r"cuda"):
        choose_device(f"cuda:{torch.cuda.device_count()}")


@pytest.mark.parametrize(
    ("text", "size"),
    [("1G", 2**30), ("512M", 2**29), ("1.5GiB", 3 * 2**29), ("4096", 4096), ("2kb", 2048)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "1X", "0", "nan"])
def test_odd_sizes_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="size"):
        parse_size(text)
