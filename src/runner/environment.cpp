#include "runner/environment.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <limits>

#include "base/file.h"

namespace trainyard::runner {
namespace {

Error bad_variable(const char* name, std::string_view value, std::string_view expected) {
  return invalid_argument("runner.environment",
                          fmt::format("an environment variable of the job is wrong: expected {}; the agent sets it when it starts a rank, "
                                      "set it yourself only to run the program by hand: {}={}",
                                      expected, name, value),
                          name);
}

/// A number in [min, max], or `fallback` when the variable is not set.
Result<std::uint64_t> number(const VariableLookup& lookup, const char* name, std::uint64_t min, std::uint64_t max, std::uint64_t fallback) {
  const std::optional<std::string> text = lookup(name);
  if (!text || text->empty()) return fallback;
  std::uint64_t value = 0;
  const char* const end = text->data() + text->size();
  const auto [rest, error] = std::from_chars(text->data(), end, value);
  if (error != std::errc() || rest != end || value < min || value > max) {
    return bad_variable(name, *text, fmt::format("a whole number from {} to {}", min, max));
  }
  return value;
}

Result<std::string> checkpoint_directory_of(const VariableLookup& lookup) {
  constexpr const char* kName = "TRAINYARD_CHECKPOINT_URI";
  constexpr std::string_view kScheme = "file://";
  const std::string uri = lookup(kName).value_or("");
  if (uri.empty()) return uri;
  if (!uri.starts_with(kScheme) || uri.size() <= kScheme.size() || uri[kScheme.size()] != '/') {
    return bad_variable(kName, uri, "\"file:///absolute/directory\"");
  }
  return uri.substr(kScheme.size());
}

constexpr std::uint64_t kRanksMax = 4096;

Result<void> read_gang(const VariableLookup& lookup, Environment& environment) {
  ASSIGN_OR_RETURN(const std::uint64_t world, number(lookup, "WORLD_SIZE", 1, kRanksMax, 1));
  ASSIGN_OR_RETURN(const std::uint64_t rank, number(lookup, "RANK", 0, world - 1, 0));
  ASSIGN_OR_RETURN(const std::uint64_t local_world, number(lookup, "LOCAL_WORLD_SIZE", 1, world, world));
  ASSIGN_OR_RETURN(const std::uint64_t local_rank, number(lookup, "LOCAL_RANK", 0, local_world - 1, rank % local_world));
  ASSIGN_OR_RETURN(const std::uint64_t port, number(lookup, "MASTER_PORT", 0, 65'535, 0));
  environment.world_size = static_cast<std::uint32_t>(world);
  environment.rank.rank = static_cast<std::uint32_t>(rank);
  environment.local_world_size = static_cast<std::uint32_t>(local_world);
  environment.local_rank = static_cast<std::uint32_t>(local_rank);
  environment.master_port = static_cast<std::uint16_t>(port);
  environment.master_address = lookup("MASTER_ADDR").value_or("");
  return {};
}

}  // namespace

Result<Environment> environment_from(const VariableLookup& lookup) {
  Environment environment;
  constexpr std::uint64_t kJobMax = std::numeric_limits<std::uint64_t>::max();
  ASSIGN_OR_RETURN(const std::uint64_t job, number(lookup, "TRAINYARD_JOB_ID", 1, kJobMax, 1));
  ASSIGN_OR_RETURN(const std::uint64_t attempt, number(lookup, "TRAINYARD_ATTEMPT", 1, std::numeric_limits<std::uint32_t>::max(), 1));
  environment.rank.attempt = {JobId(job), AttemptNumber(static_cast<std::uint32_t>(attempt))};
  TRY(read_gang(lookup, environment));

  ASSIGN_OR_RETURN(const std::uint64_t threads, number(lookup, "OMP_NUM_THREADS", 1, 4096, 1));
  environment.threads = static_cast<int>(threads);
  environment.api_url = lookup("TRAINYARD_API_URL").value_or("");
  environment.token_file = lookup("TRAINYARD_TOKEN_FILE").value_or("");
  environment.ca_file = lookup("TRAINYARD_CA_FILE").value_or("");
  environment.spec_path = lookup("TRAINYARD_SPEC").value_or("");
  if (environment.spec_path.empty()) return bad_variable("TRAINYARD_SPEC", "", "the path of the job's spec file");
  environment.workdir = lookup("TRAINYARD_WORKDIR").value_or("");
  if (environment.workdir.empty() || environment.workdir.front() != '/') {
    return bad_variable("TRAINYARD_WORKDIR", environment.workdir, "an absolute directory");
  }
  ASSIGN_OR_RETURN(environment.checkpoint_directory, checkpoint_directory_of(lookup));
  return environment;
}

Result<Environment> read_environment() {
  return environment_from([](const char* name) -> std::optional<std::string> {
    const char* const value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  });
}

Result<std::string> read_token(const Environment& environment) {
  constexpr std::size_t kTokenMax = 4096;
  ASSIGN_OR_RETURN(std::string token, read_file(environment.token_file, kTokenMax));
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' ')) token.pop_back();
  return token;
}

}  // namespace trainyard::runner
