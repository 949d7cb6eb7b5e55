#include "sim/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <unordered_map>

#include "sim/fields.h"
#include "sim/trace.h"

namespace trainyard::sim {
namespace {

constexpr std::int64_t kNodeProcsMax = 1'000'000;
constexpr std::int64_t kNodeMemoryMibMax = std::int64_t{1} << 24;  ///< 16 TiB.
constexpr std::array<std::string_view, 6> kColumns{"node_id", "procs", "gpus", "mem_mb", "gpu_model", "rack"};
constexpr std::size_t kUnknown = kColumns.size();

class ClusterReader {
 public:
  ClusterReader(TextInput& input, const ReadLimits& limits) : records_(input, RecordReader::Quotes::kRfc4180, limits) {}

  Result<Machine> read() {
    std::string_view record;
    for (;;) {
      ASSIGN_OR_RETURN(const bool more, records_.next(record));
      if (!more) break;
      if (record.empty() || record.front() == '#') continue;
      if (const std::string_view wrong = split_csv(record, fields_, unescaped_); !wrong.empty()) {
        return record_error(records_.place(), "cluster.quoting", fmt::format("a record is not valid CSV; {}: {}", wrong, shown(record)));
      }
      TRY(columns_.empty() ? read_header() : read_node());
    }
    if (machine_.nodes.empty()) {
      return record_error(
          records_.place(), "cluster.empty",
          "the file describes no node; it needs the header node_id,procs,gpus,mem_mb,gpu_model,rack and a line for each node");
    }
    set_host_ids();
    return std::move(machine_);
  }

 private:
  Result<void> read_header() {
    std::string unknown;
    for (const std::string_view name : fields_) {
      const auto column = static_cast<std::size_t>(std::find(kColumns.begin(), kColumns.end(), name) - kColumns.begin());
      if (column == kUnknown) {
        unknown += (unknown.empty() ? "" : ", ") + shown(name);
      } else if (std::find(columns_.begin(), columns_.end(), column) != columns_.end()) {
        return record_error(records_.place(), "cluster.header",
                            fmt::format("a column occurs twice in the header; leave one out: {}", name));
      }
      columns_.push_back(column);
    }
    for (const std::size_t required : {std::size_t{0}, std::size_t{1}}) {
      if (std::find(columns_.begin(), columns_.end(), required) != columns_.end()) continue;
      return record_error(records_.place(), "cluster.header",
                          fmt::format("the header lacks a required column; the first line that is no comment must name node_id and procs: "
                                      "{} is missing",
                                      kColumns[required]));
    }
    const Place place = records_.place();
    if (!unknown.empty())
      machine_.warnings.push_back(fmt::format("{}:{}: unknown columns are ignored: {}", place.file, place.line, unknown));
    return {};
  }

  Result<void> read_node() {
    if (fields_.size() != columns_.size()) {
      return record_error(
          records_.place(), "cluster.truncated",
          fmt::format("a record does not have one field for each column; the line is cut off, or a field with a comma lacks "
                      "quotes: {} fields, {} columns",
                      fields_.size(), columns_.size()));
    }
    if (machine_.nodes.size() == static_cast<std::size_t>(kHostsMax)) {
      return record_error(records_.place(), "cluster.hosts", fmt::format("a simulated cluster has at most {} nodes", kHostsMax));
    }
    MachineNode node;
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      if (columns_[i] == kUnknown) continue;
      const std::string_view wrong = read_field(columns_[i], fields_[i], node);
      if (!wrong.empty()) return field_error(records_.place(), "cluster.field", kColumns[columns_[i]], fields_[i], wrong);
    }
    const auto [first, added] = lines_.emplace(node.name, records_.place().line);
    if (!added) {
      return record_error(records_.place(), "cluster.duplicate_id",
                          fmt::format("a node id occurs twice; give each node an id of its own: \"{}\" is also on line {}",
                                      shown(node.name), first->second));
    }
    machine_.nodes.push_back(std::move(node));
    return {};
  }

  static std::string_view read_field(std::size_t column, std::string_view text, MachineNode& node) {
    if (text.empty()) return column < 2 ? "it must not be blank" : "";
    switch (column) {
      case 0:
        node.name = text;
        return check_name(text);
      case 1:
        return parse_whole(text, 1, kNodeProcsMax, node.procs);
      case 2:
        return parse_whole(text, 0, sched::kDevicesMax, node.gpus);
      case 3:
        return parse_whole(text, 0, kNodeMemoryMibMax, node.mem_mib);
      case 4:
        node.gpu_model = text;
        return check_name(text);
      default:
        node.rack = text;
        return check_name(text);
    }
  }

