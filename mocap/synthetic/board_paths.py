"""How people move a calibration board: in front of one camera, through the space of several, onto the floor.

A path is world_from_board (T, 4, 4) at an even rate; the board's frame is that of `calibration.boards`. People stop for
a moment wherever they have turned the board to, so that some pictures of a path are sharp whatever the exposure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation, Slerp

from calibration.boards import CharucoBoard
from calibration.camera import Camera

TREMOR_M = 0.0012
TREMOR_DEG = 0.35
TREMOR_S = 0.12
"""Size and duration of the hands' unrest."""

FLOOR_M = 0.04
"""Nobody scratches the floor with a board's edge."""
BORDER = 0.01
"""Share of the picture that stays free around the squares at its edges: markers are read only when they are whole."""
FILL_AT_MOST = 0.9

# Place in the picture (-1, 1: against the edges), share of the picture that the board fills, tilt about its x and y.
WAVE = (
    (0, 0, 0.80, 0, 0),
    (-1, -1, 0.55, 32, -10),
    (1, -1, 0.48, -10, -36),
    (1, 1, 0.55, -32, 10),
    (-1, 1, 0.48, 10, 36),
    (0, 0, 0.75, 42, 0),
    (0, 0, 0.75, 0, -42),
    (0, 0, 0.30, 10, 0),
    (-1, -1, 0.32, 0, 25),
    (0, -1, 0.42, 36, 0),
    (1, -1, 0.32, 10, 25),
    (1, 0, 0.42, 0, 38),
    (1, 1, 0.32, -25, 0),
    (0, 1, 0.42, -38, 0),
    (-1, 1, 0.32, -10, -25),
    (-1, 0, 0.42, 0, -38),
    (0, 0, 0.75, -42, 0),
    (0, 0, 0.75, 0, 42),
    (0, 0, 0.90, 12, 12),
)


@dataclass(frozen=True, eq=False)
class Stop:
    """Where a board is held for a moment: world_from_board's rotation, and the place of the board's middle, m."""

    R: Float[np.ndarray, "3 3"]
    middle: Float[np.ndarray, "3"]


Way = Callable[[Stop, Stop, Float[np.ndarray, "n 1"]], Float[np.ndarray, "n 3"]]
"""Places of the board's middle between two stops, at shares of the way."""


def straight(here: Stop, there: Stop, done: Float[np.ndarray, "n 1"]) -> Float[np.ndarray, "n 3"]:
    """On a line in space."""
    return here.middle + done * (there.middle - here.middle)


@dataclass(frozen=True)
class Pace:
    """Mean speeds between stops (the peak is 15/8 of them), shortest move, range of pauses, and the shape of ways."""

    speed_m_s: float
    turn_deg_s: float
    shortest_s: float = 0.45
    pause_s: tuple[float, float] = (0.2, 0.5)
    way: Way = straight


def wave_at_camera(
    camera: Camera, board: CharucoBoard, *, seconds: float, fps: float, rng: np.random.Generator
) -> Float[np.ndarray, "T 4 4"]:
    """Someone waves the board at one camera, for its intrinsics: all of the picture with its corners, near and far,
    tilted up to about 45° both ways, always with nearly all squares in view.

    Corners and tilts are reached in 6 to 14 s, everything once in 25 to 45 s (large boards and wide lenses take
    longest); longer paths go round again, the board upright and on its side by turns. It is held above the floor, so
    cameras near the floor see it from nearer.
    """
    speed = min(0.75, 0.7 * _distance(camera, board, 0.4))
    pace = Pace(
        speed, 80.0, pause_s=(0.1, 0.35), way=lambda here, there, done: _way_in_picture(camera, here, there, done)
    )
    return travelled(_waves(camera, board, rng), pace, board=board, time_s=_times(seconds, fps), rng=rng)


