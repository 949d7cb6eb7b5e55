#!/usr/bin/env python3
"""Unpacks the parts of a wheel that Trainyard links with: unpack_wheel.py ENGINE WHEEL DIRECTORY.

The big parts that no program uses (CUDA kernels, Python extensions, other frontends) stay packed.
"""
import os
import re
import shutil
import sys
import zipfile

# Engine -> patterns of the members to keep.
PARTS = {
    "torch": [
        # fmt, protobuf and pybind11 are bundled in other versions than Debian has; they must not shadow those.
        r"torch/include/(?!fmt/|google/|pybind11/).*",
        r"torch/lib/lib(torch_cpu|c10)\.so",
        r"torch/lib/lib(gomp|gfortran|quadmath|openblas)[^/]*\.so[^/]*",
        r"nvidia/cu13/lib/lib(cudart|cupti)\.so\.[0-9]+",
        r"[^/]+\.dist-info/(licenses/.*|LICENSE.*|NOTICE.*)",
    ],
    "openvino": [
        r"openvino/(cmake|include)/.*",
        # Its CMake configuration insists on every frontend, used or not.
        r"openvino/libs/libopenvino(_c|_[a-z_]+_frontend)?\.so.*",
        r"openvino/libs/libopenvino_intel_cpu_plugin\.so",
        r"openvino/libs/lib(tbb|hwloc)[^/]*",
        r"[^/]+\.dist-info/(licenses/.*|LICENSE.*)",
    ],
    "arrow": [
        r"pyarrow/include/.*",
        r"pyarrow/lib(arrow|arrow_compute|arrow_acero|arrow_dataset|parquet)\.so\.[0-9]+",
        r"[^/]+\.dist-info/(licenses/.*|LICENSE.*)",
    ],
}


def main():
    engine, wheel, directory = sys.argv[1:]
    keep = re.compile("|".join(f"(?:{part})" for part in PARTS[engine]))
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if member.is_dir() or not keep.fullmatch(member.filename):
                continue
            target = os.path.join(directory, member.filename)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with archive.open(member) as source, open(target, "wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


main()
