#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/document.h"
#include "base/file.h"

namespace trainyard::data {

/// A pack is one split of a dataset as fixed-size records, to be mapped into memory (docs/formats/pack.md):
///
///     0     8        12              16                                4096
///     | magic | version | header_length | header JSON | zero padding | record 0 | record 1 | ..
///
/// A field of every record.
struct PackField {
  std::string name;
  std::string type;                 ///< "uint8".
  std::vector<std::int64_t> shape;  ///< [] for a single value.
  std::size_t offset = 0;           ///< Byte inside the record.
  bool operator==(const PackField&) const = default;
};

struct PackHeader {
  std::size_t record_bytes = 0;
  std::int64_t rows = 0;
  std::vector<PackField> fields;
  std::int64_t classes = 0;
  std::string checksum;  ///< "xxh3:" and 32 hex digits of the bytes of all records.
};

/// The header's JSON and back. Errors: DATA_LOSS "data.pack".
Document to_document(const PackHeader& header);
Result<PackHeader> pack_header_from(const Document& document);

constexpr std::size_t kPackHeaderBytes = 4096;

/// Reads a pack through a mapping. A value that may be moved; `record` is safe from several threads.
class PackReader {
 public:
  /// Maps the file and checks its header and size, not the bytes of the records. Errors: NOT_FOUND, DATA_LOSS "data.pack".
  static Result<PackReader> open(const std::string& path);

  const PackHeader& header() const { return header_; }
  std::int64_t rows() const { return header_.rows; }
  /// `index` in [0, rows). The bytes live as long as the reader.
  std::span<const std::byte> record(std::int64_t index) const;
  /// All records, one after the other.
  std::span<const std::byte> records() const;
  /// Reads every record and compares the checksum. Errors: DATA_LOSS "data.pack".
  Result<void> verify() const;

 private:
  struct Unmap {
    std::size_t size = 0;
    void operator()(const std::byte* begin) const;
  };
  using Mapping = std::unique_ptr<const std::byte, Unmap>;

  PackReader(Mapping mapping, PackHeader header, std::string path)
      : mapping_(std::move(mapping)), header_(std::move(header)), path_(std::move(path)) {}

  Mapping mapping_;
  PackHeader header_;
  std::string path_;
};

/// Writes a pack front to back in bounded memory; the caller stores and names the finished file. Not thread-safe.
class PackWriter {
 public:
  /// Replaces what is at `path`. `rows` and `checksum` of the header are filled in by `finish`.
  static Result<PackWriter> create(const std::string& path, PackHeader header);
  /// Appends whole records.
  Result<void> append(std::span<const std::byte> records);
  /// Writes the header. The file is not synced: it is scratch until it is stored.
  Result<PackHeader> finish();

 private:
  PackWriter(UniqueFd fd, std::string path, PackHeader header) : fd_(std::move(fd)), path_(std::move(path)), header_(std::move(header)) {}
  Result<void> flush();

  UniqueFd fd_;
  std::string path_;
  PackHeader header_;
  std::vector<std::byte> buffer_;
  std::unique_ptr<Xxh3> hash_ = std::make_unique<Xxh3>();
};

}  // namespace trainyard::data