def lie_on_floor(
    board: CharucoBoard,
    *,
    position: tuple[float, float] = (0.0, 0.0),
    heading_rad: float = 0.0,
    thickness_m: float = 0.002,
) -> Float[np.ndarray, "4 4"]:
    """world_from_board of a board that lies still with its print up: it can give a calibration its world.

    The board's origin, the outer corner of the print's top-left square, is at `position`; the edge that runs right from
    it (the print's top edge) points along heading_rad, counter-clockwise from the world's X as seen from above. So by
    default the world's origin is that corner, X runs along the print's top edge, and the board lies in y < 0, with Y
    the way from the print's bottom to its top. The print is thickness_m above the floor.
    """
    c, s = np.cos(heading_rad), np.sin(heading_rad)
    pose = np.eye(4)
    pose[:3, :3] = np.array([[c, s, 0.0], [s, -c, 0.0], [0.0, 0.0, -1.0]])
    pose[:3, 3] = *position, thickness_m
    return pose


def poses_at(
    world_from_board: Float[np.ndarray, "T 4 4"], fps: float, time_s: Float[np.ndarray, "N"]
) -> Float[np.ndarray, "N 4 4"]:
    """A path at any moments since its first frame: cubic in place, slerp in rotation, held before and after."""
    if len(world_from_board) == 1:
        return np.repeat(world_from_board, len(time_s), axis=0)
    own = np.arange(len(world_from_board)) / fps
    moments = np.clip(time_s, 0, own[-1])
    poses = np.tile(np.eye(4), (len(time_s), 1, 1))
    poses[:, :3, 3] = CubicSpline(own, world_from_board[:, :3, 3])(moments)
    poses[:, :3, :3] = Slerp(own, Rotation.from_matrix(world_from_board[:, :3, :3]))(moments).as_matrix()
    return poses


