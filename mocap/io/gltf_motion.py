"""Where a glTF file's nodes are over time: keys sampled, transforms multiplied down the tree; in the file's axes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from mocap.io.gltf_file import GltfChannel, GltfClip, GltfNodes

ON_A_KEY = 5e-3
"""Of the way between two keys: nearer samples are the key. float32 times of a take of three minutes need 2e-3."""

SLOWEST_KEYS_HZ = 15.0
USUAL_FPS = 30.0


def frame_rate(clip: GltfClip) -> float:
    """As our writer states it; else by the keys that lie closest, a whole number where it nearly is one.

    Clips with fewer than 15 keys a second were keyed by hand, not frame by frame: 30.
    """
    stated = clip.extras.get("fps")
    if isinstance(stated, (int, float)) and 0 < stated < np.inf:
        return float(stated)
    steps = np.concatenate([np.diff(channel.times_s) for channel in clip.channels] or [np.zeros(0)])
    steps = steps[steps > 0]
    fps = 1.0 / float(np.median(steps)) if len(steps) else USUAL_FPS
    if fps < SLOWEST_KEYS_HZ:
        return USUAL_FPS
    return float(round(fps)) if abs(fps - round(fps)) < 0.01 * fps**0.5 else fps


def frame_times(clip: GltfClip, fps: float) -> Float[np.ndarray, "T"]:
    """From the first key to the last, in seconds of the file."""
    times = np.concatenate([channel.times_s for channel in clip.channels] or [np.zeros(0)])
    if not len(times):
        return np.zeros(0)
    return times.min() + np.arange(round(float(np.ptp(times)) * fps) + 1) / fps


def world_matrices(
    nodes: GltfNodes, wanted: Int[np.ndarray, "n"], clip: GltfClip | None, times_s: Float[np.ndarray, "T"]
) -> Float[np.ndarray, "T n 4 4"]:
    """world_from_node of the wanted nodes, which must come with all above them, parents first."""
    place_of = {int(node): place for place, node in enumerate(wanted)}
    shape = (len(times_s), len(wanted))
    parts = {
        "translation": np.broadcast_to(nodes.translations[wanted], (*shape, 3)).copy(),
        "rotation": np.broadcast_to(nodes.rotations[wanted], (*shape, 4)).copy(),
        "scale": np.broadcast_to(nodes.scales[wanted], (*shape, 3)).copy(),
    }
    for channel in clip.channels if clip is not None else ():
        if channel.node in place_of and len(channel.times_s):
            parts[channel.what][:, place_of[channel.node]] = sampled(channel, times_s)
    matrices = np.zeros((*shape, 4, 4))
    turns = Rotation.from_quat(parts["rotation"].reshape(-1, 4)).as_matrix().reshape(*shape, 3, 3)
    matrices[..., :3, :3] = turns * parts["scale"][..., None, :]
    matrices[..., :3, 3] = parts["translation"]
    matrices[..., 3, 3] = 1.0
    for place, node in enumerate(wanted.tolist()):
        parent = int(nodes.parents[node])
        if parent >= 0:
            matrices[:, place] = matrices[:, place_of[parent]] @ matrices[:, place]
    return matrices


def sampled(channel: GltfChannel, times_s: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T C"]:
    """The channel at any times; before its first key the first counts, after its last the last."""
    keys, values = channel.times_s, channel.values
    if len(keys) == 1:
        only = values[0, 1] if channel.interpolation == "CUBICSPLINE" else values[0]
        return np.broadcast_to(only, (len(times_s), len(only)))
    before = np.clip(np.searchsorted(keys, times_s, side="right") - 1, 0, len(keys) - 2)
    step = keys[before + 1] - keys[before]
    share = np.clip((times_s - keys[before]) / np.where(step > 0, step, 1.0), 0.0, 1.0)
    share = np.where(share < ON_A_KEY, 0.0, np.where(share > 1 - ON_A_KEY, 1.0, share))[:, None]
    if channel.interpolation == "CUBICSPLINE":
        found = _hermite(values[before], values[before + 1], share, step[:, None])
    elif channel.interpolation == "STEP":
        found = np.where(share < 1, values[before], values[before + 1])
    elif channel.what == "rotation":
        return _slerp(values[before], values[before + 1], share)
    else:
        found = (1 - share) * values[before] + share * values[before + 1]
    return found / np.linalg.norm(found, axis=-1, keepdims=True) if channel.what == "rotation" else found


def _hermite(a: np.ndarray, b: np.ndarray, share: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Cubic between keys of (in-tangent, value, out-tangent), tangents a second (glTF 2.0, appendix C)."""
    s, s2, s3 = share, share**2, share**3
    values = (2 * s3 - 3 * s2 + 1) * a[:, 1] + (3 * s2 - 2 * s3) * b[:, 1]
    return values + step * ((s3 - 2 * s2 + s) * a[:, 2] + (s3 - s2) * b[:, 0])


def _slerp(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The shortest way between unit quaternions; straight where they are nearly the same."""
    cosine = (a * b).sum(-1, keepdims=True)
    b, cosine = np.where(cosine < 0, -b, b), np.abs(cosine)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    near = angle < 1e-4
    sine = np.where(near, 1.0, np.sin(angle))
    weight_a = np.where(near, 1 - share, np.sin((1 - share) * angle) / sine)
    weight_b = np.where(near, share, np.sin(share * angle) / sine)
    found = weight_a * a + weight_b * b
    return found / np.linalg.norm(found, axis=-1, keepdims=True)
