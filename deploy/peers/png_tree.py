"""CIFAR-10, binary version, as a tree of PNG files: `png_tree.py FOLDER TREE` makes TREE/train and TREE/test.

Best on a RAM disk (/dev/shm): what is to be measured is a loader and not a disk.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

import job


def main() -> None:
    folder, tree = map(Path, sys.argv[1:])
    classes = (folder / "batches.meta.txt").read_text().split()
    for split, pattern in (("train", "data_batch_*.bin"), ("test", "test_batch.bin")):
        for name in classes:
            (tree / split / name).mkdir(parents=True)
        records = [np.fromfile(file, np.uint8).reshape(-1, job.RECORD_BYTES) for file in sorted(folder.glob(pattern))]
        for number, record in enumerate(np.concatenate(records)):
            planes = record[1:].reshape(3, job.SIDE, job.SIDE)
            # OpenCV's files are written from blue, green, red.
            image = np.ascontiguousarray(planes[::-1].transpose(1, 2, 0))
            if not cv2.imwrite(str(tree / split / classes[record[0]] / f"{number:05}.png"), image):
                raise SystemExit(f"cannot write below {tree}")


if __name__ == "__main__":
    main()
