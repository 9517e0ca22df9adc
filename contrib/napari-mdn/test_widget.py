"""The widget without a screen: QT_QPA_PLATFORM=offscreen python -m pytest contrib/napari-mdn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

import napari_mdn
from napari.components import ViewerModel
from napari.layers import Image
from napari_mdn import DenoiseWidget, usual_axes
from npe2 import PluginManifest
from qtpy.QtCore import Qt


def noisy(shape: tuple[int, ...], dtype: str = "uint16") -> np.ndarray:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    light = 40 * (2 + np.sin(x / 9) + np.cos(y / 13))
    return (100 + 3 * rng.poisson(np.broadcast_to(light, shape))).astype(dtype)


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


def finished(qtbot, widget: DenoiseWidget) -> None:
    """Press the button, and wait until it can be pressed again.

    Not for the worker's own signal: it may be given before anybody listens.
    """
    qtbot.mouseClick(widget.button, Qt.LeftButton)
    assert not widget.button.isEnabled()
    qtbot.waitUntil(widget.button.isEnabled, timeout=120_000)


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


def test_the_result_lies_on_its_layer(qtbot, viewer: ViewerModel) -> None:
    placed = [[0, 2, 7], [-2, 0, 9], [0, 0, 1]]
    source = viewer.add_image(noisy((64, 64)), name="cells", affine=placed, translate=(3, 4))
    widget = DenoiseWidget(viewer)
    qtbot.addWidget(widget)
    widget.strength.setValue(0)
    finished(qtbot, widget)
    result = viewer.layers["cells denoised"]
    assert np.allclose(result.data_to_world((5, 6)), source.data_to_world((5, 6)))


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


def test_without_a_layer_there_is_nothing_to_press(qtbot, viewer: ViewerModel) -> None:
    widget = DenoiseWidget(viewer)
    qtbot.addWidget(widget)
    assert not widget.button.isEnabled()
    viewer.add_image(noisy((64, 64)), name="cells")
    assert widget.button.isEnabled()
    assert widget.axes.text() == "YX"
    viewer.layers.clear()
    assert not widget.button.isEnabled()


def test_what_is_typed_stays_while_layers_come_go_and_are_renamed(qtbot, viewer) -> None:
    source = viewer.add_image(noisy((2, 64, 64)), name="cells")
    widget = DenoiseWidget(viewer)
    qtbot.addWidget(widget)
    widget.axes.setText("TYX")
    other = viewer.add_image(noisy((64, 64)), name="other")
    source.name = "nuclei"
    assert (widget.chosen(), widget.axes.text()) == (source, "TYX")
    assert widget.layer.currentText() == "nuclei"
    viewer.layers.remove(source)
    assert (widget.chosen(), widget.axes.text()) == (other, "YX")


def test_two_presses_are_one(qtbot, viewer: ViewerModel) -> None:
    """The button stays off while it works, whatever layers come."""
    viewer.add_image(noisy((64, 64)), name="cells")
    widget = DenoiseWidget(viewer)
    qtbot.addWidget(widget)
    widget.strength.setValue(0)
    widget.start()
    viewer.add_image(noisy((64, 64)), name="other")
    assert not widget.button.isEnabled()
    qtbot.waitUntil(widget.button.isEnabled, timeout=120_000)
    assert [layer.name for layer in viewer.layers] == ["cells", "other", "cells denoised"]


def test_the_manifest_names_what_is_there() -> None:
    manifest = PluginManifest.from_file(Path(napari_mdn.__file__).with_name("napari.yaml"))
    manifest.validate_imports()
    (command,), (widget,) = manifest.contributions.commands, manifest.contributions.widgets
    assert widget.command == command.id
    assert command.python_name == f"{DenoiseWidget.__module__}:{DenoiseWidget.__name__}"
