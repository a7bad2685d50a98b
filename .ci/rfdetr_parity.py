"""Is the kind `rfdetr` what rfdetr's own `predict` is? A developer runs this, since it needs rfdetr and torch (gigabytes):

    PYTHONPATH=. uv run --with 'rfdetr[onnx]>=1.9.1,<2' python .ci/rfdetr_parity.py [--variant nano] [--pictures 10]

The model has the variant's architecture and seeded random weights: it knows nothing, and answers as exactly as one that does.
The library exports it as ONNX and predicts by it in torch; the gate's detector is shown the same pictures. They were chosen once
and nothing is fitted to them. `--fixture` writes what `tests/unit/test_rfdetr.py` compares with: a tiny seeded graph of the same
inputs and outputs, two pictures, and what the library's own functions around the model make of them.
"""

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import rfdetr
import torch
from PIL import Image
from rfdetr.models.postprocess import PostProcess
from tests.rfdetr_graphs import tiny
from torchvision.transforms import functional

from linegate import samples
from linegate.adapters.onnx import opened
from linegate.adapters.rfdetr.detector import RfdetrDetector
from linegate.adapters.rfdetr.model import DEVIATION, MEAN, RfdetrModel
from linegate.inspection import Detection

VARIANTS = {
    "nano": "RFDETRNano",
    "small": "RFDETRSmall",
    "medium": "RFDETRMedium",
    "large": "RFDETRLarge",
    "seg-nano": "RFDETRSegNano",
    "seg-small": "RFDETRSegSmall",
    "seg-medium": "RFDETRSegMedium",
}
NAMES = ("one", "two", "three", "four", "five", "six")
THRESHOLD = 0.3
SEED = 13
SIZES = (
    (640, 640),
    (1600, 1200),
    (300, 420),
    (2448, 2048),
    (1024, 384),
    (384, 384),
    (97, 1301),
    (800, 600),
    (1920, 1080),
    (512, 512),
)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--variant", choices=VARIANTS, default="nano")
    parser.add_argument("--pictures", type=int, default=10, choices=range(1, len(SIZES) + 1), metavar="N")
    parser.add_argument("--fixture", type=Path, metavar="DIRECTORY")
    options = parser.parse_args()
    if options.fixture:
        write_fixture(options.fixture)
        return 0
    library = seeded(VARIANTS[options.variant])
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        exported = Path(library.export(output_dir=folder, verbose=False))
        model = RfdetrModel.of(opened(exported, threads=2))
        told = compared(library, RfdetrDetector(model, NAMES, THRESHOLD), pictures()[: options.pictures])
    versions = {"rfdetr": version("rfdetr"), "torch": torch.__version__, "onnxruntime": onnxruntime.__version__}
    print(json.dumps({"model": str(model), **versions, **told}, indent=2))
    return 0


def version(package: str) -> str:
    from importlib.metadata import version as known

    return known(package)


def seeded(name: str) -> Any:
    """The architecture with random weights: its heads are made to answer with something, where they begin with nothing."""
    torch.manual_seed(SEED)
    library = getattr(rfdetr, name)(pretrain_weights=None, num_classes=len(NAMES), device="cpu")
    network = library.model.model.eval()
    drawn = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for parameter, spread in ((network.class_embed.weight, 0.3), (network.bbox_embed.layers[-1].weight, 0.05)):
            parameter.normal_(0, spread, generator=drawn)
        network.class_embed.bias.fill_(-10.0)
        network.class_embed.bias[-1] = -30.0  # "no object" is what no model learns to say
    return library


