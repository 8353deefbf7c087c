"""The four-camera trial against its reference: reprojection, distance to the TRC joints, lost frames, jitter.

    python tools/evaluate_real_take.py                        process the trial of ../shared/data, then measure
    python tools/evaluate_real_take.py --folder OUT           measure what `mocap process … -o OUT` has left
    python tools/evaluate_real_take.py --set smooth.filter=rts

The reference is a pseudo-truth from another detector; it reprojects at 7 to 20 px. It runs a frame ahead of the videos:
its first row is at 1/60 s by its own Time column, and the 2D points it was made from fit ours best, in every camera,
one frame later (measured in each run). Both readings are printed: by time, and by frame number.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from calibration.camera import Rig
from calibration.formats import read_calibration
from mocap.core.keypoints import Keypoints2D, Keypoints3D
from mocap.io.artefacts import load_keypoints2d, load_keypoints3d, load_motions
from mocap.io.detections_import import import_detections
from mocap.stages.smooth import jitter
from mocap.synthetic.gait import joint_poses

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
RIG = "pose2sim/HEAD/Demo_SinglePerson/calibration/Calib.qca.txt"
VIDEOS = {
    "cam01": "pose2sim_blender/Examples/cam01_cut.mp4",
    "cam02": "pose2sim_blender/Examples/cam02_cut.mp4",
    "cam03": "pose2sim/HEAD/Demo_SinglePerson/videos/cam03.mp4",
    "cam04": "pose2sim/HEAD/Demo_SinglePerson/videos/cam04.mp4",
}
TRIAL = "pose2sim/v0.7dev_a948c205/S00_Demo_Session/S00_P00_SingleParticipant/S00_P00_T01_BalancingTrial/pose-3d"
REFERENCE_2D = f"{Path(TRIAL).parent}/pose-associated"
REFERENCES = {
    "raw": "S00_P00_T01_BalancingTrial_0-100.trc",
    "butterworth": "S00_P00_T01_BalancingTrial_0-100_filt_butterworth.trc",
}
JOINTS = {
    "shoulder": ("Shoulder", "Arm"),
    "elbow": ("Elbow", "ForeArm"),
    "wrist": ("Wrist", "Hand"),
    "knee": ("Knee", "Leg"),
    "ankle": ("Ankle", "Foot"),
}
"""Our keypoint, the marker of the reference, the joint of the skeleton; each left and right."""

Tracks = dict[str, np.ndarray]
"""(T, 3) m in our world, by keypoint name."""


def main() -> None:
    """Read the command line, process where asked, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="output folder of an earlier `mocap process`")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="passed on to `mocap process`")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    options = parser.parse_args()
    if not DATA.is_dir():
        sys.exit(f"{DATA} is not here")
    with tempfile.TemporaryDirectory() as folder:
        output = options.folder or process(Path(folder), options.set)
        figures = evaluate(output)
    show(figures)
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")


def process(folder: Path, settings: list[str]) -> Path:
    """One `mocap process` of the trial."""
    command = [sys.executable, "-m", "mocap.cli.main", "process", *(f"{n}={DATA / p}" for n, p in VIDEOS.items())]
    command += ["--rig", str(DATA / RIG), "-o", str(folder)]
    for setting in settings:
        command += ["--set", setting]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def evaluate(folder: Path) -> dict[str, Any]:
    """All figures of a processed trial."""
    derived = folder / "derived"
    seen = load_keypoints2d(derived / "associate.h5")
    rig = read_calibration(DATA / RIG).subset(seen.cameras)
    points = {"triangulated": load_keypoints3d(derived / "triangulate.h5")}
    points["smoothed"] = load_keypoints3d(derived / "smooth.h5")
    tracks = {name: keypoint_tracks(found) for name, found in points.items()}
    bones: dict[str, float] = {}
    if (derived / "solve.h5").is_file():
        tracks["solved"] = joint_tracks(derived / "solve.h5")
        bones = bone_figures(derived / "solve.h5", points["smoothed"])
    references = {name: read_reference(DATA / TRIAL / file) for name, file in REFERENCES.items()}
    views = (seen.confidence[:, 0] > 0).any(-1).sum(-1)
    found = np.isfinite(points["smoothed"].xyz[:, 0]).all(-1).any(-1)
    return {
        "frames": seen.n_frames,
        "frames_lost": int((~found).sum()),
        "views_per_frame": float(views.mean()),
        "farthest_hips_mm": farthest_hips_mm(tracks["smoothed"], references["butterworth"]),
        "reprojection_px": {name: reprojection_px(found, seen, rig) for name, found in points.items()},
        "skeleton": bones,
        "lag_frames": dict(zip(seen.cameras, lags(seen), strict=True)),
        "jitter_m_s2": {name: body_jitter(found) for name, found in points.items()},
        "mean_mm": {
            f"{kind} / {reading}": {name: mean(distances_mm(track, reference, late)) for name, track in tracks.items()}
            for kind, reference in references.items()
            for reading, late in (("by time", 1), ("by frame number", 0))
        },
        "joints_mm": {kind: distances_mm(tracks["smoothed"], ref, 1) for kind, ref in references.items()},
    }


