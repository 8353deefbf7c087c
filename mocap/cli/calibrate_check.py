"""`mocap calibrate --check`: has a camera moved since the calibration?"""

from __future__ import annotations

import time
from pathlib import Path

from rich.markup import escape

from mocap.cli.console import print_json, print_path, tell
from mocap.cli.progress import observer_for_this_output

VERDICT_COLOURS = {"unmoved": "green", "moved": "red"}


def check_session(session: Path, take: Path, *, resolve: bool, threads: int, as_json: bool) -> None:
    """Compare a take with the session's rig, tell, and write the rig with moved cameras solved again when asked."""
    from calibration.camera_check import check_rig
    from calibration.formats import read_calibration
    from calibration.rig_file import read_rig_metadata
    from mocap.calibrate.check import take_points, with_moved
    from mocap.calibrate.results import replace_rig
    from mocap.core.errors import InputError

    path = session / "calibration" / "rig.toml" if session.is_dir() else session
    if not path.is_file():
        raise InputError(
            "there is no rig to check", where=path, remedy="Calibrate first, or give a calibration file for SESSION."
        )
    rig = read_calibration(path)
    with observer_for_this_output(take.name) as observer:
        observer.stage_started("look")
        began = time.perf_counter()
        points = take_points(
            take, rig, threads=threads, progress=lambda done, total: observer.progressed("look", done, total)
        )
        found = check_rig(points.rig, points.px, points.weight)
        observer.stage_finished("look", time.perf_counter() - began, cached=False)
    written = None
    if resolve and found.moved:
        replace_rig(with_moved(rig, found, points.renamed), path, read_rig_metadata(path))
        written = path
    if as_json:
        print_json({"by": points.by, "rig": None if written is None else str(written), **found.to_json_dict()})
        return
    tell(f"{escape(take.name)}, by the {points.by} in it:")
    for camera in found.cameras:
        colour = VERDICT_COLOURS.get(camera.verdict, "yellow")
        tell(f"  [{colour}]{escape(camera.camera)}[/] {escape(camera.sentence)}")
    if written is not None:
        tell(f"Solved again: {', '.join(found.moved)}. The rig as it was is rig.previous.toml beside it.")
        print_path(written)
    elif found.moved:
        tell("Run again with --resolve to solve it anew from this take.")
