"""What the cameras' common views of the board tell of the rig so far, by the criteria of its calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from calibration.bundle_adjustment import BundleConfig, bundle_adjust
from calibration.camera import Rig
from calibration.diagnosis import diagnose
from calibration.diagnosis_views import FEW_VIEWS
from calibration.errors import CalibrationError
from calibration.extrinsics import ExtrinsicsConfig, initial_rig
from calibration.intrinsics import IntrinsicsResult, calibrate_intrinsics
from calibration.observations import BoardObservations
from calibration.quality import assess
from calibration.quality_report import CalibrationReport
from calibration.quality_verdicts import SHARED_MOMENTS, findings_on_camera
from mocap.capture.guides_views import CollectedView


@dataclass(frozen=True, eq=False)
class RigKnowledge:
    """What a solve of the views so far came to.

    rig: in the first camera's axes, None where it cannot be solved. wants: what is still to be shown, worst first.
    warnings: faults of the recording (clocks apart, mirrored pictures, …), which more footage does not mend.
    """

    rig: Rig | None
    report: CalibrationReport | None
    wants: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def is_enough(self) -> bool:
        """Whether calibration would ask for no more footage."""
        return self.report is not None and not self.wants


def shared_views(views: Sequence[CollectedView], count: int) -> Int[np.ndarray, "C C"]:
    """Moments that two cameras share; on the diagonal, those that a camera shares with any other."""
    if not views:
        return np.zeros((count, count), dtype=np.int64)
    moments = {moment: row for row, moment in enumerate(sorted({view.moment for view in views}))}
    seen = np.zeros((count, len(moments)), dtype=np.int64)
    seen[[view.camera for view in views], [moments[view.moment] for view in views]] = 1
    shared = seen @ seen.T
    shared[np.diag_indices(count)] = (seen * (seen.sum(axis=0) > 1)).sum(axis=1)
    return shared


def joined_by(shared: Int[np.ndarray, "C C"], at_least: int) -> Bool[np.ndarray, "C C"]:
    """Cameras between which there is a way along pairs with so many common moments."""
    reached = (shared >= at_least) | np.eye(len(shared), dtype=bool)
    for _ in range(max(1, int(np.ceil(np.log2(max(len(shared), 2)))))):
        reached = (reached.astype(np.int64) @ reached.astype(np.int64)) > 0
    return np.asarray(reached)


def weakest_link(shared: Int[np.ndarray, "C C"]) -> tuple[int, int] | None:
    """The pair with the most common moments among those that would tie the worst tied camera or group to the rest;
    None with one camera. It is the weakest edge of the maximum spanning tree (Kruskal)."""
    count = len(shared)
    label, weakest = list(range(count)), None
    pairs = [(int(shared[i, j]), i, j) for i in range(count) for j in range(i + 1, count)]
    for _, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        one, two = label[i], label[j]
        if one != two:
            label = [one if value == two else value for value in label]
            weakest = (i, j)
    return weakest


def shared_enough(shared: Int[np.ndarray, "C C"]) -> bool:
    """Whether every camera hangs on others by pairs and moments that calibration does not complain of."""
    tied = joined_by(shared, ExtrinsicsConfig().few_moments).all()
    return bool(tied and (np.diag(shared) >= SHARED_MOMENTS[0]).all())


def rig_knowledge(
    observations: BoardObservations, lenses: Mapping[str, IntrinsicsResult], cameras: Sequence[str]
) -> RigKnowledge:
    """Solve what there is. lenses: of cameras whose own clips were recorded; the others' follow from these views."""
    unseen = [name for name in cameras if name not in observations.cameras]
    if unseen:
        return RigKnowledge(None, None, (f"show the board to {', '.join(unseen)} and another camera at once",), ())
    try:
        known = _lenses(observations, lenses)
        intrinsics = {name: known[name].intrinsics for name in observations.cameras}
        found = diagnose(observations, intrinsics)
        warnings = tuple(f.sentence for f in found if f.kind not in ("few_views", "static_board"))
        rig, motion, extrinsics = initial_rig(observations, intrinsics)
        priors = {name: result.prior() for name, result in lenses.items() if name in known}
        bundle = bundle_adjust(rig, motion, observations, BundleConfig(), priors)
        report = assess(observations, bundle, known, extrinsics)
    except CalibrationError as error:
        return RigKnowledge(None, None, (error.remedy or error.what,), ())
    except (np.linalg.LinAlgError, ValueError):
        return RigKnowledge(None, None, ("carry the board on, slowly, where two cameras see it at once",), ())
    wants = [
        f"{camera.name}: {finding.reason}"
        for camera in report.cameras
        for finding in findings_on_camera(camera)
        if finding.verdict != "good"
    ]
    return RigKnowledge(bundle.rig, report, (*extrinsics.sentences, *wants), warnings)


def _lenses(observations: BoardObservations, lenses: Mapping[str, IntrinsicsResult]) -> dict[str, IntrinsicsResult]:
    """Given ones, and those of the rest from the views themselves, once each has some."""
    own = {name: lenses[name] for name in observations.cameras if name in lenses}
    rest = tuple(name for name in observations.cameras if name not in own)
    counts = np.bincount(observations.view_camera, minlength=len(observations.cameras))
    few = [name for name in rest if counts[observations.index(name)] < FEW_VIEWS]
    if few:
        raise CalibrationError("too few views", remedy=f"show the board to {', '.join(few)} some more, near and tilted")
    return own | (calibrate_intrinsics(observations.of_cameras(rest)) if rest else {})
