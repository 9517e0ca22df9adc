"""Does a model leave alone what is clean? `python -m benchmarks.judgement PICTURES -m photo`.

PICTURES holds train/ and val/cameras. Measured are clean pictures of every sort (drawn by
benchmarks.subjects, and photographs that training held out), their JPEGs of four qualities, the
same with noise in one half only, and real pairs of cameras. Many photographs have a grain of their
own, which a denoiser rightly removes and which counts as harm here; so the same are there at half
their size as well, where there is little of it. A line for each group: how the pictures
went in, what the model gained on average and at worst, and how many it made worse. The JPEGs are
compared with the picture before the JPEG, the clean half of the half-noisy ones with itself.
"""

import argparse
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import mdn
from benchmarks import folders
from benchmarks.subjects import DRAWN, TEXTURES

Denoise = Callable[[np.ndarray], np.ndarray]
SOURCES, HOLD_OUT = ("photos", "cid22", "clic", "cameras"), 25  # as the recipe of photo
PHOTOGRAPHS = 10
QUALITIES = (95, 90, 80, 60)
HALF_SIGMA = 25
SMALL_SIDE, SMALL_QUALITY = 96, 85  # of tests/judgement
NOTICEABLE = 0.02  # dB
LEAST = 46.0  # dB, of a clean picture that was left alone well enough
EQUAL = 99.0  # dB, of two pictures that are the same


@dataclass(frozen=True)
class Case:
    """One picture, before and after.

    Attributes:
        group, name: the line of the table, and the picture.
        before, after: PSNR against the truth, dB; EQUAL where nothing differs.
    """

    group: str
    name: str
    before: float
    after: float

    @property
    def gain(self) -> float:
        """dB. A clean picture can only lose, and loses below LEAST: above, nobody sees it."""
        if self.before == EQUAL:
            return min(0.0, self.after - LEAST)
        return self.after - self.before

    @property
    def worse(self) -> bool:
        """Whether the model did harm."""
        return self.gain < (0 if self.before == EQUAL else -NOTICEABLE)


def psnr(page: np.ndarray, truth: np.ndarray) -> float:
    """Of 8-bit pictures, dB."""
    error = float(np.square(page.astype(float) - truth).mean())
    return 10 * np.log10(255**2 / error) if error else EQUAL


