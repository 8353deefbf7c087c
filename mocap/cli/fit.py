"""`mocap fit`: a body model fitted to takes that were processed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mocap.cli.console import print_json, print_path, stdout


def command(
    paths: Annotated[list[str], typer.Argument(metavar="PATH…", help="Takes or sessions that mocap process has done.")],
    model: Annotated[str, typer.Option(help="anny (free to use), smpl, smplh or smplx.")] = "anny",
    model_file: Annotated[
        Path | None, typer.Option(help="The .npz or .pkl of an SMPL model, from its makers' site.")
    ] = None,
    gender: Annotated[str, typer.Option(help="neutral, female or male: which file it is.")] = "neutral",
    to: Annotated[
        list[str] | None,
        typer.Option("--to", help="Beside the .npz: glb, fbx, usd (with skin), ply or obj (a mesh a frame), csv, …"),
    ] = None,
    rig: Annotated[Path | None, typer.Option("--rig", help="Calibration file instead of the session's.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where the take's results are and go.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override one key, e.g. floor=false."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the reports as JSON.")] = False,
) -> None:
    """Fit a body to a processed take: its shape, and its skin in motion.

    Example: mocap fit my_session/takes/walk --to glb
    """
    from mocap.body_fitting import fit_take
    from mocap.core.config import load_config
    from mocap.jobs import find_jobs
    from mocap.stages.fit_body import FitBodyConfig

    given = [f"model={model}", f"gender={gender}", *([f"model_file={model_file}"] if model_file else [])]
    config = load_config(FitBodyConfig, None, [*given, *(settings or ())])
    results = []
    for job in find_jobs(paths, rig=rig, output=output):
        fitted = fit_take(job, config, to or ["glb"])
        if as_json:
            files = [str(path) for path in fitted.files]
            results.append({"take": job.take.name, "files": files, **fitted.report.model_dump(mode="json")})
            continue
        for person in fitted.report.people:
            px = "" if person.reprojection_px is None else f", {person.reprojection_px:.1f} px from what cameras saw"
            stdout.print(f"{person.person}: {person.model}, {person.height_m:.2f} m tall{px}")
        for sentence in fitted.report.sentences:
            stdout.print(sentence, soft_wrap=True)
        for path in fitted.files:
            print_path(path)
    if as_json:
        print_json(results)
