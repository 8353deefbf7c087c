"""Do the videos belong to the calibration? Names are matched, sizes compared, and a difference refused or adapted.

A calibration holds for one picture size only. Where a video has another, `VideoFitConfig` says how it came about:
the whole picture was resized, its middle or another window was cut out, or both
(`affine`: calibration px = scale * video px + offset).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from calibration.camera import Camera, Intrinsics, Rig
from mocap.core.config import Config, Report
from mocap.core.errors import CalibrationError, VideoError
from mocap.io.video_probe import VideoInfo

CONFIG_SECTION = "video"
"""Where a VideoFitConfig stands in the pipeline's configuration; error messages quote it."""

MINIMUM_CAMERAS = 2

ASPECT_TOLERANCE_PX = 2.0
"""Resized sizes are rounded, by most encoders to even numbers: up to this much is not another aspect."""

FitMode = Literal["refuse", "resize", "center_crop", "crop", "affine"]


class CameraFit(Config):
    """How one camera's video came from the picture that was calibrated.

    origin_px: for `crop`, the calibrated picture's pixel (x, y) that is the video's top-left one.
    scale, offset_px: for `affine`, calibration px = scale * video px + offset, per axis (x, y).
    """

    fit: FitMode = "refuse"
    origin_px: tuple[int, int] | None = None
    scale: tuple[float, float] | None = None
    offset_px: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> CameraFit:
        if (self.fit == "crop") != (self.origin_px is not None):
            raise ValueError('origin_px = [x, y] belongs to fit = "crop", which needs it')
        if (self.fit == "affine") != (self.scale is not None and self.offset_px is not None) or (
            self.fit != "affine" and (self.scale is not None or self.offset_px is not None)
        ):
            raise ValueError('scale = [x, y] and offset_px = [x, y] belong to fit = "affine", which needs both')
        if self.scale is not None and min(self.scale) <= 0:
            raise ValueError("scale must be positive")
        return self


class VideoFitConfig(Config):
    """How videos fit their calibration.

    fit: for all cameras whose size differs. cameras: exceptions by camera name; an `affine` one is applied even where
    the sizes are equal. names: the take's camera -> the rig's, where they are called differently.
    """

    fit: Literal["refuse", "resize", "center_crop"] = "refuse"
    cameras: dict[str, CameraFit] = Field(default_factory=dict)
    names: dict[str, str] = Field(default_factory=dict)


