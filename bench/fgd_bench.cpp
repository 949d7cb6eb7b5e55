// Fills the GPU cluster of the Alibaba trace (openb lists, Weng et al., USENIX ATC 2023) with every placement policy and prints one JSON
// line per workload and policy: how much of the GPUs is allocated and fragmented when as much was asked for as there is, beside the
// published mean. Usage: fgd_bench DIRECTORY [seeds] [policy...]. DIRECTORY holds openb_*.csv or gpu_v2023_openb_csv.tar.gz. The lists are
// published for scholarly and study use and are no part of this repository. `--generated` fills a small generated cluster instead.
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <string>

#include "base/file.h"
#include "base/time.h"
#include "sched/testing/gpu_trace.h"

namespace trainyard {
namespace {

using sched::testing::FillFigures;
using sched::testing::GpuTask;
using sched::testing::GpuTrace;

constexpr std::uint64_t kFirstSeed = 42;
constexpr std::string_view kArchive = "gpu_v2023_openb_csv.tar.gz";
constexpr std::string_view kNodeList = "openb_node_list_gpu_node.csv";

/// Means of ten seeds out of the paper's artifact, percent of the cluster's GPUs.
struct Published {
  std::string_view workload;
  std::string_view policy;
  double allocated = 0;
  double fragmented = 0;
};
constexpr Published kPublished[] = {
    {"default", "random", 86.30, 13.49},     {"default", "dot_product", 90.62, 9.30}, {"default", "gpu_clustering", 91.65, 8.21},
    {"default", "gpu_packing", 91.78, 8.13}, {"default", "best_fit", 92.86, 7.05},    {"default", "fgd", 95.23, 4.73},
    {"cpu250", "random", 80.00, 19.87},      {"cpu250", "dot_product", 83.57, 16.33}, {"cpu250", "gpu_clustering", 87.75, 12.14},
    {"cpu250", "gpu_packing", 88.05, 11.89}, {"cpu250", "best_fit", 91.21, 8.73},     {"cpu250", "fgd", 93.20, 6.76},
};

Result<std::string> inflated(const std::string& path) {
  const gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) return not_found("bench.archive", "cannot open " + path);
  std::string text;
  std::string buffer(1 << 20, '\0');
  int got = 0;
  while ((got = gzread(file, buffer.data(), static_cast<unsigned>(buffer.size()))) > 0)
    text.append(buffer, 0, static_cast<std::size_t>(got));
  gzclose(file);
  if (got < 0) return data_loss("bench.archive", "not a whole gzip file: " + path);
  return text;
}

/// The regular files of a tar archive by their last path component.
std::map<std::string, std::string, std::less<>> files_of_tar(std::string_view tar) {
  constexpr std::size_t kBlock = 512;
  std::map<std::string, std::string, std::less<>> files;
  for (std::size_t at = 0; at + kBlock <= tar.size() && tar[at] != '\0';) {
    const std::string name(tar.data() + at, strnlen(tar.data() + at, 100));
    const std::size_t size = std::strtoull(std::string(tar.substr(at + 124, 12)).c_str(), nullptr, 8);
    const std::string_view body = tar.substr(at + kBlock, size);
    files.emplace(name.substr(name.rfind('/') + 1), body);
    at += kBlock + (size + kBlock - 1) / kBlock * kBlock;
  }
  return files;
}

/// The lists, out of single files or the archive.
class Lists {
 public:
  explicit Lists(std::string directory) : directory_(std::move(directory)) {}

  Result<std::string> read(const std::string& name) {
    if (Result<std::string> text = read_file(directory_ + "/" + name); text.ok()) return text;
    if (archived_.empty()) {
      ASSIGN_OR_RETURN(const std::string tar, inflated(directory_ + "/" + std::string(kArchive)));
      archived_ = files_of_tar(tar);
    }
    const auto found = archived_.find(name);
    if (found == archived_.end()) return not_found("bench.list", "neither a file nor in the archive: " + name);
    return found->second;
  }

