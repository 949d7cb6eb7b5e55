#pragma once
#include <mutex>
#include <utility>

#include "store/object_store.h"

namespace trainyard::store::testing {

/// Passes calls on until told to fail: the n-th call from now fails once, before it reaches the inner store. Thread-safe.
class FaultyObjectStore final : public ObjectStore {
 public:
  explicit FaultyObjectStore(ObjectStore& inner) : inner_(inner) {}

  /// `n` counts from 1: the next call of any method.
  void fail_call(int n, Error error = unavailable("store.injected", "injected fault")) {
    const std::lock_guard lock(mutex_);
    calls_until_fault_ = n;
    error_ = std::move(error);
  }

  Result<ObjectInfo> put_if_absent(const ObjectName& name, ByteSource& source) override {
    TRY(fault());
    return inner_.put_if_absent(name, source);
  }
  Result<ObjectInfo> stat(const ObjectName& name) override {
    TRY(fault());
    return inner_.stat(name);
  }
  Result<std::size_t> read(const ObjectName& name, std::uint64_t offset, std::span<std::byte> buffer) override {
    TRY(fault());
    return inner_.read(name, offset, buffer);
  }
  Result<void> verify(const ObjectName& name) override {
    TRY(fault());
    return inner_.verify(name);
  }
  Result<std::vector<ObjectInfo>> list(std::string_view prefix) override {
    TRY(fault());
    return inner_.list(prefix);
  }
  Result<void> remove(const ObjectName& name) override {
    TRY(fault());
    return inner_.remove(name);
  }
  Result<std::string> local_path(const ObjectName& name) override {
    TRY(fault());
    return inner_.local_path(name);
  }

 private:
  Result<void> fault() {
    const std::lock_guard lock(mutex_);
    if (calls_until_fault_ == 0 || --calls_until_fault_ > 0) return {};
    return error_;
  }

  ObjectStore& inner_;
  std::mutex mutex_;
  int calls_until_fault_ = 0;  // guarded by mutex_
  Error error_;                // guarded by mutex_
};

}  // namespace trainyard::store::testing
