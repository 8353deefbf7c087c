"""What ties a camera's own times to those that all cameras share."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from mocap.core.errors import InputError

METHODS = ("timestamps", "audio", "flash", "motion", "board")
"""What clocks are found by."""


@dataclass(frozen=True)
class Clock:
    """stamp = rate * time + offset: what a camera's own clock says at a time that all share, both in seconds.

    A stamp is a frame's row of `timestamps.csv` where there is one, else its presentation time in the file.
    """

    offset_s: float = 0.0
    rate: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.offset_s) and 0 < self.rate < float("inf")):
            raise InputError(f"a clock with an offset of {self.offset_s} s and a rate of {self.rate} is none")

    def time_s(self, stamp_s: Float[np.ndarray, "*F"]) -> Float[np.ndarray, "*F"]:
        """The shared time of the camera's stamps."""
        return (stamp_s - self.offset_s) / self.rate

    def stamp_s(self, time_s: Float[np.ndarray, "*F"]) -> Float[np.ndarray, "*F"]:
        """What the camera's clock says at shared times."""
        return self.rate * time_s + self.offset_s


@dataclass(frozen=True)
class FrameFaults:
    """What is wrong with the frames of a camera, besides its clock.

    repeated: numbers of frames that show an earlier one again. gaps: (frame, seconds): from that frame on everything
    was taken so much later than the stamps say, as exposures were lost and the stamps count on. uneven_stamps: the
    stamps tremble though the camera exposes evenly; its times are those of the even exposures.
    """

    repeated: tuple[int, ...] = ()
    gaps: tuple[tuple[int, float], ...] = ()
    uneven_stamps: bool = False

    def corrected_s(self, stamp_s: Float[np.ndarray, "F"]) -> Float[np.ndarray, "F"]:
        """The stamps with the gaps that they do not know of."""
        late = np.zeros(len(stamp_s))
        known = [(frame, seconds) for frame, seconds in self.gaps if 0 <= frame < len(stamp_s)]
        np.add.at(late, [frame for frame, _ in known], [seconds for _, seconds in known])
        return stamp_s + np.cumsum(late)


@dataclass(frozen=True, eq=False)
class ClockEstimate:
    """One method's word on two cameras: stamp_camera = stamp_reference * (1 + drift_ppm / 1e6) + offset_s.

    offset_s: at the reference's stamp 0, also where it holds best elsewhere. drift_ppm: None where none was fitted;
    then the offset is that of the stamps that were looked at, which `note` tells. sd_s: standard deviation of the
    offset in the middle of what was looked at. confidence: in [0, 1], the chance that the estimate is right within a
    few sd_s. curve: offsets (n,) s and the score of each (n,), higher is better.
    """

    method: str
    camera: str
    reference: str
    offset_s: float
    drift_ppm: float | None = None
    sd_s: float = 0.0
    confidence: float = 1.0
    curve: tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]] | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"no clock is found by {self.method!r}", remedy=f"There are {', '.join(METHODS)}.")
        if not (0 <= self.confidence <= 1 and self.sd_s >= 0):
            raise InputError(f"a confidence of {self.confidence} and a deviation of {self.sd_s} s are not possible")

    @property
    def rate(self) -> float:
        """Seconds of the camera's clock in one of the reference's."""
        return 1.0 + (self.drift_ppm or 0.0) / 1e6

    @property
    def clock(self) -> Clock:
        """Of the camera, on the clock of the reference."""
        return Clock(self.offset_s, self.rate)

    def reversed(self) -> ClockEstimate:
        """The same said of the reference against the camera."""
        curve = None if self.curve is None else (-self.curve[0][::-1], self.curve[1][::-1])
        drift = None if self.drift_ppm is None else 1e6 * (1 / self.rate - 1)
        return replace(
            self,
            camera=self.reference,
            reference=self.camera,
            offset_s=-self.offset_s / self.rate,
            drift_ppm=drift,
            curve=curve,
        )
