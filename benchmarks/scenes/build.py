"""One scene by its seed: a room or an open place, with things of many materials, and lights.

The scenes are our own and need no download. They are made to be hard in the ways that renders are:
small and coloured lights, indirect light, glossy and rough metal, glass with caustics, fine
texture, depth of field. A `hard` scene has more of what nets fail on: fog and shafts of light,
leaves, more glass, a dozen small lamps, a moving camera.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scenes import shapes

Scene = dict[str, Any]
DEPTH = 8  # bounces; with more, noise changes little and time grows
MOMENTS = 16  # places of a moving camera while the shutter is open
METALS = ("Au", "Cu", "Al", "Cr", "W")


def build(
    mi: Any,
    seed: int,
    size: tuple[int, int],
    folder: Path,
    *,
    hard: bool = False,
    furnished: bool = False,
) -> tuple[Scene, list[Any]]:
    """The scene of that seed, as mitsuba.load_dict takes it, and where the camera moves.

    Args:
        mi: the mitsuba module, its variant set.
        size: width and height in pixels.
        folder: where meshes are written; it must last until the scene is loaded.
        hard: with what is hardest to denoise. The rest of the scene is that of the same seed.
        furnished: a furnished room in its place.

    Returns:
        The scene, and the camera's places while the shutter is open; none where it stands still.
    """
    if furnished:
        from benchmarks.scenes.interiors import Interior

        inside, scene = True, Interior(mi, np.random.default_rng([seed, 13]), folder).built()
    else:
        maker = _Maker(mi, np.random.default_rng([seed, 7]), folder)
        inside = maker.random.random() < 0.55
        scene = maker.room() if inside else maker.outdoors()
        scene |= {
            "type": "scene",
            "integrator": {
                "type": "aov",
                "aovs": "albedo:albedo,normal:sh_normal",
                "image": {"type": "path", "max_depth": DEPTH},
            },
        }
    scene["sensor"] |= {
        "film": {
            "type": "hdrfilm",
            "width": size[0],
            "height": size[1],
            "pixel_format": "rgb",
            "rfilter": {"type": "box"},  # pixels must not share samples: noise would be correlated
        },
        "sampler": {"type": "independent"},
    }
    if not hard:
        return scene, []
    return _Hard(mi, np.random.default_rng([seed, 11]), folder).added(scene, inside=inside)


class _Maker:
    """Draws the parts of one scene."""

    def __init__(self, mi: Any, random: np.random.Generator, folder: Path) -> None:
        self.mi, self.random, self.folder = mi, random, folder

    # --- places ---------------------------------------------------------------------------------

    def room(self) -> Scene:
        """Four walls, floor and ceiling, 4 units wide; the camera stands in it."""
        wide, deep, high = self.random.uniform((3.4, 3.4, 2.4), (4.6, 4.6, 3.2))
        walls: dict[str, tuple[list[float], list[float], tuple[float, float]]] = {
            "floor": ([0, 0, 0], [0, 0, 1], (wide, deep)),
            "ceiling": ([0, 0, high], [0, 0, -1], (wide, deep)),
            "left": ([-wide / 2, 0, high / 2], [1, 0, 0], (deep, high)),
            "right": ([wide / 2, 0, high / 2], [-1, 0, 0], (deep, high)),
            "back": ([0, deep / 2, high / 2], [0, -1, 0], (wide, high)),
            "front": ([0, -deep / 2, high / 2], [0, 1, 0], (wide, high)),
        }
        scene: Scene = {
            name: self._rectangle(*where) | {"bsdf": self._wall()} for name, where in walls.items()
        }
        scene |= self._things(int(self.random.integers(4, 10)), 0.32 * wide)
        scene |= self._lamps(wide, deep, high)
        eye = [self.random.uniform(-0.35, 0.35) * wide, -0.44 * deep, self.random.uniform(0.8, 1.7)]
        scene["sensor"] = self._camera(eye, [0, 0.3, self.random.uniform(0.4, 0.8)], (55, 78))
        return scene

    def outdoors(self) -> Scene:
        """A ground without end under a sky."""
        scene: Scene = {
            "ground": self._rectangle([0, 0, 0], [0, 0, 1], (60, 60)) | {"bsdf": self._wall(8)},
            "sky": {
                "type": "envmap",
                "bitmap": self.mi.Bitmap(shapes.sky(self.random)),
                "to_world": self._t().rotate([1, 0, 0], 90),  # its up is y, ours is z
            },
        }
        scene |= self._things(int(self.random.integers(5, 14)), 1.3)
        if self.random.random() < 0.4:
            scene |= self._bulb("bulb", 2.0, 2.0)
        angle = self.random.uniform(0, 2 * np.pi)
        away, height = self.random.uniform(2.6, 4.5), self.random.uniform(0.5, 2.6)
        eye = [away * np.cos(angle), away * np.sin(angle), height]
        scene["sensor"] = self._camera(eye, [0, 0, self.random.uniform(0.2, 0.6)], (32, 50))
        return scene

    def _camera(self, eye: list[float], target: list[float], fov: tuple[float, float]) -> Scene:
        camera = {
            "type": "perspective",
            "fov": float(self.random.uniform(*fov)),
            "to_world": self._t().look_at(origin=eye, target=target, up=[0, 0, 1]),
        }
        if self.random.random() < 0.25:
            away = float(np.linalg.norm(np.subtract(eye, target)))
            camera |= {"type": "thinlens", "focus_distance": away}
            camera["aperture_radius"] = float(self.random.uniform(0.02, 0.08))
        return camera

    # --- things ---------------------------------------------------------------------------------

    def _things(self, count: int, spread: float) -> Scene:
        return {f"thing{at}": self._thing(at, spread) for at in range(count)}

    def _thing(self, at: int, spread: float) -> Scene:
        kind = self.random.choice(["sphere", "cube", "cylinder", "mesh"], p=[0.25, 0.25, 0.1, 0.4])
        size = float(self.random.uniform(0.25, 0.9))
        x, y = self.random.uniform(-spread, spread, 2)
        # Most stand on the floor, some float: that gives shadows and contact of all kinds.
        z = 0.5 * size + (float(self.random.uniform(0, 1)) if self.random.random() < 0.25 else 0)
        turn = self._t().translate([x, y, z]).rotate([0, 0, 1], float(self.random.uniform(0, 360)))
        if kind != "mesh" and self.random.random() < 0.3:
            turn = turn.rotate([1, 0, 0], float(self.random.uniform(0, 60)))
        thing: Scene
        if kind == "mesh":
            maker = shapes.MESHES[self.random.integers(len(shapes.MESHES))]
            path = self.folder / f"thing{at}.ply"
            path.write_bytes(shapes.ply(maker(self.random)))
            thing = {"type": "ply", "filename": str(path), "to_world": turn.scale(size)}
        elif kind == "cylinder":
            shape = self._t().translate([0, 0, -0.5]).scale([0.35, 0.35, 1])
            thing = {"type": "cylinder", "to_world": turn.scale(size) @ shape}
        else:
            thing = {"type": kind, "to_world": turn.scale(size / 2)}
        closed = kind in ("sphere", "cube")  # glass needs an inside
        return thing | {"bsdf": self._material(glass=closed)}

    def _rectangle(
        self, centre: Sequence[float], normal: Sequence[float], size: Sequence[float]
    ) -> Scene:
        up = [0, 1, 0] if abs(normal[2]) > 0.5 else [0, 0, 1]
        target = [c + n for c, n in zip(centre, normal, strict=True)]
        place = self._t().look_at(origin=centre, target=target, up=up)
        return {
            "type": "rectangle",
            "to_world": place @ self._t().scale([size[0] / 2, size[1] / 2, 1]),
        }

    def _t(self) -> Any:
        return self.mi.ScalarTransform4f()

    # --- materials ------------------------------------------------------------------------------

    def _wall(self, repeat: float = 2) -> Scene:
        paint = self._texture(repeat) if self.random.random() < 0.45 else self._colour(0.3, 0.85)
        if self.random.random() < 0.15:
            return {"type": "roughplastic", "diffuse_reflectance": paint, "alpha": 0.15}
        return {"type": "diffuse", "reflectance": paint}

    def _material(self, *, glass: bool) -> Scene:
        kinds = ["diffuse", "plastic", "metal", "principled", "glass"]
        share = [0.38, 0.2, 0.2, 0.1, 0.12]
        kind = self.random.choice(kinds, p=share)
        if kind == "glass" and glass:
            return self._glass()
        paint = self._texture(2) if self.random.random() < 0.35 else self._colour(0.05, 0.9)
        rough = float(10 ** self.random.uniform(-1.7, -0.3))
        made: dict[str, Scene] = {
            "diffuse": {"type": "diffuse", "reflectance": paint},
            "plastic": {"type": "roughplastic", "diffuse_reflectance": paint, "alpha": rough},
            "metal": {
                "type": "roughconductor",
                "material": str(self.random.choice(METALS)),
                "alpha": rough,
            },
            "principled": {
                "type": "principled",
                "base_color": paint,
                "metallic": float(self.random.random()),
                "roughness": float(self.random.uniform(0.1, 0.8)),
                "clearcoat": float(self.random.random()),
            },
        }
        return {"type": "twosided", "bsdf": made.get(str(kind), made["plastic"])}

    def _glass(self) -> Scene:
        if self.random.random() < 0.3:
            return {"type": "roughdielectric", "alpha": float(self.random.uniform(0.03, 0.2))}
        return {"type": "dielectric", "int_ior": float(self.random.uniform(1.3, 1.8))}

    def _colour(self, low: float, high: float) -> Scene:
        gray = self.random.random() < 0.3
        values = self.random.uniform(low, high, 1 if gray else 3) * np.ones(3)
        return {"type": "rgb", "value": values.tolist()}

    def _texture(self, repeat: float) -> Scene:
        scale = self._t().scale([repeat * self.random.uniform(0.7, 3)] * 3)
        if self.random.random() < 0.5:
            one, other = self._colour(0.05, 0.9), self._colour(0.05, 0.9)
            return {"type": "checkerboard", "color0": one, "color1": other, "to_uv": scale}
        image = self.mi.Bitmap(shapes.clouds(self.random))
        return {"type": "bitmap", "bitmap": image, "raw": True, "to_uv": scale}

    # --- lights ---------------------------------------------------------------------------------

    def _lamps(self, wide: float, deep: float, high: float) -> Scene:
        """One to four: a panel in the ceiling, a window, bulbs."""
        kinds = self.random.permutation(["panel", "window", "bulb", "bulb"])
        lamps: Scene = {}
        for at, kind in enumerate(kinds[: self.random.integers(1, 5)]):
            if kind == "bulb":
                lamps |= self._bulb(f"lamp{at}", 0.35 * wide, high)
                continue
            size = tuple(self.random.uniform(0.3, 1.4, 2))
            where = [self.random.uniform(-0.3, 0.3) * wide, 0.2 * deep, high - 0.01]
            if kind == "window":
                where = [0.499 * wide, self.random.uniform(-0.3, 0.3) * deep, 0.55 * high]
            facing = [0, 0, -1] if kind == "panel" else [-1, 0, 0]
            lamps[f"lamp{at}"] = self._rectangle(where, facing, size) | {
                "emitter": self._emitter(6 / (size[0] * size[1]))
            }
        return lamps

    def _bulb(self, name: str, spread: float, high: float) -> Scene:
        radius = float(10 ** self.random.uniform(-1.6, -0.7))
        x, y = self.random.uniform(-spread, spread, 2)
        place = [float(x), float(y), float(self.random.uniform(0.5, 0.9) * high)]
        bulb = {"type": "sphere", "center": place, "radius": radius}
        return {name: bulb | {"emitter": self._emitter(0.5 / radius**2)}}

    def _emitter(self, strength: float) -> Scene:
        tint = self.random.uniform(0.55, 1, 3)
        light = strength * self.random.uniform(0.5, 1.5) * tint
        return {"type": "area", "radiance": {"type": "rgb", "value": light.tolist()}}


class _Hard(_Maker):
    """Adds to a scene what is hardest to denoise, each thing in a share of the scenes."""

    def added(self, scene: Scene, *, inside: bool) -> tuple[Scene, list[Any]]:
        """The scene with more in it, and the camera's places; see `build`."""
        kinds = ("leaves", "glass", "lamps", "fog", "motion")
        share = dict(zip(kinds, self.random.random(5), strict=True))
        spread = 1.3
        if share["leaves"] < 0.4:
            scene |= {f"plant{at}": self._plant(at, spread) for at in range(3)}
        if share["glass"] < 0.3:
            for at in range(3):
                x, y, z = self.random.uniform((-spread, -spread, 0.2), (spread, spread, 0.9))
                radius = float(self.random.uniform(0.12, 0.35))
                ball = {"type": "sphere", "center": [float(x), float(y), float(z)]}
                scene[f"ball{at}"] = ball | {"radius": radius, "bsdf": self._glass()}
        if share["lamps"] < 0.3:
            for at in range(12):
                scene |= self._bulb(f"small{at}", spread, 2.2)
        if share["fog"] < 0.3:
            scene |= self._fog(scene)
        return scene, self._moved(scene["sensor"]) if share["motion"] < 0.25 else []

    def _plant(self, at: int, spread: float) -> Scene:
        path = self.folder / f"plant{at}.ply"
        path.write_bytes(shapes.ply(shapes.leaves(self.random)))
        x, y = (float(each) for each in self.random.uniform(-spread, spread, 2))
        size = float(self.random.uniform(0.6, 1.4))
        place = self._t().translate([x, y, 0.5 * size]).scale(size)
        paint = {"type": "diffuse", "reflectance": self._colour(0.05, 0.5)}
        leaf = {"type": "twosided", "bsdf": paint}
        return {"type": "ply", "filename": str(path), "to_world": place, "bsdf": leaf}

    def _fog(self, scene: Scene) -> Scene:
        """A block of fog with the camera in it, and a spot that throws a shaft through it."""
        fog = {
            "type": "homogeneous",
            "albedo": {"type": "rgb", "value": self.random.uniform(0.85, 0.99, 3).tolist()},
            "sigma_t": float(10 ** self.random.uniform(-1.3, -0.5)),
        }
        block = self._t().translate([0, 0, 1.5]).scale([8, 8, 3])
        scene["integrator"]["image"] = {"type": "volpath", "max_depth": 2 * DEPTH}
        scene["sensor"]["medium"] = {"type": "ref", "id": "fog"}
        x, y = (float(each) for each in self.random.uniform(-1.2, 1.2, 2))
        aim = self._t().look_at(origin=[x, y, 2.3], target=[-x / 2, -y / 2, 0], up=[0, 1, 0])
        return {
            "fog": fog,
            "block": {
                "type": "cube",
                "to_world": block,
                "bsdf": {"type": "null"},
                "interior": {"type": "ref", "id": "fog"},
            },
            "spot": {
                "type": "spot",
                "to_world": aim,
                "cutoff_angle": float(self.random.uniform(8, 25)),
                "intensity": {"type": "rgb", "value": (self.random.uniform(8, 40, 3)).tolist()},
            },
        }

    def _moved(self, sensor: Scene) -> list[Any]:
        """The camera's places: a pan and a roll over some tens of pixels."""
        turn, roll = self.random.uniform(-5, 5, 2)
        return [
            sensor["to_world"]
            @ self._t().rotate([0, 1, 0], float(turn * t)).rotate([0, 0, 1], float(roll * t))
            for t in np.linspace(-0.5, 0.5, MOMENTS)
        ]
