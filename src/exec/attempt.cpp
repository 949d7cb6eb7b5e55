#include "exec/attempt.h"

#include <fmt/format.h>

#include <limits>

namespace trainyard::exec {
namespace {

Result<std::uint32_t> uint32_at(const Document& document, std::string_view key) {
  ASSIGN_OR_RETURN(const std::int64_t number, document.int_at(key));
  if (number < 0 || number > std::numeric_limits<std::uint32_t>::max()) {
    return invalid_argument("document.range", fmt::format("a number from 0 to 4294967295 is expected for {}: {}", key, number),
                            document.where());
  }
  return static_cast<std::uint32_t>(number);
}

Result<int> int32_or(const Document& document, std::string_view key, int fallback) {
  ASSIGN_OR_RETURN(const std::int64_t number, document.int_or(key, fallback));
  if (number < std::numeric_limits<int>::min() || number > std::numeric_limits<int>::max()) {
    return invalid_argument("document.range", fmt::format("a 32-bit number is expected for {}: {}", key, number), document.where());
  }
  return static_cast<int>(number);
}

Result<TimePoint> time_or_epoch(const Document& document, std::string_view key) {
  ASSIGN_OR_RETURN(const std::int64_t count, document.int_or(key, 0));
  return time_from_micros(count);
}

Document numbers(const std::vector<std::uint32_t>& values) {
  Document list = Document::array();
  for (const std::uint32_t value : values) list.push(std::int64_t{value});
  return list;
}

Result<std::vector<std::uint32_t>> numbers_of(const Document& document) {
  std::vector<std::uint32_t> values;
  for (const Document& item : document.items()) {
    ASSIGN_OR_RETURN(const std::int64_t value, item.as_int());
    if (value < 0 || value > std::numeric_limits<std::uint32_t>::max()) {
      return invalid_argument("document.range", fmt::format("a number from 0 to 4294967295 is expected: {}", value), item.where());
    }
    values.push_back(static_cast<std::uint32_t>(value));
  }
  return values;
}

Result<std::uint16_t> port_or_none(const Document& document, std::string_view key) {
  ASSIGN_OR_RETURN(const std::int64_t number, document.int_or(key, 0));
  if (number < 0 || number > std::numeric_limits<std::uint16_t>::max()) {
    return invalid_argument("document.range", fmt::format("a port is a number from 0 to 65535: {}", number), document.where());
  }
  return static_cast<std::uint16_t>(number);
}

Result<std::vector<std::string>> strings_of(const Document& document) {
  std::vector<std::string> strings;
  strings.reserve(document.items().size());
  for (const Document& item : document.items()) {
    ASSIGN_OR_RETURN(std::string text, item.as_string());
    strings.push_back(std::move(text));
  }
  return strings;
}

std::string_view name_of(RankObservation::Phase phase) {
  switch (phase) {
    case RankObservation::Phase::kStarting:
      return "starting";
    case RankObservation::Phase::kPrepared:
      return "prepared";
    case RankObservation::Phase::kRunning:
      return "running";
    case RankObservation::Phase::kExited:
      return "exited";
  }
  return "starting";
}

Result<RankObservation::Phase> phase_from(const Document& document) {
  ASSIGN_OR_RETURN(const std::string name, document.string_at("phase"));
  using Phase = RankObservation::Phase;
  for (const Phase phase : {Phase::kStarting, Phase::kPrepared, Phase::kRunning, Phase::kExited}) {
    if (name == name_of(phase)) return phase;
  }
  return invalid_argument("document.choice", fmt::format("a phase is starting, prepared, running or exited, not \"{}\"", name),
                          document.where());
}

}  // namespace

Document to_document(const RankKey& rank) {
  return Document::object(
      {{"job", rank.attempt.job.text()}, {"attempt", std::int64_t{rank.attempt.attempt.value}}, {"rank", std::int64_t{rank.rank}}});
}

Result<RankKey> rank_key_from(const Document& document) {
  RankKey key;
  ASSIGN_OR_RETURN(key.attempt.job.value, document["job"].as_unsigned());
  ASSIGN_OR_RETURN(key.attempt.attempt.value, uint32_at(document, "attempt"));
  ASSIGN_OR_RETURN(key.rank, uint32_at(document, "rank"));
  return key;
}

std::string text_of(const RankKey& rank) { return fmt::format("{}/{}/{}", rank.attempt.job.value, rank.attempt.attempt.value, rank.rank); }

Document to_document(const Resources& resources) {
  return Document::object(
      {{"milli_cpu", resources.milli_cpu}, {"memory_bytes", resources.memory_bytes}, {"milli_gpu", resources.milli_gpu}});
}

Result<Resources> resources_from(const Document& document) {
  Resources resources;
  ASSIGN_OR_RETURN(resources.milli_cpu, document.int_or("milli_cpu", 0));
  ASSIGN_OR_RETURN(resources.memory_bytes, document.int_or("memory_bytes", 0));
  ASSIGN_OR_RETURN(resources.milli_gpu, document.int_or("milli_gpu", 0));
  return resources;
}

Document to_document(const RankExit& exit) {
  Document document = Document::object({{"code", exit.code},
                                        {"signal", exit.signal},
                                        {"oom", exit.oom},
                                        {"stop_requested", exit.stop_requested},
                                        {"lost", exit.lost},
                                        {"launch_error", exit.launch_error},
                                        {"ended_at_us", micros(exit.ended_at)}});
  if (exit.usage) {
    document.set("usage", Document::object({{"cpu_us", exit.usage->cpu_us}, {"max_rss_bytes", exit.usage->max_rss_bytes}}));
  }
  return document;
}

Result<RankExit> rank_exit_from(const Document& document) {
  RankExit exit;
  ASSIGN_OR_RETURN(exit.code, int32_or(document, "code", 0));
  ASSIGN_OR_RETURN(exit.signal, int32_or(document, "signal", 0));
  ASSIGN_OR_RETURN(exit.oom, document.bool_or("oom", false));
  ASSIGN_OR_RETURN(exit.stop_requested, document.bool_or("stop_requested", false));
  ASSIGN_OR_RETURN(exit.lost, document.bool_or("lost", false));
  ASSIGN_OR_RETURN(exit.launch_error, document.string_or("launch_error", ""));
  ASSIGN_OR_RETURN(exit.ended_at, time_or_epoch(document, "ended_at_us"));
  if (const Document* usage = document.find("usage"); usage != nullptr && !usage->is_null()) {
    RankUsage used;
    ASSIGN_OR_RETURN(used.cpu_us, usage->int_or("cpu_us", 0));
    ASSIGN_OR_RETURN(used.max_rss_bytes, usage->int_or("max_rss_bytes", 0));
    exit.usage = used;
  }
  return exit;
}

Document to_document(const RankObservation& observation) {
  Document document = Document::object({{"rank", to_document(observation.rank)},
                                        {"phase", name_of(observation.phase)},
                                        {"pid", observation.pid},
                                        {"started_at_us", micros(observation.started_at)}});
  if (observation.exit) document.set("exit", to_document(*observation.exit));
  if (!observation.limited_by.empty()) document.set("limited_by", observation.limited_by);
  if (!observation.devices.empty()) document.set("devices", numbers(observation.devices));
  if (observation.port != 0) document.set("port", std::int64_t{observation.port});
  if (observation.output_held) document.set("output_held", true);
  return document;
}

Result<RankObservation> rank_observation_from(const Document& document) {
  RankObservation observation;
  ASSIGN_OR_RETURN(observation.rank, rank_key_from(document["rank"]));
  ASSIGN_OR_RETURN(observation.phase, phase_from(document));
  ASSIGN_OR_RETURN(observation.pid, document.int_or("pid", 0));
  ASSIGN_OR_RETURN(observation.started_at, time_or_epoch(document, "started_at_us"));
  if (const Document* exit = document.find("exit"); exit != nullptr && !exit->is_null()) {
    ASSIGN_OR_RETURN(observation.exit, rank_exit_from(*exit));
  }
  if ((observation.phase == RankObservation::Phase::kExited) != observation.exit.has_value()) {
    return invalid_argument("document.missing", "a rank has an exit record exactly when it has exited: " + text_of(observation.rank),
                            document.where());
  }
  ASSIGN_OR_RETURN(observation.limited_by, document.string_or("limited_by", ""));
  ASSIGN_OR_RETURN(observation.devices, numbers_of(document["devices"]));
  ASSIGN_OR_RETURN(observation.port, port_or_none(document, "port"));
  ASSIGN_OR_RETURN(observation.output_held, document.bool_or("output_held", false));
  return observation;
}

Document to_document(const RankLaunch& launch) {
  Document argv = Document::array();
  for (const std::string& argument : launch.argv) argv.push(argument);
  Document env = Document::object();
  for (const auto& [name, value] : launch.env) env.set(name, value);
  Document document = Document::object({{"rank", to_document(launch.rank)},
                                        {"argv", std::move(argv)},
                                        {"env", std::move(env)},
                                        {"spec", launch.spec},
                                        {"token", launch.token},
                                        {"workdir", launch.workdir},
                                        {"resources", to_document(launch.resources)},
                                        {"grace_us", launch.grace.count()}});
  if (!launch.devices.empty()) document.set("devices", numbers(launch.devices));
  return document;
}

Result<RankLaunch> rank_launch_from(const Document& document) {
  RankLaunch launch;
  ASSIGN_OR_RETURN(launch.rank, rank_key_from(document["rank"]));
  ASSIGN_OR_RETURN(launch.argv, strings_of(document["argv"]));
  for (const auto& [name, value] : document["env"].members()) {
    ASSIGN_OR_RETURN(launch.env[name], value.as_string());
  }
  launch.spec = document["spec"];
  ASSIGN_OR_RETURN(launch.token, document.string_or("token", ""));
  ASSIGN_OR_RETURN(launch.workdir, document.string_or("workdir", ""));
  ASSIGN_OR_RETURN(launch.resources, resources_from(document["resources"]));
  ASSIGN_OR_RETURN(const std::int64_t grace, document.int_or("grace_us", launch.grace.count()));
  launch.grace = Duration(grace);
  ASSIGN_OR_RETURN(launch.devices, numbers_of(document["devices"]));
  return launch;
}

Document to_document(const NodeObservation& observation) {
  Document ranks = Document::array();
  for (const RankObservation& rank : observation.ranks) ranks.push(to_document(rank));
  return Document::object({{"node", observation.node.text},
                           {"boot_id", observation.boot_id},
                           {"capacity", to_document(observation.capacity)},
                           {"ranks", std::move(ranks)},
                           {"host_boot", observation.host_boot},
                           {"stamp", observation.stamp},
                           {"facts", to_document(observation.facts)},
                           {"installation", observation.installation},
                           {"leaving", observation.leaving}});
}

Result<NodeObservation> node_observation_from(const Document& document) {
  NodeObservation observation;
  ASSIGN_OR_RETURN(observation.node.text, document.string_at("node"));
  ASSIGN_OR_RETURN(observation.boot_id, document.string_at("boot_id"));
  ASSIGN_OR_RETURN(observation.capacity, resources_from(document["capacity"]));
  for (const Document& item : document["ranks"].items()) {
    ASSIGN_OR_RETURN(RankObservation rank, rank_observation_from(item));
    observation.ranks.push_back(std::move(rank));
  }
  ASSIGN_OR_RETURN(observation.host_boot, document.string_or("host_boot", ""));
  ASSIGN_OR_RETURN(observation.stamp, document["stamp"].as_unsigned());
  ASSIGN_OR_RETURN(observation.facts, node_facts_from(document["facts"]));
  ASSIGN_OR_RETURN(observation.installation, document.string_or("installation", ""));
  ASSIGN_OR_RETURN(observation.leaving, document.bool_or("leaving", false));
  return observation;
}

Document to_document(const GpuDevice& gpu) {
  return Document::object(
      {{"index", std::int64_t{gpu.index}}, {"uuid", gpu.uuid}, {"model", gpu.model}, {"memory_bytes", gpu.memory_bytes}});
}

Result<GpuDevice> gpu_device_from(const Document& document) {
  GpuDevice gpu;
  ASSIGN_OR_RETURN(gpu.index, uint32_at(document, "index"));
  ASSIGN_OR_RETURN(gpu.uuid, document.string_or("uuid", ""));
  ASSIGN_OR_RETURN(gpu.model, document.string_or("model", ""));
  ASSIGN_OR_RETURN(gpu.memory_bytes, document.int_or("memory_bytes", 0));
  return gpu;
}

Document to_document(const NodeFacts& facts) {
  Document labels = Document::object();
  for (const auto& [name, value] : facts.labels) labels.set(name, value);
  Document gpus = Document::array();
  for (const GpuDevice& gpu : facts.gpus) gpus.push(to_document(gpu));
  return Document::object({{"labels", std::move(labels)},
                           {"gpus", std::move(gpus)},
                           {"pool", facts.pool},
                           {"agent_version", facts.agent_version},
                           {"address", facts.address}});
}

Result<NodeFacts> node_facts_from(const Document& document) {
  NodeFacts facts;
  for (const auto& [name, value] : document["labels"].members()) {
    ASSIGN_OR_RETURN(facts.labels[name], value.as_string());
  }
  for (const Document& item : document["gpus"].items()) {
    ASSIGN_OR_RETURN(GpuDevice gpu, gpu_device_from(item));
    facts.gpus.push_back(std::move(gpu));
  }
  ASSIGN_OR_RETURN(facts.pool, document.string_or("pool", facts.pool));
  ASSIGN_OR_RETURN(facts.agent_version, document.string_or("agent_version", ""));
  ASSIGN_OR_RETURN(facts.address, document.string_or("address", ""));
  return facts;
}

Document to_document(const DesiredState& desired) {
  Document ranks = Document::array();
  for (const DesiredRank& rank : desired.ranks) {
    // A reader that does not know the last member takes what is there for a whole launch, and has the rank anyway.
    ranks.push(Document::object({{"launch", to_document(rank.launch)},
                                 {"stop", rank.stop},
                                 {"checkpoint", rank.checkpoint},
                                 {"checkpoint_number", std::int64_t{rank.checkpoint_number}},
                                 {"given_up", rank.given_up},
                                 {"released", rank.released},
                                 {"known", rank.known}}));
  }
  return Document::object({{"epoch", desired.epoch}, {"version", desired.version}, {"ranks", std::move(ranks)}});
}

Result<DesiredState> desired_state_from(const Document& document) {
  DesiredState desired;
  ASSIGN_OR_RETURN(desired.epoch, document.string_or("epoch", ""));
  ASSIGN_OR_RETURN(desired.version, document["version"].as_unsigned());
  for (const Document& item : document["ranks"].items()) {
    DesiredRank rank;
    ASSIGN_OR_RETURN(rank.launch, rank_launch_from(item["launch"]));
    ASSIGN_OR_RETURN(rank.stop, item.bool_or("stop", false));
    ASSIGN_OR_RETURN(rank.checkpoint, item.bool_or("checkpoint", false));
    ASSIGN_OR_RETURN(rank.checkpoint_number, uint32_at(item, "checkpoint_number"));
    ASSIGN_OR_RETURN(rank.given_up, item.bool_or("given_up", false));
    ASSIGN_OR_RETURN(rank.released, item.bool_or("released", true));
    ASSIGN_OR_RETURN(rank.known, item.bool_or("known", false));
    desired.ranks.push_back(std::move(rank));
  }
  return desired;
}

}  // namespace trainyard::exec
