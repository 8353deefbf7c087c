"""The order of the stages and nothing else that they do: a take and a rig in, motions and files out.

Every result lies under `derived/` with a key: the hash of its inputs, its configuration and its source code. What has
the right key is not made again, so a second run does nothing and a killed run goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from calibration.camera import Rig
from calibration.formats import read_calibration
from mocap.core.config import Config, Report
from mocap.core.errors import FileFormatError, InputError
from mocap.core.heatmaps import HeatmapSource
from mocap.core.keypoints import Detections2D, Keypoints2D, Keypoints3D
from mocap.core.motion import Motion
from mocap.core.session import Take
from mocap.core.skeleton import load_skeleton
from mocap.exported_files import exported_files
from mocap.geometry.marker_views import SeenInViews
from mocap.io import artefacts
from mocap.io.artefacts import remove_leftovers
from mocap.io.subject_heatmaps import OriginalFrames, SubjectHeatmaps, original_frames
from mocap.io.take_times import take_times
from mocap.io.take_videos import probe_take
from mocap.io.video import VideoInfo
from mocap.io.video_fit import VideoFitConfig, VideoFitReport, fit_rig_to_videos, rig_of_cameras
from mocap.models.learned_triangulation import require_weights, weights_key
from mocap.provenance import combine, config_key, files_key, rig_key, source_key
from mocap.segmented_detection import forget_parts
from mocap.stage_cache import CachedStage, Codec, Observer, SilentObserver
from mocap.stages.align import AlignConfig, align, aligned_sources, cut_to_frames
from mocap.stages.associate import AssociateConfig, associate
from mocap.stages.detect import DetectConfig
from mocap.stages.export import FORMATS, ExportConfig, export
from mocap.stages.feet import FeetConfig, settle_feet, standing_points
from mocap.stages.repair import RepairConfig, repair
from mocap.stages.smooth import SmoothConfig, smooth
from mocap.stages.solve import SolveConfig, solve
from mocap.stages.triangulate import Evidence, TriangulateConfig, triangulate
from mocap.take_detection import DETECTIONS, TakeDetection
from mocap.take_report import key_figures, told_by, write_take_report

STAGES = ("detect", "align", "associate", "repair", "triangulate", "smooth", "solve", "feet", "export")

KEYPOINTS_2D = Codec(artefacts.save_keypoints2d, artefacts.load_keypoints2d, artefacts.read_key)
KEYPOINTS_3D = Codec(artefacts.save_keypoints3d, artefacts.load_keypoints3d, artefacts.read_key)
MOTIONS = Codec(artefacts.save_motions, artefacts.load_motions, artefacts.read_key)


class PipelineConfig(Config):
    """One section per stage; the files in `configs/pipeline/` hold values of it."""

    video: VideoFitConfig = VideoFitConfig()
    detect: DetectConfig = DetectConfig()
    align: AlignConfig = AlignConfig()
    associate: AssociateConfig = AssociateConfig()
    repair: RepairConfig = RepairConfig()
    triangulate: TriangulateConfig = TriangulateConfig()
    smooth: SmoothConfig = SmoothConfig()
    solve: SolveConfig = SolveConfig()
    feet: FeetConfig = FeetConfig()
    export: ExportConfig = ExportConfig()


@dataclass(frozen=True)
class TakeFolders:
    """Where a take's results go: stage artefacts, and what the user opens."""

    derived: Path
    export: Path


@dataclass(frozen=True, eq=False)
class TakeJob:
    """A take, the calibration that belongs to it, and where its results go."""

    take: Take
    rig_path: Path
    folders: TakeFolders

    @property
    def label(self) -> str:
        """Session and take, as people tell takes apart."""
        root = self.take.session_root
        return self.take.name if root is None else f"{root.resolve().name}/{self.take.name}"


