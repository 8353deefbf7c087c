"""Reading BVH text: every layout that programs write, and what is wrong with a broken one."""

import numpy as np
import pytest

from mocap.core.errors import FileFormatError
from mocap.io.bvh import joint_positions, parse_bvh, read_bvh

SMALL = """HIERARCHY
ROOT Hips
{
	OFFSET 0 90 0
	CHANNELS 6 Zrotation Xrotation Yrotation Xposition Yposition Zposition
	JOINT Spine
	{
		OFFSET 1 10 0
		CHANNELS 1 Yrotation
		JOINT Fixed
		{
			OFFSET 0 5 0
			CHANNELS 0
			End Site
			{
				OFFSET 0 4 0
			}
		}
	}
	JOINT Slider
	{
		OFFSET 2 -8 0
		CHANNELS 4 Yposition Zrotation Xrotation Yrotation
		End Site
		{
			OFFSET 0 -6 0
		}
	}
}
MOTION
Frames: 2
Frame Time: .03333
90 0 0 1 2 3 45 -7 0 0 0
0 90 0 1 2 3 -45 -6 0 0 1e1
"""


def test_everything_that_a_file_says():
    bvh = parse_bvh(SMALL)
    assert bvh.joint_names == ("Hips", "Spine", "Fixed", "Slider")
    assert bvh.parents.tolist() == [-1, 0, 1, 0]
    assert bvh.offsets.tolist() == [[0, 90, 0], [1, 10, 0], [0, 5, 0], [2, -8, 0]]
    assert bvh.channels[0][:3] == ("Zrotation", "Xrotation", "Yrotation")
    assert (bvh.channels[1], bvh.channels[2]) == (("Yrotation",), ())
    assert bvh.end_parents.tolist() == [2, 3]
    assert bvh.end_offsets.tolist() == [[0, 4, 0], [0, -6, 0]]
    assert bvh.values.shape == (2, 11)
    assert bvh.values[1, -1] == 10
    assert bvh.frame_time == 0.03333
    assert bvh.columns(3).tolist() == [[-7, 0, 0, 0], [-6, 0, 0, 10]]


def test_positions_worked_by_hand():
    """Frame 0 turns the root by 90 degrees about Z: (x, y, z) becomes (-y, x, z). Its position replaces its OFFSET.

    Frame 1 turns it by 90 degrees about X: (x, y, z) becomes (x, -z, y). The slider's Y position replaces -8.
    """
    positions = joint_positions(parse_bvh(SMALL))
    expected = [
        [[1, 2, 3], [1 - 10, 2 + 1, 3], [1 - 15, 2 + 1, 3], [1 + 7, 2 + 2, 3]],
        [[1, 2, 3], [1 + 1, 2, 3 + 10], [1 + 1, 2, 3 + 15], [1 + 2, 2, 3 - 6]],
    ]
    assert np.abs(positions - expected).max() < 1e-14


def test_rotations_multiply_in_the_order_of_the_channels():
    text = """HIERARCHY
ROOT A
{ OFFSET 0 0 0
CHANNELS 3 Xrotation Yrotation Zrotation
JOINT B { OFFSET 0 0 2 CHANNELS 3 Zrotation Yrotation Xrotation End Site { OFFSET 0 0 1 } } }
MOTION
Frames: 1
Frame Time: 1
90 90 0 0 0 0"""
    # Rx(90) Ry(90) (0, 0, 2): Ry takes z to x, which Rx leaves. The other way round it would be (0, -2, 0).
    assert np.abs(joint_positions(parse_bvh(text))[0, 1] - [2, 0, 0]).max() < 1e-14


@pytest.mark.parametrize(
    "changed",
    [
        SMALL.replace("\n", "\r\n"),
        SMALL.replace("\n", "\r"),
        SMALL.replace("\t", "    ").replace("\n", "  \n"),
        SMALL.replace("\n", "\n\n"),
        SMALL.replace("Hips\n{", "Hips {").replace("Spine\n\t{", "Spine{"),
        SMALL.replace("Zrotation", "ZROTATION").replace("HIERARCHY", "Hierarchy").replace("ROOT", "root"),
        SMALL.replace("Frame Time: ", "Frame Time:\t").replace("Frames: ", "Frames:\t"),
        SMALL.replace("Frames: ", "FRAMES:  ").replace("MOTION", " Motion "),
        SMALL.replace(" 1 2 3 ", "\t1   2\t 3 "),
        SMALL.replace("90 0 0 1 2 3 45 ", "90 0 0 1 2 3\n45 "),
        SMALL.replace("End Site", "End Site tip of it"),
        "\ufeff" + SMALL,
        SMALL.rstrip(),
        SMALL + "\n\n  \n",
    ],
)
def test_layout_does_not_matter(changed, tmp_path):
    (tmp_path / "a.bvh").write_bytes(changed.encode())
    bvh, expected = read_bvh(tmp_path / "a.bvh"), parse_bvh(SMALL)
    assert bvh.joint_names == expected.joint_names
    assert bvh.channels == expected.channels
    assert np.array_equal(bvh.values, expected.values)
    assert np.array_equal(bvh.end_offsets, expected.end_offsets)


