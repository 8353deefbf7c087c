"""Import a BVH or FBX with Blender's own importers and write down what Blender made of it; optionally draw it.

Runs in an environment that has `bpy` (tools/bootstrap.py makes one in .venv-blender), not in the project's own:

    .venv-blender/bin/python tools/blender_check.py walk.bvh --dump walk.npz --png walk.png --frames 1 50 100

The import uses the options a user meets in File > Import > Motion Capture (.bvh): forward -Z, up Y, "Update Scene FPS"
and "Update Scene Duration" ticked, and Scale 0.01 for files in centimetres. An FBX, which says its axes, unit and frame
rate itself, is imported with the options as they come; `--armature` picks one of several people by name. Blender has
two importers of FBX. The older one puts the keys of rates that are not whole (59.94) at the next whole rate's times.

The dump holds `names` (J,), `heads` (T, J, 3) and `rest_heads` (J, 3) in Blender's world (metres, Z up), `rest_tails`
(J, 3), `parents` (J,), `fps`, `frame_range` (2,) of the keys, `scene_range` (2,) of the scene, the names of all
`armatures` and `actions`, `matrices` (J, 3, 3), the bones' axes at rest in the world, and with a mesh under them
`vertices` (T, V, 3).
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import bpy  # type: ignore[import-not-found]
import numpy as np
from mathutils import Vector  # type: ignore[import-not-found]

BONE_RADIUS_M = 0.025
CYCLES_SAMPLES = 12
PICTURE_SIZE = (960, 640)
VIEWS = {"front": (0.0, -1.0, 0.12), "side": (-1.0, 0.0, 0.12), "corner": (0.7, -1.0, 0.35), "top": (0.0, -0.01, 1.0)}
COLOURS = {"Left": (0.10, 0.35, 0.90, 1), "Right": (0.85, 0.20, 0.10, 1), "": (0.85, 0.75, 0.30, 1)}


def main() -> None:
    """Read the command line and do as it says."""
    options = _parser().parse_args()
    if options.file.suffix.lower() == ".fbx":
        armature = import_fbx(options.file, options.armature, newer=options.newer)
    else:
        armature = import_bvh(options.file, global_scale=options.scale)
    if options.dump:
        arrays = dump(armature)
        np.savez_compressed(options.dump, **arrays)  # type: ignore[arg-type]  # newer stubs have a keyword of their own
    if options.png:
        draw(armature, options.frames, options.png.resolve(), options.view)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--scale", type=float, default=0.01, help="metres a unit of a BVH (0.01: centimetres)")
    parser.add_argument("--armature", help="which of several skeletons of an FBX; default: the only one")
    parser.add_argument("--newer", action="store_true", help="FBX by Blender's newer importer (4.5 and later)")
    parser.add_argument("--dump", type=Path, help="write joint positions of every frame to this .npz")
    parser.add_argument("--png", type=Path, help="draw the skeleton into this picture")
    parser.add_argument("--frames", type=int, nargs="+", default=[1], help="frames to draw; 0 is the rest pose")
    parser.add_argument("--view", choices=sorted(VIEWS), default="front")
    return parser


def import_bvh(path: Path, *, global_scale: float) -> bpy.types.Object:
    """An empty scene with the armature of the file in it."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.frame_start = scene.frame_end = 1  # the importer makes a scene longer, never shorter; the default is 250
    bpy.ops.import_anim.bvh(
        filepath=str(path.resolve()),
        axis_forward="-Z",
        axis_up="Y",
        global_scale=global_scale,
        update_scene_fps=True,
        update_scene_duration=True,
    )
    (armature,) = (o for o in bpy.data.objects if o.type == "ARMATURE")
    return armature


