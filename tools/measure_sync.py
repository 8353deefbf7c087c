"""How well cameras are put on one clock: by sound, by light and by times, on takes whose clocks are known.

    python tools/measure_sync.py --methods audio flash timestamps gaps --seeds 20

Every take: four cameras in a ring at 29.97, 60, 30 and 59.94 frames a second, clocks off by up to 2 s and by +50 or
-50 ppm, 1 % of the frames lost, 0.3 ms of jitter, started within half a second; somebody who claps, waves and walks.
The sound is that of microphones at the cameras, in video files (AAC). The error of a frame is its time on the common
clock less the true one, where the reference camera's frames are right by definition; "max" is the largest of a take.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration.camera import Rig
from mocap.capture.sound_places import HANDS, HandPlaces
from mocap.capture.sync_audio import audio_estimates, take_sounds
from mocap.capture.sync_light import flash_estimates
from mocap.capture.sync_timestamps import timestamp_estimates
from mocap.core.clock import Clock, ClockEstimate
from mocap.core.keypoints import Detections2D, load_keypoint_set
from mocap.core.motion import Motion
from mocap.core.skeleton import load_skeleton
from mocap.evaluation.sync_metrics import SyncReport, clock_times_s, sync_report
from mocap.io.sound import SoundTrack
from mocap.io.video_writer import Sound, VideoWriter
from mocap.signal.frame_gaps import even_times, frame_steps, nominal_rate
from mocap.signal.resample_motion import poses_at
from mocap.synthetic.body_points import keypoints_on_body
from mocap.synthetic.clocks import CameraFaults, FrameClock, frame_clock
from mocap.synthetic.contacts import clap_times
from mocap.synthetic.gait import joint_poses
from mocap.synthetic.motions import sequence
from mocap.synthetic.rigs import RigConfig, make_rig
from mocap.synthetic.scene_sound import RATE_HZ, Microphone, SoundEvent, recorded
from mocap.synthetic.sound import heard

RATES = (30000 / 1001, 60.0, 30.0, 60000 / 1001)
DRIFT_PPM = 50.0
MOTIONS = ("clap", "walk_circle", "clap", "wave", "clap")
KEYPOINTS = load_keypoint_set("blazepose33")
WRIST_NOISE_PX = 8.0
WRITTEN = (64, 48)
"""Pictures say nothing here; the files carry times and sound."""
SOUNDS = ("claps, noise of their own at each camera", "claps and steps in a room", "speech in a room")


@dataclass(frozen=True, eq=False)
class Take:
    """One synthetic take. frames: by camera."""

    seed: int
    seconds: float
    rig: Rig
    motion: Motion
    frames: dict[str, FrameClock]

    @property
    def stamps(self) -> dict[str, np.ndarray]:
        return {name: clock.stamp_s for name, clock in self.frames.items()}

    def report(self, estimates: Sequence[ClockEstimate]) -> SyncReport:
        """Errors of the clocks that estimates give."""
        clocks = {estimates[0].reference: Clock()} | {e.camera: e.clock for e in estimates}
        true = {name: clock.time_s for name, clock in self.frames.items()}
        return sync_report(clock_times_s(clocks, self.stamps), true, reference=estimates[0].reference)


def make_take(seed: int, seconds: float, **faults: float) -> Take:
    """Of one seed; faults: further ones of all cameras."""
    rng = np.random.default_rng([seed, 1])
    rig = make_rig(RigConfig(cameras=4), np.random.default_rng([seed, 0]))
    motion = sequence(MOTIONS, load_skeleton(), seconds=seconds, fps=120.0, rng=rng)
    frames = {}
    for number, camera in enumerate(rig):
        values: dict[str, float] = {
            "offset_s": float(rng.uniform(-2, 2)),
            "drift_ppm": float(rng.choice([-1, 1])) * DRIFT_PPM,
            "dropped": 0.01,
            "jitter_s": 0.0003,
            "starts_late_s": float(rng.uniform(0, 0.5)),
        }
        own = CameraFaults.model_validate(values | faults)
        frames[camera.name] = frame_clock(own, fps=RATES[(number + seed) % 4], seconds=seconds, rng=rng)
    return Take(seed, seconds, rig, motion, frames)


def events_of(take: Take, talking: bool) -> list[SoundEvent]:
    """Claps between the palms and steps where feet come down; or syllables at the mouth and steps."""
    rng, fps = np.random.default_rng([take.seed, 2]), take.motion.fps
    _, joints = joint_poses(take.motion)
    index = take.motion.skeleton.index
    hands = joints[:, [index("LeftHand"), index("RightHand")]].mean(1)
    head = joints[:, index("Head")]
    events = [_event(joints[:, index(f"{side}ToeBase")], t, fps, "step") for side, t in _steps(take.motion)]
    if talking:
        spoken = np.cumsum(rng.uniform(0.15, 0.45, int(take.seconds / 0.25)))
        events += [_event(head, float(t), fps, "syllable") for t in spoken if t < take.seconds]
    else:
        events += [_event(hands, float(t), fps, "clap") for t in clap_times(take.motion)]
    return sorted(events, key=lambda event: event.time_s)


def _event(path: np.ndarray, time_s: float, fps: float, kind: str) -> SoundEvent:
    place = path[min(round(time_s * fps), len(path) - 1)]
    return SoundEvent(time_s, place, kind)  # type: ignore[arg-type]


def _steps(motion: Motion) -> list[tuple[str, float]]:
    """Where a foot that was a hand's width up is down again."""
    _, joints = joint_poses(motion)
    found = []
    for side in ("Left", "Right"):
        height = joints[:, motion.skeleton.index(f"{side}Foot"), 2]
        low = (height < height.min() + 0.02).astype(np.int8)
        down = np.flatnonzero(np.diff(low) > 0) + 1
        found += [(side, float(frame / motion.fps)) for frame in down]
    return found


