#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include "apps/cli/command_line.h"
#include "apps/cli/doctor.h"
#include "base/file.h"
#include "base/time.h"

namespace trainyard::apps {
namespace {

void version(CommandContext& context) {
  Document document = Document::object();
  document.set("version", context.version);
  print(context, document, [](const Document& shown) { return fmt::format("trainyard {}\n", shown["version"].text()); });
}

constexpr std::chrono::milliseconds kDownLook{100};
constexpr auto kDownPatience = std::chrono::seconds(60);

void doctor(CommandContext& context, const DoctorOptions& options) {
  const std::vector<Check> checks = examine(context, options);
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

void down(CommandContext& context) {
  const Result<client::ServerAddress> address = client::find_server({context.url, context.token_file});
  if (!address.ok()) return context.fail(address.error());
  const pid_t pid = local_server(*address);
  Result<std::unique_ptr<client::ApiClient>> api = context.connect();
  if (!api.ok()) return context.fail(api.error());
  const Result<Document> answer = (*api)->post("/api/v1/server:shutdown", Document::object());
  if (!answer.ok()) return context.fail(answer.error());
  if (!context.quiet) fmt::print(stderr, "the server stops its jobs and ends ...\n");
  if (!wait_until_gone(**api, pid)) {
    return context.fail(Error{
        Category::kDeadlineExceeded, "cli.still_up", "the server has not ended within 60 s; look at its log: " + address->url, {}, {}});
  }
  print(context, Document::object({{"stopped", true}, {"url", address->url}}),
        [](const Document& shown) { return fmt::format("stopped: {}\n", shown["url"].text()); });
}

/// `up`, `server` and `agent` are other programs: they are listed here for the help, main runs them before any parsing.
void list_programs(CLI::App& app) {
  app.add_subcommand("up", "Start everything on this machine: server, worker and UI in one process");
  app.add_subcommand("server", "Start the control plane alone; agents join from outside");
  app.add_subcommand("agent", "Join this machine to a server as a node");
  app.add_subcommand("simulate", "Run a recorded workload on a simulated cluster, with the server's scheduler");
}

}  // namespace

void add_server_commands(CLI::App& app, CommandContext& context) {
  list_programs(app);
  CLI::App* stop = app.add_subcommand("down", "Stop all jobs and the server, and wait for their end");
  stop->callback([&context] { down(context); });
  add_examples(*stop, {"trainyard down"});
  auto options = std::make_shared<DoctorOptions>();  // shared: CLI11 keeps callbacks by copy
  CLI::App* command = app.add_subcommand("doctor", "Check this installation, this machine and the server");
  command->add_option("--data", options->data, "Data directory to look at; default: the one `trainyard up` uses");
  command->callback([&context, options] { doctor(context, *options); });
  add_examples(*command, {"trainyard doctor", "trainyard doctor -o json"});
  app.add_subcommand("version", "Print the version")->callback([&context] { version(context); });
}

}  // namespace trainyard::apps
