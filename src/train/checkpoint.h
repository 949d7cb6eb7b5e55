#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/document.h"
#include "base/result.h"
#include "domain/ids.h"
#include "train/tensor_file.h"

namespace trainyard::train {

/// One durable file of a checkpoint, as the rank that wrote it reports it to rank 0.
struct CheckpointFile {
  std::string name;  ///< "rank-0.safetensors".
  std::uint64_t size = 0;
  std::string checksum;  ///< "xxh3:" and 32 hex digits of the bytes.
  friend bool operator==(const CheckpointFile&, const CheckpointFile&) = default;
};

/// What the loop needs besides tensors: small, written as state.json.
struct LoopState {
  std::int64_t step = 0;            ///< Optimizer steps that are in the parameters.
  std::int64_t evaluated_step = 0;  ///< The last step whose end-of-epoch evaluation was reported.
  std::int64_t rung_step = 0;       ///< The last rung whose decision was taken.
  double seconds = 0;               ///< Time spent in training by all attempts so far.
  std::uint32_t world_size = 1;
  std::string configuration_hash;  ///< Of everything that decides the bits: configuration, data, world size.
  Document environment;            ///< Threads, CPU capability, library version: bits are promised only while they are equal.

  Document to_document() const;
  static Result<LoopState> from(const Document& document);
};

/// A committed checkpoint that verified.
struct Checkpoint {
  AttemptNumber attempt;
  std::string directory;  ///< <root>/<attempt>/<step>
  std::string manifest;   ///< The path of its MANIFEST.
  LoopState state;
};

struct CheckpointSettings {
  std::string root;  ///< The directory of this job's checkpoints; made when missing.
  JobId job;
  AttemptNumber attempt;  ///< The fence: a later attempt that has begun makes every commit of this one fail.
  std::size_t keep = 2;   ///< Committed checkpoints that stay, the newest included; at least 1.
};

/// The checkpoints of one job: <root>/<attempt>/<step>/{rank-k.safetensors, state.json, MANIFEST}; format and commit protocol are in
/// docs/formats/checkpoint.md. Files come first, each durable under its final name, then the manifest by temporary file, fsync, rename and
/// directory fsync: a checkpoint is there when its manifest is. Not thread-safe. Errors: those of files, and ABORTED "checkpoint.fenced"
/// when a later attempt has begun.
class CheckpointDirectory {
 public:
  explicit CheckpointDirectory(CheckpointSettings settings) : settings_(std::move(settings)) {}

  /// Rank 0, before anything is read: from now on earlier attempts can commit nothing.
  Result<void> claim();
  /// The newest committed checkpoint, by attempt and step, whose files all have the size and checksum that the manifest says; damaged ones
  /// are passed over and named in `skipped`.
  Result<std::optional<Checkpoint>> newest(std::vector<std::string>* skipped = nullptr);
  /// The checkpoint of exactly this attempt and step; for ranks that rank 0 told what to read. Errors: DATA_LOSS "checkpoint.corrupt".
  Result<Checkpoint> at(AttemptNumber attempt, std::int64_t step);
  /// The tensors that `rank` stored; no tensors when it stored no file.
  Result<TensorFile> read_tensors(const Checkpoint& checkpoint, std::uint32_t rank);

  /// Makes this rank's file of the checkpoint durable. Every rank.
  Result<CheckpointFile> write_tensors(std::int64_t step, std::uint32_t rank, std::span<const TensorView> tensors);
  /// Rank 0, when every rank's file is durable: commits the checkpoint and returns the path of its manifest.
  Result<std::string> commit(const LoopState& state, std::vector<CheckpointFile> files);
  /// Removes what no resume will read: all but the newest `keep` committed checkpoints, and leftovers older than those.
  Result<void> remove_old();

 private:
  Result<void> check_fence() const;
  std::string directory_of(AttemptNumber attempt, std::int64_t step) const;

  CheckpointSettings settings_;
};

}  // namespace trainyard::train