 private:
  std::string directory_;
  std::map<std::string, std::string, std::less<>> archived_;
};

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    parts.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

/// Rows of a list as text by column. These lists quote nothing.
Result<std::vector<std::map<std::string, std::string>>> rows_of(Lists& lists, const std::string& name) {
  ASSIGN_OR_RETURN(const std::string text, lists.read(name));
  std::vector<std::string> lines = split(text, '\n');
  const std::vector<std::string> columns = split(lines.front(), ',');
  std::vector<std::map<std::string, std::string>> rows;
  for (std::size_t line = 1; line < lines.size(); ++line) {
    if (!lines[line].empty() && lines[line].back() == '\r') lines[line].pop_back();
    if (lines[line].empty()) continue;
    const std::vector<std::string> cells = split(lines[line], ',');
    if (cells.size() != columns.size()) {
      return invalid_argument("bench.list", "a row has another number of columns than the header", fmt::format("{}:{}", name, line + 1));
    }
    std::map<std::string, std::string>& row = rows.emplace_back();
    for (std::size_t i = 0; i < columns.size(); ++i) row[columns[i]] = cells[i];
  }
  return rows;
}

std::int64_t number(const std::map<std::string, std::string>& row, const std::string& column) {
  const auto cell = row.find(column);
  std::int64_t value = 0;
  if (cell != row.end()) std::from_chars(cell->second.data(), cell->second.data() + cell->second.size(), value);
  return value;
}

Result<GpuTrace> read_trace(Lists& lists, const std::string& workload) {
  GpuTrace trace;
  ASSIGN_OR_RETURN(const auto nodes, rows_of(lists, std::string(kNodeList)));
  for (const auto& row : nodes) {
    sched::NodeInfo node{.name = {row.at("sn")}};
    node.capacity[sched::kCpu] = number(row, "cpu_milli");
    node.capacity[sched::kMemory] = number(row, "memory_mib") << 20;
    node.capacity[sched::kGpu] = number(row, "gpu") * 1000;
    node.gpu_model = row.at("model");
    trace.nodes.push_back(std::move(node));
  }
  ASSIGN_OR_RETURN(const auto pods, rows_of(lists, "openb_pod_list_" + workload + ".csv"));
  for (const auto& row : pods) {
    GpuTask task;
    task.demand.amounts[sched::kCpu] = number(row, "cpu_milli");
    task.demand.amounts[sched::kMemory] = number(row, "memory_mib") << 20;
    task.demand.ask_gpus(static_cast<std::int32_t>(number(row, "num_gpu")), static_cast<std::int32_t>(number(row, "gpu_milli")));
    if (const auto models = row.find("gpu_spec"); models != row.end() && !models->second.empty()) {
      sched::Constraints constraints;
      constraints.gpu_models = split(models->second, '|');
      task.constraints = std::make_shared<const sched::Constraints>(std::move(constraints));
    }
    trace.tasks.push_back(std::move(task));
  }
  return trace;
}

/// Prints a line and answers the mean share of GPUs that is allocated, in percent.
double measure(const std::string& workload, const GpuTrace& trace, const sched::PlacementPolicy& policy, int seeds) {
  const SystemClock clock;
  FillFigures sum;
  double least = 100;
  double most = 0;
  const MonotonicPoint start = clock.monotonic_now();
  for (int i = 0; i < seeds; ++i) {
    const FillFigures figures = fill_cluster(trace, policy, kFirstSeed + static_cast<std::uint64_t>(i));
    sum.allocated += figures.allocated / seeds;
    sum.fragmented += figures.fragmented / seeds;
    sum.decisions += figures.decisions;
    least = std::min(least, figures.allocated);
    most = std::max(most, figures.allocated);
  }
  const double seconds = std::chrono::duration<double>(clock.monotonic_now() - start).count();
  const auto same = [&](const Published& each) { return each.workload == workload && each.policy == policy.info().name; };
  const auto* const published = std::find_if(std::begin(kPublished), std::end(kPublished), same);
  std::string beside;
  if (published != std::end(kPublished)) {
    beside = fmt::format(R"("published_allocated_percent":{:.2f},"published_fragmented_percent":{:.2f},)", published->allocated,
                         published->fragmented);
  }
  fmt::print(R"({{"bench":"fgd","workload":"{}","policy":"{}","nodes":{},"first_seed":{},"seeds":{},"allocated_percent":{:.2f},)"
             R"("allocated_min":{:.2f},"allocated_max":{:.2f},"fragmented_percent":{:.2f},{}"us_per_task":{:.1f}}})"
             "\n",
             workload, policy.info().name, trace.nodes.size(), kFirstSeed, seeds, sum.allocated, least, most, sum.fragmented, beside,
             seconds / static_cast<double>(sum.decisions) * 1e6);
  std::fflush(stdout);
  return sum.allocated;
}

/// The policy of the paper comes within half a point of its published mean, and our own beats it.
Result<void> check(const std::string& workload, const std::map<std::string, double>& allocated) {
  constexpr double kHalfAPoint = 0.5;
  const auto same = [&](const Published& each) { return each.workload == workload && each.policy == std::string_view("fgd"); };
  const auto* const published = std::find_if(std::begin(kPublished), std::end(kPublished), same);
  const auto fgd = allocated.find("fgd");
  const auto ours = allocated.find("fgd_balanced");
  if (published == std::end(kPublished) || fgd == allocated.end()) return {};
  if (std::abs(fgd->second - published->allocated) > kHalfAPoint) {
    return failed_precondition("bench.fgd", fmt::format("fgd is more than half a point from what was published for \"{}\"", workload));
  }
  if (ours != allocated.end() && ours->second <= fgd->second) {
    return failed_precondition("bench.fgd", fmt::format("fgd_balanced does not beat fgd on \"{}\"", workload));
  }
  return {};
}

Result<void> measure_all(const std::string& workload, const GpuTrace& trace, int seeds, const std::vector<std::string>& names) {
  std::map<std::string, double> allocated;
  if (names.empty()) {
    for (const sched::PlacementPolicy* policy : sched::placement_policies()) {
      allocated[policy->info().name] = measure(workload, trace, *policy, seeds);
    }
  }
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const sched::PlacementPolicy* policy, sched::find_placement_policy(name));
    allocated[name] = measure(workload, trace, *policy, seeds);
  }
  return check(workload, allocated);
}