def keypoint_tracks(points: Keypoints3D) -> Tracks:
    """The keypoints that the reference has too."""
    names = [f"{side}_{part}" for side in ("left", "right") for part in (*JOINTS, "hip")]
    return {name: points.of(name)[:, 0] for name in names}


def joint_tracks(path: Path) -> Tracks:
    """Joints of the solved skeleton by the keypoint they stand for."""
    motion = load_motions(path)[0]
    _, positions = joint_poses(motion)
    return {
        f"{side}_{part}": positions[:, motion.skeleton.index(f"{side.title()}{joint}")]
        for side in ("left", "right")
        for part, (_, joint) in JOINTS.items()
    }


def bone_figures(path: Path, points: Keypoints3D) -> dict[str, float]:
    """What the solved skeleton keeps (lengths, m) and how far its joints are from the keypoints that name them (mm)."""
    motion = load_motions(path)[0]
    _, positions = joint_poses(motion)
    skeleton = motion.skeleton
    lengths = np.linalg.norm(positions[:, 1:] - positions[:, skeleton.parents[1:]], axis=-1)
    sides = [(skeleton.index(a) - 1, skeleton.index(b) - 1) for a, b in skeleton.mirror_pairs]
    named = joint_tracks(path)
    apart = [np.linalg.norm(track - points.of(name)[:, 0], axis=-1) for name, track in named.items()]
    return {
        "length_variation_m": float(np.ptp(lengths, axis=0).max()),
        "left_right_difference_m": float(max(np.abs(lengths[:, a] - lengths[:, b]).max() for a, b in sides)),
        "mean_joint_mm": 1000 * float(np.nanmean(apart)),
    }


def read_reference(path: Path) -> Tracks:
    """Markers of a TRC file by our names, in our world: (x, y, z) there is (y, z, x) here."""
    lines = path.read_text(encoding="utf-8").splitlines()
    markers = [name for name in lines[3].split("\t")[2:] if name.strip()]
    rows = [line.split("\t")[2 : 2 + 3 * len(markers)] for line in lines[5:] if line.strip()]
    values = np.array([[float(v) if v.strip() else np.nan for v in row] for row in rows]).reshape(-1, len(markers), 3)
    ours = values[..., [2, 0, 1]]
    parts = {part: marker for part, (marker, _) in JOINTS.items()} | {"hip": "Hip"}
    return {
        f"{side}_{part}": ours[:, markers.index(f"{side[0].upper()}{marker}")]
        for side in ("left", "right")
        for part, marker in parts.items()
    }


def distances_mm(track: Tracks, reference: Tracks, late: int) -> dict[str, float]:
    """Median distance of the ten joints; `late`: by how many frames the reference's rows are later than ours."""
    found = {}
    for part in JOINTS:
        for side in ("left", "right"):
            name = f"{side}_{part}"
            n = min(len(track[name]) - late, len(reference[name]))
            apart = np.linalg.norm(track[name][late : late + n] - reference[name][:n], axis=-1)
            found[name] = 1000 * float(np.nanmedian(apart))
    return found


