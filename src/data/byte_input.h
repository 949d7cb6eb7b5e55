#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace trainyard::data {

/// What identifies a source file, as it lies on disk (compressed, if it is).
struct FileFingerprint {
  std::string sha256;     ///< 64 hex digits.
  std::int64_t size = 0;  ///< Bytes.
};

/// Reads a file front to back in bounded memory, through gzip when it starts with the gzip magic, and hashes what it reads. Not
/// thread-safe. Errors: NOT_FOUND "data.missing_file", INVALID_ARGUMENT "data.gzip" for damaged or cut-off compression, and system errors.
class ByteInput {
 public:
  static Result<std::unique_ptr<ByteInput>> open(const std::string& path);
  ~ByteInput();
  ByteInput(const ByteInput&) = delete;
  ByteInput& operator=(const ByteInput&) = delete;

  /// Fills `buffer` with decompressed bytes; fewer than asked only at the end.
  Result<std::size_t> read(std::span<std::byte> buffer);
  /// Reads the rest of the file, without decompressing it, and returns the fingerprint of the whole.
  Result<FileFingerprint> fingerprint();
  const std::string& path() const;

 private:
  struct State;
  explicit ByteInput(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace trainyard::data