Result<void> run(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0] == "--generated") {
    if (arguments.empty()) {
      fmt::print(stderr,
                 "fgd_bench: THE PUBLISHED COMPARISON DID NOT RUN: no lists were given. Pass the directory with openb_*.csv or {} of the "
                 "Alibaba cluster-trace-gpu-v2023. What follows is a small generated cluster.\n",
                 kArchive);
    }
    SeededRng rng(kFirstSeed);
    return measure_all("generated", sched::testing::generated_gpu_trace(60, rng), 2, {});
  }
  const int seeds = arguments.size() > 1 ? std::atoi(arguments[1].c_str()) : 10;
  if (seeds <= 0) return invalid_argument("bench.seeds", "the number of seeds is a positive number");
  std::vector<std::string> names;
  if (arguments.size() > 2) names.assign(arguments.begin() + 2, arguments.end());
  Lists lists(arguments[0]);
  for (const char* workload : {"default", "cpu250"}) {
    ASSIGN_OR_RETURN(const GpuTrace trace, read_trace(lists, workload));
    TRY(measure_all(workload, trace, seeds, names));
  }
  fmt::print(stderr, "Data: Weng et al., USENIX ATC 2023, and the Alibaba Cluster Trace Program.\n");
  return {};
}

}  // namespace
}  // namespace trainyard

int main(int argc, char** argv) {
  const trainyard::Result<void> done = trainyard::run({argv + 1, argv + argc});
  if (!done.ok()) fmt::print(stderr, "{}\n", done.error().describe());
  return done.ok() ? 0 : 1;
}
