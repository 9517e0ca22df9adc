"""Pictures that anybody has: those in the wheel of scikit-image (extra `mdn[bench]`).

They are free to use (its data/README.txt says where each comes from), nothing is downloaded, and so
a table of them can be repeated anywhere.
"""

from importlib.util import find_spec
from pathlib import Path

from mdn.errors import UsageError

SKIMAGE = "skimage"  # what --data and the sources of a recipe call them
# Photographs with little noise of their own; not what is drawn, tiny, or from an instrument.
PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "grass.png",
    "gravel.png",
    "motorcycle_left.png",
    "rocket.jpg",
)


def skimage_photographs() -> list[Path]:
    """The files, sorted by name. Raises UsageError: scikit-image, or a file of it, is missing."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise UsageError(
            f"the pictures {SKIMAGE} are those of scikit-image: pip install 'mdn[bench]'"
        )
    folder = Path(spec.origin).parent / "data"
    if missing := [name for name in PHOTOGRAPHS if not (folder / name).is_file()]:
        raise UsageError(f"this scikit-image has no {', '.join(missing)}: install another release")
    return [folder / name for name in PHOTOGRAPHS]
