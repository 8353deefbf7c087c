"""People in every picture of a take, kept on disk: what the pipeline begins with, and what clocks are found by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mocap.core.config import Report
from mocap.core.keypoints import Detections2D
from mocap.core.session import Take
from mocap.io import artefacts
from mocap.io.video import VideoInfo, probe_video
from mocap.provenance import combine, config_key, files_key, source_key
from mocap.segmented_detection import SegmentStore, detect_in_segments, forget_parts
from mocap.stage_cache import CachedStage, Codec, Observer, SilentObserver
from mocap.stages.detect import DetectConfig

DETECTIONS = Codec(artefacts.save_detections, artefacts.load_detections, artefacts.read_key)


@dataclass(frozen=True, eq=False)
class TakeDetection:
    """The first stage of a take: people in every picture, each camera's frames counted on their own. It needs no
    calibration and no clock. threads: 0 uses every core."""

    take: Take
    derived: Path
    config: DetectConfig
    infos: Mapping[str, VideoInfo]
    threads: int
    observer: Observer

    def stage(self) -> CachedStage[Any]:
        """The same people are found, whether heatmaps are kept or not: the key does not tell."""
        values = config_key(self.config.model_copy(update={"keep_heatmaps": False}))
        inputs = combine(self._input_key(), source_key("mocap.segmented_detection"))
        key = combine("detect", inputs, values, source_key("mocap.stages.detect"))
        path = self.derived / "detect.h5"
        return CachedStage("detect", key, path, DETECTIONS, lambda _: self._detect(key), self.observer)

    def _input_key(self) -> str:
        take, imported = self.take, self.config.detector == "imported"
        files = dict(take.videos)
        if take.detections is not None and (imported or not files):
            files["detections/"] = take.detections
        content = files_key(files, self.derived / "inputs.json")
        return combine(content, json.dumps(dict(take.rotations), sort_keys=True), *take.cameras)

    def _detect(self, key: str) -> tuple[Detections2D, Report]:
        return detect_in_segments(
            self.take,
            self.config,
            store=SegmentStore(self.derived, key),
            infos=self.infos,
            threads=self.threads,
            progress=lambda done, total: self.observer.progressed("detect", done, total),
        )


def detected_take(
    take: Take, derived: Path, config: DetectConfig, *, threads: int = 0, observer: Observer | None = None
) -> Detections2D:
    """What `process_take` would find, or has found."""
    infos = {name: probe_video(path, take.rotations.get(name, 0)) for name, path in take.videos.items()}
    found = TakeDetection(take, derived, config, infos, threads, observer or SilentObserver()).stage().get()
    forget_parts(derived)
    return found
