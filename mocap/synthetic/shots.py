"""One camera films one clip: pictures into a video, and what can be seen in each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from calibration.boards import CharucoBoard
from calibration.camera import Camera
from mocap.core.truth import Visibility
from mocap.io.video_writer import Sound, VideoWriter, VideoWriterConfig
from mocap.synthetic.board_paths import poses_at
from mocap.synthetic.board_surface import BoardSheet, board_thing
from mocap.synthetic.cast import Actor
from mocap.synthetic.clocks import CameraMove, FrameClock, moved_camera
from mocap.synthetic.posing import follow, follow_in_time, joint_transforms
from mocap.synthetic.rendering.occlusion import Occlusion
from mocap.synthetic.rendering.renderer import RenderConfig, Renderer
from mocap.synthetic.rendering.room import Room
from mocap.synthetic.scene import Thing
from mocap.synthetic.sensor import Sensor, SensorConfig

SKIN_MARGIN_M = 0.03
"""A ray may enter cloth or skin this far before a point of the surface and still show it."""
MID_GREY = 0.18
"""Mean of a well exposed picture, linear."""
AUTOMATIC_EV = (-1.5, 2.0)
OBLIQUE = 1.5
"""How much longer than its depth under the skin the way to an inner point is, at the angles that people look from."""


@dataclass(frozen=True, eq=False)
class BoardPath:
    """A board that is carried around. world_from_board: (T, 4, 4) at `fps` from scene time 0, held at the end."""

    board: CharucoBoard
    world_from_board: Float[np.ndarray, "T 4 4"]
    fps: float
    sheet: BoardSheet

    def at(self, time_s: Float[np.ndarray, "N"]) -> Float[np.ndarray, "N 4 4"]:
        """The poses at moments."""
        return poses_at(self.world_from_board, self.fps, time_s)


@dataclass(frozen=True, eq=False)
class Stage:
    """What all cameras of a session share: the room, what stands in it, and who acts."""

    room: Room
    statics: tuple[Thing, ...]
    actors: tuple[Actor, ...]


@dataclass(frozen=True, eq=False)
class Filming:
    """How pictures are made: shutter, quality, encoder."""

    exposure_s: float
    blur_moments: int
    render: RenderConfig
    video: VideoWriterConfig


@dataclass(frozen=True, eq=False)
class Shot:
    """One clip of one camera. camera: as it stands before all `moves`.

    with_actors: whether the people are in it. sound: from the first frame on, None for a mute video.
    """

    path: Path
    camera: Camera
    clock: FrameClock
    fps: float
    sensor: SensorConfig
    seed: int
    filming: Filming
    moves: tuple[CameraMove, ...] = ()
    board: BoardPath | None = None
    with_actors: bool = True
    sound: Sound | None = None


@dataclass(frozen=True, eq=False)
class Seen:
    """What became of a shot. visibility: (F, P, K) values of `Visibility`."""

    visibility: Int[np.ndarray, "F P K"]


class Backgrounds:
    """The empty room as cameras see it takes seconds to paint: the last camera's is kept for its other clips."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._key: tuple[bytes, str] | None = None
        self._renderer: Renderer | None = None

    def renderer(self, camera: Camera, config: RenderConfig) -> Renderer:
        """A renderer for a camera where it stands."""
        key = (camera.projection.tobytes() + camera.intrinsics.distortion.tobytes(), repr((camera.name, config)))
        if self._renderer is None or key != self._key:
            self._renderer = None  # before the next is made: a background is some 100 MB
            self._renderer, self._key = Renderer(camera, self._stage.room, self._stage.statics, config), key
        return self._renderer


def shoot(stage: Stage, shot: Shot, backgrounds: Backgrounds, on_frame: Callable[[], None]) -> Seen:
    """Render a clip into its video. `on_frame` is called after every picture; an error leaves no file."""
    size = shot.camera.intrinsics.image_size
    pictures, clock = _Pictures(stage, shot, backgrounds), shot.clock
    shown = np.maximum.accumulate(np.where(clock.repeated, 0, np.arange(len(clock))))
    visibility: list[Int[np.ndarray, "P K"]] = []
    with VideoWriter(shot.path, size, shot.fps, shot.filming.video, sound=shot.sound) as video:
        for frame, of in enumerate(shown):
            image, seen = pictures.of(int(of))
            visibility.append(seen)
            video.write(image, float(clock.stamp_s[frame] - clock.stamp_s[0]))
            on_frame()
    return Seen(np.stack(visibility))


def exposed(sensor: SensorConfig, empty: Float32[np.ndarray, "H W 3"]) -> SensorConfig:
    """The sensor with the exposure that an automatic finds for the empty room, on top of its own, and then holds."""
    mean = float(np.minimum(empty[::8, ::8], 1.0).mean())
    low, high = AUTOMATIC_EV
    stops = float(np.clip(np.log2(MID_GREY / max(mean, 1e-6)), low, high))
    return sensor.model_copy(update={"exposure_ev": sensor.exposure_ev + stops})


