"""What went wrong when a calibration was recorded: every finding a sentence that says what happened and what to do.

Faults that make others meaningless come first, and hide them: a board that does not move shows nothing about clocks.
"""

from __future__ import annotations

from collections.abc import Mapping

from calibration.camera import Intrinsics
from calibration.diagnosis_exchange import exchanged_by_tracks
from calibration.diagnosis_findings import Finding
from calibration.diagnosis_lenses import exchanged, lens_fits, misfits, picture_sizes, with_lens_sizes
from calibration.diagnosis_pairs import compare, mirrored, unsynchronized
from calibration.diagnosis_tracks import tracks_of
from calibration.diagnosis_views import never_seen, same_clip, small_board, static_board
from calibration.observations import BoardObservations

__all__ = ["Finding", "diagnose"]


def diagnose(
    observations: BoardObservations, intrinsics: Mapping[str, Intrinsics] | None = None
) -> tuple[Finding, ...]:
    """Faults of the recording, worst first. With `intrinsics` of the cameras more can be told: mirrored pictures,
    exchanged names, clips that do not run together."""
    it = observations
    found = [*never_seen(it), *static_board(it), *same_clip(it), *small_board(it)]
    still = any(finding.kind == "static_board" and not finding.cameras for finding in found)
    if intrinsics is not None:
        found += picture_sizes(it, intrinsics)
        known = with_lens_sizes(it, intrinsics)
        if known.n_views and not still:
            found += _by_lenses(known, intrinsics)
    return tuple(sorted(found, key=lambda finding: finding.severity != "error"))


def _by_lenses(it: BoardObservations, intrinsics: Mapping[str, Intrinsics]) -> list[Finding]:
    fits = lens_fits(it, intrinsics)
    found = exchanged(fits) or exchanged_by_tracks(it, intrinsics, fits)
    if found:
        return found
    tracks = tracks_of(it, intrinsics)
    pairs = compare(tracks)
    return [*misfits(fits), *mirrored(it.cameras, tracks, pairs), *unsynchronized(it.cameras, tracks, pairs)]
