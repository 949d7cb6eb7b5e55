#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace trainyard::fuzz {

/// The readers that inputs can go to: "trace", "swf", "cluster", "schedule", "gzip", "faults". Their seeds are corpus/<name>/.
std::span<const std::string_view> reader_names();

/// Chooses the reader for all inputs to come. False: there is none of this name.
bool choose_reader(std::string_view name);

/// So many inputs were accepted and refused since the start.
struct Answers {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
};
Answers answers();

}  // namespace trainyard::fuzz

/// The entry that libFuzzer and our own driver call. Ends the program with abort() and a line on stderr when the reader breaks a promise:
/// a refusal names file, line where there is one, an id and a reason fit for a terminal; what is accepted is written and read back equal.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
