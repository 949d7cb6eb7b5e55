"""examples/fashion-mnist/extra.csv is what its generator writes: python3 tests/etl/extra_csv_test.py ROOT"""
import os
import subprocess
import sys

NOT_RUN = 77
DATASET = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"


def main():
    folder = os.path.join(sys.argv[1], "examples", "fashion-mnist")
    if not os.path.exists(DATASET):
        print("NOT RUN: the package dataset-fashion-mnist is not installed")
        return NOT_RUN
    made = subprocess.run([sys.executable, os.path.join(folder, "make_extra_csv.py")], stdout=subprocess.PIPE, check=True).stdout
    with open(os.path.join(folder, "extra.csv"), "rb") as file:
        kept = file.read()
    if made != kept:
        print("extra.csv is not what make_extra_csv.py writes: run the script again, or correct it")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
