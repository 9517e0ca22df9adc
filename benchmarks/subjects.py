"""Clean pictures of every sort, drawn by code: what a denoiser must leave alone.

Each function draws one subject as uint8 (side, side, 3); nothing is random but what a fixed seed
gives. No training draws from here.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Subject = Callable[[int], np.ndarray]
TEXT = (
    "noise is a property of the picture and texture of a place every flat patch shows the noise "
    "in a clean one none does so read the whole page before you judge 0123456789 (x, y) != 42;"
)
WORDS = TEXT.split()


def grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each pixel, float."""
    rows, columns = np.mgrid[:side, :side]
    return rows.astype(float), columns.astype(float)


def shaded(values: np.ndarray, dark: tuple[int, ...], light: tuple[int, ...]) -> np.ndarray:
    """Values of 0..1 (H, W) as a picture between two colours."""
    share = values.clip(0, 1)[..., None]
    return np.rint(np.array(dark) * (1 - share) + np.array(light) * share).astype(np.uint8)


# --- texture alone ------------------------------------------------------------------------------


def fine_grating(side: int) -> np.ndarray:
    """A sine of 3.3 pixels, slanted."""
    rows, columns = grid(side)
    wave = np.sin(2 * np.pi * (columns * np.cos(0.35) + rows * np.sin(0.35)) / 3.3)
    return shaded(0.5 + 0.35 * wave, (20, 30, 40), (230, 225, 210))


