"""Which channels form a layer, and what the layer is for: beauty, a light, a guide, data.

Names are those that the renderers write by themselves:

    Cycles   ViewLayer.Combined.R, ViewLayer.Denoising Albedo.R, ViewLayer.Vector.X, Combined_key
    Arnold   R, RGBA_key.R, albedo.R, N.X, motionvector.X, crypto_object00.R
    V-Ray    R, diffuseFilter.R, VRayDiffuseFilter.R, normals.X, bumpNormals.X, velocity.R
    Mitsuba  R, albedo.R, sh_normal.X, dd.T, position.X
    pbrt     R, Albedo.R, Ns.X, P.X, Variance.R
    Karma    C.r, albedo.r, N.x, basecolor.r, motionvector.x
    RenderMan  Ci.r, albedo.r, albedo_var.r, mse.r, normal.r, z, sampleCount
    Unreal   FinalImage.R, FinalImageWorldNormal.R
    Nuke     R, diffuse.red, diffuse.green, depth.Z
    OpenEXR's Python binding, for a key such as "albedo.RGB": albedo.RGB.R
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdn.io.exr import Exr
from mdn.io.exr.header import Header

# beauty, light, albedo, normal, depth, motion, alpha, cryptomatte, id, position, variance or data
Role = str

_SPELLED = {"red": "r", "green": "g", "blue": "b", "alpha": "a"}  # as Nuke does
_COLOURS = ("rgb", "xyz", "uvw")  # the last part of the names of a layer's channels, lower case
_BEAUTY = {"", "beauty", "combined", "rgba", "rgb", "c", "ci", "color"}
_BEAUTY |= {"image", "noisyimage", "final", "finalimage"}
_ID = (
    r"((obj(ect)?|mat(erial)?|mtl|render|node|asset|inst(ance)?|prim(itive)?|shape|face|poly"
    r"|element|part(icle)?|pixel|group|layer|scene|surface|shader|hair|light|mesh|u(nique)?)?ids?)"
)
_GUIDES: tuple[tuple[Role, re.Pattern[str]], ...] = (
    ("cryptomatte", re.compile(r"crypto.*|u?crypto(object|material|asset)?\d*")),
    ("variance", re.compile(r".*(variance|var|mse|error)|stddev|sigma")),
    (
        "albedo",
        re.compile(r".*albedo.*|(vray)?(raw)?diffusefilter|.*basecolou?r|diff(use)?col(ou?r)?"),
    ),
    ("normal", re.compile(r"n[sgn]?|(.*_)?.*normals?|shnormal")),
    ("depth", re.compile(r"z|.*depth|zdepth|mist|dd|distance")),
    ("motion", re.compile(r"motion|velocity|(.*motion|velocity)?vectors?|mv|flow|(for|back)ward")),
    ("position", re.compile(r"p|pref|(world)?pos(ition)?|point|uvs?|st")),
    ("id", re.compile(rf"{_ID}|index(ob|ma)|.*mask.*|.*matte.*|.*index")),
)
# A name that holds one of these words anywhere is of no light, whatever else it says.
_PROTECTED: tuple[tuple[Role, re.Pattern[str]], ...] = (
    ("cryptomatte", re.compile(r"u?crypto.*")),
    ("id", re.compile(rf"{_ID}|.*mattes?|.*masks?")),
    ("depth", re.compile(r".*depth.*|z")),
    ("normal", re.compile(r".*normals?")),
    ("position", re.compile(r"(world)?pos(itions?)?")),
    ("motion", re.compile(r"motion.*|velocity")),
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# What a last part may say of the samples and not of the layer, as in albedo.RGB.
_SAMPLES = {"rgb", "rgba", "xyz", "xyzw", "xy", "uv", "uvw"}
# Layers whose values are no light, though they come as colours: never denoised by "auto".
_NOT_LIGHT = re.compile(
    r".*(ao|occlusion|shadowcatcher|shadowraw|samplerate|samplecount|debug|curvature|fresnel|facing"
    r"|toon|wire(frame)?|uv|hairid|glosscol|transcol|subsurfacecol|filter|opacity|roughness"
    r"|metallic|tangent|noiselevel|defocus(amount)?)|of|gloss(y)?col(or)?"
)
_EYES = frozenset({"left", "right"})
# Albedos of one part of the material: poorer guides than the whole one, or the diffuse part's.
_PARTIAL = re.compile(r"coat|sheen|spec|trans|sss|subsurf|volume|hair")


@dataclass(frozen=True)
class Layer:
    """Channels of one part that belong together."""

    part: int  # which part of the file
    # as a user writes it: the channels' names without their last part; the part's name where the
    # channels have no other; "rgb" for the beauty that has no name at all
    name: str
    channels: tuple[str, ...]  # the channels, colours in the order R G B (X Y Z), or a single one
    role: Role  # what it is for
    alpha: str = ""  # the channel of its alpha, or nothing
    view: str = ""  # which eye's or camera's it is, lower case; nothing in files that name none

    @property
    def words(self) -> tuple[str, str]:
        """What stands before the last word of its name, such as the view layer, and that word.

        Its view is left out: ViewLayer.Combined.left is (ViewLayer, Combined).
        """
        words = [word for word in self.name.split(".") if word.lower() != self.view]
        return ".".join(words[:-1]), words[-1] if words else ""

    def pixels(self, exr: Exr) -> np.ndarray:
        """(H, W, C) as stored."""
        planes = exr.parts[self.part]
        return np.stack([planes[key] for key in self.channels], -1)


def layers(exr: Exr) -> list[Layer]:
    """All layers of a file, each channel in just one (alpha stands with its colours)."""
    found: list[Layer] = []
    # They say whose beauty it is, not that it is none.
    views = frozenset(view for part in exr.headers.parts for view in _views(part))
    for index, planes in enumerate(exr.parts):
        groups: dict[str, dict[str, str]] = {}
        for key in planes:
            prefix, _, last = key.rpartition(".")
            members = groups.setdefault(prefix, {})
            short = _SPELLED.get(last.lower(), last.lower())
            members[last.lower() if short in members else short] = key
        for prefix, members in groups.items():
            found += _split(exr, index, prefix, members, views)
    return found


def _views(part: Header) -> list[str]:
    """The views of a part: its own, or those of a part that holds several, the default first."""
    names = [part.value("view").decode("utf-8", "replace").lower()]
    listed = part.value("multiView")
    while len(listed) >= 4:  # a length, then as many bytes
        end = 4 + int.from_bytes(listed[:4], "little")
        names.append(listed[4:end].decode("utf-8", "replace").lower())
        listed = listed[end:]
    return [name for name in names if name]


def _view(part: Header, prefix: str, views: frozenset[str]) -> str:
    """The view of channels with this prefix ("Storing Multi-View Images in OpenEXR Files").

    The one that stands in their name (right.R, albedo.right.R), else in the part's name, else
    their part's, else the default one of a part with several. Left and right are views even where
    no attribute lists them.
    """
    known = views | _EYES
    for text in (prefix, part.name):
        if named := [word for word in text.lower().split(".") if word in known]:
            return named[-1]
    return next(iter(_views(part)), "")


def _split(
    exr: Exr, part: int, prefix: str, members: dict[str, str], views: frozenset[str]
) -> list[Layer]:
    """The layers of the channels that share a prefix: R G B A, and any others alone."""
    name = exr.headers.parts[part].name
    view = _view(exr.headers.parts[part], prefix, views)
    title = f"{name}.{prefix}" if name and prefix.lower() in _SAMPLES else prefix or name
    said = ".".join(word for word in title.split(".") if word.lower() not in views | {view})
    floats = {k: v for k, v in members.items() if exr.parts[part][v].dtype.kind == "f"}
    rest, made = dict(members), []
    for letters in _COLOURS:
        if all(letter in floats for letter in letters):
            keys = tuple(rest.pop(letter) for letter in letters)
            role = role_of(said, keys)
            alpha = floats.get("a", "") if letters == "rgb" else ""
            if role in ("cryptomatte", "motion"):
                keys += tuple(rest.pop(k) for k in ("a", "w") if k in rest)
                alpha = ""
            elif alpha:
                rest.pop("a")
            made.append(Layer(part, title or letters, keys, role, alpha, view))
            break
    if not made and "y" in floats and not {"x", "z", "ry", "by"} & set(rest):
        alpha = rest.pop("a", "") if "a" in floats else ""
        keys = (rest.pop("y"),)
        made.append(Layer(part, title or "y", keys, role_of(said, keys), alpha, view))
    for last, key in rest.items():
        name = f"{title}.{key.rpartition('.')[2]}" if title else key
        kind = exr.parts[part][key].dtype.kind
        alone: Role = "id" if kind == "u" else _single(said, last)
        made.append(Layer(part, name, (key,), alone, view=view))
    return made


def _single(title: str, last: str) -> Role:
    """A channel that stands alone: what it is called, or else what its layer is called."""
    if last in ("a", "alpha", "ar", "ag", "ab"):
        return "alpha"
    if not title and last in ("r", "g", "b"):
        return "beauty"  # a gray picture under one colour's name
    own = role_of(last, (last,))
    of_layer = role_of(title, (last,)) if title else "data"
    if of_layer in ("light", "beauty"):
        return own if own not in ("light", "beauty") else "data"
    return own if own in ("depth", "id") else of_layer


def role_of(title: str, channels: Sequence[str]) -> Role:
    """What a layer of this name is for, by the usual names of the renderers."""
    title = _without_samples(title)
    plain = re.sub(r"[^a-z0-9]", "", title.rpartition(".")[2].lower())
    for role, pattern in _GUIDES:
        if pattern.fullmatch(plain):
            return role
    words = [word.lower() for word in _WORDS.findall(title)]
    for role, pattern in _PROTECTED:
        if any(pattern.fullmatch(word) for word in words):
            return role
    if plain in _BEAUTY:
        return "beauty"
    xyz = {key.rpartition(".")[2].lower() for key in channels} >= {"x", "y", "z"}
    return "data" if xyz or _NOT_LIGHT.fullmatch(plain) else "light"


def _without_samples(title: str) -> str:
    """albedo.RGB -> albedo; a title that says no more than RGB stays."""
    front, _, last = title.rpartition(".")
    return front if front and last.lower() in _SAMPLES else title


def beauty(found: Sequence[Layer]) -> list[Layer]:
    """The beauty of each part and view; where none is called so, the first that is light."""
    named = [layer for layer in found if layer.role == "beauty"]
    return named or [layer for layer in found if layer.role == "light"][:1]


def find(found: Sequence[Layer], name: str) -> list[Layer]:
    """The layers that a user means by `name`, in any case.

    The whole name; else the name without what it says of its samples (albedo for albedo.RGB, Mist
    for Mist.Z); else the last part of that.
    """
    wanted = name.strip().lower()
    plain = lambda title: re.sub(r"\.[a-z]$", "", _without_samples(title.lower()))  # noqa: E731
    for short in (str.lower, plain, lambda title: plain(title).rpartition(".")[2]):
        if fit := [layer for layer in found if short(layer.name) == wanted]:
            return fit
    return []


def guide(found: Sequence[Layer], role: Role, beside: Layer) -> Layer | None:
    """The guide of this role that is made for `beside`, or none.

    The same part and prefix go before others, then one made for denoising, then one of the whole
    material.
    """
    fit = [layer for layer in found if layer.role == role and len(layer.channels) in (1, 3)]
    fit = [layer for layer in fit if serves(found, layer, beside)]

    def order(layer: Layer) -> tuple[bool, ...]:
        name = layer.name.lower()
        elsewhere = layer.part != beside.part, _prefix(layer) != _prefix(beside)
        return *elsewhere, "denois" not in name, _PARTIAL.search(name) is not None

    return min(fit, key=order, default=None)


def serves(found: Sequence[Layer], guide: Layer, beside: Layer) -> bool:
    """Whether a guide shows the same picture as `beside`: its view, view layer and part.

    The guides of a part that holds light are that part's own; a part without light serves all
    parts, if they are of one picture. So it is with view layers: one without a beauty serves all.
    """
    if guide.view != beside.view:
        return False
    of_view = [layer for layer in found if layer.view == guide.view]
    heads = [layer for layer in of_view if layer.role == "beauty"]
    heads = heads or [layer for layer in of_view if layer.role == "light"]
    groups = {_prefix(head) for head in heads}
    group = _group(guide, groups)
    if group in groups and group != _group(beside, groups):
        return False
    if guide.part == beside.part:
        return True
    lit = {layer.part for layer in of_view if layer.role in ("beauty", "light")}
    beauties = {h.part for h in heads if h.role == "beauty" and _prefix(h) == group}
    return guide.part not in lit and len(beauties) <= 1


def scene_of(found: Sequence[Layer], layer: Layer) -> str:
    """The view layer that a layer is of: what stands before the name of a beauty, or nothing."""
    return _group(layer, {_prefix(head) for head in found if head.role == "beauty"})


def _prefix(layer: Layer) -> str:
    """What stands before the last word of a name, such as the view layer; its view left out."""
    words = _without_samples(layer.name).split(".")
    return ".".join([word for word in words if word.lower() != layer.view][:-1])


def _group(layer: Layer, groups: set[str]) -> str:
    """The innermost of these groups that a layer is in, or nothing."""
    words = _prefix(layer).split(".")
    fronts = [".".join(words[:size]) for size in range(len(words), 0, -1)]
    return next((front for front in fronts if front in groups), "")
