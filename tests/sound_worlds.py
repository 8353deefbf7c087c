"""Four microphones at the cameras of a ring, on clocks of their own, and somebody between them who claps or talks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.camera import Rig
from mocap.io.sound import SoundTrack
from mocap.synthetic.rigs import RigConfig, make_rig
from mocap.synthetic.scene_sound import RATE_HZ, Microphone, SoundEvent, recorded, sample_events

STEP = 3
"""Samples of the simulation for one of the tracks': 16 kHz."""


@dataclass(frozen=True, eq=False)
class SoundWorld:
    rig: Rig
    events: list[SoundEvent]
    tracks: dict[str, SoundTrack]
    clocks: dict[str, tuple[float, float]]
    """(offset_s, rate) by camera."""

    def error_s(self, estimate, at_s: float) -> float:
        """Where the estimate puts the camera at a scene time, less where it is."""
        offset, rate = self.clocks[estimate.camera]
        ref_offset, ref_rate = self.clocks[estimate.reference]
        return (ref_rate * at_s + ref_offset) * estimate.rate + estimate.offset_s - (rate * at_s + offset)

    def places(self, stamps_s, clocks):
        """The true place of the sound that is nearest in time to stamps of the first camera."""
        offset, rate = self.clocks[self.rig.names[0]]
        times = np.array([event.time_s for event in self.events])
        nearest = np.abs(times[:, None] - (stamps_s - offset) / rate).argmin(0)
        return np.array([self.events[i].place_m for i in nearest])


def sound_world(seed: int, *, seconds: float = 12.0, cameras: int = 4, **events) -> SoundWorld:
    """Offsets within 2 s, rates within 50 ppm, started within half a second of each other."""
    rng = np.random.default_rng(seed)
    rig = make_rig(RigConfig(cameras=cameras), np.random.default_rng([seed, 0]))
    scene = sample_events(rng, seconds, **events)
    tracks, clocks = {}, {}
    for camera in rig:
        offset, rate = float(rng.uniform(-2, 2)), 1 + float(rng.uniform(-50e-6, 50e-6))
        start = rate * float(rng.uniform(0, 0.5)) + offset
        x, y, z = (float(value) for value in camera.center)
        microphone = Microphone((x, y, z), start_s=start, seconds=seconds - 0.5, offset_s=offset, rate=rate)
        heard = recorded(scene, microphone, seed=seed)
        kept = heard[: len(heard) // STEP * STEP].reshape(-1, STEP).mean(1)
        # The mean of STEP samples stands for the middle one.
        tracks[camera.name] = SoundTrack(kept, RATE_HZ / STEP, start + (STEP - 1) / 2 / RATE_HZ)
        clocks[camera.name] = (offset, rate)
    return SoundWorld(rig, scene, tracks, clocks)
