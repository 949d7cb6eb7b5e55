#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "base/result.h"
#include "train/comm.h"

namespace trainyard::train::internal {

/// The mapped memory of one gang:
///   header | one slot per rank | one work area per rank: words i64[256], doubles f64[256], floats f32[n] | total f32[n]
/// Every part begins at a multiple of 64 bytes, so that no two ranks write to one cache line. Move-only.
class Segment {
 public:
  struct alignas(64) Header {
    std::uint64_t magic = 0;
    std::uint64_t floats_max = 0;
    std::uint32_t world_size = 0;
    std::atomic<std::uint32_t> ready{0};    ///< The fields above are set.
    std::atomic<std::uint32_t> started{0};  ///< Every rank has signed in.
    std::atomic<std::uint32_t> bell{0};     ///< The futex: changes whenever a rank arrives or leaves.
    std::atomic<std::uint32_t> waiters{0};
  };
  struct alignas(64) Slot {
    std::atomic<std::int32_t> pid{0};
    std::atomic<std::uint32_t> arrived{0};  ///< The number of the last barrier this rank came to.
    std::atomic<std::uint32_t> left{0};     ///< It will never come to another one.
  };

  /// Replaces whatever is at `path`. Errors: those of open, RESOURCE_EXHAUSTED when the memory does not suffice.
  static Result<Segment> create(const std::string& path, std::uint32_t world_size, std::size_t floats_max);
  /// Errors: NOT_FOUND; UNAVAILABLE while it is not ready; FAILED_PRECONDITION "comm.mismatch" when the ranks run different models.
  static Result<Segment> open(const std::string& path, std::uint32_t world_size, std::size_t floats_max);

  Segment(Segment&& other) noexcept;
  Segment& operator=(Segment&& other) noexcept;
  ~Segment();

  Header& header() const { return *static_cast<Header*>(memory_); }
  Slot& slot(std::uint32_t rank) const;
  std::span<std::int64_t> words(std::uint32_t rank) const;
  std::span<double> doubles(std::uint32_t rank) const;
  std::span<float> floats(std::uint32_t rank) const;
  std::span<float> total() const;

  /// Whether the file at `path` is still this one.
  bool is_at(const std::string& path) const;
  /// Removes the name, if it was made here and still is this file's.
  void unlink();

 private:
  Segment() = default;
  Result<void> map(int fd, std::string_view path);
  void* at(std::size_t offset) const;
  std::size_t area_offset(std::uint32_t rank) const;

  void* memory_ = nullptr;
  std::size_t size_ = 0;
  std::uint32_t world_size_ = 0;
  std::size_t floats_max_ = 0;
  std::uint64_t inode_ = 0;
  std::string made_at_;  ///< Not empty: the name to remove.
};

}  // namespace trainyard::train::internal
