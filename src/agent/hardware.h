#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "exec/attempt.h"

namespace trainyard::agent {

inline constexpr std::string_view kAgentVersion = "0.1.0";

/// Where the GPUs of a machine are looked for.
struct GpuSources {
  std::string proc = "/proc";             ///< The driver lists them in driver/nvidia/gpus below it: no GPU there, no GPU at all.
  std::string nvidia_smi = "nvidia-smi";  ///< Asked for memory and numbers; empty: not asked.
  Duration deadline{5'000'000};           ///< For nvidia-smi.
};

/// The NVIDIA GPUs of this machine by index. No driver is linked: nvidia-smi is asked, and where it fails /proc has to do, which knows no
/// memory sizes. Blocks as long as nvidia-smi does.
std::vector<exec::GpuDevice> discover_gpus(const GpuSources& sources, const Clock& clock);
/// The output of `nvidia-smi --query-gpu=index,uuid,name,memory.total --format=csv,noheader,nounits`. Lines that say nothing are skipped.
std::vector<exec::GpuDevice> parse_nvidia_smi(std::string_view csv);

/// "all" (or nothing), "none", how many ("2"), or which ("0,2"; one alone as "2,"). Errors: INVALID_ARGUMENT "agent.gpus" for any other
/// text, and for GPUs that are not there.
Result<std::vector<exec::GpuDevice>> select_gpus(const std::vector<exec::GpuDevice>& found, const std::string& text);

/// "k=v,k2=v2": names and values of letters, digits and "._/-", at most 63 long; a value may be empty. Errors: INVALID_ARGUMENT
/// "agent.labels".
Result<std::map<std::string, std::string>> parse_labels(std::string_view text);

/// Labels every node has: os, arch and host.
std::map<std::string, std::string> automatic_labels();

/// What a node says of itself: `gpus` as for select_gpus; `labels` win over the automatic ones. Blocks as discover_gpus does.
struct NodeDescription {
  std::string gpus;
  std::map<std::string, std::string> labels;
  std::string pool = "default";
  std::string address;
};
Result<exec::NodeFacts> describe_node(const NodeDescription& description, const GpuSources& sources, const Clock& clock);

/// The launch with CUDA_VISIBLE_DEVICES for its devices, by UUID where it is known; for a rank that asked for none on a node with GPUs an
/// empty one, which hides them. Without GPUs the launch stays as it is. Pure.
exec::RankLaunch with_visible_devices(exec::RankLaunch launch, const std::vector<exec::GpuDevice>& gpus);

}  // namespace trainyard::agent
