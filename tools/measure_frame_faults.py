"""How well lost and doubled frames are found in files that only count their frames.

    python tools/measure_frame_faults.py --videos sample_sessions/one_person/takes/walk/video/*.mp4 --seeds 5
    python tools/measure_frame_faults.py --points --seeds 6
    python tools/measure_frame_faults.py --points --seeds 12 --share 0
    python tools/measure_frame_faults.py --take my_session/takes/take1

The first: of real or rendered videos 1 % of the frames are taken out, and another 1 % replaced by the frame before; the
rest is written anew (H.264) with even times, and looked at, alone and with the length that its sound would have. The
untouched video is looked at, too: all that is found there is false. The second and third: keypoints of four cameras
(`mocap synth --keypoints-only`, one person, detectors in turn, clocks off by up to 2 s and by 50 ppm) whose frames are
counted, 1 % or none lost, each camera by itself and all together; clocks by motion before and after. "apart" is how far
the cameras' times are from each other, without what all have in common. The last: a take of `mocap synth` that `mocap
sync` has put on one clock, against its truth.

A loss is found "exactly", or "elsewhere" where as many are put wrongly as are missed; times after it are then right.
Errors are those of the frames' times on the common clock, where the reference camera's are right in the mean.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from measure_sync_motion import MOTIONS, ReportedTake, reported_take
from mocap.capture.sync_motion import sync_by_motion
from mocap.core.clock import Clock, FrameFaults
from mocap.core.session import Take
from mocap.frame_faults import FoundFaults, camera_faults, faults_together, people_points
from mocap.io.brightness import read_brightness
from mocap.io.session_files import open_take
from mocap.io.sync_file import SYNC_FILE, read_sync
from mocap.io.take_times import take_times
from mocap.io.video_decode import DamageMap, decode_pictures
from mocap.io.video_probe import probe_video
from mocap.io.video_writer import VideoWriter, VideoWriterConfig
from mocap.signal.frame_gaps import only_counts
from mocap.synthetic.clocks import CameraFaults
from mocap.synthetic.synth_config import PersonConfig, SynthConfig

SHARE = 0.01
POINTS_FPS = 30.0
SOUND_LONGER_S = 0.1
"""By which sound goes on after the last frame."""
LEAST_LEFT = 4
"""Frames at the ends that are neither lost nor doubled: nothing is beside them."""
DETECTORS = ("blazepose_like", "blazepose_measured")


@dataclass(frozen=True)
class Score:
    """Losses of a file, or of several together, and frames that repeat the one before."""

    lost: int = 0
    exact: int = 0
    elsewhere: int = 0
    missed: int = 0
    false: int = 0
    repeated: int = 0
    seen: int = 0
    false_repeats: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    def __str__(self) -> str:
        return (
            f"{self.lost} lost: {self.exact} exactly, {self.elsewhere} elsewhere, {self.missed} missed, "
            f"{self.false} false; {self.repeated} doubled: {self.seen} seen, {self.false_repeats} false"
        )


def score(
    found: FoundFaults, period_s: float, lost_before: Int[np.ndarray, "F"], repeated: Bool[np.ndarray, "F"]
) -> Score:
    """lost_before: exposures that are missing right before each frame; repeated: frames that show the one before."""
    told, again = np.zeros_like(lost_before), np.zeros_like(repeated)
    for frame, seconds in found.faults.gaps:
        told[frame] += round(seconds / period_s)
    again[list(found.faults.repeated)] = True
    exact = int(np.minimum(told, lost_before).sum())
    wrong, missing = int(told.sum()) - exact, int(lost_before.sum()) - exact
    elsewhere = min(wrong, missing)
    return Score(
        lost=int(lost_before.sum()),
        exact=exact,
        elsewhere=elsewhere,
        missed=missing - elsewhere,
        false=wrong - elsewhere,
        repeated=int(repeated.sum()),
        seen=int((again & repeated).sum()),
        false_repeats=int((again & ~repeated).sum()),
    )


def measure_videos(paths: Sequence[Path], seeds: int) -> None:
    """Real pictures with losses and repeats of ours."""
    total = {"as it is": Score(), "pictures": Score(), "pictures and the length of the sound": Score()}
    for path in paths:
        fps, n = probe_video(path).fps, probe_video(path).n_readable
        untouched = camera_faults(np.arange(n) / fps, light=read_brightness(path))
        nothing = np.zeros(n, dtype=np.int64)
        total["as it is"] += score(untouched, 1 / fps, nothing, nothing > 0)
        print(f"{path.parent.parent.name}/{path.name}, {n} frames of {fps:g} a second")
        print(f"  untouched: {score(untouched, 1 / fps, nothing, nothing > 0)}")
        each = {way: Score() for way in list(total)[1:]}
        for seed in range(seeds):
            shown, lost_before, repeated = cut(n, np.random.default_rng(seed))
            with tempfile.TemporaryDirectory() as folder:
                light = read_brightness(_written(path, shown, Path(folder) / "cut.mp4"))
            stamps = np.arange(len(shown)) / fps
            for way, length in zip(each, (None, n / fps + SOUND_LONGER_S), strict=True):
                found = camera_faults(stamps, light=light, length_s=length)
                each[way] += score(found, 1 / fps, lost_before, repeated)
        for way, sum_of in each.items():
            print(f"  by {way}: {sum_of}", flush=True)
            total[way] += sum_of
    print("all:")
    for way, found in total.items():
        print(f"  {way}: {found}")


def cut(n: int, rng: np.random.Generator) -> tuple[Int[np.ndarray, "F"], Int[np.ndarray, "F"], Bool[np.ndarray, "F"]]:
    """(the original's frames that the new one shows, lost before each, repeated)."""
    lost, again = rng.random((2, n)) < SHARE
    for ends in (lost, again):
        ends[:LEAST_LEFT] = ends[-LEAST_LEFT:] = False
    kept = np.flatnonzero(~lost)
    repeated = again[kept]
    shown = kept[np.maximum.accumulate(np.where(repeated, 0, np.arange(len(kept))))]
    return shown, np.diff(kept, prepend=-1) - 1, repeated


def _written(path: Path, shown: Int[np.ndarray, "F"], to: Path) -> Path:
    """The video with these of its frames, coded as phones do."""
    info = probe_video(path)
    size, fps = info.coded_size, info.fps
    pictures = {p.row: p.frame for p in decode_pictures(info, DamageMap(info)) if p.row in set(shown.tolist())}
    with VideoWriter(to, size, fps, VideoWriterConfig(crf=23, preset="veryfast", threads=1)) as video:
        for number, row in enumerate(shown.tolist()):
            video.write(pictures[row].to_ndarray(format="rgb24"), number / fps)
    return to


def measure_points(seeds: Sequence[int], seconds: float, share: float) -> None:
    """Keypoints alone: what people say of losses, in one camera and in all, and what that does to clocks by motion."""
    ways = ("people", "people, the number told", "cameras together")
    totals = {way: Score() for way in ways}
    worst: dict[str, list[float]] = {way: [] for way in ("counted", *ways)}
    for seed in seeds:
        take, what = lossy_take(seed, seconds, share)
        own = {name: take.clocks[name].time_s(stamps) for name, stamps in take.stamps_s.items()}
        counted = {name: s[0] + np.arange(len(s)) / POINTS_FPS for name, s in take.stamps_s.items()}
        gone = {
            n: np.round(np.diff(s, prepend=s[0] - 1 / POINTS_FPS) * POINTS_FPS).astype(np.int64) - 1
            for n, s in take.stamps_s.items()
        }
        found = {"counted": {name: FoundFaults(FrameFaults()) for name in counted}}
        for way in ways[:2]:
            found[way] = {n: _by_people(take, n, counted[n], gone[n], told=way != "people") for n in counted}
        found["cameras together"] = faults_together(found["people"], counted, take.detections, take.rig)
        line = []
        for way, each in found.items():
            if way in totals:
                totals[way] += sum((score(each[n], 1 / POINTS_FPS, gone[n], gone[n] < 0) for n in gone), Score())
            stamps = {n: each[n].faults.corrected_s(counted[n]) for n in each}
            estimates = sync_by_motion(take.detections, stamps, take.rig)
            clocks = {take.detections.cameras[0]: Clock()} | {e.camera: e.clock for e in estimates}
            times = {n: clocks[n].time_s(stamps[n]) for n in clocks}
            wrong, apart = errors_ms(times, own), apart_ms(times, own)
            worst[way].append(float(np.abs(wrong).max()))
            rms = np.sqrt((wrong**2).mean()), np.sqrt((apart**2).mean())
            line.append(f"{way} {rms[0]:.1f} (worst {worst[way][-1]:.0f}, apart {rms[1]:.1f})")
        print(f"{seed:3d} {what}: ms RMS", "; ".join(line), flush=True)
    for way, count in totals.items():
        print(f"by {way}: {count}")
    print("worst error of a take, median:", ", ".join(f"{way} {np.median(w):.0f} ms" for way, w in worst.items()))


def lossy_take(seed: int, seconds: float, share: float) -> tuple[ReportedTake, str]:
    """Keypoints of four cameras of one rate, and what they show."""
    config = SynthConfig(
        seed=seed,
        seconds=seconds,
        people=(PersonConfig(motion=MOTIONS[seed % len(MOTIONS)]),),
        detector=DETECTORS[seed % 2],
    )
    config = config.model_copy(update={"rig": config.rig.model_copy(update={"cameras": 4})})
    rng, faults = np.random.default_rng([seed, 98]), {"cam01": CameraFaults(dropped=share)}
    for number in range(1, 4):
        offset, drift = float(rng.uniform(-2, 2)), float(rng.choice([-50, 50]))
        faults[f"cam{number + 1:02d}"] = CameraFaults(offset_s=offset, drift_ppm=drift, dropped=share)
    take = reported_take(faults, config, frame_rates=(POINTS_FPS,))
    return take, f"{MOTIONS[seed % len(MOTIONS)]}, {config.detector}"


def _by_people(
    take: ReportedTake, name: str, stamps: Float[np.ndarray, "F"], lost_before: Int[np.ndarray, "F"], *, told: bool
) -> FoundFaults:
    points = people_points(take.detections, name, len(stamps))
    length = (len(stamps) + int(lost_before.sum())) / POINTS_FPS if told else None
    return camera_faults(stamps, people=points, length_s=length)


def apart_ms(
    times: dict[str, Float[np.ndarray, "..."]], true: dict[str, Float[np.ndarray, "..."]]
) -> Float[np.ndarray, "n"]:
    """Of every camera over the time that all share, less the mean of all cameras: what they have in common harms no
    reconstruction, and where all lost as many nothing tells it."""
    start, end = max(t[0] for t in true.values()), min(t[-1] for t in true.values())
    at = np.arange(start, end, 1 / POINTS_FPS)
    off = np.stack([1000 * np.interp(at, true[name], times[name] - true[name]) for name in times])
    return (off - off.mean(0)).ravel()


def errors_ms(
    times: dict[str, Float[np.ndarray, "..."]], true: dict[str, Float[np.ndarray, "..."]]
) -> Float[np.ndarray, "n"]:
    """Of all frames that have a time, less the mean error of the first camera's."""
    off = {name: 1000 * (times[name] - true[name]) for name in times}
    first = float(np.nanmean(next(iter(off.values()))))
    every = np.concatenate(list(off.values())) - first
    return every[np.isfinite(every)]


def measure_take(root: Path) -> None:
    """A synthetic take that was synced."""
    take, truth = open_take(root), np.load(root / "truth.npz")
    names = list(read_sync(root / SYNC_FILE).cameras)
    true = {name: truth[f"view.{name}.time_s"] for name in names}
    total = Score()
    for name in names:
        time, repeated = true[name], truth[f"view.{name}.repeated"]
        own = np.flatnonzero(~repeated)
        step = np.diff(time[own])
        lost_before = np.zeros(len(time), dtype=np.int64)
        if only_counts(truth[f"view.{name}.stamp_s"]):  # else the file knows of them
            lost_before[own[1:]] = np.round(step / np.median(step)).astype(np.int64) - np.diff(own)
        found = score(FoundFaults(take.faults[name]), float(np.median(step)), lost_before, repeated)
        total += found
        print(f"{name}: {found}")
    print(f"all: {total}")
    for what, some in (("with the faults that were found", take), ("clocks alone", replace(take, faults={}))):
        wrong = errors_ms(_times(some, names), true)
        print(f"{what}: RMS {np.sqrt((wrong**2).mean()):.1f}, worst {np.abs(wrong).max():.1f} ms")


def _times(take: Take, names: Sequence[str]) -> dict[str, Float[np.ndarray, "..."]]:
    times = take_times(take)
    assert times is not None
    return {name: times[name] for name in names}


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, nargs="+", default=[])
    parser.add_argument("--points", action="store_true")
    parser.add_argument("--take", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="seed of --points to begin with")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--share", type=float, default=SHARE, help="of the frames of keypoints that are lost")
    chosen = parser.parse_args()
    if chosen.videos:
        measure_videos(chosen.videos, chosen.seeds)
    if chosen.points:
        measure_points(range(chosen.first, chosen.first + chosen.seeds), chosen.seconds, chosen.share)
    if chosen.take is not None:
        measure_take(chosen.take)


if __name__ == "__main__":
    main()
