"""How long a video's sound goes on, without decoding it."""

from __future__ import annotations

from pathlib import Path

import av
from av.error import FFmpegError

from mocap.core.errors import VideoError


def sound_end_s(path: str | Path) -> float | None:
    """The end of the first track of sound, on the container's times; None without one or without stamps.

    Of AAC up to a block (1024 samples, some 20 ms) too late, as the last block is filled up.
    """
    path = Path(path)
    end = None
    try:
        with av.open(str(path)) as container:
            for packet in container.demux(container.streams.audio[0]) if container.streams.audio else ():
                if packet.pts is not None and packet.time_base is not None:
                    stop = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                    end = stop if end is None else max(end, stop)
    except FileNotFoundError:
        raise VideoError("no such file", where=path) from None
    except (FFmpegError, OSError):
        return end  # the file is cut off here
    return end
