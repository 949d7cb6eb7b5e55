#include "agent/hardware.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "agent/command.h"
#include "base/file.h"

namespace trainyard::agent {
namespace {

constexpr std::size_t kFileMax = 64 * 1024;
constexpr std::size_t kLabelMax = 63;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

/// Parts between separators, trimmed; the last one may be empty.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(trimmed(text.substr(0, end)));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

template <typename Number>
std::optional<Number> number_in(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// The driver gives "GPU-????????" before a GPU was used for the first time.
std::string uuid_in(std::string_view text) {
  return text.starts_with("GPU-") && text.find('?') == std::string_view::npos ? std::string(text) : std::string();
}

/// What a file like /proc/driver/nvidia/gpus/0000:01:00.0/information says; none for one that is kept from use.
std::optional<exec::GpuDevice> gpu_in(std::string_view information) {
  exec::GpuDevice gpu;
  for (const std::string_view line : split(information, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = trimmed(line.substr(0, colon));
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (name == "Model") gpu.model = value;
    if (name == "GPU UUID") gpu.uuid = uuid_in(value);
    if (name == "GPU Excluded" && value == "Yes") return std::nullopt;
  }
  return gpu;
}

/// In the order of the bus, in which the driver counts.
std::vector<exec::GpuDevice> gpus_in_proc(const std::string& proc) {
  std::vector<exec::GpuDevice> gpus;
  const std::string directory = proc + "/driver/nvidia/gpus";
  for (const std::string& bus : list_directory(directory).value_or({})) {
    const Result<std::string> text = read_file(fmt::format("{}/{}/information", directory, bus), kFileMax);
    if (!text.ok()) continue;
    std::optional<exec::GpuDevice> gpu = gpu_in(*text);
    if (!gpu) continue;
    gpu->index = static_cast<std::uint32_t>(gpus.size());
    gpus.push_back(std::move(*gpu));
  }
  return gpus;
}

bool is_label_text(std::string_view text) {
  return text.size() <= kLabelMax && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '/' ||
                  c == '-';
         });
}

std::string as_label(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return !is_label_text(std::string_view(&c, 1)); }, '_');
  return text.substr(0, kLabelMax);
}

Error no_such_gpu(const std::string& asked, std::size_t there) {
  return invalid_argument(
      "agent.gpus",
      fmt::format("--gpus asks for more than this machine has; `nvidia-smi -L` lists what there is: {} of {} GPUs", asked, there));
}

}  // namespace

std::vector<exec::GpuDevice> parse_nvidia_smi(std::string_view csv) {
  std::vector<exec::GpuDevice> gpus;
  for (const std::string_view line : split(csv, '\n')) {
    const std::vector<std::string_view> fields = split(line, ',');
    if (fields.size() < 4) continue;
    const auto index = number_in<std::uint32_t>(fields[0]);
    if (!index) continue;
    // Memory is in MiB; a GPU that shares the machine's memory says "[N/A]". A name may hold commas.
    const std::int64_t mebibytes = number_in<std::int64_t>(fields.back()).value_or(0);
    std::string model(fields[2]);
    for (std::size_t field = 3; field + 1 < fields.size(); ++field) model += fmt::format(", {}", fields[field]);
    gpus.push_back({*index, uuid_in(fields[1]), std::move(model), std::max<std::int64_t>(0, mebibytes) << 20});
  }
  std::sort(gpus.begin(), gpus.end());
  return gpus;
}

std::vector<exec::GpuDevice> discover_gpus(const GpuSources& sources, const Clock& clock) {
  std::vector<exec::GpuDevice> listed = gpus_in_proc(sources.proc);
  if (listed.empty() || sources.nvidia_smi.empty()) return listed;
  const std::vector<std::string> question{sources.nvidia_smi, "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"};
  const Result<std::string> answer = run_command(question, {.deadline = sources.deadline}, clock);
  if (!answer.ok()) return listed;
  std::vector<exec::GpuDevice> asked = parse_nvidia_smi(*answer);
  return asked.empty() ? listed : asked;
}

