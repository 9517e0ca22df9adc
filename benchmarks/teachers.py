"""`python -m benchmarks.teachers`: adds to rendered scenes what `render` learns from besides.

Of each file the albedo and the normal as they are prefiltered in use, by Open Image Denoise; the
light without the fireflies that `mdn denoise` takes out; and of each reference the light as
`render+oidn` makes it, which has far less noise than a reference of few samples:

    python -m benchmarks.scenes --hard --out SCENES/train --count 48 --seed 5000 --spp 4,8,16,64
    python -m benchmarks.teachers --data SCENES/train --out DATA/train
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from benchmarks.scenes import rendering
from mdn.bench.renders import Render, read
from mdn.encoding.hdr import exposure
from mdn.io import exr
from mdn.pipeline import external, linear
from mdn.pipeline.options import Options
from mdn.registry import store
from mdn.registry.model import Model, load_model
from mdn.renders import repair
from mdn.renders.fireflies import Rule
from mdn.training.renders import REFERENCE, SPP

TEACHER = "render+oidn"


def prepare(path: Path, out: Path, model: Model) -> None:
    """One file; its samples per pixel stay on it."""
    render, reference = read(path, path.name), path.stem.endswith(REFERENCE)
    assert render.albedo is not None
    assert render.normal is not None
    auxiliary = np.concatenate([render.albedo.clip(0, 1), render.normal.clip(-1, 1)], -1)
    guides = external.clean_guides(auxiliary, external.guide_model())
    light, _ = repair.prepared(render.beauty, Rule(), guides)
    more = {"prefiltered.albedo.": ("RGB", guides[..., :3])}
    more["prefiltered.normal."] = ("XYZ", guides[..., 3:])
    if reference:
        taught = linear.restore(
            light,
            model,
            Options(),
            exposure=exposure(light),
            auxiliary=guides,
            guides=guides,
            clean_guides=True,
        )
        more["teacher."] = ("RGB", repair.within(taught, light))
    shown = Render(render.beauty if reference else light, render.albedo, render.normal)
    stated = exr.read(path).headers.parts[0].attributes[SPP]
    rendering.write(out / path.name, shown, {SPP: int.from_bytes(stated[1], "little")}, more)


def main(
    data: Annotated[Path, typer.Option(help="A folder of benchmarks.scenes.")],
    out: Annotated[Path, typer.Option(help="Gets the same files with more in them.")],
) -> None:
    """Adds prefiltered guides and a teacher's light; what is there already stays as it is."""
    out.mkdir(parents=True, exist_ok=True)
    model = load_model(store.find(TEACHER), torch.device("cpu"))
    paths = sorted(data.glob("*.exr"))
    for at, path in enumerate(paths):
        if not (out / path.name).is_file():
            prepare(path, out, model)
            typer.echo(f"{at + 1} of {len(paths)}", err=True)


if __name__ == "__main__":
    typer.run(main)
