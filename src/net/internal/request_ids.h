#pragma once
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace trainyard::net::internal {

/// Names requests: a random prefix for each server start and a count. Thread-safe.
class RequestIds {
 public:
  RequestIds();
  std::string next();
  /// What the client proposes if it is short and harmless in logs, else a fresh one.
  std::string accept(std::string_view proposed);

 private:
  std::string prefix_;
  std::atomic<std::uint64_t> count_{0};
};

}  // namespace trainyard::net::internal
