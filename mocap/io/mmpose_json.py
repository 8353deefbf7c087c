"""2D results of one camera as MMPose's inferencer writes them: one JSON with `meta_info` and a list of frames."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from mocap.core.keypoints import Detections2D, KeypointSet


def mmpose_instance(xy: Float[np.ndarray, "K 2"], confidence: Float[np.ndarray, "K"], track: int) -> dict[str, Any]:
    """One person in one frame; what was not reported is (0, 0) with score 0. Rounded to 0.01 px."""
    low, high = np.nanmin(xy, axis=0), np.nanmax(xy, axis=0)
    instance: dict[str, Any] = {
        "keypoints": np.nan_to_num(xy).round(2).tolist(),
        "keypoint_scores": confidence.round(3).tolist(),
        "bbox": [np.concatenate([low, high]).round(1).tolist()],
        "bbox_score": round(float(confidence[confidence > 0].mean()), 3),
    }
    return instance | ({"track_id": track} if track >= 0 else {})


def mmpose_text(frames: Sequence[Sequence[dict[str, Any]]], keypoint_set: KeypointSet, dataset: str) -> str:
    """The file's text, a line a frame, with the names of the keypoints in it."""
    meta = {
        "dataset_name": dataset,
        "keypoint_id2name": {str(i): name for i, name in enumerate(keypoint_set.names)},
        "skeleton_links": keypoint_set.edge_indices.tolist(),
    }
    lines = [
        json.dumps({"frame_id": frame, "instances": list(instances)}, separators=(",", ":"))
        for frame, instances in enumerate(frames)
    ]
    head = '{"meta_info":' + json.dumps(meta, separators=(",", ":"))
    return head + ',\n"instance_info":[\n' + ",\n".join(lines) + "\n]}\n"


def write_mmpose(detections: Detections2D, folder: Path, *, dataset: str) -> tuple[Path, ...]:
    """`<camera>.json` for every camera; people without any keypoint are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, camera in enumerate(detections.cameras):
        frames: list[list[dict[str, Any]]] = [[] for _ in range(detections.n_frames)]
        for row in np.flatnonzero((detections.camera == number) & (detections.confidence > 0).any(-1)):
            person = mmpose_instance(detections.xy[row], detections.confidence[row], int(detections.track[row]))
            frames[int(detections.frame[row])].append(person)
        path = folder / f"{camera}.json"
        path.write_text(mmpose_text(frames, detections.keypoint_set, dataset), encoding="utf-8", newline="\n")
        paths.append(path)
    return tuple(paths)