Result<std::vector<exec::GpuDevice>> select_gpus(const std::vector<exec::GpuDevice>& found, const std::string& text) {
  if (text.empty() || text == "all") return found;
  if (text == "none") return std::vector<exec::GpuDevice>();
  if (const auto count = number_in<std::size_t>(text)) {
    if (*count > found.size()) return no_such_gpu(text, found.size());
    return std::vector<exec::GpuDevice>(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(*count));
  }
  std::set<std::uint32_t> wanted;
  std::vector<std::string_view> parts = split(text, ',');
  if (parts.size() > 1 && parts.back().empty()) parts.pop_back();
  for (const std::string_view part : parts) {
    const auto index = number_in<std::uint32_t>(part);
    if (!index) {
      return invalid_argument("agent.gpus", "--gpus takes all, none, how many (2) or which ones (0,2; one alone as 2,): " + text);
    }
    if (std::none_of(found.begin(), found.end(), [&](const exec::GpuDevice& gpu) { return gpu.index == *index; })) {
      return no_such_gpu("number " + std::to_string(*index), found.size());
    }
    wanted.insert(*index);
  }
  std::vector<exec::GpuDevice> chosen;
  for (const exec::GpuDevice& gpu : found) {
    if (wanted.contains(gpu.index)) chosen.push_back(gpu);
  }
  return chosen;
}

Result<std::map<std::string, std::string>> parse_labels(std::string_view text) {
  std::map<std::string, std::string> labels;
  if (trimmed(text).empty()) return labels;
  for (const std::string_view part : split(text, ',')) {
    const std::size_t equals = part.find('=');
    const std::string_view name = trimmed(part.substr(0, equals));
    const std::string_view value = equals == std::string_view::npos ? "" : trimmed(part.substr(equals + 1));
    if (equals == std::string_view::npos || name.empty() || !is_label_text(name) || !is_label_text(value)) {
      return invalid_argument(
          "agent.labels", fmt::format("labels are name=value pairs with commas between them, of letters, digits and ._/- and at most {} "
                                      "long: \"{}\"",
                                      kLabelMax, part));
    }
    if (!labels.emplace(name, value).second) {
      return invalid_argument("agent.labels", fmt::format("a label is given once: \"{}\"", name));
    }
  }
  return labels;
}

std::map<std::string, std::string> automatic_labels() {
  utsname system{};
  if (::uname(&system) != 0) return {};
  std::string os = system.sysname;
  std::transform(os.begin(), os.end(), os.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return {{"os", as_label(os)}, {"arch", as_label(system.machine)}, {"host", as_label(system.nodename)}};
}

Result<exec::NodeFacts> describe_node(const NodeDescription& description, const GpuSources& sources, const Clock& clock) {
  exec::NodeFacts facts;
  facts.labels = description.labels;
  facts.labels.merge(automatic_labels());
  ASSIGN_OR_RETURN(facts.gpus, select_gpus(description.gpus == "none" ? std::vector<exec::GpuDevice>() : discover_gpus(sources, clock),
                                           description.gpus));
  facts.pool = description.pool;
  facts.agent_version = kAgentVersion;
  facts.address = description.address;
  return facts;
}

exec::RankLaunch with_visible_devices(exec::RankLaunch launch, const std::vector<exec::GpuDevice>& gpus) {
  if (gpus.empty() && launch.devices.empty()) return launch;
  std::string visible;
  for (const std::uint32_t index : launch.devices) {
    const auto known = std::find_if(gpus.begin(), gpus.end(), [index](const exec::GpuDevice& gpu) { return gpu.index == index; });
    if (!visible.empty()) visible += ',';
    visible += known != gpus.end() && !known->uuid.empty() ? known->uuid : std::to_string(index);
  }
  launch.env["CUDA_VISIBLE_DEVICES"] = visible;
  // Numbers mean the order of the bus, in which the driver and nvidia-smi count; CUDA's own default is another one.
  launch.env["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID";
  return launch;
}

}  // namespace trainyard::agent
