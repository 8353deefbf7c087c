"""The chain of stages on the numeric sample: right, made once, and made again from where something changed."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mocap.pipeline
from calibration import Rig
from calibration.rig_file import read_rig, write_rig
from calibration.transforms import RigidTransform
from mocap.core.errors import InputError, NoPersonError
from mocap.io import artefacts
from mocap.io.bvh import joint_positions, read_bvh
from mocap.jobs import find_jobs
from mocap.pipeline import STAGES, PipelineConfig, TakeResult, process_take
from mocap.stage_cache import SilentObserver
from mocap.stages.align import AlignConfig
from mocap.stages.associate import AssociateConfig
from mocap.stages.feet import FeetConfig
from mocap.stages.repair import RepairConfig
from mocap.stages.smooth import SmoothConfig
from mocap.stages.solve import SolveConfig
from mocap.stages.triangulate import TriangulateConfig
from mocap.synthetic.gait import joint_poses
from running_mocap import copy_of_sample, rubbish


def process(session: Path, config: PipelineConfig | None = None, **options) -> TakeResult:
    (job,) = find_jobs([str(session)])
    return process_take(job, config or PipelineConfig(), **options)


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[Path, TakeResult]:
    """The sample, processed once; to look at."""
    session = copy_of_sample(tmp_path_factory.mktemp("sample") / "session")
    return session, process(session)


FRAMES = 30
"""Of the sample, where it is asked what runs again and not how well: half the time of all 120."""


@pytest.fixture(scope="module")
def brief(tmp_path_factory) -> tuple[Path, TakeResult]:
    """A second of the sample, processed once; to compare with."""
    session = copy_of_sample(tmp_path_factory.mktemp("brief") / "session", frames=FRAMES)
    return session, process(session)


@pytest.fixture
def session(brief, tmp_path) -> Path:
    """A second of the sample, processed, to change."""
    return shutil.copytree(brief[0], tmp_path / "session")


def take_of(session: Path) -> Path:
    return session / "takes" / "walk"


def exported(session: Path) -> bytes:
    return (take_of(session) / "export" / "walk.bvh").read_bytes()


def times(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_a_first_run_runs_every_stage_and_says_where_the_results_are(done):
    session, result = done
    assert result.ran == STAGES
    export = take_of(session) / "export"
    assert result.files == tuple(export / f"walk.{kind}" for kind in ("bvh", "fbx", "glb"))
    assert result.figures["frames"] == 120
    assert result.figures["camera_frames"] == 480
    assert result.figures["frames_lost"] == 0
    report = json.loads(result.report_path.read_text(encoding="utf-8"))
    assert report["figures"] == result.figures
    assert tuple(report["stages"]) == STAGES
    assert rubbish(session) == []


def test_the_motion_is_that_of_the_person_who_walked(done):
    """Joints to the truth, not to keypoints. Keypoints lie up to 3 cm off the joints they name, by construction, and
    are seen with some pixels of noise (5 mm each at 4 m)."""
    session, result = done
    truth = np.load(take_of(session) / "truth.npz")
    (motion,) = artefacts.load_motions(take_of(session) / "derived" / "feet.h5")
    _, joints = joint_poses(motion)
    order = [list(truth["joint_names"]).index(name) for name in motion.skeleton.joint_names]
    apart = np.linalg.norm(joints - truth["joints_m"][:, order], axis=-1)
    limbs = [
        motion.skeleton.index(f"{side}{part}")
        for side in ("Left", "Right")
        for part in ("Arm", "ForeArm", "Hand", "UpLeg", "Leg", "Foot")
    ]
    assert np.median(apart[:, limbs], axis=0).max() < 0.035
    assert apart[:, limbs].max() < 0.15, "never somebody else, never a flipped limb"
    assert result.figures["solve_distance_mm"] < 15
    in_file = joint_positions(read_bvh(result.files[0]))[..., [0, 2, 1]] * [0.01, -0.01, 0.01]  # Y up, centimetres
    assert in_file == pytest.approx(joints, abs=1e-6)


def test_a_second_run_does_nothing(done):
    session = done[0]
    before = times(session)
    again = process(session)
    assert again.ran == ()
    assert again.figures == done[1].figures
    assert again.notes == done[1].notes
    assert times(session) == before


@pytest.mark.parametrize(
    ("first", "change"),
    [
        ("align", {"align": AlignConfig(span="intersection")}),
        ("associate", {"associate": AssociateConfig(tolerance_mm=80)}),
        ("triangulate", {"triangulate": TriangulateConfig(method="ransac")}),
        ("smooth", {"smooth": SmoothConfig(cutoff_hz=4)}),
        ("repair", {"repair": RepairConfig(enabled=False)}),
        ("solve", {"solve": SolveConfig(smoothness=3)}),
        ("solve", {"feet": FeetConfig(enabled=False)}),
        ("export", {"export": mocap.pipeline.ExportConfig(unit="m")}),
    ],
)
def test_a_setting_runs_its_stage_and_those_after_it(session, brief, first, change):
    before = exported(session)
    assert process(session, PipelineConfig(**change)).ran == STAGES[STAGES.index(first) :]
    assert process(session, PipelineConfig(**change)).ran == ()
    assert first in ("align", "associate", "repair") or exported(session) != before
    assert process(session).ran == STAGES[STAGES.index(first) :]
    assert exported(session) == exported(brief[0])


def test_other_cameras_are_a_reason_to_triangulate_but_not_to_detect(session):
    path = session / "calibration" / "rig.toml"
    rig = read_rig(path)
    write_rig(rig, path)
    assert process(session).ran == (), "the same cameras, written again"
    pose = rig["cam02"].cam_from_world
    moved = replace(rig["cam02"], cam_from_world=RigidTransform(pose.R, pose.t + [0, 0, 1e-3]))
    write_rig(Rig(tuple(moved if camera.name == "cam02" else camera for camera in rig)), path)
    assert process(session).ran == STAGES[STAGES.index("associate") :]


def test_another_frame_rate_is_a_reason_to_go_on_from_the_detections(session):
    (take_of(session) / "take.toml").write_text("[take]\nfps = 25.0\n")
    result = process(session)
    assert result.ran == STAGES[1:]
    assert "Frame Time: 0.04\n" in exported(session).decode()


def test_one_number_changed_in_the_2d_results_runs_everything(session):
    """In place: the folder itself keeps its time."""
    path = take_of(session) / "detections" / "cam02.json"
    text = path.read_text()
    path.write_text(text.replace('"bbox_score":0.', '"bbox_score":0.0', 1))
    assert process(session).ran == STAGES


def test_new_code_runs_again_from_its_stage_on(session, monkeypatch):
    real = mocap.pipeline.source_key
    monkeypatch.setattr(mocap.pipeline, "source_key", lambda name: real(name) + "x" * (name == "mocap.stages.solve"))
    assert process(session).ran == ("solve", "feet", "export")


def test_force_runs_everything_and_gives_the_same_bytes(session, brief):
    assert process(session, force=True).ran == STAGES
    assert exported(session) == exported(brief[0])


@pytest.mark.parametrize("how", ["deleted", "edited"])
def test_an_export_that_is_not_what_was_written_is_written_again(session, brief, how):
    path = take_of(session) / "export" / "walk.bvh"
    if how == "deleted":
        path.unlink()
    else:
        path.write_text(path.read_text() + "\n")
    assert process(session).ran == ("export",)
    assert exported(session) == exported(brief[0])


def test_a_take_that_got_another_name_is_exported_under_it(session):
    take_of(session).rename(session / "takes" / "stroll")
    result = process(session)
    assert result.ran == ("export",)
    assert [path.name for path in result.files] == ["stroll.bvh", "stroll.fbx", "stroll.glb"]
    assert (result.report_path.name, json.loads(result.report_path.read_text())["take"]) == (
        "stroll_report.json",
        "stroll",
    )


@pytest.mark.parametrize(
    ("stage", "how"),
    [(stage, "damaged inside") for stage in STAGES[:-1]]
    + [("triangulate", how) for how in ("cut off", "no HDF5", "empty", "gone")],
)
def test_a_damaged_result_that_is_needed_is_made_again(session, brief, stage, how):
    path = take_of(session) / "derived" / f"{stage}.h5"
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        damaged = {"cut off": data[: len(data) // 2], "no HDF5": b"HIERARCHY\n", "empty": b""}
        path.write_bytes(damaged.get(how) if how in damaged else with_noise_in_the_arrays(data))
    following = STAGES[STAGES.index(stage) + 1 :]
    (take_of(session) / "derived" / f"{following[0]}.json").unlink()
    assert process(session).ran == (stage, following[0])
    assert exported(session) == exported(brief[0])
    assert process(session).ran == ()


@pytest.mark.parametrize(
    ("stage", "torn"), [*((stage, "") for stage in STAGES), ("smooth", '{"key": "'), ("smooth", "{}")]
)
def test_a_report_that_is_missing_or_torn_is_made_again(session, brief, stage, torn):
    """With its result, on which nothing else has changed; what the command says stays complete."""
    (take_of(session) / "derived" / f"{stage}.json").write_text(torn)
    result = process(session)
    assert result.ran == (stage,)
    assert result.figures == brief[1].figures


def test_figures_are_those_of_the_exported_motion(session, brief):
    """An experiment that was broken off has left another result in the middle."""
    with pytest.raises(KeyboardInterrupt):
        process(session, PipelineConfig(triangulate=TriangulateConfig(method="dlt")), observer=Killer("smooth"))
    result = process(session)
    assert result.ran == ("triangulate",)
    assert result.figures == brief[1].figures


def with_noise_in_the_arrays(data: bytes) -> bytes:
    """The largest piece of an HDF5 file is an array; its attributes, and the key among them, stay as they are."""
    middle = len(data) // 2
    return data[:middle] + np.random.default_rng(0).bytes(5000) + data[middle + 5000 :]


class Killer(SilentObserver):
    """Ctrl-C at the start of a stage."""

    def __init__(self, stage: str) -> None:
        self.stage = stage

    def stage_started(self, stage: str) -> None:
        if stage == self.stage:
            raise KeyboardInterrupt


@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupted_run_leaves_nothing_half_done_and_goes_on_where_it_was(tmp_path, brief, stage):
    session = copy_of_sample(tmp_path / "session", frames=FRAMES)
    with pytest.raises(KeyboardInterrupt):
        process(session, observer=Killer(stage))
    assert rubbish(session) == []
    assert not list((take_of(session)).rglob("*.bvh"))
    assert process(session).ran == STAGES[STAGES.index(stage) :]
    assert exported(session) == exported(brief[0])


def test_leftovers_of_a_killed_run_go_away(session):
    for folder in ("derived", "export"):
        path = take_of(session) / folder / ".walk.bvh.99.part"
        path.write_bytes(b"half")
        os.utime(path, (0, 0))
    process(session)
    assert rubbish(session) == []


class Listener(SilentObserver):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def stage_started(self, stage: str) -> None:
        self.heard.append(f"{stage} started")

    def stage_finished(self, stage: str, seconds: float, *, cached: bool) -> None:
        self.heard.append(f"{stage} finished")


def test_an_observer_hears_of_stages_that_run(session):
    listener = Listener()
    process(session, PipelineConfig(solve=SolveConfig(smoothness=2)), observer=listener)
    stages = ("solve", "feet", "export")
    assert listener.heard == [f"{stage} {what}" for stage in stages for what in ("started", "finished")]


def test_2d_results_without_a_frame_rate_are_refused(tmp_path):
    session = copy_of_sample(tmp_path / "session", frames=FRAMES)
    (take_of(session) / "take.toml").unlink()
    with pytest.raises(InputError, match=r'walk: 2D results .* do not say how many frames a second .* Write "\[take\]'):
        process(session)
    assert not (take_of(session) / "derived").exists()


def test_a_rig_with_more_cameras_than_the_take_is_fine_and_told(tmp_path):
    session = copy_of_sample(tmp_path / "session", frames=FRAMES)
    (take_of(session) / "detections" / "cam04.json").unlink()
    text = (session / "session.toml").read_text()
    (session / "session.toml").write_text(text.replace('[[camera]]\nname = "cam04"\n', ""))
    result = process(session)
    assert "the rig's cam04 has nothing in this take and is left out" in result.notes
    assert result.figures["camera_frames"] == 3 * FRAMES


def test_what_a_stage_complains_of_gets_the_name_of_the_take(tmp_path):
    """Cameras that look elsewhere: everybody is seen, and no two views agree."""
    session = copy_of_sample(tmp_path / "session", frames=FRAMES)
    path = session / "calibration" / "rig.toml"
    turned = []
    for n, camera in enumerate(read_rig(path)):
        away = RigidTransform.from_rotvec(np.array([0.4 * n, 0.3 - 0.2 * n, 0.1]), np.zeros(3))
        pose = camera.cam_from_world
        turned.append(replace(camera, cam_from_world=RigidTransform(away.R @ pose.R, away.R @ pose.t)))
    write_rig(Rig(tuple(turned)), path)
    with pytest.raises(
        NoPersonError, match=r"session.takes.walk: no two cameras agree on a person .* Check that the cal"
    ):
        process(session)
    assert not (take_of(session) / "derived" / "associate.h5").exists()
    assert rubbish(session) == []
