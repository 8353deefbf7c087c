"""What the microphones of a scene hear of one and the same: claps, steps and speech in a room with walls.

Unlike `mocap.synthetic.sound`, whose claps are noise of their own at every camera, the waveform is the source's and the
microphones differ by ways, walls, noise and clocks. Walls are mirrors (Allen & Berkley 1979, to the second order), and
what comes later is noise that decays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32
from scipy import signal

from mocap.synthetic.sound import SPEED_M_PER_S

RATE_HZ = 48_000
ORDER = 2
LATE_DB = -14.0
"""Energy of the late sound against the direct one, two metres away."""
SoundKind = Literal["clap", "step", "syllable"]
LOUDNESS: dict[SoundKind, float] = {"clap": 0.5, "step": 0.12, "syllable": 0.08}
"""Peak one metre away; full scale is 1."""


@dataclass(frozen=True, eq=False)
class SoundEvent:
    """A sound at a scene time and place (3,) m, world."""

    time_s: float
    place_m: Float[np.ndarray, "3"]
    kind: SoundKind = "clap"


@dataclass(frozen=True)
class SoundRoom:
    """A box about the scene. low_m, high_m: its corners. reflection: amplitude that a wall gives back. late_s: time
    constant of what comes after the first reflections."""

    low_m: tuple[float, float, float] = (-4.2, -5.1, 0.0)
    high_m: tuple[float, float, float] = (4.6, 4.4, 2.9)
    reflection: float = 0.6
    late_s: float = 0.07


@dataclass(frozen=True)
class Microphone:
    """Where it stands, and its recording: seconds from stamp start_s on; stamp = rate * time + offset.

    noise: root mean square of its own noise and the room's. gain: of all it hears.
    """

    place_m: tuple[float, float, float]
    start_s: float
    seconds: float
    offset_s: float = 0.0
    rate: float = 1.0
    noise: float = 0.002
    gain: float = 1.0


def recorded(
    events: Sequence[SoundEvent], microphone: Microphone, *, room: SoundRoom | None = None, seed: int = 0
) -> Float32[np.ndarray, "N"]:
    """Mono sound of one microphone at RATE_HZ. The seed makes the events' waveforms (the same for all microphones)
    and, with the microphone's place, its noise."""
    room = room or SoundRoom()
    n = round(microphone.seconds * RATE_HZ)
    heard = np.zeros(n)
    for number, event in enumerate(events):
        dry = _waveform(event.kind, np.random.default_rng([seed, number]))
        for gain, distance in zip(*_ways(event.place_m, microphone, room), strict=True):
            stamp = microphone.rate * (event.time_s + distance / SPEED_M_PER_S) + microphone.offset_s
            _add(heard, gain * dry, (stamp - microphone.start_s) * RATE_HZ)
    place = np.abs(np.round(1000 * np.array(microphone.place_m))).astype(np.int64).tolist()
    rng = np.random.default_rng([seed, 77, *place])
    heard = heard + _late(heard, room, rng) + _noise(n, microphone.noise, rng)
    return np.clip(microphone.gain * heard, -1.0, 1.0).astype(np.float32)


