#include "runner/artifact.h"

#include <fcntl.h>

#include <vector>

#include "base/checksum.h"
#include "base/file.h"

namespace trainyard::runner {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;

class FileSource final : public store::ByteSource {
 public:
  FileSource(const UniqueFd& fd, const std::string& path) : fd_(fd), path_(path), chunk_(kChunk) {}

  Result<std::span<const std::byte>> next() override {
    ASSIGN_OR_RETURN(const std::size_t count, read_at(fd_.get(), chunk_, offset_, path_));
    offset_ += count;
    return std::span<const std::byte>(chunk_).first(count);
  }

 private:
  const UniqueFd& fd_;
  const std::string& path_;
  std::uint64_t offset_ = 0;
  std::vector<std::byte> chunk_;
};

}  // namespace

Result<ArtifactEvent> put_object(store::ObjectStore& objects, const ArtifactPlace& place, const std::string& path) {
  ASSIGN_OR_RETURN(const UniqueFd fd, open_file(path, O_RDONLY));
  Xxh3 hash;
  FileSource hashed(fd, path);
  for (;;) {
    ASSIGN_OR_RETURN(const std::span<const std::byte> chunk, hashed.next());
    if (chunk.empty()) break;
    hash.update(chunk);
  }
  ASSIGN_OR_RETURN(const store::ObjectName name, store::parse_object_name(place.bucket + "/" + hash.finish_hex() + place.extension));
  FileSource source(fd, path);
  ASSIGN_OR_RETURN(const store::ObjectInfo info, objects.put_if_absent(name, source));
  return ArtifactEvent{.name = place.name, .uri = store::object_uri(name), .size = info.size, .checksum = info.checksum};
}

}  // namespace trainyard::runner
