"""HDR photos as a usual screen shows them: fewer colours, and a shoulder for what is bright."""

import numpy as np

from mdn.encoding.hdr import light_of_srgb, srgb_of

SHOULDER = 0.75  # of sRGB's signal: what is brighter is compressed, so that it stays below white
# Light in other primaries, by their numbers in H.273 -> in those of sRGB.
_TO_SRGB = {
    9: [  # BT.2020, see BT.2087
        [1.6605, -0.5876, -0.0728],
        [-0.1246, 1.1329, -0.0083],
        [-0.0182, -0.1006, 1.1187],
    ],
    12: [  # Display P3
        [1.2249, -0.2247, 0.0],
        [-0.0420, 1.0419, 0.0],
        [-0.0197, -0.0786, 1.0979],
    ],
}


def on_screen(values: np.ndarray, primaries: int) -> np.ndarray:
    """(H, W, C) as `Rec2100.encode` gives it -> float32, 0..1, in sRGB."""
    if values.shape[-1] == 3 and primaries in _TO_SRGB:
        light = light_of_srgb(np.maximum(values, 0)) @ np.array(_TO_SRGB[primaries]).T
        values = srgb_of(np.maximum(light, 0))
    room = 1 - SHOULDER
    bright = 1 - room * np.exp(-(np.maximum(values, SHOULDER) - SHOULDER) / room)
    return np.where(values > SHOULDER, bright, values).clip(0, 1).astype(np.float32)
