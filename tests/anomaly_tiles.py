"""How well a learned model tells good surfaces from bad ones, as AUROC of one picture against another:

    uv run python -m tests.anomaly_tiles FOLDER [--half 0|1] [--reduce N]

FOLDER holds `good` and a folder for each class of defect, as the magnetic tiles of Huang et al. do ("Surface defect saliency of
magnetic tile"): names that share `num_…` show the same tile. Tiles with an even number teach. Of the others every second one
is in half 0, by which this was designed, and the rest in half 1, which nothing was chosen by; of defective ones, even and odd.
"""

import argparse
import re
from pathlib import Path

import numpy as np

from linegate import imaging
from linegate.adapters.anomaly.features import Picture
from linegate.adapters.anomaly.learned import learn


def number(path: Path) -> int:
    found = re.search(r"num_(\d+)", path.name)
    assert found, path
    return int(found[1])


def pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.stem.endswith("_mask") and path.suffix == ".jpg")


def decoded(path: Path) -> Picture:
    return np.asarray(imaging.decode(path.read_bytes()))


def auroc(good: list[float], bad: list[float]) -> float:
    """The probability that a bad picture scores higher than a good one."""
    pairs = np.subtract.outer(np.array(bad), np.array(good))
    return float(((pairs > 0) + (pairs == 0) / 2).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", type=int, choices=(0, 1), default=1)
    parser.add_argument("--reduce", type=int, default=2)
    options = parser.parse_args()
    good = pictures(options.folder / "good")
    learned = learn([decoded(one) for one in good if number(one) % 2 == 0], still=False, step=options.reduce)

    def peaks(paths: list[Path]) -> list[float]:
        return [learned.scores(decoded(path)).peak or 0.0 for path in paths]

    of_good = peaks([one for one in good if number(one) % 4 == 1 + 2 * options.half])
    of_bad: list[float] = []
    for folder in sorted(path for path in options.folder.iterdir() if path.is_dir() and path.name != "good"):
        chosen = [one for one in pictures(folder) if number(one) % 2 == options.half]
        scores = peaks(chosen)
        of_bad += scores
        print(f"{folder.name:10} {auroc(of_good, scores):.3f}  ({len(scores)} pictures)")
    print(f"{'all':10} {auroc(of_good, of_bad):.3f}  ({len(of_bad)} pictures against {len(of_good)} good ones)")


if __name__ == "__main__":
    main()
