"""Where a detector's keypoints lie on the skeleton, measured on rendered people whose joints are known.

    python tools/fit_detector_errors.py --work FOLDER --views 2016 --seed 0 --film-only     films and detects
    python tools/fit_keypoint_offsets.py --work FOLDER --seed 0                            fits and writes

Every keypoint is a point of one joint's body (see the marker set) plus a part that depends, linearly, on the direction
it is seen from. Both are found by robust least squares over all views, left and right as mirror images of each other.
What one person's keypoints have in common beyond that is the spread of the offset among people; what is left is noise.
Lengths are in metres on the skeleton of the marker set: of each person, over hip height. --held-out fits on the even
scenes and tells what is left in the odd ones, without the fit, with offsets, and with the directions too.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomlkit
import torch

from fit_detector_errors import KEYPOINTS, Scene, make_scene
from mocap.core.markers import MarkerSet, load_markers, mirrored
from mocap.core.skeleton import load_skeleton
from mocap.core.truth import Visibility
from mocap.geometry.kinematics import forward_kinematics
from mocap.geometry.projection import camera_tensors, project_with_jacobian
from mocap.geometry.reprojection import pixels_per_metre
from mocap.geometry.rotations import quat_to_matrix
from mocap.geometry.threads import one_thread
from mocap.models.weights import blazepose_weights, sha256_of
from mocap.signal.resample_motion import poses_at
from mocap.synthetic.cast import Actor
from mocap.synthetic.measured_views import MeasuredViews

MARKERS = "humanoid"
FILE = Path(__file__).resolve().parents[1] / "mocap/core/definitions" / f"markers_{MARKERS}_{KEYPOINTS.name}.toml"
RIDGE = 200.0
"""Views that look square at an offset, for the assumption that it does not depend on the direction."""
ONE_PERSON_RIDGE = 5.0
HIDDEN_WEIGHT = 0.2
KNEE = 1.5
"""Median distances at which a report begins to count less (Huber)."""
ROUNDS = 10
FEWEST = 60
"""Reports of a keypoint of one person from which an offset of its own is taken."""
LEAST_SPREAD = 0.05
"""Of a segment's share among people: the body model's grown-ups are more alike than people are."""
FLIP = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Reports:
    """T moments, M markers, C cameras: error (T, M, C, 2) m at the subject, of the report from the joint, NaN without;

    by_offset: (T, M, C, 2, 3) how an offset in the marker's frame shows. way: (T, M, C, 3) unit vector to the camera in
    that frame. visibility: (T, M, C) codes. person, scene: (T,) numbers. bones:
    (T, J, 3) m, rest offsets of the person over their size.
    """

    error: np.ndarray
    by_offset: np.ndarray
    way: np.ndarray
    visibility: np.ndarray
    person: np.ndarray
    scene: np.ndarray
    bones: np.ndarray

    def of_scenes(self, kept: np.ndarray) -> Reports:
        """Those moments."""
        return Reports(**{name: value[kept] for name, value in vars(self).items()})


@dataclass(frozen=True, eq=False)
class Habit:
    """One keypoint: offset (3,) and its slope by direction (3, 3), spread among people and of one report, all m."""

    keypoint: str
    offset: np.ndarray
    slope: np.ndarray
    offset_sd: float
    view_noise: float


def main() -> None:
    """Read what was filmed, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of fit_detector_errors.py")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=FILE)
    parser.add_argument("--held-out", action="store_true", help="tell how well it fits scenes left out; write nothing")
    options = parser.parse_args()
    markers = load_markers(MARKERS, load_skeleton()).select(KEYPOINTS.names)
    with one_thread():
        reports = read_reports(options.work, options.seed, markers)
        if options.held_out:
            show_held_out(reports, markers)
            return
        habits = fit(reports, markers)
    options.output.write_text(as_toml(habits, reports, options.seed), encoding="utf-8", newline="\n")
    for habit in habits:
        offset = " ".join(f"{1000 * v:6.1f}" for v in habit.offset)
        print(
            f"{habit.keypoint:16s} offset {offset} mm, people ± {1000 * habit.offset_sd:.1f}, "
            f"reports ± {1000 * habit.view_noise:.1f}"
        )


