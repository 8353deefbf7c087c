"""Rendered people with exact labels: scenes of all kinds, filmed, and everybody in them cut out.

Every scene has its own bodies, clothes, motions, room, furniture, lamps and cameras; each of its cameras films some
moments through its own lens, sensor and encoder (`mocap.synthetic`). Labels are the exact places of the keypoints on
the body, also of those that something hides. Scene `number` of a seed is always the same.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from calibration.camera import Camera, Rig
from mocap.core.keypoints import load_keypoint_set
from mocap.core.truth import Visibility
from mocap.geometry.threads import one_thread
from mocap.io.artefacts import atomic_path
from mocap.io.session_files import open_take
from mocap.io.truth_file import load_truth
from mocap.io.video import VideoReader
from mocap.io.video_writer import VideoWriterConfig
from mocap.synthetic.cast import Actor, make_actors
from mocap.synthetic.clocks import FrameClock
from mocap.synthetic.motions import MOTIONS
from mocap.synthetic.rendering.renderer import RenderConfig
from mocap.synthetic.rigs import RigConfig, make_rig
from mocap.synthetic.shots import Filming, Shot
from mocap.synthetic.stage_setting import sensor_of, set_stage
from mocap.synthetic.studio import film
from mocap.synthetic.synth_config import LookConfig, PersonConfig, SynthConfig
from mocap.training.datasets.labelled_people import HIDDEN, SEEN, UNLABELLED, box_of
from mocap.training.datasets.pieces import cut_out

KEYPOINTS = "blazepose33"
CAMERAS, MOMENTS = 4, 16
SECONDS = 8.0
FPS = 30.0
SIZES = ((640, 360), (480, 360), (400, 300), (768, 432))
"""Small, since the empty room takes most of the time: people are 100 to 400 px tall in them, crops 128 to 192 px."""
LARGEST_PX = 448
"""Of a person's surroundings: a crop of 160 px of somebody needs no more."""
LEAST_SEEN = 8
"""Keypoints that must be seen of a person."""
LEAST_SIDE_PX = 48.0
"""Of the box around them, longer side."""
FLAGS = {
    Visibility.OUTSIDE: UNLABELLED,
    Visibility.HIDDEN_BY_SELF: HIDDEN,
    Visibility.HIDDEN_BY_OTHER: HIDDEN,
    Visibility.VISIBLE: SEEN,
}


@dataclass(frozen=True, eq=False)
class RenderedScene:
    """What is filmed, and when: times (F,) s."""

    config: SynthConfig
    rig: Rig
    actors: tuple[Actor, ...]
    times: Float[np.ndarray, "F"]


@dataclass(frozen=True, eq=False)
class RenderedPeople:
    """Everybody in a scene's pictures, cut out.

    jpegs: one after the other, `lengths` bytes each. xy: px of the piece, NaN outside the picture. visibility: COCO's
    flags. box: px of the piece, around the keypoints in the picture. place: camera, moment and person of the scene.
    """

    jpegs: UInt8[np.ndarray, "bytes"]
    lengths: Int[np.ndarray, "N"]
    xy: Float[np.ndarray, "N K 2"]
    visibility: Int[np.ndarray, "N K"]
    box: Float[np.ndarray, "N 4"]
    place: Int[np.ndarray, "N 3"]

    def save(self, path: Path) -> None:
        """As a NumPy archive without objects."""
        with atomic_path(path) as unfinished, unfinished.open("wb") as file:
            np.savez(file, **vars(self))


def scene_path(folder: Path, seed: int, number: int) -> Path:
    """Where a scene of a seed lies; takes lie beside as scene_<name>.npz."""
    return folder / f"scene_{seed}_{number:04d}.npz"


def make_scene(seed: int, number: int) -> RenderedScene:
    """Scene `number` of a seed: who, where, how seen."""
    rng = np.random.default_rng([seed, 21, number])
    config = SynthConfig(
        seed=100_000 * (seed + 51) + number,
        rig=_rig(rng),
        people=_people(rng),
        look=LookConfig(
            furniture=int(rng.integers(0, 8)),
            exposure_s=float(rng.choice([0.0, 0.0, 0.006, 0.015])),
            render=RenderConfig(background_rays=1),
        ),
        video=VideoWriterConfig(crf=int(rng.integers(17, 29)), preset="veryfast", threads=1),
    )
    actors = make_actors(config, SECONDS, Path())
    times = (np.arange(MOMENTS) + rng.uniform(0.05, 0.95, MOMENTS)) * (SECONDS / MOMENTS)
    return RenderedScene(config, make_rig(config.rig, np.random.default_rng([config.seed, 0])), actors, times)


def _rig(rng: np.random.Generator) -> RigConfig:
    """Phones, webcams and camcorders, from the floor to under the ceiling, near and far."""
    size = SIZES[rng.choice(len(SIZES), p=[0.35, 0.35, 0.2, 0.1])]
    low, wide = rng.uniform(0.3, 1.8), rng.uniform(45.0, 78.0)
    radius = rng.uniform(0.95, 2.3) * 1.1 / np.tan(np.deg2rad(wide) / 2) * size[0] / size[1] / 1.6
    return RigConfig(
        cameras=CAMERAS,
        radius_m=float(np.clip(radius, 1.5, 6.0)),
        heights_m=(low, low + rng.uniform(0.2, 1.5)),
        target_height_m=float(rng.uniform(0.75, 1.15)),
        image_size=size,
        portrait=tuple(int(n) for n in range(CAMERAS) if rng.random() < 0.3),
        fov_deg=(wide, wide + 6.0),
        lens=("distorted", "mixed", "ideal")[rng.integers(3)],
        irregularity=0.45,
    )


