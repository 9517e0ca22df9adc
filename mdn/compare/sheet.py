"""Rows of crops with a heading over each column, as one picture."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 6  # pixels between crops
HEAD = 26  # pixels of the line of headings
PAPER, INK = (27, 27, 27), (221, 221, 221)


def sheet(headings: Sequence[str], rows: Sequence[Sequence[np.ndarray]]) -> Image.Image:
    """Crops (h, w, 1 or 3) uint8 of one size, row by row, under the headings of their columns."""
    height, width = rows[0][0].shape[:2]
    across = len(headings) * (width + GAP) - GAP
    made = Image.new("RGB", (across, HEAD + len(rows) * (height + GAP) - GAP), PAPER)
    draw, font = ImageDraw.Draw(made), ImageFont.load_default(15)
    for column, text in enumerate(headings):
        draw.text((column * (width + GAP) + 4, 4), text, INK, font)
    for number, row in enumerate(rows):
        for column, crop in enumerate(row):
            shown = Image.fromarray(crop[..., 0] if crop.shape[-1] == 1 else crop)
            made.paste(shown, (column * (width + GAP), HEAD + number * (height + GAP)))
    return made