def read_reports(work: Path, seed: int, markers: MarkerSet) -> Reports:
    """All scenes in the folder; bodies are made again from their seeds."""
    parts: list[Reports] = []
    people = 0
    for path in sorted(work.glob(f"scene_{seed}_*.npz")):
        number = int(path.stem.rpartition("_")[2])
        scene, views = make_scene(seed, number), MeasuredViews.load(path)
        for p in range(len(scene.actors)):
            parts.append(_reports(scene, views, p, markers, (people, number)))
            people += 1
        print(path.name, flush=True)
    if not parts:
        raise SystemExit(f"{work} holds no scene of seed {seed}: run tools/fit_detector_errors.py --film-only first")
    return Reports(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))


def _reports(scene: Scene, views: MeasuredViews, person: int, markers: MarkerSet, numbers: tuple[int, int]) -> Reports:
    rotations, places, scale = _posed(scene.actors[person], scene.times)
    axes, joints = quat_to_matrix(rotations[:, markers.frame]), places[:, markers.at]
    cameras = camera_tensors(scene.rig)
    px, jacobian = project_with_jacobian(cameras, joints)
    metre = pixels_per_metre(cameras, joints.flatten(0, 1)).unflatten(0, joints.shape[:2]).numpy()
    way = cameras.centers - joints[:, :, None]
    way = torch.einsum("tmab,tmca->tmcb", axes, way / way.norm(dim=-1, keepdim=True))
    clips = [c * len(scene.actors) + person for c in range(len(scene.rig))]
    columns = KEYPOINTS.indices(markers.keypoints)
    count = len(scene.times)

    def seen(values: np.ndarray) -> np.ndarray:
        return np.moveaxis(values[clips].reshape(len(clips), count, *values.shape[3:])[:, :, columns], 0, 2)

    return Reports(
        error=(seen(views.xy) - px.numpy()) / metre[..., None],
        by_offset=(jacobian @ axes[:, :, None]).numpy() * scale / metre[..., None, None],
        way=way.numpy(),
        visibility=seen(views.visibility),
        person=np.full(count, numbers[0]),
        scene=np.full(count, numbers[1]),
        bones=np.tile(scene.actors[person].motion.skeleton.rest_offsets / scale, (count, 1, 1)),
    )


def _posed(actor: Actor, times: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, float]:
    """World rotations and places of the joints, and the person's size over the skeleton's."""
    rotations, root = poses_at(actor.motion, times)
    skeleton = actor.motion.skeleton
    arrays = (torch.from_numpy(np.array(a)) for a in (rotations, root, skeleton.rest_offsets))
    scale = float(skeleton.rest_offsets[0, 2] / load_skeleton().rest_offsets[0, 2])
    poses = forward_kinematics(*arrays, parents=skeleton.parents)
    return *poses, scale


def fit(reports: Reports, markers: MarkerSet) -> list[Habit]:
    """The left side and the middle; the right side is their mirror image."""
    left = [name for name in markers.keypoints if "right" not in name]
    return [_fit_one(reports, markers, name) for name in left]


def _fit_one(reports: Reports, markers: MarkerSet, name: str) -> Habit:
    sides = [_side(reports, markers, name, np.ones(3)), _side(reports, markers, mirrored(name), FLIP)]
    error, rows, state, person = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    base = np.where(state == Visibility.VISIBLE, 1.0, HIDDEN_WEIGHT)
    penalty = np.tile([1.0, RIDGE, RIDGE, RIDGE], 3)
    weight, left, found = base, error, np.zeros(12)
    for _ in range(ROUNDS):
        found = _solved(rows, error, weight, penalty)
        left = error - rows @ found
        distance = np.linalg.norm(left, axis=-1)
        limit = KNEE * np.median(distance[state == Visibility.VISIBLE])
        weight = base * np.minimum(1.0, limit / np.maximum(distance, 1e-9))
    own = [
        _solved(rows[mine][..., ::4], left[mine], weight[mine], np.full(3, ONE_PERSON_RIDGE))
        for p in np.unique(person)
        if (mine := person == p).sum() >= FEWEST
    ]
    coefficients = found.reshape(3, 4)
    spread = 1.4826 * float(np.median(np.abs(left[state == Visibility.VISIBLE])))
    return Habit(name, coefficients[:, 0], coefficients[:, 1:], float(np.sqrt(np.square(own).mean())), spread)