@dataclass(frozen=True)
class TakeResult:
    """What became of a take. `ran` are the stages that had to run; `figures` the numbers that tell whether it is good.

    `notes` are sentences about what the user should know: damaged frames, views left out, parts never seen.
    """

    take: str
    files: tuple[Path, ...]
    report_path: Path
    ran: tuple[str, ...]
    seconds: float
    figures: Mapping[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A take that can be run: the rig in the pixels of its videos, one frame rate, what is odd about them."""

    rig: Rig
    fps: float
    infos: Mapping[str, VideoInfo]
    notes: tuple[str, ...]


def prepare(job: TakeJob, config: PipelineConfig) -> Prepared:
    """Check that videos, or imported 2D results, and calibration belong together. Raises a sentence where not."""
    rig = read_calibration(job.rig_path)
    take = job.take
    if take.videos:
        videos = probe_take(take, config.align.fps)
        fitted, report = fit_rig_to_videos(rig, videos.infos, config.video)
        return Prepared(fitted, videos.fps, videos.infos, (*videos.notes, *report.sentences, *_few(fitted)))
    if take.fps is None:
        raise InputError(
            "2D results without videos do not say how many frames a second they have",
            where=take.root,
            remedy='Write "[take]\\nfps = 30" in take.toml there.',
        )
    named, renamed, unused = rig_of_cameras(rig, take.cameras, config.video.names)
    report = VideoFitReport(renamed=renamed, adapted={}, unused=unused)
    return Prepared(named, take.fps, {}, (*take.notes, *report.sentences, *_few(named)))


def _few(cameras: Rig) -> tuple[str, ...]:
    if len(cameras) > 2:
        return ()
    return ("two cameras only: what one does not see is lost, and no third can tell which of them is wrong",)


def process_take(
    job: TakeJob,
    config: PipelineConfig,
    *,
    threads: int = 0,
    force: bool = False,
    observer: Observer | None = None,
) -> TakeResult:
    """Run what has to be run, from videos (or imported 2D results) to files.

    `threads` = 0 uses every core; it does not change the results. `force` runs every stage again.
    """
    start = time.perf_counter()
    require_weights(config.triangulate.method, config.triangulate.learned)
    prepared = prepare(job, config)
    remove_leftovers(job.folders.derived, job.folders.export)
    run = _Run(job, prepared, config, threads, observer or SilentObserver())
    stages = run.stages()
    if force:
        forget_parts(job.folders.derived)
        for stage in stages:
            stage.report_path.unlink(missing_ok=True)
    run.look_again_for_heatmaps(stages)
    names: list[str] = _get(stages, job.take)
    forget_parts(job.folders.derived)
    reports = {stage.name: stage.report() for stage in stages}
    result = TakeResult(
        take=job.take.name,
        files=tuple(job.folders.export / name for name in names),
        report_path=job.folders.export / f"{job.take.name}_report.json",
        ran=tuple(stage.name for stage in stages if stage.ran),
        seconds=time.perf_counter() - start,
        figures=key_figures(reports, n_cameras=len(prepared.rig), fps=prepared.fps),
        notes=(*prepared.notes, *told_by(reports)),
    )
    if result.ran or not result.report_path.is_file():
        write_take_report(
            result.report_path,
            take=result.take,
            files=names,
            figures=result.figures,
            notes=result.notes,
            reports=reports,
        )
    return result


@dataclass(frozen=True, eq=False)
class AssociatedTake:
    """A take before triangulation: what its cameras saw of the subject, and the rig in the pixels of its videos."""

    points: Keypoints2D
    rig: Rig
    heatmaps: HeatmapSource | None


@contextmanager
def associated_take(
    job: TakeJob, config: PipelineConfig, *, threads: int = 0, observer: Observer | None = None
) -> Iterator[AssociatedTake]:
    """Run what has to be run up to the association; heatmaps can be read inside the block, where the configured method
    wants them and the detector has them."""
    run = _Run(job, prepare(job, config), config, threads, observer or SilentObserver())
    stages = run.stages()[: STAGES.index("associate") + 1]
    if run.wants_heatmaps and not run.has_heatmaps(stages[0]):
        stages[0].report_path.unlink(missing_ok=True)
    points: Keypoints2D = _get(stages, job.take)
    forget_parts(job.folders.derived)
    with run.heatmaps(points, stages) as heatmaps:
        yield AssociatedTake(points, run.prepared.rig, heatmaps)


def _get(stages: Sequence[CachedStage[Any]], take: Take) -> Any:
    """What the last of these stages made, with the reports of all. Stages know no files: their complaints get the
    take's name."""
    try:
        for stage in stages:
            if not stage.is_reported():
                stage.get()
        return stages[-1].get()
    except InputError as error:
        if error.where is not None:
            raise
        raise type(error)(error.what, where=take.root, remedy=error.remedy) from error


@dataclass(frozen=True, eq=False)
class _Run:
    """One run of one take: builds the chain of its stages, each with the key of all that goes into it."""

    job: TakeJob
    prepared: Prepared
    config: PipelineConfig
    threads: int
    observer: Observer

    def stages(self) -> list[CachedStage[Any]]:
        """From the first to the last; getting the last one's value runs what has to be run."""
        rig, fps, config = self.prepared.rig, self.prepared.fps, self.config
        space = combine(rig_key(rig), repr(fps))
        detected = self.detected()
        aligned = self._stage("align", DETECTIONS, self._align, detected, self._times_key())
        associated = self._stage(
            "associate", KEYPOINTS_2D, lambda found: associate(found, rig, config.associate, fps=fps), aligned, space
        )
        repaired = self._stage("repair", KEYPOINTS_2D, lambda seen: repair(seen, rig, config.repair), associated)
        triangulated = self._stage(
            "triangulate",
            KEYPOINTS_3D,
            lambda points: self._triangulate(points, (detected, aligned)),
            repaired,
            self._learned_key(),
        )
        smoothed = self._stage("smooth", KEYPOINTS_3D, lambda points: smooth(points, config.smooth), triangulated)
        feet = combine(config_key(config.feet), source_key("mocap.stages.feet"))
        solved = self._stage("solve", MOTIONS, lambda points: self._solve(points, repaired), smoothed, feet)
        files, name = exported_files(self.job.folders.export), self.job.take.name
        settled = self._stage("feet", MOTIONS, lambda motions: settle_feet(motions, config.feet), solved)
        exported = self._stage("export", files, lambda moved: self._export(moved, smoothed), settled, name)
        return [detected, aligned, associated, repaired, triangulated, smoothed, solved, settled, exported]

    def detected(self) -> CachedStage[Any]:
        """The first stage, which keeps heatmaps where they are wanted."""
        config = self.config.detect.model_copy(update={"keep_heatmaps": self.wants_heatmaps})
        job = self.job
        return TakeDetection(
            job.take, job.folders.derived, config, self.prepared.infos, self.threads, self.observer
        ).stage()

    def _stage(
        self,
        name: str,
        codec: Codec[Any],
        make: Callable[[Any], tuple[Any, Report]],
        parent: CachedStage[Any],
        inputs: str = "",
    ) -> CachedStage[Any]:
        values = config_key(getattr(self.config, name))
        key = combine(name, parent.key, inputs, values, source_key(f"mocap.stages.{name}"))
        path = self.job.folders.derived / (f"{name}.h5" if name != "export" else "export.manifest")
        return CachedStage(name, key, path, codec, make, self.observer, parent)

    @property
    def wants_heatmaps(self) -> bool:
        """Whether heatmaps are to be kept, where the detector can give them: asked for, or needed by the method."""
        looked_at = bool(self.job.take.videos) and self.config.detect.detector != "imported"
        return looked_at and (self.config.detect.keep_heatmaps or self.config.triangulate.reads_heatmaps)

    def has_heatmaps(self, detected: CachedStage[Any]) -> bool:
        """Whether those that belong to the detections on disk are all there."""
        files = list((self.job.folders.derived / "heatmaps").glob("[0-9]*.h5"))
        kept = detected.is_reported() and detected.report().get("heatmaps", False)
        return kept and bool(files) and all(artefacts.read_key(file) == detected.key for file in files)

    def look_again_for_heatmaps(self, stages: Sequence[CachedStage[Any]]) -> None:
        """Have the videos looked at again where a stage that has to run needs heatmaps that were not kept."""
        detected, triangulated = stages[0], stages[STAGES.index("triangulate")]
        needed = self.config.detect.keep_heatmaps or not triangulated.is_reported()
        if self.wants_heatmaps and needed and not self.has_heatmaps(detected):
            detected.report_path.unlink(missing_ok=True)

    @contextmanager
    def heatmaps(self, points: Keypoints2D, stages: Sequence[CachedStage[Any]]) -> Iterator[HeatmapSource | None]:
        """Those of the people in `points`; None where the method reads none, or none were kept. Views in which left and
        right were put back have none: theirs are still exchanged."""
        detected, aligned = stages[:2]
        if not (self.wants_heatmaps and self.config.triangulate.reads_heatmaps and self.has_heatmaps(detected)):
            yield None
            return
        found, moved = detected.get(), aligned.get()
        try:
            places = self._original_frames(found, moved)
            source = SubjectHeatmaps(self.job.folders.derived / "heatmaps", points, moved, places)
        except FileFormatError:  # a network without any
            yield None
            return
        with source:
            yield source

    def _original_frames(self, found: Detections2D, aligned: Detections2D) -> OriginalFrames | None:
        """Where aligned people were seen; None where frames are taken as they are counted."""
        times = take_times(self.job.take, self.prepared.infos, n_frames=found.n_frames)
        if times is None:
            return None
        source = aligned_sources(found, times, self.config.align, fps=self.prepared.fps)
        return original_frames(aligned, found, source)

    def _learned_key(self) -> str:
        """What a learned method's points depend on besides the code: its weights."""
        config = self.config.triangulate
        return weights_key(config.method, config.learned)

    def _triangulate(self, points: Keypoints2D, stages: Sequence[CachedStage[Any]]) -> tuple[Keypoints3D, Report]:
        with self.heatmaps(points, stages) as heatmaps:
            told = Evidence(heatmaps, progress=lambda done, total: self.observer.progressed("triangulate", done, total))
            return triangulate(points, self.prepared.rig, self.config.triangulate, told)

    def _solve(self, points: Keypoints3D, associated: CachedStage[Keypoints2D]) -> tuple[tuple[Motion, ...], Report]:
        """From what the views show; its key holds them and the rig, through the stages between."""
        views = SeenInViews(associated.get(), self.prepared.rig)
        standing = partial(standing_points, config=self.config.feet)
        return solve(points, load_skeleton(), self.config.solve, views, standing=standing)

    def _times_key(self) -> str:
        """What the common times depend on, beside the videos."""
        take = self.job.take
        clocks = {n: (clock.offset_s, clock.rate, repr(take.faults.get(n))) for n, clock in take.clocks.items()}
        stamps = {} if take.timestamps is None or not clocks else {"timestamps": take.timestamps}
        code = source_key("mocap.io.take_times") if clocks else ""
        return combine(repr(self.prepared.fps), json.dumps(clocks, sort_keys=True), files_key(stamps), code)

    def _align(self, found: Detections2D) -> tuple[Detections2D, Report]:
        """On the clock that the cameras share; where they share none, frame by frame."""
        infos = self.prepared.infos
        times = take_times(self.job.take, infos, n_frames=found.n_frames)
        if times is None:
            return cut_to_frames(found, {name: info.n_frames for name, info in infos.items()})
        return align(found, times, self.config.align, fps=self.prepared.fps)

    def _export(self, motions: tuple[Motion, ...], smoothed: CachedStage[Keypoints3D]) -> tuple[list[str], Report]:
        points_wanted = any(FORMATS[name].holds == "points" for name in self.config.export.formats)
        points = smoothed.get() if points_wanted else None
        folder, name = self.job.folders.export, self.job.take.name
        paths, report = export(motions, folder, name, self.config.export, points=points)
        return [path.name for path in paths], report
