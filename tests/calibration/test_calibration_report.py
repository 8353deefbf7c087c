"""Verdicts on a calibration, and the page and the document that tell them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from calibration import Intrinsics, Lens, Rig, RigidTransform, quality_volume
from calibration.boards import CharucoBoard
from calibration.bundle_adjustment import bundle_adjust
from calibration.bundle_result import BundleConfig, BundleResult
from calibration.extrinsics import CameraEdge, ExtrinsicsReport
from calibration.intrinsics_prior import IntrinsicsPrior, parameter_names
from calibration.intrinsics_result import IntrinsicsResult
from calibration.observations import BoardObservations
from calibration.quality import CalibrationReport, HeldOut, assess
from calibration.quality_verdicts import judge, limits_mm, limits_px, worst
from calibration.report_html import page, write_report, write_report_json
from calibration.report_scene import magnification, scene
from calibration.synthetic import Seeing, observe_board, ring, waved_board
from calibration.triangulation import triangulate_dlt
from calibration.world_frame import WorldFrame

BOARD = CharucoBoard(5, 7, 0.1, 0.075)
LENSES = (
    Intrinsics((1280, 720), np.array([[900.0, 0, 620], [0, 905, 370], [0, 0, 1]]), np.array([-0.1, 0.05, 1e-3, 0, 0])),
    Intrinsics((1440, 1080), np.array([[820.0, 0, 702], [0, 815, 560], [0, 0, 1]]), np.zeros(4), Lens.FISHEYE),
)
RIG = ring(4, LENSES)
FLOOR = WorldFrame(RigidTransform(np.eye(3), np.zeros(3)), 1.0, "as it was made")


@pytest.fixture(autouse=True, scope="module")
def coarse_volume():
    """A grid of 25 cm shows the same, sooner."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality_volume, "MOST_POINTS", 600)
        yield


@pytest.fixture(scope="module")
def seen() -> BoardObservations:
    rng = np.random.default_rng(11)
    motion = waved_board(BOARD.corners, n_moments=100, fps=5, rng=rng)
    return observe_board(RIG, motion, BOARD.corners, Seeing(noise_px=0.2, outlier_share=0.01, two_sided=True), rng)


@pytest.fixture(scope="module")
def parts(seen: BoardObservations) -> tuple[BoardObservations, BoardObservations]:
    """Solved and held out."""
    return seen.of_views(seen.view_moment % 5 != 0), seen.of_views(seen.view_moment % 5 == 0)


@pytest.fixture(scope="module")
def bundle(parts: tuple[BoardObservations, BoardObservations]) -> BundleResult:
    motion = waved_board(BOARD.corners, n_moments=100, fps=5, rng=np.random.default_rng(11))
    return bundle_adjust(RIG, motion, parts[0], priors={camera.name: known(camera.intrinsics) for camera in RIG})


def known(intrinsics: Intrinsics) -> IntrinsicsPrior:
    """As a calibration of its own would tell it."""
    std = np.array([2.0, 2.0, 2.0, 2.0, *np.full(len(intrinsics.distortion), 2e-3)])
    return IntrinsicsPrior(intrinsics, np.diag(std**2))


@pytest.fixture(scope="module")
def report(parts: tuple[BoardObservations, BoardObservations], bundle: BundleResult) -> CalibrationReport:
    motion = waved_board(BOARD.corners, n_moments=100, fps=5, rng=np.random.default_rng(11))
    held = BundleConfig(cameras_fixed=True, refine_intrinsics=False)
    solved = bundle_adjust(bundle.rig, motion, parts[1], held)
    return assess(parts[0], bundle, {}, held_out=HeldOut(parts[1], solved), world=FLOOR)


# Verdicts


