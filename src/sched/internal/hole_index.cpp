#include "sched/internal/hole_index.h"

#include <algorithm>

#include "base/check.h"

namespace trainyard::sched {

std::size_t HoleIndex::Block::position(const Key& key) const {
  const auto begin = start.begin();
  auto i = static_cast<std::size_t>(std::lower_bound(begin, begin + static_cast<std::ptrdiff_t>(size), key.start) - begin);
  while (i < size && start[i] == key.start && node[i] < key.node) ++i;
  return i;
}

/// Copies [from, to) to `target` at `at`, which may be the same block and overlap.
void HoleIndex::Block::move(std::size_t from, std::size_t to, Block& target, std::size_t at) const {
  const auto shift = [&](const auto& source, auto& destination) {
    const auto first = source.begin() + static_cast<std::ptrdiff_t>(from);
    const auto last = source.begin() + static_cast<std::ptrdiff_t>(to);
    const auto into = destination.begin() + static_cast<std::ptrdiff_t>(at);
    if (at <= from) {
      std::copy(first, last, into);
    } else {
      std::copy_backward(first, last, into + (last - first));
    }
  };
  shift(start, target.start);
  shift(length, target.length);
  shift(node, target.node);
}

void HoleIndex::Block::find_longest() {
  longest = Duration{0};
  for (std::size_t i = 0; i < size; ++i) longest = std::max(longest, length[i]);
}

std::size_t HoleIndex::block_of(const Key& key) const {
  const auto after = std::upper_bound(firsts_.begin(), firsts_.end(), key);
  return after == firsts_.begin() ? 0 : static_cast<std::size_t>(after - firsts_.begin()) - 1;
}

/// Moves the upper half of a full block to a new one after it.
void HoleIndex::split(std::size_t index) {
  Block& full = *blocks_[index];
  auto upper = std::make_unique<Block>();
  constexpr std::size_t kHalf = kBlockSize / 2;
  full.move(kHalf, kBlockSize, *upper, 0);
  full.size = kHalf;
  upper->size = kBlockSize - kHalf;
  full.find_longest();
  upper->find_longest();
  const auto place = static_cast<std::ptrdiff_t>(index) + 1;
  firsts_.insert(firsts_.begin() + place, upper->key(0));
  blocks_.insert(blocks_.begin() + place, std::move(upper));
}

void HoleIndex::assign(std::vector<Hole> holes) {
  std::sort(holes.begin(), holes.end(), [](const Hole& a, const Hole& b) { return Key{a.start, a.node} < Key{b.start, b.node}; });
  blocks_.clear();
  firsts_.clear();
  constexpr std::size_t kFill = kBlockSize * 3 / 4;
  for (std::size_t i = 0; i < holes.size(); ++i) {
    if (i % kFill == 0) {
      blocks_.push_back(std::make_unique<Block>());
      firsts_.push_back({holes[i].start, holes[i].node});
    }
    Block& block = *blocks_.back();
    block.start[block.size] = holes[i].start;
    block.length[block.size] = holes[i].length();
    block.node[block.size] = holes[i].node;
    block.longest = std::max(block.longest, holes[i].length());
    ++block.size;
  }
}

void HoleIndex::insert(const Hole& hole) {
  const Key key{hole.start, hole.node};
  if (blocks_.empty()) {
    blocks_.push_back(std::make_unique<Block>());
    firsts_.push_back(key);
  }
  std::size_t index = block_of(key);
  if (blocks_[index]->size == kBlockSize) {
    split(index);
    index = block_of(key);
  }
  Block& block = *blocks_[index];
  const std::size_t at = block.position(key);
  block.move(at, block.size, block, at + 1);
  block.start[at] = hole.start;
  block.length[at] = hole.length();
  block.node[at] = hole.node;
  block.longest = std::max(block.longest, hole.length());
  ++block.size;
}

std::pair<HoleIndex::Block*, std::size_t> HoleIndex::find(const Hole& hole) {
  const Key key{hole.start, hole.node};
  CHECK(!blocks_.empty(), "no hole is known");
  Block& block = *blocks_[block_of(key)];
  const std::size_t at = block.position(key);
  CHECK(at < block.size && block.key(at) == key && block.length[at] == hole.length(), "a hole is not where it should be");
  return {&block, at};
}

void HoleIndex::erase(const Hole& hole) {
  auto [block, at] = find(hole);
  block->move(at + 1, block->size, *block, at);
  --block->size;
  if (hole.length() == block->longest) block->find_longest();
}

void HoleIndex::change_end(const Hole& hole, TimePoint end) {
  auto [block, at] = find(hole);
  block->length[at] = Hole{hole.start, end, hole.node}.length();
  if (hole.length() == block->longest) {
    block->find_longest();
  } else {
    block->longest = std::max(block->longest, block->length[at]);
  }
}

}  // namespace trainyard::sched
