#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "apps/cli/arguments.h"
#include "apps/cli/command_line.h"
#include "apps/cli/demo.h"
#include "apps/cli/doctor.h"
#include "base/file.h"
#include "base/time.h"

namespace trainyard::apps {
namespace {

constexpr std::chrono::milliseconds kDownLook{100};
constexpr auto kDownPatience = std::chrono::seconds(60);

void doctor(CommandContext& context, const Arguments& arguments) {
  const std::vector<Check> checks = examine(context, {.data = arguments.text("data")});
  const Document document = doctor_document(checks);
  print(context, document, [&checks](const Document&) { return doctor_report(checks); });
  if (!document["ok"].as_bool().value_or(false)) context.exit_code = kFailed;
}

/// The process of a server on this machine: its data directory, where the token file is, says which. 0 for any other.
pid_t local_server(const client::ServerAddress& address) {
  const std::size_t slash = address.token_file.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : address.token_file.substr(0, slash);
  const Result<std::string> text = read_file(directory + "/server.json", std::size_t{64} << 10);
  const Result<Document> server = text.ok() ? parse_json(*text) : Result<Document>(text.error());
  if (!server.ok() || (*server)["url"].text() != address.url) return 0;
  return static_cast<pid_t>((*server)["pid"].as_int().value_or(0));
}

/// True once the server is gone: its process when it is on this machine, else its answers.
bool wait_until_gone(client::ApiClient& api, pid_t pid) {
  const SystemClock clock;
  const MonotonicPoint deadline = clock.monotonic_now() + kDownPatience;
  const UniqueFd process(pid > 0 ? static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)) : -1);
  if (process.valid()) {
    pollfd watched{process.get(), POLLIN, 0};
    return ::poll(&watched, 1, static_cast<int>(std::chrono::milliseconds(kDownPatience).count())) > 0;
  }
  while (clock.monotonic_now() < deadline) {
    if (!api.get_text("/healthz").ok()) return true;
    ::poll(nullptr, 0, static_cast<int>(kDownLook.count()));
  }
  return false;
}

void down(CommandContext& context, const Arguments&) {
  const Result<client::ServerAddress> address = context.config.address();
  if (!address.ok()) return context.fail(address.error());
  const pid_t pid = local_server(*address);
  const Result<client::ApiClient*> api = context.api();
  const Result<Document> answer = api.ok() ? (*api)->post("/api/v1/server:shutdown", Document::object()) : Result<Document>(api.error());
  if (!answer.ok()) return context.fail(answer.error());
  if (!context.output.quiet) fmt::print(stderr, "the server stops its jobs and ends ...\n");
  if (!wait_until_gone(**api, pid)) {
    return context.fail(Error{
        Category::kDeadlineExceeded, "cli.still_up", "the server has not ended within 60 s; look at its log: " + address->url, {}, {}});
  }
  print(context, Document::object({{"stopped", true}, {"url", address->url}}),
        [](const Document& shown) { return fmt::format("stopped: {}\n", shown["url"].text()); });
}

void demo(CommandContext& context, const Arguments& arguments) {
  const DemoOptions options{.pipeline = arguments.text("pipeline"),
                            .summary_out = arguments.text("summary-out"),
                            .data = arguments.text("data"),
                            .keep = arguments.given("keep"),
                            .resume = arguments.given("resume"),
                            .fresh = arguments.given("fresh")};
  context.exit_code = run_demo(context, options);
}

CommandSpec demo_command() {
  return {
      .path = "demo",
      .summary = "Run the main job, from raw data to predictions, on a server of its own",
      .options = {{.name = "pipeline", .value = "FILE", .doc = "Workflow file; default: the Fashion-MNIST example", .names = Names::kFile},
                  {.name = "summary-out", .value = "FILE", .doc = "Write the summary as JSON", .names = Names::kFile},
                  {.name = "data",
                   .value = "DIR",
                   .doc = "Data directory; default: a temporary one, removed at the end",
                   .names = Names::kDirectory},
                  {.name = "keep", .doc = "Leave the server and the model running at the end"},
                  {.name = "resume", .doc = "Go on with the unfinished run in --data (the default with --data)"},
                  {.name = "fresh", .doc = "Start a new run in --data"}},
      .examples = {{"trainyard demo", ""},
                   {"trainyard demo --data ./demo --keep", ""},
                   {"trainyard demo --data ./demo --fresh --summary-out summary.json", ""}},
      .exits = {kOk, kFailed, kUsage, kNotFound, kUnavailable, kInterrupted},
      .run = demo,
      .offline = true};
}

/// A command that is a program of its own and describes its options itself.
CommandSpec program(std::string path, std::string summary, std::string name, std::string example) {
  return {.path = std::move(path),
          .summary = std::move(summary),
          .examples = {{std::move(example), ""}},
          .exits = {kOk, kFailed, kUsage},
          .program = std::move(name)};
}

}  // namespace

std::vector<CommandSpec> start_commands() {
  return {
      demo_command(),
      program("up", "Start everything on this machine: server, worker and UI in one process", "trainyard-server",
              "trainyard up --data ./trainyard"),
      {.path = "down",
       .summary = "Stop all jobs and the server, and wait for their end",
       .examples = {{"trainyard down", ""}},
       .exits = exits_with_server(),
       .run = down},
      program("server", "Start the control plane alone; agents join from outside", "trainyard-server",
              "trainyard server --data ./trainyard"),
      program("agent", "Join this machine to a server as a node", "trainyard-agent",
              "trainyard agent --join http://host:8470 --token-file FILE"),
      program("simulate", "Run a recorded workload on a simulated cluster, with the server's scheduler", "trainyard-simulate",
              "trainyard simulate --help"),
      {.path = "doctor",
       .summary = "Check this installation, this machine and the server",
       .options = {{.name = "data",
                    .value = "DIR",
                    .doc = "Data directory to look at; default: the one `trainyard up` uses",
                    .names = Names::kDirectory}},
       .examples = {{"trainyard doctor", ""}, {"trainyard doctor -o json", ""}},
       .exits = {kOk, kFailed, kUsage},
       .run = doctor},
  };
}

}  // namespace trainyard::apps
