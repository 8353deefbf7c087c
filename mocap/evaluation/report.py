"""Evaluations as compact tables for a terminal: the headline first, the worst joints marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from mocap.evaluation.evaluate_pictures import ViewEvaluation
from mocap.evaluation.evaluate_points import PointsEvaluation, by_alignment
from mocap.evaluation.evaluate_truth import OffsetReport
from mocap.evaluation.protocols import ProtocolReport
from mocap.evaluation.rig_metrics import RigReport
from mocap.evaluation.sync_metrics import SyncReport
from mocap.evaluation.take import TakeEvaluation

NOTHING = "–"
N_MARKED = 3
"""Joints of the largest error in a column that are marked."""

TOLD_LOSS = 0.001
"""Share of lost points from which the headline tells it."""


def take_lines(report: TakeEvaluation) -> list[RenderableType]:
    """A take: one line that matters, then a table for each kind of figure."""
    name = f"{report.session}/{report.take}" if report.session else report.take
    lines: list[RenderableType] = [f"[bold]{escape(name)}[/]  {_headline(report.points)}"]
    lines.append(f"[dim]{escape(_compared(report))}[/]")
    if report.offset is not None:
        lines.append(offset_line(report.offset))
    lines += [points_table(report.points), joints_table(report.points), body_table(report.points)]
    lines += [rotations_line(report)] if report.rotations else []
    lines += _crowd_lines(report.points)
    lines += [pictures_table(report.pictures)] if report.pictures else []
    lines += [rig_table(report.rig)] if report.rig is not None else []
    lines += [protocol_table(f.protocol, stage) for stage, f in report.points.items() if f.protocol is not None]
    return lines + [f"[yellow]note[/] {escape(note)}" for note in report.notes]


def points_lines(report: PointsEvaluation, offset: OffsetReport | None = None) -> list[RenderableType]:
    """Two files of points."""
    of = {"prediction": report}
    lines: list[RenderableType] = [_headline({"": report})]
    lines += [offset_line(offset)] if offset is not None else []
    lines += [points_table(of), joints_table(of), body_table(of), *_crowd_lines(of)]
    lines += [protocol_table(report.protocol, "")] if report.protocol is not None else []
    for what, names in (("only in the prediction", report.only_predicted), ("only in the truth", report.only_true)):
        if names:
            lines.append(f"[dim]{what}: {escape(', '.join(names))}[/]")
    return lines


def points_table(stages: Mapping[str, PointsEvaluation]) -> Table:
    """Errors of the limb joints by stage."""
    table = _table("limb joints", "MPJPE\nmm", "root\nmm", "N-\nmm", "PA-\nmm", "median\nmm", "p95\nmm", "max\nmm")
    for column in ("lost\n%", "PCK\n150 %", "AUC\n%", "swaps\n%"):
        table.add_column(column, justify="right", no_wrap=True)
    for stage, figures in stages.items():
        limbs = figures.limbs
        means, absolute, root = by_alignment(limbs), limbs.alignments["absolute"], limbs.alignments.get("root")
        errors, relative = absolute.errors_mm, root or absolute
        table.add_row(
            stage,
            f"[bold]{_number(errors.mean)}[/]",
            *(_number(means.get(name)) for name in ("root", "scale", "procrustes")),
            *(_number(value) for value in (errors.median, errors.p95, errors.max)),
            _percent(limbs.missing / limbs.points if limbs.points else None),
            *(_percent(value) for value in (relative.pck_150, relative.auc_150, limbs.swaps.share)),
        )
    return table


def joints_table(stages: Mapping[str, PointsEvaluation]) -> Table:
    """Mean absolute error of each limb joint, left and right; the worst of each column are marked."""
    table = _table("mm, left / right", *stages)
    columns = {stage: _joint_means(figures) for stage, figures in stages.items()}
    marked = {stage: sorted(means, key=lambda n: -means[n])[:N_MARKED] for stage, means in columns.items()}
    names = list(dict.fromkeys(n for figures in stages.values() for n in figures.headline_names))
    rows = {name: (name, name.replace("left_", "right_")) for name in names if name.startswith("left_")}
    rows |= {name: (name,) for name in names if not name.startswith(("left_", "right_"))}
    for name, joints in rows.items():
        cells = []
        for stage, means in columns.items():
            values = [f"{_number(means.get(joint)):>5}" for joint in joints]
            bad = [joint in marked[stage] and len(means) > N_MARKED for joint in joints]
            cells.append(" / ".join(f"[bold red]{v}[/]" if b else v for v, b in zip(values, bad, strict=True)))
        table.add_row(name.removeprefix("left_").replace("_", " "), *cells)
    return table


def body_table(stages: Mapping[str, PointsEvaluation]) -> Table:
    """Angles, bones, smoothness and feet by stage."""
    table = _table("body", "bends\n°", "limbs\n°", "speed\nmm/s", "accel.\nm/s²", "jitter\nm/s³", "true\njitter")
    for column in ("bones\nsd %", "skate\nmm/s", "true\nskate", "under\nfloor %"):
        table.add_column(column, justify="right", no_wrap=True)
    for stage, figures in stages.items():
        motion, acceleration = figures.motion, figures.motion.acceleration_error_mm_s2.mean
        table.add_row(
            stage,
            _number(figures.angles.all_bends_deg.mean),
            _number(figures.angles.all_directions_deg.mean),
            _number(motion.velocity_error_mm_s.mean, 0),
            _number(None if acceleration is None else acceleration / 1000, 2),
            _number(motion.jitter_prediction_m_s3.mean, 0),
            _number(motion.jitter_truth_m_s3.mean, 0),
            _percent(_mean([bones.mean_coefficient for bones in figures.bones.values()]), 2),
            _number(_mean([feet.speed_mm_s.mean for feet in figures.feet.values()]), 0),
            _number(_mean([feet.speed_mm_s.mean for feet in figures.true_feet.values()]), 0),
            _percent(_mean([feet.penetration_share for feet in figures.feet.values()])),
        )
    return table


def pictures_table(stages: Mapping[str, Mapping[str, ViewEvaluation]]) -> Table:
    """Found keypoints against true pixels, camera by camera."""
    table = _table("pictures", "camera", "limbs\nmedian px", "all\nmedian", "\np95", "hidden\ntoo", "PCKh\n%", "OKS")
    for column in ("missed", "surplus"):
        table.add_column(column, justify="right", no_wrap=True)
    for stage, views in stages.items():
        for row, (camera, view) in enumerate(views.items()):
            seen, every = view.visible, view.in_picture
            table.add_row(
                stage if row == 0 else "",
                escape(camera),
                _number(view.limbs_px, 2),
                *(_number(value, 2) for value in (seen.errors_px.median, seen.errors_px.p95, every.errors_px.median)),
                _percent(seen.pckh_50),
                _number(seen.oks.mean, 3),
                f"{view.missed}/{view.people}" if view.missed else "0",
                str(view.surplus),
            )
    return table


def rig_table(report: RigReport) -> Table:
    """Each camera against the true one."""
    table = _table("rig", "position\nmm", "rotation\n°", "focal\n%", "centre\npx", "lens\npx", "reproj.\npx", "\np95")
    for name, camera in report.cameras.items():
        focal = max(camera.focal_percent, key=abs)
        table.add_row(
            escape(name),
            _number(camera.position_mm, 2),
            _number(camera.rotation_deg, 3),
            f"{focal:+.2f}",
            *(_number(value, 2) for value in (camera.principal_point_px, camera.lens_px)),
            *(_number(value, 2) for value in (camera.reprojection_px.mean, camera.reprojection_px.p95)),
        )
    scale = NOTHING if report.scale_percent is None else f"{report.scale_percent:+.2f} %"
    space = report.triangulation_mm
    lost = f"  missing: {', '.join(report.missing)}" if report.missing else ""
    table.caption = (
        f"points in the working volume: mean {_number(space.mean, 2)} mm, max {_number(space.max, 2)} mm; "
        f"scale {scale}; aligned: {report.alignment.value}{escape(lost)}"
    )
    return table


def sync_table(report: SyncReport) -> Table:
    """Each camera's clock against the reference camera's."""
    table = _table(
        f"clocks against {escape(report.reference)}", "frames", "offset\nms", "drift\nppm", "RMS\nms", "max\nms"
    )
    for name, camera in report.cameras.items():
        table.add_row(
            escape(name),
            str(camera.frames),
            f"{camera.offset_ms:+.2f}",
            NOTHING if camera.drift_ppm is None else f"{camera.drift_ppm:+.1f}",
            *(_number(value, 2) for value in (camera.rms_ms, camera.max_ms)),
        )
    table.caption = f"worst {_number(report.max_ms, 2)} ms, RMS {_number(report.rms_ms, 2)} ms"
    return table


def protocol_table(report: ProtocolReport, stage: str) -> Table:
    """A published protocol's figures."""
    table = _table(f"{report.protocol} {stage}".strip(), "value")
    for name, value in report.figures.items():
        text = f"{_number(value)} mm" if name.endswith("_mm") else f"{_percent(value)} %"
        table.add_row(name.removesuffix("_mm").replace("_", " "), text)
    told = [
        f"{what}: {', '.join(names)}"
        for what, names in (("absent", report.absent), ("near only", report.approximate))
        if names
    ]
    table.caption = escape("; ".join(told)) or None
    return table


