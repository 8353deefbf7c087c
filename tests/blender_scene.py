"""Opens a GLB or USD with Blender's own importer and writes down what it made of it. Needs a Python with `bpy`.

    .venv-blender/bin/python tests/blender_scene.py take.glb --fps 59.94 --dump take.npz [--png take.png --frame 20]
    .venv-blender/bin/python tests/blender_scene.py character.fbx --export character.glb

For armature number i (in the order of their names): `armature_i`, `names_i`, `heads_i` (T, J, 3) m in Blender's world,
and for the mesh on it, if any, `vertices_i` (T, V, 3). `frames`: scene frames of the take's frames, from the first key
of any to the last. Blender's importers place keys by the whole number of frames a second, --fps rounded.
"""

import argparse
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector


def main():
    options = read_command_line()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.frame_start = scene.frame_end = 0
    scene.render.fps, scene.render.fps_base = round(options.fps), 1.0  # the importers use the whole number alone
    opened(options.file)
    if options.export:
        bpy.ops.export_scene.gltf(filepath=str(options.export.resolve()), export_yup=True, export_format="GLB")
    if options.dump:
        np.savez_compressed(options.dump, **dump(options.fps, options.meshes))
    if options.png:
        draw(options.png, options.frame)


def read_command_line():
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--dump", type=Path)
    parser.add_argument("--meshes", action="store_true")
    parser.add_argument("--export", type=Path)
    parser.add_argument("--png", type=Path)
    parser.add_argument("--frame", type=int, default=1)
    return parser.parse_args()


def opened(file):
    path = str(file.resolve())
    if file.suffix == ".fbx":
        bpy.ops.import_scene.fbx(filepath=path)
    elif file.suffix in (".glb", ".gltf"):
        bpy.ops.import_scene.gltf(filepath=path)
    else:
        bpy.ops.wm.usd_import(filepath=path, set_frame_range=True)


def armatures():
    return sorted((o for o in bpy.data.objects if o.type == "ARMATURE"), key=lambda o: o.name)


def key_frames(scene_frames_a_frame):
    """Where the take's frames lie among the scene's, from the first key of any action to the last."""
    ranges = [a.frame_range for a in bpy.data.actions]
    if not ranges:
        return np.array([0.0])
    first, last = min(r[0] for r in ranges), max(r[1] for r in ranges)
    return first + np.arange(round((last - first) / scene_frames_a_frame) + 1) * scene_frames_a_frame


def dump(fps, with_meshes):
    scene = bpy.context.scene
    frames = key_frames(scene.render.fps / fps)
    found = {"frames": frames, "fps": scene.render.fps / scene.render.fps_base}
    for number, armature in enumerate(armatures()):
        names = [bone.name for bone in armature.data.bones]
        bound = [m for m in bpy.data.objects if m.type == "MESH" and m.find_armature() == armature]
        heads, vertices = [], []
        for frame in frames.tolist():
            scene.frame_set(int(frame), subframe=frame % 1)
            heads.append([tuple(armature.matrix_world @ armature.pose.bones[name].head) for name in names])
            if with_meshes and bound:
                vertices.append(mesh_vertices(bound[0]))
        found |= {f"armature_{number}": armature.name, f"names_{number}": np.array(names)}
        found |= {f"heads_{number}": np.array(heads), f"rest_{number}": rest_of(armature)}
        if vertices:
            found[f"vertices_{number}"] = np.array(vertices)
    return found


def rest_of(armature):
    return np.array([tuple(armature.matrix_world @ bone.head_local) for bone in armature.data.bones])


def mesh_vertices(thing):
    shown = thing.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = shown.to_mesh()
    places = np.empty(3 * len(mesh.vertices))
    mesh.vertices.foreach_get("co", places)
    matrix = np.array(shown.matrix_world)
    return places.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def draw(path, frame):
    """The meshes, with a ball at every joint, seen from the front and a little from above."""
    scene = bpy.context.scene
    scene.frame_set(frame)
    points = []
    for armature in armatures():
        for bone in armature.pose.bones:
            points.append(armature.matrix_world @ bone.head)
            bpy.ops.mesh.primitive_uv_sphere_add(radius=0.02, location=points[-1], segments=8, ring_count=6)
    low = Vector([min(p[axis] for p in points) for axis in range(3)])
    high = Vector([max(p[axis] for p in points) for axis in range(3)])
    middle, size = (low + high) / 2, max((high - low).length, 1.0)
    bpy.ops.mesh.primitive_plane_add(size=6, location=(middle.x, middle.y, 0))
    bpy.ops.object.light_add(type="SUN", rotation=(0.6, 0.2, 0.0))
    bpy.context.object.data.energy = 3
    scene.world = bpy.data.worlds.new("world")
    direction = Vector((0.5, -1.0, 0.35)).normalized()
    bpy.ops.object.camera_add(location=middle + direction * 1.8 * size)
    bpy.context.object.rotation_euler = (-direction).to_track_quat("-Z", "Y").to_euler()
    scene.camera = bpy.context.object
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", 8, False
    scene.render.resolution_x, scene.render.resolution_y = 640, 480
    scene.render.filepath = str(path.resolve())
    bpy.ops.render.render(write_still=True)


if __name__ == "__main__":
    main()