class _Pictures:
    """A shot's pictures, one after the other; the last one is kept for frames that repeat it."""

    def __init__(self, stage: Stage, shot: Shot, backgrounds: Backgrounds) -> None:
        self._shot, self._backgrounds = shot, backgrounds
        empty = backgrounds.renderer(shot.camera, shot.filming.render).background.radiance
        self._sensor = Sensor(shot.camera.intrinsics.image_size, exposed(shot.sensor, empty), shot.seed)
        self._moments = _Moments(stage, shot)
        self._last: tuple[int, UInt8[np.ndarray, "h w 3"], Int[np.ndarray, "P K"]] | None = None

    def of(self, frame: int) -> tuple[UInt8[np.ndarray, "h w 3"], Int[np.ndarray, "P K"]]:
        """The picture of a frame, and the visibility of every keypoint in it."""
        if self._last is None or self._last[0] != frame:
            camera = self._camera_at(float(self._shot.clock.time_s[frame]))
            renderer = self._backgrounds.renderer(camera, self._shot.filming.render)
            renderer.meet(self._moments.at_rest)
            rendered = renderer.render(self._moments.things(frame))
            image = self._sensor.develop(rendered.image, rendered.depth_m, frame)
            self._last = frame, image, self._moments.visibility(frame, camera)
        return self._last[1], self._last[2]

    def _camera_at(self, time_s: float) -> Camera:
        """The very same camera until it moves, so that its background is painted once."""
        begun = any(time_s > move.at_s for move in self._shot.moves)
        return moved_camera(self._shot.camera, self._shot.moves, time_s) if begun else self._shot.camera


class _Moments:
    """What moves in a shot, at the instants within each exposure."""

    def __init__(self, stage: Stage, shot: Shot) -> None:
        self._stage, self._shot = stage, shot
        self._actors = stage.actors if shot.with_actors else ()
        n = shot.filming.blur_moments if shot.filming.exposure_s > 0 else 1
        self._within = shot.filming.exposure_s * ((np.arange(n) + 0.5) / n - 0.5)
        times = (shot.clock.time_s[:, None] + self._within).reshape(-1)
        shape = (len(shot.clock.time_s), n)
        self._transforms = [joint_transforms(a.motion, times).reshape(*shape, -1, 3, 4) for a in self._actors]
        path = shot.board
        self._boards = None if path is None else path.at(times).reshape(*shape, 4, 4)
        middle = [joint_transforms(a.motion, shot.clock.time_s) for a in self._actors]
        self._keypoints = [
            follow_in_time(a.body.keypoints, a.body.keypoint_weights, m)
            for a, m in zip(self._actors, middle, strict=True)
        ]

    @property
    def at_rest(self) -> list[Thing]:
        """The moving things where no take has any say: people in the T-pose, the board at the origin."""
        people = [Thing(actor.look, actor.look.vertices) for actor in self._actors]
        path = self._shot.board
        return people if path is None else [*people, board_thing(path.board, np.eye(4), path.sheet)]

    def things(self, frame: int) -> list[list[Thing]]:
        """The moving things at each instant of a frame's exposure."""
        return [[*self._people(frame, k), *self._board(frame, k)] for k in range(len(self._within))]

    def visibility(self, frame: int, camera: Camera) -> Int[np.ndarray, "P K"]:
        """How every keypoint of every person shows in a frame."""
        if not self._actors:
            return np.zeros((0, 0), dtype=np.int64)
        middle = len(self._within) // 2
        people = self._people(frame, middle)
        others = (*self._stage.statics, *self._board(frame, middle))
        groups: list[tuple[str | int, Sequence[Thing]]] = [(number, [thing]) for number, thing in enumerate(people)]
        occlusion = Occlusion([*groups, ("others", others)])
        rows = [
            _visibility(occlusion, camera, self._keypoints[number][frame], actor.body.keypoint_depth_m, number)
            for number, actor in enumerate(self._actors)
        ]
        return np.stack(rows)

    def _people(self, frame: int, moment: int) -> list[Thing]:
        return [
            Thing(actor.look, follow(actor.look.vertices, actor.look.weights, transforms[frame, moment]))
            for actor, transforms in zip(self._actors, self._transforms, strict=True)
        ]

    def _board(self, frame: int, moment: int) -> list[Thing]:
        path = self._shot.board
        if path is None or self._boards is None:
            return []
        return [board_thing(path.board, self._boards[frame, moment], path.sheet)]


def _visibility(
    occlusion: Occlusion,
    camera: Camera,
    points: Float[np.ndarray, "K 3"],
    depth_m: Float[np.ndarray, "K"],
    own: int,
) -> Int[np.ndarray, "K"]:
    xy = camera.project(points)
    size = np.array(camera.intrinsics.image_size)
    inside = np.isfinite(xy).all(-1) & (xy >= -0.5).all(-1) & (xy <= size - 0.5).all(-1)
    hit, group = occlusion.distances(camera.center, points)
    distance = np.linalg.norm(points - camera.center, axis=-1)
    hidden = hit < distance - (OBLIQUE * depth_m + SKIN_MARGIN_M)
    by = np.where(group == own, int(Visibility.HIDDEN_BY_SELF), int(Visibility.HIDDEN_BY_OTHER))
    codes = np.where(hidden, by, int(Visibility.VISIBLE))
    return np.where(inside, codes, int(Visibility.OUTSIDE)).astype(np.int64)
