"""Markers against what views show of them: distorted pixels, an uncertainty for each, a robust cost.

A report of a marker in a view is off by the detector's own bias for the direction that it looks from (`habits`, m along
the axes of the marker's joint for a unit of each coordinate of the direction to the camera in those axes), and by
noise. The bias of a pose is taken out of the reported pixels; what is left has a Cauchy cost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mocap.geometry.pose_model import Placement, PoseModel
from mocap.geometry.projection import CameraTensors, project, project_with_jacobian
from mocap.geometry.rotations import quat_to_matrix

NEAREST_M = 0.3
"""Nobody stands nearer to a lens than that; keeps the uncertainty in pixels finite."""
UNSEEN = 1e4
"""Squared residual, in squares of the noise, of a marker that a pose puts where the lens images nothing."""


@dataclass(frozen=True, eq=False)
class Views:
    """reported: (T, M, C, 2) distorted px, 0 where not seen; px: the same without the bias of a pose.

    confidence: (T, M, C), 0 where not seen. noise: (M,) m, spread per axis of a sure report at the subject's distance;
    an unsure one strays by noise / confidence (BlazePose on rendered people: 1.3, 1.8 and 6 times for 0.8, 0.6, 0.1).
    habits: (M, 3, 3) m. px_per_m: (T, C) at the subject. share: weight of a report, as errors last over frames.
    trust: (C,) in (0, 1], factor on the confidence in all reports of a camera; none is 1 for all.
    """

    cameras: CameraTensors
    reported: Float[Tensor, "T M C 2"]
    px: Float[Tensor, "T M C 2"]
    confidence: Float[Tensor, "T M C"]
    noise: Float[Tensor, "M"]
    habits: Float[Tensor, "M 3 3"]
    px_per_m: Float[Tensor, "T C"]
    share: float = 1.0
    trust: Float[Tensor, "C"] | None = None

    def frames(self, which: slice | Int[Tensor, "n"]) -> Views:
        """Some of the frames."""
        rows = {name: getattr(self, name)[which] for name in ("reported", "px", "confidence", "px_per_m")}
        return replace(self, **rows)

    def placed(self, model: PoseModel, placement: Placement) -> Views:
        """With the bias of a pose taken out; scaled to pixels at the pose's distance."""
        markers = placement.markers
        axes = quat_to_matrix(placement.rotations[:, model.marker_frame])
        way = self.cameras.centers - markers[:, :, None]
        way = way / way.norm(dim=-1, keepdim=True)
        bias = torch.einsum("tmab,mbd,tmed,tmce->tmca", axes, self.habits, axes.transpose(-1, -2), way)
        straight, off = project(self.cameras, markers), self._biased(markers, bias)
        shift = torch.nan_to_num(off - straight)
        return replace(self, px=self.reported - shift, px_per_m=pixels_per_metre(self.cameras, placement.joints[:, 0]))

    def _biased(self, markers: Float[Tensor, "T M 3"], bias: Float[Tensor, "T M C 3"]) -> Float[Tensor, "T M C 2"]:
        _, jacobian = project_with_jacobian(self.cameras, markers)
        return project(self.cameras, markers) + (jacobian * bias[..., None, :]).sum(-1)

    def cost(self, markers: Float[Tensor, "T M 3"], scale: float) -> Float[Tensor, ""]:
        """Twice the robust cost."""
        squared, _ = self._squared(project(self.cameras, markers))
        return torch.log1p(squared / scale**2).sum() * (self.share * scale**2)

    def pull(
        self, markers: Float[Tensor, "T M 3"], scale: float
    ) -> tuple[Float[Tensor, "T M 3 3"], Float[Tensor, "T M 3"]]:
        """Information and gradient of the cost by the markers' positions, with the robust weights of these."""
        px, jacobian = project_with_jacobian(self.cameras, markers)
        squared, precision = self._squared(px)
        there = ~px[..., 0].isnan()
        weight = torch.where(there, self.share * precision / (1 + squared / scale**2), 0.0)
        jacobian = torch.where(there[..., None, None], jacobian, 0.0)
        away = torch.where(there[..., None], px - self.px, 0.0) * weight[..., None]
        gradient = (jacobian * away[..., None]).sum((2, 3))
        rows = (jacobian * weight.sqrt()[..., None, None]).flatten(2, 3)
        return rows.transpose(-1, -2) @ rows, gradient

    def residuals_px(self, markers: Float[Tensor, "T M 3"]) -> Float[Tensor, "T M C"]:
        """Distance from every report (less its bias) to the marker, px; NaN where there is none."""
        away = (project(self.cameras, markers) - self.px).norm(dim=-1)
        return torch.where(self.confidence > 0, away, torch.nan)

    def typical_errors(self, markers: Float[Tensor, "T M 3"]) -> Float[Tensor, "C"]:
        """Median distance of each camera's reports from the markers, in units of the noise; NaN where there is none."""
        squared, _ = self._squared(project(self.cameras, markers))
        return torch.where(self.confidence > 0, squared, torch.nan).flatten(0, 1).nanmedian(0).values.sqrt()

    def _squared(self, px: Float[Tensor, "T M C 2"]) -> tuple[Float[Tensor, "T M C"], Float[Tensor, "T M C"]]:
        """Squared residuals over the noise, 0 where not seen, and the precision, 1 / px²."""
        spread = self.noise[:, None] * self.px_per_m[:, None]
        sure = self.confidence if self.trust is None else self.confidence * self.trust
        precision = (sure / spread).square()
        squared = torch.nan_to_num((px - self.px).square().sum(-1) * precision, nan=UNSEEN)
        return torch.where(self.confidence > 0, squared, 0.0), precision


def pixels_per_metre(cameras: CameraTensors, places: Float[Tensor, "T 3"]) -> Float[Tensor, "T C"]:
    """Focal length over distance, in every camera."""
    depth = (places[:, None] - cameras.centers).norm(dim=-1).clamp_min(NEAREST_M)
    return (cameras.K[:, 0, 0] * cameras.K[:, 1, 1]).sqrt() / depth
