"""Videos and calibration that belong together, or a sentence that says why not and what to write."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from calibration.camera import Camera, Intrinsics, Rig
from calibration.lenses import Lens
from calibration.transforms import RigidTransform
from mocap.core.config import Config, ConfigError, load_config
from mocap.core.errors import CalibrationError, VideoError
from mocap.io.video import VideoInfo, probe_video
from mocap.io.video_fit import CameraFit, VideoFitConfig, fit_rig_to_videos, rig_of_cameras
from video_worlds import FAST, write_counter_clip

CALIBRATED = (144, 96)
SPREAD = np.random.default_rng(4).uniform([-1.0, -0.6, 2.0], [1.0, 0.6, 4.0], (200, 3))
NAMES = ("cam01", "cam02", "cam03")


class Whole(Config):
    """A configuration as the pipeline has it."""

    video: VideoFitConfig = VideoFitConfig()


def rig(names: tuple[str, ...] = NAMES, size: tuple[int, int] = CALIBRATED) -> Rig:
    K = np.array([[160.0, 0.7, 66.3], [0, 155.0, 51.9], [0, 0, 1]])
    lenses = [
        (np.array([-0.21, 0.08, 0.001, -0.002, 0.01]), Lens.BROWN_CONRADY),
        (np.array([0.03, -0.01, 0.002, 0.001]), Lens.FISHEYE),
    ]
    cameras = [
        Camera(name, Intrinsics(size, K + np.diag([i, 2 * i, 0]), *lenses[i % 2]), RigidTransform(np.eye(3), t))
        for i, name in enumerate(names)
        for t in [np.array([0.1 * i, 0.0, 0.0])]
    ]
    return Rig(tuple(cameras))


@pytest.fixture(scope="module")
def info_of(tmp_path_factory: pytest.TempPathFactory):
    """Infos of real clips of any size."""
    folder = tmp_path_factory.mktemp("fit")

    def make(size: tuple[int, int], rotation: int = 0) -> VideoInfo:
        path = folder / f"{size[0]}x{size[1]}_{rotation}.mp4"
        if not path.is_file():
            config = FAST.model_copy(update={"rotation": rotation})
            image = np.zeros((size[1], size[0], 3), dtype=np.uint8)
            write_counter_clip(path, 2, config=config, transform=lambda _: image)
        return probe_video(path)

    return make


def infos(info_of, *sizes: tuple[int, int]) -> dict[str, VideoInfo]:
    return {name: info_of(size) for name, size in zip(NAMES, sizes, strict=True)}


def test_equal_sizes_change_nothing(info_of):
    original = rig()
    fitted, report = fit_rig_to_videos(original, infos(info_of, CALIBRATED, CALIBRATED, CALIBRATED))
    for before, after in zip(original, fitted, strict=True):
        np.testing.assert_array_equal(before.intrinsics.K, after.intrinsics.K)
    assert report.sentences == ()


def test_the_take_decides_order_and_subset(info_of):
    videos = {"cam03": info_of(CALIBRATED), "cam01": info_of(CALIBRATED)}
    fitted, report = fit_rig_to_videos(rig(), videos)
    assert fitted.names == ("cam03", "cam01")
    assert report.unused == ("cam02",)
    assert report.sentences == ("the rig's cam02 has nothing in this take and is left out",)
    several = report.model_copy(update={"unused": ("cam02", "cam05")})
    assert several.sentences == ("the rig's cam02, cam05 have nothing in this take and are left out",)


def test_another_size_is_refused_with_what_to_write(info_of):
    with pytest.raises(VideoError) as caught:
        fit_rig_to_videos(rig(), infos(info_of, CALIBRATED, (72, 48), CALIBRATED))
    text = str(caught.value)
    assert "camera cam02: the video is 72x48 but its calibration is for 144x96" in text
    assert '[video]\nfit = "resize"' in text
    assert '[video]\nfit = "center_crop"' in text
    assert '[video.cameras.cam02]\nfit = "affine"\nscale = [2.0000, 2.0000]\noffset_px = [0.5000, 0.5000]' in text


def test_what_the_error_says_works(info_of, tmp_path: Path):
    """Each suggestion, pasted into a pipeline configuration, lets the take through."""
    videos = infos(info_of, CALIBRATED, (72, 48), CALIBRATED)
    with pytest.raises(VideoError) as caught:
        fit_rig_to_videos(rig(), videos)
    blocks = str(caught.value).split("\n[video")[1:]
    assert len(blocks) == 3
    pixels = []
    for block in blocks:
        lines = [line for line in ("[video" + block).splitlines() if not line.startswith("or ")]
        (tmp_path / "pipeline.toml").write_text("\n".join(lines))
        config = load_config(Whole, tmp_path / "pipeline.toml").video
        fitted, report = fit_rig_to_videos(rig(), videos, config)
        assert "cam02" in report.adapted
        pixels.append(fitted["cam02"].project(SPREAD))
    np.testing.assert_allclose(pixels[0], pixels[2], atol=1e-9)  # a resize and its affine are one


def test_resized(info_of):
    original = rig()
    fitted, report = fit_rig_to_videos(
        original, infos(info_of, (72, 48), CALIBRATED, (288, 192)), VideoFitConfig(fit="resize")
    )
    for name, scale in (("cam01", 0.5), ("cam03", 2.0)):
        np.testing.assert_allclose(
            fitted[name].project(SPREAD), (original[name].project(SPREAD) + 0.5) * scale - 0.5, atol=1e-9
        )
    assert report.adapted == {"cam01": "resized from 144x96 to 72x48", "cam03": "resized from 144x96 to 288x192"}
    assert report.sentences[0] == "cam01: the calibration was adapted to the video (resized from 144x96 to 72x48)"


def test_resizing_allows_rounding_but_no_other_aspect(info_of):
    config = VideoFitConfig(fit="resize")
    fitted, _ = fit_rig_to_videos(rig(), infos(info_of, (100, 66), CALIBRATED, CALIBRATED), config)  # 66.67 rounded
    assert fitted["cam01"].intrinsics.image_size == (100, 66)
    with pytest.raises(VideoError, match='which fit = "resize" cannot explain') as caught:
        fit_rig_to_videos(rig(), infos(info_of, (136, 96), CALIBRATED, CALIBRATED), config)
    assert 'fit = "resize"\n' not in str(caught.value.remedy)


def test_the_middle_cut_out(info_of):
    original = rig()
    fitted, report = fit_rig_to_videos(
        original, infos(info_of, (136, 90), CALIBRATED, CALIBRATED), VideoFitConfig(fit="center_crop")
    )
    np.testing.assert_allclose(fitted["cam01"].project(SPREAD), original["cam01"].project(SPREAD) - [4, 3], atol=1e-9)
    assert report.adapted == {"cam01": "the middle 136x90 of 144x96"}
    with pytest.raises(VideoError, match='which fit = "center_crop" cannot explain'):
        fit_rig_to_videos(
            original, infos(info_of, (136, 98), CALIBRATED, CALIBRATED), VideoFitConfig(fit="center_crop")
        )


def test_a_window_cut_out(info_of):
    original = rig()
    videos = infos(info_of, CALIBRATED, (100, 60), CALIBRATED)
    config = VideoFitConfig(cameras={"cam02": CameraFit(fit="crop", origin_px=(40, 7))})
    fitted, report = fit_rig_to_videos(original, videos, config)
    np.testing.assert_allclose(fitted["cam02"].project(SPREAD), original["cam02"].project(SPREAD) - [40, 7], atol=1e-9)
    assert report.adapted == {"cam02": "cropped to 100x60 at (40, 7)"}
    for origin in ((45, 7), (-1, 0)):
        bad = VideoFitConfig(cameras={"cam02": CameraFit(fit="crop", origin_px=origin)})
        with pytest.raises(VideoError, match=r"video.cameras.cam02: the window of 100x60 px at .* reaches out of"):
            fit_rig_to_videos(original, videos, bad)


def test_an_affine_that_was_measured(info_of):
    original = rig()
    scale, offset = np.array([1.0075, 1.02]), np.array([-0.1, -7.2])
    fit = CameraFit(fit="affine", scale=(1.0075, 1.02), offset_px=(-0.1, -7.2))
    fitted, report = fit_rig_to_videos(
        original, infos(info_of, (142, 98), CALIBRATED, CALIBRATED), VideoFitConfig(cameras={"cam01": fit})
    )
    video_px = fitted["cam01"].project(SPREAD)
    np.testing.assert_allclose(scale * video_px + offset, original["cam01"].project(SPREAD), atol=1e-9)
    assert fitted["cam01"].intrinsics.image_size == (142, 98)
    assert "(1.0075, 1.02) * video px + (-0.1, -7.2)" in report.adapted["cam01"]


def test_the_real_clips_of_another_width(shared_data: Path):
    """cam01 and cam02 of the take are 1080 wide, calibrated at 1088: refused, then adapted as measured."""
    videos = shared_data / "pose2sim" / "HEAD" / "Demo_SinglePerson" / "videos"
    found = {f"cam0{i}": probe_video(videos / f"cam0{i}.mp4") for i in (1, 2, 3, 4)}
    original = rig(tuple(found), (1088, 1920))
    with pytest.raises(VideoError, match="camera cam01: the video is 1080x1920 but its calibration is for 1088x1920"):
        fit_rig_to_videos(original, found)
    measured = CameraFit(fit="affine", scale=(1.0075, 1.0075), offset_px=(-0.1, -7.2))
    config = VideoFitConfig(cameras={"cam01": measured, "cam02": measured})
    fitted, report = fit_rig_to_videos(original, found, config)
    assert [camera.intrinsics.image_size for camera in fitted] == [(1080, 1920)] * 2 + [(1088, 1920)] * 2
    assert list(report.adapted) == ["cam01", "cam02"]


def test_turned_videos_are_asked_about(info_of):
    with pytest.raises(VideoError) as caught:
        fit_rig_to_videos(rig(), infos(info_of, (96, 144), CALIBRATED, CALIBRATED))
    assert "the video is 96x144 but its calibration is for 144x96" in str(caught.value)
    assert 'Is it rotated? Write in session.toml:\n[[camera]]\nname = "cam01"\nrotation = 90 (or 270)' in str(
        caught.value
    )
    tagged = {"cam01": info_of((144, 96), rotation=90), "cam02": info_of(CALIBRATED)}
    assert tagged["cam01"].size == (96, 144)
    with pytest.raises(VideoError, match="rotation = 270$"):
        fit_rig_to_videos(rig(), tagged)  # the file's own turn undone


@pytest.mark.parametrize(
    "toml",
    [
        '[video]\nfit = "stretch"',
        "[video]\nfits = 1",
        '[video.cameras.a]\nfit = "crop"',
        '[video.cameras.a]\nfit = "affine"\nscale = [1, 1]',
        '[video.cameras.a]\nfit = "resize"\nscale = [1, 1]\noffset_px = [0, 0]',
        '[video.cameras.a]\nfit = "affine"\nscale = [0, 1]\noffset_px = [0, 0]',
    ],
)
def test_configurations_that_say_nothing_possible(toml: str):
    from pydantic import ValidationError

    with pytest.raises(ValidationError):
        VideoFitConfig.model_validate(tomllib.loads(toml)["video"])


def test_unknown_keys_are_listed(tmp_path: Path):
    (tmp_path / "p.toml").write_text("[video.cameras.cam01]\norigin = [1, 2]")
    with pytest.raises(
        ConfigError, match=r"'video.cameras.cam01.origin'; known there: fit, offset_px, origin_px, scale"
    ):
        load_config(Whole, tmp_path / "p.toml")


def test_the_configuration_may_not_speak_of_strangers(info_of):
    config = VideoFitConfig(cameras={"cam7": CameraFit(fit="resize")})
    with pytest.raises(VideoError, match=r"video.cameras: the configuration speaks of camera cam7; the take has cam01"):
        fit_rig_to_videos(rig(), infos(info_of, CALIBRATED, CALIBRATED, CALIBRATED), config)


# --- names ---------------------------------------------------------------------------------------------------------


def test_plain_forms_of_a_name_are_one():
    original = rig(("cam_01", "Cam 2", "c"))
    named, renamed, unused = rig_of_cameras(original, ("cam1", "CAM02"))
    assert named.names == ("cam1", "CAM02")
    assert renamed == {"cam1": "cam_01", "CAM02": "Cam 2"}
    assert unused == ("c",)
    np.testing.assert_array_equal(
        named["CAM02"].cam_from_world.t, rig(("cam_01", "Cam 2", "c"))["Cam 2"].cam_from_world.t
    )


def test_an_exact_name_goes_before_a_plain_one():
    named, renamed, _ = rig_of_cameras(rig(("cam_1", "cam1", "x")), ("x", "cam1"))
    assert renamed == {}
    assert named.names == ("x", "cam1")


@pytest.mark.parametrize(
    ("cameras", "names"), [(("cam_1", "cam01", "x"), ("cam1", "x")), (("cam_1", "x", "y"), ("cam1", "cam01", "x"))]
)
def test_a_doubtful_name_is_not_guessed(cameras: tuple[str, ...], names: tuple[str, ...]):
    with pytest.raises(CalibrationError, match="the rig has no camera cam1"):
        rig_of_cameras(rig(cameras), names)


def test_names_may_be_given():
    named, renamed, _ = rig_of_cameras(rig(("left", "right", "top")), ("a", "right"), {"a": "top"})
    assert named.names == ("a", "right")
    assert renamed == {"a": "top"}
    with pytest.raises(CalibrationError, match="no camera named 'bottom'; the rig has left, right, top"):
        rig_of_cameras(rig(("left", "right", "top")), ("a", "right"), {"a": "bottom"})
    with pytest.raises(CalibrationError, match=r"video.names: two cameras of the take would be right of the rig"):
        rig_of_cameras(rig(("left", "right", "top")), ("a", "right"), {"a": "right"})


@pytest.mark.parametrize(("name", "near"), [("camera01", "cam01"), ("port_2", "cam02"), ("cam03_view", "cam03")])
def test_near_names_are_suggested(name: str, near: str, tmp_path: Path):
    others = [n for n in NAMES if n != near]
    with pytest.raises(CalibrationError) as caught:
        rig_of_cameras(rig(), (name, *others))
    text = str(caught.value)
    assert f"the rig has no camera {name}; it has cam01, cam02, cam03" in text
    assert text.endswith(f'write in the configuration:\n[video.names]\n{name} = "{near}"')
    (tmp_path / "p.toml").write_text(text[text.index("[video.names]") :])
    config = load_config(Whole, tmp_path / "p.toml").video
    assert rig_of_cameras(rig(), (name, *others), config.names)[1] == {name: near}


def test_names_without_likeness_are_not_suggested():
    with pytest.raises(CalibrationError, match="no camera gopro; it has cam01, cam02, cam03. Rename the videos"):
        rig_of_cameras(rig(), ("gopro", "cam01"))


def test_one_camera_is_too_few(info_of):
    with pytest.raises(VideoError, match="the take has only camera cam01. Depth needs at least 2"):
        fit_rig_to_videos(rig(), {"cam01": info_of(CALIBRATED)})
