"""Runs inside Blender's environment: what a saved .blend holds, as JSON and .npy beside it."""

import json
import sys
from pathlib import Path

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

file = Path(sys.argv[1])
points = json.loads(sys.argv[2])
bpy.ops.wm.open_mainfile(filepath=str(file))
scene = bpy.context.scene
told = {"fps": scene.render.fps / scene.render.fps_base, "range": [scene.frame_start, scene.frame_end]}
told["others"] = [o.name for o in bpy.data.objects if o.type not in ("ARMATURE", "CAMERA", "MESH")]
for armature in (o for o in bpy.data.objects if o.type == "ARMATURE"):
    bones = armature.pose.bones
    told[armature.name] = [bone.name for bone in bones]
    told["connected"] = [bone.name for bone in armature.data.bones if bone.use_connect]
    heads = []
    for frame in range(scene.frame_start, scene.frame_end + 1):
        scene.frame_set(frame)
        heads.append([armature.matrix_world @ bone.head for bone in bones])
    np.save(file.with_name(f"{armature.name}.npy"), np.array(heads))
scene.frame_set(scene.frame_end)
graph = bpy.context.evaluated_depsgraph_get()
for mesh in (o for o in bpy.data.objects if o.type == "MESH"):
    moved = mesh.evaluated_get(graph)
    np.save(file.with_name(f"{mesh.name}.npy"), np.array([moved.matrix_world @ v.co for v in moved.data.vertices]))
told["cameras"] = {}
for camera in (o for o in bpy.data.objects if o.type == "CAMERA"):
    width, height = points["sizes"][camera.name]
    scene.render.resolution_x, scene.render.resolution_y = width, height
    bpy.context.view_layer.update()
    seen = [world_to_camera_view(scene, camera, Vector(p)) for p in points["points"]]
    clips = [
        {"start": b.clip.frame_start, "size": list(b.clip.size), "undistorted": b.clip_user.use_render_undistorted}
        for b in camera.data.background_images
    ]
    told["cameras"][camera.name] = {
        "px": [[v.x * width - 0.5, (1 - v.y) * height - 0.5] for v in seen],
        "backgrounds": clips,
    }
file.with_suffix(".json").write_text(json.dumps(told))
