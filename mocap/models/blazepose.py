"""BlazePose: people and their 33 keypoints in images, followed from frame to frame (Bazarevsky et al., 2020).

Per frame and camera: the person detector looks at some regions, newcomers join those who are followed already, the
landmark network looks at everybody's region, and its two alignment points say where to look in the next frame. Nothing
is smoothed in time. Results depend neither on the number of threads nor on how many cameras are given at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from pydantic import Field

from mocap.core.config import Config
from mocap.core.keypoints import load_keypoint_set
from mocap.models.blazepose_landmarks import (
    ALIGNMENT,
    CELLS,
    HEATMAP_CELLS,
    LANDMARK_NETWORK,
    N_KEYPOINTS,
    N_LANDMARKS,
    REFINE_KERNEL,
    CropLandmarks,
    decode_landmarks,
)
from mocap.models.blazepose_person import PERSON_NETWORK, decode_people, person_crop
from mocap.models.blazepose_roi import Roi, blended, roi_from_alignment, transform
from mocap.models.blazepose_search import SearchPlan
from mocap.models.blazepose_tracks import Proposal, Sighting, TrackBook
from mocap.models.detector import NetworkIdentity, PersonInImage, missing_as_nan
from mocap.models.openvino_runtime import Network
from mocap.models.weights import BlazePoseWeights

MIRROR_SUM = CELLS - 0.5
"""x + x_mirrored of one point, in crop cells: 255.5 in the median over the four-camera trial."""

MAX_SIZE_IN_SQUARE = 1.5
"""Side of a person's region over that of the searched square; a person who fills the square has 1.25 or so."""
SMALL, MIN_EXTENT = 0.25, 0.45
"""A newcomer whose region is below a quarter of the image's long side must reach over this share of the region: posts
and corners of furniture that look like a person at low resolution reach over 0.26 to 0.42, people over 0.55 to 0.75."""

Images = Sequence[UInt8[np.ndarray, "_ _ 3"]]


class BlazePoseConfig(Config):
    """How BlazePose is run. The defaults are MediaPipe's where nothing else is said.

    min_pose_presence: of a followed person; min_new_presence: of a newcomer (pieces of furniture reach 0.7).
    search_interval: frames between looks for newcomers while everybody is followed; search_levels: 0 searches whole
    images only, 1 and 2 add squares of the short side and of about half of it, for people who are small in the image.
    first_roi_scale, roi_scale: side of the region over twice the alignment distance, when found and when followed
    (MediaPipe: 1.25 both; on the four-camera trial 1.15 lowers the median reprojection error from 4.7 to 4.3 px and
    the jitter by a sixth). roi_blend: share of the way that the region moves per frame (1: all of it). refine: take the
    centroids of the heatmaps (without: 5.9 px). mirror: average with the mirrored crop, for twice the landmark time:
    4.0 px and 30 % less jitter (MediaPipe does not; `configs/pipeline/fast.toml`). remember: frames for which a lost
    person's id is kept.
    """

    min_person_score: Annotated[float, Field(ge=0, le=1)] = 0.5
    min_pose_presence: Annotated[float, Field(ge=0, le=1)] = 0.5
    min_new_presence: Annotated[float, Field(ge=0, le=1)] = 0.8
    search_interval: Annotated[int, Field(ge=1)] = 4
    search_levels: Annotated[int, Field(ge=0, le=2)] = 2
    first_roi_scale: Annotated[float, Field(gt=0)] = 1.25
    roi_scale: Annotated[float, Field(gt=0)] = 1.15
    roi_blend: Annotated[float, Field(gt=0, le=1)] = 1.0
    refine: bool = True
    mirror: bool = True
    remember: Annotated[int, Field(ge=0)] = 30
    precision: Literal["f32", "bf16"] = "f32"


@dataclass(frozen=True, eq=False)
class _View:
    """One camera's image of the current frame."""

    camera: int
    image: UInt8[np.ndarray, "_ _ 3"]

    @property
    def size(self) -> tuple[int, int]:
        return self.image.shape[1], self.image.shape[0]


