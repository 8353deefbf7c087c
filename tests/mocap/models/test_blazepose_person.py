import numpy as np
import pytest

from mocap.models.blazepose_person import (
    CELLS,
    N_ANCHORS,
    PersonCandidate,
    anchor_centers,
    decode_people,
)
from mocap.models.blazepose_roi import Roi, box_overlap, letterbox

UNLIKELY = -12.0


def test_anchors_of_three_grids():
    """28x28 cells of 2, then 14x14 of 2, then 7x7 of 6, row by row: 1568 + 392 + 294."""
    anchors = anchor_centers()
    assert anchors.shape == (N_ANCHORS, 2)
    assert anchors[0] == pytest.approx([0.5 / 28, 0.5 / 28])
    assert anchors[2] == pytest.approx([1.5 / 28, 0.5 / 28]), "x runs fastest"
    assert anchors[1568] == pytest.approx([0.5 / 14, 0.5 / 14])
    assert anchors[1568 + 2 * 14] == pytest.approx([0.5 / 14, 1.5 / 14])
    assert anchors[1960] == pytest.approx(anchors[1965])
    assert anchors[-1] == pytest.approx([6.5 / 7, 6.5 / 7])


def outputs(**rows: tuple[float, np.ndarray]):
    """Raw network outputs in which only the named anchors (`a12`) are likely: logit and 12 values, in input cells."""
    raw, logits = np.zeros((N_ANCHORS, 12), np.float32), np.full((N_ANCHORS, 1), UNLIKELY, np.float32)
    for name, (logit, values) in rows.items():
        raw[int(name[1:])], logits[int(name[1:]), 0] = values, logit
    return raw, logits


def test_decoding_into_a_portrait_image():
    """Anchor 1960 is at (16, 16) of 224 cells; the letterbox of 600x1200 has 1200/224 px a cell, from x = -300."""
    values = np.array([4, 8, 20, 40, 10, 0, 10, -16, 1, 2, 3, 4], np.float32)
    (person,) = decode_people(*outputs(a1960=(2.0, values)), letterbox(600, 1200), 0.5)
    px = 1200 / CELLS
    assert person.score == pytest.approx(1 / (1 + np.exp(-2)))
    assert person.box == pytest.approx([10 * px - 300, 4 * px, 30 * px - 300, 44 * px])
    assert person.hip_center == pytest.approx([26 * px - 300, 16 * px])
    assert person.scale_point == pytest.approx([26 * px - 300, 0])


def test_overlapping_boxes_are_averaged_by_score_and_others_kept():
    face = np.array([0, 0, 20, 20, *range(8)], np.float32)
    shifted = face + [4, 0, 0, 0, 4, 0, 4, 0, 4, 0, 4, 0]
    rows = outputs(a1960=(1.0, face), a1961=(0.0, shifted), a2200=(3.0, face))
    region = Roi((CELLS / 2, CELLS / 2), float(CELLS))
    far, near = decode_people(*rows, region, 0.5)
    weight = 0.5 / (0.5 + near.score)
    assert far.score > near.score == pytest.approx(1 / (1 + np.exp(-1)))
    assert near.hip_center == pytest.approx([16 + 4 * weight, 17])


def test_nobody_below_the_threshold():
    assert decode_people(*outputs(a1960=(-0.1, np.ones(12, np.float32))), letterbox(640, 480), 0.5) == []


def naive(raw, logits, min_score) -> list[PersonCandidate]:
    """Weighted suppression box by box, in shares of the input's side."""
    people = []
    for row in range(N_ANCHORS):
        score = 1 / (1 + np.exp(-float(logits[row, 0])))
        if score >= min_score:
            x, y, w, h, *points = (float(v) / CELLS for v in raw[row])
            ax, ay = anchor_centers()[row]
            box = np.array([x + ax - w / 2, y + ay - h / 2, x + ax + w / 2, y + ay + h / 2])
            people.append(PersonCandidate(score, box, np.array(points).reshape(4, 2) + [ax, ay]))
    people.sort(key=lambda p: -p.score)
    kept = []
    while people:
        same = [p for p in people if p is people[0] or box_overlap(people[0].box, p.box[None])[0] > 0.3]
        total = sum(p.score for p in same)
        box = np.array(sum(p.box * p.score for p in same) / total)
        kept.append(PersonCandidate(people[0].score, box, np.array(sum(p.points * p.score for p in same) / total)))
        people = [p for p in people if not any(p is s for s in same)]
    return kept


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_naive_twin(seed):
    rng = np.random.default_rng(seed)
    raw = rng.normal(0, 15, (N_ANCHORS, 12)).astype(np.float32)
    raw[:, 2:4] = rng.uniform(5, 90, (N_ANCHORS, 2))
    logits = rng.normal(-3, 1.5, (N_ANCHORS, 1)).astype(np.float32)
    fast, slow = decode_people(raw, logits, Roi((0.5, 0.5), 1.0), 0.5), naive(raw, logits, 0.5)
    assert len(fast) == len(slow) > 1
    for a, b in zip(fast, slow, strict=True):
        assert a.score == pytest.approx(b.score)
        assert a.box == pytest.approx(b.box)
        assert a.points == pytest.approx(b.points)
