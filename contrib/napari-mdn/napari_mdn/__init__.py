"""A widget for napari that removes the noise of an image layer with mdn.

The work is done in a thread. The result is a layer of its own, shown like the one it was made of;
its metadata say how it was made.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image
from napari.qt.threading import thread_worker
from napari.utils.notifications import show_error
from napari.viewer import Viewer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSlider,
    QWidget,
)

AUTO = "automatic"
MODELS = (AUTO, "cells", "photo", "photo-fast")
STEPS = 100  # of the slider, in a strength of 1
# What the result takes over from its layer, so that both lie on each other and look alike.
SHARED = (
    "scale", "translate", "rotate", "shear", "affine", "units", "axis_labels", "colormap",
    "contrast_limits", "gamma", "interpolation2d", "interpolation3d", "rendering",
)  # fmt: skip


def usual_axes(layer: Image) -> str:
    """A letter for each axis of a layer's data, as mdn names them.

    Those that the layer names itself count where they are letters that mdn knows. Otherwise the
    axes before rows and columns are slices, times and channels.
    """
    rest = layer.ndim - 2
    named = [str(name).upper() for name in getattr(layer, "axis_labels", ())]
    known = len(set(named)) == layer.ndim and named[-2:] == ["Y", "X"]
    if known and all(len(name) == 1 for name in named):
        front = "".join(named[:rest])
    else:
        front = {0: "", 1: "Z", 2: "TZ", 3: "TCZ"}.get(rest, "QRPTCZ"[-rest:])
    return front + "YX" + ("S" if layer.rgb else "")


def denoise(
    data: Any, axes: str, model: str | None, strength: float, sigma: float | None
) -> np.ndarray | str:
    """The data of a layer without its noise, of the same shape and dtype; or why that cannot be."""
    import mdn  # not above: it loads PyTorch

    try:
        return mdn.denoise(np.asarray(data), model, sigma=sigma, strength=strength, axes=axes)
    except mdn.errors.MdnError as error:
        return str(error)


class DenoiseWidget(QWidget):
    """Choose a layer and press the button."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.described: Image | None = None  # the layer whose axes are shown
        self.at_work = False
        self.layer = QComboBox()
        self.axes = QLineEdit()
        self.axes.setToolTip(
            "A letter for each axis of the data: Z slices, T times, C channels, YX rows, columns,"
            " S colours. Pictures before and after help along T."
        )
        self.model = QComboBox()
        self.model.addItems(MODELS)
        self.model.setEditable(True)  # a model of the user's own, by name or folder
        self.strength = QSlider(Qt.Horizontal)
        self.strength.setRange(0, 2 * STEPS)
        self.strength.setValue(STEPS)
        self.strength.setToolTip(
            "1 removes the noise that was measured; 2 takes it for twice as strong"
        )
        self.shown = QLabel()
        self.sigma = QDoubleSpinBox()
        self.sigma.setRange(0, 255)
        self.sigma.setSpecialValueText("measured")
        self.sigma.setToolTip("Strength of the noise on a scale of 0 to 255, where you know it")
        self.button = QPushButton("Remove noise")
        form = QFormLayout(self)
        rows = (
            ("layer", self.layer), ("axes", self.axes), ("model", self.model),
            ("strength", self.strength), ("", self.shown), ("sigma", self.sigma),
        )  # fmt: skip
        for name, field in rows:
            form.addRow(name, field)
        form.addRow(self.button)
        self.layer.currentIndexChanged.connect(self._layer_changed)
        self.strength.valueChanged.connect(self._strength_changed)
        self.button.clicked.connect(self.start)
        events = napari_viewer.layers.events
        for event in (events.inserted, events.removed, events.renamed):
            event.connect(self._layers_changed)
        self._layers_changed()
        self._strength_changed()

    def _layers_changed(self, event: Any = None) -> None:
        images = [layer for layer in self.viewer.layers if isinstance(layer, Image)]
        active = self.viewer.layers.selection.active
        wanted = next(
            (layer for layer in (self.layer.currentData(), active) if layer in images), None
        )
        self.layer.blockSignals(True)  # what is typed for a layer stays while others come and go
        self.layer.clear()
        for layer in images:
            self.layer.addItem(layer.name, layer)
        self.layer.setCurrentIndex(images.index(wanted) if wanted else len(images) - 1)
        self.layer.blockSignals(False)
        self._layer_changed()

    def _layer_changed(self, index: int = 0) -> None:
        layer = self.chosen()
        if layer is not self.described:
            self.axes.setText("" if layer is None else usual_axes(layer))
        self.described = layer
        self.button.setEnabled(layer is not None and not self.at_work)

    def _strength_changed(self, value: int = 0) -> None:
        self.shown.setText(f"{self.strength.value() / STEPS:.2f}")

    def chosen(self) -> Image | None:
        """The layer that is to be denoised; None where there is none."""
        return self.layer.currentData()

    def start(self) -> Any:
        """Denoise in a thread. Returns its worker, or None where there is no layer."""
        layer = self.chosen()
        if layer is None:
            return None
        model = self.model.currentText().strip()
        how = {
            "axes": self.axes.text().strip().upper(),
            "model": None if model in ("", AUTO) else model,
            "strength": self.strength.value() / STEPS,
            "sigma": self.sigma.value() or None,
        }
        data = layer.data[0] if layer.multiscale else layer.data
        make = thread_worker(denoise, progress={"desc": f"mdn: {layer.name}", "total": 0})
        worker = make(data, **how)
        worker.returned.connect(lambda result: self._finished(layer, result, how))
        worker.finished.connect(lambda: self._idle(True))
        self._idle(False)
        worker.start()
        return worker

    def _idle(self, idle: bool) -> None:
        self.at_work = not idle
        self.button.setEnabled(idle and self.chosen() is not None)
        self.button.setText("Remove noise" if idle else "at work ...")

    def _finished(self, layer: Image, result: np.ndarray | str, how: dict[str, Any]) -> None:
        if isinstance(result, str):
            show_error(result)
            return
        shared = {name: getattr(layer, name) for name in SHARED if hasattr(layer, name)}
        if layer.rgb:
            for name in ("colormap", "contrast_limits", "gamma"):
                shared.pop(name)
        self.viewer.add_image(
            result,
            name=f"{layer.name} denoised",
            rgb=layer.rgb,
            metadata={**layer.metadata, "mdn": how},
            **shared,
        )
