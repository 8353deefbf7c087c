"""Long takes in windows: each begins with the last two frames of the one before, held fixed, and looks ahead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mocap.geometry.pose_model import Pose
from mocap.geometry.pose_solver import PoseProblem, SolverOptions, SolverTrace, solve_poses


@dataclass(frozen=True)
class Windows:
    """length: frames solved at once; overlap: how many of them are solved again with the next window."""

    length: int
    overlap: int

    def rows(self, n_frames: int) -> Iterator[tuple[int, int]]:
        """Begin and end of every window."""
        begin = 0
        while True:
            end = n_frames if n_frames - begin <= self.length + self.overlap else begin + self.length
            yield begin, end
            if end == n_frames:
                return
            begin = end - min(self.overlap, self.length // 2)


def solve_in_windows(
    problem: PoseProblem, start: Pose, options: SolverOptions, windows: Windows
) -> tuple[Pose, SolverTrace]:
    """All frames. The wide stages read the evidence about the start, the last one about what they have found."""
    translation, root, angles = (a.clone() for a in (start.translation, start.root, start.angles))
    wide = replace(options, stages=options.stages[:-1], tolerance=100 * options.tolerance)
    last = replace(options, stages=options.stages[-1:])
    traces = []
    for begin, end in windows.rows(len(start)):
        fixed = min(2, begin)
        rows = slice(begin - fixed, end)
        part, pose = problem.frames(rows, fixed=fixed), Pose(translation[rows], root[rows], angles[rows])
        spent = 0
        if wide.stages:
            pose, trace = solve_poses(part.placed(pose), pose, wide)
            spent = trace.iterations
        pose, trace = solve_poses(part.placed(pose), pose, last)
        traces.append(replace(trace, iterations=trace.iterations + spent))
        translation[rows], root[rows], angles[rows] = pose.translation, pose.root, pose.angles
    total = SolverTrace(
        max(t.iterations for t in traces), sum(t.cost for t in traces), all(t.converged for t in traces)
    )
    return Pose(translation, root, angles), total
