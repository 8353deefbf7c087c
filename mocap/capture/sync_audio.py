"""Clocks of cameras from what their microphones heard.

Three steps. Coarse: where the new sound of every two tracks matches best, over all offsets; the best matches are
chained from the reference to every camera. Fine: instants of sharp sounds, or where there are none, windows of the
waveforms by PHAT. Last: all arrivals together, with the way of the sound where the cameras' places are known
(`mocap.geometry.sound_paths`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from pydantic import Field

from calibration.camera import Rig
from mocap.core.clock import Clock, ClockEstimate
from mocap.core.config import Config
from mocap.core.errors import InputError
from mocap.geometry.sound_paths import (
    ArrivalModel,
    SoundClocks,
    SoundPlaces,
    nearest_to_axes,
    solve_sound_clocks,
)
from mocap.io.sound import SoundTrack, read_sound
from mocap.io.video_probe import probe_video
from mocap.signal.clock_fit import CRYSTAL_PPM, robust_line
from mocap.signal.cross_correlation import Correlation, Peak, best_peak, correlate, phat_lags, thinned
from mocap.signal.onsets import novelty, sharp_onsets, smoothed

Places = Callable[[Float[np.ndarray, "N"], Mapping[str, Clock]], Float[np.ndarray, "N 3"]]
"""Where sounds come from (world, m) at times of the reference's clock, given what is known of the other cameras' clocks
yet; NaN where that is not known (`mocap.capture.sound_places.HandPlaces`)."""

STEP_S = 0.002
SAME_PEAK_S = 0.03
"""Offsets closer than this are one match."""
INDEPENDENT_S = 0.02
"""New sound is independent of itself so much later; what matches by chance is counted with it."""
CURVE_POINTS = 2000
SHARP, WAVEFORMS = "sharp sounds", "stretches of sound"
SHARP_SD_S, WAVEFORM_SD_S = 0.0006, 0.0015
"""Deviation of an arrival: a picked first instant; a match of waveforms, which echoes and second sources pull at."""
FITTED = 0.8
"""A drift is told where its deviation is less than this part of what it was beforehand."""
LEAST_QUALITY = 4.5
"""Height of a waveform match over its surroundings below which it is chance."""


class AudioSyncConfig(Config):
    """How clocks are found by ear.

    max_offset_s: cameras were started within so long of each other; None searches everything. least_overlap_s: they ran
    together for so long. reach_m: no two ways from a sound to two cameras differ by more. path_sd_m: deviation of those
    ways where the cameras' places are unknown; wander_m: of what they change by during a take. place_sd_m,
    place_wander_m: with a rig, of the sounds' places about what the cameras look at; heard_sd_m, heard_wander_m: about
    places that were given. drift_ppm: deviation of crystals. least_sounds: with fewer sharp ones waveforms count.
    """

    max_offset_s: float | None = Field(default=None, gt=0)
    least_overlap_s: float = Field(default=2.0, gt=0)
    reach_m: float = Field(default=12.0, gt=0)
    path_sd_m: float = Field(default=1.5, ge=0)
    wander_m: float = Field(default=0.5, ge=0)
    place_sd_m: float = Field(default=0.5, ge=0)
    place_wander_m: float = Field(default=0.8, ge=0)
    heard_sd_m: float = Field(default=0.1, ge=0)
    heard_wander_m: float = Field(default=0.15, ge=0)
    drift_ppm: float = Field(default=CRYSTAL_PPM, ge=0)
    least_sounds: int = Field(default=3, ge=1)
    window_s: float = Field(default=1.0, gt=0)
    most_windows: int = Field(default=120, ge=1)


@dataclass(frozen=True, eq=False)
class _Heard:
    """Arrivals of N sounds on the cameras' own stamps. reference: its column. kind: SHARP or WAVEFORMS."""

    cameras: tuple[str, ...]
    reference: int
    arrival_s: Float[np.ndarray, "N C"]
    kind: str

    @property
    def links(self) -> int:
        """How many arrivals there are beyond the first of each sound."""
        return int(np.isfinite(self.arrival_s).sum()) - len(self.arrival_s)


@dataclass(frozen=True, eq=False)
class _Chain:
    """Coarse offsets (stamp of the camera less stamp of the reference) and how sure they are, by camera."""

    offset_s: dict[str, float]
    confidence: dict[str, float]
    curves: dict[str, tuple[np.ndarray, np.ndarray]]