def import_fbx(path: Path, name: str | None, *, newer: bool = False) -> bpy.types.Object:
    """An empty scene with the content of the file; the armature of that name, or the only one."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.frame_start = scene.frame_end = 1
    scene.render.fps, scene.render.fps_base = 1, 1.0
    if newer:
        bpy.ops.wm.fbx_import(filepath=str(path.resolve()))
    else:
        bpy.ops.import_scene.fbx(filepath=str(path.resolve()))
    armatures = [o for o in bpy.data.objects if o.type == "ARMATURE" and name in (None, o.name)]
    (armature,) = armatures
    return armature


def dump(armature: bpy.types.Object) -> dict[str, np.ndarray]:
    """What Blender plays, see the top of this file."""
    scene, bones = bpy.context.scene, list(armature.data.bones)
    names = [bone.name for bone in bones]
    first, last = (round(f) for f in armature.animation_data.action.frame_range)
    meshes = [o for o in armature.children if o.type == "MESH"]
    frames, vertices = [], []
    for frame in range(first, last + 1):
        scene.frame_set(frame)
        frames.append([tuple(armature.matrix_world @ armature.pose.bones[name].head) for name in names])
        vertices += [_posed_vertices(mesh) for mesh in meshes[:1]]
    skin = {"vertices": np.array(vertices)} if meshes else {}
    return skin | {
        "armatures": np.array([o.name for o in bpy.data.objects if o.type == "ARMATURE"]),
        "actions": np.array([action.name for action in bpy.data.actions]),
        "matrices": np.array([armature.matrix_world.to_3x3() @ bone.matrix_local.to_3x3() for bone in bones]),
        "names": np.array(names),
        "parents": np.array([names.index(bone.parent.name) if bone.parent else -1 for bone in bones]),
        "heads": np.array(frames),
        "rest_heads": np.array([tuple(armature.matrix_world @ bone.head_local) for bone in bones]),
        "rest_tails": np.array([tuple(armature.matrix_world @ bone.tail_local) for bone in bones]),
        "fps": np.array(scene.render.fps / scene.render.fps_base),
        "frame_range": np.array([first, last]),
        "scene_range": np.array([scene.frame_start, scene.frame_end]),
    }


def _posed_vertices(mesh: bpy.types.Object) -> np.ndarray:
    posed = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get())
    local = np.empty(len(posed.data.vertices) * 3, dtype=np.float32)
    posed.data.vertices.foreach_get("co", local)
    matrix = np.array(posed.matrix_world)
    return local.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def draw(armature: bpy.types.Object, frames: list[int], path: Path, view: str) -> None:
    """The bones as cones from head to tail (left blue, right red), or the body where there is one, on a floor of
    one-metre squares.

    The floor's red edge is +X, the green one +Y. Cycles on the CPU: it needs no display and no graphics driver.
    """
    scene = bpy.context.scene
    points: list[Vector] = []
    bodies = [o for o in armature.children if o.type == "MESH"]
    for body in bodies:
        body.hide_render = True
    for frame in frames:
        armature.data.pose_position = "REST" if frame == 0 else "POSE"
        scene.frame_set(frame)
        bpy.context.view_layer.update()
        for bone in armature.pose.bones:
            head, tail = (armature.matrix_world @ point for point in (bone.head, bone.tail))
            points += [head.copy(), tail.copy()]
            if not bodies:
                _add_bone(head, tail, _side(bone.name))
        for body in bodies:
            _add_body(body)
    low = Vector([min(p[axis] for p in points) for axis in range(3)])
    high = Vector([max(p[axis] for p in points) for axis in range(3)])
    _add_floor(low, high)
    _add_light_and_camera(low, high, Vector(VIEWS[view]))
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", CYCLES_SAMPLES, False
    scene.render.resolution_x, scene.render.resolution_y = PICTURE_SIZE
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def _side(name: str) -> str:
    return next((side for side in ("Left", "Right") if side in name), "")


def _material(name: str, colour: tuple[float, float, float, float]) -> bpy.types.Material:
    material = bpy.data.materials.get(name) or bpy.data.materials.new(name)
    material.use_nodes = True
    material.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = colour
    return material


def _add_bone(head: Vector, tail: Vector, side: str) -> None:
    along = tail - head
    bpy.ops.mesh.primitive_cone_add(
        vertices=12, radius1=BONE_RADIUS_M, radius2=BONE_RADIUS_M / 3, depth=max(along.length, 1e-3)
    )
    cone = bpy.context.object
    cone.location = (head + tail) / 2
    cone.rotation_euler = along.to_track_quat("Z", "Y").to_euler()
    cone.data.materials.append(_material(f"bone{side}", COLOURS[side]))


def _add_body(body: bpy.types.Object) -> None:
    """The skin as it is posed now."""
    mesh = bpy.data.meshes.new("body")
    mesh.from_pydata(_posed_vertices(body).tolist(), [], [tuple(face.vertices) for face in body.data.polygons])
    mesh.polygons.foreach_set("use_smooth", [True] * len(mesh.polygons))
    mesh.materials.append(_material("body", (0.55, 0.42, 0.36, 1)))
    bpy.context.collection.objects.link(bpy.data.objects.new("body", mesh))


def _add_floor(low: Vector, high: Vector) -> None:
    """One-metre squares at z = 0 under the body, with its edges at whole metres."""
    for x in range(math.floor(low.x) - 1, math.ceil(high.x) + 1):
        for y in range(math.floor(low.y) - 1, math.ceil(high.y) + 1):
            grey = 0.75 if (x + y) % 2 else 0.55
            _add_slab((x + 0.5, y + 0.5, 0.0), (0.5, 0.5), _material(f"floor{grey}", (grey, grey, grey, 1)))
    _add_slab((0.5, 0.0, 0.002), (0.5, 0.015), _material("x", (1, 0, 0, 1)))
    _add_slab((0.0, 0.5, 0.002), (0.015, 0.5), _material("y", (0, 0.8, 0, 1)))


def _add_slab(centre: tuple[float, float, float], half: tuple[float, float], material: bpy.types.Material) -> None:
    x, y, z = centre
    corners = [(x - half[0], y - half[1], z), (x + half[0], y - half[1], z)]
    corners += [(x + half[0], y + half[1], z), (x - half[0], y + half[1], z)]
    mesh = bpy.data.meshes.new("slab")
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    mesh.materials.append(material)
    bpy.context.collection.objects.link(bpy.data.objects.new("slab", mesh))


def _add_light_and_camera(low: Vector, high: Vector, towards: Vector) -> None:
    scene = bpy.context.scene
    world = bpy.data.worlds.new("world")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.9, 0.93, 1.0, 1)
    scene.world = world
    bpy.ops.object.light_add(type="SUN", rotation=(0.6, 0.2, 0.0))
    bpy.context.object.data.energy = 2.0
    low = Vector((low.x, low.y, min(low.z, 0.0)))
    middle, size = (low + high) / 2, (high - low).length
    towards = towards.normalized()
    bpy.ops.object.camera_add(location=middle + towards * (1.6 * size + 0.5))
    camera = bpy.context.object
    camera.rotation_euler = (-towards).to_track_quat("-Z", "Y").to_euler()
    scene.camera = camera


if __name__ == "__main__":
    main()
