"""How BlazePose errs, measured on rendered people, as a file that synthetic training samples are made with.

    python tools/fit_detector_errors.py --work FOLDER --views 3000            films, detects, fits, writes

Scene after scene is filmed (bodies, clothes, motions, rooms, furniture, lenses, heights, distances, sometimes a second
person), each with four cameras and some moments of a few frames in a row; the pipeline's detector looks at the videos,
and its reports are compared with the exact views. Scenes that lie in FOLDER already are not made again; number n of a
seed is always the same. Takes about half a second a picture on a free core.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomlkit
from scipy.optimize import linear_sum_assignment

from calibration.camera import Camera, Rig
from fit_detector_errors_picture import draw
from mocap.core.keypoints import load_keypoint_set
from mocap.geometry.threads import one_thread
from mocap.io.video import VideoReader
from mocap.models.blazepose import BlazePose
from mocap.models.detector import PersonInImage
from mocap.models.weights import blazepose_weights, sha256_of
from mocap.synthetic.cast import Actor, make_actors
from mocap.synthetic.clocks import FrameClock
from mocap.synthetic.measured_errors import MeasuredErrors
from mocap.synthetic.measured_errors_fit import fit_errors
from mocap.synthetic.measured_views import HEAT_FIELDS, MeasuredViews, heat_statistics
from mocap.synthetic.motions import MOTIONS
from mocap.synthetic.rendering.renderer import RenderConfig
from mocap.synthetic.rigs import RigConfig, make_rig
from mocap.synthetic.shots import Filming, Seen, Shot
from mocap.synthetic.stage_setting import sensor_of, set_stage
from mocap.synthetic.studio import film
from mocap.synthetic.synth_config import LookConfig, PersonConfig, SynthConfig
from mocap.synthetic.torso_frames import torso_axes, torso_views
from mocap.synthetic.true_views import extent

KEYPOINTS = load_keypoint_set("blazepose33")
CAMERAS, MOMENTS, FRAMES, FPS = 4, 6, 4, 30.0
SECONDS = 7.0
SETTLING = 2
"""Looks at the first picture of a moment before one that counts: the region settles, as in a take."""
FARTHEST_MATCH = 0.5
"""Median distance of a report from the person it is taken for, in sizes of the person."""
PICTURES = CAMERAS * MOMENTS * FRAMES
FILE = Path(__file__).resolve().parent.parent / "mocap" / "synthetic" / "measured" / "blazepose.toml"
SIZES = ((1280, 720), (960, 540), (640, 480), (800, 600))


@dataclass(frozen=True, eq=False)
class Scene:
    """What is filmed, and when: times (B · F,) s."""

    config: SynthConfig
    rig: Rig
    actors: tuple[Actor, ...]
    times: np.ndarray


def main() -> None:
    """Film and detect what is missing, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--views", type=int, default=3000, help="pictures, all scenes together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, required=True, help="folder for what was seen in each scene")
    parser.add_argument("--film-only", action="store_true", help="neither fit nor write")
    parser.add_argument("-o", "--output", type=Path, default=FILE)
    parser.add_argument("--picture", type=Path, help="compares measured and sampled errors")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    views = MeasuredViews.joined([seen_in(options, n) for n in range(-(-options.views // PICTURES))])
    if options.film_only:
        return
    found = fit_errors(views, KEYPOINTS, provenance(options))
    options.output.write_text(as_toml(found), encoding="utf-8", newline="\n")
    show(found)
    if options.picture is not None:
        draw(views, found, options.picture)


def seen_in(options: argparse.Namespace, number: int) -> MeasuredViews:
    """What was seen in a scene, filmed if that was not done yet."""
    path = options.work / f"scene_{options.seed}_{number:03d}.npz"
    if not path.exists():
        look_at(make_scene(options.seed, number)).save(path)
        print(path.name, flush=True)
    return MeasuredViews.load(path)


def provenance(options: argparse.Namespace) -> dict[str, Any]:
    """How to make the file again."""
    weights = blazepose_weights(None)
    return {
        "command": f"python tools/fit_detector_errors.py --work FOLDER --views {options.views} --seed {options.seed}",
        "seed": options.seed,
        "person_network": sha256_of(weights.person),
        "landmark_network": sha256_of(weights.landmarks),
    }


def as_toml(found: MeasuredErrors) -> str:
    """The file's text; what its keys mean is in `mocap/synthetic/measured_errors.py`."""
    document = tomlkit.document()
    document.add(tomlkit.comment("How BlazePose errs, measured on rendered people; keys as in measured_errors.py."))
    for key, value in found.to_table().items():
        document.add(key, value)
    return tomlkit.dumps(document)


def show(found: MeasuredErrors) -> None:
    """Print what was found."""
    for part in (found.provenance, found.errors, found.heatmaps):
        print("  ".join(f"{name} {value}" for name, value in part.items()))
    torso = float(found.provenance["torso_mm"])
    print("keypoint: spread visible, hidden by itself, by others, % of size; of a person, mm; of a view, %; along, %;")
    print("mean offset forward, left, up, mm")
    for k, name in enumerate(found.names):
        spread = " ".join(f"{100 * value:5.2f}" for value in found.spread[k])
        lasting = f"{torso * found.person[k]:5.1f} {100 * found.view[k]:5.2f} {100 * found.along[k]:6.1f}"
        offset = " ".join(f"{torso * value:6.1f}" for value in found.mean_offset[k])
        print(f"{name:16s} {spread}  {lasting}  {offset}")


def make_scene(seed: int, number: int) -> Scene:
    """Scene `number` of a seed."""
    rng = np.random.default_rng([seed, 20, number])
    size = SIZES[rng.choice(len(SIZES), p=[0.3, 0.4, 0.15, 0.15])]
    low = rng.uniform(0.4, 1.6)
    wide = rng.uniform(45.0, 75.0)
    radius = rng.uniform(1.15, 2.2) * 1.1 / np.tan(np.deg2rad(wide) / 2) * size[0] / size[1] / 1.6
    people = [_person(rng, (0.0, 0.0))]
    if rng.random() < 0.4:
        away = rng.uniform(0, 2 * np.pi)
        people.append(_person(rng, tuple(rng.uniform(0.6, 1.3) * np.array([np.cos(away), np.sin(away)]))))
    config = SynthConfig(
        seed=100_000 * (seed + 1) + number,
        rig=RigConfig(
            cameras=CAMERAS,
            radius_m=float(np.clip(radius, 2.0, 5.5)),
            heights_m=(low, low + rng.uniform(0.3, 1.8)),
            image_size=size,
            portrait=tuple(int(n) for n in range(CAMERAS) if rng.random() < 0.25),
            fov_deg=(wide, wide + 6.0),
            lens=("distorted", "mixed", "ideal")[rng.integers(3)],
            irregularity=0.4,
        ),
        people=tuple(people),
        look=LookConfig(
            furniture=int(rng.integers(0, 7)),
            exposure_s=float(rng.choice([0.002, 0.006, 0.012])),
            render=RenderConfig(background_rays=1),
        ),
    )
    actors = make_actors(config, SECONDS, Path())
    moments = (np.arange(MOMENTS) + rng.uniform(0.1, 0.8, MOMENTS)) * (SECONDS / MOMENTS)
    times = (moments[:, None] + np.arange(FRAMES) / FPS).ravel()
    return Scene(config, make_rig(config.rig, np.random.default_rng([config.seed, 0])), actors, times)


def _person(rng: np.random.Generator, place: tuple[float, ...]) -> PersonConfig:
    kinds = rng.choice(MOTIONS, 2, replace=False)
    heading = float(rng.uniform(0, 360))
    return PersonConfig(motion="+".join(kinds), position_m=(float(place[0]), float(place[1])), heading_deg=heading)


def look_at(scene: Scene) -> MeasuredViews:
    """Film a scene and detect its people."""
    detector = BlazePose(blazepose_weights(None), max_people=4, keep_heatmaps=True, threads=1)
    with tempfile.TemporaryDirectory() as folder, one_thread():
        shots = [_shot(scene, number, camera, Path(folder)) for number, camera in enumerate(scene.rig)]
        seen = film(set_stage(scene.config, scene.actors, scene.rig), shots, workers=1)
        parts = []
        for shot, what in zip(shots, seen, strict=True):
            with VideoReader(shot.path) as video:
                images = [frame.image for frame in video]
            assert len(images) == len(scene.times), (shot.path, len(images))
            people = _reports(detector, images)
            parts.append(_clips(scene, shot.camera, what, people))
    merged = MeasuredViews.joined(parts)
    scenes = np.concatenate([part.scene for part in parts])
    return MeasuredViews(**{**vars(merged), "scene": scenes})


def _shot(scene: Scene, number: int, camera: Camera, folder: Path) -> Shot:
    n = len(scene.times)
    stamps = np.arange(n) / FPS
    clock = FrameClock(scene.times, stamps, np.zeros(n, bool), np.arange(n), np.zeros(0, np.int64), 0.0, 1.0)
    look = scene.config.look
    filming = Filming(look.exposure_s, look.blur_moments, look.render, scene.config.video)
    return Shot(
        path=folder / f"{camera.name}.mp4",
        camera=camera,
        clock=clock,
        fps=FPS,
        sensor=sensor_of(scene.config, number),
        seed=1000 * scene.config.seed + number,
        filming=filming,
    )


def _reports(detector: BlazePose, images: Sequence[np.ndarray]) -> list[list[PersonInImage]]:
    """The people of every picture; before each moment the detector forgets, then settles."""
    found = []
    for number, image in enumerate(images):
        if number % FRAMES == 0:
            detector.reset()
            for _ in range(SETTLING):
                detector.detect([image], [0])
        found.append(detector.detect([image], [0])[0])
    return found


def _clips(scene: Scene, camera: Camera, seen: Seen, reports: Sequence[list[PersonInImage]]) -> MeasuredViews:
    """One camera's clips, one for each person."""
    columns = [scene.actors[0].body.keypoint_names.index(name) for name in KEYPOINTS.names]
    points = np.stack([actor.keypoints_at(scene.times)[:, columns] for actor in scene.actors], axis=1)
    exact = camera.project(points)
    views = torso_views(
        points, np.broadcast_to(camera.center, (len(points), 1, 3)), KEYPOINTS, lambda p: camera.project(p)[:, :, None]
    )
    assert views is not None
    frames, people = exact.shape[:2]
    arrays = _blank(people, frames)
    for frame, image_reports in enumerate(reports):
        for person, report in _matched(exact[frame], image_reports, arrays["phantoms"]):
            arrays["found"][person, frame] = True
            arrays["xy"][person, frame], arrays["confidence"][person, frame] = report.xy, report.confidence
            assert report.heatmaps is not None
            assert report.px_from_heatmap is not None
            arrays["heat"][person, frame] = heat_statistics(report.heatmaps[: len(KEYPOINTS)])
            arrays["px_from_heatmap"][person, frame] = report.px_from_heatmap
    other = exact[:, ::-1] if people > 1 else np.full_like(exact, np.nan)
    known = {"exact": exact, "other": other, "visibility": seen.visibility[..., columns]}
    known |= {"direction": views.direction[:, :, 0], "px_from_torso": views.px_from_torso[:, :, 0]}
    arrays |= {name: np.moveaxis(value, 0, 1) for name, value in known.items()}
    per_frame = {n: v.reshape(people, MOMENTS, FRAMES, *v.shape[2:]) for n, v in arrays.items() if n != "phantoms"}
    axes = torso_axes(points, KEYPOINTS)[1]
    return MeasuredViews(
        scene=np.arange(people),
        torso_m=np.linalg.norm(axes[..., 2], axis=-1).mean(0),
        image_size=np.tile(camera.intrinsics.image_size, (people, 1)),
        fps=np.full(people, FPS),
        phantoms=arrays["phantoms"],
        **per_frame,
    )


def _blank(people: int, frames: int) -> dict[str, np.ndarray]:
    k = len(KEYPOINTS)
    return {
        "found": np.zeros((people, frames), dtype=bool),
        "xy": np.full((people, frames, k, 2), np.nan),
        "confidence": np.zeros((people, frames, k)),
        "heat": np.full((people, frames, k, len(HEAT_FIELDS)), np.nan, dtype=np.float32),
        "px_from_heatmap": np.full((people, frames, 2, 3), np.nan),
        "phantoms": np.zeros(people, dtype=np.int64),
    }


def _matched(
    exact: np.ndarray, reports: Sequence[PersonInImage], phantoms: np.ndarray
) -> list[tuple[int, PersonInImage]]:
    """Who each report is; reports of nobody are counted with the first person."""
    if not reports:
        return []
    size = np.maximum(extent(exact)[1].max(-1), 1.0)
    xy = np.stack([report.xy for report in reports])
    distance = np.linalg.norm(xy[:, None] - exact, axis=-1)
    enough = np.isfinite(distance).sum(-1) >= 3
    cost = np.where(enough, np.nanmedian(np.where(enough[..., None], distance, 0.0), axis=-1) / size, 10.0)
    rows, columns = linear_sum_assignment(np.nan_to_num(cost, nan=10.0))
    pairs = [(int(p), reports[r]) for r, p in zip(rows, columns, strict=True) if cost[r, p] < FARTHEST_MATCH]
    phantoms[0] += len(reports) - len(pairs)
    return pairs


if __name__ == "__main__":
    main()