class BlazePose:
    """A `Detector2D`. Keeps one book of tracks per camera index."""

    def __init__(
        self,
        weights: BlazePoseWeights,
        config: BlazePoseConfig | None = None,
        *,
        max_people: int = 4,
        keep_heatmaps: bool = False,
        threads: int = 0,
    ) -> None:
        self.keypoint_set = load_keypoint_set("blazepose33")
        self._config = config if config is not None else BlazePoseConfig()
        self._max_people, self._keep_heatmaps = max_people, keep_heatmaps
        self._person = Network(weights.person, PERSON_NETWORK, threads=threads, precision=self._config.precision)
        self._landmarks = Network(
            weights.landmarks, LANDMARK_NETWORK, threads=threads, precision=self._config.precision
        )
        self._plan = SearchPlan(self._config.search_interval, self._config.search_levels)
        self._swap = np.concatenate([self.keypoint_set.mirror_permutation, np.arange(N_KEYPOINTS, N_LANDMARKS)])
        self._edges = self.keypoint_set.edge_indices
        self._books: dict[int, TrackBook] = {}
        self._seconds = {"person": 0.0, "keypoints": 0.0}

    @property
    def networks(self) -> tuple[NetworkIdentity, ...]:
        """Person detector and landmark network."""
        return (self._person.identity, self._landmarks.identity)

    @property
    def seconds(self) -> dict[str, float]:
        """Wall time so far of the two networks, cutting out and decoding included."""
        return dict(self._seconds)

    def reset(self) -> None:
        """Forget all tracks."""
        self._books.clear()

    def detect(self, images: Images, cameras: Sequence[int]) -> list[list[PersonInImage]]:
        """People in one image per camera, the next frame of each; ordered by track id."""
        views = [_View(camera, image) for camera, image in zip(cameras, images, strict=True)]
        started = time.perf_counter()
        newcomers = self._search(views)
        searched = time.perf_counter()
        proposals = [self._book(view).proposals(found) for view, found in zip(views, newcomers, strict=True)]
        people = self._look(views, proposals)
        self._seconds["person"] += searched - started
        self._seconds["keypoints"] += time.perf_counter() - searched
        return people

    def _book(self, view: _View) -> TrackBook:
        return self._books.setdefault(view.camera, TrackBook())

    def _search(self, views: Sequence[_View]) -> list[list[Roi]]:
        """Regions of people whom the person detector finds in each view: those seen in the whole image go first."""
        regions = [self._regions(view) for view in views]
        outputs = iter(
            self._person.infer(person_crop(v.image, r) for v, own in zip(views, regions, strict=True) for r in own)
        )
        found: list[list[Roi]] = []
        for view, own in zip(views, regions, strict=True):
            rois: list[Roi] = []
            for region in own:
                raw, logits = next(outputs)
                rois += self._people_rois(raw, logits, region, whole=region.size >= max(view.size))
            found.append(rois)
        return found

    def _people_rois(self, raw: np.ndarray, logits: np.ndarray, region: Roi, *, whole: bool) -> list[Roi]:
        """Best first. Of somebody much larger than a searched square, the detector saw only a part."""
        people = decode_people(raw, logits, region, self._config.min_person_score)
        rois = [roi_from_alignment(p.hip_center, p.scale_point, self._config.first_roi_scale) for p in people]
        return [roi for roi in rois if whole or roi.size <= MAX_SIZE_IN_SQUARE * region.size]

    def _regions(self, view: _View) -> list[Roi]:
        book = self._book(view)
        return self._plan.regions(
            book.frame,
            view.camera,
            view.size,
            tracked=len(book.followed),
            lost=tuple(track.roi for track in book.lost if track.missing <= self._config.search_interval),
        )

    def _look(self, views: Sequence[_View], proposals: Sequence[list[Proposal]]) -> list[list[PersonInImage]]:
        """The landmark network on every proposal; the books move on."""
        outputs = iter(self._landmarks.infer(self._crops(views, proposals)))
        results = []
        for view, own in zip(views, proposals, strict=True):
            looked = [self._sighting(proposal, outputs) for proposal in own]
            sure = [s for s in looked if self._is_somebody(s, view.size)]
            self._books[view.camera], named = self._book(view).updated(
                sure, self._edges, max_people=self._max_people, remember=self._config.remember
            )
            people = [self._person_in_image(sighting, track, view.size) for sighting, track in named]
            results.append(sorted(people, key=lambda person: person.track))
        return results

    def _is_somebody(self, sighting: Sighting, image_size: tuple[int, int]) -> bool:
        """Whether a pose is there. Newcomers must be surer; small ones must fill their region as people do."""
        if sighting.proposal.track is not None:
            return sighting.crop.pose_presence >= self._config.min_pose_presence
        small = sighting.proposal.roi.size < SMALL * max(image_size)
        extent = float(np.ptp(sighting.xy, axis=0).max()) / sighting.proposal.roi.size
        return sighting.crop.pose_presence >= self._config.min_new_presence and not (small and extent < MIN_EXTENT)

    def _crops(self, views: Sequence[_View], proposals: Sequence[list[Proposal]]) -> Iterator[np.ndarray]:
        for view, own in zip(views, proposals, strict=True):
            for proposal in own:
                crop = proposal.roi.crop(view.image, CELLS)
                yield crop
                if self._config.mirror:
                    yield np.ascontiguousarray(crop[:, ::-1])

    def _sighting(self, proposal: Proposal, outputs: Iterator[tuple[np.ndarray, ...]]) -> Sighting:
        kernel = REFINE_KERNEL if self._config.refine else 0
        crop = decode_landmarks(*next(outputs), kernel=kernel)
        if self._config.mirror:
            crop = averaged(crop, decode_landmarks(*next(outputs), kernel=kernel), self._swap)
        xy = transform(proposal.roi.image_from_crop(CELLS), crop.xy)
        next_roi = roi_from_alignment(xy[ALIGNMENT[0]], xy[ALIGNMENT[1]], self._config.roi_scale)
        if proposal.track is not None:
            next_roi = blended(proposal.roi, next_roi, self._config.roi_blend)
        return Sighting(proposal, xy[:N_KEYPOINTS], crop.confidence[:N_KEYPOINTS], next_roi, crop)

    def _person_in_image(self, sighting: Sighting, track: int, size: tuple[int, int]) -> PersonInImage:
        xy, confidence = missing_as_nan(sighting.xy, sighting.confidence, within_image(sighting.xy, size))
        seen = xy[confidence > 0]
        box = np.concatenate([seen.min(0), seen.max(0)]) if len(seen) else sighting.proposal.roi.box
        heatmaps = sighting.crop.heatmaps() if self._keep_heatmaps else None
        affine = sighting.proposal.roi.image_from_crop(HEATMAP_CELLS) if self._keep_heatmaps else None
        return PersonInImage(xy, confidence, box, min(sighting.crop.pose_presence, 1.0), track, heatmaps, affine)


def within_image(xy: Float[np.ndarray, "J 2"], size: tuple[int, int]) -> Bool[np.ndarray, "J"]:
    """Whether points lie on the image's pixels. The network also guesses points beyond its border; nobody saw those."""
    return np.all((xy >= -0.5) & (xy <= np.array(size) - 0.5), axis=-1)


def averaged(crop: CropLandmarks, mirrored: CropLandmarks, swap: Int[np.ndarray, "39"]) -> CropLandmarks:
    """Mean of a crop's landmarks and those of its mirror image; the heatmaps stay the crop's own."""
    xy = mirrored.xy[swap] * [-1, 1] + [MIRROR_SUM, 0]
    return CropLandmarks(
        (crop.xy + xy) / 2,
        (crop.visibility + mirrored.visibility[swap]) / 2,
        (crop.presence + mirrored.presence[swap]) / 2,
        (crop.pose_presence + mirrored.pose_presence) / 2,
        crop.heatmap_logits,
    )
