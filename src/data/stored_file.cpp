#include "data/stored_file.h"

#include <fcntl.h>
#include <fmt/format.h>

#include "base/checksum.h"
#include "base/failpoint.h"

namespace trainyard::data {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;

}  // namespace

Result<FileSource> FileSource::open(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(path, O_RDONLY));
  return FileSource(std::move(fd), path);
}

Result<std::span<const std::byte>> FileSource::next() {
  chunk_.resize(kChunk);
  ASSIGN_OR_RETURN(const std::size_t got, read_at(fd_.get(), chunk_, offset_, path_));
  offset_ += got;
  return std::span<const std::byte>(chunk_).first(got);
}

Result<std::string> checksum_file(const std::string& path) {
  ASSIGN_OR_RETURN(FileSource source, FileSource::open(path));
  Xxh3 hash;
  for (;;) {
    ASSIGN_OR_RETURN(const std::span<const std::byte> chunk, source.next());
    if (chunk.empty()) return "xxh3:" + hash.finish_hex();
    hash.update(chunk);
  }
}

Result<void> verify_file(const std::string& path, std::int64_t size, const std::string& checksum) {
  ASSIGN_OR_RETURN(const std::uint64_t actual_size, file_size(path));
  ASSIGN_OR_RETURN(const std::string actual, checksum_file(path));
  if (actual == checksum && actual_size == static_cast<std::uint64_t>(size)) return {};
  return data_loss(
      "data.damaged_file",
      fmt::format("a file of the dataset is not as it was published, {} bytes with {}; publish the version again: {} has {} bytes with {}",
                  size, checksum, path, actual_size, actual));
}

Result<DatasetFile> store_file(store::ObjectStore& objects, const StoredFile& file) {
  ASSIGN_OR_RETURN(const std::string checksum, checksum_file(file.path));
  ASSIGN_OR_RETURN(const store::ObjectName name,
                   store::parse_object_name(file.prefix + "/" + checksum.substr(checksum.find(':') + 1) + file.extension));
  ASSIGN_OR_RETURN(FileSource source, FileSource::open(file.path));
  FAILPOINT("etl.disk_full");
  ASSIGN_OR_RETURN(const store::ObjectInfo info, objects.put_if_absent(name, source));
  if (info.checksum != checksum) {
    return data_loss("data.damaged_file",
                     fmt::format("the stored object is not what was written, {} became {}: {}", checksum, info.checksum, name.text));
  }
  TRY(remove_tree(file.path));
  return DatasetFile{store::object_uri(name), static_cast<std::int64_t>(info.size), checksum, file.role, file.rows};
}

}  // namespace trainyard::data
