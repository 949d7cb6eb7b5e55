#include "train/internal/comm_segment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <new>

#include "base/file.h"

namespace trainyard::train::internal {
namespace {

constexpr std::uint64_t kMagic = 0x31304D4843594154U;  // "TAYCHM01" in memory.

constexpr std::size_t aligned(std::size_t size) { return (size + 63) / 64 * 64; }

constexpr std::size_t kWordBytes = aligned(Comm::kWordsMax * sizeof(std::int64_t));
constexpr std::size_t kDoubleBytes = aligned(Comm::kWordsMax * sizeof(double));

std::size_t float_bytes(std::size_t count) { return aligned(count * sizeof(float)); }

std::size_t area_bytes(std::size_t floats_max) { return kWordBytes + kDoubleBytes + float_bytes(floats_max); }

std::size_t segment_bytes(std::uint32_t world_size, std::size_t floats_max) {
  return sizeof(Segment::Header) + world_size * (sizeof(Segment::Slot) + area_bytes(floats_max)) + float_bytes(floats_max);
}

}  // namespace

Segment::Segment(Segment&& other) noexcept { *this = std::move(other); }

Segment& Segment::operator=(Segment&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(size_, other.size_);
  std::swap(world_size_, other.world_size_);
  std::swap(floats_max_, other.floats_max_);
  std::swap(inode_, other.inode_);
  std::swap(made_at_, other.made_at_);
  return *this;
}

Segment::~Segment() {
  unlink();
  if (memory_ != nullptr) ::munmap(memory_, size_);
}

Result<void> Segment::map(int fd, std::string_view path) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return system_error(errno, "fstat", path);
  inode_ = status.st_ino;
  if (static_cast<std::size_t>(status.st_size) != size_) return unavailable("comm.not_ready", "the shared memory has not its size yet");
  void* const memory = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return system_error(errno, "mmap", path);
  memory_ = memory;
  return {};
}

Result<Segment> Segment::create(const std::string& path, std::uint32_t world_size, std::size_t floats_max) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error(errno, "unlink", path);
  ASSIGN_OR_RETURN(const UniqueFd fd, open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600));
  Segment segment;
  segment.made_at_ = path;
  segment.size_ = segment_bytes(world_size, floats_max);
  segment.world_size_ = world_size;
  segment.floats_max_ = floats_max;
  struct stat status {};
  if (::fstat(fd.get(), &status) == 0) segment.inode_ = status.st_ino;
  // Memory that is only promised would end the process with SIGBUS at the first touch.
  if (const int error = ::posix_fallocate(fd.get(), 0, static_cast<off_t>(segment.size_)); error != 0) {
    return system_error(error, "posix_fallocate", path)
        .with_context(fmt::format("reserving {} bytes of shared memory for the gradients of {} ranks", segment.size_, world_size));
  }
  TRY(segment.map(fd.get(), path));
  auto* const header = new (segment.memory_) Header;
  header->magic = kMagic;
  header->floats_max = floats_max;
  header->world_size = world_size;
  for (std::uint32_t rank = 0; rank < world_size; ++rank) new (&segment.slot(rank)) Slot;
  header->ready.store(1);
  return segment;
}

Result<Segment> Segment::open(const std::string& path, std::uint32_t world_size, std::size_t floats_max) {
  ASSIGN_OR_RETURN(const UniqueFd fd, open_file(path, O_RDWR));
  Segment segment;
  segment.size_ = segment_bytes(world_size, floats_max);
  segment.world_size_ = world_size;
  segment.floats_max_ = floats_max;
  TRY(segment.map(fd.get(), path));
  const Header& header = segment.header();
  if (header.ready.load() == 0) return unavailable("comm.not_ready", "the shared memory is not ready yet");
  if (header.magic != kMagic || header.world_size != world_size || header.floats_max != floats_max) {
    return failed_precondition("comm.mismatch",
                               fmt::format("the ranks of the gang do not train the same model: {} floats and {} ranks here, {} "
                                           "and {} on rank 0",
                                           floats_max, world_size, header.floats_max, header.world_size));
  }
  return segment;
}

void* Segment::at(std::size_t offset) const { return static_cast<std::byte*>(memory_) + offset; }

Segment::Slot& Segment::slot(std::uint32_t rank) const { return *static_cast<Slot*>(at(sizeof(Header) + rank * sizeof(Slot))); }

std::size_t Segment::area_offset(std::uint32_t rank) const {
  return sizeof(Header) + world_size_ * sizeof(Slot) + rank * area_bytes(floats_max_);
}

std::span<std::int64_t> Segment::words(std::uint32_t rank) const {
  return {static_cast<std::int64_t*>(at(area_offset(rank))), Comm::kWordsMax};
}

std::span<double> Segment::doubles(std::uint32_t rank) const {
  return {static_cast<double*>(at(area_offset(rank) + kWordBytes)), Comm::kWordsMax};
}

std::span<float> Segment::floats(std::uint32_t rank) const {
  return {static_cast<float*>(at(area_offset(rank) + kWordBytes + kDoubleBytes)), floats_max_};
}

std::span<float> Segment::total() const { return {static_cast<float*>(at(area_offset(world_size_))), floats_max_}; }

bool Segment::is_at(const std::string& path) const {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && status.st_ino == inode_;
}

void Segment::unlink() {
  if (made_at_.empty()) return;
  if (is_at(made_at_)) ::unlink(made_at_.c_str());
  made_at_.clear();
}

}  // namespace trainyard::train::internal
