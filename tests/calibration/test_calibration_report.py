"""The page and the document that tell how good a calibration is."""

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
from calibration_report_worlds import FLOOR, RIG, calibrated

from calibration import Rig, RigidTransform, quality_volume
from calibration.bundle_result import BundleResult
from calibration.observations import BoardObservations
from calibration.quality import CalibrationReport, assess
from calibration.report_html import page, write_report, write_report_json
from calibration.report_scene import magnification, scene
from calibration.world_frame import WorldFrame


@pytest.fixture(autouse=True, scope="module")
def coarse_volume():
    """A grid of 25 cm shows the same, sooner."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality_volume, "MOST_POINTS", 600)
        yield


@pytest.fixture(scope="module")
def seen() -> BoardObservations:
    return calibrated().seen


@pytest.fixture(scope="module")
def bundle() -> BundleResult:
    return calibrated().bundle


@pytest.fixture(scope="module")
def report(seen: BoardObservations, bundle: BundleResult) -> CalibrationReport:
    return assess(seen, bundle, {}, held_out=calibrated().held_out, world=FLOOR)


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


def test_the_picture_stands_upright_without_a_floor(seen, bundle):
    # The world lies on its side: up is -x.
    sideways = WorldFrame(RigidTransform.from_rotvec(np.array([0, -np.pi / 2, 0]), np.zeros(3)), 1.0, "sideways")
    lying = assess(seen, replace(bundle, rig=sideways.of_rig(bundle.rig), motion=bundle.motion), {})
    drawn = scene(replace(lying, board_path_m=lying.board_path_m[:0]), sideways.of_rig(bundle.rig))
    assert not drawn["floor"]
    centers = np.array([camera["frustum"][0] for camera in drawn["cameras"]])
    assert np.ptp(centers[:, 2]) < 0.05  # the ring's cameras stand at one height
    ahead = np.array([np.mean(camera["frustum"][1:], axis=0) - camera["frustum"][0] for camera in drawn["cameras"]])
    assert (ahead[:, 2] < 0).all()  # and look down a little


def test_cameras_that_were_held_make_a_page_too(seen, bundle):
    held = replace(bundle, parameters=(), covariance=np.zeros((0, 0)))
    report = assess(seen, held, {}, world=FLOOR)
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
