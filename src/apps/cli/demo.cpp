#include "apps/cli/demo.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <utility>

#include "apps/cli/demo_keeper.h"
#include "apps/cli/demo_report.h"
#include "apps/cli/following.h"
#include "apps/cli/signal_watch.h"
#include "apps/cli/workflow_view.h"
#include "base/file.h"
#include "base/time.h"

namespace trainyard::apps {
namespace {

template <typename... Values>
void say(fmt::format_string<Values...> text, Values&&... values) {
  write_out(stdout, fmt::format(text, std::forward<Values>(values)...));
}

constexpr std::size_t kPipelineMax = std::size_t{1} << 20;
constexpr std::size_t kLogLines = 20;

std::filesystem::path own_path() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error);
}

Result<std::string> find_pipeline(const DemoOptions& options) {
  if (!options.pipeline.empty()) return options.pipeline;
  for (std::filesystem::path at = own_path().parent_path(); !at.empty() && at != at.parent_path(); at = at.parent_path()) {
    for (const char* place : {"examples/fashion-mnist/pipeline.yaml", "share/trainyard/examples/fashion-mnist/pipeline.yaml"}) {
      if (std::filesystem::exists(at / place)) return (at / place).string();
    }
  }
  return not_found("demo.pipeline", "the example pipeline is not installed beside this program: name one with --pipeline FILE");
}

struct Pipeline {
  std::string file;
  std::string text;
  std::string workflow;  ///< Its name.
};

Result<Pipeline> read_pipeline(const DemoOptions& options) {
  Pipeline pipeline;
  ASSIGN_OR_RETURN(pipeline.file, find_pipeline(options));
  Result<std::string> text = read_file(pipeline.file, kPipelineMax);
  if (!text.ok()) return std::move(text).error().with_context("reading the pipeline");
  pipeline.text = std::move(text).value();
  ASSIGN_OR_RETURN(const Document document, parse_yaml(pipeline.text, pipeline.file));
  pipeline.workflow = document["workflow"].text();
  return pipeline;
}

/// One demo from the start of the server to its end.
class Demo {
 public:
  Demo(const DemoOptions& options, CommandContext& context) : options_(options), context_(context), begin_(clock_.monotonic_now()) {}

  int run() {
    const Result<Document> ended = start_and_watch();
    seconds_ = since_begin();
    Document summary = ended.ok() ? summary_of(*ended, seconds_) : Document::object();
    if (ended.ok()) {
      report_run(*ended);
    } else {
      report_error(ended.error(), summary);
    }
    if (!options_.summary_out.empty()) {
      const Result<void> written = write_file_atomically(options_.summary_out, to_pretty_json(summary) + "\n", 0644);
      if (!written.ok()) context_.fail(written.error());
    }
    finish(ended.ok() ? &*ended : nullptr);
    return context_.exit_code;
  }

 private:
  double since_begin() const { return static_cast<double>((clock_.monotonic_now() - begin_).count()) / 1e6; }
  Result<Document> start_and_watch();
  Result<std::string> choose(const Pipeline& pipeline);
  Result<void> end_earlier_runs(const Document& page, const std::string& workflow);
  std::optional<Error> reason_to_end() const;
  void report_run(const Document& run);
  void report_failure(const Document& run);
  void report_error(const Error& error, Document& summary);
  void finish(const Document* run);
  void print_ways_on(const Document* run) const;

  const DemoOptions& options_;
  CommandContext& context_;
  SystemClock clock_;
  MonotonicPoint begin_;
  SignalWatch signals_;
  std::unique_ptr<DemoKeeper> keeper_;
  client::ServerAddress address_;
  std::unique_ptr<client::ApiClient> api_;
  double startup_seconds_ = 0;
  double seconds_ = 0;
  bool whole_run_ = true;
};

