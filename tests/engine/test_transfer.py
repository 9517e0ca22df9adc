"""Tiles on their way to a GPU and back, which a fake stands for."""

from __future__ import annotations

import sys
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from mdn.engine.run import NetGeometry, Runtime, _arrivals, _infer, run
from mdn.engine.tiles import Span
from mdn.engine.transfer import Direct, Streamed

CPU = torch.device("cpu")
ENGINE = sys.modules["mdn.engine.run"]


class FakeCuda:
    """The part of torch.cuda that is used, on main memory; notes who waits for whom."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.now = FakeStream(self, "net")

    def Stream(self, device: torch.device) -> FakeStream:
        return FakeStream(self, "copies")

    def current_stream(self, device: torch.device) -> FakeStream:
        return self.now

    def Event(self) -> FakeEvent:
        return FakeEvent(self)

    @contextmanager
    def stream(self, stream: FakeStream):
        before, self.now = self.now, stream
        yield
        self.now = before


class FakeStream:
    def __init__(self, cuda: FakeCuda, name: str) -> None:
        self.cuda, self.name = cuda, name

    def wait_stream(self, other: FakeStream) -> None:
        self.cuda.log.append(f"{self.name} waits for {other.name}")


class FakeEvent:
    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda

    def record(self, stream: FakeStream) -> None:
        self.cuda.log.append(f"event on {stream.name}")

    def synchronize(self) -> None:
        self.cuda.log.append("main waits")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    fake = FakeCuda()
    monkeypatch.setattr(
        "mdn.engine.transfer.pinned",
        lambda shape: torch.empty(shape).contiguous(memory_format=torch.channels_last),
    )
    monkeypatch.setattr(
        torch.Tensor,
        "record_stream",
        lambda self, stream: fake.log.append(f"memory kept for {stream.name}"),
    )
    return fake


def test_copies_have_a_stream_of_their_own_and_everyone_waits_for_what_is_needed(
    cuda: FakeCuda,
) -> None:
    carrier = Streamed(CPU, cuda)
    tiles = torch.rand(2, 3, 8, 8)
    there = carrier.send(tiles)
    assert there.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(there, tiles)
    assert cuda.log == ["net waits for copies", "memory kept for net"]
    cuda.log.clear()
    arrive = carrier.fetch(there * 2)
    assert cuda.log == ["copies waits for net", "memory kept for copies", "event on copies"]
    np.testing.assert_array_equal(arrive(), 2 * tiles.permute(0, 2, 3, 1).numpy())
    assert cuda.log[-1] == "main waits"


def test_the_next_batch_is_sent_before_the_answer_to_the_last_is_waited_for(cuda: FakeCuda) -> None:
    carrier = Streamed(CPU, cuda)
    spans = [[Span(0, 8, np.ones(8, np.float32))] for _ in range(3)]
    sent = (
        (
            share,
            batch,
            _infer(lambda x, _: x, torch.full((1, 1, 8, 8), share), [], Runtime(CPU), carrier),
        )
        for share, batch in zip((0.25, 0.5, 0.75), spans, strict=True)
    )
    found = [(share, float(values.mean())) for share, _, values in _arrivals(sent, carrier.ahead)]
    assert found == [(0.25, 0.25), (0.5, 0.5), (0.75, 0.75)]
    steps = [line for line in cuda.log if line in ("net waits for copies", "main waits")]
    send, wait = "net waits for copies", "main waits"
    assert steps == [send, send, wait, send, wait, wait]


def test_pictures_are_the_same_by_either_way(
    cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = np.random.default_rng(0).random((150, 330, 3), np.float32)
    net = torch.nn.Conv2d(3, 3, 3, padding=1)

    def result() -> np.ndarray:
        geometry, runtime = NetGeometry(1, 2, 100.0), Runtime(CPU, tile=96)
        return run(lambda x, _: net(x), geometry, runtime, picture, lambda v: v, lambda v: v)

    monkeypatch.setitem(ENGINE.BATCH_PIXELS, "cpu", 96 * 96)
    monkeypatch.setattr(ENGINE, "carrier_to", Direct)
    direct = result()
    monkeypatch.setattr(ENGINE, "carrier_to", lambda device: Streamed(device, cuda))
    np.testing.assert_array_equal(result(), direct)
    assert cuda.log.count("main waits") > 4
