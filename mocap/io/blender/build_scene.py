"""Sets up a take in Blender: skeletons with their motion and bodies, the rig's cameras with their videos behind them.

Open it in Blender's Text Editor and press Run Script, or:  blender --python THIS_FILE
To save a scene without a window:  blender --background --factory-startup --python THIS_FILE -- --save take.blend
The numbers are in the .npz beside this file that has its name. Frame 1 is the first frame of the motion.
"""

import json
import sys
from pathlib import Path

import bpy  # type: ignore[import-not-found]
import numpy as np
from mathutils import Matrix, Vector  # type: ignore[import-not-found]

SENSOR_MM = 36.0
SHORTEST_BONE_M = 0.01
FIRST_FRAME = 1
FORWARD, UP = Vector((0.0, -1.0, 0.0)), Vector((0.0, 0.0, 1.0))


def main(data: Path, arguments: list[str]) -> None:
    """Build the scene, and save it where asked to."""
    with np.load(data) as arrays:
        content = {name: arrays[name] for name in arrays.files}
    scene = json.loads(str(content["scene"]))
    if "--save" in arguments:
        bpy.ops.wm.read_factory_settings(use_empty=True)
    collection = bpy.data.collections.new(scene["name"])
    bpy.context.scene.collection.children.link(collection)
    set_time(scene)
    for number, person in enumerate(scene["people"]):
        own = {name.split("/", 1)[1]: a for name, a in content.items() if name.startswith(f"person_{number}/")}
        armature = add_person(collection, person, own)
        if "vertices" in own:
            add_body(collection, armature, person, own)
    for camera in scene["cameras"]:
        add_camera(collection, camera, data.parent)
    if "--save" in arguments:
        path = Path(arguments[arguments.index("--save") + 1]).resolve()
        bpy.ops.wm.save_as_mainfile(filepath=str(path))


def set_time(scene: dict) -> None:
    """Frame rate (59.94 as 60 / 1.001) and range of the scene."""
    own = bpy.context.scene
    whole = max(1, round(scene["fps"]))
    own.render.fps, own.render.fps_base = whole, whole / scene["fps"]
    own.frame_start, own.frame_end = FIRST_FRAME, FIRST_FRAME + max(0, scene["n_frames"] - 1)
    own.frame_set(FIRST_FRAME)


def add_person(collection, person: dict, own: dict):
    """An armature at rest, and its keys."""
    armature = bpy.data.objects.new(person["name"], bpy.data.armatures.new(person["name"]))
    collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    bones = []
    for name, parent, head, tail in zip(person["joints"], own["parents"], own["heads"], own["tails"], strict=True):
        bone = armature.data.edit_bones.new(name)
        bone.head, bone.tail = Vector(head), Vector(tail)
        if bone.length < SHORTEST_BONE_M:
            bone.tail = bone.head + SHORTEST_BONE_M * UP
        along = bone.tail - bone.head
        bone.align_roll(UP if abs(along.normalized().dot(FORWARD)) > 0.7 else FORWARD)
        if parent >= 0:
            bone.parent = bones[parent]
            bone.use_connect = False
        bones.append(bone)
    names = [bone.name for bone in bones]
    bpy.ops.object.mode_set(mode="OBJECT")
    rest = np.array([armature.data.bones[name].matrix_local.to_3x3() for name in names])
    key_person(armature, names, rest, own)
    return armature


def key_person(armature, names: list, rest, own: dict) -> None:
    """`turns` are about the world's axes at rest; a bone's own are `rest`: B' L B turns the same way about those."""
    action = bpy.data.actions.new(armature.name)
    armature.animation_data_create().action = action
    curves = curves_of(armature.animation_data, action)
    frames = np.arange(len(own["turns"])) + float(FIRST_FRAME)
    for joint, name in enumerate(names):
        armature.pose.bones[name].rotation_mode = "QUATERNION"
        turned = own["turns"][:, joint].copy()
        turned[:, 1:] = turned[:, 1:] @ rest[joint]
        for axis in range(4):
            add_curve(curves, f'pose.bones["{name}"].rotation_quaternion', axis, frames, turned[:, axis])
    moved = (own["root"] - own["heads"][0]) @ rest[0]
    for axis in range(3):
        add_curve(curves, f'pose.bones["{names[0]}"].location', axis, frames, moved[:, axis])