def take_sounds(
    videos: Mapping[str, Path], stamps: Mapping[str, Float[np.ndarray, "..."]] | None = None
) -> dict[str, SoundTrack]:
    """The sound of every camera that has some, on its stamps.

    stamps: (F,) of every frame, as `mocap.io.take_times.read_take_stamps` gives them; by default the container's times.
    A file's sound is on the container's times, which a line ties to the stamps.
    """
    found = {}
    for camera, path in videos.items():
        sound = read_sound(path)
        if sound is None or sound.silent:
            continue
        if stamps is None or camera not in stamps:
            found[camera] = sound
            continue
        info = probe_video(path)
        n = min(len(stamps[camera]), info.n_readable)
        line = robust_line((info.start_s + info.times_s)[:n], stamps[camera][:n], slope=1.0, slope_sd=1e-3, floor=1e-6)
        found[camera] = sound.on(line.slope, line.at_zero)
    return found


def audio_estimates(
    tracks: Mapping[str, SoundTrack],
    *,
    reference: str | None = None,
    rig: Rig | None = None,
    places: Places | None = None,
    config: AudioSyncConfig | None = None,
) -> tuple[ClockEstimate, ...]:
    """Every camera with sound against the reference (by default the first), in the order of `tracks`.

    rig: where the microphones are; places: where the sounds come from (needs the rig). Cameras that match no other one
    come with confidence 0.
    """
    config = config or AudioSyncConfig()
    names = list(tracks)
    reference = reference or next(iter(names), "")
    if reference not in tracks or len(names) < 2:
        raise InputError("clocks by sound need two cameras that recorded some", where=reference)
    chain = _chained(tracks, reference, config)
    linked = tuple(name for name in names if name in chain.offset_s)
    heard = _arrivals(tracks, chain, linked, reference, config) if len(linked) > 1 else None
    clocks = _solved(heard, rig, places, config) if heard is not None and heard.links else None
    return tuple(_estimate(name, reference, chain, heard, clocks) for name in names if name != reference)


def _chained(tracks: Mapping[str, SoundTrack], reference: str, config: AudioSyncConfig) -> _Chain:
    """The best matches of two tracks, each used where it is the surest way from the reference to a camera."""
    heard = {name: smoothed(novelty(t.samples, t.rate_hz, step_s=STEP_S)[0], 5) for name, t in tracks.items()}
    names, peaks, curves = list(tracks), {}, {}
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            found, shift = _matched(heard[a], heard[b], tracks[a], tracks[b], config)
            if found is None:
                continue
            peak = best_peak(found, width=SAME_PEAK_S / STEP_S)
            peaks[a, b] = replace(peak, lag=peak.lag * STEP_S + shift)
            peaks[b, a] = replace(peak, lag=-peaks[a, b].lag)
            lags = found.lags * STEP_S + shift
            curves[a, b], curves[b, a] = (lags, found.z), (-lags[::-1], found.z[::-1])
    return _spanned(names, reference, peaks, curves)


def _matched(
    a: np.ndarray, b: np.ndarray, track_a: SoundTrack, track_b: SoundTrack, config: AudioSyncConfig
) -> tuple[Correlation | None, float]:
    """Correlation of two tracks' new sound, and the offset that lag 0 stands for."""
    shift = track_b.start_s - track_a.start_s
    least = min(config.least_overlap_s / STEP_S, 0.5 * len(a), 0.5 * len(b))
    if min(len(a), len(b)) < 50:
        return None, shift
    found = correlate(a, b, least_overlap=int(least), independent=a.shape[1] * INDEPENDENT_S / STEP_S)
    if config.max_offset_s is not None:
        near = np.abs(found.lags * STEP_S + shift) <= config.max_offset_s
        if not near.any():
            return None, shift
        found = Correlation(found.lags[near], found.score[near], found.z[near])
    return found, shift


