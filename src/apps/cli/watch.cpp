#include "apps/cli/watch.h"

#include <fmt/format.h>

#include <map>
#include <optional>

#include "apps/cli/following.h"
#include "apps/cli/outage.h"
#include "apps/cli/resources.h"

namespace trainyard::apps {
namespace {

constexpr std::chrono::milliseconds kLookWithEvents{10'000};
constexpr std::chrono::milliseconds kLookWithout{1'000};
/// Changes that come together are looked at together.
constexpr std::chrono::milliseconds kGather{100};
/// Of items that left a list, in one look.
constexpr std::size_t kLookUpsMax = 100;

/// The number of the newest event; empty: nobody says.
std::string newest_event(client::ApiClient& api) {
  const Result<Document> page = api.get("/api/v1/events?after=latest&limit=1");
  return page.ok() ? (*page)["newest"].text() : "";
}

/// What was shown of a list, to find what changed.
class ListChanges {
 public:
  ListChanges(CommandContext& context, const WatchedList& list) : context_(context), list_(list), rows_(*list.view, context.output) {}

  Result<void> look() {
    ASSIGN_OR_RETURN(client::ApiClient* const api, context_.api());
    ASSIGN_OR_RETURN(const Document page, fetch_list(*api, list_.target, list_.view->plural, list_.limit));
    std::vector<const Document*> changed;
    std::map<std::string, std::string> now;
    for (const Document& item : page[list_.view->plural].items()) {
      const std::string id = cell("", item[list_.view->id]);
      std::string text = to_json(item);
      const auto before = shown_.find(id);
      if (before == shown_.end() || before->second != text) changed.push_back(&item);
      now.emplace(id, std::move(text));
    }
    const std::vector<Document> left = first_ ? std::vector<Document>() : those_that_left(*api, now);
    for (const Document& item : left) changed.push_back(&item);
    shown_ = std::move(now);
    show(changed);
    return {};
  }

 private:
  std::vector<Document> those_that_left(client::ApiClient& api, const std::map<std::string, std::string>& now) {
    std::vector<Document> left;
    if (list_.collection.empty()) return left;
    for (const auto& [id, text] : shown_) {
      if (now.count(id) != 0 || left.size() >= kLookUpsMax) continue;
      Result<Document> item = api.get(list_.collection + "/" + net::percent_encode(id));
      if (item.ok() && to_json(*item) != text) left.push_back(std::move(item).value());
    }
    return left;
  }

  void show(const std::vector<const Document*>& changed) {
    const bool begins = std::exchange(first_, false);
    if (is_for_people(context_.output) && !context_.output.quiet) {
      if (begins) return write_out(stdout, rows_.first(changed, true));
      // Newest stand first in a list; what happens is told in the order of the ids.
      for (auto item = changed.rbegin(); item != changed.rend(); ++item) write_out(stdout, rows_.next(**item));
      return;
    }
    for (auto item = changed.rbegin(); item != changed.rend(); ++item) {
      const std::string text = item_text(context_.output, **item, *list_.view, to_yaml);
      write_out(stdout, context_.output.format == "yaml" ? "---\n" + text : text);
    }
  }

  CommandContext& context_;
  const WatchedList& list_;
  TableRows rows_;
  std::map<std::string, std::string> shown_;
  bool first_ = true;
};

}  // namespace

ChangeSignal::ChangeSignal(std::unique_ptr<client::ApiClient> api, std::string behind) : api_(std::move(api)), behind_(std::move(behind)) {
  thread_ = std::jthread([this](const std::stop_token& stop) { follow(stop); });
}

ChangeSignal::~ChangeSignal() = default;

void ChangeSignal::wait(std::chrono::milliseconds longest) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, longest, [this] { return dirty_; });
  dirty_ = false;
}

void ChangeSignal::follow(const std::stop_token& stop) {
  client::FollowSettings settings{.last_event_id = behind_};
  settings.give_up_after = std::chrono::hours(24);
  settings.stop = stop;
  const auto on_event = [this](const std::string&, const std::string&, const std::string&) {
    {
      const std::lock_guard lock(mutex_);
      dirty_ = true;
    }
    changed_.notify_all();
    return true;
  };
  // Without a stream the list is still looked at from time to time.
  (void)api_->follow("/api/v1/events", on_event, settings);
}

Result<void> watch_list(CommandContext& context, const WatchedList& list, Duration patience) {
  std::unique_ptr<client::ApiClient> stream;
  std::string behind;
  if (list.has_events) {
    ASSIGN_OR_RETURN(stream, context.connect());
    // Before the first look: what happens after it is told.
    behind = newest_event(*stream);
  }
  std::optional<ChangeSignal> changes;
  Outage outage(patience);
  ListChanges shown(context, list);
  for (;;) {
    const Result<void> looked = shown.look();
    if (is_lost(stdout)) return {};
    if (looked.ok()) {
      outage.heard();
      if (stream) changes.emplace(std::move(stream), behind);
      if (changes) {
        changes->wait(kLookWithEvents);
        pause_for(kGather);
      } else {
        pause_for(kLookWithout);
      }
    } else if (outage.wait_after(looked.error())) {
      (void)context.reconnect();
    } else {
      return looked.error();
    }
  }
}

Result<void> watch_job(CommandContext& context, const std::string& id, const std::function<std::string(const Document&)>& for_people,
                       Duration patience) {
  Outage outage(patience);
  std::string shown;
  std::string position;
  for (;;) {
    bool ended = false;
    Result<void> looked;
    const auto look = [&](const std::string& number, const std::string&, const std::string&) {
      position = number;
      const Result<client::ApiClient*> api = context.api();
      const Result<Document> job = api.ok() ? (*api)->get("/api/v1/jobs/" + id) : Result<Document>(api.error());
      looked = job.ok() ? Result<void>() : Result<void>(job.error());
      if (!job.ok()) return false;
      outage.heard();
      if (to_json(*job) != shown) {
        shown = to_json(*job);
        const std::string text = item_text(context.output, *job, jobs_view(), for_people);
        write_out(stdout, context.output.format == "yaml" || is_for_people(context.output) ? "---\n" + text : text);
      }
      ended = is_ended((*job)["state"].text()) || is_lost(stdout);
      return !ended;
    };
    look(position, "", "");
    if (ended) return {};
    if (looked.ok()) {
      Result<std::unique_ptr<client::ApiClient>> stream = context.connect();
      client::FollowSettings settings{.last_event_id = position};
      settings.give_up_after = std::chrono::milliseconds(0);
      Result<void> followed =
          stream.ok() ? (*stream)->follow("/api/v1/jobs/" + id + "/events", look, settings) : Result<void>(stream.error());
      if (ended) return {};
      if (looked.ok())
        looked = followed.ok() ? Result<void>(unavailable("net.closed", "the server ended the stream")) : std::move(followed);
    }
    if (!outage.wait_after(looked.error())) return looked;
    (void)context.reconnect();
  }
}

}  // namespace trainyard::apps
