"""Whether a clip or a take is good, on the spot: all cameras alive, few pictures lost, the board seen enough."""

from __future__ import annotations

from dataclasses import replace

from mocap.capture.camera_recording import CameraRecord
from mocap.capture.guides import CoverageState
from mocap.capture.guides_extrinsics import GraphState
from mocap.capture.guides_floor import FloorState
from mocap.capture.people_look import PeopleLook
from mocap.capture.recording_report import RecordingReport, sentences_of
from mocap.capture.session_recording_state import ClipResult, GuideState, Mode, Verdict

TOO_MANY_MISSING = 0.05
"""Of a camera's pictures. Single ones that lack are interpolated; of one in twenty some follow each other, and motion
is then a guess there."""

FEWEST_CAMERAS = 2
ORDER: tuple[Verdict, ...] = ("good", "usable", "redo")


def judge_clip(mode: Mode, report: RecordingReport, guide: GuideState | None) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict on a recording and what there is to say about it, worst first."""
    said: list[tuple[Verdict, str]] = []
    for record in report.cameras:
        verdict = _of_camera(record, alone=mode == "intrinsics")
        said.extend((verdict, sentence) for sentence in sentences_of(record, report.duration_s))
    alive = [record for record in report.cameras if record.written and record.died_at_s is None]
    if mode in ("extrinsics", "take") and len(alive) < FEWEST_CAMERAS:
        said.append(("redo", f"fewer than {FEWEST_CAMERAS} cameras recorded to the end: depth needs two"))
    if not report.finished:
        said.append(("redo", "the recording was not finished; `mocap session check` repairs it"))
    said += _of_guide(guide)
    said.sort(key=lambda entry: -ORDER.index(entry[0]))
    verdict = said[0][0] if said else "good"
    return verdict, tuple(sentence for _, sentence in said)


def with_people(result: ClipResult, look: PeopleLook) -> ClipResult:
    """The verdict on a take after people were looked for; where a camera saw nobody it is "usable" at best."""
    if look.doubtful and result.verdict == "good":
        return replace(result, verdict="usable", sentences=(look.sentence, *result.sentences))
    return replace(result, sentences=(*result.sentences, look.sentence))


def _of_camera(record: CameraRecord, *, alone: bool) -> Verdict:
    """What it means when there is something to say of a camera: one of several may be missed."""
    if record.written == 0 or record.died_at_s is not None or record.error is not None:
        return "redo" if alone else "usable"
    share = record.missing / (record.written + record.missing)
    return "redo" if share > TOO_MANY_MISSING else "usable"


def _of_guide(guide: GuideState | None) -> list[tuple[Verdict, str]]:
    """Clips of the board that the calibration would ask more of."""
    if guide is None or guide.done:
        warned = guide.warnings if isinstance(guide, GraphState) else ()
        return [("usable", sentence) for sentence in warned]
    match guide:
        case CoverageState():
            verdict: Verdict = "usable" if guide.views else "redo"
            return [(verdict, f"the lens needs more: {guide.hint}")]
        case GraphState():
            return [("usable" if guide.connected else "redo", f"the rig needs more: {guide.hint}")]
        case FloorState():
            return [("usable" if guide.cameras else "redo", f"the floor needs more: {guide.hint}")]