def _spanned(
    names: list[str],
    reference: str,
    peaks: Mapping[tuple[str, str], Peak],
    curves: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]],
) -> _Chain:
    """Prim's maximum spanning tree. A camera whose other matches disagree with the tree loses confidence."""
    offset, sure = {reference: 0.0}, {reference: 1.0}
    while True:
        edges = [(a, b, peak) for (a, b), peak in peaks.items() if a in offset and b not in offset]
        open_ = [(min(sure[a], peak.confidence), peak.z, a, b) for a, b, peak in edges if peak.confidence > 0]
        if not open_:
            break
        confidence, _, a, b = max(open_)
        offset[b], sure[b] = offset[a] + peaks[a, b].lag, confidence
    for name in [n for n in offset if n != reference]:
        others = [(peaks[name, o], offset[o] - offset[name]) for o in offset if (name, o) in peaks]
        agree = sum(p.confidence for p, meant in others if abs(p.lag - meant) < SAME_PEAK_S)
        total = sum(p.confidence for p, _ in others)
        sure[name] *= agree / total if total > 0 else 1.0
    drawn = {b: thinned(*curve, CURVE_POINTS) for (a, b), curve in curves.items() if a == reference}
    return _Chain(offset, sure, drawn)


def _arrivals(
    tracks: Mapping[str, SoundTrack], chain: _Chain, linked: tuple[str, ...], reference: str, config: AudioSyncConfig
) -> _Heard:
    """When each linked camera heard each sound; sharp sounds where every camera heard enough of them."""
    column = linked.index(reference)
    sharp = _Heard(linked, column, _sharp_arrivals(tracks, chain, linked, config.reach_m / 343.0 + 0.01), SHARP)
    if (np.isfinite(sharp.arrival_s).sum(0) >= config.least_sounds).all():
        return sharp
    windows = _Heard(linked, column, _window_arrivals(tracks, chain, linked, column, config), WAVEFORMS)
    return windows if windows.links > sharp.links else sharp


def _sharp_arrivals(
    tracks: Mapping[str, SoundTrack], chain: _Chain, linked: tuple[str, ...], reach_s: float
) -> Float[np.ndarray, "N C"]:
    """Sharp sounds of all cameras that lie within `reach_s` on the coarse clock are one sound; the first one counts."""
    stamps, cameras = [], []
    for column, name in enumerate(linked):
        found = tracks[name].time_s(sharp_onsets(tracks[name].samples, tracks[name].rate_hz).time_s)
        stamps.append(found)
        cameras.append(np.full(len(found), column))
    stamp, camera = np.concatenate(stamps), np.concatenate(cameras)
    common = stamp - np.array([chain.offset_s[name] for name in linked])[camera]
    order = np.argsort(common, kind="stable")
    rows: list[np.ndarray] = []
    begun = -np.inf
    for i in order:
        if common[i] - begun > reach_s:
            rows.append(np.full(len(linked), np.nan))
            begun = common[i]
        if np.isnan(rows[-1][camera[i]]):
            rows[-1][camera[i]] = stamp[i]
    table = np.array(rows).reshape(-1, len(linked))
    return table[np.isfinite(table).sum(1) >= 2]


def _window_arrivals(
    tracks: Mapping[str, SoundTrack], chain: _Chain, linked: tuple[str, ...], hub: int, config: AudioSyncConfig
) -> Float[np.ndarray, "N C"]:
    """Where windows of the hub's sound lie in the other tracks, as arrivals of the windows' middles."""
    own = tracks[linked[hub]]
    rate = own.rate_hz
    starts = _lively_windows(own, config)
    length = round(config.window_s * rate)
    middle = own.time_s((starts + length / 2) / rate)
    table = np.full((len(starts), len(linked)), np.nan)
    table[:, hub] = middle
    most = round((config.reach_m / 343.0 + 0.01) * rate)
    for column in [c for c in range(len(linked)) if c != hub]:
        other = tracks[linked[column]]
        begin = (own.time_s(starts / rate) + chain.offset_s[linked[column]] - other.start_s) * other.rate_hz
        whole = np.round(begin).astype(np.int64)
        inside = np.flatnonzero((whole >= 0) & (whole + length <= len(other.samples)))
        if not len(inside):
            continue
        take = np.arange(length)
        lag, quality = phat_lags(
            own.samples[starts[inside, None] + take].astype(np.float64),
            other.samples[whole[inside, None] + take].astype(np.float64),
            max_lag=most,
        )
        meant = other.time_s((whole[inside] + lag + length / 2) / other.rate_hz)
        table[inside, column] = np.where(quality >= LEAST_QUALITY, meant, np.nan)
    return table[np.isfinite(table).sum(1) >= 2]