def write_sounds(take: Take, kind: str, folder: Path) -> dict[str, Path]:
    """Video files with sound on each camera's own clock, from its first frame on."""
    events = events_of(take, "speech" in kind)
    claps = [event for event in events if event.kind == "clap"]
    picture, videos = np.zeros((WRITTEN[1], WRITTEN[0], 3), dtype=np.uint8), {}
    for camera in take.rig:
        clock = take.frames[camera.name]
        start, length = float(clock.stamp_s[0]), float(np.ptp(clock.stamp_s))
        if kind == SOUNDS[0]:
            stamps = [clock.rate * e.time_s + clock.offset_s - start for e in claps]
            away = [float(np.linalg.norm(e.place_m - camera.center)) for e in claps]
            rng = np.random.default_rng([take.seed, 3, len(videos)])
            samples = heard(stamps, away, seconds=length, rate_hz=RATE_HZ, rng=rng)
        else:
            x, y, z = (float(value) for value in camera.center)
            microphone = Microphone((x, y, z), start, length, clock.offset_s, clock.rate)
            samples = recorded(events, microphone, seed=take.seed)
        videos[camera.name] = folder / f"{camera.name}.mp4"
        with VideoWriter(videos[camera.name], WRITTEN, 30.0, sound=Sound(samples, RATE_HZ)) as writer:
            for stamp in clock.stamp_s:
                writer.write(picture, float(stamp - start))
    return videos


def wrists(take: Take) -> Detections2D:
    """What a detector would say of the wrists, in the frames that each camera took."""
    rng, columns = np.random.default_rng([take.seed, 4]), KEYPOINTS.indices(HANDS)
    parts = []
    for number, camera in enumerate(take.rig):
        times = take.frames[camera.name].time_s
        rotations, root = poses_at(take.motion, times)
        posed = Motion(take.motion.skeleton, root, rotations, take.motion.fps, take.motion.person)
        points = keypoints_on_body(posed, KEYPOINTS)[:, columns]
        xy = np.full((len(times), len(KEYPOINTS), 2), np.nan)
        xy[:, columns] = camera.project(points) + rng.normal(0, WRIST_NOISE_PX, points.shape[:2] + (2,))
        parts.append((np.arange(len(times)), np.full(len(times), number), xy))
    frame, camera_of, xy = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((camera_of, frame))
    n, confidence = len(frame), np.where(np.isfinite(xy).all(-1), 0.9, 0.0)
    return Detections2D(
        cameras=take.rig.names,
        n_frames=int(frame.max()) + 1,
        keypoint_set=KEYPOINTS,
        frame=frame[order],
        camera=camera_of[order],
        track=np.zeros(n, dtype=np.int64),
        xy=xy[order],
        confidence=confidence[order],
        box=np.tile([0.0, 0.0, 1.0, 1.0], (n, 1)),
        score=np.ones(n),
    )


def measure_audio(seeds: Sequence[int], seconds: float) -> None:
    """Three kinds of sound, and three states of knowledge of where it came from."""
    for kind in SOUNDS:
        rows: dict[str, list[tuple[SyncReport, tuple[ClockEstimate, ...]]]] = {}
        spent = 0.0
        for seed in seeds:
            take = make_take(seed, seconds)
            tracks = _heard(take, kind)
            hands = HandPlaces(wrists(take), take.stamps, take.rig)
            begun = time.perf_counter()
            ways = {
                "nothing known of ways": audio_estimates(tracks),
                "rig known": audio_estimates(tracks, rig=take.rig),
                "rig and hands known": audio_estimates(tracks, rig=take.rig, places=hands),
            }
            spent += time.perf_counter() - begun
            for way, estimates in ways.items():
                rows.setdefault(way, []).append((take.report(estimates), estimates))
        print(f"\naudio: {kind}; {spent / len(seeds) / 3:.2f} s a take")
        for way, found in rows.items():
            _print_row(way, found)


