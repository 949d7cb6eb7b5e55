#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "base/check.h"
#include "domain/ids.h"
#include "sched/job_index.h"

namespace trainyard::jobs {

/// Values by job id, in blocks whose places are used again: hundreds of thousands come and go without a large allocation each. References
/// stay good until their value is erased. Visits are in no order that means anything. Not thread-safe.
template <typename Value>
class JobTable {
 public:
  JobTable() = default;
  JobTable(const JobTable&) = delete;
  JobTable& operator=(const JobTable&) = delete;
  ~JobTable() {
    each([](JobId, Value& value) { std::destroy_at(&value); });
  }

  std::size_t size() const { return place_of_.size(); }
  void reserve(std::size_t count) { place_of_.reserve(count); }

  Value* find(JobId id) {
    const std::uint32_t* place = place_of_.find(id);
    return place == nullptr ? nullptr : &at_place(*place);
  }
  const Value* find(JobId id) const { return const_cast<JobTable*>(this)->find(id); }
  /// The value of a job that is there (CHECK).
  Value& at(JobId id) {
    Value* value = find(id);
    CHECK(value != nullptr, "a job that is looked for is there");
    return *value;
  }

  /// A fresh value for a job that is not there yet (CHECK).
  Value& add(JobId id) {
    if (unused_.empty()) add_block();
    const std::uint32_t place = unused_.back();
    CHECK(place_of_.insert(id, place), "a job is added once");
    unused_.pop_back();
    return *std::construct_at(&at_place(place));
  }
  /// Forgets a job that is there (CHECK); `last_look` sees its value, which cannot be found any more.
  template <typename Look>
  void erase(JobId id, Look last_look) {
    const std::uint32_t* found = place_of_.find(id);
    CHECK(found != nullptr, "a job that is erased is there");
    const std::uint32_t place = *found;
    place_of_.erase(id);
    Value& value = at_place(place);
    last_look(std::as_const(value));
    std::destroy_at(&value);
    unused_.push_back(place);
  }

  template <typename Visit>
  void each(Visit visit) {
    place_of_.each([&](JobId id, std::uint32_t place) { visit(id, at_place(place)); });
  }

 private:
  static constexpr std::size_t kBlock = 128;
  /// Values are made and destroyed one by one.
  struct Block {
    alignas(Value) std::array<std::byte, kBlock * sizeof(Value)> room;
  };

  Value& at_place(std::uint32_t place) {
    return *std::launder(reinterpret_cast<Value*>(blocks_[place / kBlock]->room.data()) + place % kBlock);
  }
  void add_block() {
    const auto first = static_cast<std::uint32_t>(blocks_.size() * kBlock);
    blocks_.push_back(std::make_unique_for_overwrite<Block>());
    for (std::uint32_t i = kBlock; i > 0; --i) unused_.push_back(first + i - 1);
  }

  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<std::uint32_t> unused_;  ///< The last is used next.
  sched::JobIndex place_of_;
};

}  // namespace trainyard::jobs