def travelled(
    stops: Iterator[Stop],
    pace: Pace,
    *,
    board: CharucoBoard,
    time_s: Float[np.ndarray, "T"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "T 4 4"]:
    """From stop to stop with smooth starts and ends, pauses between, and the unrest of hands."""
    R, middle = np.empty((len(time_s), 3, 3)), np.empty((len(time_s), 3))
    here, arrived = next(stops), 0.0
    while arrived <= time_s[-1]:
        leaves = arrived + rng.uniform(*pace.pause_s)
        there = next(stops)
        turn = Rotation.from_matrix(here.R.T @ there.R).as_rotvec()
        arrives = leaves + _duration(here, there, pace, float(np.linalg.norm(turn)))
        now = (time_s >= arrived) & (time_s <= arrives)
        done = _minimum_jerk((time_s[now] - leaves) / (arrives - leaves))[:, None]
        R[now] = here.R @ Rotation.from_rotvec(done * turn).as_matrix()
        middle[now] = pace.way(here, there, done)
        here, arrived = there, arrives
    return _held_by_hands(R, middle, board, time_s, rng)


def _duration(here: Stop, there: Stop, pace: Pace, turn_rad: float) -> float:
    way = float(np.linalg.norm(there.middle - here.middle))
    return max(pace.shortest_s, way / pace.speed_m_s, np.rad2deg(turn_rad) / pace.turn_deg_s)


def _minimum_jerk(x: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
    x = np.clip(x, 0, 1)
    return x**3 * (10 - 15 * x + 6 * x**2)


def _held_by_hands(
    R: Float[np.ndarray, "T 3 3"],
    middle: Float[np.ndarray, "T 3"],
    board: CharucoBoard,
    time_s: Float[np.ndarray, "T"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "T 4 4"]:
    """Poses with tremor added."""
    step = time_s[1] - time_s[0] if len(time_s) > 1 else 1.0
    tremor = gaussian_filter1d(rng.standard_normal((len(time_s), 6)), TREMOR_S / step, axis=0, mode="nearest")
    tremor *= np.sqrt(2 * np.sqrt(np.pi) * max(TREMOR_S / step, 0.3))  # the filter takes that much of the deviation
    poses = np.tile(np.eye(4), (len(time_s), 1, 1))
    poses[:, :3, :3] = R @ Rotation.from_rotvec(np.deg2rad(TREMOR_DEG) * tremor[:, :3]).as_matrix()
    from_origin = poses[:, :3, :3] @ board_middle(board)
    poses[:, :3, 3] = middle + TREMOR_M * tremor[:, 3:] - from_origin
    return poses


def board_middle(board: CharucoBoard) -> Float[np.ndarray, "3"]:
    """The middle of the squares in the board's frame."""
    return np.array([*board.size_m, 0.0]) / 2


def _times(seconds: float, fps: float) -> Float[np.ndarray, "T"]:
    return np.arange(max(1, round(seconds * fps))) / fps


def _waves(camera: Camera, board: CharucoBoard, rng: np.random.Generator) -> Iterator[Stop]:
    """The stops of WAVE, each time mirrored, turned and varied anew."""
    upright = True
    while True:
        mirror = rng.choice([-1.0, 1.0], 2)
        for x, y, share, tilt_x, tilt_y in WAVE:
            tilt = np.array([tilt_x, tilt_y]) + rng.uniform(-5, 5, 2)
            roll = rng.uniform(-12, 12) + (0 if upright else 90)
            turned = Rotation.from_euler("XYZ", [*tilt, roll], degrees=True).as_matrix()
            fill = min(FILL_AT_MOST, share * rng.uniform(0.9, 1.1))
            yield _stop_in_picture(camera, board, turned, mirror * (x, y), fill)
        upright = not upright


def _way_in_picture(
    camera: Camera, here: Stop, there: Stop, done: Float[np.ndarray, "n 1"]
) -> Float[np.ndarray, "n 3"]:
    """On a line in the picture: one in space leaves the picture of a fisheye lens between two corners."""
    start, end = here.middle - camera.center, there.middle - camera.center
    near, far = np.linalg.norm(start), np.linalg.norm(end)
    a, b = camera.project(here.middle), camera.project(there.middle)
    return camera.center + camera.ray(a + done * (b - a)) * (near + done * (far - near))


def _stop_in_picture(
    camera: Camera, board: CharucoBoard, turned: Float[np.ndarray, "3 3"], place: Float[np.ndarray, "2"], fill: float
) -> Stop:
    """The board at a place of the picture, nearer where it would be in the floor."""
    while True:
        R, middle = _fitted(camera, board, turned, place, fill)
        world_from_cam = camera.cam_from_world.inverse()
        stop = Stop(world_from_cam.R @ R, world_from_cam.apply(middle))
        lowest = (_outline(board) @ stop.R.T + stop.middle)[:, 2].min()
        if lowest > FLOOR_M or fill >= FILL_AT_MOST:
            return stop
        fill = min(FILL_AT_MOST, 1.2 * fill)


def _fitted(
    camera: Camera, board: CharucoBoard, turned: Float[np.ndarray, "3 3"], place: Float[np.ndarray, "2"], fill: float
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    """cam_from_board's rotation and the board's middle in camera axes, by turns of aiming and stepping back.

    `turned` is the rotation as seen along the line of sight: without it the board faces the camera upright.
    """
    lens, outline = camera.intrinsics, _outline(board)
    last_px = np.array(lens.image_size) - 1.0
    border = BORDER * max(lens.image_size)
    aim, distance = last_px / 2, _distance(camera, board, fill)
    R, middle = turned, np.array([0.0, 0.0, distance])
    for _ in range(12):
        sight = lens.ray(aim)
        R, middle = _facing(sight) @ turned, distance * sight
        px = lens.project(outline @ R.T + middle)
        if not np.isfinite(px).all():
            aim = (aim + last_px / 2) / 2
            continue
        low, size = px.min(0), np.ptp(px, axis=0)
        room = np.maximum(last_px - 2 * border - size, 0)
        wanted = (last_px - size - room) / 2 + (place + 1) / 2 * room
        aim = np.clip(aim + wanted - low, 0, last_px)
        distance *= (size / last_px).max() / fill
    return R, middle


def _outline(board: CharucoBoard) -> Float[np.ndarray, "8 3"]:
    """Corners of the squares' rectangle and the middles of its sides, from its middle."""
    x, y, _ = board_middle(board)
    around = [(-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0)]
    return np.array([(a * x, b * y, 0.0) for a, b in around])


def _distance(camera: Camera, board: CharucoBoard, fill: float) -> float:
    """From which a board that faces the camera fills this share of the picture, about."""
    lens = camera.intrinsics
    return float(np.max(np.diag(lens.K)[:2] * board.size_m / np.array(lens.image_size)) / fill)


def _facing(sight: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """The smallest rotation that takes the optical axis to a line of sight."""
    axis = np.cross([0.0, 0.0, 1.0], sight)
    sine = np.linalg.norm(axis)
    if sine == 0:
        return np.eye(3)
    return Rotation.from_rotvec(axis / sine * np.arctan2(sine, sight[2])).as_matrix()
