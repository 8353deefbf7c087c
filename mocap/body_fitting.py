"""Bodies fitted to a processed take, and the files of them: from the artefacts of its stages to what a user opens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from calibration.formats import read_calibration
from mocap.core.body_motion import BodyMotion
from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.geometry.marker_views import SeenInViews
from mocap.io import artefacts
from mocap.io.artefacts import write_text_atomic
from mocap.io.body_files import MESH_FORMATS, save_body_motion, write_meshes
from mocap.io.video_fit import rig_of_cameras
from mocap.models.body_family import BodyFamily
from mocap.models.body_skin import skinned_mesh
from mocap.pipeline import PipelineConfig, TakeJob, prepare
from mocap.stages.export import ExportConfig, export
from mocap.stages.fit_body import FitBodyConfig, FitBodyReport, body_family, fit_body

FRAMES_AT_ONCE = 64
"""Of the skin, in memory."""


@dataclass(frozen=True)
class FittedTake:
    """What was fitted, and the files that hold it (a sequence of meshes by its first)."""

    report: FitBodyReport
    files: tuple[Path, ...]


def fit_take(job: TakeJob, config: FitBodyConfig, formats: Sequence[str]) -> FittedTake:
    """Fit a take that `mocap process` has been through. formats: of `export` (bodies with their skin where a format
    holds any), and "ply" or "obj" for the skin as one mesh a frame; the AMASS-style .npz is always written."""
    family = body_family(config)
    folder, name = job.folders.export, f"{job.take.name}_body"
    export_config = ExportConfig(formats=tuple(f for f in formats if f not in MESH_FORMATS))
    points = artefacts.load_keypoints3d(_artefact(job, "smooth"))
    bodies, report = fit_body(points, family, config, seen=_seen(job) if config.views else None)
    files = []
    for body in bodies:
        path = folder / (f"{name}.npz" if len(bodies) == 1 else f"{name}_{body.motion.person}.npz")
        save_body_motion(body, path)
        files += [path, *_meshes(body, family, path, formats)]
    if export_config.formats:
        skins = [skinned_mesh(f"{body.motion.person}_{body.model}", family.mesh(body.shape)) for body in bodies]
        files += export([body.motion for body in bodies], folder, name, export_config, skins=skins)[0]
    write_text_atomic(folder / f"{name}_report.json", report.model_dump_json(indent=2) + "\n")
    return FittedTake(report, tuple(files))


def _artefact(job: TakeJob, stage: str) -> Path:
    path = job.folders.derived / f"{stage}.h5"
    if not path.is_file():
        raise InputError("has not been processed", where=job.take.root, remedy="Run mocap process on it first.")
    return path


def _seen(job: TakeJob) -> SeenInViews:
    """What the cameras saw, with left and right repaired where the pipeline has done so."""
    repaired = job.folders.derived / "repair.h5"
    points = artefacts.load_keypoints2d(repaired if repaired.is_file() else _artefact(job, "associate"))
    if job.take.videos:
        return SeenInViews(points, prepare(job, PipelineConfig()).rig)
    rig, _, _ = rig_of_cameras(read_calibration(job.rig_path), job.take.cameras, {})
    return SeenInViews(points, rig)


def _meshes(body: BodyMotion, family: BodyFamily, path: Path, formats: Sequence[str]) -> list[Path]:
    """The first mesh of each sequence."""
    first = []
    for kind in MESH_FORMATS:
        if kind in formats:
            frames = (frame for part in _parts(body) for frame in family.posed(body.shape, part))
            stem = path.with_suffix("") / path.stem
            first += write_meshes(frames, family.mesh(body.shape).faces, stem, kind)[:1]
    return first


def _parts(body: BodyMotion) -> Iterator[Motion]:
    """The motion in pieces whose skins fit into memory."""
    motion = body.motion
    for begin in range(0, motion.n_frames, FRAMES_AT_ONCE):
        rows = slice(begin, begin + FRAMES_AT_ONCE)
        yield replace(
            motion, root_translation=motion.root_translation[rows], local_rotations=motion.local_rotations[rows]
        )