def offset_line(offset: OffsetReport) -> str:
    """What the search for an offset found."""
    return (
        f"best with the truth taken [bold]{offset.offset_ms:+.2f} ms[/] later: "
        f"{offset.error_mm:.2f} mm instead of {offset.unshifted_mm:.2f} mm"
    )


def rotations_line(report: TakeEvaluation) -> str:
    """Solved rotations of joints."""
    parts = []
    for person, figures in report.rotations.items():
        worst = sorted((v, n) for n, v in figures.per_joint_local_deg.items() if v is not None)[-N_MARKED:]
        listed = ", ".join(f"{name} {value:.1f}" for value, name in reversed(worst))
        parts.append(
            f"{escape(person)}: joints turned by {_number(figures.local_deg.mean)}° against their parent and "
            f"{_number(figures.world_deg.mean)}° in the world from the true ones (worst {listed})"
        )
    return "\n".join(parts)


def _crowd_lines(stages: Mapping[str, PointsEvaluation]) -> list[RenderableType]:
    crowds = {stage: f.crowd for stage, f in stages.items() if f.crowd is not None}
    if not crowds:
        return []
    table = _table("people", "precision\n%", "recall\n%", "mAP\n%", "MOTA\n%", "IDF1\n%", "switches", "fragments")
    for stage, crowd in crowds.items():
        near = crowd.detection["150"]
        table.add_row(
            stage,
            *(_percent(v) for v in (near.precision, near.recall, crowd.panoptic.map)),
            *(_percent(v) for v in (crowd.identity.mota, crowd.identity.idf1)),
            str(crowd.identity.switches),
            str(crowd.identity.fragments),
        )
    table.caption = "precision and recall at 150 mm, identities at 500 mm"
    return [table]


