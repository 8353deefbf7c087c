"""`mocap evaluate-dataset` on miniatures in the official layouts, against computations that share nothing with it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from dataset_worlds import ACTIONS, HUMAN36M_CAMERAS, SUBJECTS, write_checkpoints, write_human36m, write_panoptic
from mocap.models.published_weights import load_published
from mocap.models.triangulation_nets import AlgebraicNet, AlgebraicNetConfig, VolumetricNet, VolumetricNetConfig
from running_mocap import complaint, invoke

SIZE, VOXELS = 64, 8
SMALL = ("--input-size", SIZE, "--voxels", VOXELS)
TOLERANCE_MM = 0.05
"""float32 at some metres, through different orders of the same sums."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("human36m")
    labels = write_human36m(root)
    return root, labels, *write_checkpoints(root)


def published_view(root: Path, labels: dict, row: int, camera: int, size: int) -> tuple[np.ndarray, np.ndarray] | None:
    """One view as the published data set makes it: BGR, PIL's crop, OpenCV's resize; K moved, then scaled; mm."""
    record = labels["table"][row]
    top, left, bottom, right = (int(v) for v in record["bbox_by_camera_tlbr"][camera])
    if bottom - top == 0:
        return None
    scene = Path(SUBJECTS[record["subject_idx"]]) / ACTIONS[record["action_idx"]] / "imageSequence-undistorted"
    name = f"img_{record['frame_idx'] + 1:06d}.jpg"
    picture = cv2.imread(str(root / "processed" / scene / HUMAN36M_CAMERAS[camera] / name))
    cut = np.asarray(Image.fromarray(picture).crop((left, top, right, bottom)))
    resized = cv2.resize(cut, (size, size), interpolation=cv2.INTER_AREA)
    normal = (resized / 255.0 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    posed = labels["cameras"][record["subject_idx"], camera]
    K = posed["K"].astype(np.float64)
    K[0, 2], K[1, 2] = K[0, 2] - left, K[1, 2] - top
    K[0] *= size / (right - left)
    K[1] *= size / (bottom - top)
    return normal.transpose(2, 0, 1), K @ np.hstack([posed["R"], posed["t"]]).astype(np.float64)


def published_points_mm(root, labels, algebraic, volumetric, row, size=SIZE) -> dict[str, np.ndarray]:
    """Both networks on one moment, from what the published data set gives."""
    views = [view for camera in range(4) if (view := published_view(root, labels, row, camera, size)) is not None]
    pictures = torch.tensor(np.stack([view[0] for view in views]), dtype=torch.float32)[None]
    in_mm = np.stack([view[1] for view in views])
    in_m = torch.tensor(in_mm / [1, 1, 1, 1000], dtype=torch.float32)[None]
    with torch.no_grad():
        first = algebraic(pictures, in_m).xyz
        second = volumetric(pictures, in_m, first[:, 6]).xyz
    return {"algebraic": 1000 * first[0].double().numpy(), "volumetric": 1000 * second[0].double().numpy()}


def naive_mpjpe(points: list[np.ndarray], truth: list[np.ndarray], *, relative: bool) -> float:
    """Joint by joint, frame by frame."""
    frames = []
    for found, true in zip(points, truth, strict=True):
        errors = []
        for joint in range(17):
            difference = found[joint] - true[joint]
            if relative:
                difference = difference - (found[6] - true[6])
            errors.append(sum(value**2 for value in difference) ** 0.5)
        frames.append(sum(errors) / len(errors))
    return sum(frames) / len(frames)


@pytest.fixture(scope="module")
def naive(world):
    root, labels, algebraic, volumetric = world
    nets = [load_published(path) for path in (algebraic, volumetric)]
    nets[1].config = type(nets[1].config)(nets[1].config.backbone, nets[1].config.v2v, size=VOXELS)
    rows = [row for row in range(len(labels["table"])) if SUBJECTS[labels["table"][row]["subject_idx"]] != "S1"]
    return rows, [published_points_mm(root, labels, *nets, row) for row in rows]


def test_human36m_figures_equal_a_naive_computation(world, naive):
    root, labels, algebraic, volumetric = world
    rows, points = naive
    done = invoke(
        "evaluate-dataset",
        "human36m",
        root,
        "--algebraic",
        algebraic,
        "--volumetric",
        volumetric,
        *SMALL,
        "--batch",
        3,
        "--json",
    )
    assert done.returncode == 0, done.stderr
    reports = {report["method"]: report for report in json.loads(done.stdout)}
    assert list(reports) == ["ransac", "algebraic", "volumetric"]
    table = labels["table"][rows]
    damaged = [SUBJECTS[r["subject_idx"]] == "S9" and ACTIONS[r["action_idx"]] == "Greeting-2" for r in table]
    for method in ("algebraic", "volumetric"):
        for scenes, kept in (("all_scenes", [True] * len(rows)), ("undamaged", [not bad for bad in damaged])):
            got = reports[method][scenes]
            chosen = [
                (p[method], r["keypoints"].astype(float), r) for p, r, k in zip(points, table, kept, strict=True) if k
            ]
            assert (got["frames"], got["lost"]) == (len(chosen), 0)
            for kind in ("absolute", "relative"):
                expected = naive_mpjpe([c[0] for c in chosen], [c[1] for c in chosen], relative=kind == "relative")
                assert got[f"{kind}_mm"] == pytest.approx(expected, abs=TOLERANCE_MM)
                greeting = [c for c in chosen if ACTIONS[c[2]["action_idx"]].startswith("Greeting")]
                expected = naive_mpjpe([c[0] for c in greeting], [c[1] for c in greeting], relative=kind == "relative")
                assert got[f"{kind}_by_action_mm"]["Greeting"] == pytest.approx(expected, abs=TOLERANCE_MM)
                s11 = [c for c in chosen if SUBJECTS[c[2]["subject_idx"]] == "S11"]
                expected = naive_mpjpe([c[0] for c in s11], [c[1] for c in s11], relative=kind == "relative")
                assert got[f"{kind}_by_subject_mm"]["S11"] == pytest.approx(expected, abs=TOLERANCE_MM)
    assert reports["volumetric"]["paper_relative_mm"] == 20.4


@pytest.mark.slow
def test_networks_of_the_published_size_run_from_their_files(tmp_path):
    """ResNet-152 with confidences and the whole V2V, random weights; pictures and the cube smaller, for the time."""
    labels = write_human36m(tmp_path)
    paths = tmp_path / "alg.pth", tmp_path / "vol.pth"
    torch.manual_seed(1)
    algebraic, volumetric = AlgebraicNet(AlgebraicNetConfig()), VolumetricNet(VolumetricNetConfig(size=32))
    for network, path in zip((algebraic, volumetric), paths, strict=True):
        torch.save({f"module.{key}": tensor for key, tensor in network.eval().state_dict().items()}, path)
    done = invoke(
        *("evaluate-dataset", "human36m", tmp_path, "--algebraic", paths[0], "--volumetric", paths[1], "--json"),
        *("--input-size", 128, "--voxels", 32, "--subjects", "S11", "--every", 3),
    )
    assert done.returncode == 0, done.stderr
    row = int(np.flatnonzero(labels["table"]["subject_idx"] == SUBJECTS.index("S11"))[0])
    points = published_points_mm(tmp_path, labels, algebraic, volumetric, row, size=128)
    truth = labels["table"][row]["keypoints"].astype(float)
    for report in json.loads(done.stdout)[1:]:
        expected = naive_mpjpe([points[report["method"]]], [truth], relative=False)
        assert report["all_scenes"]["absolute_mm"] == pytest.approx(expected, abs=TOLERANCE_MM)


def test_human36m_prints_the_papers_table(world):
    root, _, algebraic, _ = world
    done = invoke("evaluate-dataset", "human36m", root, "--algebraic", algebraic, *SMALL, "--every", 5)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any("relative" in line and "absolute" in line for line in lines)
    assert any(line.strip().startswith("algebraic") and "22.4" in line and "19.2" in line for line in lines)
    assert any(line.strip().startswith("Greeting ") for line in lines)
    assert "frames done" in done.stderr


def test_a_run_that_was_broken_off_goes_on(world, tmp_path, monkeypatch):
    from mocap.evaluation import dataset_runs
    from mocap.io.human36m_files import Human36mFrames

    root, _, algebraic, _ = world
    keep = tmp_path / "points.npz"
    arguments = (
        "evaluate-dataset",
        "human36m",
        root,
        "--algebraic",
        algebraic,
        *SMALL,
        "--predictions",
        keep,
        "--json",
    )
    monkeypatch.setattr(dataset_runs, "KEPT_EVERY", 2)
    loaded: list[int] = []
    load = Human36mFrames.load

    def failing(self, row, **options):
        if len(loaded) == 5:
            loaded.clear()
            raise KeyboardInterrupt
        loaded.append(row)
        return load(self, row, **options)

    monkeypatch.setattr(Human36mFrames, "load", failing)
    assert invoke(*arguments).returncode == 130
    done = invoke(*arguments)
    assert done.returncode == 0, done.stderr
    assert len(loaded) == 6 - 4, "two savings of two frames were kept"
    monkeypatch.setattr(Human36mFrames, "load", load)
    whole = invoke(*(a for a in arguments if a not in ("--predictions", keep)))
    assert json.loads(whole.stdout) == json.loads(done.stdout)
    told = complaint(invoke(*arguments, "--pelvis", "truth"))
    assert "was made by other networks, options or data" in told
    keep.write_bytes(b"nothing")
    assert "does not hold the points of such a run" in complaint(invoke(*arguments))


def test_true_pelvis_serves_the_volumetric_network_alone(world):
    root, _, _, volumetric = world
    base = ("evaluate-dataset", "human36m", root, "--volumetric", volumetric, *SMALL, "--every", 3)
    assert "needs a first estimate of the pelvis" in complaint(invoke(*base))
    done = invoke(*base, "--pelvis", "truth", "--json")
    assert [report["method"] for report in json.loads(done.stdout)] == ["volumetric"]


def test_mistakes_of_human36m_are_explained(world, tmp_path):
    root, _, algebraic, volumetric = world
    base = ("evaluate-dataset", "human36m", root)
    assert "no network is given" in complaint(invoke(*base))
    assert "is the volumetric network. Give it with --volumetric" in complaint(invoke(*base, "--algebraic", volumetric))
    assert "no such file of weights" in complaint(invoke(*base, "--algebraic", tmp_path / "no.pth"))
    assert "--aggregation: 'mean' is none of" in complaint(
        invoke(*base, "--algebraic", algebraic, "--aggregation", "mean")
    )
    assert "--pelvis: 'guess'" in complaint(invoke(*base, "--algebraic", algebraic, "--pelvis", "guess"))
    assert "--input-size: 100 is no multiple of 32" in complaint(
        invoke(*base, "--algebraic", algebraic, "--input-size", 100)
    )
    assert "10 voxels a side; this network needs a multiple of 4" in complaint(
        invoke(*base, "--volumetric", volumetric, "--voxels", 10)
    )
    assert "no device 'gpu'. Give cpu, cuda" in complaint(invoke(*base, "--algebraic", algebraic, "--device", "gpu"))
    assert "no subject S5" in complaint(invoke(*base, "--algebraic", algebraic, "--subjects", "S5"))
    empty = ("evaluate-dataset", "human36m", tmp_path, "--algebraic", algebraic)
    assert "human36m-multiview-labels-GTbboxes.npy: no such file" in complaint(invoke(*empty))


@pytest.fixture(scope="module")
def panoptic(tmp_path_factory):
    root = tmp_path_factory.mktemp("panoptic")
    written = write_panoptic(root)
    write_panoptic(root, "171204_pose2", frames=(7,), seed=3)
    return root, written, *write_checkpoints(root)


def test_panoptic_figures_equal_a_naive_computation(panoptic, tmp_path):
    root, written, algebraic, volumetric = panoptic
    keep = tmp_path / "points.npz"
    base = ("evaluate-dataset", "cmu_panoptic", root, "--algebraic", algebraic, "--volumetric", volumetric, *SMALL)
    done = invoke(*base, "--sequence", "171026_pose1", "--predictions", keep, "--json")
    assert done.returncode == 0, done.stderr
    reports = {report["method"]: report for report in json.loads(done.stdout)}
    coco_from_19 = [1, 15, 17, 16, 18, 3, 9, 4, 10, 5, 11, 6, 12, 7, 13, 8, 14]
    with np.load(keep) as kept:
        for method, report in reports.items():
            assert (report["people"], report["lost"]) == (2, 0), "the frame with two people does not count"
            means = []
            for points, frame in zip(kept[f"xyz_{method}"], (110, 113), strict=True):
                errors = []
                for joint, theirs in enumerate(coco_from_19):
                    x, y, z, confidence = written["joints"][frame][theirs]
                    if confidence > 0:
                        true = np.array([x, z, -y]) / 100
                        errors.append(1000 * np.linalg.norm(points[joint] - true))
                means.append(np.mean(errors))
            assert len(errors) == 17
            assert report["absolute_mm"] == pytest.approx(np.mean(means), rel=1e-9)
            assert report["by_sequence_mm"] == {"171026_pose1": pytest.approx(np.mean(means), rel=1e-9)}


def test_panoptic_prints_every_sequence_and_joint(panoptic):
    root, _, algebraic, _ = panoptic
    done = invoke("evaluate-dataset", "cmu_panoptic", root, "--algebraic", algebraic, *SMALL, "--joints", "human36m")
    assert done.returncode == 0, done.stderr
    assert "171026_pose1" in done.stdout
    assert "171204_pose2" in done.stdout
    rows = [line.strip().split("  ")[0] for line in done.stdout.splitlines()]
    assert "left knee" in rows
    assert "spine" not in " ".join(rows), "the labels have no spine"


def test_mistakes_of_panoptic_are_explained(panoptic, tmp_path):
    root, _, algebraic, _ = panoptic
    base = ("evaluate-dataset", "cmu_panoptic", root, "--algebraic", algebraic)
    assert "holds no sequence dance. It has 171026_pose1, 171204_pose2" in complaint(
        invoke(*base, "--sequence", "dance")
    )
    assert "no HD camera 00_29. It has 00_01" in complaint(invoke(*base, "--cameras", "00_01,00_29"))
    assert "no network joints 'coco'" in complaint(invoke(*base, "--joints", "coco"))
    assert "the networks have 17 joints, panoptic19 has 19" in complaint(invoke(*base, "--joints", "panoptic19"))
    assert "holds no sequence. Expected" in complaint(invoke("evaluate-dataset", "cmu_panoptic", tmp_path, *base[3:]))
