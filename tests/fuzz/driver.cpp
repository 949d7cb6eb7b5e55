// Calls the fuzz target with every seed of the corpus and then with mutations of them, without a fuzzing engine: the same inputs on every
// run with the same seed. Usage: reader_fuzz [CORPUS [READER]]. TRAINYARD_FUZZ_ROUNDS: mutations per reader; TRAINYARD_FUZZ_SEED.
// An input that breaks the target is left in the file reader_fuzz_input and the program ends with a signal.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/rng.h"
#include "tests/fuzz/reader_target.h"

namespace {

using trainyard::SeededRng;

constexpr std::size_t kInputMax = 1 << 15;
constexpr const char* kLeft = "reader_fuzz_input";
/// What readers of numbers, lines and quotes trip over.
constexpr std::string_view kTokens[] = {"-1",
                                        "0",
                                        "1",
                                        "1e400",
                                        "1e-7",
                                        "nan",
                                        "-inf",
                                        "99999999999999999999",
                                        "9223372036854775807",
                                        "0.0000005",
                                        "1.",
                                        ",",
                                        "\"",
                                        "\"\"",
                                        "\n",
                                        "\r\n",
                                        ";",
                                        "#",
                                        "\xEF\xBB\xBF",
                                        "\xff",
                                        "\x1b[31m",
                                        " ",
                                        "\t",
                                        "@",
                                        "/",
                                        "+",
                                        "-",
                                        "|",
                                        ".",
                                        "1000000000",
                                        "0x10",
                                        "\x1f\x8b",
                                        "default",
                                        "A|B",
                                        "job_id",
                                        "depends_on",
                                        "0-3;7",
                                        "é",
                                        "1-",
                                        "3-1",
                                        "MaxProcs: 8",
                                        "\n\n",
                                        "10000000000"};

std::string g_input;  ///< That the target has now.

/// Leaves the input behind. Only calls that a signal handler may make.
void leave_input(int signal) {
  const int file = ::open(kLeft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file >= 0) {
    [[maybe_unused]] const ssize_t written = ::write(file, g_input.data(), g_input.size());
    ::close(file);
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run_target(std::string input) {
  g_input = std::move(input);
  const std::vector<std::uint8_t> bytes(g_input.begin(), g_input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

std::vector<std::string> seeds_of(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<std::string> seeds;
  for (const std::filesystem::path& file : files) {
    std::ifstream stream(file, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  }
  return seeds;
}

void mutate(std::string& text, const std::vector<std::string>& seeds, SeededRng& rng) {
  const auto place = [&text, &rng] { return static_cast<std::size_t>(rng.below(text.size() + 1)); };
  const std::size_t at = place();
  const std::size_t length = std::min<std::size_t>(text.size() - at, 1 + rng.below(rng.below(4) == 0 ? 200 : 8));
  switch (rng.below(8)) {
    case 0:
      if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << rng.below(8)));
      return;
    case 1:
      if (at < text.size()) text[at] = static_cast<char>(rng.below(256));
      return;
    case 2:
      text.erase(at, length);
      return;
    case 3:
      text.insert(place(), text.substr(at, length));
      return;
    case 4: {
      const std::string& other = seeds[rng.below(seeds.size())];
      text = text.substr(0, at) + other.substr(rng.below(other.size() + 1));
      return;
    }
    case 5:
      if (rng.below(4) == 0) text.resize(at);
      return;
    default: {
      const std::string_view token = kTokens[rng.below(std::size(kTokens))];
      // Over what stands there, or a whole field of it.
      std::size_t end = at;
      while (end < text.size() && std::string_view(",\n @/+").find(text[end]) == std::string_view::npos) ++end;
      text.replace(at, rng.below(2) == 0 ? 0 : end - at, token);
    }
  }
}

std::uint64_t number_from(const char* variable, std::uint64_t fallback) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : fallback;
}

/// False: the corpus does not exercise the reader.
bool fuzz(const std::filesystem::path& corpus, std::string_view reader, std::uint64_t rounds, std::uint64_t seed) {
  const std::vector<std::string> seeds = seeds_of(corpus / reader);
  if (seeds.empty()) {
    fmt::print(stderr, "error: no seeds in {}\n", (corpus / reader).string());
    return false;
  }
  trainyard::fuzz::choose_reader(reader);
  const trainyard::fuzz::Answers before = trainyard::fuzz::answers();
  for (const std::string& text : seeds) run_target(text);
  SeededRng rng(seed);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    std::string text = seeds[rng.below(seeds.size())];
    for (std::uint64_t i = 1 + rng.below(rng.below(3) == 0 ? 12 : 2); i > 0; --i) mutate(text, seeds, rng);
    if (text.size() > kInputMax) text.resize(kInputMax);
    run_target(std::move(text));
  }
  const trainyard::fuzz::Answers after = trainyard::fuzz::answers();
  const std::uint64_t accepted = after.accepted - before.accepted;
  const std::uint64_t refused = after.refused - before.refused;
  fmt::print("{:<9} {} seeds, {} mutations with seed {}: {} accepted, {} refused\n", reader, seeds.size(), rounds, seed, accepted, refused);
  std::fflush(stdout);
  return accepted > 0 && refused > 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path corpus = argc > 1 ? argv[1] : "tests/fuzz/corpus";
  const std::string_view only = argc > 2 ? argv[2] : "";
  for (const int signal : {SIGABRT, SIGSEGV, SIGFPE, SIGBUS, SIGILL}) std::signal(signal, leave_input);
  const std::uint64_t rounds = number_from("TRAINYARD_FUZZ_ROUNDS", 10'000);
  const std::uint64_t seed = number_from("TRAINYARD_FUZZ_SEED", 1);
  bool good = true;
  bool any = false;
  for (const std::string_view reader : trainyard::fuzz::reader_names()) {
    if (!only.empty() && only != reader) continue;
    any = true;
    good = fuzz(corpus, reader, rounds, seed) && good;
  }
  if (!any) fmt::print(stderr, "error: no reader has this name: {}\n", only);
  return good && any ? 0 : 1;
}
