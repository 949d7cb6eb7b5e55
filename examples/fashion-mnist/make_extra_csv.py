#!/usr/bin/env python3
"""Writes extra.csv, the small second source of the Fashion-MNIST example, from the training images.

    python3 make_extra_csv.py [DIRECTORY of the .gz files] > extra.csv

The file has 40 rows below its header: 20 exact copies of training rows (two of each class), 15 rows that are in no other source
(mirrored training images), and 5 malformed ones, one of each kind. Its output is always the same; extra.csv is checked in so that
nobody needs this script to run the example.
"""
import gzip
import struct
import sys

DEFAULT_DIRECTORY = "/usr/share/datasets/fashion-mnist"
COPIES_PER_CLASS = 2
MIRRORED = 15
ROW_BYTES_MAX = 2300  # Keeps the file well below 100 kB.


def read_training_rows(directory):
    with gzip.open(f"{directory}/train-images-idx3-ubyte.gz") as images, gzip.open(f"{directory}/train-labels-idx1-ubyte.gz") as labels:
        _, count, height, width = struct.unpack(">4I", images.read(16))
        labels.read(8)
        return [(labels.read(1)[0], images.read(height * width)) for _ in range(count)]


def mirrored(pixels):
    return b"".join(pixels[row:row + 28][::-1] for row in range(0, 784, 28))


def text(label, pixels):
    return ",".join(map(str, [label, *pixels])).encode()


def main():
    rows = read_training_rows(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_DIRECTORY)
    known = set(rows)
    small = [row for row in rows if len(text(*row)) <= ROW_BYTES_MAX]
    copies = [[row for row in small if row[0] == label][:COPIES_PER_CLASS] for label in range(10)]
    new = [(label, mirrored(pixels)) for label, pixels in small[1000::400]]
    new = [row for row in new if row not in known][:MIRRORED]
    good = [text(*row) for row in sum(copies, [])] + [text(*row) for row in new]

    broken = good[0].split(b",")
    out_of_range = [b"10", *broken[1:]]
    not_a_number = [*broken[:5], b"dark", *broken[6:]]
    malformed = [
        (3, b"9,0,0,0"),                                     # column_count
        (9, b",".join(not_a_number)),                        # not_a_number in pixel_4
        (17, b",".join(out_of_range)),                       # out_of_range in label
        (26, b'7,"0,0,0'),                                   # bad_quote
        (34, b"1,\xff,0"),                                   # invalid_utf8
    ]
    for place, line in malformed:
        good.insert(place, line)

    header = ",".join(["label", *(f"pixel_{i}" for i in range(784))]).encode()
    sys.stdout.buffer.write(b"\n".join([header, *good]) + b"\n")


if __name__ == "__main__":
    main()
