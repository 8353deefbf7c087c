"""The `mocap` command. Command modules import what is heavy inside their functions, so that `--help` is quick."""

from __future__ import annotations

import sys

try:
    import typer

    from mocap.cli import (
        batch,
        board,
        calibrate,
        doctor,
        evaluate,
        evaluate_dataset,
        export,
        fit,
        models,
        process,
        record,
        retarget,
        session,
        sync,
        synth,
        train,
    )
    from mocap.cli.console import explained, obey_signals
except KeyboardInterrupt:  # while the program loads, before it obeys signals by itself
    sys.exit(130)

app = typer.Typer(
    name="mocap",
    help="Markerless motion capture from ordinary cameras: videos and a calibration in, animation out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("board", short_help="Make a calibration board to print.")(explained(board.command))
app.command("record", short_help="Record clips of the board and takes.")(explained(record.command))
app.command("calibrate", short_help="Make the rig of a session from clips of a board.")(explained(calibrate.command))
app.command("sync", short_help="Put the cameras of a take on one clock.")(explained(sync.command))
app.command("process", short_help="Turn takes into animation files.")(explained(process.command))
app.command("batch", short_help="Process many takes, several at once.")(explained(batch.command))
app.command("export")(explained(export.command))
app.command("fit", short_help="Fit a body to processed takes.")(explained(fit.command))
app.command("retarget", short_help="Put a motion onto your own character.")(explained(retarget.command))
app.command("synth", short_help="Make a synthetic session with ground truth.")(explained(synth.command))
app.command("train", short_help="Train a network.")(explained(train.command))
app.command("doctor")(explained(doctor.command))
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(evaluate_dataset.app, name="evaluate-dataset")
app.add_typer(models.app, name="models")
app.add_typer(session.app, name="session")


def main() -> None:
    """Entry point of the console script."""
    obey_signals()
    app()


if __name__ == "__main__":
    main()
