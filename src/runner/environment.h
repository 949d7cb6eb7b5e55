#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "domain/ids.h"

namespace trainyard::runner {

/// What the node tells one rank of one attempt through its environment variables.
struct Environment {
  RankKey rank;  ///< TRAINYARD_JOB_ID, TRAINYARD_ATTEMPT, RANK.
  std::uint32_t local_rank = 0;
  std::uint32_t world_size = 1;
  std::uint32_t local_world_size = 1;
  std::string master_address;  ///< Empty when there is no gang.
  std::uint16_t master_port = 0;
  std::string api_url;  ///< "http://host:port"; empty when no server is to be called.
  std::string token_file;
  std::string ca_file;  ///< TRAINYARD_CA_FILE: whom to trust when the server speaks TLS; empty: whom the machine trusts.
  std::string spec_path;
  std::string workdir;               ///< An absolute directory that is there.
  std::string checkpoint_directory;  ///< The path of TRAINYARD_CHECKPOINT_URI; made when first needed. Empty: no checkpoints.
  int threads = 1;                   ///< OMP_NUM_THREADS.

  bool is_first_rank() const { return rank.rank == 0; }
};

/// Looks one variable up; none when it is not set.
using VariableLookup = std::function<std::optional<std::string>(const char* name)>;

/// Reads and checks the variables. Ranks default to a gang of one, the attempt to 1. Errors: INVALID_ARGUMENT "runner.environment" that
/// names the variable, what it holds and what was expected.
Result<Environment> environment_from(const VariableLookup& lookup);
/// The same from the process's own environment.
Result<Environment> read_environment();

/// The attempt's token, without trailing white space. Errors: those of reading a file.
Result<std::string> read_token(const Environment& environment);

}  // namespace trainyard::runner