def _ways(
    place: Float[np.ndarray, "3"], microphone: Microphone, room: SoundRoom
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Gain and length of the direct way and of those over up to ORDER walls."""
    low, high, mirrored, orders = np.array(room.low_m), np.array(room.high_m), [], []
    for index in product(range(-ORDER, ORDER + 1), repeat=3):
        order = int(np.abs(index).sum())
        if order > ORDER:
            continue
        shift = np.array(index)
        even = place + shift * (high - low)
        odd = high + low - place + shift * (high - low)
        mirrored.append(np.where(shift % 2 == 0, even, odd))
        orders.append(order)
    distance = np.linalg.norm(np.array(mirrored) - microphone.place_m, axis=1)
    return room.reflection ** np.array(orders) / np.maximum(distance, 0.3), distance


def _add(track: Float[np.ndarray, "N"], dry: Float[np.ndarray, "n"], at: float) -> None:
    """Put a waveform where it belongs, between samples by straight lines."""
    whole = int(np.floor(at))
    part = at - whole
    moved = np.concatenate([dry * (1 - part), [0.0]]) + np.concatenate([[0.0], dry * part])
    begin, end = max(whole, 0), min(whole + len(moved), len(track))
    if begin < end:
        track[begin:end] += moved[begin - whole : end - whole]


def _waveform(kind: SoundKind, rng: np.random.Generator) -> Float[np.ndarray, "n"]:
    if kind == "clap":
        t = np.arange(round(0.06 * RATE_HZ)) / RATE_HZ
        tone = rng.uniform(900, 2200)
        wave = np.exp(-t / 0.006) * (rng.standard_normal(len(t)) + 1.5 * np.sin(2 * np.pi * tone * t + 1.0))
    elif kind == "step":
        t = np.arange(round(0.15 * RATE_HZ)) / RATE_HZ
        thump = np.exp(-t / 0.03) * np.sin(2 * np.pi * rng.uniform(60, 110) * t)
        wave = thump + 0.4 * np.exp(-t / 0.015) * rng.standard_normal(len(t))
    else:
        wave = _syllable(rng)
    return LOUDNESS[kind] * rng.uniform(0.5, 1.0) * wave / np.abs(wave).max()


def _syllable(rng: np.random.Generator) -> Float[np.ndarray, "n"]:
    """A voiced sound with two formants, and a hiss before it."""
    t = np.arange(round(rng.uniform(0.12, 0.3) * RATE_HZ)) / RATE_HZ
    pitch = rng.uniform(95, 220) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(1, 4) * t))
    pulses = np.diff(np.floor(np.cumsum(pitch) / RATE_HZ), prepend=0.0)
    for hz, width in ((rng.uniform(300, 800), 80), (rng.uniform(900, 2400), 120)):
        radius = np.exp(-np.pi * width / RATE_HZ)
        pulses = np.asarray(
            signal.lfilter([1.0], [1.0, -2 * radius * np.cos(2 * np.pi * hz / RATE_HZ), radius**2], pulses)
        )
    envelope = np.abs(np.sin(np.pi * t / t[-1])) ** 0.6
    hiss = np.exp(-t / 0.03) * rng.standard_normal(len(t)) * (rng.random() < 0.5)
    return envelope * pulses / (np.abs(pulses).max() + 1e-9) + 0.3 * hiss


def _late(heard: Float[np.ndarray, "N"], room: SoundRoom, rng: np.random.Generator) -> Float[np.ndarray, "N"]:
    """Diffuse sound: what was heard, convolved with noise that begins after 20 ms and decays."""
    t = np.arange(round(6 * room.late_s * RATE_HZ)) / RATE_HZ
    tail = rng.standard_normal(len(t)) * np.exp(-t / room.late_s) * (t > 0.02)
    tail *= 10 ** (LATE_DB / 20) / np.sqrt((tail**2).sum())
    return np.asarray(signal.fftconvolve(heard, tail)[: len(heard)])


def _noise(n: int, level: float, rng: np.random.Generator) -> Float[np.ndarray, "N"]:
    """Half hiss, half rumble that falls off with frequency."""
    white = rng.standard_normal(n)
    rumble = np.asarray(signal.lfilter([0.05], [1.0, -0.95], rng.standard_normal(n)))
    return level * (0.5 * white + 0.5 * rumble / rumble.std())


def sample_events(
    rng: np.random.Generator, seconds: float, *, claps: int = 6, talking: bool = False, walking: bool = True
) -> list[SoundEvent]:
    """Somebody who moves about within some 1.2 m of the middle, claps at odd times, steps, and talks."""
    knots = rng.uniform([-1.2, -1.2, 1.0], [1.2, 1.2, 1.4], (max(2, int(seconds / 3) + 2), 3))
    at = np.linspace(0, seconds, len(knots))

    def place(time: float) -> Float[np.ndarray, "3"]:
        return np.array([np.interp(time, at, knots[:, axis]) for axis in range(3)])

    events = [SoundEvent(float(t), place(t), "clap") for t in np.sort(rng.uniform(0.08, 0.92, claps)) * seconds]
    if walking:
        steps = np.cumsum(rng.normal(0.6, 0.06, int(seconds / 0.6)))
        floor = np.array([1.0, 1.0, 0.0])
        events += [SoundEvent(float(t), place(t) * floor + [0, 0, 0.02], "step") for t in steps if t < seconds]
    if talking:
        pauses = rng.uniform(0.15, 0.45, int(seconds / 0.3)) + (rng.random(int(seconds / 0.3)) < 0.12)
        spoken = np.cumsum(pauses)
        events += [SoundEvent(float(t), place(t) + [0, 0, 0.4], "syllable") for t in spoken if t < seconds]
    return sorted(events, key=lambda event: event.time_s)
