#include "apps/cli/demo.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "apps/cli/workflow_view.h"
#include "apps/programs.h"
#include "base/file.h"
#include "base/time.h"

extern char** environ;

namespace trainyard::apps {
namespace {

/// A `trainyard-server up` of this process, tied to it by a lifeline pipe.
class DemoServer {
 public:
  DemoServer(const DemoServer&) = delete;
  DemoServer& operator=(const DemoServer&) = delete;
  ~DemoServer() {
    if (!released_) stop();
  }

  static Result<std::unique_ptr<DemoServer>> start(const std::string& data, bool keep);

  /// Waits until the server serves. Errors: UNAVAILABLE "demo.server_ended", DEADLINE_EXCEEDED.
  Result<client::ServerAddress> wait_until_ready();
  /// Ends the server and everything it started.
  void stop();
  /// Leaves the server running when this process ends.
  void release() { released_ = true; }
  pid_t pid() const { return pid_; }

 private:
  DemoServer(pid_t pid, UniqueFd lifeline, std::string ready_file)
      : pid_(pid), lifeline_(std::move(lifeline)), ready_file_(std::move(ready_file)) {}

  pid_t pid_ = 0;
  UniqueFd lifeline_;
  std::string ready_file_;
  bool released_ = false;
};

Result<std::unique_ptr<DemoServer>> DemoServer::start(const std::string& data, bool keep) {
  ASSIGN_OR_RETURN(const std::string program, find_program("trainyard-server"));
  const std::string ready_file = data + "/ready.json";
  TRY(remove_tree(ready_file));
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return system_error(errno, "pipe", "lifeline");
  UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  constexpr int kLifelineFd = 9;
  if (!keep) posix_spawn_file_actions_adddup2(&actions, reading.get(), kLifelineFd);
  const std::string log = data + "/server.log";
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  // A group of its own: ^C reaches the demo, which then ends the server in order.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);

  std::vector<std::string> words{"trainyard-server", "up", "--data", data, "--port", "0", "--ready-file", ready_file};
  if (!keep) words.insert(words.end(), {"--lifeline", std::to_string(kLifelineFd)});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return system_error(failed, "posix_spawn", program);
  return std::unique_ptr<DemoServer>(new DemoServer(pid, std::move(writing), ready_file));
}

/// Waits up to `span` for the process to end; true when it did.
bool ended_within(pid_t pid, std::chrono::milliseconds span) {
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process.valid()) return true;
  pollfd watched{process.get(), POLLIN, 0};
  return ::poll(&watched, 1, static_cast<int>(span.count())) > 0;
}

Result<client::ServerAddress> DemoServer::wait_until_ready() {
  constexpr int kTries = 600;
  for (int i = 0; i < kTries; ++i) {
    if (const Result<std::string> text = read_file(ready_file_, 4096); text.ok()) {
      ASSIGN_OR_RETURN(const Document ready, parse_json(*text));
      return client::ServerAddress{ready["url"].text(), ready["token_file"].text()};
    }
    if (ended_within(pid_, std::chrono::milliseconds(50))) {
      return unavailable("demo.server_ended",
                         fmt::format("the server ended before it served; its log: {}",
                                     read_file(std::filesystem::path(ready_file_).parent_path() / "server.log").value_or("")));
    }
  }
  return Error{Category::kDeadlineExceeded, "demo.server_slow", "the server did not serve within 30 s", {}, {}};
}

void DemoServer::stop() {
  lifeline_.reset();
  if (pid_ <= 0) return;
  // The lifeline ends jobs, warden and server within the grace; the kill is for a server that hangs.
  if (!ended_within(pid_, std::chrono::seconds(40))) ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

Result<std::string> find_pipeline(const DemoOptions& options) {
  if (!options.pipeline.empty()) return options.pipeline;
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  for (std::filesystem::path at = self.parent_path(); !error && at != at.parent_path(); at = at.parent_path()) {
    for (const char* place : {"examples/fashion-mnist/pipeline.yaml", "share/trainyard/examples/fashion-mnist/pipeline.yaml"}) {
      if (std::filesystem::exists(at / place)) return (at / place).string();
    }
  }
  return not_found("demo.pipeline", "the example pipeline is not installed beside this program: name one with --pipeline FILE");
}

Document summary_of(const Document& run, double seconds) {
  Document steps = Document::array();
  Document accuracy;
  for (const Document& task : run["tasks"].items()) {
    Document step = Document::object();
    step.set("name", task["name"]);
    step.set("ok", task["state"].text() == "SUCCEEDED");
    step.set("seconds", task_seconds(task).value_or(0));
    step.set("figures", task["output"]["result"].is_null() ? Document::object() : task["output"]["result"]);
    if (!task["reason"].text().empty()) step.set("reason", task["reason"]);
    const Document& figure = task["output"]["result"]["test_accuracy"];
    if (accuracy.is_null() && figure.is_number()) accuracy = figure;
    steps.push(std::move(step));
  }
  Document summary = Document::object();
  summary.set("ok", run["state"].text() == "SUCCEEDED");
  summary.set("seconds", seconds);
  summary.set("test_accuracy", accuracy);
  summary.set("steps", std::move(steps));
  return summary;
}

/// The run to watch: with --resume the unfinished one of this data directory, else a new one.
Result<std::string> run_to_watch(client::ApiClient& api, const DemoOptions& options, const std::string& pipeline) {
  if (!options.data.empty() && !options.fresh) {
    ASSIGN_OR_RETURN(const Document page, api.get("/api/v1/workflows"));
    for (const Document& run : page["workflows"].items()) {
      if (run["state"].text() == "RUNNING") return run["id"].text();
    }
  }
  ASSIGN_OR_RETURN(std::string text, read_file(pipeline, 1 << 20));
  ASSIGN_OR_RETURN(const Document run, start_workflow(api, pipeline, std::move(text)));
  return run["id"].text();
}

void print_ways_on(const client::ServerAddress& address, bool kept) {
  if (!kept) {
    fmt::print("\nThe server is stopped. `trainyard demo --keep --data DIR` leaves it running to look around.\n");
    return;
  }
  fmt::print(
      "\nLook further:\n"
      "  curl -H \"Authorization: Bearer $(cat {1})\" {0}/api/v1/jobs\n"
      "  MLFLOW_TRACKING_URI={0} MLFLOW_TRACKING_TOKEN=$(cat {1}) mlflow runs search --experiment-name Default\n"
      "  trainyard --url {0} --token-file {1} job ls\n"
      "  trainyard --url {0} --token-file {1} model ls\n"
      "  trainyard --url {0} --token-file {1} down\n",
      address.url, address.token_file);
}

Result<Document> run_pipeline(const DemoOptions& options, const client::ServerAddress& address) {
  ASSIGN_OR_RETURN(const std::string pipeline, find_pipeline(options));
  ASSIGN_OR_RETURN(const std::unique_ptr<client::ApiClient> api, client::make_api_client(address));
  ASSIGN_OR_RETURN(const std::string id, run_to_watch(*api, options, pipeline));
  return watch_workflow(*api, id, ::isatty(STDOUT_FILENO) == 1);
}

}  // namespace

int run_demo(CommandContext& context, const DemoOptions& options) {
  const SystemClock clock;
  const MonotonicPoint begin = clock.monotonic_now();
  std::string data = options.data;
  const bool temporary = data.empty() && !options.keep;
  if (data.empty()) {
    Result<std::string> made = make_temporary_directory("trainyard-demo-");
    if (!made.ok()) return context.fail(made.error()), context.exit_code;
    data = *made;
  } else if (Result<void> made = make_directories(data); !made.ok()) {
    return context.fail(made.error()), context.exit_code;
  }
  Result<std::unique_ptr<DemoServer>> server = DemoServer::start(data, options.keep);
  if (!server.ok()) return context.fail(server.error()), context.exit_code;
  Result<client::ServerAddress> address = (*server)->wait_until_ready();
  if (!address.ok()) return context.fail(address.error()), context.exit_code;
  fmt::print("server ready at {} after {:.2f} s, data in {}\n", address->url,
             static_cast<double>((clock.monotonic_now() - begin).count()) / 1e6, data);

  const Result<Document> run = run_pipeline(options, *address);
  const double seconds = static_cast<double>((clock.monotonic_now() - begin).count()) / 1e6;
  Document summary = run.ok() ? summary_of(*run, seconds) : Document::object();
  if (!run.ok()) {
    summary.set("ok", false);
    summary.set("seconds", seconds);
    summary.set("error", run.error().describe());
    context.fail(run.error());
  } else {
    fmt::print("\n{}\n{} in {:.1f} s, test accuracy {}\n", workflow_table(*run), (*run)["state"].text(), seconds,
               to_json(summary["test_accuracy"]));
    context.exit_code = (*run)["state"].text() == "SUCCEEDED" ? kOk : kFailed;
  }
  if (!options.summary_out.empty()) {
    if (Result<void> written = write_file_atomically(options.summary_out, to_pretty_json(summary) + "\n", 0644); !written.ok())
      context.fail(written.error());
  }
  print_ways_on(*address, options.keep);
  if (options.keep) (*server)->release();
  server->reset();
  if (temporary) {
    if (Result<void> removed = remove_tree(data); !removed.ok()) context.fail(removed.error());
  }
  return context.exit_code;
}

}  // namespace trainyard::apps