def _people(rng: np.random.Generator) -> tuple[PersonConfig, ...]:
    """One in the middle, and often a second one near by."""
    places = [(0.0, 0.0)]
    if rng.random() < 0.4:
        away, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.3)
        places.append((float(far * np.cos(away)), float(far * np.sin(away))))
    return tuple(
        PersonConfig(
            motion="+".join(rng.choice(MOTIONS, 3, replace=False)),
            position_m=place,
            heading_deg=float(rng.uniform(0, 360)),
        )
        for place in places
    )


def render_people(scene: RenderedScene) -> RenderedPeople:
    """Film a scene, and cut out whoever can be recognised."""
    columns = [scene.actors[0].body.keypoint_names.index(name) for name in load_keypoint_set(KEYPOINTS).names]
    points = np.stack([actor.keypoints_at(scene.times)[:, columns] for actor in scene.actors], axis=1)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, one_thread():
        shots = [_shot(scene, number, camera, Path(folder)) for number, camera in enumerate(scene.rig)]
        seen = film(set_stage(scene.config, scene.actors, scene.rig), shots, workers=1)
        for camera, (shot, what) in enumerate(zip(shots, seen, strict=True)):
            xy, flags = _labels(shot.camera.project(points), what.visibility[..., columns])
            with VideoReader(shot.path) as video:
                for moment, frame in enumerate(video):
                    rows += _cut(frame.image, xy[moment], flags[moment], (camera, moment))
    return _joined(rows, len(columns))


def people_of_take(folder: Path, *, every: int = 6) -> RenderedPeople:
    """Everybody in every n-th frame of a rendered take whose truth lies beside its videos (`mocap synth`)."""
    take, truth = open_take(folder), load_truth(folder / "truth.npz")
    columns = truth.columns(load_keypoint_set(KEYPOINTS).names)
    rows: list[dict[str, Any]] = []
    for camera, view in enumerate(truth.views):
        xy, flags = _labels(view.xy[:, :, columns], view.visibility[..., columns])
        with VideoReader(take.videos[view.camera], rotation=take.rotations.get(view.camera, 0)) as video:
            for frame in video:
                if frame.index % every == 0:
                    rows += _cut(frame.image, xy[frame.index], flags[frame.index], (camera, frame.index))
    return _joined(rows, len(columns))


def _labels(
    xy: Float[np.ndarray, "F P K 2"], visibility: Int[np.ndarray, "F P K"]
) -> tuple[Float[np.ndarray, "F P K 2"], Int[np.ndarray, "F P K"]]:
    """Places, NaN outside the picture, and COCO's flags."""
    flags = np.vectorize(FLAGS.__getitem__, otypes=[np.int64])(visibility)
    return np.where(flags[..., None] == UNLABELLED, np.nan, xy), flags


def _shot(scene: RenderedScene, number: int, camera: Camera, folder: Path) -> Shot:
    n = len(scene.times)
    clock = FrameClock(
        scene.times, np.arange(n) / FPS, np.zeros(n, bool), np.arange(n), np.zeros(0, np.int64), 0.0, 1.0
    )
    look = scene.config.look
    return Shot(
        path=folder / f"{camera.name}.mp4",
        camera=camera,
        clock=clock,
        fps=FPS,
        sensor=sensor_of(scene.config, number),
        seed=1000 * scene.config.seed + number,
        filming=Filming(look.exposure_s, look.blur_moments, look.render, scene.config.video),
    )


def _cut(image: np.ndarray, xy: np.ndarray, flags: np.ndarray, place: tuple[int, int]) -> list[dict[str, Any]]:
    """The people of one picture; xy (P, K, 2), flags (P, K)."""
    rows = []
    for person in np.flatnonzero((flags == SEEN).sum(-1) >= LEAST_SEEN):
        box = box_of(xy[person])
        if (box[2:] - box[:2]).max() < LEAST_SIDE_PX:
            continue
        piece = cut_out(image, box, LARGEST_PX)
        row = {"jpeg": piece.jpeg, "xy": piece.here(xy[person]), "visibility": flags[person]}
        rows.append(row | {"box": piece.here(box.reshape(2, 2)).ravel(), "place": (*place, int(person))})
    return rows


def _joined(rows: list[dict[str, Any]], keypoints: int) -> RenderedPeople:
    n = len(rows)
    return RenderedPeople(
        jpegs=np.frombuffer(b"".join(row["jpeg"] for row in rows), np.uint8),
        lengths=np.array([len(row["jpeg"]) for row in rows], np.int64),
        xy=np.array([row["xy"] for row in rows], np.float64).reshape(n, keypoints, 2),
        visibility=np.array([row["visibility"] for row in rows], np.int64).reshape(n, keypoints),
        box=np.array([row["box"] for row in rows], np.float64).reshape(n, 4),
        place=np.array([row["place"] for row in rows], np.int64).reshape(n, 3),
    )
