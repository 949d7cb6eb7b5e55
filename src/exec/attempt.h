#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/document.h"
#include "base/time.h"
#include "domain/ids.h"
#include "domain/resources.h"

namespace trainyard::exec {

/// All that one node needs to start one rank of one attempt. Everything is resolved: no look-up happens on the node.
struct RankLaunch {
  RankKey rank;
  std::vector<std::string> argv;           ///< argv[0] is looked up in PATH of `env`; "trainyard-train" etc. in the program directory.
  std::map<std::string, std::string> env;  ///< Added to a clean base (PATH, HOME, LANG) by the node.
  Document spec;                           ///< Written to the file TRAINYARD_SPEC names.
  std::string token;                       ///< Written to the file TRAINYARD_TOKEN_FILE names, mode 0600.
  std::string workdir;                     ///< Absolute; empty: the node makes one under its data directory.
  Resources resources;
  Duration grace{30'000'000};  ///< Between SIGTERM and SIGKILL.
};

/// How a rank's process ended, as its parent saw it.
struct RankExit {
  int code = 0;    ///< Exit code; 128 + signal when killed by one.
  int signal = 0;  ///< 0 unless killed by a signal.
  bool oom = false;
  bool stop_requested = false;  ///< The warden had been told to stop it before it ended.
  bool lost = false;            ///< Nobody saw the end: the warden died. The process group is known to be gone.
  std::string launch_error;     ///< Not empty: never ran, and why.
  TimePoint ended_at;
};

/// What a node knows of one rank.
struct RankObservation {
  enum class Phase { kStarting, kRunning, kExited };
  RankKey rank;
  Phase phase = Phase::kStarting;
  std::int64_t pid = 0;
  TimePoint started_at;
  std::optional<RankExit> exit;  ///< Set in kExited. Reported until the server no longer desires the rank.
};

/// What the server wants of one rank. A rank that is observed and not desired is to be killed and forgotten.
struct DesiredRank {
  RankLaunch launch;
  bool stop = false;        ///< Send SIGTERM, after the grace SIGKILL.
  bool checkpoint = false;  ///< Send SIGUSR1 once per `checkpoint_number`.
  std::uint32_t checkpoint_number = 0;
  /// The server has lost it, and that is not durable yet: it is left alone when it is there and not started when it is not.
  bool given_up = false;
};

/// Capacity and state of one node, as its agent posts it.
struct NodeObservation {
  NodeName node;
  std::string boot_id;  ///< Changes when the warden is a new one: ranks of the old one are gone.
  Resources capacity;
  std::vector<RankObservation> ranks;
  std::string host_boot;    ///< Changes when the host starts anew.
  std::uint64_t stamp = 0;  ///< Grows with every report since the host started, whichever agent makes it: an older one says nothing.
};

/// The complete set of ranks a node should have.
struct DesiredState {
  std::uint64_t version = 0;  ///< Grows with every change for this node.
  std::vector<DesiredRank> ranks;
  std::string epoch;  ///< Names the life of the server that says so: versions of different lives cannot be compared.
};

// Documents for the wire and for files. Readers return INVALID_ARGUMENT for a missing or wrongly typed member; unknown members are
// ignored, so that an older reader understands a newer writer.

Document to_document(const RankKey& rank);
Result<RankKey> rank_key_from(const Document& document);
/// "17/1/0": job, attempt, rank. For paths, environment and messages.
std::string text_of(const RankKey& rank);
Document to_document(const Resources& resources);
Result<Resources> resources_from(const Document& document);
Document to_document(const RankObservation& observation);
Result<RankObservation> rank_observation_from(const Document& document);
Document to_document(const NodeObservation& observation);
Result<NodeObservation> node_observation_from(const Document& document);
Document to_document(const DesiredState& desired);
Result<DesiredState> desired_state_from(const Document& document);
Document to_document(const RankLaunch& launch);
Result<RankLaunch> rank_launch_from(const Document& document);
Document to_document(const RankExit& exit);
Result<RankExit> rank_exit_from(const Document& document);

}  // namespace trainyard::exec
