"""Video in: what a file holds, its frames one by one or by index, and several cameras in lock-step."""

from mocap.io.video_probe import VideoInfo, probe_video
from mocap.io.video_reader import Frame, VideoReader, VideoReport
from mocap.io.video_sync import SynchronizedReader, SynchronizedReport, WholeTakeReader

__all__ = [
    "Frame",
    "SynchronizedReader",
    "SynchronizedReport",
    "VideoInfo",
    "VideoReader",
    "VideoReport",
    "WholeTakeReader",
    "probe_video",
]
