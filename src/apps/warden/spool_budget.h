#pragma once
#include <algorithm>
#include <cstdint>

namespace trainyard::warden {

class SpoolShare;

/// Bytes of output on this node's disk that the server does not have yet, of all ranks together. Once they reach the bound, ranks that
/// hold more than their part of it are not read any more, so that a loud one does not silence the others. The others go on up to their
/// part: the disk holds twice the bound at most. Single-threaded.
class SpoolBudget {
 public:
  explicit SpoolBudget(std::uint64_t max) : max_(max) {}
  bool full() const { return used_ >= max_; }
  std::uint64_t used() const { return used_; }

 private:
  friend class SpoolShare;
  std::uint64_t max_;
  std::uint64_t used_ = 0;
  std::uint64_t holders_ = 0;  ///< Shares that are not empty.
};

/// What one rank holds of the budget until it is forgotten.
class SpoolShare {
 public:
  explicit SpoolShare(SpoolBudget& budget) : budget_(budget) {}
  ~SpoolShare() { set(0); }
  SpoolShare(const SpoolShare&) = delete;
  SpoolShare& operator=(const SpoolShare&) = delete;

  void set(std::uint64_t bytes) {
    budget_.used_ += bytes - bytes_;
    if (bytes_ == 0 && bytes > 0) ++budget_.holders_;
    if (bytes_ > 0 && bytes == 0) --budget_.holders_;
    bytes_ = bytes;
  }
  /// The rank has to wait until some of the output was shipped.
  bool exhausted() const { return budget_.full() && bytes_ >= budget_.max_ / std::max<std::uint64_t>(1, budget_.holders_); }

 private:
  SpoolBudget& budget_;
  std::uint64_t bytes_ = 0;
};

}  // namespace trainyard::warden
