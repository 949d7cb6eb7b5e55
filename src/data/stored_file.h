#pragma once
#include <string>
#include <vector>

#include "base/file.h"
#include "data/dataset_version.h"
#include "store/object_store.h"

namespace trainyard::data {

/// Streams a file, a chunk at a time.
class FileSource final : public store::ByteSource {
 public:
  static Result<FileSource> open(const std::string& path);
  Result<std::span<const std::byte>> next() override;

 private:
  FileSource(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  UniqueFd fd_;
  std::string path_;
  std::uint64_t offset_ = 0;
  std::vector<std::byte> chunk_;
};

/// "xxh3:" and the hash of a file's bytes, read in bounded memory.
Result<std::string> checksum_file(const std::string& path);

/// Compares a file with what was recorded of it. Errors: NOT_FOUND, DATA_LOSS "data.damaged_file".
Result<void> verify_file(const std::string& path, std::int64_t size, const std::string& checksum);

/// Where and as what a finished scratch file is to be stored.
struct StoredFile {
  std::string path;
  std::string prefix;     ///< "datasets/fashion/raw"
  std::string extension;  ///< ".parquet"
  std::string role;
  std::int64_t rows = 0;
};

/// Stores the file durably as an object named by its content, PREFIX/HASH.EXTENSION, and removes the scratch file. Storing the same bytes
/// again is no error. A crash leaves whole objects that no version names; they are garbage. Errors: those of the store.
Result<DatasetFile> store_file(store::ObjectStore& objects, const StoredFile& file);

}  // namespace trainyard::data
