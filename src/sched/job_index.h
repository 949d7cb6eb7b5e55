#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "domain/ids.h"

namespace trainyard::sched {

/// Small numbers (places, slots) by job id. Ids are dense for the most part, so 64 neighbours share one entry of a hash table. A plain
/// value. Not thread-safe.
class JobIndex {
 public:
  std::size_t size() const { return size_; }
  void reserve(std::size_t jobs) { pages_.reserve(jobs / kPage + 1); }

  /// Null: the job is not there. Good until the next change.
  const std::uint32_t* find(JobId id) const {
    const auto found = pages_.find(id.value / kPage);
    return found == pages_.end() || (found->second.used >> (id.value % kPage) & 1) == 0 ? nullptr
                                                                                        : &found->second.numbers[id.value % kPage];
  }
  /// False: the job is there already, and nothing changes.
  bool insert(JobId id, std::uint32_t number) {
    Page& page = pages_[id.value / kPage];
    const std::uint64_t bit = std::uint64_t{1} << (id.value % kPage);
    if ((page.used & bit) != 0) return false;
    page.used |= bit;
    page.numbers[id.value % kPage] = number;
    ++size_;
    return true;
  }
  /// False: the job is not there.
  bool erase(JobId id) {
    const auto found = pages_.find(id.value / kPage);
    const std::uint64_t bit = std::uint64_t{1} << (id.value % kPage);
    if (found == pages_.end() || (found->second.used & bit) == 0) return false;
    found->second.used &= ~bit;
    if (found->second.used == 0) pages_.erase(found);
    --size_;
    return true;
  }

  /// In no order that means anything. `visit` must not change the index.
  template <typename Visit>
  void each(Visit visit) const {
    for (const auto& [number, page] : pages_) {
      for (std::uint64_t left = page.used; left != 0; left &= left - 1) {
        const auto place = static_cast<std::size_t>(std::countr_zero(left));
        visit(JobId(number * kPage + place), page.numbers[place]);
      }
    }
  }

 private:
  static constexpr std::uint64_t kPage = 64;
  struct Page {
    std::uint64_t used = 0;  ///< One bit for each of `numbers`.
    std::array<std::uint32_t, kPage> numbers;
  };
  std::unordered_map<std::uint64_t, Page> pages_;
  std::size_t size_ = 0;
};

}  // namespace trainyard::sched
