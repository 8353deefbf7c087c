"""The state of a recording session in the form that the page draws: plain values, nothing that is not finite."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from calibration.quality_verdicts import SHARED_MOMENTS
from mocap.capture.focus import BRIGHT, DARK, PictureState
from mocap.capture.guides import CoverageState
from mocap.capture.guides_extrinsics import GraphState
from mocap.capture.guides_floor import FloorState
from mocap.capture.reader import CameraStatus
from mocap.capture.session_recording_state import GuideState, RecordingEvent, RecordingState, as_json
from mocap.web.job_worker import Task
from mocap.web.jobs import Job

SHOWN_EVENTS = 60
LEVELS = {"error": "bad", "camera_lost": "bad", "warning": "warn"}
LIGHT = {DARK: "dark", BRIGHT: "too bright"}
TITLES = {"extrinsics": "All cameras", "floor": "Floor"}

Counts = Mapping[str, tuple[int, int]]


def camera_json(
    status: CameraStatus, picture: PictureState | None, *, before: tuple[int, int], rotation: int
) -> dict[str, Any]:
    """How a camera does. before: what its queues had dropped and its source had lost when counting began. rotation:
    degrees clockwise by which its pictures are turned; `size` is as they come."""
    return {
        "name": status.name,
        "state": status.state,
        "message": status.message,
        "size": None if status.size is None else list(status.size),
        "rotation": rotation,
        "fps": round(finite(status.fps) or 0.0, 1),
        "nominal_fps": finite(status.nominal_fps),
        "jitter_ms": round(finite(status.jitter_ms) or 0.0, 1),
        "dropped": max(0, status.dropped_queue - before[0]),
        "lost": max(0, status.lost_source - before[1]),
        "reconnects": status.reconnects,
        "stamps": status.stamps,
        "detail": status.detail,
        "sharpness": None if picture is None else _rounded(picture.sharpness, 2),
        "light": None if picture is None else LIGHT.get(picture.sentence, "good"),
        "picture_note": "" if picture is None else picture.sentence,
    }


def drops_of(cameras: Iterable[CameraStatus]) -> dict[str, tuple[int, int]]:
    """What queues have dropped and sources have lost so far, by camera."""
    return {status.name: (status.dropped_queue, status.lost_source) for status in cameras}


def guide_json(guide: GuideState, camera: str | None) -> dict[str, Any]:
    """What a guide wants; camera: the one whose lens it is about."""
    if isinstance(guide, CoverageState):
        known = finite(guide.ray_mrad)
        sure = "" if known is None else f", rays known to {known:.2f} mrad"
        shown = {"kind": "intrinsics", "camera": camera, "cells": as_json(guide.cells)}
        detail = f"{guide.views} different views{sure}"
    elif isinstance(guide, GraphState):
        shown = {
            "kind": "extrinsics",
            "cameras": list(guide.cameras),
            "shared_views": as_json(guide.shared_views),
            "wanted": SHARED_MOMENTS,
            "weakest": None if guide.weakest is None else list(guide.weakest),
        }
        detail = "; ".join([f"{guide.moments} different moments", *guide.warnings])
    else:
        shown = {"kind": "floor"}
        detail = _floor_detail(guide)
    return {**shown, "hint": guide.hint, "done": guide.done, "share": _rounded(guide.share, 3), "detail": detail}


def guide_key(guide: Mapping[str, Any]) -> str:
    """Under which the page keeps it: one for each lens, one for each other mode."""
    return f"intrinsics:{guide['camera']}" if guide["kind"] == "intrinsics" else guide["kind"]


def recording_json(state: RecordingState, cameras: Iterable[str]) -> dict[str, Any] | None:
    """What is being recorded; None where nothing is."""
    if state.phase == "idle" or state.mode is None:
        return None
    return {
        "mode": state.mode,
        "phase": state.phase,
        "camera": state.camera,
        "cameras": [state.camera] if state.camera is not None else list(cameras),
        "title": title_of(state.mode, state.take or state.camera or ""),
        "elapsed_s": round(state.elapsed_s, 2),
        "countdown_s": round(state.countdown_s, 2),
        "duration_s": finite(state.duration_s),
    }


def last_json(state: RecordingState) -> dict[str, Any] | None:
    """What came of the last clip or take."""
    result = state.result
    if result is None:
        return None
    told = list(result.sentences) or [f"{result.seconds:.1f} s recorded"]
    return {
        "title": title_of(result.mode, result.name),
        "verdict": result.verdict,
        "sentences": told,
        "retake": result.mode == "take",
    }


def event_json(event: RecordingEvent) -> dict[str, Any]:
    """One line of what happened."""
    at_s = datetime.fromisoformat(event.time).timestamp()
    return {"at_s": at_s, "level": LEVELS.get(event.kind, ""), "text": event.sentence}


def job_json(job: Job, waiting: Sequence[Task]) -> dict[str, Any]:
    """How far a job is, and what waits for its end."""
    return {
        "kind": job.task.kind,
        "take": job.task.take,
        "title": job.task.title,
        "phase": job.phase,
        "held": job.held,
        "stage": job.stage,
        "done": job.done,
        "total": job.total,
        "seconds": int(job.seconds),
        "headline": job.headline,
        "verdict": job.verdict,
        "notes": list(job.notes),
        "waiting": [{"kind": task.kind, "take": task.take, "title": task.title} for task in waiting],
    }


def title_of(mode: str, name: str) -> str:
    """What is recorded, for people."""
    return name if mode == "take" else TITLES.get(mode, f"Lens of {name}")


def finite(value: float | None) -> float | None:
    """None for what JSON cannot hold."""
    return None if value is None or not math.isfinite(value) else float(value)


def _rounded(value: float, digits: int) -> float | None:
    number = finite(value)
    return None if number is None else round(number, digits)


def _floor_detail(guide: FloorState) -> str:
    seen = f"seen by {', '.join(guide.cameras)}" if guide.cameras else "seen by no camera"
    return f"{seen}, still for {guide.still_s:.1f} s"
