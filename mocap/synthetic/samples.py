"""An endless stream of training samples: people in random poses in random rigs, and what detectors say of them.

Samples come in blocks. Block i of a seed is the same whoever makes it, whenever, and however many blocks were made
before; sample j is row j % block_size of block j // block_size. Workers take turns: worker w of W makes w, w + W, ….
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count

import numpy as np
import torch
from jaxtyping import Float, Integer
from pydantic import Field
from torch import Tensor

from mocap.core.config import Config
from mocap.core.errors import InputError
from mocap.core.keypoints import load_keypoint_set
from mocap.core.skeleton import load_skeleton
from mocap.geometry.threads import one_thread
from mocap.synthetic.body_bank import BodyBank, BodyKind, PlacedPeople, make_bodies, place_people
from mocap.synthetic.camera_batch import CameraBatch
from mocap.synthetic.capsules import Boxes, PlacedParts, codes, hidden_by_boxes, hidden_by_parts, inside_image
from mocap.synthetic.detector_config import BLAZEPOSE_LIKE, DetectorErrors
from mocap.synthetic.detector_errors import ErrorRecord, detect
from mocap.synthetic.heatmaps import HeatmapConfig, Sighted, make_heatmaps, person_boxes, rivals_of
from mocap.synthetic.pose_bank import PoseBank, PoseConfig, bank_of_motions, some_motions
from mocap.synthetic.random_rigs import RandomRigConfig, random_rigs
from mocap.synthetic.torso_frames import torso_views
from mocap.synthetic.true_views import TrueViews, facing_cosine

AIRBORNE_M = 0.5
BOX_SIDES_M = (0.3, 1.2)


class SampleConfig(Config):
    """cameras, others, furniture: least and most; the same within a block. others: people besides the subject.

    bodies: how many different ones there are. body "auto" gives other bodies where the extra `synth` is missing.
    motions: kinds whose poses are used, all of them by default. area_m: radius of the disc that people stand on;
    others keep `apart_m` from the subject. airborne: share of people above the floor. heatmaps: none unless configured.
    """

    keypoints: str = "blazepose33"
    block_size: int = Field(default=256, ge=1)
    cameras: tuple[int, int] = (2, 8)
    others: tuple[int, int] = (0, 2)
    furniture: tuple[int, int] = (0, 2)
    bodies: int = Field(default=64, ge=1)
    body: BodyKind = "auto"
    motions: tuple[str, ...] = ()
    area_m: float = Field(default=1.2, ge=0)
    apart_m: float = Field(default=0.45, ge=0)
    airborne: float = Field(default=0.05, ge=0, le=1)
    poses: PoseConfig = PoseConfig()
    rigs: RandomRigConfig = RandomRigConfig()
    errors: DetectorErrors = BLAZEPOSE_LIKE
    heatmaps: HeatmapConfig | None = None


@dataclass(frozen=True, eq=False)
class SampleBlock:
    """N samples of C cameras and K keypoints; each is one moment of one person in a rig of its own.

    xyz: (N, K, 3) m, NaN for keypoints the body lacks. joints: (N, J, 3) m. exact: (N, C, K, 2) px. visibility:
    (N, C, K) codes of `Visibility`. xy (N, C, K, 2) px and confidence (N, C, K): as reported, NaN and 0 where nothing
    is. record: what was done, with axes (N, 1, C, K). boxes: (N, C, 4) px around what the detector takes for the
    person, and heatmaps (N, C, K, H, W) in them, or None.
    """

    index: int
    cameras: CameraBatch
    xyz: Float[np.ndarray, "N K 3"]
    joints: Float[np.ndarray, "N J 3"]
    exact: Float[np.ndarray, "N C K 2"]
    visibility: Integer[np.ndarray, "N C K"]
    xy: Float[np.ndarray, "N C K 2"]
    confidence: Float[np.ndarray, "N C K"]
    record: ErrorRecord
    boxes: Float[np.ndarray, "N C 4"] | None = None
    heatmaps: Float[Tensor, "N C K H W"] | None = None

    def __len__(self) -> int:
        return len(self.xyz)


class Samples:
    """Blocks of samples by number. Bodies and poses are made once, on first use, from the seed alone.

    poses: of the package's skeleton, instead of those of the built-in motions (`bank_of_motions` of any others).
    """

    def __init__(self, config: SampleConfig, seed: int, *, poses: PoseBank | None = None) -> None:
        for name in ("cameras", "others", "furniture"):
            least, most = getattr(config, name)
            if not (1 if name == "cameras" else 0) <= least <= most:
                raise InputError(f"{name} = ({least}, {most}) is not (least, most)")
        self.config, self.seed, self._given = config, seed, poses
        self.keypoint_set = load_keypoint_set(config.keypoints)

    @cached_property
    def bodies(self) -> BodyBank:
        return make_bodies(self.config.bodies, self.keypoint_set, self._rng(0), self.config.body)

    @cached_property
    def poses(self) -> PoseBank:
        if self._given is not None:
            return self._given
        skeleton = load_skeleton("humanoid")
        return bank_of_motions(some_motions(skeleton, self.config.motions, self._rng(1)))

    def blocks(
        self, *, start: int = 0, worker: int = 0, workers: int = 1, reuse: bool = False
    ) -> Iterator[SampleBlock]:
        """Blocks from number `start` on, without end; of several workers each makes its share.

        reuse: heatmaps of all blocks lie in the same memory, so that a block's are gone with the next block: three
        times as fast.
        """
        if not 0 <= worker < workers:
            raise InputError(f"worker {worker} of {workers}: they count from 0")
        memory = self._memory() if reuse else None
        for index in count(start + worker, workers):
            yield self.block(index, memory=memory)

    def block(self, index: int, *, memory: Float[Tensor, "n"] | None = None) -> SampleBlock:
        """Block number `index`, its heatmaps in `memory` if that is given."""
        rng, config = self._rng(2, index), self.config
        n_cameras, n_others, n_boxes = (
            int(rng.integers(least, most + 1)) for least, most in (config.cameras, config.others, config.furniture)
        )
        with one_thread():
            cameras = random_rigs(config.block_size, n_cameras, rng, config.rigs)
            people = self._people(1 + n_others, rng)
            views = self._views(cameras, people, _furniture(config.block_size, n_boxes, rng))
            found = detect(views, config.errors, rng)
            truth = (people[0].keypoints, people[0].joints, views.xy[:, 0], views.visibility[:, 0])
            block = SampleBlock(index, cameras, *truth, found.xy[:, 0], found.confidence[:, 0], found.record)
            return block if config.heatmaps is None else self._with_heatmaps(block, views, rng, memory)

    def _rng(self, *place: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *place])

    def _people(self, how_many: int, rng: np.random.Generator) -> list[PlacedPeople]:
        """The subject of every sample, then everybody else."""
        n, config = self.config.block_size, self.config
        people = []
        for number in range(how_many):
            poses = self.poses.draw(n, rng, config.poses)
            radius, angle = config.area_m * np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n)
            place = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(n)], axis=-1)
            place[:, 2] = AIRBORNE_M * rng.random(n) * (rng.random(n) < config.airborne)
            if number:
                place[:, :2] = _kept_apart(place[:, :2], people[0].joints[:, 0, :2], config.apart_m, rng)
            heading = rng.uniform(-np.pi, np.pi, n)
            which = rng.integers(len(self.bodies), size=n)
            people.append(place_people(self.bodies, which, poses, heading=heading, place=place))
        return people

    def _views(self, cameras: CameraBatch, people: list[PlacedPeople], furniture: Boxes | None) -> TrueViews:
        points, margin, centers = people[0].keypoints, people[0].margin_m, cameras.centers
        exact = cameras.project(np.stack([person.keypoints for person in people], axis=1))
        exact = np.moveaxis(exact, 2, 1)
        inside = inside_image(exact[:, 0], cameras.image_size[:, :, None])
        own = hidden_by_parts(points, centers, people[0].parts, margin)
        other = np.zeros_like(own)
        if len(people) > 1:
            other |= hidden_by_parts(points, centers, _together([p.parts for p in people[1:]]), np.zeros_like(margin))
        if furniture is not None:
            other |= hidden_by_boxes(points, centers, furniture)
        facing = facing_cosine(points[:, None], centers, self.keypoint_set)
        seen = codes(inside, own, other)[:, None]
        bystanders = exact[:, 1:] if len(people) > 1 else None
        torso = None
        if self.config.errors.measured:
            subject = points[:, None]
            torso = torso_views(
                subject, centers, self.keypoint_set, lambda ends: np.moveaxis(cameras.project(ends), 2, 1)
            )
        return TrueViews(self.keypoint_set, exact[:, :1], seen, cameras.image_size, facing, 0.0, bystanders, torso)

    def _with_heatmaps(
        self, block: SampleBlock, views: TrueViews, rng: np.random.Generator, memory: Float[Tensor, "n"] | None
    ) -> SampleBlock:
        how = self.config.heatmaps or HeatmapConfig()
        inside = inside_image(block.record.believed[:, 0], block.cameras.image_size[:, :, None])
        boxes = person_boxes(np.where(inside[..., None], block.record.believed[:, 0], np.nan), how, rng)
        rivals = rivals_of(block.exact, self.keypoint_set.mirror_permutation, views.bystanders, rng)
        heatmaps = make_heatmaps(Sighted(block.xy, block.confidence, boxes, rivals), how, rng, out=memory)
        return replace(block, boxes=boxes, heatmaps=heatmaps)

    def _memory(self) -> Float[Tensor, "n"] | None:
        if self.config.heatmaps is None:
            return None
        maps = self.config.block_size * self.config.cameras[1] * len(self.keypoint_set)
        return torch.empty(maps * int(np.prod(self.config.heatmaps.size)))


def _kept_apart(
    place: Float[np.ndarray, "N 2"], subject: Float[np.ndarray, "N 2"], apart_m: float, rng: np.random.Generator
) -> Float[np.ndarray, "N 2"]:
    """Pushed away from the subject to at least that distance."""
    way = place - subject
    distance = np.linalg.norm(way, axis=-1, keepdims=True)
    close = distance < 1e-9
    angle = rng.uniform(0, 2 * np.pi, len(place))
    anywhere = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    direction = np.where(close, anywhere, way / np.where(close, 1.0, distance))
    return subject + direction * np.maximum(distance, apart_m)


def _together(parts: list[PlacedParts]) -> PlacedParts:
    """Several people's capsules as those of one."""
    return PlacedParts(
        np.concatenate([p.start for p in parts], axis=1),
        np.concatenate([p.unit_from_world for p in parts], axis=1),
        np.concatenate([p.along for p in parts], axis=1),
    )


def _furniture(n: int, boxes: int, rng: np.random.Generator) -> Boxes | None:
    """Boxes that stand on the floor about the middle, turned about the vertical."""
    if not boxes:
        return None
    half = rng.uniform(*BOX_SIDES_M, (n, boxes, 3)) / 2
    radius, angle = rng.uniform(1.0, 2.2, (n, boxes)), rng.uniform(0, 2 * np.pi, (n, boxes))
    center = np.stack([radius * np.cos(angle), radius * np.sin(angle), half[..., 2]], axis=-1)
    yaw = rng.uniform(0, np.pi, (n, boxes))
    turn = np.zeros((n, boxes, 3, 3))
    turn[..., 0, 0] = turn[..., 1, 1] = np.cos(yaw)
    turn[..., 1, 0], turn[..., 0, 1] = np.sin(yaw), -np.sin(yaw)
    turn[..., 2, 2] = 1.0
    return Boxes(center, half, turn)
