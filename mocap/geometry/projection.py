"""Cameras as tensors: project, undistort and cast rays for every camera of a rig at once.

Convention: world metres, camera axes x right, y down, z forward, pixels distorted with the centre of the top-left pixel
at (0, 0). The camera axis C is the last axis before the coordinates: points (*batch, 3) -> pixels (*batch, C, 2).
The formulas are those of `calibration.lenses` (Brown 1971 and OpenCV's rational form; Kannala & Brandt 2006).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from calibration.camera import Intrinsics, Rig
from calibration.lenses import INVERSION_STEPS, Lens, fisheye_fold, fold_radius

CONVERGED = 1e-13
"""Normalised units; a Newton step that small moves no pixel by more than 1e-9."""
INVERTED = 1e-9
"""Normalised units; a larger residual means that no ray is imaged there."""
ON_AXIS = 1e-24
"""Squared normalised radius below which a fisheye lens is its own linear limit."""
SAFE_SQUARED_RADIUS = 1e-6
"""Stands in for the squared radius on the axis: small enough that every lens has an angle there."""


@dataclass(frozen=True, eq=False)
class CameraTensors:
    """The cameras of a rig, stacked. `has_*` say which lens formulas are needed at all.

    R (C, 3, 3), t (C, 3): x_cam = R x_world + t, m. K (C, 3, 3) px. distortion (C, 8): Brown–Conrady k1 k2 p1 p2 k3 k4
    k5 k6, or fisheye k1 k2 k3 k4 in the first four. image_size (C, 2): width, height px.
    """

    R: Float[Tensor, "C 3 3"]
    t: Float[Tensor, "C 3"]
    K: Float[Tensor, "C 3 3"]
    distortion: Float[Tensor, "C 8"]
    fisheye: Bool[Tensor, "C"]
    image_size: Float[Tensor, "C 2"]
    fold: Float[Tensor, "C"]
    has_brown: bool
    has_fisheye: bool

    def __len__(self) -> int:
        return len(self.R)

    @property
    def centers(self) -> Float[Tensor, "C 3"]:
        """Optical centres in the world, m."""
        return -(self.R.mT @ self.t[..., None])[..., 0]


def camera_tensors(
    rig: Rig, *, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
) -> CameraTensors:
    """The cameras of `rig`, in its order."""
    distortion = torch.zeros((len(rig), 8), dtype=torch.float64)
    for row, camera in zip(distortion, rig, strict=True):
        coefficients = torch.from_numpy(camera.intrinsics.distortion)
        row[: len(coefficients)] = coefficients
    fisheye = torch.tensor([camera.intrinsics.lens is Lens.FISHEYE for camera in rig])

    def stacked(arrays: list) -> Tensor:
        return torch.stack([torch.as_tensor(a, dtype=torch.float64) for a in arrays]).to(device, dtype)

    return CameraTensors(
        R=stacked([camera.cam_from_world.R for camera in rig]),
        t=stacked([camera.cam_from_world.t for camera in rig]),
        K=stacked([camera.intrinsics.K for camera in rig]),
        distortion=distortion.to(device, dtype),
        fisheye=fisheye.to(device),
        image_size=stacked([camera.intrinsics.image_size for camera in rig]),
        fold=stacked([_fold(camera.intrinsics) for camera in rig]),
        has_brown=bool((~fisheye & distortion.any(-1)).any()),
        has_fisheye=bool(fisheye.any()),
    )


def _fold(intrinsics: Intrinsics) -> float:
    coefficients = tuple(intrinsics.distortion.tolist())
    return fisheye_fold(coefficients)[0] if intrinsics.lens is Lens.FISHEYE else fold_radius(coefficients)


def project(cameras: CameraTensors, points: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch C 2"]:
    """World points (m) to distorted pixels in every camera; NaN at or behind the image plane (z <= 0) and beyond the
    fold of the lens."""
    xy, _, in_front = _pinhole(cameras, points)
    px = _px_from_normalised(cameras, _distort(cameras, xy))
    return torch.where(in_front[..., None], px, torch.nan)


def project_with_jacobian(
    cameras: CameraTensors, points: Float[Tensor, "*batch 3"]
) -> tuple[Float[Tensor, "*batch C 2"], Float[Tensor, "*batch C 2 3"]]:
    """`project` and d px / d world point (px/m); both NaN at or behind the image plane."""
    xy, z, in_front = _pinhole(cameras, points)
    distorted, lens = _distort_with_jacobian(cameras, xy)
    px = _px_from_normalised(cameras, distorted)
    x, y, z = xy[..., 0, None], xy[..., 1, None], z[..., None]
    d_x, d_y = (cameras.R[:, 0] - x * cameras.R[:, 2]) / z, (cameras.R[:, 1] - y * cameras.R[:, 2]) / z
    # Entry by entry: batched 2x2 products take three times as long.
    (xx, xy_), (yx, yy) = (row[..., None].unbind(-2) for row in lens.unbind(-2))
    fx, skew, fy = (cameras.K[:, i, j, None] for i, j in ((0, 0), (0, 1), (1, 1)))
    d_u = (fx * xx + skew * yx) * d_x + (fx * xy_ + skew * yy) * d_y
    d_v = fy * (yx * d_x + yy * d_y)
    jacobian = torch.stack([d_u, d_v], dim=-2)
    seen = in_front[..., None]
    return torch.where(seen, px, torch.nan), torch.where(seen[..., None], jacobian, torch.nan)


def undistort(cameras: CameraTensors, px: Float[Tensor, "*batch C 2"]) -> Float[Tensor, "*batch C 2"]:
    """Distorted pixels to the pixels of pinhole cameras with the same K; NaN where the lens images no ray."""
    return _px_from_normalised(cameras, normalise(cameras, px))


def normalise(cameras: CameraTensors, px: Float[Tensor, "*batch C 2"]) -> Float[Tensor, "*batch C 2"]:
    """Distorted pixels to ideal (x/z, y/z); NaN where the lens images no ray or (fisheye) none in front.

    The gradient is the implicit one: Newton runs without a tape and only its last step is recorded, which has the exact
    first derivative of the inverse.
    """
    target = _normalised_from_px(cameras, px)
    ideal = _undistort_brown(cameras, target) if cameras.has_brown else target
    if cameras.has_fisheye:
        ideal = torch.where(cameras.fisheye[:, None], _undistort_fisheye(cameras, target), ideal)
    return ideal


def rays(cameras: CameraTensors, px: Float[Tensor, "*batch C 2"]) -> Float[Tensor, "*batch C 3"]:
    """Unit directions in world axes of distorted pixels, starting at `cameras.centers`; fisheye beyond 90° too."""
    target = _normalised_from_px(cameras, px)
    ideal = _undistort_brown(cameras, target) if cameras.has_brown else target
    direction = torch.cat([ideal, torch.ones_like(ideal[..., :1])], dim=-1)
    direction = direction / direction.norm(dim=-1, keepdim=True)
    if cameras.has_fisheye:
        direction = torch.where(cameras.fisheye[:, None], _fisheye_direction(cameras, target), direction)
    return (direction[..., None, :] @ cameras.R)[..., 0, :]


def _pinhole(
    cameras: CameraTensors, points: Float[Tensor, "*batch 3"]
) -> tuple[Float[Tensor, "*batch C 2"], Float[Tensor, "*batch C"], Bool[Tensor, "*batch C"]]:
    """(x/z, y/z), a z that is safe to divide by, and where the point is in front and within the fold of the lens."""
    in_camera = (points @ cameras.R.flatten(0, 1).T).unflatten(-1, (len(cameras), 3)) + cameras.t
    in_front = in_camera[..., 2] > 0
    z = torch.where(in_front, in_camera[..., 2], 1.0)
    xy = in_camera[..., :2] / z[..., None]
    # Pinhole radius of the fold; a fisheye lens whose fold lies behind the camera images all that is in front.
    ahead = torch.where(cameras.fold < torch.pi / 2, torch.tan(cameras.fold), torch.inf)
    limit = torch.where(cameras.fisheye, ahead, cameras.fold)
    return xy, z, in_front & ((xy * xy).sum(-1) <= limit * limit)


def _px_from_normalised(cameras: CameraTensors, xy: Float[Tensor, "*batch C 2"]) -> Float[Tensor, "*batch C 2"]:
    x, y = xy.unbind(-1)
    K = cameras.K
    return torch.stack([K[:, 0, 0] * x + K[:, 0, 1] * y + K[:, 0, 2], K[:, 1, 1] * y + K[:, 1, 2]], dim=-1)


def _normalised_from_px(cameras: CameraTensors, px: Float[Tensor, "*batch C 2"]) -> Float[Tensor, "*batch C 2"]:
    K = cameras.K
    y = (px[..., 1] - K[:, 1, 2]) / K[:, 1, 1]
    x = (px[..., 0] - K[:, 0, 2] - K[:, 0, 1] * y) / K[:, 0, 0]
    return torch.stack([x, y], dim=-1)


def _distort(cameras: CameraTensors, xy: Float[Tensor, "*batch C 2"]) -> Float[Tensor, "*batch C 2"]:
    distorted = _distort_brown(cameras, xy) if cameras.has_brown else xy
    if cameras.has_fisheye:
        distorted = torch.where(cameras.fisheye[:, None], _distort_fisheye(cameras, xy), distorted)
    return distorted


def _distort_with_jacobian(
    cameras: CameraTensors, xy: Float[Tensor, "*batch C 2"]
) -> tuple[Float[Tensor, "*batch C 2"], Float[Tensor, "*batch C 2 2"]]:
    if cameras.has_brown:
        jacobian = _brown_jacobian(cameras, xy)
    else:
        jacobian = torch.eye(2, dtype=xy.dtype, device=xy.device).expand(*xy.shape, 2)
    if cameras.has_fisheye:
        jacobian = torch.where(cameras.fisheye[:, None, None], _fisheye_jacobian(cameras, xy), jacobian)
    return _distort(cameras, xy), jacobian


def _brown_radial(cameras: CameraTensors, r2: Tensor) -> Tensor:
    k1, k2, _, _, k3, k4, k5, k6 = cameras.distortion.unbind(-1)
    return (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))


def _brown_radial_slope(cameras: CameraTensors, r2: Tensor) -> Tensor:
    """Derivative of the radial factor by r²."""
    k1, k2, _, _, k3, k4, k5, k6 = cameras.distortion.unbind(-1)
    low = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    top_slope = k1 + r2 * (2 * k2 + 3 * k3 * r2)
    low_slope = k4 + r2 * (2 * k5 + 3 * k6 * r2)
    return (top_slope - _brown_radial(cameras, r2) * low_slope) / low


def _distort_brown(cameras: CameraTensors, xy: Float[Tensor, "*batch C 2"]) -> Float[Tensor, "*batch C 2"]:
    p1, p2 = cameras.distortion[:, 2], cameras.distortion[:, 3]
    x, y = xy.unbind(-1)
    r2 = x * x + y * y
    radial = _brown_radial(cameras, r2)
    return torch.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        dim=-1,
    )


def _brown_jacobian(cameras: CameraTensors, xy: Float[Tensor, "*batch C 2"]) -> Float[Tensor, "*batch C 2 2"]:
    """d distorted / d ideal, both normalised."""
    p1, p2 = cameras.distortion[:, 2], cameras.distortion[:, 3]
    x, y = xy.unbind(-1)
    r2 = x * x + y * y
    radial, slope = _brown_radial(cameras, r2), _brown_radial_slope(cameras, r2)
    cross = 2 * (x * y * slope + p1 * x + p2 * y)
    xx = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
    yy = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
    return torch.stack([xx, cross, cross, yy], dim=-1).unflatten(-1, (2, 2))


def _undistort_brown(cameras: CameraTensors, target: Float[Tensor, "*batch C 2"]) -> Float[Tensor, "*batch C 2"]:
    with torch.no_grad():
        ideal = target.detach().clone()
        for _ in range(INVERSION_STEPS):
            step = _newton_step(cameras, ideal, target)
            ideal = ideal - step
            if not (step.abs() > CONVERGED).any():
                break
        folded = (ideal * ideal).sum(-1) > cameras.fold * cameras.fold  # never imaged, whatever Newton found there
        lost = folded | ~((_distort_brown(cameras, ideal) - target).abs().amax(-1) < INVERTED)
    if target.requires_grad:
        ideal = ideal - _newton_step(cameras, ideal, target)
    return torch.where(lost[..., None], torch.nan, ideal)


def _newton_step(cameras: CameraTensors, ideal: Tensor, target: Tensor) -> Tensor:
    with torch.no_grad():
        (a, b), (c, d) = (row.unbind(-1) for row in _brown_jacobian(cameras, ideal).unbind(-2))
        determinant = a * d - b * c
    ex, ey = (_distort_brown(cameras, ideal) - target).unbind(-1)
    return torch.stack([d * ex - b * ey, a * ey - c * ex], dim=-1) / determinant[..., None]


def _fisheye_angle(cameras: CameraTensors, theta: Tensor) -> Tensor:
    k1, k2, k3, k4 = cameras.distortion[:, :4].unbind(-1)
    t2 = theta * theta
    return theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))


def _fisheye_slope(cameras: CameraTensors, theta: Tensor) -> Tensor:
    k1, k2, k3, k4 = cameras.distortion[:, :4].unbind(-1)
    t2 = theta * theta
    return 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + t2 * 9 * k4)))


def _radius(xy: Float[Tensor, "*batch C 2"]) -> tuple[Tensor, Tensor]:
    """Distance from the axis, a harmless one where it is too small to divide by, and the mask of those.

    On the axis sqrt has no derivative and theta_d / r is 0 / 0; the limit of the lens there is the identity.
    """
    squared = (xy * xy).sum(-1)
    on_axis = squared < ON_AXIS
    return torch.where(on_axis, SAFE_SQUARED_RADIUS, squared).sqrt(), on_axis


def _distort_fisheye(cameras: CameraTensors, xy: Float[Tensor, "*batch C 2"]) -> Float[Tensor, "*batch C 2"]:
    radius, on_axis = _radius(xy)
    scale = torch.where(on_axis, 1.0, _fisheye_angle(cameras, torch.atan(radius)) / radius)
    return xy * scale[..., None]


def _fisheye_jacobian(cameras: CameraTensors, xy: Float[Tensor, "*batch C 2"]) -> Float[Tensor, "*batch C 2 2"]:
    """d distorted / d ideal, both normalised: s I + (s'/r) xy xyᵀ with s = theta_d / r."""
    radius, on_axis = _radius(xy)
    theta, r2 = torch.atan(radius), radius * radius
    scale = torch.where(on_axis, 1.0, _fisheye_angle(cameras, theta) / radius)
    slope = torch.where(on_axis, 0.0, (_fisheye_slope(cameras, theta) / (1 + r2) - scale) / r2)
    eye = torch.eye(2, dtype=xy.dtype, device=xy.device)
    return scale[..., None, None] * eye + slope[..., None, None] * xy[..., :, None] * xy[..., None, :]


def _fisheye_theta(cameras: CameraTensors, radius: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch C"]:
    """Angle from the axis (rad) of a distorted radius; NaN outside the range of the lens."""

    def step(theta: Tensor) -> Tensor:
        with torch.no_grad():
            slope = _fisheye_slope(cameras, theta)
        return ((_fisheye_angle(cameras, theta) - radius) / slope).clamp(-0.5, 0.5)

    with torch.no_grad():
        theta = radius.detach().clone()
        for _ in range(INVERSION_STEPS):
            theta = theta - step(theta)
        good = ((_fisheye_angle(cameras, theta) - radius).abs() < INVERTED) & (_fisheye_slope(cameras, theta) > 0)
        good &= (theta >= 0) & (theta <= cameras.fold)
    if radius.requires_grad:
        theta = theta - step(theta)
    return torch.where(good, theta, torch.nan)


def _undistort_fisheye(cameras: CameraTensors, target: Float[Tensor, "*batch C 2"]) -> Float[Tensor, "*batch C 2"]:
    radius, on_axis = _radius(target)
    theta = _fisheye_theta(cameras, radius)
    scale = torch.where(on_axis, 1.0, torch.tan(theta) / radius)
    behind = ~on_axis & ~(theta < torch.pi / 2)
    return torch.where(behind[..., None], torch.nan, target * scale[..., None])


def _fisheye_direction(cameras: CameraTensors, target: Float[Tensor, "*batch C 2"]) -> Float[Tensor, "*batch C 3"]:
    """Unit direction in camera axes."""
    radius, on_axis = _radius(target)
    theta = _fisheye_theta(cameras, radius)
    scale = torch.where(on_axis, 1.0, torch.sin(theta) / radius)
    forward = torch.where(on_axis, 1.0, torch.cos(theta))
    return torch.cat([target * scale[..., None], forward[..., None]], dim=-1)
