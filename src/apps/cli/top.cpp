#include "apps/cli/top.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "apps/cli/following.h"
#include "apps/cli/signal_watch.h"
#include "apps/cli/top_view.h"
#include "apps/cli/workflow_view.h"
#include "base/file.h"
#include "base/time.h"

namespace trainyard::apps {
namespace {

constexpr std::chrono::milliseconds kAnswerTime{2'000};
constexpr std::size_t kLogLines = 200;
constexpr std::size_t kJobsMax = 200;

/// What the fetching thread is asked for.
struct TopWish {
  std::string log_job;  ///< Whose log is wanted; empty: the first job's.
  bool wants_log = true;
  std::string cancel;  ///< A job to cancel first.

  bool operator==(const TopWish&) const = default;
};

std::vector<Document> items_of(Result<Document> page, std::string_view plural) {
  return page.ok() ? (*page)[plural].items() : std::vector<Document>();
}

/// Fetches one picture. A part that the server does not know stays empty; the jobs decide whether it is fresh.
Result<TopData> fetch_top(client::ApiClient& api, const TopWish& wish) {
  TopData data;
  data.at = SystemClock().now();
  ASSIGN_OR_RETURN(const Document page, api.get("/api/v1/jobs?limit=200", kAnswerTime));
  data.jobs = page["jobs"].items();
  std::stable_partition(data.jobs.begin(), data.jobs.end(), [](const Document& job) { return !is_ended(job["state"].text()); });
  if (data.jobs.size() > kJobsMax) data.jobs.resize(kJobsMax);
  data.nodes = items_of(api.get("/api/v1/nodes", kAnswerTime), "nodes");
  data.queues = items_of(api.get("/api/v1/queues", kAnswerTime), "queues");
  if (!wish.wants_log || data.jobs.empty()) return data;
  const bool there =
      std::any_of(data.jobs.begin(), data.jobs.end(), [&wish](const Document& job) { return job["id"].text() == wish.log_job; });
  data.log_job = there ? wish.log_job : data.jobs.front()["id"].text();
  Result<std::vector<std::string>> log = last_log_lines(api, data.log_job, kLogLines, kAnswerTime);
  if (log.ok()) data.log = std::move(log).value();
  return data;
}

/// Fetches on a thread of its own, so that keys are answered while the server thinks.
class TopFetcher {
 public:
  TopFetcher(const CommandContext& context, std::chrono::milliseconds every, int ready) : context_(context), every_(every), ready_(ready) {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  TopFetcher(const TopFetcher&) = delete;
  TopFetcher& operator=(const TopFetcher&) = delete;
  ~TopFetcher() = default;

  void wish(TopWish wanted) {
    {
      const std::lock_guard lock(mutex_);
      // An action that was not begun yet stays asked for.
      if (wanted.cancel.empty()) wanted.cancel = wish_.cancel;
      if (wanted == wish_) return;
      wish_ = std::move(wanted);
      changed_ = true;
    }
    condition_.notify_all();
  }
  /// The newest picture and what came of an action, each once.
  std::pair<std::optional<TopData>, std::string> take() {
    const std::lock_guard lock(mutex_);
    return {std::exchange(data_, std::nullopt), std::exchange(note_, "")};
  }

 private:
  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      TopWish wanted;
      {
        const std::lock_guard lock(mutex_);
        wanted = wish_;
        wish_.cancel.clear();
        changed_ = false;
      }
      look(wanted);
      std::unique_lock lock(mutex_);
      condition_.wait_for(lock, stop, every_, [this] { return changed_; });
    }
  }

  void look(const TopWish& wanted) {
    if (!api_) {
      Result<std::unique_ptr<client::ApiClient>> made = context_.connect();
      if (!made.ok()) return publish_problem(made.error());
      api_ = std::move(made).value();
    }
    if (!wanted.cancel.empty()) {
      const Result<Document> done = api_->post("/api/v1/jobs/" + wanted.cancel + "/cancel", Document::object());
      publish_note(done.ok() ? fmt::format("job {} is asked to stop", wanted.cancel) : done.error().describe());
    }
    Result<TopData> data = fetch_top(*api_, wanted);
    if (!data.ok()) {
      // The server may come back at another address.
      api_.reset();
      return publish_problem(data.error());
    }
    publish(std::move(data).value());
  }

  void publish(TopData data) {
    {
      const std::lock_guard lock(mutex_);
      last_ = data;
      data_ = std::move(data);
    }
    wake();
  }
  void publish_problem(const Error& error) {
    {
      const std::lock_guard lock(mutex_);
      last_.problem = error.describe();
      data_ = last_;
      last_.problem.clear();
    }
    wake();
  }
  void publish_note(std::string note) {
    const std::lock_guard lock(mutex_);
    note_ = std::move(note);
  }
  void wake() const {
    const std::uint64_t one = 1;
    (void)!::write(ready_, &one, sizeof(one));
  }

  const CommandContext& context_;
  std::chrono::milliseconds every_;
  int ready_;
  std::unique_ptr<client::ApiClient> api_;  // of the thread
  std::mutex mutex_;
  std::condition_variable_any condition_;
  TopWish wish_;  // guarded by mutex_, and so is all that follows
  bool changed_ = false;
  std::optional<TopData> data_;
  TopData last_;
  std::string note_;
  std::jthread thread_;
};

/// The terminal while it belongs to the view: alternate screen, no echo, no line editing. Gives it back as it was.
class Screen {
 public:
  Screen() {
    known_ = ::tcgetattr(STDIN_FILENO, &before_) == 0;
    termios raw = before_;
    raw.c_lflag &= static_cast<tcflag_t>(~(ICANON | ECHO));
    // Suspending would leave the alternate screen behind; an interrupt is a signal, as everywhere.
    raw.c_cc[VSUSP] = _POSIX_VDISABLE;
    raw.c_cc[VQUIT] = _POSIX_VDISABLE;
    if (known_) ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    write_out(stdout, "\x1b[?1049h\x1b[?25l\x1b[2J");
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen() {
    if (known_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    write_out(stdout, "\x1b[?25h\x1b[?1049l");
  }

  void show(const std::vector<std::string>& lines) {
    std::string text = "\x1b[H";
    for (std::size_t i = 0; i < lines.size(); ++i) text += lines[i] + "\x1b[K" + (i + 1 < lines.size() ? "\r\n" : "");
    write_out(stdout, text + "\x1b[J");
  }

 private:
  termios before_{};
  bool known_ = false;
};

/// The loop between keys, data and signals.
class TopLoop {
 public:
  TopLoop(CommandContext& context, std::chrono::milliseconds every)
      : context_(context), every_(every), ready_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  int run() {
    const Result<void> watched = signals_.start([this](int) { wake(); });
    if (!watched.ok()) {
      context_.fail(watched.error());
      return context_.exit_code;
    }
    // Declared before the screen, so that the terminal is given back before the last answer is waited for.
    TopFetcher fetcher(context_, every_, ready_.get());
    {
      Screen screen;
      while (signals_.taken() == 0 && !quits_) round(fetcher, screen);
    }
    return signals_.taken() == 0 ? static_cast<int>(kOk) : 128 + signals_.taken();
  }

 private:
  void wake() const {
    const std::uint64_t one = 1;
    (void)!::write(ready_.get(), &one, sizeof(one));
  }

  void round(TopFetcher& fetcher, Screen& screen) {
    const OutputStyle style = style_of_output();
    screen.show(draw_top(data_, state_, style));
    pollfd watched[] = {{STDIN_FILENO, POLLIN, 0}, {ready_.get(), POLLIN, 0}};
    ::poll(watched, 2, static_cast<int>(every_.count()));
    if (watched[0].revents != 0) read_keys(fetcher);
    std::uint64_t count = 0;
    if (::read(ready_.get(), &count, sizeof(count)) <= 0) return;
    auto [data, note] = fetcher.take();
    if (data) data_ = std::move(*data);
    if (!note.empty()) state_.note = std::move(note);
    if (const Result<client::ServerAddress> address = context_.config.address(); address.ok()) data_.url = address->url;
  }

  void read_keys(TopFetcher& fetcher) {
    std::array<char, 256> bytes{};
    const ssize_t got = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (got <= 0) quits_ = true;  // The terminal is gone.
    TopWish wish;
    for (const TopKey key : keys_.feed({bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))})) {
      const TopAction action = press(state_, data_, key);
      quits_ = quits_ || action.quit;
      if (!action.cancel.empty()) wish.cancel = action.cancel;
    }
    const std::optional<std::size_t> selected = selected_job(state_, data_);
    if (selected) wish.log_job = data_.jobs[*selected]["id"].text();
    wish.wants_log = state_.shows_log;
    fetcher.wish(std::move(wish));
  }

