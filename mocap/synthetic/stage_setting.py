"""The room around a scene, the cameras' renditions, and what their microphones hear."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from calibration.camera import Camera, Rig
from mocap.core.errors import ConfigError
from mocap.io.video_writer import Sound
from mocap.synthetic.cast import Actor
from mocap.synthetic.clocks import FrameClock
from mocap.synthetic.contacts import clap_times
from mocap.synthetic.gait import joint_poses
from mocap.synthetic.rendering.furniture import furniture
from mocap.synthetic.rendering.materials import FLOORS
from mocap.synthetic.rendering.room import sample_room
from mocap.synthetic.sensor import SensorConfig, sample_sensor
from mocap.synthetic.shots import Stage
from mocap.synthetic.sound import heard
from mocap.synthetic.synth_config import SynthConfig

PATH_CLEAR_M = 0.55
"""Free space around the middle of a person's path; arms reach over furniture."""
CAMERA_CLEAR_M = 0.9
BOARD_CLEAR_M = 0.7
SOUND_RATE_HZ = 48_000
SOUND_TAIL_S = 0.1


def set_stage(config: SynthConfig, actors: tuple[Actor, ...], rig: Rig) -> Stage:
    """A room that holds people and cameras, with furniture where nobody walks."""
    rng = np.random.default_rng([config.seed, 4])
    paths = [joint_poses(actor.motion)[1].reshape(-1, 3) for actor in actors]
    look, inside = config.look, np.concatenate([*paths, rig.centers])
    if look.floor is not None and look.floor not in FLOORS:
        raise ConfigError(f"no floor {look.floor!r}", where="look.floor", remedy=f"There are {', '.join(FLOORS)}.")
    room = sample_room(rng, inside=inside, floor=look.floor, studio=look.studio)
    pieces = furniture(
        rng,
        count=config.look.furniture,
        lower=0.8 * rig.centers.min(0),
        upper=0.8 * rig.centers.max(0),
        clear=_clear(actors, rig),
    )
    return Stage(room, tuple(pieces), actors)


def sensor_of(config: SynthConfig, number: int) -> SensorConfig:
    """How a camera renders; the same in all clips of a session."""
    if not config.look.varied_sensors:
        return SensorConfig()
    return sample_sensor(np.random.default_rng([config.seed, 5, number]))


def sound_at(camera: Camera, clock: FrameClock, actors: Sequence[Actor], *, seed: int) -> Sound:
    """Everybody's claps at a camera, from its first frame on."""
    times, distances = [], []
    for actor in actors:
        hand = joint_poses(actor.motion)[1][:, actor.motion.skeleton.index("LeftHand")]
        for time in clap_times(actor.motion):
            frame = min(round(time * actor.motion.fps), len(hand) - 1)
            times.append(time - clock.time_s[0])
            distances.append(float(np.linalg.norm(hand[frame] - camera.center)))
    seconds = float(clock.time_s[-1] - clock.time_s[0]) + SOUND_TAIL_S
    rng = np.random.default_rng([seed, 6])
    return Sound(heard(times, distances, seconds=seconds, rate_hz=SOUND_RATE_HZ, rng=rng), SOUND_RATE_HZ)


def _clear(actors: Sequence[Actor], rig: Rig) -> Float[np.ndarray, "N 3"]:
    """Circles (x, y, radius) to keep free: paths, every half second; cameras; the middle, where the board goes."""
    circles = [[*center[:2], CAMERA_CLEAR_M] for center in rig.centers] + [[0.0, 0.0, BOARD_CLEAR_M]]
    for actor in actors:
        step = max(1, round(actor.motion.fps / 2))
        circles += [[*place[:2], PATH_CLEAR_M] for place in actor.motion.root_translation[::step]]
    return np.array(circles)
