#pragma once
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace trainyard::store {

/// Name of an immutable object: "bucket/key", at most 1,024 characters. Segments match [A-Za-z0-9._=-]{1,200} and are never "." or "..".
struct ObjectName {
  std::string text;
  auto operator<=>(const ObjectName&) const = default;
};

/// Errors: INVALID_ARGUMENT "object.name".
Result<ObjectName> parse_object_name(std::string_view text);
/// "ty://bucket/key". Errors: INVALID_ARGUMENT "object.uri".
Result<ObjectName> parse_object_uri(std::string_view uri);
std::string object_uri(const ObjectName& name);

/// What is known of a stored object.
struct ObjectInfo {
  ObjectName name;
  std::uint64_t size = 0;
  std::string checksum;  ///< "xxh3:" and 32 hex digits of the 128-bit hash of the bytes.
};

/// Yields the next chunk, empty at the end. Objects are gigabytes: nothing here ever holds one whole.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual Result<std::span<const std::byte>> next() = 0;
};

/// A source over bytes that outlive it.
class SpanSource final : public ByteSource {
 public:
  explicit SpanSource(std::span<const std::byte> bytes) : rest_(bytes) {}
  Result<std::span<const std::byte>> next() override { return std::exchange(rest_, {}); }

 private:
  std::span<const std::byte> rest_;
};

/// Immutable bytes under a name. Every method may block and may be called from several threads. Errors: NOT_FOUND "object.missing",
/// ALREADY_EXISTS "object.exists", UNAVAILABLE (worth a retry), RESOURCE_EXHAUSTED "io.disk_full", DATA_LOSS "object.corrupt".
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  /// Stores all that `source` yields durably and whole, or nothing. The same name again succeeds if the bytes are equal, else
  /// ALREADY_EXISTS.
  virtual Result<ObjectInfo> put_if_absent(const ObjectName& name, ByteSource& source) = 0;
  virtual Result<ObjectInfo> stat(const ObjectName& name) = 0;
  /// Fills `buffer` from `offset`; fewer bytes than asked only at the end. Checked against the stored checksum when read whole.
  virtual Result<std::size_t> read(const ObjectName& name, std::uint64_t offset, std::span<std::byte> buffer) = 0;
  /// Reads every byte and compares the checksum.
  virtual Result<void> verify(const ObjectName& name) = 0;
  /// Objects whose name starts with `prefix`, sorted by name.
  virtual Result<std::vector<ObjectInfo>> list(std::string_view prefix) = 0;
  /// Removes the object. An absent object is no error: removal is repeated after crashes.
  virtual Result<void> remove(const ObjectName& name) = 0;
  /// Where the object lies as a file of this host, when it does. Errors: NOT_FOUND, UNIMPLEMENTED for a store without files.
  virtual Result<std::string> local_path(const ObjectName& name) = 0;
};

/// Reads a small object whole and verifies it. Errors: RESOURCE_EXHAUSTED "io.too_large" beyond `size_max`.
Result<std::string> read_object(ObjectStore& objects, const ObjectName& name, std::size_t size_max);

}  // namespace trainyard::store
