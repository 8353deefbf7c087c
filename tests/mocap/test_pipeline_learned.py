"""Learned triangulation in the chain of stages: heatmaps are kept when needed, and looked for no more often."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

import mocap.pipeline
import mocap.segmented_detection
import mocap.stages.triangulate
from calibration.camera import Rig
from calibration.rig_file import write_rig
from heatmap_worlds import FPS, KEYPOINTS, DrawnHeatmaps, seen_by, walker
from mocap.core.errors import ConfigError
from mocap.core.keypoints import Keypoints2D, KeypointSet
from mocap.core.session import Session, SessionCamera
from mocap.io.artefacts import load_keypoints3d
from mocap.io.session_files import write_session
from mocap.io.video_writer import VideoWriter
from mocap.jobs import find_jobs
from mocap.models.detector import NetworkIdentity, PersonInImage
from mocap.models.heatmap_volumes import HeatmapVolumeConfig, HeatmapVolumeNet
from mocap.models.shipped import write_shipped
from mocap.models.view_confidences import ViewConfidenceConfig, ViewConfidenceNet
from mocap.pipeline import STAGES, PipelineConfig, TakeResult, associated_take, process_take
from mocap.stages.detect import DetectConfig
from mocap.stages.triangulate import TriangulateConfig
from mocap.synthetic.rigs import RigConfig, make_rig
from running_mocap import copy_of_sample

FRAMES = 12
FROM_TRIANGULATE = STAGES[STAGES.index("triangulate") :]
SMALL = ViewConfidenceConfig(width=16, heads=2, blocks=1)


@dataclass
class KnowingDetector:
    """A `Detector2D` that knows where the person is, picture by picture; `looked` counts pictures."""

    points: Keypoints2D
    keep_heatmaps: bool
    looked: list[int]
    frame: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    networks: tuple[NetworkIdentity, ...] = ()

    @property
    def keypoint_set(self) -> KeypointSet:
        return KEYPOINTS

    def reset(self) -> None:
        self.frame = 0

    def detect(self, images: Sequence[np.ndarray], cameras: Sequence[int]) -> list[list[PersonInImage]]:
        self.looked.append(len(images))
        drawn = DrawnHeatmaps(self.points, []).read(range(self.frame, self.frame + 1))
        xy, confidence = self.points.xy[self.frame, 0], self.points.confidence[self.frame, 0]
        self.frame += 1
        people = []
        for camera in cameras:
            own = xy[camera]
            kept = {
                "heatmaps": drawn.heatmaps[0, 0, camera].astype(np.float32),
                "px_from_heatmap": drawn.px_from_heatmap[0, 0, camera],
            }
            box = np.concatenate([np.nanmin(own, 0), np.nanmax(own, 0)])
            people.append([PersonInImage(own, confidence[camera], box, 0.9, 0, **(kept if self.keep_heatmaps else {}))])
        return people


@pytest.fixture(scope="module")
def rig() -> Rig:
    return make_rig(RigConfig(cameras=3, lens="distorted", image_size=(320, 240)), np.random.default_rng(5))


@pytest.fixture(scope="module")
def xyz() -> np.ndarray:
    return walker(FRAMES)


@pytest.fixture(scope="module")
def filmed(rig, tmp_path_factory) -> Path:
    """A session of grey pictures."""
    root = tmp_path_factory.mktemp("learned") / "session"
    for camera in rig:
        with VideoWriter(root / "takes" / "walk" / "video" / f"{camera.name}.mp4", (320, 240), FPS) as writer:
            for _ in range(FRAMES):
                writer.write(np.full((240, 320, 3), 120, dtype=np.uint8))
    write_rig(rig, root / "calibration" / "rig.toml")
    write_session(Session(root=root, cameras=tuple(SessionCamera(name) for name in rig.names)))
    return root


@pytest.fixture
def session(filmed, tmp_path) -> Path:
    return shutil.copytree(filmed, tmp_path / "session")


@pytest.fixture
def looked(rig, xyz, monkeypatch) -> list[int]:
    """Pictures that a detector which knows everything has looked at; untrained networks stand for trained ones."""
    counts: list[int] = []
    points = seen_by(rig, xyz)

    def made(config: DetectConfig, **_) -> KnowingDetector:
        return KnowingDetector(points, config.keep_heatmaps, counts)

    def network(method: str, _) -> torch.nn.Module:
        torch.manual_seed(0)
        small = HeatmapVolumeConfig(width=16, heads=2, layers=1, view_width=16)
        return ViewConfidenceNet(SMALL) if method == "algebraic" else HeatmapVolumeNet(small)

    monkeypatch.setattr(mocap.segmented_detection, "make_detector", made)
    monkeypatch.setattr(mocap.stages.triangulate, "network_of", network)
    monkeypatch.setattr(mocap.pipeline, "require_weights", lambda *_: None)
    return counts


def process(session: Path, method: str, **learned) -> TakeResult:
    (job,) = find_jobs([str(session)])
    triangulate = TriangulateConfig.model_validate({"method": method, "learned": learned})
    return process_take(job, PipelineConfig(triangulate=triangulate))


def derived(session: Path) -> Path:
    return session / "takes" / "walk" / "derived"


def test_a_method_that_needs_heatmaps_has_them_kept_by_itself(session, looked, xyz):
    result = process(session, "volumetric")
    assert result.ran == STAGES
    assert sum(looked) == FRAMES * 3
    assert [path.name for path in (derived(session) / "heatmaps").iterdir()] == ["0.h5"]
    found = load_keypoints3d(derived(session) / "triangulate.h5").xyz[:, 0]
    assert np.nanmedian(np.linalg.norm(found - xyz, axis=-1)) < 0.1
    assert not [note for note in result.notes if "volumetric" in note]
    assert process(session, "volumetric").ran == ()


def test_changing_the_method_looks_again_only_for_heatmaps_that_were_not_kept(session, looked):
    assert process(session, "robust").ran == STAGES
    assert not (derived(session) / "heatmaps").exists()
    assert process(session, "volumetric").ran == ("detect", *FROM_TRIANGULATE)
    assert sum(looked) == 2 * FRAMES * 3
    assert process(session, "robust").ran == FROM_TRIANGULATE
    assert process(session, "volumetric").ran == FROM_TRIANGULATE
    shutil.rmtree(derived(session) / "heatmaps")
    assert process(session, "volumetric").ran == (), "what was made of them is still there"
    assert process(session, "algebraic").ran == FROM_TRIANGULATE, "xy and confidence are enough for it"
    assert sum(looked) == 2 * FRAMES * 3


def test_other_weights_are_a_reason_to_triangulate(session, looked, tmp_path):
    torch.manual_seed(0)
    write_shipped("algebraic_blazepose", ViewConfidenceNet(SMALL), SMALL, folder=tmp_path / "weights")
    assert process(session, "algebraic", weights=tmp_path / "weights").ran == STAGES
    assert process(session, "algebraic", weights=tmp_path / "weights").ran == ()
    write_shipped("algebraic_blazepose", ViewConfidenceNet(SMALL), SMALL, folder=tmp_path / "weights")
    assert process(session, "algebraic", weights=tmp_path / "weights").ran == FROM_TRIANGULATE


def test_the_take_before_triangulation_comes_with_its_heatmaps(session, looked, rig):
    (job,) = find_jobs([str(session)])
    config = PipelineConfig(triangulate=TriangulateConfig(method="volumetric"))
    with associated_take(job, config) as given:
        assert given.rig.names == rig.names
        assert given.heatmaps is not None
        batch = given.heatmaps.read(range(2, 4))
        assert batch.seen.all()
        assert batch.heatmaps.shape == (2, 1, 3, len(KEYPOINTS), 64, 64)
    with associated_take(job, PipelineConfig()) as given:
        assert given.heatmaps is None
    assert sum(looked) == FRAMES * 3


def test_a_method_without_weights_is_refused_before_anything_is_looked_at(session, tmp_path):
    with pytest.raises(ConfigError, match="no weights for the volumetric method"):
        process(session, "volumetric", weights=tmp_path)
    assert not derived(session).exists()


def test_imported_2d_results_do_without_heatmaps_and_say_what_that_means(looked, tmp_path):
    sample = copy_of_sample(tmp_path / "sample")
    result = process(sample, "volumetric")
    assert any("the volumetric method was not used, the robust one was: there are no heat" in n for n in result.notes)
    again = process(sample, "algebraic")
    assert again.ran == FROM_TRIANGULATE
    assert not [note for note in again.notes if "algebraic" in note]
    assert looked == []
