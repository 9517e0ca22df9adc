"""Devices and precisions by name and by what the machine says of itself, bf16 by a measurement.

Machines that are not at hand (Apple, ARM, GPUs) are stood for by their flags.
"""

import platform
from pathlib import Path

import pytest
import torch

from mdn.engine import device
from mdn.engine import device as devices
from mdn.engine.device import choose_device, choose_precision
from mdn.engine.memory import parse_size
from mdn.errors import UsageError

ARM = "processor : 0\nCPU implementer : 0x41\nCPU part : {part}\n"
ALL = ("fp32", "bf16", "fp16")


@pytest.fixture
def flags(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Sets what the machine says of itself; a convolution takes 1 s in fp32, `measured` in bf16."""

    def set_flags(
        *, cuda: int = 0, capability: int = 0, mps: bool = False, amx: bool = False, measured=2.0
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (capability, 0))
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
        times = {torch.float32: 1.0, torch.bfloat16: measured}
        monkeypatch.setattr(devices, "_time_of", times.__getitem__)
        monkeypatch.setattr(devices, "CACHE", tmp_path / f"{len(list(tmp_path.iterdir()))}.json")

    return set_flags


def test_an_apple_computer_takes_its_gpu_in_half_precision(flags) -> None:
    flags(mps=True)
    device = choose_device("auto")
    assert (device.type, choose_device("mps")) == ("mps", device)
    assert choose_precision("auto", device, ALL) is torch.float16
    assert choose_precision("auto", device, ("fp32", "bf16")) is None
    with pytest.raises(UsageError, match="NVIDIA"):
        choose_device("cuda")


@pytest.mark.parametrize(("measured", "chosen"), [(0.4, torch.bfloat16), (2.5, None)])
def test_an_arm_server_takes_bf16_where_it_is_fast(
    flags, monkeypatch: pytest.MonkeyPatch, measured: float, chosen: torch.dtype | None
) -> None:
    flags(measured=measured)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert choose_device("auto").type == "cpu"
    assert choose_precision("auto", torch.device("cpu"), ALL) is chosen


def test_matrix_units_need_no_measurement(flags, monkeypatch: pytest.MonkeyPatch) -> None:
    flags(amx=True)
    monkeypatch.setattr(devices, "bf16_is_fast", lambda: pytest.fail("measured"))
    assert choose_precision("auto", torch.device("cpu"), ALL) is torch.bfloat16


@pytest.mark.parametrize(("capability", "chosen"), [(9, torch.bfloat16), (7, None)])
def test_a_gpu_goes_before_all_and_takes_bf16_where_it_has_it(
    flags, capability: int, chosen: torch.dtype | None
) -> None:
    flags(cuda=2, capability=capability, mps=True)
    device = choose_device("auto")
    assert device.type == "cuda"
    assert choose_precision("auto", device, ALL) is chosen
    assert choose_device("cuda:1").index == 1
    with pytest.raises(UsageError, match="cuda:0 to cuda:1"):
        choose_device("cuda:2")


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


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "deep" / "bf16.json"
    monkeypatch.setattr(device, "CACHE", path)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return path


def timing(monkeypatch: pytest.MonkeyPatch, seconds: dict[torch.dtype, list[float]]) -> list:
    """Stands in for the clock; the calls that were made."""
    calls: list[torch.dtype] = []

    def time_of(dtype: torch.dtype) -> float:
        calls.append(dtype)
        return seconds[dtype][(len(calls) - 1) // 2 % len(seconds[dtype])]

    monkeypatch.setattr(device, "_time_of", time_of)
    return calls


def test_it_is_measured_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = timing(monkeypatch, {torch.float32: [1.0], torch.bfloat16: [0.2]})
    assert device.bf16_is_fast()
    count = len(calls)
    assert device.bf16_is_fast()
    assert len(calls) == count
    assert [path.name for path in cache.parent.iterdir()] == ["bf16.json"]


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_a_damaged_file_is_measured_over(
    cache: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    cache.parent.mkdir()
    cache.write_text(text)
    timing(monkeypatch, {torch.float32: [1.0], torch.bfloat16: [0.2]})
    assert device.bf16_is_fast()


def test_the_real_measurement_answers(cache: Path) -> None:
    assert device._measure() in (True, False)
    assert device._processor()
