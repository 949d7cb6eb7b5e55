#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace trainyard::sched {

/// Position of a node in its ClusterSnapshot; nodes keep theirs for ever. Ties between nodes go to the lower one.
using NodeIndex = std::uint32_t;

/// A set of nodes, one bit each.
class NodeSet {
 public:
  NodeSet() = default;
  explicit NodeSet(std::size_t size) : words_((size + 63) / 64) {}

  void resize(std::size_t size) { words_.resize((size + 63) / 64); }
  bool contains(NodeIndex node) const { return (words_[node / 64] >> (node % 64) & 1) != 0; }
  void insert(NodeIndex node) { words_[node / 64] |= std::uint64_t{1} << (node % 64); }
  void erase(NodeIndex node) { words_[node / 64] &= ~(std::uint64_t{1} << (node % 64)); }
  void set(NodeIndex node, bool in) { in ? insert(node) : erase(node); }
  void clear() { words_.assign(words_.size(), 0); }

  std::size_t count() const {
    std::size_t count = 0;
    for (const std::uint64_t word : words_) count += static_cast<std::size_t>(std::popcount(word));
    return count;
  }
  bool empty() const {
    for (const std::uint64_t word : words_) {
      if (word != 0) return false;
    }
    return true;
  }
  bool intersects(const NodeSet& other) const {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      if ((words_[i] & other.words_[i]) != 0) return true;
    }
    return false;
  }
  NodeSet& operator&=(const NodeSet& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] &= other.words_[i];
    return *this;
  }
  NodeSet& operator|=(const NodeSet& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
    return *this;
  }
  /// Removes what is in `other`.
  NodeSet& operator-=(const NodeSet& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] &= ~other.words_[i];
    return *this;
  }
  bool operator==(const NodeSet&) const = default;

  /// Calls `visit(node)` in ascending order until it returns false.
  template <typename Visit>
  void each_while(Visit visit) const {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      for (std::uint64_t word = words_[i]; word != 0; word &= word - 1) {
        if (!visit(static_cast<NodeIndex>(i * 64 + static_cast<std::size_t>(std::countr_zero(word))))) return;
      }
    }
  }
  template <typename Visit>
  void each(Visit visit) const {
    each_while([&visit](NodeIndex node) {
      visit(node);
      return true;
    });
  }

  const std::vector<std::uint64_t>& words() const { return words_; }
  std::vector<std::uint64_t>& words() { return words_; }

 private:
  std::vector<std::uint64_t> words_;
};

}  // namespace trainyard::sched
