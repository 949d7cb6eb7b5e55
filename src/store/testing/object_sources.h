#pragma once
#include <string_view>

#include "base/file.h"
#include "store/object_store.h"

namespace trainyard::store::testing {

/// Yields the bytes of a text in chunks of a given size, then fails if it was told to.
class ChunkedSource final : public ByteSource {
 public:
  ChunkedSource(std::string_view bytes, std::size_t chunk) : rest_(bytes), chunk_(chunk) {}
  void fail_at_end() { fails_ = true; }

  Result<std::span<const std::byte>> next() override {
    const std::string_view part = rest_.substr(0, chunk_);
    rest_.remove_prefix(part.size());
    if (part.empty() && fails_) return unavailable("source.injected", "injected fault");
    return as_bytes(part);
  }

 private:
  std::string_view rest_;
  std::size_t chunk_;
  bool fails_ = false;
};

/// Stores the bytes of a text under a name.
inline Result<ObjectInfo> put_text(ObjectStore& objects, const ObjectName& name, std::string_view text) {
  SpanSource source(as_bytes(text));
  return objects.put_if_absent(name, source);
}

}  // namespace trainyard::store::testing