Result<Document> Demo::start_and_watch() {
  TRY(check_demo_options(options_));
  ASSIGN_OR_RETURN(const Pipeline pipeline, read_pipeline(options_));
  const std::string data = options_.data.empty() ? "" : std::filesystem::absolute(options_.data).lexically_normal().string();
  ASSIGN_OR_RETURN(keeper_, DemoKeeper::start({data}));
  TRY(signals_.start([this](int) { keeper_->begin_stop(); }));
  ASSIGN_OR_RETURN(address_, keeper_->wait_until_ready());
  startup_seconds_ = since_begin();
  say("server ready at {} after {:.2f} s, data in {}\n", address_.url, startup_seconds_, keeper_->data());
  ASSIGN_OR_RETURN(api_, client::make_api_client(address_));
  ASSIGN_OR_RETURN(const std::string id, choose(pipeline));
  return watch_workflow(*api_, id, {style_of_output(), [this] { return reason_to_end(); }});
}

Result<std::string> Demo::choose(const Pipeline& pipeline) {
  ASSIGN_OR_RETURN(const Document page, api_->get("/api/v1/workflows"));
  const RunChoice choice = choose_run(page, pipeline.workflow, options_.fresh);
  if (!choice.note.empty()) say("{}\n", choice.note);
  if (choice.kind != RunChoice::Kind::kStart) {
    whole_run_ = false;
    return choice.id;
  }
  TRY(end_earlier_runs(page, pipeline.workflow));
  ASSIGN_OR_RETURN(const Document run, start_workflow(*api_, pipeline.file, pipeline.text));
  return run["id"].text();
}

/// What an earlier run left behind would compete with the new one for the machine.
Result<void> Demo::end_earlier_runs(const Document& page, const std::string& workflow) {
  for (const Document& run : page["workflows"].items()) {
    if (run["workflow"].text() == workflow && run["state"].text() == "RUNNING") {
      TRY(api_->remove("/api/v1/workflows/" + run["id"].text()));
    }
  }
  for (const std::string& job : services_of_earlier_runs(page, workflow)) {
    // One that has ended already is no error.
    if (Result<Document> cancelled = api_->post("/api/v1/jobs/" + job + "/cancel", Document::object());
        !cancelled.ok() && cancelled.error().category == Category::kUnavailable) {
      return std::move(cancelled).error();
    }
  }
  return {};
}

std::optional<Error> Demo::reason_to_end() const {
  if (signals_.taken() != 0) return Error{Category::kCancelled, "demo.interrupted", "interrupted while the pipeline ran", {}, {}};
  if (keeper_->server_runs()) return std::nullopt;
  return unavailable("demo.server_ended", "the server of the demo ended while the pipeline ran; the end of its log:\n" +
                                              last_lines(read_file(keeper_->log_path()).value_or(""), kLogLines));
}

void Demo::report_run(const Document& run) {
  const bool held = run["state"].text() == "SUCCEEDED";
  say("\nworkflow {} run {}\n{}\n", run["workflow"].text(), run["id"].text(), demo_table(run, {seconds_, startup_seconds_, whole_run_}));
  const std::string headline = demo_headline(run);
  say("{} in {:.1f} s{}{}\n", run["state"].text(), seconds_, headline.empty() ? "" : ": ", headline);
  context_.exit_code = held ? kOk : kFailed;
  if (!held) report_failure(run);
}

void Demo::report_failure(const Document& run) {
  const Document& step = failed_step(run);
  fmt::print(stderr, "\nerror: demo.step_failed: a step of the pipeline failed: {}: {}\n", step["name"].text(), step["reason"].text());
  const std::string job = failed_job(step);
  if (job.empty()) return;
  const Result<std::vector<std::string>> log = last_log_lines(*api_, job, kLogLines, std::chrono::seconds(10));
  if (log.ok() && !log->empty()) {
    fmt::print(stderr, "the end of the log of job {}:\n{}\n", job, fmt::join(*log, ""));
  } else {
    fmt::print(stderr, "job {} wrote no log\n", job);
  }
  if (keeper_->temporary() && !options_.keep) {
    fmt::print(stderr, "next: run it again with --data DIR, which keeps the whole log\n");
  } else {
    fmt::print(stderr, "the whole log: {}/logs/{}, or `{} job logs {}` while the server runs\n", keeper_->data(), job,
               shell_word(own_path().string()), job);
  }
}