  void set_host_ids() {
    for (const MachineNode& node : machine_.nodes) {
      std::uint32_t number = 0;
      const char* end = node.name.data() + node.name.size();
      const auto [stop, problem] = std::from_chars(node.name.data(), end, number);
      if (problem != std::errc() || stop != end || std::to_string(number) != node.name) {
        machine_.host_ids.clear();
        break;
      }
      machine_.host_ids.push_back(number);
    }
    for (auto id = static_cast<std::uint32_t>(machine_.host_ids.size()); id < machine_.nodes.size(); ++id) machine_.host_ids.push_back(id);
  }

  RecordReader records_;
  Machine machine_;
  std::vector<std::size_t> columns_;
  std::unordered_map<std::string, std::uint64_t> lines_;
  std::vector<std::string_view> fields_;
  std::string unescaped_;
};

}  // namespace

bool Machine::has_gpus() const {
  return std::any_of(nodes.begin(), nodes.end(), [](const MachineNode& node) { return node.gpus > 0; });
}

bool Machine::limits_memory() const {
  return std::any_of(nodes.begin(), nodes.end(), [](const MachineNode& node) { return node.mem_mib > 0; });
}

std::int64_t Machine::procs() const {
  std::int64_t sum = 0;
  for (const MachineNode& node : nodes) sum += node.procs;
  return sum;
}

std::int64_t Machine::gpus() const {
  std::int64_t sum = 0;
  for (const MachineNode& node : nodes) sum += node.gpus;
  return sum;
}

Result<Machine> read_cluster_csv(TextInput& input, const ReadLimits& limits) { return ClusterReader(input, limits).read(); }

std::string cluster_csv(const Machine& machine) {
  std::string out = "node_id,procs,gpus,mem_mb,gpu_model,rack\n";
  for (const MachineNode& node : machine.nodes) {
    append_csv(out, node.name);
    out += fmt::format(",{},{},{},", node.procs, node.gpus, node.mem_mib > 0 ? std::to_string(node.mem_mib) : "");
    append_csv(out, node.gpu_model);
    out += ',';
    append_csv(out, node.rack);
    out += '\n';
  }
  return out;
}

Result<Machine> equal_hosts(std::int64_t count, const MachineNode& shape, std::int64_t hosts_per_rack) {
  const auto check = [](std::string_view what, std::int64_t value, std::int64_t least, std::int64_t most) -> Result<void> {
    if (value >= least && value <= most) return {};
    return invalid_argument("cluster.hosts", fmt::format("a simulated cluster cannot have such a size; {} must lie between {} and {}: {}",
                                                         what, least, most, value));
  };
  TRY(check("the number of hosts", count, 1, kHostsMax));
  TRY(check("processors of a host", shape.procs, 1, kNodeProcsMax));
  TRY(check("GPUs of a host", shape.gpus, 0, static_cast<std::int64_t>(sched::kDevicesMax)));
  TRY(check("MiB of a host", shape.mem_mib, 0, kNodeMemoryMibMax));
  TRY(check("hosts of a rack", hosts_per_rack, 0, kHostsMax));
  Machine machine;
  machine.processors_alone = shape == MachineNode{};
  machine.nodes.assign(static_cast<std::size_t>(count), shape);
  for (std::int64_t i = 0; i < count; ++i) {
    MachineNode& node = machine.nodes[static_cast<std::size_t>(i)];
    node.name = std::to_string(i);
    if (hosts_per_rack > 0) node.rack = "rack" + std::to_string(i / hosts_per_rack);
    machine.host_ids.push_back(static_cast<std::uint32_t>(i));
  }
  return machine;
}

Result<void> add_nodes(const Machine& machine, sched::ClusterSnapshot& cluster) {
  for (const MachineNode& node : machine.nodes) {
    sched::NodeInfo info;
    info.name.text = node.name;
    info.capacity[sched::kCpu] = node.procs * 1000;
    // What is not limited gets the most that a node can have, so that sums over all nodes stay in range.
    info.capacity[sched::kMemory] = (node.mem_mib > 0 ? node.mem_mib : machine.limits_memory() ? kNodeMemoryMibMax : 0) << 20;
    info.capacity[sched::kGpu] = node.gpus * 1000;
    info.gpu_model = node.gpu_model;
    info.rack = node.rack;
    TRY(cluster.add_node(std::move(info)));
  }
  return {};
}

}  // namespace trainyard::sim