def _heard(take: Take, kind: str) -> dict[str, SoundTrack]:
    with tempfile.TemporaryDirectory() as folder:
        return take_sounds(write_sounds(take, kind, Path(folder)), take.stamps)


def measure_flash(seeds: Sequence[int], seconds: float) -> None:
    """A lamp that is switched five times, exposures of 20 to 90 % of a frame."""
    rows = []
    for seed in seeds:
        take, rng = make_take(seed, seconds), np.random.default_rng([seed, 5])
        switched = np.sort(rng.uniform(1.0, seconds - 1.0, 5))
        brightness = {n: _lit(clock, switched, rng) for n, clock in take.frames.items()}
        estimates = flash_estimates(brightness, take.stamps, reference=take.rig.names[0])
        rows.append((take.report(estimates), estimates))
    print("\nflash: a lamp that is switched five times")
    _print_row("mean level of frames", rows)


def _lit(clock: FrameClock, switched: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    exposure = float(rng.uniform(0.2, 0.9)) * float(np.median(np.diff(clock.time_s)))
    moments = clock.time_s[:, None] + exposure * np.linspace(-0.5, 0.5, 101)
    on = (moments[..., None] >= switched).sum(-1) % 2
    return 70 + 35 * on.mean(1) + rng.normal(0, 0.2, len(clock)) + 3 * np.sin(0.7 * clock.time_s)


def measure_timestamps(seeds: Sequence[int], seconds: float) -> None:
    """Cameras on one computer: arrivals that are late, never early, and what even times make of them."""
    rows = []
    for late_s in (0.001, 0.003, 0.008):
        raw, even = [], []
        for seed in seeds:
            take = make_take(seed, seconds, offset_s=0.0, drift_ppm=0.0)
            rng = np.random.default_rng([seed, 6])
            for clock in take.frames.values():
                arrived = np.maximum.accumulate(clock.stamp_s + rng.exponential(late_s, len(clock)))
                arrived = arrived + 1e-9 * np.arange(len(clock))
                raw.append(arrived - clock.time_s)
                even.append(even_times(arrived, late_only=True) - clock.time_s)
            estimates = timestamp_estimates(take.stamps, shared=True)
            rows.append((take.report(estimates), estimates))
        shown = [1000 * np.concatenate(errors) for errors in (raw, even)]
        text = ["rms {:.2f}, 99 % {:.2f}, max {:.1f} ms".format(*_sizes(errors)) for errors in shown]
        print(f"\ntimestamps: frames arrive {1000 * late_s:g} ms late in the mean (exponential), one computer")
        print(f"  as they arrive: {text[0]}; made even: {text[1]}")
    _print_row("true stamps of one clock", rows)


def _sizes(errors: np.ndarray) -> tuple[float, float, float]:
    size = np.abs(errors)
    return float(np.sqrt((errors**2).mean())), float(np.quantile(size, 0.99)), float(size.max())


def measure_gaps(seeds: Sequence[int], seconds: float) -> None:
    """Lost frames that the stamps show, and rates (files that only count: tools/measure_frame_faults.py)."""
    right = rates = cameras = 0
    for seed in seeds:
        take = make_take(seed, seconds, duplicated=0.01)
        for number, clock in enumerate(take.frames.values()):
            rates += nominal_rate(clock.stamp_s) == RATES[(number + seed) % 4]
            cameras += 1
            right += int((frame_steps(clock.stamp_s).steps == np.diff(clock.exposure)).all())
    print(f"\ngaps: {cameras} clips; named rate right in {rates}; gaps in stamps counted rightly in {right}")


def _print_row(name: str, found: Sequence[tuple[SyncReport, tuple[ClockEstimate, ...]]]) -> None:
    most = np.array([report.max_ms if report.max_ms is not None else np.inf for report, _ in found])
    rms = np.array([report.rms_ms if report.rms_ms is not None else np.inf for report, _ in found])
    sd = [1000 * e.sd_s for _, estimates in found for e in estimates]
    sure = [e.confidence for _, estimates in found for e in estimates]
    print(
        f"  {name:24s} rms {np.median(rms):6.2f} ms, max: median {np.median(most):6.2f}, "
        f"90 % {np.quantile(most, 0.9):6.2f}, worst {most.max():7.2f} ms; "
        f"{int((most <= 2).sum())} of {len(most)} takes within 2 ms; "
        f"said sd {np.median(sd):.2f} ms, confidence {min(sure):.2f} to {max(sure):.2f}"
    )


METHODS: dict[str, Callable[[Sequence[int], float], None]] = {
    "audio": measure_audio,
    "flash": measure_flash,
    "timestamps": measure_timestamps,
    "gaps": measure_gaps,
}


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0)
    chosen = parser.parse_args()
    for method in chosen.methods:
        METHODS[method](range(chosen.seeds), chosen.seconds)


if __name__ == "__main__":
    main()