def _side(
    reports: Reports, markers: MarkerSet, name: str, flip: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Errors (n, 2), rows (n, 2, 12), visibility and person of one keypoint, mirrored where it is the right one."""
    m = markers.keypoints.index(name)
    error, state = reports.error[:, m], reports.visibility[:, m]
    known = np.isfinite(error).all(-1) & np.isin(state, (Visibility.VISIBLE, Visibility.HIDDEN_BY_SELF))
    way = reports.way[:, m][known] * flip
    basis = np.concatenate([np.ones((len(way), 1)), way], axis=-1)
    rows = (reports.by_offset[:, m][known] * flip)[..., None] * basis[:, None, None]
    person = np.broadcast_to(reports.person[:, None], known.shape)[known]
    return error[known], rows.reshape(len(rows), 2, 12), state[known], person


def _solved(rows: np.ndarray, wanted: np.ndarray, weight: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    matrix = np.einsum("nip,n,niq->pq", rows, weight, rows, optimize=True) + np.diag(penalty)
    return np.linalg.solve(matrix, np.einsum("nip,n,ni->p", rows, weight, wanted, optimize=True))


def show_held_out(reports: Reports, markers: MarkerSet) -> None:
    """Median distance of visible reports in odd scenes, by what even ones say."""
    even = reports.scene % 2 == 0
    test = reports.of_scenes(~even)
    plain = {name: markers.offsets[m] for m, name in enumerate(markers.keypoints)}
    print("median distance in scenes left out, mm: marker set as written, offsets, offsets and directions")
    for habit in fit(reports.of_scenes(even), markers):
        error, rows, state, _ = _side(test, markers, habit.keypoint, np.ones(3))
        shown = state == Visibility.VISIBLE
        slope = np.concatenate([habit.offset[:, None], habit.slope], axis=1)
        values = []
        for offset in (np.pad(plain[habit.keypoint][:, None], ((0, 0), (0, 3))), slope * [1, 0, 0, 0], slope):
            left = error - rows @ offset.reshape(12)
            values.append(1000 * float(np.median(np.linalg.norm(left[shown], axis=-1))))
        print(f"{habit.keypoint:16s} " + " ".join(f"{v:6.1f}" for v in values))


def as_toml(habits: list[Habit], reports: Reports, seed: int) -> str:
    """The file's text; what its keys mean is in `mocap/core/markers.py`."""
    document = tomlkit.document()
    document.add(tomlkit.comment("Where BlazePose puts its keypoints on the humanoid, measured on rendered people."))
    document.add("keypoint_set", KEYPOINTS.name)
    provenance = tomlkit.table()
    provenance.update(
        {
            "command": f"python tools/fit_keypoint_offsets.py --work FOLDER --seed {seed}",
            "people": int(reports.person.max()) + 1,
            "views": int(np.isfinite(reports.error[:, 0, :, 0]).sum()),
            "landmark_network": sha256_of(blazepose_weights(None).landmarks),
        }
    )
    document.add("provenance", provenance)
    rows = tomlkit.aot()
    for habit in habits:
        row = tomlkit.table()
        row.update(
            {
                "keypoint": habit.keypoint,
                "offset_m": np.round(habit.offset, 4).tolist(),
                "habit_m": np.round(habit.slope, 4).tolist(),
                "offset_sd_m": round(habit.offset_sd, 4),
                "view_noise_m": round(habit.view_noise, 4),
            }
        )
        rows.append(row)
    document.add("marker", rows)
    for name, entries in _proportions(reports).items():
        rows = tomlkit.aot()
        for entry in entries:
            row = tomlkit.table()
            row.update(entry)
            rows.append(row)
        document.add(name, rows)
    return tomlkit.dumps(document)


def _proportions(reports: Reports) -> dict[str, list[dict[str, Any]]]:
    """Mean bones of the people, and how much each segment's share of the whole differs among them."""
    skeleton = load_skeleton()
    people = np.stack([reports.bones[reports.person == p][0] for p in np.unique(reports.person)])
    mean = people.mean(0)
    lengths = np.linalg.norm(people, axis=-1) / np.linalg.norm(mean, axis=-1)
    names = [name for name in skeleton.joint_names[1:] if not name.startswith("Right")]
    bones = [{"joint": n, "offset_m": np.round(mean[skeleton.index(n)], 4).tolist()} for n in names]
    segments = []
    for segment in load_markers(MARKERS, skeleton).segments:
        shares = [lengths[:, skeleton.index(n)] for n in segment.bones]
        if shares:
            spread = max(float(np.mean(shares, axis=0).std()), LEAST_SPREAD)
            segments.append({"name": segment.name, "among_people": round(spread, 3)})
    return {"bone": bones, "segment": segments}


if __name__ == "__main__":
    main()