def curves_of(animation, action):
    """Where an action has its curves: in itself, or since Blender 4.4 in the channels of a slot, which it plays."""
    if not hasattr(action, "slots"):
        return action.fcurves
    slot = action.slots.new(id_type="OBJECT", name=action.name)
    animation.action_slot = slot
    strip = action.layers.new("Motion").strips.new(type="KEYFRAME")
    return strip.channelbag(slot, ensure=True).fcurves


def add_curve(curves, path: str, index: int, frames, values) -> None:
    """All keys of one channel, straight lines between them."""
    curve = curves.new(path, index=index)
    curve.keyframe_points.add(len(frames))
    curve.keyframe_points.foreach_set("co", np.stack([frames, values], axis=-1).ravel())
    linear = bpy.types.Keyframe.bl_rna.properties["interpolation"].enum_items["LINEAR"].value
    curve.keyframe_points.foreach_set("interpolation", np.full(len(frames), linear, dtype=np.int32))
    curve.update()


def add_body(collection, armature, person: dict, own: dict) -> None:
    """The mesh, moved by the bones."""
    mesh = bpy.data.meshes.new(f"{person['name']} body")
    mesh.from_pydata(own["vertices"].tolist(), [], own["faces"].tolist())
    mesh.polygons.foreach_set("use_smooth", np.ones(len(mesh.polygons), dtype=bool))
    body = bpy.data.objects.new(mesh.name, mesh)
    collection.objects.link(body)
    groups = [body.vertex_groups.new(name=name) for name in person["joints"]]
    for joint, group in enumerate(groups):
        for vertex, place in zip(*np.nonzero((own["skin_joints"] == joint) & (own["skin_weights"] > 0)), strict=True):
            group.add([int(vertex)], float(own["skin_weights"][vertex, place]), "REPLACE")
    body.modifiers.new("Armature", "ARMATURE").object = armature
    body.parent = armature


def add_camera(collection, camera: dict, folder: Path) -> None:
    """A pinhole camera; the video behind it is shown without the lens's distortion.

    Blender's shift is in widths of the picture; pixels have their centres at whole numbers.
    """
    width, height = camera["size"]
    K = np.array(camera["K"])
    lens = bpy.data.cameras.new(camera["name"])
    lens.sensor_fit, lens.sensor_width = "HORIZONTAL", SENSOR_MM
    lens.lens = K[0, 0] / width * SENSOR_MM
    lens.shift_x = (width / 2 - (K[0, 2] + 0.5)) / width
    lens.shift_y = ((K[1, 2] + 0.5) - height / 2) / width
    lens.display_size = 0.3
    own = bpy.data.objects.new(camera["name"], lens)
    collection.objects.link(own)
    world_from_camera = np.linalg.inv(np.array(camera["cam_from_world"])) @ np.diag([1.0, -1.0, -1.0, 1.0])
    own.matrix_world = Matrix(world_from_camera.tolist())
    scene = bpy.context.scene
    if scene.camera is None:
        scene.camera = own
        scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = width, height, 100
    if camera["video"]:
        add_background(lens, camera, K, folder)


def add_background(lens, camera: dict, K, folder: Path) -> None:
    """The camera's video as its background, if it is there."""
    path = Path(camera["video"])
    path = path if path.is_absolute() else folder / path
    if not path.is_file():
        print(f"{camera['name']}: no video {path}")
        return
    clip = bpy.data.movieclips.load(str(path))
    clip.frame_start = FIRST_FRAME + camera["first_frame"]
    tracking = clip.tracking.camera
    tracking.sensor_width, tracking.focal_length_pixels = SENSOR_MM, float(K[0, 0])
    background = lens.background_images.new()
    background.source, background.clip, background.alpha = "MOVIE_CLIP", clip, 0.8
    if camera["rotation"]:
        background.rotation = -np.deg2rad(camera["rotation"])
    if camera["brown"] and not camera["rotation"]:
        tracking.distortion_model = "BROWN"
        tracking.brown_k1, tracking.brown_k2, tracking.brown_p1, tracking.brown_p2, tracking.brown_k3 = camera["brown"]
        tracking.principal_point_pixels = (K[0, 2] + 0.5, camera["size"][1] - (K[1, 2] + 0.5))
        background.clip_user.use_render_undistorted = True
    lens.show_background_images = True


if __name__ == "__main__":
    here = Path(__file__ if "__file__" in globals() else bpy.context.space_data.text.filepath)
    main(here.with_suffix(".npz"), sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:])
