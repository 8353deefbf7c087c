"""`mocap sync`: the cameras of a take on one clock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from mocap.cli.console import print_json, print_path, tell
from mocap.cli.progress import observer_for_this_output, start_plain_log
from mocap.core.errors import InputError

if TYPE_CHECKING:
    from mocap.core.session import Take
    from mocap.take_sync import SyncConfig, SyncResult

EXAMPLE = """
Cameras that were started by hand, run at different rates or lose frames are put on one clock by what they recorded:
times of a recorder, sound (a clap is enough), a flash of light, and the motion of people. What comes out is the clock
of each camera in the take's sync.toml, which mocap process uses by itself, and sync.html, which shows how sure it is.

[bold]Examples[/]

  mocap sync my_session/takes/walk

  mocap sync my_session

  mocap sync my_session/takes/walk --method audio --reference cam02

  mocap sync my_session/takes/walk --dry-run --json

  mocap sync my_session --method board

The second does that with every take that its recorder did not put on one clock; --json then prints a list. The last is
for clips of the waved board (calibration/extrinsics) of cameras that ran by themselves: the board says when each saw
what the others saw. It writes their timestamps.csv, which mocap calibrate uses.
"""


def command(
    take: Annotated[Path, typer.Argument(metavar="TAKE|SESSION", help="A take, or a session: all its takes.")],
    method: Annotated[
        str, typer.Option(help="auto, timestamps, audio, flash or motion; board for a session's clips of the board.")
    ] = "auto",
    reference: Annotated[
        str | None, typer.Option(metavar="CAM", help="Camera whose clock the others get; default: the first.")
    ] = None,
    rig: Annotated[Path | None, typer.Option("--rig", help="Calibration file instead of the session's.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one key; may be repeated.")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads to use; 0 means all cores.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Put the cameras of a take on one clock."""
    start_plain_log()
    if method == "board":
        sync_clips(take, reference, threads, dry_run=dry_run, as_json=as_json)
        return
    from mocap.core.config import load_config
    from mocap.io.session_files import is_take
    from mocap.take_sync import SyncConfig

    named = [f"method={method}", *([] if reference is None else [f"reference={reference}"])]
    values = load_config(SyncConfig, config, [*named, *(settings or ())])
    done, refused = [], []
    chosen = _takes(take)
    for one in chosen:
        try:
            done.append(_synced(one, values, rig=rig, threads=threads, dry_run=dry_run))
        except InputError as error:
            if len(chosen) == 1:
                raise
            refused.append(f"{one.name}: {error}")
            continue
        if not as_json:
            show(*done[-1])
    if as_json:
        documents = [as_document(*each) for each in done]
        print_json(documents[0] if is_take(take) else documents)
    if refused:
        raise InputError(f"{len(refused)} of {len(chosen)} takes could not be put on one clock: " + " ".join(refused))


def _takes(path: Path) -> tuple[Take, ...]:
    """The take, or of a session every take that its recorder did not put on one clock."""
    from mocap.io.session_files import has_recorder_clock, is_session, is_take, open_session, open_take, open_takes

    if is_take(path) or not is_session(path):
        return (open_take(path),)
    takes = open_takes(open_session(path))
    for take in takes:
        if has_recorder_clock(take):
            tell(f"{escape(take.name)}: is on one clock already, its recorder's")
    return tuple(take for take in takes if not has_recorder_clock(take))


def _synced(
    take: Take, values: SyncConfig, *, rig: Path | None, threads: int, dry_run: bool
) -> tuple[SyncResult, list[Path]]:
    """The clocks of a take, and the files that were written."""
    from mocap.capture.sync_report import save_sync
    from mocap.io.session_files import open_session
    from mocap.take_sync import sync_take

    if rig is None and take.session_root is not None:
        rig = open_session(take.session_root).rig_path
    with observer_for_this_output(take.name) as observer:
        result = sync_take(take, take.root / "derived", values, rig_path=rig, threads=threads, observer=observer)
    return result, [] if dry_run else list(save_sync(take, result.sync, result.cameras, result.notes))


def sync_clips(session: Path, reference: str | None, threads: int, *, dry_run: bool, as_json: bool) -> None:
    """Clocks of the clips of a board that was waved."""
    from mocap.calibrate.clips import find_clips
    from mocap.calibrate.observed import observe
    from mocap.calibrate.sync_clips import KIND, clip_clocks, write_clip_times

    clips = find_clips(session)
    with observer_for_this_output(clips.root.resolve().name) as observer:
        observed = observe(clips, observer, threads=threads)
    found = clip_clocks(clips, observed, reference=reference)
    path = None if dry_run else write_clip_times(found, clips.clips[KIND].folder)
    if as_json:
        clocks = {
            e.camera: {"offset_s": e.offset_s, "rate": e.rate, "sd_ms": 1000 * e.sd_s, "confidence": e.confidence}
            for e in found.estimates
        }
        print_json({"reference": found.reference, "cameras": clocks, "files": [] if path is None else [str(path)]})
        return
    tell(f"{len(found.times_s)} cameras on the clock of {escape(found.reference)}, by the board")
    for e in found.estimates:
        drift = 1e6 * (e.rate - 1)
        tell(f"  {escape(e.camera)}: {e.offset_s:+.4f} s, {drift:+.1f} ppm, ± {1000 * e.sd_s:.1f} ms")
    if path is not None:
        print_path(path)


command.__doc__ = (command.__doc__ or "") + EXAMPLE


def as_document(result: SyncResult, files: list[Path]) -> dict[str, Any]:
    """The clocks of a take for machines."""
    return {
        "take": result.take.name,
        "files": [str(file) for file in files],
        "reference": result.sync.reference,
        "method": result.sync.method,
        "missing": list(result.missing),
        "cameras": {
            name: {
                "offset_s": found.clock.offset_s,
                "rate": found.clock.rate,
                "sd_ms": None if found.sd_s != found.sd_s else 1000 * found.sd_s,
                "confidence": found.confidence,
                "method": found.method,
                "repeated_frames": list(found.faults.repeated),
                "gaps": [{"frame": frame, "seconds": seconds} for frame, seconds in found.faults.gaps],
                "uneven_stamps": found.faults.uneven_stamps,
            }
            for name, found in result.sync.cameras.items()
        },
        "estimates": [
            {
                "camera": e.camera,
                "method": e.method,
                "offset_s": e.offset_s,
                "drift_ppm": e.drift_ppm,
                "sd_ms": 1000 * e.sd_s,
                "confidence": e.confidence,
                "agrees": agrees,
                "note": e.note,
            }
            for camera in result.cameras.values()
            for e, agrees in zip(camera.estimates, camera.agrees, strict=True)
        ],
        "notes": list(result.notes),
    }


def show(result: SyncResult, files: list[Path]) -> None:
    """The clocks of a take for people, and where they are."""
    sync = result.sync
    tell(f"{escape(result.take.name)}: {len(sync.cameras)} cameras on the clock of {escape(sync.reference)}")
    for name, found in sync.cameras.items():
        if name != sync.reference:
            drift = 1e6 * (found.clock.rate - 1)
            tell(
                f"  {escape(name)}: {found.clock.offset_s:+.4f} s, {drift:+.1f} ppm, ± {1000 * found.sd_s:.1f} ms "
                f"by {found.method} (confidence {found.confidence:.2f})"
            )
    for note in result.notes:
        tell(f"  [yellow]note[/] {escape(note)}")
    for file in files:
        print_path(file)
