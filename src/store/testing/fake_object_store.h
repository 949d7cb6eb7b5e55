#pragma once
#include <algorithm>
#include <map>
#include <mutex>

#include "base/checksum.h"
#include "base/file.h"
#include "store/object_store.h"

namespace trainyard::store::testing {

/// Objects in memory; it has no files. Thread-safe.
class FakeObjectStore final : public ObjectStore {
 public:
  /// Flips the lowest bit of one stored byte, leaving the checksum as it was.
  void damage(const ObjectName& name, std::size_t at) {
    const std::lock_guard lock(mutex_);
    objects_.at(name).bytes.at(at) ^= 1;
  }
  std::vector<ObjectName> names() const {
    const std::lock_guard lock(mutex_);
    std::vector<ObjectName> names;
    for (const auto& [name, object] : objects_) names.push_back(name);
    return names;
  }

  Result<ObjectInfo> put_if_absent(const ObjectName& name, ByteSource& source) override {
    TRY(parse_object_name(name.text));
    Stored object;
    for (;;) {
      ASSIGN_OR_RETURN(const std::span<const std::byte> chunk, source.next());
      if (chunk.empty()) break;
      object.bytes += as_text(chunk);
    }
    object.checksum = checksum_of(object.bytes);
    const std::lock_guard lock(mutex_);
    const auto [it, inserted] = objects_.try_emplace(name, object);
    if (!inserted && it->second.checksum != object.checksum) {
      return Error{Category::kAlreadyExists, "object.exists", "another object has this name: " + name.text, {}, {}};
    }
    return info_of(name, it->second);
  }

  Result<ObjectInfo> stat(const ObjectName& name) override {
    const std::lock_guard lock(mutex_);
    ASSIGN_OR_RETURN(const Stored* const object, find(name));
    return info_of(name, *object);
  }

  Result<std::size_t> read(const ObjectName& name, std::uint64_t offset, std::span<std::byte> buffer) override {
    const std::lock_guard lock(mutex_);
    ASSIGN_OR_RETURN(const Stored* const object, find(name));
    if (offset >= object->bytes.size()) return std::size_t{0};
    if (offset == 0 && buffer.size() >= object->bytes.size()) TRY(check(name, *object));
    const std::span<const std::byte> rest = as_bytes(object->bytes).subspan(offset);
    const std::size_t size = std::min(rest.size(), buffer.size());
    std::copy_n(rest.begin(), size, buffer.begin());
    return size;
  }

  Result<void> verify(const ObjectName& name) override {
    const std::lock_guard lock(mutex_);
    ASSIGN_OR_RETURN(const Stored* const object, find(name));
    return check(name, *object);
  }

  Result<std::vector<ObjectInfo>> list(std::string_view prefix) override {
    const std::lock_guard lock(mutex_);
    std::vector<ObjectInfo> found;
    for (const auto& [name, object] : objects_) {
      if (name.text.starts_with(prefix)) found.push_back(info_of(name, object));
    }
    return found;
  }

  Result<void> remove(const ObjectName& name) override {
    const std::lock_guard lock(mutex_);
    objects_.erase(name);
    return {};
  }

  Result<std::string> local_path(const ObjectName& name) override {
    return Error{Category::kUnimplemented, "object.no_files", "this store has no files: " + name.text, {}, {}};
  }

 private:
  struct Stored {
    std::string bytes;
    std::string checksum;
  };

  static std::string checksum_of(std::string_view bytes) { return "xxh3:" + xxh3_hex(as_bytes(bytes)); }
  static ObjectInfo info_of(const ObjectName& name, const Stored& object) { return {name, object.bytes.size(), object.checksum}; }

  /// mutex_ is held.
  Result<const Stored*> find(const ObjectName& name) const {
    const auto it = objects_.find(name);
    if (it == objects_.end()) return not_found("object.missing", "there is no such object: " + name.text);
    return &it->second;
  }

  static Result<void> check(const ObjectName& name, const Stored& object) {
    if (checksum_of(object.bytes) == object.checksum) return {};
    return data_loss("object.corrupt", "the object's bytes do not match its checksum: " + name.text);
  }

  mutable std::mutex mutex_;
  std::map<ObjectName, Stored> objects_;  // guarded by mutex_
};

}  // namespace trainyard::store::testing
