"""What a synthetic session is made from; every value has a default, and one seed stands for all that is left open."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, Literal

from pydantic import Field, field_validator

from mocap.core.config import Config
from mocap.core.session import check_name
from mocap.io.video_writer import VideoWriterConfig
from mocap.synthetic.board_surface import BoardSheet
from mocap.synthetic.body import BodyShape
from mocap.synthetic.clocks import CameraFaults
from mocap.synthetic.rendering.renderer import RenderConfig
from mocap.synthetic.rigs import RigConfig

MOTION_FILES = (".bvh", ".amc")
DetectorName = Literal["clean", "blazepose_like", "hard", "blazepose_measured"]
"""Presets of `detector_config`, which knows what each means."""


class PersonConfig(Config):
    """One person.

    motion: a built-in kind, several one after the other joined by `+` (`stand+squat+jump`), or a BVH or AMC file (with
    `asf`, by default the only one beside it; `start_s` skips its beginning). start_pose: T or A, held `start_hold_s`
    before the motion. position_m, heading_deg: where the motion's origin lies and how it is turned about the vertical
    (at 0 the person faces -Y). shape: the body; by default one is drawn from the seed.
    """

    name: str = ""
    motion: str = "walk_circle"
    asf: str | None = None
    start_s: float = Field(default=0.0, ge=0)
    start_pose: Literal["", "T", "A"] = ""
    start_hold_s: float = Field(default=1.0, ge=0)
    position_m: tuple[float, float] = (0.0, 0.0)
    heading_deg: float = 0.0
    shape: BodyShape | None = None

    @property
    def is_file(self) -> bool:
        """Whether the motion is read from a file."""
        return PurePath(self.motion).suffix.lower() in MOTION_FILES


class BoardConfig(Config):
    """The ChArUco board of the calibration clips; the default fills an A0 sheet, for cameras some 3 m away."""

    squares: tuple[int, int] = (5, 7)
    square_m: float = Field(default=0.13, gt=0)
    marker_m: float = Field(default=0.099, gt=0)
    dictionary: str = "DICT_4X4_50"
    legacy: bool = False
    inverted: bool = False
    sheet: BoardSheet = BoardSheet()


class CalibrationClipsConfig(Config):
    """Clips of a waved board; 0 seconds leaves a kind out. video: boards are large and plain, and bear compression."""

    intrinsics_s: float = Field(default=10.0, ge=0)
    extrinsics_s: float = Field(default=30.0, ge=0)
    floor_s: float = Field(default=1.0, ge=0)
    fps: float = Field(default=8.0, gt=0)
    video: VideoWriterConfig = VideoWriterConfig(crf=27, preset="fast", threads=1)


class LookConfig(Config):
    """Room and cameras as pictures show them. floor: parquet, tiles, carpet, …; studio: a dark one; both drawn from the
    seed by default. furniture: pieces that may stand in the way. varied_sensors: every camera has its own exposure,
    colours, noise and focus. exposure_s: shutter time, which blurs what moves; 0 for none."""

    floor: str | None = None
    studio: bool | None = None
    furniture: int = Field(default=2, ge=0, le=12)
    varied_sensors: bool = True
    exposure_s: float = Field(default=0.004, ge=0)
    blur_moments: int = Field(default=2, ge=1, le=16)
    render: RenderConfig = RenderConfig()


class SynthConfig(Config):
    """A session with one take.

    faults: what is wrong with a camera's clock or stand, by its name. frame_rates: per camera, in turn; by default
    `fps` for all. keypoints_only: no pictures, but what a 2D network would report of a `keypoint_set` (`detector`:
    clean, blazepose_like, hard, or blazepose_measured, whose errors are those of BlazePose on rendered people).
    sound: cameras record the claps of the motion.
    """

    seed: int = Field(default=0, ge=0)
    take: str = "take1"
    seconds: float = Field(default=6.0, gt=0)
    fps: float = Field(default=30.0, gt=0)
    frame_rates: tuple[float, ...] = ()
    rig: RigConfig = RigConfig()
    people: tuple[PersonConfig, ...] = (PersonConfig(),)
    board: BoardConfig = BoardConfig()
    calibration: CalibrationClipsConfig = CalibrationClipsConfig()
    look: LookConfig = LookConfig()
    faults: dict[str, CameraFaults] = Field(default_factory=dict)
    sound: bool = False
    video: VideoWriterConfig = VideoWriterConfig(crf=23, preset="veryfast", threads=1)
    keypoints_only: bool = False
    detector: DetectorName = "blazepose_like"
    keypoint_set: str = "blazepose33"

    @field_validator("take")
    @classmethod
    def _take_is_a_name(cls, value: str) -> str:
        check_name("take", value)
        return value

    @field_validator("people")
    @classmethod
    def _one_to_four(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if not 1 <= len(value) <= 4:
            raise ValueError(f"one to four people, not {len(value)}")
        return value

    def without_calibration(self) -> SynthConfig:
        """The same without clips of a board."""
        none = self.calibration.model_copy(update={"intrinsics_s": 0.0, "extrinsics_s": 0.0, "floor_s": 0.0})
        return self.model_copy(update={"calibration": none})