def bars(side: int) -> np.ndarray:
    """Black and white bars, two pixels each."""
    return shaded(grid(side)[1] // 2 % 2, (0, 0, 0), (255, 255, 255))


def zone_plate(side: int) -> np.ndarray:
    """Rings whose frequency rises to that of single pixels at the border."""
    rows, columns = (each - side / 2 for each in grid(side))
    return shaded(0.5 + 0.45 * np.cos(np.pi * (rows**2 + columns**2) / side), (0,) * 3, (255,) * 3)


def weave(side: int, pitch: float = 6.0, turned: float = 0.0) -> np.ndarray:
    """Plain weave: threads over and under, round, with a shadow where one dives."""
    rows, columns = grid(side)
    along = columns * np.cos(turned) + rows * np.sin(turned)
    across = rows * np.cos(turned) - columns * np.sin(turned)
    weft, warp = np.sin(np.pi * across / pitch) ** 2, np.sin(np.pi * along / pitch) ** 2
    over = (np.floor(along / pitch) + np.floor(across / pitch)) % 2
    height = over * weft * (0.6 + 0.4 * warp) + (1 - over) * warp * (0.6 + 0.4 * weft)
    return shaded(0.15 + 0.8 * height, (40, 30, 25), (225, 205, 170))


def slanted_weave(side: int) -> np.ndarray:
    """The same weave, finer and turned, as cloth lies."""
    return weave(side, 3.7, 0.4)


def twill(side: int) -> np.ndarray:
    """Denim: diagonal ribs of two blues and white."""
    rows, columns = grid(side)
    step = (columns + 2 * np.floor(rows / 2)) % 6 / 6
    thread = 0.8 + 0.2 * np.sin(np.pi * rows)
    return shaded(np.where(step < 0.4, 0.85, 0.25) * thread, (15, 25, 60), (205, 215, 235))


def halftone(side: int) -> np.ndarray:
    """A printed gradient: screens of four inks at their usual angles."""
    rows, columns = grid(side)
    ink = 0.2 + 0.6 * columns / side
    page = np.full((side, side, 3), 255.0)
    for degrees, colour in ((15, (0, 174, 239)), (75, (236, 0, 140)), (0, (255, 242, 0))):
        turned = np.deg2rad(degrees)
        along = columns * np.cos(turned) + rows * np.sin(turned)
        across = rows * np.cos(turned) - columns * np.sin(turned)
        screen = 0.5 + 0.25 * (np.cos(2 * np.pi * along / 5) + np.cos(2 * np.pi * across / 5))
        page = np.where((screen < ink)[..., None], page * np.array(colour) / 255, page)
    return np.rint(page).astype(np.uint8)


def leaves(side: int) -> np.ndarray:
    """Foliage: thousands of small leaves, each of one colour, over one another."""
    rng = np.random.default_rng(7)
    page = Image.new("RGB", (side, side), (25, 40, 15))
    draw = ImageDraw.Draw(page)
    for _ in range(side * side // 8):
        x, y = rng.uniform(0, side, 2)
        size, green = rng.uniform(1.5, 7), rng.integers(60, 210)
        colour = (int(green * rng.uniform(0.4, 0.9)), int(green), int(green * 0.35))
        draw.ellipse((x, y, x + size * rng.uniform(0.4, 1), y + size), fill=colour)
    return np.asarray(page)


def brushed(side: int) -> np.ndarray:
    """Brushed metal: long streaks of one direction."""
    rng = np.random.default_rng(3)
    streaks = rng.normal(size=(side, 3 * side))
    window = np.ones(side) / np.sqrt(side)
    long = np.stack([np.convolve(row, window, "same")[side : 2 * side] for row in streaks])
    return shaded(0.55 + 0.08 * long, (0, 0, 0), (240, 244, 250))


TEXTURES: dict[str, Subject] = {
    each.__name__: each
    for each in (
        fine_grating, bars, zone_plate, weave, slanted_weave, twill, halftone, leaves, brushed,
    )
}  # fmt: skip


# --- pages and screens --------------------------------------------------------------------------


def _written(
    side: int, size: int, paper: tuple[int, ...], inks: tuple[tuple[int, ...], ...], step: int
) -> Image.Image:
    """Equal lines of text, a colour of `inks` for each word in turn."""
    page = Image.new("RGB", (side, side), paper)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    word = 0
    for y in range(4, side - size, step):
        x = 6.0
        while x < side - 12:
            text = WORDS[word % len(WORDS)] + " "
            draw.text((x, y), text, fill=inks[word % len(inks)], font=font)
            x += draw.textlength(text, font=font)
            word += 1
    return page


def text_page(side: int) -> np.ndarray:
    """Black on white, lines at equal distances."""
    return np.asarray(_written(side, 10, (255,) * 3, ((0, 0, 0),), 13))


def dark_editor(side: int) -> np.ndarray:
    """A program text in four colours on a dark ground."""
    inks = ((212, 212, 212), (86, 156, 214), (206, 145, 120), (106, 153, 85))
    return np.asarray(_written(side, 11, (30, 30, 30), inks, 16))


def scanned_page(side: int) -> np.ndarray:
    """A page scanned softly: gray ink, warm paper, darker to one edge."""
    large = _written(2 * side, 22, (255,) * 3, ((0, 0, 0),), 30)
    page = np.asarray(large.resize((side, side), Image.Resampling.BOX), float)
    fade = np.linspace(1, 0.9, side)[None, :, None]
    return np.rint((45 + page * 0.78) * fade * np.array([1, 0.98, 0.92])).astype(np.uint8)


def screenshot(side: int) -> np.ndarray:
    """Windows, buttons and icons: flat colours, one-pixel frames, small text."""
    page = _written(side, 10, (245, 246, 248), ((40, 44, 52),), 24)
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, side, 18), fill=(52, 101, 164))
    for x in range(6, side - 40, 52):
        draw.rounded_rectangle((x, side - 40, x + 44, side - 22), 4, (76, 175, 80), (46, 125, 50))
    draw.rectangle((side // 2, side // 4, side - 10, side // 2), fill="white", outline=(160,) * 3)
    for x in range(side // 2 + 6, side - 22, 12):
        draw.ellipse((x, side // 3, x + 8, side // 3 + 8), fill=(x % 255, 120, 200))
    return np.asarray(page)


def table(side: int) -> np.ndarray:
    """A sheet of figures with gray one-pixel rules."""
    page = Image.new("RGB", (side, side), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(9)
    for row, y in enumerate(range(0, side, 14)):
        draw.line((0, y, side, y), fill=(200, 200, 200))
        for column, x in enumerate(range(0, side, 40)):
            draw.line((x, 0, x, side), fill=(200, 200, 200))
            draw.text((x + 4, y + 2), f"{row * 37 + column * 11:4d}", fill="black", font=font)
    return np.asarray(page)


def line_art(side: int) -> np.ndarray:
    """Concentric circles and rays in thin black lines, not antialiased."""
    page = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(page)
    for radius in range(4, side, 5):
        draw.ellipse([side / 2 - radius] * 2 + [side / 2 + radius] * 2, outline="black")
    for x in range(0, side, 24):
        draw.line((x, 0, side - x, side), fill="black")
    return np.asarray(page)


def contours(side: int) -> np.ndarray:
    """A map: brown contour lines on pale green, a river."""
    rows, columns = grid(side)
    height = 8 * np.sin(columns / 37) + 7 * np.cos(rows / 29) + 5 * np.sin((rows + columns) / 53)
    line = np.abs(height % 1 - 0.5) > 0.42
    page = np.where(line[..., None], (150, 110, 70), (222, 235, 205))
    river = np.abs(rows - side / 2 - 20 * np.sin(columns / 40)) < 3
    return np.where(river[..., None], (90, 150, 220), page).astype(np.uint8)


def code_blocks(side: int) -> np.ndarray:
    """Random black and white modules of four pixels, as of a QR code."""
    cells = np.random.default_rng(5).integers(0, 2, (side // 4 + 1,) * 2)
    return shaded(np.kron(cells, np.ones((4, 4)))[:side, :side], (0,) * 3, (255,) * 3)


def mosaic(side: int) -> np.ndarray:
    """Flat squares of 8x8 pixels in random colours."""
    cells = np.random.default_rng(6).integers(0, 256, (side // 8 + 1, side // 8 + 1, 3))
    return np.kron(cells, np.ones((8, 8, 1)))[:side, :side].astype(np.uint8)


def pixel_art(side: int) -> np.ndarray:
    """A small picture of six colours, every pixel enlarged to 3x3."""
    rows, columns = grid(side // 3 + 1)
    index = (np.sin(rows / 4) + np.cos(columns / 5) + 2).astype(int) + (rows + columns) % 2
    colours = np.array([(20, 12, 28), (68, 36, 52), (208, 70, 72), (218, 212, 94), (109, 170, 44)])
    small = colours[index.astype(int) % 5]
    return np.kron(small, np.ones((3, 3, 1)))[:side, :side].astype(np.uint8)


# --- tones --------------------------------------------------------------------------------------


def gradient(side: int) -> np.ndarray:
    """A smooth sky, in steps of one value."""
    return shaded(grid(side)[0] / side, (120, 170, 235), (235, 240, 250))


def gentle_gradient(side: int) -> np.ndarray:
    """Twelve values over the whole picture: wide steps."""
    rows, columns = grid(side)
    return shaded((rows + columns) / (2 * side), (100, 98, 96), (112, 110, 108))


def night(side: int) -> np.ndarray:
    """A dark street: lamps with halos, lit windows, near-black elsewhere."""
    rows, columns = grid(side)
    light = np.full((side, side), 0.02)
    for x, y in ((0.2, 0.3), (0.5, 0.25), (0.8, 0.32)):
        distance = np.hypot(rows - y * side, columns - x * side)
        light += 0.9 * np.exp(-distance / 3) + 0.15 * np.exp(-distance / 18)
    walls = (rows > side / 2) & ((rows // 12) % 2 == 0) & ((columns // 9) % 3 == 0)
    light += 0.5 * walls * (np.sin(columns // 9 * 5.1 + rows // 12 * 3.3) > 0.2)
    return shaded(light, (2, 3, 8), (255, 225, 160))


def stars(side: int) -> np.ndarray:
    """Stars of one pixel on black, of every brightness."""
    rng = np.random.default_rng(8)
    sky = np.zeros((side, side, 3), np.uint8)
    for _ in range(side * side // 400):
        y, x = rng.integers(0, side, 2)
        sky[y, x] = (rng.integers(60, 256) * np.array([1, 0.97, rng.uniform(0.8, 1)])).astype(int)
    return sky


def error_dither(side: int) -> np.ndarray:
    """A gradient in black and white by error diffusion (Floyd, Steinberg 1976)."""
    page = Image.fromarray(gradient(side)).convert("1")
    return np.asarray(page.convert("RGB"))


def ordered_dither(side: int) -> np.ndarray:
    """A gradient in black and white by Bayer's 4x4 matrix."""
    matrix = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16
    tiled = np.tile(matrix, (side // 4 + 1,) * 2)[:side, :side]
    return shaded(grid(side)[1] / side > tiled, (0,) * 3, (255,) * 3)


def one_colour(side: int) -> np.ndarray:
    """Nothing at all."""
    return np.full((side, side, 3), (90, 130, 60), np.uint8)


DRAWN: dict[str, Subject] = {
    each.__name__: each
    for each in (
        text_page, dark_editor, scanned_page, screenshot, table, line_art, contours, code_blocks,
        mosaic, pixel_art, gradient, gentle_gradient, night, stars, error_dither, ordered_dither,
        one_colour,
    )
}  # fmt: skip
