from __future__ import annotations

import av
import numpy as np
import pytest

from mocap.capture import encoders
from mocap.capture.encoders import HARDWARE, SOFTWARE, Encoder, EncoderConfig, Load, choose_encoder, trial
from mocap.core.errors import ConfigError

SMALL = Load((96, 64), 30.0)


@pytest.fixture
def costs(monkeypatch):
    """Seconds of a picture by encoder and preset, instead of a trial; what is absent does not work."""
    table: dict[str, float] = {}

    def told(name, options, size, threads=1):
        return table.get(dict(options).get("preset", name) if name == SOFTWARE else name)

    monkeypatch.setattr(encoders, "trial", told)
    monkeypatch.setattr(encoders, "free_share", lambda: 1.0)
    monkeypatch.setattr(encoders.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(av, "codecs_available", {SOFTWARE, *HARDWARE})
    return table


def test_a_trial_tells_what_works():
    options = (("preset", "ultrafast"), ("crf", "20"), ("tune", "zerolatency"))
    seconds = trial(SOFTWARE, options, (96, 64))
    assert seconds is not None
    assert 0 < seconds < 1
    assert trial(SOFTWARE, (("preset", "no such"),), (96, 64)) is None
    assert trial("mpeg4", (), (96, 64)) is None  # works, but what comes out is no H.264


def test_the_finest_preset_that_fits_is_taken(costs):
    costs.update(ultrafast=0.005, superfast=0.010, veryfast=0.020)
    config = EncoderConfig(codec=SOFTWARE, cpu_share=0.5)
    # four cores, half of them for recording: 2 s of computing a second, at 30 pictures of each camera
    assert choose_encoder(Load((640, 480), 30.0, 3), config).options["preset"] == "veryfast"  # 3 x 30 x 0.020 = 1.8
    assert choose_encoder(Load((640, 480), 30.0, 6), config).options["preset"] == "superfast"  # 6 x 30 x 0.010 = 1.8
    assert choose_encoder(Load((640, 480), 30.0, 12), config).options["preset"] == "ultrafast"
    too_many = choose_encoder(Load((640, 480), 30.0, 14), config)
    assert (too_many.options["preset"], too_many.fits) == ("ultrafast", False)
    assert not choose_encoder(Load((640, 480), 30.0, 12, extra_s=0.004), config).fits  # decoding counts too


def test_one_camera_must_not_be_slower_than_its_pictures_come(costs):
    costs.update(ultrafast=0.012, superfast=0.030, veryfast=0.040)
    chosen = choose_encoder(Load((640, 480), 60.0), EncoderConfig(codec=SOFTWARE, cpu_share=1.0))
    assert (chosen.options["preset"], chosen.fits) == ("ultrafast", True)  # 60 x 0.030 s would be 1.8 s a second


def test_hardware_goes_first_where_it_works_and_keeps_up(costs):
    costs.update(ultrafast=0.005, superfast=0.010, veryfast=0.020, h264_qsv=0.004)
    assert choose_encoder(Load((640, 480), 30.0, 4), EncoderConfig()).name == "h264_qsv"
    assert choose_encoder(Load((640, 480), 30.0, 12), EncoderConfig()).name == SOFTWARE  # 12 x 30 x 0.004 = 1.4


def test_a_busy_machine_has_less_to_give(monkeypatch):
    monkeypatch.setattr(encoders.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(encoders.os, "getloadavg", lambda: (3.0, 0, 0), raising=False)
    assert encoders.free_share() == 0.25
    monkeypatch.setattr(encoders.os, "getloadavg", lambda: (30.0, 0, 0), raising=False)
    assert encoders.free_share() == 0.1


def test_what_cannot_be_had_is_refused():
    with pytest.raises(ConfigError, match=r"no encoder 'h265_magic'.*libx264"):
        choose_encoder(SMALL, EncoderConfig(codec="h265_magic"))
    with pytest.raises(ConfigError, match="mpeg4 does not work on this machine"):
        choose_encoder(SMALL, EncoderConfig(codec="mpeg4"))
    with pytest.raises(ConfigError, match="does not work with the preset 'quick'"):
        choose_encoder(SMALL, EncoderConfig(codec=SOFTWARE, preset="quick"))


def test_what_is_chosen_is_told():
    encoder = Encoder(SOFTWARE, {"preset": "superfast"}, 1, 0.0102, 0.31)
    assert encoder.sentence == "libx264 superfast, 10.2 ms a picture, 31 % of this machine"


def test_colours_become_yuv_of_even_size():
    image = np.zeros((65, 97, 3), np.uint8)
    image[..., 0] = 255
    frame = encoders.yuv_picture(image)
    assert (frame.width, frame.height, frame.format.name) == (96, 64, "yuv420p")
    luma = np.frombuffer(bytes(frame.planes[0]), np.uint8)
    assert abs(int(luma[0]) - 81) <= 1  # red in BT.601, limited range: 16 + 65.5