def lags(seen: Keypoints2D) -> list[float]:
    """Frames by which the reference's 2D points lie ahead of ours, per camera.

    Detectors differ by an offset of their own for every joint, so the median offset is taken out; the lag is the lowest
    point of the parabola through the median distances at the best whole lag and its neighbours.
    """
    theirs = import_detections(DATA / REFERENCE_2D, seen.cameras)
    names = [f"{side}_{part}" for side in ("left", "right") for part in JOINTS]
    columns = theirs.keypoint_set.indices(names)
    found = []
    for camera in range(len(seen.cameras)):
        own = theirs.camera == camera
        track = np.full((theirs.n_frames, len(names), 2), np.nan)
        track[theirs.frame[own]] = theirs.xy[own][:, columns]
        ours = seen.xy[:, 0, camera][:, seen.keypoint_set.indices(names)]
        apart = [apart_px(track, ours, late) for late in range(-4, 5)]
        best = int(np.clip(np.argmin(apart), 1, len(apart) - 2))
        before, lowest, after = apart[best - 1 : best + 2]
        found.append(best - 4 + (before - after) / (2 * (before - 2 * lowest + after)))
    return found


def apart_px(track: np.ndarray, ours: np.ndarray, late: int) -> float:
    """Median distance, less each joint's own offset, when row i of `track` is put beside frame i + late of ours."""
    rows = np.arange(max(0, -late), min(len(track), len(ours) - late))
    difference = track[rows] - ours[rows + late]
    return float(np.nanmedian(np.linalg.norm(difference - np.nanmedian(difference, axis=0), axis=-1)))


def mean(values: dict[str, float]) -> float:
    """Over the joints."""
    return float(np.mean(list(values.values())))


def farthest_hips_mm(track: Tracks, reference: Tracks) -> float:
    """The largest distance between the middles of the hips: metres where it is somebody else."""
    ours, theirs = ((t["left_hip"] + t["right_hip"]) / 2 for t in (track, reference))
    n = min(len(ours), len(theirs))
    return 1000 * float(np.nanmax(np.linalg.norm(ours[:n] - theirs[:n], axis=-1)))


def reprojection_px(points: Keypoints3D, seen: Keypoints2D, rig: Rig) -> float:
    """Median over body keypoints, frames and every view that saw them."""
    body = points.keypoint_set.indices(points.keypoint_set.body)
    images = np.moveaxis(rig.project(points.xyz[:, 0][:, body]), 0, 1)
    return float(np.nanmedian(np.linalg.norm(images - seen.xy[:, 0][:, :, body], axis=-1)))


def body_jitter(points: Keypoints3D) -> float:
    """Median acceleration of the body keypoints."""
    return jitter(points.xyz[:, :, points.keypoint_set.indices(points.keypoint_set.body)], points.fps) or 0.0


def show(figures: dict[str, Any]) -> None:
    """A short table."""
    print(
        f"frames {figures['frames']}, lost {figures['frames_lost']}, views per frame {figures['views_per_frame']:.2f}"
    )
    print(f"hips at most {figures['farthest_hips_mm']:.0f} mm from the reference's")
    for name in ("triangulated", "smoothed"):
        print(
            f"{name:<13} median body reprojection {figures['reprojection_px'][name]:.2f} px, "
            f"jitter {figures['jitter_m_s2'][name]:.1f} m/s²"
        )
    if bones := figures["skeleton"]:
        print(
            f"skeleton: lengths vary by {bones['length_variation_m']:.1e} m, left and right differ by "
            f"{bones['left_right_difference_m']:.1e} m, ten joints {bones['mean_joint_mm']:.1f} mm from their keypoints"
        )
    ahead = ", ".join(f"{camera} {frames:.1f}" for camera, frames in figures["lag_frames"].items())
    print(f"the reference is ahead of the videos by, in frames: {ahead}")
    for reference, values in figures["mean_mm"].items():
        print(f"mean of ten joint medians to {reference}: " + ", ".join(f"{n} {mm:.1f} mm" for n, mm in values.items()))
    for kind, joints in figures["joints_mm"].items():
        print(f"smoothed to {kind} by time: " + ", ".join(f"{name} {mm:.0f}" for name, mm in joints.items()))


if __name__ == "__main__":
    main()
