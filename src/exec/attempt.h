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
  /// Indices of the GPUs that are its own, as the node counts them; the server chooses. Empty: it sees none.
  std::vector<std::uint32_t> devices;
};

/// What a rank's processes have used in all, those that were waited for: the rank itself and its descendants.
struct RankUsage {
  std::int64_t cpu_us = 0;         ///< User and system time, in microseconds.
  std::int64_t max_rss_bytes = 0;  ///< Of the largest of them.
  auto operator<=>(const RankUsage&) const = default;
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
  std::optional<RankUsage> usage;  ///< None when nobody saw the end.
};

/// What a node knows of one rank.
///
///   kPrepared --released--> kStarting --> kRunning --> kExited      (kPrepared: ranks of a gang on several nodes only)
struct RankObservation {
  enum class Phase { kStarting, kPrepared, kRunning, kExited };
  RankKey rank;
  Phase phase = Phase::kStarting;
  std::int64_t pid = 0;
  TimePoint started_at;
  std::optional<RankExit> exit;  ///< Set in kExited. Reported until the server no longer desires the rank.
  /// What holds it to its resources: "cgroup2", "cgroup1" or "rlimit"; empty before it was started.
  std::string limited_by;
  std::vector<std::uint32_t> devices;  ///< Of its launch.
  std::uint16_t port = 0;              ///< Rank 0 of a gang that was prepared: free there, and kept free until the rank starts.
  bool output_held = false;            ///< The spool is full: its output is not read, so that it waits in its next write.
};

/// What the server wants of one rank. A rank that is observed and not desired is to be killed and forgotten.
struct DesiredRank {
  RankLaunch launch;
  bool stop = false;        ///< Send SIGTERM, after the grace SIGKILL.
  bool checkpoint = false;  ///< Send SIGUSR1 once per `checkpoint_number`.
  std::uint32_t checkpoint_number = 0;
  /// The server has lost it, and that is not durable yet: it is left alone when it is there and not started when it is not.
  bool given_up = false;
  /// False: the rank is prepared (its program looked for, its directories made, for rank 0 a port chosen) and waits for the others.
  bool released = true;
  /// The node had it in the report that this answers: of the launch only its key and grace are told, and it is not started again.
  bool known = false;
};

/// One GPU of a node.
struct GpuDevice {
  std::uint32_t index = 0;  ///< As the driver counts them.
  std::string uuid;         ///< "GPU-...": what CUDA_VISIBLE_DEVICES takes. Empty when the driver does not tell.
  std::string model;
  std::int64_t memory_bytes = 0;
  auto operator<=>(const GpuDevice&) const = default;
};

/// What a node says of itself besides its capacity.
struct NodeFacts {
  std::map<std::string, std::string> labels;  ///< Those it was given, and the automatic ones: os, arch, host.
  std::vector<GpuDevice> gpus;                ///< Those that are offered, by index.
  std::string pool = "default";
  std::string agent_version;
  std::string address;  ///< Where other nodes reach ranks of this one; empty: nobody can.
  auto operator<=>(const NodeFacts&) const = default;
};

/// Capacity and state of one node, as its agent posts it.
struct NodeObservation {
  NodeName node;
  std::string boot_id;  ///< Changes when the warden is a new one: ranks of the old one are gone.
  Resources capacity;
  std::vector<RankObservation> ranks;
  std::string host_boot;    ///< Changes when the host starts anew.
  std::uint64_t stamp = 0;  ///< Grows with every report since the host started, whichever agent makes it: an older one says nothing.
  NodeFacts facts;
  /// Names the data directory: the same over restarts of the agent and the host, another one for another agent. Empty: not told.
  std::string installation;
  bool leaving = false;  ///< The agent wants to stop: the node is to be drained.
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
Document to_document(const GpuDevice& gpu);
Result<GpuDevice> gpu_device_from(const Document& document);
Document to_document(const NodeFacts& facts);
Result<NodeFacts> node_facts_from(const Document& document);
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
