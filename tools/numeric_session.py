"""The session `sample_sessions/numeric_walk`, made by `python tools/make_sample_session.py numeric_walk`.

A person walks and reaches, four cameras (two upright, two lying, all with lenses that distort) report keypoints the way
a 2D network does, somebody walks by in one of them. No videos: what the cameras' networks would have said lies in
`detections/`, the truth beside it in `truth.npz`. The same files, byte for byte, come out of every run.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from calibration import Camera, Intrinsics, Rig
from calibration.rig_file import RigMetadata, write_rig
from calibration.synthetic import camera_looking_at
from mocap.core.keypoints import KeypointSet, load_keypoint_set
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition, load_skeleton
from mocap.io.mmpose_json import mmpose_instance, mmpose_text
from mocap.synthetic.body_points import keypoints_on_body
from mocap.synthetic.gait import joint_poses, walk_and_reach
from mocap.synthetic.observation import ObservationConfig, observe, trunk_of

ROOT = Path(__file__).resolve().parent.parent
SESSION = ROOT / "sample_sessions" / "numeric_walk"
TAKE = Path("takes") / "walk"
SEED = 20250
FPS = 30.0
SECONDS = 4.0

UPRIGHT, LYING = (1080, 1920), (1920, 1080)
CAMERAS = (
    ("cam01", UPRIGHT, 1950.0, (-0.11, 0.06, 8e-4, -5e-4, 0.01), (3.3, -3.9, 1.5)),
    ("cam02", LYING, 1380.0, (-0.24, 0.11, -6e-4, 9e-4, -0.03), (3.6, 2.3, 2.3)),
    ("cam03", UPRIGHT, 1780.0, (0.05, -0.08, 3e-4, 2e-4, 0.02), (-2.9, 3.8, 1.1)),
    ("cam04", LYING, 1310.0, (-0.19, 0.07, 0.0, 4e-4, -0.01), (-3.7, -2.6, 1.9)),
)
TARGET = (0.0, 0.3, 0.95)

SUBJECT = {"Leg": 0.955, "Foot": 0.97, "UpLeg": 1.06, "Arm": 1.04, "ForeArm": 0.96, "Hand": 0.97, "Spine": 0.95}
"""Bone lengths of the person against the package's skeleton, by the name of the joint at the far end."""

BYSTANDER_CAMERA = "cam03"
BYSTANDER_PLACE = (2.4, -5.2)
BYSTANDER_TURN_DEG = 100.0

SESSION_TOML = """\
notes = "Synthetic: four cameras, a person who walks and reaches. Made by tools/make_sample_session.py"

[[camera]]
name = "cam01"

[[camera]]
name = "cam02"

[[camera]]
name = "cam03"

[[camera]]
name = "cam04"
"""
TAKE_TOML = f"""\
[take]
fps = {FPS}
notes = "2D results without videos, in MMPose's format, with the names of the keypoints in each file"
"""


def sample_rig() -> Rig:
    """Four cameras around the place, unevenly, each with its own lens."""
    cameras = []
    for name, (width, height), focal, distortion, center in CAMERAS:
        K = np.array([[focal, 0.0, 0.51 * width], [0.0, 0.995 * focal, 0.493 * height], [0.0, 0.0, 1.0]]).round(2)
        intrinsics = Intrinsics((width, height), K, np.array(distortion))
        cameras.append(camera_looking_at(name, intrinsics, center=center, target=TARGET, roll=0.02 * len(cameras)))
    return Rig(tuple(cameras))


def subject(skeleton: SkeletonDefinition, factors: dict[str, float]) -> SkeletonDefinition:
    """The skeleton with other bone lengths, left and right alike, its soles still on the floor in the T-pose."""
    scale = [factors.get(name.removeprefix("Left").removeprefix("Right"), 1.0) for name in skeleton.joint_names]
    offsets = skeleton.rest_offsets * np.array(scale)[:, None]
    leg = [skeleton.index(f"Left{part}") for part in ("UpLeg", "Leg", "Foot")]
    offsets[0, 2] += (skeleton.rest_offsets[leg] - offsets[leg])[:, 2].sum()
    return replace(skeleton, rest_offsets=offsets)