def _lively_windows(track: SoundTrack, config: AudioSyncConfig) -> np.ndarray:
    """Starts (samples) of the windows with most sound in them, spread over the take."""
    length = round(config.window_s * track.rate_hz)
    starts = np.arange(0, len(track.samples) - length, length // 2)
    if not len(starts):
        return np.zeros(0, dtype=np.int64)
    total = np.concatenate([[0.0], np.cumsum(track.samples.astype(np.float64) ** 2)])
    energy = total[starts + length] - total[starts]
    stretches = np.array_split(np.arange(len(starts)), min(config.most_windows, len(starts)))
    return np.array([starts[part[np.argmax(energy[part])]] for part in stretches])


def _solved(heard: _Heard, rig: Rig | None, places: Places | None, config: AudioSyncConfig) -> SoundClocks:
    pick = SHARP_SD_S if heard.kind == SHARP else WAVEFORM_SD_S
    model = ArrivalModel(pick, 1e-6 * config.drift_ppm, config.path_sd_m, config.wander_m)
    arrivals, column = heard.arrival_s, heard.reference
    if rig is None or any(name not in rig.names for name in heard.cameras):
        return solve_sound_clocks(arrivals, column, model=model)
    here, n = rig.subset(heard.cameras), len(arrivals)
    middle = nearest_to_axes(here.centers, np.stack([camera.cam_from_world.R[2] for camera in here]))
    known = SoundPlaces(np.tile(middle, (n, 1)), config.place_sd_m, np.full(n, config.place_wander_m))
    clocks = solve_sound_clocks(arrivals, column, microphone_m=here.centers, places=known, model=model)
    told = None if places is None else places(_on_reference(arrivals, clocks), _clocks(heard, clocks))
    if told is None or not np.isfinite(told).all(-1).any():
        return clocks
    seen = np.array(np.isfinite(told).all(-1))
    own = np.where(seen, config.heard_wander_m, np.hypot(config.place_sd_m, config.place_wander_m))
    known = SoundPlaces(np.where(seen[:, None], told, middle), config.heard_sd_m, own)
    return solve_sound_clocks(arrivals, column, microphone_m=here.centers, places=known, model=model)


def _clocks(heard: _Heard, found: SoundClocks) -> dict[str, Clock]:
    """Of the cameras that are linked to the reference, on its clock."""
    start = found.offset_s - found.drift * found.middle_s
    known = np.flatnonzero(np.isfinite(found.offset_sd_s)).tolist()
    return {heard.cameras[c]: Clock(float(start[c]), float(1 + found.drift[c])) for c in known}


def _on_reference(arrivals: Float[np.ndarray, "N C"], clocks: SoundClocks) -> Float[np.ndarray, "N"]:
    """About when each sound was made, on the reference's clock: the way to the nearest camera is left in. NaN for what
    only cameras heard that nothing links to the reference."""
    moved = arrivals - clocks.offset_s - clocks.drift * (arrivals - clocks.offset_s - clocks.middle_s)
    return np.fmin.reduce(np.where(np.isfinite(clocks.offset_sd_s), moved, np.nan), axis=1)


def _estimate(
    name: str, reference: str, chain: _Chain, heard: _Heard | None, clocks: SoundClocks | None
) -> ClockEstimate:
    curve, base = chain.curves.get(name), ClockEstimate("audio", name, reference, 0.0, confidence=0.0)
    if name not in chain.offset_s:
        return replace(base, sd_s=10.0, curve=curve, note="matches the sound of no other camera")
    sure = chain.confidence[name]
    column = 0 if heard is None else heard.cameras.index(name)
    if heard is None or clocks is None or not np.isfinite(clocks.offset_sd_s[column]):
        note = "by the loudness of the sound alone"
        return replace(base, offset_s=chain.offset_s[name], sd_s=0.01, confidence=0.5 * sure, curve=curve, note=note)
    offset, drift = float(clocks.offset_s[column]), float(clocks.drift[column])
    fitted = clocks.drift_sd[column] < FITTED * CRYSTAL_PPM * 1e-6
    return replace(
        base,
        offset_s=offset - (drift * clocks.middle_s if fitted else 0.0),
        drift_ppm=1e6 * drift if fitted else None,
        sd_s=float(clocks.offset_sd_s[column]),
        confidence=float(np.clip(sure * min(1.0, 0.7 + 0.1 * clocks.heard[column]), 0, 1)),
        curve=curve,
        note=f"{heard.kind}: {clocks.heard[column]:.0f}, about stamp {clocks.middle_s:.1f} s",
    )
