"""The cameras of a take in lock-step, each decoded in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from mocap.core.config import Report
from mocap.core.errors import VideoError
from mocap.io.video_probe import VideoInfo, probe_video
from mocap.io.video_reader import Frame, VideoReader, VideoReport

POLL_S = 0.1
"""How long a thread waits before it looks whether it is still wanted; Ctrl-C is noticed as quickly."""

_Item = Frame | BaseException | None
"""What a decoding thread hands over: a frame, its failure, or the end."""


class SynchronizedReport(Report):
    """n_frames: frames of the take; lengths: frames each file should have; cameras: what decoding each one came to
    over the range that was read.
    """

    n_frames: int
    lengths: dict[str, int]
    cameras: dict[str, VideoReport]

    @classmethod
    def joined(cls, parts: Sequence[SynchronizedReport]) -> SynchronizedReport:
        """Of ranges of one take that follow each other, one report."""
        cameras = {name: VideoReport.joined([part.cameras[name] for part in parts]) for name in parts[0].cameras}
        return parts[0].model_copy(update={"cameras": cameras})

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is worth telling: unequal lengths and missing frames."""
        told = []
        if self.n_frames < max(self.lengths.values()) and len(set(self.lengths.values())) > 1:
            lengths = ", ".join(f"{name} {n}" for name, n in self.lengths.items())
            told.append(f"the videos differ in length ({lengths} frames); the first {self.n_frames} are used")
        told += [f"{name}: {report.sentence}" for name, report in self.cameras.items() if not report.complete]
        return tuple(told)


def common_length(infos: Mapping[str, VideoInfo]) -> int:
    """Frames that all videos should have, of which at least one can be read in some."""
    return min(min(info.n_frames for info in infos.values()), whole_length(infos))


def whole_length(infos: Mapping[str, VideoInfo]) -> int:
    """Frames until nothing can be read any more."""
    return max(info.n_readable for info in infos.values())


class SynchronizedReader:
    """Iterates (index, {camera: image}) over all cameras, from `start` to `stop` or the end of the shortest video.

    An image is upright RGB, or None where that camera's frame is missing or damaged. `report` holds when an iteration
    has ended. At most `queue_length` pictures wait per camera. The threads end with the iteration, however it ends;
    a consumer that may stop half-way should close the iterator or use the reader as a context manager.
    """

    length = staticmethod(common_length)

    def __init__(
        self,
        videos: Mapping[str, Path],
        *,
        rotations: Mapping[str, int] | None = None,
        infos: Mapping[str, VideoInfo] | None = None,
        queue_length: int = 3,
        start: int = 0,
        stop: int | None = None,
    ) -> None:
        if not videos:
            raise VideoError("a take needs at least one video")
        turns = rotations or {}
        known = infos or {}
        self.infos = {n: known.get(n) or probe_video(path, turns.get(n, 0)) for n, path in videos.items()}
        self.n_frames = self.length(self.infos)
        self.span = range(start, self.n_frames if stop is None else min(stop, self.n_frames))
        self.report: SynchronizedReport | None = None
        self._queue_length = queue_length
        self._running: list[_Worker] = []

    def __len__(self) -> int:
        return len(self.span)

    def __enter__(self) -> SynchronizedReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop and join the decoding threads."""
        for worker in self._running:
            worker.stop.set()
        for worker in self._running:
            with suppress(RuntimeError):  # not started, or Ctrl-C while it was: it sees `stop` at once
                worker.thread.join()
        self._running = []

    def __iter__(self) -> Iterator[tuple[int, dict[str, np.ndarray | None]]]:
        self.close()
        workers = {
            name: _Worker(VideoReader(info.path, info=info), self.span, self._queue_length)
            for name, info in self.infos.items()
        }
        self._running = list(workers.values())
        try:
            for worker in self._running:
                worker.thread.start()
            for index in self.span:
                yield index, {name: worker.image(index) for name, worker in workers.items()}
            for worker in self._running:
                worker.finish()
        finally:
            self.close()
            self.report = SynchronizedReport(
                n_frames=self.n_frames,
                lengths={name: info.n_frames for name, info in self.infos.items()},
                cameras={name: worker.reader.report for name, worker in workers.items()},
            )


class WholeTakeReader(SynchronizedReader):
    """Goes on to the end of the longest video; a camera whose video has ended has no image."""

    length = staticmethod(whole_length)


class _Worker:
    """Decodes one video into a short queue."""

    def __init__(self, reader: VideoReader, span: range, queue_length: int) -> None:
        self.reader = reader
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"decode {reader.info.path.name}", daemon=True)
        self._span = span
        self._queue: queue.Queue[_Item] = queue.Queue(maxsize=queue_length)
        self._ahead: Frame | None = None
        self._ended = False

    def image(self, index: int) -> np.ndarray | None:
        """The picture of that index; None where it is missing. Indices must ascend."""
        while not self._ended and (self._ahead is None or self._ahead.index < index):
            self._take()
        return self._ahead.image if self._ahead is not None and self._ahead.index == index else None

    def finish(self) -> None:
        """Take what is left, so that the reader's report is about the whole range."""
        while not self._ended:
            self._take()

    def _take(self) -> None:
        try:
            item = self._queue.get(timeout=POLL_S)
        except queue.Empty:
            return
        if isinstance(item, BaseException):
            raise item
        self._ahead = item
        self._ended = item is None

    def _run(self) -> None:
        frames = self.reader.frames(self._span.start, self._span.stop)
        try:
            for frame in frames:
                if not self._put(frame):
                    break
            frames.close()
            self._put(None)
        except BaseException as error:
            self._put(error)

    def _put(self, item: _Item) -> bool:
        while not self.stop.is_set():
            try:
                self._queue.put(item, timeout=POLL_S)
            except queue.Full:
                continue
            return True
        return False
