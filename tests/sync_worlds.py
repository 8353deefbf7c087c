"""Takes without pictures whose cameras have clocks of their own: what detectors report, and the true clocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration.camera import Rig
from mocap.core.clock import Clock
from mocap.core.keypoints import Detections2D, load_keypoint_set
from mocap.synthetic.cast import make_actors
from mocap.synthetic.clocks import CameraFaults, frame_clock
from mocap.synthetic.detector_config import preset
from mocap.synthetic.detector_errors import as_detections, detect
from mocap.synthetic.reported_session import Seer, true_view
from mocap.synthetic.rigs import RigConfig, make_rig
from mocap.synthetic.synth_config import PersonConfig, SynthConfig
from mocap.synthetic.take_truth import view_of

COLUMNS = ("frame", "camera", "track", "xy", "confidence", "box", "score")


@dataclass(frozen=True, eq=False)
class ReportedTake:
    """Detections of every camera at its own frames, stamps (F,) of those, and what ties the stamps to scene time."""

    detections: Detections2D
    stamps_s: dict[str, np.ndarray]
    rig: Rig
    clocks: dict[str, Clock]
    times_s: dict[str, np.ndarray]


def reported_take(
    faults: Mapping[str, CameraFaults],
    *,
    seed: int,
    seconds: float,
    motions: Sequence[str] = ("walk_circle",),
    frame_rates: Sequence[float] = (30.0,),
    cameras: int = 4,
    detector: str = "blazepose_like",
    places: Sequence[tuple[float, float]] = ((0.0, 0.0),),
) -> ReportedTake:
    """A take as `mocap synth --keypoints-only` makes it, in memory."""
    people = tuple(PersonConfig(motion=m, position_m=p) for m, p in zip(motions, places, strict=True))
    config = SynthConfig(seed=seed, seconds=seconds, people=people, rig=RigConfig(cameras=cameras))
    rig = make_rig(config.rig, np.random.default_rng([seed, 0]))
    actors = make_actors(config, seconds, Path())
    seer, keypoint_set = Seer(actors), load_keypoint_set(config.keypoint_set)
    parts, stamps, clocks, times = [], {}, {}, {}
    for number, camera in enumerate(rig):
        own = faults.get(camera.name, CameraFaults())
        rate = frame_rates[number % len(frame_rates)]
        clock = frame_clock(own, fps=rate, seconds=seconds, rng=np.random.default_rng([seed, 3, number]))
        seen = seer.visibility(camera, (), clock.time_s)
        view = true_view(view_of(camera, clock, (), actors, visibility=seen), actors, camera, keypoint_set, fps=rate)
        rng = np.random.default_rng([seed, 7, number])
        rows, _ = as_detections(detect(view, preset(detector), rng), view, (camera.name,), rng)
        parts.append(rows)
        stamps[camera.name], times[camera.name] = clock.stamp_s, clock.time_s
        clocks[camera.name] = Clock(clock.offset_s, clock.rate)
    return ReportedTake(joined(parts, rig.names), stamps, rig, clocks, times)


def joined(parts: Sequence[Detections2D], cameras: tuple[str, ...]) -> Detections2D:
    """Detections of single cameras as those of all."""
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
    columns["camera"] = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    length = max(part.n_frames for part in parts)
    return Detections2D(cameras, length, parts[0].keypoint_set, **columns)
