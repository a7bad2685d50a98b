"""Masks of labelled defects: what a pixel belongs to, how far two of them overlap, and what is told of both."""

import random
from dataclasses import replace

import numpy as np
import pytest

from linegate.evaluation.coverage import coverage
from linegate.evaluation.labels import Truth
from linegate.evaluation.masks import Mask, filled, of_runs, regions
from linegate.evaluation.metrics import InspectedBoard
from linegate.evaluation.outlines import outlines
from linegate.evaluation.terminal import beside
from linegate.inspection import Check, Detection, Manifest, Result, Verdict
from linegate.shapes import Box, Outline

SIZE = (40, 30)


def square(left: float, top: float, side: float) -> Outline:
    return ((left, top), (left + side, top), (left + side, top + side), (left, top + side))


def covering(*polygons: Outline) -> Mask:
    mask = filled(polygons, SIZE)
    assert mask is not None
    return mask


def test_a_square_covers_the_pixels_whose_middles_lie_inside() -> None:
    assert covering(square(10, 5, 10)).area == 100
    assert covering(square(10, 5, 10)).box.corners == (10, 5, 20, 15)
    assert covering(square(9.6, 5.4, 10)).box.corners == (10, 5, 20, 15)
    assert filled([square(10.6, 5.6, 0.5)], SIZE) is None, "no middle lies in it"
    assert filled([square(100, 100, 5)], SIZE) is None, "it lies beside the picture"
    assert covering(square(-5, -5, 10)).area == 25, "only what lies in the picture counts"
    assert covering(((-1e308, -1e308), (1e308, -1e308), (1e308, 1e308), (-1e308, 1e308))).area == SIZE[0] * SIZE[1]
    assert covering(square(0, 0, 4), square(2, 0, 4)).area == 24, "parts of one defect are one"


def test_a_polygon_of_any_shape_covers_what_a_test_of_each_middle_says() -> None:
    draw = random.Random(4)
    for _ in range(50):
        polygon = tuple((draw.uniform(-5, 45), draw.uniform(-5, 35)) for _ in range(draw.randint(3, 9)))
        mask = filled([polygon], SIZE)
        shown = np.zeros((SIZE[1], SIZE[0]), bool)
        if mask:
            shown[mask.top : mask.top + mask.height, mask.left : mask.left + mask.width] = mask.pixels
        assert shown.tolist() == [
            [odd_crossings(polygon, x + 0.5, y + 0.5) for x in range(SIZE[0])] for y in range(SIZE[1])
        ]


def odd_crossings(polygon: Outline, x: float, y: float) -> bool:
    inside = False
    for (ax, ay), (bx, by) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if (ay > y) != (by > y) and x > ax + (y - ay) * (bx - ax) / (by - ay):
            inside = not inside
    return inside


def test_masks_overlap_by_pixels_and_not_by_boxes() -> None:
    whole = covering(square(10, 5, 10))
    lower = covering(((10, 5), (20, 15), (10, 15)))
    assert whole.overlap(whole) == 1.0
    assert lower.overlap(whole) == pytest.approx(lower.area / 100)
    assert whole.overlap(covering(square(25, 5, 5))) == 0.0
    upper = covering(((10, 5), (20, 5), (20, 15)))
    assert upper.overlap(lower) < 0.1, "their boxes are the same"


def test_runs_go_down_the_columns_and_holes_stay_holes() -> None:
    ring = np.zeros((5, 7), bool)
    ring[1:4, 2:5] = True
    ring[2, 3] = False
    flat = [int(value) for value in ring.T.ravel()]
    runs, last = [0], 0
    for value in flat:
        if value != last:
            runs.append(0)
            last = value
        runs[-1] += 1
    mask = of_runs(runs, (7, 5))
    assert mask is not None
    assert (mask.area, mask.box.corners) == (8, (2, 1, 5, 4))
    assert not mask.pixels[1, 1]


