#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/document.h"
#include "base/result.h"
#include "domain/ids.h"

namespace trainyard::runner {

/// One file of a dataset version, as the server pinned it at submit.
struct InputFile {
  std::string uri;   ///< "ty://bucket/key".
  std::string path;  ///< The same bytes as a file of this host.
  std::uint64_t size = 0;
  std::string checksum;  ///< "xxh3:" and 32 hex digits.
  std::string role;      ///< "parquet:train", "pack:validation" ...
  std::int64_t rows = 0;
};

/// A dataset version that the job reads.
struct InputDataset {
  std::string name;
  std::string layer;
  std::int64_t version = 0;
  Document schema;  ///< An array of {"name", "type"}.
  std::int64_t rows = 0;
  std::string content_hash;
  Document properties;  ///< Whatever the job that made it recorded; null when nothing.
  std::vector<InputFile> files;

  /// Every file of one role, in the order of the spec.
  std::vector<InputFile> files_of(std::string_view role) const;
  /// The only file of a role. Errors: INVALID_ARGUMENT "spec.input_file", naming the roles that are there.
  Result<InputFile> only_file_of(std::string_view role) const;
};

/// A dataset that the job is to publish a version of.
struct OutputDataset {
  std::string name;
  std::string layer;
};

/// The spec file of a job: everything resolved, so that the program asks nobody.
struct RunnerSpec {
  JobId job;
  AttemptNumber attempt;
  std::string kind;  ///< "train", "curate" ...
  std::string name;
  Document config;          ///< The program's own described struct.
  std::string object_root;  ///< The directory of the local object store.
  std::map<std::string, InputDataset> inputs;
  std::map<std::string, OutputDataset> outputs;
  Document document;  ///< The whole text, for kinds that carry more.

  /// Errors: INVALID_ARGUMENT "spec.input" or "spec.output", naming those that are there.
  Result<InputDataset> input(std::string_view key) const;
  Result<OutputDataset> output(std::string_view key) const;
};

/// Errors: INVALID_ARGUMENT "document.*" and "spec.*" with the position of the faulty node.
Result<RunnerSpec> runner_spec_from(const Document& document);
/// Reads and parses a spec file. Errors: those of reading, "json.malformed" and those of `runner_spec_from`.
Result<RunnerSpec> read_spec(const std::string& path);

}  // namespace trainyard::runner
