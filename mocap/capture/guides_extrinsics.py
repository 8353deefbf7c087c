"""Where to carry the board next, while all cameras record it to find out how they stand to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int, UInt8

from calibration.board_file import Board
from calibration.intrinsics import IntrinsicsResult
from calibration.quality_verdicts import SHARED_MOMENTS
from mocap.capture.board_graph import (
    RigKnowledge,
    joined_by,
    rig_knowledge,
    shared_enough,
    shared_views,
    weakest_link,
)
from mocap.capture.guides_views import BoardFinder, CollectedView, LiveCorners, ViewCollection, corners_now

PICTURE_PX = 960
"""A board three metres away is found in as many of such pictures as in those of 1280 px, in 640 px in two thirds."""

MOST_MOMENTS = 150
CARRY = "carry the board through the space, slowly, where two cameras see it at once"
ENOUGH = "enough: the rig can be calibrated well from this"


@dataclass(frozen=True, eq=False)
class GraphState:
    """How far the common views of the cameras have come.

    shared_views: (C, C) different moments that two cameras share; on the diagonal, those that a camera shares with any.
    connected: all cameras hang together. weakest: the pair to work on, None with one camera or when done. hint: what to
    do next. warnings: faults that more footage does not mend. corners: seen last, by camera. moments: that differ, with
    two cameras or more. verdict: on the rig so far, "" before there is one. share: how far along, 0 to 1.
    """

    cameras: tuple[str, ...]
    shared_views: Int[np.ndarray, "C C"]
    connected: bool
    weakest: tuple[str, str] | None
    hint: str
    done: bool
    corners: Mapping[str, LiveCorners]
    share: float = 0.0
    moments: int = 0
    verdict: str = ""
    warnings: tuple[str, ...] = ()


class ExtrinsicsGuide:
    """Collects moments at which several cameras saw the board. `update` and `improve` may be called from different
    threads, each from one; `state` from any."""

    def __init__(
        self,
        board: Board,
        camera_names: Sequence[str],
        *,
        sizes: Mapping[str, tuple[int, int]] | None = None,
        lenses: Mapping[str, IntrinsicsResult] | None = None,
    ) -> None:
        """sizes: (width, height) px of full, upright pictures, by default those of the first ones given. lenses: of
        cameras that were calibrated by clips of their own."""
        self._names = tuple(camera_names)
        self._finders = {name: BoardFinder(board, PICTURE_PX) for name in self._names}
        self._sizes = dict(sizes or {})
        self._lenses = dict(lenses or {})
        self._views = ViewCollection(board, self._names)
        self._moment = 0
        self._rig: RigKnowledge | None = None
        self._improved_at = 0
        count = len(self._names)
        nothing = np.zeros((count, count), dtype=np.int64)
        self._state = GraphState(self._names, nothing, count < 2, None, CARRY, done=False, corners={})

    @property
    def state(self) -> GraphState:
        """As of the last pictures."""
        return self._state

    @property
    def knowledge(self) -> RigKnowledge | None:
        """What the last solve came to."""
        return self._rig

    def update(
        self,
        images: Mapping[str, UInt8[np.ndarray, "H W 3"] | UInt8[np.ndarray, "H W"]],
        time_s: float | int | Mapping[str, float],
    ) -> None:
        """Look at pictures (RGB or grey, upright, full or smaller) of one moment; time_s: for all, or of each."""
        seen = {
            name: self._finders[name].find(image, self._sizes.setdefault(name, (image.shape[1], image.shape[0])))
            for name, image in images.items()
        }
        times = time_s if isinstance(time_s, Mapping) else dict.fromkeys(images, float(time_s))
        views = [
            view
            for name, it in seen.items()
            if it is not None
            for view in [self._views.view(name, it, self._sizes[name], moment=self._moment, time_s=float(times[name]))]
            if view is not None
        ]
        if self._tells_something(views):
            self._views.add(views, MOST_MOMENTS)
        self._moment += 1
        self._show(corners_now(seen, max((float(t) for t in times.values()), default=0.0)))

    def improve(self) -> None:
        """Solve what there is, once every camera shares some moments. Takes half a second and more."""
        views = self._views.snapshot()
        if len(views) == self._improved_at or not self._state.connected:
            return
        self._improved_at = len(views)
        observations = self._views.observations()
        if observations is not None:
            self._rig = rig_knowledge(observations, self._lenses, self._names)
        self._show(self._state.corners)

    def _tells_something(self, views: Sequence[CollectedView]) -> bool:
        """Several cameras, and the board moved; or one without a lens of its own, and a new place in its picture."""
        if len(views) > 1:
            return self._views.has_moved(views)
        return bool(views) and self._names[views[0].camera] not in self._lenses and self._views.is_new(views[0])

    def _show(self, corners: Mapping[str, LiveCorners]) -> None:
        views = self._views.snapshot()
        shared = shared_views(views, len(self._names))
        enough, rig = shared_enough(shared), self._rig
        done = enough and rig is not None and rig.is_enough
        link = weakest_link(shared)
        together: dict[int, int] = {}
        for view in views:
            together[view.moment] = together.get(view.moment, 0) + 1
        self._state = replace(
            self._state,
            shared_views=shared,
            connected=bool(joined_by(shared, 1).all()),
            weakest=None if link is None or done else (self._names[link[0]], self._names[link[1]]),
            hint=ENOUGH if done else self._hint(shared, enough=enough),
            done=done,
            corners=corners,
            share=1.0 if done else min(0.99, self._share(shared)),
            moments=sum(count > 1 for count in together.values()),
            verdict="" if rig is None or rig.report is None else rig.report.verdict,
            warnings=() if rig is None else rig.warnings,
        )

    def _hint(self, shared: Int[np.ndarray, "C C"], *, enough: bool) -> str:
        link = weakest_link(shared)
        if link is None or not shared.any():
            return CARRY
        if enough:
            return self._rig.wants[0] if self._rig is not None and self._rig.wants else CARRY
        lonely = np.diag(shared)
        if joined_by(shared, 1).all() and lonely.min() < SHARED_MOMENTS[0]:
            name = self._names[int(lonely.argmin())]
            return (
                f"hold the board where {name} and another camera see it ({lonely.min()} of {SHARED_MOMENTS[0]} views)"
            )
        first, second = (self._names[i] for i in link)
        return f"hold the board where {first} and {second} both see it ({shared[link]} common views)"

    def _share(self, shared: Int[np.ndarray, "C C"]) -> float:
        """Of the moments that every camera needs, those that the worst one has; a solve that still wants more: less."""
        moments = float(np.minimum(np.diag(shared) / SHARED_MOMENTS[0], 1.0).min(initial=1.0))
        tied = joined_by(shared, 1).sum(axis=1).max(initial=1) / max(len(shared), 1)
        return moments * tied * (0.8 if self._rig is None or self._rig.wants else 1.0)
