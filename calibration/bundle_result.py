"""What a bundle adjustment is asked for, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from calibration.board_motion import BoardMotion
from calibration.camera import Rig
from calibration.errors import CalibrationError, UnknownCameraError
from calibration.transforms import RigidTransform

POSE_NAMES = ("rx", "ry", "rz", "x", "y", "z")
"""Numbers of a camera's pose: the rotation vector w of R = exp(w) R0 (rad, camera axes), the centre (m, world)."""


BOARD = "(board)"
BACK_NAMES = ("back_rx", "back_ry", "back_rz", "back_x", "back_y", "back_z")
"""How the print on the back of a board lies to that on its front, about the middle of its corners: rad, m."""


@dataclass(frozen=True)
class BundleConfig:
    """What is estimated, and how.

    refine_intrinsics: whether lenses change; "auto" where a prior is given or the camera has views enough. shared:
    groups of cameras with one common lens. cameras_fixed: only the board moves.

    continuous: whether the board moves between pictures of one moment; "auto" where their times differ by more than
    `synchronous_s` in the mean, or where a board that rests in each moment leaves clearly more noise than single views
    have. Then, unless told otherwise: time_offsets, a common delay of each camera's pictures; line_time, the time
    between the rows of a picture; time_jitter, a delay of each picture of its own. back_offset: whether the prints on
    the two sides of a board may lie elsewhere than behind each other; "auto" where both were seen often.

    clocks: by camera the delay and line time (s) to start from, and front_from_back: they stay as given where they are
    not estimated. loss_px: where residuals begin to count less while the solution is far; None takes it from the
    residuals. gate: multiple of the noise beyond which a corner is an outlier. noise_px: what corners are known to be
    off by; None estimates it.
    """

    refine_intrinsics: Literal["auto"] | bool = "auto"
    continuous: Literal["auto"] | bool = "auto"
    time_offsets: Literal["auto"] | bool = "auto"
    line_time: Literal["auto"] | bool = "auto"
    time_jitter: bool = True
    back_offset: Literal["auto"] | bool = "auto"
    cameras_fixed: bool = False
    shared: tuple[tuple[str, ...], ...] = ()
    loss_px: float | None = None
    gate: float = 4.0
    noise_px: float | None = None
    max_iterations: int = 60
    synchronous_s: float = 1e-3
    clocks: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    front_from_back: RigidTransform | None = None

    def __post_init__(self) -> None:
        if self.gate < 2:
            raise CalibrationError(
                f"a gate of {self.gate:g} deviations throws good corners away", remedy="Take 3 or more."
            )


@dataclass(frozen=True, eq=False)
class BundleResult:
    """Cameras and board after the adjustment, in the world of the start.

    residual_px: (N, 2) seen minus predicted, NaN where the board has no pose. weight: (N,) in [0, 1]. outlier: (N,),
    corners that were not used. rms_px: of the length of the residuals of the others (2D, not per coordinate).
    noise_px: estimated standard deviation of one coordinate. moving: whether the board was taken to move between the
    pictures of a moment. time_offset_s: to be added to the times of a camera's pictures; line_time_s: between its rows.
    front_from_back: between the two prints of the board, in its frame; identity where only one was seen.
    view_rotation, view_position: (V, 3, 3), (V, 3) m, world_from_board (of the print that was seen) when each view was
    taken, at the middle row of its picture; NaN where unknown. motion: at the moments that were seen.

    covariance: (P, P) of `parameters`, pairs of camera and name: POSE_NAMES, then the names of the lens (under the
    first camera of a group that shares it), "offset" s and "line" s; BACK_NAMES under BOARD. It is in the gauge in
    which the rig as a whole neither turns nor shifts (inner constraints, turns weighted by the distance of the board),
    so that no camera is exact by decree; corners that err together are taken for what they are
    (`calibration.bundle_uncertainty`).
    """

    rig: Rig
    motion: BoardMotion
    residual_px: Float[np.ndarray, "N 2"]
    weight: Float[np.ndarray, "N"]
    outlier: Bool[np.ndarray, "N"]
    rms_px: float
    noise_px: float
    time_offset_s: Mapping[str, float]
    line_time_s: Mapping[str, float]
    front_from_back: RigidTransform
    moving: bool
    iterations: int
    converged: bool
    seconds: float
    parameters: tuple[tuple[str, str], ...]
    covariance: Float[np.ndarray, "P P"]
    view_rotation: Float[np.ndarray, "V 3 3"]
    view_position: Float[np.ndarray, "V 3"]

    @property
    def inlier_share(self) -> float:
        return float(1 - self.outlier.mean()) if len(self.outlier) else 0.0

    def rows(self, camera: str, names: tuple[str, ...] = POSE_NAMES) -> list[int]:
        """Where the numbers of a camera stand in the covariance."""
        if camera not in self.rig.names:
            raise UnknownCameraError(f"no camera {camera!r} was adjusted; there are {', '.join(self.rig.names)}")
        return [self.parameters.index((camera, name)) for name in names if (camera, name) in self.parameters]

    def covariance_of(self, camera: str, names: tuple[str, ...] = POSE_NAMES) -> Float[np.ndarray, "n n"]:
        """The block of one camera; empty where nothing of it was estimated."""
        rows = self.rows(camera, names)
        return self.covariance[np.ix_(rows, rows)]

    def position_std_m(self, camera: str) -> Float[np.ndarray, "3"]:
        """Standard deviations of the camera's centre along the world's axes; zero where it was held."""
        return _deviations(self.covariance_of(camera, POSE_NAMES[3:]), 3)

    def rotation_std(self, camera: str) -> Float[np.ndarray, "3"]:
        """Standard deviations of its rotation about its own axes, rad."""
        return _deviations(self.covariance_of(camera, POSE_NAMES[:3]), 3)


def _deviations(block: np.ndarray, count: int) -> np.ndarray:
    return np.sqrt(np.diag(block)) if len(block) else np.zeros(count)
