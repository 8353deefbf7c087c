"""Signals after OpenVINO has come and gone."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from mocap.models.signal_stack import kept_signal_stack, signal_stack

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sigaltstack(2) as Linux has it")

COME_AND_GONE = """
import faulthandler, signal
faulthandler.enable()
from mocap.models.openvino_runtime import cpu_core
from mocap.models.signal_stack import signal_stack
before = signal_stack()
first, second = cpu_core(), cpu_core()
del first
del second
assert signal_stack() == before, (before, signal_stack())
heard = []
signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
signal.raise_signal(signal.SIGUSR1)
assert heard == [1]
"""


def test_signals_are_heard_after_plugins_have_gone():
    done = subprocess.run([sys.executable, "-c", COME_AND_GONE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, signal.Signals(-done.returncode) if done.returncode < 0 else done.stderr


def test_the_stack_of_before_comes_back():
    before = signal_stack()
    with kept_signal_stack():
        pass
    assert signal_stack() == before