void Demo::report_error(const Error& error, Document& summary) {
  const int signal = signals_.taken();
  const Error shown =
      signal == 0 ? error
                  : Error{Category::kCancelled, "demo.interrupted", fmt::format("interrupted by {}", ::sigabbrev_np(signal)), {}, {}};
  summary.set("ok", false);
  summary.set("seconds", seconds_);
  summary.set("test_accuracy", Document());
  summary.set("reason", shown.describe());
  summary.set("steps", Document::array());
  if (signal == 0) {
    context_.fail(error);
    // Whatever stands in the way of a demo on this machine is a check that failed: it has no code of its own.
    if (context_.exit_code == kConflict) context_.exit_code = kFailed;
  } else {
    context_.exit_code = 128 + signal;
  }
}

void Demo::finish(const Document* run) {
  const int signal = signals_.taken();
  const bool keep = options_.keep && run != nullptr && signal == 0;
  if (keeper_ && keep) keeper_->release();
  if (keep) return print_ways_on(run);
  if (!keeper_) return;
  if (signal != 0) {
    say("\ninterrupted by SIG{}: the jobs and the server are ended, a second signal does not wait for it\n", ::sigabbrev_np(signal));
  }
  const std::string data = keeper_->data();
  const Result<void> stopped = keeper_->stop();
  if (!stopped.ok()) {
    const int code = context_.exit_code;
    context_.fail(stopped.error());
    if (code != kOk) context_.exit_code = code;
  }
  if (signal != 0) {
    say("interrupted after {:.1f} s; {}\n", seconds_,
        keeper_->temporary() ? "nothing is left of it"
                             : fmt::format("go on with: {} demo --data {}", shell_word(own_path().string()), shell_word(data)));
  } else if (run != nullptr) {
    print_ways_on(run);
  }
}

void Demo::print_ways_on(const Document* run) const {
  const std::string program = shell_word(own_path().string());
  WaysOn ways{program, address_, (*run)["id"].text(), "", ""};
  find_served_model(*run, ways);
  if (options_.keep) {
    say("\nThe server keeps running:\n  platform      {}\n", address_.url);
    if (!ways.model_url.empty()) say("  model server  {}\n", ways.model_url);
    say("\nLook further:\n{}", commands_to_look_further(ways));
    return;
  }
  if (keeper_->temporary()) {
    say("\nThe server is stopped and its directory removed. `{} demo --keep` leaves them, with these commands to look further:\n", program);
    ways.address = {"URL", "TOKEN_FILE"};
    ways.program = "trainyard";
    if (!ways.model_url.empty()) ways.model_url = "MODEL_URL";
  } else {
    say("\nThe server is stopped. `{} up --data {} --port 0` starts it again, for these commands to look further:\n", program,
        shell_word(keeper_->data()));
    ways.model_url.clear();
  }
  say("{}", commands_to_look_further(ways));
}

}  // namespace

Result<void> check_demo_options(const DemoOptions& options) {
  if (options.resume && options.fresh) {
    return invalid_argument("demo.options", "--resume goes on with the last run, --fresh starts a new one: give one of them");
  }
  if (options.resume && options.data.empty()) {
    return invalid_argument("demo.options", "--resume needs --data DIR: a temporary directory holds no earlier run");
  }
  if (!options.summary_out.empty()) {
    const std::string parent = std::filesystem::absolute(options.summary_out).parent_path().string();
    if (::access(parent.c_str(), W_OK | X_OK) != 0) {
      return system_error(errno, "access", parent).with_context("checking that --summary-out can be written at the end");
    }
  }
  if (options.data.empty()) return {};
  ASSIGN_OR_RETURN(const bool usable, is_usable_data_directory(options.data));
  if (usable) return {};
  return failed_precondition("demo.foreign_directory",
                             "the directory holds files that are not Trainyard's; nothing was touched: name a new or "
                             "empty one, or one of an earlier demo, with --data: " +
                                 options.data);
}

int run_demo(CommandContext& context, const DemoOptions& options) { return Demo(options, context).run(); }

}  // namespace trainyard::apps
