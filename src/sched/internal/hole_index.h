#pragma once
#include <array>
#include <memory>
#include <vector>

#include "sched/job.h"

namespace trainyard::sched {

/// A longest stretch of time during which a node is empty; end kNever: for good.
struct Hole {
  TimePoint start;
  TimePoint end;
  NodeIndex node = 0;

  /// kForever when it has no end.
  Duration length() const { return end == kNever ? kForever : end - start; }
};

/// Holes of all nodes by start, ties by node, in blocks that know their longest hole: who looks for a long one passes over most of them.
/// No two holes have the same start and node.
class HoleIndex {
 public:
  /// Replaces what is there.
  void assign(std::vector<Hole> holes);
  void insert(const Hole& hole);
  /// Takes out a hole that is there (CHECK).
  void erase(const Hole& hole);
  /// Moves the end of a hole that is there (CHECK).
  void change_end(const Hole& hole, TimePoint end);

  /// Calls visit(hole) in order for the holes that are at least `shortest` long, until it returns false.
  template <typename Visit>
  void each_while(Duration shortest, Visit visit) const {
    for (const std::unique_ptr<Block>& block : blocks_) {
      if (block->longest < shortest) continue;
      for (std::size_t i = 0; i < block->size; ++i) {
        if (block->length[i] >= shortest && !visit(block->hole(i))) return;
      }
    }
  }

 private:
  static constexpr std::size_t kBlockSize = 128;
  struct Key {
    TimePoint start;
    NodeIndex node = 0;
    auto operator<=>(const Key&) const = default;
  };
  struct Block {
    std::size_t size = 0;
    Duration longest{0};
    std::array<TimePoint, kBlockSize> start;
    std::array<Duration, kBlockSize> length;
    std::array<NodeIndex, kBlockSize> node;

    Key key(std::size_t i) const { return {start[i], node[i]}; }
    Hole hole(std::size_t i) const { return {start[i], end_after(start[i], length[i]), node[i]}; }
    /// The first position whose key is not less.
    std::size_t position(const Key& key) const;
    void move(std::size_t from, std::size_t to, Block& target, std::size_t at) const;
    void find_longest();
  };

  std::size_t block_of(const Key& key) const;
  void split(std::size_t index);
  std::pair<Block*, std::size_t> find(const Hole& hole);

  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<Key> firsts_;  ///< Of each block, a key up to its own and above those of the block before.
};

}  // namespace trainyard::sched