def coded(page: np.ndarray, quality: int) -> np.ndarray:
    """A picture as its JPEG shows it, colours at half resolution."""
    stream = io.BytesIO()
    Image.fromarray(page).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def half_noisy(page: np.ndarray) -> np.ndarray:
    """Gaussian noise in the right half, none in the left one."""
    noisy = page + np.random.default_rng(0).normal(0, HALF_SIGMA, page.shape)
    noisy[:, : page.shape[1] // 2] = page[:, : page.shape[1] // 2]
    return np.rint(noisy).clip(0, 255).astype(np.uint8)


def clean(group: str, name: str, page: np.ndarray, denoise: Denoise) -> Case:
    """A clean picture as it is."""
    return Case(group, name, EQUAL, psnr(denoise(page), page))


def compressed(group: str, name: str, page: np.ndarray, quality: int, denoise: Denoise) -> Case:
    """Its JPEG, against the picture itself."""
    jpeg = coded(page, quality)
    return Case(group, name, psnr(jpeg, page), psnr(denoise(jpeg), page))


def halves(name: str, page: np.ndarray, denoise: Denoise) -> tuple[Case, Case]:
    """Noise in one half: the noisy half, which should gain, and the clean one, which should not."""
    noisy, middle = half_noisy(page), page.shape[1] // 2
    result = denoise(noisy)
    right = (each[:, middle:] for each in (noisy, result))
    before, after = (psnr(each, page[:, middle:]) for each in right)
    left = psnr(result[:, :middle], page[:, :middle])
    return (
        Case("half noisy: the noisy half", name, before, after),
        Case("half noisy: the clean half", name, EQUAL, left),
    )


def photographs(data: Path, side: int, reduced: int = 1) -> dict[str, np.ndarray]:
    """Middles of pictures that training held out, from the whole list in even steps.

    reduced: how many times smaller, by the means of so many pixels squared.
    """
    files = sorted(path for name in SOURCES for path in (data / "train" / name).iterdir())
    held = sorted(files, key=lambda path: f"train/{path.parent.name}/{path.name}")[::HOLD_OUT]
    chosen = held[:: max(1, len(held) // PHOTOGRAPHS)][:PHOTOGRAPHS]
    opened = {f"{path.parent.name}/{path.name}": Image.open(path) for path in chosen}
    return {name: middle(picture.reduce(reduced), side) for name, picture in opened.items()}


def middle(picture: Image.Image, side: int) -> np.ndarray:
    """The middle square of a picture."""
    page = np.asarray(picture.convert("RGB"))
    top, left = (max(0, (length - side) // 2) for length in page.shape[:2])
    return page[top : top + side, left : left + side].copy()


def measure(denoise: Denoise, data: Path, side: int, step: int) -> Iterator[Case]:
    """All cases; every `step`-th picture of each group."""
    groups = {
        "photographs": photographs(data, side),
        "photographs, halved": photographs(data, side, 2),
        "textures": {name: draw(side) for name, draw in TEXTURES.items()},
        "pages, screens, tones": {name: draw(side) for name, draw in DRAWN.items()},
    }
    for group, pages in groups.items():
        for name, page in list(pages.items())[::step]:
            yield clean(f"{group}: clean", name, page, denoise)
            for quality in QUALITIES:
                yield compressed(f"{group}: JPEG {quality}", name, page, quality, denoise)
    for name, page in list((groups["photographs"] | groups["textures"]).items())[::step]:
        yield from halves(name, page, denoise)
    pairs = data / "val" / "cameras"
    for noisy in sorted((pairs / "noisy").iterdir())[::step]:
        page, truth = (
            np.asarray(Image.open(pairs / half / noisy.name)) for half in ("noisy", "gt")
        )
        yield Case("real cameras", noisy.name, psnr(page, truth), psnr(denoise(page), truth))


def table(cases: list[Case]) -> str:
    """A line for each group, Markdown."""
    lines = [
        "| group | pictures | in dB | mean gain | worst | which | worse than before |",
        "| --- | ---: | ---: | ---: | ---: | --- | ---: |",
    ]
    for group in dict.fromkeys(case.group for case in cases):
        mine = [case for case in cases if case.group == group]
        worst = min(mine, key=lambda case: (case.gain, case.after))
        before = np.mean([case.before for case in mine])
        if worst.before == EQUAL:
            shown, gain, lowest = "clean", "", f"{worst.after:.2f} dB"
        else:
            shown, lowest = f"{before:.2f}", f"{worst.gain:+.2f}"
            gain = f"{np.mean([case.gain for case in mine]):+.2f}"
        harmed = sum(case.worse for case in mine)
        lines.append(
            f"| {group} | {len(mine)} | {shown} | {gain} | {lowest} | {worst.name} | {harmed} |"
        )
    return "\n".join(lines)


def small(denoise: Denoise) -> Iterator[str]:
    """The figures that the table of tests/judgement is made of: clean PSNR, gain on the JPEG."""
    for name, draw in (TEXTURES | DRAWN).items():
        page = draw(SMALL_SIDE)
        kept = clean("small", name, page, denoise).after
        gain = compressed("small", name, page, SMALL_QUALITY, denoise).gain
        yield f"{name}: {kept:.2f}, {gain:+.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=folders.with_parts("train", "val/cameras"))
    parser.add_argument("-m", "--model", default="photo")
    parser.add_argument("--side", type=int, default=256, help="of the clean pictures, pixels")
    parser.add_argument("--step", type=int, default=1, help="every n-th picture of each group")
    parser.add_argument("--all", action="store_true", help="also a line for each picture")
    parser.add_argument("--small", action="store_true", help="the figures of tests/judgement")
    options = parser.parse_args()
    model = mdn.load_model(options.model)
    if options.small:
        print(*small(model), sep="\n")
        return
    cases = list(measure(model, options.data, options.side, options.step))
    print(table(cases))
    harmed = sum(case.worse for case in cases)
    print(
        f"\n{options.model}: {harmed} of {len(cases)} worse than before, by more than "
        f"{NOTICEABLE} dB; of the clean ones those below {LEAST:g} dB"
    )
    if options.all:
        print("\n| group | picture | before | after |\n| --- | --- | ---: | ---: |")
        for case in sorted(cases, key=lambda case: case.gain):
            print(f"| {case.group} | {case.name} | {case.before:.2f} | {case.after:.2f} |")


if __name__ == "__main__":
    main()
