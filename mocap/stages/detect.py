"""From the videos of a take to the people in every image.

Videos stream: each is decoded in a thread of its own while the networks work on earlier frames, a few pictures wait
per camera, and nothing is kept but the keypoints.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import Field

from mocap.core.config import Config, Report
from mocap.core.errors import ConfigError, InputError, NoPersonError
from mocap.core.keypoints import Detections2D, KeypointSet
from mocap.core.session import Take
from mocap.io.detections_import import ImportConfig, import_detections
from mocap.io.video import SynchronizedReport, VideoInfo, WholeTakeReader, probe_video
from mocap.models.blazepose import BlazePose, BlazePoseConfig
from mocap.models.detector import Detector2D, PersonInImage
from mocap.models.mobile_config import MobileDetectorConfig
from mocap.models.onnx_detector import OnnxConfig, OnnxDetector
from mocap.models.weights import BLAZEPOSE, BlazePoseWeights, blazepose_weights, is_fetched

log = logging.getLogger("mocap")
SETTLING_FRAMES = 4
"""Points of a person who was just found lie 3 to 10 px from those of one who was followed, for about three frames."""

Progress = Callable[[int, int], None]


class DetectConfig(Config):
    """Which detector looks at the images, and how.

    weights: a folder or `.task` bundle with the networks of BlazePose; none takes them from the cache or fetches them.
    onnx: the two networks behind detector "onnx", by path. mobile: how detector "mobile" is run, a small network that
    was trained on rendered people alone. detector "imported" takes the 2D results that lie with the
    take instead of looking at its videos. max_people: at most so many people per image, the largest. segment_frames:
    tracks begin anew after so many frames, and what is finished is put aside: neither memory nor what a killed run
    loses grow with the take. keep_heatmaps: also keep what the keypoints were taken from, for later stages (see
    `io/heatmap_file.py`; 0.1 to 0.3 MB a person and picture).
    """

    detector: Literal["blazepose", "mobile", "onnx", "imported"] = "blazepose"
    max_people: Annotated[int, Field(ge=1)] = 4
    segment_frames: Annotated[int, Field(ge=1)] = 600
    keep_heatmaps: bool = False
    weights: Path | None = None
    blazepose: BlazePoseConfig = BlazePoseConfig()
    mobile: MobileDetectorConfig = MobileDetectorConfig()
    onnx: OnnxConfig | None = None
    imported: ImportConfig = ImportConfig()


@runtime_checkable
class HeatmapSink(Protocol):
    """Where heatmaps go, one person in one image at a time."""

    def write(self, place: tuple[int, int, int], heatmaps: np.ndarray, px_from_heatmap: np.ndarray) -> None:
        """place: frame, index of the camera, track. heatmaps: (K, H, W). px_from_heatmap: (2, 3) affine."""
        ...


class NetworkReport(Report):
    """A network that took part."""

    name: str
    sha256: str
    runtime: str


class CameraDetections(Report):
    """One camera: pictures that were decoded, people found in all of them together, different people (tracks), and
    pictures with nobody in them.
    """

    frames: int
    people: int
    tracks: int
    empty_frames: int

    @classmethod
    def joined(cls, parts: Sequence[CameraDetections]) -> CameraDetections:
        """Sums: no track goes on from one part to the next."""
        return cls(**{name: sum(getattr(part, name) for part in parts) for name in cls.model_fields})


class DetectReport(Report):
    """What looking at the images came to.

    videos: what decoding them came to; None for imported results. ms_per_camera_frame: wall time by step; `waiting` is
    for pictures to be decoded, which else goes on beside the networks; empty for imported results. heatmaps: whether
    they were kept. sentences: what the user should know.
    """

    detector: str
    networks: tuple[NetworkReport, ...] = ()
    n_frames: int
    cameras: dict[str, CameraDetections]
    videos: SynchronizedReport | None = None
    ms_per_camera_frame: dict[str, float] = Field(default_factory=dict)
    heatmaps: bool = False
    sentences: tuple[str, ...] = ()

    @classmethod
    def joined(cls, parts: Sequence[DetectReport]) -> DetectReport:
        """Of ranges of one take's videos that follow each other, one report."""
        weights = [sum(camera.frames for camera in part.cameras.values()) for part in parts]
        steps = parts[0].ms_per_camera_frame
        spent = {n: sum(w * p.ms_per_camera_frame[n] for w, p in zip(weights, parts, strict=True)) for n in steps}
        cameras = {name: CameraDetections.joined([part.cameras[name] for part in parts]) for name in parts[0].cameras}
        videos = SynchronizedReport.joined([part.videos for part in parts if part.videos is not None])
        return parts[0].model_copy(
            update={
                "n_frames": sum(part.n_frames for part in parts),
                "cameras": cameras,
                "videos": videos,
                "ms_per_camera_frame": {name: round(ms / max(1, sum(weights)), 3) for name, ms in spent.items()},
                "heatmaps": all(part.heatmaps for part in parts),
                "sentences": (*videos.sentences, *_sentences(cameras)),
            }
        )