def pictures() -> list[Image.Image]:
    drawn = []
    for index, (width, height) in enumerate(SIZES):
        rng = np.random.default_rng(SEED + index)
        board = samples.sample(samples.golden_board(index), rng, ["short", "spur"][: index % 3]).picture
        # Fine detail shows how a picture was made smaller.
        enlarged = cv2.resize(board, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        noisy = np.clip(enlarged + rng.normal(0, 12, enlarged.shape), 0, 255).astype(np.uint8)
        drawn.append(Image.fromarray(noisy))
    return drawn


def compared(library: Any, detector: RfdetrDetector, shown: list[Image.Image]) -> dict[str, Any]:
    off_px, off_confidence, alone, found, overlap = [0.0], [0.0], 0, 0, list[float]()
    for picture in shown:
        theirs = library.predict(picture, threshold=THRESHOLD)
        said = detector.detect(picture, b"", None)
        ours = list(said.detections)
        foreground = [index for index, which in enumerate(theirs.class_id) if which < len(NAMES)]
        found += len(foreground)
        for index in foreground:
            box, confidence = theirs.xyxy[index], float(theirs.confidence[index])
            near = [one for one in ours if one.class_name == NAMES[theirs.class_id[index]]]
            best = min(near, key=lambda one: apart(one, box, confidence), default=None)
            if best is None or apart(best, box, confidence) > 5:
                alone += confidence > THRESHOLD + 0.002
                continue
            ours.remove(best)
            off_px.append(float(np.abs(np.array(best.box.corners) - box).max()))
            off_confidence.append(abs(best.confidence - confidence))
            if theirs.mask is not None:
                overlap.append(shared(best, theirs.mask[index]))
        alone += sum(one.confidence > THRESHOLD + 0.002 for one in ours)
    told = {
        "pictures": len(shown),
        "findings": found,
        "seen by one side only": alone,
        "largest difference of a box's edge, px": round(max(off_px), 4),
        "largest difference of a confidence": round(max(off_confidence), 6),
    }
    if overlap:
        told["overlap of outlines and masks (IoU), least and median"] = [
            round(min(overlap), 3),
            round(statistics.median(overlap), 4),
        ]
    return told


def apart(one: Detection, box: Any, confidence: float) -> float:
    return float(np.abs(np.array(one.box.corners) - box).max()) + 100 * abs(one.confidence - confidence)


def shared(one: Detection, mask: Any) -> float:
    """Intersection over union of an outline and the largest region of the library's mask."""
    regions, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not regions or not one.outline:
        return float(bool(regions) == bool(one.outline))
    drawn, filled = np.zeros(mask.shape, np.uint8), np.zeros(mask.shape, np.uint8)
    # Corners lie on the edges of pixels; OpenCV counts from their middles.
    cv2.fillPoly(drawn, [np.round(16 * (np.array(one.outline) - 0.5)).astype(np.int32)], 1, shift=4)
    cv2.fillPoly(filled, [max(regions, key=cv2.contourArea)], 1)
    union = int((drawn | filled).sum())
    return float((drawn & filled).sum() / union)


def region_pixels(mask: Any) -> int:
    """Pixels of its largest region, holes included."""
    regions, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return max((int(cv2.fillPoly(np.zeros(mask.shape, np.uint8), [one], 1).sum()) for one in regions), default=0)


def write_fixture(folder: Path) -> None:
    """The tiny graph, two pictures, and what rfdetr's preparation and its PostProcess make of them and of its answer."""
    folder.mkdir(parents=True, exist_ok=True)
    path = tiny(folder / "tiny.onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    side = session.get_inputs()[0].shape[2]
    expected = {}
    for index, (width, height) in enumerate(((75, 55), (40, 90))):
        rng = np.random.default_rng(SEED + index)
        picture = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        name = f"picture-{index}.png"
        picture.save(folder / name)
        tensor = functional.resize(functional.to_tensor(picture), [side, side], antialias=False)
        tensor = functional.normalize(tensor, MEAN.tolist(), DEVIATION.tolist())[None]
        answer = dict(
            zip(
                ("dets", "labels", "masks"),
                session.run(["dets", "labels", "masks"], {"input": tensor.numpy()}),
                strict=True,
            )
        )
        logits = torch.from_numpy(answer["labels"][..., :-1].copy())
        outputs = {
            "pred_boxes": torch.from_numpy(answer["dets"]),
            "pred_logits": logits,
            "pred_masks": torch.from_numpy(answer["masks"]),
        }
        process = PostProcess(num_select=logits.shape[1])
        (result,) = process(outputs, torch.tensor([[height, width]]), score_threshold=0.5)
        expected[name] = [
            {
                "class": int(which),
                "confidence": round(float(score), 6),
                "box": [round(float(edge), 4) for edge in box],
                "covered": region_pixels(mask[0].numpy()),
            }
            for which, score, box, mask in zip(
                result["labels"], result["scores"], result["boxes"], result["masks"], strict=True
            )
        ]
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