def test_a_good_calibration_is_called_good(report):
    assert report.verdict == "good", report.sentences
    assert report.headline.startswith("Good: corners of the board lie 0.2")
    assert all(camera.verdict == "good" and not camera.reasons for camera in report.cameras)
    assert report.errors.outliers == pytest.approx(0.01 * report.errors.corners, rel=0.5)
    assert report.board.held_out
    assert report.board.mean_mm == pytest.approx(100.0, abs=0.2)
    assert 0.9 < report.board.kept_share <= 1
    assert {(edge.one, edge.two) for edge in report.graph} >= {("cam01", "cam02"), ("cam01", "cam03")}


def test_the_expected_error_is_about_the_one_that_happened(report, bundle):
    points = report.volume.points
    px = np.moveaxis(RIG.project(points), 0, 1)
    sizes = np.array([camera.intrinsics.image_size for camera in RIG])
    with np.errstate(invalid="ignore"):
        px[~((px >= -0.5) & (px < sizes - 0.5)).all(axis=-1)] = np.nan
    found = triangulate_dlt(bundle.rig, px)
    seen = np.isfinite(found).all(axis=-1)
    moved = aligned(found[seen], points[seen]) - points[seen]
    happened = 1e3 * np.median(np.linalg.norm(moved, axis=-1))
    # One draw of some ten numbers that matter (4 cameras' places and directions, less the whole's, and focal lengths),
    # of which the alignment took some more: a factor of two either way is three deviations.
    assert 0.4 < happened / report.volume.median_calibration_mm < 2.0