class VideoFitReport(Report):
    """renamed: the take's camera -> the rig's, where they are not called the same; adapted: camera -> what was done."""

    renamed: dict[str, str]
    adapted: dict[str, str]
    unused: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is worth telling."""
        told = [f"camera {take} is {rig} of the rig" for take, rig in self.renamed.items()]
        told += [f"{name}: the calibration was adapted to the video ({what})" for name, what in self.adapted.items()]
        if self.unused:
            verbs = ("has", "is") if len(self.unused) == 1 else ("have", "are")
            told.append(f"the rig's {', '.join(self.unused)} {verbs[0]} nothing in this take and {verbs[1]} left out")
        return tuple(told)


def fit_rig_to_videos(
    rig: Rig, infos: Mapping[str, VideoInfo], config: VideoFitConfig | None = None
) -> tuple[Rig, VideoFitReport]:
    """The rig with the take's cameras, names and order, each calibration in its video's pixels."""
    config = config or VideoFitConfig()
    unknown = sorted(set(config.cameras) - set(infos))
    if unknown:
        raise VideoError(
            f"the configuration speaks of camera {', '.join(unknown)}; the take has {', '.join(infos)}",
            where=f"{CONFIG_SECTION}.cameras",
        )
    named, renamed, unused = rig_of_cameras(rig, tuple(infos), config.names)
    adapted: dict[str, str] = {}
    cameras = []
    for camera in named:
        fit = config.cameras.get(camera.name) or CameraFit(fit=config.fit)
        intrinsics, what = _adapted(camera, infos[camera.name], fit)
        cameras.append(replace(camera, intrinsics=intrinsics))
        if what:
            adapted[camera.name] = what
    return Rig(tuple(cameras)), VideoFitReport(renamed=renamed, adapted=adapted, unused=unused)


def rig_of_cameras(
    rig: Rig, names: Sequence[str], renames: Mapping[str, str] | None = None
) -> tuple[Rig, dict[str, str], tuple[str, ...]]:
    """The rig's cameras under the take's names and in its order; which were called otherwise; which are left over.

    A name is looked up in `renames`, then as it is, then in plain form (`cam_1`, `Cam 01` and `cam1` are one) where
    that leaves no doubt.
    """
    partner = {name: _partner(name, rig, names, renames or {}) for name in names}
    missing = [name for name, match in partner.items() if match is None]
    if missing:
        raise _missing_error(rig, names, missing)
    found = {name: match for name, match in partner.items() if match is not None}
    if len(set(found.values())) < len(found):
        twice = sorted({m for m in found.values() if list(found.values()).count(m) > 1})
        raise CalibrationError(
            f"two cameras of the take would be {', '.join(twice)} of the rig", where=f"{CONFIG_SECTION}.names"
        )
    if len(found) < MINIMUM_CAMERAS:
        raise VideoError(
            f"the take has only camera {', '.join(found) or '(none)'}",
            remedy=f"Depth needs at least {MINIMUM_CAMERAS} calibrated cameras.",
        )
    cameras = tuple(replace(rig[match], name=name) for name, match in found.items())
    unused = tuple(name for name in rig.names if name not in found.values())
    return Rig(cameras), {name: match for name, match in found.items() if name != match}, unused


def _partner(name: str, rig: Rig, names: Sequence[str], renames: Mapping[str, str]) -> str | None:
    if name in renames:
        return rig[renames[name]].name
    if name in rig.names:
        return name
    plain = _plain(name)
    candidates = [n for n in rig.names if _plain(n) == plain and n not in names]
    rivals = [n for n in names if _plain(n) == plain and n not in rig.names]
    return candidates[0] if len(candidates) == 1 and len(rivals) == 1 else None


def _plain(name: str) -> str:
    """Small letters and digits only, without leading zeros."""
    return re.sub(r"0+(?=\d)", "", re.sub(r"[^0-9a-z]", "", name.casefold()))


def _missing_error(rig: Rig, names: Sequence[str], missing: Sequence[str]) -> CalibrationError:
    free = [n for n in rig.names if n not in names]
    lines = []
    for name in missing:
        number = re.findall(r"\d+", name)
        alike = [n for n in free if number and [int(x) for x in re.findall(r"\d+", n)] == [int(x) for x in number]]
        inside = [n for n in free if _plain(n) in _plain(name)]
        near = difflib.get_close_matches(name, free, n=1, cutoff=0.6)
        near = near or next((found for found in (inside, alike) if len(found) == 1), [])
        lines += [f'{name} = "{near[0]}"'] if near else []
    remedy = "Rename the videos after the rig's cameras, or calibrate the missing ones."
    if lines:
        remedy = f"If they are the same cameras, write in the configuration:\n[{CONFIG_SECTION}.names]\n" + "\n".join(
            lines
        )
    return CalibrationError(f"the rig has no camera {', '.join(missing)}; it has {', '.join(rig.names)}", remedy=remedy)


def _adapted(camera: Camera, info: VideoInfo, fit: CameraFit) -> tuple[Intrinsics, str]:
    """Intrinsics in the video's pixels and what was done, empty for nothing."""
    calibrated, size = camera.intrinsics, info.size
    if fit.fit == "affine" and fit.scale is not None and fit.offset_px is not None:
        text = f"calibration px = {_pair(fit.scale)} * video px + {_pair(fit.offset_px)}"
        return _through_affine(calibrated, fit.scale, fit.offset_px, size), text
    if fit.fit == "crop" and fit.origin_px is not None:
        return _window(camera, info, fit.origin_px), f"cropped to {_times(size)} at {_pair(fit.origin_px)}"
    if size == calibrated.image_size:
        return calibrated, ""
    if fit.fit == "resize" and _same_aspect(size, calibrated.image_size):
        return calibrated.resized(size), f"resized from {_times(calibrated.image_size)} to {_times(size)}"
    if fit.fit == "center_crop" and _fits_inside(size, calibrated.image_size):
        origin = ((calibrated.image_size[0] - size[0]) // 2, (calibrated.image_size[1] - size[1]) // 2)
        return _window(camera, info, origin), f"the middle {_times(size)} of {_times(calibrated.image_size)}"
    raise _size_error(camera, info, fit.fit)


def _through_affine(
    calibrated: Intrinsics, scale: tuple[float, float], offset_px: tuple[float, float], size: tuple[int, int]
) -> Intrinsics:
    K = calibrated.K.copy()
    K[:2, 2] -= offset_px
    K[:2] /= np.array(scale)[:, None]
    return replace(calibrated, image_size=size, K=K)


def _window(camera: Camera, info: VideoInfo, origin_px: tuple[int, int]) -> Intrinsics:
    whole = camera.intrinsics.image_size
    ends = (origin_px[0] + info.size[0], origin_px[1] + info.size[1])
    if min(origin_px) < 0 or ends[0] > whole[0] or ends[1] > whole[1]:
        raise VideoError(
            f"the window of {_times(info.size)} px at {_pair(origin_px)} reaches out of the calibrated {_times(whole)}",
            where=f"{CONFIG_SECTION}.cameras.{camera.name}",
        )
    return camera.intrinsics.cropped((float(origin_px[0]), float(origin_px[1])), info.size)


def _size_error(camera: Camera, info: VideoInfo, tried: FitMode) -> VideoError:
    size, calibrated = info.size, camera.intrinsics.image_size
    what = f"camera {camera.name}: the video is {_times(size)} but its calibration is for {_times(calibrated)}"
    if tried != "refuse":
        what += f', which fit = "{tried}" cannot explain'
    return VideoError(what, where=info.path, remedy=_size_remedy(camera.name, info, calibrated))


def _size_remedy(name: str, info: VideoInfo, calibrated: tuple[int, int]) -> str:
    size = info.size
    if _same_aspect((size[1], size[0]), calibrated) and not _same_aspect(size, calibrated):
        turns = f"rotation = {360 - info.rotation}" if info.rotation else "rotation = 90 (or 270)"
        return f'Is it rotated? Write in session.toml:\n[[camera]]\nname = "{name}"\n{turns}'
    ways = []
    if _same_aspect(size, calibrated):
        ways.append(f'if it was resized:\n[{CONFIG_SECTION}]\nfit = "resize"')
    if _fits_inside(size, calibrated):
        ways.append(f'if its middle was cut out:\n[{CONFIG_SECTION}]\nfit = "center_crop"')
    ways.append(
        "if you know calibration px = scale * video px + offset:\n"
        f'[{CONFIG_SECTION}.cameras.{name}]\nfit = "affine"\nscale = [{calibrated[0] / size[0]:.4f}, '
        f"{calibrated[1] / size[1]:.4f}]\noffset_px = [{(calibrated[0] / size[0] - 1) / 2:.4f}, "
        f"{(calibrated[1] / size[1] - 1) / 2:.4f}]"
    )
    return "Use the video that was calibrated, or write in the configuration, " + "\nor ".join(ways)


def _same_aspect(size: tuple[int, int], other: tuple[int, int]) -> bool:
    return abs(size[0] * other[1] / other[0] - size[1]) <= ASPECT_TOLERANCE_PX


def _fits_inside(size: tuple[int, int], whole: tuple[int, int]) -> bool:
    return size[0] <= whole[0] and size[1] <= whole[1]


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _pair(values: Sequence[float | int]) -> str:
    return f"({values[0]:g}, {values[1]:g})"
