"""How the files beside this one were made: `pip install pandas tables sleap-io` in an environment of its own.

Every number tells where it belongs: x = 1000 person + 100 frame + part, y = x + 0.5, likelihood = 0.9 - part / 10.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import sleap_io as sio

HERE = Path(__file__).parent
PARTS = ["Nose", "LShoulder", "right wrist", "tail"]
PEOPLE = ["ann", "bob"]
FRAMES = [0, 1, 2, 4]  # frame 3 is missing
SCORER = "DLC_resnet50_demoJun1shuffle1_1030000"


def point(person: int, frame: int, part: int) -> tuple[float, float, float]:
    if (person, frame, part) == (0, 1, 2):
        return (np.nan, np.nan, np.nan)
    x = 1000.0 * person + 100.0 * frame + part
    return (x, x + 0.5, 0.9 - part / 10)


def table(people: list[str] | None) -> pd.DataFrame:
    levels = [[SCORER], *([people] if people else []), PARTS, ["x", "y", "likelihood"]]
    names = ["scorer", *(["individuals"] if people else []), "bodyparts", "coords"]
    columns = pd.MultiIndex.from_product(levels, names=names)
    rows = [
        [v for person in range(len(people or [0])) for part in range(len(PARTS)) for v in point(person, frame, part)]
        for frame in FRAMES
    ]
    return pd.DataFrame(rows, columns=columns, index=FRAMES)


def deeplabcut() -> None:
    key = "df_with_missing"
    for name, frame in (("single", table(None)), ("several", table(PEOPLE))):
        with pd.HDFStore(HERE / f"deeplabcut_{name}.h5", "w", complevel=9, complib="zlib") as store:
            store.put(key, frame, format="table", index=False)  # without its search index of 70 KB
    table(None).to_hdf(HERE / "deeplabcut_fixed.h5", key=key, format="fixed", mode="w")
    labels = table(None).drop(columns="likelihood", level="coords")
    labels.to_hdf(HERE / "deeplabcut_labels.h5", key=key, format="fixed", mode="w")


def sleap() -> None:
    skeleton = sio.Skeleton(nodes=PARTS, edges=[("Nose", "LShoulder"), ("LShoulder", "right wrist")])
    video = sio.Video(filename="cam01.mp4", open_backend=False)
    tracks = [sio.Track(name) for name in PEOPLE]
    frames = []
    for frame in FRAMES:
        instances = []
        for person, track in enumerate(tracks):
            points = np.array([point(person, frame, part) for part in range(len(PARTS))])
            instances.append(
                sio.PredictedInstance.from_numpy(
                    points[:, :2], skeleton=skeleton, point_scores=points[:, 2], score=0.75, track=track
                )
            )
        frames.append(sio.LabeledFrame(video=video, frame_idx=frame, instances=instances))
    labels = sio.Labels(frames, videos=[video], skeletons=[skeleton], tracks=tracks)
    for preset in ("matlab", "standard"):
        sio.save_analysis_h5(labels, HERE / f"sleap_{preset}.h5", preset=preset)


if __name__ == "__main__":
    deeplabcut()
    sleap()
