"""A tiny image dataset with classes that can be learned, and a pipeline over it that runs whole in a few seconds."""

import gzip
import pathlib
import random
import struct

SIDE = 28
CLASSES = 10

PIPELINE = """\
workflow: tiny
tasks:
  ingest:
    job:
      kind: ingest
      resources: {{cpu: 100m, memory: 256MiB}}
      outputs: {{data: {dataset}/raw}}
      config:
        dataset: {dataset}
        dead_letter_budget: 0.01
        sources:
          - {{path: "{directory}/train-images-idx3-ubyte.gz", format: idx_images, split: train}}
          - {{path: "{directory}/train-labels-idx1-ubyte.gz", format: idx_labels, split: train}}
          - {{path: "{directory}/t10k-images-idx3-ubyte.gz", format: idx_images, split: test}}
          - {{path: "{directory}/t10k-labels-idx1-ubyte.gz", format: idx_labels, split: test}}
  curate:
    after: ingest
    job:
      kind: curate
      resources: {{cpu: 100m, memory: 256MiB}}
      inputs: {{data: {dataset}@latest/raw}}
      outputs: {{data: {dataset}/curated}}
      config: {{dataset: {dataset}, validation_fraction: 0.2, seed: 1, drop_train_equal_to_test: true}}
  train:
    after: curate
    job:
      kind: train
      name: {dataset}
      resources: {{cpu: 500m, memory: 512MiB}}
      inputs: {{data: {dataset}@latest/curated}}
      config: {{model: {{name: mlp}}, learning_rate: 0.1, steps: {steps}, batch_size: 16, checkpoint_every: 1s}}
  gate:
    gate: {{metric: test_accuracy, value: "${{tasks.train.result.test_accuracy}}", at_least: {at_least}}}
  register:
    after: gate
    register:
      model: {dataset}
      alias: champion
      uri: "${{tasks.train.result.model_uri}}"
      run_id: "${{tasks.train.run_id}}"
      dataset: "${{tasks.train.inputs.data}}"
  deploy:
    job:
      kind: serve
      name: {dataset}-server
      class: service
      resources: {{cpu: 100m, memory: 256MiB}}
      config:
        model_name: {dataset}
        model_version: "${{tasks.register.result.version}}"
        model_uri: "{model_uri}"
  predict:
    job:
      kind: predict
      resources: {{cpu: 100m, memory: 256MiB}}
      inputs: {{data: {dataset}@latest/curated}}
      config: {{url: "${{tasks.deploy.ready_url}}", model_name: {dataset}, limit: {limit}}}
"""


def _image(label, chance):
    """A bright column band whose place is the label, on noise: a linear model learns it in a few dozen steps."""
    left = 2 + label * 2
    row = lambda: bytes(chance.randrange(180, 256) if left <= x < left + 4 else chance.randrange(0, 60) for x in range(SIDE))
    return b"".join(row() for _ in range(SIDE))


def _write_split(directory, name, rows, chance):
    labels = [i % CLASSES for i in range(rows)]
    chance.shuffle(labels)
    images = b"".join(_image(label, chance) for label in labels)
    # Without a time in the gzip header, equal arguments give equal bytes.
    (directory / f"{name}-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(struct.pack(">IIII", 0x803, rows, SIDE, SIDE) + images, compresslevel=1, mtime=0))
    (directory / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(struct.pack(">II", 0x801, rows) + bytes(labels), mtime=0))


def write_tiny_dataset(directory, train_rows=400, test_rows=100, seed=1):
    """Writes the two pairs of IDX files (train-*, t10k-*) into `directory`, which is made when it is missing. Returns it as a path."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    _write_split(directory, "train", train_rows, chance)
    _write_split(directory, "t10k", test_rows, chance)
    return directory


def tiny_pipeline(directory, **changes):
    """Writes `directory`/pipeline.yaml over the files of write_tiny_dataset in the same directory and returns its path.

    Changes: dataset, steps (of training), at_least (the gate's bar), limit (images to predict), model_uri (what is deployed),
    replace ({text: other text}, applied to the finished YAML), file (another file name).
    """
    directory = pathlib.Path(directory)
    replace = changes.pop("replace", {})
    file = directory / changes.pop("file", "pipeline.yaml")
    values = {"dataset": "tiny", "steps": 60, "at_least": 0.5, "limit": 50, "model_uri": "${tasks.train.result.model_uri}"}
    unknown = set(changes) - set(values)
    if unknown:
        raise TypeError(f"tiny_pipeline knows no {sorted(unknown)}")
    text = PIPELINE.format(directory=directory, **{**values, **changes})
    for old, new in replace.items():
        if old not in text:
            raise ValueError(f"the pipeline does not contain {old!r}")
        text = text.replace(old, new)
    file.write_text(text)
    return file