def test_each_connected_region_is_a_mask_of_its_own() -> None:
    pixels = np.zeros((10, 10), bool)
    pixels[1, 1] = pixels[2, 2] = pixels[8, 3:6] = True
    assert sorted((mask.box.corners, mask.area) for mask in regions(pixels)) == [((1, 1, 3, 3), 2), ((3, 8, 6, 9), 3)]


# What is told of findings with outlines


def labelled(outline: Outline, name: str = "scratch") -> Truth:
    mask = covering(outline)
    return Truth(name, mask.box, mask)


def found(outline: Outline, confidence: float = 0.9, name: str = "scratch") -> Detection:
    xs, ys = zip(*outline, strict=True)
    box = Box((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2, max(xs) - min(xs), max(ys) - min(ys))
    return Detection(name, confidence, box, settled=Check(0, Result.FAIL, "so"), outline=outline)


def board(truths: tuple[Truth, ...], *detections: Detection, mm_per_px: float | None = None) -> InspectedBoard:
    manifest = Manifest(*SIZE, detections, 0, mm_per_px=mm_per_px)
    return InspectedBoard("board", truths, manifest, detections, Verdict.FAIL)


def any_of(_: Detection) -> bool:
    return True


def test_without_masks_in_the_labels_nothing_is_told_of_outlines() -> None:
    truth = replace(labelled(square(5, 5, 10)), mask=None)
    assert outlines([board((truth,), found(square(5, 5, 10)))], 0.5, any_of) is None


def test_the_same_box_with_another_outline_is_no_hit() -> None:
    truth = labelled(((10, 5), (20, 15), (10, 15)))
    told = outlines([board((truth,), found(((10, 5), (20, 5), (20, 15))))], 0.5, any_of)
    assert told is not None
    assert (told["labelled"], told["found"]) == (1, 1)
    assert (told["overall"]["precision"], told["overall"]["recall"]) == (0.0, 0.0)
    assert told["overall"]["mean_iou"] is None


def test_overlap_and_area_of_hits_are_told_in_the_recipes_scale() -> None:
    truths = (labelled(square(0, 0, 10)), labelled(square(20, 10, 10)))
    wider = ((0, 0), (12, 0), (12, 10), (0, 10))
    boards = [board(truths, found(wider), found(square(20, 10, 10), name="dent"), mm_per_px=0.1)]
    told = outlines(boards, 0.5, any_of)
    assert told is not None
    overall, anyhow = told["overall"], told["localisation"]
    assert (overall["precision"], overall["recall"], overall["compared"]) == (0.5, 0.5, 1)
    assert overall["mean_iou"] == overall["mean_box_iou"] == pytest.approx(100 / 120)
    assert told["unit"] == "mm²"
    said = beside({"masks": told, "coverage": coverage([], 1), "detectors": []})[1]
    assert said.startswith(
        "    class and place: precision 0.500, recall 0.500; of 1 hit mean IoU 0.833, of their boxes 0.833"
    )
    assert said.endswith("; area off by 0.2 mm² on average (mean +0.2), of 1 mm²")
    assert (overall["area"]["labelled"], overall["area"]["error"]) == (pytest.approx(1.0), pytest.approx(0.2))
    assert (anyhow["compared"], anyhow["area"]["error"], anyhow["area"]["absolute_error"]) == (
        2,
        pytest.approx(0.1),
        pytest.approx(0.1),
    )
    in_pixels = outlines([replace(boards[0], manifest=Manifest(*SIZE, (), 0))], 0.5, any_of)
    assert in_pixels is not None
    assert (in_pixels["unit"], in_pixels["overall"]["area"]["error"]) == ("px²", pytest.approx(20))


def test_a_finding_without_an_outline_is_judged_by_its_box() -> None:
    truth = labelled(((10, 5), (20, 15), (10, 15)))
    boxed = replace(found(square(10, 5, 10)), outline=())
    told = outlines([board((truth,), boxed)], 0.5, any_of)
    assert told is not None
    assert (told["overall"]["recall"], told["overall"]["compared"], told["found"]) == (1.0, 0, 0)