def test_names_with_blanks_and_of_old_encodings(tmp_path):
    (tmp_path / "a.bvh").write_bytes(SMALL.replace("Spine", "Oberk\xf6rper oben").encode("latin-1"))
    assert read_bvh(tmp_path / "a.bvh").joint_names[1] == "Oberkörper oben"


def test_a_skeleton_without_frames_and_one_frame():
    still = parse_bvh(SMALL.split(".03333")[0].replace("Frames: 2", "Frames: 0") + ".03333")
    assert still.values.shape == (0, 11)
    assert joint_positions(still).shape == (0, 4, 3)
    one = parse_bvh(SMALL.replace("Frames: 2", "Frames: 1").rsplit("\n", 2)[0])
    assert one.n_frames == 1


BROKEN = [
    (SMALL.replace("HIERARCHY", "PK\x03"), 1, "expected HIERARCHY, found 'PK\\x03'"),
    ("", 1, "expected HIERARCHY, found 'the end of the hierarchy'"),
    (SMALL.replace("ROOT", "JOINT"), 2, "expected ROOT, found 'JOINT'"),
    (SMALL.replace("ROOT Hips", "ROOT"), 3, "expected the name of a joint, found '{'"),
    (SMALL.replace("OFFSET 1 10 0", "OFFSET 1 10"), 9, "three numbers after OFFSET of 'Spine', found 'CHANNELS'"),
    (SMALL.replace("OFFSET 1 10 0", "OFFSET 1 1,5 0"), 8, "three numbers after OFFSET of 'Spine', found '1,5'"),
    (SMALL.replace("OFFSET 0 4 0", "OFFSET 0 nan 0"), 16, "OFFSET of the End Site of 'Fixed', found 'nan'"),
    (SMALL.replace("CHANNELS 1", "CHANNELS one"), 9, "the number of channels of 'Spine', 0 to 6, found 'one'"),
    (SMALL.replace("CHANNELS 1", "CHANNELS 2"), 10, "a channel of 'Spine', once each of Xposition"),
    (SMALL.replace("CHANNELS 1", "CHANNELS 0"), 9, "expected JOINT or END or }, found 'Yrotation'"),
    (SMALL.replace("Zrotation Xrotation Yrotation Xp", "Zrotation Zrotation Yrotation Xp"), 5, "found 'Zrotation'"),
    (SMALL.replace("1 Yrotation", "1 Wrotation"), 9, "found 'Wrotation'"),
    (SMALL.replace("\n}\nMOTION", "\nMOTION"), 29, "expected JOINT or END or }, found 'the end of the hierarchy'"),
    (SMALL.replace("MOTION", "}\nMOTION"), 30, "expected ROOT, found '}'"),
    (SMALL.split("MOTION")[0], 30, "the file ends without a MOTION section"),
    (SMALL.split("Frames")[0], 31, "expected 'Frames: <number>', found 'the end of the file'"),
    (SMALL.replace("Frames: 2", "Frames: two"), 31, "expected 'Frames: <number>', found 'Frames: two'"),
    (SMALL.replace("Frames: 2", "Frames: 1.5"), 31, "expected a whole number of frames, found '1.5'"),
    (SMALL.replace("Frames: 2", "Frames: -2"), 31, "expected a whole number of frames, found '-2'"),
    (SMALL.replace("Frame Time: .03333", "Frame Time 1"), 32, "expected 'Frame Time: <seconds>', found 'Frame Time 1'"),
    (SMALL.replace(".03333", "0"), 32, "expected a frame time above 0 seconds, found '0'"),
    (SMALL.replace("1e1", "10 11"), 34, "expected 11 numbers in a row, one a channel, found '12 numbers'"),
    (SMALL.replace(" 1e1", ""), 34, "expected 11 numbers in a row, one a channel, found '10 numbers'"),
    (SMALL.replace("1e1", "ten"), 34, "expected a number, found 'ten'"),
    (SMALL.replace("1e1", "nan"), 34, "expected a number, found 'nan'"),
    (SMALL.replace("1e1", "1_0"), 34, "expected a number, found '1_0'"),
    (SMALL.replace("1e1", "1.#QNAN"), 34, "expected a number, found '1.#QNAN'"),
    (SMALL.replace("Frames: 2", "Frames: 3"), 31, "expected 3 frames, found 2 rows of numbers"),
    (SMALL.replace("Frames: 2", "Frames: 1"), 31, "expected 1 frames, found 2 rows of numbers"),
    (SMALL + "and so on", 35, "expected a number, found 'and'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "message"), BROKEN, ids=[message for _, _, message in BROKEN])
def test_a_broken_file_is_named_with_line_expectation_and_finding(text, line, message, tmp_path):
    path = tmp_path / "broken.bvh"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileFormatError) as error:
        read_bvh(path)
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert message in str(error.value)


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(FileFormatError, match=r"none\.bvh: no such file"):
        read_bvh(tmp_path / "none.bvh")
    with pytest.raises(FileFormatError, match="is a folder"):
        read_bvh(tmp_path)
