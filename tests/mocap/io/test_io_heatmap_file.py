import numpy as np
import pytest

from mocap.core.errors import FileFormatError
from mocap.io.heatmap_file import HeatmapFile, HeatmapWriter

CAMERAS = ("left", "right")


def maps(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 1, (5, 12, 16)), rng.normal(0, 3, (2, 3))


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "derived" / "heatmaps.h5"
    places = [(0, 0, 0), (0, 0, 3), (0, 1, 0), (1234567, 1, 0)]
    with HeatmapWriter(path, CAMERAS) as writer:
        for seed, place in enumerate(places):
            writer.write(place, *maps(seed))
    with HeatmapFile(path) as file:
        assert file.cameras == CAMERAS
        assert file.tracks(0, 0) == (0, 3)
        assert file.tracks(1234567, 1) == (0,)
        assert file.tracks(5, 0) == ()
        for seed, place in enumerate(places):
            heatmaps, affine = file.read(*place)
            assert heatmaps.dtype == np.float16
            # Half floats below 1 have steps of at most 2^-11.
            assert heatmaps.astype(float) == pytest.approx(maps(seed)[0], abs=2**-11)
            assert affine == pytest.approx(maps(seed)[1])
        with pytest.raises(FileFormatError, match="no heatmaps of track 9 in frame 0 of camera 1"):
            file.read(0, 1, 9)


def test_a_broken_run_leaves_nothing_and_keeps_what_was_there(tmp_path):
    path = tmp_path / "heatmaps.h5"
    path.write_bytes(b"from before")

    def broken() -> None:
        with HeatmapWriter(path, CAMERAS) as writer:
            writer.write((0, 0, 0), *maps(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    assert [p.name for p in tmp_path.iterdir()] == ["heatmaps.h5"]
    assert path.read_bytes() == b"from before"


def test_other_files_are_told(tmp_path):
    (tmp_path / "a.h5").write_text("text")
    with pytest.raises(FileFormatError, match="cannot be read as HDF5"):
        HeatmapFile(tmp_path / "a.h5")
    import h5py

    h5py.File(tmp_path / "b.h5", "w").close()
    with pytest.raises(FileFormatError, match="not a file of heatmaps"):
        HeatmapFile(tmp_path / "b.h5")