def detect_take(
    take: Take,
    config: DetectConfig,
    *,
    threads: int = 0,
    heatmaps: HeatmapSink | None = None,
    progress: Progress | None = None,
) -> tuple[Detections2D, DetectReport]:
    """The people of a take in one go: found in its videos, or imported where it has none or where that is asked for.

    `threads` = 0 uses every core; results do not depend on it. `progress` gets (done, total) frames, and megabytes
    while networks are fetched. Memory grows with the take; `segmented_detection` sees to that.
    """
    if config.detector == "imported" or not take.videos:
        return import_take(take, config)
    detector = make_detector(config, threads=threads, progress=progress)
    detections, report = detect(take, detector, heatmaps=heatmaps, progress=progress)
    require_somebody(detections, take)
    return detections, report


def make_detector(config: DetectConfig, *, threads: int = 0, progress: Progress | None = None) -> Detector2D:
    """The detector that the configuration names, its networks loaded (and fetched where that is needed).

    `threads` = 0 uses every core; results do not depend on it. `progress` gets megabytes while networks are fetched.
    """
    if config.detector == "imported":
        raise ConfigError("imported 2D results need no detector", where="detect.detector")
    if config.detector == "onnx":
        return OnnxDetector(
            _required(config.onnx), max_people=config.max_people, keep_heatmaps=config.keep_heatmaps, threads=threads
        )
    if config.detector == "mobile":
        from mocap.models.mobile_detector import MobileDetector  # torch, which other detectors do without

        return MobileDetector(
            _fetched_weights(config.weights, progress),
            config.mobile,
            max_people=config.max_people,
            keep_heatmaps=config.keep_heatmaps,
            threads=threads,
        )
    return BlazePose(
        _fetched_weights(config.weights, progress),
        config.blazepose,
        max_people=config.max_people,
        keep_heatmaps=config.keep_heatmaps,
        threads=threads,
    )


def detect(
    take: Take,
    detector: Detector2D,
    *,
    infos: Mapping[str, VideoInfo] | None = None,
    span: range | None = None,
    heatmaps: HeatmapSink | None = None,
    progress: Progress | None = None,
) -> tuple[Detections2D, DetectReport]:
    """People in every image of the take's videos, frame by frame over all cameras, to the end of the longest.

    `span` limits it to some frames (a range of step 1), which the report is then about; tracks begin anew there, with
    the `SETTLING_FRAMES` before it looked at but not kept.
    """
    detector.reset()
    if span is not None and span.start > 0:
        _settle(detector, take, infos, span.start)
    rows = _Rows(tuple(take.videos), detector.keypoint_set)
    before, started, waited = detector.seconds, time.perf_counter(), 0.0
    start, stop = (0, None) if span is None else (span.start, span.stop)
    with WholeTakeReader(take.videos, rotations=take.rotations, infos=infos, start=start, stop=stop) as reader:
        frames = iter(reader)
        while True:
            asked = time.perf_counter()
            item = next(frames, None)
            waited += time.perf_counter() - asked
            if item is None:
                break
            index, images = item
            given = {camera: image for camera, image in enumerate(images.values()) if image is not None}
            found = detector.detect(list(given.values()), list(given))
            for camera, people in zip(given, found, strict=True):
                _keep_heatmaps(heatmaps, index, camera, people)
                rows.add(index, camera, people)
            if progress is not None:
                progress(index + 1, reader.n_frames)
    elapsed = time.perf_counter() - started
    steps = {name: spent - before.get(name, 0.0) for name, spent in detector.seconds.items()}
    assert reader.report is not None
    return rows.detections(reader.n_frames), DetectReport(
        detector=type(detector).__name__,
        networks=tuple(NetworkReport(name=n.name, sha256=n.sha256, runtime=n.runtime) for n in detector.networks),
        n_frames=len(reader),
        cameras=rows.report(),
        videos=reader.report,
        ms_per_camera_frame=_ms_each(steps | {"waiting": waited, "total": elapsed}, rows.n_pictures),
        heatmaps=heatmaps is not None,
        sentences=(*reader.report.sentences, *_sentences(rows.report())),
    )


def _settle(detector: Detector2D, take: Take, infos: Mapping[str, VideoInfo] | None, start: int) -> None:
    """Let the detector follow people into frame `start`."""
    first = max(0, start - SETTLING_FRAMES)
    with WholeTakeReader(take.videos, rotations=take.rotations, infos=infos, start=first, stop=start) as reader:
        for _, images in reader:
            given = {camera: image for camera, image in enumerate(images.values()) if image is not None}
            detector.detect(list(given.values()), list(given))


def import_take(take: Take, config: DetectConfig) -> tuple[Detections2D, DetectReport]:
    """The 2D results that another program found in the take."""
    if take.detections is None:
        raise InputError(
            "the take has no 2D results to import", where=take.root, remedy="Put them into its detections/ folder."
        )
    n_frames = max((probe_video(path).n_frames for path in take.videos.values()), default=None)
    detections = import_detections(take.detections, take.cameras, n_frames=n_frames, config=config.imported)
    require_somebody(detections, take)
    cameras = imported_report(detections)
    return detections, DetectReport(
        detector="imported", n_frames=detections.n_frames, cameras=cameras, sentences=_sentences(cameras)
    )


