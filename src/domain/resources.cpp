#include "domain/resources.h"

#include <fmt/format.h>

namespace trainyard {
namespace {

/// For people: exact when that is short, else with two decimals.
std::string memory_text(std::int64_t bytes) {
  constexpr std::int64_t kGiB = std::int64_t{1} << 30;
  std::string exact = format_byte_size({bytes});
  constexpr std::size_t kShort = 7;  // 1023MiB
  if (exact.size() <= kShort || bytes < kGiB) return exact;
  return fmt::format("{:.2f}GiB", static_cast<double>(bytes) / static_cast<double>(kGiB));
}

}  // namespace

Resources& Resources::operator+=(const Resources& other) {
  milli_cpu += other.milli_cpu;
  memory_bytes += other.memory_bytes;
  milli_gpu += other.milli_gpu;
  return *this;
}

Resources& Resources::operator-=(const Resources& other) {
  milli_cpu -= other.milli_cpu;
  memory_bytes -= other.memory_bytes;
  milli_gpu -= other.milli_gpu;
  return *this;
}

bool Resources::fits_in(const Resources& free) const {
  const auto fits = [](std::int64_t asked, std::int64_t available) { return asked <= 0 || asked <= available; };
  return fits(milli_cpu, free.milli_cpu) && fits(memory_bytes, free.memory_bytes) && fits(milli_gpu, free.milli_gpu);
}

std::string Resources::text() const {
  std::string text = fmt::format("{} cpu, {}", static_cast<double>(milli_cpu) / 1000, memory_text(memory_bytes));
  if (milli_gpu != 0) text += fmt::format(", {} gpu", static_cast<double>(milli_gpu) / 1000);
  return text;
}

void ResourceRequest::describe(FieldVisitor& fields) {
  fields.field("cpu", cpu, "CPU cores of one task, as 2, 0.5 or \"900m\".");
  fields.field("memory", memory, "Memory of one task, as \"512MiB\".");
  fields.field("gpu", gpu, "GPU devices of one task; a fraction shares a device.");
}

}  // namespace trainyard
