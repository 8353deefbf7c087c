"""How good the labels are that a processed take gives its own cameras (`mocap.training.session_labels`).

    python tools/measure_session_labels.py my_session/takes/walk
    python tools/measure_session_labels.py my_session/takes/walk --agree-mm 30 --json

For every camera: people in pictures that become samples, labelled keypoints by kind, the share agreed on, and how far
labels are from what the view itself had said. Where the take has a truth.npz, the median and 95th percentile of the
distance from the true pixels too, of labels and of what the view had said about the same keypoints; hidden ones are
those that the view has not seen, for which it has only the labels. Faces and hands are left out (`body` of the set).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mocap.core.keypoints import Keypoints2D
from mocap.io.artefacts import load_keypoints2d
from mocap.io.session_files import open_take
from mocap.io.truth_file import load_truth
from mocap.training.datasets.labelled_people import HIDDEN, SEEN
from mocap.training.datasets.sessions import take_labels
from mocap.training.session_labels import SessionLabelConfig, SessionLabels


def measured(folder: Path, config: SessionLabelConfig) -> dict[str, object]:
    """All figures of a take."""
    take = open_take(folder)
    labels, report = take_labels(take, config)
    said = load_keypoints2d(folder / "derived" / "associate.h5")
    body = list(labels.keypoint_set.indices(labels.keypoint_set.body))
    visibility = labels.visibility[..., body]
    figures: dict[str, object] = {
        "cameras": len(labels.cameras),
        "frames": len(labels.xy),
        "samples": report.samples,
        "agreed": report.agreed,
        "seen": int((visibility == SEEN).sum()),
        "hidden": int((visibility == HIDDEN).sum()),
        "masked": float((visibility == 0).mean()),
        "shift_px": report.shift_px,
    }
    if (folder / "truth.npz").is_file():
        figures |= _against_truth(folder, labels, said, body)
    return figures


def _against_truth(folder: Path, labels: SessionLabels, said: Keypoints2D, body: list[int]) -> dict[str, object]:
    """Distances from the true pixels of the one person of the take, over the body."""
    truth = load_truth(folder / "truth.npz")
    if len(truth.people) != 1 or said.xy.shape[1] != 1:
        return {}
    columns = truth.columns(tuple(labels.keypoint_set.names[k] for k in body))
    frames = min(len(labels.xy), *(view.n_frames for view in truth.views))
    named = {view.camera: view for view in truth.views}
    true = np.stack([named[camera].xy[:frames, 0][:, columns] for camera in labels.cameras], axis=1)
    found, own = (array[:frames, 0][:, :, body] for array in (labels.xy, said.xy))
    flags = labels.visibility[:frames, 0][:, :, body]
    off, own_off = (np.linalg.norm(array - true, axis=-1) for array in (found, own))
    return {
        "label_px": _spread(off[flags == SEEN]),
        "said_px": _spread(own_off[flags == SEEN]),
        "hidden_label_px": _spread(off[flags == HIDDEN]),
        "said_where_masked_px": _spread(own_off[flags == 0]),
    }


def _spread(errors: Float[np.ndarray, "n"]) -> list[float]:
    known = errors[np.isfinite(errors)]
    return [float(np.percentile(known, q)) for q in (50, 95)] if len(known) else []


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("take", type=Path)
    parser.add_argument("--agree-mm", type=float, default=SessionLabelConfig().agree_mm)
    parser.add_argument("--min-views", type=int, default=SessionLabelConfig().min_views)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = measured(given.take, SessionLabelConfig(agree_mm=given.agree_mm, min_views=given.min_views))
    if given.json:
        print(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        shown = "  ".join(f"{v:.2f}" for v in value) if isinstance(value, list) else value
        print(
            f"{name.replace('_', ' '):24}{shown:.3f}"
            if isinstance(shown, float)
            else f"{name.replace('_', ' '):24}{shown}"
        )


if __name__ == "__main__":
    main()
