#pragma once
#include <cstddef>
#include <memory>
#include <span>

namespace trainyard {

/// True when data that begins like this is gzip.
bool has_gzip_magic(std::span<const std::byte> data);

/// Decompresses gzip data piece by piece, members one after another. Source: RFC 1952, through zlib. Not thread-safe.
class GzipInflater {
 public:
  GzipInflater();
  ~GzipInflater();
  GzipInflater(const GzipInflater&) = delete;
  GzipInflater& operator=(const GzipInflater&) = delete;

  /// Decompresses from the front of `input`, which is not empty, to the front of `output`; both become what is left of them. False: the
  /// data is damaged, and nothing more can be read.
  bool step(std::span<const std::byte>& input, std::span<std::byte>& output);
  /// True between members: the data may end here.
  bool may_end() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trainyard
