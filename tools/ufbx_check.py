"""Read an FBX file with ufbx (none of our code) and write down what it sees.

    .venv/bin/python tools/ufbx_check.py walk.fbx walk.npz --frames 100

A process of its own: iterating ufbx's lists can crash. The dump holds, in units and axes of the file, `names` (N,),
`parents` (N,), `is_bone` (N,), `rest` (N, 4, 4) world transforms at rest, `unit_m`, `up`, `fps`, `version`,
`warnings`, `stacks` (S,), `spans` (S, 2) seconds, and for each stack number s: `world_s` (T, N, 4, 4) at `--frames`
moments from the start of the stack on, one over the frame rate apart (default: to its end). With a skin: `vertices_s`
(T, V, 3) in the world.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import ufbx  # type: ignore[import-not-found]


def main() -> None:
    """Read the command line and do as it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fbx", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, help="frames of each stack; default: all")
    parser.add_argument("--fps", type=float, help="moments a second; default: the file's frame rate")
    parser.add_argument("--skin", action="store_true", help="vertices of the first mesh too")
    options = parser.parse_args()
    np.savez(options.out, **dump(options))


def dump(options: argparse.Namespace) -> dict[str, Any]:
    """What ufbx sees, see the top of this file."""
    scene = ufbx.load_file(str(options.fbx), evaluate_skinning=True)
    nodes = [scene.nodes[i] for i in range(len(scene.nodes))]
    settings = scene.settings
    fps = options.fps or settings.frames_per_second
    stacks = [scene.anim_stacks[i] for i in range(len(scene.anim_stacks))]
    number = {node.typed_id: index for index, node in enumerate(nodes)}
    found: dict[str, Any] = {
        "names": np.array([node.name for node in nodes]),
        "parents": np.array([-1 if node.parent is None else number[node.parent.typed_id] for node in nodes]),
        "is_bone": np.array([node.bone is not None for node in nodes]),
        "rest": np.array([_matrix(node.node_to_world) for node in nodes]),
        "unit_m": settings.unit_meters,
        "up": settings.axes.up.name,
        "fps": settings.frames_per_second,
        "version": scene.metadata.version,
        "warnings": np.array([scene.metadata.warnings[i].description for i in range(len(scene.metadata.warnings))]),
        "stacks": np.array([stack.name for stack in stacks]),
        "spans": np.array([(stack.time_begin, stack.time_end) for stack in stacks]).reshape(-1, 2),
    }
    for index, stack in enumerate(stacks):
        whole = round((stack.time_end - stack.time_begin) * fps) + 1
        count = whole if options.frames is None else min(whole, options.frames)
        worlds, vertices = [], []
        for frame in range(count):
            posed = ufbx.evaluate_scene(
                scene, stack.anim, stack.time_begin + frame / fps, evaluate_skinning=options.skin
            )
            worlds.append([_matrix(posed.nodes[i].node_to_world) for i in range(len(nodes))])
            if options.skin:
                vertices.append(_vertices(posed))
        found[f"world_{index}"] = np.array(worlds).reshape(count, len(nodes), 4, 4)
        if options.skin:
            found[f"vertices_{index}"] = np.array(vertices)
    return found


def _matrix(matrix: Any) -> np.ndarray:
    columns = [list(column) for column in (matrix.c0, matrix.c1, matrix.c2, matrix.c3)]
    return np.vstack([np.array(columns).T, [0, 0, 0, 1]])


def _vertices(scene: Any) -> np.ndarray:
    mesh = scene.meshes[0]
    positions = mesh.skinned_position.values
    local = np.array([list(positions[i]) for i in range(len(positions))])
    if mesh.skinned_is_local:
        matrix = _matrix(mesh.instances[0].geometry_to_world)
        local = local @ matrix[:3, :3].T + matrix[:3, 3]
    return local


if __name__ == "__main__":
    main()
