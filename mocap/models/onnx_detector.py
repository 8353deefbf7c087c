"""Any pair of ONNX networks, one for person boxes and one for keypoints, as a `Detector2D`.

The pair is given by path; RTMDet or YOLOX with RTMPose, HRNet or ViTPose are known (see `onnx_person`, `onnx_pose`).
People are followed by the overlap of their boxes. Results depend neither on the number of threads nor on how many
cameras are given at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mocap.core.config import Config
from mocap.core.errors import ConfigError
from mocap.core.keypoint_names import KEYPOINT_SETS_BY_COUNT, keypoint_set_from_names
from mocap.core.keypoints import KeypointSet, load_keypoint_set
from mocap.models.box_detector import BoxDetector, Following
from mocap.models.onnx_crop import Grid
from mocap.models.onnx_model import Normalisation
from mocap.models.onnx_person import OnnxPersonDetector, PersonOptions, Pictures
from mocap.models.onnx_pose import OnnxPoseNetwork, PoseOptions

Unit = Annotated[float, Field(ge=0, le=1)]
Size = tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]
Triple = tuple[float, float, float]

KEYPOINT_BOX_MARGIN = 1.25
"""A person is larger than the box of the keypoints: half of the head, the hands and the feet stick out."""


class OnnxConfig(Config):
    """The two networks and how they are run. Sizes are (width, height).

    person, pose: the files. *_size: for files that leave the picture's size free. person_pictures: what the person
    network was trained on, `bytes` (YOLOX) or `imagenet` (RTMDet); auto knows YOLOX by its first layer or name.
    person_class: index of people among its classes. pose_channels, pose_mean, pose_std: of R, G, B in 0 to 255.
    pose_grid: see `onnx_crop`; auto takes `udp` for transformers and for names with udp, else `stride`.
    keypoint_set or keypoint_names: what the pose network's outputs are; without them their number decides.
    confidence_gain: factor on confidences before they are cut at 1 (RTMW: 0.1; SimCC exported with softmax: 15).
    detect_every: images from one look for people to the next; between them the last keypoints give the boxes.
    """

    person: Path
    pose: Path
    person_size: Size | None = None
    pose_size: Size | None = None
    person_pictures: Pictures = "auto"
    person_class: Annotated[int, Field(ge=0)] = 0
    min_person_score: Unit = 0.3
    max_person_overlap: Unit = 0.45
    pose_channels: Literal["rgb", "bgr"] = "rgb"
    pose_mean: Triple = (123.675, 116.28, 103.53)
    pose_std: Triple = (58.395, 57.12, 57.375)
    pose_grid: Literal["auto"] | Grid = "auto"
    box_padding: Annotated[float, Field(ge=1, le=3)] = 1.25
    refine: bool = True
    confidence_gain: Annotated[float, Field(gt=0)] = 1.0
    keypoint_set: str | None = None
    keypoint_names: tuple[str, ...] | None = None
    detect_every: Annotated[int, Field(ge=1)] = 1
    follow_overlap: Unit = 0.3
    remember: Annotated[int, Field(ge=0)] = 30
    precision: Literal["f32", "bf16", "f16"] = "f32"


class OnnxDetector(BoxDetector):
    """A `Detector2D` of two networks."""

    def __init__(
        self, config: OnnxConfig, *, max_people: int = 4, keep_heatmaps: bool = False, threads: int = 0
    ) -> None:  # fmt: skip
        person = OnnxPersonDetector(
            config.person,
            PersonOptions(config.min_person_score, config.max_person_overlap, config.person_class),
            input_size=config.person_size,
            pictures=config.person_pictures,
            threads=threads,
            precision=config.precision,
        )
        pose = OnnxPoseNetwork(
            config.pose,
            PoseOptions(config.box_padding, config.confidence_gain, config.refine),
            normalisation=Normalisation(config.pose_channels, config.pose_mean, config.pose_std),
            grid=config.pose_grid,
            input_size=config.pose_size,
            threads=threads,
            precision=config.precision,
        )
        super().__init__(
            person,
            pose,
            keypoint_set_of(config, pose.n_keypoints),
            Following(config.detect_every, config.follow_overlap, config.remember, KEYPOINT_BOX_MARGIN),
            max_people=max_people,
            keep_heatmaps=keep_heatmaps,
        )


def keypoint_set_of(config: OnnxConfig, count: int) -> KeypointSet:
    """The set that the configuration names, or the only one of that many keypoints."""
    if config.keypoint_names is not None:
        if len(config.keypoint_names) != count:
            raise ConfigError(
                f"keypoint_names lists {len(config.keypoint_names)} names, the network has {count} keypoints",
                where=config.pose,
            )
        return keypoint_set_from_names("named", config.keypoint_names)
    known = KEYPOINT_SETS_BY_COUNT.get(count, ())
    name = config.keypoint_set or (known[0] if len(known) == 1 else None)
    if name is None:
        sets = f"could be {' or '.join(known)}" if known else "are no set that is known"
        raise ConfigError(
            f"the network's {count} keypoints {sets}",
            where=config.pose,
            remedy="Set keypoint_set, or list keypoint_names in the network's order.",
        )
    chosen = load_keypoint_set(name)
    if len(chosen) != count:
        raise ConfigError(f"{name} has {len(chosen)} keypoints, the network {count}", where=config.pose)
    return chosen