def bystander_motion(skeleton: SkeletonDefinition) -> Motion:
    """Somebody else, who walks by behind the scene."""
    motion = walk_and_reach(skeleton, seconds=SECONDS, fps=FPS, person="bystander")
    half = np.deg2rad(BYSTANDER_TURN_DEG) / 2
    w, x, y, z = np.moveaxis(motion.local_rotations[:, 0], -1, 0)
    c, s = np.cos(half), np.sin(half)
    rotations = motion.local_rotations.copy()
    rotations[:, 0] = np.stack([c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w], axis=-1)
    turn = np.array([[c * c - s * s, -2 * c * s], [2 * c * s, c * c - s * s]])
    root = motion.root_translation.copy()
    root[:, :2] = root[:, :2] @ turn.T + BYSTANDER_PLACE
    return replace(motion, root_translation=root, local_rotations=rotations)


def reported_person(
    motion: Motion, camera: Camera, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "T K 2"], Float[np.ndarray, "T K"]]:
    """Pixels and confidences of one person in one camera."""
    keypoint_set = load_keypoint_set("blazepose33")
    points = keypoints_on_body(motion, keypoint_set)
    trunk = trunk_of(points, keypoint_set)
    return observe(points, trunk, camera, fps=FPS, rng=rng, config=ObservationConfig())


def detections_text(people: list[tuple[np.ndarray, np.ndarray]], keypoint_set: KeypointSet) -> str:
    """One camera's results: the bystander first, since nothing says who matters."""
    frames = []
    for frame in range(len(people[0][0])):
        seen = [(xy[frame], confidence[frame], track) for track, (xy, confidence) in enumerate(people)]
        frames.append([mmpose_instance(*person) for person in reversed(seen) if (person[1] > 0).sum() >= 5])
    return mmpose_text(frames, keypoint_set, "synthetic")


def save_truth(path: Path, motion: Motion, keypoints: Float[np.ndarray, "T K 3"], keypoint_set: KeypointSet) -> None:
    """Arrays rounded to a micrometre, so that processors that round differently write the same file."""
    _, joints = joint_poses(motion)
    np.savez(
        path,
        fps=np.float64(motion.fps),
        joint_names=np.array(motion.skeleton.joint_names),
        parents=motion.skeleton.parents,
        rest_offsets_m=motion.skeleton.rest_offsets.round(6),
        root_translation_m=motion.root_translation.round(6),
        local_rotations_wxyz=motion.local_rotations.round(8),
        joints_m=joints.round(6),
        keypoint_names=np.array(keypoint_set.names),
        keypoints_m=keypoints.round(6),
    )


def make(folder: Path) -> None:
    """Write the whole session into `folder`."""
    skeleton, keypoint_set, rig = load_skeleton(), load_keypoint_set("blazepose33"), sample_rig()
    motion = walk_and_reach(subject(skeleton, SUBJECT), seconds=SECONDS, fps=FPS)
    other = bystander_motion(skeleton)
    detections = folder / TAKE / "detections"
    for place in (detections, folder / "calibration"):
        place.mkdir(parents=True, exist_ok=True)
    for index, camera in enumerate(rig):
        rng = np.random.default_rng([SEED, index])
        people = [reported_person(motion, camera, rng)]
        if camera.name == BYSTANDER_CAMERA:
            people.append(reported_person(other, camera, rng))
        _write(detections / f"{camera.name}.json", detections_text(people, keypoint_set))
    save_truth(folder / TAKE / "truth.npz", motion, keypoints_on_body(motion, keypoint_set), keypoint_set)
    write_rig(rig, folder / "calibration" / "rig.toml", RigMetadata(tool="tools/make_sample_session.py"))
    _write(folder / "session.toml", SESSION_TOML)
    _write(folder / TAKE / "take.toml", TAKE_TOML)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
