"""Which numbers of the cameras a bundle adjustment may change, their names, and what is known of them before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from calibration.bundle_result import BACK_NAMES, BOARD, POSE_NAMES, BundleConfig
from calibration.camera import Intrinsics, Rig
from calibration.errors import CalibrationError
from calibration.intrinsics_prior import IntrinsicsPrior, parameter_names, parameters_of
from calibration.lenses import Lens
from calibration.observations import BoardObservations

FEWEST_VIEWS = 8
"""A lens of which nothing is known is left as it is with fewer views: they would bend it to their noise."""

OFFSET_STD_S = 0.1
LINE_STD_S = 1e-4
"""Clocks of one take differ by at most some frames; reading out a picture takes at most the time of one."""


BACK_STD = np.repeat([0.03, 0.01], 3)
"""rad, m: prints are glued to the two sides of a board by hand, and it may be a centimetre thick."""

OFFSET, LINE = -8, -7
"""Where a camera's clock offset and line time stand among its own numbers, from their end."""


@dataclass(frozen=True, eq=False)
class Parameters:
    """The P numbers that change, and where those of each camera stand among them.

    columns: per camera the place of each of its own numbers (pose 6, lens 4 + D, offset, line time, print on the
    back 6, of which all cameras have the same); -1 is held.
    mean, information: of a normal distribution over the P numbers, zeros where nothing is known.
    """

    names: tuple[tuple[str, str], ...]
    columns: tuple[Int[np.ndarray, "_"], ...]
    mean: Float[np.ndarray, "P"]
    information: Float[np.ndarray, "P P"]

    def __len__(self) -> int:
        return len(self.names)


def choose_parameters(
    rig: Rig,
    observations: BoardObservations,
    config: BundleConfig,
    *,
    priors: Mapping[str, IntrinsicsPrior],
    two_sided: bool = False,
) -> Parameters:
    """The parameters that a configuration lets change; where both sides of the board were seen, also how the print on
    its back lies to that on its front, under the name BOARD. Cameras of one group share the numbers of their lens."""
    _check_groups(rig, config)
    names: list[tuple[str, str]] = []
    columns: list[np.ndarray] = []
    blocks: list[tuple[list[int], np.ndarray, np.ndarray]] = []
    first_of = {name: group[0] for group in config.shared for name in group}
    lens_of: dict[str, np.ndarray] = {}
    views = np.bincount(observations.view_camera, minlength=len(rig))
    back = _add(names, BOARD, BACK_NAMES if two_sided else (), 6)
    if two_sided:
        blocks.append((list(back), np.zeros(6), np.diag(BACK_STD**-2)))
    for camera, count in zip(rig, views, strict=True):
        owner = first_of.get(camera.name, camera.name)
        pose = _add(names, camera.name, () if config.cameras_fixed else POSE_NAMES, 6)
        if owner not in lens_of:
            prior = _lens_prior(owner, camera.intrinsics, int(count), config, priors)
            lens_of[owner] = np.full(4 + len(camera.intrinsics.distortion), -1)
            if prior is not None:
                free = np.flatnonzero(np.diag(prior.covariance) > 0)
                every = parameter_names(camera.intrinsics)
                lens_of[owner][free] = _add(names, owner, [every[i] for i in free], len(free))
                known = np.linalg.inv(prior.covariance[np.ix_(free, free)])
                blocks.append((list(lens_of[owner][free]), prior.mean[free], known))
        timing = [*_add(names, camera.name, ("offset",) if config.time_offsets else (), 1)]
        timing += [*_add(names, camera.name, ("line",) if config.line_time else (), 1)]
        for at, std in zip(timing, (OFFSET_STD_S, LINE_STD_S), strict=True):
            if at >= 0:
                blocks.append(([int(at)], np.zeros(1), np.array([[std**-2]])))
        columns.append(np.concatenate([pose, lens_of[owner], timing, back]).astype(int))
    return _with_blocks(names, columns, blocks)


def _add(names: list[tuple[str, str]], camera: str, added: Sequence[str], count: int) -> np.ndarray:
    if not added:
        return np.full(count, -1)
    names.extend((camera, name) for name in added)
    return np.arange(len(names) - len(added), len(names))


def _with_blocks(names: list, columns: list, blocks: list) -> Parameters:
    mean, information = np.zeros(len(names)), np.zeros((len(names), len(names)))
    for rows, middle, known in blocks:
        mean[rows] = middle
        information[np.ix_(rows, rows)] = known
    return Parameters(tuple(names), tuple(columns), mean, information)


def _lens_prior(
    name: str, intrinsics: Intrinsics, n_views: int, config: BundleConfig, priors: Mapping[str, IntrinsicsPrior]
) -> IntrinsicsPrior | None:
    if config.refine_intrinsics is False or config.cameras_fixed:
        return None
    if name in priors:
        if priors[name].covariance.shape[0] != 4 + len(intrinsics.distortion):
            raise CalibrationError(
                "what is known of its lens belongs to another kind of lens than the rig's",
                where=f"camera {name}",
                remedy="Start the adjustment from the lens that the prior describes.",
            )
        return priors[name]
    if config.refine_intrinsics == "auto" and n_views < FEWEST_VIEWS:
        return None
    return IntrinsicsPrior(intrinsics, np.diag(_vague(intrinsics) ** 2))


def _vague(intrinsics: Intrinsics) -> np.ndarray:
    """Deviations of a lens of which there is only a guess: a focal length to 10 %, an axis to 5 % of the picture.

    Rational coefficients (k4 k5 k6) trade with the others and stay as they are.
    """
    width, height = intrinsics.image_size
    K = intrinsics.K
    pinhole = [0.1 * K[0, 0], 0.1 * K[1, 1], 0.05 * width, 0.05 * height]
    lens = [0.2, 0.2, 0.2, 0.2] if intrinsics.lens is Lens.FISHEYE else [0.5, 0.5, 0.02, 0.02, 0.5, 0.0, 0.0, 0.0]
    return np.array(pinhole + lens[: len(intrinsics.distortion)])


def _check_groups(rig: Rig, config: BundleConfig) -> None:
    for group in config.shared:
        kinds = {(rig[name].intrinsics.lens, rig[name].intrinsics.image_size) for name in group}
        numbers = {tuple(np.round(parameters_of(rig[name].intrinsics), 9)) for name in group}
        if len(kinds) > 1 or len(numbers) > 1:
            raise CalibrationError(
                f"{', '.join(group)} are to share a lens, but start with different ones",
                remedy="Give them the same intrinsics, or leave them out of the group.",
            )
