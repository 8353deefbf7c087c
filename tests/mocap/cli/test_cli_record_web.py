"""What is asked of the recorder's page, checked before any camera is opened."""

from __future__ import annotations

from contextlib import closing

import pytest

from running_mocap import complaint, invoke

pytest.importorskip("uvicorn", reason="the extra web is not installed")


@pytest.fixture
def session(tmp_path, monkeypatch):
    """Opening its camera would fail the test."""

    def opened(*_):
        raise AssertionError("cameras were opened")

    monkeypatch.setattr("mocap.capture.rig.CaptureRig.__enter__", opened)
    (tmp_path / "session.toml").write_text('[[camera]]\nname = "a"\nsource = "pattern:160x96@10"\n')
    return tmp_path


def test_a_port_in_use_is_told_before_cameras_are_opened(session):
    from mocap.web.server import listen

    with closing(listen("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        told = complaint(invoke("record", session, "--web", "--port", port))
    assert f"port {port} is in use already" in told
    assert "--port" in told


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--token", "short"), "--token: must be 8 letters and digits or more"),
        (("--name", "a b"), "--name: 'a b' is no name of a machine"),
        (("--host", "192.0.2.77"), "cannot be listened on"),
    ],
)
def test_options_of_the_page_are_refused_with_a_sentence(session, options, what):
    assert what in complaint(invoke("record", session, "--web", "--port", 0, *options))


def test_a_weak_token_is_warned_of(session):
    from mocap.cli.record import page_place

    config, listening = page_place({"host": "127.0.0.1", "port": 0, "token": "studio2026", "names": ()})
    with closing(listening):
        assert "guessed" in config.warning
        assert listening.getsockname()[1] > 0
