"""Frame-exact decoding of one video: streaming, and by index."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from jaxtyping import UInt8

from mocap.core.config import Report
from mocap.core.errors import VideoError
from mocap.io.video_decode import DamageMap, DecodedPicture, decode_pictures
from mocap.io.video_probe import VideoInfo, probe_video

QUARTER_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


@dataclass(frozen=True, eq=False)
class Frame:
    """One upright picture. index: place in presentation order; time_s: seconds since the video's first frame."""

    index: int
    time_s: float
    image: UInt8[np.ndarray, "H W 3"]


class VideoReport(Report):
    """What decoding a video came to. `expected` is an estimate where the file was cut off and holds no count."""

    path: str
    decoded: int
    expected: int
    expected_exact: bool = True
    first_missing: int | None = None
    first_error: str | None = None

    @classmethod
    def joined(cls, parts: Sequence[VideoReport]) -> VideoReport:
        """Of ranges of one video that follow each other, one report."""
        broken = next((part for part in parts if not part.complete), parts[0])
        return cls(
            path=parts[0].path,
            decoded=sum(part.decoded for part in parts),
            expected=sum(part.expected for part in parts),
            expected_exact=all(part.expected_exact for part in parts),
            first_missing=broken.first_missing,
            first_error=broken.first_error,
        )

    @property
    def complete(self) -> bool:
        return self.decoded == self.expected

    @property
    def sentence(self) -> str:
        """One line for people."""
        if self.complete:
            return f"{self.path}: all {self.decoded} frames are good"
        expected = f"{self.expected}" if self.expected_exact else f"about {self.expected}"
        return (
            f"{self.path}: {self.decoded} of {expected} frames are good; "
            f"the first one missing is frame {self.first_missing} ({self.first_error})"
        )


class VideoReader:
    """Frames of a video, upright RGB, in presentation order, in memory that does not grow.

    A frame's index is its place among the pictures that the file lists, so that a damaged frame leaves a hole
    instead of moving its successors. A damaged picture and those predicted from it, up to the next keyframe, are left
    out and counted in `report`, which describes the latest iteration.
    """

    def __init__(self, path: str | Path, *, rotation: int = 0, info: VideoInfo | None = None) -> None:
        self.info = info if info is not None else probe_video(path, rotation)
        self.report = _report(self.info, np.zeros(0, dtype=np.int64), range(self.info.n_frames), None)
        self._to_rgb = VideoReformatter()
        self._forward: Generator[DecodedPicture] | None = None
        self._next_row = 0

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file that `read` keeps open (an iteration closes its own)."""
        if self._forward is not None:
            self._forward.close()
            self._forward = None

    def __len__(self) -> int:
        return self.info.n_frames

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def frames(self, start: int = 0, stop: int | None = None) -> Generator[Frame]:
        """Frames with an index in [start, stop) (default: all), as an iteration gives them; the report is about those.

        Decoding begins at the last keyframe that leads to `start`.
        """
        stop = self.info.n_frames if stop is None else min(stop, self.info.n_frames)
        damage = DamageMap(self.info)
        delivered = np.zeros(self.info.n_readable, dtype=bool)
        pictures = decode_pictures(self.info, damage, start)
        try:
            while start < len(delivered) and not delivered[stop - 1 :].any():
                picture = next(pictures, None)
                if picture is None or picture.row >= stop:
                    break
                delivered[picture.row] = True
                yield self._frame(picture)
        finally:
            pictures.close()
            self.report = _report(self.info, np.flatnonzero(delivered), range(start, stop), damage.first_error)

    def read(self, index: int) -> Frame:
        """The frame of that index, equal to what an iteration gives; fast where indices ascend."""
        if not 0 <= index < self.info.n_readable:
            raise VideoError(
                f"there is no frame {index}; the file has frames 0 to {self.info.n_readable - 1}", where=self.info.path
            )
        starts = self._starts(index)
        if self._forward is not None and starts[0] <= self._next_row <= index:
            picture = self._advance_to(index)
            if picture is not None:
                return self._frame(picture)
        for start in starts:
            self.close()
            self._forward = decode_pictures(self.info, DamageMap(self.info), start)
            picture = self._advance_to(index)
            if picture is not None:
                return self._frame(picture)
        raise VideoError(f"frame {index} is damaged", where=self.info.path, remedy="Copy the file again.")

    def _starts(self, index: int) -> list[int]:
        """Rows to try decoding from: the nearest keyframe, the one before, the beginning."""
        keyframes = self.info.packets.start_rows(index)[:2] if self.info.has_timestamps else []
        return list(dict.fromkeys([*keyframes, 0]))

    def _advance_to(self, index: int) -> DecodedPicture | None:
        assert self._forward is not None
        for picture in self._forward:
            self._next_row = picture.row + 1
            if picture.row >= index:
                return picture if picture.row == index else None
        self.close()
        return None

    def _frame(self, picture: DecodedPicture) -> Frame:
        return Frame(picture.row, float(self.info.times_s[picture.row]), self._upright_rgb(picture.frame))

    def _upright_rgb(self, frame: VideoFrame) -> UInt8[np.ndarray, "H W 3"]:
        # One swscale thread: its own pool costs 20 % more CPU than it saves (measured at 1088x1920).
        image = self._to_rgb.reformat(frame, format="rgb24", threads=1).to_ndarray()
        turn = QUARTER_TURNS.get(self.info.rotation)
        return np.ascontiguousarray(image) if turn is None else cv2.rotate(image, turn)


def _report(info: VideoInfo, delivered: np.ndarray, asked: range, error: str | None) -> VideoReport:
    complete = len(delivered) == len(asked)
    holes = np.flatnonzero(delivered != asked.start + np.arange(len(delivered)))
    if error is None:
        error = "the file ends there" if info.cut_off else "reading stopped there"
    return VideoReport(
        path=str(info.path),
        decoded=len(delivered),
        expected=len(asked),
        expected_exact=info.n_frames_exact or asked.stop <= info.n_readable,
        first_missing=None if complete else asked.start + (int(holes[0]) if len(holes) else len(delivered)),
        first_error=None if complete else error,
    )