  CommandContext& context_;
  std::chrono::milliseconds every_;
  UniqueFd ready_;
  SignalWatch signals_;
  KeyReader keys_;
  TopState state_;
  TopData data_;
  bool quits_ = false;
};

Document top_document(const TopData& data) {
  return Document::object(
      {{"queues", Document::array(data.queues)}, {"nodes", Document::array(data.nodes)}, {"jobs", Document::array(data.jobs)}});
}

void print_once(CommandContext& context) {
  const Result<client::ApiClient*> api = context.api();
  Result<TopData> data = api.ok() ? fetch_top(**api, {}) : Result<TopData>(api.error());
  if (!data.ok()) return context.fail(data.error());
  data->url = context.config.address().value_or({}).url;
  print(context, top_document(*data), [&](const Document&) {
    OutputStyle style = context.output.style;
    style.live = false;
    style.rows = 50;
    return fmt::format("{}\n", fmt::join(draw_top(*data, {}, style), "\n"));
  });
}

}  // namespace

void run_top(CommandContext& context, std::chrono::milliseconds every) {
  const bool full_screen = context.output.style.live && ::isatty(STDIN_FILENO) == 1 && is_for_people(context.output);
  if (!full_screen) return print_once(context);
  context.exit_code = TopLoop(context, every).run();
}

}  // namespace trainyard::apps
