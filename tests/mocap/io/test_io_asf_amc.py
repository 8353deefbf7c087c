"""ASF/AMC: angles by hand, every error with its line, and the same take as a BVH that somebody else converted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mocap.core.errors import FileFormatError, InputError
from mocap.io.asf_amc import find_asf, motion_file, parse_amc, parse_asf, read_asf, read_asf_amc
from mocap.io.bvh import end_positions, guess_conventions, joint_positions, read_bvh

ASF = """# a comment
:version 1.10
:name tiny
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
   free text: begin, end, anything
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 1 2 3
   orientation 0 0 0
:bonedata
  begin
    id 1
    name thigh
    direction 0 -2 0
    length 5
    axis 0 0 90 XYZ
    dof rx rz
    limits (-160.0 20.0)
           (-inf inf)
  end
  begin
    id 2
    name shin
    direction 0 0 1
    length 3
    axis 0 0 0 XYZ
  end
:hierarchy
  begin
    root thigh
    thigh shin
  end
"""
AMC = """#!OML:ASF somewhere
:FULLY-SPECIFIED
:DEGREES
1
root 10 20 30 0 0 0
thigh 90 0
2
root 0 0 0 0 90 0
thigh 0 90
"""
# BVH of the CMU library (B. Hahne's conversion): bones that fork lose their length in it, and a T-pose comes first.
FORKS = ("thorax", "lwrist", "rwrist")
SAME_JOINT = {
    "root": "Hips", "lfemur": "LeftUpLeg", "ltibia": "LeftLeg", "lfoot": "LeftFoot", "ltoes": "LeftToeBase",
    "rfemur": "RightUpLeg", "rtibia": "RightLeg", "rfoot": "RightFoot", "rtoes": "RightToeBase",
    "upperback": "Spine", "thorax": "Spine1", "lowerneck": "Neck", "upperneck": "Neck1", "head": "Head",
    "lhumerus": "LeftArm", "lradius": "LeftForeArm", "lwrist": "LeftHand", "lfingers": "LFingers",
    "rhumerus": "RightArm", "rradius": "RightForeArm", "rwrist": "RightHand", "rfingers": "RFingers",
}  # fmt: skip


def test_angles_turn_about_the_bones_own_axes():
    """Axis Rz(90): the bone's x is the file's y, its z the file's z. By hand: rx 90 leaves a bone along -y where it is

    and turns what hangs on it about y, +z to +x; rz 90 turns -y to +x.
    """
    skeleton = parse_asf(ASF)
    bvh = motion_file(skeleton, parse_amc(AMC, skeleton), fps=60.0)
    assert (bvh.joint_names, bvh.parents.tolist(), bvh.fps) == (("root", "thigh", "shin"), [-1, 0, 1], 60.0)
    assert [len(names) for names in bvh.channels] == [6, 3, 0]
    places, ends = joint_positions(bvh), end_positions(bvh)
    assert places[0] == pytest.approx(np.array([[11, 22, 33], [11, 22, 33], [11, 17, 33]]))
    assert ends[0, 0] == pytest.approx([14, 17, 33])
    # Second frame: thigh +x, turned by the root about y to -z; the shin's +z, untouched by rz, to +x.
    assert places[1] == pytest.approx(np.array([[1, 2, 3], [1, 2, 3], [1, 2, -2]]))
    assert ends[1, 0] == pytest.approx([4, 2, -2])


def test_what_the_skeleton_says_is_kept():
    skeleton = parse_asf(ASF.replace("angle deg", "angle rad").replace("0 0 90 XYZ", "0 0 1.5707963267948966 xyz"))
    bone = skeleton.bones["thigh"]
    assert bone.direction == (0, -1, 0)
    assert bone.limits == (pytest.approx((np.rad2deg(-160), np.rad2deg(20))), (-np.inf, np.inf))
    assert bone.axis.apply([1, 0, 0]) == pytest.approx([0, 1, 0])
    assert skeleton.length_unit == 0.45


def test_radians_and_other_orders_of_the_root():
    skeleton = parse_asf(ASF.replace("TX TY TZ RX RY RZ", "RZ RY TX TY TZ RX").replace("angle deg", "angle rad"))
    one = parse_amc(":RADIANS\n7\nroot 0 1.5 1 2 3 0.5\nthigh 0 0", skeleton)
    assert one["root"] == pytest.approx(np.array([[0, np.rad2deg(1.5), 1, 2, 3, np.rad2deg(0.5)]]))
    bvh = motion_file(skeleton, one, fps=120.0)
    assert bvh.values[0, :3] == pytest.approx([2, 4, 6])


def test_windows_lines_comments_and_no_frames():
    skeleton = parse_asf(ASF.replace("\n", "\r\n").replace("length 5", "length 5 # long"))
    bvh = motion_file(skeleton, parse_amc(":DEGREES\r\n", skeleton), fps=120.0)
    assert bvh.n_frames == 0
    assert joint_positions(bvh).shape == (0, 3, 3)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (":version", ":verse", "a.asf:2: expected one of :version"),
        (":version 1.10", "version", "a.asf:2: expected a section such as :root, found 'version'"),
        ("angle deg", "angle grad", "a.asf:7: expected 'angle deg' or 'angle rad', found 'angle grad'"),
        ("length 0.45", "length -1", "a.asf:6: expected a length unit above 0"),
        ("RY RZ", "RY RY", "a.asf:11: expected TX TY TZ RX RY RZ in some order"),
        ("   order TX TY TZ RX RY RZ\n", "", "expected 'order TX TY TZ RX RY RZ' in :root"),
        ("direction 0 -2 0", "direction 0 -2", "a.asf:19: expected 3 values after 'direction'"),
        (
            "direction 0 -2 0",
            "direction 0 0 0",
            "a.asf:20: expected a direction and a length of at least 0 for 'thigh'",
        ),
        ("length 5", "length five", "a.asf:20: expected a number for length, found 'five'"),
        ("length 5", "size 5", "a.asf:20: expected one of id name direction"),
        ("0 0 90 XYZ", "0 0 90 XYY", "a.asf:21: expected the letters X, Y, Z in some order, found 'XYY'"),
        ("dof rx rz", "dof rx tz", "a.asf:22: expected rx, ry, rz, once each, for 'thigh'"),
        ("(-160.0 20.0)", "(-160.0)", "a.asf:23: expected limits such as (-45.0 90.0)"),
        ("           (-inf inf)\n", "", "a.asf:23: expected 2 pairs of limits, one a dof, found '1 pairs'"),
        ("    name shin\n", "", "a.asf:30: expected 'name' before the end of the bone"),
        ("name shin", "name thigh", "a.asf:26: expected a bone of another name, found 'thigh'"),
        ("    thigh shin\n", "", "expected shin in the :hierarchy, found 'no parent for them'"),
        ("    thigh shin", "    hip shin", "a.asf:36: expected a parent that is already in the tree, found 'hip'"),
        ("    thigh shin", "    thigh thigh", "a.asf:36: expected a bone of :bonedata that has no parent yet"),
        ("  end\n:hierarchy", ":hierarchy", "a.asf:31: expected 'end' after it"),
        (":hierarchy", ":skin", "expected a section :hierarchy before the end of the file"),
    ],
)
def test_errors_of_a_skeleton_name_the_line(old, new, message):
    assert old in ASF
    with pytest.raises(FileFormatError) as error:
        parse_asf(ASF.replace(old, new, 1), where="a.asf")
    assert str(error.value).startswith(message) or message in str(error.value)
    assert str(error.value).startswith("a.asf:")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (":DEGREES", ":GRAD", "a.amc:3: expected one of :FULLY-SPECIFIED :DEGREES :RADIANS, found ':GRAD'"),
        ("1\nroot", "root", "a.amc:4: expected the number of a frame, found 'root 10 20 30 0 0 0'"),
        ("\n2\n", "\n3\n", "a.amc:7: expected frame 2, found '3'"),
        ("thigh 90 0", "thigh 90", "a.amc:6: expected 2 numbers for 'thigh' (rx rz), found 'thigh 90'"),
        ("thigh 90 0", "thigh 90 nan", "a.amc:6: expected 2 numbers for 'thigh'"),
        ("thigh 90 0", "thigh 90 ?", "a.amc:6: expected a number for thigh, found '?'"),
        ("thigh 90 0", "shin 90 0", "a.amc:6: expected a bone of the skeleton with degrees of freedom"),
        ("thigh 0 90\n", "", "a.amc:7: frame 2 has no thigh. The file is cut short, or it belongs to another skeleton"),
    ],
)
def test_errors_of_a_motion_name_the_line(old, new, message):
    with pytest.raises(FileFormatError) as error:
        parse_amc(AMC.replace(old, new, 1), parse_asf(ASF), where="a.amc")
    assert str(error.value).startswith(message)


def test_the_skeleton_beside_a_motion_is_found(tmp_path):
    with pytest.raises(InputError, match="no skeleton"):
        find_asf(tmp_path / "01_02.amc")
    (tmp_path / "subject.ASF").write_text(ASF)
    assert find_asf(tmp_path / "01_02.amc").name == "subject.ASF"
    (tmp_path / "other.asf").write_text(ASF)
    with pytest.raises(InputError, match="several skeletons"):
        find_asf(tmp_path / "01_02.amc")
    (tmp_path / "01.asf").write_text(ASF)
    assert find_asf(tmp_path / "01_02.amc").name == "01.asf"
    with pytest.raises(FileFormatError, match="no such file"):
        read_asf_amc(tmp_path / "01.asf", tmp_path / "01_02.amc")
    with pytest.raises(InputError, match="frame rate"):
        read_asf_amc(tmp_path / "01.asf", tmp_path / "01_02.amc", fps=0.0)


def test_the_same_take_as_the_bvh_of_the_cmu_library(shared_data):
    """No turn, shift or scale between the two. AMC has six digits: 5e-5 units at 10 to 99, in each of three axes."""
    folder = shared_data / "motion/fairmotion/tests/data"
    skeleton = read_asf(folder / "01.asf")
    shortened = {name: replace(b, length=0.0) if name in FORKS else b for name, b in skeleton.bones.items()}
    skeleton = replace(skeleton, bones=shortened)
    bvh = read_bvh(shared_data / "motion/assimp/test/models/BVH/01_01.bvh")
    ours = motion_file(skeleton, parse_amc((folder / "01_01.amc").read_text(), skeleton), fps=120.0)
    assert bvh.n_frames == ours.n_frames + 1
    mine, theirs = joint_positions(ours), joint_positions(bvh)[1:]
    columns = [ours.joint_names.index(name) for name in SAME_JOINT]
    others = [bvh.joint_names.index(name) for name in SAME_JOINT.values()]
    # The root's position is rounded at 1e-4 at most (5e-5 in the file), the bones' offsets at 1e-5 in the BVH.
    assert np.linalg.norm(mine[:, columns] - theirs[:, others], axis=-1).max() < 2e-4


def test_every_amc_is_a_person_of_the_cmu_unit(shared_data):
    files = sorted((shared_data / "motion").rglob("*.amc"))
    assert len(files) >= 5
    for file in files:
        bvh = read_asf_amc(find_asf(file), file)
        guess = guess_conventions(bvh)
        assert (guess.up, guess.certain) == ("y", True), file.name
        assert guess.metres_per_unit == pytest.approx(0.0254 / 0.45)
        assert bvh.n_frames == sum(line.strip().isdecimal() for line in file.read_text().splitlines())