def _headline(stages: Mapping[str, PointsEvaluation]) -> str:
    """A mean says nothing of points that are not there, so their share stands beside it."""
    parts = []
    for stage, figures in stages.items():
        errors = figures.headline_mm
        lost = errors.missing / max(errors.n + errors.missing, 1)
        told = f" [bold red]({_percent(lost)} % lost)[/]" if lost >= TOLD_LOSS else ""
        parts.append(f"{stage} [bold]{_number(errors.mean)} mm[/]{told}".strip())
    n_joints = len(next(iter(stages.values())).headline_names)
    return f"MPJPE over {n_joints} limb joints: {', '.join(parts)}"


def _compared(report: TakeEvaluation) -> str:
    first = next(iter(report.points.values()))
    shift = f", {report.offset_ms:+.2f} ms" if report.offset_ms else ""
    clock = f"{first.frames} frames at {first.fps:g}/s, timed by {report.reference_camera}{shift}"
    return f"{clock}; people: {', '.join(report.people)}"


def _joint_means(figures: PointsEvaluation) -> dict[str, float]:
    per_joint = figures.limbs.alignments["absolute"].per_joint_mm
    return {name: errors.mean for name, errors in per_joint.items() if errors.mean is not None}


def _table(title: str, *columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0), caption_justify="left", header_style="bold")
    table.add_column(title, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _number(value: float | None, digits: int = 1) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def _percent(value: float | None, digits: int = 1) -> str:
    return NOTHING if value is None else f"{100 * value:.{digits}f}"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
