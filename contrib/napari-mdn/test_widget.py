"""The widget without a screen: QT_QPA_PLATFORM=offscreen python -m pytest contrib/napari-mdn."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari.components import ViewerModel
from napari.layers import Image
from napari_mdn import DenoiseWidget, usual_axes


def noisy(shape: tuple[int, ...], dtype: str = "uint16") -> np.ndarray:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    light = 40 * (2 + np.sin(x / 9) + np.cos(y / 13))
    return (100 + 3 * rng.poisson(np.broadcast_to(light, shape))).astype(dtype)


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


def finished(qtbot, widget: DenoiseWidget) -> None:
    worker = widget.start()
    with qtbot.waitSignal(worker.finished, timeout=120_000):
        pass
    qtbot.wait(50)


@pytest.mark.parametrize(
    ("shape", "rgb", "axes"),
    [((64, 80), False, "YX"), ((3, 64, 80), False, "ZYX"), ((64, 80, 3), True, "YXS"),
     ((2, 3, 64, 80), False, "TZYX")],
)  # fmt: skip
def test_axes_are_named_as_mdn_names_them(shape, rgb: bool, axes: str) -> None:
    assert usual_axes(Image(np.zeros(shape, np.uint8), rgb=rgb)) == axes


def test_a_stack_comes_back_without_noise_and_looks_the_same(qtbot, viewer: ViewerModel) -> None:
    data = noisy((3, 96, 96))
    before = data.copy()
    source = viewer.add_image(data, name="cells", scale=(2, 0.5, 0.5), colormap="green")
    widget = DenoiseWidget(viewer)
    qtbot.addWidget(widget)
    finished(qtbot, widget)
    result = viewer.layers["cells denoised"]
    assert (result.data.shape, result.data.dtype) == (data.shape, data.dtype)
    assert np.array_equal(source.data, before)
    assert np.array_equal(result.scale, source.scale)
    assert result.colormap.name == "green"
    assert result.metadata["mdn"]["axes"] == "ZYX"
    step = lambda x: np.abs(np.diff(x.astype(float), axis=-1)).mean()  # noqa: E731
    assert step(result.data) < 0.5 * step(data)
    assert widget.button.isEnabled()


def test_strength_and_model_are_used(qtbot, viewer: ViewerModel) -> None:
    data = np.repeat((noisy((64, 64)) // 4).clip(0, 255).astype("uint8")[..., None], 3, -1)
    viewer.add_image(data, name="photo", rgb=True)
    widget = DenoiseWidget(viewer)
    qtbot.addWidget(widget)
    widget.strength.setValue(0)
    widget.model.setCurrentText("photo-fast")
    finished(qtbot, widget)
    assert np.array_equal(viewer.layers["photo denoised"].data, data)
    assert viewer.layers["photo denoised"].metadata["mdn"]["model"] == "photo-fast"


def test_a_mistake_is_a_message(qtbot, viewer: ViewerModel, monkeypatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("napari_mdn.show_error", told.append)
    viewer.add_image(noisy((64, 64)), name="cells")
    widget = DenoiseWidget(viewer)
    qtbot.addWidget(widget)
    widget.model.setCurrentText("no-such-model")
    finished(qtbot, widget)
    assert len(viewer.layers) == 1
    assert "no-such-model" in told[0]
    assert widget.button.isEnabled()


def test_without_a_layer_there_is_nothing_to_press(qtbot, viewer: ViewerModel) -> None:
    widget = DenoiseWidget(viewer)
    qtbot.addWidget(widget)
    assert not widget.button.isEnabled()
    viewer.add_image(noisy((64, 64)), name="cells")
    assert widget.button.isEnabled()
    assert widget.axes.text() == "YX"
    viewer.layers.clear()
    assert not widget.button.isEnabled()