def require_somebody(detections: Detections2D, take: Take) -> None:
    """Raise NoPersonError for a take without a person."""
    if not len(detections):
        raise NoPersonError(
            f"nobody was found in any of the {detections.n_frames} frames of {', '.join(detections.cameras)}",
            where=take.root,
            remedy="Check that the videos are upright and show a person; `rotation` in session.toml turns them.",
        )


def imported_report(detections: Detections2D) -> dict[str, CameraDetections]:
    """Counts per camera, every frame taken as looked at."""
    counts = {}
    for index, name in enumerate(detections.cameras):
        own = detections.camera == index
        tracks = np.unique(detections.track[own])
        counts[name] = CameraDetections(
            frames=detections.n_frames,
            people=int(own.sum()),
            tracks=int((tracks >= 0).sum()),
            empty_frames=detections.n_frames - len(np.unique(detections.frame[own])),
        )
    return counts


def _required(config: OnnxConfig | None) -> OnnxConfig:
    if config is None:
        raise ConfigError(
            'detector "onnx" needs two networks',
            where="detect.onnx",
            remedy="Name their files with --set detect.onnx.person=FILE --set detect.onnx.pose=FILE.",
        )
    return config


def _fetched_weights(given: Path | None, progress: Progress | None) -> BlazePoseWeights:
    if given is None and not is_fetched(BLAZEPOSE):
        log.info("Fetching the networks of BlazePose (%d MB, once) …", BLAZEPOSE.wheel_bytes // 1_000_000)
    in_megabytes = None if progress is None else lambda done, total: progress(done // 1_000_000, total // 1_000_000)
    return blazepose_weights(given, in_megabytes)


def _keep_heatmaps(sink: HeatmapSink | None, frame: int, camera: int, people: list[PersonInImage]) -> None:
    for person in people:
        if sink is not None and person.heatmaps is not None and person.px_from_heatmap is not None:
            sink.write((frame, camera, person.track), person.heatmaps, person.px_from_heatmap)


def _ms_each(seconds: Mapping[str, float], count: int) -> dict[str, float]:
    return {name: round(1000 * spent / max(1, count), 3) for name, spent in seconds.items()}


def _sentences(cameras: Mapping[str, CameraDetections]) -> tuple[str, ...]:
    return tuple(
        f"{name}: nobody was found in {counts.empty_frames} of {counts.frames} frames"
        for name, counts in cameras.items()
        if counts.empty_frames
    )


class _Rows:
    """Collects people as rows of Detections2D."""

    def __init__(self, cameras: tuple[str, ...], keypoint_set: KeypointSet) -> None:
        self._cameras, self._keypoint_set = cameras, keypoint_set
        self._places: list[tuple[int, int]] = []
        self._people: list[PersonInImage] = []
        self._looked = np.zeros(len(cameras), dtype=np.int64)
        self._empty = np.zeros(len(cameras), dtype=np.int64)

    @property
    def n_pictures(self) -> int:
        """That were looked at, of all cameras."""
        return int(self._looked.sum())

    def add(self, frame: int, camera: int, people: list[PersonInImage]) -> None:
        """The people of one image; their heatmaps are let go."""
        self._looked[camera] += 1
        self._empty[camera] += not people
        self._places += [(frame, camera)] * len(people)
        self._people += [replace(person, heatmaps=None, px_from_heatmap=None) for person in people]

    def detections(self, n_frames: int) -> Detections2D:
        """All rows; the first axis of empty arrays is right too."""
        n, j = len(self._people), len(self._keypoint_set)
        places = np.array(self._places, dtype=np.int64).reshape(n, 2)
        return Detections2D(
            cameras=self._cameras,
            n_frames=n_frames,
            keypoint_set=self._keypoint_set,
            frame=places[:, 0],
            camera=places[:, 1],
            track=np.array([p.track for p in self._people], dtype=np.int64),
            xy=np.array([p.xy for p in self._people], dtype=np.float64).reshape(n, j, 2),
            confidence=np.array([p.confidence for p in self._people], dtype=np.float64).reshape(n, j),
            box=np.array([p.box for p in self._people], dtype=np.float64).reshape(n, 4),
            score=np.array([p.score for p in self._people], dtype=np.float64),
        )

    def report(self) -> dict[str, CameraDetections]:
        """Counts per camera."""
        tracks: list[set[int]] = [set() for _ in self._cameras]
        people = [0] * len(self._cameras)
        for (_, camera), person in zip(self._places, self._people, strict=True):
            tracks[camera].add(person.track)
            people[camera] += 1
        return {
            name: CameraDetections(
                frames=int(self._looked[i]), people=people[i], tracks=len(tracks[i]), empty_frames=int(self._empty[i])
            )
            for i, name in enumerate(self._cameras)
        }
