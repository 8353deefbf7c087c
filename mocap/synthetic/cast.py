"""Who is in a scene: bodies with clothes on, and how they move."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from mocap.core.errors import ConfigError
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.core.truth import PersonTruth
from mocap.synthetic.appearance import DressedBody, dress, sample_outfit
from mocap.synthetic.body import Body, make_body
from mocap.synthetic.body_sampling import sample_shape
from mocap.synthetic.contacts import foot_contacts
from mocap.synthetic.motions import make_motion, placed, sequence, with_start_pose
from mocap.synthetic.posing import follow_in_time, joint_transforms
from mocap.synthetic.retarget import load_motion
from mocap.synthetic.synth_config import PersonConfig, SynthConfig

MOTION_FPS = 120.0
"""Built-in motions are made at this rate, so that interpolation between its frames is far below a millimetre."""
START_BLEND_S = 0.8


@dataclass(frozen=True, eq=False)
class Actor:
    """A person of the scene. motion: from scene time 0, at its own rate; look: the dressed mesh in the T-pose."""

    motion: Motion
    body: Body
    look: DressedBody

    @property
    def name(self) -> str:
        return self.motion.person

    def keypoints_at(self, time_s: Float[np.ndarray, "N"]) -> Float[np.ndarray, "N K 3"]:
        """Every keypoint that the body has, m."""
        transforms = joint_transforms(self.motion, time_s)
        return follow_in_time(self.body.keypoints, self.body.keypoint_weights, transforms)


def make_actors(config: SynthConfig, seconds: float, folder: Path) -> tuple[Actor, ...]:
    """The people of a configuration, moving for `seconds`. Motion files are looked for from `folder`."""
    names = [person.name or f"person{number + 1}" for number, person in enumerate(config.people)]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise ConfigError(f"two people are called {repeated!r}", where="people")
    actors = []
    for number, (name, person) in enumerate(zip(names, config.people, strict=True)):
        rng = np.random.default_rng([config.seed, 1, number])
        shape = person.shape or sample_shape(rng)
        body = make_body(shape)
        motion = _motion(person, body.skeleton, seconds, folder=folder, rng=rng)
        look = dress(body, sample_outfit(np.random.default_rng([config.seed, 2, number]), shape))
        actors.append(Actor(replace(motion, person=name), body, look))
    return tuple(actors)


def person_truth(actor: Actor, fps: float, n_frames: int) -> PersonTruth:
    """An actor's motion sampled at the scene's rate."""
    motion = at_rate(actor.motion, fps, n_frames)
    contact = foot_contacts(actor.motion)
    rows = np.clip(np.rint(np.arange(n_frames) / fps * actor.motion.fps), 0, len(contact) - 1).astype(np.int64)
    shape = {name: float(value) for name, value in actor.body.shape.model_dump().items()}
    return PersonTruth(motion, shape, _frames(contact, rows))


def at_rate(motion: Motion, fps: float, n_frames: int) -> Motion:
    """The motion sampled `n_frames` times at `fps`, held where it ends before."""
    from mocap.signal.resample_motion import poses_at

    rotations, root = poses_at(motion, np.arange(n_frames) / fps)
    return replace(motion, root_translation=root, local_rotations=rotations, fps=float(fps))


def _frames(contact: Bool[np.ndarray, "T 4"], rows: np.ndarray) -> Bool[np.ndarray, "N 4"]:
    return contact[rows]


def _motion(
    person: PersonConfig, skeleton: SkeletonDefinition, seconds: float, *, folder: Path, rng: np.random.Generator
) -> Motion:
    held = person.start_hold_s + START_BLEND_S if person.start_pose else 0.0
    lasting = max(seconds - held, 1 / MOTION_FPS)
    if person.is_file:
        motion = _from_file(person, skeleton, lasting, folder)
    elif "+" in person.motion:
        kinds = tuple(kind.strip() for kind in person.motion.split("+"))
        motion = sequence(kinds, skeleton, seconds=lasting, fps=MOTION_FPS, rng=rng)
    else:
        motion = make_motion(person.motion, skeleton, seconds=lasting, fps=MOTION_FPS, rng=rng)
    if person.start_pose:
        hold = person.start_hold_s
        motion = with_start_pose(motion, pose=person.start_pose, hold_s=hold, blend_s=START_BLEND_S)
    return placed(motion, person.position_m, np.deg2rad(person.heading_deg))


def _from_file(person: PersonConfig, skeleton: SkeletonDefinition, seconds: float, folder: Path) -> Motion:
    path = folder / person.motion
    asf = folder / person.asf if person.asf else None
    return load_motion(path, skeleton, asf=asf, seconds=seconds, start_s=person.start_s)