def aligned(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Rigidly moved to lie best on others (Kabsch 1976): where the whole rig lies is nobody's error."""
    middle, there = points.mean(axis=0), onto.mean(axis=0)
    U, _, Vt = np.linalg.svd((onto - there).T @ (points - middle))
    return (points - middle) @ (U @ np.diag([1, 1, np.linalg.det(U @ Vt)]) @ Vt).T + there


def test_the_world_changes_places_but_no_error(parts, bundle, report):
    turned = RigidTransform.from_rotvec(np.array([0.1, 0.2, 0.9]), np.array([3.0, -2.0, 1.0]))
    one = assess(parts[0], bundle, {})
    other = assess(parts[0], bundle, {}, world=WorldFrame(turned, 1.0, "turned"))
    assert one.solve.world == ""
    for a, b in zip(one.cameras, other.cameras, strict=True):
        np.testing.assert_allclose(turned.apply(a.center_m), b.center_m, atol=1e-9)
        # Uncertainties are with respect to a box along the world's axes, which is another one.
        assert (a.position_std_mm, a.ray_std_mm) == (
            pytest.approx(b.position_std_mm, rel=0.3),
            pytest.approx(b.ray_std_mm, rel=0.6),
        )
    assert report.volume.median_calibration_mm == pytest.approx(other.volume.median_calibration_mm, rel=0.5)


def test_a_world_of_another_scale_scales_errors(parts, bundle):
    one = assess(parts[0], bundle, {}, world=FLOOR).cameras[0]
    twice = assess(parts[0], bundle, {}, world=replace(FLOOR, scale=2.0)).cameras[0]
    assert twice.position_std_mm == pytest.approx(2 * one.position_std_mm, rel=0.3)
    np.testing.assert_allclose(twice.center_m, 2 * one.center_m)
    assert twice.rotation_std_deg == pytest.approx(one.rotation_std_deg, rel=0.3)


def test_a_camera_that_contradicts_itself_is_to_be_redone(parts, bundle):
    worse = bundle.residual_px.copy()
    worse[parts[0].camera == 2] *= 9
    report = assess(parts[0], replace(bundle, residual_px=worse), {}, world=FLOOR)
    assert report.verdict == "redo"
    assert report.headline.startswith("Redo camera cam03: corners lie 2.")
    assert "film the board slowly" in report.headline
    assert report.sentences[0].startswith("cam03: Corners lie")
    assert [camera.verdict for camera in report.cameras] == ["good", "good", "redo", "good"]


def test_a_lens_that_does_not_fit_is_told(parts, bundle):
    bent = bundle.residual_px.copy()
    mine = parts[0].camera == 2
    centred = (parts[0].xy[mine] - [620, 370]) / 640
    bent[mine] += 40.0 * centred * ((centred**2).sum(axis=1, keepdims=True) - 0.15)
    camera = assess(parts[0], replace(bundle, residual_px=bent), {}, world=FLOOR).camera("cam03")
    assert camera.field.p_value < 0.01
    assert camera.verdict == "usable"
    assert any('choose the lens "rational" or "fisheye"' in reason for reason in camera.reasons)


def test_many_outliers_cost_a_camera_its_verdict(parts, bundle):
    fourth = (parts[0].camera == 0) & (np.arange(parts[0].n_corners) % 4 == 0)
    wild = np.where(fourth[:, None], 30.0, bundle.residual_px)
    camera = assess(parts[0], replace(bundle, residual_px=wild), {}, world=FLOOR).camera("cam01")
    assert camera.verdict == "redo"
    assert "of its corners contradict the others" in camera.reasons[0]
    assert camera.errors.rms_px < 0.5


def test_what_the_solve_left_out_still_counts(parts, bundle):
    fourth = (parts[0].camera == 0) & (np.arange(parts[0].n_corners) % 4 == 0)
    worse = np.where(fourth[:, None], 2.5, bundle.residual_px)
    left_out = replace(bundle, residual_px=worse, outlier=bundle.outlier | fourth)
    camera = assess(parts[0], left_out, {}, world=FLOOR).camera("cam01")
    # A quarter is 3.5 px off: RMS 1.8 px, whatever the solve used.
    assert camera.errors.rms_px == pytest.approx(1.8, abs=0.1)
    assert camera.verdict == "usable"
    assert any(reason.startswith("The solve trusted 74% of its corners") for reason in camera.reasons)


def test_an_uncertain_solution_is_not_good(parts, bundle):
    report = assess(parts[0], replace(bundle, covariance=6400 * bundle.covariance, converged=False), {}, world=FLOOR)
    assert report.verdict == "redo"
    assert any("Its rays pass by points" in reason for camera in report.cameras for reason in camera.reasons)
    assert any(sentence.startswith("The solution still changed") for sentence in report.sentences)
    assert any(sentence.startswith("Calibration alone puts points") for sentence in report.sentences)


def test_a_camera_that_shares_few_moments_is_told(parts, bundle):
    there = parts[0].view_camera != 3
    few = there | np.isin(np.arange(parts[0].n_views), np.flatnonzero(~there)[:6])
    rows = few[parts[0].view]
    columns = {name: getattr(bundle, name)[rows] for name in ("residual_px", "weight", "outlier")}
    camera = assess(parts[0].of_views(few), replace(bundle, **columns), {}, world=FLOOR).camera("cam04")
    assert camera.shared_moments <= 6
    assert any(f"at {camera.shared_moments} moments only" in reason for reason in camera.reasons)


def own_lens(camera: str, intrinsics: Intrinsics, verdict: str) -> IntrinsicsResult:
    names = parameter_names(intrinsics)
    return IntrinsicsResult(
        camera, intrinsics, names, np.diag(np.full(len(names), 4.0)), 0.3, 0.2, np.arange(3), {}, {},
        np.ones((8, 8), dtype=int), 1e-3, verdict, ("Add footage: tilt it.",),
    )  # fmt: skip


def test_what_single_cameras_say_counts(parts, bundle):
    own = {"cam01": own_lens("cam01", LENSES[0], "redo"), "cam02": own_lens("cam02", LENSES[1], "good")}
    report = assess(parts[0], bundle, own, world=FLOOR)
    assert report.camera("cam01").verdict == "usable"
    assert report.camera("cam01").reasons == ("Its own clips do not determine its lens: Add footage: tilt it.",)
    assert report.camera("cam02").verdict == "good"
    assert report.camera("cam01").covered_share == 1.0


def test_focal_lengths_that_the_solve_held_have_the_deviation_of_their_own_calibration(parts, bundle):
    rows = [i for i, (_, name) in enumerate(bundle.parameters) if name in ("rx", "ry", "rz", "x", "y", "z")]
    parameters = tuple(bundle.parameters[i] for i in rows)
    held = replace(bundle, parameters=parameters, covariance=bundle.covariance[np.ix_(rows, rows)])
    report = assess(parts[0], held, {"cam01": own_lens("cam01", LENSES[0], "good")}, world=FLOOR)
    assert report.camera("cam01").focal_std_px == pytest.approx(np.sqrt(2.0))  # the mean of two with variance 4
    assert np.isnan(report.camera("cam02").focal_std_px)


def test_cameras_that_share_a_lens_are_all_uncertain_of_it(parts, bundle):
    lens = bundle.rig["cam01"].intrinsics
    cameras = tuple(replace(c, intrinsics=lens) if c.name == "cam03" else c for c in bundle.rig)
    rows = [i for i, (n, p) in enumerate(bundle.parameters) if n != "cam03" or p in ("rx", "ry", "rz", "x", "y", "z")]
    shared = replace(
        bundle,
        rig=Rig(cameras),
        parameters=tuple(bundle.parameters[i] for i in rows),
        covariance=bundle.covariance[np.ix_(rows, rows)],
    )
    report = assess(parts[0], shared, {}, world=FLOOR)
    assert report.camera("cam03").focal_std_px == pytest.approx(report.camera("cam01").focal_std_px)
    assert report.camera("cam01").focal_std_px > 0


def test_pairs_that_the_start_rejected_are_told(parts, bundle):
    edge = CameraEdge(("cam02", "cam01"), 9, 1, 90, 8.0, False, False, 0.1, 0.2, "contradicts the other pairs by 6°")
    start = ExtrinsicsReport((edge,), (RIG.names,), {}, ("Cameras cam02 and cam01 contradict the others.",))
    report = assess(parts[0], bundle, {}, start, world=FLOOR)
    rejected = [edge for edge in report.graph if not edge.used]
    assert [(e.one, e.two, e.reason) for e in rejected] == [("cam01", "cam02", "contradicts the other pairs by 6°")]
    assert report.sentences[-1] == "Cameras cam02 and cam01 contradict the others."
    assert "edge rejected" in page(report, bundle.rig)


def test_limits_are_shares_of_what_detectors_are_off_by():
    assert limits_px((1280, 720)) == (1.0, 2.0)
    assert limits_px((1080, 1920)) == (1.5, 3.0)
    assert limits_mm() == (5.0, 10.0)
    assert [judge(value, 1.0, 2.0) for value in (1.0, 1.1, 2.1, np.nan)] == ["good", "usable", "redo", "redo"]
    assert worst(["good", "redo", "usable"]) == "redo"
    assert worst([]) == "good"


# Documents


def test_the_document_holds_everything_and_no_nan(report, tmp_path):
    write_report_json(report, tmp_path / "report.json")
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert document["schema"] == 1
    assert document["verdict"] == "good"
    assert [camera["name"] for camera in document["cameras"]] == list(RIG.names)
    assert np.sum(document["cameras"][0]["coverage"]) == report.cameras[0].coverage.sum()
    assert None in np.ravel(document["cameras"][0]["field"]["mean_px"]).tolist()
    assert document["volume"]["median_calibration_mm"] == pytest.approx(report.volume.median_calibration_mm, rel=1e-5)
    assert len(document["volume"]["points"]) == len(report.volume.points)


class Elements(HTMLParser):
    """Opened and not closed, attributes that load something, and texts."""

    void = frozenset({"meta", "input", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.void:
            self.open.append(tag)
        self.loads += [f"{tag} {name}={value}" for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_and_loads_nothing(report, bundle, tmp_path):
    write_report(report, bundle.rig, tmp_path / "report.html", title="Studio <A>")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    elements = Elements()
    elements.feed(text)
    assert elements.open == []
    assert elements.loads == []
    assert "://" not in text
    assert "default-src 'none'" in text
    assert "$" not in re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    assert "Studio <A>" in elements.text
    assert report.headline in elements.text
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    write_report(report, bundle.rig, tmp_path / "again.html", title="Studio <A>")
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "report.html").read_bytes()


def test_names_of_cameras_are_text(report, bundle):
    name = "</script><b>1&2"
    renamed = replace(
        report,
        cameras=(replace(report.cameras[0], name=name), *report.cameras[1:]),
        graph=tuple(replace(e, one=name) if e.one == "cam01" else e for e in report.graph),
    )
    rig = Rig(tuple(replace(c, name=name) if c.name == "cam01" else c for c in bundle.rig))
    text = page(renamed, rig)
    assert name not in text
    data = re.search(r'<script type="application/json" id="scene">(.*?)</script>', text, flags=re.S)
    assert json.loads(data[1])["cameras"][0]["name"] == name
    assert "&lt;/script&gt;&lt;b&gt;1&amp;2" in text


def test_figures_of_a_page_are_those_of_the_report(report, bundle):
    text = page(report, bundle.rig)
    for camera in report.cameras:
        assert f"<dd>{camera.errors.rms_px:.2f} px</dd>" in text
    assert f"{report.board.mean_mm:.2f} ± {report.board.std_mm:.2f} mm" in text
    assert text.count('class="seen') == sum(int((camera.coverage > 0).sum()) for camera in report.cameras)


def test_ellipsoids_are_magnified_by_round_numbers(report):
    def with_sigma(std_m: float):
        return tuple(replace(c, position_covariance_m2=std_m**2 * np.eye(3)) for c in report.cameras)

    # 0.15 m by two deviations: 75, 7.5 and less than one.
    assert magnification(with_sigma(1e-3)) == 50.0
    assert magnification(with_sigma(1e-2)) == 5.0
    assert magnification(with_sigma(1.0)) == 1.0
    assert magnification(with_sigma(0.0)) == 1.0


def test_the_picture_stands_upright_without_a_floor(parts, bundle):
    # The world lies on its side: up is -x.
    sideways = WorldFrame(RigidTransform.from_rotvec(np.array([0, -np.pi / 2, 0]), np.zeros(3)), 1.0, "sideways")
    lying = assess(parts[0], replace(bundle, rig=sideways.of_rig(bundle.rig), motion=bundle.motion), {})
    drawn = scene(replace(lying, board_path_m=lying.board_path_m[:0]), sideways.of_rig(bundle.rig))
    assert not drawn["floor"]
    centers = np.array([camera["frustum"][0] for camera in drawn["cameras"]])
    assert np.ptp(centers[:, 2]) < 0.05  # the ring's cameras stand at one height
    ahead = np.array([np.mean(camera["frustum"][1:], axis=0) - camera["frustum"][0] for camera in drawn["cameras"]])
    assert (ahead[:, 2] < 0).all()  # and look down a little


def test_cameras_that_were_held_make_a_page_too(parts, bundle):
    held = replace(bundle, parameters=(), covariance=np.zeros((0, 0)))
    report = assess(parts[0], held, {}, world=FLOOR)
    assert report.volume.median_calibration_mm == 0
    assert "no uncertainty is drawn" in page(report, bundle.rig)


@pytest.mark.slow
def test_a_browser_draws_the_rig_without_complaint(report, bundle, tmp_path: Path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    write_report(report, bundle.rig, tmp_path / "report.html")
    told = "<script>document.title = document.getElementById('rig').toDataURL().length + ' ' + "
    told += "document.getElementById('here').textContent</script></body>"
    text = (tmp_path / "report.html").read_text(encoding="utf-8").replace("</body>", told)
    (tmp_path / "told.html").write_text(text, encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000"]
    command += ["--enable-logging=stderr", "--dump-dom", (tmp_path / "told.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "CONSOLE" not in done.stderr
    title = re.search(r"<title>(\d+) (.*?)</title>", done.stdout)
    assert int(title[1]) > 10_000  # a blank canvas of this size is some 3000 characters long
    assert title[2].startswith("This layer: median ")
