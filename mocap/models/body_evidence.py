"""What a fit goes by: points in space, what every view shows, and the floor under standing feet."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mocap.geometry.pose_model import Placement, PoseModel
from mocap.geometry.pose_solver import Observations
from mocap.geometry.reprojection import Views

POINTS_BESIDE_VIEWS = 0.05
"""Weight of a point in space where views of it are there too: it was made of them, so it adds little but a start."""


@dataclass(frozen=True, eq=False)
class Standing:
    """Soles on the floor z = 0. precision: (T, K) 1/m² of their heights, 0 where a foot does not stand."""

    precision: Float[Tensor, "T K"]

    def cost(self, soles: Float[Tensor, "T K 3"], scale: float) -> Float[Tensor, ""]:
        """Twice the robust cost."""
        return torch.log1p(self.precision * soles[..., 2].square() / scale**2).sum() * scale**2

    def pull(
        self, soles: Float[Tensor, "T K 3"], scale: float
    ) -> tuple[Float[Tensor, "T K 3 3"], Float[Tensor, "T K 3"]]:
        """Information and gradient of the cost by the soles' positions."""
        height = soles[..., 2]
        weight = self.precision / (1 + self.precision * height.square() / scale**2)
        up = torch.tensor([0.0, 0.0, 1.0], dtype=soles.dtype)
        return weight[..., None, None] * torch.diag(up), (weight * height)[..., None] * up


@dataclass(frozen=True, eq=False)
class BodyEvidence:
    """Evidence (see pose_solver) of M keypoints, as points in space of any confidence and in views where there are
    cameras, and of the K soles that follow them in a model's markers."""

    points: Observations
    standing: Standing
    views: Views | None = None

    def frames(self, which: slice | Int[Tensor, "n"]) -> BodyEvidence:
        """Some of the frames."""
        views = None if self.views is None else self.views.frames(which)
        return BodyEvidence(self.points.frames(which), Standing(self.standing.precision[which]), views)

    def placed(self, model: PoseModel, placement: Placement) -> BodyEvidence:
        """With the detector's bias of a pose taken out of the views."""
        if self.views is None:
            return self
        m = self.n_keypoints
        rows = {name: getattr(model, name)[:m] for name in ("marker_at", "marker_frame", "marker_offsets", "moved")}
        seen = replace(model, **rows)
        return replace(self, views=self.views.placed(seen, replace(placement, markers=placement.markers[:, :m])))

    @property
    def n_keypoints(self) -> int:
        return self.points.targets.shape[1]

    def cost(self, markers: Float[Tensor, "T MK 3"], scale: float) -> Float[Tensor, ""]:
        """Twice the robust cost."""
        seen, soles = markers[:, : self.n_keypoints], markers[:, self.n_keypoints :]
        total = self.points.cost(seen, scale) + self.standing.cost(soles, scale)
        return total if self.views is None else total + self.views.cost(seen, scale)

    def pull(
        self, markers: Float[Tensor, "T MK 3"], scale: float
    ) -> tuple[Float[Tensor, "T MK 3 3"], Float[Tensor, "T MK 3"]]:
        """Information and gradient of the cost by the markers' positions."""
        seen, soles = markers[:, : self.n_keypoints], markers[:, self.n_keypoints :]
        of_points = self.points.pull(seen, scale)
        if self.views is not None:
            of_views = self.views.pull(seen, scale)
            of_points = (of_points[0] + of_views[0], of_points[1] + of_views[1])
        of_soles = self.standing.pull(soles, scale)
        return torch.cat([of_points[0], of_soles[0]], dim=1), torch.cat([of_points[1], of_soles[1]], dim=1)

    def residuals_px(self, placement: Placement) -> Float[Tensor, "T M C"]:
        """Distance from every report (less its bias) to the keypoint, px; NaN where there is none."""
        if self.views is None:
            return torch.full((len(placement.markers), self.n_keypoints, 0), torch.nan, dtype=torch.float64)
        return self.views.residuals_px(placement.markers[:, : self.n_keypoints])

    def in_space(self) -> BodyEvidence:
        """Without the views."""
        return replace(self, views=None)

    def views_first(self) -> BodyEvidence:
        """Points that views show too count little."""
        if self.views is None:
            return self
        shown = (self.views.confidence > 0).any(-1)
        confidence = torch.where(shown, POINTS_BESIDE_VIEWS * self.points.confidence, self.points.confidence)
        return replace(self, points=replace(self.points, confidence=confidence))
