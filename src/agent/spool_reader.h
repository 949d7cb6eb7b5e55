#pragma once
#include <cstdint>
#include <string>
#include <utility>

#include "exec/spool.h"

namespace trainyard::agent {

/// The output of ranks as their warden spooled it. Errors: those of files.
class SpoolReader {
 public:
  virtual ~SpoolReader() = default;
  /// At most `size` bytes of the log from `from`; fewer at the end of the file.
  virtual Result<std::string> read_log(const RankKey& rank, std::uint64_t from, std::size_t size) = 0;
  virtual Result<std::string> read_events(const RankKey& rank, std::uint64_t from, std::size_t size) = 0;
  /// What is known to be shipped, so that what came before may be gone; all zero when nothing is known.
  virtual exec::ShippedMark shipped_mark(const RankKey& rank) = 0;
};

/// The files below a node's data directory.
class FileSpool final : public SpoolReader {
 public:
  explicit FileSpool(std::string data_dir) : data_dir_(std::move(data_dir)) {}
  Result<std::string> read_log(const RankKey& rank, std::uint64_t from, std::size_t size) override;
  Result<std::string> read_events(const RankKey& rank, std::uint64_t from, std::size_t size) override;
  exec::ShippedMark shipped_mark(const RankKey& rank) override;

 private:
  std::string data_dir_;
};

}  // namespace trainyard::agent
