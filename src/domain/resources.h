#pragma once
#include <cstdint>
#include <string>

#include "base/describe.h"

namespace trainyard {

/// What a task asks for or a node has. Integers only: no floats take part in a fit test.
struct Resources {
  std::int64_t milli_cpu = 0;
  std::int64_t memory_bytes = 0;
  std::int64_t milli_gpu = 0;  ///< Thousandths of one device.

  auto operator<=>(const Resources&) const = default;

  Resources& operator+=(const Resources& other);
  Resources& operator-=(const Resources& other);
  friend Resources operator+(Resources a, const Resources& b) { return a += b; }
  friend Resources operator-(Resources a, const Resources& b) { return a -= b; }
  friend Resources operator*(Resources a, std::int64_t times) { return {a.milli_cpu * times, a.memory_bytes * times, a.milli_gpu * times}; }

  /// True when every quantity asked for (> 0) is there; a zero request never gates, even on an overcommitted resource.
  bool fits_in(const Resources& free) const;
  /// "2 cpu, 512MiB, 1 gpu" for people.
  std::string text() const;
};

/// The request of one task as written in a spec; what is not said is 1 CPU and 512 MiB.
struct ResourceRequest {
  MilliCpu cpu{1000};
  ByteSize memory{512LL << 20};
  MilliCpu gpu{0};

  void describe(FieldVisitor& fields);
  Resources resources() const { return {cpu.milli, memory.bytes, gpu.milli}; }
};

}  // namespace trainyard
