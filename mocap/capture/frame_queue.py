"""A bounded queue of pictures between two threads that counts what it had to drop."""

from __future__ import annotations

import threading
from collections import deque

from mocap.capture.source import SourceFrame


class FrameQueue:
    """received: pictures that came; delivered: that were taken; dropped: that found it full (the newest one goes)."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._frames: deque[SourceFrame] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self.received = 0
        self.delivered = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def closed(self) -> bool:
        """No more pictures come; those inside can still be taken."""
        return self._closed

    def put(self, frame: SourceFrame, *, wait: bool = False) -> bool:
        """Add a picture; False where it was dropped. wait: until there is room, or the queue is closed."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: len(self._frames) < self._length or self._closed)
            if self._closed:
                return False
            self.received += 1
            if len(self._frames) >= self._length:
                self.dropped += 1
                return False
            self._frames.append(frame)
            self._changed.notify_all()
            return True

    def get(self, timeout_s: float) -> SourceFrame | None:
        """The oldest picture; None where none came in time, or none comes any more."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._frames) or self._closed, timeout_s)
            if not self._frames:
                return None
            self.delivered += 1
            frame = self._frames.popleft()
            self._changed.notify_all()
            return frame

    def close(self) -> None:
        """Wake everybody who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
